
/* "fields" of api/stats: the members that are asked for, of a document that is
   our own. */

#include "ngx_http_helix_metrics.h"


#define NGX_HTTP_HELIX_FIELD_PATH  128


typedef struct {
    u_char      *src;
    u_char      *dst;                /* never beyond src */
    ngx_str_t    fields;
    size_t       len;                /* of the path */
    u_char       path[NGX_HTTP_HELIX_FIELD_PATH];
} ngx_http_helix_fields_t;


typedef enum {
    NGX_HTTP_HELIX_FIELD_NONE = 0,
    NGX_HTTP_HELIX_FIELD_PART,
    NGX_HTTP_HELIX_FIELD_ALL
} ngx_http_helix_field_want_t;


static void ngx_http_helix_fields_object(ngx_http_helix_fields_t *f);
static ngx_http_helix_field_want_t ngx_http_helix_fields_want(
    ngx_http_helix_fields_t *f);
static u_char *ngx_http_helix_fields_value(u_char *p);
static u_char *ngx_http_helix_fields_string(u_char *p);


ngx_int_t
ngx_http_helix_stats_fields(ngx_http_request_t *r, u_char *json, u_char **last)
{
    u_char                   *src, *dst;
    ngx_str_t                 value;
    ngx_http_helix_fields_t   f;

    if (ngx_http_arg(r, (u_char *) "fields", 6, &value) != NGX_OK
        || value.len == 0)
    {
        return NGX_OK;
    }

    dst = ngx_pnalloc(r->pool, value.len);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    f.src = json;
    f.dst = json;
    f.fields.data = dst;
    f.len = 0;

    src = value.data;
    ngx_unescape_uri(&dst, &src, value.len, 0);
    f.fields.len = dst - f.fields.data;

    ngx_http_helix_fields_object(&f);

    *last = f.dst;

    return NGX_OK;
}


static void
ngx_http_helix_fields_object(ngx_http_helix_fields_t *f)
{
    u_char                       *key, *value, *end, *first;
    size_t                        len, n;
    ngx_http_helix_field_want_t   want;

    len = f->len;

    *f->dst++ = *f->src++;
    first = f->dst;

    while (*f->src != '}') {
        key = f->src + (*f->src == ',');
        value = ngx_http_helix_fields_string(key) + 1;
        end = ngx_http_helix_fields_value(value);
        f->src = end;

        n = value - key - 3;

        if (len + n + 1 > NGX_HTTP_HELIX_FIELD_PATH) {
            continue;
        }

        ngx_memcpy(f->path + len, key + 1, n);
        f->len = len + n;

        want = ngx_http_helix_fields_want(f);

        if (want == NGX_HTTP_HELIX_FIELD_NONE
            || (want == NGX_HTTP_HELIX_FIELD_PART && *value != '{'))
        {
            continue;
        }

        if (f->dst != first) {
            *f->dst++ = ',';
        }

        if (want == NGX_HTTP_HELIX_FIELD_ALL) {
            f->dst = ngx_movemem(f->dst, key, end - key);
            continue;
        }

        f->dst = ngx_movemem(f->dst, key, value - key);
        f->src = value;
        f->path[f->len++] = '.';

        ngx_http_helix_fields_object(f);
    }

    f->len = len;
    *f->dst++ = *f->src++;
}


static ngx_http_helix_field_want_t
ngx_http_helix_fields_want(ngx_http_helix_fields_t *f)
{
    u_char                       *p, *last, *end;
    ngx_http_helix_field_want_t   want;

    want = NGX_HTTP_HELIX_FIELD_NONE;
    last = f->fields.data + f->fields.len;

    for (p = f->fields.data; p < last; p = end + 1) {
        end = ngx_strlchr(p, last, ',');
        end = end ? end : last;

        if ((size_t) (end - p) < f->len
            || ngx_memcmp(p, f->path, f->len) != 0)
        {
            continue;
        }

        if (p + f->len == end) {
            return NGX_HTTP_HELIX_FIELD_ALL;
        }

        if (p[f->len] == '.') {
            want = NGX_HTTP_HELIX_FIELD_PART;
        }
    }

    return want;
}


/* What comes after it. */

static u_char *
ngx_http_helix_fields_value(u_char *p)
{
    ngx_uint_t  depth;

    depth = 0;

    for ( ;; ) {

        switch (*p) {

        case '"':
            p = ngx_http_helix_fields_string(p);
            continue;

        case '{':
        case '[':
            depth++;
            break;

        case '}':
        case ']':
            if (depth-- == 0) {
                return p;
            }

            break;

        case ',':
            if (depth == 0) {
                return p;
            }

            break;
        }

        p++;
    }
}


static u_char *
ngx_http_helix_fields_string(u_char *p)
{
    for (p++; *p != '"'; p++) {
        p += (*p == '\\');
    }

    return p + 1;
}
