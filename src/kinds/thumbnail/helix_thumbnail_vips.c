
/*
 * What libvips does for a thumbnail.
 *
 * The image is pulled through the stages in strips by the calling thread, not
 * by threads of libvips: so the work is done where it is counted and can be
 * given up between two strips.  Two things are done by others: WebP images are
 * decoded, and answers encoded, by a thread of libvips while this one waits.
 */

#include <stdio.h>
#include <string.h>

#include <vips/vips.h>

#include "helix_thumbnail.h"


/* lines of the answer between two looks at stop() */
#define HELIX_THUMB_LINES   2

/* of WebP: time against size, 0..6 */
#define HELIX_THUMB_EFFORT  4


typedef struct {
    VipsImage              *image;
    const helix_control_t  *ctl;
} helix_thumb_watch_t;


static VipsImage *helix_thumb_load(const helix_image_t *image,
    const void *data, size_t len, double factor);
static VipsImage *helix_thumb_decode(const helix_thumb_t *job,
    const helix_image_t *image, const void *data, size_t len,
    int *orientation);
static VipsImage *helix_thumb_resize(const helix_thumb_t *job,
    VipsImage *source, const helix_image_t *upright, int swap);
static int helix_thumb_profile(VipsImage *source);
static VipsImage *helix_thumb_samples(VipsImage *image);
static VipsImage *helix_thumb_pull(VipsImage *image,
    const helix_control_t *ctl);
static VipsImage *helix_thumb_upright(VipsImage *image, int orientation);
static int helix_thumb_encode(helix_thumb_t *job, VipsImage *image,
    const helix_control_t *ctl);
static void helix_thumb_eval(VipsImage *image, VipsProgress *progress,
    gpointer data);
static int helix_thumb_save(helix_thumb_t *job, VipsImage *image);
static int helix_thumb_jpeg(helix_thumb_t *job, VipsImage *image);
static void helix_thumb_reason(helix_thumb_t *job);
static void helix_thumb_quiet(const gchar *domain, GLogLevelFlags level,
    const gchar *message, gpointer data);


int
helix_thumb_vips_init(char *error)
{
    if (VIPS_INIT("helix") != 0) {
        (void) snprintf(error, HELIX_KIND_ERROR_MAX,
                        "libvips cannot be initialized: %.96s",
                        vips_error_buffer());
        return HELIX_FAILED;
    }

    /* libvips reads some thirty formats: clients are offered three of them */

    vips_block_untrusted_set(TRUE);
    vips_operation_block_set("VipsForeignLoad", TRUE);
    vips_operation_block_set("VipsForeignLoadJpeg", FALSE);
    vips_operation_block_set("VipsForeignLoadPng", FALSE);
    vips_operation_block_set("VipsForeignLoadWebp", FALSE);

    vips_concurrency_set(1);
    vips_cache_set_max(0);
    vips_leak_set(FALSE);

    /* or what a client sends would fill the log with warnings */

    (void) g_log_set_handler("VIPS", G_LOG_LEVEL_MASK, helix_thumb_quiet,
                             NULL);

    return HELIX_DONE;
}


int
helix_thumb_vips_run(helix_thumb_t *job, const helix_image_t *image,
    const void *data, size_t len, const helix_control_t *ctl)
{
    int             rc, orientation;
    VipsImage      *source, *small;
    helix_image_t   upright;

    rc = -1;
    orientation = 1;
    small = NULL;
    upright = *image;

    source = helix_thumb_decode(job, image, data, len, &orientation);

    if (source != NULL) {

        if (orientation >= 5) {
            upright.width = image->height;
            upright.height = image->width;
        }

        small = helix_thumb_resize(job, source, &upright, orientation >= 5);
        g_object_unref(source);
    }

    if (small != NULL) {
        small = helix_thumb_pull(small, ctl);
    }

    if (small != NULL) {
        small = helix_thumb_upright(small, orientation);
    }

    if (small != NULL) {
        rc = helix_thumb_encode(job, small, ctl);
        g_object_unref(small);
    }

    if (rc == 0) {
        return HELIX_DONE;
    }

    if (ctl->stop(ctl)) {
        vips_error_clear();
        return HELIX_AGAIN;
    }

    helix_thumb_reason(job);

    return HELIX_FAILED;
}


void
helix_thumb_vips_free(void *answer)
{
    g_free(answer);
}


/* The header first: it must say to libvips what it has said to us. */

