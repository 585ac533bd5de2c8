
/* The loops of montecarlo_risk with AVX2: four lanes. */

#include "helix_risk.h"


#if defined __x86_64__

#include <immintrin.h>

#if defined __clang__
#pragma clang attribute push(                                                \
    __attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif

#define HELIX_LANES_FUSED
#define HELIX_LANES         4
#define HELIX_RISK_NAME(x)  helix_risk_avx2_##x
#define HELIX_RISK_ISA      "avx2"
#define HELIX_RISK_SLOW     16

#include "helix_risk_kernel.h"

#if defined __clang__
#pragma clang attribute pop
#endif

#endif
