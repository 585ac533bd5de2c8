
/*
 * Which losses are kept.
 *
 * Losses below a bar are forgotten.  There is none until the pilot's paths
 * have shown where the tail begins; then it lies where 5 standard errors more
 * losses than needed are above it.  When the memory is full all the same, it
 * rises to the last loss that the whole job will ask for, which is exact.  A
 * pilot's bar that proves too high (fewer than 1 job of 100 000) starts the
 * job again without a pilot: nothing is ever estimated from what is missing.
 */

#include "helix_risk_tail.h"


#define HELIX_RISK_MARGIN  5.0            /* standard errors of the pilot */


static void helix_risk_add_masses(helix_risk_tail_t *tail, uint32_t first);
static void helix_risk_pilot(helix_risk_job_t *job);
static void helix_risk_filter(helix_risk_tail_t *tail, double bar,
    uint32_t ties);


size_t
helix_risk_tail_size(const helix_risk_request_t *r)
{
    double  n, share, se;

    n = r->paths;
    share = 1.0 - r->quantiles[0];
    se = __builtin_sqrt(share * r->quantiles[0] / HELIX_RISK_PILOT);
    share += 2.0 * HELIX_RISK_MARGIN * se;

    if (r->estimator != HELIX_RISK_TILTED
        && n * share + HELIX_RISK_PILOT < n)
    {
        n = n * share + HELIX_RISK_PILOT;
    }

    /* a block is added without a look, a vector written without need */
    return (size_t) n + HELIX_RISK_BLOCK + HELIX_RISK_LANES;
}


void
helix_risk_tail_init(helix_risk_job_t *job)
{
    helix_risk_tail_t  *tail;

    tail = &job->tail;

    memset(tail->sums, 0, sizeof(tail->sums));
    tail->bar = -__builtin_inf();
    tail->nkept = 0;
    tail->mass = 0;
    tail->mass2 = 0;
}


void
helix_risk_tail_add(helix_risk_job_t *job, const helix_risk_isa_t *isa)
{
    double              sum;
    uint32_t            i, first;
    helix_risk_tail_t  *tail;

    tail = &job->tail;

    if (job->path == 0) {
        sum = 0.0;

        for (i = 0; i < HELIX_RISK_BLOCK; i++) {
            sum += job->value[i];
        }

        tail->shift = tail->base - sum / HELIX_RISK_BLOCK;
    }

    first = tail->nkept;
    isa->losses(tail, job->value, tail->weights ? job->weight : NULL);
    job->path += HELIX_RISK_BLOCK;

    if (tail->weights != NULL) {
        helix_risk_add_masses(tail, first);
    }

    if (job->path == HELIX_RISK_PILOT && job->path < job->paths
        && !job->unpiloted)
    {
        helix_risk_pilot(job);
    }

    if (job->path == job->paths) {
        job->phase = HELIX_RISK_CHECK;

    } else if (tail->nkept + HELIX_RISK_BLOCK + HELIX_RISK_LANES
               > tail->size)
    {
        job->phase = HELIX_RISK_COMPACT;
    }
}


int
helix_risk_tail_exact(const helix_risk_job_t *job)
{
    helix_risk_mass_t  mass;

    if (job->tail.bar == -__builtin_inf()) {
        return 1;
    }

    helix_risk_wanted(job, job->path, job->quantiles[0], -HELIX_RISK_95,
                      &mass);

    if (job->tail.weights == NULL) {
        return job->tail.nkept >= mass.count;
    }

    return helix_risk_reached(job, &mass, job->tail.mass, job->tail.mass2);
}


/* Adds the masses of the losses kept from the first-th on. */

static void
helix_risk_add_masses(helix_risk_tail_t *tail, uint32_t first)
{
    uint32_t  i;
    uint64_t  m1, m2;

    for (i = first; i < tail->nkept; i++) {
        helix_risk_masses(tail, i, &m1, &m2);
        tail->mass += m1;
        tail->mass2 += m2;
    }
}


int
helix_risk_tail_finite(const helix_risk_job_t *job)
{
    double    sum;
    uint32_t  i, k;

    sum = 0.0;

    for (i = 0; i < HELIX_RISK_SUMS; i++) {
        for (k = 0; k < HELIX_RISK_LANES; k++) {
            sum += job->tail.sums[i][k] - job->tail.sums[i][k];
        }
    }

    return sum == 0.0;
}


static void
helix_risk_pilot(helix_risk_job_t *job)
{
    double             bar, share, variance;
    helix_risk_mass_t  mass;

    /* weights are at most 2 */
    share = 1.0 - job->quantiles[0];
    variance = job->tail.weights ? 2.0 * share : share * job->quantiles[0];
    share += HELIX_RISK_MARGIN
             * __builtin_sqrt(variance / HELIX_RISK_PILOT);

    if (share >= 0.9) {
        return;
    }

    mass.paths = HELIX_RISK_PILOT;
    mass.share = share;
    mass.sigmas = 0.0;
    mass.count = (uint32_t) (share * HELIX_RISK_PILOT);

    while (helix_risk_select(job, &mass, &job->summary.select, &bar)
           == HELIX_AGAIN)
    {
        /* void */
    }

    helix_risk_filter(&job->tail, bar, UINT32_MAX);
    job->tail.bar = bar;
    job->summary.select.state = 0;

    if (job->tail.weights != NULL) {
        job->tail.mass = 0;
        job->tail.mass2 = 0;
        helix_risk_add_masses(&job->tail, 0);
    }
}


int
helix_risk_compact(helix_risk_job_t *job)
{
    double              bar;
    uint32_t            i, above;
    uint64_t            key;
    helix_risk_mass_t   mass;
    helix_risk_tail_t  *tail;

    tail = &job->tail;

    helix_risk_wanted(job, job->paths, job->quantiles[0], -HELIX_RISK_95,
                      &mass);

    if (helix_risk_select(job, &mass, &job->summary.select, &bar)
        == HELIX_AGAIN)
    {
        return HELIX_AGAIN;
    }

    above = 0;

    for (i = 0; i < tail->nkept; i++) {
        above += (tail->losses[i] > bar);
    }

    /* of losses that are all alike, as many as are asked for; no more come */
    helix_risk_filter(tail, bar, mass.count - above);
    job->summary.select.state = 0;
    key = helix_risk_key(bar);
    tail->bar = helix_risk_unkey(key + 1);

    return HELIX_DONE;
}


/* Keeps the order. */

static void
helix_risk_filter(helix_risk_tail_t *tail, double bar, uint32_t ties)
{
    double    loss;
    uint32_t  i, n;

    n = 0;

    for (i = 0; i < tail->nkept; i++) {
        loss = tail->losses[i];

        if (loss < bar || (loss == bar && ties-- == 0)) {
            ties += (loss == bar);
            continue;
        }

        tail->losses[n] = loss;

        if (tail->weights != NULL) {
            tail->weights[n] = tail->weights[i];
        }

        n++;
    }

    tail->nkept = n;
}
