
/*
 * The one table of what is counted, from which every format of the status
 * location is made, and the sums it points into.
 */

#ifndef NGX_HTTP_HELIX_METRICS_H_INCLUDED
#define NGX_HTTP_HELIX_METRICS_H_INCLUDED


#include "ngx_http_helix.h"
#include "ngx_helix_history.h"


#define NGX_HTTP_HELIX_TOTAL      0x1
#define NGX_HTTP_HELIX_BY_KIND    0x2
#define NGX_HTTP_HELIX_BY_LANE    0x4

#define NGX_HTTP_HELIX_BY_LEVEL   0x8   /* of each kind, in Prometheus */

#define NGX_HTTP_HELIX_ALL        (NGX_HTTP_HELIX_TOTAL                       \
                                   |NGX_HTTP_HELIX_BY_KIND                    \
                                   |NGX_HTTP_HELIX_BY_LANE)


/* The books of all jobs, of one kind or of one lane. */

typedef struct {
    uint64_t      received;
    uint64_t      invalid;
    uint64_t      dropped;
    uint64_t      admitted;
    uint64_t      ended[NGX_HELIX_ENDS];
    uint64_t      in_flight;
    uint64_t      late;
    uint64_t      approximated;
    uint64_t      coalesced;
} ngx_http_helix_books_t;


typedef struct {
    const char   *name;
    ngx_uint_t    scopes;
    size_t        offset;            /* in the books */
    ngx_uint_t    gauge;
    const char   *help;
} ngx_http_helix_metric_t;

extern const ngx_http_helix_metric_t  ngx_http_helix_metrics[];
                                                   /* ends with name NULL */


typedef struct {
    const char   *name;
    double        q;                 /* 0: the mean */
} ngx_http_helix_quantile_t;

#define NGX_HTTP_HELIX_QUANTILES  6

extern const ngx_http_helix_quantile_t
                       ngx_http_helix_quantiles[NGX_HTTP_HELIX_QUANTILES + 1];


/* Of completed jobs, ns; 0 without any. */

typedef struct {
    uint64_t      count;
    uint64_t      ema;
    uint64_t      quantiles[NGX_HTTP_HELIX_QUANTILES];
} ngx_http_helix_latency_t;


/* A sentence, and the part of the dashboard that it is about. */

#define NGX_HTTP_HELIX_SENTENCE   240
#define NGX_HTTP_HELIX_ATTENTION  16

typedef struct {
    const char   *see;
    size_t        len;
    char          text[NGX_HTTP_HELIX_SENTENCE];
} ngx_http_helix_sentence_t;


/* Of the last "secs" seconds, a second; and of the last minute. */

typedef struct {
    uint64_t      secs;
    double        jobs_per_sec;                /* admitted */
    double        dropped_per_sec;
    double        lanes[NGX_HELIX_LANES];
    double        dropped[HELIX_REASONS];
    uint64_t      minute;                      /* admitted and dropped jobs */
    uint64_t      late;                        /* of the last minute */
} ngx_http_helix_recent_t;


/* What every format shows, read once. */

typedef struct {
    ngx_http_helix_main_conf_t  *hmcf;
    ngx_helix_zone_t            *zone;
    uint64_t                     version;            /* of the counts */
    ngx_helix_counts_t           counts;
    ngx_http_helix_books_t       total;

    /* the columns of the table of scalars */
    uint64_t                     uptime;             /* seconds */
    uint64_t                     epoch;              /* Unix ms */
    uint64_t                     since;              /* likewise */
    uint64_t                     saved;              /* likewise; 0: never */
    uint64_t                     save_errors;
    uint64_t                     generation;
    uint64_t                     crashes;
    uint64_t                     nworkers;
    uint64_t                     zone_size;          /* bytes */
    uint64_t                     zone_used;
    uint64_t                     concurrency;
    uint64_t                     busy;               /* tokens taken */
    uint64_t                     busy_limit;         /* 0: off */
    uint64_t                     inline_threshold;
    uint64_t                     spawn_threshold;    /* as adapted */
    uint64_t                     spawn_configured;
    uint64_t                     memory;             /* bytes of jobs */
    uint64_t                     memory_limit;
    uint64_t                     streams;            /* readers */
    uint64_t                     missed;             /* by them */
    uint64_t                     config_version;
    uint64_t                     overrides;          /* of settings */
    double                       pressure;           /* the higher of both */
    double                       external;
    double                       deciding;           /* seconds */
    double                       loop;
    helix_pressure_t             averages;
    ngx_helix_insight_t          insight;

    ngx_helix_slot_info_t        workers[NGX_HELIX_SLOTS];
    ngx_http_helix_latency_t     latencies[NGX_HELIX_LANES];
    helix_hist_t                 hist;               /* scratch */
    helix_hist_t                 window;             /* likewise */

    /* ngx_http_helix_judge()'s */
    ngx_http_helix_recent_t      recent;
    ngx_http_helix_sentence_t    verdict;
    ngx_http_helix_sentence_t    attention[NGX_HTTP_HELIX_ATTENTION];
    ngx_uint_t                   nattention;
} ngx_http_helix_snapshot_t;


/* Numbers of the router as a whole. */

