
#include "ngx_helix_state.h"


#define NGX_HELIX_STATE_TOKENS   1000000
#define NGX_HELIX_STATE_COUNT    (UINT64_C(1) << 62)
#define NGX_HELIX_STATE_BUCKET   (UINT64_C(1) << 48)


typedef struct {
    helix_json_t          json;
    helix_json_token_t    token;
    ngx_helix_state_t   *state;
    ngx_uint_t            index;            /* of the kind */
} ngx_helix_parser_t;


/* Reads a value whose first token is the parser's; false: it cannot be. */

typedef bool (*ngx_helix_parse_pt)(ngx_helix_parser_t *p, void *to);

typedef struct {
    const char           *name;
    size_t                offset;
    ngx_helix_parse_pt    read;
} ngx_helix_parse_field_t;


static bool ngx_helix_parse_next(ngx_helix_parser_t *p);
static ngx_uint_t ngx_helix_parse_find(ngx_helix_parser_t *p,
    const char *const *names, ngx_uint_t n);
static bool ngx_helix_parse_fields(ngx_helix_parser_t *p,
    const ngx_helix_parse_field_t *fields, void *to);
static bool ngx_helix_parse_names(ngx_helix_parser_t *p,
    const char *const *names, ngx_uint_t n, ngx_helix_parse_pt read, void *to,
    size_t size);
static bool ngx_helix_parse_text(ngx_helix_parser_t *p, void *to);
static bool ngx_helix_parse_number(ngx_helix_parser_t *p, void *to);
static bool ngx_helix_parse_count(ngx_helix_parser_t *p, void *to);
static bool ngx_helix_parse_real(ngx_helix_parser_t *p, void *to);
static bool ngx_helix_parse_saved(ngx_helix_parser_t *p, void *to);
static bool ngx_helix_parse_reasons(ngx_helix_parser_t *p, void *to);
static bool ngx_helix_parse_codes(ngx_helix_parser_t *p, void *to);
static bool ngx_helix_parse_flushes(ngx_helix_parser_t *p, void *to);
static bool ngx_helix_parse_levels(ngx_helix_parser_t *p, void *to);
static bool ngx_helix_parse_lane(ngx_helix_parser_t *p, void *to);
static bool ngx_helix_parse_lanes(ngx_helix_parser_t *p, void *to);
static bool ngx_helix_parse_buckets(ngx_helix_parser_t *p, void *to);
static bool ngx_helix_parse_hist(ngx_helix_parser_t *p, void *to);
static bool ngx_helix_parse_strategy(ngx_helix_parser_t *p, void *to);
static bool ngx_helix_parse_strategies(ngx_helix_parser_t *p, void *to);
static bool ngx_helix_parse_kinds(ngx_helix_parser_t *p, void *to);
static bool ngx_helix_parse_unknown(ngx_helix_parser_t *p, void *to);
static bool ngx_helix_parse_exec(ngx_helix_parser_t *p, void *to);
static bool ngx_helix_parse_model(ngx_helix_parser_t *p, void *to);
static bool ngx_helix_parse_batching(ngx_helix_parser_t *p, void *to);
static bool ngx_helix_parse_settings(ngx_helix_parser_t *p, void *to);
static bool ngx_helix_parse_document(ngx_helix_parser_t *p);


#define ngx_helix_base(field)      offsetof(ngx_helix_base_t, field)
#define ngx_helix_kind(field)      offsetof(ngx_helix_kind_counts_t, field)
#define ngx_helix_lane(field)      offsetof(ngx_helix_lane_counts_t, field)
#define ngx_helix_setting(field)   offsetof(ngx_helix_state_setting_t, field)


static const ngx_helix_parse_field_t  ngx_helix_parse_kind_fields[] = {
    { "invalid", ngx_helix_kind(invalid), ngx_helix_parse_count },
    { "dropped", ngx_helix_kind(dropped), ngx_helix_parse_count },
    { "coalesced", ngx_helix_kind(coalesced), ngx_helix_parse_count },
    { "approximated", ngx_helix_kind(approximated), ngx_helix_parse_levels },
    { "strategies", ngx_helix_kind(lanes), ngx_helix_parse_lanes },
    { "exec", 0, ngx_helix_parse_exec },
    { "model", 0, ngx_helix_parse_model },
    { "batching", 0, ngx_helix_parse_batching },
    { NULL, 0, NULL }
};


