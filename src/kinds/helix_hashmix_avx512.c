
/*
 * The chains of helix_hashmix.c, eight in a vector.
 *
 * vpmullq makes a vector's iteration longer than a single chain's: 7 cycles on
 * Zen 5, 17 on Sapphire Rapids, where it is three multiplications in a row.
 * What hides that is several vectors side by side.
 */

#include "helix_hashmix.h"

#if defined __x86_64__

#include <immintrin.h>

#if defined __clang__
#pragma clang attribute push (__attribute__((target("avx512f,avx512dq"))), \
                              apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq")
#endif


static inline __m512i
helix_hashmix_mix8(__m512i t)
{
    t = _mm512_rol_epi64(t, 7);
    t = _mm512_xor_si512(t,
                         _mm512_set1_epi64((long long) HELIX_HASHMIX_XOR));

    return _mm512_mullo_epi64(t, _mm512_set1_epi64(
                                              (long long) HELIX_HASHMIX_MUL));
}


/* "vectors" is a constant, so that all of them live in registers. */

static inline __attribute__((always_inline)) void
helix_hashmix_vectors(uint64_t *value, uint64_t n, const size_t vectors)
{
    size_t   i;
    __m512i  t[HELIX_HASHMIX_LANES / 8];

    for (i = 0; i < vectors; i++) {
        t[i] = _mm512_loadu_si512(&value[8 * i]);
    }

    while (n-- != 0) {
        for (i = 0; i < vectors; i++) {
            t[i] = helix_hashmix_mix8(t[i]);
        }
    }

    for (i = 0; i < vectors; i++) {
        _mm512_storeu_si512(&value[8 * i], t[i]);
    }
}


void
helix_hashmix_run16(uint64_t *value, uint64_t n)
{
    helix_hashmix_vectors(value, n, 2);
}


void
helix_hashmix_run32(uint64_t *value, uint64_t n)
{
    helix_hashmix_vectors(value, n, 4);
}


void
helix_hashmix_run64(uint64_t *value, uint64_t n)
{
    helix_hashmix_vectors(value, n, 8);
}


#if defined __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
