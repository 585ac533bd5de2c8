
/* Jobs: those that are given, else random ones. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "helix_json.h"
#include "kind_check.h"


#define TRIES      3000
#define TOKENS     200000
#define SHARE      100          /* of max_work, for a random job */


typedef helix_json_token_t  token_t;


static void job_given(check_t *c, const char *text, check_job_t *job);
static void job_member(check_t *c, helix_json_t *json, const char *name,
    check_job_t *job);
static void job_inputs(helix_json_t *json, check_job_t *job);
static void job_params(check_t *c, helix_json_t *json, check_job_t *job);
static void job_param(check_t *c, helix_json_t *json, const char *name,
    check_job_t *job);
static void job_file(const char *name, check_job_t *job);
static void job_type(check_t *c, const char *type, size_t len,
    check_job_t *job);
static const char *skip_value(helix_json_t *json, token_t *token,
    size_t *len);
static helix_json_type_t next(helix_json_t *json, token_t *token);
static char *text_of(const token_t *token, size_t *len);
static uint64_t number_of(const token_t *token, const char *name);


void
check_jobs(check_t *c)
{
    uint32_t       i, max;
    helix_plan_t   plan;

    plan.error[0] = '\0';
    c->seed = 1;
    c->njobs = 0;

    for (i = 0; i < c->ngiven && i < CHECK_JOBS; i++) {
        job_given(c, c->given[i], &c->jobs[i]);

        if (check_plan(c, &c->jobs[i], &plan) != HELIX_DONE) {
            check_fail("--job %s: %s", c->given[i], plan.error);
        }

        c->njobs++;
    }

    if (c->njobs != 0) {
        return;
    }

    max = CHECK_JOBS;

    for (i = 0; i < TRIES && c->njobs < max; i++) {
        check_job_random(c, &c->jobs[c->njobs]);

        if (check_plan(c, &c->jobs[c->njobs], &plan) == HELIX_DONE
            && plan.work <= c->kind.max_work / SHARE + 1)
        {
            c->njobs++;
        }
    }

    if (c->njobs < 3) {
        check_fail("of %d random jobs %u are accepted (\"%s\"): say which "
                   "to run with --job", TRIES, c->njobs, plan.error);
    }
}


static void
job_given(check_t *c, const char *text, check_job_t *job)
{
    char          *name;
    size_t         len;
    token_t        token;
    helix_json_t   json;

    memset(job, 0, sizeof(*job));
    helix_json_init(&json, text, strlen(text), TOKENS);

    if (next(&json, &token) != HELIX_JSON_OBJECT) {
        check_fail("--job: an object is needed");
    }

    while (next(&json, &token) == HELIX_JSON_KEY) {
        name = text_of(&token, &len);
        job_member(c, &json, name, job);
        free(name);
    }

    if (next(&json, &token) != HELIX_JSON_END) {
        check_fail("--job: something after the object");
    }

    if (job->body != NULL && job->body_type == NULL) {
        check_fail("--job: a body needs \"body_type\"");
    }
}


static void
job_member(check_t *c, helix_json_t *json, const char *name,
    check_job_t *job)
{
    char     *text;
    size_t    len;
    token_t   token;

    if (strcmp(name, "inputs") == 0) {
        job_inputs(json, job);
        return;
    }

    if (strcmp(name, "params") == 0) {
        job_params(c, json, job);
        return;
    }

    (void) next(json, &token);

    if (strcmp(name, "id") == 0) {
        job->id = number_of(&token, name);
        return;
    }

    if (strcmp(name, "compute_cost") == 0) {
        job->cost = number_of(&token, name);
        return;
    }

    text = text_of(&token, &len);

    if (strcmp(name, "body_file") == 0) {
        job_file(text, job);

    } else if (strcmp(name, "body_type") == 0) {
        job_type(c, text, len, job);

    } else {
        check_fail("--job: there is no member \"%s\", only id, inputs, "
                   "compute_cost, params, body_file and body_type", name);
    }

    free(text);
}


static void
job_inputs(helix_json_t *json, check_job_t *job)
{
    token_t  token;

    if (next(json, &token) != HELIX_JSON_ARRAY) {
        check_fail("--job: \"inputs\" is an array");
    }

    job->inputs = check_memory(CHECK_INPUTS * sizeof(uint64_t));

    while (next(json, &token) != HELIX_JSON_ARRAY_END) {

        if (job->ninputs == CHECK_INPUTS) {
            check_fail("--job: more than %d inputs", CHECK_INPUTS);
        }

        job->inputs[job->ninputs++] = number_of(&token, "inputs");
    }
}


