
/*
 * What happened in each of the last seconds and minutes, and the durations of
 * about the last minute.  Points and snapshots are made by the elected process
 * from sums over the slots, never on the path of a job: a reset does not touch
 * them, and they outlive reloads and processes with the zone.
 *
 * Time is seconds, or minutes, of the monotonic clock: it does not go back.
 */

#ifndef NGX_HELIX_HISTORY_H_INCLUDED
#define NGX_HELIX_HISTORY_H_INCLUDED


#include "ngx_helix_zone.h"


#define NGX_HELIX_POINTS        1440     /* of a series, at most */
#define NGX_HELIX_SECONDS_KEPT  300     /* of those */
#define NGX_HELIX_POINT_P99     10000    /* 100 ns, in a ms */
#define NGX_HELIX_POINT_RATIO   10000
#define NGX_HELIX_SNAPSHOTS     7
#define NGX_HELIX_RECENT        60       /* seconds */


typedef enum {
    NGX_HELIX_SECONDS = 0,
    NGX_HELIX_MINUTES,
    NGX_HELIX_SERIES
} ngx_helix_step_t;


/* Counts of what happened since the point before. */

typedef struct {
    uint32_t         time;                         /* at its end; 0: a hole */
    uint32_t         admitted[NGX_HELIX_LANES];
    uint32_t         dropped[HELIX_REASONS];
    uint32_t         late;
    uint32_t         pressure;                     /* largest, in ratios */
    uint32_t         p99[NGX_HELIX_LANES];         /* 100 ns; 0: no job */
} ngx_helix_point_t;


/* What the last point has seen. */

typedef struct {
    uint64_t         time;
    uint64_t         admitted[NGX_HELIX_LANES];
    uint64_t         completed[NGX_HELIX_LANES];
    uint64_t         dropped[HELIX_REASONS];
    uint64_t         late;
    uint64_t         pressure;                     /* largest since then */
    helix_hist_t     total[NGX_HELIX_LANES];
} ngx_helix_seen_t;


typedef struct {
    uint64_t         at;                           /* ns; 0: none */
    helix_hist_t     total[NGX_HELIX_LANES];
} ngx_helix_snapshot_t;


typedef struct {
    uint64_t               created;                /* ns */
    uint64_t               writer;                 /* process */
    int64_t                offset;                 /* s, of Unix time */
    ngx_helix_point_t      seconds[NGX_HELIX_SECONDS_KEPT];
    ngx_helix_point_t      minutes[NGX_HELIX_POINTS];
    ngx_helix_seen_t       seen[NGX_HELIX_SERIES];
    ngx_helix_snapshot_t   snapshots[NGX_HELIX_SNAPSHOTS];
} ngx_helix_history_t;


/* Zone creation. */
void ngx_helix_history_init(ngx_helix_history_t *history, uint64_t now);

/* The elected process, some times a second; "now" is ngx_helix_now(). */
void ngx_helix_history_tick(ngx_helix_zone_t *zone, uint64_t now,
    double pressure);

/*
 * The points from the oldest one to the present into "points", which has room
 * for NGX_HELIX_POINTS; holes have the time 0.  Returns their number; *start
 * is the Unix time of the first one, or of now if there is none.
 */
ngx_uint_t ngx_helix_zone_points(ngx_helix_zone_t *zone,
    ngx_helix_step_t step, ngx_helix_point_t *points, time_t *start);

/* Durations of the jobs of a lane that completed in about the last
   NGX_HELIX_RECENT seconds, or since a reset; of how many ns they are. */
uint64_t ngx_helix_zone_recent(ngx_helix_zone_t *zone, ngx_uint_t lane,
    helix_hist_t *hist);


#endif /* NGX_HELIX_HISTORY_H_INCLUDED */
