
/*
 * Decimal text to binary numbers and back, exactly.
 *
 * Reading: a number of at most 15 to 19 digits with a small exponent is one
 * correctly rounded operation on exact operands (Clinger 1990).  Any other is
 * a quotient of two integers of some thousand bits at most, of which 63 bits
 * and "is there a rest" are computed (Knuth, TAOCP 4.3.1, algorithm D).
 *
 * Printing: 15 digits are unique (DBL_DIG), so a text that short is found by
 * scaling; otherwise libc prints 16 or 17 digits, and the reader above tells
 * which do.
 */

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "helix_json.h"


#define HELIX_NUMBER_LIMBS      36    /* 10^309 and 5^387, and two more */
#define HELIX_NUMBER_EXP_MAX    99999
#define HELIX_NUMBER_W_DIGITS   19    /* digits that fit uint64_t */
#define HELIX_NUMBER_POW10_MAX  22    /* the last power that double has */


typedef struct {
    const char   *digits;     /* the first that is not 0 */
    const char   *end;        /* of the digits, a point among them */
    uint64_t      w;          /* the first HELIX_NUMBER_W_DIGITS of them */
    int           ndigits;
    int           exp10;      /* value: all digits as an integer 10^exp10 */
    bool          negative;
} helix_number_text_t;


typedef struct {
    uint32_t      n;
    uint32_t      limb[HELIX_NUMBER_LIMBS];   /* low to high */
} helix_number_big_t;


typedef struct {
    char          digits[20];
    int           n;
    int           point;      /* value: 0.DIGITS 10^point */
} helix_number_decimal_t;


static const double  helix_number_pow10[HELIX_NUMBER_POW10_MAX + 1] = {
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13,
    1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22
};


static const uint32_t  helix_number_pow5[14] = {
    1, 5, 25, 125, 625, 3125, 15625, 78125, 390625, 1953125, 9765625,
    48828125, 244140625, 1220703125
};


static inline bool
helix_number_digit(char c)
{
    return c >= '0' && c <= '9';
}


helix_number_result_t
helix_number_u64(const char *text, size_t len, uint64_t *value)
{
    bool      range;
    size_t    i;
    uint64_t  v, digit;

    if (len == 0 || len > HELIX_NUMBER_LEN_MAX
        || (text[0] == '0' && len > 1))
    {
        return HELIX_NUMBER_SYNTAX;
    }

    v = 0;
    range = false;

    for (i = 0; i < len; i++) {
        if (!helix_number_digit(text[i])) {
            return HELIX_NUMBER_SYNTAX;
        }

        digit = (uint64_t) (text[i] - '0');

        if (v > UINT64_MAX / 10 || v * 10 > UINT64_MAX - digit) {
            range = true;
            continue;
        }

        v = v * 10 + digit;
    }

    if (range) {
        return HELIX_NUMBER_RANGE;
    }

    *value = v;

    return HELIX_NUMBER_OK;
}


static const char *
helix_number_digits(helix_number_text_t *t, const char *p, const char *end)
{
    for ( /* void */ ; p < end && helix_number_digit(*p); p++) {

        if (t->ndigits == 0) {
            if (*p == '0') {
                continue;
            }

            t->digits = p;
        }

        if (t->ndigits < HELIX_NUMBER_W_DIGITS) {
            t->w = t->w * 10 + (uint64_t) (*p - '0');
        }

        t->ndigits++;
    }

    return p;
}


static const char *
helix_number_exponent(helix_number_text_t *t, const char *p, const char *end)
{
    int          exp;
    bool         negative;
    const char  *first;

    exp = 0;
    negative = false;

    if (p < end && (*p == '+' || *p == '-')) {
        negative = (*p == '-');
        p++;
    }

    for (first = p; p < end && helix_number_digit(*p); p++) {
        if (exp < HELIX_NUMBER_EXP_MAX) {
            exp = exp * 10 + (*p - '0');
        }
    }

    t->exp10 += negative ? -exp : exp;

    return (p == first) ? NULL : p;
}


