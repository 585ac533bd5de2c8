
#include "helix_model.h"

#include <math.h>
#include <stdbool.h>


#define HELIX_MEMORY         0.998   /* of a sample at the next: some 500 */
#define HELIX_WARM           20      /* samples after which they are robust */
#define HELIX_SLOPE_MAX      3.0
#define HELIX_SLOPE_PRIOR    8.0     /* samples of variance 1 */
#define HELIX_LEVEL_PRIOR    1.0     /* samples */
#define HELIX_SPREAD_PRIOR   2.0     /* samples, of deviation: */
#define HELIX_DEVIATION      0.5
#define HELIX_DEVIATION_MIN  0.05
#define HELIX_SPREAD_CLIP    1.0     /* a factor of e */
#define HELIX_CLIP           2.5     /* deviations */
#define HELIX_DRIFT_GAIN     0.05
#define HELIX_DRIFT_CLIP     0.7     /* a factor of 2 */
#define HELIX_DRIFT_LEAK     0.999
#define HELIX_RATE           0.02    /* of the deviation and the quantile */
#define HELIX_SERVICE_MAX    1e12    /* ns */
#define HELIX_QUANTILE       1.28    /* of the normal distribution, 90 % */
#define HELIX_QUANTILE_MAX   5.0

#define helix_get(p)         __atomic_load_n(p, __ATOMIC_RELAXED)


static double helix_clip(double value, double limit);


void
helix_samples_merge(helix_samples_t *sum, const helix_samples_t *part)
{
    uint64_t         before, after;
    helix_samples_t  s;

    before = __atomic_load_n(&part->version, __ATOMIC_ACQUIRE);

    __atomic_load(&part->n, &s.n, __ATOMIC_RELAXED);
    __atomic_load(&part->x, &s.x, __ATOMIC_RELAXED);
    __atomic_load(&part->y, &s.y, __ATOMIC_RELAXED);
    __atomic_load(&part->xx, &s.xx, __ATOMIC_RELAXED);
    __atomic_load(&part->xy, &s.xy, __ATOMIC_RELAXED);
    __atomic_load(&part->variance, &s.variance, __ATOMIC_RELAXED);
    __atomic_load(&part->quantile, &s.quantile, __ATOMIC_RELAXED);

    __atomic_thread_fence(__ATOMIC_ACQUIRE);

    after = helix_get(&part->version);

    if (before != after || (before & 1) || !(s.n > 0)) {
        return;
    }

    sum->variance = (sum->n * sum->variance + s.n * s.variance)
                    / (sum->n + s.n);
    sum->quantile = (sum->n * sum->quantile + s.n * s.quantile)
                    / (sum->n + s.n);
    sum->n += s.n;
    sum->x += s.x;
    sum->y += s.y;
    sum->xx += s.xx;
    sum->xy += s.xy;
}


void
helix_samples_shift(helix_samples_t *s, double drift)
{
    s->y += s->n * drift;
    s->xy += s->x * drift;
}


helix_fit_t
helix_fit(const helix_samples_t *s, double unit)
{
    double       x, xx, xy, level, variance;
    helix_fit_t  fit;

    x = (s->n > 0) ? s->x / s->n : 0;
    xx = s->xx - s->n * x * x;
    xy = s->xy - x * s->y;

    if (!(xx > 0)) {
        xx = 0;
        xy = 0;
    }

    fit.slope = (xy + HELIX_SLOPE_PRIOR) / (xx + HELIX_SLOPE_PRIOR);

    if (!(fit.slope > 0)) {
        fit.slope = 0;
    }

    if (fit.slope > HELIX_SLOPE_MAX) {
        fit.slope = HELIX_SLOPE_MAX;
    }

    level = (s->y + HELIX_LEVEL_PRIOR * (log(unit) + x))
            / (s->n + HELIX_LEVEL_PRIOR);

    fit.intercept = level - fit.slope * x;

    variance = (s->n * s->variance
                + HELIX_SPREAD_PRIOR * HELIX_DEVIATION * HELIX_DEVIATION)
               / (s->n + HELIX_SPREAD_PRIOR);

    fit.deviation = sqrt(variance);

    if (!(fit.deviation > HELIX_DEVIATION_MIN)) {
        fit.deviation = HELIX_DEVIATION_MIN;
    }

    fit.quantile = (s->n > HELIX_WARM) ? s->quantile : HELIX_QUANTILE;
    fit.n = s->n;
    fit.center = x;

    return fit;
}


