
/*
 * The JSON reader and writer: what is accepted, what is refused and where,
 * spans of tokens, escapes, limits, and the writer at every size.
 */

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


#define MAX_TOKENS  1000


static const char  document[] =
    "{\"id\":18446744073709551615, \"kind\" : \"hash\\u006dix\",\n"
    "\t\"inputs\":[42,100,-0.5e-3],\"o\":{\"\":[],\"t\":true,\"f\":false},"
    "\"n\":null,\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\":"
    "\"\\ud83d\\ude00\\\"\\\\\\/\\b\\f\\n\\r\\t\"}";


/* The text goes to memory of just its size, so that ASan sees each overrun. */

static helix_json_type_t
read_all(const char *text, size_t len, uint32_t max_tokens, helix_json_t *json,
    size_t *offset)
{
    char                *copy;
    helix_json_type_t    type;
    helix_json_token_t   token;

    copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);

    helix_json_init(json, copy, len, max_tokens);

    do {
        type = helix_json_next(json, &token);
        assert_int_equal(token.type, type);
        assert_true(json->pos >= copy && json->pos <= copy + len);
        assert_true(json->depth <= HELIX_JSON_DEPTH_MAX);
        assert_true(json->ntokens <= max_tokens);
    } while (type > HELIX_JSON_END);

    assert_int_equal(helix_json_next(json, &token), type);
    assert_true((json->error != NULL) == (type == HELIX_JSON_ERROR));

    *offset = (size_t) (json->pos - copy);
    free(copy);

    return type;
}


static void
expect_error(const char *text, size_t len, const char *error, long offset)
{
    size_t        at;
    helix_json_t  json;

    if (read_all(text, len, MAX_TOKENS, &json, &at) != HELIX_JSON_ERROR) {
        fail_msg("'%.*s' was accepted", (int) len, text);
    }

    if (error && strcmp(json.error, error) != 0) {
        fail_msg("'%.*s': \"%s\" instead of \"%s\"", (int) len, text,
                 json.error, error);
    }

    if (offset >= 0 && at != (size_t) offset) {
        fail_msg("'%.*s': %s at %zu instead of %ld", (int) len, text,
                 json.error, at, offset);
    }
}


static void
test_accept(void **state)
{
    size_t        i, at;
    helix_json_t  json;

    static const char  *good[] = {
        "{}", "[]", "0", "-0", "1", "-1", "10", "0.5", "-0.0", "1e5", "1E5",
        "1e+5", "1e-5", "0e0", "1.5e999", "123456789012345678901234567890",
        "true", "false", "null", "\"\"", "\"a\"", " 1 ", "\t\n\r 1\r\n\t ",
        "[1]", "[1,2]", "[ 1 , 2 ]", "[[],[]]", "[{}]", "{\"a\":1}",
        "{ \"a\" : 1 , \"b\" : 2 }", "{\"a\":{\"b\":{\"c\":[]}}}",
        "{\"a\":1,\"a\":2}", "{\"\":0}", "[true,false,null]", "[\"\"]",
        "\"\\u0000\"", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\uABCD\\uabcd\"",
        "\"\\ud800\\udc00\"", "\"\\uDBFF\\uDFFF\"", "\"\\ud7ff\\ue000\"",
        "\"\\uffff\"", "\"\x7f\"", "\"/\"", "\"//\"", "\"[]{},:\"",
        "\"\xc2\x80\xdf\xbf\"", "\"\xe0\xa0\x80\xed\x9f\xbf\"",
        "\"\xee\x80\x80\xef\xbf\xbf\"", "\"\xf0\x90\x80\x80\"",
        "\"\xf4\x8f\xbf\xbf\"", "\"\xef\xbb\xbf\"", "\"\xe2\x80\xa8\"",
        "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]",
        "{\"\\u0061\":\"\\\\u0061\"}", "[-1,-0.1,-1e1]", "[0]", "[0,0.1]",
        document
    };

    (void) state;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (read_all(good[i], strlen(good[i]), MAX_TOKENS, &json, &at)
            != HELIX_JSON_END)
        {
            fail_msg("'%s': %s at %zu", good[i], json.error, at);
        }

        assert_int_equal(at, strlen(good[i]));
        assert_int_equal(json.depth, 0);
    }
}


