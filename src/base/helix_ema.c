
#include "helix_ema.h"


/* A division is all that this may cost a job: half after one half-life, a
   third after two. */

static double
helix_ema_keep(uint64_t from, uint64_t to)
{
    if (to <= from) {
        return 1;
    }

    return HELIX_EMA_HALF_LIFE / (HELIX_EMA_HALF_LIFE + (double) (to - from));
}


void
helix_ema_record(helix_ema_t *ema, double alpha, uint64_t now, double sample)
{
    ema->value = (ema->weight > 0) ? alpha * sample
                                     + (1.0 - alpha) * ema->value
                                   : sample;

    ema->weight = ema->weight * helix_ema_keep(ema->updated, now) + 1.0;

    if (now > ema->updated) {
        ema->updated = now;
    }
}


void
helix_ema_merge(helix_ema_t *sum, const helix_ema_t *part)
{
    helix_ema_t  add;

    add = *part;

    if (!(add.weight > 0)) {
        return;
    }

    if (!(sum->weight > 0)) {
        *sum = add;
        return;
    }

    add.weight *= helix_ema_keep(add.updated, sum->updated);
    sum->weight *= helix_ema_keep(sum->updated, add.updated);

    if (add.updated > sum->updated) {
        sum->updated = add.updated;
    }

    sum->weight += add.weight;
    sum->value += add.weight / sum->weight * (add.value - sum->value);
}
