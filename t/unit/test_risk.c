
/*
 * montecarlo_risk in the full form against closed forms, of which the doubles
 * are in a comment where they are not obvious; the seeds are fixed, 4 standard
 * errors are one chance in 16 000.
 */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "test_risk.h"


#define PATHS     65536
#define SEEDS     200

#define countof(a)  (sizeof(a) / sizeof((a)[0]))

#define ONE_ASSET   "[{\"spot\":100,\"vol\":0.2,\"carry\":0.05}]"
#define TWO_ASSETS  "[{\"spot\":100,\"vol\":0.2,\"carry\":0},"               \
                    "{\"spot\":95,\"vol\":0.3,\"carry\":0}]"
#define LONG_ONE    "[{\"asset\":0,\"type\":\"linear\",\"quantity\":1}]"
#define CALL_100    "[{\"asset\":0,\"type\":\"call\",\"quantity\":1,"        \
                    "\"strike\":100,\"expiry\":1}]"


typedef struct {
    const char  *assets;
    const char  *correlation;
    const char  *positions;
    double       rate;
    double       horizon;
    uint64_t     steps;
    uint64_t     dof;
    const char  *jumps;
    const char  *model;
    const char  *estimator;
    uint64_t     paths;
    uint64_t     seed;
} market_t;


static void
fill(risk_job_t *job, const market_t *m)
{
    risk_init(job);
    risk_text(job, HELIX_RISK_P_ASSETS, m->assets);
    risk_text(job, HELIX_RISK_P_CORRELATION, m->correlation);
    risk_text(job, HELIX_RISK_P_POSITIONS, m->positions);
    risk_f64(job, HELIX_RISK_P_RATE, m->rate);
    risk_f64(job, HELIX_RISK_P_HORIZON, m->horizon);
    risk_u64(job, HELIX_RISK_P_STEPS, m->steps ? m->steps : 1);
    risk_u64(job, HELIX_RISK_P_STUDENT_T, m->dof);
    risk_text(job, HELIX_RISK_P_JUMPS, m->jumps);
    risk_text(job, HELIX_RISK_P_MODEL, m->model);
    risk_text(job, HELIX_RISK_P_ESTIMATOR, m->estimator);
    risk_u64(job, HELIX_RISK_P_PATHS, m->paths ? m->paths : PATHS);
    risk_u64(job, HELIX_RISK_P_SEED, m->seed);
}


static void
solve(const market_t *m, risk_answer_t *answer)
{
    risk_job_t  job;

    fill(&job, m);
    assert_int_equal(risk_start(&job), HELIX_DONE);
    assert_int_equal(risk_run(&job, 0), HELIX_DONE);
    risk_answer(&job, answer);
    assert_false(answer->w.overflow);
    free(job.state);
}


static void
near(double value, double want, double within)
{
    if (!(fabs(value - want) <= within)) {
        print_error("%.17g is not %.17g within %g\n", value, want, within);
        fail();
    }
}


/* Of an estimate with its standard error. */

static void
agrees(const risk_answer_t *a, const char *name, double want)
{
    near(risk_number(a->text, name, "value", 0), want,
         4.0 * risk_number(a->text, name, "se", 0));
}


/* An interval of 95 %, made 2.05 times as wide. */

static void
covers(const risk_answer_t *a, const char *level, const char *name,
    double want)
{
    char    ci[32];
    double  low, high, middle;

    (void) snprintf(ci, sizeof(ci), "%s_ci95", name);
    low = risk_number(a->text, level, ci, 0);
    high = risk_number(a->text, level, ci, 1);
    middle = (low + high) / 2.0;

    assert_true(low < high);
    near(want, middle, 2.05 * (high - middle));

    /* and no interval that says nothing */
    assert_true(high - low < 0.3 * fabs(middle));
}


static double
black_scholes(double s, double k, double r, double b, double v, double t)
{
    double  d1, d2;

    d1 = (log(s / k) + (b + v * v / 2.0) * t) / (v * sqrt(t));
    d2 = d1 - v * sqrt(t);

    return s * exp((b - r) * t) * 0.5 * erfc(-d1 * M_SQRT1_2)
           - k * exp(-r * t) * 0.5 * erfc(-d2 * M_SQRT1_2);
}


