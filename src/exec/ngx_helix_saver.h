
/*
 * The state file of a worker: what the files that load and save it share.
 * Event loop, but for what is the thread's.
 */

#ifndef NGX_HELIX_SAVER_H_INCLUDED
#define NGX_HELIX_SAVER_H_INCLUDED


#include "ngx_helix_base.h"
#include "ngx_helix_file.h"
#include "ngx_helix_keep.h"
#include "ngx_helix_lanes.h"
#include "ngx_helix_state.h"


struct ngx_helix_saver_s {
    ngx_helix_exec_t     *exec;
    ngx_thread_pool_t    *tp;
    ngx_thread_task_t    *task;

    uint64_t              key;        /* hash of the path */
    ngx_uint_t            ready;      /* the zone has what this file had */
    uint64_t              tried;      /* ns, to load it */

    ngx_helix_state_t    *state;      /* to be saved */
    ngx_helix_file_t      file;       /* the thread's while it is busy */
    ngx_int_t             rc;         /* likewise */
    uint64_t              begun;      /* ns */
    uint64_t              held;       /* ns of the event loop */
    uint64_t              left;       /* processes, as of then */
    uint64_t              changed;    /* ns: settings, since they were saved */
    ngx_uint_t            busy;
    ngx_uint_t            last;       /* this process leaves */
};


/*
 * Loads the file unless the zone has one, in which case it must be this one.
 * NGX_OK: it may be written; NGX_BUSY: others are at something, ask again;
 * NGX_ERROR: it could not be read, or not be set aside, which was told: ask
 * again in a while.  Until it is NGX_OK the file must be left alone.
 */
ngx_int_t ngx_helix_saver_load(ngx_helix_saver_t *saver, ngx_uint_t wait);


#endif /* NGX_HELIX_SAVER_H_INCLUDED */
