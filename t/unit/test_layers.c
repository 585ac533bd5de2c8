
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "helix_layers.h"
#include "helix_policy.h"


static helix_layer_t       conf, file, runtime;
static helix_settings_t    settings;
static helix_violations_t  violations;
static helix_json_t        json;
static uint64_t            nulls;


static int
setup(void **state)
{
    (void) state;

    memset(&conf, 0, sizeof(conf));
    memset(&file, 0, sizeof(file));
    memset(&runtime, 0, sizeof(runtime));
    memset(&violations, 0, sizeof(violations));

    helix_settings_init(&settings);
    helix_layer_take(&conf, &settings);

    return 0;
}


static unsigned
row(const char *name)
{
    int  i;

    i = helix_settings_row(name, strlen(name));
    assert_true(i >= 0);

    return (unsigned) i;
}


static void
put(helix_layer_t *layer, const char *name, double value)
{
    unsigned  i;

    i = row(name);

    layer->set |= 1ULL << i;
    layer->values[i] = helix_layer_bits(&helix_settings_table[i], value);
}


static bool
parse(helix_layer_t *layer, const char *text)
{
    return helix_layer_parse(&json, text, strlen(text), 3, layer, &nulls,
                             &violations);
}


static void
test_rows(void **state)
{
    unsigned  i;

    (void) state;

    assert_true(helix_settings_rows() <= HELIX_LAYER_ROWS);

    for (i = 0; i < helix_settings_rows(); i++) {
        assert_int_equal(row(helix_settings_table[i].name), i);
        assert_true(helix_layer_number(&helix_settings_table[i],
                                       conf.values[i])
                    == helix_settings_table[i].initial);
        assert_int_equal(helix_layer_bits(&helix_settings_table[i],
                                          helix_settings_table[i].initial),
                         conf.values[i]);
    }

    assert_int_equal(helix_settings_row("ema_alph", 8), -1);
    assert_int_equal(helix_settings_row("ema_alpha", 8), -1);
    assert_int_equal(helix_settings_row("", 0), -1);
}


/* Every row, from each place: the later one goes first. */

static void
test_merge(void **state)
{
    double                  value;
    unsigned                i;
    helix_settings_t        merged;
    helix_layer_t           all;
    const helix_setting_t  *setting;

    (void) state;

    for (i = 0; i < helix_settings_rows(); i++) {
        setup(NULL);
        setting = &helix_settings_table[i];

        assert_int_equal(helix_layers_origin(&conf, &file, &runtime, i),
                         HELIX_ORIGIN_DEFAULT);

        conf.set |= 1ULL << i;
        assert_int_equal(helix_layers_origin(&conf, &file, &runtime, i),
                         HELIX_ORIGIN_CONF);

        put(&file, setting->name, setting->max);
        assert_int_equal(helix_layers_origin(&conf, &file, &runtime, i),
                         HELIX_ORIGIN_FILE);

        merged = settings;
        helix_layers_merge(&conf, &file, &runtime, &merged);
        helix_layer_take(&all, &merged);
        assert_true(helix_layer_number(setting, all.values[i])
                    == setting->max);

        value = (setting->min + setting->max) / 2;
        value = (setting->type == HELIX_SETTING_RATIO)
                ? value : (double) (uint64_t) value;
        put(&runtime, setting->name, value);
        assert_int_equal(helix_layers_origin(&conf, &file, &runtime, i),
                         HELIX_ORIGIN_RUNTIME);

        helix_layers_merge(&conf, &file, &runtime, &merged);
        helix_layer_take(&all, &merged);
        assert_true(helix_layer_number(setting, all.values[i]) == value);
    }
}


static void
test_busy(void **state)
{
    unsigned  n;

    (void) state;

    for (n = 1; n <= HELIX_CONCURRENCY_MAX; n++) {
        put(&runtime, "cpu_parallelism", n);
        helix_layers_merge(&conf, &file, &runtime, &settings);
        assert_int_equal(settings.busy, (7 * n + 7) / 8);
    }

    put(&file, "backpressure_busy_threshold", 3);
    helix_layers_merge(&conf, &file, &runtime, &settings);
    assert_int_equal(settings.busy, 3);

    put(&runtime, "backpressure_busy_threshold", 0);
    helix_layers_merge(&conf, &file, &runtime, &settings);
    assert_int_equal(settings.busy, 0);
}


