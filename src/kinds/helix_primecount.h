
/*
 * What the files of the kind primecount share.
 *
 * All is pure: state and arguments in, result out; any thread.
 */

#ifndef HELIX_PRIMECOUNT_H_INCLUDED
#define HELIX_PRIMECOUNT_H_INCLUDED


#include "helix_kinds.h"


#define HELIX_PC_N_MAX  10000000000000ULL


/*
 * 64 odd numbers; bit i of word w stands for 2 * (64 * w + i) + 1.  Aligned,
 * so that none is in two lines of the cache.
 */

typedef struct {
    _Alignas(16) uint64_t   bits;       /* those that are left */
    uint64_t                before;     /* how many are left below */
} helix_pc_word_t;


typedef enum {
    HELIX_PC_FILL = 0,
    HELIX_PC_RANK,
    HELIX_PC_NEXT,
    HELIX_PC_NEAR,
    HELIX_PC_FAR,
    HELIX_PC_CROSS,
    HELIX_PC_SUM,
    HELIX_PC_LEFT,
    HELIX_PC_PAIRS,
    HELIX_PC_READY
} helix_pc_phase_t;


/* A count up to n in the making; its tables follow in the same memory. */

typedef struct {
    _Alignas(16) uint64_t   n;
    uint64_t                result;     /* modulo 2^64 until it is ready */
    uint64_t                rank;       /* survivors below the next word */
    helix_pc_phase_t        phase;
    uint32_t                root;       /* of n, rounded down */
    uint32_t                size;       /* odd numbers up to the root */
    uint32_t                nwords;
    uint32_t                nroughs;
    uint32_t                nprimes;    /* sieved by, without 2 */
    uint32_t                prime;      /* being sieved by */
    uint32_t                left;       /* of the pairs, in roughs[] */
    uint32_t                from;       /* where the phase stands: it reads, */
    uint32_t                to;         /* writes */
    uint32_t                end;        /* and ends here */
} helix_pc_dp_t;


/* A part of a phase, of about HELIX_PC_BLOCK divisions; says how many. */

#define HELIX_PC_BLOCK  1024

typedef uint32_t (*helix_pc_turn_pt)(helix_pc_dp_t *dp);

uint32_t helix_pc_turn(helix_pc_dp_t *dp);
#if defined __x86_64__
uint32_t helix_pc_turn_avx2(helix_pc_dp_t *dp);
#endif


/* Bytes for a count up to n, n <= HELIX_PC_N_MAX. */
size_t helix_pc_dp_memory(uint64_t n);

/* Takes no time; the memory is aligned to 16. */
void helix_pc_dp_start(helix_pc_dp_t *dp, uint64_t n);

/* HELIX_DONE: dp->result is pi(n); or HELIX_AGAIN. */
int helix_pc_dp_step(helix_pc_dp_t *dp, const helix_control_t *ctl);


/* What is known of pi(n) without counting, n <= HELIX_PC_N_MAX. */

typedef struct {
    uint64_t           low;             /* both inclusive */
    uint64_t           high;
    uint64_t           estimate;        /* between them */
} helix_pc_interval_t;

void helix_pc_interval(helix_pc_interval_t *interval, uint64_t n);

/* How far pi(x) may be below li(x), x >= 2. */
double helix_pc_bound(double x);


#endif /* HELIX_PRIMECOUNT_H_INCLUDED */
