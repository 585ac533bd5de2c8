
/*
 * The histogram: every bucket edge against long double, quantiles against
 * sorted samples of five distributions, merging, and a reader at work while
 * another thread writes.
 */

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "helix_hist.h"


#define NSAMPLES  20000
#define NWRITES   2000000


static uint64_t  seed;


static uint64_t
random_bits(void)
{
    seed ^= seed >> 12;
    seed ^= (seed & (UINT64_MAX >> 25)) << 25;
    seed ^= seed >> 27;

    return seed;
}


/* Uniform in (0, 1]. */

static double
random_unit(void)
{
    return ((double) (random_bits() >> 12) + 1) / 0x1p52;
}


/* The bucket by definition, walking from a guess. */

static uint32_t
index_slow(uint64_t ns)
{
    long         i;
    long double  x;

    if (ns <= 1) {
        return 0;
    }

    x = (long double) ns;
    i = lroundl(log2l(x) * 64);

    while (exp2l((long double) i / 64) >= x) {
        i--;
    }

    while (exp2l((long double) i / 64) < x) {
        i++;
    }

    return (i < HELIX_HIST_BUCKETS) ? (uint32_t) i : HELIX_HIST_BUCKETS - 1;
}


static void
test_index_small(void **state)
{
    uint64_t  ns;

    (void) state;

    for (ns = 0; ns < 300000; ns++) {
        assert_int_equal(helix_hist_index(ns), index_slow(ns));
    }
}


static void
test_index_edges(void **state)
{
    int       i, d;
    uint64_t  ns, edge;

    (void) state;

    for (i = 0; i < HELIX_HIST_BUCKETS + 64; i++) {
        edge = (uint64_t) floorl(exp2l((long double) i / 64));

        for (d = -2; d <= 2; d++) {
            ns = (uint64_t) ((int64_t) edge + d);

            if ((int64_t) ns >= 0) {
                assert_int_equal(helix_hist_index(ns), index_slow(ns));
            }
        }
    }
}


static void
test_index_random(void **state)
{
    int       i;
    uint64_t  ns;

    (void) state;

    for (i = 0; i < 300000; i++) {
        ns = random_bits() >> (27 + random_bits() % 37);
        assert_int_equal(helix_hist_index(ns), index_slow(ns));
    }
}


static void
test_index_range(void **state)
{
    (void) state;

    assert_int_equal(helix_hist_index(0), 0);
    assert_int_equal(helix_hist_index(1), 0);
    assert_int_equal(helix_hist_index(2), 64);
    assert_int_equal(helix_hist_index(3), 102);
    assert_int_equal(helix_hist_index(UINT64_C(1) << 37),
                     HELIX_HIST_BUCKETS - 1);
    assert_int_equal(helix_hist_index((UINT64_C(1) << 37) + 1),
                     HELIX_HIST_BUCKETS - 1);
    assert_int_equal(helix_hist_index(UINT64_MAX), HELIX_HIST_BUCKETS - 1);
}


static void
test_upper(void **state)
{
    uint32_t  i;

    (void) state;

    assert_true(helix_hist_upper(0) == 1.0);
    assert_true(helix_hist_upper(64) == 2.0);
    assert_true(helix_hist_upper(HELIX_HIST_BUCKETS - 1) == 0x1p37);

    for (i = 0; i < HELIX_HIST_BUCKETS; i++) {
        assert_true(helix_hist_upper(i)
                    == (double) exp2l((long double) i / 64));
        assert_true(i == 0 || helix_hist_upper(i) > helix_hist_upper(i - 1));
    }
}


static void
test_cumulate(const helix_hist_t *hist)
{
    uint32_t  i, b, last[] = { 0, 63, 64, 700, 701, 1500, 1501, 2368 };
    uint64_t  n, counts[8];

    helix_hist_cumulate(hist, last, counts, 8);

    for (i = 0; i < 8; i++) {
        n = 0;

        for (b = 0; b <= last[i]; b++) {
            n += hist->buckets[b];
        }

        assert_int_equal(counts[i], n);
    }
}


