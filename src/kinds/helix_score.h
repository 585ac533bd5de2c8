
/*
 * score: what its files share.
 *
 * A model is a chain of dense layers, y = f(W x + b), of floats.  W is packed
 * when it is loaded: outputs go in panels of HELIX_SCORE_PANEL, and a panel
 * holds, input after input, the weights of its outputs, zeros where there are
 * no more.
 *
 * Each output is bias + w[0] x[0] + w[1] x[1] + ..., added up in this order by
 * fused multiply-adds.  Nothing else decides about its bits: neither how many
 * rows are computed together, nor where a job was interrupted, nor for which
 * instruction set the code is.
 */

#ifndef HELIX_SCORE_H_INCLUDED
#define HELIX_SCORE_H_INCLUDED


#include <stddef.h>
#include <stdint.h>


#define HELIX_SCORE_PANEL     32
#define HELIX_SCORE_LAYERS    64
#define HELIX_SCORE_WIDTH     16384     /* inputs or outputs of a layer */
#define HELIX_SCORE_NUMBERS   4096      /* outputs of an answer in JSON */
#define HELIX_SCORE_OUTPUTS   4096      /* of the last one */
#define HELIX_SCORE_WEIGHTS   (256u << 20)  /* 1 GB */
#define HELIX_SCORE_ROWS      64        /* of a job */

/* what a function of an output takes, in multiply-adds */
#define HELIX_SCORE_CHEAP     4         /* up to relu */
#define HELIX_SCORE_DEAR      32

/* uses of a function */
#define HELIX_SCORE_ACTIVATION  0x1
#define HELIX_SCORE_OUTPUT      0x2


typedef enum {
    HELIX_SCORE_IDENTITY = 0,
    HELIX_SCORE_RELU,
    HELIX_SCORE_TANH,
    HELIX_SCORE_GELU,
    HELIX_SCORE_SIGMOID,
    HELIX_SCORE_SOFTMAX,                /* over a row: not of a block */
    HELIX_SCORE_UNSET
} helix_score_function_t;


/*
 * Some panels, some of their inputs and some rows.  Row r has its inputs at
 * x[r] + k, and its outputs or what has been added up of them at y[r] + out.
 */

typedef struct {
    const float             *weights;   /* of the first panel and input */
    size_t                   stride;    /* floats from panel to panel */
    const float             *bias;      /* NULL: y holds sums to go on with */
    const float *const      *x;
    float *const            *y;
    uint32_t                 rows;
    uint32_t                 k;
    uint32_t                 nk;
    uint32_t                 out;
    uint32_t                 npanels;
    helix_score_function_t   function;  /* of the sums, if they are whole */
} helix_score_block_t;


/* The kernel for an instruction set. */

typedef struct {
    const char              *name;
    uint32_t                 budget;    /* multiply-adds between polls, at
                                           most one and a half times */
    void                   (*run)(const helix_score_block_t *block);
    void                   (*softmax)(float *y, uint32_t n);
    int                    (*supported)(void);
} helix_score_isa_t;


typedef struct {
    uint32_t                 number;    /* in the names of its tensors */
    uint32_t                 inputs;
    uint32_t                 outputs;
    uint32_t                 npanels;
    helix_score_function_t   function;
    float                   *weights;
    float                   *bias;      /* whole panels */
} helix_score_layer_t;


typedef struct {
    uint32_t                 inputs;
    uint32_t                 outputs;
    uint32_t                 nlayers;
    uint32_t                 stride[2]; /* of rows: even layers read [0] and
                                           write [1], odd ones vice versa */
    uint64_t                 work;      /* multiply-adds of a row */
    uint32_t                 wait;      /* reading the weights takes as long
                                           as so many rows */
    helix_score_function_t   output;
    const helix_score_isa_t *isa;
    float                   *mean;      /* inputs are (x - mean) / std */
    float                   *std;
    void                    *memory;
    size_t                   size;
    helix_score_layer_t      layers[HELIX_SCORE_LAYERS];
} helix_score_model_t;


/*
 * [conf] A model from a file, or NULL with a sentence in "error", of
 * HELIX_KIND_ERROR_MAX bytes.  HELIX_SCORE_UNSET is what the file says, or
 * relu and identity.
 */
helix_score_model_t *helix_score_load(const char *file,
    helix_score_function_t activation, helix_score_function_t output,
    char *error);
void helix_score_free(helix_score_model_t *model);

/* HELIX_SCORE_UNSET: there is none of that name for this use. */
helix_score_function_t helix_score_function(const char *name, uint32_t use);

/* Those that this machine has, best first; NULL: there are no more. */
const helix_score_isa_t *helix_score_isa(uint32_t i);


extern const helix_score_isa_t  helix_score_avx512;
extern const helix_score_isa_t  helix_score_avx2;
extern const helix_score_isa_t  helix_score_plain;


#endif /* HELIX_SCORE_H_INCLUDED */
