
#include "helix_batching.h"

#include <math.h>
#include <stddef.h>


#define HELIX_BATCHES_MEMORY  0.98   /* of a batch at the next: some 50 */
#define HELIX_BATCHES_PRIOR   4.0    /* jobs that came along and gained
                                        nothing */
#define HELIX_BATCHES_FEW     8.0    /* jobs along, to judge by */
#define HELIX_ADDED_MAX       2.0


static double helix_batch_alone(const helix_batch_t *batch,
    const helix_entry_t *entry);


void
helix_batches_merge(helix_batches_t *sum, const helix_batches_t *part)
{
    double  along, added;

    __atomic_load(&part->along, &along, __ATOMIC_RELAXED);
    __atomic_load(&part->added, &added, __ATOMIC_RELAXED);

    sum->along += along;
    sum->added += added;
}


helix_batching_t
helix_batching(const helix_batches_t *batches)
{
    helix_batching_t  batching;

    batching.added = (batches->added + HELIX_BATCHES_PRIOR)
                     / (batches->along + HELIX_BATCHES_PRIOR);
    batching.added = fmin(fmax(batching.added, 0), HELIX_ADDED_MAX);
    batching.along = batches->along;

    return batching;
}


void
helix_batches_add(helix_batches_t *batches, uint32_t n, double first,
    double others, double cpu)
{
    double  mean, along, added;

    if (n < 2 || !(first > 0) || !(others > 0)) {
        return;
    }

    mean = (first + others) / n;
    along = others / mean;
    added = fmin((cpu - first) / mean, HELIX_ADDED_MAX * along);

    along += HELIX_BATCHES_MEMORY * batches->along;
    added += HELIX_BATCHES_MEMORY * batches->added;

    __atomic_store(&batches->along, &along, __ATOMIC_RELAXED);
    __atomic_store(&batches->added, &added, __ATOMIC_RELAXED);
}


double
helix_batching_gain(const helix_batching_t *batching, uint32_t n)
{
    return n / (1 + batching->added * (n - 1));
}


bool
helix_batching_leaves(const helix_batching_t *batching, uint32_t n)
{
    return batching->along >= HELIX_BATCHES_FEW
           && helix_batching_gain(batching, n) < HELIX_BATCHING_GAIN;
}


bool
helix_batch_take(helix_batch_t *batch, const helix_entry_t *entry,
    uint64_t now)
{
    double         alone, until;
    helix_batch_t  next;

    if (batch->n == batch->max) {
        return false;
    }

    alone = helix_batch_alone(batch, entry);
    until = (double) now + alone / batch->efficiency;

    next = *batch;
    next.time += next.n++ ? next.added * alone : alone;

    /* what cannot be in time does not keep others from it */

    if (until <= (double) entry->aim) {
        next.until = fmin(next.until, ((double) entry->aim
                                       + (double) entry->deadline) / 2);

    } else if (until <= (double) entry->deadline) {
        next.until = fmin(next.until, (double) entry->deadline);
    }

    until = (double) now + next.time / batch->efficiency;

    /* the first one is run in any case */

    if (next.n > 1 && until > next.until) {
        return false;
    }

    *batch = next;

    return true;
}


static double
helix_batch_alone(const helix_batch_t *batch, const helix_entry_t *entry)
{
    return (double) (entry->work + entry->saved)
           * exp(batch->drift - (double) entry->drift);
}
