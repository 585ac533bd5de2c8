
/*
 * What a reader of the stream is told: server-sent events, one JSON object in
 * each.  The last one of a flush has the id, from which any worker can go on:
 * the epoch, and of each ring the number of the record that comes next.
 */

#include "ngx_http_helix_config.h"
#include "ngx_http_helix_metrics.h"
#include "ngx_http_helix_stream.h"


#define NGX_HTTP_HELIX_RETRY       "2000"    /* ms, a reader comes back */
#define NGX_HTTP_HELIX_SILENCE     15000     /* ms */
#define NGX_HTTP_HELIX_SECOND      1000
#define NGX_HTTP_HELIX_LOOK        4096      /* records at once */
#define NGX_HTTP_HELIX_STATS_AGE   500       /* ms, that others may share */


static ngx_uint_t ngx_http_helix_events_ring(ngx_http_helix_reader_t *reader,
    ngx_uint_t ring);
static void ngx_http_helix_events_record(ngx_http_helix_reader_t *reader,
    ngx_uint_t ring, const ngx_helix_record_t *record);
static ngx_uint_t ngx_http_helix_events_pass(ngx_http_helix_reader_t *reader,
    const ngx_helix_record_t *record);
static ngx_uint_t ngx_http_helix_events_room(ngx_http_helix_reader_t *reader);
static void ngx_http_helix_events_open(ngx_http_helix_reader_t *reader,
    const char *name, helix_json_writer_t *json);
static void ngx_http_helix_events_close(ngx_http_helix_reader_t *reader,
    helix_json_writer_t *json);
static void ngx_http_helix_events_hello(ngx_http_helix_reader_t *reader);
static void ngx_http_helix_events_gap(ngx_http_helix_reader_t *reader,
    uint64_t missed, const char *why);
static void ngx_http_helix_events_rate(ngx_http_helix_reader_t *reader);
static void ngx_http_helix_events_config(ngx_http_helix_reader_t *reader);
static void ngx_http_helix_events_stats(ngx_http_helix_reader_t *reader);
static void ngx_http_helix_events_state(ngx_http_helix_reader_t *reader);
static const char *ngx_http_helix_events_number(const char *p,
    const char *last, uint64_t *n);


/* "EPOCH.RING-NEXT.RING-NEXT": all that is not exactly so is of no use. */

ngx_int_t
ngx_http_helix_reader_resume(ngx_http_helix_reader_t *reader, ngx_str_t *id)
{
    uint64_t     epoch, ring, next;
    const char  *p, *last;

    ngx_memzero(reader->cursors, sizeof(reader->cursors));

    p = (const char *) id->data;
    last = p + id->len;

    p = ngx_http_helix_events_number(p, last, &epoch);

    if (p == NULL || epoch != ngx_helix_zone_epoch(reader->zone)) {
        return NGX_DECLINED;
    }

    reader->rings = ngx_helix_rings(reader->zone);

    while (p < last) {

        if (*p++ != '.') {
            return NGX_DECLINED;
        }

        p = ngx_http_helix_events_number(p, last, &ring);

        if (p == NULL || p == last || *p++ != '-' || ring >= reader->rings) {
            return NGX_DECLINED;
        }

        p = ngx_http_helix_events_number(p, last, &next);

        if (p == NULL || next > ngx_helix_ring_head(reader->zone, ring)) {
            return NGX_DECLINED;
        }

        reader->cursors[ring] = next;
    }

    reader->resumed = 1;

    return NGX_OK;
}


static const char *
ngx_http_helix_events_number(const char *p, const char *last, uint64_t *n)
{
    size_t  len;

    for (len = 0; p + len < last; len++) {
        if (p[len] < '0' || p[len] > '9') {
            break;
        }
    }

    return (helix_number_u64(p, len, n) == HELIX_NUMBER_OK) ? p + len : NULL;
}


