
/*
 * montecarlo_risk in the full form: that slicing, truncation, batching,
 * leaving and the instruction set change no bit of an answer; what is kept of
 * the losses; and what is refused.
 */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "test_risk.h"


#define MAX_JOBS  24

#define countof(a)  (sizeof(a) / sizeof((a)[0]))


static const char *const  portfolios[] = {
    "[{\"asset\":0,\"type\":\"call\",\"quantity\":-5,\"strike\":105,"
    "\"expiry\":0.5},{\"asset\":1,\"type\":\"put\",\"quantity\":-3,"
    "\"strike\":45,\"expiry\":0.25},{\"asset\":2,\"type\":\"linear\","
    "\"quantity\":7},{\"asset\":0,\"type\":\"put\",\"quantity\":2,"
    "\"strike\":95,\"expiry\":0.04}]",

    "[{\"asset\":2,\"type\":\"linear\",\"quantity\":-1},"
    "{\"asset\":1,\"type\":\"linear\",\"quantity\":4}]",

    "[{\"asset\":1,\"type\":\"call\",\"quantity\":1,\"strike\":50,"
    "\"expiry\":1,\"rate\":0.01}]"
};

static const char  assets[] =
    "[{\"spot\":100,\"vol\":0.2,\"carry\":0.01},"
    "{\"spot\":50,\"vol\":0.35},{\"spot\":20,\"vol\":0.5,\"carry\":-0.02}]";

static const char  correlation[] = "[[1,0.4,0.2],[0.4,1,-0.3],[0.2,-0.3,1]]";
static const char  jumps[] = "{\"rate\":2,\"mean\":-0.05,\"sd\":0.1}";


/* The k-th of jobs that have something of everything. */

static void
fill(risk_job_t *job, uint32_t k)
{
    risk_init(job);

    if (k % 8 == 7) {
        job->args.values = NULL;
        job->args.id = k;
        job->args.cost = 1000000 + 400000 * k;
        return;
    }

    risk_text(job, HELIX_RISK_P_ASSETS, assets);
    risk_text(job, HELIX_RISK_P_CORRELATION, correlation);
    risk_text(job, HELIX_RISK_P_POSITIONS, portfolios[k % 3]);
    risk_f64(job, HELIX_RISK_P_HORIZON, 0.04);
    risk_f64(job, HELIX_RISK_P_RATE, 0.03);
    risk_u64(job, HELIX_RISK_P_PATHS, 4096 + 1000 * (k % 5) * (k % 5));
    risk_u64(job, HELIX_RISK_P_SEED, k % 6 / 5);
    risk_text(job, HELIX_RISK_P_MODEL, k % 4 == 1 ? "delta_gamma" : NULL);

    switch (k % 8) {

    case 3:
        risk_text(job, HELIX_RISK_P_ESTIMATOR, "is");
        break;

    case 4:
        risk_u64(job, HELIX_RISK_P_STUDENT_T, 5);
        risk_u64(job, HELIX_RISK_P_STEPS, 3);
        break;

    case 5:
        risk_text(job, HELIX_RISK_P_JUMPS, jumps);
        risk_u64(job, HELIX_RISK_P_STEPS, 2);
        risk_text(job, HELIX_RISK_P_LEVELS, "[0.5,0.9,0.999]");
        break;

    default:
        break;
    }
}


static void
near_one(double value, double want)
{
    assert_true(fabs(value - want) < 1e-6);
}


static void
answer_of(const risk_job_t *job, char *text)
{
    risk_answer_t  a;

    risk_answer(job, &a);
    assert_false(a.w.overflow);
    assert_true(strlen(a.text) > 0 && strlen(a.text) < 4096);
    strcpy(text, a.text);
}


static void
solve(uint32_t k, uint32_t every, char *text)
{
    risk_job_t  job;

    fill(&job, k);
    assert_int_equal(risk_start(&job), HELIX_DONE);
    assert_int_equal(risk_run(&job, every), HELIX_DONE);
    answer_of(&job, text);
    free(job.state);
}


