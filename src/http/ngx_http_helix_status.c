
#include "ngx_http_helix_metrics.h"


typedef struct {
    ngx_str_t                        path;
    ngx_http_helix_status_format_t   format;
} ngx_http_helix_status_path_t;


static ngx_http_helix_status_format_t ngx_http_helix_status_format(
    ngx_http_request_t *r);
static ngx_http_helix_snapshot_t *ngx_http_helix_snapshot(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_helix_send_health(ngx_http_request_t *r,
    ngx_http_helix_snapshot_t *s);


static const ngx_http_helix_status_path_t  ngx_http_helix_status_paths[] = {
    { ngx_string(""), NGX_HTTP_HELIX_STATUS_AUTO },
    { ngx_string("/"), NGX_HTTP_HELIX_STATUS_AUTO },
    { ngx_string("/health"), NGX_HTTP_HELIX_STATUS_HEALTH },
    { ngx_string("/metrics"), NGX_HTTP_HELIX_STATUS_PROMETHEUS },
    { ngx_string("/api/stats"), NGX_HTTP_HELIX_STATUS_JSON },
    { ngx_string("/api/explain"), NGX_HTTP_HELIX_STATUS_EXPLAIN }
};


ngx_int_t
ngx_http_helix_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                        rc;
    ngx_http_helix_snapshot_t       *s;
    ngx_http_helix_status_format_t   format;

    format = ngx_http_helix_status_format(r);

    if (format == NGX_HTTP_HELIX_STATUS_EXPLAIN) {
        return ngx_http_helix_explain_handler(r);
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_helix_send_method(r, "GET, HEAD");
    }

    if (format == NGX_HTTP_HELIX_STATUS_NONE) {
        return ngx_http_helix_send_error(r, NGX_HTTP_NOT_FOUND, "NotFound",
                                         "There is nothing at this path",
                                         "the status location has api/stats, "
                                         "api/explain, metrics and health");
    }

    s = ngx_http_helix_snapshot(r);
    if (s == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_helix_add_header(r, "Cache-Control", (u_char *) "no-store", 8)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    switch (format) {

    case NGX_HTTP_HELIX_STATUS_HEALTH:
        return ngx_http_helix_send_health(r, s);

    case NGX_HTTP_HELIX_STATUS_JSON:
        return ngx_http_helix_send_stats(r, s);

    case NGX_HTTP_HELIX_STATUS_PROMETHEUS:
        return ngx_http_helix_send_prometheus(r, s);

    default: /* NGX_HTTP_HELIX_STATUS_TEXT */
        return ngx_http_helix_send_text(r, s);
    }
}


/* One format for the whole location, or what its tree has at this path. */

static ngx_http_helix_status_format_t
ngx_http_helix_status_format(ngx_http_request_t *r)
{
    ngx_str_t                        path;
    ngx_uint_t                       i;
    ngx_table_elt_t                 *accept;
    ngx_http_core_loc_conf_t        *clcf;
    ngx_http_helix_loc_conf_t       *hlcf;
    ngx_http_helix_status_format_t   format;

    hlcf = ngx_http_get_module_loc_conf(r, ngx_http_helix_module);

    if (hlcf->status_format != NGX_HTTP_HELIX_STATUS_AUTO) {
        return hlcf->status_format;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    path = r->uri;

    if (path.len >= clcf->name.len
        && ngx_strncmp(path.data, clcf->name.data, clcf->name.len) == 0)
    {
        /* "location /helix/" takes the slash that the paths begin with */

        i = clcf->name.len;
        i -= (i && clcf->name.data[i - 1] == '/');

        path.data += i;
        path.len -= i;
    }

    format = NGX_HTTP_HELIX_STATUS_NONE;

    for (i = 0; i < sizeof(ngx_http_helix_status_paths)
                    / sizeof(ngx_http_helix_status_path_t); i++)
    {
        if (path.len == ngx_http_helix_status_paths[i].path.len
            && ngx_strncmp(path.data, ngx_http_helix_status_paths[i].path.data,
                           path.len) == 0)
        {
            format = ngx_http_helix_status_paths[i].format;
        }
    }

    if (format != NGX_HTTP_HELIX_STATUS_AUTO) {
        return format;
    }

    accept = r->headers_in.accept;

    return (accept
            && ngx_strlcasestrn(accept->value.data,
                                accept->value.data + accept->value.len,
                                (u_char *) "application/json", 16 - 1))
           ? NGX_HTTP_HELIX_STATUS_JSON : NGX_HTTP_HELIX_STATUS_TEXT;
}


static ngx_http_helix_snapshot_t *
ngx_http_helix_snapshot(ngx_http_request_t *r)
{
    uint64_t                     now;
    ngx_time_t                  *tp;
    helix_settings_t            *settings;
    ngx_http_helix_snapshot_t   *s;
    ngx_http_helix_main_conf_t  *hmcf;

    s = ngx_palloc(r->pool, sizeof(ngx_http_helix_snapshot_t));
    if (s == NULL) {
        return NULL;
    }

    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);
    settings = &hmcf->settings;

    s->hmcf = hmcf;
    s->zone = ngx_helix_exec_zone(hmcf->exec);

    ngx_helix_zone_totals(s->zone, &s->counts);
    ngx_http_helix_books_total(&s->counts, &s->total);

    tp = ngx_timeofday();
    now = (uint64_t) tp->sec * 1000 + tp->msec;

    s->epoch = ngx_helix_zone_epoch(s->zone);
    s->uptime = (now > s->epoch) ? (now - s->epoch) / 1000 : 0;
    s->generation = ngx_helix_zone_generation(s->zone);
    s->crashes = ngx_helix_zone_crashes(s->zone);
    s->nworkers = ngx_helix_zone_slots(s->zone, s->workers);
    s->zone_size = ngx_helix_zone_size();

    s->concurrency = settings->concurrency;
    s->busy = ngx_helix_tokens_busy(s->zone);
    s->memory = ngx_helix_memory(s->zone);
    s->memory_limit = hmcf->settings.memory;
    s->busy_limit = settings->busy;
    s->inline_threshold = settings->inline_threshold;
    s->spawn_configured = settings->spawn_threshold;
    s->spawn_threshold = ngx_helix_zone_threshold(s->zone,
                                                  s->spawn_configured);

    now = ngx_helix_now() / 1000000;

    ngx_helix_zone_pressure(s->zone, now, &s->averages);

    ngx_helix_exec_insight(hmcf->exec, &s->insight);

    s->pressure = helix_pressure_score(&s->averages, now,
                                       (double) s->busy / s->concurrency);

    return s;
}


const char *
ngx_http_helix_verdict(ngx_http_helix_snapshot_t *s)
{
    if (ngx_exiting) {
        return "draining";
    }

    if (s->averages.drops >= 0.01) {
        return "shedding";
    }

    return s->pressure >= 0.7 ? "busy" : "ok";
}


/* Alive is 200; with "ready=1" a worker that drains or a busy router is not
   ready for more. */

static ngx_int_t
ngx_http_helix_send_health(ngx_http_request_t *r, ngx_http_helix_snapshot_t *s)
{
    u_char      *p, *last;
    size_t       len;
    ngx_str_t    ready;
    ngx_uint_t   status;

    len = sizeof("{\"status\":\"shedding\",\"uptime_secs\":}\n")
          + NGX_INT64_LEN;

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    last = ngx_snprintf(p, len, "{\"status\":\"%s\",\"uptime_secs\":%uL}\n",
                        ngx_http_helix_verdict(s), s->uptime);

    status = NGX_HTTP_OK;

    if (ngx_http_arg(r, (u_char *) "ready", 5, &ready) == NGX_OK
        && ready.len == 1 && ready.data[0] == '1'
        && (ngx_exiting || s->pressure >= 0.7))
    {
        status = NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    return ngx_http_helix_send_body(r, status, "application/json", p,
                                    last - p);
}
