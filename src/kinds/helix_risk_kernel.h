
/*
 * The loops over the paths of a block, for the instruction set that the file
 * including this has chosen.  HELIX_RISK_NAME(x) names its functions.
 *
 * A loop runs over one block, HELIX_RISK_BLOCK paths, whose arrays stay in
 * the first level of the cache.
 */

#include "helix_risk.h"
#include "helix_risk_lanes.h"


#define HELIX_RISK_VECTORS  (HELIX_RISK_BLOCK / HELIX_LANES)
#define HELIX_RISK_GROUP    (HELIX_RISK_LANES / HELIX_LANES)

/* streams of random numbers */
#define HELIX_RISK_NORMALS  0
#define HELIX_RISK_CHI2     1
#define HELIX_RISK_COUNTS   2
#define HELIX_RISK_SIZES    3

#define HELIX_RISK_DRAW(step, pair)  ((step) << 16 | (pair))

#define HELIX_RISK_PRODUCT  8     /* draws whose product of 16 uniforms is a
                                     normal number */


/* The numbers of the paths of the vector. */

HELIX_LANES_INLINE helix_bits_t
helix_risk_path(uint32_t path)
{
    uint32_t      i;
    helix_bits_t  p;

    for (i = 0; i < HELIX_LANES; i++) {
        p[i] = i;
    }

    return p + path;
}


/* sqrt((n - 2) / chi^2 of n degrees): the logarithm of a product of uniforms,
   and the square of a normal if n is odd. */

HELIX_LANES_INLINE helix_lanes_t
helix_risk_student(const helix_risk_market_t *m, helix_bits_t path,
    uint32_t step)
{
    uint32_t       i, n;
    helix_bits_t   u, v;
    helix_lanes_t  chi2, product, z0, z1;

    chi2 = helix_lanes(0.0);
    product = helix_lanes(1.0);
    n = m->dof / 2;

    for (i = 0; i < (n + 1) / 2; i++) {
        helix_lanes_random(m->keys, path, HELIX_RISK_DRAW(step, i),
                           HELIX_RISK_CHI2, &u, &v);
        product = product * helix_lanes_uniform(u);

        if (2 * i + 1 < n) {
            product = product * helix_lanes_uniform(v);
        }

        if ((i + 1) % HELIX_RISK_PRODUCT == 0) {
            chi2 = chi2 - helix_lanes_log(product);
            product = helix_lanes(1.0);
        }
    }

    chi2 = (chi2 - helix_lanes_log(product)) * 2.0;

    if (m->dof % 2) {
        helix_lanes_random(m->keys, path, HELIX_RISK_DRAW(step, i),
                           HELIX_RISK_CHI2, &u, &v);
        helix_lanes_normals(u, v, &z0, &z1);
        chi2 = chi2 + z0 * z0;
    }

    return helix_lanes_sqrt(helix_lanes((double) (m->dof - 2)) / chi2);
}


/* The sum of N jumps: N by inversion, then a normal of N times the mean and
   the variance. */

HELIX_LANES_INLINE helix_lanes_t
helix_risk_jump(const helix_risk_market_t *m, helix_bits_t path,
    uint32_t step)
{
    uint32_t       i;
    helix_bits_t   u, v;
    helix_lanes_t  n, r, z0, z1;

    helix_lanes_random(m->keys, path, HELIX_RISK_DRAW(step, 0),
                       HELIX_RISK_COUNTS, &u, &v);
    r = helix_lanes_uniform(u);
    n = helix_lanes(0.0);

    for (i = 0; i < m->njumps; i++) {
        n = n + helix_lanes_negative((helix_bits_t) (m->jumps[i] - r),
                                     helix_lanes(1.0), helix_lanes(0.0));
    }

    helix_lanes_random(m->keys, path, HELIX_RISK_DRAW(step, 0),
                       HELIX_RISK_SIZES, &u, &v);
    helix_lanes_normals(u, v, &z0, &z1);

    return n * m->jump_mean + helix_lanes_sqrt(n) * (z0 * m->jump_sd);
}


static void
HELIX_RISK_NAME(begin)(const helix_risk_market_t *m, uint32_t path,
    uint32_t step, double *logs, double *weight)
{
    uint32_t        i, v;
    helix_lanes_t   jump, *x, *w;

    w = (helix_lanes_t *) weight;

    for (v = 0; v < HELIX_RISK_VECTORS; v++) {

        if (m->dof != 0) {
            w[v] = helix_risk_student(m,
                       helix_risk_path(path + v * HELIX_LANES), step);
        }

        jump = helix_lanes(0.0);

        if (m->njumps != 0) {
            jump = helix_risk_jump(m,
                       helix_risk_path(path + v * HELIX_LANES), step);
        }

        for (i = 0; i < m->nassets; i++) {
            x = (helix_lanes_t *) (logs + i * HELIX_RISK_BLOCK);
            x[v] = (step == 0) ? m->values[i] + jump : x[v] + jump;
        }
    }
}


