
#include "sim.h"

#include <stdio.h>
#include <string.h>


typedef struct {
    const char  *name;
    uint32_t     without;
} sim_law_t;

typedef struct {
    const char  *name;
    sim_rule_t   rule;
    double       parameters[6];      /* to 0 */
} sim_other_t;


static const sim_law_t  sim_laws[] = {
    { "all laws", 0 },
    { "- learning", HELIX_WITHOUT_LEARNING },
    { "- drift", HELIX_WITHOUT_DRIFT },
    { "- efficiency", HELIX_WITHOUT_EFFICIENCY },
    { "- margin", HELIX_WITHOUT_MARGIN },
    { "- adaptation", HELIX_WITHOUT_ADAPTATION },
    { "- others", HELIX_WITHOUT_OTHERS },
    { "- recheck", HELIX_WITHOUT_RECHECK },
    { "- shares", HELIX_WITHOUT_SHARES },
    { "- preemption", HELIX_WITHOUT_PREEMPTION },
    { "- inline", HELIX_WITHOUT_INLINE },
    { NULL, 0 }
};

static const sim_law_t  sim_candidates[] = {
    { "+ price", SIM_WITH_PRICE },
    { "+ eviction", SIM_WITH_EVICTION },
    { "+ codel", SIM_WITH_CODEL },
    { "look, no hand-over", SIM_WITH_LOOK },
    { NULL, 0 }
};

static const sim_other_t  sim_others[] = {
    { "thresholds", SIM_THRESHOLD, { 2, 4, 8, 16 } },
    { "always inline", SIM_INLINE, { 1 } },
    { "always pool", SIM_POOL, { 1 } },
    { "limit_conn", SIM_CONN, { 2, 4, 8, 16, 32 } },
    { "limit_req", SIM_REQ, { 0.5, 0.6, 0.7, 0.8, 0.9 } },
    { "gradient", SIM_GRADIENT, { 1 } },
    { NULL, SIM_PREDICTIVE, { 0 } }
};


void
sim_print(const char *name, const sim_config_t *config,
    const sim_figures_t *f)
{
    uint32_t  k;

    printf("%-20s %-9s%4g %5.1f/%5.1f %6.0f", name, config->mix->name,
           config->load, f->goodput, f->bound, f->rate);

    for (k = 0; k < 3; k++) {
        if (k < config->mix->nkinds) {
            printf(" %6.2f", f->met[k]);

        } else {
            printf("      -");
        }
    }

    printf(" %7.3f %6.3f %5.3f %6.2f %6.0f", f->late, f->shed, f->p99,
           f->wasted, f->feasible);

    if (config->mix->nkinds > 1 && f->ratio < 1000) {
        printf(" %6.2f", f->ratio);

    } else {
        printf("      -");
    }

    if (config->scenario != SIM_STEADY) {
        printf("  %5.1f", f->window);
    }

    if (config->scenario == SIM_BURST) {
        printf(" %4.0f/%4.0f", f->after, f->after_max);
    }

    printf("\n");
    fflush(stdout);
}


void
sim_print_batches(const char *name, const sim_config_t *config,
    const sim_figures_t *f)
{
    uint32_t  k;

    printf("%-20s %-5s%5g %7.0f %6.1f", name, config->mix->name,
           config->load, f->rate, f->used);

    if (f->size > 0) {
        printf(" %6.2f", f->size);

    } else {
        printf("      -");
    }

    for (k = 0; k < 2; k++) {
        if (k < config->mix->nkinds) {
            printf("  %6.2f %7.3f %7.3f", f->met[k], f->mean[k], f->tail[k]);

        } else {
            printf("       -       -       -");
        }
    }

    printf(" %7.3f %6.3f\n", f->late, f->shed);
    fflush(stdout);
}


static void
sim_head(const char *what)
{
    printf("\n%s\n\n%-20s %-9s%4s %5s/%5s %6s %20s %7s %6s %5s %6s %6s %6s"
           "  %5s %9s\n", what, "", "mix", "load", "good", "bound", "jobs/s",
           "in time by kind, %", "late", "shed", "p99", "wasted", "unjust",
           "ratio", "wind.", "after");
}


static void
sim_row(const char *name, const char *mix, double load, const sim_law_t *law,
    const sim_law_t *more, sim_scenario_t scenario, uint32_t seeds)
{
    sim_config_t   config;
    sim_figures_t  figures;

    config = sim_config(mix, load);
    config.scenario = scenario;
    config.without = law ? law->without : 0;
    config.with = more ? more->without : 0;

    sim_measure(&config, seeds, &figures);
    sim_print(name, &config, &figures);
}


