
#include "ngx_helix_layout.h"

#include <sys/mman.h>


#define NGX_HELIX_PAGES  1024        /* looked at in one go */


static size_t ngx_helix_zone_resident(void *from, void *to);
static ngx_uint_t ngx_helix_zone_elect(ngx_helix_zone_t *zone,
    ngx_helix_slot_t *self);
static ngx_uint_t ngx_helix_slot_reap(ngx_helix_zone_t *zone,
    ngx_helix_slot_t *slot, ngx_helix_process_t owner,
    ngx_helix_process_t self, ngx_log_t *log);


size_t
ngx_helix_zone_size(void)
{
    size_t  size, pages;

    /* the slab pool keeps its own header and a descriptor a page */

    size = ngx_align(sizeof(ngx_helix_zone_t) + NGX_HELIX_LINE, ngx_pagesize);
    pages = size / ngx_pagesize;

    size += pages * sizeof(ngx_slab_page_t) + 16 * ngx_pagesize;

    return ngx_align(size, ngx_pagesize);
}


size_t
ngx_helix_zone_used(ngx_helix_zone_t *zone)
{
    size_t             used;
    uint64_t           now;
    ngx_uint_t         i;
    ngx_helix_slot_t  *slot;

    static size_t      seen;
    static uint64_t    looked;

    now = ngx_helix_now() / 1000000;

    if (looked && now < looked + NGX_HELIX_USED_LOOK) {
        return seen;
    }

    used = ngx_helix_zone_resident(zone, &zone->slots[0])
           + ngx_helix_zone_resident(&zone->base_version, zone + 1);

    for (i = 0; i < NGX_HELIX_SLOTS; i++) {
        slot = &zone->slots[i];

        if (ngx_helix_get(&slot->used)) {
            used += ngx_helix_zone_resident(slot, slot + 1);
        }
    }

    looked = now;
    seen = used;

    return used;
}


/* Pages in memory, whoever has touched them; one that two parts share counts
   for the first. */

static size_t
ngx_helix_zone_resident(void *from, void *to)
{
    u_char      *start, *end, pages[NGX_HELIX_PAGES];
    ngx_uint_t   i, n, resident;

    start = ngx_align_ptr(from, ngx_pagesize);
    end = ngx_align_ptr(to, ngx_pagesize);
    resident = 0;

    for ( /* void */ ; start < end; start += n * ngx_pagesize) {
        n = ngx_min((size_t) (end - start) / ngx_pagesize, NGX_HELIX_PAGES);

        if (mincore(start, n * ngx_pagesize, pages) != 0) {
            break;
        }

        for (i = 0; i < n; i++) {
            resident += pages[i] & 1;
        }
    }

    return resident * ngx_pagesize;
}


ngx_helix_zone_t *
ngx_helix_zone_init(ngx_shm_zone_t *shm_zone, ngx_helix_zone_t *old)
{
    ngx_time_t        *tp;
    ngx_slab_pool_t   *shpool;
    ngx_helix_zone_t  *zone;

    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (old == NULL && shm_zone->shm.exists) {
        old = shpool->data;
    }

    if (old) {
        if (old->magic != NGX_HELIX_MAGIC
            || old->layout != NGX_HELIX_LAYOUT
            || old->size != sizeof(ngx_helix_zone_t))
        {
            ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                          "helix_zone \"%V\" has the layout of another "
                          "version of the module, restart nginx",
                          &shm_zone->shm.name);
            return NULL;
        }

        return old;
    }

    zone = ngx_slab_alloc(shpool, sizeof(ngx_helix_zone_t) + NGX_HELIX_LINE);
    if (zone == NULL) {
        return NULL;
    }

    /* fresh pages of a new zone are zero, and clearing them would touch all */

    zone = (void *) ngx_align_ptr(zone, NGX_HELIX_LINE);

    tp = ngx_timeofday();

    zone->layout = NGX_HELIX_LAYOUT;
    zone->size = sizeof(ngx_helix_zone_t);
    zone->epoch = (uint64_t) tp->sec * 1000 + tp->msec;
    zone->base[0].since = zone->epoch;
    ngx_helix_history_init(&zone->history, ngx_helix_now());
    zone->magic = NGX_HELIX_MAGIC;

    shpool->data = zone;

    ngx_log_error(NGX_LOG_NOTICE, shm_zone->shm.log, 0,
                  "helix: zone \"%V\" starts epoch %uL",
                  &shm_zone->shm.name, zone->epoch);

    return zone;
}


