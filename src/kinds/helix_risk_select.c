
/*
 * Quantiles of losses that stay where they are: keys, integers in their order,
 * are counted in bins, those of one bin sorted.  Read only, in pieces.
 */

#include "helix_risk_tail.h"


#define HELIX_RISK_GLANCE  32             /* losses compared at a time */

/* states of a search */
enum {
    HELIX_RISK_RANGE = 0,
    HELIX_RISK_COUNT,
    HELIX_RISK_COUNTED,                   /* as for the answer before */
    HELIX_RISK_GATHER
};


static uint32_t helix_risk_rank(double n, double alpha, double sigmas);
static void helix_risk_range(const helix_risk_tail_t *tail,
    helix_risk_select_t *s, uint32_t end);
static void helix_risk_clear(helix_risk_select_t *s);
static void helix_risk_count(const helix_risk_tail_t *tail,
    helix_risk_select_t *s, uint32_t end);
static void helix_risk_narrow(const helix_risk_job_t *job,
    const helix_risk_mass_t *mass, helix_risk_select_t *s);
static void helix_risk_gather(const helix_risk_tail_t *tail,
    helix_risk_select_t *s, uint32_t end);
static double helix_risk_few(const helix_risk_job_t *job,
    const helix_risk_mass_t *mass, helix_risk_select_t *s);
static void helix_risk_sort(const double *losses, uint32_t *places,
    uint32_t n);


/* From 1, of n losses in ascending order. */

static uint32_t
helix_risk_rank(double n, double alpha, double sigmas)
{
    double  x, rank;

    x = n * alpha;

    if (sigmas == 0.0) {
        rank = (double) (uint32_t) x;
        rank += (rank < x);

    } else {
        x += sigmas * __builtin_sqrt(x * (1.0 - alpha));
        rank = (x > 0.0) ? (double) (uint32_t) x : 0.0;

        if (sigmas > 0.0) {
            rank += (rank < x) + 1.0;
        }
    }

    return (rank < 1.0) ? 1 : (rank > n) ? (uint32_t) n : (uint32_t) rank;
}


void
helix_risk_wanted(const helix_risk_job_t *job, uint32_t paths, double alpha,
    double sigmas, helix_risk_mass_t *mass)
{
    mass->paths = paths;
    mass->share = 1.0 - alpha;
    mass->sigmas = sigmas;
    mass->count = 0;

    if (job->tail.weights == NULL) {
        mass->count = paths - helix_risk_rank(paths, alpha, sigmas) + 1;
    }
}


int
helix_risk_reached(const helix_risk_job_t *job,
    const helix_risk_mass_t *mass, uint64_t m1, uint64_t m2)
{
    double  p, se;

    if (job->tail.weights == NULL) {
        return m1 >= mass->count;
    }

    p = (double) m1 / (HELIX_RISK_ONE * mass->paths);
    se = (double) m2 / (HELIX_RISK_ONE * mass->paths) - p * p;
    se = helix_risk_root(se / mass->paths);

    return p + mass->sigmas * se >= mass->share;
}


/*
 * A bin is a range of keys.  Those of the bin in which the mass is reached
 * are sorted if they are few, else it is the next range.  Such bins depend on
 * the losses kept, the answer does not.  The first bins serve the answers
 * that follow, too.
 */

int
helix_risk_select(const helix_risk_job_t *job,
    const helix_risk_mass_t *mass, helix_risk_select_t *s, double *answer)
{
    uint32_t                  end, whole;
    const helix_risk_tail_t  *tail;

    tail = &job->tail;

    end = tail->nkept;
    if (end - s->pos > HELIX_RISK_CHUNK) {
        end = s->pos + HELIX_RISK_CHUNK;
    }

    whole = (end == tail->nkept);

    switch (s->state) {

    case HELIX_RISK_RANGE:
        helix_risk_range(tail, s, end);

        if (whole) {
            s->least = s->low;
            s->most = s->high;
            s->above = 0;
            s->above2 = 0;
            helix_risk_clear(s);
            s->first = 1;
        }

        break;

    case HELIX_RISK_COUNTED:
        s->low = s->least;
        s->high = s->most;
        s->above = 0;
        s->above2 = 0;
        helix_risk_narrow(job, mass, s);

        return HELIX_AGAIN;

    case HELIX_RISK_COUNT:
        helix_risk_count(tail, s, end);

        if (whole) {
            helix_risk_narrow(job, mass, s);
        }

        break;

    default: /* HELIX_RISK_GATHER */
        helix_risk_gather(tail, s, end);

        if (whole) {
            *answer = helix_risk_few(job, mass, s);
            s->state = s->first ? HELIX_RISK_COUNTED : HELIX_RISK_RANGE;
            s->pos = 0;

            return HELIX_DONE;
        }
    }

    s->pos = whole ? 0 : end;

    return HELIX_AGAIN;
}


