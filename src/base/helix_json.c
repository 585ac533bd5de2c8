
#include "helix_json.h"
#include "helix_utf8.h"

#include <string.h>


/* What the reader expects next. */

typedef enum {
    helix_json_value = 0,
    helix_json_first,         /* after { or [: also the end of it */
    helix_json_name,
    helix_json_after,         /* a comma or an end */
    helix_json_failed
} helix_json_state_t;


void
helix_json_init(helix_json_t *json, const char *text, size_t len,
    uint32_t max_tokens)
{
    if (text == NULL) {
        text = "";
        len = 0;
    }

    json->start = text;
    json->pos = text;
    json->end = text + len;
    json->error = NULL;
    json->ntokens = 0;
    json->max_tokens = max_tokens;
    json->depth = 0;
    json->state = helix_json_value;
    json->objects = 0;
}


static helix_json_type_t
helix_json_fail(helix_json_t *json, const char *pos, const char *error)
{
    json->pos = pos;
    json->error = (pos == json->end) ? "unexpected end" : error;
    json->state = helix_json_failed;

    return HELIX_JSON_ERROR;
}


static inline bool
helix_json_digit(char c)
{
    return c >= '0' && c <= '9';
}


static inline bool
helix_json_in_object(const helix_json_t *json)
{
    return (json->objects >> json->depth) & 1;
}


static inline void
helix_json_skip(helix_json_t *json)
{
    const char  *p;

    p = json->pos;

    while (p < json->end
           && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
    {
        p++;
    }

    json->pos = p;
}


/* Reads four hex digits; returns p + 4, or where one was missing. */

static const char *
helix_json_hex(const char *p, const char *end, uint32_t *code)
{
    int       digit;
    uint32_t  i;

    *code = 0;

    for (i = 0; i < 4 && p < end; i++, p++) {

        if (*p >= '0' && *p <= '9') {
            digit = *p - '0';

        } else if (*p >= 'a' && *p <= 'f') {
            digit = *p - 'a' + 10;

        } else if (*p >= 'A' && *p <= 'F') {
            digit = *p - 'A' + 10;

        } else {
            break;
        }

        *code = *code * 16 + (uint32_t) digit;
    }

    return p;
}


/* Passes an escape, a surrogate pair as one; NULL: json->error says why. */

static const char *
helix_json_escape(helix_json_t *json, const char *slash)
{
    uint32_t     code, low;
    const char  *p, *end, *last;

    p = slash + 1;
    end = json->end;

    if (p == end || *p != 'u') {
        if (p < end && *p != '\0' && strchr("\"\\/bfnrt", *p)) {
            return p + 1;
        }

        (void) helix_json_fail(json, p, "unknown escape");
        return NULL;
    }

    last = helix_json_hex(p + 1, end, &code);

    if (last != p + 5) {
        (void) helix_json_fail(json, last, "expected four hex digits");
        return NULL;
    }

    if (code < 0xd800 || code > 0xdfff) {
        return last;
    }

    p = last;

    if (code < 0xdc00 && (p == end || (*p == '\\' && p + 1 == end))) {
        (void) helix_json_fail(json, end, NULL);
        return NULL;
    }

    if (code > 0xdbff || p[0] != '\\' || p[1] != 'u') {
        (void) helix_json_fail(json, slash, "lone surrogate");
        return NULL;
    }

    p += 2;
    last = helix_json_hex(p, end, &low);

    if (last != p + 4) {
        (void) helix_json_fail(json, last, "expected four hex digits");
        return NULL;
    }

    if (low < 0xdc00 || low > 0xdfff) {
        (void) helix_json_fail(json, slash, "lone surrogate");
        return NULL;
    }

    return last;
}


static helix_json_type_t
helix_json_quoted(helix_json_t *json, helix_json_token_t *token)
{
    size_t       n;
    const char  *p, *end;

    p = json->pos + 1;
    end = json->end;
    token->start = p;

    for ( ;; ) {

        while (p < end && helix_utf8_plain(*p)) {
            p++;
        }

        if (p == end) {
            return helix_json_fail(json, p, NULL);
        }

        if (*p == '"') {
            break;
        }

        if (*p == '\\') {
            token->escaped = true;
            p = helix_json_escape(json, p);

            if (p == NULL) {
                return HELIX_JSON_ERROR;
            }

            continue;
        }

        if ((unsigned char) *p < 0x20) {
            return helix_json_fail(json, p, "control character in a string");
        }

        n = helix_utf8(p, end);

        if (n == 0) {
            return helix_json_fail(json, p, "invalid UTF-8");
        }

        p += n;
    }

    token->len = (size_t) (p - token->start);
    json->pos = p + 1;
    json->state = helix_json_after;

    return HELIX_JSON_STRING;
}


static helix_json_type_t
helix_json_member(helix_json_t *json, helix_json_token_t *token)
{
    if (*json->pos != '"') {
        return helix_json_fail(json, json->pos, "expected a quoted name");
    }

    if (helix_json_quoted(json, token) == HELIX_JSON_ERROR) {
        return HELIX_JSON_ERROR;
    }

    helix_json_skip(json);

    if (json->pos == json->end || *json->pos != ':') {
        return helix_json_fail(json, json->pos, "expected ':'");
    }

    json->pos++;
    json->state = helix_json_value;

    return HELIX_JSON_KEY;
}


/* Passes one digit or more; NULL: json->error says so. */

static const char *
helix_json_digits(helix_json_t *json, const char *p)
{
    const char  *first, *end;

    end = json->end;

    for (first = p; p < end && helix_json_digit(*p); p++) { /* void */ }

    if (p == first) {
        (void) helix_json_fail(json, p, "expected a digit");
        return NULL;
    }

    return p;
}


static helix_json_type_t
helix_json_number(helix_json_t *json, helix_json_token_t *token)
{
    const char  *p, *end, *first;

    end = json->end;
    first = json->pos + (*json->pos == '-');
    p = helix_json_digits(json, first);

    if (p == NULL) {
        return HELIX_JSON_ERROR;
    }

    if (*first == '0' && p - first > 1) {
        return helix_json_fail(json, first + 1, "digit after a leading zero");
    }

    if (p < end && *p == '.') {
        p = helix_json_digits(json, p + 1);

        if (p == NULL) {
            return HELIX_JSON_ERROR;
        }
    }

    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;

        if (p < end && (*p == '+' || *p == '-')) {
            p++;
        }

        p = helix_json_digits(json, p);

        if (p == NULL) {
            return HELIX_JSON_ERROR;
        }
    }

    if (p - json->pos > HELIX_NUMBER_LEN_MAX) {
        return helix_json_fail(json, json->pos + HELIX_NUMBER_LEN_MAX,
                               "number too long");
    }

    token->start = json->pos;
    token->len = (size_t) (p - json->pos);
    json->pos = p;
    json->state = helix_json_after;

    return HELIX_JSON_NUMBER;
}


