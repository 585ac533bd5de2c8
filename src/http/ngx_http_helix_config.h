
/*
 * What the files of api/config share.
 */

#ifndef NGX_HTTP_HELIX_CONFIG_H_INCLUDED
#define NGX_HTTP_HELIX_CONFIG_H_INCLUDED


#include "ngx_helix_control.h"
#include "ngx_http_helix.h"


#define NGX_HTTP_HELIX_ETAG  64        /* bytes, with the quotes */


/* Of the settings in force, with the quotes: "EPOCH-VERSION". */
u_char *ngx_http_helix_etag(ngx_http_helix_main_conf_t *hmcf, u_char *dst);

/* The document that GET answers with; also after a change. */
ngx_int_t ngx_http_helix_send_config(ngx_http_request_t *r);

/* The rows of api/config: "rest" is "/FIELD" or nothing. */
ngx_int_t ngx_http_helix_read_config(ngx_http_request_t *r, ngx_str_t *rest);
ngx_int_t ngx_http_helix_write_config(ngx_http_request_t *r, ngx_str_t *rest,
    ngx_str_t *body);

/* A change of settings: one object, and what is told of who has made it. */

typedef enum {
    NGX_HTTP_HELIX_NOBODY = 0,
    NGX_HTTP_HELIX_NAME,               /* alone, if there is one */
    NGX_HTTP_HELIX_AUTHOR              /* the address too */
} ngx_http_helix_by_t;

void ngx_http_helix_write_change(helix_json_writer_t *json,
    const ngx_helix_change_t *change, ngx_http_helix_by_t who);

/* Those of api/telemetry. */
ngx_int_t ngx_http_helix_read_telemetry(ngx_http_request_t *r,
    ngx_str_t *rest);
ngx_int_t ngx_http_helix_write_telemetry(ngx_http_request_t *r,
    ngx_str_t *rest, ngx_str_t *body);

/* A value as a member of JSON. */
void ngx_http_helix_write_setting(helix_json_writer_t *json,
    const helix_setting_t *row, uint64_t bits);


#endif /* NGX_HTTP_HELIX_CONFIG_H_INCLUDED */
