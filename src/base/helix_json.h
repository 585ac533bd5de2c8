
/*
 * JSON: a strict, bounded, iterative reader and a bounded writer, and the
 * number syntax that both share with query strings.
 *
 * Pure C11, no allocation, no locale, no recursion.  Any thread; an object is
 * used by one thread at a time.  Grammar: RFC 8259, UTF-8 without byte order
 * mark, nothing accepted beyond it.
 */

#ifndef HELIX_JSON_H_INCLUDED
#define HELIX_JSON_H_INCLUDED


#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>


#define HELIX_JSON_DEPTH_MAX   16     /* open arrays and objects */
#define HELIX_NUMBER_LEN_MAX   64     /* characters of one number */


typedef enum {
    HELIX_JSON_ERROR = -1,
    HELIX_JSON_END = 0,               /* the document is complete */
    HELIX_JSON_OBJECT,                /* { */
    HELIX_JSON_OBJECT_END,            /* } */
    HELIX_JSON_ARRAY,                 /* [ */
    HELIX_JSON_ARRAY_END,             /* ] */
    HELIX_JSON_KEY,                   /* "name": the colon is consumed */
    HELIX_JSON_STRING,
    HELIX_JSON_NUMBER,
    HELIX_JSON_TRUE,
    HELIX_JSON_FALSE,
    HELIX_JSON_NULL
} helix_json_type_t;


/* Start and length point into the document: the characters between the quotes
   of a key or string, the digits of a number. */

typedef struct {
    helix_json_type_t   type;
    bool                escaped;      /* the text contains a backslash */
    const char         *start;
    size_t              len;
} helix_json_token_t;


typedef struct {
    const char         *start;
    const char         *pos;
    const char         *end;
    const char         *error;        /* static sentence, NULL: no error;
                                         "pos" is where it was found */
    uint32_t            ntokens;
    uint32_t            max_tokens;
    uint8_t             depth;
    uint8_t             state;        /* private */
    uint32_t            objects;      /* private: bit n: level n is an object */
} helix_json_t;


/* The document is borrowed and must stay until the last token was used. */
void helix_json_init(helix_json_t *json, const char *text, size_t len,
    uint32_t max_tokens);

/*
 * The next token; on HELIX_JSON_ERROR json->error and json->pos tell what was
 * wrong and where, and every later call answers the same.
 */
helix_json_type_t helix_json_next(helix_json_t *json,
    helix_json_token_t *token);

/* To the end of the value that begins with this token: of an array or object
   to its last token.  False when there is an error before. */
bool helix_json_skip_value(helix_json_t *json,
    const helix_json_token_t *token);

/*
 * Decodes the escapes of a key or string token into dst.  Returns the length,
 * or -1 when it would exceed "size".  Works on unescaped tokens too.
 */
ptrdiff_t helix_json_text(const helix_json_token_t *token, char *dst,
    size_t size);

/* Line and column, from 1, of an offset in a text, columns counted in bytes. */
void helix_json_position(const char *text, size_t offset, uint32_t *line,
    uint32_t *column);


/*
 * Numbers.  The whole text must be a number of the JSON grammar of at most
 * HELIX_NUMBER_LEN_MAX characters.
 *
 *   u64      digits only: no sign, fraction or exponent; exact up to 2^64-1
 *   double   correctly rounded (to nearest, ties to even) for every input;
 *            overflow is HELIX_NUMBER_RANGE, underflow rounds to 0 or a
 *            denormal
 */

typedef enum {
    HELIX_NUMBER_OK = 0,
    HELIX_NUMBER_SYNTAX,
    HELIX_NUMBER_RANGE
} helix_number_result_t;

helix_number_result_t helix_number_u64(const char *text, size_t len,
    uint64_t *value);
helix_number_result_t helix_number_double(const char *text, size_t len,
    double *value);

/*
 * The shortest decimal text that reads back as the same double, in JSON
 * syntax.  "dst" holds at least 32 bytes; returns the length, no NUL.  Not
 * finite: "null".
 */
size_t helix_number_print(double value, char *dst);


/*
 * The writer puts commas and quotes where they belong.  A value that does not
 * fit sets "overflow" and nothing more is written: check it once, at the end.
 * Inside an object each value is preceded by helix_json_key().
 */

typedef struct {
    char               *start;
    char               *pos;
    char               *end;
    bool                overflow;
    bool                comma;        /* private */
    bool                quote_integers;  /* 64 bit integers as strings */
} helix_json_writer_t;

void helix_json_writer_init(helix_json_writer_t *w, char *dst, size_t size);

void helix_json_object(helix_json_writer_t *w);
void helix_json_object_end(helix_json_writer_t *w);
void helix_json_array(helix_json_writer_t *w);
void helix_json_array_end(helix_json_writer_t *w);

/* A key that needs no escaping: a C literal of ours. */
void helix_json_key(helix_json_writer_t *w, const char *name);

/* Untrusted text; bytes that are not UTF-8 become U+FFFD. */
void helix_json_string(helix_json_writer_t *w, const char *text, size_t len);
void helix_json_cstring(helix_json_writer_t *w, const char *text);
void helix_json_u64(helix_json_writer_t *w, uint64_t value);
void helix_json_double(helix_json_writer_t *w, double value);

/* value / 10^decimals, e.g. (1204, 3): 1.204; 0 <= decimals <= 9 */
void helix_json_fixed(helix_json_writer_t *w, uint64_t value,
    unsigned decimals);
void helix_json_bool(helix_json_writer_t *w, bool value);
void helix_json_null(helix_json_writer_t *w);


#endif /* HELIX_JSON_H_INCLUDED */
