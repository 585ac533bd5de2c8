
#include "sim.h"

#include <stdio.h>


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

    if (config->mix->nkinds > 1) {
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
sim_table(uint32_t seeds)
{
    (void) seeds;
}
