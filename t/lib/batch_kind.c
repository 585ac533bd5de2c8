
/*
 * A kind for tests of batches: a job takes as long as it is told to, in
 * processor time; of a batch each but the first takes a tenth of it, or all
 * with gain=off.  It tells how it was called.  With -DBLOCKING it sleeps
 * instead, in one piece: what it takes is not processor time.
 *
 *     cc -shared -fPIC -Isrc/kinds t/lib/batch_kind.c -o batch.so
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "helix_kind.h"


#define UNIT   700                  /* rounds a microsecond, about */
#define BLOCK  10                   /* microseconds from poll to poll */

#define count(p, n)  __atomic_add_fetch(p, n, __ATOMIC_RELAXED)


typedef struct {
    uint64_t    share;              /* of one that comes along, percent */
    uint64_t    batches;            /* that were run to their end */
    uint64_t    jobs;               /* in them */
    uint64_t    largest;
    uint64_t    mixed;              /* jobs of another key than the first */
} conf_t;

typedef struct {
    conf_t     *conf;
    uint64_t    key;
    uint64_t    work;               /* microseconds */
    uint64_t    left;
    uint64_t    begun;
    uint64_t    report;
    uint64_t    answer;
    uint64_t    sum;                /* of the rounds, so that they are made */
} job_t;


enum { KEY, MICROS, REPORT };

static const helix_param_t  params[] = {
    { "key", HELIX_PARAM_U64, 0, 1e6, "of the batch" },
    { "micros", HELIX_PARAM_U64, 1, 1e7, "time that it takes" },
    { "report", HELIX_PARAM_U64, 0, 1, "answer with what has been counted" },
    { NULL, 0, 0, 0, NULL }
};


static void *
configure(const helix_host_t *host, const helix_pair_t *pairs,
    uint32_t npairs, char *error)
{
    conf_t  *conf;

    (void) host;

    if (npairs && (npairs > 1 || strcmp(pairs[0].name, "gain")
                   || strcmp(pairs[0].value, "off")))
    {
        snprintf(error, HELIX_KIND_ERROR_MAX, "\"gain=off\" is expected");
        return NULL;
    }

    conf = calloc(1, sizeof(conf_t));

    if (conf) {
        conf->share = npairs ? 100 : 10;
    }

    return conf;
}


static int
plan(void *conf, const helix_args_t *args, helix_plan_t *p)
{
    (void) conf;

    p->work = args->values[MICROS].given ? args->values[MICROS].u64 : 1;
    p->memory = sizeof(job_t);
    p->batch_key = args->values[KEY].u64;

    return HELIX_DONE;
}


static void
start(void *conf, void *state, const helix_args_t *args)
{
    uint32_t   i;
    job_t     *job = state;

    memset(job, 0, sizeof(job_t));

    job->conf = conf;
    job->key = args->values[KEY].u64;
    job->work = args->values[MICROS].given ? args->values[MICROS].u64 : 1;
    job->report = args->values[REPORT].u64;

    for (i = 0; i < args->ninputs; i++) {
        job->answer = (job->answer ^ args->inputs[i]) * 0x9e3779b97f4a7c15;
    }
}


#ifdef BLOCKING

static int
step(void *state, const helix_control_t *ctl)
{
    job_t            *job = state;
    struct timespec   ts = { (time_t) (job->work / 1000000),
                             (long) (job->work % 1000000 * 1000) };

    (void) ctl;

    nanosleep(&ts, NULL);

    return HELIX_DONE;
}

#else

/* True when there is nothing left to do. */

static int
work(job_t *job, uint64_t share, const helix_control_t *ctl)
{
    uint64_t  i, n;

    if (!job->begun) {
        job->begun = 1;
        job->left = job->work * share;      /* in hundredths */
    }

    while (job->left) {
        n = job->left < BLOCK * 100 ? job->left : BLOCK * 100;
        job->left -= n;

        for (i = 0; i < n * UNIT / 100; i++) {
            job->sum = job->sum * 6364136223846793005 + i;
        }

        if (job->left && ctl->poll(ctl)) {
            return 0;
        }
    }

    return 1;
}


static int
step(void *state, const helix_control_t *ctl)
{
    return work(state, 100, ctl) ? HELIX_DONE : HELIX_AGAIN;
}


static int
step_batch(void **states, uint8_t *results, uint32_t n,
    const helix_control_t *ctl)
{
    job_t     *job, *first;
    uint32_t   i, jobs, mixed;

    first = NULL;
    jobs = 0;
    mixed = 0;

    for (i = 0; i < n; i++) {
        job = states[i];

        if (job == NULL) {
            continue;
        }

        first = first ? first : job;
        jobs++;
        mixed += (job->key != first->key);

        if (results[i] != HELIX_AGAIN) {
            continue;
        }

        if (!work(job, job == first ? 100 : job->conf->share, ctl)) {
            return HELIX_AGAIN;
        }

        results[i] = HELIX_DONE;
    }

    if (first) {
        count(&first->conf->batches, 1);
        count(&first->conf->jobs, jobs);
        count(&first->conf->mixed, mixed);

        if (jobs > first->conf->largest) {
            first->conf->largest = jobs;
        }
    }

    return HELIX_DONE;
}

#endif


static void
finish(const void *state, helix_output_t *out)
{
    const job_t  *job = state;

    if (!job->report) {
        out->u64(out, job->answer);
        return;
    }

    out->u64(out, job->conf->batches);
    out->u64(out, job->conf->jobs);
    out->u64(out, job->conf->largest);
    out->u64(out, job->conf->mixed);
}


static const helix_kind_t  kind = {
    .size = sizeof(helix_kind_t),
    .abi = HELIX_KIND_ABI,
    .name = "batch_kind",
    .max_work = 10000000,
#ifdef BLOCKING
    .flags = HELIX_BLOCKING,
#else
    .step_batch = step_batch,
#endif
    .params = params,
    .configure = configure,
    .destroy = free,
    .plan = plan,
    .start = start,
    .step = step,
    .finish = finish
};


const helix_kind_t *
helix_kind_entry(const helix_host_t *host)
{
    return host->size >= sizeof(helix_host_t) ? &kind : NULL;
}