static void
job_params(check_t *c, helix_json_t *json, check_job_t *job)
{
    char     *name;
    size_t    len;
    token_t   token;

    if (next(json, &token) != HELIX_JSON_OBJECT) {
        check_fail("--job: \"params\" is an object");
    }

    while (next(json, &token) == HELIX_JSON_KEY) {
        name = text_of(&token, &len);
        job_param(c, json, name, job);
        free(name);
    }
}


/* What the host checks before plan(). */

static void
job_param(check_t *c, helix_json_t *json, const char *name,
    check_job_t *job)
{
    char                 *text;
    size_t                len;
    double                number;
    token_t               token;
    uint32_t              i;
    const char           *start;
    helix_value_t        *v;
    const helix_param_t  *p;

    for (i = 0; i < c->nparams; i++) {
        if (strcmp(name, c->kind.params[i].name) == 0) {
            break;
        }
    }

    if (i == c->nparams) {
        check_fail("--job: the kind has no param \"%s\"", name);
    }

    p = &c->kind.params[i];
    v = &job->values[i];
    v->given = 1;
    start = skip_value(json, &token, &len);
    number = 0;

    switch (p->type) {

    case HELIX_PARAM_U64:
        v->u64 = number_of(&token, name);
        number = (double) v->u64;
        break;

    case HELIX_PARAM_F64:
        if (token.type != HELIX_JSON_NUMBER
            || helix_number_double(token.start, token.len, &v->f64)
               != HELIX_NUMBER_OK)
        {
            check_fail("--job: \"%s\" is a number", name);
        }

        number = v->f64;
        break;

    case HELIX_PARAM_TEXT:
        text = text_of(&token, &len);
        check_text(v, text, len);
        free(text);
        number = (double) len;
        break;

    default: /* HELIX_PARAM_JSON */
        check_text(v, start, len);
        number = (double) len;
    }

    if (number > p->max
        || (number < p->min && p->type <= HELIX_PARAM_F64))
    {
        check_fail("--job: \"%s\" is out of its range", name);
    }
}


static void
job_file(const char *name, check_job_t *job)
{
    FILE  *f;
    long   len;

    f = fopen(name, "rb");

    if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (len = ftell(f)) < 0) {
        check_fail("--job: %s: %s", name, strerror(errno));
    }

    rewind(f);
    job->body_len = (size_t) len;
    job->body = check_memory(job->body_len + 1);

    if (fread(job->body, 1, job->body_len, f) != job->body_len) {
        check_fail("--job: %s cannot be read", name);
    }

    fclose(f);
}


static void
job_type(check_t *c, const char *type, size_t len, check_job_t *job)
{
    const char  *p;

    for (p = c->kind.accepts; p != NULL && *p != '\0'; p += strcspn(p, " ")) {
        p += strspn(p, " ");

        if (strcspn(p, " ") == len && memcmp(p, type, len) == 0) {
            job->body_type = strdup(type);
            return;
        }
    }

    check_fail("--job: the kind does not accept %s", type);
}


/* The text of a value, its first token, and past it. */

static const char *
skip_value(helix_json_t *json, token_t *token, size_t *len)
{
    int          depth;
    token_t      t;
    const char  *start;

    (void) next(json, token);
    start = token->start - (token->type == HELIX_JSON_STRING);
    depth = token->type == HELIX_JSON_OBJECT
            || token->type == HELIX_JSON_ARRAY;

    while (depth != 0) {
        switch (next(json, &t)) {

        case HELIX_JSON_OBJECT:
        case HELIX_JSON_ARRAY:
            depth++;
            break;

        case HELIX_JSON_OBJECT_END:
        case HELIX_JSON_ARRAY_END:
            depth--;
            break;

        default:
            break;
        }
    }

    *len = (size_t) (json->pos - start);

    return start;
}


static helix_json_type_t
next(helix_json_t *json, token_t *token)
{
    if (helix_json_next(json, token) == HELIX_JSON_ERROR) {
        check_fail("--job: %s, at byte %td", json->error,
                   json->pos - json->start);
    }

    return token->type;
}


static char *
text_of(const token_t *token, size_t *len)
{
    char       *text;
    ptrdiff_t   n;

    if (token->type != HELIX_JSON_KEY && token->type != HELIX_JSON_STRING) {
        check_fail("--job: a string is needed");
    }

    text = check_memory(token->len + 1);
    n = helix_json_text(token, text, token->len + 1);
    *len = (size_t) n;
    text[n] = '\0';

    return text;
}


static uint64_t
number_of(const token_t *token, const char *name)
{
    uint64_t  n;

    if (token->type != HELIX_JSON_NUMBER
        || helix_number_u64(token->start, token->len, &n) != HELIX_NUMBER_OK)
    {
        check_fail("--job: \"%s\": a whole number is needed", name);
    }

    return n;
}
