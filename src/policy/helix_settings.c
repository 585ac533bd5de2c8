
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "helix_json.h"
#include "helix_layer.h"
#include "helix_settings.h"


#define HELIX_COST_MAX          9007199254740992.0   /* 2^53 */

#define HELIX_PARAMETERS_MAX    8                    /* of one directive */
#define HELIX_QUOTE_MAX         48                   /* bytes of user's text */
#define HELIX_EXPECTED_MAX      96


const helix_setting_t  helix_settings_table[] = {

    { "inline_threshold", "helix_inline_threshold", NULL,
      HELIX_SETTING_NUMBER, 0, offsetof(helix_settings_t, inline_threshold),
      8000, 1, HELIX_COST_MAX, false },

    { "spawn_threshold", "helix_spawn_threshold", NULL,
      HELIX_SETTING_NUMBER, 0, offsetof(helix_settings_t, spawn_threshold),
      60000, 1, HELIX_COST_MAX, false },

    { "cpu_parallelism", "helix_pool", "concurrency",
      HELIX_SETTING_NUMBER, HELIX_SETTING_AUTO,
      offsetof(helix_settings_t, concurrency),
      8, 1, HELIX_CONCURRENCY_MAX, false },
    { "cpu_queue_cap", "helix_pool", "queue",
      HELIX_SETTING_NUMBER, 0, offsetof(helix_settings_t, queue),
      512, 1, HELIX_QUEUE_MAX, false },
    { "backpressure_busy_threshold", "helix_pool", "busy",
      HELIX_SETTING_NUMBER, HELIX_SETTING_OFF,
      offsetof(helix_settings_t, busy),
      7, 1, HELIX_CONCURRENCY_MAX, false },
    { "pool_nice", "helix_pool", "nice",
      HELIX_SETTING_NUMBER, HELIX_SETTING_FIXED,
      offsetof(helix_settings_t, nice),
      5, 0, 19, false },
    { "pool_memory_bytes", "helix_pool", "memory",
      HELIX_SETTING_SIZE, 0, offsetof(helix_settings_t, memory),
      536870912, 1048576, 1099511627776, false },

    { "batching", "helix_batch", NULL,
      HELIX_SETTING_FLAG, 0, offsetof(helix_settings_t, batching),
      1, 0, 1, false },
    { "batch_max_size", "helix_batch", "size",
      HELIX_SETTING_NUMBER, 0, offsetof(helix_settings_t, batch_size),
      8, 2, HELIX_BATCH_MAX, false },
    { "batch_max_delay_ms", "helix_batch", "delay",
      HELIX_SETTING_TIME, 0, offsetof(helix_settings_t, batch_delay),
      10, 1, 10000, false },

    { "enable_adaptive_threshold", "helix_adapt", NULL,
      HELIX_SETTING_FLAG, 0, offsetof(helix_settings_t, adapt),
      1, 0, 1, false },
    { "adaptive_step", "helix_adapt", "step",
      HELIX_SETTING_RATIO, 0, offsetof(helix_settings_t, adapt_step),
      0.10, 0, 1, true },
    { "cpu_p95_budget_ms", "helix_adapt", "p95",
      HELIX_SETTING_TIME, 0, offsetof(helix_settings_t, adapt_p95),
      200, 1, 600000, false },
    { "adaptive_p95_threshold_factor", "helix_adapt", "factor",
      HELIX_SETTING_RATIO, 0, offsetof(helix_settings_t, adapt_factor),
      1.5, 1, 100, false },
    { "ema_alpha", "helix_adapt", "alpha",
      HELIX_SETTING_RATIO, 0, offsetof(helix_settings_t, alpha),
      0.15, 0, 1, true },

    { NULL, NULL, NULL, HELIX_SETTING_NUMBER, 0, 0, 0, 0, 0, false }
};


_Static_assert(sizeof(helix_settings_table) / sizeof(helix_setting_t)
               <= HELIX_LAYER_ROWS + 1, "a layer has a bit for each row");