static void
test_parse(void **state)
{
    (void) state;

    assert_true(parse(&runtime, "{}"));
    assert_int_equal(runtime.set, 0);

    assert_true(parse(&runtime, " {\"batch_max_size\":16,\"ema_alpha\":2e-1,"
                                "\"version\":{\"a\":[1]},\"batching\":false,"
                                "\"cpu_parallelism\":\"auto\","
                                "\"cpu_queue_cap\":null,"
                                "\"backpressure_busy_threshold\":\"off\"} "));
    assert_int_equal(violations.n, 0);
    assert_int_equal(runtime.values[row("batch_max_size")], 16);
    assert_int_equal(runtime.values[row("batching")], 0);
    assert_int_equal(runtime.values[row("cpu_parallelism")], 3);
    assert_int_equal(runtime.values[row("backpressure_busy_threshold")], 0);
    assert_true(helix_layer_number(&helix_settings_table[row("ema_alpha")],
                                   runtime.values[row("ema_alpha")]) == 0.2);
    assert_int_equal(nulls, 1ULL << row("cpu_queue_cap"));
    assert_int_equal(__builtin_popcountll(runtime.set), 5);
}


static void
test_parse_errors(void **state)
{
    size_t  i;

    static const struct {
        const char  *text;
        size_t       offset;
    } bad[] = {
        { "", 0 }, { "null", 0 }, { "[]", 0 }, { "{", 1 }, { "{}{", 2 },
        { "{\"ema_alpha\":}", 13 }, { "{\"x\":[1}", 7 },
        { "{\"ema_alpha\":1,\"ema_alpha\":1}", 16 },
        { "{\"ema_alpha\":1,\"ema\\u005falpha\":1}", 16 },
        { "{\"ema_alpha\":null,\"ema_alpha\":\"x\"}", 19 }
    };

    (void) state;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(parse(&runtime, bad[i].text));
        assert_non_null(json.error);
        assert_int_equal(json.pos - json.start, bad[i].offset);
    }
}


/* Of every row: the ends of its range, and what is beyond them. */

static void
test_range(void **state)
{
    char                    text[128];
    unsigned                i, k;
    const helix_setting_t  *setting;

    (void) state;

    for (i = 0; i < helix_settings_rows(); i++) {
        setting = &helix_settings_table[i];

        if (setting->type == HELIX_SETTING_FLAG) {
            snprintf(text, sizeof(text), "{\"%s\":1}", setting->name);
            assert_true(parse(&runtime, text));
            assert_int_equal(violations.n, 1);
            assert_int_equal(violations.list[0].rule, HELIX_RULE_TYPE);
            continue;
        }

        for (k = 0; k < 4; k++) {
            snprintf(text, sizeof(text), "{\"%s\":%.17g}", setting->name,
                     (k == 0) ? setting->min : (k == 1) ? setting->max
                     : (k == 2) ? setting->max + setting->max
                     : setting->min - 1);

            /* "0" is off */

            if (k == 3 && (setting->flags & HELIX_SETTING_OFF)) {
                continue;
            }

            assert_true(parse(&runtime, text));
            assert_int_equal(violations.n,
                             (k > 1) || (k == 0 && setting->above));

            if (violations.n) {
                assert_int_equal(violations.list[0].rule, HELIX_RULE_RANGE);
                assert_ptr_equal(violations.list[0].row, setting);
                assert_int_equal(runtime.set, 0);
            }
        }

        snprintf(text, sizeof(text), "{\"%s\":\"8\"}", setting->name);
        assert_true(parse(&runtime, text));
        assert_int_equal(violations.list[0].rule, HELIX_RULE_TYPE);
        snprintf(text, sizeof(text), "{\"%s\":{\"a\":1}}", setting->name);
        assert_true(parse(&runtime, text));
        assert_int_equal(violations.list[0].rule, HELIX_RULE_TYPE);
    }
}


static void
test_unknown(void **state)
{
    unsigned  i;
    char      text[2048] = "{", *p;

    (void) state;

    assert_true(parse(&runtime, "{\"batch_max_siz\":1,\"zzzzzz\":2}"));
    assert_int_equal(violations.n, 2);
    assert_int_equal(violations.list[0].rule, HELIX_RULE_UNKNOWN);
    assert_string_equal(violations.list[0].nearest, "batch_max_size");
    assert_null(violations.list[1].nearest);
    assert_string_equal(violations.list[0].text,
                        "there is no setting \"batch_max_siz\", did you mean "
                        "\"batch_max_size\"?");

    /* no more than are told */

    p = text + 1;

    for (i = 0; i < 2 * HELIX_VIOLATIONS_MAX; i++) {
        p += sprintf(p, "%s\"x%u\":1", i ? "," : "", i);
    }

    sprintf(p, "}");
    assert_true(parse(&runtime, text));
    assert_int_equal(violations.n, HELIX_VIOLATIONS_MAX);
}