static bool
helix_number_parse(helix_number_text_t *t, const char *text, size_t len)
{
    const char  *p, *end, *first;

    memset(t, 0, sizeof(helix_number_text_t));

    if (len == 0 || len > HELIX_NUMBER_LEN_MAX) {
        return false;
    }

    p = text;
    end = text + len;

    if (*p == '-') {
        t->negative = true;
        p++;
    }

    first = p;
    p = helix_number_digits(t, p, end);

    if (p == first || (*first == '0' && p - first > 1)) {
        return false;
    }

    if (p < end && *p == '.') {
        first = p + 1;
        p = helix_number_digits(t, first, end);

        if (p == first) {
            return false;
        }

        t->exp10 = -(int) (p - first);
    }

    t->end = p;

    if (p < end && (*p == 'e' || *p == 'E')) {
        p = helix_number_exponent(t, p + 1, end);
    }

    return p == end;
}


static void
helix_number_mul(helix_number_big_t *b, uint32_t factor, uint32_t add)
{
    uint32_t  i;
    uint64_t  carry;

    carry = add;

    for (i = 0; i < b->n; i++) {
        carry += (uint64_t) b->limb[i] * factor;
        b->limb[i] = (uint32_t) carry;
        carry >>= 32;
    }

    if (carry) {
        b->limb[b->n++] = (uint32_t) carry;
    }
}


static void
helix_number_mul_pow5(helix_number_big_t *b, int exp)
{
    for ( /* void */ ; exp > 13; exp -= 13) {
        helix_number_mul(b, helix_number_pow5[13], 0);
    }

    helix_number_mul(b, helix_number_pow5[exp], 0);
}


static void
helix_number_load(helix_number_big_t *b, const helix_number_text_t *t)
{
    uint32_t     chunk, scale;
    const char  *p;

    b->n = 0;
    chunk = 0;
    scale = 1;

    for (p = t->digits; p < t->end; p++) {
        if (*p == '.') {
            continue;
        }

        chunk = chunk * 10 + (uint32_t) (*p - '0');
        scale *= 10;

        if (scale == 1000000000) {
            helix_number_mul(b, scale, chunk);
            chunk = 0;
            scale = 1;
        }
    }

    helix_number_mul(b, scale, chunk);
}


/* Shifts left until the number has that many bits; returns the distance. */

static int
helix_number_align(helix_number_big_t *b, uint32_t bits)
{
    uint32_t  i, n, words, shift, distance;
    uint64_t  pair;

    distance = bits - b->n * 32;
    distance += (uint32_t) __builtin_clz(b->limb[b->n - 1]);
    words = distance / 32;
    shift = distance % 32;
    n = (bits + 31) / 32;

    for (i = n - words; i > 0; i--) {
        pair = 0;

        if (i <= b->n) {
            pair = (uint64_t) b->limb[i - 1] << 32;
        }

        if (i > 1) {
            pair |= b->limb[i - 2];
        }

        b->limb[words + i - 1] = (uint32_t) (pair >> (32 - shift));
    }

    memset(b->limb, 0, words * sizeof(uint32_t));
    b->n = n;

    return (int) distance;
}


/* u -= q v, where u has one limb more; false: q was one too large, and the
   result is that of q - 1. */

static bool
helix_number_submul(uint32_t *u, const helix_number_big_t *v, uint64_t q)
{
    bool      fits;
    uint32_t  i;
    uint64_t  carry, diff;

    carry = 0;

    for (i = 0; i < v->n; i++) {
        carry += q * v->limb[i];
        diff = (UINT64_C(1) << 32) + u[i] - (carry & UINT32_MAX);
        u[i] = (uint32_t) diff;
        carry = (carry >> 32) + 1 - (diff >> 32);
    }

    fits = (carry <= u[v->n]);
    u[v->n] = 0;

    if (fits) {
        return true;
    }

    carry = 0;

    for (i = 0; i < v->n; i++) {
        carry += (uint64_t) u[i] + v->limb[i];
        u[i] = (uint32_t) carry;
        carry >>= 32;
    }

    return false;
}


/*
 * The quotient, two limbs.  v has at least two, its top bit set; u has two
 * more, its top bit clear.  u becomes the rest.
 */