/* in the order in which they may be written */

static const struct {
    const char  *name;
    size_t       len;
    uint64_t     ms;
} helix_time_units[] = {
    { "h",  1, 3600000 },
    { "m",  1, 60000 },
    { "s",  1, 1000 },
    { "ms", 2, 1 }
};

static const char  helix_size_units[] = "kmg";    /* powers of 1024 */

#define HELIX_TIME_UNITS                                                      \
    (sizeof(helix_time_units) / sizeof(helix_time_units[0]))


static bool helix_setting_is(const char *value, size_t len, const char *word);
static helix_number_result_t helix_setting_integer(const helix_setting_t *row,
    const char *value, size_t len, uint64_t automatic, uint64_t *number);
static helix_number_result_t helix_setting_size(const char *text, size_t len,
    uint64_t *bytes);
static helix_number_result_t helix_setting_time(const char *text, size_t len,
    uint64_t *ms);
static size_t helix_setting_time_unit(const char *text, const char *end,
    size_t first);
static void helix_setting_unknown(const char *directive,
    const helix_setting_t *bare, const char *text, size_t name_len,
    size_t len, char *error);
static void helix_setting_list(const char *directive, const char **names,
    char *expected);
static void helix_setting_invalid(const helix_setting_t *row,
    const char *value, size_t len, char *error);
static void helix_setting_range(const helix_setting_t *row, const char *value,
    size_t len, char *error);
static void helix_setting_expected(const helix_setting_t *row, char *dst);


void
helix_settings_init(helix_settings_t *settings)
{
    char                   *field;
    uint64_t                number;
    const helix_setting_t  *row;

    memset(settings, 0, sizeof(helix_settings_t));

    settings->predictive = true;

    for (row = helix_settings_table; row->name != NULL; row++) {
        field = (char *) settings + row->offset;

        if (row->type == HELIX_SETTING_RATIO) {
            memcpy(field, &row->initial, sizeof(row->initial));
            continue;
        }

        number = (uint64_t) row->initial;
        memcpy(field, &number, sizeof(number));
    }
}


void
helix_settings_resolve(helix_settings_t *settings, bool busy_set)
{
    if (!busy_set) {
        settings->busy = (7 * settings->concurrency + 7) / 8;
    }
}


const helix_setting_t *
helix_setting_find(const char *directive, const char *text, size_t len,
    const char **value, size_t *value_len, char *error)
{
    size_t                  n;
    const char             *equals;
    const helix_setting_t  *row, *bare, *found;

    equals = memchr(text, '=', len);
    n = (equals != NULL) ? (size_t) (equals - text) : len;
    bare = NULL;
    found = NULL;

    for (row = helix_settings_table; row->name != NULL; row++) {

        if (strcmp(row->directive, directive) != 0) {
            continue;
        }

        if (row->parameter == NULL) {
            bare = row;

        } else if (strlen(row->parameter) == n
                   && memcmp(row->parameter, text, n) == 0)
        {
            found = row;
        }
    }

    /* "size" alone is a forgotten value, not a bare one */

    if (equals == NULL && bare != NULL && found == NULL) {
        *value = text;
        *value_len = len;
        return bare;
    }

    if (equals != NULL && found != NULL) {
        *value = equals + 1;
        *value_len = len - n - 1;
        return found;
    }

    helix_setting_unknown(directive, bare, text, n, len, error);

    return NULL;
}


