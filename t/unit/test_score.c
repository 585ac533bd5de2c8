
/*
 * score: small models by hand, random ones against doubles, and that neither
 * company, interruptions nor the instruction set change a bit of an answer.
 */

#include "score_job.h"


#define MAX_JOBS  64


/* The model in doubles, a row of it. */

static double
plain_function(const char *name, double x)
{
    if (strcmp(name, "relu") == 0) {
        return x > 0 ? x : 0;
    }

    if (strcmp(name, "tanh") == 0) {
        return tanh(x);
    }

    if (strcmp(name, "gelu") == 0) {
        return x * 0.5 * erfc(-x / sqrt(2));
    }

    if (strcmp(name, "sigmoid") == 0) {
        return 1 / (1 + exp(-x));
    }

    return x;
}


static void
plain(const score_net_t *net, const float *features, double *y)
{
    double        *x, sum, max;
    uint32_t       l, i, k, in, out;
    const float   *w, *b;

    x = malloc(16384 * sizeof(double));
    assert_non_null(x);

    for (i = 0; i < net->widths[0]; i++) {
        y[i] = features[i];

        if (net->mean) {
            y[i] = ((double) features[i] - net->mean[i]) / net->std[i];
        }
    }

    for (l = 0; l < net->nlayers; l++) {
        in = net->widths[l];
        out = net->widths[l + 1];
        w = net->weights[l];
        b = net->bias[l];
        memcpy(x, y, in * sizeof(double));

        for (i = 0; i < out; i++) {
            sum = b ? b[i] : 0;

            for (k = 0; k < in; k++) {
                sum += (double) w[(size_t) i * in + k] * x[k];
            }

            y[i] = plain_function(l + 1 < net->nlayers ? net->activation
                                                       : net->output, sum);
        }
    }

    free(x);

    if (strcmp(net->output, "softmax") != 0) {
        return;
    }

    out = net->widths[net->nlayers];
    max = y[0];
    sum = 0;

    for (i = 1; i < out; i++) {
        max = y[i] > max ? y[i] : max;
    }

    for (i = 0; i < out; i++) {
        y[i] = exp(y[i] - max);
        sum += y[i];
    }

    for (i = 0; i < out; i++) {
        y[i] /= sum;
    }
}


static void
test_by_hand(void **unused)
{
    void         *conf;
    request_t     r;
    score_net_t   net;
    const float   mean[] = { 1, 2 }, std[] = { 0.5f, 4 }, body[] = { 2, 10 };

    (void) unused;

    net = hand_net();
    conf = score_configure(&net);

    request_json(&r, "[2, 1]");
    assert_int_equal(job_run(conf, &r, 0), HELIX_DONE);
    assert_int_equal(answer.n, 1);
    assert_int_equal(answer.arrays, 0);
    assert_true(answer.values[0] == 3 * 2 - 5 + 0.5);

    request_json(&r, " [ [ 2 , 1 ] ,[-4,0.25], [0,0]]");
    assert_int_equal(job_run(conf, &r, 0), HELIX_DONE);
    assert_int_equal(answer.n, 3);
    assert_int_equal(answer.arrays, 3);
    assert_true(answer.values[0] == 1.5);
    assert_true(answer.values[1] == 0.5);
    assert_true(answer.values[2] == 3.5);

    helix_kind_score.destroy(conf);

    /* 2 is as 2 standard deviations above 1, 10 as 2 above 2 */

    net.mean = mean;
    net.std = std;
    conf = score_configure(&net);

    request_json(&r, "[[2,10]]");
    assert_int_equal(job_run(conf, &r, 0), HELIX_DONE);
    assert_int_equal(answer.arrays, 0);
    assert_true(answer.values[0] == 3 * 1 - 6 + 0.5);

    request_body(&r, body, sizeof(body));
    assert_int_equal(job_run(conf, &r, 0), HELIX_DONE);
    assert_true(answer.values[0] == 3 * 1 - 6 + 0.5);

    helix_kind_score.destroy(conf);
}


