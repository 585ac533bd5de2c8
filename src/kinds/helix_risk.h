
/*
 * montecarlo_risk, the full form: the loss of a portfolio over a horizon.
 *
 *     helix_risk_parse.c     parameters to a request
 *     helix_risk_plan.c      what it takes, and the cheaper levels
 *     helix_risk_setup.c     a request to a state; greeks
 *     helix_risk_tilt.c      the closed form, and importance sampling
 *     helix_risk.c           the steps of a job, and of many with one market
 *     helix_risk_kernel.h    the loops over paths, once an instruction set
 *     helix_risk_tail.c      which losses are kept
 *     helix_risk_select.c    their quantiles
 *     helix_risk_summary.c   expected shortfalls, moments, errors
 *     helix_risk_answer.c    the answer
 *
 * A path is a function of the seed and its number.  All sums are taken in the
 * order of the paths, on HELIX_RISK_LANES lanes whatever the hardware has: how
 * a job is sliced, with whom it is batched and which processor runs it changes
 * no bit of the answer, and a job cut short at n paths is a job of n paths.
 */

#ifndef HELIX_RISK_H_INCLUDED
#define HELIX_RISK_H_INCLUDED


#include "helix_kind.h"


#define HELIX_RISK_ASSETS      64
#define HELIX_RISK_POSITIONS   1024
#define HELIX_RISK_STEPS       1024
#define HELIX_RISK_QUANTILES   8          /* confidence levels */
#define HELIX_RISK_TEXT        65536      /* bytes of a JSON parameter */
#define HELIX_RISK_MIN_PATHS   1024
#define HELIX_RISK_MAX_PATHS   4194304
#define HELIX_RISK_MAX_TILTED  1048576    /* paths with importance sampling,
                                             which may keep them all */

#define HELIX_RISK_BLOCK       128        /* paths at a time */
#define HELIX_RISK_PILOT       4096       /* paths that set the first bar; also
                                             the least that is an answer */
#define HELIX_RISK_LANES       8
#define HELIX_RISK_SUMS        8
#define HELIX_RISK_JUMPS       16         /* at most, in a step */
#define HELIX_RISK_ROUNDS      10         /* of Philox */
#define HELIX_RISK_BINS        1024
#define HELIX_RISK_FEW         1024       /* values worth a plain sort */
#define HELIX_RISK_FEWEST      10.0       /* losses in a tail, for its error */
#define HELIX_RISK_RELIABLE    50.0       /* and for a good one */


/* ns of a block, about, with the fastest instructions */
#define HELIX_RISK_NS_PAIR     560        /* of normals */
#define HELIX_RISK_NS_ROW      25         /* of the matrix, times a pair */
#define HELIX_RISK_NS_DRAW     280        /* of other random numbers */
#define HELIX_RISK_NS_TILT     100
#define HELIX_RISK_NS_WEIGH    1500       /* and of keeping weights */
#define HELIX_RISK_NS_PRICE    60
#define HELIX_RISK_NS_LINEAR   15
#define HELIX_RISK_NS_OPTION   255
#define HELIX_RISK_NS_LOSSES   150
#define HELIX_RISK_NS_SELECT   25         /* a loss kept, for one level, */
#define HELIX_RISK_NS_WEIGHED  60         /* and with a weight */
#define HELIX_RISK_NS_FINISH   1000000    /* a summary that finish() may make */

/* the first word of a state; the seed's form has another */
#define HELIX_RISK_FULL        0x6b7369725f787668ULL


/* the parameters, in the order of the kind's table */

enum {
    HELIX_RISK_P_ASSETS = 0,
    HELIX_RISK_P_CORRELATION,
    HELIX_RISK_P_POSITIONS,
    HELIX_RISK_P_RATE,
    HELIX_RISK_P_HORIZON,
    HELIX_RISK_P_STEPS,
    HELIX_RISK_P_STUDENT_T,
    HELIX_RISK_P_JUMPS,
    HELIX_RISK_P_LEVELS,
    HELIX_RISK_P_PATHS,
    HELIX_RISK_P_SEED,
    HELIX_RISK_P_MODEL,
    HELIX_RISK_P_ESTIMATOR,
    HELIX_RISK_NPARAMS
};


typedef enum {
    HELIX_RISK_PLAIN = 0,
    HELIX_RISK_TILTED,                    /* importance sampling */
    HELIX_RISK_CLOSED
} helix_risk_estimator_t;


