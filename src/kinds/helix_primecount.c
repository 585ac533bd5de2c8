
/*
 * primecount: how many primes there are, in two forms.
 *
 * With the parameter "n" up to n, by helix_primecount_dp.c.  If the deadline
 * comes first, or helix asks for less, the answer is an interval.
 *
 * Without it up to the cost, held to 10000..250000, by a segmented sieve of
 * the odd numbers, a bit each; bit i of the whole stands for 2i + 1.  The
 * segment lives on the stack of whoever steps and a job remembers only how far
 * it has counted, so that a batch has no owner: one pass of the sieve goes up
 * to the largest number and every job that stands where the pass stands counts
 * along.
 */

#include <math.h>
#include <stdio.h>

#include "helix_primecount.h"


#define HELIX_PC_MIN    10000
#define HELIX_PC_MAX    250000
#define HELIX_PC_WORK   6000000000ULL

#define HELIX_PC_WORDS  512
#define HELIX_PC_BITS   (HELIX_PC_WORDS * 64)
#define HELIX_PC_ROOT   500             /* square root of HELIX_PC_MAX */
#define HELIX_PC_WHEEL  (3 * 5 * 7)

#define HELIX_PC_ASK    2000            /* work of an interval */


typedef enum {
    HELIX_PC_SIEVE = 0,
    HELIX_PC_EXACT,                     /* has a helix_pc_dp_t behind it */
    HELIX_PC_ABOUT
} helix_pc_form_t;


typedef struct {
    _Alignas(16) uint64_t   n;          /* not of a sieve */
    helix_pc_form_t         form;
    uint32_t                end;        /* bits to count */
    uint32_t                next;       /* bits counted so far: whole
                                           segments, or all */
    uint64_t                count;
} helix_pc_t;


/* Set bits are composite numbers. */

typedef struct {
    uint32_t   nprimes;
    uint16_t   primes[HELIX_PC_ROOT / 5];
    uint64_t   wheel[HELIX_PC_WHEEL];   /* multiples of 3, 5 and 7 */
    uint64_t   words[HELIX_PC_WORDS];
    uint32_t   before[HELIX_PC_WORDS + 1];  /* primes before a word */
} helix_pc_sieve_t;


static int helix_pc_plan(void *conf, const helix_args_t *args,
    helix_plan_t *plan);
static void helix_pc_start(void *conf, void *state,
    const helix_args_t *args);
static int helix_pc_step(void *state, const helix_control_t *ctl);
static int helix_pc_step_batch(void **states, uint8_t *results, uint32_t n,
    const helix_control_t *ctl);
static double helix_pc_quality(const void *state);
static void helix_pc_finish(const void *state, helix_output_t *out);

static const helix_value_t *helix_pc_n(const helix_args_t *args);
static uint64_t helix_pc_work(uint64_t n);
static double helix_pc_known(uint64_t n);
static int helix_pc_count(helix_pc_t *job, const helix_control_t *ctl);
static int helix_pc_count_batch(void **states, uint8_t *results, uint32_t n,
    const helix_control_t *ctl);
static int helix_pc_done(const helix_pc_t *job);
static uint32_t helix_pc_clamp(uint64_t cost);
static uint32_t helix_pc_extent(void **states, const uint8_t *results,
    uint32_t n, uint32_t *next);
static void helix_pc_collect(const helix_pc_sieve_t *sieve, void **states,
    uint8_t *results, uint32_t n, uint32_t next);
static void helix_pc_prepare(helix_pc_sieve_t *sieve);
static void helix_pc_segment(helix_pc_sieve_t *sieve, uint32_t next,
    uint32_t end);
static void helix_pc_fill(helix_pc_sieve_t *sieve, uint32_t next,
    uint32_t nwords);
static void helix_pc_mark(uint64_t *words, uint32_t i, uint32_t p,
    uint32_t end);
static uint32_t helix_pc_ones(uint64_t word);


static const helix_param_t  helix_pc_params[] = {
    { "n", HELIX_PARAM_U64, 0, HELIX_PC_N_MAX, "count the primes up to it" },
    { NULL, HELIX_PARAM_U64, 0, 0, NULL }
};

