
#include "ngx_helix_lanes.h"

#include <sys/resource.h>


#define NGX_HELIX_LOOK   1       /* ms, for threads and tokens that are free */
#define NGX_HELIX_RETRY  100     /* ms, after nginx refused a task */
#define NGX_HELIX_STAY   50000   /* ns: a thread that has worked less takes the
                                    next unit along: waking the event loop for
                                    each costs more than so short a job */

/* glibc allocates the variables of a thread when the module first uses them,
   and ends the process if it cannot; not so those it has room for already. */
#ifdef __GLIBC__
#define NGX_HELIX_TLS  __attribute__((tls_model("initial-exec")))
#else
#define NGX_HELIX_TLS
#endif


/*
 * A runner is a task of nginx's thread pool that is bound to no job: it takes
 * the head of the run queue when it starts, so that order is decided as late
 * as possible.
 */

typedef struct ngx_helix_runner_s  ngx_helix_runner_t;

struct ngx_helix_runner_s {
    ngx_thread_task_t       task;
    ngx_helix_pool_t       *pool;
    ngx_helix_unit_t       *units;        /* what it ran, last first */
    ngx_helix_runner_t     *next;         /* of the free ones */
};


struct ngx_helix_pool_s {
    void                   *reserved[3];  /* see ngx_helix_job_s */
    ngx_socket_t            fd;

    ngx_helix_exec_t       *exec;
    ngx_thread_pool_t      *tp;
    ngx_helix_runner_t     *runners;
    ngx_helix_runner_t     *free;
    ngx_event_t             look;
    ngx_event_t             added;
    ngx_uint_t              restore_cpus;
    ngx_cpuset_t            cpus;

    pthread_mutex_t         mutex;

    /* under the mutex */
    ngx_helix_heap_t        heap;
    ngx_uint_t              pending;      /* runners posted, still without a
                                             unit */
    ngx_helix_group_t       groups[NGX_HELIX_GROUPS];
};


static void ngx_helix_pool_pump(ngx_helix_pool_t *pool);
static ngx_int_t ngx_helix_pool_post(ngx_helix_pool_t *pool, ngx_uint_t n);
static void ngx_helix_pool_look(ngx_event_t *ev);
static void ngx_helix_pool_done(ngx_event_t *ev);
static void ngx_helix_runner_run(void *data, ngx_log_t *log);
static ngx_helix_unit_t *ngx_helix_runner_take(ngx_helix_pool_t *pool,
    ngx_int_t *token);
static ngx_helix_unit_t *ngx_helix_runner_next(ngx_helix_pool_t *pool,
    ngx_int_t token, uint64_t until);
static void ngx_helix_runner_release(ngx_helix_pool_t *pool, ngx_int_t token);
static void ngx_helix_runner_put(ngx_helix_pool_t *pool,
    ngx_helix_unit_t *unit);
static void ngx_helix_runner_prepare(ngx_helix_pool_t *pool);
static ngx_helix_unit_t *ngx_helix_pool_take(ngx_helix_pool_t *pool);
static void ngx_helix_pool_publish(ngx_helix_pool_t *pool);
static void ngx_helix_pool_begin(ngx_helix_pool_t *pool,
    ngx_helix_unit_t *unit, uint64_t now);


