
/* What is decided, and what comes of it, goes into the ring of the worker. */

#include "ngx_helix_lanes.h"


/* records after which who reads them is to have a look: few of a ring */
#define NGX_HELIX_RECORD_ALARM  1024


static uint64_t ngx_helix_record_put(ngx_helix_exec_t *exec,
    const ngx_helix_record_t *record);
static void ngx_helix_record_time(ngx_helix_exec_t *exec,
    ngx_helix_record_t *record, uint64_t now);


/* A decision needs no look at the calendar. */

void
ngx_helix_record_clock(ngx_helix_exec_t *exec)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    exec->calendar = (uint64_t) ts.tv_sec * 1000000000 + ts.tv_nsec
                     - ngx_helix_now();
}


/* To ask all slots would be much of what a job costs that does not wait. */

uint64_t
ngx_helix_exec_waiting(ngx_helix_exec_t *exec, helix_strategy_t strategy)
{
    if (strategy == HELIX_CPU_POOL || strategy == HELIX_BATCH) {
        exec->waiting = ngx_helix_waiting(exec->zone, HELIX_CPU_POOL);
    }

    return exec->waiting;
}


void
ngx_helix_exec_watch(ngx_helix_exec_t *exec, ngx_event_t *ev)
{
    exec->watch = ev;
}


/* Requests that come pipelined can keep the event loop from its timers. */

static uint64_t
ngx_helix_record_put(ngx_helix_exec_t *exec, const ngx_helix_record_t *record)
{
    uint64_t  seq;

    seq = ngx_helix_ring_put(exec->slot, record);

    if (seq % NGX_HELIX_RECORD_ALARM == 0 && exec->watch
        && !exec->watch->posted)
    {
        ngx_post_event(exec->watch, &ngx_posted_events);
    }

    return seq;
}


static void
ngx_helix_record_time(ngx_helix_exec_t *exec, ngx_helix_record_t *record,
    uint64_t now)
{
    record->time = (now + exec->calendar) / 1000;
}


void
ngx_helix_record_decision(ngx_helix_exec_t *exec, ngx_helix_job_spec_t *spec)
{
    ngx_helix_record_t  *record;

    record = &spec->record;

    record->flags |= NGX_HELIX_DECISION;

    ngx_helix_record_time(exec, record, spec->received);

    record->decision = ngx_helix_record_put(exec, record);
}


void
ngx_helix_exec_dropped(ngx_helix_exec_t *exec, ngx_helix_job_spec_t *spec)
{
    spec->record.flags |= NGX_HELIX_DONE;
    spec->record.total = (ngx_helix_now() - spec->received) / 1000;

    ngx_helix_record_decision(exec, spec);
}


/* A job that never left the handler has both in one record. */

void
ngx_helix_record_end(ngx_helix_exec_t *exec, const ngx_helix_job_spec_t *spec,
    const ngx_helix_times_t *times, ngx_helix_end_t end, ngx_uint_t truncated,
    double quality)
{
    ngx_helix_record_t  record;

    record = spec->record;

    if (record.flags & NGX_HELIX_DECISION) {
        record.flags &= ~NGX_HELIX_DECISION;
        ngx_helix_record_time(exec, &record, spec->received + times->total);

    } else {
        record.flags |= NGX_HELIX_DECISION;
        ngx_helix_record_time(exec, &record, spec->received);
    }

    record.flags |= NGX_HELIX_DONE;
    record.end = end;
    record.queue = times->queue / 1000;
    record.exec = times->exec / 1000;
    record.total = times->total / 1000;

    if (end == NGX_HELIX_COMPLETED) {
        record.level = spec->level;

        if (truncated) {
            record.flags |= NGX_HELIX_TRUNCATED;
        }

        if (truncated || spec->level) {
            record.quality = (float) quality;
        }

        if (spec->budget && times->total > spec->budget) {
            record.flags |= NGX_HELIX_LATE;
        }
    }

    (void) ngx_helix_record_put(exec, &record);
}
