
/*
 * What is added to the sums over the slots to give the totals, modulo 2^64:
 * less what they were when the counters were reset, more what a state file
 * brought.  Slots are never reset.  In every base admitted is the sum of the
 * ends, so that what is in flight is in flight before and after.
 *
 * There are two copies: a writer, one process at a time, prepares the one that
 * is not valid and publishes it by a store of the version.  Who reads one
 * version sees all of it or that it is gone; a writer that dies in between has
 * changed nothing.  What adapts and learns reads the sums without the base.
 *
 * Event loop of a worker.
 */

#ifndef NGX_HELIX_BASE_H_INCLUDED
#define NGX_HELIX_BASE_H_INCLUDED


#include "ngx_helix_zone.h"


/* Counters beside those of the jobs. */

typedef enum {
    NGX_HELIX_CRASHES = 0,
    NGX_HELIX_SPENT,              /* ns of processor, of ended jobs */
    NGX_HELIX_WASTED,             /* of those late, expired, cancelled */
    NGX_HELIX_MISSED,             /* records, by readers of the stream */
    NGX_HELIX_EXTRAS
} ngx_helix_extra_t;


typedef struct {
    uint64_t             since;       /* Unix ms: all were zero */
    uint64_t             reset;       /* ngx_helix_now(); 0: never */
    uint64_t             loaded;      /* a state file, or none was there */
    uint64_t             extras[NGX_HELIX_EXTRAS];
    ngx_helix_counts_t   counts;
    helix_hist_t         total[NGX_HELIX_LANES];
    helix_hist_t         queue[NGX_HELIX_LANES];
    helix_hist_t         exec[NGX_HELIX_KINDS];
} ngx_helix_base_t;


/* Unix ms at which the counters started from zero; restarts with a state file
   do not count. */
uint64_t ngx_helix_zone_since(ngx_helix_zone_t *zone);

/* Nanoseconds since the last reset; UINT64_MAX: there was none. */
uint64_t ngx_helix_zone_since_reset(ngx_helix_zone_t *zone);

uint64_t ngx_helix_zone_extra(ngx_helix_zone_t *zone, ngx_helix_extra_t which);

/*
 * All counters start from zero, but what is in flight was admitted.  "now" is
 * Unix ms.  NGX_BUSY when another process is at it: nobody sleeps here.  A job
 * that ends meanwhile counts before or after, in the books as a whole; its
 * durations may count on the other side.
 */
ngx_int_t ngx_helix_zone_reset(ngx_helix_zone_t *zone, uint64_t now);

/*
 * Adds what was counted before this zone was there, once: NGX_DECLINED if that
 * was done; NGX_BUSY as above.  NULL: there is nothing to add, remember that,
 * as after a reset.
 */
ngx_int_t ngx_helix_zone_carry(ngx_helix_zone_t *zone,
    const ngx_helix_base_t *more);
ngx_uint_t ngx_helix_zone_carried(ngx_helix_zone_t *zone);


uint64_t ngx_helix_base_version(ngx_helix_zone_t *zone);

/* As ngx_helix_zone_hist(), with the base that totals() has used, so that both
   are before a reset or after it. */
void ngx_helix_zone_hist_of(ngx_helix_zone_t *zone, uint64_t version,
    ngx_helix_hist_kind_t which, ngx_uint_t index, helix_hist_t *sum);


#endif /* NGX_HELIX_BASE_H_INCLUDED */