static const char *const  helix_pc_levels[] = { "interval", NULL };


const helix_kind_t  helix_kind_primecount = {
    .size = sizeof(helix_kind_t),
    .abi = HELIX_KIND_ABI,
    .name = "primecount",
    .max_work = HELIX_PC_WORK,
    .params = helix_pc_params,
    .levels = helix_pc_levels,
    .plan = helix_pc_plan,
    .start = helix_pc_start,
    .step = helix_pc_step,
    .step_batch = helix_pc_step_batch,
    .quality = helix_pc_quality,
    .finish = helix_pc_finish
};


static int
helix_pc_plan(void *conf, const helix_args_t *args,
    helix_plan_t *plan)
{
    const helix_value_t  *n;

    (void) conf;

    n = helix_pc_n(args);

    if (n == NULL) {
        plan->work = helix_pc_clamp(args->cost);
        plan->memory = sizeof(helix_pc_t);
        plan->flags = HELIX_PURE;
        return HELIX_DONE;
    }

    if (n->u64 > HELIX_PC_N_MAX) {
        plan->field = "n";
        (void) snprintf(plan->error, sizeof(plan->error),
                        "n must be at most %llu", HELIX_PC_N_MAX);
        return HELIX_FAILED;
    }

    plan->work = helix_pc_work(n->u64);
    plan->memory = sizeof(helix_pc_t) + helix_pc_dp_memory(n->u64);
    plan->flags = HELIX_PURE|HELIX_ANYTIME;
    plan->batch_key = 1;

    if (plan->work > HELIX_PC_ASK) {
        plan->nlevels = 1;
        plan->levels[0].work = HELIX_PC_ASK;
        plan->levels[0].quality = helix_pc_known(n->u64);
        plan->levels[0].name = 0;
    }

    return HELIX_DONE;
}


static void
helix_pc_start(void *conf, void *state,
    const helix_args_t *args)
{
    helix_pc_t           *job;
    const helix_value_t  *n;

    (void) conf;

    job = state;
    n = helix_pc_n(args);

    job->form = HELIX_PC_SIEVE;
    job->n = 0;
    job->end = (helix_pc_clamp(args->cost) + 1) / 2;
    job->next = 0;
    job->count = 0;

    if (n != NULL) {
        job->form = args->level ? HELIX_PC_ABOUT : HELIX_PC_EXACT;
        job->n = n->u64;
        helix_pc_dp_start((helix_pc_dp_t *) (job + 1), n->u64);
    }
}


static int
helix_pc_step(void *state, const helix_control_t *ctl)
{
    uint8_t      result;
    helix_pc_t  *job;

    job = state;

    if (job->form != HELIX_PC_SIEVE) {
        return helix_pc_count(job, ctl);
    }

    result = HELIX_AGAIN;

    return helix_pc_step_batch(&state, &result, 1, ctl);
}


static int
helix_pc_step_batch(void **states, uint8_t *results, uint32_t n,
    const helix_control_t *ctl)
{
    uint32_t          end, next;
    helix_pc_sieve_t  sieve;

    if (helix_pc_count_batch(states, results, n, ctl) == HELIX_AGAIN) {
        return HELIX_AGAIN;
    }

    end = helix_pc_extent(states, results, n, &next);

    if (end == 0) {
        return HELIX_DONE;
    }

    helix_pc_prepare(&sieve);

    do {
        helix_pc_segment(&sieve, next, end);
        helix_pc_collect(&sieve, states, results, n, next);

        end = helix_pc_extent(states, results, n, &next);

        if (end != 0 && ctl->poll(ctl)) {
            return HELIX_AGAIN;
        }

    } while (end != 0);

    return HELIX_DONE;
}


static double
helix_pc_quality(const void *state)
{
    const helix_pc_t  *job;

    job = state;

    if (job->form == HELIX_PC_SIEVE) {
        return (job->next == job->end) ? 1.0 : 0.0;
    }

    return helix_pc_done(job) ? 1.0 : helix_pc_known(job->n);
}


