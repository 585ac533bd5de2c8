
/*
 * From a request to the state of a job: the market, the positions as the
 * loops want them, greeks.  No function of libm: setup has to give the same
 * bits everywhere, too.
 *
 * A contract on S with carry b at rate r, t = expiry, w = vol sqrt(t):
 *     d1 = (log(S / K) + (b + vol^2 / 2) t) / w,  d2 = d1 - w
 *     value = f (S e^((b - r) t) N(f d1) - K e^(-r t) N(f d2)),
 * f being 1 for a call and -1 for a put (Black, Scholes and Merton).
 */

#include <string.h>

#include "helix_risk.h"


#define HELIX_RISK_EXPIRED  1e-9          /* years: nothing is left of an
                                             option but its payoff */


/* The parts of a state, each a multiple of 64 bytes. */

enum {
    HELIX_RISK_AT_JOB = 0,
    HELIX_RISK_AT_MARKET,
    HELIX_RISK_AT_OPTIONS,
    HELIX_RISK_AT_PAYOFFS,
    HELIX_RISK_AT_FIRST,
    HELIX_RISK_AT_SECOND,
    HELIX_RISK_AT_LOGS,
    HELIX_RISK_AT_PRICES,
    HELIX_RISK_AT_VALUE,
    HELIX_RISK_AT_WEIGHT,
    HELIX_RISK_AT_EXPONENT,
    HELIX_RISK_AT_LOSSES,
    HELIX_RISK_AT_WEIGHTS,
    HELIX_RISK_AT_FORM,
    HELIX_RISK_AT_OTHER,
    HELIX_RISK_AT_VECTORS,                /* six of the tilt */
    HELIX_RISK_NPARTS
};


/* Of a position, by the price, and by time in years. */

typedef struct {
    double                   value;
    double                   delta;
    double                   gamma;
    double                   theta;
} helix_risk_greeks_t;


static void helix_risk_sizes(const helix_risk_request_t *r, size_t *sizes);
static void helix_risk_point(helix_risk_job_t *job, const size_t *sizes,
    size_t n);
static void helix_risk_market(helix_risk_market_t *m,
    const helix_risk_request_t *r);
static void helix_risk_jump_law(helix_risk_market_t *m,
    const helix_risk_request_t *r);
static void helix_risk_portfolio(helix_risk_job_t *job,
    const helix_risk_request_t *r);
static void helix_risk_greeks(const helix_risk_asset_t *a,
    const helix_risk_position_t *p, helix_risk_greeks_t *g);
static void helix_risk_revalue(helix_risk_job_t *job,
    const helix_risk_asset_t *a, const helix_risk_position_t *p,
    double horizon);
static void helix_risk_form(helix_risk_job_t *job,
    const helix_risk_request_t *r, double theta);


size_t
helix_risk_layout(const helix_risk_request_t *r)
{
    size_t    sum, sizes[HELIX_RISK_NPARTS];
    uint32_t  i;

    helix_risk_sizes(r, sizes);
    sum = 0;

    for (i = 0; i < HELIX_RISK_NPARTS; i++) {
        sum += sizes[i];
    }

    return sum;
}


/* The request was checked: nothing overflows. */

