
/* What happened in the last minutes or hours, and starting to count anew. */

#include "ngx_http_helix_metrics.h"

#include "ngx_helix_base.h"
#include "ngx_helix_history.h"


/* A number of a point takes so many characters, and so do all names. */
#define NGX_HTTP_HELIX_HISTORY_NUMBER  12
#define NGX_HTTP_HELIX_HISTORY_NAMES   2048

#define NGX_HTTP_HELIX_HISTORY_COLUMNS                                        \
    (sizeof(ngx_helix_point_t) / sizeof(uint32_t) + 1)


typedef struct {
    helix_json_writer_t     json;
    ngx_helix_point_t      *points;
    ngx_uint_t              n;
} ngx_http_helix_history_t;


static ngx_int_t ngx_http_helix_history_step(ngx_http_request_t *r,
    ngx_helix_step_t *step);
static void ngx_http_helix_history_write(ngx_http_helix_history_t *h);
static void ngx_http_helix_history_dropped(ngx_http_helix_history_t *h);
static ngx_uint_t ngx_http_helix_history_any(ngx_http_helix_history_t *h,
    size_t offset);
static void ngx_http_helix_history_column(ngx_http_helix_history_t *h,
    const char *name, size_t offset, ngx_uint_t decimals, ngx_uint_t gaps);


ngx_int_t
ngx_http_helix_read_history(ngx_http_request_t *r, ngx_str_t *rest)
{
    char                        *p;
    size_t                       size;
    time_t                       start;
    ngx_helix_step_t             step;
    ngx_http_helix_history_t     h;
    ngx_http_helix_main_conf_t  *hmcf;

    if (ngx_http_helix_history_step(r, &step) != NGX_OK) {
        return ngx_http_helix_send_error(r, NGX_HTTP_BAD_REQUEST, "BadField",
                                         "There is no history of this step",
                                         "\"step\" is 1 or 60 seconds");
    }

    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);

    h.points = ngx_palloc(r->pool,
                          NGX_HELIX_POINTS * sizeof(ngx_helix_point_t));
    if (h.points == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    h.n = ngx_helix_zone_points(ngx_helix_exec_zone(hmcf->exec), step,
                                h.points, &start);

    size = NGX_HTTP_HELIX_HISTORY_NAMES
           + h.n * NGX_HTTP_HELIX_HISTORY_COLUMNS
             * NGX_HTTP_HELIX_HISTORY_NUMBER;

    p = ngx_palloc(r->pool, size);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    helix_json_writer_init(&h.json, p, size - 1);

    helix_json_object(&h.json);
    helix_json_key(&h.json, "step");
    helix_json_u64(&h.json, step == NGX_HELIX_SECONDS ? 1 : 60);
    helix_json_key(&h.json, "start");
    helix_json_u64(&h.json, start);
    helix_json_key(&h.json, "n");
    helix_json_u64(&h.json, h.n);
    ngx_http_helix_history_write(&h);
    helix_json_object_end(&h.json);

    if (h.json.overflow) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    *h.json.pos++ = '\n';

    return ngx_http_helix_send_body(r, NGX_HTTP_OK, "application/json",
                                    (u_char *) p, h.json.pos - p);
}


static ngx_int_t
ngx_http_helix_history_step(ngx_http_request_t *r, ngx_helix_step_t *step)
{
    ngx_str_t  value;

    *step = NGX_HELIX_SECONDS;

    if (ngx_http_arg(r, (u_char *) "step", 4, &value) != NGX_OK
        || ngx_http_helix_is(&value, "1"))
    {
        return NGX_OK;
    }

    *step = NGX_HELIX_MINUTES;

    return ngx_http_helix_is(&value, "60") ? NGX_OK : NGX_DECLINED;
}


static void
ngx_http_helix_history_write(ngx_http_helix_history_t *h)
{
    ngx_uint_t  i;

    helix_json_key(&h->json, "routed");
    helix_json_object(&h->json);

    for (i = 0; i < NGX_HELIX_LANES; i++) {
        ngx_http_helix_history_column(h, helix_strategy_names[i],
                                    offsetof(ngx_helix_point_t, admitted[i]),
                                    0, 0);
    }

    helix_json_object_end(&h->json);

    ngx_http_helix_history_dropped(h);

    ngx_http_helix_history_column(h, "late",
                                  offsetof(ngx_helix_point_t, late), 0, 0);
    ngx_http_helix_history_column(h, "pressure",
                                  offsetof(ngx_helix_point_t, pressure), 4, 0);

    helix_json_key(&h->json, "p99_ms");
    helix_json_object(&h->json);

    for (i = 0; i < NGX_HELIX_LANES; i++) {
        ngx_http_helix_history_column(h, helix_strategy_names[i],
                                      offsetof(ngx_helix_point_t, p99[i]),
                                      4, 1);
    }

    helix_json_object_end(&h->json);
}


