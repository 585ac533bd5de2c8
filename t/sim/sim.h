
/*
 * A host that serves jobs under a policy, simulated: event loops, threads,
 * tokens.  The predictive policy is that of src/policy/helix_router.c, not a
 * copy of it.
 *
 * Times are ns.
 */

#ifndef SIM_H_INCLUDED
#define SIM_H_INCLUDED


#include "helix_router.h"


#define SIM_KINDS    4
#define SIM_WORKERS  4
#define SIM_SLOTS    16

#define SIM_REJECT   10000.0     /* of the loop: a job refused */
#define SIM_ADMIT    15000.0     /* a job taken, its request and answer */
#define SIM_HANDOFF  8000.0      /* to a thread and back */
#define SIM_ALONG    1000.0      /* of each that comes back with another */
#define SIM_SLICE    100000.0    /* of a spawned job, a turn */
#define SIM_QUANTUM  500000.0    /* until a thread looks up */
#define SIM_PENDING  16384       /* requests that a worker's socket holds */
#define SIM_QUEUE    65536       /* jobs that wait for a thread */
#define SIM_UNIT     100.0       /* ns of a unit of work */
#define SIM_DELAY    10000000    /* of a window */
#define SIM_WINDOW   8           /* jobs in it */

#define SIM_SEC      1000000000ULL
#define SIM_MSEC     1000000ULL


/* Times of a kind are means, us. */

typedef struct {
    const char       *name;
    double            share;         /* of the jobs */
    double            mean;
    double            sigma;         /* of ln work */
    double            noise;         /* of ln time about what work says */
    double            slope;
    double            budget;
    double            prior;         /* times the true one */
    double            added;         /* by one more of a batch, of its time;
                                        0: cannot be batched */
    uint32_t          keys;          /* of batches */
} sim_kind_t;

typedef struct {
    const char       *name;
    uint32_t          nkinds;
    double            lie;           /* sigma of ln (work told / true work) */
    sim_kind_t        kinds[SIM_KINDS];
} sim_mix_t;

typedef enum {
    SIM_PREDICTIVE = 0,
    SIM_THRESHOLD,                   /* parameter: threads */
    SIM_INLINE,
    SIM_POOL,
    SIM_CONN,                        /* jobs in flight */
    SIM_REQ,                         /* jobs/s by capacity */
    SIM_GRADIENT
} sim_rule_t;

/* Laws that are not in the code. */

#define SIM_WITH_PRICE     1
#define SIM_WITH_EVICTION  2
#define SIM_WITH_CODEL     4
#define SIM_WITH_LOOK      8         /* instead of handing tokens over */
#define SIM_WITH_WINDOW    0x10      /* instead of pulling */
#define SIM_WITH_RESERVE   0x20      /* the last token is not for batches */
#define SIM_WITH_WHOLE     0x40      /* a batch is not interrupted */

typedef enum {
    SIM_STEADY = 0,
    SIM_BURST,                       /* 10 x for 1 s of 4 */
    SIM_SLOW,                        /* half the speed for 2 s of 4 */
    SIM_NEIGHBOUR                    /* threads get half the time, likewise */
} sim_scenario_t;

typedef struct {
    const sim_mix_t  *mix;
    sim_rule_t        rule;
    uint32_t          without;       /* HELIX_WITHOUT_... */
    uint32_t          with;          /* SIM_WITH_... */
    double            parameter;
    sim_scenario_t    scenario;
    double            load;
    uint64_t          seed;
    uint64_t          seconds;       /* the first two are not counted */
    uint32_t          workers;
    uint32_t          cores;
    double            prior;         /* times those of the mix */
    uint64_t          size;          /* of batches */
    double            external;      /* pressure of others */
} sim_config_t;

