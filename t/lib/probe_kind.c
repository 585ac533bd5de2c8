
/*
 * A kind for tests: answers with what it was given, takes as long as it is
 * told to, and has every part of the ABI.  -DBREAK=n makes it one that must
 * not be loaded.
 *
 *     cc -shared -fPIC -Isrc/kinds t/lib/probe_kind.c -o probe.so
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helix_kind.h"

#ifndef BREAK
#define BREAK  0
#endif

#define UNIT   700                  /* rounds a microsecond, about */
#define TEXT   4096


typedef struct {
    char                 greeting[64];
    int                  down;
} probe_t;


typedef struct {
    probe_t             *probe;
    void                *extra;
    uint64_t             done;
    uint64_t             work;
    uint64_t             sum;
    uint64_t             fail;
    uint64_t             level;
    uint64_t             count;
    uint64_t             binary;
    double               ratio;
    uint32_t             text_len;
    uint32_t             data_len;
    uint64_t             body_len;
    char                 type[64];
    char                 text[TEXT];
    char                 data[TEXT];
    unsigned char        body[];
} job_t;


enum { COUNT, RATIO, NOTE, DATA, MICROS, FAIL, LEVELS, EXTRA, PURE, BINARY };

static const helix_param_t  params[] = {
    { "count", HELIX_PARAM_U64, 1, 1000, "how many" },
    { "ratio", HELIX_PARAM_F64, -1, 1.5, "how much" },
    { "note", HELIX_PARAM_TEXT, 0, 16, "a few words" },
    { "data", HELIX_PARAM_JSON, 0, TEXT, "anything" },
    { "micros", HELIX_PARAM_U64, 0, 1e7, "time that it takes" },
    { "fail", HELIX_PARAM_U64, 0, 2, "1: plan, 2: step" },
    { "levels", HELIX_PARAM_U64, 0, 2, "ways to answer with less" },
    { "extra", HELIX_PARAM_U64, 0, 1e12, "bytes beside" },
    { "pure", HELIX_PARAM_U64, 0, 2, "1: pure, 2: with its id" },
    { "binary", HELIX_PARAM_U64, 0, 1, "answer with the body" },
#if (BREAK == 3)
    { "cost", HELIX_PARAM_U64, 0, 1, "a name that all jobs have" },
#endif
    { NULL, 0, 0, 0, NULL }
};

#if defined MANY
static const char *const  levels[] = {
    "half", "tenth", "third_of_the_whole_with_a_name_", "fourth", "fifth",
    "sixth", "seventh", NULL
};
#elif !defined NAMELESS
static const char *const  levels[] = { "half", "tenth", NULL };
#endif


static void *
configure(const helix_host_t *host, const helix_pair_t *pairs,
    uint32_t npairs, char *error)
{
    uint32_t   i;
    probe_t   *probe;

    probe = calloc(1, sizeof(probe_t));

    if (probe == NULL) {
        return NULL;
    }

    for (i = 0; i < npairs; i++) {
        if (strcmp(pairs[i].name, "greeting") == 0) {
            snprintf(probe->greeting, sizeof(probe->greeting), "%s",
                     pairs[i].value);

        } else if (strcmp(pairs[i].name, "down") == 0) {
            probe->down = 1;

        } else {
            snprintf(error, HELIX_KIND_ERROR_MAX,
                     "unknown key \"%s\", \"greeting\" is expected",
                     pairs[i].name);
            free(probe);
            return NULL;
        }
    }

    host->log(HELIX_LOG_NOTICE, "probe", "configured");

    return probe;
}


static int
init(void *conf, char *error)
{
    probe_t *probe = conf;

    if (probe->down) {
        snprintf(error, HELIX_KIND_ERROR_MAX, "told to be down");
        return HELIX_FAILED;
    }

    return HELIX_DONE;
}


static int
plan(void *conf, const helix_args_t *args, helix_plan_t *p)
{
    uint32_t  i;

    (void) conf;

    if (args->values[FAIL].u64 == 1) {
        p->field = "fail";
        snprintf(p->error, HELIX_KIND_ERROR_MAX, "told to fail");
        return HELIX_FAILED;
    }

    p->work = args->values[MICROS].given ? args->values[MICROS].u64
                                         : args->cost;
    p->work += (p->work == 0);
    p->memory = sizeof(job_t) + args->body_len;
    p->extra = args->values[EXTRA].u64;
    p->flags = (args->values[PURE].u64 == 1) ? HELIX_PURE
               : (args->values[PURE].u64 == 2) ? HELIX_PURE_ID : 0;

    p->flags |= HELIX_ANYTIME;

    p->nlevels = (uint32_t) args->values[LEVELS].u64;

    for (i = 0; i < p->nlevels; i++) {
        p->levels[i].name = i;
        p->levels[i].quality = i ? 0.1 : 0.5;
        p->levels[i].work = p->work / (i ? 10 : 2) + 1;
    }

    return HELIX_DONE;
}


