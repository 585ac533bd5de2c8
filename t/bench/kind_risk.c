
/*
 * What the full form of montecarlo_risk costs, against plain C and libm.
 *
 *     cc -O3 -std=c11 -D_GNU_SOURCE -ffp-contract=off -Isrc/base \
 *         -Isrc/kinds -It/unit t/bench/kind_risk.c src/base/helix_*.c \
 *         src/kinds/helix_*.c -lm -o /tmp/kind_risk
 *
 * With the argument "job" it prints the job that it measures.  Else rows of
 * "name value target".  CPU time of one thread, medians of REPEATS
 * runs in which what is compared takes turns.  Read the ratios: nanoseconds
 * are those of this machine.
 */

#include <math.h>
#include <time.h>

#include "test_risk.h"


#define REPEATS   9
#define PATHS     65536
#define ASSETS    8
#define OPTIONS   32
#define LOSSES    131072
#define SEEDS     200
#define MAX_GAPS  100000


typedef struct {
    helix_control_t    base;
    double             last;
    uint32_t           n;
    double             gaps[MAX_GAPS];
} gaps_t;


typedef void (*work_pt)(void);


static char    assets[16384];
static char    correlation[65536];
static char    positions[65536];

static double  losses[LOSSES];
static double  copy[LOSSES];
static gaps_t  gaps;
static volatile double  sink;

static risk_job_t  jobs[8];
static uint32_t    seed;


static double
now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);

    return (double) ts.tv_sec * 1e9 + (double) ts.tv_nsec;
}


static int
compare(const void *a, const void *b)
{
    double  x, y;

    x = *(const double *) a;
    y = *(const double *) b;

    return (x > y) - (x < y);
}


/* Medians, in turns. */

static void
measure(const work_pt *works, uint32_t n, double *ns)
{
    double    t, times[4][REPEATS];
    uint32_t  i, k;

    for (k = 0; k < REPEATS; k++) {
        for (i = 0; i < n; i++) {
            t = now();
            works[i]();
            times[i][k] = now() - t;
        }
    }

    for (i = 0; i < n; i++) {
        qsort(times[i], REPEATS, sizeof(double), compare);
        ns[i] = times[i][REPEATS / 2];
    }
}


static void
row(const char *name, double value, const char *unit, const char *target)
{
    printf("%-58s %9.2f %-8s %s\n", name, value, unit, target);
}


/* Strikes, quantities and correlations that are not all alike. */

static double
strike(uint32_t i)
{
    return 80.0 + i % 9 * 5.0;
}


static double
expiry(uint32_t i)
{
    return 0.1 + i % 5 * 0.2;
}


static double
quantity(uint32_t i)
{
    return (i % 3) ? -1.0 - i % 4 : 2.0;
}


static double
vol(uint32_t i)
{
    return 0.15 + 0.03 * i;
}


static void
texts(uint32_t n, uint32_t noptions, uint32_t shift)
{
    char      *p;
    uint32_t   i, k;

    p = assets;

    for (i = 0; i < n; i++) {
        p += snprintf(p, 100, "%c{\"spot\":100,\"vol\":%.3f,\"carry\":0.02}",
                      i ? ',' : '[', i < 8 ? vol(i) : 0.2);
    }

    strcpy(p, "]");
    p = correlation;

    for (i = 0; i < n; i++) {
        for (k = 0; k < n; k++) {
            p += snprintf(p, 16, "%s%s", k ? "," : i ? ",[" : "[[",
                          i == k ? "1" : "0.3");
        }

        p += snprintf(p, 4, "]");
    }

    strcpy(p, "]");
    p = positions;

    for (i = 0; i < noptions; i++) {
        p += snprintf(p, 200, "%c{\"asset\":%u,\"type\":\"%s\",\"quantity\":"
                      "%.1f,\"strike\":%.1f,\"expiry\":%.1f}", i ? ',' : '[',
                      i % n, i % 2 ? "call" : "put",
                      quantity(i) + shift, strike(i), expiry(i));
    }

    strcpy(p, "]");
}


