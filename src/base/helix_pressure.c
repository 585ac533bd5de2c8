
#include "helix_pressure.h"

#include <math.h>


static void helix_pressure_decay(helix_pressure_t *pressure, uint64_t now);


void
helix_pressure_record(helix_pressure_t *pressure, double alpha, uint64_t now,
    double occupancy, bool dropped, double latency)
{
    double  keep;

    helix_pressure_decay(pressure, now);

    alpha = helix_clamp01(alpha);
    keep = 1.0 - alpha;

    pressure->occupancy = alpha * helix_clamp01(occupancy)
                          + keep * pressure->occupancy;
    pressure->drops = alpha * (dropped ? 1.0 : 0.0) + keep * pressure->drops;
    pressure->latency = alpha * helix_clamp01(latency)
                        + keep * pressure->latency;
    pressure->weight += 1.0;
}


void
helix_pressure_merge(helix_pressure_t *sum, const helix_pressure_t *part,
    uint64_t now)
{
    double            share;
    helix_pressure_t  add;

    add = *part;
    helix_pressure_decay(&add, now);

    if (!(add.weight > 0)) {
        return;
    }

    helix_pressure_decay(sum, now);

    /* in this form a part that is merged into nothing comes out unchanged */

    sum->weight += add.weight;
    share = add.weight / sum->weight;

    sum->occupancy += share * (add.occupancy - sum->occupancy);
    sum->drops += share * (add.drops - sum->drops);
    sum->latency += share * (add.latency - sum->latency);
}


double
helix_pressure_score(const helix_pressure_t *pressure, uint64_t now,
    double occupancy)
{
    helix_pressure_t  p;

    p = *pressure;
    helix_pressure_decay(&p, now);

    occupancy = helix_clamp01(occupancy);

    if (occupancy == 0) {
        occupancy = p.occupancy;
    }

    return helix_clamp01(0.40 * occupancy + 0.30 * p.drops
                                + 0.20 * p.latency + 0.10 * p.occupancy);
}


static void
helix_pressure_decay(helix_pressure_t *pressure, uint64_t now)
{
    double  keep;

    /* another process may have read its clock a little later */

    if (now <= pressure->updated) {
        return;
    }

    keep = exp2(-(double) (now - pressure->updated)
                / HELIX_PRESSURE_HALF_LIFE);

    pressure->occupancy *= keep;
    pressure->drops *= keep;
    pressure->latency *= keep;
    pressure->weight *= keep;
    pressure->updated = now;
}


double
helix_clamp01(double value)
{
    /* written so that NaN is 0 */

    if (!(value > 0)) {
        return 0;
    }

    return (value < 1) ? value : 1;
}
