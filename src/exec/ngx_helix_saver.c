
/*
 * The state file: loaded once by the first worker of a zone, saved every minute
 * by the elected one, on a pool thread, and by those that leave.
 */

#include "ngx_helix_saver.h"


#define NGX_HELIX_SAVER_SAMPLES 200.0
#define NGX_HELIX_SAVER_WAITS   200            /* of some ms, to begin */
#define NGX_HELIX_SAVER_PAUSE   1              /* ms */
#define NGX_HELIX_SAVER_AGAIN   1000000000ULL  /* ns */


/* Of the living first, and of the one that saves; then of the dead, the last
   one to be seen first. */

typedef struct {
    ngx_uint_t             n;
    ngx_uint_t             living;
    const helix_report_t  *reports[NGX_HELIX_REPORTS];
} ngx_helix_saver_reports_t;


static ngx_uint_t ngx_helix_saver_may(ngx_helix_saver_t *saver);
static ngx_int_t ngx_helix_saver_take(ngx_helix_saver_t *saver);
static ngx_int_t ngx_helix_saver_write(ngx_helix_saver_t *saver);
static ngx_int_t ngx_helix_saver_collect(ngx_helix_saver_t *saver,
    ngx_helix_state_t *state);
static ngx_int_t ngx_helix_saver_settings(ngx_helix_zone_t *zone,
    ngx_helix_state_t *state);
static void ngx_helix_saver_reports(ngx_helix_exec_t *exec,
    ngx_helix_saver_reports_t *reports);
static void ngx_helix_saver_learned(ngx_helix_exec_t *exec,
    const ngx_helix_saver_reports_t *reports, ngx_uint_t kind,
    ngx_helix_state_kind_t *state);
static ngx_uint_t ngx_helix_saver_due(ngx_helix_saver_t *saver, uint64_t now);
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

    /* never that of no file */

    saver->key = ngx_crc32_long(path->data, path->len) | 1ULL << 32;

    exec->saver = saver;

    /* no worker serves before one has loaded it: counters that begin at zero
       and grow by what they were are counted twice by who reads them */

    for (i = 0; i < NGX_HELIX_SAVER_WAITS; i++) {
        if (ngx_helix_saver_load(saver, 1) != NGX_BUSY) {
            break;
        }

        ngx_msleep(NGX_HELIX_SAVER_PAUSE);
    }

    /* what was learned is known to the first job */

    ngx_helix_predict_start(exec);

    return NGX_OK;
}


/* A process of an older configuration does not write to the file of a newer
   one, nor to one that nobody could read. */

static ngx_uint_t
ngx_helix_saver_may(ngx_helix_saver_t *saver)
{
    ngx_helix_zone_t  *zone;

    zone = saver->exec->zone;

    return ngx_helix_zone_carried(zone)
           && ngx_helix_keep_path(zone) == saver->key;
}


static ngx_int_t
ngx_helix_saver_take(ngx_helix_saver_t *saver)
{
    ngx_int_t  rc;

    saver->begun = ngx_helix_now();
    saver->left = ngx_helix_keep_left(saver->exec->zone);
    saver->file.text = NULL;
    saver->file.err = 0;
    saver->file.what = "malloc()";

    saver->state = ngx_calloc(sizeof(ngx_helix_state_t), saver->exec->log);
    if (saver->state == NULL) {
        return NGX_ERROR;
    }

    saver->file.what = "reading settings";

    rc = ngx_helix_saver_collect(saver, saver->state);

    saver->held = ngx_helix_now() - saver->begun;

    return rc;
}


/* Any thread. */

static ngx_int_t
ngx_helix_saver_write(ngx_helix_saver_t *saver)
{
    ngx_helix_file_t  *file;

    file = &saver->file;

    file->what = "malloc()";
    file->text = malloc(NGX_HELIX_STATE_MAX);

    if (file->text == NULL) {
        return NGX_ERROR;
    }

    file->what = "printing";
    file->len = ngx_helix_state_print(saver->state, file->text,
                                      NGX_HELIX_STATE_MAX);

    return file->len ? ngx_helix_file_write(file) : NGX_ERROR;
}


static ngx_int_t
ngx_helix_saver_collect(ngx_helix_saver_t *saver, ngx_helix_state_t *state)
{
    uint64_t                    version;
    ngx_uint_t                  i;
    ngx_time_t                 *tp;
    const char                 *name;
    ngx_helix_base_t           *base;
    ngx_helix_zone_t           *zone;
    ngx_helix_saver_reports_t   reports;

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

    ngx_helix_saver_reports(saver->exec, &reports);

    for (i = 0; i < state->nkinds; i++) {
        ngx_helix_zone_hist_of(zone, version, NGX_HELIX_HIST_EXEC, i,
                               &base->exec[i]);

        name = ngx_helix_zone_kind_name(zone, i);
        ngx_memcpy(state->kinds[i].name, name, ngx_strlen(name));

        ngx_helix_saver_learned(saver->exec, &reports, i, &state->kinds[i]);
    }

    return ngx_helix_saver_settings(zone, state);
}


static ngx_int_t
ngx_helix_saver_settings(ngx_helix_zone_t *zone, ngx_helix_state_t *state)
{
    ngx_int_t                   n;
    ngx_uint_t                  i;
    ngx_helix_saved_t           saved[HELIX_LAYER_ROWS];
    const helix_setting_t      *setting;
    ngx_helix_state_setting_t  *to;

    n = ngx_helix_config_save(zone, saved);

    if (n < 0) {
        return NGX_BUSY;
    }

    state->nsettings = (uint64_t) n;

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

    return NGX_OK;
}


