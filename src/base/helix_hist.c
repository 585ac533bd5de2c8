
/*
 * Fixed histogram of durations: see helix_hist.h.
 */

#include <math.h>
#include <string.h>

#include "helix_hist.h"


/*
 * floor(2^(63 + i/64)): the upper bounds of an octave's buckets, scaled as a
 * duration is once its top bit is bit 63.  All but the first are irrational,
 * so that "x > floor(bound)" is "x > bound" for every integer x.  The last
 * entry is above all.
 */

static const uint64_t  helix_hist_bounds[65] = {
    UINT64_C(0x8000000000000000), UINT64_C(0x8164d1f3bc030773),
    UINT64_C(0x82cd8698ac2ba1d7), UINT64_C(0x843a28c3acde4046),
    UINT64_C(0x85aac367cc487b14), UINT64_C(0x871f61969e8d1010),
    UINT64_C(0x88980e8092da8527), UINT64_C(0x8a14d575496efd9a),
    UINT64_C(0x8b95c1e3ea8bd6e6), UINT64_C(0x8d1adf5b7e5ba9e5),
    UINT64_C(0x8ea4398b45cd53c0), UINT64_C(0x9031dc431466b1dc),
    UINT64_C(0x91c3d373ab11c336), UINT64_C(0x935a2b2f13e6e92b),
    UINT64_C(0x94f4efa8fef70961), UINT64_C(0x96942d3720185a00),
    UINT64_C(0x9837f0518db8a96f), UINT64_C(0x99e0459320b7fa64),
    UINT64_C(0x9b8d39b9d54e5538), UINT64_C(0x9d3ed9a72cffb750),
    UINT64_C(0x9ef5326091a111ad), UINT64_C(0xa0b0510fb9714fc2),
    UINT64_C(0xa27043030c496818), UINT64_C(0xa43515ae09e6809e),
    UINT64_C(0xa5fed6a9b15138ea), UINT64_C(0xa7cd93b4e9653569),
    UINT64_C(0xa9a15ab4ea7c0ef8), UINT64_C(0xab7a39b5a93ed337),
    UINT64_C(0xad583eea42a14ac6), UINT64_C(0xaf3b78ad690a4374),
    UINT64_C(0xb123f581d2ac258f), UINT64_C(0xb311c412a9112489),
    UINT64_C(0xb504f333f9de6484), UINT64_C(0xb6fd91e328d17791),
    UINT64_C(0xb8fbaf4762fb9ee9), UINT64_C(0xbaff5ab2133e45fb),
    UINT64_C(0xbd08a39f580c36be), UINT64_C(0xbf1799b67a731082),
    UINT64_C(0xc12c4cca66709456), UINT64_C(0xc346ccda24976407),
    UINT64_C(0xc5672a115506dadd), UINT64_C(0xc78d74c8abb9b15c),
    UINT64_C(0xc9b9bd866e2f27a2), UINT64_C(0xcbec14fef2727c5c),
    UINT64_C(0xce248c151f8480e3), UINT64_C(0xd06333daef2b2594),
    UINT64_C(0xd2a81d91f12ae45a), UINT64_C(0xd4f35aabcfedfa1f),
    UINT64_C(0xd744fccad69d6af4), UINT64_C(0xd99d15c278afd7b5),
    UINT64_C(0xdbfbb797daf23755), UINT64_C(0xde60f4825e0e9123),
    UINT64_C(0xe0ccdeec2a94e111), UINT64_C(0xe33f8972be8a5a51),
    UINT64_C(0xe5b906e77c8348a8), UINT64_C(0xe8396a503c4bdc68),
    UINT64_C(0xeac0c6e7dd24392e), UINT64_C(0xed4f301ed9942b84),
    UINT64_C(0xefe4b99bdcdaf5cb), UINT64_C(0xf281773c59ffb139),
    UINT64_C(0xf5257d152486cc2c), UINT64_C(0xf7d0df730ad13bb8),
    UINT64_C(0xfa83b2db722a033a), UINT64_C(0xfd3e0c0cf486c174),
    UINT64_MAX
};


/*
 * The number of bounds below the start of each 1/128 of an octave, linearly;
 * one more at most lies within, as a bucket is 1.09 % wide at least.
 */

