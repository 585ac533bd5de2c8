
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "helix_router.h"


#define MSEC       1000000ULL
#define SEC        1000000000ULL
#define START      (1000 * SEC)


static helix_settings_t  settings;
static helix_report_t    reports[2];
static helix_router_t    router;
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


/* Two processors; a unit of work of any kind is 1 us. */

static int
setup(void **state)
{
    const double  unit[2] = { 1000, 1000 };

    (void) state;

    helix_settings_init(&settings);
    settings.concurrency = 2;
    settings.batch_size = 8;
    seed = 1;
    now = START;

    memset(reports, 0, sizeof(reports));

    helix_router_init(&router, &settings, &reports[0], unit, 2, 2, now);
    router.based = &reports[0];

    /* no tick in which all kinds are tried */

    now += 50 * MSEC;

    return 0;
}


static void
tick(bool other)
{
    const bool             alive[2] = { true, other };
    const helix_report_t  *all[2] = { &reports[0], &reports[1] };

    helix_router_tick(&router, all, alive, 2, now);
}


static helix_router_job_t
job_of(uint64_t work, uint64_t budget)
{
    helix_router_job_t  job;

    memset(&job, 0, sizeof(job));

    job.work = work;
    job.received = now;
    job.budget = budget;
    job.batchable = true;

    return job;
}


static helix_verdict_t
explain(const helix_router_job_t *job, uint64_t busy)
{
    helix_verdict_t      v;
    helix_router_view_t  view;

    memset(&view, 0, sizeof(view));
    view.now = now;
    view.busy = busy;

    helix_router_explain(&router, job, &view, &v);

    return v;
}


static void
assert_lane(const helix_verdict_t *v, helix_strategy_t strategy,
    helix_reason_t reason, helix_lane_verdict_t batch)
{
    assert_string_equal(helix_strategy_names[v->decision.strategy],
                        helix_strategy_names[strategy]);
    assert_string_equal(helix_reason_names[v->decision.reason],
                        helix_reason_names[reason]);
    assert_string_equal(helix_lane_verdicts[v->verdicts[HELIX_BATCH]],
                        helix_lane_verdicts[batch]);
}


static helix_entry_t
entry_of(double work, double aim, double deadline)
{
    helix_entry_t  entry;

    memset(&entry, 0, sizeof(entry));

    entry.work = (int64_t) work;
    entry.aim = now + (uint64_t) aim;
    entry.deadline = now + (uint64_t) deadline;
    entry.due = entry.aim;

    return entry;
}


/* Batches of 2 to "size" jobs of 1 ms, of which each more takes "added". */

static void
learn(helix_batches_t *batches, uint32_t times, uint32_t size, double added,
    double noise)
{
    double    time;
    uint32_t  n;

    while (times--) {
        n = 2 + (uint32_t) (uniform() * (size - 1));
        time = MSEC * (1 + added * (n - 1)) * exp(noise * normal());

        helix_batches_add(batches, n, MSEC, (n - 1.0) * MSEC, time);
    }
}


static void
assert_near(double actual, double expected, double by)
{
    if (!(fabs(actual - expected) <= by)) {
        fail_msg("%g is not %g, by %g", actual, expected, by);
    }
}


static void
test_prior(void **state)
{
    uint32_t          n;
    helix_batching_t  batching;

    (void) state;

    batching = helix_batching(&(helix_batches_t) { 0, 0 });

    assert_near(batching.added, 1, 0);

    for (n = 1; n <= 1024; n *= 2) {
        assert_near(helix_batching_gain(&batching, n), 1, 1e-12);
        assert_false(helix_batching_leaves(&batching, n));
    }
}


static void
test_learns(void **state)
{
    uint32_t          i;
    helix_batches_t   batches;
    helix_batching_t  batching;

    static const double  added[] = { 0.018, 0.14, 0.25, 0.6, 1, 1.4 };

    (void) state;

    for (i = 0; i < 6; i++) {
        memset(&batches, 0, sizeof(batches));

        learn(&batches, 100, 16, added[i], 0.1);

        batching = helix_batching(&batches);
        assert_near(batching.added, added[i], 0.05);

        assert_true(helix_batching_leaves(&batching, 16)
                    == (16 / (1 + 15 * added[i]) < HELIX_BATCHING_GAIN));
    }

    /* soon enough: three batches of 8 */

    memset(&batches, 0, sizeof(batches));

    for (i = 0; i < 3; i++) {
        helix_batches_add(&batches, 8, MSEC, 7.0 * MSEC, 1.126 * MSEC);
    }

    batching = helix_batching(&batches);
    assert_true(helix_batching_gain(&batching, 8) > 3);

    /* and it notices that something has changed */

    learn(&batches, 50, 8, 1, 0.1);
    batching = helix_batching(&batches);
    assert_true(helix_batching_leaves(&batching, 8));
}


