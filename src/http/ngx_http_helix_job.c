
/*
 * A job that was read: what it will cost, how it runs, how it ended.  Whether
 * a request waits for it makes no difference here.
 */

#include "ngx_http_helix.h"


/* of the state of a job */
#define NGX_HTTP_HELIX_ALIGN  64


static void ngx_http_helix_args(ngx_http_helix_ctx_t *ctx, helix_args_t *args);
static ngx_uint_t ngx_http_helix_dry_run(ngx_http_helix_ctx_t *ctx);
static void ngx_http_helix_log_reject(ngx_http_helix_ctx_t *ctx);
static void ngx_http_helix_approximated(ngx_http_helix_ctx_t *ctx,
    ngx_uint_t truncated, double quality);
static ngx_int_t ngx_http_helix_inline(ngx_http_helix_ctx_t *ctx);
static ngx_int_t ngx_http_helix_defer(ngx_http_helix_ctx_t *ctx);
static ngx_int_t ngx_http_helix_no_room(ngx_http_helix_ctx_t *ctx,
    helix_reason_t reason);
static ngx_int_t ngx_http_helix_drop(ngx_http_helix_ctx_t *ctx,
    helix_reason_t reason);


ngx_int_t
ngx_http_helix_plan(ngx_http_helix_ctx_t *ctx)
{
    helix_args_t            args;
    ngx_http_helix_kind_t  *kind;

    kind = ctx->kind;

    if (ctx->inputs.nelts > kind->max_inputs) {
        ctx->problem.limit = kind->max_inputs;
        return ngx_http_helix_problem(ctx->request, ctx, NGX_HELIX_TOO_LARGE,
                                      "inputs",
                                      "%ui inputs are more than the %ui that "
                                      "\"max_inputs\" of helix_kind %V allows",
                                      ctx->inputs.nelts, kind->max_inputs,
                                      &kind->name);
    }

    ctx->plan.size = sizeof(helix_plan_t);

    ngx_http_helix_args(ctx, &args);

    if (kind->kind->plan(kind->instance, &args, &ctx->plan) != HELIX_DONE) {
        ctx->plan.error[HELIX_KIND_ERROR_MAX - 1] = '\0';

        return ngx_http_helix_problem(ctx->request, ctx, NGX_HELIX_BAD_FIELD,
                                      ctx->plan.field, "%s", ctx->plan.error);
    }

    if (ctx->plan.work > kind->max_cost) {
        ctx->problem.limit = kind->max_cost;
        return ngx_http_helix_problem(ctx->request, ctx, NGX_HELIX_TOO_LARGE,
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
    ctx->spec.timeout = ctx->hlcf->timeout;

    return NGX_OK;
}


void
ngx_http_helix_invalid(ngx_http_helix_ctx_t *ctx)
{
    ngx_helix_count_invalid(ngx_helix_exec_slot(ctx->hmcf->exec),
                            ctx->kind ? ctx->kind->index : NGX_HELIX_NO_KIND,
                            ctx->invalid);

    ctx->result = NGX_HTTP_HELIX_INVALID;
}


ngx_int_t
ngx_http_helix_run(ngx_http_helix_ctx_t *ctx)
{
    ngx_http_helix_main_conf_t  *hmcf;

    hmcf = ctx->hmcf;

    ngx_helix_exec_refresh(hmcf->exec, ctx->spec.received);

    if (ctx->kind->down) {
        ngx_http_helix_not_run(ctx);
        return ngx_http_helix_drop(ctx, HELIX_KERNEL);
    }

    if (ctx->plan.memory > hmcf->settings.memory
        || ctx->plan.extra > hmcf->settings.memory - ctx->plan.memory)
    {
        ngx_http_helix_not_run(ctx);
        return ngx_http_helix_drop(ctx, HELIX_MEMORY);
    }

    if (ngx_http_helix_share(ctx) == NGX_DONE) {
        return NGX_DONE;
    }

    ngx_http_helix_decide(ctx, 0);

    if (ctx->decision.strategy == HELIX_DROP && ngx_http_helix_dry_run(ctx)) {
        return ngx_http_helix_defer(ctx);
    }

    switch (ctx->decision.strategy) {

    case HELIX_INLINE:
        return ngx_http_helix_inline(ctx);

    case HELIX_DROP:
        return ngx_http_helix_drop(ctx, ctx->decision.reason);

    default: /* HELIX_SPAWN, HELIX_CPU_POOL, HELIX_BATCH */
        return ngx_http_helix_defer(ctx);
    }
}


void
ngx_http_helix_not_run(ngx_http_helix_ctx_t *ctx)
{
    ctx->decided = 1;
    ctx->decision.strategy = HELIX_DROP;
    ctx->spec.strategy = HELIX_DROP;
    ctx->source = ngx_http_helix_policy_source(ctx->hmcf);
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
ngx_http_helix_inline(ngx_http_helix_ctx_t *ctx)
{
    double        quality;
    helix_args_t  args;

    ctx->memory = ngx_pnalloc(ctx->pool,
                              ctx->plan.memory + NGX_HTTP_HELIX_ALIGN - 1);
    if (ctx->memory == NULL) {
        return ngx_http_helix_drop(ctx, HELIX_MEMORY);
    }

    ctx->state = ngx_align_ptr(ctx->memory, NGX_HTTP_HELIX_ALIGN);

    ngx_http_helix_args(ctx, &args);
    ctx->spec.kind->start(ctx->kind->instance, ctx->state, &args);

    ngx_http_helix_note(ctx);

    ctx->end = ngx_helix_exec_inline(ctx->hmcf->exec, &ctx->spec, ctx->state,
                                     &ctx->times, &quality);

    if (ctx->end == NGX_HELIX_COMPLETED) {
        ngx_http_helix_approximated(ctx, quality > 0, quality);
    }

    return NGX_OK;
}


/* The client may take its time over the answer. */

void
ngx_http_helix_release(ngx_http_helix_ctx_t *ctx)
{
    if (ctx->spec.kind->clear) {
        ctx->spec.kind->clear(ctx->state);
    }

    (void) ngx_pfree(ctx->pool, ctx->memory);

    ctx->state = NULL;
    ctx->memory = NULL;
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


void
ngx_http_helix_ended(ngx_http_helix_ctx_t *ctx, ngx_helix_job_t *job)
{
    ctx->job = NULL;
    ctx->times = job->times;
    ctx->end = job->end;
    ctx->state = job->state;

    if (ctx->spec.strategy == HELIX_BATCH) {
        ctx->batch_size = job->batch_size;
    }

    if (job->end == NGX_HELIX_COMPLETED) {
        ctx->spec.level = job->spec.level;
        ctx->spec.quality = job->quality;
        ngx_http_helix_approximated(ctx, job->truncated, job->quality);
    }
}


static ngx_int_t
ngx_http_helix_defer(ngx_http_helix_ctx_t *ctx)
{
    helix_args_t       args;
    ngx_helix_job_t   *job;
    ngx_helix_exec_t  *exec;

    exec = ctx->hmcf->exec;

    if (ngx_http_helix_expect(ctx) != NGX_OK) {
        return ngx_http_helix_drop(ctx, HELIX_MEMORY);
    }

    (void) ngx_http_helix_identity(ctx);
    ngx_http_helix_note(ctx);

    if (ngx_helix_exec_admit(exec, ctx->spec.strategy) != NGX_OK) {
        return ngx_http_helix_no_room(ctx, HELIX_QUEUE_FULL);
    }

    job = ngx_helix_job_create(exec, &ctx->spec);
    if (job == NULL) {
        return ngx_http_helix_no_room(ctx, HELIX_MEMORY);
    }

    ngx_http_helix_args(ctx, &args);
    ctx->spec.kind->start(ctx->kind->instance, job->state, &args);

    if (ngx_helix_job_start(job, ctx->owner, ctx->done) != NGX_OK) {
        return ngx_http_helix_drop(ctx, HELIX_MEMORY);
    }

    if (ctx->result == NGX_HTTP_HELIX_REJECTED_DRY_RUN) {
        ngx_helix_count_dry_run(ngx_helix_exec_slot(exec));
        ngx_http_helix_log_reject(ctx);
    }

    ngx_http_helix_attach(ctx, job);

    return NGX_DONE;
}


/* What is cheap enough for the event loop needs no place to wait. */

static ngx_int_t
ngx_http_helix_no_room(ngx_http_helix_ctx_t *ctx, helix_reason_t reason)
{
    if (!ctx->spec.turn) {
        return ngx_http_helix_drop(ctx, reason);
    }

    ctx->decision.strategy = HELIX_INLINE;
    ctx->spec.strategy = HELIX_INLINE;

    return ngx_http_helix_inline(ctx);
}


/* Runs what the policy would have dropped, where it harms least; only a full
   queue still stops it. */

static ngx_uint_t
ngx_http_helix_dry_run(ngx_http_helix_ctx_t *ctx)
{
    if (!ctx->hlcf->dry_run) {
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
ngx_http_helix_log_reject(ngx_http_helix_ctx_t *ctx)
{
    time_t                       now;
    ngx_http_helix_main_conf_t  *hmcf;

    hmcf = ctx->hmcf;

    now = ngx_time();

    if (now == hmcf->log_second) {
        hmcf->log_count++;
        return;
    }

    ngx_log_error(ctx->hlcf->log_level, ctx->log, 0,
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
ngx_http_helix_drop(ngx_http_helix_ctx_t *ctx, helix_reason_t reason)
{
    double                       busy;
    uint64_t                     now;
    ngx_helix_exec_t            *exec;
    ngx_helix_slot_t            *slot;
    ngx_http_helix_main_conf_t  *hmcf;

    hmcf = ctx->hmcf;
    exec = hmcf->exec;
    slot = ngx_helix_exec_slot(exec);

    ctx->decision.strategy = HELIX_DROP;
    ctx->decision.reason = reason;
    ctx->result = NGX_HTTP_HELIX_REJECTED;

    ngx_http_helix_log_reject(ctx);

    ngx_helix_count_dropped(slot, ctx->kind->index, reason);

    ngx_http_helix_note(ctx);
    ngx_helix_exec_dropped(exec, &ctx->spec);

    now = ctx->spec.received / 1000000;
    busy = (double) ngx_helix_tokens_busy(ngx_helix_exec_zone(exec))
           / hmcf->settings.concurrency;

    helix_pressure_record(ngx_helix_slot_pressure(slot), hmcf->settings.alpha,
                          now, busy, 1, 1.0);

    return NGX_DECLINED;
}