static void
test_reject(void **state)
{
    size_t  i;

    static const struct {
        const char   *text;
        const char   *error;
        long          offset;
    } bad[] = {
        { "", "unexpected end", 0 },
        { "  ", "unexpected end", 2 },
        { "[", "unexpected end", 1 },
        { "{", "unexpected end", 1 },
        { "[1", "unexpected end", 2 },
        { "[1,", "unexpected end", 3 },
        { "{\"a\"", "unexpected end", 4 },
        { "{\"a\":", "unexpected end", 5 },
        { "\"abc", "unexpected end", 4 },
        { "\"\\", "unexpected end", 2 },
        { "\"\\ud8", "unexpected end", 5 },
        { "\"\\ud800", "unexpected end", 7 },
        { "\"\\ud800\\", "unexpected end", 8 },
        { "\"\\ud800\\u", "unexpected end", 9 },
        { "\"\\ud800\\udc0", "unexpected end", 12 },
        { "-", "unexpected end", 1 },
        { "1.", "unexpected end", 2 },
        { "1e", "unexpected end", 2 },
        { "1e+", "unexpected end", 3 },
        { "tru", "unexpected end", 3 },
        { "\xef\xbb\xbf{}", "byte order mark", 0 },
        { "[1,]", "expected a value", 3 },
        { "[,1]", "expected a value", 1 },
        { "[1,,2]", "expected a value", 3 },
        { "[1 2]", "expected ',' or ']'", 3 },
        { "[1}", "expected ',' or ']'", 2 },
        { "[1:2]", "expected ',' or ']'", 2 },
        { "[\"a\":1]", "expected ',' or ']'", 4 },
        { "{\"a\":1]", "expected ',' or '}'", 6 },
        { "{\"a\":1 \"b\":2}", "expected ',' or '}'", 7 },
        { "{\"a\":1,}", "expected a quoted name", 7 },
        { "{,}", "expected a quoted name", 1 },
        { "{a:1}", "expected a quoted name", 1 },
        { "{'a':1}", "expected a quoted name", 1 },
        { "{1:1}", "expected a quoted name", 1 },
        { "{]", "expected a quoted name", 1 },
        { "{\"a\"}", "expected ':'", 4 },
        { "{\"a\" 1}", "expected ':'", 5 },
        { "{\"a\",1}", "expected ':'", 4 },
        { "{\"a\"::1}", "expected a value", 5 },
        { "{\"a\":}", "expected a value", 5 },
        { "{\"a\":,}", "expected a value", 5 },
        { "[}", "expected a value", 1 },
        { "]", "expected a value", 0 },
        { "}", "expected a value", 0 },
        { ",", "expected a value", 0 },
        { ":", "expected a value", 0 },
        { "'a'", "expected a value", 0 },
        { "NaN", "expected a value", 0 },
        { "-NaN", "expected a digit", 1 },
        { "nan", "unknown word", 1 },
        { "Infinity", "expected a value", 0 },
        { "-Infinity", "expected a digit", 1 },
        { "inf", "expected a value", 0 },
        { "True", "expected a value", 0 },
        { "trUe", "unknown word", 2 },
        { "[nul]", "unknown word", 4 },
        { "truefalse", "text after the value", 4 },
        { "[truex]", "expected ',' or ']'", 5 },
        { "undefined", "expected a value", 0 },
        { "+1", "expected a value", 0 },
        { ".5", "expected a value", 0 },
        { "-.5", "expected a digit", 1 },
        { "--1", "expected a digit", 1 },
        { "[1.]", "expected a digit", 3 },
        { "[1.e1]", "expected a digit", 3 },
        { "[1e]", "expected a digit", 3 },
        { "[1e+]", "expected a digit", 4 },
        { "[1e1.5]", "expected ',' or ']'", 4 },
        { "[01]", "digit after a leading zero", 2 },
        { "[-01]", "digit after a leading zero", 3 },
        { "[00]", "digit after a leading zero", 2 },
        { "0x1", "text after the value", 1 },
        { "[1_0]", "expected ',' or ']'", 2 },
        { "1 2", "text after the value", 2 },
        { "{}{}", "text after the value", 2 },
        { "{}]", "text after the value", 2 },
        { "[] x", "text after the value", 3 },
        { "\"a\"\"b\"", "text after the value", 3 },
        { "1/**/", "text after the value", 1 },
        { "/**/1", "expected a value", 0 },
        { "[1//\n]", "expected ',' or ']'", 2 },
        { "#1", "expected a value", 0 },
        { "[1\f]", "expected ',' or ']'", 2 },
        { "[\v1]", "expected a value", 1 },
        { "[\xc2\xa0" "1]", "expected a value", 1 },
        { "\"a\nb\"", "control character in a string", 2 },
        { "\"\t\"", "control character in a string", 1 },
        { "\"\x1f\"", "control character in a string", 1 },
        { "{\"a\r\":1}", "control character in a string", 3 },
        { "\"\\a\"", "unknown escape", 2 },
        { "\"\\x41\"", "unknown escape", 2 },
        { "\"\\'\"", "unknown escape", 2 },
        { "\"\\U0041\"", "unknown escape", 2 },
        { "\"\\0\"", "unknown escape", 2 },
        { "\"\\\n\"", "unknown escape", 2 },
        { "\"\\u12\"", "expected four hex digits", 5 },
        { "\"\\u12g4\"", "expected four hex digits", 5 },
        { "\"\\u-123\"", "expected four hex digits", 3 },
        { "\"\\ud800\\u12\"", "expected four hex digits", 11 },
        { "\"\\ud800\"", "lone surrogate", 1 },
        { "\"a\\ud800b\"", "lone surrogate", 2 },
        { "\"\\udc00\"", "lone surrogate", 1 },
        { "\"\\udfff\\ud800\"", "lone surrogate", 1 },
        { "\"\\ud800\\n\"", "lone surrogate", 1 },
        { "\"\\ud800\\u0041\"", "lone surrogate", 1 },
        { "\"\\ud800\\ud800\"", "lone surrogate", 1 },
        { "\"\\ud800\\ue000\"", "lone surrogate", 1 },
        { "\"\x80\"", "invalid UTF-8", 1 },
        { "\"a\xbf\"", "invalid UTF-8", 2 },
        { "\"\xc0\x80\"", "invalid UTF-8", 1 },
        { "\"\xc1\xbf\"", "invalid UTF-8", 1 },
        { "\"\xc2\"", "invalid UTF-8", 1 },
        { "\"\xc2\x41\"", "invalid UTF-8", 1 },
        { "\"\xe0\x9f\xbf\"", "invalid UTF-8", 1 },
        { "\"\xe2\x82\"", "invalid UTF-8", 1 },
        { "\"\xe2\x82", "invalid UTF-8", 1 },
        { "\"\xed\xa0\x80\"", "invalid UTF-8", 1 },
        { "\"\xed\xbf\xbf\"", "invalid UTF-8", 1 },
        { "\"\xf0\x8f\xbf\xbf\"", "invalid UTF-8", 1 },
        { "\"\xf4\x90\x80\x80\"", "invalid UTF-8", 1 },
        { "\"\xf5\x80\x80\x80\"", "invalid UTF-8", 1 },
        { "\"\xf0\x9f\x98\"", "invalid UTF-8", 1 },
        { "\"\xfe\"", "invalid UTF-8", 1 },
        { "\"\xff\"", "invalid UTF-8", 1 },
        { "{\"\xff\":1}", "invalid UTF-8", 2 },
        { "\xff", "expected a value", 0 },
        { "\xff\xfe[\x01]", "expected a value", 0 },
        { "[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", "nested too deeply", 16 },
        { "[[[[[[[[[[[[[[[[{}]]]]]]]]]]]]]]]]", "nested too deeply", 16 }
    };

    (void) state;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        expect_error(bad[i].text, strlen(bad[i].text), bad[i].error,
                     bad[i].offset);
    }

    expect_error("\"\0\"", 3, "control character in a string", 1);
    expect_error("\"\\\0\"", 4, "unknown escape", 2);
    expect_error("1\0", 2, "text after the value", 1);
    expect_error("\0", 1, "expected a value", 0);
    expect_error("[\0]", 3, "expected a value", 1);
}


