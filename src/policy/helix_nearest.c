
#include <string.h>

#include "helix_settings.h"


#define HELIX_NEAREST_LEN_MAX   31


static size_t helix_edit_distance(const char *a, size_t alen, const char *b,
    size_t blen);


const char *
helix_nearest(const char *text, size_t len, const char *const *names)
{
    size_t       i, n, limit, distance, best;
    const char  *nearest;

    if (len == 0 || len > HELIX_NEAREST_LEN_MAX) {
        return NULL;
    }

    best = HELIX_NEAREST_LEN_MAX;
    nearest = NULL;

    for (i = 0; names[i] != NULL; i++) {
        n = strlen(names[i]);

        if (n > HELIX_NEAREST_LEN_MAX) {
            continue;
        }

        limit = (n < 3) ? 1 : n / 3;
        distance = helix_edit_distance(text, len, names[i], n);

        if (distance <= limit && distance < best) {
            best = distance;
            nearest = names[i];
        }
    }

    return nearest;
}


char
helix_lower(char c)
{
    return (char) ((c >= 'A' && c <= 'Z') ? c | 0x20 : c);
}


static size_t
helix_edit_distance(const char *a, size_t alen, const char *b, size_t blen)
{
    char     ca, cb;
    size_t   i, j, edits;
    size_t  *swap, *before, *above, *row;
    size_t   rows[3][HELIX_NEAREST_LEN_MAX + 1];

    before = rows[0];
    above = rows[1];
    row = rows[2];

    for (j = 0; j <= blen; j++) {
        above[j] = j;
    }

    for (i = 1; i <= alen; i++) {
        row[0] = i;
        ca = helix_lower(a[i - 1]);

        for (j = 1; j <= blen; j++) {
            cb = helix_lower(b[j - 1]);

            edits = (above[j] < row[j - 1]) ? above[j] + 1 : row[j - 1] + 1;

            if (above[j - 1] + (ca != cb) < edits) {
                edits = above[j - 1] + (ca != cb);
            }

            if (i > 1 && j > 1 && ca == helix_lower(b[j - 2])
                && cb == helix_lower(a[i - 2]) && before[j - 2] + 1 < edits)
            {
                edits = before[j - 2] + 1;
            }

            row[j] = edits;
        }

        swap = before;
        before = above;
        above = row;
        row = swap;
    }

    return above[blen];
}
