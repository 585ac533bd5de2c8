
#include "ngx_http_helix_metrics.h"


#define NGX_HTTP_HELIX_STATS_LEN   32768
#define NGX_HTTP_HELIX_STATS_KIND  4096     /* of each kind, with its levels */


static void ngx_http_helix_stats_router(helix_json_writer_t *json,
    ngx_http_helix_snapshot_t *s);
static void ngx_http_helix_stats_sentences(helix_json_writer_t *json,
    ngx_http_helix_snapshot_t *s);
static void ngx_http_helix_stats_scalars(helix_json_writer_t *json,
    ngx_http_helix_snapshot_t *s);
static void ngx_http_helix_stats_state(helix_json_writer_t *json,
    ngx_http_helix_snapshot_t *s);
static void ngx_http_helix_stats_books(helix_json_writer_t *json,
    ngx_http_helix_books_t *books, ngx_uint_t scope);
static void ngx_http_helix_stats_lanes(helix_json_writer_t *json,
    ngx_http_helix_snapshot_t *s);
static void ngx_http_helix_stats_kinds(helix_json_writer_t *json,
    ngx_http_helix_snapshot_t *s);
static void ngx_http_helix_stats_levels(helix_json_writer_t *json,
    ngx_http_helix_snapshot_t *s, ngx_uint_t kind);
static void ngx_http_helix_stats_hist(helix_json_writer_t *json,
    ngx_http_helix_snapshot_t *s, const char *name,
    ngx_helix_hist_kind_t which, ngx_uint_t index);
static void ngx_http_helix_stats_window(helix_json_writer_t *json,
    ngx_http_helix_snapshot_t *s, ngx_uint_t lane);
static void ngx_http_helix_stats_workers(helix_json_writer_t *json,
    ngx_http_helix_snapshot_t *s);
static void ngx_http_helix_stats_named(helix_json_writer_t *json,
    const char *name, const char *const *names, const uint64_t *values);


