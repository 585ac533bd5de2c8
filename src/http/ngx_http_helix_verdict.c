
/* The state of the router in sentences, for whoever looks at it. */

#include "ngx_helix_live.h"
#include "ngx_http_helix_metrics.h"


#define NGX_HTTP_HELIX_RATE_SECS    10
#define NGX_HTTP_HELIX_RECENT_SECS  60
#define NGX_HTTP_HELIX_CALM_SECS    10      /* ends a run of rejections */

#define NGX_HTTP_HELIX_LOOP_BUSY    0.5
#define NGX_HTTP_HELIX_MEMORY_FULL  0.9
#define NGX_HTTP_HELIX_QUEUE_FULL   0.8
#define NGX_HTTP_HELIX_LATE         0.001   /* of the jobs of a minute */


static double ngx_http_helix_recent_p99(ngx_http_helix_snapshot_t *s);
static void ngx_http_helix_judge_drops(ngx_http_helix_snapshot_t *s);
static time_t ngx_http_helix_drops_since(ngx_uint_t reason);
static void ngx_http_helix_judge_lanes(ngx_http_helix_snapshot_t *s);
static void ngx_http_helix_judge_late(ngx_http_helix_snapshot_t *s);
static void ngx_http_helix_judge_pool(ngx_http_helix_snapshot_t *s);
static void ngx_http_helix_judge_loop(ngx_http_helix_snapshot_t *s);
static void ngx_http_helix_judge_kinds(ngx_http_helix_snapshot_t *s);
static void ngx_http_helix_judge_crashes(ngx_http_helix_snapshot_t *s);
static void ngx_http_helix_judge_outside(ngx_http_helix_snapshot_t *s);
static void ngx_http_helix_judge_overrides(ngx_http_helix_snapshot_t *s);
static void ngx_http_helix_judge_stream(ngx_http_helix_snapshot_t *s);
static void ngx_http_helix_judge_state(ngx_http_helix_snapshot_t *s);
static void ngx_http_helix_say(ngx_http_helix_sentence_t *sentence,
    const char *fmt, ...);
static void ngx_http_helix_attend(ngx_http_helix_snapshot_t *s,
    const char *see, const char *fmt, ...);
static void ngx_http_helix_vsay(ngx_http_helix_sentence_t *sentence,
    const char *fmt, va_list args);


/* Each looks for something that somebody should see to. */

static void (*const  ngx_http_helix_judges[])(ngx_http_helix_snapshot_t *s) = {
    ngx_http_helix_judge_drops,
    ngx_http_helix_judge_late,
    ngx_http_helix_judge_lanes,
    ngx_http_helix_judge_pool,
    ngx_http_helix_judge_loop,
    ngx_http_helix_judge_kinds,
    ngx_http_helix_judge_crashes,
    ngx_http_helix_judge_outside,
    ngx_http_helix_judge_overrides,
    ngx_http_helix_judge_stream,
    ngx_http_helix_judge_state,
    NULL
};


/* What a reason means, and where the dashboard has more. */

static const struct {
    const char  *see;
    const char  *text;
} ngx_http_helix_causes[HELIX_REASONS] = {
    [HELIX_PRESSURE] = { "set-backpressure_busy_threshold",
                         "the pool is as busy as it may be" },
    [HELIX_PINNED] = { "rejections", "helix_job drops them" },
    [HELIX_QUEUE_FULL] = { "set-cpu_queue_cap", "no place to wait is left" },
    [HELIX_MEMORY] = { "set-pool_memory_bytes",
                       "jobs have all the memory that they may have" },
    [HELIX_NO_SLOT] = { "workers", "a worker has no place in the zone" },
    [HELIX_INFEASIBLE] = { "policy",
                           "they, or admitted jobs, would be late" },
    [HELIX_SHARE] = { "policy", "their kind has had its share" },
    [HELIX_TOO_BIG] = { "policy",
                        "their budget is too short for them at any load" },
    [HELIX_KERNEL] = { "policy",
                       "the kind cannot work in a worker; see the error log" }
};


/* The points of the last minutes: scratch, too large for a stack. */