void
ngx_http_helix_reader_begin(ngx_http_helix_reader_t *reader)
{
    ngx_uint_t  i;

    reader->rings = ngx_helix_rings(reader->zone);

    for (i = 0; i < reader->rings; i++) {
        reader->cursors[i] = ngx_helix_ring_head(reader->zone, i);
    }
}


ngx_uint_t
ngx_http_helix_reader_fill(ngx_http_helix_reader_t *reader)
{
    double      tokens;
    ngx_uint_t  i, more;

    if (!reader->greeted) {
        ngx_http_helix_events_hello(reader);
    }

    if (reader->config != ngx_helix_config_version(reader->zone)) {
        ngx_http_helix_events_config(reader);
    }

    if (reader->stats) {
        ngx_http_helix_events_stats(reader);
    }

    if (reader->rate) {
        tokens = (double) reader->rate
                 * (double) (ngx_current_msec - reader->refilled) / 1000;

        reader->tokens = ngx_min(reader->tokens + tokens,
                                 (double) reader->rate);
        reader->refilled = ngx_current_msec;
    }

    /* a ring that is new to it has nothing but news */

    reader->rings = ngx_helix_rings(reader->zone);

    more = 0;
    reader->first++;

    for (i = 0; i < reader->rings; i++) {
        more |= ngx_http_helix_events_ring(reader,
                                      (reader->first + i) % reader->rings);
    }

    if (!more) {
        reader->resumed = 0;
        reader->stalled = 0;
    }

    if (reader->held) {
        ngx_http_helix_events_rate(reader);
    }

    if (reader->pos == reader->buf.start
        && ngx_current_msec - reader->sent >= NGX_HTTP_HELIX_SILENCE)
    {
        *reader->pos++ = ':';
        *reader->pos++ = '\n';
        reader->event = 1;
    }

    return more;
}


static ngx_uint_t
ngx_http_helix_events_ring(ngx_http_helix_reader_t *reader, ngx_uint_t ring)
{
    uint64_t            missed;
    ngx_uint_t          n, next;
    ngx_helix_record_t  record;

    for (n = 1 + NGX_HTTP_HELIX_LOOK / reader->rings; n; n--) {

        if (!ngx_http_helix_events_room(reader)) {
            break;
        }

        missed = 0;
        next = ngx_helix_ring_next(reader->zone, ring, &reader->cursors[ring],
                                   &record, &missed);

        if (missed) {

            if (!reader->resumed) {
                ngx_helix_stream_missed(ngx_helix_exec_slot(reader->hmcf->exec),
                                        missed);
            }

            ngx_http_helix_events_gap(reader, missed,
                                      reader->resumed ? "resume"
                                      : reader->stalled ? "slow" : "ring");
        }

        if (!next) {
            return 0;
        }

        if (ngx_http_helix_events_pass(reader, &record)) {
            ngx_http_helix_events_record(reader, ring, &record);
        }
    }

    return 1;
}


static ngx_uint_t
ngx_http_helix_events_pass(ngx_http_helix_reader_t *reader,
    const ngx_helix_record_t *record)
{
    if (!ngx_http_helix_filter_match(&reader->filter, record)
        || (!reader->done && !(record->flags & NGX_HELIX_DECISION)))
    {
        return 0;
    }

    if (reader->rate) {

        if (reader->tokens < 1) {
            reader->held++;
            return 0;
        }

        reader->tokens -= 1;
    }

    return 1;
}


/* A decision has no name: it is what a simple client is told of. */

static void
ngx_http_helix_events_record(ngx_http_helix_reader_t *reader, ngx_uint_t ring,
    const ngx_helix_record_t *record)
{
    uint64_t             seq;
    helix_json_writer_t  json;

    seq = reader->cursors[ring] - 1;

    if (record->flags & NGX_HELIX_DECISION) {
        ngx_http_helix_events_open(reader, NULL, &json);
        ngx_http_helix_write_decision(&json, reader->zone, ring, seq, record);
        ngx_http_helix_events_close(reader, &json);
    }

    if (reader->done && (record->flags & NGX_HELIX_DONE)) {
        ngx_http_helix_events_open(reader, "done", &json);
        ngx_http_helix_write_done(&json, reader->hmcf, ring, seq, record);
        ngx_http_helix_events_close(reader, &json);
    }
}


