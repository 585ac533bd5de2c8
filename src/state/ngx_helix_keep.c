
#include "ngx_helix_layout.h"
#include "ngx_helix_keep.h"


ngx_int_t
ngx_helix_keep_lock(ngx_helix_zone_t *zone, ngx_uint_t wait)
{
    return ngx_helix_process_lock(&zone->keep.owner, wait);
}


void
ngx_helix_keep_unlock(ngx_helix_zone_t *zone)
{
    ngx_helix_process_unlock(&zone->keep.owner);
}


ngx_int_t
ngx_helix_keep_wait(ngx_helix_zone_t *zone)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HELIX_KEEP_WAITS; i++) {
        if (ngx_helix_keep_lock(zone, 1) == NGX_OK) {
            return NGX_OK;
        }
    }

    return NGX_BUSY;
}


ngx_uint_t
ngx_helix_keep_due(ngx_helix_zone_t *zone, uint64_t now)
{
    return now >= ngx_helix_get(&zone->keep.begun) + NGX_HELIX_KEEP_INTERVAL;
}


ngx_uint_t
ngx_helix_keep_changed(ngx_helix_zone_t *zone)
{
    return ngx_helix_config_version(zone) != ngx_helix_get(&zone->keep.config);
}


void
ngx_helix_keep_begin(ngx_helix_zone_t *zone, uint64_t now)
{
    ngx_helix_set(&zone->keep.begun, now);
    ngx_helix_set(&zone->keep.config, ngx_helix_config_version(zone));
}


uint64_t
ngx_helix_keep_path(ngx_helix_zone_t *zone)
{
    return ngx_helix_get(&zone->keep.path);
}


void
ngx_helix_keep_set_path(ngx_helix_zone_t *zone, uint64_t path)
{
    ngx_helix_set(&zone->keep.path, path);
}


ngx_uint_t
ngx_helix_keep_tell(ngx_helix_zone_t *zone, uint64_t what)
{
    if (ngx_helix_get(&zone->keep.told) == what) {
        return 0;
    }

    ngx_helix_set(&zone->keep.told, what);

    return what != 0;
}


uint64_t
ngx_helix_keep_leave(ngx_helix_zone_t *zone)
{
    return __atomic_add_fetch(&zone->keep.left, 1, __ATOMIC_SEQ_CST);
}


uint64_t
ngx_helix_keep_left(ngx_helix_zone_t *zone)
{
    return __atomic_load_n(&zone->keep.left, __ATOMIC_SEQ_CST);
}


uint64_t
ngx_helix_keep_covered(ngx_helix_zone_t *zone)
{
    return ngx_helix_get(&zone->keep.covered);
}


void
ngx_helix_keep_cover(ngx_helix_zone_t *zone, uint64_t left)
{
    ngx_helix_set(&zone->keep.covered, left);
}


uint64_t
ngx_helix_keep_end(ngx_helix_zone_t *zone, uint64_t saved)
{
    if (saved) {
        ngx_helix_set(&zone->keep.saved, saved);
        ngx_helix_set(&zone->keep.failures, 0);
        return 0;
    }

    ngx_helix_set(&zone->keep.errors, ngx_helix_get(&zone->keep.errors) + 1);
    ngx_helix_set(&zone->keep.failures,
                  ngx_helix_get(&zone->keep.failures) + 1);

    return ngx_helix_get(&zone->keep.failures);
}


uint64_t
ngx_helix_keep_saved(ngx_helix_zone_t *zone)
{
    return ngx_helix_get(&zone->keep.saved);
}


uint64_t
ngx_helix_keep_errors(ngx_helix_zone_t *zone)
{
    return ngx_helix_get(&zone->keep.errors);
}


void
ngx_helix_keep_learned(ngx_helix_zone_t *zone, ngx_uint_t kind,
    const helix_samples_t *samples, const helix_batches_t *batches)
{
    if (ngx_helix_get(&zone->keep.learned)) {
        return;
    }

    zone->keep.report.samples[kind] = *samples;
    zone->keep.report.samples[kind].version = 0;
    zone->keep.report.batches[kind] = *batches;
}


void
ngx_helix_keep_publish(ngx_helix_zone_t *zone)
{
    __atomic_store_n(&zone->keep.learned, 1, __ATOMIC_RELEASE);
}


ngx_uint_t
ngx_helix_keep_alone(ngx_helix_zone_t *zone)
{
    ngx_uint_t           i;
    ngx_helix_process_t  owner, self;

    self = ngx_helix_process_self();

    /* of two that leave at once the later one sees that the other has left */

    __atomic_thread_fence(__ATOMIC_SEQ_CST);

    for (i = 0; i < NGX_HELIX_SLOTS; i++) {

        if (!ngx_helix_get(&zone->slots[i].used)) {
            break;
        }

        owner = ngx_helix_get(&zone->slots[i].owner);

        if (owner && owner != self && ngx_helix_process_alive(owner)) {
            return 0;
        }
    }

    return 1;
}
