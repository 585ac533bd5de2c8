
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "helix_settings.h"


#define COST_MAX  9007199254740992.0


typedef struct {
    const char  *directive;
    const char  *text;
    double       value;
} good_t;


typedef struct {
    const char  *directive;
    const char  *text;
    const char  *error;
} bad_t;


static helix_settings_t  settings;


static int
setup(void **state)
{
    (void) state;

    helix_settings_init(&settings);

    return 0;
}


static double
stored(const helix_setting_t *row)
{
    double       ratio;
    uint64_t     number;
    const char  *field;

    field = (const char *) &settings + row->offset;

    if (row->type == HELIX_SETTING_RATIO) {
        memcpy(&ratio, field, sizeof(ratio));
        return ratio;
    }

    memcpy(&number, field, sizeof(number));

    return (double) number;
}


/* As a directive's handler does; NULL with a sentence in "error". */

static const helix_setting_t *
apply(const char *directive, const char *text, uint64_t automatic,
    char *error)
{
    size_t                  len;
    const char             *value;
    const helix_setting_t  *row;

    memset(error, 'x', HELIX_SETTING_ERROR_MAX);

    row = helix_setting_find(directive, text, strlen(text), &value, &len,
                             error);

    if (row == NULL
        || !helix_setting_set(row, &settings, value, len, automatic, error))
    {
        return NULL;
    }

    return row;
}


static void
assert_error(const char *directive, const char *text, const char *expected)
{
    char              error[HELIX_SETTING_ERROR_MAX];
    helix_settings_t  before;

    before = settings;

    assert_null(apply(directive, text, 4, error));
    assert_string_equal(error, expected);
    assert_memory_equal(&before, &settings, sizeof(before));
}


static void
assert_errors(const bad_t *bad, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        assert_error(bad[i].directive, bad[i].text, bad[i].error);
    }
}


static const helix_setting_t *
row_of(const char *name)
{
    const helix_setting_t  *row;

    for (row = helix_settings_table; row->name != NULL; row++) {
        if (strcmp(row->name, name) == 0) {
            return row;
        }
    }

    fail_msg("no setting \"%s\"", name);

    return NULL;
}


static void
test_table(void **state)
{
    size_t                  nrows;
    const helix_setting_t  *row, *other;

    (void) state;

    nrows = 0;

    for (row = helix_settings_table; row->name != NULL; row++) {
        nrows++;

        assert_memory_equal(row->directive, "helix_", 6);
        assert_true(row->offset + 8 <= sizeof(helix_settings_t));
        assert_true(row->offset % 8 == 0);
        assert_true(row->min < row->max);
        assert_true(row->max <= COST_MAX);
        assert_true(row->initial <= row->max);
        assert_true(row->above ? row->initial > row->min
                               : row->initial >= row->min);
        assert_true(row->type == HELIX_SETTING_RATIO || !row->above);
        assert_true(row->type == HELIX_SETTING_RATIO
                    || row->initial == floor(row->initial));
        assert_true(row->type == HELIX_SETTING_NUMBER || row->flags == 0);
        assert_true(strlen(row->name) <= 31);

        for (other = helix_settings_table; other != row; other++) {
            assert_string_not_equal(row->name, other->name);
            assert_true(row->offset != other->offset);

            if (strcmp(row->directive, other->directive) == 0) {
                assert_non_null(row->parameter);
                assert_true(other->parameter == NULL
                            || strcmp(row->parameter, other->parameter) != 0);
            }
        }
    }

    /* every member of the struct but the policy has its row */

    assert_int_equal(nrows, 15);
    assert_int_equal(sizeof(helix_settings_t)
                     - offsetof(helix_settings_t, inline_threshold),
                     nrows * 8);
}


