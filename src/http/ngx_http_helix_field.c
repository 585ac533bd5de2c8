
#include "ngx_http_helix.h"


#define NGX_HTTP_HELIX_BUDGET_MAX  86400000      /* ms */


typedef struct {
    const char                *name;
    const char                *alias;
    unsigned                   client:1;     /* in a request */
    unsigned                   query:1;      /* in its query string only */
    const char                *expected;
} ngx_http_helix_field_info_t;


static ngx_int_t ngx_http_helix_field_number(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, ngx_http_helix_field_t field, const char *text,
    size_t len);
static ngx_int_t ngx_http_helix_field_share(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, ngx_http_helix_field_t field, const char *text,
    size_t len);
static ngx_int_t ngx_http_helix_field_input(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, const char *text, size_t len);
static ngx_int_t ngx_http_helix_field_inputs(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, ngx_str_t *value);
static ngx_int_t ngx_http_helix_field_inputs_json(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, helix_json_t *json, helix_json_token_t *token);
static ngx_int_t ngx_http_helix_field_word(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, ngx_http_helix_field_t field, ngx_str_t *value);
static ngx_int_t ngx_http_helix_field_bad(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, ngx_http_helix_field_t field, const char *text,
    size_t len);
static helix_strategy_t ngx_http_helix_strategy(ngx_str_t *name);
static ngx_uint_t ngx_http_helix_kind_equal(ngx_str_t *a, ngx_str_t *b);


static const ngx_http_helix_field_info_t
    ngx_http_helix_fields[NGX_HTTP_HELIX_FIELDS] =
{
    { "id", "id", 1, 0,
      "an unsigned 64-bit integer" },

    { "kind", "kind", 1, 0,
      "the name of a kind" },

    { "inputs", "inputs", 1, 0,
      "unsigned 64-bit integers, [42,100] in JSON, 42,100 in a form" },

    { "compute_cost", "cost", 1, 0,
      "an unsigned 64-bit integer" },

    { "scaling_potential", "scaling", 1, 0,
      "a number from 0 to 1" },

    { "latency_budget_ms", "budget_ms", 1, 0,
      "milliseconds from 1 to 86400000" },

    { "min_quality", "min_quality", 1, 0,
      "a number from 0 to 1" },

    { "params", "params", 1, 0,
      "an object; a form and a query string name each parameter" },

    { "strategy", "strategy", 0, 0,
      "inline, spawn, cpu_pool, batch or drop" },

    { "bigint", "bigint", 1, 1,
      "number or string" },

    { "explain", "explain", 1, 1,
      "0 or 1, and 1 only where helix_explain is on" }
};


ngx_http_helix_field_t
ngx_http_helix_field_find(ngx_str_t *name, ngx_uint_t query)
{
    ngx_uint_t                          i;
    const ngx_http_helix_field_info_t  *info;

    for (i = 0; i < NGX_HTTP_HELIX_FIELDS; i++) {
        info = &ngx_http_helix_fields[i];

        if (!info->client || (info->query && !query)) {
            continue;
        }

        if ((name->len == ngx_strlen(info->name)
             && ngx_strncmp(name->data, info->name, name->len) == 0)
            || (name->len == ngx_strlen(info->alias)
                && ngx_strncmp(name->data, info->alias, name->len) == 0))
        {
            break;
        }
    }

    return i;
}


const char *
ngx_http_helix_field_nearest(ngx_str_t *name, ngx_uint_t query)
{
    const char  *names[2 * NGX_HTTP_HELIX_FIELDS + 1];

    names[ngx_http_helix_field_names(names, query)] = NULL;

    return helix_nearest((char *) name->data, name->len, names);
}


ngx_uint_t
ngx_http_helix_field_names(const char **names, ngx_uint_t query)
{
    ngx_uint_t                          i, n;
    const ngx_http_helix_field_info_t  *info;

    n = 0;

    for (i = 0; i < NGX_HTTP_HELIX_FIELDS; i++) {
        info = &ngx_http_helix_fields[i];

        if (info->client && (!info->query || query)) {
            names[n++] = info->name;
            names[n++] = info->alias;
        }
    }

    return n;
}


const char *
ngx_http_helix_field_name(ngx_http_helix_field_t field)
{
    return ngx_http_helix_fields[field].name;
}


ngx_http_helix_field_t
ngx_http_helix_field_conf(ngx_str_t *name)
{
    static ngx_str_t  budget = ngx_string("budget");
    static ngx_str_t  strategy = ngx_string("strategy");

    if (name->len == budget.len
        && ngx_strncmp(name->data, budget.data, budget.len) == 0)
    {
        return NGX_HTTP_HELIX_BUDGET;
    }

    if (name->len == strategy.len
        && ngx_strncmp(name->data, strategy.data, strategy.len) == 0)
    {
        return NGX_HTTP_HELIX_STRATEGY;
    }

    return ngx_http_helix_field_find(name, 0);
}


