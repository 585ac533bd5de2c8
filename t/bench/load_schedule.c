
/*
 * The schedule: when which request is due, of which class and cost.  It is a
 * function of the options and the seed alone.
 *
 * xoshiro256++ and splitmix64: Blackman and Vigna, prng.di.unimi.it (public
 * domain).  Rates that vary are made by thinning: Lewis and Shedler, 1979.
 */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "load_run.h"


typedef struct {
    const load_options_t  *options;
    load_shape_t           shape;
    load_random_t          random;
    load_random_t          states;
    double                 rate;
    double                 peak;           /* the highest rate there is */
    double                 time;           /* s, of the last arrival */
    uint64_t               n;
    bool                   on;
    double                 until;          /* s, of the state on or off */
} load_arrivals_t;


static uint64_t load_random(load_random_t *random);
static double load_random_exp(load_random_t *random);
static double load_random_normal(load_random_t *random);
static uint64_t load_draw_cost(load_draw_t *draw, const load_class_t *class);
static void load_arrivals_init(load_arrivals_t *arrivals,
    const load_options_t *options);
static uint64_t load_arrivals_next(load_arrivals_t *arrivals);
static double load_arrivals_rate(load_arrivals_t *arrivals, double time);
static double load_phases_factor(const load_options_t *options, double time);
static load_event_t *load_schedule_push(load_schedule_t *schedule,
    size_t *size);


void
load_random_init(load_random_t *random, uint64_t seed, load_stream_t stream)
{
    uint32_t  i;
    uint64_t  x, z;

    x = seed ^ (UINT64_C(0xd1342543de82ef95) * (uint64_t) stream);

    for (i = 0; i < 4; i++) {
        x += UINT64_C(0x9e3779b97f4a7c15);
        z = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        random->s[i] = z ^ (z >> 31);
    }
}


static uint64_t
load_random(load_random_t *random)
{
    uint64_t  result, t, *s;

    s = random->s;

    result = s[0] + s[3];
    result = ((result << 23) | (result >> 41)) + s[0];

    t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 45) | (s[3] >> 19);

    return result;
}


double
load_random_double(load_random_t *random)
{
    return (double) (load_random(random) >> 11) * 0x1p-53;
}


static double
load_random_exp(load_random_t *random)
{
    return -log(1 - load_random_double(random));
}


static double
load_random_normal(load_random_t *random)
{
    double  r;

    r = sqrt(2 * load_random_exp(random));

    return r * cos(2 * 3.14159265358979323846 * load_random_double(random));
}


void
load_draw_init(load_draw_t *draw, const load_options_t *options)
{
    uint32_t  i;

    load_random_init(&draw->class, options->seed, LOAD_STREAM_CLASS);
    load_random_init(&draw->cost, options->seed, LOAD_STREAM_COST);
    load_random_init(&draw->abort, options->seed, LOAD_STREAM_ABORT);

    draw->weight = 0;

    for (i = 0; i < options->nclasses; i++) {
        draw->weight += options->classes[i].weight;
    }
}


void
load_draw(load_draw_t *draw, const load_options_t *options,
    load_event_t *event)
{
    double    x;
    uint16_t  i;

    x = load_random_double(&draw->class) * draw->weight;

    for (i = 0; i + 1U < options->nclasses; i++) {
        x -= options->classes[i].weight;

        if (x < 0) {
            break;
        }
    }

    event->class = i;
    event->cost = load_draw_cost(draw, &options->classes[i]);
    event->abort = load_random_double(&draw->abort) < options->abort_share;
}


static uint64_t
load_draw_cost(load_draw_t *draw, const load_class_t *class)
{
    double  cost;

    switch (class->cost) {

    case LOAD_COST_NONE:
        return 0;

    case LOAD_COST_UNIFORM:
        cost = class->a + floor(load_random_double(&draw->cost)
                                * (class->b - class->a + 1));
        break;

    case LOAD_COST_LOGNORMAL:
        cost = round(exp(class->a
                         + class->b * load_random_normal(&draw->cost)));
        break;

    default: /* LOAD_COST_FIXED */
        cost = class->a;
    }

    if (!(cost >= 1)) {
        return 1;
    }

    return (uint64_t) fmin(cost, LOAD_COST_MAX);
}


static void
load_arrivals_init(load_arrivals_t *arrivals, const load_options_t *options)
{
    double    on, off, factor;
    uint32_t  i;

    memset(arrivals, 0, sizeof(load_arrivals_t));

    arrivals->options = options;
    arrivals->shape = options->shape;
    arrivals->rate = options->rate;
    arrivals->peak = options->rate;

    load_random_init(&arrivals->random, options->seed, LOAD_STREAM_ARRIVALS);
    load_random_init(&arrivals->states, options->seed, LOAD_STREAM_STATES);

    switch (options->shape) {

    case LOAD_ONOFF:
        /* --rate is the mean of both states */

        on = (double) options->phases[0].time;
        off = (double) options->phases[1].time;
        arrivals->peak *= (on + off) / (on + options->low * off);
        break;

    case LOAD_RAMP:
    case LOAD_PHASED:
        factor = 0;

        for (i = 0; i < options->nphases; i++) {
            factor = fmax(factor, options->phases[i].factor);
        }

        arrivals->peak *= factor;
        break;

    default:
        break;
    }
}