static void
prepare(risk_job_t *job, uint32_t paths, const char *model,
    const char *estimator)
{
    risk_init(job);
    risk_text(job, HELIX_RISK_P_ASSETS, assets);
    risk_text(job, HELIX_RISK_P_CORRELATION, correlation);
    risk_text(job, HELIX_RISK_P_POSITIONS, positions);
    risk_f64(job, HELIX_RISK_P_HORIZON, 10.0 / 252.0);
    risk_f64(job, HELIX_RISK_P_RATE, 0.02);
    risk_u64(job, HELIX_RISK_P_PATHS, paths);
    risk_u64(job, HELIX_RISK_P_SEED, seed);
    risk_text(job, HELIX_RISK_P_MODEL, model);
    risk_text(job, HELIX_RISK_P_ESTIMATOR, estimator);

    if (risk_start(job) != HELIX_DONE) {
        printf("%s\n", job->plan.error);
        exit(1);
    }
}


/* The paths of a job with one instruction set, to the losses. */

static void
drive(helix_risk_job_t *job, const helix_risk_isa_t *isa)
{
    uint32_t  step;

    while (job->phase == HELIX_RISK_PATHS) {
        for (step = 0; step < job->market->steps; step++) {
            job->step = step;
            isa->begin(job->market, job->path, step, job->logs, job->weight);
            isa->pairs(job, 0, job->market->npairs);
        }

        isa->prices(job->logs, job->prices, job->market->nassets);
        isa->linear(job, job->prices);
        isa->payoffs(job, job->prices);
        isa->options(job, job, 0, job->noptions);
        helix_risk_tail_add(job, isa);
    }
}


static void
own(uint32_t n, const char *model, uint32_t steps)
{
    risk_job_t  job;

    prepare(&job, PATHS, model, NULL);
    ((helix_risk_job_t *) job.state)->market->steps = steps;
    drive(job.state, helix_risk_isa_at(n));
    sink = ((helix_risk_job_t *) job.state)->tail.sums[0][0];
    free(job.state);
}


static void own_0(void) { own(0, "full", 1); }
static void own_1(void) { own(1, "full", 1); }
static void own_2(void) { own(2, "full", 1); }
static void own_dg_0(void) { own(0, "delta_gamma", 1); }
static void own_dg_1(void) { own(1, "delta_gamma", 1); }
static void own_dg_2(void) { own(2, "delta_gamma", 1); }
static void own_16(void) { own(0, "delta_gamma", 16); }


static uint64_t
plain_random(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;

    return *s;
}


static void
plain_pair(uint64_t *s, double *z)
{
    double  r, a;

    r = sqrt(-2.0 * log(((double) (plain_random(s) >> 12) + 0.5) * 0x1p-52));
    a = 6.283185307179586 * (double) (plain_random(s) >> 11) * 0x1p-53;
    z[0] = r * cos(a);
    z[1] = r * sin(a);
}


/* A generator as good and as addressable, word by word. */

static void
plain_philox_pair(uint32_t path, uint32_t pair, double *z)
{
    double    r, a;
    uint32_t  i, k0, k1, c0, c1, c2, c3;
    uint64_t  p0, p1;

    c0 = path;
    c1 = 0;
    c2 = pair;
    c3 = 0;
    k0 = seed;
    k1 = 0;

    for (i = 0; i < 10; i++) {
        p0 = (uint64_t) c0 * 0xd2511f53;
        p1 = (uint64_t) c2 * 0xcd9e8d57;
        c0 = (uint32_t) (p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t) p1;
        c2 = (uint32_t) (p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t) p0;
        k0 += 0x9e3779b9;
        k1 += 0xbb67ae85;
    }

    p0 = (uint64_t) c0 << 32 | c1;
    p1 = (uint64_t) c2 << 32 | c3;
    r = sqrt(-2.0 * log(((double) (p0 >> 12) + 0.5) * 0x1p-52));
    a = 6.283185307179586 * (double) (p1 >> 11) * 0x1p-53;
    z[0] = r * cos(a);
    z[1] = r * sin(a);
}


/* With the constants of an option computed once. */

typedef struct {
    double    k, w, c, spot, strike;
    int       put;
} plain_t;

static plain_t  plains[OPTIONS];


