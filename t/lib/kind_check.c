
/*
 * kind-check FILE.so [KEY=VALUE]... [--job JSON]... [--only TEXT]
 *            [--save FILE]
 *
 * See docs/kinds.md.  Processes, pages and TAP; the rest is in the files
 * beside it.
 */

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kind_check.h"


#define EXIT_SKIP      77
#define EXIT_BLOCKING  78
#define SECONDS        120
#define MAX_PAGES      4096


typedef enum {
    FOR_ALL = 0,
    FOR_SLICED,                 /* kinds without HELIX_BLOCKING */
    FOR_BLOCKING
} check_for_t;

typedef struct {
    void               (*run)(check_t *c);
    const char          *name;
    bool                 loaded;    /* and configured, with jobs */
    check_for_t          what;
} check_test_t;


static void usage(void);
static void options(check_t *c, int argc, char **argv);
static int run_test(check_t *c, const check_test_t *test, int n);
static void child(check_t *c, const check_test_t *test);
static void comments(FILE *f);
static void crashed(int sig, siginfo_t *info, void *context);
static void say(const char *a, const char *b, const char *d);
static void test_file(check_t *c);


static const check_test_t  tests[] = {
    { test_file, "the file is safe", false, FOR_ALL },
    { test_loads, "it is loaded", false, FOR_ALL },
    { test_configures, "it is configured and starts", false, FOR_ALL },
    { test_pairs, "unknown pairs are refused", false, FOR_ALL },
    { test_plans, "plans are sound and repeatable", true, FOR_ALL },
    { test_answers, "jobs are answered", true, FOR_ALL },
    { test_memory, "a job's memory suffices and is initialized", true,
      FOR_ALL },
    { test_slices, "sliced is as whole", true, FOR_SLICED },
    { test_polls, "polls are not far apart", true, FOR_SLICED },
    { test_stops, "a job stops when it is told", true, FOR_BLOCKING },
    { test_batches, "batched is as single", true, FOR_ALL },
    { test_levels, "levels answer for less", true, FOR_ALL },
    { test_quality, "it answers after any step", true, FOR_SLICED },
    { test_threads, "jobs run on many threads", true, FOR_ALL },
    { test_instances, "instances do not disturb each other", true, FOR_ALL },
    { test_leaks, "nothing leaks", true, FOR_ALL },
    { test_odd, "odd jobs are refused or answered", true, FOR_ALL }
};


const char *volatile         check_where = "";

static check_pages_t        *closed[MAX_PAGES];     /* for the handler */
static size_t                page;


int
main(int argc, char **argv)
{
    int       n, failed;
    size_t    i;
    check_t   c;

    page = (size_t) sysconf(_SC_PAGESIZE);

    memset(&c, 0, sizeof(c));
    options(&c, argc, argv);

    n = 0;
    failed = 0;

    for (i = 0; i < countof(tests); i++) {

        if (tests[i].loaded && c.only != NULL
            && strstr(tests[i].name, c.only) == NULL)
        {
            continue;
        }

        failed += run_test(&c, &tests[i], ++n);

        /* the others have nothing to run */
        if (failed && !tests[i].loaded && tests[i].run != test_pairs
            && tests[i].run != test_file)
        {
            printf("Bail out!  %s\n", c.file);
            return 1;
        }
    }

    printf("1..%d\n", n);

    return failed != 0;
}


static void
usage(void)
{
    fprintf(stderr, "usage: kind-check FILE.so [KEY=VALUE]... "
                    "[--job JSON]... [--only TEXT] "
                    "[--save FILE]\n");
    exit(2);
}


static void
options(check_t *c, int argc, char **argv)
{
    int    i;
    char  *p;

    for (i = 1; i < argc; i++) {

        if (strcmp(argv[i], "--job") == 0) {

            if (++i == argc || c->ngiven == CHECK_GIVEN) {
                usage();
            }

            c->given[c->ngiven++] = argv[i];

        } else if (strcmp(argv[i], "--only") == 0
                   || strcmp(argv[i], "--save") == 0)
        {
            if (i + 1 == argc) {
                usage();
            }

            *(argv[i][2] == 'o' ? &c->only : &c->save) = argv[i + 1];
            i++;

        } else if (argv[i][0] == '-') {
            usage();

        } else if (c->file == NULL) {
            c->file = argv[i];

        } else {
            p = strchr(argv[i], '=');

            if (p == NULL || c->npairs == CHECK_PAIRS) {
                usage();
            }

            *p++ = '\0';
            c->pairs[c->npairs].name = argv[i];
            c->pairs[c->npairs++].value = p;
        }
    }

    if (c->file == NULL) {
        usage();
    }
}


static int
run_test(check_t *c, const check_test_t *test, int n)
{
    int    status, failed;
    FILE  *f;
    pid_t  pid;

    f = tmpfile();

    if (f == NULL || fflush(NULL) != 0 || (pid = fork()) == -1) {
        perror("kind-check");
        exit(2);
    }

    if (pid == 0) {
        (void) dup2(fileno(f), STDOUT_FILENO);
        (void) dup2(fileno(f), STDERR_FILENO);
        setvbuf(stdout, NULL, _IONBF, 0);
        child(c, test);
        _exit(c->blocking ? EXIT_BLOCKING : 0);
    }

    while (waitpid(pid, &status, 0) == -1 && errno == EINTR) { /* void */ }

    failed = 0;
    rewind(f);

    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_BLOCKING) {
        c->blocking = true;
        printf("ok %d - %s\n", n, test->name);

    } else if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIP) {
        char  why[80] = "";

        (void) !fgets(why, sizeof(why), f);
        printf("ok %d - %s # skip %s", n, test->name, why);

    } else if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        printf("ok %d - %s\n", n, test->name);

    } else {
        failed = 1;
        printf("not ok %d - %s\n", n, test->name);

        if (WIFSIGNALED(status)) {
            printf("# crashed: %s\n", strsignal(WTERMSIG(status)));
        }
    }

    comments(f);
    fclose(f);

    return failed;
}


