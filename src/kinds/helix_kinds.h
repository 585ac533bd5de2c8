
/* The kinds that are built in. */

#ifndef HELIX_KINDS_H_INCLUDED
#define HELIX_KINDS_H_INCLUDED


#include "helix_kind.h"


extern const helix_kind_t  helix_kind_hashmix;
extern const helix_kind_t  helix_kind_primecount;
extern const helix_kind_t  helix_kind_montecarlo_risk;
extern const helix_kind_t  helix_kind_score;


#endif /* HELIX_KINDS_H_INCLUDED */
