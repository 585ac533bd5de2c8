
/* The files beside the dashboard. */

#include <ngx_md5.h>

#include "ngx_http_helix_page.h"


#define NGX_HTTP_HELIX_ASSET_HASH  16


typedef struct {
    ngx_str_t             path;
    const char           *type;
    const unsigned char  *data;
    const unsigned long  *size;
} ngx_http_helix_asset_t;


static ngx_uint_t ngx_http_helix_asset_find(const char *path, size_t len);
static ngx_int_t ngx_http_helix_asset_etag(ngx_http_request_t *r,
    u_char *tag);
static u_char *ngx_http_helix_asset_tag(ngx_uint_t i);


static const ngx_http_helix_asset_t  ngx_http_helix_assets[] = {

    { ngx_string("/app.js"), "text/javascript; charset=utf-8",
      helix_page_app_js, &helix_page_app_js_size },

    { ngx_string("/app.css"), "text/css; charset=utf-8",
      helix_page_app_css, &helix_page_app_css_size },

    { ngx_string("/icon.svg"), "image/svg+xml",
      helix_page_icon_svg, &helix_page_icon_svg_size },
};

#define NGX_HTTP_HELIX_ASSETS                                                 \
    (sizeof(ngx_http_helix_assets) / sizeof(ngx_http_helix_assets[0]))

/* the entity tags, "HASH" in quotes */

static u_char  ngx_http_helix_asset_tags[NGX_HTTP_HELIX_ASSETS]
                                        [NGX_HTTP_HELIX_ASSET_HASH + 3];


ngx_int_t
ngx_http_helix_send_asset(ngx_http_request_t *r, ngx_str_t *path)
{
    u_char                        *tag;
    ngx_str_t                      version;
    ngx_uint_t                     i;
    const char                    *cache;
    const ngx_http_helix_asset_t  *asset;

    i = ngx_http_helix_asset_find((char *) path->data, path->len);

    if (i == NGX_HTTP_HELIX_ASSETS) {
        return NGX_DECLINED;
    }

    asset = &ngx_http_helix_assets[i];
    tag = ngx_http_helix_asset_tag(i);

    cache = "no-cache";

    if (ngx_http_arg(r, (u_char *) "v", 1, &version) == NGX_OK
        && version.len == NGX_HTTP_HELIX_ASSET_HASH
        && ngx_strncmp(version.data, tag + 1, version.len) == 0)
    {
        cache = "public, max-age=31536000, immutable";
    }

    if (ngx_http_helix_asset_etag(r, tag) != NGX_OK
        || ngx_http_helix_add_header(r, "Cache-Control", (u_char *) cache,
                                     ngx_strlen(cache))
           != NGX_OK
        || ngx_http_helix_page_headers(r) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_helix_send_body(r, NGX_HTTP_OK, asset->type,
                                    (u_char *) asset->data, *asset->size);
}


/* nginx compares it with If-None-Match. */

static ngx_int_t
ngx_http_helix_asset_etag(ngx_http_request_t *r, u_char *tag)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    ngx_str_set(&h->key, "ETag");
    h->value.data = tag;
    h->value.len = NGX_HTTP_HELIX_ASSET_HASH + 2;

#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    r->headers_out.etag = h;

    return NGX_OK;
}


ngx_int_t
ngx_http_helix_asset_version(const char *path, size_t len, ngx_str_t *version)
{
    ngx_uint_t  i;

    i = ngx_http_helix_asset_find(path, len);

    if (i == NGX_HTTP_HELIX_ASSETS) {
        return NGX_DECLINED;
    }

    version->data = ngx_http_helix_asset_tag(i) + 1;
    version->len = NGX_HTTP_HELIX_ASSET_HASH;

    return NGX_OK;
}


/* NGX_HTTP_HELIX_ASSETS: none. */

static ngx_uint_t
ngx_http_helix_asset_find(const char *path, size_t len)
{
    size_t      n;
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_HELIX_ASSETS; i++) {
        n = ngx_http_helix_assets[i].path.len;

        if (n == len
            && ngx_strncmp(ngx_http_helix_assets[i].path.data, path, len) == 0)
        {
            break;
        }
    }

    return i;
}


static u_char *
ngx_http_helix_asset_tag(ngx_uint_t i)
{
    u_char                        *p, digest[16];
    ngx_md5_t                      md5;
    const ngx_http_helix_asset_t  *asset;

    p = ngx_http_helix_asset_tags[i];

    if (p[0] == '\0') {
        asset = &ngx_http_helix_assets[i];

        ngx_md5_init(&md5);
        ngx_md5_update(&md5, asset->data, *asset->size);
        ngx_md5_final(digest, &md5);

        p[0] = '"';
        p = ngx_hex_dump(p + 1, digest, NGX_HTTP_HELIX_ASSET_HASH / 2);
        *p = '"';
    }

    return ngx_http_helix_asset_tags[i];
}
