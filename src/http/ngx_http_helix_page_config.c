
/* What others have set: settings with where they come from, and pressure. */

#include "ngx_helix_live.h"
#include "ngx_http_helix_page.h"


static void ngx_http_helix_page_setting(ngx_http_helix_page_t *page,
    const ngx_helix_config_t *config, ngx_uint_t i, uint64_t value);
static void ngx_http_helix_page_plain(ngx_http_helix_page_t *page,
    const helix_setting_t *row, double value);


void
ngx_http_helix_page_settings(ngx_http_helix_page_t *page)
{
    ngx_uint_t                   i;
    helix_layer_t                values;
    const ngx_helix_config_t    *config;
    ngx_http_helix_main_conf_t  *hmcf;

    hmcf = page->s->hmcf;
    config = ngx_helix_exec_config(hmcf->exec);

    helix_layer_take(&values, &hmcf->settings);

    for (i = 0; helix_settings_table[i].name; i++) {
        ngx_http_helix_page_setting(page, config, i, values.values[i]);
    }
}


static void
ngx_http_helix_page_setting(ngx_http_helix_page_t *page,
    const ngx_helix_config_t *config, ngx_uint_t i, uint64_t value)
{
    helix_origin_t          origin;
    const helix_setting_t  *row;

    row = &helix_settings_table[i];
    origin = helix_layers_origin(&config->conf, &config->settings,
                                 &config->runtime, i);

    ngx_http_helix_page_print(page, "<tr id=set-%s%s><th scope=row>%s"
                              "<small>%s%s%s</small><td>",
                              row->name,
                              origin == HELIX_ORIGIN_RUNTIME ? " class=over"
                                                             : "",
                              row->name, row->directive,
                              row->parameter ? " " : "",
                              row->parameter ? row->parameter : "");
    ngx_http_helix_page_plain(page, row, helix_layer_number(row, value));

    ngx_http_helix_page_print(page, "<td>%s", row->above ? "above " : "");

    if (row->type != HELIX_SETTING_FLAG) {
        ngx_http_helix_page_plain(page, row, row->min);
        ngx_http_helix_page_print(page, " to ");
        ngx_http_helix_page_plain(page, row, row->max);
    }

    ngx_http_helix_page_print(page, "<td>%s", helix_origin_names[origin]);

    if (origin == HELIX_ORIGIN_RUNTIME
        && ngx_http_helix_writable(page->request))
    {
        ngx_http_helix_page_print(page, ", ");
        ngx_http_helix_page_string(page, config->overrides[i].by);
    }

    ngx_http_helix_page_print(page, "<td>");
    ngx_http_helix_page_plain(page, row, row->initial);
    ngx_http_helix_page_print(page, "\n");
}


static void
ngx_http_helix_page_plain(ngx_http_helix_page_t *page,
    const helix_setting_t *row, double value)
{
    char  text[32];

    if (row->type == HELIX_SETTING_FLAG) {
        ngx_http_helix_page_print(page, value > 0 ? "on" : "off");
        return;
    }

    ngx_http_helix_page_text(page, text, helix_number_print(value, text));
}


void
ngx_http_helix_page_sources(ngx_http_helix_page_t *page)
{
    uint64_t                    now;
    ngx_uint_t                  i;
    const ngx_helix_source_t   *source;
    const ngx_helix_sources_t  *sources;

    now = ngx_helix_now();
    sources = ngx_helix_exec_sources(page->s->hmcf->exec);

    for (i = 0; i < NGX_HELIX_SOURCES; i++) {
        source = &sources->sources[i];

        if (source->until <= now) {
            continue;
        }

        ngx_http_helix_page_print(page, "<tr><th scope=row>");
        ngx_http_helix_page_string(page, source->name);
        ngx_http_helix_page_print(page, "<td>%.2f<td>%uL s left\n",
                                  source->pressure,
                                  (source->until - now) / 1000000000 + 1);
    }
}
