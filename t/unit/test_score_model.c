
/* score: what is wrong with a model is said, by the name of its file. */

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "helix_kinds.h"
#include "helix_score.h"
#include "score_file.h"


#define countof(a)  (sizeof(a) / sizeof((a)[0]))


/* Tensors of zeros, of which one may have another value as its last. */

typedef struct {
    const char     *name;
    const char     *shape;
    uint32_t        n;
    float           last;
} tensor_t;


typedef struct {
    tensor_t        tensors[5];
    const char     *error;
} model_t;


static char  error[HELIX_KIND_ERROR_MAX];


static void *
configure(const tensor_t *tensors, const char *metadata)
{
    void          *conf;
    float         *values;
    uint32_t       i;
    score_file_t   f;

    memset(&f, 0, sizeof(f));

    if (metadata) {
        f.header_len = (size_t) snprintf(f.header, sizeof(f.header),
                                         "{\"__metadata__\":{%s}", metadata);
    }

    for (i = 0; i < 5 && tensors[i].name; i++) {
        values = calloc(tensors[i].n, sizeof(float));
        assert_non_null(values);
        values[tensors[i].n - 1] = tensors[i].last;
        score_file_add(&f, tensors[i].name, tensors[i].shape, values,
                       tensors[i].n, SCORE_F32);
        free(values);
    }

    memset(error, 0, sizeof(error));
    conf = score_configure_file(&f, NULL, NULL, error);
    free(f.data);

    return conf;
}


static const model_t  refused[] = {
    { { { NULL, NULL, 0, 0 } }, "has 0 layers, not 1 to 64" },
    { { { "0.bias", "[2]", 2, 0 } }, "has 0 layers" },
    { { { "weight", "[2,2]", 4, 0 } },
      "tensor \"weight\" is neither N.weight nor N.bias, mean or std" },
    { { { "0.weights", "[2,2]", 4, 0 } }, "\"0.weights\" is neither" },
    { { { "00.weight", "[2,2]", 4, 0 } }, "\"00.weight\" is neither" },
    { { { ".weight", "[2,2]", 4, 0 } }, "\".weight\" is neither" },
    { { { "4294967296.weight", "[2,2]", 4, 0 } }, "is neither" },
    { { { "-1.weight", "[2,2]", 4, 0 } }, "is neither" },
    { { { "net.0.weight", "[2,2]", 4, 0 } }, "is neither" },
    { { { "1.running_mean", "[2]", 2, 0 } }, "is neither" },
    { { { "0.weight", "[4]", 4, 0 } },
      "tensor \"0.weight\" is not [outputs, inputs] of at most 16384" },
    { { { "0.weight", "[2,2,1]", 4, 0 } }, "is not [outputs, inputs]" },
    { { { "0.weight", "[16385,1]", 16385, 0 } }, "is not [outputs, inputs]" },
    { { { "0.weight", "[1,16385]", 16385, 0 } }, "is not [outputs, inputs]" },
    { { { "0.weight", "[4097,1]", 4097, 0 } },
      "has 4097 outputs, more than 4096" },
    { { { "0.weight", "[2,2]", 4, 0 }, { "0.bias", "[3]", 3, 0 } },
      "tensor \"0.bias\" is not [2]" },
    { { { "0.weight", "[2,2]", 4, 0 }, { "0.bias", "[2,1]", 2, 0 } },
      "tensor \"0.bias\" is not [2]" },
    { { { "0.weight", "[2,2]", 4, 0 }, { "1.bias", "[2]", 2, 0 } },
      "tensor \"1.bias\" has no weight" },
    { { { "1.weight", "[2,2]", 4, 0 }, { "0.bias", "[2]", 2, 0 } },
      "tensor \"0.bias\" has no weight" },
    { { { "0.weight", "[3,2]", 6, 0 }, { "2.weight", "[1,2]", 2, 0 } },
      "tensor \"2.weight\" takes 2 inputs, but gets 3" },
    { { { "10.weight", "[3,2]", 6, 0 }, { "9.weight", "[1,3]", 3, 0 } },
      "tensor \"10.weight\" takes 2 inputs, but gets 1" },
    { { { "0.weight", "[1,2]", 2, 0 }, { "mean", "[3]", 3, 0 } },
      "tensor \"mean\" is not [2]" },
    { { { "0.weight", "[1,2]", 2, 0 }, { "std", "[1]", 1, 1 } },
      "tensor \"std\" is not [2]" },
    { { { "0.weight", "[1,2]", 2, NAN } },
      "tensor \"0.weight\" has a value that is not finite" },
    { { { "0.weight", "[1,2]", 2, 0 }, { "0.bias", "[1]", 1, -INFINITY } },
      "tensor \"0.bias\" has a value that is not finite" },
    { { { "0.weight", "[1,1]", 1, 0 }, { "mean", "[1]", 1, NAN } },
      "tensor \"mean\" has a value that is not finite" },
    { { { "0.weight", "[1,1]", 1, 0 }, { "std", "[1]", 1, 0 } },
      "tensor \"std\" has a value that is not above 0" },
    { { { "0.weight", "[1,1]", 1, 0 }, { "std", "[1]", 1, -1 } },
      "tensor \"std\" has a value that is not above 0" },
    { { { "0.weight", "[1,1]", 1, 0 }, { "std", "[1]", 1, NAN } },
      "tensor \"std\" has a value that is not above 0" }
};