static void
ngx_helix_saver_reports(ngx_helix_exec_t *exec,
    ngx_helix_saver_reports_t *reports)
{
    bool                   alive[NGX_HELIX_REPORTS];
    uint64_t               rank, ranks[NGX_HELIX_REPORTS];
    ngx_uint_t             i, j;
    const helix_report_t  *found[NGX_HELIX_REPORTS], *own;

    own = exec->slot ? ngx_helix_slot_report(exec->slot) : NULL;

    reports->n = ngx_helix_zone_reports(exec->zone, found, alive);
    reports->living = 0;

    for (i = 0; i < reports->n; i++) {
        rank = __atomic_load_n(&found[i]->seen, __ATOMIC_RELAXED);

        if (alive[i] || found[i] == own) {
            rank = UINT64_MAX;
            reports->living++;
        }

        for (j = i; j && ranks[j - 1] < rank; j--) {
            ranks[j] = ranks[j - 1];
            reports->reports[j] = reports->reports[j - 1];
        }

        ranks[j] = rank;
        reports->reports[j] = found[i];
    }
}


/* As the policy does: of the living, and of the dead while these have not seen
   enough.  The last one to leave finds nobody alive, and takes more of those
   that have just left.  What all times had in common, the next one begins
   with. */

static void
ngx_helix_saver_learned(ngx_helix_exec_t *exec,
    const ngx_helix_saver_reports_t *reports, ngx_uint_t kind,
    ngx_helix_state_kind_t *state)
{
    double            enough;
    ngx_uint_t        i;
    helix_samples_t  *samples;
    helix_batches_t  *batches;

    enough = exec->saver->last ? NGX_HELIX_SAVER_SAMPLES : HELIX_ROUTER_FEW;
    samples = &state->samples;
    batches = &state->batches;

    for (i = 0; i < reports->n; i++) {

        if (i < reports->living || samples->n < enough) {
            helix_samples_merge(samples, &reports->reports[i]->samples[kind]);
        }

        if (i < reports->living || batches->along < enough) {
            helix_batches_merge(batches, &reports->reports[i]->batches[kind]);
        }
    }

    if (exec->predict) {
        helix_samples_shift(samples, exec->predict->router.drift);
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

    if (!saver->ready) {

        if (!ngx_exiting && now >= saver->tried + NGX_HELIX_SAVER_AGAIN
            && ngx_helix_saver_load(saver, 0) == NGX_ERROR)
        {
            saver->tried = now;
        }

        return;
    }

    if (!ngx_helix_saver_may(saver)
        || !ngx_helix_saver_due(saver, now)
        || ngx_helix_keep_lock(exec->zone, 0) != NGX_OK)
    {
        return;
    }

    saver->changed = 0;

    ngx_helix_keep_begin(exec->zone, now);
    ngx_helix_saver_start(saver);
}


/* Somebody who changes settings changes more than one. */

static ngx_uint_t
ngx_helix_saver_due(ngx_helix_saver_t *saver, uint64_t now)
{
    ngx_helix_zone_t  *zone;

    zone = saver->exec->zone;

    if (!ngx_helix_keep_changed(zone)) {
        saver->changed = 0;

    } else if (saver->changed == 0) {
        saver->changed = now;
    }

    return ngx_helix_keep_due(zone, now)
           || (saver->changed
               && now >= saver->changed + NGX_HELIX_SAVER_AGAIN);
}


static void
ngx_helix_saver_start(ngx_helix_saver_t *saver)
{
    saver->busy = 1;
    saver->rc = ngx_helix_saver_take(saver);

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

    saver->rc = ngx_helix_saver_write(saver);
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
        ngx_helix_keep_cover(zone, saver->left);

        ngx_log_error(NGX_LOG_INFO, saver->exec->log, 0,
                      "helix: state saved, %uz bytes in %uL us, %uL us of "
                      "the event loop", saver->file.len,
                      (ngx_helix_now() - saver->begun) / 1000,
                      saver->held / 1000);

    } else if (failures == 1 || saver->last) {
        ngx_log_error(NGX_LOG_ERR, saver->exec->log, saver->file.err,
                      "helix: state was not saved to \"%s\": %s failed",
                      saver->file.path, saver->file.what);
    }

    ngx_free(saver->state);
    ngx_free(saver->file.text);
    saver->state = NULL;
    saver->file.text = NULL;
    saver->busy = 0;

    ngx_helix_keep_unlock(zone);
}


/*
 * The threads have been joined: what one of them has written is there, only
 * nobody was told.  When all leave, each saves what is there after it has left,
 * for the next one may never leave by itself; unless another one has begun to
 * save since then.
 */

void
ngx_helix_saver_close(ngx_helix_exec_t *exec)
{
    uint64_t            left;
    ngx_helix_zone_t   *zone;
    ngx_helix_saver_t  *saver;

    saver = exec->saver;
    zone = exec->zone;

    if (saver == NULL) {
        return;
    }

    if (saver->busy) {
        ngx_helix_saver_end(saver);
    }

    left = ngx_helix_keep_leave(zone);

    if (!ngx_terminate && exec->generation < ngx_helix_zone_generation(zone)
        && !ngx_helix_keep_alone(zone))
    {
        return;
    }

    if (!ngx_helix_saver_may(saver)) {
        return;
    }

    if (ngx_helix_keep_wait(zone) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, exec->log, 0,
                      "helix: state was not saved to \"%s\": another process "
                      "is at it", saver->file.path);
        return;
    }

    if (ngx_helix_keep_covered(zone) >= left) {
        ngx_helix_keep_unlock(zone);
        return;
    }

    ngx_time_update();

    saver->last = 1;
    saver->rc = ngx_helix_saver_take(saver);

    if (saver->rc == NGX_OK) {
        saver->rc = ngx_helix_saver_write(saver);
    }

    ngx_helix_saver_end(saver);
}
