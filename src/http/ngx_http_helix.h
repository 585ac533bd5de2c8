
/*
 * What the files that know HTTP share: configuration, the job of a request,
 * answers.  Event loop only, unless a function says "config time".
 */

#ifndef NGX_HTTP_HELIX_H_INCLUDED
#define NGX_HTTP_HELIX_H_INCLUDED


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "helix_json.h"
#include "helix_kind.h"
#include "helix_policy.h"
#include "ngx_helix_exec.h"
#include "ngx_helix_live.h"
#include "ngx_helix_zone.h"


#define NGX_HTTP_HELIX_VERSION   "0.1.0"

#define NGX_HTTP_HELIX_SETTINGS  HELIX_LAYER_ROWS


/* Attributes of a job, the bits of "set" and "locked". */

typedef enum {
    NGX_HTTP_HELIX_ID = 0,
    NGX_HTTP_HELIX_KIND,
    NGX_HTTP_HELIX_INPUTS,
    NGX_HTTP_HELIX_COST,
    NGX_HTTP_HELIX_SCALING,
    NGX_HTTP_HELIX_BUDGET,
    NGX_HTTP_HELIX_MIN_QUALITY,
    NGX_HTTP_HELIX_PARAMS,            /* an object, or names of their own */
    NGX_HTTP_HELIX_STRATEGY,          /* configuration only */
    NGX_HTTP_HELIX_BIGINT,            /* query string only */
    NGX_HTTP_HELIX_EXPLAIN,           /* likewise */
    NGX_HTTP_HELIX_FIELDS
} ngx_http_helix_field_t;


/* In nginx.conf. */

typedef struct {
    u_char                        *file;
    ngx_uint_t                     line;
} ngx_http_helix_place_t;


/* A kind with its limits and defaults: one helix_kind directive. */

typedef struct {
    ngx_str_t                      name;
    const helix_kind_t            *kind;
    void                          *instance;      /* its configure()'s */
    ngx_uint_t                     index;         /* in the zone */
    ngx_flag_t                     batch;
    ngx_flag_t                     coalesce;
    uint64_t                       cost;
    double                         scaling;
    ngx_msec_t                     budget;        /* 0: none */
    uint64_t                       max_cost;
    ngx_uint_t                     max_inputs;
    double                         min_quality;
    ngx_uint_t                     nlevels;
    ngx_uint_t                     given;         /* options in nginx.conf */
    ngx_uint_t                     down;          /* in this worker */
    ngx_http_helix_place_t         place;
} ngx_http_helix_kind_t;


/* One value of a helix_job directive. */

typedef struct {
    ngx_http_helix_field_t         field;
    ngx_str_t                      param;         /* name, if it is one */
    ngx_http_complex_value_t       value;
    ngx_uint_t                     final;
} ngx_http_helix_job_value_t;


/* A parameter of a kind that is not known yet. */

#define NGX_HTTP_HELIX_CLIENT      0
#define NGX_HTTP_HELIX_FINAL       1
#define NGX_HTTP_HELIX_DEFAULT     2

typedef struct {
    ngx_str_t                      name;
    ngx_str_t                      value;         /* decoded */
    ngx_str_t                      json;          /* as it was sent */
    helix_json_type_t              type;          /* HELIX_JSON_END: text */
    ngx_uint_t                     origin;
} ngx_http_helix_param_t;


typedef struct ngx_http_helix_simulation_s  ngx_http_helix_simulation_t;

