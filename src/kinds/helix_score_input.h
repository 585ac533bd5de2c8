
/* The features of a job of score: rows of numbers, as JSON or as a body. */

#ifndef HELIX_SCORE_INPUT_H_INCLUDED
#define HELIX_SCORE_INPUT_H_INCLUDED


#include "helix_kind.h"
#include "helix_score.h"


typedef struct {
    const helix_score_model_t  *model;
    const helix_args_t         *args;
    const char                 *field;  /* the parameter at fault */
    uint32_t                    rows;
    uint32_t                    binary; /* the answer is to be a body */
} helix_score_input_t;


/*
 * Reads rows and binary, and writes the rows, (x - mean) / std and stride[0]
 * apart, to dst unless that is NULL.  0, or -1 with a sentence in "error", of
 * HELIX_KIND_ERROR_MAX bytes, and in->field.
 */
int helix_score_input(helix_score_input_t *in,
    const helix_score_model_t *model, const helix_args_t *args, float *dst,
    char *error);


extern const helix_param_t  helix_score_params[];


#endif /* HELIX_SCORE_INPUT_H_INCLUDED */
