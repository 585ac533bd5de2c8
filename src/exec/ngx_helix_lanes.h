
/*
 * Inside the executor: the lanes and what they share.  For the files of this
 * folder only.
 */

#ifndef NGX_HELIX_LANES_H_INCLUDED
#define NGX_HELIX_LANES_H_INCLUDED


#include "ngx_helix_exec.h"
#include "ngx_helix_live.h"


#define NGX_HELIX_SLICE_SPAWN   100000      /* ns a turn of the event loop */
#define NGX_HELIX_SLICE_INLINE  20000000    /* ns between two looks around */
#define NGX_HELIX_SLICE_THREAD  500000      /* ns between two looks around */

/* results beside those of a kind */
#define NGX_HELIX_SHED_RESULT   3           /* not run: too late */
#define NGX_HELIX_LATE_RESULT   4           /* stopped: too late */
#define NGX_HELIX_CUT_RESULT    5           /* stopped in time to answer with
                                               what there is */

#define NGX_HELIX_REPLY         200000      /* ns that an answer takes */

#define NGX_HELIX_FLIGHTS       256         /* buckets, a power of two */


/* Fast shutdown, in any thread: the event loop sets nginx's flag. */
#define ngx_helix_terminated()                                                \
    __atomic_load_n(&ngx_terminate, __ATOMIC_RELAXED)


typedef struct ngx_helix_unit_s   ngx_helix_unit_t;
typedef struct ngx_helix_pool_s   ngx_helix_pool_t;
typedef struct ngx_helix_group_s  ngx_helix_group_t;
typedef struct ngx_helix_saver_s  ngx_helix_saver_t;


/*
 * What a pool thread takes from the run queue: one job, or a batch of a kind.
 * While it waits it belongs to the event loop, under the mutex of the pool;
 * from "taken" until the completion event it belongs to the thread.
 */

struct ngx_helix_unit_s {
    uint64_t                due;            /* ns, order in the queue */
    uint64_t                work;           /* ns, expected; 0: not known */
    uint64_t                sequence;       /* first come, first served */
    ngx_uint_t              index;          /* in the heap */
    const helix_kind_t     *kind;
    helix_strategy_t        lane;
    uint64_t                started;        /* ns; 0: not yet */
    uint64_t                ended;
    uint64_t                exec;           /* ns computing, */
    uint64_t                cpu;            /* of the processor, if known */
    ngx_helix_unit_t       *next;           /* of those a runner has run */
    ngx_uint_t              queued;         /* event loop */
    ngx_uint_t              taken;          /* under the mutex */
    ngx_uint_t              refs;           /* jobs that point to it */

    ngx_uint_t              turn;           /* of the event loop's turn: never
                                               in the queue, no mutex */

    /* a batch that is pulled, under the mutex */
    ngx_queue_t             member;         /* of the group, or the turn, */
    ngx_helix_group_t      *group;          /* if it is in one */
    ngx_helix_unit_t       *along;          /* units whose jobs came along */
    ngx_helix_unit_t       *into;           /* or that of the batch */

    helix_flush_t           flush;          /* why a batch is not larger */

    uint32_t                n;
    uint32_t                room;           /* jobs, at most */
    ngx_helix_job_t       **jobs;
    void                  **states;         /* step_batch() */
    uint8_t                *results;
};


/* Those of a kind and a batch key, by due time. */

#define NGX_HELIX_GROUPS  64

struct ngx_helix_group_s {
    ngx_uint_t              kind;           /* in the zone */
    uint64_t                key;
    ngx_uint_t              n;              /* 0: it is free */
    uint64_t                deadline;       /* ns, of the first */
    ngx_queue_t             units;
};


/* Those that wait, by due time, first come, first served. */

typedef struct {
    ngx_helix_unit_t      **units;          /* a binary heap */
    ngx_uint_t              n;
    ngx_uint_t              size;
    uint64_t                sequence;
} ngx_helix_heap_t;


