
/* Which type a client likes best. */

#include "ngx_http_helix.h"


static ngx_uint_t ngx_http_helix_accept_range(u_char *p, u_char *last,
    const ngx_http_helix_media_t *media, ngx_uint_t *type);
static ngx_uint_t ngx_http_helix_accept_type(u_char *p, u_char *last,
    const ngx_http_helix_media_t *media, ngx_uint_t *type);
static ngx_uint_t ngx_http_helix_accept_q(u_char *p, u_char *last);
static u_char *ngx_http_helix_token(u_char **p, u_char *last, u_char end);
static ngx_uint_t ngx_http_helix_same(u_char *p, u_char *last,
    const char *word);


ngx_uint_t
ngx_http_helix_accept(ngx_http_request_t *r,
    const ngx_http_helix_media_t *media)
{
    u_char           *p, *last, *end;
    ngx_uint_t        q, best, type, chosen;
    ngx_table_elt_t  *accept;

    accept = r->headers_in.accept;

    if (accept == NULL) {
        return 0;
    }

    best = 0;
    chosen = 0;

    p = accept->value.data;
    last = p + accept->value.len;

    while (p < last) {
        end = ngx_strlchr(p, last, ',');
        end = end ? end : last;

        q = ngx_http_helix_accept_range(p, end, media, &type);

        if (q > best) {
            best = q;
            chosen = type;
        }

        p = end + 1;
    }

    return chosen;
}


/* One range with its parameters: its q in thousandths, 0 for what is not ours
   to give. */

static ngx_uint_t
ngx_http_helix_accept_range(u_char *p, u_char *last,
    const ngx_http_helix_media_t *media, ngx_uint_t *type)
{
    u_char      *start, *end, *eq;
    ngx_uint_t   q;

    start = p;
    end = ngx_http_helix_token(&start, last, ';');

    if (!ngx_http_helix_accept_type(start, end, media, type)) {
        return 0;
    }

    media += *type;
    q = 1000;

    for (p = ngx_strlchr(p, last, ';'); p; p = ngx_strlchr(p, last, ';')) {

        start = ++p;
        end = ngx_http_helix_token(&start, last, ';');

        eq = ngx_strlchr(start, end, '=');

        if (eq == NULL) {
            continue;
        }

        if (ngx_http_helix_same(start, eq, "q")) {
            q = ngx_http_helix_accept_q(eq + 1, end);

        } else if (media->versions[0]
                   && ngx_http_helix_same(start, eq, "version")
                   && !ngx_http_helix_same(eq + 1, end, media->versions[0])
                   && !ngx_http_helix_same(eq + 1, end, media->versions[1]))
        {
            return 0;
        }
    }

    return q;
}


static ngx_uint_t
ngx_http_helix_accept_type(u_char *p, u_char *last,
    const ngx_http_helix_media_t *media, ngx_uint_t *type)
{
    for (*type = 0; media[*type].name; (*type)++) {
        if (ngx_http_helix_same(p, last, media[*type].name)) {
            return 1;
        }
    }

    *type = 0;

    return ngx_http_helix_same(p, last, "text/*")
           || ngx_http_helix_same(p, last, "*/*");
}


/* 0, 0.75, 1.000; anything else counts for nothing. */

static ngx_uint_t
ngx_http_helix_accept_q(u_char *p, u_char *last)
{
    ngx_uint_t  q, digit;

    if (p == last || (*p != '0' && *p != '1')) {
        return 0;
    }

    q = (*p++ == '1') ? 1000 : 0;

    if (p < last && *p++ != '.') {
        return 0;
    }

    for (digit = 100; p < last; p++) {

        if (*p < '0' || *p > '9' || digit == 0) {
            return 0;
        }

        q += (*p - '0') * digit;
        digit /= 10;
    }

    return (q <= 1000) ? q : 0;
}


/* Up to "end" or the last, without the space around; its end. */

static u_char *
ngx_http_helix_token(u_char **p, u_char *last, u_char end)
{
    u_char  *stop;

    stop = ngx_strlchr(*p, last, end);
    stop = stop ? stop : last;

    while (*p < stop && (**p == ' ' || **p == '\t')) {
        (*p)++;
    }

    while (stop > *p && (stop[-1] == ' ' || stop[-1] == '\t')) {
        stop--;
    }

    return stop;
}


static ngx_uint_t
ngx_http_helix_same(u_char *p, u_char *last, const char *word)
{
    size_t  len;

    len = ngx_strlen(word);

    return (size_t) (last - p) == len
           && ngx_strncasecmp(p, (u_char *) word, len) == 0;
}