static const ngx_helix_parse_field_t  ngx_helix_parse_lane_fields[] = {
    { "admitted", ngx_helix_lane(admitted), ngx_helix_parse_count },
    { "completed", ngx_helix_lane(ended[NGX_HELIX_COMPLETED]),
      ngx_helix_parse_count },
    { "failed", ngx_helix_lane(ended[NGX_HELIX_FAILED]),
      ngx_helix_parse_count },
    { "expired", ngx_helix_lane(ended[NGX_HELIX_EXPIRED]),
      ngx_helix_parse_count },
    { "cancelled", ngx_helix_lane(ended[NGX_HELIX_CANCELLED]),
      ngx_helix_parse_count },
    { "shed", ngx_helix_lane(ended[NGX_HELIX_SHED]), ngx_helix_parse_count },
    { "lost", ngx_helix_lane(ended[NGX_HELIX_LOST]), ngx_helix_parse_count },
    { "late", ngx_helix_lane(late), ngx_helix_parse_count },
    { NULL, 0, NULL }
};


static const ngx_helix_parse_field_t  ngx_helix_parse_model_fields[] = {
    { "n", offsetof(helix_samples_t, n), ngx_helix_parse_real },
    { "x", offsetof(helix_samples_t, x), ngx_helix_parse_real },
    { "y", offsetof(helix_samples_t, y), ngx_helix_parse_real },
    { "xx", offsetof(helix_samples_t, xx), ngx_helix_parse_real },
    { "xy", offsetof(helix_samples_t, xy), ngx_helix_parse_real },
    { "variance", offsetof(helix_samples_t, variance), ngx_helix_parse_real },
    { "quantile", offsetof(helix_samples_t, quantile), ngx_helix_parse_real },
    { NULL, 0, NULL }
};


static const ngx_helix_parse_field_t  ngx_helix_parse_batching_fields[] = {
    { "along", offsetof(helix_batches_t, along), ngx_helix_parse_real },
    { "added", offsetof(helix_batches_t, added), ngx_helix_parse_real },
    { NULL, 0, NULL }
};


static const ngx_helix_parse_field_t  ngx_helix_parse_hist_fields[] = {
    { "sum_ns", offsetof(helix_hist_t, sum), ngx_helix_parse_number },
    { "buckets", 0, ngx_helix_parse_buckets },
    { NULL, 0, NULL }
};


static const ngx_helix_parse_field_t  ngx_helix_parse_strategy_fields[] = {
    { "latency", 0, ngx_helix_parse_hist },
    { "queue", ngx_helix_base(queue) - ngx_helix_base(total),
      ngx_helix_parse_hist },
    { NULL, 0, NULL }
};


static const ngx_helix_parse_field_t  ngx_helix_parse_setting_fields[] = {
    { "name", ngx_helix_setting(name), ngx_helix_parse_text },
    { "value", ngx_helix_setting(value), ngx_helix_parse_real },
    { "given", ngx_helix_setting(given), ngx_helix_parse_number },
    { "base", ngx_helix_setting(base), ngx_helix_parse_real },
    { "at", ngx_helix_setting(at), ngx_helix_parse_number },
    { "by", ngx_helix_setting(by), ngx_helix_parse_text },
    { NULL, 0, NULL }
};


static const ngx_helix_parse_field_t  ngx_helix_parse_root_fields[] = {
    { "saved", 0, ngx_helix_parse_saved },
    { "since", ngx_helix_base(since), ngx_helix_parse_count },
    { "crashes", ngx_helix_base(extras[NGX_HELIX_CRASHES]),
      ngx_helix_parse_count },
    { "cpu_ns", ngx_helix_base(extras[NGX_HELIX_SPENT]),
      ngx_helix_parse_count },
    { "wasted_ns", ngx_helix_base(extras[NGX_HELIX_WASTED]),
      ngx_helix_parse_count },
    { "dry_run", ngx_helix_base(counts.dry_run), ngx_helix_parse_count },
    { "batched", ngx_helix_base(counts.batched), ngx_helix_parse_count },
    { "deciding_ns", ngx_helix_base(counts.deciding), ngx_helix_parse_count },
    { "loop_ns", ngx_helix_base(counts.loop), ngx_helix_parse_count },
    { "dropped", ngx_helix_base(counts.dropped), ngx_helix_parse_reasons },
    { "invalid", ngx_helix_base(counts.invalid), ngx_helix_parse_codes },
    { "batches", ngx_helix_base(counts.flushes), ngx_helix_parse_flushes },
    { "strategies", ngx_helix_base(total), ngx_helix_parse_strategies },
    { "kinds", 0, ngx_helix_parse_kinds },
    { "unknown", ngx_helix_base(counts.kinds[NGX_HELIX_NO_KIND]),
      ngx_helix_parse_unknown },
    { "settings", 0, ngx_helix_parse_settings },
    { NULL, 0, NULL }
};


