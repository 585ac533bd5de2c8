
/*
 * thumbnail_images DIR: the images of t/33-thumbnail.t.  All but one are red
 * on the left and blue on the right, a little darker towards the bottom.
 */

#include <stdio.h>
#include <unistd.h>

#include <vips/vips.h>


static VipsImage *
image(int width, int height, int bands)
{
    int         x, y;
    VipsPel    *p;
    VipsImage  *result;

    result = vips_image_new_memory();
    vips_image_init_fields(result, width, height, bands, VIPS_FORMAT_UCHAR,
                           VIPS_CODING_NONE, VIPS_INTERPRETATION_sRGB,
                           1.0, 1.0);
    (void) vips_image_write_prepare(result);

    for (y = 0; y < height; y++) {
        p = VIPS_IMAGE_ADDR(result, 0, y);

        for (x = 0; x < width; x++, p += bands) {
            p[0] = (VipsPel) (x < width / 2 ? 220 - 30 * y / height : 10);
            p[1] = 10;
            p[2] = (VipsPel) (x < width / 2 ? 10 : 220 - 30 * y / height);

            if (bands == 4) {
                p[3] = 0;
            }
        }
    }

    return result;
}


int
main(int argc, char **argv)
{
    int         rc;
    VipsImage  *rgb, *large, *clear, *p3, *grey, *cmyk;

    if (argc != 2 || VIPS_INIT(argv[0]) != 0 || chdir(argv[1]) != 0) {
        return 2;
    }

    rgb = image(400, 300, 3);
    large = image(1600, 1200, 3);
    clear = image(64, 64, 4);

    rc = vips_jpegsave(rgb, "rgb.jpg", "Q", 90, NULL)
         || vips_jpegsave(large, "large.jpg", NULL)
         || vips_jpegsave(large, "progressive.jpg", "interlace", TRUE, NULL)
         || vips_pngsave(rgb, "rgb.png", NULL)
         || vips_pngsave(rgb, "interlaced.png", "interlace", TRUE, NULL)
         || vips_pngsave(clear, "clear.png", NULL)
         || vips_webpsave(large, "lossy.webp", NULL)
         || vips_webpsave(rgb, "lossless.webp", "lossless", TRUE, NULL)
         || vips_webpsave(clear, "clear.webp", NULL)
         || vips_tiffsave(rgb, "rgb.tiff", NULL)
         || vips_gifsave(rgb, "rgb.gif", NULL)

         || vips_icc_transform(rgb, &p3, "p3", "input_profile", "srgb",
                               NULL)
         || vips_jpegsave(p3, "p3.jpg", "Q", 95, NULL)
         || vips_icc_transform(rgb, &cmyk, "cmyk", "input_profile", "srgb",
                               NULL)
         || vips_jpegsave(cmyk, "cmyk.jpg", "Q", 95, NULL)
         || vips_colourspace(rgb, &grey, VIPS_INTERPRETATION_GREY16, NULL)
         || vips_pngsave(grey, "grey16.png", NULL);

    if (rc) {
        fprintf(stderr, "%s", vips_error_buffer());
    }

    return rc;
}
