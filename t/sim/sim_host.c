
#include "sim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>


static void sim_init(sim_t *sim, const sim_config_t *config);
static void sim_free(sim_t *sim);
static void sim_arrive(sim_t *sim);
static void sim_next_arrival(sim_t *sim);
static void sim_turn(sim_t *sim, sim_worker_t *worker);
static void sim_item(sim_t *sim, sim_worker_t *worker);
static void sim_item_done(sim_t *sim, sim_worker_t *worker);
static void sim_tick(sim_t *sim, sim_worker_t *worker);
static void sim_sum_up(sim_t *sim);


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
sim_rate(sim_t *sim)
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

    return fmin(left / sim->running, 1);
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

static void
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


static void
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
    job->worker = (uint32_t) (u * sim->config.workers);
    job->arrived = sim->now;
    job->job.kind = k;
    job->job.budget = (uint64_t) (kind->budget * 1000);
    job->job.work = (uint64_t) (kind->mean * 1000 / SIM_UNIT * exp(x + lie))
                    + 1;
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


/* Could it have been served with 90 % of the processors, had the times of all
   been known? */

bool
sim_feasible(const sim_t *sim, const sim_job_t *job)
{
    double               rate, work, sum, due;
    uint32_t             i, j, k, n;
    const sim_job_t     *other, *third;
    const sim_worker_t  *worker;
    static const sim_job_t  *all[SIM_WORKERS * 1024 + SIM_SLOTS + 1];

    rate = 0.9 * sim->config.cores;
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

        sum = (sum - work) / rate + work / 0.9;

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
        if (job->lane == HELIX_CPU_POOL && !job->failed) {
            helix_router_lagged(&sim->workers[job->worker].router,
                                sim->now - job->done);
        }

        helix_router_ended(&sim->workers[job->worker].router, &job->job,
                           &job->service, (uint64_t) job->cpu,
                           !job->failed, useful);

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
}


void
sim_wake(sim_t *sim, uint32_t w)
{
    if (!sim->workers[w].busy) {
        sim_turn(sim, &sim->workers[w]);
    }
}


/* What the loop does next. */

static void
sim_turn(sim_t *sim, sim_worker_t *worker)
{
    sim_job_t  *job;

    worker->busy = false;

    if (worker->in_turn && worker->turn_left == 0
        && (worker->sliced || worker->spawn.n == 0))
    {
        worker->in_turn = false;

        if (worker->took && sim->config.rule == SIM_PREDICTIVE) {
            helix_router_turned(&worker->router,
                                sim->now - worker->turn_start);
        }
    }

    if (!worker->in_turn) {

        if (worker->pending.n == 0 && worker->spawn.n == 0) {
            return;
        }

        worker->in_turn = true;
        worker->took = false;
        worker->sliced = false;
        worker->turn_left = worker->pending.n;
        worker->turn_start = sim->now;
        worker->turn_inline = 0;
    }

    worker->busy = true;

    if (worker->turn_left) {
        worker->turn_left--;
        worker->slicing = false;
        worker->current = sim_ring_pop(&worker->pending);
        sim_item(sim, worker);

    } else {
        worker->sliced = true;
        worker->slicing = true;
        worker->took = true;
        job = sim_ring_pop(&worker->spawn);
        worker->current = job;
        worker->cost = fmin(job->left * sim_slowness(sim), SIM_SLICE);
        job->left -= worker->cost / sim_slowness(sim);
        job->cpu += worker->cost;
    }

    worker->end = sim->now + (uint64_t) worker->cost;
}


static void
sim_item(sim_t *sim, sim_worker_t *worker)
{
    double      slow;
    sim_job_t  *job;

    job = worker->current;
    slow = sim_slowness(sim);

    if (job->done) {
        worker->cost = SIM_HANDOFF * slow;
        return;
    }

    worker->took = true;

    job->job.received = sim->now;

    if (sim->config.rule == SIM_PREDICTIVE) {
        worker->report.seen = sim->now;
    }

    sim_decide(sim, job);

    worker->cost = slow * ((job->lane == HELIX_DROP) ? SIM_REJECT
                                                     : SIM_ADMIT);

    if (job->lane == HELIX_INLINE) {
        job->cpu = job->left * slow;
        job->left = 0;
        job->started = true;
        worker->cost += job->cpu;
        worker->turn_inline += job->cpu;
    }
}