static void
test_against_doubles(void **unused)
{
    void              *conf;
    float              features[3 * 300];
    double            *want;
    uint32_t           i, k, row, out;
    uint64_t           seed;
    request_t          r;
    score_net_t        net;
    static const char  *const activations[] = {
        "relu", "tanh", "gelu", "identity"
    };
    static const char  *const outputs[] = { "identity", "sigmoid", "softmax" };

    (void) unused;
    seed = 1;
    want = malloc(16384 * sizeof(double));
    assert_non_null(want);

    for (i = 0; i < 48; i++) {
        score_net_random(&net, &seed, 1 + i % 5, 300);
        net.activation = activations[i % 4];
        net.output = outputs[i % 3];
        conf = score_configure(&net);

        for (k = 0; k < 3 * net.widths[0]; k++) {
            features[k] = score_random_float(&seed);
        }

        request_body(&r, features, 3 * net.widths[0] * sizeof(float));
        assert_int_equal(job_run(conf, &r, 0), HELIX_DONE);

        out = net.widths[net.nlayers];
        assert_int_equal(answer.n, 3 * out);

        for (row = 0; row < 3; row++) {
            plain(&net, features + row * net.widths[0], want);

            for (k = 0; k < out; k++) {
                assert_true(fabs(answer.values[row * out + k] - want[k])
                            < 2e-5);
            }
        }

        helix_kind_score.destroy(conf);
        score_net_free(&net);
    }

    free(want);
}


/* A block of one panel and nk inputs, as an instruction set does it. */

static void
run_panel(const helix_score_isa_t *isa, const float *weights,
    const float *bias, float x, uint32_t nk, helix_score_function_t function,
    float *y)
{
    const float          *inputs[1];
    float                *outputs[1];
    helix_score_block_t   b;

    inputs[0] = &x;
    outputs[0] = y;

    memset(&b, 0, sizeof(b));
    b.weights = weights;
    b.stride = HELIX_SCORE_PANEL;
    b.bias = bias;
    b.x = inputs;
    b.y = outputs;
    b.rows = 1;
    b.nk = nk;
    b.npanels = 1;
    b.function = function;

    isa->run(&b);
}


/*
 * A product just beside half a unit in the last place of c, so little that a
 * double does not see it; c is normal, or smaller.
 */

static void
near_tie(uint64_t *seed, float *w, float *x, float *c)
{
    int    exponent;
    float  k;

    exponent = (score_random(seed) % 2) ? 0 : -126;
    k = (float) (score_random(seed) % 9) * 0x1p-23f;

    *w = ldexpf(1 + k, (exponent - 24) / 2);
    *x = ldexpf(1 - k, (exponent - 24) / 2);
    *c = ldexpf(1 + (float) (score_random(seed) % 8388608) * 0x1p-23f,
                exponent);

    *c = (exponent && score_random(seed) % 2) ? *c - 0x1p-126f : *c;
    *c = (score_random(seed) % 2) ? -*c : *c;
    *w = (score_random(seed) % 2) ? -*w : *w;
}


/* Of all instruction sets: one rounding, be the numbers what they may. */

static void
test_fma(void **unused)
{
    float                     w[32], c[32], y[32], x, want;
    uint32_t                  i, k, n;
    uint64_t                  seed;
    const helix_score_isa_t  *isa;

    (void) unused;
    seed = 2;

    for (n = 0; n < 6000; n++) {
        x = any_float(&seed);

        for (i = 0; i < 32; i++) {
            w[i] = any_float(&seed);
            c[i] = (n % 3) ? any_float(&seed) : -w[i] * x;
        }

        if (n % 3 == 1) {
            near_tie(&seed, &w[0], &x, &c[0]);
        }

        for (k = 0; (isa = helix_score_isa(k)) != NULL; k++) {
            run_panel(isa, w, c, x, 1, HELIX_SCORE_IDENTITY, y);

            for (i = 0; i < 32; i++) {
                want = fmaf(w[i], x, c[i]);
                assert_true(bits_of(y[i]) == bits_of(want)
                            || (isnan(y[i]) && isnan(want)));
            }
        }
    }
}


/* The largest error of a function, relative to max(|y|, least). */

static double
function_error(helix_score_function_t function, const char *name,
    double least)
{
    float                     x[32], first[32], y[32];
    double                    want, wrong, scale, max;
    uint32_t                  i, k, n;
    uint64_t                  seed;
    const helix_score_isa_t  *isa;

    seed = 3;
    max = 0;

    for (n = 0; n < 6000; n++) {
        for (i = 0; i < 32; i++) {
            x[i] = (n % 3 == 0) ? any_float(&seed)
                   : (float) (n * 32 + i) * 3e-4f - 28.0f;
        }

        for (k = 0; (isa = helix_score_isa(k)) != NULL; k++) {
            run_panel(isa, x, x, 0, 0, function, k ? y : first);

            for (i = 0; k != 0 && i < 32; i++) {
                assert_true(bits_of(y[i]) == bits_of(first[i]));
            }
        }

        for (i = 0; i < 32; i++) {
            assert_true(!isnan(first[i]));
            want = plain_function(name, x[i]);
            scale = fabs(want) > least ? fabs(want) : least;
            wrong = fabs(first[i] - want) / scale;
            max = wrong > max ? wrong : max;
        }
    }

    return max;
}


