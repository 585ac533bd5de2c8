
/*
 * score: what a row costs, what batches gain, OpenBLAS, and the polls.
 *
 *     cc -std=c11 -D_GNU_SOURCE -O2 -Isrc/base -Isrc/kinds -It/unit
 *         t/bench/kind_score.c build/debian/addon/kinds/libhelix_kinds.a
 *         src/base/helix_*.c -lopenblas -lm
 *     ./a.out [--quick]
 *
 * Models of three layers of h by h, relu.  CPU time of one thread, medians of
 * runs that take turns; a job is started before its time counts.  Without
 * libopenblas-dev: without its rows, and without the library.  OpenBLAS does
 * the three products only; it knows its kernels by OPENBLAS_CORETYPE, as in
 * OPENBLAS_CORETYPE=SkylakeX, if it does not know the processor.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "helix_score.h"
#include "score_file.h"

#if __has_include(<cblas.h>)
#include <cblas.h>
#define HAVE_OPENBLAS
#endif


#define REPEATS   21
#define ROWS      64
#define MAX_H     1024
#define MAX_GAPS  100000


typedef struct {
    helix_control_t          base;
    double                   last;
    uint32_t                 n;
    double                   gaps[MAX_GAPS];
} gaps_t;


/* Sixty-four rows: "batch" jobs at a time, or all of them OpenBLAS's. */

typedef struct {
    uint32_t                 batch;
    int                      blas;
    const helix_control_t   *ctl;
} way_t;


static uint32_t              repeats = REPEATS;
static score_net_t           net;
static helix_score_model_t  *model;
static void                 *states[ROWS];
static float                 features[ROWS][MAX_H];
static float                 blas_x[ROWS * MAX_H], blas_y[ROWS * MAX_H];
static gaps_t                gaps;
static double                sink;


static double
now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);

    return (double) ts.tv_sec * 1e9 + (double) ts.tv_nsec;
}


static int
poll_never(const helix_control_t *ctl)
{
    return ctl == NULL;
}


/* As the host does it: a load and a clock. */

static int
poll_clock(const helix_control_t *ctl)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return ctl == NULL || ts.tv_sec == 0;
}


static int
poll_gap(const helix_control_t *ctl)
{
    double   t;
    gaps_t  *g;

    g = (gaps_t *) ctl;
    t = now();

    if (g->n < MAX_GAPS) {
        g->gaps[g->n++] = t - g->last;
    }

    g->last = now();

    return 0;
}


static const helix_control_t  never = {
    sizeof(helix_control_t), poll_never, NULL
};

static const helix_control_t  with_clock = {
    sizeof(helix_control_t), poll_clock, NULL
};


static int
compare_double(const void *a, const void *b)
{
    double  x, y;

    x = *(const double *) a;
    y = *(const double *) b;

    return (x > y) - (x < y);
}


static void
out_f64(helix_output_t *out, double value)
{
    (void) out;
    sink += value;
}


static void
request(helix_args_t *args, helix_value_t *values, const void *body,
    size_t len)
{
    memset(args, 0, sizeof(helix_args_t));
    memset(values, 0, 2 * sizeof(helix_value_t));
    args->size = sizeof(helix_args_t);
    args->values = values;
    args->body = body;
    args->body_len = len;
}


static void
setup(uint32_t h, const char *activation)
{
    uint32_t       i, k;
    uint64_t       seed;
    helix_args_t   args;
    helix_plan_t   plan;
    helix_value_t  values[2];

    if (model) {
        helix_kind_score.destroy(model);
        score_net_free(&net);
    }

    seed = 1;
    memset(&net, 0, sizeof(net));
    net.nlayers = 3;
    net.activation = activation;
    net.output = "identity";

    for (i = 0; i < 4; i++) {
        net.widths[i] = h;
    }

    score_net_fill(&net, &seed);
    model = score_configure(&net);

    for (i = 0; i < ROWS; i++) {
        for (k = 0; k < h; k++) {
            features[i][k] = score_random_float(&seed);
            blas_x[i * h + k] = features[i][k];
        }

        request(&args, values, features[i], h * sizeof(float));
        memset(&plan, 0, sizeof(plan));
        plan.size = sizeof(plan);
        (void) helix_kind_score.plan(model, &args, &plan);

        free(states[i]);
        states[i] = aligned_alloc(64, (plan.memory + 63) / 64 * 64);
    }
}


#ifdef HAVE_OPENBLAS

static void
run_blas(uint32_t batch)
{
    int        h;
    float     *x, *y, *swap;
    uint32_t   i, l;

    h = (int) net.widths[0];

    for (i = 0; i < ROWS; i += batch) {
        x = blas_x + i * net.widths[0];
        y = blas_y + i * net.widths[0];

        for (l = 0; l < 3; l++) {

            if (batch == 1) {
                cblas_sgemv(CblasRowMajor, CblasNoTrans, h, h, 1,
                            net.weights[l], h, x, 1, 0, y, 1);

            } else {
                cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans,
                            (int) batch, h, h, 1, x, h, net.weights[l], h, 0,
                            y, h);
            }

            /* the third product is of the second's input: no underflow */

            swap = x;
            x = (l == 0) ? y : x;
            y = (l == 0) ? swap : y;
        }
    }
}

