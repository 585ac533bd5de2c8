
/* Changes of settings: checked as a whole, published as a whole, logged. */

#include "ngx_helix_lanes.h"


#define NGX_HELIX_NOTES  (2UL * HELIX_LAYER_ROWS)


/* What becomes of a value, for the log. */

typedef struct {
    uint64_t              value;
    ngx_uint_t            row;
    const char           *from;
    const char           *why;
} ngx_helix_note_t;


/* While the writers' word is held: nothing is logged, which may wait. */

typedef struct {
    ngx_helix_config_t   *config;
    helix_settings_t      before;
    helix_settings_t      after;
    uint64_t              version;     /* that it was read at */
    ngx_helix_change_t   *change;
    ngx_uint_t            nnotes;
    ngx_helix_note_t      notes[NGX_HELIX_NOTES];
} ngx_helix_editing_t;


static ngx_int_t ngx_helix_edit_begin(ngx_helix_exec_t *exec,
    ngx_helix_editing_t *e);
static ngx_uint_t ngx_helix_edit_expected(ngx_helix_edit_t *edit,
    uint64_t version);
static ngx_uint_t ngx_helix_edit_layers(ngx_helix_exec_t *exec,
    ngx_helix_editing_t *e, ngx_helix_edit_t *edit);
static void ngx_helix_edit_file(ngx_helix_config_t *config,
    const helix_layer_t *values);
static void ngx_helix_edit_normalize(ngx_helix_exec_t *exec,
    ngx_helix_config_t *config);
static void ngx_helix_edit_set(ngx_helix_config_t *config, ngx_uint_t row,
    uint64_t value, const char *by);
static void ngx_helix_edit_merge(ngx_helix_exec_t *exec,
    ngx_helix_config_t *config, helix_settings_t *settings);
static ngx_uint_t ngx_helix_edit_same(const ngx_helix_config_t *config,
    const ngx_helix_override_t *override, ngx_uint_t row);
static void ngx_helix_adopt_runtime(ngx_helix_editing_t *e);
static void ngx_helix_adopt_file(ngx_helix_exec_t *exec,
    ngx_helix_editing_t *e, const helix_layer_t *file,
    helix_violations_t *violations);
static void ngx_helix_edit_repair(ngx_helix_exec_t *exec,
    ngx_helix_editing_t *e);
static void ngx_helix_edit_drop(ngx_helix_editing_t *e, helix_layer_t *layer,
    ngx_uint_t row, const char *why);
static void ngx_helix_edit_publish(ngx_helix_exec_t *exec,
    ngx_helix_editing_t *e, ngx_helix_by_t source, const char *by);
static void ngx_helix_edit_log(ngx_helix_exec_t *exec,
    ngx_helix_editing_t *e);
static void ngx_helix_edit_note(ngx_helix_editing_t *e, ngx_uint_t row,
    uint64_t value, const char *from, const char *why);


static const char  ngx_helix_at_run_time[] = "set at run time";
static const char  ngx_helix_of_file[] = "of the settings file";
static const char  ngx_helix_directive[] =
    "is dropped, its directive has changed";


ngx_int_t
ngx_helix_exec_edit(ngx_helix_exec_t *exec, ngx_helix_edit_t *edit,
    helix_violations_t *violations)
{
    uint64_t             changed;
    ngx_helix_editing_t  e;

    if (ngx_helix_edit_begin(exec, &e) != NGX_OK) {
        return NGX_BUSY;
    }

    if (!ngx_helix_edit_expected(edit, e.version)) {
        ngx_helix_control_unlock(exec->zone);
        return NGX_ABORT;
    }

    /* a file that was read for an older configuration says nothing of this */

    if (edit->source == NGX_HELIX_BY_FILE
        && e.config->generation != exec->generation)
    {
        ngx_helix_control_unlock(exec->zone);
        return NGX_BUSY;
    }

    changed = edit->values.set;

    helix_layer_fixed(&edit->values, &e.config->conf, violations);

    /* the rest is looked at with them, so that all is told at once */

    if (!ngx_helix_edit_layers(exec, &e, edit) && violations->n == 0) {
        ngx_helix_control_unlock(exec->zone);
        return NGX_OK;
    }

    /* a file that is gone takes along what was set to go with it */

    if (edit->source == NGX_HELIX_BY_FILE && changed == 0
        && violations->n == 0)
    {
        ngx_helix_edit_repair(exec, &e);
    }

    ngx_helix_edit_merge(exec, e.config, &e.after);

    helix_settings_verify(&e.after, changed, e.config->threads, violations);

    if (violations->n) {
        ngx_helix_control_unlock(exec->zone);
        return NGX_DECLINED;
    }

    ngx_helix_edit_publish(exec, &e, edit->source, edit->by);

    return NGX_OK;
}


