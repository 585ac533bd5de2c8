
#include "ngx_http_helix.h"


/* of the state of a job */
#define NGX_HTTP_HELIX_ALIGN  64


static void ngx_http_helix_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_helix_run(ngx_http_request_t *r);
static void ngx_http_helix_not_run(ngx_http_helix_ctx_t *ctx,
    ngx_http_helix_main_conf_t *hmcf);
static void ngx_http_helix_args(ngx_http_helix_ctx_t *ctx, helix_args_t *args);
static ngx_uint_t ngx_http_helix_dry_run(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx);
static void ngx_http_helix_log_reject(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx);
static void ngx_http_helix_approximated(ngx_http_helix_ctx_t *ctx,
    ngx_uint_t truncated, double quality);
static ngx_int_t ngx_http_helix_inline(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx);
static ngx_int_t ngx_http_helix_defer(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx);
static ngx_int_t ngx_http_helix_no_room(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, helix_reason_t reason);
static ngx_int_t ngx_http_helix_drop(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, helix_reason_t reason);
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

    rc = ngx_http_helix_run(r);

    if (rc != NGX_DONE) {
        ngx_http_finalize_request(r, rc);
    }
}


/* NGX_DONE: the job is in a lane, ngx_http_helix_done() will finalize. */

static ngx_int_t
ngx_http_helix_run(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    ngx_uint_t                   kind;
    ngx_http_helix_ctx_t        *ctx;
    ngx_http_helix_main_conf_t  *hmcf;

    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_helix_ctx_t));
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_set_ctx(r, ctx, ngx_http_helix_module);

    ctx->spec.received = ngx_helix_now();

#ifdef HELIX_CANARY
    ((u_char *) ngx_pnalloc(r->pool, 10))[10] = '\0';
#endif

    if (ngx_helix_exec_slot(hmcf->exec) == NULL) {
        ngx_http_helix_not_run(ctx, hmcf);
        ctx->decision.reason = HELIX_NO_SLOT;
        ctx->result = NGX_HTTP_HELIX_REJECTED;
        return ngx_http_helix_send_reject(r, ctx);
    }

    rc = ngx_http_helix_check(r, ctx);

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == NGX_DECLINED) {
        kind = ctx->kind ? ctx->kind->index : NGX_HELIX_NO_KIND;
        ngx_helix_count_invalid(ngx_helix_exec_slot(hmcf->exec), kind,
                                ctx->invalid);
        ctx->result = NGX_HTTP_HELIX_INVALID;
        return ngx_http_helix_send_problem(r, ctx);
    }

    if (ctx->kind->down) {
        ngx_http_helix_not_run(ctx, hmcf);
        return ngx_http_helix_drop(r, ctx, HELIX_KERNEL);
    }

    if (ctx->plan.memory > hmcf->settings.memory
        || ctx->plan.extra > hmcf->settings.memory - ctx->plan.memory)
    {
        ngx_http_helix_not_run(ctx, hmcf);
        return ngx_http_helix_drop(r, ctx, HELIX_MEMORY);
    }

    rc = ngx_http_helix_share(r, ctx);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    ngx_http_helix_decide(r, ctx, 0);

    if (ctx->decision.strategy == HELIX_DROP && ngx_http_helix_dry_run(r, ctx))
    {
        return ngx_http_helix_defer(r, ctx);
    }

    switch (ctx->decision.strategy) {

    case HELIX_INLINE:
        return ngx_http_helix_inline(r, ctx);

    case HELIX_DROP:
        return ngx_http_helix_drop(r, ctx, ctx->decision.reason);

    default: /* HELIX_SPAWN, HELIX_CPU_POOL, HELIX_BATCH */
        return ngx_http_helix_defer(r, ctx);
    }
}


static void
ngx_http_helix_not_run(ngx_http_helix_ctx_t *ctx,
    ngx_http_helix_main_conf_t *hmcf)
{
    ctx->decided = 1;
    ctx->decision.strategy = HELIX_DROP;
    ctx->spec.strategy = HELIX_DROP;
    ctx->policy = ngx_http_helix_policy_name(hmcf);
}