static void
test_add_merge(void **state)
{
    int            i;
    uint32_t       b;
    uint64_t       ns, n;
    helix_hist_t  *a, *c, *all;

    (void) state;

    a = calloc(3, sizeof(helix_hist_t));
    assert_non_null(a);
    c = a + 1;
    all = a + 2;

    for (i = 0; i < 10000; i++) {
        ns = random_bits() >> (20 + random_bits() % 40);
        helix_hist_add((i % 3) ? a : c, ns);
        helix_hist_add(all, ns);
    }

    helix_hist_merge(a, c);
    assert_memory_equal(a, all, sizeof(helix_hist_t));
    assert_int_equal(a->count, 10000);

    n = 0;

    for (b = 0; b < HELIX_HIST_BUCKETS; b++) {
        n += a->buckets[b];
    }

    assert_int_equal(n, a->count);

    test_cumulate(a);

    helix_hist_clear(a);
    memset(c, 0, sizeof(helix_hist_t));
    assert_memory_equal(a, c, sizeof(helix_hist_t));

    for (b = 0; b < HELIX_HIST_BUCKETS; b++) {
        if (all->buckets[b]) {
            helix_hist_put(a, b, all->buckets[b], b ? 0 : all->sum);
        }
    }

    a->sum = all->sum;
    assert_memory_equal(a, all, sizeof(helix_hist_t));
    free(a);
}


static int
compare(const void *one, const void *two)
{
    uint64_t  a, b;

    a = *(const uint64_t *) one;
    b = *(const uint64_t *) two;

    return (a > b) - (a < b);
}


static uint64_t
sample(int distribution)
{
    double  u, v;

    u = random_unit();
    v = random_unit();

    switch (distribution) {

    case 0:                          /* uniform, 1 us to 1 ms */
        return (uint64_t) (1e3 + u * 999e3);

    case 1:                          /* exponential, mean 2 ms */
        return 1 + (uint64_t) (-log(u) * 2e6);

    case 2:                          /* log-normal */
        return 1 + (uint64_t) exp(12 + 2 * sqrt(-2 * log(u))
                                       * cos(6.283185307179586 * v));

    case 3:                          /* Pareto, up to seconds */
        return (uint64_t) (1e4 / pow(u, 1.2)) % (UINT64_C(1) << 37) + 1;

    default:                         /* two values and a spread */
        return (v < 0.5) ? 700 : (v < 0.9) ? 123456789
                                           : 1 + (uint64_t) (u * 1e10);
    }
}


static void
test_quantiles(void **state)
{
    int                  d;
    double               exact, error, worst;
    size_t               i, rank;
    uint64_t            *x;
    helix_hist_t        *h;
    static const double  q[] = {
        0.0001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999, 1
    };

    (void) state;

    x = calloc(NSAMPLES, sizeof(uint64_t));
    h = calloc(1, sizeof(helix_hist_t));
    assert_non_null(x);
    assert_non_null(h);

    for (d = 0; d < 5; d++) {
        memset(h, 0, sizeof(helix_hist_t));
        worst = 0;

        for (i = 0; i < NSAMPLES; i++) {
            x[i] = sample(d);
            helix_hist_add(h, x[i]);
        }

        qsort(x, NSAMPLES, sizeof(uint64_t), compare);

        for (i = 0; i < sizeof(q) / sizeof(q[0]); i++) {
            rank = (size_t) ceil(q[i] * NSAMPLES);
            exact = (double) x[rank - 1];
            error = fabs(helix_hist_quantile(h, q[i]) / exact - 1);
            worst = (error > worst) ? error : worst;
        }

        print_message("distribution %d: worst error %.4f %%\n", d,
                      worst * 100);
        assert_true(worst <= 0.0055);
    }

    free(x);
    free(h);
}


