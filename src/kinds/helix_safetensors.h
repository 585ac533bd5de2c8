
/*
 * The header of a safetensors file: 8 bytes, little-endian, its length; JSON,
 * { name: { "dtype", "shape", "data_offsets" }, ... }; then the tensors, whose
 * offsets count from the end of the JSON, row-major, little-endian, without
 * gaps.  https://huggingface.co/docs/safetensors
 *
 * Pure, no allocation.  The file is a claim: whatever it holds, the answer is
 * a table whose tensors are inside the file and do not overlap, or a sentence.
 */

#ifndef HELIX_SAFETENSORS_H_INCLUDED
#define HELIX_SAFETENSORS_H_INCLUDED


#include <stddef.h>
#include <stdint.h>


#define HELIX_SAFETENSORS_HEADER   (16u << 20)
#define HELIX_SAFETENSORS_TENSORS  256
#define HELIX_SAFETENSORS_DIMS     8
#define HELIX_SAFETENSORS_NAME     64   /* with its zero */
#define HELIX_SAFETENSORS_VALUE    32   /* likewise, of metadata */


typedef enum {
    HELIX_SAFETENSORS_F32 = 0,
    HELIX_SAFETENSORS_F16,
    HELIX_SAFETENSORS_BF16
} helix_safetensors_type_t;


typedef struct {
    char                       name[HELIX_SAFETENSORS_NAME];  /* of printable
                                                                 ASCII */
    helix_safetensors_type_t   type;
    uint32_t                   ndims;
    uint64_t                   dims[HELIX_SAFETENSORS_DIMS];  /* none is 0 */
    uint64_t                   begin;   /* from the end of the header */
    uint64_t                   end;
} helix_safetensors_tensor_t;


/* A member of "__metadata__" that is of interest; the others are skipped. */

typedef struct {
    const char                *name;
    uint32_t                   given;
    char                       value[HELIX_SAFETENSORS_VALUE];
} helix_safetensors_meta_t;


/* The tensors are in the order of their data. */

typedef struct {
    uint32_t                     ntensors;
    helix_safetensors_tensor_t   tensors[HELIX_SAFETENSORS_TENSORS];
} helix_safetensors_t;


/*
 * The length of the JSON in a file of that size, from its first 8 bytes; 0:
 * "error", of HELIX_KIND_ERROR_MAX bytes, says what is wrong.
 */
size_t helix_safetensors_header(const unsigned char *start,
    uint64_t file_size, char *error);

/*
 * Reads the JSON; "size" bytes of data follow it.  0, or -1 with a sentence in
 * "error", likewise.
 */
int helix_safetensors_parse(helix_safetensors_t *st, const char *json,
    size_t len, uint64_t size, helix_safetensors_meta_t *meta,
    uint32_t nmeta, char *error);

/* Bytes of an element. */
size_t helix_safetensors_size(helix_safetensors_type_t type);

/* n elements as floats, exactly. */
void helix_safetensors_floats(helix_safetensors_type_t type,
    const unsigned char *src, float *dst, size_t n);


#endif /* HELIX_SAFETENSORS_H_INCLUDED */