static ngx_int_t
ngx_helix_edit_begin(ngx_helix_exec_t *exec, ngx_helix_editing_t *e)
{
    ngx_memzero(e, sizeof(ngx_helix_editing_t));

    e->config = exec->live.edited;

    if (ngx_helix_control_lock(exec->zone) != NGX_OK) {
        return NGX_BUSY;
    }

    e->version = ngx_helix_config_read(exec->zone, e->config);

    if (e->version == 0) {
        ngx_memzero(e->config, sizeof(ngx_helix_config_t));
        e->config->conf = exec->conf->layer;
        e->config->threads = exec->conf->threads;
    }

    ngx_helix_edit_merge(exec, e->config, &e->before);

    return NGX_OK;
}


static ngx_uint_t
ngx_helix_edit_expected(ngx_helix_edit_t *edit, uint64_t version)
{
    ngx_uint_t  i;

    if (!edit->conditional) {
        return 1;
    }

    for (i = 0; i < edit->nexpected; i++) {
        if (edit->expected[i] == version) {
            return 1;
        }
    }

    return 0;
}


/* Is anything different? */

static ngx_uint_t
ngx_helix_edit_layers(ngx_helix_exec_t *exec, ngx_helix_editing_t *e,
    ngx_helix_edit_t *edit)
{
    ngx_uint_t      i;
    helix_layer_t   before;

    if (edit->source == NGX_HELIX_BY_FILE) {
        before = e->config->settings;

        ngx_helix_edit_file(e->config, &edit->values);
        ngx_helix_edit_normalize(exec, e->config);

        return ngx_memcmp(&before, &e->config->settings,
                          sizeof(helix_layer_t))
               != 0;
    }

    before = e->config->runtime;

    for (i = 0; i < helix_settings_rows(); i++) {

        if (helix_layer_has(&edit->values, i)) {
            ngx_helix_edit_set(e->config, i, edit->values.values[i], edit->by);

        } else if (edit->op == NGX_HELIX_EDIT_REPLACE
                   || (edit->back >> i & 1))
        {
            e->config->runtime.set &= ~(1ULL << i);
            e->config->runtime.values[i] = 0;
        }
    }

    ngx_helix_edit_normalize(exec, e->config);

    return ngx_memcmp(&before, &e->config->runtime, sizeof(helix_layer_t))
           != 0;
}


/* Values of rows that are not set are zero: layers are compared. */

static void
ngx_helix_edit_file(ngx_helix_config_t *config, const helix_layer_t *values)
{
    ngx_uint_t  i;

    ngx_memzero(&config->settings, sizeof(helix_layer_t));

    for (i = 0; i < helix_settings_rows(); i++) {
        if (helix_layer_has(values, i)) {
            config->settings.set |= 1ULL << i;
            config->settings.values[i] = values->values[i];
        }
    }
}


/* What would be so anyway is no override. */

