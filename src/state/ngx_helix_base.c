
#include "ngx_helix_layout.h"


#define NGX_HELIX_BASE_TRIES   64
#define NGX_HELIX_BASE_ASKS    4       /* for the word of the writers */

#define ngx_helix_base_words(type)  (sizeof(type) / sizeof(uint64_t))


static ngx_int_t ngx_helix_base_begin(ngx_helix_zone_t *zone,
    ngx_helix_base_t **from, ngx_helix_base_t **to);
static void ngx_helix_base_publish(ngx_helix_zone_t *zone);
static ngx_uint_t ngx_helix_base_gone(ngx_helix_zone_t *zone,
    uint64_t version);
static void ngx_helix_base_extras(ngx_helix_zone_t *zone, uint64_t *extras);
static void ngx_helix_base_store(void *to, const void *from, size_t n);
static void ngx_helix_base_slot(ngx_helix_slot_t *slot, ngx_uint_t nkinds,
    ngx_helix_counts_t *counts, ngx_helix_counts_t *again);
static ngx_uint_t ngx_helix_base_whole(const ngx_helix_counts_t *counts);
static void ngx_helix_base_reset_counts(ngx_helix_zone_t *zone,
    ngx_helix_base_t *base);
static void ngx_helix_base_reset_hists(ngx_helix_zone_t *zone,
    ngx_helix_base_t *base);
static void ngx_helix_base_reset_hist(ngx_helix_zone_t *zone,
    ngx_helix_hist_kind_t which, ngx_uint_t index, helix_hist_t *base);
static void ngx_helix_base_copy(ngx_helix_zone_t *zone, ngx_helix_base_t *to,
    const ngx_helix_base_t *from, const ngx_helix_base_t *more);
static void ngx_helix_base_merge(helix_hist_t *to, const helix_hist_t *from,
    const helix_hist_t *more);
static void ngx_helix_base_sum(void *to, const void *from, const void *more,
    size_t n);
static helix_hist_t *ngx_helix_base_hist(ngx_helix_base_t *base,
    ngx_helix_hist_kind_t which, ngx_uint_t index);


/* The copy that is valid, and the one to prepare. */

static ngx_int_t
ngx_helix_base_begin(ngx_helix_zone_t *zone, ngx_helix_base_t **from,
    ngx_helix_base_t **to)
{
    uint64_t    version;
    ngx_uint_t  i;

    /* the event loop does not sleep */

    for (i = 0; ngx_helix_process_lock(&zone->base_writer, 0) != NGX_OK; i++) {

        if (i == NGX_HELIX_BASE_ASKS) {
            return NGX_BUSY;
        }

        ngx_sched_yield();
    }

    version = ngx_helix_get(&zone->base_version);

    *from = &zone->base[version & 1];
    *to = &zone->base[(version + 1) & 1];

    ngx_helix_set(&zone->base_begun, version + 1);

    __atomic_thread_fence(__ATOMIC_RELEASE);

    return NGX_OK;
}


static void
ngx_helix_base_publish(ngx_helix_zone_t *zone)
{
    __atomic_store_n(&zone->base_version, ngx_helix_get(&zone->base_begun),
                     __ATOMIC_RELEASE);

    ngx_helix_process_unlock(&zone->base_writer);
}


/* What was read since then may be of a later version. */

static ngx_uint_t
ngx_helix_base_gone(ngx_helix_zone_t *zone, uint64_t version)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);

    return ngx_helix_get(&zone->base_begun) >= version + 2;
}


uint64_t
ngx_helix_base_version(ngx_helix_zone_t *zone)
{
    return __atomic_load_n(&zone->base_version, __ATOMIC_ACQUIRE);
}


uint64_t
ngx_helix_zone_since(ngx_helix_zone_t *zone)
{
    uint64_t  version, since;

    do {
        version = ngx_helix_base_version(zone);
        since = ngx_helix_get(&zone->base[version & 1].since);

    } while (ngx_helix_base_gone(zone, version));

    return since;
}


