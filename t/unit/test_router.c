
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "helix_router.h"


#define MSEC       1000000ULL
#define SEC        1000000000ULL
#define START      (1000 * SEC)

#define JOBS       200


static helix_settings_t  settings;
static helix_report_t    reports[2];
static helix_router_t    routers[2];
static uint64_t          now;
static uint64_t          seed;


static double
uniform(void)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;

    return ((double) (seed >> 11) + 0.5) / 9007199254740992.0;
}


static double
normal(void)
{
    return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());
}


/* Two workers on two processors; a unit of work of any kind is 1 us. */

static void
start(uint32_t cpus)
{
    uint32_t      i;
    const double  unit[3] = { 1000, 1000, 1000 };

    helix_settings_init(&settings);
    settings.concurrency = cpus;
    seed = 1;
    now = START;

    memset(reports, 0, sizeof(reports));

    for (i = 0; i < 2; i++) {
        helix_router_init(&routers[i], &settings, &reports[i], unit, 3, cpus,
                          now);
        routers[i].based = &reports[i];
    }
}


static int
setup(void **state)
{
    (void) state;

    start(2);

    return 0;
}


static void
tick(uint64_t msec, uint32_t workers)
{
    uint32_t               i;
    uint64_t               end;
    const bool             alive[2] = { true, true };
    const helix_report_t  *all[2] = { &reports[0], &reports[1] };

    for (end = now + msec * MSEC; now < end; /* void */ ) {
        now += 10 * MSEC;

        for (i = 0; i < workers; i++) {
            helix_router_tick(&routers[i], all, alive, workers, now);
        }
    }
}


static helix_router_job_t
job_of(uint32_t kind, uint64_t work, uint64_t budget)
{
    helix_router_job_t  job;

    memset(&job, 0, sizeof(job));

    job.kind = kind;
    job.work = work;
    job.received = now;
    job.budget = budget;

    return job;
}


static helix_verdict_t
explain(uint32_t kind, uint64_t work, uint64_t budget, uint64_t busy)
{
    helix_verdict_t      v;
    helix_router_job_t   job;
    helix_router_view_t  view;

    job = job_of(kind, work, budget);

    memset(&view, 0, sizeof(view));
    view.now = now;
    view.busy = busy;

    helix_router_explain(&routers[0], &job, &view, &v);

    return v;
}


static void
assert_reason(const helix_verdict_t *v, helix_strategy_t strategy,
    helix_reason_t reason)
{
    assert_string_equal(helix_strategy_names[v->decision.strategy],
                        helix_strategy_names[strategy]);
    assert_string_equal(helix_reason_names[v->decision.reason],
                        helix_reason_names[reason]);
}


/* Work that keeps both processors busy until then. */

static void
queue(helix_entry_t *entry, uint64_t work, uint64_t due)
{
    memset(entry, 0, sizeof(*entry));

    entry->work = (int64_t) work;
    entry->due = now + due;

    helix_backlog_add(&reports[0].backlog, entry, now);
}


/* n samples of ln time = ln level + slope ln work + noise. */

static void
learn(helix_samples_t *samples, double *drift, uint32_t n, double level,
    double slope, double noise)
{
    double       time;
    uint64_t     work;
    helix_fit_t  fit;

    while (n--) {
        work = (uint64_t) (1000 * exp(normal()));
        time = level * pow((double) work, slope) * exp(noise * normal());

        fit = helix_fit(samples, 1000);
        helix_samples_add(samples, &fit, drift, work, (uint64_t) time);
    }
}


static double
median_of(const helix_samples_t *samples, double drift, uint64_t work)
{
    double       spread;
    helix_fit_t  fit;

    fit = helix_fit(samples, 1000);
    spread = fit.deviation * fit.deviation;

    return helix_fit_predict(&fit, drift, work).mean / (1 + spread / 2);
}


static void
assert_ratio(double actual, double expected, double factor)
{
    if (!(actual <= expected * factor && actual * factor >= expected)) {
        fail_msg("%g is not within a factor of %g of %g", actual, factor,
                 expected);
    }
}


