
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "helix_json.h"
#include "helix_safetensors.h"
#include "helix_score_input.h"


#define HELIX_SCORE_FEATURES  0         /* places in helix_score_params */
#define HELIX_SCORE_FORMAT    1

#define HELIX_SCORE_CHUNK     256


typedef struct {
    helix_score_input_t  *in;
    helix_json_t          json;
    helix_json_token_t    token;
    float                *dst;
    char                 *error;
} helix_score_reader_t;


static int helix_score_refuse(char *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static int helix_score_format(helix_score_input_t *in, char *error);
static int helix_score_json(helix_score_reader_t *reader,
    const helix_value_t *value);
static int helix_score_json_row(helix_score_reader_t *reader);
static int helix_score_body(helix_score_input_t *in, float *dst, char *error);
static int helix_score_body_row(helix_score_input_t *in,
    const unsigned char *src, float *dst, char *error);


const helix_param_t  helix_score_params[] = {
    { "features", HELIX_PARAM_JSON, 0, 1048576,
      "an array of numbers, or of such arrays" },
    { "format", HELIX_PARAM_TEXT, 0, 6, "json or binary" },
    { NULL, 0, 0, 0, NULL }
};


int
helix_score_input(helix_score_input_t *in, const helix_score_model_t *model,
    const helix_args_t *args, float *dst, char *error)
{
    helix_score_reader_t  reader;

    in->model = model;
    in->args = args;
    in->field = NULL;
    in->rows = 0;

    if (helix_score_format(in, error) != 0) {
        return -1;
    }

    if (args->values[HELIX_SCORE_FEATURES].given) {
        in->field = helix_score_params[HELIX_SCORE_FEATURES].name;

        if (args->body) {
            return helix_score_refuse(error, "features and a body: which is "
                                      "it?");
        }

        reader.in = in;
        reader.dst = dst;
        reader.error = error;

        return helix_score_json(&reader, &args->values[HELIX_SCORE_FEATURES]);
    }

    if (args->body == NULL) {
        in->field = helix_score_params[HELIX_SCORE_FEATURES].name;

        return helix_score_refuse(error, "features are needed, %u numbers or "
                                  "rows of them", model->inputs);
    }

    return helix_score_body(in, dst, error);
}


static int
helix_score_refuse(char *error, const char *format, ...)
{
    va_list  args;

    va_start(args, format);
    (void) vsnprintf(error, HELIX_KIND_ERROR_MAX, format, args);
    va_end(args);

    return -1;
}


static int
helix_score_format(helix_score_input_t *in, char *error)
{
    const helix_value_t  *value;

    value = &in->args->values[HELIX_SCORE_FORMAT];
    in->binary = 0;

    if (!value->given || (value->len == 4
                          && memcmp(value->text, "json", 4) == 0))
    {
        return 0;
    }

    if (value->len == 6 && memcmp(value->text, "binary", 6) == 0) {
        in->binary = 1;
        return 0;
    }

    in->field = helix_score_params[HELIX_SCORE_FORMAT].name;

    return helix_score_refuse(error, "format is json or binary");
}


static int
helix_score_json(helix_score_reader_t *reader, const helix_value_t *value)
{
    helix_score_input_t  *in;

    in = reader->in;

    helix_json_init(&reader->json, value->text, value->len,
                    HELIX_SCORE_ROWS * (HELIX_SCORE_WIDTH + 2) + 3);

    if (helix_json_next(&reader->json, &reader->token) != HELIX_JSON_ARRAY) {
        return helix_score_refuse(reader->error, "features are an array");
    }

    (void) helix_json_next(&reader->json, &reader->token);

    if (reader->token.type == HELIX_JSON_NUMBER) {
        return helix_score_json_row(reader);
    }

    while (reader->token.type == HELIX_JSON_ARRAY) {

        if (in->rows == HELIX_SCORE_ROWS) {
            return helix_score_refuse(reader->error, "features are at most "
                                      "%d rows", HELIX_SCORE_ROWS);
        }

        (void) helix_json_next(&reader->json, &reader->token);

        if (helix_score_json_row(reader) != 0) {
            return -1;
        }

        (void) helix_json_next(&reader->json, &reader->token);
    }

    if (reader->token.type != HELIX_JSON_ARRAY_END || in->rows == 0) {
        return helix_score_refuse(reader->error, "features are numbers or "
                                  "rows of numbers");
    }

    return 0;
}


/* From its first number to its end. */

static int
helix_score_json_row(helix_score_reader_t *reader)
{
    float                       x;
    double                      value;
    uint32_t                    n;
    helix_score_input_t        *in;
    const helix_score_model_t  *model;

    in = reader->in;
    model = in->model;

    for (n = 0; reader->token.type == HELIX_JSON_NUMBER; n++) {

        if (helix_number_double(reader->token.start, reader->token.len,
                                &value) != HELIX_NUMBER_OK
            || fabs(value) >= 0x1.ffffffp+127)
        {
            return helix_score_refuse(reader->error, "row %u, feature %u is "
                                      "too large", in->rows + 1, n + 1);
        }

        if (n < model->inputs && reader->dst) {
            x = (float) value - model->mean[n];
            reader->dst[n] = x / model->std[n];
        }

        (void) helix_json_next(&reader->json, &reader->token);
    }

    if (reader->token.type != HELIX_JSON_ARRAY_END) {
        return helix_score_refuse(reader->error, "row %u, feature %u is no "
                                  "number", in->rows + 1, n + 1);
    }

    if (n != model->inputs) {
        return helix_score_refuse(reader->error, "row %u has %u features, "
                                  "the model takes %u", in->rows + 1, n,
                                  model->inputs);
    }

    in->rows++;

    if (reader->dst) {
        reader->dst += model->stride[0];
    }

    return 0;
}


static int
helix_score_body(helix_score_input_t *in, float *dst, char *error)
{
    size_t                 len, rows;
    const unsigned char   *src;

    len = (size_t) in->model->inputs * sizeof(float);
    rows = in->args->body_len / len;

    if (in->args->body_len % len != 0 || rows == 0
        || rows > HELIX_SCORE_ROWS)
    {
        return helix_score_refuse(error, "the body has %zu bytes, not those "
                                  "of 1 to %d rows of %u floats",
                                  in->args->body_len, HELIX_SCORE_ROWS,
                                  in->model->inputs);
    }

    src = in->args->body;

    for (in->rows = 0; in->rows < rows; in->rows++) {

        if (helix_score_body_row(in, src, dst, error) != 0) {
            return -1;
        }

        src += len;

        if (dst) {
            dst += in->model->stride[0];
        }
    }

    return 0;
}


static int
helix_score_body_row(helix_score_input_t *in, const unsigned char *src,
    float *dst, char *error)
{
    float                       values[HELIX_SCORE_CHUNK], x;
    uint32_t                    i, done, n;
    const helix_score_model_t  *model;

    model = in->model;

    for (done = 0; done < model->inputs; done += n) {
        n = model->inputs - done;

        if (n > HELIX_SCORE_CHUNK) {
            n = HELIX_SCORE_CHUNK;
        }

        helix_safetensors_floats(HELIX_SAFETENSORS_F32, src, values, n);
        src += n * sizeof(float);

        for (i = 0; i < n; i++) {

            if (!isfinite(values[i])) {
                return helix_score_refuse(error, "row %u, feature %u is not "
                                          "finite", in->rows + 1,
                                          done + i + 1);
            }

            if (dst) {
                x = values[i] - model->mean[done + i];
                dst[done + i] = x / model->std[done + i];
            }
        }
    }

    return 0;
}