static ngx_helix_point_t  ngx_http_helix_points[NGX_HELIX_SECONDS_KEPT];
static ngx_uint_t         ngx_http_helix_npoints;
static time_t             ngx_http_helix_points_start;


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
    double      all, p99;
    ngx_uint_t  i;

    p99 = ngx_http_helix_recent_p99(s);

    if (s->total.received == 0) {
        ngx_http_helix_say(&s->verdict, "no job so far");

    } else if (s->recent.minute == 0 && s->hist.count == 0
               && s->total.in_flight == 0)
    {
        ngx_http_helix_say(&s->verdict, "no job in the last minute");

    } else {
        all = s->recent.jobs_per_sec + s->recent.dropped_per_sec;

        ngx_http_helix_say(&s->verdict, all < 10
                           ? "%.1f jobs/s, %.2f%% rejected, p99 %.1f ms"
                           : "%.0f jobs/s, %.2f%% rejected, p99 %.1f ms",
                           all < 10 ? all : all + 0.5,
                           all > 0 ? 100 * s->recent.dropped_per_sec / all
                                   : 0.0, p99);
    }

    s->nattention = 0;

    for (i = 0; ngx_http_helix_judges[i]; i++) {
        ngx_http_helix_judges[i](s);
    }
}


/* Rates of the last seconds; a job in the current one is not in them yet. */

void
ngx_http_helix_recent(ngx_http_helix_snapshot_t *s)
{
    ngx_uint_t          i, lane, reason, age, secs;
    ngx_helix_point_t  *point;

    ngx_memzero(&s->recent, sizeof(ngx_http_helix_recent_t));

    ngx_http_helix_npoints = ngx_helix_zone_points(s->zone, NGX_HELIX_SECONDS,
                                                 ngx_http_helix_points,
                                                 &ngx_http_helix_points_start);

    for (i = 0; i < ngx_http_helix_npoints; i++) {
        point = &ngx_http_helix_points[i];
        age = ngx_http_helix_npoints - i;

        if (point->time == 0 || age > NGX_HTTP_HELIX_RECENT_SECS) {
            continue;
        }

        s->recent.late += point->late;

        for (lane = 0; lane < NGX_HELIX_LANES; lane++) {
            s->recent.minute += point->admitted[lane];

            if (age <= NGX_HTTP_HELIX_RATE_SECS) {
                s->recent.lanes[lane] += point->admitted[lane];
                s->recent.jobs_per_sec += point->admitted[lane];
            }
        }

        for (reason = 0; reason < HELIX_REASONS; reason++) {
            s->recent.minute += point->dropped[reason];

            if (age <= NGX_HTTP_HELIX_RATE_SECS) {
                s->recent.dropped[reason] += point->dropped[reason];
                s->recent.dropped_per_sec += point->dropped[reason];
            }
        }
    }

    secs = ngx_min(ngx_http_helix_npoints, NGX_HTTP_HELIX_RATE_SECS);
    secs = ngx_max(secs, 1);

    s->recent.secs = secs;
    s->recent.jobs_per_sec /= secs;
    s->recent.dropped_per_sec /= secs;

    for (lane = 0; lane < NGX_HELIX_LANES; lane++) {
        s->recent.lanes[lane] /= secs;
    }

    for (reason = 0; reason < HELIX_REASONS; reason++) {
        s->recent.dropped[reason] /= secs;
    }
}


/* ms, over all lanes, whose durations are in s->hist then */

static double
ngx_http_helix_recent_p99(ngx_http_helix_snapshot_t *s)
{
    ngx_uint_t  lane;

    ngx_memzero(&s->hist, sizeof(helix_hist_t));

    for (lane = 0; lane < NGX_HELIX_LANES; lane++) {
        (void) ngx_http_helix_snapshot_window(s, lane);
        helix_hist_merge(&s->hist, &s->window);
    }

    return s->hist.count ? helix_hist_quantile(&s->hist, 0.99) / 1000000 : 0;
}


static void
ngx_http_helix_judge_drops(ngx_http_helix_snapshot_t *s)
{
    time_t       since;
    ngx_tm_t     tm;
    ngx_uint_t   i;

    for (i = 0; i < HELIX_REASONS; i++) {

        if (s->recent.dropped[i] == 0 || ngx_http_helix_causes[i].see == NULL)
        {
            continue;
        }

        since = ngx_http_helix_drops_since(i);
        ngx_gmtime(since, &tm);

        ngx_http_helix_attend(s, ngx_http_helix_causes[i].see,
                              "%.1f jobs/s are rejected with \"%s\" since "
                              "%02d:%02d:%02d UTC%s: %s.",
                              s->recent.dropped[i], helix_reason_names[i],
                              tm.ngx_tm_hour, tm.ngx_tm_min, tm.ngx_tm_sec,
                              since == ngx_http_helix_points_start
                              ? " or longer" : "",
                              ngx_http_helix_causes[i].text);
    }
}