static void
plain_prepare(void)
{
    double    t, v;
    uint32_t  i;

    for (i = 0; i < OPTIONS; i++) {
        t = expiry(i) - 10.0 / 252.0;
        v = vol(i % ASSETS);
        plains[i].k = strike(i);
        plains[i].w = v * sqrt(t);
        plains[i].c = (0.02 + v * v / 2.0) * t;
        plains[i].spot = quantity(i);
        plains[i].strike = quantity(i) * strike(i) * exp(-0.02 * t);
        plains[i].put = (i % 2 == 0);
    }
}


static double
plain_option(const plain_t *o, double s)
{
    double  d1, d2, value;

    d1 = (log(s / o->k) + o->c) / o->w;
    d2 = d1 - o->w;
    value = s * o->spot * 0.5 * erfc(-d1 * M_SQRT1_2)
            - o->strike * 0.5 * erfc(-d2 * M_SQRT1_2);

    return o->put ? value - s * o->spot + o->strike : value;
}


/* As a textbook has it: a path at a time, all losses kept. */

static void
plain_paths(uint32_t steps, uint32_t options)
{
    double    x[ASSETS], z[ASSETS], l[ASSETS][ASSETS], sum, h;
    uint32_t  p, i, k, t;

    h = 10.0 / 252.0;

    for (i = 0; i < ASSETS; i++) {
        for (k = 0; k <= i; k++) {
            l[i][k] = (i == k) ? 0.8 : 0.15;
        }
    }

    for (p = 0; p < PATHS / 8; p++) {
        for (i = 0; i < ASSETS; i++) {
            x[i] = log(100.0);
        }

        for (t = 0; t < steps; t++) {
            for (i = 0; i < ASSETS; i += 2) {
                plain_philox_pair(p, t << 16 | i, &z[i]);
            }

            for (i = 0; i < ASSETS; i++) {
                sum = 0.0;

                for (k = 0; k <= i; k++) {
                    sum += l[i][k] * z[k];
                }

                x[i] += (0.02 - vol(i) * vol(i) / 2.0) * h / steps
                        + vol(i) * sqrt(h / steps) * sum;
            }
        }

        sum = 0.0;

        for (i = 0; i < ASSETS; i++) {
            z[i] = exp(x[i]);
            sum += z[i];
        }

        for (i = 0; i < options; i++) {
            sum += plain_option(&plains[i], z[i % ASSETS]);
        }

        losses[p] = sum;
    }

    sink = losses[p - 1];
}


static void plain_full(void) { plain_paths(1, OPTIONS); }
static void plain_path(void) { plain_paths(1, 0); }
static void plain_16(void) { plain_paths(16, 0); }


static void
normals(uint32_t n)
{
    uint32_t           i;
    helix_risk_job_t  *job;

    job = jobs[0].state;

    for (i = 0; i < PATHS / HELIX_RISK_BLOCK; i++) {
        job->path = i * HELIX_RISK_BLOCK;
        helix_risk_isa_at(n)->pairs(job, 0, 1);
    }
}


static void normals_0(void) { normals(0); }
static void normals_1(void) { normals(1); }
static void normals_2(void) { normals(2); }


static void
plain_normals(void)
{
    double    z[2], sum;
    uint32_t  i;

    sum = 0.0;

    for (i = 0; i < PATHS; i++) {
        plain_philox_pair(i, 0, z);
        sum += z[0] + z[1];
    }

    sink = sum;
}


static uint32_t
isas(void)
{
    uint32_t  n;

    for (n = 0; helix_risk_isa_at(n) != NULL; n++) {
        /* void */
    }

    return n;
}