static void
test_initial(void **state)
{
    char                    error[HELIX_SETTING_ERROR_MAX];
    const helix_setting_t  *row;

    (void) state;

    for (row = helix_settings_table; row->name != NULL; row++) {
        assert_true(stored(row) == row->initial);
    }

    assert_int_equal(settings.inline_threshold, 8000);
    assert_int_equal(settings.spawn_threshold, 60000);
    assert_int_equal(settings.concurrency, 8);
    assert_int_equal(settings.queue, 512);
    assert_int_equal(settings.busy, 7);
    assert_int_equal(settings.nice, 5);
    assert_int_equal(settings.memory, 512 << 20);
    assert_int_equal(settings.batching, 1);
    assert_int_equal(settings.batch_size, 8);
    assert_int_equal(settings.batch_delay, 10);
    assert_int_equal(settings.adapt, 1);
    assert_int_equal(settings.adapt_p95, 200);
    assert_true(settings.adapt_step == 0.10);
    assert_true(settings.adapt_factor == 1.5);
    assert_true(settings.alpha == 0.15);

    assert_true(helix_settings_check(&settings, error));
}


static void
test_resolve(void **state)
{
    uint64_t  concurrency;

    (void) state;

    for (concurrency = 1; concurrency <= HELIX_CONCURRENCY_MAX; concurrency++)
    {
        settings.concurrency = concurrency;
        helix_settings_resolve(&settings, false);

        assert_int_equal(settings.busy,
                         ceil(7.0 / 8.0 * (double) concurrency));
        assert_in_range(settings.busy, 1, concurrency);
    }

    settings.concurrency = 8;
    helix_settings_resolve(&settings, false);
    assert_int_equal(settings.busy, 7);

    settings.concurrency = 16;
    helix_settings_resolve(&settings, true);
    assert_int_equal(settings.busy, 7);

    settings.busy = 0;
    helix_settings_resolve(&settings, true);
    assert_int_equal(settings.busy, 0);
}


static void
test_good(void **state)
{
    static const good_t  good[] = {
        { "helix_inline_threshold", "1", 1 },
        { "helix_inline_threshold", "9007199254740992", COST_MAX },
        { "helix_spawn_threshold", "1", 1 },
        { "helix_spawn_threshold", "9007199254740991", COST_MAX - 1 },
        { "helix_spawn_threshold", "9007199254740992", COST_MAX },
        { "helix_pool", "concurrency=1", 1 },
        { "helix_pool", "concurrency=64", 64 },
        { "helix_pool", "concurrency=auto", 6 },
        { "helix_pool", "concurrency=Auto", 6 },
        { "helix_pool", "queue=1", 1 },
        { "helix_pool", "queue=65536", 65536 },
        { "helix_pool", "busy=1", 1 },
        { "helix_pool", "busy=64", 64 },
        { "helix_pool", "busy=off", 0 },
        { "helix_pool", "nice=0", 0 },
        { "helix_pool", "nice=19", 19 },
        { "helix_pool", "memory=1048576", 1048576 },
        { "helix_pool", "memory=1024k", 1048576 },
        { "helix_pool", "memory=64M", 64 << 20 },
        { "helix_pool", "memory=2g", 2147483648 },
        { "helix_batch", "off", 0 },
        { "helix_batch", "on", 1 },
        { "helix_batch", "OFF", 0 },
        { "helix_batch", "size=2", 2 },
        { "helix_batch", "size=1024", 1024 },
        { "helix_batch", "delay=1ms", 1 },
        { "helix_batch", "delay=10000ms", 10000 },
        { "helix_batch", "delay=10s", 10000 },
        { "helix_batch", "delay=2s", 2000 },
        { "helix_batch", "delay=1s500ms", 1500 },
        { "helix_adapt", "off", 0 },
        { "helix_adapt", "on", 1 },
        { "helix_adapt", "step=1e-300", 1e-300 },
        { "helix_adapt", "step=0.25", 0.25 },
        { "helix_adapt", "step=1", 1 },
        { "helix_adapt", "p95=1ms", 1 },
        { "helix_adapt", "p95=1m30s", 90000 },
        { "helix_adapt", "p95=1m1s1ms", 61001 },
        { "helix_adapt", "p95=0h10m", 600000 },
        { "helix_adapt", "p95=600000ms", 600000 },
        { "helix_adapt", "factor=1", 1 },
        { "helix_adapt", "factor=1.5", 1.5 },
        { "helix_adapt", "factor=100.0", 100 },
        { "helix_adapt", "alpha=0.000001", 0.000001 },
        { "helix_adapt", "alpha=1.0", 1 }
    };

    char                    error[HELIX_SETTING_ERROR_MAX];
    size_t                  i;
    const helix_setting_t  *row;

    (void) state;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        row = apply(good[i].directive, good[i].text, 6, error);

        if (row == NULL) {
            fail_msg("%s %s: %s", good[i].directive, good[i].text, error);
        }

        assert_string_equal(row->directive, good[i].directive);
        assert_true(stored(row) == good[i].value);
    }
}


