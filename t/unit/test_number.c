
/*
 * Numbers: against strtod() on random and on hard texts, shortest printing.
 */

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "helix_json.h"


#define NRANDOM  1200000


static uint64_t  seed;


static uint64_t
random_bits(void)
{
    seed ^= seed >> 12;
    seed ^= (seed & (UINT64_MAX >> 25)) << 25;
    seed ^= seed >> 27;

    return seed;
}


static uint64_t
bits_of(double value)
{
    uint64_t  bits;

    memcpy(&bits, &value, sizeof(bits));

    return bits;
}


static double
double_of(uint64_t bits)
{
    double  value;

    memcpy(&value, &bits, sizeof(value));

    return value;
}


static void
check_double(const char *text)
{
    double                 want, got;
    helix_number_result_t  rc;

    want = strtod(text, NULL);
    got = 12345;
    rc = helix_number_double(text, strlen(text), &got);

    if (isinf(want)) {
        if (rc != HELIX_NUMBER_RANGE) {
            fail_msg("%s: not out of range", text);
        }

        return;
    }

    if (rc != HELIX_NUMBER_OK || bits_of(got) != bits_of(want)) {
        fail_msg("%s: %d, %a instead of %a", text, (int) rc, got, want);
    }
}


static void
test_u64(void **state)
{
    size_t    i;
    uint64_t  v;

    static const struct {
        const char             *text;
        helix_number_result_t   rc;
        uint64_t                value;
    } cases[] = {
        { "0", HELIX_NUMBER_OK, 0 },
        { "7", HELIX_NUMBER_OK, 7 },
        { "10", HELIX_NUMBER_OK, 10 },
        { "9007199254740993", HELIX_NUMBER_OK, UINT64_C(9007199254740993) },
        { "9223372036854775808", HELIX_NUMBER_OK, UINT64_C(1) << 63 },
        { "18446744073709551609", HELIX_NUMBER_OK, UINT64_MAX - 6 },
        { "18446744073709551615", HELIX_NUMBER_OK, UINT64_MAX },
        { "18446744073709551616", HELIX_NUMBER_RANGE, 0 },
        { "18446744073709551620", HELIX_NUMBER_RANGE, 0 },
        { "99999999999999999999", HELIX_NUMBER_RANGE, 0 },
        { "184467440737095516150", HELIX_NUMBER_RANGE, 0 },
        { "99999999999999999999x", HELIX_NUMBER_SYNTAX, 0 },
        { "-1", HELIX_NUMBER_SYNTAX, 0 },
        { "-0", HELIX_NUMBER_SYNTAX, 0 },
        { "+1", HELIX_NUMBER_SYNTAX, 0 },
        { "01", HELIX_NUMBER_SYNTAX, 0 },
        { "00", HELIX_NUMBER_SYNTAX, 0 },
        { "1.0", HELIX_NUMBER_SYNTAX, 0 },
        { "1e3", HELIX_NUMBER_SYNTAX, 0 },
        { "0x1", HELIX_NUMBER_SYNTAX, 0 },
        { " 1", HELIX_NUMBER_SYNTAX, 0 },
        { "1 ", HELIX_NUMBER_SYNTAX, 0 },
        { "", HELIX_NUMBER_SYNTAX, 0 },
        { "\xd9\xa1", HELIX_NUMBER_SYNTAX, 0 }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        v = 4711;
        assert_int_equal(helix_number_u64(cases[i].text,
                                          strlen(cases[i].text), &v),
                         cases[i].rc);
        assert_true(v == (cases[i].rc == HELIX_NUMBER_OK ? cases[i].value
                                                         : 4711));
    }

    assert_int_equal(helix_number_u64("1\0", 2, &v), HELIX_NUMBER_SYNTAX);
    assert_int_equal(helix_number_u64("123", 2, &v), HELIX_NUMBER_OK);
    assert_int_equal(v, 12);
}


