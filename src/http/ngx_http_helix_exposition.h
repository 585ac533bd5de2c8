
/*
 * Writing what Prometheus reads, in its text format or as OpenMetrics: names,
 * labels, numbers, and which families were asked for.
 */

#ifndef NGX_HTTP_HELIX_EXPOSITION_H_INCLUDED
#define NGX_HTTP_HELIX_EXPOSITION_H_INCLUDED


#include "ngx_http_helix_metrics.h"


typedef struct {
    u_char                     *start;
    u_char                     *pos;
    u_char                     *last;
    ngx_uint_t                  overflow;
    ngx_uint_t                  skip;           /* the family at hand */

    ngx_uint_t                  openmetrics;
    ngx_uint_t                  sums_only;      /* histograms=0 */
    ngx_array_t                *names;          /* ngx_str_t; NULL: all */

    const char                 *family;
    ngx_str_t                   labels;         /* {zone="name" */
    ngx_http_helix_snapshot_t  *s;
} ngx_http_helix_exposition_t;


/* What the request asks for; NGX_ERROR without memory. */
ngx_int_t ngx_http_helix_exposition_init(ngx_http_request_t *r,
    ngx_http_helix_exposition_t *e, ngx_http_helix_snapshot_t *s);

/* The headers of Prometheus' formats: the next family.  0: nobody wants it,
   its samples leave nothing behind. */
ngx_uint_t ngx_http_helix_family(ngx_http_helix_exposition_t *e,
    const char *name, const char *type, const char *help);

/*
 * A sample of the family: its name with a suffix, NULL for none, the zone and
 * up to two labels, NULL for none.  After begin() comes one number, and the
 * end of the line.  Labels are tokens: nothing in them is escaped.
 */
void ngx_http_helix_begin(ngx_http_helix_exposition_t *e, const char *suffix,
    const char *label, const char *value, const char *label2,
    const char *value2);
void ngx_http_helix_sample(ngx_http_helix_exposition_t *e, const char *label,
    const char *value, uint64_t n);
void ngx_http_helix_sample_ratio(ngx_http_helix_exposition_t *e,
    const char *label, const char *value, double n);

void ngx_http_helix_put(ngx_http_helix_exposition_t *e, const char *text,
    size_t len);
void ngx_http_helix_put_text(ngx_http_helix_exposition_t *e,
    const char *text);
void ngx_http_helix_put_u64(ngx_http_helix_exposition_t *e, uint64_t n);

/* n / 10^digits, with all of them. */
void ngx_http_helix_put_fixed(ngx_http_helix_exposition_t *e, uint64_t n,
    ngx_uint_t digits);


/* Upper edges of the classic buckets: a view of the finer histogram, each
   exact to one of its buckets.  The last is +Inf. */

typedef struct {
    uint64_t                    ns;
    const char                 *le;
} ngx_http_helix_edge_t;

extern const ngx_http_helix_edge_t  ngx_http_helix_edges[NGX_HELIX_EDGES];

/* Of the bucket that has the value as an example, where there is one. */
void ngx_http_helix_put_exemplar(ngx_http_helix_exposition_t *e,
    helix_strategy_t lane, ngx_uint_t edge);


#endif /* NGX_HTTP_HELIX_EXPOSITION_H_INCLUDED */
