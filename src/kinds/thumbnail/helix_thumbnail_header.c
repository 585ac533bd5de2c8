
/*
 * The headers of JPEG, PNG and WebP: as much as tells how large an image is
 * and what it takes to decode it, before any decoder sees it.
 *
 * ITU T.81 B.1 and B.2, PNG (ISO 15948) 11.2.2, RFC 9649 2.4 to 2.7, 3.4,
 * RFC 6386 9.1.
 */

#include <string.h>

#include "helix_thumbnail.h"


#define HELIX_IMAGE_SCANS  100      /* a progressive image has some ten */


typedef struct {
    const uint8_t  *pos;
    const uint8_t  *end;
} helix_image_reader_t;


static const char *helix_image_jpeg(helix_image_t *image,
    helix_image_reader_t *r);
static int helix_image_jpeg_is_frame(int marker);
static const char *helix_image_jpeg_frame(helix_image_t *image, int marker,
    const uint8_t *p, size_t len);
static int helix_image_jpeg_marker(helix_image_reader_t *r);
static int helix_image_jpeg_entropy(helix_image_reader_t *r);
static const char *helix_image_png(helix_image_t *image,
    const helix_image_reader_t *r);
static const char *helix_image_webp(helix_image_t *image,
    const helix_image_reader_t *r);
static size_t helix_image_left(const helix_image_reader_t *r);
static uint32_t helix_image_be(const uint8_t *p, size_t n);
static uint32_t helix_image_le(const uint8_t *p, size_t n);


static const char  helix_image_png_magic[] = "\x89PNG\r\n\x1a\n";


const char *
helix_image_header(helix_image_t *image, const uint8_t *data, size_t len)
{
    const char            *error;
    helix_image_reader_t   r;

    r.pos = data;
    r.end = data + len;

    image->passes = 1;
    image->progressive = 0;

    if (len >= 3 && memcmp(data, "\xff\xd8\xff", 3) == 0) {
        r.pos += 2;
        error = helix_image_jpeg(image, &r);

    } else if (len >= 8 && memcmp(data, helix_image_png_magic, 8) == 0) {
        error = helix_image_png(image, &r);

    } else if (len >= 12 && memcmp(data, "RIFF", 4) == 0
               && memcmp(data + 8, "WEBP", 4) == 0)
    {
        error = helix_image_webp(image, &r);

    } else {
        return "is no JPEG, PNG or WebP image";
    }

    if (error == NULL && (image->width == 0 || image->height == 0)) {
        return "is an image of no size";
    }

    return error;
}


/*
 * Up to the first scan, if it is the only one; else to the end, because each
 * scan is another pass over the whole image.
 */

static const char *
helix_image_jpeg(helix_image_t *image, helix_image_reader_t *r)
{
    int          marker;
    size_t       len;
    uint32_t     scans;
    const char  *error;

    image->type = HELIX_IMAGE_JPEG;
    image->depth = 0;
    scans = 0;

    for ( ;; ) {
        marker = helix_image_jpeg_marker(r);

        if (marker == -1 || marker == 0xd9 || helix_image_left(r) < 2) {
            break;
        }

        len = helix_image_be(r->pos, 2);

        if (len < 2 || len > helix_image_left(r)) {
            break;
        }

        if (helix_image_jpeg_is_frame(marker)) {
            error = helix_image_jpeg_frame(image, marker, r->pos, len);

            if (error != NULL) {
                return error;
            }
        }

        if (marker == 0xda) {

            if (len < 3 || image->depth == 0) {
                break;
            }

            if (++scans > HELIX_IMAGE_SCANS) {
                return "is a JPEG image of too many scans";
            }

            if (!image->progressive && r->pos[2] == image->depth) {
                break;
            }
        }

        r->pos += len;

        if (marker == 0xda && !helix_image_jpeg_entropy(r)) {
            break;
        }
    }

    if (scans == 0) {
        return "is a JPEG image without a scan";
    }

    image->passes = scans;

    return NULL;
}


/* SOF0 to SOF15, without DHT, JPG and DAC. */

static int
helix_image_jpeg_is_frame(int marker)
{
    return marker >= 0xc0 && marker <= 0xcf
           && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}


