
#include "ngx_http_helix.h"


#define NGX_HTTP_HELIX_TIMEOUT_MAX  86400000      /* ms */


static void ngx_http_helix_inherit(ngx_http_core_loc_conf_t *clcf,
    ngx_http_helix_loc_conf_t *prev, ngx_http_helix_loc_conf_t *conf);
static char *ngx_http_helix_job_value(ngx_conf_t *cf,
    ngx_http_helix_loc_conf_t *hlcf, ngx_str_t *text, ngx_uint_t final);
static ngx_http_helix_field_t ngx_http_helix_job_field(ngx_str_t *name,
    ngx_str_t *param);
static char *ngx_http_helix_collect_args(ngx_conf_t *cf,
    ngx_http_helix_loc_conf_t *hlcf);
static ngx_int_t ngx_http_helix_note_args(ngx_array_t *args, ngx_str_t *text);


void *
ngx_http_helix_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_helix_loc_conf_t  *hlcf;

    hlcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_helix_loc_conf_t));
    if (hlcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     hlcf->pass = 0;
     *     hlcf->pass_kind = NULL;
     *     hlcf->status = 0;
     *     hlcf->status_format = NGX_HTTP_HELIX_STATUS_TREE;
     */

    hlcf->job = NGX_CONF_UNSET_PTR;
    hlcf->timeout = NGX_CONF_UNSET_MSEC;
    hlcf->reject_status = NGX_CONF_UNSET_UINT;
    hlcf->retry_after = NGX_CONF_UNSET_MSEC;
    hlcf->log_level = NGX_CONF_UNSET_UINT;
    hlcf->dry_run = NGX_CONF_UNSET;
    hlcf->explain = NGX_CONF_UNSET;
    hlcf->headers = NGX_CONF_UNSET_UINT;

    return hlcf;
}


char *
ngx_http_helix_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_helix_loc_conf_t *prev = parent;
    ngx_http_helix_loc_conf_t *conf = child;

    ngx_http_core_loc_conf_t  *clcf;

    ngx_conf_merge_ptr_value(conf->job, prev->job, NULL);
    ngx_conf_merge_msec_value(conf->timeout, prev->timeout, 30000);
    ngx_conf_merge_uint_value(conf->reject_status, prev->reject_status,
                              NGX_HTTP_SERVICE_UNAVAILABLE);
    ngx_conf_merge_msec_value(conf->retry_after, prev->retry_after,
                              NGX_HTTP_HELIX_RETRY_AUTO);
    ngx_conf_merge_uint_value(conf->log_level, prev->log_level, NGX_LOG_WARN);
    ngx_conf_merge_value(conf->dry_run, prev->dry_run, 0);
    ngx_conf_merge_value(conf->explain, prev->explain, 0);
    ngx_conf_merge_uint_value(conf->headers, prev->headers,
                              NGX_HTTP_HELIX_HEADERS_BASIC);

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (!conf->pass && !conf->status && clcf->noname && !clcf->handler) {
        ngx_http_helix_inherit(clcf, prev, conf);
        return NGX_CONF_OK;
    }

    if (!conf->pass && !conf->status) {
        return NGX_CONF_OK;
    }

    if (clcf->handler != (conf->pass ? ngx_http_helix_handler
                                     : ngx_http_helix_status_handler))
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"%s\" conflicts with another content handler, such as "
                      "\"proxy_pass\", in the same location in %s:%ui",
                      conf->pass ? "helix_pass" : "helix_status",
                      conf->place.file, conf->place.line);
        return NGX_CONF_ERROR;
    }

    return ngx_http_helix_collect_args(cf, conf);
}


/* "if" and "limit_except" go on with what the location around them does; the
   handler stays set in the first, and is looked up again in the other. */

static void
ngx_http_helix_inherit(ngx_http_core_loc_conf_t *clcf,
    ngx_http_helix_loc_conf_t *prev, ngx_http_helix_loc_conf_t *conf)
{
    conf->pass = prev->pass;
    conf->pass_kind = prev->pass_kind;
    conf->place = prev->place;
    conf->args = prev->args;
    conf->status = prev->status;
    conf->status_format = prev->status_format;
    conf->status_write = prev->status_write;
    conf->status_writer = prev->status_writer;
    conf->status_streams = prev->status_streams;

    if (clcf->lmt_excpt && (conf->pass || conf->status)) {
        clcf->handler = conf->pass ? ngx_http_helix_handler
                                   : ngx_http_helix_status_handler;
    }
}


/* An argument that the configuration reads is not an unknown field. */