/* Each row's initial value, written out, is accepted and changes nothing. */

static void
test_good_initial(void **state)
{
    char                    error[HELIX_SETTING_ERROR_MAX], value[64];
    helix_settings_t        before;
    const helix_setting_t  *row;

    (void) state;

    before = settings;

    for (row = helix_settings_table; row->name != NULL; row++) {

        switch (row->type) {

        case HELIX_SETTING_FLAG:
            snprintf(value, sizeof(value), "%s", row->initial > 0 ? "on"
                                                                  : "off");
            break;

        case HELIX_SETTING_TIME:
            snprintf(value, sizeof(value), "%.0fms", row->initial);
            break;

        case HELIX_SETTING_NUMBER:
        case HELIX_SETTING_RATIO:
        default:
            snprintf(value, sizeof(value), "%.15g", row->initial);
            break;
        }

        assert_true(helix_setting_set(row, &settings, value, strlen(value), 1,
                                      error));
        assert_memory_equal(&before, &settings, sizeof(before));
    }
}


static void
test_automatic(void **state)
{
    char                    error[HELIX_SETTING_ERROR_MAX];
    const helix_setting_t  *row;

    (void) state;

    row = row_of("cpu_parallelism");

    assert_true(helix_setting_set(row, &settings, "auto", 4, 3, error));
    assert_int_equal(settings.concurrency, 3);

    assert_true(helix_setting_set(row, &settings, "auto", 4, 0, error));
    assert_int_equal(settings.concurrency, 1);

    assert_true(helix_setting_set(row, &settings, "auto", 4, 192, error));
    assert_int_equal(settings.concurrency, HELIX_CONCURRENCY_MAX);
}


