
/* The dashboard: the template, its places and its headers. */

#include <math.h>

#include "ngx_http_helix_page.h"


#define NGX_HTTP_HELIX_PAGE_LEN      49152
#define NGX_HTTP_HELIX_PAGE_KIND     1280     /* more for each of these */
#define NGX_HTTP_HELIX_PAGE_WORKER   256


typedef struct {
    const char  *name;
    void       (*write)(ngx_http_helix_page_t *page);
} ngx_http_helix_place_writer_t;


static void ngx_http_helix_page_fill(ngx_http_helix_page_t *page);
static void ngx_http_helix_page_place(ngx_http_helix_page_t *page,
    const char *name, size_t len);
static double ngx_http_helix_page_key(ngx_http_helix_snapshot_t *s,
    const char *key);
static void ngx_http_helix_page_status(ngx_http_helix_page_t *page);
static void ngx_http_helix_page_policy(ngx_http_helix_page_t *page);
static void ngx_http_helix_page_write(ngx_http_helix_page_t *page);
static void ngx_http_helix_page_writable(ngx_http_helix_page_t *page);
static void ngx_http_helix_page_zone(ngx_http_helix_page_t *page);
static void ngx_http_helix_page_pool(ngx_http_helix_page_t *page);
static void ngx_http_helix_page_word(ngx_http_helix_page_t *page);
static void ngx_http_helix_page_say(ngx_http_helix_page_t *page);
static void ngx_http_helix_page_hidden(ngx_http_helix_page_t *page);
static void ngx_http_helix_page_versions(ngx_http_helix_page_t *page);
static void ngx_http_helix_page_options(ngx_http_helix_page_t *page,
    const char *const *names);
static void ngx_http_helix_page_strategies(ngx_http_helix_page_t *page);
static void ngx_http_helix_page_all_reasons(ngx_http_helix_page_t *page);
static void ngx_http_helix_page_all_kinds(ngx_http_helix_page_t *page);


static const ngx_http_helix_place_writer_t  ngx_http_helix_places[] = {
    { "status", ngx_http_helix_page_status },
    { "policy", ngx_http_helix_page_policy },
    { "write", ngx_http_helix_page_write },
    { "writable", ngx_http_helix_page_writable },
    { "zone", ngx_http_helix_page_zone },
    { "pool", ngx_http_helix_page_pool },
    { "word", ngx_http_helix_page_word },
    { "verdict", ngx_http_helix_page_say },
    { "versions", ngx_http_helix_page_versions },
    { "hidden", ngx_http_helix_page_hidden },
    { "attention", ngx_http_helix_page_attention },
    { "lanes", ngx_http_helix_page_lanes },
    { "reasons", ngx_http_helix_page_reasons },
    { "pressure", ngx_http_helix_page_pressure },
    { "sources", ngx_http_helix_page_sources },
    { "kinds", ngx_http_helix_page_kinds },
    { "settings", ngx_http_helix_page_settings },
    { "workers", ngx_http_helix_page_workers },
    { "options.strategy", ngx_http_helix_page_strategies },
    { "options.reason", ngx_http_helix_page_all_reasons },
    { "options.kind", ngx_http_helix_page_all_kinds },
    { NULL, NULL }
};


