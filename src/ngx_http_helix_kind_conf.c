
#include "ngx_http_helix.h"

#define NGX_HTTP_HELIX_MAX_INPUTS  4096
#define NGX_HTTP_HELIX_INPUTS_MAX  1048576
#define NGX_HTTP_HELIX_COST        1000


typedef enum {
    NGX_HTTP_HELIX_OPTION_BATCH = 0,
    NGX_HTTP_HELIX_OPTION_COST,
    NGX_HTTP_HELIX_OPTION_SCALING,
    NGX_HTTP_HELIX_OPTION_BUDGET,
    NGX_HTTP_HELIX_OPTION_MAX_COST,
    NGX_HTTP_HELIX_OPTION_MAX_INPUTS,
    NGX_HTTP_HELIX_OPTION_MIN_QUALITY,
    NGX_HTTP_HELIX_OPTION_COALESCE,
    NGX_HTTP_HELIX_OPTIONS
} ngx_http_helix_option_t;


static char *ngx_http_helix_kind_option(ngx_conf_t *cf,
    ngx_http_helix_kind_t *kind, ngx_str_t *text);
static const char *ngx_http_helix_kind_set(ngx_http_helix_kind_t *kind,
    ngx_http_helix_option_t option, ngx_str_t *value);


/* In the order of ngx_http_helix_option_t. */

static const char *const  ngx_http_helix_options[] = {
    "batch=", "cost=", "scaling=", "budget=", "max_cost=", "max_inputs=",
    "min_quality=", "coalesce=", NULL
};


ngx_http_helix_kind_t *
ngx_http_helix_kind_add(ngx_http_helix_main_conf_t *hmcf, ngx_str_t *name,
    const helix_kind_t *source)
{
    ngx_http_helix_kind_t  *kind;

    kind = &hmcf->kinds[hmcf->nkinds++];

    kind->name = *name;
    kind->kind = source;
    kind->batch = 1;
    kind->coalesce = 1;

    while (source->levels && source->levels[kind->nlevels]) {
        kind->nlevels++;
    }

    kind->cost = NGX_HTTP_HELIX_COST;
    kind->max_cost = source->max_work;
    kind->max_inputs = NGX_HTTP_HELIX_MAX_INPUTS;

    return kind;
}


char *
ngx_http_helix_kind(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_helix_main_conf_t *hmcf = conf;

    char                   *rv;
    ngx_str_t              *value;
    ngx_uint_t              i;
    ngx_http_helix_kind_t  *kind;

    value = cf->args->elts;

    kind = ngx_http_helix_kind_find(hmcf, &value[1]);

    if (kind == NULL) {
        return ngx_http_helix_unknown_kind(cf, hmcf, &value[1]);
    }

    ngx_http_helix_here(cf, &kind->place);

    for (i = 2; i < cf->args->nelts; i++) {
        rv = ngx_http_helix_kind_option(cf, kind, &value[i]);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_helix_kind_option(ngx_conf_t *cf, ngx_http_helix_kind_t *kind,
    ngx_str_t *text)
{
    u_char      *eq;
    ngx_str_t    name, value;
    ngx_uint_t   i;
    const char  *expected;

    eq = (u_char *) ngx_strchr(text->data, '=');

    name.data = text->data;
    name.len = eq ? (size_t) (eq + 1 - text->data) : text->len;
    value.data = text->data + name.len;
    value.len = text->len - name.len;

    for (i = 0; i < NGX_HTTP_HELIX_OPTIONS; i++) {
        if (ngx_http_helix_is(&name, ngx_http_helix_options[i])) {
            break;
        }
    }

    if (i == NGX_HTTP_HELIX_OPTIONS) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" in \"helix_kind\"%s", text,
                           ngx_http_helix_quote_nearest(&name,
                                                    ngx_http_helix_options));
        return NGX_CONF_ERROR;
    }

    if (kind->given & (1 << i)) {
        return ngx_http_helix_duplicate(cf, text);
    }

    kind->given |= 1 << i;

    expected = ngx_http_helix_kind_set(kind, i, &value);

    if (expected) {
        name.len--;
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" of \"%V\" in \"helix_kind\", "
                           "%s is expected", &value, &name, expected);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* NULL, or what is expected in place of the value. */

static const char *
ngx_http_helix_kind_set(ngx_http_helix_kind_t *kind,
    ngx_http_helix_option_t option, ngx_str_t *value)
{
    uint64_t  n;

    switch (option) {

    case NGX_HTTP_HELIX_OPTION_BATCH:
        kind->batch = ngx_http_helix_is(value, "on");

        return (kind->batch || ngx_http_helix_is(value, "off"))
               ? NULL : "\"on\" or \"off\"";

    case NGX_HTTP_HELIX_OPTION_COALESCE:
        kind->coalesce = ngx_http_helix_is(value, "on");

        return (kind->coalesce || ngx_http_helix_is(value, "off"))
               ? NULL : "\"on\" or \"off\"";

    case NGX_HTTP_HELIX_OPTION_SCALING:
        if (ngx_http_helix_field_check(NGX_HTTP_HELIX_SCALING, value)) {
            return "a number from 0 to 1";
        }

        (void) helix_number_double((char *) value->data, value->len,
                                   &kind->scaling);
        return NULL;

    case NGX_HTTP_HELIX_OPTION_MIN_QUALITY:
        if (ngx_http_helix_field_check(NGX_HTTP_HELIX_MIN_QUALITY, value)) {
            return "a number from 0 to 1";
        }

        (void) helix_number_double((char *) value->data, value->len,
                                   &kind->min_quality);
        return NULL;

    case NGX_HTTP_HELIX_OPTION_BUDGET:
        if (ngx_http_helix_field_budget(value, &n) != NGX_OK) {
            return "a time such as \"50ms\"";
        }

        kind->budget = n;
        return NULL;

    default:
        break;
    }

    if (helix_number_u64((char *) value->data, value->len, &n)
        != HELIX_NUMBER_OK || n == 0)
    {
        n = 0;
    }

    switch (option) {

    case NGX_HTTP_HELIX_OPTION_COST:
        kind->cost = n;
        break;

    case NGX_HTTP_HELIX_OPTION_MAX_COST:
        kind->max_cost = n;
        break;

    default: /* NGX_HTTP_HELIX_OPTION_MAX_INPUTS */
        kind->max_inputs = n;

        if (n == 0 || n > NGX_HTTP_HELIX_INPUTS_MAX) {
            return "an integer from 1 to 1048576";
        }
    }

    return n ? NULL : "a positive integer";
}


ngx_int_t
ngx_http_helix_check_kinds(ngx_conf_t *cf, ngx_http_helix_main_conf_t *hmcf)
{
    size_t                  size;
    ngx_uint_t              i;
    const helix_param_t    *param;
    ngx_http_helix_kind_t  *kind;

    for (i = 0; i < hmcf->nkinds; i++) {
        kind = &hmcf->kinds[i];

        if (kind->given && kind->cost > kind->max_cost) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "helix_kind %V cost=%uL must be at most "
                          "max_cost=%uL in %s:%ui", &kind->name, kind->cost,
                          kind->max_cost, kind->place.file, kind->place.line);
            return NGX_ERROR;
        }

        hmcf->max_inputs = ngx_max(hmcf->max_inputs, kind->max_inputs);

        size = 0;

        for (param = kind->kind->params; param && param->name; param++) {
            if (param->type == HELIX_PARAM_TEXT
                || param->type == HELIX_PARAM_JSON)
            {
                size += (size_t) param->max;
            }
        }

        hmcf->max_params = ngx_max(hmcf->max_params, size);
    }

    return NGX_OK;
}