static void
test_range(void **state)
{
    static const bad_t  bad[] = {
        { "helix_inline_threshold", "0",
          "helix_inline_threshold 0 is out of range 1-9007199254740992" },
        { "helix_inline_threshold", "9007199254740993",
          "helix_inline_threshold 9007199254740993 is out of range "
          "1-9007199254740992" },
        { "helix_spawn_threshold", "0",
          "helix_spawn_threshold 0 is out of range 1-9007199254740992" },
        { "helix_spawn_threshold", "18446744073709551615",
          "helix_spawn_threshold 18446744073709551615 is out of range "
          "1-9007199254740992" },
        { "helix_spawn_threshold", "99999999999999999999999",
          "helix_spawn_threshold 99999999999999999999999 is out of range "
          "1-9007199254740992" },
        { "helix_pool", "concurrency=0",
          "helix_pool concurrency=0 is out of range 1-64" },
        { "helix_pool", "concurrency=65",
          "helix_pool concurrency=65 is out of range 1-64" },
        { "helix_pool", "queue=0",
          "helix_pool queue=0 is out of range 1-65536" },
        { "helix_pool", "queue=65537",
          "helix_pool queue=65537 is out of range 1-65536" },
        { "helix_pool", "busy=0",
          "helix_pool busy=0 is out of range 1-64" },
        { "helix_pool", "busy=65",
          "helix_pool busy=65 is out of range 1-64" },
        { "helix_pool", "memory=1k",
          "helix_pool memory=1k is out of range 1m-1024g" },
        { "helix_pool", "memory=18446744073709551615k",
          "helix_pool memory=18446744073709551615k is out of range 1m-1024g" },
        { "helix_pool", "nice=20",
          "helix_pool nice=20 is out of range 0-19" },
        { "helix_batch", "size=0",
          "helix_batch size=0 is out of range 2-1024" },
        { "helix_batch", "size=1",
          "helix_batch size=1 is out of range 2-1024" },
        { "helix_batch", "size=1025",
          "helix_batch size=1025 is out of range 2-1024" },
        { "helix_batch", "delay=0ms",
          "helix_batch delay=0ms is out of range 1ms-10s" },
        { "helix_batch", "delay=10001ms",
          "helix_batch delay=10001ms is out of range 1ms-10s" },
        { "helix_batch", "delay=11s",
          "helix_batch delay=11s is out of range 1ms-10s" },
        { "helix_batch", "delay=99999999999999999999999h",
          "helix_batch delay=99999999999999999999999h is out of range "
          "1ms-10s" },
        { "helix_batch", "delay=18446744073709551617ms",
          "helix_batch delay=18446744073709551617ms is out of range "
          "1ms-10s" },
        { "helix_adapt", "p95=0s",
          "helix_adapt p95=0s is out of range 1ms-10m" },
        { "helix_adapt", "p95=10m1ms",
          "helix_adapt p95=10m1ms is out of range 1ms-10m" },
        { "helix_adapt", "step=0",
          "helix_adapt step=0 is out of range, above 0 and at most 1 is "
          "expected" },
        { "helix_adapt", "step=1.0000000000000002",
          "helix_adapt step=1.0000000000000002 is out of range, above 0 and "
          "at most 1 is expected" },
        { "helix_adapt", "step=-0.1",
          "helix_adapt step=-0.1 is out of range, above 0 and at most 1 is "
          "expected" },
        { "helix_adapt", "alpha=-0",
          "helix_adapt alpha=-0 is out of range, above 0 and at most 1 is "
          "expected" },
        { "helix_adapt", "alpha=1e999",
          "helix_adapt alpha=1e999 is out of range, above 0 and at most 1 is "
          "expected" },
        { "helix_adapt", "factor=0.99",
          "helix_adapt factor=0.99 is out of range 1-100" },
        { "helix_adapt", "factor=100.1",
          "helix_adapt factor=100.1 is out of range 1-100" }
    };

    (void) state;

    assert_errors(bad, sizeof(bad) / sizeof(bad[0]));
}


