
/*
 * The steps of a job: prepare, blocks of paths, a summary.
 *
 * A block is cut into pieces small enough for a poll between any two; where a
 * job stands within its block is part of its state.  In a batch one job of a
 * market draws a block's scenarios and holds them until all others that stand
 * at the same path have valued them.
 */

#include <string.h>

#include "helix_risk.h"


#define HELIX_RISK_QUANTUM  10000         /* ns between polls, about */
#define HELIX_RISK_PIECE    5000          /* ns of what is not paths */
#define HELIX_RISK_COMPARE  262144        /* bytes of markets in a call */


typedef struct {
    const helix_control_t   *ctl;
    const helix_risk_isa_t  *isa;
    uint32_t                 spent;
    uint32_t                 quantum;
} helix_risk_clock_t;


/* The live jobs of a market, by their places. */

typedef struct {
    uint32_t                 n;
    uint16_t                 place[HELIX_BATCH_MAX];
} helix_risk_group_t;


static void helix_risk_clock(helix_risk_clock_t *clock,
    const helix_control_t *ctl);
static int helix_risk_tick(helix_risk_clock_t *clock, uint32_t ns);
static int helix_risk_run(helix_risk_job_t *job, helix_risk_clock_t *clock);
static int helix_risk_other(helix_risk_job_t *job, helix_risk_clock_t *clock);
static void helix_risk_check(helix_risk_job_t *job);
static int helix_risk_scenarios(helix_risk_job_t *job,
    helix_risk_clock_t *clock);
static int helix_risk_value(helix_risk_job_t *job,
    const helix_risk_job_t *from, helix_risk_clock_t *clock);
static int helix_risk_live(void **states, const uint8_t *results,
    uint32_t i);
static void helix_risk_gather_group(void **states, const uint8_t *results,
    uint32_t n, uint32_t first, helix_risk_group_t *group);
static int helix_risk_run_group(void **states, uint8_t *results,
    helix_risk_group_t *group, helix_risk_clock_t *clock);
static helix_risk_job_t *helix_risk_leader(void **states,
    const helix_risk_group_t *group);


void
helix_risk_start(void *state, const helix_args_t *args)
{
    helix_risk_job_t      *job;
    helix_plan_t           plan;
    helix_risk_request_t   request;

    job = state;

    /* plan() has accepted them */
    (void) helix_risk_parse(args, &request, &plan);

    if (args->level != 0) {
        helix_risk_level(&request, helix_risk_rung_at(&request,
                                                      args->level - 1));
    }

    helix_risk_setup(job, &request);

    job->form = HELIX_RISK_FULL;
    job->key = helix_risk_hash(job->market, job->market_size);
}


int
helix_risk_step(void *state, const helix_control_t *ctl)
{
    helix_risk_clock_t  clock;

    helix_risk_clock(&clock, ctl);

    return helix_risk_run(state, &clock);
}


static void
helix_risk_clock(helix_risk_clock_t *clock, const helix_control_t *ctl)
{
    clock->ctl = ctl;
    clock->isa = helix_risk_isa();
    clock->spent = 0;
    clock->quantum = HELIX_RISK_QUANTUM * 10 / clock->isa->slow;
}


/* Nonzero if the step has to end. */

static int
helix_risk_tick(helix_risk_clock_t *clock, uint32_t ns)
{
    clock->spent += ns;

    if (clock->spent < clock->quantum) {
        return 0;
    }

    clock->spent = 0;

    return clock->ctl->poll(clock->ctl);
}


static int
helix_risk_run(helix_risk_job_t *job, helix_risk_clock_t *clock)
{
    for ( ;; ) {

        if (job->phase != HELIX_RISK_PATHS
            && helix_risk_other(job, clock) != HELIX_DONE)
        {
            return HELIX_AGAIN;
        }

        if (job->phase == HELIX_RISK_DONE) {
            return HELIX_DONE;
        }

        if (job->phase == HELIX_RISK_INFINITE) {
            return HELIX_FAILED;
        }

        if (helix_risk_scenarios(job, clock) != HELIX_DONE
            || helix_risk_value(job, job, clock) != HELIX_DONE)
        {
            return HELIX_AGAIN;
        }
    }
}


/* All but paths, up to the end of the job or to paths. */