static void
test_philox(void **unused)
{
    size_t    i;
    uint64_t  keys[20];
    uint32_t  c[4];

    static const uint32_t  vectors[][10] = {
        { 0, 0, 0, 0, 0, 0,
          0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 },
        { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff,
          0xffffffff, 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd },
        { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822,
          0x299f31d0, 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 }
    };

    (void) unused;

    for (i = 0; i < countof(vectors); i++) {
        helix_risk_philox_keys(keys, vectors[i][4]
                                     | (uint64_t) vectors[i][5] << 32);
        memcpy(c, vectors[i], sizeof(c));
        helix_risk_philox(c, keys);
        assert_memory_equal(c, &vectors[i][6], sizeof(c));
    }
}


static void
test_functions(void **unused)
{
    double  x;

    (void) unused;

    for (x = -700.0; x < 700.0; x += 0.37) {
        near(helix_risk_exp(x) / exp(x), 1.0, 3e-14);
    }

    for (x = 1e-300; x < 1e300; x *= 1.37) {
        near(helix_risk_log(x), log(x), 1e-15 + 4e-16 * fabs(log(x)));
    }

    for (x = 0.3; x < 3.0; x += 0.0007) {
        near(helix_risk_log(x), log(x), 4e-16);
    }

    for (x = -9.0; x < 9.0; x += 0.0037) {
        near(helix_risk_normal(x) / (0.5 * erfc(-x * M_SQRT1_2)), 1.0, 3e-11);
    }

    near(helix_risk_normal(-40.0), 0.0, 1e-300);
    near(helix_risk_normal(40.0), 1.0, 0.0);

    near(helix_risk_normal_quantile(0.95), 1.6448536269514715, 1e-9);
    near(helix_risk_normal_quantile(0.999), 3.090232306167813, 1e-9);
    near(helix_risk_normal_quantile(0.9999), 3.719016485455709, 1e-8);
    near(helix_risk_normal_quantile(0.5), 0.0, 1e-9);

    /* tables of Student's t */
    near(helix_risk_student_quantile(9.0), 2.262157, 2e-4);
    near(helix_risk_student_quantile(30.0), 2.042272, 2e-6);
    near(helix_risk_student_quantile(1e6), 1.959966, 1e-6);
}


static int
compare(const void *a, const void *b)
{
    double  x, y;

    x = *(const double *) a;
    y = *(const double *) b;

    return (x > y) - (x < y);
}


/* Kolmogorov's distance; 1.95 is exceeded once in a thousand. */

static void
test_normals(void **unused)
{
    double                   d, f, *z;
    size_t                   n;
    uint32_t                 i;
    market_t                 m = { TWO_ASSETS, NULL, LONG_ONE, 0, 1.0, 0, 0,
                                   NULL, NULL, NULL, 0, 7 };
    risk_job_t               job;
    helix_risk_job_t        *risk;
    const helix_risk_isa_t  *isa;

    (void) unused;

    fill(&job, &m);
    assert_int_equal(risk_start(&job), HELIX_DONE);
    risk = job.state;
    isa = helix_risk_isa();
    z = malloc(2 * PATHS * sizeof(double));

    for (n = 0; n < 2 * PATHS; n += 2 * HELIX_RISK_BLOCK) {
        isa->begin(risk->market, risk->path, 0, risk->logs, risk->weight);
        isa->pairs(risk, 0, 1);
        risk->path += HELIX_RISK_BLOCK;

        for (i = 0; i < HELIX_RISK_BLOCK; i++) {
            z[n + 2 * i] = (risk->logs[i] - log(100.0) + 0.02) / 0.2;
            z[n + 2 * i + 1] = (risk->logs[HELIX_RISK_BLOCK + i] - log(95.0)
                                + 0.045) / 0.3;
        }
    }

    qsort(z, 2 * PATHS, sizeof(double), compare);
    d = 0.0;

    for (n = 0; n < 2 * PATHS; n++) {
        f = 0.5 * erfc(-z[n] * M_SQRT1_2);
        d = fmax(d, fabs(f - ((double) n + 0.5) / (2 * PATHS)));
    }

    assert_true(d * sqrt(2 * PATHS) < 1.95);
    assert_true(z[0] > -8.6 && z[2 * PATHS - 1] < 8.6);

    free(z);
    free(job.state);
}