ngx_int_t
ngx_http_helix_send_page(ngx_http_request_t *r, ngx_http_helix_snapshot_t *s)
{
    u_char                 *start;
    size_t                  size;
    ngx_http_helix_page_t   page;

    size = NGX_HTTP_HELIX_PAGE_LEN
           + ngx_helix_zone_kinds(s->zone) * NGX_HTTP_HELIX_PAGE_KIND
           + s->nworkers * NGX_HTTP_HELIX_PAGE_WORKER;

    start = ngx_palloc(r->pool, size);
    if (start == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    page.request = r;
    page.s = s;
    page.pos = start;
    page.last = start + size;

    ngx_http_helix_judge(s);
    ngx_http_helix_page_fill(&page);

    if (page.pos == page.last || ngx_http_helix_page_headers(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_helix_send_body(r, NGX_HTTP_OK, "text/html; charset=utf-8",
                                    start, page.pos - start);
}


/* The links of the page are relative to the slash; a relative way there also
   holds behind a proxy that has taken something off the path. */

ngx_int_t
ngx_http_helix_send_slash(ngx_http_request_t *r)
{
    u_char                    *p, *last;
    size_t                     len;
    ngx_str_t                  name;
    ngx_table_elt_t           *h;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    name = clcf->name;

    for (len = 0; len < name.len; len++) {
        if (name.data[name.len - len - 1] == '/') {
            break;
        }
    }

    name.data += name.len - len;

    p = ngx_pnalloc(r->pool, 3 * len + sizeof(".//"));
    h = ngx_list_push(&r->headers_out.headers);

    if (p == NULL || h == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    h->hash = 1;
    ngx_str_set(&h->key, "Location");
    h->value.data = p;

#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    p = ngx_cpymem(p, "./", 2);
    last = (u_char *) ngx_escape_uri(p, name.data, len,
                                     NGX_ESCAPE_URI_COMPONENT);
    *last++ = '/';

    h->value.len = last - h->value.data;
    r->headers_out.location = h;

    return NGX_HTTP_MOVED_PERMANENTLY;
}


ngx_int_t
ngx_http_helix_page_headers(ngx_http_request_t *r)
{
    if (ngx_http_helix_add_header(r, "Content-Security-Policy",
                                  (u_char *) NGX_HTTP_HELIX_PAGE_CSP,
                                  sizeof(NGX_HTTP_HELIX_PAGE_CSP) - 1)
        != NGX_OK
        || ngx_http_helix_add_header(r, "X-Content-Type-Options",
                                     (u_char *) "nosniff", 7)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_helix_add_header(r, "Referrer-Policy",
                                     (u_char *) "no-referrer", 11);
}


static void
ngx_http_helix_page_fill(ngx_http_helix_page_t *page)
{
    u_char  *p, *open, *close, *end;

    p = (u_char *) helix_page_page_html;
    end = p + helix_page_page_html_size;

    for ( ;; ) {
        open = ngx_strlchr(p, end, '{');
        close = open ? ngx_strlchr(open, end, '}') : NULL;

        if (close == NULL) {
            break;
        }

        ngx_http_helix_page_markup(page, (char *) p, open - p);

        open += 2;
        ngx_http_helix_page_place(page, (char *) open, close - open);

        p = close + 2;
    }

    ngx_http_helix_page_markup(page, (char *) p, end - p);
}


static void
ngx_http_helix_page_place(ngx_http_helix_page_t *page, const char *name,
    size_t len)
{
    char                                  key[64];
    double                                value;
    ngx_str_t                             version;
    const ngx_http_helix_place_writer_t  *place;

    if (len > 2 && name[len - 2] == ':') {
        ngx_cpystrn((u_char *) key, (u_char *) name,
                    ngx_min(len - 1, sizeof(key)));

        value = ngx_http_helix_page_key(page->s, key);
        ngx_http_helix_page_value(page, key, value, name[len - 1]);

        return;
    }

    if (ngx_http_helix_asset_version(name, len, &version) == NGX_OK) {
        ngx_http_helix_page_print(page, "%V", &version);
        return;
    }

    for (place = ngx_http_helix_places; place->name; place++) {
        if (ngx_strlen(place->name) == len
            && ngx_strncmp(place->name, name, len) == 0)
        {
            place->write(page);
            return;
        }
    }
}


/* The number of a key of api/stats, by the tables that it is made from; NaN if
   they do not have it. */

static double
ngx_http_helix_page_key(ngx_http_helix_snapshot_t *s, const char *key)
{
    size_t                          len;
    const char                     *name;
    const ngx_http_helix_metric_t  *metric;
    const ngx_http_helix_scalar_t  *scalar;

    name = ngx_strchr(key, '.');
    len = name ? (size_t) (name - key) : 0;
    name = name ? name + 1 : key;

    for (scalar = ngx_http_helix_scalars; scalar->name; scalar++) {

        if (ngx_strcmp(scalar->name, name) == 0
            && (scalar->group ? ngx_strlen(scalar->group) == len
                                && ngx_strncmp(scalar->group, key, len) == 0
                              : len == 0))
        {
            return scalar->ratio
                   ? ngx_http_helix_scalar_ratio(scalar, s)
                   : (double) ngx_http_helix_scalar_u64(scalar, s);
        }
    }

    for (metric = ngx_http_helix_metrics; metric->name; metric++) {
        if (ngx_strcmp(metric->name, key) == 0) {
            return (double) ngx_http_helix_metric_value(metric, &s->total);
        }
    }

    return NAN;
}


static void
ngx_http_helix_page_status(ngx_http_helix_page_t *page)
{
    ngx_http_helix_page_string(page, ngx_http_helix_verdict(page->s));
}


static void
ngx_http_helix_page_policy(ngx_http_helix_page_t *page)
{
    ngx_http_helix_page_string(page,
                               ngx_http_helix_policy_name(page->s->hmcf));
}


static void
ngx_http_helix_page_write(ngx_http_helix_page_t *page)
{
    ngx_http_helix_page_string(page, ngx_http_helix_writable(page->request)
                                     ? "on" : "off");
}


static void
ngx_http_helix_page_writable(ngx_http_helix_page_t *page)
{
    ngx_http_helix_page_string(page, ngx_http_helix_writable(page->request)
                               ? "What is changed here holds at once in all "
                                 "workers, and nginx.conf stays as it is."
                               : "Read only: \"helix_status write=on;\" would "
                                 "allow changes here.");
}


static void
ngx_http_helix_page_zone(ngx_http_helix_page_t *page)
{
    ngx_http_helix_page_text(page, (char *) page->s->hmcf->zone_name.data,
                             page->s->hmcf->zone_name.len);
}


static void
ngx_http_helix_page_pool(ngx_http_helix_page_t *page)
{
    ngx_http_helix_page_text(page, (char *) page->s->hmcf->pool_name.data,
                             page->s->hmcf->pool_name.len);
}


static void
ngx_http_helix_page_word(ngx_http_helix_page_t *page)
{
    ngx_http_helix_page_string(page, ngx_http_helix_verdict_word(page->s));
}


static void
ngx_http_helix_page_say(ngx_http_helix_page_t *page)
{
    ngx_http_helix_page_text(page, page->s->verdict.text,
                             page->s->verdict.len);
}


static void
ngx_http_helix_page_hidden(ngx_http_helix_page_t *page)
{
    if (page->s->nattention == 0) {
        ngx_http_helix_page_print(page, " hidden");
    }
}


static void
ngx_http_helix_page_versions(ngx_http_helix_page_t *page)
{
    ngx_http_helix_page_string(page, NGX_HTTP_HELIX_VERSION ", "
                                     NGINX_VERSION);
}


static void
ngx_http_helix_page_options(ngx_http_helix_page_t *page,
    const char *const *names)
{
    for ( /* void */ ; *names; names++) {
        ngx_http_helix_page_print(page, "<option>%s", *names);
    }
}


static void
ngx_http_helix_page_strategies(ngx_http_helix_page_t *page)
{
    ngx_http_helix_page_options(page, helix_strategy_names);
}


static void
ngx_http_helix_page_all_reasons(ngx_http_helix_page_t *page)
{
    ngx_http_helix_page_options(page, helix_reason_names);
}


static void
ngx_http_helix_page_all_kinds(ngx_http_helix_page_t *page)
{
    ngx_uint_t  kind;

    for (kind = 0; kind < ngx_helix_zone_kinds(page->s->zone); kind++) {
        ngx_http_helix_page_print(page, "<option>");
        ngx_http_helix_page_string(page,
                                   ngx_helix_zone_kind_name(page->s->zone,
                                                            kind));
    }
}