static void
test_model_prior(void **state)
{
    helix_fit_t      fit;
    helix_service_t  service;

    (void) state;

    fit = helix_fit(&(helix_samples_t) { 0 }, 1000);

    assert_true(fit.slope == 1);
    assert_true(fit.n == 0);

    service = helix_fit_predict(&fit, 0, 5000);

    assert_ratio(service.mean, 5e6, 1.2);
    assert_true(service.high > service.mean);
    assert_true(service.high < 3 * service.mean);
    assert_true(service.variance > 0);

    /* nothing is no number that spoils others */

    service = helix_fit_predict(&fit, 0, 0);
    assert_ratio(service.mean, 1000, 1.2);
}


static void
test_model_converges(void **state)
{
    double           drift;
    helix_fit_t      fit;
    helix_samples_t  samples = { 0 };

    (void) state;

    drift = 0;
    learn(&samples, &drift, 5, 50000, 0.8, 0.1);
    assert_ratio(median_of(&samples, drift, 1000), 50000 * pow(1000, 0.8),
                 3);

    learn(&samples, &drift, 1000, 50000, 0.8, 0.1);
    fit = helix_fit(&samples, 1000);

    assert_true(fabs(fit.slope - 0.8) < 0.05);
    assert_true(fabs(fit.deviation - 0.1) < 0.05);
    assert_true(fabs(fit.quantile - 1.28) < 0.4);

    assert_ratio(median_of(&samples, drift, 100), 50000 * pow(100, 0.8),
                 1.1);
    assert_ratio(median_of(&samples, drift, 1000), 50000 * pow(1000, 0.8),
                 1.1);
    assert_ratio(median_of(&samples, drift, 9000), 50000 * pow(9000, 0.8),
                 1.1);
}


static void
test_model_drift(void **state)
{
    double           drift, before;
    helix_samples_t  samples = { 0 };

    (void) state;

    drift = 0;
    learn(&samples, &drift, 1000, 1000, 1, 0.1);
    before = median_of(&samples, drift, 1000);

    learn(&samples, &drift, 20, 2000, 1, 0.1);
    assert_ratio(median_of(&samples, drift, 1000), 2 * before, 1.4);

    learn(&samples, &drift, 60, 2000, 1, 0.1);
    assert_ratio(median_of(&samples, drift, 1000), 2 * before, 1.15);

    learn(&samples, &drift, 80, 1000, 1, 0.1);
    assert_ratio(median_of(&samples, drift, 1000), before, 1.15);

    /* one that is a thousand times too long is not believed */

    before = median_of(&samples, drift, 1000);
    learn(&samples, &drift, 1, 1000000, 1, 0);
    assert_ratio(median_of(&samples, drift, 1000), before, 1.1);
}


static void
test_model_sum(void **state)
{
    double           drift;
    uint64_t         i, work;
    helix_fit_t      fit, other;
    helix_samples_t  one = { 0 }, two[2] = { { 0 }, { 0 } }, sum = { 0 };

    (void) state;

    fit = helix_fit(&one, 1000);

    for (i = 0; i < 20; i++) {
        work = 1000 + 37 * i;
        drift = 0;
        helix_samples_add(&one, &fit, &drift, work, work * 3000 + i);
        drift = 0;
        helix_samples_add(&two[i % 2], &fit, &drift, work, work * 3000 + i);
    }

    helix_samples_merge(&sum, &two[0]);
    helix_samples_merge(&sum, &two[1]);

    assert_true(sum.n == two[0].n + two[1].n);
    assert_true(sum.x == two[0].x + two[1].x);
    assert_true(sum.y == two[0].y + two[1].y);
    assert_true(sum.xx == two[0].xx + two[1].xx);
    assert_true(sum.xy == two[0].xy + two[1].xy);

    fit = helix_fit(&one, 1000);
    other = helix_fit(&sum, 1000);

    assert_ratio(helix_fit_predict(&fit, 0, 1500).mean,
                 helix_fit_predict(&other, 0, 1500).mean, 1.05);

    /* what all took longer is theirs, or of the drift */

    one = sum;
    one.n *= 1000;
    one.x *= 1000;
    one.y *= 1000;
    one.xx *= 1000;
    one.xy *= 1000;
    fit = helix_fit(&one, 1000);
    helix_samples_shift(&one, log(3));
    other = helix_fit(&one, 1000);

    assert_ratio(helix_fit_predict(&fit, log(3), 1500).mean,
                 helix_fit_predict(&other, 0, 1500).mean, 1.001);

    /* what is being written is left out */

    two[0].version++;
    memset(&sum, 0, sizeof(sum));
    helix_samples_merge(&sum, &two[0]);
    assert_true(sum.n == 0);
}


