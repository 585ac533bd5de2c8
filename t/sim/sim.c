
#include "sim.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


/*     kind         share  mean   sigma noise slope budget   prior */

const sim_mix_t  sim_mixes[] = {
    { "short", 3, 0, {
        { "H",      0.90,   24,   0.5,  0.2,  1.0,   5000,   3.0, 0, 0 },
        { "P",      0.08,   1200, 0.5,  0.2,  1.2,   25000,  0.4, 0, 0 },
        { "M",      0.02,   11900, 0.4, 0.1,  1.0,   100000, 2.0, 0, 0 } } },
    { "balanced", 3, 0, {
        { "H",      0.60,   24,   0.5,  0.2,  1.0,   5000,   3.0, 0, 0 },
        { "P",      0.30,   1200, 0.5,  0.2,  1.2,   25000,  0.4, 0, 0 },
        { "M",      0.10,   18000, 0.4, 0.1,  1.0,   150000, 2.0, 0, 0 } } },
    { "long", 3, 0, {
        { "H",      0.20,   24,   0.5,  0.2,  1.0,   5000,   3.0, 0, 0 },
        { "P",      0.30,   1200, 0.5,  0.2,  1.2,   25000,  0.4, 0, 0 },
        { "M",      0.50,   40000, 0.4, 0.1,  1.0,   400000, 2.0, 0, 0 } } },
    { "lying", 3, 1.0, {
        { "H",      0.60,   24,   0.5,  0.2,  1.0,   5000,   3.0, 0, 0 },
        { "P",      0.30,   1200, 0.5,  0.2,  1.2,   25000,  0.4, 0, 0 },
        { "M",      0.10,   18000, 0.4, 0.1,  1.0,   150000, 2.0, 0, 0 } } },
    { "single", 1, 0, {
        { "P",      1.00,   2000, 0.5,  0.2,  1.0,   25000,  0.4, 0, 0 } } },
    { "var", 1, 0, {
        { "A",      1.00,   2240, 0.2,  0.1,  1.0,   20000,  0.4,
          40 / 2240.0, 1 } } },
    { "keys", 1, 0, {
        { "A",      1.00,   2240, 0.2,  0.1,  1.0,   20000,  0.4,
          40 / 2240.0, 8 } } },
    { "tree", 1, 0, {
        { "A",      1.00,   8,    0.2,  0.1,  1.0,   2000,   3.0,
          0.25, 1 } } },
    { "cheap", 1, 0, {
        { "A",      1.00,   40,   0.2,  0.1,  1.0,   5000,   3.0,
          0.15, 1 } } },
    { "even", 1, 0, {
        { "A",      1.00,   2000, 0.2,  0.1,  1.0,   25000,  0.4,
          1.0, 1 } } },
    { "two", 2, 0, {
        { "A",      0.65,   2240, 0.2,  0.1,  1.0,   20000,  0.4,
          40 / 2240.0, 1 },
        { "B",      0.35,   1000, 0.2,  0.1,  1.0,   5000,   0.4, 0, 0 } } },
    { "wide", 2, 0, {
        { "A",      0.65,   4480, 0.2,  0.1,  1.0,   40000,  0.4,
          0.25, 1 },
        { "B",      0.35,   1000, 0.2,  0.1,  1.0,   5000,   0.4, 0, 0 } } },
    { NULL, 0, 0, { { NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0 } } }
};


const sim_mix_t *
sim_mix(const char *name)
{
    const sim_mix_t  *mix;

    for (mix = sim_mixes; mix->name != NULL; mix++) {
        if (strcmp(mix->name, name) == 0) {
            return mix;
        }
    }

    fprintf(stderr, "no mix \"%s\"\n", name);
    exit(2);
}


sim_config_t
sim_config(const char *mix, double load)
{
    sim_config_t  config = { 0 };

    config.mix = sim_mix(mix);
    config.load = load;
    config.seed = 1;
    config.seconds = 20;
    config.workers = 2;
    config.cores = 2;
    config.prior = 1;
    config.size = 32;

    return config;
}


