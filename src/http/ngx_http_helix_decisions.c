
/* GET api/decisions: the newest of all rings, newest first. */

#include "ngx_http_helix_stream.h"


#define NGX_HTTP_HELIX_DECISIONS      50      /* unless n= says so */
#define NGX_HTTP_HELIX_DECISIONS_MAX  1000
#define NGX_HTTP_HELIX_LOOK           32768   /* records, of all rings */


/* A ring, read backwards. */

typedef struct {
    uint64_t                  seq;       /* of the record */
    uint64_t                  tail;
    ngx_uint_t                look;      /* records, at most */
    ngx_uint_t                over;
    ngx_helix_record_t        record;
} ngx_http_helix_back_t;


typedef struct {
    uint64_t                  seq;
    ngx_uint_t                ring;
    ngx_helix_record_t        record;
} ngx_http_helix_found_t;


static ngx_uint_t ngx_http_helix_decisions_find(ngx_helix_zone_t *zone,
    ngx_http_helix_back_t *rings, ngx_uint_t n,
    const ngx_http_helix_filter_t *filter, ngx_http_helix_found_t *found,
    ngx_uint_t max);
static void ngx_http_helix_decisions_back(ngx_helix_zone_t *zone,
    ngx_uint_t ring, ngx_http_helix_back_t *back,
    const ngx_http_helix_filter_t *filter);
static ngx_int_t ngx_http_helix_decisions_send(ngx_http_request_t *r,
    ngx_helix_zone_t *zone, ngx_http_helix_found_t *found, ngx_uint_t n);


ngx_int_t
ngx_http_helix_read_decisions(ngx_http_request_t *r, ngx_str_t *rest)
{
    uint64_t                     n;
    ngx_int_t                    rc;
    ngx_uint_t                   rings;
    ngx_helix_zone_t            *zone;
    ngx_http_helix_ctx_t        *ctx;
    ngx_http_helix_back_t       *back;
    ngx_http_helix_found_t      *found;
    ngx_http_helix_filter_t      filter;
    ngx_http_helix_main_conf_t  *hmcf;

    n = NGX_HTTP_HELIX_DECISIONS;

    rc = ngx_http_helix_number_arg(r, "n", 1, NGX_HTTP_HELIX_DECISIONS_MAX, &n,
                                   &ctx);
    if (rc == NGX_OK) {
        rc = ngx_http_helix_filter_args(r, &filter, &ctx);
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_helix_send_problem(r, ctx);
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);
    zone = ngx_helix_exec_zone(hmcf->exec);
    rings = ngx_helix_rings(zone);

    back = ngx_palloc(r->pool, rings * sizeof(ngx_http_helix_back_t) + 1);
    found = ngx_palloc(r->pool, n * sizeof(ngx_http_helix_found_t));

    if (back == NULL || found == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    n = ngx_http_helix_decisions_find(zone, back, rings, &filter, found, n);

    return ngx_http_helix_decisions_send(r, zone, found, n);
}


static ngx_uint_t
ngx_http_helix_decisions_find(ngx_helix_zone_t *zone,
    ngx_http_helix_back_t *rings, ngx_uint_t n,
    const ngx_http_helix_filter_t *filter, ngx_http_helix_found_t *found,
    ngx_uint_t max)
{
    ngx_uint_t  i, m, newest;

    for (i = 0; i < n; i++) {
        rings[i].seq = ngx_helix_ring_head(zone, i);
        rings[i].tail = ngx_helix_ring_tail(zone, i);
        rings[i].look = NGX_HTTP_HELIX_LOOK / n;
        rings[i].over = 0;

        ngx_http_helix_decisions_back(zone, i, &rings[i], filter);
    }

    for (m = 0; m < max; m++) {
        newest = n;

        for (i = 0; i < n; i++) {
            if (!rings[i].over
                && (newest == n
                    || rings[i].record.time > rings[newest].record.time))
            {
                newest = i;
            }
        }

        if (newest == n) {
            break;
        }

        found[m].seq = rings[newest].seq;
        found[m].ring = newest;
        found[m].record = rings[newest].record;

        ngx_http_helix_decisions_back(zone, newest, &rings[newest], filter);
    }

    return m;
}


/* The decision before, if the filter wants it. */

static void
ngx_http_helix_decisions_back(ngx_helix_zone_t *zone, ngx_uint_t ring,
    ngx_http_helix_back_t *back, const ngx_http_helix_filter_t *filter)
{
    while (back->seq > back->tail && back->look) {
        back->seq--;
        back->look--;

        if (!ngx_helix_ring_get(zone, ring, back->seq, &back->record)) {
            break;
        }

        if ((back->record.flags & NGX_HELIX_DECISION)
            && ngx_http_helix_filter_match(filter, &back->record))
        {
            return;
        }
    }

    back->over = 1;
}


static ngx_int_t
ngx_http_helix_decisions_send(ngx_http_request_t *r, ngx_helix_zone_t *zone,
    ngx_http_helix_found_t *found, ngx_uint_t n)
{
    size_t                size;
    u_char               *p;
    ngx_uint_t            i;
    helix_json_writer_t   json;

    size = n * NGX_HTTP_HELIX_EVENT_LEN + sizeof("[]\n");

    p = ngx_palloc(r->pool, size);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    helix_json_writer_init(&json, (char *) p, size - 1);

    helix_json_array(&json);

    for (i = 0; i < n; i++) {
        ngx_http_helix_write_decision(&json, zone, found[i].ring, found[i].seq,
                                      &found[i].record);
    }

    helix_json_array_end(&json);

    *json.pos++ = '\n';

    return ngx_http_helix_send_body(r, NGX_HTTP_OK, "application/json", p,
                                    json.pos - json.start);
}
