
/* Bodies: where nginx has put them, and of which type they are. */

#include "ngx_http_helix.h"


/* Room for everything but the elements of "inputs". */
#define NGX_HTTP_HELIX_BODY         65536
#define NGX_HTTP_HELIX_INPUT_LEN    24


static ngx_int_t ngx_http_helix_body_copy(ngx_http_request_t *r,
    ngx_str_t *text);
static ngx_uint_t ngx_http_helix_accepts(const char *list, ngx_str_t *type,
    ngx_str_t *found);
static ngx_uint_t ngx_http_helix_type_is(ngx_str_t *type, ngx_str_t *name);


/* The body in one piece, wherever nginx has put it; "other" is one of a type
   that only client_max_body_size limits. */

ngx_int_t
ngx_http_helix_body_text(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx,
    ngx_uint_t other, ngx_str_t *text)
{
    off_t                        size, limit;
    ngx_buf_t                   *b;
    ngx_chain_t                 *cl;
    ngx_http_helix_main_conf_t  *hmcf;

    ngx_str_null(text);

    if (r->request_body == NULL || r->request_body->bufs == NULL) {
        return NGX_OK;
    }

    size = 0;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        size += ngx_buf_size(cl->buf);
    }

    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);

    limit = NGX_HTTP_HELIX_BODY + hmcf->max_params
            + (off_t) hmcf->max_inputs * NGX_HTTP_HELIX_INPUT_LEN;

    if (size > limit && !other) {
        ctx->problem.limit = limit;
        return ngx_http_helix_problem(r, ctx, NGX_HELIX_TOO_LARGE, NULL,
                                      "the body has %O bytes, %O are enough "
                                      "for every job that \"max_inputs\" "
                                      "allows", size, limit);
    }

    text->len = (size_t) size;

    b = r->request_body->bufs->buf;

    if (r->request_body->bufs->next == NULL && ngx_buf_in_memory(b)) {
        text->data = b->pos;
        return NGX_OK;
    }

    return ngx_http_helix_body_copy(r, text);
}


static ngx_int_t
ngx_http_helix_body_copy(ngx_http_request_t *r, ngx_str_t *text)
{
    u_char       *p;
    size_t        size;
    ssize_t       n;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    text->data = ngx_pnalloc(r->pool, text->len);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    p = text->data;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        b = cl->buf;
        size = (size_t) ngx_buf_size(b);

        /* the end of a body may be a buffer without anything in it */

        if (size == 0) {
            continue;
        }

        if (ngx_buf_in_memory(b)) {
            p = ngx_cpymem(p, b->pos, size);
            continue;
        }

        n = ngx_read_file(b->file, p, size, b->file_pos);

        if (n != (ssize_t) size) {
            return NGX_ERROR;
        }

        p += n;
    }

    return NGX_OK;
}


/* curl -d says "form" whatever it sends, so an opening brace decides. */

ngx_http_helix_body_type_t
ngx_http_helix_body_type(ngx_http_request_t *r, ngx_str_t *text)
{
    size_t      i;
    ngx_str_t  *type;

    static ngx_str_t  json = ngx_string("application/json");
    static ngx_str_t  form = ngx_string("application/x-www-form-urlencoded");

    if (text->len == 0) {
        return NGX_HTTP_HELIX_BODY_NONE;
    }

    type = r->headers_in.content_type ? &r->headers_in.content_type->value
                                      : &form;

    if (ngx_http_helix_type_is(type, &json)) {
        return NGX_HTTP_HELIX_BODY_JSON;
    }

    if (!ngx_http_helix_type_is(type, &form)) {
        return NGX_HTTP_HELIX_BODY_OTHER;
    }

    for (i = 0; i < text->len && ngx_strchr(" \t\r\n", text->data[i]); i++) {
        /* void */
    }

    return (i < text->len && text->data[i] == '{') ? NGX_HTTP_HELIX_BODY_JSON
                                                   : NGX_HTTP_HELIX_BODY_FORM;
}


/* Does any kind take its type? */

ngx_uint_t
ngx_http_helix_body_accepted(ngx_http_request_t *r)
{
    ngx_str_t                    found;
    ngx_uint_t                   i;
    ngx_http_helix_main_conf_t  *hmcf;

    if (r->headers_in.content_type == NULL) {
        return 0;
    }

    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);

    for (i = 0; i < hmcf->nkinds; i++) {
        if (ngx_http_helix_accepts(hmcf->kinds[i].kind->accepts,
                                   &r->headers_in.content_type->value, &found))
        {
            return 1;
        }
    }

    return 0;
}


/* A body that is neither JSON nor a form is the kind's to read. */

ngx_int_t
ngx_http_helix_body_check(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx)
{
    u_char     *p;
    ngx_str_t   type;

    if (!ngx_http_helix_accepts(ctx->kind->kind->accepts,
                                &r->headers_in.content_type->value, &type))
    {
        return ngx_http_helix_body_refuse(r, ctx);
    }

    p = ngx_pnalloc(r->pool, type.len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ctx->body_type = (char *) p;
    *ngx_cpymem(p, type.data, type.len) = '\0';

    return NGX_OK;
}


/* "list" has the types that a kind takes, with a space between two. */

static ngx_uint_t
ngx_http_helix_accepts(const char *list, ngx_str_t *type, ngx_str_t *found)
{
    const char  *p, *end;

    for (p = list; p && *p; p = *end ? end + 1 : end) {

        end = strchr(p, ' ');
        end = end ? end : p + ngx_strlen(p);

        found->data = (u_char *) p;
        found->len = end - p;

        if (found->len && ngx_http_helix_type_is(type, found)) {
            return 1;
        }
    }

    return 0;
}


/* With parameters or without. */

static ngx_uint_t
ngx_http_helix_type_is(ngx_str_t *type, ngx_str_t *name)
{
    return type->len >= name->len
           && ngx_strncasecmp(type->data, name->data, name->len) == 0
           && (type->len == name->len || type->data[name->len] == ';'
               || type->data[name->len] == ' ');
}


ngx_int_t
ngx_http_helix_body_refuse(ngx_http_request_t *r, ngx_http_helix_ctx_t *ctx)
{
    u_char      *p;
    size_t       len;
    const char  *accepts;

    static const char  *always = "application/json or "
                                 "application/x-www-form-urlencoded";

    accepts = ctx->kind ? ctx->kind->kind->accepts : NULL;

    ctx->problem.value = r->headers_in.content_type->value;
    ctx->problem.expected = always;

    if (accepts) {
        len = ngx_strlen(always) + ngx_strlen(accepts) + sizeof(" or ");

        p = ngx_pnalloc(r->pool, len);
        if (p == NULL) {
            return NGX_ERROR;
        }

        ctx->problem.expected = (char *) p;
        *ngx_sprintf(p, "%s or %s", always, accepts) = '\0';
    }

    return ngx_http_helix_problem(r, ctx, NGX_HELIX_MEDIA_TYPE, NULL,
                                  accepts ? "the kind takes other types"
                                          : "a job is JSON or a form");
}
