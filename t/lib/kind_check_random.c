
/* Random jobs, and odd ones, of which the host would refuse none. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kind_check.h"


#define TEXT_MAX  65536


static void value_random(check_t *c, const helix_param_t *p,
    helix_value_t *v);
static void value_odd(check_t *c, const helix_param_t *p, helix_value_t *v);
static void body_odd(check_t *c, check_job_t *job);
static uint64_t random_size(check_t *c, uint64_t max);


static const char *const  odd_texts[] = {
    "", "\"", "\\", "../../etc/passwd", "%s%n%s%n", "-1", "NaN",
    "\xc3\xa4\xe2\x82\xac\xf0\x9f\x92\xa9", " ", "\n", "\x01", "\x7f",
    "9999999999999999999999999999", "1e999"
};

static const char *const  odd_jsons[] = {
    "null", "true", "false", "0", "-0", "1e308", "-1e308", "5e-324", "\"\"",
    "\"x\"", "[]", "{}", "[[]]", "[{}]", "[null]", "[[[[[[[[[[]]]]]]]]]]",
    "[1,\"x\"]", "[[1],[2,3]]", "[[],[1]]", "{\"a\":{\"a\":{\"a\":[]}}}",
    "[1e308,1e308,-1e308]", "[18446744073709551615]", "[1e-320]", "[0,0,0]",
    "[-1]", "{\"\":0}", "[[1,2],[3,4]]", "[1.5,2.5]", "\"\\ud83d\\ude00\""
};


/* Every magnitude is as likely. */

void
check_job_random(check_t *c, check_job_t *job)
{
    uint32_t  i, often;

    memset(job, 0, sizeof(*job));

    job->id = check_random(c, UINT64_MAX);
    job->cost = random_size(c, c->kind.max_work);
    job->ninputs = (uint32_t) check_random(c, 9);
    job->inputs = check_memory((job->ninputs + 1) * sizeof(uint64_t));

    for (i = 0; i < job->ninputs; i++) {
        job->inputs[i] = random_size(c, UINT64_MAX);
    }

    often = (uint32_t) check_random(c, 4);

    for (i = 0; i < c->nparams; i++) {
        if (check_random(c, 4) < often) {
            value_random(c, &c->kind.params[i], &job->values[i]);
        }
    }
}


static void
value_random(check_t *c, const helix_param_t *p, helix_value_t *v)
{
    char      text[TEXT_MAX];
    size_t    i, len;
    uint64_t  min, max;

    memset(v, 0, sizeof(*v));
    v->given = 1;

    switch (p->type) {

    case HELIX_PARAM_U64:
        min = (uint64_t) p->min;
        max = p->max >= 0x1p64 ? UINT64_MAX : (uint64_t) p->max;
        v->u64 = min + random_size(c, max - min);
        break;

    case HELIX_PARAM_F64:
        v->f64 = p->min + (p->max - p->min)
                          * ((double) check_random(c, 1u << 30) / 0x1p30);

        if (!isfinite(v->f64)) {
            v->f64 = p->max;
        }

        break;

    case HELIX_PARAM_TEXT:
        len = random_size(c, p->max < TEXT_MAX ? (uint64_t) p->max
                                               : TEXT_MAX);
        for (i = 0; i < len; i++) {
            text[i] = (char) ('a' + check_random(c, 26));
        }

        check_text(v, text, len);
        break;

    default: /* HELIX_PARAM_JSON */
        len = (size_t) snprintf(text, sizeof(text), "[%llu]",
                             (unsigned long long) check_random(c, 1000));
        check_text(v, text, len < p->max ? len : 1);

        if (len >= p->max) {
            v->text = "0";
        }
    }
}


/* One or a few things of a job become odd. */

void
check_job_odd(check_t *c, check_job_t *job)
{
    uint32_t               i;
    uint64_t               what;
    static const uint64_t  numbers[] = { 0, 1, UINT64_MAX, INT64_MAX };

    do {
        what = check_random(c, 5 + 2 * c->nparams
                               + 4 * (job->body != NULL));

        if (what == 0) {
            job->id = numbers[check_random(c, 4)];

        } else if (what == 1) {
            job->cost = numbers[check_random(c, 4)];

        } else if (what == 2) {
            job->ninputs = check_random(c, 2) ? CHECK_INPUTS : 0;
            job->inputs = check_memory(CHECK_INPUTS * sizeof(uint64_t));

            for (i = 0; i < job->ninputs; i++) {
                job->inputs[i] = check_random(c, 3) - 1;
            }

        } else if (what < 5 || what >= 5 + 2 * c->nparams) {
            body_odd(c, job);

        } else {
            i = (uint32_t) (what - 5) / 2;
            value_odd(c, &c->kind.params[i], &job->values[i]);
        }

    } while (check_random(c, 2));
}


