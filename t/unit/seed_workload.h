
/*
 * The ancestor's simulator, to replay its workload number for number: rand
 * 0.8's StdRng (ChaCha with 12 rounds, seeded by PCG32 steps) and the order
 * in which HelixRouter draws the fields of a job.
 *
 * Functions are "static inline" so that a test may use some of them only.
 */

#ifndef SEED_WORKLOAD_H_INCLUDED
#define SEED_WORKLOAD_H_INCLUDED


#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>


#define SEED_INPUTS_MAX   6
#define SEED_ROUNDS       12
#define SEED_WORDS        16         /* of one block */


typedef enum {
    SEED_HASHMIX = 0,
    SEED_PRIMECOUNT,
    SEED_MONTECARLO,
    SEED_KINDS
} seed_kind_t;


typedef struct {
    uint64_t      id;
    seed_kind_t   kind;
    uint32_t      ninputs;
    uint64_t      inputs[SEED_INPUTS_MAX];
    uint64_t      cost;
    float         scaling;
    uint64_t      budget;            /* ms */
} seed_job_t;


typedef struct {
    uint32_t      key[8];
    uint64_t      counter;           /* of the next block */
    uint32_t      words[SEED_WORDS];
    unsigned      used;
    uint64_t      next_id;
    double        heavy;             /* fraction of heavy jobs, 0..1 */
} seed_workload_t;


static inline uint32_t
seed_rotl(uint32_t value, unsigned n)
{
    return (value << n) | (value >> (32 - n));
}


static inline void
seed_quarter(uint32_t *x, unsigned a, unsigned b, unsigned c, unsigned d)
{
    x[a] += x[b];
    x[d] = seed_rotl(x[d] ^ x[a], 16);
    x[c] += x[d];
    x[b] = seed_rotl(x[b] ^ x[c], 12);
    x[a] += x[b];
    x[d] = seed_rotl(x[d] ^ x[a], 8);
    x[c] += x[d];
    x[b] = seed_rotl(x[b] ^ x[c], 7);
}


static inline void
seed_block(seed_workload_t *w)
{
    unsigned  i;
    uint32_t  x[SEED_WORDS], start[SEED_WORDS];

    start[0] = 0x61707865;
    start[1] = 0x3320646e;
    start[2] = 0x79622d32;
    start[3] = 0x6b206574;
    memcpy(&start[4], w->key, sizeof(w->key));
    start[12] = (uint32_t) w->counter;
    start[13] = (uint32_t) (w->counter >> 32);
    start[14] = 0;
    start[15] = 0;

    memcpy(x, start, sizeof(x));

    for (i = 0; i < SEED_ROUNDS; i += 2) {
        seed_quarter(x, 0, 4, 8, 12);
        seed_quarter(x, 1, 5, 9, 13);
        seed_quarter(x, 2, 6, 10, 14);
        seed_quarter(x, 3, 7, 11, 15);
        seed_quarter(x, 0, 5, 10, 15);
        seed_quarter(x, 1, 6, 11, 12);
        seed_quarter(x, 2, 7, 8, 13);
        seed_quarter(x, 3, 4, 9, 14);
    }

    for (i = 0; i < SEED_WORDS; i++) {
        w->words[i] = x[i] + start[i];
    }

    w->counter++;
    w->used = 0;
}


static inline uint32_t
seed_u32(seed_workload_t *w)
{
    if (w->used == SEED_WORDS) {
        seed_block(w);
    }

    return w->words[w->used++];
}


static inline uint64_t
seed_u64(seed_workload_t *w)
{
    uint64_t  low;

    low = seed_u32(w);

    return low | (uint64_t) seed_u32(w) << 32;
}


static inline bool
seed_bool(seed_workload_t *w, double p)
{
    /* a certainty draws nothing */

    if (p >= 1.0) {
        return true;
    }

    return seed_u64(w) < (uint64_t) ldexp(p, 64);
}


/* The high and low half of a * b. */

static inline uint64_t
seed_multiply(uint64_t a, uint64_t b, uint64_t *low)
{
    uint64_t  a0, a1, b0, b1, mid, high;

    a0 = a & UINT32_MAX;
    a1 = a >> 32;
    b0 = b & UINT32_MAX;
    b1 = b >> 32;

    mid = a1 * b0 + (a0 * b0 >> 32);
    high = a1 * b1 + (mid >> 32);
    mid = a0 * b1 + (mid & UINT32_MAX);

    *low = a * b;

    return high + (mid >> 32);
}


/* Both ends included. */

static inline uint64_t
seed_range(seed_workload_t *w, uint64_t min, uint64_t max)
{
    uint64_t  range, zone, high, low;

    range = max - min + 1;

    for (zone = range; (zone & UINT64_C(1) << 63) == 0; zone <<= 1) {
        /* void */
    }

    zone--;

    do {
        high = seed_multiply(seed_u64(w), range, &low);
    } while (low > zone);

    return min + high;
}


/* 0 to 1, both included. */

static inline float
seed_float(seed_workload_t *w)
{
    float  value;

    value = (float) (seed_u32(w) >> 9) * 0x1p-23f;

    return value * (1.0f + 0x1p-23f);
}


static inline void
seed_workload_init(seed_workload_t *w, uint64_t seed, double heavy)
{
    unsigned  i, n;
    uint32_t  x;

    memset(w, 0, sizeof(seed_workload_t));

    for (i = 0; i < 8; i++) {
        seed = seed * UINT64_C(6364136223846793005)
               + UINT64_C(11634580027462260723);
        x = (uint32_t) (((seed >> 18) ^ seed) >> 27);
        n = (unsigned) (seed >> 59);
        w->key[i] = (x >> n) | (x << ((32 - n) & 31));
    }

    w->used = SEED_WORDS;
    w->heavy = heavy;
}


static inline void
seed_workload_next(seed_workload_t *w, seed_job_t *job)
{
    uint32_t               i;
    static const uint64_t  costs[SEED_KINDS][2] = {
        { 500, 120000 },
        { 2000, 80000 },
        { 20000, 250000 }
    };

    memset(job, 0, sizeof(seed_job_t));
    job->id = w->next_id++;

    if (seed_bool(w, 0.55)) {
        job->kind = SEED_PRIMECOUNT;

    } else {
        job->kind = seed_bool(w, 0.75) ? SEED_HASHMIX : SEED_MONTECARLO;
    }

    job->ninputs = (uint32_t) seed_range(w, 2, SEED_INPUTS_MAX);

    for (i = 0; i < job->ninputs; i++) {
        job->inputs[i] = seed_range(w, 0, 200000);
    }

    if (seed_bool(w, w->heavy)) {
        job->cost = seed_range(w, 80000, 300000);

    } else {
        job->cost = seed_range(w, costs[job->kind][0], costs[job->kind][1]);
    }

    job->scaling = seed_float(w);
    job->budget = seed_range(w, 5, 80);
}


#endif /* SEED_WORKLOAD_H_INCLUDED */