/* For a gap and both events of a record, and the id. */

static ngx_uint_t
ngx_http_helix_events_room(ngx_http_helix_reader_t *reader)
{
    return (size_t) (reader->buf.end - reader->pos)
           >= 3 * NGX_HTTP_HELIX_EVENT_LEN + NGX_HTTP_HELIX_STREAM_ID;
}


/* What finds no room is left out: close() then adds nothing. */

static void
ngx_http_helix_events_open(ngx_http_helix_reader_t *reader, const char *name,
    helix_json_writer_t *json)
{
    u_char     *p;
    ptrdiff_t   room;

    p = reader->pos;

    if (reader->event) {
        *p++ = '\n';
    }

    if (name) {
        p = ngx_sprintf(p, "event: %s\n", name);
    }

    p = ngx_cpymem(p, "data: ", sizeof("data: ") - 1);

    room = reader->buf.end - p - NGX_HTTP_HELIX_STREAM_ID;

    helix_json_writer_init(json, (char *) p, ngx_max(room, 0));
}


static void
ngx_http_helix_events_close(ngx_http_helix_reader_t *reader,
    helix_json_writer_t *json)
{
    if (json->overflow) {
        return;
    }

    reader->pos = (u_char *) json->pos;
    *reader->pos++ = '\n';
    reader->event = 1;
}


static void
ngx_http_helix_events_hello(ngx_http_helix_reader_t *reader)
{
    helix_json_writer_t  json;

    reader->greeted = 1;
    reader->pos = ngx_cpymem(reader->pos,
                             "retry: " NGX_HTTP_HELIX_RETRY "\n",
                             sizeof("retry: " NGX_HTTP_HELIX_RETRY "\n") - 1);

    ngx_http_helix_events_open(reader, "hello", &json);

    helix_json_object(&json);
    helix_json_key(&json, "zone");
    helix_json_string(&json, (char *) reader->hmcf->zone_name.data,
                      reader->hmcf->zone_name.len);
    helix_json_key(&json, "epoch");
    helix_json_u64(&json, ngx_helix_zone_epoch(reader->zone));
    helix_json_key(&json, "generation");
    helix_json_u64(&json, ngx_helix_zone_generation(reader->zone));
    helix_json_key(&json, "workers");
    helix_json_u64(&json, ngx_helix_zone_workers(reader->zone));
    helix_json_key(&json, "ring");
    helix_json_u64(&json, HELIX_RING_RECORDS);
    helix_json_key(&json, "rate");
    helix_json_u64(&json, reader->rate);
    helix_json_key(&json, "resumed");
    helix_json_bool(&json, reader->resumed);
    helix_json_object_end(&json);

    ngx_http_helix_events_close(reader, &json);
}


static void
ngx_http_helix_events_gap(ngx_http_helix_reader_t *reader, uint64_t missed,
    const char *why)
{
    helix_json_writer_t  json;

    ngx_http_helix_events_open(reader, "gap", &json);

    helix_json_object(&json);
    helix_json_key(&json, "missed");
    helix_json_u64(&json, missed);
    helix_json_key(&json, "why");
    helix_json_cstring(&json, why);
    helix_json_object_end(&json);

    ngx_http_helix_events_close(reader, &json);
}


static void
ngx_http_helix_events_rate(ngx_http_helix_reader_t *reader)
{
    if (ngx_current_msec - reader->told < NGX_HTTP_HELIX_SECOND
        || !ngx_http_helix_events_room(reader))
    {
        return;
    }

    ngx_http_helix_events_gap(reader, reader->held, "rate");

    reader->told = ngx_current_msec;
    reader->held = 0;
}