ngx_int_t
ngx_http_helix_check(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx)
{
    ngx_int_t                   rc;
    helix_args_t                args;
    ngx_http_helix_kind_t      *kind;
    ngx_http_helix_loc_conf_t  *hlcf;

    rc = ngx_http_helix_read_job(r, ctx);
    if (rc != NGX_OK) {
        return rc;
    }

    hlcf = ngx_http_get_module_loc_conf(r, ngx_http_helix_module);
    kind = ctx->kind;

    if (ctx->inputs.nelts > kind->max_inputs) {
        ctx->problem.limit = kind->max_inputs;
        return ngx_http_helix_problem(r, ctx, NGX_HELIX_TOO_LARGE, "inputs",
                                      "%ui inputs are more than the %ui that "
                                      "\"max_inputs\" of helix_kind %V allows",
                                      ctx->inputs.nelts, kind->max_inputs,
                                      &kind->name);
    }

    ctx->plan.size = sizeof(helix_plan_t);

    ngx_http_helix_args(ctx, &args);

    if (kind->kind->plan(kind->instance, &args, &ctx->plan) != HELIX_DONE) {
        ctx->plan.error[HELIX_KIND_ERROR_MAX - 1] = '\0';

        return ngx_http_helix_problem(r, ctx, NGX_HELIX_BAD_FIELD,
                                      ctx->plan.field, "%s", ctx->plan.error);
    }

    if (ctx->plan.work > kind->max_cost) {
        ctx->problem.limit = kind->max_cost;
        return ngx_http_helix_problem(r, ctx, NGX_HELIX_TOO_LARGE,
                                      "compute_cost",
                                      "the work of %uL units is more than the "
                                      "%uL that \"max_cost\" of helix_kind %V "
                                      "allows", ctx->plan.work,
                                      kind->max_cost, &kind->name);
    }

    /* of the forms with parameters the declared cost says nothing */

    ctx->routed = ctx->cost;

    if (ctx->params || ctx->body_type) {
        ctx->routed = (ctx->set & (1 << NGX_HTTP_HELIX_COST))
                      ? ngx_max(ctx->cost, ctx->plan.work) : ctx->plan.work;
    }

    ctx->spec.kind = kind->kind;
    ctx->spec.kind_index = kind->index;
    ctx->spec.memory = ctx->plan.memory;
    ctx->spec.extra = ctx->plan.extra;
    ctx->spec.batch_key = ctx->plan.batch_key;
    ctx->spec.anytime = (ctx->plan.flags & HELIX_ANYTIME)
                        && kind->kind->quality;
    ctx->spec.quality = 1;
    ctx->spec.min_quality = ctx->min_quality;
    ctx->spec.work = ctx->plan.work;
    ctx->spec.budget = ctx->budget * 1000000;
    ctx->spec.timeout = hlcf->timeout;

    return NGX_OK;
}


static void
ngx_http_helix_args(ngx_http_helix_ctx_t *ctx, helix_args_t *args)
{
    args->size = sizeof(helix_args_t);
    args->ninputs = ctx->inputs.nelts;
    args->inputs = ctx->inputs.elts;
    args->id = ctx->id;
    args->cost = ctx->cost;
    args->values = ctx->values;
    args->body = ctx->body.data;
    args->body_len = ctx->body.len;
    args->body_type = ctx->body_type;
    args->level = ctx->level;
}


static ngx_int_t
ngx_http_helix_inline(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx)
{
    u_char                      *memory, *state;
    double                       quality;
    ngx_int_t                    rc;
    helix_args_t                 args;
    ngx_helix_end_t              end;
    ngx_http_helix_main_conf_t  *hmcf;

    memory = ngx_pnalloc(r->pool,
                         ctx->plan.memory + NGX_HTTP_HELIX_ALIGN - 1);
    if (memory == NULL) {
        return ngx_http_helix_drop(r, ctx, HELIX_MEMORY);
    }

    state = ngx_align_ptr(memory, NGX_HTTP_HELIX_ALIGN);

    ngx_http_helix_args(ctx, &args);
    ctx->spec.kind->start(ctx->kind->instance, state, &args);

    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);

    end = ngx_helix_exec_inline(hmcf->exec, &ctx->spec, state, &ctx->times,
                                &quality);

    if (end == NGX_HELIX_COMPLETED) {
        ngx_http_helix_approximated(ctx, quality > 0, quality);
        rc = ngx_http_helix_send_result(r, ctx, state);

    } else {
        rc = ngx_http_helix_send_end(r, ctx, end);
    }

    if (ctx->spec.kind->clear) {
        ctx->spec.kind->clear(state);
    }

    /* the client may take its time over the answer */

    (void) ngx_pfree(r->pool, memory);

    return rc;
}


/* Says so in the answer, if it is not the full one. */

static void
ngx_http_helix_approximated(ngx_http_helix_ctx_t *ctx, ngx_uint_t truncated,
    double quality)
{
    ctx->truncated = truncated;

    if (truncated) {
        ctx->level_name = NGX_HTTP_HELIX_TRUNCATED;
        ctx->quality = quality;

    } else if (ctx->spec.level) {
        ctx->level_name = ctx->spec.kind->levels[ctx->spec.level - 1];
        ctx->quality = ctx->spec.quality;
    }
}


