
/*
 * hashmix: the inputs are folded into 64 bits, which then go through a chain
 * of dependent mixes, one for every 64 units of cost.
 *
 * A chain is bound by latency (rotate, xor, multiply: 5 cycles), so that one
 * core runs four of them in the time of one and eight in a little more, and
 * with vectors that can multiply 64 bits, as those of AVX-512 can, dozens.
 * That is all a batch does: the jobs' chains run in lanes side by side.
 */

#include "helix_hashmix.h"


#define HELIX_HASHMIX_UNIT     64       /* cost of an iteration */
#define HELIX_HASHMIX_INPUT    205      /* cost of an input: 16 cycles to 5 */
#define HELIX_HASHMIX_MAX      54000000000ULL

/* Cycles of an iteration: of up to four chains, of up to eight, of vectors
   where these take longest. */

#define HELIX_HASHMIX_FOUR     5
#define HELIX_HASHMIX_EIGHT    8
#define HELIX_HASHMIX_WIDE     24

#define HELIX_HASHMIX_BLOCK    54000    /* cycles between polls: 18 us of a
                                           core of 3 GHz */
#define HELIX_HASHMIX_ROUND    160      /* of a round of the lane table */
#define HELIX_HASHMIX_LANE     3        /* and for each lane in it */
#define HELIX_HASHMIX_SORT     16       /* for each job of a batch */
#define HELIX_HASHMIX_SHORT    17       /* bits of a short job: 0.15 ms */


typedef struct {
    uint64_t                    value;
    uint64_t                    left;   /* iterations */
} helix_hashmix_t;


/* The lanes in use are the first nlanes. */

typedef struct {
    const helix_hashmix_isa_t  *isa;
    uint32_t                    nlanes;
    uint32_t                    next;   /* the queue is [next, queued) */
    uint32_t                    queued;
    uint64_t                    value[HELIX_HASHMIX_LANES];
    uint64_t                    left[HELIX_HASHMIX_LANES];
    uint16_t                    index[HELIX_HASHMIX_LANES];
    uint16_t                    queue[HELIX_BATCH_MAX];
} helix_hashmix_table_t;


static int helix_hashmix_plan(void *conf, const helix_args_t *args,
    helix_plan_t *plan);
static void helix_hashmix_start(void *conf, void *state,
    const helix_args_t *args);
static int helix_hashmix_step(void *state, const helix_control_t *ctl);
static int helix_hashmix_step_batch(void **states, uint8_t *results,
    uint32_t n, const helix_control_t *ctl);
static void helix_hashmix_finish(const void *state, helix_output_t *out);

static void helix_hashmix_order(helix_hashmix_table_t *table, void **states,
    const uint8_t *results, uint32_t n);
static uint32_t helix_hashmix_rank(uint64_t left);
static void helix_hashmix_load(helix_hashmix_table_t *table, void **states);
static void helix_hashmix_retire(helix_hashmix_table_t *table, void **states,
    uint8_t *results);
static uint64_t helix_hashmix_round(helix_hashmix_table_t *table,
    uint64_t limit);
static uint64_t helix_hashmix_cycles(const helix_hashmix_table_t *table);
static void helix_hashmix_run(helix_hashmix_table_t *table, uint64_t n);
static void helix_hashmix_run1(uint64_t *value, uint64_t n);
static void helix_hashmix_run4(uint64_t *value, uint64_t n);
static void helix_hashmix_run8(uint64_t *value, uint64_t n);


/* Two vectors take as long as 12 chains on Intel's, as 7 on Zen 5. */

const helix_hashmix_isa_t  helix_hashmix_plain = { 8, UINT32_MAX };
#if defined __x86_64__
const helix_hashmix_isa_t  helix_hashmix_intel = { HELIX_HASHMIX_LANES, 17 };
const helix_hashmix_isa_t  helix_hashmix_avx512 = { HELIX_HASHMIX_LANES, 9 };
#endif


