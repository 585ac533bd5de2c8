
/*
 * The parameters of the full form to a request.  Whatever is wrong becomes a
 * sentence that names the member, "positions[3].strike must be a positive
 * number".
 */

#include <stdio.h>
#include <string.h>

#include "helix_risk_reader.h"


#define HELIX_RISK_NO_VALUE  (-1e300)     /* of an optional member */
#define HELIX_RISK_BIG       1e12         /* of a price or a quantity */
#define HELIX_RISK_MIN_HORIZON  1e-6
#define HELIX_RISK_PIVOT     1e-10
#define HELIX_RISK_MAX_MOVE  10.0         /* drift and variance of a logarithm
                                             over the horizon */


static int helix_risk_scalars(const helix_value_t *values,
    helix_risk_request_t *r, helix_plan_t *plan);
static int helix_risk_words(const helix_value_t *values,
    helix_risk_request_t *r, helix_plan_t *plan);
static int helix_risk_assets(const helix_value_t *value,
    helix_risk_request_t *r, helix_plan_t *plan);
static int helix_risk_correlation(const helix_value_t *value,
    helix_risk_request_t *r, helix_plan_t *plan);
static int helix_risk_row(helix_risk_reader_t *in, helix_risk_request_t *r,
    uint32_t i);
static int helix_risk_cholesky(helix_risk_request_t *r);
static int helix_risk_positions(const helix_value_t *value,
    helix_risk_request_t *r, helix_plan_t *plan);
static int helix_risk_position(helix_risk_reader_t *in,
    helix_risk_request_t *r, helix_risk_position_t *p);
static int helix_risk_jumps(const helix_value_t *value,
    helix_risk_request_t *r, helix_plan_t *plan);
static int helix_risk_levels(const helix_value_t *value,
    helix_risk_request_t *r, helix_plan_t *plan);
static int helix_risk_check(helix_risk_request_t *r, helix_plan_t *plan);


static const helix_risk_member_t  helix_risk_asset_members[] = {
    { "spot", 1e-9, HELIX_RISK_BIG, HELIX_RISK_REQUIRED,
      "a positive number" },
    { "vol", 0.0, 10.0, HELIX_RISK_REQUIRED, "a number from 0 to 10" },
    { "carry", -10.0, 10.0, 0.0, "a number from -10 to 10" }
};

static const helix_risk_member_t  helix_risk_position_members[] = {
    { "asset", 0.0, HELIX_RISK_ASSETS - 1, HELIX_RISK_REQUIRED,
      "the index of an asset" },
    { "quantity", -HELIX_RISK_BIG, HELIX_RISK_BIG, HELIX_RISK_REQUIRED,
      "a number" },
    { "strike", 1e-9, HELIX_RISK_BIG, HELIX_RISK_NO_VALUE,
      "a positive number" },
    { "expiry", 1e-9, 100.0, HELIX_RISK_NO_VALUE,
      "a positive number of years, at most 100" },
    { "rate", -1.0, 1.0, HELIX_RISK_NO_VALUE, "a number from -1 to 1" }
};

static const helix_risk_member_t  helix_risk_jump_members[] = {
    { "rate", 0.0, 10000.0, HELIX_RISK_REQUIRED, "a number from 0 to 10000" },
    { "mean", -2.0, 2.0, HELIX_RISK_REQUIRED, "a number from -2 to 2" },
    { "sd", 0.0, 2.0, HELIX_RISK_REQUIRED, "a number from 0 to 2" }
};


int
helix_risk_parse(const helix_args_t *args, helix_risk_request_t *r,
    helix_plan_t *plan)
{
    const helix_value_t  *values;

    values = args->values;

    r->quality = 1.0;
    r->pressed = 0;

    if (helix_risk_scalars(values, r, plan) != HELIX_DONE
        || helix_risk_words(values, r, plan) != HELIX_DONE
        || helix_risk_assets(&values[HELIX_RISK_P_ASSETS], r, plan)
           != HELIX_DONE
        || helix_risk_correlation(&values[HELIX_RISK_P_CORRELATION], r, plan)
           != HELIX_DONE
        || helix_risk_jumps(&values[HELIX_RISK_P_JUMPS], r, plan)
           != HELIX_DONE
        || helix_risk_levels(&values[HELIX_RISK_P_LEVELS], r, plan)
           != HELIX_DONE
        || helix_risk_positions(&values[HELIX_RISK_P_POSITIONS], r, plan)
           != HELIX_DONE)
    {
        return HELIX_FAILED;
    }

    return helix_risk_check(r, plan);
}


