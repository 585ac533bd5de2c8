
/*
 * What the parts of the load generator share.  See load.c for what it is.
 *
 *   load.c            the life of a run and of a request
 *   load_setup.c      what it needs of the system
 *   load_args.c       the command line
 *   load_class.c      its small texts: classes, schedules, modes
 *   load_schedule.c   when which request is due: fixed before the first byte
 *   load_timer.c      retries and aborts that are to come
 *   load_conn.c       connections, requests sent and answers read
 *   load_answer.c     what an answer says
 *   load_stats.c      counts, latencies, and whether the run is void
 *   load_report.c     progress, table, JSON
 *
 * One thread.  All times are nanoseconds of CLOCK_MONOTONIC unless said.
 */

#ifndef LOAD_RUN_H_INCLUDED
#define LOAD_RUN_H_INCLUDED


#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "helix_hist.h"
#include "helix_json.h"


#define LOAD_CLASSES         16
#define LOAD_PHASES          32
#define LOAD_NAMES           16
#define LOAD_NAME_LEN        32
#define LOAD_EVENTS_MAX      10000000
#define LOAD_SERIES_MAX      100000
#define LOAD_COST_MAX        9007199254740992.0      /* 2^53 */

#define LOAD_SECOND          1000000000ULL
#define LOAD_MSEC            1000000ULL

#define LOAD_LATE_MAX        LOAD_MSEC               /* p99 of the lateness */
#define LOAD_CPU_MAX         0.70                    /* share of a core */

/* exit codes */
#define LOAD_OK              0
#define LOAD_FAILED          1
#define LOAD_USAGE           2
#define LOAD_VOID            3


typedef struct {
    uint64_t            s[4];                /* xoshiro256++ */
} load_random_t;


/* Each has a stream of its own: one more class does not move the arrivals. */

typedef enum {
    LOAD_STREAM_ARRIVALS = 1,
    LOAD_STREAM_STATES,
    LOAD_STREAM_CLASS,
    LOAD_STREAM_COST,
    LOAD_STREAM_ABORT,
    LOAD_STREAM_CANARY
} load_stream_t;


typedef enum {
    LOAD_POISSON = 0,
    LOAD_CONSTANT,
    LOAD_ONOFF,
    LOAD_RAMP,
    LOAD_PHASED
} load_shape_t;


typedef enum {
    LOAD_COST_NONE = 0,
    LOAD_COST_FIXED,                         /* a */
    LOAD_COST_UNIFORM,                       /* a .. b, both included */
    LOAD_COST_LOGNORMAL                      /* exp(a + b N(0, 1)) */
} load_cost_t;


typedef enum {
    LOAD_RETRY_NEVER = 0,
    LOAD_RETRY_OBEY,
    LOAD_RETRY_ONCE                          /* at once */
} load_retry_t;


/* How a request ends: each has exactly one. */

typedef enum {
    LOAD_GOOD = 0,                           /* 200 in its budget */
    LOAD_LATE,                               /* 200 after it */
    LOAD_REJECTED,                           /* at its last try */
    LOAD_EXPIRED,                            /* 504 */
    LOAD_REFUSED,                            /* any other status */
    LOAD_ABORTED,                            /* by us */
    LOAD_ERROR,
    LOAD_UNANSWERED,                         /* --timeout, the end of the run */
    LOAD_OUTCOMES
} load_outcome_t;


typedef enum {
    LOAD_ERROR_CONNECT = 0,
    LOAD_ERROR_CLOSED,                       /* before the answer's end */
    LOAD_ERROR_HTTP,                         /* not an HTTP/1 answer */
    LOAD_ERROR_JSON,
    LOAD_ERROR_ECHO,                         /* another id than that sent */
    LOAD_ERRORS
} load_error_t;


typedef struct {
    char                name[LOAD_NAME_LEN];
    double              weight;
    const char         *path;                /* NULL: that of --url */
    char               *query;
    bool                post;
    bool                canary;
    uint64_t            budget;              /* ms, 0: none is sent */
    load_cost_t         cost;
    double              a, b;
    char               *head;                /* the request up to the id */
    size_t              head_len;
} load_class_t;


typedef struct {
    double              factor;              /* of --rate */
    uint64_t            time;
} load_phase_t;


