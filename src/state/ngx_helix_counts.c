
#include "ngx_helix_layout.h"


static void ngx_helix_counts_sum(ngx_helix_kind_counts_t *sum,
    ngx_helix_kind_counts_t *part);


const char *const  ngx_helix_end_names[NGX_HELIX_ENDS + 1] = {
    "completed", "failed", "expired", "cancelled", "shed", "lost", NULL
};


const char *const  ngx_helix_invalid_names[NGX_HELIX_INVALIDS + 1] = {
    "BadJson", "BadField", "UnknownKind", "TooLarge", "MediaType", NULL
};


void
ngx_helix_count_invalid(ngx_helix_slot_t *slot, ngx_uint_t kind,
    ngx_helix_invalid_t code)
{
    ngx_helix_add(&slot->counts.invalid[code], 1);
    ngx_helix_add(&slot->counts.kinds[kind].invalid, 1);
}


void
ngx_helix_count_dropped(ngx_helix_slot_t *slot, ngx_uint_t kind,
    helix_reason_t reason)
{
    ngx_helix_add(&slot->counts.dropped[reason], 1);
    ngx_helix_add(&slot->counts.kinds[kind].dropped, 1);
}


void
ngx_helix_count_flush(ngx_helix_slot_t *slot, helix_flush_t reason,
    ngx_uint_t jobs)
{
    ngx_helix_add(&slot->counts.flushes[reason], 1);
    ngx_helix_add(&slot->counts.batched, jobs);
}


void
ngx_helix_count_dry_run(ngx_helix_slot_t *slot)
{
    ngx_helix_add(&slot->counts.dry_run, 1);
}


void
ngx_helix_count_admitted(ngx_helix_slot_t *slot, ngx_uint_t kind,
    helix_strategy_t lane)
{
    ngx_helix_add(&slot->counts.kinds[kind].lanes[lane].admitted, 1);
}


void
ngx_helix_count_ended(ngx_helix_slot_t *slot, ngx_uint_t kind,
    helix_strategy_t lane, ngx_helix_end_t end, ngx_uint_t late)
{
    ngx_helix_lane_counts_t  *counts;

    counts = &slot->counts.kinds[kind].lanes[lane];

    if (late) {
        ngx_helix_add(&counts->late, 1);
    }

    ngx_helix_add(&counts->ended[end], 1);
}


void
ngx_helix_count_approximated(ngx_helix_slot_t *slot, ngx_uint_t kind,
    ngx_uint_t level)
{
    ngx_helix_add(&slot->counts.kinds[kind].approximated[level], 1);
}


void
ngx_helix_count_coalesced(ngx_helix_slot_t *slot, ngx_uint_t kind)
{
    ngx_helix_add(&slot->counts.kinds[kind].coalesced, 1);
}


void
ngx_helix_count_decision(ngx_helix_slot_t *slot, uint64_t ns)
{
    ngx_helix_add(&slot->counts.deciding, ns);
}


void
ngx_helix_count_loop(ngx_helix_slot_t *slot, uint64_t ns)
{
    ngx_helix_add(&slot->counts.loop, ns);
}


void
ngx_helix_count_latency(ngx_helix_slot_t *slot, helix_strategy_t lane,
    double alpha, uint64_t now, uint64_t total)
{
    helix_ema_record(&slot->latency[lane], alpha, now, (double) total);
}


void
ngx_helix_count_times(ngx_helix_slot_t *slot, ngx_uint_t kind,
    helix_strategy_t lane, uint64_t queue, uint64_t exec, uint64_t total)
{
    helix_hist_add(&slot->total[lane], total);
    helix_hist_add(&slot->queue[lane], queue);
    helix_hist_add(&slot->exec[kind], exec);
}


void
ngx_helix_count_exec(ngx_helix_slot_t *slot, helix_strategy_t lane,
    uint64_t ns)
{
    uint64_t  mean;

    mean = slot->mean_exec[lane];
    mean = (mean == 0) ? ns : mean - mean / 16 + ns / 16;

    ngx_helix_set(&slot->mean_exec[lane], ngx_max(mean, 1));
}


helix_pressure_t *
ngx_helix_slot_pressure(ngx_helix_slot_t *slot)
{
    return &slot->pressure;
}