uint64_t
ngx_helix_zone_since_reset(ngx_helix_zone_t *zone)
{
    uint64_t  version, reset;

    do {
        version = ngx_helix_base_version(zone);
        reset = ngx_helix_get(&zone->base[version & 1].reset);

    } while (ngx_helix_base_gone(zone, version));

    return reset ? ngx_helix_now() - reset : UINT64_MAX;
}


ngx_uint_t
ngx_helix_zone_carried(ngx_helix_zone_t *zone)
{
    uint64_t  version, loaded;

    do {
        version = ngx_helix_base_version(zone);
        loaded = ngx_helix_get(&zone->base[version & 1].loaded);

    } while (ngx_helix_base_gone(zone, version));

    return loaded != 0;
}


static void
ngx_helix_base_extras(ngx_helix_zone_t *zone, uint64_t *extras)
{
    ngx_uint_t         i;
    ngx_helix_slot_t  *slot;

    ngx_memzero(extras, NGX_HELIX_EXTRAS * sizeof(uint64_t));

    extras[NGX_HELIX_CRASHES] = ngx_helix_get(&zone->crashes);

    for (i = 0; i < NGX_HELIX_SLOTS; i++) {
        slot = &zone->slots[i];

        if (!ngx_helix_get(&slot->used)) {
            break;
        }

        extras[NGX_HELIX_SPENT] += ngx_helix_get(&slot->report.spent);
        extras[NGX_HELIX_WASTED] += ngx_helix_get(&slot->report.wasted);
        extras[NGX_HELIX_MISSED] += ngx_helix_get(&slot->missed);
    }
}


uint64_t
ngx_helix_zone_extra(ngx_helix_zone_t *zone, ngx_helix_extra_t which)
{
    uint64_t  version, base, extras[NGX_HELIX_EXTRAS];

    do {
        version = ngx_helix_base_version(zone);
        base = ngx_helix_get(&zone->base[version & 1].extras[which]);

        ngx_helix_base_extras(zone, extras);

    } while (ngx_helix_base_gone(zone, version));

    return base + extras[which];
}


uint64_t
ngx_helix_zone_totals(ngx_helix_zone_t *zone, ngx_helix_counts_t *sum)
{
    uint64_t  version;

    /* what was counted when the base was made is there when it is seen */

    do {
        version = ngx_helix_base_version(zone);

        ngx_helix_zone_raw_totals(zone, sum);

        ngx_helix_base_sum(sum, sum, &zone->base[version & 1].counts,
                           ngx_helix_base_words(ngx_helix_counts_t));

    } while (ngx_helix_base_gone(zone, version));

    return version;
}


void
ngx_helix_zone_hist(ngx_helix_zone_t *zone, ngx_helix_hist_kind_t which,
    ngx_uint_t index, helix_hist_t *sum)
{
    ngx_helix_zone_hist_of(zone, ngx_helix_base_version(zone), which, index,
                           sum);
}


void
ngx_helix_zone_hist_of(ngx_helix_zone_t *zone, uint64_t version,
    ngx_helix_hist_kind_t which, ngx_uint_t index, helix_hist_t *sum)
{
    for ( ;; ) {
        helix_hist_clear(sum);
        ngx_helix_zone_raw_hist(zone, which, index, sum);

        /* the first one was never written to: to look at it would make its
           pages */

        if (version) {
            helix_hist_merge(sum,
                             ngx_helix_base_hist(&zone->base[version & 1],
                                                 which, index));
        }

        if (!ngx_helix_base_gone(zone, version)) {
            break;
        }

        version = ngx_helix_base_version(zone);
    }
}


static helix_hist_t *
ngx_helix_base_hist(ngx_helix_base_t *base, ngx_helix_hist_kind_t which,
    ngx_uint_t index)
{
    switch (which) {

    case NGX_HELIX_HIST_TOTAL:
        return &base->total[index];

    case NGX_HELIX_HIST_QUEUE:
        return &base->queue[index];

    default: /* NGX_HELIX_HIST_EXEC */
        return &base->exec[index];
    }
}


