
/*
 * The safetensors reader: what it accepts, the sentence for each thing that it
 * refuses, and that no value of 16 bits is converted wrongly.
 */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "helix_kind.h"
#include "helix_safetensors.h"


#define countof(a)  (sizeof(a) / sizeof((a)[0]))

#define T(dtype, shape, offsets)                                              \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape                               \
    ",\"data_offsets\":" offsets "}"


typedef struct {
    const char  *json;
    uint64_t     size;
    const char  *error;
} refused_t;


static helix_safetensors_t       st;
static helix_safetensors_meta_t  meta[2];
static char                      error[HELIX_KIND_ERROR_MAX];


/* From a block of just its size. */

static int
parse(const char *json, size_t len, uint64_t size)
{
    int    rc;
    char  *copy;

    copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, json, len);

    memset(&st, 0x5a, sizeof(st));
    memset(error, 0, sizeof(error));
    meta[0].name = "activation";
    meta[1].name = "output";

    rc = helix_safetensors_parse(&st, copy, len, size, meta, 2, error);
    free(copy);

    return rc;
}


static void
test_accepted(void **unused)
{
    const char  *json;

    (void) unused;

    json = "{\"__metadata__\":{\"format\":\"pt\","
           "\"activation\":\"t\\u0061nh\"},"
           "\"b\":" T("BF16", "[2,3]", "[8,20]") ","
           "\"\\u0061\":{\"data_offsets\":[0,8],\"dtype\":\"F32\","
           "\"shape\":[2]},"
           "\"scalar\":" T("F16", "[]", "[20,22]") "}   ";

    assert_int_equal(parse(json, strlen(json), 22), 0);
    assert_int_equal(st.ntensors, 3);

    assert_string_equal(st.tensors[0].name, "a");
    assert_int_equal(st.tensors[0].type, HELIX_SAFETENSORS_F32);
    assert_int_equal(st.tensors[0].ndims, 1);
    assert_int_equal(st.tensors[0].dims[0], 2);
    assert_int_equal(st.tensors[0].begin, 0);
    assert_int_equal(st.tensors[0].end, 8);

    assert_string_equal(st.tensors[1].name, "b");
    assert_int_equal(st.tensors[1].type, HELIX_SAFETENSORS_BF16);
    assert_int_equal(st.tensors[1].ndims, 2);
    assert_int_equal(st.tensors[1].dims[1], 3);

    assert_string_equal(st.tensors[2].name, "scalar");
    assert_int_equal(st.tensors[2].ndims, 0);

    assert_int_equal(meta[0].given, 1);
    assert_string_equal(meta[0].value, "tanh");
    assert_int_equal(meta[1].given, 0);

    assert_int_equal(parse("{}", 2, 0), 0);
    assert_int_equal(st.ntensors, 0);
}


