
/*
 * Settings from several places: what nginx.conf says, a settings file over it,
 * and what was set at run time over both.  One set of rules for all of them.
 *
 * Pure; any thread.
 */

#ifndef HELIX_LAYERS_H_INCLUDED
#define HELIX_LAYERS_H_INCLUDED


#include "helix_json.h"
#include "helix_layer.h"
#include "helix_settings.h"


#define HELIX_VIOLATIONS_MAX  32


typedef enum {
    HELIX_ORIGIN_DEFAULT = 0,
    HELIX_ORIGIN_CONF,
    HELIX_ORIGIN_FILE,
    HELIX_ORIGIN_RUNTIME,
    HELIX_ORIGINS
} helix_origin_t;

extern const char *const  helix_origin_names[HELIX_ORIGINS + 1];


/* What a set of values would break. */

typedef enum {
    HELIX_RULE_UNKNOWN = 0,              /* there is no such setting */
    HELIX_RULE_TYPE,
    HELIX_RULE_RANGE,
    HELIX_RULE_FIXED,                    /* directive only */
    HELIX_RULE_ORDER,                    /* against another setting */
    HELIX_RULE_THREADS,                  /* more than there are */
    HELIX_RULES
} helix_rule_t;

extern const char *const  helix_rule_names[HELIX_RULES + 1];

typedef struct {
    helix_rule_t            rule;
    const helix_setting_t  *row;         /* NULL: unknown */
    const helix_setting_t  *other;       /* HELIX_RULE_ORDER */
    helix_json_token_t      name;        /* as it was sent, if unknown */
    helix_json_token_t      token;       /* the value as it was sent; start is
                                            NULL if it was not */
    double                  value;       /* then */
    const char             *nearest;     /* unknown: or NULL */
    char                    text[HELIX_SETTING_ERROR_MAX];
} helix_violation_t;

typedef struct {
    unsigned                n;
    helix_violation_t       list[HELIX_VIOLATIONS_MAX];
} helix_violations_t;


/* The rows of the table, at most HELIX_LAYER_ROWS, and that of a name;
   -1: none. */
unsigned helix_settings_rows(void);
int helix_settings_row(const char *name, size_t len);

/* A value of a row as a number, from a layer and back. */
double helix_layer_number(const helix_setting_t *row, uint64_t bits);
uint64_t helix_layer_bits(const helix_setting_t *row, double number);

/* Is it a value that the row may have at run time? */
bool helix_setting_allows(const helix_setting_t *row, uint64_t bits);
bool helix_setting_spans(const helix_setting_t *row, double number);

/* All values of the settings; "set" is not touched. */
void helix_layer_take(helix_layer_t *layer, const helix_settings_t *settings);

/*
 * What is in force.  "conf" has the values of all rows and says which were
 * given; "file" and "runtime" have some.  busy follows concurrency unless
 * somebody gave it.  What is not in the table stays as it is.
 */
void helix_layers_merge(const helix_layer_t *conf, const helix_layer_t *file,
    const helix_layer_t *runtime, helix_settings_t *settings);
helix_origin_t helix_layers_origin(const helix_layer_t *conf,
    const helix_layer_t *file, const helix_layer_t *runtime, unsigned row);

/* Rows that only nginx.conf can set do not belong into a layer: out they go,
   with a violation if they say anything else. */
void helix_layer_fixed(helix_layer_t *layer, const helix_layer_t *conf,
    helix_violations_t *violations);

/*
 * The rules between settings, all that are broken; "changed" are the rows that
 * somebody wants to change: a violation is told of those first.  "threads" are
 * what the pool has, 0: not known; of the configuration alone it may have
 * fewer than it needs.
 */
void helix_settings_verify(const helix_settings_t *settings, uint64_t changed,
    uint64_t threads, helix_violations_t *violations);

/*
 * Reads an object of settings.  "null" is a row that is to be set back, a bit
 * of "nulls"; the member "version" means nothing.  False if the text is no
 * such object: json->error and json->pos tell; else look at the violations.
 * "automatic" is what "auto" stands for.  The text must stay as long as the
 * violations do.
 */
bool helix_layer_parse(helix_json_t *json, const char *text, size_t len,
    uint64_t automatic, helix_layer_t *layer, uint64_t *nulls,
    helix_violations_t *violations);


#endif /* HELIX_LAYERS_H_INCLUDED */
