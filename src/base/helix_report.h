
/*
 * What a worker tells the others: the service times it has seen, the work it
 * was offered, the work that it still has.  Plain values for shared memory:
 * one process writes a report, all read it.
 *
 * Times are nanoseconds of CLOCK_MONOTONIC; work is nanoseconds of processor
 * time.  Starts as all zeroes.
 */

#ifndef HELIX_REPORT_H_INCLUDED
#define HELIX_REPORT_H_INCLUDED


#include <stdint.h>


#define HELIX_REPORT_KINDS   32

#define HELIX_BACKLOG_LEVELS 4
#define HELIX_BACKLOG_SIZE   64      /* buckets of a level: bits of a word */


/*
 * Sums over the samples of a kind, x = ln work and y = ln processor time less
 * the drift, older ones discounted; of several workers they are added.
 * "version" is odd while the owner writes.
 */

typedef struct {
    uint64_t    version;
    double      n;
    double      x;
    double      y;
    double      xx;
    double      xy;
    double      variance;            /* of the residuals */
    double      quantile;            /* 90 % of the residuals are below it, in
                                        standard deviations */
} helix_samples_t;


/*
 * Sums over the batches of a kind, older ones discounted, in times that a job
 * of the batch takes alone; of several workers they are added.
 */

typedef struct {
    double      along;               /* jobs but the first of each batch */
    double      added;               /* what these added to it */
} helix_batches_t;


/*
 * The work that waits or runs, by the time at which it is due.  A job keeps
 * its bucket until it leaves.  Buckets are 0.5 ms, 8 ms, 128 ms and 2 s wide,
 * for what is due within 32 ms, 512 ms, 8 s and 131 s; later is the last one.
 */

typedef struct {
    uint64_t    first;               /* ns, due; of an empty bucket any */
    int64_t     work;                /* ns */
    int64_t     variance;            /* us^2 */
    uint64_t    n;
} helix_bucket_t;

typedef struct {
    uint64_t        bits[HELIX_BACKLOG_LEVELS];    /* not empty */
    helix_bucket_t  buckets[HELIX_BACKLOG_LEVELS][HELIX_BACKLOG_SIZE];
} helix_backlog_t;


typedef struct {
    helix_samples_t  samples[HELIX_REPORT_KINDS];

    /* these only grow */
    uint64_t         offered[HELIX_REPORT_KINDS];  /* ns, for threads, dropped
                                                      included */
    uint64_t         refused;        /* jobs, for want of time */
    uint64_t         cpu;            /* ns that threads computed, */
    uint64_t         wall;           /* and how long it took them */
    uint64_t         spent;          /* ns of processor, of ended jobs */
    uint64_t         wasted;         /* of those late, expired, cancelled */
    uint64_t         turns;          /* of the event loop, with jobs in them */
    uint64_t         long_turns;
    uint64_t         loop;           /* ns of those turns */
    uint64_t         predicted;      /* ns, jobs of which both are known */
    uint64_t         actual;
    uint64_t         within;         /* of "known", below their 90 % */
    uint64_t         known;

    uint64_t         seen;           /* when the owner last looked around */
    uint64_t         head;           /* due, of the most urgent job that no
                                        thread has; 0: none */
    helix_backlog_t  backlog;
    helix_batches_t  batches[HELIX_REPORT_KINDS];
} helix_report_t;


#endif /* HELIX_REPORT_H_INCLUDED */
