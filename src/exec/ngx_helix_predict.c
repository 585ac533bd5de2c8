
#include "ngx_helix_lanes.h"

#include <math.h>

#include "ngx_helix_base.h"


#define NGX_HELIX_STEP   (HELIX_ROUTER_TICK / 1000000)     /* ms */
#define NGX_HELIX_NSEC   1e-9
#define NGX_HELIX_WARM   50      /* jobs of a kind, before only some of */
#define NGX_HELIX_SMOOTH 8       /* samples of the lag */
#define NGX_HELIX_SAMPLE 8       /* those that run inline are looked at */

#define ngx_helix_predict_get(p)  __atomic_load_n(p, __ATOMIC_RELAXED)


static void ngx_helix_predict_tick(ngx_event_t *ev);
static void ngx_helix_predict_look(ngx_helix_exec_t *exec, uint64_t now);
static void ngx_helix_predict_turned(ngx_event_t *ev);
static void ngx_helix_predict_batchable(ngx_helix_exec_t *exec,
    const ngx_helix_job_spec_t *spec, helix_router_job_t *job);
static void ngx_helix_predict_job(const ngx_helix_job_spec_t *spec,
    helix_router_job_t *job);


ngx_int_t
ngx_helix_predict_init(ngx_cycle_t *cycle, ngx_helix_exec_t *exec,
    const double *units, ngx_uint_t ncpus)
{
    ngx_helix_predict_t  *predict;

    predict = ngx_pcalloc(cycle->pool, sizeof(ngx_helix_predict_t));
    if (predict == NULL) {
        return NGX_ERROR;
    }

    helix_router_init(&predict->router, exec->settings, &predict->none,
                      units, NGX_HELIX_KINDS, (double) ncpus,
                      ngx_helix_now());

    if (exec->slot) {
        predict->router.report = ngx_helix_slot_report(exec->slot);
    }

    predict->tick.handler = ngx_helix_predict_tick;
    predict->tick.data = exec;
    predict->tick.log = exec->log;
    predict->tick.cancelable = 1;

    predict->turn.handler = ngx_helix_predict_turned;
    predict->turn.data = exec;
    predict->turn.log = exec->log;

    exec->predict = predict;

    return NGX_OK;
}


void
ngx_helix_predict_start(ngx_helix_exec_t *exec)
{
    if (exec->predict) {
        ngx_helix_predict_look(exec, ngx_helix_now());
    }
}


void
ngx_helix_predict_close(ngx_helix_exec_t *exec)
{
    if (exec->predict == NULL) {
        return;
    }

    if (exec->predict->tick.timer_set) {
        ngx_del_timer(&exec->predict->tick);
    }

    if (exec->predict->turn.posted) {
        ngx_delete_posted_event(&exec->predict->turn);
    }
}


void
ngx_helix_exec_decide(ngx_helix_exec_t *exec, ngx_helix_job_spec_t *spec,
    float scaling, ngx_uint_t batchable, ngx_uint_t explain,
    helix_verdict_t *verdict)
{
    helix_router_t       *router;
    helix_router_job_t    job;
    helix_router_view_t   view;
    ngx_helix_predict_t  *predict;

    predict = exec->predict;
    router = &predict->router;

    ngx_helix_predict_turn(exec);

    ngx_helix_predict_job(spec, &job);

    /* of other kinds a batch is one job after the other */

    job.scaling = scaling;
    job.blocking = (spec->kind->flags & HELIX_BLOCKING);
    job.batchable = batchable && spec->kind->step_batch;

    if (job.batchable) {
        ngx_helix_predict_batchable(exec, spec, &job);
    }

    view.now = spec->received;
    view.busy = ngx_helix_tokens_busy(exec->zone);
    view.waiting = ngx_helix_waiting(exec->zone, HELIX_CPU_POOL)
                   + ngx_helix_waiting(exec->zone, HELIX_BATCH)
                   - exec->turn.n;
    view.spawned = exec->spawn.work;
    view.turn = predict->inlined;

    if (explain) {
        helix_router_explain(router, &job, &view, verdict);

    } else {
        helix_router_decide(router, &job, &view, verdict);
    }

    if (!explain && verdict->decision.strategy != HELIX_DROP) {
        helix_router_admitted(router, &job, verdict, view.now);
    }

    spec->turn = !explain && verdict->decision.strategy == HELIX_BATCH
                 && verdict->decision.reason == HELIX_CHEAP;

    if (spec->turn) {
        predict->inlined += (uint64_t) verdict->cost;
    }

    spec->service = verdict->service;
    spec->entry = verdict->entry;
}