/* Eight at a time, side by side: not a line, but right where it is used. */

static void
test_lanes(void **state)
{
    double            time, thought;
    uint32_t          i, n, most;
    helix_batches_t   batches;
    helix_batching_t  batching;

    (void) state;

    for (most = 2; most <= 64; most *= 2) {
        memset(&batches, 0, sizeof(batches));

        for (i = 0; i < 200; i++) {
            n = most - (uint32_t) (uniform() * most / 4);
            time = 1.29 * ((n + 7) / 8) * MSEC;

            helix_batches_add(&batches, n, MSEC, (n - 1.0) * MSEC, time);
        }

        batching = helix_batching(&batches);

        time = 1.29 * ((most + 7) / 8);
        thought = most / helix_batching_gain(&batching, most);

        assert_near(thought, time, 0.15 * time);
    }
}


/* Jobs of different lengths, the work of the longest shared by all. */

static void
test_lengths(void **state)
{
    double            first, most, sum, time, thought, took;
    uint32_t          i, k, n;
    helix_batches_t   batches;
    helix_batching_t  batching;

    (void) state;

    memset(&batches, 0, sizeof(batches));
    thought = 0;
    took = 0;

    for (i = 0; i < 2000; i++) {
        n = 2 + (uint32_t) (uniform() * 15);
        first = 0;
        most = 0;
        sum = 0;

        for (k = 0; k < n; k++) {
            time = MSEC * exp(0.3 * normal());
            first = (k == 0) ? time : first;
            most = fmax(most, time);
            sum += time;
        }

        time = 0.8 * most + 0.2 * sum;
        batching = helix_batching(&batches);

        if (i > 200) {
            thought += first + batching.added * (sum - first);
            took += time;
        }

        helix_batches_add(&batches, n, first, sum - first, time);
    }

    assert_near(thought / took, 1, 0.03);
}


static void
test_sum(void **state)
{
    helix_batches_t   parts[2], sum;
    helix_batching_t  a, b;

    (void) state;

    memset(parts, 0, sizeof(parts));
    memset(&sum, 0, sizeof(sum));

    learn(&parts[0], 30, 8, 0.2, 0);
    helix_batches_merge(&sum, &parts[0]);

    a = helix_batching(&parts[0]);
    b = helix_batching(&sum);
    assert_memory_equal(&a, &b, sizeof(a));

    learn(&parts[1], 300, 8, 0.4, 0);
    helix_batches_merge(&sum, &parts[1]);

    b = helix_batching(&sum);
    assert_true(b.added > a.added && b.added < 0.4);
    assert_near(b.along, parts[0].along + parts[1].along, 1e-9);
}


static void
test_nonsense(void **state)
{
    uint32_t          i, k, n;
    helix_batches_t   batches;
    helix_batching_t  batching;

    static const double  values[] = {
        0, -1, 1, 5000, 1e12, 1e15, (double) NAN
    };

    (void) state;

    memset(&batches, 0, sizeof(batches));

    for (n = 0; n < 1025; n += 41) {
        for (i = 0; i < 7; i++) {
            for (k = 0; k < 49; k++) {
                helix_batches_add(&batches, n, values[k % 7], values[k / 7],
                                  values[i]);
                batching = helix_batching(&batches);

                assert_true(batching.added >= 0 && batching.added <= 2);
                assert_true(batching.along >= 0 && batching.along < 1e5);
                assert_true(helix_batching_gain(&batching, 1024) > 0);
            }
        }
    }

    /* one alone leaves no trace */

    memset(&batches, 0, sizeof(batches));
    helix_batches_add(&batches, 1, MSEC, 0, MSEC);
    assert_true(batches.along == 0 && batches.added == 0);
}


