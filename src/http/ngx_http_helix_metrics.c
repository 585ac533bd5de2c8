
#include "ngx_http_helix_metrics.h"


#define ngx_http_helix_books(field)  offsetof(ngx_http_helix_books_t, field)
#define ngx_http_helix_snapshot(field)                                        \
    offsetof(ngx_http_helix_snapshot_t, field)
#define ngx_http_helix_end(end)                                               \
    (offsetof(ngx_http_helix_books_t, ended) + (end) * sizeof(uint64_t))


static void ngx_http_helix_books_add(ngx_http_helix_books_t *books,
    const ngx_helix_lane_counts_t *lane);


const ngx_http_helix_metric_t  ngx_http_helix_metrics[] = {

    { "received", NGX_HTTP_HELIX_TOTAL|NGX_HTTP_HELIX_BY_KIND,
      ngx_http_helix_books(received), 0,
      "Job requests read completely: invalid, dropped and admitted." },

    { "invalid", NGX_HTTP_HELIX_TOTAL|NGX_HTTP_HELIX_BY_KIND,
      ngx_http_helix_books(invalid), 0,
      "Requests refused before a decision, with a 4xx status." },

    { "dropped", NGX_HTTP_HELIX_TOTAL|NGX_HTTP_HELIX_BY_KIND,
      ngx_http_helix_books(dropped), 0,
      "Jobs refused by the decision; nothing was executed." },

    { "admitted", NGX_HTTP_HELIX_ALL,
      ngx_http_helix_books(admitted), 0,
      "Jobs accepted to run." },

    { "completed", NGX_HTTP_HELIX_ALL,
      ngx_http_helix_end(NGX_HELIX_COMPLETED), 0,
      "Admitted jobs that returned a result." },

    { "failed", NGX_HTTP_HELIX_ALL,
      ngx_http_helix_end(NGX_HELIX_FAILED), 0,
      "Admitted jobs whose kernel could not compute a result." },

    { "expired", NGX_HTTP_HELIX_ALL,
      ngx_http_helix_end(NGX_HELIX_EXPIRED), 0,
      "Admitted jobs without a result when helix_timeout passed." },

    { "cancelled", NGX_HTTP_HELIX_ALL,
      ngx_http_helix_end(NGX_HELIX_CANCELLED), 0,
      "Admitted jobs whose client left or whose worker was stopped." },

    { "shed", NGX_HTTP_HELIX_ALL,
      ngx_http_helix_end(NGX_HELIX_SHED), 0,
      "Admitted jobs refused before they ran." },

    { "lost", NGX_HTTP_HELIX_ALL,
      ngx_http_helix_end(NGX_HELIX_LOST), 0,
      "Admitted jobs of worker processes that died." },

    { "in_flight", NGX_HTTP_HELIX_ALL,
      ngx_http_helix_books(in_flight), 1,
      "Admitted jobs that have not ended." },

    { "late", NGX_HTTP_HELIX_ALL,
      ngx_http_helix_books(late), 0,
      "Completed jobs that took longer than their latency budget." },

    { "approximated", NGX_HTTP_HELIX_TOTAL|NGX_HTTP_HELIX_BY_KIND
                      |NGX_HTTP_HELIX_BY_LEVEL,
      ngx_http_helix_books(approximated), 0,
      "Completed jobs that were answered with less than the full answer." },

    { "coalesced", NGX_HTTP_HELIX_TOTAL|NGX_HTTP_HELIX_BY_KIND,
      ngx_http_helix_books(coalesced), 0,
      "Admitted jobs that waited for the same job of another request." },

    { NULL, 0, 0, 0, NULL }
};