/* The host has checked their ranges. */

static int
helix_risk_scalars(const helix_value_t *values, helix_risk_request_t *r,
    helix_plan_t *plan)
{
    uint64_t              paths;
    const helix_value_t  *v;

    v = &values[HELIX_RISK_P_HORIZON];

    if (!v->given || !(v->f64 >= HELIX_RISK_MIN_HORIZON)) {
        return helix_risk_fail(plan, "horizon", "horizon must be a number of "
                               "years, at least 1e-6");
    }

    r->horizon = v->f64;
    r->rate = values[HELIX_RISK_P_RATE].f64;
    r->seed = values[HELIX_RISK_P_SEED].u64;

    v = &values[HELIX_RISK_P_STEPS];
    r->steps = v->given ? (uint32_t) v->u64 : 1;

    v = &values[HELIX_RISK_P_STUDENT_T];
    r->dof = (uint32_t) v->u64;

    if (r->dof == 1 || r->dof == 2) {
        return helix_risk_fail(plan, "student_t", "student_t must be 0, for "
                               "the normal law, or at least 3");
    }

    v = &values[HELIX_RISK_P_PATHS];
    paths = v->given ? v->u64 : 65536;
    paths += HELIX_RISK_BLOCK - 1;
    r->paths = (uint32_t) (paths - paths % HELIX_RISK_BLOCK);
    r->requested = r->paths;

    return HELIX_DONE;
}


static int
helix_risk_words(const helix_value_t *values, helix_risk_request_t *r,
    helix_plan_t *plan)
{
    const helix_value_t  *v;

    v = &values[HELIX_RISK_P_MODEL];
    r->delta_gamma = 0;

    if (v->given && v->len == 11 && memcmp(v->text, "delta_gamma", 11) == 0) {
        r->delta_gamma = 1;

    } else if (v->given && (v->len != 4 || memcmp(v->text, "full", 4) != 0)) {
        return helix_risk_fail(plan, "model",
                               "model must be \"full\" or \"delta_gamma\"");
    }

    v = &values[HELIX_RISK_P_ESTIMATOR];
    r->estimator = HELIX_RISK_PLAIN;

    if (!v->given || (v->len == 5 && memcmp(v->text, "plain", 5) == 0)) {
        return HELIX_DONE;
    }

    if (v->len == 4 && memcmp(v->text, "auto", 4) == 0) {

        if (r->dof == 0 && !values[HELIX_RISK_P_JUMPS].given
            && r->paths <= HELIX_RISK_MAX_TILTED)
        {
            r->estimator = HELIX_RISK_TILTED;
        }

        return HELIX_DONE;
    }

    if (v->len != 2 || memcmp(v->text, "is", 2) != 0) {
        return helix_risk_fail(plan, "estimator", "estimator must be "
                               "\"plain\", \"is\" or \"auto\"");
    }

    if (r->dof != 0 || values[HELIX_RISK_P_JUMPS].given) {
        return helix_risk_fail(plan, "estimator", "estimator \"is\" is for "
                               "the normal law: without student_t and jumps");
    }

    if (r->paths > HELIX_RISK_MAX_TILTED) {
        return helix_risk_fail(plan, "paths", "paths must be at most %d with "
                               "estimator \"is\"", HELIX_RISK_MAX_TILTED);
    }

    r->estimator = HELIX_RISK_TILTED;

    return HELIX_DONE;
}