static void
test_take(void **state)
{
    uint32_t       i;
    helix_batch_t  batch, before;
    helix_entry_t  entry;

    (void) state;

    router.batching[0].added = 0.5;
    entry = entry_of(2 * MSEC, 88 * MSEC, 100 * MSEC);

    batch = helix_router_batch(&router, 0);

    for (i = 0; i < 8; i++) {
        assert_true(helix_batch_take(&batch, &entry, now));
    }

    assert_int_equal(batch.n, 8);
    assert_near(batch.time, 2 * MSEC * (1 + 7 * 0.5), 1);

    /* full */

    assert_false(helix_batch_take(&batch, &entry, now));

    /* half of what is between the aim and the deadline: 2 + 1 + 1 <= 4.5 */

    batch = helix_router_batch(&router, 0);
    entry = entry_of(2 * MSEC, 4 * MSEC, 5 * MSEC);

    for (i = 0; i < 3; i++) {
        assert_true(helix_batch_take(&batch, &entry, now));
    }

    before = batch;
    assert_false(helix_batch_take(&batch, &entry, now));
    assert_memory_equal(&before, &batch, sizeof(batch));

    /* what was saved would be taken: 2.5 alone, half as much along */

    entry.work = MSEC / 2;
    assert_true(helix_batch_take(&batch, &entry, now));
    entry.saved = 2 * MSEC;
    assert_false(helix_batch_take(&batch, &entry, now));

    /* the threads get half of a processor each; it has become slower */

    router.efficiency = 0.5;
    batch = helix_router_batch(&router, 0);
    entry = entry_of(2 * MSEC, 5 * MSEC, 5 * MSEC);
    assert_true(helix_batch_take(&batch, &entry, now));
    assert_false(helix_batch_take(&batch, &entry, now));

    router.efficiency = 1;
    router.drift = log(2);
    batch = helix_router_batch(&router, 0);
    assert_true(helix_batch_take(&batch, &entry, now));
    assert_false(helix_batch_take(&batch, &entry, now));

    entry.drift = (float) log(2);
    batch = helix_router_batch(&router, 0);
    assert_true(helix_batch_take(&batch, &entry, now));
    assert_true(helix_batch_take(&batch, &entry, now));
}


static void
test_take_late(void **state)
{
    helix_batch_t  batch;
    helix_entry_t  late, entry;

    (void) state;

    router.batching[0].added = 0.1;

    /* past its aim alone, it has its deadline */

    late = entry_of(10 * MSEC, 8 * MSEC, 12 * MSEC);
    entry = entry_of(10 * MSEC, 50 * MSEC, 60 * MSEC);

    batch = helix_router_batch(&router, 0);
    assert_true(helix_batch_take(&batch, &late, now));
    assert_true(helix_batch_take(&batch, &entry, now));
    assert_true(helix_batch_take(&batch, &entry, now));
    assert_false(helix_batch_take(&batch, &entry, now));

    /* what is late anyway keeps nobody out */

    late = entry_of(10 * MSEC, 8 * MSEC, 9 * MSEC);

    batch = helix_router_batch(&router, 0);
    assert_true(helix_batch_take(&batch, &late, now));
    assert_true(helix_batch_take(&batch, &entry, now));
    assert_true(helix_batch_take(&batch, &entry, now));
    assert_true(helix_batch_take(&batch, &entry, now));
}


/* No job that would be in time alone is late with those it takes along. */

static void
test_take_all_in_time(void **state)
{
    bool           taken[40];
    double         wall;
    uint32_t       i, round, most;
    helix_batch_t  batch;
    helix_entry_t  entries[40];

    (void) state;

    settings.batch_size = 32;
    most = 0;

    for (round = 0; round < 5000; round++) {
        router.batching[0].added = uniform() * 1.2;
        router.efficiency = 0.2 + 0.8 * uniform();

        batch = helix_router_batch(&router, 0);

        for (i = 0; i < 40; i++) {
            wall = 40 * MSEC * uniform();
            entries[i] = entry_of(5 * MSEC * uniform(), 0.88 * wall, wall);
            taken[i] = helix_batch_take(&batch, &entries[i], now);
        }

        assert_true(taken[0]);
        assert_true(batch.n >= 1 && batch.n <= 32);
        most = (batch.n > most) ? batch.n : most;

        for (i = 0; i < 40; i++) {
            wall = (double) (now + entries[i].work / router.efficiency);

            if (taken[i] && wall <= (double) entries[i].deadline) {
                wall = (double) (now + batch.time / router.efficiency);
                assert_true(wall <= (double) entries[i].deadline + 1);
            }
        }
    }

    assert_int_equal(most, 32);
}


