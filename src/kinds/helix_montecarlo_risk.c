
/*
 * montecarlo_risk.  With positions it is the full form, of helix_risk.h; else
 * the 5 % quantile of simulated returns, in the seed's form.
 *
 * A sample is a function of the drawn integer r alone, and a non-decreasing
 * one: conversion to double, scaling by a power of two, multiplication by a
 * positive and addition of a constant are all monotone under rounding.  So
 * the quantile is taken of the integers, exactly, and one of them becomes a
 * double, in the seed's order of operations.
 *
 * Only draws below a bar are kept.  The bar starts where about 4 standard
 * deviations more draws than needed fall below it.  If the memory is full,
 * the bar drops to the quantile of what is there; if too few draws were kept
 * (fewer than 1 job of 10 000), the job starts again without a bar.
 */

#include <math.h>

#include "helix_kinds.h"
#include "helix_risk.h"


#define HELIX_MC_UNIT    200            /* cost of a simulation */
#define HELIX_MC_MAX     130000000000ULL
#define HELIX_MC_MIN_N   5000
#define HELIX_MC_MAX_N   50000

#define HELIX_MC_BLOCK   12288          /* draws between polls: 18 us */
#define HELIX_MC_DIGIT   11             /* bits of a radix pass */
#define HELIX_MC_NDIGIT  (1 << HELIX_MC_DIGIT)
#define HELIX_MC_SORT    24             /* values worth a plain sort */

#define HELIX_MC_2_64    18446744073709551616.0

#define HELIX_MC_SEED    0              /* the first word of a state */


typedef struct {
    uint64_t   form;
    double     mean;
    double     vol;
    uint64_t   seed;
    uint64_t   s;                       /* generator */
    uint64_t   bar;                     /* draws below it are kept */
    uint64_t   answer;
    uint32_t   n;                       /* simulations */
    uint32_t   drawn;
    uint32_t   rank;                    /* of the answer, from zero */
    uint32_t   kept;
    uint32_t   size;
    uint32_t   unused;
    uint64_t   values[];
} helix_mc_t;


static int helix_mc_plan(void *conf, const helix_args_t *args,
    helix_plan_t *plan);
static void helix_mc_start(void *conf, void *state,
    const helix_args_t *args);
static int helix_mc_step(void *state, const helix_control_t *ctl);
static int helix_mc_step_batch(void **states, uint8_t *results, uint32_t n,
    const helix_control_t *ctl);
static double helix_mc_quality(const void *state);
static void helix_mc_finish(const void *state, helix_output_t *out);
static int helix_mc_is_full(const helix_args_t *args);
static int helix_mc_plan_seed(const helix_args_t *args, helix_plan_t *plan);
static void helix_mc_start_seed(helix_mc_t *job, const helix_args_t *args);
static int helix_mc_step_seed(helix_mc_t *job, const helix_control_t *ctl);

static uint32_t helix_mc_sims(uint64_t cost);
static uint32_t helix_mc_rank(uint32_t n);
static uint32_t helix_mc_size(uint32_t rank);
static void helix_mc_restart(helix_mc_t *job, uint64_t bar);
static void helix_mc_block(helix_mc_t *job);
static void helix_mc_draw(helix_mc_t *job, uint32_t n);
static int helix_mc_answer(helix_mc_t *job);
static uint64_t helix_mc_select(uint64_t *v, uint32_t n, uint32_t rank);
static void helix_mc_partition(uint64_t *v, uint32_t *low, uint32_t *high,
    uint32_t shift, uint64_t digit);
static void helix_mc_sort(uint64_t *v, uint32_t n);


static const helix_param_t  helix_mc_params[] = {
    { "assets", HELIX_PARAM_JSON, 0, HELIX_RISK_TEXT,
      "array of {spot, vol, carry}" },
    { "correlation", HELIX_PARAM_JSON, 0, HELIX_RISK_TEXT,
      "array of rows of numbers" },
    { "positions", HELIX_PARAM_JSON, 0, HELIX_RISK_TEXT,
      "array of {asset, type, quantity, strike, expiry, rate}" },
    { "rate", HELIX_PARAM_F64, -1, 1, "interest a year" },
    { "horizon", HELIX_PARAM_F64, 0, 100, "years" },
    { "steps", HELIX_PARAM_U64, 1, HELIX_RISK_STEPS, "of the horizon" },
    { "student_t", HELIX_PARAM_U64, 0, 64, "degrees of freedom" },
    { "jumps", HELIX_PARAM_JSON, 0, HELIX_RISK_TEXT, "{rate, mean, sd}" },
    { "levels", HELIX_PARAM_JSON, 0, HELIX_RISK_TEXT,
      "array of confidence levels" },
    { "paths", HELIX_PARAM_U64, HELIX_RISK_MIN_PATHS, HELIX_RISK_MAX_PATHS,
      "scenarios" },
    { "seed", HELIX_PARAM_U64, 0, HELIX_MC_2_64, "of the random numbers" },
    { "model", HELIX_PARAM_TEXT, 0, 16, "full or delta_gamma" },
    { "estimator", HELIX_PARAM_TEXT, 0, 16, "plain, is or auto" },
    { .name = NULL }
};


