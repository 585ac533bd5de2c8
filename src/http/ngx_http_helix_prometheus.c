
#include "ngx_http_helix_metrics.h"


#define NGX_HTTP_HELIX_PROMETHEUS_LEN  262144


typedef struct {
    u_char                     *pos;
    u_char                     *last;
    ngx_http_helix_snapshot_t  *s;
    ngx_str_t                   zone;           /* zone="name" */
} ngx_http_helix_exposition_t;


typedef struct {
    const char                 *name;
    ngx_helix_hist_kind_t       which;
    const char                 *label;          /* strategy or kind */
    ngx_uint_t                  first;
    const char                 *help;
} ngx_http_helix_family_t;


static void ngx_http_helix_family(ngx_http_helix_exposition_t *e,
    const char *name, const char *type, const char *help);
static void ngx_http_helix_sample(ngx_http_helix_exposition_t *e,
    const char *name, const char *label, const char *value, uint64_t n);
static void ngx_http_helix_expose_scalars(ngx_http_helix_exposition_t *e);
static void ngx_http_helix_expose_books(ngx_http_helix_exposition_t *e);
static void ngx_http_helix_expose_levels(ngx_http_helix_exposition_t *e,
    const char *name);
static void ngx_http_helix_expose_causes(ngx_http_helix_exposition_t *e,
    const char *name, const char *label, const char *const *names,
    const uint64_t *values, const char *help);
static void ngx_http_helix_expose_waiting(ngx_http_helix_exposition_t *e);
static void ngx_http_helix_expose_hists(ngx_http_helix_exposition_t *e);
static void ngx_http_helix_expose_hist(ngx_http_helix_exposition_t *e,
    const ngx_http_helix_family_t *family, const char *value);


/* Upper edges of the classic buckets, in microseconds: a view of the finer
   histogram, each exact to one of its buckets. */

static const uint64_t  ngx_http_helix_edges[] = {
    100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000,
    500000, 1000000, 2500000, 5000000
};


static const ngx_http_helix_family_t  ngx_http_helix_families[] = {

    { "helix_job_duration_seconds", NGX_HELIX_HIST_TOTAL, "strategy",
      HELIX_INLINE,
      "Time from receiving a completed job to its result, by strategy." },

    { "helix_queue_duration_seconds", NGX_HELIX_HIST_QUEUE, "strategy",
      HELIX_SPAWN,
      "Time a completed job waited before it ran, by strategy." },

    { "helix_exec_duration_seconds", NGX_HELIX_HIST_EXEC, "kind", 0,
      "Time a completed job, or its whole batch, was computed, by kind." }
};