static void
test_truncated(void **state)
{
    size_t  i;

    (void) state;

    for (i = 0; i < sizeof(document) - 1; i++) {
        expect_error(document, i, NULL, -1);
    }
}


/* No byte put anywhere may lead the reader outside of the text. */

static void
test_mutated(void **state)
{
    char          text[sizeof(document)];
    size_t        i, at;
    unsigned      c;
    helix_json_t  json;

    (void) state;

    for (i = 0; i < sizeof(document) - 1; i++) {
        for (c = 0; c < 256; c++) {
            memcpy(text, document, sizeof(document));
            text[i] = (char) (c < 128 ? (int) c : (int) c - 256);
            (void) read_all(text, sizeof(document) - 1, MAX_TOKENS, &json,
                            &at);
        }
    }
}


static void
test_limits(void **state)
{
    char          text[HELIX_NUMBER_LEN_MAX + 4];
    size_t        at;
    uint32_t      i;
    helix_json_t  json;

    (void) state;

    /* [ 1 2 { a 3 } ] are 8 tokens */

    for (i = 0; i < 8; i++) {
        assert_int_equal(read_all("[1,2,{\"a\":3}]", 13, i, &json, &at),
                         HELIX_JSON_ERROR);
        assert_string_equal(json.error, "too many tokens");
    }

    assert_int_equal(read_all("[1,2,{\"a\":3}]", 13, 3, &json, &at),
                     HELIX_JSON_ERROR);
    assert_int_equal(at, 5);
    assert_int_equal(read_all("[1,2,{\"a\":3}]", 13, 8, &json, &at),
                     HELIX_JSON_END);
    assert_int_equal(json.ntokens, 8);

    memset(text, '7', sizeof(text));
    assert_int_equal(read_all(text, HELIX_NUMBER_LEN_MAX, 1, &json, &at),
                     HELIX_JSON_END);
    expect_error(text, HELIX_NUMBER_LEN_MAX + 1, "number too long",
                 HELIX_NUMBER_LEN_MAX);

    helix_json_init(&json, NULL, 0, 1);
    assert_int_equal(helix_json_next(&json, &(helix_json_token_t) { 0 }),
                     HELIX_JSON_ERROR);
    assert_string_equal(json.error, "unexpected end");
}