/* Exactly: would all be done in time, but for those that are late anyway? */

static bool
feasible(const helix_entry_t *jobs, const bool *used, const helix_entry_t *one,
    double capacity)
{
    double    work;
    uint32_t  i, k;
    uint64_t  due;

    for (i = 0; i <= JOBS; i++) {

        if (i < JOBS && (!used[i] || jobs[i].due < one->due)) {
            continue;
        }

        due = (i < JOBS) ? jobs[i].due : one->due;

        if (i < JOBS && due <= now) {
            continue;
        }

        work = (one->due <= due) ? (double) one->work : 0;

        for (k = 0; k < JOBS; k++) {
            if (used[k] && jobs[k].due <= due) {
                work += (double) jobs[k].work;
            }
        }

        if (work > capacity * ((double) due - (double) now)) {
            return false;
        }
    }

    return true;
}


static void
assert_empty(const helix_backlog_t *backlog)
{
    uint32_t  level, i;

    for (level = 0; level < HELIX_BACKLOG_LEVELS; level++) {
        assert_true(backlog->bits[level] == 0);

        for (i = 0; i < HELIX_BACKLOG_SIZE; i++) {
            assert_true(backlog->buckets[level][i].work == 0);
            assert_true(backlog->buckets[level][i].variance == 0);
            assert_true(backlog->buckets[level][i].n == 0);
        }
    }

    assert_true(helix_backlog_work(backlog) == 0);
}


/* Never more hopeful than the truth, and not much less while all is due within
   32 ms. */

static void
test_backlog_oracle(void **state)
{
    bool                used[JOBS], exact;
    double              scale;
    helix_ahead_t       ahead;
    uint32_t            i, k, round, fits, both;
    helix_entry_t       jobs[JOBS], one;
    helix_backlog_t    *backlogs;
    helix_backlog_fit_t  fit;

    (void) state;

    backlogs = calloc(2, sizeof(helix_backlog_t));
    memset(used, 0, sizeof(used));
    fits = 0;
    both = 0;

    for (round = 0; round < 30000; round++) {
        now += (uint64_t) (uniform() * uniform() * 2 * MSEC);
        scale = (round / 3000 % 2) ? 12000.0 * MSEC : 100.0 * MSEC;

        i = (uint32_t) (uniform() * JOBS);
        k = i % 2;

        if (used[i] && uniform() < 0.5) {
            helix_backlog_reduce(&backlogs[k], &jobs[i],
                                 (int64_t) (uniform() * 3 * MSEC));
            continue;
        }

        if (used[i]) {
            helix_backlog_remove(&backlogs[k], &jobs[i]);
            used[i] = false;
            continue;
        }

        memset(&one, 0, sizeof(one));
        one.work = (int64_t) (uniform() * uniform() * 5 * MSEC);
        one.variance = (int64_t) (uniform() * 1000);
        one.due = now + (uint64_t) (scale * uniform() * uniform());

        fit = helix_backlog_fits(&backlogs[0], &backlogs[1], &one, now, 1, 0,
                                 &ahead);
        exact = feasible(jobs, used, &one, 1);

        fits += exact;
        both += (exact && fit == HELIX_BACKLOG_FITS);

        if (fit == HELIX_BACKLOG_FITS) {
            assert_true(exact);

            assert_true(helix_backlog_fits(&backlogs[0], &backlogs[1], &one,
                                           now, 1, 1, &ahead)
                        != HELIX_BACKLOG_FITS
                        || helix_backlog_fits(&backlogs[0], &backlogs[1],
                                              &one, now, 2, 1, &ahead)
                           == HELIX_BACKLOG_FITS);
        }

        if (fit == HELIX_BACKLOG_FITS || uniform() < 0.05) {
            jobs[i] = one;
            used[i] = true;
            helix_backlog_add(&backlogs[k], &jobs[i], now);
        }
    }

    assert_true(fits > 1000);
    assert_true(both > fits * 0.5);

    for (i = 0; i < JOBS; i++) {
        if (used[i]) {
            helix_backlog_remove(&backlogs[i % 2], &jobs[i]);
        }
    }

    assert_empty(&backlogs[0]);
    assert_empty(&backlogs[1]);

    free(backlogs);
}


