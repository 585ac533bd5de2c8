
#include "ngx_http_helix_config.h"
#include "ngx_http_helix_page.h"
#include "ngx_http_helix_stream.h"

#include "ngx_helix_base.h"
#include "ngx_helix_keep.h"


/*
 * What there is under the location, by path.  What a path answers to GET, and
 * to a write: a method that changes something, with the body that came.
 * "below": the rest of the path is the handler's.
 */

typedef ngx_int_t (*ngx_http_helix_read_pt)(ngx_http_request_t *r,
    ngx_str_t *rest);
typedef ngx_int_t (*ngx_http_helix_write_pt)(ngx_http_request_t *r,
    ngx_str_t *rest, ngx_str_t *body);
typedef ngx_int_t (*ngx_http_helix_send_pt)(ngx_http_request_t *r,
    ngx_http_helix_snapshot_t *s);

typedef struct {
    ngx_str_t                        path;
    ngx_uint_t                       below;
    ngx_http_helix_read_pt           read;
    ngx_http_helix_write_pt          write;
    ngx_uint_t                       methods;
    const char                      *allow;
} ngx_http_helix_path_t;


static const ngx_http_helix_path_t *ngx_http_helix_status_path(
    ngx_http_request_t *r, ngx_str_t *rest);
static ngx_int_t ngx_http_helix_status_other(ngx_http_request_t *r,
    ngx_str_t *rest);
static void ngx_http_helix_status_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_helix_status_write(ngx_http_request_t *r);
static ngx_int_t ngx_http_helix_read_root(ngx_http_request_t *r,
    ngx_str_t *rest);
static ngx_int_t ngx_http_helix_read_home(ngx_http_request_t *r,
    ngx_str_t *rest);
static ngx_int_t ngx_http_helix_read_as(ngx_http_request_t *r,
    ngx_http_helix_send_pt send);
static ngx_int_t ngx_http_helix_read_text(ngx_http_request_t *r,
    ngx_str_t *rest);
static ngx_int_t ngx_http_helix_read_stats(ngx_http_request_t *r,
    ngx_str_t *rest);
static ngx_int_t ngx_http_helix_read_metrics(ngx_http_request_t *r,
    ngx_str_t *rest);
static ngx_int_t ngx_http_helix_read_health(ngx_http_request_t *r,
    ngx_str_t *rest);


#define NGX_HTTP_HELIX_READ   (NGX_HTTP_GET|NGX_HTTP_HEAD)

#define NGX_HTTP_HELIX_WRITE                                                  \
    (NGX_HTTP_POST|NGX_HTTP_PATCH|NGX_HTTP_DELETE)


static const ngx_http_helix_path_t  ngx_http_helix_paths[] = {

    { ngx_string(""), 0, ngx_http_helix_read_root, NULL,
      NGX_HTTP_HELIX_READ, "GET, HEAD" },

    { ngx_string("/"), 0, ngx_http_helix_read_home, NULL,
      NGX_HTTP_HELIX_READ, "GET, HEAD" },

    { ngx_string("/health"), 0, ngx_http_helix_read_health, NULL,
      NGX_HTTP_HELIX_READ, "GET, HEAD" },

    { ngx_string("/metrics"), 0, ngx_http_helix_read_metrics, NULL,
      NGX_HTTP_HELIX_READ, "GET, HEAD" },

    { ngx_string("/api/stats"), 0, ngx_http_helix_read_stats, NULL,
      NGX_HTTP_HELIX_READ, "GET, HEAD" },

    { ngx_string("/api/decisions"), 0, ngx_http_helix_read_decisions, NULL,
      NGX_HTTP_HELIX_READ, "GET, HEAD" },

    { ngx_string("/api/history"), 0, ngx_http_helix_read_history, NULL,
      NGX_HTTP_HELIX_READ, "GET, HEAD" },

    { ngx_string("/api/reset"), 0, NULL, ngx_http_helix_write_reset,
      NGX_HTTP_POST, "POST" },

    { ngx_string("/api/stream/decisions"), 0, ngx_http_helix_read_stream, NULL,
      NGX_HTTP_HELIX_READ, "GET, HEAD" },

    { ngx_string("/api/explain"), 0, NULL, NULL, NGX_HTTP_POST, "POST" },

    { ngx_string("/api/simulate"), 0, NULL, ngx_http_helix_simulate,
      NGX_HTTP_POST, "POST" },

    { ngx_string("/api/config"), 1, ngx_http_helix_read_config,
      ngx_http_helix_write_config,
      NGX_HTTP_HELIX_READ|NGX_HTTP_HELIX_WRITE,
      "GET, HEAD, POST, PATCH, DELETE" },

    { ngx_string("/api/telemetry"), 0, ngx_http_helix_read_telemetry,
      ngx_http_helix_write_telemetry,
      NGX_HTTP_HELIX_READ|NGX_HTTP_POST, "GET, HEAD, POST" },

    { ngx_null_string, 0, NULL, NULL, 0, NULL }
};


