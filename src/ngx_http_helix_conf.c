
#include "ngx_http_helix.h"

#include "ngx_helix_file.h"
#include "ngx_helix_process.h"


extern ngx_module_t  ngx_thread_pool_module;


static ngx_int_t ngx_http_helix_init_zone(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_int_t ngx_http_helix_zone_state(ngx_conf_t *cf,
    ngx_http_helix_main_conf_t *hmcf, ngx_str_t *text);
static ngx_int_t ngx_http_helix_init_pool(ngx_conf_t *cf,
    ngx_http_helix_main_conf_t *hmcf);
static ngx_uint_t ngx_http_helix_default_threads(
    ngx_http_helix_main_conf_t *hmcf);
static ngx_int_t ngx_http_helix_check_settings(ngx_conf_t *cf,
    ngx_http_helix_main_conf_t *hmcf);
static ngx_int_t ngx_http_helix_set_rows(ngx_conf_t *cf,
    ngx_http_helix_main_conf_t *hmcf, ngx_str_t *text);
static ngx_int_t ngx_http_helix_pool_threads(ngx_conf_t *cf,
    ngx_http_helix_main_conf_t *hmcf, ngx_str_t *text);


static ngx_str_t  ngx_http_helix_default_zone = ngx_string("helix");
static ngx_str_t  ngx_http_helix_default_pool = ngx_string("helix");


void *
ngx_http_helix_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_helix_main_conf_t  *hmcf;

    hmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_helix_main_conf_t));
    if (hmcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     hmcf->enabled = 0;
     *     hmcf->places = { { NULL, 0 } };
     *     hmcf->zone_name = { 0, NULL };
     *     hmcf->pool_name = { 0, NULL };
     *     hmcf->exec = NULL;
     */

    hmcf->cycle = cf->cycle;

    helix_settings_init(&hmcf->settings);

    ngx_http_helix_init_kinds(hmcf);

    return hmcf;
}


char *
ngx_http_helix_setting(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_helix_main_conf_t *hmcf = conf;

    ngx_str_t   *value;
    ngx_uint_t   i;

    value = cf->args->elts;

    for (i = 0; helix_settings_table[i].name; i++) {
        if (hmcf->places[i].file
            && ngx_http_helix_is(&value[0], helix_settings_table[i].directive))
        {
            return "is duplicate";
        }
    }

    for (i = 1; i < cf->args->nelts; i++) {
        switch (ngx_http_helix_set_rows(cf, hmcf, &value[i])) {

        case NGX_OK:
            break;

        case NGX_BUSY:
            return ngx_http_helix_duplicate(cf, &value[i]);

        default: /* NGX_ERROR */
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_helix_set_rows(ngx_conf_t *cf, ngx_http_helix_main_conf_t *hmcf,
    ngx_str_t *text)
{
    char                     error[HELIX_SETTING_ERROR_MAX];
    size_t                   len;
    ngx_str_t               *directive;
    const char              *value;
    const helix_setting_t   *row;
    ngx_http_helix_place_t  *place;

    directive = cf->args->elts;

    row = helix_setting_find((char *) directive->data, (char *) text->data,
                             text->len, &value, &len, error);

    if (row) {
        place = &hmcf->places[row - helix_settings_table];

        if (place->file) {
            return NGX_BUSY;
        }

        ngx_http_helix_here(cf, place);

        if (helix_setting_set(row, &hmcf->settings, value, len,
                              ngx_helix_process_cpus(), error))
        {
            return NGX_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s", error);

    return NGX_ERROR;
}


char *
ngx_http_helix_duplicate(ngx_conf_t *cf, ngx_str_t *text)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "duplicate parameter \"%V\" in \"%V\"",
                       text, (ngx_str_t *) cf->args->elts);

    return NGX_CONF_ERROR;
}


char *
ngx_http_helix_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_helix_main_conf_t *hmcf = conf;

    size_t      i;
    ngx_str_t  *value;

    value = cf->args->elts;

    if (hmcf->zone_name.data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "helix_zone \"%V\" is already declared in %s:%ui, "
                           "there is one router",
                           &hmcf->zone_name, hmcf->zone_place.file,
                           hmcf->zone_place.line);
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < value[1].len; i++) {
        if (ngx_strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                       "0123456789_.-", value[1].data[i])
            == NULL)
        {
            break;
        }
    }

    if (i == 0 || i > 64 || i < value[1].len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid name \"%V\" in \"helix_zone\", 1 to 64 "
                           "letters, digits, \"_\", \".\" and \"-\" are "
                           "expected", &value[1]);
        return NGX_CONF_ERROR;
    }

    hmcf->zone_name = value[1];
    ngx_http_helix_here(cf, &hmcf->zone_place);

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_helix_zone_state(cf, hmcf, &value[i]) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/* Workers read it: here it is but a name. */

