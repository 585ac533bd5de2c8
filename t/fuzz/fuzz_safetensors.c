
/*
 * A model's file, from its bytes to an answer.  The header is taken to end
 * with the last '}', whatever its length says, so that it can grow.  What the
 * reader accepts has tensors one after the other inside the file; what score
 * accepts as a model answers, alone, in a batch and on each instruction set
 * alike.
 */

#include <stdalign.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "helix_kinds.h"
#include "helix_safetensors.h"
#include "helix_score.h"


#define JOBS        3
#define MEMORY_MAX  (4 << 20)


typedef struct {
    helix_output_t   base;
    size_t           len;
    unsigned char    data[64 * 4096 * 4];
} answer_t;


static helix_safetensors_t  st;
static answer_t             alone, other;
static alignas(64) char     states[JOBS][MEMORY_MAX];


static int
poll_always(const helix_control_t *ctl)
{
    return ctl != NULL;
}


static void
answer_body(helix_output_t *out, const char *type, const void *data,
    size_t len)
{
    answer_t  *answer;

    answer = (answer_t *) out;
    FUZZ_ASSERT(strcmp(type, "application/octet-stream") == 0);
    FUZZ_ASSERT(len <= sizeof(answer->data));

    memcpy(answer->data, data, len);
    answer->len = len;
}


static int
parse(const uint8_t *data, size_t len, uint64_t size)
{
    int                        rc;
    char                      *json, error[HELIX_KIND_ERROR_MAX];
    uint32_t                   i, k;
    uint64_t                   end, bytes;
    helix_safetensors_meta_t   meta[2];

    error[0] = '\0';
    meta[0].name = "activation";
    meta[1].name = "output";
    json = fuzz_block(data, len);

    rc = helix_safetensors_parse(&st, json, len, size, meta, 2, error);
    free(json);

    if (rc != 0) {
        FUZZ_ASSERT(rc == -1 && error[0] != '\0');
        FUZZ_ASSERT(memchr(error, '\0', sizeof(error)) != NULL);
        return rc;
    }

    FUZZ_ASSERT(st.ntensors <= HELIX_SAFETENSORS_TENSORS);
    end = 0;

    for (i = 0; i < st.ntensors; i++) {
        FUZZ_ASSERT(st.tensors[i].begin == end);
        FUZZ_ASSERT(st.tensors[i].end > end && st.tensors[i].end <= size);
        end = st.tensors[i].end;

        bytes = helix_safetensors_size(st.tensors[i].type);

        for (k = 0; k < st.tensors[i].ndims; k++) {
            bytes *= st.tensors[i].dims[k];
        }

        FUZZ_ASSERT(bytes == end - st.tensors[i].begin);

        for (k = 0; k < i; k++) {
            FUZZ_ASSERT(strcmp(st.tensors[i].name, st.tensors[k].name) != 0);
        }
    }

    FUZZ_ASSERT(end == size);

    return 0;
}


static void *
configure(const uint8_t *data, size_t size, char *error)
{
    int            fd;
    char           path[40];
    void          *conf;
    helix_pair_t   pair;

    fd = memfd_create("model", MFD_CLOEXEC);
    FUZZ_ASSERT(fd != -1);
    FUZZ_ASSERT(write(fd, data, size) == (ssize_t) size);

    (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    pair.name = "model";
    pair.value = path;

    conf = helix_kind_score.configure(NULL, &pair, 1, error);
    (void) close(fd);

    return conf;
}


/* Three jobs; of one row, or as many as there are jobs. */

static void
run(helix_score_model_t *model, const float *features, uint32_t rows,
    int together, answer_t *answer)
{
    int               rc;
    void             *list[JOBS];
    uint8_t           results[JOBS];
    uint32_t          i;
    helix_args_t      args;
    helix_plan_t      plan;
    helix_value_t     values[2];
    helix_control_t   ctl = { sizeof(helix_control_t), poll_always, NULL };

    memset(&args, 0, sizeof(args));
    memset(values, 0, sizeof(values));
    args.size = sizeof(args);
    args.values = values;
    args.body = features;
    args.body_len = (size_t) rows * model->inputs * sizeof(float);
    values[1].given = 1;
    values[1].text = "binary";
    values[1].len = 6;

    for (i = 0; i < JOBS; i++) {
        memset(&plan, 0, sizeof(plan));
        plan.size = sizeof(plan);
        FUZZ_ASSERT(helix_kind_score.plan(model, &args, &plan) == HELIX_DONE);
        FUZZ_ASSERT(plan.memory <= MEMORY_MAX && plan.work > 0);

        list[i] = states[i];
        results[i] = HELIX_AGAIN;
        helix_kind_score.start(model, states[i], &args);
    }

    do {
        rc = together ? helix_kind_score.step_batch(list, results, JOBS, &ctl)
                      : helix_kind_score.step(list[0], &ctl);
    } while (rc == HELIX_AGAIN);

    rc = together ? results[JOBS - 1] : rc;
    answer->len = 0;
    FUZZ_ASSERT(rc == HELIX_DONE || rc == HELIX_FAILED);

    if (rc == HELIX_DONE) {
        answer->base.size = sizeof(helix_output_t);
        answer->base.body = answer_body;
        helix_kind_score.finish(list[together ? JOBS - 1 : 0],
                                &answer->base);
        FUZZ_ASSERT(answer->len == (size_t) rows * model->outputs
                                   * sizeof(float));
    }
}


static void
check_model(helix_score_model_t *model)
{
    float                    *features;
    uint32_t                  i, rows;
    const helix_score_isa_t  *isa;

    if (model->inputs > 4096 || model->outputs > 4096) {
        return;
    }

    rows = 1 + model->inputs % 5;
    features = calloc((size_t) rows * model->inputs, sizeof(float));
    FUZZ_ASSERT(features != NULL);

    for (i = 0; i < rows * model->inputs; i++) {
        features[i] = (float) (i % 7) - 3.0f;
    }

    run(model, features, rows, 0, &alone);

    for (i = 0; (isa = helix_score_isa(i)) != NULL; i++) {
        model->isa = isa;
        run(model, features, rows, 1, &other);
        FUZZ_ASSERT(alone.len == other.len);
        FUZZ_ASSERT(memcmp(alone.data, other.data, alone.len) == 0);
    }

    free(features);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int       rc;
    char      error[HELIX_KIND_ERROR_MAX];
    void     *conf;
    size_t    len, i;
    uint8_t  *file;

    if (size < 8) {
        return 0;
    }

    len = helix_safetensors_header(data, size, error);
    FUZZ_ASSERT(len <= size - 8);

    for (len = size - 8; len > 0 && data[7 + len] != '}'; len--) {
        /* void */
    }

    rc = parse(data + 8, len, size - 8 - len);

    file = (uint8_t *) fuzz_block(data, size);

    for (i = 0; i < 8; i++) {
        file[i] = (uint8_t) ((uint64_t) len >> (8 * i));
    }

    memset(error, 0, sizeof(error));
    conf = configure(file, size, error);
    free(file);

    FUZZ_ASSERT(conf == NULL || rc == 0);
    FUZZ_ASSERT((conf == NULL) == (error[0] != '\0'));

    if (conf) {
        check_model(conf);
        helix_kind_score.destroy(conf);
    }

    return 0;
}
