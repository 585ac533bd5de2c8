
/*
 * primecount: how many primes there are up to n, by a segmented sieve of the
 * odd numbers, a bit each; bit i of the whole stands for 2i + 1.
 *
 * The segment lives on the stack of whoever steps and a job remembers only
 * how far it has counted, so that a batch has no owner: one pass of the sieve
 * goes up to the largest n and every job that stands where the pass stands
 * counts along.
 */

#include "helix_kinds.h"


#define HELIX_PC_MIN    10000
#define HELIX_PC_MAX    250000
#define HELIX_PC_WORK   6000000000ULL

#define HELIX_PC_WORDS  512
#define HELIX_PC_BITS   (HELIX_PC_WORDS * 64)
#define HELIX_PC_ROOT   500             /* square root of HELIX_PC_MAX */
#define HELIX_PC_WHEEL  (3 * 5 * 7)


typedef struct {
    uint32_t   end;                     /* bits to count */
    uint32_t   next;                    /* bits counted so far: whole
                                           segments, or all */
    uint64_t   count;
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
static void helix_pc_finish(const void *state, helix_output_t *out);

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


const helix_kind_t  helix_kind_primecount = {
    .size = sizeof(helix_kind_t),
    .abi = HELIX_KIND_ABI,
    .name = "primecount",
    .max_work = HELIX_PC_WORK,
    .plan = helix_pc_plan,
    .start = helix_pc_start,
    .step = helix_pc_step,
    .step_batch = helix_pc_step_batch,
    .finish = helix_pc_finish
};


static int
helix_pc_plan(void *conf, const helix_args_t *args,
    helix_plan_t *plan)
{
    plan->work = helix_pc_clamp(args->cost);
    plan->memory = sizeof(helix_pc_t);

    (void) conf;

    return HELIX_DONE;
}


static void
helix_pc_start(void *conf, void *state,
    const helix_args_t *args)
{
    helix_pc_t  *job;

    (void) conf;

    job = state;

    job->end = (helix_pc_clamp(args->cost) + 1) / 2;
    job->next = 0;
    job->count = 0;
}


static int
helix_pc_step(void *state, const helix_control_t *ctl)
{
    uint8_t  result;

    result = HELIX_AGAIN;

    return helix_pc_step_batch(&state, &result, 1, ctl);
}


static int
helix_pc_step_batch(void **states, uint8_t *results, uint32_t n,
    const helix_control_t *ctl)
{
    uint32_t          end, next;
    helix_pc_sieve_t  sieve;

    helix_pc_prepare(&sieve);

    end = helix_pc_extent(states, results, n, &next);

    while (end != 0) {
        helix_pc_segment(&sieve, next, end);
        helix_pc_collect(&sieve, states, results, n, next);

        end = helix_pc_extent(states, results, n, &next);

        if (end != 0 && ctl->poll(ctl)) {
            return HELIX_AGAIN;
        }
    }

    return HELIX_DONE;
}


static void
helix_pc_finish(const void *state, helix_output_t *out)
{
    const helix_pc_t  *job;

    job = state;

    out->u64(out, job->count);
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