static void
child(check_t *c, const check_test_t *test)
{
    size_t            i;
    struct sigaction  sa;
    const int         signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL,
                                    SIGALRM };

    memset(&sa, 0, sizeof(sa));
    sa.sa_sigaction = crashed;
    sa.sa_flags = (int) (SA_SIGINFO | SA_RESETHAND);

    for (i = 0; i < countof(signals); i++) {
        sigaction(signals[i], &sa, NULL);
    }

    (void) alarm(SECONDS);

    if (test->what == FOR_SLICED && c->blocking) {
        check_skip("HELIX_BLOCKING");
    }

    if (test->what == FOR_BLOCKING && !c->blocking) {
        check_skip("not HELIX_BLOCKING");
    }

    if (test->loaded) {
        check_load(c);
        check_configure(c);
        check_init(c);
        check_jobs(c);
    }

    test->run(c);

    if (c->entry != NULL) {
        c->blocking = (c->kind.flags & HELIX_BLOCKING) != 0;
    }
}


static void
comments(FILE *f)
{
    char  line[1024];
    bool  start;

    start = true;

    while (fgets(line, sizeof(line), f) != NULL) {
        printf("%s%s", start ? "# " : "", line);
        start = line[strlen(line) - 1] == '\n';
    }

    if (!start) {
        printf("\n");
    }
}


/* What was touched tells what is wrong; only calls that signals may make. */

static void
crashed(int sig, siginfo_t *info, void *context)
{
    int                   i;
    const char           *p;
    const check_pages_t  *pages;

    (void) context;

    if (sig == SIGALRM) {
        say(check_where, " takes more than two minutes", "");
        _exit(1);
    }

    p = info->si_addr;

    for (i = 0; i < MAX_PAGES && sig == SIGSEGV; i++) {
        pages = closed[i];

        if (pages != NULL && p >= pages->base
            && p < pages->base + pages->size)
        {
            say(check_where, " touches ", pages->what);
            _exit(1);
        }
    }

    say(check_where, " crashes", "");
    raise(sig);
}


static void
say(const char *a, const char *b, const char *d)
{
    (void) !write(STDOUT_FILENO, a, strlen(a));
    (void) !write(STDOUT_FILENO, b, strlen(b));
    (void) !write(STDOUT_FILENO, d, strlen(d));
    (void) !write(STDOUT_FILENO, "\n", 1);
}


void
check_fail(const char *format, ...)
{
    va_list  args;

    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");

    _exit(1);
}


void
check_skip(const char *why)
{
    printf("%s\n", why);
    _exit(EXIT_SKIP);
}


static uint64_t
now(clockid_t id)
{
    struct timespec  ts;

    clock_gettime(id, &ts);

    return (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;
}


uint64_t
check_cpu(void)
{
    return now(CLOCK_THREAD_CPUTIME_ID);
}


uint64_t
check_clock(void)
{
    return now(CLOCK_MONOTONIC);
}


void
check_open(check_pages_t *pages, size_t size)
{
    int  i;

    size = (size + page - 1) / page * page;

    pages->size = size + 2 * page;
    pages->base = mmap(NULL, pages->size, PROT_NONE,
                       MAP_PRIVATE|MAP_ANONYMOUS|MAP_NORESERVE, -1, 0);

    if (pages->base == MAP_FAILED
        || mprotect(pages->base + page, size, PROT_READ|PROT_WRITE) != 0)
    {
        check_fail("no memory for %zu bytes", size);
    }

    pages->data = pages->base + page;
    pages->what = "memory beyond what it was given";

    for (i = 0; closed[i] != NULL; i++) {
        if (i == MAX_PAGES - 1) {
            abort();
        }
    }

    closed[i] = pages;
}


void
check_shut(check_pages_t *pages, const char *what)
{
    (void) mprotect(pages->base, pages->size, PROT_NONE);
    pages->what = what;
}


void
check_free(check_pages_t *pages)
{
    int  i;

    for (i = 0; i < MAX_PAGES; i++) {
        if (closed[i] == pages) {
            closed[i] = NULL;
        }
    }

    munmap(pages->base, pages->size);
}


static void
test_file(check_t *c)
{
    struct stat  st;

    if (stat(c->file, &st) == -1) {
        check_fail("%s: %s", c->file, strerror(errno));
    }

    if (!S_ISREG(st.st_mode)) {
        check_fail("%s is no regular file", c->file);
    }

    if (st.st_mode & (S_IWGRP|S_IWOTH)) {
        check_fail("%s may be written by others than its owner: nginx would "
                   "run what they put there", c->file);
    }

    if (st.st_uid != 0) {
        printf("%s is not root's: it must be, where nginx loads it\n",
               c->file);
    }
}
