
#include "ngx_http_helix_exposition.h"


typedef struct {
    const char                 *name;
    ngx_helix_hist_kind_t       which;
    const char                 *label;          /* strategy or kind */
    ngx_uint_t                  first;
    const char                 *help;
} ngx_http_helix_hist_family_t;


static void ngx_http_helix_expose_zone(ngx_http_helix_exposition_t *e);
static void ngx_http_helix_expose_scalars(ngx_http_helix_exposition_t *e);
static void ngx_http_helix_expose_books(ngx_http_helix_exposition_t *e);
static void ngx_http_helix_expose_book(ngx_http_helix_exposition_t *e,
    const ngx_http_helix_metric_t *metric);
static void ngx_http_helix_expose_levels(ngx_http_helix_exposition_t *e);
static void ngx_http_helix_expose_causes(ngx_http_helix_exposition_t *e,
    const char *name, const char *label, const char *const *names,
    const uint64_t *values, const char *help);
static void ngx_http_helix_expose_waiting(ngx_http_helix_exposition_t *e);
static void ngx_http_helix_expose_hists(ngx_http_helix_exposition_t *e);
static void ngx_http_helix_expose_hist(ngx_http_helix_exposition_t *e,
    const ngx_http_helix_hist_family_t *family, ngx_uint_t index);
static void ngx_http_helix_expose_range(ngx_http_helix_exposition_t *e);
static void ngx_http_helix_expose_window(ngx_http_helix_exposition_t *e);
static void ngx_http_helix_expose_end(ngx_http_helix_exposition_t *e,
    uint64_t started);


static const ngx_http_helix_hist_family_t  ngx_http_helix_families[] = {

    { "helix_job_duration_seconds", NGX_HELIX_HIST_TOTAL, "strategy",
      HELIX_INLINE,
      "Time from receiving a completed job to its result, by strategy." },

    { "helix_queue_duration_seconds", NGX_HELIX_HIST_QUEUE, "strategy",
      HELIX_SPAWN,
      "Time a completed job waited before it ran, by strategy." },

    { "helix_exec_duration_seconds", NGX_HELIX_HIST_EXEC, "kind", 0,
      "Time a completed job, or its whole batch, was computed, by kind." }
};


static const char  ngx_http_helix_text_type[] =
    "text/plain; version=0.0.4; charset=utf-8";

static const char  ngx_http_helix_openmetrics_type[] =
    "application/openmetrics-text; version=1.0.0; charset=utf-8";


