
/*
 * POST api/simulate: jobs of the ancestor's workload, which nobody waits for.
 * They are decided on, run and counted as those of requests are.
 */

#include "ngx_http_helix.h"

#include "helix_workload.h"


#define NGX_HTTP_HELIX_SIMULATE_JOBS   128        /* in a turn, at most */
#define NGX_HTTP_HELIX_SIMULATE_TURN   1000000    /* ns, likewise */

#define NGX_HTTP_HELIX_SIMULATE_IDS    1000000    /* of one simulation */
#define NGX_HTTP_HELIX_SIMULATE_POOL   4096


/* Starts like an ngx_connection_t, as ngx_helix_job_t does. */

struct ngx_http_helix_simulation_s {
    void                        *data[3];
    ngx_socket_t                 fd;             /* -1 */

    ngx_http_helix_main_conf_t  *hmcf;
    ngx_http_helix_loc_conf_t   *hlcf;
    ngx_event_t                  timer;
    ngx_queue_t                  under_way;
    helix_workload_t             workload;
    uint64_t                     number;         /* 0: it is over */
    uint64_t                     jobs;
    uint64_t                     rate;           /* a second */
    uint64_t                     seed;
    uint64_t                     sent;
    uint64_t                     started;        /* ns */
};


/* In a pool of its own. */

typedef struct {
    ngx_queue_t                  queue;
    ngx_http_helix_simulation_t *simulation;
    uint64_t                     inputs[HELIX_WORKLOAD_INPUTS];
    ngx_http_helix_ctx_t         ctx;
} ngx_http_helix_simulated_t;


typedef struct {
    const char                  *name;
    uint64_t                     initial;
    uint64_t                     min;            /* values beyond are brought */
    uint64_t                     max;            /* in */
} ngx_http_helix_simulate_field_t;


static ngx_int_t ngx_http_helix_simulate_query(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, uint64_t *values, ngx_uint_t *given);
static ngx_int_t ngx_http_helix_simulate_json(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, ngx_str_t *text, uint64_t *values,
    ngx_uint_t *given);
static ngx_int_t ngx_http_helix_simulate_set(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, ngx_str_t *name, ngx_str_t *value,
    uint64_t *values, ngx_uint_t *given);
static ngx_int_t ngx_http_helix_simulate_start(ngx_http_request_t *r,
    const uint64_t *values);
static ngx_int_t ngx_http_helix_simulate_answer(ngx_http_request_t *r,
    const uint64_t *values);
static void ngx_http_helix_simulate_turn(ngx_event_t *ev);
static ngx_int_t ngx_http_helix_simulate_job(
    ngx_http_helix_simulation_t *simulation);
static ngx_int_t ngx_http_helix_simulate_fill(ngx_http_helix_simulated_t *sim);
static void ngx_http_helix_simulate_done(ngx_helix_job_t *job);
static void ngx_http_helix_simulate_over(
    ngx_http_helix_simulation_t *simulation);


enum {
    NGX_HTTP_HELIX_SIMULATE_N = 0,
    NGX_HTTP_HELIX_SIMULATE_RATE,
    NGX_HTTP_HELIX_SIMULATE_SEED,
    NGX_HTTP_HELIX_SIMULATE_FIELDS
};


static const ngx_http_helix_simulate_field_t
    ngx_http_helix_simulate_fields[NGX_HTTP_HELIX_SIMULATE_FIELDS] =
{
    { "jobs", 200, 1, 5000 },
    { "rate", 40, 1, 100000 },
    { "seed", 7, 0, UINT64_MAX }
};


