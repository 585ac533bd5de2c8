
#include "helix_router.h"

#include <math.h>
#include <string.h>


#define HELIX_INLINE_MIN      60000.0      /* ten times what a thread costs */
#define HELIX_INLINE_MAX      250000.0     /* half a turn's */
#define HELIX_TURN_SHARE      0.01         /* of the turns may be long */

#define HELIX_MARGIN_MIN      2.5
#define HELIX_MARGIN_MAX      6.0
#define HELIX_MARGIN_WASTE    0.01
#define HELIX_MARGIN_UP       0.15
#define HELIX_MARGIN_DOWN     0.01

#define HELIX_EFFICIENCY_GAIN 0.3          /* a tick of full work */
#define HELIX_EFFICIENCY_REST 0.01         /* a tick without any, towards 1 */
#define HELIX_EFFICIENCY_MIN  0.05

#define HELIX_SHARE_DEPTH     100e6        /* ns of a share */

#define helix_get(p)          __atomic_load_n(p, __ATOMIC_RELAXED)
#define helix_add(p, v)                                                       \
    __atomic_store_n(p, __atomic_load_n(p, __ATOMIC_RELAXED) + (v),           \
                     __ATOMIC_RELAXED)


static void helix_router_samples(helix_router_t *router,
    const helix_report_t *const *reports, const bool *alive, uint32_t n);
static void helix_router_batches(helix_router_t *router,
    const helix_report_t *const *reports, const bool *alive, uint32_t n);
static void helix_router_efficiency(helix_router_t *router,
    const helix_report_t *const *reports, uint32_t n);
static void helix_router_window(helix_router_t *router,
    const helix_report_t *const *reports, uint32_t n, uint64_t elapsed);
static void helix_router_margin(helix_router_t *router, uint64_t spent,
    uint64_t wasted);
static void helix_router_limit(helix_router_t *router, uint64_t elapsed);
static void helix_router_shares(helix_router_t *router,
    const uint64_t *offered, uint64_t elapsed);
static double helix_router_level(const double *offered, uint32_t n,
    double capacity);


void
helix_router_tick(helix_router_t *router, const helix_report_t *const *reports,
    const bool *alive, uint32_t n, uint64_t now)
{
    double    elapsed, depth;
    uint32_t  i;

    elapsed = (double) (now - router->ticked);
    router->ticked = now;

    helix_router_samples(router, reports, alive, n);
    helix_router_batches(router, reports, alive, n);
    helix_router_efficiency(router, reports, n);

    router->workers = 0;
    router->npeers = 0;

    for (i = 0; i < n; i++) {
        router->workers += alive[i];

        if (alive[i] && reports[i] != router->report
            && router->npeers < HELIX_ROUTER_PEERS)
        {
            router->peers[router->npeers++] = &reports[i]->backlog;
        }
    }

    helix_router_look(router, now);

    for (i = 0; i < router->nkinds; i++) {
        depth = router->share[i] * HELIX_SHARE_DEPTH;

        router->credit[i] = fmin(fmax(router->credit[i], -depth)
                                 + router->share[i] * elapsed, depth);
    }

    /* what was before this router was there is none of its time */

    if (router->based != router->report
        || now - router->windowed >= HELIX_ROUTER_WINDOW)
    {
        helix_router_window(router, reports, n, now - router->windowed);
        router->windowed = now;
        router->based = router->report;
    }
}


/* Two workers must not fill the same gap. */

void
helix_router_look(helix_router_t *router, uint64_t now)
{
    uint32_t  i;

    router->looked = now;

    memset(router->others.bits, 0, sizeof(router->others.bits));

    for (i = 0; i < router->npeers; i++) {
        helix_backlog_merge(&router->others, router->peers[i]);
    }

    router->queued = helix_backlog_work(&router->others)
                     + helix_backlog_work(&router->report->backlog);
}


static void
helix_router_samples(helix_router_t *router,
    const helix_report_t *const *reports, const bool *alive, uint32_t n)
{
    uint32_t         i, k;
    helix_samples_t  sum;

    if (router->without & HELIX_WITHOUT_LEARNING) {
        return;
    }

    for (k = 0; k < router->nkinds; k++) {
        memset(&sum, 0, sizeof(helix_samples_t));

        for (i = 0; i < n; i++) {
            if (alive[i]) {
                helix_samples_merge(&sum, &reports[i]->samples[k]);
            }
        }

        for (i = 0; sum.n < HELIX_ROUTER_FEW && i < n; i++) {
            if (!alive[i]) {
                helix_samples_merge(&sum, &reports[i]->samples[k]);
            }
        }

        router->fits[k] = helix_fit(&sum, router->unit[k]);
    }
}


