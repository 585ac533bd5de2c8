
/*
 * A kind that is broken in one way, -DBREAK=n: t/kind-check must find it, and
 * nothing of BREAK=0.  It adds up its inputs "rounds" times.
 */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "helix_kind.h"


#ifndef BREAK
#define BREAK  0
#endif

#define BLOCK  4096


typedef struct {
    uint64_t    n;
} conf_t;

typedef struct {
    uint64_t    sum;
    uint64_t    left;
    uint64_t    scale;
    uint64_t   *more;
    const void *args;
    uint32_t    ninputs;
    uint32_t    steps;
    uint64_t    inputs[];
} job_t;


static volatile uint64_t  shared;


static void *
sleeper(void *data)
{
    sleep(1000);

    return data;
}


static void *
configure(const helix_host_t *host, const helix_pair_t *pairs,
    uint32_t npairs, char *error)
{
    static conf_t   only;
    conf_t         *conf;
    pthread_t       id;

    (void) host;

    if (npairs != 0 && BREAK != 1) {
        if (BREAK != 2) {
            snprintf(error, HELIX_KIND_ERROR_MAX, "there is no \"%.40s\"",
                     pairs[0].name);
        }

        return NULL;
    }

    if (BREAK == 3) {
        pthread_create(&id, NULL, sleeper, NULL);
    }

    conf = BREAK == 4 ? &only : calloc(1, sizeof(conf_t));

    return conf;
}


static void
destroy(void *conf)
{
    if (BREAK != 4) {
        free(conf);
    }
}


static int
plan(void *data, const helix_args_t *args, helix_plan_t *plan)
{
    conf_t    *conf;
    uint64_t   rounds;

    conf = data;
    rounds = args->values[0].given ? args->values[0].u64 : 1000;

    if (args->values[1].given && args->values[1].len == 0) {
        plan->field = BREAK == 5 ? "colour" : "text";
        snprintf(plan->error, sizeof(plan->error), "%s",
                 BREAK == 6 ? "" : "is empty");
        return HELIX_FAILED;
    }

    plan->flags = BREAK == 7 ? 0x80 : HELIX_PURE|HELIX_ANYTIME;
    plan->work = BREAK == 8 ? 0 : rounds + (BREAK == 9 ? ++conf->n : 0);
    plan->memory = sizeof(job_t) + args->ninputs * sizeof(uint64_t)
                   - (BREAK == 10 ? 64 : 0);
    plan->nlevels = rounds > 100;
    plan->levels[0].work = BREAK == 11 ? rounds * 2 : rounds / 2;
    plan->levels[0].quality = BREAK == 12 ? 50 : 0.5;

    return HELIX_DONE;
}


static void
start(void *data, void *state, const helix_args_t *args)
{
    job_t  *job;

    (void) data;

    job = state;

    if (BREAK != 13) {
        job->sum = 0;
    }

    job->left = args->values[0].given ? args->values[0].u64 : 1000;
    job->left /= args->level ? 2 : 1;
    job->scale = 1;
    job->more = BREAK == 14 ? malloc(100) : NULL;
    job->ninputs = args->ninputs;
    job->steps = 0;
    job->args = args->inputs;
    memcpy(job->inputs, args->inputs, args->ninputs * sizeof(uint64_t));

    if (BREAK == 15 && args->values[1].given) {
        /* a terminating zero that is not there */
        job->sum += strlen(args->values[1].text);
    }
}


static int
step(void *state, const helix_control_t *ctl)
{
    job_t           *job;
    uint32_t         i;
    uint64_t         n, k;
    const uint64_t  *inputs;

    job = state;
    inputs = BREAK == 16 ? job->args : job->inputs;
    job->steps++;

    if (BREAK == 17 && job->steps == 1) {
        shared = job->sum;

        for (k = 0; k < 200000; k++) {
            shared = shared * 31 + 1;
        }

        job->sum = shared;
    }

    if (BREAK == 18 && job->steps > 1) {
        job->sum = 0;
        job->left = 1;
    }

    if (BREAK == 19 && job->left > 50000) {
        abort();
    }

    if (BREAK == 20) {
        job->sum = 0;
    }

    while (job->left != 0) {
        n = job->left < BLOCK ? job->left : BLOCK;

        for (k = 0; k < n * (BREAK == 21 ? 200 : 1); k++) {
            for (i = 0; i < job->ninputs; i++) {
                job->sum = job->sum * 31 + inputs[i];
            }
        }

        job->left -= n;

        if (job->left != 0 && ctl->poll(ctl) && BREAK != 22) {

            if (BREAK == 23) {
                job->left += n;
            }

            return HELIX_AGAIN;
        }
    }

    return BREAK == 24 && job->steps == 1 ? HELIX_AGAIN : HELIX_DONE;
}


static int
step_batch(void **states, uint8_t *results, uint32_t n,
    const helix_control_t *ctl)
{
    uint32_t   i;
    job_t     *job;

    for (i = 0; i < n; i++) {

        if ((states[i] == NULL && BREAK != 25) || results[i] != HELIX_AGAIN) {
            continue;
        }

        job = states[i];

        if (BREAK == 26 && n > 1) {
            job->sum++;
        }

        results[i] = (uint8_t) step(job, ctl);

        if (results[i] == HELIX_AGAIN) {
            return BREAK == 27 ? HELIX_DONE : HELIX_AGAIN;
        }
    }

    return HELIX_DONE;
}


static double
quality(const void *state)
{
    const job_t  *job;

    job = state;

    return BREAK == 28 ? 2.0 : job->left ? 0.1 : 1.0;
}


static void
finish(const void *state, helix_output_t *out)
{
    job_t  *job;

    job = (job_t *) (uintptr_t) state;

    if (BREAK == 29) {
        out->key(out, "sum");
    }

    if (BREAK == 30) {
        out->array(out);
    }

    if (BREAK == 31) {
        out->f64(out, 0.0 / (double) (job->scale - 1));
        return;
    }

    if (BREAK == 32) {
        job->sum++;
    }

    if (BREAK == 33) {
        out->text(out, "\xff", 1);
    }

    if (BREAK != 34) {
        out->u64(out, job->sum);
    }
}


static void
clear(void *state)
{
    (void) state;
}


static const helix_param_t  params[] = {
    { BREAK == 35 ? "id" : "rounds", HELIX_PARAM_U64, 1,
      BREAK == 36 ? 0 : 100000, "rounds" },
    { BREAK == 37 ? "Text" : "text", HELIX_PARAM_TEXT, 0, 100, "a text" },
    { NULL, HELIX_PARAM_U64, 0, 0, NULL }
};

static const char *const  levels[] = {
    BREAK == 38 ? "half way" : "half", NULL
};

static const helix_kind_t  kind = {
    .size = BREAK == 39 ? 16 : sizeof(helix_kind_t),
    .abi = BREAK == 40 ? HELIX_KIND_ABI + 1 : HELIX_KIND_ABI,
    .name = "broken",
    .max_work = BREAK == 41 ? 0 : 10000000,
    .flags = BREAK == 42 ? 0x10 : BREAK == 43 ? HELIX_BLOCKING : 0,
    .params = params,
    .levels = levels,
    .configure = configure,
    .destroy = destroy,
    .plan = plan,
    .start = start,
    .step = step,
    .step_batch = step_batch,
    .quality = quality,
    .finish = BREAK == 44 ? NULL : finish,
    .clear = clear
};


const helix_kind_t *
helix_kind_entry(const helix_host_t *host)
{
    return BREAK == 45 || host->abi != HELIX_KIND_ABI ? NULL : &kind;
}
