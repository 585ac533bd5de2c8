
/* What the fuzz targets share. */

#ifndef FUZZ_H_INCLUDED
#define FUZZ_H_INCLUDED


#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define FUZZ_ASSERT(condition)                                                \
    do {                                                                      \
        if (!(condition)) {                                                   \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__,      \
                    #condition);                                              \
            abort();                                                          \
        }                                                                     \
    } while (0)


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);


/* A copy of just the size, so that ASan sees each byte read beyond it. */

static inline char *
fuzz_block(const void *data, size_t size)
{
    char  *block;

    block = malloc(size ? size : 1);
    FUZZ_ASSERT(block != NULL);

    if (size) {
        memcpy(block, data, size);
    }

    return block;
}


#endif /* FUZZ_H_INCLUDED */
