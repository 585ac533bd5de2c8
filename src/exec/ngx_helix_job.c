
/* The life of a deferred job, from admission to its one end. */

#include "ngx_helix_lanes.h"


/* A job that its owner left holds the worker until its thread lets go. */
#define NGX_HELIX_HOLD   1000


static void ngx_helix_job_expire(ngx_event_t *ev);
static void ngx_helix_job_free(ngx_helix_job_t *job);
static void ngx_helix_job_decide(ngx_helix_job_t *job, ngx_helix_end_t end);
static ngx_int_t ngx_helix_lane_add(ngx_helix_job_t *job);


ngx_int_t
ngx_helix_exec_admit(ngx_helix_exec_t *exec, helix_strategy_t strategy)
{
    return ngx_helix_wait_enter(exec->zone, exec->slot, strategy,
                                exec->settings->queue);
}


ngx_helix_job_t *
ngx_helix_job_create(ngx_helix_exec_t *exec, const ngx_helix_job_spec_t *spec)
{
    size_t            size, all;
    ngx_helix_job_t  *job;

    size = ngx_align(sizeof(ngx_helix_job_t), 64);
    all = size + ngx_align(spec->memory, 64) + spec->identity.len;

    if (ngx_helix_memory_take(exec->zone, exec->slot, all + spec->extra,
                              exec->settings->memory)
        != NGX_OK)
    {
        ngx_helix_wait_leave(exec->slot, spec->strategy, 1);
        return NULL;
    }

    job = ngx_memalign(64, all, exec->log);
    if (job == NULL) {
        ngx_helix_memory_give(exec->slot, all + spec->extra);
        ngx_helix_wait_leave(exec->slot, spec->strategy, 1);
        return NULL;
    }

    ngx_memzero(job, sizeof(ngx_helix_job_t));

    ngx_helix_job_init(job, exec, spec);

    job->state = (u_char *) job + size;
    job->memory = all + spec->extra;

    job->spec.identity.data = (u_char *) job + all - spec->identity.len;

    if (spec->identity.len) {
        ngx_memcpy(job->spec.identity.data, spec->identity.data,
                   spec->identity.len);
    }

    return job;
}


void
ngx_helix_job_init(ngx_helix_job_t *job, ngx_helix_exec_t *exec,
    const ngx_helix_job_spec_t *spec)
{
    job->fd = (ngx_socket_t) -1;
    job->spec = *spec;
    job->exec = exec;
    job->result = HELIX_AGAIN;
    job->batch_size = 1;
    job->quality = spec->quality;
    job->deadline = spec->received + ngx_helix_job_budget(spec);

    ngx_queue_init(&job->followers);

    job->timer.handler = ngx_helix_job_expire;
    job->timer.data = job;
    job->timer.log = exec->log;
}


uint64_t
ngx_helix_job_cut(const ngx_helix_job_spec_t *spec, uint64_t deadline)
{
    return (spec->anytime && !spec->forced) ? deadline - NGX_HELIX_REPLY
                                            : (uint64_t) -1;
}


ngx_int_t
ngx_helix_job_start(ngx_helix_job_t *job, void *owner, ngx_helix_done_pt done)
{
    ngx_helix_exec_t  *exec;

    exec = job->exec;

    job->owner = owner;
    job->done = done;

    if (ngx_helix_lane_add(job) != NGX_OK) {
        ngx_helix_wait_leave(exec->slot, job->spec.strategy, 1);
        ngx_helix_job_free(job);
        return NGX_ERROR;
    }

    ngx_helix_flight_add(job);

    ngx_helix_count_admitted(exec->slot, job->spec.kind_index,
                             job->spec.strategy);
    ngx_helix_record_decision(exec, &job->spec);

    ngx_queue_insert_tail(&exec->jobs, &job->link);

    /* not cancelable: it also keeps an exiting worker until the job ends */

    ngx_add_timer(&job->timer, job->spec.timeout);

    return NGX_OK;
}


