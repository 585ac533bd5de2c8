
/* What a kind has to keep to; one process each. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kind_check.h"


#define GAPS      100000
#define SLICE     100000        /* ns */
#define BLOCK     25000
#define TOO_LONG  1000000
#define STEPS     1000


static int compare_double(const void *a, const void *b);
static int compare_gap(const void *a, const void *b);
static void baseline(check_t *c);
static void save(const char *name, const check_answer_t *answer);
static void sliced(check_t *c, uint32_t i, uint64_t every);
static uint32_t polled(check_t *c, check_control_t *ctl);
static void quality_of(check_t *c, const check_run_t *run);


void
test_loads(check_t *c)
{
    check_load(c);
    printf("%s%s%s, %u params, %u levels\n", c->kind.name,
           c->kind.flags & HELIX_BLOCKING ? ", blocking" : "",
           c->kind.step_batch ? ", batched" : "", c->nparams, c->nlevels);
}


void
test_configures(check_t *c)
{
    check_load(c);
    check_configure(c);
    check_init(c);

    if (c->kind.destroy != NULL) {
        check_where = "destroy()";
        c->kind.destroy(c->conf);
    }
}


/* A mistyped key must not pass for the default. */

void
test_pairs(check_t *c)
{
    void         *conf;
    char          error[HELIX_KIND_ERROR_MAX];
    helix_pair_t  pairs[CHECK_PAIRS + 1];

    check_load(c);

    if (c->kind.configure == NULL) {
        check_skip("no configure()");
    }

    memcpy(pairs, c->pairs, sizeof(c->pairs));
    pairs[c->npairs].name = "no_such_key";
    pairs[c->npairs].value = "1";
    error[0] = '\0';

    check_where = "configure()";
    conf = c->kind.configure(&c->host, pairs, c->npairs + 1, error);
    check_where = "";

    if (conf != NULL) {
        check_fail("configure() accepts no_such_key=1");
    }

    check_sentence("configure()", error);
    printf("%s\n", error);
}


void
test_plans(check_t *c)
{
    uint32_t      i;
    uint64_t      start, time, most;
    helix_plan_t  plan, again;

    most = 0;

    for (i = 0; i < c->njobs; i++) {
        start = check_cpu();
        (void) check_plan(c, &c->jobs[i], &plan);
        time = check_cpu() - start;
        most = time > most ? time : most;

        (void) check_plan(c, &c->jobs[i], &again);

        if (memcmp(&plan, &again, sizeof(plan)) != 0) {
            check_fail("plan() plans the same job in another way: work %llu, "
                       "then %llu", (unsigned long long) plan.work,
                       (unsigned long long) again.work);
        }
    }

    printf("a plan takes %.0f us at most\n", (double) most / 1e3);
}


static int
compare_double(const void *a, const void *b)
{
    double  x, y;

    x = *(const double *) a;
    y = *(const double *) b;

    return (x > y) - (x < y);
}


/* The answers that all others are compared with. */

static void
baseline(check_t *c)
{
    uint32_t  i;

    for (i = 0; i < c->njobs; i++) {
        check_run(c, &c->jobs[i], 0, 0, &c->answers[i]);
    }
}


void
test_answers(check_t *c)
{
    double            unit[CHECK_JOBS];
    uint32_t          i, done;
    uint64_t          start;
    check_run_t       run;
    check_answer_t    a, b;
    check_control_t   ctl;

    done = 0;

    for (i = 0; i < c->njobs; i++) {
        check_control(&ctl, 0);
        check_start(c, &run, &c->jobs[i], 0, 0);

        start = check_cpu();
        (void) check_step(c, &run, &ctl);
        unit[i] = (double) (check_cpu() - start) / (double) run.plan.work;

        check_finish(c, &run, &a);

        if (run.result == HELIX_DONE) {
            check_finish(c, &run, &b);
            check_same(&b, &a, "finish() for a second time");
            done++;
        }

        check_end(c, &run);

        if (i == 0 && a.result == HELIX_DONE) {
            printf("the first: %.60s\n", a.type[0] ? a.type : a.data);
            save(c->save, &a);
        }
    }

    if (done == 0) {
        check_fail("all of %u jobs fail", c->njobs);
    }

    qsort(unit, c->njobs, sizeof(double), compare_double);
    printf("%u jobs, %u done; ns for a unit of work: %.3g (p10), %.3g, %.3g "
           "(p90)\n", c->njobs, done, unit[c->njobs / 10],
           unit[c->njobs / 2], unit[c->njobs - 1 - c->njobs / 10]);
}


