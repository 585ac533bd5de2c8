
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "helix_policy.h"
#include "helix_pressure.h"
#include "helix_workload.h"


#define NSEC_PER_MSEC  1000000


static helix_settings_t  settings;


static int
setup(void **state)
{
    (void) state;

    helix_settings_init(&settings);

    return 0;
}


static void
assert_near(double actual, double expected, double tolerance)
{
    if (!(fabs(actual - expected) <= tolerance)) {
        fail_msg("%.17g is not within %g of %.17g", actual, tolerance,
                 expected);
    }
}


static void
assert_decision(uint64_t cost, float scaling, bool batchable, uint64_t busy,
    helix_strategy_t strategy, helix_reason_t reason)
{
    helix_decision_t    decision;
    helix_policy_job_t  job;

    job.cost = cost;
    job.scaling = scaling;
    job.batchable = batchable;

    decision = helix_threshold_decide(&settings, settings.spawn_threshold,
                                      busy, &job);

    assert_string_equal(helix_strategy_names[decision.strategy],
                        helix_strategy_names[strategy]);
    assert_string_equal(helix_reason_names[decision.reason],
                        helix_reason_names[reason]);
}


static void
test_names(void **state)
{
    size_t  i, j;

    (void) state;

    for (i = 0; i < HELIX_STRATEGIES; i++) {
        assert_non_null(helix_strategy_names[i]);

        for (j = 0; j < i; j++) {
            assert_string_not_equal(helix_strategy_names[i],
                                    helix_strategy_names[j]);
        }
    }

    for (i = 0; i < HELIX_REASONS; i++) {
        assert_non_null(helix_reason_names[i]);

        for (j = 0; j < i; j++) {
            assert_string_not_equal(helix_reason_names[i],
                                    helix_reason_names[j]);
        }
    }

    assert_null(helix_strategy_names[HELIX_STRATEGIES]);
    assert_null(helix_reason_names[HELIX_REASONS]);

    assert_string_equal(helix_strategy_names[HELIX_CPU_POOL], "cpu_pool");
    assert_string_equal(helix_strategy_names[HELIX_DROP], "drop");
    assert_string_equal(helix_reason_names[HELIX_QUEUE_FULL], "queue_full");
    assert_string_equal(helix_reason_names[HELIX_MEMORY], "memory");
}


static void
test_decide_cost(void **state)
{
    (void) state;

    assert_decision(0, 0, true, 0, HELIX_INLINE, HELIX_CHEAP);
    assert_decision(100, 1, true, 0, HELIX_INLINE, HELIX_CHEAP);
    assert_decision(8000, 1, true, 0, HELIX_INLINE, HELIX_CHEAP);
    assert_decision(8001, 1, true, 0, HELIX_SPAWN, HELIX_MODERATE);
    assert_decision(20000, 0, true, 0, HELIX_SPAWN, HELIX_MODERATE);
    assert_decision(59999, 1, true, 0, HELIX_SPAWN, HELIX_MODERATE);
    assert_decision(60000, 0, true, 0, HELIX_CPU_POOL, HELIX_HEAVY);
    assert_decision(60001, 0, true, 0, HELIX_CPU_POOL, HELIX_HEAVY);
    assert_decision(UINT64_MAX, 0, true, 0, HELIX_CPU_POOL, HELIX_HEAVY);
}


static void
test_decide_adapted(void **state)
{
    helix_policy_job_t  job = { 60000, 0.1f, true };

    (void) state;

    assert_int_equal(
        helix_threshold_decide(&settings, 60001, 0, &job).strategy,
        HELIX_SPAWN);
    assert_int_equal(
        helix_threshold_decide(&settings, 60000, 0, &job).strategy,
        HELIX_CPU_POOL);
}


static void
test_decide_scaling(void **state)
{
    (void) state;

    assert_decision(60000, 0.70f, true, 0, HELIX_BATCH, HELIX_BATCHABLE);
    assert_decision(100000, 1.0f, true, 0, HELIX_BATCH, HELIX_BATCHABLE);
    assert_decision(60000, nextafterf(0.70f, 0), true, 0,
                    HELIX_CPU_POOL, HELIX_HEAVY);
    assert_decision(60000, 0.6999f, true, 0, HELIX_CPU_POOL, HELIX_HEAVY);

    /* the bound of the pressure rule is not that of this one */

    assert_decision(60000, 0.65f, true, 0, HELIX_CPU_POOL, HELIX_HEAVY);
    assert_decision(60000, NAN, true, 0, HELIX_CPU_POOL, HELIX_HEAVY);
}


