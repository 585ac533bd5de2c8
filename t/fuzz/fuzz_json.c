
/*
 * The JSON reader against jansson, and what it accepts through the writer and
 * back.  The differences that are meant: at most HELIX_JSON_DEPTH_MAX levels,
 * at most HELIX_NUMBER_LEN_MAX characters of a number; jansson has no name
 * with a NUL in it.  It reads integers as doubles here, so that what it
 * refuses for its size is just what helix_number_double() refuses.
 */

#include <jansson.h>

#include "fuzz.h"
#include "helix_json.h"


#define TOKENS    8192
#define PREFIXES  48


typedef struct {
    uint32_t             n;
    uint32_t             range;          /* numbers that no double holds */
    helix_json_token_t   tokens[TOKENS];
    const char          *error;
    size_t               offset;
} document_t;


static document_t  first, second, part;


/* The text must be a block of memory of just its size. */

static helix_json_type_t
read_document(const char *text, size_t len, document_t *doc)
{
    double               value;
    helix_json_t         json;
    helix_json_type_t    type;
    helix_json_token_t  *token, last;

    doc->n = 0;
    doc->range = 0;
    helix_json_init(&json, text, len, TOKENS - 1);

    for ( ;; ) {
        token = &doc->tokens[doc->n];
        type = helix_json_next(&json, token);

        FUZZ_ASSERT(token->type == type);
        FUZZ_ASSERT(json.pos >= text && json.pos <= text + len);
        FUZZ_ASSERT(token->start >= text && token->start <= text + len);
        FUZZ_ASSERT(token->len <= (size_t) (text + len - token->start));
        FUZZ_ASSERT(json.depth <= HELIX_JSON_DEPTH_MAX);
        FUZZ_ASSERT((type == HELIX_JSON_ERROR) == (json.error != NULL));

        if (type <= HELIX_JSON_END) {
            break;
        }

        FUZZ_ASSERT(token->start + token->len <= json.pos);

        if (type == HELIX_JSON_NUMBER) {
            doc->range += (helix_number_double(token->start, token->len,
                                               &value)
                           != HELIX_NUMBER_OK);
        }

        doc->n++;
        FUZZ_ASSERT(json.ntokens == doc->n);
    }

    doc->error = json.error;
    doc->offset = (size_t) (json.pos - text);

    FUZZ_ASSERT(helix_json_next(&json, &last) == type);

    return type;
}


static ptrdiff_t
decode(const helix_json_token_t *token, char **dst)
{
    ptrdiff_t  n;

    *dst = malloc(token->len + 1);
    FUZZ_ASSERT(*dst != NULL);

    n = helix_json_text(token, *dst, token->len);
    FUZZ_ASSERT(n >= 0);

    if (n > 0) {
        FUZZ_ASSERT(helix_json_text(token, *dst, (size_t) n - 1) == -1);
        FUZZ_ASSERT(helix_json_text(token, *dst, (size_t) n) == n);
    }

    (*dst)[n] = '\0';

    return n;
}


static int
plain(const char *text, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (text[i] < 0x20 || text[i] == '"' || text[i] == '\\') {
            return 0;
        }
    }

    return 1;
}


