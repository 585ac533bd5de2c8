
/*
 * The predictive policy: refuse what cannot make it, serve the rest in time.
 *
 * A router belongs to one worker.  It decides from what the worker knows
 * exactly, its own backlog, from a copy of the others' backlogs, at most
 * HELIX_ROUTER_LOOK old, and from what helix_router_tick() makes of all reports
 * every HELIX_ROUTER_TICK.
 *
 * Pure: no clock, no I/O, no lock, no memory of its own.  Event loop only, but
 * for the functions on entries, which exclude each other (see the backlog).
 * Times are ns of one monotonic clock.
 */

#ifndef HELIX_ROUTER_H_INCLUDED
#define HELIX_ROUTER_H_INCLUDED


#include "helix_backlog.h"
#include "helix_batching.h"
#include "helix_model.h"
#include "helix_policy.h"


#define HELIX_ROUTER_TICK     10000000     /* ns */
#define HELIX_ROUTER_WINDOW   100000000    /* ns: margin, shares, limit */

#define HELIX_ROUTER_AIM      0.88         /* of the budget */
#define HELIX_ROUTER_TURN     500000       /* ns of inline jobs a turn */
#define HELIX_ROUTER_LOOK     1000000      /* ns: others' backlog is older */
#define HELIX_ROUTER_LONG     1000000      /* ns: a turn that is too long */
#define HELIX_ROUTER_PEERS    128
#define HELIX_ROUTER_FLOOR    5000         /* ns: shorter jobs teach nothing */
#define HELIX_ROUTER_FEW      8            /* samples of the living */
#define HELIX_ROUTER_YIELD    0.9          /* of the capacity, when the pressure
                                              of others is 1 */


/* Laws that can be left out, for the simulator's table; 0: all in force. */

#define HELIX_WITHOUT_LEARNING    0x001
#define HELIX_WITHOUT_DRIFT       0x002
#define HELIX_WITHOUT_EFFICIENCY  0x004
#define HELIX_WITHOUT_MARGIN      0x008    /* z is 0 */
#define HELIX_WITHOUT_ADAPTATION  0x010    /* z stays where it starts */
#define HELIX_WITHOUT_OTHERS      0x020    /* the jobs due later than this */
#define HELIX_WITHOUT_RECHECK     0x040
#define HELIX_WITHOUT_SHARES      0x080
#define HELIX_WITHOUT_PREEMPTION  0x100
#define HELIX_WITHOUT_INLINE      0x200
#define HELIX_WITHOUT_BATCHING    0x400
#define HELIX_WITHOUT_SAVING      0x800    /* admitted as if alone */
#define HELIX_WITHOUT_LEAVING     0x1000
#define HELIX_WITHOUT_TICK        0x2000
#define HELIX_WITHOUT_BATCH_DRIFT 0x4000


/* Why a lane was not chosen, or that it was. */

typedef enum {
    HELIX_LANE_CHOSEN = 0,
    HELIX_LANE_NOT_NEEDED,       /* one before it will do */
    HELIX_LANE_TOO_LONG,         /* for the event loop */
    HELIX_LANE_TURN_SPENT,       /* enough inline jobs in this turn */
    HELIX_LANE_LATE,             /* this job would miss its deadline */
    HELIX_LANE_OTHERS_LATE,      /* admitted jobs would miss theirs */
    HELIX_LANE_SHARE,            /* the kind has had its share */
    HELIX_LANE_CANNOT_BATCH,
    HELIX_LANE_THREAD_FREE,      /* no need to wait for others of a batch */
    HELIX_LANE_NO_GAIN,          /* by batches of the kind */
    HELIX_LANE_TOGETHER,         /* cheaper with others of this turn */
    HELIX_LANE_BLOCKING,         /* the kind may only run on a thread */
    HELIX_LANE_VERDICTS
} helix_lane_verdict_t;

extern const char *const  helix_lane_verdicts[HELIX_LANE_VERDICTS + 1];


/* What is known of a job before it is decided. */

typedef struct {
    uint32_t              kind;          /* in the reports */
    uint64_t              work;
    uint64_t              received;
    uint64_t              budget;        /* ns, never 0 */
    float                 scaling;
    bool                  blocking;      /* never in the event loop */
    bool                  batchable;     /* its kind shares work */
    bool                  joins;         /* a group, see helix_batching.h */
    bool                  ticks;         /* can be run at the end of the turn */
} helix_router_job_t;


/* What is known of the worker at this moment. */

typedef struct {
    uint64_t              now;
    uint64_t              busy;          /* tokens taken, host-wide */
    uint64_t              waiting;       /* jobs for threads, host-wide */
    uint64_t              spawned;       /* ns of work left in the spawn lane */
    uint64_t              turn;          /* ns of inline jobs in this turn */
} helix_router_view_t;


/* The decision with all that led to it. */

typedef struct {
    helix_decision_t      decision;
    helix_service_t       service;
    uint64_t              deadline;      /* received + budget */
    uint64_t              aim;           /* to be done by then */
    double                cost;          /* ns that it is thought to add */
    helix_entry_t         entry;         /* for the backlog */
    helix_ahead_t         ahead;
    double                efficiency;
    double                capacity;
    double                margin;
    double                limit;         /* ns, of an inline job */

    /* by strategy */
    helix_lane_verdict_t  verdicts[HELIX_DROP];
    uint64_t              finish[HELIX_DROP];   /* ns from now; 0: unknown */
} helix_verdict_t;