typedef enum {
    HELIX_RISK_LINEAR = 0,
    HELIX_RISK_CALL,
    HELIX_RISK_PUT
} helix_risk_type_t;


/* the rungs of the ladder, in the order of the kind's level names */

typedef enum {
    HELIX_RISK_IMPORTANCE = 0,
    HELIX_RISK_PATHS_4,
    HELIX_RISK_DELTA_GAMMA,
    HELIX_RISK_CLOSED_FORM,
    HELIX_RISK_NRUNGS
} helix_risk_rung_t;


typedef struct {
    double                   spot;
    double                   vol;         /* a year */
    double                   carry;       /* likewise */
} helix_risk_asset_t;


typedef struct {
    uint32_t                 asset;
    uint32_t                 type;        /* helix_risk_type_t */
    double                   quantity;
    double                   strike;
    double                   expiry;      /* years from now */
    double                   rate;
} helix_risk_position_t;


typedef struct {
    uint32_t                 nassets;
    uint32_t                 npositions;
    uint32_t                 nquantiles;
    uint32_t                 steps;
    uint32_t                 dof;         /* 0: normal */
    uint32_t                 delta_gamma;
    uint32_t                 estimator;
    uint32_t                 requested;   /* paths */
    uint32_t                 paths;       /* whole blocks */
    uint32_t                 pressed;     /* a level made them fewer */
    uint64_t                 seed;
    double                   rate;
    double                   horizon;     /* years */
    double                   jump_rate;
    double                   jump_mean;
    double                   jump_sd;
    double                   quality;     /* of the level */
    double                   quantiles[HELIX_RISK_QUANTILES];
    helix_risk_asset_t       assets[HELIX_RISK_ASSETS];
    helix_risk_position_t    positions[HELIX_RISK_POSITIONS];

    /* correlations below the diagonal, then their Cholesky factor */
    double                   factor[HELIX_RISK_ASSETS][HELIX_RISK_ASSETS];
} helix_risk_request_t;


/*
 * All that the scenarios depend on.  Equal bytes, equal scenarios: padding is
 * zero.  "values" is start[nassets] (the logarithm of the price at the horizon
 * but for chance), spot[nassets], and matrix[npairs][nassets][2].
 */

typedef struct {
    uint64_t                 seed;
    uint32_t                 nassets;
    uint32_t                 npairs;      /* of normals in a step */
    uint32_t                 steps;
    uint32_t                 dof;
    uint32_t                 full;        /* the matrix is not triangular */
    uint32_t                 njumps;      /* thresholds in use */
    double                   jump_mean;
    double                   jump_sd;
    double                   jumps[HELIX_RISK_JUMPS];  /* P(N <= i) */
    uint64_t                 keys[2 * HELIX_RISK_ROUNDS];
    double                   values[];
} helix_risk_market_t;


/* An option as the loop wants it; see helix_risk_setup.c. */

typedef struct {
    uint32_t                 asset;
    uint32_t                 put;         /* 0 or 1 */
    double                   inverse;     /* d1 = inverse log S + shift */
    double                   shift;
    double                   width;       /* d2 = d1 - width */
    double                   spot;        /* factors, with quantity and sign */
    double                   strike;
    double                   density;
} helix_risk_option_t;


/* An option that expires at the horizon. */

typedef struct {
    uint32_t                 asset;
    uint32_t                 put;
    double                   quantity;
    double                   strike;
} helix_risk_payoff_t;


/*
 * What is gathered of the losses.  The sums are, y being a loss less the shift
 * and w its weight: plain y, y^2, y^3, y^4; tilted w, wy, wy^2 and w^2, w^2 y,
 * w^2 y^2, w^2 y^3, w^2 y^4.
 */

typedef struct {
    double                   sums[HELIX_RISK_SUMS][HELIX_RISK_LANES];
    double                   base;        /* loss = base - value */
    double                   shift;
    double                   bar;         /* losses not below it are kept, in
                                             the order of the paths */
    double                  *losses;
    double                  *weights;     /* of them; NULL: all are 1 */
    uint32_t                 nkept;
    uint32_t                 size;
    uint64_t                 mass;        /* of those kept, if tilted */
    uint64_t                 mass2;
} helix_risk_tail_t;


/* The largest x so that the losses >= x have the mass asked for. */

typedef struct {
    uint32_t                 count;       /* plain: mass in losses */
    double                   paths;
    double                   share;       /* tilted: of the paths' mass, */
    double                   sigmas;      /* plus so many standard errors */
} helix_risk_mass_t;


