
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "helix_ema.h"


static void
test_average(void **state)
{
    helix_ema_t  ema = { 0 };

    (void) state;

    helix_ema_record(&ema, 0.15, 1000, 10);
    assert_true(ema.value == 10);

    helix_ema_record(&ema, 0.15, 1000, 20);
    assert_true(ema.value == 0.15 * 20 + (1 - 0.15) * 10);

    /* a pause changes the weight, not the average */

    helix_ema_record(&ema, 0.15, 6000, 11.5);
    assert_true(fabs(ema.value - 11.5) < 1e-12);
    assert_true(fabs(ema.weight - 2) < 1e-12);

    /* of a clock that goes back nothing is forgotten */

    helix_ema_record(&ema, 1, 5000, 3);
    assert_true(ema.value == 3);
    assert_true(fabs(ema.weight - 3) < 1e-12);
    assert_int_equal(ema.updated, 6000);
}


static void
test_merge(void **state)
{
    int          i;
    helix_ema_t  old = { 0 }, busy = { 0 }, none = { 0 }, sum = { 0 };

    (void) state;

    helix_ema_merge(&sum, &none);
    assert_true(sum.weight == 0);

    /* thousand jobs an hour ago against ten of now */

    for (i = 0; i < 1000; i++) {
        helix_ema_record(&old, 0.5, 0, 100);
    }

    for (i = 0; i < 10; i++) {
        helix_ema_record(&busy, 0.5, 3600000, 1);
    }

    helix_ema_merge(&sum, &old);
    assert_true(sum.value == 100);
    assert_true(sum.weight == old.weight);

    helix_ema_merge(&sum, &busy);
    assert_true(sum.value > 1 && sum.value < 16);
    assert_int_equal(sum.updated, 3600000);

    /* in whichever order */

    helix_ema_merge(&none, &busy);
    helix_ema_merge(&none, &old);
    assert_true(fabs(none.value - sum.value) < 1e-9);

    /* of the same time each sample weighs the same */

    sum = (helix_ema_t) { 5, 10, 3 };
    helix_ema_merge(&sum, &(helix_ema_t) { 5, 20, 1 });
    assert_true(fabs(sum.value - 12.5) < 1e-12);
    assert_true(sum.weight == 4);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_average),
        cmocka_unit_test(test_merge)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
