
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>


#define SIM_ROUNDS  200000


static uint64_t
sim_clock(void)
{
    struct timespec  now;

    clock_gettime(CLOCK_MONOTONIC, &now);

    return (uint64_t) now.tv_sec * SIM_SEC + (uint64_t) now.tv_nsec;
}


static int
sim_compare_times(const void *a, const void *b)
{
    double  x, y;

    x = *(const double *) a;
    y = *(const double *) b;

    return (x > y) - (x < y);
}


/* A backlog of both workers that all but fills the next 150 ms. */

static void
sim_load_up(sim_worker_t *workers, uint64_t *random, uint32_t n, uint64_t now)
{
    uint32_t       i;
    helix_entry_t  entry;

    for (i = 0; i < n; i++) {
        memset(&entry, 0, sizeof(entry));

        entry.due = now + 20 * SIM_MSEC
                    + (uint64_t) (sim_uniform(random) * 130 * SIM_MSEC);
        entry.work = (int64_t) (130.0 * SIM_MSEC / n);
        entry.variance = 10000;

        helix_backlog_add(&workers[i % 2].report.backlog, &entry, now);
    }
}


static void
sim_time(const char *what, sim_worker_t *worker, helix_router_job_t *jobs,
    uint32_t n, uint64_t now, bool look)
{
    double               per[101];
    uint32_t             i, k, rounds, dropped;
    uint64_t             start;
    helix_verdict_t      v;
    helix_router_view_t  view;

    memset(&view, 0, sizeof(view));
    view.now = now;
    view.busy = 2;
    dropped = 0;
    rounds = SIM_ROUNDS / 100;

    for (k = 0; k < 101; k++) {
        start = sim_clock();

        for (i = 0; i < rounds; i++) {
            view.now = look ? now - (k * rounds + i) : now;
            helix_router_decide(&worker->router, &jobs[i % n], &view, &v);
            dropped += (v.decision.strategy == HELIX_DROP);
        }

        per[k] = (double) (sim_clock() - start) / rounds;
    }

    qsort(per, 101, sizeof(double), sim_compare_times);

    printf("%-36s %6.1f ns, means of %u: 99 %% below %.1f ns, %.0f %%"
           " dropped\n", what, per[50], rounds, per[99],
           100.0 * dropped / (101.0 * rounds));
}


void
sim_timing(void)
{
    double                 unit[3] = { 100, 100, 100 };
    uint32_t               i, k, loads;
    uint64_t               now, random[4], start;
    const bool             alive[2] = { true, true };
    sim_worker_t          *workers;
    helix_settings_t       settings;
    helix_router_job_t     jobs[64], same;
    const helix_report_t  *reports[2];

    static const uint32_t  jobs_queued[] = { 0, 20, 100, 1000 };

    static const struct {
        const char  *name;
        uint64_t     work;
        uint64_t     budget;
    } kinds[3] = {
        { "24 us", 240, 5 }, { "1.2 ms", 12000, 25 }, { "18 ms", 180000, 150 }
    };

    helix_settings_init(&settings);
    settings.concurrency = 2;
    now = 100 * SIM_SEC;

    for (loads = 0; loads < 4; loads++) {
        workers = calloc(2, sizeof(sim_worker_t));
        sim_seed(random, 1);

        for (i = 0; i < 2; i++) {
            helix_router_init(&workers[i].router, &settings,
                              &workers[i].report, unit, 3, 2, now);
            reports[i] = &workers[i].report;
        }

        sim_load_up(workers, random, jobs_queued[loads], now);

        start = sim_clock();

        for (i = 0; i < 1000; i++) {
            helix_router_tick(&workers[0].router, reports, alive, 2, now);
        }

        printf("backlog of %u jobs: a tick %.0f ns\n", jobs_queued[loads],
               (double) (sim_clock() - start) / 1000);

        for (k = 0; k < 3; k++) {
            for (i = 0; i < 64; i++) {
                memset(&same, 0, sizeof(same));
                same.kind = k;
                same.work = kinds[k].work + i;
                same.received = now;
                same.budget = kinds[k].budget * SIM_MSEC;
                jobs[i] = same;
            }

            sim_time(kinds[k].name, &workers[0], jobs, 64, now, false);
        }

        /* steps back in time make it read the others' backlog each time */

        sim_time("18 ms, reading the others' backlog", &workers[0], jobs, 64,
                 now, true);

        free(workers);
    }
}