static uint64_t
helix_number_divide(helix_number_big_t *u, const helix_number_big_t *v)
{
    uint32_t  j, n;
    uint64_t  pair, q, rest, quotient;

    n = v->n;
    quotient = 0;

    for (j = n + 1; j >= n; j--) {
        pair = ((uint64_t) u->limb[j] << 32) | u->limb[j - 1];
        q = pair / v->limb[n - 1];
        rest = pair % v->limb[n - 1];

        while (q > UINT32_MAX
               || q * v->limb[n - 2] > ((rest << 32) | u->limb[j - 2]))
        {
            q--;
            rest += v->limb[n - 1];

            if (rest > UINT32_MAX) {
                break;
            }
        }

        if (!helix_number_submul(&u->limb[j - n], v, q)) {
            q--;
        }

        quotient = (quotient << 32) | q;
    }

    return quotient;
}


/* The double next to (q + a bit, if inexact) 2^exp2, ties to even. */

static helix_number_result_t
helix_number_round(uint64_t q, int exp2, bool inexact, double *value)
{
    int       lead, drop;
    uint64_t  m, rest, half, bits;

    lead = __builtin_clzll(q);
    q <<= lead;
    exp2 += 63 - lead;

    if (exp2 > 1023) {
        return HELIX_NUMBER_RANGE;
    }

    if (exp2 < -1075) {
        *value = 0;
        return HELIX_NUMBER_OK;
    }

    drop = (exp2 >= -1022) ? 11 : 11 - 1022 - exp2;
    m = (drop == 64) ? 0 : q >> drop;
    rest = (drop == 64) ? q : q & ((UINT64_C(1) << drop) - 1);
    half = UINT64_C(1) << (drop - 1);

    if (rest > half || (rest == half && (inexact || (m & 1)))) {
        m++;
    }

    /* a carry out of m is a carry into the exponent, as it should be */

    bits = m;

    if (exp2 >= -1022) {
        bits += (uint64_t) (exp2 + 1022) << 52;
    }

    if (bits >= UINT64_C(0x7ff) << 52) {
        return HELIX_NUMBER_RANGE;
    }

    memcpy(value, &bits, sizeof(double));

    return HELIX_NUMBER_OK;
}


static helix_number_result_t
helix_number_exact(const helix_number_text_t *t, double *value)
{
    int                 exp2;
    bool                inexact;
    uint32_t            i, n;
    uint64_t            q;
    helix_number_big_t  u, v;

    /* 10^(ndigits + exp10 - 1) <= value < 10^(ndigits + exp10) */

    if (t->ndigits + t->exp10 > 309) {
        return HELIX_NUMBER_RANGE;
    }

    if (t->ndigits + t->exp10 < -323) {
        *value = 0;
        return HELIX_NUMBER_OK;
    }

    v.n = 1;
    v.limb[0] = 1;
    helix_number_load(&u, t);

    if (t->exp10 >= 0) {
        helix_number_mul_pow5(&u, t->exp10);

    } else {
        helix_number_mul_pow5(&v, -t->exp10);
    }

    n = (v.n < 2) ? 2 : v.n;

    if (n + 1 < u.n) {
        n = u.n - 1;
    }

    exp2 = t->exp10;
    exp2 += helix_number_align(&v, n * 32);
    exp2 -= helix_number_align(&u, n * 32 + 63);
    q = helix_number_divide(&u, &v);

    inexact = false;

    for (i = 0; i < n; i++) {
        inexact |= (u.limb[i] != 0);
    }

    return helix_number_round(q, exp2, inexact, value);
}


helix_number_result_t
helix_number_double(const char *text, size_t len, double *value)
{
    double                 v;
    helix_number_text_t    t;
    helix_number_result_t  rc;

    if (!helix_number_parse(&t, text, len)) {
        return HELIX_NUMBER_SYNTAX;
    }

    if (t.ndigits == 0) {
        v = 0;

    } else if (FLT_EVAL_METHOD == 0
               && t.w <= UINT64_C(1) << 53
               && t.ndigits <= HELIX_NUMBER_W_DIGITS
               && t.exp10 >= -HELIX_NUMBER_POW10_MAX
               && t.exp10 <= HELIX_NUMBER_POW10_MAX)
    {
        v = (double) t.w;

        if (t.exp10 < 0) {
            v /= helix_number_pow10[-t.exp10];

        } else {
            v *= helix_number_pow10[t.exp10];
        }

    } else {
        rc = helix_number_exact(&t, &v);
        if (rc != HELIX_NUMBER_OK) {
            return rc;
        }
    }

    *value = t.negative ? -v : v;

    return HELIX_NUMBER_OK;
}


