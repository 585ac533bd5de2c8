
/*
 * What a client may say about a job: query string, form and JSON body, against
 * values of the configuration, through the reader of requests with nginx's own
 * pools and strings.
 *
 * Input: a byte of choices, the query string up to a newline, the body.
 */

#include "fuzz.h"
#include "helix_kinds.h"
#include "ngx_http_helix.h"


/* bits of the first byte */
#define TYPE          0x03       /* of the body: none, JSON, form, other */
#define PIECES        0x04       /* the body in several buffers */
#define CONF          0x08       /* helix_job gives values */
#define PASS_KIND     0x10       /* helix_pass gives the kind */
#define CONF_ARG      0x20       /* helix_job reads $arg_user */

#define MAX_INPUTS    7
#define KINDS         3
#define CONF_VALUES   5

/* only known to the query string */
#define QUERY_FIELDS  (1 << NGX_HTTP_HELIX_BIGINT | 1 << NGX_HTTP_HELIX_EXPLAIN)


/* of the nginx that is not there */

/* what src/http/ takes from the directives, for parts that are not called */

ngx_uint_t
ngx_http_helix_is(ngx_str_t *text, const char *word)
{
    return text->len == strlen(word) && memcmp(text->data, word, text->len) == 0;
}


ngx_module_t  ngx_http_helix_module;
ngx_module_t  *ngx_modules[] = { NULL };
char          *ngx_module_names[] = { NULL };


typedef struct {
    ngx_int_t              rc;
    ngx_http_request_t     request;
    ngx_http_helix_ctx_t   ctx;
} reading_t;


static ngx_log_t                    log;
static ngx_open_file_t              log_file;
static ngx_connection_t             connection;
static ngx_http_helix_main_conf_t   main_conf;
static ngx_http_helix_loc_conf_t    loc_conf;
static ngx_http_helix_job_value_t   job_values[CONF_VALUES];
static ngx_array_t                  job_array, args_array;
static ngx_str_t                    arg_user = ngx_string("user");
static ngx_http_complex_value_t     pass_kind;
static void                        *main_confs[1] = { &main_conf };
static void                        *loc_confs[1] = { &loc_conf };


static ngx_str_t  types[] = {
    ngx_null_string,
    ngx_string("application/json; charset=utf-8"),
    ngx_string("application/x-www-form-urlencoded"),
    ngx_string("text/plain")
};


static void
job_value(ngx_uint_t i, ngx_http_helix_field_t field, ngx_uint_t final,
    char *text)
{
    job_values[i].field = field;
    job_values[i].final = final;
    job_values[i].value.value.data = (u_char *) text;
    job_values[i].value.value.len = strlen(text);
}


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    ngx_uint_t  i;

    static const helix_kind_t  *kinds[KINDS] = {
        &helix_kind_hashmix, &helix_kind_primecount,
        &helix_kind_montecarlo_risk
    };

    (void) argc;
    (void) argv;

    ngx_pagesize = 4096;
    ngx_cacheline_size = 64;
    ngx_pid = 1;

    log_file.fd = -1;
    log.file = &log_file;
    log.log_level = 0;
    connection.log = &log;

    ngx_time_init();

    ngx_http_helix_module.ctx_index = 0;

    for (i = 0; i < KINDS; i++) {
        main_conf.kinds[i].kind = kinds[i];
        main_conf.kinds[i].name.data = (u_char *) kinds[i]->name;
        main_conf.kinds[i].name.len = strlen(kinds[i]->name);
        main_conf.kinds[i].index = i;
        main_conf.kinds[i].cost = 1000;
        main_conf.kinds[i].scaling = 0.5;
        main_conf.kinds[i].budget = (i == 0) ? 0 : 500;
        main_conf.kinds[i].max_cost = kinds[i]->max_work;
        main_conf.kinds[i].max_inputs = MAX_INPUTS;
    }

    main_conf.nkinds = KINDS;
    main_conf.max_inputs = MAX_INPUTS;

    job_value(0, NGX_HTTP_HELIX_ID, 1, "18446744073709551615");
    job_value(1, NGX_HTTP_HELIX_INPUTS, 1, "1,2,3");
    job_value(2, NGX_HTTP_HELIX_COST, 0, "77");
    job_value(3, NGX_HTTP_HELIX_BUDGET, 0, "50ms");
    job_value(4, NGX_HTTP_HELIX_STRATEGY, 0, "cpu_pool");

    job_array.elts = job_values;
    job_array.nelts = CONF_VALUES;
    args_array.elts = &arg_user;
    args_array.nelts = 1;

    ngx_str_set(&pass_kind.value, "prime-count");

    return 0;
}


