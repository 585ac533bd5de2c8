
/* api/telemetry: pressure that others report. */

#include "ngx_http_helix_config.h"


#define NGX_HTTP_HELIX_TELEMETRY_LEN     4096
#define NGX_HTTP_HELIX_TELEMETRY_TOKENS  64
#define NGX_HTTP_HELIX_TELEMETRY_TTL     30000       /* ms */
#define NGX_HTTP_HELIX_TELEMETRY_MAX     3600000
#define NGX_HTTP_HELIX_TELEMETRY_NAME    32


typedef struct {
    ngx_uint_t   seen;
    double       pressure;
    ngx_msec_t   ttl;
    ngx_str_t    source;
    u_char       name[NGX_HTTP_HELIX_TELEMETRY_NAME + 1];
} ngx_http_helix_telemetry_t;


static ngx_int_t ngx_http_helix_telemetry_parse(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, ngx_str_t *body,
    ngx_http_helix_telemetry_t *report);
static ngx_int_t ngx_http_helix_telemetry_member(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, helix_json_t *json, helix_json_token_t *name,
    ngx_http_helix_telemetry_t *report);
static ngx_int_t ngx_http_helix_telemetry_value(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, ngx_uint_t field, helix_json_token_t *token,
    ngx_http_helix_telemetry_t *report);
static ngx_int_t ngx_http_helix_telemetry_name(helix_json_token_t *token,
    ngx_http_helix_telemetry_t *report);
static void ngx_http_helix_telemetry_log(ngx_http_request_t *r,
    ngx_http_helix_telemetry_t *report);
static ngx_int_t ngx_http_helix_send_telemetry(ngx_http_request_t *r,
    ngx_http_helix_main_conf_t *hmcf);


static const char *const  ngx_http_helix_telemetry_fields[] = {
    "pressure", "source", "ttl_ms", NULL
};


ngx_int_t
ngx_http_helix_read_telemetry(ngx_http_request_t *r, ngx_str_t *rest)
{
    ngx_http_helix_main_conf_t  *hmcf;

    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);

    ngx_helix_exec_refresh(hmcf->exec, ngx_helix_now());

    return ngx_http_helix_send_telemetry(r, hmcf);
}