helix_report_t *
ngx_helix_slot_report(ngx_helix_slot_t *slot)
{
    return &slot->report;
}


uint64_t
ngx_helix_lane_in_flight(const ngx_helix_lane_counts_t *lane)
{
    uint64_t    ended;
    ngx_uint_t  i;

    ended = 0;

    for (i = 0; i < NGX_HELIX_ENDS; i++) {
        ended += __atomic_load_n(&lane->ended[i], __ATOMIC_ACQUIRE);
    }

    return __atomic_load_n(&lane->admitted, __ATOMIC_ACQUIRE) - ended;
}


uint64_t
ngx_helix_counts_fold(ngx_helix_slot_t *slot)
{
    uint64_t                  n, lost;
    ngx_uint_t                k, l;
    ngx_helix_lane_counts_t  *lane;

    lost = 0;

    for (k = 0; k < NGX_HELIX_KINDS; k++) {
        for (l = 0; l < NGX_HELIX_LANES; l++) {
            lane = &slot->counts.kinds[k].lanes[l];

            n = ngx_helix_lane_in_flight(lane);
            ngx_helix_add(&lane->ended[NGX_HELIX_LOST], n);

            lost += n;
        }
    }

    for (l = 0; l < NGX_HELIX_LANES; l++) {
        ngx_helix_set(&slot->waiting[l], 0);
    }

    ngx_helix_set(&slot->memory, 0);
    ngx_helix_set(&slot->sleepers, 0);
    ngx_helix_set(&slot->streams, 0);
    ngx_helix_set(&slot->report.head, 0);
    ngx_memzero(&slot->report.backlog, sizeof(helix_backlog_t));

    return lost;
}


void
ngx_helix_zone_raw_totals(ngx_helix_zone_t *zone, ngx_helix_counts_t *sum)
{
    ngx_uint_t  i, nkinds;

    ngx_memzero(sum, sizeof(ngx_helix_counts_t));

    nkinds = ngx_helix_zone_kinds(zone);

    for (i = 0; i < NGX_HELIX_SLOTS; i++) {
        if (ngx_helix_get(&zone->slots[i].used)) {
            ngx_helix_counts_add(sum, &zone->slots[i], nkinds);
        }
    }
}


void
ngx_helix_counts_add(ngx_helix_counts_t *sum, ngx_helix_slot_t *slot,
    ngx_uint_t nkinds)
{
    ngx_uint_t           i;
    ngx_helix_counts_t  *counts;

    counts = &slot->counts;

    for (i = 0; i < nkinds; i++) {
        ngx_helix_counts_sum(&sum->kinds[i], &counts->kinds[i]);
    }

    ngx_helix_counts_sum(&sum->kinds[NGX_HELIX_NO_KIND],
                         &counts->kinds[NGX_HELIX_NO_KIND]);

    sum->dry_run += ngx_helix_get(&counts->dry_run);
    sum->batched += ngx_helix_get(&counts->batched);
    sum->deciding += ngx_helix_get(&counts->deciding);
    sum->loop += ngx_helix_get(&counts->loop);

    for (i = 0; i < HELIX_FLUSHES; i++) {
        sum->flushes[i] += ngx_helix_get(&counts->flushes[i]);
    }

    for (i = 0; i < HELIX_REASONS; i++) {
        sum->dropped[i] += ngx_helix_get(&counts->dropped[i]);
    }

    for (i = 0; i < NGX_HELIX_INVALIDS; i++) {
        sum->invalid[i] += ngx_helix_get(&counts->invalid[i]);
    }
}


static void
ngx_helix_counts_sum(ngx_helix_kind_counts_t *sum,
    ngx_helix_kind_counts_t *part)
{
    ngx_uint_t                e, l;
    ngx_helix_lane_counts_t  *from, *to;

    for (l = 0; l < NGX_HELIX_LANES; l++) {
        from = &part->lanes[l];
        to = &sum->lanes[l];

        for (e = 0; e < NGX_HELIX_ENDS; e++) {
            to->ended[e] += __atomic_load_n(&from->ended[e], __ATOMIC_ACQUIRE);
        }

        to->late += ngx_helix_get(&from->late);
        to->admitted += __atomic_load_n(&from->admitted, __ATOMIC_ACQUIRE);
    }

    for (l = 0; l < NGX_HELIX_LEVELS; l++) {
        sum->approximated[l] += ngx_helix_get(&part->approximated[l]);
    }

    sum->coalesced += ngx_helix_get(&part->coalesced);
    sum->invalid += __atomic_load_n(&part->invalid, __ATOMIC_ACQUIRE);
    sum->dropped += __atomic_load_n(&part->dropped, __ATOMIC_ACQUIRE);
}