/* Pool threads read it, so it is made of plain values. */

typedef struct {
    helix_control_t         control;
    uint64_t                until;          /* ns */
    const uint32_t         *cancel;         /* may be NULL */
} ngx_helix_control_t;


/* Event loop time given to deferred jobs, one slice a turn for all. */

typedef struct {
    ngx_queue_t             jobs;
    ngx_event_t             event;
    uint64_t                work;           /* ns, expected, of those jobs */
} ngx_helix_spawn_t;


/* What the predictive policy is told of this worker. */

typedef struct {
    helix_router_t          router;
    ngx_event_t             tick;           /* while jobs come */
    ngx_event_t             turn;           /* the end of one with jobs in it */
    uint64_t                started;        /* ns, of the turn */
    uint64_t                inlined;        /* ns, in the turn */
    ngx_uint_t              turns;          /* since the last tick */
    ngx_uint_t              inlines;        /* jobs */
    double                  lag;            /* ns, smoothed */
    helix_report_t          none;           /* without a slot */
} ngx_helix_predict_t;


/* What is run together at the end of the turn, on the event loop. */

typedef struct {
    ngx_queue_t             units;
    ngx_uint_t              n;              /* jobs */
} ngx_helix_turn_t;


/* One buffer a kind. */

typedef struct {
    void                   *reserved[3];    /* see ngx_helix_job_s */
    ngx_socket_t            fd;
    ngx_helix_exec_t       *exec;
    ngx_helix_unit_t       *unit;           /* NULL: empty */
    ngx_event_t             timer;
} ngx_helix_batch_t;


/* The control block as this worker knows it: what holds, the next that is
   read, and one to change. */

typedef struct {
    ngx_helix_config_t     *config;
    ngx_helix_config_t     *read;
    ngx_helix_config_t     *edited;
} ngx_helix_live_t;


struct ngx_helix_exec_s {
    helix_settings_t       *settings;       /* threads read batch_size, nice */
    const ngx_helix_conf_t *conf;
    uint64_t                generation;
    uint64_t                changes;        /* of the control block, seen */
    uint64_t                config_version;
    uint64_t                sources_version;
    ngx_helix_live_t        live;
    ngx_helix_sources_t     sources;
    double                  external;       /* the highest of them */
    uint64_t                external_until; /* ns; 0: there is none */
    uint64_t                looked;         /* ns, at the settings file */
    ngx_uint_t              gone;           /* it was not there then */
    ngx_uint_t              ncpus;
    ngx_helix_zone_t       *zone;
    ngx_helix_slot_t       *slot;
    ngx_socket_t            fd;             /* see ngx_helix_job_s */
    ngx_log_t              *log;
    ngx_event_t             tick;
    ngx_uint_t              ticks;
    double                  pressure;       /* of this router */
    uint64_t                calendar;       /* ns since 1970, less now() */
    uint64_t                waiting;        /* for threads, when last seen */
    ngx_event_t            *watch;          /* NULL: nobody reads records */
    ngx_helix_saver_t      *saver;          /* NULL: no state file */
    ngx_helix_predict_t    *predict;        /* NULL: threshold policy */
    ngx_queue_t             jobs;
    ngx_helix_spawn_t       spawn;
    ngx_helix_pool_t       *pool;
    ngx_helix_turn_t        turn;
    ngx_helix_batch_t      *batches;        /* [kind in the zone] */
    ngx_uint_t              nflights;       /* jobs that may be shared */
    uint64_t                seed;           /* of their hashes */
    ngx_queue_t             flights[NGX_HELIX_FLIGHTS];
};


/* [loop] What is published may differ from what is known. */
void ngx_helix_live_look(ngx_helix_exec_t *exec, uint64_t now);

/*
 * [start, loop] The settings of this worker's configuration replace those of an
 * older one, with those of its file, if they break no rule, in one change:
 * NGX_OK if they did, NGX_DECLINED if others have done it, NGX_BUSY.  "file"
 * NULL: what it said before stays, if it still has the name.  file_adopt()
 * reads it first.
 */
