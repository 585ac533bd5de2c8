
/* What helix does with a job: from plan() to clear(). */

#include <string.h>

#include "kind_check.h"


#define ALIGN   64
#define CANARY  0x5c


static int poll_control(const helix_control_t *base);
static int stop_control(const helix_control_t *base);
static const helix_args_t *args_copy(check_pages_t *pages,
    const check_job_t *job, uint32_t level);
static void *args_put(char **pos, const void *data, size_t len);
static void plan_is_sound(const check_t *c, int rc, const helix_plan_t *plan);


void
check_control(check_control_t *ctl, uint64_t every)
{
    memset(ctl, 0, sizeof(*ctl));
    ctl->base.size = sizeof(helix_control_t);
    ctl->base.poll = poll_control;
    ctl->base.stop = stop_control;
    ctl->every = every;
}


static void
gap(check_control_t *ctl)
{
    uint64_t  now;

    if (ctl->gaps == NULL && ctl->slice == 0) {
        return;
    }

    now = check_cpu();

    if (ctl->gaps != NULL && ctl->ngaps < ctl->max_gaps) {
        ctl->gaps[ctl->ngaps++] = (uint32_t) (now - ctl->last);
    }

    ctl->last = now;
}


static int
poll_control(const helix_control_t *base)
{
    check_control_t  *ctl;

    ctl = (check_control_t *) base;

    if (ctl->said) {
        check_fail("%s works on although poll() has said stop", check_where);
    }

    gap(ctl);
    ctl->polls++;

    if (ctl->every) {
        ctl->said = ctl->polls % ctl->every == 0;

    } else if (ctl->slice) {
        ctl->said = ctl->last - ctl->start >= ctl->slice;
    }

    return ctl->said;
}


static int
stop_control(const helix_control_t *base)
{
    check_control_t  *ctl;

    ctl = (check_control_t *) base;
    ctl->stops++;

    return ctl->stop;
}


/* A copy that ends where its pages end, the body or a text last. */

static const helix_args_t *
args_copy(check_pages_t *pages, const check_job_t *job, uint32_t level)
{
    char           *pos;
    size_t          size;
    uint32_t        i;
    helix_args_t   *args;
    helix_value_t  *values;

    size = sizeof(helix_args_t) + job->ninputs * sizeof(uint64_t)
           + sizeof(job->values) + job->body_len + 64 + 64;

    for (i = 0; i < HELIX_KIND_PARAMS; i++) {
        size += job->values[i].len + 1;
    }

    check_open(pages, size);
    pos = pages->data;

    /* what comes after a text is no zero */
    memset(pos, 0xa5, pages->size - 2 * (size_t) (pos - pages->base));

    args = args_put(&pos, NULL, sizeof(helix_args_t));
    memset(args, 0, sizeof(helix_args_t));

    args->size = sizeof(helix_args_t);
    args->id = job->id;
    args->cost = job->cost;
    args->level = level;
    args->ninputs = job->ninputs;
    args->inputs = args_put(&pos, job->inputs,
                            job->ninputs * sizeof(uint64_t));

    values = args_put(&pos, job->values, sizeof(job->values));
    args->values = values;

    for (i = 0; i < HELIX_KIND_PARAMS; i++) {
        if (values[i].text != NULL) {
            memcpy(pos, job->values[i].text, values[i].len);
            values[i].text = pos;
            pos += values[i].len + 1;
        }
    }

    if (job->body != NULL) {
        pos = pages->base + pages->size - (pages->data - pages->base)
              - job->body_len;
        memcpy(pos, job->body, job->body_len);
        args->body = pos;
        args->body_len = job->body_len;
        args->body_type = job->body_type;
    }

    return args;
}


static void *
args_put(char **pos, const void *data, size_t len)
{
    char  *p;

    p = *pos;
    *pos = p + (len + 15) / 16 * 16;

    if (data != NULL && len != 0) {
        memcpy(p, data, len);
    }

    return p;
}


int
check_plan(check_t *c, const check_job_t *job, helix_plan_t *plan)
{
    int                  rc;
    check_pages_t        pages;
    const helix_args_t  *args;

    args = args_copy(&pages, job, 0);

    memset(plan, 0, sizeof(helix_plan_t));
    plan->size = sizeof(helix_plan_t);

    check_where = "plan()";
    rc = c->kind.plan(c->conf, args, plan);
    check_where = "";

    if (args->id != job->id || args->cost != job->cost
        || args->ninputs != job->ninputs)
    {
        check_fail("plan() changes its arguments");
    }

    check_free(&pages);
    plan_is_sound(c, rc, plan);

    return rc;
}