/* In all, and by those reasons that there were. */

static void
ngx_http_helix_history_dropped(ngx_http_helix_history_t *h)
{
    uint64_t    n;
    ngx_uint_t  i, k;

    helix_json_key(&h->json, "dropped");
    helix_json_array(&h->json);

    for (i = 0; i < h->n; i++) {

        if (h->points[i].time == 0) {
            helix_json_null(&h->json);
            continue;
        }

        for (n = 0, k = 0; k < HELIX_REASONS; k++) {
            n += h->points[i].dropped[k];
        }

        helix_json_u64(&h->json, n);
    }

    helix_json_array_end(&h->json);

    helix_json_key(&h->json, "dropped_by_reason");
    helix_json_object(&h->json);

    for (k = 0; k < HELIX_REASONS; k++) {
        if (ngx_http_helix_history_any(h, offsetof(ngx_helix_point_t,
                                                   dropped[k])))
        {
            ngx_http_helix_history_column(h, helix_reason_names[k],
                                          offsetof(ngx_helix_point_t,
                                                   dropped[k]), 0, 0);
        }
    }

    helix_json_object_end(&h->json);
}


static ngx_uint_t
ngx_http_helix_history_any(ngx_http_helix_history_t *h, size_t offset)
{
    ngx_uint_t  i;

    for (i = 0; i < h->n; i++) {
        if (h->points[i].time
            && *(uint32_t *) ((char *) &h->points[i] + offset))
        {
            return 1;
        }
    }

    return 0;
}


/* With "gaps" a zero is no number either. */

static void
ngx_http_helix_history_column(ngx_http_helix_history_t *h, const char *name,
    size_t offset, ngx_uint_t decimals, ngx_uint_t gaps)
{
    uint32_t    value;
    ngx_uint_t  i;

    helix_json_key(&h->json, name);
    helix_json_array(&h->json);

    for (i = 0; i < h->n; i++) {
        value = *(uint32_t *) ((char *) &h->points[i] + offset);

        if (h->points[i].time == 0 || (gaps && value == 0)) {
            helix_json_null(&h->json);

        } else if (decimals) {
            helix_json_fixed(&h->json, value, decimals);

        } else {
            helix_json_u64(&h->json, value);
        }
    }

    helix_json_array_end(&h->json);
}


ngx_int_t
ngx_http_helix_write_reset(ngx_http_request_t *r, ngx_str_t *rest,
    ngx_str_t *body)
{
    u_char                      *p;
    uint64_t                     since;
    ngx_time_t                  *tp;
    helix_json_writer_t          json;
    ngx_http_helix_main_conf_t  *hmcf;

    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);

    p = ngx_pnalloc(r->pool, 128);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    tp = ngx_timeofday();
    since = (uint64_t) tp->sec * 1000 + tp->msec;

    if (ngx_helix_zone_reset(ngx_helix_exec_zone(hmcf->exec), since)
        != NGX_OK)
    {
        return ngx_http_helix_send_error(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                         "Busy",
                                         "Another request resets the counters",
                                         "nothing was changed, try again");
    }

    ngx_log_error(NGX_LOG_NOTICE, r->connection->log, 0,
                  "helix: the counters of zone \"%V\" were reset",
                  &hmcf->zone_name);

    helix_json_writer_init(&json, (char *) p, 128);

    helix_json_object(&json);
    helix_json_key(&json, "since");
    ngx_http_helix_write_time(&json, since);
    helix_json_object_end(&json);

    *json.pos++ = '\n';

    return ngx_http_helix_send_body(r, NGX_HTTP_OK, "application/json", p,
                                    (u_char *) json.pos - p);
}


uint64_t
ngx_http_helix_snapshot_window(ngx_http_helix_snapshot_t *s, ngx_uint_t lane)
{
    return ngx_helix_zone_recent(s->zone, lane, &s->window);
}


void
ngx_http_helix_write_time(helix_json_writer_t *json, uint64_t ms)
{
    u_char    text[sizeof("1970-09-28T12:00:00.000Z") + NGX_INT64_LEN], *p;
    ngx_tm_t  tm;

    ngx_gmtime((time_t) (ms / 1000), &tm);

    p = ngx_sprintf(text, "%4d-%02d-%02dT%02d:%02d:%02d.%03uLZ",
                    tm.ngx_tm_year, tm.ngx_tm_mon, tm.ngx_tm_mday,
                    tm.ngx_tm_hour, tm.ngx_tm_min, tm.ngx_tm_sec, ms % 1000);

    helix_json_string(json, (char *) text, p - text);
}
