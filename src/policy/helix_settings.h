
/*
 * The settings of the router, and the one table from which directives,
 * validation and documentation tests are made.
 *
 * Pure; any thread.  Times are milliseconds in the struct.
 */

#ifndef HELIX_SETTINGS_H_INCLUDED
#define HELIX_SETTINGS_H_INCLUDED


#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>


#define HELIX_SETTING_ERROR_MAX  256
#define HELIX_SETTING_TEXT_MAX   64      /* of a value, as written */
#define HELIX_SETTING_QUOTE_MAX  52      /* of a user's text, in a sentence */
#define HELIX_CONCURRENCY_MAX    64      /* tokens in the zone */
#define HELIX_QUEUE_MAX          65536
#define HELIX_BATCH_MAX          1024


typedef struct {
    bool       predictive;               /* else threshold; not in the table */
    uint64_t   inline_threshold;         /* cost */
    uint64_t   spawn_threshold;          /* cost */
    uint64_t   concurrency;              /* jobs that run at once, host-wide */
    uint64_t   queue;                    /* jobs that may wait, per strategy,
                                            host-wide */
    uint64_t   busy;                     /* running jobs at which backpressure
                                            starts; 0: off */
    uint64_t   nice;                     /* added to the pool threads' nice */
    uint64_t   memory;                   /* bytes of jobs, host-wide */
    uint64_t   batching;                 /* 0, 1 */
    uint64_t   batch_size;               /* jobs */
    uint64_t   batch_delay;              /* ms */
    uint64_t   adapt;                    /* 0, 1 */
    uint64_t   adapt_p95;                /* ms */
    double     adapt_step;
    double     adapt_factor;
    double     alpha;                    /* of the pressure's averages */
} helix_settings_t;


typedef enum {
    HELIX_SETTING_NUMBER,                /* uint64_t */
    HELIX_SETTING_TIME,                  /* uint64_t, ms; text "10ms", "2s" */
    HELIX_SETTING_SIZE,                  /* uint64_t, bytes; text "512m" */
    HELIX_SETTING_RATIO,                 /* double */
    HELIX_SETTING_FLAG                   /* uint64_t, "on" or "off" */
} helix_setting_type_t;

#define HELIX_SETTING_AUTO   0x1        /* "auto" is accepted: see .automatic */
#define HELIX_SETTING_OFF    0x2        /* "off" is accepted: 0 */
#define HELIX_SETTING_FIXED  0x4        /* by the configuration alone */


/*
 * A directive sets one or more rows.  A row with parameter NULL is the
 * directive's bare value; others are written "parameter=value".
 */

typedef struct {
    const char            *name;         /* as in the API: the seed's names */
    const char            *directive;
    const char            *parameter;
    helix_setting_type_t   type;
    unsigned               flags;
    size_t                 offset;       /* in helix_settings_t */
    double                 initial;
    double                 min;          /* RATIO: the bound itself is out when
                                            "above" is set */
    double                 max;
    bool                   above;
} helix_setting_t;

extern const helix_setting_t  helix_settings_table[];  /* ends with name NULL */


/*
 * All rows at their initial value.  busy is not a row's constant: until it is
 * given it is the seed's 7 for a concurrency of 8, else ceil(7/8 concurrency);
 * helix_settings_resolve() fills it in when "busy_set" is false.
 */
void helix_settings_init(helix_settings_t *settings);
void helix_settings_resolve(helix_settings_t *settings, bool busy_set);

/*
 * The row that "text" (of "directive") belongs to: by its parameter name
 * before '=', or the bare row; *value and *value_len are what remains.  NULL
 * with a sentence in "error" if there is none; names a near miss:
 *   invalid parameter "dealy=10ms" in "helix_batch", did you mean "delay"?
 */
const helix_setting_t *helix_setting_find(const char *directive,
    const char *text, size_t len, const char **value, size_t *value_len,
    char *error);

/*
 * Parses and range-checks one value.  "automatic" is what "auto" stands for.
 * False with a sentence in "error":
 *   invalid value "10" of "delay" in "helix_batch", a time such as "10ms" is
 *   expected
 *   helix_batch size=0 is out of range 2-1024
 */
bool helix_setting_set(const helix_setting_t *row, helix_settings_t *settings,
    const char *value, size_t len, uint64_t automatic, char *error);

/* A value of a row as it would be written in the configuration. */
void helix_setting_print(const helix_setting_t *row, double value, char *dst);

/* User's text for a log: no control characters, and not much of it. */
void helix_setting_quote(const char *text, size_t len, char *dst);

/*
 * The rules between settings; the first that is broken as a sentence:
 *   helix_inline_threshold 60000 must be below helix_spawn_threshold 60000
 */
bool helix_settings_check(const helix_settings_t *settings, char *error);

/*
 * The entry of "names" (ends with NULL) nearest to "text" by edit distance,
 * case ignored; NULL when none is within a third of its length, at least 1.
 */
const char *helix_nearest(const char *text, size_t len,
    const char *const *names);

/* Of ASCII; whatever the locale. */
char helix_lower(char c);


#endif /* HELIX_SETTINGS_H_INCLUDED */
