
/*
 * Identical pure jobs that are in flight at the same time are computed once:
 * the first leads, the others follow and end with it.
 */

#include "ngx_helix_lanes.h"


#define NGX_HELIX_FLIGHT_LOOK   16       /* jobs of a bucket */
#define NGX_HELIX_FLIGHT_MAX    65536    /* bytes worth comparing */
#define NGX_HELIX_FLIGHT_NEAR   4        /* part of a budget */


static uint64_t ngx_helix_flight_hash(ngx_helix_exec_t *exec,
    const ngx_str_t *identity);
static ngx_uint_t ngx_helix_flight_serves(ngx_helix_job_t *job,
    const ngx_helix_job_spec_t *spec);


void
ngx_helix_flights_init(ngx_helix_exec_t *exec)
{
    ngx_uint_t  i;

    exec->seed = ((uint64_t) ngx_random() << 32 ^ (uint64_t) ngx_random()) | 1;

    for (i = 0; i < NGX_HELIX_FLIGHTS; i++) {
        ngx_queue_init(&exec->flights[i]);
    }
}


ngx_uint_t
ngx_helix_exec_shares(ngx_helix_exec_t *exec)
{
    return exec->nflights;
}


/* Whoever finds texts that collide gains nothing but a longer look. */

static uint64_t
ngx_helix_flight_hash(ngx_helix_exec_t *exec, const ngx_str_t *identity)
{
    u_char    *p, *last;
    size_t     n;
    uint64_t   h, word;

    h = exec->seed ^ identity->len;
    last = identity->data + identity->len;

    for (p = identity->data; p < last; p += n) {
        n = ngx_min((size_t) (last - p), sizeof(uint64_t));
        word = 0;
        ngx_memcpy(&word, p, n);

        h = (h ^ word) * 0x9e3779b97f4a7c15;
        h ^= h >> 32;
    }

    return h;
}


void
ngx_helix_flight_add(ngx_helix_job_t *job)
{
    if (job->spec.identity.len == 0
        || job->spec.identity.len > NGX_HELIX_FLIGHT_MAX)
    {
        job->spec.identity.len = 0;
        return;
    }

    job->hash = ngx_helix_flight_hash(job->exec, &job->spec.identity);
    job->exec->nflights++;

    ngx_queue_insert_head(&job->exec->flights[job->hash % NGX_HELIX_FLIGHTS],
                          &job->shared);
}


void
ngx_helix_flight_remove(ngx_helix_job_t *job)
{
    if (job->spec.identity.len && job->leader == NULL) {
        ngx_queue_remove(&job->shared);
        job->exec->nflights--;
        job->spec.identity.len = 0;
    }
}


ngx_helix_job_t *
ngx_helix_job_find(ngx_helix_exec_t *exec, const ngx_helix_job_spec_t *spec)
{
    uint64_t          hash;
    ngx_uint_t        n;
    ngx_queue_t      *q, *bucket;
    ngx_helix_job_t  *job;

    if (spec->identity.len == 0 || spec->identity.len > NGX_HELIX_FLIGHT_MAX) {
        return NULL;
    }

    hash = ngx_helix_flight_hash(exec, &spec->identity);
    bucket = &exec->flights[hash % NGX_HELIX_FLIGHTS];

    n = NGX_HELIX_FLIGHT_LOOK;

    for (q = ngx_queue_head(bucket);
         q != ngx_queue_sentinel(bucket) && n;
         q = ngx_queue_next(q), n--)
    {
        job = ngx_queue_data(q, ngx_helix_job_t, shared);

        if (job->hash == hash
            && job->spec.kind_index == spec->kind_index
            && job->spec.identity.len == spec->identity.len
            && ngx_memcmp(job->spec.identity.data, spec->identity.data,
                          spec->identity.len)
               == 0
            && ngx_helix_flight_serves(job, spec))
        {
            return job;
        }
    }

    return NULL;
}


/* What comes in time for the job comes in time for one that is due later.  One
   that its deadline may cut short is no answer for who has much more time. */

static ngx_uint_t
ngx_helix_flight_serves(ngx_helix_job_t *job, const ngx_helix_job_spec_t *spec)
{
    uint64_t  due, budget, deadline;

    budget = ngx_helix_job_budget(&job->spec);
    due = job->spec.received + budget;
    deadline = spec->received + ngx_helix_job_budget(spec);

    if (job->spec.anytime && deadline > due + budget / NGX_HELIX_FLIGHT_NEAR) {
        return 0;
    }

    return job->owner && !job->ending && job->quality >= spec->min_quality
           && due <= deadline
           && job->nfollowers < job->exec->settings->queue;
}


ngx_helix_job_t *
ngx_helix_job_join(ngx_helix_job_t *leader, const ngx_helix_job_spec_t *spec,
    void *owner, ngx_helix_done_pt done)
{
    uint64_t           deadline;
    ngx_helix_job_t   *job;
    ngx_helix_exec_t  *exec;

    exec = leader->exec;

    job = ngx_calloc(sizeof(ngx_helix_job_t), exec->log);
    if (job == NULL) {
        return NULL;
    }

    ngx_helix_job_init(job, exec, spec);

    job->state = leader->state;
    job->spec.strategy = leader->spec.strategy;
    job->spec.level = leader->spec.level;
    job->spec.identity.len = 0;
    job->quality = leader->quality;
    job->leader = leader;
    job->owner = owner;
    job->done = done;

    ngx_queue_insert_tail(&leader->followers, &job->follow);
    leader->nfollowers++;

    /* whom it leads may have more time than itself */

    deadline = spec->received + ngx_helix_job_budget(spec);

    if (!leader->spec.anytime && deadline > leader->deadline) {
        __atomic_store_n(&leader->deadline, deadline, __ATOMIC_RELAXED);
    }

    ngx_helix_count_admitted(exec->slot, spec->kind_index,
                             job->spec.strategy);
    ngx_helix_count_coalesced(exec->slot, spec->kind_index);
    ngx_helix_record_decision(exec, &job->spec);

    ngx_queue_insert_tail(&exec->jobs, &job->link);
    ngx_add_timer(&job->timer, spec->timeout);

    return job;
}


void
ngx_helix_flight_end(ngx_helix_job_t *leader, ngx_helix_end_t end)
{
    ngx_queue_t      *q;
    ngx_helix_job_t  *job;

    while (!ngx_queue_empty(&leader->followers)) {
        q = ngx_queue_head(&leader->followers);
        job = ngx_queue_data(q, ngx_helix_job_t, follow);

        ngx_queue_remove(&job->follow);
        job->leader = NULL;

        job->end = end;

        if (leader->truncated && end == NGX_HELIX_COMPLETED) {
            job->truncated = 1;
            job->quality = leader->quality;

            if (job->quality < job->spec.min_quality) {
                job->end = NGX_HELIX_EXPIRED;
            }
        }

        job->ending = 1;
        job->batch_size = leader->batch_size;
        job->times.exec = leader->times.exec;
        job->times.queue = leader->spec.received + leader->times.queue;
        job->times.queue -= ngx_min(job->times.queue, job->spec.received);

        ngx_helix_job_finish(job);
    }
}
