
/*
 * A ring of records with one writer and any number of readers, in memory that
 * they share.  The writer never waits: what a slow reader has not read yet is
 * overwritten, and the reader learns how much that was.
 *
 * A record has a sequence number, from 0 on, that never goes back, so that a
 * reader needs nothing but the number of the next one it wants; it survives
 * the writer, which another one may follow, one at a time.
 *
 * Pure; no locks, any thread.  All is read and written in words, by atomic
 * accesses.  A ring that was zeroed is empty.
 */

#ifndef HELIX_RING_H_INCLUDED
#define HELIX_RING_H_INCLUDED


#include <stdbool.h>
#include <stdint.h>


#define HELIX_RING_RECORDS  16384     /* a power of two */
#define HELIX_RING_WORDS    16        /* of a record, 128 bytes */


typedef struct {
    uint64_t    head;                 /* sequence number of the next record */
    uint64_t    reserved[15];
    uint64_t    words[HELIX_RING_RECORDS][HELIX_RING_WORDS];
} helix_ring_t;


/* The writer only; returns the sequence number of the record. */
uint64_t helix_ring_put(helix_ring_t *ring,
    const uint64_t record[HELIX_RING_WORDS]);

/* The sequence number that the next record will have. */
uint64_t helix_ring_head(const helix_ring_t *ring);

/* Of the oldest record that can be read for certain. */
uint64_t helix_ring_tail(const helix_ring_t *ring);

/*
 * Copies a record that was put: "seq" is below the head.  False if it has been
 * overwritten, or is about to be: then nothing was copied that may be used.
 */
bool helix_ring_get(const helix_ring_t *ring, uint64_t seq,
    uint64_t record[HELIX_RING_WORDS]);

/*
 * The next record of a reader at *cursor, which moves behind it.  False when
 * there is none.  *missed grows by the number of records that were overwritten
 * before they were read.
 */
bool helix_ring_next(const helix_ring_t *ring, uint64_t *cursor,
    uint64_t record[HELIX_RING_WORDS], uint64_t *missed);


#endif /* HELIX_RING_H_INCLUDED */