static void
test_refused(void **unused)
{
    size_t  i;

    (void) unused;

    for (i = 0; i < countof(refused); i++) {

        if (configure(refused[i].tensors, NULL) != NULL
            || strstr(error, refused[i].error) == NULL
            || strncmp(error, "\"/tmp/helix-score-", 18) != 0)
        {
            fail_msg("\"%s\", not \"%s\"", error, refused[i].error);
        }
    }
}


/* A layer may lack its bias, and follows in the order of numbers. */

static void
test_accepted(void **unused)
{
    helix_score_model_t  *model;
    const tensor_t        tensors[5] = {
        { "10.weight", "[1,3]", 3, 0 },
        { "9.weight", "[3,33]", 99, 0 },
        { "std", "[33]", 33, 0x1p-149f },
        { "10.bias", "[1]", 1, 7 },
        { NULL, NULL, 0, 0 }
    };
    const tensor_t        one[5] = { { "0.weight", "[1,1]", 1, 2 } };

    (void) unused;

    assert_null(configure(tensors, NULL));
    assert_non_null(strstr(error, "not above 0"));

    model = configure(one, "\"activation\":\"tanh\",\"format\":\"pt\","
                           "\"output\":\"softmax\"");
    assert_non_null(model);
    assert_int_equal(model->layers[0].function, HELIX_SCORE_SOFTMAX);
    assert_int_equal(model->output, HELIX_SCORE_SOFTMAX);
    assert_true(model->layers[0].weights[0] == 2);
    assert_true(model->layers[0].weights[1] == 0);
    helix_kind_score.destroy(model);

    model = configure((const tensor_t [5]) { tensors[0], tensors[1],
                                             tensors[3] },
                      "\"activation\":\"gelu\"");
    assert_non_null(model);
    assert_int_equal(model->nlayers, 2);
    assert_int_equal(model->inputs, 33);
    assert_int_equal(model->outputs, 1);
    assert_int_equal(model->layers[0].outputs, 3);
    assert_int_equal(model->layers[0].function, HELIX_SCORE_GELU);
    assert_int_equal(model->layers[1].function, HELIX_SCORE_IDENTITY);
    assert_true(model->layers[1].bias[0] == 7);
    helix_kind_score.destroy(model);

    assert_null(configure(one, "\"activation\":\"softmax\""));
    assert_non_null(strstr(error, "metadata: unknown \"activation\""));
    assert_null(configure(one, "\"output\":\"relu\""));
    assert_non_null(strstr(error, "metadata: unknown \"output\""));
}


static void
test_many_layers(void **unused)
{
    void          *conf;
    char           name[32];
    float          w[1] = { 1 };
    uint32_t       n, i;
    score_file_t   f;

    (void) unused;

    for (n = 64; n <= 65; n++) {
        memset(&f, 0, sizeof(f));

        for (i = 0; i < n; i++) {
            (void) snprintf(name, sizeof(name), "%u.weight", 1000 - i);
            score_file_add(&f, name, "[1,1]", w, 1, SCORE_F32);
        }

        conf = score_configure_file(&f, NULL, NULL, error);
        free(f.data);

        assert_true((conf != NULL) == (n == 64));
        helix_kind_score.destroy(conf);
    }

    assert_non_null(strstr(error, "has 65 layers, not 1 to 64"));
}