static void
helix_pc_finish(const void *state, helix_output_t *out)
{
    const helix_pc_t     *job;
    helix_pc_interval_t   interval;

    job = state;

    if (job->form == HELIX_PC_SIEVE) {
        out->u64(out, job->count);
        return;
    }

    if (helix_pc_done(job)) {
        out->u64(out, ((const helix_pc_dp_t *) (job + 1))->result);
        return;
    }

    helix_pc_interval(&interval, job->n);

    out->object(out);
    out->key(out, "low");
    out->u64(out, interval.low);
    out->key(out, "high");
    out->u64(out, interval.high);
    out->key(out, "estimate");
    out->u64(out, interval.estimate);
    out->key(out, "exact");
    out->boolean(out, 0);
    out->object_end(out);
}


static const helix_value_t *
helix_pc_n(const helix_args_t *args)
{
    if (args->values == NULL || !args->values[0].given) {
        return NULL;
    }

    return &args->values[0];
}


/* As measured, within a sixth, from 10^4 to 10^13. */

static uint64_t
helix_pc_work(uint64_t n)
{
    double  x, log_x;

    x = (double) n + 16.0;             /* from where it grows */
    log_x = log(x);

    return 1300 + (uint64_t) (145.0 * sqrt(x) * sqrt(sqrt(x))
                              / (log_x * log_x));
}


/* The share of the digits of pi(n), about n / ln n, that the interval has. */

static double
helix_pc_known(uint64_t n)
{
    double  x, log_x, known;

    x = (n < 2) ? 2.0 : (double) n;
    log_x = log(x);

    known = 1.0 - log(helix_pc_bound(x) + 1.0) / log(x / log_x + 1.0);

    return fmax(known, 0.0);
}


static int
helix_pc_count(helix_pc_t *job, const helix_control_t *ctl)
{
    if (job->form == HELIX_PC_ABOUT) {
        return HELIX_DONE;
    }

    return helix_pc_dp_step((helix_pc_dp_t *) (job + 1), ctl);
}


/* Counts have nothing to share: one after the other. */

static int
helix_pc_count_batch(void **states, uint8_t *results, uint32_t n,
    const helix_control_t *ctl)
{
    int          ran;
    uint32_t     i;
    helix_pc_t  *job;

    ran = 0;

    for (i = 0; i < n; i++) {
        job = states[i];

        if (job == NULL || results[i] != HELIX_AGAIN
            || job->form == HELIX_PC_SIEVE)
        {
            continue;
        }

        if (ran && ctl->poll(ctl)) {
            return HELIX_AGAIN;
        }

        if (helix_pc_count(job, ctl) == HELIX_AGAIN) {
            return HELIX_AGAIN;
        }

        results[i] = HELIX_DONE;
        ran = 1;
    }

    return HELIX_DONE;
}


/* An interval that was asked for is all there is to know. */

static int
helix_pc_done(const helix_pc_t *job)
{
    const helix_pc_dp_t  *dp;

    dp = (const helix_pc_dp_t *) (job + 1);

    return job->form == HELIX_PC_EXACT && dp->phase == HELIX_PC_READY;
}


static uint32_t
helix_pc_clamp(uint64_t cost)
{
    if (cost < HELIX_PC_MIN) {
        return HELIX_PC_MIN;
    }

    if (cost > HELIX_PC_MAX) {
        return HELIX_PC_MAX;
    }

    return (uint32_t) cost;
}


/* Where the jobs furthest behind stand, and how far they want to go. */

static uint32_t
helix_pc_extent(void **states, const uint8_t *results, uint32_t n,
    uint32_t *next)
{
    uint32_t           i, end;
    const helix_pc_t  *job;

    end = 0;
    *next = UINT32_MAX;

    for (i = 0; i < n; i++) {

        if (states[i] == NULL || results[i] != HELIX_AGAIN) {
            continue;
        }

        job = states[i];

        if (job->next < *next) {
            *next = job->next;
            end = job->end;

        } else if (job->next == *next && job->end > end) {
            end = job->end;
        }
    }

    return end;
}


