
/*
 * The built-in kinds: the seed's vectors, and that slicing, batching, leaving
 * and threads change no bit of an answer.
 */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "helix_kinds.h"
#include "control.h"


#define MAX_INPUTS  4096
#define MAX_SIZE    40

#define countof(a)  (sizeof(a) / sizeof((a)[0]))


typedef struct {
    helix_output_t         base;
    uint32_t               n;
    uint64_t               value;          /* or the bits of the double */
} answer_t;


typedef struct {
    const helix_kind_t    *kind;
    uint64_t               id;
    uint64_t               cost;
    uint32_t               ninputs;
    uint64_t               inputs[6];
    uint64_t               u64;
    double                 f64;
} vector_t;


static const vector_t  vectors[] = {
    { &helix_kind_hashmix, 0, 1000, 2, { 1, 2 },
      13360402971603015598ULL, 0 },
    { &helix_kind_hashmix, 0, 0, 0, { 0 },
      16797079287624391536ULL, 0 },
    { &helix_kind_hashmix, 0, 60000, 5, { 1, 2, 3, 4, 5 },
      16785651071698070415ULL, 0 },
    { &helix_kind_hashmix, 0, 1000, 2, { 42, 100 },
      10216004649843298165ULL, 0 },
    { &helix_kind_hashmix, 0, 5000, 3, { 100, 200, 300 },
      2307964673835805074ULL, 0 },

    { &helix_kind_hashmix, 1, 64, 0, { 0 }, 0xe91b369e0aec5b70ULL, 0 },
    { &helix_kind_hashmix, 2, 6400, 4, { 1, 2, 3, 4 },
      0x9890f2efa2f08af2ULL, 0 },
    { &helix_kind_hashmix, 3, 1000, 2, { 42, 100 },
      0x8dc68a1a31a60f75ULL, 0 },
    { &helix_kind_hashmix, 4, 0, 1, { 0 }, 0xc0010c3fce2a9741ULL, 0 },
    { &helix_kind_hashmix, 5, 120000, 1, { UINT64_MAX },
      0x45e8737b9ece2fbeULL, 0 },

    { &helix_kind_primecount, 0, 0, 0, { 0 }, 1229, 0 },
    { &helix_kind_primecount, 0, 10000, 1, { 7 }, 1229, 0 },
    { &helix_kind_primecount, 0, 50000, 0, { 0 }, 5133, 0 },
    { &helix_kind_primecount, 0, 100000, 0, { 0 }, 9592, 0 },
    { &helix_kind_primecount, 0, 250000, 0, { 0 }, 22044, 0 },
    { &helix_kind_primecount, 0, 250001, 0, { 0 }, 22044, 0 },
    { &helix_kind_primecount, 0, UINT64_MAX, 0, { 0 }, 22044, 0 },

    { &helix_kind_montecarlo_risk, 1, 20000, 3, { 100, 200, 300 },
      0, -0.044513253216794044 },
    { &helix_kind_montecarlo_risk, 9999, 20000, 3, { 100, 200, 300 },
      0, -0.04394385354156136 },
    { &helix_kind_montecarlo_risk, 42, 10000000, 0, { 0 },
      0, -0.04500552167450135 },
    { &helix_kind_montecarlo_risk, 7, 2000000, 2,
      { (uint64_t) 1 << 63, UINT64_MAX }, 0, -0.04426523844592885 },

    /* the zero state of the generator */
    { &helix_kind_montecarlo_risk, 0x123456789abcdef0ULL, 0, 0, { 0 },
      0, -0.05 },
    { &helix_kind_montecarlo_risk, 0x123456789abcdef0ULL, 10000000, 3,
      { 1, 2, 3 }, 0, -0.04925 },

    /* vol is folded from 1.0: as 1.0 plus a sum its last bit differs */
    { &helix_kind_montecarlo_risk, 5, 0, 3,
      { 15523137368101252074ULL, 12027861843233603113ULL,
        9777509567454608800ULL }, 0, -0.04467887889445909 },
    { &helix_kind_montecarlo_risk, 5, 0, 3,
      { 956523682424107605ULL, 2893396244277848635ULL,
        6858376947525423350ULL }, 0, -0.04538646725433063 }
};