static void
bench_paths(void)
{
    char            name[100];
    double          ns[4];
    uint32_t        i, n;
    const work_pt   work_normals[] = { plain_normals, normals_0, normals_1,
                                       normals_2 };
    const work_pt   work_full[] = { plain_full, own_0, own_1, own_2 };
    const work_pt   work_dg[] = { plain_path, own_dg_0, own_dg_1, own_dg_2 };
    const work_pt   work_16[] = { plain_16, own_16 };

    n = isas();

    texts(2, 1, 0);
    prepare(&jobs[0], PATHS, NULL, NULL);
    measure(work_normals, n + 1, ns);
    free(jobs[0].state);
    row("a normal, Philox and libm", ns[0] / PATHS / 2, "ns", "");

    for (i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "a normal, %s",
                 helix_risk_isa_at(i)->name);
        row(name, ns[i + 1] / PATHS / 2, "ns", "");
        snprintf(name, sizeof(name), "normals, %s / libm",
                 helix_risk_isa_at(i)->name);
        row(name, ns[0] / ns[i + 1], "x", i == 0 && n == 3 ? ">= 15"
                                          : i + 2 == n ? ">= 7" : "");
    }

    texts(ASSETS, OPTIONS, 0);
    plain_prepare();
    measure(work_full, n + 1, ns);
    row("a path, 8 assets and 32 options, libm", ns[0] / PATHS * 8, "ns", "");

    for (i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "a path, 8 assets and 32 options, %s",
                 helix_risk_isa_at(i)->name);
        row(name, ns[i + 1] / PATHS, "ns", "");
        snprintf(name, sizeof(name), "paths of 8 assets and 32 options, %s "
                 "/ libm", helix_risk_isa_at(i)->name);
        row(name, ns[0] * 8 / ns[i + 1], "x", i == 0 && n == 3 ? ">= 10"
                                              : i + 2 == n ? ">= 4.5" : "");
    }

    measure(work_dg, n + 1, ns);

    for (i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "a path, 8 assets, delta-gamma, %s",
                 helix_risk_isa_at(i)->name);
        row(name, ns[i + 1] / PATHS, "ns", "");
    }

    row("paths of 8 assets, delta-gamma / libm without", ns[0] * 8 / ns[1],
        "x", "");
    measure(work_16, 2, ns);
    row("paths of 8 assets and 16 steps / libm", ns[0] * 8 / ns[1], "x", "");
}


static void
tail_sort(void)
{
    memcpy(copy, losses, sizeof(losses));
    qsort(copy, LOSSES, sizeof(double), compare);
    sink = copy[LOSSES / 100 * 99];
}


static double
quickselect(double *v, uint32_t n, uint32_t k)
{
    double    pivot, t;
    uint32_t  i, j, low, high;

    low = 0;
    high = n - 1;

    while (low < high) {
        pivot = v[(low + high) / 2];
        i = low;
        j = high;

        for ( ;; ) {
            while (v[i] < pivot) {
                i++;
            }

            while (v[j] > pivot) {
                j--;
            }

            if (i >= j) {
                break;
            }

            t = v[i];
            v[i++] = v[j];
            v[j--] = t;
        }

        if (k <= j) {
            high = j;

        } else {
            low = j + 1;
        }
    }

    return v[k];
}


static void
tail_quickselect(void)
{
    memcpy(copy, losses, sizeof(losses));
    sink = quickselect(copy, LOSSES, LOSSES / 100 * 99);
}


/* Both levels with their intervals, shortfalls and moments. */

static void
tail_own(void)
{
    helix_risk_job_t      *job;
    const helix_risk_isa_t  *isa;

    isa = helix_risk_isa();
    RISK_KIND->start(NULL, jobs[0].state, &jobs[0].args);
    job = jobs[0].state;

    while (job->phase == HELIX_RISK_PATHS) {
        memcpy(job->value, losses + job->path,
               HELIX_RISK_BLOCK * sizeof(double));
        helix_risk_tail_add(job, isa);
    }

    memset(&job->summary, 0, sizeof(job->summary));

    while (helix_risk_summarize(job, &job->summary) == HELIX_AGAIN) {
        /* void */
    }

    sink = job->summary.quantiles[0].var;
}


static void
bench_tail(void)
{
    double         z[2], ns[3];
    uint32_t       i;
    uint64_t       s;
    const work_pt  works[] = { tail_sort, tail_quickselect, tail_own };

    s = 88172645463325252ULL;

    for (i = 0; i < LOSSES; i += 2) {
        plain_pair(&s, z);
        losses[i] = z[0];
        losses[i + 1] = z[1];
    }

    texts(1, 1, 0);
    prepare(&jobs[0], LOSSES, NULL, NULL);
    measure(works, 3, ns);
    free(jobs[0].state);
    row("a loss, two levels with intervals and moments", ns[2] / LOSSES, "ns",
        "");
    row("tail / quickselect of one quantile", ns[1] / ns[2], "x", ">= 5");
    row("tail / qsort", ns[0] / ns[2], "x", ">= 50");
}


