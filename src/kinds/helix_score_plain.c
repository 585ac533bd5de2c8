
/*
 * score for any machine.  One that cannot multiply and add in one rounding has
 * it done in doubles: the product of two floats is one, and its sum with the
 * third is rounded to a float as if at once, unless it seems to be just
 * between two floats, or is smaller than a float's normal range.  Then the sum
 * has to be rounded to odd first (Boldo and Melquiond, 2008).
 */

#include <string.h>

#include "helix_score.h"


#if defined __FP_FAST_FMAF || defined __ARM_FEATURE_FMA

#define HELIX_SCORE_BUDGET    131072

#define helix_score_fma       __builtin_fmaf

#else

#define HELIX_SCORE_BUDGET    8192


static float __attribute__((noinline))
helix_score_fma_odd(double product, double c)
{
    double    sum, back, left, rest;
    int64_t   bits;

    sum = product + c;

    back = sum - product;
    left = sum - back;
    rest = (c - back) + (product - left);

    memcpy(&bits, &sum, sizeof(double));

    /* an even sum that is not exact: its odd neighbour on the other side */

    if ((rest > 0 || rest < 0) && (bits & 1) == 0) {
        bits += ((rest > 0) == (sum > 0)) ? 1 : -1;
        memcpy(&sum, &bits, sizeof(double));
    }

    return (float) sum;
}


static inline float
helix_score_fma(float a, float b, float c)
{
    double    product, sum;
    uint64_t  bits;

    product = (double) a * (double) b;
    sum = product + (double) c;

    memcpy(&bits, &sum, sizeof(double));

    if ((bits & 0x1fffffff) == 0x10000000
        || (bits & 0x7fffffffffffffff) < 0x3810000000000000)
    {
        return helix_score_fma_odd(product, (double) c);
    }

    return (float) sum;
}

#endif


#include "helix_score_math.h"


static void
helix_score_run(const helix_score_block_t *b)
{
    float         sum[HELIX_SCORE_PANEL], *y;
    size_t        panel;
    uint32_t      row, k, i;
    const float  *w, *x;

    for (row = 0; row < b->rows; row++) {
        x = b->x[row] + b->k;

        for (panel = 0; panel < b->npanels; panel++) {
            w = b->weights + panel * b->stride;
            y = b->y[row] + b->out + panel * HELIX_SCORE_PANEL;

            memcpy(sum, b->bias ? b->bias + panel * HELIX_SCORE_PANEL : y,
                   sizeof(sum));

            for (k = 0; k < b->nk; k++) {
                for (i = 0; i < HELIX_SCORE_PANEL; i++) {
                    sum[i] = helix_score_fma(w[i], x[k], sum[i]);
                }

                w += HELIX_SCORE_PANEL;
            }

            memcpy(y, sum, sizeof(sum));
        }

        helix_score_apply(b->y[row] + b->out, b->npanels * HELIX_SCORE_PANEL,
                          b->function);
    }
}


static int
helix_score_has_plain(void)
{
    return 1;
}


const helix_score_isa_t  helix_score_plain = {
    "plain", HELIX_SCORE_BUDGET, helix_score_run, helix_score_softmax_row,
    helix_score_has_plain
};


const helix_score_isa_t *
helix_score_isa(uint32_t i)
{
    uint32_t                         k;
    static const helix_score_isa_t  *const all[] = {
#if defined __x86_64__
        &helix_score_avx512,
        &helix_score_avx2,
#endif
        &helix_score_plain
    };

    for (k = 0; k < sizeof(all) / sizeof(all[0]); k++) {
        if (all[k]->supported() && i-- == 0) {
            return all[k];
        }
    }

    return NULL;
}
