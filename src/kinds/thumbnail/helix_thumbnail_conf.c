
/* The pairs of helix_kernel, and the folder that files are in. */

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "helix_json.h"
#include "helix_thumbnail.h"


#define HELIX_THUMB_PIXELS      50000000ULL
#define HELIX_THUMB_PIXELS_MAX  1000000000ULL
#define HELIX_THUMB_BYTES       33554432ULL
#define HELIX_THUMB_BYTES_MAX   1073741824ULL
#define HELIX_THUMB_QUALITY     80


static int helix_thumb_pair(helix_thumb_conf_t *conf, const helix_pair_t *pair,
    char *error);
static int helix_thumb_number(const helix_pair_t *pair, uint64_t min,
    uint64_t max, uint64_t *number, char *error);
static int helix_thumb_root(helix_thumb_conf_t *conf, const char *name,
    char *error);


const char *const  helix_thumb_fits[] = {
    "contain", "cover", "fill", NULL
};

const char *const  helix_thumb_formats[] = {
    "jpeg", "png", "webp", NULL
};


void *
helix_thumb_configure(const helix_host_t *host, const helix_pair_t *pairs,
    uint32_t npairs, char *error)
{
    uint32_t             i;
    helix_thumb_conf_t  *conf;

    conf = calloc(1, sizeof(helix_thumb_conf_t));

    if (conf == NULL) {
        (void) snprintf(error, HELIX_KIND_ERROR_MAX, "no memory");
        return NULL;
    }

    conf->host = host;
    conf->max_pixels = HELIX_THUMB_PIXELS;
    conf->max_bytes = HELIX_THUMB_BYTES;
    conf->quality = HELIX_THUMB_QUALITY;
    conf->format = HELIX_IMAGE_JPEG;
    conf->root = -1;

    for (i = 0; i < npairs; i++) {
        if (helix_thumb_pair(conf, &pairs[i], error) != HELIX_DONE) {
            helix_thumb_destroy(conf);
            return NULL;
        }
    }

    return conf;
}


static int
helix_thumb_pair(helix_thumb_conf_t *conf, const helix_pair_t *pair,
    char *error)
{
    int            format;
    uint64_t       number;
    helix_value_t  value;

    if (strcmp(pair->name, "root") == 0) {
        return helix_thumb_root(conf, pair->value, error);
    }

    if (strcmp(pair->name, "max_pixels") == 0) {
        return helix_thumb_number(pair, 1, HELIX_THUMB_PIXELS_MAX,
                                  &conf->max_pixels, error);
    }

    if (strcmp(pair->name, "max_bytes") == 0) {
        return helix_thumb_number(pair, 1, HELIX_THUMB_BYTES_MAX,
                                  &conf->max_bytes, error);
    }

    if (strcmp(pair->name, "quality") == 0) {
        number = 0;

        if (helix_thumb_number(pair, 1, 100, &number, error) != HELIX_DONE) {
            return HELIX_FAILED;
        }

        conf->quality = (uint32_t) number;

        return HELIX_DONE;
    }

    if (strcmp(pair->name, "format") == 0) {
        value.text = pair->value;
        value.len = (uint32_t) strlen(pair->value);
        format = helix_thumb_word(&value, helix_thumb_formats);

        if (format == -1) {
            (void) snprintf(error, HELIX_KIND_ERROR_MAX,
                            "\"format\" is jpeg, png or webp");
            return HELIX_FAILED;
        }

        conf->format = (helix_image_type_t) format;

        return HELIX_DONE;
    }

    (void) snprintf(error, HELIX_KIND_ERROR_MAX,
                    "there is no \"%.64s\", only root, max_pixels, "
                    "max_bytes, quality and format", pair->name);

    return HELIX_FAILED;
}


static int
helix_thumb_number(const helix_pair_t *pair, uint64_t min, uint64_t max,
    uint64_t *number, char *error)
{
    if (helix_number_u64(pair->value, strlen(pair->value), number)
            == HELIX_NUMBER_OK
        && *number >= min && *number <= max)
    {
        return HELIX_DONE;
    }

    (void) snprintf(error, HELIX_KIND_ERROR_MAX,
                    "\"%s\" is a number from %llu to %llu", pair->name,
                    (unsigned long long) min, (unsigned long long) max);

    return HELIX_FAILED;
}


static int
helix_thumb_root(helix_thumb_conf_t *conf, const char *name, char *error)
{
    int  fd;

    if (conf->root != -1) {
        (void) snprintf(error, HELIX_KIND_ERROR_MAX, "two times \"root\"");
        return HELIX_FAILED;
    }

    conf->root = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (conf->root == -1) {
        (void) snprintf(error, HELIX_KIND_ERROR_MAX,
                        "the folder \"%.64s\" cannot be opened: %m", name);
        return HELIX_FAILED;
    }

    /* nothing else keeps links from leading out of it */

    fd = helix_thumb_open(conf->root, ".", O_PATH);

    if (fd == -1) {
        (void) snprintf(error, HELIX_KIND_ERROR_MAX,
                        "\"root\" needs openat2(), of Linux 5.6: %m");
        return HELIX_FAILED;
    }

    close(fd);

    return HELIX_DONE;
}


void
helix_thumb_destroy(void *data)
{
    helix_thumb_conf_t  *conf;

    conf = data;

    if (conf->root != -1) {
        close(conf->root);
    }

    free(conf);
}


int
helix_thumb_open(int root, const char *name, int flags)
{
    struct open_how  how;

    memset(&how, 0, sizeof(how));
    how.flags = (unsigned) flags | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;

    return (int) syscall(SYS_openat2, root, name, &how, sizeof(how));
}


int
helix_thumb_word(const helix_value_t *value, const char *const *words)
{
    int  i;

    for (i = 0; words[i] != NULL; i++) {
        if (strlen(words[i]) == value->len
            && memcmp(words[i], value->text, value->len) == 0)
        {
            return i;
        }
    }

    return -1;
}
