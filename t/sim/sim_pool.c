
#include "sim.h"


static sim_worker_t *sim_earliest(sim_t *sim);
static void sim_take(sim_t *sim, sim_slot_t *slot, sim_worker_t *worker);
static void sim_start(sim_t *sim, sim_slot_t *slot, sim_job_t *job);
static void sim_hand_over(sim_t *sim, sim_slot_t *slot, sim_worker_t *from);
static void sim_finish(sim_t *sim, sim_job_t *job, bool failed);


static bool
sim_before(const sim_job_t *a, const sim_job_t *b)
{
    return a->key < b->key;
}


static void
sim_heap_up(sim_worker_t *worker, uint32_t i)
{
    sim_job_t  *job, *parent;

    job = worker->heap[i];

    while (i > 0) {
        parent = worker->heap[(i - 1) / 2];

        if (!sim_before(job, parent)) {
            break;
        }

        worker->heap[i] = parent;
        parent->place = i;
        i = (i - 1) / 2;
    }

    worker->heap[i] = job;
    job->place = i;
}


static void
sim_heap_down(sim_worker_t *worker, uint32_t i)
{
    uint32_t    child;
    sim_job_t  *job;

    job = worker->heap[i];

    for ( ;; ) {
        child = 2 * i + 1;

        if (child >= worker->nheap) {
            break;
        }

        if (child + 1 < worker->nheap
            && sim_before(worker->heap[child + 1], worker->heap[child]))
        {
            child++;
        }

        if (!sim_before(worker->heap[child], job)) {
            break;
        }

        worker->heap[i] = worker->heap[child];
        worker->heap[i]->place = i;
        i = child;
    }

    worker->heap[i] = job;
    job->place = i;
}


void
sim_heap_push(sim_worker_t *worker, sim_job_t *job)
{
    worker->heap[worker->nheap++] = job;
    sim_heap_up(worker, worker->nheap - 1);
    worker->report.head = worker->heap[0]->key;
}


void
sim_heap_remove(sim_worker_t *worker, sim_job_t *job)
{
    uint32_t    i;
    sim_job_t  *last;

    i = job->place;
    last = worker->heap[--worker->nheap];

    if (last != job) {
        worker->heap[i] = last;
        last->place = i;
        sim_heap_up(worker, i);
        sim_heap_down(worker, last->place);
    }

    worker->report.head = worker->nheap ? worker->heap[0]->key : 0;
}


/* A job has come to wait. */

void
sim_queue(sim_t *sim, sim_job_t *job)
{
    uint32_t       i;
    sim_worker_t  *worker;

    worker = &sim->workers[job->worker];

    job->queued = sim->now;
    sim_heap_push(worker, job);

    for (i = 0; i < sim->concurrency; i++) {
        if (sim->slots[i].job == NULL) {
            sim_take(sim, &sim->slots[i], worker);
            return;
        }
    }
}


void
sim_look(sim_t *sim, uint32_t w)
{
    uint32_t  i;

    for (i = 0; i < sim->concurrency && sim->workers[w].nheap; i++) {
        if (sim->slots[i].job == NULL) {
            sim_take(sim, &sim->slots[i], &sim->workers[w]);
        }
    }
}


static sim_worker_t *
sim_earliest(sim_t *sim)
{
    uint32_t       i;
    sim_job_t     *first, *job;
    sim_worker_t  *worker, *best;

    best = NULL;
    first = NULL;

    for (i = 0; i < sim->config.workers; i++) {
        worker = &sim->workers[i];
        job = sim_batch_next(sim, worker);

        if (job && (first == NULL || sim_before(job, first))) {
            first = job;
            best = worker;
        }
    }

    return best;
}


/* A token is free and has come to this worker. */

