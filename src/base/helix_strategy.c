
#include "helix_strategy.h"

#include <stddef.h>


const char *const  helix_strategy_names[HELIX_STRATEGIES + 1] = {
    "inline",
    "spawn",
    "cpu_pool",
    "batch",
    "drop",
    NULL
};


const char *const  helix_reason_names[HELIX_REASONS + 1] = {
    "cheap",
    "moderate",
    "heavy",
    "batchable",
    "pressure",
    "pinned",
    "queue_full",
    "memory",
    "no_slot",
    "infeasible",
    "share",
    "too_big",
    "explored",
    "coalesced",
    "kernel",
    NULL
};


const char *const  helix_source_names[HELIX_SOURCES + 1] = {
    "threshold",
    "adapted",
    "predictive",
    "pinned",
    NULL
};


const char *const  helix_flush_names[HELIX_FLUSHES + 1] = {
    "full",
    "idle",
    "slack",
    "delay",
    "shutdown",
    NULL
};
