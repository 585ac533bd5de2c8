
/*
 * The ring: numbers, what is overwritten, a writer that follows another, and
 * readers at work while a writer runs: every record is read whole and once, or
 * counted as missed.
 */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "helix_ring.h"


#define NWRITES   3000000
#define NREADERS  3


typedef struct {
    unsigned    lazy;              /* records between two pauses, 0: none */
    uint64_t    read;
    uint64_t    missed;
    uint64_t    torn;
    uint64_t    disorder;
} reader_t;


static helix_ring_t   *ring;
static unsigned        done;


static int
setup(void **state)
{
    (void) state;

    ring = calloc(1, sizeof(helix_ring_t));
    done = 0;

    return ring == NULL;
}


static int
teardown(void **state)
{
    (void) state;

    free(ring);

    return 0;
}


/* A record that can be told from parts of two others. */

static void
fill(uint64_t record[HELIX_RING_WORDS], uint64_t n)
{
    unsigned  i;

    for (i = 0; i < HELIX_RING_WORDS; i++) {
        record[i] = n * 0x9e3779b97f4a7c15 + i;
    }
}


static bool
whole(const uint64_t record[HELIX_RING_WORDS], uint64_t n)
{
    uint64_t  expected[HELIX_RING_WORDS];

    fill(expected, n);

    return memcmp(record, expected, sizeof(expected)) == 0;
}


static void
put(uint64_t n)
{
    uint64_t  record[HELIX_RING_WORDS];

    fill(record, n);
    assert_int_equal(helix_ring_put(ring, record), n);
}


static void
test_numbers(void **state)
{
    uint64_t  cursor, missed, n, record[HELIX_RING_WORDS];

    (void) state;

    cursor = 0;
    missed = 0;

    assert_int_equal(helix_ring_head(ring), 0);
    assert_int_equal(helix_ring_tail(ring), 0);
    assert_false(helix_ring_next(ring, &cursor, record, &missed));

    for (n = 0; n < 3 * HELIX_RING_RECORDS; n++) {
        put(n);
        assert_true(helix_ring_next(ring, &cursor, record, &missed));
        assert_true(whole(record, n));
        assert_false(helix_ring_next(ring, &cursor, record, &missed));
    }

    assert_int_equal(cursor, n);
    assert_int_equal(missed, 0);
}


static void
test_overwritten(void **state)
{
    uint64_t  cursor, missed, n, record[HELIX_RING_WORDS];

    (void) state;

    for (n = 0; n < HELIX_RING_RECORDS; n++) {
        put(n);
    }

    /* the place of the first is where the next will be written */

    assert_int_equal(helix_ring_tail(ring), 1);
    assert_false(helix_ring_get(ring, 0, record));
    assert_true(helix_ring_get(ring, 1, record));

    for ( /* void */ ; n < HELIX_RING_RECORDS + 100; n++) {
        put(n);
    }

    cursor = 10;
    missed = 5;

    assert_true(helix_ring_next(ring, &cursor, record, &missed));
    assert_true(whole(record, 101));
    assert_int_equal(cursor, 102);
    assert_int_equal(missed, 5 + 91);

    while (helix_ring_next(ring, &cursor, record, &missed)) {
        assert_true(whole(record, cursor - 1));
    }

    assert_int_equal(cursor, n);
    assert_int_equal(missed, 5 + 91);
}


/* A process that dies in the middle of a record leaves no trace of it. */

static void
test_torn(void **state)
{
    uint64_t  cursor, missed, n, record[HELIX_RING_WORDS];

    (void) state;

    for (n = 0; n < 2 * HELIX_RING_RECORDS; n++) {
        put(n);
    }

    ring->words[n % HELIX_RING_RECORDS][3] = 0;

    cursor = n - HELIX_RING_RECORDS;
    missed = 0;

    assert_true(helix_ring_next(ring, &cursor, record, &missed));
    assert_int_equal(missed, 1);
    assert_true(whole(record, n - HELIX_RING_RECORDS + 1));

    put(n);

    assert_true(helix_ring_get(ring, n, record));
    assert_true(whole(record, n));
}


static void
test_ahead(void **state)
{
    uint64_t  cursor, missed, record[HELIX_RING_WORDS];

    (void) state;

    put(0);

    cursor = (uint64_t) -1;
    missed = 0;

    assert_false(helix_ring_next(ring, &cursor, record, &missed));
    assert_int_equal(cursor, (uint64_t) -1);
    assert_int_equal(missed, 0);
}


static void *
writer(void *data)
{
    uint64_t  n, record[HELIX_RING_WORDS];

    (void) data;

    for (n = 0; n < NWRITES; n++) {
        fill(record, n);
        (void) helix_ring_put(ring, record);
    }

    __atomic_store_n(&done, 1, __ATOMIC_RELEASE);

    return NULL;
}


static void *
reader(void *data)
{
    unsigned   last;
    uint64_t   cursor, missed, seen, n, record[HELIX_RING_WORDS];
    reader_t  *r = data;

    cursor = 0;
    seen = 0;

    do {
        last = __atomic_load_n(&done, __ATOMIC_ACQUIRE);
        missed = 0;

        for (n = 0; helix_ring_next(ring, &cursor, record, &missed); n++) {
            r->read++;
            r->torn += !whole(record, cursor - 1);
            r->disorder += (cursor <= seen);
            seen = cursor;

            if (r->lazy && n == r->lazy) {
                struct timespec  ts = { 0, 2000000 };

                (void) nanosleep(&ts, NULL);
                n = 0;
            }
        }

        r->missed += missed;

    } while (!last);

    return NULL;
}


static void
test_race(void **state)
{
    unsigned   i;
    pthread_t  threads[NREADERS + 1];
    reader_t   readers[NREADERS] = { { 0 }, { .lazy = 1000 }, { .lazy = 50 } };

    (void) state;

    for (i = 0; i < NREADERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, reader,
                                        &readers[i]), 0);
    }

    assert_int_equal(pthread_create(&threads[i], NULL, writer, NULL), 0);

    for (i = 0; i <= NREADERS; i++) {
        (void) pthread_join(threads[i], NULL);
    }

    for (i = 0; i < NREADERS; i++) {
        assert_int_equal(readers[i].read + readers[i].missed, NWRITES);
        assert_int_equal(readers[i].torn, 0);
        assert_int_equal(readers[i].disorder, 0);
        assert_true(readers[i].read > 0);
    }

    /* one was too slow, or nothing was tried */

    assert_true(readers[2].missed > 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_overwritten, setup, teardown),
        cmocka_unit_test_setup_teardown(test_torn, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ahead, setup, teardown),
        cmocka_unit_test_setup_teardown(test_race, setup, teardown)
    };

    return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
