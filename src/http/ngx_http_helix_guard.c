
/* May a request change something?  A page of another site must not. */

#include "ngx_http_helix.h"


typedef struct {
    ngx_str_t   host;
    ngx_uint_t  port;            /* 0: not given */
} ngx_http_helix_authority_t;


static ngx_uint_t ngx_http_helix_guard_host(ngx_http_request_t *r);
static ngx_uint_t ngx_http_helix_guard_name(ngx_http_server_name_t *name,
    ngx_str_t *host);
static ngx_uint_t ngx_http_helix_guard_site(ngx_http_request_t *r);
static ngx_uint_t ngx_http_helix_guard_type(ngx_http_request_t *r);
static ngx_uint_t ngx_http_helix_guard_origin(ngx_str_t *origin,
    ngx_http_helix_authority_t *host);
static ngx_uint_t ngx_http_helix_guard_authority(ngx_str_t *text,
    ngx_http_helix_authority_t *authority);


ngx_int_t
ngx_http_helix_guard(ngx_http_request_t *r, ngx_int_t *rc)
{
    ngx_uint_t   status;
    const char  *code, *title, *detail;

    if (r != r->main) {

        /* no access rule of the location has been asked */

        status = NGX_HTTP_FORBIDDEN;
        code = "Subrequest";
        title = "A subrequest changes nothing";
        detail = "nginx has made it of another request, by \"mirror\" say";

    } else if (!ngx_http_helix_writable(r)) {
        status = NGX_HTTP_FORBIDDEN;
        code = "WriteDisabled";
        title = "Nothing can be changed here";
        detail = "\"helix_status write=on;\" would allow it";

    } else if (!ngx_http_helix_guard_host(r)) {
        status = NGX_HTTP_FORBIDDEN;
        code = "ForeignHost";
        title = "The Host of the request is not this server's";
        detail = "an address, \"localhost\" or a name of \"server_name\" is "
                 "expected";

    } else if (!ngx_http_helix_guard_site(r)) {
        status = NGX_HTTP_FORBIDDEN;
        code = "CrossOrigin";
        title = "The request comes from another site";
        detail = "Origin has to be that of the Host, and Sec-Fetch-Site "
                 "\"same-origin\" or \"none\", if they are sent";

    } else if (!ngx_http_helix_guard_type(r)) {
        status = NGX_HTTP_UNSUPPORTED_MEDIA_TYPE;
        code = "MediaType";
        title = "The type of the body is not application/json";
        detail = "send \"Content-Type: application/json\"";

    } else {
        return NGX_OK;
    }

    *rc = ngx_http_discard_request_body(r);

    if (*rc == NGX_OK) {
        *rc = ngx_http_helix_send_error(r, status, code, title, detail);
    }

    return NGX_DECLINED;
}


ngx_uint_t
ngx_http_helix_writable(ngx_http_request_t *r)
{
    ngx_str_t                   value;
    ngx_http_helix_loc_conf_t  *hlcf;

    hlcf = ngx_http_get_module_loc_conf(r, ngx_http_helix_module);

    if (hlcf->status_writer == NULL) {
        return hlcf->status_write;
    }

    return ngx_http_complex_value(r, hlcf->status_writer, &value) == NGX_OK
           && (ngx_http_helix_is(&value, "1")
               || ngx_http_helix_is(&value, "on"));
}


/* A name that is not ours may have been made to resolve to our address. */

static ngx_uint_t
ngx_http_helix_guard_host(ngx_http_request_t *r)
{
    ngx_url_t                    u;
    ngx_str_t                   *host;
    ngx_uint_t                   i;
    ngx_http_server_name_t      *names;
    ngx_http_helix_srv_conf_t   *hscf;
    ngx_http_helix_authority_t   sent;

    host = &r->headers_in.server;

    /* what a request line or a second header says is not the Host */

    if (host->len == 0 || r->headers_in.host == NULL
        || ngx_http_helix_request_header(r, "host", 1)
        || !ngx_http_helix_guard_authority(&r->headers_in.host->value, &sent))
    {
        return 0;
    }

    sent.host.len -= (sent.host.data[sent.host.len - 1] == '.');

    if (sent.host.len != host->len
        || ngx_strncasecmp(sent.host.data, host->data, host->len) != 0)
    {
        return 0;
    }

    if (ngx_http_helix_is(host, "localhost")
        || ngx_inet_addr(host->data, host->len) != INADDR_NONE)
    {
        return 1;
    }

    if (host->data[0] == '[') {
        ngx_memzero(&u, sizeof(ngx_url_t));

        u.url = *host;
        u.default_port = 80;
        u.no_resolve = 1;

        return ngx_parse_url(r->pool, &u) == NGX_OK;
    }

    hscf = ngx_http_get_module_srv_conf(r, ngx_http_helix_module);
    names = hscf->names.elts;

    for (i = 0; i < hscf->names.nelts; i++) {
        if (ngx_http_helix_guard_name(&names[i], host)) {
            return 1;
        }
    }

    return 0;
}


/* "www.example.com", "*.example.com", ".example.com" or "www.example.*" */

