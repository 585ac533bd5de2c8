
#include "ngx_helix_lanes.h"


/* ns between two lines in the log of one source of pressure */
#define NGX_HELIX_NEWS  60000000000ULL


static void ngx_helix_live_config(ngx_helix_exec_t *exec);
static void ngx_helix_live_store(ngx_helix_exec_t *exec,
    const helix_settings_t *settings);
static void ngx_helix_live_sources(ngx_helix_exec_t *exec);
static void ngx_helix_live_external(ngx_helix_exec_t *exec, uint64_t now);


void
ngx_helix_exec_refresh(ngx_helix_exec_t *exec, uint64_t now)
{
    uint64_t  changes;

    changes = ngx_helix_control_changes(exec->zone);

    if (changes != exec->changes) {
        exec->changes = changes;
        ngx_helix_live_look(exec, now);

    } else if (exec->external_until && now >= exec->external_until) {
        ngx_helix_live_external(exec, now);
    }
}


/* What a writer that died has published did not count as a change. */

void
ngx_helix_live_look(ngx_helix_exec_t *exec, uint64_t now)
{
    if (ngx_helix_config_version(exec->zone) != exec->config_version) {
        ngx_helix_live_config(exec);
    }

    if (ngx_helix_sources_version(exec->zone) != exec->sources_version) {
        ngx_helix_live_sources(exec);
    }

    ngx_helix_live_external(exec, now);
}


static void
ngx_helix_live_config(ngx_helix_exec_t *exec)
{
    uint64_t             version;
    helix_settings_t     settings;
    ngx_helix_config_t  *config;

    config = exec->live.read;

    version = ngx_helix_config_read(exec->zone, config);

    if (version == 0) {
        exec->changes--;
        return;
    }

    exec->live.read = exec->live.config;
    exec->live.config = config;
    exec->config_version = version;

    settings = *exec->settings;

    helix_layers_merge(&config->conf, &config->settings, &config->runtime,
                       &settings);

    ngx_helix_live_store(exec, &settings);

    ngx_helix_batches_apply(exec);
    ngx_helix_pool_apply(exec->pool);
}


/* Threads read some of them. */

static void
ngx_helix_live_store(ngx_helix_exec_t *exec, const helix_settings_t *settings)
{
    uint64_t                value, *field;
    const helix_setting_t  *row;

    for (row = helix_settings_table; row->name; row++) {
        field = (uint64_t *) ((char *) exec->settings + row->offset);

        ngx_memcpy(&value, (const char *) settings + row->offset,
                   sizeof(uint64_t));

        if (*field != value) {
            __atomic_store_n(field, value, __ATOMIC_RELAXED);
        }
    }
}


static void
ngx_helix_live_sources(ngx_helix_exec_t *exec)
{
    uint64_t              version;
    ngx_helix_sources_t   sources;

    version = ngx_helix_sources_read(exec->zone, &sources);

    if (version == 0) {
        exec->changes--;
        return;
    }

    exec->sources_version = version;
    exec->sources = sources;
}


static void
ngx_helix_live_external(ngx_helix_exec_t *exec, uint64_t now)
{
    ngx_uint_t           i;
    ngx_helix_source_t  *source;

    exec->external = 0;
    exec->external_until = 0;

    for (i = 0; i < NGX_HELIX_SOURCES; i++) {
        source = &exec->sources.sources[i];

        if (source->until <= now) {
            continue;
        }

        exec->external = ngx_max(exec->external, source->pressure);

        if (exec->external_until == 0
            || source->until < exec->external_until)
        {
            exec->external_until = source->until;
        }
    }

    if (exec->predict) {
        exec->predict->router.external = exec->external;
    }
}


const ngx_helix_config_t *
ngx_helix_exec_config(ngx_helix_exec_t *exec)
{
    return exec->live.config;
}


const ngx_helix_sources_t *
ngx_helix_exec_sources(ngx_helix_exec_t *exec)
{
    return &exec->sources;
}


uint64_t
ngx_helix_exec_version(ngx_helix_exec_t *exec)
{
    return exec->config_version;
}


double
ngx_helix_exec_external(ngx_helix_exec_t *exec)
{
    return exec->external;
}


double
ngx_helix_exec_internal(ngx_helix_exec_t *exec)
{
    return exec->pressure;
}


double
ngx_helix_exec_pressure(ngx_helix_exec_t *exec)
{
    return ngx_max(exec->pressure, exec->external);
}


ngx_int_t
ngx_helix_exec_report(ngx_helix_exec_t *exec, ngx_str_t *name,
    double pressure, ngx_msec_t *ttl, ngx_uint_t *news)
{
    uint64_t              now, first, told;
    ngx_uint_t            i;
    ngx_helix_source_t   *source, *found;
    ngx_helix_sources_t   sources;

    if (ngx_helix_control_lock(exec->zone) != NGX_OK) {
        return NGX_BUSY;
    }

    if (ngx_helix_sources_read(exec->zone, &sources) == 0) {
        ngx_memzero(&sources, sizeof(ngx_helix_sources_t));
    }

    now = ngx_helix_now();
    first = (uint64_t) -1;
    told = 0;
    found = NULL;

    for (i = 0; i < NGX_HELIX_SOURCES; i++) {
        source = &sources.sources[i];

        if (source->until > now && ngx_strlen(source->name) == name->len
            && ngx_strncmp(source->name, name->data, name->len) == 0)
        {
            found = source;
            told = source->told;
            break;
        }

        if (source->until <= now) {
            found = found ? found : source;

        } else {
            first = ngx_min(first, source->until);
        }
    }

    if (found == NULL) {
        ngx_helix_control_unlock(exec->zone);
        *ttl = (ngx_msec_t) ((first - now) / 1000000 + 1);
        return NGX_DECLINED;
    }

    *news = told == 0
            || (found->pressure != helix_clamp01(pressure)
                && now - told >= NGX_HELIX_NEWS);

    ngx_memzero(found, sizeof(ngx_helix_source_t));

    found->told = *news ? now : told;
    found->until = now + *ttl * 1000000ULL;
    found->pressure = helix_clamp01(pressure);
    ngx_memcpy(found->name, name->data,
               ngx_min(name->len, NGX_HELIX_SOURCE_NAME - 1));

    (void) ngx_helix_sources_publish(exec->zone, &sources);

    ngx_helix_control_unlock(exec->zone);

    ngx_helix_exec_refresh(exec, now);

    return NGX_OK;
}
