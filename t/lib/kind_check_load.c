
/* What helix does with a kind: loads, configures and starts it. */

#include <ctype.h>
#include <dirent.h>
#include <dlfcn.h>
#include <math.h>
#include <string.h>

#include "helix_utf8.h"
#include "kind_check.h"


#define LOGGED  3


static void kind_is_sound(check_t *c);
static void params_are_sound(check_t *c);
static void levels_are_sound(check_t *c);
static bool is_name(const char *name);
static int nthreads(void);
static void host_log(int level, const char *kind, const char *text);


static const char *const  fields[] = {
    "id", "kind", "inputs", "compute_cost", "scaling_potential",
    "latency_budget_ms", "params"
};


void
check_load(check_t *c)
{
    void                 *handle;
    char                  path[4096];
    const helix_kind_t *(*entry)(const helix_host_t *host);

    c->host.size = sizeof(helix_host_t);
    c->host.abi = HELIX_KIND_ABI;
    c->host.version = "kind-check";
    c->host.log = host_log;

    /* without a slash it would be looked for in the folders of libraries */
    snprintf(path, sizeof(path), "%s%s", strchr(c->file, '/') ? "" : "./",
             c->file);

    check_where = "loading it";
    handle = dlopen(path, RTLD_NOW|RTLD_LOCAL);

    if (handle == NULL) {
        check_fail("%s", dlerror());
    }

    *(void **) &entry = dlsym(handle, HELIX_KIND_SYMBOL);

    if (entry == NULL) {
        check_fail("there is no %s() in it", HELIX_KIND_SYMBOL);
    }

    check_where = HELIX_KIND_SYMBOL "()";
    c->entry = entry(&c->host);
    check_where = "";

    if (c->entry == NULL) {
        check_fail(HELIX_KIND_SYMBOL "() gives no kind to this host, of ABI "
                   "%d", HELIX_KIND_ABI);
    }

    kind_is_sound(c);
    params_are_sound(c);
    levels_are_sound(c);
}


static void
kind_is_sound(check_t *c)
{
    size_t               size;
    const helix_kind_t  *k;

    if (c->entry->abi != HELIX_KIND_ABI) {
        check_fail("it has ABI %u, this helix %d", c->entry->abi,
                   HELIX_KIND_ABI);
    }

    size = c->entry->size;

    if (size < offsetof(helix_kind_t, clear) + sizeof(c->entry->clear)) {
        check_fail("its helix_kind_t has a size of %zu: too small", size);
    }

    if (size > sizeof(helix_kind_t)) {
        size = sizeof(helix_kind_t);
    }

    memset(&c->kind, 0, sizeof(helix_kind_t));
    memcpy(&c->kind, c->entry, size);

    k = &c->kind;

    if (!is_name(k->name)) {
        check_fail("its name is none: [a-z][a-z0-9_]*, at most %d bytes",
                   HELIX_KIND_NAME_MAX);
    }

    if (k->flags & ~(uint32_t) HELIX_BLOCKING) {
        check_fail("it has unknown flags: 0x%x", k->flags);
    }

    if (k->max_work == 0) {
        check_fail("max_work is 0");
    }

    if (k->plan == NULL || k->start == NULL || k->step == NULL
        || k->finish == NULL)
    {
        check_fail("plan(), start(), step() and finish() are all needed");
    }

    if (k->destroy != NULL && k->configure == NULL) {
        check_fail("destroy() without configure()");
    }
}


static void
params_are_sound(check_t *c)
{
    uint32_t              i, k;
    const helix_param_t  *p;

    c->nparams = 0;

    if (c->kind.params == NULL) {
        return;
    }

    for (i = 0; c->kind.params[i].name != NULL; i++) {
        p = &c->kind.params[i];

        if (i == HELIX_KIND_PARAMS) {
            check_fail("more than %d params", HELIX_KIND_PARAMS);
        }

        if (!is_name(p->name)) {
            check_fail("a param's name is none: \"%s\"", p->name);
        }

        for (k = 0; k < countof(fields); k++) {
            if (strcmp(p->name, fields[k]) == 0) {
                check_fail("the param \"%s\" is a field of all jobs",
                           p->name);
            }
        }

        for (k = 0; k < i; k++) {
            if (strcmp(p->name, c->kind.params[k].name) == 0) {
                check_fail("the param \"%s\" is there twice", p->name);
            }
        }

        if ((unsigned) p->type > HELIX_PARAM_JSON) {
            check_fail("the param \"%s\" has no type", p->name);
        }

        if (!isfinite(p->min) || !isfinite(p->max) || p->min > p->max
            || (p->type != HELIX_PARAM_F64 && (p->min < 0 || p->max < 1)))
        {
            check_fail("the param \"%s\" has no range", p->name);
        }

        if (p->help == NULL || *p->help == '\0') {
            check_fail("the param \"%s\" has no help", p->name);
        }
    }

    c->nparams = i;
}