static void
test_decide_busy(void **state)
{
    (void) state;

    assert_decision(60000, 0.1f, true, 6, HELIX_CPU_POOL, HELIX_HEAVY);
    assert_decision(60000, 0.1f, true, 7, HELIX_DROP, HELIX_PRESSURE);
    assert_decision(60000, 0.1f, true, 8, HELIX_DROP, HELIX_PRESSURE);

    assert_decision(60000, 0.65f, true, 7, HELIX_BATCH, HELIX_PRESSURE);
    assert_decision(60000, 0.6499f, true, 7, HELIX_DROP, HELIX_PRESSURE);
    assert_decision(60000, nextafterf(0.65f, 0), true, 7,
                    HELIX_DROP, HELIX_PRESSURE);
    assert_decision(60000, 0.69f, true, 7, HELIX_BATCH, HELIX_PRESSURE);
    assert_decision(60000, NAN, true, 7, HELIX_DROP, HELIX_PRESSURE);

    /* the first test, cheap jobs included: as the ancestor's */

    assert_decision(100, 0.64f, true, 7, HELIX_DROP, HELIX_PRESSURE);
    assert_decision(100, 0.65f, true, 7, HELIX_BATCH, HELIX_PRESSURE);
    assert_decision(100, 0.64f, true, 6, HELIX_INLINE, HELIX_CHEAP);
}


static void
test_decide_busy_off(void **state)
{
    (void) state;

    settings.busy = 0;

    assert_decision(100, 0.1f, true, 64, HELIX_INLINE, HELIX_CHEAP);
    assert_decision(60000, 0.1f, true, 64, HELIX_CPU_POOL, HELIX_HEAVY);
    assert_decision(60000, 0.65f, true, UINT64_MAX, HELIX_CPU_POOL,
                    HELIX_HEAVY);
}


static void
test_decide_not_batchable(void **state)
{
    (void) state;

    assert_decision(100, 1, false, 7, HELIX_DROP, HELIX_PRESSURE);
    assert_decision(60000, 1, false, 7, HELIX_DROP, HELIX_PRESSURE);
    assert_decision(60000, 1, false, 0, HELIX_CPU_POOL, HELIX_HEAVY);
    assert_decision(8000, 1, false, 0, HELIX_INLINE, HELIX_CHEAP);
    assert_decision(8001, 1, false, 0, HELIX_SPAWN, HELIX_MODERATE);

    /* helix_batch off */

    settings.batching = 0;

    assert_decision(60000, 1, true, 7, HELIX_DROP, HELIX_PRESSURE);
    assert_decision(60000, 1, true, 0, HELIX_CPU_POOL, HELIX_HEAVY);
}


static void
test_decide_deterministic(void **state)
{
    int                   i;
    helix_settings_t      before;
    helix_workload_t      workload;
    helix_decision_t      first, second;
    helix_policy_job_t    job;
    helix_workload_job_t  draw;

    (void) state;

    before = settings;
    helix_workload_init(&workload, 1, 0.15);

    for (i = 0; i < 10000; i++) {
        helix_workload_next(&workload, &draw);

        job.cost = draw.cost;
        job.scaling = draw.scaling;
        job.batchable = (draw.id & 1) != 0;

        first = helix_threshold_decide(&settings, 60000, draw.id % 9, &job);
        second = helix_threshold_decide(&settings, 60000, draw.id % 9, &job);

        assert_int_equal(first.strategy, second.strategy);
        assert_int_equal(first.reason, second.reason);
    }

    assert_memory_equal(&before, &settings, sizeof(before));
}


static void
test_adapt_raise(void **state)
{
    int       ticks;
    uint64_t  threshold;

    (void) state;

    threshold = helix_threshold_adapt(&settings, 60000, 301, 10);
    assert_int_equal(threshold, 66000);

    threshold = 60000;

    for (ticks = 0; threshold < 600000; ticks++) {
        threshold = helix_threshold_adapt(&settings, threshold, 301, 10);
    }

    assert_int_equal(ticks, 25);
    assert_int_equal(threshold, 600000);

    threshold = helix_threshold_adapt(&settings, threshold, UINT64_MAX, 10);
    assert_int_equal(threshold, 600000);
}