ngx_int_t
ngx_http_helix_send_prometheus(ngx_http_request_t *r,
    ngx_http_helix_snapshot_t *s)
{
    uint64_t                      started;
    ngx_http_helix_exposition_t   e;

    started = ngx_helix_now();

    if (ngx_http_helix_exposition_init(r, &e, s) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_helix_expose_zone(&e);
    ngx_http_helix_expose_scalars(&e);
    ngx_http_helix_expose_books(&e);

    /* the reasons before it are never those of a drop */

    ngx_http_helix_expose_causes(&e, "helix_drop_reasons_total", "reason",
                                 &helix_reason_names[HELIX_PRESSURE],
                                 &s->counts.dropped[HELIX_PRESSURE],
                                 "Jobs refused by the decision, by reason.");
    ngx_http_helix_expose_causes(&e, "helix_invalid_codes_total", "code",
                                 ngx_helix_invalid_names, s->counts.invalid,
                                 "Requests refused before a decision, by code "
                                 "of the problem.");
    ngx_http_helix_expose_causes(&e, "helix_batches_total", "flush",
                                 helix_flush_names, s->counts.flushes,
                                 "Batches, by why they were not larger.");
    ngx_http_helix_expose_waiting(&e);
    ngx_http_helix_expose_hists(&e);
    ngx_http_helix_expose_range(&e);
    ngx_http_helix_expose_window(&e);
    ngx_http_helix_expose_end(&e, started);

    if (e.overflow) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_helix_send_body(r, NGX_HTTP_OK,
                                    e.openmetrics
                                    ? ngx_http_helix_openmetrics_type
                                    : ngx_http_helix_text_type,
                                    e.start, e.pos - e.start);
}


static void
ngx_http_helix_expose_zone(ngx_http_helix_exposition_t *e)
{
    uint64_t    draining;
    ngx_uint_t  i;

    (void) ngx_http_helix_family(e, "helix_build_info", "gauge",
                                 "Versions of the module and of nginx; always "
                                 "1.");
    ngx_http_helix_put_text(e, "helix_build_info{version=\""
                               NGX_HTTP_HELIX_VERSION "\",nginx_version=\""
                               NGINX_VERSION "\"} 1\n");

    (void) ngx_http_helix_family(e, "helix_zone_start_timestamp_seconds",
                                 "gauge",
                                 "Unix time at which the counters of the zone "
                                 "started from zero.");
    ngx_http_helix_begin(e, NULL, NULL, NULL, NULL, NULL);
    ngx_http_helix_put_fixed(e, e->s->since, 3);
    ngx_http_helix_put(e, "\n", 1);

    (void) ngx_http_helix_family(e, "helix_state_saved_timestamp_seconds",
                                 "gauge",
                                 "Unix time at which the state file was saved; "
                                 "0: not yet.");
    ngx_http_helix_begin(e, NULL, NULL, NULL, NULL, NULL);
    ngx_http_helix_put_fixed(e, e->s->saved, 3);
    ngx_http_helix_put(e, "\n", 1);

    draining = 0;

    for (i = 0; i < e->s->nworkers; i++) {
        draining += e->s->workers[i].draining;
    }

    (void) ngx_http_helix_family(e, "helix_workers", "gauge",
                                 "Worker processes attached to the zone, by "
                                 "state.");
    ngx_http_helix_sample(e, "state", "active", e->s->nworkers - draining);
    ngx_http_helix_sample(e, "state", "draining", draining);
}


static void
ngx_http_helix_expose_scalars(ngx_http_helix_exposition_t *e)
{
    const char                     *family;
    const ngx_http_helix_scalar_t  *scalar;

    family = "";

    for (scalar = ngx_http_helix_scalars; scalar->name; scalar++) {

        if (scalar->prometheus == NULL) {
            continue;
        }

        if (ngx_strcmp(scalar->prometheus, family) != 0) {
            family = scalar->prometheus;
            (void) ngx_http_helix_family(e, family,
                                         scalar->counter ? "counter" : "gauge",
                                         scalar->help);
        }

        if (scalar->ratio) {
            ngx_http_helix_sample_ratio(e, scalar->label, scalar->value,
                                        ngx_http_helix_scalar_ratio(scalar,
                                                                    e->s));

        } else {
            ngx_http_helix_sample(e, scalar->label, scalar->value,
                                  ngx_http_helix_scalar_u64(scalar, e->s));
        }
    }
}


static void
ngx_http_helix_expose_books(ngx_http_helix_exposition_t *e)
{
    u_char                          name[64];
    const ngx_http_helix_metric_t  *metric;

    for (metric = ngx_http_helix_metrics; metric->name; metric++) {

        *ngx_snprintf(name, sizeof(name) - 1, "helix_%s_%s", metric->name,
                      metric->gauge ? "jobs" : "total") = '\0';

        if (!ngx_http_helix_family(e, (char *) name,
                                   metric->gauge ? "gauge" : "counter",
                                   metric->help))
        {
            continue;
        }

        if (metric->scopes & NGX_HTTP_HELIX_BY_LEVEL) {
            ngx_http_helix_expose_levels(e);

        } else {
            ngx_http_helix_expose_book(e, metric);
        }
    }
}


/* What every lane counts is exposed by strategy, the rest by kind: sums, not
   products, so that the number of series stays small. */

static void
ngx_http_helix_expose_book(ngx_http_helix_exposition_t *e,
    const ngx_http_helix_metric_t *metric)
{
    ngx_uint_t              i;
    ngx_http_helix_books_t  books;

    if (metric->scopes & NGX_HTTP_HELIX_BY_LANE) {

        for (i = 0; i < NGX_HELIX_LANES; i++) {
            ngx_http_helix_books_lane(&e->s->counts, i, &books);
            ngx_http_helix_sample(e, "strategy", helix_strategy_names[i],
                                  ngx_http_helix_metric_value(metric, &books));
        }

        return;
    }

    for (i = 0; i < ngx_helix_zone_kinds(e->s->zone); i++) {
        ngx_http_helix_books_kind(&e->s->counts, i, &books);
        ngx_http_helix_sample(e, "kind",
                              ngx_helix_zone_kind_name(e->s->zone, i),
                              ngx_http_helix_metric_value(metric, &books));
    }

    ngx_http_helix_books_kind(&e->s->counts, NGX_HELIX_NO_KIND, &books);
    ngx_http_helix_sample(e, "kind", "unknown",
                          ngx_http_helix_metric_value(metric, &books));
}


static void
ngx_http_helix_expose_levels(ngx_http_helix_exposition_t *e)
{
    ngx_uint_t   kind, level;
    const char  *text;

    for (kind = 0; kind < ngx_helix_zone_kinds(e->s->zone); kind++) {
        for (level = 0; level < NGX_HELIX_LEVELS; level++) {

            text = ngx_http_helix_level_name(e->s->hmcf, kind, level);

            if (text == NULL) {
                continue;
            }

            ngx_http_helix_begin(e, NULL, "kind",
                                 ngx_helix_zone_kind_name(e->s->zone, kind),
                                 "level", text);
            ngx_http_helix_put_u64(e,
                              e->s->counts.kinds[kind].approximated[level]);
            ngx_http_helix_put(e, "\n", 1);
        }
    }
}


static void
ngx_http_helix_expose_causes(ngx_http_helix_exposition_t *e, const char *name,
    const char *label, const char *const *names, const uint64_t *values,
    const char *help)
{
    ngx_uint_t  i;

    if (!ngx_http_helix_family(e, name, "counter", help)) {
        return;
    }

    for (i = 0; names[i]; i++) {

        /* of no dropped job, or of one that is not counted */

        if (names[i] == helix_reason_names[HELIX_NO_SLOT]
            || names[i] == helix_reason_names[HELIX_EXPLORED]
            || names[i] == helix_reason_names[HELIX_COALESCED])
        {
            continue;
        }

        ngx_http_helix_sample(e, label, names[i], values[i]);
    }
}


static void
ngx_http_helix_expose_waiting(ngx_http_helix_exposition_t *e)
{
    ngx_uint_t  lane;

    (void) ngx_http_helix_family(e, "helix_waiting_jobs", "gauge",
                                 "Jobs that wait to run, by strategy.");

    for (lane = HELIX_SPAWN; lane < NGX_HELIX_LANES; lane++) {
        ngx_http_helix_sample(e, "strategy", helix_strategy_names[lane],
                              ngx_helix_waiting(e->s->zone, lane));
    }

    (void) ngx_http_helix_family(e, "helix_waiting_limit_jobs", "gauge",
                                 "Jobs that may wait, the same for each "
                                 "strategy.");
    ngx_http_helix_sample(e, NULL, NULL, e->s->hmcf->settings.queue);
}


static void
ngx_http_helix_expose_hists(ngx_http_helix_exposition_t *e)
{
    ngx_uint_t                           i, f, n;
    const ngx_http_helix_hist_family_t  *family;

    for (f = 0; f < sizeof(ngx_http_helix_families)
                    / sizeof(ngx_http_helix_hist_family_t); f++)
    {
        family = &ngx_http_helix_families[f];

        if (!ngx_http_helix_family(e, family->name,
                                   e->sums_only ? "summary" : "histogram",
                                   family->help))
        {
            continue;
        }

        n = (family->which == NGX_HELIX_HIST_EXEC)
            ? ngx_helix_zone_kinds(e->s->zone) : NGX_HELIX_LANES;

        for (i = family->first; i < n; i++) {
            ngx_http_helix_expose_hist(e, family, i);
        }
    }
}


/* Without buckets it is a summary without quantiles. */

static void
ngx_http_helix_expose_hist(ngx_http_helix_exposition_t *e,
    const ngx_http_helix_hist_family_t *family, ngx_uint_t index)
{
    uint32_t       last[NGX_HELIX_EDGES];
    uint64_t       counts[NGX_HELIX_EDGES];
    ngx_uint_t     edge;
    const char    *value;
    helix_hist_t  *hist;

    hist = ngx_http_helix_snapshot_hist(e->s, family->which, index);

    if (family->which == NGX_HELIX_HIST_TOTAL) {
        ngx_http_helix_latency_read(e->s, index);
    }

    value = (family->which == NGX_HELIX_HIST_EXEC)
            ? ngx_helix_zone_kind_name(e->s->zone, index)
            : helix_strategy_names[index];

    for (edge = 0; edge < NGX_HELIX_EDGES; edge++) {
        last[edge] = helix_hist_index(ngx_http_helix_edges[edge].ns);
    }

    helix_hist_cumulate(hist, last, counts, NGX_HELIX_EDGES);

    for (edge = 0; edge < NGX_HELIX_EDGES && !e->sums_only; edge++) {

        ngx_http_helix_begin(e, "_bucket", family->label, value, "le",
                             ngx_http_helix_edges[edge].le);
        ngx_http_helix_put_u64(e, counts[edge]);

        if (family->which == NGX_HELIX_HIST_TOTAL) {
            ngx_http_helix_put_exemplar(e, index, edge);
        }

        ngx_http_helix_put(e, "\n", 1);
    }

    ngx_http_helix_begin(e, "_sum", family->label, value, NULL, NULL);
    ngx_http_helix_put_fixed(e, hist->sum, 9);
    ngx_http_helix_put(e, "\n", 1);

    ngx_http_helix_begin(e, "_count", family->label, value, NULL, NULL);
    ngx_http_helix_put_u64(e, hist->count);
    ngx_http_helix_put(e, "\n", 1);
}


/* What histograms cannot tell Prometheus, of all jobs since the counters
   started from zero. */

static void
ngx_http_helix_expose_range(ngx_http_helix_exposition_t *e)
{
    uint64_t          ns;
    ngx_uint_t        i, lane;

    static const struct {
        const char   *family;
        const char   *name;
        const char   *help;
    } ranges[] = {

        { "helix_job_duration_min_seconds", "min",
          "Shortest time of a completed job, by strategy." },

        { "helix_job_duration_max_seconds", "max",
          "Longest time of a completed job, by strategy." },

        { "helix_job_duration_ema_seconds", "ema",
          "Moving average of the time of completed jobs, by strategy." }
    };

    for (lane = 0; e->names && lane < NGX_HELIX_LANES; lane++) {
        (void) ngx_http_helix_snapshot_hist(e->s, NGX_HELIX_HIST_TOTAL, lane);
        ngx_http_helix_latency_read(e->s, lane);
    }

    for (i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {

        if (!ngx_http_helix_family(e, ranges[i].family, "gauge",
                                   ranges[i].help))
        {
            continue;
        }

        for (lane = 0; lane < NGX_HELIX_LANES; lane++) {
            ns = ngx_http_helix_latency(e->s, lane, ranges[i].name);

            ngx_http_helix_begin(e, NULL, "strategy",
                                 helix_strategy_names[lane], NULL, NULL);
            ngx_http_helix_put_fixed(e, ns, 9);
            ngx_http_helix_put(e, "\n", 1);
        }
    }
}


static void
ngx_http_helix_expose_window(ngx_http_helix_exposition_t *e)
{
    ngx_uint_t               i, lane;

    static const char *const quantiles[] = { "0.5", "0.95", "0.99" };
    static const double      values[] = { 0.5, 0.95, 0.99 };

    if (!ngx_http_helix_family(e, "helix_job_duration_window_seconds",
                               "summary",
                               "Time of the jobs that completed in the last "
                               "60 seconds, by strategy."))
    {
        return;
    }

    for (lane = 0; lane < NGX_HELIX_LANES; lane++) {
        (void) ngx_http_helix_snapshot_window(e->s, lane);

        for (i = 0; i < 3; i++) {
            ngx_http_helix_begin(e, NULL, "strategy",
                                 helix_strategy_names[lane], "quantile",
                                 quantiles[i]);

            if (e->s->window.count) {
                ngx_http_helix_put_fixed(e, (uint64_t)
                                         helix_hist_quantile(&e->s->window,
                                                             values[i]), 9);

            } else {
                ngx_http_helix_put_text(e, "NaN");
            }

            ngx_http_helix_put(e, "\n", 1);
        }
    }
}


static void
ngx_http_helix_expose_end(ngx_http_helix_exposition_t *e, uint64_t started)
{
    (void) ngx_http_helix_family(e, "helix_scrape_duration_seconds", "gauge",
                                 "Time this exposition took to build.");

    ngx_http_helix_begin(e, NULL, NULL, NULL, NULL, NULL);
    ngx_http_helix_put_fixed(e, ngx_helix_now() - started, 9);
    ngx_http_helix_put(e, "\n", 1);

    e->skip = 0;

    if (e->openmetrics) {
        ngx_http_helix_put_text(e, "# EOF\n");

    } else if (e->pos == e->start) {
        ngx_http_helix_put(e, "\n", 1);
    }
}