static void
sim_table_laws(uint32_t seeds)
{
    size_t           i;
    const sim_law_t  *law;

    static const struct {
        const char      *what;
        const char      *mix;
        double           load;
        sim_scenario_t   scenario;
    } cells[] = {
        { "Laws left out, balanced at 0.7", "balanced", 0.7, SIM_STEADY },
        { "Laws left out, balanced at 2", "balanced", 2, SIM_STEADY },
        { "Laws left out, balanced at 10", "balanced", 10, SIM_STEADY },
        { "Laws left out, short at 10", "short", 10, SIM_STEADY },
        { "Laws left out, long at 2", "long", 2, SIM_STEADY },
        { "Laws left out, lying at 10", "lying", 10, SIM_STEADY },
        { "Laws left out, single at 10", "single", 10, SIM_STEADY },
        { "Laws left out, bursts of 10", "balanced", 0.7, SIM_BURST },
        { "Laws left out, half the speed", "balanced", 2, SIM_SLOW },
        { "Laws left out, a neighbour", "balanced", 2, SIM_NEIGHBOUR },
    };

    for (i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
        sim_head(cells[i].what);

        for (law = sim_laws; law->name != NULL; law++) {
            sim_row(law->name, cells[i].mix, cells[i].load, law, NULL,
                    cells[i].scenario, seeds);
        }

        for (law = sim_candidates; law->name != NULL; law++) {
            sim_row(law->name, cells[i].mix, cells[i].load, NULL, law,
                    cells[i].scenario, seeds);
        }
    }
}


static void
sim_table_external(uint32_t seeds)
{
    char           name[64];
    size_t         i;
    sim_config_t   config;
    sim_figures_t  figures;

    static const double  pressures[] = { 0, 0.25, 0.5, 0.75, 1 };

    sim_head("External pressure, balanced at 2");

    for (i = 0; i < sizeof(pressures) / sizeof(pressures[0]); i++) {
        config = sim_config("balanced", 2);
        config.external = pressures[i];

        snprintf(name, sizeof(name), "external %g", pressures[i]);

        sim_measure(&config, seeds, &figures);
        sim_print(name, &config, &figures);
    }
}


/* The best of its parameters, by jobs in time. */

static void
sim_table_others(uint32_t seeds)
{
    char                name[64];
    size_t              i, k;
    sim_config_t        config, best;
    sim_figures_t       f, most;
    const sim_other_t  *other;

    static const double  loads[] = { 0.7, 1, 2, 10 };

    sim_head("Other policies, each with the best of its parameters");

    for (i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
        sim_row("predictive", "balanced", loads[i], NULL, NULL, SIM_STEADY,
                seeds);

        for (other = sim_others; other->name != NULL; other++) {
            memset(&most, 0, sizeof(most));
            most.rate = -1;

            for (k = 0; other->parameters[k] > 0; k++) {
                config = sim_config("balanced", loads[i]);
                config.rule = other->rule;
                config.parameter = other->parameters[k];

                sim_measure(&config, seeds, &f);

                if (f.rate > most.rate) {
                    most = f;
                    best = config;
                }
            }

            if (k > 1) {
                snprintf(name, sizeof(name), "%s %g", other->name,
                         best.parameter);

            } else {
                snprintf(name, sizeof(name), "%s", other->name);
            }

            sim_print(name, &best, &most);
        }
    }
}


static void
sim_table_batches(uint32_t seeds)
{
    size_t         i, k;
    sim_config_t   config;
    sim_figures_t  f;

    static const struct {
        const char      *mix;
        double           load;
        sim_scenario_t   scenario;
        const char      *rules;
    } cells[] = {
        { "var", 0.1, SIM_STEADY, "nwpr" },
        { "var", 0.5, SIM_STEADY, "nwpr" },
        { "var", 1, SIM_STEADY, "nwpr" },
        { "var", 4, SIM_STEADY, "nwprs" },
        { "var", 16, SIM_STEADY, "nwprs" },
        { "wide", 2, SIM_SLOW, "npd" },
        { "keys", 4, SIM_SLOW, "npd" },
        { "keys", 2, SIM_STEADY, "nps" },
        { "keys", 6, SIM_STEADY, "nps" },
        { "wide", 1, SIM_STEADY, "nwpri" },
        { "wide", 3, SIM_STEADY, "nwpri" },
        { "two", 0.5, SIM_STEADY, "nwpri" },
        { "two", 1, SIM_STEADY, "nwpri" },
        { "two", 2, SIM_STEADY, "nwpris" },
        { "two", 3, SIM_STEADY, "nwpris" },
        { "even", 0.5, SIM_STEADY, "npl" },
        { "even", 0.9, SIM_STEADY, "npl" },
        { "tree", 0.1, SIM_STEADY, "np" },
        { "tree", 0.8, SIM_STEADY, "np" },
        { "tree", 1.2, SIM_STEADY, "np" },
        { "cheap", 0.5, SIM_STEADY, "np" },
        { "cheap", 1, SIM_STEADY, "np" },
        { "cheap", 2, SIM_STEADY, "np" },
    };

    static const struct {
        char         key;
        const char  *name;
        uint32_t     without;
        uint32_t     with;
    } rules[] = {
        { 'n', "none", HELIX_WITHOUT_BATCHING, 0 },
        { 'w', "window 10 ms, 8", 0, SIM_WITH_WINDOW },
        { 'p', "pull", 0, 0 },
        { 'r', "+ reserve", 0, SIM_WITH_RESERVE },
        { 'i', "- interruption", 0, SIM_WITH_WHOLE },
        { 's', "- saving", HELIX_WITHOUT_SAVING, 0 },
        { 'l', "- leaving", HELIX_WITHOUT_LEAVING, 0 },
        { 'd', "- drift of batches", HELIX_WITHOUT_BATCH_DRIFT, 0 },
    };

    printf("\nBatches: used: %% of the processors, by jobs; size of batches;"
           " by kind: in time, %%, mean and p99, ms\n\n%-20s %-5s%5s %7s %6s"
           " %6s  %22s  %22s %7s %6s\n", "", "mix", "load", "jobs/s", "used",
           "size", "A", "B", "late", "shed");

    for (i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
        for (k = 0; k < sizeof(rules) / sizeof(rules[0]); k++) {
            if (strchr(cells[i].rules, rules[k].key) == NULL) {
                continue;
            }

            config = sim_config(cells[i].mix, cells[i].load);
            config.scenario = cells[i].scenario;
            config.without = rules[k].without;
            config.with = rules[k].with;

            sim_measure(&config, seeds, &f);
            sim_print_batches(rules[k].name, &config, &f);
        }
    }
}


