
#include "ngx_helix_state.h"

#include <math.h>


#define NGX_HELIX_STATE_SAMPLES  1e6
#define NGX_HELIX_STATE_LOG      64.0      /* of any work, of any time */
#define NGX_HELIX_STATE_SPREAD   100.0
#define NGX_HELIX_STATE_ALONG    (1e6 * NGX_HELIX_SLOTS)


static void ngx_helix_state_router(helix_json_writer_t *json,
    const ngx_helix_base_t *base);
static void ngx_helix_state_named(helix_json_writer_t *json, const char *key,
    const char *const *names, const uint64_t *values);
static void ngx_helix_state_kind(helix_json_writer_t *json,
    const ngx_helix_kind_counts_t *counts);
static void ngx_helix_state_lane(helix_json_writer_t *json,
    const ngx_helix_lane_counts_t *lane);
static void ngx_helix_state_learned(helix_json_writer_t *json,
    const ngx_helix_state_kind_t *kind);
static void ngx_helix_state_hist(helix_json_writer_t *json, const char *key,
    const helix_hist_t *hist);
static void ngx_helix_state_settings(helix_json_writer_t *json,
    const ngx_helix_state_t *state);
static void ngx_helix_state_u64(helix_json_writer_t *json, const char *key,
    uint64_t value);
static void ngx_helix_state_double(helix_json_writer_t *json,
    const char *key, double value);


size_t
ngx_helix_state_print(const ngx_helix_state_t *state, char *text,
    size_t size)
{
    size_t                len, line;
    ngx_uint_t            i;
    helix_json_writer_t   json;

    if (size <= NGX_HELIX_STATE_LINE) {
        return 0;
    }

    /* the first line is written last, when the rest is known */

    helix_json_writer_init(&json, text + NGX_HELIX_STATE_LINE,
                           size - NGX_HELIX_STATE_LINE - 1);

    helix_json_object(&json);

    ngx_helix_state_u64(&json, "saved", state->saved);
    ngx_helix_state_router(&json, &state->base);

    helix_json_key(&json, "strategies");
    helix_json_object(&json);

    for (i = 0; i < NGX_HELIX_LANES; i++) {
        helix_json_key(&json, helix_strategy_names[i]);
        helix_json_object(&json);
        ngx_helix_state_hist(&json, "latency", &state->base.total[i]);
        ngx_helix_state_hist(&json, "queue", &state->base.queue[i]);
        helix_json_object_end(&json);
    }

    helix_json_object_end(&json);

    helix_json_key(&json, "kinds");
    helix_json_object(&json);

    for (i = 0; i < state->nkinds; i++) {
        helix_json_key(&json, state->kinds[i].name);
        helix_json_object(&json);
        ngx_helix_state_kind(&json, &state->base.counts.kinds[i]);
        ngx_helix_state_hist(&json, "exec", &state->base.exec[i]);
        ngx_helix_state_learned(&json, &state->kinds[i]);
        helix_json_object_end(&json);
    }

    helix_json_object_end(&json);

    helix_json_key(&json, "unknown");
    helix_json_object(&json);
    ngx_helix_state_kind(&json,
                          &state->base.counts.kinds[NGX_HELIX_NO_KIND]);
    helix_json_object_end(&json);

    ngx_helix_state_settings(&json, state);

    helix_json_object_end(&json);

    if (json.overflow) {
        return 0;
    }

    *json.pos++ = '\n';

    len = (size_t) (json.pos - json.start);
    line = ngx_helix_state_line(text, json.start, len);

    ngx_memmove(text + line, json.start, len);

    return line + len;
}


size_t
ngx_helix_state_line(char *line, const char *text, size_t len)
{
    return (size_t) (ngx_snprintf((u_char *) line, NGX_HELIX_STATE_LINE,
                                  NGX_HELIX_STATE_MAGIC "%d %uz %08xD\n",
                                  NGX_HELIX_STATE_FORMAT, len,
                                  ngx_crc32_long((u_char *) text, len))
                     - (u_char *) line);
}


static void
ngx_helix_state_router(helix_json_writer_t *json,
    const ngx_helix_base_t *base)
{
    ngx_helix_state_u64(json, "since", base->since);
    ngx_helix_state_u64(json, "crashes", base->extras[NGX_HELIX_CRASHES]);
    ngx_helix_state_u64(json, "cpu_ns", base->extras[NGX_HELIX_SPENT]);
    ngx_helix_state_u64(json, "wasted_ns", base->extras[NGX_HELIX_WASTED]);
    ngx_helix_state_u64(json, "dry_run", base->counts.dry_run);
    ngx_helix_state_u64(json, "batched", base->counts.batched);
    ngx_helix_state_u64(json, "deciding_ns", base->counts.deciding);
    ngx_helix_state_u64(json, "loop_ns", base->counts.loop);

    ngx_helix_state_named(json, "dropped", helix_reason_names,
                           base->counts.dropped);
    ngx_helix_state_named(json, "invalid", ngx_helix_invalid_names,
                           base->counts.invalid);
    ngx_helix_state_named(json, "batches", helix_flush_names,
                           base->counts.flushes);
}


static void
ngx_helix_state_named(helix_json_writer_t *json, const char *key,
    const char *const *names, const uint64_t *values)
{
    ngx_uint_t  i;

    helix_json_key(json, key);
    helix_json_object(json);

    for (i = 0; names[i]; i++) {
        if (values[i]) {
            ngx_helix_state_u64(json, names[i], values[i]);
        }
    }

    helix_json_object_end(json);
}


