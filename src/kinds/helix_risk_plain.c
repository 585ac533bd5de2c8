
/* The loops of montecarlo_risk with what every processor of the architecture
   has, two lanes; and which other loops this one can run. */

#include "helix_risk.h"

#if defined __x86_64__
#include <immintrin.h>
#endif

#if defined __FP_FAST_FMA
#define HELIX_LANES_FUSED
#endif

#define HELIX_LANES         2
#define HELIX_RISK_NAME(x)  helix_risk_plain_##x
#define HELIX_RISK_ISA      "plain"
#define HELIX_RISK_SLOW     41

#include "helix_risk_kernel.h"


const helix_risk_isa_t *
helix_risk_isa_at(uint32_t n)
{
#if defined __x86_64__
    if (__builtin_cpu_supports("avx512f")
        && __builtin_cpu_supports("avx512dq")
        && __builtin_cpu_supports("avx512vl")
        && n-- == 0)
    {
        return &helix_risk_avx512_isa;
    }

    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
        && n-- == 0)
    {
        return &helix_risk_avx2_isa;
    }
#endif

    return (n == 0) ? &helix_risk_plain_isa : NULL;
}


const helix_risk_isa_t *
helix_risk_isa(void)
{
    return helix_risk_isa_at(0);
}
