
/*
 * Open-loop load on helix, or on a peer, over HTTP/1.1 on this machine.
 *
 *     cc -std=c11 -D_GNU_SOURCE -O2 -Isrc/base -It/bench -o build/bench/load \
 *         t/bench/load*.c src/base/helix_*.c -lm
 *
 * When which request is due is fixed before the first byte is sent, and
 * latency counts from then: what a server that stalls makes others wait is
 * seen ("coordinated omission" is not).  A request never waits for a free
 * connection: another is opened.  The run judges itself: it is void when the
 * generator was late or had no CPU left.
 *
 *     load --help
 *     load --url http://127.0.0.1:8080/jobs --rate 500 --duration 10s \
 *         --class 'short,weight=60,budget=5ms,cost=uniform:500:8000,query=...'
 */

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "load_run.h"


#define LOAD_EPOLL_EVENTS  256
#define LOAD_BURST         64                /* sent before answers are read */
#define LOAD_SCAN          (20 * LOAD_MSEC)  /* for --timeout */
#define LOAD_BEHIND        LOAD_SECOND       /* after the end: give up */


static void load_loop(load_run_t *run);
static bool load_over(load_run_t *run, uint64_t now);
static void load_wait(load_run_t *run, uint64_t until);
static void load_due(load_run_t *run, uint64_t now);
static uint64_t load_next(load_run_t *run, uint64_t now);
static void load_start(load_run_t *run, const load_event_t *event,
    uint64_t index, uint64_t scheduled);
static void load_try(load_run_t *run, load_request_t *request);
static void load_send(load_run_t *run, load_conn_t *conn,
    load_request_t *request);
static void load_waiting(load_run_t *run, load_request_t *request);
static void load_served(load_run_t *run);
static bool load_retried(load_run_t *run, load_request_t *request,
    const load_answer_t *answer, uint64_t now);
static void load_end(load_run_t *run, load_request_t *request,
    load_outcome_t outcome, uint64_t now);
static void load_timers(load_run_t *run, uint64_t now);
static void load_timeouts(load_run_t *run, uint64_t now);
static void load_leave(load_run_t *run, uint64_t now);


int
main(int argc, char **argv)
{
    char                   text[256];
    static load_run_t      run;
    static load_options_t  options;

    load_args(&options, argc, argv);

    run.options = &options;

    load_schedule(&run.schedule, &options);

    if (options.print) {
        load_schedule_print(&run.schedule, &options);
        return LOAD_OK;
    }

    load_setup(&run);
    load_loop(&run);

    if (options.json == NULL || strcmp(options.json, "-") != 0) {
        load_report_table(&run);
    }

    if (options.json && !load_report_json(&run)) {
        return LOAD_FAILED;
    }

    return load_stats_void(&run, 0, text, sizeof(text)) ? LOAD_VOID : LOAD_OK;
}


static void
load_loop(load_run_t *run)
{
    uint64_t  now, scan, second;

    now = load_now();

    run->start = now + LOAD_MSEC;
    run->stop = run->start + run->options->warmup + run->options->duration;
    run->credit = run->options->closed;

    scan = now + LOAD_SCAN;
    second = 1;

    for ( ;; ) {
        now = load_now();

        load_stats_clock(run, now, false);

        if (now >= run->start + second * LOAD_SECOND) {
            load_report_progress(run, second++);
        }

        if (now >= scan) {
            load_timeouts(run, now);
            scan = now + LOAD_SCAN;
        }

        load_timers(run, now);
        load_served(run);
        load_due(run, now);

        if (load_over(run, now)) {
            break;
        }

        now = load_next(run, load_now());

        if (now > scan) {
            now = scan;
        }

        load_wait(run, now);
    }

    now = load_now();

    load_stats_clock(run, now, true);
    load_leave(run, now);
}


static bool
load_over(load_run_t *run, uint64_t now)
{
    if (load_setup_interrupted()) {
        run->interrupted = true;
        return true;
    }

    if (now < run->stop) {
        return false;
    }

    if (run->schedule.next == run->schedule.n) {
        return run->live == 0 || now >= run->stop + run->options->timeout;
    }

    return now >= run->stop + LOAD_BEHIND;
}