typedef struct {
    uint64_t          offered[SIM_KINDS];
    uint64_t          met[SIM_KINDS];
    double            work[SIM_KINDS];     /* ns of what met its deadline */
    uint64_t          dropped;       /* not admitted */
    uint64_t          feasible;      /* of them, and those shed later, could
                                        have been served */
    uint64_t          admitted;
    uint64_t          late;          /* of the admitted */
    uint64_t          shed;          /* of the admitted, before they ran */
    uint64_t          ratios[1001];  /* latency by budget, in 1/250 */
    uint64_t          latencies[SIM_KINDS][1001];
    double            latency[SIM_KINDS];  /* ns, sum */
    uint64_t          answered[SIM_KINDS];
    uint64_t          batches;       /* that ran, of one or more, */
    uint64_t          batched;       /* jobs in them */
    double            spent;         /* ns on jobs */
    double            wasted;
    double            left;          /* ns of processors that the event loops
                                        and the neighbour left */
    double            threads;       /* ns of them that threads used */
    double            inlined;       /* ns of jobs on event loops */
    double            span;          /* ns counted */
    double            cores;

    /* in a scenario's window: the burst, or 200 ms after a slowdown */
    double            window;        /* ns of processors */
    double            window_left;
    double            window_inlined;
    double            window_useful;
    double            after;         /* ns after a burst until nothing is
                                        dropped for 100 ms, summed */
    double            after_max;
    uint64_t          bursts;
} sim_result_t;


typedef struct sim_job_s  sim_job_t;

struct sim_job_s {
    helix_router_job_t  job;
    helix_entry_t     entry;
    helix_service_t   service;
    helix_strategy_t  lane;
    uint32_t          worker;
    uint32_t          place;         /* in the heap */
    uint64_t          key;           /* order in the heap */
    uint64_t          arrived;
    uint64_t          deadline;      /* as the client sees it */
    uint64_t          queued;
    uint64_t          done;          /* on the thread */
    double            left;          /* ns at full speed */
    double            cpu;
    double            window_cpu;
    double            density;
    bool              counted;
    bool              started;
    bool              failed;        /* no answer but that */

    double            time;          /* ns alone, at full speed */
    uint32_t          same;          /* key of batches */
    sim_job_t        *along;         /* the next of its batch */
    uint32_t          n;             /* in the batch, of its first */
    bool              follows;       /* another one of its batch */
    bool              ticks;         /* with others of its turn */
};

typedef struct {
    sim_job_t       **items;
    uint32_t          head;
    uint32_t          n;
    uint32_t          size;          /* a power of 2 */
} sim_ring_t;

typedef struct {
    helix_router_t    router;
    helix_report_t    report;
    sim_ring_t        pending;       /* requests and jobs that are done */
    sim_ring_t        spawn;
    sim_job_t       **heap;
    uint32_t          nheap;

    sim_job_t        *current;
    bool              busy;
    bool              in_turn;
    bool              sliced;
    bool              slicing;
    bool              took;          /* a job, in this turn */
    uint32_t          turn_left;
    uint64_t          turn_start;
    double            turn_inline;
    double            spawned;
    double            cost;          /* of the current */
    uint64_t          end;

    uint64_t          tick;
    uint64_t          look;

    sim_job_t        *turn[SIM_KINDS];     /* to run at its end */
    sim_job_t        *window[SIM_KINDS];
    uint64_t          flush[SIM_KINDS];
    bool              ticking;
    uint64_t          wait;          /* a batch for its latest start */
} sim_worker_t;

typedef struct {
    sim_job_t        *job;
    double            rem;           /* ns of processor to the next look */
    double            quantum;
    double            slow;
    uint64_t          start;
} sim_slot_t;

/* Of the policies that are not in the code. */

typedef struct {
    uint64_t          in_flight;
    double            excess;        /* limit_req */
    uint64_t          last;
    double            limit;         /* gradient */
    double            min_rtt;
    double            rtt[1024];
    uint32_t          nrtt;
    uint64_t          update;
    double            bins[64];      /* price */
    double            offered[64];
    double            price;
    double            fraction;
    uint64_t          priced;
    double            sojourn;       /* codel */
    uint64_t          interval;
    bool              overloaded;
} sim_rules_t;

typedef struct {
    sim_config_t      config;
    sim_result_t      result;
    helix_settings_t  settings;
    uint64_t          now;
    uint64_t          random[4];
    uint64_t          choice[4];     /* the policies' */
    double            capacity;      /* jobs/s */
    uint64_t          arrival;
    uint64_t          begin;         /* counted from here */
    uint64_t          end;
    uint32_t          concurrency;
    uint32_t          running;
    sim_worker_t      workers[SIM_WORKERS];
    sim_slot_t        slots[SIM_SLOTS];
    sim_rules_t       rules;
    uint64_t          burst;         /* the number of the last */
    uint64_t          last_drop;
    bool              oracle;
} sim_t;


