
#include "ngx_helix_lanes.h"


/* When the clocks of a thread were last read. */

typedef struct {
    uint64_t    wall;
    uint64_t    cpu;
    ngx_uint_t  predictive;
} ngx_helix_clock_t;


static uint64_t ngx_helix_unit_deadline(ngx_helix_job_t *job);
static uint64_t ngx_helix_unit_cut(ngx_helix_job_t *job);
static void ngx_helix_unit_order(ngx_helix_unit_t *unit, ngx_helix_job_t *job);
static ngx_uint_t ngx_helix_unit_run_one(ngx_helix_pool_t *pool,
    ngx_helix_unit_t *unit, ngx_uint_t i, ngx_helix_clock_t *clock);
static ngx_uint_t ngx_helix_unit_run_batch(ngx_helix_pool_t *pool,
    ngx_helix_unit_t *unit, ngx_helix_clock_t *clock);
static void ngx_helix_clock_start(ngx_helix_pool_t *pool,
    ngx_helix_clock_t *clock);
static uint64_t ngx_helix_clock_read(ngx_helix_pool_t *pool,
    ngx_helix_clock_t *clock, ngx_helix_unit_t *unit);
static void ngx_helix_unit_cut_batch(ngx_helix_unit_t *unit);
static ngx_uint_t ngx_helix_unit_drop_cancelled(ngx_helix_unit_t *unit);


ngx_helix_unit_t *
ngx_helix_unit_create(ngx_helix_job_t *job, ngx_uint_t n)
{
    ngx_helix_unit_t  *unit;

    unit = ngx_calloc(sizeof(ngx_helix_unit_t)
                      + n * (2 * sizeof(void *) + sizeof(uint8_t)),
                      job->exec->log);
    if (unit == NULL) {
        return NULL;
    }

    unit->jobs = (ngx_helix_job_t **) (unit + 1);
    unit->states = (void **) (unit->jobs + n);
    unit->results = (uint8_t *) (unit->states + n);

    unit->room = (uint32_t) n;
    unit->kind = job->spec.kind;
    unit->lane = job->spec.strategy;
    unit->due = (uint64_t) -1;

    ngx_helix_unit_push(unit, job);

    return unit;
}


void
ngx_helix_unit_push(ngx_helix_unit_t *unit, ngx_helix_job_t *job)
{
    unit->jobs[unit->n] = job;
    unit->states[unit->n] = job->state;
    unit->results[unit->n] = HELIX_AGAIN;
    unit->n++;
    unit->refs++;

    job->unit = unit;
    unit->work += (uint64_t) job->spec.entry.work;

    ngx_helix_unit_order(unit, job);
}


void
ngx_helix_unit_merge(ngx_helix_unit_t *unit, ngx_helix_unit_t *other,
    uint64_t now)
{
    unit->jobs[unit->n] = other->jobs[0];
    unit->states[unit->n] = other->states[0];
    unit->results[unit->n] = HELIX_AGAIN;
    unit->n++;

    other->taken = 1;
    other->started = now;
    other->into = unit;
    other->along = unit->along;
    unit->along = other;
}


static void
ngx_helix_unit_order(ngx_helix_unit_t *unit, ngx_helix_job_t *job)
{
    uint64_t  due;

    due = job->exec->predict ? job->spec.entry.due
                             : ngx_helix_unit_deadline(job);

    unit->due = ngx_min(unit->due, due);
}


static uint64_t
ngx_helix_unit_deadline(ngx_helix_job_t *job)
{
    return __atomic_load_n(&job->deadline, __ATOMIC_RELAXED);
}


static uint64_t
ngx_helix_unit_cut(ngx_helix_job_t *job)
{
    return ngx_helix_job_cut(&job->spec, ngx_helix_unit_deadline(job));
}


ngx_int_t
ngx_helix_unit_remove(ngx_helix_job_t *job)
{
    ngx_uint_t         i;
    ngx_helix_exec_t  *exec;
    ngx_helix_unit_t  *unit;

    exec = job->exec;
    unit = job->unit;

    if (unit->turn && unit->taken) {
        return NGX_DECLINED;
    }

    /* out of the run queue while it changes: then no thread can take it */

    if (unit->queued
        && ngx_helix_pool_remove(exec->pool, unit) == NGX_DECLINED)
    {
        return NGX_DECLINED;
    }

    for (i = 0; unit->jobs[i] != job; i++) { /* void */ }

    unit->n--;
    unit->refs--;

    for ( /* void */ ; i < unit->n; i++) {
        unit->jobs[i] = unit->jobs[i + 1];
        unit->states[i] = unit->states[i + 1];
    }

    unit->due = (uint64_t) -1;

    for (i = 0; i < unit->n; i++) {
        ngx_helix_unit_order(unit, unit->jobs[i]);
    }

    job->unit = NULL;
    job->cpu = unit->cpu;
    job->times.exec = unit->exec;
    job->times.queue = ngx_helix_now() - job->spec.received - unit->exec;

    if (unit->turn) {
        ngx_helix_turn_leave(exec, unit);

    } else {
        ngx_helix_pool_leave(exec->pool, job);
    }

    ngx_helix_wait_leave(exec->slot, unit->lane, 1);

    if (unit->queued && unit->n) {
        ngx_helix_pool_add(exec->pool, unit);

    } else if (unit->n == 0) {
        ngx_helix_batch_forget(exec, unit);
        ngx_free(unit);
    }

    return NGX_OK;
}