static ngx_int_t
ngx_helix_lane_add(ngx_helix_job_t *job)
{
    ngx_uint_t         n;
    ngx_helix_unit_t  *unit;

    ngx_helix_predict_turn(job->exec);

    switch (job->spec.strategy) {

    case HELIX_SPAWN:
        ngx_helix_spawn_add(job);
        return NGX_OK;

    case HELIX_BATCH:
        if (job->exec->predict == NULL) {
            return ngx_helix_batch_add(job);
        }

        if (job->spec.turn) {
            return ngx_helix_turn_add(job);
        }

        n = job->exec->settings->batch_size;
        break;

    default: /* HELIX_CPU_POOL */
        n = 1;
    }

    unit = ngx_helix_unit_create(job, n);
    if (unit == NULL) {
        return NGX_ERROR;
    }

    ngx_helix_pool_enter(job->exec->pool, job);
    ngx_helix_pool_add(job->exec->pool, unit);

    return NGX_OK;
}


ngx_int_t
ngx_helix_job_remove(ngx_helix_job_t *job)
{
    ngx_helix_job_t  *leader;

    leader = job->leader;

    if (leader) {
        ngx_queue_remove(&job->follow);
        job->leader = NULL;
        job->state = NULL;
        job->times.queue = ngx_helix_now() - job->spec.received;

        if (leader->ending && ngx_queue_empty(&leader->followers)) {
            ngx_helix_job_abandon(leader);
        }

        return NGX_OK;
    }

    if (job->spec.strategy == HELIX_SPAWN) {
        ngx_helix_spawn_remove(job);
        return NGX_OK;
    }

    return ngx_helix_unit_remove(job);
}


void
ngx_helix_job_detach(ngx_helix_job_t *job)
{
    job->owner = NULL;

    ngx_helix_job_decide(job, NGX_HELIX_CANCELLED);
}


static void
ngx_helix_job_expire(ngx_event_t *ev)
{
    ngx_helix_job_t  *job = ev->data;

    if (job->ending) {
        ngx_helix_job_abandon(job);
        return;
    }

    ngx_helix_job_decide(job, NGX_HELIX_EXPIRED);
}


/* Ends a job that waits; one that runs is told to stop, and only its owner
   learns of the end before it really is one. */

static void
ngx_helix_job_decide(ngx_helix_job_t *job, ngx_helix_end_t end)
{
    uint64_t  now, started;

    /* the answer to one may end the request of another */

    if (job->over) {
        job->end = end;
        return;
    }

    /* others may wait for what its own owner does not want any more */

    if (ngx_queue_empty(&job->followers)) {

        if (ngx_helix_job_remove(job) == NGX_OK) {
            ngx_helix_job_end(job, end);
            return;
        }

        __atomic_store_n(&job->cancel, 1, __ATOMIC_RELAXED);
    }

    if (!job->ending) {
        job->end = end;
        job->ending = 1;
    }

    if (!job->timer.timer_set && ngx_queue_empty(&job->followers)) {
        ngx_add_timer(&job->timer, NGX_HELIX_HOLD);
    }

    if (job->owner) {
        now = ngx_helix_now();
        started = (job->unit && job->unit->started) ? job->unit->started : now;

        job->times.queue = started - job->spec.received;
        job->times.exec = now - started;
        job->times.total = now - job->spec.received;

        /* this may end the requests of those who follow, the last of them too,
           and so the job itself */

        job->over = 1;
        job->done(job);
        job->over = 0;
        job->owner = NULL;

        ngx_helix_job_abandon(job);
    }
}


/* One that runs is told to stop, and looked at until its thread lets go: it
   may also have made way for another job. */

void
ngx_helix_job_abandon(ngx_helix_job_t *job)
{
    if (job->over || !ngx_queue_empty(&job->followers)) {
        return;
    }

    if (ngx_helix_job_remove(job) == NGX_OK) {
        ngx_helix_job_end(job, job->end);
        return;
    }

    __atomic_store_n(&job->cancel, 1, __ATOMIC_RELAXED);

    if (!job->timer.timer_set) {
        ngx_add_timer(&job->timer, NGX_HELIX_HOLD);
    }
}


ngx_helix_end_t
ngx_helix_job_result(ngx_helix_job_t *job, uint8_t result)
{
    double  quality;

    if (result != NGX_HELIX_CUT_RESULT) {
        return ngx_helix_result_end(result);
    }

    quality = job->spec.kind->quality(job->state);

    if (quality <= 0) {
        return NGX_HELIX_EXPIRED;
    }

    job->truncated = 1;
    job->quality = quality;

    return NGX_HELIX_COMPLETED;
}


