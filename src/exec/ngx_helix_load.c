
#include "ngx_helix_saver.h"


#define NGX_HELIX_SAVER_NUMBER  9007199254740992.0     /* 2^53 */


static ngx_int_t ngx_helix_saver_read(ngx_helix_saver_t *saver);
static ngx_int_t ngx_helix_saver_parse(ngx_helix_saver_t *saver);
static ngx_int_t ngx_helix_saver_apply(ngx_helix_saver_t *saver,
    const ngx_helix_state_t *state);
static void ngx_helix_saver_carry_kind(ngx_helix_zone_t *zone,
    const ngx_helix_state_t *state, ngx_uint_t kind,
    ngx_helix_base_t *more);
static ngx_int_t ngx_helix_saver_restore(ngx_helix_exec_t *exec,
    const ngx_helix_state_t *state);
static ngx_int_t ngx_helix_saver_other(ngx_helix_saver_t *saver);
static ngx_int_t ngx_helix_saver_refuse(ngx_helix_saver_t *saver,
    const char *what);
static ngx_int_t ngx_helix_saver_aside(ngx_helix_saver_t *saver,
    const char *suffix, ngx_uint_t told);
static ngx_int_t ngx_helix_saver_failed(ngx_helix_saver_t *saver,
    const char *what);


ngx_int_t
ngx_helix_saver_load(ngx_helix_saver_t *saver, ngx_uint_t wait)
{
    ngx_int_t          rc;
    ngx_helix_zone_t  *zone;

    zone = saver->exec->zone;

    if (ngx_helix_zone_carried(zone)
        && ngx_helix_keep_path(zone) == saver->key)
    {
        saver->ready = 1;
        return NGX_OK;
    }

    if (ngx_helix_keep_lock(zone, wait) != NGX_OK) {
        return NGX_BUSY;
    }

    /* another one may have done it before this one had the lock */

    if (!ngx_helix_zone_carried(zone)) {
        rc = ngx_helix_saver_read(saver);

    } else if (ngx_helix_keep_path(zone) != saver->key) {
        rc = ngx_helix_saver_other(saver);

    } else {
        rc = NGX_OK;
    }

    if (rc == NGX_OK) {
        saver->ready = 1;
        (void) ngx_helix_keep_tell(zone, 0);
    }

    ngx_helix_keep_unlock(zone);

    return rc;
}


static ngx_int_t
ngx_helix_saver_read(ngx_helix_saver_t *saver)
{
    ngx_int_t          rc;
    ngx_helix_zone_t  *zone;
    ngx_helix_file_t  *file;

    zone = saver->exec->zone;
    file = &saver->file;

    switch (ngx_helix_file_read(file, NGX_HELIX_STATE_MAX)) {

    case NGX_OK:
        rc = ngx_helix_saver_parse(saver);
        break;

    case NGX_ERROR:
        rc = file->err ? ngx_helix_saver_failed(saver, file->what)
                       : ngx_helix_saver_refuse(saver, file->what);
        break;

    default: /* NGX_DECLINED */
        rc = NGX_OK;
        break;
    }

    ngx_free(file->text);
    file->text = NULL;

    if (rc != NGX_OK) {
        return rc;
    }

    /* nobody takes the zone for that of another file */

    ngx_helix_keep_set_path(zone, saver->key);

    if (ngx_helix_zone_carry(zone, NULL) == NGX_BUSY) {
        return NGX_BUSY;
    }

    if (ngx_helix_file_clean(file) != NGX_OK) {
        (void) ngx_helix_keep_end(zone, 0);

        ngx_log_error(NGX_LOG_WARN, saver->exec->log, file->err,
                      "helix: cannot write \"%s\", state will not be saved: "
                      "make its directory, and let the user of the workers "
                      "write there", file->path);
    }

    ngx_helix_keep_begin(zone, ngx_helix_now());

    return NGX_OK;
}


