
#include "helix_router.h"

#include <math.h>
#include <string.h>


#define HELIX_INLINE_START    100000.0     /* ns */

#define HELIX_MARGIN_START    2.5


#define HELIX_SHARE_BACKLOG   20e6         /* ns of work, and */
#define HELIX_SHARE_BUDGET    0.25         /* of a budget: below it shares do
                                              not bind */

#define HELIX_PROBE           1e9          /* ns */
#define HELIX_PROBE_SHARE     20           /* budgets from one to the next */

#define HELIX_REJOIN          100          /* ticks; in one of them */

#define HELIX_RETRY_MIN       1.0          /* ms */
#define HELIX_RETRY_MAX       50000.0      /* ms, before the jitter */

#define HELIX_LEFT_BEHIND     0.1          /* of those that join a batch */

#define HELIX_NSEC_PER_USEC   1e3
#define HELIX_NSEC_PER_MSEC   1e6

#define helix_get(p)          __atomic_load_n(p, __ATOMIC_RELAXED)
#define helix_add(p, v)                                                       \
    __atomic_store_n(p, __atomic_load_n(p, __ATOMIC_RELAXED) + (v),           \
                     __ATOMIC_RELAXED)


static void helix_router_loop(const helix_router_t *router,
    const helix_router_job_t *job, const helix_router_view_t *view,
    helix_verdict_t *v);
static bool helix_router_pool(const helix_router_t *router,
    const helix_router_job_t *job, const helix_router_view_t *view,
    helix_verdict_t *v);
static bool helix_router_joins(const helix_router_t *router,
    const helix_router_job_t *job, const helix_router_view_t *view,
    helix_verdict_t *v);
static void helix_router_save(const helix_router_t *router,
    const helix_router_job_t *job, helix_verdict_t *v);
static bool helix_router_capped(const helix_router_t *router,
    const helix_router_job_t *job, const helix_router_view_t *view,
    const helix_verdict_t *v);
static bool helix_router_explores(const helix_router_t *router,
    const helix_router_job_t *job, const helix_router_view_t *view,
    const helix_verdict_t *v);
static bool helix_router_too_big(const helix_router_job_t *job,
    const helix_verdict_t *v);
static helix_lane_verdict_t helix_router_try(const helix_router_t *router,
    const helix_router_view_t *view, helix_verdict_t *v,
    helix_strategy_t lane);


const char *const  helix_lane_verdicts[HELIX_LANE_VERDICTS + 1] = {
    "chosen",
    "not needed",
    "too long for the event loop",
    "enough in this turn of the event loop",
    "would be late",
    "would make admitted jobs late",
    "the kind has had its share",
    "cannot be batched",
    "a thread is free",
    "gains nothing",
    "cheaper with others of this turn",
    "only on a thread",
    NULL
};


void
helix_router_init(helix_router_t *router, const helix_settings_t *settings,
    helix_report_t *report, const double *unit, uint32_t nkinds, double cpus,
    uint64_t now)
{
    uint32_t  i;

    memset(router, 0, sizeof(helix_router_t));

    router->settings = settings;
    router->report = report;
    router->nkinds = nkinds;
    router->workers = 1;
    router->cpus = cpus;

    router->margin = HELIX_MARGIN_START;
    router->efficiency = 1;
    router->limit = HELIX_INLINE_START;
    router->ticked = now;
    router->windowed = now;

    for (i = 0; i < nkinds; i++) {
        router->unit[i] = unit[i];
        router->fits[i] = helix_fit(&(helix_samples_t) { 0 }, unit[i]);
        router->batching[i] = helix_batching(&(helix_batches_t) { 0 });
    }
}


double
helix_router_capacity(const helix_router_t *router)
{
    double  capacity;

    capacity = (double) router->settings->concurrency * router->efficiency;

    capacity = (capacity < router->cpus) ? capacity : router->cpus;

    return capacity * (1 - HELIX_ROUTER_YIELD * router->external);
}


void
helix_router_decide(helix_router_t *router, const helix_router_job_t *job,
    const helix_router_view_t *view, helix_verdict_t *v)
{
    if (view->now - router->looked >= HELIX_ROUTER_LOOK) {
        helix_router_look(router, view->now);
    }

    helix_router_explain(router, job, view, v);
    helix_router_offer(router, job, v);
}


