
/*
 * The settings file.  A worker reads it, small and regular, at start and then
 * every NGX_HELIX_FILE_LOOK; never the master, which may be root.
 */

#include "ngx_helix_lanes.h"


#define NGX_HELIX_FILE_SIZE   65536
#define NGX_HELIX_FILE_LOOK   5000000000ULL     /* ns */


/* What a look has found. */

typedef struct {
    size_t               len;
    u_char              *text;         /* NGX_HELIX_FILE_SIZE + 1 */
    ngx_err_t            err;
    ngx_uint_t           read;         /* it has values, or is gone */
    ngx_uint_t           wrong;        /* "why" */
    u_char               why[NGX_MAX_ERROR_STR / 2];
    helix_layer_t        values;
    helix_violations_t   violations;
} ngx_helix_file_t;


static ngx_int_t ngx_helix_file_get(ngx_helix_exec_t *exec,
    ngx_helix_file_t *file);
static void ngx_helix_file_read(ngx_helix_exec_t *exec,
    ngx_helix_file_t *file);
static ngx_uint_t ngx_helix_file_gone(ngx_helix_exec_t *exec);
static void ngx_helix_file_parse(ngx_helix_exec_t *exec,
    ngx_helix_file_t *file);
static void ngx_helix_file_wrong(ngx_helix_file_t *file, ngx_err_t err,
    const char *why);
static void ngx_helix_file_tell(ngx_helix_exec_t *exec,
    ngx_helix_file_t *file);


void
ngx_helix_file_look(ngx_helix_exec_t *exec, uint64_t now)
{
    ngx_int_t          rc;
    ngx_helix_edit_t   edit;
    ngx_helix_file_t   file;

    if (exec->conf->file.len == 0
        || exec->live.config->generation != exec->generation
        || (exec->looked && now - exec->looked < NGX_HELIX_FILE_LOOK))
    {
        return;
    }

    exec->looked = now;

    if (ngx_helix_file_get(exec, &file) != NGX_OK) {
        return;
    }

    rc = NGX_OK;

    if (file.read) {
        ngx_memzero(&edit, sizeof(ngx_helix_edit_t));

        edit.source = NGX_HELIX_BY_FILE;
        edit.by = "settings file";
        edit.values = file.values;

        rc = ngx_helix_exec_edit(exec, &edit, &file.violations);
    }

    /* NGX_BUSY: the next time */

    if (rc != NGX_BUSY) {
        ngx_helix_file_tell(exec, &file);
    }

    ngx_free(file.text);
}


/* Nothing of a file that is wrong: what it said before stays. */

ngx_int_t
ngx_helix_file_adopt(ngx_helix_exec_t *exec, uint64_t now)
{
    ngx_int_t         rc;
    helix_layer_t    *values;
    ngx_helix_file_t  file;

    if (exec->conf->file.len == 0) {
        return ngx_helix_live_adopt(exec, NULL, NULL);
    }

    if (ngx_helix_file_get(exec, &file) != NGX_OK) {
        return NGX_BUSY;
    }

    values = (file.read && file.len) ? &file.values : NULL;

    rc = ngx_helix_live_adopt(exec, values, &file.violations);

    if (rc == NGX_OK) {
        exec->looked = now;
        ngx_helix_file_tell(exec, &file);
    }

    ngx_free(file.text);

    return rc;
}


static ngx_int_t
ngx_helix_file_get(ngx_helix_exec_t *exec, ngx_helix_file_t *file)
{
    ngx_memzero(file, sizeof(ngx_helix_file_t));

    file->text = ngx_alloc(NGX_HELIX_FILE_SIZE + 1, exec->log);
    if (file->text == NULL) {
        return NGX_ERROR;
    }

    ngx_helix_file_read(exec, file);

    if (file->read && file->len) {
        ngx_helix_file_parse(exec, file);
    }

    return NGX_OK;
}


