
/* Changes of settings by a client. */

#include "ngx_http_helix_config.h"


#define NGX_HTTP_HELIX_USER  24            /* bytes of $remote_user */


static void ngx_http_helix_config_field(ngx_str_t *rest,
    ngx_helix_edit_t *edit, ngx_http_helix_ctx_t *ctx);
static void ngx_http_helix_config_parse(ngx_http_request_t *r,
    ngx_str_t *body, ngx_helix_edit_t *edit, helix_violations_t *violations,
    ngx_http_helix_ctx_t *ctx);
static ngx_int_t ngx_http_helix_config_apply(ngx_http_request_t *r,
    ngx_helix_edit_t *edit, helix_violations_t *violations);
static void ngx_http_helix_config_match(ngx_http_request_t *r,
    ngx_helix_edit_t *edit);
static ngx_uint_t ngx_http_helix_config_tags(ngx_str_t *list, uint64_t epoch,
    ngx_helix_edit_t *edit);
static ngx_int_t ngx_http_helix_config_stale(ngx_http_request_t *r);
static ngx_int_t ngx_http_helix_config_invalid(ngx_http_request_t *r,
    helix_violations_t *violations);
static void ngx_http_helix_config_violation(helix_json_writer_t *json,
    const helix_violation_t *v);


ngx_int_t
ngx_http_helix_write_config(ngx_http_request_t *r, ngx_str_t *rest,
    ngx_str_t *body)
{
    u_char                 by[NGX_HELIX_AUTHOR];
    ngx_helix_edit_t       edit;
    helix_violations_t    *violations;
    ngx_http_helix_ctx_t  *problem;

    if (rest->len && r->method != NGX_HTTP_DELETE
        && helix_settings_row((char *) rest->data + 1, rest->len - 1) >= 0)
    {
        return ngx_http_helix_send_method(r, "DELETE");
    }

    violations = ngx_palloc(r->pool, sizeof(helix_violations_t));
    problem = ngx_http_helix_ctx_create(r);

    if (violations == NULL || problem == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    violations->n = 0;

    ngx_memzero(&edit, sizeof(ngx_helix_edit_t));

    ngx_http_helix_author(r, by);

    edit.source = NGX_HELIX_BY_API;
    edit.by = (char *) by;
    edit.op = (r->method == NGX_HTTP_POST) ? NGX_HELIX_EDIT_REPLACE
                                           : NGX_HELIX_EDIT_MERGE;

    ngx_http_helix_config_match(r, &edit);

    if (r->method == NGX_HTTP_DELETE || rest->len) {
        ngx_http_helix_config_field(rest, &edit, problem);

    } else {
        ngx_http_helix_config_parse(r, body, &edit, violations, problem);
    }

    if (problem->problem.status) {
        return ngx_http_helix_send_problem(r, problem);
    }

    return ngx_http_helix_config_apply(r, &edit, violations);
}


/* DELETE of one, or of all. */

static void
ngx_http_helix_config_field(ngx_str_t *rest, ngx_helix_edit_t *edit,
    ngx_http_helix_ctx_t *ctx)
{
    int          row;
    ngx_uint_t   i;
    const char  *names[HELIX_LAYER_ROWS + 1];

    if (rest->len == 0) {
        edit->back = (uint64_t) -1;
        return;
    }

    row = helix_settings_row((char *) rest->data + 1, rest->len - 1);

    if (row >= 0) {
        edit->back = 1ULL << row;
        return;
    }

    for (i = 0; helix_settings_table[i].name; i++) {
        names[i] = helix_settings_table[i].name;
    }

    names[i] = NULL;

    ctx->problem.status = NGX_HTTP_NOT_FOUND;
    ctx->problem.code = "NotFound";
    ctx->problem.title = "There is nothing at this path";
    ngx_str_set(&ctx->problem.detail, "there is no setting of this name");
    ctx->problem.nearest = helix_nearest((char *) rest->data + 1,
                                         rest->len - 1, names);
}


static void
ngx_http_helix_config_parse(ngx_http_request_t *r, ngx_str_t *body,
    ngx_helix_edit_t *edit, helix_violations_t *violations,
    ngx_http_helix_ctx_t *ctx)
{
    helix_json_t               json;
    const ngx_helix_config_t  *config;

    /* of the newest configuration, which this worker's need not be */

    ngx_helix_exec_refresh(ctx->hmcf->exec, ngx_helix_now());

    config = ngx_helix_exec_config(ctx->hmcf->exec);

    if (helix_layer_parse(&json, (char *) body->data, body->len, config->ncpus,
                          &edit->values, &edit->back, violations))
    {
        return;
    }

    ctx->problem.json = *body;
    ctx->problem.offset = json.pos - json.start;

    (void) ngx_http_helix_problem(r, ctx, NGX_HELIX_BAD_JSON, NULL, "%s",
                                  json.error);
}


static ngx_int_t
ngx_http_helix_config_apply(ngx_http_request_t *r, ngx_helix_edit_t *edit,
    helix_violations_t *violations)
{
    ngx_http_helix_main_conf_t  *hmcf;

    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);

    switch (ngx_helix_exec_edit(hmcf->exec, edit, violations)) {

    case NGX_OK:
        break;

    case NGX_ABORT:
        return ngx_http_helix_config_stale(r);

    case NGX_DECLINED:
        return ngx_http_helix_config_invalid(r, violations);

    default: /* NGX_BUSY */
        return ngx_http_helix_send_error(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                         "Busy", "Another change is under way",
                                         "nothing was changed, try again");
    }

    ngx_helix_exec_refresh(hmcf->exec, ngx_helix_now());

    return ngx_http_helix_send_config(r);
}


