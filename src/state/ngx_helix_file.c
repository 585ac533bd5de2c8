
#include "ngx_helix_file.h"

#include <dirent.h>


#define NGX_HELIX_FILE_TMP      ".tmp."
#define NGX_HELIX_FILE_ASIDES   10
#define NGX_HELIX_FILE_OLD      600          /* seconds */
#define NGX_HELIX_FILE_ENTRIES  10000        /* of a directory */


static ngx_int_t ngx_helix_file_error(ngx_helix_file_t *file,
    const char *what);
static ngx_int_t ngx_helix_file_check(ngx_helix_file_t *file, int fd,
    size_t max);
static ngx_int_t ngx_helix_file_put(ngx_helix_file_t *file, int fd);
static ngx_uint_t ngx_helix_file_stale(const char *dir, const char *name,
    const char *base, size_t len, char *path);


static ngx_int_t
ngx_helix_file_error(ngx_helix_file_t *file, const char *what)
{
    file->err = ngx_errno;
    file->what = what;

    return NGX_ERROR;
}


ngx_int_t
ngx_helix_file_read(ngx_helix_file_t *file, size_t max)
{
    int         fd;
    ssize_t     n;
    ngx_int_t   rc;

    file->text = NULL;
    file->len = 0;

    /* a FIFO without a writer does not hold us */

    fd = open(file->path, O_RDONLY|O_NOFOLLOW|O_NONBLOCK|O_CLOEXEC);

    if (fd == -1) {

        if (ngx_errno == NGX_ENOENT) {
            return NGX_DECLINED;
        }

        if (ngx_errno == NGX_ELOOP) {
            file->err = 0;
            file->what = "is a symbolic link";
            return NGX_ERROR;
        }

        return ngx_helix_file_error(file, "open()");
    }

    rc = ngx_helix_file_check(file, fd, max);

    while (rc == NGX_OK) {
        n = read(fd, file->text + file->len, max + 1 - file->len);

        if (n == -1 && ngx_errno == NGX_EINTR) {
            continue;
        }

        if (n == -1) {
            rc = ngx_helix_file_error(file, "read()");
        }

        if (n <= 0) {
            break;
        }

        file->len += (size_t) n;

        if (file->len > max) {
            file->err = 0;
            file->what = "is too large";
            rc = NGX_ERROR;
        }
    }

    (void) close(fd);

    return rc;
}


static ngx_int_t
ngx_helix_file_check(ngx_helix_file_t *file, int fd, size_t max)
{
    struct stat  st;

    if (fstat(fd, &st) == -1) {
        return ngx_helix_file_error(file, "fstat()");
    }

    file->err = 0;

    if (!S_ISREG(st.st_mode)) {
        file->what = "is not a regular file";
        return NGX_ERROR;
    }

    if (st.st_size > (off_t) max) {
        file->what = "is too large";
        return NGX_ERROR;
    }

    file->text = malloc(max + 1);

    return file->text ? NGX_OK : ngx_helix_file_error(file, "malloc()");
}


ngx_int_t
ngx_helix_file_write(ngx_helix_file_t *file)
{
    int        fd;
    char       tmp[NGX_HELIX_FILE_NAME];
    ngx_int_t  rc;

    (void) snprintf(tmp, sizeof(tmp), "%s" NGX_HELIX_FILE_TMP "%d",
                    file->path, (int) ngx_pid);

    fd = open(tmp, O_WRONLY|O_CREAT|O_EXCL|O_NOFOLLOW|O_CLOEXEC, 0600);

    if (fd == -1 && ngx_errno == NGX_EEXIST) {

        /* of a process of the same number, which is gone */

        (void) unlink(tmp);

        fd = open(tmp, O_WRONLY|O_CREAT|O_EXCL|O_NOFOLLOW|O_CLOEXEC, 0600);
    }

    if (fd == -1) {
        return ngx_helix_file_error(file, "open()");
    }

    rc = ngx_helix_file_put(file, fd);

    if (close(fd) == -1 && rc == NGX_OK) {
        rc = ngx_helix_file_error(file, "close()");
    }

    if (rc == NGX_OK && rename(tmp, file->path) == -1) {
        rc = ngx_helix_file_error(file, "rename()");
    }

    if (rc != NGX_OK) {
        (void) unlink(tmp);
    }

    return rc;
}


