
#include "ngx_helix_lanes.h"

#include <ngx_channel.h>

#include "ngx_helix_history.h"


#define NGX_HELIX_STALE  1000000    /* ns in the event loop */

#define NGX_HELIX_TICK   100     /* ms: pressure, dead processes */
#define NGX_HELIX_ADAPT  10      /* ticks: the threshold is adapted */

#define NGX_HELIX_ADAPT_SAMPLES  10

#if (HELIX_CONCURRENCY_MAX > NGX_HELIX_TOKENS)
#error every running job needs a token
#endif


static int ngx_helix_control_stop(const helix_control_t *control);
static void ngx_helix_exec_tick(ngx_event_t *ev);
static void ngx_helix_exec_adapt(ngx_helix_exec_t *exec);
static ngx_int_t ngx_helix_exec_live(ngx_cycle_t *cycle,
    ngx_helix_exec_t *exec);


void
ngx_helix_control_init(ngx_helix_control_t *control, uint64_t until,
    const uint32_t *cancel)
{
    control->control.size = sizeof(helix_control_t);
    control->control.poll = ngx_helix_control_poll;
    control->control.stop = ngx_helix_control_stop;
    control->until = until;
    control->cancel = cancel;
}


int
ngx_helix_control_poll(const helix_control_t *control)
{
    const ngx_helix_control_t *ctl = (const ngx_helix_control_t *) control;

    return ngx_helix_control_stop(control) || ngx_helix_now() >= ctl->until;
}


static int
ngx_helix_control_stop(const helix_control_t *control)
{
    const ngx_helix_control_t *ctl = (const ngx_helix_control_t *) control;

    if (ctl->cancel && __atomic_load_n(ctl->cancel, __ATOMIC_RELAXED)) {
        return 1;
    }

    return ngx_helix_terminated();
}


ngx_helix_exec_t *
ngx_helix_exec_create(ngx_cycle_t *cycle, helix_settings_t *settings,
    const ngx_helix_conf_t *conf, ngx_helix_zone_t *zone, uint64_t generation,
    ngx_thread_pool_t *tp, const double *units, const ngx_cpuset_t *cpus,
    ngx_uint_t ncpus)
{
    ngx_helix_exec_t  *exec;

    exec = ngx_pcalloc(cycle->pool, sizeof(ngx_helix_exec_t));
    if (exec == NULL) {
        return NULL;
    }

    exec->settings = settings;
    exec->conf = conf;
    exec->zone = zone;
    exec->generation = generation;
    exec->ncpus = ncpus;
    exec->log = cycle->log;

    ngx_queue_init(&exec->jobs);
    ngx_helix_flights_init(exec);
    ngx_helix_spawn_init(exec);
    ngx_helix_turn_init(exec);

    if (ngx_helix_batches_init(cycle, exec) != NGX_OK) {
        return NULL;
    }

    exec->pool = ngx_helix_pool_create(cycle, exec, tp, cpus);
    if (exec->pool == NULL) {
        return NULL;
    }

    exec->slot = ngx_helix_slot_claim(zone, cycle->log);
    if (exec->slot == NULL) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                      "helix: all %d process slots are taken, this worker "
                      "refuses jobs until one is free", NGX_HELIX_SLOTS);
    }

    if (settings->predictive
        && ngx_helix_predict_init(cycle, exec, units, ncpus) != NGX_OK)
    {
        return NULL;
    }

    ngx_helix_record_clock(exec);

    if (ngx_helix_exec_live(cycle, exec) != NGX_OK) {
        return NULL;
    }

    exec->fd = (ngx_socket_t) -1;
    exec->tick.handler = ngx_helix_exec_tick;
    exec->tick.data = exec;
    exec->tick.log = exec->log;
    exec->tick.cancelable = 1;

    ngx_add_timer(&exec->tick, NGX_HELIX_TICK);

    return exec;
}


