
/*
 * The state file: read whole, replaced whole.  Any thread; these block, and
 * use nothing of nginx but its types.
 */

#ifndef NGX_HELIX_FILE_H_INCLUDED
#define NGX_HELIX_FILE_H_INCLUDED


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HELIX_FILE_PATH  3800        /* bytes of a path, with the zero */
#define NGX_HELIX_FILE_NAME  (NGX_HELIX_FILE_PATH + 32)


typedef struct {
    const char   *path;
    char         *text;               /* read: malloc'ed, the caller's */
    size_t        len;
    ngx_err_t     err;                /* when NGX_ERROR was returned */
    const char   *what;               /* system call, or what the file is */
} ngx_helix_file_t;


/*
 * Reads a regular file of at most "max" bytes that is no symbolic link.
 * NGX_OK; NGX_DECLINED if there is none; NGX_ERROR: err, or 0 and what it is.
 */
ngx_int_t ngx_helix_file_read(ngx_helix_file_t *file, size_t max);

/*
 * Writes the text to a new file beside it, mode 0600, and once that is on disk
 * gives it the name.  NGX_OK, or NGX_ERROR: then the file is what it was.
 */
ngx_int_t ngx_helix_file_write(ngx_helix_file_t *file);

/*
 * PATH becomes PATH.SUFFIX, or PATH.SUFFIX.1 to .9, whatever it is, and that is
 * in "name", of NGX_HELIX_FILE_NAME bytes.  NGX_ERROR when all are there.
 */
ngx_int_t ngx_helix_file_set_aside(ngx_helix_file_t *file, const char *suffix,
    char *name);

/* NGX_OK, NGX_DECLINED if there is nothing of this name, or NGX_ERROR. */
ngx_int_t ngx_helix_file_exists(ngx_helix_file_t *file);

/* Removes what processes left that died while they wrote.  NGX_ERROR if no
   file can be made there. */
ngx_int_t ngx_helix_file_clean(ngx_helix_file_t *file);


#endif /* NGX_HELIX_FILE_H_INCLUDED */
