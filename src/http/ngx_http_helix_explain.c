
#include "ngx_http_helix.h"

#include <math.h>


#define NGX_HTTP_HELIX_EXPLAIN_LEN  4096
#define NGX_HTTP_HELIX_REASON_LEN   128


static void ngx_http_helix_explain_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_helix_explain_job(ngx_http_request_t *r);
static void ngx_http_helix_explain_inputs(helix_json_writer_t *json,
    ngx_http_helix_ctx_t *ctx, ngx_http_helix_main_conf_t *hmcf);
static void ngx_http_helix_explain_prediction(helix_json_writer_t *json,
    ngx_http_helix_ctx_t *ctx);
static void ngx_http_helix_explain_lanes(helix_json_writer_t *json,
    ngx_http_helix_ctx_t *ctx);
static void ngx_http_helix_explain_predictive(helix_json_writer_t *json,
    ngx_http_helix_ctx_t *ctx);
static void ngx_http_helix_explain_pool(helix_json_writer_t *json,
    ngx_http_helix_ctx_t *ctx);
static void ngx_http_helix_explain_threshold(helix_json_writer_t *json,
    ngx_http_helix_ctx_t *ctx, ngx_http_helix_main_conf_t *hmcf);
static void ngx_http_helix_explain_external(helix_json_writer_t *json,
    ngx_http_helix_ctx_t *ctx, helix_settings_t *settings);
static void ngx_http_helix_explain_change(helix_json_writer_t *json,
    const char *fmt, ...);
static void ngx_http_helix_explain_ms(helix_json_writer_t *json,
    const char *key, double ns);


/* POST api/explain: all but the run. */

ngx_int_t
ngx_http_helix_explain_handler(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    if (!(r->method & NGX_HTTP_POST)) {

        rc = ngx_http_discard_request_body(r);
        if (rc != NGX_OK) {
            return rc;
        }

        return ngx_http_helix_send_method(r, "POST");
    }

    rc = ngx_http_read_client_request_body(r, ngx_http_helix_explain_body);

    return (rc >= NGX_HTTP_SPECIAL_RESPONSE) ? rc : NGX_DONE;
}


static void
ngx_http_helix_explain_body(ngx_http_request_t *r)
{
    ngx_http_finalize_request(r, ngx_http_helix_explain_job(r));
}


static ngx_int_t
ngx_http_helix_explain_job(ngx_http_request_t *r)
{
    u_char                      *p;
    ngx_int_t                    rc;
    ngx_http_helix_ctx_t        *ctx;
    helix_json_writer_t          json;
    ngx_http_helix_main_conf_t  *hmcf;

    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);

    ctx = ngx_http_helix_ctx_create(r);
    p = ngx_pnalloc(r->pool, NGX_HTTP_HELIX_EXPLAIN_LEN);

    if (ctx == NULL || p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->spec.received = ngx_helix_now();
    ngx_helix_exec_refresh(hmcf->exec, ctx->spec.received);

    rc = ngx_http_helix_check(r, ctx);

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_helix_send_problem(r, ctx);
    }

    ngx_http_helix_decide(ctx, 1);

    helix_json_writer_init(&json, (char *) p, NGX_HTTP_HELIX_EXPLAIN_LEN - 1);

    ngx_http_helix_write_explain(&json, ctx, hmcf);

    *json.pos++ = '\n';

    if (ngx_http_helix_add_header(r, "Cache-Control", (u_char *) "no-store", 8)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_helix_send_body(r, NGX_HTTP_OK, "application/json", p,
                                    json.pos - json.start);
}


void
ngx_http_helix_write_explain(helix_json_writer_t *json,
    ngx_http_helix_ctx_t *ctx, ngx_http_helix_main_conf_t *hmcf)
{
    helix_json_object(json);

    helix_json_key(json, "policy");
    helix_json_cstring(json, helix_source_names[ctx->source]);
    helix_json_key(json, "strategy");
    helix_json_cstring(json, helix_strategy_names[ctx->decision.strategy]);
    helix_json_key(json, "reason");
    helix_json_cstring(json, helix_reason_names[ctx->decision.reason]);

    if (ctx->spec.level) {
        helix_json_key(json, "level");
        helix_json_cstring(json,
                           ctx->spec.kind->levels[ctx->spec.level - 1]);
    }

    ngx_http_helix_explain_inputs(json, ctx, hmcf);

    if (hmcf->settings.predictive) {
        ngx_http_helix_explain_prediction(json, ctx);
        ngx_http_helix_explain_lanes(json, ctx);
    }

    helix_json_key(json, "would_change_if");
    helix_json_array(json);

    if (ctx->decision.reason == HELIX_PINNED) {
        ngx_http_helix_explain_change(json, "helix_job does not set strategy");

    } else if (hmcf->settings.predictive) {
        ngx_http_helix_explain_predictive(json, ctx);

    } else {
        ngx_http_helix_explain_threshold(json, ctx, hmcf);
    }

    helix_json_array_end(json);
    helix_json_object_end(json);
}