static void
load_wait(load_run_t *run, uint64_t until)
{
    int                 i, n;
    uint64_t            now;
    struct pollfd       pfd;
    struct timespec     ts;
    struct epoll_event  events[LOAD_EPOLL_EVENTS];

    now = load_now();

    /* epoll_wait() knows milliseconds only */

    if (until > now) {
        pfd.fd = run->epoll;
        pfd.events = POLLIN;

        ts.tv_sec = (time_t) ((until - now) / LOAD_SECOND);
        ts.tv_nsec = (long) ((until - now) % LOAD_SECOND);

        if (ppoll(&pfd, 1, &ts, NULL) <= 0) {
            return;
        }
    }

    n = epoll_wait(run->epoll, events, LOAD_EPOLL_EVENTS, 0);

    for (i = 0; i < n; i++) {
        load_conn_event(run, events[i].data.ptr, events[i].events);
    }
}


/* What is due now, but no more than a burst, lest answers wait. */

static void
load_due(load_run_t *run, uint64_t now)
{
    uint32_t          n;
    load_event_t      drawn, *event;
    load_schedule_t  *schedule;

    schedule = &run->schedule;

    for (n = 0; n < LOAD_BURST && schedule->next < schedule->n; n++) {
        event = &schedule->events[schedule->next];

        if (run->start + event->at > now) {
            break;
        }

        schedule->next++;
        load_start(run, event, schedule->next, run->start + event->at);
    }

    if (now < run->start || now >= run->stop) {
        return;
    }

    for (n = 0; n < LOAD_BURST && run->credit; n++) {
        run->credit--;

        drawn.at = 0;
        load_draw(&schedule->draw, run->options, &drawn);
        load_start(run, &drawn, (1ULL << 32) + ++schedule->drawn, load_now());
    }
}


static uint64_t
load_next(load_run_t *run, uint64_t now)
{
    uint64_t          at;
    load_schedule_t  *schedule;

    schedule = &run->schedule;
    at = UINT64_MAX;

    if (run->credit && now < run->stop) {
        return run->start;
    }

    if (schedule->next < schedule->n) {
        at = run->start + schedule->events[schedule->next].at;
    }

    if (run->ntimers && run->timers[0].at < at) {
        at = run->timers[0].at;
    }

    return at;
}


static void
load_start(load_run_t *run, const load_event_t *event, uint64_t index,
    uint64_t scheduled)
{
    uint32_t         generation;
    load_request_t  *request;

    request = run->free;

    if (request) {
        run->free = request->next;

    } else {
        request = load_alloc(1, sizeof(load_request_t));
    }

    generation = request->generation;

    memset(request, 0, sizeof(load_request_t));

    request->generation = generation;
    request->scheduled = scheduled;
    request->due = scheduled;
    request->index = index;
    request->class = event->class;
    request->cost = event->cost;
    request->abort = event->abort;
    request->measured = (scheduled >= run->start + run->options->warmup);

    run->live++;

    load_try(run, request);
}


static void
load_try(load_run_t *run, load_request_t *request)
{
    load_conn_t  *conn;

    request->tries++;
    request->id = ((uint64_t) request->tries << 40) + request->index;

    conn = run->wait_head ? NULL : load_conn_get(run);

    if (conn == NULL) {
        run->waits++;
        load_waiting(run, request);
        return;
    }

    load_send(run, conn, request);
}


static void
load_send(load_run_t *run, load_conn_t *conn, load_request_t *request)
{
    uint64_t  now;

    now = load_now();
    request->sent = now;

    if (request->resend) {
        request->resend = false;
        load_stats_resent(run, request);

    } else {
        load_stats_sent(run, request, now);
    }

    if (request->abort) {
        load_timer_push(run, request, now + run->options->abort_after, false);
    }

    load_conn_send(run, conn, request);
}


static void
load_waiting(load_run_t *run, load_request_t *request)
{
    request->next = NULL;

    if (run->wait_head) {
        run->wait_tail->next = request;

    } else {
        run->wait_head = request;
    }

    run->wait_tail = request;
}


static void
load_served(load_run_t *run)
{
    uint32_t         n;
    load_conn_t     *conn;
    load_request_t  *request;

    for (n = 0; n < LOAD_BURST && run->wait_head; n++) {

        conn = load_conn_get(run);
        if (conn == NULL) {
            return;
        }

        request = run->wait_head;
        run->wait_head = request->next;

        load_send(run, conn, request);
    }
}