typedef struct {
    const char   *group;             /* object in the JSON; NULL: top level */
    const char   *name;
    const char   *prometheus;        /* family; NULL: not exported */
    const char   *label;             /* beside the zone, or NULL */
    const char   *value;
    ngx_uint_t    ratio;             /* a double */
    ngx_uint_t    counter;
    size_t        offset;            /* in the snapshot */
    const char   *help;
} ngx_http_helix_scalar_t;

extern const ngx_http_helix_scalar_t  ngx_http_helix_scalars[];
                                                   /* ends with name NULL */

uint64_t ngx_http_helix_scalar_u64(const ngx_http_helix_scalar_t *scalar,
    const ngx_http_helix_snapshot_t *s);
double ngx_http_helix_scalar_ratio(const ngx_http_helix_scalar_t *scalar,
    const ngx_http_helix_snapshot_t *s);

/* The name of a level of a kind, both as the zone counts them; NULL: none. */
const char *ngx_http_helix_level_name(ngx_http_helix_main_conf_t *hmcf,
    ngx_uint_t kind, ngx_uint_t level);

/* Reads all of it, into the pool of the request; NULL without memory.  fill()
   into memory of the caller's. */
ngx_http_helix_snapshot_t *ngx_http_helix_snapshot(ngx_http_request_t *r);
void ngx_http_helix_snapshot_fill(ngx_http_helix_snapshot_t *s,
    ngx_http_helix_main_conf_t *hmcf);

/* Into s->hist, of the same time as the counts; valid until the next call. */
helix_hist_t *ngx_http_helix_snapshot_hist(ngx_http_helix_snapshot_t *s,
    ngx_helix_hist_kind_t which, ngx_uint_t index);

/* Durations of the last minute or so into s->window; of how many ns. */
uint64_t ngx_http_helix_snapshot_window(ngx_http_helix_snapshot_t *s,
    ngx_uint_t lane);

/* "2026-11-21T19:23:39.123Z" */
void ngx_http_helix_write_time(helix_json_writer_t *json, uint64_t ms);

/* ok, busy, shedding or draining. */
const char *ngx_http_helix_verdict(ngx_http_helix_snapshot_t *s);

/* The document of api/stats, and the size of a buffer that holds it. */
size_t ngx_http_helix_stats_size(ngx_http_helix_snapshot_t *s);
void ngx_http_helix_write_stats(helix_json_writer_t *json,
    ngx_http_helix_snapshot_t *s);

/* If the request asks for some members of such a document alone, by "fields":
   takes the others out of it, and moves *last.  NGX_ERROR without memory. */
ngx_int_t ngx_http_helix_stats_fields(ngx_http_request_t *r, u_char *json,
    u_char **last);

/* The same for people; and, into the snapshot, what happened of late, the
   numbers that matter and what somebody should see to. */
void ngx_http_helix_recent(ngx_http_helix_snapshot_t *s);
const char *ngx_http_helix_verdict_word(ngx_http_helix_snapshot_t *s);
void ngx_http_helix_judge(ngx_http_helix_snapshot_t *s);

/* The formats; each sends the response. */
ngx_int_t ngx_http_helix_send_stats(ngx_http_request_t *r,
    ngx_http_helix_snapshot_t *s);
ngx_int_t ngx_http_helix_send_text(ngx_http_request_t *r,
    ngx_http_helix_snapshot_t *s);
ngx_int_t ngx_http_helix_send_prometheus(ngx_http_request_t *r,
    ngx_http_helix_snapshot_t *s);


/* Rows of the table of paths: ngx_http_helix_history.c. */
ngx_int_t ngx_http_helix_read_history(ngx_http_request_t *r, ngx_str_t *rest);
ngx_int_t ngx_http_helix_write_reset(ngx_http_request_t *r, ngx_str_t *rest,
    ngx_str_t *body);

/* Members of api/stats for clients of HelixRouter; after the latencies of all
   lanes have been read. */
void ngx_http_helix_stats_ancestor(helix_json_writer_t *json,
    ngx_http_helix_snapshot_t *s);


void ngx_http_helix_books_total(ngx_helix_counts_t *counts,
    ngx_http_helix_books_t *books);
void ngx_http_helix_books_kind(ngx_helix_counts_t *counts, ngx_uint_t kind,
    ngx_http_helix_books_t *books);
void ngx_http_helix_books_lane(ngx_helix_counts_t *counts, ngx_uint_t lane,
    ngx_http_helix_books_t *books);

uint64_t ngx_http_helix_metric_value(const ngx_http_helix_metric_t *metric,
    const ngx_http_helix_books_t *books);

/* One of the quantiles of a lane, or the moving average, "ema". */
uint64_t ngx_http_helix_latency(const ngx_http_helix_snapshot_t *s,
    ngx_uint_t lane, const char *name);

/* Of s->hist, the total times of a lane, for latency(). */
void ngx_http_helix_latency_read(ngx_http_helix_snapshot_t *s,
    ngx_uint_t lane);

/* ns; of an empty histogram 0.  All of the table, and one. */
void ngx_http_helix_quantile_values(const helix_hist_t *hist,
    uint64_t *values);
uint64_t ngx_http_helix_quantile_value(const ngx_http_helix_quantile_t *q,
    const helix_hist_t *hist);


#endif /* NGX_HTTP_HELIX_METRICS_H_INCLUDED */