/* With others of this turn, if it can be decided here; with those that wait for
   a thread otherwise. */

static void
ngx_helix_predict_batchable(ngx_helix_exec_t *exec,
    const ngx_helix_job_spec_t *spec, helix_router_job_t *job)
{
    helix_router_t   *router;
    helix_service_t   service;

    router = &exec->predict->router;

    service = helix_fit_predict(&router->fits[job->kind], router->drift,
                                job->work);

    job->ticks = !job->blocking && ngx_helix_turn_takes(exec, &service);

    job->joins = job->ticks
                 ? ngx_helix_turn_joins(exec, spec)
                 : ngx_helix_group_joins(exec->pool, spec,
                                         exec->settings->batch_size);
}


static void
ngx_helix_predict_job(const ngx_helix_job_spec_t *spec,
    helix_router_job_t *job)
{
    ngx_memzero(job, sizeof(helix_router_job_t));

    job->kind = spec->kind_index;
    job->work = spec->work;
    job->received = spec->received;

    /* what the timeout would end is not begun */

    job->budget = ngx_min(ngx_helix_job_budget(spec),
                          spec->timeout * 1000000ULL);
}


uint64_t
ngx_helix_exec_retry(ngx_helix_exec_t *exec, const helix_service_t *service)
{
    return helix_router_retry(&exec->predict->router, service, ngx_helix_now(),
                              (uint32_t) ngx_random() << 1);
}


uint64_t
ngx_helix_predict_sample(ngx_helix_exec_t *exec, ngx_uint_t kind)
{
    ngx_helix_predict_t  *predict;

    predict = exec->predict;

    if (predict == NULL
        || (predict->router.fits[kind].n > NGX_HELIX_WARM
            && predict->inlines++ % NGX_HELIX_SAMPLE))
    {
        return 0;
    }

    return ngx_helix_cpu();
}


/* The first thing that helix does in a turn of the event loop: from here until
   the turn's posted events the loop is busy. */

void
ngx_helix_predict_turn(ngx_helix_exec_t *exec)
{
    uint64_t              now;
    ngx_helix_predict_t  *predict;

    predict = exec->predict;

    if (predict == NULL || predict->turn.posted) {
        return;
    }

    now = ngx_helix_now();

    predict->started = now;
    predict->inlined = 0;
    predict->turns++;

    ngx_post_event(&predict->turn, &ngx_posted_events);

    if (now - predict->router.ticked >= 2ULL * HELIX_ROUTER_TICK) {
        ngx_helix_predict_look(exec, now);
    }

    if (!predict->tick.timer_set) {
        ngx_add_timer(&predict->tick, NGX_HELIX_STEP);
    }
}


static void
ngx_helix_predict_turned(ngx_event_t *ev)
{
    ngx_helix_exec_t  *exec = ev->data;

    /* requests that a client has sent together come one after the other */

    if (!ngx_queue_empty(&ngx_posted_events)) {
        ngx_post_event(ev, &ngx_posted_events);
        return;
    }

    /* and so may those that what has waited for the end makes room for */

    if (ngx_helix_turn_run(exec)) {
        ngx_post_event(ev, &ngx_posted_events);
        return;
    }

    helix_router_turned(&exec->predict->router,
                        ngx_helix_now() - exec->predict->started);
}


static void
ngx_helix_predict_tick(ngx_event_t *ev)
{
    ngx_helix_exec_t     *exec = ev->data;
    ngx_helix_predict_t  *predict;

    predict = exec->predict;

    ngx_helix_predict_look(exec, ngx_helix_now());

    if (predict->turns || !ngx_queue_empty(&exec->jobs)) {
        predict->turns = 0;
        ngx_add_timer(&predict->tick, NGX_HELIX_STEP);
    }
}


static void
ngx_helix_predict_look(ngx_helix_exec_t *exec, uint64_t now)
{
    bool                   alive[NGX_HELIX_REPORTS];
    ngx_uint_t             n;
    helix_router_t        *router;
    const helix_report_t  *reports[NGX_HELIX_REPORTS];

    if (exec->slot == NULL) {
        return;
    }

    router = &exec->predict->router;
    router->report = ngx_helix_slot_report(exec->slot);
    router->nkinds = ngx_helix_zone_kinds(exec->zone);

    n = ngx_helix_zone_reports(exec->zone, reports, alive);

    helix_router_tick(router, reports, alive, n, now);
}