static void
test_syntax(void **state)
{
    size_t  i;
    double  v;

    static const char  *bad[] = {
        "", "-", "+1", ".5", "1.", "-.5", "1.e3", "1e", "1e+", "1e-", "01",
        "-01", "00.5", "1 ", " 1", "0x1p3", "0x10", "NaN", "nan", "Infinity",
        "-Infinity", "inf", "1e5.0", "1,5", "1_000", "--1", "1e++5", "1f",
        "1.2.3", "e5", "-e5", "1d3", "1e 5"
    };

    (void) state;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        v = 4711;

        if (helix_number_double(bad[i], strlen(bad[i]), &v)
            != HELIX_NUMBER_SYNTAX)
        {
            fail_msg("\"%s\" was accepted", bad[i]);
        }

        assert_true(v == 4711);
    }

    assert_int_equal(helix_number_double("1\0", 2, &v), HELIX_NUMBER_SYNTAX);
}


static void
test_length(void **state)
{
    char      text[HELIX_NUMBER_LEN_MAX + 2];
    double    v;
    uint64_t  u;

    (void) state;

    memset(text, '9', sizeof(text));

    assert_int_equal(helix_number_double(text, HELIX_NUMBER_LEN_MAX, &v),
                     HELIX_NUMBER_OK);
    assert_true(v == 1e64);
    assert_int_equal(helix_number_double(text, HELIX_NUMBER_LEN_MAX + 1, &v),
                     HELIX_NUMBER_SYNTAX);
    assert_int_equal(helix_number_u64(text, HELIX_NUMBER_LEN_MAX, &u),
                     HELIX_NUMBER_RANGE);
    assert_int_equal(helix_number_u64(text, HELIX_NUMBER_LEN_MAX + 1, &u),
                     HELIX_NUMBER_SYNTAX);
}


static void
test_range(void **state)
{
    size_t  i;
    double  v;

    static const char  *over[] = {
        "1e400", "-1e400", "1e309", "1.7976931348623159e308",
        "179769313486231580793728971405303415079934132710037826936174e249",
        "1e99999999999999", "0.1e99999999999", "1e2147483648",
        "0.0000000000000000000000000000000000001e9999"
    };

    static const char  *zero[] = {
        "0", "0.0", "0e999999", "0e99999999999999999", "0.000e-5", "1e-400",
        "1e-99999999999", "2.4703282292062327e-324", "0e-2147483649",
        "99999999999999999999999999999999999999e-99999999999999"
    };

    (void) state;

    for (i = 0; i < sizeof(over) / sizeof(over[0]); i++) {
        v = 4711;
        assert_int_equal(helix_number_double(over[i], strlen(over[i]), &v),
                         HELIX_NUMBER_RANGE);
        assert_true(v == 4711);
    }

    for (i = 0; i < sizeof(zero) / sizeof(zero[0]); i++) {
        assert_int_equal(helix_number_double(zero[i], strlen(zero[i]), &v),
                         HELIX_NUMBER_OK);
        assert_true(bits_of(v) == 0);
    }

    assert_int_equal(helix_number_double("-0", 2, &v), HELIX_NUMBER_OK);
    assert_true(v == 0 && signbit(v));
    assert_int_equal(helix_number_double("-1e-999", 7, &v), HELIX_NUMBER_OK);
    assert_true(v == 0 && signbit(v));
}


