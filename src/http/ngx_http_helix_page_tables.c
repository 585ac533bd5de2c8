
/* The tables of the dashboard. */

#include <math.h>

#include "ngx_http_helix_page.h"


static void ngx_http_helix_page_waiting(ngx_http_helix_page_t *page,
    ngx_uint_t lane);
static void ngx_http_helix_page_latencies(ngx_http_helix_page_t *page,
    ngx_uint_t lane);
static void ngx_http_helix_page_component(ngx_http_helix_page_t *page,
    const char *name, const char *key, double value);
static double ngx_http_helix_page_part(uint64_t part, uint64_t whole);
static double ngx_http_helix_page_quantile(helix_hist_t *hist, double q);


void
ngx_http_helix_page_lanes(ngx_http_helix_page_t *page)
{
    uint64_t                    decided;
    ngx_uint_t                  lane;
    const char                 *name;
    ngx_http_helix_books_t      books;
    ngx_http_helix_snapshot_t  *s;

    s = page->s;
    decided = s->total.received - s->total.invalid;

    for (lane = 0; lane < NGX_HELIX_LANES; lane++) {
        name = helix_strategy_names[lane];
        ngx_http_helix_books_lane(&s->counts, lane, &books);

        ngx_http_helix_page_print(page, "<tr data-p=\"strategies.%s\" "
                                  "class=\"%s\"><th scope=row>%s",
                                  name, name, name);

        ngx_http_helix_page_cell(page, "jobs_per_sec", s->recent.lanes[lane],
                                 '1');
        ngx_http_helix_page_cell(page, "share",
                                 ngx_http_helix_page_part(books.admitted,
                                                          decided), 'p');
        ngx_http_helix_page_cell(page, "in_flight", books.in_flight, 'n');
        ngx_http_helix_page_waiting(page, lane);
        ngx_http_helix_page_latencies(page, lane);
        ngx_http_helix_page_cell(page, "late", books.late, 'n');

        ngx_http_helix_page_print(page, "<td class=js><svg class=spark "
                                  "aria-hidden=true></svg>\n");
    }

    ngx_http_helix_page_print(page, "<tr data-p=rate class=drop>"
                              "<th scope=row>drop");
    ngx_http_helix_page_cell(page, "dropped_per_sec",
                             s->recent.dropped_per_sec, '1');
    ngx_http_helix_page_cell(page, "share",
                             ngx_http_helix_page_part(s->total.dropped,
                                                      decided), 'p');
    ngx_http_helix_page_print(page, "<td colspan=6>not run: 503, a reason,"
                              " Retry-After<td class=js>"
                              "<svg class=spark aria-hidden=true>"
                              "</svg>\n");
}


static void
ngx_http_helix_page_waiting(ngx_http_helix_page_t *page, ngx_uint_t lane)
{
    uint64_t  waiting, limit;

    if (lane == HELIX_INLINE) {
        ngx_http_helix_page_print(page, "<td>");
        return;
    }

    waiting = ngx_helix_waiting(page->s->zone, lane);
    limit = page->s->hmcf->settings.queue;

    ngx_http_helix_page_print(page, "<td>");
    ngx_http_helix_page_value(page, "waiting", waiting, 'n');
    ngx_http_helix_page_print(page, "<small>/");
    ngx_http_helix_page_value(page, "waiting_limit", limit, 'n');
    ngx_http_helix_page_print(page, "</small>");
    ngx_http_helix_page_bar(page, "waiting/waiting_limit",
                            ngx_http_helix_page_part(waiting, limit));
}


static void
ngx_http_helix_page_latencies(ngx_http_helix_page_t *page, ngx_uint_t lane)
{
    double         recent[3];
    ngx_uint_t     i;
    helix_hist_t  *hist;

    static const struct {
        const char  *window;
        const char  *all;
        double       q;
    } quantiles[] = {
        { "latency_ms.window.p50", "latency_ms.p50", 0.50 },
        { "latency_ms.window.p95", "latency_ms.p95", 0.95 },
        { "latency_ms.window.p99", "latency_ms.p99", 0.99 }
    };

    (void) ngx_http_helix_snapshot_window(page->s, lane);

    for (i = 0; i < 3; i++) {
        recent[i] = ngx_http_helix_page_quantile(&page->s->window,
                                                 quantiles[i].q);
    }

    hist = ngx_http_helix_snapshot_hist(page->s, NGX_HELIX_HIST_TOTAL, lane);

    for (i = 0; i < 3; i++) {
        ngx_http_helix_page_print(page, "<td>");
        ngx_http_helix_page_value(page, quantiles[i].window, recent[i], 'm');
        ngx_http_helix_page_print(page, "<small>");
        ngx_http_helix_page_value(page, quantiles[i].all,
                                  ngx_http_helix_page_quantile(hist,
                                                         quantiles[i].q),
                                  'm');
        ngx_http_helix_page_print(page, "</small>");
    }
}