/* What is late is done first; a ring would show it last. */

static void
test_backlog_late(void **state)
{
    helix_ahead_t   ahead;
    helix_entry_t   late, one;

    (void) state;

    queue(&late, 10 * MSEC, MSEC);
    now += 2 * MSEC;

    memset(&one, 0, sizeof(one));
    one.work = 5 * MSEC;
    one.due = now + 10 * MSEC;

    assert_int_equal(helix_backlog_fits(&reports[0].backlog, NULL, &one, now,
                                        1, 0, &ahead), HELIX_BACKLOG_LATE);
    assert_true(ahead.work == 10 * MSEC);

    one.due = now + 15 * MSEC;
    assert_int_equal(helix_backlog_fits(&reports[0].backlog, NULL, &one, now,
                                        1, 0, &ahead), HELIX_BACKLOG_FITS);
}


static void
test_backlog_merge(void **state)
{
    helix_ahead_t     ahead;
    uint32_t          i;
    helix_entry_t     jobs[JOBS], one;
    helix_backlog_t  *sum;

    (void) state;

    sum = calloc(1, sizeof(helix_backlog_t));

    for (i = 0; i < JOBS; i++) {
        memset(&jobs[i], 0, sizeof(helix_entry_t));
        jobs[i].work = (int64_t) (uniform() * MSEC);
        jobs[i].due = now + (uint64_t) (uniform() * 300 * MSEC);
        helix_backlog_add(&reports[i % 2].backlog, &jobs[i], now);
    }

    helix_backlog_merge(sum, &reports[0].backlog);
    helix_backlog_merge(sum, &reports[1].backlog);

    assert_true(helix_backlog_work(sum)
                == helix_backlog_work(&reports[0].backlog)
                   + helix_backlog_work(&reports[1].backlog));

    for (i = 0; i < 1000; i++) {
        memset(&one, 0, sizeof(one));
        one.work = (int64_t) (uniform() * 20 * MSEC);
        one.due = now + (uint64_t) (uniform() * 300 * MSEC);

        assert_int_equal(
            helix_backlog_fits(sum, NULL, &one, now, 0.7, 1, &ahead),
            helix_backlog_fits(&reports[0].backlog, &reports[1].backlog, &one,
                               now, 0.7, 1, &ahead));
    }

    free(sum);
}


static void
test_deterministic(void **state)
{
    uint32_t         i;
    helix_entry_t    entries[20];
    helix_router_t   before;
    helix_verdict_t  a, b;

    (void) state;

    for (i = 0; i < 20; i++) {
        queue(&entries[i], 2 * MSEC, (i + 1) * 5 * MSEC);
    }

    before = routers[0];

    for (i = 0; i < 1000; i++) {
        a = explain(i % 3, 1 + i * 20, (1 + i % 40) * MSEC, i % 3);
        b = explain(i % 3, 1 + i * 20, (1 + i % 40) * MSEC, i % 3);
        assert_memory_equal(&a, &b, sizeof(a));
    }

    assert_memory_equal(&before, &routers[0], sizeof(before));
}


