
/*
 * The quadratic form of the losses in normals, z' G z + b' z + constant: its
 * cumulants give the closed form, its eigenvectors the coordinates in which
 * importance sampling tilts (Glasserman, Heidelberger, Shahabuddin, Management
 * Science 46, 2000).  Every other path is drawn from the tilted law, so that
 * the mixture's weights are at most 2 whatever the form misses of the truth.
 */

#include <string.h>

#include "helix_risk.h"


#define HELIX_RISK_SWEEPS     16
#define HELIX_RISK_OFF        1e-26       /* rest off the diagonal, squared */
#define HELIX_RISK_ROTATIONS  16          /* in a piece */
#define HELIX_RISK_BISECTIONS 40
#define HELIX_RISK_ROOM       0.98        /* of the way to infinite variance */


typedef struct {
    double                   mean;
    double                   sd;
    double                   skew;
    double                   kurtosis;    /* above 3 */
} helix_risk_moments_t;


static void helix_risk_form_row(helix_risk_job_t *job, uint32_t i);
static void helix_risk_square_row(helix_risk_job_t *job, uint32_t i);
static int helix_risk_rotate_row(helix_risk_job_t *job, uint32_t p);
static void helix_risk_rotate(double *g, double *u, uint32_t n, uint32_t p,
    uint32_t q);
static int helix_risk_rotated(const helix_risk_job_t *job);
static void helix_risk_turn_row(helix_risk_job_t *job, uint32_t i);
static int helix_risk_closed(helix_risk_job_t *job);
static void helix_risk_moments(const double *k, helix_risk_moments_t *m);
static double helix_risk_cornish_fisher(const helix_risk_moments_t *m,
    double z);
static void helix_risk_tilt(helix_risk_job_t *job);
static double helix_risk_theta(const helix_risk_tilt_t *tilt, uint32_t n,
    double target);
static double helix_risk_slope(const helix_risk_tilt_t *tilt, uint32_t n,
    double t);


void
helix_risk_prepare(helix_risk_job_t *job)
{
    uint32_t  i, n;

    n = job->market->nassets;

    switch (job->phase) {

    case HELIX_RISK_FORM:
        helix_risk_form_row(job, job->row);
        break;

    case HELIX_RISK_SQUARE:
        helix_risk_square_row(job, job->row);
        break;

    case HELIX_RISK_ROTATE:
        if (!helix_risk_rotate_row(job, job->row)) {
            return;
        }

        break;

    default: /* HELIX_RISK_TURN */
        helix_risk_turn_row(job, job->row);
        break;
    }

    if (++job->row != n) {
        return;
    }

    job->row = 0;

    switch (job->phase) {

    case HELIX_RISK_FORM:
        job->phase = (job->estimator == HELIX_RISK_CLOSED)
                     ? HELIX_RISK_SQUARE : HELIX_RISK_ROTATE;

        memset(job->tilt.other, 0, (size_t) n * n * sizeof(double));

        for (i = 0; i < n; i++) {
            job->tilt.other[i * n + i] = 1.0;
        }

        break;

    case HELIX_RISK_SQUARE:
        job->phase = helix_risk_closed(job) ? HELIX_RISK_DONE
                                            : HELIX_RISK_INFINITE;
        break;

    case HELIX_RISK_ROTATE:
        if (++job->sweep == HELIX_RISK_SWEEPS || helix_risk_rotated(job)) {
            helix_risk_tilt(job);
            job->phase = HELIX_RISK_TURN;
        }

        break;

    default:
        job->phase = HELIX_RISK_PATHS;
        break;
    }
}


/* G = -A' diag(h) A / 2; A is triangular. */

static void
helix_risk_form_row(helix_risk_job_t *job, uint32_t i)
{
    double         s;
    size_t         j, k, n;
    const double  *a, *b;

    n = job->market->nassets;
    a = job->market->values + 2 * n * (1 + i / 2) + i % 2;

    for (j = 0; j <= i; j++) {
        b = job->market->values + 2 * n * (1 + j / 2) + j % 2;
        s = 0.0;

        for (k = i; k < n; k++) {
            s += a[2 * k] * job->tilt.curve[k] * b[2 * k];
        }

        job->tilt.form[i * n + j] = s * -0.5;
        job->tilt.form[j * n + i] = s * -0.5;
    }
}


static void
helix_risk_square_row(helix_risk_job_t *job, uint32_t i)
{
    double         s;
    uint32_t       j, k, n;
    const double  *g;

    n = job->market->nassets;
    g = job->tilt.form;

    for (j = 0; j < n; j++) {
        s = 0.0;

        for (k = 0; k < n; k++) {
            s += g[i * n + k] * g[j * n + k];
        }

        job->tilt.other[i * n + j] = s;
    }
}


