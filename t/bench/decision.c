
/*
 * t/bench/decision: what a decision and its accounting cost, in nanoseconds,
 * and the rows of the ancestor's benchmark.  "t/bench/run decision" builds and
 * runs it: the pure rooms and src/state with nginx's headers; what these need
 * of nginx stands at the end.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include "helix_kinds.h"
#include "helix_router.h"
#include "ngx_helix_layout.h"


#define ROUNDS  20000
#define BLOCK   64


typedef struct {
    const char          *name;
    void               (*run)(void);
} row_t;


static ngx_helix_zone_t   *zone;
static ngx_helix_slot_t   *slot;
static helix_settings_t    settings;
static volatile uint64_t   sink;
static uint64_t            clock_ms;
static uint64_t            state[4096];
static helix_router_t      router;
static helix_entry_t       queued[100];
static uint64_t            t0 = 1000000000;


static uint64_t
now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}


static void
decide(uint64_t cost, float scaling, uint64_t busy)
{
    helix_decision_t    d;
    helix_policy_job_t  job = { cost, scaling, true };

    d = helix_threshold_decide(&settings, settings.spawn_threshold, busy,
                               &job);
    sink += d.strategy;
}


static void row_inline(void)   { decide(1000, 0.1f, 0); }
static void row_drop(void)     { decide(1000, 0.1f, 7); }
static void row_batch(void)    { decide(100000, 0.9f, 0); }
static void row_cpu_pool(void) { decide(100000, 0.1f, 0); }


/* as ngx_http_helix_decide() does it */

static void
row_decision(void)
{
    helix_decision_t    d;
    helix_policy_job_t  job = { 1000, 0.1f, true };

    d = helix_threshold_decide(&settings,
                               ngx_helix_zone_threshold(zone, 60000),
                               ngx_helix_tokens_busy(zone), &job);
    sink += d.strategy;
}


/* the same of the predictive policy, with and without work ahead */

static void
predict(uint64_t work)
{
    helix_verdict_t      v;
    helix_router_job_t   job = { 0, work, t0, 50000000, 0.1f, false };
    helix_router_view_t  view = { t0, ngx_helix_tokens_busy(zone),
                                  ngx_helix_waiting(zone, HELIX_CPU_POOL),
                                  0, 0 };

    helix_router_decide(&router, &job, &view, &v);
    sink += v.decision.strategy;
}


static void row_predict_inline(void)  { predict(20); }
static void row_predict_pool(void)    { predict(2000 + (sink & 63)); }


/* 100 jobs of 0.4 ms, due within 50 ms */

static void
row_predict_loaded(void)
{
    uint32_t  i;

    if (queued[0].work == 0) {
        for (i = 0; i < 100; i++) {
            queued[i] = (helix_entry_t) { t0 + 5000000 + i * 450000, 400000,
                                          1600, 0 };
            helix_backlog_add(&router.report->backlog, &queued[i], t0);
        }
    }

    predict(200 + (sink & 63));
}


static void
row_learning(void)
{
    helix_service_t     service = { 2e6, 3e6, 1e10 };
    helix_router_job_t  job = { 0, 2000, t0, 50000000, 0.1f, false };

    helix_router_ended(&router, &job, &service, 1900000 + (sink++ & 0xffff),
                       true, true);
}


/* as the end of a completed job does it */

static void
row_accounting(void)
{
    ngx_helix_count_admitted(slot, 0, HELIX_INLINE);
    ngx_helix_count_ended(slot, 0, HELIX_INLINE, NGX_HELIX_COMPLETED, 0);
    ngx_helix_count_times(slot, 0, HELIX_INLINE, 1200, 18000 + (sink & 1023),
                          21000);
    ngx_helix_count_loop(slot, 18000);
    ngx_helix_count_latency(slot, HELIX_INLINE, 0.15, clock_ms / 50, 21000);
    helix_pressure_record(ngx_helix_slot_pressure(slot), 0.15, clock_ms++ / 50,
                          (double) ngx_helix_tokens_busy(zone) / 8, false,
                          0.01);
    sink++;
}


static void
row_drop_accounting(void)
{
    ngx_helix_count_dropped(slot, 0, HELIX_PRESSURE);
    helix_pressure_record(ngx_helix_slot_pressure(slot), 0.15, clock_ms++ / 50,
                          0.9, true, 1.0);
}


static void
row_token(void)
{
    ngx_helix_token_release(zone, ngx_helix_token_take(zone, slot));
}


/* as ngx_http_helix_note() and ngx_helix_record_end() do it */

static void
row_record(void)
{
    uint64_t                   waiting;
    ngx_helix_record_t         record, copy;
    static volatile uint64_t   id;

    waiting = ngx_helix_waiting(zone, HELIX_CPU_POOL);

    record = (ngx_helix_record_t) {
        .time = (t0 + id) / 1000, .id = ++id, .cost = 1000, .scaling = 0.25,
        .busy = ngx_helix_tokens_busy(zone), .waiting = waiting,
        .flags = NGX_HELIX_DECISION|NGX_HELIX_DONE
    };

    copy = record;
    copy.queue = id / 1000;
    copy.exec = id / 1000;
    copy.total = id / 1000;

    sink += ngx_helix_ring_put(slot, &copy);
}


