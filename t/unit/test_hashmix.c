
/*
 * hashmix in batches: whatever the processor, the lanes, the lengths and who
 * leaves, each job's answer is that of its chain alone.  The seed's vectors
 * are in test_kinds.c.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "helix_hashmix.h"
#include "control.h"


#define MAX_JOBS  200

#define countof(a)  (sizeof(a) / sizeof((a)[0]))


typedef struct {
    helix_output_t    base;
    uint64_t          value;
} answer_t;


typedef struct {
    uint32_t          n;
    void             *states[MAX_JOBS];
    uint8_t           results[MAX_JOBS];
    uint64_t          want[MAX_JOBS];
} jobs_t;


static const helix_kind_t *const  kind = &helix_kind_hashmix;


static uint64_t
next_random(uint64_t *seed)
{
    uint64_t  z;

    z = (*seed += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;

    return z ^ (z >> 31);
}


static void
answer_u64(helix_output_t *out, uint64_t value)
{
    ((answer_t *) out)->value = value;
}


static uint64_t
answer_of(const void *state)
{
    answer_t  answer;

    memset(&answer, 0, sizeof(answer));
    answer.base.size = sizeof(helix_output_t);
    answer.base.u64 = answer_u64;
    kind->finish(state, &answer.base);

    return answer.value;
}


static uint64_t
chain(uint64_t x, uint64_t n)
{
    while (n-- != 0) {
        x = ((x << 7 | x >> 57) ^ 0x9e3779b97f4a7c15ULL)
            * 0xbf58476d1ce4e5b9ULL;
    }

    return x;
}


/* A job of one input and some iterations, and what it shall come to unless
   nobody can wait for it. */

static void *
job_start(uint64_t input, uint64_t iterations, uint64_t *want)
{
    void          *state;
    uint64_t       x;
    helix_args_t   args;
    helix_plan_t   plan;

    memset(&args, 0, sizeof(args));
    args.size = sizeof(args);
    args.cost = 64 * iterations;
    args.inputs = &input;
    args.ninputs = 1;

    memset(&plan, 0, sizeof(plan));
    assert_int_equal(kind->plan(NULL, &args, &plan), HELIX_DONE);
    assert_int_equal(plan.flags, HELIX_PURE);
    assert_true(plan.work >= args.cost);

    state = malloc(plan.memory);
    assert_non_null(state);
    memset(state, 0xa5, plan.memory);
    kind->start(NULL, state, &args);

    x = (input ^ 0xcbf29ce484222325ULL) * 0x100000001b3ULL;
    x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdULL;
    x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53ULL;

    if (want != NULL) {
        *want = chain(x ^ (x >> 33), iterations ? iterations : 1);
    }

    return state;
}


/* Those that this processor can run. */

static uint32_t
all_isas(const helix_hashmix_isa_t **isas)
{
    uint32_t  n;

    n = 0;
    isas[n++] = &helix_hashmix_plain;

#if defined __x86_64__

    if (__builtin_cpu_supports("avx512f")
        && __builtin_cpu_supports("avx512dq"))
    {
        isas[n++] = &helix_hashmix_intel;
        isas[n++] = &helix_hashmix_avx512;
    }

#endif

    return n;
}


static void
jobs_init(jobs_t *jobs, uint32_t n, uint64_t *seed)
{
    uint32_t  i, bits;

    jobs->n = n;
    bits = (uint32_t) (next_random(seed) % 15);

    for (i = 0; i < n; i++) {
        jobs->states[i] = job_start(next_random(seed),
                              next_random(seed) >> (63 - bits),
                              &jobs->want[i]);
        jobs->results[i] = HELIX_AGAIN;
    }
}


/* A sanitizer sees who touches a job that has left. */

static void
jobs_leave(jobs_t *jobs, uint32_t i)
{
    if (jobs->states[i] != NULL && jobs->results[i] == HELIX_AGAIN) {
        free(jobs->states[i]);
        jobs->states[i] = NULL;
    }
}


static void
jobs_check(jobs_t *jobs)
{
    uint32_t  i;

    for (i = 0; i < jobs->n; i++) {
        if (jobs->states[i] == NULL) {
            assert_int_equal(jobs->results[i], HELIX_AGAIN);
            continue;
        }

        assert_int_equal(jobs->results[i], HELIX_DONE);
        assert_true(answer_of(jobs->states[i]) == jobs->want[i]);
        free(jobs->states[i]);
    }
}


#if defined __x86_64__

static void
test_vectors(void **unused)
{
    size_t     k;
    uint32_t   i, n;
    uint64_t   seed, value[64], want[64];
    const struct {
        uint32_t   lanes;
        void     (*run)(uint64_t *value, uint64_t n);
    } runs[] = {
        { 16, helix_hashmix_run16 },
        { 32, helix_hashmix_run32 },
        { 64, helix_hashmix_run64 }
    };

    (void) unused;
    seed = 1;

    if (!__builtin_cpu_supports("avx512f")
        || !__builtin_cpu_supports("avx512dq"))
    {
        skip();
    }

    for (k = 0; k < countof(runs); k++) {
        for (n = 0; n < 200; n++) {
            for (i = 0; i < 64; i++) {
                value[i] = next_random(&seed);
                want[i] = i < runs[k].lanes ? chain(value[i], n) : value[i];
            }

            runs[k].run(value, n);
            assert_memory_equal(value, want, sizeof(value));
        }
    }
}