static void
save(const char *name, const check_answer_t *answer)
{
    FILE  *f;

    if (name == NULL) {
        return;
    }

    f = fopen(name, "wb");

    if (f == NULL || fwrite(answer->data, 1, answer->len, f) != answer->len
        || fclose(f) != 0)
    {
        check_fail("%s cannot be written", name);
    }
}


/* What memory holds before start() must make no difference. */

void
test_memory(check_t *c)
{
    size_t          k;
    uint32_t        i;
    check_answer_t  answer;
    const int       fills[] = { 0xff, 0xa5, 0x01 };

    baseline(c);

    for (i = 0; i < c->njobs; i++) {
        for (k = 0; k < countof(fills); k++) {
            check_run(c, &c->jobs[i], 0, fills[k], &answer);
            check_same(&answer, &c->answers[i],
                       "with other rubbish in its memory");
        }
    }
}


void
test_slices(check_t *c)
{
    uint32_t  i, every;

    baseline(c);

    for (i = 0; i < c->njobs; i++) {
        for (every = 1; every <= 3; every++) {
            sliced(c, i, every);
        }
    }
}


static void
sliced(check_t *c, uint32_t i, uint64_t every)
{
    uint64_t          steps, most;
    check_run_t       run;
    check_answer_t    answer;
    check_control_t   ctl;

    /* as many blocks as the whole has, and some */

    check_control(&ctl, 0);
    check_start(c, &run, &c->jobs[i], 0, 0xa5);
    (void) check_step(c, &run, &ctl);
    check_end(c, &run);
    most = ctl.polls * 4 + STEPS;

    check_control(&ctl, every);
    check_start(c, &run, &c->jobs[i], 0, 0xa5);

    for (steps = 0; check_step(c, &run, &ctl) == HELIX_AGAIN; steps++) {
        if (steps == most) {
            check_fail("no end in sight after %llu steps: it does not go on "
                       "where it was", (unsigned long long) steps);
        }
    }

    check_finish(c, &run, &answer);
    check_end(c, &run);
    check_same(&answer, &c->answers[i], "sliced");
}


static int
compare_gap(const void *a, const void *b)
{
    uint32_t  x, y;

    x = *(const uint32_t *) a;
    y = *(const uint32_t *) b;

    return (x > y) - (x < y);
}


/* The longest may be the system's: three times is the kind's. */

void
test_polls(check_t *c)
{
    int               i;
    uint32_t          max, p99;
    check_control_t   ctl;

    max = UINT32_MAX;
    check_control(&ctl, 0);
    ctl.slice = SLICE;
    ctl.max_gaps = GAPS;
    ctl.gaps = malloc(GAPS * sizeof(uint32_t));

    if (ctl.gaps == NULL) {
        check_fail("no memory");
    }

    for (i = 0; i < 3 && max > TOO_LONG; i++) {
        ctl.ngaps = 0;
        max = polled(c, &ctl);
    }

    p99 = ctl.gaps[(uint64_t) ctl.ngaps * 99 / 100];

    printf("between two polls, of %u: %.1f us (p50), %.1f (p99), %.1f "
           "(max)\n", ctl.ngaps, ctl.gaps[ctl.ngaps / 2] / 1e3, p99 / 1e3,
           max / 1e3);

    if (p99 > BLOCK) {
        printf("warning: the event loop would wait: %d us are the aim\n",
               BLOCK / 1000);
    }

    if (max > TOO_LONG) {
        check_fail("more than 1 ms between two polls");
    }
}