ngx_int_t
ngx_helix_zone_reset(ngx_helix_zone_t *zone, uint64_t now)
{
    uint64_t           extras[NGX_HELIX_EXTRAS];
    ngx_uint_t         i;
    ngx_helix_base_t  *from, *to;

    if (ngx_helix_base_begin(zone, &from, &to) != NGX_OK) {
        return NGX_BUSY;
    }

    ngx_helix_set(&to->since, now);
    ngx_helix_set(&to->reset, ngx_helix_now());
    ngx_helix_set(&to->loaded, ngx_helix_get(&from->loaded));

    /* durations first: what they miss the books may have, but not the other
       way round */

    ngx_helix_base_reset_hists(zone, to);
    ngx_helix_base_reset_counts(zone, to);

    ngx_helix_base_extras(zone, extras);

    for (i = 0; i < NGX_HELIX_EXTRAS; i++) {
        ngx_helix_set(&to->extras[i], -extras[i]);
    }

    ngx_helix_base_publish(zone);

    return NGX_OK;
}


static void
ngx_helix_base_reset_counts(ngx_helix_zone_t *zone, ngx_helix_base_t *base)
{
    uint64_t                 *words, *add;
    ngx_uint_t                i, w, k, l, e, nkinds;
    ngx_helix_counts_t        sum, counts, again;
    ngx_helix_lane_counts_t  *lane;

    ngx_memzero(&sum, sizeof(ngx_helix_counts_t));

    nkinds = ngx_helix_zone_kinds(zone);
    words = (uint64_t *) &sum;
    add = (uint64_t *) &counts;

    for (i = 0; i < NGX_HELIX_SLOTS; i++) {

        if (!ngx_helix_get(&zone->slots[i].used)) {
            continue;
        }

        ngx_helix_base_slot(&zone->slots[i], nkinds, &counts, &again);

        for (w = 0; w < ngx_helix_base_words(ngx_helix_counts_t); w++) {
            words[w] -= add[w];
        }
    }

    for (k = 0; k < nkinds; k++) {
        for (l = 0; l < NGX_HELIX_LANES; l++) {
            lane = &sum.kinds[k].lanes[l];
            lane->admitted = 0;

            for (e = 0; e < NGX_HELIX_ENDS; e++) {
                lane->admitted += lane->ended[e];
            }
        }
    }

    ngx_helix_base_store(&base->counts, &sum,
                         ngx_helix_base_words(ngx_helix_counts_t));
}


/*
 * Counters only grow: when they were read twice and are the same, this is what
 * they were at a time in between.  If that was within the accounting of a job,
 * sums of the same jobs differ; its process may have died in there.
 */

static void
ngx_helix_base_slot(ngx_helix_slot_t *slot, ngx_uint_t nkinds,
    ngx_helix_counts_t *counts, ngx_helix_counts_t *again)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HELIX_BASE_TRIES; i++) {
        ngx_memzero(counts, sizeof(ngx_helix_counts_t));
        ngx_memzero(again, sizeof(ngx_helix_counts_t));

        ngx_helix_counts_add(counts, slot, nkinds);
        ngx_helix_counts_add(again, slot, nkinds);

        if (ngx_memcmp(counts, again, sizeof(ngx_helix_counts_t)) == 0
            && ngx_helix_base_whole(counts))
        {
            return;
        }

        if (i > NGX_HELIX_BASE_TRIES / 2) {
            ngx_sched_yield();
        }
    }
}


static ngx_uint_t
ngx_helix_base_whole(const ngx_helix_counts_t *counts)
{
    uint64_t    dropped, invalid;
    ngx_uint_t  i;

    dropped = 0;
    invalid = 0;

    for (i = 0; i <= NGX_HELIX_NO_KIND; i++) {
        dropped += counts->kinds[i].dropped;
        invalid += counts->kinds[i].invalid;
    }

    for (i = 0; i < HELIX_REASONS; i++) {
        dropped -= counts->dropped[i];
    }

    for (i = 0; i < NGX_HELIX_INVALIDS; i++) {
        invalid -= counts->invalid[i];
    }

    return dropped == 0 && invalid == 0;
}


