
#include "sim.h"

#include <math.h>
#include <stdlib.h>


double
sim_uniform(uint64_t *s)
{
    uint64_t  value, t;

    value = s[0] + s[3];
    t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = s[3] << 45 | s[3] >> 19;

    return ((double) (value >> 11) + 0.5) / 9007199254740992.0;
}


double
sim_normal(uint64_t *state)
{
    double  radius;

    radius = sqrt(-2 * log(sim_uniform(state)));

    return radius * cos(2 * M_PI * sim_uniform(state));
}


void
sim_seed(uint64_t *state, uint64_t seed)
{
    uint32_t  i;
    uint64_t  z;

    for (i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15;
        z = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        state[i] = z ^ z >> 31;
    }
}


void
sim_ring_push(sim_ring_t *ring, sim_job_t *job)
{
    uint32_t     i, size;
    sim_job_t  **items;

    if (ring->n == ring->size) {
        size = ring->size ? 2 * ring->size : 256;
        items = malloc(size * sizeof(sim_job_t *));

        for (i = 0; i < ring->n; i++) {
            items[i] = ring->items[(ring->head + i) & (ring->size - 1)];
        }

        free(ring->items);
        ring->items = items;
        ring->head = 0;
        ring->size = size;
    }

    ring->items[(ring->head + ring->n++) & (ring->size - 1)] = job;
}


sim_job_t *
sim_ring_pop(sim_ring_t *ring)
{
    sim_job_t  *job;

    job = ring->items[ring->head];
    ring->head = (ring->head + 1) & (ring->size - 1);
    ring->n--;

    return job;
}


/* What the threads get: what the loops leave, and the neighbour. */

double
sim_left(const sim_t *sim)
{
    double    left;
    uint32_t  i, busy;

    busy = 0;

    for (i = 0; i < sim->config.workers; i++) {
        busy += sim->workers[i].busy;
    }

    left = fmax((double) sim->config.cores - busy, 0);

    if (sim->config.scenario == SIM_NEIGHBOUR
        && sim->now >= 4 * SIM_SEC && sim->now % (4 * SIM_SEC) < 2 * SIM_SEC)
    {
        left *= 0.5;
    }

    return left;
}


double
sim_slowness(const sim_t *sim)
{
    return (sim->config.scenario == SIM_SLOW && sim->now >= 4 * SIM_SEC
            && sim->now % (4 * SIM_SEC) < 2 * SIM_SEC) ? 2 : 1;
}


bool
sim_window(const sim_t *sim)
{
    uint64_t  length;

    length = (sim->config.scenario == SIM_BURST) ? SIM_SEC : SIM_SEC / 5;

    return sim->config.scenario != SIM_STEADY && sim->now >= 4 * SIM_SEC
           && sim->now % (4 * SIM_SEC) < length;
}


static double
sim_load(const sim_t *sim)
{
    if (sim->config.scenario != SIM_BURST) {
        return sim->config.load;
    }

    return sim_window(sim) ? 10 : 0.7;
}


/* The load changes at full seconds only. */

void
sim_next_arrival(sim_t *sim)
{
    double    step;
    uint64_t  now, second;

    now = sim->now;

    for ( ;; ) {
        step = -log(sim_uniform(sim->random)) * SIM_SEC
               / (sim->capacity * sim_load(sim));
        second = (sim->now / SIM_SEC + 1) * SIM_SEC;

        if ((double) sim->now + step < (double) second) {
            sim->arrival = sim->now + (uint64_t) step;
            sim->now = now;
            return;
        }

        sim->now = second;
    }
}


void
sim_arrive(sim_t *sim)
{
    double             u, x, time, noise, lie;
    uint32_t           k;
    sim_job_t         *job;
    sim_worker_t      *worker;
    const sim_mix_t   *mix;
    const sim_kind_t  *kind;

    mix = sim->config.mix;
    u = sim_uniform(sim->random);

    for (k = 0; k + 1 < mix->nkinds && u >= mix->kinds[k].share; k++) {
        u -= mix->kinds[k].share;
    }

    kind = &mix->kinds[k];
    x = kind->sigma * sim_normal(sim->random);
    noise = kind->noise * sim_normal(sim->random);
    lie = mix->lie * sim_normal(sim->random);
    u = sim_uniform(sim->random);

    time = kind->mean * 1000
           * exp(kind->slope * x + noise
                 - (kind->slope * kind->slope * kind->sigma * kind->sigma
                    + kind->noise * kind->noise) / 2);

    job = calloc(1, sizeof(sim_job_t));

    job->left = time;
    job->time = time;
    job->worker = (uint32_t) (u * sim->config.workers);
    job->arrived = sim->now;
    job->job.kind = k;
    job->job.budget = (uint64_t) (kind->budget * 1000);
    job->job.work = (uint64_t) (kind->mean * 1000 / SIM_UNIT * exp(x + lie))
                    + 1;
    job->job.batchable = (kind->added > 0);
    job->job.ticks = job->job.batchable;
    job->same = kind->keys ? (uint32_t) (sim_uniform(sim->random)
                                         * kind->keys) : 0;
    job->deadline = sim->now + job->job.budget;
    job->counted = (sim->now >= sim->begin && job->deadline <= sim->end);

    sim->result.offered[k] += job->counted;

    worker = &sim->workers[job->worker];

    if (worker->pending.n >= SIM_PENDING) {
        sim_dropped(sim, job);
        free(job);

    } else {
        sim_ring_push(&worker->pending, job);
        sim_wake(sim, job->worker);
    }

    sim_next_arrival(sim);
}


