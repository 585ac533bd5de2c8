
/*
 * The C ABI of a kind: one sort of compute job.
 *
 * Plain C11 and libc; no nginx type.  A kind is built into helix or is a
 * shared object of its own, "helix_kernel NAME FILE.so key=value ...;".
 * A job is
 *
 *     plan()      what would it cost?  validates, measures, keeps nothing
 *     start()     fills the job's own memory from the arguments
 *     step()      works a little, resumable; or step_batch() for many at once
 *     finish()    writes the answer
 *     clear()     lets go of what the job holds beyond its memory
 *
 * Threads: every function says who calls it.
 *   [conf]    the master, or nginx -t, while it reads the configuration; as
 *             root, before workers are forked: must not start threads
 *   [worker]  a worker, once, before its event loop
 *   [loop]    the event loop of a worker; must be O(arguments) and never block
 *   [thread]  a pool thread or the event loop, one at a time for a given job;
 *             different jobs of a kind run at the same time
 *
 * Versions: HELIX_KIND_ABI changes when something old changes its meaning.
 * What is new is added at the end of a struct, whose "size" comes first: a
 * kind built against an older header runs in a newer helix, where its missing
 * members are zero; a newer kind asks the sizes of what it is given.
 *
 * Trust: a kind is code in the worker, with all its rights.  What it is given
 * by clients is a claim: only types, lengths and ranges have been checked.
 */

#ifndef HELIX_KIND_H_INCLUDED
#define HELIX_KIND_H_INCLUDED


#include <stddef.h>
#include <stdint.h>


#define HELIX_KIND_ABI        1

#define HELIX_KIND_NAME_MAX   31    /* [a-z][a-z0-9_]* */
#define HELIX_KIND_ERROR_MAX  160   /* of a sentence, with its zero */
#define HELIX_KIND_PARAMS     32    /* at most */
#define HELIX_KIND_LEVELS     7     /* likewise, without the full answer */
#define HELIX_BATCH_MAX       1024

/* results */
#define HELIX_DONE            0     /* finish() may be called */
#define HELIX_AGAIN           1     /* call again; the time was up */
#define HELIX_FAILED          2     /* the job cannot be computed */

/* of a kind */
#define HELIX_BLOCKING        0x1   /* step() may block, or work on until it is
                                       done: never in the event loop */

/* of a plan */
#define HELIX_PURE            0x1   /* the answer depends on nothing but cost,
                                       inputs, parameters, body, its type and
                                       level: it may answer others that ask the
                                       same */
#define HELIX_PURE_ID         0x2   /* and on the id; instead of HELIX_PURE */
#define HELIX_ANYTIME         0x4   /* the host may stop the job before its
                                       deadline and take what quality() says
                                       there is; else it is never cut short */


/* What helix offers to kinds; valid for ever. */

typedef struct {
    uint32_t            size;       /* of the host's struct */
    uint32_t            abi;        /* HELIX_KIND_ABI of the host */
    const char         *version;    /* of helix */

    /* [conf], [worker], [loop] A line of the error log, prefixed by the kind;
       "level" is one of the below. */
    void              (*log)(int level, const char *kind, const char *text);
} helix_host_t;

#define HELIX_LOG_ERROR       4     /* as nginx counts them */
#define HELIX_LOG_WARN        5
#define HELIX_LOG_NOTICE      6
#define HELIX_LOG_INFO        7


/* One key=value of helix_kernel. */

typedef struct {
    const char         *name;
    const char         *value;
} helix_pair_t;


/*
 * A parameter that jobs of a kind have beside the fields that all jobs have:
 * a member of "params" in JSON, an argument of that name in a query string or
 * a form.  The host checks type and range before plan() sees it.
 */

typedef enum {
    HELIX_PARAM_U64 = 0,            /* exact */
    HELIX_PARAM_F64,                /* finite */
    HELIX_PARAM_TEXT,               /* UTF-8, at most "max" bytes */
    HELIX_PARAM_JSON                /* any JSON value, as it was sent: valid,
                                       at most "max" bytes */
} helix_param_type_t;

