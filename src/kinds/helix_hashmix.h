
/*
 * What the files of the kind hashmix share.
 *
 * All is pure: state and arguments in, result out; any thread.
 */

#ifndef HELIX_HASHMIX_H_INCLUDED
#define HELIX_HASHMIX_H_INCLUDED


#include "helix_kinds.h"


#define HELIX_HASHMIX_XOR    0x9e3779b97f4a7c15ULL
#define HELIX_HASHMIX_MUL    0xbf58476d1ce4e5b9ULL

#define HELIX_HASHMIX_LANES  64


/* How a processor runs chains side by side. */

typedef struct {
    uint32_t   lanes;                   /* that it uses at most */
    uint32_t   wide;                    /* lanes from which vectors pay */
} helix_hashmix_isa_t;

extern const helix_hashmix_isa_t  helix_hashmix_plain;
#if defined __x86_64__
extern const helix_hashmix_isa_t  helix_hashmix_intel;
extern const helix_hashmix_isa_t  helix_hashmix_avx512;
#endif

/* Of the processor it runs on; to be given to helix_hashmix_batch(), which is
   step_batch() but for that. */
const helix_hashmix_isa_t *helix_hashmix_isa(void);
int helix_hashmix_batch(const helix_hashmix_isa_t *isa, void **states,
    uint8_t *results, uint32_t n, const helix_control_t *ctl);


/* n mixes of 16, 32 or 64 values; needs AVX-512 F and DQ. */

#if defined __x86_64__
void helix_hashmix_run16(uint64_t *value, uint64_t n);
void helix_hashmix_run32(uint64_t *value, uint64_t n);
void helix_hashmix_run64(uint64_t *value, uint64_t n);
#endif


#endif /* HELIX_HASHMIX_H_INCLUDED */
