
/*
 * What a job of the full form takes, and its cheaper levels.
 *
 * Work is counted in nanoseconds of the fastest instructions, times what this
 * processor's take longer, and given in the units of the seed's form, of which
 * a nanosecond has HELIX_RISK_UNITS.
 */

#include <stddef.h>
#include <string.h>

#include "helix_risk.h"


#define HELIX_RISK_UNITS    84
#define HELIX_RISK_SETUP    20000         /* ns: parsing and answering */
#define HELIX_RISK_NS_EACH  400           /* of a position, likewise */


static uint64_t helix_risk_work(const helix_risk_request_t *r);
static int helix_risk_has(const helix_risk_request_t *r, uint32_t rung);
static void helix_risk_fewer(helix_risk_request_t *r, uint32_t by);
static uint64_t helix_risk_mix(uint64_t hash, uint64_t value);
static uint64_t helix_risk_summary_ns(const helix_risk_request_t *r);
static uint64_t helix_risk_batch_key(const helix_risk_request_t *r);


int
helix_risk_plan(const helix_args_t *args, helix_plan_t *plan)
{
    char                   head[offsetof(helix_risk_request_t, assets)];
    size_t                 memory;
    uint32_t               i, rung;
    uint64_t               summary;
    helix_level_t         *level;
    helix_risk_request_t   request;

    if (helix_risk_parse(args, &request, plan) != HELIX_DONE) {
        return HELIX_FAILED;
    }

    plan->work = helix_risk_work(&request);
    summary = helix_risk_summary_ns(&request);
    plan->memory = helix_risk_layout(&request);
    plan->batch_key = helix_risk_batch_key(&request);
    plan->nlevels = 0;

    /* levels differ in no more */
    memcpy(head, &request, sizeof(head));

    for (i = 0; (rung = helix_risk_rung_at(&request, i))
                != HELIX_RISK_NRUNGS; i++)
    {
        helix_risk_level(&request, rung);

        level = &plan->levels[plan->nlevels++];
        level->work = helix_risk_work(&request);
        level->quality = request.quality;
        level->name = rung;

        memory = helix_risk_layout(&request);

        if (memory > plan->memory) {
            plan->memory = memory;
        }

        memcpy(&request, head, sizeof(head));
    }

    /* what is cut short is summed up where its answer is written */

    plan->flags = (summary > HELIX_RISK_NS_FINISH) ? HELIX_PURE
                                                 : HELIX_PURE|HELIX_ANYTIME;

    return HELIX_DONE;
}


/* Of the losses kept, for each of the levels. */

static uint64_t
helix_risk_summary_ns(const helix_risk_request_t *r)
{
    if (r->estimator == HELIX_RISK_CLOSED) {
        return 0;
    }

    return (uint64_t) helix_risk_tail_size(r) * r->nquantiles
           * (r->estimator == HELIX_RISK_TILTED ? HELIX_RISK_NS_WEIGHED
                                                : HELIX_RISK_NS_SELECT);
}


/* ns of what the assets of a block have in common, in a step. */

uint32_t
helix_risk_begin_ns(uint32_t nassets, uint32_t dof, uint32_t njumps)
{
    uint32_t  ns;

    ns = nassets * HELIX_RISK_NS_ROW;

    if (dof != 0) {
        ns += (dof / 4 + 2) * HELIX_RISK_NS_DRAW;
    }

    if (njumps != 0) {
        ns += 3 * HELIX_RISK_NS_DRAW;
    }

    return ns;
}


static uint64_t
helix_risk_work(const helix_risk_request_t *r)
{
    uint32_t  i, npairs;
    uint64_t  ns, n, all;

    n = r->nassets;
    npairs = (r->nassets + 1) / 2;
    all = HELIX_RISK_SETUP + (uint64_t) r->npositions * HELIX_RISK_NS_EACH
          + n * n * n / 2;

    if (r->estimator != HELIX_RISK_PLAIN) {
        all += 20 * n * n * n;
    }

    if (r->estimator == HELIX_RISK_CLOSED) {
        return all * HELIX_RISK_UNITS;
    }

    ns = helix_risk_begin_ns(r->nassets, r->dof, r->jump_rate > 0.0)
         + npairs * HELIX_RISK_NS_PAIR + n * n / 4 * HELIX_RISK_NS_ROW;
    ns *= r->steps;

    if (r->estimator == HELIX_RISK_TILTED) {
        ns += (uint64_t) npairs * HELIX_RISK_NS_TILT + HELIX_RISK_NS_WEIGH;
        ns += n * n / 4 * HELIX_RISK_NS_ROW;
    }

    ns += n * (HELIX_RISK_NS_PRICE + HELIX_RISK_NS_LINEAR)
          + HELIX_RISK_NS_LOSSES;

    for (i = 0; i < r->npositions && !r->delta_gamma; i++) {
        if (r->positions[i].type != HELIX_RISK_LINEAR) {
            ns += HELIX_RISK_NS_OPTION;
        }
    }

    all += helix_risk_summary_ns(r);

    /* at most 2^15 blocks of 2^10 steps of 2^17 ns */
    all += r->paths / HELIX_RISK_BLOCK * ns * helix_risk_isa()->slow / 10;

    return all * HELIX_RISK_UNITS;
}