static void
test_lead(void **state)
{
    uint32_t          i, k;
    helix_entry_t     first, other;
    helix_backlog_t  *backlog;

    (void) state;

    backlog = &reports[0].backlog;

    first = entry_of(8 * MSEC, 20 * MSEC, 25 * MSEC);
    other = entry_of(2 * MSEC, 20 * MSEC, 25 * MSEC);
    other.saved = 6 * MSEC;
    first.variance = 4000;
    other.variance = 1000;

    helix_backlog_add(backlog, &first, now);
    helix_backlog_add(backlog, &other, now);
    assert_near(helix_backlog_work(backlog), 10 * MSEC, 0);

    helix_backlog_remove(backlog, &first);
    helix_backlog_lead(backlog, &other);

    assert_near(helix_backlog_work(backlog), 8 * MSEC, 0);
    assert_int_equal(other.work, 8 * MSEC);
    assert_int_equal(other.saved, 0);
    assert_int_equal(other.variance, 4000);

    /* once */

    helix_backlog_lead(backlog, &other);
    assert_near(helix_backlog_work(backlog), 8 * MSEC, 0);

    helix_backlog_remove(backlog, &other);

    for (i = 0; i < HELIX_BACKLOG_LEVELS; i++) {
        assert_int_equal(backlog->bits[i], 0);

        for (k = 0; k < HELIX_BACKLOG_SIZE; k++) {
            assert_int_equal(backlog->buckets[i][k].work, 0);
            assert_int_equal(backlog->buckets[i][k].variance, 0);
            assert_int_equal(backlog->buckets[i][k].n, 0);
        }
    }

    /* nothing of what is explored is ahead */

    other = entry_of(0, 20 * MSEC, 25 * MSEC);
    helix_backlog_add(backlog, &other, now);
    helix_backlog_lead(backlog, &other);
    assert_near(helix_backlog_work(backlog), 0, 0);
}


static void
test_decide(void **state)
{
    helix_verdict_t     v, full;
    helix_router_job_t  job;

    (void) state;

    job = job_of(10000, 100 * MSEC);

    v = explain(&job, 1);
    assert_lane(&v, HELIX_CPU_POOL, HELIX_HEAVY, HELIX_LANE_THREAD_FREE);

    full = explain(&job, 2);
    assert_lane(&full, HELIX_BATCH, HELIX_BATCHABLE, HELIX_LANE_CHOSEN);
    assert_int_equal(full.verdicts[HELIX_CPU_POOL], HELIX_LANE_NOT_NEEDED);
    assert_int_equal(full.entry.saved, 0);
    assert_near((double) full.entry.work, full.service.mean, 1);
    assert_int_equal(full.entry.deadline, now + 100 * MSEC);
    assert_int_equal(full.entry.aim, now + 88 * MSEC);

    /* nothing is known of what it gains */

    job.joins = true;
    v = explain(&job, 2);
    assert_int_equal(v.entry.work, full.entry.work);
    assert_int_equal(v.entry.saved, 0);

    router.batching[0].added = 0.25;
    v = explain(&job, 2);
    assert_lane(&v, HELIX_BATCH, HELIX_BATCHABLE, HELIX_LANE_CHOSEN);
    assert_near((double) v.entry.work, full.service.mean / 4, 1);
    assert_near((double) v.entry.saved, full.service.mean * 3 / 4, 2);
    assert_near(v.cost, full.service.mean / 4, 1);
    assert_true(v.finish[HELIX_BATCH] < full.finish[HELIX_BATCH]);

    /* it may be left behind, and then it takes all */

    assert_true(v.entry.variance > full.entry.variance / 4);
    assert_true(helix_router_recheck(&router, &v.entry,
                                     now + (uint64_t) full.service.mean + 2,
                                     now));
    assert_false(helix_router_recheck(&router, &v.entry,
                                      now + (uint64_t) full.service.mean - 2,
                                      now));

    /* one more never costs more than alone */

    router.batching[0].added = 1.7;
    v = explain(&job, 2);
    assert_int_equal(v.entry.work, full.entry.work);

    job.batchable = false;
    v = explain(&job, 2);
    assert_lane(&v, HELIX_CPU_POOL, HELIX_HEAVY, HELIX_LANE_CANNOT_BATCH);
}


/* What is gained is admitted. */

