
#include "ngx_http_helix_exposition.h"


#define NGX_HTTP_HELIX_EXPOSITION_LEN  65536
#define NGX_HTTP_HELIX_EXPOSITION_KIND 6144    /* of each kind */
#define NGX_HTTP_HELIX_SERIES          400
#define NGX_HTTP_HELIX_SERIES_KIND     40


static ngx_int_t ngx_http_helix_exposition_args(ngx_http_request_t *r,
    ngx_http_helix_exposition_t *e);
static ngx_int_t ngx_http_helix_exposition_arg(ngx_http_request_t *r,
    ngx_http_helix_exposition_t *e, ngx_str_t *name, ngx_str_t *value);
static ngx_int_t ngx_http_helix_unescape(ngx_http_request_t *r,
    ngx_str_t *text);
static ngx_uint_t ngx_http_helix_wanted(ngx_http_helix_exposition_t *e,
    const char *name, size_t len, size_t bare);


static const ngx_http_helix_media_t  ngx_http_helix_formats[] = {
    { "text/plain", { NULL, NULL } },
    { "application/openmetrics-text", { "1.0.0", "0.0.1" } },
    { NULL, { NULL, NULL } }
};


ngx_int_t
ngx_http_helix_exposition_init(ngx_http_request_t *r,
    ngx_http_helix_exposition_t *e, ngx_http_helix_snapshot_t *s)
{
    u_char      *p;
    size_t       size;
    ngx_uint_t   nkinds;

    ngx_memzero(e, sizeof(ngx_http_helix_exposition_t));

    e->s = s;
    e->openmetrics = ngx_http_helix_accept(r, ngx_http_helix_formats);

    if (ngx_http_helix_exposition_args(r, e) != NGX_OK) {
        return NGX_ERROR;
    }

    nkinds = ngx_helix_zone_kinds(s->zone);

    size = NGX_HTTP_HELIX_EXPOSITION_LEN
           + nkinds * NGX_HTTP_HELIX_EXPOSITION_KIND
           + s->hmcf->zone_name.len * (NGX_HTTP_HELIX_SERIES
                                       + nkinds * NGX_HTTP_HELIX_SERIES_KIND);

    e->start = ngx_palloc(r->pool, size);
    p = ngx_pnalloc(r->pool, sizeof("{zone=\"\"") + s->hmcf->zone_name.len);

    if (e->start == NULL || p == NULL) {
        return NGX_ERROR;
    }

    e->pos = e->start;
    e->last = e->start + size;

    e->labels.data = p;
    e->labels.len = ngx_sprintf(p, "{zone=\"%V\"", &s->hmcf->zone_name) - p;

    return NGX_OK;
}


/* Other arguments are not for us. */