static void
helix_router_batches(helix_router_t *router,
    const helix_report_t *const *reports, const bool *alive, uint32_t n)
{
    uint32_t          i, k;
    helix_batches_t   sum;
    helix_batching_t  batching;

    if (router->without & HELIX_WITHOUT_LEARNING) {
        return;
    }

    for (k = 0; k < router->nkinds; k++) {
        memset(&sum, 0, sizeof(helix_batches_t));

        for (i = 0; i < n; i++) {
            if (alive[i]) {
                helix_batches_merge(&sum, &reports[i]->batches[k]);
            }
        }

        for (i = 0; sum.along < HELIX_ROUTER_FEW && i < n; i++) {
            if (!alive[i]) {
                helix_batches_merge(&sum, &reports[i]->batches[k]);
            }
        }

        batching = helix_batching(&sum);

        /* threads read it */

        __atomic_store(&router->batching[k].added, &batching.added,
                       __ATOMIC_RELAXED);

        router->batching[k].along = batching.along;
    }
}


static void
helix_router_efficiency(helix_router_t *router,
    const helix_report_t *const *reports, uint32_t n)
{
    double    ratio, gain, full;
    uint32_t  i;
    uint64_t  cpu, wall;

    cpu = 0;
    wall = 0;

    for (i = 0; i < n; i++) {
        cpu += helix_get(&reports[i]->cpu);
        wall += helix_get(&reports[i]->wall);
    }

    cpu -= router->cpu;
    wall -= router->wall;
    router->cpu += cpu;
    router->wall += wall;

    if (router->based != router->report
        || (router->without & HELIX_WITHOUT_EFFICIENCY))
    {
        return;
    }

    ratio = 1;
    gain = HELIX_EFFICIENCY_REST;

    if (wall) {
        ratio = fmin((double) cpu / (double) wall, 1);
        full = (double) wall
               / (fmin(router->cpus, (double) router->settings->concurrency)
                  * HELIX_ROUTER_TICK);
        gain = HELIX_EFFICIENCY_GAIN * fmin(full, 1);
    }

    ratio = router->efficiency + gain * (ratio - router->efficiency);
    ratio = fmax(ratio, HELIX_EFFICIENCY_MIN);

    /* threads read it */

    __atomic_store(&router->efficiency, &ratio, __ATOMIC_RELAXED);
}


static void
helix_router_window(helix_router_t *router,
    const helix_report_t *const *reports, uint32_t n, uint64_t elapsed)
{
    uint32_t  i, k;
    uint64_t  spent, wasted, refused, offered[HELIX_REPORT_KINDS];

    spent = 0;
    wasted = 0;
    refused = 0;
    memset(offered, 0, sizeof(offered));

    for (i = 0; i < n; i++) {
        spent += helix_get(&reports[i]->spent);
        wasted += helix_get(&reports[i]->wasted);
        refused += helix_get(&reports[i]->refused);

        for (k = 0; k < router->nkinds; k++) {
            offered[k] += helix_get(&reports[i]->offered[k]);
        }
    }

    if (router->based == router->report) {
        helix_router_margin(router, spent - router->spent,
                            wasted - router->wasted);

        router->shedding = (refused != router->refused);

        helix_router_shares(router, offered, elapsed);
        helix_router_limit(router, elapsed);
    }

    router->spent = spent;
    router->wasted = wasted;
    router->refused = refused;

    memcpy(router->offered, offered, sizeof(offered));
    memcpy(router->own_offered, router->report->offered, sizeof(offered));

    router->turns = router->report->turns;
    router->long_turns = router->report->long_turns;
    router->busy_turns = router->report->loop;
}


static void
helix_router_margin(helix_router_t *router, uint64_t spent, uint64_t wasted)
{
    router->waste = spent ? (double) wasted / (double) spent : 0;

    if (router->without & HELIX_WITHOUT_ADAPTATION) {
        return;
    }

    if (router->waste > HELIX_MARGIN_WASTE) {
        router->margin = fmin(router->margin + HELIX_MARGIN_UP,
                              HELIX_MARGIN_MAX);

    } else {
        router->margin = fmax(router->margin - HELIX_MARGIN_DOWN,
                              HELIX_MARGIN_MIN);
    }
}


static void
helix_router_limit(helix_router_t *router, uint64_t elapsed)
{
    uint64_t         turns, long_turns;
    helix_report_t  *report;

    report = router->report;

    turns = report->turns - router->turns;
    long_turns = report->long_turns - router->long_turns;

    router->loop = fmin((double) (report->loop - router->busy_turns)
                        / (double) elapsed, 1);

    if ((double) long_turns > HELIX_TURN_SHARE * (double) turns) {
        router->limit = fmax(router->limit * 0.8, HELIX_INLINE_MIN);

    } else {
        router->limit = fmin(router->limit * 1.05, HELIX_INLINE_MAX);
    }
}


