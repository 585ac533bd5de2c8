
/*
 * The ancestor's workload as JSON lines, one job a line:
 *
 *     seed_jobs SEED JOBS HEAVY
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "helix_workload.h"


int
main(int argc, char **argv)
{
    long                  n;
    uint32_t              i;
    helix_workload_t      workload;
    helix_workload_job_t  job;

    static const char *const  kinds[HELIX_WORKLOAD_KINDS] = {
        "HashMix", "PrimeCount", "MonteCarloRisk"
    };

    if (argc != 4) {
        fprintf(stderr, "usage: %s SEED JOBS HEAVY\n", argv[0]);
        return 2;
    }

    helix_workload_init(&workload, strtoull(argv[1], NULL, 10),
                        strtod(argv[3], NULL));

    for (n = strtol(argv[2], NULL, 10); n > 0; n--) {
        helix_workload_next(&workload, &job);

        printf("{\"id\":%" PRIu64 ",\"kind\":\"%s\",\"inputs\":[",
               job.id, kinds[job.kind]);

        for (i = 0; i < job.ninputs; i++) {
            printf("%s%" PRIu64, i ? "," : "", job.inputs[i]);
        }

        printf("],\"compute_cost\":%" PRIu64 ",\"scaling_potential\":%.9g,"
               "\"latency_budget_ms\":%" PRIu64 "}\n",
               job.cost, (double) job.scaling, job.budget);
    }

    return 0;
}