static void
ngx_helix_edit_normalize(ngx_helix_exec_t *exec, ngx_helix_config_t *config)
{
    ngx_uint_t        i;
    helix_layer_t     beneath, values;
    helix_settings_t  settings;

    for (i = 0; i < helix_settings_rows(); i++) {

        if (!helix_layer_has(&config->runtime, i)) {
            continue;
        }

        /* without this one alone: what follows another one follows it */

        beneath = config->runtime;
        beneath.set &= ~(1ULL << i);

        settings = *exec->settings;
        helix_layers_merge(&config->conf, &config->settings, &beneath,
                           &settings);
        helix_layer_take(&values, &settings);

        if (values.values[i] == config->runtime.values[i]) {
            config->runtime.set &= ~(1ULL << i);
            config->runtime.values[i] = 0;
        }
    }
}


static void
ngx_helix_edit_set(ngx_helix_config_t *config, ngx_uint_t row, uint64_t value,
    const char *by)
{
    ngx_time_t            *tp;
    ngx_helix_override_t  *override;

    override = &config->overrides[row];

    if (helix_layer_has(&config->runtime, row)
        && config->runtime.values[row] == value)
    {
        return;
    }

    config->runtime.set |= 1ULL << row;
    config->runtime.values[row] = value;

    tp = ngx_timeofday();

    ngx_memzero(override, sizeof(ngx_helix_override_t));

    override->given = helix_layer_has(&config->conf, row);
    override->base = config->conf.values[row];
    override->at = (uint64_t) tp->sec * 1000 + tp->msec;

    (void) ngx_cpystrn((u_char *) override->by, (u_char *) by,
                       NGX_HELIX_AUTHOR);
}


static void
ngx_helix_edit_merge(ngx_helix_exec_t *exec, ngx_helix_config_t *config,
    helix_settings_t *settings)
{
    *settings = *exec->settings;

    helix_layers_merge(&config->conf, &config->settings, &config->runtime,
                       settings);
}


/* What nginx.conf does not say is the same whatever is derived for it. */

static ngx_uint_t
ngx_helix_edit_same(const ngx_helix_config_t *config,
    const ngx_helix_override_t *override, ngx_uint_t row)
{
    uint64_t  given;

    given = helix_layer_has(&config->conf, row);

    return override->given == given
           && (!given || override->base == config->conf.values[row]);
}


static void
ngx_helix_edit_publish(ngx_helix_exec_t *exec, ngx_helix_editing_t *e,
    ngx_helix_by_t source, const char *by)
{
    ngx_uint_t           i;
    ngx_time_t          *tp;
    helix_layer_t        from, to;
    ngx_helix_zone_t    *zone;
    ngx_helix_change_t  *change;

    zone = exec->zone;
    tp = ngx_timeofday();

    ngx_helix_edit_merge(exec, e->config, &e->after);

    helix_layer_take(&from, &e->before);
    helix_layer_take(&to, &e->after);

    for (i = 0; i < helix_settings_rows(); i++) {

        if (e->version == 0 || from.values[i] == to.values[i]) {
            continue;
        }

        if (e->change == NULL) {
            change = ngx_helix_config_remember(e->config);
            change->version = e->version + 1;
            change->at = (uint64_t) tp->sec * 1000 + tp->msec;
            change->source = source;
            (void) ngx_cpystrn((u_char *) change->by, (u_char *) by,
                               NGX_HELIX_AUTHOR);
            e->change = change;
        }

        e->change->rows |= 1ULL << i;
        e->change->from[i] = from.values[i];
        e->change->to[i] = to.values[i];
    }

    e->config->concurrency = e->after.concurrency;

    /* before anybody goes by the new one */

    if (e->after.spawn_threshold != e->before.spawn_threshold) {
        ngx_helix_zone_set_threshold(zone, e->after.spawn_threshold,
                                     e->after.spawn_threshold);
    }

    (void) ngx_helix_config_publish(zone, e->config);

    ngx_helix_control_unlock(zone);

    ngx_helix_exec_refresh(exec, ngx_helix_now());

    ngx_helix_edit_log(exec, e);
}