ngx_int_t
ngx_http_helix_send_prometheus(ngx_http_request_t *r,
    ngx_http_helix_snapshot_t *s)
{
    u_char                       *text;
    uint64_t                      started, taken;
    ngx_http_helix_exposition_t   e;

    started = ngx_helix_now();

    text = ngx_palloc(r->pool, NGX_HTTP_HELIX_PROMETHEUS_LEN);
    if (text == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    e.pos = text;
    e.last = text + NGX_HTTP_HELIX_PROMETHEUS_LEN;
    e.s = s;
    e.zone = s->hmcf->zone_name;

    ngx_http_helix_family(&e, "helix_build_info", "gauge",
                          "Versions of the module and of nginx; always 1.");

    e.pos = ngx_slprintf(e.pos, e.last,
                         "helix_build_info{version=\"" NGX_HTTP_HELIX_VERSION
                         "\",nginx_version=\"" NGINX_VERSION "\"} 1\n");

    ngx_http_helix_family(&e, "helix_zone_start_timestamp_seconds", "gauge",
                          "Unix time at which the counters of the zone "
                          "started from zero.");

    e.pos = ngx_slprintf(e.pos, e.last,
                         "helix_zone_start_timestamp_seconds{zone=\"%V\"} "
                         "%uL.%03uL\n",
                         &e.zone, s->since / 1000, s->since % 1000);

    ngx_http_helix_family(&e, "helix_workers", "gauge",
                          "Worker processes attached to the zone.");
    ngx_http_helix_sample(&e, "helix_workers", NULL, NULL, s->nworkers);

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

    taken = ngx_helix_now() - started;

    ngx_http_helix_family(&e, "helix_scrape_duration_seconds", "gauge",
                          "Time this exposition took to build.");

    e.pos = ngx_slprintf(e.pos, e.last,
                         "helix_scrape_duration_seconds{zone=\"%V\"} "
                         "%uL.%09uL\n", &e.zone, taken / 1000000000,
                         taken % 1000000000);

    if (e.pos == e.last) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_helix_send_body(r, NGX_HTTP_OK,
                                    "text/plain; version=0.0.4; "
                                    "charset=utf-8",
                                    text, e.pos - text);
}


static void
ngx_http_helix_family(ngx_http_helix_exposition_t *e, const char *name,
    const char *type, const char *help)
{
    e->pos = ngx_slprintf(e->pos, e->last,
                          "# HELP %s %s\n# TYPE %s %s\n",
                          name, help, name, type);
}


/* Kinds, strategies, reasons and codes are tokens: nothing to escape. */

static void
ngx_http_helix_sample(ngx_http_helix_exposition_t *e, const char *name,
    const char *label, const char *value, uint64_t n)
{
    e->pos = ngx_slprintf(e->pos, e->last, "%s{zone=\"%V\"", name, &e->zone);

    if (label) {
        e->pos = ngx_slprintf(e->pos, e->last, ",%s=\"%s\"", label, value);
    }

    e->pos = ngx_slprintf(e->pos, e->last, "} %uL\n", n);
}


static void
ngx_http_helix_expose_scalars(ngx_http_helix_exposition_t *e)
{
    size_t                          n;
    char                            number[32];
    const char                     *family;
    const ngx_http_helix_scalar_t  *scalar;

    family = "";

    for (scalar = ngx_http_helix_scalars; scalar->name; scalar++) {

        if (scalar->prometheus == NULL) {
            continue;
        }

        if (ngx_strcmp(scalar->prometheus, family) != 0) {
            family = scalar->prometheus;
            ngx_http_helix_family(e, family,
                                  scalar->counter ? "counter" : "gauge",
                                  scalar->help);
        }

        e->pos = ngx_slprintf(e->pos, e->last, "%s{zone=\"%V\"%s%s} ",
                              family, &e->zone, scalar->label ? "," : "",
                              scalar->label ? scalar->label : "");

        if (scalar->ratio) {
            n = helix_number_print(ngx_http_helix_scalar_ratio(scalar, e->s),
                                   number);
            e->pos = ngx_slprintf(e->pos, e->last, "%*s\n", n, number);

        } else {
            e->pos = ngx_slprintf(e->pos, e->last, "%uL\n",
                                  ngx_http_helix_scalar_u64(scalar, e->s));
        }
    }
}


/* What every lane counts is exposed by strategy, the rest by kind: sums, not
   products, so that the number of series stays small. */

static void
ngx_http_helix_expose_books(ngx_http_helix_exposition_t *e)
{
    u_char                          name[64];
    ngx_uint_t                      i, by_lane, n;
    ngx_http_helix_books_t          books;
    const ngx_http_helix_metric_t  *metric;

    for (metric = ngx_http_helix_metrics; metric->name; metric++) {

        by_lane = metric->scopes & NGX_HTTP_HELIX_BY_LANE;

        *ngx_snprintf(name, sizeof(name) - 1, "helix_%s_%s", metric->name,
                      metric->gauge ? "jobs" : "total") = '\0';

        ngx_http_helix_family(e, (char *) name,
                              metric->gauge ? "gauge" : "counter",
                              metric->help);

        if (metric->scopes & NGX_HTTP_HELIX_BY_LEVEL) {
            ngx_http_helix_expose_levels(e, (char *) name);
            continue;
        }

        n = by_lane ? NGX_HELIX_LANES : ngx_helix_zone_kinds(e->s->zone);

        for (i = 0; i < n; i++) {

            if (by_lane) {
                ngx_http_helix_books_lane(&e->s->counts, i, &books);

            } else {
                ngx_http_helix_books_kind(&e->s->counts, i, &books);
            }

            ngx_http_helix_sample(e, (char *) name,
                                  by_lane ? "strategy" : "kind",
                                  by_lane ? helix_strategy_names[i]
                                  : ngx_helix_zone_kind_name(e->s->zone, i),
                                  ngx_http_helix_metric_value(metric, &books));
        }

        if (!by_lane) {
            ngx_http_helix_books_kind(&e->s->counts, NGX_HELIX_NO_KIND,
                                      &books);
            ngx_http_helix_sample(e, (char *) name, "kind", "unknown",
                                  ngx_http_helix_metric_value(metric, &books));
        }
    }
}


static void
ngx_http_helix_expose_levels(ngx_http_helix_exposition_t *e, const char *name)
{
    ngx_uint_t   kind, level;
    const char  *text;

    for (kind = 0; kind < ngx_helix_zone_kinds(e->s->zone); kind++) {
        for (level = 0; level < NGX_HELIX_LEVELS; level++) {

            text = ngx_http_helix_level_name(e->s->hmcf, kind, level);

            if (text) {
                e->pos = ngx_slprintf(e->pos, e->last,
                         "%s{zone=\"%V\",kind=\"%s\",level=\"%s\"} %uL\n",
                         name, &e->zone,
                         ngx_helix_zone_kind_name(e->s->zone, kind), text,
                         e->s->counts.kinds[kind].approximated[level]);
            }
        }
    }
}


static void
ngx_http_helix_expose_causes(ngx_http_helix_exposition_t *e, const char *name,
    const char *label, const char *const *names, const uint64_t *values,
    const char *help)
{
    ngx_uint_t  i;

    ngx_http_helix_family(e, name, "counter", help);

    for (i = 0; names[i]; i++) {

        /* of no dropped job, or of one that is not counted */

        if (names[i] == helix_reason_names[HELIX_NO_SLOT]
            || names[i] == helix_reason_names[HELIX_EXPLORED]
            || names[i] == helix_reason_names[HELIX_COALESCED])
        {
            continue;
        }

        ngx_http_helix_sample(e, name, label, names[i], values[i]);
    }
}


static void
ngx_http_helix_expose_waiting(ngx_http_helix_exposition_t *e)
{
    ngx_uint_t  lane;

    ngx_http_helix_family(e, "helix_waiting_jobs", "gauge",
                          "Jobs that wait to run, by strategy.");

    for (lane = HELIX_SPAWN; lane < NGX_HELIX_LANES; lane++) {
        ngx_http_helix_sample(e, "helix_waiting_jobs", "strategy",
                              helix_strategy_names[lane],
                              ngx_helix_waiting(e->s->zone, lane));
    }

    ngx_http_helix_family(e, "helix_waiting_limit_jobs", "gauge",
                          "Jobs that may wait, the same for each strategy.");
    ngx_http_helix_sample(e, "helix_waiting_limit_jobs", NULL, NULL,
                          e->s->hmcf->settings.queue);
}


static void
ngx_http_helix_expose_hists(ngx_http_helix_exposition_t *e)
{
    ngx_uint_t                      i, f, n;
    const char                     *value;
    const ngx_http_helix_family_t  *family;

    for (f = 0; f < sizeof(ngx_http_helix_families)
                    / sizeof(ngx_http_helix_family_t); f++)
    {
        family = &ngx_http_helix_families[f];

        ngx_http_helix_family(e, family->name, "histogram", family->help);

        n = (family->which == NGX_HELIX_HIST_EXEC)
            ? ngx_helix_zone_kinds(e->s->zone) : NGX_HELIX_LANES;

        for (i = family->first; i < n; i++) {
            value = (family->which == NGX_HELIX_HIST_EXEC)
                    ? ngx_helix_zone_kind_name(e->s->zone, i)
                    : helix_strategy_names[i];

            (void) ngx_http_helix_snapshot_hist(e->s, family->which, i);

            ngx_http_helix_expose_hist(e, family, value);
        }
    }
}


static void
ngx_http_helix_expose_hist(ngx_http_helix_exposition_t *e,
    const ngx_http_helix_family_t *family, const char *value)
{
    uint64_t       n;
    ngx_uint_t     i, edge, last;
    helix_hist_t  *hist;

    hist = &e->s->hist;
    n = 0;
    i = 0;

    for (edge = 0; edge < sizeof(ngx_http_helix_edges) / sizeof(uint64_t);
         edge++)
    {
        last = helix_hist_index(ngx_http_helix_edges[edge] * 1000);

        for ( /* void */ ; i <= last; i++) {
            n += hist->buckets[i];
        }

        e->pos = ngx_slprintf(e->pos, e->last,
                              "%s_bucket{zone=\"%V\",%s=\"%s\","
                              "le=\"%uL.%06uL\"} %uL\n",
                              family->name, &e->zone, family->label, value,
                              ngx_http_helix_edges[edge] / 1000000,
                              ngx_http_helix_edges[edge] % 1000000, n);
    }

    e->pos = ngx_slprintf(e->pos, e->last,
                          "%s_bucket{zone=\"%V\",%s=\"%s\",le=\"+Inf\"} %uL\n"
                          "%s_sum{zone=\"%V\",%s=\"%s\"} %uL.%09uL\n"
                          "%s_count{zone=\"%V\",%s=\"%s\"} %uL\n",
                          family->name, &e->zone, family->label, value,
                          hist->count,
                          family->name, &e->zone, family->label, value,
                          hist->sum / 1000000000, hist->sum % 1000000000,
                          family->name, &e->zone, family->label, value,
                          hist->count);
}
