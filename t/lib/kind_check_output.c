
/* What finish() writes, and whether it keeps to the rules. */

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "helix_json.h"
#include "helix_utf8.h"
#include "kind_check.h"


#define OUTPUT_MAX    ((size_t) 64 << 20)
#define OUTPUT_DEPTH  8


typedef struct {
    helix_output_t        base;
    helix_json_writer_t   json;
    char                  open[OUTPUT_DEPTH];   /* { or [ */
    uint32_t              depth;
    bool                  key;          /* a value must follow */
    uint64_t              values;
    bool                  body;
    check_answer_t       *answer;
} output_t;


static output_t *
value(helix_output_t *base)
{
    output_t  *out;

    out = (output_t *) base;

    if (out->body) {
        check_fail("finish() writes values after a body");
    }

    if (out->depth != 0 && out->open[out->depth - 1] == '{' && !out->key) {
        check_fail("finish() writes a value into an object without a key");
    }

    out->key = false;
    out->values++;

    return out;
}


static void
text_is_utf8(const char *what, const char *text, size_t len)
{
    size_t       n;
    const char  *p;

    for (p = text; p < text + len; p += n) {
        n = helix_utf8(p, text + len);

        if (n == 0) {
            check_fail("finish() writes %s that is not UTF-8", what);
        }
    }
}


static void
out_u64(helix_output_t *base, uint64_t number)
{
    helix_json_u64(&value(base)->json, number);
}


static void
out_f64(helix_output_t *base, double number)
{
    if (!isfinite(number)) {
        check_fail("finish() writes a number that is not finite");
    }

    helix_json_double(&value(base)->json, number);
}


static void
out_text(helix_output_t *base, const char *text, size_t len)
{
    text_is_utf8("text", text, len);
    helix_json_string(&value(base)->json, text, len);
}


static void
out_boolean(helix_output_t *base, int flag)
{
    helix_json_bool(&value(base)->json, flag != 0);
}


static void
out_key(helix_output_t *base, const char *name)
{
    output_t  *out;

    out = (output_t *) base;

    if (out->depth == 0 || out->open[out->depth - 1] != '{' || out->key) {
        check_fail("finish() writes the key \"%s\" where none can be", name);
    }

    text_is_utf8("a key", name, strlen(name));
    helix_json_key(&out->json, name);
    out->key = true;
}


static void
out_open(helix_output_t *base, char c)
{
    output_t  *out;

    out = value(base);

    if (out->depth == OUTPUT_DEPTH) {
        check_fail("finish() nests more than %d deep", OUTPUT_DEPTH);
    }

    out->open[out->depth++] = c;

    if (c == '{') {
        helix_json_object(&out->json);

    } else {
        helix_json_array(&out->json);
    }
}


static void
out_close(helix_output_t *base, char c)
{
    output_t  *out;

    out = (output_t *) base;

    if (out->depth == 0 || out->open[out->depth - 1] != c || out->key) {
        check_fail("finish() ends what it has not begun");
    }

    out->depth--;

    if (c == '{') {
        helix_json_object_end(&out->json);

    } else {
        helix_json_array_end(&out->json);
    }
}


static void
out_object(helix_output_t *base)
{
    out_open(base, '{');
}


static void
out_object_end(helix_output_t *base)
{
    out_close(base, '{');
}


static void
out_array(helix_output_t *base)
{
    out_open(base, '[');
}


static void
out_array_end(helix_output_t *base)
{
    out_close(base, '[');
}


static void
out_body(helix_output_t *base, const char *type, const void *data,
    size_t len)
{
    output_t  *out;

    out = (output_t *) base;

    if (out->body || out->values != 0) {
        check_fail("finish() writes a body beside something else");
    }

    if (type == NULL || strchr(type, '/') == NULL
        || strlen(type) >= sizeof(out->answer->type))
    {
        check_fail("finish() writes a body of no type");
    }

    out->body = true;

    strcpy(out->answer->type, type);
    out->answer->len = len;
    out->answer->data = malloc(len + 1);

    if (out->answer->data == NULL) {
        check_fail("no memory");
    }

    memcpy(out->answer->data, data, len);
    out->answer->data[len] = '\0';
}


void
check_output(check_t *c, const void *state, bool truncated,
    check_answer_t *answer)
{
    size_t        len;
    output_t      out;

    static char  *buffer;

    if (buffer == NULL) {
        buffer = mmap(NULL, OUTPUT_MAX, PROT_READ|PROT_WRITE,
                      MAP_PRIVATE|MAP_ANONYMOUS|MAP_NORESERVE, -1, 0);

        if (buffer == MAP_FAILED) {
            check_fail("no memory");
        }
    }

    memset(&out, 0, sizeof(out));

    out.base = (helix_output_t) {
        sizeof(helix_output_t), truncated, out_u64, out_f64, out_text,
        out_boolean, out_key, out_object, out_object_end, out_array,
        out_array_end, out_body
    };

    out.answer = answer;
    answer->type[0] = '\0';

    helix_json_writer_init(&out.json, buffer, OUTPUT_MAX);
    helix_json_array(&out.json);

    check_where = "finish()";
    c->kind.finish(state, &out.base);
    check_where = "";

    helix_json_array_end(&out.json);

    if (out.body) {
        return;
    }

    if (out.values == 0) {
        check_fail("finish() writes nothing");
    }

    if (out.depth != 0) {
        check_fail("finish() leaves an object or array open");
    }

    if (out.json.overflow) {
        check_fail("finish() writes more than %zu bytes", OUTPUT_MAX);
    }

    len = (size_t) (out.json.pos - out.json.start);

    answer->len = len;
    answer->data = malloc(len + 1);

    if (answer->data == NULL) {
        check_fail("no memory");
    }

    memcpy(answer->data, buffer, len);
    answer->data[len] = '\0';
}
