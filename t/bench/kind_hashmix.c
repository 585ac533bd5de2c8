
/*
 * hashmix: what batches gain on each set of instructions, and the polls.
 *
 *     cc -std=c11 -D_GNU_SOURCE -O2 -Isrc/base -Isrc/kinds
 *         t/bench/kind_hashmix.c build/debian/addon/kinds/libhelix_kinds.a -lm
 *     ./a.out [--quick]
 *
 * CPU time of one thread, medians of runs that take turns.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "helix_hashmix.h"


#define REPEATS   21
#define MAX_JOBS  1024
#define MAX_GAPS  200000


typedef struct {
    helix_control_t              base;
    double                       last;
    uint32_t                     n;
    double                       gaps[MAX_GAPS];
} gaps_t;


typedef struct {
    const helix_hashmix_isa_t   *isa;   /* NULL: each job alone */
    const helix_control_t       *ctl;
} way_t;


static const helix_kind_t *const  kind = &helix_kind_hashmix;

static uint32_t      njobs, repeats;
static helix_args_t  args[MAX_JOBS];
static void         *states[MAX_JOBS];
static uint8_t       results[MAX_JOBS];
static gaps_t        gaps;
static uint64_t      sink;


static double
now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);

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
    sink += value;
}


/* The seed is fixed: runs are comparable. */

static void
fill(uint32_t n, uint64_t min, uint64_t max)
{
    uint32_t         i;
    helix_plan_t     plan;
    static uint64_t  s = 88172645463325252ULL;

    njobs = n;

    for (i = 0; i < n; i++) {
        s ^= s << 13;
        s ^= s >> 7;
        s ^= s << 17;

        memset(&args[i], 0, sizeof(args[i]));
        args[i].size = sizeof(args[i]);
        args[i].inputs = NULL;
        args[i].cost = min + s % (max - min + 1);

        memset(&plan, 0, sizeof(plan));
        kind->plan(NULL, &args[i], &plan);
        free(states[i]);
        states[i] = malloc(plan.memory);
    }
}


static double
run(const way_t *way)
{
    double          t;
    uint32_t        i;
    helix_output_t  out = { .size = sizeof(out), .u64 = result };

    t = now();

    for (i = 0; i < njobs; i++) {
        kind->start(NULL, states[i], &args[i]);
        results[i] = HELIX_AGAIN;
    }

    gaps.last = now();

    if (way->isa != NULL) {
        helix_hashmix_batch(way->isa, states, results, njobs, way->ctl);

    } else {
        for (i = 0; i < njobs; i++) {
            kind->step(states[i], way->ctl);
        }
    }

    t = now() - t;

    for (i = 0; i < njobs; i++) {
        kind->finish(states[i], &out);
    }

    return t;
}


/* How many times as long one way takes as another: the median of pairs. */

static double
ratio(const way_t *a, const way_t *b)
{
    double    ratios[REPEATS], first;
    uint32_t  k;

    run(a);
    run(b);

    for (k = 0; k < repeats; k++) {
        first = run(a);
        ratios[k] = first / run(b);
    }

    qsort(ratios, repeats, sizeof(double), compare_double);

    return ratios[repeats / 2];
}


static void
bench_isa(const char *name, const helix_hashmix_isa_t *isa)
{
    char             row[80];
    uint32_t         n;
    const char      *target;
    helix_control_t  ctl = { sizeof(ctl), never, never };
    const way_t      single = { NULL, &ctl }, batch = { isa, &ctl };

    for (n = 2; n <= 64; n *= 2) {
        fill(n, 65536 * 64, 65536 * 64);
        snprintf(row, sizeof(row), "%s: batch of %u, 65536 iterations", name,
                 n);
        target = (n == 8) ? ">= 5"
                          : (n == 32 && isa->lanes > 8) ? ">= 15" : "";
        printf("%-52s %8.2f x  %s\n", row, ratio(&single, &batch), target);
    }

    for (n = 8; n <= 512; n *= 4) {
        fill(n, 500, 300000);
        snprintf(row, sizeof(row), "%s: batch of %u, cost 500..300000", name,
                 n);
        printf("%-52s %8.2f x\n", row, ratio(&single, &batch));
    }
}


static void
bench_gaps(const char *name, const helix_hashmix_isa_t *isa, uint32_t n,
    uint64_t min, uint64_t max)
{
    way_t  way = { isa, &gaps.base };

    gaps.base.size = sizeof(helix_control_t);
    gaps.base.poll = gap;
    gaps.n = 0;
    fill(n, min, max);

    while (gaps.n < 200 * repeats) {
        run(&way);
    }

    qsort(gaps.gaps, gaps.n, sizeof(double), compare_double);

    printf("%-52s %8.1f us <= 25 (median %.1f, max %.1f)\n", name,
           gaps.gaps[gaps.n * 99 / 100] / 1e3, gaps.gaps[gaps.n / 2] / 1e3,
           gaps.gaps[gaps.n - 1] / 1e3);
}


static void
bench_polls(const helix_hashmix_isa_t *isa)
{
    helix_control_t  off = { sizeof(off), never, never };
    helix_control_t  on = { sizeof(on), clocked, clocked };
    const way_t      ways[4] = {
        { NULL, &on }, { NULL, &off }, { isa, &on }, { isa, &off }
    };

    fill(8, 6400000, 6400000);
    printf("%-52s %8.2f %% <= 0.5\n", "polls: their share, single",
           100.0 * (ratio(&ways[0], &ways[1]) - 1.0));
    printf("%-52s %8.2f %% <= 0.5\n", "polls: their share, batch of 8",
           100.0 * (ratio(&ways[2], &ways[3]) - 1.0));

    bench_gaps("polls: p99 of gaps, single", NULL, 4, 6400000, 6400000);
    bench_gaps("polls: p99 of gaps, batch of 8", isa, 8, 64000000, 64000000);
    bench_gaps("polls: p99 of gaps, batch of 64", isa, 64, 64000000,
               64000000);
    bench_gaps("polls: p99 of gaps, batch of 1024, cost 500..120000", isa,
               1024, 500, 120000);
}


int
main(int argc, char **argv)
{
    repeats = (argc > 1 && strcmp(argv[1], "--quick") == 0) ? 3 : REPEATS;

    printf("%-52s %8s    %s\n", "row", "value", "target");

    bench_isa("plain", &helix_hashmix_plain);

    if (helix_hashmix_isa() != &helix_hashmix_plain) {
        bench_isa("avx512", helix_hashmix_isa());
    }

    bench_polls(helix_hashmix_isa());

    return sink == 42;
}