static void
write_token(helix_json_writer_t *w, const helix_json_token_t *token)
{
    char       *text;
    double      value;
    uint64_t    u;
    ptrdiff_t   n;

    switch (token->type) {

    case HELIX_JSON_KEY:
        n = decode(token, &text);

        if (plain(text, (size_t) n)) {
            helix_json_key(w, text);

        } else {
            helix_json_string(w, text, (size_t) n);

            if (!w->overflow && w->pos < w->end) {
                *w->pos++ = ':';
                w->comma = false;
            }
        }

        free(text);
        break;

    case HELIX_JSON_STRING:
        n = decode(token, &text);
        helix_json_string(w, text, (size_t) n);
        free(text);
        break;

    case HELIX_JSON_NUMBER:
        if (helix_number_u64(token->start, token->len, &u)
            == HELIX_NUMBER_OK)
        {
            helix_json_u64(w, u);

        } else {
            FUZZ_ASSERT(helix_number_double(token->start, token->len, &value)
                        == HELIX_NUMBER_OK);
            helix_json_double(w, value);
        }

        break;

    case HELIX_JSON_OBJECT:
        helix_json_object(w);
        break;

    case HELIX_JSON_OBJECT_END:
        helix_json_object_end(w);
        break;

    case HELIX_JSON_ARRAY:
        helix_json_array(w);
        break;

    case HELIX_JSON_ARRAY_END:
        helix_json_array_end(w);
        break;

    case HELIX_JSON_TRUE:
    case HELIX_JSON_FALSE:
        helix_json_bool(w, token->type == HELIX_JSON_TRUE);
        break;

    case HELIX_JSON_NULL:
        helix_json_null(w);
        break;

    default:
        FUZZ_ASSERT(0);
    }
}


static int
same_token(const helix_json_token_t *a, const helix_json_token_t *b)
{
    int         same;
    char       *ta, *tb;
    double      da, db;
    uint64_t    ua, ub;
    ptrdiff_t   na, nb;

    if (a->type != b->type) {
        return 0;
    }

    if (a->type == HELIX_JSON_KEY || a->type == HELIX_JSON_STRING) {
        na = decode(a, &ta);
        nb = decode(b, &tb);
        same = (na == nb && memcmp(ta, tb, (size_t) na) == 0);

        free(ta);
        free(tb);

        return same;
    }

    if (a->type != HELIX_JSON_NUMBER) {
        return 1;
    }

    if (helix_number_u64(a->start, a->len, &ua) == HELIX_NUMBER_OK) {
        return helix_number_u64(b->start, b->len, &ub) == HELIX_NUMBER_OK
               && ua == ub;
    }

    return helix_number_double(a->start, a->len, &da) == HELIX_NUMBER_OK
           && helix_number_double(b->start, b->len, &db) == HELIX_NUMBER_OK
           && memcmp(&da, &db, sizeof(double)) == 0;
}


/* The text of a document; NULL: it does not fit "size". */

static char *
write_document(const document_t *doc, size_t size, size_t *len)
{
    char                 *text;
    uint32_t              i;
    helix_json_writer_t   w;

    text = malloc(size ? size : 1);
    FUZZ_ASSERT(text != NULL);

    helix_json_writer_init(&w, text, size);

    for (i = 0; i < doc->n; i++) {
        write_token(&w, &doc->tokens[i]);
        FUZZ_ASSERT(w.pos >= text && w.pos <= text + size);
    }

    if (w.overflow) {
        free(text);
        return NULL;
    }

    *len = (size_t) (w.pos - text);

    return text;
}


static void
round_trip(const document_t *doc, size_t text_len, const json_t *tree)
{
    char      *text, *copy;
    size_t     len, again, size;
    json_t    *other;
    uint32_t   i;

    /* a control character grows six times, a number to 25 characters */

    size = text_len * 26 + 64;
    text = write_document(doc, size, &len);
    FUZZ_ASSERT(text != NULL);

    copy = fuzz_block(text, len);
    free(text);

    FUZZ_ASSERT(read_document(copy, len, &second) == HELIX_JSON_END);
    FUZZ_ASSERT(second.n == doc->n);

    for (i = 0; i < doc->n; i++) {
        FUZZ_ASSERT(same_token(&doc->tokens[i], &second.tokens[i]));
    }

    if (tree) {
        other = json_loadb(copy, len, JSON_DECODE_ANY | JSON_ALLOW_NUL
                                      | JSON_DECODE_INT_AS_REAL, NULL);
        FUZZ_ASSERT(other != NULL);
        FUZZ_ASSERT(json_equal(tree, other));
        json_decref(other);
    }

    /* just enough room, and less */

    text = write_document(doc, len, &again);
    FUZZ_ASSERT(text != NULL && again == len);
    FUZZ_ASSERT(memcmp(text, copy, len) == 0);
    free(text);

    free(write_document(doc, len / 2, &again));

    /* one byte less: but for a key's colon that is ours, it cannot fit */

    FUZZ_ASSERT(write_document(doc, len - 1, &again) == NULL);

    free(copy);
}


