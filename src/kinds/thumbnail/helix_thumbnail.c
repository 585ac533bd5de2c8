
/*
 * thumbnail: a smaller picture of an image, which is the body of the request
 * or a file below a folder.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helix_thumbnail.h"


/* nanoseconds */
#define HELIX_THUMB_WORK   1000000000ULL

#define HELIX_THUMB_CHUNK  1048576


static int helix_thumb_init(void *conf, char *error);
static void helix_thumb_start(void *data, void *state,
    const helix_args_t *args);
static int helix_thumb_step(void *state, const helix_control_t *ctl);
static int helix_thumb_step_file(helix_thumb_t *job,
    const helix_control_t *ctl);
static const char *helix_thumb_read(int fd, uint8_t *data, size_t len,
    const helix_control_t *ctl);
static int helix_thumb_step_data(helix_thumb_t *job, const uint8_t *data,
    size_t len, const helix_control_t *ctl);
static int helix_thumb_fail(helix_thumb_t *job, const char *subject,
    const char *sentence);
static void helix_thumb_finish(const void *state, helix_output_t *out);
static void helix_thumb_clear(void *state);


/* in the order of helix_thumb_param_t */

static const helix_param_t  helix_thumb_params[] = {
    { "width", HELIX_PARAM_U64, 1, HELIX_THUMB_SIDE, "pixels" },
    { "height", HELIX_PARAM_U64, 1, HELIX_THUMB_SIDE, "pixels" },
    { "fit", HELIX_PARAM_TEXT, 0, 7, "contain, cover or fill" },
    { "quality", HELIX_PARAM_U64, 1, 100, "of the encoder" },
    { "format", HELIX_PARAM_TEXT, 0, 4, "jpeg, png or webp" },
    { "file", HELIX_PARAM_TEXT, 0, HELIX_THUMB_NAME, "a file's name" },
    { NULL, HELIX_PARAM_U64, 0, 0, NULL }
};

static const char *const  helix_thumb_types[] = {
    "image/jpeg", "image/png", "image/webp"
};

static const char *const  helix_thumb_levels[] = { "fast", NULL };


static const helix_kind_t  helix_kind_thumbnail = {
    .size = sizeof(helix_kind_t),
    .abi = HELIX_KIND_ABI,
    .name = "thumbnail",
    .max_work = HELIX_THUMB_WORK,
    .flags = HELIX_BLOCKING,
    .params = helix_thumb_params,
    .levels = helix_thumb_levels,
    .accepts = "image/jpeg image/png image/webp",
    .configure = helix_thumb_configure,
    .destroy = helix_thumb_destroy,
    .init = helix_thumb_init,
    .plan = helix_thumb_plan,
    .start = helix_thumb_start,
    .step = helix_thumb_step,
    .finish = helix_thumb_finish,
    .clear = helix_thumb_clear
};


const helix_kind_t *
helix_kind_entry(const helix_host_t *host)
{
    return host->abi == HELIX_KIND_ABI ? &helix_kind_thumbnail : NULL;
}


static int
helix_thumb_init(void *conf, char *error)
{
    (void) conf;

    return helix_thumb_vips_init(error);
}


static void
helix_thumb_start(void *data, void *state, const helix_args_t *args)
{
    const char           *field;
    helix_thumb_t        *job;
    const helix_value_t  *file;

    job = state;

    job->conf = data;
    job->fast = args->level != 0;
    job->answer = NULL;
    job->answer_len = 0;
    job->error[0] = '\0';

    (void) helix_thumb_wishes(data, args, &job->wish, &field);

    if (args->body != NULL) {
        job->file = 0;
        job->len = args->body_len;
        memcpy(job->data, args->body, args->body_len);
        return;
    }

    file = &args->values[HELIX_THUMB_PARAM_FILE];

    job->file = 1;
    job->len = file->len;
    memcpy(job->data, file->text, file->len);
    job->data[file->len] = '\0';
}


static int
helix_thumb_step(void *state, const helix_control_t *ctl)
{
    helix_thumb_t  *job;

    job = state;

    if (job->file) {
        return helix_thumb_step_file(job, ctl);
    }

    return helix_thumb_step_data(job, job->data, job->len, ctl);
}


static int
helix_thumb_step_file(helix_thumb_t *job, const helix_control_t *ctl)
{
    int          fd, rc;
    uint8_t     *data;
    const char  *error;
    struct stat  st;

    fd = helix_thumb_open(job->conf->root, (char *) job->data,
                          O_RDONLY | O_NONBLOCK | O_NOCTTY);

    if (fd == -1) {
        (void) snprintf(job->error, sizeof(job->error),
                        "the file cannot be opened: %m");
        return HELIX_FAILED;
    }

    if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || st.st_size <= 0
        || (uint64_t) st.st_size > job->conf->max_bytes)
    {
        close(fd);
        return helix_thumb_fail(job, "the file", "has become another");
    }

    data = malloc((size_t) st.st_size);

    error = data ? helix_thumb_read(fd, data, (size_t) st.st_size, ctl)
                 : "is too large for the memory";
    close(fd);

    if (error == NULL) {
        rc = helix_thumb_step_data(job, data, (size_t) st.st_size, ctl);

    } else if (ctl->stop(ctl)) {
        rc = HELIX_AGAIN;

    } else {
        rc = helix_thumb_fail(job, "the file", error);
    }

    free(data);

    return rc;
}


static const char *
helix_thumb_read(int fd, uint8_t *data, size_t len,
    const helix_control_t *ctl)
{
    size_t   size;
    ssize_t  n;

    while (len != 0) {

        if (ctl->stop(ctl)) {
            return "stopped";
        }

        size = len < HELIX_THUMB_CHUNK ? len : HELIX_THUMB_CHUNK;
        n = read(fd, data, size);

        if (n == -1 && errno == EINTR) {
            continue;
        }

        if (n <= 0) {
            return n == 0 ? "has become shorter" : "cannot be read";
        }

        data += n;
        len -= (size_t) n;
    }

    return NULL;
}


static int
helix_thumb_step_data(helix_thumb_t *job, const uint8_t *data, size_t len,
    const helix_control_t *ctl)
{
    const char     *error;
    helix_image_t   image;

    error = helix_image_header(&image, data, len);

    if (error == NULL) {
        error = helix_thumb_limits(job->conf, &job->wish, &image);
    }

    if (error != NULL) {
        return helix_thumb_fail(job, "it", error);
    }

    return helix_thumb_vips_run(job, &image, data, len, ctl);
}


static int
helix_thumb_fail(helix_thumb_t *job, const char *subject,
    const char *sentence)
{
    (void) snprintf(job->error, sizeof(job->error), "%s %s", subject,
                    sentence);

    return HELIX_FAILED;
}


static void
helix_thumb_finish(const void *state, helix_output_t *out)
{
    const helix_thumb_t  *job;

    job = state;

    out->body(out, helix_thumb_types[job->wish.format], job->answer,
              job->answer_len);
}


/* A step cannot say what was wrong with an image: the log can. */

static void
helix_thumb_clear(void *state)
{
    helix_thumb_t  *job;

    job = state;

    if (job->error[0] != '\0') {
        job->conf->host->log(HELIX_LOG_INFO, helix_kind_thumbnail.name,
                             job->error);
    }

    helix_thumb_vips_free(job->answer);
}
