
/*
 * score: a dense model, applied to rows of features.
 *
 * A batch works in gangs: the jobs that stand where the first of them stands,
 * up to 64 rows.  A block of weights is read once for all rows of a gang,
 * which is what a batch gains.  Where a job stands is all there is to know
 * about it between two steps; it may go on alone or in any company.
 */

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "helix_kinds.h"
#include "helix_score.h"
#include "helix_score_input.h"


#define HELIX_SCORE_WORK      1000      /* multiply-adds in a unit of cost */
#define HELIX_SCORE_MAX       65000000ULL


/* Sums of panels [panel, panel + npanels) are complete up to input k; beyond
   the last layer, "panel" is the next row to be finished. */

typedef struct {
    uint32_t                    layer;
    uint32_t                    panel;
    uint32_t                    npanels;
    uint32_t                    k;
} helix_score_place_t;


typedef struct {
    const helix_score_model_t  *model;
    uint32_t                    rows;
    uint32_t                    binary;
    uint32_t                    failed;
    helix_score_place_t         place;
    uint32_t                    unused[7];
    float                       values[];   /* rows of stride[0], and then of
                                               stride[1] */
} helix_score_job_t;


_Static_assert(offsetof(helix_score_job_t, values) % 64 == 0,
               "rows are aligned to vectors");


typedef struct {
    const helix_score_model_t  *model;
    helix_score_place_t         place;
    uint32_t                    first;      /* all jobs before have ended */
    uint32_t                    njobs;
    uint32_t                    rows;
    uint32_t                    spent;      /* since the last poll */
    uint32_t                    index[HELIX_SCORE_ROWS];
    helix_score_job_t          *jobs[HELIX_SCORE_ROWS];
    const float                *x[HELIX_SCORE_ROWS];
    float                      *y[HELIX_SCORE_ROWS];
} helix_score_gang_t;


static void *helix_score_configure(const helix_host_t *host,
    const helix_pair_t *pairs, uint32_t npairs, char *error);
static void helix_score_destroy(void *conf);
static int helix_score_plan(void *conf, const helix_args_t *args,
    helix_plan_t *plan);
static void helix_score_start(void *conf, void *state,
    const helix_args_t *args);
static int helix_score_step(void *state, const helix_control_t *ctl);
static int helix_score_step_batch(void **states, uint8_t *results,
    uint32_t n, const helix_control_t *ctl);
static void helix_score_finish(const void *state, helix_output_t *out);

static int helix_score_pairs(const helix_pair_t *pairs, uint32_t npairs,
    const char **values, char *error);
static float *helix_score_rows(helix_score_job_t *job, uint32_t layer);
static void helix_score_gather(helix_score_gang_t *gang, void **states,
    const uint8_t *results, uint32_t n);
static int helix_score_advance(helix_score_gang_t *gang, uint8_t *results,
    const helix_control_t *ctl);
static int helix_score_pause(helix_score_gang_t *gang,
    const helix_control_t *ctl);
static void helix_score_aim(helix_score_gang_t *gang);
static void helix_score_block(helix_score_gang_t *gang);
static void helix_score_next(helix_score_gang_t *gang,
    const helix_score_layer_t *layer);
static uint32_t helix_score_panels(const helix_score_gang_t *gang,
    const helix_score_layer_t *layer, uint32_t rows);
static int helix_score_end(helix_score_gang_t *gang, helix_score_job_t *job,
    const helix_control_t *ctl);
static void helix_score_end_row(helix_score_job_t *job, uint32_t row);
static double helix_score_short(float value);


static const char *const  helix_score_pair_names[] = {
    "model", "activation", "output"
};


