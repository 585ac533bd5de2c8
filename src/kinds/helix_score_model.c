
/*
 * score: a model from a safetensors file with the names of a state_dict of
 * torch's nn.Sequential, "0.weight" [outputs, inputs], "0.bias" [outputs],
 * "2.weight", ...; "mean" and "std" [inputs] are optional.
 */

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helix_json.h"
#include "helix_kind.h"
#include "helix_safetensors.h"
#include "helix_score.h"


#define HELIX_SCORE_CHUNK     16384     /* elements read at once */
#define HELIX_SCORE_FILE_MAX  60        /* bytes of its name in an error */

/* see "wait": bytes that stay in a core's cache, measured within and beyond */
#define HELIX_SCORE_CACHE     1048576
#define HELIX_SCORE_NEAR      1
#define HELIX_SCORE_FAR       8


typedef enum {
    helix_score_weight = 0,
    helix_score_bias,
    helix_score_mean,
    helix_score_std
} helix_score_role_t;


/* What a tensor of the file is. */

typedef struct {
    helix_score_role_t                  role;
    uint32_t                            number;  /* of the layer, in names */
    uint32_t                            layer;
    const helix_safetensors_tensor_t   *tensor;
} helix_score_part_t;


typedef struct {
    int                   fd;
    const char           *file;
    char                 *error;
    uint64_t              data;         /* where it begins */
    uint64_t              floats;       /* of the packed model */
    helix_score_model_t  *model;
    helix_score_part_t    parts[HELIX_SAFETENSORS_TENSORS];
    helix_safetensors_t   st;
    helix_safetensors_meta_t  meta[2];  /* by use - 1 */
    unsigned char         raw[HELIX_SCORE_CHUNK * 4];
    float                 values[HELIX_SCORE_CHUNK];
} helix_score_loader_t;


