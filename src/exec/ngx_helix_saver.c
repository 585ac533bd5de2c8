
/*
 * The state file: loaded once by the first worker of a zone, saved every minute
 * by the elected one, on a pool thread, and by the last one to leave.
 */

#include "ngx_helix_lanes.h"

#include "ngx_helix_base.h"
#include "ngx_helix_file.h"
#include "ngx_helix_keep.h"
#include "ngx_helix_live.h"
#include "ngx_helix_state.h"


#define NGX_HELIX_SAVER_SAMPLES 200.0
#define NGX_HELIX_SAVER_WAITS   200                    /* of 5 ms */
#define NGX_HELIX_SAVER_NUMBER  9007199254740992.0     /* 2^53 */


struct ngx_helix_saver_s {
    ngx_helix_exec_t     *exec;
    ngx_thread_pool_t    *tp;
    ngx_thread_task_t    *task;
    ngx_helix_file_t      file;       /* the thread's while it is busy */
    ngx_int_t             rc;         /* likewise */
    uint64_t              begun;      /* ns */
    ngx_uint_t            busy;
    ngx_uint_t            last;       /* it was the last chance */
};


static void ngx_helix_saver_load(ngx_helix_saver_t *saver, ngx_uint_t wait);
static void ngx_helix_saver_apply(ngx_helix_saver_t *saver,
    const ngx_helix_state_t *state);
static void ngx_helix_saver_carry_kind(ngx_helix_zone_t *zone,
    const ngx_helix_state_t *state, ngx_uint_t kind,
    ngx_helix_base_t *more);
static void ngx_helix_saver_restore(ngx_helix_exec_t *exec,
    const ngx_helix_state_t *state);
static void ngx_helix_saver_refuse(ngx_helix_saver_t *saver,
    const char *what);
static ngx_int_t ngx_helix_saver_text(ngx_helix_saver_t *saver);
static void ngx_helix_saver_collect(ngx_helix_saver_t *saver,
    ngx_helix_state_t *state);
static void ngx_helix_saver_settings(ngx_helix_zone_t *zone,
    ngx_helix_state_t *state);
static void ngx_helix_saver_learned(ngx_helix_exec_t *exec, ngx_uint_t kind,
    ngx_helix_state_kind_t *state);
static void ngx_helix_saver_start(ngx_helix_saver_t *saver);
static void ngx_helix_saver_thread(void *data, ngx_log_t *log);
static void ngx_helix_saver_done(ngx_event_t *ev);
static void ngx_helix_saver_end(ngx_helix_saver_t *saver);

#if (NGX_HELIX_STATE_SETTINGS < HELIX_LAYER_ROWS                              \
     || NGX_HELIX_STATE_NAME < NGX_HELIX_AUTHOR)
#error a state has all settings
#endif


ngx_int_t
ngx_helix_exec_keep(ngx_cycle_t *cycle, ngx_helix_exec_t *exec,
    ngx_thread_pool_t *tp, ngx_str_t *path)
{
    ngx_uint_t          i;
    ngx_helix_saver_t  *saver;

    saver = ngx_pcalloc(cycle->pool, sizeof(ngx_helix_saver_t));
    if (saver == NULL) {
        return NGX_ERROR;
    }

    saver->task = ngx_thread_task_alloc(cycle->pool,
                                        sizeof(ngx_helix_saver_t *));
    if (saver->task == NULL) {
        return NGX_ERROR;
    }

    *(ngx_helix_saver_t **) saver->task->ctx = saver;

    saver->task->handler = ngx_helix_saver_thread;
    saver->task->event.handler = ngx_helix_saver_done;
    saver->task->event.data = saver;
    saver->task->event.log = exec->log;

    saver->exec = exec;
    saver->tp = tp;
    saver->file.path = (char *) path->data;

    exec->saver = saver;

    /* no worker serves before one has loaded it: counters that begin at zero
       and grow by what they were are counted twice by who reads them */

    for (i = 0; i < NGX_HELIX_SAVER_WAITS; i++) {
        ngx_helix_saver_load(saver, 1);

        if (ngx_helix_zone_carried(exec->zone)) {
            break;
        }
    }

    /* what was learned is known to the first job */

    ngx_helix_predict_start(exec);

    return NGX_OK;
}