static const struct {
    const char              *name;
    uint32_t                 use;
    helix_score_function_t   function;
} helix_score_names[] = {
    { "identity", HELIX_SCORE_ACTIVATION|HELIX_SCORE_OUTPUT,
      HELIX_SCORE_IDENTITY },
    { "relu", HELIX_SCORE_ACTIVATION, HELIX_SCORE_RELU },
    { "tanh", HELIX_SCORE_ACTIVATION, HELIX_SCORE_TANH },
    { "gelu", HELIX_SCORE_ACTIVATION, HELIX_SCORE_GELU },
    { "sigmoid", HELIX_SCORE_OUTPUT, HELIX_SCORE_SIGMOID },
    { "softmax", HELIX_SCORE_OUTPUT, HELIX_SCORE_SOFTMAX }
};


const helix_kind_t  helix_kind_score = {
    .size = sizeof(helix_kind_t),
    .abi = HELIX_KIND_ABI,
    .name = "score",
    .max_work = HELIX_SCORE_MAX,
    .params = helix_score_params,
    .accepts = "application/octet-stream",
    .configure = helix_score_configure,
    .destroy = helix_score_destroy,
    .plan = helix_score_plan,
    .start = helix_score_start,
    .step = helix_score_step,
    .step_batch = helix_score_step_batch,
    .finish = helix_score_finish
};


helix_score_function_t
helix_score_function(const char *name, uint32_t use)
{
    size_t  i;

    for (i = 0; i < sizeof(helix_score_names) / sizeof(helix_score_names[0]);
         i++)
    {
        if ((helix_score_names[i].use & use)
            && strcmp(helix_score_names[i].name, name) == 0)
        {
            return helix_score_names[i].function;
        }
    }

    return HELIX_SCORE_UNSET;
}


static void *
helix_score_configure(const helix_host_t *host, const helix_pair_t *pairs,
    uint32_t npairs, char *error)
{
    uint32_t                 i;
    const char              *values[3];
    helix_score_function_t   functions[3];

    (void) host;

    if (helix_score_pairs(pairs, npairs, values, error) != 0) {
        return NULL;
    }

    /* the place of a function's pair is its use */

    for (i = HELIX_SCORE_ACTIVATION; i <= HELIX_SCORE_OUTPUT; i++) {
        functions[i] = HELIX_SCORE_UNSET;

        if (values[i] == NULL) {
            continue;
        }

        functions[i] = helix_score_function(values[i], i);

        if (functions[i] == HELIX_SCORE_UNSET) {
            (void) snprintf(error, HELIX_KIND_ERROR_MAX, "unknown %s "
                            "\"%.60s\", known are %s",
                            helix_score_pair_names[i], values[i],
                            i == HELIX_SCORE_ACTIVATION
                            ? "relu, tanh, gelu and identity"
                            : "identity, sigmoid and softmax");
            return NULL;
        }
    }

    /* where a relative name would begin depends on who starts nginx */

    if (values[0] == NULL || values[0][0] != '/') {
        (void) snprintf(error, HELIX_KIND_ERROR_MAX, "needs model=FILE, an "
                        "absolute path of a safetensors file");
        return NULL;
    }

    return helix_score_load(values[0], functions[HELIX_SCORE_ACTIVATION],
                            functions[HELIX_SCORE_OUTPUT], error);
}


static void
helix_score_destroy(void *conf)
{
    helix_score_free(conf);
}


static int
helix_score_plan(void *conf, const helix_args_t *args, helix_plan_t *plan)
{
    uint64_t                    work, outputs;
    helix_score_input_t         in;
    const helix_score_model_t  *model;

    model = conf;

    if (helix_score_input(&in, model, args, NULL, plan->error) != 0) {
        plan->field = in.field;
        return HELIX_FAILED;
    }

    outputs = (uint64_t) in.rows * model->outputs;

    if (!in.binary && outputs > HELIX_SCORE_NUMBERS) {
        plan->field = "format";
        (void) snprintf(plan->error, HELIX_KIND_ERROR_MAX,
                        "more than %d numbers are too many for JSON: ask for "
                        "format=binary, or fewer rows", HELIX_SCORE_NUMBERS);
        return HELIX_FAILED;
    }

    work = model->work * (in.rows + model->wait);

    plan->flags = HELIX_PURE;
    plan->work = (work + HELIX_SCORE_WORK - 1) / HELIX_SCORE_WORK;
    plan->memory = sizeof(helix_score_job_t)
                   + in.rows * sizeof(float)
                     * ((size_t) model->stride[0] + model->stride[1]);

    return HELIX_DONE;
}