static void
ngx_http_helix_explain_inputs(helix_json_writer_t *json,
    ngx_http_helix_ctx_t *ctx, ngx_http_helix_main_conf_t *hmcf)
{
    helix_json_key(json, "inputs");
    helix_json_object(json);

    helix_json_key(json, "kind");
    helix_json_cstring(json, (char *) ctx->kind->name.data);
    helix_json_key(json, "cost");
    helix_json_u64(json, ctx->routed);
    helix_json_key(json, "work");
    helix_json_u64(json, ctx->plan.work);
    helix_json_key(json, "scaling");
    helix_json_double(json, ctx->scaling);
    helix_json_key(json, "budget_ms");
    helix_json_u64(json, ctx->budget);
    helix_json_key(json, "pressure");
    helix_json_double(json, ctx->pressure);
    helix_json_key(json, "external");
    helix_json_double(json, ctx->external);
    helix_json_key(json, "busy");
    helix_json_u64(json, ctx->busy);
    helix_json_key(json, "concurrency");
    helix_json_u64(json, hmcf->settings.concurrency);

    if (!hmcf->settings.predictive) {
        helix_json_key(json, "busy_limit");
        helix_json_u64(json, ctx->busy_limit);
        helix_json_key(json, "inline_threshold");
        helix_json_u64(json, hmcf->settings.inline_threshold);

        if (ctx->threshold) {
            helix_json_key(json, "spawn_threshold");
            helix_json_u64(json, ctx->threshold);
        }
    }

    helix_json_object_end(json);
}


static void
ngx_http_helix_explain_prediction(helix_json_writer_t *json,
    ngx_http_helix_ctx_t *ctx)
{
    helix_verdict_t  *v;

    v = &ctx->verdict;

    helix_json_key(json, "prediction");
    helix_json_object(json);

    ngx_http_helix_explain_ms(json, "mean_ms", v->service.mean);
    ngx_http_helix_explain_ms(json, "p90_ms", v->service.high);
    ngx_http_helix_explain_ms(json, "within_ms",
                              (double) (v->aim - ctx->spec.received));
    ngx_http_helix_explain_ms(json, "ahead_ms", v->ahead.work);
    ngx_http_helix_explain_ms(json, "inline_limit_ms", v->limit);

    helix_json_key(json, "margin");
    helix_json_double(json, v->margin);
    helix_json_key(json, "capacity");
    helix_json_double(json, v->capacity);
    helix_json_key(json, "efficiency");
    helix_json_double(json, v->efficiency);

    helix_json_object_end(json);
}


static void
ngx_http_helix_explain_lanes(helix_json_writer_t *json,
    ngx_http_helix_ctx_t *ctx)
{
    ngx_uint_t        i;
    helix_verdict_t  *v;

    v = &ctx->verdict;

    helix_json_key(json, "lanes");
    helix_json_array(json);

    for (i = 0; i < HELIX_DROP; i++) {
        helix_json_object(json);
        helix_json_key(json, "strategy");
        helix_json_cstring(json, helix_strategy_names[i]);
        helix_json_key(json, "verdict");
        helix_json_cstring(json, helix_lane_verdicts[v->verdicts[i]]);

        if (v->finish[i]) {
            ngx_http_helix_explain_ms(json, "predicted_ms",
                                      (double) v->finish[i]);
        }

        helix_json_object_end(json);
    }

    helix_json_array_end(json);
}


/* From the numbers of the decision; what it would take, all else equal. */

static void
ngx_http_helix_explain_predictive(helix_json_writer_t *json,
    ngx_http_helix_ctx_t *ctx)
{
    helix_verdict_t  *v;

    v = &ctx->verdict;

    if (ctx->decision.strategy == HELIX_INLINE
        || ctx->decision.strategy == HELIX_SPAWN)
    {
        ngx_http_helix_explain_change(json, "p90_ms > %.3f -> cpu_pool",
                                      v->limit / 1e6);
        ngx_http_helix_explain_change(json, "within_ms < %.3f -> drop",
                                      v->service.high / 1e6);
        return;
    }

    if (v->verdicts[HELIX_INLINE] != HELIX_LANE_BLOCKING) {
        ngx_http_helix_explain_change(json, "p90_ms <= %.3f -> inline",
                                      v->limit / 1e6);
    }

    ngx_http_helix_explain_pool(json, ctx);
}


