
#include "helix_json.h"
#include "helix_utf8.h"

#include <string.h>


void
helix_json_writer_init(helix_json_writer_t *w, char *dst, size_t size)
{
    w->start = dst;
    w->pos = dst;
    w->end = size ? dst + size : dst;
    w->overflow = false;
    w->comma = false;
    w->quote_integers = false;
}


static void
helix_json_put(helix_json_writer_t *w, const char *text, size_t len)
{
    if (w->overflow || (size_t) (w->end - w->pos) < len) {
        w->overflow = true;
        return;
    }

    memcpy(w->pos, text, len);
    w->pos += len;
}


/* A value or a name with what belongs before it; all of it or nothing. */

static void
helix_json_item(helix_json_writer_t *w, const char *text, size_t len)
{
    char  *pos;

    pos = w->pos;

    if (w->comma) {
        helix_json_put(w, ",", 1);
    }

    helix_json_put(w, text, len);

    if (w->overflow) {
        w->pos = pos;
    }

    w->comma = true;
}


void
helix_json_object(helix_json_writer_t *w)
{
    helix_json_item(w, "{", 1);
    w->comma = false;
}


void
helix_json_object_end(helix_json_writer_t *w)
{
    helix_json_put(w, "}", 1);
    w->comma = true;
}


void
helix_json_array(helix_json_writer_t *w)
{
    helix_json_item(w, "[", 1);
    w->comma = false;
}


void
helix_json_array_end(helix_json_writer_t *w)
{
    helix_json_put(w, "]", 1);
    w->comma = true;
}


void
helix_json_key(helix_json_writer_t *w, const char *name)
{
    char    *p;
    size_t   len;

    len = strlen(name);
    p = w->pos;

    if (w->overflow
        || (size_t) (w->end - p) < w->comma + len + sizeof("\"\":") - 1)
    {
        w->overflow = true;
        w->comma = false;
        return;
    }

    if (w->comma) {
        *p++ = ',';
    }

    *p++ = '"';
    memcpy(p, name, len);
    p += len;
    *p++ = '"';
    *p++ = ':';

    w->pos = p;
    w->comma = false;
}


static size_t
helix_json_encode(char c, char *dst)
{
    const char  *p;

    static const char  chars[] = "\"\\\b\f\n\r\t";
    static const char  names[] = "\"\\bfnrt";
    static const char  hex[] = "0123456789abcdef";

    if ((unsigned char) c >= 0x80) {
        memcpy(dst, "\xef\xbf\xbd", 3);
        return 3;
    }

    p = (c != '\0') ? strchr(chars, c) : NULL;

    if (p) {
        dst[0] = '\\';
        dst[1] = names[p - chars];
        return 2;
    }

    memcpy(dst, "\\u00", 4);
    dst[4] = hex[(unsigned char) c >> 4];
    dst[5] = hex[c & 15];

    return 6;
}


void
helix_json_string(helix_json_writer_t *w, const char *text, size_t len)
{
    char        *pos, piece[6];
    size_t       n, i;

    pos = w->pos;
    helix_json_item(w, "\"", 1);

    for (i = 0; i < len && !w->overflow; i += n) {

        for (n = 0; i + n < len && helix_utf8_plain(text[i + n]); n++) {
            /* void */
        }

        if (n == 0 && (unsigned char) text[i] >= 0x80) {
            n = helix_utf8(text + i, text + len);
        }

        if (n) {
            helix_json_put(w, text + i, n);
            continue;
        }

        helix_json_put(w, piece, helix_json_encode(text[i], piece));
        n = 1;
    }

    helix_json_put(w, "\"", 1);

    if (w->overflow) {
        w->pos = pos;
    }
}


void
helix_json_cstring(helix_json_writer_t *w, const char *text)
{
    helix_json_string(w, text, strlen(text));
}


/* Writes digits backwards, at least "min" of them; returns the first. */

static char *
helix_json_decimal(char *end, uint64_t value, unsigned min)
{
    char  *p;

    p = end;

    do {
        *--p = (char) ('0' + value % 10);
        value /= 10;
    } while (value || end - p < (ptrdiff_t) min);

    return p;
}


void
helix_json_u64(helix_json_writer_t *w, uint64_t value)
{
    char  *p, text[24];

    if (w->overflow) {
        return;
    }

    p = text + sizeof(text) - 1;
    *p = '"';
    p = helix_json_decimal(p, value, 1);

    if (w->quote_integers) {
        *--p = '"';
        helix_json_item(w, p, (size_t) (text + sizeof(text) - p));
        return;
    }

    helix_json_item(w, p, (size_t) (text + sizeof(text) - 1 - p));
}


void
helix_json_double(helix_json_writer_t *w, double value)
{
    char  text[32];

    if (w->overflow) {
        return;
    }

    helix_json_item(w, text, helix_number_print(value, text));
}


void
helix_json_fixed(helix_json_writer_t *w, uint64_t value, unsigned decimals)
{
    char     *p, text[32];
    size_t    len;

    p = helix_json_decimal(text + sizeof(text), value, decimals + 1);
    len = (size_t) (text + sizeof(text) - p);

    if (decimals) {
        p--;
        memmove(p, p + 1, len - decimals);
        text[sizeof(text) - decimals - 1] = '.';
        len++;
    }

    helix_json_item(w, p, len);
}


void
helix_json_bool(helix_json_writer_t *w, bool value)
{
    helix_json_item(w, value ? "true" : "false", value ? 4 : 5);
}


void
helix_json_null(helix_json_writer_t *w)
{
    helix_json_item(w, "null", 4);
}