static void
test_functions(void **unused)
{
    float                     x[32], y[32];
    uint32_t                  k;
    const helix_score_isa_t  *isa;

    (void) unused;

    assert_true(function_error(HELIX_SCORE_RELU, "relu", 1e-30) == 0);
    assert_true(function_error(HELIX_SCORE_TANH, "tanh", 1e-30) < 3e-7);
    assert_true(function_error(HELIX_SCORE_GELU, "gelu", 0.1) < 1e-6);
    assert_true(function_error(HELIX_SCORE_SIGMOID, "sigmoid", 1e-30)
                < 3e-7);

    /* what is no number stays so, and infinity has its limit */

    for (k = 0; k < 32; k++) {
        x[k] = (k % 3 == 0) ? NAN : (k % 3 == 1) ? INFINITY : -INFINITY;
    }

    for (k = 0; (isa = helix_score_isa(k)) != NULL; k++) {
        run_panel(isa, x, x, 0, 0, HELIX_SCORE_TANH, y);
        assert_true(isnan(y[0]) && y[1] == 1 && y[2] == -1);
        run_panel(isa, x, x, 0, 0, HELIX_SCORE_SIGMOID, y);
        assert_true(isnan(y[0]) && y[1] == 1 && y[2] == 0);
        run_panel(isa, x, x, 0, 0, HELIX_SCORE_RELU, y);
        assert_true(isnan(y[0]) && isinf(y[1]) && y[2] == 0);
        run_panel(isa, x, x, 0, 0, HELIX_SCORE_GELU, y);
        assert_true(isnan(y[0]) && isinf(y[1]));
    }
}


/* The answer of a batch of n jobs of one to three rows is bit for bit that of
   the jobs alone, stopped at every k-th poll, whoever leaves. */

static void
run_batch(void *conf, uint32_t n, uint32_t every, int leave, uint64_t *seed)
{
    int          rc;
    void        *states[MAX_JOBS];
    float       *features, *row;
    size_t       len;
    uint8_t      results[MAX_JOBS];
    uint32_t     i, k, rows[MAX_JOBS], inputs;
    control_t    ctl;
    request_t    r;
    answer_t    *alone;

    inputs = ((helix_score_model_t *) conf)->inputs;
    alone = malloc(sizeof(answer_t));
    features = malloc(n * 3 * inputs * sizeof(float));
    assert_true(alone != NULL && features != NULL);

    control_init(&ctl, 1);
    row = features;

    for (i = 0; i < n; i++, row += 3 * inputs) {
        rows[i] = 1 + (uint32_t) (score_random(seed) % 3);

        for (k = 0; k < rows[i] * inputs; k++) {
            row[k] = score_random_float(seed);
        }

        request_body(&r, row, rows[i] * inputs * sizeof(float));
        states[i] = job_start(conf, &r);
        results[i] = HELIX_AGAIN;

        if (score_random(seed) % 8 == 0) {
            results[i] = (uint8_t) helix_kind_score.step(states[i],
                                                         &ctl.base);
        }
    }

    control_init(&ctl, every);

    do {
        rc = helix_kind_score.step_batch(states, results, n, &ctl.base);
        i = (uint32_t) (score_random(seed) % n);

        if (leave && states[i] != NULL && results[i] == HELIX_AGAIN) {
            free(states[i]);
            states[i] = NULL;
        }

    } while (rc == HELIX_AGAIN);

    row = features;

    for (i = 0; i < n; i++, row += 3 * inputs) {

        if (states[i] == NULL) {
            continue;
        }

        assert_int_equal(results[i], HELIX_DONE);
        answer_of(states[i]);
        free(states[i]);

        len = offsetof(answer_t, values) + answer.n * sizeof(double);
        memcpy(alone, &answer, len);

        request_body(&r, row, rows[i] * inputs * sizeof(float));
        assert_int_equal(job_run(conf, &r, 0), HELIX_DONE);
        assert_memory_equal(alone, &answer, len);
    }

    free(alone);
    free(features);
}


static void
test_batch(void **unused)
{
    void         *conf;
    uint32_t      n;
    uint64_t      seed;
    score_net_t   net;

    (void) unused;
    seed = 4;

    for (n = 1; n <= MAX_JOBS; n++) {
        score_net_random(&net, &seed, 1 + n % 3, 100);
        net.activation = (n % 2) ? "gelu" : "relu";
        net.output = (n % 3) ? "softmax" : "sigmoid";
        conf = score_configure(&net);

        run_batch(conf, n, n % 4, 0, &seed);
        run_batch(conf, n, 1, 1, &seed);

        helix_kind_score.destroy(conf);
        score_net_free(&net);
    }
}


