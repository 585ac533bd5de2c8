
#include "ngx_helix_layout.h"

#if (NGX_LINUX)
#include <linux/futex.h>
#include <sys/syscall.h>
#endif


#define NGX_HELIX_SLEEP  1000000     /* ns */


uint8_t
ngx_helix_slot_number(ngx_helix_zone_t *zone, ngx_helix_slot_t *slot)
{
    return (uint8_t) (slot - zone->slots + 1);
}


ngx_int_t
ngx_helix_token_take(ngx_helix_zone_t *zone, ngx_helix_slot_t *slot)
{
    uint8_t     none, number;
    ngx_uint_t  i, limit;

    number = ngx_helix_slot_number(zone, slot);
    limit = ngx_helix_config_concurrency(zone);

    for (i = 0; i < ngx_min(limit, NGX_HELIX_TOKENS); i++) {

        if (ngx_helix_get(&zone->tokens[i]) != 0) {
            continue;
        }

        none = 0;

        if (__atomic_compare_exchange_n(&zone->tokens[i], &none, number, 0,
                                        __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        {
            /* those above a limit that was lowered count too; it may have been
               just now */

            limit = ngx_helix_config_concurrency(zone);

            if (i < limit
                && ngx_helix_tokens_busy(zone) <= limit)
            {
                return i;
            }

            ngx_helix_token_release(zone, i);
            break;
        }
    }

    return NGX_BUSY;
}


ngx_uint_t
ngx_helix_token_allowed(ngx_helix_zone_t *zone, ngx_int_t token)
{
    return (uint64_t) token < ngx_helix_config_concurrency(zone);
}


void
ngx_helix_token_release(ngx_helix_zone_t *zone, ngx_int_t token)
{
    __atomic_store_n(&zone->tokens[token], 0, __ATOMIC_RELEASE);
}


/* Eight tokens at a time: part of every decision. */

ngx_uint_t
ngx_helix_tokens_busy(ngx_helix_zone_t *zone)
{
    uint64_t         word, high;
    ngx_uint_t       i, n;
    const uint64_t  *words;

    n = 0;
    words = (const uint64_t *) zone->tokens;

    for (i = 0; i < NGX_HELIX_TOKENS / sizeof(uint64_t); i++) {
        word = ngx_helix_get(&words[i]);

        if (word == 0) {
            continue;
        }

        /* the high bit of each byte that is not zero; none carries over */

        high = (word & 0x7f7f7f7f7f7f7f7fULL) + 0x7f7f7f7f7f7f7f7fULL;
        high = (high | word) & 0x8080808080808080ULL;

        n += __builtin_popcountll(high);
    }

    return n;
}


void
ngx_helix_tokens_free(ngx_helix_zone_t *zone, ngx_helix_slot_t *slot)
{
    uint8_t     number;
    ngx_uint_t  i;

    number = ngx_helix_slot_number(zone, slot);

    for (i = 0; i < NGX_HELIX_TOKENS; i++) {
        if (ngx_helix_get(&zone->tokens[i]) == number) {
            ngx_helix_token_release(zone, i);
        }
    }
}


ngx_int_t
ngx_helix_wait_enter(ngx_helix_zone_t *zone, ngx_helix_slot_t *slot,
    helix_strategy_t lane, uint64_t limit)
{
    (void) __atomic_add_fetch(&slot->waiting[lane], 1, __ATOMIC_SEQ_CST);

    if (ngx_helix_waiting(zone, lane) > limit) {
        ngx_helix_wait_leave(slot, lane, 1);
        return NGX_BUSY;
    }

    return NGX_OK;
}


void
ngx_helix_wait_leave(ngx_helix_slot_t *slot, helix_strategy_t lane,
    ngx_uint_t n)
{
    (void) __atomic_sub_fetch(&slot->waiting[lane], n, __ATOMIC_RELEASE);
}


void
ngx_helix_wait_return(ngx_helix_slot_t *slot, helix_strategy_t lane,
    ngx_uint_t n)
{
    (void) __atomic_add_fetch(&slot->waiting[lane], n, __ATOMIC_RELAXED);
}


ngx_int_t
ngx_helix_memory_take(ngx_helix_zone_t *zone, ngx_helix_slot_t *slot,
    uint64_t size, uint64_t limit)
{
    (void) __atomic_add_fetch(&slot->memory, size, __ATOMIC_SEQ_CST);

    if (ngx_helix_memory(zone) > limit) {
        ngx_helix_memory_give(slot, size);
        return NGX_BUSY;
    }

    return NGX_OK;
}


void
ngx_helix_memory_give(ngx_helix_slot_t *slot, uint64_t size)
{
    (void) __atomic_sub_fetch(&slot->memory, size, __ATOMIC_RELEASE);
}


uint64_t
ngx_helix_memory(ngx_helix_zone_t *zone)
{
    uint64_t    n;
    ngx_uint_t  i;

    n = 0;

    for (i = 0; i < NGX_HELIX_SLOTS; i++) {
        if (!ngx_helix_get(&zone->slots[i].used)) {
            break;
        }

        n += __atomic_load_n(&zone->slots[i].memory, __ATOMIC_SEQ_CST);
    }

    return n;
}


uint64_t
ngx_helix_waiting(ngx_helix_zone_t *zone, helix_strategy_t lane)
{
    uint64_t           n;
    ngx_uint_t         i;
    ngx_helix_slot_t  *slot;

    n = 0;

    /* slots are claimed from the first on: an unused one ends the row */

    for (i = 0; i < NGX_HELIX_SLOTS; i++) {
        slot = &zone->slots[i];

        if (!ngx_helix_get(&slot->used)) {
            break;
        }

        n += __atomic_load_n(&slot->waiting[lane], __ATOMIC_SEQ_CST);
    }

    return n;
}


ngx_helix_slot_t *
ngx_helix_zone_urgent(ngx_helix_zone_t *zone, ngx_helix_slot_t *self,
    uint64_t now, uint64_t *due)
{
    uint64_t           head;
    ngx_uint_t         i;
    ngx_helix_slot_t  *slot, *urgent;

    urgent = NULL;
    *due = (uint64_t) -1;

    for (i = 0; i < NGX_HELIX_SLOTS; i++) {
        slot = &zone->slots[i];

        if (!ngx_helix_get(&slot->used)) {
            break;
        }

        head = ngx_helix_get(&slot->report.head);

        if (head == 0 || head >= *due) {
            continue;
        }

        if (slot == self
            || (ngx_helix_get(&slot->sleepers)
                && now < ngx_helix_get(&slot->report.seen)
                         + NGX_HELIX_TERM * 1000000ULL))
        {
            *due = head;
            urgent = slot;
        }
    }

    return urgent;
}


uint32_t
ngx_helix_wakeups(ngx_helix_slot_t *slot)
{
    return __atomic_load_n(&slot->wakeups, __ATOMIC_SEQ_CST);
}


void
ngx_helix_sleep(ngx_helix_slot_t *slot, uint32_t seen)
{
    struct timespec  ts = { 0, NGX_HELIX_SLEEP };

#if (NGX_LINUX)

    (void) __atomic_add_fetch(&slot->sleepers, 1, __ATOMIC_SEQ_CST);

    (void) syscall(SYS_futex, &slot->wakeups, FUTEX_WAIT, seen, &ts, NULL, 0);

    (void) __atomic_sub_fetch(&slot->sleepers, 1, __ATOMIC_SEQ_CST);

#else

    (void) nanosleep(&ts, NULL);

#endif
}


void
ngx_helix_wake(ngx_helix_slot_t *slot)
{
    (void) __atomic_add_fetch(&slot->wakeups, 1, __ATOMIC_SEQ_CST);

#if (NGX_LINUX)

    if (__atomic_load_n(&slot->sleepers, __ATOMIC_SEQ_CST) != 0) {
        (void) syscall(SYS_futex, &slot->wakeups, FUTEX_WAKE, 1, NULL, NULL,
                       0);
    }

#endif
}
