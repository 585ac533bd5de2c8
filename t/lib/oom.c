
/*
 * LD_PRELOAD: allocations and writes to disk of one process fail on demand.
 *
 * The file named by HELIX_OOM is mapped when the program starts, and shared
 * by all that it forks.  The test writes and reads the fields through the file.
 */

#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>


enum { OFF = 0, COUNT, ONCE, FROM, DISK };


typedef struct {
    uint32_t   mode;
    uint32_t   pid;          /* of the process that is meant */
    uint64_t   at;           /* 1: the next allocation */
    uint64_t   seen;         /* while the mode is not OFF */
    uint64_t   failed;
} oom_t;


extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static volatile oom_t  *oom;


__attribute__((constructor)) static void
oom_init(void)
{
    int          fd;
    void        *p;
    const char  *name;

    name = getenv("HELIX_OOM");
    fd = name ? open(name, O_RDWR|O_CLOEXEC) : -1;

    if (fd == -1) {
        return;
    }

    p = mmap(NULL, sizeof(oom_t), PROT_READ|PROT_WRITE, MAP_SHARED, fd, 0);

    if (p != MAP_FAILED) {
        oom = p;
    }

    close(fd);
}


static int
oom_now(void)
{
    uint32_t  mode;
    uint64_t  n;

    if (oom == NULL || (mode = oom->mode) == OFF || mode == DISK
        || (pid_t) oom->pid != getpid())
    {
        return 0;
    }

    n = __atomic_add_fetch(&oom->seen, 1, __ATOMIC_SEQ_CST);

    if (mode == COUNT || (mode == ONCE ? n != oom->at : n < oom->at)) {
        return 0;
    }

    __atomic_add_fetch(&oom->failed, 1, __ATOMIC_SEQ_CST);
    errno = ENOMEM;

    return 1;
}


void *
malloc(size_t size)
{
    return oom_now() ? NULL : __libc_malloc(size);
}


void *
calloc(size_t n, size_t size)
{
    return oom_now() ? NULL : __libc_calloc(n, size);
}


void *
realloc(void *p, size_t size)
{
    return oom_now() ? NULL : __libc_realloc(p, size);
}


void *
memalign(size_t alignment, size_t size)
{
    return oom_now() ? NULL : __libc_memalign(alignment, size);
}


int
posix_memalign(void **p, size_t alignment, size_t size)
{
    if (oom_now()) {
        return ENOMEM;
    }

    *p = __libc_memalign(alignment, size);

    return *p ? 0 : ENOMEM;
}


static int
disk_full(void)
{
    if (oom == NULL || oom->mode != DISK || (pid_t) oom->pid != getpid()) {
        return 0;
    }

    __atomic_add_fetch(&oom->failed, 1, __ATOMIC_SEQ_CST);
    errno = ENOSPC;

    return 1;
}


ssize_t
pwrite64(int fd, const void *p, size_t n, off64_t offset)
{
    struct iovec  iov = { (void *) p, n };

    return disk_full() ? -1 : pwritev2(fd, &iov, 1, offset, 0);
}


ssize_t
pwrite(int fd, const void *p, size_t n, off_t offset)
{
    return pwrite64(fd, p, n, offset);
}


ssize_t
pwritev64(int fd, const struct iovec *iov, int n, off64_t offset)
{
    return disk_full() ? -1 : pwritev2(fd, iov, n, offset, 0);
}


ssize_t
pwritev(int fd, const struct iovec *iov, int n, off_t offset)
{
    return pwritev64(fd, iov, n, offset);
}