static void
test_adapt_decay(void **state)
{
    int       ticks;
    uint64_t  threshold;

    (void) state;

    threshold = 600000;

    for (ticks = 0; threshold > 60000; ticks++) {
        threshold = helix_threshold_adapt(&settings, threshold, 199, 10);
    }

    assert_int_equal(ticks, 230);
    assert_int_equal(threshold, 60000);

    threshold = helix_threshold_adapt(&settings, threshold, 0, 10);
    assert_int_equal(threshold, 60000);
}


static void
test_adapt_band(void **state)
{
    (void) state;

    assert_int_equal(helix_threshold_adapt(&settings, 90000, 300, 10), 90000);
    assert_int_equal(helix_threshold_adapt(&settings, 90000, 200, 10), 90000);
    assert_int_equal(helix_threshold_adapt(&settings, 90000, 301, 10), 99000);
    assert_int_equal(helix_threshold_adapt(&settings, 90000, 199, 10), 89100);

    /* the trigger is rounded down: 1.5 * 201 = 301.5 */

    settings.adapt_p95 = 201;
    assert_int_equal(helix_threshold_adapt(&settings, 90000, 301, 10), 90000);
    assert_int_equal(helix_threshold_adapt(&settings, 90000, 302, 10), 99000);
}


static void
test_adapt_samples(void **state)
{
    (void) state;

    assert_int_equal(helix_threshold_adapt(&settings, 90000, 999, 0), 90000);
    assert_int_equal(helix_threshold_adapt(&settings, 90000, 999, 9), 90000);
    assert_int_equal(helix_threshold_adapt(&settings, 90000, 0, 9), 90000);
    assert_int_equal(helix_threshold_adapt(&settings, 90000, 999, 10), 99000);
}


static void
test_adapt_bounds(void **state)
{
    (void) state;

    /* configured anew while the adapted one was elsewhere */

    assert_int_equal(helix_threshold_adapt(&settings, 9000, 0, 10), 60000);
    assert_int_equal(helix_threshold_adapt(&settings, 700000, 999, 10),
                     600000);

    settings.adapt_step = 1;
    assert_int_equal(helix_threshold_adapt(&settings, 60000, 999, 10),
                     120000);
    assert_int_equal(helix_threshold_adapt(&settings, 600000, 0, 10), 540000);

    settings.spawn_threshold = UINT64_C(1) << 53;
    assert_true(helix_threshold_adapt(&settings, UINT64_MAX, 999, 10)
                == (UINT64_C(10) << 53));
    assert_true(helix_threshold_adapt(&settings, UINT64_MAX, 200, 10)
                == UINT64_MAX);

    settings.adapt_step = 1e-300;
    assert_true(helix_threshold_adapt(&settings, UINT64_MAX, 0, 10)
                == UINT64_MAX);
}


static void
test_adapt_off(void **state)
{
    (void) state;

    settings.adapt = 0;

    assert_int_equal(helix_threshold_adapt(&settings, 90000, 999, 10), 60000);
    assert_int_equal(helix_threshold_adapt(&settings, 90000, 250, 0), 60000);
}


/* Closed forms: after n equal events an average is x (1 - (1 - a)^n). */

static void
test_pressure_closed_form(void **state)
{
    int               i;
    double            filled;
    helix_pressure_t  p;

    (void) state;

    memset(&p, 0, sizeof(p));

    assert_near(helix_pressure_score(&p, 0, 0), 0, 0);
    assert_near(helix_pressure_score(&p, 0, 0.5), 0.2, 1e-15);
    assert_near(helix_pressure_score(&p, 0, 1), 0.4, 1e-15);

    for (i = 1; i <= 200; i++) {
        helix_pressure_record(&p, 0.15, 1000, 1.0, true, 0.5);

        filled = 1 - pow(0.85, i);

        assert_near(p.occupancy, filled, 1e-12);
        assert_near(p.drops, filled, 1e-12);
        assert_near(p.latency, 0.5 * filled, 1e-12);
        assert_near(p.weight, i, 0);
        assert_near(helix_pressure_score(&p, 1000, 0), 0.9 * filled, 1e-12);
        assert_near(helix_pressure_score(&p, 1000, 0.25),
                    0.1 + 0.5 * filled, 1e-12);
    }
}


/* The same as the difference equation's sum: a weighted history. */

