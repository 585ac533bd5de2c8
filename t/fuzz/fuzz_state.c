
/*
 * The state file: any bytes, and any text below a first line that is right for
 * it.  What is accepted has books that balance, and is the same after it was
 * written and read again; one bit that is another, and it is refused.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include "fuzz.h"
#include "ngx_helix_state.h"


/* nginx's table, which its library wants */

ngx_module_t             *ngx_modules[] = { NULL };
char                     *ngx_module_names[] = { NULL };

static ngx_helix_state_t  first, second;
static char               text[NGX_HELIX_STATE_MAX];
static char               again[NGX_HELIX_STATE_MAX];


static const char *
parse(ngx_helix_state_t *state, const char *data, size_t len)
{
    char        *block;
    const char  *error;

    memset(state, 0, sizeof(ngx_helix_state_t));

    block = fuzz_block(data, len);
    error = ngx_helix_state_parse(state, block, len);
    free(block);

    return error;
}


static void
balance(const ngx_helix_kind_counts_t *kind)
{
    uint64_t    ended;
    ngx_uint_t  l, e;

    for (l = 0; l < NGX_HELIX_LANES; l++) {
        ended = 0;

        for (e = 0; e < NGX_HELIX_ENDS; e++) {
            ended += kind->lanes[l].ended[e];
        }

        FUZZ_ASSERT(ended == kind->lanes[l].admitted);
        FUZZ_ASSERT(kind->lanes[l].late
                    <= kind->lanes[l].ended[NGX_HELIX_COMPLETED]);
    }
}


static void
check(const ngx_helix_state_t *state)
{
    uint64_t    n;
    ngx_uint_t  i, b;

    FUZZ_ASSERT(state->nkinds <= NGX_HELIX_KINDS);
    FUZZ_ASSERT(state->nsettings <= NGX_HELIX_STATE_SETTINGS);

    for (i = 0; i <= NGX_HELIX_NO_KIND; i++) {
        balance(&state->base.counts.kinds[i]);
    }

    for (i = 0; i < state->nkinds; i++) {
        FUZZ_ASSERT(state->kinds[i].name[0]);
        FUZZ_ASSERT(memchr(state->kinds[i].name, '\0', NGX_HELIX_KIND_NAME));

        for (n = 0, b = 0; b < HELIX_HIST_BUCKETS; b++) {
            n += state->base.exec[i].buckets[b];
        }

        FUZZ_ASSERT(n == state->base.exec[i].count);
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t  line, len;

    if (size + NGX_HELIX_STATE_LINE > sizeof(text)) {
        return 0;
    }

    if (parse(&first, (const char *) data, size) == NULL) {
        check(&first);
    }

    line = ngx_helix_state_line(text, (const char *) data, size);
    memcpy(text + line, data, size);

    if (parse(&first, text, line + size) != NULL) {
        return 0;
    }

    check(&first);

    text[size * 31 % (line + size)] ^= (char) (1 << size % 8);
    FUZZ_ASSERT(parse(&second, text, line + size) != NULL);
    FUZZ_ASSERT(parse(&second, text, line + size - 1) != NULL);

    len = ngx_helix_state_print(&first, text, sizeof(text));
    FUZZ_ASSERT(len > line);
    FUZZ_ASSERT(parse(&second, text, len) == NULL);
    FUZZ_ASSERT(ngx_helix_state_print(&second, again, sizeof(again)) == len);
    FUZZ_ASSERT(memcmp(text, again, len) == 0);

    return 0;
}
