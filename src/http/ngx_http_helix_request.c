
#include "ngx_http_helix.h"


/* Room for everything but the elements of "inputs". */
#define NGX_HTTP_HELIX_TOKENS       512


static ngx_int_t ngx_http_helix_read_conf(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, ngx_uint_t final);
static ngx_int_t ngx_http_helix_read_conf_value(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, ngx_http_helix_job_value_t *jv,
    ngx_str_t *value);
static ngx_int_t ngx_http_helix_read_kind(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx);
static ngx_int_t ngx_http_helix_read_body(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx);
static ngx_int_t ngx_http_helix_read_json(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, ngx_str_t *text);
static ngx_int_t ngx_http_helix_read_pairs(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, ngx_str_t *text, ngx_uint_t query);
static ngx_uint_t ngx_http_helix_conf_arg(ngx_http_request_t *r,
    ngx_str_t *name);
static ngx_int_t ngx_http_helix_client_field(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, ngx_str_t *name, ngx_uint_t query,
    ngx_http_helix_field_t *field);
static ngx_int_t ngx_http_helix_unescape(ngx_pool_t *pool, ngx_str_t *text);


ngx_int_t
ngx_http_helix_read_job(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (ngx_array_init(&ctx->inputs, r->pool, 16, sizeof(uint64_t)) != NGX_OK)
    {
        return NGX_ERROR;
    }

    rc = ngx_http_helix_read_conf(r, ctx, 1);

    ctx->locked = ctx->set;

    if (rc == NGX_OK && r->args.len) {
        rc = ngx_http_helix_read_pairs(r, ctx, &r->args, 1);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_helix_read_body(r, ctx);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_helix_read_conf(r, ctx, 0);
    }

    if (rc == NGX_OK && ctx->params
        && !(ctx->set & (1 << NGX_HTTP_HELIX_KIND)))
    {
        rc = ngx_http_helix_read_params(r, ctx);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_helix_read_kind(r, ctx);
    }

    if (rc == NGX_OK && ctx->body_type) {
        rc = ngx_http_helix_body_check(r, ctx);
    }

    if (rc == NGX_OK && (ctx->params || ctx->kind->kind->params)) {
        rc = ngx_http_helix_read_params(r, ctx);
    }

    return rc;
}


/* Values of helix_pass and helix_job: the final ones come first and lock
   their fields, the others fill what the request has left open. */