static uint32_t
polled(check_t *c, check_control_t *ctl)
{
    uint32_t     i;
    check_run_t  run;

    for (i = 0; i < c->njobs && ctl->ngaps < GAPS; i++) {
        check_start(c, &run, &c->jobs[i], 0, 0);

        do {
            ctl->polls = 1;
        } while (check_step(c, &run, ctl) == HELIX_AGAIN
                 && ctl->ngaps < GAPS);

        check_end(c, &run);
    }

    if (ctl->ngaps == 0) {
        check_fail("no gaps");
    }

    qsort(ctl->gaps, ctl->ngaps, sizeof(uint32_t), compare_gap);

    return ctl->gaps[ctl->ngaps - 1];
}


void
test_levels(check_t *c)
{
    double            work[2], time[2];
    uint32_t          i, k, n;
    uint64_t          start;
    check_run_t       run;
    helix_plan_t      plan;
    check_answer_t    answer, again;
    check_control_t   ctl;

    if (c->nlevels == 0) {
        check_skip("no levels");
    }

    n = 0;
    memset(work, 0, sizeof(work));
    memset(time, 0, sizeof(time));

    for (i = 0; i < c->njobs; i++) {
        (void) check_plan(c, &c->jobs[i], &plan);

        for (k = 0; k <= plan.nlevels; k++) {
            check_control(&ctl, 0);
            check_start(c, &run, &c->jobs[i], k, 0xa5);
            start = check_cpu();
            (void) check_step(c, &run, &ctl);

            if (plan.nlevels != 0) {
                time[k != 0] += (double) (check_cpu() - start)
                                / (k ? plan.nlevels : 1);
                work[k != 0] += (double) (k ? plan.levels[k - 1].work
                                            : plan.work)
                                / (k ? plan.nlevels : 1);
            }

            check_finish(c, &run, &answer);
            check_end(c, &run);

            check_run(c, &c->jobs[i], k, 0, &again);
            check_same(&again, &answer, "a level for a second time");

            n += k != 0;
        }
    }

    if (n == 0) {
        check_skip("no job has one");
    }

    printf("%u answers; work %.2f, time %.2f of the full answer's\n", n,
           work[1] / work[0], time[1] / time[0]);
}


void
test_quality(check_t *c)
{
    uint32_t          i, n, steps;
    check_run_t       run;
    helix_plan_t      plan;
    check_control_t   ctl;

    n = 0;

    for (i = 0; i < c->njobs; i++) {
        (void) check_plan(c, &c->jobs[i], &plan);

        if ((plan.flags & HELIX_ANYTIME) == 0) {
            continue;
        }

        n++;
        check_control(&ctl, 1);
        check_start(c, &run, &c->jobs[i], 0, 0xa5);
        quality_of(c, &run);

        for (steps = 0; run.result == HELIX_AGAIN && steps < 100; steps++) {
            (void) check_step(c, &run, &ctl);
            quality_of(c, &run);
        }

        check_end(c, &run);
    }

    if (n == 0) {
        check_skip("no job is HELIX_ANYTIME");
    }
}


static void
quality_of(check_t *c, const check_run_t *run)
{
    double          quality;
    check_answer_t  answer;

    if (run->result == HELIX_FAILED) {
        return;
    }

    check_where = "quality()";
    quality = c->kind.quality(run->state.data);
    check_where = "";

    if (!(quality >= 0.0 && quality <= 1.0)) {
        check_fail("quality() is %g", quality);
    }

    if (run->result == HELIX_DONE && quality == 0.0) {
        check_fail("quality() is 0 of a job that is done");
    }

    if (quality > 0.0) {
        check_finish(c, run, &answer);
        free(answer.data);
    }
}
