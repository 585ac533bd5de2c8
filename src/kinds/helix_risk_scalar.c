
/*
 * The arithmetic of the loops for single numbers.  Never fused: setup gives
 * the same bits everywhere.
 */

#include "helix_risk.h"

#if defined __x86_64__
#include <immintrin.h>
#endif

#define HELIX_LANES  2

#include "helix_risk_lanes.h"


double
helix_risk_exp(double x)
{
    return helix_lanes_exp(helix_lanes(x))[0];
}


double
helix_risk_log(double x)
{
    return helix_lanes_log(helix_lanes(x))[0];
}


double
helix_risk_density(double x)
{
    return 0.39894228040143267794 * helix_risk_exp(-0.5 * x * x);
}


double
helix_risk_normal(double x)
{
    double         tail;
    helix_lanes_t  p, q;

    helix_lanes_mills(helix_lanes(x < -9.0 ? 9.0 : x > 9.0 ? 9.0
                                  : x < 0.0 ? -x : x), &p, &q);
    tail = helix_risk_density(x) * (p[0] / q[0]);

    return (x < 0.0) ? tail : 1.0 - tail;
}


/* By bisection; 1e-7 < p < 1 - 1e-7. */

double
helix_risk_normal_quantile(double p)
{
    double    low, high, x;
    uint32_t  i;

    low = -6.0;
    high = 6.0;

    for (i = 0; i < 50; i++) {
        x = (low + high) * 0.5;

        if (helix_risk_normal(x) < p) {
            low = x;

        } else {
            high = x;
        }
    }

    return high;
}


/* Its expansion about the normal quantile (Abramowitz and Stegun 26.7.5):
   error below 1e-4 from 9 degrees of freedom. */

double
helix_risk_student_quantile(double dof)
{
    double  x, y, g1, g2, g3, g4;

    x = 1.959963984540054;
    y = x * x;

    g1 = x * (y + 1.0) / 4.0;
    g2 = x * ((5.0 * y + 16.0) * y + 3.0) / 96.0;
    g3 = x * (((3.0 * y + 19.0) * y + 17.0) * y - 15.0) / 384.0;
    g4 = x * ((((79.0 * y + 776.0) * y + 1482.0) * y - 1920.0) * y - 945.0)
         / 92160.0;

    return x + (g1 + (g2 + (g3 + g4 / dof) / dof) / dof) / dof;
}


void
helix_risk_philox_keys(uint64_t *keys, uint64_t seed)
{
    size_t    i;
    uint32_t  k0, k1;

    k0 = (uint32_t) seed;
    k1 = (uint32_t) (seed >> 32);

    for (i = 0; i < HELIX_RISK_ROUNDS; i++) {
        keys[2 * i] = k0;
        keys[2 * i + 1] = k1;
        k0 += 0x9e3779b9;
        k1 += 0xbb67ae85;
    }
}


void
helix_risk_philox(uint32_t counter[4], const uint64_t *keys)
{
    uint32_t      i;
    helix_bits_t  c[4];

    for (i = 0; i < 4; i++) {
        c[i] = helix_bits(counter[i]);
    }

    helix_lanes_philox(c, keys);

    for (i = 0; i < 4; i++) {
        counter[i] = (uint32_t) c[i][0];
    }
}