static void
sim_item_done(sim_t *sim, sim_worker_t *worker)
{
    double      part;
    sim_job_t  *job;

    job = worker->current;
    worker->current = NULL;

    if (sim->now >= sim->begin && sim->now < sim->end) {
        sim->result.loops += worker->cost;
    }

    if (sim_window(sim)) {
        sim->result.window_loops += worker->cost;

        if (worker->slicing || (!job->done && job->lane == HELIX_INLINE)) {
            part = worker->slicing ? worker->cost : job->cpu;
            job->window_cpu += part;
            sim->result.window_loops -= part;
        }
    }

    if (worker->slicing) {
        part = fmin(worker->cost, job->service.mean);
        job->service.variance = 0;
        worker->spawned = fmax(worker->spawned - part, 0);

        if (job->left >= 1) {
            sim_ring_push(&worker->spawn, job);

        } else {
            worker->spawned = worker->spawn.n ? worker->spawned : 0;
            sim_answer(sim, job);
            free(job);
        }

    } else if (!job->done && job->lane == HELIX_CPU_POOL) {
        sim_queue(sim, job);

    } else if (!job->done && job->lane == HELIX_SPAWN) {
        job->started = true;
        sim_ring_push(&worker->spawn, job);

    } else {

        if (job->lane == HELIX_DROP) {
            sim_dropped(sim, job);

        } else {
            sim_answer(sim, job);
        }

        free(job);
    }

    sim_turn(sim, worker);
}


static void
sim_tick(sim_t *sim, sim_worker_t *worker)
{
    bool                   alive[SIM_WORKERS];
    uint32_t               i;
    const helix_report_t  *reports[SIM_WORKERS];

    worker->tick += HELIX_ROUTER_TICK;

    for (i = 0; i < sim->config.workers; i++) {
        reports[i] = &sim->workers[i].report;
        alive[i] = true;
    }

    helix_router_tick(&worker->router, reports, alive, sim->config.workers,
                      sim->now);
}


static void
sim_init(sim_t *sim, const sim_config_t *config)
{
    double             mean, overhead, unit[SIM_KINDS];
    uint32_t           i;
    sim_worker_t      *worker;
    const sim_kind_t  *kind;

    memset(sim, 0, sizeof(sim_t));

    sim->config = *config;
    sim->now = 1;
    sim->begin = 2 * SIM_SEC;
    sim->end = config->seconds * SIM_SEC;
    sim->concurrency = config->cores;
    sim->oracle = (config->scenario == SIM_STEADY && config->load < 0.75);

    sim_seed(sim->random, config->seed);
    sim_seed(sim->choice, config->seed + 1000003);

    helix_settings_init(&sim->settings);
    sim->settings.inline_threshold = 1000;
    sim->settings.spawn_threshold = 2500;

    if (config->rule == SIM_THRESHOLD) {
        sim->concurrency = (uint32_t) config->parameter;
    }

    sim->settings.concurrency = sim->concurrency;
    helix_settings_resolve(&sim->settings, false);

    mean = 0;

    for (i = 0; i < config->mix->nkinds; i++) {
        kind = &config->mix->kinds[i];
        overhead = SIM_ADMIT + (kind->mean > 100 ? SIM_HANDOFF : 0);
        mean += kind->share * (kind->mean * 1000 + overhead);
        unit[i] = SIM_UNIT * kind->prior * config->prior;
    }

    sim->capacity = config->cores * SIM_SEC / mean;

    for (i = 0; i < config->workers; i++) {
        worker = &sim->workers[i];

        helix_router_init(&worker->router, &sim->settings, &worker->report,
                          unit, config->mix->nkinds, config->cores, sim->now);

        worker->router.without = config->without;
        worker->tick = (i + 1) * (uint64_t) HELIX_ROUTER_TICK
                       / config->workers;
        worker->look = UINT64_MAX;

        if (config->with & SIM_WITH_LOOK) {
            worker->look = (i + 1) * SIM_MSEC / config->workers;
        }

        worker->heap = malloc((SIM_QUEUE + SIM_SLOTS + 1)
                              * sizeof(sim_job_t *));
    }

    sim_rules_init(sim);
    sim_next_arrival(sim);
}


static void
sim_free(sim_t *sim)
{
    uint32_t       i;
    sim_worker_t  *worker;

    for (i = 0; i < sim->config.workers; i++) {
        worker = &sim->workers[i];

        while (worker->pending.n) {
            free(sim_ring_pop(&worker->pending));
        }

        while (worker->spawn.n) {
            free(sim_ring_pop(&worker->spawn));
        }

        while (worker->nheap) {
            free(worker->heap[--worker->nheap]);
        }

        free(worker->current);
        free(worker->heap);
        free(worker->pending.items);
        free(worker->spawn.items);
    }

    for (i = 0; i < sim->concurrency; i++) {
        free(sim->slots[i].job);
    }
}