/* Layers wide enough to be done in pieces, along inputs too. */

static void
test_wide(void **unused)
{
    void         *conf;
    uint32_t      every, k;
    uint64_t      seed;
    score_net_t   net;

    (void) unused;
    seed = 5;

    memset(&net, 0, sizeof(net));
    net.nlayers = 2;
    net.widths[0] = 5000;
    net.widths[1] = 70;
    net.widths[2] = 1100;
    net.activation = "tanh";
    net.output = "softmax";
    score_net_fill(&net, &seed);
    conf = score_configure(&net);

    for (every = 0; every < 3; every++) {
        for (k = 1; k <= 27; k += 5) {
            run_batch(conf, k, every, every == 2, &seed);
        }
    }

    /* how much is done at once changes with who is left */

    for (k = 0; k < 60; k++) {
        run_batch(conf, 2 + k % 3, 1, 1, &seed);
    }

    helix_kind_score.destroy(conf);
    score_net_free(&net);
}


/* Whole and sliced, on all instruction sets. */

static void
test_same_bits(void **unused)
{
    void                     *conf;
    float                     features[20 * 400];
    uint32_t                  i, k, n, rows, every;
    uint64_t                  seed;
    request_t                 r;
    score_net_t               net;
    const helix_score_isa_t  *isa;
    static answer_t           first;

    (void) unused;
    seed = 6;

    for (i = 0; i < 12; i++) {
        score_net_random(&net, &seed, 1 + i % 4, 400);
        net.activation = (i % 2) ? "gelu" : "tanh";
        net.output = (i % 3) ? "softmax" : "identity";
        conf = score_configure(&net);
        rows = 1 + i * 7 % 20;

        for (k = 0; k < rows * net.widths[0]; k++) {
            features[k] = score_random_float(&seed);
        }

        request_body(&r, features, rows * net.widths[0] * sizeof(float));
        first.n = 0;

        for (n = 0; (isa = helix_score_isa(n)) != NULL; n++) {
            ((helix_score_model_t *) conf)->isa = isa;

            for (every = 0; every < 4; every++) {
                assert_int_equal(job_run(conf, &r, every), HELIX_DONE);

                if (first.n == 0) {
                    memcpy(&first, &answer, sizeof(answer_t));
                }

                assert_int_equal(first.n, answer.n);
                assert_memory_equal(first.values, answer.values,
                                    answer.n * sizeof(double));
            }
        }

        helix_kind_score.destroy(conf);
        score_net_free(&net);
    }
}


/* bias + w[0] x[0] + w[1] x[1] + ..., each rounded once. */

static void
test_order(void **unused)
{
    void         *conf;
    float         features[100], sum, body[200];
    uint32_t      i, k;
    uint64_t      seed;
    request_t     r;
    score_net_t   net;

    (void) unused;
    seed = 7;

    memset(&net, 0, sizeof(net));
    net.nlayers = 1;
    net.widths[0] = 100;
    net.widths[1] = 200;
    net.activation = net.output = "identity";
    score_net_fill(&net, &seed);
    conf = score_configure(&net);

    for (k = 0; k < 100; k++) {
        features[k] = score_random_float(&seed);
    }

    request_body(&r, features, sizeof(features));
    request_format(&r, "binary");
    assert_int_equal(job_run(conf, &r, 0), HELIX_DONE);
    assert_int_equal(answer.n, 0);
    assert_int_equal(answer.body_len, sizeof(body));

    for (i = 0; i < 200; i++) {
        sum = net.bias[0][i];

        for (k = 0; k < 100; k++) {
            sum = fmaf(net.weights[0][i * 100 + k], features[k], sum);
        }

        assert_true(bits_of(sum) == bits_of(answer.body[i]));
    }

    helix_kind_score.destroy(conf);
    score_net_free(&net);
}


