
#include "ngx_helix_layout.h"


#define NGX_HELIX_SECOND     1000000000ULL
#define NGX_HELIX_SNAPSHOT   10           /* seconds from one to the next */
#define NGX_HELIX_LAG        2            /* points that may be still to come */


typedef struct {
    ngx_uint_t           step;            /* seconds */
    ngx_uint_t           n;
    size_t               offset;          /* of the points */
} ngx_helix_series_t;


static void ngx_helix_history_sample(ngx_helix_zone_t *zone,
    ngx_helix_step_t step, uint64_t time, const ngx_helix_counts_t *counts);
static void ngx_helix_history_lane(ngx_helix_zone_t *zone,
    ngx_helix_seen_t *seen, ngx_helix_point_t *point,
    const ngx_helix_counts_t *counts, ngx_uint_t lane);
static uint32_t ngx_helix_history_p99(ngx_helix_zone_t *zone,
    helix_hist_t *seen, ngx_uint_t lane);
static uint32_t ngx_helix_history_since(uint64_t *seen, uint64_t now);
static void ngx_helix_history_snapshot(ngx_helix_history_t *history,
    uint64_t now);
static void ngx_helix_history_clock(ngx_helix_history_t *history,
    uint64_t now);
static ngx_helix_point_t *ngx_helix_history_point(ngx_helix_history_t *history,
    ngx_helix_step_t step, uint64_t time);
static void ngx_helix_history_read(ngx_helix_point_t *point, uint64_t time,
    ngx_helix_point_t *copy);


static const ngx_helix_series_t  ngx_helix_series[NGX_HELIX_SERIES] = {
    { 1, NGX_HELIX_SECONDS_KEPT, offsetof(ngx_helix_history_t, seconds) },
    { 60, NGX_HELIX_POINTS, offsetof(ngx_helix_history_t, minutes) }
};


/* What is left of this second, and minute, counts at the next point. */

void
ngx_helix_history_init(ngx_helix_history_t *history, uint64_t now)
{
    ngx_uint_t  i;

    history->created = now;

    for (i = 0; i < NGX_HELIX_SERIES; i++) {
        history->seen[i].time = now / NGX_HELIX_SECOND
                                / ngx_helix_series[i].step;
    }
}


void
ngx_helix_history_tick(ngx_helix_zone_t *zone, uint64_t now, double pressure)
{
    uint64_t              time, ratio;
    ngx_uint_t            i;
    ngx_helix_seen_t     *seen;
    ngx_helix_counts_t    counts;
    ngx_helix_history_t  *history;

    history = &zone->history;

    time = now / NGX_HELIX_SECOND;
    ratio = (uint64_t) (pressure * NGX_HELIX_POINT_RATIO + 0.5);

    for (i = 0; i < NGX_HELIX_SERIES; i++) {
        seen = &history->seen[i];

        if (ratio > ngx_helix_get(&seen->pressure)) {
            ngx_helix_set(&seen->pressure, ratio);
        }
    }

    /* another process that was elected before may have been stopped in there:
       it goes on where it was, and nobody else meanwhile */

    if (time <= ngx_helix_get(&history->seen[NGX_HELIX_SECONDS].time)
        || ngx_helix_process_lock(&history->writer, 0) != NGX_OK)
    {
        return;
    }

    if (time > ngx_helix_get(&history->seen[NGX_HELIX_SECONDS].time)) {
        ngx_helix_history_clock(history, now);
        ngx_helix_zone_raw_totals(zone, &counts);

        for (i = 0; i < NGX_HELIX_SERIES; i++) {
            ngx_helix_history_sample(zone, i, time / ngx_helix_series[i].step,
                                     &counts);
        }

        ngx_helix_history_snapshot(history, now);
    }

    ngx_helix_process_unlock(&history->writer);
}