static uint64_t
load_arrivals_next(load_arrivals_t *arrivals)
{
    double  rate, end;

    end = (double) (arrivals->options->warmup + arrivals->options->duration)
          / 1e9;

    if (arrivals->shape == LOAD_CONSTANT) {
        arrivals->time = (double) arrivals->n++ / arrivals->rate;

    } else {
        do {
            arrivals->time += load_random_exp(&arrivals->random)
                              / arrivals->peak;

            if (arrivals->time >= end || arrivals->shape == LOAD_POISSON) {
                break;
            }

            rate = load_arrivals_rate(arrivals, arrivals->time);

        } while (load_random_double(&arrivals->random) * arrivals->peak
                 >= rate);
    }

    if (arrivals->time >= end) {
        return UINT64_MAX;
    }

    return (uint64_t) (arrivals->time * 1e9);
}


static double
load_arrivals_rate(load_arrivals_t *arrivals, double time)
{
    double                 x;
    const load_options_t  *options;

    options = arrivals->options;

    switch (arrivals->shape) {

    case LOAD_ONOFF:
        while (time >= arrivals->until) {
            arrivals->on = !arrivals->on;
            x = (double) options->phases[arrivals->on ? 0 : 1].time / 1e9;
            arrivals->until += load_random_exp(&arrivals->states) * x;
        }

        return arrivals->on ? arrivals->peak : arrivals->peak * options->low;

    case LOAD_RAMP:
        x = (time * 1e9 - (double) options->warmup)
            / (double) options->duration;
        x = fmax(x, 0);

        return arrivals->rate * (options->phases[0].factor * (1 - x)
                                 + options->phases[1].factor * x);

    default: /* LOAD_PHASED */
        return arrivals->rate * load_phases_factor(options, time);
    }
}


/* The phases begin with the measured part; the warm-up has the first one. */

static double
load_phases_factor(const load_options_t *options, double time)
{
    double    x, cycle;
    uint32_t  i;

    x = time * 1e9 - (double) options->warmup;

    if (x < 0) {
        return options->phases[0].factor;
    }

    cycle = 0;

    for (i = 0; i < options->nphases; i++) {
        cycle += (double) options->phases[i].time;
    }

    x = fmod(x, cycle);

    for (i = 0; i + 1 < options->nphases; i++) {
        x -= (double) options->phases[i].time;

        if (x < 0) {
            break;
        }
    }

    return options->phases[i].factor;
}


void
load_schedule(load_schedule_t *schedule, const load_options_t *options)
{
    size_t            size;
    uint64_t          job, canary;
    load_event_t     *event;
    load_arrivals_t   jobs, canaries;

    size = 0;
    memset(schedule, 0, sizeof(load_schedule_t));

    load_draw_init(&schedule->draw, options);

    load_arrivals_init(&jobs, options);
    load_arrivals_init(&canaries, options);

    canaries.shape = LOAD_POISSON;
    canaries.rate = canaries.peak = options->canary_rate;
    load_random_init(&canaries.random, options->seed, LOAD_STREAM_CANARY);

    job = options->closed ? UINT64_MAX : load_arrivals_next(&jobs);
    canary = options->canary ? load_arrivals_next(&canaries) : UINT64_MAX;

    while (job != UINT64_MAX || canary != UINT64_MAX) {
        event = load_schedule_push(schedule, &size);

        if (canary <= job) {
            event->at = canary;
            event->class = (uint16_t) options->nclasses;
            event->cost = 0;
            event->abort = false;
            canary = load_arrivals_next(&canaries);
            continue;
        }

        event->at = job;
        load_draw(&schedule->draw, options, event);
        job = load_arrivals_next(&jobs);
    }
}


static load_event_t *
load_schedule_push(load_schedule_t *schedule, size_t *size)
{
    if (schedule->n == LOAD_EVENTS_MAX) {
        load_usage("the rate and the time make more than %d requests",
                   LOAD_EVENTS_MAX);
    }

    if (schedule->n == *size) {
        *size = *size ? 2 * *size : 4096;
        schedule->events = realloc(schedule->events,
                                   *size * sizeof(load_event_t));
        if (schedule->events == NULL) {
            fprintf(stderr, "load: no memory\n");
            exit(LOAD_FAILED);
        }
    }

    return &schedule->events[schedule->n++];
}


void
load_schedule_print(const load_schedule_t *schedule,
    const load_options_t *options)
{
    size_t               i;
    const load_event_t  *event;

    for (i = 0; i < schedule->n; i++) {
        event = &schedule->events[i];

        printf("%.6f ms %s %llu%s\n", (double) event->at / 1e6,
               options->classes[event->class].name,
               (unsigned long long) event->cost,
               event->abort ? " abort" : "");
    }
}
