
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "helix_layers.h"


#define HELIX_SIDE_MAX  112


typedef enum {
    HELIX_BELOW = 0,
    HELIX_AT_LEAST,
    HELIX_AT_MOST
} helix_relation_t;


static void helix_relation_side(const helix_setting_t *row,
    const helix_setting_t *before, double value, char *dst, size_t size);


const char *const  helix_origin_names[HELIX_ORIGINS + 1] = {
    "default",
    "nginx.conf",
    "file",
    "runtime",
    NULL
};

const char *const  helix_rule_names[HELIX_RULES + 1] = {
    "unknown",
    "type",
    "range",
    "directive only",
    "order",
    "threads",
    NULL
};


static const struct {
    size_t             left;
    helix_relation_t   relation;
    size_t             right;
} helix_relations[] = {
    { offsetof(helix_settings_t, inline_threshold), HELIX_BELOW,
      offsetof(helix_settings_t, spawn_threshold) },
    { offsetof(helix_settings_t, queue), HELIX_AT_LEAST,
      offsetof(helix_settings_t, concurrency) },
    { offsetof(helix_settings_t, busy), HELIX_AT_MOST,
      offsetof(helix_settings_t, concurrency) }
};

static const char *const  helix_relation_names[] = {
    "below", "at least", "at most"
};

#define HELIX_RELATIONS                                                       \
    (sizeof(helix_relations) / sizeof(helix_relations[0]))


unsigned
helix_settings_rows(void)
{
    unsigned  n;

    for (n = 0; helix_settings_table[n].name != NULL; n++) { /* void */ }

    return n;
}


int
helix_settings_row(const char *name, size_t len)
{
    int  i;

    for (i = 0; helix_settings_table[i].name != NULL; i++) {
        if (strlen(helix_settings_table[i].name) == len
            && memcmp(helix_settings_table[i].name, name, len) == 0)
        {
            return i;
        }
    }

    return -1;
}


double
helix_layer_number(const helix_setting_t *row, uint64_t bits)
{
    double  ratio;

    if (row->type != HELIX_SETTING_RATIO) {
        return (double) bits;
    }

    memcpy(&ratio, &bits, sizeof(ratio));

    return ratio;
}


uint64_t
helix_layer_bits(const helix_setting_t *row, double number)
{
    uint64_t  bits;

    if (row->type != HELIX_SETTING_RATIO) {
        return (uint64_t) number;
    }

    memcpy(&bits, &number, sizeof(bits));

    return bits;
}


bool
helix_setting_allows(const helix_setting_t *row, uint64_t bits)
{
    return !(row->flags & HELIX_SETTING_FIXED)
           && helix_setting_spans(row, helix_layer_number(row, bits));
}


bool
helix_setting_spans(const helix_setting_t *row, double number)
{
    if (number == 0 && (row->flags & HELIX_SETTING_OFF)) {
        return true;
    }

    return number >= row->min && number <= row->max
           && !(row->above && number <= row->min);
}


void
helix_layer_take(helix_layer_t *layer, const helix_settings_t *settings)
{
    unsigned  i;

    for (i = 0; helix_settings_table[i].name != NULL; i++) {
        memcpy(&layer->values[i],
               (const char *) settings + helix_settings_table[i].offset,
               sizeof(uint64_t));
    }
}


void
helix_layers_merge(const helix_layer_t *conf, const helix_layer_t *file,
    const helix_layer_t *runtime, helix_settings_t *settings)
{
    bool                    busy_set;
    unsigned                i;
    const helix_layer_t    *layer;
    const helix_setting_t  *row;

    busy_set = false;

    for (i = 0; helix_settings_table[i].name != NULL; i++) {
        row = &helix_settings_table[i];

        layer = helix_layer_has(runtime, i) ? runtime
                : helix_layer_has(file, i) ? file : conf;

        memcpy((char *) settings + row->offset, &layer->values[i],
               sizeof(uint64_t));

        if (row->offset == offsetof(helix_settings_t, busy)) {
            busy_set = (helix_layer_has(layer, i) != 0);
        }
    }

    helix_settings_resolve(settings, busy_set);
}


helix_origin_t
helix_layers_origin(const helix_layer_t *conf, const helix_layer_t *file,
    const helix_layer_t *runtime, unsigned row)
{
    return helix_layer_has(runtime, row) ? HELIX_ORIGIN_RUNTIME
           : helix_layer_has(file, row) ? HELIX_ORIGIN_FILE
           : helix_layer_has(conf, row) ? HELIX_ORIGIN_CONF
           : HELIX_ORIGIN_DEFAULT;
}


/* The relation that is broken, with its two rows; NULL: there is none any
   more. */