const ngx_http_helix_scalar_t  ngx_http_helix_scalars[] = {

    { NULL, "uptime_secs", NULL, NULL, NULL, 0, 0,
      ngx_http_helix_snapshot(uptime),
      "Seconds since the zone was created." },

    { NULL, "epoch", NULL, NULL, NULL, 0, 0,
      ngx_http_helix_snapshot(epoch),
      "Unix time in milliseconds at which the zone was created." },

    { NULL, "generation", NULL, NULL, NULL, 0, 0,
      ngx_http_helix_snapshot(generation),
      "Configurations that have used the zone; a reload adds one." },

    { NULL, "crashes", "helix_worker_crashes_total", NULL, NULL, 0, 1,
      ngx_http_helix_snapshot(crashes),
      "Worker processes that died without leaving the zone." },

    { NULL, "dry_run", "helix_dry_run_total", NULL, NULL, 0, 1,
      ngx_http_helix_snapshot(counts.dry_run),
      "Jobs run although the policy would have dropped them." },

    { NULL, "zone_size", "helix_zone_size_bytes", NULL, NULL, 0, 0,
      ngx_http_helix_snapshot(zone_size),
      "Address space of the zone; pages never used take no memory." },

    { NULL, "zone_used", "helix_zone_used_bytes", NULL, NULL, 0, 0,
      ngx_http_helix_snapshot(zone_used),
      "Memory that pages of the zone take." },

    { NULL, "batched", "helix_batch_jobs_total", NULL, NULL, 0, 1,
      ngx_http_helix_snapshot(counts.batched),
      "Jobs that were run in batches." },

    { NULL, "decision_secs", "helix_decision_duration_seconds_total", NULL,
      NULL, 1, 1,
      ngx_http_helix_snapshot(deciding),
      "Time spent on decisions, from one in 64 of them." },

    { NULL, "loop_secs", "helix_loop_blocked_seconds_total", NULL, NULL, 1, 1,
      ngx_http_helix_snapshot(loop),
      "Time in which jobs were computed by event loops, of all workers." },

    { "state", "errors", "helix_state_errors_total", NULL, NULL, 0, 1,
      ngx_http_helix_snapshot(save_errors),
      "Failures to load or to save the state file." },

    { "config", "generation", "helix_config_generation", NULL, NULL, 0, 0,
      ngx_http_helix_snapshot(config_version),
      "Version of the settings in force; a reload adds one, and so does a"
      " change at run time." },

    { "config", "overrides", "helix_config_overrides", NULL, NULL, 0, 0,
      ngx_http_helix_snapshot(overrides),
      "Settings that differ from nginx.conf." },

    { "rate", "jobs_per_sec", NULL, NULL, NULL, 1, 0,
      ngx_http_helix_snapshot(recent.jobs_per_sec),
      "Jobs admitted a second, of late." },

    { "rate", "dropped_per_sec", NULL, NULL, NULL, 1, 0,
      ngx_http_helix_snapshot(recent.dropped_per_sec),
      "Jobs dropped a second, of late." },

    { "rate", "window_secs", NULL, NULL, NULL, 0, 0,
      ngx_http_helix_snapshot(recent.secs),
      "Seconds that the rates are of." },

    { "pressure", "value", "helix_pressure_ratio", NULL, NULL, 1, 0,
      ngx_http_helix_snapshot(pressure),
      "Pressure, from 0 to 1." },

    { "pressure", "occupancy", "helix_pressure_component_ratio",
      "component", "occupancy", 1, 0,
      ngx_http_helix_snapshot(averages.occupancy),
      "Averages that the pressure is made of, from 0 to 1." },

    { "pressure", "drops", "helix_pressure_component_ratio",
      "component", "drops", 1, 0,
      ngx_http_helix_snapshot(averages.drops), NULL },

    { "pressure", "latency", "helix_pressure_component_ratio",
      "component", "latency", 1, 0,
      ngx_http_helix_snapshot(averages.latency), NULL },

    { "pressure", "external", "helix_pressure_component_ratio",
      "component", "external", 1, 0,
      ngx_http_helix_snapshot(external), NULL },

    { "pool", "concurrency", "helix_pool_slots", NULL, NULL, 0, 0,
      ngx_http_helix_snapshot(concurrency),
      "Jobs and batches that may run at once on pool threads, host-wide." },

    { "pool", "busy", "helix_pool_busy_slots", NULL, NULL, 0, 0,
      ngx_http_helix_snapshot(busy),
      "Jobs and batches that run on pool threads now." },

    { "pool", "busy_limit", "helix_pool_busy_limit_slots", NULL, NULL, 0, 0,
      ngx_http_helix_snapshot(busy_limit),
      "Busy slots from which jobs are batched or dropped; 0: never." },

    { "pool", "memory_bytes", "helix_memory_bytes", NULL, NULL, 0, 0,
      ngx_http_helix_snapshot(memory),
      "Memory of admitted jobs, host-wide." },

    { "pool", "memory_limit_bytes", "helix_memory_limit_bytes",
      NULL, NULL, 0, 0,
      ngx_http_helix_snapshot(memory_limit),
      "Memory that admitted jobs may have, host-wide." },

    { "stream", "clients", "helix_stream_clients", NULL, NULL, 0, 0,
      ngx_http_helix_snapshot(streams),
      "Readers of the stream of decisions, of all workers." },

    { "stream", "missed", "helix_stream_missed_total", NULL, NULL, 0, 1,
      ngx_http_helix_snapshot(missed),
      "Records overwritten before a reader of the stream was told them." },

    { "thresholds", "inline", "helix_threshold_cost",
      "threshold", "inline", 0, 0,
      ngx_http_helix_snapshot(inline_threshold),
      "Cost thresholds in force." },

    { "thresholds", "spawn", "helix_threshold_cost",
      "threshold", "spawn", 0, 0,
      ngx_http_helix_snapshot(spawn_threshold), NULL },

    { "thresholds", "spawn_configured", "helix_threshold_cost",
      "threshold", "spawn_configured", 0, 0,
      ngx_http_helix_snapshot(spawn_configured), NULL },

    { "predictive", "capacity", "helix_capacity_cores", NULL, NULL, 1, 0,
      ngx_http_helix_snapshot(insight.capacity),
      "Processors that pool threads get for jobs." },

    { "predictive", "efficiency", "helix_cpu_efficiency_ratio",
      NULL, NULL, 1, 0,
      ngx_http_helix_snapshot(insight.efficiency),
      "Processor time by wall time of computing pool threads." },

    { "predictive", "demand", "helix_demand_ratio", NULL, NULL, 1, 0,
      ngx_http_helix_snapshot(insight.demand),
      "Work offered to the pool in the last 100 ms, dropped jobs included,"
      " by capacity." },

    { "predictive", "queued_secs", "helix_backlog_seconds", NULL, NULL, 1, 0,
      ngx_http_helix_snapshot(insight.queued),
      "Predicted processor time of the jobs that wait or run." },

    { "predictive", "margin", "helix_margin_deviations", NULL, NULL, 1, 0,
      ngx_http_helix_snapshot(insight.margin),
      "Standard deviations kept between prediction and deadline." },

    { "predictive", "waste", "helix_waste_ratio", NULL, NULL, 1, 0,
      ngx_http_helix_snapshot(insight.waste),
      "Share of the processor time of the last 100 ms that went into jobs"
      " that were late, expired or cancelled." },

    { "predictive", "loop_busy", "helix_loop_busy_ratio", NULL, NULL, 1, 0,
      ngx_http_helix_snapshot(insight.loop),
      "Share of time in which the event loop of a worker was busy in turns"
      " with jobs." },

    { "predictive", "lag_secs", "helix_lag_seconds", NULL, NULL, 1, 0,
      ngx_http_helix_snapshot(insight.lag),
      "Time from the end of a job on a thread to its answer, smoothed." },

    { "predictive", "inline_limit_secs", "helix_inline_limit_seconds",
      NULL, NULL, 1, 0,
      ngx_http_helix_snapshot(insight.limit),
      "Longest predicted time of a job that runs inline." },

    { "predictive", "drift", "helix_drift_ratio", NULL, NULL, 1, 0,
      ngx_http_helix_snapshot(insight.drift),
      "Factor of all service times against what was learned." },

    { "predictive", "calibration", "helix_calibration_ratio", NULL, NULL, 1, 0,
      ngx_http_helix_snapshot(insight.within),
      "Share of jobs that took at most their predicted 90th percentile;"
      " 0.9 is right." },

    { "predictive", "accuracy", "helix_accuracy_ratio", NULL, NULL, 1, 0,
      ngx_http_helix_snapshot(insight.accuracy),
      "Actual by predicted processor time of the jobs that ended." },

    { "predictive", "cpu_secs", "helix_cpu_seconds_total", NULL, NULL, 1, 1,
      ngx_http_helix_snapshot(insight.spent),
      "Processor time of ended jobs." },

    { "predictive", "wasted_secs", "helix_cpu_wasted_seconds_total",
      NULL, NULL, 1, 1,
      ngx_http_helix_snapshot(insight.wasted),
      "Processor time of jobs that were late, expired or cancelled." },

    { NULL, NULL, NULL, NULL, NULL, 0, 0, 0, NULL }
};