static ngx_int_t
ngx_http_helix_exposition_args(ngx_http_request_t *r,
    ngx_http_helix_exposition_t *e)
{
    u_char     *p, *last;
    ngx_str_t   name, value;

    if (r->args.len == 0) {
        return NGX_OK;
    }

    p = r->args.data;
    last = p + r->args.len;

    while (p < last) {

        value.data = p;
        p = ngx_strlchr(p, last, '&');
        p = p ? p : last;

        name.data = value.data;
        value.data = ngx_strlchr(name.data, p, '=');

        if (value.data) {
            name.len = value.data++ - name.data;
            value.len = p - value.data;

            if (ngx_http_helix_exposition_arg(r, e, &name, &value) != NGX_OK) {
                return NGX_ERROR;
            }
        }

        p++;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_helix_exposition_arg(ngx_http_request_t *r,
    ngx_http_helix_exposition_t *e, ngx_str_t *name, ngx_str_t *value)
{
    ngx_str_t  *family;

    if (ngx_http_helix_unescape(r, name) != NGX_OK
        || ngx_http_helix_unescape(r, value) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (name->len == 10 && ngx_strncmp(name->data, "histograms", 10) == 0) {
        e->sums_only = (value->len == 1 && value->data[0] == '0');
        return NGX_OK;
    }

    if (name->len != 6 || ngx_strncmp(name->data, "name[]", 6) != 0) {
        return NGX_OK;
    }

    if (e->names == NULL) {
        e->names = ngx_array_create(r->pool, 8, sizeof(ngx_str_t));
        if (e->names == NULL) {
            return NGX_ERROR;
        }
    }

    family = ngx_array_push(e->names);
    if (family == NULL) {
        return NGX_ERROR;
    }

    *family = *value;

    return NGX_OK;
}


static ngx_int_t
ngx_http_helix_unescape(ngx_http_request_t *r, ngx_str_t *text)
{
    u_char  *src, *dst, *p;

    p = ngx_pnalloc(r->pool, text->len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    src = text->data;
    dst = p;

    ngx_unescape_uri(&dst, &src, text->len, 0);

    text->data = p;
    text->len = dst - p;

    return NGX_OK;
}


ngx_uint_t
ngx_http_helix_family(ngx_http_helix_exposition_t *e, const char *name,
    const char *type, const char *help)
{
    size_t  len, bare;

    len = ngx_strlen(name);
    bare = len;

    if (len > 6 && ngx_strcmp(name + len - 6, "_total") == 0) {
        bare -= 6;
    }

    e->family = name;
    e->skip = !ngx_http_helix_wanted(e, name, len, bare);

    if (e->skip) {
        return 0;
    }

    /* the suffix of a counter belongs to its samples there */

    if (e->openmetrics) {
        len = bare;
    }

    ngx_http_helix_put_text(e, "# HELP ");
    ngx_http_helix_put(e, name, len);
    ngx_http_helix_put(e, " ", 1);
    ngx_http_helix_put_text(e, help);
    ngx_http_helix_put_text(e, "\n# TYPE ");
    ngx_http_helix_put(e, name, len);
    ngx_http_helix_put(e, " ", 1);
    ngx_http_helix_put_text(e, type);
    ngx_http_helix_put(e, "\n", 1);

    return 1;
}


static ngx_uint_t
ngx_http_helix_wanted(ngx_http_helix_exposition_t *e, const char *name,
    size_t len, size_t bare)
{
    ngx_str_t   *wanted;
    ngx_uint_t   i;

    if (e->names == NULL) {
        return 1;
    }

    wanted = e->names->elts;

    for (i = 0; i < e->names->nelts; i++) {
        if ((wanted[i].len == len || wanted[i].len == bare)
            && ngx_strncmp(wanted[i].data, name, wanted[i].len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


void
ngx_http_helix_begin(ngx_http_helix_exposition_t *e, const char *suffix,
    const char *label, const char *value, const char *label2,
    const char *value2)
{
    ngx_http_helix_put_text(e, e->family);

    if (suffix) {
        ngx_http_helix_put_text(e, suffix);
    }

    ngx_http_helix_put(e, (char *) e->labels.data, e->labels.len);

    if (label) {
        ngx_http_helix_put(e, ",", 1);
        ngx_http_helix_put_text(e, label);
        ngx_http_helix_put(e, "=\"", 2);
        ngx_http_helix_put_text(e, value);
        ngx_http_helix_put(e, "\"", 1);
    }

    if (label2) {
        ngx_http_helix_put(e, ",", 1);
        ngx_http_helix_put_text(e, label2);
        ngx_http_helix_put(e, "=\"", 2);
        ngx_http_helix_put_text(e, value2);
        ngx_http_helix_put(e, "\"", 1);
    }

    ngx_http_helix_put(e, "} ", 2);
}


void
ngx_http_helix_sample(ngx_http_helix_exposition_t *e, const char *label,
    const char *value, uint64_t n)
{
    ngx_http_helix_begin(e, NULL, label, value, NULL, NULL);
    ngx_http_helix_put_u64(e, n);
    ngx_http_helix_put(e, "\n", 1);
}


void
ngx_http_helix_sample_ratio(ngx_http_helix_exposition_t *e, const char *label,
    const char *value, double n)
{
    size_t  len;
    char    number[32];

    len = helix_number_print(n, number);

    ngx_http_helix_begin(e, NULL, label, value, NULL, NULL);
    ngx_http_helix_put(e, number, len);
    ngx_http_helix_put(e, "\n", 1);
}


void
ngx_http_helix_put(ngx_http_helix_exposition_t *e, const char *text,
    size_t len)
{
    if (e->skip) {
        return;
    }

    if (len > (size_t) (e->last - e->pos)) {
        e->overflow = 1;
        return;
    }

    e->pos = ngx_cpymem(e->pos, text, len);
}


void
ngx_http_helix_put_text(ngx_http_helix_exposition_t *e, const char *text)
{
    ngx_http_helix_put(e, text, ngx_strlen(text));
}


void
ngx_http_helix_put_u64(ngx_http_helix_exposition_t *e, uint64_t n)
{
    ngx_http_helix_put_fixed(e, n, 0);
}


void
ngx_http_helix_put_fixed(ngx_http_helix_exposition_t *e, uint64_t n,
    ngx_uint_t digits)
{
    char        *p, number[32];
    ngx_uint_t   left;

    p = number + sizeof(number);
    left = digits;

    while (n || left || p == number + sizeof(number)) {
        *--p = (char) ('0' + n % 10);
        n /= 10;

        if (left && --left == 0) {
            *--p = '.';

            if (n == 0) {
                *--p = '0';
            }
        }
    }

    ngx_http_helix_put(e, p, number + sizeof(number) - p);
}
