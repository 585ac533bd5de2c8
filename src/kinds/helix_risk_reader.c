
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "helix_risk_reader.h"


#define HELIX_RISK_TOKENS    32768
#define HELIX_RISK_NAME_MAX  16


static int helix_risk_member(helix_risk_reader_t *in,
    const helix_risk_member_t *members, uint32_t n, double *values,
    uint32_t *type);
static int helix_risk_type(helix_risk_reader_t *in, uint32_t *type);
static bool helix_risk_is(const helix_json_token_t *token, const char *name);


int
helix_risk_open(helix_risk_reader_t *in, const char *field,
    const helix_value_t *value, helix_plan_t *plan, helix_json_type_t type)
{
    in->field = field;
    in->plan = plan;
    (void) snprintf(in->where, sizeof(in->where), "%s", field);

    if (!value->given) {
        return helix_risk_fail(plan, field, "%s is missing", field);
    }

    helix_json_init(&in->json, value->text, value->len, HELIX_RISK_TOKENS);

    if (helix_risk_next(in) != HELIX_DONE) {
        return HELIX_FAILED;
    }

    if (in->token.type != type) {
        return helix_risk_fail(plan, field, "%s must be an %s", field,
                               type == HELIX_JSON_ARRAY ? "array" : "object");
    }

    return HELIX_DONE;
}


int
helix_risk_next(helix_risk_reader_t *in)
{
    if (helix_json_next(&in->json, &in->token) == HELIX_JSON_ERROR) {
        return helix_risk_fail(in->plan, in->field, "%s: %s", in->field,
                               in->json.error);
    }

    return HELIX_DONE;
}


int
helix_risk_number(helix_risk_reader_t *in, double min, double max,
    const char *must, double *value)
{
    if (in->token.type != HELIX_JSON_NUMBER
        || helix_number_double(in->token.start, in->token.len, value)
           != HELIX_NUMBER_OK
        || !(*value >= min && *value <= max))
    {
        return helix_risk_fail(in->plan, in->field, "%s must be %s",
                               in->where, must);
    }

    return HELIX_DONE;
}


int
helix_risk_object(helix_risk_reader_t *in,
    const helix_risk_member_t *members, uint32_t n, double *values,
    uint32_t *type)
{
    uint32_t  i;

    if (in->token.type != HELIX_JSON_OBJECT) {
        return helix_risk_fail(in->plan, in->field, "%s must be an object",
                               in->where);
    }

    for (i = 0; i < n; i++) {
        values[i] = HELIX_RISK_REQUIRED;
    }

    if (type != NULL) {
        *type = UINT32_MAX;
    }

    for ( ;; ) {

        if (helix_risk_next(in) != HELIX_DONE) {
            return HELIX_FAILED;
        }

        if (in->token.type == HELIX_JSON_OBJECT_END) {
            break;
        }

        if (helix_risk_member(in, members, n, values, type) != HELIX_DONE) {
            return HELIX_FAILED;
        }
    }

    if (type != NULL && *type == UINT32_MAX) {
        return helix_risk_fail(in->plan, in->field, "%s.type is missing",
                               in->where);
    }

    for (i = 0; i < n; i++) {

        if (values[i] != HELIX_RISK_REQUIRED) {
            continue;
        }

        if (members[i].missing == HELIX_RISK_REQUIRED) {
            return helix_risk_fail(in->plan, in->field, "%s.%s is missing",
                                   in->where, members[i].name);
        }

        values[i] = members[i].missing;
    }

    return HELIX_DONE;
}


/* The name was read. */

static int
helix_risk_member(helix_risk_reader_t *in,
    const helix_risk_member_t *members, uint32_t n, double *values,
    uint32_t *type)
{
    bool                 again;
    uint32_t             i, len;
    helix_json_token_t   name;

    name = in->token;
    len = (name.len < 24) ? (uint32_t) name.len : 24;

    /* no character in half */
    while (len != 0 && len < name.len
           && ((unsigned char) name.start[len] & 0xc0) == 0x80)
    {
        len--;
    }

    for (i = 0; i < n && !helix_risk_is(&name, members[i].name); i++) {
        /* void */
    }

    if (i == n && (type == NULL || !helix_risk_is(&name, "type"))) {
        return helix_risk_fail(in->plan, in->field, "%s has no member "
                               "\"%.*s\"", in->where, (int) len, name.start);
    }

    again = (i == n) ? *type != UINT32_MAX
                     : values[i] != HELIX_RISK_REQUIRED;

    if (again) {
        return helix_risk_fail(in->plan, in->field, "%s.%.*s is there twice",
                               in->where, (int) len, name.start);
    }

    if (helix_risk_next(in) != HELIX_DONE) {
        return HELIX_FAILED;
    }

    if (i == n) {
        return helix_risk_type(in, type);
    }

    if (in->token.type != HELIX_JSON_NUMBER
        || helix_number_double(in->token.start, in->token.len, &values[i])
           != HELIX_NUMBER_OK
        || !(values[i] >= members[i].min && values[i] <= members[i].max))
    {
        return helix_risk_fail(in->plan, in->field, "%s.%s must be %s",
                               in->where, members[i].name, members[i].must);
    }

    return HELIX_DONE;
}


static int
helix_risk_type(helix_risk_reader_t *in, uint32_t *type)
{
    uint32_t                   i;
    static const char *const   names[] = { "linear", "call", "put" };

    for (i = 0; in->token.type == HELIX_JSON_STRING && i < 3; i++) {
        if (helix_risk_is(&in->token, names[i])) {
            *type = i;
            return HELIX_DONE;
        }
    }

    return helix_risk_fail(in->plan, in->field, "%s.type must be \"linear\", "
                           "\"call\" or \"put\"", in->where);
}


static bool
helix_risk_is(const helix_json_token_t *token, const char *name)
{
    char       text[HELIX_RISK_NAME_MAX];
    ptrdiff_t  len;

    len = helix_json_text(token, text, sizeof(text));

    return len >= 0 && (size_t) len == strlen(name)
           && memcmp(text, name, (size_t) len) == 0;
}


int
helix_risk_fail(helix_plan_t *plan, const char *field, const char *format,
    ...)
{
    va_list  args;

    plan->field = field;

    va_start(args, format);
    (void) vsnprintf(plan->error, sizeof(plan->error), format, args);
    va_end(args);

    return HELIX_FAILED;
}