/* Shifts and scales the pair of every other path, and sums the exponent that
   tells how much likelier it became. */

HELIX_LANES_INLINE void
helix_risk_tilt_pair(const helix_risk_job_t *job, uint32_t pair,
    helix_lanes_t *z0, helix_lanes_t *z1)
{
    uint32_t       i, k, v;
    helix_bits_t   odd;
    helix_lanes_t  y, s, *z, *e;

    odd = (helix_risk_path(0) << 63);
    e = (helix_lanes_t *) job->exponent;

    for (v = 0; v < HELIX_RISK_VECTORS; v++) {
        for (k = 0; k < 2; k++) {
            z = k ? z1 : z0;
            i = 2 * pair + k;

            y = helix_lanes_horner(z[v], helix_lanes(job->tilt.scale[i]),
                                   job->tilt.mean[i]);
            y = helix_lanes_negative(odd, y, z[v]);
            z[v] = y;

            s = helix_lanes_horner(y, helix_lanes(job->tilt.second[i]),
                                   job->tilt.first[i]);
            e[v] = helix_lanes_madd(s, y, e[v]);
        }
    }
}


HELIX_LANES_INLINE void
helix_risk_draw(const helix_risk_job_t *job, uint32_t pair,
    helix_lanes_t *z0, helix_lanes_t *z1)
{
    uint32_t                    v;
    helix_bits_t                r0, r1;
    const helix_lanes_t        *w;
    const helix_risk_market_t  *m;

    m = job->market;

    for (v = 0; v < HELIX_RISK_VECTORS; v++) {
        helix_lanes_random(m->keys,
                           helix_risk_path(job->path + v * HELIX_LANES),
                           HELIX_RISK_DRAW(job->step, pair),
                           HELIX_RISK_NORMALS, &r0, &r1);
        helix_lanes_normals(r0, r1, &z0[v], &z1[v]);
    }

    if (m->dof != 0) {
        w = (const helix_lanes_t *) job->weight;

        for (v = 0; v < HELIX_RISK_VECTORS; v++) {
            z0[v] = z0[v] * w[v];
            z1[v] = z1[v] * w[v];
        }
    }
}


static void
HELIX_RISK_NAME(pairs)(helix_risk_job_t *job, uint32_t from, uint32_t to)
{
    uint32_t                    i, v, pair;
    helix_lanes_t               a, b, *x;
    const double               *matrix;
    helix_lanes_t               z0[HELIX_RISK_VECTORS];
    helix_lanes_t               z1[HELIX_RISK_VECTORS];
    const helix_risk_market_t  *m;

    m = job->market;

    for (pair = from; pair < to; pair++) {
        helix_risk_draw(job, pair, z0, z1);

        if (job->estimator == HELIX_RISK_TILTED) {
            helix_risk_tilt_pair(job, pair, z0, z1);
        }

        matrix = m->values + 2 * m->nassets * (1 + pair);

        for (i = m->full ? 0 : 2 * pair; i < m->nassets; i++) {
            x = (helix_lanes_t *) (job->logs + i * HELIX_RISK_BLOCK);
            a = helix_lanes(matrix[2 * i]);
            b = helix_lanes(matrix[2 * i + 1]);

            for (v = 0; v < HELIX_RISK_VECTORS; v++) {
                x[v] = helix_lanes_madd(a, z0[v],
                           helix_lanes_madd(b, z1[v], x[v]));
            }
        }
    }
}


static void
HELIX_RISK_NAME(prices)(const double *logs, double *prices, uint32_t n)
{
    uint32_t              v;
    helix_lanes_t        *s;
    const helix_lanes_t  *x;

    x = (const helix_lanes_t *) logs;
    s = (helix_lanes_t *) prices;

    for (v = 0; v < n * HELIX_RISK_VECTORS; v++) {
        s[v] = helix_lanes_exp(x[v]);
    }
}


/* Sets the value of what is linear or quadratic in the prices. */