static void
ngx_helix_edit_log(ngx_helix_exec_t *exec, ngx_helix_editing_t *e)
{
    char         from[HELIX_SETTING_TEXT_MAX], to[HELIX_SETTING_TEXT_MAX];
    u_char       text[NGX_MAX_ERROR_STR / 2], *p, *last;
    ngx_uint_t   i;

    const helix_setting_t   *row;
    const ngx_helix_note_t  *note;

    for (i = 0; i < e->nnotes; i++) {
        note = &e->notes[i];
        row = &helix_settings_table[note->row];

        helix_setting_print(row, helix_layer_number(row, note->value), from);

        ngx_log_error(NGX_LOG_NOTICE, exec->log, 0, "helix: %s %s, %s, %s",
                      row->name, from, note->from, note->why);
    }

    if (e->change == NULL) {
        return;
    }

    p = text;
    last = text + sizeof(text);

    for (i = 0; i < helix_settings_rows(); i++) {

        if (!(e->change->rows >> i & 1)) {
            continue;
        }

        row = &helix_settings_table[i];

        helix_setting_print(row, helix_layer_number(row, e->change->from[i]),
                            from);
        helix_setting_print(row, helix_layer_number(row, e->change->to[i]),
                            to);

        p = ngx_slprintf(p, last, "%s%s %s -> %s", (p == text) ? "" : ", ",
                         row->name, from, to);
    }

    ngx_log_error(NGX_LOG_NOTICE, exec->log, 0,
                  "helix: settings changed by %s, generation %uL: %*s",
                  e->change->by, e->change->version, (size_t) (p - text),
                  text);
}


ngx_int_t
ngx_helix_live_adopt(ngx_helix_exec_t *exec, const helix_layer_t *file,
    helix_violations_t *violations)
{
    ngx_uint_t            i;
    ngx_helix_config_t   *config;
    ngx_helix_editing_t   e;

    if (ngx_helix_edit_begin(exec, &e) != NGX_OK) {
        return NGX_BUSY;
    }

    config = e.config;

    if (config->generation >= exec->generation) {
        ngx_helix_control_unlock(exec->zone);
        return NGX_DECLINED;
    }

    config->generation = exec->generation;
    config->threads = exec->conf->threads;
    config->ncpus = exec->ncpus;
    config->conf = exec->conf->layer;

    if (config->file != exec->conf->file_key) {
        config->file = exec->conf->file_key;
        ngx_memzero(&config->settings, sizeof(helix_layer_t));
    }

    ngx_helix_adopt_runtime(&e);
    ngx_helix_edit_normalize(exec, config);
    ngx_helix_edit_repair(exec, &e);

    if (file) {
        ngx_helix_adopt_file(exec, &e, file, violations);
    }

    for (i = 0; i < helix_settings_rows(); i++) {
        if (helix_layer_has(&config->runtime, i)) {
            ngx_helix_edit_note(&e, i, config->runtime.values[i],
                                ngx_helix_at_run_time,
                                "is kept over the reload");
        }
    }

    ngx_helix_edit_publish(exec, &e, NGX_HELIX_BY_CONF, "nginx.conf");

    return NGX_OK;
}


static void
ngx_helix_adopt_runtime(ngx_helix_editing_t *e)
{
    ngx_uint_t           i;
    ngx_helix_config_t  *config;

    config = e->config;

    for (i = 0; i < helix_settings_rows(); i++) {
        if (helix_layer_has(&config->runtime, i)
            && !ngx_helix_edit_same(config, &config->overrides[i], i))
        {
            ngx_helix_edit_drop(e, &config->runtime, i, ngx_helix_directive);
        }
    }
}


/* Published with nginx.conf: nobody sees that without it. */

