
/*
 * What can be changed while nginx runs: settings, by row of their table, with
 * who changed them; and pressure that others report.
 *
 * Each of the two is kept twice, the low bit of its version says which copy
 * holds.  A writer takes the one word of all writers by compare-and-swap with
 * its process id, or takes it over from a dead process, fills the other copy
 * and publishes it by one store: a crash at any point changes nothing.
 *
 * Readers never wait.  Event loop or start of a worker, unless a function says
 * otherwise.  Rows and values mean nothing here: see helix_layer_t.
 */

#ifndef NGX_HELIX_CONTROL_H_INCLUDED
#define NGX_HELIX_CONTROL_H_INCLUDED


#include "helix_layer.h"
#include "ngx_helix_zone.h"


#define NGX_HELIX_CHANGES      16      /* that are remembered */
#define NGX_HELIX_AUTHOR       64      /* bytes, with the zero at the end */
#define NGX_HELIX_SOURCES      16      /* of pressure, at once */
#define NGX_HELIX_SOURCE_NAME  40      /* likewise */


typedef enum {
    NGX_HELIX_BY_CONF = 0,             /* a new configuration */
    NGX_HELIX_BY_FILE,                 /* the settings file */
    NGX_HELIX_BY_API,
    NGX_HELIX_BY_STATE                 /* the state file */
} ngx_helix_by_t;


/* A value given at run time: the layer "runtime" has it, this tells of it. */

typedef struct {
    uint64_t               given;      /* in nginx.conf, when it was set, */
    uint64_t               base;       /* and the value that it had there */
    uint64_t               at;         /* Unix ms */
    char                   by[NGX_HELIX_AUTHOR];
} ngx_helix_override_t;


typedef struct {
    uint64_t               version;    /* that it made */
    uint64_t               at;         /* Unix ms */
    uint64_t               source;     /* ngx_helix_by_t */
    uint64_t               rows;       /* bits: what is in force changed */
    uint64_t               from[HELIX_LAYER_ROWS];
    uint64_t               to[HELIX_LAYER_ROWS];
    char                   by[NGX_HELIX_AUTHOR];
} ngx_helix_change_t;


typedef struct {
    uint64_t               generation; /* whose configuration this is */
    uint64_t               concurrency;  /* jobs that run at once, at most */
    uint64_t               threads;    /* of its pool; 0: not known */
    uint64_t               ncpus;      /* what "auto" stands for */
    uint64_t               file;       /* hash of the file's name, 0: none */
    helix_layer_t          conf;       /* all values; set: those given */
    helix_layer_t          settings;   /* of the file */
    helix_layer_t          runtime;
    ngx_helix_override_t   overrides[HELIX_LAYER_ROWS];
    uint64_t               nchanges;   /* the last is at (nchanges - 1) %
                                          NGX_HELIX_CHANGES */
    ngx_helix_change_t     changes[NGX_HELIX_CHANGES];
} ngx_helix_config_t;


typedef struct {
    uint64_t               until;      /* ns, ngx_helix_now(); 0: free */
    uint64_t               told;       /* likewise, when the log was */
    double                 pressure;   /* 0..1 */
    char                   name[NGX_HELIX_SOURCE_NAME];
} ngx_helix_source_t;


typedef struct {
    ngx_helix_source_t     sources[NGX_HELIX_SOURCES];
} ngx_helix_sources_t;


/* Grows with everything that is published: one relaxed load, any thread. */
uint64_t ngx_helix_control_changes(ngx_helix_zone_t *zone);

/* The versions of what holds now, 0: nothing was ever published. */
uint64_t ngx_helix_config_version(ngx_helix_zone_t *zone);
uint64_t ngx_helix_sources_version(ngx_helix_zone_t *zone);

/* A consistent copy; its version, or 0 when writers left no time for one, or
   there is none: then the destination is undefined. */
uint64_t ngx_helix_config_read(ngx_helix_zone_t *zone,
    ngx_helix_config_t *config);
uint64_t ngx_helix_sources_read(ngx_helix_zone_t *zone,
    ngx_helix_sources_t *sources);

/*
 * To change something: lock, read, publish, unlock.  Nothing in between may
 * wait, so nothing is logged.  lock(): NGX_OK, or NGX_BUSY when another live
 * process has held the word for a millisecond (it was stopped).
 */
ngx_int_t ngx_helix_control_lock(ngx_helix_zone_t *zone);
void ngx_helix_control_unlock(ngx_helix_zone_t *zone);

/* The caller holds the word; the new version. */
uint64_t ngx_helix_config_publish(ngx_helix_zone_t *zone,
    const ngx_helix_config_t *config);
uint64_t ngx_helix_sources_publish(ngx_helix_zone_t *zone,
    const ngx_helix_sources_t *sources);

/* The concurrency of the configuration that holds.  Any thread. */
uint64_t ngx_helix_config_concurrency(ngx_helix_zone_t *zone);

/* Has a settings file of this hash (0: a good one) not been refused before?
   Then it has been now. */
ngx_uint_t ngx_helix_control_refused(ngx_helix_zone_t *zone, uint64_t hash);

/* A change as the last of those that are remembered. */
ngx_helix_change_t *ngx_helix_config_remember(ngx_helix_config_t *config);


/*
 * For the state file: an override with its row.  Names and values are the
 * caller's to translate, by helix_settings_table[row].  They come back through
 * ngx_helix_exec_restore(), which checks them.
 */

typedef struct {
    uint64_t               row;
    uint64_t               value;
    ngx_helix_override_t   override;
} ngx_helix_saved_t;

/* Their number, at most HELIX_LAYER_ROWS; NGX_BUSY when writers left no time
   for a copy. */
ngx_int_t ngx_helix_config_save(ngx_helix_zone_t *zone,
    ngx_helix_saved_t *saved);

/*
 * For streams: the changes since a version, oldest first, at most
 * NGX_HELIX_CHANGES; their number.  A caller that asks often enough and starts
 * with ngx_helix_config_version() misses none.
 */
ngx_uint_t ngx_helix_config_changes(ngx_helix_zone_t *zone, uint64_t since,
    ngx_helix_change_t *changes);


#endif /* NGX_HELIX_CONTROL_H_INCLUDED */
