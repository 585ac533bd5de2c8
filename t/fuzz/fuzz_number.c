
/*
 * Numbers against libc's correctly rounded strtod() and strtoull(), in the C
 * locale; the text is read as it is, and its first eight bytes as a double
 * are printed.
 */

#include <errno.h>
#include <math.h>

#include "fuzz.h"
#include "helix_json.h"


static int
digit(char c)
{
    return c >= '0' && c <= '9';
}


/* -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)? */

static int
is_number(const char *p, size_t len, int *is_natural)
{
    const char  *end, *first;

    end = p + len;
    *is_natural = 1;

    if (p < end && *p == '-') {
        *is_natural = 0;
        p++;
    }

    if (p == end || !digit(*p)) {
        return 0;
    }

    first = p;

    while (p < end && digit(*p)) {
        p++;
    }

    if (*first == '0' && p != first + 1) {
        return 0;
    }

    if (p < end && *p == '.') {
        *is_natural = 0;
        first = ++p;

        while (p < end && digit(*p)) {
            p++;
        }

        if (p == first) {
            return 0;
        }
    }

    if (p < end && (*p == 'e' || *p == 'E')) {
        *is_natural = 0;
        p++;

        if (p < end && (*p == '+' || *p == '-')) {
            p++;
        }

        first = p;

        while (p < end && digit(*p)) {
            p++;
        }

        if (p == first) {
            return 0;
        }
    }

    return p == end;
}


static int
same(double a, double b)
{
    return memcmp(&a, &b, sizeof(double)) == 0;
}


/* The significant digits of a text. */

static int
significant(const char *p, size_t len)
{
    int     n, last;
    size_t  i;

    n = 0;
    last = 0;

    for (i = 0; i < len && p[i] != 'e'; i++) {
        if (digit(p[i]) && (n || p[i] != '0')) {
            n++;

            if (p[i] != '0') {
                last = n;
            }
        }
    }

    return last;
}


static void
check_print(double value)
{
    int                     n, natural;
    char                    text[32], libc[40], *block;
    size_t                  len;
    double                  again;
    helix_number_result_t   rc;

    memset(text, '#', sizeof(text));
    len = helix_number_print(value, text);
    FUZZ_ASSERT(len > 0 && len < sizeof(text));
    FUZZ_ASSERT(text[sizeof(text) - 1] == '#');

    if (!isfinite(value)) {
        FUZZ_ASSERT(len == 4 && memcmp(text, "null", 4) == 0);
        return;
    }

    block = fuzz_block(text, len);
    FUZZ_ASSERT(is_number(block, len, &natural));

    rc = helix_number_double(block, len, &again);
    FUZZ_ASSERT(rc == HELIX_NUMBER_OK);
    FUZZ_ASSERT(same(value, again));

    /* libc's shortest that reads back */

    for (n = 1; n < 17; n++) {
        (void) snprintf(libc, sizeof(libc), "%.*e", n - 1, value);

        if (same(strtod(libc, NULL), value)) {
            break;
        }
    }

    FUZZ_ASSERT(significant(block, len) <= n);

    free(block);
}


static void
check_u64(const char *text, const char *string, size_t len, int ok)
{
    uint64_t                value, expected;
    helix_number_result_t   rc;

    value = 12345;
    rc = helix_number_u64(text, len, &value);

    if (!ok) {
        FUZZ_ASSERT(rc == HELIX_NUMBER_SYNTAX);
        FUZZ_ASSERT(value == 12345);
        return;
    }

    errno = 0;
    expected = strtoull(string, NULL, 10);

    if (errno == ERANGE) {
        FUZZ_ASSERT(rc == HELIX_NUMBER_RANGE && value == 12345);
        return;
    }

    FUZZ_ASSERT(rc == HELIX_NUMBER_OK && value == expected);
}


static void
check_double(const char *text, const char *string, size_t len, int ok)
{
    double                  value, expected;
    helix_number_result_t   rc;

    value = 0.5;
    rc = helix_number_double(text, len, &value);

    if (!ok) {
        FUZZ_ASSERT(rc == HELIX_NUMBER_SYNTAX);
        FUZZ_ASSERT(same(value, 0.5));
        return;
    }

    expected = strtod(string, NULL);

    if (isinf(expected)) {
        FUZZ_ASSERT(rc == HELIX_NUMBER_RANGE && same(value, 0.5));
        return;
    }

    FUZZ_ASSERT(rc == HELIX_NUMBER_OK && same(value, expected));

    check_print(value);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int                  ok, natural;
    char                *text, *string;
    double               value;
    helix_json_t         json;
    helix_json_token_t   token;

    if (size >= sizeof(double)) {
        memcpy(&value, data, sizeof(double));
        check_print(value);
    }

    text = fuzz_block(data, size);

    string = malloc(size + 1);
    FUZZ_ASSERT(string != NULL);
    memcpy(string, text, size);
    string[size] = '\0';

    ok = is_number(text, size, &natural) && size <= HELIX_NUMBER_LEN_MAX;

    check_u64(text, string, size, ok && natural);
    check_double(text, string, size, ok);

    /* the reader of documents knows the same numbers */

    helix_json_init(&json, text, size, 1);

    if (ok) {
        FUZZ_ASSERT(helix_json_next(&json, &token) == HELIX_JSON_NUMBER);
        FUZZ_ASSERT(token.start == text && token.len == size);
        FUZZ_ASSERT(helix_json_next(&json, &token) == HELIX_JSON_END);

    } else if (helix_json_next(&json, &token) == HELIX_JSON_NUMBER
               && token.len == size)
    {
        FUZZ_ASSERT(0);
    }

    free(string);
    free(text);

    return 0;
}