static void
test_admits_more(void **state)
{
    helix_entry_t       entry;
    helix_verdict_t     v;
    helix_router_job_t  job;

    (void) state;

    router.fits[0].n = 100;
    router.batching[0].added = 0.05;

    memset(&entry, 0, sizeof(entry));
    entry.work = 70 * MSEC;
    entry.due = now + 50 * MSEC;
    helix_backlog_add(&reports[0].backlog, &entry, now);

    job = job_of(20000, 80 * MSEC);

    v = explain(&job, 2);
    assert_lane(&v, HELIX_DROP, HELIX_INFEASIBLE, HELIX_LANE_LATE);
    assert_int_equal(v.verdicts[HELIX_CPU_POOL], HELIX_LANE_LATE);

    job.joins = true;
    v = explain(&job, 2);
    assert_lane(&v, HELIX_BATCH, HELIX_BATCHABLE, HELIX_LANE_CHOSEN);
}


static void
test_offered(void **state)
{
    helix_verdict_t      v;
    helix_router_job_t   job;
    helix_router_view_t  view;

    (void) state;

    router.batching[0].added = 0.25;
    job = job_of(10000, 100 * MSEC);
    job.joins = true;

    memset(&view, 0, sizeof(view));
    view.now = now;
    view.busy = 2;

    helix_router_explain(&router, &job, &view, &v);
    assert_int_equal(reports[0].offered[0], 0);

    helix_router_decide(&router, &job, &view, &v);
    assert_int_equal(reports[0].offered[0], (uint64_t) v.cost);
    assert_int_equal(reports[0].refused, 0);

    helix_router_offer(&router, &job, &v);
    assert_int_equal(reports[0].offered[0], 2 * (uint64_t) v.cost);

    helix_router_admitted(&router, &job, &v, now);
    assert_near(router.credit[0], -v.cost, 1e-6);
}


/* A kind that gains nothing is tried in one of 100 ticks. */

static void
test_leaves(void **state)
{
    uint32_t            i, tried;
    helix_verdict_t     v;
    helix_router_job_t  job;

    (void) state;

    for (i = 0; i < 10; i++) {
        helix_router_batched(&router, 0, 4, MSEC, 3 * MSEC, 4 * MSEC);
    }

    tick(false);

    job = job_of(10000, 100 * MSEC);
    v = explain(&job, 2);
    assert_lane(&v, HELIX_CPU_POOL, HELIX_HEAVY, HELIX_LANE_NO_GAIN);

    tried = 0;

    for (i = 0; i < 1000; i++) {
        now += 10 * MSEC;
        job.received = now;
        v = explain(&job, 2);
        tried += (v.decision.strategy == HELIX_BATCH);
    }

    assert_int_equal(tried, 10);

    /* until it does */

    for (i = 0; i < 40; i++) {
        helix_router_batched(&router, 0, 4, MSEC, 3 * MSEC, 2 * MSEC);
    }

    now += 10 * MSEC;
    tick(false);
    job.received = now;
    v = explain(&job, 2);
    assert_lane(&v, HELIX_BATCH, HELIX_BATCHABLE, HELIX_LANE_CHOSEN);
}


static void
test_others_teach(void **state)
{
    (void) state;

    learn(&reports[1].batches[1], 30, 8, 0.2, 0);

    tick(true);
    assert_near(router.batching[1].added, 0.2, 0.05);
    assert_near(router.batching[0].added, 1, 0);

    /* the dead as well, as long as the living know little */

    tick(false);
    assert_near(router.batching[1].added, 0.2, 0.05);

    learn(&reports[0].batches[1], 30, 8, 0.6, 0);
    tick(false);
    assert_near(router.batching[1].added, 0.6, 0.05);
}


static void
test_drift(void **state)
{
    uint32_t  i;

    (void) state;

    for (i = 0; i < 20; i++) {
        helix_router_batched(&router, 0, 8, MSEC, 7 * MSEC, 3 * MSEC);
    }

    tick(false);
    router.drift = 0;

    /* all takes twice as long */

    for (i = 0; i < 15; i++) {
        helix_router_batched(&router, 0, 8, MSEC * exp(router.drift),
                             7 * MSEC * exp(router.drift), 6 * MSEC);
    }

    assert_near(exp(router.drift), 1.4, 0.2);

    /* what was so short that the clocks say nothing teaches nothing */

    router.drift = 0;
    helix_router_batched(&router, 0, 8, 400, 2800, HELIX_ROUTER_FLOOR - 1);
    assert_near(router.drift, 0, 0);
}


