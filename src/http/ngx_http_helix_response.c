
#include "ngx_http_helix.h"

#include <stdarg.h>


#define NGX_HTTP_HELIX_PROBLEM_LEN   4096
#define NGX_HTTP_HELIX_ERRORS_LEN    16384
#define NGX_HTTP_HELIX_VALUE_LEN     64


typedef struct {
    ngx_uint_t            status;
    const char           *title;
} ngx_http_helix_invalid_info_t;


static void ngx_http_helix_write_text(helix_json_writer_t *json,
    const char *key, u_char *data, size_t len);
static void ngx_http_helix_write_kinds(ngx_http_request_t *r,
    helix_json_writer_t *json);
static void ngx_http_helix_write_problem(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, helix_json_writer_t *json);
static ngx_int_t ngx_http_helix_send_problem_json(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, uint64_t retry_after);
static uint64_t ngx_http_helix_retry_after(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx);
static ngx_int_t ngx_http_helix_has_error_page(ngx_http_request_t *r,
    ngx_uint_t status);


/* In the order of ngx_helix_invalid_t. */

static const ngx_http_helix_invalid_info_t
    ngx_http_helix_invalids[NGX_HELIX_INVALIDS] =
{
    { 400, "The body is not valid JSON" },
    { 400, "A field of the job is wrong" },
    { 422, "Unknown kind of job" },
    { 413, "The job is too large" },
    { 415, "Unsupported media type" }
};


ngx_int_t
ngx_http_helix_problem(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    ngx_helix_invalid_t invalid, const char *field, const char *fmt, ...)
{
    u_char   *p;
    va_list   args;

    ctx->invalid = invalid;
    ctx->problem.status = ngx_http_helix_invalids[invalid].status;
    ctx->problem.code = ngx_helix_invalid_names[invalid];
    ctx->problem.title = ngx_http_helix_invalids[invalid].title;
    ctx->problem.field = field;

    p = ngx_pnalloc(r ? r->pool : ctx->pool, NGX_MAX_ERROR_STR);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ctx->problem.detail.data = p;

    va_start(args, fmt);
    p = ngx_vslprintf(p, p + NGX_MAX_ERROR_STR, fmt, args);
    va_end(args);

    ctx->problem.detail.len = p - ctx->problem.detail.data;

    return NGX_DECLINED;
}


void
ngx_http_helix_add_explain(ngx_http_request_t *r, helix_json_writer_t *json,
    ngx_http_helix_ctx_t *ctx)
{
    if (ctx->explain && ctx->decided && ctx->kind) {
        helix_json_key(json, "explain");
        ngx_http_helix_write_explain(json, ctx,
                    ngx_http_get_module_main_conf(r, ngx_http_helix_module));
    }
}


ngx_int_t
ngx_http_helix_send_problem(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx)
{
    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "helix: %s: %V", ctx->problem.code, &ctx->problem.detail);

    return ngx_http_helix_send_problem_json(r, ctx, ctx->problem.retry_after);
}


ngx_int_t
ngx_http_helix_send_reject(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx)
{
    uint64_t                    retry_after;
    ngx_http_helix_loc_conf_t  *hlcf;

    hlcf = ngx_http_get_module_loc_conf(r, ngx_http_helix_module);

    ctx->problem.status = hlcf->reject_status;
    ctx->problem.code = "Rejected";
    ctx->problem.title = "The job was not run";
    ngx_str_set(&ctx->problem.detail,
                "nothing was executed, it is safe to try again");

    retry_after = ngx_http_helix_retry_after(r, ctx);

    return ngx_http_helix_send_problem_json(r, ctx, retry_after);
}


ngx_int_t
ngx_http_helix_send_end(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    ngx_helix_end_t end)
{
    switch (end) {

    case NGX_HELIX_EXPIRED:
        ctx->result = NGX_HTTP_HELIX_EXPIRED;
        ctx->problem.status = NGX_HTTP_GATEWAY_TIME_OUT;
        ctx->problem.code = "Expired";
        ctx->problem.title = "The job did not finish in time";
        ngx_str_set(&ctx->problem.detail,
                    "there was no result in time");
        break;

    case NGX_HELIX_SHED:
        ctx->decision.strategy = HELIX_DROP;
        ctx->decision.reason = HELIX_INFEASIBLE;
        ctx->result = NGX_HTTP_HELIX_REJECTED;
        return ngx_http_helix_send_reject(r, ctx);

    case NGX_HELIX_FAILED:
        ctx->result = NGX_HTTP_HELIX_FAILED;
        ctx->problem.status = NGX_HTTP_HELIX_UNPROCESSABLE;
        ctx->problem.code = "Kernel";
        ctx->problem.title = "The job failed";
        ngx_str_set(&ctx->problem.detail,
                    "the kernel could not compute a result");
        break;

    default: /* NGX_HELIX_CANCELLED: the worker is going down */
        ctx->result = NGX_HTTP_HELIX_CANCELED;
        return NGX_HTTP_CLOSE;
    }

    return ngx_http_helix_send_problem_json(r, ctx, 0);
}


