
/*
 * The life of a job once it is decided how it runs, and the only place where
 * it ends.
 *
 * An executor belongs to one worker process.  A job that leaves the handler is
 * a block of memory of its own; the request and the job point at each other
 * and either may go first: the owner of a job is told of its end exactly once,
 * unless it detached before.
 *
 * Event loop only.  Pool threads touch nothing but the units they were given,
 * the run queue and the work ahead under their mutex, the tokens, and atomic
 * sums.
 */

#ifndef NGX_HELIX_EXEC_H_INCLUDED
#define NGX_HELIX_EXEC_H_INCLUDED


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_thread_pool.h>

#include "helix_kind.h"
#include "helix_layer.h"
#include "helix_router.h"
#include "ngx_helix_ring.h"
#include "ngx_helix_zone.h"


typedef struct ngx_helix_exec_s  ngx_helix_exec_t;
typedef struct ngx_helix_job_s   ngx_helix_job_t;

typedef void (*ngx_helix_done_pt)(ngx_helix_job_t *job);


/* What the caller of ngx_helix_job_create() knows. */

typedef struct {
    const helix_kind_t        *kind;
    ngx_uint_t                 kind_index;     /* in the zone */
    size_t                     memory;         /* of the plan */
    size_t                     extra;          /* likewise */
    ngx_uint_t                 level;          /* 0: full, else 1 + its name */
    ngx_uint_t                 anytime;        /* may be cut short */
    double                     quality;        /* of the answer, 1: full */
    double                     min_quality;    /* the least that will do */
    ngx_str_t                  identity;       /* empty: not to be shared */
    helix_strategy_t           strategy;       /* spawn, cpu_pool or batch */
    uint64_t                   work;           /* of the plan, or level */
    uint64_t                   batch_key;      /* of the plan */
    ngx_uint_t                 turn;           /* batch: at the end of this
                                                  turn of the event loop, on no
                                                  thread */
    uint64_t                   received;       /* ns, ngx_helix_now() */
    uint64_t                   budget;         /* ns, 0: none */
    ngx_msec_t                 timeout;
    ngx_uint_t                 forced;         /* run it though it be late */
    helix_service_t            service;        /* predictive policy: expected */
    helix_entry_t              entry;          /* likewise: in the backlog */
    ngx_helix_record_t         record;         /* of the decision */
} ngx_helix_job_spec_t;


typedef struct {
    uint64_t                   queue;          /* ns before the first step */
    uint64_t                   exec;           /* ns computing; of the whole
                                                  batch for a batch */
    uint64_t                   total;
} ngx_helix_times_t;


/* Starts like an ngx_connection_t: debug logging of a timer reads the fd of
   the connection that its data points to. */

struct ngx_helix_job_s {
    void                      *owner;          /* NULL: detached */
    ngx_helix_done_pt          done;
    void                      *state;          /* of the kind */
    ngx_socket_t               fd;             /* -1 */

    ngx_helix_job_spec_t       spec;
    ngx_helix_end_t            end;            /* valid in done() */
    ngx_helix_times_t          times;          /* likewise */
    ngx_uint_t                 batch_size;     /* likewise; 1 outside one */
    uint64_t                   cpu;            /* ns of the processor, if
                                                  predictive */
    ngx_uint_t                 truncated;      /* valid in done(): it was cut
                                                  short by its deadline */
    double                     quality;        /* then */

    /* private to this folder */
    ngx_helix_exec_t          *exec;
    ngx_queue_t                link;           /* all jobs of the executor */
    ngx_queue_t                turn;           /* jobs of the spawn lane */
    ngx_queue_t                shared;         /* in the table of flights */
    ngx_queue_t                followers;      /* answered by this job */
    ngx_queue_t                follow;         /* in that queue */
    ngx_uint_t                 nfollowers;     /* that it ever had */
    ngx_helix_job_t           *leader;         /* NULL: it runs itself */
    uint64_t                   hash;           /* of the identity */
    size_t                     memory;         /* bytes; 0: it follows */
    uint64_t                   deadline;       /* ns, atomic: the last of all
                                                  who wait for it */
    ngx_event_t                timer;
    struct ngx_helix_unit_s   *unit;           /* pool and batch */
    uint32_t                   cancel;         /* atomic, read by threads */
    uint8_t                    result;         /* HELIX_DONE ... */
    unsigned                   ending:1;       /* "end" is decided */
    unsigned                   over:1;         /* it is out of its lane */
};


/* What nginx.conf says of the settings, for as long as the executor lives. */

typedef struct {
    helix_layer_t              layer;          /* all values; set: given */
    ngx_str_t                  file;           /* helix_settings, full name */
    uint64_t                   file_key;       /* of it; 0: none */
    ngx_uint_t                 threads;        /* of the pool; 0: not known */
} ngx_helix_conf_t;


/*
 * Worker start and exit.  "generation" is that of the zone when the
 * configuration was read.  "settings" are kept as they are in force.  "cpus"
 * are the processors that pool threads may use (NULL: leave them as they are),
 * "ncpus" how many these are at most, of a quota too.  "units" are, by kind in
 * the zone, the ns that a unit of work is thought to take.  destroy() ends the
 * jobs that are left as cancelled, without telling their owners.
 */
ngx_helix_exec_t *ngx_helix_exec_create(ngx_cycle_t *cycle,
    helix_settings_t *settings, const ngx_helix_conf_t *conf,
    ngx_helix_zone_t *zone, uint64_t generation, ngx_thread_pool_t *pool,
    const double *units, const ngx_cpuset_t *cpus, ngx_uint_t ncpus);
void ngx_helix_exec_destroy(ngx_helix_exec_t *exec);

