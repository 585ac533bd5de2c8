
/*
 * Jobs that are cheap enough for the event loop, of a kind that gains by
 * batches: they are run at the end of the turn in which they came, together
 * with those of their kind and batch key.
 */

#include "ngx_helix_lanes.h"


#define NGX_HELIX_TURN_LOOK   8          /* units, last first */
#define NGX_HELIX_TURN_WORTH  10000.0    /* ns: what is shorter does not pay
                                            for a life of its own */


static ngx_helix_unit_t *ngx_helix_turn_find(ngx_helix_exec_t *exec,
    const ngx_helix_job_spec_t *spec);
static uint64_t ngx_helix_turn_until(ngx_helix_job_t *job);
static void ngx_helix_turn_unit(ngx_helix_exec_t *exec,
    ngx_helix_unit_t *unit);
static void ngx_helix_turn_steps(ngx_helix_unit_t *unit);
static uint64_t ngx_helix_turn_slice(ngx_helix_unit_t *unit);
static ngx_uint_t ngx_helix_turn_goes_on(ngx_helix_unit_t *unit);


void
ngx_helix_turn_init(ngx_helix_exec_t *exec)
{
    ngx_queue_init(&exec->turn.units);
}


ngx_uint_t
ngx_helix_turn_takes(ngx_helix_exec_t *exec, const helix_service_t *service)
{
    return service->mean >= NGX_HELIX_TURN_WORTH
           && service->high <= exec->predict->router.limit;
}


ngx_uint_t
ngx_helix_turn_joins(ngx_helix_exec_t *exec, const ngx_helix_job_spec_t *spec)
{
    return ngx_helix_turn_find(exec, spec) != NULL;
}


/* Clients choose keys: among many of them a job may stay alone. */

static ngx_helix_unit_t *
ngx_helix_turn_find(ngx_helix_exec_t *exec, const ngx_helix_job_spec_t *spec)
{
    ngx_uint_t             i;
    ngx_queue_t           *q;
    ngx_helix_unit_t      *unit;
    ngx_helix_job_spec_t  *first;

    q = ngx_queue_last(&exec->turn.units);

    for (i = 0; i < NGX_HELIX_TURN_LOOK; i++) {

        if (q == ngx_queue_sentinel(&exec->turn.units)) {
            return NULL;
        }

        unit = ngx_queue_data(q, ngx_helix_unit_t, member);
        first = &unit->jobs[0]->spec;

        if (first->kind_index == spec->kind_index
            && first->batch_key == spec->batch_key
            && unit->n < exec->settings->batch_size && unit->n < unit->room)
        {
            return unit;
        }

        q = ngx_queue_prev(q);
    }

    return NULL;
}


ngx_int_t
ngx_helix_turn_add(ngx_helix_job_t *job)
{
    ngx_helix_exec_t  *exec;
    ngx_helix_unit_t  *unit;

    exec = job->exec;

    unit = ngx_helix_turn_find(exec, &job->spec);

    if (unit) {
        ngx_helix_unit_push(unit, job);

    } else {
        unit = ngx_helix_unit_create(job, exec->settings->batch_size);
        if (unit == NULL) {
            return NGX_ERROR;
        }

        unit->turn = 1;
        ngx_queue_insert_tail(&exec->turn.units, &unit->member);
    }

    exec->turn.n++;

    return NGX_OK;
}


void
ngx_helix_turn_leave(ngx_helix_exec_t *exec, ngx_helix_unit_t *unit)
{
    exec->turn.n--;

    if (unit->n == 0) {
        ngx_queue_remove(&unit->member);
    }
}


ngx_uint_t
ngx_helix_turn_run(ngx_helix_exec_t *exec)
{
    ngx_queue_t       *q;
    ngx_helix_unit_t  *unit;

    if (ngx_queue_empty(&exec->turn.units)) {
        return 0;
    }

    /* an answer may bring more of them: they are of this turn and count as
       such, so that there is an end */

    while (!ngx_queue_empty(&exec->turn.units)) {
        q = ngx_queue_head(&exec->turn.units);
        unit = ngx_queue_data(q, ngx_helix_unit_t, member);

        ngx_queue_remove(q);
        exec->turn.n -= unit->n;

        ngx_helix_turn_unit(exec, unit);
    }

    return 1;
}