/* Finds it reading only, and resumable.  Keys are integers in the order of
   the losses. */

typedef struct {
    uint32_t                 state;
    uint32_t                 pos;
    uint32_t                 shift;       /* bins are 2^shift keys wide */
    uint32_t                 nfew;
    uint32_t                 first;       /* the bins are of all the keys */
    uint32_t                 unused;
    uint64_t                 least;       /* of all the keys */
    uint64_t                 most;
    uint64_t                 low;         /* of the keys in question */
    uint64_t                 high;
    uint64_t                 above;       /* mass of those beyond */
    uint64_t                 above2;      /* and of its square */
    uint64_t                 mass[HELIX_RISK_BINS];
    uint64_t                 mass2[HELIX_RISK_BINS];
    uint32_t                 count[HELIX_RISK_BINS];
    uint32_t                 few[HELIX_RISK_FEW];
} helix_risk_select_t;


typedef struct {
    double                   alpha;
    double                   var;
    double                   var_ci[2];
    double                   es;
    double                   es_se;
    double                   es_ci[2];
    double                   k;           /* losses in the tail */
} helix_risk_quantile_t;


typedef struct {
    uint32_t                 stage;
    uint32_t                 pos;
    uint32_t                 paths;
    uint32_t                 unused;
    double                   s1;          /* of a tail: of the excess, */
    double                   s2;          /* of its square, and of */
    double                   m1;          /* the weights, if tilted */
    double                   m2;
    double                   mean;
    double                   mean_se;
    double                   variance;
    double                   variance_se;
    helix_risk_quantile_t    quantiles[HELIX_RISK_QUANTILES];
    helix_risk_select_t      select;
} helix_risk_summary_t;


/* The rotation that makes the quadratic form of the losses diagonal, and the
   tilt of its normals, one each for plain and for tilted lanes. */

typedef struct {
    double                   constant;
    double                   psi;         /* cumulants at the tilt */
    double                  *form;        /* [nassets][nassets] */
    double                  *other;       /* its square, or its vectors */
    double                  *linear;      /* [nassets] */
    double                  *scale;       /* [2 npairs] */
    double                  *mean;
    double                  *first;       /* of the exponent */
    double                  *second;
    double                  *slope;       /* of the value, [nassets] */
    double                  *curve;
} helix_risk_tilt_t;


typedef enum {
    HELIX_RISK_FORM = 0,                  /* the quadratic form */
    HELIX_RISK_SQUARE,                    /* closed: its square */
    HELIX_RISK_ROTATE,                    /* tilted: its vectors */
    HELIX_RISK_TURN,                      /* the matrix, by the vectors */
    HELIX_RISK_PATHS,
    HELIX_RISK_COMPACT,                   /* the losses kept */
    HELIX_RISK_CHECK,                     /* of what was kept */
    HELIX_RISK_SUMMARY,
    HELIX_RISK_DONE,
    HELIX_RISK_INFINITE                   /* a loss was */
} helix_risk_phase_t;


typedef struct {
    uint64_t                 form;        /* first in both forms' states */
    uint32_t                 phase;
    uint32_t                 estimator;
    uint32_t                 delta_gamma;
    uint32_t                 requested;
    uint32_t                 paths;
    uint32_t                 pressed;
    uint32_t                 row;         /* of the setup */
    uint32_t                 column;
    uint32_t                 sweep;
    uint32_t                 unused;

    /* where it stands */
    uint32_t                 path;        /* first of the block */
    uint32_t                 step;
    uint32_t                 pair;
    uint32_t                 begun;       /* the step */
    uint32_t                 valued;      /* options of the block, and 1 */
    uint64_t                 key;         /* of the market */

    uint32_t                 noptions;
    uint32_t                 npayoffs;
    uint32_t                 nquantiles;
    uint32_t                 unpiloted;   /* a pilot's bar was too high */
    double                   quality;
    double                   present;     /* value today */
    double                   horizon;
    double                   quantiles[HELIX_RISK_QUANTILES];

    size_t                   market_size;
    helix_risk_market_t     *market;
    helix_risk_option_t     *options;
    helix_risk_payoff_t     *payoffs;
    double                  *first;       /* value += (first + second y) y */
    double                  *second;      /* y the price less today's */

    /* of the block */
    double                  *logs;        /* [nassets][HELIX_RISK_BLOCK] */
    double                  *prices;      /* likewise */
    double                  *value;
    double                  *weight;      /* of Student's t in a step, then of
                                             the tilt */
    double                  *exponent;

    helix_risk_tilt_t        tilt;
    helix_risk_tail_t        tail;
    helix_risk_summary_t     summary;
} helix_risk_job_t;


