
/*
 * The C ABI of a kind: one sort of compute job.
 *
 * Plain C11, no nginx type, no global, no allocation by the kind.  A job is
 *
 *     plan()      what would it cost?  validates, measures, touches nothing
 *     start()     fill the job's own memory from the arguments
 *     step()      work a little, resumable; or step_batch() for many at once
 *     finish()    write the answer
 *
 * Threads: every function says who calls it.
 *   [loop]    the event loop of a worker; must be O(inputs) and never block
 *   [thread]  a pool thread or the event loop, one at a time for a given job;
 *             different jobs of a kind run at the same time
 *
 * Versioning: "size" is first in every struct that crosses the ABI and the
 * structs only ever grow at their end, so that a host can tell what a kind
 * was compiled against.
 */

#ifndef HELIX_KIND_H_INCLUDED
#define HELIX_KIND_H_INCLUDED


#include <stddef.h>
#include <stdint.h>


#define HELIX_KIND_ABI       1

#define HELIX_KIND_NAME_MAX  31    /* [a-z][a-z0-9_]* */
#define HELIX_KIND_ERROR_MAX 160

/* results of step() and step_batch() */
#define HELIX_DONE           0     /* finish() may be called */
#define HELIX_AGAIN          1     /* call again; the time was up */
#define HELIX_FAILED         2     /* the job cannot be computed */


/* What the client asked for, after the limits of the configuration. */

typedef struct {
    uint32_t          size;           /* sizeof(helix_args_t) of the host */
    uint32_t          ninputs;
    const uint64_t   *inputs;         /* borrowed until the call returns */
    uint64_t          id;
    uint64_t          cost;           /* compute_cost as declared */
} helix_args_t;


/* What plan() makes of it. */

typedef struct {
    uint32_t          size;           /* sizeof(helix_plan_t) of the host */
    uint64_t          work;           /* true work, in units of cost: the kind
                                         takes about as long for work w as for
                                         a job declared with compute_cost w */
    size_t            memory;         /* bytes that start() needs, all the
                                         memory the job will ever use */
    char              error[HELIX_KIND_ERROR_MAX];  /* set on HELIX_FAILED */
} helix_plan_t;


/*
 * Time budget of a step, and the way to end one early.  A kernel calls
 * poll() between blocks of at most some 25 us of work and returns HELIX_AGAIN
 * when it answers nonzero: the slice is used up, the client has left, the
 * deadline has passed or the worker is going down.  The kernel need not know
 * which.  Cost of a call: one load and one clock read, about 25 ns.
 */

typedef struct helix_control_s  helix_control_t;

struct helix_control_s {
    uint32_t          size;           /* sizeof(helix_control_t) of the host */
    int             (*poll)(const helix_control_t *ctl);
};


/* Where finish() writes the answer; values appear in the order written. */

typedef struct helix_output_s  helix_output_t;

struct helix_output_s {
    uint32_t          size;           /* sizeof(helix_output_t) of the host */
    void            (*u64)(helix_output_t *out, uint64_t value);
    void            (*f64)(helix_output_t *out, double value);   /* finite */
};


typedef struct {
    uint32_t          size;           /* sizeof(helix_kind_t) of the kind */
    uint32_t          abi;            /* HELIX_KIND_ABI */
    const char       *name;
    uint64_t          max_work;       /* default limit, about 1 s of one core;
                                         in units of cost */

    /*
     * [loop] Validates the arguments and sets work and memory of the plan.
     * HELIX_DONE, or HELIX_FAILED with a sentence in plan->error.
     */
    int             (*plan)(const helix_args_t *args, helix_plan_t *plan);

    /*
     * [loop] Fills "state": plan->memory bytes, aligned to 16, contents
     * undefined.  Copies what it needs of the arguments.  Cannot fail.
     */
    void            (*start)(void *state, const helix_args_t *args);

    /* [thread] HELIX_DONE, HELIX_AGAIN or HELIX_FAILED.  Never called again
       once it has answered DONE or FAILED. */
    int             (*step)(void *state, const helix_control_t *ctl);

    /*
     * [thread] Optional (NULL: the host steps the jobs one by one).  Works on
     * n jobs at once, 1 <= n <= HELIX_BATCH_MAX, and shares what they have in
     * common.  The host has set every results[i] to HELIX_AGAIN; when job i
     * has ended it is HELIX_DONE or HELIX_FAILED, and one job's failure is not
     * another's.  A NULL state is a job that has left, possibly between two
     * calls: skip it.  What finish() writes is bit for bit what step() alone
     * would have led to.  Returns HELIX_DONE when every job has ended, else
     * HELIX_AGAIN: the host calls again with the same arrays.
     */
    int             (*step_batch)(void **states, uint8_t *results, uint32_t n,
                         const helix_control_t *ctl);

    /* [loop] Writes the answer of a job whose step() answered DONE. */
    void            (*finish)(const void *state, helix_output_t *out);
} helix_kind_t;


#define HELIX_BATCH_MAX      1024


#endif /* HELIX_KIND_H_INCLUDED */