#endif


/* ns of sixty-four rows. */

static double
run(const way_t *way)
{
    double         t;
    uint8_t        results[ROWS];
    uint32_t       i;
    helix_args_t   args;
    helix_value_t  values[2];

    for (i = 0; i < ROWS; i++) {
        request(&args, values, features[i], net.widths[0] * sizeof(float));
        helix_kind_score.start(model, states[i], &args);
        results[i] = HELIX_AGAIN;
    }

    t = now();
    gaps.last = t;

#ifdef HAVE_OPENBLAS

    if (way->blas) {
        run_blas(way->batch);
        return now() - t;
    }

#endif

    for (i = 0; i < ROWS; i += way->batch) {

        while (way->batch == 1
               ? helix_kind_score.step(states[i], way->ctl) == HELIX_AGAIN
               : helix_kind_score.step_batch(states + i, results + i,
                                             way->batch, way->ctl)
                 == HELIX_AGAIN)
        {
            /* void */
        }
    }

    return now() - t;
}


/* Medians, us a row. */

static void
measure(const way_t *ways, uint32_t n, double *us)
{
    double    times[8][REPEATS];
    uint32_t  i, k, j, loops;

    loops = 1 + 2000000 / (net.widths[0] * net.widths[0] * ROWS);

    for (k = 0; k < repeats; k++) {
        for (i = 0; i < n; i++) {
            times[i][k] = 0;

            for (j = 0; j < loops; j++) {
                times[i][k] += run(&ways[i]);
            }
        }
    }

    for (i = 0; i < n; i++) {
        qsort(times[i], repeats, sizeof(double), compare_double);
        us[i] = times[i][repeats / 2] / loops / ROWS / 1e3;
    }
}


static void
row(const char *isa, uint32_t h, const char *what, double value,
    const char *unit, const char *target)
{
    char  text[80];

    (void) snprintf(text, sizeof(text), "%s, h = %u: %s", isa, h, what);
    printf("%-52s %8.2f %-3s%s\n", text, value, unit, target);
}


static void
report_batches(const helix_score_isa_t *isa, uint32_t h)
{
    char         text[40];
    double       us[6], weights;
    uint32_t     i;
    const way_t  ways[6] = {
        { 1, 0, &never }, { 2, 0, &never }, { 4, 0, &never },
        { 8, 0, &never }, { 16, 0, &never }, { 64, 0, &never }
    };

    model->isa = isa;
    measure(ways, 6, us);

    row(isa->name, h, "a row alone", us[0], "us", "");

    for (i = 1; i < 6; i++) {
        (void) snprintf(text, sizeof(text), "gain of a batch of %u",
                        ways[i].batch);
        row(isa->name, h, text, us[0] / us[i], "x",
            ways[i].batch == 8 && h >= 256 ? ">= 3.5" : "");
    }

    weights = 3.0 * h * h;
    row(isa->name, h, "floating point, alone", 2 * weights / us[0] / 1e3,
        "GF/s", "");
    row(isa->name, h, "floating point, 64 rows", 2 * weights / us[5] / 1e3,
        "GF/s", "");
}


#ifdef HAVE_OPENBLAS

static void
report_blas(uint32_t h)
{
    double       us[4];
    const way_t  ways[4] = {
        { 1, 0, &never }, { 1, 1, NULL }, { 8, 0, &never }, { 8, 1, NULL }
    };

    measure(ways, 4, us);

    row(model->isa->name, h, "against sgemv, a row alone", us[1] / us[0],
        "x", "");
    row(model->isa->name, h, "against sgemm, 8 rows", us[3] / us[2], "x",
        h >= 256 ? ">= 3" : "");
}

#endif


static void
report_polls(uint32_t h, uint32_t batch)
{
    char         text[40];
    double       us[2];
    const way_t  ways[2] = {
        { batch, 0, &never }, { batch, 0, &with_clock }
    };
    const way_t  gap = { batch, 0, &gaps.base };

    measure(ways, 2, us);

    gaps.base.size = sizeof(helix_control_t);
    gaps.base.poll = poll_gap;
    gaps.n = 0;

    do {
        (void) run(&gap);
    } while (gaps.n != 0 && gaps.n < 5000);

    (void) snprintf(text, sizeof(text), "polls: their share, batch of %u",
                    batch);
    row(model->isa->name, h, text, (us[1] / us[0] - 1) * 100, "%", "<= 0.5");

    if (gaps.n == 0) {
        return;
    }

    qsort(gaps.gaps, gaps.n, sizeof(double), compare_double);
    (void) snprintf(text, sizeof(text), "polls: median gap, batch of %u",
                    batch);
    row(model->isa->name, h, text, gaps.gaps[gaps.n / 2] / 1e3, "us", "");
    (void) snprintf(text, sizeof(text), "polls: p99 of gaps, batch of %u",
                    batch);
    row(model->isa->name, h, text, gaps.gaps[gaps.n * 99 / 100] / 1e3, "us",
        "<= 25");
}


