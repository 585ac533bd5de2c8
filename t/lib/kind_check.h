
/*
 * Checks a kind without nginx.  Each check is a process of its own, so that
 * the kind may crash; what it prints becomes comments of TAP.
 */

#ifndef KIND_CHECK_H_INCLUDED
#define KIND_CHECK_H_INCLUDED


#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "helix_kind.h"


#define CHECK_JOBS      24
#define CHECK_INPUTS    4096
#define CHECK_PAIRS     64
#define CHECK_GIVEN     64
#define CHECK_MEMORY    ((size_t) 1 << 30)

#define countof(a)      (sizeof(a) / sizeof((a)[0]))


/* What a client asks for; the memory behind it is the job's own. */

typedef struct {
    uint64_t              id;
    uint64_t              cost;
    uint32_t              ninputs;
    uint64_t             *inputs;
    helix_value_t         values[HELIX_KIND_PARAMS];
    char                 *body;         /* NULL: none */
    size_t                body_len;
    const char           *body_type;
} check_job_t;


/* Pages between two that cannot be touched; "data" ends where they end. */

typedef struct {
    char                 *base;
    size_t                size;
    char                 *data;
    const char           *what;         /* said of who touches them, once they
                                           are closed */
} check_pages_t;


typedef struct {
    helix_control_t       base;
    uint64_t              every;        /* poll() says yes every n-th time */
    uint64_t              slice;        /* or after as many ns; 0: never */
    volatile int          stop;
    uint64_t              polls;
    volatile uint64_t     stops;
    bool                  said;         /* yes, in this step */
    uint64_t              start;        /* ns of processor time */
    uint64_t              last;
    uint32_t             *gaps;         /* ns between two polls, or NULL */
    uint32_t              ngaps;
    uint32_t              max_gaps;
} check_control_t;


typedef struct {
    int                   result;       /* of step() */
    char                  type[64];     /* of a body, or "" */
    char                 *data;
    size_t                len;
} check_answer_t;


/* A job from start() to clear(). */

typedef struct {
    helix_plan_t          plan;
    check_pages_t         args;
    check_pages_t         state;
    size_t                slack;        /* bytes between state and its end */
    int                   result;
} check_run_t;


typedef struct {
    const char           *file;
    helix_pair_t          pairs[CHECK_PAIRS];
    uint32_t              npairs;
    const char           *given[CHECK_GIVEN];
    uint32_t              ngiven;
    const char           *only;         /* the checks named so */
    const char           *save;         /* a file for the first answer */
    bool                  blocking;     /* the kind has HELIX_BLOCKING */

    helix_host_t          host;
    const helix_kind_t   *entry;
    helix_kind_t          kind;         /* a copy, as long as ours */
    void                 *conf;
    bool                  started;      /* init() has been called */
    uint32_t              nparams;
    uint32_t              nlevels;

    check_job_t           jobs[CHECK_JOBS];
    check_answer_t        answers[CHECK_JOBS];
    uint32_t              njobs;
    uint64_t              seed;
} check_t;


/* kind_check_load.c: what helix would do */

void check_load(check_t *c);
void check_configure(check_t *c);
void check_init(check_t *c);
void check_sentence(const char *where, const char *text);
bool check_is_field(const check_t *c, const char *name);

/* kind_check_host.c */

int check_plan(check_t *c, const check_job_t *job, helix_plan_t *plan);
void check_start(check_t *c, check_run_t *run, const check_job_t *job,
    uint32_t level, int fill);
int check_step(check_t *c, check_run_t *run, check_control_t *ctl);
void check_stepped(check_control_t *ctl, int result);
void check_finish(check_t *c, const check_run_t *run, check_answer_t *answer);
void check_end(check_t *c, check_run_t *run);

/* All of it, undisturbed. */
void check_run(check_t *c, const check_job_t *job, uint32_t level, int fill,
    check_answer_t *answer);

void check_control(check_control_t *ctl, uint64_t every);
void check_same(const check_answer_t *a, const check_answer_t *b,
    const char *what);

/* kind_check_output.c */

void check_output(check_t *c, const void *state, bool truncated,
    check_answer_t *answer);

/* kind_check_jobs.c, kind_check_random.c */

void check_jobs(check_t *c);
void check_job_random(check_t *c, check_job_t *job);
void check_job_odd(check_t *c, check_job_t *job);
uint64_t check_random(check_t *c, uint64_t n);

/* Never freed: a check is a process that ends soon. */
void *check_memory(size_t size);
void check_text(helix_value_t *v, const char *text, size_t len);

/* kind_check_tests.c, kind_check_more.c: each ends by returning */

void test_loads(check_t *c);
void test_configures(check_t *c);
void test_pairs(check_t *c);
void test_plans(check_t *c);
void test_answers(check_t *c);
void test_memory(check_t *c);
void test_slices(check_t *c);
void test_polls(check_t *c);
void test_stops(check_t *c);
void test_batches(check_t *c);
void test_levels(check_t *c);
void test_quality(check_t *c);
void test_threads(check_t *c);
void test_instances(check_t *c);
void test_leaks(check_t *c);
void test_odd(check_t *c);

/* kind_check.c */

extern const char *volatile  check_where;   /* the function that runs */

void check_fail(const char *format, ...)
    __attribute__((format(printf, 1, 2), noreturn));
void check_skip(const char *why) __attribute__((noreturn));
uint64_t check_cpu(void);
uint64_t check_clock(void);

void check_open(check_pages_t *pages, size_t size);
void check_shut(check_pages_t *pages, const char *what);
void check_free(check_pages_t *pages);


#endif /* KIND_CHECK_H_INCLUDED */
