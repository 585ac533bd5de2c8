
/* Progress, the table and the JSON. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "load_run.h"


#define LOAD_JSON_CLASS  16384
#define LOAD_JSON_SLOT   192
#define LOAD_VOID_LEN    256


typedef struct {
    const char  *name;
    double       q;
} load_quantile_t;


static void load_report_row(const char *name, const load_stats_t *stats);
static void load_report_names(const char *title, const load_names_t *names);
static void load_report_status(const load_stats_t *stats);
static void load_report_errors(const load_stats_t *stats);
static void load_report_generator(load_run_t *run);
static void load_json_options(helix_json_writer_t *json, load_run_t *run);
static void load_json_generator(helix_json_writer_t *json, load_run_t *run);
static void load_json_stats(helix_json_writer_t *json, load_run_t *run,
    const load_stats_t *stats);
static void load_json_counts(helix_json_writer_t *json,
    const load_stats_t *stats);
static void load_json_class(helix_json_writer_t *json, load_run_t *run,
    uint32_t i);
static void load_json_series(helix_json_writer_t *json, load_run_t *run);
static void load_json_u64(helix_json_writer_t *json, const char *name,
    uint64_t value);
static void load_json_ms(helix_json_writer_t *json, const char *name,
    uint64_t ns);
static void load_json_ratio(helix_json_writer_t *json, const char *name,
    double value);
static void load_json_names(helix_json_writer_t *json, const char *name,
    const load_names_t *names);
static void load_json_hist(helix_json_writer_t *json, const char *name,
    const helix_hist_t *hist, uint64_t max);


static const load_quantile_t  load_quantiles[] = {
    { "p50", 0.50 }, { "p90", 0.90 }, { "p99", 0.99 }, { "p999", 0.999 },
    { NULL, 0 }
};


void
load_report_progress(load_run_t *run, uint64_t second)
{
    load_slot_t  *now, *shown;

    if (run->options->quiet) {
        return;
    }

    now = &run->now;
    shown = &run->shown;

    fprintf(stderr, "%4llu s%s  offered %u  answered %u  good %u  late %u  "
            "rejected %u  errors %u  in flight %llu  connections %u\n",
            (unsigned long long) second,
            (second * LOAD_SECOND <= run->options->warmup) ? " warm-up" : "",
            now->offered - shown->offered, now->answered - shown->answered,
            now->good - shown->good, now->late - shown->late,
            now->rejected - shown->rejected, now->errors - shown->errors,
            (unsigned long long) run->live, run->nconns);

    *shown = *now;
}


void
load_report_table(load_run_t *run)
{
    char             text[LOAD_VOID_LEN];
    uint32_t         i;
    load_options_t  *options;

    options = run->options;

    if (options->closed) {
        printf("closed loop, %llu clients, %.3f s, seed %llu\n\n",
               (unsigned long long) options->closed, load_stats_seconds(run),
               (unsigned long long) options->seed);

    } else {
        printf("open loop, %s, %.6g requests/s, %.3f s, seed %llu\n\n",
               options->schedule, options->rate, load_stats_seconds(run),
               (unsigned long long) options->seed);
    }

    printf("%-16s %9s %9s %7s %8s %8s %7s %7s   %8s %8s %8s %8s %8s ms\n",
           "", "sent", "good", "good %", "late", "rejected", "aborted",
           "other", "p50", "p90", "p99", "p99.9", "max");

    for (i = 0; i < options->nclasses; i++) {
        load_report_row(options->classes[i].name, &run->classes[i]);
    }

    if (options->nclasses > 1) {
        load_report_row("total", &run->total);
    }

    if (options->canary) {
        load_report_row("canary", &run->classes[options->nclasses]);
    }

    printf("\ngoodput          %.1f/s in deadline\n",
           load_stats_goodput(run, &run->total));

    load_report_status(&run->total);
    load_report_names("strategies", &run->total.strategies);
    load_report_names("rejected for", &run->total.reasons);
    load_report_errors(&run->total);
    load_report_generator(run);

    for (i = 0; load_stats_void(run, i, text, sizeof(text)); i++) {
        printf("VOID             %s\n", text);
    }
}


static void
load_report_row(const char *name, const load_stats_t *stats)
{
    uint64_t                other;
    const load_quantile_t  *q;

    other = stats->outcomes[LOAD_EXPIRED] + stats->outcomes[LOAD_REFUSED]
            + stats->outcomes[LOAD_ERROR] + stats->outcomes[LOAD_UNANSWERED];

    printf("%-16s %9llu %9llu %7.2f %8llu %8llu %7llu %7llu  ", name,
           (unsigned long long) stats->sent,
           (unsigned long long) stats->outcomes[LOAD_GOOD],
           stats->sent ? 100.0 * (double) stats->outcomes[LOAD_GOOD]
                         / (double) stats->sent : 0,
           (unsigned long long) stats->outcomes[LOAD_LATE],
           (unsigned long long) stats->outcomes[LOAD_REJECTED],
           (unsigned long long) stats->outcomes[LOAD_ABORTED],
           (unsigned long long) other);

    for (q = load_quantiles; q->name; q++) {
        printf(" %8.3f", load_stats_quantile(&stats->latency, q->q,
                                             stats->latency_max) / 1e6);
    }

    printf(" %8.3f\n", (double) stats->latency_max / 1e6);
}


static void
load_report_names(const char *title, const load_names_t *names)
{
    uint32_t  i;

    if (names->n == 0) {
        return;
    }

    printf("%-16s", title);

    for (i = 0; i < names->n; i++) {
        printf(" %s %llu%s", names->names[i],
               (unsigned long long) names->counts[i],
               (i + 1 < names->n) ? "," : "");
    }

    printf("\n");
}


static void
load_report_status(const load_stats_t *stats)
{
    uint32_t     i;
    const char  *comma;

    printf("%-16s", "answers");
    comma = "";

    for (i = 0; i < 600; i++) {
        if (stats->status[i]) {
            printf("%s %u: %llu", comma, i,
                   (unsigned long long) stats->status[i]);
            comma = ",";
        }
    }

    printf("%s; %llu retries, %llu resent\n", *comma ? "" : " none",
           (unsigned long long) stats->retries,
           (unsigned long long) stats->resent);
}


static void
load_report_errors(const load_stats_t *stats)
{
    uint32_t  i;

    for (i = 0; i < LOAD_ERRORS; i++) {
        if (stats->errors[i]) {
            printf("%-16s %s %llu\n", "errors", load_error_names[i],
                   (unsigned long long) stats->errors[i]);
        }
    }

    if (stats->outcomes[LOAD_UNANSWERED]) {
        printf("%-16s %llu\n", "unanswered",
               (unsigned long long) stats->outcomes[LOAD_UNANSWERED]);
    }
}


static void
load_report_generator(load_run_t *run)
{
    printf("%-16s late p50 %.3f, p99 %.3f, max %.3f ms; %.0f %% of a core; "
           "%llu connections, %llu at once%s\n", "generator",
           load_stats_quantile(&run->lateness, 0.5, run->lateness_max) / 1e6,
           load_stats_quantile(&run->lateness, 0.99, run->lateness_max) / 1e6,
           (double) run->lateness_max / 1e6, 100 * load_stats_cpu(run),
           (unsigned long long) run->opened,
           (unsigned long long) run->conns_max,
           run->interrupted ? "; interrupted" : "");

    if (run->waits) {
        printf("%-16s %llu requests waited for a connection: "
               "--max-connections %llu was reached\n", "",
               (unsigned long long) run->waits,
               (unsigned long long) run->options->max_connections);
    }
}


bool
load_report_json(load_run_t *run)
{
    char                  text[LOAD_VOID_LEN];
    bool                  ok;
    FILE                 *file;
    size_t                size;
    uint32_t              i;
    load_options_t       *options;
    helix_json_writer_t   json;

    options = run->options;
    size = 65536 + (options->nclasses + 2) * LOAD_JSON_CLASS
           + run->nseries * LOAD_JSON_SLOT;

    helix_json_writer_init(&json, load_alloc(1, size), size - 1);

    helix_json_object(&json);

    helix_json_key(&json, "void");
    helix_json_bool(&json,
                    load_stats_void(run, 0, text, sizeof(text)) != NULL);
    helix_json_key(&json, "void_reasons");
    helix_json_array(&json);

    for (i = 0; load_stats_void(run, i, text, sizeof(text)); i++) {
        helix_json_cstring(&json, text);
    }

    helix_json_array_end(&json);

    helix_json_key(&json, "interrupted");
    helix_json_bool(&json, run->interrupted);

    load_json_options(&json, run);
    load_json_ms(&json, "measured_ms", run->end - run->begin);
    load_json_generator(&json, run);

    helix_json_key(&json, "total");
    helix_json_object(&json);
    load_json_stats(&json, run, &run->total);
    helix_json_object_end(&json);

    helix_json_key(&json, "classes");
    helix_json_object(&json);

    for (i = 0; i < options->nclasses; i++) {
        load_json_class(&json, run, i);
    }

    helix_json_object_end(&json);

    if (options->canary) {
        load_json_class(&json, run, options->nclasses);
    }

    load_json_series(&json, run);
    helix_json_object_end(&json);

    *json.pos++ = '\n';

    if (strcmp(options->json, "-") == 0) {
        file = stdout;

    } else {
        file = fopen(options->json, "w");
    }

    ok = (!json.overflow && file != NULL
          && fwrite(json.start, (size_t) (json.pos - json.start), 1, file)
             == 1);

    if (file && fclose(file) != 0) {
        ok = false;
    }

    if (!ok) {
        fprintf(stderr, "load: cannot write %s: %s\n", options->json,
                json.overflow ? "too long" : strerror(errno));
    }

    return ok;
}


static void
load_json_options(helix_json_writer_t *json, load_run_t *run)
{
    load_options_t  *options;

    static const char *const  retries[] = { "never", "obey", "at-once" };

    options = run->options;

    helix_json_key(json, "options");
    helix_json_object(json);

    helix_json_key(json, "url");
    helix_json_cstring(json, options->url);
    helix_json_key(json, "schedule");
    helix_json_cstring(json, options->closed ? "closed" : options->schedule);
    helix_json_key(json, "rate");
    helix_json_double(json, options->rate);
    load_json_u64(json, "closed", options->closed);
    load_json_u64(json, "seed", options->seed);
    load_json_ms(json, "duration_ms", options->duration);
    load_json_ms(json, "warmup_ms", options->warmup);
    load_json_ms(json, "timeout_ms", options->timeout);
    load_json_u64(json, "max_connections", options->max_connections);
    load_json_ratio(json, "abort_share", options->abort_share);
    load_json_ms(json, "abort_after_ms", options->abort_after);
    helix_json_key(json, "abort_by");
    helix_json_cstring(json, options->abort_rst ? "rst" : "fin");
    helix_json_key(json, "retry");
    helix_json_cstring(json, retries[options->retry]);
    load_json_u64(json, "tries",
                  (options->retry == LOAD_RETRY_NEVER) ? 1 : options->tries);

    helix_json_object_end(json);
}


static void
load_json_generator(helix_json_writer_t *json, load_run_t *run)
{
    helix_json_key(json, "generator");
    helix_json_object(json);

    load_json_hist(json, "lateness_ms", &run->lateness, run->lateness_max);
    load_json_ratio(json, "cpu_share", load_stats_cpu(run));
    load_json_u64(json, "scheduled", run->schedule.n);
    load_json_u64(json, "unsent", run->unsent);
    load_json_u64(json, "warmup_tries", run->warmup_sent);
    load_json_u64(json, "connections_opened", run->opened);
    load_json_u64(json, "connections_at_once", run->conns_max);
    load_json_u64(json, "waited_for_connection", run->waits);

    helix_json_object_end(json);
}


static void
load_json_stats(helix_json_writer_t *json, load_run_t *run,
    const load_stats_t *stats)
{
    load_json_counts(json, stats);

    load_json_ratio(json, "good_per_second", load_stats_goodput(run, stats));
    load_json_ratio(json, "good_share",
                    stats->sent ? (double) stats->outcomes[LOAD_GOOD]
                                  / (double) stats->sent : 0);

    load_json_u64(json, "sent_cost", stats->sent_cost);
    load_json_u64(json, "good_cost", stats->good_cost);

    load_json_names(json, "strategies", &stats->strategies);
    load_json_names(json, "reasons", &stats->reasons);

    load_json_hist(json, "latency_ms", &stats->latency, stats->latency_max);
    load_json_hist(json, "reject_ms", &stats->reject, stats->reject_max);
}


static void
load_json_counts(helix_json_writer_t *json, const load_stats_t *stats)
{
    char      name[16];
    uint32_t  i;

    load_json_u64(json, "sent", stats->sent);
    load_json_u64(json, "retries", stats->retries);
    load_json_u64(json, "resent", stats->resent);
    load_json_u64(json, "answered", stats->answered);

    for (i = 0; i < LOAD_OUTCOMES; i++) {
        load_json_u64(json, load_outcome_names[i], stats->outcomes[i]);
    }

    helix_json_key(json, "status");
    helix_json_object(json);

    for (i = 0; i < 600; i++) {
        if (stats->status[i]) {
            snprintf(name, sizeof(name), "%u", i);
            load_json_u64(json, name, stats->status[i]);
        }
    }

    helix_json_object_end(json);

    helix_json_key(json, "errors_by_kind");
    helix_json_object(json);

    for (i = 0; i < LOAD_ERRORS; i++) {
        if (stats->errors[i]) {
            load_json_u64(json, load_error_names[i], stats->errors[i]);
        }
    }

    helix_json_object_end(json);
}


static void
load_json_class(helix_json_writer_t *json, load_run_t *run, uint32_t i)
{
    load_class_t  *class;

    class = &run->options->classes[i];

    helix_json_key(json, class->name);
    helix_json_object(json);

    if (!class->canary) {
        load_json_ratio(json, "weight", class->weight);
        load_json_u64(json, "budget_ms", class->budget);
    }

    load_json_stats(json, run, &run->classes[i]);

    helix_json_object_end(json);
}


/* "at_ms" is the slot's beginning, 0 that of the measured part. */

