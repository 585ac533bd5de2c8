
/*
 * What the zone knows of its state file: who is at it, how it went, and what
 * was learned before the zone was there.  Event loop of a worker.
 */

#ifndef NGX_HELIX_KEEP_H_INCLUDED
#define NGX_HELIX_KEEP_H_INCLUDED


#include "ngx_helix_zone.h"


#define NGX_HELIX_KEEP_INTERVAL  60000000000ULL    /* ns */


/* One process at a time loads or saves; a dead one does not count.  NGX_OK or
   NGX_BUSY. */
ngx_int_t ngx_helix_keep_lock(ngx_helix_zone_t *zone, ngx_uint_t wait);
void ngx_helix_keep_unlock(ngx_helix_zone_t *zone);

/* Is it time to save, at "now"?  The holder says when it begins. */
ngx_uint_t ngx_helix_keep_due(ngx_helix_zone_t *zone, uint64_t now);
void ngx_helix_keep_begin(ngx_helix_zone_t *zone, uint64_t now);

/* The end of it: Unix ms, or 0 for a failure.  The number of failures in a row,
   this one included. */
uint64_t ngx_helix_keep_end(ngx_helix_zone_t *zone, uint64_t saved);

uint64_t ngx_helix_keep_saved(ngx_helix_zone_t *zone);    /* 0: never */
uint64_t ngx_helix_keep_errors(ngx_helix_zone_t *zone);

/* What was learned by those who are gone with their zone: a report without an
   owner, which zone_reports() gives once it has been set. */
void ngx_helix_keep_learned(ngx_helix_zone_t *zone, ngx_uint_t kind,
    const helix_samples_t *samples, const helix_batches_t *batches);

/* No other process that lives has a slot. */
ngx_uint_t ngx_helix_keep_alone(ngx_helix_zone_t *zone);


#endif /* NGX_HELIX_KEEP_H_INCLUDED */