static void
plan_is_sound(const check_t *c, int rc, const helix_plan_t *plan)
{
    uint32_t              i;
    const helix_level_t  *level;

    if (rc == HELIX_FAILED) {
        check_sentence("plan()", plan->error);

        if (plan->field != NULL && !check_is_field(c, plan->field)) {
            check_fail("plan() blames \"%s\", which is no field and no param",
                       plan->field);
        }

        return;
    }

    if (rc != HELIX_DONE) {
        check_fail("plan() returns %d: neither HELIX_DONE nor HELIX_FAILED",
                   rc);
    }

    if (plan->work == 0) {
        check_fail("plan() plans no work");
    }

    if (plan->flags & ~(uint32_t) (HELIX_PURE|HELIX_PURE_ID|HELIX_ANYTIME)
        || (plan->flags & HELIX_PURE && plan->flags & HELIX_PURE_ID))
    {
        check_fail("plan() sets flags that are none: 0x%x", plan->flags);
    }

    if (plan->flags & HELIX_ANYTIME && c->kind.quality == NULL) {
        check_fail("plan() says HELIX_ANYTIME, but there is no quality()");
    }

    if (plan->nlevels > c->nlevels) {
        check_fail("plan() has %u levels, the kind %u", plan->nlevels,
                   c->nlevels);
    }

    for (i = 0; i < plan->nlevels; i++) {
        level = &plan->levels[i];

        if (level->name >= c->nlevels) {
            check_fail("plan() names a level that is not there: %u",
                       level->name);
        }

        if (level->work == 0 || level->work > plan->work) {
            check_fail("the level \"%s\" is no less work than the full "
                       "answer: %llu of %llu", c->kind.levels[level->name],
                       (unsigned long long) level->work,
                       (unsigned long long) plan->work);
        }

        if (!(level->quality >= 0.0 && level->quality <= 1.0)) {
            check_fail("the level \"%s\" has a quality of %g",
                       c->kind.levels[level->name], level->quality);
        }

        if (i != 0 && level->quality > level[-1].quality) {
            check_fail("the levels are not in order, best first");
        }
    }
}


void
check_start(check_t *c, check_run_t *run, const check_job_t *job,
    uint32_t level, int fill)
{
    size_t               size;
    const helix_args_t  *args;

    if (check_plan(c, job, &run->plan) != HELIX_DONE) {
        check_fail("plan() refuses what it has accepted: %s",
                   run->plan.error);
    }

    if (run->plan.memory > CHECK_MEMORY) {
        check_fail("plan() wants %zu bytes of memory", run->plan.memory);
    }

    args = args_copy(&run->args, job, level);
    check_open(&run->state, run->plan.memory);

    /* aligned, and as near to the end as that allows */

    size = run->state.size - 2 * (size_t) (run->state.data - run->state.base);
    memset(run->state.data, CANARY, size);
    run->slack = (ALIGN - run->plan.memory % ALIGN) % ALIGN;
    run->state.data += size - run->plan.memory - run->slack;
    memset(run->state.data, fill, run->plan.memory);

    check_where = "start()";
    c->kind.start(c->conf, run->state.data, args);
    check_where = "";

    check_shut(&run->args, "its arguments after start() has returned");
    run->result = HELIX_AGAIN;
}


int
check_step(check_t *c, check_run_t *run, check_control_t *ctl)
{
    ctl->said = false;
    ctl->start = check_cpu();
    ctl->last = ctl->start;

    check_where = "step()";
    run->result = c->kind.step(run->state.data, &ctl->base);
    check_where = "";

    check_stepped(ctl, run->result);

    return run->result;
}


void
check_stepped(check_control_t *ctl, int result)
{
    if (ctl->polls) {
        gap(ctl);
    }

    if (result != HELIX_DONE && result != HELIX_FAILED
        && result != HELIX_AGAIN)
    {
        check_fail("step() returns %d", result);
    }

    if (result == HELIX_AGAIN && !ctl->said && !ctl->stop) {
        check_fail("step() returns HELIX_AGAIN although nobody has told it "
                   "to stop");
    }
}


void
check_finish(check_t *c, const check_run_t *run, check_answer_t *answer)
{
    memset(answer, 0, sizeof(*answer));
    answer->result = run->result;

    if (run->result != HELIX_FAILED) {
        check_output(c, run->state.data, run->result == HELIX_AGAIN, answer);
    }
}


void
check_end(check_t *c, check_run_t *run)
{
    size_t       i;
    const char  *p, *end;

    if (c->kind.clear != NULL) {
        check_where = "clear()";
        c->kind.clear(run->state.data);
        check_where = "";
    }

    p = run->state.data + run->plan.memory;

    for (i = 0; i < run->slack; i++) {
        if (p[i] != CANARY) {
            check_fail("it writes beyond plan->memory: byte %zu of %zu",
                       run->plan.memory + i, run->plan.memory);
        }
    }

    end = run->state.data;
    p = (const char *) ((uintptr_t) end & ~(uintptr_t) 4095);

    while (p < end) {
        if (*p++ != CANARY) {
            check_fail("it writes before the memory of its job");
        }
    }

    check_free(&run->state);
    check_free(&run->args);
}


void
check_run(check_t *c, const check_job_t *job, uint32_t level, int fill,
    check_answer_t *answer)
{
    check_run_t      run;
    check_control_t  ctl;

    check_control(&ctl, 0);
    check_start(c, &run, job, level, fill);
    (void) check_step(c, &run, &ctl);
    check_finish(c, &run, answer);
    check_end(c, &run);
}


void
check_same(const check_answer_t *a, const check_answer_t *b,
    const char *what)
{
    size_t  i;

    if (a->result != b->result) {
        check_fail("%s: %s, but %s otherwise", what,
                   a->result == HELIX_DONE ? "done" : "failed",
                   b->result == HELIX_DONE ? "done" : "failed");
    }

    if (a->result == HELIX_FAILED) {
        return;
    }

    if (a->len == b->len && memcmp(a->data, b->data, a->len) == 0
        && strcmp(a->type, b->type) == 0)
    {
        return;
    }

    for (i = 0; i < a->len && i < b->len && a->data[i] == b->data[i]; i++) {
        /* void */
    }

    if (a->type[0] != '\0') {
        check_fail("%s: another answer, from byte %zu on", what, i);
    }

    check_fail("%s: %.60s instead of %.60s", what, a->data, b->data);
}