static const char *const  helix_mc_levels[] = {
    "importance", "paths_4", "delta_gamma", "closed", NULL
};


const helix_kind_t  helix_kind_montecarlo_risk = {
    .size = sizeof(helix_kind_t),
    .abi = HELIX_KIND_ABI,
    .name = "montecarlo_risk",
    .max_work = HELIX_MC_MAX,
    .params = helix_mc_params,
    .levels = helix_mc_levels,
    .plan = helix_mc_plan,
    .start = helix_mc_start,
    .step = helix_mc_step,
    .step_batch = helix_mc_step_batch,
    .quality = helix_mc_quality,
    .finish = helix_mc_finish
};


static inline int
helix_mc_full(const void *state)
{
    return *(const uint64_t *) state == HELIX_RISK_FULL;
}


static int
helix_mc_plan(void *conf, const helix_args_t *args,
    helix_plan_t *plan)
{
    (void) conf;

    if (helix_mc_is_full(args)) {
        return helix_risk_plan(args, plan);
    }

    return helix_mc_plan_seed(args, plan);
}


/* Any parameter: a job that lacks only its positions is told so. */

static int
helix_mc_is_full(const helix_args_t *args)
{
    uint32_t  i;

    for (i = 0; args->values != NULL && i < HELIX_RISK_NPARAMS; i++) {
        if (args->values[i].given) {
            return 1;
        }
    }

    return 0;
}


static void
helix_mc_start(void *conf, void *state,
    const helix_args_t *args)
{
    (void) conf;

    if (helix_mc_is_full(args)) {
        helix_risk_start(state, args);

    } else {
        helix_mc_start_seed(state, args);
    }
}


static int
helix_mc_step(void *state, const helix_control_t *ctl)
{
    if (helix_mc_full(state)) {
        return helix_risk_step(state, ctl);
    }

    return helix_mc_step_seed(state, ctl);
}


/* Jobs of the seed's form share nothing. */

static int
helix_mc_step_batch(void **states, uint8_t *results, uint32_t n,
    const helix_control_t *ctl)
{
    uint32_t  i, ended;

    ended = 0;

    for (i = 0; i < n; i++) {

        if (states[i] == NULL || results[i] != HELIX_AGAIN
            || helix_mc_full(states[i]))
        {
            continue;
        }

        if ((ended && ctl->poll(ctl))
            || helix_mc_step_seed(states[i], ctl) == HELIX_AGAIN)
        {
            return HELIX_AGAIN;
        }

        results[i] = HELIX_DONE;
        ended = 1;
    }

    return helix_risk_step_batch(states, results, n, ctl);
}


static double
helix_mc_quality(const void *state)
{
    return helix_mc_full(state) ? helix_risk_quality(state) : 0.0;
}


static int
helix_mc_plan_seed(const helix_args_t *args, helix_plan_t *plan)
{
    uint32_t  n;

    n = helix_mc_sims(args->cost);

    plan->flags = HELIX_PURE_ID;
    plan->work = (uint64_t) n * HELIX_MC_UNIT;
    plan->memory = sizeof(helix_mc_t)
                   + helix_mc_size(helix_mc_rank(n)) * sizeof(uint64_t);

    return HELIX_DONE;
}


static void
helix_mc_start_seed(helix_mc_t *job, const helix_args_t *args)
{
    double    share;
    uint32_t  i;
    uint64_t  v;

    job->form = HELIX_MC_SEED;
    job->mean = 0.0;
    job->vol = 1.0;

    for (i = 0; i < args->ninputs; i++) {
        v = args->inputs[i];
        job->mean += (double) v / HELIX_MC_2_64 * 0.0001;

        v = (v << 13) | (v >> 51);
        job->vol += ((double) v / HELIX_MC_2_64 - 0.5) * 0.01;
    }

    if (job->vol < 0.1) {
        job->vol = 0.1;
    }

    job->seed = 0x123456789abcdef0ULL ^ args->id;
    job->n = helix_mc_sims(args->cost);
    job->rank = helix_mc_rank(job->n);
    job->size = helix_mc_size(job->rank);
    job->answer = 0;
    job->unused = 0;

    share = (job->rank + 4.0 * sqrt((double) job->rank)) / job->n;
    helix_mc_restart(job, (uint64_t) (share * HELIX_MC_2_64));
}


static int
helix_mc_step_seed(helix_mc_t *job, const helix_control_t *ctl)
{
    for ( ;; ) {

        if (job->drawn < job->n) {
            helix_mc_block(job);

        } else if (helix_mc_answer(job) == HELIX_DONE) {
            return HELIX_DONE;
        }

        if (ctl->poll(ctl)) {
            return HELIX_AGAIN;
        }
    }
}


static void
helix_mc_finish(const void *state, helix_output_t *out)
{
    double             u, base;
    const helix_mc_t  *job;

    if (helix_mc_full(state)) {
        helix_risk_finish(state, out);
        return;
    }

    job = state;

    u = (double) job->answer / HELIX_MC_2_64 * 2.0 - 1.0;
    base = u * 0.05;

    out->f64(out, job->mean + base * job->vol);
}