/* Jacobi's method, cyclic by rows; some of a row.  Nonzero at its end. */

static int
helix_risk_rotate_row(helix_risk_job_t *job, uint32_t p)
{
    uint32_t  q, n, end;

    n = job->market->nassets;
    q = (job->column > p) ? job->column : p + 1;
    end = (n - q > HELIX_RISK_ROTATIONS) ? q + HELIX_RISK_ROTATIONS : n;

    for ( /* void */ ; q < end; q++) {
        helix_risk_rotate(job->tilt.form, job->tilt.other, n, p, q);
    }

    job->column = (end == n) ? 0 : end;

    return end == n;
}


static void
helix_risk_rotate(double *g, double *u, uint32_t n, uint32_t p, uint32_t q)
{
    double    t, c, s, x, y;
    uint32_t  k;

    if (g[p * n + q] == 0.0) {
        return;
    }

    t = (g[q * n + q] - g[p * n + p]) / (2.0 * g[p * n + q]);
    x = 1.0 / ((t < 0.0 ? -t : t) + __builtin_sqrt(t * t + 1.0));
    t = (t < 0.0) ? -x : x;
    c = 1.0 / __builtin_sqrt(t * t + 1.0);
    s = t * c;

    for (k = 0; k < n; k++) {
        x = g[k * n + p];
        y = g[k * n + q];
        g[k * n + p] = c * x - s * y;
        g[k * n + q] = s * x + c * y;

        x = u[k * n + p];
        y = u[k * n + q];
        u[k * n + p] = c * x - s * y;
        u[k * n + q] = s * x + c * y;
    }

    for (k = 0; k < n; k++) {
        x = g[p * n + k];
        y = g[q * n + k];
        g[p * n + k] = c * x - s * y;
        g[q * n + k] = s * x + c * y;
    }

    g[p * n + q] = 0.0;
    g[q * n + p] = 0.0;
}


static int
helix_risk_rotated(const helix_risk_job_t *job)
{
    double    x, on, off;
    uint32_t  i, j, n;

    n = job->market->nassets;
    on = 0.0;
    off = 0.0;

    for (i = 0; i < n; i++) {
        for (j = 0; j < n; j++) {
            x = job->tilt.form[i * n + j];
            x *= x;

            if (i == j) {
                on += x;

            } else {
                off += x;
            }
        }
    }

    return off <= on * HELIX_RISK_OFF;
}


/* A row of the matrix by the vectors: normals are then coordinates. */

static void
helix_risk_turn_row(helix_risk_job_t *job, uint32_t i)
{
    double  s, *matrix, row[HELIX_RISK_ASSETS];
    size_t  j, k, n;

    n = job->market->nassets;
    matrix = job->market->values + 2 * n + 2 * (size_t) i;

    for (k = 0; k < n; k++) {
        row[k] = matrix[2 * n * (k / 2) + k % 2];
    }

    for (j = 0; j < n; j++) {
        s = 0.0;

        for (k = 0; k <= i; k++) {
            s += row[k] * job->tilt.other[k * n + j];
        }

        matrix[2 * n * (j / 2) + j % 2] = s;
    }
}


/* Nonzero if all is finite. */

static int
helix_risk_closed(helix_risk_job_t *job)
{
    double                  s, z, x, y, density, k[4], sum;
    uint32_t                i, j, n;
    const double           *g, *g2, *b;
    helix_risk_moments_t    m;
    helix_risk_quantile_t  *q;

    n = job->market->nassets;
    g = job->tilt.form;
    g2 = job->tilt.other;
    b = job->tilt.linear;

    k[0] = job->tilt.constant;
    k[1] = k[2] = k[3] = 0.0;

    for (i = 0; i < n; i++) {
        s = 0.0;

        for (j = 0; j < n; j++) {
            s += g[i * n + j] * b[j];
            k[2] += 8.0 * g2[i * n + j] * g[i * n + j];
            k[3] += 48.0 * g2[i * n + j] * g2[i * n + j];
        }

        k[0] += g[i * n + i];
        k[1] += b[i] * b[i] + 2.0 * g2[i * n + i];
        k[2] += 6.0 * b[i] * s;
        k[3] += 48.0 * s * s;
    }

    helix_risk_moments(k, &m);
    job->summary.mean = k[0];
    job->summary.variance = k[1];
    sum = k[0] + k[1];

    for (i = 0; i < job->nquantiles; i++) {
        q = &job->summary.quantiles[i];
        q->alpha = job->quantiles[i];
        z = helix_risk_normal_quantile(q->alpha);
        q->var = helix_risk_cornish_fisher(&m, z);

        /* the integral of the expansion over the tail, by Hermite's
           polynomials */
        density = helix_risk_density(z) / (1.0 - q->alpha);
        x = z * z;
        y = 1.0 + z * m.skew / 6.0 + (x - 1.0) * m.kurtosis / 24.0
            - (2.0 * x - 1.0) * m.skew * m.skew / 36.0;
        q->es = m.mean + m.sd * density * y;
        sum += q->var + q->es;
    }

    return sum - sum == 0.0;
}