ngx_helix_pool_t *
ngx_helix_pool_create(ngx_cycle_t *cycle, ngx_helix_exec_t *exec,
    ngx_thread_pool_t *tp, const ngx_cpuset_t *cpus)
{
    ngx_uint_t           i, n;
    ngx_helix_pool_t    *pool;
    ngx_helix_runner_t  *runner;

    pool = ngx_pcalloc(cycle->pool, sizeof(ngx_helix_pool_t));
    if (pool == NULL) {
        return NULL;
    }

    pool->fd = (ngx_socket_t) -1;
    pool->exec = exec;
    pool->tp = tp;

    if (cpus) {
        pool->cpus = *cpus;
        pool->restore_cpus = 1;
    }

    /* one for each token, one that waits, and as many that have finished and
       whose event the loop has not seen; of all as many as the settings may
       ever say, since pages that are not used cost nothing */

    n = 2 * HELIX_CONCURRENCY_MAX + 1;

    /* single jobs and batches have a limit each; those that ran already and
       make way for others come on top */

    pool->heap.size = 2UL * HELIX_QUEUE_MAX + n;

    pool->heap.units = ngx_palloc(cycle->pool,
                                  pool->heap.size * sizeof(void *));
    if (pool->heap.units == NULL) {
        return NULL;
    }

    runner = ngx_pcalloc(cycle->pool, n * sizeof(ngx_helix_runner_t));
    if (runner == NULL) {
        return NULL;
    }

    pool->runners = runner;

    for (i = 0; i < n; i++) {
        runner[i].task.ctx = &runner[i];
        runner[i].task.handler = ngx_helix_runner_run;
        runner[i].task.event.data = &runner[i];
        runner[i].task.event.handler = ngx_helix_pool_done;
        runner[i].task.event.log = exec->log;
        runner[i].pool = pool;
        runner[i].next = pool->free;
        pool->free = &runner[i];
    }

    pool->look.handler = ngx_helix_pool_look;
    pool->look.data = pool;
    pool->look.log = exec->log;
    pool->look.cancelable = 1;

    pool->added.handler = ngx_helix_pool_look;
    pool->added.data = pool;
    pool->added.log = exec->log;

    (void) pthread_mutex_init(&pool->mutex, NULL);
    ngx_helix_groups_init(pool->groups);

    return pool;
}


void
ngx_helix_pool_close(ngx_helix_pool_t *pool)
{
    pool->tp = NULL;

    if (pool->look.timer_set) {
        ngx_del_timer(&pool->look);
    }

    if (pool->added.posted) {
        ngx_delete_posted_event(&pool->added);
    }
}


void
ngx_helix_pool_destroy(ngx_helix_pool_t *pool)
{
    (void) pthread_mutex_destroy(&pool->mutex);
}


void
ngx_helix_pool_apply(ngx_helix_pool_t *pool)
{
    if (pool->tp) {
        ngx_post_event(&pool->added, &ngx_posted_events);
    }
}


void
ngx_helix_pool_add(ngx_helix_pool_t *pool, ngx_helix_unit_t *unit)
{
    (void) pthread_mutex_lock(&pool->mutex);

    ngx_helix_heap_add(&pool->heap, unit);
    ngx_helix_pool_publish(pool);

    if (pool->exec->predict && unit->lane == HELIX_BATCH) {
        ngx_helix_group_add(pool, unit);
    }

    (void) pthread_mutex_unlock(&pool->mutex);

    /* at the end of this turn of the event loop, once for all that it adds */

    if (pool->tp) {
        ngx_post_event(&pool->added, &ngx_posted_events);
    }
}


ngx_int_t
ngx_helix_pool_remove(ngx_helix_pool_t *pool, ngx_helix_unit_t *unit)
{
    ngx_int_t  rc;

    rc = NGX_DECLINED;

    (void) pthread_mutex_lock(&pool->mutex);

    /* a batch that has begun stays as it is */

    if (!unit->taken && unit->along == NULL) {
        ngx_helix_group_remove(pool, unit);
        ngx_helix_heap_remove(&pool->heap, unit);
        ngx_helix_pool_publish(pool);
        rc = NGX_OK;
    }

    (void) pthread_mutex_unlock(&pool->mutex);

    return rc;
}


ngx_helix_group_t *
ngx_helix_pool_groups(ngx_helix_pool_t *pool)
{
    return pool->groups;
}


void
ngx_helix_pool_lead(ngx_helix_pool_t *pool, ngx_helix_job_t *job)
{
    helix_backlog_lead(&ngx_helix_slot_report(pool->exec->slot)->backlog,
                       &job->spec.entry);
}


