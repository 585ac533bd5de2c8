
#include "ngx_http_helix.h"


#define NGX_HTTP_HELIX_RECORD_LEN  1024


typedef enum {
    NGX_HTTP_HELIX_VAR_RESULT = 0,
    NGX_HTTP_HELIX_VAR_STRATEGY,
    NGX_HTTP_HELIX_VAR_REASON,
    NGX_HTTP_HELIX_VAR_KIND,
    NGX_HTTP_HELIX_VAR_ID,
    NGX_HTTP_HELIX_VAR_COST,
    NGX_HTTP_HELIX_VAR_SCALING,
    NGX_HTTP_HELIX_VAR_BUDGET,
    NGX_HTTP_HELIX_VAR_QUEUE_TIME,
    NGX_HTTP_HELIX_VAR_EXEC_TIME,
    NGX_HTTP_HELIX_VAR_TIME,
    NGX_HTTP_HELIX_VAR_PREDICTED_TIME,
    NGX_HTTP_HELIX_VAR_BATCH_SIZE,
    NGX_HTTP_HELIX_VAR_LEVEL,
    NGX_HTTP_HELIX_VAR_QUALITY,
    NGX_HTTP_HELIX_VAR_POLICY,
    NGX_HTTP_HELIX_VAR_JOB_PRESSURE
} ngx_http_helix_var_t;