typedef struct {
    const helix_settings_t  *settings;
    helix_report_t          *report;     /* this worker's */
    uint32_t                 nkinds;
    uint32_t                 workers;    /* alive */
    double                   cpus;       /* that this process may use */
    double                   external;   /* pressure that others report, 0..1:
                                            leaves less of the capacity */
    uint32_t                 without;    /* HELIX_WITHOUT_... */

    double                   unit[HELIX_REPORT_KINDS];   /* prior, ns */
    helix_fit_t              fits[HELIX_REPORT_KINDS];
    helix_batching_t         batching[HELIX_REPORT_KINDS];
    double                   drift;
    double                   margin;     /* z */
    double                   efficiency; /* processor time by wall time of the
                                            threads, all workers */
    double                   limit;      /* ns */
    double                   loop;       /* share of time in busy turns */
    double                   demand;     /* work offered by capacity */
    double                   waste;      /* share of the last window */

    bool                     shedding;   /* jobs were refused lately */
    double                   share[HELIX_REPORT_KINDS];    /* ns of work a ns */
    bool                     capped[HELIX_REPORT_KINDS];   /* asks for more */
    double                   credit[HELIX_REPORT_KINDS];   /* ns of work */
    uint64_t                 probed[HELIX_REPORT_KINDS];   /* last admitted */

    uint64_t                 retry;      /* the virtual clock, ns */

    const helix_backlog_t   *peers[HELIX_ROUTER_PEERS];
    uint32_t                 npeers;
    uint64_t                 looked;     /* at them */
    helix_backlog_t          others;
    double                   queued;     /* ns of work, all workers */

    /* the sums of all reports when last looked at */
    uint64_t                 ticked;
    uint64_t                 cpu;
    uint64_t                 wall;
    uint64_t                 windowed;
    const helix_report_t    *based;      /* the report whose sums these are */
    uint64_t                 spent;
    uint64_t                 wasted;
    uint64_t                 refused;
    uint64_t                 offered[HELIX_REPORT_KINDS];
    uint64_t                 own_offered[HELIX_REPORT_KINDS];
    uint64_t                 turns;      /* these of this worker alone */
    uint64_t                 long_turns;
    uint64_t                 busy_turns;
} helix_router_t;


/* "unit" are nkinds times of a unit of work, ns, as guessed; "cpus" is the
   number of processors that the threads have. */
void helix_router_init(helix_router_t *router,
    const helix_settings_t *settings, helix_report_t *report,
    const double *unit, uint32_t nkinds, double cpus, uint64_t now);

/*
 * Reads all reports, its own included; "alive" says of each whether its owner
 * is: samples of the dead serve as long as there are few of the living.
 */
void helix_router_tick(helix_router_t *router,
    const helix_report_t *const *reports, const bool *alive, uint32_t n,
    uint64_t now);

/* Reads the others' backlogs again; helix_router_decide() does it every
   HELIX_ROUTER_LOOK. */
void helix_router_look(helix_router_t *router, uint64_t now);

/* How should this job run right now?  Also looks at the others if need be,
   and counts the job as offered. */
void helix_router_decide(helix_router_t *router, const helix_router_job_t *job,
    const helix_router_view_t *view, helix_verdict_t *verdict);

/* The same without leaving a trace. */
void helix_router_explain(const helix_router_t *router,
    const helix_router_job_t *job, const helix_router_view_t *view,
    helix_verdict_t *verdict);

/* Counts the work offered and the jobs refused; once a job. */
void helix_router_offer(helix_router_t *router, const helix_router_job_t *job,
    const helix_verdict_t *verdict);

/* The decision was carried out. */
void helix_router_admitted(helix_router_t *router,
    const helix_router_job_t *job, const helix_verdict_t *verdict,
    uint64_t now);

/*
 * Can a job that a thread is about to take still make it?  "entry" says what
 * is left of it.  Any thread.
 */
bool helix_router_recheck(const helix_router_t *router,
    const helix_entry_t *entry, uint64_t deadline, uint64_t now);

/*
 * A job has ended: "cpu" ns of processor time, "useful" if it was completed in
 * time.  "complete" if it ran to its end alone, so that there is something to
 * learn.
 */
void helix_router_ended(helix_router_t *router, const helix_router_job_t *job,
    const helix_service_t *service, uint64_t cpu, bool complete, bool useful);

/* An empty batch of a kind, as the settings are.  Any thread. */
helix_batch_t helix_router_batch(const helix_router_t *router, uint32_t kind);

/* n jobs have been run together, on a thread or not; see
   helix_batches_add(). */
void helix_router_batched(helix_router_t *router, uint32_t kind, uint32_t n,
    double first, double others, uint64_t cpu);

/* A turn of the event loop that took jobs lasted so many ns. */
void helix_router_turned(helix_router_t *router, uint64_t duration);

/*
 * Retry-After, ms: the time at which a virtual queue of refused jobs, served
 * with HELIX_RETRY_SHARE of the capacity, would come to this one; with a
 * jitter of 0.8 .. 1.2 from the random number.  At most 60 s, at least 1.
 */
#define HELIX_RETRY_SHARE     0.2

uint64_t helix_router_retry(helix_router_t *router,
    const helix_service_t *service, uint64_t now, uint32_t random);

double helix_router_capacity(const helix_router_t *router);


#endif /* HELIX_ROUTER_H_INCLUDED */