void
load_answered(load_run_t *run, load_request_t *request,
    const load_answer_t *answer)
{
    uint64_t             now;
    load_outcome_t       outcome;
    const load_class_t  *class;

    now = load_now();
    class = &run->options->classes[request->class];

    /* an abort that is not due yet belongs to this try */

    request->generation++;

    load_stats_answered(run, request, answer, now);

    if (!class->canary && run->options->echo) {

        if (answer->bad_json) {
            load_stats_error(run, request, LOAD_ERROR_JSON);
            load_end(run, request, LOAD_ERROR, now);
            return;
        }

        /* what nginx itself answers has no id */

        if (answer->has_id ? (answer->id != request->id)
                           : (answer->status == 200))
        {
            load_stats_error(run, request, LOAD_ERROR_ECHO);
            load_end(run, request, LOAD_ERROR, now);
            return;
        }
    }

    if (answer->rejected) {
        if (!class->canary && load_retried(run, request, answer, now)) {
            return;
        }

        load_end(run, request, LOAD_REJECTED, now);
        return;
    }

    switch (answer->status) {

    case 200:
        outcome = (class->budget
                   && now > request->scheduled + class->budget * LOAD_MSEC)
                  ? LOAD_LATE : LOAD_GOOD;
        break;

    case 504:
        outcome = LOAD_EXPIRED;
        break;

    default:
        outcome = LOAD_REFUSED;
    }

    load_end(run, request, outcome, now);
}


static bool
load_retried(load_run_t *run, load_request_t *request,
    const load_answer_t *answer, uint64_t now)
{
    load_options_t  *options;

    options = run->options;

    if (request->tries >= options->tries) {
        return false;
    }

    switch (options->retry) {

    case LOAD_RETRY_OBEY:
        if (!answer->has_retry_after) {
            return false;
        }

        request->due = now + answer->retry_after;
        break;

    case LOAD_RETRY_ONCE:
        request->due = now;
        break;

    default: /* LOAD_RETRY_NEVER */
        return false;
    }

    /* by the timer at once, too: not from within the answer */

    load_timer_push(run, request, request->due, true);

    return true;
}


void
load_broken(load_run_t *run, load_request_t *request, load_error_t error,
    bool resend)
{
    request->generation++;

    if (resend) {
        request->resend = true;
        load_waiting(run, request);
        return;
    }

    load_stats_error(run, request, error);
    load_end(run, request, LOAD_ERROR, load_now());
}


static void
load_end(load_run_t *run, load_request_t *request, load_outcome_t outcome,
    uint64_t now)
{
    load_stats_end(run, request, outcome, now);

    request->generation++;
    request->next = run->free;
    run->free = request;

    run->live--;

    if (run->options->closed
        && !run->options->classes[request->class].canary)
    {
        run->credit++;
    }
}


static void
load_timers(load_run_t *run, uint64_t now)
{
    load_timer_t     timer;
    load_request_t  *request;

    while (run->ntimers && run->timers[0].at <= now) {
        timer = load_timer_pop(run);
        request = timer.request;

        if (request->generation != timer.generation) {
            continue;
        }

        if (timer.retry) {
            load_try(run, request);
            continue;
        }

        load_conn_close(run, request->conn, run->options->abort_rst);
        load_end(run, request, LOAD_ABORTED, now);
    }
}


static void
load_timeouts(load_run_t *run, uint64_t now)
{
    uint32_t         i;
    load_conn_t     *conn;
    load_request_t  *request;

    /* closing one puts the last into its place */

    for (i = run->nconns; i > 0; i--) {
        conn = run->conns[i - 1];
        request = conn->request;

        if (request && request->sent + run->options->timeout <= now) {
            load_conn_close(run, conn, false);
            load_end(run, request, LOAD_UNANSWERED, now);
        }
    }
}


/* The end, with or without answers. */

static void
load_leave(load_run_t *run, uint64_t now)
{
    load_timer_t     timer;
    load_request_t  *request;

    run->unsent = run->schedule.n - run->schedule.next;

    while (run->nconns) {
        request = run->conns[0]->request;
        load_conn_close(run, run->conns[0], false);

        if (request) {
            load_end(run, request, LOAD_UNANSWERED, now);
        }
    }

    while (run->ntimers) {
        timer = load_timer_pop(run);

        if (timer.generation == timer.request->generation && timer.retry) {
            load_end(run, timer.request, LOAD_REJECTED, now);
        }
    }

    while (run->wait_head) {
        request = run->wait_head;
        run->wait_head = request->next;

        if (request->tries == 1 && !request->resend) {
            run->unsent++;
            request->measured = false;
        }

        load_end(run, request, LOAD_UNANSWERED, now);
    }
}
