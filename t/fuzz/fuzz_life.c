
/*
 * The life of jobs: up to four worker processes in one, on one zone.
 *
 * The input drives a sequence of events: a job comes, its client leaves, time
 * passes, a thread runs, a completion is delivered, a worker is told to quit
 * or to terminate, is killed, is started anew; memory runs out, nginx refuses
 * a task.  A "thread" is a call that may be interrupted, by any of these, at
 * each of its looks at the clock, at each step of its job and at its end; a
 * thread that waits for a token, or whose process is killed, is left by
 * longjmp().
 *
 * After each event the books are compared with a list of all jobs ever made.
 */

#include <setjmp.h>
#include <linux/futex.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "fuzz.h"
#include "ngx_helix_lanes.h"
#include "ngx_helix_layout.h"


#define WORKERS      4
#define JOBS         96
#define TASKS        16
#define DEPTH        3           /* threads interrupted at once */
#define KINDS        3
#define MS           1000000ULL


typedef enum {
    JOB_NONE = 0,
    JOB_LIVE,
    JOB_OVER
} job_phase_t;


/* What is known of a job from outside. */

typedef struct {
    job_phase_t           phase;
    ngx_uint_t            worker;
    helix_strategy_t      lane;
    ngx_helix_job_t      *job;          /* NULL: told, detached or dead */
    ngx_uint_t            told;
    ngx_int_t             end;          /* -1: not decided */
    ngx_uint_t            sibling;      /* detached when this one is told */
    ngx_uint_t            follows;      /* the job of another record */
    ngx_uint_t            turn;         /* of a turn of the event loop */
    uint8_t               steps;        /* until the result */
    uint8_t               result;       /* 0xff: never */
    uint8_t               finished;
    uint8_t               running;
} record_t;


typedef struct {
    uint64_t              magic;
    record_t             *record;
    u_char                rest[];
} state_t;


typedef struct {
    ngx_uint_t            alive;
    ngx_uint_t            terminate;
    ngx_uint_t            quit;
    ngx_uint_t            joined;       /* its thread pool is gone */
    ngx_uint_t            busy;         /* its event loop is in a call */
    ngx_uint_t            frames;       /* threads that are in a call */
    ngx_helix_process_t   process;
    ngx_cycle_t           cycle;
    ngx_helix_exec_t     *exec;
    helix_settings_t      settings;
    ngx_helix_conf_t      conf;
    ngx_rbtree_t          timers;
    ngx_rbtree_node_t     sentinel;
    ngx_thread_task_t    *tasks[TASKS]; /* posted, not started */
    ngx_uint_t            ntasks;
    ngx_thread_task_t    *done[TASKS];  /* ended, the loop does not know */
    ngx_uint_t            ndone;
} worker_t;


/* of the nginx that is not there */

ngx_module_t             *ngx_modules[] = { NULL };
char                     *ngx_module_names[] = { NULL };


static const uint8_t     *bytes, *bytes_end;

static ngx_log_t          log;
static ngx_open_file_t    log_file;
static ngx_shm_zone_t     shm_zone;
static ngx_helix_zone_t  *zone;
static worker_t           workers[WORKERS];
static record_t           records[JOBS];
static ngx_uint_t         nrecords;
static uint64_t           now;
static uint64_t           processes;    /* ever */
static worker_t          *current;      /* process */
static worker_t          *in_thread;    /* NULL: event loop */
static jmp_buf           *thread_jump;
static ngx_uint_t         depth, locked, no_memory, no_tasks, draining;
static uint64_t           expected[NGX_HELIX_LANES][NGX_HELIX_ENDS];


static void interrupt(void);
static void event(void);
static void check(void);
static int kind_step(void *data, const helix_control_t *control);
static int kind_step_batch(void **states, uint8_t *results, uint32_t n,
    const helix_control_t *control);
static double kind_quality(const void *data);
static void kind_clear(void *data);
static record_t *record_of(ngx_helix_job_t *job);


static const helix_kind_t  kinds[KINDS] = {
    { .name = "single", .step = kind_step, .clear = kind_clear },
    { .name = "shared", .step = kind_step, .step_batch = kind_step_batch,
      .clear = kind_clear },
    { .name = "any", .step = kind_step, .step_batch = kind_step_batch,
      .quality = kind_quality, .clear = kind_clear }
};


static const double      units[NGX_HELIX_KINDS] = { 10000, 20000, 5000 };


static uint8_t
byte(void)
{
    return (bytes < bytes_end) ? *bytes++ : 0;
}


/* The process whose turn it is: its timers, its ngx_terminate. */

static worker_t *
enter(worker_t *worker)
{
    worker_t  *last;

    last = current;

    if (last) {
        last->timers = ngx_event_timer_rbtree;
    }

    current = worker;

    if (worker) {
        ngx_event_timer_rbtree = worker->timers;
        ngx_terminate = worker->terminate;
        ngx_exiting = worker->quit;
        ngx_pid = (ngx_pid_t) (worker->process & 0x3fffff);
    }

    ngx_current_msec = (ngx_msec_t) (now / MS);

    return last;
}


/* What src/state and src/exec call in place of the system. */