void
helix_router_offer(helix_router_t *router, const helix_router_job_t *job,
    const helix_verdict_t *v)
{
    helix_report_t  *report;

    report = router->report;

    if (v->decision.reason == HELIX_CHEAP
        || v->decision.reason == HELIX_MODERATE)
    {
        return;
    }

    /* jobs that cannot be served anyway are no demand */

    if (v->decision.reason == HELIX_TOO_BIG) {
        return;
    }

    helix_add(&report->offered[job->kind], (uint64_t) v->cost);

    if (v->decision.strategy == HELIX_DROP) {
        helix_add(&report->refused, 1);
    }
}


void
helix_router_explain(const helix_router_t *router,
    const helix_router_job_t *job, const helix_router_view_t *view,
    helix_verdict_t *v)
{
    memset(v, 0, sizeof(helix_verdict_t));

    v->service = helix_fit_predict(&router->fits[job->kind], router->drift,
                                   job->work);
    v->deadline = job->received + job->budget;
    v->aim = job->received
             + (uint64_t) (HELIX_ROUTER_AIM * (double) job->budget);
    v->efficiency = router->efficiency;
    v->capacity = helix_router_capacity(router);
    v->margin = (router->without & HELIX_WITHOUT_MARGIN) ? 0 : router->margin;
    v->limit = router->limit;
    v->cost = v->service.mean;

    v->entry.work = (int64_t) v->service.mean;
    v->entry.variance = (int64_t) (v->service.variance
                                   / HELIX_NSEC_PER_MSEC);
    v->entry.drift = (float) router->drift;
    v->entry.due = v->aim;
    v->entry.aim = v->aim;
    v->entry.deadline = v->deadline;

    helix_router_loop(router, job, view, v);

    if (v->decision.strategy != HELIX_DROP) {
        return;
    }

    if (helix_router_pool(router, job, view, v)) {
        return;
    }

    if (v->verdicts[HELIX_CPU_POOL] == HELIX_LANE_SHARE) {
        v->decision.reason = HELIX_SHARE;
        return;
    }

    v->decision.reason = helix_router_too_big(job, v)
                         ? HELIX_TOO_BIG : HELIX_INFEASIBLE;

    if (!helix_router_explores(router, job, view, v)) {
        return;
    }

    /* what is said of it is not to keep others out */

    v->decision.strategy = HELIX_CPU_POOL;
    v->decision.reason = HELIX_EXPLORED;
    v->verdicts[HELIX_CPU_POOL] = HELIX_LANE_CHOSEN;
    v->entry.work = 0;
    v->entry.saved = 0;
    v->entry.variance = 0;
    v->entry.due = v->aim;
}


/*
 * What is never run is never known better: what seems too big is tried now and
 * then while a thread is free, a kind of which little is known even if none
 * is, but less often the more it can cost.
 */

static bool
helix_router_explores(const helix_router_t *router,
    const helix_router_job_t *job, const helix_router_view_t *view,
    const helix_verdict_t *v)
{
    double  since;

    since = (double) (view->now - router->probed[job->kind]);

    if (view->busy < router->settings->concurrency) {
        return v->decision.reason == HELIX_TOO_BIG && since > HELIX_PROBE;
    }

    return router->fits[job->kind].n < HELIX_ROUTER_FEW
           && since > fmax(HELIX_PROBE,
                           HELIX_PROBE_SHARE * (double) job->budget);
}


/* Jobs that cost about as little as handing them to a thread stay here. */