static void
ngx_http_helix_events_config(ngx_http_helix_reader_t *reader)
{
    uint64_t             version;
    ngx_uint_t           i, n;
    helix_json_writer_t  json;
    ngx_helix_change_t   changes[NGX_HELIX_CHANGES];

    /* not every version is a change of a setting */

    version = ngx_helix_config_version(reader->zone);

    n = ngx_helix_config_changes(reader->zone, reader->config, changes);

    for (i = 0; i < n; i++) {
        ngx_http_helix_events_open(reader, "config", &json);
        ngx_http_helix_write_change(&json, &changes[i],
                                    NGX_HTTP_HELIX_NAME);
        ngx_http_helix_events_close(reader, &json);

        version = ngx_max(version, changes[i].version);
    }

    reader->config = version;
}


/* If there is room for it, beside other events. */

static void
ngx_http_helix_events_stats(ngx_http_helix_reader_t *reader)
{
    helix_json_writer_t        json;
    ngx_http_helix_streams_t  *streams;

    if (reader->stated
        && ngx_current_msec - reader->stated < NGX_HTTP_HELIX_SECOND)
    {
        return;
    }

    streams = reader->streams;

    if (streams->stats_len == 0
        || ngx_current_msec - streams->stated >= NGX_HTTP_HELIX_STATS_AGE)
    {
        ngx_http_helix_events_state(reader);
    }

    ngx_http_helix_events_open(reader, "stats", &json);

    if (streams->stats_len
        && (size_t) (json.end - json.pos)
           > streams->stats_len + 4UL * NGX_HTTP_HELIX_EVENT_LEN)
    {
        json.pos = (char *) ngx_cpymem(json.pos, streams->stats,
                                       streams->stats_len);
        ngx_http_helix_events_close(reader, &json);
    }

    reader->stated = ngx_current_msec;
}


/* Once for all readers of the worker. */

static void
ngx_http_helix_events_state(ngx_http_helix_reader_t *reader)
{
    helix_json_writer_t         json;
    ngx_http_helix_streams_t   *streams;
    ngx_http_helix_snapshot_t  *s;

    streams = reader->streams;
    streams->stated = ngx_current_msec;
    streams->stats_len = 0;

    if (streams->stats == NULL) {
        streams->stats = ngx_alloc(NGX_HTTP_HELIX_STREAM_BUFFER,
                                   streams->tick.log);
    }

    s = ngx_alloc(sizeof(ngx_http_helix_snapshot_t), streams->tick.log);

    if (s && streams->stats) {
        ngx_http_helix_snapshot_fill(s, reader->hmcf);

        helix_json_writer_init(&json, (char *) streams->stats,
                               NGX_HTTP_HELIX_STREAM_BUFFER);

        ngx_http_helix_write_stats(&json, s);

        if (!json.overflow) {
            streams->stats_len = json.pos - json.start;
        }
    }

    if (s) {
        ngx_free(s);
    }
}


void
ngx_http_helix_reader_bye(ngx_http_helix_reader_t *reader, const char *why)
{
    helix_json_writer_t  json;

    ngx_http_helix_events_open(reader, "bye", &json);

    helix_json_object(&json);
    helix_json_key(&json, "why");
    helix_json_cstring(&json, why);
    helix_json_object_end(&json);

    ngx_http_helix_events_close(reader, &json);
}


void
ngx_http_helix_reader_flush(ngx_http_helix_reader_t *reader)
{
    u_char      *p;
    ngx_uint_t   i;

    p = ngx_sprintf(reader->pos, "id: %uL",
                    ngx_helix_zone_epoch(reader->zone));

    for (i = 0; i < reader->rings; i++) {
        p = ngx_sprintf(p, ".%ui-%uL", i, reader->cursors[i]);
    }

    *p++ = '\n';
    *p++ = '\n';

    reader->pos = p;
    reader->event = 0;
}
