
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
 * Who reads the stream.  What is not sent yet is in one buffer, that of the
 * last flush; whoever does not take it gets nothing more until then, and learns
 * what has been overwritten.
 */

#define NGX_HTTP_HELIX_STREAM_BUFFER  65536
#define NGX_HTTP_HELIX_STREAM_ID      4096     /* bytes of it, for the id */

typedef struct {
    ngx_queue_t                  link;
    ngx_http_request_t          *request;
    ngx_http_helix_main_conf_t  *hmcf;
    ngx_helix_zone_t            *zone;
    struct ngx_http_helix_streams_s  *streams;

    /* what it has asked for */
    ngx_http_helix_filter_t      filter;
    uint64_t                     done;
    uint64_t                     stats;
    uint64_t                     rate;         /* records a second, 0: all */

    ngx_buf_t                    buf;
    ngx_chain_t                  out;
    u_char                      *pos;          /* end of what is written */
    ngx_uint_t                   event;        /* one that is not ended yet */

    ngx_msec_t                   sent;         /* when something was */
    ngx_msec_t                   refilled;
    ngx_msec_t                   told;         /* of what rate has held back */
    ngx_msec_t                   stated;       /* stats were sent */
    double                       tokens;
    uint64_t                     held;         /* records, by rate */
    uint64_t                     config;       /* version it knows of */
    ngx_uint_t                   entered;      /* is counted and in the list */
    ngx_uint_t                   greeted;
    ngx_uint_t                   resumed;      /* and nothing read since */
    ngx_uint_t                   stalled;      /* the buffer was not taken */
    ngx_uint_t                   first;        /* ring to look at first */
    ngx_uint_t                   rings;
    uint64_t                     cursors[NGX_HELIX_SLOTS];
} ngx_http_helix_reader_t;


/* Those of a worker. */

typedef struct ngx_http_helix_streams_s {
    void                        *reserved[3];  /* see ngx_helix_job_s */
    ngx_socket_t                 fd;           /* -1 */
    ngx_queue_t                  readers;
    ngx_uint_t                   n;
    ngx_event_t                  tick;
    ngx_event_t                  pump;         /* there is more to send */
    ngx_event_t                  alarm;        /* there are many records */
    uint64_t                     pumped;       /* ns, when it last ended */
    u_char                      *stats;        /* text, while there is who */
    size_t                       stats_len;    /* reads it */
    ngx_msec_t                   stated;       /* when it was made */
} ngx_http_helix_streams_t;


/* Where a reader begins: from the id that it has seen last, or now.  NGX_OK:
   from there; NGX_DECLINED: the id is not one of this zone. */
ngx_int_t ngx_http_helix_reader_resume(ngx_http_helix_reader_t *reader,
    ngx_str_t *id);
void ngx_http_helix_reader_begin(ngx_http_helix_reader_t *reader);

/*
 * Writes into the buffer, from "pos" on: fill() all that there is to tell, as
 * far as there is room, and returns whether there may be more; bye() the end.
 * end_flush() ends the last event with the id.
 */
ngx_uint_t ngx_http_helix_reader_fill(ngx_http_helix_reader_t *reader);
void ngx_http_helix_reader_bye(ngx_http_helix_reader_t *reader,
    const char *why);
void ngx_http_helix_reader_flush(ngx_http_helix_reader_t *reader);

/*
 * Notices that it leaves, also if it has left already.  send() sends what is in
 * the buffer, "last" if that is the end; wait() does what is to be done until
 * the client has taken it.  NGX_OK: it has; NGX_AGAIN: it is not given more
 * until then; NGX_ERROR: finalize() with it.
 */
void ngx_http_helix_reader_watch(ngx_http_request_t *r);
ngx_int_t ngx_http_helix_reader_send(ngx_http_helix_reader_t *reader,
    ngx_uint_t last);
ngx_int_t ngx_http_helix_reader_wait(ngx_http_request_t *r, ngx_uint_t last);

/* Before the connection is closed: what has come and is not read makes the
   kernel reset it, and the client perhaps lose the end of the answer. */
void ngx_http_helix_reader_drain(ngx_http_request_t *r);

/* Outside of a handler of the request. */
void ngx_http_helix_reader_finalize(ngx_http_request_t *r, ngx_int_t rc);

/* The worker leaves at once: readers are told, but not waited for. */
void ngx_http_helix_streams_stop(ngx_http_helix_main_conf_t *hmcf);


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
