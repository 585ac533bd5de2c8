
/*
 * What the kinds cost in HelixRouter's form, and what a batch of its sieves
 * gains.  kind_*.c have the rest.
 *
 *     cc -std=c11 -D_GNU_SOURCE -O2 -Isrc/base -Isrc/kinds
 *         t/bench/kinds.c build/debian/addon/kinds/libhelix_kinds.a -lm
 *     ./a.out [--quick]
 *
 * CPU time of one thread, medians of runs in which what is compared takes
 * turns.  Read the ratios: the nanoseconds are those of this machine.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "helix_kinds.h"


#define REPEATS   15
#define MAX_JOBS  1024
#define MAX_GAPS  200000


typedef struct {
    uint32_t               n;
    helix_args_t           args[MAX_JOBS];
    void                  *states[MAX_JOBS];
    uint8_t                results[MAX_JOBS];
    const helix_kind_t    *kind;
} jobs_t;


typedef struct {
    helix_control_t        base;
    double                 last;
    uint32_t               n;
    double                 gaps[MAX_GAPS];
} gaps_t;


typedef struct {
    helix_output_t         base;
    uint64_t               sum;
} sum_t;


typedef void (*work_pt)(jobs_t *jobs);


static jobs_t    jobs_a;
static gaps_t    gaps;
static uint32_t  repeats;
static uint64_t  sink;


static double
now(clockid_t id)
{
    struct timespec  ts;

    clock_gettime(id, &ts);

    return (double) ts.tv_sec * 1e9 + (double) ts.tv_nsec;
}


static int
never(const helix_control_t *ctl)
{
    return ctl == NULL;
}


static int
gap(const helix_control_t *ctl)
{
    double   t;
    gaps_t  *g;

    g = (gaps_t *) ctl;
    t = now(CLOCK_THREAD_CPUTIME_ID);

    if (g->n < MAX_GAPS) {
        g->gaps[g->n++] = t - g->last;
    }

    g->last = now(CLOCK_THREAD_CPUTIME_ID);

    return 0;
}


static void
sum_u64(helix_output_t *out, uint64_t value)
{
    ((sum_t *) out)->sum += value;
}


static void
sum_f64(helix_output_t *out, double value)
{
    ((sum_t *) out)->sum += (uint64_t) (value * -1e9);
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
random64(void)
{
    static uint64_t  s = 88172645463325252ULL;

    s ^= s << 13;
    s ^= s >> 7;
    s ^= s << 17;

    return s;
}


static void
setup(jobs_t *jobs, const helix_kind_t *kind, uint32_t n)
{
    uint32_t      i;
    helix_plan_t  plan;

    jobs->kind = kind;
    jobs->n = n;

    for (i = 0; i < n; i++) {
        memset(&plan, 0, sizeof(plan));
        plan.size = sizeof(plan);
        kind->plan(NULL, &jobs->args[i], &plan);
        free(jobs->states[i]);
        jobs->states[i] = malloc(plan.memory);
    }
}


static void
fill(uint32_t n, uint64_t low, uint64_t high)
{
    uint32_t  i;

    for (i = 0; i < n; i++) {
        memset(&jobs_a.args[i], 0, sizeof(helix_args_t));
        jobs_a.args[i].size = sizeof(helix_args_t);
        jobs_a.args[i].id = i + 1;
        jobs_a.args[i].cost = low + random64() % (high - low + 1);
    }
}


static void
finish(jobs_t *jobs)
{
    sum_t     out;
    uint32_t  i;

    out.base.size = sizeof(helix_output_t);
    out.base.u64 = sum_u64;
    out.base.f64 = sum_f64;
    out.sum = 0;

    for (i = 0; i < jobs->n; i++) {
        jobs->kind->finish(jobs->states[i], &out.base);
    }

    sink += out.sum;
}


static void
start(jobs_t *jobs)
{
    uint32_t  i;

    for (i = 0; i < jobs->n; i++) {
        jobs->kind->start(NULL, jobs->states[i], &jobs->args[i]);
        jobs->results[i] = HELIX_AGAIN;
    }
}


static void
singles(jobs_t *jobs)
{
    uint32_t         i;
    helix_control_t  ctl = { sizeof(helix_control_t), never };

    start(jobs);

    for (i = 0; i < jobs->n; i++) {
        while (jobs->kind->step(jobs->states[i], &ctl) == HELIX_AGAIN) {
            /* void */
        }
    }

    finish(jobs);
}