/* Jobs whose draws leave too few, or just enough, below the bar at first. */

static const uint64_t  unlucky[] = { 39130, 54709, 55170, 60257, 72818 };


static const helix_kind_t *const  kinds[] = {
    &helix_kind_hashmix,
    &helix_kind_primecount,
    &helix_kind_montecarlo_risk
};


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
    answer_t  *answer;

    answer = (answer_t *) out;
    answer->value = value;
    answer->n++;
}


static void
answer_f64(helix_output_t *out, double value)
{
    answer_t  *answer;

    answer = (answer_t *) out;
    memcpy(&answer->value, &value, sizeof(value));
    answer->n++;
}


static uint64_t
answer_of(const helix_kind_t *kind, const void *state)
{
    answer_t  answer;

    memset(&answer, 0, sizeof(answer));
    answer.base.size = sizeof(helix_output_t);
    answer.base.u64 = answer_u64;
    answer.base.f64 = answer_f64;

    kind->finish(state, &answer.base);
    assert_int_equal(answer.n, 1);

    return answer.value;
}


static void
args_init(helix_args_t *args, uint64_t id, uint64_t cost,
    const uint64_t *inputs, uint32_t ninputs)
{
    memset(args, 0, sizeof(helix_args_t));
    args->size = sizeof(helix_args_t);
    args->id = id;
    args->cost = cost;
    args->inputs = inputs;
    args->ninputs = ninputs;
}


/* Exactly plan->memory bytes, full of rubbish. */

static void *
job_start(const helix_kind_t *kind, const helix_args_t *args)
{
    void          *state;
    helix_plan_t   plan;

    memset(&plan, 0, sizeof(plan));
    plan.size = sizeof(plan);

    assert_int_equal(kind->plan(NULL, args, &plan), HELIX_DONE);
    assert_true(plan.work > 0);

    state = malloc(plan.memory);
    assert_non_null(state);
    memset(state, 0xa5, plan.memory);

    kind->start(NULL, state, args);

    return state;
}


static uint64_t
job_run(const helix_kind_t *kind, const helix_args_t *args, uint32_t every)
{
    void       *state;
    uint64_t    value;
    control_t   ctl;

    control_init(&ctl, every);
    state = job_start(kind, args);

    while (kind->step(state, &ctl.base) == HELIX_AGAIN) {
        assert_true(every != 0);
    }

    value = answer_of(kind, state);
    free(state);

    return value;
}


/* The seed's kernels, restated plainly. */

static uint64_t
plain_hashmix(const helix_args_t *args)
{
    uint32_t  i;
    uint64_t  x, n;

    x = 0xcbf29ce484222325ULL;

    for (i = 0; i < args->ninputs; i++) {
        x = (x ^ args->inputs[i]) * 0x100000001b3ULL;
        x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdULL;
        x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53ULL;
        x ^= x >> 33;
    }

    n = args->cost / 64 ? args->cost / 64 : 1;

    while (n--) {
        x = ((x << 7 | x >> 57) ^ 0x9e3779b97f4a7c15ULL)
            * 0xbf58476d1ce4e5b9ULL;
    }

    return x;
}


static uint64_t
plain_primecount(const helix_args_t *args)
{
    uint8_t   *composite;
    uint64_t   n, p, k, count;

    n = args->cost < 10000 ? 10000 : args->cost;
    n = n > 250000 ? 250000 : n;

    composite = calloc(1, n + 1);
    count = 0;

    for (p = 2; p <= n; p++) {
        if (!composite[p]) {
            count++;

            for (k = p * p; k <= n; k += p) {
                composite[k] = 1;
            }
        }
    }

    free(composite);

    return count;
}