/* What is compiled for each instruction set; arrays are aligned to 64. */

typedef struct {
    const char              *name;
    uint32_t                 slow;        /* tenths of the fastest's time */

    /* logs at the start of a step: chance common to the assets */
    void                   (*begin)(const helix_risk_market_t *m,
                                 uint32_t path, uint32_t step, double *logs,
                                 double *weight);
    /* adds normals of pairs [from, to) */
    void                   (*pairs)(helix_risk_job_t *job, uint32_t from,
                                 uint32_t to);
    void                   (*prices)(const double *logs, double *prices,
                                 uint32_t n);
    void                   (*linear)(const helix_risk_job_t *job,
                                 const double *prices);
    void                   (*options)(const helix_risk_job_t *job,
                                 const helix_risk_job_t *from, uint32_t first,
                                 uint32_t last);
    void                   (*payoffs)(const helix_risk_job_t *job,
                                 const double *prices);
    void                   (*weigh)(helix_risk_job_t *job);
    void                   (*losses)(helix_risk_tail_t *tail,
                                 const double *value, const double *weight);
} helix_risk_isa_t;

extern const helix_risk_isa_t  helix_risk_plain_isa;
extern const helix_risk_isa_t  helix_risk_avx2_isa;
extern const helix_risk_isa_t  helix_risk_avx512_isa;

/* The fastest that this processor has; the n-th of those it has, or NULL. */
const helix_risk_isa_t *helix_risk_isa(void);
const helix_risk_isa_t *helix_risk_isa_at(uint32_t n);


/* Their arithmetic for single numbers. */
double helix_risk_exp(double x);
double helix_risk_log(double x);
double helix_risk_density(double x);
double helix_risk_normal(double x);
double helix_risk_normal_quantile(double p);
double helix_risk_student_quantile(double dof);  /* 97.5 % */
void helix_risk_philox_keys(uint64_t *keys, uint64_t seed);
void helix_risk_philox(uint32_t counter[4], const uint64_t *keys);


int helix_risk_parse(const helix_args_t *args, helix_risk_request_t *request,
    helix_plan_t *plan);
/* Makes it the request of a rung. */
void helix_risk_level(helix_risk_request_t *request, uint32_t rung);

/* The rung that is the request's n-th level, HELIX_RISK_NRUNGS: none. */
uint32_t helix_risk_rung_at(const helix_risk_request_t *request, uint32_t n);
uint32_t helix_risk_begin_ns(uint32_t nassets, uint32_t dof,
    uint32_t njumps);
uint64_t helix_risk_hash(const void *data, size_t size);

/* The bytes of a state. */
size_t helix_risk_layout(const helix_risk_request_t *request);
void helix_risk_setup(helix_risk_job_t *job,
    const helix_risk_request_t *request);
/* A piece of the work between start() and the paths. */
void helix_risk_prepare(helix_risk_job_t *job);


/* Room for losses, in numbers. */
size_t helix_risk_tail_size(const helix_risk_request_t *request);
void helix_risk_tail_init(helix_risk_job_t *job);
/* The losses of the block at job->path; sets the phase after them. */
void helix_risk_tail_add(helix_risk_job_t *job, const helix_risk_isa_t *isa);
/* A piece of making room; HELIX_DONE or HELIX_AGAIN. */
int helix_risk_compact(helix_risk_job_t *job);
/* If no loss was infinite. */
int helix_risk_tail_finite(const helix_risk_job_t *job);
/* If the losses kept are all that the paths so far ask for. */
int helix_risk_tail_exact(const helix_risk_job_t *job);
/* A piece; HELIX_DONE or HELIX_AGAIN.  Zero the summary first. */
int helix_risk_summarize(const helix_risk_job_t *job,
    helix_risk_summary_t *summary);


/* As in helix_kind_t. */
int helix_risk_plan(const helix_args_t *args, helix_plan_t *plan);
void helix_risk_start(void *state, const helix_args_t *args);
int helix_risk_step(void *state, const helix_control_t *ctl);
int helix_risk_step_batch(void **states, uint8_t *results, uint32_t n,
    const helix_control_t *ctl);
double helix_risk_quality(const void *state);
void helix_risk_finish(const void *state, helix_output_t *out);


#endif /* HELIX_RISK_H_INCLUDED */