/* What the location itself is answered with. */

#define NGX_HTTP_HELIX_HTML   1
#define NGX_HTTP_HELIX_JSON   2

static const ngx_http_helix_media_t  ngx_http_helix_homes[] = {
    { "text/plain", { NULL, NULL } },
    { "text/html", { NULL, NULL } },
    { "application/json", { NULL, NULL } },
    { NULL, { NULL, NULL } }
};


/* By what helix_status says: one of them is all there is. */

static const ngx_http_helix_read_pt  ngx_http_helix_formats[] = {
    NULL,                                  /* the whole tree */
    ngx_http_helix_read_text,
    ngx_http_helix_read_stats,
    ngx_http_helix_read_health,
    ngx_http_helix_read_metrics
};


ngx_int_t
ngx_http_helix_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                     rc;
    ngx_str_t                     rest;
    ngx_uint_t                    methods;
    const ngx_http_helix_path_t  *path;
    ngx_http_helix_loc_conf_t    *hlcf;

    hlcf = ngx_http_get_module_loc_conf(r, ngx_http_helix_module);

    path = hlcf->status_format ? &ngx_http_helix_paths[0]
                               : ngx_http_helix_status_path(r, &rest);

    methods = path ? path->methods : NGX_HTTP_HELIX_READ;

    if (path && (r->method & methods & NGX_HTTP_HELIX_WRITE)) {

        if (path->write == NULL) {
            return ngx_http_helix_explain_handler(r);
        }

        if (ngx_http_helix_guard(r, &rc) == NGX_OK) {
            rc = ngx_http_read_client_request_body(r,
                                                   ngx_http_helix_status_body);

            return (rc >= NGX_HTTP_SPECIAL_RESPONSE) ? rc : NGX_DONE;
        }

        return rc;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    if (path == NULL) {
        return ngx_http_helix_status_other(r, &rest);
    }

    if (!(r->method & methods)) {
        return ngx_http_helix_send_method(r, path->allow);
    }

    if (ngx_http_helix_add_header(r, "Cache-Control", (u_char *) "no-store", 8)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (hlcf->status_format) {
        return ngx_http_helix_formats[hlcf->status_format](r, NULL);
    }

    return path->read(r, &rest);
}


/* The row of the path after the name of the location, and the rest of it; NULL
   and all of it: there is none. */

static const ngx_http_helix_path_t *
ngx_http_helix_status_path(ngx_http_request_t *r, ngx_str_t *rest)
{
    ngx_str_t                     path;
    ngx_uint_t                    i;
    ngx_http_core_loc_conf_t     *clcf;
    const ngx_http_helix_path_t  *row;

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

    for (row = ngx_http_helix_paths; row->allow; row++) {

        if (path.len < row->path.len
            || ngx_strncmp(path.data, row->path.data, row->path.len) != 0)
        {
            continue;
        }

        rest->data = path.data + row->path.len;
        rest->len = path.len - row->path.len;

        if (rest->len == 0
            || (row->below && rest->len > 1 && rest->data[0] == '/'))
        {
            return row;
        }
    }

    *rest = path;

    return NULL;
}


static ngx_int_t
ngx_http_helix_status_other(ngx_http_request_t *r, ngx_str_t *rest)
{
    ngx_int_t  rc;
    ngx_str_t  version;

    if (r->method & NGX_HTTP_HELIX_READ) {
        rc = ngx_http_helix_send_asset(r, rest);

        if (rc != NGX_DECLINED) {
            return rc;
        }

    } else if (ngx_http_helix_asset_version((char *) rest->data, rest->len,
                                            &version)
               == NGX_OK)
    {
        return ngx_http_helix_send_method(r, "GET, HEAD");
    }

    return ngx_http_helix_send_error(r, NGX_HTTP_NOT_FOUND, "NotFound",
                                     "There is nothing at this path",
                                     "the status location has api/stats, "
                                     "api/explain, metrics and health");
}


static void
ngx_http_helix_status_body(ngx_http_request_t *r)
{
    ngx_http_finalize_request(r, ngx_http_helix_status_write(r));
}


static ngx_int_t
ngx_http_helix_status_write(ngx_http_request_t *r)
{
    ngx_int_t                     rc;
    ngx_str_t                     rest, body;
    ngx_http_helix_ctx_t         *ctx;
    const ngx_http_helix_path_t  *path;

    ctx = ngx_http_helix_ctx_create(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_helix_body_text(r, ctx, 0, &body);

    if (rc == NGX_DECLINED) {
        return ngx_http_helix_send_problem(r, ctx);
    }

    if (rc != NGX_OK
        || ngx_http_helix_add_header(r, "Cache-Control", (u_char *) "no-store",
                                     8)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* a condition is not one on what is answered after the change */

    r->disable_not_modified = 1;

    path = ngx_http_helix_status_path(r, &rest);

    return path->write(r, &rest, &body);
}


static ngx_int_t
ngx_http_helix_read_root(ngx_http_request_t *r, ngx_str_t *rest)
{
    return (ngx_http_helix_accept(r, ngx_http_helix_homes)
            == NGX_HTTP_HELIX_HTML)
           ? ngx_http_helix_send_slash(r)
           : ngx_http_helix_read_home(r, rest);
}


static ngx_int_t
ngx_http_helix_read_home(ngx_http_request_t *r, ngx_str_t *rest)
{
    switch (ngx_http_helix_accept(r, ngx_http_helix_homes)) {

    case NGX_HTTP_HELIX_HTML:
        return ngx_http_helix_read_as(r, ngx_http_helix_send_page);

    case NGX_HTTP_HELIX_JSON:
        return ngx_http_helix_read_stats(r, rest);

    default:
        return ngx_http_helix_read_text(r, rest);
    }
}


static ngx_int_t
ngx_http_helix_read_as(ngx_http_request_t *r, ngx_http_helix_send_pt send)
{
    ngx_http_helix_snapshot_t  *s;

    s = ngx_http_helix_snapshot(r);

    return s ? send(r, s) : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


static ngx_int_t
ngx_http_helix_read_text(ngx_http_request_t *r, ngx_str_t *rest)
{
    return ngx_http_helix_read_as(r, ngx_http_helix_send_text);
}


static ngx_int_t
ngx_http_helix_read_stats(ngx_http_request_t *r, ngx_str_t *rest)
{
    return ngx_http_helix_read_as(r, ngx_http_helix_send_stats);
}


static ngx_int_t
ngx_http_helix_read_metrics(ngx_http_request_t *r, ngx_str_t *rest)
{
    return ngx_http_helix_read_as(r, ngx_http_helix_send_prometheus);
}


ngx_http_helix_snapshot_t *
ngx_http_helix_snapshot(ngx_http_request_t *r)
{
    ngx_http_helix_snapshot_t  *s;

    s = ngx_palloc(r->pool, sizeof(ngx_http_helix_snapshot_t));
    if (s == NULL) {
        return NULL;
    }

    ngx_http_helix_snapshot_fill(s,
                       ngx_http_get_module_main_conf(r, ngx_http_helix_module));

    return s;
}


void
ngx_http_helix_snapshot_fill(ngx_http_helix_snapshot_t *s,
    ngx_http_helix_main_conf_t *hmcf)
{
    uint64_t           now;
    ngx_time_t        *tp;
    helix_settings_t  *settings;

    settings = &hmcf->settings;

    ngx_helix_exec_refresh(hmcf->exec, ngx_helix_now());

    s->hmcf = hmcf;
    ngx_memzero(&s->hist, sizeof(helix_hist_t));
    ngx_memzero(&s->window, sizeof(helix_hist_t));
    s->zone = ngx_helix_exec_zone(hmcf->exec);

    /* both before a reset, or after */

    do {
        s->version = ngx_helix_zone_totals(s->zone, &s->counts);
        s->since = ngx_helix_zone_since(s->zone);

    } while (s->version != ngx_helix_base_version(s->zone));

    ngx_http_helix_books_total(&s->counts, &s->total);

    tp = ngx_timeofday();
    now = (uint64_t) tp->sec * 1000 + tp->msec;

    s->epoch = ngx_helix_zone_epoch(s->zone);
    s->uptime = (now > s->epoch) ? (now - s->epoch) / 1000 : 0;
    s->generation = ngx_helix_zone_generation(s->zone);
    s->saved = ngx_helix_keep_saved(s->zone);
    s->save_errors = ngx_helix_keep_errors(s->zone);
    s->crashes = ngx_helix_zone_extra(s->zone, NGX_HELIX_CRASHES);
    s->nworkers = ngx_helix_zone_slots(s->zone, s->workers);
    s->zone_size = ngx_helix_zone_size();
    s->zone_used = ngx_helix_zone_used(s->zone);

    s->deciding = (double) s->counts.deciding / 1000000000;
    s->loop = (double) s->counts.loop / 1000000000;

    s->concurrency = settings->concurrency;
    s->busy = ngx_helix_tokens_busy(s->zone);
    s->memory = ngx_helix_memory(s->zone);
    s->memory_limit = hmcf->settings.memory;
    s->streams = ngx_helix_streams(s->zone);
    s->missed = ngx_helix_zone_extra(s->zone, NGX_HELIX_MISSED);
    s->busy_limit = helix_threshold_busy(settings->busy,
                                         ngx_helix_exec_external(hmcf->exec));
    s->inline_threshold = settings->inline_threshold;
    s->spawn_configured = settings->spawn_threshold;
    s->spawn_threshold = ngx_helix_zone_threshold(s->zone,
                                                  s->spawn_configured);

    now = ngx_helix_now() / 1000000;

    ngx_helix_zone_pressure(s->zone, now, &s->averages);

    ngx_http_helix_recent(s);
    ngx_helix_exec_insight(hmcf->exec, &s->insight);

    s->external = ngx_helix_exec_external(hmcf->exec);
    s->pressure = helix_pressure_score(&s->averages, now,
                                       (double) s->busy / s->concurrency);
    s->pressure = ngx_max(s->pressure, s->external);

    s->config_version = ngx_helix_exec_version(hmcf->exec);
    s->overrides = __builtin_popcountll(
                       ngx_helix_exec_config(hmcf->exec)->runtime.set
                       | ngx_helix_exec_config(hmcf->exec)->settings.set);
}


helix_hist_t *
ngx_http_helix_snapshot_hist(ngx_http_helix_snapshot_t *s,
    ngx_helix_hist_kind_t which, ngx_uint_t index)
{
    ngx_helix_zone_hist_of(s->zone, s->version, which, index, &s->hist);

    return &s->hist;
}


const char *
ngx_http_helix_verdict(ngx_http_helix_snapshot_t *s)
{
    if (ngx_exiting) {
        return "draining";
    }

    if (s->averages.drops >= 0.01
        || s->recent.dropped_per_sec
           > 0.01 * (s->recent.jobs_per_sec + s->recent.dropped_per_sec))
    {
        return "shedding";
    }

    return s->pressure >= 0.7 ? "busy" : "ok";
}


/* Alive is 200; with "ready=1" a worker that drains or a busy router is not
   ready for more. */

static ngx_int_t
ngx_http_helix_read_health(ngx_http_request_t *r, ngx_str_t *rest)
{
    u_char                     *p, *last;
    size_t                      len;
    ngx_str_t                   ready;
    ngx_uint_t                  status;
    ngx_http_helix_snapshot_t  *s;

    s = ngx_http_helix_snapshot(r);
    if (s == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

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
