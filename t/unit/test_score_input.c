
/* score: what a client may send, and how numbers come back. */

#include "score_job.h"


/* What an answer says is the float itself, in at most nine digits. */

static void
test_numbers(void **unused)
{
    void         *conf;
    char          text[40];
    float         features[64], w[1] = { 1 }, b[1] = { 0 };
    uint32_t      i, k;
    uint64_t      seed;
    request_t     r;
    score_net_t   net;

    (void) unused;
    seed = 10;

    memset(&net, 0, sizeof(net));
    net.nlayers = 1;
    net.widths[0] = net.widths[1] = 1;
    net.weights[0] = w;
    net.bias[0] = b;
    net.activation = net.output = "identity";
    conf = score_configure(&net);

    for (i = 0; i < 1500; i++) {
        for (k = 0; k < 64; k++) {
            features[k] = (i % 2) ? any_float(&seed)
                          : ldexpf(score_random_float(&seed),
                                   (int) (score_random(&seed) % 70) - 40);
        }

        request_body(&r, features, sizeof(features));
        assert_int_equal(job_run(conf, &r, 0), HELIX_DONE);
        assert_int_equal(answer.n, 64);

        for (k = 0; k < 64; k++) {
            assert_true((float) answer.values[k] == features[k]);

            if (fabsf(features[k]) >= 1e-13f && fabsf(features[k]) < 1e9f) {
                snprintf(text, sizeof(text), "%.9g", answer.values[k]);
                assert_true(strtod(text, NULL) == answer.values[k]);
            }
        }
    }

    request_json(&r, "[0.1]");
    assert_int_equal(job_run(conf, &r, 0), HELIX_DONE);
    assert_true(answer.values[0] == 0.1);

    request_json(&r, "[-16777217]");
    assert_int_equal(job_run(conf, &r, 0), HELIX_DONE);
    assert_true(answer.values[0] == -16777216);

    helix_kind_score.destroy(conf);
}


static void
test_types(void **unused)
{
    void         *conf;
    float         w[6] = { 0.5f, -0x1p-24f, 65504, 1.5f, -2, 0x1p-14f };
    float         b[2] = { 1, -0.25f };
    uint32_t      k;
    request_t     r;
    score_net_t   net;

    (void) unused;

    memset(&net, 0, sizeof(net));
    net.nlayers = 1;
    net.widths[0] = 3;
    net.widths[1] = 2;
    net.weights[0] = w;
    net.bias[0] = b;
    net.activation = net.output = "identity";

    request_json(&r, "[[1,0,0],[0,1,0],[0,0,1]]");

    for (k = 0; k < 2; k++) {
        net.type = k ? SCORE_BF16 : SCORE_F16;

        if (net.type == SCORE_BF16) {
            w[2] = 65536;
        }

        conf = score_configure(&net);
        assert_int_equal(job_run(conf, &r, 0), HELIX_DONE);
        assert_int_equal(answer.n, 6);
        assert_true((float) answer.values[0] == w[0] + b[0]);
        assert_true((float) answer.values[1] == w[3] + b[1]);
        assert_true((float) answer.values[2] == w[1] + b[0]);
        assert_true((float) answer.values[4] == w[2] + b[0]);
        assert_true((float) answer.values[5] == w[5] + b[1]);
        helix_kind_score.destroy(conf);
    }
}


typedef struct {
    const char  *features;
    const char  *format;
    const char  *field;
    const char  *error;
} refused_t;


static const refused_t  refused[] = {
    { NULL, NULL, "features", "features are needed, 2 numbers" },
    { "[]", NULL, "features", "numbers or rows" },
    { "{}", NULL, "features", "are an array" },
    { "7", NULL, "features", "are an array" },
    { "[1]", NULL, "features", "row 1 has 1 features, the model takes 2" },
    { "[1,2,3]", NULL, "features", "row 1 has 3 features" },
    { "[[1,2],[1]]", NULL, "features", "row 2 has 1 features" },
    { "[[1,2],[]]", NULL, "features", "row 2 has 0 features" },
    { "[[1,2],3]", NULL, "features", "numbers or rows" },
    { "[1,[2]]", NULL, "features", "row 1, feature 2 is no number" },
    { "[1,\"2\"]", NULL, "features", "feature 2 is no number" },
    { "[null,1]", NULL, "features", "numbers or rows" },
    { "[1,1e39]", NULL, "features", "row 1, feature 2 is too large" },
    { "[1,1e999]", NULL, "features", "row 1, feature 2 is too large" },
    { "[340282356779733661637539395458142568448,0]", NULL, "features",
      "row 1, feature 1 is too large" },
    { "[1,2]", "xml", "format", "json or binary" },
    { "[1,2]", "", "format", "json or binary" }
};


