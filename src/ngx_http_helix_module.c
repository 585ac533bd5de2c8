
#include "ngx_http_helix.h"
#include "ngx_http_helix_stream.h"

#include <sched.h>

#include "ngx_helix_process.h"


static ngx_int_t ngx_http_helix_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_helix_init_process(ngx_cycle_t *cycle);
static void ngx_http_helix_exit_process(ngx_cycle_t *cycle);


static ngx_conf_num_bounds_t  ngx_http_helix_status_bounds = {
    ngx_conf_check_num_bounds, 400, 599
};


static ngx_conf_post_t  ngx_http_helix_timeout_post = {
    ngx_http_helix_timeout_bounds
};


static ngx_conf_enum_t  ngx_http_helix_log_levels[] = {
    { ngx_string("info"), NGX_LOG_INFO },
    { ngx_string("notice"), NGX_LOG_NOTICE },
    { ngx_string("warn"), NGX_LOG_WARN },
    { ngx_string("error"), NGX_LOG_ERR },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_helix_header_sets[] = {
    { ngx_string("off"), NGX_HTTP_HELIX_HEADERS_OFF },
    { ngx_string("basic"), NGX_HTTP_HELIX_HEADERS_BASIC },
    { ngx_string("timing"), NGX_HTTP_HELIX_HEADERS_TIMING },
    { ngx_null_string, 0 }
};


static ngx_command_t  ngx_http_helix_commands[] = {

    { ngx_string("helix_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_helix_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("helix_kind"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_helix_kind,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("helix_kernel"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_2MORE,
      ngx_http_helix_kernel,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("helix_settings"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_helix_settings_file,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("helix_policy"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_helix_policy,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("helix_inline_threshold"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_helix_setting,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("helix_spawn_threshold"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_helix_setting,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("helix_pool"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_helix_pool,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("helix_batch"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_helix_setting,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("helix_adapt"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_helix_setting,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("helix_pass"),
      NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_helix_pass,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("helix_job"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_helix_job,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("helix_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_helix_loc_conf_t, timeout),
      &ngx_http_helix_timeout_post },

    { ngx_string("helix_reject_status"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_helix_loc_conf_t, reject_status),
      &ngx_http_helix_status_bounds },

    { ngx_string("helix_retry_after"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_helix_retry,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("helix_log_level"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_helix_loc_conf_t, log_level),
      &ngx_http_helix_log_levels },

    { ngx_string("helix_dry_run"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_helix_loc_conf_t, dry_run),
      NULL },

    { ngx_string("helix_explain"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_helix_loc_conf_t, explain),
      NULL },

    { ngx_string("helix_headers"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_helix_loc_conf_t, headers),
      &ngx_http_helix_header_sets },

    { ngx_string("helix_status"),
      NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF|NGX_CONF_ANY,
      ngx_http_helix_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_helix_module_ctx = {
    ngx_http_helix_add_variables,          /* preconfiguration */
    ngx_http_helix_init,                   /* postconfiguration */

    ngx_http_helix_create_main_conf,       /* create main configuration */
    NULL,                                  /* init main configuration */

    ngx_http_helix_create_srv_conf,        /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_helix_create_loc_conf,        /* create location configuration */
    ngx_http_helix_merge_loc_conf          /* merge location configuration */
};


ngx_module_t  ngx_http_helix_module = {
    NGX_MODULE_V1,
    &ngx_http_helix_module_ctx,            /* module context */
    ngx_http_helix_commands,               /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_helix_init_module,            /* init module */
    ngx_http_helix_init_process,           /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_helix_exit_process,           /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/* Nothing can fail any more; and worker_cpu_affinity has not tied the workers,
   and their threads, down yet. */

static ngx_int_t
ngx_http_helix_init_module(ngx_cycle_t *cycle)
{
    ngx_http_helix_main_conf_t  *hmcf;

    hmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_helix_module);

    if (hmcf && hmcf->zone) {
        hmcf->generation = ngx_helix_zone_begin(hmcf->zone);
        hmcf->cpus_known = (sched_getaffinity(0, sizeof(hmcf->cpus),
                                              &hmcf->cpus) == 0);
        hmcf->ncpus = ngx_helix_process_cpus();
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_helix_init_process(ngx_cycle_t *cycle)
{
    double                       units[NGX_HELIX_KINDS];
    ngx_uint_t                   i;
    ngx_http_helix_kind_t       *kind;
    ngx_http_helix_main_conf_t  *hmcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    hmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_helix_module);

    if (hmcf == NULL || hmcf->zone == NULL) {
        return NGX_OK;
    }

    for (i = 0; i < NGX_HELIX_KINDS; i++) {
        units[i] = 1;
    }

    /* the largest job of a kind takes about a second */

    for (i = 0; i < hmcf->nkinds; i++) {
        kind = &hmcf->kinds[i];
        units[kind->index] = 1e9 / (double) kind->kind->max_work;
    }

    helix_layer_take(&hmcf->conf.layer, &hmcf->settings);

    hmcf->exec = ngx_helix_exec_create(cycle, &hmcf->settings, &hmcf->conf,
                                       hmcf->zone, hmcf->generation,
                                       hmcf->pool, units,
                                       hmcf->cpus_known ? &hmcf->cpus : NULL,
                                       hmcf->ncpus);

    if (hmcf->exec == NULL) {
        return NGX_ERROR;
    }

    if (hmcf->state.len
        && ngx_helix_exec_keep(cycle, hmcf->exec, hmcf->pool, &hmcf->state)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_helix_kernel_start(cycle, hmcf);

    return NGX_OK;
}


static void
ngx_http_helix_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_helix_main_conf_t  *hmcf;

    hmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_helix_module);

    if (hmcf && hmcf->exec) {
        ngx_http_helix_streams_stop(hmcf);
        ngx_helix_exec_destroy(hmcf->exec);
        ngx_http_helix_simulate_close(hmcf);
        hmcf->exec = NULL;
    }
}