/* The second in which the present run of drops began. */

static time_t
ngx_http_helix_drops_since(ngx_uint_t reason)
{
    ngx_uint_t  i, first;

    first = ngx_http_helix_npoints;

    for (i = ngx_http_helix_npoints; i-- > 0; /* void */ ) {

        if (ngx_http_helix_points[i].time
            && ngx_http_helix_points[i].dropped[reason])
        {
            first = i;

        } else if (first < ngx_http_helix_npoints
                   && first - i > NGX_HTTP_HELIX_CALM_SECS)
        {
            break;
        }
    }

    return ngx_http_helix_points_start + (time_t) first;
}


static void
ngx_http_helix_judge_late(ngx_http_helix_snapshot_t *s)
{
    if (s->recent.late > s->recent.minute * NGX_HTTP_HELIX_LATE) {
        ngx_http_helix_attend(s, "lanes",
                              "%uL job%s of the last minute took longer than "
                              "the latency budget.", s->recent.late,
                              s->recent.late == 1 ? "" : "s");
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

        if (waiting >= limit * NGX_HTTP_HELIX_QUEUE_FULL) {
            ngx_http_helix_attend(s, "set-cpu_queue_cap",
                                  "%uL of the %uL places to wait of %s are "
                                  "taken: without any, jobs are rejected with "
                                  "\"queue_full\".", waiting, limit,
                                  helix_strategy_names[lane]);
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


/* Names of sources have no characters but letters, digits and "._-". */

static void
ngx_http_helix_judge_outside(ngx_http_helix_snapshot_t *s)
{
    uint64_t                    now;
    ngx_uint_t                  i;
    const ngx_helix_source_t   *source;
    const ngx_helix_sources_t  *sources;

    now = ngx_helix_now();
    sources = ngx_helix_exec_sources(s->hmcf->exec);

    for (i = 0; i < NGX_HELIX_SOURCES; i++) {
        source = &sources->sources[i];

        if (source->until > now && source->pressure > 0) {
            ngx_http_helix_attend(s, "pressure",
                                  "\"%s\" reports a pressure of %.2f, which "
                                  "holds for %uL s: less is admitted.",
                                  source->name, source->pressure,
                                  (source->until - now) / 1000000000 + 1);
        }
    }
}


static void
ngx_http_helix_judge_overrides(ngx_http_helix_snapshot_t *s)
{
    if (s->overrides) {
        ngx_http_helix_attend(s, "config",
                              "%uL setting%s from nginx.conf: \"as nginx "
                              "directives\" has the lines to put there.",
                              s->overrides,
                              s->overrides == 1 ? " differs" : "s differ");
    }
}


/* Against what this worker saw one minute ago, or up to two. */

static void
ngx_http_helix_judge_stream(ngx_http_helix_snapshot_t *s)
{
    time_t  now;

    static time_t    at;
    static uint64_t  seen, before;

    now = ngx_time();

    if (now - at > 2L * NGX_HTTP_HELIX_RECENT_SECS || s->missed < seen) {
        before = s->missed;
        seen = s->missed;
        at = now;

    } else if (now - at >= NGX_HTTP_HELIX_RECENT_SECS) {
        before = seen;
        seen = s->missed;
        at = now;
    }

    if (s->missed > before) {
        ngx_http_helix_attend(s, "stream",
                              "%uL decisions of the last minutes were "
                              "overwritten before a reader of the stream had "
                              "them: it is too slow, or a filter would do.",
                              s->missed - before);
    }
}


static void
ngx_http_helix_judge_state(ngx_http_helix_snapshot_t *s)
{
    if (s->save_errors) {
        ngx_http_helix_attend(s, "workers",
                              "The state file could not be loaded or saved, "
                              "%uL time%s: the error log says why.",
                              s->save_errors, s->save_errors == 1 ? "" : "s");
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
