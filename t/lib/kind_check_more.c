
/* Checks of many jobs: at once, in turn, by the thousand. */

#include <dirent.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kind_check.h"


#define BATCH     16
#define THREADS   4
#define LEAKS     1000
#define SECOND    1000000000ULL
#define A_WHILE   (50 * 1000000ULL)


typedef struct {
    check_t          *c;
    check_run_t      *run;
    check_control_t  *ctl;
    uint64_t          told;             /* ns, of the monotonic clock */
    uint64_t          ended;
    pthread_t         id;
} check_thread_t;


static void baseline(check_t *c);
static uint32_t same_key(check_t *c, uint32_t *index);
static void batch(check_t *c, const uint32_t *index, uint32_t njobs,
    uint32_t n);
static void batch_call(check_t *c, void **states, uint8_t *results,
    uint32_t n, check_control_t *ctl);
static void *step_thread(void *data);
static uint64_t stopped(check_t *c, const check_job_t *job, uint64_t after,
    bool *late);
static void few_jobs(check_t *c, uint32_t n, uint64_t until);
static uint64_t allocated(void);
static int descriptors(void);
static void odd_job(check_t *c, const check_job_t *job);

/* of a sanitizer, which has its own allocator */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));


static void
baseline(check_t *c)
{
    uint32_t  i;

    for (i = 0; i < c->njobs; i++) {
        check_run(c, &c->jobs[i], 0, 0, &c->answers[i]);
    }
}


void
test_batches(check_t *c)
{
    uint32_t  n, njobs, index[CHECK_JOBS];

    if (c->kind.step_batch == NULL) {
        check_skip("no step_batch()");
    }

    baseline(c);
    njobs = same_key(c, index);

    for (n = 1; n <= BATCH; n++) {
        batch(c, index, njobs, n);
    }

    printf("of %u jobs with the same key\n", njobs);
}


/* The largest set of jobs that come into one batch. */

static uint32_t
same_key(check_t *c, uint32_t *index)
{
    uint32_t      i, k, n, most;
    uint64_t      key[CHECK_JOBS], best;
    helix_plan_t  plan;

    for (i = 0; i < c->njobs; i++) {
        (void) check_plan(c, &c->jobs[i], &plan);
        key[i] = plan.batch_key;
    }

    most = 0;
    best = 0;

    for (i = 0; i < c->njobs; i++) {
        for (n = 0, k = 0; k < c->njobs; k++) {
            n += key[k] == key[i];
        }

        if (n > most) {
            most = n;
            best = key[i];
        }
    }

    for (n = 0, k = 0; k < c->njobs; k++) {
        if (key[k] == best) {
            index[n++] = k;
        }
    }

    return n;
}


/* Some have been stepped before, some leave in between. */

static void
batch(check_t *c, const uint32_t *index, uint32_t njobs, uint32_t n)
{
    void             *states[BATCH];
    uint8_t           results[BATCH];
    uint32_t          i, job[BATCH], left;
    check_run_t       run[BATCH];
    check_answer_t    answer;
    check_control_t   ctl, once;
    const bool        slice = !(c->kind.flags & HELIX_BLOCKING);

    for (i = 0; i < n; i++) {
        job[i] = index[check_random(c, njobs)];
        check_start(c, &run[i], &c->jobs[job[i]], 0, 0xa5);
        results[i] = HELIX_AGAIN;
        states[i] = run[i].state.data;

        if (slice && check_random(c, 3) == 0) {
            check_control(&once, 1);

            /* what has ended does not come into a batch */
            if (check_step(c, &run[i], &once) != HELIX_AGAIN) {
                check_end(c, &run[i]);
                check_start(c, &run[i], &c->jobs[job[i]], 0, 0xa5);
                states[i] = run[i].state.data;
            }
        }
    }

    check_control(&ctl, slice ? n % 4 : 0);

    for ( ;; ) {
        batch_call(c, states, results, n, &ctl);

        for (left = 0, i = 0; i < n; i++) {
            left += states[i] != NULL && results[i] == HELIX_AGAIN;
        }

        if (left == 0) {
            break;
        }

        i = (uint32_t) check_random(c, n);

        if (states[i] != NULL && results[i] == HELIX_AGAIN
            && check_random(c, 2))
        {
            check_end(c, &run[i]);
            states[i] = NULL;
        }
    }

    for (i = 0; i < n; i++) {
        if (states[i] != NULL) {
            run[i].result = results[i];
            check_finish(c, &run[i], &answer);
            check_same(&answer, &c->answers[job[i]], "batched");
            check_end(c, &run[i]);
        }
    }
}


