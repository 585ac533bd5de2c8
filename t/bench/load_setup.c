
/* What a run needs of the system: files, a CPU, signals, memory. */

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include "load_run.h"


static void load_setup_run(load_run_t *run);
static void load_setup_signal(int signo);


static volatile sig_atomic_t  load_interrupted;


uint64_t
load_now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * LOAD_SECOND + (uint64_t) ts.tv_nsec;
}


void *
load_alloc(size_t n, size_t size)
{
    void  *p;

    p = calloc(n, size);

    if (p == NULL) {
        fprintf(stderr, "load: no memory\n");
        exit(LOAD_FAILED);
    }

    return p;
}


static void
load_setup_signal(int signo)
{
    load_interrupted = signo;
}


bool
load_setup_interrupted(void)
{
    return load_interrupted != 0;
}


void
load_setup(load_run_t *run)
{
    cpu_set_t        cpus;
    struct rlimit    limit;
    load_options_t  *options;

    options = run->options;

    if (options->cpu != -1) {
        CPU_ZERO(&cpus);
        CPU_SET((size_t) options->cpu, &cpus);

        if (sched_setaffinity(0, sizeof(cpus), &cpus) == -1) {
            fprintf(stderr, "load: cannot run on CPU %d: %s\n", options->cpu,
                    strerror(errno));
            exit(LOAD_FAILED);
        }
    }

    if (options->nice && setpriority(PRIO_PROCESS, 0, options->nice) == -1) {
        fprintf(stderr, "load: cannot have nice %d: %s\n", options->nice,
                strerror(errno));
        exit(LOAD_FAILED);
    }

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &limit);

        if (limit.rlim_cur < options->max_connections + 16) {
            fprintf(stderr, "load: only %llu files may be open: "
                    "--max-connections is lowered to that\n",
                    (unsigned long long) limit.rlim_cur);
            options->max_connections = limit.rlim_cur - 16;
        }
    }

    if (!load_conn_probe(run)) {
        fprintf(stderr, "load: cannot connect to %s: %s\n", options->url,
                strerror(errno));
        exit(LOAD_FAILED);
    }

    load_setup_run(run);
}


static void
load_setup_run(load_run_t *run)
{
    size_t            size;
    uint32_t          i;
    load_class_t     *class;
    load_options_t   *options;
    struct sigaction  action;

    options = run->options;

    /* the kernel may round a sleep up by 50 us otherwise */

    (void) prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);

    memset(&action, 0, sizeof(action));
    action.sa_handler = load_setup_signal;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);

    for (i = 0; i < options->nclasses + options->canary; i++) {
        class = &options->classes[i];
        size = class->head_len + 512;
        size += class->post ? strlen(class->query) : 0;

        if (size > run->out_size) {
            run->out_size = size;
        }
    }

    run->conns = load_alloc(options->max_connections, sizeof(load_conn_t *));
    run->epoll = epoll_create1(EPOLL_CLOEXEC);

    if (run->epoll == -1) {
        fprintf(stderr, "load: epoll_create1: %s\n", strerror(errno));
        exit(LOAD_FAILED);
    }

    load_stats_init(run);
}
