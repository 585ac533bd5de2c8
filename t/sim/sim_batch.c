
#include "sim.h"

#include <math.h>
#include <stdlib.h>


static void sim_batch_form(sim_t *sim, sim_job_t *first);
static uint64_t sim_batch_holds(const sim_t *sim, const sim_worker_t *worker,
    const sim_job_t *job);
static void sim_window_flush(sim_t *sim, sim_worker_t *worker, uint32_t kind);
static void sim_batch_share(sim_job_t *first);


static bool
sim_batch_same(const sim_job_t *a, const sim_job_t *b)
{
    return a->job.kind == b->job.kind && a->same == b->same
           && b->lane == HELIX_BATCH && !b->started && b->n < 2;
}


static int
sim_batch_compare(const void *a, const void *b)
{
    const sim_job_t  *x, *y;

    x = *(sim_job_t *const *) a;
    y = *(sim_job_t *const *) b;

    return (x->key > y->key) - (x->key < y->key);
}


/* Is one there that is due earlier, with a place in its batch? */

bool
sim_batch_joins(const sim_t *sim, const sim_worker_t *worker,
    const sim_job_t *job)
{
    uint32_t          i, n;
    const sim_job_t  *other, *first;

    n = 0;
    first = NULL;

    for (i = 0; i < worker->nheap; i++) {
        other = worker->heap[i];

        if (sim_batch_same(job, other)) {
            if (first == NULL || other->key < first->key) {
                first = other;
            }

            n++;
        }
    }

    return n % sim->config.size != 0
           && first->entry.deadline <= job->job.received + job->job.budget;
}


/* A thread has taken the first: who comes along? */

void
sim_batch_pull(sim_t *sim, sim_worker_t *worker, sim_job_t *first)
{
    uint32_t           i, n;
    sim_job_t         *last;
    helix_batch_t      batch;
    static sim_job_t  *same[SIM_QUEUE + SIM_SLOTS + 1];

    if (first->lane != HELIX_BATCH || first->n > 1
        || (sim->config.with & SIM_WITH_WINDOW))
    {
        return;
    }

    n = 0;
    batch = helix_router_batch(&worker->router, first->job.kind);

    for (i = 0; i < worker->nheap; i++) {
        if (sim_batch_same(first, worker->heap[i])) {
            same[n++] = worker->heap[i];
        }
    }

    qsort(same, n, sizeof(sim_job_t *), sim_batch_compare);

    (void) helix_batch_take(&batch, &first->entry, sim->now);

    first->n = 1;
    last = first;

    for (i = 0; i < n; i++) {
        if (!helix_batch_take(&batch, &same[i]->entry, sim->now)) {
            break;
        }

        sim_heap_remove(worker, same[i]);
        same[i]->follows = true;
        last->along = same[i];
        last = same[i];
        first->n++;
    }

    sim_batch_lead(worker, first);
    sim_batch_form(sim, first);
}


/* The first of those that wait has left them. */

void
sim_batch_lead(sim_worker_t *worker, const sim_job_t *first)
{
    uint32_t    i;
    sim_job_t  *job, *next;

    next = NULL;

    for (i = 0; i < worker->nheap; i++) {
        job = worker->heap[i];

        if (sim_batch_same(first, job)
            && (next == NULL || job->key < next->key))
        {
            next = job;
        }
    }

    if (next) {
        helix_backlog_lead(&worker->report.backlog, &next->entry);
    }
}


/* What the batch really takes. */

static void
sim_batch_form(sim_t *sim, sim_job_t *first)
{
    double      most, sum, added;
    sim_job_t  *job;

    most = 0;
    sum = 0;

    for (job = first; job; job = job->along) {
        job->started = true;
        most = fmax(most, job->time);
        sum += job->time;
    }

    added = sim->config.mix->kinds[first->job.kind].added;
    first->left = (1 - added) * most + added * sum;

    if (sim->now >= sim->begin) {
        sim->result.batches++;
        sim->result.batched += first->n;
    }
}


/* From the last on, so that what is left is due with the first; answers how
   much of the work that is. */

double
sim_batch_reduce(sim_worker_t *worker, sim_job_t *job, double work)
{
    double  part;

    if (job->along) {
        work = sim_batch_reduce(worker, job->along, work);
    }

    part = fmin(work, (double) job->entry.work);

    helix_backlog_reduce(&worker->report.backlog, &job->entry,
                         (int64_t) part);

    return work - part;
}


void
sim_batch_end(sim_worker_t *worker, sim_job_t *first)
{
    double      others;
    sim_job_t  *job;

    if (first->n < 2) {
        return;
    }

    others = 0;

    for (job = first->along; job; job = job->along) {
        others += job->service.mean;
    }

    helix_router_batched(&worker->router, first->job.kind, first->n,
                         first->service.mean, others, (uint64_t) first->cpu);

    sim_batch_share(first);
}


static void
sim_batch_share(sim_job_t *first)
{
    double      cpu, window, sum;
    sim_job_t  *job;

    cpu = first->cpu;
    window = first->window_cpu;
    sum = 0;

    for (job = first; job; job = job->along) {
        sum += job->time;
    }

    for (job = first; job; job = job->along) {
        job->cpu = cpu * job->time / sum;
        job->window_cpu = window * job->time / sum;
    }
}


uint32_t
sim_reserve(const sim_t *sim)
{
    return (sim->concurrency / 8 > 1) ? sim->concurrency / 8 : 1;
}


/* The most urgent job that does not wait for others of its batch. */

