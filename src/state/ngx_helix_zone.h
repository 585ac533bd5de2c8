
/*
 * The shared memory of a router: who works, what was counted, who holds the
 * processors.
 *
 * One allocation of fixed layout, made when the zone is created and kept over
 * reloads: 128 process slots, 32 kinds, 64 tokens; pages that nobody touched
 * cost nothing.  No lock, no slab call and no pointer in it at run time.
 *
 * A slot belongs to one process at a time and only that process writes its
 * counters, with plain stores; counters are never reset when a slot changes
 * hands, so the totals are the sums over all slots.  What a dead process had
 * in flight is the difference of its own counters: it is added to "lost"
 * within a second and the tokens it held are freed.
 *
 * Unless a function says otherwise: event loop of a worker, never blocks.
 */

#ifndef NGX_HELIX_ZONE_H_INCLUDED
#define NGX_HELIX_ZONE_H_INCLUDED


#include <ngx_config.h>
#include <ngx_core.h>

#include "helix_ema.h"
#include "helix_hist.h"
#include "helix_pressure.h"
#include "helix_report.h"
#include "helix_strategy.h"


#define NGX_HELIX_SLOTS        128
#define NGX_HELIX_KINDS        32
#define NGX_HELIX_NO_KIND      NGX_HELIX_KINDS    /* kind missing or unknown */
#define NGX_HELIX_REPORTS      (NGX_HELIX_SLOTS + 1)
#define NGX_HELIX_TOKENS       64
#define NGX_HELIX_LANES        HELIX_DROP         /* inline .. batch */
#define NGX_HELIX_KIND_NAME    32
#define NGX_HELIX_LEVELS       8     /* 0: truncated, else a kind's level */


/* How an admitted job ended. */

typedef enum {
    NGX_HELIX_COMPLETED = 0,
    NGX_HELIX_FAILED,             /* the kernel could not compute it */
    NGX_HELIX_EXPIRED,            /* too late: 504 */
    NGX_HELIX_CANCELLED,          /* the client left, or the worker stopped */
    NGX_HELIX_SHED,               /* admitted, then refused before it ran */
    NGX_HELIX_LOST,               /* its worker died */
    NGX_HELIX_ENDS
} ngx_helix_end_t;

extern const char *const  ngx_helix_end_names[NGX_HELIX_ENDS + 1];


/* Requests refused before a decision, by the code of the problem. */

typedef enum {
    NGX_HELIX_BAD_JSON = 0,       /* 400 */
    NGX_HELIX_BAD_FIELD,          /* 400 */
    NGX_HELIX_UNKNOWN_KIND,       /* 422 */
    NGX_HELIX_TOO_LARGE,          /* 413 */
    NGX_HELIX_MEDIA_TYPE,         /* 415 */
    NGX_HELIX_INVALIDS
} ngx_helix_invalid_t;

extern const char *const  ngx_helix_invalid_names[NGX_HELIX_INVALIDS + 1];


typedef struct {
    uint64_t               admitted;
    uint64_t               ended[NGX_HELIX_ENDS];
    uint64_t               late;              /* completed after its budget */
} ngx_helix_lane_counts_t;


typedef struct {
    uint64_t                 invalid;
    uint64_t                 dropped;
    uint64_t                 approximated[NGX_HELIX_LEVELS];
    uint64_t                 coalesced;       /* answered by another's job */
    ngx_helix_lane_counts_t  lanes[NGX_HELIX_LANES];
} ngx_helix_kind_counts_t;


typedef struct {
    ngx_helix_kind_counts_t  kinds[NGX_HELIX_KINDS + 1];
    uint64_t                 dropped[HELIX_REASONS];
    uint64_t                 invalid[NGX_HELIX_INVALIDS];
    uint64_t                 flushes[HELIX_FLUSHES];
    uint64_t                 dry_run;         /* dropped, but run */
    uint64_t                 batched;         /* jobs of all batches */
    uint64_t                 deciding;        /* ns, from a sample */
    uint64_t                 loop;            /* ns of jobs in event loops */
} ngx_helix_counts_t;