static ngx_int_t
ngx_http_helix_read_conf(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    ngx_uint_t final)
{
    ngx_int_t                    rc;
    ngx_str_t                    value;
    ngx_uint_t                   i, bit;
    ngx_http_helix_loc_conf_t   *hlcf;
    ngx_http_helix_job_value_t  *jv;

    hlcf = ngx_http_get_module_loc_conf(r, ngx_http_helix_module);

    if (final && hlcf->pass_kind) {

        if (ngx_http_complex_value(r, hlcf->pass_kind, &value) != NGX_OK) {
            return NGX_ERROR;
        }

        if (value.len) {
            ctx->kind_name = value;
            ctx->set |= 1 << NGX_HTTP_HELIX_KIND;
        }
    }

    if (hlcf->job == NULL) {
        return NGX_OK;
    }

    jv = hlcf->job->elts;

    for (i = 0; i < hlcf->job->nelts; i++) {

        if (jv[i].final != final) {
            continue;
        }

        /* a client may only shorten the budget, not set its own */

        bit = 1 << jv[i].field;

        if ((ctx->set & bit)
            && ((jv[i].field != NGX_HTTP_HELIX_BUDGET
                 && jv[i].field != NGX_HTTP_HELIX_MIN_QUALITY)
                || (ctx->locked & bit)))
        {
            continue;
        }

        if (ngx_http_complex_value(r, &jv[i].value, &value) != NGX_OK) {
            return NGX_ERROR;
        }

        if (value.len == 0) {
            continue;
        }

        rc = ngx_http_helix_read_conf_value(r, ctx, &jv[i], &value);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_helix_read_conf_value(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, ngx_http_helix_job_value_t *jv,
    ngx_str_t *value)
{
    double                   quality;
    uint64_t                 budget;
    ngx_int_t                rc;
    ngx_uint_t               bit;
    ngx_http_helix_param_t   param;

    bit = 1 << jv->field;

    if (jv->field == NGX_HTTP_HELIX_BUDGET
        && ngx_http_helix_field_budget(value, &budget) == NGX_OK)
    {
        if (!(ctx->set & bit) || budget < ctx->budget) {
            ctx->budget = budget;
        }

        ctx->set |= bit;

        return NGX_OK;
    }

    if (jv->field == NGX_HTTP_HELIX_PARAMS) {
        ngx_memzero(&param, sizeof(ngx_http_helix_param_t));

        param.name = jv->param;
        param.value = *value;
        param.origin = jv->final ? NGX_HTTP_HELIX_FINAL
                                 : NGX_HTTP_HELIX_DEFAULT;

        return ngx_http_helix_param_add(r, ctx, &param);
    }

    quality = ctx->min_quality;
    rc = ngx_http_helix_field_text(r, ctx, jv->field, value);
    ctx->min_quality = ngx_max(ctx->min_quality, quality);

    return rc;
}


static ngx_int_t
ngx_http_helix_read_kind(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx)
{
    u_char                      *args;
    ngx_str_t                    path;
    ngx_http_helix_kind_t       *kind;
    ngx_http_helix_main_conf_t  *hmcf;

    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);

    if (!(ctx->set & (1 << NGX_HTTP_HELIX_KIND))) {
        /* as it was sent: decoded it could forge a line of the log */

        path = r->unparsed_uri;
        args = ngx_strlchr(path.data, path.data + path.len, '?');
        path.len = args ? (size_t) (args - path.data) : path.len;

        ctx->problem.known = 1;
        return ngx_http_helix_problem(r, ctx, NGX_HELIX_BAD_FIELD, "kind",
                                      "a job needs a kind, for example: "
                                      "curl 'http://%V%V"
                                      "?kind=hashmix&inputs=42,100'",
                                      r->headers_in.host
                                      ? &r->headers_in.host->value
                                      : &r->headers_in.server, &path);
    }

    kind = ngx_http_helix_kind_find(hmcf, &ctx->kind_name);

    if (kind == NULL) {
        ctx->problem.known = 1;
        ctx->problem.value = ctx->kind_name;
        ctx->problem.nearest = ngx_http_helix_kind_nearest(hmcf,
                                                           &ctx->kind_name);
        return ngx_http_helix_problem(r, ctx, NGX_HELIX_UNKNOWN_KIND, "kind",
                                      "there is no such kind of job");
    }

    ngx_http_helix_set_kind(ctx, kind);

    return NGX_OK;
}


void
ngx_http_helix_set_kind(ngx_http_helix_ctx_t *ctx, ngx_http_helix_kind_t *kind)
{
    ctx->kind = kind;

    if (!(ctx->set & (1 << NGX_HTTP_HELIX_COST))) {
        ctx->cost = kind->cost;
    }

    if (!(ctx->set & (1 << NGX_HTTP_HELIX_SCALING))) {
        ctx->scaling = kind->scaling;
    }

    ctx->min_quality = ngx_max(ctx->min_quality, kind->min_quality);

    /* a client may only shorten what the configuration gives */

    if (kind->budget && (ctx->budget == 0 || ctx->budget > kind->budget)) {
        ctx->budget = kind->budget;
    }
}


static ngx_int_t
ngx_http_helix_read_body(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx)
{
    ngx_int_t   rc;
    ngx_str_t   text;
    ngx_uint_t  other;

    other = ngx_http_helix_body_accepted(r);

    rc = ngx_http_helix_body_text(r, ctx, other, &text);
    if (rc != NGX_OK) {
        return rc;
    }

    switch (ngx_http_helix_body_type(r, &text)) {

    case NGX_HTTP_HELIX_BODY_NONE:
        return NGX_OK;

    case NGX_HTTP_HELIX_BODY_JSON:
        return ngx_http_helix_read_json(r, ctx, &text);

    case NGX_HTTP_HELIX_BODY_FORM:
        return ngx_http_helix_read_pairs(r, ctx, &text, 0);

    default: /* NGX_HTTP_HELIX_BODY_OTHER */
        ctx->body = text;
        ctx->body_type = "";

        return other ? NGX_OK : ngx_http_helix_body_refuse(r, ctx);
    }
}


static ngx_int_t
ngx_http_helix_read_json(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    ngx_str_t *text)
{
    char                         buf[64];
    ptrdiff_t                    n;
    ngx_int_t                    rc;
    ngx_str_t                    name;
    helix_json_t                 json;
    helix_json_token_t           token;
    ngx_http_helix_field_t       field;
    ngx_http_helix_main_conf_t  *hmcf;

    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);

    ctx->problem.json = *text;

    helix_json_init(&json, (char *) text->data, text->len,
                    NGX_HTTP_HELIX_TOKENS + hmcf->max_inputs
                    + hmcf->max_params / 2);

    if (helix_json_next(&json, &token) != HELIX_JSON_OBJECT) {
        if (json.error == NULL) {
            json.error = "a job is an object";
            json.pos = token.start - (token.type == HELIX_JSON_STRING);
        }

        return ngx_http_helix_json_error(r, ctx, &json);
    }

    while (helix_json_next(&json, &token) == HELIX_JSON_KEY) {

        n = helix_json_text(&token, buf, sizeof(buf));

        name.data = (n < 0) ? (u_char *) token.start : (u_char *) buf;
        name.len = (n < 0) ? token.len : (size_t) n;

        rc = ngx_http_helix_client_field(r, ctx, &name, 0, &field);
        if (rc != NGX_OK) {
            return rc;
        }

        (void) helix_json_next(&json, &token);

        if (token.type == HELIX_JSON_ERROR) {
            return ngx_http_helix_json_error(r, ctx, &json);
        }

        rc = ngx_http_helix_field_json(r, ctx, field, &json, &token);
        if (rc == NGX_ABORT) {
            return ngx_http_helix_json_error(r, ctx, &json);
        }

        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (token.type != HELIX_JSON_OBJECT_END
        || helix_json_next(&json, &token) != HELIX_JSON_END)
    {
        return ngx_http_helix_json_error(r, ctx, &json);
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_helix_json_error(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    helix_json_t *json)
{
    uint32_t  line, column;

    ctx->problem.offset = json->pos - json->start;

    helix_json_position(json->start, ctx->problem.offset, &line, &column);

    return ngx_http_helix_problem(r, ctx, NGX_HELIX_BAD_JSON, NULL,
                                  "%s at line %uD, column %uD",
                                  json->error, line, column);
}


static ngx_int_t
ngx_http_helix_read_pairs(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    ngx_str_t *text, ngx_uint_t query)
{
    u_char                  *p, *last, *end, *eq;
    ngx_int_t                rc;
    ngx_str_t                name, value;
    ngx_http_helix_field_t   field;
    ngx_http_helix_param_t   param;

    last = text->data + text->len;

    for (p = text->data; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '&');
        if (end == NULL) {
            end = last;
        }

        if (end == p) {
            continue;
        }

        eq = ngx_strlchr(p, end, '=');

        name.data = p;
        name.len = (eq ? eq : end) - p;
        value.data = eq ? eq + 1 : end;
        value.len = end - value.data;

        rc = ngx_http_helix_unescape(r->pool, &name);

        if (rc == NGX_OK) {
            rc = ngx_http_helix_unescape(r->pool, &value);
        }

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_DECLINED) {
            ctx->problem.value.data = p;
            ctx->problem.value.len = end - p;
            return ngx_http_helix_problem(r, ctx, NGX_HELIX_BAD_FIELD, NULL,
                                          "\"%%\" must be followed by two "
                                          "hexadecimal digits");
        }

        if (query && ngx_http_helix_conf_arg(r, &name)) {
            continue;
        }

        if (ngx_http_helix_field_find(&name, query) == NGX_HTTP_HELIX_FIELDS
            && ngx_http_helix_param_name(&name))
        {
            ngx_memzero(&param, sizeof(ngx_http_helix_param_t));

            param.name = name;
            param.value = value;

            rc = ngx_http_helix_param_add(r, ctx, &param);
            if (rc != NGX_OK) {
                return rc;
            }

            continue;
        }

        rc = ngx_http_helix_client_field(r, ctx, &name, query, &field);

        if (rc == NGX_OK && !(ctx->locked & (1 << field))) {
            rc = ngx_http_helix_field_text(r, ctx, field, &value);
        }

        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_OK;
}


/* An argument that helix_job reads itself. */

static ngx_uint_t
ngx_http_helix_conf_arg(ngx_http_request_t *r, ngx_str_t *name)
{
    ngx_str_t                  *arg;
    ngx_uint_t                  i;
    ngx_http_helix_loc_conf_t  *hlcf;

    hlcf = ngx_http_get_module_loc_conf(r, ngx_http_helix_module);

    if (hlcf->args == NULL) {
        return 0;
    }

    arg = hlcf->args->elts;

    for (i = 0; i < hlcf->args->nelts; i++) {
        if (arg[i].len == name->len
            && ngx_strncasecmp(arg[i].data, name->data, name->len) == 0
            && ngx_http_helix_field_find(name, 1) == NGX_HTTP_HELIX_FIELDS)
        {
            return 1;
        }
    }

    return 0;
}


/* A name that came from a client: known, and not seen before. */

static ngx_int_t
ngx_http_helix_client_field(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    ngx_str_t *name, ngx_uint_t query, ngx_http_helix_field_t *field)
{
    *field = ngx_http_helix_field_find(name, query);

    if (*field == NGX_HTTP_HELIX_FIELDS) {
        ctx->problem.value = *name;
        ctx->problem.value.data = ngx_pstrdup(r->pool, name);
        ctx->problem.nearest = ngx_http_helix_field_nearest(name, query);

        if (ctx->problem.value.data == NULL) {
            return NGX_ERROR;
        }

        return ngx_http_helix_problem(r, ctx, NGX_HELIX_BAD_FIELD, NULL,
                                      "a job has no such field");
    }

    if (ctx->seen & (1 << *field)) {
        return ngx_http_helix_problem(r, ctx, NGX_HELIX_BAD_FIELD,
                                      ngx_http_helix_field_name(*field),
                                      "the field is given twice");
    }

    ctx->seen |= 1 << *field;

    return NGX_OK;
}


/* In place of nginx's: '+' is a space, and what is not hexadecimal is an
   error. */

static ngx_int_t
ngx_http_helix_unescape(ngx_pool_t *pool, ngx_str_t *text)
{
    u_char     *d, *s, *last;
    ngx_int_t   n;

    s = text->data;
    last = s + text->len;

    if (ngx_strlchr(s, last, '%') == NULL && ngx_strlchr(s, last, '+') == NULL)
    {
        return NGX_OK;
    }

    d = ngx_pnalloc(pool, text->len);
    if (d == NULL) {
        return NGX_ERROR;
    }

    text->data = d;

    for ( /* void */ ; s < last; s++) {

        if (*s != '%') {
            *d++ = (*s == '+') ? ' ' : *s;
            continue;
        }

        if (last - s < 3) {
            return NGX_DECLINED;
        }

        n = ngx_hextoi(s + 1, 2);
        if (n == NGX_ERROR) {
            return NGX_DECLINED;
        }

        *d++ = (u_char) n;
        s += 2;
    }

    text->len = d - text->data;

    return NGX_OK;
}