static void
helix_risk_moments(const double *k, helix_risk_moments_t *m)
{
    m->mean = k[0];
    m->sd = __builtin_sqrt(k[1]);
    m->skew = 0.0;
    m->kurtosis = 0.0;

    if (k[1] > 0.0) {
        m->skew = k[2] / k[1] / m->sd;
        m->kurtosis = k[3] / k[1] / k[1];
    }
}


static double
helix_risk_cornish_fisher(const helix_risk_moments_t *m, double z)
{
    double  x, y;

    x = z * z;
    y = z + (x - 1.0) * m->skew / 6.0 + (x - 3.0) * z * m->kurtosis / 24.0
        - (2.0 * x - 5.0) * z * m->skew * m->skew / 36.0;

    return m->mean + m->sd * y;
}


/* The form is diagonal: the tilt whose mean is the rough quantile. */

static void
helix_risk_tilt(helix_risk_job_t *job)
{
    double                 b, l, c, theta, k[4], linear[HELIX_RISK_ASSETS];
    uint32_t               i, j, n;
    helix_risk_tilt_t     *tilt;
    helix_risk_moments_t   m;

    tilt = &job->tilt;
    n = job->market->nassets;
    memset(k, 0, sizeof(k));

    for (i = 0; i < n; i++) {
        b = 0.0;

        for (j = 0; j < n; j++) {
            b += tilt->other[j * n + i] * tilt->linear[j];
        }

        l = tilt->form[i * n + i];
        linear[i] = b;

        k[0] += l;
        k[1] += b * b + 2.0 * l * l;
        k[2] += 6.0 * b * b * l + 8.0 * l * l * l;
        k[3] += 48.0 * (b * b + l * l) * l * l;
    }

    memcpy(tilt->linear, linear, n * sizeof(double));
    helix_risk_moments(k, &m);

    c = helix_risk_cornish_fisher(&m, helix_risk_normal_quantile(
                                          job->quantiles[job->nquantiles
                                                         - 1]));
    theta = (m.sd > 0.0) ? helix_risk_theta(tilt, n, c) : 0.0;
    tilt->psi = 0.0;

    for (i = 0; i < n; i++) {
        b = tilt->linear[i];
        l = tilt->form[i * n + i];
        c = 1.0 - 2.0 * theta * l;

        tilt->scale[i] = 1.0 / __builtin_sqrt(c);
        tilt->mean[i] = theta * b / c;
        tilt->first[i] = theta * b;
        tilt->second[i] = theta * l;
        tilt->psi += 0.5 * (theta * b * theta * b / c - helix_risk_log(c));
    }
}


/* The derivative of the form's cumulant generating function grows from the
   mean: bisection. */

static double
helix_risk_theta(const helix_risk_tilt_t *tilt, uint32_t n, double target)
{
    double    low, high, middle, most;
    uint32_t  i;

    most = 0.0;

    for (i = 0; i < n; i++) {
        if (tilt->form[i * n + i] > most) {
            most = tilt->form[i * n + i];
        }
    }

    low = 0.0;
    high = 0.0;

    for (i = 0; i < n; i++) {
        high += tilt->linear[i] * tilt->linear[i];
    }

    /* without curvature the answer is (target - mean) / sd^2 */
    high = 20.0 / __builtin_sqrt(high + most * most);

    if (high * 2.0 * most > HELIX_RISK_ROOM) {
        high = HELIX_RISK_ROOM / (2.0 * most);
    }

    for (i = 0; i < HELIX_RISK_BISECTIONS; i++) {
        middle = (low + high) * 0.5;

        if (helix_risk_slope(tilt, n, middle) < target) {
            low = middle;

        } else {
            high = middle;
        }
    }

    return low;
}


static double
helix_risk_slope(const helix_risk_tilt_t *tilt, uint32_t n, double t)
{
    double    b, l, c, s;
    uint32_t  i;

    s = 0.0;

    for (i = 0; i < n; i++) {
        b = tilt->linear[i];
        l = tilt->form[i * n + i];
        c = 1.0 - 2.0 * t * l;
        s += l / c + t * b * b * (1.0 - t * l) / (c * c);
    }

    return s;
}