static void
batch_call(check_t *c, void **states, uint8_t *results, uint32_t n,
    check_control_t *ctl)
{
    int              rc;
    uint8_t          before[BATCH];
    uint32_t         i;
    bool             all;
    static uint32_t  calls;

    memcpy(before, results, n);
    ctl->said = false;

    check_where = "step_batch()";
    rc = c->kind.step_batch(states, results, n, &ctl->base);
    check_where = "";

    all = true;

    for (i = 0; i < n; i++) {

        if (states[i] == NULL) {
            continue;
        }

        if (results[i] > HELIX_FAILED) {
            check_fail("step_batch() gives a job the result %u", results[i]);
        }

        if (before[i] != HELIX_AGAIN && results[i] != before[i]) {
            check_fail("step_batch() changes the result of a job that had "
                       "ended");
        }

        all = all && results[i] != HELIX_AGAIN;
    }

    if (rc != (all ? HELIX_DONE : HELIX_AGAIN)) {
        check_fail("step_batch() returns %d when %s jobs have ended", rc,
                   all ? "all" : "not all");
    }

    if (!all && !ctl->said) {
        check_fail("step_batch() returns although poll() has not said stop");
    }

    if (calls++ == 10000000) {
        check_fail("step_batch() does not come to an end");
    }
}


static void *
step_thread(void *data)
{
    check_thread_t  *t;

    t = data;
    (void) check_step(t->c, t->run, t->ctl);
    t->ended = check_clock();

    return NULL;
}


void
test_threads(check_t *c)
{
    uint32_t          i, k, n, round;
    check_run_t       run[THREADS];
    check_answer_t    answer;
    check_thread_t    threads[THREADS];
    check_control_t   ctl[THREADS];

    baseline(c);
    n = 0;

    for (round = 0; round < 2 * c->njobs; round += THREADS) {
        for (i = 0; i < THREADS; i++) {
            k = (round + i) % c->njobs;
            check_start(c, &run[i], &c->jobs[k], 0, 0xa5);
            check_control(&ctl[i], 0);
            threads[i] = (check_thread_t) { c, &run[i], &ctl[i], 0, 0, 0 };
        }

        for (i = 0; i < THREADS; i++) {
            if (pthread_create(&threads[i].id, NULL, step_thread,
                               &threads[i]) != 0)
            {
                check_fail("no thread");
            }
        }

        for (i = 0; i < THREADS; i++) {
            k = (round + i) % c->njobs;
            pthread_join(threads[i].id, NULL);
            check_finish(c, &run[i], &answer);
            check_same(&answer, &c->answers[k], "beside other threads");
            check_end(c, &run[i]);
            free(answer.data);
            n++;
        }
    }

    printf("%u jobs on %d threads\n", n, THREADS);
}


/* Told at several moments of its time; it may be done just then. */

void
test_stops(check_t *c)
{
    bool            late;
    uint32_t        i, k, n;
    uint64_t        start, time, ns, most, sum;
    check_answer_t  answer;

    most = 0;
    sum = 0;
    n = 0;

    for (i = 0; i < c->njobs; i++) {
        start = check_clock();
        check_run(c, &c->jobs[i], 0, 0, &answer);
        time = check_clock() - start;
        free(answer.data);

        for (k = 0; k < 5; k++) {
            ns = stopped(c, &c->jobs[i], time * k / 5, &late);

            if (late) {
                continue;
            }

            n++;
            sum += ns;
            most = ns > most ? ns : most;

            if (time > A_WHILE && ns > time / 2 && ns > A_WHILE) {
                printf("warning: a job of %.0f ms ends %.0f ms after it is "
                       "told to\n", (double) time / 1e6, (double) ns / 1e6);
            }
        }
    }

    if (n == 0) {
        check_fail("no job is still running when it is told to stop");
    }

    printf("from stop() to the end: %.1f ms (mean of %u), %.1f (max)\n",
           (double) sum / n / 1e6, n, (double) most / 1e6);
}


static uint64_t
stopped(check_t *c, const check_job_t *job, uint64_t after, bool *late)
{
    check_run_t       run;
    check_thread_t    t;
    check_control_t   ctl;

    check_control(&ctl, 0);
    check_start(c, &run, job, 0, 0xa5);
    t = (check_thread_t) { c, &run, &ctl, 0, 0, 0 };

    if (pthread_create(&t.id, NULL, step_thread, &t) != 0) {
        check_fail("no thread");
    }

    usleep((useconds_t) (after / 1000));
    t.told = check_clock();
    ctl.stop = 1;
    pthread_join(t.id, NULL);

    *late = t.ended <= t.told || run.result == HELIX_FAILED;

    if (ctl.stops == 0 && run.result == HELIX_DONE) {
        check_fail("it has never asked stop()");
    }

    check_end(c, &run);

    return t.ended > t.told ? t.ended - t.told : 0;
}


/* As a reload does it: the old one works on until its jobs are done. */

