
/*
 * The ancestor's workload, number for number: HelixRouter's simulator with
 * rand 0.8's StdRng (ChaCha with 12 rounds, seeded by PCG32 steps), in the
 * order in which it draws the fields of a job.
 *
 * Pure functions of the state that the caller owns; any thread.
 */

#ifndef HELIX_WORKLOAD_H_INCLUDED
#define HELIX_WORKLOAD_H_INCLUDED


#include <stdint.h>


#define HELIX_WORKLOAD_INPUTS   6
#define HELIX_WORKLOAD_WORDS    16       /* of one block */

#define HELIX_WORKLOAD_HEAVY    0.15     /* fraction, as there */


typedef enum {
    HELIX_WORKLOAD_HASHMIX = 0,
    HELIX_WORKLOAD_PRIMECOUNT,
    HELIX_WORKLOAD_MONTECARLO,
    HELIX_WORKLOAD_KINDS
} helix_workload_kind_t;


typedef struct {
    uint64_t               id;           /* from 0 */
    helix_workload_kind_t  kind;
    uint32_t               ninputs;
    uint64_t               inputs[HELIX_WORKLOAD_INPUTS];
    uint64_t               cost;
    float                  scaling;
    uint64_t               budget;       /* ms */
} helix_workload_job_t;


typedef struct {
    uint32_t               key[8];
    uint64_t               counter;      /* of the next block */
    uint32_t               words[HELIX_WORKLOAD_WORDS];
    unsigned               used;
    uint64_t               next_id;
    double                 heavy;        /* fraction of heavy jobs, 0..1 */
} helix_workload_t;


/* Names of kinds, as helix calls them. */
extern const char *const  helix_workload_kinds[HELIX_WORKLOAD_KINDS];


void helix_workload_init(helix_workload_t *w, uint64_t seed, double heavy);
void helix_workload_next(helix_workload_t *w, helix_workload_job_t *job);

/* The generator below it. */
uint32_t helix_workload_u32(helix_workload_t *w);


#endif /* HELIX_WORKLOAD_H_INCLUDED */