ngx_int_t
ngx_http_helix_send_stats(ngx_http_request_t *r, ngx_http_helix_snapshot_t *s)
{
    u_char               *p, *last;
    size_t                size;
    helix_json_writer_t   json;

    size = ngx_http_helix_stats_size(s);

    p = ngx_palloc(r->pool, size);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    helix_json_writer_init(&json, (char *) p, size - 1);

    ngx_http_helix_write_stats(&json, s);

    last = (u_char *) json.pos;

    if (json.overflow || ngx_http_helix_stats_fields(r, p, &last) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    *last++ = '\n';

    return ngx_http_helix_send_body(r, NGX_HTTP_OK, "application/json", p,
                                    last - p);
}


size_t
ngx_http_helix_stats_size(ngx_http_helix_snapshot_t *s)
{
    return NGX_HTTP_HELIX_STATS_LEN
           + ngx_helix_zone_kinds(s->zone) * NGX_HTTP_HELIX_STATS_KIND;
}


void
ngx_http_helix_write_stats(helix_json_writer_t *json,
    ngx_http_helix_snapshot_t *s)
{
    helix_json_object(json);

    ngx_http_helix_stats_router(json, s);
    ngx_http_helix_stats_books(json, &s->total, NGX_HTTP_HELIX_TOTAL);
    ngx_http_helix_stats_named(json, "dropped_by_reason", helix_reason_names,
                               s->counts.dropped);
    ngx_http_helix_stats_named(json, "batches_by_flush", helix_flush_names,
                               s->counts.flushes);
    ngx_http_helix_stats_named(json, "invalid_by_code",
                               ngx_helix_invalid_names, s->counts.invalid);
    ngx_http_helix_stats_lanes(json, s);
    ngx_http_helix_stats_kinds(json, s);
    ngx_http_helix_stats_workers(json, s);
    ngx_http_helix_stats_ancestor(json, s);

    helix_json_object_end(json);
}


static void
ngx_http_helix_stats_router(helix_json_writer_t *json,
    ngx_http_helix_snapshot_t *s)
{
    helix_json_key(json, "api");
    helix_json_u64(json, 1);
    helix_json_key(json, "module");
    helix_json_cstring(json, NGX_HTTP_HELIX_VERSION);
    helix_json_key(json, "nginx");
    helix_json_cstring(json, NGINX_VERSION);
    helix_json_key(json, "zone");
    helix_json_string(json, (char *) s->hmcf->zone_name.data,
                      s->hmcf->zone_name.len);
    helix_json_key(json, "since");
    ngx_http_helix_write_time(json, s->since);
    helix_json_key(json, "policy");
    helix_json_cstring(json, ngx_http_helix_policy_name(s->hmcf));
    helix_json_key(json, "status");
    helix_json_cstring(json, ngx_http_helix_verdict(s));
    ngx_http_helix_stats_sentences(json, s);
    ngx_http_helix_stats_scalars(json, s);
}


static void
ngx_http_helix_stats_sentences(helix_json_writer_t *json,
    ngx_http_helix_snapshot_t *s)
{
    ngx_uint_t  i;

    ngx_http_helix_judge(s);

    helix_json_key(json, "verdict");
    helix_json_string(json, s->verdict.text, s->verdict.len);

    helix_json_key(json, "attention");
    helix_json_array(json);

    for (i = 0; i < s->nattention; i++) {
        helix_json_string(json, s->attention[i].text, s->attention[i].len);
    }

    helix_json_array_end(json);

    helix_json_key(json, "attention_see");
    helix_json_array(json);

    for (i = 0; i < s->nattention; i++) {
        helix_json_cstring(json, s->attention[i].see);
    }

    helix_json_array_end(json);
}


static void
ngx_http_helix_stats_scalars(helix_json_writer_t *json,
    ngx_http_helix_snapshot_t *s)
{
    const char                     *group;
    const ngx_http_helix_scalar_t  *scalar;

    group = NULL;

    for (scalar = ngx_http_helix_scalars; scalar->name; scalar++) {

        if (scalar->group != group
            && (group == NULL || scalar->group == NULL
                || ngx_strcmp(scalar->group, group) != 0))
        {
            if (group) {
                helix_json_object_end(json);
            }

            if (scalar->group) {
                helix_json_key(json, scalar->group);
                helix_json_object(json);
            }

            if (scalar->group && ngx_strcmp(scalar->group, "pool") == 0) {
                helix_json_key(json, "name");
                helix_json_string(json, (char *) s->hmcf->pool_name.data,
                                  s->hmcf->pool_name.len);
            }
        }

        if (scalar->group && ngx_strcmp(scalar->group, "state") == 0) {
            ngx_http_helix_stats_state(json, s);
        }

        group = scalar->group;

        helix_json_key(json, scalar->name);

        if (scalar->ratio) {
            helix_json_double(json, ngx_http_helix_scalar_ratio(scalar, s));

        } else {
            helix_json_u64(json, ngx_http_helix_scalar_u64(scalar, s));
        }
    }

    if (group) {
        helix_json_object_end(json);
    }
}


static void
ngx_http_helix_stats_state(helix_json_writer_t *json,
    ngx_http_helix_snapshot_t *s)
{
    helix_json_key(json, "file");

    if (s->hmcf->state.len) {
        helix_json_string(json, (char *) s->hmcf->state.data,
                          s->hmcf->state.len);

    } else {
        helix_json_null(json);
    }

    helix_json_key(json, "saved");

    if (s->saved) {
        ngx_http_helix_write_time(json, s->saved);

    } else {
        helix_json_null(json);
    }
}


static void
ngx_http_helix_stats_books(helix_json_writer_t *json,
    ngx_http_helix_books_t *books, ngx_uint_t scope)
{
    const ngx_http_helix_metric_t  *metric;

    for (metric = ngx_http_helix_metrics; metric->name; metric++) {
        if (metric->scopes & scope) {
            helix_json_key(json, metric->name);
            helix_json_u64(json, ngx_http_helix_metric_value(metric, books));
        }
    }
}


static void
ngx_http_helix_stats_lanes(helix_json_writer_t *json,
    ngx_http_helix_snapshot_t *s)
{
    ngx_uint_t              lane;
    ngx_http_helix_books_t  books;

    helix_json_key(json, "strategies");
    helix_json_object(json);

    for (lane = 0; lane < NGX_HELIX_LANES; lane++) {
        ngx_http_helix_books_lane(&s->counts, lane, &books);

        helix_json_key(json, helix_strategy_names[lane]);
        helix_json_object(json);

        ngx_http_helix_stats_books(json, &books, NGX_HTTP_HELIX_BY_LANE);

        if (lane != HELIX_INLINE) {
            helix_json_key(json, "waiting");
            helix_json_u64(json, ngx_helix_waiting(s->zone, lane));
            helix_json_key(json, "waiting_limit");
            helix_json_u64(json, s->hmcf->settings.queue);
        }

        helix_json_key(json, "jobs_per_sec");
        helix_json_double(json, s->recent.lanes[lane]);

        ngx_http_helix_stats_hist(json, s, "latency_ms", NGX_HELIX_HIST_TOTAL,
                                  lane);
        ngx_http_helix_stats_hist(json, s, "queue_ms", NGX_HELIX_HIST_QUEUE,
                                  lane);

        helix_json_object_end(json);
    }

    helix_json_object_end(json);
}


static void
ngx_http_helix_stats_kinds(helix_json_writer_t *json,
    ngx_http_helix_snapshot_t *s)
{
    double                  service, share, samples;
    ngx_uint_t              kind;
    ngx_http_helix_books_t  books;

    helix_json_key(json, "kinds");
    helix_json_object(json);

    for (kind = 0; kind < ngx_helix_zone_kinds(s->zone); kind++) {
        ngx_http_helix_books_kind(&s->counts, kind, &books);

        helix_json_key(json, ngx_helix_zone_kind_name(s->zone, kind));
        helix_json_object(json);

        ngx_http_helix_stats_books(json, &books, NGX_HTTP_HELIX_BY_KIND);
        ngx_http_helix_stats_levels(json, s, kind);
        ngx_http_helix_stats_hist(json, s, "exec_ms", NGX_HELIX_HIST_EXEC,
                                  kind);

        ngx_helix_exec_kind(s->hmcf->exec, kind, &service, &share, &samples);

        helix_json_key(json, "predicted_ms");
        helix_json_double(json, service * 1000);
        helix_json_key(json, "share");
        helix_json_double(json, share);
        helix_json_key(json, "samples");
        helix_json_u64(json, (uint64_t) samples);

        helix_json_object_end(json);
    }

    ngx_http_helix_books_kind(&s->counts, NGX_HELIX_NO_KIND, &books);

    if (books.admitted) {
        helix_json_key(json, "unknown");
        helix_json_object(json);
        ngx_http_helix_stats_books(json, &books, NGX_HTTP_HELIX_BY_KIND);
        helix_json_object_end(json);
    }

    helix_json_object_end(json);
}


static void
ngx_http_helix_stats_levels(helix_json_writer_t *json,
    ngx_http_helix_snapshot_t *s, ngx_uint_t kind)
{
    ngx_uint_t   level;
    const char  *name;

    helix_json_key(json, "levels");
    helix_json_object(json);

    for (level = 0; level < NGX_HELIX_LEVELS; level++) {

        name = ngx_http_helix_level_name(s->hmcf, kind, level);

        if (name) {
            helix_json_key(json, name);
            helix_json_u64(json, s->counts.kinds[kind].approximated[level]);
        }
    }

    helix_json_object_end(json);
}


static void
ngx_http_helix_stats_hist(helix_json_writer_t *json,
    ngx_http_helix_snapshot_t *s, const char *name,
    ngx_helix_hist_kind_t which, ngx_uint_t index)
{
    ngx_uint_t                 i;
    ngx_http_helix_latency_t   latency, *read;

    (void) ngx_http_helix_snapshot_hist(s, which, index);

    if (which == NGX_HELIX_HIST_TOTAL) {
        ngx_http_helix_latency_read(s, index);
        read = &s->latencies[index];

    } else {
        ngx_http_helix_quantile_values(&s->hist, latency.quantiles);
        read = &latency;
    }

    helix_json_key(json, name);
    helix_json_object(json);

    helix_json_key(json, "count");
    helix_json_u64(json, s->hist.count);

    for (i = 0; i < NGX_HTTP_HELIX_QUANTILES; i++) {
        helix_json_key(json, ngx_http_helix_quantiles[i].name);
        helix_json_fixed(json, read->quantiles[i], 6);
    }

    if (which == NGX_HELIX_HIST_TOTAL) {
        helix_json_key(json, "ema");
        helix_json_fixed(json, read->ema, 6);
        ngx_http_helix_stats_window(json, s, index);
    }

    helix_json_object_end(json);
}


static void
ngx_http_helix_stats_window(helix_json_writer_t *json,
    ngx_http_helix_snapshot_t *s, ngx_uint_t lane)
{
    uint64_t  ns;

    ns = ngx_http_helix_snapshot_window(s, lane);

    helix_json_key(json, "window");
    helix_json_object(json);
    helix_json_key(json, "secs");
    helix_json_u64(json, (ns + 500000000) / 1000000000);
    helix_json_key(json, "count");
    helix_json_u64(json, s->window.count);
    helix_json_key(json, "p50");
    helix_json_fixed(json, (uint64_t) helix_hist_quantile(&s->window, 0.50),
                     6);
    helix_json_key(json, "p95");
    helix_json_fixed(json, (uint64_t) helix_hist_quantile(&s->window, 0.95),
                     6);
    helix_json_key(json, "p99");
    helix_json_fixed(json, (uint64_t) helix_hist_quantile(&s->window, 0.99),
                     6);
    helix_json_object_end(json);
}


static void
ngx_http_helix_stats_workers(helix_json_writer_t *json,
    ngx_http_helix_snapshot_t *s)
{
    ngx_uint_t  i;

    helix_json_key(json, "workers");
    helix_json_array(json);

    for (i = 0; i < s->nworkers; i++) {
        helix_json_object(json);
        helix_json_key(json, "slot");
        helix_json_u64(json, s->workers[i].index);
        helix_json_key(json, "pid");
        helix_json_u64(json, s->workers[i].pid);
        helix_json_key(json, "state");
        helix_json_cstring(json, s->workers[i].draining ? "draining"
                                                        : "active");
        helix_json_key(json, "in_flight");
        helix_json_u64(json, s->workers[i].in_flight);
        helix_json_object_end(json);
    }

    helix_json_array_end(json);
}


static void
ngx_http_helix_stats_named(helix_json_writer_t *json, const char *name,
    const char *const *names, const uint64_t *values)
{
    ngx_uint_t  i;

    helix_json_key(json, name);
    helix_json_object(json);

    for (i = 0; names[i]; i++) {
        if (values[i]) {
            helix_json_key(json, names[i]);
            helix_json_u64(json, values[i]);
        }
    }

    helix_json_object_end(json);
}
