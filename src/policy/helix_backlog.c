
#include "helix_backlog.h"

#include <stdbool.h>
#include <stddef.h>


#define HELIX_NSEC_PER_USEC  1000.0

#define helix_get(p)         __atomic_load_n(p, __ATOMIC_RELAXED)
#define helix_set(p, v)      __atomic_store_n(p, v, __ATOMIC_RELAXED)


static const uint64_t  helix_backlog_width[HELIX_BACKLOG_LEVELS] = {
    500000, 8000000, 128000000, 2048000000
};


/* The buckets of two backlogs, by level in the order in which they are due. */

typedef struct {
    uint64_t      first;
    double        work;
    double        variance;
} helix_stop_t;

typedef struct {
    helix_stop_t  stops[HELIX_BACKLOG_LEVELS][HELIX_BACKLOG_SIZE + 1];
    double        work;          /* what was due before now */
    double        variance;
} helix_walk_t;


static uint32_t helix_backlog_bucket(uint64_t due, uint64_t now);
static void helix_walk_level(helix_walk_t *walk, uint32_t level,
    const helix_backlog_t *own, const helix_backlog_t *others, uint64_t now);
static inline void helix_stop_add(helix_stop_t *stop,
    const helix_bucket_t *bucket);
static inline bool helix_backlog_meets(double slack, double work,
    double variance, double z);


void
helix_backlog_add(helix_backlog_t *backlog, helix_entry_t *entry,
    uint64_t now)
{
    uint32_t         level, i;
    helix_bucket_t  *bucket;

    entry->bucket = helix_backlog_bucket(entry->due, now);

    level = entry->bucket / HELIX_BACKLOG_SIZE;
    i = entry->bucket % HELIX_BACKLOG_SIZE;
    bucket = &backlog->buckets[level][i];

    if (bucket->n == 0 || entry->due < bucket->first) {
        helix_set(&bucket->first, entry->due);
    }

    helix_set(&bucket->work, bucket->work + entry->work);
    helix_set(&bucket->variance, bucket->variance + entry->variance);
    helix_set(&bucket->n, bucket->n + 1);
    helix_set(&backlog->bits[level], backlog->bits[level] | 1ULL << i);
}


void
helix_backlog_remove(helix_backlog_t *backlog, helix_entry_t *entry)
{
    uint32_t         level, i;
    helix_bucket_t  *bucket;

    level = entry->bucket / HELIX_BACKLOG_SIZE;
    i = entry->bucket % HELIX_BACKLOG_SIZE;
    bucket = &backlog->buckets[level][i];

    helix_set(&bucket->work, bucket->work - entry->work);
    helix_set(&bucket->variance, bucket->variance - entry->variance);
    helix_set(&bucket->n, bucket->n - 1);

    if (bucket->n == 0) {
        helix_set(&backlog->bits[level], backlog->bits[level] & ~(1ULL << i));
    }

    entry->work = 0;
    entry->variance = 0;
}


void
helix_backlog_reduce(helix_backlog_t *backlog, helix_entry_t *entry,
    int64_t work)
{
    uint32_t         level, i;
    int64_t          variance;
    helix_bucket_t  *bucket;

    level = entry->bucket / HELIX_BACKLOG_SIZE;
    i = entry->bucket % HELIX_BACKLOG_SIZE;
    bucket = &backlog->buckets[level][i];

    if (work >= entry->work) {
        work = entry->work;
        variance = entry->variance;

    } else {
        variance = (int64_t) ((double) entry->variance * (double) work
                              / (double) entry->work);
    }

    entry->work -= work;
    entry->variance -= variance;

    helix_set(&bucket->work, bucket->work - work);
    helix_set(&bucket->variance, bucket->variance - variance);
}


void
helix_backlog_lead(helix_backlog_t *backlog, helix_entry_t *entry)
{
    uint32_t         level, i;
    int64_t          variance;
    helix_bucket_t  *bucket;

    if (entry->work <= 0) {
        return;
    }

    level = entry->bucket / HELIX_BACKLOG_SIZE;
    i = entry->bucket % HELIX_BACKLOG_SIZE;
    bucket = &backlog->buckets[level][i];

    variance = (int64_t) ((double) entry->variance * (double) entry->saved
                          / (double) entry->work);

    helix_set(&bucket->work, bucket->work + entry->saved);
    helix_set(&bucket->variance, bucket->variance + variance);

    entry->work += entry->saved;
    entry->variance += variance;
    entry->saved = 0;
}


void
helix_backlog_merge(helix_backlog_t *sum, const helix_backlog_t *part)
{
    uint32_t               level, i;
    uint64_t               bits, bit, first;
    helix_bucket_t        *to;
    const helix_bucket_t  *from;

    for (level = 0; level < HELIX_BACKLOG_LEVELS; level++) {
        bits = helix_get(&part->bits[level]);

        for ( /* void */ ; bits != 0; bits &= bits - 1) {
            bit = bits & -bits;
            i = (uint32_t) __builtin_ctzll(bits);

            from = &part->buckets[level][i];
            to = &sum->buckets[level][i];

            first = helix_get(&from->first);

            if (!(sum->bits[level] & bit)) {
                *to = (helix_bucket_t) { first, 0, 0, 0 };
                sum->bits[level] |= bit;
            }

            if (first < to->first) {
                to->first = first;
            }

            to->work += helix_get(&from->work);
            to->variance += helix_get(&from->variance);
            to->n += helix_get(&from->n);
        }
    }
}


