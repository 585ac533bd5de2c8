
/*
 * primecount: what it costs against sieves and libprimecount, what its work
 * is worth, and the polls.
 *
 *     cc -std=c11 -D_GNU_SOURCE -O2 -Isrc/base -Isrc/kinds
 *         t/bench/kind_prime.c build/debian/addon/kinds/libhelix_kinds.a
 *         -lprimesieve -lprimecount -lm
 *     ./a.out [--quick]
 *
 * Without libprimesieve-dev and libprimecount-dev: without their rows, and
 * without the two libraries.  CPU time of the process, medians of runs that
 * take turns.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "helix_primecount.h"

#if __has_include(<primesieve.h>)
#include <primesieve.h>
#define HAVE_PRIMESIEVE
#endif

#if __has_include(<primecount.h>)
#include <primecount.h>
#define HAVE_PRIMECOUNT
#endif


#define REPEATS   21
#define MAX_GAPS  200000


typedef struct {
    helix_control_t    base;
    double             last;
    uint32_t           n;
    double             gaps[MAX_GAPS];
} gaps_t;


/* Says how many primes there are up to n. */

typedef uint64_t (*work_pt)(uint64_t n);


static const helix_kind_t *const  kind = &helix_kind_primecount;

static uint32_t         repeats;
static void            *state;
static gaps_t           gaps;
static uint64_t         answer, sink;
static helix_control_t  control;


static double
now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);

    return (double) ts.tv_sec * 1e9 + (double) ts.tv_nsec;
}


static int
never(const helix_control_t *ctl)
{
    return ctl == NULL;
}


/* A flag and a clock, as the host's. */

static int
clocked(const helix_control_t *ctl)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return ctl == NULL || ts.tv_sec == 0;
}


static int
gap(const helix_control_t *ctl)
{
    gaps_t  *g;

    g = (gaps_t *) ctl;

    if (g->n < MAX_GAPS) {
        g->gaps[g->n++] = now() - g->last;
    }

    g->last = now();

    return 0;
}


static int
compare_double(const void *a, const void *b)
{
    double  x, y;

    x = *(const double *) a;
    y = *(const double *) b;

    return (x > y) - (x < y);
}


static void
result(helix_output_t *out, uint64_t value)
{
    (void) out;
    answer = value;
}


static void
args_init(helix_args_t *args, helix_value_t *value, uint64_t n, uint32_t given)
{
    memset(args, 0, sizeof(helix_args_t));
    memset(value, 0, sizeof(helix_value_t));
    args->size = sizeof(helix_args_t);
    args->cost = n;
    args->values = value;
    value->given = given;
    value->u64 = n;
}


static uint64_t
run(uint64_t n, uint32_t given, const helix_control_t *ctl)
{
    helix_args_t    args;
    helix_value_t   value;
    helix_output_t  out = { .size = sizeof(out), .u64 = result };

    args_init(&args, &value, n, given);
    kind->start(NULL, state, &args);
    gaps.last = now();
    kind->step(state, ctl);
    kind->finish(state, &out);

    return answer;
}


static uint64_t
own(uint64_t n)
{
    return run(n, 1, &control);
}


static uint64_t
own_sieve(uint64_t n)
{
    return run(n, 0, &control);
}


static uint64_t
interval(uint64_t n)
{
    helix_pc_interval_t  in;

    helix_pc_interval(&in, n);

    return in.estimate;
}


/* The seed's: a byte a number, allocated by every job. */

static uint64_t
byte_sieve(uint64_t n)
{
    size_t    p, k;
    uint8_t  *prime;
    uint64_t  count;

    prime = malloc((size_t) n + 1);
    memset(prime, 1, (size_t) n + 1);
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

    free(prime);

    return count;
}


#if defined HAVE_PRIMESIEVE

static uint64_t
lib_sieve(uint64_t n)
{
    return primesieve_count_primes(0, n);
}

#endif


#if defined HAVE_PRIMECOUNT

static uint64_t
lib_count(uint64_t n)
{
    return (uint64_t) primecount_pi((int64_t) n);
}

#endif


/* Of a run that takes 20 us or more: many of a fast one. */

static double
measure(work_pt work, uint64_t n)
{
    double    t;
    uint32_t  i, times;

    for (times = 1; /* void */ ; times *= 4) {
        t = now();

        for (i = 0; i < times; i++) {
            sink += work(n);
        }

        t = now() - t;

        if (t >= 20e3) {
            return t / times;
        }
    }
}


/* Medians of both, in turns; fewer of what takes long. */

static void
compare(work_pt a, work_pt b, uint64_t n, double *ns)
{
    double    times[2][REPEATS], spent;
    uint32_t  k;

    if (a(n) != b(n)) {
        printf("pi(%llu): answers differ\n", (unsigned long long) n);
        exit(1);
    }

    spent = 0;

    for (k = 0; k < repeats && (k < 3 || spent < 1e9); k++) {
        times[0][k] = measure(a, n);
        times[1][k] = measure(b, n);
        spent += times[0][k] + times[1][k];
    }

    qsort(times[0], k, sizeof(double), compare_double);
    qsort(times[1], k, sizeof(double), compare_double);
    ns[0] = times[0][k / 2];
    ns[1] = times[1][k / 2];
}


