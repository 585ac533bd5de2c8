
/* The answer to a job that has a result. */

#include "ngx_http_helix.h"


#define NGX_HTTP_HELIX_RESULT_LEN    512
#define NGX_HTTP_HELIX_RESULT_MAX    (16 * 1024 * 1024)


typedef struct {
    helix_output_t        output;
    ngx_http_request_t   *request;
    helix_json_writer_t  *json;
    const char           *type;           /* NULL: JSON */
    u_char               *body;           /* NULL then: no memory */
    size_t                len;
} ngx_http_helix_output_t;


static void ngx_http_helix_write_result(ngx_http_helix_ctx_t *ctx,
    ngx_http_helix_output_t *out, const void *state);
static ngx_int_t ngx_http_helix_send_output(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, ngx_http_helix_output_t *out);
static void ngx_http_helix_output_init(ngx_http_request_t *r,
    ngx_http_helix_output_t *out, helix_json_writer_t *json);
static void ngx_http_helix_output_u64(helix_output_t *out, uint64_t value);
static void ngx_http_helix_output_f64(helix_output_t *out, double value);
static void ngx_http_helix_output_text(helix_output_t *out, const char *text,
    size_t len);
static void ngx_http_helix_output_boolean(helix_output_t *out, int value);
static void ngx_http_helix_output_key(helix_output_t *out, const char *name);
static void ngx_http_helix_output_object(helix_output_t *out);
static void ngx_http_helix_output_object_end(helix_output_t *out);
static void ngx_http_helix_output_array(helix_output_t *out);
static void ngx_http_helix_output_array_end(helix_output_t *out);
static void ngx_http_helix_output_body(helix_output_t *out, const char *type,
    const void *data, size_t len);