static void
ngx_helix_base_reset_hists(ngx_helix_zone_t *zone, ngx_helix_base_t *base)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HELIX_LANES; i++) {
        ngx_helix_base_reset_hist(zone, NGX_HELIX_HIST_TOTAL, i,
                                  &base->total[i]);
        ngx_helix_base_reset_hist(zone, NGX_HELIX_HIST_QUEUE, i,
                                  &base->queue[i]);
    }

    for (i = 0; i < ngx_helix_zone_kinds(zone); i++) {
        ngx_helix_base_reset_hist(zone, NGX_HELIX_HIST_EXEC, i,
                                  &base->exec[i]);
    }
}


static void
ngx_helix_base_reset_hist(ngx_helix_zone_t *zone, ngx_helix_hist_kind_t which,
    ngx_uint_t index, helix_hist_t *base)
{
    helix_hist_t  now, less;

    ngx_memzero(&now, sizeof(helix_hist_t));
    ngx_memzero(&less, sizeof(helix_hist_t));

    ngx_helix_zone_raw_hist(zone, which, index, &now);

    helix_hist_subtract(&less, &now);
    helix_hist_store(base, &less);
}


ngx_int_t
ngx_helix_zone_carry(ngx_helix_zone_t *zone, const ngx_helix_base_t *more)
{
    ngx_int_t          rc;
    ngx_helix_base_t  *from, *to;

    if (ngx_helix_base_begin(zone, &from, &to) != NGX_OK) {
        return NGX_BUSY;
    }

    /* who has reset the counters since then did not mean to get those back */

    if (more == NULL || ngx_helix_get(&from->loaded)
        || ngx_helix_get(&from->reset))
    {
        rc = ngx_helix_get(&from->loaded) ? NGX_DECLINED : NGX_OK;
        ngx_helix_set(&from->loaded, 1);

        ngx_helix_process_unlock(&zone->base_writer);
        return rc;
    }

    ngx_helix_base_copy(zone, to, from, more);
    ngx_helix_set(&to->loaded, 1);

    ngx_helix_base_publish(zone);

    return NGX_OK;
}


static void
ngx_helix_base_copy(ngx_helix_zone_t *zone, ngx_helix_base_t *to,
    const ngx_helix_base_t *from, const ngx_helix_base_t *more)
{
    ngx_uint_t  i;

    ngx_helix_set(&to->since, more->since);
    ngx_helix_set(&to->reset, from->reset);

    ngx_helix_base_sum(to->extras, from->extras, more->extras,
                       NGX_HELIX_EXTRAS);
    ngx_helix_base_sum(&to->counts, &from->counts,
                       &more->counts,
                       ngx_helix_base_words(ngx_helix_counts_t));

    for (i = 0; i < NGX_HELIX_LANES; i++) {
        ngx_helix_base_merge(&to->total[i], &from->total[i], &more->total[i]);
        ngx_helix_base_merge(&to->queue[i], &from->queue[i], &more->queue[i]);
    }

    for (i = 0; i < ngx_helix_zone_kinds(zone); i++) {
        ngx_helix_base_merge(&to->exec[i], &from->exec[i], &more->exec[i]);
    }
}


static void
ngx_helix_base_merge(helix_hist_t *to, const helix_hist_t *from,
    const helix_hist_t *more)
{
    helix_hist_t  sum;

    ngx_memzero(&sum, sizeof(helix_hist_t));

    helix_hist_merge(&sum, from);
    helix_hist_merge(&sum, more);
    helix_hist_store(to, &sum);
}


static void
ngx_helix_base_sum(void *to, const void *from, const void *more, size_t n)
{
    size_t           i;
    uint64_t        *sum;
    const uint64_t  *a, *b;

    sum = to;
    a = from;
    b = more;

    for (i = 0; i < n; i++) {
        ngx_helix_set(&sum[i], ngx_helix_get(&a[i])
                               + (b ? ngx_helix_get(&b[i]) : 0));
    }
}


static void
ngx_helix_base_store(void *to, const void *from, size_t n)
{
    ngx_helix_base_sum(to, from, NULL, n);
}