static void
helix_router_loop(const helix_router_t *router, const helix_router_job_t *job,
    const helix_router_view_t *view, helix_verdict_t *v)
{
    bool      ticks;
    double    high, part, idle;
    uint64_t  finish;

    v->decision.strategy = HELIX_DROP;
    v->verdicts[HELIX_BATCH] = HELIX_LANE_NOT_NEEDED;
    v->verdicts[HELIX_CPU_POOL] = HELIX_LANE_NOT_NEEDED;

    if (job->blocking) {
        v->verdicts[HELIX_INLINE] = HELIX_LANE_BLOCKING;
        v->verdicts[HELIX_SPAWN] = HELIX_LANE_BLOCKING;
        return;
    }

    high = v->service.high;

    if (high > router->limit || (router->without & HELIX_WITHOUT_INLINE)) {
        v->verdicts[HELIX_INLINE] = HELIX_LANE_TOO_LONG;
        v->verdicts[HELIX_SPAWN] = HELIX_LANE_TOO_LONG;
        return;
    }

    v->finish[HELIX_INLINE] = (uint64_t) high;

    if (view->now + v->finish[HELIX_INLINE] > v->aim) {
        v->verdicts[HELIX_INLINE] = HELIX_LANE_LATE;
        v->verdicts[HELIX_SPAWN] = HELIX_LANE_LATE;
        return;
    }

    ticks = job->ticks && !(router->without & HELIX_WITHOUT_TICK)
            && helix_router_joins(router, job, view, v);

    part = (ticks && job->joins)
           ? fmin(router->batching[job->kind].added, 1) : 1;

    if ((double) view->turn + part * high <= HELIX_ROUTER_TURN) {
        v->verdicts[HELIX_SPAWN] = HELIX_LANE_NOT_NEEDED;
        v->decision.strategy = HELIX_INLINE;
        v->decision.reason = HELIX_CHEAP;

        if (ticks) {
            v->verdicts[HELIX_INLINE] = HELIX_LANE_TOGETHER;
            v->verdicts[HELIX_BATCH] = HELIX_LANE_CHOSEN;
            v->finish[HELIX_BATCH] = v->finish[HELIX_INLINE];
            v->decision.strategy = HELIX_BATCH;
            v->cost = part * v->service.mean;
        }

        return;
    }

    v->verdicts[HELIX_INLINE] = HELIX_LANE_TURN_SPENT;

    idle = fmax(1 - router->loop, 0.1);
    finish = (uint64_t) (((double) view->spawned + high) / idle);

    v->finish[HELIX_SPAWN] = finish;

    if (view->now + finish > v->aim) {
        v->verdicts[HELIX_SPAWN] = HELIX_LANE_LATE;
        return;
    }

    v->decision.strategy = HELIX_SPAWN;
    v->decision.reason = HELIX_MODERATE;
}


/* While all threads are taken it waits anyway: others of its kind may come, or
   are there, and what it adds to their batch is less than what it takes. */

static bool
helix_router_pool(const helix_router_t *router, const helix_router_job_t *job,
    const helix_router_view_t *view, helix_verdict_t *v)
{
    helix_strategy_t      lane;
    helix_lane_verdict_t  verdict;

    lane = HELIX_CPU_POOL;

    if (helix_router_joins(router, job, view, v)) {
        v->verdicts[HELIX_BATCH] = HELIX_LANE_THREAD_FREE;

        if (view->busy + view->waiting >= router->settings->concurrency) {
            lane = HELIX_BATCH;
            helix_router_save(router, job, v);
        }
    }

    verdict = helix_router_try(router, view, v, lane);

    if (verdict == HELIX_LANE_CHOSEN
        && helix_router_capped(router, job, view, v))
    {
        verdict = HELIX_LANE_SHARE;
    }

    v->verdicts[lane] = verdict;

    if (verdict != HELIX_LANE_CHOSEN) {
        v->verdicts[HELIX_CPU_POOL] = verdict;
        return false;
    }

    v->decision.strategy = lane;
    v->decision.reason = (lane == HELIX_BATCH) ? HELIX_BATCHABLE : HELIX_HEAVY;

    return true;
}


/* What it is expected to add. */

static void
helix_router_save(const helix_router_t *router, const helix_router_job_t *job,
    helix_verdict_t *v)
{
    double  share, saved;

    if (!job->joins || (router->without & HELIX_WITHOUT_SAVING)) {
        return;
    }

    share = fmin(router->batching[job->kind].added, 1);

    v->cost = share * v->service.mean;
    v->entry.work = (int64_t) v->cost;

    /* if it is left behind it takes all */

    v->entry.saved = (int64_t) (v->service.mean - v->cost);
    saved = (double) v->entry.saved / HELIX_NSEC_PER_USEC;

    v->entry.variance = (int64_t) (share * (double) v->entry.variance
                                   + HELIX_LEFT_BEHIND * saved * saved);
}


/* A thread that is free is nobody's share. */

static bool
helix_router_capped(const helix_router_t *router,
    const helix_router_job_t *job, const helix_router_view_t *view,
    const helix_verdict_t *v)
{
    double  backlog;

    backlog = fmin(HELIX_SHARE_BACKLOG,
                   HELIX_SHARE_BUDGET * (double) job->budget);

    return router->shedding && !(router->without & HELIX_WITHOUT_SHARES)
           && view->busy >= router->settings->concurrency
           && router->capped[job->kind] && router->credit[job->kind] <= 0
           && router->queued > backlog * v->capacity;
}


/* A kind that gains too little by batches is tried again now and then. */