static void
test_invalid(void **state)
{
    static const bad_t  bad[] = {
        { "helix_inline_threshold", "8k",
          "invalid value \"8k\" in \"helix_inline_threshold\", a number such "
          "as \"8000\" is expected" },
        { "helix_inline_threshold", "",
          "invalid value \"\" in \"helix_inline_threshold\", a number such "
          "as \"8000\" is expected" },
        { "helix_inline_threshold", "off",
          "invalid value \"off\" in \"helix_inline_threshold\", a number "
          "such as \"8000\" is expected" },
        { "helix_spawn_threshold", "-1",
          "invalid value \"-1\" in \"helix_spawn_threshold\", a number such "
          "as \"60000\" is expected" },
        { "helix_pool", "concurrency=many",
          "invalid value \"many\" of \"concurrency\" in \"helix_pool\", a "
          "number such as \"8\" or \"auto\" is expected" },
        { "helix_pool", "concurrency=off",
          "invalid value \"off\" of \"concurrency\" in \"helix_pool\", a "
          "number such as \"8\" or \"auto\" is expected" },
        { "helix_pool", "queue=",
          "invalid value \"\" of \"queue\" in \"helix_pool\", a number such "
          "as \"512\" is expected" },
        { "helix_pool", "queue=auto",
          "invalid value \"auto\" of \"queue\" in \"helix_pool\", a number "
          "such as \"512\" is expected" },
        { "helix_pool", "busy=7.5",
          "invalid value \"7.5\" of \"busy\" in \"helix_pool\", a number "
          "such as \"7\" or \"off\" is expected" },
        { "helix_pool", "memory=m",
          "invalid value \"m\" of \"memory\" in \"helix_pool\", a size such "
          "as \"512m\" is expected" },
        { "helix_pool", "memory=1mm",
          "invalid value \"1mm\" of \"memory\" in \"helix_pool\", a size such "
          "as \"512m\" is expected" },
        { "helix_pool", "memory=",
          "invalid value \"\" of \"memory\" in \"helix_pool\", a size such "
          "as \"512m\" is expected" },
        { "helix_pool", "nice=-5",
          "invalid value \"-5\" of \"nice\" in \"helix_pool\", a number such "
          "as \"5\" is expected" },
        { "helix_batch", "16",
          "invalid value \"16\" in \"helix_batch\", \"on\" or \"off\" is "
          "expected" },
        { "helix_batch", "",
          "invalid value \"\" in \"helix_batch\", \"on\" or \"off\" is "
          "expected" },
        { "helix_batch", "size=8=8",
          "invalid value \"8=8\" of \"size\" in \"helix_batch\", a number "
          "such as \"8\" is expected" },
        { "helix_adapt", "true",
          "invalid value \"true\" in \"helix_adapt\", \"on\" or \"off\" is "
          "expected" },
        { "helix_adapt", "step=10%",
          "invalid value \"10%\" of \"step\" in \"helix_adapt\", a number "
          "such as \"0.1\" is expected" },
        { "helix_adapt", "step=nan",
          "invalid value \"nan\" of \"step\" in \"helix_adapt\", a number "
          "such as \"0.1\" is expected" },
        { "helix_adapt", "factor=",
          "invalid value \"\" of \"factor\" in \"helix_adapt\", a number "
          "such as \"1.5\" is expected" },
        { "helix_adapt", "alpha=inf",
          "invalid value \"inf\" of \"alpha\" in \"helix_adapt\", a number "
          "such as \"0.15\" is expected" }
    };

    (void) state;

    assert_errors(bad, sizeof(bad) / sizeof(bad[0]));
}


static void
test_invalid_time(void **state)
{
    size_t                    i;
    char                      text[64], error[HELIX_SETTING_ERROR_MAX];
    static const char *const  values[] = {
        "10", "", "ms", "s", "10d", "1w", "10 ms", " 10ms", "10ms ", "-1ms",
        "1.5s", "1s1m", "1s1s", "1ms1s", "1m30", "10mss", "10MS", "1m s",
        "off", "auto", "0x1s", "1e3ms"
    };

    (void) state;

    for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        snprintf(text, sizeof(text), "delay=%s", values[i]);
        snprintf(error, sizeof(error),
                 "invalid value \"%s\" of \"delay\" in \"helix_batch\", a "
                 "time such as \"10ms\" is expected", values[i]);
        assert_error("helix_batch", text, error);
    }

    assert_error("helix_adapt", "p95=200",
                 "invalid value \"200\" of \"p95\" in \"helix_adapt\", a time "
                 "such as \"200ms\" is expected");
}


