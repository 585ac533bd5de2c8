
/*
 * Batches that are pulled: jobs wait in the ordinary run queue, and the thread
 * that takes one takes others of its kind and batch key along, as many as
 * there is time for.  No job waits for others while a thread is free.
 *
 *   T(n) = s (a + b n),  a = 1 - b
 *
 * is what n jobs take together that take s each alone: b is what one more
 * adds, and is learned.  Alone is what the model of the kind says, so that
 * there is no second unknown.  Of jobs of different lengths it is s of the
 * first and b s of each other.
 *
 * A group is the jobs of a kind and a key that wait in a worker.  Its first by
 * due time counts as work ahead in full, the others with b s.
 *
 *   [loop]  a job comes: job->joins of helix_router_decide() says whether its
 *           group, if there is one, begins before it and has a place left: its
 *           size is no multiple of what a batch may have.  If the decision is
 *           HELIX_BATCH it goes into the group and into the backlog.
 *   [thread, mutex of the queue]  takes the most urgent job; if it is the
 *           first of a group: helix_router_batch(), helix_batch_take() of it
 *           and of the others by due time, until one is refused.
 *   [either, mutex of the queue]  the first has left those that wait, taken,
 *           shed or cancelled: helix_backlog_lead() of the next one.
 *   [thread]  runs it like a single job: between two calls it makes way for
 *           what is due before its first; no job joins it any more.  Its time
 *           is helix_backlog_reduce()d from the last job to the first, so that
 *           what is left is due with the first.
 *   [loop]  it has ended, each of its jobs completed: helix_router_batched().
 *           Each job: helix_router_ended(), with a part of the time.
 *
 * Jobs that are cheap enough for the event loop are run together at the end of
 * the turn in which they came: HELIX_BATCH for the reason HELIX_CHEAP, if
 * job->ticks.  They are no work ahead; the turn has verdict->cost more.  The
 * group that they join is that of the turn.
 *
 * Pure: no clock, no lock, no memory of its own, no loops.  Times are ns.
 */

#ifndef HELIX_BATCHING_H_INCLUDED
#define HELIX_BATCHING_H_INCLUDED


#include "helix_backlog.h"
#include "helix_strategy.h"

#include <stdbool.h>


#define HELIX_BATCHING_GAIN   1.15   /* a kind that gains less leaves it */


/* Of one kind, solved. */

typedef struct {
    double      added;               /* b */
    double      along;               /* jobs seen in batches, discounted */
} helix_batching_t;


/* While it is put together. */

typedef struct {
    double      time;                /* of the processor */
    double      until;               /* all of them are to be done by then */
    double      added;               /* b */
    double      drift;               /* of the model, now */
    double      efficiency;
    uint32_t    n;
    uint32_t    max;
} helix_batch_t;


/* sum += part, of a report that another process may be writing: then it is
   wrong by one batch. */
void helix_batches_merge(helix_batches_t *sum, const helix_batches_t *part);

helix_batching_t helix_batching(const helix_batches_t *batches);

/* n jobs have been run together in "cpu" ns; when they came the first was
   thought to take "first", the others one by one "others".  One alone says
   nothing. */
void helix_batches_add(helix_batches_t *batches, uint32_t n, double first,
    double others, double cpu);

/* By what n jobs take together, what they take one by one. */
double helix_batching_gain(const helix_batching_t *batching, uint32_t n);

/* Does the kind gain too little, with at most n jobs in a batch? */
bool helix_batching_leaves(const helix_batching_t *batching, uint32_t n);

/*
 * May this job, the next by due time, come along?  Then it is counted in.  All
 * must be done half way between the earliest aim and its deadline.  The first
 * is never refused; what would be late alone does not keep others out.
 */
bool helix_batch_take(helix_batch_t *batch, const helix_entry_t *entry,
    uint64_t now);


#endif /* HELIX_BATCHING_H_INCLUDED */
