
#include "helix_backlog.h"

#include <stdbool.h>
#include <stddef.h>


#define HELIX_NSEC_PER_USEC  1000.0

#define helix_get(p)         __atomic_load_n(p, __ATOMIC_RELAXED)
#define helix_set(p, v)      __atomic_store_n(p, v, __ATOMIC_RELAXED)


static const uint64_t  helix_backlog_width[HELIX_BACKLOG_LEVELS] = {
    500000, 8000000, 128000000
};


/* A walk over the buckets of two backlogs in the order in which they are
   due: the next of each level, and what is left of the level's ring. */

typedef struct {
    const helix_backlog_t  *own;
    const helix_backlog_t  *others;
    uint64_t                bits[HELIX_BACKLOG_LEVELS];    /* from "start" on */
    uint32_t                start[HELIX_BACKLOG_LEVELS];
    uint64_t                first[HELIX_BACKLOG_LEVELS];
    double                  work;          /* what was due before now */
    double                  variance;
} helix_walk_t;

typedef struct {
    uint64_t                first;
    double                  work;
    double                  variance;
} helix_stop_t;


static uint32_t helix_backlog_bucket(uint64_t due, uint64_t now);
static void helix_walk_start(helix_walk_t *walk, const helix_backlog_t *own,
    const helix_backlog_t *others, uint64_t now);
static void helix_walk_late(helix_walk_t *walk, uint32_t level, uint64_t now);
static void helix_walk_look(helix_walk_t *walk, uint32_t level);
static uint64_t helix_walk_first(const helix_walk_t *walk, uint32_t level,
    uint32_t i);
static void helix_walk_sum(const helix_walk_t *walk, uint32_t level,
    uint32_t i, double *work, double *variance);
static bool helix_walk_next(helix_walk_t *walk, helix_stop_t *stop);
static bool helix_backlog_meets(double slack, double work, double variance,
    double z);


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
    double *ahead)
{
    bool          placed;
    double        work, variance, slack;
    helix_stop_t  stop;
    helix_walk_t  walk;

    placed = false;

    helix_walk_start(&walk, own, others, now);

    work = walk.work;
    variance = walk.variance;

    for ( ;; ) {

        if (!helix_walk_next(&walk, &stop)) {
            stop.first = UINT64_MAX;
        }

        if (!placed && stop.first >= entry->due) {
            placed = true;
            *ahead = work;

            work += (double) entry->work;
            variance += (double) entry->variance;

            slack = capacity * ((double) entry->due - (double) now);

            if (!helix_backlog_meets(slack, work, variance, z)) {
                return HELIX_BACKLOG_LATE;
            }
        }

        if (stop.first == UINT64_MAX) {
            return HELIX_BACKLOG_FITS;
        }

        work += stop.work;
        variance += stop.variance;

        if (!placed || stop.first <= now) {
            continue;
        }

        slack = capacity * ((double) stop.first - (double) now);

        if (!helix_backlog_meets(slack, work, variance, z)) {
            return HELIX_BACKLOG_OTHERS_LATE;
        }
    }
}


/* slack >= work + z sqrt(variance), without the root. */

static bool
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


static void
helix_walk_start(helix_walk_t *walk, const helix_backlog_t *own,
    const helix_backlog_t *others, uint64_t now)
{
    uint32_t  level, start;
    uint64_t  bits;

    walk->own = own;
    walk->others = others;
    walk->work = 0;
    walk->variance = 0;

    for (level = 0; level < HELIX_BACKLOG_LEVELS; level++) {
        start = (uint32_t) (now / helix_backlog_width[level]
                            % HELIX_BACKLOG_SIZE);
        bits = helix_get(&own->bits[level]);

        if (others != NULL) {
            bits |= others->bits[level];
        }

        walk->start[level] = start;
        walk->bits[level] = bits;

        if (bits != 0 && start != 0) {
            walk->bits[level] = bits >> start
                                | bits << (HELIX_BACKLOG_SIZE - start);
        }

        helix_walk_late(walk, level, now);
        helix_walk_look(walk, level);
    }
}


/* What was due before now is done first, but would come last in the ring. */

static void
helix_walk_late(helix_walk_t *walk, uint32_t level, uint64_t now)
{
    uint32_t  i;
    uint64_t  bits;

    for (bits = walk->bits[level]; bits != 0; bits &= bits - 1) {
        i = (walk->start[level] + (uint32_t) __builtin_ctzll(bits))
            % HELIX_BACKLOG_SIZE;

        if (helix_walk_first(walk, level, i) < now) {
            helix_walk_sum(walk, level, i, &walk->work, &walk->variance);
            walk->bits[level] &= ~(bits & -bits);
        }
    }
}


/* When the next bucket of a level is due. */

static void
helix_walk_look(helix_walk_t *walk, uint32_t level)
{
    if (walk->bits[level] == 0) {
        walk->first[level] = UINT64_MAX;
        return;
    }

    walk->first[level] = helix_walk_first(walk, level,
                  (walk->start[level]
                   + (uint32_t) __builtin_ctzll(walk->bits[level]))
                  % HELIX_BACKLOG_SIZE);
}


static uint64_t
helix_walk_first(const helix_walk_t *walk, uint32_t level, uint32_t i)
{
    uint64_t  first, other;

    first = UINT64_MAX - 1;

    if (helix_get(&walk->own->bits[level]) >> i & 1) {
        first = helix_get(&walk->own->buckets[level][i].first);
    }

    if (walk->others != NULL && (walk->others->bits[level] >> i & 1)) {
        other = walk->others->buckets[level][i].first;
        first = (other < first) ? other : first;
    }

    return first;
}


static void
helix_walk_sum(const helix_walk_t *walk, uint32_t level, uint32_t i,
    double *work, double *variance)
{
    const helix_bucket_t  *bucket;

    bucket = &walk->own->buckets[level][i];

    *work += (double) helix_get(&bucket->work);
    *variance += (double) helix_get(&bucket->variance);

    if (walk->others != NULL && (walk->others->bits[level] >> i & 1)) {
        bucket = &walk->others->buckets[level][i];

        *work += (double) bucket->work;
        *variance += (double) bucket->variance;
    }
}


static bool
helix_walk_next(helix_walk_t *walk, helix_stop_t *stop)
{
    uint32_t  level, i, next;

    next = 0;

    for (level = 1; level < HELIX_BACKLOG_LEVELS; level++) {
        if (walk->first[level] < walk->first[next]) {
            next = level;
        }
    }

    if (walk->first[next] == UINT64_MAX) {
        return false;
    }

    i = (walk->start[next]
         + (uint32_t) __builtin_ctzll(walk->bits[next])) % HELIX_BACKLOG_SIZE;

    stop->first = walk->first[next];
    stop->work = 0;
    stop->variance = 0;

    helix_walk_sum(walk, next, i, &stop->work, &stop->variance);

    walk->bits[next] &= walk->bits[next] - 1;
    helix_walk_look(walk, next);

    return true;
}