static void
ngx_helix_saver_load(ngx_helix_saver_t *saver, ngx_uint_t wait)
{
    ngx_log_t           *log;
    const char          *what;
    ngx_helix_zone_t    *zone;
    ngx_helix_file_t    *file;
    ngx_helix_state_t  *state;

    log = saver->exec->log;
    zone = saver->exec->zone;
    file = &saver->file;

    if (ngx_helix_zone_carried(zone)
        || ngx_helix_keep_lock(zone, wait) != NGX_OK)
    {
        return;
    }

    /* another one may have done it before this one had the lock */

    if (ngx_helix_zone_carried(zone)) {
        ngx_helix_keep_unlock(zone);
        return;
    }

    switch (ngx_helix_file_read(file, NGX_HELIX_STATE_MAX)) {

    case NGX_OK:
        state = ngx_calloc(sizeof(ngx_helix_state_t), log);

        what = state ? ngx_helix_state_parse(state, file->text, file->len)
                      : "needs more memory than there is";

        if (what) {
            ngx_helix_saver_refuse(saver, what);

        } else {
            ngx_helix_saver_apply(saver, state);
        }

        ngx_free(state);
        break;

    case NGX_ERROR:
        ngx_helix_saver_refuse(saver, file->what);
        break;

    default: /* NGX_DECLINED */
        break;
    }

    ngx_free(file->text);
    file->text = NULL;

    (void) ngx_helix_zone_carry(zone, NULL);

    if (ngx_helix_file_clean(file) != NGX_OK) {
        (void) ngx_helix_keep_end(zone, 0);

        ngx_log_error(NGX_LOG_WARN, log, file->err,
                      "helix: cannot write \"%s\", state will not be saved: "
                      "make its directory, and let the user of the workers "
                      "write there", file->path);
    }

    ngx_helix_keep_begin(zone, ngx_helix_now());
    ngx_helix_keep_unlock(zone);
}


static void
ngx_helix_saver_refuse(ngx_helix_saver_t *saver, const char *what)
{
    ngx_log_t         *log;
    ngx_helix_file_t  *file;

    log = saver->exec->log;
    file = &saver->file;

    (void) ngx_helix_keep_end(saver->exec->zone, 0);

    if (file->err) {
        ngx_log_error(NGX_LOG_ERR, log, file->err,
                      "helix: state file \"%s\" is not used: %s failed",
                      file->path, what);

    } else {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "helix: state file \"%s\" is not used: it %s",
                      file->path, what);
    }

    if (ngx_helix_file_set_aside(file) == NGX_OK) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "helix: \"%s\" is \"%s.damaged\" now", file->path,
                      file->path);

    } else {
        ngx_log_error(NGX_LOG_ERR, log, file->err,
                      "helix: cannot rename \"%s\" to \"%s.damaged\"",
                      file->path, file->path);
    }
}


static void
ngx_helix_saver_apply(ngx_helix_saver_t *saver,
    const ngx_helix_state_t *state)
{
    ngx_uint_t         i;
    ngx_helix_base_t  *more;
    ngx_helix_zone_t  *zone;

    zone = saver->exec->zone;

    more = ngx_alloc(sizeof(ngx_helix_base_t), saver->exec->log);
    if (more == NULL) {
        return;
    }

    *more = state->base;

    ngx_memzero(more->counts.kinds,
                NGX_HELIX_KINDS * sizeof(ngx_helix_kind_counts_t));
    ngx_memzero(more->exec, sizeof(more->exec));

    for (i = 0; i < state->nkinds; i++) {
        ngx_helix_saver_carry_kind(zone, state, i, more);
    }

    if (ngx_helix_zone_carry(zone, more) == NGX_OK) {
        (void) ngx_helix_keep_end(zone, state->saved);

        ngx_log_error(NGX_LOG_NOTICE, saver->exec->log, 0,
                      "helix: state of %uL s ago from \"%s\"",
                      ngx_time() - ngx_min(state->saved / 1000,
                                           (uint64_t) ngx_time()),
                      saver->file.path);
    }

    ngx_free(more);

    ngx_helix_saver_restore(saver->exec, state);
}


/* What is no setting any more, or no value for it, is forgotten. */

static void
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

    if (n) {
        (void) ngx_helix_exec_restore(exec, saved, n);
    }
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


/* Some hundred microseconds of the event loop. */

