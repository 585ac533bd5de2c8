
/*
 * What a job costs: the service time of a kind as a function of its work,
 * learned while it runs.
 *
 *   ln s = a + b ln work + drift + residual
 *
 * in ns of processor time, so that contention, which the pool's efficiency
 * has, is not learned twice.  Least squares over discounted sums, which add up
 * over workers; the drift is what all kinds have in common at the moment
 * (frequency, caches) and follows within some twenty jobs.
 */

#ifndef HELIX_MODEL_H_INCLUDED
#define HELIX_MODEL_H_INCLUDED


#include "helix_report.h"


/* Of one kind, solved. */

typedef struct {
    double      intercept;
    double      slope;               /* 0..3 */
    double      deviation;           /* of the residuals */
    double      quantile;            /* see helix_samples_t */
    double      n;                   /* samples, discounted */
    double      center;              /* mean of ln work */
} helix_fit_t;


typedef struct {
    double      mean;                /* ns */
    double      high;                /* ns, 90 % of the jobs take less */
    double      variance;            /* ns^2 */
} helix_service_t;


/* sum += part, unless its owner is writing. */
void helix_samples_merge(helix_samples_t *sum, const helix_samples_t *part);

/* As if each had taken exp(drift) times as long: what they say without it. */
void helix_samples_shift(helix_samples_t *samples, double drift);

/*
 * The fit of the samples; "unit" is what a unit of work is thought to take
 * before anything is known, ns: it counts as one sample, and a slope of 1 as
 * eight.
 */
helix_fit_t helix_fit(const helix_samples_t *samples, double unit);

helix_service_t helix_fit_predict(const helix_fit_t *fit, double drift,
    uint64_t work);

/* One more sample.  Its residual, from what the fit and the drift say, is
   limited to 2.5 standard deviations once there are 20.  Updates the drift. */
void helix_samples_add(helix_samples_t *samples, const helix_fit_t *fit,
    double *drift, uint64_t work, uint64_t cpu);


/* What the drift is after a residual. */
double helix_drift(double drift, double residual);


#endif /* HELIX_MODEL_H_INCLUDED */
