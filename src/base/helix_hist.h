
/*
 * A histogram of durations in nanoseconds: Prometheus' native schema 6, that
 * is 64 buckets an octave, bucket i = (2^((i-1)/64), 2^(i/64)], each at most
 * 1.09 % wide, so that a quantile is off by 0.55 % at the most.
 *
 * One writer; readers at any time see each count old or new, never torn.
 * Fixed size, zero is empty, no pointer inside: fit for shared memory.
 */

#ifndef HELIX_HIST_H_INCLUDED
#define HELIX_HIST_H_INCLUDED


#include <stdint.h>


#define HELIX_HIST_SCHEMA    6
#define HELIX_HIST_OCTAVE    64       /* buckets */
#define HELIX_HIST_OCTAVES   37       /* 1 ns .. 2^37 ns = 137 s; longer ones
                                         count in the last bucket */
#define HELIX_HIST_BUCKETS   (HELIX_HIST_OCTAVES * HELIX_HIST_OCTAVE + 1)


typedef struct {
    uint64_t   count;
    uint64_t   sum;                          /* ns */
    uint64_t   octaves;                      /* bit i: one whose buckets may
                                                be more than 0 */
    uint64_t   buckets[HELIX_HIST_BUCKETS];  /* [0]: 0 and 1 ns */
} helix_hist_t;


/* The bucket of a duration; exact at every bucket boundary that double can
   tell apart.  Any thread. */
uint32_t helix_hist_index(uint64_t ns);

/* The upper bound of a bucket, ns. */
double helix_hist_upper(uint32_t index);

/* Single writer. */
void helix_hist_add(helix_hist_t *hist, uint64_t ns);

/* So many more in a bucket, with their sum; single writer. */
void helix_hist_put(helix_hist_t *hist, uint32_t index, uint64_t n,
    uint64_t sum);

/* Makes a histogram that is private to the caller empty again. */
void helix_hist_clear(helix_hist_t *hist);

/* dst += src; dst is private to the caller, src may be written meanwhile. */
void helix_hist_merge(helix_hist_t *dst, const helix_hist_t *src);

/* dst -= src, modulo 2^64; likewise. */
void helix_hist_subtract(helix_hist_t *dst, const helix_hist_t *src);

/* dst = src; src is private to the caller, who is the only writer of dst. */
void helix_hist_store(helix_hist_t *dst, const helix_hist_t *src);

/* How many there are up to each of n buckets, which ascend. */
void helix_hist_cumulate(const helix_hist_t *hist, const uint32_t *last,
    uint64_t *counts, uint32_t n);

/*
 * The q-quantile, 0 < q <= 1, by nearest rank: the geometric middle of the
 * bucket that holds the ceil(q n)-th smallest value, in ns.  0 when empty.
 */
double helix_hist_quantile(const helix_hist_t *hist, double q);


#endif /* HELIX_HIST_H_INCLUDED */