static void
sim_table_models(uint32_t seeds)
{
    char           name[64];
    size_t         i, k;
    sim_config_t   config;
    sim_figures_t  f;

    static const double    priors[] = { 0.05, 0.3, 5, 20 };
    static const uint32_t  without[] = {
        0, HELIX_WITHOUT_LEARNING,
        HELIX_WITHOUT_LEARNING | HELIX_WITHOUT_ADAPTATION
    };

    static const char *const  names[] = { "", " frozen", " frozen, fixed" };

    sim_head("Wrong priors, by a factor, and a model that does not learn");

    for (i = 0; i < sizeof(priors) / sizeof(priors[0]); i++) {
        for (k = 0; k < 3; k++) {
            config = sim_config("balanced", 10);
            config.prior = priors[i];
            config.without = without[k];

            snprintf(name, sizeof(name), "%g%s", priors[i], names[k]);
            sim_measure(&config, seeds, &f);
            sim_print(name, &config, &f);
        }
    }
}


void
sim_table(uint32_t seeds)
{
    char              name[64];
    size_t            i;
    uint32_t          k;
    sim_config_t      config;
    sim_figures_t     f;
    const sim_mix_t  *mix;

    static const double    loads[] = { 0.5, 0.7, 1, 2, 5, 10 };
    static const uint32_t  hosts[][2] = {
        { 1, 1 }, { 1, 2 }, { 4, 4 }
    };

    printf("good: %% of the processors spent on jobs in time; bound: what the"
           " event loops and the neighbour left;\nlate, shed: %% of the"
           " admitted; p99: latency by budget; wasted: %% of the time spent"
           " on jobs;\nunjust: dropped though 80 %% of the processors would"
           " have served them; ratio: of the shares\nof the kinds that"
           " threads run; wind.: good by"
           " bound, %%, in a burst or 200 ms after a change;\nafter: ms after"
           " a burst until nothing is dropped for 100 ms, mean/longest; %u"
           " seeds\n", seeds);

    printf("\nMixes: kind, %% of jobs, mean us, budget ms\n\n");

    for (mix = sim_mixes; mix->name != NULL; mix++) {
        printf("%-9s", mix->name);

        for (k = 0; k < mix->nkinds; k++) {
            printf("  %s %g%% %g %g", mix->kinds[k].name,
                   100 * mix->kinds[k].share, mix->kinds[k].mean,
                   mix->kinds[k].budget / 1000);
        }

        printf("\n");
    }

    sim_head("The predictive policy");

    for (mix = sim_mixes; mix->name != NULL && mix->kinds[0].added == 0;
         mix++)
    {
        for (i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
            sim_row("", mix->name, loads[i], NULL, NULL, SIM_STEADY, seeds);
        }
    }

    for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        config = sim_config("balanced", 10);
        config.workers = hosts[i][0];
        config.cores = hosts[i][1];

        snprintf(name, sizeof(name), "workers %u cores %u", config.workers,
                 config.cores);
        sim_measure(&config, seeds, &f);
        sim_print(name, &config, &f);
    }

    sim_table_batches(seeds);
    sim_table_models(seeds);
    sim_table_others(seeds);
    sim_table_laws(seeds);
    sim_table_external(seeds);
}
