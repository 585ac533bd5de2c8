
/*
 * The functions of score's layers.  Each instruction set's file includes this
 * with a helix_score_fma() of its own that rounds once: the rest is addition,
 * multiplication and division, rounded alike everywhere, and no sum has a
 * product in its expression that a compiler might fuse.
 *
 * exp(): x = n ln 2 + r, |r| <= ln 2 / 2, and a polynomial of degree 6 for
 * exp(r) - 1, minimax, relative error 1.5e-8 of its cubic and higher part.
 *
 * gelu(): x P(x), P the normal distribution; P(-a) = exp(-a^2 / 2) M(a), and
 * M, which is smooth, is a polynomial of degree 10 in t = 4 / (4 + a), minimax
 * on 0 <= a <= 14, relative error 8.2e-9.
 */

#include <string.h>

#include "helix_score.h"


#define HELIX_SCORE_EXP_MIN   -87.0f    /* below, exp() is 0 */
#define HELIX_SCORE_ROUND     12582912.0f  /* 1.5 2^23 */
#define HELIX_SCORE_LOG2E     0x1.715476p+0f
#define HELIX_SCORE_LN2_HIGH  0x1.62e4p-1f  /* 15 bits: n times it is exact */
#define HELIX_SCORE_LN2_LOW   0x1.7f7d1cp-20f


static inline uint32_t
helix_score_bits(float x)
{
    uint32_t  bits;

    memcpy(&bits, &x, sizeof(float));

    return bits;
}


static inline float
helix_score_float(uint32_t bits)
{
    float  x;

    memcpy(&x, &bits, sizeof(float));

    return x;
}


static inline float
helix_score_abs(float x)
{
    return helix_score_float(helix_score_bits(x) & 0x7fffffff);
}


/* exp(x) = scale (1 + the result), EXP_MIN <= x <= 0. */

static inline float
helix_score_exp_part(float x, float *scale)
{
    float  n, r, q, shifted;

    shifted = helix_score_fma(x, HELIX_SCORE_LOG2E, HELIX_SCORE_ROUND);
    n = shifted - HELIX_SCORE_ROUND;
    *scale = helix_score_float((helix_score_bits(shifted) + 127) << 23);

    r = helix_score_fma(n, -HELIX_SCORE_LN2_HIGH, x);
    r = helix_score_fma(n, -HELIX_SCORE_LN2_LOW, r);

    q = 0x1.6d77b4p-10f;
    q = helix_score_fma(q, r, 0x1.122b3ap-7f);
    q = helix_score_fma(q, r, 0x1.5554c4p-5f);
    q = helix_score_fma(q, r, 0x1.5554acp-3f);
    q = helix_score_fma(q, r, 0.5f);

    return helix_score_fma(r * r, q, r);
}


/* Of x <= 0. */

static inline float
helix_score_exp(float x)
{
    float  part, scale, y;

    y = (x < HELIX_SCORE_EXP_MIN) ? HELIX_SCORE_EXP_MIN : x;
    part = helix_score_exp_part(y, &scale);
    y = helix_score_fma(part, scale, scale);

    return (x < HELIX_SCORE_EXP_MIN) ? 0.0f : y;
}


static inline float
helix_score_tanh(float x)
{
    float  y, part, scale;

    y = helix_score_abs(x) * -2.0f;
    y = (y < -20.0f) ? -20.0f : y;

    part = helix_score_exp_part(y, &scale);
    y = helix_score_fma(part, scale, scale - 1.0f);
    y = y / (y + 2.0f);

    return helix_score_float(helix_score_bits(y)
                             ^ (~helix_score_bits(x) & 0x80000000));
}


static inline float
helix_score_sigmoid(float x)
{
    float  e, y;

    e = helix_score_exp(-helix_score_abs(x));
    y = (x < 0.0f) ? e : 1.0f;

    return y / (1.0f + e);
}


static inline float
helix_score_gelu(float x)
{
    float  a, t, m, e;

    a = helix_score_abs(x);
    a = (a > 14.0f) ? 14.0f : a;
    t = 4.0f / (4.0f + a);

    m = 0x1.0fa3f4p-6f;
    m = helix_score_fma(m, t, -0x1.013224p-4f);
    m = helix_score_fma(m, t, 0x1.a721aap-5f);
    m = helix_score_fma(m, t, 0x1.d1e844p-6f);
    m = helix_score_fma(m, t, 0x1.a08328p-7f);
    m = helix_score_fma(m, t, 0x1.62f2fp-4f);
    m = helix_score_fma(m, t, 0x1.26e89ep-4f);
    m = helix_score_fma(m, t, 0x1.873b8ep-4f);
    m = helix_score_fma(m, t, 0x1.97858p-4f);
    m = helix_score_fma(m, t, 0x1.989142p-4f);

    e = helix_score_exp(a * -0.5f * a);
    m = m * t * e;

    return x * ((x < 0.0f) ? m : 1.0f - m);
}


/* Not a number stays so: the job will fail. */

static inline float
helix_score_relu(float x)
{
    return (x <= 0.0f) ? 0.0f : x;
}


static void
helix_score_apply(float *y, uint32_t n, helix_score_function_t function)
{
    uint32_t  i;

    switch (function) {

    case HELIX_SCORE_RELU:
        for (i = 0; i < n; i++) {
            y[i] = helix_score_relu(y[i]);
        }

        break;

    case HELIX_SCORE_TANH:
        for (i = 0; i < n; i++) {
            y[i] = helix_score_tanh(y[i]);
        }

        break;

    case HELIX_SCORE_GELU:
        for (i = 0; i < n; i++) {
            y[i] = helix_score_gelu(y[i]);
        }

        break;

    case HELIX_SCORE_SIGMOID:
        for (i = 0; i < n; i++) {
            y[i] = helix_score_sigmoid(y[i]);
        }

        break;

    default:
        break;
    }
}


/* The sum is of doubles, in order. */

static void
helix_score_softmax_row(float *y, uint32_t n)
{
    float     max, sum;
    double    total;
    uint32_t  i;

    max = y[0];

    for (i = 1; i < n; i++) {
        max = (y[i] > max) ? y[i] : max;
    }

    for (i = 0; i < n; i++) {
        y[i] = helix_score_exp(y[i] - max);
    }

    total = 0;

    for (i = 0; i < n; i++) {
        total += (double) y[i];
    }

    sum = (float) total;

    for (i = 0; i < n; i++) {
        y[i] = y[i] / sum;
    }
}
