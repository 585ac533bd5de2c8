
#include "ngx_helix_process.h"


#include <sched.h>


#define NGX_HELIX_CGROUPS   "/sys/fs/cgroup"
#define NGX_HELIX_PATH      512

#define NGX_HELIX_PID_BITS  22
#define NGX_HELIX_PID_MASK  ((1ULL << NGX_HELIX_PID_BITS) - 1)

#define NGX_HELIX_LOCK_TRIES  20
#define NGX_HELIX_LOCK_PAUSE  250      /* us */


typedef struct {
    u_char     state;
    uint64_t   threads;
    uint64_t   start;
} ngx_helix_process_stat_t;


static ngx_int_t ngx_helix_process_stat(ngx_pid_t pid,
    ngx_helix_process_stat_t *st);
static ngx_helix_process_t ngx_helix_process_id(ngx_pid_t pid, uint64_t start);
static ngx_uint_t ngx_helix_cgroup_cpus(const char *dir);
static ssize_t ngx_helix_read(const char *path, char *buf, size_t size);


ngx_helix_process_t
ngx_helix_process_self(void)
{
    ngx_helix_process_stat_t    st;

    static ngx_pid_t            pid;
    static ngx_helix_process_t  self;

    /* a process that was forked is another one */

    if (pid != ngx_pid) {

        if (ngx_helix_process_stat(ngx_pid, &st) != NGX_OK) {
            return ngx_helix_process_id(ngx_pid, 0);
        }

        pid = ngx_pid;
        self = ngx_helix_process_id(pid, st.start);
    }

    return self;
}


ngx_pid_t
ngx_helix_process_pid(ngx_helix_process_t process)
{
    return (ngx_pid_t) (process & NGX_HELIX_PID_MASK);
}


ngx_uint_t
ngx_helix_process_alive(ngx_helix_process_t process)
{
    ngx_pid_t                 pid;
    ngx_helix_process_stat_t  st;

    pid = ngx_helix_process_pid(process);

    if (kill(pid, 0) == -1 && ngx_errno == NGX_ESRCH) {
        return 0;
    }

    if (ngx_helix_process_stat(pid, &st) != NGX_OK) {
        return 1;
    }

    /* it could not find out when it was started itself */

    if (process >> NGX_HELIX_PID_BITS == 0) {
        return 1;
    }

    if (ngx_helix_process_id(pid, st.start) != process) {
        return 0;
    }

    /* the other threads of a killed process may outlive its first one */

    return !((st.state == 'Z' || st.state == 'X') && st.threads <= 1);
}


ngx_int_t
ngx_helix_process_lock(ngx_helix_process_t *word, ngx_uint_t wait)
{
    ngx_uint_t           i;
    ngx_helix_process_t  owner, self;

    self = ngx_helix_process_self();

    for (i = 0; i < NGX_HELIX_LOCK_TRIES; i++) {
        owner = __atomic_load_n(word, __ATOMIC_RELAXED);

        if ((owner == 0 || !ngx_helix_process_alive(owner))
            && __atomic_compare_exchange_n(word, &owner, self, 0,
                                           __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        {
            return NGX_OK;
        }

        if (!wait) {
            break;
        }

        (void) usleep(NGX_HELIX_LOCK_PAUSE);
    }

    return NGX_BUSY;
}


void
ngx_helix_process_unlock(ngx_helix_process_t *word)
{
    __atomic_store_n(word, 0, __ATOMIC_RELEASE);
}


static ngx_helix_process_t
ngx_helix_process_id(ngx_pid_t pid, uint64_t start)
{
    return ((uint64_t) pid & NGX_HELIX_PID_MASK) | start << NGX_HELIX_PID_BITS;
}


static ngx_int_t
ngx_helix_process_stat(ngx_pid_t pid, ngx_helix_process_stat_t *st)
{
    ssize_t      n;
    uint64_t     value;
    ngx_uint_t   field;
    u_char      *p, *last, path[32], buf[1024];

    *ngx_snprintf(path, sizeof(path) - 1, "/proc/%P/stat", pid) = '\0';

    n = ngx_helix_read((char *) path, (char *) buf, sizeof(buf));

    if (n <= 0) {
        return NGX_ERROR;
    }

    /* the name of the process may hold anything, ')' and spaces included */

    last = buf + n;

    for (p = last; p > buf && p[-1] != ')'; p--) { /* void */ }

    if (p == buf || last - p < 4) {
        return NGX_ERROR;
    }

    st->state = p[1];
    st->threads = 0;

    for (field = 2; p < last; field++) {

        while (p < last && *p == ' ') {
            p++;
        }

        for (value = 0; p < last && *p != ' '; p++) {
            value = value * 10 + (*p - '0');
        }

        if (field == 20 - 1) {
            st->threads = value;
        }

        if (field == 22 - 1) {
            st->start = value;
            return NGX_OK;
        }
    }

    return NGX_ERROR;
}


ngx_uint_t
ngx_helix_process_cpus(void)
{
    char        *p, buf[NGX_HELIX_PATH], dir[2 * NGX_HELIX_PATH];
    ssize_t      n;
    cpu_set_t    set;
    ngx_uint_t   cpus;

    cpus = (sched_getaffinity(0, sizeof(set), &set) == 0)
           ? (ngx_uint_t) CPU_COUNT(&set) : (ngx_uint_t) ngx_ncpu;

    n = ngx_helix_read("/proc/self/cgroup", buf, sizeof(buf) - 1);

    if (n > 0) {
        buf[n] = '\0';
        p = strstr(buf, "0::/");

        if (p == NULL) {
            return ngx_max(cpus, 1);
        }

        p += sizeof("0::") - 1;
        p[strcspn(p, "\n")] = '\0';

        (void) snprintf(dir, sizeof(dir), NGX_HELIX_CGROUPS "%s", p);

        /* a quota of any group above counts too */

        for ( ;; ) {
            cpus = ngx_min(cpus, ngx_helix_cgroup_cpus(dir));

            p = strrchr(dir, '/');

            if (p < dir + sizeof(NGX_HELIX_CGROUPS) - 1) {
                break;
            }

            *p = '\0';
        }
    }

    return ngx_max(cpus, 1);
}


/* The quota of a group in processors, rounded up. */

static ngx_uint_t
ngx_helix_cgroup_cpus(const char *dir)
{
    char        *p, buf[64], path[2 * NGX_HELIX_PATH + 16];
    ssize_t      n;
    ngx_int_t    quota, period;

    (void) snprintf(path, sizeof(path), "%s/cpu.max", dir);

    n = ngx_helix_read(path, buf, sizeof(buf) - 1);

    if (n <= 0) {
        return NGX_MAX_UINT32_VALUE;
    }

    buf[n] = '\0';
    p = strchr(buf, ' ');

    if (p == NULL) {
        return NGX_MAX_UINT32_VALUE;
    }

    quota = ngx_atoi((u_char *) buf, p - buf);
    period = ngx_atoi((u_char *) p + 1, strcspn(p + 1, "\n"));

    if (quota <= 0 || period <= 0) {
        return NGX_MAX_UINT32_VALUE;
    }

    return (quota + period - 1) / period;
}


static ssize_t
ngx_helix_read(const char *path, char *buf, size_t size)
{
    ssize_t   n;
    ngx_fd_t  fd;

    fd = ngx_open_file(path, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);
    if (fd == NGX_INVALID_FILE) {
        return -1;
    }

    n = read(fd, buf, size);

    (void) ngx_close_file(fd);

    return n;
}