static int
plan_refused(void *conf, const request_t *r, const char *field,
    const char *text)
{
    helix_plan_t  plan;

    memset(&plan, 0, sizeof(plan));
    plan.size = sizeof(plan);

    return helix_kind_score.plan(conf, &r->args, &plan) == HELIX_FAILED
           && strstr(plan.error, text) != NULL
           && (field ? plan.field != NULL && strcmp(plan.field, field) == 0
                     : plan.field == NULL);
}


static void
test_features(void **unused)
{
    char         *text;
    void         *conf;
    size_t        i;
    float         body[65 * 2 + 1];
    request_t     r;
    score_net_t   net;

    (void) unused;

    net = hand_net();
    conf = score_configure(&net);

    for (i = 0; i < countof(refused); i++) {
        request_init(&r);

        if (refused[i].features) {
            request_json(&r, refused[i].features);
        }

        if (refused[i].format) {
            request_format(&r, refused[i].format);
        }

        if (!plan_refused(conf, &r, refused[i].field, refused[i].error)) {
            fail_msg("%s", refused[i].error);
        }
    }

    /* 65 rows */

    text = malloc(65 * 6 + 3);
    text[0] = '[';

    for (i = 0; i < 65; i++) {
        memcpy(text + 1 + 6 * i, "[1,2],", 6);
    }

    text[65 * 6] = ']';
    text[65 * 6 + 1] = '\0';
    request_json(&r, text);
    assert_true(plan_refused(conf, &r, "features", "at most 64 rows"));

    memcpy(text + 64 * 6, "]", 2);
    request_json(&r, text);
    assert_int_equal(job_run(conf, &r, 0), HELIX_DONE);
    assert_int_equal(answer.n, 64);
    free(text);

    memset(body, 0, sizeof(body));

    request_body(&r, body, 7);
    assert_true(plan_refused(conf, &r, NULL, "the body has 7 bytes"));
    request_body(&r, body, 0);
    assert_true(plan_refused(conf, &r, NULL, "the body has 0 bytes"));
    request_body(&r, body, 65 * 8);
    assert_true(plan_refused(conf, &r, NULL, "the body has 520 bytes"));

    body[3] = NAN;
    request_body(&r, body, 16);
    assert_true(plan_refused(conf, &r, NULL, "row 2, feature 2 is not"));

    request_body(&r, body, 8);
    r.values[0].given = 1;
    assert_true(plan_refused(conf, &r, "features", "which is it"));

    /* a body may begin anywhere */

    body[0] = 2;
    body[1] = 1;
    memmove((char *) body + 1, body, 8);
    request_body(&r, (char *) body + 1, 8);
    assert_int_equal(job_run(conf, &r, 0), HELIX_DONE);
    assert_true(answer.values[0] == 1.5);

    /* several rows as a body */

    request_json(&r, "[[2,1],[-4,0.25],[0,0]]");
    request_format(&r, "binary");
    assert_int_equal(job_run(conf, &r, 0), HELIX_DONE);
    assert_int_equal(answer.n, 0);
    assert_int_equal(answer.body_len, 12);
    assert_true(answer.body[0] == 1.5f && answer.body[1] == 0.5f
                && answer.body[2] == 3.5f);

    helix_kind_score.destroy(conf);
}


/* A job of 64 rows of eight is as much work as they are one by one. */

static void
test_plan(void **unused)
{
    void          *conf;
    float          features[64 * 64];
    uint64_t       seed;
    request_t      r;
    score_net_t    net;
    helix_plan_t   plan;

    (void) unused;
    seed = 11;

    memset(&net, 0, sizeof(net));
    net.nlayers = 1;
    net.widths[0] = 64;
    net.widths[1] = 64;
    net.activation = net.output = "identity";
    score_net_fill(&net, &seed);
    conf = score_configure(&net);

    memset(features, 0, sizeof(features));
    memset(&plan, 0, sizeof(plan));
    plan.size = sizeof(plan);

    request_body(&r, features, 64 * sizeof(float));
    assert_int_equal(helix_kind_score.plan(conf, &r.args, &plan), HELIX_DONE);
    assert_int_equal(plan.work, 9);
    assert_true(plan.memory < 1024);

    request_body(&r, features, sizeof(features));
    assert_int_equal(helix_kind_score.plan(conf, &r.args, &plan), HELIX_DONE);
    assert_int_equal(plan.work, 283);
    assert_true(plan.memory < 65536);

    helix_kind_score.destroy(conf);
    score_net_free(&net);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_features),
        cmocka_unit_test(test_plan)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