static void
test_tokens(void **state)
{
    size_t              i;
    helix_json_t        json;
    helix_json_token_t  token;

    static const struct {
        helix_json_type_t   type;
        bool                escaped;
        const char         *text;
    } want[] = {
        { HELIX_JSON_OBJECT, false, "{" },
        { HELIX_JSON_KEY, false, "id" },
        { HELIX_JSON_NUMBER, false, "18446744073709551615" },
        { HELIX_JSON_KEY, false, "kind" },
        { HELIX_JSON_STRING, true, "hash\\u006dix" },
        { HELIX_JSON_KEY, false, "inputs" },
        { HELIX_JSON_ARRAY, false, "[" },
        { HELIX_JSON_NUMBER, false, "42" },
        { HELIX_JSON_NUMBER, false, "100" },
        { HELIX_JSON_NUMBER, false, "-0.5e-3" },
        { HELIX_JSON_ARRAY_END, false, "]" },
        { HELIX_JSON_KEY, false, "o" },
        { HELIX_JSON_OBJECT, false, "{" },
        { HELIX_JSON_KEY, false, "" },
        { HELIX_JSON_ARRAY, false, "[" },
        { HELIX_JSON_ARRAY_END, false, "]" },
        { HELIX_JSON_KEY, false, "t" },
        { HELIX_JSON_TRUE, false, "true" },
        { HELIX_JSON_KEY, false, "f" },
        { HELIX_JSON_FALSE, false, "false" },
        { HELIX_JSON_OBJECT_END, false, "}" },
        { HELIX_JSON_KEY, false, "n" },
        { HELIX_JSON_NULL, false, "null" },
        { HELIX_JSON_KEY, false, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" },
        { HELIX_JSON_STRING, true,
          "\\ud83d\\ude00\\\"\\\\\\/\\b\\f\\n\\r\\t" },
        { HELIX_JSON_OBJECT_END, false, "}" },
        { HELIX_JSON_END, false, "" },
        { HELIX_JSON_END, false, "" }
    };

    (void) state;

    helix_json_init(&json, document, sizeof(document) - 1, MAX_TOKENS);

    for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        assert_int_equal(helix_json_next(&json, &token), want[i].type);
        assert_int_equal(token.type, want[i].type);
        assert_int_equal(token.escaped, want[i].escaped);
        assert_int_equal(token.len, strlen(want[i].text));
        assert_memory_equal(token.start, want[i].text, token.len);
        assert_true(token.start >= document
                    && token.start + token.len
                       <= document + sizeof(document) - 1);
    }
}