/* What each kind may have of the capacity: all that it asks for, up to the
   level at which the capacity is used up.  This worker's part of it is as
   large as its part of what is asked for. */

static void
helix_router_shares(helix_router_t *router, const uint64_t *offered,
    uint64_t elapsed)
{
    double    level, total, rate[HELIX_REPORT_KINDS];
    uint32_t  k, asking;
    uint64_t  all, own;

    total = 0;
    asking = 0;

    for (k = 0; k < router->nkinds; k++) {
        rate[k] = (double) (offered[k] - router->offered[k])
                  / (double) elapsed;
        total += rate[k];
        asking += (rate[k] > 0);
    }

    router->demand = total / helix_router_capacity(router);

    level = helix_router_level(rate, router->nkinds,
                               helix_router_capacity(router));

    for (k = 0; k < router->nkinds; k++) {
        all = offered[k] - router->offered[k];
        own = router->report->offered[k] - router->own_offered[k];

        router->capped[k] = (asking > 1 && rate[k] > level);

        /* who was asked for nothing may be next */

        router->share[k] = own ? level * (double) own / (double) all
                               : level / router->workers;
    }
}


/* The level L with sum min(offered, L) = capacity; the capacity if the sum of
   all is less. */

static double
helix_router_level(const double *offered, uint32_t n, double capacity)
{
    double    level, left;
    uint32_t  i, round, above;

    level = 0;

    for (round = 0; round < n; round++) {
        left = capacity;
        above = 0;

        for (i = 0; i < n; i++) {
            if (offered[i] > level) {
                above++;
                left -= level;

            } else {
                left -= offered[i];
            }
        }

        if (above == 0 || !(left > 0)) {
            break;
        }

        level += left / above;
    }

    return (level > 0) ? level : capacity;
}


void
helix_router_ended(helix_router_t *router, const helix_router_job_t *job,
    const helix_service_t *service, uint64_t cpu, bool complete, bool useful)
{
    double           drift;
    helix_report_t  *report;

    report = router->report;

    helix_add(&report->spent, cpu);

    if (!useful) {
        helix_add(&report->wasted, cpu);
    }

    if (!complete) {
        return;
    }

    /* of so short a job the clocks and the call are the larger part */

    if (cpu < HELIX_ROUTER_FLOOR) {
        if (service->mean <= HELIX_ROUTER_FLOOR) {
            return;
        }

        cpu = HELIX_ROUTER_FLOOR;
    }

    helix_add(&report->predicted, (uint64_t) service->mean);
    helix_add(&report->actual, cpu);
    helix_add(&report->known, 1);

    if ((double) cpu <= service->high) {
        helix_add(&report->within, 1);
    }

    drift = router->drift;

    helix_samples_add(&report->samples[job->kind], &router->fits[job->kind],
                      &drift, job->work, cpu);

    /* threads read it */

    if (!(router->without & HELIX_WITHOUT_DRIFT)) {
        __atomic_store(&router->drift, &drift, __ATOMIC_RELAXED);
    }
}


void
helix_router_batched(helix_router_t *router, uint32_t kind, uint32_t n,
    double first, double others, uint64_t cpu)
{
    double                   drift, expected;
    const helix_batching_t  *batching;

    if (n < 2 || cpu < HELIX_ROUTER_FLOOR) {
        return;
    }

    helix_batches_add(&router->report->batches[kind], n, first, others,
                      (double) cpu);

    /* a kind that hardly runs alone would not notice it */

    batching = &router->batching[kind];

    if (batching->along < HELIX_ROUTER_FEW
        || (router->without & HELIX_WITHOUT_BATCH_DRIFT))
    {
        return;
    }

    expected = first + batching->added * others;
    drift = helix_drift(router->drift, log((double) cpu / expected));

    __atomic_store(&router->drift, &drift, __ATOMIC_RELAXED);
}


helix_batch_t
helix_router_batch(const helix_router_t *router, uint32_t kind)
{
    helix_batch_t  batch;

    batch.time = 0;
    batch.until = INFINITY;
    batch.n = 0;
    batch.max = (uint32_t) helix_get(&router->settings->batch_size);

    __atomic_load(&router->batching[kind].added, &batch.added,
                  __ATOMIC_RELAXED);
    __atomic_load(&router->drift, &batch.drift, __ATOMIC_RELAXED);
    __atomic_load(&router->efficiency, &batch.efficiency, __ATOMIC_RELAXED);

    return batch;
}


void
helix_router_turned(helix_router_t *router, uint64_t duration)
{
    helix_report_t  *report;

    report = router->report;

    helix_add(&report->turns, 1);
    helix_add(&report->loop, duration);

    if (duration > HELIX_ROUTER_LONG) {
        helix_add(&report->long_turns, 1);
    }
}
