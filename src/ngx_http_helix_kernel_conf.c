
/*
 * helix_kernel: an instance of a kind, built in or from a shared object.
 */

#include "ngx_http_helix.h"

#include <dlfcn.h>

#include "helix_kinds.h"


/* Members that the first version of the ABI had. */
#define NGX_HTTP_HELIX_KIND_MIN                                               \
    (offsetof(helix_kind_t, clear) + sizeof(void *))

/* bytes of a parameter's text, at most */
#define NGX_HTTP_HELIX_TEXT_MAX  16777216


static char *ngx_http_helix_kernel_name(ngx_conf_t *cf,
    ngx_http_helix_main_conf_t *hmcf, ngx_str_t *name);
static const helix_kind_t *ngx_http_helix_kernel_load(ngx_conf_t *cf,
    ngx_str_t *file);
static char *ngx_http_helix_kernel_file(ngx_conf_t *cf, ngx_str_t *file);
static const helix_kind_t *ngx_http_helix_kernel_entry(ngx_conf_t *cf,
    ngx_str_t *file);
static const char *ngx_http_helix_kernel_check(const helix_kind_t *kind);
static ngx_uint_t ngx_http_helix_kernel_twice(const helix_param_t *params,
    ngx_uint_t n);
static char *ngx_http_helix_kernel_configure(ngx_conf_t *cf,
    ngx_http_helix_kind_t *kind);
static void ngx_http_helix_kernel_destroy(void *data);
static void ngx_http_helix_kernel_log(int level, const char *kind,
    const char *text);


static const helix_kind_t *const  ngx_http_helix_kinds[] = {
    &helix_kind_hashmix,
    &helix_kind_primecount,
    &helix_kind_montecarlo_risk,
    &helix_kind_score,
    NULL
};


static const helix_host_t  ngx_http_helix_host = {
    sizeof(helix_host_t),
    HELIX_KIND_ABI,
    NGX_HTTP_HELIX_VERSION,
    ngx_http_helix_kernel_log
};


/* Those that need no configuration are there without a directive. */

void
ngx_http_helix_init_kinds(ngx_http_helix_main_conf_t *hmcf)
{
    ngx_str_t   name;
    ngx_uint_t  i;

    for (i = 0; ngx_http_helix_kinds[i]; i++) {

        if (ngx_http_helix_kinds[i]->configure) {
            continue;
        }

        name.data = (u_char *) ngx_http_helix_kinds[i]->name;
        name.len = ngx_strlen(name.data);

        (void) ngx_http_helix_kind_add(hmcf, &name, ngx_http_helix_kinds[i]);
    }
}


char *
ngx_http_helix_kernel(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_helix_main_conf_t *hmcf = conf;

    ngx_str_t           *value;
    ngx_uint_t           i;
    const helix_kind_t  *kind;

    value = cf->args->elts;

    if (ngx_http_helix_kernel_name(cf, hmcf, &value[1]) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    kind = NULL;

    for (i = 0; ngx_http_helix_kinds[i]; i++) {
        if (ngx_http_helix_is(&value[2], ngx_http_helix_kinds[i]->name)) {
            kind = ngx_http_helix_kinds[i];
        }
    }

    if (kind == NULL) {
        kind = ngx_http_helix_kernel_load(cf, &value[2]);
    }

    if (kind == NULL) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_helix_kernel_configure(cf,
                               ngx_http_helix_kind_add(hmcf, &value[1], kind));
}


static char *
ngx_http_helix_kernel_name(ngx_conf_t *cf, ngx_http_helix_main_conf_t *hmcf,
    ngx_str_t *name)
{
    if (!ngx_http_helix_param_name(name)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid name \"%V\" in \"helix_kernel\", at most "
                           "%d lower-case letters, digits and \"_\" are "
                           "expected", name, HELIX_KIND_NAME_MAX);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_helix_kind_find(hmcf, name)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "there is a kind \"%V\" already, \"helix_kernel\" "
                           "needs another name", name);
        return NGX_CONF_ERROR;
    }

    if (hmcf->nkinds == NGX_HELIX_KINDS) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "there are %d kinds already, more are not possible",
                           NGX_HELIX_KINDS);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static const helix_kind_t *