ngx_int_t ngx_helix_live_adopt(ngx_helix_exec_t *exec,
    const helix_layer_t *file, helix_violations_t *violations);
ngx_int_t ngx_helix_file_adopt(ngx_helix_exec_t *exec, uint64_t now);

/* [loop] Reads the settings file, if it is time to. */
void ngx_helix_file_look(ngx_helix_exec_t *exec, uint64_t now);

/* [loop] Other settings are in force. */
void ngx_helix_batches_apply(ngx_helix_exec_t *exec);
void ngx_helix_pool_apply(ngx_helix_pool_t *pool);

/* Processor time of the calling thread, ns; a system call. */
uint64_t ngx_helix_cpu(void);

/* [loop] Is the worker told to stop, while a job holds the event loop? */
ngx_uint_t ngx_helix_exec_stopped(void);

/* [loop] A job has held it for so many ns. */
void ngx_helix_exec_stale(uint64_t held);

/* The caller has room for it, and its mutex.  A unit keeps its turn when it
   comes again. */
void ngx_helix_heap_add(ngx_helix_heap_t *heap, ngx_helix_unit_t *unit);
void ngx_helix_heap_remove(ngx_helix_heap_t *heap, ngx_helix_unit_t *unit);

/* The poll() of every control: time, cancel flag, fast shutdown. */
int ngx_helix_control_poll(const helix_control_t *control);
void ngx_helix_control_init(ngx_helix_control_t *control, uint64_t until,
    const uint32_t *cancel);

/* The only end of a job; tells the owner and frees it.  "end" counts unless
   an earlier event (timeout, detach) has decided already. */
void ngx_helix_job_end(ngx_helix_job_t *job, ngx_helix_end_t end);

/* When a job whose kind can answer any time is to be cut short, ns; the end of
   time for others.  Any thread. */
uint64_t ngx_helix_job_cut(const ngx_helix_job_spec_t *spec,
    uint64_t deadline);

/* A job that may be shared comes, or ends: then its followers do too. */
void ngx_helix_flights_init(ngx_helix_exec_t *exec);
void ngx_helix_flight_add(ngx_helix_job_t *job);
void ngx_helix_flight_remove(ngx_helix_job_t *job);
void ngx_helix_flight_end(ngx_helix_job_t *job, ngx_helix_end_t end);

/* A job that was zeroed. */
void ngx_helix_job_init(ngx_helix_job_t *job, ngx_helix_exec_t *exec,
    const ngx_helix_job_spec_t *spec);

/* Accounts for a job, tells its owner, frees it. */
void ngx_helix_job_finish(ngx_helix_job_t *job);

/* The books of a job that has ended, and of the level that it was answered
   at; "alone": its time is to be learned from. */
void ngx_helix_job_account(ngx_helix_exec_t *exec,
    const ngx_helix_job_spec_t *spec, const ngx_helix_times_t *times,
    uint64_t cpu, ngx_uint_t alone, ngx_helix_end_t end);
void ngx_helix_job_level(ngx_helix_exec_t *exec,
    const ngx_helix_job_spec_t *spec, ngx_helix_end_t end,
    ngx_uint_t truncated);

/*
 * The records of a job: of its decision, when it is admitted, and of its end.
 * clock() from time to time, for the calendar may be set.
 */
void ngx_helix_record_clock(ngx_helix_exec_t *exec);
void ngx_helix_record_decision(ngx_helix_exec_t *exec,
    ngx_helix_job_spec_t *spec);
void ngx_helix_record_end(ngx_helix_exec_t *exec,
    const ngx_helix_job_spec_t *spec, const ngx_helix_times_t *times,
    ngx_helix_end_t end, ngx_uint_t truncated, double quality);

/* Takes a job that waits out of its lane; NGX_DECLINED when a thread has
   it. */