static int
compare_double(const void *a, const void *b)
{
    double  x, y;

    x = *(const double *) a;
    y = *(const double *) b;

    return (x > y) - (x < y);
}


static uint64_t
plain_montecarlo(const helix_args_t *args)
{
    double     mean, vol, u, *samples;
    uint32_t   i;
    uint64_t   n, k, s, v, value;

    n = args->cost / 200 < 5000 ? 5000 : args->cost / 200;
    n = n > 50000 ? 50000 : n;

    mean = 0.0;
    vol = 1.0;

    for (i = 0; i < args->ninputs; i++) {
        v = args->inputs[i];
        mean += ((double) v / 0x1p64) * 0.0001;
        vol += ((double) (v << 13 | v >> 51) / 0x1p64 - 0.5) * 0.01;
    }

    vol = vol > 0.1 ? vol : 0.1;
    s = 0x123456789abcdef0ULL ^ args->id;
    samples = malloc(n * sizeof(double));

    for (k = 0; k < n; k++) {
        s ^= s >> 12;
        s ^= s << 25;
        s ^= s >> 27;
        u = ((double) (s * 0x2545f4914f6cdd1dULL) / 0x1p64) * 2.0 - 1.0;
        samples[k] = mean + u * 0.05 * vol;
    }

    qsort(samples, n, sizeof(double), compare_double);
    memcpy(&value, &samples[(uint64_t) (0.05 * (double) n)], sizeof(value));
    free(samples);

    return value;
}


static uint64_t
plain(const helix_kind_t *kind, const helix_args_t *args)
{
    if (kind == &helix_kind_hashmix) {
        return plain_hashmix(args);
    }

    if (kind == &helix_kind_primecount) {
        return plain_primecount(args);
    }

    return plain_montecarlo(args);
}


static uint64_t
random_cost(const helix_kind_t *kind, uint64_t *seed)
{
    uint64_t  r;

    r = next_random(seed);

    if (kind == &helix_kind_hashmix) {
        /* from nothing to 2^18 iterations, every magnitude as likely */
        return next_random(seed) >> (40 + r % 24);
    }

    if (kind == &helix_kind_primecount) {
        return r % 270000;
    }

    return r % 11000000;
}


static void
random_args(const helix_kind_t *kind, helix_args_t *args, uint64_t *inputs,
    uint64_t *seed)
{
    uint32_t  i, n;

    n = (uint32_t) (next_random(seed) % 9);

    for (i = 0; i < n; i++) {
        inputs[i] = next_random(seed) >> (next_random(seed) % 64);
    }

    args_init(args, next_random(seed), random_cost(kind, seed), inputs, n);
}


static void
test_vectors(void **unused)
{
    size_t          i;
    uint64_t        value, want;
    helix_args_t    args;
    const vector_t *v;

    (void) unused;

    for (i = 0; i < countof(vectors); i++) {
        v = &vectors[i];
        args_init(&args, v->id, v->cost, v->inputs, v->ninputs);
        value = job_run(v->kind, &args, 0);

        want = v->u64;
        if (v->kind == &helix_kind_montecarlo_risk) {
            memcpy(&want, &v->f64, sizeof(want));
        }

        assert_true(value == want);
    }
}


static void
test_unlucky(void **unused)
{
    size_t        i;
    helix_args_t  args;

    (void) unused;

    for (i = 0; i < countof(unlucky); i++) {
        args_init(&args, unlucky[i], 0, NULL, 0);
        assert_true(job_run(&helix_kind_montecarlo_risk, &args, 1)
                    == plain_montecarlo(&args));
    }
}


static void
test_against_plain(void **unused)
{
    size_t        k;
    uint32_t      i;
    uint64_t      seed, inputs[9];
    helix_args_t  args;

    (void) unused;
    seed = 1;

    for (k = 0; k < countof(kinds); k++) {
        for (i = 0; i < 150; i++) {
            random_args(kinds[k], &args, inputs, &seed);
            assert_true(job_run(kinds[k], &args, 0)
                        == plain(kinds[k], &args));
        }
    }
}


