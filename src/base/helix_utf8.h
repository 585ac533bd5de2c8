
/* UTF-8 as JSON sees it; pure, any thread. */

#ifndef HELIX_UTF8_H_INCLUDED
#define HELIX_UTF8_H_INCLUDED


#include <stdbool.h>
#include <stddef.h>


/* Neither quote, backslash, control character nor part of a sequence. */

static inline bool
helix_utf8_plain(char c)
{
    return (unsigned char) c >= 0x20 && (unsigned char) c < 0x80
           && c != '"' && c != '\\';
}


/* The length of the UTF-8 sequence at p, 0: it is none.  Unicode, table 3-7. */

static inline size_t
helix_utf8(const char *p, const char *end)
{
    size_t         i, n;
    unsigned char  c, low, high;

    c = (unsigned char) *p;

    if (c < 0x80) {
        return 1;
    }

    if (c < 0xc2 || c > 0xf4) {
        return 0;
    }

    n = (c < 0xe0) ? 2 : (c < 0xf0) ? 3 : 4;

    if ((size_t) (end - p) < n) {
        return 0;
    }

    low = (c == 0xe0) ? 0xa0 : (c == 0xf0) ? 0x90 : 0x80;
    high = (c == 0xed) ? 0x9f : (c == 0xf4) ? 0x8f : 0xbf;

    if ((unsigned char) p[1] < low || (unsigned char) p[1] > high) {
        return 0;
    }

    for (i = 2; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }

    return n;
}


#endif /* HELIX_UTF8_H_INCLUDED */