static void
test_quantile_ranks(void **state)
{
    int            i;
    helix_hist_t  *h;

    (void) state;

    h = calloc(1, sizeof(helix_hist_t));
    assert_non_null(h);

    assert_true(helix_hist_quantile(h, 0.5) == 0);

    for (i = 1; i <= 4; i++) {
        helix_hist_add(h, UINT64_C(1) << (10 * i));
    }

    /* nearest rank: of four values, the 1st to 0.25, the 2nd above it */

    for (i = 1; i <= 4; i++) {
        assert_true(fabs(helix_hist_quantile(h, 0.25 * i)
                         / exp2(10 * (i < 4 ? i : 3.7)) - 1) <= 0.0055);
        assert_true(i == 4
                    || helix_hist_quantile(h, 0.25 * i + 0.001)
                       > helix_hist_quantile(h, 0.25 * i));
    }

    assert_true(helix_hist_quantile(h, 1e-300)
                == helix_hist_quantile(h, 0.25));
    free(h);
}


static void *
writer(void *data)
{
    uint64_t       i;
    helix_hist_t  *h;

    h = data;

    for (i = 0; i < NWRITES; i++) {
        helix_hist_add(h, 1000 + i % 100000);
    }

    return NULL;
}


static void
test_reader_while_written(void **state)
{
    double         q;
    uint32_t       b;
    uint64_t       last, n;
    pthread_t      thread;
    helix_hist_t  *shared, *copy;

    (void) state;

    shared = calloc(2, sizeof(helix_hist_t));
    assert_non_null(shared);
    copy = shared + 1;
    last = 0;

    assert_int_equal(pthread_create(&thread, NULL, writer, shared), 0);

    while (last < NWRITES) {
        memset(copy, 0, sizeof(helix_hist_t));
        helix_hist_merge(copy, shared);

        for (n = 0, b = 0; b < HELIX_HIST_BUCKETS; b++) {
            n += copy->buckets[b];
        }

        assert_int_equal(n, copy->count);
        assert_true(n >= last);
        last = n;

        q = helix_hist_quantile(shared, 0.5);
        assert_true(q == 0 || (q > 990 && q < 102000));
    }

    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(shared->count, NWRITES);
    free(shared);
}


/* What was added since; a copy that other octaves were in before; less than
   nothing, which is nothing again when it is added. */

static void
test_subtract_store(void **state)
{
    uint32_t       i;
    helix_hist_t  *a, *b, *c;

    (void) state;

    a = calloc(3, sizeof(helix_hist_t));
    assert_non_null(a);

    b = a + 1;
    c = a + 2;

    helix_hist_add(a, 5);
    helix_hist_add(a, 1000000);
    helix_hist_add(c, 70000000000);
    helix_hist_store(c, a);

    assert_int_equal(c->count, 2);
    assert_int_equal(c->sum, 1000005);
    assert_int_equal(c->buckets[helix_hist_index(70000000000)], 0);
    assert_memory_equal(c->buckets, a->buckets, sizeof(a->buckets));

    helix_hist_add(a, 5);
    helix_hist_add(a, 900000000);
    helix_hist_merge(b, a);
    helix_hist_subtract(b, c);

    assert_int_equal(b->count, 2);
    assert_int_equal(b->sum, 900000005);
    assert_int_equal(b->buckets[helix_hist_index(5)], 1);
    assert_int_equal(b->buckets[helix_hist_index(1000000)], 0);
    assert_int_equal(b->buckets[helix_hist_index(900000000)], 1);

    memset(b, 0, sizeof(helix_hist_t));
    helix_hist_subtract(b, a);
    assert_int_equal(b->count, UINT64_MAX - 3);
    helix_hist_merge(b, a);

    assert_int_equal(b->count, 0);
    assert_int_equal(b->sum, 0);

    for (i = 0; i < HELIX_HIST_BUCKETS; i++) {
        assert_int_equal(b->buckets[i], 0);
    }

    free(a);
}


int
main(void)
{
    static const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_index_small),
        cmocka_unit_test(test_index_edges),
        cmocka_unit_test(test_index_random),
        cmocka_unit_test(test_index_range),
        cmocka_unit_test(test_upper),
        cmocka_unit_test(test_add_merge),
        cmocka_unit_test(test_subtract_store),
        cmocka_unit_test(test_quantiles),
        cmocka_unit_test(test_quantile_ranks),
        cmocka_unit_test(test_reader_while_written)
    };

    seed = UINT64_C(0x9e3779b97f4a7c15);

    return cmocka_run_group_tests(tests, NULL, NULL);
}
