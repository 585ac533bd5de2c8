
#include "ngx_http_helix_metrics.h"


#define NGX_HTTP_HELIX_TEXT_LEN  16384


static u_char *ngx_http_helix_text_threshold(u_char *p, u_char *last,
    ngx_http_helix_snapshot_t *s);
static u_char *ngx_http_helix_text_predictive(u_char *p, u_char *last,
    ngx_helix_insight_t *insight);
static u_char *ngx_http_helix_text_lanes(u_char *p, u_char *last,
    ngx_http_helix_snapshot_t *s);
static u_char *ngx_http_helix_text_drops(u_char *p, u_char *last,
    ngx_http_helix_snapshot_t *s);
static u_char *ngx_http_helix_text_ends(u_char *p, u_char *last,
    ngx_http_helix_snapshot_t *s);
static u_char *ngx_http_helix_text_kinds(u_char *p, u_char *last,
    ngx_http_helix_snapshot_t *s);
static u_char *ngx_http_helix_text_left(u_char *p, u_char *last,
    const char *text, ngx_uint_t width);
static u_char *ngx_http_helix_text_ms(u_char *p, u_char *last,
    helix_hist_t *hist, double q);
static u_char *ngx_http_helix_text_share(u_char *p, u_char *last,
    uint64_t part, uint64_t whole);