void
ngx_helix_pool_enter(ngx_helix_pool_t *pool, ngx_helix_job_t *job)
{
    helix_backlog_t  *backlog;

    if (pool->exec->predict == NULL) {
        return;
    }

    backlog = &ngx_helix_slot_report(pool->exec->slot)->backlog;

    (void) pthread_mutex_lock(&pool->mutex);

    helix_backlog_add(backlog, &job->spec.entry, job->spec.received);

    (void) pthread_mutex_unlock(&pool->mutex);
}


void
ngx_helix_pool_leave(ngx_helix_pool_t *pool, ngx_helix_job_t *job)
{
    helix_backlog_t  *backlog;

    if (pool->exec->predict == NULL) {
        return;
    }

    backlog = &ngx_helix_slot_report(pool->exec->slot)->backlog;

    (void) pthread_mutex_lock(&pool->mutex);

    helix_backlog_remove(backlog, &job->spec.entry);

    (void) pthread_mutex_unlock(&pool->mutex);
}


ngx_uint_t
ngx_helix_pool_step(ngx_helix_pool_t *pool, ngx_helix_unit_t *unit,
    uint64_t cpu)
{
    int64_t           left, part;
    uint64_t          due;
    ngx_uint_t        i;
    helix_entry_t    *entry;
    helix_backlog_t  *backlog;

    backlog = &ngx_helix_slot_report(pool->exec->slot)->backlog;

    (void) pthread_mutex_lock(&pool->mutex);

    /* of a batch from the last job to the first: what is left is due with
       that one */

    left = (int64_t) cpu;

    for (i = unit->n; i-- && left; left -= part) {
        entry = &unit->jobs[i]->spec.entry;
        part = i ? ngx_min(left, entry->work) : left;

        helix_backlog_reduce(backlog, entry, part);
    }

    (void) pthread_mutex_unlock(&pool->mutex);

    (void) ngx_helix_zone_urgent(pool->exec->zone, pool->exec->slot,
                                 ngx_helix_now(), &due);

    return due < unit->due;
}


ngx_uint_t
ngx_helix_pool_predicts(ngx_helix_pool_t *pool)
{
    return pool->exec->predict != NULL;
}


void
ngx_helix_pool_used(ngx_helix_pool_t *pool, uint64_t cpu, uint64_t wall)
{
    helix_report_t  *report;

    report = ngx_helix_slot_report(pool->exec->slot);

    (void) __atomic_add_fetch(&report->cpu, cpu, __ATOMIC_RELAXED);
    (void) __atomic_add_fetch(&report->wall, wall, __ATOMIC_RELAXED);
}


ngx_uint_t
ngx_helix_pool_waits(ngx_helix_pool_t *pool)
{
    uint64_t  due;

    return ngx_helix_zone_urgent(pool->exec->zone, pool->exec->slot,
                                 ngx_helix_now(), &due)
           != NULL;
}


/* As many runners as there are units and free tokens for them, and one more
   that waits for the next token. */

static void
ngx_helix_pool_pump(ngx_helix_pool_t *pool)
{
    ngx_int_t   rc;
    ngx_uint_t  n, busy, free, waiting;

    if (pool->tp == NULL) {
        return;
    }

    busy = ngx_helix_tokens_busy(pool->exec->zone);
    free = pool->exec->settings->concurrency;
    free -= ngx_min(busy, free);

    (void) pthread_mutex_lock(&pool->mutex);

    n = ngx_min(pool->heap.n, free + 1);
    n -= ngx_min(pool->pending, n);

    pool->pending += n;
    waiting = pool->heap.n - ngx_min(pool->pending, pool->heap.n);

    (void) pthread_mutex_unlock(&pool->mutex);

    rc = ngx_helix_pool_post(pool, n);

    if ((waiting || rc != NGX_OK) && !pool->look.timer_set) {
        ngx_add_timer(&pool->look,
                      rc == NGX_OK ? NGX_HELIX_LOOK : NGX_HELIX_RETRY);
    }
}


