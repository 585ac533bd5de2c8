
/* Jobs of score and their answers, for its tests. */

#ifndef SCORE_JOB_H_INCLUDED
#define SCORE_JOB_H_INCLUDED


#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "helix_kinds.h"
#include "helix_score.h"
#include "control.h"
#include "score_file.h"


#define MAX_VALUES  (64 * 4096)

#define countof(a)  (sizeof(a) / sizeof((a)[0]))


typedef struct {
    helix_output_t    base;
    uint32_t          n;
    uint32_t          arrays;
    int               open;
    size_t            body_len;
    double            values[MAX_VALUES];
    float             body[MAX_VALUES];
} answer_t;


/* What a client sends. */

typedef struct {
    helix_args_t      args;
    helix_value_t     values[2];
} request_t;


static answer_t  answer;


static inline uint32_t
bits_of(float x)
{
    uint32_t  bits;

    memcpy(&bits, &x, sizeof(bits));

    return bits;
}


static inline void
answer_f64(helix_output_t *out, double value)
{
    (void) out;
    assert_true(answer.n < MAX_VALUES);
    assert_true(isfinite(value));
    answer.values[answer.n++] = value;
}


static inline void
answer_array(helix_output_t *out)
{
    (void) out;
    assert_int_equal(answer.open++, 0);
    answer.arrays++;
}


static inline void
answer_array_end(helix_output_t *out)
{
    (void) out;
    assert_int_equal(--answer.open, 0);
}


static inline void
answer_body(helix_output_t *out, const char *type, const void *data,
    size_t len)
{
    (void) out;
    assert_string_equal(type, "application/octet-stream");
    assert_true(len <= sizeof(answer.body));
    memcpy(answer.body, data, len);
    answer.body_len = len;
}


static inline void
answer_of(const void *state)
{
    memset(&answer, 0, offsetof(answer_t, values));
    answer.base.size = sizeof(helix_output_t);
    answer.base.f64 = answer_f64;
    answer.base.array = answer_array;
    answer.base.array_end = answer_array_end;
    answer.base.body = answer_body;

    helix_kind_score.finish(state, &answer.base);
    assert_int_equal(answer.open, 0);
}


static inline void
request_init(request_t *r)
{
    memset(r, 0, sizeof(request_t));
    r->args.size = sizeof(helix_args_t);
    r->args.values = r->values;
}


static inline void
request_json(request_t *r, const char *features)
{
    request_init(r);
    r->values[0].given = 1;
    r->values[0].text = features;
    r->values[0].len = (uint32_t) strlen(features);
}


static inline void
request_body(request_t *r, const void *body, size_t len)
{
    request_init(r);
    r->args.body = body;
    r->args.body_len = len;
    r->args.body_type = "application/octet-stream";
}


static inline void
request_format(request_t *r, const char *format)
{
    r->values[1].given = 1;
    r->values[1].text = format;
    r->values[1].len = (uint32_t) strlen(format);
}


/* Exactly plan->memory bytes, full of what no float is. */

static inline void *
job_start(void *conf, const request_t *r)
{
    char          *state;
    helix_plan_t   plan;

    memset(&plan, 0, sizeof(plan));
    plan.size = sizeof(plan);

    assert_int_equal(helix_kind_score.plan(conf, &r->args, &plan),
                     HELIX_DONE);
    assert_true(plan.work > 0);
    assert_int_equal(plan.flags, HELIX_PURE);

    state = aligned_alloc(64, (plan.memory + 63) / 64 * 64);
    assert_non_null(state);
    memset(state, 0xff, plan.memory);

    helix_kind_score.start(conf, state, &r->args);

    return state;
}


/* Runs it, stopped at every k-th poll; returns how it ended. */

static inline int
job_run(void *conf, const request_t *r, uint32_t every)
{
    int         rc;
    void       *state;
    control_t   ctl;

    state = job_start(conf, r);
    control_init(&ctl, every);

    do {
        rc = helix_kind_score.step(state, &ctl.base);
        assert_true(rc != HELIX_AGAIN || every != 0);
    } while (rc == HELIX_AGAIN);

    if (rc == HELIX_DONE) {
        answer_of(state);
    }

    free(state);

    return rc;
}


static inline float
any_float(uint64_t *seed)
{
    float     x;
    uint32_t  bits;

    do {
        bits = (uint32_t) score_random(seed);
        memcpy(&x, &bits, sizeof(x));
    } while (!isfinite(x));

    return x;
}


/* 2 -> 2 -> 1: relu(x0 - x1 + 1), relu(2 x0 + x1); 3 a - b + 0.5 */

static const float  hand_w0[] = { 1, -1, 2, 1 };
static const float  hand_b0[] = { 1, 0 };
static const float  hand_w1[] = { 3, -1 };
static const float  hand_b1[] = { 0.5f };


static inline score_net_t
hand_net(void)
{
    score_net_t  net;

    memset(&net, 0, sizeof(net));

    net.nlayers = 2;
    net.widths[0] = 2;
    net.widths[1] = 2;
    net.widths[2] = 1;
    net.weights[0] = hand_w0;
    net.weights[1] = hand_w1;
    net.bias[0] = hand_b0;
    net.bias[1] = hand_b1;
    net.activation = "relu";
    net.output = "identity";

    return net;
}


#endif /* SCORE_JOB_H_INCLUDED */
