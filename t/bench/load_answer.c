
/*
 * An answer: HTTP/1.1 with Content-Length, chunks or the end of the stream,
 * helix's headers, and those members of a JSON body that are of interest.
 */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "load_run.h"


#define LOAD_ANSWER_TOKENS  100000


typedef struct {
    char       *body;
    size_t      len;
    uint64_t    length;
    bool        has_length;
    bool        chunked;
    bool        json;
} load_body_t;


static ptrdiff_t load_answer_head(load_answer_t *answer, load_body_t *body,
    char *text, size_t len);
static void load_answer_header(load_answer_t *answer, load_body_t *body,
    const char *line, size_t len);
static bool load_answer_is(const char *line, size_t len, const char *name,
    const char **value, size_t *value_len);
static void load_answer_copy(char *dst, const char *text, size_t len);
static ptrdiff_t load_answer_chunks(load_body_t *body, char *text,
    size_t len);
static void load_answer_json(load_answer_t *answer, const load_body_t *body);
static void load_answer_member(load_answer_t *answer, const char *key,
    helix_json_token_t *token);


ptrdiff_t
load_answer(load_answer_t *answer, char *text, size_t len, bool end)
{
    size_t       head;
    ptrdiff_t    n;
    load_body_t  body;

    head = 0;

    do {
        memset(answer, 0, sizeof(load_answer_t));
        memset(&body, 0, sizeof(load_body_t));

        n = load_answer_head(answer, &body, text + head, len - head);
        if (n <= 0) {
            return n;
        }

        head += (size_t) n;

    } while (answer->status / 100 == 1);

    body.body = text + head;
    body.len = len - head;

    if (answer->status == 204 || answer->status == 304) {
        body.len = 0;

    } else if (body.chunked) {
        n = load_answer_chunks(&body, text + head, len - head);
        if (n <= 0) {
            return n;
        }

        head += (size_t) n;

    } else if (body.has_length) {

        if (len - head < body.length) {
            return 0;
        }

        body.len = (size_t) body.length;
        head += body.len;

    } else {
        if (!end) {
            return 0;
        }

        answer->close = true;
        head = len;
    }

    if (body.json && body.len) {
        load_answer_json(answer, &body);
    }

    return (ptrdiff_t) head;
}


static ptrdiff_t
load_answer_head(load_answer_t *answer, load_body_t *body, char *text,
    size_t len)
{
    char      *p, *line, *last;
    uint64_t   status;

    last = memmem(text, len, "\r\n\r\n", 4);

    if (len >= 7 && memcmp(text, "HTTP/1.", 7) != 0) {
        return -1;
    }

    if (last == NULL) {
        return 0;
    }

    if (last - text < 12 || text[8] != ' '
        || helix_number_u64(text + 9, 3, &status) != HELIX_NUMBER_OK
        || status < 100 || status > 599)
    {
        return -1;
    }

    answer->status = (uint32_t) status;
    answer->close = (text[7] == '0');

    line = memmem(text, len, "\r\n", 2);

    while (line < last) {
        line += 2;
        p = memmem(line, (size_t) (last + 2 - line), "\r\n", 2);

        load_answer_header(answer, body, line, (size_t) (p - line));

        line = p;
    }

    /* the status of a drop is the administrator's choice */

    answer->rejected = (status == 503 || status == 429
                        || strcmp(answer->strategy, "drop") == 0);

    return last + 4 - text;
}


static void
load_answer_header(load_answer_t *answer, load_body_t *body,
    const char *line, size_t len)
{
    size_t       n;
    uint64_t     seconds;
    const char  *value;

    if (load_answer_is(line, len, "Content-Length", &value, &n)) {
        body->has_length =
            (helix_number_u64(value, n, &body->length) == HELIX_NUMBER_OK);

    } else if (load_answer_is(line, len, "Transfer-Encoding", &value, &n)) {
        body->chunked = (n == 7 && strncasecmp(value, "chunked", 7) == 0);

    } else if (load_answer_is(line, len, "Connection", &value, &n)) {
        answer->close = (n == 5 && strncasecmp(value, "close", 5) == 0);

    } else if (load_answer_is(line, len, "Content-Type", &value, &n)) {
        body->json = (memmem(value, n, "json", 4) != NULL);

    } else if (load_answer_is(line, len, "Retry-After", &value, &n)) {
        if (!answer->has_retry_after
            && helix_number_u64(value, n, &seconds) == HELIX_NUMBER_OK
            && seconds <= 86400)
        {
            answer->has_retry_after = true;
            answer->retry_after = seconds * LOAD_SECOND;
        }

    } else if (load_answer_is(line, len, "X-Helix-Strategy", &value, &n)) {
        load_answer_copy(answer->strategy, value, n);

    } else if (load_answer_is(line, len, "X-Helix-Job", &value, &n)) {
        answer->has_id =
            (helix_number_u64(value, n, &answer->id) == HELIX_NUMBER_OK);
    }
}


