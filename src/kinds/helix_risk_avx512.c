
/* The loops of montecarlo_risk with AVX-512: eight lanes. */

#include "helix_risk.h"


#if defined __x86_64__

#include <immintrin.h>

#if defined __clang__
#pragma clang attribute push(                                                \
    __attribute__((target("avx512f,avx512dq,avx512vl"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512dq,avx512vl")
#endif

#define HELIX_LANES_FUSED
#define HELIX_LANES         8
#define HELIX_RISK_NAME(x)  helix_risk_avx512_##x
#define HELIX_RISK_ISA      "avx512"
#define HELIX_RISK_SLOW     10

#include "helix_risk_kernel.h"

#if defined __clang__
#pragma clang attribute pop
#endif

#endif