static int
helix_risk_assets(const helix_value_t *value, helix_risk_request_t *r,
    helix_plan_t *plan)
{
    double               v[3];
    helix_risk_asset_t  *asset;
    helix_risk_reader_t  in;

    r->nassets = 0;

    if (helix_risk_open(&in, "assets", value, plan, HELIX_JSON_ARRAY)
        != HELIX_DONE)
    {
        return HELIX_FAILED;
    }

    while (helix_risk_next(&in) == HELIX_DONE
           && in.token.type != HELIX_JSON_ARRAY_END)
    {
        if (r->nassets == HELIX_RISK_ASSETS) {
            return helix_risk_fail(plan, "assets",
                                   "assets must be at most %d",
                                   HELIX_RISK_ASSETS);
        }

        (void) snprintf(in.where, sizeof(in.where), "assets[%u]", r->nassets);

        if (helix_risk_object(&in, helix_risk_asset_members, 3, v, NULL)
            != HELIX_DONE)
        {
            return HELIX_FAILED;
        }

        asset = &r->assets[r->nassets++];
        asset->spot = v[0];
        asset->vol = v[1];
        asset->carry = v[2];
    }

    if (in.token.type != HELIX_JSON_ARRAY_END) {
        return HELIX_FAILED;
    }

    if (r->nassets == 0) {
        return helix_risk_fail(plan, "assets", "assets must not be empty");
    }

    return HELIX_DONE;
}


/* Rows of numbers; the identity if there are none. */

static int
helix_risk_correlation(const helix_value_t *value, helix_risk_request_t *r,
    helix_plan_t *plan)
{
    uint32_t             i, k, n;
    helix_risk_reader_t  in;

    n = r->nassets;

    for (i = 0; i < n; i++) {
        for (k = 0; k < n; k++) {
            r->factor[i][k] = (i == k) ? 1.0 : 0.0;
        }
    }

    if (!value->given) {
        return HELIX_DONE;
    }

    if (helix_risk_open(&in, "correlation", value, plan, HELIX_JSON_ARRAY)
        != HELIX_DONE)
    {
        return HELIX_FAILED;
    }

    for (i = 0; i < n; i++) {
        if (helix_risk_row(&in, r, i) != HELIX_DONE) {
            return HELIX_FAILED;
        }
    }

    if (helix_risk_next(&in) != HELIX_DONE) {
        return HELIX_FAILED;
    }

    if (in.token.type != HELIX_JSON_ARRAY_END) {
        return helix_risk_fail(plan, "correlation", "correlation must have %u "
                               "rows of %u numbers", n, n);
    }

    if (helix_risk_cholesky(r) != HELIX_DONE) {
        return helix_risk_fail(plan, "correlation", "correlation must be "
                               "positive semidefinite");
    }

    return HELIX_DONE;
}


static int
helix_risk_row(helix_risk_reader_t *in, helix_risk_request_t *r, uint32_t i)
{
    double    c;
    uint32_t  k, n;

    n = r->nassets;

    if (helix_risk_next(in) != HELIX_DONE) {
        return HELIX_FAILED;
    }

    if (in->token.type != HELIX_JSON_ARRAY) {
        return helix_risk_fail(in->plan, in->field, "correlation must have %u "
                               "rows of %u numbers", n, n);
    }

    for (k = 0; k <= n; k++) {
        (void) snprintf(in->where, sizeof(in->where), "correlation[%u][%u]",
                        i, k);

        if (helix_risk_next(in) != HELIX_DONE) {
            return HELIX_FAILED;
        }

        if ((in->token.type == HELIX_JSON_ARRAY_END) != (k == n)) {
            return helix_risk_fail(in->plan, in->field, "correlation[%u] must "
                                   "have %u numbers", i, n);
        }

        if (k == n) {
            break;
        }

        if (helix_risk_number(in, -1.0, 1.0, "a number from -1 to 1", &c)
            != HELIX_DONE)
        {
            return HELIX_FAILED;
        }

        if (i == k && c != 1.0) {
            return helix_risk_fail(in->plan, in->field, "%s must be 1",
                                   in->where);
        }

        if (k < i && c != r->factor[k][i]) {
            return helix_risk_fail(in->plan, in->field, "%s must be "
                                   "correlation[%u][%u]", in->where, k, i);
        }

        r->factor[i][k] = c;
    }

    return HELIX_DONE;
}