/* The 99th percentile of latencies by budget. */

static double
sim_tail(const uint64_t *ratios)
{
    uint32_t  k;
    uint64_t  n, all;

    all = 0;

    for (k = 0; k <= 1000; k++) {
        all += ratios[k];
    }

    n = 0;

    for (k = 0; k <= 1000 && all; k++) {
        n += ratios[k];

        if ((double) n >= 0.99 * (double) all) {
            return (k + 1) / 250.0;
        }
    }

    return 0;
}


void
sim_figures(const sim_config_t *config, const sim_result_t *r,
    sim_figures_t *f)
{
    double             capacity, work, rate, least, most;
    uint32_t           k;
    const sim_mix_t   *mix;

    memset(f, 0, sizeof(sim_figures_t));

    mix = config->mix;
    capacity = r->span * r->cores;
    least = INFINITY;
    most = 0;
    work = 0;
    rate = 0;

    for (k = 0; k < mix->nkinds; k++) {
        work += r->work[k];
        rate += (double) r->met[k];
        f->met[k] = 100 * (double) r->met[k] / (double) r->offered[k];

        if (mix->kinds[k].mean > 100) {
            least = fmin(least, r->work[k]);
            most = fmax(most, r->work[k]);
        }
    }

    f->goodput = 100 * work / capacity;
    f->bound = 100 * (r->left + r->inlined) / capacity;
    f->rate = rate / r->span * SIM_SEC;
    f->ratio = (least > 0) ? most / least : INFINITY;

    for (k = 0; k < mix->nkinds; k++) {
        f->mean[k] = r->latency[k] / (double) r->answered[k] / 1e6;
        f->tail[k] = sim_tail(r->latencies[k]) * mix->kinds[k].budget / 1000;
    }

    f->size = r->batches ? (double) r->batched / (double) r->batches : 0;
    f->used = 100 * r->spent / capacity;

    f->p99 = sim_tail(r->ratios);

    if (r->admitted) {
        f->late = 100 * (double) r->late / (double) r->admitted;
        f->shed = 100 * (double) r->shed / (double) r->admitted;
    }

    f->wasted = (r->spent > 0) ? 100 * r->wasted / r->spent : 0;
    f->feasible = (double) r->feasible;

    if (r->window > 0) {
        f->during = 100 * r->window_useful / r->window;
        f->window = 100 * r->window_useful
                    / (r->window_left + r->window_inlined);
    }

    if (r->bursts) {
        f->after = r->after / (double) r->bursts / 1e6;
        f->after_max = r->after_max / 1e6;
    }
}


static void
sim_average(const sim_config_t *config, uint32_t seeds, sim_result_t *sum)
{
    double        after;
    uint32_t      i, k, n;
    sim_config_t  one;
    sim_result_t  r;

    one = *config;
    sim_run(&one, sum);

    for (i = 1; i < seeds; i++) {
        one.seed++;
        sim_run(&one, &r);

        for (k = 0; k < SIM_KINDS; k++) {
            sum->offered[k] += r.offered[k];
            sum->met[k] += r.met[k];
            sum->work[k] += r.work[k];
            sum->latency[k] += r.latency[k];
            sum->answered[k] += r.answered[k];

            for (n = 0; n <= 1000; n++) {
                sum->latencies[k][n] += r.latencies[k][n];
            }
        }

        sum->batches += r.batches;
        sum->batched += r.batched;

        for (k = 0; k <= 1000; k++) {
            sum->ratios[k] += r.ratios[k];
        }

        sum->dropped += r.dropped;
        sum->feasible += r.feasible;
        sum->admitted += r.admitted;
        sum->late += r.late;
        sum->shed += r.shed;
        sum->spent += r.spent;
        sum->wasted += r.wasted;
        sum->left += r.left;
        sum->threads += r.threads;
        sum->inlined += r.inlined;
        sum->span += r.span;
        sum->window += r.window;
        sum->window_left += r.window_left;
        sum->window_inlined += r.window_inlined;
        sum->window_useful += r.window_useful;
        sum->after += r.after;
        sum->bursts += r.bursts;

        after = fmax(sum->after_max, r.after_max);
        sum->after_max = after;
    }
}