static ngx_int_t
ngx_helix_pool_post(ngx_helix_pool_t *pool, ngx_uint_t n)
{
    ngx_int_t            rc;
    ngx_helix_runner_t  *runner;

    rc = NGX_OK;

    for ( /* void */ ; n && pool->free; n--) {
        runner = pool->free;

        if (ngx_thread_task_post(pool->tp, &runner->task) != NGX_OK) {
            rc = NGX_ERROR;
            break;
        }

        pool->free = runner->next;
    }

    if (n) {
        (void) pthread_mutex_lock(&pool->mutex);
        pool->pending -= n;
        (void) pthread_mutex_unlock(&pool->mutex);
    }

    return rc;
}


static void
ngx_helix_pool_look(ngx_event_t *ev)
{
    ngx_helix_pool_pump(ev->data);
}


static void
ngx_helix_pool_done(ngx_event_t *ev)
{
    ngx_helix_pool_t    *pool;
    ngx_helix_unit_t    *unit, *next;
    ngx_helix_runner_t  *runner = ev->data;

    pool = runner->pool;
    unit = runner->units;

    runner->units = NULL;
    runner->next = pool->free;
    pool->free = runner;

    /* the threads first: answering takes the event loop a while */

    ngx_helix_pool_pump(pool);

    for ( /* void */ ; unit; unit = next) {
        next = unit->next;
        ngx_helix_unit_end(unit);
    }
}


static void
ngx_helix_runner_run(void *data, ngx_log_t *log)
{
    uint64_t             until;
    ngx_int_t            token;
    ngx_helix_pool_t    *pool;
    ngx_helix_unit_t    *unit;
    ngx_helix_runner_t  *runner = data;

    pool = runner->pool;

    ngx_helix_runner_prepare(pool);

    unit = ngx_helix_runner_take(pool, &token);

    if (unit == NULL) {
        return;
    }

    until = ngx_helix_now() + NGX_HELIX_STAY;

    do {
        if (ngx_helix_unit_run(pool, unit)) {
            unit->next = runner->units;
            runner->units = unit;

        } else {
            ngx_helix_runner_put(pool, unit);
        }

        unit = ngx_helix_runner_next(pool, token, runner->units ? until : 0);
    } while (unit);

    ngx_helix_runner_release(pool, token);
}


/* The next one for the token: the worker that waits most urgently. */

static void
ngx_helix_runner_release(ngx_helix_pool_t *pool, ngx_int_t token)
{
    uint64_t           due;
    ngx_helix_slot_t  *urgent;

    ngx_helix_token_release(pool->exec->zone, token);

    urgent = ngx_helix_zone_urgent(pool->exec->zone, pool->exec->slot,
                                   ngx_helix_now(), &due);

    if (urgent) {
        ngx_helix_wake(urgent);
    }
}


/* A unit that makes way for another waits again. */

static void
ngx_helix_runner_put(ngx_helix_pool_t *pool, ngx_helix_unit_t *unit)
{
    (void) pthread_mutex_lock(&pool->mutex);

    unit->taken = 0;

    ngx_helix_wait_return(pool->exec->slot, unit->lane, unit->n);
    ngx_helix_heap_add(&pool->heap, unit);
    ngx_helix_pool_publish(pool);

    (void) pthread_mutex_unlock(&pool->mutex);
}


/* The most urgent unit and a token for it; NULL when there is nothing to do. */

static ngx_helix_unit_t *
ngx_helix_runner_take(ngx_helix_pool_t *pool, ngx_int_t *token)
{
    uint32_t           seen;
    ngx_helix_exec_t  *exec;
    ngx_helix_unit_t  *unit;

    exec = pool->exec;
    unit = NULL;

    (void) pthread_mutex_lock(&pool->mutex);

    while (pool->heap.n && !ngx_helix_terminated()) {

        seen = ngx_helix_wakeups(exec->slot);

        *token = ngx_helix_token_take(exec->zone, exec->slot);

        if (*token != NGX_BUSY) {
            unit = ngx_helix_pool_take(pool);
            break;
        }

        (void) pthread_mutex_unlock(&pool->mutex);

        ngx_helix_sleep(exec->slot, seen);

        (void) pthread_mutex_lock(&pool->mutex);
    }

    pool->pending--;

    (void) pthread_mutex_unlock(&pool->mutex);

    return unit;
}