static int
helix_risk_other(helix_risk_job_t *job, helix_risk_clock_t *clock)
{
    for ( ;; ) {

        switch (job->phase) {

        case HELIX_RISK_PATHS:
        case HELIX_RISK_DONE:
        case HELIX_RISK_INFINITE:
            return HELIX_DONE;

        case HELIX_RISK_COMPACT:
            if (helix_risk_compact(job) == HELIX_DONE) {
                job->phase = HELIX_RISK_PATHS;
            }

            break;

        case HELIX_RISK_CHECK:
            helix_risk_check(job);
            break;

        case HELIX_RISK_SUMMARY:
            if (helix_risk_summarize(job, &job->summary) == HELIX_DONE) {
                job->phase = HELIX_RISK_DONE;
                return HELIX_DONE;
            }

            break;

        default:
            helix_risk_prepare(job);
            break;
        }

        if (helix_risk_tick(clock, HELIX_RISK_PIECE)) {
            return HELIX_AGAIN;
        }
    }
}


static void
helix_risk_check(helix_risk_job_t *job)
{
    if (!helix_risk_tail_finite(job)) {
        job->phase = HELIX_RISK_INFINITE;
        return;
    }

    if (!helix_risk_tail_exact(job)) {
        job->unpiloted = 1;
        job->path = 0;
        helix_risk_tail_init(job);
        job->phase = HELIX_RISK_PATHS;

        return;
    }

    memset(&job->summary, 0, sizeof(helix_risk_summary_t));
    job->phase = HELIX_RISK_SUMMARY;
}


/* Up to the prices of the block. */

static int
helix_risk_scenarios(helix_risk_job_t *job, helix_risk_clock_t *clock)
{
    uint32_t                    ns, to;
    const helix_risk_market_t  *m;

    m = job->market;
    ns = HELIX_RISK_NS_PAIR + m->nassets * HELIX_RISK_NS_ROW;

    while (job->step < m->steps) {

        if (!job->begun) {
            clock->isa->begin(m, job->path, job->step, job->logs,
                              job->weight);
            job->begun = 1;

            if (helix_risk_tick(clock, helix_risk_begin_ns(m->nassets, m->dof,
                                                           m->njumps)))
            {
                return HELIX_AGAIN;
            }
        }

        to = job->pair + 1 + clock->quantum / ns;
        to = (to < m->npairs) ? to : m->npairs;

        clock->isa->pairs(job, job->pair, to);
        ns = (to - job->pair) * ns;
        job->pair = to;

        if (to == m->npairs) {
            job->pair = 0;
            job->begun = 0;
            job->step++;
        }

        if (helix_risk_tick(clock, ns)) {
            return HELIX_AGAIN;
        }

        ns = HELIX_RISK_NS_PAIR + m->nassets * HELIX_RISK_NS_ROW;
    }

    if (job->step == m->steps) {
        clock->isa->prices(job->logs, job->prices, m->nassets);
        job->step++;

        if (helix_risk_tick(clock, HELIX_RISK_NS_PRICE * m->nassets)) {
            return HELIX_AGAIN;
        }
    }

    return HELIX_DONE;
}


/* The portfolio of one job in the scenarios of the same or another. */

static int
helix_risk_value(helix_risk_job_t *job, const helix_risk_job_t *from,
    helix_risk_clock_t *clock)
{
    uint32_t  first, last, ns;

    if (job->valued == 0) {
        clock->isa->linear(job, from->prices);
        clock->isa->payoffs(job, from->prices);
        job->valued = 1;

        ns = HELIX_RISK_NS_LINEAR * (from->market->nassets + job->npayoffs);

        if (helix_risk_tick(clock, ns)) {
            return HELIX_AGAIN;
        }
    }

    for (first = job->valued - 1; first < job->noptions; first = last) {
        last = first + 1 + clock->quantum / HELIX_RISK_NS_OPTION;
        last = (last < job->noptions) ? last : job->noptions;

        clock->isa->options(job, from, first, last);
        job->valued = last + 1;

        if (helix_risk_tick(clock, (last - first) * HELIX_RISK_NS_OPTION)) {
            return HELIX_AGAIN;
        }
    }

    if (job->estimator == HELIX_RISK_TILTED) {
        clock->isa->weigh(job);
    }

    helix_risk_tail_add(job, clock->isa);

    job->step = 0;
    job->valued = 0;

    /* the pilot takes about as long as may be between polls */
    ns = (job->path == HELIX_RISK_PILOT) ? HELIX_RISK_QUANTUM
                                         : HELIX_RISK_NS_LOSSES;

    return helix_risk_tick(clock, ns) ? HELIX_AGAIN : HELIX_DONE;
}


static int
helix_risk_live(void **states, const uint8_t *results, uint32_t i)
{
    return states[i] != NULL && results[i] == HELIX_AGAIN
           && *(const uint64_t *) states[i] == HELIX_RISK_FULL;
}


/* Jobs that are not of the full form are not seen here. */

