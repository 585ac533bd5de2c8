
/*
 * The dashboard: src/http/page/page.html with its {{places}} filled from the
 * snapshot.  A place with a format, {{pool.busy:n}}, is a number of one of the
 * tables; it carries its key, by which app.js finds it.
 *
 * Nothing of the request gets into it; all text is escaped.
 */

#ifndef NGX_HTTP_HELIX_PAGE_H_INCLUDED
#define NGX_HTTP_HELIX_PAGE_H_INCLUDED


#include "ngx_http_helix_metrics.h"


/* The files, in an archive of their own: page/config.make. */

extern const unsigned char  helix_page_page_html[];
extern const unsigned long  helix_page_page_html_size;
extern const unsigned char  helix_page_app_js[];
extern const unsigned long  helix_page_app_js_size;
extern const unsigned char  helix_page_app_css[];
extern const unsigned long  helix_page_app_css_size;
extern const unsigned char  helix_page_icon_svg[];
extern const unsigned long  helix_page_icon_svg_size;


#define NGX_HTTP_HELIX_PAGE_CSP                                               \
    "default-src 'none'; script-src 'self'; style-src 'self'; "              \
    "img-src 'self'; connect-src 'self'; base-uri 'none'; "                  \
    "form-action 'self'; frame-ancestors 'self'"


/* What is written so far; pos == last: it did not fit. */

typedef struct {
    ngx_http_request_t         *request;
    ngx_http_helix_snapshot_t  *s;
    u_char                     *pos;
    u_char                     *last;
} ngx_http_helix_page_t;


/* The page, or from a path without its slash the way to it. */
ngx_int_t ngx_http_helix_send_page(ngx_http_request_t *r,
    ngx_http_helix_snapshot_t *s);
ngx_int_t ngx_http_helix_send_slash(ngx_http_request_t *r);

/* The file at this path, or NGX_DECLINED. */
ngx_int_t ngx_http_helix_send_asset(ngx_http_request_t *r, ngx_str_t *path);

/* What its address ends with, another one whenever it changes; NGX_DECLINED:
   there is no such file. */
ngx_int_t ngx_http_helix_asset_version(const char *path, size_t len,
    ngx_str_t *version);

ngx_int_t ngx_http_helix_page_headers(ngx_http_request_t *r);


/* Markup, also from a format of nginx's; text, to be escaped. */
void ngx_http_helix_page_markup(ngx_http_helix_page_t *page, const char *html,
    size_t len);
void ngx_http_helix_page_print(ngx_http_helix_page_t *page, const char *fmt,
    ...);
void ngx_http_helix_page_text(ngx_http_helix_page_t *page, const char *text,
    size_t len);
void ngx_http_helix_page_string(ngx_http_helix_page_t *page,
    const char *text);

/*
 * Numbers as app.js writes them.  Formats: n whole, 1 and 2 decimals, p share,
 * b bytes, s seconds, m milliseconds, d a duration in days.
 */
void ngx_http_helix_page_number(ngx_http_helix_page_t *page, double value,
    u_char format);
void ngx_http_helix_page_value(ngx_http_helix_page_t *page, const char *key,
    double value, u_char format);
void ngx_http_helix_page_cell(ngx_http_helix_page_t *page, const char *key,
    double value, u_char format);
void ngx_http_helix_page_bar(ngx_http_helix_page_t *page, const char *key,
    double value);

/* The places that are tables. */
void ngx_http_helix_page_lanes(ngx_http_helix_page_t *page);
void ngx_http_helix_page_reasons(ngx_http_helix_page_t *page);
void ngx_http_helix_page_pressure(ngx_http_helix_page_t *page);
void ngx_http_helix_page_sources(ngx_http_helix_page_t *page);
void ngx_http_helix_page_kinds(ngx_http_helix_page_t *page);
void ngx_http_helix_page_settings(ngx_http_helix_page_t *page);
void ngx_http_helix_page_workers(ngx_http_helix_page_t *page);
void ngx_http_helix_page_attention(ngx_http_helix_page_t *page);


#endif /* NGX_HTTP_HELIX_PAGE_H_INCLUDED */
