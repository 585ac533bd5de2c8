
#include "helix_workload.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>


#define HELIX_WORKLOAD_ROUNDS  12


static uint32_t helix_workload_rotl(uint32_t value, unsigned n);
static void helix_workload_quarter(uint32_t *x, unsigned a, unsigned b,
    unsigned c, unsigned d);
static void helix_workload_block(helix_workload_t *w);
static uint64_t helix_workload_u64(helix_workload_t *w);
static bool helix_workload_bool(helix_workload_t *w, double p);
static uint64_t helix_workload_multiply(uint64_t a, uint64_t b, uint64_t *low);
static uint64_t helix_workload_range(helix_workload_t *w, uint64_t min,
    uint64_t max);
static float helix_workload_float(helix_workload_t *w);


const char *const  helix_workload_kinds[HELIX_WORKLOAD_KINDS] = {
    "hashmix", "primecount", "montecarlo_risk"
};


static uint32_t
helix_workload_rotl(uint32_t value, unsigned n)
{
    return (value << n) | (value >> (32 - n));
}


static void
helix_workload_quarter(uint32_t *x, unsigned a, unsigned b, unsigned c,
    unsigned d)
{
    x[a] += x[b];
    x[d] = helix_workload_rotl(x[d] ^ x[a], 16);
    x[c] += x[d];
    x[b] = helix_workload_rotl(x[b] ^ x[c], 12);
    x[a] += x[b];
    x[d] = helix_workload_rotl(x[d] ^ x[a], 8);
    x[c] += x[d];
    x[b] = helix_workload_rotl(x[b] ^ x[c], 7);
}


static void
helix_workload_block(helix_workload_t *w)
{
    unsigned  i;
    uint32_t  x[HELIX_WORKLOAD_WORDS], start[HELIX_WORKLOAD_WORDS];

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

    for (i = 0; i < HELIX_WORKLOAD_ROUNDS; i += 2) {
        helix_workload_quarter(x, 0, 4, 8, 12);
        helix_workload_quarter(x, 1, 5, 9, 13);
        helix_workload_quarter(x, 2, 6, 10, 14);
        helix_workload_quarter(x, 3, 7, 11, 15);
        helix_workload_quarter(x, 0, 5, 10, 15);
        helix_workload_quarter(x, 1, 6, 11, 12);
        helix_workload_quarter(x, 2, 7, 8, 13);
        helix_workload_quarter(x, 3, 4, 9, 14);
    }

    for (i = 0; i < HELIX_WORKLOAD_WORDS; i++) {
        w->words[i] = x[i] + start[i];
    }

    w->counter++;
    w->used = 0;
}


uint32_t
helix_workload_u32(helix_workload_t *w)
{
    if (w->used == HELIX_WORKLOAD_WORDS) {
        helix_workload_block(w);
    }

    return w->words[w->used++];
}


static uint64_t
helix_workload_u64(helix_workload_t *w)
{
    uint64_t  low;

    low = helix_workload_u32(w);

    return low | (uint64_t) helix_workload_u32(w) << 32;
}


static bool
helix_workload_bool(helix_workload_t *w, double p)
{
    /* a certainty draws nothing */

    if (p >= 1.0) {
        return true;
    }

    return helix_workload_u64(w) < (uint64_t) ldexp(p, 64);
}


/* The high and low half of a * b. */

static uint64_t
helix_workload_multiply(uint64_t a, uint64_t b, uint64_t *low)
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

static uint64_t
helix_workload_range(helix_workload_t *w, uint64_t min, uint64_t max)
{
    uint64_t  range, zone, high, low;

    range = max - min + 1;

    for (zone = range; (zone & UINT64_C(1) << 63) == 0; zone <<= 1) {
        /* void */
    }

    zone--;

    do {
        high = helix_workload_multiply(helix_workload_u64(w), range, &low);
    } while (low > zone);

    return min + high;
}


/* 0 to 1, both included. */

static float
helix_workload_float(helix_workload_t *w)
{
    float  value;

    value = (float) (helix_workload_u32(w) >> 9) * 0x1p-23f;

    return value * (1.0f + 0x1p-23f);
}


void
helix_workload_init(helix_workload_t *w, uint64_t seed, double heavy)
{
    unsigned  i, n;
    uint32_t  x;

    memset(w, 0, sizeof(helix_workload_t));

    for (i = 0; i < 8; i++) {
        seed = seed * UINT64_C(6364136223846793005)
               + UINT64_C(11634580027462260723);
        x = (uint32_t) (((seed >> 18) ^ seed) >> 27);
        n = (unsigned) (seed >> 59);
        w->key[i] = (x >> n) | (x << ((32 - n) & 31));
    }

    w->used = HELIX_WORKLOAD_WORDS;
    w->heavy = heavy;
}


void
helix_workload_next(helix_workload_t *w, helix_workload_job_t *job)
{
    uint32_t  i;

    static const uint64_t  costs[HELIX_WORKLOAD_KINDS][2] = {
        { 500, 120000 },
        { 2000, 80000 },
        { 20000, 250000 }
    };

    memset(job, 0, sizeof(helix_workload_job_t));
    job->id = w->next_id++;

    if (helix_workload_bool(w, 0.55)) {
        job->kind = HELIX_WORKLOAD_PRIMECOUNT;

    } else {
        job->kind = helix_workload_bool(w, 0.75) ? HELIX_WORKLOAD_HASHMIX
                                                 : HELIX_WORKLOAD_MONTECARLO;
    }

    job->ninputs = (uint32_t) helix_workload_range(w, 2, HELIX_WORKLOAD_INPUTS);

    for (i = 0; i < job->ninputs; i++) {
        job->inputs[i] = helix_workload_range(w, 0, 200000);
    }

    if (helix_workload_bool(w, w->heavy)) {
        job->cost = helix_workload_range(w, 80000, 300000);

    } else {
        job->cost = helix_workload_range(w, costs[job->kind][0],
                                         costs[job->kind][1]);
    }

    job->scaling = helix_workload_float(w);
    job->budget = helix_workload_range(w, 5, 80);
}
