
/* One reader of the stream and its connection. */

#include "ngx_http_helix_stream.h"


#define NGX_HTTP_HELIX_DRAIN  16           /* reads of 4 kB */


static void ngx_http_helix_reader_write(ngx_http_request_t *r);


void
ngx_http_helix_reader_watch(ngx_http_request_t *r)
{
    ngx_event_t  *rev;

    if (r->discard_body
        || r->read_event_handler == ngx_http_test_reading)
    {
        return;
    }

    r->read_event_handler = ngx_http_test_reading;

    rev = r->connection->read;

    if (rev->ready) {
        ngx_post_event(rev, &ngx_posted_events);
    }
}


ngx_int_t
ngx_http_helix_reader_send(ngx_http_helix_reader_t *reader, ngx_uint_t last)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = reader->request;

    ngx_http_set_log_request(r->connection->log, r);

    ngx_http_helix_reader_flush(reader);

    reader->buf.pos = reader->buf.start;
    reader->buf.last = reader->pos;
    reader->buf.last_buf = last;
    reader->pos = reader->buf.start;
    reader->sent = ngx_current_msec;

    rc = ngx_http_output_filter(r, &reader->out);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    rc = ngx_http_helix_reader_wait(r, last);

    reader->stalled |= (rc == NGX_AGAIN);

    return rc;
}


ngx_int_t
ngx_http_helix_reader_wait(ngx_http_request_t *r, ngx_uint_t last)
{
    ngx_event_t               *wev;
    ngx_connection_t          *c;
    ngx_http_core_loc_conf_t  *clcf;

    c = r->connection;
    wev = c->write;

    if (!r->buffered && !c->buffered) {
        return NGX_OK;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    r->write_event_handler = ngx_http_helix_reader_write;

    if (!wev->delayed && !last) {
        ngx_add_timer(wev, clcf->send_timeout);
    }

    return (ngx_handle_write_event(wev, clcf->send_lowat) == NGX_OK)
           ? NGX_AGAIN : NGX_ERROR;
}


/* As ngx_http_writer(). */

static void
ngx_http_helix_reader_write(ngx_http_request_t *r)
{
    ngx_event_t                 *wev;
    ngx_connection_t            *c;
    ngx_http_helix_streams_t    *streams;
    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_helix_main_conf_t  *hmcf;

    c = r->connection;
    wev = c->write;
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (wev->timedout) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "client timed out");
        c->timedout = 1;
        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    if (!wev->delayed && ngx_http_output_filter(r, NULL) == NGX_ERROR) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    if (wev->delayed || r->buffered || c->buffered) {

        if (!wev->delayed) {
            ngx_add_timer(wev, clcf->send_timeout);
        }

        if (ngx_handle_write_event(wev, clcf->send_lowat) != NGX_OK) {
            ngx_http_finalize_request(r, NGX_ERROR);
        }

        return;
    }

    if (wev->timer_set) {
        ngx_del_timer(wev);
    }

    r->write_event_handler = ngx_http_request_empty_handler;

    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);
    streams = hmcf->streams;

    if (!streams->pump.posted) {
        ngx_post_event(&streams->pump, &ngx_posted_events);
    }
}


void
ngx_http_helix_reader_drain(ngx_http_request_t *r)
{
    u_char             buf[4096];
    ngx_uint_t         n;
    ngx_connection_t  *c;

    c = r->connection;

    if (r->http_version >= NGX_HTTP_VERSION_20) {
        return;
    }

    for (n = 0; n < NGX_HTTP_HELIX_DRAIN && c->read->ready; n++) {

        if (c->recv(c, buf, sizeof(buf)) <= 0) {
            return;
        }
    }
}


void
ngx_http_helix_reader_finalize(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_connection_t  *c;

    c = r->connection;

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}