/* Every n near the edges of the sieve's words and segments. */

static void
test_primecount_edges(void **unused)
{
    size_t           i;
    uint64_t         n;
    helix_args_t     args;
    const uint64_t   edges[] = { 10000, 65536, 131072, 196608, 249900 };

    (void) unused;

    for (i = 0; i < countof(edges); i++) {
        for (n = edges[i] - 70; n < edges[i] + 200; n++) {
            args_init(&args, 0, n, NULL, 0);
            assert_true(job_run(&helix_kind_primecount, &args, 0)
                        == plain_primecount(&args));
        }
    }
}


static void
test_sliced(void **unused)
{
    size_t        k;
    uint32_t      i, every;
    uint64_t      seed, inputs[9], want;
    helix_args_t  args;

    (void) unused;
    seed = 2;

    for (k = 0; k < countof(kinds); k++) {
        for (i = 0; i < 30; i++) {
            random_args(kinds[k], &args, inputs, &seed);

            if (kinds[k] == &helix_kind_hashmix) {
                args.cost += 64 * 12288 * (i % 5) + i % 3;
            }

            want = job_run(kinds[k], &args, 0);

            for (every = 1; every <= 5; every++) {
                assert_true(job_run(kinds[k], &args, every) == want);
            }
        }
    }
}


/* Zero inputs, and as many as a request may carry. */

static void
test_inputs(void **unused)
{
    size_t           k;
    uint32_t         i;
    uint64_t         seed;
    helix_args_t     args;
    static uint64_t  inputs[MAX_INPUTS];

    (void) unused;
    seed = 3;

    for (k = 0; k < countof(kinds); k++) {
        args_init(&args, 11, 30000, NULL, 0);
        assert_true(job_run(kinds[k], &args, 0) == plain(kinds[k], &args));

        for (i = 0; i < MAX_INPUTS; i++) {
            inputs[i] = next_random(&seed);
        }

        args_init(&args, 12, 30000, inputs, MAX_INPUTS);
        assert_true(job_run(kinds[k], &args, 0) == plain(kinds[k], &args));

        /* vol hits its floor, then its ceiling */
        memset(inputs, 0, sizeof(inputs));
        assert_true(job_run(kinds[k], &args, 0) == plain(kinds[k], &args));

        memset(inputs, 0xff, sizeof(inputs));
        assert_true(job_run(kinds[k], &args, 0) == plain(kinds[k], &args));
    }
}


/* What start() has seen is the job's own. */

static void
test_inputs_are_borrowed(void **unused)
{
    void          *state;
    size_t         k;
    uint64_t       inputs[3] = { 1, 2, 3 }, want;
    control_t      ctl;
    helix_args_t   args;

    (void) unused;

    for (k = 0; k < countof(kinds); k++) {
        inputs[0] = 1;
        args_init(&args, 5, 123456, inputs, 3);
        want = plain(kinds[k], &args);

        state = job_start(kinds[k], &args);
        memset(inputs, 0x77, sizeof(inputs));
        memset(&args, 0x77, sizeof(args));

        control_init(&ctl, 0);
        assert_int_equal(kinds[k]->step(state, &ctl.base), HELIX_DONE);
        assert_true(answer_of(kinds[k], state) == want);
        free(state);

        inputs[1] = 2;
        inputs[2] = 3;
    }
}