static void
helix_risk_sizes(const helix_risk_request_t *r, size_t *sizes)
{
    size_t    n, block, kept;
    uint32_t  i;

    memset(sizes, 0, HELIX_RISK_NPARTS * sizeof(size_t));
    n = r->nassets;

    for (i = 0; i < r->npositions && !r->delta_gamma; i++) {
        if (r->positions[i].type == HELIX_RISK_LINEAR) {
            continue;
        }

        if (r->positions[i].expiry - r->horizon > HELIX_RISK_EXPIRED) {
            sizes[HELIX_RISK_AT_OPTIONS] += sizeof(helix_risk_option_t);

        } else {
            sizes[HELIX_RISK_AT_PAYOFFS] += sizeof(helix_risk_payoff_t);
        }
    }

    block = HELIX_RISK_BLOCK * sizeof(double);
    kept = helix_risk_tail_size(r) * sizeof(double);

    sizes[HELIX_RISK_AT_JOB] = sizeof(helix_risk_job_t);
    sizes[HELIX_RISK_AT_MARKET] = sizeof(helix_risk_market_t)
                                  + (2 * n + (n + 1) / 2 * 2 * n)
                                    * sizeof(double);
    sizes[HELIX_RISK_AT_FIRST] = n * sizeof(double);
    sizes[HELIX_RISK_AT_SECOND] = n * sizeof(double);

    if (r->estimator != HELIX_RISK_CLOSED) {
        sizes[HELIX_RISK_AT_LOGS] = n * block;
        sizes[HELIX_RISK_AT_PRICES] = n * block;
        sizes[HELIX_RISK_AT_VALUE] = block;
        sizes[HELIX_RISK_AT_WEIGHT] = block;
        sizes[HELIX_RISK_AT_LOSSES] = kept;
    }

    if (r->estimator == HELIX_RISK_TILTED) {
        sizes[HELIX_RISK_AT_EXPONENT] = block;
        sizes[HELIX_RISK_AT_WEIGHTS] = kept;
    }

    if (r->estimator != HELIX_RISK_PLAIN) {
        sizes[HELIX_RISK_AT_FORM] = n * n * sizeof(double);
        sizes[HELIX_RISK_AT_OTHER] = n * n * sizeof(double);
        sizes[HELIX_RISK_AT_VECTORS] = 7 * (n + 1) * sizeof(double);
    }

    for (i = 0; i < HELIX_RISK_NPARTS; i++) {
        sizes[i] = (sizes[i] + 63) & ~(size_t) 63;
    }
}


static void
helix_risk_point(helix_risk_job_t *job, const size_t *sizes, size_t n)
{
    char      *at[HELIX_RISK_NPARTS];
    double    *vectors;
    uint32_t   i;

    at[0] = (char *) job;

    for (i = 1; i < HELIX_RISK_NPARTS; i++) {
        at[i] = at[i - 1] + sizes[i - 1];
    }

    job->market_size = sizes[HELIX_RISK_AT_MARKET];
    job->market = (void *) at[HELIX_RISK_AT_MARKET];
    job->options = (void *) at[HELIX_RISK_AT_OPTIONS];
    job->payoffs = (void *) at[HELIX_RISK_AT_PAYOFFS];
    job->first = (void *) at[HELIX_RISK_AT_FIRST];
    job->second = (void *) at[HELIX_RISK_AT_SECOND];
    job->logs = (void *) at[HELIX_RISK_AT_LOGS];
    job->prices = (void *) at[HELIX_RISK_AT_PRICES];
    job->value = (void *) at[HELIX_RISK_AT_VALUE];
    job->weight = (void *) at[HELIX_RISK_AT_WEIGHT];
    job->exponent = (void *) at[HELIX_RISK_AT_EXPONENT];
    job->tail.losses = (void *) at[HELIX_RISK_AT_LOSSES];

    if (job->estimator == HELIX_RISK_TILTED) {
        job->tail.weights = (void *) at[HELIX_RISK_AT_WEIGHTS];
        memset(job->exponent, 0, HELIX_RISK_BLOCK * sizeof(double));
    }

    job->tilt.form = (void *) at[HELIX_RISK_AT_FORM];
    job->tilt.other = (void *) at[HELIX_RISK_AT_OTHER];

    vectors = (void *) at[HELIX_RISK_AT_VECTORS];
    n++;

    job->tilt.linear = vectors;
    job->tilt.scale = vectors + n;
    job->tilt.mean = vectors + 2 * n;
    job->tilt.first = vectors + 3 * n;
    job->tilt.second = vectors + 4 * n;
    job->tilt.slope = vectors + 5 * n;
    job->tilt.curve = vectors + 6 * n;

    if (job->estimator != HELIX_RISK_PLAIN) {
        memset(vectors, 0, sizes[HELIX_RISK_AT_VECTORS]);
    }
}