static void ngx_http_helix_kept(void *data);
static ngx_int_t ngx_http_helix_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_helix_variable_pressure(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_helix_variable_json(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static const char *ngx_http_helix_variable_text(ngx_http_helix_ctx_t *ctx,
    ngx_http_helix_var_t var);
static u_char *ngx_http_helix_variable_number(ngx_http_helix_ctx_t *ctx,
    ngx_http_helix_var_t var, u_char *p);
static uint64_t ngx_http_helix_predicted(ngx_http_helix_ctx_t *ctx);
static uint64_t ngx_http_helix_cost(ngx_http_helix_ctx_t *ctx);
static u_char *ngx_http_helix_seconds(u_char *p, uint64_t ns);
static void ngx_http_helix_record(helix_json_writer_t *json,
    ngx_http_helix_ctx_t *ctx);
static void ngx_http_helix_record_job(helix_json_writer_t *json,
    ngx_http_helix_ctx_t *ctx);


static const char *const  ngx_http_helix_results[] = {
    "NONE", "COMPLETED", "REJECTED", "REJECTED_DRY_RUN", "EXPIRED", "CANCELED",
    "INVALID", "FAILED"
};


static ngx_http_variable_t  ngx_http_helix_vars[] = {

    { ngx_string("helix_result"), NULL, ngx_http_helix_variable,
      NGX_HTTP_HELIX_VAR_RESULT, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("helix_strategy"), NULL, ngx_http_helix_variable,
      NGX_HTTP_HELIX_VAR_STRATEGY, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("helix_reason"), NULL, ngx_http_helix_variable,
      NGX_HTTP_HELIX_VAR_REASON, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("helix_kind"), NULL, ngx_http_helix_variable,
      NGX_HTTP_HELIX_VAR_KIND, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("helix_id"), NULL, ngx_http_helix_variable,
      NGX_HTTP_HELIX_VAR_ID, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("helix_cost"), NULL, ngx_http_helix_variable,
      NGX_HTTP_HELIX_VAR_COST, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("helix_scaling"), NULL, ngx_http_helix_variable,
      NGX_HTTP_HELIX_VAR_SCALING, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("helix_budget"), NULL, ngx_http_helix_variable,
      NGX_HTTP_HELIX_VAR_BUDGET, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("helix_queue_time"), NULL, ngx_http_helix_variable,
      NGX_HTTP_HELIX_VAR_QUEUE_TIME, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("helix_exec_time"), NULL, ngx_http_helix_variable,
      NGX_HTTP_HELIX_VAR_EXEC_TIME, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("helix_time"), NULL, ngx_http_helix_variable,
      NGX_HTTP_HELIX_VAR_TIME, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("helix_predicted_time"), NULL, ngx_http_helix_variable,
      NGX_HTTP_HELIX_VAR_PREDICTED_TIME, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("helix_batch_size"), NULL, ngx_http_helix_variable,
      NGX_HTTP_HELIX_VAR_BATCH_SIZE, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("helix_level"), NULL, ngx_http_helix_variable,
      NGX_HTTP_HELIX_VAR_LEVEL, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("helix_quality"), NULL, ngx_http_helix_variable,
      NGX_HTTP_HELIX_VAR_QUALITY, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("helix_policy"), NULL, ngx_http_helix_variable,
      NGX_HTTP_HELIX_VAR_POLICY, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("helix_job_pressure"), NULL, ngx_http_helix_variable,
      NGX_HTTP_HELIX_VAR_JOB_PRESSURE, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("helix_pressure"), NULL, ngx_http_helix_variable_pressure,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("helix_json"), NULL, ngx_http_helix_variable_json,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_helix_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_helix_vars; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


ngx_http_helix_ctx_t *
ngx_http_helix_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t     *cln;
    ngx_http_helix_ctx_t  **ctx;

    ctx = (ngx_http_helix_ctx_t **) &r->ctx[ngx_http_helix_module.ctx_index];

    if (*ctx == NULL && (r->internal || r->filter_finalize)) {

        for (cln = r->pool->cleanup; cln; cln = cln->next) {
            if (cln->handler == ngx_http_helix_kept) {
                ctx = cln->data;
                break;
            }
        }
    }

    return *ctx;
}


ngx_int_t
ngx_http_helix_keep_ctx(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx)
{
    ngx_pool_cleanup_t     *cln;
    ngx_http_helix_ctx_t  **kept;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_helix_ctx_t *));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    kept = cln->data;
    *kept = ctx;

    cln->handler = ngx_http_helix_kept;

    return NGX_OK;
}


/* Only marks what was kept. */

static void
ngx_http_helix_kept(void *data)
{
}


static ngx_int_t
ngx_http_helix_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    u_char                *p;
    const char            *text;
    ngx_http_helix_ctx_t  *ctx;

    ctx = ngx_http_helix_ctx(r);

    if (ctx == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    text = ngx_http_helix_variable_text(ctx, data);

    if (text) {
        v->data = (u_char *) text;
        v->len = ngx_strlen(text);

    } else {
        p = ngx_pnalloc(r->pool, NGX_INT64_LEN + NGX_INT32_LEN);
        if (p == NULL) {
            return NGX_ERROR;
        }

        v->data = p;
        v->len = ngx_http_helix_variable_number(ctx, data, p) - p;
    }

    v->valid = 1;
    v->no_cacheable = 1;
    v->not_found = (v->len == 0);

    return NGX_OK;
}


static const char *
ngx_http_helix_variable_text(ngx_http_helix_ctx_t *ctx,
    ngx_http_helix_var_t var)
{
    switch (var) {

    case NGX_HTTP_HELIX_VAR_RESULT:
        return ctx->result ? ngx_http_helix_results[ctx->result] : "";

    case NGX_HTTP_HELIX_VAR_STRATEGY:
        return ctx->decided ? helix_strategy_names[ctx->decision.strategy]
                            : "";

    case NGX_HTTP_HELIX_VAR_REASON:
        return ctx->decided ? helix_reason_names[ctx->decision.reason] : "";

    case NGX_HTTP_HELIX_VAR_KIND:
        return ctx->kind ? (char *) ctx->kind->name.data : "";

    case NGX_HTTP_HELIX_VAR_LEVEL:
        return ctx->level_name ? ctx->level_name : "";

    case NGX_HTTP_HELIX_VAR_POLICY:
        return ctx->decided ? helix_source_names[ctx->source] : "";

    default:
        return NULL;
    }
}


/* Nothing is written for what the job does not have. */

static u_char *
ngx_http_helix_variable_number(ngx_http_helix_ctx_t *ctx,
    ngx_http_helix_var_t var, u_char *p)
{
    uint64_t  predicted;

    switch (var) {

    case NGX_HTTP_HELIX_VAR_ID:
        return ngx_sprintf(p, "%uL", ctx->id);

    case NGX_HTTP_HELIX_VAR_COST:
        return ctx->kind ? ngx_sprintf(p, "%uL",
                                       ngx_http_helix_cost(ctx)) : p;

    case NGX_HTTP_HELIX_VAR_SCALING:
        return ctx->kind ? p + helix_number_print(ctx->scaling, (char *) p)
                         : p;

    case NGX_HTTP_HELIX_VAR_BUDGET:
        return ctx->budget ? ngx_http_helix_seconds(p, ctx->budget * 1000000)
                           : p;

    case NGX_HTTP_HELIX_VAR_QUEUE_TIME:
        return ctx->times.total ? ngx_http_helix_seconds(p, ctx->times.queue)
                                : p;

    case NGX_HTTP_HELIX_VAR_EXEC_TIME:
        return ctx->times.total ? ngx_http_helix_seconds(p, ctx->times.exec)
                                : p;

    case NGX_HTTP_HELIX_VAR_TIME:
        return ctx->times.total ? ngx_http_helix_seconds(p, ctx->times.total)
                                : p;

    case NGX_HTTP_HELIX_VAR_PREDICTED_TIME:
        predicted = ngx_http_helix_predicted(ctx);
        return predicted ? ngx_http_helix_seconds(p, predicted) : p;

    case NGX_HTTP_HELIX_VAR_BATCH_SIZE:
        return ctx->batch_size ? ngx_sprintf(p, "%ui", ctx->batch_size) : p;

    case NGX_HTTP_HELIX_VAR_QUALITY:
        return ctx->level_name
               ? p + helix_number_print(ctx->quality, (char *) p) : p;

    default: /* NGX_HTTP_HELIX_VAR_JOB_PRESSURE */
        return ctx->decided ? ngx_sprintf(p, "%.3f", ctx->pressure) : p;
    }
}


/* When the strategy that was chosen was expected to be done, ns; 0: it is not
   known. */

static uint64_t
ngx_http_helix_predicted(ngx_http_helix_ctx_t *ctx)
{
    return (ctx->decided && ctx->decision.strategy < HELIX_DROP)
           ? ctx->verdict.finish[ctx->decision.strategy] : 0;
}


/* That of the decision, if there was one. */

static uint64_t
ngx_http_helix_cost(ngx_http_helix_ctx_t *ctx)
{
    return ctx->decided ? ctx->routed : ctx->cost;
}


static u_char *
ngx_http_helix_seconds(u_char *p, uint64_t ns)
{
    return ngx_sprintf(p, "%uL.%06uL", ns / 1000000000,
                       ns / 1000 % 1000000);
}


/* In every request: a "map" or a "limit_req" key may depend on it. */

static ngx_int_t
ngx_http_helix_variable_pressure(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                      *p;
    ngx_http_helix_main_conf_t  *hmcf;

    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);

    if (hmcf->exec == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    v->data = p;
    v->len = ngx_sprintf(p, "%.3f", ngx_helix_exec_pressure(hmcf->exec)) - p;
    v->valid = 1;
    v->no_cacheable = 1;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_helix_variable_json(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                *p;
    helix_json_writer_t    json;
    ngx_http_helix_ctx_t  *ctx;

    v->valid = 1;
    v->no_cacheable = 1;
    v->not_found = 0;

    ctx = ngx_http_helix_ctx(r);

    if (ctx == NULL) {
        v->data = (u_char *) "null";
        v->len = 4;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, NGX_HTTP_HELIX_RECORD_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    helix_json_writer_init(&json, (char *) p, NGX_HTTP_HELIX_RECORD_LEN);

    ngx_http_helix_record(&json, ctx);

    if (json.overflow) {
        return NGX_ERROR;
    }

    v->data = p;
    v->len = json.pos - json.start;

    return NGX_OK;
}


static void
ngx_http_helix_record(helix_json_writer_t *json, ngx_http_helix_ctx_t *ctx)
{
    uint64_t     predicted;
    ngx_uint_t   late;
    u_char       time[sizeof("1970-01-01T00:00:00.000Z")];
    ngx_tm_t     gmt;
    ngx_time_t  *tp;

    tp = ngx_timeofday();
    ngx_gmtime(tp->sec, &gmt);

    (void) ngx_sprintf(time, "%4d-%02d-%02dT%02d:%02d:%02d.%03uiZ%Z",
                       gmt.ngx_tm_year, gmt.ngx_tm_mon, gmt.ngx_tm_mday,
                       gmt.ngx_tm_hour, gmt.ngx_tm_min, gmt.ngx_tm_sec,
                       tp->msec);

    late = (ctx->result == NGX_HTTP_HELIX_COMPLETED && ctx->spec.budget
            && ctx->times.total > ctx->spec.budget);

    helix_json_object(json);

    helix_json_key(json, "t");
    helix_json_cstring(json, (char *) time);
    helix_json_key(json, "id");
    helix_json_u64(json, ctx->id);

    ngx_http_helix_record_job(json, ctx);

    if (ctx->problem.code) {
        helix_json_key(json, "code");
        helix_json_cstring(json, ctx->problem.code);
    }

    if (ctx->times.total) {
        helix_json_key(json, "queue_ms");
        helix_json_fixed(json, ctx->times.queue / 1000, 3);
        helix_json_key(json, "exec_ms");
        helix_json_fixed(json, ctx->times.exec / 1000, 3);
        helix_json_key(json, "total_ms");
        helix_json_fixed(json, ctx->times.total / 1000, 3);
    }

    predicted = ngx_http_helix_predicted(ctx);

    if (predicted) {
        helix_json_key(json, "predicted_ms");
        helix_json_fixed(json, predicted / 1000, 3);
    }

    helix_json_key(json, "result");
    helix_json_cstring(json, ngx_http_helix_results[ctx->result]);
    helix_json_key(json, "late");
    helix_json_bool(json, late);

    helix_json_object_end(json);
}


/* What is known of the job and of the decision. */

static void
ngx_http_helix_record_job(helix_json_writer_t *json, ngx_http_helix_ctx_t *ctx)
{
    if (ctx->kind) {
        helix_json_key(json, "kind");
        helix_json_cstring(json, (char *) ctx->kind->name.data);
        helix_json_key(json, "cost");
        helix_json_u64(json, ngx_http_helix_cost(ctx));
        helix_json_key(json, "scaling");
        helix_json_double(json, ctx->scaling);
    }

    if (ctx->budget) {
        helix_json_key(json, "budget_ms");
        helix_json_u64(json, ctx->budget);
    }

    if (ctx->decided) {
        helix_json_key(json, "strategy");
        helix_json_cstring(json, helix_strategy_names[ctx->decision.strategy]);
        helix_json_key(json, "reason");
        helix_json_cstring(json, helix_reason_names[ctx->decision.reason]);
        helix_json_key(json, "policy");
        helix_json_cstring(json, helix_source_names[ctx->source]);
        helix_json_key(json, "pressure");
        helix_json_fixed(json, (uint64_t) (ctx->pressure * 1000 + 0.5),
                         3);
        helix_json_key(json, "busy");
        helix_json_u64(json, ctx->busy);
    }

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
}