typedef enum {
    NGX_HELIX_HIST_TOTAL = 0,     /* received to end, by lane */
    NGX_HELIX_HIST_QUEUE,         /* received to first step, by lane */
    NGX_HELIX_HIST_EXEC           /* computing, by kind */
} ngx_helix_hist_kind_t;


/* A job whose trace is known, one of those that a bucket of a histogram has
   counted; numbers, so that nothing else can come out. */

#define NGX_HELIX_EDGES  13          /* buckets that Prometheus gets */

typedef struct {
    uint64_t                 version;         /* odd: it is being written */
    uint64_t                 trace[2];
    uint64_t                 id;
    uint64_t                 value;           /* ns */
    uint64_t                 time;            /* Unix ms; 0: none */
} ngx_helix_exemplar_t;


uint64_t ngx_helix_now(void);        /* ns, monotonic; any thread */


typedef struct ngx_helix_zone_s  ngx_helix_zone_t;
typedef struct ngx_helix_slot_s  ngx_helix_slot_t;


typedef struct {
    ngx_uint_t               index;
    ngx_pid_t                pid;             /* 0: free */
    uint64_t                 in_flight;
    ngx_uint_t               draining;
} ngx_helix_slot_info_t;


/* Zone creation and reuse (config time, master).  "data" of the zone is the
   new cycle's; kinds must have been registered by name afterwards. */

size_t ngx_helix_zone_size(void);

/* Bytes of its pages that are in use, at most NGX_HELIX_USED_LOOK ms ago. */
#define NGX_HELIX_USED_LOOK  10000

size_t ngx_helix_zone_used(ngx_helix_zone_t *zone);
ngx_helix_zone_t *ngx_helix_zone_init(ngx_shm_zone_t *shm_zone,
    ngx_helix_zone_t *old);

/* The index of a kind, the same for as long as the zone lives; NGX_ERROR when
   there are NGX_HELIX_KINDS others.  Config time, master. */
ngx_int_t ngx_helix_zone_kind(ngx_helix_zone_t *zone, ngx_str_t *name);

ngx_uint_t ngx_helix_zone_kinds(ngx_helix_zone_t *zone);
const char *ngx_helix_zone_kind_name(ngx_helix_zone_t *zone, ngx_uint_t kind);

uint64_t ngx_helix_zone_epoch(ngx_helix_zone_t *zone);       /* Unix ms */
uint64_t ngx_helix_zone_generation(ngx_helix_zone_t *zone);

/* A new configuration goes into force; its generation.  Master, when nothing
   can fail any more. */
uint64_t ngx_helix_zone_begin(ngx_helix_zone_t *zone);


/*
 * A slot for this process; NULL when all are taken: then it must not run jobs,
 * and may ask again.  Releasing it leaves nothing in flight: the caller has
 * ended its jobs.
 */
ngx_helix_slot_t *ngx_helix_slot_claim(ngx_helix_zone_t *zone, ngx_log_t *log);
void ngx_helix_slot_release(ngx_helix_zone_t *zone, ngx_helix_slot_t *slot);

/*
 * Takes over the slots of dead processes; to be called a few times a second.
 * Only one process looks at all the others: when it has not been here for
 * NGX_HELIX_TERM ms, stopped, busy or dead, or when it is exiting, the next
 * caller takes its place.  True when the caller is that process: it also does
 * the router's periodic work.
 */
#define NGX_HELIX_TERM  500

ngx_uint_t ngx_helix_zone_reap(ngx_helix_zone_t *zone, ngx_helix_slot_t *self,
    ngx_log_t *log);

/* One process at a time sends simulated jobs: the number of the simulation,
   from 1, or 0 when another one has not ended; the dead do not count. */
uint64_t ngx_helix_simulation_begin(ngx_helix_zone_t *zone);
void ngx_helix_simulation_end(ngx_helix_zone_t *zone);


/* Accounting: plain stores of the slot's owner. */