helix_backlog_fit_t
helix_backlog_fits(const helix_backlog_t *own, const helix_backlog_t *others,
    const helix_entry_t *entry, uint64_t now, double capacity, double z,
    helix_ahead_t *ahead)
{
    bool                 placed;
    double               work, variance, slack;
    uint32_t             level, best;
    helix_walk_t         walk;
    const helix_stop_t  *stop, *next[HELIX_BACKLOG_LEVELS] = { NULL };

    placed = false;

    walk.work = 0;
    walk.variance = 0;

    for (level = 0; level < HELIX_BACKLOG_LEVELS; level++) {
        helix_walk_level(&walk, level, own, others, now);
        next[level] = walk.stops[level];
    }

    work = walk.work;
    variance = walk.variance;

    for ( ;; ) {
        best = 0;

        for (level = 1; level < HELIX_BACKLOG_LEVELS; level++) {
            if (next[level]->first < next[best]->first) {
                best = level;
            }
        }

        stop = next[best]++;

        if (!placed && stop->first >= entry->due) {
            placed = true;
            *ahead = (helix_ahead_t) { work, variance };

            work += (double) entry->work;
            variance += (double) entry->variance;

            slack = capacity * ((double) entry->due - (double) now);

            if (!helix_backlog_meets(slack, work, variance, z)) {
                return HELIX_BACKLOG_LATE;
            }
        }

        if (stop->first == UINT64_MAX) {
            return HELIX_BACKLOG_FITS;
        }

        work += stop->work;
        variance += stop->variance;

        if (!placed) {
            continue;
        }

        slack = capacity * ((double) stop->first - (double) now);

        if (!helix_backlog_meets(slack, work, variance, z)) {
            return HELIX_BACKLOG_OTHERS_LATE;
        }
    }
}


/* slack >= work + z sqrt(variance), without the root. */

static inline bool
helix_backlog_meets(double slack, double work, double variance, double z)
{
    double  rest;

    rest = (slack - work) / HELIX_NSEC_PER_USEC;

    return rest >= 0 && rest * rest >= z * z * variance;
}


double
helix_backlog_work(const helix_backlog_t *backlog)
{
    double    work;
    uint32_t  level;
    uint64_t  bits;

    work = 0;

    for (level = 0; level < HELIX_BACKLOG_LEVELS; level++) {
        bits = helix_get(&backlog->bits[level]);

        for ( /* void */ ; bits != 0; bits &= bits - 1) {
            work += (double) helix_get(
                     &backlog->buckets[level][__builtin_ctzll(bits)].work);
        }
    }

    return work;
}


static uint32_t
helix_backlog_bucket(uint64_t due, uint64_t now)
{
    uint32_t  level, last;
    uint64_t  width;

    if (due < now) {
        due = now;
    }

    last = HELIX_BACKLOG_LEVELS - 1;

    for (level = 0; level < last; level++) {
        width = helix_backlog_width[level];

        if (due / width - now / width < HELIX_BACKLOG_SIZE) {
            break;
        }
    }

    width = helix_backlog_width[level];

    if (due / width - now / width >= HELIX_BACKLOG_SIZE) {
        due = now + (HELIX_BACKLOG_SIZE - 1) * width;
    }

    return level * HELIX_BACKLOG_SIZE
           + (uint32_t) (due / width % HELIX_BACKLOG_SIZE);
}


/* What was due before now is done first, but would come last in the ring. */

static void
helix_walk_level(helix_walk_t *walk, uint32_t level,
    const helix_backlog_t *own, const helix_backlog_t *others, uint64_t now)
{
    uint32_t       i, start;
    uint64_t       bits, all, mine, theirs;
    helix_stop_t  *stop;

    stop = walk->stops[level];

    start = (uint32_t) (now / helix_backlog_width[level] % HELIX_BACKLOG_SIZE);
    mine = helix_get(&own->bits[level]);
    theirs = (others != NULL) ? others->bits[level] : 0;
    all = mine | theirs;

    bits = all >> start;

    if (start != 0) {
        bits |= all << (HELIX_BACKLOG_SIZE - start);
    }

    for ( /* void */ ; bits != 0; bits &= bits - 1) {
        i = (start + (uint32_t) __builtin_ctzll(bits)) % HELIX_BACKLOG_SIZE;

        *stop = (helix_stop_t) { UINT64_MAX - 1, 0, 0 };

        if (mine >> i & 1) {
            helix_stop_add(stop, &own->buckets[level][i]);
        }

        if (theirs >> i & 1) {
            helix_stop_add(stop, &others->buckets[level][i]);
        }

        if (stop->first <= now) {
            walk->work += stop->work;
            walk->variance += stop->variance;

        } else {
            stop++;
        }
    }

    stop->first = UINT64_MAX;
}


static inline void
helix_stop_add(helix_stop_t *stop, const helix_bucket_t *bucket)
{
    uint64_t  first;

    first = helix_get(&bucket->first);

    if (first < stop->first) {
        stop->first = first;
    }

    stop->work += (double) helix_get(&bucket->work);
    stop->variance += (double) helix_get(&bucket->variance);
}
