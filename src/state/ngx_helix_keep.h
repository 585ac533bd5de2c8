
/*
 * What the zone knows of its state file: who is at it, how it went, and what
 * was learned before the zone was there.  Event loop of a worker.
 */

#ifndef NGX_HELIX_KEEP_H_INCLUDED
#define NGX_HELIX_KEEP_H_INCLUDED


#include "ngx_helix_zone.h"


#define NGX_HELIX_KEEP_INTERVAL  60000000000ULL    /* ns */
#define NGX_HELIX_KEEP_WAITS     200               /* of 5 ms, to leave */


/* One process at a time loads or saves; a dead one does not count.  NGX_OK or
   NGX_BUSY. */
ngx_int_t ngx_helix_keep_lock(ngx_helix_zone_t *zone, ngx_uint_t wait);
void ngx_helix_keep_unlock(ngx_helix_zone_t *zone);

/* The lock, after a second of waiting at most: of a process that leaves. */
ngx_int_t ngx_helix_keep_wait(ngx_helix_zone_t *zone);

/* Is it time to save, at "now"?  Have settings changed since the last one
   began?  The holder says when it begins. */
ngx_uint_t ngx_helix_keep_due(ngx_helix_zone_t *zone, uint64_t now);
ngx_uint_t ngx_helix_keep_changed(ngx_helix_zone_t *zone);
void ngx_helix_keep_begin(ngx_helix_zone_t *zone, uint64_t now);

/* Hash of the path of the file whose state the zone has, 0: of none.  Set by
   the holder of the lock. */
uint64_t ngx_helix_keep_path(ngx_helix_zone_t *zone);
void ngx_helix_keep_set_path(ngx_helix_zone_t *zone, uint64_t path);

/* Is this another trouble than the last one that was told?  0: there is none.
   Holder of the lock. */
ngx_uint_t ngx_helix_keep_tell(ngx_helix_zone_t *zone, uint64_t what);

/*
 * Processes that have left, this one included: its number.  A save covers those
 * that had left when it began.
 */
uint64_t ngx_helix_keep_leave(ngx_helix_zone_t *zone);
uint64_t ngx_helix_keep_left(ngx_helix_zone_t *zone);
uint64_t ngx_helix_keep_covered(ngx_helix_zone_t *zone);
void ngx_helix_keep_cover(ngx_helix_zone_t *zone, uint64_t left);

/* The end of it: Unix ms, or 0 for a failure.  The number of failures in a row,
   this one included. */
uint64_t ngx_helix_keep_end(ngx_helix_zone_t *zone, uint64_t saved);

uint64_t ngx_helix_keep_saved(ngx_helix_zone_t *zone);    /* 0: never */
uint64_t ngx_helix_keep_errors(ngx_helix_zone_t *zone);

/* What was learned by those who are gone with their zone: a report without an
   owner, which zone_reports() gives once it has been published, and which does
   not change from then on. */
void ngx_helix_keep_learned(ngx_helix_zone_t *zone, ngx_uint_t kind,
    const helix_samples_t *samples, const helix_batches_t *batches);
void ngx_helix_keep_publish(ngx_helix_zone_t *zone);

/* No other process that lives has a slot. */
ngx_uint_t ngx_helix_keep_alone(ngx_helix_zone_t *zone);


#endif /* NGX_HELIX_KEEP_H_INCLUDED */