/* What is read off a result; shares are in %. */

typedef struct {
    double            goodput;       /* of the processors */
    double            bound;         /* what was left of them for jobs */
    double            rate;          /* jobs/s in time */
    double            met[SIM_KINDS];
    double            late;
    double            shed;
    double            p99;
    double            wasted;
    double            feasible;
    double            ratio;         /* of the kinds' shares, threads' kinds */
    double            window;        /* of what was left */
    double            during;        /* of the processors, in the window */
    double            after;         /* ms */
    double            after_max;
    double            mean[SIM_KINDS];     /* ms */
    double            tail[SIM_KINDS];     /* ms, p99 */
    double            size;          /* of batches */
    double            used;          /* of the processors, by jobs */
} sim_figures_t;

extern const sim_mix_t  sim_mixes[];

const sim_mix_t *sim_mix(const char *name);
sim_config_t sim_config(const char *mix, double load);
void sim_figures(const sim_config_t *config, const sim_result_t *result,
    sim_figures_t *figures);
void sim_measure(const sim_config_t *config, uint32_t seeds,
    sim_figures_t *figures);


/* sim_table.c */
void sim_table(uint32_t seeds);
void sim_print(const char *name, const sim_config_t *config,
    const sim_figures_t *f);

void sim_print_batches(const char *name, const sim_config_t *config,
    const sim_figures_t *f);

/* sim_check.c */
int sim_check(void);

/* sim_timing.c */
void sim_timing(void);

/* sim_host.c */
void sim_run(const sim_config_t *config, sim_result_t *result);
void sim_wake(sim_t *sim, uint32_t w);

/* sim_load.c */
double sim_uniform(uint64_t *state);
double sim_normal(uint64_t *state);
void sim_seed(uint64_t *state, uint64_t seed);
void sim_ring_push(sim_ring_t *ring, sim_job_t *job);
sim_job_t *sim_ring_pop(sim_ring_t *ring);
double sim_left(const sim_t *sim);   /* processors, for the threads */
double sim_slowness(const sim_t *sim);
bool sim_window(const sim_t *sim);
void sim_arrive(sim_t *sim);
void sim_next_arrival(sim_t *sim);
void sim_answer(sim_t *sim, sim_job_t *job);
bool sim_feasible(const sim_t *sim, const sim_job_t *job);
void sim_dropped(sim_t *sim, sim_job_t *job);

/* sim_pool.c */
void sim_heap_push(sim_worker_t *worker, sim_job_t *job);
void sim_heap_remove(sim_worker_t *worker, sim_job_t *job);
void sim_queue(sim_t *sim, sim_job_t *job);
void sim_quantum(sim_t *sim, sim_slot_t *slot);
void sim_look(sim_t *sim, uint32_t w);

/* sim_batch.c */
uint32_t sim_reserve(const sim_t *sim);
bool sim_batch_joins(const sim_t *sim, const sim_worker_t *worker,
    const sim_job_t *job);
sim_job_t *sim_batch_next(sim_t *sim, sim_worker_t *worker);
bool sim_window_add(sim_t *sim, sim_job_t *job);
void sim_window_look(sim_t *sim, sim_worker_t *worker);
void sim_batch_pull(sim_t *sim, sim_worker_t *worker, sim_job_t *first);
void sim_batch_lead(sim_worker_t *worker, const sim_job_t *first);
double sim_batch_reduce(sim_worker_t *worker, sim_job_t *first, double work);
void sim_batch_end(sim_worker_t *worker, sim_job_t *first);
bool sim_turn_joins(const sim_t *sim, const sim_worker_t *worker,
    const sim_job_t *job);
void sim_turn_add(sim_worker_t *worker, sim_job_t *job);
bool sim_turn_waits(const sim_worker_t *worker);
void sim_turn_done(sim_t *sim, sim_worker_t *worker, sim_job_t *first);
sim_job_t *sim_turn_take(sim_t *sim, sim_worker_t *worker);

/* sim_rules.c */
void sim_decide(sim_t *sim, sim_job_t *job);
void sim_rules_init(sim_t *sim);
void sim_rules_answered(sim_t *sim, const sim_job_t *job, bool served);
bool sim_codel(sim_t *sim, const sim_job_t *job);


#endif /* SIM_H_INCLUDED */