const char *
ngx_helix_state_parse(ngx_helix_state_t *state, const char *text,
    size_t len)
{
    char                 expected[NGX_HELIX_STATE_LINE], *end;
    size_t               line;
    ngx_helix_parser_t   p;

    static const char    magic[] = NGX_HELIX_STATE_MAGIC;
    static const char    format[] = NGX_HELIX_STATE_MAGIC "1 ";

    if (len < sizeof(format)
        || ngx_memcmp(text, magic, sizeof(magic) - 1) != 0)
    {
        return "is not a state file of helix";
    }

    if (ngx_memcmp(text, format, sizeof(format) - 1) != 0) {
        return "has the format of another version of helix";
    }

    end = memchr(text, '\n', ngx_min(len, NGX_HELIX_STATE_LINE));

    if (end == NULL) {
        return "is damaged";
    }

    line = (size_t) (end - text) + 1;

    if (ngx_helix_state_line(expected, text + line, len - line) != line
        || ngx_memcmp(text, expected, line) != 0)
    {
        return "is damaged";
    }

    helix_json_init(&p.json, text + line, len - line,
                    NGX_HELIX_STATE_TOKENS);

    p.state = state;
    p.index = 0;

    return ngx_helix_parse_document(&p) ? NULL : "has values that cannot be";
}


static bool
ngx_helix_parse_document(ngx_helix_parser_t *p)
{
    return ngx_helix_parse_next(p)
           && ngx_helix_parse_fields(p, ngx_helix_parse_root_fields,
                                     &p->state->base)
           && p->state->base.since
           && helix_json_next(&p->json, &p->token) == HELIX_JSON_END;
}


static bool
ngx_helix_parse_next(ngx_helix_parser_t *p)
{
    return helix_json_next(&p->json, &p->token) > HELIX_JSON_END;
}


/* The index of the name that the token is; n if it is none. */

static ngx_uint_t
ngx_helix_parse_find(ngx_helix_parser_t *p, const char *const *names,
    ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        if (ngx_strlen(names[i]) == p->token.len
            && ngx_memcmp(names[i], p->token.start, p->token.len) == 0)
        {
            break;
        }
    }

    return i;
}


/* What a newer module may have added is passed over. */

static bool
ngx_helix_parse_fields(ngx_helix_parser_t *p,
    const ngx_helix_parse_field_t *fields, void *to)
{
    const ngx_helix_parse_field_t  *field;

    if (p->token.type != HELIX_JSON_OBJECT) {
        return false;
    }

    for ( ;; ) {
        if (!ngx_helix_parse_next(p)) {
            return false;
        }

        if (p->token.type == HELIX_JSON_OBJECT_END) {
            return true;
        }

        for (field = fields; field->name; field++) {
            if (ngx_helix_parse_find(p, &field->name, 1) == 0) {
                break;
            }
        }

        if (!ngx_helix_parse_next(p)
            || !(field->name ? field->read(p, (char *) to + field->offset)
                             : helix_json_skip_value(&p->json, &p->token)))
        {
            return false;
        }
    }
}


/* A member for each name, to the elements of an array. */

static bool
ngx_helix_parse_names(ngx_helix_parser_t *p, const char *const *names,
    ngx_uint_t n, ngx_helix_parse_pt read, void *to, size_t size)
{
    ngx_uint_t  i;

    if (p->token.type != HELIX_JSON_OBJECT) {
        return false;
    }

    for ( ;; ) {
        if (!ngx_helix_parse_next(p)) {
            return false;
        }

        if (p->token.type == HELIX_JSON_OBJECT_END) {
            return true;
        }

        i = ngx_helix_parse_find(p, names, n);

        if (!ngx_helix_parse_next(p)
            || !(i < n ? read(p, (char *) to + i * size)
                       : helix_json_skip_value(&p->json, &p->token)))
        {
            return false;
        }
    }
}


