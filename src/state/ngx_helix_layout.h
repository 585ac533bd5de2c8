
/*
 * The layout of the zone: for the files of this folder only.
 *
 * Every field is either written by one process (the owner of a slot, the
 * elected process, the master at config time) or changed by an atomic
 * read-modify-write; all are read with relaxed atomic loads at least.
 */

#ifndef NGX_HELIX_LAYOUT_H_INCLUDED
#define NGX_HELIX_LAYOUT_H_INCLUDED


#include "ngx_helix_zone.h"
#include "ngx_helix_base.h"
#include "ngx_helix_control.h"
#include "ngx_helix_history.h"
#include "ngx_helix_process.h"
#include "ngx_helix_ring.h"


#define NGX_HELIX_MAGIC      0x78696c6568ULL          /* "helix" */
#define NGX_HELIX_LAYOUT     13
#define NGX_HELIX_LINE       128                      /* cl, as in nginx */

#define ngx_helix_aligned    __attribute__((aligned(NGX_HELIX_LINE)))

#define ngx_helix_get(p)     __atomic_load_n(p, __ATOMIC_RELAXED)
#define ngx_helix_set(p, v)  __atomic_store_n(p, v, __ATOMIC_RELAXED)

/* a counter with one writer */
#define ngx_helix_add(p, n)                                                   \
    __atomic_store_n(p, __atomic_load_n(p, __ATOMIC_RELAXED) + (n),           \
                     __ATOMIC_RELEASE)


struct ngx_helix_slot_s {
    ngx_helix_process_t       owner ngx_helix_aligned;   /* 0: free */
    uint64_t                  used;                      /* ever claimed */
    uint64_t                  mean_exec[NGX_HELIX_LANES];  /* ns */
    uint64_t                  draining;                  /* it exits */
    helix_pressure_t          pressure;
    helix_ema_t               latency[NGX_HELIX_LANES];  /* ns */

    /* pool threads write too */
    uint64_t                  waiting[NGX_HELIX_LANES] ngx_helix_aligned;
    uint64_t                  memory;        /* bytes of jobs */
    uint32_t                  wakeups;       /* futex: no token is free */
    uint32_t                  sleepers;

    helix_report_t            report ngx_helix_aligned;

    ngx_helix_counts_t        counts ngx_helix_aligned;

    ngx_helix_exemplar_t      exemplars[NGX_HELIX_LANES][NGX_HELIX_EDGES];

    helix_hist_t              total[NGX_HELIX_LANES];
    helix_hist_t              queue[NGX_HELIX_LANES];
    helix_hist_t              exec[NGX_HELIX_KINDS];

    uint64_t                  streams;       /* readers */
    uint64_t                  missed;        /* records, by them */
    helix_ring_t              ring ngx_helix_aligned;
};


typedef struct {
    uint64_t                  changes ngx_helix_aligned;
    uint64_t                  config_version;
    uint64_t                  sources_version;
    uint64_t                  refused;       /* hash of a settings file */

    ngx_helix_process_t       writer ngx_helix_aligned;     /* 0: none */

    ngx_helix_config_t        config[2];
    ngx_helix_sources_t       sources[2];
} ngx_helix_control_block_t;


/* See ngx_helix_keep.h. */

typedef struct {
    ngx_helix_process_t       owner;
    uint64_t                  begun;         /* ns */
    uint64_t                  saved;         /* Unix ms */
    uint64_t                  errors;
    uint64_t                  failures;      /* in a row */
    uint64_t                  told;          /* of what went wrong */
    uint64_t                  path;          /* hash, of the file it has read */
    uint64_t                  config;        /* version that was saved last */
    uint64_t                  left;          /* processes, ever */
    uint64_t                  covered;       /* of them, by what was saved */
    uint64_t                  learned;       /* there is a report */
    helix_report_t            report;
} ngx_helix_kept_t;


struct ngx_helix_zone_s {
    uint64_t                  magic;
    uint64_t                  layout;
    uint64_t                  size;
    uint64_t                  epoch;
    uint64_t                  generation;
    uint64_t                  crashes;

    uint64_t                  elected;       /* ms of its last tick and slot
                                                number in the low byte */
    uint64_t                  threshold;     /* of spawn, adapted */
    uint64_t                  adapted_from;  /* the configured one */
    helix_hist_t              window;        /* see ngx_helix_zone_window() */

    ngx_helix_process_t       simulator;     /* 0: no simulation runs */
    uint64_t                  simulations;   /* ever */

    uint64_t                  nkinds;
    char                      kinds[NGX_HELIX_KINDS][NGX_HELIX_KIND_NAME];

    ngx_helix_control_block_t control;

    /* 0: free, else the holder's slot + 1 */
    uint8_t                   tokens[NGX_HELIX_TOKENS] ngx_helix_aligned;

    ngx_helix_slot_t          slots[NGX_HELIX_SLOTS] ngx_helix_aligned;

    /* see ngx_helix_base.h; the version's low bit says which is valid */
    uint64_t                  base_version ngx_helix_aligned;
    uint64_t                  base_begun;    /* version that is prepared */
    ngx_helix_process_t       base_writer;
    ngx_helix_base_t          base[2];

    ngx_helix_history_t       history;
    ngx_helix_kept_t          keep;
};


/* The slot's index + 1. */
uint8_t ngx_helix_slot_number(ngx_helix_zone_t *zone, ngx_helix_slot_t *slot);

/* Frees the tokens that a dead process held. */
void ngx_helix_tokens_free(ngx_helix_zone_t *zone, ngx_helix_slot_t *slot);

/* Adds the counters of one slot, ends before admissions. */
void ngx_helix_counts_add(ngx_helix_counts_t *sum, ngx_helix_slot_t *slot,
    ngx_uint_t nkinds);

/* Sums over the slots, without the base. */
void ngx_helix_zone_raw_totals(ngx_helix_zone_t *zone,
    ngx_helix_counts_t *sum);
void ngx_helix_zone_raw_hist(ngx_helix_zone_t *zone,
    ngx_helix_hist_kind_t which, ngx_uint_t index, helix_hist_t *sum);

/* Adds what a dead process had in flight to "lost", and forgets what waited. */
uint64_t ngx_helix_counts_fold(ngx_helix_slot_t *slot);


#endif /* NGX_HELIX_LAYOUT_H_INCLUDED */