static void
test_progress(void **unused)
{
    void         *conf, *state;
    float         features[64 * 300];
    uint32_t      calls;
    uint64_t      seed;
    control_t     ctl;
    request_t     r;
    score_net_t   net;
    helix_plan_t  plan;

    (void) unused;
    seed = 8;

    memset(&net, 0, sizeof(net));
    net.nlayers = 3;
    net.widths[0] = net.widths[1] = net.widths[2] = net.widths[3] = 300;
    net.activation = "tanh";
    net.output = "softmax";
    score_net_fill(&net, &seed);
    conf = score_configure(&net);

    memset(features, 0, sizeof(features));
    request_body(&r, features, sizeof(features));

    /* as JSON that would be 19200 numbers */

    memset(&plan, 0, sizeof(plan));
    assert_int_equal(helix_kind_score.plan(conf, &r.args, &plan),
                     HELIX_FAILED);
    assert_string_equal(plan.field, "format");

    request_format(&r, "binary");
    state = job_start(conf, &r);
    control_init(&ctl, 1);

    for (calls = 1; helix_kind_score.step(state, &ctl.base) != HELIX_DONE;
         calls++)
    {
        assert_true(calls < 1000000);
        assert_int_equal(ctl.polls, calls);
    }

    assert_true(calls > 30);
    assert_int_equal(ctl.polls, calls - 1);

    free(state);
    helix_kind_score.destroy(conf);
    score_net_free(&net);
}


/* A job that overflows fails, its neighbours do not; jobs of another model in
   the same call are done apart. */

static void
test_failure(void **unused)
{
    void         *conf[2], *states[5];
    uint8_t       results[5];
    uint32_t      i;
    control_t     ctl;
    request_t     r;
    score_net_t   net;
    static const char  *const texts[] = {
        "[2,1]", "[3e38,3e38]", "[[2,1],[3e38,-3e38]]", "[-1,0]", "[2,1]"
    };

    (void) unused;

    net = hand_net();
    conf[0] = score_configure(&net);
    net.output = "sigmoid";
    conf[1] = score_configure(&net);

    for (i = 0; i < 5; i++) {
        request_json(&r, texts[i]);
        states[i] = job_start(conf[i == 4], &r);
        results[i] = HELIX_AGAIN;
    }

    control_init(&ctl, 0);
    assert_int_equal(helix_kind_score.step_batch(states, results, 5,
                                                 &ctl.base), HELIX_DONE);

    assert_int_equal(results[0], HELIX_DONE);
    assert_int_equal(results[1], HELIX_FAILED);
    assert_int_equal(results[2], HELIX_FAILED);
    assert_int_equal(results[3], HELIX_DONE);
    assert_int_equal(results[4], HELIX_DONE);

    answer_of(states[0]);
    assert_true(answer.values[0] == 1.5);
    answer_of(states[3]);
    assert_true(answer.values[0] == 0.5);
    answer_of(states[4]);
    assert_true(fabs(answer.values[0] - 1 / (1 + exp(-1.5))) < 1e-7);

    for (i = 0; i < 5; i++) {
        free(states[i]);
        states[i] = NULL;
        results[i] = HELIX_AGAIN;
    }

    assert_int_equal(helix_kind_score.step_batch(states, results, 5,
                                                 &ctl.base), HELIX_DONE);

    helix_kind_score.destroy(conf[0]);
    helix_kind_score.destroy(conf[1]);
}


static void
test_softmax(void **unused)
{
    void         *conf, *state;
    float         features[4], rows[64 * 4];
    double        sum;
    uint32_t      i, k;
    uint64_t      seed;
    control_t     ctl;
    request_t     r;
    score_net_t   net;

    (void) unused;
    seed = 9;

    memset(&net, 0, sizeof(net));
    net.nlayers = 1;
    net.widths[0] = 4;
    net.widths[1] = 4096;
    net.activation = "relu";
    net.output = "softmax";
    score_net_fill(&net, &seed);
    conf = score_configure(&net);

    for (i = 0; i < 40; i++) {
        for (k = 0; k < 4; k++) {
            features[k] = ldexpf(score_random_float(&seed), (int) i % 20);
        }

        request_body(&r, features, sizeof(features));
        assert_int_equal(job_run(conf, &r, 0), HELIX_DONE);
        assert_int_equal(answer.n, 4096);

        sum = 0;

        for (k = 0; k < 4096; k++) {
            assert_true(answer.values[k] >= 0 && answer.values[k] <= 1);
            sum += answer.values[k];
        }

        assert_true(fabs(sum - 1) < 3e-6);
    }

    /* a quarter of a million of outputs: there are polls at the end, too */

    memset(rows, 0, sizeof(rows));
    request_body(&r, rows, sizeof(rows));
    request_format(&r, "binary");
    state = job_start(conf, &r);
    control_init(&ctl, 0);
    assert_int_equal(helix_kind_score.step(state, &ctl.base), HELIX_DONE);
    assert_true(ctl.polls >= 15);
    free(state);

    helix_kind_score.destroy(conf);
    score_net_free(&net);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_against_doubles),
        cmocka_unit_test(test_fma),
        cmocka_unit_test(test_functions),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_wide),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_failure),
        cmocka_unit_test(test_softmax)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