/* In place.  A pivot that is zero but for rounding makes a column of zeros,
   under which nothing else may stand. */

static int
helix_risk_cholesky(helix_risk_request_t *r)
{
    double    s, pivot, *a, *b;
    uint32_t  i, j, k;

    for (j = 0; j < r->nassets; j++) {
        a = r->factor[j];
        s = a[j];

        for (k = 0; k < j; k++) {
            s -= a[k] * a[k];
        }

        if (s < -HELIX_RISK_PIVOT) {
            return HELIX_FAILED;
        }

        pivot = (s > HELIX_RISK_PIVOT) ? __builtin_sqrt(s) : 0.0;
        a[j] = pivot;

        for (i = j + 1; i < r->nassets; i++) {
            b = r->factor[i];
            s = b[j];

            for (k = 0; k < j; k++) {
                s -= a[k] * b[k];
            }

            if (pivot == 0.0 && (s > 1e-4 || s < -1e-4)) {
                return HELIX_FAILED;
            }

            b[j] = (pivot != 0.0) ? s / pivot : 0.0;
            a[i] = 0.0;
        }
    }

    return HELIX_DONE;
}


static int
helix_risk_jumps(const helix_value_t *value, helix_risk_request_t *r,
    helix_plan_t *plan)
{
    double               v[3];
    helix_risk_reader_t  in;

    r->jump_rate = 0.0;
    r->jump_mean = 0.0;
    r->jump_sd = 0.0;

    if (!value->given) {
        return HELIX_DONE;
    }

    if (helix_risk_open(&in, "jumps", value, plan, HELIX_JSON_OBJECT)
        != HELIX_DONE
        || helix_risk_object(&in, helix_risk_jump_members, 3, v, NULL)
           != HELIX_DONE)
    {
        return HELIX_FAILED;
    }

    r->jump_rate = v[0];
    r->jump_mean = v[1];
    r->jump_sd = v[2];

    if (r->jump_rate * r->horizon / r->steps > 2.0) {
        return helix_risk_fail(plan, "jumps", "jumps.rate must be at most 2 "
                               "jumps in a step: raise steps");
    }

    return HELIX_DONE;
}


/* Ascending, so that the first is the one that decides what is kept. */

static int
helix_risk_levels(const helix_value_t *value, helix_risk_request_t *r,
    helix_plan_t *plan)
{
    double               alpha;
    helix_risk_reader_t  in;

    r->nquantiles = 0;

    if (!value->given) {
        r->nquantiles = 2;
        r->quantiles[0] = 0.95;
        r->quantiles[1] = 0.99;

        return HELIX_DONE;
    }

    if (helix_risk_open(&in, "levels", value, plan, HELIX_JSON_ARRAY)
        != HELIX_DONE)
    {
        return HELIX_FAILED;
    }

    while (helix_risk_next(&in) == HELIX_DONE
           && in.token.type != HELIX_JSON_ARRAY_END)
    {
        if (r->nquantiles == HELIX_RISK_QUANTILES) {
            return helix_risk_fail(plan, "levels", "levels must be at most "
                                   "%d", HELIX_RISK_QUANTILES);
        }

        (void) snprintf(in.where, sizeof(in.where), "levels[%u]",
                        r->nquantiles);

        if (helix_risk_number(&in, 0.5, 0.9999, "a number from 0.5 to 0.9999",
                              &alpha) != HELIX_DONE)
        {
            return HELIX_FAILED;
        }

        if (r->nquantiles != 0
            && !(alpha > r->quantiles[r->nquantiles - 1]))
        {
            return helix_risk_fail(plan, "levels", "%s must be above the one "
                                   "before", in.where);
        }

        r->quantiles[r->nquantiles++] = alpha;
    }

    if (in.token.type != HELIX_JSON_ARRAY_END) {
        return HELIX_FAILED;
    }

    if (r->nquantiles == 0) {
        return helix_risk_fail(plan, "levels", "levels must not be empty");
    }

    return HELIX_DONE;
}