void ngx_helix_count_invalid(ngx_helix_slot_t *slot, ngx_uint_t kind,
    ngx_helix_invalid_t code);
void ngx_helix_count_dropped(ngx_helix_slot_t *slot, ngx_uint_t kind,
    helix_reason_t reason);
void ngx_helix_count_flush(ngx_helix_slot_t *slot, helix_flush_t reason,
    ngx_uint_t jobs);
void ngx_helix_count_dry_run(ngx_helix_slot_t *slot);
void ngx_helix_count_admitted(ngx_helix_slot_t *slot, ngx_uint_t kind,
    helix_strategy_t lane);
void ngx_helix_count_ended(ngx_helix_slot_t *slot, ngx_uint_t kind,
    helix_strategy_t lane, ngx_helix_end_t end, ngx_uint_t late);
void ngx_helix_count_approximated(ngx_helix_slot_t *slot, ngx_uint_t kind,
    ngx_uint_t level);
void ngx_helix_count_coalesced(ngx_helix_slot_t *slot, ngx_uint_t kind);

/* Nanoseconds: of decisions, of jobs that the event loop has computed. */
void ngx_helix_count_decision(ngx_helix_slot_t *slot, uint64_t ns);
void ngx_helix_count_loop(ngx_helix_slot_t *slot, uint64_t ns);

/* Durations of a completed job, ns. */
void ngx_helix_count_times(ngx_helix_slot_t *slot, ngx_uint_t kind,
    helix_strategy_t lane, uint64_t queue, uint64_t exec, uint64_t total);

/* The total once more, for the moving average; "now" in ms. */
void ngx_helix_count_latency(ngx_helix_slot_t *slot, helix_strategy_t lane,
    double alpha, uint64_t now, uint64_t total);

/* The process exits: it takes no new jobs. */
void ngx_helix_slot_draining(ngx_helix_slot_t *slot);

void ngx_helix_exemplar_set(ngx_helix_slot_t *slot, helix_strategy_t lane,
    ngx_uint_t bucket, const ngx_helix_exemplar_t *exemplar);

helix_pressure_t *ngx_helix_slot_pressure(ngx_helix_slot_t *slot);
helix_report_t *ngx_helix_slot_report(ngx_helix_slot_t *slot);

/* The reports of all slots that were ever used, and of a state file, at most
   NGX_HELIX_REPORTS, and whether their owners are alive; their number. */
ngx_uint_t ngx_helix_zone_reports(ngx_helix_zone_t *zone,
    const helix_report_t **reports, bool *alive);


/*
 * Places to wait, counted over all workers: announce first, look second, so
 * that no interleaving lets more than "limit" in.  NGX_OK or NGX_BUSY.
 * leave() may be called by pool threads.
 */
ngx_int_t ngx_helix_wait_enter(ngx_helix_zone_t *zone, ngx_helix_slot_t *slot,
    helix_strategy_t lane, uint64_t limit);
void ngx_helix_wait_leave(ngx_helix_slot_t *slot, helix_strategy_t lane,
    ngx_uint_t n);

/* A place again for jobs that ran and make way for others.  Pool threads. */
void ngx_helix_wait_return(ngx_helix_slot_t *slot, helix_strategy_t lane,
    ngx_uint_t n);
uint64_t ngx_helix_waiting(ngx_helix_zone_t *zone, helix_strategy_t lane);

/* Memory of the jobs of all workers, likewise; event loop. */
ngx_int_t ngx_helix_memory_take(ngx_helix_zone_t *zone, ngx_helix_slot_t *slot,
    uint64_t size, uint64_t limit);
void ngx_helix_memory_give(ngx_helix_slot_t *slot, uint64_t size);
uint64_t ngx_helix_memory(ngx_helix_zone_t *zone);


/*
 * Tokens: the right to run on a pool thread.  Any thread.  take() gives the
 * index of a token, or NGX_BUSY.  How many there are is what the control block
 * says, for the workers of older configurations too; allowed() is whether a
 * token is one of them.
 */
