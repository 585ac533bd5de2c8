
#include "helix_policy.h"
#include "helix_pressure.h"

#include <math.h>


#define HELIX_SCALING_PRESSURE   0.65f
#define HELIX_SCALING_BATCH      0.70f

#define HELIX_ADAPT_SAMPLES      10
#define HELIX_ADAPT_CEILING      10        /* times the configured threshold */

#define HELIX_RETRY_AFTER_MAX    50000.0   /* ms, before the jitter: at the
                                              end of it nobody is in step */
#define HELIX_NSEC_PER_MSEC      1e6


static uint64_t helix_floor(double value);


helix_decision_t
helix_threshold_decide(const helix_settings_t *settings,
    uint64_t spawn_threshold, uint64_t busy, const helix_policy_job_t *job)
{
    bool  batchable;

    batchable = (job->batchable && settings->batching != 0);

    if (settings->busy != 0 && busy >= settings->busy) {

        if (batchable && job->scaling >= HELIX_SCALING_PRESSURE) {
            return (helix_decision_t) { HELIX_BATCH, HELIX_PRESSURE };
        }

        return (helix_decision_t) { HELIX_DROP, HELIX_PRESSURE };
    }

    if (job->cost <= settings->inline_threshold) {
        return (helix_decision_t) { HELIX_INLINE, HELIX_CHEAP };
    }

    if (job->cost < spawn_threshold) {
        return (helix_decision_t) { HELIX_SPAWN, HELIX_MODERATE };
    }

    if (batchable && job->scaling >= HELIX_SCALING_BATCH) {
        return (helix_decision_t) { HELIX_BATCH, HELIX_BATCHABLE };
    }

    return (helix_decision_t) { HELIX_CPU_POOL, HELIX_HEAVY };
}


uint64_t
helix_threshold_busy(uint64_t busy, double external)
{
    double  limit;

    if (busy == 0 || !(external > 0)) {
        return busy;
    }

    limit = ceil((double) busy * (1 - helix_clamp01(external)));

    return (limit < 1) ? 1 : (uint64_t) limit;
}


uint64_t
helix_threshold_adapt(const helix_settings_t *settings, uint64_t threshold,
    uint64_t p95, uint64_t samples)
{
    double    step;
    uint64_t  adapted, bound, trigger;

    /* the ancestor froze whatever it had adapted to */

    if (settings->adapt == 0) {
        return settings->spawn_threshold;
    }

    if (samples < HELIX_ADAPT_SAMPLES) {
        return threshold;
    }

    step = helix_clamp01(settings->adapt_step);
    trigger = helix_floor((double) settings->adapt_p95
                          * settings->adapt_factor);

    if (p95 > trigger) {
        adapted = helix_floor((double) threshold * (1.0 + step));
        bound = settings->spawn_threshold * HELIX_ADAPT_CEILING;

        return (adapted < bound) ? adapted : bound;
    }

    if (p95 < settings->adapt_p95) {

        /* 0.10 * step, not step / 10: they round differently */

        adapted = helix_floor((double) threshold * (1.0 - 0.10 * step));
        bound = settings->spawn_threshold;

        return (adapted > bound) ? adapted : bound;
    }

    return threshold;
}


uint64_t
helix_retry_after(uint64_t waiting, uint64_t mean, uint64_t concurrency,
    uint64_t floor, uint32_t random)
{
    double  jitter, wait;

    if (concurrency == 0) {
        concurrency = 1;
    }

    wait = (double) waiting * (double) mean
           / ((double) concurrency * HELIX_NSEC_PER_MSEC);

    if (wait < (double) floor) {
        wait = (double) floor;
    }

    if (wait > HELIX_RETRY_AFTER_MAX) {
        wait = HELIX_RETRY_AFTER_MAX;
    }

    jitter = 0.8 + 0.4 * ((double) random / (double) UINT32_MAX);
    wait = round(wait * jitter);

    /* 0 would invite the client back at once */

    return (wait < 1.0) ? 1 : (uint64_t) wait;
}


static uint64_t
helix_floor(double value)
{
    if (!(value > 0)) {
        return 0;
    }

    /* 2^64: the conversion of this and above is undefined */

    if (value >= 18446744073709551616.0) {
        return UINT64_MAX;
    }

    return (uint64_t) value;
}