static VipsImage *
helix_thumb_decode(const helix_thumb_t *job, const helix_image_t *image,
    const void *data, size_t len, int *orientation)
{
    double      factor;
    uint32_t    width, height;
    VipsImage  *source;

    source = helix_thumb_load(image, data, len, 1.0);

    if (source == NULL) {
        return NULL;
    }

    if ((uint32_t) vips_image_get_width(source) != image->width
        || (uint32_t) vips_image_get_height(source) != image->height)
    {
        vips_error("helix", "two headers that differ");
        g_object_unref(source);
        return NULL;
    }

    *orientation = vips_image_get_orientation(source);
    width = *orientation >= 5 ? image->height : image->width;
    height = *orientation >= 5 ? image->width : image->height;

    factor = helix_thumb_factor(&job->wish, width, height);

    if (image->type == HELIX_IMAGE_JPEG) {
        factor = helix_thumb_shrink(factor, job->fast);
    }

    if (image->type == HELIX_IMAGE_PNG || factor <= 1.0) {
        return source;
    }

    g_object_unref(source);

    return helix_thumb_load(image, data, len, factor);
}


/* Decodes nothing yet. */

static VipsImage *
helix_thumb_load(const helix_image_t *image, const void *data, size_t len,
    double factor)
{
    int         rc;
    VipsImage  *source;

    source = NULL;

    switch (image->type) {

    case HELIX_IMAGE_JPEG:
        rc = vips_jpegload_buffer((void *) data, len, &source,
                                  "access", VIPS_ACCESS_SEQUENTIAL,
                                  "fail_on", VIPS_FAIL_ON_TRUNCATED,
                                  "shrink", (int) factor, NULL);
        break;

    case HELIX_IMAGE_PNG:
        rc = vips_pngload_buffer((void *) data, len, &source,
                                 "access", VIPS_ACCESS_SEQUENTIAL,
                                 "fail_on", VIPS_FAIL_ON_TRUNCATED, NULL);
        break;

    default: /* HELIX_IMAGE_WEBP */
        rc = vips_webpload_buffer((void *) data, len, &source,
                                  "access", VIPS_ACCESS_SEQUENTIAL,
                                  "fail_on", VIPS_FAIL_ON_TRUNCATED,
                                  "scale", 1.0 / factor, NULL);
    }

    return rc == 0 ? source : NULL;
}


/*
 * A pipeline, not yet run.  The image is turned upright afterwards, when it is
 * small: until then width and height are exchanged.
 */

static VipsImage *
helix_thumb_resize(const helix_thumb_t *job, VipsImage *source,
    const helix_image_t *upright, int swap)
{
    int               width, height;
    double            x, y;
    VipsSize          size;
    VipsImage        *small;
    VipsInteresting   crop;

    helix_thumb_size(&job->wish, upright, &x, &y);

    width = (int) x;
    height = (int) y;
    size = VIPS_SIZE_FORCE;
    crop = VIPS_INTERESTING_NONE;

    if (job->wish.fit == HELIX_THUMB_COVER) {
        size = VIPS_SIZE_BOTH;
        crop = VIPS_INTERESTING_CENTRE;
    }

    if (vips_thumbnail_image(source, &small, swap ? height : width,
                             "height", swap ? width : height,
                             "size", size, "crop", crop,
                             "no_rotate", TRUE,
                             helix_thumb_profile(source) ? "export_profile"
                                                         : NULL,
                             "srgb", NULL)
        != 0)
    {
        return NULL;
    }

    return helix_thumb_samples(small);
}


/*
 * Whether the image has colours of its own.  To set up a transformation takes
 * some milliseconds, and most profiles are that of sRGB.
 */

static int
helix_thumb_profile(VipsImage *source)
{
    size_t       len;
    const void  *profile;

    if (vips_image_get_typeof(source, VIPS_META_ICC_NAME) == 0
        || vips_image_get_blob(source, VIPS_META_ICC_NAME, &profile, &len)
           != 0)
    {
        return 0;
    }

    return memmem(profile, len, "sRGB", 4) == NULL
           && memmem(profile, len, "s\0R\0G\0B", 7) == NULL;
}


/* Bytes, grey or of three colours, as encoders want them. */

static VipsImage *
helix_thumb_samples(VipsImage *image)
{
    VipsImage  *bytes;

    if (image->BandFmt == VIPS_FORMAT_UCHAR
        && (image->Type == VIPS_INTERPRETATION_sRGB
            || image->Type == VIPS_INTERPRETATION_B_W))
    {
        return image;
    }

    if (vips_colourspace(image, &bytes, VIPS_INTERPRETATION_sRGB, NULL)
        != 0)
    {
        bytes = NULL;
    }

    g_object_unref(image);

    return bytes;
}


/* Runs the pipeline into memory; it takes the image. */