typedef struct {
    struct sockaddr_in  address;
    char                host[64];            /* with the port */
    char                path[256];
    const char         *url;

    /* the canary, if there is one, comes after the others */
    load_class_t        classes[LOAD_CLASSES + 1];
    uint32_t            nclasses;
    bool                canary;
    double              canary_rate;

    double              rate;                /* requests a second */
    const char         *schedule;
    load_shape_t        shape;
    load_phase_t        phases[LOAD_PHASES];
    uint32_t            nphases;
    double              low;                 /* ONOFF: of the rate when on */
    uint64_t            seed;

    uint64_t            duration;
    uint64_t            warmup;
    uint64_t            timeout;
    uint64_t            interval;            /* of the series */
    uint64_t            closed;              /* 0: open loop */
    uint64_t            max_connections;

    double              abort_share;
    uint64_t            abort_after;
    bool                abort_rst;
    load_retry_t        retry;
    uint64_t            tries;

    int                 cpu;                 /* -1: anywhere */
    int                 nice;
    const char         *json;
    bool                echo;
    bool                print;
    bool                quiet;
} load_options_t;


/* One request of the schedule. */

typedef struct {
    uint64_t            at;                  /* from the start of the run */
    uint64_t            cost;
    uint16_t            class;
    bool                abort;
} load_event_t;


typedef struct {
    load_random_t       class;
    load_random_t       cost;
    load_random_t       abort;
    double              weight;              /* of all classes */
} load_draw_t;


typedef struct {
    load_event_t       *events;
    size_t              n;
    size_t              next;
    load_draw_t         draw;                /* closed loop */
    uint64_t            drawn;
} load_schedule_t;


typedef struct {
    char                names[LOAD_NAMES][LOAD_NAME_LEN];
    uint64_t            counts[LOAD_NAMES];
    uint32_t            n;
} load_names_t;


typedef struct {
    uint64_t            sent;                /* requests: first tries */
    uint64_t            retries;             /* further tries */
    uint64_t            resent;              /* the server had just closed */
    uint64_t            answered;            /* tries */
    uint64_t            outcomes[LOAD_OUTCOMES];
    uint64_t            errors[LOAD_ERRORS];
    uint64_t            status[600];         /* tries */
    uint64_t            sent_cost;
    uint64_t            good_cost;
    load_names_t        strategies;          /* tries */
    load_names_t        reasons;             /* tries that were rejected */

    /* from the scheduled time of the first try */
    helix_hist_t        latency;             /* of 200 */
    helix_hist_t        reject;              /* of REJECTED */
    uint64_t            latency_max;
    uint64_t            reject_max;
} load_stats_t;


typedef struct {
    uint32_t            offered;
    uint32_t            answered;
    uint32_t            good;
    uint32_t            late;
    uint32_t            rejected;
    uint32_t            errors;              /* unanswered ones included */
} load_slot_t;


typedef struct load_conn_s     load_conn_t;
typedef struct load_request_s  load_request_t;


struct load_request_s {
    uint64_t            scheduled;
    uint64_t            due;                 /* of this try */
    uint64_t            sent;                /* of this try */
    uint64_t            id;
    uint64_t            index;
    uint64_t            cost;
    uint32_t            generation;          /* a timer of another is stale */
    uint32_t            tries;
    uint16_t            class;
    bool                abort;
    bool                measured;            /* not of the warm-up */
    bool                resend;
    load_conn_t        *conn;
    load_request_t     *next;
};


typedef struct {
    uint64_t            at;
    load_request_t     *request;
    uint32_t            generation;
    bool                retry;               /* else abort */
} load_timer_t;


typedef struct {
    uint32_t            status;
    char                strategy[LOAD_NAME_LEN];
    char                reason[LOAD_NAME_LEN];
    uint64_t            retry_after;
    bool                rejected;            /* 503, 429, or dropped */
    bool                has_retry_after;
    bool                has_id;
    uint64_t            id;
    bool                bad_json;
    bool                close;
} load_answer_t;


struct load_conn_s {
    int                 fd;                  /* -1: not open */
    bool                connecting;
    bool                writing;             /* EPOLLOUT is asked for */
    bool                reused;
    uint32_t            slot;                /* in run->conns */
    load_request_t     *request;             /* NULL: idle */
    load_conn_t        *next;                /* idle */
    load_conn_t        *prev;
    char               *out;
    size_t              out_len;
    size_t              out_sent;
    char               *in;
    size_t              in_len;
    size_t              in_size;
};


