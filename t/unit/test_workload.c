
/* The ancestor's workload: its first jobs, its mix, and what bounds a job. */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "helix_policy.h"
#include "helix_workload.h"


static void
assert_job(const helix_workload_job_t *job, helix_workload_kind_t kind,
    uint32_t ninputs, const uint64_t *inputs, uint64_t cost, float scaling,
    uint64_t budget)
{
    assert_int_equal(job->kind, kind);
    assert_int_equal(job->ninputs, ninputs);
    assert_memory_equal(job->inputs, inputs, ninputs * sizeof(uint64_t));
    assert_int_equal(job->cost, cost);
    assert_true(job->scaling == scaling);
    assert_int_equal(job->budget, budget);
}


static void
test_replay_first_jobs(void **state)
{
    helix_workload_t       workload;
    helix_workload_job_t   job;
    static const uint64_t  first[] = { 28528, 54499, 190227 };
    static const uint64_t  second[] = { 63471, 56375 };
    static const uint64_t  third[] = { 157401, 46858, 53711, 181743 };

    (void) state;

    helix_workload_init(&workload, 7, 0.15);

    helix_workload_next(&workload, &job);
    assert_int_equal(job.id, 0);
    assert_job(&job, HELIX_WORKLOAD_PRIMECOUNT, 3, first, 22028,
               0.47002548f, 43);

    /* the reference's text has a digit less: 0.5678078 */

    helix_workload_next(&workload, &job);
    assert_job(&job, HELIX_WORKLOAD_PRIMECOUNT, 2, second, 74320,
               0.56780785f, 43);

    helix_workload_next(&workload, &job);
    assert_int_equal(job.id, 2);
    assert_job(&job, HELIX_WORKLOAD_HASHMIX, 4, third, 111348,
               0.22996977f, 44);
}


static void
test_replay_mix(void **state)
{
    int                   i;
    unsigned              kinds[HELIX_WORKLOAD_KINDS], mix[HELIX_STRATEGIES];
    helix_settings_t      settings;
    helix_workload_t      workload;
    helix_policy_job_t    job;
    helix_workload_job_t  draw;

    (void) state;

    memset(kinds, 0, sizeof(kinds));
    memset(mix, 0, sizeof(mix));

    helix_settings_init(&settings);
    helix_workload_init(&workload, 7, 0.15);

    for (i = 0; i < 200; i++) {
        helix_workload_next(&workload, &draw);

        job.cost = draw.cost;
        job.scaling = draw.scaling;
        job.batchable = true;

        kinds[draw.kind]++;
        mix[helix_threshold_decide(&settings, settings.spawn_threshold, 0,
                                   &job).strategy]++;
    }

    assert_int_equal(kinds[HELIX_WORKLOAD_PRIMECOUNT], 110);
    assert_int_equal(kinds[HELIX_WORKLOAD_HASHMIX], 66);
    assert_int_equal(kinds[HELIX_WORKLOAD_MONTECARLO], 24);

    assert_int_equal(mix[HELIX_INLINE], 12);
    assert_int_equal(mix[HELIX_SPAWN], 97);
    assert_int_equal(mix[HELIX_CPU_POOL], 56);
    assert_int_equal(mix[HELIX_BATCH], 35);
    assert_int_equal(mix[HELIX_DROP], 0);
}


static void
test_bounds(void **state)
{
    int                   i, seed;
    uint32_t              n;
    unsigned              heavy;
    helix_workload_t      workload;
    helix_workload_job_t  job;

    (void) state;

    for (seed = 0; seed < 20; seed++) {
        helix_workload_init(&workload, (uint64_t) seed,
                            (seed & 1) ? 1 : HELIX_WORKLOAD_HEAVY);
        heavy = 0;

        for (i = 0; i < 1000; i++) {
            helix_workload_next(&workload, &job);

            assert_int_equal(job.id, i);
            assert_true(job.kind < HELIX_WORKLOAD_KINDS);
            assert_in_range(job.ninputs, 2, HELIX_WORKLOAD_INPUTS);
            assert_in_range(job.cost, 500, 300000);
            assert_in_range(job.budget, 5, 80);
            assert_true(job.scaling >= 0 && job.scaling <= 1);

            for (n = 0; n < job.ninputs; n++) {
                assert_in_range(job.inputs[n], 0, 200000);
            }

            heavy += (job.cost >= 80000);
        }

        assert_in_range(heavy, (seed & 1) ? 1000 : 150, 1000);
    }
}


static void
test_seeds_differ(void **state)
{
    helix_workload_t      a, b;
    helix_workload_job_t  one, two;

    (void) state;

    helix_workload_init(&a, 7, HELIX_WORKLOAD_HEAVY);
    helix_workload_init(&b, UINT64_MAX, HELIX_WORKLOAD_HEAVY);

    helix_workload_next(&a, &one);
    helix_workload_next(&b, &two);
    assert_memory_not_equal(&one, &two, sizeof(one));

    helix_workload_init(&b, 7, HELIX_WORKLOAD_HEAVY);
    helix_workload_next(&b, &two);
    assert_memory_equal(&one, &two, sizeof(one));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_replay_first_jobs),
        cmocka_unit_test(test_replay_mix),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_seeds_differ)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