static void
ngx_helix_turn_unit(ngx_helix_exec_t *exec, ngx_helix_unit_t *unit)
{
    uint64_t  cpu;

    unit->taken = 1;
    unit->flush = (unit->n >= exec->settings->batch_size
                   || unit->n == unit->room)
                  ? HELIX_FLUSH_FULL : HELIX_FLUSH_IDLE;

    ngx_helix_wait_leave(exec->slot, unit->lane, unit->n);

    unit->started = ngx_helix_now();
    unit->ended = unit->started;
    cpu = ngx_helix_cpu();

    ngx_helix_turn_steps(unit);

    unit->cpu = ngx_helix_cpu() - cpu;
    unit->exec = unit->ended - unit->started;

    ngx_helix_exec_stale(unit->exec);
    ngx_helix_count_loop(exec->slot, unit->exec);

    ngx_helix_unit_end(unit);
}


/* What is left at HELIX_AGAIN was stopped. */

static void
ngx_helix_turn_steps(ngx_helix_unit_t *unit)
{
    ngx_int_t            rc;
    ngx_uint_t           i;
    ngx_helix_control_t  control;

    do {
        ngx_helix_control_init(&control, ngx_helix_turn_slice(unit), NULL);

        if (unit->n == 1) {
            rc = unit->kind->step(unit->states[0], &control.control);
            unit->results[0] = (uint8_t) rc;

        } else {
            rc = unit->kind->step_batch(unit->states, unit->results, unit->n,
                                        &control.control);
        }

        unit->ended = ngx_helix_now();

        if (rc != HELIX_AGAIN) {

            /* a kind that gave up, or forgot a job */

            for (i = 0; i < unit->n; i++) {
                if (unit->results[i] == HELIX_AGAIN) {
                    unit->results[i] = HELIX_FAILED;
                }
            }

            return;
        }

    } while (ngx_helix_turn_goes_on(unit) && !ngx_helix_exec_stopped());
}


/* The end of the next slice: the first of the jobs whose time is up. */

static uint64_t
ngx_helix_turn_slice(ngx_helix_unit_t *unit)
{
    uint64_t    until, end;
    ngx_uint_t  i;

    until = unit->ended + NGX_HELIX_SLICE_INLINE;

    for (i = 0; i < unit->n; i++) {
        if (unit->results[i] == HELIX_AGAIN) {
            end = ngx_helix_turn_until(unit->jobs[i]);
            until = ngx_min(until, end);
        }
    }

    return until;
}


/* Ends those whose time is up; are there others? */

static ngx_uint_t
ngx_helix_turn_goes_on(ngx_helix_unit_t *unit)
{
    ngx_uint_t        i, n;
    ngx_helix_job_t  *job;

    n = 0;

    for (i = 0; i < unit->n; i++) {
        job = unit->jobs[i];

        if (unit->results[i] != HELIX_AGAIN) {
            continue;
        }

        if (unit->ended < ngx_helix_turn_until(job)) {
            n++;
            continue;
        }

        unit->results[i] = (unit->ended >= ngx_helix_job_cut(&job->spec,
                                                             job->deadline))
                           ? NGX_HELIX_CUT_RESULT : NGX_HELIX_LATE_RESULT;

        /* of a batch it has left */

        if (unit->n > 1) {
            unit->states[i] = NULL;
        }
    }

    return n;
}


/* When the job is to be cut short, or the last who waits for it gives up: its
   timer does not fire while it runs here. */

static uint64_t
ngx_helix_turn_until(ngx_helix_job_t *job)
{
    uint64_t          until, end;
    ngx_queue_t      *q;
    ngx_helix_job_t  *other;

    until = job->spec.received + job->spec.timeout * 1000000ULL;

    for (q = ngx_queue_head(&job->followers);
         q != ngx_queue_sentinel(&job->followers);
         q = ngx_queue_next(q))
    {
        other = ngx_queue_data(q, ngx_helix_job_t, follow);
        end = other->spec.received + other->spec.timeout * 1000000ULL;
        until = ngx_max(until, end);
    }

    end = ngx_helix_job_cut(&job->spec, job->deadline);

    return ngx_min(until, end);
}