ngx_int_t ngx_helix_token_take(ngx_helix_zone_t *zone, ngx_helix_slot_t *slot);
ngx_uint_t ngx_helix_token_allowed(ngx_helix_zone_t *zone, ngx_int_t token);
void ngx_helix_token_release(ngx_helix_zone_t *zone, ngx_int_t token);
ngx_uint_t ngx_helix_tokens_busy(ngx_helix_zone_t *zone);

/*
 * The worker whose most urgent waiting job is due first: this one, or of those
 * that were seen in the last NGX_HELIX_TERM ms and have a thread that sleeps
 * for want of a token.  *due is when, UINT64_MAX if none.  Any thread.
 */
ngx_helix_slot_t *ngx_helix_zone_urgent(ngx_helix_zone_t *zone,
    ngx_helix_slot_t *self, uint64_t now, uint64_t *due);

/*
 * Threads without a token sleep until one is free, at most a millisecond.
 * "seen" is what ngx_helix_wakeups() said before the token was found taken: a
 * wake-up since then is not missed.  Any thread, of any process.
 */
uint32_t ngx_helix_wakeups(ngx_helix_slot_t *slot);
void ngx_helix_sleep(ngx_helix_slot_t *slot, uint32_t seen);
void ngx_helix_wake(ngx_helix_slot_t *slot);

/* The spawn threshold adapted from the configured one; that itself if it is
   not adapted, or was adapted from another that a reload has replaced.  Set by
   the process that reap() elected. */
uint64_t ngx_helix_zone_threshold(ngx_helix_zone_t *zone, uint64_t configured);
void ngx_helix_zone_set_threshold(ngx_helix_zone_t *zone, uint64_t configured,
    uint64_t threshold);

/*
 * Latencies of the pool jobs that completed since the last window, for the
 * elected process.  Their number, or 0 when there are fewer than "min": then
 * the window stays open.
 */
uint64_t ngx_helix_zone_window(ngx_helix_zone_t *zone, uint64_t min,
    helix_hist_t *window);


/*
 * Totals since ngx_helix_zone_since(), for readers.  Ends are read before
 * admissions, so that what is in flight, their difference, is never negative.
 * totals() tells the version of the base in them: see ngx_helix_base.h.
 */
uint64_t ngx_helix_zone_totals(ngx_helix_zone_t *zone,
    ngx_helix_counts_t *sum);
void ngx_helix_zone_hist(ngx_helix_zone_t *zone, ngx_helix_hist_kind_t which,
    ngx_uint_t index, helix_hist_t *sum);
void ngx_helix_zone_pressure(ngx_helix_zone_t *zone, uint64_t now,
    helix_pressure_t *sum);

/* Moving average of the total, ns, of all processes; 0: there is none. */
double ngx_helix_zone_latency(ngx_helix_zone_t *zone, helix_strategy_t lane);

/* The newest of a bucket; 0: there is none. */
ngx_uint_t ngx_helix_exemplar_get(ngx_helix_zone_t *zone,
    helix_strategy_t lane, ngx_uint_t bucket, ngx_helix_exemplar_t *exemplar);

/* Mean time that a job of a lane computes, ns, recent, of the live processes;
   0: not known. */
uint64_t ngx_helix_zone_mean_exec(ngx_helix_zone_t *zone,
    helix_strategy_t lane);
void ngx_helix_count_exec(ngx_helix_slot_t *slot, helix_strategy_t lane,
    uint64_t ns);

/* Processes that have a slot. */
ngx_uint_t ngx_helix_zone_workers(ngx_helix_zone_t *zone);

/* Slots in use; returns their number, at most NGX_HELIX_SLOTS. */
ngx_uint_t ngx_helix_zone_slots(ngx_helix_zone_t *zone,
    ngx_helix_slot_info_t *info);

/* The books: received = invalid + dropped + admitted, and admitted = the ends
   + in flight.  What can be derived is not counted a second time. */
uint64_t ngx_helix_lane_in_flight(const ngx_helix_lane_counts_t *lane);


#endif /* NGX_HELIX_ZONE_H_INCLUDED */