ngx_int_t
ngx_http_helix_write_telemetry(ngx_http_request_t *r, ngx_str_t *rest,
    ngx_str_t *body)
{
    ngx_uint_t                   news;
    ngx_http_helix_ctx_t        *ctx;
    ngx_http_helix_main_conf_t  *hmcf;
    ngx_http_helix_telemetry_t   report;

    ctx = ngx_http_helix_ctx_create(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    hmcf = ctx->hmcf;

    ngx_memzero(&report, sizeof(ngx_http_helix_telemetry_t));

    report.ttl = NGX_HTTP_HELIX_TELEMETRY_TTL;
    ngx_str_set(&report.source, "default");

    switch (ngx_http_helix_telemetry_parse(r, ctx, body, &report)) {

    case NGX_OK:
        break;

    case NGX_DECLINED:

        if (ctx->invalid == NGX_HELIX_BAD_FIELD) {
            ctx->problem.title = "A field of the report is wrong";
        }

        return ngx_http_helix_send_problem(r, ctx);

    default: /* NGX_ERROR */
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    switch (ngx_helix_exec_report(hmcf->exec, &report.source, report.pressure,
                                  &report.ttl, &news))
    {
    case NGX_OK:

        if (news) {
            ngx_http_helix_telemetry_log(r, &report);
        }

        return ngx_http_helix_send_telemetry(r, hmcf);

    case NGX_DECLINED:
        ctx->problem.status = NGX_HTTP_TOO_MANY_REQUESTS;
        ctx->problem.code = "TooManySources";
        ctx->problem.title = "There are as many sources as there may be";
        ngx_str_set(&ctx->problem.detail,
                    "use the name of one that is live, or wait for its end");
        ctx->problem.limit = NGX_HELIX_SOURCES;
        ctx->problem.retry_after = report.ttl;

        return ngx_http_helix_send_problem(r, ctx);

    default: /* NGX_BUSY */
        return ngx_http_helix_send_error(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                         "Busy", "Another change is under way",
                                         "nothing was changed, try again");
    }
}


static ngx_int_t
ngx_http_helix_telemetry_parse(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, ngx_str_t *body,
    ngx_http_helix_telemetry_t *report)
{
    ngx_int_t            rc;
    helix_json_t         json;
    helix_json_type_t    type;
    helix_json_token_t   token;

    helix_json_init(&json, (char *) body->data, body->len,
                    NGX_HTTP_HELIX_TELEMETRY_TOKENS);

    type = helix_json_next(&json, &token);

    if (type != HELIX_JSON_OBJECT && type != HELIX_JSON_ERROR) {
        json.error = "an object is expected";
        json.pos = json.start;
        type = HELIX_JSON_ERROR;
    }

    while (type != HELIX_JSON_ERROR) {
        type = helix_json_next(&json, &token);

        if (type != HELIX_JSON_KEY) {
            break;
        }

        rc = ngx_http_helix_telemetry_member(r, ctx, &json, &token, report);

        if (rc != NGX_OK) {
            return rc;
        }

        if (json.error) {
            break;
        }
    }

    if (json.error == NULL) {
        (void) helix_json_next(&json, &token);
    }

    if (json.error) {
        ctx->problem.json = *body;
        ctx->problem.offset = json.pos - json.start;

        return ngx_http_helix_problem(r, ctx, NGX_HELIX_BAD_JSON, NULL, "%s",
                                      json.error);
    }

    if (!(report->seen & 1)) {
        return ngx_http_helix_problem(r, ctx, NGX_HELIX_BAD_FIELD, "pressure",
                                      "the pressure is missing");
    }

    return NGX_OK;
}


/* With json->error it is no JSON. */

static ngx_int_t
ngx_http_helix_telemetry_member(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, helix_json_t *json, helix_json_token_t *name,
    ngx_http_helix_telemetry_t *report)
{
    char                text[16];
    ptrdiff_t           len;
    ngx_uint_t          i;
    helix_json_token_t  token;

    len = helix_json_text(name, text, sizeof(text));
    len = ngx_max(len, 0);

    for (i = 0; ngx_http_helix_telemetry_fields[i]; i++) {
        if (ngx_strlen(ngx_http_helix_telemetry_fields[i]) == (size_t) len
            && ngx_strncmp(ngx_http_helix_telemetry_fields[i], text, len) == 0)
        {
            break;
        }
    }

    if (ngx_http_helix_telemetry_fields[i] == NULL) {
        ctx->problem.value.data = (u_char *) name->start;
        ctx->problem.value.len = name->len;
        ctx->problem.nearest = helix_nearest(text, len,
                                             ngx_http_helix_telemetry_fields);

        return ngx_http_helix_problem(r, ctx, NGX_HELIX_BAD_FIELD, NULL,
                                      "a report has no such field");
    }

    if (report->seen & 1 << i) {
        json->error = "a field is given twice";
        json->pos = name->start;
        return NGX_OK;
    }

    report->seen |= 1 << i;

    if (helix_json_next(json, &token) == HELIX_JSON_ERROR) {
        return NGX_OK;
    }

    return ngx_http_helix_telemetry_value(r, ctx, i, &token, report);
}


static ngx_int_t
ngx_http_helix_telemetry_value(ngx_http_request_t *r,
    ngx_http_helix_ctx_t *ctx, ngx_uint_t field, helix_json_token_t *token,
    ngx_http_helix_telemetry_t *report)
{
    uint64_t                number;
    helix_number_result_t   rc;

    number = 0;
    rc = HELIX_NUMBER_SYNTAX;

    switch (field) {

    case 0:
        if (token->type == HELIX_JSON_NUMBER) {
            rc = helix_number_double(token->start, token->len,
                                     &report->pressure);
        }

        if (rc == HELIX_NUMBER_RANGE) {
            report->pressure = (token->start[0] == '-') ? 0 : 1;
            rc = HELIX_NUMBER_OK;
        }

        report->pressure = helix_clamp01(report->pressure);

        ctx->problem.expected = "a number from 0 to 1";
        break;

    case 1:
        if (ngx_http_helix_telemetry_name(token, report) == NGX_OK) {
            rc = HELIX_NUMBER_OK;
        }

        ctx->problem.expected = "1 to 32 letters, digits, \".\", \"_\" or "
                                "\"-\"";
        break;

    default:
        if (token->type == HELIX_JSON_NUMBER) {
            rc = helix_number_u64(token->start, token->len, &number);
        }

        if (rc == HELIX_NUMBER_OK
            && (number == 0 || number > NGX_HTTP_HELIX_TELEMETRY_MAX))
        {
            rc = HELIX_NUMBER_RANGE;
        }

        report->ttl = (ngx_msec_t) number;
        ctx->problem.expected = "milliseconds from 1 to 3600000";
    }

    if (rc == HELIX_NUMBER_OK) {
        ctx->problem.expected = NULL;
        return NGX_OK;
    }

    return ngx_http_helix_problem(r, ctx, NGX_HELIX_BAD_FIELD,
                                  ngx_http_helix_telemetry_fields[field],
                                  "the value is not one that it may have");
}


static ngx_int_t
ngx_http_helix_telemetry_name(helix_json_token_t *token,
    ngx_http_helix_telemetry_t *report)
{
    u_char     c;
    ptrdiff_t  i, n;

    if (token->type != HELIX_JSON_STRING) {
        return NGX_ERROR;
    }

    n = helix_json_text(token, (char *) report->name,
                        NGX_HTTP_HELIX_TELEMETRY_NAME);
    if (n <= 0) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        c = report->name[i];

        if (!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
              || c == '.' || c == '_' || c == '-'))
        {
            return NGX_ERROR;
        }
    }

    report->source.data = report->name;
    report->source.len = n;

    return NGX_OK;
}