static void
test_reasons(void **state)
{
    helix_entry_t    entry;
    helix_verdict_t  v;

    (void) state;

    v = explain(0, 10, 100 * MSEC, 2);
    assert_reason(&v, HELIX_INLINE, HELIX_CHEAP);

    v = explain(0, 10000, 100 * MSEC, 2);
    assert_reason(&v, HELIX_CPU_POOL, HELIX_HEAVY);

    /* known, so that it is not tried for that */

    routers[0].fits[0].n = 100;

    v = explain(0, 1000000, 100 * MSEC, 2);
    assert_reason(&v, HELIX_DROP, HELIX_TOO_BIG);

    queue(&entry, 138 * MSEC, 70 * MSEC);

    v = explain(0, 10000, 100 * MSEC, 2);
    assert_reason(&v, HELIX_DROP, HELIX_INFEASIBLE);
    assert_int_equal(v.verdicts[HELIX_CPU_POOL], HELIX_LANE_LATE);

    v = explain(0, 10000, 50 * MSEC, 2);
    assert_reason(&v, HELIX_DROP, HELIX_INFEASIBLE);
    assert_int_equal(v.verdicts[HELIX_CPU_POOL], HELIX_LANE_OTHERS_LATE);

    v = explain(0, 10000, 2000 * MSEC, 2);
    assert_reason(&v, HELIX_CPU_POOL, HELIX_HEAVY);

    /* the backlog of threads is none of the event loop's */

    v = explain(0, 10, MSEC, 2);
    assert_reason(&v, HELIX_INLINE, HELIX_CHEAP);
}


/* Once a second, with a free thread or if little is known. */

static void
test_explored(void **state)
{
    uint32_t             i;
    helix_verdict_t      v;
    helix_router_job_t   job;
    helix_router_view_t  view;

    (void) state;

    for (i = 0; i < 50; i++) {
        now += 100 * MSEC;
        memset(&view, 0, sizeof(view));
        view.now = now;
        job = job_of(0, 1000000, 10 * MSEC);

        helix_router_decide(&routers[0], &job, &view, &v);

        if (i % 11 == 0) {
            assert_reason(&v, HELIX_CPU_POOL, HELIX_EXPLORED);
            assert_true(v.entry.work == 0);
            assert_true(v.entry.variance == 0);
            helix_router_admitted(&routers[0], &job, &v, now);

        } else {
            assert_reason(&v, HELIX_DROP, HELIX_TOO_BIG);
        }
    }

    now += 10 * SEC;
    v = explain(0, 1000000, 10 * MSEC, 2);
    assert_reason(&v, HELIX_CPU_POOL, HELIX_EXPLORED);

    /* the more it can cost, the less often */

    v = explain(0, 1000000, 600 * MSEC, 2);
    assert_reason(&v, HELIX_DROP, HELIX_TOO_BIG);

    routers[0].fits[0].n = HELIX_ROUTER_FEW;
    v = explain(0, 1000000, 10 * MSEC, 2);
    assert_reason(&v, HELIX_DROP, HELIX_TOO_BIG);
}


static void
test_shares(void **state)
{
    helix_entry_t    entry;
    helix_verdict_t  v;

    (void) state;

    tick(100, 1);
    queue(&entry, 60 * MSEC, 900 * MSEC);

    /* nobody was refused */

    reports[0].offered[0] += 1000 * MSEC;
    reports[0].offered[1] += 1000 * MSEC;
    tick(100, 1);
    routers[0].credit[0] = -1;

    v = explain(0, 5000, SEC, 2);
    assert_reason(&v, HELIX_CPU_POOL, HELIX_HEAVY);

    reports[0].offered[0] += 1000 * MSEC;
    reports[0].offered[1] += 1000 * MSEC;
    reports[0].refused++;
    tick(100, 1);

    v = explain(0, 5000, SEC, 2);
    assert_true(routers[0].shedding);
    assert_true(routers[0].credit[0] > 0);
    assert_reason(&v, HELIX_CPU_POOL, HELIX_HEAVY);

    routers[0].credit[0] = -1;
    v = explain(0, 5000, SEC, 2);
    assert_reason(&v, HELIX_DROP, HELIX_SHARE);

    v = explain(1, 5000, SEC, 2);
    assert_reason(&v, HELIX_CPU_POOL, HELIX_HEAVY);

    /* not when there is little to wait for */

    helix_backlog_reduce(&reports[0].backlog, &entry, 30 * MSEC);
    tick(10, 1);
    routers[0].credit[0] = -1;
    v = explain(0, 5000, SEC, 2);
    assert_reason(&v, HELIX_CPU_POOL, HELIX_HEAVY);

    /* nor by a kind that asks for less than its part, or alone */

    queue(&entry, 60 * MSEC, 900 * MSEC);
    reports[0].offered[0] += 10 * MSEC;
    reports[0].offered[1] += 1000 * MSEC;
    reports[0].refused++;
    tick(100, 1);
    routers[0].credit[0] = -1;
    routers[0].credit[1] = -1;
    v = explain(0, 5000, SEC, 2);
    assert_reason(&v, HELIX_CPU_POOL, HELIX_HEAVY);
    v = explain(1, 5000, SEC, 2);
    assert_reason(&v, HELIX_DROP, HELIX_SHARE);

    reports[0].offered[1] += 1000 * MSEC;
    reports[0].refused++;
    tick(100, 1);
    routers[0].credit[1] = -1;
    v = explain(1, 5000, SEC, 2);
    assert_reason(&v, HELIX_CPU_POOL, HELIX_HEAVY);
}