static ngx_chain_t *
body_chain(ngx_pool_t *pool, u_char *text, size_t len, ngx_uint_t pieces)
{
    size_t        size, n;
    ngx_chain_t  *first, **last, *cl;

    size = pieces ? 1 + len / 3 : len;
    last = &first;

    do {
        n = ngx_min(size, len);

        cl = ngx_alloc_chain_link(pool);
        FUZZ_ASSERT(cl != NULL);

        cl->buf = ngx_calloc_buf(pool);
        FUZZ_ASSERT(cl->buf != NULL);

        cl->buf->memory = 1;
        cl->buf->pos = ngx_pnalloc(pool, n ? n : 1);
        FUZZ_ASSERT(cl->buf->pos != NULL);

        cl->buf->last = ngx_cpymem(cl->buf->pos, text, n);

        *last = cl;
        last = &cl->next;
        text += n;
        len -= n;
    } while (len);

    *last = NULL;

    return first;
}


/* Strings of the problem lie in memory that is ours. */

static void
check_text(ngx_str_t *text)
{
    free(fuzz_block(text->data, text->len));
}


static void
check_problem(ngx_http_helix_ctx_t *ctx)
{
    ngx_http_helix_problem_t  *problem;

    problem = &ctx->problem;

    FUZZ_ASSERT(ctx->invalid < NGX_HELIX_INVALIDS);
    FUZZ_ASSERT(problem->status >= 400 && problem->status < 500);
    FUZZ_ASSERT(problem->code != NULL && problem->title != NULL);
    FUZZ_ASSERT(problem->detail.len > 0);
    FUZZ_ASSERT(problem->detail.len < NGX_MAX_ERROR_STR);
    FUZZ_ASSERT(problem->json.len == 0
                || problem->offset <= problem->json.len);

    check_text(&problem->detail);
    check_text(&problem->value);
    check_text(&problem->json);
}


static void
check_job(ngx_http_helix_ctx_t *ctx)
{
    int            rc;
    helix_args_t   args;
    helix_plan_t   plan;

    FUZZ_ASSERT(ctx->problem.status == 0 && ctx->problem.code == NULL);
    FUZZ_ASSERT(ctx->set & (1 << NGX_HTTP_HELIX_KIND));
    FUZZ_ASSERT(ctx->kind >= main_conf.kinds
                && ctx->kind < main_conf.kinds + KINDS);
    FUZZ_ASSERT(ctx->scaling >= 0 && ctx->scaling <= 1);
    FUZZ_ASSERT(ctx->budget <= 86400000);
    FUZZ_ASSERT(ctx->kind->budget == 0 || ctx->budget <= ctx->kind->budget);
    FUZZ_ASSERT((ctx->set >> NGX_HTTP_HELIX_FIELDS) == 0);
    FUZZ_ASSERT((ctx->seen & (1 << NGX_HTTP_HELIX_STRATEGY)) == 0);

    /* what the kind makes of it: a plan or a sentence */

    memset(&args, 0, sizeof(helix_args_t));
    args.size = sizeof(helix_args_t);
    args.values = ctx->values;
    args.inputs = ctx->inputs.elts;
    args.ninputs = ctx->inputs.nelts;
    args.id = ctx->id;
    args.cost = ctx->cost;

    memset(&plan, 0, sizeof(helix_plan_t));
    plan.size = sizeof(helix_plan_t);

    rc = ctx->kind->kind->plan(ctx->kind->instance, &args, &plan);

    FUZZ_ASSERT(rc == HELIX_DONE || rc == HELIX_FAILED);
    FUZZ_ASSERT(rc == HELIX_DONE || plan.error[0] != '\0');
    FUZZ_ASSERT(rc == HELIX_FAILED
                || plan.memory <= 65536 + MAX_INPUTS * 1024);
}