static void
helix_risk_range(const helix_risk_tail_t *tail, helix_risk_select_t *s,
    uint32_t end)
{
    double    loss, low, high;
    uint32_t  i;

    low = tail->losses[0];
    high = low;

    if (s->pos != 0) {
        low = helix_risk_unkey(s->low);
        high = helix_risk_unkey(s->high);
    }

    for (i = s->pos; i < end; i++) {
        loss = tail->losses[i];
        low = (loss < low) ? loss : low;
        high = (loss > high) ? loss : high;
    }

    s->low = helix_risk_key(low);
    s->high = helix_risk_key(high);
}


static void
helix_risk_clear(helix_risk_select_t *s)
{
    s->state = HELIX_RISK_COUNT;
    s->shift = 0;

    while (((s->high - s->low) >> s->shift) >= HELIX_RISK_BINS) {
        s->shift++;
    }

    memset(s->mass, 0, sizeof(s->mass));
    memset(s->mass2, 0, sizeof(s->mass2));
    memset(s->count, 0, sizeof(s->count));
}


static void
helix_risk_count(const helix_risk_tail_t *tail, helix_risk_select_t *s,
    uint32_t end)
{
    uint32_t  i;
    uint64_t  key, range, bin, m1, m2;

    range = s->high - s->low;

    for (i = s->pos; i < end; i++) {
        key = helix_risk_key(tail->losses[i]) - s->low;

        if (key > range) {
            continue;
        }

        bin = key >> s->shift;
        s->count[bin]++;

        if (tail->weights != NULL) {
            helix_risk_masses(tail, i, &m1, &m2);
            s->mass[bin] += m1;
            s->mass2[bin] += m2;
        }
    }
}


static void
helix_risk_narrow(const helix_risk_job_t *job,
    const helix_risk_mass_t *mass, helix_risk_select_t *s)
{
    uint32_t  bin;
    uint64_t  m1, m2;

    for (bin = HELIX_RISK_BINS - 1; bin != 0; bin--) {
        m1 = s->mass[bin];
        m2 = s->mass2[bin];

        if (job->tail.weights == NULL) {
            m1 = s->count[bin];
        }

        if (helix_risk_reached(job, mass, s->above + m1, s->above2 + m2)) {
            break;
        }

        s->above += m1;
        s->above2 += m2;
    }

    s->low += (uint64_t) bin << s->shift;

    if (s->high - s->low >= (uint64_t) 1 << s->shift) {
        s->high = s->low + (((uint64_t) 1 << s->shift) - 1);
    }

    if (s->count[bin] <= HELIX_RISK_FEW || s->shift == 0) {
        s->state = HELIX_RISK_GATHER;
        s->nfew = 0;
        return;
    }

    s->first = 0;
    helix_risk_clear(s);
}


/* Their places.  They are rare: most losses are only looked at in passing,
   several at a time. */

static void
helix_risk_gather(const helix_risk_tail_t *tail, helix_risk_select_t *s,
    uint32_t end)
{
    double         low, high;
    uint32_t       i, k, any, last;
    const double  *losses;

    losses = tail->losses;
    low = helix_risk_unkey(s->low);
    high = helix_risk_unkey(s->high);

    for (i = s->pos; i < end; i = last) {
        last = (end - i < HELIX_RISK_GLANCE) ? end : i + HELIX_RISK_GLANCE;
        any = 0;

        for (k = i; k < last; k++) {
            any |= (uint32_t) (losses[k] >= low)
                   & (uint32_t) (losses[k] <= high);
        }

        for (k = i; any && k < last; k++) {
            if (losses[k] >= low && losses[k] <= high
                && s->nfew < HELIX_RISK_FEW)
            {
                s->few[s->nfew++] = k;
            }
        }
    }
}


static double
helix_risk_few(const helix_risk_job_t *job, const helix_risk_mass_t *mass,
    helix_risk_select_t *s)
{
    double    loss;
    uint32_t  i;
    uint64_t  m1, m2, sum1, sum2;

    helix_risk_sort(job->tail.losses, s->few, s->nfew);

    sum1 = s->above;
    sum2 = s->above2;
    loss = helix_risk_unkey(s->low);

    for (i = 0; i < s->nfew; i++) {
        loss = job->tail.losses[s->few[i]];
        helix_risk_masses(&job->tail, s->few[i], &m1, &m2);
        sum1 += m1;
        sum2 += m2;

        if (helix_risk_reached(job, mass, sum1, sum2)) {
            break;
        }
    }

    return loss;
}


/* Places by their losses, the largest first; Shell's method. */

static void
helix_risk_sort(const double *losses, uint32_t *places, uint32_t n)
{
    uint32_t  i, k, gap, place;

    for (gap = 364; gap != 0; gap /= 3) {
        for (i = gap; i < n; i++) {
            place = places[i];

            for (k = i; k >= gap
                        && losses[places[k - gap]] < losses[place]; k -= gap)
            {
                places[k] = places[k - gap];
            }

            places[k] = place;
        }
    }
}