/* Another unit for a thread that holds a token already, unless there are fewer
   of them now; with "until" only before then: what it has run waits to be
   answered.  Otherwise another worker may have one that is due earlier. */

static ngx_helix_unit_t *
ngx_helix_runner_next(ngx_helix_pool_t *pool, ngx_int_t token, uint64_t until)
{
    uint64_t           now, due;
    ngx_helix_slot_t  *urgent;
    ngx_helix_unit_t  *unit;

    if (!ngx_helix_token_allowed(pool->exec->zone, token)) {
        return NULL;
    }

    now = ngx_helix_now();

    if (until) {
        if (now >= until) {
            return NULL;
        }

    } else {
        urgent = ngx_helix_zone_urgent(pool->exec->zone, pool->exec->slot, now,
                                       &due);

        if (urgent && urgent != pool->exec->slot) {
            return NULL;
        }
    }

    (void) pthread_mutex_lock(&pool->mutex);

    unit = NULL;

    if (pool->heap.n && !ngx_helix_terminated()
        && (until == 0 || pool->heap.units[0]->work < NGX_HELIX_STAY))
    {
        unit = ngx_helix_pool_take(pool);
    }

    (void) pthread_mutex_unlock(&pool->mutex);

    return unit;
}


/* Once a thread: behind the event loop, and off its processor. */

static void
ngx_helix_runner_prepare(ngx_helix_pool_t *pool)
{
    int                  nice;
    uint64_t             more;
    static __thread int  prepared NGX_HELIX_TLS;

    if (prepared) {
        return;
    }

    prepared = 1;

    more = __atomic_load_n(&pool->exec->settings->nice, __ATOMIC_RELAXED);
    nice = getpriority(PRIO_PROCESS, gettid());
    (void) setpriority(PRIO_PROCESS, gettid(), nice + (int) more);

    if (pool->restore_cpus) {
        (void) sched_setaffinity(0, sizeof(ngx_cpuset_t), &pool->cpus);
    }
}


/* For the threads of all workers. */

static void
ngx_helix_pool_publish(ngx_helix_pool_t *pool)
{
    uint64_t  due;

    due = pool->heap.n ? ngx_max(pool->heap.units[0]->due, 1) : 0;

    __atomic_store_n(&ngx_helix_slot_report(pool->exec->slot)->head, due,
                     __ATOMIC_RELAXED);
}


/* What is about to run for the first time may be too late, or may take others
   along. */

static void
ngx_helix_pool_begin(ngx_helix_pool_t *pool, ngx_helix_unit_t *unit,
    uint64_t now)
{
    helix_router_t  *router;

    if (pool->exec->predict == NULL) {
        return;
    }

    router = &pool->exec->predict->router;

    ngx_helix_unit_recheck(router, unit, now);

    if (unit->group && unit->results[0] == HELIX_AGAIN) {
        ngx_helix_group_pull(pool, &pool->heap, router, unit, now);

    } else {
        ngx_helix_group_remove(pool, unit);
    }
}


/* The head of the queue becomes the thread's. */

static ngx_helix_unit_t *
ngx_helix_pool_take(ngx_helix_pool_t *pool)
{
    uint64_t           now;
    ngx_helix_unit_t  *unit;

    now = ngx_helix_now();

    unit = pool->heap.units[0];
    unit->taken = 1;

    ngx_helix_heap_remove(&pool->heap, unit);

    if (unit->started == 0) {
        unit->started = now;
        ngx_helix_pool_begin(pool, unit, now);
    }

    ngx_helix_pool_publish(pool);

    ngx_helix_wait_leave(pool->exec->slot, unit->lane, unit->n);

    return unit;
}
