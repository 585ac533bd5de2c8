
/*
 * An exponential average of one writer, and how much it weighs beside those
 * of others.
 *
 * The average itself is HelixRouter's: the first sample, then alpha x +
 * (1 - alpha) average.  It does not decay.  Its weight does: it is the number
 * of samples, of which a pause of HELIX_EMA_HALF_LIFE forgets half, so that a
 * process that has long been idle does not outvote one at work.  Starts as all
 * zeroes.
 */

#ifndef HELIX_EMA_H_INCLUDED
#define HELIX_EMA_H_INCLUDED


#include <stdint.h>


#define HELIX_EMA_HALF_LIFE  5000         /* ms */

typedef struct {
    uint64_t   updated;                   /* ms, any monotonic origin */
    double     value;
    double     weight;                    /* 0: no sample */
} helix_ema_t;


/* Single writer; 0 < alpha <= 1. */
void helix_ema_record(helix_ema_t *ema, double alpha, uint64_t now,
    double sample);

/* sum += part, by weight at the later of both times; of one part it is that
   part.  "part" may be written meanwhile. */
void helix_ema_merge(helix_ema_t *sum, const helix_ema_t *part);


#endif /* HELIX_EMA_H_INCLUDED */