static void *
configure_pairs(const char *const *pairs, uint32_t n)
{
    uint32_t       i;
    helix_pair_t   list[4];

    for (i = 0; i < n; i++) {
        list[i].name = pairs[2 * i];
        list[i].value = pairs[2 * i + 1];
    }

    memset(error, 0, sizeof(error));

    return helix_kind_score.configure(NULL, list, n, error);
}


static void
test_pairs(void **unused)
{
    size_t  i;
    struct {
        uint32_t     n;
        const char  *pairs[6];
        const char  *error;
    } cases[] = {
        { 0, { NULL }, "needs model=FILE" },
        { 1, { "model", "model.st" }, "an absolute path" },
        { 1, { "model", "" }, "an absolute path" },
        { 1, { "modle", "/m" }, "unknown \"modle\", known are model" },
        { 2, { "model", "/m", "model", "/n" }, "two values of \"model\"" },
        { 2, { "model", "/m", "activation", "selu" },
          "unknown activation \"selu\", known are relu" },
        { 2, { "model", "/m", "activation", "softmax" },
          "unknown activation \"softmax\"" },
        { 2, { "model", "/m", "output", "relu" },
          "unknown output \"relu\", known are identity" },
        { 1, { "model", "/no/such/file" },
          "\"/no/such/file\" cannot be opened: No such file" },
        { 1, { "model", "/tmp" }, "\"/tmp\" is not a regular file" },
        { 1, { "model", "/dev/zero" }, "is not a regular file" }
    };

    (void) unused;

    for (i = 0; i < countof(cases); i++) {
        assert_null(configure_pairs(cases[i].pairs, cases[i].n));

        if (strstr(error, cases[i].error) == NULL) {
            fail_msg("\"%s\", not \"%s\"", error, cases[i].error);
        }
    }
}


/* A fifo does not stop nginx; a long name leaves room for the sentence. */

static void
test_files(void **unused)
{
    int          fd;
    char         dir[] = "/tmp/helix-score-XXXXXX", path[400], name[200];
    const char  *pairs[2];

    (void) unused;

    assert_non_null(mkdtemp(dir));
    memset(name, 'm', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    (void) snprintf(path, sizeof(path), "%s/%s", dir, name);
    pairs[0] = "model";
    pairs[1] = path;

    assert_int_equal(mkfifo(path, 0600), 0);
    assert_null(configure_pairs(pairs, 1));
    assert_non_null(strstr(error, "mmm\" is not a regular file"));
    assert_int_equal(strncmp(error, "...\"mmm", 7), 0);
    assert_int_equal(unlink(path), 0);

    fd = open(path, O_WRONLY|O_CREAT, 0600);
    assert_true(fd != -1);
    assert_null(configure_pairs(pairs, 1));
    assert_non_null(strstr(error, "is too short to be a safetensors file"));

    assert_int_equal(write(fd, "<html><body>", 12), 12);
    assert_null(configure_pairs(pairs, 1));
    assert_non_null(strstr(error, "is truncated, or no safetensors file"));

    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}


/* A file that lost any number of bytes at its end, or has one too many. */

static void
test_truncated(void **unused)
{
    int            fd;
    char           path[] = "/tmp/helix-score-XXXXXX";
    void          *conf;
    off_t          n, size;
    const char    *pairs[2];
    const float    w[4] = { 1, 2, 3, 4 };
    struct stat    st;
    score_file_t   f;

    (void) unused;

    memset(&f, 0, sizeof(f));
    score_file_add(&f, "0.weight", "[2,2]", w, 4, SCORE_F32);
    fd = mkstemp(path);
    assert_true(fd != -1);
    assert_int_equal(score_file_write(&f, path), 0);
    free(f.data);

    assert_int_equal(fstat(fd, &st), 0);
    size = st.st_size;
    pairs[0] = "model";
    pairs[1] = path;

    conf = configure_pairs(pairs, 1);
    assert_non_null(conf);
    helix_kind_score.destroy(conf);

    assert_int_equal(ftruncate(fd, size + 1), 0);
    assert_null(configure_pairs(pairs, 1));

    for (n = size - 1; n >= 0; n--) {
        assert_int_equal(ftruncate(fd, n), 0);
        assert_null(configure_pairs(pairs, 1));
        assert_true(error[0] != '\0');
    }

    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path), 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_many_layers),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_truncated)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
