
/*
 * GET api/stream/decisions: whoever reads is sent what the rings of all workers
 * have got, every tick.  Nothing is kept for readers but their place.
 */

#include "ngx_helix_control.h"
#include "ngx_http_helix_stream.h"


#define NGX_HTTP_HELIX_STREAM_TICK   100        /* ms */
#define NGX_HTTP_HELIX_STREAM_RETRY  "5"        /* s */
#define NGX_HTTP_HELIX_RATE_MAX      1000000

/* ns for readers in one turn of the event loop: half of what passed since the
   last one, within these */
#define NGX_HTTP_HELIX_TURN_PART     2
#define NGX_HTTP_HELIX_TURN_MIN      250000
#define NGX_HTTP_HELIX_TURN_MAX      5000000


static ngx_http_helix_reader_t *ngx_http_helix_reader_create(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_helix_reader_args(ngx_http_request_t *r,
    ngx_http_helix_reader_t *reader, ngx_http_helix_ctx_t **ctx);
static ngx_int_t ngx_http_helix_reader_start(ngx_http_helix_reader_t *reader);
static ngx_int_t ngx_http_helix_stream_header(ngx_http_request_t *r);
static ngx_http_helix_streams_t *ngx_http_helix_streams(
    ngx_http_helix_main_conf_t *hmcf);
static ngx_int_t ngx_http_helix_stream_enter(ngx_http_helix_reader_t *reader);
static void ngx_http_helix_stream_leave(void *data);
static void ngx_http_helix_stream_tick(ngx_event_t *ev);
static void ngx_http_helix_stream_pump(ngx_event_t *ev);
static ngx_uint_t ngx_http_helix_reader_pump(ngx_http_helix_reader_t *reader,
    uint64_t until);
static void ngx_http_helix_reader_close(ngx_http_helix_reader_t *reader,
    const char *why);
static const char *ngx_http_helix_stream_why(ngx_http_helix_main_conf_t *hmcf);


ngx_int_t
ngx_http_helix_read_stream(ngx_http_request_t *r, ngx_str_t *rest)
{
    ngx_int_t                 rc;
    ngx_http_helix_ctx_t     *ctx;
    ngx_http_helix_reader_t  *reader;

    /* it has no end that another request could wait for */

    if (r != r->main) {
        return NGX_HTTP_NOT_FOUND;
    }

    reader = ngx_http_helix_reader_create(r);
    if (reader == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_helix_reader_args(r, reader, &ctx);

    if (rc == NGX_DECLINED) {
        return ngx_http_helix_send_problem(r, ctx);
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r->method != NGX_HTTP_HEAD) {
        rc = ngx_http_helix_stream_enter(reader);

        if (rc == NGX_BUSY) {
            return ngx_http_helix_send_busy(r, "TooManyStreams",
                                            "There are too many readers",
                                            "\"stream\" of helix_status says "
                                            "how many there may be",
                                            NGX_HTTP_HELIX_STREAM_RETRY);
        }

        if (rc != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    rc = ngx_http_helix_stream_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_helix_reader_start(reader);
}


static ngx_http_helix_reader_t *
ngx_http_helix_reader_create(ngx_http_request_t *r)
{
    ngx_http_helix_reader_t  *reader;

    reader = ngx_pcalloc(r->pool, sizeof(ngx_http_helix_reader_t));
    if (reader == NULL) {
        return NULL;
    }

    reader->request = r;
    reader->hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);
    reader->zone = ngx_helix_exec_zone(reader->hmcf->exec);
    reader->config = ngx_helix_config_version(reader->zone);
    reader->done = 1;
    reader->sent = ngx_current_msec;
    reader->refilled = ngx_current_msec;
    reader->told = ngx_current_msec;

    return reader;
}


static ngx_int_t
ngx_http_helix_reader_args(ngx_http_request_t *r,
    ngx_http_helix_reader_t *reader, ngx_http_helix_ctx_t **ctx)
{
    ngx_int_t   rc;
    ngx_str_t   arg, *id;

    rc = ngx_http_helix_filter_args(r, &reader->filter, ctx);

    if (rc == NGX_OK) {
        rc = ngx_http_helix_number_arg(r, "rate", 0, NGX_HTTP_HELIX_RATE_MAX,
                                       &reader->rate, ctx);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_helix_number_arg(r, "done", 0, 1, &reader->done, ctx);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_helix_number_arg(r, "stats", 0, 1, &reader->stats, ctx);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    reader->tokens = (double) reader->rate;

    id = ngx_http_helix_request_header(r, "last-event-id", 0);

    if (id == NULL
        && ngx_http_arg(r, (u_char *) "last_event_id", 13, &arg) == NGX_OK)
    {
        id = &arg;
    }

    if (id == NULL || ngx_http_helix_reader_resume(reader, id) != NGX_OK) {
        ngx_http_helix_reader_begin(reader);
    }

    return NGX_OK;
}


/* Counts the reader; it is taken back with the request, or before. */

static ngx_int_t
ngx_http_helix_stream_enter(ngx_http_helix_reader_t *reader)
{
    ngx_helix_slot_t           *slot;
    ngx_http_cleanup_t         *cln;
    ngx_http_request_t         *r;
    ngx_http_helix_loc_conf_t  *hlcf;

    r = reader->request;
    hlcf = ngx_http_get_module_loc_conf(r, ngx_http_helix_module);
    slot = ngx_helix_exec_slot(reader->hmcf->exec);

    reader->streams = ngx_http_helix_streams(reader->hmcf);
    reader->buf.start = ngx_palloc(r->pool, NGX_HTTP_HELIX_STREAM_BUFFER);
    cln = ngx_http_cleanup_add(r, 0);

    if (reader->streams == NULL || reader->buf.start == NULL || cln == NULL) {
        return NGX_ERROR;
    }

    if (slot == NULL
        || ngx_helix_stream_enter(reader->zone, slot, hlcf->status_streams)
           != NGX_OK)
    {
        return NGX_BUSY;
    }

    reader->buf.end = reader->buf.start + NGX_HTTP_HELIX_STREAM_BUFFER;
    reader->buf.pos = reader->buf.start;
    reader->buf.last = reader->buf.start;
    reader->buf.memory = 1;
    reader->buf.flush = 1;
    reader->buf.tag = (ngx_buf_tag_t) &ngx_http_helix_module;
    reader->pos = reader->buf.start;
    reader->out.buf = &reader->buf;

    ngx_queue_insert_tail(&reader->streams->readers, &reader->link);
    reader->streams->n++;

    cln->handler = ngx_http_helix_stream_leave;
    cln->data = reader;
    reader->entered = 1;

    return NGX_OK;
}


static void
ngx_http_helix_stream_leave(void *data)
{
    ngx_http_helix_reader_t *reader = data;

    ngx_helix_slot_t          *slot;
    ngx_http_helix_streams_t  *streams;

    if (!reader->entered) {
        return;
    }

    reader->entered = 0;

    streams = reader->streams;
    slot = ngx_helix_exec_slot(reader->hmcf->exec);

    ngx_queue_remove(&reader->link);
    ngx_helix_stream_leave(slot);

    if (--streams->n) {
        return;
    }

    ngx_helix_exec_watch(reader->hmcf->exec, NULL);

    if (streams->tick.timer_set) {
        ngx_del_timer(&streams->tick);
    }

    if (streams->pump.posted) {
        ngx_delete_posted_event(&streams->pump);
    }

    if (streams->alarm.posted) {
        ngx_delete_posted_event(&streams->alarm);
    }

    if (streams->stats) {
        ngx_free(streams->stats);
        streams->stats = NULL;
        streams->stats_len = 0;
    }
}


static ngx_int_t
ngx_http_helix_stream_header(ngx_http_request_t *r)
{
    r->headers_out.status = NGX_HTTP_OK;
    r->disable_not_modified = 1;
    r->keepalive = 0;

    /* the length of the type alone: no filter adds or changes a charset */

    ngx_str_set(&r->headers_out.content_type,
                "text/event-stream; charset=utf-8");
    r->headers_out.content_type_len = sizeof("text/event-stream") - 1;
    r->headers_out.content_type_lowcase = NULL;

    ngx_http_clear_content_length(r);
    ngx_http_clear_accept_ranges(r);

#if (NGX_HTTP_GZIP)
    r->gzip_tested = 1;
    r->gzip_ok = 0;
#endif

    if (ngx_http_helix_add_header(r, "X-Accel-Buffering", (u_char *) "no", 2)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_send_header(r);
}


/* The header may not have been taken yet. */

static ngx_int_t
ngx_http_helix_reader_start(ngx_http_helix_reader_t *reader)
{
    ngx_http_request_t        *r;
    ngx_http_helix_streams_t  *streams;

    r = reader->request;
    streams = reader->streams;

    r->write_event_handler = ngx_http_request_empty_handler;

    if (ngx_http_helix_reader_wait(r, 0) == NGX_ERROR) {
        return NGX_ERROR;
    }

    r->main->count++;

    ngx_http_helix_reader_watch(r);

    /* not cancelable: for a tick it keeps a worker that is to leave, so that
       its readers leave first */

    if (!streams->tick.timer_set) {
        ngx_add_timer(&streams->tick, NGX_HTTP_HELIX_STREAM_TICK);
    }

    if (!streams->pump.posted) {
        ngx_post_event(&streams->pump, &ngx_posted_events);
    }

    ngx_helix_exec_watch(reader->hmcf->exec, &streams->alarm);

    return NGX_DONE;
}


static ngx_http_helix_streams_t *
ngx_http_helix_streams(ngx_http_helix_main_conf_t *hmcf)
{
    ngx_http_helix_streams_t  *streams;

    if (hmcf->streams) {
        return hmcf->streams;
    }

    streams = ngx_pcalloc(hmcf->cycle->pool, sizeof(ngx_http_helix_streams_t));
    if (streams == NULL) {
        return NULL;
    }

    streams->fd = (ngx_socket_t) -1;
    ngx_queue_init(&streams->readers);

    streams->tick.handler = ngx_http_helix_stream_tick;
    streams->tick.data = streams;
    streams->tick.log = hmcf->cycle->log;

    streams->pump.handler = ngx_http_helix_stream_pump;
    streams->pump.data = streams;
    streams->pump.log = hmcf->cycle->log;

    streams->alarm = streams->pump;

    hmcf->streams = streams;

    return streams;
}


static void
ngx_http_helix_stream_tick(ngx_event_t *ev)
{
    ngx_uint_t                 n;
    ngx_queue_t               *q;
    ngx_http_helix_reader_t   *reader;
    ngx_http_helix_streams_t  *streams = ev->data;

    if (!ngx_exiting) {
        ngx_add_timer(ev, NGX_HTTP_HELIX_STREAM_TICK);

        if (!streams->pump.posted) {
            ngx_http_helix_stream_pump(&streams->pump);
        }

        return;
    }

    for (n = streams->n; n && !ngx_queue_empty(&streams->readers); n--) {
        q = ngx_queue_head(&streams->readers);
        reader = ngx_queue_data(q, ngx_http_helix_reader_t, link);

        ngx_http_helix_reader_close(reader,
                                    ngx_http_helix_stream_why(reader->hmcf));
    }
}


static const char *
ngx_http_helix_stream_why(ngx_http_helix_main_conf_t *hmcf)
{
    return (ngx_helix_zone_generation(ngx_helix_exec_zone(hmcf->exec))
            > hmcf->generation) ? "reload" : "shutdown";
}


/* Sends what there is to all readers in turn, for a while; then others are
   served before it goes on. */

static void
ngx_http_helix_stream_pump(ngx_event_t *ev)
{
    uint64_t                   now, spent;
    ngx_uint_t                 n, more;
    ngx_queue_t               *q;
    ngx_http_helix_reader_t   *reader;
    ngx_http_helix_streams_t  *streams = ev->data;

    now = ngx_helix_now();
    spent = (now - streams->pumped) / NGX_HTTP_HELIX_TURN_PART;
    spent = ngx_max(spent, NGX_HTTP_HELIX_TURN_MIN);
    spent = ngx_min(spent, NGX_HTTP_HELIX_TURN_MAX);

    more = 0;

    /* to send to one may end others, of the same HTTP/2 connection */

    for (n = streams->n; n && !ngx_queue_empty(&streams->readers); n--) {
        q = ngx_queue_head(&streams->readers);
        reader = ngx_queue_data(q, ngx_http_helix_reader_t, link);

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&streams->readers, q);

        more |= ngx_http_helix_reader_pump(reader, now + spent);

        if (ngx_helix_now() >= now + spent) {
            more |= (n > 1);
            break;
        }
    }

    streams->pumped = ngx_helix_now();

    if (more && streams->n && !streams->pump.posted) {
        ngx_post_event(&streams->pump, &ngx_posted_next_events);
    }
}


/* Whether there is more to send, which could be sent. */

static ngx_uint_t
ngx_http_helix_reader_pump(ngx_http_helix_reader_t *reader, uint64_t until)
{
    ngx_uint_t           more;
    ngx_http_request_t  *r;

    r = reader->request;

    if (r->buffered || r->connection->buffered) {
        return 0;
    }

    ngx_http_helix_reader_watch(r);

    do {
        more = ngx_http_helix_reader_fill(reader);

        if (reader->pos == reader->buf.start) {
            return more;
        }

        switch (ngx_http_helix_reader_send(reader, 0)) {

        case NGX_OK:
            break;

        case NGX_AGAIN:
            return 0;

        default: /* NGX_ERROR */
            ngx_http_helix_reader_finalize(r, NGX_ERROR);
            return 0;
        }

    } while (more && ngx_helix_now() < until);

    return more;
}


/* Who does not take what was sent before learns of the end by that alone.  The
   worker waits for none: not for a body, nor for the client's end. */

static void
ngx_http_helix_reader_close(ngx_http_helix_reader_t *reader, const char *why)
{
    ngx_http_request_t  *r;

    r = reader->request;

    if (!r->buffered && !r->connection->buffered) {
        (void) ngx_http_helix_reader_fill(reader);
        ngx_http_helix_reader_bye(reader, why);

        if (ngx_http_helix_reader_send(reader, 1) == NGX_OK) {
            ngx_http_helix_reader_drain(r);
        }
    }

    ngx_http_helix_stream_leave(reader);
    ngx_http_helix_reader_finalize(r, NGX_HTTP_CLOSE);
}


void
ngx_http_helix_streams_stop(ngx_http_helix_main_conf_t *hmcf)
{
    ngx_queue_t               *q;
    ngx_http_request_t        *r;
    ngx_http_helix_reader_t   *reader;
    ngx_http_helix_streams_t  *streams;

    streams = hmcf->streams;

    if (streams == NULL) {
        return;
    }

    for (q = ngx_queue_head(&streams->readers);
         q != ngx_queue_sentinel(&streams->readers);
         q = ngx_queue_next(q))
    {
        reader = ngx_queue_data(q, ngx_http_helix_reader_t, link);
        r = reader->request;

        if (r->header_sent && !r->buffered && !r->connection->buffered) {
            ngx_http_helix_reader_bye(reader, "shutdown");
            (void) ngx_http_helix_reader_send(reader, 1);
        }
    }
}
