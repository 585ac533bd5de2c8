
/*
 * thumbnail: smaller pictures by libvips, a kind in a shared object of its
 * own.  What its files share.
 */

#ifndef HELIX_THUMBNAIL_H_INCLUDED
#define HELIX_THUMBNAIL_H_INCLUDED


#include "helix_kind.h"


#define HELIX_THUMB_SIDE  8192      /* pixels */
#define HELIX_THUMB_NAME  1024      /* bytes of a file's name */


typedef enum {
    HELIX_IMAGE_JPEG = 0,
    HELIX_IMAGE_PNG,
    HELIX_IMAGE_WEBP
} helix_image_type_t;


typedef enum {
    HELIX_THUMB_CONTAIN = 0,        /* in the box, never larger than it was */
    HELIX_THUMB_COVER,              /* as large as the box, what is too much
                                       is cut off at both sides */
    HELIX_THUMB_FILL                /* as large as the box, distorted */
} helix_thumb_fit_t;


typedef enum {
    HELIX_THUMB_PARAM_WIDTH = 0,
    HELIX_THUMB_PARAM_HEIGHT,
    HELIX_THUMB_PARAM_FIT,
    HELIX_THUMB_PARAM_QUALITY,
    HELIX_THUMB_PARAM_FORMAT,
    HELIX_THUMB_PARAM_FILE
} helix_thumb_param_t;


/* What the header of an image says; a claim. */

typedef struct {
    helix_image_type_t    type;
    uint32_t              width;
    uint32_t              height;
    uint32_t              depth;    /* bytes of a decoded pixel */
    uint32_t              progressive;  /* or interlaced */
    uint32_t              passes;   /* scans of a JPEG, else 1 */
} helix_image_t;


typedef struct {
    uint64_t              max_pixels;
    uint64_t              max_bytes;
    uint32_t              quality;
    helix_image_type_t    format;
    int                   root;     /* a descriptor, -1: no files */
    const helix_host_t   *host;
} helix_thumb_conf_t;


typedef struct {
    uint32_t              width;    /* 0: whatever the height leads to */
    uint32_t              height;
    uint32_t              quality;
    helix_thumb_fit_t     fit;
    helix_image_type_t    format;
} helix_thumb_wish_t;


typedef struct {
    const helix_thumb_conf_t  *conf;
    helix_thumb_wish_t         wish;
    uint32_t                   fast;
    uint32_t                   file;    /* data is the name of a file */
    void                      *answer;  /* g_free() */
    size_t                     answer_len;
    char                       error[HELIX_KIND_ERROR_MAX];
    size_t                     len;
    uint8_t                    data[];
} helix_thumb_t;


/* Words that are given, in the order of the enums, ended by NULL. */
extern const char *const  helix_thumb_fits[];
extern const char *const  helix_thumb_formats[];


/* [conf] As in helix_kind_t. */
void *helix_thumb_configure(const helix_host_t *host,
    const helix_pair_t *pairs, uint32_t npairs, char *error);
void helix_thumb_destroy(void *data);

/* The place of a word among words, -1: it is none of them. */
int helix_thumb_word(const helix_value_t *value, const char *const *words);

/* Opens a file below the root, "flags" are those of open().  -1: errno. */
int helix_thumb_open(int root, const char *name, int flags);

/* [loop] As in helix_kind_t. */
int helix_thumb_plan(void *data, const helix_args_t *args,
    helix_plan_t *plan);

/* [loop] NULL, or what is wrong with "field". */
const char *helix_thumb_wishes(const helix_thumb_conf_t *conf,
    const helix_args_t *args, helix_thumb_wish_t *wish, const char **field);

/*
 * The header of an image.  NULL, or a sentence.  Reads no more than "len"
 * bytes, in a time that is linear in them.  Any thread.
 */
const char *helix_image_header(helix_image_t *image, const uint8_t *data,
    size_t len);

/* Whether image and answer are within the limits; NULL, or a sentence. */
const char *helix_thumb_limits(const helix_thumb_conf_t *conf,
    const helix_thumb_wish_t *wish, const helix_image_t *image);

/* Of the answer, if the image is upright: in plan() that is not known. */
void helix_thumb_size(const helix_thumb_wish_t *wish,
    const helix_image_t *image, double *width, double *height);

/* How many times smaller the answer is, by the side that shrinks less. */
double helix_thumb_factor(const helix_thumb_wish_t *wish, uint32_t width,
    uint32_t height);

/*
 * The size at which a JPEG is decoded, as 1/1, 1/2, 1/4 or 1/8 of its own.
 * To resize what is at least twice as large gives the better picture.
 */
uint32_t helix_thumb_shrink(double factor, uint32_t fast);

/* [worker] HELIX_DONE, or HELIX_FAILED with a sentence. */
int helix_thumb_vips_init(char *error);

/* [thread] The whole work on data that may be freed afterwards; as step(). */
int helix_thumb_vips_run(helix_thumb_t *job, const helix_image_t *image,
    const void *data, size_t len, const helix_control_t *ctl);

/* Frees what helix_thumb_vips_run() has made; must not block. */
void helix_thumb_vips_free(void *answer);


#endif /* HELIX_THUMBNAIL_H_INCLUDED */
