
#include "ngx_helix_lanes.h"


static ngx_uint_t ngx_helix_heap_before(ngx_helix_unit_t *a,
    ngx_helix_unit_t *b);
static void ngx_helix_heap_up(ngx_helix_heap_t *heap, ngx_uint_t i);
static void ngx_helix_heap_down(ngx_helix_heap_t *heap, ngx_uint_t i);


void
ngx_helix_heap_add(ngx_helix_heap_t *heap, ngx_helix_unit_t *unit)
{
    if (!unit->queued) {
        unit->queued = 1;
        unit->sequence = heap->sequence++;
    }

    unit->index = heap->n++;
    heap->units[unit->index] = unit;

    ngx_helix_heap_up(heap, unit->index);
}


void
ngx_helix_heap_remove(ngx_helix_heap_t *heap, ngx_helix_unit_t *unit)
{
    ngx_uint_t         i;
    ngx_helix_unit_t  *last;

    i = unit->index;
    last = heap->units[--heap->n];

    if (i == heap->n) {
        return;
    }

    heap->units[i] = last;
    last->index = i;

    ngx_helix_heap_up(heap, i);
    ngx_helix_heap_down(heap, last->index);
}


static ngx_uint_t
ngx_helix_heap_before(ngx_helix_unit_t *a, ngx_helix_unit_t *b)
{
    if (a->due != b->due) {
        return a->due < b->due;
    }

    return a->sequence < b->sequence;
}


static void
ngx_helix_heap_up(ngx_helix_heap_t *heap, ngx_uint_t i)
{
    ngx_uint_t         parent;
    ngx_helix_unit_t  *unit;

    unit = heap->units[i];

    while (i) {
        parent = (i - 1) / 2;

        if (!ngx_helix_heap_before(unit, heap->units[parent])) {
            break;
        }

        heap->units[i] = heap->units[parent];
        heap->units[i]->index = i;
        i = parent;
    }

    heap->units[i] = unit;
    unit->index = i;
}


static void
ngx_helix_heap_down(ngx_helix_heap_t *heap, ngx_uint_t i)
{
    ngx_uint_t         child;
    ngx_helix_unit_t  *unit;

    unit = heap->units[i];

    for ( ;; ) {
        child = 2 * i + 1;

        if (child >= heap->n) {
            break;
        }

        if (child + 1 < heap->n
            && ngx_helix_heap_before(heap->units[child + 1],
                                     heap->units[child]))
        {
            child++;
        }

        if (!ngx_helix_heap_before(heap->units[child], unit)) {
            break;
        }

        heap->units[i] = heap->units[child];
        heap->units[i]->index = i;
        i = child;
    }

    heap->units[i] = unit;
    unit->index = i;
}
