
/*
 * The work ahead: what is due when, and whether one more job fits in.
 *
 * Writers exclude each other; readers need no lock and may see a job half
 * entered.
 */

#ifndef HELIX_BACKLOG_H_INCLUDED
#define HELIX_BACKLOG_H_INCLUDED


#include "helix_report.h"


/* Where a job is in a backlog, and how much of it is left. */

typedef struct {
    uint64_t    due;                 /* ns */
    uint64_t    aim;                 /* ns, to be done by then, */
    uint64_t    deadline;            /* and at the latest */
    int64_t     work;                /* ns left */
    int64_t     saved;               /* ns more, if no batch saves them */
    int64_t     variance;            /* us^2 left */
    uint32_t    bucket;
    float       drift;               /* of the model when work was predicted */
} helix_entry_t;


/* What is due before a job. */

typedef struct {
    double      work;                /* ns */
    double      variance;            /* us^2 */
} helix_ahead_t;


void helix_backlog_add(helix_backlog_t *backlog, helix_entry_t *entry,
    uint64_t now);
void helix_backlog_remove(helix_backlog_t *backlog, helix_entry_t *entry);

/* Some of the work has been done; at most what is left. */
void helix_backlog_reduce(helix_backlog_t *backlog, helix_entry_t *entry,
    int64_t work);

/* It joined a batch, and is the first of one now: all that it takes alone is
   ahead. */
void helix_backlog_lead(helix_backlog_t *backlog, helix_entry_t *entry);

/* sum += part.  Of a report that another process writes: it may be torn, by
   the length of one job. */
void helix_backlog_merge(helix_backlog_t *sum, const helix_backlog_t *part);


typedef enum {
    HELIX_BACKLOG_FITS = 0,
    HELIX_BACKLOG_LATE,              /* the job itself */
    HELIX_BACKLOG_OTHERS_LATE        /* one that is there */
} helix_backlog_fit_t;

/*
 * Do all meet their due times if this job is added, when "capacity" ns of
 * work are done per ns in the order in which they are due?  Job j does, with
 * margin z, if
 *
 *   capacity (due_j - now) >= W_j + z sqrt(V_j)
 *
 * where W and V sum over the jobs due no later than j.  Those that are late
 * already do not count as broken.  *ahead is what is before this one.
 * "others" may be NULL.
 */
helix_backlog_fit_t helix_backlog_fits(const helix_backlog_t *own,
    const helix_backlog_t *others, const helix_entry_t *entry, uint64_t now,
    double capacity, double z, helix_ahead_t *ahead);

/* All the work in it, ns. */
double helix_backlog_work(const helix_backlog_t *backlog);


#endif /* HELIX_BACKLOG_H_INCLUDED */
