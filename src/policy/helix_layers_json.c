
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "helix_layers.h"


#define HELIX_LAYER_TOKENS   512
#define HELIX_LAYER_NAME     64


/* Where what is read goes. */

typedef struct {
    uint64_t             automatic;
    uint64_t             seen;           /* rows, right or wrong */
    uint64_t            *nulls;
    helix_layer_t       *layer;
    helix_violations_t  *violations;
} helix_layer_reading_t;


static bool helix_layer_member(helix_json_t *json, helix_json_token_t *name,
    helix_layer_reading_t *reading);
static helix_rule_t helix_layer_value(const helix_setting_t *row,
    const helix_json_token_t *token, uint64_t automatic, uint64_t *bits);
static bool helix_layer_word(const helix_json_token_t *token,
    const char *word);
static void helix_layer_unknown(const helix_json_token_t *name,
    const char *text, size_t len, helix_violation_t *v);
static void helix_layer_sentence(const helix_setting_t *row,
    const helix_json_token_t *token, helix_violation_t *v);


bool
helix_layer_parse(helix_json_t *json, const char *text, size_t len,
    uint64_t automatic, helix_layer_t *layer, uint64_t *nulls,
    helix_violations_t *violations)
{
    helix_json_type_t      type;
    helix_json_token_t     token;
    helix_layer_reading_t  reading;

    memset(layer, 0, sizeof(helix_layer_t));
    *nulls = 0;
    violations->n = 0;

    reading = (helix_layer_reading_t) {
        automatic, 0, nulls, layer, violations
    };

    helix_json_init(json, text, len, HELIX_LAYER_TOKENS);

    type = helix_json_next(json, &token);

    if (type == HELIX_JSON_ERROR) {
        return false;
    }

    if (type != HELIX_JSON_OBJECT) {
        json->error = "an object of settings is expected";
        json->pos = text;
        return false;
    }

    for ( ;; ) {
        type = helix_json_next(json, &token);

        if (type == HELIX_JSON_ERROR) {
            return false;
        }

        if (type == HELIX_JSON_OBJECT_END) {
            break;
        }

        if (!helix_layer_member(json, &token, &reading)) {
            return false;
        }
    }

    return helix_json_next(json, &token) == HELIX_JSON_END;
}


static bool
helix_layer_member(helix_json_t *json, helix_json_token_t *name,
    helix_layer_reading_t *reading)
{
    int                     row;
    char                    text[HELIX_LAYER_NAME];
    uint64_t                bits;
    ptrdiff_t               len;
    helix_rule_t            rule;
    helix_violation_t       v;
    helix_json_token_t      token;

    len = helix_json_text(name, text, sizeof(text));
    row = (len < 0) ? -1 : helix_settings_row(text, (size_t) len);

    if (row >= 0 && (reading->seen >> row & 1)) {
        json->error = "a setting is given twice";
        json->pos = name->start;
        return false;
    }

    if (helix_json_next(json, &token) == HELIX_JSON_ERROR
        || !helix_json_skip_value(json, &token))
    {
        return false;
    }

    if (row < 0 && len == 7 && memcmp(text, "version", 7) == 0) {
        return true;
    }

    memset(&v, 0, sizeof(v));
    v.token = token;

    if (row < 0) {
        helix_layer_unknown(name, text, (len < 0) ? 0 : (size_t) len, &v);

    } else if (token.type == HELIX_JSON_NULL) {
        reading->seen |= 1ULL << row;
        *reading->nulls |= 1ULL << row;
        return true;

    } else {
        reading->seen |= 1ULL << row;

        rule = helix_layer_value(&helix_settings_table[row], &token,
                                 reading->automatic, &bits);
        if (rule == HELIX_RULES) {
            reading->layer->set |= 1ULL << row;
            reading->layer->values[row] = bits;
            return true;
        }

        v.rule = rule;
        helix_layer_sentence(&helix_settings_table[row], &token, &v);
    }

    if (reading->violations->n < HELIX_VIOLATIONS_MAX) {
        reading->violations->list[reading->violations->n++] = v;
    }

    return true;
}


/* The rule that it breaks; HELIX_RULES: none. */

