
/*
 * Decisions as they are made, and what comes of them, for those who watch:
 * what a request may ask for, and how a record of the rings is written.
 */

#ifndef NGX_HTTP_HELIX_STREAM_H_INCLUDED
#define NGX_HTTP_HELIX_STREAM_H_INCLUDED


#include "ngx_http_helix.h"


/* The JSON of a record and the names in it, at most. */
#define NGX_HTTP_HELIX_EVENT_LEN  640


/* Bits by index; all zero: no filter. */

typedef struct {
    uint32_t        strategies;
    uint32_t        reasons;
    uint32_t        kinds;
} ngx_http_helix_filter_t;


/*
 * Reads strategy=, reason= and kind=, of each one name or several with commas
 * between.  NGX_OK; NGX_ERROR without memory; NGX_DECLINED: the request is to
 * be answered with ngx_http_helix_send_problem() of *ctx.
 */
ngx_int_t ngx_http_helix_filter_args(ngx_http_request_t *r,
    ngx_http_helix_filter_t *filter, ngx_http_helix_ctx_t **ctx);

/* A number of the query string; *value stays what it is if it is not there.
   Results likewise. */
ngx_int_t ngx_http_helix_number_arg(ngx_http_request_t *r, const char *name,
    uint64_t min, uint64_t max, uint64_t *value, ngx_http_helix_ctx_t **ctx);

ngx_uint_t ngx_http_helix_filter_match(const ngx_http_helix_filter_t *filter,
    const ngx_helix_record_t *record);

/* One JSON object each: of the decision, and of the end, that a record
   tells. */
void ngx_http_helix_write_decision(helix_json_writer_t *json,
    ngx_helix_zone_t *zone, ngx_uint_t ring, uint64_t seq,
    const ngx_helix_record_t *record);
void ngx_http_helix_write_done(helix_json_writer_t *json,
    ngx_http_helix_main_conf_t *hmcf, ngx_uint_t ring, uint64_t seq,
    const ngx_helix_record_t *record);


/* GET api/decisions, GET api/stream/decisions. */
ngx_int_t ngx_http_helix_read_decisions(ngx_http_request_t *r,
    ngx_str_t *rest);
ngx_int_t ngx_http_helix_read_stream(ngx_http_request_t *r, ngx_str_t *rest);


#endif /* NGX_HTTP_HELIX_STREAM_H_INCLUDED */