const char *
ngx_http_helix_field_check(ngx_http_helix_field_t field, ngx_str_t *value)
{
    u_char      *p, *last, *comma;
    double       scaling;
    uint64_t     n;
    ngx_uint_t   ok;

    switch (field) {

    case NGX_HTTP_HELIX_PARAMS:
        ok = 1;
        break;

    case NGX_HTTP_HELIX_SCALING:
    case NGX_HTTP_HELIX_MIN_QUALITY:
        ok = (helix_number_double((char *) value->data, value->len, &scaling)
              == HELIX_NUMBER_OK && scaling >= 0 && scaling <= 1);
        break;

    case NGX_HTTP_HELIX_BUDGET:
        if (ngx_http_helix_field_budget(value, &n) != NGX_OK) {
            return "a time such as \"50ms\"";
        }

        ok = 1;
        break;

    case NGX_HTTP_HELIX_STRATEGY:
        ok = (ngx_http_helix_strategy(value) != HELIX_STRATEGIES);
        break;

    case NGX_HTTP_HELIX_KIND:
        ok = (value->len != 0);
        break;

    default: /* ID, INPUTS, COST */
        p = value->data;
        last = p + value->len;

        do {
            comma = (field == NGX_HTTP_HELIX_INPUTS)
                    ? ngx_strlchr(p, last, ',') : NULL;

            ok = (helix_number_u64((char *) p, (comma ? comma : last) - p, &n)
                  == HELIX_NUMBER_OK);

            p = comma ? comma + 1 : last;
        } while (ok && comma);
    }

    return ok ? NULL : ngx_http_helix_fields[field].expected;
}


ngx_int_t
ngx_http_helix_field_budget(ngx_str_t *value, uint64_t *ms)
{
    ngx_int_t  n;

    if (value->len == 0) {
        return NGX_ERROR;
    }

    if (value->data[value->len - 1] >= '0'
        && value->data[value->len - 1] <= '9')
    {
        n = ngx_atoi(value->data, value->len);

    } else {
        n = ngx_parse_time(value, 0);
    }

    if (n < 1 || n > NGX_HTTP_HELIX_BUDGET_MAX) {
        return NGX_ERROR;
    }

    *ms = n;

    return NGX_OK;
}


static helix_strategy_t
ngx_http_helix_strategy(ngx_str_t *name)
{
    ngx_uint_t  i;

    for (i = 0; i < HELIX_STRATEGIES; i++) {
        if (ngx_strlen(helix_strategy_names[i]) == name->len
            && ngx_strncmp(helix_strategy_names[i], name->data, name->len)
               == 0)
        {
            break;
        }
    }

    return i;
}


ngx_int_t
ngx_http_helix_field_text(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    ngx_http_helix_field_t field, ngx_str_t *value)
{
    const char  *text;

    text = (const char *) value->data;

    switch (field) {

    case NGX_HTTP_HELIX_ID:
    case NGX_HTTP_HELIX_COST:
    case NGX_HTTP_HELIX_BUDGET:
        return ngx_http_helix_field_number(r, ctx, field, text, value->len);

    case NGX_HTTP_HELIX_SCALING:
    case NGX_HTTP_HELIX_MIN_QUALITY:
        return ngx_http_helix_field_share(r, ctx, field, text, value->len);

    case NGX_HTTP_HELIX_PARAMS:
        return ngx_http_helix_field_bad(r, ctx, field, text, value->len);

    case NGX_HTTP_HELIX_INPUTS:
        return ngx_http_helix_field_inputs(r, ctx, value);

    default: /* KIND, STRATEGY, BIGINT, EXPLAIN */
        return ngx_http_helix_field_word(r, ctx, field, value);
    }
}


/* NGX_ABORT: the document itself is broken, json->error says how.  The token
   of a locked field is checked all the same: its text has to be consumed. */