void
helix_risk_setup(helix_risk_job_t *job, const helix_risk_request_t *r)
{
    size_t  sizes[HELIX_RISK_NPARTS];

    memset(job, 0, sizeof(helix_risk_job_t));

    job->estimator = r->estimator;
    job->delta_gamma = r->delta_gamma;
    job->requested = r->requested;
    job->paths = r->paths;
    job->pressed = r->pressed;
    job->nquantiles = r->nquantiles;
    job->quality = r->quality;
    job->horizon = r->horizon;
    memcpy(job->quantiles, r->quantiles, sizeof(job->quantiles));

    helix_risk_sizes(r, sizes);
    helix_risk_point(job, sizes, r->nassets);

    memset(job->market, 0, job->market_size);
    helix_risk_market(job->market, r);
    helix_risk_portfolio(job, r);

    job->phase = (r->estimator == HELIX_RISK_PLAIN) ? HELIX_RISK_PATHS
                                                     : HELIX_RISK_FORM;
    job->tail.size = (uint32_t) (sizes[HELIX_RISK_AT_LOSSES]
                                 / sizeof(double));
    helix_risk_tail_init(job);
}


static void
helix_risk_market(helix_risk_market_t *m, const helix_risk_request_t *r)
{
    double                     k, sd, *column;
    uint32_t                   i, j;
    const helix_risk_asset_t  *a;

    m->seed = r->seed;
    helix_risk_philox_keys(m->keys, r->seed);
    m->nassets = r->nassets;
    m->npairs = (r->nassets + 1) / 2;
    m->steps = r->steps;
    m->dof = r->dof;
    m->full = (r->estimator == HELIX_RISK_TILTED);

    helix_risk_jump_law(m, r);
    k = 0.0;

    if (m->njumps != 0) {
        k = helix_risk_exp(r->jump_mean + r->jump_sd * r->jump_sd * 0.5)
            - 1.0;
    }

    for (i = 0; i < r->nassets; i++) {
        a = &r->assets[i];

        m->values[i] = helix_risk_log(a->spot)
                       + (a->carry - a->vol * a->vol * 0.5 - r->jump_rate * k)
                         * r->horizon;
        m->values[r->nassets + i] = a->spot;

        sd = a->vol * __builtin_sqrt(r->horizon / r->steps);

        for (j = 0; j <= i; j++) {
            column = m->values + 2 * (size_t) r->nassets * (1 + j / 2);
            column[2 * (size_t) i + j % 2] = sd * r->factor[i][j];
        }
    }
}


static void
helix_risk_jump_law(helix_risk_market_t *m, const helix_risk_request_t *r)
{
    double    mean, p, sum;
    uint32_t  i;

    mean = r->jump_rate * r->horizon / r->steps;

    if (!(mean > 0.0)) {
        return;
    }

    m->njumps = HELIX_RISK_JUMPS;
    m->jump_mean = r->jump_mean;
    m->jump_sd = r->jump_sd;

    p = helix_risk_exp(-mean);
    sum = 0.0;

    for (i = 0; i < HELIX_RISK_JUMPS; i++) {
        sum += p;
        m->jumps[i] = sum;
        p *= mean / (i + 1);
    }
}


/* The value today and, of each asset, what is linear and quadratic. */

static void
helix_risk_portfolio(helix_risk_job_t *job, const helix_risk_request_t *r)
{
    double                        theta, rest;
    uint32_t                      i;
    const helix_risk_asset_t     *a;
    helix_risk_greeks_t           g;
    const helix_risk_position_t  *p;

    memset(job->first, 0, r->nassets * sizeof(double));
    memset(job->second, 0, r->nassets * sizeof(double));

    theta = 0.0;
    rest = 0.0;

    for (i = 0; i < r->npositions; i++) {
        p = &r->positions[i];
        a = &r->assets[p->asset];

        helix_risk_greeks(a, p, &g);
        job->present += g.value;
        theta += g.theta;

        if (job->estimator != HELIX_RISK_PLAIN) {
            job->tilt.slope[p->asset] += g.delta * a->spot;
            job->tilt.curve[p->asset] += g.gamma * a->spot * a->spot
                                         + g.delta * a->spot;
        }

        if (r->delta_gamma || p->type == HELIX_RISK_LINEAR) {
            job->first[p->asset] += g.delta;
            job->second[p->asset] += g.gamma * 0.5;

        } else {
            helix_risk_revalue(job, a, p, r->horizon);
            rest += g.value;
        }
    }

    job->tail.base = r->delta_gamma ? -theta * r->horizon : rest;

    if (job->estimator != HELIX_RISK_PLAIN) {
        helix_risk_form(job, r, theta);
    }
}