static bool
load_answer_is(const char *line, size_t len, const char *name,
    const char **value, size_t *value_len)
{
    size_t  n;

    n = strlen(name);

    if (len <= n || line[n] != ':' || strncasecmp(line, name, n) != 0) {
        return false;
    }

    for (n++; n < len && line[n] == ' '; n++) { /* void */ }

    *value = line + n;
    *value_len = len - n;

    return true;
}


/* Names end up as keys in the report. */

static void
load_answer_copy(char *dst, const char *text, size_t len)
{
    size_t  i, n;

    n = (len < LOAD_NAME_LEN) ? len : LOAD_NAME_LEN - 1;

    for (i = 0; i < n; i++) {
        dst[i] = (text[i] > ' ' && text[i] < 127 && text[i] != '"'
                  && text[i] != '\\') ? text[i] : '_';
    }

    dst[n] = '\0';
}


/* The length of all chunks; they are put together only when all are there:
   it is called again with what it had seen before. */

static ptrdiff_t
load_answer_chunks(load_body_t *body, char *text, size_t len)
{
    bool      copy;
    char     *p, *end, *line, *dst;
    uint64_t  size;

    for (copy = false; /* void */; copy = true) {
        p = text;
        dst = text;

        for ( ;; ) {
            line = memmem(p, (size_t) (text + len - p), "\r\n", 2);
            if (line == NULL) {
                return 0;
            }

            size = strtoull(p, &end, 16);

            if (end == p || (*end != '\r' && *end != ';' && *end != ' ')) {
                return -1;
            }

            p = line + 2;

            if (size == 0) {
                break;
            }

            if (size + 2 > (size_t) (text + len - p)
                || size > SIZE_MAX / 2)
            {
                return (size > SIZE_MAX / 2) ? -1 : 0;
            }

            if (copy) {
                memmove(dst, p, size);
                dst += size;
            }

            p += size + 2;
        }

        /* trailers are not expected */

        if (text + len - p < 2) {
            return 0;
        }

        if (copy) {
            body->body = text;
            body->len = (size_t) (dst - text);

            return p + 2 - text;
        }
    }
}


/* Members of the outermost object. */

static void
load_answer_json(load_answer_t *answer, const load_body_t *body)
{
    char                key[LOAD_NAME_LEN];
    uint32_t            depth;
    helix_json_t        json;
    helix_json_token_t  token;

    depth = 0;
    key[0] = '\0';

    helix_json_init(&json, body->body, body->len, LOAD_ANSWER_TOKENS);

    for ( ;; ) {
        switch (helix_json_next(&json, &token)) {

        case HELIX_JSON_END:
            return;

        case HELIX_JSON_ERROR:
            answer->bad_json = true;
            return;

        case HELIX_JSON_OBJECT:
        case HELIX_JSON_ARRAY:
            depth++;
            break;

        case HELIX_JSON_OBJECT_END:
        case HELIX_JSON_ARRAY_END:
            depth--;
            break;

        case HELIX_JSON_KEY:
            load_answer_copy(key, token.start, token.len);
            break;

        case HELIX_JSON_NUMBER:
        case HELIX_JSON_STRING:
            if (depth == 1) {
                load_answer_member(answer, key, &token);
            }

            break;

        default:
            break;
        }
    }
}


static void
load_answer_member(load_answer_t *answer, const char *key,
    helix_json_token_t *token)
{
    uint64_t  ms, id;

    if (strcmp(key, "id") == 0) {

        /* a body that contradicts the header is a wrong echo as well */

        if (helix_number_u64(token->start, token->len, &id) != HELIX_NUMBER_OK
            || (answer->has_id && id != answer->id))
        {
            id = 0;
        }

        answer->has_id = true;
        answer->id = id;

    } else if (strcmp(key, "reason") == 0) {
        load_answer_copy(answer->reason, token->start, token->len);

    } else if (strcmp(key, "retry_after_ms") == 0) {
        if (helix_number_u64(token->start, token->len, &ms) == HELIX_NUMBER_OK
            && ms <= 86400000)
        {
            answer->has_retry_after = true;
            answer->retry_after = ms * LOAD_MSEC;
        }
    }
}
