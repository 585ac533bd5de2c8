
#include "ngx_http_helix.h"


static void ngx_http_helix_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_helix_run(ngx_http_request_t *r);
static void ngx_http_helix_args(ngx_http_helix_ctx_t *ctx, helix_args_t *args);
static void ngx_http_helix_threshold(ngx_http_helix_ctx_t *ctx,
    ngx_http_helix_main_conf_t *hmcf);
static ngx_uint_t ngx_http_helix_dry_run(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx);
static void ngx_http_helix_log_reject(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx);
static ngx_int_t ngx_http_helix_inline(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx);
static ngx_int_t ngx_http_helix_defer(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx);
static ngx_int_t ngx_http_helix_drop(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, helix_reason_t reason);
static void ngx_http_helix_watch(ngx_http_request_t *r);
static void ngx_http_helix_cleanup(void *data);
static void ngx_http_helix_done(ngx_helix_job_t *job);


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
        ctx->decided = 1;
        ctx->decision.strategy = HELIX_DROP;
        ctx->decision.reason = HELIX_NO_SLOT;
        ctx->spec.strategy = HELIX_DROP;
        ctx->policy = ngx_http_helix_policy_name(hmcf);
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
        return ngx_http_helix_problem(r, ctx, NGX_HELIX_BAD_FIELD, NULL, "%s",
                                      ctx->plan.error);
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

    ctx->spec.kind = kind->kind;
    ctx->spec.kind_index = kind->index;
    ctx->spec.memory = ctx->plan.memory;
    ctx->spec.work = ctx->plan.work;
    ctx->spec.budget = ctx->budget * 1000000;
    ctx->spec.timeout = hlcf->timeout;

    return NGX_OK;
}


static void
ngx_http_helix_args(ngx_http_helix_ctx_t *ctx, helix_args_t *args)
{
    args->size = sizeof(helix_args_t);
    args->inputs = ctx->inputs.elts;
    args->ninputs = ctx->inputs.nelts;
    args->id = ctx->id;
    args->cost = ctx->cost;
}


void
ngx_http_helix_decide(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    ngx_uint_t explain)
{
    ngx_uint_t                   pinned;
    ngx_helix_zone_t            *zone;
    ngx_http_helix_main_conf_t  *hmcf;

    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);
    zone = ngx_helix_exec_zone(hmcf->exec);

    ctx->decided = 1;
    ctx->pressure = ngx_helix_exec_pressure(hmcf->exec);
    ctx->busy = ngx_helix_tokens_busy(zone);

    pinned = ctx->set & (1 << NGX_HTTP_HELIX_STRATEGY);

    if (hmcf->settings.predictive) {
        ngx_helix_exec_decide(hmcf->exec, &ctx->spec, (float) ctx->scaling,
                              ctx->kind->batch && hmcf->settings.batching,
                              explain || pinned, &ctx->verdict);

        ctx->decision = ctx->verdict.decision;
        ctx->policy = "predictive";

    } else if (!pinned) {
        ngx_http_helix_threshold(ctx, hmcf);
    }

    if (pinned) {
        ctx->decision.strategy = ctx->strategy;
        ctx->decision.reason = HELIX_PINNED;
        ctx->policy = "pinned";
        ctx->spec.forced = 1;
    }

    ctx->spec.strategy = ctx->decision.strategy;

    ngx_log_debug8(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "helix: route job_id=%uL kind=%V cost=%uL scaling=%.2f "
                   "latency_budget_ms=%uL strategy=%s reason=%s cpu_busy=%ui",
                   ctx->id, &ctx->kind->name, ctx->cost,
                   ctx->scaling, ctx->budget,
                   helix_strategy_names[ctx->decision.strategy],
                   helix_reason_names[ctx->decision.reason], ctx->busy);
}


static void
ngx_http_helix_threshold(ngx_http_helix_ctx_t *ctx,
    ngx_http_helix_main_conf_t *hmcf)
{
    helix_policy_job_t  job;

    ctx->threshold = ngx_helix_zone_threshold(ngx_helix_exec_zone(hmcf->exec),
                                            hmcf->settings.spawn_threshold);

    ctx->policy = (ctx->threshold == hmcf->settings.spawn_threshold)
                  ? "threshold" : "adapted";

    job.cost = ctx->cost;
    job.scaling = (float) ctx->scaling;
    job.batchable = ctx->kind->batch && hmcf->settings.batching;

    ctx->decision = helix_threshold_decide(&hmcf->settings, ctx->threshold,
                                           ctx->busy, &job);
}


const char *
ngx_http_helix_policy_name(ngx_http_helix_main_conf_t *hmcf)
{
    return hmcf->settings.predictive ? "predictive" : "threshold";
}


static ngx_int_t
ngx_http_helix_inline(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx)
{
    void                        *state;
    helix_args_t                 args;
    ngx_helix_end_t              end;
    ngx_http_helix_main_conf_t  *hmcf;

    state = ngx_pmemalign(r->pool, ctx->plan.memory, 64);
    if (state == NULL) {
        return ngx_http_helix_drop(r, ctx, HELIX_MEMORY);
    }

    ngx_http_helix_args(ctx, &args);
    ctx->spec.kind->start(ctx->kind->instance, state, &args);

    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);

    end = ngx_helix_exec_inline(hmcf->exec, &ctx->spec, state, &ctx->times);

    if (end != NGX_HELIX_COMPLETED) {
        return ngx_http_helix_send_end(r, ctx, end);
    }

    return ngx_http_helix_send_result(r, ctx, state);
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

    if (ngx_helix_exec_admit(exec, ctx->spec.strategy) != NGX_OK) {
        return ngx_http_helix_drop(r, ctx, HELIX_QUEUE_FULL);
    }

    job = ngx_helix_job_create(exec, &ctx->spec);
    if (job == NULL) {
        return ngx_http_helix_drop(r, ctx, HELIX_MEMORY);
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

    ctx->job = job;
    ctx->cleanup = cln;

    cln->handler = ngx_http_helix_cleanup;
    cln->data = ctx;

    ngx_http_helix_watch(r);

    return NGX_DONE;
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
    ctx->job = NULL;
    ctx->times = job->times;

    if (ctx->spec.strategy == HELIX_BATCH) {
        ctx->batch_size = job->batch_size;
    }

    if (job->end == NGX_HELIX_COMPLETED) {
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