static int
helix_risk_positions(const helix_value_t *value, helix_risk_request_t *r,
    helix_plan_t *plan)
{
    helix_risk_reader_t  in;

    r->npositions = 0;

    if (helix_risk_open(&in, "positions", value, plan, HELIX_JSON_ARRAY)
        != HELIX_DONE)
    {
        return HELIX_FAILED;
    }

    while (helix_risk_next(&in) == HELIX_DONE
           && in.token.type != HELIX_JSON_ARRAY_END)
    {
        if (r->npositions == HELIX_RISK_POSITIONS) {
            return helix_risk_fail(plan, "positions", "positions must be at "
                                   "most %d", HELIX_RISK_POSITIONS);
        }

        (void) snprintf(in.where, sizeof(in.where), "positions[%u]",
                        r->npositions);

        if (helix_risk_position(&in, r, &r->positions[r->npositions++])
            != HELIX_DONE)
        {
            return HELIX_FAILED;
        }
    }

    if (in.token.type != HELIX_JSON_ARRAY_END) {
        return HELIX_FAILED;
    }

    if (r->npositions == 0) {
        return helix_risk_fail(plan, "positions",
                               "positions must not be empty");
    }

    return HELIX_DONE;
}


static int
helix_risk_position(helix_risk_reader_t *in, helix_risk_request_t *r,
    helix_risk_position_t *p)
{
    double  v[5];

    if (helix_risk_object(in, helix_risk_position_members, 5, v, &p->type)
        != HELIX_DONE)
    {
        return HELIX_FAILED;
    }

    if (!(v[0] < r->nassets) || v[0] != (double) (uint32_t) v[0]) {
        return helix_risk_fail(in->plan, in->field, "%s.asset must be an "
                               "integer from 0 to %u", in->where,
                               r->nassets - 1);
    }

    p->asset = (uint32_t) v[0];
    p->quantity = v[1];
    p->strike = v[2];
    p->expiry = v[3];
    p->rate = (v[4] == HELIX_RISK_NO_VALUE) ? r->rate : v[4];

    if (p->type == HELIX_RISK_LINEAR) {

        if (v[2] != HELIX_RISK_NO_VALUE || v[3] != HELIX_RISK_NO_VALUE
            || v[4] != HELIX_RISK_NO_VALUE)
        {
            return helix_risk_fail(in->plan, in->field, "%s is linear: it has "
                                   "no strike, expiry or rate", in->where);
        }

        return HELIX_DONE;
    }

    if (v[2] == HELIX_RISK_NO_VALUE || v[3] == HELIX_RISK_NO_VALUE) {
        return helix_risk_fail(in->plan, in->field, "%s.%s is missing",
                               in->where, v[2] == HELIX_RISK_NO_VALUE
                                          ? "strike" : "expiry");
    }

    if (p->expiry < r->horizon) {
        return helix_risk_fail(in->plan, in->field, "%s.expiry must not be "
                               "before the horizon", in->where);
    }

    if (!(r->assets[p->asset].vol >= 0.001)) {
        return helix_risk_fail(in->plan, in->field, "%s is an option: "
                               "assets[%u].vol must be at least 0.001",
                               in->where, p->asset);
    }

    return HELIX_DONE;
}


/* What the members are together. */

static int
helix_risk_check(helix_risk_request_t *r, helix_plan_t *plan)
{
    double               drift, sd;
    uint32_t             i;
    helix_risk_asset_t  *a;

    for (i = 0; i < r->nassets; i++) {
        a = &r->assets[i];
        drift = a->carry * r->horizon;
        sd = a->vol * a->vol * r->horizon;

        if (drift > HELIX_RISK_MAX_MOVE || drift < -HELIX_RISK_MAX_MOVE
            || sd > HELIX_RISK_MAX_MOVE)
        {
            return helix_risk_fail(plan, "horizon", "horizon is too far for "
                                   "assets[%u]: carry and squared vol over it "
                                   "must be at most 10", i);
        }
    }

    return HELIX_DONE;
}