static void
test_lognormal(void **unused)
{
    uint32_t       i;
    market_t       m = { "[{\"spot\":100,\"vol\":0.25,\"carry\":0.08}]", NULL,
                         LONG_ONE, 0, 10.0 / 252.0, 0, 0, NULL, NULL, NULL,
                         0, 11 };
    risk_answer_t  a;

    (void) unused;

    for (i = 0; i < 3; i++) {
        m.estimator = (i == 1) ? "is" : "plain";
        m.steps = (i == 2) ? 7 : 1;
        solve(&m, &a);

        agrees(&a, "\"mean\"", 100.0 - 100.0 * exp(0.08 * m.horizon));
        agrees(&a, "\"variance\"", 1e4 * exp(0.16 * m.horizon)
                                   * expm1(0.0625 * m.horizon));
        covers(&a, "0.95", "var", 7.686625046268103);
        covers(&a, "0.95", "es", 9.572462370119405);
        covers(&a, "0.99", "var", 10.767099386946876);
        covers(&a, "0.99", "es", 12.249901418506038);
    }
}


/* Values of today, and of tomorrow as a martingale. */

static void
test_options(void **unused)
{
    double         call, put;
    market_t       m = { ONE_ASSET, NULL, NULL, 0.05, 0.25, 0, 0, NULL, NULL,
                         NULL, 0, 3 };
    risk_answer_t  a;

    (void) unused;

    m.positions = CALL_100;
    solve(&m, &a);
    call = 10.450583572185565;
    near(risk_number(a.text, NULL, "value", 0), call, 1e-8);
    agrees(&a, "\"mean\"", call - call * exp(0.05 * 0.25));

    m.positions = "[{\"asset\":0,\"type\":\"put\",\"quantity\":-3,"
                  "\"strike\":100,\"expiry\":1}]";
    solve(&m, &a);
    put = 5.573526022256971;
    near(risk_number(a.text, NULL, "value", 0), -3.0 * put, 1e-8);
    agrees(&a, "\"mean\"", -3.0 * (put - put * exp(0.05 * 0.25)));

    /* Hull's example, at its expiry */
    m.assets = "[{\"spot\":42,\"vol\":0.2,\"carry\":0.1}]";
    m.rate = 0.1;
    m.horizon = 0.5;
    m.positions = "[{\"asset\":0,\"type\":\"call\",\"quantity\":1,"
                  "\"strike\":40,\"expiry\":0.5}]";
    solve(&m, &a);
    call = 4.759422392871535;
    near(risk_number(a.text, NULL, "value", 0), call, 1e-8);
    agrees(&a, "\"mean\"", call - call * exp(0.05));

    m.positions = "[{\"asset\":0,\"type\":\"put\",\"quantity\":1,"
                  "\"strike\":40,\"expiry\":0.5}]";
    solve(&m, &a);
    put = 0.8085993729000975;
    near(risk_number(a.text, NULL, "value", 0), put, 1e-8);
    agrees(&a, "\"mean\"", put - put * exp(0.05));

    /* a dividend of 3 %, and a rate of its own; deep in and out */
    m.assets = "[{\"spot\":100,\"vol\":0.3,\"carry\":0.02}]";
    m.positions = "[{\"asset\":0,\"type\":\"call\",\"quantity\":1,"
                  "\"strike\":90,\"expiry\":2,\"rate\":0.05},"
                  "{\"asset\":0,\"type\":\"call\",\"quantity\":1,"
                  "\"strike\":0.01,\"expiry\":2,\"rate\":0.05},"
                  "{\"asset\":0,\"type\":\"call\",\"quantity\":1,"
                  "\"strike\":10000,\"expiry\":0.6,\"rate\":0.05}]";
    solve(&m, &a);
    call = black_scholes(100, 90, 0.05, 0.02, 0.3, 2)
           + 100 * exp(-0.06) - 0.01 * exp(-0.1);
    near(risk_number(a.text, NULL, "value", 0), call, 1e-8);
    agrees(&a, "\"mean\"", call - call * exp(0.05 * 0.5));
}


/* Of a spread, which tells the correlation; and a factor of rank 1. */