int
fuzz_clock_gettime(clockid_t clock, struct timespec *ts)
{
    FUZZ_ASSERT(clock == CLOCK_MONOTONIC || clock == CLOCK_REALTIME
                || clock == CLOCK_THREAD_CPUTIME_ID);

    now += 1000;

    if (in_thread && !locked && clock == CLOCK_MONOTONIC) {
        interrupt();
    }

    ts->tv_sec = (time_t) (now / 1000000000);
    ts->tv_nsec = (long) (now % 1000000000);

    return 0;
}


int
fuzz_mutex_lock(pthread_mutex_t *mutex)
{
    FUZZ_ASSERT(!locked);
    locked = 1;

    return pthread_mutex_lock(mutex);
}


int
fuzz_mutex_unlock(pthread_mutex_t *mutex)
{
    FUZZ_ASSERT(locked);
    locked = 0;

    return pthread_mutex_unlock(mutex);
}


/* Futex.  A thread that waits has changed nothing yet but the number of those
   that do: it may as well begin anew. */

long
fuzz_syscall(long number, uint32_t *wakeups, int op, uint32_t value,
    const struct timespec *ts, void *unused, int none)
{
    ngx_helix_slot_t  *slot;

    FUZZ_ASSERT(number == SYS_futex && in_thread && !locked);

    if (op == FUTEX_WAKE) {
        interrupt();
        return 0;
    }

    FUZZ_ASSERT(op == FUTEX_WAIT && ts->tv_sec == 0
                && ts->tv_nsec <= 2000000);

    slot = (ngx_helix_slot_t *) ((char *) wakeups
                                 - offsetof(ngx_helix_slot_t, wakeups));

    FUZZ_ASSERT(slot->sleepers > 0);
    slot->sleepers--;

    longjmp(*thread_jump, 2);
}


int
fuzz_setpriority(int which, id_t who, int priority)
{
    return 0;
}


ngx_helix_process_t
ngx_helix_process_self(void)
{
    return current->process;
}


ngx_pid_t
ngx_helix_process_pid(ngx_helix_process_t process)
{
    return (ngx_pid_t) (process & 0x3fffff);
}


ngx_uint_t
ngx_helix_process_cpus(void)
{
    return 2;
}


/* A process is dead when it was killed and none of its threads is left. */