static void
test_sliced(void **unused)
{
    char      whole[4096], sliced[4096];
    uint32_t  k, every;

    (void) unused;

    for (k = 0; k < 8; k++) {
        solve(k, 0, whole);

        for (every = 1; every <= 3; every++) {
            solve(k, every, sliced);
            assert_string_equal(sliced, whole);
        }
    }
}


/* A job cut short at n paths is a job of n paths. */

static void
test_truncated(void **unused)
{
    char              cut[4096], whole[4096];
    double            quality;
    uint32_t          k, paths;
    risk_job_t        job, other;
    risk_control_t    ctl;
    helix_risk_job_t *risk;

    (void) unused;

    for (k = 0; k < 7; k++) {
        fill(&job, k);
        risk_u64(&job, HELIX_RISK_P_PATHS, 50000);
        assert_int_equal(risk_start(&job), HELIX_DONE);
        risk = job.state;
        risk_control(&ctl, 1);

        do {
            assert_int_equal(RISK_KIND->step(job.state, &ctl.base),
                             HELIX_AGAIN);
            quality = RISK_KIND->quality(job.state);
            assert_true((quality > 0.0) == (risk->path >= 4096));
        } while (risk->path < 8192 + 1024 * k);

        paths = risk->path;
        near_one(quality, sqrt(paths / 50048.0));
        answer_of(&job, cut);
        assert_int_equal(risk_number(cut, NULL, "paths_used", 0), paths);
        assert_non_null(strstr(cut, "\"truncated_by\":\"deadline\""));

        fill(&other, k);
        risk_u64(&other, HELIX_RISK_P_PATHS, paths);
        assert_int_equal(risk_start(&other), HELIX_DONE);
        assert_int_equal(risk_run(&other, 0), HELIX_DONE);
        answer_of(&other, whole);
        assert_string_equal(strstr(cut, "\"estimator\""),
                            strstr(whole, "\"estimator\""));
        free(other.state);

        /* and it goes on as if nobody had looked */
        assert_int_equal(risk_run(&job, 0), HELIX_DONE);
        near_one(RISK_KIND->quality(job.state), 1.0);
        answer_of(&job, cut);
        free(job.state);

        assert_int_equal(risk_start(&job), HELIX_DONE);
        assert_int_equal(risk_run(&job, 0), HELIX_DONE);
        answer_of(&job, whole);
        assert_string_equal(cut, whole);
        free(job.state);
    }
}


/* A poll that always says stop: every call gets on. */

static void
test_progress(void **unused)
{
    uint32_t        k, calls;
    risk_job_t      job;
    risk_control_t  ctl;

    (void) unused;

    for (k = 0; k < 7; k++) {
        fill(&job, k);
        assert_int_equal(risk_start(&job), HELIX_DONE);
        risk_control(&ctl, 1);

        for (calls = 1; RISK_KIND->step(job.state, &ctl.base) != HELIX_DONE;
             calls++)
        {
            assert_true(calls < 100000);
        }

        assert_true(calls > 1 && ctl.polls == calls - 1);
        free(job.state);
    }
}


/* Jobs of all sorts, some of which have been stepped before; when "leave" is
   set some go between two calls, and their memory with them. */

static void
run_batch(uint32_t n, uint32_t every, int leave)
{
    int             rc;
    char            single[4096], batched[4096];
    void           *states[MAX_JOBS];
    uint8_t         results[MAX_JOBS];
    uint32_t        i, calls, gone, left;
    risk_job_t      jobs[MAX_JOBS];
    risk_control_t  ctl;

    risk_control(&ctl, 1);

    for (i = 0; i < n; i++) {
        fill(&jobs[i], i);
        assert_int_equal(risk_start(&jobs[i]), HELIX_DONE);
        states[i] = jobs[i].state;
        results[i] = HELIX_AGAIN;

        if (i % 5 == 2) {
            results[i] = (uint8_t) RISK_KIND->step(states[i], &ctl.base);
        }
    }

    risk_control(&ctl, every);
    calls = 0;
    gone = 0;

    do {
        rc = RISK_KIND->step_batch(states, results, n, &ctl.base);
        calls++;
        left = 0;

        for (i = 0; i < n; i++) {
            left += (states[i] != NULL && results[i] == HELIX_AGAIN);
        }

        assert_int_equal(rc, left ? HELIX_AGAIN : HELIX_DONE);

        if (leave && calls % 40 == 7) {
            gone = (gone + 11) % n;

            /* of what has ended the answer is compared */
            if (results[gone] != HELIX_AGAIN) {
                continue;
            }

            free(states[gone]);
            states[gone] = NULL;
        }

        assert_true(calls < 1000000);
    } while (rc == HELIX_AGAIN);

    for (i = 0; i < n; i++) {

        if (states[i] == NULL) {
            continue;
        }

        assert_int_equal(results[i], HELIX_DONE);
        answer_of(&jobs[i], batched);
        solve(i, 0, single);
        assert_string_equal(batched, single);
        free(states[i]);
    }
}


