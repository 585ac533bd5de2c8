
/* score with vectors of 16 floats. */

#include "helix_score.h"


#if defined __x86_64__

#include <immintrin.h>
#include <string.h>

#if defined __clang__
#pragma clang attribute push(__attribute__((target("avx512f"))),              \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,prefer-vector-width=512")
#endif


#define HELIX_SCORE_LANES     16
#define HELIX_SCORE_TILE      8

#define helix_score_fma       __builtin_fmaf


typedef __m512  helix_score_vec_t;


static inline helix_score_vec_t
helix_score_load_vec(const float *p)
{
    return _mm512_loadu_ps(p);
}


static inline void
helix_score_store_vec(float *p, helix_score_vec_t v)
{
    _mm512_storeu_ps(p, v);
}


static inline helix_score_vec_t
helix_score_set_vec(float x)
{
    return _mm512_set1_ps(x);
}


static inline helix_score_vec_t
helix_score_fma_vec(helix_score_vec_t a, helix_score_vec_t b,
    helix_score_vec_t c)
{
    return _mm512_fmadd_ps(a, b, c);
}


#include "helix_score_tile.h"


#if defined __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif


static int
helix_score_has_avx512(void)
{
    return __builtin_cpu_supports("avx512f");
}


const helix_score_isa_t  helix_score_avx512 = {
    "avx512", 524288, helix_score_run, helix_score_softmax_row,
    helix_score_has_avx512
};

#endif