#endif


static void
test_isa(void **unused)
{
    uint32_t                    i, n;
    const helix_hashmix_isa_t  *isa, *isas[3];

    (void) unused;

    isa = helix_hashmix_isa();
    assert_true(isa->lanes <= HELIX_HASHMIX_LANES && isa->lanes % 8 == 0);

    n = all_isas(isas);

    for (i = 0; i < n && isas[i] != isa; i++) { /* void */ }

    assert_true(i < n);
}


/* Every number of lanes, with and without a queue, stopped or not. */

static void
test_batch(void **unused)
{
    uint32_t                    i, n, nisas;
    uint64_t                    seed;
    jobs_t                      jobs;
    control_t                   ctl;
    const helix_hashmix_isa_t  *isas[3];

    (void) unused;
    seed = 2;
    nisas = all_isas(isas);

    for (i = 0; i < nisas; i++) {
        for (n = 1; n <= 80; n++) {
            jobs_init(&jobs, n, &seed);
            control_init(&ctl, n % 4);

            while (helix_hashmix_batch(isas[i], jobs.states, jobs.results, n,
                                       &ctl.base)
                   == HELIX_AGAIN)
            {
                assert_true(ctl.every != 0);
            }

            jobs_check(&jobs);
        }
    }
}


static void
test_leaving(void **unused)
{
    int                         rc;
    uint32_t                    i, k, n, nisas, ended;
    uint64_t                    seed;
    jobs_t                      jobs;
    control_t                   ctl;
    const helix_hashmix_isa_t  *isas[3];

    (void) unused;
    seed = 3;
    nisas = all_isas(isas);

    for (i = 0; i < nisas; i++) {
        for (n = 2; n <= MAX_JOBS; n = n * 3 / 2 + 1) {
            jobs_init(&jobs, n, &seed);
            control_init(&ctl, 1);

            do {
                jobs_leave(&jobs, (uint32_t) (next_random(&seed) % n));

                rc = helix_hashmix_batch(isas[i], jobs.states, jobs.results,
                                         n, &ctl.base);

                for (ended = 0, k = 0; k < n; k++) {
                    ended += jobs.states[k] == NULL
                             || jobs.results[k] == HELIX_DONE;
                }

                assert_int_equal(rc, ended == n ? HELIX_DONE : HELIX_AGAIN);

            } while (rc == HELIX_AGAIN);

            jobs_check(&jobs);
        }
    }
}


/* A job goes on in whatever way: alone, in a batch, on another processor. */

static void
test_handed_on(void **unused)
{
    uint32_t                    i, k, nisas;
    uint64_t                    seed;
    jobs_t                      jobs;
    control_t                   ctl;
    const helix_hashmix_isa_t  *isas[3];

    (void) unused;
    seed = 4;
    nisas = all_isas(isas);
    jobs.n = 40;

    for (i = 0; i < jobs.n; i++) {
        jobs.results[i] = HELIX_AGAIN;
        jobs.states[i] = job_start(i, 20000 + next_random(&seed) % 30000,
                                   &jobs.want[i]);
    }

    control_init(&ctl, 1);

    for (k = 0; k < 1000; k++) {
        i = (uint32_t) (next_random(&seed) % jobs.n);

        if (jobs.results[i] == HELIX_AGAIN) {
            jobs.results[i] = (uint8_t) kind->step(jobs.states[i],
                                                   &ctl.base);
        }

        if (helix_hashmix_batch(isas[k % nisas], jobs.states, jobs.results,
                                jobs.n, &ctl.base)
            == HELIX_DONE)
        {
            break;
        }
    }

    jobs_check(&jobs);
}


/* Endless jobs in every lane: each call gets no further than to a poll. */

static void
test_polls(void **unused)
{
    uint32_t                    i, k, nisas;
    jobs_t                      jobs;
    control_t                   ctl;
    const helix_hashmix_isa_t  *isas[3];

    (void) unused;
    nisas = all_isas(isas);

    for (k = 0; k < nisas; k++) {
        jobs.n = HELIX_HASHMIX_LANES + 8;

        for (i = 0; i < jobs.n; i++) {
            jobs.results[i] = HELIX_AGAIN;
            jobs.states[i] = job_start(i, i % 9 ? 1000000000000ULL : 1,
                                       NULL);
        }

        control_init(&ctl, 1);

        for (i = 1; i <= 20; i++) {
            assert_int_equal(helix_hashmix_batch(isas[k], jobs.states,
                                 jobs.results, jobs.n, &ctl.base),
                             HELIX_AGAIN);
            assert_int_equal(ctl.polls, i);
        }

        /* and the short ones are not kept waiting */
        for (i = 0; i < jobs.n; i++) {
            assert_int_equal(jobs.results[i],
                             i % 9 ? HELIX_AGAIN : HELIX_DONE);
            free(jobs.states[i]);
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
#if defined __x86_64__
        cmocka_unit_test(test_vectors),
#endif
        cmocka_unit_test(test_isa),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_leaving),
        cmocka_unit_test(test_handed_on),
        cmocka_unit_test(test_polls)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