static void
test_hard(void **state)
{
    size_t  i;

    static const char  *hard[] = {
        "9007199254740992", "9007199254740993", "9007199254740995",
        "9007199254740993.00000000000000000000000000000000000001",
        "9007199254740992.99999999999999999999999999999999999999",
        "18014398509481990", "1e22", "1e23", "8.5e22", "9007199254740992e22",
        "123456789012345678901234567890", "1.7976931348623157e308",
        "1.7976931348623158e308", "1.797693134862315807e308",
        "179769313486231580793728971405303415079934132710037826936173e249",
        "17976931348623157e292", "2.2250738585072014e-308",
        "2.2250738585072011e-308", "2.2250738585072012e-308",
        "2.225073858507201136057409796709131975934819546351645648e-308",
        "4.9406564584124654e-324", "2.4703282292062328e-324",
        "2.47032822920623272088284396434110686182e-324", "7.4109846876e-324",
        "2.470328229206232720882843964341106861825299013071623e-324",
        "2.470328229206232720882843964341106861825299013071624e-324",
        "6.8985865317742005e-310", "8.98846567431158e307", "5e-324",
        "89255e-22", "104110013277974872254e-225", "3.5e-46",
        "6929495644600919.5", "6929495644600920.5", "3.14159265358979323846",
        "1.00000000000000011102230246251565404236316680908203125",
        "1.00000000000000011102230246251565404236316680908203124",
        "1.00000000000000011102230246251565404236316680908203126",
        "1.00000000000000033306690738754696212708950042724609375",
        "0.500000000000000166533453693773481063544750213623046875",
        "0.30000000000000004", "5708990770823839207320493820740630171355e-1",
        "1448997445238699", "0.000000000000000000000000000000000000001",
        "100000000000000000000000000000000000000000000000000000000000",
        "1000000000000000000000000000000000000000000000000000000000e-50",
        "18446744073709551615", "18446744073709551616",
        "9223372036854775807", "9223372036854776833", "9223372036854776832",
        "1e-7", "1e-22", "1e-23", "1E5", "1e+5", "1e05", "1e-0005", "0.1e1"
    };

    (void) state;

    for (i = 0; i < sizeof(hard) / sizeof(hard[0]); i++) {
        check_double(hard[i]);
    }
}


/* Digits, a point and an exponent anywhere, up to the longest. */

static size_t
random_text(char *text)
{
    size_t  i, k, n, point;

    n = 1 + random_bits() % ((random_bits() % 4) ? 20 : 56);
    point = random_bits() % (n + 3);
    i = 0;

    if (random_bits() % 2) {
        text[i++] = '-';
    }

    if (point == 0) {
        text[i++] = '0';
        text[i++] = '.';
    }

    text[i++] = (char) ('1' + random_bits() % 9);

    for (k = 1; k < n; k++) {
        if (k == point) {
            text[i++] = '.';
        }

        text[i++] = (char) ('0' + random_bits() % 10);
    }

    return i;
}


static void
test_random_texts(void **state)
{
    int     i, range;
    char    text[80];
    size_t  n;

    (void) state;

    for (i = 0; i < NRANDOM; i++) {
        n = random_text(text);
        text[n] = '\0';

        if (i % 8) {
            range = (i % 2) ? 60 : 700;
            (void) snprintf(text + n, sizeof(text) - n, "e%d",
                            (int) (random_bits() % (unsigned) range)
                            - range / 2 - (i % 3 == 0 ? 10 : 0));
        }

        check_double(text);
    }
}


/* Half way between two doubles, exactly, below and above it. */

static void
test_half_way(void **state)
{
    int       i, last;
    char      text[96];
    uint64_t  m;

    (void) state;

    for (i = 0; i < 200000; i++) {
        m = (random_bits() >> 11) | (UINT64_C(1) << 53) | 1;
        m &= (UINT64_C(1) << 54) - 1;

        /* the odd 54 bit integer itself is a tie in 53 bits */

        (void) snprintf(text, sizeof(text), "%llu.00000000000000",
                        (unsigned long long) m);
        check_double(text);

        last = (int) strlen(text) - 1;
        text[last] = '1';
        check_double(text);

        (void) snprintf(text, sizeof(text), "%llu.99999999999999",
                        (unsigned long long) m - 1);
        check_double(text);
    }
}


static void
test_random_doubles(void **state)
{
    int     i;
    char    text[64];
    double  v;

    (void) state;

    for (i = 0; i < 300000; i++) {
        v = double_of(random_bits() >> ((i % 4 == 0) ? 12 : 0));

        if (!isfinite(v)) {
            continue;
        }

        (void) snprintf(text, sizeof(text), "%.*e", 15 + i % 30, v);
        check_double(text);
    }
}


