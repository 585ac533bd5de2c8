
/* GET api/config: settings with where they come from. */

#include "ngx_http_helix_config.h"
#include "ngx_http_helix_metrics.h"


#define NGX_HTTP_HELIX_CONFIG_LEN   16384
#define NGX_HTTP_HELIX_HISTORY_LEN  32768


static ngx_int_t ngx_http_helix_config_etag(ngx_http_request_t *r,
    u_char *etag, size_t len);
static void ngx_http_helix_config_values(helix_json_writer_t *json,
    const helix_layer_t *values);
static void ngx_http_helix_config_origins(helix_json_writer_t *json,
    const ngx_helix_config_t *config, ngx_http_helix_by_t who);
static void ngx_http_helix_config_origin(helix_json_writer_t *json,
    const ngx_helix_config_t *config, ngx_uint_t i, ngx_http_helix_by_t who);
static void ngx_http_helix_config_effective(helix_json_writer_t *json,
    ngx_http_helix_main_conf_t *hmcf);
static void ngx_http_helix_config_history(helix_json_writer_t *json,
    const ngx_helix_config_t *config, ngx_http_helix_by_t who);
static ngx_int_t ngx_http_helix_config_nginx(ngx_http_request_t *r);
static u_char *ngx_http_helix_config_directive(
    ngx_http_helix_main_conf_t *hmcf, ngx_uint_t first, u_char *p,
    u_char *last);


static const char *const  ngx_http_helix_changers[] = {
    "nginx.conf", "file", "runtime", "state file"
};


ngx_int_t
ngx_http_helix_read_config(ngx_http_request_t *r, ngx_str_t *rest)
{
    ngx_str_t                    format;
    ngx_http_helix_main_conf_t  *hmcf;

    if (rest->len) {
        return ngx_http_helix_send_error(r, NGX_HTTP_NOT_FOUND, "NotFound",
                                         "There is nothing at this path",
                                         "GET api/config has all settings");
    }

    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);

    ngx_helix_exec_refresh(hmcf->exec, ngx_helix_now());

    if (ngx_http_arg(r, (u_char *) "format", 6, &format) == NGX_OK
        && ngx_http_helix_is(&format, "nginx"))
    {
        return ngx_http_helix_config_nginx(r);
    }

    return ngx_http_helix_send_config(r);
}


u_char *
ngx_http_helix_etag(ngx_http_helix_main_conf_t *hmcf, u_char *dst)
{
    return ngx_sprintf(dst, "\"%uL-%uL\"", ngx_helix_zone_epoch(hmcf->zone),
                       ngx_helix_exec_version(hmcf->exec));
}


ngx_int_t
ngx_http_helix_send_config(ngx_http_request_t *r)
{
    size_t                       size;
    u_char                      *p, *etag, *last;
    ngx_str_t                    history;
    ngx_uint_t                   told;
    helix_layer_t                values;
    helix_json_writer_t          json;
    const ngx_helix_config_t    *config;
    ngx_http_helix_by_t          who;
    ngx_http_helix_main_conf_t  *hmcf;

    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);
    config = ngx_helix_exec_config(hmcf->exec);

    who = ngx_http_helix_writable(r) ? NGX_HTTP_HELIX_AUTHOR
                                     : NGX_HTTP_HELIX_NOBODY;

    told = ngx_http_arg(r, (u_char *) "history", 7, &history) == NGX_OK
           && history.len == 1 && history.data[0] == '1';

    size = NGX_HTTP_HELIX_CONFIG_LEN
           + (told ? NGX_HTTP_HELIX_HISTORY_LEN : 0);

    p = ngx_pnalloc(r->pool, size);
    etag = ngx_pnalloc(r->pool, NGX_HTTP_HELIX_ETAG);

    if (p == NULL || etag == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    last = ngx_http_helix_etag(hmcf, etag);
    helix_layer_take(&values, &hmcf->settings);

    helix_json_writer_init(&json, (char *) p, size - 1);

    helix_json_object(&json);
    helix_json_key(&json, "generation");
    helix_json_u64(&json, ngx_helix_exec_version(hmcf->exec));
    helix_json_key(&json, "etag");
    helix_json_string(&json, (char *) etag, last - etag);

    helix_json_key(&json, "config");
    helix_json_object(&json);
    ngx_http_helix_config_values(&json, &values);
    helix_json_object_end(&json);

    ngx_http_helix_config_origins(&json, config, who);
    ngx_http_helix_config_effective(&json, hmcf);

    if (told) {
        ngx_http_helix_config_history(&json, config, who);
    }

    /* where the ancestor's clients read them */

    helix_json_key(&json, "version");
    helix_json_u64(&json, 1);
    ngx_http_helix_config_values(&json, &values);

    helix_json_object_end(&json);

    if (json.overflow
        || ngx_http_helix_config_etag(r, etag, last - etag) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    *json.pos++ = '\n';

    return ngx_http_helix_send_body(r, NGX_HTTP_OK, "application/json", p,
                                    json.pos - json.start);
}


static ngx_int_t
ngx_http_helix_config_etag(ngx_http_request_t *r, u_char *etag, size_t len)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    ngx_str_set(&h->key, "ETag");
    h->value.data = etag;
    h->value.len = len;

    r->headers_out.etag = h;

    /* it names the settings: what is in force besides may have changed */

    r->disable_not_modified = 1;

    return NGX_OK;
}


