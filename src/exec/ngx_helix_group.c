
/*
 * Jobs of a kind and batch key that wait for a thread, by due time: whoever
 * takes the first takes others along.  Changed under the mutex of the pool;
 * a decision looks at them without it, and may be wrong about a job or two.
 */

#include "ngx_helix_lanes.h"


#define NGX_HELIX_GROUP_LOOK  8

#define ngx_helix_group_get(p)     __atomic_load_n(p, __ATOMIC_RELAXED)
#define ngx_helix_group_set(p, v)  __atomic_store_n(p, v, __ATOMIC_RELAXED)


static ngx_helix_group_t *ngx_helix_group_find(ngx_helix_pool_t *pool,
    ngx_uint_t kind, uint64_t key, ngx_uint_t make);
static void ngx_helix_group_first(ngx_helix_group_t *group);
static void ngx_helix_group_take(ngx_helix_unit_t *unit);


void
ngx_helix_groups_init(ngx_helix_group_t *groups)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HELIX_GROUPS; i++) {
        ngx_queue_init(&groups[i].units);
        groups[i].n = 0;
    }
}


/* There are more keys than groups: a job without one runs by itself. */

static ngx_helix_group_t *
ngx_helix_group_find(ngx_helix_pool_t *pool, ngx_uint_t kind, uint64_t key,
    ngx_uint_t make)
{
    ngx_uint_t          i, hash;
    ngx_helix_group_t  *group, *free;

    free = NULL;
    hash = (ngx_uint_t) ((key ^ kind) * 0x9e3779b97f4a7c15 >> 32);

    for (i = 0; i < NGX_HELIX_GROUP_LOOK; i++) {
        group = &ngx_helix_pool_groups(pool)[(hash + i) % NGX_HELIX_GROUPS];

        if (ngx_helix_group_get(&group->n) == 0) {
            free = free ? free : group;
            continue;
        }

        if (ngx_helix_group_get(&group->kind) == kind
            && ngx_helix_group_get(&group->key) == key)
        {
            return group;
        }
    }

    if (make && free) {
        ngx_helix_group_set(&free->kind, kind);
        ngx_helix_group_set(&free->key, key);
        return free;
    }

    return NULL;
}


ngx_uint_t
ngx_helix_group_joins(ngx_helix_pool_t *pool, const ngx_helix_job_spec_t *spec,
    ngx_uint_t size)
{
    ngx_uint_t          n;
    ngx_helix_group_t  *group;

    group = ngx_helix_group_find(pool, spec->kind_index, spec->batch_key, 0);

    if (group == NULL) {
        return 0;
    }

    n = ngx_helix_group_get(&group->n);

    return n && n % size != 0
           && ngx_helix_group_get(&group->deadline)
              <= spec->received + ngx_helix_job_budget(spec);
}


void
ngx_helix_group_add(ngx_helix_pool_t *pool, ngx_helix_unit_t *unit)
{
    ngx_queue_t           *q;
    ngx_helix_unit_t      *other;
    ngx_helix_group_t     *group;
    ngx_helix_job_spec_t  *spec;

    spec = &unit->jobs[0]->spec;

    group = ngx_helix_group_find(pool, spec->kind_index, spec->batch_key, 1);

    if (group == NULL) {
        return;
    }

    for (q = ngx_queue_last(&group->units);
         q != ngx_queue_sentinel(&group->units);
         q = ngx_queue_prev(q))
    {
        other = ngx_queue_data(q, ngx_helix_unit_t, member);

        if (other->due <= unit->due) {
            break;
        }
    }

    ngx_queue_insert_after(q, &unit->member);

    unit->group = group;

    ngx_helix_group_set(&group->n, group->n + 1);
    ngx_helix_group_first(group);
}


/* What a decision is told of the first. */

static void
ngx_helix_group_first(ngx_helix_group_t *group)
{
    ngx_queue_t       *q;
    ngx_helix_unit_t  *first;

    if (group->n) {
        q = ngx_queue_head(&group->units);
        first = ngx_queue_data(q, ngx_helix_unit_t, member);

        ngx_helix_group_set(&group->deadline,
                            first->jobs[0]->spec.entry.deadline);
    }
}


static void
ngx_helix_group_take(ngx_helix_unit_t *unit)
{
    ngx_helix_group_t  *group;

    group = unit->group;

    ngx_queue_remove(&unit->member);
    unit->group = NULL;

    ngx_helix_group_set(&group->n, group->n - 1);
    ngx_helix_group_first(group);
}


void
ngx_helix_group_remove(ngx_helix_pool_t *pool, ngx_helix_unit_t *unit)
{
    ngx_uint_t          first;
    ngx_helix_unit_t   *next;
    ngx_helix_group_t  *group;

    group = unit->group;

    if (group == NULL) {
        return;
    }

    first = (ngx_queue_head(&group->units) == &unit->member);

    ngx_helix_group_take(unit);

    if (first && group->n) {
        next = ngx_queue_data(ngx_queue_head(&group->units), ngx_helix_unit_t,
                              member);
        ngx_helix_pool_lead(pool, next->jobs[0]);
    }
}


void
ngx_helix_group_pull(ngx_helix_pool_t *pool, ngx_helix_heap_t *heap,
    const helix_router_t *router, ngx_helix_unit_t *unit, uint64_t now)
{
    helix_batch_t          batch;
    ngx_helix_unit_t      *other;
    ngx_helix_group_t     *group;
    ngx_helix_job_spec_t  *spec;

    group = unit->group;
    spec = &unit->jobs[0]->spec;

    batch = helix_router_batch(router, spec->kind_index);
    batch.max = ngx_min(batch.max, unit->room);
    (void) helix_batch_take(&batch, &spec->entry, now);

    ngx_helix_group_take(unit);

    unit->flush = HELIX_FLUSH_IDLE;

    while (group->n && batch.n < batch.max) {
        other = ngx_queue_data(ngx_queue_head(&group->units),
                               ngx_helix_unit_t, member);

        if (!helix_batch_take(&batch, &other->jobs[0]->spec.entry, now)) {
            unit->flush = HELIX_FLUSH_SLACK;
            break;
        }

        ngx_helix_group_take(other);
        ngx_helix_heap_remove(heap, other);
        ngx_helix_unit_merge(unit, other, now);
    }

    if (batch.n == batch.max) {
        unit->flush = HELIX_FLUSH_FULL;
    }

    if (group->n) {
        other = ngx_queue_data(ngx_queue_head(&group->units),
                               ngx_helix_unit_t, member);
        ngx_helix_pool_lead(pool, other->jobs[0]);
    }
}