static ngx_int_t
ngx_http_helix_defer(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx)
{
    helix_args_t                 args;
    ngx_helix_job_t             *job;
    ngx_helix_exec_t            *exec;
    ngx_http_cleanup_t          *cln;
    ngx_http_helix_main_conf_t  *hmcf;

    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);
    exec = hmcf->exec;

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return ngx_http_helix_drop(r, ctx, HELIX_MEMORY);
    }

    (void) ngx_http_helix_identity(r, ctx);

    if (ngx_helix_exec_admit(exec, ctx->spec.strategy) != NGX_OK) {
        return ngx_http_helix_no_room(r, ctx, HELIX_QUEUE_FULL);
    }

    job = ngx_helix_job_create(exec, &ctx->spec);
    if (job == NULL) {
        return ngx_http_helix_no_room(r, ctx, HELIX_MEMORY);
    }

    ngx_http_helix_args(ctx, &args);
    ctx->spec.kind->start(ctx->kind->instance, job->state, &args);

    if (ngx_helix_job_start(job, r, ngx_http_helix_done) != NGX_OK) {
        return ngx_http_helix_drop(r, ctx, HELIX_MEMORY);
    }

    if (ctx->result == NGX_HTTP_HELIX_REJECTED_DRY_RUN) {
        ngx_helix_count_dry_run(ngx_helix_exec_slot(exec));
        ngx_http_helix_log_reject(r, ctx);
    }

    ctx->cleanup = cln;
    ngx_http_helix_attach(r, ctx, job);

    return NGX_DONE;
}


/* What is cheap enough for the event loop needs no place to wait. */

static ngx_int_t
ngx_http_helix_no_room(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    helix_reason_t reason)
{
    if (!ctx->spec.turn) {
        return ngx_http_helix_drop(r, ctx, reason);
    }

    ctx->decision.strategy = HELIX_INLINE;
    ctx->spec.strategy = HELIX_INLINE;

    return ngx_http_helix_inline(r, ctx);
}


void
ngx_http_helix_attach(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    ngx_helix_job_t *job)
{
    ctx->job = job;

    ctx->cleanup->handler = ngx_http_helix_cleanup;
    ctx->cleanup->data = ctx;

    ngx_http_helix_watch(r);
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


void
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
    ctx->job = NULL;
    ctx->times = job->times;

    if (ctx->spec.strategy == HELIX_BATCH) {
        ctx->batch_size = job->batch_size;
    }

    if (job->end == NGX_HELIX_COMPLETED) {
        ctx->spec.level = job->spec.level;
        ctx->spec.quality = job->quality;
        ngx_http_helix_approximated(ctx, job->truncated, job->quality);

        rc = ngx_http_helix_send_result(r, ctx, job->state);

    } else {
        rc = ngx_http_helix_send_end(r, ctx, job->end);
    }

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


/* Runs what the policy would have dropped, where it harms least; only a full
   queue still stops it. */

static ngx_uint_t
ngx_http_helix_dry_run(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx)
{
    ngx_http_helix_loc_conf_t  *hlcf;

    hlcf = ngx_http_get_module_loc_conf(r, ngx_http_helix_module);

    if (!hlcf->dry_run) {
        return 0;
    }

    ctx->result = NGX_HTTP_HELIX_REJECTED_DRY_RUN;
    ctx->decision.strategy = HELIX_CPU_POOL;
    ctx->spec.strategy = HELIX_CPU_POOL;
    ctx->spec.forced = 1;

    return 1;
}


/* At most one line a second and worker, with the number left out. */

static void
ngx_http_helix_log_reject(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx)
{
    time_t                       now;
    ngx_http_helix_loc_conf_t   *hlcf;
    ngx_http_helix_main_conf_t  *hmcf;

    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);
    hlcf = ngx_http_get_module_loc_conf(r, ngx_http_helix_module);

    now = ngx_time();

    if (now == hmcf->log_second) {
        hmcf->log_count++;
        return;
    }

    ngx_log_error(hlcf->log_level, r->connection->log, 0,
                  "helix: job rejected%s, reason \"%s\", kind %V, "
                  "pressure %.2f, busy %ui/%uL (+%ui not logged)",
                  ctx->result == NGX_HTTP_HELIX_REJECTED ? "" : " (dry run)",
                  helix_reason_names[ctx->decision.reason], &ctx->kind->name,
                  ctx->pressure, ctx->busy, hmcf->settings.concurrency,
                  hmcf->log_count);

    hmcf->log_second = now;
    hmcf->log_count = 0;
}


static ngx_int_t
ngx_http_helix_drop(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    helix_reason_t reason)
{
    double                       busy;
    uint64_t                     now;
    ngx_helix_exec_t            *exec;
    ngx_helix_slot_t            *slot;
    ngx_http_helix_main_conf_t  *hmcf;

    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);
    exec = hmcf->exec;
    slot = ngx_helix_exec_slot(exec);

    ctx->decision.strategy = HELIX_DROP;
    ctx->decision.reason = reason;
    ctx->result = NGX_HTTP_HELIX_REJECTED;

    ngx_http_helix_log_reject(r, ctx);

    ngx_helix_count_dropped(slot, ctx->kind->index, reason);

    now = ctx->spec.received / 1000000;
    busy = (double) ngx_helix_tokens_busy(ngx_helix_exec_zone(exec))
           / hmcf->settings.concurrency;

    helix_pressure_record(ngx_helix_slot_pressure(slot), hmcf->settings.alpha,
                          now, busy, 1, 1.0);

    return ngx_http_helix_send_reject(r, ctx);
}