static void
read_request(reading_t *rd, ngx_pool_t *pool, uint8_t choices,
    const uint8_t *query, size_t query_len, const uint8_t *body,
    size_t body_len)
{
    ngx_http_request_t       *r;
    static ngx_table_elt_t    type;
    ngx_http_request_body_t  *rb;

    memset(rd, 0, sizeof(reading_t));

    r = &rd->request;
    r->pool = pool;
    r->connection = &connection;
    r->main_conf = main_confs;
    r->loc_conf = loc_confs;
    ngx_str_set(&r->headers_in.server, "localhost");
    ngx_str_set(&r->uri, "/jobs");

    loc_conf.job = (choices & CONF) ? &job_array : NULL;
    loc_conf.args = (choices & CONF_ARG) ? &args_array : NULL;
    loc_conf.pass_kind = (choices & PASS_KIND) ? &pass_kind : NULL;

    if (choices & TYPE) {
        type.value = types[choices & TYPE];
        r->headers_in.content_type = &type;
    }

    r->args.len = query_len;
    r->args.data = ngx_pnalloc(pool, query_len ? query_len : 1);
    FUZZ_ASSERT(r->args.data != NULL);
    ngx_memcpy(r->args.data, query, query_len);

    rb = ngx_pcalloc(pool, sizeof(ngx_http_request_body_t));
    FUZZ_ASSERT(rb != NULL);

    if (body_len) {
        rb->bufs = body_chain(pool, (u_char *) body, body_len,
                              choices & PIECES);
    }

    r->request_body = rb;

    rd->ctx.request = r;
    rd->ctx.hmcf = &main_conf;
    rd->ctx.hlcf = &loc_conf;
    rd->ctx.pool = pool;
    rd->ctx.log = &log;

    rd->rc = ngx_http_helix_read_job(r, &rd->ctx);

    FUZZ_ASSERT(rd->rc == NGX_OK || rd->rc == NGX_DECLINED);
    FUZZ_ASSERT(rd->ctx.inputs.nelts <= MAX_INPUTS);

    if (rd->rc == NGX_OK) {
        check_job(&rd->ctx);

    } else {
        check_problem(&rd->ctx);
    }
}


static void
same_job(ngx_http_helix_ctx_t *a, ngx_http_helix_ctx_t *b)
{
    FUZZ_ASSERT(((a->set ^ b->set) & ~QUERY_FIELDS) == 0);
    FUZZ_ASSERT(a->kind == b->kind);
    FUZZ_ASSERT(a->id == b->id && a->cost == b->cost);
    FUZZ_ASSERT(memcmp(&a->scaling, &b->scaling, sizeof(float)) == 0);
    FUZZ_ASSERT(a->budget == b->budget && a->min_quality == b->min_quality);
    FUZZ_ASSERT(a->strategy == b->strategy);
    FUZZ_ASSERT(a->inputs.nelts == b->inputs.nelts);
    FUZZ_ASSERT(memcmp(a->inputs.elts, b->inputs.elts,
                       a->inputs.nelts * sizeof(uint64_t)) == 0);
}


static void
same_reading(reading_t *a, reading_t *b)
{
    ngx_http_helix_problem_t  *pa, *pb;

    FUZZ_ASSERT(a->rc == b->rc);

    if (a->rc == NGX_OK) {
        same_job(&a->ctx, &b->ctx);
        FUZZ_ASSERT(a->ctx.bigint_string == b->ctx.bigint_string);
        return;
    }

    pa = &a->ctx.problem;
    pb = &b->ctx.problem;

    FUZZ_ASSERT(a->ctx.invalid == b->ctx.invalid);
    FUZZ_ASSERT(pa->status == pb->status && pa->field == pb->field);
    FUZZ_ASSERT(pa->nearest == pb->nearest && pa->limit == pb->limit);
    FUZZ_ASSERT(pa->offset == pb->offset);
    FUZZ_ASSERT(pa->detail.len == pb->detail.len);
    FUZZ_ASSERT(memcmp(pa->detail.data, pb->detail.data, pa->detail.len)
                == 0);
}