static void
start(void *conf, void *state, const helix_args_t *args)
{
    job_t                *job = state;
    const helix_value_t  *v = args->values;

    memset(job, 0, sizeof(job_t));

    job->probe = conf;
    job->extra = malloc(16);

    job->work = v[MICROS].given ? v[MICROS].u64 : args->cost;
    job->work = (args->level == 1) ? job->work / 2
                : (args->level == 2) ? job->work / 10 : job->work;

    job->fail = v[FAIL].u64;
    job->level = args->level;
    job->count = v[COUNT].u64;
    job->ratio = v[RATIO].f64;
    job->binary = v[BINARY].u64;
    job->text_len = v[NOTE].len;
    job->data_len = v[DATA].len;

    if (job->text_len) {
        memcpy(job->text, v[NOTE].text, v[NOTE].len);
    }

    if (job->data_len) {
        memcpy(job->data, v[DATA].text, v[DATA].len);
    }

    if (args->body_len) {
        snprintf(job->type, sizeof(job->type), "%s", args->body_type);
        memcpy(job->body, args->body, args->body_len);
        job->body_len = args->body_len;
    }
}


static int
step(void *state, const helix_control_t *ctl)
{
    job_t    *job = state;
    uint32_t  i;

    if (job->fail == 2) {
        return HELIX_FAILED;
    }

    while (job->done < job->work) {
        for (i = 0; i < 10 * UNIT; i++) {
            job->sum = job->sum * 6364136223846793005ULL + i;
        }

        job->done += 10;

        if (ctl->poll(ctl) && job->done < job->work) {
            return HELIX_AGAIN;
        }
    }

    return HELIX_DONE;
}


static double
quality(const void *state)
{
    const job_t *job = state;

    return job->work ? (double) job->done / (double) job->work : 1;
}


static void
finish(const void *state, helix_output_t *out)
{
    const job_t *job = state;

    if (job->binary) {
        out->body(out, "application/x-probe", job->body, job->body_len);
        return;
    }

    out->object(out);
    out->key(out, "greeting");
    out->text(out, job->probe->greeting, strlen(job->probe->greeting));
    out->key(out, "count");
    out->u64(out, job->count);
    out->key(out, "ratio");
    out->f64(out, job->ratio);
    out->key(out, "note");
    out->text(out, job->text, job->text_len);
    out->key(out, "data");
    out->text(out, job->data, job->data_len);
    out->key(out, "type");
    out->text(out, job->type, strlen(job->type));
    out->key(out, "bytes");
    out->u64(out, job->body_len);
    out->key(out, "level");
    out->u64(out, job->level);
    out->key(out, "truncated");
    out->boolean(out, (int) out->truncated);
    out->key(out, "list");
    out->array(out);
    out->u64(out, 1);
    out->f64(out, 2.5);
    out->array_end(out);
    out->object_end(out);
}


static void
clear(void *state)
{
    job_t *job = state;

    free(job->extra);
}


static const helix_kind_t  kind = {
#if (BREAK == 1)
    .size = 16,
#else
    .size = sizeof(helix_kind_t),
#endif
    .abi = HELIX_KIND_ABI + (BREAK == 2),
    .name = "probe",
    .max_work = 10000000,
#if (BREAK == 4)
    .flags = 0x80,
#elif defined BLOCKING
    .flags = HELIX_BLOCKING,
#endif
    .params = params,
#if !defined NAMELESS
    .levels = levels,
#endif
    .accepts = "application/octet-stream text/x-probe",
    .configure = configure,
    .destroy = free,
    .init = init,
#if (BREAK != 5)
    .plan = plan,
#endif
    .start = start,
    .step = step,
#if !defined BLOCKING
    .quality = quality,
#endif
    .finish = finish,
    .clear = clear
};


#if (BREAK != 6)

const helix_kind_t *
helix_kind_entry(const helix_host_t *host)
{
    return (host->size >= sizeof(helix_host_t) && BREAK != 7) ? &kind : NULL;
}

#endif