ngx_helix_end_t
ngx_helix_result_end(uint8_t result)
{
    switch (result) {

    case HELIX_DONE:
        return NGX_HELIX_COMPLETED;

    case HELIX_AGAIN:
        return NGX_HELIX_CANCELLED;

    case NGX_HELIX_SHED_RESULT:
        return NGX_HELIX_SHED;

    case NGX_HELIX_LATE_RESULT:
    case NGX_HELIX_CUT_RESULT:
        return NGX_HELIX_EXPIRED;

    default: /* HELIX_FAILED */
        return NGX_HELIX_FAILED;
    }
}


void
ngx_helix_job_end(ngx_helix_job_t *job, ngx_helix_end_t end)
{
    if (!job->ending) {
        job->end = (end == NGX_HELIX_COMPLETED && job->truncated
                    && job->quality < job->spec.min_quality)
                   ? NGX_HELIX_EXPIRED : end;
        job->ending = 1;
    }

    job->over = 1;

    ngx_helix_flight_remove(job);
    ngx_helix_flight_end(job, end);

    ngx_helix_job_finish(job);
}


void
ngx_helix_job_finish(ngx_helix_job_t *job)
{
    if (job->timer.timer_set) {
        ngx_del_timer(&job->timer);
    }

    ngx_queue_remove(&job->link);

    job->times.total = ngx_helix_now() - job->spec.received;

    /* a deferred job is timed by the wall, which others share */

    ngx_helix_job_account(job->exec, &job->spec, &job->times, job->cpu,
                          job->batch_size == 1 && !job->truncated
                          && job->spec.strategy != HELIX_SPAWN, job->end);

    ngx_helix_job_level(job->exec, &job->spec, job->end, job->truncated);

    if (job->spec.strategy == HELIX_BATCH) {
        job->spec.record.batch = job->batch_size;
    }

    ngx_helix_record_end(job->exec, &job->spec, &job->times, job->end,
                         job->truncated, job->quality);

    if (job->owner) {
        job->done(job);
    }

    ngx_helix_job_free(job);
}


static void
ngx_helix_job_free(ngx_helix_job_t *job)
{
    /* one that follows has nothing of its own */

    if (job->memory) {
        if (job->spec.kind->clear) {
            job->spec.kind->clear(job->state);
        }

        ngx_helix_memory_give(job->exec->slot, job->memory);
    }

    ngx_free(job);
}


void
ngx_helix_job_level(ngx_helix_exec_t *exec, const ngx_helix_job_spec_t *spec,
    ngx_helix_end_t end, ngx_uint_t truncated)
{
    if (end == NGX_HELIX_COMPLETED && (truncated || spec->level)) {
        ngx_helix_count_approximated(exec->slot, spec->kind_index,
                                     truncated ? 0 : spec->level);
    }
}


void
ngx_helix_job_account(ngx_helix_exec_t *exec, const ngx_helix_job_spec_t *spec,
    const ngx_helix_times_t *times, uint64_t cpu, ngx_uint_t alone,
    ngx_helix_end_t end)
{
    double      latency, busy;
    uint64_t    budget, now;
    ngx_uint_t  late;

    late = (end == NGX_HELIX_COMPLETED && spec->budget
            && times->total > spec->budget);

    ngx_helix_count_ended(exec->slot, spec->kind_index, spec->strategy, end,
                          late);

    ngx_helix_predict_ended(exec, spec, cpu, alone, end, late);

    if (end != NGX_HELIX_COMPLETED) {
        return;
    }

    ngx_helix_count_times(exec->slot, spec->kind_index, spec->strategy,
                          times->queue, times->exec, times->total);

    now = (spec->received + times->total) / 1000000;

    ngx_helix_count_latency(exec->slot, spec->strategy, exec->settings->alpha,
                            now, times->total);

    /* without a budget a job has all the time of its timeout */

    budget = spec->budget ? spec->budget : spec->timeout * 1000000ULL;

    latency = (double) times->total / ngx_max(budget, 1);
    busy = (double) ngx_helix_tokens_busy(exec->zone)
           / exec->settings->concurrency;

    helix_pressure_record(ngx_helix_slot_pressure(exec->slot),
                          exec->settings->alpha, now, busy, 0, latency);
}