static void
test_batched(void **unused)
{
    (void) unused;

    run_batch(MAX_JOBS, 0, 0);
    run_batch(MAX_JOBS, 1, 0);
    run_batch(MAX_JOBS, 7, 1);
    run_batch(MAX_JOBS, 1, 1);
    run_batch(1, 3, 0);
}


/* The losses are bits of every operation there is. */

static uint64_t
hash_with(uint32_t k, const helix_risk_isa_t *isa, double *mean)
{
    uint32_t           step;
    uint64_t           hash;
    risk_job_t         job;
    helix_risk_job_t  *risk;

    fill(&job, k);
    assert_int_equal(risk_start(&job), HELIX_DONE);
    risk = job.state;

    while (risk->phase < HELIX_RISK_PATHS) {
        helix_risk_prepare(risk);
    }

    hash = 0;
    *mean = 0.0;

    while (risk->phase == HELIX_RISK_PATHS) {

        for (step = 0; step < risk->market->steps; step++) {
            risk->step = step;
            isa->begin(risk->market, risk->path, step, risk->logs,
                       risk->weight);
            isa->pairs(risk, 0, risk->market->npairs);
        }

        isa->prices(risk->logs, risk->prices, risk->market->nassets);
        isa->linear(risk, risk->prices);
        isa->payoffs(risk, risk->prices);
        isa->options(risk, risk, 0, risk->noptions);

        if (risk->estimator == HELIX_RISK_TILTED) {
            isa->weigh(risk);
            hash ^= helix_risk_hash(risk->weight, 1024);
        }

        hash = hash * 31 + helix_risk_hash(risk->value, 1024);
        helix_risk_tail_add(risk, isa);
    }

    hash = hash * 31 + helix_risk_hash(risk->tail.losses,
                                       risk->tail.nkept * sizeof(double));
    hash = hash * 31 + helix_risk_hash(risk->tail.sums,
                                       sizeof(risk->tail.sums));

    for (step = 0; step < risk->tail.nkept; step++) {
        *mean += risk->tail.losses[step] / risk->tail.nkept;
    }

    free(job.state);

    return hash;
}


static void
test_instruction_sets(void **unused)
{
    double                   mean, other;
    uint32_t                 k, i;
    uint64_t                 hash, first;
    const helix_risk_isa_t  *isa;

    (void) unused;

    for (k = 0; k < 7; k++) {
        first = hash_with(k, helix_risk_isa(), &mean);

        for (i = 1; (isa = helix_risk_isa_at(i)) != NULL; i++) {
            hash = hash_with(k, isa, &other);

            /* the plain loops of a processor that could fuse do not */
            if (helix_risk_isa_at(i + 1) != NULL) {
                assert_true(hash == first);
            }

            assert_true(fabs(other - mean) < 1e-9 * fabs(mean));
        }
    }
}


static int
compare(const void *a, const void *b)
{
    double  x, y;

    x = *(const double *) a;
    y = *(const double *) b;

    return (x > y) - (x < y);
}


/* Losses of our own: continuous, heavy, in lumps, all alike. */