ngx_int_t
ngx_http_helix_simulate(ngx_http_request_t *r, ngx_str_t *rest,
    ngx_str_t *body)
{
    uint64_t               values[NGX_HTTP_HELIX_SIMULATE_FIELDS];
    ngx_int_t              rc;
    ngx_uint_t             i, given;
    ngx_http_helix_ctx_t  *ctx;

    ctx = ngx_http_helix_ctx_create(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    given = 0;

    for (i = 0; i < NGX_HTTP_HELIX_SIMULATE_FIELDS; i++) {
        values[i] = ngx_http_helix_simulate_fields[i].initial;
    }

    rc = r->args.len
         ? ngx_http_helix_simulate_query(r, ctx, values, &given) : NGX_OK;

    if (rc == NGX_OK && body->len) {
        rc = ngx_http_helix_simulate_json(r, ctx, body, values, &given);
    }

    if (rc == NGX_DECLINED) {

        if (ctx->invalid == NGX_HELIX_BAD_FIELD) {
            ctx->problem.title = "A field of the simulation is wrong";
        }

        return ngx_http_helix_send_problem(r, ctx);
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    switch (ngx_http_helix_simulate_start(r, values)) {

    case NGX_OK:
        return ngx_http_helix_simulate_answer(r, values);

    case NGX_BUSY:
        return ngx_http_helix_send_error(r, NGX_HTTP_CONFLICT,
                                         "SimulationRunning",
                                         "Another simulation has not ended",
                                         "there is one at a time");

    default: /* NGX_ERROR */
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
}


static ngx_int_t
ngx_http_helix_simulate_query(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, uint64_t *values, ngx_uint_t *given)
{
    u_char     *p, *last, *end, *eq;
    ngx_int_t   rc;
    ngx_str_t   name, value;

    last = r->args.data + r->args.len;

    for (p = r->args.data; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '&');
        end = end ? end : last;

        if (end == p) {
            continue;
        }

        eq = ngx_strlchr(p, end, '=');

        name.data = p;
        name.len = (eq ? eq : end) - p;
        value.data = eq ? eq + 1 : end;
        value.len = end - value.data;

        rc = ngx_http_helix_simulate_set(r, ctx, &name, &value, values, given);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_helix_simulate_json(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    ngx_str_t *text, uint64_t *values, ngx_uint_t *given)
{
    char                buf[8];
    ptrdiff_t           n;
    ngx_int_t           rc;
    ngx_str_t           name, value;
    helix_json_t        json;
    helix_json_token_t  token;

    ctx->problem.json = *text;

    helix_json_init(&json, (char *) text->data, text->len,
                    4 * NGX_HTTP_HELIX_SIMULATE_FIELDS);

    if (helix_json_next(&json, &token) != HELIX_JSON_OBJECT) {
        if (json.error == NULL) {
            json.error = "a simulation is an object";
            json.pos = token.start - (token.type == HELIX_JSON_STRING);
        }

        return ngx_http_helix_json_error(r, ctx, &json);
    }

    while (helix_json_next(&json, &token) == HELIX_JSON_KEY) {

        n = helix_json_text(&token, buf, sizeof(buf));

        name.data = (n < 0) ? (u_char *) token.start : (u_char *) buf;
        name.len = (n < 0) ? token.len : (size_t) n;

        if (helix_json_next(&json, &token) == HELIX_JSON_ERROR) {
            break;
        }

        value.data = (u_char *) token.start;
        value.len = (token.type == HELIX_JSON_NUMBER) ? token.len : 0;

        rc = ngx_http_helix_simulate_set(r, ctx, &name, &value, values, given);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    return (token.type == HELIX_JSON_OBJECT_END
            && helix_json_next(&json, &token) == HELIX_JSON_END)
           ? NGX_OK : ngx_http_helix_json_error(r, ctx, &json);
}


static ngx_int_t
ngx_http_helix_simulate_set(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    ngx_str_t *name, ngx_str_t *value, uint64_t *values, ngx_uint_t *given)
{
    ngx_int_t                               rc;
    ngx_uint_t                              i;
    const ngx_http_helix_simulate_field_t  *field;

    static const char *const  names[] = { "jobs", "rate", "seed", NULL };

    for (i = 0; i < NGX_HTTP_HELIX_SIMULATE_FIELDS; i++) {
        if (ngx_http_helix_is(name, names[i])) {
            break;
        }
    }

    if (i == NGX_HTTP_HELIX_SIMULATE_FIELDS) {
        ctx->problem.value = *name;
        ctx->problem.value.data = ngx_pstrdup(r->pool, name);
        ctx->problem.nearest = helix_nearest((char *) name->data, name->len,
                                             names);

        if (ctx->problem.value.data == NULL) {
            return NGX_ERROR;
        }

        rc = ngx_http_helix_problem(r, ctx, NGX_HELIX_BAD_FIELD, NULL,
                                    "a simulation has no such field");

    } else if (*given & (1 << i)) {
        rc = ngx_http_helix_problem(r, ctx, NGX_HELIX_BAD_FIELD, names[i],
                                    "the field is given twice");

    } else if (helix_number_u64((char *) value->data, value->len, &values[i])
               != HELIX_NUMBER_OK)
    {
        ctx->problem.expected = "an unsigned integer";
        rc = ngx_http_helix_problem(r, ctx, NGX_HELIX_BAD_FIELD, names[i],
                                    "the value is not an unsigned integer");

    } else {
        field = &ngx_http_helix_simulate_fields[i];

        *given |= 1 << i;
        values[i] = ngx_min(ngx_max(values[i], field->min), field->max);

        return NGX_OK;
    }

    ctx->problem.title = "A field of the simulation is wrong";

    return rc;
}


static ngx_int_t
ngx_http_helix_simulate_start(ngx_http_request_t *r, const uint64_t *values)
{
    uint64_t                      number;
    ngx_helix_zone_t             *zone;
    ngx_http_helix_main_conf_t   *hmcf;
    ngx_http_helix_simulation_t  *simulation;

    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);
    zone = ngx_helix_exec_zone(hmcf->exec);
    simulation = hmcf->simulation;

    if (simulation == NULL) {
        simulation = ngx_pcalloc(hmcf->cycle->pool,
                                 sizeof(ngx_http_helix_simulation_t));
        if (simulation == NULL) {
            return NGX_ERROR;
        }

        simulation->fd = (ngx_socket_t) -1;
        simulation->hmcf = hmcf;
        simulation->timer.handler = ngx_http_helix_simulate_turn;
        simulation->timer.data = simulation;
        simulation->timer.log = hmcf->cycle->log;
        simulation->timer.cancelable = 1;

        ngx_queue_init(&simulation->under_way);

        hmcf->simulation = simulation;
    }

    number = ngx_exiting ? 0 : ngx_helix_simulation_begin(zone);

    if (number == 0) {
        return NGX_BUSY;
    }

    simulation->hlcf = ngx_http_get_module_loc_conf(r, ngx_http_helix_module);
    simulation->number = number;
    simulation->jobs = values[NGX_HTTP_HELIX_SIMULATE_N];
    simulation->rate = values[NGX_HTTP_HELIX_SIMULATE_RATE];
    simulation->seed = values[NGX_HTTP_HELIX_SIMULATE_SEED];
    simulation->sent = 0;
    simulation->started = ngx_helix_now();

    helix_workload_init(&simulation->workload, simulation->seed,
                        HELIX_WORKLOAD_HEAVY);

    ngx_log_error(NGX_LOG_NOTICE, r->connection->log, 0,
                  "helix: simulation %uL: %uL jobs, %uL a second, seed %uL",
                  number, simulation->jobs, simulation->rate,
                  simulation->seed);

    ngx_add_timer(&simulation->timer, 1);

    return NGX_OK;
}


static ngx_int_t
ngx_http_helix_simulate_answer(ngx_http_request_t *r, const uint64_t *values)
{
    u_char               *p;
    uint64_t              jobs, rate;
    helix_json_writer_t   json;

    p = ngx_pnalloc(r->pool, 256);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    jobs = values[NGX_HTTP_HELIX_SIMULATE_N];
    rate = values[NGX_HTTP_HELIX_SIMULATE_RATE];

    helix_json_writer_init(&json, (char *) p, 255);

    helix_json_object(&json);
    helix_json_key(&json, "started");
    helix_json_u64(&json, jobs);
    helix_json_key(&json, "rate");
    helix_json_u64(&json, rate);
    helix_json_key(&json, "seconds");
    helix_json_double(&json, (double) jobs / (double) rate);
    helix_json_key(&json, "seed");
    helix_json_u64(&json, values[NGX_HTTP_HELIX_SIMULATE_SEED]);
    helix_json_object_end(&json);

    *json.pos++ = '\n';

    return ngx_http_helix_send_body(r, NGX_HTTP_ACCEPTED, "application/json",
                                    p, json.pos - json.start);
}


/* What is due is sent, but never so much that the event loop stands still. */

static void
ngx_http_helix_simulate_turn(ngx_event_t *ev)
{
    double                        due;
    uint64_t                      now;
    ngx_uint_t                    n;
    ngx_msec_t                    wait;
    ngx_http_helix_simulation_t  *simulation = ev->data;

    if (ngx_exiting) {
        simulation->jobs = simulation->sent;
    }

    now = ngx_helix_now();
    due = (double) (now - simulation->started) / 1e9
          * (double) simulation->rate;

    for (n = 0; n < NGX_HTTP_HELIX_SIMULATE_JOBS; n++) {

        if (simulation->sent >= simulation->jobs
            || (double) simulation->sent > due
            || (n && ngx_helix_now() - now >= NGX_HTTP_HELIX_SIMULATE_TURN)
            || ngx_http_helix_simulate_job(simulation) != NGX_OK)
        {
            break;
        }
    }

    if (simulation->sent >= simulation->jobs) {
        ngx_http_helix_simulate_over(simulation);
        return;
    }

    due = ((double) simulation->sent - due) * 1000 / (double) simulation->rate;
    wait = (due > 1) ? (ngx_msec_t) due : 1;

    ngx_add_timer(ev, wait);
}


/* NGX_ERROR without memory: it is tried again later. */

static ngx_int_t
ngx_http_helix_simulate_job(ngx_http_helix_simulation_t *simulation)
{
    ngx_int_t                    rc;
    ngx_pool_t                  *pool;
    ngx_http_helix_ctx_t        *ctx;
    ngx_http_helix_simulated_t  *sim;

    pool = ngx_create_pool(NGX_HTTP_HELIX_SIMULATE_POOL,
                           simulation->timer.log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    sim = ngx_pcalloc(pool, sizeof(ngx_http_helix_simulated_t));

    if (sim == NULL || ngx_helix_exec_slot(simulation->hmcf->exec) == NULL) {
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    sim->simulation = simulation;
    simulation->sent++;

    ctx = &sim->ctx;
    ctx->pool = pool;

    rc = ngx_http_helix_simulate_fill(sim);

    if (rc == NGX_OK) {
        rc = ngx_http_helix_run(ctx);

        if (rc == NGX_DONE) {
            ngx_queue_insert_tail(&simulation->under_way, &sim->queue);
            return NGX_OK;
        }

        if (rc == NGX_OK) {
            ngx_http_helix_release(ctx);
        }

    } else if (rc == NGX_DECLINED) {
        ngx_http_helix_invalid(ctx);
    }

    ngx_destroy_pool(pool);

    return NGX_OK;
}


/* Results as those of ngx_http_helix_read_job(). */

static ngx_int_t
ngx_http_helix_simulate_fill(ngx_http_helix_simulated_t *sim)
{
    ngx_int_t                     rc;
    ngx_http_helix_ctx_t         *ctx;
    helix_workload_job_t          job;
    ngx_http_helix_kind_t        *kind;
    ngx_http_helix_simulation_t  *simulation;

    simulation = sim->simulation;
    ctx = &sim->ctx;

    helix_workload_next(&simulation->workload, &job);

    ctx->hmcf = simulation->hmcf;
    ctx->hlcf = simulation->hlcf;
    ctx->log = simulation->timer.log;
    ctx->owner = sim;
    ctx->done = ngx_http_helix_simulate_done;
    ctx->spec.received = ngx_helix_now();

    ngx_memcpy(sim->inputs, job.inputs, sizeof(sim->inputs));

    ctx->inputs.elts = sim->inputs;
    ctx->inputs.nelts = job.ninputs;
    ctx->inputs.size = sizeof(uint64_t);
    ctx->inputs.nalloc = HELIX_WORKLOAD_INPUTS;
    ctx->inputs.pool = ctx->pool;

    ctx->id = job.id + simulation->number * NGX_HTTP_HELIX_SIMULATE_IDS;
    ctx->cost = job.cost;
    ctx->scaling = (double) job.scaling;
    ctx->budget = job.budget;
    ctx->set = 1 << NGX_HTTP_HELIX_ID | 1 << NGX_HTTP_HELIX_KIND
               | 1 << NGX_HTTP_HELIX_INPUTS | 1 << NGX_HTTP_HELIX_COST
               | 1 << NGX_HTTP_HELIX_SCALING | 1 << NGX_HTTP_HELIX_BUDGET;

    ctx->kind_name.data = (u_char *) helix_workload_kinds[job.kind];
    ctx->kind_name.len = ngx_strlen(ctx->kind_name.data);

    kind = ngx_http_helix_kind_find(ctx->hmcf, &ctx->kind_name);

    if (kind == NULL) {
        return ngx_http_helix_problem(NULL, ctx, NGX_HELIX_UNKNOWN_KIND,
                                      "kind", "there is no such kind of job");
    }

    ngx_http_helix_set_kind(ctx, kind);

    rc = ngx_http_helix_read_params(NULL, ctx);

    return (rc == NGX_OK) ? ngx_http_helix_plan(ctx) : rc;
}


static void
ngx_http_helix_simulate_done(ngx_helix_job_t *job)
{
    ngx_http_helix_simulated_t   *sim;
    ngx_http_helix_simulation_t  *simulation;

    sim = job->owner;
    simulation = sim->simulation;

    ngx_http_helix_ended(&sim->ctx, job);

    ngx_queue_remove(&sim->queue);
    ngx_destroy_pool(sim->ctx.pool);

    ngx_http_helix_simulate_over(simulation);
}


static void
ngx_http_helix_simulate_over(ngx_http_helix_simulation_t *simulation)
{
    if (simulation->number && simulation->sent >= simulation->jobs
        && ngx_queue_empty(&simulation->under_way))
    {
        ngx_log_error(NGX_LOG_NOTICE, simulation->timer.log, 0,
                      "helix: simulation %uL ended, %uL jobs were sent",
                      simulation->number, simulation->sent);

        simulation->number = 0;

        ngx_helix_simulation_end(ngx_helix_exec_zone(simulation->hmcf->exec));
    }
}


void
ngx_http_helix_simulate_close(ngx_http_helix_main_conf_t *hmcf)
{
    ngx_queue_t                  *q;
    ngx_http_helix_simulated_t   *sim;
    ngx_http_helix_simulation_t  *simulation;

    simulation = hmcf->simulation;

    if (simulation == NULL || simulation->number == 0) {
        return;
    }

    if (simulation->timer.timer_set) {
        ngx_del_timer(&simulation->timer);
    }

    /* the executor has ended the jobs */

    while (!ngx_queue_empty(&simulation->under_way)) {
        q = ngx_queue_head(&simulation->under_way);
        sim = ngx_queue_data(q, ngx_http_helix_simulated_t, queue);

        ngx_queue_remove(q);
        ngx_destroy_pool(sim->ctx.pool);
    }

    simulation->jobs = simulation->sent;

    ngx_http_helix_simulate_over(simulation);
}