char *
ngx_http_helix_settings_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_helix_main_conf_t *hmcf = conf;

    ngx_str_t  *value;

    if (hmcf->conf.file.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"helix_settings\" needs the name of a file");
        return NGX_CONF_ERROR;
    }

    hmcf->conf.file = value[1];

    if (ngx_conf_full_name(cf->cycle, &hmcf->conf.file, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    hmcf->conf.file_key = 1 + ngx_crc32_long(hmcf->conf.file.data,
                                             hmcf->conf.file.len);

    return NGX_CONF_OK;
}


/* Nothing is opened here: only workers know whether they may. */

static ngx_int_t
ngx_http_helix_zone_state(ngx_conf_t *cf, ngx_http_helix_main_conf_t *hmcf,
    ngx_str_t *text)
{
    u_char     *p;
    ngx_str_t   name;

    static const char *const  names[] = { "state=", NULL };

    p = ngx_strlchr(text->data, text->data + text->len, '=');

    name.data = text->data;
    name.len = p ? (size_t) (p + 1 - text->data) : text->len;

    if (!ngx_http_helix_is(&name, "state=")) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" in \"helix_zone\"%s",
                           text, ngx_http_helix_quote_nearest(&name, names));
        return NGX_ERROR;
    }

    if (hmcf->state.data) {
        (void) ngx_http_helix_duplicate(cf, text);
        return NGX_ERROR;
    }

    hmcf->state.data = text->data + name.len;
    hmcf->state.len = text->len - name.len;

    if (hmcf->state.len == 0 || text->data[text->len - 1] == '/'
        || ngx_conf_full_name(cf->cycle, &hmcf->state, 0) != NGX_OK
        || hmcf->state.len >= NGX_HELIX_FILE_PATH)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%s\" of \"state\" in "
                           "\"helix_zone\", the name of a file is expected",
                           text->data + name.len);
        return NGX_ERROR;
    }

    return NGX_OK;
}


char *
ngx_http_helix_policy(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_helix_main_conf_t *hmcf = conf;

    ngx_str_t  *value;

    if (hmcf->policy_given) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (!ngx_http_helix_is(&value[1], "threshold")
        && !ngx_http_helix_is(&value[1], "predictive"))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown policy \"%V\" in \"helix_policy\", "
                           "\"predictive\" or \"threshold\" is expected",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    hmcf->policy_given = 1;
    hmcf->settings.predictive = (value[1].data[0] == 'p');

    return NGX_CONF_OK;
}