static ngx_int_t
ngx_helix_saver_parse(ngx_helix_saver_t *saver)
{
    ngx_int_t           rc;
    const char         *what;
    ngx_helix_file_t   *file;
    ngx_helix_state_t  *state;

    file = &saver->file;

    state = ngx_calloc(sizeof(ngx_helix_state_t), saver->exec->log);

    if (state == NULL) {
        file->err = NGX_ENOMEM;
        return ngx_helix_saver_failed(saver, "malloc()");
    }

    file->err = 0;
    what = ngx_helix_state_parse(state, file->text, file->len);

    rc = what ? ngx_helix_saver_refuse(saver, what)
              : ngx_helix_saver_apply(saver, state);

    ngx_free(state);

    return rc;
}


/* All of it can be done again, as long as the counters are not there: they come
   last, and what is there by then is passed over. */

static ngx_int_t
ngx_helix_saver_apply(ngx_helix_saver_t *saver,
    const ngx_helix_state_t *state)
{
    ngx_int_t          rc;
    ngx_uint_t         i;
    ngx_helix_base_t  *more;
    ngx_helix_zone_t  *zone;

    zone = saver->exec->zone;

    if (ngx_helix_saver_restore(saver->exec, state) != NGX_OK) {
        return NGX_BUSY;
    }

    more = ngx_alloc(sizeof(ngx_helix_base_t), saver->exec->log);

    if (more == NULL) {
        saver->file.err = NGX_ENOMEM;
        return ngx_helix_saver_failed(saver, "malloc()");
    }

    *more = state->base;

    ngx_memzero(more->counts.kinds,
                NGX_HELIX_KINDS * sizeof(ngx_helix_kind_counts_t));
    ngx_memzero(more->exec, sizeof(more->exec));

    for (i = 0; i < state->nkinds; i++) {
        ngx_helix_saver_carry_kind(zone, state, i, more);
    }

    ngx_helix_keep_publish(zone);
    ngx_helix_keep_set_path(zone, saver->key);

    rc = ngx_helix_zone_carry(zone, more);

    ngx_free(more);

    if (rc == NGX_OK) {
        (void) ngx_helix_keep_end(zone, state->saved);

        ngx_log_error(NGX_LOG_NOTICE, saver->exec->log, 0,
                      "helix: state of %uL s ago from \"%s\"",
                      ngx_time() - ngx_min(state->saved / 1000,
                                           (uint64_t) ngx_time()),
                      saver->file.path);
    }

    return (rc == NGX_BUSY) ? NGX_BUSY : NGX_OK;
}


/* What is no setting any more, or no value for it, is forgotten. */

static ngx_int_t
ngx_helix_saver_restore(ngx_helix_exec_t *exec,
    const ngx_helix_state_t *state)
{
    int                               row;
    ngx_uint_t                        i, n;
    ngx_helix_saved_t                 saved[NGX_HELIX_STATE_SETTINGS];
    const helix_setting_t            *setting;
    const ngx_helix_state_setting_t  *from;

    n = 0;

    for (i = 0; i < state->nsettings; i++) {
        from = &state->settings[i];
        row = helix_settings_row(from->name, ngx_strlen(from->name));

        if (row < 0) {
            continue;
        }

        setting = &helix_settings_table[row];

        if (!helix_setting_spans(setting, from->value)
            || !(from->base >= 0 && from->base <= NGX_HELIX_SAVER_NUMBER))
        {
            continue;
        }

        ngx_memzero(&saved[n], sizeof(ngx_helix_saved_t));

        saved[n].row = (uint64_t) row;
        saved[n].value = helix_layer_bits(setting, from->value);
        saved[n].override.given = from->given;
        saved[n].override.base = helix_layer_bits(setting, from->base);
        saved[n].override.at = from->at;
        ngx_memcpy(saved[n].override.by, from->by, NGX_HELIX_AUTHOR);
        n++;
    }

    return n ? ngx_helix_exec_restore(exec, saved, n) : NGX_OK;
}


/* What a kind has counted that is not there any more goes to those that are
   not known: the sums stay what they were. */