static bool
helix_router_joins(const helix_router_t *router, const helix_router_job_t *job,
    const helix_router_view_t *view, helix_verdict_t *v)
{
    uint32_t  size;

    size = (uint32_t) router->settings->batch_size;

    if (!job->batchable || (router->without & HELIX_WITHOUT_BATCHING)) {
        v->verdicts[HELIX_BATCH] = HELIX_LANE_CANNOT_BATCH;
        return false;
    }

    if (helix_batching_leaves(&router->batching[job->kind], size)
        && view->now / HELIX_ROUTER_TICK % HELIX_REJOIN != 0
        && !(router->without & HELIX_WITHOUT_LEAVING))
    {
        v->verdicts[HELIX_BATCH] = HELIX_LANE_NO_GAIN;
        return false;
    }

    return true;
}


/*
 * With c threads a job runs alone at the end of its wait.  It starts no later
 * than when the work before it, W, has been shared by all: it is in time if
 * W / capacity + s / efficiency is.  Written for the sum with its own work:
 *
 *   (W + s) / capacity <= due - now,  due = aim - s (1 - 1/c) / efficiency
 */

static helix_lane_verdict_t
helix_router_try(const helix_router_t *router, const helix_router_view_t *view,
    helix_verdict_t *v, helix_strategy_t lane)
{
    double                  threads, alone;
    helix_backlog_fit_t     fit;
    const helix_backlog_t  *others;

    threads = fmax(v->capacity / v->efficiency, 1);
    alone = v->service.high * (1 - 1 / threads) / v->efficiency;

    v->entry.due = v->aim;

    if ((double) v->aim < (double) view->now + alone) {
        return HELIX_LANE_LATE;
    }

    v->entry.due -= (uint64_t) alone;

    others = &router->others;

    fit = helix_backlog_fits(&router->report->backlog, others, &v->entry,
                             view->now, v->capacity, v->margin, &v->ahead);

    v->finish[lane] = (uint64_t) ((v->ahead.work + (double) v->entry.work)
                                  / v->capacity + alone);

    if (fit == HELIX_BACKLOG_LATE) {
        return HELIX_LANE_LATE;
    }

    if (fit == HELIX_BACKLOG_OTHERS_LATE
        && !(router->without & HELIX_WITHOUT_OTHERS))
    {
        return HELIX_LANE_OTHERS_LATE;
    }

    return HELIX_LANE_CHOSEN;
}


/* Even if nothing else ran, on processors of its own. */

static bool
helix_router_too_big(const helix_router_job_t *job, const helix_verdict_t *v)
{
    double  slack;

    slack = HELIX_ROUTER_AIM * (double) job->budget - v->service.mean;

    return slack < v->margin * sqrt(v->service.variance);
}


void
helix_router_admitted(helix_router_t *router, const helix_router_job_t *job,
    const helix_verdict_t *v, uint64_t now)
{
    router->probed[job->kind] = now;

    if (v->decision.reason != HELIX_CHEAP
        && v->decision.reason != HELIX_MODERATE)
    {
        router->credit[job->kind] -= v->cost;
    }
}


bool
helix_router_recheck(const helix_router_t *router, const helix_entry_t *entry,
    uint64_t deadline, uint64_t now)
{
    double  left, drift, efficiency;

    if (router->without & HELIX_WITHOUT_RECHECK) {
        return true;
    }

    __atomic_load(&router->drift, &drift, __ATOMIC_RELAXED);
    __atomic_load(&router->efficiency, &efficiency, __ATOMIC_RELAXED);

    /* what is known now, not what was when the job came */

    left = (double) (entry->work + entry->saved)
           * exp(drift - (double) entry->drift) / efficiency;

    return (double) deadline >= (double) now + left;
}


uint64_t
helix_router_retry(helix_router_t *router, const helix_service_t *service,
    uint64_t now, uint32_t random)
{
    double    rate, start, delay, jitter;
    uint32_t  workers;

    workers = router->workers ? router->workers : 1;
    rate = HELIX_RETRY_SHARE * helix_router_capacity(router) / workers;

    start = (double) now + router->queued / helix_router_capacity(router);

    if (start < (double) router->retry) {
        start = (double) router->retry;
    }

    start += service->mean / rate;
    start = fmin(start, (double) now + HELIX_RETRY_MAX * HELIX_NSEC_PER_MSEC);

    router->retry = (uint64_t) start;

    delay = (start - (double) now) / HELIX_NSEC_PER_MSEC;
    jitter = 0.8 + 0.4 * ((double) random / (double) UINT32_MAX);

    return (uint64_t) fmax(round(delay * jitter), HELIX_RETRY_MIN);
}