/* Could it have been served with 80 % of the processors, had the times of all
   been known? */

bool
sim_feasible(const sim_t *sim, const sim_job_t *job)
{
    double               rate, work, sum, due;
    uint32_t             i, j, k, n;
    const sim_job_t     *other, *third;
    const sim_worker_t  *worker;
    static const sim_job_t  *all[SIM_WORKERS * 1024 + SIM_SLOTS + 1];

    rate = 0.8 * sim->config.cores;
    n = 0;
    all[n++] = job;

    for (i = 0; i < sim->concurrency; i++) {
        if (sim->slots[i].job) {
            all[n++] = sim->slots[i].job;
        }
    }

    for (i = 0; i < sim->config.workers; i++) {
        worker = &sim->workers[i];

        for (j = 0; j < worker->nheap && j < 1024; j++) {
            all[n++] = worker->heap[j];
        }
    }

    for (i = 0; i < n; i++) {
        other = all[i];
        sum = 0;

        for (k = 0; k < n; k++) {
            third = all[k];
            sum += (third->deadline <= other->deadline) ? third->left : 0;
        }

        due = (double) other->deadline - (double) sim->now;
        work = other->left;

        /* it may be alone at its end */

        sum = (sum - work) / rate + work / 0.8;

        if (due < sum && other->deadline >= job->deadline) {
            return false;
        }
    }

    return true;
}


void
sim_dropped(sim_t *sim, sim_job_t *job)
{
    double  after;

    if (job->failed) {
        return;
    }

    if (job->counted) {
        sim->result.dropped++;

        if (sim->oracle && sim_feasible(sim, job)) {
            sim->result.feasible++;
        }
    }

    if (sim->config.scenario != SIM_BURST || sim->now < 5 * SIM_SEC
        || sim_window(sim))
    {
        return;
    }

    if (sim->burst != sim->now / (4 * SIM_SEC)) {
        sim->burst = sim->now / (4 * SIM_SEC);
        sim->last_drop = sim->burst * 4 * SIM_SEC + SIM_SEC;
    }

    if (sim->now - sim->last_drop > 100 * SIM_MSEC) {
        return;
    }

    after = (double) (sim->now - sim->last_drop);
    sim->last_drop = sim->now;
    sim->result.after += after;
    sim->result.after_max = fmax(sim->result.after_max,
                                 (double) (sim->now % (4 * SIM_SEC)
                                           - SIM_SEC));
}


/* The client has its answer, or that there will be none. */

void
sim_answer(sim_t *sim, sim_job_t *job)
{
    bool           met, useful;
    double         ratio;
    uint32_t       k;
    sim_result_t  *result;

    result = &sim->result;
    k = job->job.kind;

    met = (!job->failed && sim->now <= job->deadline);
    useful = (!job->failed
              && sim->now <= job->job.received + job->job.budget);

    if (sim->config.rule == SIM_PREDICTIVE) {
        helix_router_ended(&sim->workers[job->worker].router, &job->job,
                           &job->service, (uint64_t) job->cpu,
                           !job->failed && job->n < 2 && !job->follows,
                           useful);

    } else {
        sim_rules_answered(sim, job, met);
    }

    if (sim->now >= sim->begin && sim->now < sim->end) {
        result->spent += job->cpu;

        if (met) {
            result->work[k] += job->cpu;

        } else {
            result->wasted += job->cpu;
        }
    }

    if (met) {
        result->window_useful += job->window_cpu;
    }

    if (!job->counted) {
        return;
    }

    result->admitted++;
    result->met[k] += met;

    if (job->failed && !job->started) {
        result->shed++;
        result->feasible += (sim->oracle && sim_feasible(sim, job));
        return;
    }

    result->late += !met;

    ratio = (double) (sim->now - job->arrived) / (double) job->job.budget;
    result->ratios[(uint32_t) fmin(ratio * 250, 1000)]++;
    result->latencies[k][(uint32_t) fmin(ratio * 250, 1000)]++;
    result->latency[k] += (double) (sim->now - job->arrived);
    result->answered[k]++;
}
