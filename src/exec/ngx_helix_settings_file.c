
/*
 * The settings file.  A worker reads it, small and regular, at start and then
 * every NGX_HELIX_FILE_LOOK; never the master, which may be root.
 */

#include "ngx_helix_lanes.h"


#define NGX_HELIX_FILE_SIZE   65536
#define NGX_HELIX_FILE_LOOK   5000000000ULL     /* ns */


static void ngx_helix_file_apply(ngx_helix_exec_t *exec, u_char *text,
    size_t len);
static ssize_t ngx_helix_file_read(ngx_helix_exec_t *exec, u_char *text);
static void ngx_helix_file_refuse(ngx_helix_exec_t *exec, u_char *text,
    size_t len, ngx_err_t err, const char *why);


void
ngx_helix_file_look(ngx_helix_exec_t *exec, uint64_t now)
{
    u_char   *text;
    ssize_t   n;

    if (exec->conf->file.len == 0
        || exec->live.config->generation != exec->generation
        || (exec->looked && now - exec->looked < NGX_HELIX_FILE_LOOK))
    {
        return;
    }

    exec->looked = now;

    text = ngx_alloc(NGX_HELIX_FILE_SIZE + 1, exec->log);
    if (text == NULL) {
        return;
    }

    n = ngx_helix_file_read(exec, text);

    if (n != NGX_ERROR) {
        ngx_helix_file_apply(exec, text, n);
    }

    ngx_free(text);
}


/* Its length; 0 also when there is none. */

static ssize_t
ngx_helix_file_read(ngx_helix_exec_t *exec, u_char *text)
{
    size_t           size;
    ssize_t          n;
    ngx_fd_t         fd;
    ngx_err_t        err;
    const char      *why;
    ngx_file_info_t  fi;

    /* a FIFO must not hold the event loop */

    fd = ngx_open_file(exec->conf->file.data,
                       NGX_FILE_RDONLY|NGX_FILE_NONBLOCK, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        err = ngx_errno;

        if (err == NGX_ENOENT) {
            return 0;
        }

        ngx_helix_file_refuse(exec, NULL, 0, err, "it cannot be opened");
        return NGX_ERROR;
    }

    n = 0;
    why = NULL;
    err = 0;

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR || !ngx_is_file(&fi)) {
        why = "it is no regular file";

    } else if (ngx_file_size(&fi) > NGX_HELIX_FILE_SIZE) {
        why = "it has more than 65536 bytes";

    } else {

        for (size = 0; size <= NGX_HELIX_FILE_SIZE; size += n) {
            n = ngx_read_fd(fd, text + size, NGX_HELIX_FILE_SIZE + 1 - size);

            if (n <= 0) {
                break;
            }
        }

        if (n < 0) {
            err = ngx_errno;
            why = "it cannot be read";

        } else if (size > NGX_HELIX_FILE_SIZE) {
            why = "it has more than 65536 bytes";
        }

        n = size;
    }

    (void) ngx_close_file(fd);

    if (why) {
        ngx_helix_file_refuse(exec, NULL, 0, err, why);
        return NGX_ERROR;
    }

    if (n == 0) {
        ngx_helix_file_refuse(exec, NULL, 0, 0, "it is empty");
        return NGX_ERROR;
    }

    return n;
}


/* Nothing of it, if anything is wrong. */

static void
ngx_helix_file_apply(ngx_helix_exec_t *exec, u_char *text, size_t len)
{
    u_char               why[NGX_MAX_ERROR_STR / 2], *p, *last;
    uint32_t             line, column;
    uint64_t             nulls;
    ngx_uint_t           i;
    helix_json_t         json;
    ngx_helix_edit_t     edit;
    helix_violations_t   violations;

    ngx_memzero(&edit, sizeof(ngx_helix_edit_t));

    edit.source = NGX_HELIX_BY_FILE;
    edit.by = "settings file";

    violations.n = 0;

    p = why;
    last = why + sizeof(why) - 1;

    if (len
        && !helix_layer_parse(&json, (char *) text, len, exec->ncpus,
                              &edit.values, &nulls, &violations))
    {
        helix_json_position(json.start, json.pos - json.start, &line, &column);

        *ngx_slprintf(p, last, "%s at line %uD, column %uD", json.error, line,
                      column) = '\0';

        ngx_helix_file_refuse(exec, text, len, 0, (char *) why);
        return;
    }

    switch (ngx_helix_exec_edit(exec, &edit, &violations)) {

    case NGX_OK:
        ngx_helix_control_refused(exec->zone, 0);
        break;

    case NGX_DECLINED:
        for (i = 0; i < violations.n; i++) {
            p = ngx_slprintf(p, last, "%s%s", i ? "; " : "",
                             violations.list[i].text);
        }

        *p = '\0';

        ngx_helix_file_refuse(exec, text, len, 0, (char *) why);
        break;

    default: /* NGX_BUSY: the next time */
        break;
    }
}


/* Once for a content, whichever worker looks. */

static void
ngx_helix_file_refuse(ngx_helix_exec_t *exec, u_char *text, size_t len,
    ngx_err_t err, const char *why)
{
    uint64_t  hash;

    hash = text ? ngx_crc32_long(text, len) : (uint64_t) err << 16;
    hash = (hash << 24 ^ ngx_crc32_long((u_char *) why, ngx_strlen(why))
            ^ (uint64_t) len << 40) | 1;

    if (!ngx_helix_control_refused(exec->zone, hash)) {
        return;
    }

    ngx_log_error(NGX_LOG_ERR, exec->log, err,
                  "helix: settings file \"%V\" is refused: %s",
                  &exec->conf->file, why);
}