static ngx_int_t
ngx_helix_saver_text(ngx_helix_saver_t *saver)
{
    ngx_log_t           *log;
    ngx_helix_state_t  *state;

    log = saver->exec->log;

    saver->file.text = NULL;
    saver->file.err = 0;
    saver->file.what = "malloc()";

    state = ngx_calloc(sizeof(ngx_helix_state_t), log);
    if (state == NULL) {
        return NGX_ERROR;
    }

    ngx_helix_saver_collect(saver, state);

    saver->file.text = ngx_alloc(NGX_HELIX_STATE_MAX, log);

    if (saver->file.text) {
        saver->file.len = ngx_helix_state_print(state, saver->file.text,
                                                 NGX_HELIX_STATE_MAX);
        saver->file.what = "printing";
    }

    ngx_free(state);

    return (saver->file.text && saver->file.len) ? NGX_OK : NGX_ERROR;
}


static void
ngx_helix_saver_collect(ngx_helix_saver_t *saver, ngx_helix_state_t *state)
{
    uint64_t           version;
    ngx_uint_t         i;
    ngx_time_t        *tp;
    const char        *name;
    ngx_helix_base_t  *base;
    ngx_helix_zone_t  *zone;

    zone = saver->exec->zone;
    base = &state->base;

    tp = ngx_timeofday();

    state->saved = (uint64_t) tp->sec * 1000 + tp->msec;
    state->nkinds = ngx_helix_zone_kinds(zone);

    /* all of it before a reset, or after */

    do {
        version = ngx_helix_zone_totals(zone, &base->counts);
        base->since = ngx_helix_zone_since(zone);

        for (i = 0; i < NGX_HELIX_EXTRAS; i++) {
            base->extras[i] = ngx_helix_zone_extra(zone, i);
        }

    } while (version != ngx_helix_base_version(zone));

    for (i = 0; i < NGX_HELIX_LANES; i++) {
        ngx_helix_zone_hist_of(zone, version, NGX_HELIX_HIST_TOTAL, i,
                               &base->total[i]);
        ngx_helix_zone_hist_of(zone, version, NGX_HELIX_HIST_QUEUE, i,
                               &base->queue[i]);
    }

    for (i = 0; i < state->nkinds; i++) {
        ngx_helix_zone_hist_of(zone, version, NGX_HELIX_HIST_EXEC, i,
                               &base->exec[i]);

        name = ngx_helix_zone_kind_name(zone, i);
        ngx_memcpy(state->kinds[i].name, name, ngx_strlen(name));

        ngx_helix_saver_learned(saver->exec, i, &state->kinds[i]);
    }

    ngx_helix_saver_settings(zone, state);
}


static void
ngx_helix_saver_settings(ngx_helix_zone_t *zone, ngx_helix_state_t *state)
{
    ngx_uint_t                  i;
    ngx_helix_saved_t           saved[HELIX_LAYER_ROWS];
    const helix_setting_t      *setting;
    ngx_helix_state_setting_t  *to;

    state->nsettings = ngx_helix_config_save(zone, saved);

    for (i = 0; i < state->nsettings; i++) {
        setting = &helix_settings_table[saved[i].row];
        to = &state->settings[i];

        ngx_memcpy(to->name, setting->name, ngx_strlen(setting->name));
        ngx_memcpy(to->by, saved[i].override.by, NGX_HELIX_AUTHOR);

        to->value = helix_layer_number(setting, saved[i].value);
        to->given = saved[i].override.given;
        to->base = helix_layer_number(setting, saved[i].override.base);
        to->at = saved[i].override.at;
    }
}


/* As the policy does: of the living, and of the dead while these have not seen
   enough; of those first the one that is about to leave.  The last one finds
   nobody alive, and takes more of those that have just left. */

