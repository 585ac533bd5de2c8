
/*
 * Settings that change while nginx runs.  Every worker has a copy of its own,
 * made from the control block of the zone: what nginx.conf of the newest
 * configuration says, the settings file over it, and what was set at run time
 * over both.
 *
 * Event loop, or start of a worker.
 */

#ifndef NGX_HELIX_LIVE_H_INCLUDED
#define NGX_HELIX_LIVE_H_INCLUDED


#include "helix_layers.h"
#include "ngx_helix_control.h"
#include "ngx_helix_exec.h"


#define NGX_HELIX_EXPECTED  8        /* versions in one condition */


/* What a client, or a file, wants to be changed. */

typedef enum {
    NGX_HELIX_EDIT_REPLACE = 0,      /* these values and no others */
    NGX_HELIX_EDIT_MERGE             /* these, and some set back */
} ngx_helix_edit_op_t;

typedef struct {
    ngx_helix_edit_op_t    op;
    ngx_helix_by_t         source;
    helix_layer_t          values;
    uint64_t               back;     /* rows to be set back */
    const char            *by;       /* printable */

    ngx_uint_t             conditional;       /* the version has to be one */
    ngx_uint_t             nexpected;         /* of these */
    uint64_t               expected[NGX_HELIX_EXPECTED];
} ngx_helix_edit_t;


/*
 * Looks whether anything has changed, and makes it so: one load if nothing has.
 * To be called for each job and each answer about settings.  "now" is ns.
 */
void ngx_helix_exec_refresh(ngx_helix_exec_t *exec, uint64_t now);

/* As of the last refresh; valid until the next one. */
const ngx_helix_config_t *ngx_helix_exec_config(ngx_helix_exec_t *exec);
const ngx_helix_sources_t *ngx_helix_exec_sources(ngx_helix_exec_t *exec);
uint64_t ngx_helix_exec_version(ngx_helix_exec_t *exec);

/*
 * Changes settings, all or nothing: NGX_OK also when nothing was different;
 * NGX_DECLINED with the violations, to which those of the caller are added;
 * NGX_ABORT when a condition does not hold; NGX_BUSY.  Leaves a line in the
 * log.
 */
ngx_int_t ngx_helix_exec_edit(ngx_helix_exec_t *exec, ngx_helix_edit_t *edit,
    helix_violations_t *violations);

/*
 * Overrides of an earlier life of the zone, from the state file: those that
 * were made over what nginx.conf still says, and that nobody has set since.
 * What is dropped is logged.  NGX_OK or NGX_BUSY.  "n" at most
 * HELIX_LAYER_ROWS.
 */
ngx_int_t ngx_helix_exec_restore(ngx_helix_exec_t *exec,
    const ngx_helix_saved_t *saved, ngx_uint_t n);

/*
 * Pressure that others report: 0..1 for "ttl" ms.  NGX_OK; NGX_DECLINED when
 * NGX_HELIX_SOURCES others are live: *ttl is when the first of them ends;
 * NGX_BUSY.  *news: the source was not live, or says something else and the
 * last news of it are a minute old.
 */
ngx_int_t ngx_helix_exec_report(ngx_helix_exec_t *exec, ngx_str_t *source,
    double pressure, ngx_msec_t *ttl, ngx_uint_t *news);

/* The highest live one; and that of this router. */
double ngx_helix_exec_external(ngx_helix_exec_t *exec);
double ngx_helix_exec_internal(ngx_helix_exec_t *exec);


#endif /* NGX_HELIX_LIVE_H_INCLUDED */