static void
test_plan(void **unused)
{
    size_t        k;
    uint64_t      inputs[1] = { 1 }, work;
    helix_args_t  args;
    helix_plan_t  plan;

    (void) unused;

    for (k = 0; k < countof(kinds); k++) {
        assert_int_equal(kinds[k]->size, sizeof(helix_kind_t));
        assert_int_equal(kinds[k]->abi, HELIX_KIND_ABI);
        assert_true(strlen(kinds[k]->name) <= HELIX_KIND_NAME_MAX);

        plan.size = sizeof(plan);
        args_init(&args, 1, 0, NULL, 0);
        assert_int_equal(kinds[k]->plan(NULL, &args, &plan), HELIX_DONE);
        work = plan.work;
        assert_true(work > 0 && work <= kinds[k]->max_work);

        args_init(&args, 1, UINT64_MAX, inputs, MAX_INPUTS);
        assert_int_equal(kinds[k]->plan(NULL, &args, &plan), HELIX_DONE);
        assert_true(plan.work > work);
        assert_true(plan.memory > 0 && plan.memory < 65536);
    }

    plan.size = sizeof(plan);
    helix_kind_hashmix.plan(NULL, &args, &plan);
    assert_true(plan.work == UINT64_MAX);

    args_init(&args, 1, 1000, inputs, 1);
    helix_kind_hashmix.plan(NULL, &args, &plan);
    assert_true(plan.work > 1000 && plan.work < 2000);

    helix_kind_primecount.plan(NULL, &args, &plan);
    assert_int_equal(plan.work, 10000);

    helix_kind_montecarlo_risk.plan(NULL, &args, &plan);
    assert_int_equal(plan.work, 1000000);
}


static void
test_deterministic(void **unused)
{
    size_t        k;
    uint32_t      i;
    uint64_t      inputs[2] = { 9, 8 }, want;
    helix_args_t  args;

    (void) unused;

    for (k = 0; k < countof(kinds); k++) {
        args_init(&args, 77, 200000, inputs, 2);
        want = job_run(kinds[k], &args, 0);

        for (i = 0; i < 5; i++) {
            assert_true(job_run(kinds[k], &args, i) == want);
        }
    }
}


/* A poll that always says stop must not keep a job from getting on. */

static void
test_progress(void **unused)
{
    void          *state;
    size_t         k;
    uint32_t       calls;
    control_t      ctl;
    helix_args_t   args;

    (void) unused;

    for (k = 0; k < countof(kinds); k++) {
        args_init(&args, 3, 10000000, NULL, 0);
        state = job_start(kinds[k], &args);
        control_init(&ctl, 1);

        for (calls = 1; kinds[k]->step(state, &ctl.base) != HELIX_DONE;
             calls++)
        {
            assert_true(calls < 100);
        }

        assert_true(calls > 1);
        assert_true(ctl.polls == calls - 1);
        free(state);
    }
}


static void
test_interleaved(void **unused)
{
    int            rc;
    void          *states[9];
    size_t         k;
    uint32_t       i, left;
    uint64_t       seed, inputs[9][9];
    control_t      ctl;
    helix_args_t   args[9];

    (void) unused;
    seed = 4;

    for (i = 0; i < 9; i++) {
        k = i % countof(kinds);
        random_args(kinds[k], &args[i], inputs[i], &seed);
        args[i].cost += 3000000;
        states[i] = job_start(kinds[k], &args[i]);
    }

    control_init(&ctl, 1);

    for (left = 9; left != 0; /* void */ ) {
        for (i = 0; i < 9; i++) {

            if (states[i] == NULL) {
                continue;
            }

            k = i % countof(kinds);
            rc = kinds[k]->step(states[i], &ctl.base);

            if (rc == HELIX_DONE) {
                assert_true(answer_of(kinds[k], states[i])
                            == plain(kinds[k], &args[i]));
                free(states[i]);
                states[i] = NULL;
                left--;
            }
        }
    }
}


/*
 * A batch of n random jobs, stopped at every k-th poll.  When leave is set a
 * job departs between calls now and then: its memory goes at once, so that a
 * sanitizer sees who touches it.  Some jobs have been stepped before.
 */