void
ngx_http_helix_page_reasons(ngx_http_helix_page_t *page)
{
    ngx_uint_t                  i;
    ngx_http_helix_snapshot_t  *s;

    s = page->s;

    for (i = 0; helix_reason_names[i]; i++) {

        if (s->counts.dropped[i] == 0) {
            continue;
        }

        ngx_http_helix_page_print(page, "<tr><th scope=row>%s",
                                  helix_reason_names[i]);
        ngx_http_helix_page_print(page, "<td>");
        ngx_http_helix_page_number(page, s->counts.dropped[i], 'n');
        ngx_http_helix_page_print(page, "<td>");
        ngx_http_helix_page_number(page,
                             ngx_http_helix_page_part(s->counts.dropped[i],
                                                      s->total.dropped), 'p');
        ngx_http_helix_page_print(page, "<td class=js>\n");
    }

    if (s->total.dropped == 0) {
        ngx_http_helix_page_print(page, "<tr><td colspan=4>No job was "
                                  "rejected.\n");
    }
}


void
ngx_http_helix_page_pressure(ngx_http_helix_page_t *page)
{
    ngx_http_helix_snapshot_t  *s;

    s = page->s;

    ngx_http_helix_page_component(page, "pressure", "pressure.value",
                                  s->pressure);
    ngx_http_helix_page_component(page, "pool occupancy",
                                  "pressure.occupancy",
                                  s->averages.occupancy);
    ngx_http_helix_page_component(page, "rejected", "pressure.drops",
                                  s->averages.drops);
    ngx_http_helix_page_component(page, "latency to budget",
                                  "pressure.latency", s->averages.latency);
    ngx_http_helix_page_component(page, "from outside", "pressure.external",
                                  s->external);
}


static void
ngx_http_helix_page_component(ngx_http_helix_page_t *page, const char *name,
    const char *key, double value)
{
    ngx_http_helix_page_print(page, "<tr><th scope=row>%s", name);
    ngx_http_helix_page_cell(page, key, value, '2');
    ngx_http_helix_page_print(page, "<td>");
    ngx_http_helix_page_bar(page, key, value);
    ngx_http_helix_page_print(page, "\n");
}


void
ngx_http_helix_page_kinds(ngx_http_helix_page_t *page)
{
    double                      service, share, samples;
    ngx_uint_t                  kind;
    const char                 *name;
    helix_hist_t               *hist;
    ngx_http_helix_books_t      books;
    ngx_http_helix_snapshot_t  *s;

    s = page->s;

    for (kind = 0; kind < ngx_helix_zone_kinds(s->zone); kind++) {
        name = ngx_helix_zone_kind_name(s->zone, kind);
        ngx_http_helix_books_kind(&s->counts, kind, &books);

        hist = ngx_http_helix_snapshot_hist(s, NGX_HELIX_HIST_EXEC, kind);

        ngx_helix_exec_kind(s->hmcf->exec, kind, &service, &share, &samples);

        ngx_http_helix_page_print(page, "<tr data-p=\"kinds.");
        ngx_http_helix_page_string(page, name);
        ngx_http_helix_page_print(page, "\"><th scope=row>");
        ngx_http_helix_page_string(page, name);

        ngx_http_helix_page_cell(page, "received", books.received, 'n');
        ngx_http_helix_page_cell(page, "dropped", books.dropped, 'n');
        ngx_http_helix_page_cell(page, "invalid", books.invalid, 'n');
        ngx_http_helix_page_cell(page, "in_flight", books.in_flight, 'n');
        ngx_http_helix_page_cell(page, "late", books.late, 'n');
        ngx_http_helix_page_cell(page, "exec_ms.p50",
                                 ngx_http_helix_page_quantile(hist, 0.50),
                                 'm');
        ngx_http_helix_page_cell(page, "exec_ms.p99",
                                 ngx_http_helix_page_quantile(hist, 0.99),
                                 'm');
        ngx_http_helix_page_cell(page, "predicted_ms",
                                 samples > 0 ? service * 1000 : NAN, 'm');
        ngx_http_helix_page_cell(page, "samples", samples, 'n');

        ngx_http_helix_page_print(page, "\n");
    }
}


void
ngx_http_helix_page_workers(ngx_http_helix_page_t *page)
{
    ngx_uint_t              i;
    ngx_helix_slot_info_t  *worker;

    for (i = 0; i < page->s->nworkers; i++) {
        worker = &page->s->workers[i];

        ngx_http_helix_page_print(page, "<tr><th scope=row>%ui"
                                  "<td>%P<td>%s<td>%uL\n",
                                  worker->index, worker->pid,
                                  worker->draining ? "draining" : "active",
                                  worker->in_flight);
    }
}


void
ngx_http_helix_page_attention(ngx_http_helix_page_t *page)
{
    ngx_uint_t                  i;
    ngx_http_helix_sentence_t  *sentence;

    for (i = 0; i < page->s->nattention; i++) {
        sentence = &page->s->attention[i];

        ngx_http_helix_page_print(page, "<li><a href=\"#%s\">", sentence->see);
        ngx_http_helix_page_text(page, sentence->text, sentence->len);
        ngx_http_helix_page_print(page, "</a></li>");
    }
}


static double
ngx_http_helix_page_part(uint64_t part, uint64_t whole)
{
    return whole ? (double) part / (double) whole : 0;
}


/* ms */

static double
ngx_http_helix_page_quantile(helix_hist_t *hist, double q)
{
    return hist->count ? helix_hist_quantile(hist, q) / 1000000 : NAN;
}
