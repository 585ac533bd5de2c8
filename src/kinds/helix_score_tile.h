
/*
 * The kernel for vectors of HELIX_SCORE_LANES floats: a group is two vectors,
 * and a tile some rows times some groups, whose sums stay in registers.  One
 * row has more groups, as a chain of sums waits for itself.
 *
 * The file that includes this defines HELIX_SCORE_LANES, HELIX_SCORE_TILE,
 * rows of a tile, and helix_score_vec_t with its load, store, set and fma.
 */

#include "helix_score_math.h"


#define HELIX_SCORE_GROUP     (2 * HELIX_SCORE_LANES)
#define HELIX_SCORE_PER       (HELIX_SCORE_PANEL / HELIX_SCORE_GROUP)

/* Processors do not look ahead beyond a page, which is 32 inputs: with several
   rows, enough work to hide it, 16 % faster where weights are not cached. */
#define HELIX_SCORE_AHEAD     16

#define HELIX_SCORE_INLINE    static inline __attribute__((always_inline))


/* Where a group begins, in the weights and in a row of outputs. */

HELIX_SCORE_INLINE size_t
helix_score_group(uint32_t group, size_t stride)
{
    return group / HELIX_SCORE_PER * stride
           + group % HELIX_SCORE_PER * HELIX_SCORE_GROUP;
}


HELIX_SCORE_INLINE void
helix_score_tile(const helix_score_block_t *b, uint32_t row, uint32_t group,
    const uint32_t rows, const uint32_t groups)
{
    size_t             at;
    float             *y[8];
    uint32_t           r, g, v, k;
    const float       *x[8], *w[4], *from;
    helix_score_vec_t  sum[8][4][2], weight[4][2], input;

    for (g = 0; g < groups; g++) {
        w[g] = b->weights + helix_score_group(group + g, b->stride);
    }

    for (r = 0; r < rows; r++) {
        x[r] = b->x[row + r] + b->k;
        y[r] = b->y[row + r] + b->out;

        for (g = 0; g < groups; g++) {
            at = helix_score_group(group + g, HELIX_SCORE_PANEL);
            from = (b->bias ? b->bias : y[r]) + at;

            for (v = 0; v < 2; v++) {
                sum[r][g][v] = helix_score_load_vec(from
                                                    + v * HELIX_SCORE_LANES);
            }
        }
    }

    for (k = 0; k < b->nk; k++) {
        for (g = 0; g < groups; g++) {

            if (rows >= 4) {
                __builtin_prefetch(w[g] + (k + HELIX_SCORE_AHEAD)
                                          * HELIX_SCORE_PANEL);
            }

            for (v = 0; v < 2; v++) {
                weight[g][v] = helix_score_load_vec(w[g]
                                                    + k * HELIX_SCORE_PANEL
                                                    + v * HELIX_SCORE_LANES);
            }
        }

        for (r = 0; r < rows; r++) {
            input = helix_score_set_vec(x[r][k]);

            for (g = 0; g < groups; g++) {
                for (v = 0; v < 2; v++) {
                    sum[r][g][v] = helix_score_fma_vec(weight[g][v], input,
                                                       sum[r][g][v]);
                }
            }
        }
    }

    for (r = 0; r < rows; r++) {
        for (g = 0; g < groups; g++) {
            at = helix_score_group(group + g, HELIX_SCORE_PANEL);

            for (v = 0; v < 2; v++) {
                helix_score_store_vec(y[r] + at + v * HELIX_SCORE_LANES,
                                      sum[r][g][v]);
            }
        }
    }
}


/* Constants, so that all loops of a tile but that over k are unrolled. */

static void
helix_score_tile_rows(const helix_score_block_t *b, uint32_t row,
    uint32_t group, uint32_t rows)
{
    switch (rows) {

    case 1:
        helix_score_tile(b, row, group, 1, 1);
        break;

    case 2:
        helix_score_tile(b, row, group, 2, 1);
        break;

    case 3:
        helix_score_tile(b, row, group, 3, 1);
        break;

    case 4:
        helix_score_tile(b, row, group, 4, 1);
        break;

    case 5:
        helix_score_tile(b, row, group, 5, 1);
        break;

#if HELIX_SCORE_TILE > 6

    case 7:
        helix_score_tile(b, row, group, 7, 1);
        break;

    case 8:
        helix_score_tile(b, row, group, 8, 1);
        break;

#endif

    default: /* 6 */
        helix_score_tile(b, row, group, 6, 1);
        break;
    }
}


/* Returns how many groups it has done. */

static uint32_t
helix_score_tile_groups(const helix_score_block_t *b, uint32_t row,
    uint32_t group, uint32_t rows, uint32_t ngroups)
{
    if (rows == 1 && ngroups >= 4) {
        helix_score_tile(b, row, group, 1, 4);
        return 4;
    }

    if (ngroups >= 2) {

        switch (rows) {

        case 1:
            helix_score_tile(b, row, group, 1, 2);
            return 2;

        case 2:
            helix_score_tile(b, row, group, 2, 2);
            return 2;

        case 3:
            helix_score_tile(b, row, group, 3, 2);
            return 2;
        }
    }

    helix_score_tile_rows(b, row, group, rows);

    return 1;
}


/* Tiles of about the same size: nine rows are five and four. */

static void
helix_score_run(const helix_score_block_t *b)
{
    uint32_t  row, rows, tiles, group, ngroups;

    tiles = (b->rows + HELIX_SCORE_TILE - 1) / HELIX_SCORE_TILE;
    ngroups = b->npanels * HELIX_SCORE_PER;

    for (row = 0; row < b->rows; row += rows) {
        rows = (b->rows - row + tiles - 1) / tiles;
        tiles--;

        for (group = 0; group < ngroups; /* void */ ) {
            group += helix_score_tile_groups(b, row, group, rows,
                                             ngroups - group);
        }
    }

    for (row = 0; row < b->rows; row++) {
        helix_score_apply(b->y[row] + b->out, b->npanels * HELIX_SCORE_PANEL,
                          b->function);
    }
}