static char *
ngx_http_helix_collect_args(ngx_conf_t *cf, ngx_http_helix_loc_conf_t *hlcf)
{
    ngx_uint_t                   i;
    ngx_http_helix_job_value_t  *jv;

    hlcf->args = ngx_array_create(cf->pool, 2, sizeof(ngx_str_t));
    if (hlcf->args == NULL) {
        return NGX_CONF_ERROR;
    }

    if (hlcf->pass_kind
        && ngx_http_helix_note_args(hlcf->args, &hlcf->pass_kind->value)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (hlcf->job == NULL) {
        return NGX_CONF_OK;
    }

    jv = hlcf->job->elts;

    for (i = 0; i < hlcf->job->nelts; i++) {
        if (ngx_http_helix_note_args(hlcf->args, &jv[i].value.value) != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/* NAME of every "$arg_NAME" or "${arg_NAME}" in a value. */

static ngx_int_t
ngx_http_helix_note_args(ngx_array_t *args, ngx_str_t *text)
{
    u_char     *p, *last;
    ngx_str_t  *name;

    last = text->data + text->len;

    for (p = text->data; /* void */ ; p = name->data + name->len) {

        p = ngx_strlcasestrn(p, last, (u_char *) "arg_", 4 - 1);
        if (p == NULL) {
            return NGX_OK;
        }

        name = ngx_array_push(args);
        if (name == NULL) {
            return NGX_ERROR;
        }

        name->data = p + 4;

        for (p += 4; p < last; p++) {
            if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z')
                  || (*p >= '0' && *p <= '9') || *p == '_'))
            {
                break;
            }
        }

        name->len = p - name->data;
    }
}


char *
ngx_http_helix_pass(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_helix_loc_conf_t *hlcf = conf;

    ngx_str_t                         *value;
    ngx_http_helix_main_conf_t        *hmcf;
    ngx_http_compile_complex_value_t   ccv;

    if (hlcf->pass) {
        return "is duplicate";
    }

    if (ngx_http_helix_content(cf, ngx_http_helix_handler) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    hlcf->pass = 1;
    ngx_http_helix_here(cf, &hlcf->place);

    if (cf->args->nelts == 1) {
        return NGX_CONF_OK;
    }

    value = cf->args->elts;
    hmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_helix_module);

    if (ngx_http_script_variables_count(&value[1]) == 0
        && ngx_http_helix_kind_find(hmcf, &value[1]) == NULL)
    {
        return ngx_http_helix_unknown_kind(cf, hmcf, &value[1]);
    }

    hlcf->pass_kind = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (hlcf->pass_kind == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[1];
    ccv.complex_value = hlcf->pass_kind;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_helix_job(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_helix_loc_conf_t *hlcf = conf;

    ngx_str_t   *value;
    ngx_uint_t   i, n, final;

    value = cf->args->elts;
    n = cf->args->nelts;

    final = ngx_http_helix_is(&value[n - 1], "final");
    n -= final;

    if (n == 1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no parameter before \"final\" in \"helix_job\"");
        return NGX_CONF_ERROR;
    }

    if (hlcf->job == NGX_CONF_UNSET_PTR) {
        hlcf->job = ngx_array_create(cf->pool, 4,
                                     sizeof(ngx_http_helix_job_value_t));
        if (hlcf->job == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    for (i = 1; i < n; i++) {
        if (ngx_http_helix_job_value(cf, hlcf, &value[i], final)
            != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/* "params.NAME" is the parameter NAME of a kind. */

static ngx_http_helix_field_t
ngx_http_helix_job_field(ngx_str_t *name, ngx_str_t *param)
{
    ngx_http_helix_field_t  field;

    ngx_str_null(param);

    if (name->len > 7 && ngx_strncmp(name->data, "params.", 7) == 0) {
        param->data = name->data + 7;
        param->len = name->len - 7;

        return ngx_http_helix_param_name(param) ? NGX_HTTP_HELIX_PARAMS
                                                : NGX_HTTP_HELIX_FIELDS;
    }

    field = ngx_http_helix_field_conf(name);

    return (field == NGX_HTTP_HELIX_PARAMS) ? NGX_HTTP_HELIX_FIELDS : field;
}


static char *
ngx_http_helix_job_value(ngx_conf_t *cf, ngx_http_helix_loc_conf_t *hlcf,
    ngx_str_t *text, ngx_uint_t final)
{
    u_char                            *eq;
    ngx_str_t                          name, value, param;
    const char                        *expected;
    ngx_http_helix_field_t             field;
    ngx_http_helix_job_value_t        *jv;
    ngx_http_helix_main_conf_t        *hmcf;
    ngx_http_compile_complex_value_t   ccv;

    static const char *const  names[] = {
        "id=", "kind=", "inputs=", "cost=", "scaling=", "budget=",
        "min_quality=", "params.", "strategy=", NULL
    };

    eq = (u_char *) ngx_strchr(text->data, '=');

    name.data = text->data;
    name.len = eq ? (size_t) (eq - text->data) : text->len;

    ngx_str_null(&param);

    field = eq ? ngx_http_helix_job_field(&name, &param)
               : NGX_HTTP_HELIX_FIELDS;

    if (field == NGX_HTTP_HELIX_FIELDS) {
        name.len += (eq != NULL);
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" in \"helix_job\"%s",
                           text, ngx_http_helix_quote_nearest(&name, names));
        return NGX_CONF_ERROR;
    }

    value.data = eq + 1;
    value.len = text->data + text->len - value.data;

    hmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_helix_module);

    if (ngx_http_script_variables_count(&value) == 0) {

        expected = ngx_http_helix_field_check(field, &value);

        if (expected) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid value \"%V\" of \"%V\" in "
                               "\"helix_job\", %s is expected",
                               &value, &name, expected);
            return NGX_CONF_ERROR;
        }

        if (field == NGX_HTTP_HELIX_KIND
            && ngx_http_helix_kind_find(hmcf, &value) == NULL)
        {
            return ngx_http_helix_unknown_kind(cf, hmcf, &value);
        }
    }

    jv = ngx_array_push(hlcf->job);
    if (jv == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(jv, sizeof(ngx_http_helix_job_value_t));
    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    jv->field = field;
    jv->param = param;
    jv->final = final;

    ccv.cf = cf;
    ccv.value = &value;
    ccv.complex_value = &jv->value;

    return (ngx_http_compile_complex_value(&ccv) == NGX_OK) ? NGX_CONF_OK
                                                             : NGX_CONF_ERROR;
}


char *
ngx_http_helix_retry(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_helix_loc_conf_t *hlcf = conf;

    ngx_str_t  *value;
    ngx_int_t   ms;

    if (hlcf->retry_after != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_http_helix_is(&value[1], "auto")) {
        hlcf->retry_after = NGX_HTTP_HELIX_RETRY_AUTO;
        return NGX_CONF_OK;
    }

    if (ngx_http_helix_is(&value[1], "off")) {
        hlcf->retry_after = NGX_HTTP_HELIX_RETRY_OFF;
        return NGX_CONF_OK;
    }

    ms = ngx_parse_time(&value[1], 0);

    if (ms == NGX_ERROR || ms < 1000) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"helix_retry_after\", "
                           "\"auto\", \"off\" or a time of at least \"1s\" "
                           "is expected", &value[1]);
        return NGX_CONF_ERROR;
    }

    hlcf->retry_after = ms;

    return NGX_CONF_OK;
}


char *
ngx_http_helix_timeout_bounds(ngx_conf_t *cf, void *post, void *data)
{
    ngx_msec_t  *ms = data;

    if (*ms == 0 || *ms > NGX_HTTP_HELIX_TIMEOUT_MAX) {
        return "must be from 1ms to 24h";
    }

    return NGX_CONF_OK;
}


/* One content handler a location; nothing of the router is made before one is
   there. */

char *
ngx_http_helix_content(ngx_conf_t *cf, ngx_http_handler_pt handler)
{
    ngx_str_t                   *value;
    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_helix_main_conf_t  *hmcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler) {
        value = cf->args->elts;
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" conflicts with another content handler, "
                           "such as \"proxy_pass\", in the same location",
                           &value[0]);
        return NGX_CONF_ERROR;
    }

    clcf->handler = handler;

    hmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_helix_module);
    hmcf->enabled = 1;

    return NGX_CONF_OK;
}