static const uint8_t  helix_hist_first[128] = {
     0,  1,  2,  3,  3,  4,  5,  5,  6,  7,  7,  8,  9,  9, 10, 11,
    11, 12, 13, 13, 14, 15, 15, 16, 16, 17, 18, 18, 19, 19, 20, 21,
    21, 22, 22, 23, 23, 24, 25, 25, 26, 26, 27, 27, 28, 28, 29, 29,
    30, 30, 31, 31, 32, 32, 33, 34, 34, 35, 35, 36, 36, 36, 37, 37,
    38, 38, 39, 39, 40, 40, 41, 41, 42, 42, 43, 43, 44, 44, 44, 45,
    45, 46, 46, 47, 47, 48, 48, 48, 49, 49, 50, 50, 51, 51, 51, 52,
    52, 53, 53, 53, 54, 54, 55, 55, 55, 56, 56, 57, 57, 57, 58, 58,
    59, 59, 59, 60, 60, 60, 61, 61, 62, 62, 62, 63, 63, 63, 64, 64
};


uint32_t
helix_hist_index(uint64_t ns)
{
    uint32_t  i, shift;
    uint64_t  x;

    if (ns == 0) {
        return 0;
    }

    shift = (uint32_t) __builtin_clzll(ns);
    x = ns << shift;

    i = helix_hist_first[(x >> 56) & 127];
    i += (x > helix_hist_bounds[i]);
    i += (63 - shift) * 64;

    return (i < HELIX_HIST_BUCKETS) ? i : HELIX_HIST_BUCKETS - 1;
}


double
helix_hist_upper(uint32_t index)
{
    return ldexp((double) helix_hist_bounds[index % 64],
                 (int) (index / 64) - 63);
}


/* One writer: an atomic store is what readers need, an atomic add is not. */

static inline void
helix_hist_increase(uint64_t *counter, uint64_t n)
{
    __atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}


/* The first bucket of the lowest of the octaves, and the end of it. */

static inline uint32_t
helix_hist_octave(uint64_t octaves, uint32_t *end)
{
    uint32_t  first;

    first = (uint32_t) __builtin_ctzll(octaves) * HELIX_HIST_OCTAVE;

    *end = first + HELIX_HIST_OCTAVE;

    if (*end > HELIX_HIST_BUCKETS) {
        *end = HELIX_HIST_BUCKETS;
    }

    return first;
}


void
helix_hist_add(helix_hist_t *hist, uint64_t ns)
{
    helix_hist_put(hist, helix_hist_index(ns), 1, ns);
}


void
helix_hist_put(helix_hist_t *hist, uint32_t index, uint64_t n, uint64_t sum)
{
    uint64_t  octave;

    octave = UINT64_C(1) << (index / HELIX_HIST_OCTAVE);

    if (!(hist->octaves & octave)) {
        __atomic_store_n(&hist->octaves, hist->octaves | octave,
                         __ATOMIC_RELAXED);
    }

    helix_hist_increase(&hist->buckets[index], n);
    helix_hist_increase(&hist->sum, sum);
    helix_hist_increase(&hist->count, n);
}


void
helix_hist_clear(helix_hist_t *hist)
{
    uint32_t  i, end;
    uint64_t  octaves;

    for (octaves = hist->octaves; octaves; octaves &= octaves - 1) {
        i = helix_hist_octave(octaves, &end);
        memset(&hist->buckets[i], 0, (end - i) * sizeof(uint64_t));
    }

    hist->octaves = 0;
    hist->count = 0;
    hist->sum = 0;
}


/* The count is that of the buckets seen, lest a scrape contradict itself. */

void
helix_hist_merge(helix_hist_t *dst, const helix_hist_t *src)
{
    uint32_t  i, end;
    uint64_t  n, count, octaves;

    octaves = __atomic_load_n(&src->octaves, __ATOMIC_RELAXED);

    dst->sum += __atomic_load_n(&src->sum, __ATOMIC_RELAXED);
    dst->octaves |= octaves;

    /* a sum in memory would take five times as long */

    count = 0;

    for ( /* void */ ; octaves; octaves &= octaves - 1) {

        for (i = helix_hist_octave(octaves, &end); i < end; i++) {
            n = __atomic_load_n(&src->buckets[i], __ATOMIC_RELAXED);
            dst->buckets[i] += n;
            count += n;
        }
    }

    dst->count += count;
}


