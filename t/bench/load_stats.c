
/* Counts, latencies, and whether the run is void. */

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "load_run.h"


const char *const  load_outcome_names[LOAD_OUTCOMES] = {
    "good", "late", "rejected", "expired", "refused", "aborted", "errors",
    "unanswered"
};


const char *const  load_error_names[LOAD_ERRORS] = {
    "connect", "closed", "http", "json", "echo"
};


static uint64_t load_stats_cpu_time(void);
static load_slot_t *load_stats_slot(load_run_t *run, uint64_t time);
static void load_stats_name(load_names_t *names, const char *name);
static void load_stats_answer_in(load_stats_t *stats,
    const load_answer_t *answer);
static void load_stats_end_in(load_stats_t *stats, load_request_t *request,
    load_outcome_t outcome, uint64_t latency);
static bool load_stats_canary(load_run_t *run, load_request_t *request);


void
load_stats_init(load_run_t *run)
{
    uint64_t         time;
    load_options_t  *options;

    options = run->options;

    run->classes = load_alloc(options->nclasses + 1, sizeof(load_stats_t));

    /* one more, for answers after the end */

    time = options->warmup + options->duration;
    run->nseries = (time + options->interval - 1) / options->interval + 1;
    run->series = load_alloc(run->nseries, sizeof(load_slot_t));
}


static uint64_t
load_stats_cpu_time(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);

    return (uint64_t) ts.tv_sec * LOAD_SECOND + (uint64_t) ts.tv_nsec;
}


/* Notices the beginning and the end of what is measured. */

void
load_stats_clock(load_run_t *run, uint64_t now, bool last)
{
    uint64_t  begin;

    begin = run->start + run->options->warmup;

    if (run->begin == 0 && (now >= begin || last)) {
        run->begin = now;
        run->begin_cpu = load_stats_cpu_time();
    }

    if (run->end == 0 && (now >= begin + run->options->duration || last)) {
        run->end = now;
        run->end_cpu = load_stats_cpu_time();
    }
}


static load_slot_t *
load_stats_slot(load_run_t *run, uint64_t time)
{
    size_t  i;

    i = (time < run->start) ? 0 : (time - run->start) / run->options->interval;

    return &run->series[(i < run->nseries) ? i : run->nseries - 1];
}


static bool
load_stats_canary(load_run_t *run, load_request_t *request)
{
    return run->options->classes[request->class].canary;
}


static void
load_stats_name(load_names_t *names, const char *name)
{
    uint32_t  i;

    for (i = 0; i < names->n; i++) {
        if (strcmp(names->names[i], name) == 0) {
            names->counts[i]++;
            return;
        }
    }

    if (names->n < LOAD_NAMES) {
        names->n++;
        snprintf(names->names[i], LOAD_NAME_LEN, "%s",
                 (i == LOAD_NAMES - 1) ? "other" : name);

    } else {
        i = LOAD_NAMES - 1;
    }

    names->counts[i]++;
}


void
load_stats_sent(load_run_t *run, load_request_t *request, uint64_t now)
{
    uint32_t       i;
    uint64_t       late;
    load_stats_t  *in[2];

    if (request->tries == 1 && !load_stats_canary(run, request)) {
        load_stats_slot(run, request->scheduled)->offered++;
        run->now.offered++;
    }

    if (!request->measured) {
        run->warmup_sent += !load_stats_canary(run, request);
        return;
    }

    late = (now > request->due) ? now - request->due : 0;

    if (!run->options->closed || load_stats_canary(run, request)) {
        helix_hist_add(&run->lateness, late);

        if (late > run->lateness_max) {
            run->lateness_max = late;
        }
    }

    in[0] = &run->classes[request->class];
    in[1] = &run->total;

    for (i = 0; i < (load_stats_canary(run, request) ? 1 : 2); i++) {
        if (request->tries == 1) {
            in[i]->sent++;
            in[i]->sent_cost += request->cost;

        } else {
            in[i]->retries++;
        }
    }
}


void
load_stats_resent(load_run_t *run, load_request_t *request)
{
    if (!request->measured) {
        return;
    }

    run->classes[request->class].resent++;

    if (!load_stats_canary(run, request)) {
        run->total.resent++;
    }
}


static void
load_stats_answer_in(load_stats_t *stats, const load_answer_t *answer)
{
    stats->answered++;
    stats->status[answer->status]++;

    if (answer->strategy[0]) {
        load_stats_name(&stats->strategies, answer->strategy);
    }

    if (answer->rejected) {
        load_stats_name(&stats->reasons,
                        answer->reason[0] ? answer->reason : "none");
    }
}