typedef struct {
    const char         *name;       /* [a-z][a-z0-9_]*, no field of a job */
    helix_param_type_t  type;
    double              min;        /* of a number; inclusive */
    double              max;
    const char         *help;       /* what it is, a few words, for errors */
} helix_param_t;

typedef struct {
    uint32_t            given;      /* 0: all else is zero */
    uint32_t            len;        /* of text */
    uint64_t            u64;
    double              f64;
    const char         *text;       /* of HELIX_PARAM_TEXT and _JSON; not
                                       terminated */
} helix_value_t;


/*
 * What the client asked for, after the limits of the configuration.  All is
 * borrowed until the call returns, and the same in plan() and start().
 */

typedef struct {
    uint32_t              size;     /* of the host's struct */
    uint32_t              ninputs;
    const uint64_t       *inputs;
    uint64_t              id;
    uint64_t              cost;     /* compute_cost as declared */
    const helix_value_t  *values;   /* one for each of the kind's params */
    const void           *body;     /* NULL unless the kind takes the type */
    size_t                body_len;
    const char           *body_type;
    uint32_t              level;    /* start() only: 0 full, else the plan's
                                       levels[level - 1] */
} helix_args_t;


/* A cheaper way to answer, if the full one cannot be had. */

typedef struct {
    uint64_t              work;
    double                quality;  /* of the answer, 0..1, 1 is the full one;
                                       the kind says how it is measured */
    uint32_t              name;     /* which of the kind's level names */
} helix_level_t;


/* What plan() makes of it; the host has zeroed it. */

typedef struct {
    uint32_t              size;     /* of the host's struct */
    uint32_t              flags;    /* HELIX_PURE */
    uint64_t              work;     /* true work, in units of cost: the kind
                                       takes about as long for work w as for
                                       a job declared with compute_cost w */
    size_t                memory;   /* bytes of the job's state */
    size_t                extra;    /* bytes that it will allocate beside */
    uint64_t              batch_key;  /* only jobs with the same key come into
                                       one step_batch(); a hint: clients may
                                       make keys collide */
    const char           *field;    /* HELIX_FAILED: the field or parameter at
                                       fault, a constant, or NULL */
    char                  error[HELIX_KIND_ERROR_MAX];  /* and a sentence */
    uint32_t              nlevels;
    helix_level_t         levels[HELIX_KIND_LEVELS];    /* best first */
} helix_plan_t;


/*
 * Time budget of a step, and the way to end one early.  A kernel calls
 * poll() between blocks of at most some 25 us of work and returns HELIX_AGAIN
 * when it answers nonzero: the slice is used up, the client has left, the
 * deadline has passed or the worker is going down.  The kernel need not know
 * which.  Cost of a call: one load and one clock read, about 25 ns.
 *
 * What cannot be resumed (HELIX_BLOCKING) asks stop() instead: nonzero if
 * nobody wants the answer any more.  Then it returns HELIX_AGAIN, and is not
 * called again.
 */

typedef struct helix_control_s  helix_control_t;

struct helix_control_s {
    uint32_t              size;     /* of the host's struct */
    int                 (*poll)(const helix_control_t *ctl);
    int                 (*stop)(const helix_control_t *ctl);
};


/*
 * Where finish() writes the answer: values of the JSON array "outputs" in the
 * order written, or one body of another type.  What it is given is copied.
 * Strings are UTF-8, numbers finite; objects and arrays may be nested 8 deep.
 */

typedef struct helix_output_s  helix_output_t;

