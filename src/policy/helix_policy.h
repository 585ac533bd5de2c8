
/*
 * Decisions: how should this job run right now?
 *
 * Pure functions of (state, job, now): no clock, no lock, no I/O, no memory.
 * Any thread.
 */

#ifndef HELIX_POLICY_H_INCLUDED
#define HELIX_POLICY_H_INCLUDED


#include "helix_settings.h"
#include "helix_strategy.h"


typedef struct {
    uint64_t           cost;              /* as declared */
    float              scaling;           /* scaling_potential, 0..1 */
    bool               batchable;         /* the kind has batching on */
} helix_policy_job_t;

typedef struct {
    helix_strategy_t   strategy;
    helix_reason_t     reason;
} helix_decision_t;


/*
 * The threshold policy (HelixRouter's choose_strategy):
 *
 *   1. busy >= settings->busy:  scaling >= 0.65 ? batch : drop
 *   2. cost <= inline_threshold:  inline
 *   3. cost <  spawn_threshold:   spawn       (the adapted threshold)
 *   4. scaling >= 0.70 ? batch : cpu_pool
 *
 * where a job that cannot be batched is dropped in 1 and pooled in 4.
 */
helix_decision_t helix_threshold_decide(const helix_settings_t *settings,
    uint64_t spawn_threshold, uint64_t busy, const helix_policy_job_t *job);

/*
 * The busy limit while others report a pressure of 0..1: ceil(busy (1 - p)), at
 * least 1; unchanged at 0, and if it is off.
 */
uint64_t helix_threshold_busy(uint64_t busy, double external);

/*
 * The adapted spawn threshold after one tick, given the 95th percentile of
 * the latencies of "samples" pool jobs, ms.  Unchanged below 10 samples:
 *
 *   p95 > floor(p95_budget factor):  min(floor(t (1 + step)), 10 configured)
 *   p95 < p95_budget:                max(floor(t (1 - step / 10)), configured)
 */
uint64_t helix_threshold_adapt(const helix_settings_t *settings,
    uint64_t threshold, uint64_t p95, uint64_t samples);


/*
 * Retry-After in milliseconds: the time in which "concurrency" threads serve
 * "waiting" jobs of "mean" ns each, at least "floor" ms and at most 50 000,
 * times a jitter of 0.8 .. 1.2 taken from the random number.
 */
uint64_t helix_retry_after(uint64_t waiting, uint64_t mean,
    uint64_t concurrency, uint64_t floor, uint32_t random);


#endif /* HELIX_POLICY_H_INCLUDED */
