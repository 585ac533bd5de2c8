
/*
 * levenshtein: how many bytes must be inserted, deleted or replaced to make
 * one text of another.  An example of a kind: see docs/kinds.md.
 *
 *     gcc -std=c11 -O2 -fPIC -shared -Isrc/kinds -o levenshtein.so levenshtein.c
 */

#include <stdio.h>
#include <string.h>

#include "helix_kind.h"


#define TEXT_MAX  4096
#define BLOCK     4096              /* cells between two polls */
#define BAND      32                /* of "near": from the diagonal */
#define FAR       (2 * TEXT_MAX)


typedef struct {
    uint32_t   la, lb, i, band;     /* i rows are done */
    uint32_t   row[];               /* lb + 1 cells, then the texts */
} job_t;


static int
plan(void *conf, const helix_args_t *args, helix_plan_t *plan)
{
    uint32_t  la = args->values[0].len, lb = args->values[1].len;

    (void) conf;

    if (!args->values[0].given || !args->values[1].given) {
        plan->field = args->values[0].given ? "b" : "a";
        snprintf(plan->error, sizeof(plan->error), "two texts are needed");
        return HELIX_FAILED;
    }

    plan->flags = HELIX_PURE;
    plan->work = (uint64_t) la * lb + la + lb + 64;
    plan->memory = sizeof(job_t) + (lb + 1) * sizeof(uint32_t) + la + lb;

    if (la > 4 * BAND && la < lb + BAND && lb < la + BAND) {
        plan->nlevels = 1;
        plan->levels[0].work = la * (2 * BAND + 1) + la + lb + 64;
        plan->levels[0].quality = 0.5;
    }

    return HELIX_DONE;
}


static void
start(void *conf, void *state, const helix_args_t *args)
{
    char                 *text;
    job_t                *job = state;
    const helix_value_t  *a = &args->values[0], *b = &args->values[1];

    (void) conf;

    *job = (job_t) { a->len, b->len, 0, args->level ? BAND : TEXT_MAX };

    for (uint32_t k = 0; k <= b->len; k++) {
        job->row[k] = k <= job->band ? k : FAR;
    }

    text = (char *) &job->row[b->len + 1];
    memcpy(text, a->text, a->len);
    memcpy(text + a->len, b->text, b->len);
}


/* Row by row; "near" leaves out what is far from the diagonal. */

static int
step(void *state, const helix_control_t *ctl)
{
    job_t       *job = state;
    uint32_t     k, from, to, left, over, best, cells = 0;
    const char  *a = (char *) &job->row[job->lb + 1], *b = a + job->la;

    while (job->i < job->la) {
        from = job->i > job->band ? job->i - job->band : 0;
        to = job->i + job->band < job->lb ? job->i + job->band : job->lb;
        over = job->row[from];
        left = from ? FAR : job->i + 1;
        job->row[from] = left;

        for (k = from; k < to; k++) {
            best = over + (a[job->i] != b[k]);
            over = job->row[k + 1];
            best = best < over + 1 ? best : over + 1;
            left = best < left + 1 ? best : left + 1;
            job->row[k + 1] = left;
        }

        job->i++;
        cells += to - from + 8;

        if (cells >= BLOCK && job->i < job->la) {
            cells = 0;

            if (ctl->poll(ctl)) {
                return HELIX_AGAIN;
            }
        }
    }

    return HELIX_DONE;
}


static void
finish(const void *state, helix_output_t *out)
{
    const job_t  *job = state;

    out->u64(out, job->row[job->lb]);
}


static const helix_param_t  params[] = {
    { "a", HELIX_PARAM_TEXT, 0, TEXT_MAX, "a text" },
    { "b", HELIX_PARAM_TEXT, 0, TEXT_MAX, "another text" },
    { NULL, HELIX_PARAM_TEXT, 0, 0, NULL }
};

static const char *const  levels[] = { "near", NULL };

static const helix_kind_t  kind = {
    .size = sizeof(helix_kind_t), .abi = HELIX_KIND_ABI,
    .name = "levenshtein", .max_work = 500000000,
    .params = params, .levels = levels,
    .plan = plan, .start = start, .step = step, .finish = finish
};


const helix_kind_t *
helix_kind_entry(const helix_host_t *host)
{
    return host->abi == HELIX_KIND_ABI ? &kind : NULL;
}