static void
bench_importance(void)
{
    char            name[100];
    double          v, sum[2][4], sum2[2][4], width[2], var[2], t, ns[2];
    uint32_t        i, k, m;
    risk_answer_t   answer;
    const char     *keys[] = { "var", "es" };

    memset(sum, 0, sizeof(sum));
    memset(sum2, 0, sizeof(sum2));
    texts(ASSETS, OPTIONS, 0);
    width[0] = width[1] = 0.0;
    ns[0] = ns[1] = 0.0;

    for (seed = 1; seed <= SEEDS; seed++) {
        for (m = 0; m < 2; m++) {
            prepare(&jobs[0], 4096, NULL, m ? "is" : "plain");
            t = now();
            risk_run(&jobs[0], 0);
            ns[m] += now() - t;
            risk_answer(&jobs[0], &answer);
            free(jobs[0].state);

            for (k = 0; k < 4; k++) {
                v = risk_number(answer.text, k < 2 ? "\"level\":0.95"
                                                   : "\"level\":0.99",
                                keys[k % 2], 0);
                sum[m][k] += v;
                sum2[m][k] += v * v;
            }

            width[m] += risk_number(answer.text, "\"level\":0.95", "var_ci95",
                                    1)
                        - risk_number(answer.text, "\"level\":0.95",
                                      "var_ci95", 0);
        }
    }

    for (k = 0; k < 4; k++) {
        for (m = 0; m < 2; m++) {
            v = sum[m][k] / SEEDS;
            var[m] = sum2[m][k] / SEEDS - v * v;
        }

        snprintf(name, sizeof(name), "importance, fewer paths for the same "
                 "error: %s %s", keys[k % 2], k < 2 ? "95 %" : "99 %");
        row(name, var[0] / var[1], "x", k == 2 ? ">= 10" : "");
    }

    row("importance, width of the 95 % VaR interval with n / 8",
        (width[0] / width[1]) / sqrt(8.0), "x", "");
    row("importance, time of a job of 4096 paths / plain", ns[1] / ns[0], "x",
        "");

    for (i = 0; i < 2; i++) {
        width[i] /= SEEDS;
    }

    seed = 1;
}


static void
batch_single(void)
{
    uint32_t  i;

    for (i = 0; i < 8; i++) {
        RISK_KIND->start(NULL, jobs[i].state, &jobs[i].args);
        risk_run(&jobs[i], 0);
    }
}


static void
batch_together(void)
{
    void            *states[8];
    uint8_t          results[8];
    uint32_t         i;
    risk_control_t   ctl;

    risk_control(&ctl, 0);

    for (i = 0; i < 8; i++) {
        RISK_KIND->start(NULL, jobs[i].state, &jobs[i].args);
        states[i] = jobs[i].state;
        results[i] = HELIX_AGAIN;
    }

    while (RISK_KIND->step_batch(states, results, 8, &ctl.base)
           == HELIX_AGAIN)
    {
        /* void */
    }
}


static void
bench_batch(const char *model, const char *target)
{
    char           name[100], *text;
    double         ns[2];
    uint32_t       i;
    const work_pt  works[] = { batch_single, batch_together };

    for (i = 0; i < 8; i++) {
        texts(ASSETS, OPTIONS, i);
        text = strdup(positions);
        prepare(&jobs[i], PATHS, model, NULL);
        risk_text(&jobs[i], HELIX_RISK_P_POSITIONS, text);
    }

    measure(works, 2, ns);
    snprintf(name, sizeof(name), "batch of 8, 8 assets, %s / singles", model);
    row(name, ns[0] / ns[1], "x", target);

    for (i = 0; i < 8; i++) {
        free(jobs[i].state);
        free((void *) (uintptr_t) jobs[i].values[HELIX_RISK_P_POSITIONS].text);
    }
}


static int
gap(const helix_control_t *ctl)
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