static void
run_batch(const helix_kind_t *kind, uint32_t n, uint32_t every, int leave,
    uint64_t *seed)
{
    int            rc;
    void          *states[MAX_SIZE];
    uint8_t        results[MAX_SIZE];
    uint32_t       i, ended;
    uint64_t       inputs[9], want[MAX_SIZE];
    control_t      ctl;
    helix_args_t   args;

    control_init(&ctl, 1);

    for (i = 0; i < n; i++) {
        random_args(kind, &args, inputs, seed);
        want[i] = plain(kind, &args);
        states[i] = job_start(kind, &args);
        results[i] = HELIX_AGAIN;

        if (next_random(seed) % 4 == 0) {
            results[i] = (uint8_t) kind->step(states[i], &ctl.base);
        }
    }

    control_init(&ctl, every);

    do {
        rc = kind->step_batch(states, results, n, &ctl.base);
        ended = 0;

        for (i = 0; i < n; i++) {
            ended += (states[i] == NULL || results[i] == HELIX_DONE);
        }

        assert_int_equal(rc, ended == n ? HELIX_DONE : HELIX_AGAIN);

        i = (uint32_t) (next_random(seed) % n);

        if (leave && states[i] != NULL && results[i] == HELIX_AGAIN) {
            free(states[i]);
            states[i] = NULL;
        }

    } while (rc == HELIX_AGAIN);

    for (i = 0; i < n; i++) {
        if (states[i] != NULL) {
            assert_int_equal(results[i], HELIX_DONE);
            assert_true(answer_of(kind, states[i]) == want[i]);
            free(states[i]);
        }
    }
}


static void
test_batch(void **unused)
{
    size_t    k;
    uint32_t  n;
    uint64_t  seed;

    (void) unused;
    seed = 5;

    for (k = 0; k < countof(kinds); k++) {

        if (kinds[k]->step_batch == NULL) {
            continue;
        }

        for (n = 1; n <= MAX_SIZE; n++) {
            run_batch(kinds[k], n, n % 6, 0, &seed);
        }
    }
}


static void
test_batch_leaving(void **unused)
{
    size_t    k;
    uint32_t  n, every;
    uint64_t  seed;

    (void) unused;
    seed = 6;

    for (k = 0; k < countof(kinds); k++) {

        if (kinds[k]->step_batch == NULL) {
            continue;
        }

        for (n = 1; n <= MAX_SIZE; n++) {
            for (every = 1; every <= 2; every++) {
                run_batch(kinds[k], n, every, 1, &seed);
            }
        }
    }
}


/* Jobs that have all left or ended are a batch that is done. */

static void
test_batch_empty(void **unused)
{
    void       *states[3] = { NULL, NULL, NULL };
    size_t      k;
    uint8_t     results[3] = { HELIX_AGAIN, HELIX_DONE, HELIX_AGAIN };
    control_t   ctl;

    (void) unused;

    for (k = 0; k < countof(kinds); k++) {

        if (kinds[k]->step_batch == NULL) {
            continue;
        }

        control_init(&ctl, 1);
        assert_int_equal(kinds[k]->step_batch(states, results, 3, &ctl.base),
                         HELIX_DONE);
    }
}


static void
test_batch_full(void **unused)
{
    void             *states[HELIX_BATCH_MAX];
    size_t            k;
    uint8_t           results[HELIX_BATCH_MAX];
    uint32_t          i;
    control_t         ctl;
    helix_args_t      args;
    const uint64_t    costs[3] = { 10064, 60000, 123456 };
    uint64_t          want[3];

    (void) unused;

    for (k = 0; k < countof(kinds); k++) {

        if (kinds[k]->step_batch == NULL) {
            continue;
        }

        for (i = 0; i < HELIX_BATCH_MAX; i++) {
            args_init(&args, 0, costs[i % 3], NULL, 0);
            want[i % 3] = plain(kinds[k], &args);
            states[i] = job_start(kinds[k], &args);
            results[i] = HELIX_AGAIN;
        }

        control_init(&ctl, 2);

        while (kinds[k]->step_batch(states, results, HELIX_BATCH_MAX,
                                    &ctl.base)
               == HELIX_AGAIN)
        {
            /* void */
        }

        for (i = 0; i < HELIX_BATCH_MAX; i++) {
            assert_int_equal(results[i], HELIX_DONE);
            assert_true(answer_of(kinds[k], states[i]) == want[i % 3]);
            free(states[i]);
        }
    }
}


