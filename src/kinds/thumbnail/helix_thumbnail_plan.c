
/*
 * What a thumbnail costs: known from the header of the image, which is read
 * here; of a file only from its size.  A unit of work is about a nanosecond.
 */

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helix_thumbnail.h"


/* pixels that a byte of a file is taken for */
#define HELIX_THUMB_DENSITY  4

/* of a resize: bytes, and lines of the decoded image */
#define HELIX_THUMB_STAGES   4194304.0
#define HELIX_THUMB_WINDOW   512

/* of "fast": what is lost is hard to see, see docs/kinds/thumbnail.md */
#define HELIX_THUMB_FAST     0.9


static int helix_thumb_plan_body(const helix_thumb_conf_t *conf,
    const helix_thumb_wish_t *wish, const helix_args_t *args,
    helix_plan_t *plan);
static int helix_thumb_plan_file(const helix_thumb_conf_t *conf,
    const helix_thumb_wish_t *wish, const helix_args_t *args,
    helix_plan_t *plan);
static const char *helix_thumb_name(const helix_value_t *value);
static uint64_t helix_thumb_work(const helix_thumb_wish_t *wish,
    const helix_image_t *image, size_t len, uint32_t fast);
static size_t helix_thumb_extra(const helix_thumb_wish_t *wish,
    const helix_image_t *image);
static int helix_thumb_refuse(helix_plan_t *plan, const char *field,
    const char *subject, const char *sentence);


int
helix_thumb_plan(void *data, const helix_args_t *args, helix_plan_t *plan)
{
    const char                *field, *error;
    helix_thumb_wish_t         wish;
    const helix_thumb_conf_t  *conf;

    conf = data;
    error = helix_thumb_wishes(conf, args, &wish, &field);

    if (error != NULL) {
        return helix_thumb_refuse(plan, field, field, error);
    }

    if (args->body != NULL) {
        return helix_thumb_plan_body(conf, &wish, args, plan);
    }

    return helix_thumb_plan_file(conf, &wish, args, plan);
}


static int
helix_thumb_plan_body(const helix_thumb_conf_t *conf,
    const helix_thumb_wish_t *wish, const helix_args_t *args,
    helix_plan_t *plan)
{
    const char     *error;
    helix_image_t   image;

    if (args->body_len > conf->max_bytes) {
        return helix_thumb_refuse(plan, NULL, "the body", "is too long");
    }

    error = helix_image_header(&image, args->body, args->body_len);

    if (error == NULL) {
        error = helix_thumb_limits(conf, wish, &image);
    }

    if (error != NULL) {
        return helix_thumb_refuse(plan, NULL, "the body", error);
    }

    plan->flags = HELIX_PURE;
    plan->work = helix_thumb_work(wish, &image, args->body_len, 0);
    plan->memory = sizeof(helix_thumb_t) + args->body_len;
    plan->extra = helix_thumb_extra(wish, &image);

    plan->levels[0].work = helix_thumb_work(wish, &image, args->body_len, 1);
    plan->levels[0].quality = HELIX_THUMB_FAST;
    plan->levels[0].name = 0;
    plan->nlevels = plan->levels[0].work < plan->work / 10 * 9;

    return HELIX_DONE;
}


/* The file is read on a thread: here only its size is known. */