static void
check_print(double value, const char *want)
{
    char    text[32];
    size_t  n;

    n = helix_number_print(value, text);

    if (n != strlen(want) || memcmp(text, want, n) != 0) {
        fail_msg("%a: \"%.*s\" instead of \"%s\"", value, (int) n, text, want);
    }
}


static void
test_print(void **state)
{
    (void) state;

    check_print(0, "0");
    check_print(-0.0, "-0");
    check_print(5, "5");
    check_print(-1, "-1");
    check_print(100, "100");
    check_print(0.1, "0.1");
    check_print(0.3, "0.3");
    check_print(0.1 + 0.2, "0.30000000000000004");
    check_print(1.204, "1.204");
    check_print(-0.044513253216794044, "-0.044513253216794044");
    check_print(123456789012345680.0, "123456789012345680");
    check_print(9007199254740993.0, "9007199254740992");
    check_print(1e20, "100000000000000000000");
    check_print(1e21, "1e+21");
    check_print(1e23, "1e+23");
    check_print(1e30, "1e+30");
    check_print(1.5e300, "1.5e+300");
    check_print(1e-6, "0.000001");
    check_print(1e-7, "1e-7");
    check_print(1.25e-9, "1.25e-9");
    check_print(DBL_MAX, "1.7976931348623157e+308");
    check_print(DBL_MIN, "2.2250738585072014e-308");
    check_print(-5e-324, "-5e-324");
    check_print(0x1p-44, "5.684341886080802e-14");
    check_print(7.678447687145631e-239, "7.678447687145631e-239");
    check_print(6.150157786156811e+259, "6.150157786156811e+259");
    check_print(0x1p-1022 - 0x1p-1074, "2.225073858507201e-308");
    check_print((double) NAN, "null");
    check_print((double) INFINITY, "null");
    check_print(-(double) INFINITY, "null");
}


/* Reads back, and no text with a digit less does. */

static void
check_shortest(double v)
{
    int     digits;
    char    text[33], shorter[40], *p;
    size_t  n;
    double  back;

    n = helix_number_print(v, text);
    assert_true(n < sizeof(text));
    text[n] = '\0';

    assert_int_equal(helix_number_double(text, n, &back), HELIX_NUMBER_OK);
    assert_true(bits_of(back) == bits_of(v));
    assert_true(bits_of(strtod(text, NULL)) == bits_of(v));

    digits = 0;

    for (p = text; *p && *p != 'e'; p++) {
        digits += (*p >= '0' && *p <= '9' && (digits || *p != '0'));
    }

    if (strpbrk(text, ".e") == NULL || digits < 2) {
        return;
    }

    (void) snprintf(shorter, sizeof(shorter), "%.*e", digits - 2, v);

    if (strtod(shorter, NULL) == v) {
        fail_msg("%s: %s is shorter", text, shorter);
    }
}


static void
test_print_shortest(void **state)
{
    int     i;
    double  v;

    (void) state;

    for (i = -1074; i < 1024; i++) {
        check_shortest(ldexp(1, i));
        check_shortest(-ldexp(3, i - 1));
    }

    for (i = 0; i < 100000; i++) {
        v = double_of(random_bits() >> ((i % 4 == 0) ? 12 : 0));

        if (isfinite(v)) {
            check_shortest(v);
        }

        check_shortest((double) (random_bits() >> 30) / 1e6);
        check_shortest((double) (random_bits() >> 11) / 0x1p53);
    }
}


int
main(void)
{
    static const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_u64),
        cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_range),
        cmocka_unit_test(test_hard),
        cmocka_unit_test(test_random_texts),
        cmocka_unit_test(test_half_way),
        cmocka_unit_test(test_random_doubles),
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_print_shortest)
    };

    seed = UINT64_C(0x2545f4914f6cdd1d);

    return cmocka_run_group_tests(tests, NULL, NULL);
}
