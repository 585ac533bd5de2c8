
/*
 * primecount with "n": exact counts against a sieve and the literature, the
 * interval, and that slices, batches and instruction sets change nothing.  The
 * form without "n" is in test_kinds.c.
 */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "helix_primecount.h"
#include "control.h"


#define SIEVE  4200000

#define countof(a)  (sizeof(a) / sizeof((a)[0]))


#if defined __SANITIZE_ADDRESS__
#define SANITIZED
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(undefined_sanitizer)
#define SANITIZED
#endif
#endif


/* A number, or the object of an interval. */

typedef struct {
    helix_output_t    base;
    uint32_t          n;
    uint32_t          depth;
    uint32_t          objects;
    const char       *key;
    uint64_t          value;
    uint64_t          low;
    uint64_t          high;
    uint64_t          estimate;
    uint32_t          inexact;
} answer_t;


typedef struct {
    uint64_t          n;
    uint64_t          pi;
} known_t;


static const known_t  known[] = {
    { 10ULL, 4 },
    { 100ULL, 25 },
    { 1000ULL, 168 },
    { 10000ULL, 1229 },
    { 100000ULL, 9592 },
    { 250000ULL, 22044 },
    { 1000000ULL, 78498 },
    { 10000000ULL, 664579 },
    { 100000000ULL, 5761455 },
    { 1000000000ULL, 50847534 },
    { 1ULL << 31, 105097565 },
    { 1ULL << 32, 203280221 },
    { 10000000000ULL, 455052511 },
    { 100000000000ULL, 4118054813 },
    { 1000000000000ULL, 37607912018 },
#if !defined SANITIZED
    { 10000000000000ULL, 346065536839 },
#endif
};


static const helix_kind_t *const  kind = &helix_kind_primecount;

static uint32_t  primes_to[SIEVE + 1];