void
helix_hist_subtract(helix_hist_t *dst, const helix_hist_t *src)
{
    uint32_t  i, end;
    uint64_t  n, octaves;

    octaves = __atomic_load_n(&src->octaves, __ATOMIC_RELAXED);

    dst->sum -= __atomic_load_n(&src->sum, __ATOMIC_RELAXED);
    dst->octaves |= octaves;

    for ( /* void */ ; octaves; octaves &= octaves - 1) {

        for (i = helix_hist_octave(octaves, &end); i < end; i++) {
            n = __atomic_load_n(&src->buckets[i], __ATOMIC_RELAXED);
            dst->buckets[i] -= n;
            dst->count -= n;
        }
    }
}


void
helix_hist_store(helix_hist_t *dst, const helix_hist_t *src)
{
    uint32_t  i, end;
    uint64_t  octaves;

    octaves = dst->octaves | src->octaves;

    __atomic_store_n(&dst->octaves, octaves, __ATOMIC_RELAXED);
    __atomic_store_n(&dst->sum, src->sum, __ATOMIC_RELAXED);
    __atomic_store_n(&dst->count, src->count, __ATOMIC_RELAXED);

    for ( /* void */ ; octaves; octaves &= octaves - 1) {

        for (i = helix_hist_octave(octaves, &end); i < end; i++) {
            __atomic_store_n(&dst->buckets[i], src->buckets[i],
                             __ATOMIC_RELAXED);
        }
    }
}


void
helix_hist_cumulate(const helix_hist_t *hist, const uint32_t *last,
    uint64_t *counts, uint32_t n)
{
    uint32_t  i, k, end;
    uint64_t  sum, octaves;

    k = 0;
    sum = 0;
    octaves = __atomic_load_n(&hist->octaves, __ATOMIC_RELAXED);

    for ( /* void */ ; octaves; octaves &= octaves - 1) {

        for (i = helix_hist_octave(octaves, &end); i < end; i++) {

            while (k < n && i > last[k]) {
                counts[k++] = sum;
            }

            sum += __atomic_load_n(&hist->buckets[i], __ATOMIC_RELAXED);
        }
    }

    while (k < n) {
        counts[k++] = sum;
    }
}


static inline uint64_t
helix_hist_sum(const helix_hist_t *hist, uint32_t i, uint32_t end)
{
    uint64_t  n;

    n = 0;

    for ( /* void */ ; i < end; i++) {
        n += __atomic_load_n(&hist->buckets[i], __ATOMIC_RELAXED);
    }

    return n;
}


/* How many there are up to the bucket in which the rank is reached, which is
   *index; the last one if it is not. */

static uint64_t
helix_hist_ranked(const helix_hist_t *hist, uint64_t rank, uint32_t *index)
{
    uint32_t  i, end;
    uint64_t  n, part, octaves;

    n = 0;
    octaves = __atomic_load_n(&hist->octaves, __ATOMIC_RELAXED);

    for ( /* void */ ; octaves; octaves &= octaves - 1) {

        i = helix_hist_octave(octaves, &end);
        part = helix_hist_sum(hist, i, end);

        if (n + part < rank) {
            n += part;
            continue;
        }

        for ( /* void */ ; i < end; i++) {
            n += __atomic_load_n(&hist->buckets[i], __ATOMIC_RELAXED);

            if (n >= rank) {
                *index = i;
                return n;
            }
        }
    }

    *index = HELIX_HIST_BUCKETS - 1;

    return n;
}


/* Buckets only grow: the second pass finds at least what the first counted. */

double
helix_hist_quantile(const helix_hist_t *hist, double q)
{
    double    nearest;
    uint32_t  i;
    uint64_t  n, rank;

    n = helix_hist_ranked(hist, UINT64_MAX, &i);

    if (n == 0) {
        return 0;
    }

    nearest = ceil(q * (double) n);
    rank = 1;

    if (nearest > 1) {
        rank = (nearest < (double) n) ? (uint64_t) nearest : n;
    }

    (void) helix_hist_ranked(hist, rank, &i);

    /* 2^(-1/128): from the upper bound to the geometric middle */

    return helix_hist_upper(i) * 0x1.fd3c22b8f71f1p-1;
}
