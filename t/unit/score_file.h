
/* Models for the tests of score, and their files. */

#ifndef SCORE_FILE_H_INCLUDED
#define SCORE_FILE_H_INCLUDED


#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "helix_kinds.h"


#define SCORE_LAYERS  8


typedef enum {
    SCORE_F32 = 0,
    SCORE_F16,
    SCORE_BF16
} score_type_t;


/* What is NULL is not in the file. */

typedef struct {
    uint32_t      nlayers;
    uint32_t      widths[SCORE_LAYERS + 1];
    const float  *weights[SCORE_LAYERS];
    const float  *bias[SCORE_LAYERS];
    const float  *mean;
    const float  *std;
    const char   *activation;           /* given as pairs */
    const char   *output;
    score_type_t  type;
    float        *memory;               /* of score_net_fill() */
} score_net_t;


typedef struct {
    char          header[8192];
    size_t        header_len;
    uint64_t      offset;
    size_t        len;
    unsigned char  *data;
} score_file_t;


static inline uint64_t
score_random(uint64_t *seed)
{
    uint64_t  z;

    z = (*seed += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;

    return z ^ (z >> 31);
}


/* -1 <= x < 1 */

static inline float
score_random_float(uint64_t *seed)
{
    return (float) (int32_t) (score_random(seed) >> 32) * 0x1p-31f;
}


/* Weights for the widths that it has. */

static inline void
score_net_fill(score_net_t *net, uint64_t *seed)
{
    float     *p;
    size_t     n, i, size;
    uint32_t   l;

    size = 0;

    for (l = 0; l < net->nlayers; l++) {
        size += (size_t) net->widths[l + 1] * (net->widths[l] + 1);
    }

    p = malloc(size * sizeof(float));
    net->memory = p;

    for (l = 0; p != NULL && l < net->nlayers; l++) {
        n = (size_t) net->widths[l + 1] * net->widths[l];
        net->weights[l] = p;
        net->bias[l] = p + n;

        for (i = 0; i < n + net->widths[l + 1]; i++) {
            *p++ = score_random_float(seed) * 2
                   / sqrtf((float) net->widths[l]);
        }
    }
}


static inline void
score_net_random(score_net_t *net, uint64_t *seed, uint32_t nlayers,
    uint32_t max)
{
    uint32_t  i;

    memset(net, 0, sizeof(score_net_t));
    net->nlayers = nlayers;

    for (i = 0; i <= nlayers; i++) {
        net->widths[i] = 1 + (uint32_t) (score_random(seed) % max);

        if (score_random(seed) % 4 == 0) {
            net->widths[i] = (net->widths[i] / 32 + 1) * 32;
            net->widths[i] -= (net->widths[i] > max) ? 32 : 0;
        }

        net->widths[i] += (net->widths[i] == 0);
    }

    score_net_fill(net, seed);
}


static inline void
score_net_free(score_net_t *net)
{
    free(net->memory);
}


static inline uint32_t
score_bits(float x, score_type_t type)
{
    int       exponent;
    float     fraction;
    uint32_t  bits, sign;

    memcpy(&bits, &x, sizeof(bits));

    if (type == SCORE_F32) {
        return bits;
    }

    if (type == SCORE_BF16) {
        return bits >> 16;
    }

    /* of what F16 has exactly */

    sign = bits >> 31 << 15;
    fraction = frexpf(fabsf(x), &exponent);

    if (fraction == 0 || exponent < -13) {
        return sign | (uint32_t) ldexpf(fabsf(x), 24);
    }

    return sign | ((uint32_t) (exponent + 14) << 10)
           | ((uint32_t) ldexpf(fraction, 11) & 1023);
}


static inline void
score_file_add(score_file_t *f, const char *name, const char *shape,
    const float *values, size_t n, score_type_t type)
{
    size_t                    i, k, size;
    uint32_t                  bits;
    static const char *const  types[] = { "F32", "F16", "BF16" };

    size = (type == SCORE_F32) ? 4 : 2;
    f->data = realloc(f->data, f->len + n * size + 1);

    f->header_len += (size_t) snprintf(f->header + f->header_len,
                                       sizeof(f->header) - f->header_len,
                                       "%c\"%s\":{\"dtype\":\"%s\","
                                       "\"shape\":%s,"
                                       "\"data_offsets\":[%zu,%zu]}",
                                       f->header_len ? ',' : '{', name,
                                       types[type], shape, f->len,
                                       f->len + n * size);

    for (i = 0; i < n; i++) {
        bits = score_bits(values[i], type);

        for (k = 0; k < size; k++) {
            f->data[f->len++] = (unsigned char) (bits >> (8 * k));
        }
    }
}


/* Closes the header; 0, or -1. */

static inline int
score_file_write(score_file_t *f, const char *path)
{
    FILE           *out;
    size_t          i, n;
    unsigned char   start[8];

    n = f->header_len;

    if (n == 0) {
        f->header[n++] = '{';
    }

    f->header[n++] = '}';

    for (i = 0; i < 8; i++) {
        start[i] = (unsigned char) ((uint64_t) n >> (8 * i));
    }

    out = fopen(path, "wb");

    if (out == NULL) {
        return -1;
    }

    n = fwrite(start, 1, 8, out) + fwrite(f->header, 1, n, out)
        + fwrite(f->data, 1, f->len, out) - n - 8 - f->len;

    return fclose(out) == 0 && n == 0 ? 0 : -1;
}


static inline void
score_file_net(score_file_t *f, const score_net_t *net)
{
    char      name[32], shape[32];
    uint32_t  l, in, out;

    for (l = 0; l < net->nlayers; l++) {
        in = net->widths[l];
        out = net->widths[l + 1];

        (void) snprintf(name, sizeof(name), "%u.weight", 2 * l);
        (void) snprintf(shape, sizeof(shape), "[%u,%u]", out, in);
        score_file_add(f, name, shape, net->weights[l], (size_t) in * out,
                       net->type);

        if (net->bias[l]) {
            (void) snprintf(name, sizeof(name), "%u.bias", 2 * l);
            (void) snprintf(shape, sizeof(shape), "[%u]", out);
            score_file_add(f, name, shape, net->bias[l], out, net->type);
        }
    }

    (void) snprintf(shape, sizeof(shape), "[%u]", net->widths[0]);

    if (net->mean) {
        score_file_add(f, "mean", shape, net->mean, net->widths[0],
                       SCORE_F32);
    }

    if (net->std) {
        score_file_add(f, "std", shape, net->std, net->widths[0], SCORE_F32);
    }
}


/* The instance of the kind, or NULL with an error. */

static inline void *
score_configure_file(const score_file_t *file, const char *activation,
    const char *output, char *error)
{
    int            fd;
    char           path[] = "/tmp/helix-score-XXXXXX";
    void          *conf;
    uint32_t       n;
    score_file_t   f;
    helix_pair_t   pairs[3];

    f = *file;
    fd = mkstemp(path);

    if (fd == -1 || close(fd) != 0 || score_file_write(&f, path) != 0) {
        (void) snprintf(error, HELIX_KIND_ERROR_MAX, "%s: not written", path);
        return NULL;
    }

    n = 0;
    pairs[n].name = "model";
    pairs[n++].value = path;

    if (activation) {
        pairs[n].name = "activation";
        pairs[n++].value = activation;
    }

    if (output) {
        pairs[n].name = "output";
        pairs[n++].value = output;
    }

    conf = helix_kind_score.configure(NULL, pairs, n, error);
    (void) unlink(path);

    return conf;
}


static inline void *
score_configure(const score_net_t *net)
{
    char          text[HELIX_KIND_ERROR_MAX];
    void         *conf;
    score_file_t  f;

    memset(&f, 0, sizeof(f));
    score_file_net(&f, net);
    conf = score_configure_file(&f, net->activation, net->output, text);
    free(f.data);

    if (conf == NULL) {
        fprintf(stderr, "%s\n", text);
        abort();
    }

    return conf;
}


#endif /* SCORE_FILE_H_INCLUDED */