void
load_stats_answered(load_run_t *run, load_request_t *request,
    const load_answer_t *answer, uint64_t now)
{
    bool  canary;

    canary = load_stats_canary(run, request);

    if (!canary) {
        load_stats_slot(run, now)->answered++;
        run->now.answered++;

        if (answer->rejected) {
            load_stats_slot(run, now)->rejected++;
            run->now.rejected++;
        }
    }

    if (!request->measured) {
        return;
    }

    load_stats_answer_in(&run->classes[request->class], answer);

    if (!canary) {
        load_stats_answer_in(&run->total, answer);
    }
}


void
load_stats_error(load_run_t *run, load_request_t *request, load_error_t error)
{
    if (!request->measured) {
        return;
    }

    run->classes[request->class].errors[error]++;

    if (!load_stats_canary(run, request)) {
        run->total.errors[error]++;
    }
}


static void
load_stats_end_in(load_stats_t *stats, load_request_t *request,
    load_outcome_t outcome, uint64_t latency)
{
    stats->outcomes[outcome]++;

    if (outcome == LOAD_GOOD) {
        stats->good_cost += request->cost;
    }

    if (outcome == LOAD_GOOD || outcome == LOAD_LATE) {
        helix_hist_add(&stats->latency, latency);

        if (latency > stats->latency_max) {
            stats->latency_max = latency;
        }
    }

    if (outcome == LOAD_REJECTED) {
        helix_hist_add(&stats->reject, latency);

        if (latency > stats->reject_max) {
            stats->reject_max = latency;
        }
    }
}


void
load_stats_end(load_run_t *run, load_request_t *request,
    load_outcome_t outcome, uint64_t now)
{
    bool          canary;
    uint64_t      latency;
    load_slot_t  *slot;

    canary = load_stats_canary(run, request);
    slot = load_stats_slot(run, now);
    latency = (now > request->scheduled) ? now - request->scheduled : 0;

    if (!canary) {
        switch (outcome) {

        case LOAD_GOOD:
            slot->good++;
            run->now.good++;
            break;

        case LOAD_LATE:
            slot->late++;
            run->now.late++;
            break;

        case LOAD_ERROR:
        case LOAD_UNANSWERED:
            slot->errors++;
            run->now.errors++;
            break;

        default:
            break;
        }
    }

    if (!request->measured) {
        return;
    }

    load_stats_end_in(&run->classes[request->class], request, outcome,
                      latency);

    if (!canary) {
        load_stats_end_in(&run->total, request, outcome, latency);

        if (outcome == LOAD_GOOD) {
            run->last_good = now;
        }
    }
}


/* The middle of a bucket may lie above all that is in it. */

double
load_stats_quantile(const helix_hist_t *hist, double q, uint64_t max)
{
    double  value;

    value = helix_hist_quantile(hist, q);

    return (value < (double) max) ? value : (double) max;
}


double
load_stats_seconds(const load_run_t *run)
{
    return (double) (run->end - run->begin) / 1e9;
}


/* A second.  Answers that took the server longer than the run count, but so
   does the time they took. */

double
load_stats_goodput(const load_run_t *run, const load_stats_t *stats)
{
    uint64_t  last;

    last = (run->last_good > run->end) ? run->last_good : run->end;

    if (last <= run->begin) {
        return 0;
    }

    return (double) stats->outcomes[LOAD_GOOD] * 1e9
           / (double) (last - run->begin);
}


double
load_stats_cpu(const load_run_t *run)
{
    if (run->end <= run->begin) {
        return 0;
    }

    return (double) (run->end_cpu - run->begin_cpu)
           / (double) (run->end - run->begin);
}


const char *
load_stats_void(const load_run_t *run, uint32_t n, char *text, size_t size)
{
    double    late;
    uint32_t  i;

    i = 0;
    late = load_stats_quantile(&run->lateness, 0.99, run->lateness_max);

    if (late > (double) LOAD_LATE_MAX && i++ == n) {
        snprintf(text, size, "late: p99 of sent minus scheduled is %.3f ms, "
                 "more than %.0f ms%s", late / 1e6,
                 (double) LOAD_LATE_MAX / 1e6,
                 run->waits ? "; --max-connections was reached" : "");
        return text;
    }

    if (load_stats_cpu(run) > LOAD_CPU_MAX && i++ == n) {
        snprintf(text, size, "busy: the generator used %.0f %% of a core, "
                 "more than %.0f %%", 100 * load_stats_cpu(run),
                 100 * LOAD_CPU_MAX);
        return text;
    }

    if (run->unsent && !run->interrupted && i++ == n) {
        snprintf(text, size, "unsent: %llu requests of the schedule were not "
                 "sent", (unsigned long long) run->unsent);
        return text;
    }

    if (run->total.sent == 0 && i++ == n) {
        snprintf(text, size, "empty: nothing was measured");
        return text;
    }

    return NULL;
}