static void
batch(jobs_t *jobs)
{
    helix_control_t  ctl = { sizeof(helix_control_t), never };

    start(jobs);

    while (jobs->kind->step_batch(jobs->states, jobs->results, jobs->n, &ctl)
           == HELIX_AGAIN)
    {
        /* void */
    }

    finish(jobs);
}


/* The seed's sieve: a byte a number, allocated by every job. */

static void
byte_sieve(jobs_t *jobs)
{
    size_t    n, p, k;
    uint8_t  *prime;
    uint32_t  i;
    uint64_t  count;

    for (i = 0; i < jobs->n; i++) {
        n = (size_t) jobs->args[i].cost;
        prime = malloc(n + 1);
        memset(prime, 1, n + 1);
        prime[0] = prime[1] = 0;

        for (p = 2; p * p <= n; p++) {
            if (prime[p]) {
                for (k = p * p; k <= n; k += p) {
                    prime[k] = 0;
                }
            }
        }

        count = 0;

        for (p = 0; p <= n; p++) {
            count += prime[p];
        }

        sink += count;
        free(prime);
    }
}


static void
fill_and_sort(jobs_t *jobs)
{
    double    *samples, u;
    size_t     k, n;
    uint32_t   i;
    uint64_t   s, r;

    for (i = 0; i < jobs->n; i++) {
        n = (size_t) jobs->args[i].cost / 200;
        s = 0x123456789abcdef0ULL ^ jobs->args[i].id;
        samples = malloc(n * sizeof(double));

        for (k = 0; k < n; k++) {
            s ^= s >> 12;
            s ^= s << 25;
            s ^= s >> 27;
            r = s * 0x2545f4914f6cdd1dULL;
            u = (double) r / 18446744073709551616.0 * 2.0 - 1.0;
            samples[k] = u * 0.05;
        }

        qsort(samples, n, sizeof(double), compare_double);
        sink += (uint64_t) (samples[n / 20] * -1e9);
        free(samples);
    }
}


/* Medians of the CPU time of each work, in turns. */

static void
measure(jobs_t *jobs, const work_pt *works, uint32_t n, double *ns)
{
    double    t, times[4][REPEATS];
    uint32_t  i, k;

    for (i = 0; i < n; i++) {
        works[i](jobs);
    }

    for (k = 0; k < repeats; k++) {
        for (i = 0; i < n; i++) {
            t = now(CLOCK_THREAD_CPUTIME_ID);
            works[i](jobs);
            times[i][k] = now(CLOCK_THREAD_CPUTIME_ID) - t;
        }
    }

    for (i = 0; i < n; i++) {
        qsort(times[i], repeats, sizeof(double), compare_double);
        ns[i] = times[i][repeats / 2];
    }
}


static void
ratio(const char *name, const helix_kind_t *kind, uint32_t n, work_pt peer,
    work_pt own)
{
    double         ns[2];
    const work_pt  works[2] = { peer, own };

    setup(&jobs_a, kind, n);
    measure(&jobs_a, works, 2, ns);

    printf("%-52s %7.2f x  (%.0f / %.0f us)\n", name, ns[0] / ns[1],
           ns[0] / 1000, ns[1] / 1000);
}


static void
unit(const helix_kind_t *kind, uint64_t cost)
{
    double         ns;
    helix_plan_t   plan;
    const work_pt  works[1] = { singles };

    fill(16, cost, cost);
    setup(&jobs_a, kind, 16);
    measure(&jobs_a, works, 1, &ns);

    plan.size = sizeof(plan);
    kind->plan(NULL, &jobs_a.args[0], &plan);

    ns /= 16;

    printf("%-16s cost %-11llu %9.2f us  %9.5f ns/unit"
           "  1 s = %.2e units\n", kind->name, (unsigned long long) cost,
           ns / 1000, ns / (double) plan.work,
           1e9 / ns * (double) plan.work);
}


static void
input_unit(void)
{
    double           ns[2], each;
    uint32_t         i;
    const work_pt    works[1] = { singles };
    static uint64_t  inputs[4096];

    for (i = 0; i < 4096; i++) {
        inputs[i] = random64();
    }

    fill(16, 64000, 64000);
    setup(&jobs_a, &helix_kind_hashmix, 16);
    measure(&jobs_a, works, 1, &ns[0]);

    for (i = 0; i < 16; i++) {
        jobs_a.args[i].inputs = inputs;
        jobs_a.args[i].ninputs = 4096;
    }

    measure(&jobs_a, works, 1, &ns[1]);

    each = (ns[1] - ns[0]) / (16 * 4096);
    printf("%-16s an input takes %.2f ns = %.0f units\n", "hashmix", each,
           each * 64000 * 16 / ns[0]);
}


