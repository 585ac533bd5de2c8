
/*
 * The number of primes up to n without finding them: Legendre's sieve, on no
 * more than the counts it needs, in time O(n^(3/4) / log n) and 6.25 bytes for
 * each number up to the square root of n.
 *
 * Let S(x) be how many odd numbers 1 < j <= x are a prime that has been sieved
 * by or have no factor among those.  Sieving by the next prime p takes the
 * multiples of p away whose cofactor has survived so far:
 *
 *     S(x) -= S(x / p) - S(p - 1)         for x >= p * p
 *
 * S(n) asks for S(n / p), that for S(n / pq), and so on: for x = n / k only,
 * and only for those k that have none of the primes sieved by, the "rough"
 * ones.  Two tables hold them: for rough k <= sqrt(n) there is larges[] with
 * S(n / k), which gets shorter with every prime; for x <= sqrt(n) S(x) is the
 * rank of x in a plain sieve of bits, words[].  roughs[] has the k: the first
 * is 1, the second is the next prime.
 *
 * After the primes up to n^(1/4) all rough k > 1 are primes, and n / kl, with
 * k and l two of them, is below the square of any: S(n / kl) is final.  What
 * is left, with a primes sieved by, r(k) for roughs[k] and S for its last
 * values, is
 *
 *     pi(n) = 1 + S(n) - sum over k >= 1 of S(n / r(k)) - (a + k - 1)
 *               + sum over 1 <= l < k, r(l)^2 r(k) <= n,
 *                     of S(n / r(l)r(k)) - (a + l - 1)
 *
 * where the 1 is for 2.
 */

#include <math.h>

#include "helix_primecount.h"


#define HELIX_PC_TURN  4096             /* divisions between polls: 9 to 17 us,
                                           with the processor and n */


static uint32_t helix_pc_root(uint64_t n);


size_t
helix_pc_dp_memory(uint64_t n)
{
    size_t  size;

    size = (helix_pc_root(n) + 1) / 2;

    return sizeof(helix_pc_dp_t)
           + (size + 63) / 64 * sizeof(helix_pc_word_t)
           + size * (sizeof(uint64_t) + sizeof(uint32_t));
}


void
helix_pc_dp_start(helix_pc_dp_t *dp, uint64_t n)
{
    dp->n = n;
    dp->result = 0;
    dp->rank = 0;
    dp->phase = (n < 2) ? HELIX_PC_READY : HELIX_PC_FILL;
    dp->root = helix_pc_root(n);
    dp->size = (dp->root + 1) / 2;
    dp->nwords = (dp->size + 63) / 64;
    dp->nroughs = dp->size;
    dp->nprimes = 0;
    dp->prime = 0;
    dp->left = 0;
    dp->from = 0;
    dp->to = 0;
    dp->end = 0;
}


int
helix_pc_dp_step(helix_pc_dp_t *dp, const helix_control_t *ctl)
{
    uint32_t          spent;
    helix_pc_turn_pt  turn;

    turn = helix_pc_turn;

#if defined __x86_64__
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt")) {
        turn = helix_pc_turn_avx2;
    }
#endif

    spent = 0;

    while (dp->phase != HELIX_PC_READY) {

        if (spent >= HELIX_PC_TURN) {
            spent = 0;

            if (ctl->poll(ctl)) {
                return HELIX_AGAIN;
            }
        }

        spent += turn(dp);
    }

    return HELIX_DONE;
}


static uint32_t
helix_pc_root(uint64_t n)
{
    uint64_t  root;

    root = (uint64_t) sqrt((double) n);

    while (root * root > n) {
        root--;
    }

    while ((root + 1) * (root + 1) <= n) {
        root++;
    }

    return (uint32_t) root;
}


#define helix_pc_turn_isa  helix_pc_turn

#include "helix_primecount_turn.h"
