
#include "sim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>


static void sim_init(sim_t *sim, const sim_config_t *config);
static void sim_free(sim_t *sim);
static void sim_turn(sim_t *sim, sim_worker_t *worker);
static void sim_item(sim_t *sim, sim_worker_t *worker);
static void sim_item_done(sim_t *sim, sim_worker_t *worker);
static void sim_tick(sim_t *sim, sim_worker_t *worker);
static void sim_free_jobs(sim_job_t *job);
static void sim_sum_up(sim_t *sim);


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
        && !sim_turn_waits(worker) && (worker->sliced || worker->spawn.n == 0))
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

    } else if (sim_turn_waits(worker)) {
        worker->slicing = false;
        worker->ticking = true;
        worker->current = sim_turn_take(sim, worker);
        worker->cost = worker->current->left * sim_slowness(sim);

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
        worker->cost = (job->follows ? SIM_ALONG : SIM_HANDOFF) * slow;
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

    if (worker->ticking) {
        worker->ticking = false;
        sim_turn_done(sim, worker, job);
        sim_turn(sim, worker);
        return;
    }

    if (worker->slicing || (!job->done && job->lane == HELIX_INLINE)) {
        part = worker->slicing ? worker->cost : job->cpu;

        if (sim->now >= sim->begin) {
            sim->result.inlined += part;
        }

        if (sim_window(sim)) {
            job->window_cpu += part;
            sim->result.window_inlined += part;
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

    } else if (!job->done && job->ticks) {
        sim_turn_add(worker, job);

    } else if (!job->done && (job->lane == HELIX_CPU_POOL
                              || job->lane == HELIX_BATCH))
    {
        if (!sim_window_add(sim, job)) {
            sim_queue(sim, job);
        }

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
    sim->settings.batch_size = config->size;
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
        worker->router.external = config->external;
        worker->tick = (i + 1) * (uint64_t) HELIX_ROUTER_TICK
                       / config->workers;
        worker->look = UINT64_MAX;
        worker->wait = UINT64_MAX;

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
    uint32_t       i, k;
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
            sim_free_jobs(worker->heap[--worker->nheap]);
        }

        for (k = 0; k < SIM_KINDS; k++) {
            sim_free_jobs(worker->turn[k]);
            sim_free_jobs(worker->window[k]);
        }

        sim_free_jobs(worker->current);
        free(worker->heap);
        free(worker->pending.items);
        free(worker->spawn.items);
    }

    for (i = 0; i < sim->concurrency; i++) {
        sim_free_jobs(sim->slots[i].job);
    }
}


static void
sim_free_jobs(sim_job_t *job)
{
    sim_job_t  *along;

    for ( /* void */ ; job; job = along) {
        along = job->along;
        free(job);
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


static void
sim_advance(sim_t *sim, uint64_t to)
{
    double    left, done, time;
    uint32_t  i;

    time = (double) (to - sim->now);
    left = sim_left(sim);
    done = sim->running ? time * fmin(left / sim->running, 1) : 0;

    for (i = 0; done > 0 && i < sim->concurrency; i++) {
        sim->slots[i].rem -= done;
    }

    if (sim->now >= sim->begin) {
        sim->result.left += time * left;
        sim->result.threads += done * sim->running;
    }

    if (sim_window(sim)) {
        sim->result.window += time * sim->config.cores;
        sim->result.window_left += time * left;
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
        next = (worker->wait < next) ? worker->wait : next;
    }

    for (i = 0; sim->running && i < sim->concurrency; i++) {
        if (sim->slots[i].job && sim->slots[i].rem < rem) {
            rem = sim->slots[i].rem;
        }
    }

    rate = sim->running ? fmin(sim_left(sim) / sim->running, 1) : 0;

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

            if (worker->wait <= sim->now) {
                sim_window_look(sim, worker);
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