static void
ngx_http_helix_explain_pool(helix_json_writer_t *json,
    ngx_http_helix_ctx_t *ctx)
{
    double             needed, alone;
    helix_verdict_t   *v;
    helix_strategy_t   lane;

    v = &ctx->verdict;

    lane = v->finish[HELIX_BATCH] ? HELIX_BATCH : HELIX_CPU_POOL;

    /* 0: there is no time even to run alone */

    alone = (v->service.mean + v->margin * sqrt(v->service.variance))
            / v->efficiency;
    needed = v->finish[lane] + v->margin * sqrt(v->ahead.variance * 1e6
                                                + v->service.variance)
                               / v->capacity;
    needed = v->finish[lane] ? needed : alone;

    switch (ctx->decision.reason) {

    case HELIX_SHARE:
        ngx_http_helix_explain_change(json, "the kind asks for less, or "
                                      "others do -> %s",
                                      helix_strategy_names[lane]);
        break;

    case HELIX_TOO_BIG:
    case HELIX_EXPLORED:
        ngx_http_helix_explain_change(json, "within_ms >= %.3f -> %s",
                                      alone / 1e6,
                                      helix_strategy_names[lane]);
        break;

    case HELIX_QUEUE_FULL:
        ngx_http_helix_explain_change(json, "fewer jobs wait than \"queue\" of "
                                      "helix_pool -> %s",
                                      helix_strategy_names[ctx->spec.strategy]);
        break;

    case HELIX_MEMORY:
        ngx_http_helix_explain_change(json, "there is memory -> %s",
                                      helix_strategy_names[ctx->spec.strategy]);
        break;

    case HELIX_INFEASIBLE:
        if (v->verdicts[HELIX_CPU_POOL] == HELIX_LANE_OTHERS_LATE) {
            ngx_http_helix_explain_change(json, "fewer admitted jobs are due "
                                          "after this one -> %s",
                                          helix_strategy_names[lane]);
            break;
        }

        if (v->decision.strategy != HELIX_DROP) {
            ngx_http_helix_explain_change(json, "fewer jobs go before this "
                                          "one -> %s",
                              helix_strategy_names[v->decision.strategy]);
            break;
        }

        ngx_http_helix_explain_change(json, "within_ms >= %.3f -> %s",
                                      needed / 1e6,
                                      helix_strategy_names[lane]);
        break;

    default: /* HELIX_HEAVY, HELIX_BATCHABLE */
        ngx_http_helix_explain_change(json, "within_ms < %.3f -> drop",
                                      needed / 1e6);
    }
}


static void
ngx_http_helix_explain_threshold(helix_json_writer_t *json,
    ngx_http_helix_ctx_t *ctx, ngx_http_helix_main_conf_t *hmcf)
{
    helix_settings_t  *settings;

    settings = &hmcf->settings;

    if (ctx->decision.reason == HELIX_PRESSURE) {
        ngx_http_helix_explain_change(json, "busy < %uL -> another strategy",
                                      ctx->busy_limit);
        ngx_http_helix_explain_external(json, ctx, settings);
        return;
    }

    if (ctx->busy_limit) {
        ngx_http_helix_explain_change(json, "busy >= %uL -> batch or drop",
                                      ctx->busy_limit);
    }

    if (ctx->decision.strategy != HELIX_INLINE) {
        ngx_http_helix_explain_change(json, "cost <= %uL -> inline",
                                      settings->inline_threshold);
    }

    if (ctx->decision.strategy != HELIX_SPAWN) {
        ngx_http_helix_explain_change(json, "%uL < cost < %uL -> spawn",
                                      settings->inline_threshold,
                                      ctx->threshold);
    }

    if (ctx->decision.strategy == HELIX_INLINE
        || ctx->decision.strategy == HELIX_SPAWN)
    {
        ngx_http_helix_explain_change(json, "cost >= %uL -> cpu_pool or batch",
                                      ctx->threshold);
    }
}


/* Below which pressure of others the limit would be above what is busy? */

static void
ngx_http_helix_explain_external(helix_json_writer_t *json,
    ngx_http_helix_ctx_t *ctx, helix_settings_t *settings)
{
    if (ctx->busy < settings->busy && ctx->busy >= ctx->busy_limit) {
        ngx_http_helix_explain_change(json, "external < %.3f -> another "
                                      "strategy",
                                      1 - (double) ctx->busy
                                          / (double) settings->busy);
    }
}


static void
ngx_http_helix_explain_change(helix_json_writer_t *json, const char *fmt, ...)
{
    u_char   text[NGX_HTTP_HELIX_REASON_LEN], *last;
    va_list  args;

    va_start(args, fmt);
    last = ngx_vslprintf(text, text + sizeof(text), fmt, args);
    va_end(args);

    helix_json_string(json, (char *) text, last - text);
}


static void
ngx_http_helix_explain_ms(helix_json_writer_t *json, const char *key,
    double ns)
{
    helix_json_key(json, key);
    helix_json_fixed(json, (uint64_t) (ngx_max(ns, 0) / 1000), 3);
}