static void
prefixes(const char *text, size_t len)
{
    char               *copy;
    size_t              i, step;
    helix_json_type_t   type;

    step = len / PREFIXES + 1;

    for (i = 0; i < len; i += step) {
        copy = fuzz_block(text, i);
        type = read_document(copy, i, &part);
        free(copy);

        if (type == HELIX_JSON_END) {
            continue;
        }

        FUZZ_ASSERT(strcmp(part.error, "unexpected end") == 0
                    || strcmp(part.error, "invalid UTF-8") == 0);
    }
}


static uint32_t
tree_depth(json_t *tree)
{
    void        *it;
    size_t       i;
    uint32_t     depth, n;

    depth = 0;

    if (json_is_object(tree)) {
        for (it = json_object_iter(tree); it;
             it = json_object_iter_next(tree, it))
        {
            n = tree_depth(json_object_iter_value(it));
            depth = n > depth ? n : depth;
        }

    } else if (json_is_array(tree)) {
        for (i = 0; i < json_array_size(tree); i++) {
            n = tree_depth(json_array_get(tree, i));
            depth = n > depth ? n : depth;
        }

    } else {
        return 0;
    }

    return depth + 1;
}


/* Refused by us and not by jansson: only for our own limits. */

static void
check_refusal(const document_t *doc, const char *text, size_t len,
    json_t *tree)
{
    size_t    i, n;
    uint32_t  line, column;

    FUZZ_ASSERT(doc->offset <= len);

    helix_json_position(text, doc->offset, &line, &column);
    FUZZ_ASSERT(line >= 1 && column >= 1 && line + column <= len + 2);

    /* jansson loses a NUL byte behind a number or a word */

    if (tree == NULL || memchr(text, '\0', len)) {
        return;
    }

    if (strcmp(doc->error, "number too long") == 0) {
        for (i = doc->offset, n = 0; i > 0; i--, n++) {
            if (strchr("+-.eE0123456789", text[i - 1]) == NULL
                || text[i - 1] == '\0')
            {
                break;
            }
        }

        FUZZ_ASSERT(n >= HELIX_NUMBER_LEN_MAX);
        return;
    }

    if (strcmp(doc->error, "too many tokens") == 0) {
        FUZZ_ASSERT(doc->n == TOKENS - 1);
        return;
    }

    /* a name that is there twice may hide the deep one from the tree */

    FUZZ_ASSERT(strcmp(doc->error, "nested too deeply") == 0);
    FUZZ_ASSERT(tree_depth(tree) > HELIX_JSON_DEPTH_MAX
                || memchr(text, '{', len) != NULL);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char               *text;
    json_t             *tree;
    json_error_t        error;
    helix_json_type_t   type;

    text = fuzz_block(data, size);
    type = read_document(text, size, &first);

    tree = json_loadb(text, size, JSON_DECODE_ANY | JSON_ALLOW_NUL
                                  | JSON_DECODE_INT_AS_REAL, &error);

    if (type == HELIX_JSON_ERROR) {
        check_refusal(&first, text, size, tree);

    } else {
        if (first.range) {
            FUZZ_ASSERT(tree == NULL);
            FUZZ_ASSERT(json_error_code(&error)
                        == json_error_numeric_overflow);

        } else if (tree == NULL) {
            FUZZ_ASSERT(json_error_code(&error)
                        == json_error_null_byte_in_key);
        }

        if (first.range == 0) {
            round_trip(&first, size, tree);
        }

        prefixes(text, size);
    }

    json_decref(tree);
    free(text);

    return 0;
}