static bool
ngx_helix_parse_text(ngx_helix_parser_t *p, void *to)
{
    char       *text = to;
    ptrdiff_t   len;

    if (p->token.type != HELIX_JSON_STRING) {
        return false;
    }

    len = helix_json_text(&p->token, text, NGX_HELIX_STATE_NAME - 1);

    if (len < 0 || memchr(text, '\0', (size_t) len)) {
        return false;
    }

    text[len] = '\0';

    return true;
}


static bool
ngx_helix_parse_number(ngx_helix_parser_t *p, void *to)
{
    return p->token.type == HELIX_JSON_NUMBER
           && helix_number_u64(p->token.start, p->token.len, to)
              == HELIX_NUMBER_OK;
}


static bool
ngx_helix_parse_count(ngx_helix_parser_t *p, void *to)
{
    return ngx_helix_parse_number(p, to)
           && *(uint64_t *) to <= NGX_HELIX_STATE_COUNT;
}


static bool
ngx_helix_parse_real(ngx_helix_parser_t *p, void *to)
{
    return p->token.type == HELIX_JSON_NUMBER
           && helix_number_double(p->token.start, p->token.len, to)
              == HELIX_NUMBER_OK;
}


static bool
ngx_helix_parse_saved(ngx_helix_parser_t *p, void *to)
{
    return ngx_helix_parse_count(p, &p->state->saved);
}


static bool
ngx_helix_parse_reasons(ngx_helix_parser_t *p, void *to)
{
    return ngx_helix_parse_names(p, helix_reason_names, HELIX_REASONS,
                                 ngx_helix_parse_count, to, sizeof(uint64_t));
}


static bool
ngx_helix_parse_codes(ngx_helix_parser_t *p, void *to)
{
    return ngx_helix_parse_names(p, ngx_helix_invalid_names,
                                 NGX_HELIX_INVALIDS, ngx_helix_parse_count, to,
                                 sizeof(uint64_t));
}


static bool
ngx_helix_parse_flushes(ngx_helix_parser_t *p, void *to)
{
    return ngx_helix_parse_names(p, helix_flush_names, HELIX_FLUSHES,
                                 ngx_helix_parse_count, to, sizeof(uint64_t));
}


static bool
ngx_helix_parse_levels(ngx_helix_parser_t *p, void *to)
{
    uint64_t    *levels = to;

    ngx_uint_t   i;

    if (p->token.type != HELIX_JSON_ARRAY) {
        return false;
    }

    for (i = 0; ngx_helix_parse_next(p); i++) {

        if (p->token.type == HELIX_JSON_ARRAY_END) {
            return true;
        }

        if (i == NGX_HELIX_LEVELS || !ngx_helix_parse_count(p, &levels[i])) {
            break;
        }
    }

    return false;
}


static bool
ngx_helix_parse_lanes(ngx_helix_parser_t *p, void *to)
{
    return ngx_helix_parse_names(p, helix_strategy_names, NGX_HELIX_LANES,
                                 ngx_helix_parse_lane, to,
                                 sizeof(ngx_helix_lane_counts_t));
}


/* Whoever had jobs in flight does not have them any more. */

static bool
ngx_helix_parse_lane(ngx_helix_parser_t *p, void *to)
{
    ngx_helix_lane_counts_t  *lane = to;

    uint64_t    ended;
    ngx_uint_t  i;

    if (!ngx_helix_parse_fields(p, ngx_helix_parse_lane_fields, lane)) {
        return false;
    }

    for (ended = 0, i = 0; i < NGX_HELIX_ENDS; i++) {

        if (lane->ended[i] > lane->admitted - ended) {
            return false;
        }

        ended += lane->ended[i];
    }

    lane->ended[NGX_HELIX_LOST] += lane->admitted - ended;
    lane->late = ngx_min(lane->late, lane->ended[NGX_HELIX_COMPLETED]);

    return true;
}


static bool
ngx_helix_parse_hist(ngx_helix_parser_t *p, void *to)
{
    return ngx_helix_parse_fields(p, ngx_helix_parse_hist_fields, to);
}