static const char *
helix_image_jpeg_frame(helix_image_t *image, int marker, const uint8_t *p,
    size_t len)
{
    if (len < 8 || image->depth != 0 || p[7] == 0 || p[7] > 4) {
        return "is a JPEG image with a wrong frame";
    }

    image->progressive = (marker & 3) == 2;
    image->height = helix_image_be(p + 3, 2);
    image->width = helix_image_be(p + 5, 2);
    image->depth = p[7];

    return NULL;
}


/* The next marker, past garbage and fill bytes; -1: there is none. */

static int
helix_image_jpeg_marker(helix_image_reader_t *r)
{
    /* libjpeg skips what is between segments */

    while (r->pos < r->end && *r->pos != 0xff) {
        r->pos++;
    }

    while (r->pos < r->end && *r->pos == 0xff) {
        r->pos++;
    }

    return r->pos < r->end ? *r->pos++ : -1;
}


/* To the marker that ends a scan: no stuffed zero, no restart. */

static int
helix_image_jpeg_entropy(helix_image_reader_t *r)
{
    uint8_t         c;
    const uint8_t  *p;

    for (p = r->pos; r->end - p >= 2; p++) {

        if (p[0] != 0xff) {
            continue;
        }

        c = p[1];

        if (c != 0 && c != 0xff && (c < 0xd0 || c > 0xd7)) {
            r->pos = p;
            return 1;
        }
    }

    return 0;
}


static const char *
helix_image_png(helix_image_t *image, const helix_image_reader_t *r)
{
    uint32_t       bits;
    const uint8_t  *p;
    static const uint8_t  channels[7] = { 1, 0, 3, 3, 2, 0, 4 };

    p = r->pos;

    if (helix_image_left(r) < 33 || helix_image_be(p + 8, 4) != 13
        || memcmp(p + 12, "IHDR", 4) != 0)
    {
        return "is a PNG image without a header";
    }

    bits = p[24];

    if (bits > 16 || p[25] > 6 || channels[p[25]] == 0) {
        return "is a PNG image with a wrong header";
    }

    image->type = HELIX_IMAGE_PNG;
    image->width = helix_image_be(p + 16, 4);
    image->height = helix_image_be(p + 20, 4);

    /* and an alpha channel, which the header does not tell of */
    image->depth = (channels[p[25]] + 1U) * (bits > 8 ? 2 : 1);

    image->progressive = p[28] != 0;

    return NULL;
}


static const char *
helix_image_webp(helix_image_t *image, const helix_image_reader_t *r)
{
    uint32_t        bits;
    const uint8_t  *p;

    image->type = HELIX_IMAGE_WEBP;
    image->depth = 4;

    p = r->pos + 12;

    if (helix_image_left(r) < 30) {
        return "is a WebP image without a header";
    }

    if (memcmp(p, "VP8X", 4) == 0) {
        image->width = helix_image_le(p + 12, 3) + 1;
        image->height = helix_image_le(p + 15, 3) + 1;
        return NULL;
    }

    if (memcmp(p, "VP8L", 4) == 0 && p[8] == 0x2f) {
        bits = helix_image_le(p + 9, 4);
        image->width = (bits & 0x3fff) + 1;
        image->height = ((bits >> 14) & 0x3fff) + 1;
        return NULL;
    }

    if (memcmp(p, "VP8 ", 4) == 0 && memcmp(p + 11, "\x9d\x01\x2a", 3) == 0) {
        image->width = helix_image_le(p + 14, 2) & 0x3fff;
        image->height = helix_image_le(p + 16, 2) & 0x3fff;
        return NULL;
    }

    return "is a WebP image without a header";
}


static size_t
helix_image_left(const helix_image_reader_t *r)
{
    return (size_t) (r->end - r->pos);
}


static uint32_t
helix_image_be(const uint8_t *p, size_t n)
{
    size_t    i;
    uint32_t  value;

    value = 0;

    for (i = 0; i < n; i++) {
        value = value << 8 | p[i];
    }

    return value;
}


static uint32_t
helix_image_le(const uint8_t *p, size_t n)
{
    uint32_t  value;

    value = 0;

    while (n-- != 0) {
        value = value << 8 | p[n];
    }

    return value;
}