static void
bench_gaps(const char *what, uint32_t n, uint32_t options, uint32_t paths,
    const char *estimator)
{
    char  name[100];

    texts(n, options, 0);
    memset(&gaps, 0, sizeof(gaps));
    gaps.base.size = sizeof(helix_control_t);
    gaps.base.poll = gap;

    while (gaps.n < 2000) {
        prepare(&jobs[0], paths, NULL, estimator);
        gaps.last = now();
        RISK_KIND->step(jobs[0].state, &gaps.base);
        gap(&gaps.base);
        free(jobs[0].state);
    }

    qsort(gaps.gaps, gaps.n, sizeof(double), compare);
    snprintf(name, sizeof(name), "polls, %s: median", what);
    row(name, gaps.gaps[gaps.n / 2] / 1000, "us", "<= 25");
    snprintf(name, sizeof(name), "polls, %s: 99 %%", what);
    row(name, gaps.gaps[gaps.n * 99 / 100] / 1000, "us", "<= 100");
    snprintf(name, sizeof(name), "polls, %s: longest", what);
    row(name, gaps.gaps[gaps.n - 1] / 1000, "us", "");
}


/* How far the work that plan() tells is from the time it takes. */

static double
unit(void)
{
    double  t;

    t = now();
    risk_run(&jobs[0], 0);
    t = now() - t;

    return t / (double) jobs[0].plan.work;
}


static void
bench_unit(const char *what, uint32_t n, uint32_t options, uint32_t dof,
    uint32_t steps, const char *model, const char *estimator)
{
    char         name[100];
    double       ns[REPEATS], seed_form[REPEATS];
    uint32_t     i;
    risk_job_t   plain;

    texts(n, options, 0);

    for (i = 0; i < REPEATS; i++) {
        prepare(&jobs[0], PATHS, model, estimator);
        free(jobs[0].state);
        risk_u64(&jobs[0], HELIX_RISK_P_STUDENT_T, dof);
        risk_u64(&jobs[0], HELIX_RISK_P_STEPS, steps);

        if (risk_start(&jobs[0]) != HELIX_DONE) {
            printf("%s\n", jobs[0].plan.error);
            exit(1);
        }

        ns[i] = unit();
        free(jobs[0].state);

        risk_init(&plain);
        plain.args.values = NULL;
        plain.args.cost = 10000000;
        plain.args.id = i;
        risk_start(&plain);
        seed_form[i] = now();
        risk_run(&plain, 0);
        seed_form[i] = (now() - seed_form[i]) / (double) plain.plan.work;
        free(plain.state);
    }

    qsort(ns, REPEATS, sizeof(double), compare);
    qsort(seed_form, REPEATS, sizeof(double), compare);
    snprintf(name, sizeof(name), "a unit of work, %s / seed's form", what);
    row(name, ns[REPEATS / 2] / seed_form[REPEATS / 2], "x", "1");
}


/* The job of 8 assets and 32 options, for peers. */

static int
print_job(void)
{
    texts(ASSETS, OPTIONS, 0);
    printf("{\"kind\":\"montecarlo_risk\",\"params\":{\"assets\":%s,"
           "\"correlation\":%s,\"positions\":%s,\"rate\":0.02,"
           "\"horizon\":%.17g}}\n", assets, correlation, positions,
           10.0 / 252.0);

    return 0;
}


int
main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "job") == 0) {
        return print_job();
    }

    seed = 1;
    bench_paths();
    bench_tail();
    bench_importance();
    bench_batch("delta_gamma", ">= 3");
    bench_batch("full", "");
    bench_unit("8 assets, 32 options", 8, 32, 0, 1, NULL, NULL);
    bench_unit("8 assets, delta-gamma", 8, 32, 0, 1, "delta_gamma", NULL);
    bench_unit("8 assets, 16 steps, t", 8, 32, 5, 16, "delta_gamma", NULL);
    bench_unit("1 asset, 1 option", 1, 1, 0, 1, NULL, NULL);
    bench_unit("64 assets, 4 steps", 64, 8, 0, 4, NULL, NULL);
    bench_unit("8 assets, 32 options, is", 8, 32, 0, 1, NULL, "is");
    bench_gaps("8 assets, 32 options", 8, 32, 65536, NULL);
    bench_gaps("64 assets, 512 options, is", 64, 512, 65536, "is");
    bench_gaps("1 asset, 4194304 paths", 1, 1, 4194304, NULL);

    return 0;
}