static uint64_t
next_random(uint64_t *seed)
{
    uint64_t  z;

    z = (*seed += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;

    return z ^ (z >> 31);
}


static int
sieve(void **unused)
{
    uint32_t  n, k, sum;

    (void) unused;

    for (n = 2; n <= SIEVE / n; n++) {
        if (primes_to[n] == 0) {
            for (k = n * n; k <= SIEVE; k += n) {
                primes_to[k] = 1;
            }
        }
    }

    sum = 0;
    primes_to[0] = primes_to[1] = 1;

    for (n = 0; n <= SIEVE; n++) {
        sum += primes_to[n] == 0;
        primes_to[n] = sum;
    }

    return 0;
}


static void
answer_u64(helix_output_t *out, uint64_t value)
{
    answer_t  *answer;

    answer = (answer_t *) out;

    if (answer->depth == 0) {
        answer->value = value;
        answer->n++;

    } else if (strcmp(answer->key, "low") == 0) {
        answer->low = value;

    } else if (strcmp(answer->key, "high") == 0) {
        answer->high = value;

    } else {
        assert_string_equal(answer->key, "estimate");
        answer->estimate = value;
    }
}


static void
answer_boolean(helix_output_t *out, int value)
{
    answer_t  *answer;

    answer = (answer_t *) out;
    assert_string_equal(answer->key, "exact");
    answer->inexact += !value;
}


static void
answer_key(helix_output_t *out, const char *name)
{
    ((answer_t *) out)->key = name;
}


static void
answer_object(helix_output_t *out)
{
    answer_t  *answer;

    answer = (answer_t *) out;
    answer->objects++;
    answer->depth++;
}


static void
answer_object_end(helix_output_t *out)
{
    ((answer_t *) out)->depth--;
}


static void
answer_of(const void *state, answer_t *answer)
{
    memset(answer, 0, sizeof(answer_t));
    answer->base.size = sizeof(helix_output_t);
    answer->base.u64 = answer_u64;
    answer->base.boolean = answer_boolean;
    answer->base.key = answer_key;
    answer->base.object = answer_object;
    answer->base.object_end = answer_object_end;

    kind->finish(state, &answer->base);
    assert_int_equal(answer->depth, 0);
    assert_int_equal(answer->n + answer->objects, 1);
    assert_int_equal(answer->objects, answer->inexact);
}


static uint64_t
number_of(const void *state)
{
    answer_t  answer;

    answer_of(state, &answer);
    assert_int_equal(answer.n, 1);

    return answer.value;
}


static void
args_init(helix_args_t *args, helix_value_t *value, uint64_t n)
{
    memset(args, 0, sizeof(helix_args_t));
    memset(value, 0, sizeof(helix_value_t));
    args->size = sizeof(helix_args_t);
    args->cost = 1;
    args->values = value;
    value->given = 1;
    value->u64 = n;
}


/* Exactly plan->memory bytes, full of rubbish. */

static void *
job_start(uint64_t n, uint32_t level)
{
    void          *state;
    helix_args_t   args;
    helix_plan_t   plan;
    helix_value_t  value;

    args_init(&args, &value, n);
    args.level = level;
    memset(&plan, 0, sizeof(plan));
    plan.size = sizeof(plan);

    assert_int_equal(kind->plan(NULL, &args, &plan), HELIX_DONE);
    assert_true(plan.work > 0 && plan.work < kind->max_work);
    assert_int_equal(plan.flags & HELIX_PURE, HELIX_PURE);

    state = malloc(plan.memory);
    assert_non_null(state);
    memset(state, 0xa5, plan.memory);
    kind->start(NULL, state, &args);

    /* the arguments are gone */
    memset(&value, 0x77, sizeof(value));
    memset(&args, 0x77, sizeof(args));

    return state;
}


static uint64_t
count(uint64_t n, uint32_t every)
{
    void       *state;
    uint64_t    value;
    control_t   ctl;

    control_init(&ctl, every);
    state = job_start(n, 0);

    while (kind->step(state, &ctl.base) == HELIX_AGAIN) {
        assert_true(every != 0);
        assert_true(kind->quality(state) < 1.0);
    }

    assert_true(kind->quality(state) == 1.0);
    value = number_of(state);
    free(state);

    return value;
}


static void
test_known(void **unused)
{
    size_t  i;

    (void) unused;

    for (i = 0; i < countof(known); i++) {
        assert_int_equal(count(known[i].n, 0), known[i].pi);
    }
}


static void
test_small(void **unused)
{
    uint32_t  n;

    (void) unused;

    for (n = 0; n < 3000; n++) {
        assert_int_equal(count(n, 0), primes_to[n]);
    }
}


static void
test_random(void **unused)
{
    uint32_t  i;
    uint64_t  n, seed;

    (void) unused;
    seed = 1;

    for (i = 0; i < 3000; i++) {
        n = next_random(&seed) % (SIEVE + 1);
        n >>= next_random(&seed) % 8;
        assert_int_equal(count(n, 0), primes_to[n]);
    }
}


/* Where the square and the fourth root change, and words[] gets longer. */

static void
test_edges(void **unused)
{
    uint64_t  i, n, d, k;

    (void) unused;

    for (i = 1; i <= 2048; i++) {
        for (n = i * i, k = 0; k < 2 && n < SIEVE; n *= n, k++) {
            for (d = 0; d < 3; d++) {
                assert_int_equal(count(n + d - 1, 0), primes_to[n + d - 1]);
            }
        }
    }

    /* roots around multiples of 128 */
    for (i = 1; i <= 16; i++) {
        for (n = 128 * i - 2; n <= 128 * i + 2 && n < 2049; n++) {
            assert_int_equal(count(n * n, 0), primes_to[n * n]);
            assert_int_equal(count(n * n + 2 * n, 0),
                             primes_to[n * n + 2 * n]);
        }
    }
}


static void
test_sliced(void **unused)
{
    size_t    i;
    uint32_t  every;
    uint64_t  seed, n, want;

    (void) unused;
    seed = 2;

    for (i = 0; i < 30; i++) {
        n = next_random(&seed) >> (30 + i % 20);
        want = count(n, 0);

        for (every = 1; every <= 3; every++) {
            assert_int_equal(count(n, every), want);
        }
    }

    assert_int_equal(count(10000000000ULL, 1), 455052511);
}


/* Both instruction sets, whichever this processor would take. */

static void
test_isa(void **unused)
{
    void                    *memory;
    size_t                   k;
    uint32_t                 i;
    uint64_t                 seed, n, want;
    helix_pc_dp_t           *dp;
    const helix_pc_turn_pt   turns[] = {
        helix_pc_turn,
#if defined __x86_64__
        helix_pc_turn_avx2
#endif
    };

    (void) unused;
    seed = 3;

    for (k = 0; k < countof(turns); k++) {

#if defined __x86_64__
        if (k == 1 && !__builtin_cpu_supports("avx2")) {
            continue;
        }
#endif

        for (i = 0; i < 60; i++) {
            n = next_random(&seed) >> (30 + i % 30);
            want = count(n, 0);

            memory = malloc(helix_pc_dp_memory(n));
            dp = memory;

            for (helix_pc_dp_start(dp, n); dp->phase != HELIX_PC_READY; ) {
                assert_true(turns[k](dp) <= HELIX_PC_BLOCK);
            }

            assert_int_equal(dp->result, want);
            free(memory);
        }
    }
}


static void
check_interval(uint64_t n, uint64_t pi)
{
    double                width;
    helix_pc_interval_t   interval;

    helix_pc_interval(&interval, n);

    assert_true(interval.low <= pi);
    assert_true(interval.high >= pi);
    assert_true(interval.low <= interval.estimate);
    assert_true(interval.high >= interval.estimate);

    if (n >= 2) {
        width = (double) (interval.high - interval.low);
        assert_true(width <= helix_pc_bound((double) n) + 1.0);
    }
}


static void
test_interval(void **unused)
{
    size_t    i;
    uint32_t  n;
    uint64_t  seed;

    (void) unused;
    seed = 4;

    for (n = 0; n < 20000; n++) {
        check_interval(n, primes_to[n]);
    }

    for (i = 0; i < 20000; i++) {
        n = (uint32_t) (next_random(&seed) % (SIEVE + 1));
        check_interval(n, primes_to[n]);
    }

    for (i = 0; i < countof(known); i++) {
        check_interval(known[i].n, known[i].pi);
    }

    for (i = 0; i < 40; i++) {
        n = (uint32_t) next_random(&seed);
        check_interval(n, count(n, 0));
    }
}


static void
test_estimate(void **unused)
{
    size_t                i;
    double                off;
    helix_pc_interval_t   interval;

    (void) unused;

    for (i = 6; i < countof(known); i++) {
        helix_pc_interval(&interval, known[i].n);
        off = fabs((double) interval.estimate - (double) known[i].pi);
        assert_true(off < 0.21 * helix_pc_bound((double) known[i].n));
    }
}


static void
test_level(void **unused)
{
    void           *state;
    answer_t        answer;
    control_t       ctl;
    helix_args_t    args;
    helix_plan_t    plan;
    helix_value_t   value;

    (void) unused;

    args_init(&args, &value, 1000000000000ULL);
    memset(&plan, 0, sizeof(plan));
    assert_int_equal(kind->plan(NULL, &args, &plan), HELIX_DONE);
    assert_int_equal(plan.nlevels, 1);
    assert_string_equal(kind->levels[plan.levels[0].name], "interval");
    assert_true(plan.levels[0].work < plan.work / 1000);
    assert_true(plan.levels[0].quality > 0.5);
    assert_true(plan.levels[0].quality < 0.6);

    state = job_start(1000000000000ULL, 1);
    control_init(&ctl, 1);
    assert_int_equal(kind->step(state, &ctl.base), HELIX_DONE);
    assert_int_equal(ctl.polls, 0);
    assert_true(kind->quality(state) == plan.levels[0].quality);

    answer_of(state, &answer);
    assert_int_equal(answer.objects, 1);
    assert_true(answer.low <= 37607912018ULL);
    assert_true(answer.high >= 37607912018ULL);
    assert_true(answer.high - answer.low < 80000);
    free(state);

    /* what is counted as fast as that has no other answer */
    args_init(&args, &value, 1000);
    memset(&plan, 0, sizeof(plan));
    assert_int_equal(kind->plan(NULL, &args, &plan), HELIX_DONE);
    assert_int_equal(plan.nlevels, 0);
}


/* li(n) and the bound, computed to 60 digits, 1/16 added at both ends. */

static void
test_bounds(void **unused)
{
    size_t                i;
    helix_pc_interval_t   interval;
    const struct {
        uint64_t          n;
        uint64_t          low;
        uint64_t          high;
    } bounds[] = {
        { 1000ULL, 165, 177 },
        { 1000000ULL, 78459, 78627 },
        { 1000000000ULL, 50845903, 50849235 },
        { 1ULL << 31, 105095543, 105100230 },
        { 1000000000000ULL, 37607873676, 37607950280 },
        { 10000000000000ULL, 346065423743, 346065645810 }
    };

    (void) unused;

    for (i = 0; i < countof(bounds); i++) {
        helix_pc_interval(&interval, bounds[i].n);
        assert_int_equal(interval.low, bounds[i].low);
        assert_int_equal(interval.high, bounds[i].high);
    }
}


/* Stopped by the deadline, before the first step and amid the count. */

static void
test_truncated(void **unused)
{
    int         i;
    void       *state;
    answer_t    answer;
    control_t   ctl;

    (void) unused;

    state = job_start(1000000000ULL, 0);
    control_init(&ctl, 1);

    for (i = 0; i < 5; i++) {
        assert_true(kind->quality(state) > 0.4);
        assert_true(kind->quality(state) < 0.6);

        answer_of(state, &answer);
        assert_int_equal(answer.objects, 1);
        assert_true(answer.low <= 50847534);
        assert_true(answer.high >= 50847534);

        assert_int_equal(kind->step(state, &ctl.base), HELIX_AGAIN);
    }

    while (kind->step(state, &ctl.base) == HELIX_AGAIN) {
        /* void */
    }

    assert_true(kind->quality(state) == 1.0);
    assert_int_equal(number_of(state), 50847534);
    free(state);
}


static void
test_refused(void **unused)
{
    size_t           i;
    helix_args_t     args;
    helix_plan_t     plan;
    helix_value_t    value;
    const uint64_t   bad[] = { HELIX_PC_N_MAX + 1, 1ULL << 53, UINT64_MAX };

    (void) unused;

    for (i = 0; i < countof(bad); i++) {
        args_init(&args, &value, bad[i]);
        memset(&plan, 0, sizeof(plan));
        assert_int_equal(kind->plan(NULL, &args, &plan), HELIX_FAILED);
        assert_string_equal(plan.field, "n");
        assert_string_equal(plan.error, "n must be at most 10000000000000");
    }

    assert_string_equal(kind->params[0].name, "n");
    assert_true(kind->params[0].max == (double) HELIX_PC_N_MAX);
    assert_null(kind->params[1].name);

    args_init(&args, &value, HELIX_PC_N_MAX);
    memset(&plan, 0, sizeof(plan));
    assert_int_equal(kind->plan(NULL, &args, &plan), HELIX_DONE);
    assert_true(plan.work < kind->max_work);
    assert_true(plan.memory < 20500000);
}


/* Work grows with n, and is what a job without "n" takes as long for. */

static void
test_work(void **unused)
{
    uint64_t        n, work;
    helix_args_t    args;
    helix_plan_t    plan;
    helix_value_t   value;

    (void) unused;
    work = 0;

    for (n = 0; n <= HELIX_PC_N_MAX; n = 3 * n + 7) {
        args_init(&args, &value, n);
        memset(&plan, 0, sizeof(plan));
        assert_int_equal(kind->plan(NULL, &args, &plan), HELIX_DONE);
        assert_true(plan.work >= work);
        work = plan.work;
    }

    value.given = 0;
    args.cost = 123456;
    memset(&plan, 0, sizeof(plan));
    assert_int_equal(kind->plan(NULL, &args, &plan), HELIX_DONE);
    assert_int_equal(plan.work, 123456);
    assert_int_equal(plan.nlevels, 0);
}


/* Of three forms in turns: a count, an interval, a sieve. */

static void *
batch_start(uint64_t n, uint32_t form)
{
    void           *state;
    helix_args_t    args;
    helix_value_t   value;

    state = job_start(n, form == 1);

    if (form == 2) {
        args_init(&args, &value, 0);
        value.given = 0;
        args.cost = n;
        kind->start(NULL, state, &args);
    }

    return state;
}


static void
batch_check(const void *state, uint64_t n, uint32_t form)
{
    answer_t  answer;

    answer_of(state, &answer);
    assert_int_equal(answer.objects, form == 1);

    if (form == 1) {
        assert_true(answer.low <= primes_to[n]);
        assert_true(answer.high >= primes_to[n]);

    } else {
        assert_int_equal(answer.value, primes_to[n]);
    }
}


/* The keys keep the forms apart, but are only a hint; some jobs leave. */

static void
test_batch(void **unused)
{
    int         rc;
    void       *states[24];
    uint8_t     results[24];
    uint32_t    i, every;
    uint64_t    n[24], seed;
    control_t   ctl;

    (void) unused;
    seed = 5;

    for (every = 0; every < 4; every++) {
        control_init(&ctl, every);

        for (i = 0; i < 24; i++) {
            n[i] = 10000 + next_random(&seed) % 240000;
            results[i] = HELIX_AGAIN;
            states[i] = batch_start(n[i], i % 3);
        }

        do {
            i = (uint32_t) (next_random(&seed) % 24);

            if (states[i] != NULL && results[i] == HELIX_AGAIN) {
                free(states[i]);
                states[i] = NULL;
            }

            rc = kind->step_batch(states, results, 24, &ctl.base);

        } while (rc == HELIX_AGAIN);

        for (i = 0; i < 24; i++) {
            if (states[i] == NULL) {
                assert_int_equal(results[i], HELIX_AGAIN);
                continue;
            }

            assert_int_equal(results[i], HELIX_DONE);
            batch_check(states[i], n[i], i % 3);
            free(states[i]);
        }
    }
}


/* Also many small counts can be stopped, between any two. */

static void
test_batch_polls(void **unused)
{
    void       *states[5];
    uint8_t     results[5];
    uint32_t    i, k;
    control_t   ctl;

    (void) unused;
    control_init(&ctl, 1);

    for (i = 0; i < 5; i++) {
        states[i] = job_start(10000, 0);
        results[i] = HELIX_AGAIN;
    }

    for (k = 0; k < 5; k++) {
        assert_int_equal(kind->step_batch(states, results, 5, &ctl.base),
                         k < 4 ? HELIX_AGAIN : HELIX_DONE);

        for (i = 0; i < 5; i++) {
            assert_int_equal(results[i], i <= k ? HELIX_DONE : HELIX_AGAIN);
        }
    }

    for (i = 0; i < 5; i++) {
        assert_int_equal(number_of(states[i]), 1229);
        free(states[i]);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_small),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_sliced),
        cmocka_unit_test(test_isa),
        cmocka_unit_test(test_interval),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_estimate),
        cmocka_unit_test(test_level),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_work),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_batch_polls)
    };

    return cmocka_run_group_tests(tests, sieve, NULL);
}