static void
test_correlation(void **unused)
{
    double         v;
    market_t       m = { TWO_ASSETS, "[[1,0.5],[0.5,1]]", NULL, 0, 1.0, 0, 0,
                         NULL, NULL, NULL, 0, 5 };
    risk_answer_t  a;

    (void) unused;

    m.positions = "[{\"asset\":0,\"type\":\"linear\",\"quantity\":1},"
                  "{\"asset\":1,\"type\":\"linear\",\"quantity\":-1}]";

    solve(&m, &a);
    v = 1e4 * expm1(0.04) + 95 * 95 * expm1(0.09)
        - 2 * 9500 * expm1(0.5 * 0.2 * 0.3);
    agrees(&a, "\"mean\"", 0.0);
    agrees(&a, "\"variance\"", v);

    m.correlation = "[[1,1],[1,1]]";
    solve(&m, &a);
    v = 1e4 * expm1(0.04) + 95 * 95 * expm1(0.09) - 2 * 9500 * expm1(0.06);
    agrees(&a, "\"variance\"", v);

    m.correlation = "[[1,-1],[-1,1]]";
    solve(&m, &a);
    v = 1e4 * expm1(0.04) + 95 * 95 * expm1(0.09) - 2 * 9500 * expm1(-0.06);
    agrees(&a, "\"variance\"", v);
}


/* The law of the logarithm has the variance of the normal; and t of 5 degrees,
   with an odd number of normals in it. */

static void
test_student(void **unused)
{
    double         move;
    market_t       m = { "[{\"spot\":100,\"vol\":0.2,\"carry\":0.02}]", NULL,
                         LONG_ONE, 0, 0.04, 0, 4, NULL, NULL, NULL, 0, 9 };
    risk_answer_t  a;

    (void) unused;

    solve(&m, &a);
    move = 0.04 * sqrt(2.0 / 4.0);
    covers(&a, "0.95", "var", 100 - 100 * exp(-move * 2.1318467863266495));
    covers(&a, "0.99", "var", 100 - 100 * exp(-move * 3.746947387979196));

    m.dof = 5;
    solve(&m, &a);
    move = 0.04 * sqrt(3.0 / 5.0);
    covers(&a, "0.95", "var", 100 - 100 * exp(-move * 2.015048372669157));
    covers(&a, "0.99", "var", 100 - 100 * exp(-move * 3.364929998907214));

    /* towards the normal */
    m.dof = 64;
    solve(&m, &a);
    move = 0.04 * sqrt(62.0 / 64.0);
    covers(&a, "0.99", "var", 100 - 100 * exp(-move * 2.386037));
}


static void
test_jumps(void **unused)
{
    double         price;
    market_t       m = { ONE_ASSET, NULL, CALL_100, 0.05, 1.0, 0, 0,
                         "{\"rate\":1,\"mean\":-0.1,\"sd\":0.15}", NULL, NULL,
                         0, 13 };
    risk_answer_t  a;

    (void) unused;

    /* Merton's series; today's value is that without jumps */
    price = 12.761288593628754;
    solve(&m, &a);
    agrees(&a, "\"mean\"", 10.450583572185565 - price * exp(0.05));

    m.steps = 4;
    solve(&m, &a);
    agrees(&a, "\"mean\"", 10.450583572185565 - price * exp(0.05));

    m.positions = LONG_ONE;
    solve(&m, &a);
    agrees(&a, "\"mean\"", 100.0 - 100.0 * exp(0.05));
}


/* A quadratic of a price: moments of a lognormal. */

static void
test_delta_gamma(void **unused)
{
    double         h, e1, e2, e3, e4, delta, gamma, theta, mean, second, d;
    market_t       m = { ONE_ASSET, NULL, CALL_100, 0.05, 0.1, 0, 0, NULL,
                         "delta_gamma", NULL, 0, 17 };
    risk_answer_t  a;

    (void) unused;

    d = 0.35;      /* d1 */
    delta = 0.5 * erfc(-d * M_SQRT1_2);
    gamma = exp(-d * d / 2) / sqrt(2 * M_PI) / 20.0;
    theta = -gamma * 1e4 * 0.04 / 2
            - 0.05 * 100 * exp(-0.05) * 0.5 * erfc(-0.15 * M_SQRT1_2);

    solve(&m, &a);

    /* E(S - 100)^k, from E(S / 100)^k = exp(k b H + k (k - 1) v^2 H / 2) */
    h = m.horizon;
    e1 = exp(0.05 * h);
    e2 = exp(2 * 0.05 * h + 0.04 * h);
    e3 = exp(3 * 0.05 * h + 3 * 0.04 * h);
    e4 = exp(4 * 0.05 * h + 6 * 0.04 * h);

    mean = theta * h + delta * 100 * (e1 - 1)
           + gamma / 2 * 1e4 * (e2 - 2 * e1 + 1);
    second = delta * delta * 1e4 * (e2 - 2 * e1 + 1)
             + delta * gamma * 1e6 * (e3 - 3 * e2 + 3 * e1 - 1)
             + gamma * gamma / 4 * 1e8 * (e4 - 4 * e3 + 6 * e2 - 4 * e1 + 1);

    agrees(&a, "\"mean\"", -mean);
    agrees(&a, "\"variance\"", second - (mean - theta * h)
                                        * (mean - theta * h));
}