static void
test_unknown(void **state)
{
    static const bad_t  bad[] = {
        { "helix_batch", "dealy=10ms",
          "invalid parameter \"dealy=10ms\" in \"helix_batch\", did you mean "
          "\"delay\"?" },
        { "helix_batch", "Size=8",
          "invalid parameter \"Size=8\" in \"helix_batch\", did you mean "
          "\"size\"?" },
        { "helix_batch", "sizes=",
          "invalid parameter \"sizes=\" in \"helix_batch\", did you mean "
          "\"size\"?" },
        { "helix_batch", "queue=8",
          "invalid parameter \"queue=8\" in \"helix_batch\", one of "
          "\"size=\", \"delay=\" is expected" },
        { "helix_batch", "=8",
          "invalid parameter \"=8\" in \"helix_batch\", one of "
          "\"size=\", \"delay=\" is expected" },
        { "helix_batch", "size",
          "invalid parameter \"size\" in \"helix_batch\", did you mean "
          "\"size=\"?" },
        { "helix_pool", "concurency=8",
          "invalid parameter \"concurency=8\" in \"helix_pool\", did you "
          "mean \"concurrency\"?" },
        { "helix_pool", "queue",
          "invalid parameter \"queue\" in \"helix_pool\", did you mean "
          "\"queue=\"?" },
        { "helix_pool", "12",
          "invalid parameter \"12\" in \"helix_pool\", one of "
          "\"concurrency=\", \"queue=\", \"busy=\", \"nice=\", \"memory=\" is expected" },
        { "helix_pool", "",
          "invalid parameter \"\" in \"helix_pool\", one of "
          "\"concurrency=\", \"queue=\", \"busy=\", \"nice=\", \"memory=\" is expected" },
        { "helix_adapt", "budget=10ms",
          "invalid parameter \"budget=10ms\" in \"helix_adapt\", one of "
          "\"step=\", \"p95=\", \"factor=\", \"alpha=\" is expected" },
        { "helix_adapt", "p99=10ms",
          "invalid parameter \"p99=10ms\" in \"helix_adapt\", did you mean "
          "\"p95\"?" },
        { "helix_inline_threshold", "cost=8000",
          "invalid parameter \"cost=8000\" in \"helix_inline_threshold\", a "
          "number such as \"8000\" is expected" },
        { "helix_bach", "size=8",
          "unknown directive \"helix_bach\"" }
    };

    (void) state;

    assert_errors(bad, sizeof(bad) / sizeof(bad[0]));
}


/* What a user wrote is shortened and stripped of control characters. */

static void
test_quote(void **state)
{
    char  text[4096];

    (void) state;

    assert_error("helix_pool", "queue=1\r\n[emerg]\x7f",
                 "invalid value \"1??[emerg]?\" of \"queue\" in "
                 "\"helix_pool\", a number such as \"512\" is expected");

    memset(text, 'z', sizeof(text));
    text[sizeof(text) - 1] = '\0';

    assert_error("helix_batch", text,
                 "invalid value "
                 "\"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz...\" in "
                 "\"helix_batch\", \"on\" or \"off\" is expected");
    assert_error("helix_pool", text,
                 "invalid parameter "
                 "\"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz...\" in "
                 "\"helix_pool\", one of \"concurrency=\", \"queue=\", "
                 "\"busy=\", \"nice=\", \"memory=\" is expected");

    /* not cut within a character */

    memcpy(&text[47], "\xc3\xa9", 2);
    assert_error("helix_batch", text,
                 "invalid value "
                 "\"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz...\" in "
                 "\"helix_batch\", \"on\" or \"off\" is expected");

    text[48] = '\0';
    text[47] = 'z';
    assert_error("helix_batch", text,
                 "invalid value "
                 "\"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\" in "
                 "\"helix_batch\", \"on\" or \"off\" is expected");
}


static void
assert_broken(const char *expected)
{
    char  error[HELIX_SETTING_ERROR_MAX];

    assert_false(helix_settings_check(&settings, error));
    assert_string_equal(error, expected);
    helix_settings_init(&settings);
}


