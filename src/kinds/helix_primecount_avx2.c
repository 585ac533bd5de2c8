
/* The count of helix_primecount_dp.c with vectors of four and popcnt. */

#include "helix_primecount.h"

#if defined __x86_64__

#if defined __clang__
#pragma clang attribute push (__attribute__((target("avx2,bmi2,popcnt"))), \
                              apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,bmi2,popcnt")
#endif

#define helix_pc_turn_isa  helix_pc_turn_avx2
#define helix_pc_popcnt

#include "helix_primecount_turn.h"

#if defined __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