/* If-Match, RFC 9110: weak tags never match. */

static void
ngx_http_helix_config_match(ngx_http_request_t *r, ngx_helix_edit_t *edit)
{
    uint64_t                     epoch;
    ngx_str_t                   *tags;
    ngx_uint_t                   i;
    ngx_http_helix_main_conf_t  *hmcf;

    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);
    epoch = ngx_helix_zone_epoch(hmcf->zone);

    for (i = 0; i < NGX_HELIX_EXPECTED; i++) {
        tags = ngx_http_helix_request_header(r, "if-match", i);

        if (tags == NULL) {
            return;
        }

        edit->conditional = 1;

        if (ngx_http_helix_config_tags(tags, epoch, edit)) {
            edit->conditional = 0;
            return;
        }
    }
}


/* The versions of a list of tags; is it "*"? */

static ngx_uint_t
ngx_http_helix_config_tags(ngx_str_t *list, uint64_t epoch,
    ngx_helix_edit_t *edit)
{
    u_char    *p, *last, *start, *dash;
    uint64_t   tag[2];

    p = list->data;
    last = p + list->len;

    if (list->len == 1 && *p == '*') {
        return 1;
    }

    while (p < last) {

        if (*p == ' ' || *p == '\t' || *p == ',') {
            p++;
            continue;
        }

        start = p;
        p += (*p == 'W' && p + 1 < last && p[1] == '/') ? 2 : 0;

        if (p == last || *p != '"') {
            return 0;
        }

        for (p++; p < last && *p != '"'; p++) { /* void */ }

        if (p == last) {
            return 0;
        }

        dash = ngx_strlchr(start + 1, p, '-');

        if (*start == '"' && dash && edit->nexpected < NGX_HELIX_EXPECTED
            && helix_number_u64((char *) start + 1, dash - start - 1, &tag[0])
               == HELIX_NUMBER_OK
            && helix_number_u64((char *) dash + 1, p - dash - 1, &tag[1])
               == HELIX_NUMBER_OK
            && tag[0] == epoch)
        {
            edit->expected[edit->nexpected++] = tag[1];
        }

        p++;
    }

    return 0;
}


static ngx_int_t
ngx_http_helix_config_stale(ngx_http_request_t *r)
{
    u_char                      *etag;
    ngx_http_helix_ctx_t        *ctx;
    ngx_http_helix_main_conf_t  *hmcf;

    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);

    ctx = ngx_http_helix_ctx_create(r);
    etag = ngx_pcalloc(r->pool, NGX_HTTP_HELIX_ETAG);

    if (ctx == NULL || etag == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_helix_exec_refresh(hmcf->exec, ngx_helix_now());
    (void) ngx_http_helix_etag(hmcf, etag);

    ctx->problem.status = NGX_HTTP_PRECONDITION_FAILED;
    ctx->problem.code = "Stale";
    ctx->problem.title = "The settings have changed since";
    ngx_str_set(&ctx->problem.detail,
                "If-Match names another version, nothing was changed");
    ctx->problem.etag = (char *) etag;

    return ngx_http_helix_send_problem(r, ctx);
}


