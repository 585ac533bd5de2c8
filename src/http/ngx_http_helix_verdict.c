
/* The state of the router in sentences, for whoever looks at it. */

#include "ngx_http_helix_metrics.h"


#define NGX_HTTP_HELIX_LOOP_BUSY    0.5
#define NGX_HTTP_HELIX_MEMORY_FULL  0.9


static void ngx_http_helix_judge_lanes(ngx_http_helix_snapshot_t *s);
static void ngx_http_helix_judge_pool(ngx_http_helix_snapshot_t *s);
static void ngx_http_helix_judge_loop(ngx_http_helix_snapshot_t *s);
static void ngx_http_helix_judge_kinds(ngx_http_helix_snapshot_t *s);
static void ngx_http_helix_judge_crashes(ngx_http_helix_snapshot_t *s);
static void ngx_http_helix_say(ngx_http_helix_sentence_t *sentence,
    const char *fmt, ...);
static void ngx_http_helix_attend(ngx_http_helix_snapshot_t *s,
    const char *see, const char *fmt, ...);
static void ngx_http_helix_vsay(ngx_http_helix_sentence_t *sentence,
    const char *fmt, va_list args);


/* Each looks for one thing that somebody should see to. */

static void (*const  ngx_http_helix_judges[])(ngx_http_helix_snapshot_t *s) = {
    ngx_http_helix_judge_lanes,
    ngx_http_helix_judge_pool,
    ngx_http_helix_judge_loop,
    ngx_http_helix_judge_kinds,
    ngx_http_helix_judge_crashes,
    NULL
};


const char *
ngx_http_helix_verdict_word(ngx_http_helix_snapshot_t *s)
{
    switch (ngx_http_helix_verdict(s)[0]) {

    case 'o':
        return "Healthy";

    case 'b':
        return "Busy";

    case 's':
        return "Rejecting";

    default:
        return "Draining";
    }
}


void
ngx_http_helix_judge(ngx_http_helix_snapshot_t *s)
{
    uint64_t    decided;
    ngx_uint_t  i;

    decided = s->total.received - s->total.invalid;

    if (s->total.received == 0) {
        ngx_http_helix_say(&s->verdict, "no job so far");

    } else {
        ngx_http_helix_say(&s->verdict, "%uL jobs, %.2f%% rejected, "
                           "%uL in flight, pressure %.2f",
                           s->total.received,
                           decided ? 100.0 * s->total.dropped / decided : 0.0,
                           s->total.in_flight, s->pressure);
    }

    s->nattention = 0;

    for (i = 0; ngx_http_helix_judges[i]; i++) {
        ngx_http_helix_judges[i](s);
    }
}


static void
ngx_http_helix_judge_lanes(ngx_http_helix_snapshot_t *s)
{
    uint64_t    waiting, limit;
    ngx_uint_t  lane;

    limit = s->hmcf->settings.queue;

    for (lane = HELIX_SPAWN; lane < NGX_HELIX_LANES; lane++) {
        waiting = ngx_helix_waiting(s->zone, lane);

        if (waiting >= limit) {
            ngx_http_helix_attend(s, "set-cpu_queue_cap",
                                  "%s has no place to wait, %uL of %uL are "
                                  "taken: more jobs are rejected with "
                                  "\"queue_full\".",
                                  helix_strategy_names[lane], waiting, limit);
        }
    }
}


static void
ngx_http_helix_judge_pool(ngx_http_helix_snapshot_t *s)
{
    if (s->hmcf->settings.predictive) {

        if (s->insight.demand > 1) {
            ngx_http_helix_attend(s, "policy",
                                  "The pool is offered %.1f times the work it "
                                  "can do: what cannot be done in time is "
                                  "rejected.", s->insight.demand);
        }

    } else if (s->busy_limit && s->busy >= s->busy_limit) {
        ngx_http_helix_attend(s, "set-backpressure_busy_threshold",
                              "%uL of %uL pool slots are busy: from %uL on, "
                              "heavy jobs are batched or rejected with "
                              "\"pressure\".",
                              s->busy, s->concurrency, s->busy_limit);
    }

    if (s->memory > s->memory_limit * NGX_HTTP_HELIX_MEMORY_FULL) {
        ngx_http_helix_attend(s, "set-pool_memory_bytes",
                              "Jobs have %uL of the %uL MB that they may have:"
                              " beyond it they are rejected with \"memory\".",
                              s->memory >> 20, s->memory_limit >> 20);
    }
}


static void
ngx_http_helix_judge_loop(ngx_http_helix_snapshot_t *s)
{
    if (s->insight.loop >= NGX_HTTP_HELIX_LOOP_BUSY) {
        ngx_http_helix_attend(s, "workers",
                              "The event loop of worker %P is %.0f%% busy with "
                              "jobs: more worker_processes would share them.",
                              ngx_pid, s->insight.loop * 100 + 0.5);
    }
}


static void
ngx_http_helix_judge_kinds(ngx_http_helix_snapshot_t *s)
{
    ngx_uint_t  i;

    for (i = 0; i < s->hmcf->nkinds; i++) {

        if (s->hmcf->kinds[i].down) {
            ngx_http_helix_attend(s, "policy",
                                  "Kind \"%V\" cannot work in worker %P: its "
                                  "jobs are rejected with \"kernel\", and the "
                                  "error log says why.",
                                  &s->hmcf->kinds[i].name, ngx_pid);
        }
    }
}


static void
ngx_http_helix_judge_crashes(ngx_http_helix_snapshot_t *s)
{
    if (s->crashes) {
        ngx_http_helix_attend(s, "workers",
                              "%uL worker process%s died, %uL job%s with "
                              "%s: the error log says by which signal.",
                              s->crashes, s->crashes == 1 ? " has" : "es have",
                              s->total.ended[NGX_HELIX_LOST],
                              s->total.ended[NGX_HELIX_LOST] == 1 ? "" : "s",
                              s->crashes == 1 ? "it" : "them");
    }
}


static void
ngx_http_helix_say(ngx_http_helix_sentence_t *sentence, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    ngx_http_helix_vsay(sentence, fmt, args);
    va_end(args);
}


static void
ngx_http_helix_attend(ngx_http_helix_snapshot_t *s, const char *see,
    const char *fmt, ...)
{
    va_list                     args;
    ngx_http_helix_sentence_t  *sentence;

    if (s->nattention == NGX_HTTP_HELIX_ATTENTION) {
        return;
    }

    sentence = &s->attention[s->nattention++];
    sentence->see = see;

    va_start(args, fmt);
    ngx_http_helix_vsay(sentence, fmt, args);
    va_end(args);
}


static void
ngx_http_helix_vsay(ngx_http_helix_sentence_t *sentence, const char *fmt,
    va_list args)
{
    u_char  *last;

    last = ngx_vslprintf((u_char *) sentence->text,
                         (u_char *) sentence->text
                         + NGX_HTTP_HELIX_SENTENCE, fmt, args);

    sentence->len = last - (u_char *) sentence->text;
}