static void
ngx_helix_adopt_file(ngx_helix_exec_t *exec, ngx_helix_editing_t *e,
    const helix_layer_t *file, helix_violations_t *violations)
{
    helix_layer_t  values, before;

    values = *file;
    before = e->config->settings;

    helix_layer_fixed(&values, &e->config->conf, violations);

    ngx_helix_edit_file(e->config, &values);
    ngx_helix_edit_merge(exec, e->config, &e->after);

    helix_settings_verify(&e->after, file->set, e->config->threads,
                          violations);

    if (violations->n) {
        e->config->settings = before;
        return;
    }

    ngx_helix_edit_normalize(exec, e->config);
}


/* nginx.conf goes by the rules: what breaks them with it has to go. */

static void
ngx_helix_edit_repair(ngx_helix_exec_t *exec, ngx_helix_editing_t *e)
{
    uint64_t             rows;
    ngx_uint_t           i;
    helix_layer_t       *layer;
    helix_violations_t   violations;

    for ( ;; ) {
        violations.n = 0;

        ngx_helix_edit_merge(exec, e->config, &e->after);
        helix_settings_verify(&e->after,
                              e->config->runtime.set | e->config->settings.set,
                              e->config->threads, &violations);

        if (violations.n == 0) {
            return;
        }

        rows = 1ULL << (violations.list[0].row - helix_settings_table);

        if (violations.list[0].other) {
            rows |= 1ULL << (violations.list[0].other - helix_settings_table);
        }

        layer = (e->config->runtime.set & rows) ? &e->config->runtime
                                                : &e->config->settings;
        rows &= layer->set;

        if (rows == 0) {
            return;
        }

        for (i = 0; i < helix_settings_rows(); i++) {
            if (rows >> i & 1) {
                ngx_helix_edit_drop(e, layer, i, "is dropped, it does not go "
                                    "with the others any more");
            }
        }
    }
}


static void
ngx_helix_edit_drop(ngx_helix_editing_t *e, helix_layer_t *layer,
    ngx_uint_t row, const char *why)
{
    ngx_helix_edit_note(e, row, layer->values[row],
                        (layer == &e->config->settings) ? ngx_helix_of_file
                                                        : ngx_helix_at_run_time,
                        why);

    layer->set &= ~(1ULL << row);
    layer->values[row] = 0;
}


static void
ngx_helix_edit_note(ngx_helix_editing_t *e, ngx_uint_t row, uint64_t value,
    const char *from, const char *why)
{
    ngx_helix_note_t  *note;

    if (e->nnotes == NGX_HELIX_NOTES) {
        return;
    }

    note = &e->notes[e->nnotes++];
    note->value = value;
    note->row = row;
    note->from = from;
    note->why = why;
}


ngx_int_t
ngx_helix_exec_restore(ngx_helix_exec_t *exec, const ngx_helix_saved_t *saved,
    ngx_uint_t n)
{
    ngx_uint_t               i;
    ngx_helix_editing_t      e;
    const helix_setting_t   *row;

    if (ngx_helix_edit_begin(exec, &e) != NGX_OK) {
        return NGX_BUSY;
    }

    for (i = 0; i < n; i++) {

        if (saved[i].row >= helix_settings_rows()) {
            continue;
        }

        row = &helix_settings_table[saved[i].row];

        if (!helix_setting_allows(row, saved[i].value)
            || helix_layer_has(&e.config->runtime, saved[i].row))
        {
            continue;
        }

        if (!ngx_helix_edit_same(e.config, &saved[i].override, saved[i].row)) {
            ngx_helix_edit_note(&e, saved[i].row, saved[i].value,
                                ngx_helix_at_run_time, ngx_helix_directive);
            continue;
        }

        e.config->runtime.set |= 1ULL << saved[i].row;
        e.config->runtime.values[saved[i].row] = saved[i].value;
        e.config->overrides[saved[i].row] = saved[i].override;
        e.config->overrides[saved[i].row].by[NGX_HELIX_AUTHOR - 1] = '\0';
    }

    ngx_helix_edit_normalize(exec, e.config);
    ngx_helix_edit_repair(exec, &e);
    ngx_helix_edit_publish(exec, &e, NGX_HELIX_BY_STATE, "state file");

    return NGX_OK;
}