static void
test_turn(void **state)
{
    helix_verdict_t      v;
    helix_router_job_t   job;
    helix_router_view_t  view;

    (void) state;

    router.batching[0].added = 0.1;
    job = job_of(10, 5 * MSEC);

    v = explain(&job, 0);
    assert_lane(&v, HELIX_INLINE, HELIX_CHEAP, HELIX_LANE_NOT_NEEDED);

    job.ticks = true;
    v = explain(&job, 0);
    assert_lane(&v, HELIX_BATCH, HELIX_CHEAP, HELIX_LANE_CHOSEN);
    assert_int_equal(v.verdicts[HELIX_INLINE], HELIX_LANE_TOGETHER);
    assert_near(v.cost, v.service.mean, 1);

    /* in a turn that is full there is still room for one more of a batch */

    memset(&view, 0, sizeof(view));
    view.now = now;
    view.turn = HELIX_ROUTER_TURN - (uint64_t) (v.service.high / 2);

    helix_router_explain(&router, &job, &view, &v);
    assert_lane(&v, HELIX_SPAWN, HELIX_MODERATE, HELIX_LANE_NOT_NEEDED);

    job.joins = true;
    helix_router_decide(&router, &job, &view, &v);
    assert_lane(&v, HELIX_BATCH, HELIX_CHEAP, HELIX_LANE_CHOSEN);
    assert_near(v.cost, v.service.mean / 10, 1);

    /* nothing of that is for threads */

    helix_router_admitted(&router, &job, &v, now);
    assert_int_equal(reports[0].offered[0], 0);
    assert_near(router.credit[0], 0, 0);

    router.batching[0].added = 1;
    router.batching[0].along = 100;
    v = explain(&job, 0);
    assert_lane(&v, HELIX_INLINE, HELIX_CHEAP, HELIX_LANE_NO_GAIN);
}


/* Batches are no way around the shares, nor are short budgets. */

static void
test_share(void **state)
{
    helix_entry_t       entry;
    helix_verdict_t     v;
    helix_router_job_t  job;

    (void) state;

    router.shedding = true;
    router.capped[0] = true;
    router.credit[0] = -1;

    entry = entry_of(16 * MSEC, 900 * MSEC, 900 * MSEC);
    helix_backlog_add(&reports[0].backlog, &entry, now);
    tick(false);
    router.credit[0] = -1;

    job = job_of(3000, 100 * MSEC);
    v = explain(&job, 2);
    assert_lane(&v, HELIX_BATCH, HELIX_BATCHABLE, HELIX_LANE_CHOSEN);

    job.budget = 30 * MSEC;
    v = explain(&job, 2);
    assert_lane(&v, HELIX_DROP, HELIX_SHARE, HELIX_LANE_SHARE);

    job.batchable = false;
    v = explain(&job, 2);
    assert_lane(&v, HELIX_DROP, HELIX_SHARE, HELIX_LANE_CANNOT_BATCH);

    v = explain(&job, 1);
    assert_lane(&v, HELIX_CPU_POOL, HELIX_HEAVY, HELIX_LANE_CANNOT_BATCH);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup(test_prior, setup),
        cmocka_unit_test_setup(test_learns, setup),
        cmocka_unit_test_setup(test_lanes, setup),
        cmocka_unit_test_setup(test_lengths, setup),
        cmocka_unit_test_setup(test_sum, setup),
        cmocka_unit_test_setup(test_nonsense, setup),
        cmocka_unit_test_setup(test_take, setup),
        cmocka_unit_test_setup(test_take_late, setup),
        cmocka_unit_test_setup(test_take_all_in_time, setup),
        cmocka_unit_test_setup(test_lead, setup),
        cmocka_unit_test_setup(test_decide, setup),
        cmocka_unit_test_setup(test_admits_more, setup),
        cmocka_unit_test_setup(test_offered, setup),
        cmocka_unit_test_setup(test_leaves, setup),
        cmocka_unit_test_setup(test_others_teach, setup),
        cmocka_unit_test_setup(test_drift, setup),
        cmocka_unit_test_setup(test_turn, setup),
        cmocka_unit_test_setup(test_share, setup)
    };

    return cmocka_run_group_tests_name("batching", tests, NULL, NULL);
}
