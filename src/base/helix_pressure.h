
#ifndef HELIX_PRESSURE_H_INCLUDED
#define HELIX_PRESSURE_H_INCLUDED


#include <stdbool.h>
#include <stdint.h>


/*
 * Pressure, HelixRouter's formula over exponential averages of the pool's
 * occupancy, of drops and of latency against budget:
 *
 *   clamp01(0.40 q + 0.30 drops + 0.20 latency + 0.10 occupancy)
 *   q = occupancy now, or its average when that is 0
 *
 * Unlike the ancestor's, the averages decay while nothing happens: by half
 * every HELIX_PRESSURE_HALF_LIFE.  "weight" is the decayed number of events.
 * Starts as all zeroes.
 */

#define HELIX_PRESSURE_HALF_LIFE  5000    /* ms */

typedef struct {
    uint64_t   updated;                   /* ms, any monotonic origin */
    double     occupancy;
    double     drops;
    double     latency;
    double     weight;
} helix_pressure_t;

/* One ended or dropped job; occupancy and latency are clamped to 0..1. */
void helix_pressure_record(helix_pressure_t *pressure, double alpha,
    uint64_t now, double occupancy, bool dropped, double latency);

/* sum += part, both decayed to now, averages weighted by events. */
void helix_pressure_merge(helix_pressure_t *sum, const helix_pressure_t *part,
    uint64_t now);

/* 0 for NaN. */
double helix_clamp01(double value);

double helix_pressure_score(const helix_pressure_t *pressure, uint64_t now,
    double occupancy);


#endif /* HELIX_PRESSURE_H_INCLUDED */
