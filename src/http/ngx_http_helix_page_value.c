
/* What is written into the dashboard: markup, escaped text, numbers. */

#include <math.h>

#include "ngx_http_helix_page.h"


#define NGX_HTTP_HELIX_NONE_TEXT  "\xe2\x80\x93"      /* en dash */
#define NGX_HTTP_HELIX_GROUP      "\xe2\x80\xaf"      /* narrow space */


static void ngx_http_helix_page_whole(ngx_http_helix_page_t *page,
    uint64_t value);
static void ngx_http_helix_page_ms(ngx_http_helix_page_t *page, double ms);
static void ngx_http_helix_page_share(ngx_http_helix_page_t *page,
    double share);
static void ngx_http_helix_page_bytes(ngx_http_helix_page_t *page,
    double bytes);
static void ngx_http_helix_page_duration(ngx_http_helix_page_t *page,
    uint64_t secs);


void
ngx_http_helix_page_markup(ngx_http_helix_page_t *page, const char *html,
    size_t len)
{
    len = ngx_min(len, (size_t) (page->last - page->pos));

    page->pos = ngx_cpymem(page->pos, html, len);
}


void
ngx_http_helix_page_print(ngx_http_helix_page_t *page, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    page->pos = ngx_vslprintf(page->pos, page->last, fmt, args);
    va_end(args);
}


void
ngx_http_helix_page_text(ngx_http_helix_page_t *page, const char *text,
    size_t len)
{
    size_t  more;

    more = ngx_escape_html(NULL, (u_char *) text, len);

    if (len + more > (size_t) (page->last - page->pos)) {
        page->pos = page->last;
        return;
    }

    page->pos = (u_char *) ngx_escape_html(page->pos, (u_char *) text, len);
}


void
ngx_http_helix_page_string(ngx_http_helix_page_t *page, const char *text)
{
    ngx_http_helix_page_text(page, text, ngx_strlen(text));
}


void
ngx_http_helix_page_value(ngx_http_helix_page_t *page, const char *key,
    double value, u_char format)
{
    ngx_http_helix_page_print(page, "<span data-k=%c:%s>", format, key);
    ngx_http_helix_page_number(page, value, format);
    ngx_http_helix_page_print(page, "</span>");
}


void
ngx_http_helix_page_cell(ngx_http_helix_page_t *page, const char *key,
    double value, u_char format)
{
    ngx_http_helix_page_print(page, "<td data-k=%c:%s>", format, key);
    ngx_http_helix_page_number(page, value, format);
}


/* Of "key" in the JSON, or of one key divided by another. */

void
ngx_http_helix_page_bar(ngx_http_helix_page_t *page, const char *key,
    double value)
{
    ngx_http_helix_page_print(page, "<svg class=fill aria-hidden=true>"
                              "<rect data-b=%s width=\"%.1f%%\" "
                              "height=\"100%%\"/></svg>",
                              key, 100 * helix_clamp01(value));
}


void
ngx_http_helix_page_number(ngx_http_helix_page_t *page, double value,
    u_char format)
{
    if (!isfinite(value) || value < 0) {
        ngx_http_helix_page_print(page, NGX_HTTP_HELIX_NONE_TEXT);
        return;
    }

    switch (format) {

    case 'n':
        ngx_http_helix_page_whole(page, (uint64_t) value);
        break;

    case '1':
        ngx_http_helix_page_print(page, "%.1f", value);
        break;

    case '2':
        ngx_http_helix_page_print(page, "%.2f", value);
        break;

    case 'p':
        ngx_http_helix_page_share(page, value);
        break;

    case 'b':
        ngx_http_helix_page_bytes(page, value);
        break;

    case 's':
        ngx_http_helix_page_ms(page, value * 1000);
        break;

    case 'm':
        ngx_http_helix_page_ms(page, value);
        break;

    case 'd':
        ngx_http_helix_page_duration(page, (uint64_t) value);
        break;
    }
}


static void
ngx_http_helix_page_whole(ngx_http_helix_page_t *page, uint64_t value)
{
    uint64_t  unit;

    for (unit = 1; value / unit >= 1000; unit *= 1000) { /* void */ }

    ngx_http_helix_page_print(page, "%uL", value / unit);

    for (unit /= 1000; unit; unit /= 1000) {
        ngx_http_helix_page_print(page, NGX_HTTP_HELIX_GROUP "%03uL",
                                  value / unit % 1000);
    }
}


static void
ngx_http_helix_page_ms(ngx_http_helix_page_t *page, double ms)
{
    if (ms >= 10000) {
        ngx_http_helix_page_print(page, "%.1f s", ms / 1000);

    } else if (ms >= 100) {
        ngx_http_helix_page_print(page, "%uL ms", (uint64_t) (ms + 0.5));

    } else {
        ngx_http_helix_page_print(page, ms < 1 ? "%.3f ms" : "%.1f ms", ms);
    }
}


static void
ngx_http_helix_page_share(ngx_http_helix_page_t *page, double share)
{
    if (share > 0 && share < 0.0001) {
        ngx_http_helix_page_print(page, "&lt;0.01%%");

    } else if (share > 0 && share < 0.01) {
        ngx_http_helix_page_print(page, "%.2f%%", share * 100);

    } else {
        ngx_http_helix_page_print(page, "%.1f%%", share * 100);
    }
}


static void
ngx_http_helix_page_bytes(ngx_http_helix_page_t *page, double bytes)
{
    ngx_uint_t  i;

    static const char *const  units[] = { "B", "kB", "MB", "GB", "TB" };

    for (i = 0; bytes >= 1024 && i < 4; i++) {
        bytes /= 1024;
    }

    ngx_http_helix_page_print(page, i ? "%.1f %s" : "%.0f %s", bytes,
                              units[i]);
}


static void
ngx_http_helix_page_duration(ngx_http_helix_page_t *page, uint64_t secs)
{
    if (secs >= 86400) {
        ngx_http_helix_page_print(page, "%uLd ", secs / 86400);
    }

    ngx_http_helix_page_print(page, "%02uL:%02uL:%02uL", secs / 3600 % 24,
                              secs / 60 % 60, secs % 60);
}