static void
ngx_helix_history_sample(ngx_helix_zone_t *zone, ngx_helix_step_t step,
    uint64_t time, const ngx_helix_counts_t *counts)
{
    uint64_t              late;
    ngx_uint_t            i, k;
    ngx_helix_seen_t     *seen;
    ngx_helix_point_t    *point;

    seen = &zone->history.seen[step];

    if (time <= seen->time) {
        return;
    }

    point = ngx_helix_history_point(&zone->history, step, time);

    /* no point at all until it is complete */

    ngx_helix_set(&point->time, 0);
    __atomic_thread_fence(__ATOMIC_RELEASE);

    late = 0;

    for (i = 0; i < NGX_HELIX_LANES; i++) {
        ngx_helix_history_lane(zone, seen, point, counts, i);

        for (k = 0; k < NGX_HELIX_KINDS; k++) {
            late += counts->kinds[k].lanes[i].late;
        }
    }

    for (i = 0; i < HELIX_REASONS; i++) {
        ngx_helix_set(&point->dropped[i],
                      ngx_helix_history_since(&seen->dropped[i],
                                              counts->dropped[i]));
    }

    ngx_helix_set(&point->late, ngx_helix_history_since(&seen->late, late));
    ngx_helix_set(&point->pressure, (uint32_t) seen->pressure);
    ngx_helix_set(&seen->pressure, 0);

    ngx_helix_set(&seen->time, time);

    __atomic_store_n(&point->time, (uint32_t) time, __ATOMIC_RELEASE);
}


static void
ngx_helix_history_lane(ngx_helix_zone_t *zone, ngx_helix_seen_t *seen,
    ngx_helix_point_t *point, const ngx_helix_counts_t *counts,
    ngx_uint_t lane)
{
    uint32_t                        p99;
    uint64_t                        admitted, completed;
    ngx_uint_t                      i;
    const ngx_helix_lane_counts_t  *of;

    admitted = 0;
    completed = 0;

    for (i = 0; i < NGX_HELIX_KINDS; i++) {
        of = &counts->kinds[i].lanes[lane];

        admitted += of->admitted;
        completed += of->ended[NGX_HELIX_COMPLETED];
    }

    p99 = 0;

    if (ngx_helix_history_since(&seen->completed[lane], completed)) {
        p99 = ngx_helix_history_p99(zone, &seen->total[lane], lane);
    }

    ngx_helix_set(&point->p99[lane], p99);
    ngx_helix_set(&point->admitted[lane],
                  ngx_helix_history_since(&seen->admitted[lane], admitted));
}


static uint32_t
ngx_helix_history_p99(ngx_helix_zone_t *zone, helix_hist_t *seen,
    ngx_uint_t lane)
{
    helix_hist_t  now, part;

    ngx_memzero(&now, sizeof(helix_hist_t));
    ngx_helix_zone_raw_hist(zone, NGX_HELIX_HIST_TOTAL, lane, &now);

    part = now;
    helix_hist_subtract(&part, seen);
    helix_hist_store(seen, &now);

    return (uint32_t) (helix_hist_quantile(&part, 0.99)
                       / (1000000.0 / NGX_HELIX_POINT_P99));
}


static uint32_t
ngx_helix_history_since(uint64_t *seen, uint64_t now)
{
    uint64_t  n;

    n = now - *seen;
    ngx_helix_set(seen, now);

    return (uint32_t) ngx_min(n, NGX_MAX_UINT32_VALUE);
}


static void
ngx_helix_history_snapshot(ngx_helix_history_t *history, uint64_t now)
{
    uint64_t               newest;
    ngx_uint_t             i;
    ngx_helix_snapshot_t  *snapshot;

    newest = history->created;
    snapshot = &history->snapshots[0];

    for (i = 0; i < NGX_HELIX_SNAPSHOTS; i++) {
        newest = ngx_max(newest, history->snapshots[i].at);

        if (history->snapshots[i].at < snapshot->at) {
            snapshot = &history->snapshots[i];
        }
    }

    /* not a drop more with every one */

    if (now + NGX_HELIX_SECOND / 2
        < newest + NGX_HELIX_SNAPSHOT * NGX_HELIX_SECOND)
    {
        return;
    }

    ngx_helix_set(&snapshot->at, 0);
    __atomic_thread_fence(__ATOMIC_RELEASE);

    for (i = 0; i < NGX_HELIX_LANES; i++) {
        helix_hist_store(&snapshot->total[i],
                         &history->seen[NGX_HELIX_SECONDS].total[i]);
    }

    __atomic_store_n(&snapshot->at, now, __ATOMIC_RELEASE);
}