ngx_int_t
ngx_helix_zone_kind(ngx_helix_zone_t *zone, ngx_str_t *name)
{
    ngx_uint_t  i;

    for (i = 0; i < zone->nkinds; i++) {
        if (ngx_strlen(zone->kinds[i]) == name->len
            && ngx_strncmp(zone->kinds[i], name->data, name->len) == 0)
        {
            return i;
        }
    }

    if (i == NGX_HELIX_KINDS || name->len >= NGX_HELIX_KIND_NAME) {
        return NGX_ERROR;
    }

    ngx_memcpy(zone->kinds[i], name->data, name->len);

    __atomic_store_n(&zone->nkinds, i + 1, __ATOMIC_RELEASE);

    return i;
}


ngx_uint_t
ngx_helix_zone_kinds(ngx_helix_zone_t *zone)
{
    return __atomic_load_n(&zone->nkinds, __ATOMIC_ACQUIRE);
}


const char *
ngx_helix_zone_kind_name(ngx_helix_zone_t *zone, ngx_uint_t kind)
{
    return zone->kinds[kind];
}


uint64_t
ngx_helix_zone_epoch(ngx_helix_zone_t *zone)
{
    return zone->epoch;
}


uint64_t
ngx_helix_zone_begin(ngx_helix_zone_t *zone)
{
    return __atomic_add_fetch(&zone->generation, 1, __ATOMIC_RELAXED);
}


uint64_t
ngx_helix_zone_generation(ngx_helix_zone_t *zone)
{
    return ngx_helix_get(&zone->generation);
}


uint64_t
ngx_helix_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}