static void
load_json_series(helix_json_writer_t *json, load_run_t *run)
{
    size_t           i;
    load_slot_t     *slot;
    load_options_t  *options;

    options = run->options;

    helix_json_key(json, "series");
    helix_json_array(json);

    for (i = 0; i < run->nseries; i++) {
        slot = &run->series[i];

        helix_json_object(json);
        helix_json_key(json, "at_ms");
        helix_json_double(json, ((double) i * (double) options->interval
                                 - (double) options->warmup) / 1e6);
        load_json_u64(json, "offered", slot->offered);
        load_json_u64(json, "answered", slot->answered);
        load_json_u64(json, "good", slot->good);
        load_json_u64(json, "late", slot->late);
        load_json_u64(json, "rejected", slot->rejected);
        load_json_u64(json, "errors", slot->errors);
        helix_json_object_end(json);
    }

    helix_json_array_end(json);
}


static void
load_json_u64(helix_json_writer_t *json, const char *name, uint64_t value)
{
    helix_json_key(json, name);
    helix_json_u64(json, value);
}


static void
load_json_ms(helix_json_writer_t *json, const char *name, uint64_t ns)
{
    helix_json_key(json, name);
    helix_json_fixed(json, ns, 6);
}


static void
load_json_ratio(helix_json_writer_t *json, const char *name, double value)
{
    helix_json_key(json, name);
    helix_json_double(json, value);
}


static void
load_json_names(helix_json_writer_t *json, const char *name,
    const load_names_t *names)
{
    uint32_t  i;

    helix_json_key(json, name);
    helix_json_object(json);

    for (i = 0; i < names->n; i++) {
        load_json_u64(json, names->names[i], names->counts[i]);
    }

    helix_json_object_end(json);
}


static void
load_json_hist(helix_json_writer_t *json, const char *name,
    const helix_hist_t *hist, uint64_t max)
{
    const load_quantile_t  *q;

    helix_json_key(json, name);
    helix_json_object(json);

    load_json_u64(json, "count", hist->count);

    for (q = load_quantiles; q->name; q++) {
        load_json_ms(json, q->name,
                     (uint64_t) load_stats_quantile(hist, q->q, max));
    }

    load_json_ms(json, "max", max);

    helix_json_object_end(json);
}
