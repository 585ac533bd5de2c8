
/*
 * t/62-control.t: processes that change the control block and are killed while
 * they do, and others that read it.  Each change is the one before it plus one,
 * in every word: what a reader sees has to be of one change, and none may be
 * lost or made twice.
 *
 *     control_crash KILLS
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include <sys/wait.h>

#include "ngx_helix_layout.h"


#define WRITERS  4
#define READERS  2


static ngx_helix_zone_t  *zone;


static void
fill(ngx_helix_config_t *config, uint64_t n)
{
    size_t     i;
    uint64_t  *words;

    words = (uint64_t *) config;

    for (i = 0; i < sizeof(ngx_helix_config_t) / sizeof(uint64_t); i++) {
        words[i] = n;
    }
}


static int
torn(const ngx_helix_config_t *config)
{
    size_t           i;
    const uint64_t  *words;

    words = (const uint64_t *) config;

    for (i = 1; i < sizeof(ngx_helix_config_t) / sizeof(uint64_t); i++) {
        if (words[i] != words[0]) {
            return 1;
        }
    }

    return 0;
}


static void
writer(void)
{
    uint64_t             version;
    ngx_helix_config_t   config;

    for ( ;; ) {
        if (ngx_helix_control_lock(zone) != NGX_OK) {
            continue;
        }

        version = ngx_helix_config_read(zone, &config);

        if (version && (torn(&config) || config.generation != version)) {
            _exit(2);
        }

        fill(&config, version + 1);

        if (ngx_helix_config_publish(zone, &config) != version + 1) {
            _exit(3);
        }

        ngx_helix_control_unlock(zone);
    }
}


static void
reader(void)
{
    uint64_t             version, last;
    ngx_helix_config_t   config;

    for (last = 0; ; last = version) {
        version = ngx_helix_config_read(zone, &config);

        if (version == 0) {
            version = last;
            continue;
        }

        if (torn(&config) || config.generation != version || version < last
            || ngx_helix_config_concurrency(zone) < version)
        {
            _exit(4);
        }
    }
}


static pid_t
start(void (*run)(void))
{
    pid_t  pid;

    pid = fork();

    if (pid == 0) {
        ngx_pid = getpid();
        alarm(120);
        run();
    }

    return pid;
}


static int
finish(pid_t pid)
{
    int  status;

    (void) kill(pid, SIGKILL);
    (void) waitpid(pid, &status, 0);

    return WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}


int
main(int argc, char **argv)
{
    int                  code, kills, i, inside;
    pid_t                pids[WRITERS + READERS];
    uint64_t             version;
    ngx_helix_config_t   config;

    kills = (argc > 1) ? atoi(argv[1]) : 100;
    inside = 0;
    code = 0;
    ngx_pid = getpid();
    srandom(7);

    zone = mmap(NULL, sizeof(ngx_helix_zone_t), PROT_READ|PROT_WRITE,
                MAP_ANON|MAP_SHARED, -1, 0);

    for (i = 0; i < WRITERS + READERS; i++) {
        pids[i] = start(i < WRITERS ? writer : reader);
    }

    while (kills--) {
        (void) usleep(random() % 2000);

        i = random() % WRITERS;
        code |= finish(pids[i]);

        inside += (ngx_helix_process_pid(ngx_helix_get(&zone->control.writer))
                   == pids[i]);

        pids[i] = start(writer);
    }

    for (i = 0; i < WRITERS + READERS; i++) {
        code |= finish(pids[i]);
    }

    if (ngx_helix_control_lock(zone) != NGX_OK) {
        code |= 8;
    }

    version = ngx_helix_config_read(zone, &config);

    printf("%d wrong, %d killed inside, %lu changes, the last is %lu\n",
           code | (torn(&config) ? 16 : 0), inside, (unsigned long) version,
           (unsigned long) config.generation);

    return 0;
}


/* what these files want of nginx, and of the zone */

ngx_pid_t  ngx_pid;
ngx_int_t  ngx_ncpu = 1;


uint64_t
ngx_helix_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}


ngx_int_t
ngx_atoi(u_char *line, size_t n)
{
    return NGX_ERROR;
}


/* "/proc/%P/stat" is all it is asked for */

u_char * ngx_cdecl
ngx_snprintf(u_char *buf, size_t max, const char *fmt, ...)
{
    int      pid;
    va_list  args;

    va_start(args, fmt);
    pid = va_arg(args, int);
    va_end(args);

    return buf + snprintf((char *) buf, max, "/proc/%d/stat", pid);
}