ngx_int_t ngx_helix_job_remove(ngx_helix_job_t *job);

/* Nobody is left to answer. */
void ngx_helix_job_abandon(ngx_helix_job_t *job);

/* ns; without a budget a job has all the time of its timeout. */
uint64_t ngx_helix_job_budget(const ngx_helix_job_spec_t *spec);

/* Something is about to be done in this turn of the event loop. */
void ngx_helix_predict_turn(ngx_helix_exec_t *exec);

/*
 * Processor time before a job that runs inline, if it is one to learn from;
 * else 0: reading that clock costs as much as many such jobs, and the other
 * clock also has what the system did meanwhile.
 */
uint64_t ngx_helix_predict_sample(ngx_helix_exec_t *exec, ngx_uint_t kind);

/* A job has ended after so many ns of processor time. */
void ngx_helix_predict_ended(ngx_helix_exec_t *exec,
    const ngx_helix_job_spec_t *spec, uint64_t cpu, ngx_uint_t alone,
    ngx_helix_end_t end, ngx_uint_t late);

/* A thread had done its work at that time. */
void ngx_helix_predict_lag(ngx_helix_exec_t *exec, uint64_t ended);

ngx_int_t ngx_helix_predict_init(ngx_cycle_t *cycle, ngx_helix_exec_t *exec,
    const double *units, ngx_uint_t ncpus);
void ngx_helix_predict_start(ngx_helix_exec_t *exec);
void ngx_helix_predict_close(ngx_helix_exec_t *exec);

/* The end that a result stands for. */
ngx_helix_end_t ngx_helix_result_end(uint8_t result);

/* That of a job; one that was cut short is as good as what it has. */
ngx_helix_end_t ngx_helix_job_result(ngx_helix_job_t *job, uint8_t result);

void ngx_helix_spawn_init(ngx_helix_exec_t *exec);
void ngx_helix_spawn_add(ngx_helix_job_t *job);

/* Takes a job out of its lane and gives its place back. */
void ngx_helix_spawn_remove(ngx_helix_job_t *job);

ngx_helix_pool_t *ngx_helix_pool_create(ngx_cycle_t *cycle,
    ngx_helix_exec_t *exec, ngx_thread_pool_t *tp, const ngx_cpuset_t *cpus);

/* The threads are gone or going: nothing is posted any more. */
void ngx_helix_pool_close(ngx_helix_pool_t *pool);
void ngx_helix_pool_destroy(ngx_helix_pool_t *pool);

/* Puts a unit into the run queue; takes one that no thread has out again, or
   answers NGX_DECLINED. */
void ngx_helix_pool_add(ngx_helix_pool_t *pool, ngx_helix_unit_t *unit);
ngx_int_t ngx_helix_pool_remove(ngx_helix_pool_t *pool,
    ngx_helix_unit_t *unit);

/* [mutex] The groups of a pool, and work ahead that is not saved after all. */
ngx_helix_group_t *ngx_helix_pool_groups(ngx_helix_pool_t *pool);
void ngx_helix_pool_lead(ngx_helix_pool_t *pool, ngx_helix_job_t *job);

void ngx_helix_groups_init(ngx_helix_group_t *groups);

/* [loop] Does a job find others that it can be run with?  "size" is that of
   batches. */
ngx_uint_t ngx_helix_group_joins(ngx_helix_pool_t *pool,
    const ngx_helix_job_spec_t *spec, ngx_uint_t size);

/* [mutex] A unit of one job comes to wait in a group, and leaves it; pull()
   takes those along that may, with the first of a group. */
void ngx_helix_group_add(ngx_helix_pool_t *pool, ngx_helix_unit_t *unit);
void ngx_helix_group_remove(ngx_helix_pool_t *pool, ngx_helix_unit_t *unit);
void ngx_helix_group_pull(ngx_helix_pool_t *pool, ngx_helix_heap_t *heap,
    const helix_router_t *router, ngx_helix_unit_t *unit, uint64_t now);