static ngx_uint_t
ngx_http_helix_guard_name(ngx_http_server_name_t *name, ngx_str_t *host)
{
    u_char     *p;
    size_t      len;
    ngx_str_t   text;

#if (NGX_PCRE)

    /* the server was chosen by it, if no other one was */

    if (name->regex) {
        return ngx_regex_exec(name->regex->regex, host, NULL, 0) >= 0;
    }

#endif

    text = name->name;

    if (text.len == 0 || ngx_http_helix_is(&text, "_")) {
        return 0;
    }

    if (text.len > 2 && text.data[text.len - 1] == '*') {
        len = text.len - 1;
        return host->len > len
               && ngx_strncasecmp(host->data, text.data, len) == 0;
    }

    if (text.data[0] == '*') {
        text.data++;
        text.len--;

    } else if (text.data[0] == '.') {

        if (host->len == text.len - 1
            && ngx_strncasecmp(host->data, text.data + 1, host->len) == 0)
        {
            return 1;
        }

    } else {
        return host->len == text.len
               && ngx_strncasecmp(host->data, text.data, text.len) == 0;
    }

    if (host->len <= text.len) {
        return 0;
    }

    p = host->data + host->len - text.len;

    return ngx_strncasecmp(p, text.data, text.len) == 0;
}


/* All that are sent have to be as they should. */

static ngx_uint_t
ngx_http_helix_guard_site(ngx_http_request_t *r)
{
    ngx_str_t                    *value;
    ngx_http_helix_authority_t    host;

    if (ngx_http_helix_request_header(r, "sec-fetch-site", 1)
        || ngx_http_helix_request_header(r, "origin", 1))
    {
        return 0;
    }

    value = ngx_http_helix_request_header(r, "sec-fetch-site", 0);

    if (value && !ngx_http_helix_is(value, "same-origin")
        && !ngx_http_helix_is(value, "none"))
    {
        return 0;
    }

    value = ngx_http_helix_request_header(r, "origin", 0);

    if (value == NULL) {
        return 1;
    }

    return ngx_http_helix_guard_authority(&r->headers_in.host->value, &host)
           && ngx_http_helix_guard_origin(value, &host);
}


/* The scheme may be another behind a proxy: a port that is not given is that
   of the scheme in the Origin, which is the browser's. */

static ngx_uint_t
ngx_http_helix_guard_origin(ngx_str_t *origin,
    ngx_http_helix_authority_t *host)
{
    ngx_str_t                    rest;
    ngx_uint_t                   i, port;
    ngx_http_helix_authority_t   from;

    static const struct {
        ngx_str_t   prefix;
        ngx_uint_t  port;
    } schemes[] = {
        { ngx_string("http://"), 80 },
        { ngx_string("https://"), 443 }
    };

    for (i = 0; i < 2; i++) {

        if (origin->len <= schemes[i].prefix.len
            || ngx_strncasecmp(origin->data, schemes[i].prefix.data,
                               schemes[i].prefix.len)
               != 0)
        {
            continue;
        }

        rest.data = origin->data + schemes[i].prefix.len;
        rest.len = origin->len - schemes[i].prefix.len;
        port = schemes[i].port;

        return ngx_http_helix_guard_authority(&rest, &from)
               && (from.port ? from.port : port)
                  == (host->port ? host->port : port)
               && from.host.len == host->host.len
               && ngx_strncasecmp(from.host.data, host->host.data,
                                  from.host.len)
                  == 0;
    }

    return 0;
}


/* A host and perhaps a port, and nothing else: no user, no path, no list. */

static ngx_uint_t
ngx_http_helix_guard_authority(ngx_str_t *text,
    ngx_http_helix_authority_t *authority)
{
    u_char     *p, *last, *end;
    ngx_int_t   port;

    p = text->data;
    last = p + text->len;

    for (end = p; end < last; end++) {
        if (*end <= ' ' || *end >= 0x7f || ngx_strchr("@/\\?#,\"", *end)) {
            return 0;
        }
    }

    end = p;

    if (text->len && *p == '[') {

        while (end < last && *end != ']') {
            end++;
        }

        end += (end < last);

    } else {
        while (end < last && *end != ':') {
            end++;
        }
    }

    authority->host.data = p;
    authority->host.len = end - p;
    authority->port = 0;

    if (end == last) {
        return end > p;
    }

    port = (*end == ':') ? ngx_atoi(end + 1, last - end - 1) : NGX_ERROR;

    if (end == p || port < 1 || port > 65535) {
        return 0;
    }

    authority->port = port;

    return 1;
}


/* A form of another site cannot send it; a DELETE needs no body. */

static ngx_uint_t
ngx_http_helix_guard_type(ngx_http_request_t *r)
{
    ngx_str_t  *type;

    type = ngx_http_helix_request_header(r, "content-type", 0);

    if (type == NULL) {
        return r->method == NGX_HTTP_DELETE;
    }

    return type->len >= 16
           && ngx_http_helix_request_header(r, "content-type", 1) == NULL
           && ngx_strncasecmp(type->data, (u_char *) "application/json", 16)
              == 0
           && (type->len == 16 || type->data[16] == ';'
               || type->data[16] == ' ');
}
