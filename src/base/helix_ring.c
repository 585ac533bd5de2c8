
#include "helix_ring.h"


#define helix_ring_load(p)      __atomic_load_n(p, __ATOMIC_RELAXED)
#define helix_ring_store(p, v)  __atomic_store_n(p, v, __ATOMIC_RELAXED)


/* Whoever sees a word of this record also sees that the head has come to it:
   the fence stands between the two, as the reader's does. */

uint64_t
helix_ring_put(helix_ring_t *ring, const uint64_t record[HELIX_RING_WORDS])
{
    uint64_t   seq, *words;
    unsigned   i;

    seq = helix_ring_load(&ring->head);
    words = ring->words[seq % HELIX_RING_RECORDS];

    __atomic_thread_fence(__ATOMIC_RELEASE);

    for (i = 0; i < HELIX_RING_WORDS; i++) {
        helix_ring_store(&words[i], record[i]);
    }

    __atomic_store_n(&ring->head, seq + 1, __ATOMIC_RELEASE);

    return seq;
}


uint64_t
helix_ring_head(const helix_ring_t *ring)
{
    return __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
}


/* The one after the newest is being written, for all a reader knows. */

uint64_t
helix_ring_tail(const helix_ring_t *ring)
{
    uint64_t  head;

    head = helix_ring_head(ring);

    return (head < HELIX_RING_RECORDS) ? 0 : head - HELIX_RING_RECORDS + 1;
}


bool
helix_ring_get(const helix_ring_t *ring, uint64_t seq,
    uint64_t record[HELIX_RING_WORDS])
{
    unsigned         i;
    const uint64_t  *words;

    words = ring->words[seq % HELIX_RING_RECORDS];

    for (i = 0; i < HELIX_RING_WORDS; i++) {
        record[i] = helix_ring_load(&words[i]);
    }

    __atomic_thread_fence(__ATOMIC_ACQUIRE);

    return helix_ring_load(&ring->head) - seq < HELIX_RING_RECORDS;
}


bool
helix_ring_next(const helix_ring_t *ring, uint64_t *cursor,
    uint64_t record[HELIX_RING_WORDS], uint64_t *missed)
{
    uint64_t  tail;

    while (*cursor < helix_ring_head(ring)) {

        if (helix_ring_get(ring, *cursor, record)) {
            (*cursor)++;
            return true;
        }

        tail = helix_ring_tail(ring);

        *missed += tail - *cursor;
        *cursor = tail;
    }

    return false;
}
