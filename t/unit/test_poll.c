
/* How soon a kernel lets go: the work between two looks at its control. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "helix_kinds.h"


#define GAPS    100000
#define BATCH   8

/* ns: what the design allows; sanitizers slow the kernels down */

#if defined(__SANITIZE_ADDRESS__) || defined(__clang__)
#define LIMIT   5000000
#else
#define LIMIT   500000
#endif


typedef struct {
    helix_control_t   control;
    uint64_t          last;
    uint32_t          n;
    uint64_t          gaps[GAPS];
} watch_t;


static watch_t  watch;


/* of the thread: what else the machine does meanwhile does not count */

static uint64_t
cpu(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);

    return (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;
}


static int
look(const helix_control_t *control)
{
    uint64_t  now;

    (void) control;

    now = cpu();

    if (watch.n < GAPS) {
        watch.gaps[watch.n++] = now - watch.last;
    }

    watch.last = cpu();

    return 0;
}


static int
compare(const void *a, const void *b)
{
    uint64_t  x = *(const uint64_t *) a, y = *(const uint64_t *) b;

    return (x > y) - (x < y);
}


static void *
start(const helix_kind_t *kind, uint64_t cost)
{
    void          *state;
    helix_args_t   args = { .size = sizeof(args), .id = 1, .cost = cost };
    helix_plan_t   plan = { .size = sizeof(plan) };

    assert_int_equal(kind->plan(NULL, &args, &plan), HELIX_DONE);

    state = aligned_alloc(64, (plan.memory + 63) / 64 * 64);
    assert_non_null(state);

    kind->start(NULL, state, &args);

    return state;
}


static void
begin(void)
{
    watch.control.size = sizeof(helix_control_t);
    watch.control.poll = look;
    watch.n = 0;
    watch.last = cpu();
}


static void
check(void)
{
    (void) look(&watch.control);

    qsort(watch.gaps, watch.n, sizeof(uint64_t), compare);

    assert_true(watch.gaps[(watch.n - 1) * 99 / 100] <= LIMIT);
}


static void
watch_kind(const helix_kind_t *kind, uint64_t cost)
{
    void        *states[BATCH];
    uint8_t      results[BATCH];
    uint32_t     i;

    states[0] = start(kind, cost);

    begin();
    while (kind->step(states[0], &watch.control) == HELIX_AGAIN) { /* void */ }
    check();

    free(states[0]);

    if (kind->step_batch == NULL) {
        return;
    }

    for (i = 0; i < BATCH; i++) {
        states[i] = start(kind, cost / (i + 1));
        results[i] = HELIX_AGAIN;
    }

    begin();

    while (kind->step_batch(states, results, BATCH, &watch.control)
           == HELIX_AGAIN)
    {
        /* void */
    }

    check();

    for (i = 0; i < BATCH; i++) {
        free(states[i]);
    }
}


static void
test_hashmix(void **state)
{
    (void) state;

    watch_kind(&helix_kind_hashmix, 2000000000);
}


static void
test_primecount(void **state)
{
    (void) state;

    watch_kind(&helix_kind_primecount, 250000);
}


static void
test_montecarlo_risk(void **state)
{
    (void) state;

    watch_kind(&helix_kind_montecarlo_risk, 10000000);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_hashmix),
        cmocka_unit_test(test_primecount),
        cmocka_unit_test(test_montecarlo_risk)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