ngx_uint_t
ngx_helix_process_alive(ngx_helix_process_t process)
{
    ngx_uint_t  i;

    for (i = 0; i < WORKERS; i++) {
        if (workers[i].process == process && workers[i].alive) {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_helix_process_lock(ngx_helix_process_t *word, ngx_uint_t wait)
{
    if (*word && ngx_helix_process_alive(*word)) {
        return NGX_BUSY;
    }

    *word = current->process;

    return NGX_OK;
}


void
ngx_helix_process_unlock(ngx_helix_process_t *word)
{
    *word = 0;
}


static ngx_uint_t
refused(ngx_uint_t *n)
{
    if (*n && !draining) {
        (*n)--;
        return 1;
    }

    return 0;
}


void *
fuzz_calloc(size_t size, ngx_log_t *lg)
{
    return refused(&no_memory) ? NULL : calloc(1, size);
}


void *
fuzz_memalign(size_t alignment, size_t size, ngx_log_t *lg)
{
    void  *p;

    if (refused(&no_memory)) {
        return NULL;
    }

    FUZZ_ASSERT(posix_memalign(&p, alignment, size) == 0);

    return memset(p, 0xa5, size);
}


static void run_thread(worker_t *worker);


ngx_int_t
fuzz_thread_task_post(ngx_thread_pool_t *tp, ngx_thread_task_t *task)
{
    worker_t  *worker = (worker_t *) tp;

    FUZZ_ASSERT(worker == current && worker->alive && !worker->joined);
    FUZZ_ASSERT(!locked && in_thread == NULL);
    FUZZ_ASSERT(!task->event.active);
    FUZZ_ASSERT(worker->ntasks < TASKS);

    if (refused(&no_tasks)) {
        return NGX_ERROR;
    }

    task->event.active = 1;
    worker->tasks[worker->ntasks++] = task;

    /* it may have ended before we return */

    if (!draining && depth < DEPTH && (byte() & 7) == 7) {
        run_thread(worker);
    }

    return NGX_OK;
}


/* The kinds. */

static void
step_begin(state_t *state)
{
    FUZZ_ASSERT(state->magic == 0x68656c6978);
    FUZZ_ASSERT(state->record->phase == JOB_LIVE);
    FUZZ_ASSERT(!state->record->running && !state->record->finished);

    state->record->running = 1;
}


static int
step_end(state_t *state)
{
    record_t  *record;

    record = state->record;
    FUZZ_ASSERT(record->running);
    record->running = 0;

    if (record->steps || record->result == 0xff) {
        record->steps -= (record->steps != 0);
        return HELIX_AGAIN;
    }

    record->finished = 1;

    return record->result;
}


static int
kind_step(void *data, const helix_control_t *control)
{
    state_t  *state = data;

    step_begin(state);

    if (control->poll(control)) {
        state->rest[0] = 1;
    }

    if (in_thread) {
        interrupt();
    }

    now += (state->record->lane == HELIX_INLINE || state->record->turn)
           ? MS : (byte() & 3) * 100000;

    /* a job without end would never be stopped when nothing else happens */

    if (state->record->result == 0xff && state->record->lane != HELIX_INLINE
        && (draining || bytes == bytes_end || depth == DEPTH
            || (in_thread && in_thread->busy)))
    {
        state->record->result = HELIX_DONE;
    }

    return step_end(state);
}


static int
kind_step_batch(void **states, uint8_t *results, uint32_t n,
    const helix_control_t *control)
{
    int       again;
    uint32_t  i;

    FUZZ_ASSERT(n > 1);
    again = 0;

    for (i = 0; i < n; i++) {
        if (states[i] && results[i] == HELIX_AGAIN) {
            results[i] = (uint8_t) kind_step(states[i], control);
            again |= (results[i] == HELIX_AGAIN);
        }
    }

    return again ? HELIX_AGAIN : HELIX_DONE;
}


static double
kind_quality(const void *data)
{
    const state_t  *state = data;

    FUZZ_ASSERT(state->magic == 0x68656c6978 && !in_thread);
    FUZZ_ASSERT(!state->record->running);

    return (state->record->sibling & 7) / 8.0;
}


/* Once. */

static void
kind_clear(void *data)
{
    state_t  *state = data;

    FUZZ_ASSERT(state->magic == 0x68656c6978 && !in_thread);

    state->magic = 0;
}


/* Jobs. */

/* What came along with another waits, and runs, with that. */

static ngx_helix_unit_t *
batch_of(ngx_helix_job_t *job)
{
    return job->unit->into ? job->unit->into : job->unit;
}


static record_t *
record_of(ngx_helix_job_t *job)
{
    state_t  *state;

    if (job->leader) {
        return job->owner;
    }

    state = job->state;

    return state->record;
}


static void
over(record_t *record, ngx_int_t end)
{
    FUZZ_ASSERT(record->phase == JOB_LIVE);

    if (record->end == -1) {
        record->end = end;
    }

    record->phase = JOB_OVER;
    record->job = NULL;

    expected[record->lane][record->end]++;
}


/* Which records have no job any more, by the list of the executor. */

static void
sweep(worker_t *worker)
{
    ngx_uint_t        i;
    ngx_queue_t      *q;
    ngx_helix_job_t  *job;
    static uint8_t    there[JOBS];

    memset(there, 0, nrecords);

    for (q = ngx_queue_head(&worker->exec->jobs);
         q != ngx_queue_sentinel(&worker->exec->jobs);
         q = ngx_queue_next(q))
    {
        job = ngx_queue_data(q, ngx_helix_job_t, link);
        there[record_of(job) - records] = 1;
    }

    for (i = 0; i < nrecords; i++) {
        if (records[i].phase == JOB_LIVE
            && &workers[records[i].worker] == worker && !there[i])
        {
            FUZZ_ASSERT(records[i].end != -1);
            over(&records[i], records[i].end);
        }
    }
}


static void
detach(record_t *record)
{
    ngx_helix_job_t  *job;

    job = record->job;
    record->job = NULL;

    if (record->end == -1) {
        record->end = NGX_HELIX_CANCELLED;
    }

    ngx_helix_job_detach(job);
}


static void
done(ngx_helix_job_t *job)
{
    state_t   *state;
    record_t  *record, *sibling, *lead;

    record = job->owner;
    state = job->state;
    lead = state ? state->record : NULL;

    FUZZ_ASSERT((record == lead) == !record->follows && record->job == job);
    FUZZ_ASSERT(record->phase == JOB_LIVE && !record->told);
    FUZZ_ASSERT(&workers[record->worker] == current && !in_thread);
    FUZZ_ASSERT(record->end == -1);
    FUZZ_ASSERT(job->end <= NGX_HELIX_SHED);
    FUZZ_ASSERT(job->batch_size >= 1);
    FUZZ_ASSERT(job->times.queue <= job->times.total);
    FUZZ_ASSERT(state || (job->end != NGX_HELIX_COMPLETED
                          && job->end != NGX_HELIX_FAILED
                          && job->end != NGX_HELIX_SHED));

    /* only a result is a result, and none is withheld */

    if (job->end == NGX_HELIX_COMPLETED || job->end == NGX_HELIX_FAILED) {
        FUZZ_ASSERT(!lead->running);
        FUZZ_ASSERT(lead->finished == !job->truncated);
        FUZZ_ASSERT(job->truncated
                    || lead->result == (job->end == NGX_HELIX_COMPLETED
                                        ? HELIX_DONE : HELIX_FAILED));
        FUZZ_ASSERT(!job->truncated
                    || (job->spec.kind->quality
                        && job->quality >= job->spec.min_quality
                        && job->quality > 0));
    }

    if (job->end == NGX_HELIX_CANCELLED) {
        FUZZ_ASSERT(current->terminate);
    }

    if (job->end == NGX_HELIX_SHED) {
        FUZZ_ASSERT(current->settings.predictive
                    && (job->spec.budget || record->follows));
        FUZZ_ASSERT(!lead->finished && !lead->running);
    }

    record->told = 1;
    record->end = (ngx_int_t) job->end;
    record->job = NULL;

    /* the answer of one may end the request of another */

    sibling = &records[record->sibling % nrecords];

    if (sibling->job && sibling->worker == record->worker) {
        detach(sibling);
    }
}


static void
start_job(worker_t *worker)
{
    state_t               *state;
    uint8_t                what, when;
    ngx_int_t              rc;
    record_t              *record;
    ngx_helix_job_t       *job;
    helix_verdict_t        verdict;
    double                 quality;
    u_char                 identity;
    ngx_helix_times_t      times;
    ngx_helix_job_spec_t   spec;

    if (nrecords == JOBS || worker->quit || worker->joined) {
        return;
    }

    what = byte();
    when = byte();

    record = &records[nrecords];
    memset(record, 0, sizeof(record_t));
    record->worker = (ngx_uint_t) (worker - workers);
    record->lane = what & 3;
    record->end = -1;
    record->steps = (what >> 2) & 3;
    record->result = (what & 0x30) == 0x30 ? 0xff
                     : (what & 0x30) == 0x20 ? HELIX_FAILED : HELIX_DONE;
    record->sibling = when & 0x1f;

    memset(&spec, 0, sizeof(spec));
    spec.kind_index = (what >> 6) % KINDS;
    spec.quality = 1;
    spec.min_quality = (when & 3) / 4.0;
    spec.kind = &kinds[spec.kind_index];
    spec.anytime = (spec.kind->quality && (when & 0x10));
    spec.memory = sizeof(state_t) + 1 + when;
    spec.strategy = record->lane;
    spec.received = ngx_helix_now();
    spec.budget = (when & 0x20) ? (when >> 6) * 2 * MS : 0;
    spec.timeout = 1 + (when >> 3);

    if (worker->settings.predictive) {
        spec.work = 1 + when;
        ngx_helix_exec_decide(worker->exec, &spec, 0.7f, 1, what & 4,
                              &verdict);
        FUZZ_ASSERT(!spec.turn || spec.kind->step_batch);

        /* whatever it is thought to take */

        spec.turn |= (record->lane == HELIX_BATCH && (what & 8)
                      && spec.kind->step_batch);
        spec.batch_key = when >> 7;
        record->lane = spec.turn ? HELIX_BATCH : record->lane;
        spec.strategy = record->lane;
        record->turn = spec.turn;
    }

    if (record->lane == HELIX_INLINE) {
        nrecords++;
        record->phase = JOB_LIVE;
        state = calloc(1, spec.memory);
        FUZZ_ASSERT(state != NULL);
        state->magic = 0x68656c6978;
        state->record = record;
        rc = (ngx_int_t) ngx_helix_exec_inline(worker->exec, &spec, state,
                                               &times, &quality);
        FUZZ_ASSERT(quality == 0 || spec.kind->quality);
        over(record, rc);
        free(state);
        return;
    }

    if (when & 4) {
        identity = when & 8;
        spec.identity.data = &identity;
        spec.identity.len = 1;

        job = ngx_helix_job_find(worker->exec, &spec);

        if (job) {
            job = ngx_helix_job_join(job, &spec, record, done);
        }

        if (job) {
            record->lane = job->spec.strategy;
            record->follows = 1;
            record->turn = 0;
            record->phase = JOB_LIVE;
            record->job = job;
            nrecords++;
            return;
        }
    }

    if (ngx_helix_exec_admit(worker->exec, spec.strategy) != NGX_OK) {
        return;
    }

    job = ngx_helix_job_create(worker->exec, &spec);
    if (job == NULL) {
        return;
    }

    state = job->state;
    state->magic = 0x68656c6978;
    state->record = record;
    FUZZ_ASSERT(((uintptr_t) state & 15) == 0);

    record->phase = JOB_LIVE;
    record->job = job;
    nrecords++;

    if (ngx_helix_job_start(job, record, done) != NGX_OK) {
        FUZZ_ASSERT(!record->told && nrecords > 0);
        nrecords--;
        record->phase = JOB_NONE;
        record->job = NULL;
    }
}


/* Threads. */

static void
release_worker(worker_t *worker)
{
    /* of a killed process nothing is cleaned up */

    ngx_helix_pool_destroy(worker->exec->pool);
    worker->cycle.pool->cleanup = NULL;
    ngx_destroy_pool(worker->cycle.pool);
    worker->exec = NULL;
    worker->cycle.pool = NULL;
}


static void
run_thread(worker_t *worker)
{
    int                 rc;
    jmp_buf             jump, *jump_before;
    worker_t           *before, *thread_before;
    ngx_uint_t          busy_before;
    ngx_thread_task_t  *task;

    if (worker->ntasks == 0 || depth == DEPTH) {
        return;
    }

    task = worker->tasks[0];
    worker->ntasks--;
    memmove(worker->tasks, worker->tasks + 1,
            worker->ntasks * sizeof(worker->tasks[0]));

    before = enter(worker);
    thread_before = in_thread;
    jump_before = thread_jump;
    busy_before = worker->busy;

    in_thread = worker;
    thread_jump = &jump;
    depth++;
    worker->frames++;

    rc = setjmp(jump);

    if (rc == 0) {
        task->handler(task->ctx, &log);
    }

    worker->frames--;
    depth--;
    in_thread = thread_before;
    thread_jump = jump_before;
    worker->busy = busy_before;

    if (rc == 2) {
        FUZZ_ASSERT(worker->ntasks < TASKS);
        memmove(worker->tasks + 1, worker->tasks,
                worker->ntasks * sizeof(worker->tasks[0]));
        worker->tasks[0] = task;
        worker->ntasks++;

    } else if (worker->alive) {
        FUZZ_ASSERT(worker->ndone < TASKS);
        worker->done[worker->ndone++] = task;
    }

    (void) enter(before);
}


/* Between two instructions of a thread the others go on. */

static void
interrupt(void)
{
    worker_t    *worker, *before;
    ngx_uint_t   n, i;

    for (i = 0; i < WORKERS; i++) {
        if (workers[i].busy) {
            return;
        }
    }

    if (draining || bytes == bytes_end || depth == DEPTH) {
        return;
    }

    worker = in_thread;
    before = enter(worker);
    in_thread = NULL;

    for (n = byte() & 3; n; n--) {
        event();

        if (!worker->alive) {
            longjmp(*thread_jump, 1);
        }
    }

    in_thread = worker;
    (void) enter(before);
}


static void
deliver(worker_t *worker)
{
    ngx_thread_task_t  *task;

    if (worker->ndone == 0) {
        return;
    }

    task = worker->done[0];
    worker->ndone--;
    memmove(worker->done, worker->done + 1,
            worker->ndone * sizeof(worker->done[0]));

    task->event.complete = 1;
    task->event.active = 0;
    task->event.handler(&task->event);
}


/* What nginx does at the end of a turn of the event loop: the pool and the
   policy of the worker are all that post there.  A dead worker's events are
   dropped. */

static void
end_turn(worker_t *worker)
{
    ngx_event_t  *ev;
    ngx_queue_t  *q, *next, others;

    ngx_queue_init(&others);

    for (q = ngx_queue_head(&ngx_posted_events);
         q != ngx_queue_sentinel(&ngx_posted_events);
         q = next)
    {
        next = ngx_queue_next(q);
        ev = ngx_queue_data(q, ngx_event_t, queue);

        if (ev->data != worker->exec->pool && ev->data != worker->exec) {
            ngx_queue_remove(q);
            ngx_queue_insert_tail(&others, q);
        }
    }

    while (!ngx_queue_empty(&ngx_posted_events)) {
        q = ngx_queue_head(&ngx_posted_events);
        ev = ngx_queue_data(q, ngx_event_t, queue);
        ngx_delete_posted_event(ev);

        if (worker->alive) {
            ev->handler(ev);
        }
    }

    ngx_queue_add(&ngx_posted_events, &others);
}


static void
spawn_turn(worker_t *worker)
{
    ngx_event_t  *ev;

    ev = &worker->exec->spawn.event;

    if (ev->posted) {
        ngx_delete_posted_event(ev);
        ev->handler(ev);
    }
}


/* Workers. */

static void
start_worker(worker_t *worker)
{
    uint8_t    what;
    uint64_t   generation;
    worker_t  *before;

    if (worker->exec) {
        return;
    }

    what = byte();

    memset(worker, 0, sizeof(worker_t));

    worker->process = (++processes << 22)
                      | (ngx_uint_t) (worker - workers + 100);
    worker->alive = 1;

    helix_settings_init(&worker->settings);
    worker->settings.concurrency = 1 + (what & 1);
    worker->settings.queue = 1 + ((what >> 1) & 3);
    worker->settings.batch_size = 2 + ((what >> 3) & 1);
    worker->settings.batch_delay = 1 + ((what >> 4) & 3);
    worker->settings.adapt = (what >> 6) & 1;
    worker->settings.predictive = (what >> 7) & 1;
    helix_settings_resolve(&worker->settings, false);

    worker->cycle.log = &log;
    worker->cycle.pool = ngx_create_pool(1024, &log);
    FUZZ_ASSERT(worker->cycle.pool != NULL);

    before = enter(NULL);
    ngx_rbtree_init(&worker->timers, &worker->sentinel,
                    ngx_rbtree_insert_timer_value);
    (void) enter(worker);

    generation = ngx_helix_zone_generation(zone);
    FUZZ_ASSERT(ngx_helix_zone_init(&shm_zone, zone) == zone);
    FUZZ_ASSERT(ngx_helix_zone_generation(zone) == generation);
    FUZZ_ASSERT(ngx_helix_zone_begin(zone) == generation + 1);

    helix_layer_take(&worker->conf.layer, &worker->settings);
    worker->conf.layer.set = (uint64_t) -1;

    worker->exec = ngx_helix_exec_create(&worker->cycle, &worker->settings,
                                         &worker->conf, zone, generation + 1,
                                         (ngx_thread_pool_t *) worker,
                                         units, NULL, 2);
    FUZZ_ASSERT(worker->exec != NULL);

    (void) enter(before);
}


/* As nginx does: the threads end first, then the modules are told. */

static void
stop_worker(worker_t *worker)
{
    ngx_uint_t  i;

    if (worker->frames) {
        return;
    }

    worker->busy = 1;

    while (worker->ntasks) {
        i = worker->ntasks;
        run_thread(worker);

        if (worker->ntasks >= i) {
            worker->busy = 0;           /* it waits for another's token */
            return;
        }
    }

    worker->joined = 1;

    for (i = 0; i < nrecords; i++) {
        if (records[i].phase == JOB_LIVE
            && &workers[records[i].worker] == worker)
        {
            records[i].job = NULL;

            if (records[i].end == -1) {
                records[i].end = NGX_HELIX_CANCELLED;
            }
        }
    }

    ngx_helix_exec_destroy(worker->exec);

    worker->busy = 0;

    FUZZ_ASSERT(ngx_queue_empty(&worker->exec->jobs));
    sweep(worker);

    if (worker->exec->spawn.event.posted) {
        ngx_delete_posted_event(&worker->exec->spawn.event);
    }

    worker->alive = 0;
    ngx_destroy_pool(worker->cycle.pool);
    worker->exec = NULL;
    worker->cycle.pool = NULL;
}


static void
kill_worker(worker_t *worker)
{
    record_t          *record;
    ngx_queue_t       *q;
    ngx_helix_job_t   *job;

    if (!worker->alive || worker->busy) {
        return;
    }

    sweep(worker);

    worker->alive = 0;
    worker->ntasks = 0;
    worker->ndone = 0;

    for (q = ngx_queue_head(&worker->exec->jobs);
         q != ngx_queue_sentinel(&worker->exec->jobs);
         q = ngx_queue_next(q))
    {
        job = ngx_queue_data(q, ngx_helix_job_t, link);
        record = record_of(job);

        record->end = NGX_HELIX_LOST;
        over(record, NGX_HELIX_LOST);
    }
}


/* What the system does when the last thread of a killed process is gone. */

static void
bury(worker_t *worker)
{
    ngx_queue_t       *q;
    ngx_helix_job_t   *job;
    ngx_helix_unit_t  *unit;

    if (worker->exec == NULL || worker->alive || worker->frames) {
        return;
    }

    while (!ngx_queue_empty(&worker->exec->jobs)) {
        q = ngx_queue_head(&worker->exec->jobs);
        ngx_queue_remove(q);
        job = ngx_queue_data(q, ngx_helix_job_t, link);
        unit = job->unit;

        if (unit && --unit->refs == 0) {
            free(unit);
        }

        free(job);
    }

    if (worker->exec->spawn.event.posted) {
        ngx_delete_posted_event(&worker->exec->spawn.event);
    }

    end_turn(worker);
    release_worker(worker);
}


/* One event of the world. */

static void
event(void)
{
    uint8_t     op;
    worker_t   *worker, *before;
    record_t   *record;

    op = byte();
    worker = &workers[(op >> 4) & 3];

    if (!worker->alive) {
        if ((op & 0x0f) == 0x0f) {
            bury(worker);

            if (worker->exec == NULL) {
                start_worker(worker);
            }
        }

        return;
    }

    if (worker->busy) {
        return;
    }

    before = enter(worker);
    worker->busy = 1;

    switch (op & 0x0f) {

    case 0:
    case 1:
    case 2:
    case 3:
        start_job(worker);
        break;

    case 4:
        record = &records[nrecords ? byte() % nrecords : 0];

        if (record->job && &workers[record->worker] == worker) {
            detach(record);
        }

        break;

    case 5:
        now += (byte() & 0x3f) * MS / 4;
        ngx_current_msec = (ngx_msec_t) (now / MS);
        ngx_event_expire_timers();
        break;

    case 6:
    case 7:
        worker->busy = 0;
        run_thread(worker);
        break;

    case 8:
    case 9:
        deliver(worker);
        break;

    case 0x0a:
        spawn_turn(worker);
        break;

    case 0x0b:
        no_memory = byte() & 1;
        no_tasks = byte() & 3;
        break;

    case 0x0c:
        worker->quit = 1;
        ngx_exiting = 1;
        break;

    case 0x0d:
        worker->busy = 0;
        worker->terminate |= (byte() & 1);
        worker->quit = 1;
        ngx_exiting = 1;
        ngx_terminate = worker->terminate;

        if (worker->terminate || ngx_queue_empty(&worker->exec->jobs)) {
            stop_worker(worker);
        }

        break;

    default:
        worker->busy = 0;
        kill_worker(worker);
    }

    /* or more comes in the same turn */

    if (worker->alive && !(op & 0x80)) {
        worker->busy = 1;
        end_turn(worker);
    }

    worker->busy = 0;

    (void) enter(before);

    check();
}


/* The books and the places of all slots against the records. */

static ngx_helix_slot_t *
slot_of(worker_t *worker)
{
    ngx_uint_t  i;

    for (i = 0; i < WORKERS * 2; i++) {
        if (zone->slots[i].owner == worker->process) {
            return &zone->slots[i];
        }
    }

    return NULL;
}


/* An event for which the end of the turn has something to do. */

static ngx_uint_t
posted(void *data)
{
    ngx_event_t  *ev;
    ngx_queue_t  *q;

    for (q = ngx_queue_head(&ngx_posted_events);
         q != ngx_queue_sentinel(&ngx_posted_events);
         q = ngx_queue_next(q))
    {
        ev = ngx_queue_data(q, ngx_event_t, queue);

        if (ev->data == data) {
            return 1;
        }
    }

    return 0;
}


/* What is to go on has something that makes it. */

static ngx_uint_t
timer_of(ngx_rbtree_t *tree, ngx_rbtree_node_t *node, void *data)
{
    ngx_event_t  *ev;

    if (node == tree->sentinel) {
        return 0;
    }

    ev = ngx_rbtree_data(node, ngx_event_t, timer);

    return ev->data == data || timer_of(tree, node->left, data)
           || timer_of(tree, node->right, data);
}


static void
check_moves(worker_t *worker, ngx_helix_job_t *job)
{
    ngx_rbtree_t       *tree;
    ngx_helix_batch_t  *batch;

    if (job->spec.strategy == HELIX_SPAWN) {
        FUZZ_ASSERT(worker->exec->spawn.event.posted);
        return;
    }

    if (job->unit->turn) {
        FUZZ_ASSERT(!job->unit->taken && worker->exec->predict->turn.posted);
        return;
    }

    if (batch_of(job)->taken) {
        FUZZ_ASSERT(worker->frames || worker->ndone);
        return;
    }

    if (!job->unit->queued) {
        batch = &worker->exec->batches[job->spec.kind_index];
        FUZZ_ASSERT(batch->unit == job->unit && batch->timer.timer_set);
        return;
    }

    tree = (worker == current) ? &ngx_event_timer_rbtree : &worker->timers;

    FUZZ_ASSERT(worker->ntasks || worker->frames || worker->ndone
                || posted(worker->exec->pool)
                || timer_of(tree, tree->root, worker->exec->pool));
}


static void
check_worker(worker_t *worker)
{
    uint64_t           waiting[NGX_HELIX_LANES], in_flight;
    ngx_uint_t         i, k, njobs, tokens;
    ngx_queue_t       *q;
    ngx_helix_job_t   *job;
    ngx_helix_slot_t  *slot;

    slot = slot_of(worker);
    FUZZ_ASSERT(slot != NULL && slot == worker->exec->slot);

    memset(waiting, 0, sizeof(waiting));
    njobs = 0;

    for (q = ngx_queue_head(&worker->exec->jobs);
         q != ngx_queue_sentinel(&worker->exec->jobs);
         q = ngx_queue_next(q))
    {
        job = ngx_queue_data(q, ngx_helix_job_t, link);
        njobs++;

        FUZZ_ASSERT(job->exec == worker->exec);
        FUZZ_ASSERT(job->timer.timer_set
                    || !ngx_queue_empty(&job->followers));

        if (job->leader) {
            FUZZ_ASSERT(job->owner && !job->ending);
            continue;
        }

        check_moves(worker, job);

        if (job->spec.strategy == HELIX_SPAWN || !batch_of(job)->taken) {
            waiting[job->spec.strategy]++;
        }
    }

    in_flight = 0;

    for (k = 0; k < KINDS; k++) {
        for (i = 0; i < NGX_HELIX_LANES; i++) {
            in_flight += ngx_helix_lane_in_flight(
                             &slot->counts.kinds[k].lanes[i]);
        }
    }

    FUZZ_ASSERT(in_flight == njobs);

    for (i = 0; i < NGX_HELIX_LANES; i++) {
        FUZZ_ASSERT(slot->waiting[i] == waiting[i]);
        FUZZ_ASSERT(waiting[i] <= worker->settings.queue + 2);
    }

    tokens = 0;

    for (i = 0; i < NGX_HELIX_TOKENS; i++) {
        tokens += (zone->tokens[i]
                   == ngx_helix_slot_number(zone, slot));
    }

    FUZZ_ASSERT(tokens <= worker->frames);
}


static void
check(void)
{
    ngx_uint_t  i;

    for (i = 0; i < WORKERS; i++) {
        if (workers[i].alive && !workers[i].busy) {
            sweep(&workers[i]);
            check_worker(&workers[i]);
        }
    }

    /* the largest concurrency and queue that start_worker() gives; what has
       made way for others comes on top */

    FUZZ_ASSERT(ngx_helix_tokens_busy(zone) <= 2);

    for (i = 0; i < NGX_HELIX_LANES; i++) {
        FUZZ_ASSERT(ngx_helix_waiting(zone, i) <= 4 + 2);
    }
}


/* Nobody is interrupted any more; all that was begun comes to its end. */

static void
drain(worker_t *worker)
{
    ngx_uint_t  turns;

    (void) enter(worker);

    if (worker->terminate) {
        stop_worker(worker);
        FUZZ_ASSERT(!worker->alive);
        return;
    }

    end_turn(worker);

    for (turns = 0; !ngx_queue_empty(&worker->exec->jobs); turns++) {
        FUZZ_ASSERT(turns < 1000);

        while (worker->ntasks) {
            run_thread(worker);
        }

        while (worker->ndone) {
            deliver(worker);
        }

        spawn_turn(worker);

        now += MS;
        ngx_current_msec = (ngx_msec_t) (now / MS);
        ngx_event_expire_timers();
        end_turn(worker);
    }

    while (worker->ntasks) {
        run_thread(worker);
    }

    while (worker->ndone) {
        deliver(worker);
    }

    sweep(worker);
    check();

    FUZZ_ASSERT(worker->exec->turn.n == 0
                && ngx_queue_empty(&worker->exec->turn.units));
    FUZZ_ASSERT(helix_backlog_work(&worker->exec->slot->report.backlog) == 0);
    FUZZ_ASSERT(worker->exec->slot->report.head == 0);
}


static void
check_totals(void)
{
    ngx_uint_t                 k, l, e;
    uint64_t                   sum, admitted, ended;
    ngx_helix_counts_t         counts;
    ngx_helix_lane_counts_t   *lane;

    ngx_helix_zone_totals(zone, &counts);

    for (l = 0; l < NGX_HELIX_LANES; l++) {
        admitted = 0;
        ended = 0;

        for (e = 0; e < NGX_HELIX_ENDS; e++) {
            sum = 0;

            for (k = 0; k < KINDS; k++) {
                lane = &counts.kinds[k].lanes[l];
                sum += lane->ended[e];
            }

            FUZZ_ASSERT(sum == expected[l][e]);
            ended += sum;
        }

        for (k = 0; k < KINDS; k++) {
            lane = &counts.kinds[k].lanes[l];
            FUZZ_ASSERT(ngx_helix_lane_in_flight(lane) == 0);
            FUZZ_ASSERT(lane->late <= lane->ended[NGX_HELIX_COMPLETED]);
            admitted += lane->admitted;
        }

        FUZZ_ASSERT(admitted == ended);
        FUZZ_ASSERT(ngx_helix_waiting(zone, l) == 0);
    }

    FUZZ_ASSERT(ngx_helix_tokens_busy(zone) == 0);
}


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    ngx_slab_pool_t  *sp;
    static ngx_cycle_t  cycle;
    static ngx_str_t  name = ngx_string("fuzz");
    static ngx_str_t  names[KINDS] = {
        ngx_string("single"), ngx_string("shared"), ngx_string("any")
    };

    ngx_pagesize = 4096;
    ngx_pagesize_shift = 12;
    ngx_cacheline_size = 64;
    log_file.fd = -1;
    log.file = &log_file;
    log.log_level = 0;

    cycle.log = &log;
    ngx_cycle = &cycle;

    ngx_time_init();
    ngx_slab_sizes_init();
    ngx_queue_init(&ngx_posted_events);
    ngx_queue_init(&ngx_posted_next_events);

    shm_zone.shm.size = ngx_helix_zone_size();
    shm_zone.shm.log = &log;
    shm_zone.shm.name = name;
    FUZZ_ASSERT(ngx_shm_alloc(&shm_zone.shm) == NGX_OK);

    sp = (ngx_slab_pool_t *) shm_zone.shm.addr;
    sp->end = shm_zone.shm.addr + shm_zone.shm.size;
    sp->min_shift = 3;
    sp->addr = shm_zone.shm.addr;
    FUZZ_ASSERT(ngx_shmtx_create(&sp->mutex, &sp->lock, NULL) == NGX_OK);
    ngx_slab_init(sp);

    zone = ngx_helix_zone_init(&shm_zone, NULL);
    FUZZ_ASSERT(zone != NULL);
    FUZZ_ASSERT(ngx_helix_zone_kind(zone, &names[0]) == 0);
    FUZZ_ASSERT(ngx_helix_zone_kind(zone, &names[1]) == 1);
    FUZZ_ASSERT(ngx_helix_zone_kind(zone, &names[2]) == 2);
    FUZZ_ASSERT(ngx_helix_zone_kind(zone, &names[0]) == 0);

    return 0;
}


static void
reset(void)
{
    ngx_uint_t  i;

    for (i = 0; i < WORKERS * 2; i++) {
        memset(&zone->slots[i], 0, offsetof(ngx_helix_slot_t, total));
    }

    /* all that is not from the making of the zone, nor too large for it */

    memset(&zone->crashes, 0, offsetof(ngx_helix_zone_t, window)
                              - offsetof(ngx_helix_zone_t, crashes));
    memset(&zone->control, 0, offsetof(ngx_helix_control_block_t, config));
    memset(zone->tokens, 0, sizeof(zone->tokens));
    memset(workers, 0, sizeof(workers));
    memset(expected, 0, sizeof(expected));
    nrecords = 0;
    memset(records, 0, sizeof(record_t));
    now = 1000 * MS;
    processes = 0;
    current = NULL;
    in_thread = NULL;
    depth = 0;
    locked = 0;
    no_memory = 0;
    no_tasks = 0;
    draining = 0;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ngx_uint_t  i, n;

    reset();

    bytes = data;
    bytes_end = data + size;

    start_worker(&workers[0]);
    start_worker(&workers[1]);

    while (bytes < bytes_end) {
        event();
    }

    draining = 1;
    bytes_end = bytes;

    for (i = 0; i < WORKERS; i++) {
        bury(&workers[i]);
    }

    /* one of those that live takes what the dead have left */

    for (i = 0; i < WORKERS && !workers[i].alive; i++) { /* void */ }

    if (i == WORKERS) {
        i = 0;
        start_worker(&workers[i]);
    }

    now += 2 * NGX_HELIX_TERM * MS;

    for (i = 0, n = 0; i < WORKERS; i++) {
        if (workers[i].alive) {
            (void) enter(&workers[i]);
            n += ngx_helix_zone_reap(zone, workers[i].exec->slot, &log);
        }
    }

    FUZZ_ASSERT(n == 1);

    for (i = 0; i < WORKERS; i++) {
        if (workers[i].alive) {
            drain(&workers[i]);
        }
    }

    check_totals();

    for (i = 0; i < WORKERS; i++) {
        if (workers[i].alive) {
            (void) enter(&workers[i]);
            stop_worker(&workers[i]);
            FUZZ_ASSERT(!workers[i].alive);
        }
    }

    check_totals();

    return 0;
}