static ngx_int_t
ngx_helix_exec_live(ngx_cycle_t *cycle, ngx_helix_exec_t *exec)
{
    ngx_helix_config_t  *config;

    config = ngx_pcalloc(cycle->pool, 3 * sizeof(ngx_helix_config_t));
    if (config == NULL) {
        return NGX_ERROR;
    }

    exec->live.config = &config[0];
    exec->live.read = &config[1];
    exec->live.edited = &config[2];

    /* the first worker of a configuration */

    if (ngx_helix_config_read(exec->zone, exec->live.edited) == 0
        || exec->live.edited->generation < exec->generation)
    {
        (void) ngx_helix_file_adopt(exec, ngx_helix_now());
    }

    ngx_helix_live_look(exec, ngx_helix_now());

    return NGX_OK;
}


void
ngx_helix_exec_destroy(ngx_helix_exec_t *exec)
{
    ngx_queue_t      *q;
    ngx_helix_job_t  *job;

    ngx_helix_pool_close(exec->pool);
    ngx_helix_predict_close(exec);

    for (q = ngx_queue_head(&exec->jobs);
         q != ngx_queue_sentinel(&exec->jobs);
         q = ngx_queue_next(q))
    {
        job = ngx_queue_data(q, ngx_helix_job_t, link);
        job->owner = NULL;
    }

    while (!ngx_queue_empty(&exec->jobs)) {
        q = ngx_queue_head(&exec->jobs);
        job = ngx_queue_data(q, ngx_helix_job_t, link);

        /* the threads have been joined: nobody else has a unit any more */

        if (job->unit && (job->unit->taken || job->unit->along)) {
            if (--job->unit->refs == 0) {
                ngx_free(job->unit);
            }

        } else {
            (void) ngx_helix_job_remove(job);
        }

        ngx_helix_job_end(job, NGX_HELIX_CANCELLED);
    }

    ngx_helix_pool_destroy(exec->pool);

    if (exec->slot) {
        ngx_helix_slot_release(exec->zone, exec->slot);
    }

    ngx_helix_saver_close(exec);
}


static void
ngx_helix_exec_tick(ngx_event_t *ev)
{
    double             busy;
    uint64_t           now;
    ngx_uint_t         elected;
    helix_pressure_t   averages;
    ngx_helix_exec_t  *exec = ev->data;

    now = ngx_helix_now();

    if (exec->slot) {
        __atomic_store_n(&ngx_helix_slot_report(exec->slot)->seen, now,
                         __ATOMIC_RELAXED);

        if (ngx_exiting) {
            ngx_helix_slot_draining(exec->slot);
        }
    }

    ngx_helix_record_clock(exec);
    exec->waiting = ngx_helix_waiting(exec->zone, HELIX_CPU_POOL);

    if (exec->live.config->generation < exec->generation) {
        (void) ngx_helix_file_adopt(exec, now);
    }

    ngx_helix_live_look(exec, now);

    now /= 1000000;
    busy = ngx_helix_tokens_busy(exec->zone);

    ngx_helix_zone_pressure(exec->zone, now, &averages);

    exec->pressure = helix_pressure_score(&averages, now,
                                          busy / exec->settings->concurrency);

    if (exec->slot == NULL) {
        exec->slot = ngx_helix_slot_claim(exec->zone, exec->log);
    }

    elected = exec->slot
              && ngx_helix_zone_reap(exec->zone, exec->slot, exec->log);

    if (elected) {
        ngx_helix_file_look(exec, ngx_helix_now());
        ngx_helix_history_tick(exec->zone, ngx_helix_now(),
                               ngx_helix_exec_pressure(exec));
        ngx_helix_saver_tick(exec, ngx_helix_now());
    }

    if (++exec->ticks % NGX_HELIX_ADAPT == 0 && elected && !ngx_exiting) {
        ngx_helix_exec_adapt(exec);
    }

    ngx_add_timer(&exec->tick, NGX_HELIX_TICK);
}


static void
ngx_helix_exec_adapt(ngx_helix_exec_t *exec)
{
    uint64_t       n, p95, configured, threshold;
    helix_hist_t   window;

    configured = exec->settings->spawn_threshold;

    if (!exec->settings->adapt) {
        ngx_helix_zone_set_threshold(exec->zone, configured, configured);
        return;
    }

    n = ngx_helix_zone_window(exec->zone, NGX_HELIX_ADAPT_SAMPLES, &window);

    if (n == 0) {
        return;
    }

    p95 = (uint64_t) (helix_hist_quantile(&window, 0.95) / 1000000);

    threshold = ngx_helix_zone_threshold(exec->zone, configured);
    threshold = helix_threshold_adapt(exec->settings, threshold, p95, n);

    ngx_helix_zone_set_threshold(exec->zone, configured, threshold);
}