void
sim_measure(const sim_config_t *config, uint32_t seeds, sim_figures_t *figures)
{
    sim_result_t  result;

    sim_average(config, seeds, &result);
    sim_figures(config, &result, figures);
}


/* t/sim/run --cell MIX LOAD [NAME=VALUE]... */

static void
sim_cell(int argc, char **argv)
{
    char           *value;
    int             i;
    uint32_t        seeds;
    sim_config_t    config;
    sim_figures_t   figures;

    config = sim_config(argv[0], atof(argv[1]));
    seeds = 5;

    for (i = 2; i < argc; i++) {
        value = strchr(argv[i], '=');

        if (value == NULL) {
            fprintf(stderr, "NAME=VALUE is expected\n");
            exit(2);
        }

        *value++ = '\0';

        if (strcmp(argv[i], "rule") == 0) {
            config.rule = (sim_rule_t) atoi(value);

        } else if (strcmp(argv[i], "without") == 0) {
            config.without = (uint32_t) strtoul(value, NULL, 0);

        } else if (strcmp(argv[i], "with") == 0) {
            config.with = (uint32_t) strtoul(value, NULL, 0);

        } else if (strcmp(argv[i], "parameter") == 0) {
            config.parameter = atof(value);

        } else if (strcmp(argv[i], "scenario") == 0) {
            config.scenario = (sim_scenario_t) atoi(value);

        } else if (strcmp(argv[i], "prior") == 0) {
            config.prior = atof(value);

        } else if (strcmp(argv[i], "workers") == 0) {
            config.workers = (uint32_t) atoi(value);

        } else if (strcmp(argv[i], "cores") == 0) {
            config.cores = (uint32_t) atoi(value);

        } else if (strcmp(argv[i], "seconds") == 0) {
            config.seconds = (uint64_t) atoi(value);

        } else if (strcmp(argv[i], "size") == 0) {
            config.size = (uint64_t) atoi(value);

        } else if (strcmp(argv[i], "external") == 0) {
            config.external = atof(value);

        } else if (strcmp(argv[i], "seed") == 0) {
            config.seed = (uint64_t) atoi(value);

        } else if (strcmp(argv[i], "seeds") == 0) {
            seeds = (uint32_t) atoi(value);

        } else {
            fprintf(stderr, "no \"%s\"\n", argv[i]);
            exit(2);
        }
    }

    /* loops that share a processor are not simulated */

    if (config.workers < 1 || config.workers > config.cores
        || config.workers > SIM_WORKERS || config.cores > SIM_SLOTS
        || config.seconds < 3 || seeds < 1)
    {
        fprintf(stderr, "out of range\n");
        exit(2);
    }

    sim_measure(&config, seeds, &figures);
    sim_print("", &config, &figures);

    if (config.mix->kinds[0].added > 0) {
        sim_print_batches("", &config, &figures);
    }
}


int
main(int argc, char **argv)
{
    if (argc == 1) {
        return sim_check();
    }

    if (strcmp(argv[1], "--table") == 0) {
        sim_table((argc > 2) ? (uint32_t) atoi(argv[2]) : 3);
        return 0;
    }

    if (strcmp(argv[1], "--timing") == 0) {
        sim_timing();
        return 0;
    }

    if (strcmp(argv[1], "--cell") == 0 && argc > 3) {
        sim_cell(argc - 2, argv + 2);
        return 0;
    }

    fprintf(stderr, "see t/sim/run\n");

    return 2;
}