const ngx_http_helix_quantile_t
                     ngx_http_helix_quantiles[NGX_HTTP_HELIX_QUANTILES + 1] = {
    { "avg", 0 },
    { "min", 1e-300 },
    { "p50", 0.50 },
    { "p95", 0.95 },
    { "p99", 0.99 },
    { "max", 1 },
    { NULL, 0 }
};


void
ngx_http_helix_books_total(ngx_helix_counts_t *counts,
    ngx_http_helix_books_t *books)
{
    ngx_uint_t               i, e;
    ngx_http_helix_books_t   part;

    ngx_memzero(books, sizeof(ngx_http_helix_books_t));

    for (i = 0; i <= NGX_HELIX_NO_KIND; i++) {
        ngx_http_helix_books_kind(counts, i, &part);

        books->received += part.received;
        books->invalid += part.invalid;
        books->dropped += part.dropped;
        books->admitted += part.admitted;
        books->in_flight += part.in_flight;
        books->late += part.late;
        books->approximated += part.approximated;
        books->coalesced += part.coalesced;

        for (e = 0; e < NGX_HELIX_ENDS; e++) {
            books->ended[e] += part.ended[e];
        }
    }
}


void
ngx_http_helix_books_kind(ngx_helix_counts_t *counts, ngx_uint_t kind,
    ngx_http_helix_books_t *books)
{
    ngx_uint_t                lane, level;
    ngx_helix_kind_counts_t  *kc;

    ngx_memzero(books, sizeof(ngx_http_helix_books_t));

    kc = &counts->kinds[kind];

    books->invalid = kc->invalid;
    books->dropped = kc->dropped;
    books->coalesced = kc->coalesced;

    for (level = 0; level < NGX_HELIX_LEVELS; level++) {
        books->approximated += kc->approximated[level];
    }

    for (lane = 0; lane < NGX_HELIX_LANES; lane++) {
        ngx_http_helix_books_add(books, &kc->lanes[lane]);
    }

    books->received = books->invalid + books->dropped + books->admitted;
}