static void
ngx_http_helix_config_values(helix_json_writer_t *json,
    const helix_layer_t *values)
{
    ngx_uint_t  i;

    for (i = 0; helix_settings_table[i].name; i++) {
        helix_json_key(json, helix_settings_table[i].name);
        ngx_http_helix_write_setting(json, &helix_settings_table[i],
                                     values->values[i]);
    }
}


void
ngx_http_helix_write_setting(helix_json_writer_t *json,
    const helix_setting_t *row, uint64_t bits)
{
    switch (row->type) {

    case HELIX_SETTING_FLAG:
        helix_json_bool(json, bits != 0);
        break;

    case HELIX_SETTING_RATIO:
        helix_json_double(json, helix_layer_number(row, bits));
        break;

    default:
        helix_json_u64(json, bits);
    }
}


static void
ngx_http_helix_config_origins(helix_json_writer_t *json,
    const ngx_helix_config_t *config, ngx_http_helix_by_t who)
{
    ngx_uint_t  i;

    helix_json_key(json, "origin");
    helix_json_object(json);

    for (i = 0; helix_settings_table[i].name; i++) {
        helix_json_key(json, helix_settings_table[i].name);
        helix_json_object(json);
        ngx_http_helix_config_origin(json, config, i, who);
        helix_json_object_end(json);
    }

    helix_json_object_end(json);
}


static void
ngx_http_helix_config_origin(helix_json_writer_t *json,
    const ngx_helix_config_t *config, ngx_uint_t i, ngx_http_helix_by_t who)
{
    helix_origin_t                origin;
    const helix_setting_t        *row;
    const ngx_helix_override_t   *override;

    row = &helix_settings_table[i];
    origin = helix_layers_origin(&config->conf, &config->settings,
                                 &config->runtime, i);

    helix_json_key(json, "source");
    helix_json_cstring(json, helix_origin_names[origin]);
    helix_json_key(json, "conf");
    ngx_http_helix_write_setting(json, row, config->conf.values[i]);
    helix_json_key(json, "default");

    /* of some it depends on the machine, or on another one */

    ngx_http_helix_write_setting(json, row,
                                 helix_layer_has(&config->conf, i)
                                 ? helix_layer_bits(row, row->initial)
                                 : config->conf.values[i]);

    if (helix_layer_has(&config->settings, i)) {
        helix_json_key(json, "file");
        ngx_http_helix_write_setting(json, row, config->settings.values[i]);
    }

    helix_json_key(json, "min");
    helix_json_double(json, row->min);
    helix_json_key(json, "max");
    helix_json_double(json, row->max);
    helix_json_key(json, "live");
    helix_json_bool(json, !(row->flags & HELIX_SETTING_FIXED));

    if (origin == HELIX_ORIGIN_RUNTIME) {
        override = &config->overrides[i];

        helix_json_key(json, "at");
        ngx_http_helix_write_time(json, override->at);

        if (who == NGX_HTTP_HELIX_AUTHOR) {
            helix_json_key(json, "by");
            helix_json_cstring(json, override->by);
        }
    }
}


/* What routes at this moment, where it is not the setting itself. */

static void
ngx_http_helix_config_effective(helix_json_writer_t *json,
    ngx_http_helix_main_conf_t *hmcf)
{
    uint64_t           now;
    helix_settings_t  *settings;

    settings = &hmcf->settings;

    helix_json_key(json, "effective");
    helix_json_object(json);

    now = ngx_helix_zone_threshold(hmcf->zone, settings->spawn_threshold);

    if (now != settings->spawn_threshold) {
        helix_json_key(json, "spawn_threshold");
        helix_json_object(json);
        helix_json_key(json, "now");
        helix_json_u64(json, now);
        helix_json_key(json, "by");
        helix_json_cstring(json, "adapt");
        helix_json_object_end(json);
    }

    now = helix_threshold_busy(settings->busy,
                               ngx_helix_exec_external(hmcf->exec));

    if (now != settings->busy) {
        helix_json_key(json, "backpressure_busy_threshold");
        helix_json_object(json);
        helix_json_key(json, "now");
        helix_json_u64(json, now);
        helix_json_key(json, "by");
        helix_json_cstring(json, "telemetry");
        helix_json_object_end(json);
    }

    helix_json_object_end(json);
}