static double
loss(uint32_t law, uint32_t i)
{
    double    u;
    uint64_t  z;

    z = (i + 1) * 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    z ^= z >> 31;
    u = ((double) (z >> 12) + 0.5) * 0x1p-52;

    switch (law) {

    case 0:
        return u - 0.5;

    case 1:
        return 1.0 / (u * u) * ((z & 1) ? 1.0 : -1.0);

    case 2:
        return floor(u * 8.0) - 4.0;

    case 3:
        return 0.0;

    case 4:
        /* the pilot is no guide: the tail begins after it */
        return (i < 4096) ? u + 100.0 : u;

    default:
        return (i < 4096) ? u : u + 100.0 + i;
    }
}


/* All of a job's losses, to its summary. */

static void
run_losses(helix_risk_job_t *risk, uint32_t law)
{
    uint32_t  i;

    while (risk->phase != HELIX_RISK_DONE) {

        switch (risk->phase) {

        case HELIX_RISK_PATHS:
            for (i = 0; i < HELIX_RISK_BLOCK; i++) {
                risk->value[i] = -loss(law, risk->path + i);
            }

            helix_risk_tail_add(risk, helix_risk_isa());
            break;

        case HELIX_RISK_COMPACT:
            if (helix_risk_compact(risk) == HELIX_DONE) {
                risk->phase = HELIX_RISK_PATHS;
            }

            break;

        case HELIX_RISK_CHECK:
            if (!helix_risk_tail_exact(risk)) {
                assert_int_equal(risk->unpiloted, 0);
                risk->unpiloted = 1;
                risk->path = 0;
                helix_risk_tail_init(risk);
                risk->phase = HELIX_RISK_PATHS;
                break;
            }

            memset(&risk->summary, 0, sizeof(risk->summary));
            risk->phase = HELIX_RISK_SUMMARY;
            break;

        default: /* HELIX_RISK_SUMMARY */
            if (helix_risk_summarize(risk, &risk->summary) == HELIX_DONE) {
                risk->phase = HELIX_RISK_DONE;
            }
        }
    }
}


static void
test_kept(void **unused)
{
    double                  sum, nalpha, *all;
    uint32_t                law, i, n, c, var;
    risk_job_t              job;
    helix_risk_job_t       *risk;
    helix_risk_quantile_t  *q;

    (void) unused;
    n = 65536;
    all = malloc(n * sizeof(double));

    for (law = 0; law < 6; law++) {
        fill(&job, 0);
        risk_u64(&job, HELIX_RISK_P_PATHS, n);
        assert_int_equal(risk_start(&job), HELIX_DONE);
        risk = job.state;
        risk->tail.base = 0.0;
        run_losses(risk, law);
        assert_int_equal(risk->unpiloted, law == 4);

        for (i = 0; i < n; i++) {
            all[i] = loss(law, i);
        }

        qsort(all, n, sizeof(double), compare);

        for (i = 0; i < 2; i++) {
            q = &risk->summary.quantiles[i];
            nalpha = n * q->alpha;
            var = (uint32_t) ceil(nalpha);
            assert_true(q->var == all[var - 1]);

            nalpha -= 1.959963984540054 * sqrt(nalpha * (1.0 - q->alpha));
            assert_true(q->var_ci[0] == all[(uint32_t) nalpha - 1]);

            nalpha = n * q->alpha;
            nalpha += 1.959963984540054 * sqrt(nalpha * (1.0 - q->alpha));
            assert_true(q->var_ci[1] == all[(uint32_t) ceil(nalpha)]);

            sum = 0.0;

            for (c = var; c < n; c++) {
                sum += all[c] - q->var;
            }

            sum = q->var + sum / (n * (1.0 - q->alpha));
            assert_true(fabs(sum - q->es) <= 1e-11 * fabs(sum));
        }

        free(job.state);
    }

    free(all);
}


