
/* Jobs of montecarlo_risk in the full form from texts of JSON, and their
   answers as a text; for test_risk*.c and kind_risk.c. */

#ifndef TEST_RISK_H_INCLUDED
#define TEST_RISK_H_INCLUDED


#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helix_json.h"
#include "helix_kinds.h"
#include "helix_risk.h"


#define RISK_KIND  (&helix_kind_montecarlo_risk)


typedef struct {
    helix_args_t          args;
    helix_value_t         values[HELIX_RISK_NPARAMS];
    helix_plan_t          plan;
    void                 *state;
} risk_job_t;


typedef struct {
    helix_output_t        base;
    helix_json_writer_t   w;
    char                  text[16384];
} risk_answer_t;


typedef struct {
    helix_control_t       base;
    uint32_t              every;      /* the k-th poll says stop; 0: never */
    uint64_t              polls;
} risk_control_t;


static inline int
risk_poll(const helix_control_t *base)
{
    risk_control_t  *ctl;

    ctl = (risk_control_t *) base;
    ctl->polls++;

    return ctl->every && ctl->polls % ctl->every == 0;
}


static inline void
risk_control(risk_control_t *ctl, uint32_t every)
{
    memset(ctl, 0, sizeof(risk_control_t));
    ctl->base.size = sizeof(helix_control_t);
    ctl->base.poll = risk_poll;
    ctl->every = every;
}


static inline void
risk_init(risk_job_t *job)
{
    memset(job, 0, sizeof(risk_job_t));
    job->args.size = sizeof(helix_args_t);
    job->args.values = job->values;
}


static inline void
risk_text(risk_job_t *job, uint32_t param, const char *text)
{
    job->values[param].given = (text != NULL);
    job->values[param].text = text;
    job->values[param].len = text ? (uint32_t) strlen(text) : 0;
}


static inline void
risk_u64(risk_job_t *job, uint32_t param, uint64_t value)
{
    job->values[param].given = 1;
    job->values[param].u64 = value;
}


static inline void
risk_f64(risk_job_t *job, uint32_t param, double value)
{
    job->values[param].given = 1;
    job->values[param].f64 = value;
}


static inline int
risk_plan(risk_job_t *job)
{
    memset(&job->plan, 0, sizeof(helix_plan_t));
    job->plan.size = sizeof(helix_plan_t);

    return RISK_KIND->plan(NULL, &job->args, &job->plan);
}


/* Exactly the memory planned, full of rubbish. */

static inline int
risk_start(risk_job_t *job)
{
    if (risk_plan(job) != HELIX_DONE) {
        return HELIX_FAILED;
    }

    if (posix_memalign(&job->state, 64, job->plan.memory) != 0) {
        abort();
    }

    memset(job->state, 0xa5, job->plan.memory);
    RISK_KIND->start(NULL, job->state, &job->args);

    return HELIX_DONE;
}


static inline int
risk_run(risk_job_t *job, uint32_t every)
{
    int             rc;
    risk_control_t  ctl;

    risk_control(&ctl, every);

    do {
        rc = RISK_KIND->step(job->state, &ctl.base);
    } while (rc == HELIX_AGAIN);

    return rc;
}


static inline void
risk_put_u64(helix_output_t *out, uint64_t value)
{
    helix_json_u64(&((risk_answer_t *) out)->w, value);
}


static inline void
risk_put_f64(helix_output_t *out, double value)
{
    helix_json_double(&((risk_answer_t *) out)->w, value);
}


static inline void
risk_put_text(helix_output_t *out, const char *text, size_t len)
{
    helix_json_string(&((risk_answer_t *) out)->w, text, len);
}


static inline void
risk_put_boolean(helix_output_t *out, int value)
{
    helix_json_bool(&((risk_answer_t *) out)->w, value != 0);
}


static inline void
risk_put_key(helix_output_t *out, const char *name)
{
    helix_json_key(&((risk_answer_t *) out)->w, name);
}


static inline void
risk_put_object(helix_output_t *out)
{
    helix_json_object(&((risk_answer_t *) out)->w);
}


static inline void
risk_put_object_end(helix_output_t *out)
{
    helix_json_object_end(&((risk_answer_t *) out)->w);
}


static inline void
risk_put_array(helix_output_t *out)
{
    helix_json_array(&((risk_answer_t *) out)->w);
}


static inline void
risk_put_array_end(helix_output_t *out)
{
    helix_json_array_end(&((risk_answer_t *) out)->w);
}


static inline void
risk_answer(const risk_job_t *job, risk_answer_t *answer)
{
    memset(answer, 0, sizeof(risk_answer_t));
    answer->base.size = sizeof(helix_output_t);
    answer->base.u64 = risk_put_u64;
    answer->base.f64 = risk_put_f64;
    answer->base.text = risk_put_text;
    answer->base.boolean = risk_put_boolean;
    answer->base.key = risk_put_key;
    answer->base.object = risk_put_object;
    answer->base.object_end = risk_put_object_end;
    answer->base.array = risk_put_array;
    answer->base.array_end = risk_put_array_end;

    helix_json_writer_init(&answer->w, answer->text,
                           sizeof(answer->text) - 1);
    RISK_KIND->finish(job->state, &answer->base);
}


/*
 * A number of the answer: the n-th, from 0, after that key in the text that
 * follows "after"; NaN if there is none.
 */

static inline double
risk_number(const char *text, const char *after, const char *key, uint32_t n)
{
    char         name[64];
    const char  *p;

    p = (after != NULL) ? strstr(text, after) : text;
    (void) snprintf(name, sizeof(name), "\"%s\":", key);

    if (p == NULL || (p = strstr(p, name)) == NULL) {
        return __builtin_nan("");
    }

    p += strlen(name);
    p += strspn(p, "[");

    while (n-- != 0) {
        if ((p = strchr(p, ',')) == NULL) {
            return __builtin_nan("");
        }

        p++;
    }

    return strtod(p, NULL);
}


#endif /* TEST_RISK_H_INCLUDED */
