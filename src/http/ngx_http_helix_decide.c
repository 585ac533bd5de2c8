
/* How should a job run right now, and how much of it? */

#include "ngx_http_helix.h"


#define NGX_HTTP_HELIX_SAMPLE  64     /* one decision of so many is timed */


static void ngx_http_helix_route(ngx_http_helix_ctx_t *ctx,
    ngx_uint_t explain);
static void ngx_http_helix_levels(ngx_http_helix_ctx_t *ctx,
    ngx_http_helix_main_conf_t *hmcf);
static void ngx_http_helix_choose(ngx_http_helix_ctx_t *ctx,
    ngx_http_helix_main_conf_t *hmcf, ngx_uint_t level, ngx_uint_t explain);
static void ngx_http_helix_threshold(ngx_http_helix_ctx_t *ctx,
    ngx_http_helix_main_conf_t *hmcf);


void
ngx_http_helix_decide(ngx_http_helix_ctx_t *ctx, ngx_uint_t explain)
{
    uint64_t           started;

    static ngx_uint_t  decisions;

    if (explain || ++decisions % NGX_HTTP_HELIX_SAMPLE) {
        ngx_http_helix_route(ctx, explain);
        return;
    }

    started = ngx_helix_now();

    ngx_http_helix_route(ctx, explain);

    ngx_helix_count_decision(ngx_helix_exec_slot(ctx->hmcf->exec),
                             (ngx_helix_now() - started)
                             * NGX_HTTP_HELIX_SAMPLE);
}


static void
ngx_http_helix_route(ngx_http_helix_ctx_t *ctx, ngx_uint_t explain)
{
    ngx_uint_t                   pinned;
    ngx_helix_zone_t            *zone;
    ngx_http_helix_main_conf_t  *hmcf;

    hmcf = ctx->hmcf;
    zone = ngx_helix_exec_zone(hmcf->exec);

    ctx->decided = 1;
    ctx->pressure = ngx_helix_exec_pressure(hmcf->exec);
    ctx->external = ngx_helix_exec_external(hmcf->exec);
    ctx->busy = ngx_helix_tokens_busy(zone);

    pinned = ctx->set & (1 << NGX_HTTP_HELIX_STRATEGY);

    if (ctx->plan.nlevels && ctx->kind->nlevels && !pinned) {
        ngx_http_helix_levels(ctx, hmcf);
    }

    if (hmcf->settings.predictive || !pinned) {
        ngx_http_helix_choose(ctx, hmcf, ctx->level, explain || pinned);
    }

    if (pinned) {
        ctx->decision.strategy = ctx->strategy;

        if ((ctx->kind->kind->flags & HELIX_BLOCKING)
            && ctx->strategy <= HELIX_SPAWN)
        {
            ctx->decision.strategy = HELIX_CPU_POOL;
        }

        ctx->decision.reason = HELIX_PINNED;
        ctx->source = HELIX_BY_PINNED;
        ctx->spec.forced = 1;
    }

    ctx->spec.strategy = ctx->decision.strategy;

    ngx_log_debug8(NGX_LOG_DEBUG_HTTP, ctx->log, 0,
                   "helix: route job_id=%uL kind=%V cost=%uL scaling=%.2f "
                   "latency_budget_ms=%uL strategy=%s reason=%s cpu_busy=%ui",
                   ctx->id, &ctx->kind->name, ctx->routed,
                   ctx->scaling, ctx->budget,
                   helix_strategy_names[ctx->decision.strategy],
                   helix_reason_names[ctx->decision.reason], ctx->busy);
}


/* What cannot be answered in full may be answered with less. */

static void
ngx_http_helix_levels(ngx_http_helix_ctx_t *ctx,
    ngx_http_helix_main_conf_t *hmcf)
{
    ngx_uint_t  i, n;

    n = ngx_min(ctx->plan.nlevels, HELIX_KIND_LEVELS);

    for (i = 0; i <= n; i++) {

        if (i && ctx->plan.levels[i - 1].quality < ctx->min_quality) {
            continue;
        }

        ngx_http_helix_choose(ctx, hmcf, i, 1);

        if (ctx->decision.strategy != HELIX_DROP) {
            ctx->level = i;
            return;
        }
    }
}


/* The decision on one level of the job, 0 the full one. */

static void
ngx_http_helix_choose(ngx_http_helix_ctx_t *ctx,
    ngx_http_helix_main_conf_t *hmcf, ngx_uint_t level, ngx_uint_t explain)
{
    helix_level_t  *chosen;

    ctx->spec.work = ctx->plan.work;
    ctx->spec.level = 0;
    ctx->spec.quality = 1;

    if (level) {
        chosen = &ctx->plan.levels[level - 1];

        ctx->spec.work = chosen->work;
        ctx->spec.level = 1 + ngx_min(chosen->name, ctx->kind->nlevels - 1);
        ctx->spec.quality = chosen->quality;
    }

    if (!hmcf->settings.predictive) {
        ngx_http_helix_threshold(ctx, hmcf);
        return;
    }

    ngx_helix_exec_decide(hmcf->exec, &ctx->spec, (float) ctx->scaling,
                          ctx->kind->batch && hmcf->settings.batching,
                          explain, &ctx->verdict);

    ctx->decision = ctx->verdict.decision;
    ctx->source = HELIX_BY_PREDICTIVE;
}


static void
ngx_http_helix_threshold(ngx_http_helix_ctx_t *ctx,
    ngx_http_helix_main_conf_t *hmcf)
{
    ngx_uint_t          busy;
    helix_settings_t    settings;
    helix_policy_job_t  job;

    ctx->threshold = ngx_helix_zone_threshold(ngx_helix_exec_zone(hmcf->exec),
                                            hmcf->settings.spawn_threshold);

    ctx->source = (ctx->threshold == hmcf->settings.spawn_threshold)
                  ? HELIX_BY_THRESHOLD : HELIX_BY_ADAPTED;

    job.cost = ctx->routed;

    if (ctx->spec.level) {
        job.cost = (uint64_t) ((double) ctx->routed * (double) ctx->spec.work
                               / (double) ngx_max(ctx->plan.work, 1));
    }

    if (ctx->kind->kind->flags & HELIX_BLOCKING) {
        job.cost = ngx_max(job.cost, ctx->threshold);
    }

    job.scaling = (float) ctx->scaling;
    job.batchable = ctx->kind->batch && hmcf->settings.batching;

    /* a level that is small enough for the event loop spares the pool */

    busy = (ctx->spec.level && job.cost < ctx->threshold) ? 0 : ctx->busy;

    settings = hmcf->settings;
    settings.busy = helix_threshold_busy(settings.busy, ctx->external);

    ctx->busy_limit = settings.busy;
    ctx->decision = helix_threshold_decide(&settings, ctx->threshold, busy,
                                           &job);
}


helix_source_t
ngx_http_helix_policy_source(ngx_http_helix_main_conf_t *hmcf)
{
    return hmcf->settings.predictive ? HELIX_BY_PREDICTIVE
                                     : HELIX_BY_THRESHOLD;
}


const char *
ngx_http_helix_policy_name(ngx_http_helix_main_conf_t *hmcf)
{
    return helix_source_names[ngx_http_helix_policy_source(hmcf)];
}