static void
helix_score_start(void *conf, void *state, const helix_args_t *args)
{
    helix_score_job_t    *job;
    helix_score_input_t   in;
    char                  error[HELIX_KIND_ERROR_MAX];

    job = state;

    memset(job, 0, sizeof(helix_score_job_t));
    job->model = conf;

    (void) helix_score_input(&in, conf, args, job->values, error);

    job->rows = in.rows;
    job->binary = in.binary;
}


static int
helix_score_step(void *state, const helix_control_t *ctl)
{
    uint8_t  result;

    result = HELIX_AGAIN;

    (void) helix_score_step_batch(&state, &result, 1, ctl);

    return result;
}


static int
helix_score_step_batch(void **states, uint8_t *results, uint32_t n,
    const helix_control_t *ctl)
{
    helix_score_gang_t  gang;

    gang.first = 0;
    gang.spent = 0;

    for ( ;; ) {
        helix_score_gather(&gang, states, results, n);

        if (gang.njobs == 0) {
            return HELIX_DONE;
        }

        if (helix_score_advance(&gang, results, ctl)) {
            return HELIX_AGAIN;
        }
    }
}


static void
helix_score_finish(const void *state, helix_output_t *out)
{
    size_t                    len;
    uint32_t                  row, i;
    const float              *y;
    const helix_score_job_t  *job;

    job = state;

    y = helix_score_rows((helix_score_job_t *) job, job->model->nlayers);
    len = (size_t) job->rows * job->model->outputs;

    if (job->binary) {
        out->body(out, "application/octet-stream", y, len * sizeof(float));
        return;
    }

    for (row = 0; row < job->rows; row++) {

        if (job->rows > 1) {
            out->array(out);
        }

        for (i = 0; i < job->model->outputs; i++) {
            out->f64(out, helix_score_short(*y++));
        }

        if (job->rows > 1) {
            out->array_end(out);
        }
    }
}


static int
helix_score_pairs(const helix_pair_t *pairs, uint32_t npairs,
    const char **values, char *error)
{
    uint32_t  i, which;

    values[0] = NULL;
    values[1] = NULL;
    values[2] = NULL;

    for (i = 0; i < npairs; i++) {

        for (which = 0; which < 3; which++) {
            if (strcmp(pairs[i].name, helix_score_pair_names[which]) == 0) {
                break;
            }
        }

        if (which == 3 || values[which] != NULL) {
            (void) snprintf(error, HELIX_KIND_ERROR_MAX, "%s \"%.60s\", known "
                            "are model, activation and output",
                            which == 3 ? "unknown" : "two values of",
                            pairs[i].name);
            return -1;
        }

        values[which] = pairs[i].value;
    }

    return 0;
}


/* Where the inputs of a layer are. */

static float *
helix_score_rows(helix_score_job_t *job, uint32_t layer)
{
    size_t  other;

    other = (size_t) job->rows * job->model->stride[0];

    return job->values + (layer % 2 ? other : 0);
}


/* The first job that has not ended, and those that stand where it stands. */