void
test_instances(check_t *c)
{
    void            *first;
    uint32_t         i;
    check_answer_t   answer;

    if (c->kind.configure == NULL) {
        check_skip("no configure()");
    }

    baseline(c);

    first = c->conf;
    check_configure(c);

    if (c->conf == first) {
        check_fail("configure() gives the same instance twice");
    }

    check_init(c);

    for (i = 0; i < c->njobs; i++) {
        check_run(c, &c->jobs[i], 0, 0, &answer);
        check_same(&answer, &c->answers[i], "of a second instance");
    }

    if (c->kind.destroy != NULL) {
        check_where = "destroy()";
        c->kind.destroy(first);
        check_where = "";
    }

    for (i = 0; i < c->njobs; i++) {
        check_run(c, &c->jobs[i], 0, 0, &answer);
        check_same(&answer, &c->answers[i], "when the first is gone");
    }
}


/* Twice: what grows once may be a cache. */

void
test_leaks(check_t *c)
{
    int       fds;
    uint32_t  i, n;
    uint64_t  start, before, after[2], until;

    start = check_clock();
    few_jobs(c, 1, UINT64_MAX);
    few_jobs(c, LEAKS / 5, start + SECOND);

    /* as many as there is time for */

    n = LEAKS;
    start = check_clock();
    few_jobs(c, 10, UINT64_MAX);
    until = (check_clock() - start) / 10 + 1;

    if (n * until > 2 * SECOND) {
        n = (uint32_t) (2 * SECOND / until) + 10;
    }

    fds = descriptors();

    for (i = 0; i < 2; i++) {
        before = allocated();
        few_jobs(c, n, UINT64_MAX);
        after[i] = allocated() - before;

        if ((int64_t) after[i] < (int64_t) n * 8) {
            after[i] = 0;
        }
    }

    if (after[0] != 0 && after[1] != 0) {
        check_fail("%u jobs have left %llu bytes behind", n,
                   (unsigned long long) after[1]);
    }

    if (descriptors() > fds) {
        check_fail("%u jobs have left %d files open", 2 * n,
                   descriptors() - fds);
    }

    printf("%u jobs\n", 2 * n);
}


/* Each third one is cleared before it is done, some before any step. */

static void
few_jobs(check_t *c, uint32_t n, uint64_t until)
{
    uint32_t          i;
    check_run_t       run;
    check_answer_t    answer;
    check_control_t   ctl;

    for (i = 0; i < n && check_clock() < until; i++) {
        check_start(c, &run, &c->jobs[i % c->njobs], 0, 0xa5);
        check_control(&ctl, i % 3 == 1);
        ctl.stop = i % 3 == 1;

        if (i % 7 != 6) {
            (void) check_step(c, &run, &ctl);
        }

        if (run.result == HELIX_DONE) {
            check_finish(c, &run, &answer);
            free(answer.data);
        }

        check_end(c, &run);
    }
}


static uint64_t
allocated(void)
{
    struct mallinfo2  info;

    if (__sanitizer_get_current_allocated_bytes != NULL) {
        return __sanitizer_get_current_allocated_bytes();
    }

    info = mallinfo2();

    return info.uordblks + info.hblkhd;
}


static int
descriptors(void)
{
    int   n;
    DIR  *dir;

    dir = opendir("/proc/self/fd");
    n = 0;

    while (dir != NULL && readdir(dir) != NULL) {
        n++;
    }

    if (dir != NULL) {
        closedir(dir);
    }

    return n;
}


void
test_odd(check_t *c)
{
    uint32_t      i, refused;
    uint64_t      start;
    check_job_t   job;
    helix_plan_t  plan;

    start = check_clock();
    refused = 0;

    for (i = 0; i < 2000 && check_clock() - start < 2 * SECOND; i++) {
        job = c->jobs[check_random(c, c->njobs)];
        check_job_odd(c, &job);

        if (check_plan(c, &job, &plan) == HELIX_FAILED) {
            refused++;
            continue;
        }

        if (plan.work <= c->kind.max_work
            && plan.memory + plan.extra <= CHECK_MEMORY)
        {
            odd_job(c, &job);
        }
    }

    printf("%u jobs, %u refused\n", i, refused);
}


/* For a while: most are given up in the middle. */

static void
odd_job(check_t *c, const check_job_t *job)
{
    uint32_t          steps;
    check_run_t       run;
    check_answer_t    answer;
    check_control_t   ctl;

    check_control(&ctl, 0);
    ctl.slice = 1000000;
    check_start(c, &run, job, 0, 0xa5);

    for (steps = 0; steps < 5 && run.result == HELIX_AGAIN; steps++) {
        (void) check_step(c, &run, &ctl);
    }

    if (run.result == HELIX_DONE) {
        check_finish(c, &run, &answer);
        free(answer.data);
    }

    check_end(c, &run);
}