static void
test_text(void **state)
{
    char                dst[64], *exact;
    size_t              i, size;
    ptrdiff_t           n;
    helix_json_t        json;
    helix_json_token_t  token;

    static const struct {
        const char   *json;
        const char   *text;
        size_t        len;
    } cases[] = {
        { "\"\"", "", 0 },
        { "\"plain\"", "plain", 5 },
        { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8 },
        { "\"a\\u0000b\"", "a\0b", 3 },
        { "\"\\u007f\\u0080\"", "\x7f\xc2\x80", 3 },
        { "\"\\u07ff\\u0800\"", "\xdf\xbf\xe0\xa0\x80", 5 },
        { "\"\\uD7FF\\ue000\"", "\xed\x9f\xbf\xee\x80\x80", 6 },
        { "\"\\uffff\"", "\xef\xbf\xbf", 3 },
        { "\"\\ud800\\udc00\"", "\xf0\x90\x80\x80", 4 },
        { "\"\\uDBFF\\uDFFF!\"", "\xf4\x8f\xbf\xbf!", 5 },
        { "\"x\\ud83d\\ude00y\"", "x\xf0\x9f\x98\x80y", 6 },
        { "\"\\\\u0041\"", "\\u0041", 6 },
        { "\"caf\xc3\xa9\\u00e9\"", "caf\xc3\xa9\xc3\xa9", 7 }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        helix_json_init(&json, cases[i].json, strlen(cases[i].json), 1);
        assert_int_equal(helix_json_next(&json, &token), HELIX_JSON_STRING);

        n = helix_json_text(&token, dst, sizeof(dst));
        assert_int_equal(n, cases[i].len);
        assert_memory_equal(dst, cases[i].text, cases[i].len);

        for (size = 0; size <= cases[i].len; size++) {
            exact = malloc(size ? size : 1);
            assert_non_null(exact);
            n = helix_json_text(&token, exact, size);
            assert_int_equal(n, (size < cases[i].len) ? -1
                                                      : (ptrdiff_t) size);
            free(exact);
        }
    }
}


