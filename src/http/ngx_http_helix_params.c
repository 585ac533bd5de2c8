
/*
 * Parameters of kinds: collected while the request is read, because its kind
 * may be named last; checked when the kind is known.
 */

#include "ngx_http_helix.h"

#include "helix_utf8.h"


static ngx_int_t ngx_http_helix_param_json(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, helix_json_t *json, ngx_str_t *name);
static ngx_int_t ngx_http_helix_param_set(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, ngx_http_helix_param_t *given);
static ngx_int_t ngx_http_helix_param_value(ngx_http_request_t *r,
    const helix_param_t *param, ngx_http_helix_param_t *given,
    helix_value_t *value);
static ngx_int_t ngx_http_helix_param_text(ngx_http_request_t *r,
    const helix_param_t *param, ngx_http_helix_param_t *given,
    helix_value_t *value);
static ngx_int_t ngx_http_helix_param_unknown(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, ngx_str_t *name);
static ngx_int_t ngx_http_helix_param_bad(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, const helix_param_t *param,
    ngx_http_helix_param_t *given);


ngx_int_t
ngx_http_helix_param_add(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    const ngx_http_helix_param_t *param)
{
    ngx_uint_t               i;
    ngx_http_helix_param_t  *known;

    if (ctx->params == NULL) {
        ctx->params = ngx_array_create(r->pool, 4,
                                       sizeof(ngx_http_helix_param_t));
        if (ctx->params == NULL) {
            return NGX_ERROR;
        }
    }

    known = ctx->params->elts;

    for (i = 0; i < ctx->params->nelts; i++) {

        if (known[i].name.len != param->name.len
            || ngx_strncmp(known[i].name.data, param->name.data,
                           param->name.len)
               != 0)
        {
            continue;
        }

        /* final values come first, defaults last */

        if (known[i].origin != NGX_HTTP_HELIX_CLIENT
            || param->origin != NGX_HTTP_HELIX_CLIENT)
        {
            return NGX_OK;
        }

        ctx->problem.value = param->name;
        return ngx_http_helix_problem(r, ctx, NGX_HELIX_BAD_FIELD, "params",
                                      "the parameter is given twice");
    }

    if (i == HELIX_KIND_PARAMS) {
        return ngx_http_helix_param_unknown(r, ctx, (ngx_str_t *) &param->name);
    }

    known = ngx_array_push(ctx->params);
    if (known == NULL) {
        return NGX_ERROR;
    }

    *known = *param;

    return NGX_OK;
}


ngx_uint_t
ngx_http_helix_param_name(ngx_str_t *name)
{
    size_t  i;

    if (name->len == 0 || name->len > HELIX_KIND_NAME_MAX
        || name->data[0] < 'a' || name->data[0] > 'z')
    {
        return 0;
    }

    for (i = 1; i < name->len; i++) {
        if (!((name->data[i] >= 'a' && name->data[i] <= 'z')
              || (name->data[i] >= '0' && name->data[i] <= '9')
              || name->data[i] == '_'))
        {
            return 0;
        }
    }

    return 1;
}


/* The members of "params"; results as those of ngx_http_helix_field_json(). */

