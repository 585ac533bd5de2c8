
/* Config time: the directive helix_status. */

#include "ngx_http_helix.h"


static ngx_int_t ngx_http_helix_status_param(ngx_conf_t *cf,
    ngx_http_helix_loc_conf_t *hlcf, ngx_str_t *text);
static ngx_int_t ngx_http_helix_status_writer(ngx_conf_t *cf,
    ngx_http_helix_loc_conf_t *hlcf, ngx_str_t *value);
static ngx_uint_t ngx_http_helix_is_prefix(ngx_http_core_loc_conf_t *clcf);


char *
ngx_http_helix_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_helix_loc_conf_t *hlcf = conf;

    ngx_str_t                 *value;
    ngx_uint_t                 i, first;
    ngx_http_core_loc_conf_t  *clcf;

    static const char *const  formats[] = {
        "text", "json", "health", "prometheus", NULL
    };

    if (hlcf->status) {
        return "is duplicate";
    }

    if (ngx_http_helix_content(cf, ngx_http_helix_status_handler)
        != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    hlcf->status = 1;
    hlcf->status_streams = NGX_HTTP_HELIX_STREAMS;
    ngx_http_helix_here(cf, &hlcf->place);

    value = cf->args->elts;
    first = 1;

    if (cf->args->nelts > 1 && ngx_strchr(value[1].data, '=') == NULL) {

        for (i = 0; formats[i]; i++) {
            if (ngx_http_helix_is(&value[1], formats[i])) {
                hlcf->status_format = NGX_HTTP_HELIX_STATUS_TEXT + i;
            }
        }

        if (hlcf->status_format == NGX_HTTP_HELIX_STATUS_TREE) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid format \"%V\" in \"helix_status\", "
                               "\"text\", \"json\", \"health\" or "
                               "\"prometheus\" is expected", &value[1]);
            return NGX_CONF_ERROR;
        }

        first = 2;
    }

    for (i = first; i < cf->args->nelts; i++) {
        if (ngx_http_helix_status_param(cf, hlcf, &value[i]) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    if (hlcf->status_format == NGX_HTTP_HELIX_STATUS_TREE) {
        clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

        if (!ngx_http_helix_is_prefix(clcf)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"helix_status\" needs a format such as "
                               "\"text\" in a location that is no prefix");
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_helix_status_param(ngx_conf_t *cf, ngx_http_helix_loc_conf_t *hlcf,
    ngx_str_t *text)
{
    uint64_t    n;
    ngx_str_t   name, value;
    ngx_uint_t  write;

    static const char *const  names[] = { "write=", "stream=", NULL };

    for (name = *text, name.len = 0; name.len < text->len; /* void */ ) {
        if (text->data[name.len++] == '=') {
            break;
        }
    }

    value.data = text->data + name.len;
    value.len = text->len - name.len;

    write = ngx_http_helix_is(&name, "write=");

    if (!write && !ngx_http_helix_is(&name, "stream=")) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" in \"helix_status\"%s",
                           text, ngx_http_helix_quote_nearest(&name, names));
        return NGX_ERROR;
    }

    if (hlcf->status_format) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" needs the full status tree, remove the "
                           "format from \"helix_status\"", &name);
        return NGX_ERROR;
    }

    if (write) {

        if (ngx_http_helix_is(&value, "off")) {
            return NGX_OK;
        }

        if (ngx_http_helix_is(&value, "on")) {
            hlcf->status_write = 1;
            return NGX_OK;
        }

        if (value.len < 2 || value.data[0] != '$') {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid value \"%V\" of \"write\" in "
                               "\"helix_status\", \"on\", \"off\" or a "
                               "variable is expected", &value);
            return NGX_ERROR;
        }

        return ngx_http_helix_status_writer(cf, hlcf, &value);
    }

    if (helix_number_u64((char *) value.data, value.len, &n) != HELIX_NUMBER_OK
        || n > NGX_HTTP_HELIX_STREAMS_MAX)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" of \"stream\" in "
                           "\"helix_status\", a number from 0 to %d is "
                           "expected", &value, NGX_HTTP_HELIX_STREAMS_MAX);
        return NGX_ERROR;
    }

    hlcf->status_streams = n;

    return NGX_OK;
}


static ngx_int_t
ngx_http_helix_status_writer(ngx_conf_t *cf, ngx_http_helix_loc_conf_t *hlcf,
    ngx_str_t *value)
{
    ngx_http_compile_complex_value_t  ccv;

    hlcf->status_writer = ngx_palloc(cf->pool,
                                     sizeof(ngx_http_complex_value_t));
    if (hlcf->status_writer == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = value;
    ccv.complex_value = hlcf->status_writer;

    return ngx_http_compile_complex_value(&ccv);
}


void *
ngx_http_helix_create_srv_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_helix_srv_conf_t));
}


/* Those that nginx has are gone with the pool of the configuration. */

ngx_int_t
ngx_http_helix_keep_names(ngx_conf_t *cf)
{
    ngx_uint_t                   i, n;
    ngx_http_server_name_t      *names;
    ngx_http_core_srv_conf_t   **cscf;
    ngx_http_core_main_conf_t   *cmcf;
    ngx_http_helix_srv_conf_t   *hscf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    cscf = cmcf->servers.elts;

    for (i = 0; i < cmcf->servers.nelts; i++) {
        hscf = cscf[i]->ctx->srv_conf[ngx_http_helix_module.ctx_index];
        n = cscf[i]->server_names.nelts;

        if (ngx_array_init(&hscf->names, cf->pool, ngx_max(n, 1),
                           sizeof(ngx_http_server_name_t))
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        names = ngx_array_push_n(&hscf->names, n);
        if (names == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(names, cscf[i]->server_names.elts,
                   n * sizeof(ngx_http_server_name_t));
    }

    return NGX_OK;
}


/* The tree of the status is what follows the name of the location. */

static ngx_uint_t
ngx_http_helix_is_prefix(ngx_http_core_loc_conf_t *clcf)
{
#if (NGX_PCRE)
    if (clcf->regex) {
        return 0;
    }
#endif

    return !clcf->named;
}