static void
helix_score_gather(helix_score_gang_t *gang, void **states,
    const uint8_t *results, uint32_t n)
{
    uint32_t            i;
    helix_score_job_t  *job;

    gang->njobs = 0;
    gang->rows = 0;

    for (i = gang->first; i < n && gang->rows < HELIX_SCORE_ROWS; i++) {

        if (states[i] == NULL || results[i] != HELIX_AGAIN) {
            continue;
        }

        job = states[i];

        if (gang->njobs == 0) {
            gang->first = i;
            gang->model = job->model;
            gang->place = job->place;
        }

        if (job->model != gang->model
            || memcmp(&job->place, &gang->place, sizeof(job->place)) != 0
            || gang->rows + job->rows > HELIX_SCORE_ROWS)
        {
            continue;
        }

        gang->index[gang->njobs] = i;
        gang->jobs[gang->njobs++] = job;
        gang->rows += job->rows;
    }
}


/* Nonzero: poll() said so. */

static int
helix_score_advance(helix_score_gang_t *gang, uint8_t *results,
    const helix_control_t *ctl)
{
    int                 stop;
    uint32_t            i;
    helix_score_job_t  *job;

    stop = 0;
    helix_score_aim(gang);

    while (gang->place.layer < gang->model->nlayers) {
        stop = helix_score_pause(gang, ctl);

        if (stop) {
            break;
        }

        helix_score_block(gang);
    }

    for (i = 0; i < gang->njobs; i++) {
        gang->jobs[i]->place = gang->place;
    }

    for (i = 0; i < gang->njobs && !stop; i++) {
        job = gang->jobs[i];
        stop = helix_score_end(gang, job, ctl);

        if (!stop) {
            results[gang->index[i]] = job->failed ? HELIX_FAILED : HELIX_DONE;
        }
    }

    return stop;
}


static int
helix_score_pause(helix_score_gang_t *gang, const helix_control_t *ctl)
{
    if (gang->spent < gang->model->isa->budget) {
        return 0;
    }

    gang->spent = 0;

    return ctl->poll(ctl);
}


static void
helix_score_aim(helix_score_gang_t *gang)
{
    float                      *x, *y;
    uint32_t                    i, row, n, layer;
    const helix_score_model_t  *model;

    n = 0;
    layer = gang->place.layer;
    model = gang->model;

    for (i = 0; i < gang->njobs; i++) {
        x = helix_score_rows(gang->jobs[i], layer);
        y = helix_score_rows(gang->jobs[i], layer + 1);

        for (row = 0; row < gang->jobs[i]->rows; row++) {
            gang->x[n] = x;
            gang->y[n++] = y;
            x += model->stride[layer % 2];
            y += model->stride[(layer + 1) % 2];
        }
    }
}


static void
helix_score_block(helix_score_gang_t *gang)
{
    uint32_t                    rows, budget, width;
    helix_score_block_t         b;
    helix_score_place_t        *place;
    const helix_score_layer_t  *layer;

    place = &gang->place;
    layer = &gang->model->layers[place->layer];
    budget = gang->model->isa->budget;

    rows = gang->rows + gang->model->wait;

    if (place->k == 0) {
        place->npanels = helix_score_panels(gang, layer, rows);
    }

    width = place->npanels * HELIX_SCORE_PANEL;

    b.stride = (size_t) layer->inputs * HELIX_SCORE_PANEL;
    b.weights = layer->weights + place->panel * b.stride
                + (size_t) place->k * HELIX_SCORE_PANEL;
    b.out = place->panel * HELIX_SCORE_PANEL;
    b.bias = (place->k == 0) ? layer->bias + b.out : NULL;
    b.x = gang->x;
    b.y = gang->y;
    b.rows = gang->rows;
    b.k = place->k;
    b.nk = 1 + budget / 2 / (rows * width);
    b.npanels = place->npanels;
    b.function = HELIX_SCORE_IDENTITY;

    if (b.nk >= layer->inputs - b.k) {
        b.nk = layer->inputs - b.k;
        b.function = layer->function;
    }

    gang->model->isa->run(&b);

    gang->spent += rows * width * b.nk;
    place->k += b.nk;

    if (place->k == layer->inputs) {
        helix_score_next(gang, layer);
    }
}