sim_job_t *
sim_batch_next(sim_t *sim, sim_worker_t *worker)
{
    uint32_t    i;
    uint64_t    until;
    sim_job_t  *job, *best;

    if (!(sim->config.with & SIM_WITH_RESERVE)
        || sim->concurrency - sim->running > sim_reserve(sim))
    {
        return worker->nheap ? worker->heap[0] : NULL;
    }

    best = NULL;
    worker->wait = UINT64_MAX;

    for (i = 0; i < worker->nheap; i++) {
        job = worker->heap[i];
        until = sim_batch_holds(sim, worker, job);

        if (until > sim->now) {
            worker->wait = (until < worker->wait) ? until : worker->wait;

        } else if (best == NULL || job->key < best->key) {
            best = job;
        }
    }

    return best;
}


static uint64_t
sim_batch_holds(const sim_t *sim, const sim_worker_t *worker,
    const sim_job_t *job)
{
    double                   latest, alone;
    uint32_t                 i, n;
    const helix_batching_t  *batching;

    if (job->lane != HELIX_BATCH || job->started) {
        return 0;
    }

    n = 0;

    for (i = 0; i < worker->nheap; i++) {
        n += sim_batch_same(job, worker->heap[i]);
    }

    if (n >= sim->config.size) {
        return 0;
    }

    batching = &worker->router.batching[job->job.kind];
    alone = job->service.high;
    latest = (double) job->entry.aim
             - alone * (1 + batching->added * n) / worker->router.efficiency;

    latest = fmin(latest, (double) job->queued + SIM_DELAY);

    return (latest > 0) ? (uint64_t) latest : 0;
}


/* The rule of a fixed window: the first waits for it, whatever is free. */

bool
sim_window_add(sim_t *sim, sim_job_t *job)
{
    uint32_t       kind;
    sim_job_t     *first, **at;
    sim_worker_t  *worker;

    if (!(sim->config.with & SIM_WITH_WINDOW) || !job->job.batchable) {
        return false;
    }

    kind = job->job.kind;
    worker = &sim->workers[job->worker];
    first = worker->window[kind];

    job->lane = HELIX_BATCH;
    job->queued = sim->now;

    if (first == NULL) {
        worker->window[kind] = job;
        worker->flush[kind] = sim->now + SIM_DELAY;
        worker->wait = (worker->flush[kind] < worker->wait)
                       ? worker->flush[kind] : worker->wait;
        job->n = 1;
        return true;
    }

    for (at = &first->along; *at; at = &(*at)->along) { /* void */ }

    *at = job;
    job->follows = true;
    first->key = (job->key < first->key) ? job->key : first->key;

    if (++first->n == SIM_WINDOW) {
        sim_window_flush(sim, worker, kind);
    }

    return true;
}


static void
sim_window_flush(sim_t *sim, sim_worker_t *worker, uint32_t kind)
{
    sim_job_t  *first;

    first = worker->window[kind];
    worker->window[kind] = NULL;

    sim_batch_form(sim, first);
    first->started = false;
    sim_queue(sim, first);
}


void
sim_window_look(sim_t *sim, sim_worker_t *worker)
{
    uint32_t  k;

    worker->wait = UINT64_MAX;

    for (k = 0; k < SIM_KINDS; k++) {
        if (worker->window[k] == NULL) {
            continue;
        }

        if (worker->flush[k] <= sim->now) {
            sim_window_flush(sim, worker, k);

        } else if (worker->flush[k] < worker->wait) {
            worker->wait = worker->flush[k];
        }
    }

    if (sim->config.with & SIM_WITH_RESERVE) {
        sim_look(sim, (uint32_t) (worker - sim->workers));
    }
}


bool
sim_turn_joins(const sim_t *sim, const sim_worker_t *worker,
    const sim_job_t *job)
{
    uint32_t          n;
    const sim_job_t  *other;

    n = 0;

    for (other = worker->turn[job->job.kind]; other; other = other->along) {
        n += (other->same == job->same);
    }

    return n % sim->config.size != 0;
}


void
sim_turn_add(sim_worker_t *worker, sim_job_t *job)
{
    job->along = worker->turn[job->job.kind];
    worker->turn[job->job.kind] = job;
}


bool
sim_turn_waits(const sim_worker_t *worker)
{
    uint32_t  k;

    for (k = 0; k < SIM_KINDS; k++) {
        if (worker->turn[k]) {
            return true;
        }
    }

    return false;
}


/* Those of a kind and a key, at most as many as a batch may have. */

sim_job_t *
sim_turn_take(sim_t *sim, sim_worker_t *worker)
{
    uint32_t    k;
    sim_job_t  *first, *job, **at, *last;

    for (k = 0; worker->turn[k] == NULL; k++) { /* void */ }

    first = worker->turn[k];
    worker->turn[k] = first->along;
    first->along = NULL;
    first->n = 1;
    last = first;

    for (at = &worker->turn[k]; *at && first->n < sim->config.size;
         /* void */ )
    {
        job = *at;

        if (job->same != first->same) {
            at = &job->along;
            continue;
        }

        *at = job->along;
        job->along = NULL;
        job->follows = true;
        last->along = job;
        last = job;
        first->n++;
    }

    sim_batch_form(sim, first);

    return first;
}


void
sim_turn_done(sim_t *sim, sim_worker_t *worker, sim_job_t *first)
{
    sim_job_t  *job, *next;

    first->cpu = worker->cost;

    if (sim->now >= sim->begin) {
        sim->result.inlined += worker->cost;
    }

    if (sim_window(sim)) {
        first->window_cpu += worker->cost;
        sim->result.window_inlined += worker->cost;
    }

    sim_batch_end(worker, first);

    for (job = first; job; job = next) {
        next = job->along;
        sim_answer(sim, job);
        free(job);
    }
}