/* Also the way out of a status that the administrator answers himself. */

static ngx_int_t
ngx_http_helix_send_problem_json(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, uint64_t retry_after)
{
    size_t                size;
    u_char               *p, *value, *last;
    helix_json_writer_t   json;

    if (ngx_http_helix_has_error_page(r, ctx->problem.status) == NGX_OK) {
        return (ngx_http_helix_keep_ctx(r, ctx) == NGX_OK)
               ? (ngx_int_t) ctx->problem.status
               : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    size = NGX_HTTP_HELIX_PROBLEM_LEN
           + (ctx->problem.violations ? NGX_HTTP_HELIX_ERRORS_LEN : 0);

    p = ngx_pnalloc(r->pool, size);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    helix_json_writer_init(&json, (char *) p, size - 1);

    helix_json_object(&json);
    ngx_http_helix_write_problem(r, ctx, &json);

    if (ctx->decision.strategy == HELIX_DROP) {
        helix_json_key(&json, "reason");
        helix_json_cstring(&json, helix_reason_names[ctx->decision.reason]);
    }

    if (retry_after) {
        helix_json_key(&json, "retry_after_ms");
        helix_json_u64(&json, retry_after);
    }

    ngx_http_helix_add_explain(r, &json, ctx);

    helix_json_object_end(&json);
    *json.pos++ = '\n';

    if (ngx_http_helix_job_headers(r, ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (retry_after) {
        value = ngx_pnalloc(r->pool, NGX_INT64_LEN);
        if (value == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        last = ngx_sprintf(value, "%uL", (retry_after + 999) / 1000);

        if (ngx_http_helix_add_header(r, "Retry-After", value, last - value)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    return ngx_http_helix_send_body(r, ctx->problem.status,
                                    "application/problem+json", p,
                                    json.pos - json.start);
}


static void
ngx_http_helix_write_problem(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    helix_json_writer_t *json)
{
    size_t                     rest;
    ngx_http_helix_problem_t  *problem;

    problem = &ctx->problem;

    helix_json_key(json, "title");
    helix_json_cstring(json, problem->title);
    helix_json_key(json, "status");
    helix_json_u64(json, r->err_status ? r->err_status : problem->status);
    helix_json_key(json, "code");
    helix_json_cstring(json, problem->code);
    helix_json_key(json, "detail");
    helix_json_string(json, (char *) problem->detail.data,
                      ngx_min(problem->detail.len, 512));

    if (problem->field) {
        helix_json_key(json, "field");
        helix_json_cstring(json, problem->field);
    }

    if (problem->value.data) {
        ngx_http_helix_write_text(json, "value", problem->value.data,
                                  problem->value.len);
    }

    if (problem->expected) {
        helix_json_key(json, "expected");
        helix_json_cstring(json, problem->expected);
    }

    if (problem->nearest) {
        helix_json_key(json, "did_you_mean");
        helix_json_cstring(json, problem->nearest);
    }

    if (problem->known) {
        ngx_http_helix_write_kinds(r, json);
    }

    if (problem->limit) {
        helix_json_key(json, "limit");
        helix_json_u64(json, problem->limit);
    }

    if (problem->etag) {
        helix_json_key(json, "etag");
        helix_json_cstring(json, problem->etag);
    }

    if (problem->violations) {
        helix_json_key(json, "errors");
        ngx_http_helix_write_violations(json, problem->violations);
    }

    if (problem->status == NGX_HTTP_BAD_REQUEST
        && ctx->invalid == NGX_HELIX_BAD_JSON && problem->json.data)
    {
        helix_json_key(json, "offset");
        helix_json_u64(json, problem->offset);

        rest = problem->json.len - problem->offset;

        ngx_http_helix_write_text(json, "near",
                                  problem->json.data + problem->offset,
                                  ngx_min(rest, 16));
    }
}


/* What the client has sent comes back short. */

static void
ngx_http_helix_write_text(helix_json_writer_t *json, const char *key,
    u_char *data, size_t len)
{
    helix_json_key(json, key);
    helix_json_string(json, (char *) data,
                      ngx_min(len, NGX_HTTP_HELIX_VALUE_LEN));
}


static void
ngx_http_helix_write_kinds(ngx_http_request_t *r, helix_json_writer_t *json)
{
    ngx_uint_t                   i;
    ngx_http_helix_main_conf_t  *hmcf;

    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);

    helix_json_key(json, "known");
    helix_json_array(json);

    for (i = 0; i < hmcf->nkinds; i++) {
        helix_json_string(json, (char *) hmcf->kinds[i].name.data,
                          hmcf->kinds[i].name.len);
    }

    helix_json_array_end(json);
}


static uint64_t
ngx_http_helix_retry_after(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx)
{
    uint64_t                     n, servers;
    helix_strategy_t             lane;
    ngx_helix_zone_t            *zone;
    ngx_http_helix_loc_conf_t   *hlcf;
    ngx_http_helix_main_conf_t  *hmcf;

    hlcf = ngx_http_get_module_loc_conf(r, ngx_http_helix_module);

    if (hlcf->retry_after == NGX_HTTP_HELIX_RETRY_OFF) {
        return 0;
    }

    if (hlcf->retry_after != NGX_HTTP_HELIX_RETRY_AUTO) {
        return hlcf->retry_after;
    }

    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);
    zone = ngx_helix_exec_zone(hmcf->exec);

    if (hmcf->settings.predictive) {

        /* to come back would not help */

        if (ctx->decision.reason == HELIX_TOO_BIG) {
            return 0;
        }

        return ngx_helix_exec_retry(hmcf->exec, &ctx->spec.service);
    }

    /* the lane that had no room; the policy refuses for the pool's sake */

    lane = (ctx->spec.strategy == HELIX_DROP) ? HELIX_CPU_POOL
                                              : ctx->spec.strategy;

    n = ngx_helix_waiting(zone, lane);

    if (lane == HELIX_SPAWN) {
        servers = ngx_helix_zone_workers(zone);

    } else {
        n += ngx_helix_tokens_busy(zone);
        servers = hmcf->settings.concurrency;
    }

    return helix_retry_after(n, ngx_helix_zone_mean_exec(zone, lane), servers,
                             1, (uint32_t) ngx_random() << 1);
}


ngx_int_t
ngx_http_helix_send_method(ngx_http_request_t *r, const char *allow)
{
    if (ngx_http_helix_has_error_page(r, NGX_HTTP_NOT_ALLOWED) != NGX_OK
        && ngx_http_helix_add_header(r, "Allow", (u_char *) allow,
                                     ngx_strlen(allow))
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_helix_send_error(r, NGX_HTTP_NOT_ALLOWED,
                                     "MethodNotAllowed", "Method not allowed",
                                     "the Allow header names the methods "
                                     "there are");
}


ngx_int_t
ngx_http_helix_send_busy(ngx_http_request_t *r, const char *code,
    const char *title, const char *detail, const char *seconds)
{
    if (ngx_http_helix_has_error_page(r, NGX_HTTP_SERVICE_UNAVAILABLE)
        != NGX_OK
        && ngx_http_helix_add_header(r, "Retry-After", (u_char *) seconds,
                                     ngx_strlen(seconds))
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_helix_send_error(r, NGX_HTTP_SERVICE_UNAVAILABLE, code,
                                     title, detail);
}


ngx_int_t
ngx_http_helix_send_error(ngx_http_request_t *r, ngx_uint_t status,
    const char *code, const char *title, const char *detail)
{
    ngx_http_helix_ctx_t  *ctx;

    ctx = ngx_http_helix_ctx_create(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->problem.status = status;
    ctx->problem.code = code;
    ctx->problem.title = title;
    ctx->problem.detail.data = (u_char *) detail;
    ctx->problem.detail.len = ngx_strlen(detail);

    return ngx_http_helix_send_problem_json(r, ctx, 0);
}


ngx_int_t
ngx_http_helix_send_body(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, u_char *body, size_t len)
{
    ngx_int_t    rc;
    ngx_buf_t   *b;
    ngx_chain_t  out;

    r->headers_out.status = status;
    r->headers_out.content_length_n = len;
    r->headers_out.content_type.data = (u_char *) type;
    r->headers_out.content_type.len = ngx_strlen(type);
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    if (status == NGX_HTTP_HELIX_UNPROCESSABLE) {
        ngx_str_set(&r->headers_out.status_line, "422 Unprocessable Content");
    }

    /* what was done already must not be answered with 412 or 304 */

    if (r->headers_out.etag == NULL) {
        r->disable_not_modified = 1;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->pos = body;
    b->last = body + len;
    b->memory = 1;
    b->last_buf = (r == r->main);
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


/* As in ngx_http_special_response_handler(). */

static ngx_int_t
ngx_http_helix_has_error_page(ngx_http_request_t *r, ngx_uint_t status)
{
    ngx_uint_t                 i;
    ngx_http_err_page_t       *page;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->error_pages == NULL
        || (r->error_page && !clcf->recursive_error_pages))
    {
        return NGX_DECLINED;
    }

    page = clcf->error_pages->elts;

    for (i = 0; i < clcf->error_pages->nelts; i++) {
        if (page[i].status == (ngx_int_t) status) {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}