static void
ngx_helix_file_read(ngx_helix_exec_t *exec, ngx_helix_file_t *file)
{
    ssize_t           n;
    ngx_fd_t          fd;
    ngx_err_t         err;
    ngx_file_info_t   fi;

    /* a FIFO must not hold the event loop */

    fd = ngx_open_file(exec->conf->file.data,
                       NGX_FILE_RDONLY|NGX_FILE_NONBLOCK, NGX_FILE_OPEN, 0);

    err = (fd == NGX_INVALID_FILE) ? ngx_errno : 0;

    if (err == NGX_ENOENT) {
        file->read = ngx_helix_file_gone(exec);
        return;
    }

    exec->gone = 0;

    if (fd == NGX_INVALID_FILE) {
        ngx_helix_file_wrong(file, err, "it cannot be opened");
        return;
    }

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR || !ngx_is_file(&fi)) {
        ngx_helix_file_wrong(file, 0, "it is no regular file");
        (void) ngx_close_file(fd);
        return;
    }

    do {
        n = ngx_read_fd(fd, file->text + file->len,
                        NGX_HELIX_FILE_SIZE + 1 - file->len);

        file->len += ngx_max(n, 0);

    } while (n > 0 && file->len <= NGX_HELIX_FILE_SIZE);

    err = (n < 0) ? ngx_errno : 0;

    (void) ngx_close_file(fd);

    if (n < 0) {
        ngx_helix_file_wrong(file, err, "it cannot be read");

    } else if (file->len > NGX_HELIX_FILE_SIZE) {
        ngx_helix_file_wrong(file, 0, "it has more than 65536 bytes");

    } else if (file->len == 0) {
        ngx_helix_file_wrong(file, 0, "it is empty");

    } else {
        file->read = 1;
    }
}


/* One that is renamed away and written anew is missing for a moment. */

static ngx_uint_t
ngx_helix_file_gone(ngx_helix_exec_t *exec)
{
    ngx_uint_t  before;

    before = exec->gone;
    exec->gone = 1;

    return before;
}


static void
ngx_helix_file_parse(ngx_helix_exec_t *exec, ngx_helix_file_t *file)
{
    uint32_t       line, column;
    uint64_t       nulls;
    helix_json_t   json;

    if (helix_layer_parse(&json, (char *) file->text, file->len, exec->ncpus,
                          &file->values, &nulls, &file->violations))
    {
        return;
    }

    helix_json_position(json.start, json.pos - json.start, &line, &column);

    ngx_helix_file_wrong(file, 0, json.error);

    *ngx_slprintf(file->why, file->why + sizeof(file->why) - 1,
                  "%s at line %uD, column %uD", json.error, line, column)
        = '\0';
}


static void
ngx_helix_file_wrong(ngx_helix_file_t *file, ngx_err_t err, const char *why)
{
    file->read = 0;
    file->wrong = 1;
    file->err = err;

    (void) ngx_cpystrn(file->why, (u_char *) why, sizeof(file->why));
}


/* Once for a content, whichever worker looks. */

static void
ngx_helix_file_tell(ngx_helix_exec_t *exec, ngx_helix_file_t *file)
{
    u_char      *p, *last;
    uint64_t     hash;
    ngx_uint_t   i;

    if (file->read && file->violations.n == 0) {
        ngx_helix_control_refused(exec->zone, 0);
        return;
    }

    if (file->read) {
        p = file->why;
        last = file->why + sizeof(file->why) - 1;

        for (i = 0; i < file->violations.n; i++) {
            p = ngx_slprintf(p, last, "%s%s", i ? "; " : "",
                             file->violations.list[i].text);
        }

        *p = '\0';

    } else if (!file->wrong) {
        return;
    }

    hash = ngx_crc32_long(file->text, file->len) ^ (uint64_t) file->err << 16;
    hash = (hash << 24 ^ ngx_crc32_long(file->why, ngx_strlen(file->why))
            ^ (uint64_t) file->len << 40) | 1;

    if (!ngx_helix_control_refused(exec->zone, hash)) {
        return;
    }

    ngx_log_error(NGX_LOG_ERR, exec->log, file->err,
                  "helix: settings file \"%V\" is refused: %s",
                  &exec->conf->file, file->why);
}
