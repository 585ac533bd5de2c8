
/*
 * How a job may run and why: the one list of strategies and the one list of
 * reasons, with the tokens that headers, logs, metrics and JSON show.
 */

#ifndef HELIX_STRATEGY_H_INCLUDED
#define HELIX_STRATEGY_H_INCLUDED


typedef enum {
    HELIX_INLINE = 0,
    HELIX_SPAWN,
    HELIX_CPU_POOL,
    HELIX_BATCH,
    HELIX_DROP,
    HELIX_STRATEGIES
} helix_strategy_t;


/* The one list of reasons; helix_reason_names[] has the tokens. */

typedef enum {
    HELIX_CHEAP = 0,          /* inline: cost is at most the inline threshold */
    HELIX_MODERATE,           /* spawn: cost is below the spawn threshold */
    HELIX_HEAVY,              /* cpu_pool: neither, and scaling below 0.70 */
    HELIX_BATCHABLE,          /* batch: scaling is at least 0.70 */
    HELIX_PRESSURE,           /* batch or drop: the pool is busy */
    HELIX_PINNED,             /* the configuration pins the strategy */
    HELIX_QUEUE_FULL,         /* drop: no place to wait */
    HELIX_MEMORY,             /* drop: no memory for the job */
    HELIX_NO_SLOT,            /* drop: the worker has no place in the zone */
    HELIX_INFEASIBLE,         /* drop: it, or an admitted job, would be late */
    HELIX_SHARE,              /* drop: the kind has had its share */
    HELIX_TOO_BIG,            /* drop: late even if nothing else ran */
    HELIX_EXPLORED,           /* cpu_pool: to see what it really costs */
    HELIX_COALESCED,          /* answered by the same job of another request */
    HELIX_KERNEL,             /* drop: the kind cannot work in this worker */
    HELIX_REASONS
} helix_reason_t;


/* Who decided. */

typedef enum {
    HELIX_BY_THRESHOLD = 0,
    HELIX_BY_ADAPTED,            /* threshold, and that of spawn was adapted */
    HELIX_BY_PREDICTIVE,
    HELIX_BY_PINNED,
    HELIX_SOURCES
} helix_source_t;


/* Why a batch is not larger. */

typedef enum {
    HELIX_FLUSH_FULL = 0,
    HELIX_FLUSH_IDLE,            /* no other waits, and a thread was free */
    HELIX_FLUSH_SLACK,           /* with one more it would be late */
    HELIX_FLUSH_DELAY,           /* of helix_batch: threshold policy */
    HELIX_FLUSH_SHUTDOWN,
    HELIX_FLUSHES
} helix_flush_t;


extern const char *const  helix_strategy_names[HELIX_STRATEGIES + 1];
extern const char *const  helix_reason_names[HELIX_REASONS + 1];
extern const char *const  helix_source_names[HELIX_SOURCES + 1];
extern const char *const  helix_flush_names[HELIX_FLUSHES + 1];


#endif /* HELIX_STRATEGY_H_INCLUDED */