static int
helix_thumb_plan_file(const helix_thumb_conf_t *conf,
    const helix_thumb_wish_t *wish, const helix_args_t *args,
    helix_plan_t *plan)
{
    int                   fd, rc;
    char                  name[HELIX_THUMB_NAME + 1];
    double                side;
    const char           *error;
    struct stat           st;
    helix_image_t         image;
    const helix_value_t  *value;

    value = &args->values[HELIX_THUMB_PARAM_FILE];
    memcpy(name, value->text, value->len);
    name[value->len] = '\0';

    fd = helix_thumb_open(conf->root, name, O_PATH);

    if (fd == -1) {
        return helix_thumb_refuse(plan, "file", "there is", "no such file");
    }

    rc = fstat(fd, &st);
    close(fd);

    if (rc == -1 || !S_ISREG(st.st_mode)) {
        return helix_thumb_refuse(plan, "file", "there is", "no such file");
    }

    if (st.st_size == 0 || (uint64_t) st.st_size > conf->max_bytes) {
        return helix_thumb_refuse(plan, "file", "the file",
                                  "is empty or too long");
    }

    /* a progressive square of no more pixels than are allowed */

    side = sqrt(fmin((double) st.st_size * HELIX_THUMB_DENSITY,
                     (double) conf->max_pixels));

    image.type = HELIX_IMAGE_JPEG;
    image.width = (uint32_t) fmax(1.0, side);
    image.height = image.width;
    image.depth = 3;
    image.progressive = 1;
    image.passes = 1;

    error = helix_thumb_limits(conf, wish, &image);

    if (error != NULL) {
        return helix_thumb_refuse(plan, NULL, "the file", error);
    }

    plan->work = helix_thumb_work(wish, &image, (size_t) st.st_size, 0);
    plan->memory = sizeof(helix_thumb_t) + value->len + 1;
    plan->extra = helix_thumb_extra(wish, &image) + (size_t) st.st_size;

    return HELIX_DONE;
}


/* NULL, or what is wrong with "field". */

const char *
helix_thumb_wishes(const helix_thumb_conf_t *conf, const helix_args_t *args,
    helix_thumb_wish_t *wish, const char **field)
{
    int                   word;
    const helix_value_t  *v;

    v = args->values;

    wish->width = (uint32_t) v[HELIX_THUMB_PARAM_WIDTH].u64;
    wish->height = (uint32_t) v[HELIX_THUMB_PARAM_HEIGHT].u64;
    wish->fit = HELIX_THUMB_CONTAIN;
    wish->format = conf->format;
    wish->quality = conf->quality;

    if (v[HELIX_THUMB_PARAM_QUALITY].given) {
        wish->quality = (uint32_t) v[HELIX_THUMB_PARAM_QUALITY].u64;
    }

    if (v[HELIX_THUMB_PARAM_FIT].given) {
        word = helix_thumb_word(&v[HELIX_THUMB_PARAM_FIT], helix_thumb_fits);

        if (word == -1) {
            *field = "fit";
            return "is contain, cover or fill";
        }

        wish->fit = (helix_thumb_fit_t) word;
    }

    if (v[HELIX_THUMB_PARAM_FORMAT].given) {
        word = helix_thumb_word(&v[HELIX_THUMB_PARAM_FORMAT],
                                helix_thumb_formats);
        if (word == -1) {
            *field = "format";
            return "is jpeg, png or webp";
        }

        wish->format = (helix_image_type_t) word;
    }

    if (wish->width == 0
        && (wish->height == 0 || wish->fit != HELIX_THUMB_CONTAIN))
    {
        *field = "width";
        return "is missing";
    }

    if (wish->height == 0 && wish->fit != HELIX_THUMB_CONTAIN) {
        *field = "height";
        return "is missing: cover and fill need both";
    }

    *field = "file";

    if (v[HELIX_THUMB_PARAM_FILE].given == 0) {
        return args->body ? NULL : conf->root == -1
               ? "cannot be named here: the image is the body"
               : "is missing, and so is a body";
    }

    if (conf->root == -1) {
        return "cannot be named here: the image is the body";
    }

    if (args->body != NULL) {
        return "cannot be named beside a body";
    }

    return helix_thumb_name(&v[HELIX_THUMB_PARAM_FILE]);
}


/* The kernel keeps it below the root; but ".." within it is no name either. */

static const char *
helix_thumb_name(const helix_value_t *value)
{
    uint32_t  i, start;

    if (value->len == 0 || value->text[0] == '/'
        || memchr(value->text, '\0', value->len) != NULL)
    {
        return "is no name of a file";
    }

    start = 0;

    for (i = 0; i <= value->len; i++) {

        if (i < value->len && value->text[i] != '/') {
            continue;
        }

        if (i - start == 2 && value->text[start] == '.'
            && value->text[start + 1] == '.')
        {
            return "is no name of a file";
        }

        start = i + 1;
    }

    return NULL;
}