ngx_int_t
ngx_http_helix_params_json(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    helix_json_t *json)
{
    u_char              *p;
    ngx_int_t            rc;
    ngx_str_t            name;
    helix_json_token_t   token;

    while (helix_json_next(json, &token) == HELIX_JSON_KEY) {

        p = ngx_pnalloc(r->pool, token.len ? token.len : 1);
        if (p == NULL) {
            return NGX_ERROR;
        }

        name.data = p;
        name.len = (size_t) helix_json_text(&token, (char *) p, token.len);

        if (!ngx_http_helix_param_name(&name)) {
            return ngx_http_helix_param_unknown(r, ctx, &name);
        }

        rc = ngx_http_helix_param_json(r, ctx, json, &name);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    return (token.type == HELIX_JSON_OBJECT_END) ? NGX_OK : NGX_ABORT;
}


static ngx_int_t
ngx_http_helix_param_json(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    helix_json_t *json, ngx_str_t *name)
{
    ptrdiff_t                n;
    helix_json_token_t       token;
    ngx_http_helix_param_t   param;

    (void) helix_json_next(json, &token);

    ngx_memzero(&param, sizeof(ngx_http_helix_param_t));

    param.name = *name;
    param.type = token.type;
    param.json.data = (u_char *) token.start - (token.type
                                                == HELIX_JSON_STRING);

    if (!helix_json_skip_value(json, &token)) {
        return NGX_ABORT;
    }

    param.json.len = (u_char *) json->pos - param.json.data;

    if (param.type == HELIX_JSON_STRING) {
        param.value.data = ngx_pnalloc(r->pool, token.len + 1);
        if (param.value.data == NULL) {
            return NGX_ERROR;
        }

        n = helix_json_text(&token, (char *) param.value.data, token.len + 1);
        param.value.len = (size_t) n;

    } else {
        param.value = param.json;
    }

    return ngx_http_helix_param_add(r, ctx, &param);
}


ngx_int_t
ngx_http_helix_read_params(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx)
{
    ngx_int_t                rc;
    ngx_uint_t               i, n;
    const helix_param_t     *params;
    ngx_http_helix_param_t  *given;

    params = ctx->kind ? ctx->kind->kind->params : NULL;

    if (params) {
        for (n = 0; params[n].name; n++) { /* void */ }

        ctx->values = ngx_pcalloc(ctx->pool, (n + 1) * sizeof(helix_value_t));
        if (ctx->values == NULL) {
            return NGX_ERROR;
        }
    }

    if (ctx->params == NULL) {
        return NGX_OK;
    }

    given = ctx->params->elts;

    for (i = 0; i < ctx->params->nelts; i++) {
        rc = ngx_http_helix_param_set(r, ctx, &given[i]);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_helix_param_set(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    ngx_http_helix_param_t *given)
{
    ngx_int_t             rc;
    ngx_uint_t            i;
    const helix_param_t  *params;

    params = ctx->kind ? ctx->kind->kind->params : NULL;

    for (i = 0; params && params[i].name; i++) {

        if (ngx_strlen(params[i].name) != given->name.len
            || ngx_strncmp(params[i].name, given->name.data, given->name.len)
               != 0)
        {
            continue;
        }

        rc = ngx_http_helix_param_value(r, &params[i], given, &ctx->values[i]);

        return (rc == NGX_DECLINED)
               ? ngx_http_helix_param_bad(r, ctx, &params[i], given) : rc;
    }

    /* helix_job may give what only some of the kinds of a location have */

    return (given->origin == NGX_HTTP_HELIX_CLIENT)
           ? ngx_http_helix_param_unknown(r, ctx, &given->name) : NGX_OK;
}


/* NGX_DECLINED: it is not what the kind wants. */

static ngx_int_t
ngx_http_helix_param_value(ngx_http_request_t *r, const helix_param_t *param,
    ngx_http_helix_param_t *given, helix_value_t *value)
{
    char    *text;
    size_t   len;

    value->given = 1;

    if (param->type == HELIX_PARAM_TEXT || param->type == HELIX_PARAM_JSON) {
        return ngx_http_helix_param_text(r, param, given, value);
    }

    /* a number may be quoted, as in the other fields */

    if (given->type != HELIX_JSON_END && given->type != HELIX_JSON_NUMBER
        && given->type != HELIX_JSON_STRING)
    {
        return NGX_DECLINED;
    }

    text = (char *) given->value.data;
    len = given->value.len;

    if (param->type == HELIX_PARAM_U64) {
        if (helix_number_u64(text, len, &value->u64) != HELIX_NUMBER_OK) {
            return NGX_DECLINED;
        }

        value->f64 = (double) value->u64;

    } else if (helix_number_double(text, len, &value->f64) != HELIX_NUMBER_OK)
    {
        return NGX_DECLINED;
    }

    return (value->f64 >= param->min && value->f64 <= param->max)
           ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_helix_param_text(ngx_http_request_t *r, const helix_param_t *param,
    ngx_http_helix_param_t *given, helix_value_t *value)
{
    size_t               n;
    ngx_str_t           *text;
    const char          *p, *end;
    helix_json_t         json;
    helix_json_token_t   token;

    if (param->type == HELIX_PARAM_JSON) {
        text = given->type ? &given->json : &given->value;

    } else {
        if (given->type && given->type != HELIX_JSON_STRING) {
            return NGX_DECLINED;
        }

        text = &given->value;
    }

    if (text->len > param->max) {
        return NGX_DECLINED;
    }

    value->text = (char *) text->data;
    value->len = text->len;

    /* what came as JSON has been read as such */

    if (given->type) {
        return NGX_OK;
    }

    if (param->type == HELIX_PARAM_JSON) {
        helix_json_init(&json, value->text, text->len,
                        ngx_min(text->len, UINT32_MAX - 1) + 1);

        do {
            (void) helix_json_next(&json, &token);
        } while (token.type > HELIX_JSON_END);

        return (token.type == HELIX_JSON_END) ? NGX_OK : NGX_DECLINED;
    }

    end = value->text + text->len;

    for (p = value->text; p < end; p += n) {
        n = helix_utf8(p, end);

        if (n == 0) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_helix_param_unknown(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    ngx_str_t *name)
{
    ngx_uint_t            i, n;
    const char           *names[2 * NGX_HTTP_HELIX_FIELDS
                                + HELIX_KIND_PARAMS + 1];
    const helix_param_t  *params;

    n = ngx_http_helix_field_names(names, 1);

    params = ctx->kind ? ctx->kind->kind->params : NULL;

    for (i = 0; params && params[i].name; i++) {
        names[n++] = params[i].name;
    }

    names[n] = NULL;

    ctx->problem.value.len = name->len;
    ctx->problem.value.data = ngx_pstrdup(r->pool, name);
    ctx->problem.nearest = helix_nearest((char *) name->data, name->len, names);

    if (ctx->problem.value.data == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_helix_problem(r, ctx, NGX_HELIX_BAD_FIELD, NULL,
                                  "a job has no such field");
}


static ngx_int_t
ngx_http_helix_param_bad(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    const helix_param_t *param, ngx_http_helix_param_t *given)
{
    char    min[32], max[32];
    u_char  *p;

    min[helix_number_print(param->min, min)] = '\0';
    max[helix_number_print(param->max, max)] = '\0';

    p = ngx_pnalloc(r->pool, 128);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ctx->problem.expected = (char *) p;

    switch (param->type) {

    case HELIX_PARAM_U64:
        p = ngx_sprintf(p, "an integer from %s to %s", min, max);
        break;

    case HELIX_PARAM_F64:
        p = ngx_sprintf(p, "a number from %s to %s", min, max);
        break;

    case HELIX_PARAM_TEXT:
        p = ngx_sprintf(p, "text of at most %s bytes", max);
        break;

    default: /* HELIX_PARAM_JSON */
        p = ngx_sprintf(p, "JSON of at most %s bytes", max);
    }

    *p = '\0';

    ctx->problem.value = given->value;

    return ngx_http_helix_problem(r, ctx, NGX_HELIX_BAD_FIELD, param->name,
                                  "the value is not %s: %s",
                                  ctx->problem.expected, param->help);
}