/* Near the simulation where the quadratic form is near the truth. */

static void
test_closed(void **unused)
{
    double         var, es;
    market_t       m = { TWO_ASSETS, "[[1,0.5],[0.5,1]]", NULL, 0, 0.02, 0, 0,
                         NULL, NULL, NULL, 262144, 19 };
    risk_job_t     job;
    risk_answer_t  a, closed;

    (void) unused;

    m.positions = "[{\"asset\":0,\"type\":\"call\",\"quantity\":-2,"
                  "\"strike\":100,\"expiry\":0.5},"
                  "{\"asset\":1,\"type\":\"put\",\"quantity\":-1,"
                  "\"strike\":90,\"expiry\":0.5}]";
    solve(&m, &a);

    fill(&job, &m);
    assert_int_equal(risk_plan(&job), HELIX_DONE);
    job.args.level = job.plan.nlevels;
    assert_int_equal(job.plan.levels[job.plan.nlevels - 1].name,
                     HELIX_RISK_CLOSED_FORM);
    assert_int_equal(risk_start(&job), HELIX_DONE);
    assert_int_equal(risk_run(&job, 1), HELIX_DONE);
    risk_answer(&job, &closed);
    free(job.state);

    assert_non_null(strstr(closed.text, "\"dg_closed\""));
    var = risk_number(a.text, "0.99", "var", 0);
    es = risk_number(a.text, "0.99", "es", 0);
    near(risk_number(closed.text, "0.99", "var", 0), var, 0.05 * var);
    near(risk_number(closed.text, "0.99", "es", 0), es, 0.06 * es);
    near(risk_number(closed.text, "\"mean\"", "value", 0),
         risk_number(a.text, "\"mean\"", "value", 0),
         0.02 * sqrt(risk_number(a.text, "\"variance\"", "value", 0)));
}


/* How often the intervals hold the truth. */

static void
coverage(const char *estimator, uint32_t paths, double least, double most)
{
    uint32_t       k, hits[4] = { 0, 0, 0, 0 };
    market_t       m = { "[{\"spot\":100,\"vol\":0.25,\"carry\":0.08}]", NULL,
                         LONG_ONE, 0, 10.0 / 252.0, 0, 0, NULL, NULL,
                         estimator, paths, 0 };
    const char    *level;
    risk_answer_t  a;

    static const char *const  names[] = { "var_ci95", "es_ci95" };
    static const double       truth[] = { 7.686625046268103,
                                          9.572462370119405,
                                          10.767099386946876,
                                          12.249901418506038 };

    for (m.seed = 1; m.seed <= SEEDS; m.seed++) {
        solve(&m, &a);

        for (k = 0; k < 4; k++) {
            level = (k < 2) ? "0.95" : "0.99";
            hits[k] += (risk_number(a.text, level, names[k % 2], 0)
                        <= truth[k]
                        && truth[k] <= risk_number(a.text, level,
                                                   names[k % 2], 1));
        }
    }

    for (k = 0; k < 4; k++) {
        if (hits[k] < least * SEEDS || hits[k] > most * SEEDS) {
            print_error("%s %u: %u of %u\n", estimator, k, hits[k], SEEDS);
            fail();
        }
    }
}


static void
test_coverage(void **unused)
{
    (void) unused;

    coverage("plain", 8192, 0.90, 0.99);
    coverage("is", 4096, 0.90, 1.0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_philox),
        cmocka_unit_test(test_functions),
        cmocka_unit_test(test_normals),
        cmocka_unit_test(test_lognormal),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_correlation),
        cmocka_unit_test(test_student),
        cmocka_unit_test(test_jumps),
        cmocka_unit_test(test_delta_gamma),
        cmocka_unit_test(test_closed),
        cmocka_unit_test(test_coverage)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