typedef struct {
    ngx_uint_t                     enabled;       /* helix_pass or _status */
    helix_settings_t               settings;      /* in force, in a worker */
    ngx_helix_conf_t               conf;          /* as configured */
    ngx_http_helix_place_t         places[NGX_HTTP_HELIX_SETTINGS];
                                                  /* of the table's rows */
    ngx_uint_t                     policy_given;

    ngx_str_t                      zone_name;
    ngx_http_helix_place_t         zone_place;
    ngx_str_t                      state;         /* file; empty: none */
    ngx_shm_zone_t                *shm_zone;
    ngx_helix_zone_t              *zone;
    uint64_t                       generation;    /* of the zone */
    ngx_cycle_t                   *cycle;

    ngx_str_t                      pool_name;
    ngx_uint_t                     pool_named;    /* in nginx.conf */
    uint64_t                       pool_threads;  /* 0: not given */
    ngx_http_helix_place_t         pool_place;
    ngx_thread_pool_t             *pool;

    ngx_http_helix_kind_t          kinds[NGX_HELIX_KINDS];
    ngx_uint_t                     nkinds;
    ngx_uint_t                     max_inputs;    /* of any kind */
    size_t                         max_params;    /* bytes, likewise */

    ngx_cpuset_t                   cpus;          /* of the master */
    ngx_uint_t                     cpus_known;
    ngx_uint_t                     ncpus;

    ngx_helix_exec_t              *exec;          /* of this worker */
    ngx_http_helix_simulation_t   *simulation;    /* NULL: none yet */
    void                          *streams;       /* likewise, of readers */
    time_t                         log_second;    /* of the last rejection */
    ngx_uint_t                     log_count;     /* suppressed since */
} ngx_http_helix_main_conf_t;


typedef struct {
    ngx_array_t                    names;         /* ngx_http_server_name_t;
                                                     nginx forgets its own */
} ngx_http_helix_srv_conf_t;


typedef enum {
    NGX_HTTP_HELIX_STATUS_TREE = 0,
    NGX_HTTP_HELIX_STATUS_TEXT,
    NGX_HTTP_HELIX_STATUS_JSON,
    NGX_HTTP_HELIX_STATUS_HEALTH,
    NGX_HTTP_HELIX_STATUS_PROMETHEUS
} ngx_http_helix_status_format_t;


/* nginx has no name for it */
#define NGX_HTTP_HELIX_UNPROCESSABLE  422

#define NGX_HTTP_HELIX_STREAMS      32      /* readers at once, unless set */
#define NGX_HTTP_HELIX_STREAMS_MAX  1024

/* The level of a job that its deadline has ended. */
#define NGX_HTTP_HELIX_TRUNCATED   "truncated"

#define NGX_HTTP_HELIX_RETRY_OFF   ((ngx_msec_t) -2)
#define NGX_HTTP_HELIX_RETRY_AUTO  0


typedef enum {
    NGX_HTTP_HELIX_HEADERS_OFF = 0,
    NGX_HTTP_HELIX_HEADERS_BASIC,
    NGX_HTTP_HELIX_HEADERS_TIMING
} ngx_http_helix_headers_t;


typedef struct {
    ngx_uint_t                     pass;
    ngx_http_helix_place_t         place;         /* of helix_pass, _status */
    ngx_http_complex_value_t      *pass_kind;
    ngx_array_t                   *job;           /* ..._job_value_t */
    ngx_array_t                   *args;          /* ngx_str_t: NAME of every
                                                     $arg_NAME in both */
    ngx_msec_t                     timeout;
    ngx_uint_t                     reject_status;
    ngx_msec_t                     retry_after;
    ngx_uint_t                     log_level;
    ngx_flag_t                     dry_run;
    ngx_flag_t                     explain;
    ngx_uint_t                     headers;
    ngx_uint_t                     status;
    ngx_uint_t                     status_format;
    ngx_uint_t                     status_write;  /* write=on */
    ngx_http_complex_value_t      *status_writer; /* write=$variable */
    ngx_uint_t                     status_streams;
} ngx_http_helix_loc_conf_t;


/* Why a request is not answered with a result; RFC 9457. */

typedef struct {
    ngx_uint_t                     status;
    const char                    *code;
    const char                    *title;
    ngx_str_t                      detail;

    /* members below are left out when zero */
    const char                    *field;
    ngx_str_t                      value;
    const char                    *expected;
    const char                    *nearest;       /* did_you_mean */
    ngx_uint_t                     known;         /* list the kinds */
    uint64_t                       limit;
    const char                    *etag;
    uint64_t                       retry_after;   /* ms */
    const helix_violations_t      *violations;
    ngx_str_t                      json;          /* the text with the error */
    size_t                         offset;        /* in json */
} ngx_http_helix_problem_t;


/* How it went, as $helix_result says. */