const char *
helix_thumb_limits(const helix_thumb_conf_t *conf,
    const helix_thumb_wish_t *wish, const helix_image_t *image)
{
    double  width, height;

    if ((uint64_t) image->width * image->height > conf->max_pixels) {
        return "is an image of too many pixels";
    }

    helix_thumb_size(wish, image, &width, &height);

    if (width * height > (double) conf->max_pixels) {
        return "would become an image of too many pixels";
    }

    return NULL;
}


/*
 * Nanoseconds, as fitted to what was measured: entropy decoding goes by bytes
 * and by pixels, resizing by the pixels that are decoded, encoding by those of
 * the answer.
 */

static uint64_t
helix_thumb_work(const helix_thumb_wish_t *wish, const helix_image_t *image,
    size_t len, uint32_t fast)
{
    double  work, width, height, pixels, answer, factor;

    pixels = (double) image->width * (double) image->height;
    factor = helix_thumb_factor(wish, image->width, image->height);

    helix_thumb_size(wish, image, &width, &height);
    answer = width * height;

    work = 2500000.0 + 12.0 * answer;

    switch (image->type) {

    case HELIX_IMAGE_JPEG:
        factor = helix_thumb_shrink(factor, fast);
        work += pixels * (0.5 + 0.5 * image->passes + 8.0 / factor / factor)
                + 12.5 * (double) len;
        break;

    case HELIX_IMAGE_PNG:
        work += pixels * (image->progressive ? 11.0 : 6.0)
                + 9.0 * (double) len;
        break;

    default: /* HELIX_IMAGE_WEBP */
        work += pixels * 8.0 + 9.0 * (double) len;
    }

    if (wish->format == HELIX_IMAGE_PNG) {
        work += 100.0 * answer;

    } else if (wish->format == HELIX_IMAGE_WEBP) {
        work += (fast ? 25.0 : 100.0) * answer;
    }

    return (uint64_t) work;
}


/* Bytes: what is held whole, windows of a resize, the answer thrice. */

static size_t
helix_thumb_extra(const helix_thumb_wish_t *wish, const helix_image_t *image)
{
    double  bytes, width, height, pixels;

    pixels = (double) image->width * (double) image->height;
    helix_thumb_size(wish, image, &width, &height);

    bytes = HELIX_THUMB_STAGES
            + (double) image->width * image->depth * HELIX_THUMB_WINDOW
            + width * height * 4.0 * 3.0;

    if (image->type == HELIX_IMAGE_WEBP) {
        bytes += pixels * 4.0;

    } else if (image->type == HELIX_IMAGE_JPEG
               && (image->progressive || image->passes > 1))
    {
        /* coefficients */
        bytes += pixels * image->depth * 2.0;

    } else if (image->progressive) {
        bytes += pixels * image->depth;
    }

    return (size_t) bytes;
}


void
helix_thumb_size(const helix_thumb_wish_t *wish, const helix_image_t *image,
    double *width, double *height)
{
    double  factor;

    *width = wish->width;
    *height = wish->height;

    if (wish->fit == HELIX_THUMB_CONTAIN) {
        factor = helix_thumb_factor(wish, image->width, image->height);
        *width = fmax(1.0, round((double) image->width / factor));
        *height = fmax(1.0, round((double) image->height / factor));
    }
}


double
helix_thumb_factor(const helix_thumb_wish_t *wish, uint32_t width,
    uint32_t height)
{
    double  x, y;

    x = wish->width ? (double) width / wish->width : 0.0;
    y = wish->height ? (double) height / wish->height : 0.0;

    return fmax(1.0, wish->fit == HELIX_THUMB_CONTAIN ? fmax(x, y)
                                                      : fmin(x, y));
}


uint32_t
helix_thumb_shrink(double factor, uint32_t fast)
{
    uint32_t  shrink;

    shrink = 1;

    while (shrink < 8 && shrink * (fast ? 2 : 4) <= factor) {
        shrink *= 2;
    }

    return shrink;
}


static int
helix_thumb_refuse(helix_plan_t *plan, const char *field,
    const char *subject, const char *sentence)
{
    plan->field = field;
    (void) snprintf(plan->error, sizeof(plan->error), "%s %s", subject,
                    sentence);

    return HELIX_FAILED;
}
