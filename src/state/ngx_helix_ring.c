
#include "ngx_helix_layout.h"


typedef char ngx_helix_record_fits[
    (sizeof(ngx_helix_record_t) == HELIX_RING_WORDS * sizeof(uint64_t))
    ? 1 : -1];


uint64_t
ngx_helix_ring_put(ngx_helix_slot_t *slot, const ngx_helix_record_t *record)
{
    uint64_t  words[HELIX_RING_WORDS];

    ngx_memcpy(words, record, sizeof(words));

    return helix_ring_put(&slot->ring, words);
}


/* Slots are claimed from the first on. */

ngx_uint_t
ngx_helix_rings(ngx_helix_zone_t *zone)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HELIX_SLOTS; i++) {
        if (!ngx_helix_get(&zone->slots[i].used)) {
            break;
        }
    }

    return i;
}


uint64_t
ngx_helix_ring_head(ngx_helix_zone_t *zone, ngx_uint_t ring)
{
    return helix_ring_head(&zone->slots[ring].ring);
}


uint64_t
ngx_helix_ring_tail(ngx_helix_zone_t *zone, ngx_uint_t ring)
{
    return helix_ring_tail(&zone->slots[ring].ring);
}


ngx_uint_t
ngx_helix_ring_next(ngx_helix_zone_t *zone, ngx_uint_t ring, uint64_t *cursor,
    ngx_helix_record_t *record, uint64_t *missed)
{
    uint64_t  words[HELIX_RING_WORDS];

    if (!helix_ring_next(&zone->slots[ring].ring, cursor, words, missed)) {
        return 0;
    }

    ngx_memcpy(record, words, sizeof(words));

    return 1;
}


ngx_uint_t
ngx_helix_ring_get(ngx_helix_zone_t *zone, ngx_uint_t ring, uint64_t seq,
    ngx_helix_record_t *record)
{
    uint64_t  words[HELIX_RING_WORDS];

    if (!helix_ring_get(&zone->slots[ring].ring, seq, words)) {
        return 0;
    }

    ngx_memcpy(record, words, sizeof(words));

    return 1;
}


ngx_int_t
ngx_helix_stream_enter(ngx_helix_zone_t *zone, ngx_helix_slot_t *slot,
    uint64_t limit)
{
    (void) __atomic_add_fetch(&slot->streams, 1, __ATOMIC_SEQ_CST);

    if (ngx_helix_streams(zone) > limit) {
        ngx_helix_stream_leave(slot);
        return NGX_BUSY;
    }

    return NGX_OK;
}


void
ngx_helix_stream_leave(ngx_helix_slot_t *slot)
{
    (void) __atomic_sub_fetch(&slot->streams, 1, __ATOMIC_SEQ_CST);
}


uint64_t
ngx_helix_streams(ngx_helix_zone_t *zone)
{
    uint64_t    n;
    ngx_uint_t  i, rings;

    n = 0;
    rings = ngx_helix_rings(zone);

    for (i = 0; i < rings; i++) {
        n += __atomic_load_n(&zone->slots[i].streams, __ATOMIC_SEQ_CST);
    }

    return n;
}


void
ngx_helix_stream_missed(ngx_helix_slot_t *slot, uint64_t n)
{
    ngx_helix_add(&slot->missed, n);
}