static void
test_level(void **state)
{
    double    sum, rate[3];
    uint32_t  i, round;

    (void) state;

    for (round = 0; round < 200; round++) {
        start(2);

        for (i = 0; i < round; i++) {
            (void) uniform();            /* other numbers each time */
        }

        for (i = 0; i < 3; i++) {
            rate[i] = exp(2 * normal());
            reports[0].offered[i] = (uint64_t) (rate[i] * 100 * MSEC);
        }

        tick(100, 1);

        sum = 0;

        for (i = 0; i < 3; i++) {
            sum += fmin(rate[i], routers[0].share[i]);
        }

        assert_ratio(sum, fmin(2, rate[0] + rate[1] + rate[2]), 1.001);
    }

    /* of two workers, by what each was asked for */

    start(2);
    reports[0].offered[0] = 300 * MSEC;
    reports[1].offered[0] = 900 * MSEC;
    tick(100, 2);

    assert_ratio(routers[0].share[0], 0.5, 1.001);
    assert_ratio(routers[1].share[0], 1.5, 1.001);
}


static void
test_inline_limit(void **state)
{
    double    limit;
    uint32_t  i, k;

    (void) state;

    limit = routers[0].limit;

    for (k = 0; k < 40; k++) {
        for (i = 0; i < 10; i++) {
            helix_router_turned(&routers[0], 2 * MSEC);
        }

        tick(100, 1);
        assert_true(routers[0].limit <= limit);
        limit = routers[0].limit;
    }

    assert_true(limit < 61000);
    assert_true(limit > 10000);
    assert_ratio(routers[0].loop, 0.2, 1.01);

    for (k = 0; k < 100; k++) {
        helix_router_turned(&routers[0], MSEC / 10);
        tick(100, 1);
        assert_true(routers[0].limit >= limit);
        limit = routers[0].limit;
    }

    assert_ratio(limit, 250000, 1.001);
}


static void
test_margin(void **state)
{
    double    first, margin;
    uint32_t  k;

    (void) state;

    tick(100, 1);
    first = routers[0].margin;
    margin = first;

    for (k = 0; k < 5; k++) {
        reports[0].spent += 100 * MSEC;
        reports[0].wasted += 5 * MSEC;
        tick(100, 1);
        assert_true(routers[0].margin > margin);
        assert_ratio(routers[0].waste, 0.05, 1.001);
        margin = routers[0].margin;
    }

    for (k = 0; k < 200; k++) {
        reports[0].spent += 100 * MSEC;
        tick(100, 1);
        assert_true(routers[0].margin <= margin);
        margin = routers[0].margin;
    }

    assert_true(margin == first);

    for (k = 0; k < 1000; k++) {
        reports[0].spent += 100 * MSEC;
        reports[0].wasted += 100 * MSEC;
        tick(100, 1);
    }

    assert_true(routers[0].margin > first && routers[0].margin < 10);
}


static void
test_efficiency(void **state)
{
    uint32_t  k;

    (void) state;

    assert_true(helix_router_capacity(&routers[0]) == 2);

    for (k = 0; k < 20; k++) {
        reports[0].cpu += 10 * MSEC;
        reports[0].wall += 20 * MSEC;
        tick(10, 1);
    }

    assert_ratio(helix_router_capacity(&routers[0]), 1, 1.01);

    tick(10000, 1);
    assert_ratio(helix_router_capacity(&routers[0]), 2, 1.01);
}