uint64_t
ngx_helix_job_budget(const ngx_helix_job_spec_t *spec)
{
    return spec->budget ? spec->budget : spec->timeout * 1000000ULL;
}


uint64_t
ngx_helix_cpu(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);

    return (uint64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}


ngx_helix_zone_t *
ngx_helix_exec_zone(ngx_helix_exec_t *exec)
{
    return exec->zone;
}


ngx_helix_slot_t *
ngx_helix_exec_slot(ngx_helix_exec_t *exec)
{
    return exec->slot;
}


ngx_helix_end_t
ngx_helix_exec_inline(ngx_helix_exec_t *exec, const ngx_helix_job_spec_t *spec,
    void *state, ngx_helix_times_t *times, double *quality)
{
    uint64_t             started, ended, until, cut, cpu;
    ngx_int_t            rc;
    ngx_uint_t           stopped;
    ngx_helix_end_t      end;
    ngx_helix_control_t  control;

    ngx_helix_count_admitted(exec->slot, spec->kind_index, HELIX_INLINE);

    started = ngx_helix_now();
    ended = started;

    ngx_helix_predict_turn(exec);
    cpu = ngx_helix_predict_sample(exec, spec->kind_index);

    cut = ngx_helix_job_cut(spec, spec->received + ngx_helix_job_budget(spec));
    until = ngx_min(cut, spec->received + spec->timeout * 1000000ULL);
    stopped = 0;
    *quality = 0;

    do {
        ngx_helix_control_init(&control,
                               ngx_min(until, ended + NGX_HELIX_SLICE_INLINE),
                               NULL);

        rc = spec->kind->step(state, &control.control);
        ended = ngx_helix_now();

        if (rc != HELIX_AGAIN) {
            break;
        }

        stopped = ngx_helix_exec_stopped();

    } while (!stopped && ended < until);

    ngx_helix_exec_stale(ended - started);
    ngx_helix_count_loop(exec->slot, ended - started);

    times->queue = started - spec->received;
    times->exec = ended - started;
    times->total = ended - spec->received;

    end = (rc == HELIX_AGAIN && !stopped) ? NGX_HELIX_EXPIRED
                                          : ngx_helix_result_end(rc);

    if (end == NGX_HELIX_EXPIRED && ended >= cut) {
        *quality = spec->kind->quality(state);

        if (*quality > 0 && *quality >= spec->min_quality) {
            end = NGX_HELIX_COMPLETED;
        }
    }

    if (exec->predict) {
        exec->predict->inlined += times->exec;
    }

    ngx_helix_job_account(exec, spec, times,
                          cpu ? ngx_helix_cpu() - cpu : times->exec,
                          cpu != 0 && *quality == 0, end);

    ngx_helix_job_level(exec, spec, end, *quality > 0);

    ngx_helix_record_end(exec, spec, times, end, *quality > 0,
                         *quality > 0 ? *quality : spec->quality);

    return end;
}


/* Timers and logs reckon from the cached time, which stood still. */

void
ngx_helix_exec_stale(uint64_t held)
{
    if (held > NGX_HELIX_STALE) {
        ngx_time_update();
    }
}


/* The master tells its workers to stop through a channel that the event loop
   reads, which the job holds; sooner or later it would kill them. */

ngx_uint_t
ngx_helix_exec_stopped(void)
{
#if (NGX_LINUX && defined SO_PEEK_OFF)

    int            offset;
    ngx_channel_t  ch;

    if (ngx_process == NGX_PROCESS_WORKER) {
        offset = 0;

        if (setsockopt(ngx_channel, SOL_SOCKET, SO_PEEK_OFF, &offset,
                       sizeof(int)) == 0)
        {
            while (recv(ngx_channel, &ch, sizeof(ngx_channel_t),
                        MSG_PEEK|MSG_DONTWAIT) == sizeof(ngx_channel_t))
            {
                if (ch.command == NGX_CMD_TERMINATE) {
                    return 1;
                }
            }
        }
    }

#endif

    return ngx_terminate;
}