static ngx_uint_t
final_fields(void)
{
    ngx_uint_t  i, fields;

    fields = loc_conf.pass_kind ? 1 << NGX_HTTP_HELIX_KIND : 0;

    for (i = 0; loc_conf.job && i < CONF_VALUES; i++) {
        fields |= job_values[i].final << job_values[i].field;
    }

    return fields;
}


/* An accepted job as a JSON body of its own. */

static size_t
write_job(ngx_http_helix_ctx_t *ctx, char *text, size_t size)
{
    uint64_t             *input;
    ngx_uint_t            i, client;
    helix_json_writer_t   w;

    /* the reader is done with "locked", it may say anything now */

    client = ctx->set & ctx->seen;
    client &= ~final_fields();

    helix_json_writer_init(&w, text, size);
    helix_json_object(&w);

    if (client & (1 << NGX_HTTP_HELIX_ID)) {
        w.quote_integers = true;
        helix_json_key(&w, "id");
        helix_json_u64(&w, ctx->id);
        w.quote_integers = false;
    }

    if (client & (1 << NGX_HTTP_HELIX_KIND)) {
        helix_json_key(&w, "kind");
        helix_json_string(&w, (char *) ctx->kind_name.data,
                          ctx->kind_name.len);
    }

    if (client & (1 << NGX_HTTP_HELIX_INPUTS)) {
        helix_json_key(&w, "inputs");
        helix_json_array(&w);
        input = ctx->inputs.elts;

        for (i = 0; i < ctx->inputs.nelts; i++) {
            helix_json_u64(&w, input[i]);
        }

        helix_json_array_end(&w);
    }

    if (client & (1 << NGX_HTTP_HELIX_COST)) {
        helix_json_key(&w, "cost");
        helix_json_u64(&w, ctx->cost);
    }

    if (client & (1 << NGX_HTTP_HELIX_SCALING)) {
        helix_json_key(&w, "scaling");
        helix_json_double(&w, ctx->scaling);
    }

    if (client & (1 << NGX_HTTP_HELIX_MIN_QUALITY)) {
        helix_json_key(&w, "min_quality");
        helix_json_double(&w, ctx->min_quality);
    }

    /* that of the kind may have shortened the budget: that is idempotent */

    if (client & (1 << NGX_HTTP_HELIX_BUDGET)) {
        helix_json_key(&w, "latency_budget_ms");
        helix_json_u64(&w, ctx->budget);
    }

    helix_json_object_end(&w);
    FUZZ_ASSERT(!w.overflow);

    return (size_t) (w.pos - text);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char              text[1024];
    size_t            query_len, len;
    uint8_t           choices;
    ngx_pool_t       *pool;
    const uint8_t    *query, *body;
    static reading_t  first, second;

    if (size == 0) {
        return 0;
    }

    choices = data[0];
    query = data + 1;
    body = memchr(query, '\n', size - 1);
    body = body ? body : data + size;
    query_len = (size_t) (body - query);
    body += (body < data + size);
    len = (size_t) (data + size - body);

    pool = ngx_create_pool(512, &log);
    FUZZ_ASSERT(pool != NULL);

    read_request(&first, pool, choices, query, query_len, body, len);

    /* however nginx cut the body */

    if (len > 1) {
        read_request(&second, pool, choices ^ PIECES, query, query_len, body,
                     len);
        same_reading(&first, &second);
    }

    /* a query string as a form; a form may begin with '{' and be none */

    if (len == 0 && query_len && (choices & (TYPE|CONF_ARG)) == 0
        && !(first.ctx.seen & QUERY_FIELDS)
        && first.rc == NGX_OK)
    {
        read_request(&second, pool, choices, query, 0, query, query_len);
        FUZZ_ASSERT(second.rc == NGX_OK);
        same_job(&first.ctx, &second.ctx);
    }

    if (first.rc == NGX_OK && first.ctx.kind_name.len < 100) {
        len = write_job(&first.ctx, text, sizeof(text));
        read_request(&second, pool,
                     (uint8_t) ((choices & ~(TYPE|CONF_ARG)) | 1), query, 0,
                     (uint8_t *) text, len);
        FUZZ_ASSERT(second.rc == NGX_OK);
        same_job(&first.ctx, &second.ctx);
    }

    ngx_destroy_pool(pool);

    return 0;
}