static bool
ngx_helix_parse_buckets(ngx_helix_parser_t *p, void *to)
{
    helix_hist_t  *hist = to;

    uint64_t       index, next, n;

    if (p->token.type != HELIX_JSON_ARRAY || hist->count) {
        return false;
    }

    for (next = 0; ngx_helix_parse_next(p); next = index + 1) {

        if (p->token.type == HELIX_JSON_ARRAY_END) {
            return true;
        }

        if (!ngx_helix_parse_number(p, &index)
            || index < next || index >= HELIX_HIST_BUCKETS
            || !ngx_helix_parse_next(p)
            || !ngx_helix_parse_number(p, &n)
            || n > NGX_HELIX_STATE_BUCKET)
        {
            break;
        }

        helix_hist_put(hist, (uint32_t) index, n, 0);
    }

    return false;
}


static bool
ngx_helix_parse_strategy(ngx_helix_parser_t *p, void *to)
{
    return ngx_helix_parse_fields(p, ngx_helix_parse_strategy_fields, to);
}


static bool
ngx_helix_parse_strategies(ngx_helix_parser_t *p, void *to)
{
    return ngx_helix_parse_names(p, helix_strategy_names, NGX_HELIX_LANES,
                                 ngx_helix_parse_strategy, to,
                                 sizeof(helix_hist_t));
}


static bool
ngx_helix_parse_kinds(ngx_helix_parser_t *p, void *to)
{
    ngx_helix_state_t       *state;
    ngx_helix_state_kind_t  *kind;

    state = p->state;

    if (p->token.type != HELIX_JSON_OBJECT || state->nkinds) {
        return false;
    }

    for ( ;; ) {
        if (!ngx_helix_parse_next(p)) {
            return false;
        }

        if (p->token.type == HELIX_JSON_OBJECT_END) {
            return true;
        }

        if (state->nkinds == NGX_HELIX_KINDS
            || p->token.escaped || p->token.len == 0
            || p->token.len >= NGX_HELIX_KIND_NAME)
        {
            return false;
        }

        p->index = state->nkinds++;
        kind = &state->kinds[p->index];

        ngx_memcpy(kind->name, p->token.start, p->token.len);

        if (!ngx_helix_parse_next(p)
            || !ngx_helix_parse_fields(p, ngx_helix_parse_kind_fields,
                                    &state->base.counts.kinds[p->index]))
        {
            return false;
        }
    }
}


static bool
ngx_helix_parse_unknown(ngx_helix_parser_t *p, void *to)
{
    p->index = NGX_HELIX_NO_KIND;

    return ngx_helix_parse_fields(p, ngx_helix_parse_kind_fields, to);
}


static bool
ngx_helix_parse_exec(ngx_helix_parser_t *p, void *to)
{
    return p->index < NGX_HELIX_KINDS
           && ngx_helix_parse_hist(p, &p->state->base.exec[p->index]);
}


static bool
ngx_helix_parse_model(ngx_helix_parser_t *p, void *to)
{
    helix_samples_t  *s;

    if (p->index >= NGX_HELIX_KINDS) {
        return false;
    }

    s = &p->state->kinds[p->index].samples;

    return ngx_helix_parse_fields(p, ngx_helix_parse_model_fields, s)
           && ngx_helix_state_samples(s);
}


static bool
ngx_helix_parse_batching(ngx_helix_parser_t *p, void *to)
{
    helix_batches_t  *b;

    if (p->index >= NGX_HELIX_KINDS) {
        return false;
    }

    b = &p->state->kinds[p->index].batches;

    return ngx_helix_parse_fields(p, ngx_helix_parse_batching_fields, b)
           && ngx_helix_state_batches(b);
}


static bool
ngx_helix_parse_settings(ngx_helix_parser_t *p, void *to)
{
    ngx_helix_state_setting_t  *setting;

    if (p->token.type != HELIX_JSON_ARRAY) {
        return false;
    }

    for ( ;; ) {
        if (!ngx_helix_parse_next(p)) {
            return false;
        }

        if (p->token.type == HELIX_JSON_ARRAY_END) {
            return true;
        }

        if (p->state->nsettings == NGX_HELIX_STATE_SETTINGS) {
            return false;
        }

        setting = &p->state->settings[p->state->nsettings++];

        if (!ngx_helix_parse_fields(p, ngx_helix_parse_setting_fields,
                                    setting))
        {
            return false;
        }
    }
}