helix_service_t
helix_fit_predict(const helix_fit_t *fit, double drift, uint64_t work)
{
    double           median, spread;
    helix_service_t  service;

    median = exp(fit->intercept + drift
                 + fit->slope * log((double) (work ? work : 1)));

    /* of a lognormal distribution; the first terms of exp() will do */

    spread = fit->deviation * fit->deviation;

    /* far beyond what has been seen a power law says anything */

    service.mean = fmin(median * (1 + spread / 2), HELIX_SERVICE_MAX);
    service.high = fmin(median * exp(fit->quantile * fit->deviation),
                        10 * HELIX_SERVICE_MAX);
    service.variance = service.mean * service.mean * spread * (1 + spread / 2);

    service.variance = fmin(service.variance,
                            HELIX_SERVICE_MAX * HELIX_SERVICE_MAX);

    return service;
}


void
helix_samples_add(helix_samples_t *s, const helix_fit_t *fit, double *drift,
    uint64_t work, uint64_t cpu)
{
    bool             warm;
    double           x, expected, residual, clipped, spread, rate;
    helix_samples_t  next;

    warm = (fit->n > HELIX_WARM);

    x = log((double) (work ? work : 1));
    expected = fit->intercept + fit->slope * x + *drift;
    residual = log((double) (cpu ? cpu : 1)) - expected;
    clipped = residual;

    if (warm) {
        clipped = helix_clip(residual, HELIX_CLIP * fit->deviation
                                       + HELIX_DEVIATION_MIN);
    }

    next = *s;

    next.n = HELIX_MEMORY * s->n + 1;
    next.x = HELIX_MEMORY * s->x + x;
    next.xx = HELIX_MEMORY * s->xx + x * x;
    next.y = HELIX_MEMORY * s->y + expected + clipped - *drift;
    next.xy = HELIX_MEMORY * s->xy + x * (expected + clipped - *drift);

    /* the first residuals say how wrong the prior was, and how cold the caches
       were: no more */

    spread = warm ? clipped : helix_clip(clipped, HELIX_SPREAD_CLIP);

    rate = 3 / (next.n + 2);
    rate = (rate > HELIX_RATE) ? rate : HELIX_RATE;

    next.variance = s->variance + rate * (spread * spread - s->variance);

    if (s->n == 0) {
        next.quantile = HELIX_QUANTILE;

    } else if (warm) {
        next.quantile += HELIX_RATE
                         * ((residual > s->quantile * fit->deviation) - 0.1);
        next.quantile = (next.quantile > 0)
                        ? helix_clip(next.quantile, HELIX_QUANTILE_MAX) : 0;
    }

    if (warm) {
        *drift = helix_drift(*drift, residual);
    }

    /* odd, also if one before us died in the middle */

    __atomic_store_n(&s->version, s->version | 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);

    __atomic_store(&s->n, &next.n, __ATOMIC_RELAXED);
    __atomic_store(&s->x, &next.x, __ATOMIC_RELAXED);
    __atomic_store(&s->y, &next.y, __ATOMIC_RELAXED);
    __atomic_store(&s->xx, &next.xx, __ATOMIC_RELAXED);
    __atomic_store(&s->xy, &next.xy, __ATOMIC_RELAXED);
    __atomic_store(&s->variance, &next.variance, __ATOMIC_RELAXED);
    __atomic_store(&s->quantile, &next.quantile, __ATOMIC_RELAXED);

    __atomic_store_n(&s->version, s->version + 1, __ATOMIC_RELEASE);
}


double
helix_drift(double drift, double residual)
{
    return HELIX_DRIFT_LEAK * drift
           + HELIX_DRIFT_GAIN * helix_clip(residual, HELIX_DRIFT_CLIP);
}


static double
helix_clip(double value, double limit)
{
    if (value > limit) {
        return limit;
    }

    return (value < -limit) ? -limit : value;
}