char *
ngx_http_helix_pool(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_helix_main_conf_t *hmcf = conf;

    ngx_str_t   *value;
    ngx_uint_t   i;

    if (hmcf->pool_place.file) {
        return "is duplicate";
    }

    ngx_http_helix_here(cf, &hmcf->pool_place);

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (i == 1 && ngx_strchr(value[i].data, '=') == NULL) {
            hmcf->pool_name = value[i];
            hmcf->pool_named = 1;
            continue;
        }

        switch (ngx_http_helix_pool_threads(cf, hmcf, &value[i])) {

        case NGX_OK:
            continue;

        case NGX_ERROR:
            return NGX_CONF_ERROR;

        default: /* NGX_DECLINED */
            break;
        }

        switch (ngx_http_helix_set_rows(cf, hmcf, &value[i])) {

        case NGX_OK:
            break;

        case NGX_BUSY:
            return ngx_http_helix_duplicate(cf, &value[i]);

        default: /* NGX_ERROR */
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/* "threads=" is no setting of the router: nginx's own directive has it. */

static ngx_int_t
ngx_http_helix_pool_threads(ngx_conf_t *cf, ngx_http_helix_main_conf_t *hmcf,
    ngx_str_t *text)
{
    const char  *nearest;
    ngx_str_t    name, value;

    static const char *const  threads[] = { "threads=", NULL };

    for (name = *text, name.len = 0; name.len < text->len; /* void */ ) {
        if (text->data[name.len++] == '=') {
            break;
        }
    }

    nearest = ngx_http_helix_quote_nearest(&name, threads);

    if (nearest[0] == '\0') {
        return NGX_DECLINED;
    }

    if (!ngx_http_helix_is(&name, "threads=")) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" in \"helix_pool\"%s",
                           text, nearest);
        return NGX_ERROR;
    }

    if (hmcf->pool_threads) {
        (void) ngx_http_helix_duplicate(cf, text);
        return NGX_ERROR;
    }

    value.data = text->data + name.len;
    value.len = text->len - name.len;

    if (helix_number_u64((char *) value.data, value.len, &hmcf->pool_threads)
        != HELIX_NUMBER_OK || hmcf->pool_threads - 1 >= 1024)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" of \"threads\" in "
                           "\"helix_pool\", a number from 1 to 1024 is "
                           "expected", &value);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_helix_init(ngx_conf_t *cf)
{
    ngx_http_helix_main_conf_t  *hmcf;

    hmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_helix_module);

    if (!hmcf->enabled) {
        return NGX_OK;
    }

    if (ngx_http_helix_check_settings(cf, hmcf) != NGX_OK
        || ngx_http_helix_keep_names(cf) != NGX_OK
        || ngx_http_helix_check_kinds(cf, hmcf) != NGX_OK
        || ngx_http_helix_init_pool(cf, hmcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (hmcf->zone_name.data == NULL) {
        hmcf->zone_name = ngx_http_helix_default_zone;
    }

    hmcf->shm_zone = ngx_shared_memory_add(cf, &hmcf->zone_name,
                                           ngx_helix_zone_size(),
                                           &ngx_http_helix_module);
    if (hmcf->shm_zone == NULL) {
        return NGX_ERROR;
    }

    hmcf->shm_zone->init = ngx_http_helix_init_zone;
    hmcf->shm_zone->data = hmcf;

    return NGX_OK;
}


static ngx_int_t
ngx_http_helix_check_settings(ngx_conf_t *cf, ngx_http_helix_main_conf_t *hmcf)
{
    char                     error[HELIX_SETTING_ERROR_MAX];
    ngx_uint_t               i;
    const helix_setting_t   *row;
    ngx_http_helix_place_t   place, *given;

    for (i = 0; helix_settings_table[i].name; i++) {
        row = &helix_settings_table[i];

        given = &hmcf->places[i];

        if (given->file) {
            hmcf->conf.layer.set |= 1ULL << i;
        }

        if (row->offset == offsetof(helix_settings_t, concurrency)
            && hmcf->settings.predictive && given->file == NULL)
        {
            hmcf->settings.concurrency = ngx_min(ngx_helix_process_cpus(),
                                                 HELIX_CONCURRENCY_MAX);
        }

        if (row->offset == offsetof(helix_settings_t, busy)) {
            helix_settings_resolve(&hmcf->settings, given->file != NULL);
        }
    }

    if (helix_settings_check(&hmcf->settings, error)) {
        return NGX_OK;
    }

    /* the sentence names the directives that do not go together: the last one
       of them that was given is the place to look at */

    ngx_memzero(&place, sizeof(ngx_http_helix_place_t));

    for (i = 0; helix_settings_table[i].name; i++) {
        row = &helix_settings_table[i];
        given = &hmcf->places[i];

        if (given->file && ngx_strstr(error, row->directive) != NULL
            && (given->file != place.file || given->line > place.line))
        {
            place = *given;
        }
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "%s in %s:%ui",
                  error, place.file, place.line);

    return NGX_ERROR;
}


/* Enough for a concurrency that is raised while nginx runs. */

static ngx_uint_t
ngx_http_helix_default_threads(ngx_http_helix_main_conf_t *hmcf)
{
    ngx_uint_t  n;

    n = ngx_max(2 * ngx_helix_process_cpus(), 16);
    n = ngx_max(n, hmcf->settings.concurrency);

    return ngx_min(n, HELIX_CONCURRENCY_MAX);
}


/*
 * A pool of a given name and number of threads is made by nginx's own
 * directive; a pool without a number is one that the administrator declares.
 */

static ngx_int_t
ngx_http_helix_init_pool(ngx_conf_t *cf, ngx_http_helix_main_conf_t *hmcf)
{
    char             *rv;
    void             *conf;
    u_char            threads[sizeof("threads=") + NGX_INT64_LEN];
    uint64_t          n;
    ngx_str_t         words[3];
    ngx_conf_t        pool;
    ngx_array_t       args;
    ngx_command_t    *cmd;
    ngx_conf_file_t   file;

    n = hmcf->pool_threads;

    if (hmcf->pool_name.data == NULL) {
        hmcf->pool_name = ngx_http_helix_default_pool;

        /* a pool of this name that the administrator has declared will do */

        if (n == 0 && ngx_thread_pool_get(cf->cycle, &hmcf->pool_name)) {
            return NGX_OK;
        }

        n = n ? n : ngx_http_helix_default_threads(hmcf);
    }

    hmcf->conf.threads = n;

    if (n == 0) {

        if (ngx_http_helix_is(&hmcf->pool_name, "default")
            && ngx_thread_pool_add(cf, NULL) == NULL)
        {
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    ngx_str_set(&words[0], "helix_pool");
    words[1] = hmcf->pool_name;
    words[2].data = threads;
    words[2].len = ngx_sprintf(threads, "threads=%uL", n) - threads;

    args.elts = words;
    args.nelts = 3;

    pool = *cf;
    pool.args = &args;

    /* its errors belong where helix_pool is */

    if (hmcf->pool_place.file) {
        file = *cf->conf_file;
        file.file.name.data = hmcf->pool_place.file;
        file.line = hmcf->pool_place.line;
        pool.conf_file = &file;
    }

    cmd = ngx_thread_pool_module.commands;
    conf = ngx_get_conf(cf->cycle->conf_ctx, ngx_thread_pool_module);

    rv = cmd->set(&pool, cmd, conf);

    return (rv == NGX_CONF_OK) ? NGX_OK : NGX_ERROR;
}


/* Runs in the master while the workers of the previous configuration serve
   from the same memory: it adds names and changes nothing else. */

static ngx_int_t
ngx_http_helix_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_helix_main_conf_t  *old = data;

    ngx_int_t                    index;
    ngx_uint_t                   i;
    ngx_http_helix_main_conf_t  *hmcf;

    hmcf = shm_zone->data;

    hmcf->pool = ngx_thread_pool_get(hmcf->cycle, &hmcf->pool_name);

    if (hmcf->pool == NULL) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "unknown thread pool \"%V\" in %s:%ui (declare "
                      "\"thread_pool %V threads=4;\" before \"events\", or "
                      "give \"helix_pool\" a \"threads=4\")",
                      &hmcf->pool_name, hmcf->pool_place.file,
                      hmcf->pool_place.line, &hmcf->pool_name);
        return NGX_ERROR;
    }

    hmcf->zone = ngx_helix_zone_init(shm_zone, old ? old->zone : NULL);

    if (hmcf->zone == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < hmcf->nkinds; i++) {
        index = ngx_helix_zone_kind(hmcf->zone, &hmcf->kinds[i].name);

        if (index == NGX_ERROR) {
            ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                          "helix_zone \"%V\" holds %d kinds, there is no room "
                          "for \"%V\"; restart nginx to forget old ones",
                          &hmcf->zone_name, NGX_HELIX_KINDS,
                          &hmcf->kinds[i].name);
            return NGX_ERROR;
        }

        hmcf->kinds[i].index = index;
    }

    return NGX_OK;
}