static void
helix_risk_greeks(const helix_risk_asset_t *a,
    const helix_risk_position_t *p, helix_risk_greeks_t *g)
{
    double  f, w, d1, s, k, n1, n2, density;

    if (p->type == HELIX_RISK_LINEAR) {
        g->value = p->quantity * a->spot;
        g->delta = p->quantity;
        g->gamma = 0.0;
        g->theta = 0.0;

        return;
    }

    f = (p->type == HELIX_RISK_CALL) ? 1.0 : -1.0;
    w = a->vol * __builtin_sqrt(p->expiry);
    d1 = (helix_risk_log(a->spot) - helix_risk_log(p->strike)
          + (a->carry + a->vol * a->vol * 0.5) * p->expiry) / w;

    s = p->quantity * a->spot
        * helix_risk_exp((a->carry - p->rate) * p->expiry);
    k = p->quantity * p->strike * helix_risk_exp(-p->rate * p->expiry);
    n1 = f * helix_risk_normal(f * d1);
    n2 = f * helix_risk_normal(f * (d1 - w));
    density = helix_risk_density(d1);

    g->value = s * n1 - k * n2;
    g->delta = s * n1 / a->spot;
    g->gamma = s * density / (a->spot * a->spot * w);
    g->theta = -s * density * w / (2.0 * p->expiry)
               - (a->carry - p->rate) * s * n1 - p->rate * k * n2;
}


/* An option at the horizon. */

static void
helix_risk_revalue(helix_risk_job_t *job, const helix_risk_asset_t *a,
    const helix_risk_position_t *p, double horizon)
{
    double                f, t;
    helix_risk_option_t  *o;
    helix_risk_payoff_t  *payoff;

    t = p->expiry - horizon;

    if (!(t > HELIX_RISK_EXPIRED)) {
        payoff = &job->payoffs[job->npayoffs++];
        payoff->asset = p->asset;
        payoff->put = (p->type == HELIX_RISK_PUT);
        payoff->quantity = p->quantity;
        payoff->strike = p->strike;

        return;
    }

    f = (p->type == HELIX_RISK_CALL) ? 1.0 : -1.0;

    o = &job->options[job->noptions++];
    o->asset = p->asset;
    o->put = (p->type == HELIX_RISK_PUT);
    o->width = a->vol * __builtin_sqrt(t);
    o->inverse = 1.0 / o->width;
    o->shift = ((a->carry + a->vol * a->vol * 0.5) * t
                - helix_risk_log(p->strike)) * o->inverse;
    o->spot = f * p->quantity * helix_risk_exp((a->carry - p->rate) * t);
    o->strike = f * p->quantity * p->strike * helix_risk_exp(-p->rate * t);
    o->density = f * o->strike * 0.39894228040143267794;
}


/*
 * With x_i = m_i + (A z)_i the move of a logarithm, and the value's slope g
 * and curvature h by it, the loss is about
 *     -theta H - sum g x + h x^2 / 2 = constant + linear' z + z' form z.
 */

static void
helix_risk_form(helix_risk_job_t *job, const helix_risk_request_t *r,
    double theta)
{
    double                      mean, s;
    uint32_t                    i, j, n;
    helix_risk_tilt_t          *tilt;
    const helix_risk_market_t  *m;

    tilt = &job->tilt;
    m = job->market;
    n = m->nassets;

    tilt->constant = -theta * r->horizon;

    for (i = 0; i < n; i++) {
        mean = (r->assets[i].carry - r->assets[i].vol * r->assets[i].vol
                * 0.5) * r->horizon;

        tilt->constant -= (tilt->slope[i] + tilt->curve[i] * mean * 0.5)
                          * mean;
        s = tilt->slope[i] + tilt->curve[i] * mean;

        for (j = 0; j <= i; j++) {
            tilt->linear[j] -= s * m->values[2 * n * (1 + j / 2) + 2 * i
                                             + j % 2];
        }
    }
}