static ngx_int_t
ngx_helix_file_put(ngx_helix_file_t *file, int fd)
{
    size_t   done;
    ssize_t  n;

    for (done = 0; done < file->len; done += (size_t) n) {
        n = write(fd, file->text + done, file->len - done);

        if (n == -1) {

            if (ngx_errno != NGX_EINTR) {
                return ngx_helix_file_error(file, "write()");
            }

            n = 0;
        }
    }

    return (fsync(fd) == 0) ? NGX_OK : ngx_helix_file_error(file, "fsync()");
}


ngx_int_t
ngx_helix_file_set_aside(ngx_helix_file_t *file, const char *suffix,
    char *name)
{
    ngx_uint_t   i;
    struct stat  st;

    /* what was set aside before is not lost */

    for (i = 0; i < NGX_HELIX_FILE_ASIDES; i++) {
        (void) snprintf(name, NGX_HELIX_FILE_NAME, i ? "%s.%s.%d" : "%s.%s",
                        file->path, suffix, (int) i);

        if (lstat(name, &st) == -1) {
            break;
        }
    }

    if (i == NGX_HELIX_FILE_ASIDES) {
        ngx_set_errno(NGX_EEXIST);

    } else if (ngx_errno == NGX_ENOENT && rename(file->path, name) == 0) {
        return NGX_OK;
    }

    return ngx_helix_file_error(file, "rename()");
}


ngx_int_t
ngx_helix_file_exists(ngx_helix_file_t *file)
{
    struct stat  st;

    if (lstat(file->path, &st) == 0) {
        return NGX_OK;
    }

    return (ngx_errno == NGX_ENOENT || ngx_errno == NGX_ENOTDIR)
           ? NGX_DECLINED : ngx_helix_file_error(file, "lstat()");
}


ngx_int_t
ngx_helix_file_clean(ngx_helix_file_t *file)
{
    DIR            *dir;
    char            name[NGX_HELIX_FILE_NAME], path[2 * NGX_HELIX_FILE_NAME];
    size_t          len;
    ngx_uint_t      n;
    const char     *base;
    struct dirent  *entry;

    base = strrchr(file->path, '/');
    base = base ? base + 1 : file->path;
    len = (size_t) (base - file->path);

    (void) snprintf(name, sizeof(name), "%.*s.", (int) len, file->path);

    if (access(name, W_OK|X_OK) == -1) {
        return ngx_helix_file_error(file, "access()");
    }

    dir = opendir(name);

    if (dir == NULL) {
        return NGX_OK;
    }

    len = strlen(base);

    for (n = 0; n < NGX_HELIX_FILE_ENTRIES; n++) {
        entry = readdir(dir);

        if (entry == NULL) {
            break;
        }

        if (ngx_helix_file_stale(name, entry->d_name, base, len, path)) {
            (void) unlink(path);
        }
    }

    (void) closedir(dir);

    return NGX_OK;
}


/* Is it a temporary of a process that is gone, or of one that should be? */

static ngx_uint_t
ngx_helix_file_stale(const char *dir, const char *name, const char *base,
    size_t len, char *path)
{
    long          pid;
    char         *end;
    struct stat   st;

    static const char  tmp[] = NGX_HELIX_FILE_TMP;

    if (strncmp(name, base, len) != 0
        || strncmp(name + len, tmp, sizeof(tmp) - 1) != 0)
    {
        return 0;
    }

    name += len + sizeof(tmp) - 1;
    pid = strtol(name, &end, 10);

    if (end == name || *end || pid <= 0 || pid > NGX_MAX_INT32_VALUE) {
        return 0;
    }

    (void) snprintf(path, 2UL * NGX_HELIX_FILE_NAME, "%s/%s%s%s", dir,
                    base, tmp, name);

    return (kill((pid_t) pid, 0) == -1 && ngx_errno == NGX_ESRCH)
           || (lstat(path, &st) == 0
               && st.st_mtime + NGX_HELIX_FILE_OLD < time(NULL));
}