typedef enum {
    NGX_HTTP_HELIX_NONE = 0,
    NGX_HTTP_HELIX_COMPLETED,
    NGX_HTTP_HELIX_REJECTED,
    NGX_HTTP_HELIX_REJECTED_DRY_RUN,
    NGX_HTTP_HELIX_EXPIRED,
    NGX_HTTP_HELIX_CANCELED,
    NGX_HTTP_HELIX_INVALID,
    NGX_HTTP_HELIX_FAILED
} ngx_http_helix_result_t;


/* A job: of a request, or of nobody who waits for the answer. */

typedef struct {
    ngx_http_request_t            *request;       /* NULL: simulated */
    ngx_http_helix_main_conf_t    *hmcf;
    ngx_http_helix_loc_conf_t     *hlcf;
    ngx_pool_t                    *pool;
    ngx_log_t                     *log;
    void                          *owner;         /* of a deferred job */
    ngx_helix_done_pt              done;

    ngx_uint_t                     set;           /* bits of fields */
    ngx_uint_t                     locked;        /* given by "final" */
    ngx_uint_t                     seen;          /* in this request */

    uint64_t                       id;
    ngx_str_t                      kind_name;
    ngx_array_t                    inputs;        /* uint64_t */
    uint64_t                       cost;          /* as the kind sees it */
    uint64_t                       routed;        /* as the rule does */
    double                         scaling;
    double                         min_quality;
    uint64_t                       budget;        /* ms, 0: none */
    ngx_array_t                   *params;        /* ..._param_t, or NULL */
    helix_value_t                 *values;        /* of the kind's params */
    ngx_str_t                      body;          /* neither JSON nor form */
    const char                    *body_type;
    helix_strategy_t               strategy;      /* pinned */
    ngx_uint_t                     bigint_string;
    ngx_uint_t                     explain;

    ngx_http_helix_kind_t         *kind;          /* NULL: not known (yet) */
    helix_plan_t                   plan;
    uint32_t                       level;         /* of the plan, 0: full */
    helix_decision_t               decision;
    helix_verdict_t                verdict;       /* predictive policy */
    uint64_t                       threshold;     /* threshold policy: spawn's,
                                                     as adapted */
    ngx_uint_t                     decided;
    helix_source_t                 source;        /* who decided */
    double                         pressure;      /* seen by the decision */
    double                         external;      /* likewise, of others */
    ngx_uint_t                     busy;          /* likewise */
    uint64_t                       busy_limit;    /* threshold policy: in
                                                     force */
    ngx_helix_job_spec_t           spec;
    ngx_helix_job_t               *job;           /* while it is in a lane */
    ngx_http_cleanup_t            *cleanup;

    ngx_http_helix_result_t        result;
    ngx_helix_end_t                end;           /* when it is over */
    void                          *state;         /* then */
    u_char                        *memory;        /* of an inline job */
    ngx_helix_times_t              times;         /* 0: it has not run */
    ngx_uint_t                     batch_size;    /* 0: no batch */
    ngx_uint_t                     truncated;     /* by its deadline */
    const char                    *level_name;    /* NULL: the full answer */
    double                         quality;

    ngx_helix_invalid_t            invalid;
    ngx_http_helix_problem_t       problem;
} ngx_http_helix_ctx_t;


/* The context of a request, also after an internal redirect by error_page has
   cleared it; NULL: not a job. */
ngx_http_helix_ctx_t *ngx_http_helix_ctx(ngx_http_request_t *r);

/* Keeps it reachable over an internal redirect. */
ngx_int_t ngx_http_helix_keep_ctx(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx);

/* A new one, not yet that of the request; NULL without memory. */
ngx_http_helix_ctx_t *ngx_http_helix_ctx_create(ngx_http_request_t *r);


helix_source_t ngx_http_helix_policy_source(ngx_http_helix_main_conf_t *hmcf);
const char *ngx_http_helix_policy_name(ngx_http_helix_main_conf_t *hmcf);

/* Content handlers. */
ngx_int_t ngx_http_helix_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_helix_status_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_helix_explain_handler(ngx_http_request_t *r);

/* POST api/simulate; and what it has left when the worker goes down, after its
   executor. */
ngx_int_t ngx_http_helix_simulate(ngx_http_request_t *r, ngx_str_t *rest,
    ngx_str_t *body);
