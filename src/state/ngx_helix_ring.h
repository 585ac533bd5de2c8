
/*
 * What was decided and what came of it: a ring of records a slot, written by
 * the slot's owner in its event loop and read by all workers.  A ring outlives
 * the process that has written it; who takes the slot over continues it, so
 * that the number of a record and that of its slot name it for as long as the
 * zone lives.
 *
 * Nothing that a client has sent is in a record but the numbers of its job.
 */

#ifndef NGX_HELIX_RING_H_INCLUDED
#define NGX_HELIX_RING_H_INCLUDED


#include "helix_ring.h"
#include "ngx_helix_zone.h"


/* What a record tells: of a job that is over at once it tells both. */

#define NGX_HELIX_DECISION      0x01
#define NGX_HELIX_DONE          0x02

/* and how the job went */

#define NGX_HELIX_LATE          0x04
#define NGX_HELIX_TRUNCATED     0x08
#define NGX_HELIX_DRY_RUN       0x10     /* it would have been dropped */
#define NGX_HELIX_PREDICTED     0x20     /* it is known how long it takes */


typedef struct {
    uint64_t               time;         /* us since 1970: of the decision, of
                                            the end if it tells that alone */
    uint64_t               id;
    uint64_t               cost;
    uint64_t               budget;       /* ms, 0: none */
    uint64_t               predicted;    /* us */
    double                 scaling;
    uint32_t               busy;
    uint32_t               waiting;
    float                  pressure;
    float                  quality;

    uint8_t                flags;
    uint8_t                kind;         /* in the zone */
    uint8_t                strategy;     /* helix_strategy_t */
    uint8_t                reason;       /* helix_reason_t */
    uint8_t                source;       /* helix_source_t */
    uint8_t                end;          /* ngx_helix_end_t, but of a drop */
    uint8_t                level;        /* 0: full, else 1 + its name */
    uint8_t                reserved;

    /* of the end */
    uint64_t               decision;     /* number of that record */
    uint64_t               queue;        /* us */
    uint64_t               exec;
    uint64_t               total;
    uint64_t               batch;        /* jobs run together, 0: no batch */
    uint64_t               reserved2[2];
} ngx_helix_record_t;


/* The owner of the slot, in its event loop; the number of the record. */
uint64_t ngx_helix_ring_put(ngx_helix_slot_t *slot,
    const ngx_helix_record_t *record);


/*
 * Readers.  "ring" is the index of a slot, below ngx_helix_rings(), which may
 * grow.  next() and get() are those of helix_ring.h.
 */
ngx_uint_t ngx_helix_rings(ngx_helix_zone_t *zone);
uint64_t ngx_helix_ring_head(ngx_helix_zone_t *zone, ngx_uint_t ring);
uint64_t ngx_helix_ring_tail(ngx_helix_zone_t *zone, ngx_uint_t ring);
ngx_uint_t ngx_helix_ring_next(ngx_helix_zone_t *zone, ngx_uint_t ring,
    uint64_t *cursor, ngx_helix_record_t *record, uint64_t *missed);
ngx_uint_t ngx_helix_ring_get(ngx_helix_zone_t *zone, ngx_uint_t ring,
    uint64_t seq, ngx_helix_record_t *record);


/*
 * Streams of all workers, counted like places to wait: NGX_OK, or NGX_BUSY when
 * there are "limit".  Those of a process that died are given back.
 */
ngx_int_t ngx_helix_stream_enter(ngx_helix_zone_t *zone,
    ngx_helix_slot_t *slot, uint64_t limit);
void ngx_helix_stream_leave(ngx_helix_slot_t *slot);
uint64_t ngx_helix_streams(ngx_helix_zone_t *zone);

/* Records that were overwritten before a stream that was there could tell
   them; they are summed by ngx_helix_zone_extra(). */
void ngx_helix_stream_missed(ngx_helix_slot_t *slot, uint64_t n);


#endif /* NGX_HELIX_RING_H_INCLUDED */