static const refused_t  refused[] = {
    { "", 0, "header: unexpected end at byte 0" },
    { "[]", 0, "expected an object before byte 1" },
    { "{\"a\"", 8, "unexpected end" },
    { "{} {}", 0, "header: " },
    { "{\"\xff\":1}", 0, "invalid UTF-8" },
    { "{\"a\":1}", 8, "expected an object" },
    { "{\"\":" T("F32", "[2]", "[0,8]") "}", 8, "name is empty" },
    { "{\"a\\u0000b\":" T("F32", "[2]", "[0,8]") "}", 8, "printable" },
    { "{\"a\x7f\":" T("F32", "[2]", "[0,8]") "}", 8, "printable" },
    { "{\"\xc3\xa9\":" T("F32", "[2]", "[0,8]") "}", 8, "printable" },
    { "{\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\":"
      T("F32", "[2]", "[0,8]") "}", 8, "name is too long" },
    { "{\"a\":" T("F32", "[2]", "[0,8]") ",\"a\":"
      T("F32", "[2]", "[8,16]") "}", 16, "has tensor \"a\" twice" },
    { "{\"a\":" T("F32", "[2]", "[0,8]") ",\"\\u0061\":"
      T("F32", "[2]", "[8,16]") "}", 16, "has tensor \"a\" twice" },
    { "{\"a\":" T("F64", "[1]", "[0,8]") "}", 8,
      "tensor \"a\" is not of F32, F16 or BF16" },
    { "{\"a\":" T("f32", "[2]", "[0,8]") "}", 8, "is not of F32" },
    { "{\"a\":{\"dtype\":32}}", 8, "expected a string" },
    { "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", 8, "member twice" },
    { "{\"a\":{\"shape\":[2],\"shape\":[2]}}", 8, "member twice" },
    { "{\"a\":{\"data_offsets\":[0,8],\"data_offsets\":[0,8]}}", 8,
      "member twice" },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "lacks its" },
    { "{\"a\":{\"device\":\"cpu\"}}", 8, "unknown member" },
    { "{\"a\":" T("F32", "[2.0]", "[0,8]") "}", 8, "natural numbers" },
    { "{\"a\":" T("F32", "[-2]", "[0,8]") "}", 8, "natural numbers" },
    { "{\"a\":" T("F32", "2", "[0,8]") "}", 8, "expected an array" },
    { "{\"a\":" T("F32", "[[2]]", "[0,8]") "}", 8, "natural numbers" },
    { "{\"a\":" T("F32", "[1,1,1,1,1,1,1,1,2]", "[0,8]") "}", 8,
      "its shape is not at most 8" },
    { "{\"a\":" T("F32", "[18446744073709551616]", "[0,8]") "}", 8,
      "natural numbers" },
    { "{\"a\":" T("F32", "[4294967296,4294967296]", "[0,0]") "}", 8,
      "too large a shape" },
    { "{\"a\":" T("F32", "[4611686018427387905]", "[0,4]") "}", 4,
      "too large a shape" },
    { "{\"a\":" T("F32", "[2,0]", "[0,0]") "}", 0, "is empty" },
    { "{\"a\":" T("F32", "[3]", "[0,8]") "}", 8,
      "its shape is of 12 bytes, its data of 8" },
    { "{\"a\":" T("F32", "[2]", "[0]") "}", 8, "not two data_offsets" },
    { "{\"a\":" T("F32", "[2]", "[0,8,8]") "}", 8, "at most 2" },
    { "{\"a\":" T("F32", "[2]", "[8,0]") "}", 8, "not inside the file" },
    { "{\"a\":" T("F32", "[2]", "[0,8]") "}", 7, "not inside the file" },
    { "{\"a\":" T("F32", "[2]",
                  "[18446744073709551608,18446744073709551615]") "}", 8,
      "not inside the file" },
    { "{\"a\":" T("F32", "[2]", "[0,8]") ",\"b\":"
      T("F32", "[2]", "[4,12]") "}", 12, "tensor \"b\" overlaps another" },
    { "{\"a\":" T("F32", "[2]", "[0,8]") ",\"b\":"
      T("F32", "[2]", "[0,8]") "}", 8, "overlaps another" },
    { "{\"a\":" T("F32", "[2]", "[4,12]") "}", 12, "comes after a gap" },
    { "{\"a\":" T("F32", "[2]", "[0,8]") "}", 12, "beyond its last" },
    { "{}", 1, "beyond its last" },
    { "{\"__metadata__\":{},\"__metadata__\":{}}", 0, "twice" },
    { "{\"__metadata__\":{\"n\":1}}", 0, "expected a string" },
    { "{\"__metadata__\":[]}", 0, "expected an object" },
    { "{\"__metadata__\":{\"output\":\"a\",\"output\":\"a\"}}", 0,
      "metadata has \"output\" twice" },
    { "{\"__metadata__\":{\"output\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}}",
      0, "too long" }
};


static void
test_refused(void **unused)
{
    size_t  i;

    (void) unused;

    for (i = 0; i < countof(refused); i++) {
        assert_int_equal(parse(refused[i].json, strlen(refused[i].json),
                               refused[i].size), -1);

        if (strstr(error, refused[i].error) == NULL) {
            fail_msg("%s: \"%s\", not \"%s\"", refused[i].json, error,
                     refused[i].error);
        }
    }
}


/* Each beginning of a good header is refused. */

static void
test_truncated(void **unused)
{
    size_t       n;
    const char  *json;

    (void) unused;

    json = "{\"__metadata__\":{\"output\":\"softmax\"},"
           "\"a\":" T("F32", "[2]", "[0,8]") "}";

    for (n = 0; n < strlen(json); n++) {
        assert_int_equal(parse(json, n, 8), -1);
        assert_true(error[0] != '\0');
    }

    assert_int_equal(parse(json, n, 8), 0);
}