static void
test_pressure_restated(void **state)
{
    int                   i, j;
    double                occupancy[50], latency[50], q, d, l, w, score;
    bool                  dropped[50];
    helix_pressure_t      p;
    helix_workload_t      workload;
    helix_workload_job_t  job;

    (void) state;

    memset(&p, 0, sizeof(p));
    helix_workload_init(&workload, 3, 0.15);

    for (i = 0; i < 50; i++) {
        helix_workload_next(&workload, &job);

        occupancy[i] = (double) job.scaling;
        dropped[i] = (job.cost & 1) != 0;
        latency[i] = (double) job.budget / 80.0;

        helix_pressure_record(&p, 0.3, 77, occupancy[i], dropped[i],
                              latency[i]);

        q = d = l = 0;

        for (j = 0; j <= i; j++) {
            w = 0.3 * pow(0.7, i - j);
            q += w * occupancy[j];
            d += w * (dropped[j] ? 1 : 0);
            l += w * latency[j];
        }

        assert_near(p.occupancy, q, 1e-12);
        assert_near(p.drops, d, 1e-12);
        assert_near(p.latency, l, 1e-12);

        score = 0.4 * q + 0.3 * d + 0.2 * l + 0.1 * q;
        assert_near(helix_pressure_score(&p, 77, 0), score, 1e-12);
    }
}


static void
test_pressure_clamp(void **state)
{
    size_t                i;
    helix_pressure_t      p;
    static const double   values[] = { NAN, -1, INFINITY, 2, -INFINITY };
    static const double   clamped[] = { 0, 0, 1, 1, 0 };

    (void) state;

    for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        memset(&p, 0, sizeof(p));
        helix_pressure_record(&p, 0.5, 1, values[i], false, values[i]);

        assert_near(p.occupancy, clamped[i] * 0.5, 0);
        assert_near(p.latency, clamped[i] * 0.5, 0);
        assert_near(p.drops, 0, 0);

        memset(&p, 0, sizeof(p));
        helix_pressure_record(&p, values[i], 1, 1, true, 1);
        assert_near(p.drops, clamped[i], 0);

        memset(&p, 0, sizeof(p));
        assert_near(helix_pressure_score(&p, 1, values[i]),
                    0.4 * clamped[i], 1e-15);
    }

    p.updated = 1;
    p.occupancy = p.drops = p.latency = 1;
    assert_near(helix_pressure_score(&p, 1, 1), 1, 1e-15);
    assert_true(helix_pressure_score(&p, 1, 1) <= 1);

    /* nothing now: the average stands in */

    assert_near(helix_pressure_score(&p, 1, NAN), 1, 1e-15);
    assert_near(helix_pressure_score(&p, 1, -3), 1, 1e-15);
}


static void
test_pressure_decay(void **state)
{
    double            first;
    helix_pressure_t  p, q;

    (void) state;

    memset(&p, 0, sizeof(p));
    helix_pressure_record(&p, 1.0, 1000, 0.8, true, 0.6);
    first = helix_pressure_score(&p, 1000, 0);

    assert_near(helix_pressure_score(&p, 6000, 0), first / 2, 1e-15);
    assert_near(helix_pressure_score(&p, 11000, 0), first / 4, 1e-15);
    assert_near(helix_pressure_score(&p, 3500, 0), first / sqrt(2), 1e-12);
    assert_near(helix_pressure_score(&p, 61000, 0), 0, 1e-3);
    assert_near(helix_pressure_score(&p, UINT64_MAX, 0), 0, 0);

    /* asking changes nothing; a clock behind does not raise */

    assert_near(helix_pressure_score(&p, 1000, 0), first, 0);
    assert_near(helix_pressure_score(&p, 1, 0), first, 0);

    /* alpha 0: the decay alone; in two steps as in one */

    q = p;
    helix_pressure_record(&q, 0, 6000, 1, true, 1);
    assert_near(q.occupancy, 0.4, 1e-15);
    assert_near(q.drops, 0.5, 1e-15);
    assert_near(q.latency, 0.3, 1e-15);
    assert_near(q.weight, 1.5, 1e-15);
    assert_int_equal(q.updated, 6000);

    q = p;
    helix_pressure_record(&q, 0, 2000, 0, false, 0);
    helix_pressure_record(&q, 0, 6000, 0, false, 0);
    assert_near(q.drops, 0.5, 1e-15);

    helix_pressure_record(&q, 0, 10, 0, false, 0);
    assert_int_equal(q.updated, 6000);
    assert_near(q.drops, 0.5, 1e-15);
}


