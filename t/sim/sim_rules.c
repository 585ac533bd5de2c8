
#include "sim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>


static void sim_predictive(sim_t *sim, sim_job_t *job, sim_worker_t *worker);
static bool sim_evict(sim_t *sim, sim_job_t *job, sim_worker_t *worker,
    const helix_router_view_t *view, helix_verdict_t *v);
static bool sim_priced_out(sim_t *sim, const helix_verdict_t *v);
static void sim_price(sim_t *sim);
static void sim_gradient(sim_t *sim);


void
sim_rules_init(sim_t *sim)
{
    sim->rules.limit = 3;
    sim->rules.fraction = 1;
    sim->rules.sojourn = INFINITY;
    sim->rules.update = sim->now;
    sim->rules.interval = sim->now;
}


/* Sets the job's lane. */

void
sim_decide(sim_t *sim, sim_job_t *job)
{
    bool                refuse;
    sim_rules_t        *rules;
    helix_policy_job_t  declared;

    rules = &sim->rules;
    refuse = false;

    switch (sim->config.rule) {

    case SIM_PREDICTIVE:
        sim_predictive(sim, job, &sim->workers[job->worker]);
        return;

    case SIM_THRESHOLD:
        declared = (helix_policy_job_t) { job->job.work, 0, false };
        job->lane = helix_threshold_decide(&sim->settings,
                                           sim->settings.spawn_threshold,
                                           sim->running, &declared).strategy;
        break;

    case SIM_INLINE:
        job->lane = HELIX_INLINE;
        return;

    case SIM_CONN:
        refuse = ((double) rules->in_flight >= sim->config.parameter);
        break;

    case SIM_REQ:
        rules->excess -= (double) (sim->now - rules->last) / SIM_SEC
                         * sim->config.parameter * sim->capacity;
        rules->excess = fmax(rules->excess, 0);
        rules->last = sim->now;
        refuse = (rules->excess >= 8);
        rules->excess += !refuse;
        break;

    case SIM_GRADIENT:
        sim_gradient(sim);
        refuse = ((double) rules->in_flight >= floor(rules->limit));
        break;

    default:
        break;
    }

    if (sim->config.rule != SIM_THRESHOLD) {
        job->lane = refuse ? HELIX_DROP : HELIX_CPU_POOL;
    }

    if (job->lane == HELIX_CPU_POOL
        && sim->workers[job->worker].nheap >= SIM_QUEUE)
    {
        job->lane = HELIX_DROP;
    }

    job->key = job->job.received;
    rules->in_flight += (job->lane != HELIX_DROP);
}


static void
sim_predictive(sim_t *sim, sim_job_t *job, sim_worker_t *worker)
{
    uint32_t             i;
    helix_verdict_t      v;
    helix_router_view_t  view;

    memset(&view, 0, sizeof(view));

    view.now = sim->now;
    view.busy = sim->running;
    view.spawned = (uint64_t) worker->spawned;
    view.turn = (uint64_t) worker->turn_inline;

    for (i = 0; i < sim->config.workers; i++) {
        view.waiting += sim->workers[i].nheap;
    }

    if ((sim->config.with & SIM_WITH_RESERVE)
        && sim->concurrency - sim->running <= sim_reserve(sim))
    {
        view.busy = sim->concurrency;
    }

    job->job.joins = job->job.batchable
                     && (sim_turn_joins(sim, worker, job)
                         || sim_batch_joins(sim, worker, job));

    helix_router_decide(&worker->router, &job->job, &view, &v);

    job->service = v.service;
    job->density = 1 / v.service.mean;

    if (sim->config.with & SIM_WITH_PRICE) {
        sim_price(sim);

        if (v.decision.reason != HELIX_CHEAP && sim_priced_out(sim, &v)) {
            v.decision.strategy = HELIX_DROP;
        }
    }

    if (v.decision.reason == HELIX_INFEASIBLE
        && (sim->config.with & SIM_WITH_EVICTION)
        && !sim_evict(sim, job, worker, &view, &v))
    {
        v.decision.strategy = HELIX_DROP;
    }

    job->lane = v.decision.strategy;

    if (job->lane == HELIX_DROP) {

        /* nobody could have served what is too big */

        if (v.decision.reason == HELIX_TOO_BIG) {
            job->failed = true;
        }

        return;
    }

    helix_router_admitted(&worker->router, &job->job, &v, sim->now);

    job->entry = v.entry;
    job->key = v.entry.due;
    job->ticks = (job->lane == HELIX_BATCH
                  && v.decision.reason == HELIX_CHEAP);

    if (job->ticks) {
        worker->turn_inline += v.cost;

    } else if (job->lane == HELIX_CPU_POOL || job->lane == HELIX_BATCH) {
        helix_backlog_add(&worker->report.backlog, &job->entry, sim->now);
    }

    if (job->lane == HELIX_SPAWN) {
        worker->spawned += job->service.mean;
    }
}


/* Is there a job that waits, of at most 2/3 of this one's value by work, for
   which this one could be taken? */