static void
ngx_http_helix_config_history(helix_json_writer_t *json,
    const ngx_helix_config_t *config, ngx_http_helix_by_t who)
{
    uint64_t  n, first;

    helix_json_key(json, "history");
    helix_json_array(json);

    first = config->nchanges - ngx_min(config->nchanges, NGX_HELIX_CHANGES);

    for (n = config->nchanges; n > first; n--) {
        ngx_http_helix_write_change(json,
                           &config->changes[(n - 1) % NGX_HELIX_CHANGES], who);
    }

    helix_json_array_end(json);
}


void
ngx_http_helix_write_change(helix_json_writer_t *json,
    const ngx_helix_change_t *change, ngx_http_helix_by_t who)
{
    const char             *at;
    ngx_uint_t              i;
    const helix_setting_t  *row;

    helix_json_object(json);
    helix_json_key(json, "generation");
    helix_json_u64(json, change->version);
    helix_json_key(json, "at");
    ngx_http_helix_write_time(json, change->at);
    helix_json_key(json, "source");
    helix_json_cstring(json, ngx_http_helix_changers[change->source & 3]);

    at = strchr(change->by, '@');

    if (who == NGX_HTTP_HELIX_AUTHOR || (who == NGX_HTTP_HELIX_NAME && at)) {
        helix_json_key(json, "by");
        helix_json_string(json, change->by,
                          who == NGX_HTTP_HELIX_AUTHOR
                          ? ngx_strlen(change->by)
                          : (size_t) (at - change->by));
    }

    helix_json_key(json, "changed");
    helix_json_object(json);

    for (i = 0; helix_settings_table[i].name; i++) {
        row = &helix_settings_table[i];

        if (change->rows >> i & 1) {
            helix_json_key(json, row->name);
            helix_json_array(json);
            ngx_http_helix_write_setting(json, row, change->from[i]);
            ngx_http_helix_write_setting(json, row, change->to[i]);
            helix_json_array_end(json);
        }
    }

    helix_json_object_end(json);
    helix_json_object_end(json);
}


/* The directives that say in nginx.conf what is in force now. */

static ngx_int_t
ngx_http_helix_config_nginx(ngx_http_request_t *r)
{
    u_char                      *text, *p, *last;
    ngx_uint_t                   i, k;
    ngx_http_helix_main_conf_t  *hmcf;

    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);

    text = ngx_pnalloc(r->pool, NGX_HTTP_HELIX_CONFIG_LEN);
    if (text == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = text;
    last = text + NGX_HTTP_HELIX_CONFIG_LEN;

    for (i = 0; helix_settings_table[i].name; i++) {

        for (k = 0; k < i; k++) {
            if (ngx_strcmp(helix_settings_table[k].directive,
                           helix_settings_table[i].directive)
                == 0)
            {
                break;
            }
        }

        if (k == i) {
            p = ngx_http_helix_config_directive(hmcf, i, p, last);
        }
    }

    return ngx_http_helix_send_body(r, NGX_HTTP_OK, "text/plain", text,
                                    p - text);
}


static u_char *
ngx_http_helix_config_directive(ngx_http_helix_main_conf_t *hmcf,
    ngx_uint_t first, u_char *p, u_char *last)
{
    char                    value[HELIX_SETTING_TEXT_MAX];
    ngx_uint_t              i;
    const char             *name;
    helix_layer_t           values;
    const helix_setting_t  *row;

    name = helix_settings_table[first].directive;
    helix_layer_take(&values, &hmcf->settings);

    p = ngx_slprintf(p, last, "%s", name);

    if (ngx_strcmp(name, "helix_pool") == 0) {

        if (hmcf->pool_named) {
            p = ngx_slprintf(p, last, " %V", &hmcf->pool_name);
        }

        if (hmcf->pool_threads) {
            p = ngx_slprintf(p, last, " threads=%uL", hmcf->pool_threads);
        }
    }

    for (i = first; helix_settings_table[i].name; i++) {
        row = &helix_settings_table[i];

        if (ngx_strcmp(row->directive, name) != 0) {
            continue;
        }

        helix_setting_print(row, helix_layer_number(row, values.values[i]),
                            value);

        p = ngx_slprintf(p, last, " %s%s%s",
                         row->parameter ? row->parameter : "",
                         row->parameter ? "=" : "", value);
    }

    return ngx_slprintf(p, last, ";\n");
}