ngx_int_t
ngx_http_helix_send_result(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    const void *state)
{
    size_t                    size;
    u_char                   *p;
    helix_json_writer_t       json;
    ngx_http_helix_output_t   out;

    if (ctx->result == NGX_HTTP_HELIX_NONE) {
        ctx->result = NGX_HTTP_HELIX_COMPLETED;
    }

    /* a kind writes its answer into what it is given: once more, into twice
       the room, is cheaper than a list of buffers for the few large ones */

    for (size = NGX_HTTP_HELIX_RESULT_LEN;
         size <= NGX_HTTP_HELIX_RESULT_MAX;
         size *= 4)
    {
        p = ngx_pnalloc(r->pool, size);
        if (p == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        helix_json_writer_init(&json, (char *) p, size - 1);
        ngx_http_helix_output_init(r, &out, &json);

        ngx_http_helix_write_result(ctx, &out, state);

        if (out.type || !json.overflow) {
            return ngx_http_helix_send_output(r, ctx, &out);
        }

        (void) ngx_pfree(r->pool, p);
    }

    return NGX_HTTP_INTERNAL_SERVER_ERROR;
}


static ngx_int_t
ngx_http_helix_send_output(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    ngx_http_helix_output_t *out)
{
    if (ngx_http_helix_job_headers(r, ctx) != NGX_OK
        || (out->type && out->body == NULL))
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (out->type) {

        /* what a kind makes of a client's body is what it says it is */

        if (ngx_http_helix_add_header(r, "X-Content-Type-Options",
                                      (u_char *) "nosniff", 7)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_helix_send_body(r, NGX_HTTP_OK, out->type, out->body,
                                        out->len);
    }

    *out->json->pos++ = '\n';

    return ngx_http_helix_send_body(r, NGX_HTTP_OK, "application/json",
                                    (u_char *) out->json->start,
                                    out->json->pos - out->json->start);
}


static void
ngx_http_helix_write_result(ngx_http_helix_ctx_t *ctx,
    ngx_http_helix_output_t *out, const void *state)
{
    helix_json_writer_t  *json;

    json = out->json;
    json->quote_integers = ctx->bigint_string;

    helix_json_object(json);

    helix_json_key(json, "id");
    helix_json_u64(json, ctx->id);
    helix_json_key(json, "kind");
    helix_json_string(json, (char *) ctx->kind->name.data,
                      ctx->kind->name.len);
    helix_json_key(json, "strategy");
    helix_json_cstring(json, helix_strategy_names[ctx->decision.strategy]);
    helix_json_key(json, "reason");
    helix_json_cstring(json, helix_reason_names[ctx->decision.reason]);

    helix_json_key(json, "outputs");
    helix_json_array(json);

    out->output.truncated = ctx->truncated;
    ctx->spec.kind->finish(state, &out->output);

    if (out->type) {
        return;
    }

    helix_json_array_end(json);

    json->quote_integers = 0;

    if (ctx->level_name) {
        helix_json_key(json, "level");
        helix_json_cstring(json, ctx->level_name);
        helix_json_key(json, "quality");
        helix_json_double(json, ctx->quality);
    }

    if (ctx->batch_size) {
        helix_json_key(json, "batch_size");
        helix_json_u64(json, ctx->batch_size);
    }

    helix_json_key(json, "queue_ms");
    helix_json_fixed(json, ctx->times.queue / 1000, 3);
    helix_json_key(json, "exec_ms");
    helix_json_fixed(json, ctx->times.exec / 1000, 3);
    helix_json_key(json, "total_ms");
    helix_json_fixed(json, ctx->times.total / 1000, 3);

    ngx_http_helix_add_explain(out->request, json, ctx);

    helix_json_object_end(json);
}


static void
ngx_http_helix_output_init(ngx_http_request_t *r, ngx_http_helix_output_t *out,
    helix_json_writer_t *json)
{
    out->output.size = sizeof(helix_output_t);
    out->output.u64 = ngx_http_helix_output_u64;
    out->output.f64 = ngx_http_helix_output_f64;
    out->output.text = ngx_http_helix_output_text;
    out->output.boolean = ngx_http_helix_output_boolean;
    out->output.key = ngx_http_helix_output_key;
    out->output.object = ngx_http_helix_output_object;
    out->output.object_end = ngx_http_helix_output_object_end;
    out->output.array = ngx_http_helix_output_array;
    out->output.array_end = ngx_http_helix_output_array_end;
    out->output.body = ngx_http_helix_output_body;

    out->request = r;
    out->json = json;
    out->type = NULL;
    out->body = NULL;
    out->len = 0;
}


static void
ngx_http_helix_output_u64(helix_output_t *out, uint64_t value)
{
    helix_json_u64(((ngx_http_helix_output_t *) out)->json, value);
}


static void
ngx_http_helix_output_f64(helix_output_t *out, double value)
{
    helix_json_double(((ngx_http_helix_output_t *) out)->json, value);
}


static void
ngx_http_helix_output_text(helix_output_t *out, const char *text, size_t len)
{
    helix_json_string(((ngx_http_helix_output_t *) out)->json, text, len);
}


static void
ngx_http_helix_output_boolean(helix_output_t *out, int value)
{
    helix_json_bool(((ngx_http_helix_output_t *) out)->json, value);
}


static void
ngx_http_helix_output_key(helix_output_t *out, const char *name)
{
    helix_json_key(((ngx_http_helix_output_t *) out)->json, name);
}


static void
ngx_http_helix_output_object(helix_output_t *out)
{
    helix_json_object(((ngx_http_helix_output_t *) out)->json);
}


static void
ngx_http_helix_output_object_end(helix_output_t *out)
{
    helix_json_object_end(((ngx_http_helix_output_t *) out)->json);
}


static void
ngx_http_helix_output_array(helix_output_t *out)
{
    helix_json_array(((ngx_http_helix_output_t *) out)->json);
}


static void
ngx_http_helix_output_array_end(helix_output_t *out)
{
    helix_json_array_end(((ngx_http_helix_output_t *) out)->json);
}


static void
ngx_http_helix_output_body(helix_output_t *output, const char *type,
    const void *data, size_t len)
{
    ngx_http_helix_output_t *out = (ngx_http_helix_output_t *) output;

    if (out->type) {
        return;
    }

    out->type = type;
    out->len = len;
    out->body = ngx_pnalloc(out->request->pool, len ? len : 1);

    if (out->body) {
        ngx_memcpy(out->body, data, len);
    }
}