/* What a job is declared to be, and what it is. */

static void
report_work(uint32_t h, const char *activation)
{
    char           text[40];
    double         us[2];
    helix_args_t   args;
    helix_plan_t   plan;
    helix_value_t  values[2];
    const way_t    ways[2] = { { 1, 0, &never }, { 64, 0, &never } };

    setup(h, activation);
    measure(ways, 2, us);

    request(&args, values, features, h * sizeof(float));
    memset(&plan, 0, sizeof(plan));
    plan.size = sizeof(plan);
    (void) helix_kind_score.plan(model, &args, &plan);

    (void) snprintf(text, sizeof(text), "%s, a unit, alone", activation);
    row(model->isa->name, h, text, us[0] * 1e3 / (double) plan.work, "ns",
        "");

    request(&args, values, blas_x, ROWS * h * sizeof(float));
    (void) helix_kind_score.plan(model, &args, &plan);

    (void) snprintf(text, sizeof(text), "%s, a unit, 64 rows", activation);
    row(model->isa->name, h, text,
        us[1] * 1e3 * ROWS / (double) plan.work, "ns", "");
}


/* plan() and start(), then finish(): the event loop's share of a row. */

static void
report_loop(uint32_t h, int json)
{
    char            text[MAX_H * 16], *p;
    double          t, in[REPEATS], out[REPEATS];
    uint32_t        i, k;
    helix_args_t    args;
    helix_plan_t    plan;
    helix_value_t   values[2];
    helix_output_t  output;

    p = text;

    for (i = 0; i < h; i++) {
        p += snprintf(p, 16, "%c%.6f", i ? ',' : '[',
                      (double) features[0][i]);
    }

    *p++ = ']';

    request(&args, values, json ? NULL : features[0], h * sizeof(float));
    values[0].given = (uint32_t) json;
    values[0].text = text;
    values[0].len = (uint32_t) (p - text);

    memset(&output, 0, sizeof(output));
    output.size = sizeof(output);
    output.f64 = out_f64;

    for (k = 0; k < repeats; k++) {
        in[k] = now();

        for (i = 0; i < 50; i++) {
            memset(&plan, 0, sizeof(plan));
            plan.size = sizeof(plan);
            (void) helix_kind_score.plan(model, &args, &plan);
            helix_kind_score.start(model, states[0], &args);
        }

        in[k] = now() - in[k];

        while (helix_kind_score.step(states[0], &never) == HELIX_AGAIN) {
            /* void */
        }

        t = now();

        for (i = 0; i < 50; i++) {
            helix_kind_score.finish(states[0], &output);
        }

        out[k] = now() - t;
    }

    qsort(in, repeats, sizeof(double), compare_double);
    qsort(out, repeats, sizeof(double), compare_double);

    row("loop", h, json ? "plan and start, JSON" : "plan and start, body",
        in[repeats / 2] / 50e3, "us", "");
    row("loop", h, "finish, without the text", out[repeats / 2] / 50e3, "us",
        "");
}


int
main(int argc, char **argv)
{
    uint32_t                  i, k;
    const helix_score_isa_t  *isa;
    static const uint32_t     widths[] = { 64, 256, 512, 1024 };

    if (argc > 1 && strcmp(argv[1], "--quick") == 0) {
        repeats = 3;
    }

#ifdef HAVE_OPENBLAS
    openblas_set_num_threads(1);
    printf("OpenBLAS's kernels are those for %s\n", openblas_get_corename());
#endif

    printf("%-52s %8s    %s\n", "row", "value", "target");

    for (i = 0; i < 4; i++) {
        setup(widths[i], "relu");

        /* the plain one is measured where it does not take for ever */

        for (k = 0; (isa = helix_score_isa(k)) != NULL; k++) {
            if (isa != &helix_score_plain || i < 2) {
                report_batches(isa, widths[i]);
            }
        }

        model->isa = helix_score_isa(0);

#ifdef HAVE_OPENBLAS
        report_blas(widths[i]);
#endif

        if (widths[i] >= 256) {
            report_polls(widths[i], 1);
            report_polls(widths[i], 8);
            report_polls(widths[i], 64);
        }

        report_loop(widths[i], 1);
        report_loop(widths[i], 0);
    }

    for (i = 0; i < 4; i++) {
        report_work(widths[i], "relu");
        report_work(widths[i], "gelu");
    }

    return sink == 0.5;
}
