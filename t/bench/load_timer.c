
/* What is to happen later: a heap of retries and aborts. */

#include <stdlib.h>

#include "load_run.h"


void
load_timer_push(load_run_t *run, load_request_t *request, uint64_t at,
    bool retry)
{
    size_t         i, up;
    load_timer_t  *timers;

    if (run->ntimers == run->timers_size) {
        run->timers_size = run->timers_size ? 2 * run->timers_size : 1024;
        run->timers = realloc(run->timers,
                              run->timers_size * sizeof(load_timer_t));
        if (run->timers == NULL) {
            fprintf(stderr, "load: no memory\n");
            exit(LOAD_FAILED);
        }
    }

    timers = run->timers;

    for (i = run->ntimers++; i; i = up) {
        up = (i - 1) / 2;

        if (timers[up].at <= at) {
            break;
        }

        timers[i] = timers[up];
    }

    timers[i].at = at;
    timers[i].request = request;
    timers[i].generation = request->generation;
    timers[i].retry = retry;
}


load_timer_t
load_timer_pop(load_run_t *run)
{
    size_t         i, down, n;
    load_timer_t  *timers, first, last;

    timers = run->timers;
    first = timers[0];
    n = --run->ntimers;
    last = timers[n];

    for (i = 0; 2 * i + 1 < n; i = down) {
        down = 2 * i + 1;

        if (down + 1 < n && timers[down + 1].at < timers[down].at) {
            down++;
        }

        if (last.at <= timers[down].at) {
            break;
        }

        timers[i] = timers[down];
    }

    timers[i] = last;

    return first;
}