static void
HELIX_RISK_NAME(linear)(const helix_risk_job_t *job, const double *prices)
{
    uint32_t              i, v;
    helix_lanes_t         y, first, second, spot, *value;
    const helix_lanes_t  *s;

    value = (helix_lanes_t *) job->value;

    for (v = 0; v < HELIX_RISK_VECTORS; v++) {
        value[v] = helix_lanes(0.0);
    }

    for (i = 0; i < job->market->nassets; i++) {

        if (job->first[i] == 0.0 && job->second[i] == 0.0) {
            continue;
        }

        s = (const helix_lanes_t *) (prices + i * HELIX_RISK_BLOCK);
        first = helix_lanes(job->first[i]);
        second = helix_lanes(job->second[i]);
        spot = helix_lanes(job->market->values[job->market->nassets + i]);

        for (v = 0; v < HELIX_RISK_VECTORS; v++) {
            y = s[v] - spot;
            value[v] = helix_lanes_madd(
                           helix_lanes_madd(second, y, first), y, value[v]);
        }
    }
}


/*
 * Black and Scholes.  K e^-rt phi(d2) = S e^-qt phi(d1): one exponential
 * serves both tails, and one division both Mills ratios.
 */

HELIX_LANES_INLINE helix_lanes_t
helix_risk_option(const helix_risk_option_t *o, helix_lanes_t x,
    helix_lanes_t s)
{
    helix_bits_t   sign;
    helix_lanes_t  d1, d2, a1, a2, p1, q1, p2, q2, top;

    d1 = helix_lanes_horner(x, helix_lanes(o->inverse), o->shift);
    d2 = d1 - o->width;

    a1 = (helix_lanes_t) ((helix_bits_t) d1 & ~HELIX_LANES_SIGN);
    a2 = (helix_lanes_t) ((helix_bits_t) d2 & ~HELIX_LANES_SIGN);

    helix_lanes_mills(helix_lanes_min(a1, helix_lanes(9.0)), &p1, &q1);
    helix_lanes_mills(helix_lanes_min(a2, helix_lanes(9.0)), &p2, &q2);

    p1 = (helix_lanes_t) ((helix_bits_t) (p1 * q2)
                          ^ ((helix_bits_t) d1 & HELIX_LANES_SIGN));
    p2 = (helix_lanes_t) ((helix_bits_t) (p2 * q1)
                          ^ ((helix_bits_t) d2 & HELIX_LANES_SIGN));

    top = helix_lanes_exp(d2 * d2 * -0.5) * o->density * (p1 - p2);

    sign = helix_bits((uint64_t) o->put << 63);

    p1 = helix_lanes_negative((helix_bits_t) d1 ^ sign, helix_lanes(0.0),
                              s * o->spot);
    p2 = helix_lanes_negative((helix_bits_t) d2 ^ sign, helix_lanes(0.0),
                              helix_lanes(o->strike));

    return (p1 - p2) - top / (q1 * q2);
}


static void
HELIX_RISK_NAME(options)(const helix_risk_job_t *job,
    const helix_risk_job_t *from, uint32_t first, uint32_t last)
{
    uint32_t                    i, v;
    helix_lanes_t              *value;
    const helix_lanes_t        *x, *s;
    const helix_risk_option_t  *o;

    value = (helix_lanes_t *) job->value;

    for (i = first; i < last; i++) {
        o = &job->options[i];
        x = (const helix_lanes_t *) (from->logs
                                     + o->asset * HELIX_RISK_BLOCK);
        s = (const helix_lanes_t *) (from->prices
                                     + o->asset * HELIX_RISK_BLOCK);

        for (v = 0; v < HELIX_RISK_VECTORS; v++) {
            value[v] = value[v] + helix_risk_option(o, x[v], s[v]);
        }
    }
}


static void
HELIX_RISK_NAME(payoffs)(const helix_risk_job_t *job, const double *prices)
{
    uint32_t                    i, v;
    helix_lanes_t               y, *value;
    const helix_lanes_t        *s;
    const helix_risk_payoff_t  *p;

    value = (helix_lanes_t *) job->value;

    for (i = 0; i < job->npayoffs; i++) {
        p = &job->payoffs[i];
        s = (const helix_lanes_t *) (prices + p->asset * HELIX_RISK_BLOCK);

        for (v = 0; v < HELIX_RISK_VECTORS; v++) {
            y = p->put ? p->strike - s[v] : s[v] - p->strike;
            value[v] = value[v] + helix_lanes_max(y, helix_lanes(0.0))
                                  * p->quantity;
        }
    }
}


/* 1 / (1/2 + 1/2 e^exponent): at most 2. */

