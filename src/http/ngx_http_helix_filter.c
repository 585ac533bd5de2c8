
/* Which decisions a reader wants: from its query string. */

#include "ngx_http_helix_stream.h"


/* Of all decisions of a server that names none of its kinds so. */
#define NGX_HTTP_HELIX_NO_BIT  32


typedef ngx_uint_t (*ngx_http_helix_bit_pt)(ngx_http_request_t *r,
    ngx_str_t *name);


static ngx_int_t ngx_http_helix_names_arg(ngx_http_request_t *r,
    const char *name, ngx_http_helix_bit_pt bit, uint32_t *bits,
    ngx_http_helix_ctx_t **ctx);
static ngx_int_t ngx_http_helix_arg(ngx_http_request_t *r, const char *name,
    ngx_str_t *value);
static ngx_int_t ngx_http_helix_bad_arg(ngx_http_request_t *r,
    const char *name, ngx_str_t *value, ngx_http_helix_ctx_t **ctx,
    const char *fmt, ...);
static ngx_uint_t ngx_http_helix_bit_name(ngx_str_t *name,
    const char *const *names);
static ngx_uint_t ngx_http_helix_bit_strategy(ngx_http_request_t *r,
    ngx_str_t *name);
static ngx_uint_t ngx_http_helix_bit_reason(ngx_http_request_t *r,
    ngx_str_t *name);
static ngx_uint_t ngx_http_helix_bit_kind(ngx_http_request_t *r,
    ngx_str_t *name);


ngx_int_t
ngx_http_helix_filter_args(ngx_http_request_t *r,
    ngx_http_helix_filter_t *filter, ngx_http_helix_ctx_t **ctx)
{
    ngx_int_t  rc;

    rc = ngx_http_helix_names_arg(r, "strategy", ngx_http_helix_bit_strategy,
                                  &filter->strategies, ctx);

    if (rc == NGX_OK) {
        rc = ngx_http_helix_names_arg(r, "reason", ngx_http_helix_bit_reason,
                                      &filter->reasons, ctx);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_helix_names_arg(r, "kind", ngx_http_helix_bit_kind,
                                      &filter->kinds, ctx);
    }

    return rc;
}


ngx_uint_t
ngx_http_helix_filter_match(const ngx_http_helix_filter_t *filter,
    const ngx_helix_record_t *record)
{
    return (!filter->strategies
            || (filter->strategies & 1U << record->strategy))
           && (!filter->reasons || (filter->reasons & 1U << record->reason))
           && (!filter->kinds || (filter->kinds & 1U << record->kind));
}


static ngx_int_t
ngx_http_helix_names_arg(ngx_http_request_t *r, const char *name,
    ngx_http_helix_bit_pt bit, uint32_t *bits, ngx_http_helix_ctx_t **ctx)
{
    u_char      *p, *last;
    ngx_int_t    rc;
    ngx_str_t    value, item;
    ngx_uint_t   n;

    *bits = 0;

    rc = ngx_http_helix_arg(r, name, &value);

    if (rc != NGX_OK) {
        return (rc == NGX_DECLINED) ? NGX_OK : rc;
    }

    last = value.data + value.len;

    for (p = value.data; p <= last; p = item.data + item.len + 1) {
        item.data = p;

        for (item.len = 0; p + item.len < last; item.len++) {
            if (p[item.len] == ',') {
                break;
            }
        }

        n = bit(r, &item);

        if (n >= NGX_HTTP_HELIX_NO_BIT) {
            return ngx_http_helix_bad_arg(r, name, &item, ctx,
                                          "there is no such %s", name);
        }

        *bits |= 1U << n;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_helix_number_arg(ngx_http_request_t *r, const char *name,
    uint64_t min, uint64_t max, uint64_t *value, ngx_http_helix_ctx_t **ctx)
{
    uint64_t   n;
    ngx_int_t  rc;
    ngx_str_t  text;

    rc = ngx_http_helix_arg(r, name, &text);

    if (rc != NGX_OK) {
        return (rc == NGX_DECLINED) ? NGX_OK : rc;
    }

    if (helix_number_u64((char *) text.data, text.len, &n) != HELIX_NUMBER_OK
        || n < min || n > max)
    {
        return ngx_http_helix_bad_arg(r, name, &text, ctx,
                                      "a number from %uL to %uL is expected",
                                      min, max);
    }

    *value = n;

    return NGX_OK;
}


/* The decoded argument; NGX_DECLINED: it is not there. */

static ngx_int_t
ngx_http_helix_arg(ngx_http_request_t *r, const char *name, ngx_str_t *value)
{
    u_char     *dst, *src;
    ngx_str_t   raw;

    if (ngx_http_arg(r, (u_char *) name, ngx_strlen(name), &raw) != NGX_OK) {
        return NGX_DECLINED;
    }

    dst = ngx_pnalloc(r->pool, raw.len + 1);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    value->data = dst;
    src = raw.data;

    ngx_unescape_uri(&dst, &src, raw.len, 0);

    value->len = dst - value->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_helix_bad_arg(ngx_http_request_t *r, const char *name,
    ngx_str_t *value, ngx_http_helix_ctx_t **ctx, const char *fmt, ...)
{
    u_char     text[128], *last;
    va_list    args;
    ngx_int_t  rc;

    *ctx = ngx_http_helix_ctx_create(r);
    if (*ctx == NULL) {
        return NGX_ERROR;
    }

    (*ctx)->problem.value = *value;

    va_start(args, fmt);
    last = ngx_vslprintf(text, text + sizeof(text) - 1, fmt, args);
    va_end(args);

    *last = '\0';

    rc = ngx_http_helix_problem(r, *ctx, NGX_HELIX_BAD_FIELD, name,
                                "\"%s\": %s", name, text);

    (*ctx)->problem.title = "An argument of the request is wrong";

    return rc;
}


static ngx_uint_t
ngx_http_helix_bit_name(ngx_str_t *name, const char *const *names)
{
    ngx_uint_t  i;

    for (i = 0; names[i]; i++) {
        if (ngx_http_helix_is(name, names[i])) {
            return i;
        }
    }

    return NGX_HTTP_HELIX_NO_BIT;
}


static ngx_uint_t
ngx_http_helix_bit_strategy(ngx_http_request_t *r, ngx_str_t *name)
{
    return ngx_http_helix_bit_name(name, helix_strategy_names);
}


static ngx_uint_t
ngx_http_helix_bit_reason(ngx_http_request_t *r, ngx_str_t *name)
{
    return ngx_http_helix_bit_name(name, helix_reason_names);
}


static ngx_uint_t
ngx_http_helix_bit_kind(ngx_http_request_t *r, ngx_str_t *name)
{
    ngx_http_helix_kind_t       *kind;
    ngx_http_helix_main_conf_t  *hmcf;

    hmcf = ngx_http_get_module_main_conf(r, ngx_http_helix_module);
    kind = ngx_http_helix_kind_find(hmcf, name);

    return kind ? kind->index : NGX_HTTP_HELIX_NO_BIT;
}