static ngx_int_t
ngx_http_helix_config_invalid(ngx_http_request_t *r,
    helix_violations_t *violations)
{
    ngx_http_helix_ctx_t  *ctx;

    ctx = ngx_http_helix_ctx_create(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->problem.status = NGX_HTTP_HELIX_UNPROCESSABLE;
    ctx->problem.code = "InvalidConfig";
    ctx->problem.title = "The settings are not valid";
    ctx->problem.detail.data = (u_char *) violations->list[0].text;
    ctx->problem.detail.len = ngx_strlen(violations->list[0].text);
    ctx->problem.violations = violations;

    return ngx_http_helix_send_problem(r, ctx);
}


void
ngx_http_helix_write_violations(helix_json_writer_t *json,
    const helix_violations_t *violations)
{
    ngx_uint_t  i;

    helix_json_array(json);

    for (i = 0; i < violations->n; i++) {
        ngx_http_helix_config_violation(json, &violations->list[i]);
    }

    helix_json_array_end(json);
}


static void
ngx_http_helix_config_violation(helix_json_writer_t *json,
    const helix_violation_t *v)
{
    double  number;

    helix_json_object(json);
    helix_json_key(json, "field");

    if (v->row) {
        helix_json_cstring(json, v->row->name);

    } else {
        helix_json_string(json, v->name.start,
                          ngx_min(v->name.len, HELIX_SETTING_TEXT_MAX));
    }

    helix_json_key(json, "value");

    if (v->token.start == NULL) {
        ngx_http_helix_write_setting(json, v->row,
                                     helix_layer_bits(v->row, v->value));

    } else if (v->token.type == HELIX_JSON_TRUE
               || v->token.type == HELIX_JSON_FALSE)
    {
        helix_json_bool(json, v->token.type == HELIX_JSON_TRUE);

    } else if (v->token.type == HELIX_JSON_STRING) {
        helix_json_string(json, v->token.start,
                          ngx_min(v->token.len, HELIX_SETTING_TEXT_MAX));

    } else if (v->token.type == HELIX_JSON_NUMBER
               && helix_number_double(v->token.start, v->token.len, &number)
                  == HELIX_NUMBER_OK)
    {
        helix_json_double(json, number);

    } else {
        helix_json_null(json);
    }

    helix_json_key(json, "rule");
    helix_json_cstring(json, helix_rule_names[v->rule]);
    helix_json_key(json, "text");
    helix_json_cstring(json, v->text);

    if (v->nearest) {
        helix_json_key(json, "did_you_mean");
        helix_json_cstring(json, v->nearest);
    }

    helix_json_object_end(json);
}


/* Who has asked, as far as it can be told: nothing that a log or a stream could
   take for something else. */

void
ngx_http_helix_author(ngx_http_request_t *r, u_char *dst)
{
    u_char     *p, *last;
    size_t      i;
    ngx_str_t   user;

    p = dst;
    last = dst + NGX_HELIX_AUTHOR - 1;

    if (ngx_http_auth_basic_user(r) == NGX_OK && r->headers_in.user.len) {

        user = r->headers_in.user;

        for (i = 0; i < user.len && i < NGX_HTTP_HELIX_USER; i++) {
            *p++ = ((user.data[i] >= '0' && user.data[i] <= '9')
                    || ((user.data[i] | 0x20) >= 'a'
                        && (user.data[i] | 0x20) <= 'z')
                    || ngx_strchr("._-", user.data[i]))
                   ? user.data[i] : '_';
        }

        *p++ = '@';
    }

    for (i = 0; i < r->connection->addr_text.len && p < last; i++) {
        *p++ = r->connection->addr_text.data[i];
    }

    *p = '\0';
}