static void
test_levels(void **unused)
{
    char        text[4096];
    float       quality;
    uint32_t    i;
    uint64_t    work;
    risk_job_t  job;

    static const uint32_t  names[] = { HELIX_RISK_IMPORTANCE,
                                       HELIX_RISK_DELTA_GAMMA,
                                       HELIX_RISK_CLOSED_FORM };
    static const uint32_t  paths[] = { 8192, 16384, 0 };

    (void) unused;

    fill(&job, 0);
    risk_u64(&job, HELIX_RISK_P_PATHS, 65536);
    assert_int_equal(risk_plan(&job), HELIX_DONE);
    assert_int_equal(job.plan.flags, HELIX_PURE|HELIX_ANYTIME);
    assert_int_equal(job.plan.nlevels, 3);
    work = job.plan.work;
    quality = 1.0f;

    for (i = 0; i < 3; i++) {
        assert_int_equal(job.plan.levels[i].name, names[i]);
        assert_true(job.plan.levels[i].work < work);
        assert_true(job.plan.levels[i].quality < quality);
        work = job.plan.levels[i].work;
        quality = job.plan.levels[i].quality;
    }

    for (i = 0; i < 3; i++) {
        fill(&job, 0);
        risk_u64(&job, HELIX_RISK_P_PATHS, 65536);
        job.args.level = i + 1;
        assert_int_equal(risk_start(&job), HELIX_DONE);
        assert_int_equal(risk_run(&job, 0), HELIX_DONE);
        answer_of(&job, text);
        assert_non_null(strstr(text, "\"truncated_by\":\"pressure\""));
        assert_int_equal(risk_number(text, NULL, "paths_used", 0), paths[i]);
        assert_true(RISK_KIND->quality(job.state) < 1.0);
        free(job.state);
    }

    /* with the laws that have no closed form */
    fill(&job, 4);
    risk_u64(&job, HELIX_RISK_P_PATHS, 65536);
    assert_int_equal(risk_plan(&job), HELIX_DONE);
    assert_int_equal(job.plan.nlevels, 2);
    assert_int_equal(job.plan.levels[0].name, HELIX_RISK_PATHS_4);

    for (i = 0; i < job.plan.nlevels; i++) {
        assert_int_not_equal(job.plan.levels[i].name, HELIX_RISK_IMPORTANCE);
        assert_int_not_equal(job.plan.levels[i].name, HELIX_RISK_CLOSED_FORM);
    }

    fill(&job, 7);
    assert_int_equal(risk_plan(&job), HELIX_DONE);
    assert_int_equal(job.plan.flags, HELIX_PURE_ID);
    assert_int_equal(job.plan.nlevels, 0);
}


static void
test_batch_key(void **unused)
{
    uint64_t    key;
    risk_job_t  job;

    (void) unused;

    fill(&job, 0);
    assert_int_equal(risk_plan(&job), HELIX_DONE);
    key = job.plan.batch_key;
    assert_true(key != 0);

    /* another portfolio, the same scenarios */
    risk_text(&job, HELIX_RISK_P_POSITIONS, portfolios[1]);
    risk_text(&job, HELIX_RISK_P_MODEL, "delta_gamma");
    assert_int_equal(risk_plan(&job), HELIX_DONE);
    assert_true(job.plan.batch_key == key);

    risk_u64(&job, HELIX_RISK_P_SEED, 99);
    assert_int_equal(risk_plan(&job), HELIX_DONE);
    assert_true(job.plan.batch_key != key);

    fill(&job, 0);
    risk_text(&job, HELIX_RISK_P_CORRELATION, NULL);
    assert_int_equal(risk_plan(&job), HELIX_DONE);
    assert_true(job.plan.batch_key != key);
}


/* Singular and rank one, no chance at all, and the largest there may be. */