static void
test_check(void **state)
{
    char  error[HELIX_SETTING_ERROR_MAX];

    (void) state;

    settings.inline_threshold = 60000;
    assert_broken("helix_inline_threshold 60000 must be below "
                  "helix_spawn_threshold 60000");

    settings.inline_threshold = 9007199254740992;
    settings.spawn_threshold = 9007199254740991;
    assert_broken("helix_inline_threshold 9007199254740992 must be below "
                  "helix_spawn_threshold 9007199254740991");

    settings.queue = 4;
    assert_broken("helix_pool queue=4 must be at least concurrency=8");

    settings.busy = 9;
    assert_broken("helix_pool busy=9 must be at most concurrency=8");

    /* the first one that is broken */

    settings.queue = 4;
    settings.busy = 9;
    assert_broken("helix_pool queue=4 must be at least concurrency=8");

    settings.queue = 4;
    settings.busy = 9;
    settings.spawn_threshold = 1;
    assert_broken("helix_inline_threshold 8000 must be below "
                  "helix_spawn_threshold 1");

    settings.inline_threshold = 59999;
    settings.queue = 8;
    settings.busy = 8;
    assert_true(helix_settings_check(&settings, error));

    settings.busy = 0;
    assert_true(helix_settings_check(&settings, error));
}


static const char *
nearest(const char *text)
{
    static const char *const  names[] = {
        "hashmix", "primecount", "montecarlo_risk", "p95", "delay", "a",
        "a_name_that_has_more_than_31_chars",
        "a_name_of_the_31_chars_at_most_", NULL
    };

    return helix_nearest(text, strlen(text), names);
}


static void
test_nearest(void **state)
{
    static const char *const  twins[] = { "size", "side", NULL };
    static const char *const  none[] = { NULL };

    (void) state;

    assert_string_equal(nearest("hashmix"), "hashmix");
    assert_string_equal(nearest("HashMix"), "hashmix");
    assert_string_equal(nearest("hashmx"), "hashmix");
    assert_string_equal(nearest("hash_mix"), "hashmix");
    assert_string_equal(nearest("hsahmxi"), "hashmix");
    assert_string_equal(nearest("prime_cuont"), "primecount");
    assert_string_equal(nearest("montecarlo"), "montecarlo_risk");
    assert_string_equal(nearest("p59"), "p95");
    assert_string_equal(nearest("p9"), "p95");
    assert_string_equal(nearest("dealy"), "delay");
    assert_string_equal(nearest("dely"), "delay");
    assert_string_equal(nearest("delayy"), "delay");
    assert_string_equal(nearest("b"), "a");

    assert_null(nearest(""));
    assert_null(nearest("dly"));
    assert_null(nearest("hash"));
    assert_null(nearest("p123"));
    assert_null(nearest("a_name_that_has_more_than_31_chars"));
    assert_non_null(nearest("a_name_of_the_31_chars_at_most_"));
    assert_null(nearest("a_name_of_the_31_chars_at_most_x"));
    assert_null(nearest("hashmixhashmixhashmixhashmixhashmix"));

    /* the nearer one, and the first of equals; only "len" bytes are read */

    assert_string_equal(helix_nearest("side", 4, twins), "side");
    assert_string_equal(helix_nearest("sixe", 4, twins), "size");
    assert_string_equal(helix_nearest("sizeXXXX", 4, twins), "size");
    assert_null(helix_nearest("size", 4, none));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup(test_table, setup),
        cmocka_unit_test_setup(test_initial, setup),
        cmocka_unit_test_setup(test_resolve, setup),
        cmocka_unit_test_setup(test_good, setup),
        cmocka_unit_test_setup(test_good_initial, setup),
        cmocka_unit_test_setup(test_automatic, setup),
        cmocka_unit_test_setup(test_range, setup),
        cmocka_unit_test_setup(test_invalid, setup),
        cmocka_unit_test_setup(test_invalid_time, setup),
        cmocka_unit_test_setup(test_unknown, setup),
        cmocka_unit_test_setup(test_quote, setup),
        cmocka_unit_test_setup(test_check, setup),
        cmocka_unit_test_setup(test_nearest, setup)
    };

    return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