/* [mutex] The job of "other" becomes one of "unit". */
void ngx_helix_unit_merge(ngx_helix_unit_t *unit, ngx_helix_unit_t *other,
    uint64_t now);

/* A job that waits elsewhere counts as work ahead, and no longer. */
void ngx_helix_pool_enter(ngx_helix_pool_t *pool, ngx_helix_job_t *job);
void ngx_helix_pool_leave(ngx_helix_pool_t *pool, ngx_helix_job_t *job);

/* [thread] Some ns of processor time of a unit are done; is another one, here
   or in another worker, due earlier? */
ngx_uint_t ngx_helix_pool_step(ngx_helix_pool_t *pool, ngx_helix_unit_t *unit,
    uint64_t cpu);

/* [loop] A batch has ended. */
void ngx_helix_predict_batch(ngx_helix_exec_t *exec, ngx_helix_unit_t *unit);

/* [thread] Is the policy predictive?  Then it wants to know what was used. */
ngx_uint_t ngx_helix_pool_predicts(ngx_helix_pool_t *pool);
void ngx_helix_pool_used(ngx_helix_pool_t *pool, uint64_t cpu, uint64_t wall);

/* [thread] Does anything wait for the thread? */
ngx_uint_t ngx_helix_pool_waits(ngx_helix_pool_t *pool);

/* A unit of one job with room for n; NULL without memory. */
ngx_helix_unit_t *ngx_helix_unit_create(ngx_helix_job_t *job, ngx_uint_t n);
void ngx_helix_unit_push(ngx_helix_unit_t *unit, ngx_helix_job_t *job);

/* Takes a job that waits out of its unit, and an empty unit out of the world;
   NGX_DECLINED when a thread has it. */
ngx_int_t ngx_helix_unit_remove(ngx_helix_job_t *job);

/* [thread] The work of a unit; the caller holds a token.  False when it makes
   way for one that is due earlier. */
ngx_uint_t ngx_helix_unit_run(ngx_helix_pool_t *pool, ngx_helix_unit_t *unit);

/* [thread] Those of its jobs that cannot make it any more are not run. */
void ngx_helix_unit_recheck(const helix_router_t *router,
    ngx_helix_unit_t *unit, uint64_t now);

/* After a thread gave the unit back: ends its jobs, frees it. */
void ngx_helix_unit_end(ngx_helix_unit_t *unit);

ngx_int_t ngx_helix_batches_init(ngx_cycle_t *cycle, ngx_helix_exec_t *exec);
ngx_int_t ngx_helix_batch_add(ngx_helix_job_t *job);

/* The unit of a job that leaves its buffer before it was flushed. */
void ngx_helix_batch_forget(ngx_helix_exec_t *exec, ngx_helix_unit_t *unit);

void ngx_helix_turn_init(ngx_helix_exec_t *exec);

/* Is a job that is thought to take so long one for the end of the turn, and
   are there others in this turn that it would be run with? */
ngx_uint_t ngx_helix_turn_takes(ngx_helix_exec_t *exec,
    const helix_service_t *service);
ngx_uint_t ngx_helix_turn_joins(ngx_helix_exec_t *exec,
    const ngx_helix_job_spec_t *spec);

/* leave(): one job less in a unit. */
ngx_int_t ngx_helix_turn_add(ngx_helix_job_t *job);
void ngx_helix_turn_leave(ngx_helix_exec_t *exec, ngx_helix_unit_t *unit);

/* At the end of a turn: runs and ends its jobs; were there any? */
ngx_uint_t ngx_helix_turn_run(ngx_helix_exec_t *exec);

/* The state file: tick() of the elected process, at "now"; close() when the
   threads have been joined and the slot was released. */
void ngx_helix_saver_tick(ngx_helix_exec_t *exec, uint64_t now);
void ngx_helix_saver_close(ngx_helix_exec_t *exec);


#endif /* NGX_HELIX_LANES_H_INCLUDED */