bool
helix_setting_set(const helix_setting_t *row, helix_settings_t *settings,
    const char *value, size_t len, uint64_t automatic, char *error)
{
    char                  *field;
    double                 ratio;
    uint64_t               number;
    helix_number_result_t  rc;

    field = (char *) settings + row->offset;

    if (row->type == HELIX_SETTING_RATIO) {
        rc = helix_number_double(value, len, &ratio);

        if (rc == HELIX_NUMBER_OK
            && (ratio < row->min || ratio > row->max
                || (row->above && ratio <= row->min)))
        {
            rc = HELIX_NUMBER_RANGE;
        }

        if (rc == HELIX_NUMBER_OK) {
            memcpy(field, &ratio, sizeof(ratio));
        }

    } else {
        rc = helix_setting_integer(row, value, len, automatic, &number);

        if (rc == HELIX_NUMBER_OK) {
            memcpy(field, &number, sizeof(number));
        }
    }

    if (rc == HELIX_NUMBER_SYNTAX) {
        helix_setting_invalid(row, value, len, error);
    }

    if (rc == HELIX_NUMBER_RANGE) {
        helix_setting_range(row, value, len, error);
    }

    return rc == HELIX_NUMBER_OK;
}


static bool
helix_setting_is(const char *value, size_t len, const char *word)
{
    size_t  i;

    if (len != strlen(word)) {
        return false;
    }

    for (i = 0; i < len; i++) {
        if (helix_lower(value[i]) != word[i]) {
            return false;
        }
    }

    return true;
}


static helix_number_result_t
helix_setting_integer(const helix_setting_t *row, const char *value,
    size_t len, uint64_t automatic, uint64_t *number)
{
    uint64_t               min, max;
    helix_number_result_t  rc;

    min = (uint64_t) row->min;
    max = (uint64_t) row->max;

    if (row->type == HELIX_SETTING_FLAG) {
        *number = helix_setting_is(value, len, "on");

        return (*number == 1 || helix_setting_is(value, len, "off"))
               ? HELIX_NUMBER_OK : HELIX_NUMBER_SYNTAX;
    }

    if ((row->flags & HELIX_SETTING_OFF)
        && helix_setting_is(value, len, "off"))
    {
        *number = 0;
        return HELIX_NUMBER_OK;
    }

    if ((row->flags & HELIX_SETTING_AUTO)
        && helix_setting_is(value, len, "auto"))
    {
        /* a host with more CPUs than the range allows is no user's error */

        *number = (automatic < min) ? min : automatic;
        *number = (*number > max) ? max : *number;
        return HELIX_NUMBER_OK;
    }

    switch (row->type) {

    case HELIX_SETTING_TIME:
        rc = helix_setting_time(value, len, number);
        break;

    case HELIX_SETTING_SIZE:
        rc = helix_setting_size(value, len, number);
        break;

    default: /* HELIX_SETTING_NUMBER */
        rc = helix_number_u64(value, len, number);
    }

    if (rc == HELIX_NUMBER_OK && (*number < min || *number > max)) {
        return HELIX_NUMBER_RANGE;
    }

    return rc;
}


/* A number of bytes, or of units of one of helix_size_units. */

static helix_number_result_t
helix_setting_size(const char *text, size_t len, uint64_t *bytes)
{
    const char             *unit;
    unsigned                shift;
    helix_number_result_t   rc;

    unit = len ? memchr(helix_size_units, helix_lower(text[len - 1]),
                        sizeof(helix_size_units) - 1)
               : NULL;

    shift = unit ? 10 * (unsigned) (unit - helix_size_units + 1) : 0;

    rc = helix_number_u64(text, len - (unit != NULL), bytes);

    if (rc == HELIX_NUMBER_OK && *bytes > (UINT64_MAX >> shift)) {
        return HELIX_NUMBER_RANGE;
    }

    *bytes <<= shift;

    return rc;
}


/* "1m30s": numbers with units, each unit once, larger ones first. */

static helix_number_result_t
helix_setting_time(const char *text, size_t len, uint64_t *ms)
{
    size_t       unit, next;
    uint64_t     number;
    const char  *p, *end, *start;

    *ms = 0;
    end = text + len;
    next = 0;

    if (len == 0) {
        return HELIX_NUMBER_SYNTAX;
    }

    for (p = text; p < end; p += helix_time_units[unit].len) {
        number = 0;

        for (start = p; p < end && *p >= '0' && *p <= '9'; p++) {
            number = number * 10 + (uint64_t) (*p - '0');

            /* far above every maximum, far below an overflow */

            if (number > UINT32_MAX) {
                number = UINT32_MAX;
            }
        }

        unit = helix_setting_time_unit(p, end, next);

        if (p == start || unit == HELIX_TIME_UNITS) {
            return HELIX_NUMBER_SYNTAX;
        }

        *ms += number * helix_time_units[unit].ms;
        next = unit + 1;
    }

    return HELIX_NUMBER_OK;
}