static void
test_many(void **unused)
{
    char      *json, *p;
    size_t     size;
    uint32_t   i, n;

    (void) unused;

    size = 1 << 20;
    json = malloc(size);
    assert_non_null(json);

    for (n = 256; n <= 257; n++) {
        p = json;
        *p++ = '{';

        for (i = 0; i < n; i++) {
            p += snprintf(p, 100, "%s\"%u\":"
                          "{\"dtype\":\"F32\",\"shape\":[1],"
                          "\"data_offsets\":[%u,%u]}", i ? "," : "", i,
                          4 * (n - 1 - i), 4 * (n - i));
        }

        *p++ = '}';

        assert_int_equal(parse(json, (size_t) (p - json), 4 * n),
                         n == 256 ? 0 : -1);
    }

    assert_non_null(strstr(error, "more than 256 tensors"));

    /* metadata without end */

    p = json;
    p += snprintf(p, 100, "{\"__metadata__\":{");

    while ((size_t) (p - json) < size - 100) {
        p += snprintf(p, 100, "\"a\":\"b\",");
    }

    p += snprintf(p, 100, "\"c\":\"d\"}}");

    assert_int_equal(parse(json, (size_t) (p - json), 0), -1);
    assert_non_null(strstr(error, "header: "));

    free(json);
}


static size_t
header(uint64_t len, uint64_t file_size)
{
    uint32_t       i;
    unsigned char  start[8];

    for (i = 0; i < 8; i++) {
        start[i] = (unsigned char) (len >> (8 * i));
    }

    memset(error, 0, sizeof(error));

    return helix_safetensors_header(start, file_size, error);
}


static void
test_header(void **unused)
{
    (void) unused;

    assert_int_equal(header(2, 10), 2);
    assert_int_equal(header(16 << 20, (16 << 20) + 8), 16 << 20);

    assert_int_equal(header(2, 7), 0);
    assert_non_null(strstr(error, "too short"));
    assert_int_equal(header(0, 8), 0);
    assert_non_null(strstr(error, "truncated"));
    assert_int_equal(header(3, 10), 0);
    assert_non_null(strstr(error, "truncated"));
    assert_int_equal(header(UINT64_MAX, 100), 0);
    assert_non_null(strstr(error, "truncated"));
    assert_int_equal(header((16 << 20) + 1, 1 << 30), 0);
    assert_non_null(strstr(error, "more than 16777216"));
}


static uint32_t
bits_of(float x)
{
    uint32_t  bits;

    memcpy(&bits, &x, sizeof(bits));

    return bits;
}


static float
convert(helix_safetensors_type_t type, uint32_t bits)
{
    float          x;
    unsigned char  raw[2];

    raw[0] = (unsigned char) bits;
    raw[1] = (unsigned char) (bits >> 8);

    helix_safetensors_floats(type, raw, &x, 1);

    return x;
}


static void
test_halves(void **unused)
{
    float     x;
    double    want;
    uint32_t  i, exponent, fraction;

    (void) unused;

    for (i = 0; i < 65536; i++) {
        x = convert(HELIX_SAFETENSORS_F16, i);
        exponent = i >> 10 & 31;
        fraction = i & 1023;

        if (exponent == 31) {
            assert_true(fraction ? isnan(x) : isinf(x));
            assert_int_equal(bits_of(x) >> 31, i >> 15);
            continue;
        }

        want = exponent ? ldexp(1024 + fraction, (int) exponent - 25)
                        : ldexp(fraction, -24);
        want = (i >> 15) ? -want : want;

        assert_true((double) x == want);
        assert_int_equal(bits_of(x) >> 31, i >> 15);
    }

    for (i = 0; i < 65536; i++) {
        assert_true(bits_of(convert(HELIX_SAFETENSORS_BF16, i)) == i << 16);
    }
}


static void
test_floats(void **unused)
{
    float                 x[3];
    const unsigned char   raw[] = {
        0, 0, 0x80, 0x3f, 0xdb, 0x0f, 0x49, 0xc0, 1, 0, 0, 0
    };

    (void) unused;

    helix_safetensors_floats(HELIX_SAFETENSORS_F32, raw, x, 3);

    assert_true(x[0] == 1.0f);
    assert_true(x[1] == -3.14159274101257324f);
    assert_true(x[2] == 0x1p-149f);

    assert_int_equal(helix_safetensors_size(HELIX_SAFETENSORS_F32), 4);
    assert_int_equal(helix_safetensors_size(HELIX_SAFETENSORS_F16), 2);
    assert_int_equal(helix_safetensors_size(HELIX_SAFETENSORS_BF16), 2);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_halves),
        cmocka_unit_test(test_floats)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