static void
test_position(void **state)
{
    size_t    i;
    uint32_t  line, column;

    static const struct {
        size_t     offset;
        uint32_t   line, column;
    } cases[] = {
        { 0, 1, 1 }, { 1, 1, 2 }, { 2, 1, 3 }, { 3, 2, 1 }, { 4, 3, 1 },
        { 6, 3, 3 }, { 7, 3, 4 }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        helix_json_position("ab\n\n\xc3\xa9x", cases[i].offset, &line,
                            &column);
        assert_int_equal(line, cases[i].line);
        assert_int_equal(column, cases[i].column);
    }
}


static void
write_sample(helix_json_writer_t *w)
{
    helix_json_object(w);
    helix_json_key(w, "id");
    helix_json_u64(w, UINT64_MAX);
    helix_json_key(w, "list");
    helix_json_array(w);
    helix_json_u64(w, 0);
    helix_json_object(w);
    helix_json_object_end(w);
    helix_json_array(w);
    helix_json_array_end(w);
    helix_json_cstring(w, "a\"b");
    helix_json_bool(w, true);
    helix_json_bool(w, false);
    helix_json_null(w);
    helix_json_array_end(w);
    helix_json_key(w, "x");
    helix_json_double(w, -0.25);
    helix_json_key(w, "y");
    helix_json_fixed(w, 1204, 3);
    helix_json_object_end(w);
}


static const char  sample[] =
    "{\"id\":18446744073709551615,\"list\":[0,{},[],\"a\\\"b\",true,false,"
    "null],\"x\":-0.25,\"y\":1.204}";


static void
test_writer(void **state)
{
    char                 dst[256];
    size_t               at;
    helix_json_t         json;
    helix_json_writer_t  w;

    (void) state;

    helix_json_writer_init(&w, dst, sizeof(dst));
    write_sample(&w);

    assert_false(w.overflow);
    assert_int_equal(w.pos - w.start, sizeof(sample) - 1);
    assert_memory_equal(dst, sample, sizeof(sample) - 1);
    assert_int_equal(read_all(dst, sizeof(sample) - 1, MAX_TOKENS, &json, &at),
                     HELIX_JSON_END);

    helix_json_writer_init(&w, dst, sizeof(dst));
    w.quote_integers = true;
    helix_json_array(&w);
    helix_json_u64(&w, 0);
    helix_json_u64(&w, UINT64_MAX);
    helix_json_fixed(&w, 5, 1);
    helix_json_array_end(&w);
    assert_int_equal(w.pos - w.start, 32);
    assert_memory_equal(dst, "[\"0\",\"18446744073709551615\",0.5]", 32);
}


/* Too small by any amount: a prefix of whole values, and nothing outside. */

static void
test_writer_overflow(void **state)
{
    char                 *dst;
    size_t                size, len;
    helix_json_writer_t   w;

    (void) state;

    for (size = 0; size < sizeof(sample) + 2; size++) {
        dst = malloc(size ? size : 1);
        assert_non_null(dst);

        helix_json_writer_init(&w, dst, size);
        write_sample(&w);
        len = (size_t) (w.pos - w.start);

        assert_true(w.overflow == (size < sizeof(sample) - 1));
        assert_true(len <= size);
        assert_memory_equal(dst, sample, len);
        assert_true(len == 0 || w.overflow == false
                    || strchr(",]}", sample[len]) || sample[len - 1] == ':'
                    || strchr("[{", sample[len - 1]));
        free(dst);
    }

    helix_json_writer_init(&w, NULL, 0);
    write_sample(&w);
    assert_true(w.overflow);
}