static void
helix_score_next(helix_score_gang_t *gang, const helix_score_layer_t *layer)
{
    helix_score_place_t  *place;

    place = &gang->place;

    if (layer->function > HELIX_SCORE_RELU
        && layer->function != HELIX_SCORE_SOFTMAX)
    {
        gang->spent += gang->rows * place->npanels * HELIX_SCORE_PANEL
                       * HELIX_SCORE_DEAR;
    }

    place->k = 0;
    place->panel += place->npanels;
    place->npanels = 0;

    if (place->panel == layer->npanels) {
        place->panel = 0;
        place->layer++;
        helix_score_aim(gang);
    }
}


/* Panels to be worked on at once: those of a small layer, to save calls, and
   several of few rows, to have enough sums that do not wait for each other. */

static uint32_t
helix_score_panels(const helix_score_gang_t *gang,
    const helix_score_layer_t *layer, uint32_t rows)
{
    uint32_t  n, least, left;

    n = gang->model->isa->budget / 4
        / (rows * HELIX_SCORE_PANEL * layer->inputs);
    least = (gang->rows == 1) ? 4 : (gang->rows < 4) ? 2 : 1;
    left = layer->npanels - gang->place.panel;

    if (n < least) {
        n = least;
    }

    return (n < left) ? n : left;
}


/* Nonzero: poll() said so. */

static int
helix_score_end(helix_score_gang_t *gang, helix_score_job_t *job,
    const helix_control_t *ctl)
{
    while (job->place.panel < job->rows) {

        if (helix_score_pause(gang, ctl)) {
            return 1;
        }

        helix_score_end_row(job, job->place.panel++);
        gang->spent += job->model->outputs * HELIX_SCORE_DEAR;
    }

    return 0;
}


/* Rows move up to each other; as bytes of a little-endian machine if the
   answer is to be binary. */

static void
helix_score_end_row(helix_score_job_t *job, uint32_t row)
{
    float          *base, *src;
    uint32_t        i, bits, wrong, outputs, layers;
    unsigned char  *to;

    outputs = job->model->outputs;
    layers = job->model->nlayers;

    base = helix_score_rows(job, layers);
    src = base + (size_t) row * job->model->stride[layers % 2];

    if (job->model->output == HELIX_SCORE_SOFTMAX) {
        job->model->isa->softmax(src, outputs);
    }

    wrong = 0;

    for (i = 0; i < outputs; i++) {
        memcpy(&bits, &src[i], sizeof(float));
        wrong |= ((bits & 0x7f800000) == 0x7f800000);
    }

    job->failed |= wrong;

    base += (size_t) row * outputs;

    if (!job->binary) {
        memmove(base, src, outputs * sizeof(float));
        return;
    }

    to = (unsigned char *) base;

    for (i = 0; i < outputs; i++) {
        memcpy(&bits, &src[i], sizeof(float));
        *to++ = (unsigned char) bits;
        *to++ = (unsigned char) (bits >> 8);
        *to++ = (unsigned char) (bits >> 16);
        *to++ = (unsigned char) (bits >> 24);
    }
}


/*
 * The double of the fewest digits, up to nine, that is this float again: its
 * text is half as long as that of the float itself, and quicker to make.
 */

static double
helix_score_short(float value)
{
    double               x, y;
    uint32_t             n, drop;
    static const double  powers[] = {
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12,
        1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22
    };

    x = fabs((double) value);

    if (x < 1e-13 || x >= 1e9) {
        return (double) value;
    }

    for (n = 0; x * powers[n] < 1e8; n++) {
        /* void */
    }

    for (drop = 4; drop > 0; drop--) {
        y = x * powers[n] / powers[drop - 1] + 0.5;
        y = (double) (uint64_t) y * powers[drop - 1] / powers[n];

        if ((float) y == fabsf(value)) {
            return (value < 0) ? -y : y;
        }
    }

    return (double) value;
}