static size_t
helix_setting_time_unit(const char *text, const char *end, size_t first)
{
    size_t  i, n;

    for (n = 0; text + n < end && (text[n] < '0' || text[n] > '9'); n++) {
        /* void */
    }

    for (i = first; i < HELIX_TIME_UNITS; i++) {
        if (helix_time_units[i].len == n
            && memcmp(helix_time_units[i].name, text, n) == 0)
        {
            break;
        }
    }

    return i;
}


static void
helix_setting_unknown(const char *directive, const helix_setting_t *bare,
    const char *text, size_t name_len, size_t len, char *error)
{
    char         quoted[HELIX_SETTING_QUOTE_MAX];
    char         expected[HELIX_EXPECTED_MAX];
    const char  *near;
    const char  *names[HELIX_PARAMETERS_MAX + 1];

    helix_setting_quote(text, len, quoted);
    helix_setting_list(directive, names, expected);
    near = helix_nearest(text, name_len, names);

    if (near != NULL) {
        snprintf(error, HELIX_SETTING_ERROR_MAX,
                 "invalid parameter \"%s\" in \"%s\", did you mean \"%s%s\"?",
                 quoted, directive, near, (name_len == len) ? "=" : "");
        return;
    }

    if (names[0] == NULL && bare != NULL) {
        helix_setting_expected(bare, expected);

    } else if (names[0] == NULL) {
        snprintf(error, HELIX_SETTING_ERROR_MAX, "unknown directive \"%.48s\"",
                 directive);
        return;
    }

    snprintf(error, HELIX_SETTING_ERROR_MAX,
             "invalid parameter \"%s\" in \"%s\", %s is expected",
             quoted, directive, expected);
}


/* The parameters of a directive, and the sentence that offers them. */

static void
helix_setting_list(const char *directive, const char **names, char *expected)
{
    size_t                  n, used;
    const helix_setting_t  *row;

    n = 0;
    used = 0;

    for (row = helix_settings_table; row->name != NULL; row++) {
        if (row->parameter == NULL || n == HELIX_PARAMETERS_MAX
            || strcmp(row->directive, directive) != 0)
        {
            continue;
        }

        used += (size_t) snprintf(expected + used, HELIX_EXPECTED_MAX - used,
                                  "%s\"%s=\"", (n == 0) ? "one of " : ", ",
                                  row->parameter);
        names[n++] = row->parameter;
    }

    names[n] = NULL;
}


static void
helix_setting_invalid(const helix_setting_t *row, const char *value,
    size_t len, char *error)
{
    char  quoted[HELIX_SETTING_QUOTE_MAX];
    char  expected[HELIX_EXPECTED_MAX];

    helix_setting_quote(value, len, quoted);
    helix_setting_expected(row, expected);

    if (row->parameter == NULL) {
        snprintf(error, HELIX_SETTING_ERROR_MAX,
                 "invalid value \"%s\" in \"%s\", %s is expected",
                 quoted, row->directive, expected);
        return;
    }

    snprintf(error, HELIX_SETTING_ERROR_MAX,
             "invalid value \"%s\" of \"%s\" in \"%s\", %s is expected",
             quoted, row->parameter, row->directive, expected);
}


