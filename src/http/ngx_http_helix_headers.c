
#include "ngx_http_helix.h"


static ngx_int_t ngx_http_helix_level_headers(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx);
static ngx_int_t ngx_http_helix_server_timing(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx);
static ngx_uint_t ngx_http_helix_has_header(ngx_http_request_t *r,
    const char *name);


ngx_int_t
ngx_http_helix_job_headers(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx)
{
    u_char                     *id, *last;
    const char                 *strategy, *reason;
    ngx_http_helix_loc_conf_t  *hlcf;

    hlcf = ngx_http_get_module_loc_conf(r, ngx_http_helix_module);

    /* the status location has said so already */

    if (!ngx_http_helix_has_header(r, "Cache-Control")
        && ngx_http_helix_add_header(r, "Cache-Control", (u_char *) "no-store",
                                     8)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (hlcf->headers == NGX_HTTP_HELIX_HEADERS_OFF) {
        return NGX_OK;
    }

    if (!ctx->decided && !(ctx->set & (1 << NGX_HTTP_HELIX_ID))) {
        return NGX_OK;
    }

    id = ngx_pnalloc(r->pool, NGX_INT64_LEN + 1);
    if (id == NULL) {
        return NGX_ERROR;
    }

    last = ngx_sprintf(id, "%uL", ctx->id);

    if (ngx_http_helix_add_header(r, "X-Helix-Job", id, last - id) != NGX_OK) {
        return NGX_ERROR;
    }

    /* a request that was refused as invalid has not been decided on */

    if (!ctx->decided) {
        return NGX_OK;
    }

    strategy = helix_strategy_names[ctx->decision.strategy];

    if (ngx_http_helix_add_header(r, "X-Helix-Strategy", (u_char *) strategy,
                                  ngx_strlen(strategy))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->level_name && ngx_http_helix_level_headers(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (hlcf->headers == NGX_HTTP_HELIX_HEADERS_TIMING) {

        if (ngx_http_helix_server_timing(r, ctx) != NGX_OK) {
            return NGX_ERROR;
        }

    } else if (ctx->decision.strategy != HELIX_DROP) {
        return NGX_OK;
    }

    reason = helix_reason_names[ctx->decision.reason];

    return ngx_http_helix_add_header(r, "X-Helix-Reason", (u_char *) reason,
                                     ngx_strlen(reason));
}


static ngx_int_t
ngx_http_helix_level_headers(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx)
{
    char  *p;

    p = ngx_pnalloc(r->pool, 32);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_helix_add_header(r, "X-Helix-Level",
                                  (u_char *) ctx->level_name,
                                  ngx_strlen(ctx->level_name))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_helix_add_header(r, "X-Helix-Quality", (u_char *) p,
                                     helix_number_print(ctx->quality, p));
}


/* Shown by the developer tools of a browser; tells outsiders how the server
   spends its time, which is why it is not the default. */

static ngx_int_t
ngx_http_helix_server_timing(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx)
{
    u_char  *p, *last;

    if (ctx->times.total == 0) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, 2 * NGX_INT64_LEN + 128);
    if (p == NULL) {
        return NGX_ERROR;
    }

    last = ngx_sprintf(p, "queue;dur=%uL.%03uL, exec;dur=%uL.%03uL;"
                       "desc=\"%V\", helix;desc=\"%s %s\"",
                       ctx->times.queue / 1000000,
                       ctx->times.queue / 1000 % 1000,
                       ctx->times.exec / 1000000,
                       ctx->times.exec / 1000 % 1000, &ctx->kind->name,
                       helix_strategy_names[ctx->decision.strategy],
                       helix_reason_names[ctx->decision.reason]);

    return ngx_http_helix_add_header(r, "Server-Timing", p, last - p);
}


static ngx_uint_t
ngx_http_helix_has_header(ngx_http_request_t *r, const char *name)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].hash && ngx_http_helix_is(&h[i].key, name)) {
                return 1;
            }
        }
    }

    return 0;
}


ngx_int_t
ngx_http_helix_add_header(ngx_http_request_t *r, const char *name,
    u_char *value, size_t len)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value.data = value;
    h->value.len = len;

#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    return NGX_OK;
}


ngx_str_t *
ngx_http_helix_request_header(ngx_http_request_t *r, const char *name,
    ngx_uint_t nth)
{
    size_t            len;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    len = ngx_strlen(name);

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == len
                && ngx_strncasecmp(h[i].key.data, (u_char *) name, len) == 0
                && nth-- == 0)
            {
                return &h[i].value;
            }
        }
    }

    return NULL;
}