typedef struct {
    load_options_t     *options;
    load_schedule_t     schedule;
    uint64_t            start;
    uint64_t            stop;                /* the end of the run, at last */
    bool                interrupted;

    int                 epoll;
    load_conn_t       **conns;
    uint32_t            nconns;
    load_conn_t        *idle_head;           /* the longest idle one first */
    load_conn_t        *idle_tail;
    load_conn_t        *spare;
    size_t              out_size;
    uint64_t            opened;
    uint64_t            conns_max;
    uint64_t            waits;               /* for a connection */

    load_request_t     *free;
    load_request_t     *wait_head;
    load_request_t     *wait_tail;
    uint64_t            live;
    uint64_t            credit;              /* closed loop: may be sent */
    uint64_t            unsent;
    uint64_t            warmup_sent;         /* tries */

    load_timer_t       *timers;              /* a heap */
    size_t              ntimers;
    size_t              timers_size;

    /* measured */
    load_stats_t        total;               /* without the canary */
    load_stats_t       *classes;
    helix_hist_t        lateness;
    uint64_t            lateness_max;
    uint64_t            begin, begin_cpu;
    uint64_t            end, end_cpu;
    uint64_t            last_good;
    load_slot_t        *series;
    size_t              nseries;
    load_slot_t         now;                 /* sums, for the progress */
    load_slot_t         shown;
} load_run_t;


extern const char *const  load_outcome_names[LOAD_OUTCOMES];
extern const char *const  load_error_names[LOAD_ERRORS];


/* load_args.c: exits on --help and on what is wrong. */
void load_args(load_options_t *options, int argc, char **argv);
void load_usage(const char *fmt, ...)
    __attribute__((noreturn, format(printf, 1, 2)));
uint64_t load_time(const char *option, const char *text, size_t len);
double load_number(const char *option, const char *text, size_t len,
    double min, double max);

/* load_class.c: the same. */
void load_class_add(load_options_t *options, char *text);
void load_class_canary(load_options_t *options, char *text);
void load_class_abort(load_options_t *options, char *text);
void load_class_retry(load_options_t *options, char *text);
void load_class_schedule(load_options_t *options, char *text);
void load_class_finish(load_options_t *options);

/* load_schedule.c */
void load_random_init(load_random_t *random, uint64_t seed,
    load_stream_t stream);
double load_random_double(load_random_t *random);    /* [0, 1) */
void load_draw_init(load_draw_t *draw, const load_options_t *options);
void load_draw(load_draw_t *draw, const load_options_t *options,
    load_event_t *event);
void load_schedule(load_schedule_t *schedule, const load_options_t *options);
void load_schedule_print(const load_schedule_t *schedule,
    const load_options_t *options);

/* load_conn.c: the answer to load_conn_send() is load_answered() or
   load_broken(), which may be called before it returns. */
bool load_conn_probe(load_run_t *run);
load_conn_t *load_conn_get(load_run_t *run);         /* NULL: at the limit */
void load_conn_send(load_run_t *run, load_conn_t *conn,
    load_request_t *request);
void load_conn_event(load_run_t *run, load_conn_t *conn, uint32_t events);
void load_conn_close(load_run_t *run, load_conn_t *conn, bool rst);

/* load_timer.c: a timer is stale when its request has another generation. */
void load_timer_push(load_run_t *run, load_request_t *request, uint64_t at,
    bool retry);
load_timer_t load_timer_pop(load_run_t *run);

/* load_answer.c: the length of a complete answer, 0 when there is more to
   come, -1 if it is no HTTP. */
ptrdiff_t load_answer(load_answer_t *answer, char *text, size_t len,
    bool end);

/* load_setup.c: exits when something cannot be had. */
void load_setup(load_run_t *run);
bool load_setup_interrupted(void);
uint64_t load_now(void);
void *load_alloc(size_t n, size_t size);

/* load.c */
void load_answered(load_run_t *run, load_request_t *request,
    const load_answer_t *answer);
void load_broken(load_run_t *run, load_request_t *request,
    load_error_t error, bool resend);

/* load_stats.c */
void load_stats_init(load_run_t *run);
void load_stats_clock(load_run_t *run, uint64_t now, bool last);
void load_stats_sent(load_run_t *run, load_request_t *request, uint64_t now);
void load_stats_resent(load_run_t *run, load_request_t *request);
void load_stats_answered(load_run_t *run, load_request_t *request,
    const load_answer_t *answer, uint64_t now);
void load_stats_error(load_run_t *run, load_request_t *request,
    load_error_t error);
void load_stats_end(load_run_t *run, load_request_t *request,
    load_outcome_t outcome, uint64_t now);
double load_stats_quantile(const helix_hist_t *hist, double q, uint64_t max);
double load_stats_seconds(const load_run_t *run);
double load_stats_goodput(const load_run_t *run, const load_stats_t *stats);
double load_stats_cpu(const load_run_t *run);

/* The n-th reason why the run is void, NULL when there is no more. */
const char *load_stats_void(const load_run_t *run, uint32_t n, char *text,
    size_t size);

/* load_report.c */
void load_report_progress(load_run_t *run, uint64_t second);
void load_report_table(load_run_t *run);
bool load_report_json(load_run_t *run);


#endif /* LOAD_RUN_H_INCLUDED */