const helix_kind_t  helix_kind_hashmix = {
    .size = sizeof(helix_kind_t),
    .abi = HELIX_KIND_ABI,
    .name = "hashmix",
    .max_work = HELIX_HASHMIX_MAX,
    .plan = helix_hashmix_plan,
    .start = helix_hashmix_start,
    .step = helix_hashmix_step,
    .step_batch = helix_hashmix_step_batch,
    .finish = helix_hashmix_finish
};


static inline uint64_t
helix_hashmix_mix(uint64_t t)
{
    t = ((t << 7) | (t >> 57)) ^ HELIX_HASHMIX_XOR;

    return t * HELIX_HASHMIX_MUL;
}


static int
helix_hashmix_plan(void *conf, const helix_args_t *args,
    helix_plan_t *plan)
{
    uint64_t  cost, inputs;

    (void) conf;

    cost = args->cost;
    if (cost < HELIX_HASHMIX_UNIT) {
        cost = HELIX_HASHMIX_UNIT;
    }

    inputs = (uint64_t) HELIX_HASHMIX_INPUT * args->ninputs;

    plan->work = (cost > UINT64_MAX - inputs) ? UINT64_MAX : cost + inputs;
    plan->memory = sizeof(helix_hashmix_t);
    plan->flags = HELIX_PURE;

    return HELIX_DONE;
}


static void
helix_hashmix_start(void *conf, void *state,
    const helix_args_t *args)
{
    uint32_t          i;
    uint64_t          x;
    helix_hashmix_t  *job;

    (void) conf;

    job = state;
    x = 0xcbf29ce484222325ULL;

    for (i = 0; i < args->ninputs; i++) {
        x ^= args->inputs[i];
        x *= 0x100000001b3ULL;
        x ^= x >> 33;
        x *= 0xff51afd7ed558ccdULL;
        x ^= x >> 33;
        x *= 0xc4ceb9fe1a85ec53ULL;
        x ^= x >> 33;
    }

    job->value = x;
    job->left = args->cost / HELIX_HASHMIX_UNIT;

    if (job->left == 0) {
        job->left = 1;
    }
}


static int
helix_hashmix_step(void *state, const helix_control_t *ctl)
{
    uint64_t          n;
    helix_hashmix_t  *job;

    job = state;

    for ( ;; ) {
        n = job->left;
        if (n > HELIX_HASHMIX_BLOCK / HELIX_HASHMIX_FOUR) {
            n = HELIX_HASHMIX_BLOCK / HELIX_HASHMIX_FOUR;
        }

        helix_hashmix_run1(&job->value, n);
        job->left -= n;

        if (job->left == 0) {
            return HELIX_DONE;
        }

        if (ctl->poll(ctl)) {
            return HELIX_AGAIN;
        }
    }
}


static int
helix_hashmix_step_batch(void **states, uint8_t *results, uint32_t n,
    const helix_control_t *ctl)
{
    return helix_hashmix_batch(helix_hashmix_isa(), states, results, n, ctl);
}


const helix_hashmix_isa_t *
helix_hashmix_isa(void)
{
#if defined __x86_64__

    if (__builtin_cpu_supports("avx512f")
        && __builtin_cpu_supports("avx512dq"))
    {
        return __builtin_cpu_is("intel") ? &helix_hashmix_intel
                                         : &helix_hashmix_avx512;
    }

#endif

    return &helix_hashmix_plain;
}