static void
test_extremes(void **unused)
{
    char        text[4096], *big, *p;
    uint32_t    i, k;
    risk_job_t  job;

    (void) unused;

    for (i = 0; i < 4; i++) {
        risk_init(&job);
        risk_text(&job, HELIX_RISK_P_ASSETS, "[{\"spot\":100,\"vol\":0},"
                                             "{\"spot\":1e12,\"vol\":3}]");
        risk_text(&job, HELIX_RISK_P_CORRELATION, "[[1,1],[1,1]]");
        risk_text(&job, HELIX_RISK_P_POSITIONS, i % 2
                  ? "[{\"asset\":1,\"type\":\"put\",\"quantity\":-1e12,"
                    "\"strike\":1e12,\"expiry\":100}]"
                  : "[{\"asset\":0,\"type\":\"linear\",\"quantity\":1}]");
        risk_f64(&job, HELIX_RISK_P_HORIZON, 1.0);
        risk_u64(&job, HELIX_RISK_P_PATHS, 20000);
        risk_text(&job, HELIX_RISK_P_ESTIMATOR, i / 2 ? "is" : NULL);
        assert_int_equal(risk_start(&job), HELIX_DONE);
        assert_int_equal(risk_run(&job, 1), HELIX_DONE);
        answer_of(&job, text);
        assert_null(strstr(text, "null"));
        free(job.state);
    }

    big = malloc(2 * HELIX_RISK_TEXT);
    p = big;

    for (i = 0; i < HELIX_RISK_ASSETS; i++) {
        p += sprintf(p, "%c{\"spot\":10,\"vol\":0.2}", i ? ',' : '[');
    }

    strcpy(p++, "]");
    risk_init(&job);
    risk_text(&job, HELIX_RISK_P_ASSETS, big);
    risk_text(&job, HELIX_RISK_P_POSITIONS, ++p);

    for (i = 0; i < HELIX_RISK_POSITIONS; i++) {
        p += sprintf(p, "%c{\"asset\":%u,\"type\":\"put\",\"quantity\":1,"
                     "\"strike\":9,\"expiry\":1}", i ? ',' : '[', i % 64);
    }

    strcpy(p++, "]");
    job.values[HELIX_RISK_P_POSITIONS].len =
        (uint32_t) strlen(job.values[HELIX_RISK_P_POSITIONS].text);
    risk_text(&job, HELIX_RISK_P_CORRELATION, ++p);

    for (i = 0; i < HELIX_RISK_ASSETS; i++) {
        for (k = 0; k < HELIX_RISK_ASSETS; k++) {
            p += sprintf(p, "%s%s", k ? "," : i ? ",[" : "[[",
                         i == k ? "1" : "0.1");
        }

        p += sprintf(p, "]");
    }

    strcpy(p, "]");
    job.values[HELIX_RISK_P_CORRELATION].len =
        (uint32_t) strlen(job.values[HELIX_RISK_P_CORRELATION].text);
    risk_f64(&job, HELIX_RISK_P_HORIZON, 0.1);
    risk_u64(&job, HELIX_RISK_P_PATHS, 1024);
    risk_text(&job, HELIX_RISK_P_ESTIMATOR, "is");
    assert_int_equal(risk_start(&job), HELIX_DONE);
    assert_int_equal(risk_run(&job, 1), HELIX_DONE);
    answer_of(&job, text);
    free(job.state);
    free(big);
}


typedef struct {
    uint32_t     param;
    const char  *text;
    const char  *error;
} refused_t;