void
ngx_helix_predict_lag(ngx_helix_exec_t *exec, uint64_t ended)
{
    if (exec->predict) {
        ngx_helix_predict_turn(exec);
        exec->predict->lag += ((double) (ngx_helix_now() - ended)
                               - exec->predict->lag) / NGX_HELIX_SMOOTH;
    }
}


void
ngx_helix_predict_ended(ngx_helix_exec_t *exec,
    const ngx_helix_job_spec_t *spec, uint64_t cpu, ngx_uint_t alone,
    ngx_helix_end_t end, ngx_uint_t late)
{
    helix_router_job_t  job;

    if (exec->predict == NULL) {
        return;
    }

    ngx_helix_predict_job(spec, &job);

    helix_router_ended(&exec->predict->router, &job, &spec->service, cpu,
                       end == NGX_HELIX_COMPLETED && alone && cpu,
                       end == NGX_HELIX_COMPLETED && !late);
}


void
ngx_helix_predict_batch(ngx_helix_exec_t *exec, ngx_helix_unit_t *unit)
{
    double      others;
    ngx_uint_t  i;

    if (exec->predict == NULL || unit->n < 2) {
        return;
    }

    others = 0;

    for (i = 0; i < unit->n; i++) {

        if (unit->results[i] != HELIX_DONE) {
            return;
        }

        others += i ? unit->jobs[i]->spec.service.mean : 0;
    }

    helix_router_batched(&exec->predict->router,
                         unit->jobs[0]->spec.kind_index, unit->n,
                         unit->jobs[0]->spec.service.mean, others, unit->cpu);
}


void
ngx_helix_exec_insight(ngx_helix_exec_t *exec, ngx_helix_insight_t *insight)
{
    bool                   alive[NGX_HELIX_REPORTS];
    ngx_uint_t             i, n;
    helix_report_t         sum;
    uint64_t               now;
    helix_router_t        *router;
    const helix_report_t  *reports[NGX_HELIX_REPORTS];

    ngx_memzero(insight, sizeof(ngx_helix_insight_t));

    if (exec->predict == NULL || exec->slot == NULL) {
        return;
    }

    router = &exec->predict->router;
    now = ngx_helix_now();

    /* who asks often does not make the policy look more often */

    if (now - router->ticked >= HELIX_ROUTER_TICK) {
        ngx_helix_predict_look(exec, now);
    }

    ngx_memzero(&sum, offsetof(helix_report_t, backlog));

    n = ngx_helix_zone_reports(exec->zone, reports, alive);

    for (i = 0; i < n; i++) {
        sum.known += ngx_helix_predict_get(&reports[i]->known);
        sum.within += ngx_helix_predict_get(&reports[i]->within);
        sum.predicted += ngx_helix_predict_get(&reports[i]->predicted);
        sum.actual += ngx_helix_predict_get(&reports[i]->actual);
    }

    insight->capacity = helix_router_capacity(router);
    insight->efficiency = router->efficiency;
    insight->demand = router->demand;
    insight->queued = router->queued * NGX_HELIX_NSEC;
    insight->margin = router->margin;
    insight->waste = router->waste;
    insight->loop = router->loop;
    insight->lag = exec->predict->lag * NGX_HELIX_NSEC;
    insight->limit = router->limit * NGX_HELIX_NSEC;
    insight->drift = exp(router->drift);
    insight->within = (double) sum.within / ngx_max(sum.known, 1);
    insight->accuracy = (double) sum.actual / ngx_max(sum.predicted, 1);
    insight->spent = (double) ngx_helix_zone_extra(exec->zone,
                                                   NGX_HELIX_SPENT)
                     * NGX_HELIX_NSEC;
    insight->wasted = (double) ngx_helix_zone_extra(exec->zone,
                                                    NGX_HELIX_WASTED)
                      * NGX_HELIX_NSEC;
}


void
ngx_helix_exec_kind(ngx_helix_exec_t *exec, ngx_uint_t kind, double *service,
    double *share, double *samples)
{
    helix_fit_t      *fit;
    helix_router_t   *router;

    *service = 0;
    *share = 0;
    *samples = 0;

    if (exec->predict == NULL || exec->slot == NULL) {
        return;
    }

    router = &exec->predict->router;
    fit = &router->fits[kind];

    *share = router->share[kind];
    *samples = fit->n;

    if (fit->n > 0) {
        *service = exp(fit->intercept + router->drift
                       + fit->slope * fit->center) * NGX_HELIX_NSEC;
    }
}
