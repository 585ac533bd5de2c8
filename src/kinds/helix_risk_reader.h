
/* Reading the JSON parameters of montecarlo_risk: numbers within ranges, in
   arrays and flat objects.  See helix_risk_parse.c. */

#ifndef HELIX_RISK_READER_H_INCLUDED
#define HELIX_RISK_READER_H_INCLUDED


#include "helix_json.h"
#include "helix_risk.h"


#define HELIX_RISK_REQUIRED  1e300


/* A member of an object. */

typedef struct {
    const char          *name;
    double               min;
    double               max;
    double               missing;   /* its value if it is not there */
    const char          *must;      /* be, as in "a positive number" */
} helix_risk_member_t;


typedef struct {
    helix_json_t         json;
    helix_json_token_t   token;
    const char          *field;
    helix_plan_t        *plan;
    char                 where[32]; /* "positions[3]" */
} helix_risk_reader_t;


/* All answer HELIX_DONE, or HELIX_FAILED with the sentence in the plan. */

/* Opens a parameter; its first token is of that type, and is read. */
int helix_risk_open(helix_risk_reader_t *in, const char *field,
    const helix_value_t *value, helix_plan_t *plan, helix_json_type_t type);
int helix_risk_next(helix_risk_reader_t *in);

/* The number that was read. */
int helix_risk_number(helix_risk_reader_t *in, double min, double max,
    const char *must, double *value);

/* The object whose start was read; "type" is NULL if it has none. */
int helix_risk_object(helix_risk_reader_t *in,
    const helix_risk_member_t *members, uint32_t n, double *values,
    uint32_t *type);

int helix_risk_fail(helix_plan_t *plan, const char *field,
    const char *format, ...) __attribute__((format(printf, 3, 4)));


#endif /* HELIX_RISK_READER_H_INCLUDED */