/* A batch may be stopped within one block whatever the jobs' lengths. */

static void
test_batch_polls(void **unused)
{
    void          *states[16];
    uint8_t        results[16];
    uint32_t       i;
    control_t      ctl;
    helix_args_t   args;

    (void) unused;

    for (i = 0; i < 16; i++) {
        args_init(&args, i, i < 8 ? UINT64_MAX : i, NULL, 0);
        states[i] = job_start(&helix_kind_hashmix, &args);
        results[i] = HELIX_AGAIN;
    }

    control_init(&ctl, 1);
    assert_int_equal(helix_kind_hashmix.step_batch(states, results, 16,
                                                   &ctl.base), HELIX_AGAIN);
    assert_int_equal(ctl.polls, 1);

    /* the short jobs did not wait for the endless ones */
    for (i = 0; i < 16; i++) {
        assert_int_equal(results[i], i < 8 ? HELIX_AGAIN : HELIX_DONE);
        free(states[i]);
    }
}


/* cmocka's asserts belong to the main thread: a thread counts. */

typedef struct {
    uint32_t       wrong;
    uint64_t       seed;
    uint64_t       want[3][8];
    uint64_t       inputs[3][8][9];
    helix_args_t   args[3][8];
} thread_t;


static void *
thread_main(void *data)
{
    void       *states[8];
    size_t      k;
    uint8_t     results[8];
    uint32_t    i, round;
    control_t   ctl;
    thread_t   *t;

    t = data;

    for (round = 0; round < 10; round++) {
        for (k = 0; k < 3; k++) {
            control_init(&ctl, 1 + round % 3);

            for (i = 0; i < 8; i++) {
                states[i] = job_start(kinds[k], &t->args[k][i]);
                results[i] = HELIX_AGAIN;

                while (kinds[k]->step_batch == NULL
                       && kinds[k]->step(states[i], &ctl.base)
                          == HELIX_AGAIN)
                {
                    /* void */
                }
            }

            while (kinds[k]->step_batch != NULL
                   && kinds[k]->step_batch(states, results, 8, &ctl.base)
                      == HELIX_AGAIN)
            {
                /* void */
            }

            for (i = 0; i < 8; i++) {
                t->wrong += answer_of(kinds[k], states[i]) != t->want[k][i];
                free(states[i]);
            }
        }
    }

    return NULL;
}


static void
test_threads(void **unused)
{
    size_t            k;
    uint32_t          i, n;
    pthread_t         ids[2];
    static thread_t   threads[2];

    (void) unused;

    for (n = 0; n < 2; n++) {
        threads[n].seed = 100 + n;

        for (k = 0; k < 3; k++) {
            for (i = 0; i < 8; i++) {
                random_args(kinds[k], &threads[n].args[k][i],
                            threads[n].inputs[k][i], &threads[n].seed);
                threads[n].want[k][i] = plain(kinds[k],
                                              &threads[n].args[k][i]);
            }
        }
    }

    for (n = 0; n < 2; n++) {
        assert_int_equal(pthread_create(&ids[n], NULL, thread_main,
                                        &threads[n]), 0);
    }

    for (n = 0; n < 2; n++) {
        pthread_join(ids[n], NULL);
        assert_int_equal(threads[n].wrong, 0);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_unlucky),
        cmocka_unit_test(test_against_plain),
        cmocka_unit_test(test_primecount_edges),
        cmocka_unit_test(test_sliced),
        cmocka_unit_test(test_inputs),
        cmocka_unit_test(test_inputs_are_borrowed),
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_deterministic),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_interleaved),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_batch_leaving),
        cmocka_unit_test(test_batch_empty),
        cmocka_unit_test(test_batch_full),
        cmocka_unit_test(test_batch_polls),
        cmocka_unit_test(test_threads)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