static void
sim_take(sim_t *sim, sim_slot_t *slot, sim_worker_t *worker)
{
    sim_job_t  *job;

    while ((job = sim_batch_next(sim, worker)) != NULL) {
        sim_heap_remove(worker, job);

        if (job->started || sim->config.rule != SIM_PREDICTIVE) {
            sim_start(sim, slot, job);
            return;
        }

        if (helix_router_recheck(&worker->router, &job->entry,
                                 job->job.received + job->job.budget,
                                 sim->now)
            && !sim_codel(sim, job))
        {
            sim_batch_pull(sim, worker, job);
            sim_start(sim, slot, job);
            return;
        }

        if (job->lane == HELIX_BATCH) {
            sim_batch_lead(worker, job);
        }

        sim_finish(sim, job, true);
    }
}


static void
sim_start(sim_t *sim, sim_slot_t *slot, sim_job_t *job)
{
    double  left;

    job->started = true;

    slot->slow = sim_slowness(sim);
    left = job->left * slot->slow;

    slot->job = job;
    slot->quantum = (left < SIM_QUANTUM) ? left : SIM_QUANTUM;
    slot->rem = slot->quantum;
    slot->start = sim->now;
    sim->running++;
}


static void
sim_hand_over(sim_t *sim, sim_slot_t *slot, sim_worker_t *from)
{
    sim_worker_t  *worker;

    for ( ;; ) {
        worker = (sim->config.with & SIM_WITH_LOOK) ? from : sim_earliest(sim);

        if (worker == NULL || worker->nheap == 0) {
            return;
        }

        sim_take(sim, slot, worker);

        if (slot->job != NULL) {
            return;
        }
    }
}


/* A thread has computed for a quantum and looks up. */

void
sim_quantum(sim_t *sim, sim_slot_t *slot)
{
    bool           waiting, predictive;
    sim_job_t     *job;
    sim_worker_t  *worker, *first;

    job = slot->job;
    worker = &sim->workers[job->worker];
    predictive = (sim->config.rule == SIM_PREDICTIVE);

    slot->job = NULL;
    sim->running--;

    job->left -= slot->quantum / slot->slow;
    job->cpu += slot->quantum;

    if (sim_window(sim)) {
        job->window_cpu += slot->quantum;
    }

    worker->report.cpu += (uint64_t) slot->quantum;
    worker->report.wall += sim->now - slot->start;

    if (predictive) {
        (void) sim_batch_reduce(worker, job, slot->quantum);
    }

    if (job->left < 1) {
        sim_finish(sim, job, false);
        sim_hand_over(sim, slot, worker);
        return;
    }

    first = (sim->config.with & SIM_WITH_LOOK) ? worker : sim_earliest(sim);
    waiting = (first != NULL && first->nheap != 0);

    if (waiting && predictive) {

        if (job->n < 2 && sim->now > job->job.received + job->job.budget) {
            sim_finish(sim, job, true);
            sim_hand_over(sim, slot, worker);
            return;
        }

        if (!(sim->config.without & HELIX_WITHOUT_PREEMPTION)
            && !(job->n > 1 && (sim->config.with & SIM_WITH_WHOLE))
            && sim_before(first->heap[0], job))
        {
            sim_heap_push(worker, job);
            sim_hand_over(sim, slot, worker);
            return;
        }
    }

    sim_start(sim, slot, job);
}


/* No thread will see it again. */

static void
sim_finish(sim_t *sim, sim_job_t *job, bool failed)
{
    uint32_t       w;
    sim_job_t     *along;
    sim_worker_t  *worker;

    w = job->worker;
    worker = &sim->workers[w];

    if (!failed) {
        sim_batch_end(worker, job);
    }

    for ( /* void */ ; job; job = along) {
        along = job->along;
        job->along = NULL;

        if (sim->config.rule == SIM_PREDICTIVE) {
            helix_backlog_remove(&worker->report.backlog, &job->entry);
        }

        job->failed = failed;
        job->done = sim->now;

        sim_ring_push(&worker->pending, job);
    }

    sim_wake(sim, w);
}