static void
helix_pc_collect(const helix_pc_sieve_t *sieve, void **states,
    uint8_t *results, uint32_t n, uint32_t next)
{
    uint32_t     i, bits, word;
    uint64_t     last;
    helix_pc_t  *job;

    for (i = 0; i < n; i++) {

        if (states[i] == NULL || results[i] != HELIX_AGAIN) {
            continue;
        }

        job = states[i];

        if (job->next != next) {
            continue;
        }

        bits = job->end - next;
        if (bits > HELIX_PC_BITS) {
            bits = HELIX_PC_BITS;
        }

        word = bits / 64;
        job->count += sieve->before[word];

        if (bits % 64) {
            last = ((uint64_t) 1 << (bits % 64)) - 1;
            job->count += helix_pc_ones(~sieve->words[word] & last);
        }

        job->next += bits;

        if (job->next == job->end) {
            results[i] = HELIX_DONE;
        }
    }
}


static void
helix_pc_prepare(helix_pc_sieve_t *sieve)
{
    uint32_t  i, p, n;
    uint64_t  mask, words[HELIX_PC_ROOT / 128 + 1] = { 0 };

    n = 0;

    for (i = 1; i < HELIX_PC_ROOT / 2; i++) {

        if ((words[i / 64] >> (i % 64)) & 1) {
            continue;
        }

        p = 2 * i + 1;
        helix_pc_mark(words, p * p / 2, p, HELIX_PC_ROOT / 2);

        if (p > 7) {
            sieve->primes[n++] = (uint16_t) p;
        }
    }

    sieve->nprimes = n;

    for (i = 0; i < HELIX_PC_WHEEL; i++) {
        sieve->wheel[i] = 0;
    }

    for (p = 3; p <= 7; p += 2) {
        mask = 0;
        helix_pc_mark(&mask, 0, p, 64);

        n = p / 2;

        for (i = 0; i < HELIX_PC_WHEEL; i++) {
            sieve->wheel[i] |= mask << n;
            n = (n + p - 64 % p) % p;
        }
    }
}


static void
helix_pc_segment(helix_pc_sieve_t *sieve, uint32_t next, uint32_t end)
{
    uint32_t  i, p, first, nwords, sum;

    end -= next;
    if (end > HELIX_PC_BITS) {
        end = HELIX_PC_BITS;
    }

    nwords = (end + 63) / 64;
    helix_pc_fill(sieve, next, nwords);

    for (i = 0; i < sieve->nprimes; i++) {
        p = sieve->primes[i];
        first = p * p / 2;

        if (first >= next + end) {
            break;
        }

        first = (first >= next) ? first - next
                                : p - 1 - (next + p / 2) % p;

        helix_pc_mark(sieve->words, first, p, nwords * 64);
    }

    sum = 0;

    for (i = 0; i < nwords; i++) {
        sieve->before[i] = sum;
        sum += helix_pc_ones(~sieve->words[i]);
    }

    sieve->before[nwords] = sum;
}


static void
helix_pc_fill(helix_pc_sieve_t *sieve, uint32_t next, uint32_t nwords)
{
    uint32_t  i, k;

    k = next / 64 % HELIX_PC_WHEEL;

    for (i = 0; i < nwords; i++) {
        sieve->words[i] = sieve->wheel[k];
        k = (k == HELIX_PC_WHEEL - 1) ? 0 : k + 1;
    }

    if (next == 0) {
        /* 3, 5 and 7; and bit 0, which is not 1 but stands in for 2 */
        sieve->words[0] &= ~(uint64_t) 0xf;
    }
}


static void
helix_pc_mark(uint64_t *words, uint32_t i, uint32_t p, uint32_t end)
{
    for ( /* void */ ; i < end; i += p) {
        words[i / 64] |= (uint64_t) 1 << (i % 64);
    }
}


/* Portable x86-64 has no instruction for it. */

static uint32_t
helix_pc_ones(uint64_t word)
{
    word -= (word >> 1) & 0x5555555555555555ULL;
    word = (word & 0x3333333333333333ULL)
           + ((word >> 2) & 0x3333333333333333ULL);
    word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fULL;

    return (uint32_t) ((word * 0x0101010101010101ULL) >> 56);
}