static helix_json_type_t
helix_json_word(helix_json_t *json, helix_json_token_t *token,
    const char *word, helix_json_type_t type)
{
    const char  *p;

    for (p = json->pos; *word; p++, word++) {
        if (p == json->end || *p != *word) {
            return helix_json_fail(json, p, "unknown word");
        }
    }

    token->start = json->pos;
    token->len = (size_t) (p - json->pos);
    json->pos = p;
    json->state = helix_json_after;

    return type;
}


static helix_json_type_t
helix_json_open(helix_json_t *json, helix_json_token_t *token, bool object)
{
    if (json->depth == HELIX_JSON_DEPTH_MAX) {
        return helix_json_fail(json, json->pos, "nested too deeply");
    }

    token->start = json->pos++;
    token->len = 1;

    json->depth++;
    json->objects &= ~(UINT32_C(1) << json->depth);
    json->objects |= (uint32_t) object << json->depth;
    json->state = helix_json_first;

    return object ? HELIX_JSON_OBJECT : HELIX_JSON_ARRAY;
}


static helix_json_type_t
helix_json_close(helix_json_t *json, helix_json_token_t *token)
{
    bool  object;

    object = helix_json_in_object(json);

    token->start = json->pos++;
    token->len = 1;

    json->depth--;
    json->state = helix_json_after;

    return object ? HELIX_JSON_OBJECT_END : HELIX_JSON_ARRAY_END;
}


static helix_json_type_t
helix_json_any(helix_json_t *json, helix_json_token_t *token)
{
    switch (*json->pos) {

    case '{':
        return helix_json_open(json, token, true);

    case '[':
        return helix_json_open(json, token, false);

    case '"':
        return helix_json_quoted(json, token);

    case 't':
        return helix_json_word(json, token, "true", HELIX_JSON_TRUE);

    case 'f':
        return helix_json_word(json, token, "false", HELIX_JSON_FALSE);

    case 'n':
        return helix_json_word(json, token, "null", HELIX_JSON_NULL);

    default:
        break;
    }

    if (*json->pos == '-' || helix_json_digit(*json->pos)) {
        return helix_json_number(json, token);
    }

    if (json->pos == json->start && (unsigned char) *json->pos == 0xef) {
        return helix_json_fail(json, json->pos, "byte order mark");
    }

    return helix_json_fail(json, json->pos, "expected a value");
}