static void
row_waiting(void)
{
    (void) ngx_helix_wait_enter(zone, slot, HELIX_CPU_POOL, 512);
    ngx_helix_wait_leave(slot, HELIX_CPU_POOL, 1);
}


static int
never(const helix_control_t *ctl)
{
    (void) ctl;
    return 0;
}


static void
take(helix_output_t *out, uint64_t value)
{
    (void) out;
    sink += value;
}


static void
kernel(const helix_kind_t *kind, uint64_t cost)
{
    uint64_t         inputs[5] = { 1, 2, 3, 4, 5 };
    helix_args_t     args = { .size = sizeof(args), .ninputs = 5,
                             .inputs = inputs, .cost = cost };
    helix_plan_t     plan = { .size = sizeof(plan) };
    helix_output_t   out = { .size = sizeof(out), .u64 = take };
    helix_control_t  ctl = { .size = sizeof(ctl), .poll = never };

    (void) kind->plan(NULL, &args, &plan);
    kind->start(NULL, state, &args);
    (void) kind->step(state, &ctl);
    kind->finish(state, &out);
}


static void row_hashmix_1000(void)  { kernel(&helix_kind_hashmix, 1000); }
static void row_hashmix_60000(void) { kernel(&helix_kind_hashmix, 60000); }
static void row_prime_10000(void)   { kernel(&helix_kind_primecount, 10000); }


static void
row_submit_inline(void)
{
    row_decision();
    kernel(&helix_kind_hashmix, 100);
    row_accounting();
}


static const row_t  rows[] = {
    { "decision, threshold", row_decision },
    { "decision, predictive, inline", row_predict_inline },
    { "decision, predictive, idle pool", row_predict_pool },
    { "decision, predictive, 100 waiting", row_predict_loaded },
    { "accounting of a completed job", row_accounting },
    { "and what is learned of it", row_learning },
    { "accounting of a dropped job", row_drop_accounting },
    { "record of a decision and its end", row_record },
    { "token, take and release", row_token },
    { "place to wait, enter and leave", row_waiting },
    { NULL, NULL },
    { "choose_strategy/inline", row_inline },
    { "choose_strategy/drop", row_drop },
    { "choose_strategy/batch", row_batch },
    { "choose_strategy/cpu_pool", row_cpu_pool },
    { "hashmix/cost_1000", row_hashmix_1000 },
    { "hashmix/cost_60000", row_hashmix_60000 },
    { "primecount/cost_10000", row_prime_10000 },
    { "router/submit_inline, cost 100", row_submit_inline }
};


static int
compare(const void *a, const void *b)
{
    double  x = *(const double *) a, y = *(const double *) b;

    return (x > y) - (x < y);
}


static void
measure(const row_t *row)
{
    uint64_t       started;
    ngx_uint_t     i, k, n;
    static double  ns[ROUNDS];

    n = (row->run == row_prime_10000) ? ROUNDS / 50 : ROUNDS;

    for (i = 0; i < n; i++) {
        started = now();

        for (k = 0; k < BLOCK; k++) {
            row->run();
        }

        ns[i] = (double) (now() - started) / BLOCK;
    }

    qsort(ns, n, sizeof(double), compare);

    printf("%-34s %9.1f %9.1f\n", row->name, ns[n / 2], ns[n * 99 / 100]);
}


int
main(void)
{
    ngx_uint_t  i;

    static ngx_helix_config_t  config;

    zone = aligned_alloc(NGX_HELIX_LINE,
                         ngx_align(sizeof(ngx_helix_zone_t), NGX_HELIX_LINE));
    ngx_memzero(zone, sizeof(ngx_helix_zone_t));

    ngx_pid = getpid();
    helix_settings_init(&settings);
    helix_settings_resolve(&settings, false);

    config.concurrency = 8;
    (void) ngx_helix_config_publish(zone, &config);
    slot = ngx_helix_slot_claim(zone, NULL);

    settings.concurrency = 2;
    helix_router_init(&router, &settings, ngx_helix_slot_report(slot),
                      (double[]) { 1000 }, 1, 2, t0);

    printf("ns, averages over %d calls          %9s %9s\n", BLOCK, "p50",
           "p99");

    for (i = 0; i < sizeof(rows) / sizeof(row_t); i++) {
        if (rows[i].name) {
            measure(&rows[i]);

        } else {
            printf("\nthe ancestor's rows\n");
        }
    }

    return 0;
}


/* what src/state wants of nginx */

volatile ngx_time_t  *ngx_cached_time;
ngx_pid_t             ngx_pid;
ngx_uint_t            ngx_pagesize = 4096;
ngx_int_t             ngx_ncpu = 1;
ngx_uint_t            ngx_exiting;
volatile ngx_msec_t   ngx_current_msec;
uint32_t              ngx_crc32_table256[256];


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
}


void *
ngx_slab_alloc(ngx_slab_pool_t *pool, size_t size)
{
    return NULL;
}


void *
ngx_memalign(size_t alignment, size_t size, ngx_log_t *log)
{
    return NULL;
}


ngx_int_t
ngx_atoi(u_char *line, size_t n)
{
    return NGX_ERROR;
}


/* "/proc/PID/stat" is all it is asked for */

u_char * ngx_cdecl
ngx_snprintf(u_char *buf, size_t max, const char *fmt, ...)
{
    return buf + snprintf((char *) buf, max, "/proc/%d/stat", (int) ngx_pid);
}