void ngx_http_helix_simulate_close(ngx_http_helix_main_conf_t *hmcf);

/*
 * May this request change something?  NGX_OK; or NGX_DECLINED when it has been
 * answered, with *rc for the caller to return.  Before the body is read.
 */
ngx_int_t ngx_http_helix_guard(ngx_http_request_t *r, ngx_int_t *rc);

/* Does the location allow writes at all? */
ngx_uint_t ngx_http_helix_writable(ngx_http_request_t *r);

/* The value of the nth header of the request of that name, from 0; NULL: there
   are not as many. */
ngx_str_t *ngx_http_helix_request_header(ngx_http_request_t *r,
    const char *name, ngx_uint_t nth);


/* Reads and checks the job of a request whose body was read: all that can be
   wrong with it, and what it will cost.  Results as those of read_job(). */
ngx_int_t ngx_http_helix_check(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx);

/*
 * A job from here on, ngx_http_helix_job.c; nothing of it needs a request.
 *
 * plan(): limits and cost of one that was read; results as those of
 * read_job().  invalid(): counts one that they have declined.
 *
 * run(): decides, and sets it off.  NGX_DONE: it is under way, done() will be
 * called with the owner unless that detaches the job, and calls ended() first.
 * NGX_OK: it is over, ctx->end and ctx->state tell how, release() is to
 * follow.  NGX_DECLINED: rejected, ctx->decision has the reason.
 */
ngx_int_t ngx_http_helix_plan(ngx_http_helix_ctx_t *ctx);
void ngx_http_helix_invalid(ngx_http_helix_ctx_t *ctx);
ngx_int_t ngx_http_helix_run(ngx_http_helix_ctx_t *ctx);
void ngx_http_helix_ended(ngx_http_helix_ctx_t *ctx, ngx_helix_job_t *job);
void ngx_http_helix_release(ngx_http_helix_ctx_t *ctx);

/* It is not even decided on. */
void ngx_http_helix_not_run(ngx_http_helix_ctx_t *ctx);

/*
 * The same job of another request may be under way: NGX_DONE if this one will
 * be answered with it, else NGX_DECLINED.  identity() fills that of the spec:
 * NGX_OK, or NGX_DECLINED when it cannot be shared.
 */
ngx_int_t ngx_http_helix_share(ngx_http_helix_ctx_t *ctx);
ngx_int_t ngx_http_helix_identity(ngx_http_helix_ctx_t *ctx);

/* Whoever has asked waits for the job, and may leave; expect() comes before
   attach() and is what may fail. */
ngx_int_t ngx_http_helix_expect(ngx_http_helix_ctx_t *ctx);
void ngx_http_helix_attach(ngx_http_helix_ctx_t *ctx, ngx_helix_job_t *job);

/* Notes the decision in the record of the job. */
void ngx_http_helix_note(ngx_http_helix_ctx_t *ctx);

/* A job has completed: it may be an example of how long one takes. */
void ngx_http_helix_exemplar(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx);

/* How should it run?  With "explain" it is not going to. */
void ngx_http_helix_decide(ngx_http_helix_ctx_t *ctx, ngx_uint_t explain);

/* The decision with its inputs, what was weighed, and what would change it:
   one JSON object. */
void ngx_http_helix_write_explain(helix_json_writer_t *json,
    ngx_http_helix_ctx_t *ctx, ngx_http_helix_main_conf_t *hmcf);


/*
 * Reads the attributes of the job from configuration, query string and body,
 * which must have been read.  NGX_OK, NGX_ERROR without memory, or
 * NGX_DECLINED with ctx->problem and ctx->invalid set.
 */
ngx_int_t ngx_http_helix_read_job(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx);

/* What the kind gives to the job. */
void ngx_http_helix_set_kind(ngx_http_helix_ctx_t *ctx,
    ngx_http_helix_kind_t *kind);

/* The text is not what it should be where the reader has stopped; always
   NGX_DECLINED, NGX_ERROR without memory. */
ngx_int_t ngx_http_helix_json_error(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, helix_json_t *json);

/*
 * The body: in one piece ("other": of a type that some kind accepts, which
 * only client_max_body_size limits), its type, whether it is one that ctx->kind
 * takes, and the problem if not.  Results as those of read_job().
 */