static void
helix_setting_range(const helix_setting_t *row, const char *value, size_t len,
    char *error)
{
    char         min[HELIX_SETTING_TEXT_MAX];
    char         max[HELIX_SETTING_TEXT_MAX];
    char         quoted[HELIX_SETTING_QUOTE_MAX];
    const char  *parameter, *equals;

    helix_setting_quote(value, len, quoted);
    helix_setting_print(row, row->min, min);
    helix_setting_print(row, row->max, max);

    parameter = (row->parameter != NULL) ? row->parameter : "";
    equals = (row->parameter != NULL) ? "=" : "";

    if (row->above) {
        snprintf(error, HELIX_SETTING_ERROR_MAX,
                 "%s %s%s%s is out of range, above %s and at most %s is "
                 "expected",
                 row->directive, parameter, equals, quoted, min, max);
        return;
    }

    snprintf(error, HELIX_SETTING_ERROR_MAX,
             "%s %s%s%s is out of range %s-%s",
             row->directive, parameter, equals, quoted, min, max);
}


static void
helix_setting_expected(const helix_setting_t *row, char *dst)
{
    char         initial[HELIX_SETTING_TEXT_MAX];
    const char  *noun, *word;

    if (row->type == HELIX_SETTING_FLAG) {
        snprintf(dst, HELIX_EXPECTED_MAX, "\"on\" or \"off\"");
        return;
    }

    noun = (row->type == HELIX_SETTING_TIME) ? "time"
           : (row->type == HELIX_SETTING_SIZE) ? "size" : "number";
    word = (row->flags & HELIX_SETTING_AUTO) ? " or \"auto\""
           : (row->flags & HELIX_SETTING_OFF) ? " or \"off\"" : "";

    helix_setting_print(row, row->initial, initial);
    snprintf(dst, HELIX_EXPECTED_MAX, "a %s such as \"%s\"%s",
             noun, initial, word);
}


void
helix_setting_print(const helix_setting_t *row, double value, char *dst)
{
    size_t    i;
    uint64_t  number;

    if (row->type == HELIX_SETTING_RATIO) {
        dst[helix_number_print(value, dst)] = '\0';
        return;
    }

    number = (uint64_t) value;

    if (row->type == HELIX_SETTING_FLAG
        || (number == 0 && (row->flags & HELIX_SETTING_OFF)))
    {
        snprintf(dst, HELIX_SETTING_TEXT_MAX, "%s", number ? "on" : "off");
        return;
    }

    if (row->type == HELIX_SETTING_SIZE) {
        for (i = 0; i < sizeof(helix_size_units) - 1 && number != 0
                    && number % 1024 == 0; i++)
        {
            number /= 1024;
        }

        snprintf(dst, HELIX_SETTING_TEXT_MAX, "%" PRIu64 "%.*s", number,
                 i ? 1 : 0, &helix_size_units[i ? i - 1 : 0]);
        return;
    }

    if (row->type != HELIX_SETTING_TIME) {
        snprintf(dst, HELIX_SETTING_TEXT_MAX, "%" PRIu64, number);
        return;
    }

    for (i = 0; i < HELIX_TIME_UNITS - 1; i++) {
        if (number != 0 && number % helix_time_units[i].ms == 0) {
            break;
        }
    }

    snprintf(dst, HELIX_SETTING_TEXT_MAX, "%" PRIu64 "%s",
             number / helix_time_units[i].ms, helix_time_units[i].name);
}


void
helix_setting_quote(const char *text, size_t len, char *dst)
{
    char    c;
    size_t  i, n;

    n = len;

    if (n > HELIX_QUOTE_MAX) {
        n = HELIX_QUOTE_MAX;

        /* not within a character of UTF-8 */

        while (n > 0 && ((unsigned char) text[n] & 0xc0) == 0x80) {
            n--;
        }
    }

    for (i = 0; i < n; i++) {
        c = text[i];
        dst[i] = ((unsigned char) c < 0x20 || c == 0x7f) ? '?' : c;
    }

    if (n < len) {
        memcpy(&dst[n], "...", 3);
        n += 3;
    }

    dst[n] = '\0';
}


/*
 * Levenshtein's distance, except that two neighbours that changed places are
 * one edit: "dealy" is as near to "delay" as "dely" is.
 */