ngx_int_t
ngx_http_helix_field_json(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    ngx_http_helix_field_t field, helix_json_t *json,
    helix_json_token_t *token)
{
    ptrdiff_t  n;
    ngx_str_t  value;

    if (field == NGX_HTTP_HELIX_INPUTS && token->type == HELIX_JSON_ARRAY) {
        return ngx_http_helix_field_inputs_json(r, ctx, json, token);
    }

    if (field == NGX_HTTP_HELIX_PARAMS && token->type == HELIX_JSON_OBJECT) {
        return ngx_http_helix_params_json(r, ctx, json);
    }

    value.data = (u_char *) token->start;
    value.len = token->len;

    if (token->type == HELIX_JSON_STRING) {
        value.data = ngx_pnalloc(r->pool, token->len + 1);
        if (value.data == NULL) {
            return NGX_ERROR;
        }

        n = helix_json_text(token, (char *) value.data, token->len + 1);
        value.len = (size_t) n;
    }

    /* a 64-bit integer may be quoted: JavaScript has no other way */

    if (field == NGX_HTTP_HELIX_INPUTS || field == NGX_HTTP_HELIX_PARAMS
        || (field == NGX_HTTP_HELIX_KIND && token->type != HELIX_JSON_STRING)
        || ((field == NGX_HTTP_HELIX_SCALING
             || field == NGX_HTTP_HELIX_MIN_QUALITY)
            && token->type != HELIX_JSON_NUMBER)
        || (token->type != HELIX_JSON_STRING
            && token->type != HELIX_JSON_NUMBER))
    {
        return ngx_http_helix_field_bad(r, ctx, field, (char *) value.data,
                                        value.len);
    }

    if (ctx->locked & (1 << field)) {
        return NGX_OK;
    }

    return ngx_http_helix_field_text(r, ctx, field, &value);
}


static ngx_int_t
ngx_http_helix_field_number(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    ngx_http_helix_field_t field, const char *text, size_t len)
{
    uint64_t  value;

    if (helix_number_u64(text, len, &value) != HELIX_NUMBER_OK) {
        return ngx_http_helix_field_bad(r, ctx, field, text, len);
    }

    switch (field) {

    case NGX_HTTP_HELIX_ID:
        ctx->id = value;
        break;

    case NGX_HTTP_HELIX_COST:
        ctx->cost = value;
        break;

    default: /* NGX_HTTP_HELIX_BUDGET */
        if (value < 1 || value > NGX_HTTP_HELIX_BUDGET_MAX) {
            return ngx_http_helix_field_bad(r, ctx, field, text, len);
        }

        ctx->budget = value;
    }

    ctx->set |= 1 << field;

    return NGX_OK;
}


static ngx_int_t
ngx_http_helix_field_share(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    ngx_http_helix_field_t field, const char *text, size_t len)
{
    double  value;

    if (helix_number_double(text, len, &value) != HELIX_NUMBER_OK
        || !(value >= 0 && value <= 1))
    {
        return ngx_http_helix_field_bad(r, ctx, field, text, len);
    }

    if (field == NGX_HTTP_HELIX_SCALING) {
        ctx->scaling = value;

    } else {
        ctx->min_quality = value;
    }

    ctx->set |= 1 << field;

    return NGX_OK;
}


static ngx_int_t
ngx_http_helix_field_input(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    const char *text, size_t len)
{
    uint64_t                     value, *input;
    ngx_http_helix_main_conf_t  *hmcf;

    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);

    if (ctx->inputs.nelts == hmcf->max_inputs) {
        ctx->problem.limit = hmcf->max_inputs;
        return ngx_http_helix_problem(r, ctx, NGX_HELIX_TOO_LARGE, "inputs",
                                      "there are more than %ui inputs, no "
                                      "\"max_inputs\" of a helix_kind allows "
                                      "that", hmcf->max_inputs);
    }

    if (helix_number_u64(text, len, &value) != HELIX_NUMBER_OK) {
        return ngx_http_helix_field_bad(r, ctx, NGX_HTTP_HELIX_INPUTS, text,
                                        len);
    }

    input = ngx_array_push(&ctx->inputs);
    if (input == NULL) {
        return NGX_ERROR;
    }

    *input = value;

    return NGX_OK;
}


static ngx_int_t
ngx_http_helix_field_inputs(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    ngx_str_t *value)
{
    u_char     *p, *last, *comma;
    ngx_int_t   rc;

    ctx->set |= 1 << NGX_HTTP_HELIX_INPUTS;

    p = value->data;
    last = p + value->len;

    if (p == last) {
        return NGX_OK;
    }

    for ( ;; ) {
        comma = ngx_strlchr(p, last, ',');

        rc = ngx_http_helix_field_input(r, ctx, (char *) p,
                                        (comma ? comma : last) - p);
        if (rc != NGX_OK || comma == NULL) {
            return rc;
        }

        p = comma + 1;
    }
}