static size_t
helix_number_format(const helix_number_decimal_t *d, char *dst)
{
    int    i;
    char  *p;

    p = dst;

    if (d->point > -6 && d->point <= 21) {
        i = (d->point > 0) ? 0 : d->point - 1;

        for ( /* void */ ; i < d->point || i < d->n; i++) {
            if (i == d->point) {
                *p++ = '.';
            }

            *p++ = (i >= 0 && i < d->n) ? d->digits[i] : '0';
        }

        return (size_t) (p - dst);
    }

    for (i = 0; i < d->n; i++) {
        if (i == 1) {
            *p++ = '.';
        }

        *p++ = d->digits[i];
    }

    return (size_t) (p - dst + snprintf(p, 6, "e%+d", d->point - 1));
}


/* The text of at most 15 digits, if there is one. */

static bool
helix_number_short(double value, helix_number_decimal_t *d)
{
    int       k, i, n;
    double    scaled;
    uint64_t  m, rest;

    for (k = 0; k <= HELIX_NUMBER_POW10_MAX; k++) {
        scaled = value * helix_number_pow10[k];

        if (scaled >= 1e15) {
            break;
        }

        m = (uint64_t) (scaled + 0.5);

        if ((double) m / helix_number_pow10[k] == value) {
            n = 1;

            for (rest = m; rest >= 10; rest /= 10) {
                n++;
            }

            for (i = n; i-- > 0; m /= 10) {
                d->digits[i] = (char) ('0' + m % 10);
            }

            d->n = n;
            d->point = n - k;

            return true;
        }
    }

    return false;
}


static void
helix_number_libc(double value, int digits, helix_number_decimal_t *d)
{
    int          exp;
    char         text[48];
    const char  *p;

    (void) snprintf(text, sizeof(text), "%.*e", digits - 1, value);

    d->n = 0;

    /* what is no digit is the locale's decimal point */

    for (p = text; *p != 'e'; p++) {
        if (helix_number_digit(*p) && d->n < digits) {
            d->digits[d->n++] = *p;
        }
    }

    exp = 0;

    for (p += 2; *p; p++) {
        exp = exp * 10 + (*p - '0');
    }

    p = strchr(text, 'e');
    d->point = ((p[1] == '-') ? -exp : exp) + 1;
}


static bool
helix_number_reads_back(const helix_number_decimal_t *d, double value)
{
    char    text[32];
    double  v;

    return helix_number_double(text, helix_number_format(d, text), &v)
               == HELIX_NUMBER_OK
           && v == value;
}


static void
helix_number_long(double value, helix_number_decimal_t *d)
{
    int  digits, exp;

    for (digits = (value < DBL_MIN) ? 1 : 15; digits < 17; digits++) {
        helix_number_libc(value, digits, d);

        if (helix_number_reads_back(d, value)) {
            break;
        }

        /* below a power of two doubles are twice as dense, so that the
           nearest text may be off while the one above is not; of the few
           such powers none has a 9 there */

        if (d->n == 16 && d->digits[15] < '9' && frexp(value, &exp) == 0.5) {
            d->digits[15]++;

            if (helix_number_reads_back(d, value)) {
                break;
            }
        }
    }

    if (digits == 17) {
        helix_number_libc(value, 17, d);
    }

    while (d->digits[d->n - 1] == '0') {
        d->n--;
    }
}


size_t
helix_number_print(double value, char *dst)
{
    char                    *p;
    helix_number_decimal_t   d;

    if (!isfinite(value)) {
        memcpy(dst, "null", sizeof("null") - 1);
        return sizeof("null") - 1;
    }

    p = dst;

    if (signbit(value)) {
        *p++ = '-';
        value = -value;
    }

    if ((value != 0 && value < 1e-7) || !helix_number_short(value, &d)) {
        helix_number_long(value, &d);
    }

    return (size_t) (p - dst) + helix_number_format(&d, p);
}