/* ', did you mean "batch="?' or nothing. */

const char *
ngx_http_helix_quote_nearest(ngx_str_t *text, const char *const *names)
{
    const char     *nearest;
    static u_char   buf[64];

    nearest = helix_nearest((char *) text->data, text->len, names);

    if (nearest == NULL) {
        return "";
    }

    *ngx_snprintf(buf, sizeof(buf) - 1, ", did you mean \"%s\"?", nearest)
        = '\0';

    return (char *) buf;
}


ngx_uint_t
ngx_http_helix_is(ngx_str_t *text, const char *word)
{
    return text->len == ngx_strlen(word)
           && ngx_strncmp(text->data, word, text->len) == 0;
}


void
ngx_http_helix_here(ngx_conf_t *cf, ngx_http_helix_place_t *place)
{
    place->file = cf->conf_file->file.name.data;
    place->line = cf->conf_file->line;
}


char *
ngx_http_helix_unknown_kind(ngx_conf_t *cf, ngx_http_helix_main_conf_t *hmcf,
    ngx_str_t *name)
{
    u_char      *p, known[NGX_HELIX_KINDS * (NGX_HELIX_KIND_NAME + 2)];
    ngx_uint_t   i;
    const char  *nearest;

    p = known;

    for (i = 0; i < hmcf->nkinds; i++) {
        p = ngx_sprintf(p, "%s%V", i ? ", " : "", &hmcf->kinds[i].name);
    }

    *p = '\0';

    nearest = ngx_http_helix_kind_nearest(hmcf, name);

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "unknown job kind \"%V\" (known: %s)%s%s%s",
                       name, known, nearest ? ", did you mean \"" : "",
                       nearest ? nearest : "", nearest ? "\"?" : "");

    return NGX_CONF_ERROR;
}