static void
ngx_helix_saver_carry_kind(ngx_helix_zone_t *zone,
    const ngx_helix_state_t *state, ngx_uint_t kind, ngx_helix_base_t *more)
{
    uint64_t        *to;
    ngx_uint_t       i, index, n;
    const uint64_t  *from;

    n = ngx_helix_zone_kinds(zone);

    for (index = 0; index < n; index++) {
        if (ngx_strcmp(ngx_helix_zone_kind_name(zone, index),
                       state->kinds[kind].name)
            == 0)
        {
            helix_hist_merge(&more->exec[index], &state->base.exec[kind]);

            ngx_helix_keep_learned(zone, index, &state->kinds[kind].samples,
                                   &state->kinds[kind].batches);
            break;
        }
    }

    if (index == n) {
        index = NGX_HELIX_NO_KIND;
    }

    from = (const uint64_t *) &state->base.counts.kinds[kind];
    to = (uint64_t *) &more->counts.kinds[index];

    for (i = 0; i < sizeof(ngx_helix_kind_counts_t) / sizeof(uint64_t); i++) {
        to[i] += from[i];
    }
}


/* A new configuration has another file, which may have the state of something
   else: the zone's counters are there, and are not added to. */

static ngx_int_t
ngx_helix_saver_other(ngx_helix_saver_t *saver)
{
    ngx_uint_t         told;
    ngx_helix_zone_t  *zone;

    zone = saver->exec->zone;

    switch (ngx_helix_file_exists(&saver->file)) {

    case NGX_OK:
        told = !ngx_helix_keep_tell(zone, 2ULL << 32);

        if (ngx_helix_saver_aside(saver, "unread", told) != NGX_OK) {
            return NGX_ERROR;
        }

        break;

    case NGX_ERROR:
        return ngx_helix_saver_failed(saver, saver->file.what);

    default: /* NGX_DECLINED */
        break;
    }

    ngx_helix_keep_set_path(zone, saver->key);

    return NGX_OK;
}


static ngx_int_t
ngx_helix_saver_refuse(ngx_helix_saver_t *saver, const char *what)
{
    uint64_t    hash;
    ngx_uint_t  told;

    hash = ngx_crc32_short((u_char *) what, ngx_strlen(what));

    told = !ngx_helix_keep_tell(saver->exec->zone, hash | 1ULL << 32);

    if (!told) {
        (void) ngx_helix_keep_end(saver->exec->zone, 0);

        ngx_log_error(NGX_LOG_ERR, saver->exec->log, 0,
                      "helix: state file \"%s\" is not used: it %s",
                      saver->file.path, what);
    }

    return ngx_helix_saver_aside(saver, "damaged", told);
}


static ngx_int_t
ngx_helix_saver_aside(ngx_helix_saver_t *saver, const char *suffix,
    ngx_uint_t told)
{
    char               name[NGX_HELIX_FILE_NAME];
    ngx_helix_file_t  *file;

    file = &saver->file;

    if (ngx_helix_file_set_aside(file, suffix, name) == NGX_OK) {
        ngx_log_error(NGX_LOG_NOTICE, saver->exec->log, 0,
                      "helix: \"%s\" is \"%s\" now", file->path, name);
        return NGX_OK;
    }

    if (!told) {
        (void) ngx_helix_keep_end(saver->exec->zone, 0);

        ngx_log_error(NGX_LOG_ERR, saver->exec->log, file->err,
                      "helix: cannot rename \"%s\" to \"%s\", state will not "
                      "be saved until it is gone", file->path, name);
    }

    return NGX_ERROR;
}


/* What is wrong may pass: the file is left alone. */

static ngx_int_t
ngx_helix_saver_failed(ngx_helix_saver_t *saver, const char *what)
{
    ngx_helix_file_t  *file;

    file = &saver->file;

    if (ngx_helix_keep_tell(saver->exec->zone, (uint64_t) file->err)) {
        (void) ngx_helix_keep_end(saver->exec->zone, 0);

        ngx_log_error(NGX_LOG_ERR, saver->exec->log, file->err,
                      "helix: state file \"%s\" is not used, and not written, "
                      "until it can be: %s failed", file->path, what);
    }

    return NGX_ERROR;
}