static void
ngx_http_helix_telemetry_log(ngx_http_request_t *r,
    ngx_http_helix_telemetry_t *report)
{
    u_char  by[NGX_HELIX_AUTHOR];

    ngx_http_helix_author(r, by);

    ngx_log_error(NGX_LOG_NOTICE, r->connection->log, 0,
                  "helix: pressure %.3f of \"%V\" for %M ms, reported by %s",
                  report->pressure, &report->source, report->ttl, by);
}


static ngx_int_t
ngx_http_helix_send_telemetry(ngx_http_request_t *r,
    ngx_http_helix_main_conf_t *hmcf)
{
    u_char                     *p;
    uint64_t                    now;
    ngx_uint_t                  i;
    helix_json_writer_t         json;
    const ngx_helix_source_t   *source;

    p = ngx_pnalloc(r->pool, NGX_HTTP_HELIX_TELEMETRY_LEN);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    now = ngx_helix_now();

    helix_json_writer_init(&json, (char *) p,
                           NGX_HTTP_HELIX_TELEMETRY_LEN - 1);

    helix_json_object(&json);
    helix_json_key(&json, "pressure");
    helix_json_double(&json, ngx_helix_exec_pressure(hmcf->exec));
    helix_json_key(&json, "external");
    helix_json_double(&json, ngx_helix_exec_external(hmcf->exec));
    helix_json_key(&json, "internal");
    helix_json_double(&json, ngx_helix_exec_internal(hmcf->exec));
    helix_json_key(&json, "sources");
    helix_json_array(&json);

    for (i = 0; i < NGX_HELIX_SOURCES; i++) {
        source = &ngx_helix_exec_sources(hmcf->exec)->sources[i];

        if (source->until <= now) {
            continue;
        }

        helix_json_object(&json);
        helix_json_key(&json, "source");
        helix_json_cstring(&json, source->name);
        helix_json_key(&json, "pressure");
        helix_json_double(&json, source->pressure);
        helix_json_key(&json, "ttl_ms");
        helix_json_u64(&json, (source->until - now) / 1000000);
        helix_json_object_end(&json);
    }

    helix_json_array_end(&json);
    helix_json_object_end(&json);

    if (json.overflow) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    *json.pos++ = '\n';

    return ngx_http_helix_send_body(r, NGX_HTTP_OK, "application/json", p,
                                    json.pos - json.start);
}
