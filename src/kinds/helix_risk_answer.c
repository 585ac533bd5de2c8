
/* The answer: one object. */

#include <string.h>

#include "helix_risk.h"


static void helix_risk_put_text(helix_output_t *out, const char *name,
    const char *text);
static void helix_risk_put_pair(helix_output_t *out, const char *name,
    double low, double high);
static void helix_risk_put_moment(helix_output_t *out, const char *name,
    double value, double se, int has_se);
static void helix_risk_put_level(helix_output_t *out,
    const helix_risk_quantile_t *q, int simulated);


void
helix_risk_finish(const void *state, helix_output_t *out)
{
    int                          simulated;
    uint32_t                     i;
    const helix_risk_job_t      *job;
    helix_risk_summary_t         summary;
    const helix_risk_summary_t  *sum;
    static const char *const     estimators[] = { "plain", "is", "dg_closed" };

    job = state;
    sum = &job->summary;
    simulated = (job->estimator != HELIX_RISK_CLOSED);

    if (job->phase != HELIX_RISK_DONE) {
        memset(&summary, 0, sizeof(summary));

        while (helix_risk_summarize(job, &summary) == HELIX_AGAIN) {
            /* void */
        }

        sum = &summary;
    }

    out->object(out);

    out->key(out, "paths_requested");
    out->u64(out, job->requested);
    out->key(out, "paths_used");
    out->u64(out, simulated ? sum->paths : 0);

    helix_risk_put_text(out, "truncated_by",
                        job->phase != HELIX_RISK_DONE ? "deadline"
                        : job->pressed ? "pressure" : "none");
    helix_risk_put_text(out, "estimator", estimators[job->estimator]);
    helix_risk_put_text(out, "model", job->delta_gamma ? "delta_gamma"
                                                       : "full");
    helix_risk_put_text(out, "precision", "f64");

    out->key(out, "seed");
    out->u64(out, job->market->seed);
    out->key(out, "value");
    out->f64(out, job->present);

    helix_risk_put_moment(out, "mean", sum->mean, sum->mean_se, simulated);
    helix_risk_put_moment(out, "variance", sum->variance, sum->variance_se,
                          simulated);

    out->key(out, "levels");
    out->array(out);

    for (i = 0; i < job->nquantiles; i++) {
        helix_risk_put_level(out, &sum->quantiles[i], simulated);
    }

    out->array_end(out);
    out->object_end(out);
}


static void
helix_risk_put_text(helix_output_t *out, const char *name, const char *text)
{
    out->key(out, name);
    out->text(out, text, strlen(text));
}


static void
helix_risk_put_pair(helix_output_t *out, const char *name, double low,
    double high)
{
    out->key(out, name);
    out->array(out);
    out->f64(out, low);
    out->f64(out, high);
    out->array_end(out);
}


static void
helix_risk_put_moment(helix_output_t *out, const char *name, double value,
    double se, int has_se)
{
    out->key(out, name);
    out->object(out);
    out->key(out, "value");
    out->f64(out, value);

    if (has_se) {
        out->key(out, "se");
        out->f64(out, se);
    }

    out->object_end(out);
}


static void
helix_risk_put_level(helix_output_t *out, const helix_risk_quantile_t *q,
    int simulated)
{
    out->object(out);
    out->key(out, "level");
    out->f64(out, q->alpha);
    out->key(out, "var");
    out->f64(out, q->var);

    if (simulated) {
        helix_risk_put_pair(out, "var_ci95", q->var_ci[0], q->var_ci[1]);
    }

    out->key(out, "es");
    out->f64(out, q->es);

    if (simulated && q->k >= HELIX_RISK_FEWEST) {
        out->key(out, "es_se");
        out->f64(out, q->es_se);
        helix_risk_put_pair(out, "es_ci95", q->es_ci[0], q->es_ci[1]);
    }

    out->key(out, "reliable");
    out->boolean(out, simulated && q->k >= HELIX_RISK_RELIABLE);
    out->object_end(out);
}