static ngx_int_t
ngx_http_helix_field_inputs_json(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, helix_json_t *json, helix_json_token_t *token)
{
    char        *text;
    size_t       len;
    ngx_int_t    rc;
    ngx_uint_t   locked;

    locked = ctx->locked & (1 << NGX_HTTP_HELIX_INPUTS);

    while (helix_json_next(json, token) != HELIX_JSON_ARRAY_END) {

        if (token->type == HELIX_JSON_ERROR) {
            return NGX_ABORT;
        }

        if (token->type != HELIX_JSON_NUMBER
            && token->type != HELIX_JSON_STRING)
        {
            return ngx_http_helix_field_bad(r, ctx, NGX_HTTP_HELIX_INPUTS,
                                            token->start, token->len);
        }

        if (locked) {
            continue;
        }

        text = (char *) token->start;
        len = token->len;

        if (token->escaped) {
            text = ngx_pnalloc(r->pool, len);
            if (text == NULL) {
                return NGX_ERROR;
            }

            len = (size_t) helix_json_text(token, text, len);
        }

        rc = ngx_http_helix_field_input(r, ctx, text, len);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    ctx->set |= 1 << NGX_HTTP_HELIX_INPUTS;

    return NGX_OK;
}


static ngx_int_t
ngx_http_helix_field_word(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    ngx_http_helix_field_t field, ngx_str_t *value)
{
    ngx_http_helix_loc_conf_t  *hlcf;

    switch (field) {

    case NGX_HTTP_HELIX_KIND:
        ctx->kind_name = *value;
        break;

    case NGX_HTTP_HELIX_STRATEGY:
        ctx->strategy = ngx_http_helix_strategy(value);

        if (ctx->strategy == HELIX_STRATEGIES) {
            return ngx_http_helix_field_bad(r, ctx, field,
                                            (char *) value->data, value->len);
        }

        break;

    case NGX_HTTP_HELIX_EXPLAIN:
        hlcf = ngx_http_get_module_loc_conf(r, ngx_http_helix_module);

        if (value->len != 1
            || (value->data[0] != '0'
                && (value->data[0] != '1' || !hlcf->explain)))
        {
            return ngx_http_helix_field_bad(r, ctx, field,
                                            (char *) value->data, value->len);
        }

        ctx->explain = (value->data[0] == '1');
        break;

    default: /* NGX_HTTP_HELIX_BIGINT */
        if (value->len != 6
            || (ngx_strncmp(value->data, "string", 6) != 0
                && ngx_strncmp(value->data, "number", 6) != 0))
        {
            return ngx_http_helix_field_bad(r, ctx, field,
                                            (char *) value->data, value->len);
        }

        ctx->bigint_string = (value->data[0] == 's');
    }

    ctx->set |= 1 << field;

    return NGX_OK;
}


static ngx_int_t
ngx_http_helix_field_bad(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    ngx_http_helix_field_t field, const char *text, size_t len)
{
    ctx->problem.value.data = (u_char *) text;
    ctx->problem.value.len = len;
    ctx->problem.expected = ngx_http_helix_fields[field].expected;

    return ngx_http_helix_problem(r, ctx, NGX_HELIX_BAD_FIELD,
                                  ngx_http_helix_fields[field].name,
                                  "the value is not %s",
                                  ngx_http_helix_fields[field].expected);
}


ngx_http_helix_kind_t *
ngx_http_helix_kind_find(ngx_http_helix_main_conf_t *hmcf, ngx_str_t *name)
{
    ngx_uint_t  i;

    for (i = 0; i < hmcf->nkinds; i++) {
        if (ngx_http_helix_kind_equal(&hmcf->kinds[i].name, name)) {
            return &hmcf->kinds[i];
        }
    }

    return NULL;
}


/* HashMix, hash_mix, hash-mix and hashmix are one. */

static ngx_uint_t
ngx_http_helix_kind_equal(ngx_str_t *a, ngx_str_t *b)
{
    size_t  i, j;

    i = 0;
    j = 0;

    for ( ;; ) {

        while (i < a->len && (a->data[i] == '_' || a->data[i] == '-')) {
            i++;
        }

        while (j < b->len && (b->data[j] == '_' || b->data[j] == '-')) {
            j++;
        }

        if (i == a->len || j == b->len) {
            return i == a->len && j == b->len;
        }

        if (ngx_tolower(a->data[i]) != ngx_tolower(b->data[j])) {
            return 0;
        }

        i++;
        j++;
    }
}


const char *
ngx_http_helix_kind_nearest(ngx_http_helix_main_conf_t *hmcf, ngx_str_t *name)
{
    ngx_uint_t   i;
    const char  *names[NGX_HELIX_KINDS + 1];

    for (i = 0; i < hmcf->nkinds; i++) {
        names[i] = (const char *) hmcf->kinds[i].name.data;
    }

    names[i] = NULL;

    return helix_nearest((char *) name->data, name->len, names);
}