typedef enum {
    NGX_HTTP_HELIX_BODY_NONE = 0,
    NGX_HTTP_HELIX_BODY_JSON,
    NGX_HTTP_HELIX_BODY_FORM,
    NGX_HTTP_HELIX_BODY_OTHER
} ngx_http_helix_body_type_t;

ngx_uint_t ngx_http_helix_body_accepted(ngx_http_request_t *r);
ngx_int_t ngx_http_helix_body_text(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, ngx_uint_t other, ngx_str_t *text);
ngx_http_helix_body_type_t ngx_http_helix_body_type(ngx_http_request_t *r,
    ngx_str_t *text);
ngx_int_t ngx_http_helix_body_check(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx);
ngx_int_t ngx_http_helix_body_refuse(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx);

/* One attribute from text or from a JSON token; results as above. */
ngx_int_t ngx_http_helix_field_text(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, ngx_http_helix_field_t field,
    ngx_str_t *value);
ngx_int_t ngx_http_helix_field_json(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, ngx_http_helix_field_t field,
    helix_json_t *json, helix_json_token_t *token);

/* The field of a name that a client may use, with "query" those of the query
   string too; NGX_HTTP_HELIX_FIELDS: none. */
ngx_http_helix_field_t ngx_http_helix_field_find(ngx_str_t *name,
    ngx_uint_t query);
const char *ngx_http_helix_field_nearest(ngx_str_t *name, ngx_uint_t query);
const char *ngx_http_helix_field_name(ngx_http_helix_field_t field);

/* All names that a client may use, into "names"; their number. */
ngx_uint_t ngx_http_helix_field_names(const char **names, ngx_uint_t query);

/*
 * Parameters: add() one that was given, first those of the configuration that
 * are final, then those of the client, then defaults; read_params() when the
 * kind is known.  Results as those of read_job(), and of field_json().
 */
ngx_int_t ngx_http_helix_param_add(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, const ngx_http_helix_param_t *param);
ngx_int_t ngx_http_helix_params_json(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, helix_json_t *json);
ngx_int_t ngx_http_helix_read_params(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx);

/* Can it be the name of a parameter? */
ngx_uint_t ngx_http_helix_param_name(ngx_str_t *name);

/* The field that helix_job may set; NULL or what is expected of its value,
   for config time.  A budget there is a time, or milliseconds. */
ngx_http_helix_field_t ngx_http_helix_field_conf(ngx_str_t *name);
const char *ngx_http_helix_field_check(ngx_http_helix_field_t field,
    ngx_str_t *value);
ngx_int_t ngx_http_helix_field_budget(ngx_str_t *value, uint64_t *ms);

/* Any spelling of a kind: case and '_', '-' do not count.  NULL: none. */
ngx_http_helix_kind_t *ngx_http_helix_kind_find(
    ngx_http_helix_main_conf_t *hmcf, ngx_str_t *name);
const char *ngx_http_helix_kind_nearest(ngx_http_helix_main_conf_t *hmcf,
    ngx_str_t *name);

/* Fills ctx->problem; always NGX_DECLINED, NGX_ERROR without memory.  "r" is
   NULL for a job that no request has brought. */
ngx_int_t ngx_http_helix_problem(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, ngx_helix_invalid_t invalid, const char *field,
    const char *fmt, ...);


/*
 * Answers.  Each sends the response and returns what the request is to be
 * finalized with.
 */
ngx_int_t ngx_http_helix_send_result(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, const void *state);
ngx_int_t ngx_http_helix_send_problem(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx);
ngx_int_t ngx_http_helix_send_reject(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx);
ngx_int_t ngx_http_helix_send_end(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, ngx_helix_end_t end);
ngx_int_t ngx_http_helix_send_body(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, u_char *body, size_t len);

/* 405; "allow" is the list of methods. */
ngx_int_t ngx_http_helix_send_method(ngx_http_request_t *r, const char *allow);

/* The member "errors" of a problem with settings. */
void ngx_http_helix_write_violations(helix_json_writer_t *json,
    const helix_violations_t *violations);

/* Who asks for a change, printable: USER@ADDRESS; NGX_HELIX_AUTHOR bytes. */
void ngx_http_helix_author(ngx_http_request_t *r, u_char *dst);