void
ngx_http_helix_books_lane(ngx_helix_counts_t *counts, ngx_uint_t lane,
    ngx_http_helix_books_t *books)
{
    ngx_uint_t  kind;

    ngx_memzero(books, sizeof(ngx_http_helix_books_t));

    /* also of kinds that an earlier configuration had: see the state file */

    for (kind = 0; kind <= NGX_HELIX_NO_KIND; kind++) {
        ngx_http_helix_books_add(books, &counts->kinds[kind].lanes[lane]);
    }
}


static void
ngx_http_helix_books_add(ngx_http_helix_books_t *books,
    const ngx_helix_lane_counts_t *lane)
{
    ngx_uint_t  e;

    books->admitted += lane->admitted;
    books->late += lane->late;
    books->in_flight += ngx_helix_lane_in_flight(lane);

    for (e = 0; e < NGX_HELIX_ENDS; e++) {
        books->ended[e] += lane->ended[e];
    }
}


const char *
ngx_http_helix_level_name(ngx_http_helix_main_conf_t *hmcf, ngx_uint_t kind,
    ngx_uint_t level)
{
    ngx_uint_t           i, n;
    const helix_kind_t  *source;

    for (i = 0; i < hmcf->nkinds; i++) {

        source = hmcf->kinds[i].kind;

        if (hmcf->kinds[i].index != kind) {
            continue;
        }

        if (level == 0) {
            return source->quality ? NGX_HTTP_HELIX_TRUNCATED : NULL;
        }

        for (n = 0; source->levels && source->levels[n]; n++) {
            if (n == level - 1) {
                return source->levels[n];
            }
        }
    }

    return NULL;
}


uint64_t
ngx_http_helix_metric_value(const ngx_http_helix_metric_t *metric,
    const ngx_http_helix_books_t *books)
{
    return *(const uint64_t *) ((const char *) books + metric->offset);
}


uint64_t
ngx_http_helix_scalar_u64(const ngx_http_helix_scalar_t *scalar,
    const ngx_http_helix_snapshot_t *s)
{
    return *(const uint64_t *) ((const char *) s + scalar->offset);
}


double
ngx_http_helix_scalar_ratio(const ngx_http_helix_scalar_t *scalar,
    const ngx_http_helix_snapshot_t *s)
{
    return *(const double *) ((const char *) s + scalar->offset);
}


uint64_t
ngx_http_helix_quantile_value(const ngx_http_helix_quantile_t *q,
    const helix_hist_t *hist)
{
    if (hist->count == 0) {
        return 0;
    }

    if (q->q == 0) {
        return hist->sum / hist->count;
    }

    return (uint64_t) helix_hist_quantile(hist, q->q);
}


void
ngx_http_helix_quantile_values(const helix_hist_t *hist, uint64_t *values)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_HELIX_QUANTILES; i++) {
        values[i] = ngx_http_helix_quantile_value(&ngx_http_helix_quantiles[i],
                                                  hist);
    }
}


void
ngx_http_helix_latency_read(ngx_http_helix_snapshot_t *s, ngx_uint_t lane)
{
    ngx_http_helix_latency_t  *latency;

    latency = &s->latencies[lane];

    latency->count = s->hist.count;
    latency->ema = s->hist.count
                   ? (uint64_t) ngx_helix_zone_latency(s->zone, lane) : 0;

    ngx_http_helix_quantile_values(&s->hist, latency->quantiles);
}


uint64_t
ngx_http_helix_latency(const ngx_http_helix_snapshot_t *s, ngx_uint_t lane,
    const char *name)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_HELIX_QUANTILES; i++) {
        if (ngx_strcmp(ngx_http_helix_quantiles[i].name, name) == 0) {
            return s->latencies[lane].quantiles[i];
        }
    }

    return s->latencies[lane].ema;
}