static const refused_t  refused[] = {
    { HELIX_RISK_P_POSITIONS, NULL, "positions is missing" },
    { HELIX_RISK_P_ASSETS, NULL, "assets is missing" },
    { HELIX_RISK_P_ASSETS, "[]", "assets must not be empty" },
    { HELIX_RISK_P_ASSETS, "{}", "assets must be an array" },
    { HELIX_RISK_P_ASSETS, "[1]", "assets[0] must be an object" },
    { HELIX_RISK_P_ASSETS, "[{\"spot\":1}]", "assets[0].vol is missing" },
    { HELIX_RISK_P_ASSETS, "[{\"spot\":0,\"vol\":1}]",
      "assets[0].spot must be a positive number" },
    { HELIX_RISK_P_ASSETS, "[{\"spot\":-1e400,\"vol\":1}]",
      "assets[0].spot must be a positive number" },
    { HELIX_RISK_P_ASSETS, "[{\"spot\":\"1\",\"vol\":1}]",
      "assets[0].spot must be a positive number" },
    { HELIX_RISK_P_ASSETS, "[{\"spot\":1,\"vol\":11}]",
      "assets[0].vol must be a number from 0 to 10" },
    { HELIX_RISK_P_ASSETS, "[{\"spot\":1,\"vol\":1,\"beta\":2}]",
      "assets[0] has no member \"beta\"" },
    { HELIX_RISK_P_ASSETS, "[{\"spot\":1,\"vol\":1,\"spot\":2}]",
      "assets[0].spot is there twice" },
    { HELIX_RISK_P_ASSETS, "[{\"spot\":1,\"vol\":1,\"type\":\"call\"}]",
      "assets[0] has no member \"type\"" },
    { HELIX_RISK_P_ASSETS, "[{\"spot\":1,\"vol\":1},{\"spot\":1}]",
      "assets[1].vol is missing" },
    { HELIX_RISK_P_ASSETS, "[{\"spot\":1,\"vol\":1}", "assets: unexpected "
      "end" },
    { HELIX_RISK_P_CORRELATION, "[[1,0],[0,1]]",
      "correlation[0] must have 3 numbers" },
    { HELIX_RISK_P_CORRELATION, "[[1,0,0,0]]",
      "correlation[0] must have 3 numbers" },
    { HELIX_RISK_P_CORRELATION, "[1]",
      "correlation must have 3 rows of 3 numbers" },
    { HELIX_RISK_P_CORRELATION, "[[1,0,0],[0,1,0]]",
      "correlation must have 3 rows of 3 numbers" },
    { HELIX_RISK_P_CORRELATION, "[[1,0,0],[0,1,0],[0,0,0.5]]",
      "correlation[2][2] must be 1" },
    { HELIX_RISK_P_CORRELATION, "[[1,0,0],[0.1,1,0],[0,0,1]]",
      "correlation[1][0] must be correlation[0][1]" },
    { HELIX_RISK_P_CORRELATION, "[[1,2,0],[2,1,0],[0,0,1]]",
      "correlation[0][1] must be a number from -1 to 1" },
    { HELIX_RISK_P_CORRELATION, "[[1,0.9,0.9],[0.9,1,-0.9],[0.9,-0.9,1]]",
      "correlation must be positive semidefinite" },
    { HELIX_RISK_P_CORRELATION, "[[1,1,0],[1,1,0.5],[0,0.5,1]]",
      "correlation must be positive semidefinite" },
    { HELIX_RISK_P_POSITIONS, "[]", "positions must not be empty" },
    { HELIX_RISK_P_POSITIONS, "[{\"asset\":0,\"quantity\":1}]",
      "positions[0].type is missing" },
    { HELIX_RISK_P_POSITIONS, "[{\"type\":\"linear\",\"quantity\":1}]",
      "positions[0].asset is missing" },
    { HELIX_RISK_P_POSITIONS,
      "[{\"asset\":3,\"type\":\"linear\",\"quantity\":1}]",
      "positions[0].asset must be an integer from 0 to 2" },
    { HELIX_RISK_P_POSITIONS,
      "[{\"asset\":0.5,\"type\":\"linear\",\"quantity\":1}]",
      "positions[0].asset must be an integer from 0 to 2" },
    { HELIX_RISK_P_POSITIONS,
      "[{\"asset\":0,\"type\":\"swap\",\"quantity\":1}]",
      "positions[0].type must be \"linear\", \"call\" or \"put\"" },
    { HELIX_RISK_P_POSITIONS,
      "[{\"asset\":0,\"type\":\"linear\",\"quantity\":1,\"strike\":1}]",
      "positions[0] is linear: it has no strike, expiry or rate" },
    { HELIX_RISK_P_POSITIONS,
      "[{\"asset\":0,\"type\":\"linear\",\"quantity\":1},{\"asset\":0,"
      "\"type\":\"call\",\"quantity\":1,\"strike\":-1,\"expiry\":1}]",
      "positions[1].strike must be a positive number" },
    { HELIX_RISK_P_POSITIONS, "[{\"asset\":0,\"type\":\"call\","
      "\"quantity\":1,\"strike\":1}]", "positions[0].expiry is missing" },
    { HELIX_RISK_P_POSITIONS, "[{\"asset\":0,\"type\":\"call\","
      "\"quantity\":1,\"strike\":1,\"expiry\":0.01}]",
      "positions[0].expiry must not be before the horizon" },
    { HELIX_RISK_P_LEVELS, "[]", "levels must not be empty" },
    { HELIX_RISK_P_LEVELS, "[0.4]",
      "levels[0] must be a number from 0.5 to 0.9999" },
    { HELIX_RISK_P_LEVELS, "[0.99,0.99]",
      "levels[1] must be above the one before" },
    { HELIX_RISK_P_LEVELS, "[.5,.6,.7,.8,.9,.95,.96,.97,.98]", "levels: " },
    { HELIX_RISK_P_LEVELS, "[0.5,0.6,0.7,0.8,0.9,0.95,0.96,0.97,0.98]",
      "levels must be at most 8" },
    { HELIX_RISK_P_JUMPS, "{\"rate\":1,\"mean\":0}", "jumps.sd is missing" },
    { HELIX_RISK_P_JUMPS, "{\"rate\":1000,\"mean\":0,\"sd\":0}",
      "jumps.rate must be at most 2 jumps in a step: raise steps" },
    { HELIX_RISK_P_MODEL, "fast",
      "model must be \"full\" or \"delta_gamma\"" },
    { HELIX_RISK_P_ESTIMATOR, "qmc",
      "estimator must be \"plain\", \"is\" or \"auto\"" }
};