static VipsImage *
helix_thumb_pull(VipsImage *image, const helix_control_t *ctl)
{
    int          y, i;
    char        *pixels;
    size_t       line, size;
    VipsRect     strip;
    VipsImage   *result;
    VipsRegion  *region;

    result = NULL;
    line = (size_t) image->Xsize * (size_t) image->Bands;
    size = line * (size_t) image->Ysize;

    if (image->BandFmt != VIPS_FORMAT_UCHAR || image->Bands > 4) {
        vips_error("helix", "samples of another type");
        g_object_unref(image);
        return NULL;
    }

    region = vips_region_new(image);
    pixels = g_try_malloc(size);

    if (region == NULL || pixels == NULL) {
        vips_error("helix", "no memory");
        goto done;
    }

    for (y = 0; y < image->Ysize; y += HELIX_THUMB_LINES) {

        strip.left = 0;
        strip.top = y;
        strip.width = image->Xsize;
        strip.height = VIPS_MIN(HELIX_THUMB_LINES, image->Ysize - y);

        if (ctl->stop(ctl) || vips_region_prepare(region, &strip) != 0) {
            goto done;
        }

        for (i = y; i < y + strip.height; i++) {
            memcpy(pixels + (size_t) i * line,
                   region->data + (ptrdiff_t) (i - y) * region->bpl, line);
        }
    }

    result = vips_image_new_from_memory_copy(pixels, size, image->Xsize,
                                             image->Ysize, image->Bands,
                                             image->BandFmt);
    if (result != NULL) {
        result->Type = image->Type;
    }

done:

    g_free(pixels);
    g_clear_object(&region);
    g_object_unref(image);

    return result;
}


static VipsImage *
helix_thumb_upright(VipsImage *image, int orientation)
{
    VipsImage  *result;

    if (orientation == 1) {
        return image;
    }

    result = NULL;
    vips_image_set_int(image, VIPS_META_ORIENTATION, orientation);

    if (vips_autorot(image, &result, NULL) != 0) {
        result = NULL;
    }

    g_object_unref(image);

    return result;
}


static int
helix_thumb_encode(helix_thumb_t *job, VipsImage *image,
    const helix_control_t *ctl)
{
    int                  rc;
    helix_thumb_watch_t  watch;

    watch.image = image;
    watch.ctl = ctl;

    vips_image_set_progress(image, TRUE);
    (void) g_signal_connect(image, "eval", G_CALLBACK(helix_thumb_eval),
                            &watch);

    if (job->wish.format == HELIX_IMAGE_JPEG) {
        rc = helix_thumb_jpeg(job, image);

    } else {
        rc = helix_thumb_save(job, image);
    }

    (void) g_signal_handlers_disconnect_by_data(image, &watch);

    return rc;
}


static void
helix_thumb_eval(VipsImage *image, VipsProgress *progress, gpointer data)
{
    helix_thumb_watch_t  *watch;

    (void) image;
    (void) progress;

    watch = data;

    if (watch->ctl->stop(watch->ctl)) {
        vips_image_set_kill(watch->image, TRUE);
    }
}


/* What is transparent becomes white. */

static int
helix_thumb_jpeg(helix_thumb_t *job, VipsImage *image)
{
    int               rc;
    VipsImage        *flat;
    VipsArrayDouble  *white;

    if (!vips_image_hasalpha(image)) {
        return helix_thumb_save(job, image);
    }

    white = vips_array_double_newv(1, 255.0);
    rc = vips_flatten(image, &flat, "background", white, NULL);
    vips_area_unref(VIPS_AREA(white));

    if (rc == 0) {
        rc = helix_thumb_save(job, flat);
        g_object_unref(flat);
    }

    return rc;
}


static int
helix_thumb_save(helix_thumb_t *job, VipsImage *image)
{
    int  quality;

    quality = (int) job->wish.quality;

    switch (job->wish.format) {

    case HELIX_IMAGE_JPEG:
        return vips_jpegsave_buffer(image, &job->answer, &job->answer_len,
                                    "Q", quality, "strip", TRUE,
                                    "optimize_coding", TRUE, NULL);

    case HELIX_IMAGE_PNG:
        return vips_pngsave_buffer(image, &job->answer, &job->answer_len,
                                   "strip", TRUE, NULL);

    default: /* HELIX_IMAGE_WEBP */
        return vips_webpsave_buffer(image, &job->answer, &job->answer_len,
                                    "Q", quality, "strip", TRUE, "effort",
                                    job->fast ? 0 : HELIX_THUMB_EFFORT,
                                    NULL);
    }
}


/*
 * The first line of what libvips says, which may be that of another thread:
 * it has one buffer for all.  Printable, because images have a part in it.
 */

static void
helix_thumb_reason(helix_thumb_t *job)
{
    char    *text, *p;

    text = vips_error_buffer_copy();

    for (p = text; *p != '\0' && *p != '\n'; p++) {
        if (*p < 0x20 || *p > 0x7e) {
            *p = '?';
        }
    }

    (void) snprintf(job->error, sizeof(job->error),
                    "the image cannot be decoded%s%.*s",
                    p == text ? "" : ": ", (int) (p - text), text);
    g_free(text);
}


static void
helix_thumb_quiet(const gchar *domain, GLogLevelFlags level,
    const gchar *message, gpointer data)
{
    (void) domain;
    (void) level;
    (void) message;
    (void) data;
}
