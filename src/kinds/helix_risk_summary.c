
/* Of the losses, what the answer tells: quantiles and shortfalls with their
   intervals, mean and variance with their errors. */

#include "helix_risk_tail.h"


static void helix_risk_shortfall(const helix_risk_job_t *job,
    helix_risk_summary_t *sum, double var);
static void helix_risk_level_end(const helix_risk_job_t *job,
    helix_risk_summary_t *sum, helix_risk_quantile_t *q);
static void helix_risk_moments_end(const helix_risk_job_t *job,
    helix_risk_summary_t *sum);
static void helix_risk_moments_plain(const double *s, double n,
    helix_risk_summary_t *sum);
static void helix_risk_moments_tilted(double s[2][HELIX_RISK_SUMS], double n,
    helix_risk_summary_t *sum);


/* Of each level the quantile, the ends of its interval and the shortfall. */

int
helix_risk_summarize(const helix_risk_job_t *job, helix_risk_summary_t *sum)
{
    double                  value;
    uint32_t                k;
    helix_risk_mass_t       mass;
    helix_risk_quantile_t  *q;
    static const double     sigmas[] = { 0.0, -HELIX_RISK_95, HELIX_RISK_95 };

    sum->paths = job->path;
    q = &sum->quantiles[sum->stage / 4];
    k = sum->stage % 4;

    if (k < 3) {
        q->alpha = job->quantiles[sum->stage / 4];
        helix_risk_wanted(job, sum->paths, q->alpha, sigmas[k], &mass);

        if (helix_risk_select(job, &mass, &sum->select, &value)
            == HELIX_AGAIN)
        {
            return HELIX_AGAIN;
        }

        if (k == 0) {
            q->var = value;

        } else {
            q->var_ci[k - 1] = value;
        }

        sum->stage++;

        return HELIX_AGAIN;
    }

    helix_risk_shortfall(job, sum, q->var);

    if (sum->pos != job->tail.nkept) {
        return HELIX_AGAIN;
    }

    helix_risk_level_end(job, sum, q);

    if (++sum->stage != 4 * job->nquantiles) {
        return HELIX_AGAIN;
    }

    helix_risk_moments_end(job, sum);

    return HELIX_DONE;
}


/* In the order of the paths: losses that were kept in vain change no bit. */

static void
helix_risk_shortfall(const helix_risk_job_t *job, helix_risk_summary_t *sum,
    double var)
{
    double                    y, w, s1, s2, m1, m2;
    uint32_t                  i, end;
    const helix_risk_tail_t  *tail;

    tail = &job->tail;

    if (sum->pos == 0) {
        sum->s1 = sum->s2 = sum->m1 = sum->m2 = 0.0;
    }

    s1 = sum->s1;
    s2 = sum->s2;
    m1 = sum->m1;
    m2 = sum->m2;
    end = tail->nkept;

    if (end - sum->pos > HELIX_RISK_CHUNK / 2) {
        end = sum->pos + HELIX_RISK_CHUNK / 2;
    }

    for (i = sum->pos; i < end; i++) {
        y = tail->losses[i] - var;
        y = (y > 0.0) ? y : 0.0;

        if (tail->weights != NULL) {
            w = (y > 0.0) ? tail->weights[i] : 0.0;
            m1 += w;
            m2 += w * w;
            y *= w;
        }

        s1 += y;
        s2 += y * y;
    }

    sum->s1 = s1;
    sum->s2 = s2;
    sum->m1 = m1;
    sum->m2 = m2;
    sum->pos = end;
}


/*
 * The shortfall is the minimum over x of x + E(L - x)+ / (1 - alpha), of which
 * the quantile is the place (Rockafellar and Uryasev, 2000): to first order
 * its error is that of the mean alone.
 */

static void
helix_risk_level_end(const helix_risk_job_t *job, helix_risk_summary_t *sum,
    helix_risk_quantile_t *q)
{
    double  n, tail, t, sd;

    n = sum->paths;
    tail = 1.0 - q->alpha;

    q->es = q->var + sum->s1 / (n * tail);

    sd = helix_risk_root((sum->s2 - sum->s1 * sum->s1 / n) / (n - 1.0));
    q->es_se = sd / (tail * __builtin_sqrt(n));

    q->k = n * tail;

    if (job->tail.weights != NULL) {
        q->k = (sum->m2 > 0.0) ? sum->m1 * sum->m1 / sum->m2 : 0.0;
    }

    if (q->k >= HELIX_RISK_FEWEST) {
        t = helix_risk_student_quantile(q->k - 1.0);
        q->es_ci[0] = q->es - t * q->es_se;
        q->es_ci[1] = q->es + t * q->es_se;
    }

    sum->pos = 0;
}


/* The paths of even numbers are plain, the others tilted, if any are. */

static void
helix_risk_moments_end(const helix_risk_job_t *job, helix_risk_summary_t *sum)
{
    double    s[2][HELIX_RISK_SUMS];
    uint32_t  i, k;

    for (i = 0; i < HELIX_RISK_SUMS; i++) {
        s[0][i] = 0.0;
        s[1][i] = 0.0;

        for (k = 0; k < HELIX_RISK_LANES; k++) {
            s[k % 2][i] += job->tail.sums[i][k];
        }
    }

    if (job->tail.weights == NULL) {
        for (i = 0; i < HELIX_RISK_SUMS; i++) {
            s[0][i] += s[1][i];
        }

        helix_risk_moments_plain(s[0], sum->paths, sum);

    } else {
        helix_risk_moments_tilted(s, sum->paths, sum);
    }

    sum->mean += job->tail.shift;
}


static void
helix_risk_moments_plain(const double *s, double n,
    helix_risk_summary_t *sum)
{
    double  m1, m2, m4;

    m1 = s[0] / n;
    m2 = s[1] / n - m1 * m1;
    m4 = s[3] / n - 4.0 * m1 * (s[2] / n) + 6.0 * m1 * m1 * (s[1] / n)
         - 3.0 * m1 * m1 * m1 * m1;

    m2 = (m2 > 0.0) ? m2 : 0.0;

    sum->mean = m1;
    sum->variance = m2 * (n / (n - 1.0));
    sum->mean_se = helix_risk_root(sum->variance / n);
    sum->variance_se = helix_risk_root((m4 - m2 * m2) / n);
}


/* Strata: what differs between them is no error. */

static void
helix_risk_moments_tilted(double s[2][HELIX_RISK_SUMS], double n,
    helix_risk_summary_t *sum)
{
    double    m, v, e, half, *t;
    uint32_t  i;

    half = n / 2.0;
    m = (s[0][1] + s[1][1]) / n;

    sum->mean = m;

    for (i = 0; i < 2; i++) {
        t = s[i];

        v = t[1] / half;
        sum->mean_se += t[5] / half - v * v;

        v = (t[2] - 2.0 * m * t[1] + m * m * t[0]) / half;
        e = t[7] - 4.0 * m * t[6] + 6.0 * m * m * t[5]
            - 4.0 * m * m * m * t[4] + m * m * m * m * t[3];
        sum->variance += v / 2.0;
        sum->variance_se += e / half - v * v;
    }

    sum->mean_se = helix_risk_root(sum->mean_se / (2.0 * n));
    sum->variance_se = helix_risk_root(sum->variance_se / (2.0 * n));
}