/*
 * Keeps the state of the zone in a file, whose path is at most
 * NGX_HELIX_FILE_PATH bytes long: loads it, if nobody has; the elected process
 * saves it now and then, on a thread of the pool, and destroy() if no other
 * process is left.  Start of a worker.
 */
ngx_int_t ngx_helix_exec_keep(ngx_cycle_t *cycle, ngx_helix_exec_t *exec,
    ngx_thread_pool_t *pool, ngx_str_t *path);

ngx_helix_zone_t *ngx_helix_exec_zone(ngx_helix_exec_t *exec);

/* NULL: all are taken, for now this worker must not run jobs. */
ngx_helix_slot_t *ngx_helix_exec_slot(ngx_helix_exec_t *exec);

/* Pressure of the router, at most NGX_HELIX_TICK old, or that which others
   report if it is higher. */
double ngx_helix_exec_pressure(ngx_helix_exec_t *exec);

/* Jobs that wait for a thread, as a job of this strategy sees them: those that
   do not go there know it at most NGX_HELIX_TICK old. */
uint64_t ngx_helix_exec_waiting(ngx_helix_exec_t *exec,
    helix_strategy_t strategy);

/*
 * The decision of the predictive policy on a job; service, entry and turn of
 * its spec are set.  With "explain" nothing but that: it is not going to run,
 * or its strategy is pinned.
 */
void ngx_helix_exec_decide(ngx_helix_exec_t *exec, ngx_helix_job_spec_t *spec,
    float scaling, ngx_uint_t batchable, ngx_uint_t explain,
    helix_verdict_t *verdict);

/*
 * What the predictive policy knows, as this worker sees it; all zero under
 * another.  Times are seconds.
 */

typedef struct {
    double                     capacity;       /* processors for jobs */
    double                     efficiency;     /* processor time by wall time of
                                                  the threads */
    double                     demand;         /* work offered by capacity */
    double                     queued;         /* work that waits or runs */
    double                     margin;         /* standard deviations */
    double                     waste;          /* of the last 100 ms, 0..1 */
    double                     loop;           /* share of time with jobs */
    double                     lag;            /* from a thread to the answer */
    double                     limit;          /* of an inline job */
    double                     drift;          /* factor of all service times */
    double                     within;         /* jobs at most their predicted
                                                  90 % quantile, 0..1 */
    double                     accuracy;       /* actual by predicted time */
    double                     spent;          /* processor time, all jobs */
    double                     wasted;         /* of those late or cancelled */
} ngx_helix_insight_t;

void ngx_helix_exec_insight(ngx_helix_exec_t *exec,
    ngx_helix_insight_t *insight);

/* Of one kind: the predicted time of its typical job, seconds; the processors
   it may have while jobs are refused; samples seen, older ones discounted. */
void ngx_helix_exec_kind(ngx_helix_exec_t *exec, ngx_uint_t kind,
    double *service, double *share, double *samples);

/* Retry-After of the predictive policy for a refused job, ms. */
uint64_t ngx_helix_exec_retry(ngx_helix_exec_t *exec,
    const helix_service_t *service);


/*
 * Runs a job here and now and says how it ended; the books are kept.
 * "quality" is that of one cut short by its deadline, else 0.  The caller
 * clears the state, when it has taken the answer.
 */
ngx_helix_end_t ngx_helix_exec_inline(ngx_helix_exec_t *exec,
    const ngx_helix_job_spec_t *spec, void *state, ngx_helix_times_t *times,
    double *quality);


/* The event is posted when there are many new records, so that a reader of this
   worker does not miss any; NULL: no reader. */
void ngx_helix_exec_watch(ngx_helix_exec_t *exec, ngx_event_t *ev);

/* A job that is not run: its record, which is complete. */
void ngx_helix_exec_dropped(ngx_helix_exec_t *exec,
    ngx_helix_job_spec_t *spec);


/*
 * Admission: takes a place to wait.  NGX_OK, or NGX_BUSY when all are taken;
 * then nothing is left to undo.
 */
ngx_int_t ngx_helix_exec_admit(ngx_helix_exec_t *exec,
    helix_strategy_t strategy);

/*
 * After ngx_helix_exec_admit(): the job with its uninitialised state, to be
 * filled by the kind's start().  NULL without memory, or if the jobs of all
 * workers have as much as they may: the place is given back.
 */
ngx_helix_job_t *ngx_helix_job_create(ngx_helix_exec_t *exec,
    const ngx_helix_job_spec_t *spec);

/*
 * Identical pure jobs are computed once.  Is one of this worker's jobs, not yet
 * ended, what "spec" asks for, in time and good enough?  NULL: none; looked
 * for only if there is any.  join() makes a job that ends when that one does,
 * with its state; NULL without memory.
 */
ngx_uint_t ngx_helix_exec_shares(ngx_helix_exec_t *exec);
ngx_helix_job_t *ngx_helix_job_find(ngx_helix_exec_t *exec,
    const ngx_helix_job_spec_t *spec);
ngx_helix_job_t *ngx_helix_job_join(ngx_helix_job_t *leader,
    const ngx_helix_job_spec_t *spec, void *owner, ngx_helix_done_pt done);

/*
 * Sets the job off.  done() is called later, never from inside; the job is
 * freed when it returns.  NGX_ERROR without memory: the job is freed.
 */
ngx_int_t ngx_helix_job_start(ngx_helix_job_t *job, void *owner,
    ngx_helix_done_pt done);

/*
 * The owner is gone: a waiting job goes at once, a running one at its next
 * step.  The job must not be used afterwards.
 */
void ngx_helix_job_detach(ngx_helix_job_t *job);


#endif /* NGX_HELIX_EXEC_H_INCLUDED */
