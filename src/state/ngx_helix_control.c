
#include "ngx_helix_layout.h"


#define NGX_HELIX_CONTROL_TRIES  64      /* of a reader */
#define NGX_HELIX_CONTROL_WAIT   1000000 /* ns, of a writer */


static uint64_t ngx_helix_control_read(const uint64_t *version,
    const void *copies, void *dst, size_t size);
static uint64_t ngx_helix_control_publish(ngx_helix_zone_t *zone,
    uint64_t *version, void *copies, const void *src, size_t size);
static void ngx_helix_control_load(uint64_t *dst, const uint64_t *src,
    size_t size);


uint64_t
ngx_helix_control_changes(ngx_helix_zone_t *zone)
{
    return ngx_helix_get(&zone->control.changes);
}


uint64_t
ngx_helix_config_version(ngx_helix_zone_t *zone)
{
    return __atomic_load_n(&zone->control.config_version, __ATOMIC_ACQUIRE);
}


uint64_t
ngx_helix_sources_version(ngx_helix_zone_t *zone)
{
    return __atomic_load_n(&zone->control.sources_version, __ATOMIC_ACQUIRE);
}


uint64_t
ngx_helix_config_read(ngx_helix_zone_t *zone, ngx_helix_config_t *config)
{
    return ngx_helix_control_read(&zone->control.config_version,
                                  zone->control.config, config,
                                  sizeof(ngx_helix_config_t));
}


uint64_t
ngx_helix_sources_read(ngx_helix_zone_t *zone, ngx_helix_sources_t *sources)
{
    return ngx_helix_control_read(&zone->control.sources_version,
                                  zone->control.sources, sources,
                                  sizeof(ngx_helix_sources_t));
}


/* The copy that holds is not written until another one does. */

static uint64_t
ngx_helix_control_read(const uint64_t *version, const void *copies, void *dst,
    size_t size)
{
    uint64_t    seen;
    ngx_uint_t  i;

    for (i = 0; i < NGX_HELIX_CONTROL_TRIES; i++) {
        seen = __atomic_load_n(version, __ATOMIC_ACQUIRE);

        if (seen == 0) {
            return 0;
        }

        ngx_helix_control_load(dst, (const uint64_t *)
                                    ((const char *) copies + (seen & 1) * size),
                               size);

        __atomic_thread_fence(__ATOMIC_ACQUIRE);

        if (ngx_helix_get(version) == seen) {
            return seen;
        }
    }

    return 0;
}


static void
ngx_helix_control_load(uint64_t *dst, const uint64_t *src, size_t size)
{
    size_t  i;

    for (i = 0; i < size / sizeof(uint64_t); i++) {
        dst[i] = ngx_helix_get(&src[i]);
    }
}


ngx_int_t
ngx_helix_control_lock(ngx_helix_zone_t *zone)
{
    uint64_t             until;
    ngx_helix_process_t  owner, self;

    self = ngx_helix_process_self();
    until = 0;

    for ( ;; ) {
        owner = 0;

        if (__atomic_compare_exchange_n(&zone->control.writer, &owner, self, 0,
                                        __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        {
            return NGX_OK;
        }

        if (!ngx_helix_process_alive(owner)
            && __atomic_compare_exchange_n(&zone->control.writer, &owner, self,
                                           0, __ATOMIC_ACQUIRE,
                                           __ATOMIC_RELAXED))
        {
            return NGX_OK;
        }

        if (until == 0) {
            until = ngx_helix_now() + NGX_HELIX_CONTROL_WAIT;

        } else if (ngx_helix_now() > until) {
            return NGX_BUSY;
        }

        ngx_sched_yield();
    }
}


void
ngx_helix_control_unlock(ngx_helix_zone_t *zone)
{
    __atomic_store_n(&zone->control.writer, 0, __ATOMIC_RELEASE);
}


uint64_t
ngx_helix_config_publish(ngx_helix_zone_t *zone,
    const ngx_helix_config_t *config)
{
    return ngx_helix_control_publish(zone, &zone->control.config_version,
                                     zone->control.config, config,
                                     sizeof(ngx_helix_config_t));
}


uint64_t
ngx_helix_sources_publish(ngx_helix_zone_t *zone,
    const ngx_helix_sources_t *sources)
{
    return ngx_helix_control_publish(zone, &zone->control.sources_version,
                                     zone->control.sources, sources,
                                     sizeof(ngx_helix_sources_t));
}


static uint64_t
ngx_helix_control_publish(ngx_helix_zone_t *zone, uint64_t *version,
    void *copies, const void *src, size_t size)
{
    size_t           i;
    uint64_t         next, *dst;
    const uint64_t  *words = src;

    next = ngx_helix_get(version) + 1;
    dst = (uint64_t *) ((char *) copies + (next & 1) * size);

    /* who still reads what was here sees the version that it read as gone */

    __atomic_thread_fence(__ATOMIC_RELEASE);

    for (i = 0; i < size / sizeof(uint64_t); i++) {
        ngx_helix_set(&dst[i], words[i]);
    }

    __atomic_store_n(version, next, __ATOMIC_RELEASE);

    (void) __atomic_add_fetch(&zone->control.changes, 1, __ATOMIC_RELEASE);

    return next;
}


uint64_t
ngx_helix_config_concurrency(ngx_helix_zone_t *zone)
{
    uint64_t  version;

    version = __atomic_load_n(&zone->control.config_version, __ATOMIC_ACQUIRE);

    return ngx_helix_get(&zone->control.config[version & 1].concurrency);
}


ngx_uint_t
ngx_helix_control_refused(ngx_helix_zone_t *zone, uint64_t hash)
{
    if (ngx_helix_get(&zone->control.refused) == hash) {
        return 0;
    }

    ngx_helix_set(&zone->control.refused, hash);

    return 1;
}


ngx_helix_change_t *
ngx_helix_config_remember(ngx_helix_config_t *config)
{
    ngx_helix_change_t  *change;

    change = &config->changes[config->nchanges++ % NGX_HELIX_CHANGES];

    ngx_memzero(change, sizeof(ngx_helix_change_t));

    return change;
}


ngx_int_t
ngx_helix_config_save(ngx_helix_zone_t *zone, ngx_helix_saved_t *saved)
{
    ngx_uint_t          i, n;
    ngx_helix_config_t  config;

    if (ngx_helix_config_read(zone, &config) == 0) {
        return ngx_helix_config_version(zone) ? NGX_BUSY : 0;
    }

    n = 0;

    for (i = 0; i < HELIX_LAYER_ROWS; i++) {
        if (helix_layer_has(&config.runtime, i)) {
            saved[n].row = i;
            saved[n].value = config.runtime.values[i];
            saved[n].override = config.overrides[i];
            n++;
        }
    }

    return n;
}


ngx_uint_t
ngx_helix_config_changes(ngx_helix_zone_t *zone, uint64_t since,
    ngx_helix_change_t *changes)
{
    uint64_t             i, first;
    ngx_uint_t           n;
    ngx_helix_change_t  *change;
    ngx_helix_config_t   config;

    if (ngx_helix_config_version(zone) == since
        || ngx_helix_config_read(zone, &config) == 0)
    {
        return 0;
    }

    n = 0;
    first = config.nchanges - ngx_min(config.nchanges, NGX_HELIX_CHANGES);

    for (i = first; i < config.nchanges; i++) {
        change = &config.changes[i % NGX_HELIX_CHANGES];

        if (change->version > since) {
            changes[n++] = *change;
        }
    }

    return n;
}