void
ngx_helix_unit_recheck(const helix_router_t *router, ngx_helix_unit_t *unit,
    uint64_t now)
{
    ngx_uint_t        i;
    ngx_helix_job_t  *job;

    for (i = 0; i < unit->n; i++) {
        job = unit->jobs[i];

        /* better something in time than nothing */

        if (job->spec.budget && !job->spec.forced && !job->spec.anytime
            && !helix_router_recheck(router, &job->spec.entry,
                                     ngx_helix_unit_deadline(job), now))
        {
            unit->results[i] = NGX_HELIX_SHED_RESULT;
            unit->states[i] = NULL;
        }
    }
}


ngx_uint_t
ngx_helix_unit_run(ngx_helix_pool_t *pool, ngx_helix_unit_t *unit)
{
    ngx_uint_t         i;
    ngx_helix_clock_t  clock;

    ngx_helix_clock_start(pool, &clock);

    if (unit->n > 1 && unit->kind->step_batch) {
        if (!ngx_helix_unit_run_batch(pool, unit, &clock)) {
            return 0;
        }

    } else {
        for (i = 0; i < unit->n; i++) {
            if (!ngx_helix_unit_run_one(pool, unit, i, &clock)) {
                return 0;
            }
        }
    }

    ngx_helix_clock_read(pool, &clock, unit);
    unit->ended = clock.wall;

    for (i = 0; i < unit->n; i++) {
        ngx_helix_pool_leave(pool, unit->jobs[i]);
    }

    return 1;
}


static ngx_uint_t
ngx_helix_unit_run_one(ngx_helix_pool_t *pool, ngx_helix_unit_t *unit,
    ngx_uint_t i, ngx_helix_clock_t *clock)
{
    uint64_t              cpu, now, cut;
    uint32_t             *cancel;
    ngx_helix_control_t   control;

    cancel = &unit->jobs[i]->cancel;

    while (unit->results[i] == HELIX_AGAIN && !ngx_helix_terminated()
           && !__atomic_load_n(cancel, __ATOMIC_RELAXED))
    {
        now = ngx_helix_now();
        cut = ngx_helix_unit_cut(unit->jobs[i]);

        ngx_helix_control_init(&control,
                               ngx_min(now + NGX_HELIX_SLICE_THREAD, cut),
                               cancel);

        unit->results[i] = unit->kind->step(unit->states[i], &control.control);

        if (unit->results[i] != HELIX_AGAIN) {
            continue;
        }

        if (cut != (uint64_t) -1 && ngx_helix_now() >= cut) {
            unit->results[i] = NGX_HELIX_CUT_RESULT;
            continue;
        }

        if (unit->kind->flags & HELIX_BLOCKING) {
            break;
        }

        if (!clock->predictive) {
            continue;
        }

        cpu = ngx_helix_clock_read(pool, clock, unit);

        if (unit->n == 1 && ngx_helix_pool_step(pool, unit, cpu)
            && !__atomic_load_n(cancel, __ATOMIC_RELAXED))
        {
            return 0;
        }

        /* nobody is served by what comes too late, while others wait */

        if (unit->jobs[i]->spec.budget && !unit->jobs[i]->spec.forced
            && clock->wall > ngx_helix_unit_deadline(unit->jobs[i])
            && ngx_helix_pool_waits(pool))
        {
            unit->results[i] = NGX_HELIX_LATE_RESULT;
        }
    }

    return 1;
}


static void
ngx_helix_clock_start(ngx_helix_pool_t *pool, ngx_helix_clock_t *clock)
{
    clock->predictive = ngx_helix_pool_predicts(pool);
    clock->wall = ngx_helix_now();
    clock->cpu = clock->predictive ? ngx_helix_cpu() : 0;
}


/* What the unit took since the last reading; the processor time of it. */