static void
ngx_helix_saver_learned(ngx_helix_exec_t *exec, ngx_uint_t kind,
    ngx_helix_state_kind_t *state)
{
    bool                   alive[NGX_HELIX_REPORTS];
    double                 enough;
    ngx_uint_t             i, n;
    helix_samples_t       *samples;
    helix_batches_t       *batches;
    const helix_report_t  *reports[NGX_HELIX_REPORTS], *own;

    own = exec->slot ? ngx_helix_slot_report(exec->slot) : NULL;
    enough = exec->saver->last ? NGX_HELIX_SAVER_SAMPLES : HELIX_ROUTER_FEW;
    samples = &state->samples;
    batches = &state->batches;

    n = ngx_helix_zone_reports(exec->zone, reports, alive);

    for (i = 0; i < n; i++) {
        if (alive[i] || reports[i] == own) {
            helix_samples_merge(samples, &reports[i]->samples[kind]);
            helix_batches_merge(batches, &reports[i]->batches[kind]);
        }
    }

    for (i = 0; samples->n < enough && i < n; i++) {
        if (!alive[i] && reports[i] != own) {
            helix_samples_merge(samples, &reports[i]->samples[kind]);
        }
    }

    for (i = 0; batches->along < enough && i < n; i++) {
        if (!alive[i] && reports[i] != own) {
            helix_batches_merge(batches, &reports[i]->batches[kind]);
        }
    }
}


void
ngx_helix_saver_tick(ngx_helix_exec_t *exec, uint64_t now)
{
    ngx_helix_saver_t  *saver;

    saver = exec->saver;

    if (saver == NULL || saver->busy) {
        return;
    }

    if (!ngx_helix_zone_carried(exec->zone)) {
        ngx_helix_saver_load(saver, 0);
        return;
    }

    if (!ngx_helix_keep_due(exec->zone, now)
        || ngx_helix_keep_lock(exec->zone, 0) != NGX_OK)
    {
        return;
    }

    ngx_helix_keep_begin(exec->zone, now);
    ngx_helix_saver_start(saver);
}


static void
ngx_helix_saver_start(ngx_helix_saver_t *saver)
{
    saver->begun = ngx_helix_now();
    saver->busy = 1;
    saver->rc = ngx_helix_saver_text(saver);

    if (saver->rc != NGX_OK) {
        ngx_helix_saver_end(saver);
        return;
    }

    saver->rc = NGX_ERROR;
    saver->file.what = "ngx_thread_task_post()";

    if (ngx_thread_task_post(saver->tp, saver->task) != NGX_OK) {
        ngx_helix_saver_end(saver);
    }
}


static void
ngx_helix_saver_thread(void *data, ngx_log_t *log)
{
    ngx_helix_saver_t  *saver = *(ngx_helix_saver_t **) data;

    saver->rc = ngx_helix_file_write(&saver->file);
}


static void
ngx_helix_saver_done(ngx_event_t *ev)
{
    ngx_helix_saver_end(ev->data);
}


static void
ngx_helix_saver_end(ngx_helix_saver_t *saver)
{
    uint64_t           failures;
    ngx_time_t        *tp;
    ngx_helix_zone_t  *zone;

    zone = saver->exec->zone;
    tp = ngx_timeofday();

    failures = ngx_helix_keep_end(zone, saver->rc == NGX_OK
                                  ? (uint64_t) tp->sec * 1000 + tp->msec : 0);

    if (saver->rc == NGX_OK) {
        ngx_log_error(NGX_LOG_INFO, saver->exec->log, 0,
                      "helix: state saved, %uz bytes in %uL us",
                      saver->file.len,
                      (ngx_helix_now() - saver->begun) / 1000);

    } else if (failures == 1 || saver->last) {
        ngx_log_error(NGX_LOG_ERR, saver->exec->log, saver->file.err,
                      "helix: state was not saved to \"%s\": %s failed",
                      saver->file.path, saver->file.what);
    }

    ngx_free(saver->file.text);
    saver->file.text = NULL;
    saver->busy = 0;

    ngx_helix_keep_unlock(zone);
}


/* The threads have been joined: what one of them has written is there, only
   nobody was told. */

void
ngx_helix_saver_close(ngx_helix_exec_t *exec)
{
    ngx_helix_saver_t  *saver;

    saver = exec->saver;

    if (saver == NULL) {
        return;
    }

    if (saver->busy) {
        ngx_helix_saver_end(saver);
    }

    if (!ngx_helix_keep_alone(exec->zone)
        || !ngx_helix_zone_carried(exec->zone)
        || ngx_helix_keep_lock(exec->zone, 1) != NGX_OK)
    {
        return;
    }

    ngx_time_update();

    saver->last = 1;
    saver->begun = ngx_helix_now();
    saver->rc = ngx_helix_saver_text(saver);

    if (saver->rc == NGX_OK) {
        saver->rc = ngx_helix_file_write(&saver->file);
    }

    ngx_helix_saver_end(saver);
}