int
helix_hashmix_batch(const helix_hashmix_isa_t *isa, void **states,
    uint8_t *results, uint32_t n, const helix_control_t *ctl)
{
    uint32_t                i;
    uint64_t                spent;
    helix_hashmix_t        *job;
    helix_hashmix_table_t   table;

    table.isa = isa;
    helix_hashmix_order(&table, states, results, n);
    helix_hashmix_load(&table, states);

    spent = (uint64_t) HELIX_HASHMIX_SORT * n;

    while (table.nlanes != 0) {

        if (spent >= HELIX_HASHMIX_BLOCK) {
            spent = 0;

            if (ctl->poll(ctl)) {
                break;
            }
        }

        spent += helix_hashmix_round(&table, HELIX_HASHMIX_BLOCK - spent);
        helix_hashmix_retire(&table, states, results);
    }

    for (i = 0; i < table.nlanes; i++) {
        job = states[table.index[i]];
        job->value = table.value[i];
        job->left = table.left[i];
    }

    return table.nlanes ? HELIX_AGAIN : HELIX_DONE;
}


static void
helix_hashmix_finish(const void *state, helix_output_t *out)
{
    const helix_hashmix_t  *job;

    job = state;

    out->u64(out, job->value);
}


/* A counting sort of the live jobs by rank. */

static void
helix_hashmix_order(helix_hashmix_table_t *table, void **states,
    const uint8_t *results, uint32_t n)
{
    uint32_t                i, sum, count, rank;
    uint16_t                place[64];
    const helix_hashmix_t  *job;

    for (i = 0; i < 64; i++) {
        place[i] = 0;
    }

    for (i = 0; i < n; i++) {
        if (states[i] != NULL && results[i] == HELIX_AGAIN) {
            job = states[i];
            place[helix_hashmix_rank(job->left)]++;
        }
    }

    sum = 0;

    for (i = 0; i < 64; i++) {
        count = place[i];
        place[i] = (uint16_t) sum;
        sum += count;
    }

    for (i = 0; i < n; i++) {
        if (states[i] != NULL && results[i] == HELIX_AGAIN) {
            job = states[i];
            rank = helix_hashmix_rank(job->left);
            table->queue[place[rank]++] = (uint16_t) i;
        }
    }

    table->nlanes = 0;
    table->next = 0;
    table->queued = sum;
}


/*
 * Longest first leaves the fewest lanes idle at the end; but short jobs go
 * before long ones, or they would wait for the whole batch to gain nothing.
 */

static uint32_t
helix_hashmix_rank(uint64_t left)
{
    uint32_t  bits;

    bits = 63 - (uint32_t) __builtin_clzll(left | 1);

    if (bits < HELIX_HASHMIX_SHORT) {
        return HELIX_HASHMIX_SHORT - 1 - bits;
    }

    return 63 + HELIX_HASHMIX_SHORT - bits;
}


static void
helix_hashmix_load(helix_hashmix_table_t *table, void **states)
{
    uint32_t                i;
    const helix_hashmix_t  *job;

    /* idle lanes of a wider kernel run along */
    for (i = 0; i < table->isa->lanes; i++) {
        table->value[i] = 0;
    }

    while (table->nlanes < table->isa->lanes
           && table->next < table->queued)
    {
        i = table->nlanes++;

        table->index[i] = table->queue[table->next++];
        job = states[table->index[i]];
        table->value[i] = job->value;
        table->left[i] = job->left;
    }
}


static void
helix_hashmix_retire(helix_hashmix_table_t *table, void **states,
    uint8_t *results)
{
    uint32_t          i, last;
    helix_hashmix_t  *job;

    i = 0;

    while (i < table->nlanes) {

        if (table->left[i] != 0) {
            i++;
            continue;
        }

        job = states[table->index[i]];
        job->value = table->value[i];
        job->left = 0;
        results[table->index[i]] = HELIX_DONE;

        if (table->next < table->queued) {
            table->index[i] = table->queue[table->next++];
            job = states[table->index[i]];
            table->value[i] = job->value;
            table->left[i] = job->left;
            i++;
            continue;
        }

        last = --table->nlanes;
        table->index[i] = table->index[last];
        table->value[i] = table->value[last];
        table->left[i] = table->left[last];
    }
}


/*
 * Runs the lanes until one of them ends or for about limit cycles, and says
 * how many cycles that was.
 */