ngx_http_helix_kernel_load(ngx_conf_t *cf, ngx_str_t *name)
{
    size_t               size;
    ngx_str_t            file;
    const char          *fault, *names[NGX_HELIX_KINDS + 1];
    ngx_uint_t           i;
    helix_kind_t        *copy;
    const helix_kind_t  *kind;

    file = *name;

    if (ngx_strlchr(file.data, file.data + file.len, '/') == NULL
        && ngx_strlchr(file.data, file.data + file.len, '.') == NULL)
    {
        for (i = 0; ngx_http_helix_kinds[i]; i++) {
            names[i] = ngx_http_helix_kinds[i]->name;
        }

        names[i] = NULL;

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown source \"%V\" in \"helix_kernel\", the "
                           "path of a shared object or a built-in kind is "
                           "expected%s", name,
                           ngx_http_helix_quote_nearest(name, names));
        return NULL;
    }

    if (ngx_conf_full_name(cf->cycle, &file, 0) != NGX_OK
        || ngx_http_helix_kernel_file(cf, &file) != NGX_CONF_OK)
    {
        return NULL;
    }

    kind = ngx_http_helix_kernel_entry(cf, &file);
    if (kind == NULL) {
        return NULL;
    }

    if (kind->abi != HELIX_KIND_ABI) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" was built for version %uD of the ABI of "
                           "kinds, this is version %d: build it against the "
                           "header of this helix", &file, kind->abi,
                           HELIX_KIND_ABI);
        return NULL;
    }

    /* one that was built against an older header is shorter */

    copy = ngx_pcalloc(cf->pool, sizeof(helix_kind_t));
    if (copy == NULL) {
        return NULL;
    }

    size = ngx_min(kind->size, sizeof(helix_kind_t));

    if (size >= NGX_HTTP_HELIX_KIND_MIN) {
        ngx_memcpy(copy, kind, size);
        fault = ngx_http_helix_kernel_check(copy);

    } else {
        fault = "its \"size\" is too small";
    }

    if (fault) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the kind of \"%V\" is broken: %s", &file, fault);
        return NULL;
    }

    return copy;
}


/* It will be code of the workers: nobody else may write it. */

static char *
ngx_http_helix_kernel_file(ngx_conf_t *cf, ngx_str_t *file)
{
    ngx_file_info_t  fi;

    if (ngx_file_info(file->data, &fi) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "\"%V\" of \"helix_kernel\" cannot be read", file);
        return NGX_CONF_ERROR;
    }

    if (!ngx_is_file(&fi)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" of \"helix_kernel\" is not a file", file);
        return NGX_CONF_ERROR;
    }

    if (fi.st_mode & (S_IWGRP|S_IWOTH)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" of \"helix_kernel\" may be written by "
                           "others than its owner: chmod go-w", file);
        return NGX_CONF_ERROR;
    }

    if (fi.st_uid != 0 && fi.st_uid != geteuid()) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" of \"helix_kernel\" belongs to user %ud: "
                           "root or the user that starts nginx must own it",
                           file, (unsigned) fi.st_uid);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* Never unloaded: threads of an old worker, or a library's own, may still be
   in it. */

static const helix_kind_t *
ngx_http_helix_kernel_entry(ngx_conf_t *cf, ngx_str_t *file)
{
    void                *handle;
    const helix_kind_t  *kind;

    union {
        void                *symbol;
        const helix_kind_t  *(*entry)(const helix_host_t *host);
    } u;

    handle = dlopen((char *) file->data, RTLD_NOW|RTLD_LOCAL);

    if (handle == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" of \"helix_kernel\" cannot be loaded: %s",
                           file, dlerror());
        return NULL;
    }

    u.symbol = dlsym(handle, HELIX_KIND_SYMBOL);

    if (u.symbol == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" of \"helix_kernel\" is no kind: it has no "
                           "function \"" HELIX_KIND_SYMBOL "\"", file);
        return NULL;
    }

    kind = u.entry(&ngx_http_helix_host);

    if (kind == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" does not want to work with helix "
                           NGX_HTTP_HELIX_VERSION, file);
    }

    return kind;
}


/* NULL, or what is wrong with it. */

