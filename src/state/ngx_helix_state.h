
/*
 * What a zone leaves to the one after it: counters, histograms, what was
 * learned, settings given at run time; and its text, which the state file has.
 * Kinds, strategies, reasons and settings are known by name there.
 *
 * No clock, no allocation, no zone: any thread, any text.
 */

#ifndef NGX_HELIX_STATE_H_INCLUDED
#define NGX_HELIX_STATE_H_INCLUDED


#include "helix_json.h"
#include "ngx_helix_base.h"


#define NGX_HELIX_STATE_MAGIC     "helix-state "
#define NGX_HELIX_STATE_FORMAT    1
#define NGX_HELIX_STATE_MAX       (4UL * 1024 * 1024) /* bytes, of a file */
#define NGX_HELIX_STATE_SETTINGS  32
#define NGX_HELIX_STATE_NAME      64                  /* with the zero */
#define NGX_HELIX_STATE_LINE      64                  /* the first one */


typedef struct {
    char                 name[NGX_HELIX_STATE_NAME];
    char                 by[NGX_HELIX_STATE_NAME];
    double               value;
    uint64_t             given;       /* in nginx.conf when it was set, */
    double               base;        /* and its value there */
    uint64_t             at;          /* Unix ms */
} ngx_helix_state_setting_t;


/* Of a kind; its counts and histogram are in the base, at the same index. */

typedef struct {
    char                 name[NGX_HELIX_KIND_NAME];
    helix_samples_t      samples;
    helix_batches_t      batches;
} ngx_helix_state_kind_t;


typedef struct {
    uint64_t                     saved;       /* Unix ms */
    uint64_t                     nkinds;
    ngx_helix_state_kind_t      kinds[NGX_HELIX_KINDS];
    uint64_t                     nsettings;
    ngx_helix_state_setting_t   settings[NGX_HELIX_STATE_SETTINGS];
    ngx_helix_base_t             base;
} ngx_helix_state_t;


/* Can this be?  What cannot is not printed, and a text with it is refused. */
bool ngx_helix_state_samples(const helix_samples_t *samples);
bool ngx_helix_state_batches(const helix_batches_t *batches);

/* The first line of a file with this text; its length. */
size_t ngx_helix_state_line(char *line, const char *text, size_t len);

/* The text with its first line; its length, 0 if there is no room. */
size_t ngx_helix_state_print(const ngx_helix_state_t *state, char *text,
    size_t size);

/*
 * The other way round, of any bytes.  NULL, or what is wrong with them: then
 * nothing of the state is to be used.  "state" is all zeroes before.  What
 * was in flight is "lost".
 */
const char *ngx_helix_state_parse(ngx_helix_state_t *state,
    const char *text, size_t len);


#endif /* NGX_HELIX_STATE_H_INCLUDED */