static void
levels_are_sound(check_t *c)
{
    uint32_t  i, k;

    c->nlevels = 0;

    if (c->kind.levels == NULL) {
        return;
    }

    for (i = 0; c->kind.levels[i] != NULL; i++) {

        if (i == HELIX_KIND_LEVELS) {
            check_fail("more than %d levels", HELIX_KIND_LEVELS);
        }

        if (!is_name(c->kind.levels[i])) {
            check_fail("a level's name is none: \"%s\"", c->kind.levels[i]);
        }

        if (strcmp(c->kind.levels[i], "truncated") == 0) {
            check_fail("a level's name is taken: \"truncated\"");
        }

        for (k = 0; k < i; k++) {
            if (strcmp(c->kind.levels[i], c->kind.levels[k]) == 0) {
                check_fail("the level \"%s\" is there twice",
                           c->kind.levels[i]);
            }
        }
    }

    c->nlevels = i;
}


static bool
is_name(const char *name)
{
    size_t  i;

    if (name == NULL || !islower((unsigned char) name[0])
        || strlen(name) > HELIX_KIND_NAME_MAX)
    {
        return false;
    }

    for (i = 0; name[i] != '\0'; i++) {
        if (!islower((unsigned char) name[i])
            && !isdigit((unsigned char) name[i]) && name[i] != '_')
        {
            return false;
        }
    }

    return true;
}


bool
check_is_field(const check_t *c, const char *name)
{
    uint32_t  i;

    for (i = 0; i < countof(fields); i++) {
        if (strcmp(name, fields[i]) == 0) {
            return true;
        }
    }

    for (i = 0; i < c->nparams; i++) {
        if (strcmp(name, c->kind.params[i].name) == 0) {
            return true;
        }
    }

    return false;
}


void
check_configure(check_t *c)
{
    char  error[HELIX_KIND_ERROR_MAX];

    if (c->kind.configure == NULL) {

        if (c->npairs != 0) {
            check_fail("it has no configure() and takes no \"%s\"",
                       c->pairs[0].name);
        }

        c->conf = NULL;

        return;
    }

    error[0] = '\0';

    check_where = "configure()";
    c->conf = c->kind.configure(&c->host, c->pairs, c->npairs, error);
    check_where = "";

    if (c->conf == NULL) {
        check_sentence("configure()", error);
        check_fail("%s", error);
    }

    if (nthreads() != 1 && !c->started) {
        check_fail("a thread was started before init(): workers are forked "
                   "in between and would not have it");
    }
}


static int
nthreads(void)
{
    int   n;
    DIR  *dir;

    dir = opendir("/proc/self/task");
    n = 0;

    if (dir == NULL) {
        return 1;
    }

    while (readdir(dir) != NULL) {
        n++;
    }

    closedir(dir);

    return n - 2;
}


void
check_init(check_t *c)
{
    int   rc;
    char  error[HELIX_KIND_ERROR_MAX];

    if (c->kind.init == NULL) {
        return;
    }

    error[0] = '\0';

    c->started = true;

    check_where = "init()";
    rc = c->kind.init(c->conf, error);
    check_where = "";

    if (rc != HELIX_DONE) {
        check_sentence("init()", error);
        check_fail("%s", error);
    }
}


/* Something that can be shown to a client or written into a log. */

void
check_sentence(const char *where, const char *text)
{
    size_t       n;
    const char  *p, *end;

    end = memchr(text, '\0', HELIX_KIND_ERROR_MAX);

    if (end == NULL) {
        check_fail("%s: the sentence has no end", where);
    }

    if (end == text) {
        check_fail("%s fails without a sentence", where);
    }

    for (p = text; p < end; p += n) {
        n = helix_utf8(p, end);

        if (n == 0 || (unsigned char) *p < 0x20) {
            check_fail("%s: the sentence is not printable UTF-8", where);
        }
    }
}


static void
host_log(int level, const char *kind, const char *text)
{
    static volatile int  n;

    if (level < HELIX_LOG_ERROR || level > HELIX_LOG_INFO || kind == NULL
        || text == NULL)
    {
        check_fail("%s logs nothing that can be written", check_where);
    }

    if (n++ < LOGGED) {
        printf("log: %s: %s\n", kind, text);
    }
}