int
helix_risk_step_batch(void **states, uint8_t *results, uint32_t n,
    const helix_control_t *ctl)
{
    uint32_t            i;
    helix_risk_clock_t  clock;
    helix_risk_group_t  group;

    helix_risk_clock(&clock, ctl);

    for (i = 0; i < n; /* void */ ) {

        if (!helix_risk_live(states, results, i)) {
            i++;
            continue;
        }

        helix_risk_gather_group(states, results, n, i, &group);

        if (helix_risk_run_group(states, results, &group, &clock)
            != HELIX_DONE)
        {
            return HELIX_AGAIN;
        }
    }

    return HELIX_DONE;
}


/* Keys may be alike by chance or by intent: markets are compared, as many as
   take a few microseconds. */

static void
helix_risk_gather_group(void **states, const uint8_t *results, uint32_t n,
    uint32_t first, helix_risk_group_t *group)
{
    size_t                   left;
    uint32_t                 i;
    const helix_risk_job_t  *job, *other;

    group->n = 1;
    group->place[0] = (uint16_t) first;

    job = states[first];
    left = HELIX_RISK_COMPARE;

    if (job->estimator != HELIX_RISK_PLAIN) {
        return;
    }

    for (i = first + 1; i < n && left >= job->market_size; i++) {

        if (!helix_risk_live(states, results, i)) {
            continue;
        }

        other = states[i];

        if (other->estimator != HELIX_RISK_PLAIN || other->key != job->key
            || other->market_size != job->market_size)
        {
            continue;
        }

        left -= job->market_size;

        if (memcmp(other->market, job->market, job->market_size) == 0) {
            group->place[group->n++] = (uint16_t) i;
        }
    }
}


/* Until all of its jobs have ended. */

static int
helix_risk_run_group(void **states, uint8_t *results,
    helix_risk_group_t *group, helix_risk_clock_t *clock)
{
    uint32_t           i, n;
    helix_risk_job_t  *job, *leader;

    for ( ;; ) {
        n = 0;

        for (i = 0; i < group->n; i++) {
            job = states[group->place[i]];

            if (helix_risk_other(job, clock) != HELIX_DONE) {
                return HELIX_AGAIN;
            }

            if (job->phase == HELIX_RISK_PATHS) {
                group->place[n++] = group->place[i];
                continue;
            }

            results[group->place[i]] = (job->phase == HELIX_RISK_DONE)
                                       ? HELIX_DONE : HELIX_FAILED;
        }

        group->n = n;

        if (n == 0) {
            return HELIX_DONE;
        }

        leader = helix_risk_leader(states, group);

        if (helix_risk_scenarios(leader, clock) != HELIX_DONE) {
            return HELIX_AGAIN;
        }

        for (i = 0; i < n; i++) {
            job = states[group->place[i]];

            if (job != leader && job->path == leader->path
                && helix_risk_value(job, leader, clock) != HELIX_DONE)
            {
                return HELIX_AGAIN;
            }
        }

        if (helix_risk_value(leader, leader, clock) != HELIX_DONE) {
            return HELIX_AGAIN;
        }
    }
}


/* Of the jobs that are furthest behind, the one with most of its block. */

static helix_risk_job_t *
helix_risk_leader(void **states, const helix_risk_group_t *group)
{
    uint32_t           i;
    helix_risk_job_t  *job, *leader;

    leader = states[group->place[0]];

    for (i = 1; i < group->n; i++) {
        job = states[group->place[i]];

        if (job->path < leader->path
            || (job->path == leader->path
                && (job->step > leader->step
                    || (job->step == leader->step
                        && job->pair + job->begun
                           > leader->pair + leader->begun))))
        {
            leader = job;
        }
    }

    return leader;
}


/* Intervals narrow with the root of the paths. */

double
helix_risk_quality(const void *state)
{
    uint64_t                 ns;
    const helix_risk_job_t  *job;

    job = state;

    if (job->phase == HELIX_RISK_DONE) {
        return job->quality;
    }

    if (job->phase == HELIX_RISK_INFINITE || job->path < HELIX_RISK_PILOT
        || !helix_risk_tail_finite(job) || !helix_risk_tail_exact(job))
    {
        return 0.0;
    }

    /* it is summed up where its answer is written */

    ns = job->tail.weights ? HELIX_RISK_NS_WEIGHED : HELIX_RISK_NS_SELECT;

    if ((uint64_t) job->tail.nkept * job->nquantiles * ns
        > HELIX_RISK_NS_FINISH)
    {
        return 0.0;
    }

    return job->quality * __builtin_sqrt((double) job->path / job->paths);
}