static const char *
ngx_http_helix_kernel_check(const helix_kind_t *kind)
{
    ngx_str_t   name;
    ngx_uint_t  i;

    if (kind->plan == NULL || kind->start == NULL || kind->step == NULL
        || kind->finish == NULL)
    {
        return "plan(), start(), step() or finish() is missing";
    }

    if (kind->max_work == 0) {
        return "\"max_work\" is zero";
    }

    if (kind->flags & ~HELIX_BLOCKING) {
        return "it has flags that this helix does not know";
    }

    for (i = 0; kind->params && kind->params[i].name; i++) {

        name.data = (u_char *) kind->params[i].name;
        name.len = ngx_strlen(name.data);

        if (i == HELIX_KIND_PARAMS
            || kind->params[i].type > HELIX_PARAM_JSON
            || kind->params[i].help == NULL
            || !(kind->params[i].min <= kind->params[i].max)
            || (kind->params[i].type >= HELIX_PARAM_TEXT
                && !(kind->params[i].max <= NGX_HTTP_HELIX_TEXT_MAX))
            || ngx_http_helix_kernel_twice(kind->params, i)
            || !ngx_http_helix_param_name(&name)
            || ngx_http_helix_field_find(&name, 1) != NGX_HTTP_HELIX_FIELDS)
        {
            return "a parameter has a bad name, type or range";
        }
    }

    if (kind->accepts
        && (ngx_strstr(kind->accepts, "application/json")
            || ngx_strstr(kind->accepts, "application/x-www-form-urlencoded")))
    {
        return "JSON and forms are not its to accept";
    }

    for (i = 0; kind->levels && kind->levels[i]; i++) {

        name.data = (u_char *) kind->levels[i];
        name.len = ngx_strlen(name.data);

        if (i == HELIX_KIND_LEVELS || !ngx_http_helix_param_name(&name)
            || ngx_http_helix_is(&name, NGX_HTTP_HELIX_TRUNCATED))
        {
            return "a level has a bad name";
        }
    }

    return NULL;
}


static char *
ngx_http_helix_kernel_configure(ngx_conf_t *cf, ngx_http_helix_kind_t *kind)
{
    u_char              *eq, *text;
    char                 error[HELIX_KIND_ERROR_MAX];
    ngx_str_t           *value;
    ngx_uint_t           i, n;
    helix_pair_t        *pairs;
    ngx_pool_cleanup_t  *cln;

    ngx_http_helix_here(cf, &kind->place);

    value = cf->args->elts;
    n = cf->args->nelts - 3;
    value += 3;

    if (n && kind->kind->configure == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" in \"helix_kernel\": the kind has no "
                           "parameters", &value[0]);
        return NGX_CONF_ERROR;
    }

    pairs = ngx_pcalloc(cf->pool, (n + 1) * sizeof(helix_pair_t));
    cln = ngx_pool_cleanup_add(cf->pool, 0);

    if (pairs == NULL || cln == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < n; i++) {
        text = value[i].data;
        eq = (u_char *) ngx_strchr(text, '=');

        if (eq == NULL || eq == text) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" in \"helix_kernel\", "
                               "\"key=value\" is expected", &value[i]);
            return NGX_CONF_ERROR;
        }

        *eq = '\0';
        pairs[i].name = (char *) text;
        pairs[i].value = (char *) eq + 1;
    }

    if (kind->kind->configure == NULL) {
        return NGX_CONF_OK;
    }

    error[0] = '\0';

    kind->instance = kind->kind->configure(&ngx_http_helix_host, pairs, n,
                                           error);

    for (i = 0; i < n; i++) {
        value[i].data[ngx_strlen(value[i].data)] = '=';
    }

    if (kind->instance == NULL) {
        error[HELIX_KIND_ERROR_MAX - 1] = '\0';
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "helix_kernel \"%V\": %s", &kind->name, error);
        return NGX_CONF_ERROR;
    }

    if (kind->kind->destroy) {
        cln->handler = ngx_http_helix_kernel_destroy;
        cln->data = kind;
    }

    return NGX_CONF_OK;
}


static ngx_uint_t
ngx_http_helix_kernel_twice(const helix_param_t *params, ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        if (ngx_strcmp(params[i].name, params[n].name) == 0) {
            return 1;
        }
    }

    return 0;
}


static void
ngx_http_helix_kernel_destroy(void *data)
{
    ngx_http_helix_kind_t *kind = data;

    kind->kind->destroy(kind->instance);
}


void
ngx_http_helix_kernel_start(ngx_cycle_t *cycle,
    ngx_http_helix_main_conf_t *hmcf)
{
    char                    error[HELIX_KIND_ERROR_MAX];
    ngx_uint_t              i;
    ngx_http_helix_kind_t  *kind;

    for (i = 0; i < hmcf->nkinds; i++) {
        kind = &hmcf->kinds[i];
        error[0] = '\0';

        if (kind->kind->init == NULL
            || kind->kind->init(kind->instance, error) == HELIX_DONE)
        {
            continue;
        }

        error[HELIX_KIND_ERROR_MAX - 1] = '\0';
        kind->down = 1;

        ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                      "helix: kind %V cannot work in this worker: %s",
                      &kind->name, error);
    }
}


static void
ngx_http_helix_kernel_log(int level, const char *kind, const char *text)
{
    ngx_uint_t  n;

    n = ngx_max(level, NGX_LOG_ERR);

    ngx_log_error(ngx_min(n, NGX_LOG_INFO), ngx_cycle->log, 0,
                  "helix: kind %s: %s", kind, text);
}