static helix_rule_t
helix_layer_value(const helix_setting_t *row, const helix_json_token_t *token,
    uint64_t automatic, uint64_t *bits)
{
    double                 number;
    helix_number_result_t  rc;

    if (row->type == HELIX_SETTING_FLAG) {
        *bits = (token->type == HELIX_JSON_TRUE);
        return (token->type == HELIX_JSON_TRUE
                || token->type == HELIX_JSON_FALSE)
               ? HELIX_RULES : HELIX_RULE_TYPE;
    }

    if ((row->flags & HELIX_SETTING_AUTO) && helix_layer_word(token, "auto")) {
        number = (double) automatic;
        number = (number > row->max) ? row->max : number;
        *bits = (uint64_t) ((number < row->min) ? row->min : number);
        return HELIX_RULES;
    }

    if ((row->flags & HELIX_SETTING_OFF) && helix_layer_word(token, "off")) {
        *bits = 0;
        return HELIX_RULES;
    }

    if (token->type != HELIX_JSON_NUMBER) {
        return HELIX_RULE_TYPE;
    }

    if (row->type == HELIX_SETTING_RATIO) {
        rc = helix_number_double(token->start, token->len, &number);
        *bits = helix_layer_bits(row, number);

    } else {
        rc = helix_number_u64(token->start, token->len, bits);

        if (rc == HELIX_NUMBER_SYNTAX && token->start[0] == '-') {
            return HELIX_RULE_RANGE;
        }

        number = (double) *bits;
    }

    if (rc == HELIX_NUMBER_SYNTAX) {
        return HELIX_RULE_TYPE;
    }

    return (rc == HELIX_NUMBER_OK && helix_setting_spans(row, number))
           ? HELIX_RULES : HELIX_RULE_RANGE;
}


static bool
helix_layer_word(const helix_json_token_t *token, const char *word)
{
    return token->type == HELIX_JSON_STRING && token->len == strlen(word)
           && memcmp(token->start, word, token->len) == 0;
}


static void
helix_layer_unknown(const helix_json_token_t *name, const char *text,
    size_t len, helix_violation_t *v)
{
    char         quoted[HELIX_SETTING_QUOTE_MAX];
    unsigned     i, n;
    const char  *names[HELIX_LAYER_ROWS + 1];

    n = helix_settings_rows();

    for (i = 0; i < n; i++) {
        names[i] = helix_settings_table[i].name;
    }

    names[n] = NULL;

    v->rule = HELIX_RULE_UNKNOWN;
    v->name = *name;
    v->nearest = helix_nearest(text, len, names);

    helix_setting_quote(name->start, name->len, quoted);

    snprintf(v->text, HELIX_SETTING_ERROR_MAX,
             "there is no setting \"%s\"%s%s%s", quoted,
             v->nearest ? ", did you mean \"" : "",
             v->nearest ? v->nearest : "", v->nearest ? "\"?" : "");
}


static void
helix_layer_sentence(const helix_setting_t *row,
    const helix_json_token_t *token, helix_violation_t *v)
{
    char         min[HELIX_SETTING_TEXT_MAX], max[HELIX_SETTING_TEXT_MAX];
    char         quoted[HELIX_SETTING_QUOTE_MAX];
    const char  *what, *word;

    v->row = row;

    min[helix_number_print(row->min, min)] = '\0';
    max[helix_number_print(row->max, max)] = '\0';

    if (v->rule == HELIX_RULE_RANGE) {
        helix_setting_quote(token->start, token->len, quoted);
        snprintf(v->text, HELIX_SETTING_ERROR_MAX,
                 row->above ? "%s %s is out of range, above %s and at most %s "
                              "is expected"
                            : "%s %s is out of range %s-%s",
                 row->name, quoted, min, max);
        return;
    }

    what = (row->type == HELIX_SETTING_FLAG) ? "true or false"
           : (row->type == HELIX_SETTING_RATIO) ? "a number" : "an integer";
    word = (row->flags & HELIX_SETTING_AUTO) ? " or \"auto\""
           : (row->flags & HELIX_SETTING_OFF) ? " or \"off\"" : "";

    if (row->type == HELIX_SETTING_FLAG) {
        snprintf(v->text, HELIX_SETTING_ERROR_MAX, "%s has to be %s",
                 row->name, what);
        return;
    }

    snprintf(v->text, HELIX_SETTING_ERROR_MAX,
             "%s has to be %s from %s to %s%s%s", row->name, what, min, max,
             row->type == HELIX_SETTING_TIME ? " (milliseconds)"
             : row->type == HELIX_SETTING_SIZE ? " (bytes)" : "", word);
}