static void
report_gaps(const char *name, work_pt prepare, int whole)
{
    uint32_t  i;

    prepare(&jobs_a);

    gaps.base.size = sizeof(helix_control_t);
    gaps.base.poll = gap;
    gaps.n = 0;

    while (gaps.n < 300 * repeats) {
        start(&jobs_a);
        gaps.last = now(CLOCK_THREAD_CPUTIME_ID);

        if (whole) {
            jobs_a.kind->step_batch(jobs_a.states, jobs_a.results, jobs_a.n,
                                    &gaps.base);
        } else {
            for (i = 0; i < jobs_a.n; i++) {
                jobs_a.kind->step(jobs_a.states[i], &gaps.base);
            }
        }

        gap(&gaps.base);
    }

    qsort(gaps.gaps, gaps.n, sizeof(double), compare_double);

    printf("%-52s p50 %5.1f  p99 %5.1f  max %6.1f us\n", name,
           gaps.gaps[gaps.n / 2] / 1000, gaps.gaps[gaps.n * 99 / 100] / 1000,
           gaps.gaps[gaps.n - 1] / 1000);
}


static void
gaps_primecount(jobs_t *jobs)
{
    fill(1, 250000, 250000);
    setup(jobs, &helix_kind_primecount, 1);
}


static void
gaps_primecount_many(jobs_t *jobs)
{
    fill(1024, 10000, 250000);
    setup(jobs, &helix_kind_primecount, 1024);
}


static void
gaps_montecarlo(jobs_t *jobs)
{
    fill(1, 10000000, 10000000);
    setup(jobs, &helix_kind_montecarlo_risk, 1);
}


/* Every draw is kept, and every value is the same: the longest select. */

static void
gaps_montecarlo_zero(jobs_t *jobs)
{
    fill(1, 10000000, 10000000);
    jobs->args[0].id = 0x123456789abcdef0ULL;
    setup(jobs, &helix_kind_montecarlo_risk, 1);
}


static void
bench_primecount(void)
{
    fill(8, 250000, 250000);
    ratio("primecount batch of 8 / singles, n 250000",
          &helix_kind_primecount, 8, singles, batch);

    fill(8, 10000, 250000);
    ratio("primecount batch of 8 / singles, n 10000-250000",
          &helix_kind_primecount, 8, singles, batch);
    ratio("primecount batch of 8 / byte sieve, n 10000-250000",
          &helix_kind_primecount, 8, byte_sieve, batch);

    fill(8, 10000, 10000);
    ratio("primecount single / byte sieve, n 10000",
          &helix_kind_primecount, 8, byte_sieve, singles);
}


static void
bench_montecarlo(void)
{
    fill(4, 10000000, 10000000);
    ratio("montecarlo_risk / fill and qsort, 50000 simulations",
          &helix_kind_montecarlo_risk, 4, fill_and_sort, singles);

    fill(4, 1000000, 1000000);
    ratio("montecarlo_risk / fill and qsort, 5000 simulations",
          &helix_kind_montecarlo_risk, 4, fill_and_sort, singles);
}


int
main(int argc, char **argv)
{
    repeats = (argc > 1 && strcmp(argv[1], "--quick") == 0) ? 3 : REPEATS;

    bench_primecount();
    bench_montecarlo();

    printf("\n");
    unit(&helix_kind_hashmix, 640000);
    unit(&helix_kind_hashmix, 64000000);
    input_unit();
    unit(&helix_kind_primecount, 10000);
    unit(&helix_kind_primecount, 100000);
    unit(&helix_kind_primecount, 250000);
    unit(&helix_kind_montecarlo_risk, 1000000);
    unit(&helix_kind_montecarlo_risk, 10000000);

    printf("\n");
    report_gaps("polls: primecount", gaps_primecount, 0);
    report_gaps("polls: primecount batch of 1024", gaps_primecount_many, 1);
    report_gaps("polls: montecarlo_risk", gaps_montecarlo, 0);
    report_gaps("polls: montecarlo_risk, zero state", gaps_montecarlo_zero,
                0);

    return sink == 42;
}
