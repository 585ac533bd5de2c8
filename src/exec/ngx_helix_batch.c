
#include "ngx_helix_lanes.h"


static void ngx_helix_batch_timer(ngx_event_t *ev);
static void ngx_helix_batch_flush(ngx_helix_batch_t *batch,
    helix_flush_t reason);


ngx_int_t
ngx_helix_batches_init(ngx_cycle_t *cycle, ngx_helix_exec_t *exec)
{
    ngx_uint_t          i;
    ngx_helix_batch_t  *batch;

    batch = ngx_pcalloc(cycle->pool,
                        NGX_HELIX_KINDS * sizeof(ngx_helix_batch_t));
    if (batch == NULL) {
        return NGX_ERROR;
    }

    exec->batches = batch;

    for (i = 0; i < NGX_HELIX_KINDS; i++) {
        batch[i].fd = (ngx_socket_t) -1;
        batch[i].exec = exec;
        batch[i].timer.handler = ngx_helix_batch_timer;
        batch[i].timer.data = &batch[i];
        batch[i].timer.log = exec->log;
    }

    return NGX_OK;
}


ngx_int_t
ngx_helix_batch_add(ngx_helix_job_t *job)
{
    ngx_helix_batch_t       *batch;
    const helix_settings_t  *settings;

    settings = job->exec->settings;
    batch = &job->exec->batches[job->spec.kind_index];

    if (batch->unit
        && batch->unit->jobs[0]->spec.batch_key != job->spec.batch_key)
    {
        ngx_helix_batch_flush(batch, HELIX_FLUSH_SLACK);
    }

    if (batch->unit == NULL) {
        batch->unit = ngx_helix_unit_create(job, settings->batch_size);
        if (batch->unit == NULL) {
            return NGX_ERROR;
        }

        ngx_add_timer(&batch->timer, settings->batch_delay);

    } else {
        ngx_helix_unit_push(batch->unit, job);
    }

    /* who goes does not wait for others */

    if (ngx_exiting) {
        ngx_helix_batch_flush(batch, HELIX_FLUSH_SHUTDOWN);

    } else if (batch->unit->n >= settings->batch_size
               || batch->unit->n == batch->unit->room)
    {
        ngx_helix_batch_flush(batch, HELIX_FLUSH_FULL);
    }

    return NGX_OK;
}


/* What waits has waited since its first job came. */

void
ngx_helix_batches_apply(ngx_helix_exec_t *exec)
{
    uint64_t            waited;
    ngx_uint_t          i;
    ngx_helix_batch_t  *batch;

    for (i = 0; i < NGX_HELIX_KINDS; i++) {
        batch = &exec->batches[i];

        if (batch->unit == NULL) {
            continue;
        }

        if (batch->unit->n >= exec->settings->batch_size) {
            ngx_helix_batch_flush(batch, HELIX_FLUSH_FULL);
            continue;
        }

        waited = (ngx_helix_now() - batch->unit->jobs[0]->spec.received)
                 / 1000000;

        /* a timer that is set anew is not moved by a little */

        ngx_del_timer(&batch->timer);
        ngx_add_timer(&batch->timer, (waited < exec->settings->batch_delay)
                                     ? exec->settings->batch_delay - waited
                                     : 1);
    }
}


void
ngx_helix_batch_forget(ngx_helix_exec_t *exec, ngx_helix_unit_t *unit)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HELIX_KINDS; i++) {
        if (exec->batches[i].unit == unit) {
            exec->batches[i].unit = NULL;
            ngx_del_timer(&exec->batches[i].timer);
            return;
        }
    }
}


static void
ngx_helix_batch_timer(ngx_event_t *ev)
{
    ngx_helix_batch_flush(ev->data, HELIX_FLUSH_DELAY);
}


static void
ngx_helix_batch_flush(ngx_helix_batch_t *batch, helix_flush_t reason)
{
    ngx_helix_unit_t  *unit;

    unit = batch->unit;
    unit->flush = reason;
    batch->unit = NULL;

    if (batch->timer.timer_set) {
        ngx_del_timer(&batch->timer);
    }

    ngx_helix_pool_add(batch->exec->pool, unit);
}