struct helix_output_s {
    uint32_t              size;     /* of the host's struct */
    uint32_t              truncated;  /* 1: the deadline ended the job, not
                                       step() */
    void                (*u64)(helix_output_t *out, uint64_t value);
    void                (*f64)(helix_output_t *out, double value);
    void                (*text)(helix_output_t *out, const char *text,
                             size_t len);
    void                (*boolean)(helix_output_t *out, int value);
    void                (*key)(helix_output_t *out, const char *name);
    void                (*object)(helix_output_t *out);
    void                (*object_end)(helix_output_t *out);
    void                (*array)(helix_output_t *out);
    void                (*array_end)(helix_output_t *out);

    /* The whole answer, instead of JSON; "type" is a constant such as
       "image/webp". */
    void                (*body)(helix_output_t *out, const char *type,
                             const void *data, size_t len);
};


typedef struct {
    uint32_t              size;     /* sizeof(helix_kind_t) of the kind */
    uint32_t              abi;      /* HELIX_KIND_ABI of the kind */
    const char           *name;
    uint64_t              max_work; /* default limit, about 1 s of one core;
                                       in units of cost */
    uint32_t              flags;    /* HELIX_BLOCKING */

    /* The params that jobs may have, ended by a name of NULL; or NULL. */
    const helix_param_t  *params;

    /* Names of levels, [a-z][a-z0-9_]*, at most HELIX_KIND_LEVELS, ended by
       NULL; or NULL. */
    const char *const    *levels;

    /* Content types of bodies beside JSON and forms, as in "image/png
       image/jpeg"; or NULL. */
    const char           *accepts;

    /*
     * [conf] An instance of the kind, from the pairs of its helix_kernel; the
     * pairs are gone when it returns.  NULL: with a sentence in "error", of
     * HELIX_KIND_ERROR_MAX bytes.  Optional: then "conf" is NULL everywhere
     * and there are no pairs.  A reload makes a new instance; destroy() [conf]
     * ends one, in each process that has it.
     */
    void               *(*configure)(const helix_host_t *host,
                             const helix_pair_t *pairs, uint32_t npairs,
                             char *error);
    void                (*destroy)(void *conf);

    /* [worker] Optional.  HELIX_DONE, or HELIX_FAILED with a sentence in
       "error": then this worker fails the jobs of the kind. */
    int                 (*init)(void *conf, char *error);

    /* [loop] Validates the arguments, fills the plan.  HELIX_DONE, or
       HELIX_FAILED with a sentence in plan->error. */
    int                 (*plan)(void *conf, const helix_args_t *args,
                             helix_plan_t *plan);

    /*
     * [loop] Fills "state": plan->memory bytes, aligned to 64, contents
     * undefined.  Copies what it needs of the arguments.  Cannot fail.
     */
    void                (*start)(void *conf, void *state,
                             const helix_args_t *args);

    /* [thread] HELIX_DONE, HELIX_AGAIN or HELIX_FAILED.  Never called again
       once it has answered DONE or FAILED. */
    int                 (*step)(void *state, const helix_control_t *ctl);

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
    int                 (*step_batch)(void **states, uint8_t *results,
                             uint32_t n, const helix_control_t *ctl);

    /*
     * [loop] Optional, for jobs that are HELIX_ANYTIME: what finish() would
     * write now, after any step or before the first, and how good that is,
     * 0..1; 0: nothing yet.
     */
    double              (*quality)(const void *state);

    /* [loop] Writes the answer of a job that is DONE, or that quality() has
       one of; possibly more than once: no work, only the answer. */
    void                (*finish)(const void *state, helix_output_t *out);

    /* [loop] Optional: the end of a job that was started, however it ended;
       its memory is the host's.  Must not block. */
    void                (*clear)(void *state);
} helix_kind_t;


/*
 * The symbol of a shared object: called once [conf], gives its kind, which is
 * valid for ever; NULL if it cannot do with this host.
 */

#define HELIX_KIND_SYMBOL     "helix_kind_entry"

#if defined __GNUC__
__attribute__((visibility("default")))
#endif
const helix_kind_t *helix_kind_entry(const helix_host_t *host);


#endif /* HELIX_KIND_H_INCLUDED */