/* Others' work counts at once, not when the next tick comes. */

static void
test_others(void **state)
{
    helix_entry_t        entry;
    helix_verdict_t      v;
    helix_router_job_t   job;
    helix_router_view_t  view;

    (void) state;

    routers[0].fits[0].n = 100;
    tick(10, 2);
    routers[0].fits[0].n = 100;

    memset(&entry, 0, sizeof(entry));
    entry.work = 190 * MSEC;
    entry.due = now + 95 * MSEC;
    helix_backlog_add(&reports[1].backlog, &entry, now);

    now += 2 * MSEC;

    memset(&view, 0, sizeof(view));
    view.now = now;
    view.busy = 2;
    job = job_of(0, 10000, 100 * MSEC);

    helix_router_decide(&routers[0], &job, &view, &v);
    assert_reason(&v, HELIX_DROP, HELIX_INFEASIBLE);
}


static void
test_recheck(void **state)
{
    helix_entry_t  entry;

    (void) state;

    memset(&entry, 0, sizeof(entry));
    entry.work = 10 * MSEC;

    assert_true(helix_router_recheck(&routers[0], &entry, now + 10 * MSEC,
                                     now));
    assert_false(helix_router_recheck(&routers[0], &entry, now + 9 * MSEC,
                                      now));

    routers[0].efficiency = 0.5;
    assert_false(helix_router_recheck(&routers[0], &entry, now + 19 * MSEC,
                                      now));
    assert_true(helix_router_recheck(&routers[0], &entry, now + 20 * MSEC,
                                     now));

    /* it has become slower since then */

    routers[0].efficiency = 1;
    routers[0].drift = log(2);
    assert_false(helix_router_recheck(&routers[0], &entry, now + 19 * MSEC,
                                      now));

    entry.drift = (float) log(2);
    assert_true(helix_router_recheck(&routers[0], &entry, now + 11 * MSEC,
                                     now));
}


static void
test_retry(void **state)
{
    uint32_t         i;
    uint64_t         delay, before, least, most;
    helix_service_t  service = { 10.0 * MSEC, 12.0 * MSEC, 0 };

    (void) state;

    tick(10, 1);

    /* 10 ms with a fifth of two processors: 25 ms more for each */

    delay = helix_router_retry(&routers[0], &service, now, UINT32_MAX / 2);
    assert_int_equal(delay, 25);

    before = delay;

    for (i = 0; i < 100; i++) {
        delay = helix_router_retry(&routers[0], &service, now,
                                   UINT32_MAX / 2);
        assert_true(delay == before + 25);
        before = delay;
    }

    /* the clock stands still while time goes on */

    now += SEC;
    delay = helix_router_retry(&routers[0], &service, now, UINT32_MAX / 2);
    assert_true(delay == before + 25 - 1000);

    now += 1000 * SEC;
    delay = helix_router_retry(&routers[0], &service, now, UINT32_MAX / 2);
    assert_int_equal(delay, 25);

    least = UINT64_MAX;
    most = 0;

    for (i = 0; i < 100; i++) {
        now += 1000 * SEC;
        delay = helix_router_retry(&routers[0], &service, now,
                                   (uint32_t) (uniform() * UINT32_MAX));
        least = (delay < least) ? delay : least;
        most = (delay > most) ? delay : most;
    }

    assert_in_range(least, 20, 21);
    assert_in_range(most, 29, 30);

    for (i = 0; i < 10000; i++) {
        delay = helix_router_retry(&routers[0], &service, now, UINT32_MAX);
    }

    assert_int_equal(delay, 60000);

    start(2);
    service.mean = 1;
    assert_int_equal(helix_router_retry(&routers[0], &service, now, 0), 1);
}


/* One processor, times that are known: the processor works in the order of
   entry.due, exactly. */

typedef struct {
    bool             used;
    helix_entry_t    entry;
    uint64_t         deadline;
    int64_t          left;
} job_t;


