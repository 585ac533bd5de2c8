
/* Identical jobs of several requests are computed once. */

#include "ngx_http_helix.h"


/* bytes of a job that is compared with others */
#define NGX_HTTP_HELIX_IDENTITY    65536

#define NGX_HTTP_HELIX_VALUE_SIZE  offsetof(helix_value_t, text)


/* The same job of another request may be under way. */

ngx_int_t
ngx_http_helix_share(ngx_http_helix_ctx_t *ctx)
{
    ngx_helix_job_t             *job;
    ngx_http_helix_main_conf_t  *hmcf;

    hmcf = ctx->hmcf;

    if (ngx_helix_exec_shares(hmcf->exec) == 0
        || ngx_http_helix_identity(ctx) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    job = ngx_helix_job_find(hmcf->exec, &ctx->spec);
    if (job == NULL) {
        return NGX_DECLINED;
    }

    if (ngx_http_helix_expect(ctx) != NGX_OK) {
        return NGX_DECLINED;
    }

    ctx->decided = 1;
    ctx->decision.strategy = job->spec.strategy;
    ctx->decision.reason = HELIX_COALESCED;
    ctx->spec.strategy = job->spec.strategy;
    ctx->source = ngx_http_helix_policy_source(hmcf);
    ctx->pressure = ngx_helix_exec_pressure(hmcf->exec);
    ctx->busy = ngx_helix_tokens_busy(ngx_helix_exec_zone(hmcf->exec));

    ngx_http_helix_note(ctx);

    job = ngx_helix_job_join(job, &ctx->spec, ctx->owner, ctx->done);
    if (job == NULL) {
        return NGX_DECLINED;
    }

    ngx_http_helix_attach(ctx, job);

    return NGX_DONE;
}


/* All that the answer depends on, in one piece; NGX_DECLINED: it depends on
   more, or is not worth it. */

ngx_int_t
ngx_http_helix_identity(ngx_http_helix_ctx_t *ctx)
{
    size_t                size;
    u_char               *p;
    uint64_t              head[3];
    ngx_uint_t            i, n;
    helix_value_t        *v;
    const char           *type;
    const helix_param_t  *params;

    if (!(ctx->plan.flags & (HELIX_PURE|HELIX_PURE_ID))
        || !ctx->kind->coalesce
        || (ctx->set & (1 << NGX_HTTP_HELIX_STRATEGY)))
    {
        return NGX_DECLINED;
    }

    if (ctx->spec.identity.len) {
        return NGX_OK;
    }

    type = ctx->body_type ? ctx->body_type : "";
    params = ctx->kind->kind->params;
    v = ctx->values;
    size = sizeof(head) + ctx->inputs.nelts * sizeof(uint64_t)
           + ctx->body.len + ngx_strlen(type) + 1;

    for (n = 0; params && params[n].name; n++) {
        size += NGX_HTTP_HELIX_VALUE_SIZE + v[n].len;
    }

    if (size > NGX_HTTP_HELIX_IDENTITY) {
        return NGX_DECLINED;
    }

    p = ngx_pnalloc(ctx->pool, size);
    if (p == NULL) {
        return NGX_DECLINED;
    }

    ctx->spec.identity.data = p;
    ctx->spec.identity.len = size;

    head[0] = ctx->cost;
    head[1] = (ctx->plan.flags & HELIX_PURE_ID) ? ctx->id : 0;
    head[2] = ctx->inputs.nelts;

    p = ngx_cpymem(p, head, sizeof(head));
    p = ngx_cpymem(p, type, ngx_strlen(type) + 1);
    p = ngx_cpymem(p, ctx->inputs.elts, ctx->inputs.nelts * sizeof(uint64_t));

    for (i = 0; i < n; i++) {
        p = ngx_cpymem(p, &v[i], NGX_HTTP_HELIX_VALUE_SIZE);
        p = v[i].len ? ngx_cpymem(p, v[i].text, v[i].len) : p;
    }

    if (ctx->body.len) {
        ngx_memcpy(p, ctx->body.data, ctx->body.len);
    }

    return NGX_OK;
}