static uint32_t
helix_mc_sims(uint64_t cost)
{
    uint64_t  n;

    n = cost / HELIX_MC_UNIT;

    if (n < HELIX_MC_MIN_N) {
        return HELIX_MC_MIN_N;
    }

    if (n > HELIX_MC_MAX_N) {
        return HELIX_MC_MAX_N;
    }

    return (uint32_t) n;
}


/* The conversion truncates, which is the seed's floor() of a positive. */

static uint32_t
helix_mc_rank(uint32_t n)
{
    return (uint32_t) ((double) n * 0.05);
}


static uint32_t
helix_mc_size(uint32_t rank)
{
    return rank + (uint32_t) (12.0 * sqrt((double) rank)) + 64;
}


static void
helix_mc_restart(helix_mc_t *job, uint64_t bar)
{
    job->s = job->seed;
    job->bar = bar;
    job->drawn = 0;
    job->kept = 0;
}


static void
helix_mc_block(helix_mc_t *job)
{
    uint32_t  n, room, left;

    left = job->n - job->drawn;
    if (left > HELIX_MC_BLOCK) {
        left = HELIX_MC_BLOCK;
    }

    job->drawn += left;

    while (left != 0) {
        room = job->size - job->kept;
        n = (left < room) ? left : room;

        helix_mc_draw(job, n);
        left -= n;

        if (job->kept == job->size) {
            job->bar = helix_mc_select(job->values, job->kept, job->rank);
            job->kept = job->rank + 1;
        }
    }
}


/* Writes every draw and advances only past those to keep: no branch. */

static void
helix_mc_draw(helix_mc_t *job, uint32_t n)
{
    uint32_t   kept;
    uint64_t   r, s, bar, *values;

    s = job->s;
    bar = job->bar;
    kept = job->kept;
    values = job->values;

    while (n-- != 0) {
        s ^= s >> 12;
        s ^= s << 25;
        s ^= s >> 27;
        r = s * 0x2545f4914f6cdd1dULL;

        values[kept] = r;
        kept += (r < bar);
    }

    job->s = s;
    job->kept = kept;
}


static int
helix_mc_answer(helix_mc_t *job)
{
    if (job->kept > job->rank) {
        job->answer = helix_mc_select(job->values, job->kept, job->rank);
        return HELIX_DONE;
    }

    if (job->bar == UINT64_MAX) {
        /* no draw below UINT64_MAX was missed: it is the answer */
        job->answer = UINT64_MAX;
        return HELIX_DONE;
    }

    helix_mc_restart(job, UINT64_MAX);

    return HELIX_AGAIN;
}


/*
 * Radix select: the value of that rank, with the smaller ones moved before
 * it.  At most six passes over the values, whatever they are.
 */

static uint64_t
helix_mc_select(uint64_t *v, uint32_t n, uint32_t rank)
{
    uint32_t  i, low, high, shift, below;
    uint16_t  count[HELIX_MC_NDIGIT];
    uint64_t  digit;

    low = 0;
    high = n;
    shift = 64 - HELIX_MC_DIGIT;

    while (high - low > HELIX_MC_SORT) {

        for (i = 0; i < HELIX_MC_NDIGIT; i++) {
            count[i] = 0;
        }

        for (i = low; i < high; i++) {
            count[(v[i] >> shift) % HELIX_MC_NDIGIT]++;
        }

        below = low;

        for (digit = 0; below + count[digit] <= rank; digit++) {
            below += count[digit];
        }

        if (count[digit] != high - low) {
            helix_mc_partition(v, &low, &high, shift, digit);
        }

        if (shift == 0) {
            return v[rank];
        }

        /* the last digits overlap, which harms nothing */
        shift = (shift < HELIX_MC_DIGIT) ? 0 : shift - HELIX_MC_DIGIT;
    }

    helix_mc_sort(v + low, high - low);

    return v[rank];
}


/* Moves the values of that digit together, and narrows the range to them. */

static void
helix_mc_partition(uint64_t *v, uint32_t *low, uint32_t *high,
    uint32_t shift, uint64_t digit)
{
    uint32_t  i, first, last;
    uint64_t  d, value;

    first = *low;
    last = *high;
    i = first;

    while (i < last) {
        value = v[i];
        d = (value >> shift) % HELIX_MC_NDIGIT;

        if (d < digit) {
            v[i++] = v[first];
            v[first++] = value;

        } else if (d > digit) {
            v[i] = v[--last];
            v[last] = value;

        } else {
            i++;
        }
    }

    *low = first;
    *high = last;
}


static void
helix_mc_sort(uint64_t *v, uint32_t n)
{
    uint32_t  i, k;
    uint64_t  value;

    for (i = 1; i < n; i++) {
        value = v[i];

        for (k = i; k > 0 && v[k - 1] > value; k--) {
            v[k] = v[k - 1];
        }

        v[k] = value;
    }
}