/*
 * Which of these the client likes best, as an index; the list ends with NULL.
 * The first one is text, what any text will do for, and who says nothing.  Of
 * two that it likes as much, the one it names first.
 */

typedef struct {
    const char                    *name;
    const char                    *versions[2];   /* NULL: any */
} ngx_http_helix_media_t;

ngx_uint_t ngx_http_helix_accept(ngx_http_request_t *r,
    const ngx_http_helix_media_t *media);

/* A problem that is not one of a job. */
ngx_int_t ngx_http_helix_send_error(ngx_http_request_t *r, ngx_uint_t status,
    const char *code, const char *title, const char *detail);

/* 503, with Retry-After in seconds. */
ngx_int_t ngx_http_helix_send_busy(ngx_http_request_t *r, const char *code,
    const char *title, const char *detail, const char *seconds);

/* The member "explain", where it was asked for. */
void ngx_http_helix_add_explain(ngx_http_request_t *r,
    helix_json_writer_t *json, ngx_http_helix_ctx_t *ctx);

/* The headers of an answer to a job. */
ngx_int_t ngx_http_helix_job_headers(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx);

ngx_int_t ngx_http_helix_add_header(ngx_http_request_t *r, const char *name,
    u_char *value, size_t len);


/* Config time: router directives, ngx_http_helix_conf.c. */
char *ngx_http_helix_setting(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_helix_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_helix_settings_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_helix_policy(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_helix_pool(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
void *ngx_http_helix_create_main_conf(ngx_conf_t *cf);
void *ngx_http_helix_create_srv_conf(ngx_conf_t *cf);
ngx_int_t ngx_http_helix_keep_names(ngx_conf_t *cf);

/* Preconfiguration. */
ngx_int_t ngx_http_helix_add_variables(ngx_conf_t *cf);

/* Postconfiguration: what can only be checked when all is read; the zone and
   the thread pool. */
ngx_int_t ngx_http_helix_init(ngx_conf_t *cf);

char *ngx_http_helix_duplicate(ngx_conf_t *cf, ngx_str_t *text);

/* Config time: where kinds come from, ngx_http_helix_kernel_conf.c. */
void ngx_http_helix_init_kinds(ngx_http_helix_main_conf_t *hmcf);
char *ngx_http_helix_kernel(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* In a worker, before its event loop. */
void ngx_http_helix_kernel_start(ngx_cycle_t *cycle,
    ngx_http_helix_main_conf_t *hmcf);

/* Config time: kinds, ngx_http_helix_kind_conf.c.  add(): there is room. */
ngx_http_helix_kind_t *ngx_http_helix_kind_add(
    ngx_http_helix_main_conf_t *hmcf, ngx_str_t *name,
    const helix_kind_t *source);
char *ngx_http_helix_kind(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_int_t ngx_http_helix_check_kinds(ngx_conf_t *cf,
    ngx_http_helix_main_conf_t *hmcf);

char *ngx_http_helix_unknown_kind(ngx_conf_t *cf,
    ngx_http_helix_main_conf_t *hmcf, ngx_str_t *name);
ngx_uint_t ngx_http_helix_is(ngx_str_t *text, const char *word);
void ngx_http_helix_here(ngx_conf_t *cf, ngx_http_helix_place_t *place);

/* ', did you mean "batch="?' or nothing; valid until the next call. */
const char *ngx_http_helix_quote_nearest(ngx_str_t *text,
    const char *const *names);

/* Config time: request directives, ngx_http_helix_loc_conf.c. */
char *ngx_http_helix_pass(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_helix_job(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_helix_retry(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_helix_timeout_bounds(ngx_conf_t *cf, void *post, void *data);

/* Makes it the content handler of the location, the only one. */
char *ngx_http_helix_content(ngx_conf_t *cf, ngx_http_handler_pt handler);

/* Config time: helix_status, ngx_http_helix_status_conf.c. */
char *ngx_http_helix_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

void *ngx_http_helix_create_loc_conf(ngx_conf_t *cf);
char *ngx_http_helix_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child);


extern ngx_module_t  ngx_http_helix_module;


#endif /* NGX_HTTP_HELIX_H_INCLUDED */