static const char *
helix_relation_broken(const helix_settings_t *settings, size_t *i,
    const helix_setting_t **left, const helix_setting_t **right,
    double values[2])
{
    bool                    holds;
    uint64_t                a, b;
    helix_relation_t        relation;
    const helix_setting_t  *row;

    *left = helix_settings_table;
    *right = helix_settings_table;

    for ( /* void */ ; *i < HELIX_RELATIONS; (*i)++) {
        relation = helix_relations[*i].relation;

        memcpy(&a, (const char *) settings + helix_relations[*i].left,
               sizeof(a));
        memcpy(&b, (const char *) settings + helix_relations[*i].right,
               sizeof(b));

        holds = (relation == HELIX_BELOW) ? (a < b)
                : (relation == HELIX_AT_LEAST) ? (a >= b) : (a <= b);

        if (holds) {
            continue;
        }

        for (row = helix_settings_table; row->name != NULL; row++) {
            if (row->offset == helix_relations[*i].left) {
                *left = row;
            }

            if (row->offset == helix_relations[*i].right) {
                *right = row;
            }
        }

        values[0] = (double) a;
        values[1] = (double) b;
        (*i)++;

        return helix_relation_names[relation];
    }

    return NULL;
}


bool
helix_settings_check(const helix_settings_t *settings, char *error)
{
    char                    left[HELIX_SIDE_MAX], right[HELIX_SIDE_MAX];
    double                  values[2];
    size_t                  i;
    const char             *relation;
    const helix_setting_t  *a, *b;

    i = 0;
    relation = helix_relation_broken(settings, &i, &a, &b, values);

    if (relation == NULL) {
        return true;
    }

    helix_relation_side(a, NULL, values[0], left, sizeof(left));
    helix_relation_side(b, a, values[1], right, sizeof(right));

    snprintf(error, HELIX_SETTING_ERROR_MAX, "%s must be %s %s",
             left, relation, right);

    return false;
}


/* "helix_pool queue=4", or "concurrency=8" when that directive was named. */

static void
helix_relation_side(const helix_setting_t *row, const helix_setting_t *before,
    double value, char *dst, size_t size)
{
    char  text[HELIX_SETTING_TEXT_MAX];
    bool  named;

    helix_setting_print(row, value, text);

    named = (before != NULL && row->parameter != NULL
             && strcmp(before->directive, row->directive) == 0);

    snprintf(dst, size, "%s%s%s%s%s",
             named ? "" : row->directive, named ? "" : " ",
             row->parameter ? row->parameter : "", row->parameter ? "=" : "",
             text);
}


void
helix_layer_fixed(helix_layer_t *layer, const helix_layer_t *conf,
    helix_violations_t *violations)
{
    unsigned                i;
    helix_violation_t      *v;
    const helix_setting_t  *row;

    for (i = 0; helix_settings_table[i].name != NULL; i++) {
        row = &helix_settings_table[i];

        if (!(row->flags & HELIX_SETTING_FIXED) || !helix_layer_has(layer, i))
        {
            continue;
        }

        layer->set &= ~(1ULL << i);

        if (layer->values[i] == conf->values[i]
            || violations->n == HELIX_VIOLATIONS_MAX)
        {
            continue;
        }

        v = &violations->list[violations->n++];
        memset(v, 0, sizeof(helix_violation_t));

        v->rule = HELIX_RULE_FIXED;
        v->row = row;
        v->value = helix_layer_number(row, layer->values[i]);

        snprintf(v->text, HELIX_SETTING_ERROR_MAX,
                 "%s cannot be changed while nginx runs, only by the "
                 "directive %s", row->name, row->directive);
    }
}


void
helix_settings_verify(const helix_settings_t *settings, uint64_t changed,
    uint64_t threads, helix_violations_t *violations)
{
    double                  values[2];
    size_t                  i;
    unsigned                right;
    const char             *relation;
    helix_violation_t      *v;
    const helix_setting_t  *rows[2];

    i = 0;

    while (violations->n < HELIX_VIOLATIONS_MAX) {
        v = &violations->list[violations->n];
        memset(v, 0, sizeof(helix_violation_t));

        relation = helix_relation_broken(settings, &i, &rows[0], &rows[1],
                                         values);
        if (relation == NULL) {
            break;
        }

        right = (changed >> (rows[1] - helix_settings_table) & 1)
                && !(changed >> (rows[0] - helix_settings_table) & 1);

        v->rule = HELIX_RULE_ORDER;
        v->row = rows[right];
        v->other = rows[!right];
        v->value = values[right];

        snprintf(v->text, HELIX_SETTING_ERROR_MAX,
                 "%s %.0f must be %s %s %.0f",
                 rows[0]->name, values[0], relation, rows[1]->name, values[1]);

        violations->n++;
    }

    i = (size_t) helix_settings_row("cpu_parallelism", 15);

    if (threads == 0 || settings->concurrency <= threads
        || !(changed >> i & 1) || violations->n == HELIX_VIOLATIONS_MAX)
    {
        return;
    }

    v = &violations->list[violations->n++];
    memset(v, 0, sizeof(helix_violation_t));

    v->rule = HELIX_RULE_THREADS;
    v->row = &helix_settings_table[i];
    v->value = (double) settings->concurrency;

    snprintf(v->text, HELIX_SETTING_ERROR_MAX,
             "cpu_parallelism %" PRIu64 " needs as many threads, helix_pool "
             "has threads=%" PRIu64, settings->concurrency, threads);
}