ngx_helix_slot_t *
ngx_helix_slot_claim(ngx_helix_zone_t *zone, ngx_log_t *log)
{
    ngx_uint_t            i;
    ngx_helix_slot_t     *slot;
    ngx_helix_process_t   owner, self;

    self = ngx_helix_process_self();

    for (i = 0; i < NGX_HELIX_SLOTS; i++) {
        slot = &zone->slots[i];
        owner = __atomic_load_n(&slot->owner, __ATOMIC_ACQUIRE);

        if (owner && !ngx_helix_process_alive(owner)
            && ngx_helix_slot_reap(zone, slot, owner, self, log))
        {
            owner = 0;
        }

        if (owner) {
            continue;
        }

        /* first: whoever sees a later slot in use must not stop at this one */

        ngx_helix_set(&slot->used, 1);

        if (__atomic_compare_exchange_n(&slot->owner, &owner, self, 0,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        {
            ngx_helix_set(&slot->report.seen, ngx_helix_now());
            ngx_helix_set(&slot->draining, 0);
            return slot;
        }
    }

    return NULL;
}


void
ngx_helix_slot_release(ngx_helix_zone_t *zone, ngx_helix_slot_t *slot)
{
    uint8_t     number;
    ngx_uint_t  i;

    number = ngx_helix_slot_number(zone, slot);

    for (i = 0; i < NGX_HELIX_TOKENS; i++) {
        if (ngx_helix_get(&zone->tokens[i]) == number) {
            return;
        }
    }

    ngx_helix_set(&slot->report.head, 0);
    ngx_helix_set(&slot->streams, 0);
    ngx_memzero(&slot->report.backlog, sizeof(helix_backlog_t));

    __atomic_store_n(&slot->owner, 0, __ATOMIC_RELEASE);
}


void
ngx_helix_slot_draining(ngx_helix_slot_t *slot)
{
    ngx_helix_set(&slot->draining, 1);
}


ngx_uint_t
ngx_helix_zone_reap(ngx_helix_zone_t *zone, ngx_helix_slot_t *self,
    ngx_log_t *log)
{
    ngx_uint_t            i;
    ngx_helix_slot_t     *slot;
    ngx_helix_process_t   owner;

    if (!ngx_helix_zone_elect(zone, self)) {
        return 0;
    }

    for (i = 0; i < NGX_HELIX_SLOTS; i++) {
        slot = &zone->slots[i];
        owner = ngx_helix_get(&slot->owner);

        if (owner == 0 || slot == self || ngx_helix_process_alive(owner)) {
            continue;
        }

        (void) ngx_helix_slot_reap(zone, slot, owner, self->owner, log);
    }

    return 1;
}


static ngx_uint_t
ngx_helix_zone_elect(ngx_helix_zone_t *zone, ngx_helix_slot_t *self)
{
    uint8_t   number;
    uint64_t  now, seen;

    now = ngx_helix_now() / 1000000;
    seen = ngx_helix_get(&zone->elected);
    number = ngx_helix_slot_number(zone, self);

    if (now < (seen >> 8) + NGX_HELIX_TERM
        && ((seen & 0xff) != number || ngx_exiting))
    {
        return 0;
    }

    return __atomic_compare_exchange_n(&zone->elected, &seen,
                                       now << 8 | number, 0,
                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}


/* The slot becomes ours first: if we die in the middle, another process finds
   it owned by a dead one and does it again. */

static ngx_uint_t
ngx_helix_slot_reap(ngx_helix_zone_t *zone, ngx_helix_slot_t *slot,
    ngx_helix_process_t owner, ngx_helix_process_t self, ngx_log_t *log)
{
    uint64_t   lost;
    ngx_pid_t  pid;

    pid = ngx_helix_process_pid(owner);

    if (!__atomic_compare_exchange_n(&slot->owner, &owner, self, 0,
                                     __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
    {
        return 0;
    }

    ngx_helix_tokens_free(zone, slot);

    lost = ngx_helix_counts_fold(slot);

    (void) __atomic_add_fetch(&zone->crashes, 1, __ATOMIC_RELAXED);

    __atomic_store_n(&slot->owner, 0, __ATOMIC_RELEASE);

    ngx_log_error(NGX_LOG_NOTICE, log, 0,
                  "helix: process %P died, %uL of its jobs are lost",
                  pid, lost);

    return 1;
}


uint64_t
ngx_helix_simulation_begin(ngx_helix_zone_t *zone)
{
    ngx_helix_process_t  owner;

    owner = ngx_helix_get(&zone->simulator);

    if (owner && ngx_helix_process_alive(owner)) {
        return 0;
    }

    if (!__atomic_compare_exchange_n(&zone->simulator, &owner,
                                     ngx_helix_process_self(), 0,
                                     __ATOMIC_RELAXED, __ATOMIC_RELAXED))
    {
        return 0;
    }

    return __atomic_add_fetch(&zone->simulations, 1, __ATOMIC_RELAXED);
}


void
ngx_helix_simulation_end(ngx_helix_zone_t *zone)
{
    ngx_helix_set(&zone->simulator, 0);
}


ngx_uint_t
ngx_helix_zone_slots(ngx_helix_zone_t *zone, ngx_helix_slot_info_t *info)
{
    ngx_uint_t                i, k, l, n;
    ngx_helix_slot_t         *slot;
    ngx_helix_process_t       owner;
    ngx_helix_lane_counts_t  *lane;

    n = 0;

    for (i = 0; i < NGX_HELIX_SLOTS; i++) {
        slot = &zone->slots[i];
        owner = ngx_helix_get(&slot->owner);

        if (owner == 0) {
            continue;
        }

        info[n].index = i;
        info[n].pid = ngx_helix_process_pid(owner);
        info[n].in_flight = 0;
        info[n].draining = ngx_helix_get(&slot->draining);

        for (k = 0; k < ngx_helix_zone_kinds(zone); k++) {
            for (l = 0; l < NGX_HELIX_LANES; l++) {
                lane = &slot->counts.kinds[k].lanes[l];
                info[n].in_flight += ngx_helix_lane_in_flight(lane);
            }
        }

        n++;
    }

    return n;
}


uint64_t
ngx_helix_zone_threshold(ngx_helix_zone_t *zone, uint64_t configured)
{
    if (ngx_helix_get(&zone->adapted_from) != configured) {
        return configured;
    }

    return __atomic_load_n(&zone->threshold, __ATOMIC_ACQUIRE);
}


void
ngx_helix_zone_set_threshold(ngx_helix_zone_t *zone, uint64_t configured,
    uint64_t threshold)
{
    __atomic_store_n(&zone->threshold, threshold, __ATOMIC_RELEASE);
    __atomic_store_n(&zone->adapted_from, configured, __ATOMIC_RELEASE);
}


uint64_t
ngx_helix_zone_window(ngx_helix_zone_t *zone, uint64_t min,
    helix_hist_t *window)
{
    helix_hist_t  now;

    ngx_memzero(&now, sizeof(helix_hist_t));
    ngx_helix_zone_raw_hist(zone, NGX_HELIX_HIST_TOTAL, HELIX_CPU_POOL, &now);

    *window = now;
    helix_hist_subtract(window, &zone->window);

    if (window->count < min) {
        return 0;
    }

    helix_hist_store(&zone->window, &now);

    return window->count;
}