static void
test_pressure_merge(void **state)
{
    int               i;
    helix_pressure_t  a, b, sum;

    (void) state;

    memset(&a, 0, sizeof(a));
    memset(&b, 0, sizeof(b));
    memset(&sum, 0, sizeof(sum));

    for (i = 0; i < 3; i++) {
        helix_pressure_record(&a, 1.0, 5000, 1.0, true, 0.5);
    }

    helix_pressure_record(&b, 1.0, 5000, 0.2, false, 0.1);

    helix_pressure_merge(&sum, &a, 5000);
    assert_memory_equal(&sum, &a, sizeof(sum));

    helix_pressure_merge(&sum, &b, 5000);
    assert_near(sum.weight, 4, 0);
    assert_near(sum.occupancy, (3 * 1.0 + 0.2) / 4, 1e-15);
    assert_near(sum.drops, 0.75, 1e-15);
    assert_near(sum.latency, (3 * 0.5 + 0.1) / 4, 1e-15);

    /* both parts decay to now, however old each is */

    memset(&sum, 0, sizeof(sum));
    b.updated = 10000;
    helix_pressure_merge(&sum, &a, 10000);
    helix_pressure_merge(&sum, &b, 10000);

    assert_near(sum.weight, 1.5 + 1, 1e-15);
    assert_near(sum.drops, 1.5 * 0.5 / 2.5, 1e-15);
    assert_near(sum.occupancy, (1.5 * 0.5 + 0.2) / 2.5, 1e-15);
    assert_int_equal(sum.updated, 10000);
}


static void
test_pressure_merge_order(void **state)
{
    helix_pressure_t  a, b, ab, ba;

    (void) state;

    memset(&a, 0, sizeof(a));
    memset(&b, 0, sizeof(b));
    memset(&ab, 0, sizeof(ab));
    memset(&ba, 0, sizeof(ba));

    helix_pressure_record(&a, 0.15, 1000, 0.9, true, 0.5);
    helix_pressure_record(&b, 0.15, 3000, 0.1, false, 1.0);
    helix_pressure_record(&b, 0.15, 4000, 0.3, true, 0.2);

    helix_pressure_merge(&ab, &a, 7000);
    helix_pressure_merge(&ab, &b, 7000);
    helix_pressure_merge(&ba, &b, 7000);
    helix_pressure_merge(&ba, &a, 7000);

    assert_near(ab.occupancy, ba.occupancy, 1e-15);
    assert_near(ab.drops, ba.drops, 1e-15);
    assert_near(ab.latency, ba.latency, 1e-15);
    assert_near(ab.weight, ba.weight, 1e-15);
}


static void
test_pressure_merge_empty(void **state)
{
    helix_pressure_t  empty, sum, before;

    (void) state;

    memset(&empty, 0, sizeof(empty));
    memset(&sum, 0, sizeof(sum));

    helix_pressure_merge(&sum, &empty, 9000);
    assert_near(helix_pressure_score(&sum, 9000, 0), 0, 0);

    helix_pressure_record(&sum, 0.15, 1000, 0.9, true, 0.5);
    before = sum;
    helix_pressure_merge(&sum, &empty, 9000);
    assert_memory_equal(&sum, &before, sizeof(sum));

    /* so old that nothing is left */

    empty.weight = 1;
    empty.drops = 1;
    helix_pressure_merge(&sum, &empty, UINT64_C(1) << 40);
    assert_memory_equal(&sum, &before, sizeof(sum));
}


static void
test_retry_after(void **state)
{
    uint64_t  mean;

    (void) state;

    mean = 5 * NSEC_PER_MSEC;

    /* 800 jobs of 5 ms by 4 threads: 1 s */

    assert_in_range(helix_retry_after(800, mean, 4, 0, 0), 800, 801);
    assert_in_range(helix_retry_after(800, mean, 4, 0, UINT32_MAX / 2),
                    1000, 1001);
    assert_in_range(helix_retry_after(800, mean, 4, 0, UINT32_MAX),
                    1200, 1201);

    assert_in_range(helix_retry_after(0, mean, 4, 500, 0), 400, 401);
    assert_in_range(helix_retry_after(800, mean, 4, 2000, UINT32_MAX),
                    2400, 2401);
    assert_in_range(helix_retry_after(800, mean, 4, 999, UINT32_MAX / 2),
                    1000, 1001);
}


