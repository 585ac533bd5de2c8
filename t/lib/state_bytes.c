
/*
 * t/64-state-bytes.t: a state file, of which every byte is another, and which
 * ends at every byte.  It is refused; with a first line that is right for it
 * it is refused too, or is the same after it was printed and read again.  And
 * what cannot be read is not printed.
 *
 *     state_bytes
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include <math.h>
#include <stdio.h>

#include "ngx_helix_state.h"


#define SIZE  65536


/* What the files have of nginx. */

uint32_t    ngx_crc32_table256[256];
ngx_uint_t  ngx_pagesize;

static char               text[SIZE], other[SIZE], again[SIZE], more[SIZE];
static ngx_helix_state_t  state, first, second;
static int                wrong;


u_char *
ngx_snprintf(u_char *buf, size_t max, const char *fmt, ...)
{
    int          version;
    size_t       len;
    va_list      args;
    uint32_t     crc;

    va_start(args, fmt);
    version = va_arg(args, int);
    len = va_arg(args, size_t);
    crc = va_arg(args, uint32_t);
    va_end(args);

    return buf + snprintf((char *) buf, max,
                          NGX_HELIX_STATE_MAGIC "%d %zu %08x\n", version, len,
                          crc);
}


static void
table(void)
{
    uint32_t  i, k, c;

    for (i = 0; i < 256; i++) {
        for (c = i, k = 0; k < 8; k++) {
            c = (c & 1) ? c >> 1 ^ 0xedb88320 : c >> 1;
        }

        ngx_crc32_table256[i] = c;
    }
}


static void
expect(int ok, const char *what, size_t at)
{
    if (!ok) {
        printf("%s at byte %zu\n", what, at);
        wrong++;
    }
}


static const char *
parse(ngx_helix_state_t *to, const char *from, size_t len)
{
    memset(to, 0, sizeof(ngx_helix_state_t));

    return ngx_helix_state_parse(to, from, len);
}


static size_t
make(void)
{
    size_t                    i, k;
    ngx_helix_lane_counts_t  *lane;

    state.saved = 1795160560087;
    state.base.since = 1795160500000;
    state.base.counts.dropped[1] = 12;
    state.base.counts.invalid[1] = 3;
    state.nkinds = 3;

    for (k = 0; k < state.nkinds; k++) {
        snprintf(state.kinds[k].name, NGX_HELIX_KIND_NAME, "kind%zu", k);
        state.kinds[k].samples = (helix_samples_t) {
            0, 120.5, 1300.25, 1100.125, 14000.5, 12000.75, 0.02, 1.28
        };
        state.kinds[k].batches = (helix_batches_t) { 40.5, 12.25 };

        for (i = 0; i < NGX_HELIX_LANES; i++) {
            lane = &state.base.counts.kinds[k].lanes[i];
            lane->admitted = 107 + i;
            lane->ended[NGX_HELIX_COMPLETED] = 100;
            lane->ended[NGX_HELIX_LOST] = 7 + i;
            lane->late = 4;
        }

        for (i = 0; i < 20; i++) {
            helix_hist_put(&state.base.exec[k], 900 + 3 * i, i + 1, 1000 * i);
        }
    }

    state.nsettings = 1;
    strcpy(state.settings[0].name, "batch_max_size");
    strcpy(state.settings[0].by, "127.0.0.1");
    state.settings[0].value = 16;
    state.settings[0].base = 8;

    return ngx_helix_state_print(&state, text, SIZE);
}


static void
resealed(const char *bytes, size_t len, size_t at)
{
    size_t  line, n;

    line = ngx_helix_state_line(other, bytes, len);
    memcpy(other + line, bytes, len);

    if (parse(&first, other, line + len) != NULL) {
        return;
    }

    n = ngx_helix_state_print(&first, again, SIZE);

    expect(n && parse(&second, again, n) == NULL, "not read again", at);
    expect(ngx_helix_state_print(&second, more, SIZE) == n
           && memcmp(again, more, n) == 0, "not the same", at);
}


static void
bytes(size_t len)
{
    char    byte;
    size_t  i, b, line;

    line = (size_t) (strchr(text, '\n') - text) + 1;

    expect(parse(&first, text, len) == NULL, "refused as it is", 0);

    for (i = 0; i < len; i++) {
        byte = text[i];

        for (b = 0; b < 8; b++) {
            text[i] = (char) (byte ^ 1 << b);

            expect(parse(&first, text, len) != NULL, "flipped, taken", i);

            if (i >= line && b == i % 8) {
                resealed(text + line, len - line, i);
            }
        }

        text[i] = byte;

        expect(parse(&first, text, i) != NULL, "short, taken", i);

        if (i >= line) {
            resealed(text + line, i - line, i);
        }
    }
}


static void
limits(void)
{
    size_t  len, k;
    double  values[] = { NAN, INFINITY, -INFINITY, 1e300 };

    for (k = 0; k < 4; k++) {
        (void) make();
        state.kinds[0].samples.y = values[k];
        state.kinds[1].samples.quantile = values[k];
        state.kinds[2].batches.added = values[k];

        len = ngx_helix_state_print(&state, again, SIZE);

        expect(parse(&first, again, len) == NULL, "a model refuses all", k);
        expect(first.kinds[0].samples.n == 0 && first.kinds[1].samples.n == 0
               && first.kinds[2].samples.n > 0, "a model that cannot be", k);
        expect(first.kinds[2].batches.along == 0
               && first.kinds[0].batches.along > 0, "a batching", k);
    }

    (void) make();
    state.kinds[0].batches.along = 50.0 * 1024 * NGX_HELIX_SLOTS;
    len = ngx_helix_state_print(&state, again, SIZE);

    expect(parse(&first, again, len) == NULL
           && first.kinds[0].batches.along == state.kinds[0].batches.along,
           "many workers, large batches", 0);
}


int
main(void)
{
    size_t  len;

    table();

    len = make();
    bytes(len);
    limits();

    printf("%zu bytes, %d wrong\n", len, wrong);

    return wrong != 0;
}
