
#include "ngx_helix_lanes.h"


static void ngx_helix_spawn_turn(ngx_event_t *ev);
static ngx_uint_t ngx_helix_spawn_step(ngx_helix_job_t *job, uint64_t until);


void
ngx_helix_spawn_init(ngx_helix_exec_t *exec)
{
    ngx_queue_init(&exec->spawn.jobs);

    exec->spawn.event.handler = ngx_helix_spawn_turn;
    exec->spawn.event.data = exec;
    exec->spawn.event.log = exec->log;
}


void
ngx_helix_spawn_add(ngx_helix_job_t *job)
{
    ngx_helix_spawn_t  *spawn;

    spawn = &job->exec->spawn;

    ngx_queue_insert_tail(&spawn->jobs, &job->turn);
    spawn->work += (uint64_t) job->spec.service.mean;

    /* the next turn's list: one slice a turn, after the I/O of that turn */

    ngx_post_event(&spawn->event, &ngx_posted_next_events);
}


void
ngx_helix_spawn_remove(ngx_helix_job_t *job)
{
    ngx_queue_remove(&job->turn);
    job->exec->spawn.work -= (uint64_t) job->spec.service.mean;

    ngx_helix_wait_leave(job->exec->slot, HELIX_SPAWN, 1);

    if (job->times.exec == 0) {
        job->times.queue = ngx_helix_now() - job->spec.received;
    }
}


static void
ngx_helix_spawn_turn(ngx_event_t *ev)
{
    uint64_t            until;
    ngx_queue_t        *q;
    ngx_helix_exec_t   *exec = ev->data;
    ngx_helix_job_t    *job;
    ngx_helix_spawn_t  *spawn;

    ngx_helix_predict_turn(exec);

    spawn = &exec->spawn;
    until = ngx_helix_now() + NGX_HELIX_SLICE_SPAWN;

    while (!ngx_queue_empty(&spawn->jobs)) {
        q = ngx_queue_head(&spawn->jobs);
        job = ngx_queue_data(q, ngx_helix_job_t, turn);

        if (ngx_helix_spawn_step(job, until)) {
            ngx_helix_spawn_remove(job);
            ngx_helix_count_exec(exec->slot, HELIX_SPAWN, job->times.exec);
            ngx_helix_job_end(job, ngx_helix_job_result(job, job->result));

        } else {
            ngx_queue_remove(&job->turn);
            ngx_queue_insert_tail(&spawn->jobs, &job->turn);
        }

        if (ngx_terminate || ngx_helix_now() >= until) {
            break;
        }
    }

    if (!ngx_queue_empty(&spawn->jobs)) {
        ngx_post_event(&spawn->event, &ngx_posted_next_events);
    }
}


/* True when the job has ended. */

static ngx_uint_t
ngx_helix_spawn_step(ngx_helix_job_t *job, uint64_t until)
{
    uint64_t             started, ran, cut;
    ngx_helix_control_t  control;

    started = ngx_helix_now();
    cut = ngx_helix_job_cut(&job->spec, job->deadline);

    if (job->times.exec == 0) {
        job->times.queue = started - job->spec.received;
    }

    ngx_helix_control_init(&control, ngx_min(until, cut), NULL);

    job->result = job->spec.kind->step(job->state, &control.control);

    /* never 0: it tells a job that has run from one that has not */

    ran = ngx_max(ngx_helix_now() - started, 1);

    job->times.exec += ran;
    job->cpu = job->times.exec;

    ngx_helix_count_loop(job->exec->slot, ran);

    if (job->result == HELIX_AGAIN && cut != (uint64_t) -1
        && ngx_helix_now() >= cut)
    {
        job->result = NGX_HELIX_CUT_RESULT;
    }

    return job->result != HELIX_AGAIN;
}