static helix_json_type_t
helix_json_token(helix_json_t *json, helix_json_token_t *token)
{
    bool  object;
    char  end;

    helix_json_skip(json);

    object = helix_json_in_object(json);
    end = object ? '}' : ']';

    if (json->state == helix_json_after) {

        if (json->depth == 0) {
            return (json->pos == json->end) ? HELIX_JSON_END
                   : helix_json_fail(json, json->pos, "text after the value");
        }

        if (json->pos < json->end && *json->pos == end) {
            return helix_json_close(json, token);
        }

        if (json->pos == json->end || *json->pos != ',') {
            return helix_json_fail(json, json->pos,
                                   object ? "expected ',' or '}'"
                                          : "expected ',' or ']'");
        }

        json->pos++;
        json->state = object ? helix_json_name : helix_json_value;
        helix_json_skip(json);
    }

    if (json->pos == json->end) {
        return helix_json_fail(json, json->pos, NULL);
    }

    if (json->state == helix_json_first) {

        if (*json->pos == end) {
            return helix_json_close(json, token);
        }

        json->state = object ? helix_json_name : helix_json_value;
    }

    return (json->state == helix_json_name) ? helix_json_member(json, token)
                                            : helix_json_any(json, token);
}


helix_json_type_t
helix_json_next(helix_json_t *json, helix_json_token_t *token)
{
    token->type = HELIX_JSON_ERROR;
    token->escaped = false;
    token->start = json->pos;
    token->len = 0;

    if (json->state == helix_json_failed) {
        return HELIX_JSON_ERROR;
    }

    token->type = helix_json_token(json, token);

    if (token->type > HELIX_JSON_END) {

        if (json->ntokens == json->max_tokens) {
            token->type = helix_json_fail(json, token->start,
                                          "too many tokens");
            return token->type;
        }

        json->ntokens++;
    }

    return token->type;
}


/* Decodes one escape of a text that the reader passed. */

static size_t
helix_json_decode(const char **text, const char *end, char *dst)
{
    uint32_t     code, low;
    const char  *p, *name;

    static const char  names[] = "bfnrt";
    static const char  chars[] = "\b\f\n\r\t";

    p = *text + 1;

    if (*p != 'u') {
        name = strchr(names, *p);
        dst[0] = name ? chars[name - names] : *p;
        *text = p + 1;
        return 1;
    }

    p = helix_json_hex(p + 1, end, &code);

    if (code >= 0xd800 && code <= 0xdbff) {
        p = helix_json_hex(p + 2, end, &low);
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }

    *text = p;

    if (code < 0x80) {
        dst[0] = (char) code;
        return 1;
    }

    if (code < 0x800) {
        dst[0] = (char) (0xc0 | code >> 6);
        dst[1] = (char) (0x80 | (code & 0x3f));
        return 2;
    }

    if (code < 0x10000) {
        dst[0] = (char) (0xe0 | code >> 12);
        dst[1] = (char) (0x80 | (code >> 6 & 0x3f));
        dst[2] = (char) (0x80 | (code & 0x3f));
        return 3;
    }

    dst[0] = (char) (0xf0 | code >> 18);
    dst[1] = (char) (0x80 | (code >> 12 & 0x3f));
    dst[2] = (char) (0x80 | (code >> 6 & 0x3f));
    dst[3] = (char) (0x80 | (code & 0x3f));

    return 4;
}


ptrdiff_t
helix_json_text(const helix_json_token_t *token, char *dst, size_t size)
{
    char         piece[4];
    size_t       n, len;
    const char  *p, *end, *run;

    len = 0;
    end = token->start + token->len;

    for (p = token->start; p < end; /* void */ ) {

        if (*p == '\\') {
            n = helix_json_decode(&p, end, piece);
            run = piece;

        } else {
            run = p;
            p = memchr(p, '\\', (size_t) (end - p));
            p = p ? p : end;
            n = (size_t) (p - run);
        }

        if (n > size - len) {
            return -1;
        }

        memcpy(dst + len, run, n);
        len += n;
    }

    return (ptrdiff_t) len;
}


void
helix_json_position(const char *text, size_t offset, uint32_t *line,
    uint32_t *column)
{
    size_t  i;

    *line = 1;
    *column = 1;

    for (i = 0; i < offset; i++) {
        (*column)++;

        if (text[i] == '\n') {
            (*line)++;
            *column = 1;
        }
    }
}


bool
helix_json_skip_value(helix_json_t *json, const helix_json_token_t *token)
{
    unsigned            depth;
    helix_json_token_t  next;

    depth = 0;
    next = *token;

    for ( ;; ) {

        switch (next.type) {

        case HELIX_JSON_OBJECT:
        case HELIX_JSON_ARRAY:
            depth++;
            break;

        case HELIX_JSON_OBJECT_END:
        case HELIX_JSON_ARRAY_END:
            depth--;
            break;

        case HELIX_JSON_ERROR:
            return false;

        default:
            break;
        }

        if (depth == 0) {
            return true;
        }

        (void) helix_json_next(json, &next);
    }
}