static uint32_t
run_until(job_t *jobs, uint64_t from, uint64_t to)
{
    int64_t   time;
    job_t    *first;
    uint32_t  i, done;

    done = 0;

    while (from < to) {
        first = NULL;

        for (i = 0; i < JOBS; i++) {
            if (jobs[i].used
                && (first == NULL || jobs[i].entry.due < first->entry.due))
            {
                first = &jobs[i];
            }
        }

        if (first == NULL) {
            break;
        }

        time = (int64_t) (to - from);
        time = (first->left < time) ? first->left : time;

        from += (uint64_t) time;
        first->left -= time;
        helix_backlog_reduce(&reports[0].backlog, &first->entry, time);

        if (first->left == 0) {
            assert_true(from <= first->deadline);
            helix_backlog_remove(&reports[0].backlog, &first->entry);
            first->used = false;
            done++;
        }
    }

    return done;
}


static void
test_all_in_time(void **state)
{
    job_t               *job;
    double               drift;
    uint32_t             i, done, dropped;
    uint64_t             next, ticked, step;
    static job_t         jobs[JOBS];
    helix_fit_t          fit;
    helix_verdict_t      v;
    helix_router_job_t   asked;
    helix_router_view_t  view;

    (void) state;

    start(1);
    memset(jobs, 0, sizeof(jobs));
    routers[0].without = HELIX_WITHOUT_INLINE | HELIX_WITHOUT_ADAPTATION;

    for (i = 0; i < 2000; i++) {
        fit = helix_fit(&reports[0].samples[0], 1000);
        drift = 0;
        helix_samples_add(&reports[0].samples[0], &fit, &drift, 1 + i * 11,
                          (1 + i * 11) * 1000);
    }

    tick(10, 1);
    ticked = now;
    done = 0;
    dropped = 0;

    for (i = 0; i < 20000; i++) {
        step = (uint64_t) (-log(uniform()) * 2 * MSEC);
        next = now + step;

        done += run_until(jobs, now, next);
        now = next;

        if (now - ticked > 10 * MSEC) {
            tick(0, 1);
            ticked = now;
        }

        asked = job_of(0, (uint64_t) (1 + 12000 * uniform()),
                       (uint64_t) ((2 + 400 * pow(uniform(), 3)) * MSEC));

        memset(&view, 0, sizeof(view));
        view.now = now;
        view.busy = 1;

        helix_router_decide(&routers[0], &asked, &view, &v);

        if (v.decision.strategy == HELIX_DROP) {
            dropped++;
            continue;
        }

        helix_router_admitted(&routers[0], &asked, &v, now);
        assert_reason(&v, HELIX_CPU_POOL, HELIX_HEAVY);

        for (job = jobs; job->used; job++) {
            assert_true(job < jobs + JOBS - 1);
        }

        job->used = true;
        job->entry = v.entry;
        job->deadline = v.deadline;
        job->left = (int64_t) asked.work * 1000;

        helix_backlog_add(&reports[0].backlog, &job->entry, now);
    }

    done += run_until(jobs, now, now + 100 * SEC);

    assert_int_equal(done + dropped, 20000);
    assert_in_range(done, 6000, 16000);
    assert_empty(&reports[0].backlog);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup(test_model_prior, setup),
        cmocka_unit_test_setup(test_model_converges, setup),
        cmocka_unit_test_setup(test_model_drift, setup),
        cmocka_unit_test_setup(test_model_sum, setup),
        cmocka_unit_test_setup(test_backlog_oracle, setup),
        cmocka_unit_test_setup(test_backlog_late, setup),
        cmocka_unit_test_setup(test_backlog_merge, setup),
        cmocka_unit_test_setup(test_deterministic, setup),
        cmocka_unit_test_setup(test_reasons, setup),
        cmocka_unit_test_setup(test_explored, setup),
        cmocka_unit_test_setup(test_shares, setup),
        cmocka_unit_test_setup(test_level, setup),
        cmocka_unit_test_setup(test_inline_limit, setup),
        cmocka_unit_test_setup(test_margin, setup),
        cmocka_unit_test_setup(test_efficiency, setup),
        cmocka_unit_test_setup(test_others, setup),
        cmocka_unit_test_setup(test_recheck, setup),
        cmocka_unit_test_setup(test_retry, setup),
        cmocka_unit_test_setup(test_all_in_time, setup)
    };

    return cmocka_run_group_tests_name("router", tests, NULL, NULL);
}