static void
test_writer_strings(void **state)
{
    char                  dst[128];
    size_t                i, n;
    helix_json_writer_t   w;

    static const struct {
        const char   *text;
        const char   *json;
    } cases[] = {
        { "", "\"\"" },
        { "\"\\/</", "\"\\\"\\\\/</\"" },
        { "\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\"" },
        { "\x01\x1f\x7f", "\"\\u0001\\u001f\x7f\"" },
        { "\xe2\x80\xa8\xe2\x80\xa9", "\"\xe2\x80\xa8\xe2\x80\xa9\"" },
        { "\xc3\xa9\xf0\x9f\x98\x80", "\"\xc3\xa9\xf0\x9f\x98\x80\"" },
        { "a\x80z", "\"a\xef\xbf\xbdz\"" },
        { "\xc0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
        { "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
        { "\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
        { "\xc3\"", "\"\xef\xbf\xbd\\\"\"" },
        { "\xf5", "\"\xef\xbf\xbd\"" }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        helix_json_writer_init(&w, dst, sizeof(dst));
        helix_json_string(&w, cases[i].text, strlen(cases[i].text));
        n = strlen(cases[i].json);
        assert_int_equal(w.pos - w.start, n);
        assert_memory_equal(dst, cases[i].json, n);
    }

    helix_json_writer_init(&w, dst, sizeof(dst));
    helix_json_string(&w, "a\0b", 3);
    assert_int_equal(w.pos - w.start, 10);
    assert_memory_equal(dst, "\"a\\u0000b\"", 10);
}


/* Any bytes at all are written so that the reader takes them. */

static void
test_writer_any_bytes(void **state)
{
    char                 text[24], dst[24 * 6 + 2];
    size_t               i, k, at;
    uint32_t             x;
    helix_json_t         json;
    helix_json_writer_t  w;

    (void) state;

    x = 12345;

    for (i = 0; i < 100000; i++) {
        for (k = 0; k < sizeof(text); k++) {
            x = (x % 127773) * 16807 % 2147483647;
            text[k] = (char) ((int) (x >> 9 & 255) - 128);
        }

        helix_json_writer_init(&w, dst, sizeof(dst));
        helix_json_string(&w, text, sizeof(text));
        assert_false(w.overflow);
        assert_int_equal(read_all(dst, (size_t) (w.pos - w.start), 1, &json,
                                  &at),
                         HELIX_JSON_END);
    }
}


static void
test_writer_numbers(void **state)
{
    char                 dst[64];
    size_t               i, n;
    helix_json_writer_t  w;

    static const struct {
        uint64_t      value;
        unsigned      decimals;
        const char   *json;
    } cases[] = {
        { 0, 0, "0" },
        { 1204, 0, "1204" },
        { 1204, 3, "1.204" },
        { 0, 3, "0.000" },
        { 4, 3, "0.004" },
        { 1200, 3, "1.200" },
        { 5, 9, "0.000000005" },
        { UINT64_MAX, 9, "18446744073.709551615" },
        { UINT64_MAX, 0, "18446744073709551615" }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        helix_json_writer_init(&w, dst, sizeof(dst));
        helix_json_fixed(&w, cases[i].value, cases[i].decimals);
        n = strlen(cases[i].json);
        assert_int_equal(w.pos - w.start, n);
        assert_memory_equal(dst, cases[i].json, n);
    }

    helix_json_writer_init(&w, dst, sizeof(dst));
    helix_json_array(&w);
    helix_json_double(&w, (double) NAN);
    helix_json_double(&w, (double) INFINITY);
    helix_json_double(&w, 1e30);
    helix_json_array_end(&w);
    assert_int_equal(w.pos - w.start, 17);
    assert_memory_equal(dst, "[null,null,1e+30]", 17);
}


int
main(void)
{
    static const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_accept),
        cmocka_unit_test(test_reject),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_mutated),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_position),
        cmocka_unit_test(test_writer),
        cmocka_unit_test(test_writer_overflow),
        cmocka_unit_test(test_writer_strings),
        cmocka_unit_test(test_writer_any_bytes),
        cmocka_unit_test(test_writer_numbers)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
