
/* What helix_risk_tail.c, helix_risk_select.c and helix_risk_summary.c share:
   masses of losses, and losses as integers. */

#ifndef HELIX_RISK_TAIL_H_INCLUDED
#define HELIX_RISK_TAIL_H_INCLUDED


#include <string.h>

#include "helix_risk.h"


#define HELIX_RISK_CHUNK  8192            /* losses looked at in a piece */
#define HELIX_RISK_SIGN   0x8000000000000000ULL
#define HELIX_RISK_ONE    0x1p40          /* mass of weight 1, if tilted */
#define HELIX_RISK_95     1.959963984540054


/* The mass above the quantile of the first "paths", or "sigmas" errors off. */
void helix_risk_wanted(const helix_risk_job_t *job, uint32_t paths,
    double alpha, double sigmas, helix_risk_mass_t *mass);
int helix_risk_reached(const helix_risk_job_t *job,
    const helix_risk_mass_t *mass, uint64_t m1, uint64_t m2);

/* A piece of a search; HELIX_DONE or HELIX_AGAIN.  "s" is zero before the
   first, and the state in it again when other losses are kept. */
int helix_risk_select(const helix_risk_job_t *job,
    const helix_risk_mass_t *mass, helix_risk_select_t *s, double *answer);


static inline uint64_t
helix_risk_key(double loss)
{
    uint64_t  b;

    loss += 0.0;        /* of two zeros one */
    memcpy(&b, &loss, sizeof(b));

    return (b & HELIX_RISK_SIGN) ? ~b : b | HELIX_RISK_SIGN;
}


static inline double
helix_risk_unkey(uint64_t key)
{
    double  loss;

    key = (key & HELIX_RISK_SIGN) ? key & ~HELIX_RISK_SIGN : ~key;
    memcpy(&loss, &key, sizeof(loss));

    return loss;
}


static inline double
helix_risk_root(double x)
{
    return (x > 0.0) ? __builtin_sqrt(x) : 0.0;
}


/* Integers: their sums do not depend on the order. */

static inline void
helix_risk_masses(const helix_risk_tail_t *tail, uint32_t i, uint64_t *m1,
    uint64_t *m2)
{
    double  w;

    if (tail->weights == NULL) {
        *m1 = 1;
        *m2 = 1;
        return;
    }

    w = tail->weights[i];
    *m1 = (uint64_t) (w * HELIX_RISK_ONE);
    *m2 = (uint64_t) (w * w * HELIX_RISK_ONE);
}


#endif /* HELIX_RISK_TAIL_H_INCLUDED */