static void
sim_sum_up(sim_t *sim)
{
    sim_result_t  *result;

    result = &sim->result;
    result->span = (double) (sim->end - sim->begin);
    result->cores = sim->config.cores;

    if (sim->config.scenario == SIM_BURST) {
        result->bursts = (sim->config.seconds - 2) / 4;
    }
}


void
sim_average(const sim_config_t *config, uint32_t seeds, sim_result_t *sum)
{
    double        after;
    uint32_t      i, k;
    sim_config_t  one;
    sim_result_t  r;

    one = *config;
    sim_run(&one, sum);

    for (i = 1; i < seeds; i++) {
        one.seed++;
        sim_run(&one, &r);

        for (k = 0; k < SIM_KINDS; k++) {
            sum->offered[k] += r.offered[k];
            sum->met[k] += r.met[k];
            sum->work[k] += r.work[k];
        }

        for (k = 0; k <= 1000; k++) {
            sum->ratios[k] += r.ratios[k];
        }

        sum->dropped += r.dropped;
        sum->feasible += r.feasible;
        sum->admitted += r.admitted;
        sum->late += r.late;
        sum->shed += r.shed;
        sum->spent += r.spent;
        sum->wasted += r.wasted;
        sum->loops += r.loops;
        sum->span += r.span;
        sum->window += r.window;
        sum->window_loops += r.window_loops;
        sum->window_useful += r.window_useful;
        sum->after += r.after;
        sum->bursts += r.bursts;

        after = fmax(sum->after_max, r.after_max);
        sum->after_max = after;
    }
}


static void
sim_advance(sim_t *sim, uint64_t to)
{
    double    done;
    uint32_t  i;

    done = (double) (to - sim->now) * (sim->running ? sim_rate(sim) : 0);

    for (i = 0; done > 0 && i < sim->concurrency; i++) {
        sim->slots[i].rem -= done;
    }

    if (sim_window(sim)) {
        sim->result.window += (double) (to - sim->now)
                              * sim->config.cores;
    }

    sim->now = to;
}


static uint64_t
sim_next(sim_t *sim)
{
    double         rem, rate;
    uint32_t       i;
    uint64_t       next;
    sim_worker_t  *worker;

    next = sim->arrival;
    rem = INFINITY;

    for (i = 0; i < sim->config.workers; i++) {
        worker = &sim->workers[i];

        if (worker->busy && worker->end < next) {
            next = worker->end;
        }

        next = (worker->tick < next) ? worker->tick : next;
        next = (worker->look < next) ? worker->look : next;
    }

    for (i = 0; sim->running && i < sim->concurrency; i++) {
        if (sim->slots[i].job && sim->slots[i].rem < rem) {
            rem = sim->slots[i].rem;
        }
    }

    rate = sim->running ? sim_rate(sim) : 0;

    if (rate > 0 && (double) sim->now + rem / rate < (double) next) {
        next = sim->now + (uint64_t) ceil(fmax(rem / rate, 0));
    }

    return next;
}


void
sim_run(const sim_config_t *config, sim_result_t *result)
{
    uint32_t       i;
    sim_t         *sim;
    sim_worker_t  *worker;

    sim = malloc(sizeof(sim_t));
    sim_init(sim, config);

    while (sim->now < sim->end) {
        sim_advance(sim, sim_next(sim));

        for (i = 0; i < sim->concurrency; i++) {
            if (sim->slots[i].job && sim->slots[i].rem < 0.5) {
                sim_quantum(sim, &sim->slots[i]);
            }
        }

        for (i = 0; i < config->workers; i++) {
            worker = &sim->workers[i];

            if (worker->busy && worker->end <= sim->now) {
                sim_item_done(sim, worker);
            }

            if (worker->tick <= sim->now) {
                sim_tick(sim, worker);
            }

            if (worker->look <= sim->now) {
                worker->look += SIM_MSEC;
                sim_look(sim, (uint32_t) i);
            }
        }

        if (sim->arrival <= sim->now) {
            sim_arrive(sim);
        }
    }

    sim_sum_up(sim);
    *result = sim->result;

    sim_free(sim);
    free(sim);
}