ngx_uint_t
ngx_helix_zone_reports(ngx_helix_zone_t *zone, const helix_report_t **reports,
    bool *alive)
{
    ngx_uint_t         i;
    ngx_helix_slot_t  *slot;

    for (i = 0; i < NGX_HELIX_SLOTS; i++) {
        slot = &zone->slots[i];

        if (!ngx_helix_get(&slot->used)) {
            break;
        }

        reports[i] = &slot->report;
        alive[i] = (ngx_helix_get(&slot->owner) != 0);
    }

    if (__atomic_load_n(&zone->keep.learned, __ATOMIC_ACQUIRE)) {
        reports[i] = &zone->keep.report;
        alive[i++] = 0;
    }

    return i;
}


void
ngx_helix_zone_raw_hist(ngx_helix_zone_t *zone, ngx_helix_hist_kind_t which,
    ngx_uint_t index, helix_hist_t *sum)
{
    ngx_uint_t         i;
    helix_hist_t      *hist;
    ngx_helix_slot_t  *slot;

    for (i = 0; i < NGX_HELIX_SLOTS; i++) {
        slot = &zone->slots[i];

        if (!ngx_helix_get(&slot->used)) {
            continue;
        }

        switch (which) {
        case NGX_HELIX_HIST_TOTAL:
            hist = &slot->total[index];
            break;
        case NGX_HELIX_HIST_QUEUE:
            hist = &slot->queue[index];
            break;
        default: /* NGX_HELIX_HIST_EXEC */
            hist = &slot->exec[index];
        }

        helix_hist_merge(sum, hist);
    }
}


void
ngx_helix_zone_pressure(ngx_helix_zone_t *zone, uint64_t now,
    helix_pressure_t *sum)
{
    ngx_uint_t         i;
    ngx_helix_slot_t  *slot;

    ngx_memzero(sum, sizeof(helix_pressure_t));

    for (i = 0; i < NGX_HELIX_SLOTS; i++) {
        slot = &zone->slots[i];

        if (ngx_helix_get(&slot->used)) {
            helix_pressure_merge(sum, &slot->pressure, now);
        }
    }
}


double
ngx_helix_zone_latency(ngx_helix_zone_t *zone, helix_strategy_t lane)
{
    ngx_uint_t         i;
    helix_ema_t        sum;
    ngx_helix_slot_t  *slot;

    ngx_memzero(&sum, sizeof(helix_ema_t));

    for (i = 0; i < NGX_HELIX_SLOTS; i++) {
        slot = &zone->slots[i];

        if (ngx_helix_get(&slot->used)) {
            helix_ema_merge(&sum, &slot->latency[lane]);
        }
    }

    return sum.value;
}


uint64_t
ngx_helix_zone_mean_exec(ngx_helix_zone_t *zone, helix_strategy_t lane)
{
    uint64_t           n, mean, sum;
    ngx_uint_t         i;
    ngx_helix_slot_t  *slot;

    n = 0;
    sum = 0;

    for (i = 0; i < NGX_HELIX_SLOTS; i++) {
        slot = &zone->slots[i];

        if (!ngx_helix_get(&slot->used)) {
            break;
        }

        mean = ngx_helix_get(&slot->mean_exec[lane]);

        if (mean && ngx_helix_get(&slot->owner)) {
            sum += mean;
            n++;
        }
    }

    return n ? sum / n : 0;
}


ngx_uint_t
ngx_helix_zone_workers(ngx_helix_zone_t *zone)
{
    ngx_uint_t  i, n;

    n = 0;

    for (i = 0; i < NGX_HELIX_SLOTS; i++) {
        n += (ngx_helix_get(&zone->slots[i].owner) != 0);
    }

    return n;
}
