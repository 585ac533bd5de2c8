
/*
 * Values for some of the settings, by row of their table, whoever gave them:
 * a configuration, a file or a client.  Numbers as they are, ratios as the bits
 * of a double.
 */

#ifndef HELIX_LAYER_H_INCLUDED
#define HELIX_LAYER_H_INCLUDED


#include <stdint.h>


#define HELIX_LAYER_ROWS  32

typedef struct {
    uint64_t  set;                       /* bits, by row */
    uint64_t  values[HELIX_LAYER_ROWS];
} helix_layer_t;

#define helix_layer_has(layer, row)  ((layer)->set >> (row) & 1)


#endif /* HELIX_LAYER_H_INCLUDED */