/* Nothing that the host would have refused. */

static void
value_odd(check_t *c, const helix_param_t *p, helix_value_t *v)
{
    char        *text;
    size_t       len;
    const char  *odd;

    memset(v, 0, sizeof(*v));

    if (check_random(c, 8) == 0) {
        return;
    }

    value_random(c, p, v);

    switch (p->type) {

    case HELIX_PARAM_U64:
        v->u64 = (uint64_t) p->min;

        if (check_random(c, 2)) {
            v->u64 = p->max >= 0x1p64 ? UINT64_MAX : (uint64_t) p->max;
        }

        break;

    case HELIX_PARAM_F64:
        v->f64 = check_random(c, 2) ? p->min : p->max;

        if (check_random(c, 2) && p->min <= 0 && p->max >= 0) {
            v->f64 = check_random(c, 2) ? -0.0
                     : p->max > 0 ? fmin(5e-324, p->max) : 0.0;
        }

        break;

    case HELIX_PARAM_TEXT:
        odd = odd_texts[check_random(c, countof(odd_texts))];
        len = strlen(odd);

        if (check_random(c, 8) == 0) {
            check_text(v, "a\0b", p->max < 3 ? 1 : 3);

        } else if (check_random(c, 4) == 0) {
            len = (size_t) fmin(p->max, 1 << 20);
            text = check_memory(len + 1);
            memset(text, 'a', len);
            check_text(v, text, len);
            free(text);

        } else if (len <= p->max) {
            check_text(v, odd, len);
        }

        break;

    default: /* HELIX_PARAM_JSON */
        odd = odd_jsons[check_random(c, countof(odd_jsons))];
        len = strlen(odd);

        if (check_random(c, 8) == 0 && p->max >= 64) {
            len = (size_t) fmin(p->max, 1 << 20) / 2 * 2 - 1;
            text = check_memory(len + 1);
            memset(text, '0', len);

            for (text[0] = '['; len > 2; len -= 2) {
                text[len - 1] = ',';
            }

            len = (size_t) fmin(p->max, 1 << 20) / 2 * 2 - 1;
            text[len - 1] = ']';
            check_text(v, text, len);
            free(text);

        } else if (len <= p->max) {
            check_text(v, odd, len);
        }
    }
}


void
check_text(helix_value_t *v, const char *text, size_t len)
{
    char  *copy;

    copy = check_memory(len + 1);
    memcpy(copy, text, len);

    v->text = copy;
    v->len = (uint32_t) len;
}


/* Rubbish, or the body of a job, cut short or with some bytes changed. */

static void
body_odd(check_t *c, check_job_t *job)
{
    char      *body;
    size_t     i, n, len;
    uint64_t   k;

    const char  *p;

    if (c->kind.accepts == NULL) {
        return;
    }

    len = job->body_len;

    if (job->body == NULL || check_random(c, 8) == 0) {
        len = random_size(c, TEXT_MAX);
        body = check_memory(len + 1);

        for (i = 0; i < len; i++) {
            body[i] = (char) check_random(c, 256);
        }

    } else {
        body = check_memory(len + 1);
        memcpy(body, job->body, len);

        if (check_random(c, 3) == 0) {
            len = check_random(c, len + 1);
        }

        n = len ? check_random(c, 12) : 0;

        for (i = 0; i < n; i++) {
            /* most of what is interesting comes first */
            k = random_size(c, len - 1);
            body[k] = (char) check_random(c, 256);
        }
    }

    job->body = body;
    job->body_len = len;

    p = c->kind.accepts + strspn(c->kind.accepts, " ");

    if (job->body_type == NULL) {
        job->body_type = strndup(p, strcspn(p, " "));
    }
}


uint64_t
check_random(check_t *c, uint64_t n)
{
    uint64_t  z;

    z = (c->seed += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;

    return (z ^ (z >> 31)) % n;
}


static uint64_t
random_size(check_t *c, uint64_t max)
{
    uint64_t  n;

    n = check_random(c, UINT64_MAX) >> check_random(c, 64);

    return max == UINT64_MAX ? n : n % (max + 1);
}


void *
check_memory(size_t size)
{
    void  *p;

    p = malloc(size);

    if (p == NULL) {
        check_fail("no memory");
    }

    return p;
}