ngx_int_t
ngx_http_helix_send_text(ngx_http_request_t *r, ngx_http_helix_snapshot_t *s)
{
    u_char      *p, *last, *text;
    ngx_uint_t   i;

    text = ngx_palloc(r->pool, NGX_HTTP_HELIX_TEXT_LEN);
    if (text == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = text;
    last = text + NGX_HTTP_HELIX_TEXT_LEN;

    ngx_http_helix_judge(s);

    p = ngx_slprintf(p, last, "helix: %s    %*s\n", ngx_http_helix_verdict(s),
                     s->verdict.len, s->verdict.text);

    for (i = 0; i < s->nattention; i++) {
        p = ngx_slprintf(p, last, "! %*s\n", s->attention[i].len,
                         s->attention[i].text);
    }

    p = ngx_slprintf(p, last,
                     "%uL jobs received, %uL dropped, "
                     "%uL invalid, %uL in flight    up %uLd%02uL:%02uL:%02uL\n",
                     s->total.received,
                     s->total.dropped, s->total.invalid, s->total.in_flight,
                     s->uptime / 86400, s->uptime / 3600 % 24,
                     s->uptime / 60 % 60, s->uptime % 60);

    p = ngx_slprintf(p, last, "pressure %.2f    pool %uL/%uL busy",
                     s->pressure, s->busy, s->concurrency);

    p = s->hmcf->settings.predictive
        ? ngx_http_helix_text_predictive(p, last, &s->insight)
        : ngx_http_helix_text_threshold(p, last, s);

    p = ngx_http_helix_text_lanes(p, last, s);
    p = ngx_http_helix_text_drops(p, last, s);
    p = ngx_http_helix_text_ends(p, last, s);
    p = ngx_http_helix_text_kinds(p, last, s);

    return ngx_http_helix_send_body(r, NGX_HTTP_OK, "text/plain", text,
                                    p - text);
}


static u_char *
ngx_http_helix_text_threshold(u_char *p, u_char *last,
    ngx_http_helix_snapshot_t *s)
{
    p = s->busy_limit ? ngx_slprintf(p, last, ", shedding from %uL",
                                     s->busy_limit)
                      : ngx_slprintf(p, last, ", shedding off");

    return ngx_slprintf(p, last,
                        "    inline up to %uL, spawn below %uL\n\n",
                        s->inline_threshold, s->spawn_threshold);
}


static u_char *
ngx_http_helix_text_predictive(u_char *p, u_char *last,
    ngx_helix_insight_t *insight)
{
    return ngx_slprintf(p, last,
                        "    capacity %.2f cores, demand %.2f, queued %.1fms"
                        "    inline up to %.3fms\n"
                        "margin %.2f    wasted %.2f%%    actual/predicted "
                        "%.2f, %.0f%% within p90    loop busy %.1f%%, "
                        "lag %.3fms\n\n",
                        insight->capacity, insight->demand,
                        insight->queued * 1000, insight->limit * 1000,
                        insight->margin, insight->waste * 100,
                        insight->accuracy, insight->within * 100 + 0.5,
                        insight->loop * 100, insight->lag * 1000);
}


static u_char *
ngx_http_helix_text_lanes(u_char *p, u_char *last,
    ngx_http_helix_snapshot_t *s)
{
    ngx_uint_t              lane;
    ngx_http_helix_books_t  books;

    p = ngx_slprintf(p, last,
                     "strategy     admitted  share  completed  in flight"
                     "  waiting        p50        p95        p99  late\n");

    for (lane = 0; lane < NGX_HELIX_LANES; lane++) {
        ngx_http_helix_books_lane(&s->counts, lane, &books);

        p = ngx_http_helix_text_left(p, last, helix_strategy_names[lane], 10);
        p = ngx_slprintf(p, last, " %10uL ", books.admitted);
        p = ngx_http_helix_text_share(p, last, books.admitted,
                                      s->total.received - s->total.invalid);
        p = ngx_slprintf(p, last, " %10uL %10uL",
                         books.ended[NGX_HELIX_COMPLETED], books.in_flight);

        p = (lane == HELIX_INLINE)
            ? ngx_slprintf(p, last, "        -")
            : ngx_slprintf(p, last, " %8uL", ngx_helix_waiting(s->zone, lane));

        (void) ngx_http_helix_snapshot_hist(s, NGX_HELIX_HIST_TOTAL, lane);

        p = ngx_http_helix_text_ms(p, last, &s->hist, 0.50);
        p = ngx_http_helix_text_ms(p, last, &s->hist, 0.95);
        p = ngx_http_helix_text_ms(p, last, &s->hist, 0.99);

        p = ngx_slprintf(p, last, " %5uL\n", books.late);
    }

    return p;
}


static u_char *
ngx_http_helix_text_drops(u_char *p, u_char *last,
    ngx_http_helix_snapshot_t *s)
{
    ngx_uint_t   i;
    const char  *separator;

    p = ngx_http_helix_text_left(p, last, helix_strategy_names[HELIX_DROP],
                                 10);
    p = ngx_slprintf(p, last, " %10uL ", s->total.dropped);
    p = ngx_http_helix_text_share(p, last, s->total.dropped,
                                  s->total.received - s->total.invalid);

    separator = "  ";

    for (i = 0; i < HELIX_REASONS; i++) {
        if (s->counts.dropped[i]) {
            p = ngx_slprintf(p, last, "%s%s %uL", separator,
                             helix_reason_names[i], s->counts.dropped[i]);
            separator = ", ";
        }
    }

    return ngx_slprintf(p, last, "\n\n");
}


static u_char *
ngx_http_helix_text_ends(u_char *p, u_char *last, ngx_http_helix_snapshot_t *s)
{
    uint64_t  *ended;

    ended = s->total.ended;

    return ngx_slprintf(p, last,
                        "ended without a result: failed %uL, expired %uL, "
                        "cancelled %uL, shed %uL, lost %uL\n\n",
                        ended[NGX_HELIX_FAILED], ended[NGX_HELIX_EXPIRED],
                        ended[NGX_HELIX_CANCELLED], ended[NGX_HELIX_SHED],
                        ended[NGX_HELIX_LOST]);
}


static u_char *
ngx_http_helix_text_kinds(u_char *p, u_char *last,
    ngx_http_helix_snapshot_t *s)
{
    ngx_uint_t              kind;
    ngx_http_helix_books_t  books;

    p = ngx_slprintf(p, last,
                     "kind                 received    dropped    invalid"
                     "  completed   exec p50   exec p99\n");

    for (kind = 0; kind < ngx_helix_zone_kinds(s->zone); kind++) {
        ngx_http_helix_books_kind(&s->counts, kind, &books);

        p = ngx_http_helix_text_left(p, last,
                                     ngx_helix_zone_kind_name(s->zone, kind),
                                     18);
        p = ngx_slprintf(p, last, " %10uL %10uL %10uL %10uL",
                         books.received, books.dropped, books.invalid,
                         books.ended[NGX_HELIX_COMPLETED]);

        (void) ngx_http_helix_snapshot_hist(s, NGX_HELIX_HIST_EXEC, kind);

        p = ngx_http_helix_text_ms(p, last, &s->hist, 0.50);
        p = ngx_http_helix_text_ms(p, last, &s->hist, 0.99);
        p = ngx_slprintf(p, last, "\n");
    }

    return p;
}


static u_char *
ngx_http_helix_text_left(u_char *p, u_char *last, const char *text,
    ngx_uint_t width)
{
    ngx_uint_t  n;

    n = ngx_strlen(text);
    p = ngx_slprintf(p, last, "%s", text);

    for ( /* void */ ; n < width && p < last; n++) {
        *p++ = ' ';
    }

    return p;
}


static u_char *
ngx_http_helix_text_ms(u_char *p, u_char *last, helix_hist_t *hist, double q)
{
    double  ms;

    if (hist->count == 0) {
        return ngx_slprintf(p, last, "          -");
    }

    ms = helix_hist_quantile(hist, q) / 1000000;

    return ngx_slprintf(p, last, " %4.3fms", ms);
}


static u_char *
ngx_http_helix_text_share(u_char *p, u_char *last, uint64_t part,
    uint64_t whole)
{
    if (whole == 0) {
        return ngx_slprintf(p, last, "     -");
    }

    return ngx_slprintf(p, last, "%3.1f%%", 100.0 * part / whole);
}