static int helix_score_fail(helix_score_loader_t *in, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static int helix_score_open(helix_score_loader_t *in);
static int helix_score_read(helix_score_loader_t *in, void *dst, size_t len,
    uint64_t offset);
static int helix_score_header(helix_score_loader_t *in, uint64_t size);
static int helix_score_roles(helix_score_loader_t *in);
static int helix_score_role(helix_score_part_t *part);
static int helix_score_chain(helix_score_loader_t *in);
static int helix_score_shape(helix_score_loader_t *in,
    const helix_score_part_t *part);
static int helix_score_links(helix_score_loader_t *in);
static int helix_score_functions(helix_score_loader_t *in,
    helix_score_function_t activation, helix_score_function_t output);
static int helix_score_named(helix_score_loader_t *in, uint32_t use,
    helix_score_function_t *function);
static int helix_score_allocate(helix_score_loader_t *in);
static void helix_score_lay_out(helix_score_model_t *model, float *p);
static int helix_score_fill(helix_score_loader_t *in,
    const helix_score_part_t *part);
static int helix_score_put(helix_score_loader_t *in,
    const helix_score_part_t *part, uint64_t first, size_t n);
static void helix_score_pack(const helix_score_layer_t *layer,
    uint64_t first, const float *values, size_t n);


helix_score_model_t *
helix_score_load(const char *file, helix_score_function_t activation,
    helix_score_function_t output, char *error)
{
    int                    rc;
    uint32_t               i;
    helix_score_model_t   *model;
    helix_score_loader_t  *in;

    model = calloc(1, sizeof(helix_score_model_t));
    in = calloc(1, sizeof(helix_score_loader_t));

    if (model == NULL || in == NULL) {
        (void) snprintf(error, HELIX_KIND_ERROR_MAX, "no memory");
        free(model);
        free(in);
        return NULL;
    }

    in->fd = -1;
    in->file = file;
    in->error = error;
    in->model = model;

    rc = (helix_score_open(in) == 0
          && helix_score_roles(in) == 0
          && helix_score_chain(in) == 0
          && helix_score_functions(in, activation, output) == 0
          && helix_score_allocate(in) == 0) ? 0 : -1;

    for (i = 0; rc == 0 && i < in->st.ntensors; i++) {
        rc = helix_score_fill(in, &in->parts[i]);
    }

    if (in->fd != -1) {
        (void) close(in->fd);
    }

    free(in);

    if (rc != 0) {
        helix_score_free(model);
        return NULL;
    }

    model->isa = helix_score_isa(0);

    return model;
}


void
helix_score_free(helix_score_model_t *model)
{
    if (model) {
        free(model->memory);
        free(model);
    }
}


/* "FILE: a sentence", the end of the name if it is long. */

static int
helix_score_fail(helix_score_loader_t *in, const char *format, ...)
{
    size_t       len;
    va_list      args;
    const char  *file;
    char         text[HELIX_KIND_ERROR_MAX];

    file = in->file;
    len = strlen(file);

    if (len > HELIX_SCORE_FILE_MAX) {
        file += len - HELIX_SCORE_FILE_MAX;
    }

    va_start(args, format);
    (void) vsnprintf(text, sizeof(text), format, args);
    va_end(args);

    (void) snprintf(in->error, HELIX_KIND_ERROR_MAX, "%s\"%.*s\" %.*s",
                    (file == in->file) ? "" : "...",
                    HELIX_SCORE_FILE_MAX, file,
                    HELIX_KIND_ERROR_MAX - HELIX_SCORE_FILE_MAX - 10, text);

    return -1;
}


static int
helix_score_open(helix_score_loader_t *in)
{
    char           error[HELIX_KIND_ERROR_MAX];
    struct stat    st;
    unsigned char  start[8];

    /* a fifo would wait for its writer */

    in->fd = open(in->file, O_RDONLY|O_CLOEXEC|O_NONBLOCK);

    if (in->fd == -1 || fstat(in->fd, &st) == -1) {
        return helix_score_fail(in, "cannot be opened: %s", strerror(errno));
    }

    if (!S_ISREG(st.st_mode)) {
        return helix_score_fail(in, "is not a regular file");
    }

    memset(start, 0, sizeof(start));

    if (st.st_size >= 8
        && helix_score_read(in, start, sizeof(start), 0) != 0)
    {
        return -1;
    }

    in->data = helix_safetensors_header(start, (uint64_t) st.st_size, error);

    if (in->data == 0) {
        return helix_score_fail(in, "%s", error);
    }

    return helix_score_header(in, (uint64_t) st.st_size);
}


static int
helix_score_read(helix_score_loader_t *in, void *dst, size_t len,
    uint64_t offset)
{
    char     *p;
    ssize_t   n;

    for (p = dst; len != 0; /* void */ ) {
        n = pread(in->fd, p, len, (off_t) offset);

        if (n == -1 && errno == EINTR) {
            continue;
        }

        if (n == -1) {
            return helix_score_fail(in, "cannot be read: %s",
                                    strerror(errno));
        }

        if (n == 0) {
            return helix_score_fail(in, "is truncated");
        }

        p += n;
        len -= (size_t) n;
        offset += (uint64_t) n;
    }

    return 0;
}


static int
helix_score_header(helix_score_loader_t *in, uint64_t size)
{
    int     rc;
    char   *json, error[HELIX_KIND_ERROR_MAX];
    size_t  len;

    len = (size_t) in->data;
    json = malloc(len);

    if (json == NULL) {
        return helix_score_fail(in, "no memory for its header");
    }

    in->meta[0].name = "activation";
    in->meta[1].name = "output";
    in->data += 8;

    rc = helix_score_read(in, json, len, 8);

    if (rc == 0) {
        rc = helix_safetensors_parse(&in->st, json, len, size - in->data,
                                     in->meta, 2, error);
        if (rc != 0) {
            (void) helix_score_fail(in, "%s", error);
        }
    }

    free(json);

    return rc;
}


/* Numbers the layers in the order of the numbers in their names. */

static int
helix_score_roles(helix_score_loader_t *in)
{
    uint32_t             i, k;
    helix_score_part_t  *part;

    for (i = 0; i < in->st.ntensors; i++) {
        part = &in->parts[i];
        part->tensor = &in->st.tensors[i];

        if (helix_score_role(part) != 0) {
            return helix_score_fail(in, "tensor \"%s\" is neither N.weight "
                                    "nor N.bias, mean or std",
                                    part->tensor->name);
        }

        in->model->nlayers += (part->role == helix_score_weight);
    }

    if (in->model->nlayers == 0 || in->model->nlayers > HELIX_SCORE_LAYERS) {
        return helix_score_fail(in, "has %u layers, not 1 to %d",
                                in->model->nlayers, HELIX_SCORE_LAYERS);
    }

    for (i = 0; i < in->st.ntensors; i++) {
        part = &in->parts[i];

        for (k = 0; k < in->st.ntensors; k++) {
            part->layer += (in->parts[k].role == helix_score_weight
                            && in->parts[k].number < part->number);
        }
    }

    return 0;
}


static int
helix_score_role(helix_score_part_t *part)
{
    uint64_t     number;
    const char  *name, *dot;

    name = part->tensor->name;
    dot = strchr(name, '.');

    if (dot == NULL) {
        part->role = (strcmp(name, "mean") == 0) ? helix_score_mean
                                                 : helix_score_std;

        return (part->role == helix_score_mean || strcmp(name, "std") == 0)
               ? 0 : -1;
    }

    if (helix_number_u64(name, (size_t) (dot - name), &number)
        != HELIX_NUMBER_OK || number > UINT32_MAX)
    {
        return -1;
    }

    part->number = (uint32_t) number;
    part->role = (strcmp(dot, ".weight") == 0) ? helix_score_weight
                                               : helix_score_bias;

    return (part->role == helix_score_weight || strcmp(dot, ".bias") == 0)
           ? 0 : -1;
}


static int
helix_score_chain(helix_score_loader_t *in)
{
    uint32_t              i, pass;
    helix_score_layer_t  *layer;
    helix_score_model_t  *model;

    model = in->model;

    /* weights first: the others are measured by them */

    for (pass = 0; pass < 2; pass++) {
        for (i = 0; i < in->st.ntensors; i++) {

            if ((in->parts[i].role != helix_score_weight) == (pass == 1)
                && helix_score_shape(in, &in->parts[i]) != 0)
            {
                return -1;
            }
        }

        model->inputs = model->layers[0].inputs;
    }

    layer = &model->layers[model->nlayers - 1];
    model->outputs = layer->outputs;

    if (model->outputs > HELIX_SCORE_OUTPUTS) {
        return helix_score_fail(in, "has %u outputs, more than %d",
                                model->outputs, HELIX_SCORE_OUTPUTS);
    }

    return helix_score_links(in);
}


static int
helix_score_shape(helix_score_loader_t *in, const helix_score_part_t *part)
{
    uint64_t                            want;
    helix_score_layer_t                *layer;
    const helix_safetensors_tensor_t   *t;

    t = part->tensor;
    layer = &in->model->layers[part->layer < in->model->nlayers
                               ? part->layer : 0];

    if (part->role == helix_score_weight) {

        if (t->ndims != 2 || t->dims[0] > HELIX_SCORE_WIDTH
            || t->dims[1] > HELIX_SCORE_WIDTH)
        {
            return helix_score_fail(in, "tensor \"%s\" is not [outputs, "
                                    "inputs] of at most %d", t->name,
                                    HELIX_SCORE_WIDTH);
        }

        layer->number = part->number;
        layer->outputs = (uint32_t) t->dims[0];
        layer->inputs = (uint32_t) t->dims[1];
        layer->npanels = (layer->outputs + HELIX_SCORE_PANEL - 1)
                         / HELIX_SCORE_PANEL;

        return 0;
    }

    want = (part->role == helix_score_bias) ? layer->outputs
                                            : in->model->inputs;

    if (t->ndims != 1 || t->dims[0] != want) {
        return helix_score_fail(in, "tensor \"%s\" is not [%u]", t->name,
                                (uint32_t) want);
    }

    return 0;
}


/* Does each layer read what the one before it writes, each bias have its
   layer, and does the whole fit? */

static int
helix_score_links(helix_score_loader_t *in)
{
    uint32_t              i, k;
    helix_score_part_t   *part;
    helix_score_layer_t  *layer;

    for (i = 0; i < in->st.ntensors; i++) {
        part = &in->parts[i];

        if (part->role == helix_score_bias
            && (part->layer >= in->model->nlayers
                || in->model->layers[part->layer].number != part->number))
        {
            return helix_score_fail(in, "tensor \"%s\" has no weight",
                                    part->tensor->name);
        }
    }

    for (i = 0; i < in->model->nlayers; i++) {
        layer = &in->model->layers[i];
        k = (i == 0) ? layer->inputs : layer[-1].outputs;

        if (layer->inputs != k) {
            return helix_score_fail(in, "tensor \"%u.weight\" takes %u "
                                    "inputs, but gets %u", layer->number,
                                    layer->inputs, k);
        }

        in->floats += (uint64_t) layer->npanels * HELIX_SCORE_PANEL
                      * (layer->inputs + 1);
    }

    if (in->floats > HELIX_SCORE_WEIGHTS) {
        return helix_score_fail(in, "has more than %u weights, or many "
                                "outputs short of 32", HELIX_SCORE_WEIGHTS);
    }

    return 0;
}


static int
helix_score_functions(helix_score_loader_t *in,
    helix_score_function_t activation, helix_score_function_t output)
{
    uint32_t              i, panel;
    helix_score_layer_t  *layer;
    helix_score_model_t  *model;

    model = in->model;

    if ((activation == HELIX_SCORE_UNSET
         && helix_score_named(in, HELIX_SCORE_ACTIVATION, &activation) != 0)
        || (output == HELIX_SCORE_UNSET
            && helix_score_named(in, HELIX_SCORE_OUTPUT, &output) != 0))
    {
        return -1;
    }

    model->output = output;

    for (i = 0; i < model->nlayers; i++) {
        layer = &model->layers[i];
        layer->function = (i == model->nlayers - 1) ? output : activation;

        panel = layer->npanels * HELIX_SCORE_PANEL;
        model->work += (uint64_t) panel
                       * (layer->inputs + (layer->function > HELIX_SCORE_RELU
                                           ? HELIX_SCORE_DEAR
                                           : HELIX_SCORE_CHEAP));
    }

    return 0;
}


static int
helix_score_named(helix_score_loader_t *in, uint32_t use,
    helix_score_function_t *function)
{
    const helix_safetensors_meta_t  *meta;

    meta = &in->meta[use - 1];
    *function = (use == HELIX_SCORE_ACTIVATION) ? HELIX_SCORE_RELU
                                                : HELIX_SCORE_IDENTITY;

    if (meta->given) {
        *function = helix_score_function(meta->value, use);
    }

    return (*function == HELIX_SCORE_UNSET)
           ? helix_score_fail(in, "metadata: unknown \"%s\"", meta->name)
           : 0;
}


static int
helix_score_allocate(helix_score_loader_t *in)
{
    size_t                i, inputs;
    helix_score_model_t  *model;

    model = in->model;
    inputs = ((size_t) model->inputs + HELIX_SCORE_PANEL - 1)
             / HELIX_SCORE_PANEL * HELIX_SCORE_PANEL;

    model->size = ((size_t) in->floats + 2 * inputs) * sizeof(float);
    model->memory = aligned_alloc(64, model->size);

    if (model->memory == NULL) {
        return helix_score_fail(in, "no memory for %zu bytes", model->size);
    }

    memset(model->memory, 0, model->size);

    model->wait = (model->size <= HELIX_SCORE_CACHE) ? HELIX_SCORE_NEAR
                                                     : HELIX_SCORE_FAR;
    model->mean = model->memory;
    model->std = model->mean + inputs;

    for (i = 0; i < inputs; i++) {
        model->std[i] = 1.0f;
    }

    model->stride[0] = (uint32_t) inputs;
    helix_score_lay_out(model, model->std + inputs);

    return 0;
}


static void
helix_score_lay_out(helix_score_model_t *model, float *p)
{
    uint32_t              i, width;
    helix_score_layer_t  *layer;

    for (i = 0; i < model->nlayers; i++) {
        layer = &model->layers[i];
        width = layer->npanels * HELIX_SCORE_PANEL;

        layer->weights = p;
        layer->bias = p + (size_t) width * layer->inputs;
        p = layer->bias + width;

        if (model->stride[(i + 1) % 2] < width) {
            model->stride[(i + 1) % 2] = width;
        }
    }

    /* rows of 4 KB would all be in the same places of a cache */

    model->stride[0] += 16;
    model->stride[1] += 16;
}


static int
helix_score_fill(helix_score_loader_t *in, const helix_score_part_t *part)
{
    size_t                              n, size;
    uint64_t                            done, count;
    const helix_safetensors_tensor_t   *t;

    t = part->tensor;
    size = helix_safetensors_size(t->type);
    count = (t->end - t->begin) / size;

    for (done = 0; done < count; done += n) {
        n = HELIX_SCORE_CHUNK;

        if (n > count - done) {
            n = (size_t) (count - done);
        }

        if (helix_score_read(in, in->raw, n * size,
                             in->data + t->begin + done * size)
            != 0)
        {
            return -1;
        }

        helix_safetensors_floats(t->type, in->raw, in->values, n);

        if (helix_score_put(in, part, done, n) != 0) {
            return -1;
        }
    }

    return 0;
}


static int
helix_score_put(helix_score_loader_t *in, const helix_score_part_t *part,
    uint64_t first, size_t n)
{
    size_t                      i;
    const helix_score_layer_t  *layer;

    layer = &in->model->layers[part->layer];

    for (i = 0; i < n; i++) {
        if (!isfinite(in->values[i])
            || (part->role == helix_score_std && in->values[i] <= 0.0f))
        {
            return helix_score_fail(in, "tensor \"%s\" has a value that is "
                                    "not %s", part->tensor->name,
                                    part->role == helix_score_std
                                    ? "above 0" : "finite");
        }
    }

    switch (part->role) {

    case helix_score_mean:
        memcpy(in->model->mean + first, in->values, n * sizeof(float));
        break;

    case helix_score_std:
        memcpy(in->model->std + first, in->values, n * sizeof(float));
        break;

    case helix_score_bias:
        memcpy(layer->bias + first, in->values, n * sizeof(float));
        break;

    case helix_score_weight:
        helix_score_pack(layer, first, in->values, n);
        break;
    }

    return 0;
}


static void
helix_score_pack(const helix_score_layer_t *layer, uint64_t first,
    const float *values, size_t n)
{
    size_t  i, row, column, panel;

    row = (size_t) first / layer->inputs;
    column = (size_t) first % layer->inputs;

    for (i = 0; i < n; i++) {
        panel = row / HELIX_SCORE_PANEL * layer->inputs + column;
        layer->weights[panel * HELIX_SCORE_PANEL + row % HELIX_SCORE_PANEL]
            = values[i];

        if (++column == layer->inputs) {
            column = 0;
            row++;
        }
    }
}