static void
HELIX_RISK_NAME(weigh)(helix_risk_job_t *job)
{
    uint32_t        v;
    helix_lanes_t  *w, *e;

    w = (helix_lanes_t *) job->weight;
    e = (helix_lanes_t *) job->exponent;

    for (v = 0; v < HELIX_RISK_VECTORS; v++) {
        w[v] = 2.0 / (1.0 + helix_lanes_exp(e[v] - job->tilt.psi));
        e[v] = helix_lanes(0.0);
    }
}


/* Writes all, and advances past those to keep. */

HELIX_LANES_INLINE uint32_t
helix_risk_keep(double *dst, helix_lanes_t x, helix_lanes_t loss,
    double bar)
{
#if defined __x86_64__ && HELIX_LANES == 8
    __mmask8  mask;

    mask = _mm512_cmp_pd_mask((__m512d) loss, _mm512_set1_pd(bar),
                              _CMP_GE_OQ);
    _mm512_storeu_pd(dst, _mm512_maskz_compress_pd(mask, (__m512d) x));

    return (uint32_t) __builtin_popcount(mask);
#else
    uint32_t  i, n;

    n = 0;

    for (i = 0; i < HELIX_LANES; i++) {
        dst[n] = x[i];
        n += (loss[i] >= bar);
    }

    return n;
#endif
}


HELIX_LANES_INLINE void
helix_risk_sum(helix_lanes_t (*sums)[HELIX_RISK_GROUP], uint32_t g,
    helix_lanes_t y)
{
    helix_lanes_t  y2;

    y2 = y * y;
    sums[0][g] = sums[0][g] + y;
    sums[1][g] = sums[1][g] + y2;
    sums[2][g] = helix_lanes_madd(y2, y, sums[2][g]);
    sums[3][g] = helix_lanes_madd(y2, y2, sums[3][g]);
}


HELIX_LANES_INLINE void
helix_risk_sum_weighted(helix_lanes_t (*sums)[HELIX_RISK_GROUP],
    uint32_t g, helix_lanes_t y, helix_lanes_t w)
{
    helix_lanes_t  y2, w2;

    y2 = y * y;
    w2 = w * w;
    sums[0][g] = sums[0][g] + w;
    sums[1][g] = sums[1][g] + w * y;
    sums[2][g] = sums[2][g] + w * y2;
    sums[3][g] = sums[3][g] + w2;
    sums[4][g] = sums[4][g] + w2 * y;
    sums[5][g] = sums[5][g] + w2 * y2;
    sums[6][g] = sums[6][g] + w2 * y2 * y;
    sums[7][g] = sums[7][g] + w2 * y2 * y2;
}


static void
HELIX_RISK_NAME(losses)(helix_risk_tail_t *tail, const double *value,
    const double *weight)
{
    uint32_t              v, g, n, kept;
    helix_lanes_t         loss;
    helix_lanes_t         sums[HELIX_RISK_SUMS][HELIX_RISK_GROUP];
    const helix_lanes_t  *x, *w;

    x = (const helix_lanes_t *) value;
    w = (const helix_lanes_t *) weight;
    n = tail->nkept;

    __builtin_memcpy(sums, tail->sums, sizeof(sums));

    for (v = 0; v < HELIX_RISK_VECTORS; v++) {
        g = v % HELIX_RISK_GROUP;
        loss = tail->base - x[v];
        kept = helix_risk_keep(tail->losses + n, loss, loss, tail->bar);

        if (weight != NULL) {
            (void) helix_risk_keep(tail->weights + n, w[v], loss,
                                         tail->bar);
            helix_risk_sum_weighted(sums, g, loss - tail->shift, w[v]);

        } else {
            helix_risk_sum(sums, g, loss - tail->shift);
        }

        n += kept;
    }

    __builtin_memcpy(tail->sums, sums, sizeof(sums));
    tail->nkept = n;
}


const helix_risk_isa_t  HELIX_RISK_NAME(isa) = {
    .name = HELIX_RISK_ISA,
    .slow = HELIX_RISK_SLOW,
    .begin = HELIX_RISK_NAME(begin),
    .pairs = HELIX_RISK_NAME(pairs),
    .prices = HELIX_RISK_NAME(prices),
    .linear = HELIX_RISK_NAME(linear),
    .options = HELIX_RISK_NAME(options),
    .payoffs = HELIX_RISK_NAME(payoffs),
    .weigh = HELIX_RISK_NAME(weigh),
    .losses = HELIX_RISK_NAME(losses)
};