/* The n-th level of a request, best first. */

uint32_t
helix_risk_rung_at(const helix_risk_request_t *r, uint32_t n)
{
    uint32_t  rung;

    for (rung = 0; rung < HELIX_RISK_NRUNGS; rung++) {
        if (helix_risk_has(r, rung) && n-- == 0) {
            break;
        }
    }

    return rung;
}


static int
helix_risk_has(const helix_risk_request_t *r, uint32_t rung)
{
    int  normal, importance;

    normal = (r->dof == 0 && !(r->jump_rate > 0.0));

    importance = (normal && r->estimator == HELIX_RISK_PLAIN
                  && r->paths >= 8 * HELIX_RISK_PILOT);

    switch (rung) {

    case HELIX_RISK_IMPORTANCE:
        return importance;

    case HELIX_RISK_PATHS_4:
        return !importance && r->paths >= 4 * HELIX_RISK_PILOT;

    case HELIX_RISK_DELTA_GAMMA:
        return !r->delta_gamma && r->paths >= 4 * HELIX_RISK_PILOT;

    default:
        return normal;
    }
}


/*
 * The quality is the width of the full run's interval of the first VaR by that
 * of the level: of n / 8 tilted paths as measured (t/bench/kind_risk.c), else
 * by the root of the paths.  The last two have errors of the model beside, of
 * which nothing is known: they are put below.
 */

void
helix_risk_level(helix_risk_request_t *r, uint32_t rung)
{
    switch (rung) {

    case HELIX_RISK_IMPORTANCE:
        r->estimator = HELIX_RISK_TILTED;
        r->steps = 1;
        r->quality = 0.7;
        helix_risk_fewer(r, 8);
        break;

    case HELIX_RISK_PATHS_4:
        r->quality = 0.5;
        helix_risk_fewer(r, 4);
        break;

    case HELIX_RISK_DELTA_GAMMA:
        r->delta_gamma = 1;
        r->quality = 0.25;
        helix_risk_fewer(r, 4);
        break;

    default:
        r->estimator = HELIX_RISK_CLOSED;
        r->steps = 1;
        r->delta_gamma = 1;
        r->quality = 0.1;
        r->pressed = 1;
        break;
    }
}


static void
helix_risk_fewer(helix_risk_request_t *r, uint32_t by)
{
    r->paths /= by;
    r->paths -= r->paths % HELIX_RISK_BLOCK;
    r->pressed = 1;
}


static uint64_t
helix_risk_mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0xff51afd7ed558ccdULL;

    return hash ^ (hash >> 32);
}


uint64_t
helix_risk_hash(const void *data, size_t size)
{
    size_t          i;
    uint64_t        hash, word;
    const uint8_t  *p;

    p = data;
    hash = size;

    for (i = 0; i + sizeof(word) <= size; i += sizeof(word)) {
        memcpy(&word, p + i, sizeof(word));
        hash = helix_risk_mix(hash, word);
    }

    return hash;
}


/* What the scenarios depend on, and the paths: jobs that go side by side. */

static uint64_t
helix_risk_batch_key(const helix_risk_request_t *r)
{
    uint32_t  i;
    uint64_t  hash;

    hash = helix_risk_hash(r->assets,
                           r->nassets * sizeof(helix_risk_asset_t));

    for (i = 0; i < r->nassets; i++) {
        hash = helix_risk_mix(hash, helix_risk_hash(r->factor[i],
                                        (i + 1) * sizeof(double)));
    }

    hash = helix_risk_mix(hash, r->seed);
    hash = helix_risk_mix(hash, (uint64_t) r->paths << 32 | r->steps);
    hash = helix_risk_mix(hash, (uint64_t) r->estimator << 32 | r->dof);
    hash = helix_risk_mix(hash, helix_risk_hash(&r->horizon,
                                                sizeof(double)));
    hash = helix_risk_mix(hash, helix_risk_hash(&r->jump_rate,
                                                3 * sizeof(double)));

    /* 0 is the seed's form */
    return hash | 1;
}