static uint64_t
helix_hashmix_round(helix_hashmix_table_t *table, uint64_t limit)
{
    uint32_t  i;
    uint64_t  n, cycles;

    cycles = helix_hashmix_cycles(table);
    n = limit / cycles + 1;

    for (i = 0; i < table->nlanes; i++) {
        if (table->left[i] < n) {
            n = table->left[i];
        }
    }

    helix_hashmix_run(table, n);

    for (i = 0; i < table->nlanes; i++) {
        table->left[i] -= n;
    }

    return n * cycles + HELIX_HASHMIX_ROUND
           + (uint64_t) HELIX_HASHMIX_LANE * table->nlanes;
}


/* Of an iteration. */

static uint64_t
helix_hashmix_cycles(const helix_hashmix_table_t *table)
{
    uint64_t  nlanes;

    nlanes = table->nlanes;

    if (nlanes >= table->isa->wide) {
        return HELIX_HASHMIX_WIDE;
    }

    return (nlanes > 4) ? (nlanes + 7) / 8 * HELIX_HASHMIX_EIGHT
                        : HELIX_HASHMIX_FOUR;
}


/* Two lanes take as long as four. */

static void
helix_hashmix_run(helix_hashmix_table_t *table, uint64_t n)
{
    uint32_t   i, nlanes;
    uint64_t  *value;

    value = table->value;
    nlanes = table->nlanes;

#if defined __x86_64__

    if (nlanes >= table->isa->wide) {

        if (nlanes > 32) {
            helix_hashmix_run64(value, n);

        } else if (nlanes > 16) {
            helix_hashmix_run32(value, n);

        } else {
            helix_hashmix_run16(value, n);
        }

        return;
    }

#endif

    if (nlanes == 1) {
        helix_hashmix_run1(value, n);
        return;
    }

    if (nlanes <= 4) {
        helix_hashmix_run4(value, n);
        return;
    }

    for (i = 0; i < nlanes; i += 8) {
        helix_hashmix_run8(&value[i], n);
    }
}


static void
helix_hashmix_run1(uint64_t *value, uint64_t n)
{
    uint64_t  t;

    t = value[0];

    while (n-- != 0) {
        t = helix_hashmix_mix(t);
    }

    value[0] = t;
}


static void
helix_hashmix_run4(uint64_t *value, uint64_t n)
{
    uint64_t  t0, t1, t2, t3;

    t0 = value[0];
    t1 = value[1];
    t2 = value[2];
    t3 = value[3];

    while (n-- != 0) {
        t0 = helix_hashmix_mix(t0);
        t1 = helix_hashmix_mix(t1);
        t2 = helix_hashmix_mix(t2);
        t3 = helix_hashmix_mix(t3);
    }

    value[0] = t0;
    value[1] = t1;
    value[2] = t2;
    value[3] = t3;
}


/* Named variables: an array may stay in memory, at a third of the speed. */

static void
helix_hashmix_run8(uint64_t *value, uint64_t n)
{
    uint64_t  t0, t1, t2, t3, t4, t5, t6, t7;

    t0 = value[0];
    t1 = value[1];
    t2 = value[2];
    t3 = value[3];
    t4 = value[4];
    t5 = value[5];
    t6 = value[6];
    t7 = value[7];

    while (n-- != 0) {
        t0 = helix_hashmix_mix(t0);
        t1 = helix_hashmix_mix(t1);
        t2 = helix_hashmix_mix(t2);
        t3 = helix_hashmix_mix(t3);
        t4 = helix_hashmix_mix(t4);
        t5 = helix_hashmix_mix(t5);
        t6 = helix_hashmix_mix(t6);
        t7 = helix_hashmix_mix(t7);
    }

    value[0] = t0;
    value[1] = t1;
    value[2] = t2;
    value[3] = t3;
    value[4] = t4;
    value[5] = t5;
    value[6] = t6;
    value[7] = t7;
}