static void
row(const char *name, work_pt a, work_pt b, uint64_t n, const char *target)
{
    char    text[80];
    double  ns[2];

    compare(a, b, n, ns);
    snprintf(text, sizeof(text), "%s, n = %.3g", name, (double) n);
    printf("%-52s %8.2f x  %-8s (%.1f / %.1f us)\n", text, ns[0] / ns[1],
           target, ns[0] / 1e3, ns[1] / 1e3);
}


/* A unit of work is as long as one of a job without "n". */

static void
bench_work(uint64_t n)
{
    char            text[80];
    double          ns[2], base[2];
    helix_args_t    args;
    helix_plan_t    plan;
    helix_value_t   value;

    compare(own_sieve, own_sieve, 250000, base);
    compare(own, own, n, ns);

    args_init(&args, &value, n, 1);
    memset(&plan, 0, sizeof(plan));
    kind->plan(NULL, &args, &plan);

    snprintf(text, sizeof(text), "work: time of a unit to a sieve's, n = %.3g",
             (double) n);
    printf("%-52s %8.2f    0.7-1.3  (%.4g units)\n", text,
           ns[0] / (double) plan.work / (base[0] / 250000),
           (double) plan.work);
}


static void
bench_polls(uint64_t n)
{
    char             text[80];
    double           t, off, ratios[REPEATS];
    uint32_t         k;
    helix_control_t  on = { sizeof(on), clocked, clocked };

    for (k = 0; k < repeats; k++) {
        t = now();
        run(n, 1, &control);
        off = now() - t;
        t = now();
        run(n, 1, &on);
        ratios[k] = (now() - t) / off;
    }

    qsort(ratios, repeats, sizeof(double), compare_double);
    snprintf(text, sizeof(text), "polls: their share, n = %.3g", (double) n);
    printf("%-52s %8.2f %% <= 0.5\n", text,
           100.0 * (ratios[repeats / 2] - 1.0));

    gaps.base.size = sizeof(helix_control_t);
    gaps.base.poll = gap;
    gaps.n = 0;

    while (gaps.n < 2000) {
        run(n, 1, &gaps.base);
    }

    qsort(gaps.gaps, gaps.n, sizeof(double), compare_double);
    snprintf(text, sizeof(text), "polls: p99 of gaps, n = %.3g", (double) n);
    printf("%-52s %8.1f us <= 25    (median %.1f, max %.1f)\n", text,
           gaps.gaps[gaps.n * 99 / 100] / 1e3, gaps.gaps[gaps.n / 2] / 1e3,
           gaps.gaps[gaps.n - 1] / 1e3);
}


static void
bench_peers(uint64_t max)
{
    uint64_t  n;

    row("byte sieve / own", byte_sieve, own, 250000, ">= 50");
    row("byte sieve / own without \"n\"", byte_sieve, own_sieve, 250000, "");

#if defined HAVE_PRIMESIEVE
    primesieve_set_num_threads(1);

    for (n = 1000000; n <= max && n <= 1000000000; n *= 1000) {
        row("primesieve / own", lib_sieve, own, n,
            n == 1000000000 ? ">= 100" : "");
    }
#endif

#if defined HAVE_PRIMECOUNT
    primecount_set_num_threads(1);

    for (n = 10000; n <= max; n *= 10) {
        row("own / libprimecount", own, lib_count, n,
            (n >= 1000000 && n <= 1000000000000) ? "<= 2.5" : "");
    }
#else
    (void) n;
#endif
}


int
main(int argc, char **argv)
{
    int             quick;
    double          ns[2];
    uint64_t        n, max;
    helix_plan_t    plan;
    helix_args_t    args;
    helix_value_t   value;

    quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    repeats = quick ? 3 : REPEATS;
    max = quick ? 10000000000ULL : HELIX_PC_N_MAX;

    control.size = sizeof(control);
    control.poll = never;
    control.stop = never;

    args_init(&args, &value, max, 1);
    memset(&plan, 0, sizeof(plan));
    kind->plan(NULL, &args, &plan);
    state = malloc(plan.memory);

    printf("%-52s %8s    %s\n", "row", "value", "target");
    bench_peers(max);

    for (n = 10000; n <= max; n *= 10) {
        bench_work(n);
    }

    compare(interval, interval, 1000000000000ULL, ns);
    printf("%-52s %8.2f us\n", "an interval, n = 1e+12", ns[0] / 1e3);

    for (n = 1000000000; n <= max; n *= 100) {
        bench_polls(n);
    }

    return sink == 42;
}