static void
test_retry_after_bounds(void **state)
{
    static const uint64_t  v[] = {
        0, 1, 2, 512, 65536, 5000000, UINT32_MAX, UINT64_MAX
    };
    static const uint32_t  r[] = { 0, 1, UINT32_MAX / 2, UINT32_MAX };

    size_t    a, b, c, d, e, n;
    uint64_t  wait;

    (void) state;

    n = sizeof(v) / sizeof(v[0]);

    for (a = 0; a < n * n * n * n; a++) {
        b = a / n;
        c = b / n;
        d = c / n;

        for (e = 0; e < sizeof(r) / sizeof(r[0]); e++) {
            wait = helix_retry_after(v[a % n], v[b % n], v[c % n], v[d % n],
                                     r[e]);
            assert_in_range(wait, 1, 60000);
            assert_int_equal(wait, helix_retry_after(v[a % n], v[b % n],
                                                     v[c % n], v[d % n],
                                                     r[e]));
        }
    }

    assert_int_equal(helix_retry_after(0, 0, 8, 0, 0), 1);
    assert_int_equal(helix_retry_after(0, 0, 0, 0, UINT32_MAX), 1);
    assert_int_equal(helix_retry_after(1, 1, 0, 60000, UINT32_MAX), 60000);

    /* clients that are told the longest wait do not come back together */

    assert_int_equal(helix_retry_after(1, 1, 0, 60000, 0), 40000);
}


static void
test_retry_after_monotone(void **state)
{
    uint64_t  waiting, wait, last;
    uint32_t  random;

    (void) state;

    for (random = 0; random < UINT32_MAX - 700000000; random += 700000000) {
        last = 0;

        for (waiting = 0; waiting < 20000; waiting++) {
            wait = helix_retry_after(waiting, 12345678, 6, 10, random);
            assert_true(wait >= last);
            last = wait;
        }
    }
}


static void
test_retry_after_jitter(void **state)
{
    int               i;
    double            ratio, sum, min, max;
    helix_workload_t  workload;

    (void) state;

    helix_workload_init(&workload, 5, 0);
    sum = 0;
    min = 2;
    max = 0;

    for (i = 0; i < 100000; i++) {
        ratio = (double) helix_retry_after(40000, 10 * NSEC_PER_MSEC, 10, 1,
                                           helix_workload_u32(&workload))
                / 40000.0;

        sum += ratio;
        min = fmin(min, ratio);
        max = fmax(max, ratio);
    }

    assert_true(min >= 0.8 && min < 0.801);
    assert_true(max <= 1.2 + 1.0 / 40000 && max > 1.199);
    assert_near(sum / 100000, 1.0, 0.002);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup(test_names, setup),
        cmocka_unit_test_setup(test_decide_cost, setup),
        cmocka_unit_test_setup(test_decide_adapted, setup),
        cmocka_unit_test_setup(test_decide_scaling, setup),
        cmocka_unit_test_setup(test_decide_busy, setup),
        cmocka_unit_test_setup(test_decide_busy_off, setup),
        cmocka_unit_test_setup(test_decide_not_batchable, setup),
        cmocka_unit_test_setup(test_decide_deterministic, setup),
        cmocka_unit_test_setup(test_adapt_raise, setup),
        cmocka_unit_test_setup(test_adapt_decay, setup),
        cmocka_unit_test_setup(test_adapt_band, setup),
        cmocka_unit_test_setup(test_adapt_samples, setup),
        cmocka_unit_test_setup(test_adapt_bounds, setup),
        cmocka_unit_test_setup(test_adapt_off, setup),
        cmocka_unit_test_setup(test_pressure_closed_form, setup),
        cmocka_unit_test_setup(test_pressure_restated, setup),
        cmocka_unit_test_setup(test_pressure_clamp, setup),
        cmocka_unit_test_setup(test_pressure_decay, setup),
        cmocka_unit_test_setup(test_pressure_merge, setup),
        cmocka_unit_test_setup(test_pressure_merge_order, setup),
        cmocka_unit_test_setup(test_pressure_merge_empty, setup),
        cmocka_unit_test_setup(test_retry_after, setup),
        cmocka_unit_test_setup(test_retry_after_bounds, setup),
        cmocka_unit_test_setup(test_retry_after_monotone, setup),
        cmocka_unit_test_setup(test_retry_after_jitter, setup)
    };

    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