static uint64_t
ngx_helix_clock_read(ngx_helix_pool_t *pool, ngx_helix_clock_t *clock,
    ngx_helix_unit_t *unit)
{
    uint64_t  wall, cpu, wall_used, cpu_used;

    wall = ngx_helix_now();
    wall_used = wall - clock->wall;
    clock->wall = wall;
    unit->exec += wall_used;

    if (!clock->predictive) {
        return 0;
    }

    cpu = ngx_helix_cpu();
    cpu_used = cpu - clock->cpu;
    clock->cpu = cpu;
    unit->cpu += cpu_used;

    ngx_helix_pool_used(pool, cpu_used, wall_used);

    return cpu_used;
}


static ngx_uint_t
ngx_helix_unit_run_batch(ngx_helix_pool_t *pool, ngx_helix_unit_t *unit,
    ngx_helix_clock_t *clock)
{
    int                  rc;
    uint64_t             cpu;
    ngx_uint_t           i;
    ngx_helix_control_t  control;

    for ( ;; ) {
        if (ngx_helix_terminated() || !ngx_helix_unit_drop_cancelled(unit)) {
            return 1;
        }

        ngx_helix_control_init(&control,
                               ngx_helix_now() + NGX_HELIX_SLICE_THREAD, NULL);

        rc = unit->kind->step_batch(unit->states, unit->results, unit->n,
                                    &control.control);

        ngx_helix_unit_cut_batch(unit);

        if (rc != HELIX_AGAIN) {
            break;
        }

        if (clock->predictive) {
            cpu = ngx_helix_clock_read(pool, clock, unit);

            if (ngx_helix_pool_step(pool, unit, cpu)) {
                return 0;
            }
        }
    }

    /* a kind that gave up, or forgot a job */

    for (i = 0; i < unit->n; i++) {
        if (unit->results[i] == HELIX_AGAIN) {
            unit->results[i] = HELIX_FAILED;
        }
    }

    return 1;
}


/* Those whose time is up. */

static void
ngx_helix_unit_cut_batch(ngx_helix_unit_t *unit)
{
    uint64_t    now;
    ngx_uint_t  i;

    now = ngx_helix_now();

    for (i = 0; i < unit->n; i++) {
        if (unit->states[i] && unit->results[i] == HELIX_AGAIN
            && now >= ngx_helix_unit_cut(unit->jobs[i]))
        {
            unit->results[i] = NGX_HELIX_CUT_RESULT;
            unit->states[i] = NULL;
        }
    }
}


/* The number of jobs that somebody still waits for. */

static ngx_uint_t
ngx_helix_unit_drop_cancelled(ngx_helix_unit_t *unit)
{
    ngx_uint_t  i, n;

    n = 0;

    for (i = 0; i < unit->n; i++) {

        if (__atomic_load_n(&unit->jobs[i]->cancel, __ATOMIC_RELAXED)) {
            unit->states[i] = NULL;
        }

        n += (unit->states[i] != NULL);
    }

    return n;
}


void
ngx_helix_unit_end(ngx_helix_unit_t *unit)
{
    uint64_t           exec, cpu;
    ngx_uint_t         i, ran;
    ngx_helix_job_t   *job;
    ngx_helix_unit_t  *along;

    exec = unit->exec;

    /* it may have had threads of its own */

    if (unit->kind->flags & HELIX_BLOCKING) {
        unit->cpu = ngx_max(unit->cpu, exec);
    }

    if (!unit->turn) {
        ngx_helix_predict_lag(unit->jobs[0]->exec, unit->ended);
    }

    ngx_helix_count_exec(unit->jobs[0]->exec->slot, unit->lane,
                         exec / unit->n);

    ran = 0;

    for (i = 0; i < unit->n; i++) {
        ran += (unit->states[i] != NULL);
    }

    cpu = ran ? unit->cpu / ran : 0;

    if (unit->lane == HELIX_BATCH) {
        ngx_helix_predict_batch(unit->jobs[0]->exec, unit);
        ngx_helix_count_flush(unit->jobs[0]->exec->slot, unit->flush,
                              unit->n);
    }

    /* ending one job may detach others of the same unit: not sooner than in
       their own turn are they gone */

    for (i = 0; i < unit->n; i++) {
        job = unit->jobs[i];

        job->batch_size = unit->n;
        job->times.queue = unit->started - job->spec.received;
        job->times.exec = exec;
        job->cpu = unit->states[i] ? cpu : 0;

        ngx_helix_job_end(job, ngx_helix_job_result(job, unit->results[i]));
    }

    while (unit->along) {
        along = unit->along;
        unit->along = along->along;
        ngx_free(along);
    }

    ngx_free(unit);
}
