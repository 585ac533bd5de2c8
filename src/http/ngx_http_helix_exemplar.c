
/* Examples for the buckets of a histogram: jobs whose trace can be looked at,
   by the header "traceparent" of W3C Trace Context. */

#include "ngx_http_helix_exposition.h"


#define NGX_HTTP_HELIX_TRACE_LEN    55     /* 00-TRACE-PARENT-FLAGS */
#define NGX_HTTP_HELIX_TRACE_TRIES  16     /* jobs looked at a second */


static ngx_uint_t ngx_http_helix_edge(uint64_t ns);
static ngx_uint_t ngx_http_helix_trace(ngx_http_request_t *r,
    uint64_t *trace);
static ngx_uint_t ngx_http_helix_trace_parse(ngx_str_t *text,
    uint64_t *trace);
static ngx_uint_t ngx_http_helix_trace_hex(u_char *p, size_t len,
    uint64_t *number);


const ngx_http_helix_edge_t  ngx_http_helix_edges[NGX_HELIX_EDGES] = {
    { 100000, "0.0001" },
    { 500000, "0.0005" },
    { 1000000, "0.001" },
    { 2500000, "0.0025" },
    { 5000000, "0.005" },
    { 10000000, "0.01" },
    { 25000000, "0.025" },
    { 50000000, "0.05" },
    { 100000000, "0.1" },
    { 250000000, "0.25" },
    { 1000000000, "1.0" },
    { 5000000000, "5.0" },
    { UINT64_MAX, "+Inf" }
};


/*
 * A bucket changes its example at most once a second, and looks for one in a
 * few jobs of that second only: what is counted thousands of times a second
 * does not read the headers as often.
 */

void
ngx_http_helix_exemplar(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx)
{
    time_t                       now;
    ngx_uint_t                   edge;
    ngx_time_t                  *tp;
    ngx_helix_exemplar_t         exemplar;
    ngx_http_helix_main_conf_t  *hmcf;

    static struct {
        time_t                   second;
        ngx_uint_t               tries;
    } looks[NGX_HELIX_LANES][NGX_HELIX_EDGES], *look;

    edge = ngx_http_helix_edge(ctx->times.total);
    look = &looks[ctx->spec.strategy][edge];

    now = ngx_time();

    if (look->second != now) {
        look->second = now;
        look->tries = NGX_HTTP_HELIX_TRACE_TRIES;
    }

    if (look->tries == 0) {
        return;
    }

    look->tries--;

    if (!ngx_http_helix_trace(r, exemplar.trace)) {
        return;
    }

    look->tries = 0;

    tp = ngx_timeofday();
    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);

    exemplar.id = ctx->id;
    exemplar.value = ctx->times.total;
    exemplar.time = (uint64_t) tp->sec * 1000 + tp->msec;

    ngx_helix_exemplar_set(ngx_helix_exec_slot(hmcf->exec),
                           ctx->spec.strategy, edge, &exemplar);
}


static ngx_uint_t
ngx_http_helix_edge(uint64_t ns)
{
    ngx_uint_t  i;

    for (i = 0; ns > ngx_http_helix_edges[i].ns; i++) { /* void */ }

    return i;
}


/* One header, else it is not known which is meant. */

static ngx_uint_t
ngx_http_helix_trace(ngx_http_request_t *r, uint64_t *trace)
{
    ngx_str_t  *value;

    value = ngx_http_helix_request_header(r, "traceparent", 0);

    return value
           && ngx_http_helix_request_header(r, "traceparent", 1) == NULL
           && ngx_http_helix_trace_parse(value, trace);
}


/*
 * VERSION-TRACE-PARENT-FLAGS in lower-case hex digits; later versions may have
 * more after another "-".  A trace that is not sampled is nowhere to be seen.
 */

static ngx_uint_t
ngx_http_helix_trace_parse(ngx_str_t *text, uint64_t *trace)
{
    u_char    *p;
    uint64_t   version, parent, flags;

    p = text->data;

    if (text->len < NGX_HTTP_HELIX_TRACE_LEN
        || !ngx_http_helix_trace_hex(p, 2, &version)
        || !ngx_http_helix_trace_hex(p + 3, 16, &trace[0])
        || !ngx_http_helix_trace_hex(p + 19, 16, &trace[1])
        || !ngx_http_helix_trace_hex(p + 36, 16, &parent)
        || !ngx_http_helix_trace_hex(p + 53, 2, &flags)
        || p[2] != '-' || p[35] != '-' || p[52] != '-')
    {
        return 0;
    }

    if (text->len > NGX_HTTP_HELIX_TRACE_LEN
        && (version == 0 || p[NGX_HTTP_HELIX_TRACE_LEN] != '-'))
    {
        return 0;
    }

    return version != 0xff && (trace[0] || trace[1]) && parent && (flags & 1);
}


static ngx_uint_t
ngx_http_helix_trace_hex(u_char *p, size_t len, uint64_t *number)
{
    u_char    ch;
    size_t    i;
    uint64_t  n;

    n = 0;

    for (i = 0; i < len; i++) {
        ch = p[i];

        if (ch >= '0' && ch <= '9') {
            n = n << 4 | (ch - '0');

        } else if (ch >= 'a' && ch <= 'f') {
            n = n << 4 | (ch - 'a' + 10);

        } else {
            return 0;
        }
    }

    *number = n;

    return 1;
}


void
ngx_http_helix_put_exemplar(ngx_http_helix_exposition_t *e,
    helix_strategy_t lane, ngx_uint_t edge)
{
    u_char                hex[33];
    ngx_helix_exemplar_t  exemplar;

    if (!e->openmetrics
        || !ngx_helix_exemplar_get(e->s->zone, lane, edge, &exemplar)
        || exemplar.time < e->s->since)
    {
        return;
    }

    ngx_sprintf(hex, "%016xL%016xL%Z", exemplar.trace[0], exemplar.trace[1]);

    ngx_http_helix_put_text(e, " # {trace_id=\"");
    ngx_http_helix_put(e, (char *) hex, 32);
    ngx_http_helix_put_text(e, "\",job=\"");
    ngx_http_helix_put_u64(e, exemplar.id);
    ngx_http_helix_put_text(e, "\"} ");
    ngx_http_helix_put_fixed(e, exemplar.value, 9);
    ngx_http_helix_put(e, " ", 1);
    ngx_http_helix_put_fixed(e, exemplar.time, 3);
}