static void
test_refused(void **unused)
{
    size_t      i;
    risk_job_t  job;

    (void) unused;

    for (i = 0; i < countof(refused); i++) {
        fill(&job, 0);
        risk_text(&job, refused[i].param, refused[i].text);
        assert_int_equal(risk_plan(&job), HELIX_FAILED);

        if (strncmp(job.plan.error, refused[i].error,
                    strlen(refused[i].error)) != 0)
        {
            print_error("%s: %s\n", refused[i].text, job.plan.error);
            fail();
        }

        assert_non_null(job.plan.field);
    }

    fill(&job, 0);
    risk_f64(&job, HELIX_RISK_P_HORIZON, 0.0);
    assert_int_equal(risk_plan(&job), HELIX_FAILED);
    assert_string_equal(job.plan.field, "horizon");

    fill(&job, 4);
    risk_text(&job, HELIX_RISK_P_ESTIMATOR, "is");
    assert_int_equal(risk_plan(&job), HELIX_FAILED);
    assert_string_equal(job.plan.field, "estimator");

    fill(&job, 0);
    risk_u64(&job, HELIX_RISK_P_STUDENT_T, 2);
    assert_int_equal(risk_plan(&job), HELIX_FAILED);
    assert_string_equal(job.plan.field, "student_t");

    /* only some of it */
    risk_init(&job);
    risk_u64(&job, HELIX_RISK_P_SEED, 1);
    assert_int_equal(risk_plan(&job), HELIX_FAILED);
}


/* Cut, and one byte changed: never more than a sentence. */

static void
test_mangled(void **unused)
{
    char        *text;
    size_t       len, i;
    uint32_t     k;
    risk_job_t   job;

    static const char  bytes[] = "\0\"[]{}:,9-.eEx\xff";

    (void) unused;
    len = strlen(portfolios[0]);

    for (i = 0; i < len; i++) {
        for (k = 0; k < sizeof(bytes); k++) {
            /* exactly as long, so that a sanitizer sees who reads on */
            text = malloc(len);
            memcpy(text, portfolios[0], len);
            text[i] = bytes[k];

            fill(&job, 0);
            job.values[HELIX_RISK_P_POSITIONS].text = text;
            job.values[HELIX_RISK_P_POSITIONS].len =
                (uint32_t) (k == 0 ? i : len);

            if (risk_plan(&job) == HELIX_FAILED) {
                assert_true(strlen(job.plan.error) > 0);
                assert_non_null(job.plan.field);
            }

            free(text);
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_sliced),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_batched),
        cmocka_unit_test(test_instruction_sets),
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_batch_key),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_mangled)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
