
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "helix_json.h"
#include "helix_kind.h"
#include "helix_safetensors.h"


/* a tensor has at most 20 tokens, and metadata is small */

#define HELIX_SAFETENSORS_TOKENS  (HELIX_SAFETENSORS_TENSORS * 20 + 4096)

#define HELIX_SAFETENSORS_DTYPE   0x1
#define HELIX_SAFETENSORS_SHAPE   0x2
#define HELIX_SAFETENSORS_OFFSETS 0x4
#define HELIX_SAFETENSORS_ALL     0x7


typedef struct {
    helix_json_t               json;
    helix_json_token_t         token;
    helix_safetensors_t       *st;
    helix_safetensors_meta_t  *meta;
    uint32_t                   nmeta;
    uint32_t                   has_meta;
    uint64_t                   size;
    char                      *error;
} helix_safetensors_reader_t;


static int helix_safetensors_fail(char *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static int helix_safetensors_next(helix_safetensors_reader_t *in);
static int helix_safetensors_expect(helix_safetensors_reader_t *in,
    helix_json_type_t type, const char *what);
static int helix_safetensors_is(const helix_json_token_t *token,
    const char *name);
static int helix_safetensors_metadata(helix_safetensors_reader_t *in);
static int helix_safetensors_value(helix_safetensors_reader_t *in,
    helix_safetensors_meta_t *meta);
static int helix_safetensors_tensor(helix_safetensors_reader_t *in);
static int helix_safetensors_name(helix_safetensors_reader_t *in, char *name);
static int helix_safetensors_member(helix_safetensors_reader_t *in,
    helix_safetensors_tensor_t *t, uint32_t *seen);
static int helix_safetensors_dtype(helix_safetensors_reader_t *in,
    helix_safetensors_tensor_t *t);
static int helix_safetensors_list(helix_safetensors_reader_t *in,
    const helix_safetensors_tensor_t *t, const char *what, uint64_t *list,
    uint32_t max, uint32_t *n);
static int helix_safetensors_extent(helix_safetensors_reader_t *in,
    const helix_safetensors_tensor_t *t);
static int helix_safetensors_layout(helix_safetensors_reader_t *in);
static float helix_safetensors_half(uint32_t half);


size_t
helix_safetensors_header(const unsigned char *start, uint64_t file_size,
    char *error)
{
    uint64_t  len;
    uint32_t  i;

    if (file_size < 8) {
        (void) helix_safetensors_fail(error, "is too short to be a "
                                      "safetensors file");
        return 0;
    }

    len = 0;

    for (i = 8; i > 0; i--) {
        len = len << 8 | start[i - 1];
    }

    if (len > file_size - 8 || len == 0) {
        (void) helix_safetensors_fail(error, "is truncated, or no "
                                      "safetensors file");
        return 0;
    }

    if (len > HELIX_SAFETENSORS_HEADER) {
        (void) helix_safetensors_fail(error, "has a header of more than "
                                      "%u bytes", HELIX_SAFETENSORS_HEADER);
        return 0;
    }

    return (size_t) len;
}


int
helix_safetensors_parse(helix_safetensors_t *st, const char *json, size_t len,
    uint64_t size, helix_safetensors_meta_t *meta, uint32_t nmeta,
    char *error)
{
    uint32_t                    i;
    helix_safetensors_reader_t  in;

    memset(&in, 0, sizeof(in));

    helix_json_init(&in.json, json, len, HELIX_SAFETENSORS_TOKENS);
    in.st = st;
    in.meta = meta;
    in.nmeta = nmeta;
    in.size = size;
    in.error = error;

    st->ntensors = 0;

    for (i = 0; i < nmeta; i++) {
        meta[i].given = 0;
        meta[i].value[0] = '\0';
    }

    if (helix_safetensors_expect(&in, HELIX_JSON_OBJECT, "an object") != 0) {
        return -1;
    }

    for ( ;; ) {

        if (helix_safetensors_next(&in) != 0) {
            return -1;
        }

        if (in.token.type == HELIX_JSON_OBJECT_END) {
            break;
        }

        if (helix_safetensors_is(&in.token, "__metadata__")) {
            if (helix_safetensors_metadata(&in) != 0) {
                return -1;
            }

        } else if (helix_safetensors_tensor(&in) != 0) {
            return -1;
        }
    }

    if (helix_safetensors_expect(&in, HELIX_JSON_END, "the end") != 0) {
        return -1;
    }

    return helix_safetensors_layout(&in);
}


size_t
helix_safetensors_size(helix_safetensors_type_t type)
{
    return (type == HELIX_SAFETENSORS_F32) ? 4 : 2;
}


void
helix_safetensors_floats(helix_safetensors_type_t type,
    const unsigned char *src, float *dst, size_t n)
{
    size_t    i;
    uint32_t  bits;

    for (i = 0; i < n; i++) {

        if (type == HELIX_SAFETENSORS_F32) {
            bits = (uint32_t) src[0] | (uint32_t) src[1] << 8
                   | (uint32_t) src[2] << 16 | (uint32_t) src[3] << 24;
            memcpy(&dst[i], &bits, sizeof(float));
            src += 4;
            continue;
        }

        bits = (uint32_t) src[0] | (uint32_t) src[1] << 8;
        src += 2;

        if (type == HELIX_SAFETENSORS_F16) {
            dst[i] = helix_safetensors_half(bits);

        } else {
            bits <<= 16;
            memcpy(&dst[i], &bits, sizeof(float));
        }
    }
}


static int
helix_safetensors_fail(char *error, const char *format, ...)
{
    va_list  args;

    va_start(args, format);
    (void) vsnprintf(error, HELIX_KIND_ERROR_MAX, format, args);
    va_end(args);

    return -1;
}


static int
helix_safetensors_next(helix_safetensors_reader_t *in)
{
    if (helix_json_next(&in->json, &in->token) == HELIX_JSON_ERROR) {
        return helix_safetensors_fail(in->error, "header: %s at byte %zu",
                                      in->json.error, (size_t)
                                      (in->json.pos - in->json.start));
    }

    return 0;
}


static int
helix_safetensors_expect(helix_safetensors_reader_t *in,
    helix_json_type_t type, const char *what)
{
    if (helix_safetensors_next(in) != 0) {
        return -1;
    }

    if (in->token.type != type) {
        return helix_safetensors_fail(in->error, "header: expected %s before "
                                      "byte %zu", what, (size_t)
                                      (in->json.pos - in->json.start));
    }

    return 0;
}


static int
helix_safetensors_is(const helix_json_token_t *token, const char *name)
{
    return token->len == strlen(name)
           && memcmp(token->start, name, token->len) == 0;
}


static int
helix_safetensors_metadata(helix_safetensors_reader_t *in)
{
    uint32_t                   i;
    helix_safetensors_meta_t  *meta;

    if (in->has_meta) {
        return helix_safetensors_fail(in->error, "has \"__metadata__\" "
                                      "twice");
    }

    in->has_meta = 1;

    if (helix_safetensors_expect(in, HELIX_JSON_OBJECT, "an object") != 0) {
        return -1;
    }

    for ( ;; ) {

        if (helix_safetensors_next(in) != 0) {
            return -1;
        }

        if (in->token.type == HELIX_JSON_OBJECT_END) {
            return 0;
        }

        meta = NULL;

        for (i = 0; i < in->nmeta; i++) {
            if (helix_safetensors_is(&in->token, in->meta[i].name)) {
                meta = &in->meta[i];
            }
        }

        if (helix_safetensors_expect(in, HELIX_JSON_STRING, "a string") != 0)
        {
            return -1;
        }

        if (meta && helix_safetensors_value(in, meta) != 0) {
            return -1;
        }
    }
}


static int
helix_safetensors_value(helix_safetensors_reader_t *in,
    helix_safetensors_meta_t *meta)
{
    ptrdiff_t  n;

    if (meta->given) {
        return helix_safetensors_fail(in->error, "metadata has \"%s\" twice",
                                      meta->name);
    }

    n = helix_json_text(&in->token, meta->value,
                        HELIX_SAFETENSORS_VALUE - 1);

    if (n < 0) {
        return helix_safetensors_fail(in->error, "metadata: \"%s\" is too "
                                      "long", meta->name);
    }

    meta->value[n] = '\0';
    meta->given = 1;

    return 0;
}


static int
helix_safetensors_tensor(helix_safetensors_reader_t *in)
{
    uint32_t                     seen;
    helix_safetensors_tensor_t  *t;

    if (in->st->ntensors == HELIX_SAFETENSORS_TENSORS) {
        return helix_safetensors_fail(in->error, "has more than %d tensors",
                                      HELIX_SAFETENSORS_TENSORS);
    }

    t = &in->st->tensors[in->st->ntensors];
    memset(t, 0, sizeof(helix_safetensors_tensor_t));

    if (helix_safetensors_name(in, t->name) != 0
        || helix_safetensors_expect(in, HELIX_JSON_OBJECT, "an object") != 0)
    {
        return -1;
    }

    seen = 0;

    for ( ;; ) {

        if (helix_safetensors_next(in) != 0) {
            return -1;
        }

        if (in->token.type == HELIX_JSON_OBJECT_END) {
            break;
        }

        if (helix_safetensors_member(in, t, &seen) != 0) {
            return -1;
        }
    }

    if (seen != HELIX_SAFETENSORS_ALL) {
        return helix_safetensors_fail(in->error, "tensor \"%s\" lacks its "
                                      "dtype, shape or data_offsets",
                                      t->name);
    }

    in->st->ntensors++;

    return helix_safetensors_extent(in, t);
}


/* A name that may stand in an error, and is not there yet. */

static int
helix_safetensors_name(helix_safetensors_reader_t *in, char *name)
{
    uint32_t   i;
    ptrdiff_t  n, k;

    n = helix_json_text(&in->token, name, HELIX_SAFETENSORS_NAME - 1);

    if (n <= 0) {
        return helix_safetensors_fail(in->error, "has a tensor whose name is "
                                      "%s", n ? "too long" : "empty");
    }

    for (k = 0; k < n; k++) {
        if (name[k] <= 0x20 || name[k] >= 0x7f) {
            return helix_safetensors_fail(in->error, "has a tensor whose "
                                          "name is not printable ASCII");
        }
    }

    name[n] = '\0';

    for (i = 0; i < in->st->ntensors; i++) {
        if (strcmp(in->st->tensors[i].name, name) == 0) {
            return helix_safetensors_fail(in->error, "has tensor \"%s\" "
                                          "twice", name);
        }
    }

    return 0;
}


static int
helix_safetensors_member(helix_safetensors_reader_t *in,
    helix_safetensors_tensor_t *t, uint32_t *seen)
{
    int       rc;
    uint32_t  n, bit;
    uint64_t  offsets[2];

    if (helix_safetensors_is(&in->token, "dtype")) {
        bit = HELIX_SAFETENSORS_DTYPE;
        rc = helix_safetensors_dtype(in, t);

    } else if (helix_safetensors_is(&in->token, "shape")) {
        bit = HELIX_SAFETENSORS_SHAPE;
        rc = helix_safetensors_list(in, t, "shape", t->dims,
                                    HELIX_SAFETENSORS_DIMS, &t->ndims);

    } else if (helix_safetensors_is(&in->token, "data_offsets")) {
        bit = HELIX_SAFETENSORS_OFFSETS;
        rc = helix_safetensors_list(in, t, "data_offsets", offsets, 2, &n);

        if (rc == 0 && n == 2) {
            t->begin = offsets[0];
            t->end = offsets[1];

        } else if (rc == 0) {
            return helix_safetensors_fail(in->error, "tensor \"%s\" has not "
                                          "two data_offsets", t->name);
        }

    } else {
        return helix_safetensors_fail(in->error, "tensor \"%s\" has an "
                                      "unknown member", t->name);
    }

    if (rc == 0 && (*seen & bit)) {
        return helix_safetensors_fail(in->error, "tensor \"%s\" has a member "
                                      "twice", t->name);
    }

    *seen |= bit;

    return rc;
}


static int
helix_safetensors_dtype(helix_safetensors_reader_t *in,
    helix_safetensors_tensor_t *t)
{
    if (helix_safetensors_expect(in, HELIX_JSON_STRING, "a string") != 0) {
        return -1;
    }

    if (helix_safetensors_is(&in->token, "F32")) {
        t->type = HELIX_SAFETENSORS_F32;

    } else if (helix_safetensors_is(&in->token, "F16")) {
        t->type = HELIX_SAFETENSORS_F16;

    } else if (helix_safetensors_is(&in->token, "BF16")) {
        t->type = HELIX_SAFETENSORS_BF16;

    } else {
        return helix_safetensors_fail(in->error, "tensor \"%s\" is not of "
                                      "F32, F16 or BF16", t->name);
    }

    return 0;
}


static int
helix_safetensors_list(helix_safetensors_reader_t *in,
    const helix_safetensors_tensor_t *t, const char *what, uint64_t *list,
    uint32_t max, uint32_t *n)
{
    uint64_t  value;

    if (helix_safetensors_expect(in, HELIX_JSON_ARRAY, "an array") != 0) {
        return -1;
    }

    *n = 0;

    for ( ;; ) {

        if (helix_safetensors_next(in) != 0) {
            return -1;
        }

        if (in->token.type == HELIX_JSON_ARRAY_END) {
            return 0;
        }

        if (in->token.type != HELIX_JSON_NUMBER || *n == max
            || helix_number_u64(in->token.start, in->token.len, &value)
               != HELIX_NUMBER_OK)
        {
            return helix_safetensors_fail(in->error, "tensor \"%s\": its %s "
                                          "is not at most %u natural "
                                          "numbers", t->name, what, max);
        }

        list[(*n)++] = value;
    }
}


/* Is the data inside the file, and as long as the shape says? */

static int
helix_safetensors_extent(helix_safetensors_reader_t *in,
    const helix_safetensors_tensor_t *t)
{
    uint32_t  i;
    uint64_t  bytes;

    if (t->begin > t->end || t->end > in->size) {
        return helix_safetensors_fail(in->error, "tensor \"%s\" is not inside "
                                      "the file", t->name);
    }

    bytes = helix_safetensors_size(t->type);

    for (i = 0; i < t->ndims; i++) {

        if (t->dims[i] == 0) {
            return helix_safetensors_fail(in->error, "tensor \"%s\" is empty",
                                          t->name);
        }

        if (bytes > UINT64_MAX / t->dims[i]) {
            return helix_safetensors_fail(in->error, "tensor \"%s\" has too "
                                          "large a shape", t->name);
        }

        bytes *= t->dims[i];
    }

    if (bytes != t->end - t->begin) {
        return helix_safetensors_fail(in->error, "tensor \"%s\": its shape is "
                                      "of %llu bytes, its data of %llu",
                                      t->name, (unsigned long long) bytes,
                                      (unsigned long long)
                                      (t->end - t->begin));
    }

    return 0;
}


/* One after the other, without gaps. */

static int
helix_safetensors_layout(helix_safetensors_reader_t *in)
{
    uint32_t                     i, k;
    uint64_t                     end;
    helix_safetensors_tensor_t   t, *tensors;

    tensors = in->st->tensors;

    for (i = 1; i < in->st->ntensors; i++) {
        t = tensors[i];

        for (k = i; k > 0 && tensors[k - 1].begin > t.begin; k--) {
            tensors[k] = tensors[k - 1];
        }

        tensors[k] = t;
    }

    end = 0;

    for (i = 0; i < in->st->ntensors; i++) {

        if (tensors[i].begin != end) {
            return helix_safetensors_fail(in->error, "tensor \"%s\" %s",
                                          tensors[i].name,
                                          tensors[i].begin < end
                                          ? "overlaps another"
                                          : "comes after a gap");
        }

        end = tensors[i].end;
    }

    if (end != in->size) {
        return helix_safetensors_fail(in->error, "has data beyond its last "
                                      "tensor");
    }

    return 0;
}


static float
helix_safetensors_half(uint32_t half)
{
    float     value;
    uint32_t  sign, exponent, fraction, bits;

    sign = (half & 0x8000) << 16;
    exponent = half >> 10 & 0x1f;
    fraction = half & 0x3ff;

    if (exponent == 0) {

        /* subnormal, or zero: fraction 2^-24, which a float has exactly */

        value = (float) fraction * 0x1p-24f;
        memcpy(&bits, &value, sizeof(float));
        bits |= sign;

    } else if (exponent == 0x1f) {
        bits = sign | 0x7f800000 | fraction << 13;

    } else {
        bits = sign | (exponent + 112) << 23 | fraction << 13;
    }

    memcpy(&value, &bits, sizeof(float));

    return value;
}