static void
test_verify(void **state)
{
    (void) state;

    settings.inline_threshold = 60000;
    settings.queue = 4;
    settings.busy = 9;

    helix_settings_verify(&settings, 0, 4, &violations);
    assert_int_equal(violations.n, 3);
    assert_string_equal(violations.list[0].text, "inline_threshold 60000 must "
                        "be below spawn_threshold 60000");
    assert_string_equal(violations.list[1].text,
                        "cpu_queue_cap 4 must be at least cpu_parallelism 8");
    assert_string_equal(violations.list[2].text,
                        "backpressure_busy_threshold 9 must be at most "
                        "cpu_parallelism 8");
    assert_string_equal(violations.list[0].row->name, "inline_threshold");

    /* who was changed is told of */

    violations.n = 0;
    helix_settings_verify(&settings, 1ULL << row("spawn_threshold")
                                     | 1ULL << row("cpu_parallelism"), 4,
                          &violations);
    assert_int_equal(violations.n, 4);
    assert_string_equal(violations.list[0].row->name, "spawn_threshold");
    assert_string_equal(violations.list[0].other->name, "inline_threshold");
    assert_int_equal(violations.list[3].rule, HELIX_RULE_THREADS);
    assert_true(violations.list[3].value == 8);

    violations.n = 0;
    helix_settings_init(&settings);
    helix_settings_verify(&settings, (uint64_t) -1, 0, &violations);
    helix_settings_verify(&settings, (uint64_t) -1, 8, &violations);
    assert_int_equal(violations.n, 0);
}


static void
test_fixed(void **state)
{
    (void) state;

    put(&runtime, "pool_nice", 5);
    put(&runtime, "ema_alpha", 0.5);
    helix_layer_fixed(&runtime, &conf, &violations);
    assert_int_equal(violations.n, 0);
    assert_int_equal(runtime.set, 1ULL << row("ema_alpha"));

    put(&runtime, "pool_nice", 6);
    helix_layer_fixed(&runtime, &conf, &violations);
    assert_int_equal(violations.n, 1);
    assert_int_equal(violations.list[0].rule, HELIX_RULE_FIXED);
    assert_int_equal(runtime.set, 1ULL << row("ema_alpha"));

    assert_false(helix_setting_allows(&helix_settings_table[row("pool_nice")],
                                      5));
    assert_true(helix_setting_allows(
                             &helix_settings_table[row("batch_max_size")], 2));
    assert_false(helix_setting_allows(
                             &helix_settings_table[row("batch_max_size")], 1));
}


/* ceil(busy (1 - p)), at least 1; never more than before, exact at 0 */

static void
test_external_busy(void **state)
{
    double    pressure;
    uint64_t  busy, limit, before;
    unsigned  i;

    (void) state;

    for (busy = 1; busy <= HELIX_CONCURRENCY_MAX; busy++) {
        assert_int_equal(helix_threshold_busy(busy, 0), busy);
        assert_int_equal(helix_threshold_busy(busy, 1), 1);
        assert_int_equal(helix_threshold_busy(busy, 1e-12), busy);
        assert_int_equal(helix_threshold_busy(busy, 0.0 / 0.0), busy);

        before = busy;

        for (i = 0; i <= 1000; i++) {
            pressure = i / 1000.0;
            limit = helix_threshold_busy(busy, pressure);

            assert_true(limit >= 1 && limit <= before);
            assert_true((double) limit + 1e-9 >= (double) busy
                                                 * (1 - pressure));
            assert_true(limit == 1 || (double) (limit - 1)
                                      < (double) busy * (1 - pressure));
            before = limit;
        }
    }

    assert_int_equal(helix_threshold_busy(0, 1), 0);
    assert_int_equal(helix_threshold_busy(4, 0.25), 3);
    assert_int_equal(helix_threshold_busy(7, 0.5), 4);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup(test_rows, setup),
        cmocka_unit_test_setup(test_merge, setup),
        cmocka_unit_test_setup(test_busy, setup),
        cmocka_unit_test_setup(test_parse, setup),
        cmocka_unit_test_setup(test_parse_errors, setup),
        cmocka_unit_test_setup(test_range, setup),
        cmocka_unit_test_setup(test_unknown, setup),
        cmocka_unit_test_setup(test_verify, setup),
        cmocka_unit_test_setup(test_fixed, setup),
        cmocka_unit_test_setup(test_external_busy, setup)
    };

    return cmocka_run_group_tests_name("layers", tests, NULL, NULL);
}