static bool
sim_evict(sim_t *sim, sim_job_t *job, sim_worker_t *worker,
    const helix_router_view_t *view, helix_verdict_t *v)
{
    uint32_t       i;
    sim_job_t     *worst;
    helix_entry_t  kept;

    worst = NULL;

    for (i = 0; i < worker->nheap; i++) {
        if (!worker->heap[i]->started
            && (worst == NULL || worker->heap[i]->density < worst->density))
        {
            worst = worker->heap[i];
        }
    }

    if (worst == NULL || worst->density > job->density * 2 / 3) {
        return false;
    }

    kept = worst->entry;
    helix_backlog_remove(&worker->report.backlog, &worst->entry);
    helix_router_explain(&worker->router, &job->job, view, v);

    if (v->decision.strategy == HELIX_DROP) {
        worst->entry = kept;
        helix_backlog_add(&worker->report.backlog, &worst->entry, sim->now);
        return false;
    }

    sim_heap_remove(worker, worst);
    worst->failed = true;
    worst->done = sim->now;
    sim_ring_push(&worker->pending, worst);

    return true;
}


/* The price of processor time at which the capacity is just used up, of jobs
   that are worth 1 each; every 10 ms. */

static bool
sim_priced_out(sim_t *sim, const helix_verdict_t *v)
{
    double    bin;
    uint32_t  i;

    bin = fmin(fmax(2 * log2(v->service.mean / 1000), 0), 63);
    i = (uint32_t) bin;

    sim->rules.bins[i] += v->service.mean;

    if (i < sim->rules.price) {
        return false;
    }

    return i > sim->rules.price
           || sim_uniform(sim->choice) >= sim->rules.fraction;
}


static void
sim_price(sim_t *sim)
{
    double        capacity, queued;
    uint32_t      i;
    sim_rules_t  *rules;

    rules = &sim->rules;

    if (sim->now - rules->priced < 10 * SIM_MSEC) {
        return;
    }

    rules->priced = sim->now;

    queued = 0;

    for (i = 0; i < sim->config.workers; i++) {
        queued += helix_backlog_work(&sim->workers[i].report.backlog);
    }

    capacity = helix_router_capacity(&sim->workers[0].router);
    capacity = (capacity * 0.98 + (capacity * 12.5 * SIM_MSEC - queued)
                                  / (50.0 * SIM_MSEC)) * 10 * SIM_MSEC;
    rules->price = 64;
    rules->fraction = 1;

    for (i = 0; i < 64; i++) {
        rules->offered[i] += 0.1 * (rules->bins[i] - rules->offered[i]);
        rules->bins[i] = 0;
    }

    for (i = 0; i < 64; i++) {
        if (rules->offered[i] > capacity) {
            rules->price = i;
            rules->fraction = fmax(capacity, 0) / rules->offered[i];
            return;
        }

        capacity -= rules->offered[i];
    }
}


/* Drop what has waited long, when all have for 100 ms. */

bool
sim_codel(sim_t *sim, const sim_job_t *job)
{
    double        waited, target, budget;
    uint32_t      i;
    sim_rules_t  *rules;

    if (!(sim->config.with & SIM_WITH_CODEL)) {
        return false;
    }

    rules = &sim->rules;
    budget = INFINITY;

    for (i = 0; i < sim->config.mix->nkinds; i++) {
        budget = fmin(budget, sim->config.mix->kinds[i].budget * 1000);
    }

    target = fmax(5.0 * SIM_MSEC, 0.1 * budget);
    waited = (double) (sim->now - job->queued);

    rules->sojourn = fmin(rules->sojourn, waited);

    if (sim->now - rules->interval > 100 * SIM_MSEC) {
        rules->overloaded = (rules->sojourn > target);
        rules->sojourn = INFINITY;
        rules->interval = sim->now;
    }

    return rules->overloaded && waited > 2 * target;
}


static int
sim_compare(const void *a, const void *b)
{
    double  x, y;

    x = *(const double *) a;
    y = *(const double *) b;

    return (x > y) - (x < y);
}


/* Envoy's adaptive concurrency: the first 50 at a limit of 3, then every
   100 ms. */

static void
sim_gradient(sim_t *sim)
{
    double        median, gradient;
    sim_rules_t  *rules;

    rules = &sim->rules;

    if (rules->min_rtt > 0 ? sim->now - rules->update < 100 * SIM_MSEC
                           : rules->nrtt < 50)
    {
        return;
    }

    rules->update = sim->now;

    if (rules->nrtt < 5) {
        return;
    }

    qsort(rules->rtt, rules->nrtt, sizeof(double), sim_compare);
    median = rules->rtt[rules->nrtt / 2];
    rules->nrtt = 0;

    if (!(rules->min_rtt > 0)) {
        rules->min_rtt = median;
    }

    gradient = fmin(fmax(rules->min_rtt * 1.25 / median, 0.5), 2);
    rules->limit *= gradient;
    rules->limit = fmin(fmax(rules->limit + sqrt(rules->limit), 3), 1000);
}


void
sim_rules_answered(sim_t *sim, const sim_job_t *job, bool served)
{
    sim_rules_t  *rules;

    rules = &sim->rules;

    if (sim->config.rule == SIM_INLINE) {
        return;
    }

    rules->in_flight--;

    if (served && rules->nrtt < 1024) {
        rules->rtt[rules->nrtt++] = (double) (sim->now - job->job.received);
    }
}