static void
ngx_helix_state_kind(helix_json_writer_t *json,
    const ngx_helix_kind_counts_t *counts)
{
    ngx_uint_t  i;

    ngx_helix_state_u64(json, "invalid", counts->invalid);
    ngx_helix_state_u64(json, "dropped", counts->dropped);
    ngx_helix_state_u64(json, "coalesced", counts->coalesced);

    helix_json_key(json, "approximated");
    helix_json_array(json);

    for (i = 0; i < NGX_HELIX_LEVELS; i++) {
        helix_json_u64(json, counts->approximated[i]);
    }

    helix_json_array_end(json);

    helix_json_key(json, "strategies");
    helix_json_object(json);

    for (i = 0; i < NGX_HELIX_LANES; i++) {
        if (counts->lanes[i].admitted) {
            helix_json_key(json, helix_strategy_names[i]);
            ngx_helix_state_lane(json, &counts->lanes[i]);
        }
    }

    helix_json_object_end(json);
}


static void
ngx_helix_state_lane(helix_json_writer_t *json,
    const ngx_helix_lane_counts_t *lane)
{
    ngx_uint_t  i;

    helix_json_object(json);

    ngx_helix_state_u64(json, "admitted", lane->admitted);

    for (i = 0; i < NGX_HELIX_ENDS; i++) {
        ngx_helix_state_u64(json, ngx_helix_end_names[i], lane->ended[i]);
    }

    ngx_helix_state_u64(json, "late", lane->late);

    helix_json_object_end(json);
}


static void
ngx_helix_state_learned(helix_json_writer_t *json,
    const ngx_helix_state_kind_t *kind)
{
    const helix_samples_t  *s;

    s = &kind->samples;

    if (ngx_helix_state_samples(s)) {
        helix_json_key(json, "model");
        helix_json_object(json);
        ngx_helix_state_double(json, "n", s->n);
        ngx_helix_state_double(json, "x", s->x);
        ngx_helix_state_double(json, "y", s->y);
        ngx_helix_state_double(json, "xx", s->xx);
        ngx_helix_state_double(json, "xy", s->xy);
        ngx_helix_state_double(json, "variance", s->variance);
        ngx_helix_state_double(json, "quantile", s->quantile);
        helix_json_object_end(json);
    }

    if (kind->batches.along > 0 && ngx_helix_state_batches(&kind->batches)) {
        helix_json_key(json, "batching");
        helix_json_object(json);
        ngx_helix_state_double(json, "along", kind->batches.along);
        ngx_helix_state_double(json, "added", kind->batches.added);
        helix_json_object_end(json);
    }
}


bool
ngx_helix_state_samples(const helix_samples_t *s)
{
    double  sums, squares;

    sums = s->n * NGX_HELIX_STATE_LOG;
    squares = sums * NGX_HELIX_STATE_LOG;

    return s->n > 0 && s->n <= NGX_HELIX_STATE_SAMPLES
           && fabs(s->x) <= sums && fabs(s->y) <= sums
           && fabs(s->xx) <= squares && fabs(s->xy) <= squares
           && s->variance >= 0 && s->variance <= NGX_HELIX_STATE_SPREAD
           && s->quantile >= 0 && s->quantile <= NGX_HELIX_STATE_SPREAD;
}


bool
ngx_helix_state_batches(const helix_batches_t *b)
{
    return b->along >= 0 && b->along <= NGX_HELIX_STATE_ALONG
           && fabs(b->added) <= 2 * NGX_HELIX_STATE_ALONG;
}


/* Buckets that are not empty: index and count in turn. */

static void
ngx_helix_state_hist(helix_json_writer_t *json, const char *key,
    const helix_hist_t *hist)
{
    ngx_uint_t  i;

    helix_json_key(json, key);
    helix_json_object(json);

    ngx_helix_state_u64(json, "sum_ns", hist->sum);

    helix_json_key(json, "buckets");
    helix_json_array(json);

    for (i = 0; i < HELIX_HIST_BUCKETS; i++) {
        if (hist->buckets[i]) {
            helix_json_u64(json, i);
            helix_json_u64(json, hist->buckets[i]);
        }
    }

    helix_json_array_end(json);
    helix_json_object_end(json);
}


static void
ngx_helix_state_settings(helix_json_writer_t *json,
    const ngx_helix_state_t *state)
{
    ngx_uint_t                         i;
    const ngx_helix_state_setting_t  *setting;

    helix_json_key(json, "settings");
    helix_json_array(json);

    for (i = 0; i < state->nsettings; i++) {
        setting = &state->settings[i];

        helix_json_object(json);
        helix_json_key(json, "name");
        helix_json_cstring(json, setting->name);
        ngx_helix_state_double(json, "value", setting->value);
        ngx_helix_state_u64(json, "given", setting->given);
        ngx_helix_state_double(json, "base", setting->base);
        ngx_helix_state_u64(json, "at", setting->at);
        helix_json_key(json, "by");
        helix_json_cstring(json, setting->by);
        helix_json_object_end(json);
    }

    helix_json_array_end(json);
}


static void
ngx_helix_state_u64(helix_json_writer_t *json, const char *key,
    uint64_t value)
{
    helix_json_key(json, key);
    helix_json_u64(json, value);
}


static void
ngx_helix_state_double(helix_json_writer_t *json, const char *key,
    double value)
{
    helix_json_key(json, key);
    helix_json_double(json, value);
}