/* Unix time less the monotonic clock's: a whole number, lest it flutter. */

static void
ngx_helix_history_clock(ngx_helix_history_t *history, uint64_t now)
{
    int64_t          offset;
    struct timeval   tv;

    ngx_gettimeofday(&tv);

    offset = (int64_t) tv.tv_sec * 1000 + tv.tv_usec / 1000
             - (int64_t) (now / 1000000);

    if (offset < history->offset * 1000 - 500
        || offset > history->offset * 1000 + 1500)
    {
        ngx_helix_set(&history->offset, offset / 1000);
    }
}


static ngx_helix_point_t *
ngx_helix_history_point(ngx_helix_history_t *history, ngx_helix_step_t step,
    uint64_t time)
{
    const ngx_helix_series_t  *series;

    series = &ngx_helix_series[step];

    return (ngx_helix_point_t *) ((char *) history + series->offset)
           + time % series->n;
}


ngx_uint_t
ngx_helix_zone_points(ngx_helix_zone_t *zone, ngx_helix_step_t step,
    ngx_helix_point_t *points, time_t *start)
{
    uint64_t                   time, last, first;
    ngx_uint_t                 n;
    const ngx_helix_series_t  *series;

    series = &ngx_helix_series[step];

    last = ngx_helix_get(&zone->history.seen[step].time);
    time = ngx_helix_now() / NGX_HELIX_SECOND / series->step;

    if (last + NGX_HELIX_LAG < time) {
        last = time - NGX_HELIX_LAG;
    }

    first = zone->history.created / NGX_HELIX_SECOND / series->step + 1;
    first = ngx_max(first, last + 1 - ngx_min(last, series->n));

    for (n = 0, time = first; time <= last; n++, time++) {
        ngx_helix_history_read(ngx_helix_history_point(&zone->history, step,
                                                       time),
                               time, &points[n]);
    }

    /* the first point also tells what time it is */

    *start = n ? (time_t) (first * series->step)
                 + ngx_helix_get(&zone->history.offset)
               : ngx_time();

    return n;
}


static void
ngx_helix_history_read(ngx_helix_point_t *point, uint64_t time,
    ngx_helix_point_t *copy)
{
    uint32_t    *from, *to, seen;
    ngx_uint_t   i;

    seen = __atomic_load_n(&point->time, __ATOMIC_ACQUIRE);

    from = (uint32_t *) point;
    to = (uint32_t *) copy;

    for (i = 0; i < sizeof(ngx_helix_point_t) / sizeof(uint32_t); i++) {
        to[i] = ngx_helix_get(&from[i]);
    }

    __atomic_thread_fence(__ATOMIC_ACQUIRE);

    if (seen != (uint32_t) time || ngx_helix_get(&point->time) != seen) {
        copy->time = 0;
    }
}


uint64_t
ngx_helix_zone_recent(ngx_helix_zone_t *zone, ngx_uint_t lane,
    helix_hist_t *hist)
{
    uint64_t               now, age, best, at;
    ngx_uint_t             i;
    ngx_helix_snapshot_t  *snapshot, *chosen;

    now = ngx_helix_now();

    chosen = NULL;
    best = now - zone->history.created;

    for (i = 0; i < NGX_HELIX_SNAPSHOTS; i++) {
        snapshot = &zone->history.snapshots[i];
        at = __atomic_load_n(&snapshot->at, __ATOMIC_ACQUIRE);
        age = now - ngx_min(at, now);

        if (at && ngx_abs((int64_t) (age - NGX_HELIX_RECENT
                                           * NGX_HELIX_SECOND))
                  < ngx_abs((int64_t) (best - NGX_HELIX_RECENT
                                              * NGX_HELIX_SECOND)))
        {
            chosen = snapshot;
            best = age;
        }
    }

    age = ngx_helix_zone_since_reset(zone);

    if (age <= best) {
        ngx_helix_zone_hist(zone, NGX_HELIX_HIST_TOTAL, lane, hist);
        return age;
    }

    helix_hist_clear(hist);
    ngx_helix_zone_raw_hist(zone, NGX_HELIX_HIST_TOTAL, lane, hist);

    if (chosen) {
        helix_hist_subtract(hist, &chosen->total[lane]);
    }

    return best;
}
