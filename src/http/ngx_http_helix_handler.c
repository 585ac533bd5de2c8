
/* The job of a request: read, run, answered. */

#include "ngx_http_helix.h"


static void ngx_http_helix_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_helix_handle(ngx_http_request_t *r);
static ngx_int_t ngx_http_helix_answer(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx);
static void ngx_http_helix_done(ngx_helix_job_t *job);
static void ngx_http_helix_watch(ngx_http_request_t *r);
static void ngx_http_helix_cleanup(void *data);


ngx_int_t
ngx_http_helix_handler(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD|NGX_HTTP_POST))) {

        rc = ngx_http_discard_request_body(r);
        if (rc != NGX_OK) {
            return rc;
        }

        return ngx_http_helix_send_method(r, "GET, HEAD, POST");
    }

    rc = ngx_http_read_client_request_body(r, ngx_http_helix_body);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    return NGX_DONE;
}


static void
ngx_http_helix_body(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    rc = ngx_http_helix_handle(r);

    if (rc != NGX_DONE) {
        ngx_http_finalize_request(r, rc);
    }
}


/* NGX_DONE: the job is in a lane, ngx_http_helix_done() will finalize. */

static ngx_int_t
ngx_http_helix_handle(ngx_http_request_t *r)
{
    ngx_int_t              rc;
    ngx_http_helix_ctx_t  *ctx;

    ctx = ngx_http_helix_ctx_create(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_set_ctx(r, ctx, ngx_http_helix_module);

    ctx->owner = r;
    ctx->done = ngx_http_helix_done;
    ctx->spec.received = ngx_helix_now();

#ifdef HELIX_CANARY
    ((u_char *) ngx_pnalloc(r->pool, 10))[10] = '\0';
#endif

    if (ngx_helix_exec_slot(ctx->hmcf->exec) == NULL) {
        ngx_http_helix_not_run(ctx);
        ctx->decision.reason = HELIX_NO_SLOT;
        ctx->result = NGX_HTTP_HELIX_REJECTED;
        return ngx_http_helix_send_reject(r, ctx);
    }

    rc = ngx_http_helix_check(r, ctx);

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == NGX_DECLINED) {
        ngx_http_helix_invalid(ctx);
        return ngx_http_helix_send_problem(r, ctx);
    }

    switch (ngx_http_helix_run(ctx)) {

    case NGX_DONE:
        return NGX_DONE;

    case NGX_DECLINED:
        return ngx_http_helix_send_reject(r, ctx);

    default: /* NGX_OK */
        rc = ngx_http_helix_answer(r, ctx);
        ngx_http_helix_release(ctx);
        return rc;
    }
}


ngx_http_helix_ctx_t *
ngx_http_helix_ctx_create(ngx_http_request_t *r)
{
    ngx_http_helix_ctx_t  *ctx;

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_helix_ctx_t));
    if (ctx == NULL) {
        return NULL;
    }

    ctx->request = r;
    ctx->hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);
    ctx->hlcf = ngx_http_get_module_loc_conf(r, ngx_http_helix_module);
    ctx->pool = r->pool;
    ctx->log = r->connection->log;

    return ctx;
}


ngx_int_t
ngx_http_helix_check(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = ngx_http_helix_read_job(r, ctx);

    return (rc == NGX_OK) ? ngx_http_helix_plan(ctx) : rc;
}


static ngx_int_t
ngx_http_helix_answer(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx)
{
    if (ctx->end != NGX_HELIX_COMPLETED) {
        return ngx_http_helix_send_end(r, ctx, ctx->end);
    }

    ngx_http_helix_exemplar(r, ctx);

    return ngx_http_helix_send_result(r, ctx, ctx->state);
}


ngx_int_t
ngx_http_helix_expect(ngx_http_helix_ctx_t *ctx)
{
    if (ctx->request == NULL) {
        return NGX_OK;
    }

    ctx->cleanup = ngx_http_cleanup_add(ctx->request, 0);

    return ctx->cleanup ? NGX_OK : NGX_ERROR;
}


void
ngx_http_helix_attach(ngx_http_helix_ctx_t *ctx, ngx_helix_job_t *job)
{
    ctx->job = job;

    if (ctx->request) {
        ctx->cleanup->handler = ngx_http_helix_cleanup;
        ctx->cleanup->data = ctx;

        ngx_http_helix_watch(ctx->request);
    }
}


/* Notices a client that leaves, also one that has left already. */

static void
ngx_http_helix_watch(ngx_http_request_t *r)
{
    ngx_event_t  *rev;

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    rev = r->connection->read;

    if (rev->ready) {
        ngx_post_event(rev, &ngx_posted_events);
    }
}


static void
ngx_http_helix_cleanup(void *data)
{
    ngx_http_helix_ctx_t *ctx = data;

    ctx->result = NGX_HTTP_HELIX_CANCELED;

    ngx_helix_job_detach(ctx->job);
    ctx->job = NULL;
}


static void
ngx_http_helix_done(ngx_helix_job_t *job)
{
    ngx_int_t              rc;
    ngx_connection_t      *c;
    ngx_http_request_t    *r;
    ngx_http_helix_ctx_t  *ctx;

    r = job->owner;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ctx = ngx_http_get_module_ctx(r, ngx_http_helix_module);

    ctx->cleanup->handler = NULL;

    ngx_http_helix_ended(ctx, job);

    rc = ngx_http_helix_answer(r, ctx);

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}
