
#include "ngx_helix_layout.h"


static ngx_uint_t ngx_helix_exemplar_read(const ngx_helix_exemplar_t *from,
    ngx_helix_exemplar_t *to);


/* The version is odd while the rest is written; it stays so when the process
   dies then, until the slot's next owner writes. */

void
ngx_helix_exemplar_set(ngx_helix_slot_t *slot, helix_strategy_t lane,
    ngx_uint_t bucket, const ngx_helix_exemplar_t *exemplar)
{
    uint64_t               version;
    ngx_helix_exemplar_t  *to;

    to = &slot->exemplars[lane][bucket];
    version = to->version | 1;

    ngx_helix_set(&to->version, version);
    __atomic_thread_fence(__ATOMIC_RELEASE);

    ngx_helix_set(&to->trace[0], exemplar->trace[0]);
    ngx_helix_set(&to->trace[1], exemplar->trace[1]);
    ngx_helix_set(&to->id, exemplar->id);
    ngx_helix_set(&to->value, exemplar->value);
    ngx_helix_set(&to->time, exemplar->time);

    __atomic_store_n(&to->version, version + 1, __ATOMIC_RELEASE);
}


ngx_uint_t
ngx_helix_exemplar_get(ngx_helix_zone_t *zone, helix_strategy_t lane,
    ngx_uint_t bucket, ngx_helix_exemplar_t *exemplar)
{
    ngx_uint_t             i;
    ngx_helix_slot_t      *slot;
    ngx_helix_exemplar_t   one;

    exemplar->time = 0;

    for (i = 0; i < NGX_HELIX_SLOTS; i++) {
        slot = &zone->slots[i];

        if (!ngx_helix_get(&slot->used)) {
            continue;
        }

        if (ngx_helix_exemplar_read(&slot->exemplars[lane][bucket], &one)
            && one.time > exemplar->time)
        {
            *exemplar = one;
        }
    }

    return exemplar->time != 0;
}


/* One that is just being written is left out: there is a next time. */

static ngx_uint_t
ngx_helix_exemplar_read(const ngx_helix_exemplar_t *from,
    ngx_helix_exemplar_t *to)
{
    to->version = __atomic_load_n(&from->version, __ATOMIC_ACQUIRE);

    if (to->version == 0 || (to->version & 1)) {
        return 0;
    }

    to->trace[0] = ngx_helix_get(&from->trace[0]);
    to->trace[1] = ngx_helix_get(&from->trace[1]);
    to->id = ngx_helix_get(&from->id);
    to->value = ngx_helix_get(&from->value);
    to->time = ngx_helix_get(&from->time);

    __atomic_thread_fence(__ATOMIC_ACQUIRE);

    return ngx_helix_get(&from->version) == to->version;
}
