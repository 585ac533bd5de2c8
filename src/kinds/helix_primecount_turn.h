
/*
 * The phases of the count that helix_primecount_dp.c explains.  Included once
 * for each instruction set; helix_pc_turn_isa is the name of what is made.
 *
 * n < 2^53 / 2: the quotient of two integers, computed as doubles and cut off,
 * is exact.  The true one is an integer or at least 1/d below the next, and
 * rounding adds at most n/d / 2^53.
 */


/* Where the tables are. */

typedef struct {
    helix_pc_word_t   *words;
    uint64_t          *larges;
    uint32_t          *roughs;
} helix_pc_tables_t;


static uint32_t helix_pc_fill(helix_pc_dp_t *dp, helix_pc_tables_t *t);
static uint32_t helix_pc_rank(helix_pc_dp_t *dp, helix_pc_tables_t *t);
static uint32_t helix_pc_next(helix_pc_dp_t *dp, helix_pc_tables_t *t);
static uint32_t helix_pc_near(helix_pc_dp_t *dp, helix_pc_tables_t *t);
static uint32_t helix_pc_far(helix_pc_dp_t *dp, helix_pc_tables_t *t);
static uint32_t helix_pc_cross(helix_pc_dp_t *dp, helix_pc_tables_t *t);
static uint32_t helix_pc_sum(helix_pc_dp_t *dp, helix_pc_tables_t *t);
static uint32_t helix_pc_left(helix_pc_dp_t *dp, helix_pc_tables_t *t);
static uint32_t helix_pc_pairs(helix_pc_dp_t *dp, helix_pc_tables_t *t);


/* Plain x86-64 has no instruction for it, and gcc would call a function. */

static inline uint32_t
helix_pc_ones(uint64_t word)
{
#if defined helix_pc_popcnt || !defined __x86_64__

    return (uint32_t) __builtin_popcountll(word);

#else

    word -= (word >> 1) & 0x5555555555555555ULL;
    word = (word & 0x3333333333333333ULL)
           + ((word >> 2) & 0x3333333333333333ULL);
    word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fULL;

    return (uint32_t) ((word * 0x0101010101010101ULL) >> 56);

#endif
}


/* S(x), 1 <= x <= root. */

static inline uint32_t
helix_pc_small(const helix_pc_word_t *words, uint32_t x)
{
    uint32_t                i;
    const helix_pc_word_t  *word;

    i = (x - 1) / 2;
    word = &words[i / 64];

    return (uint32_t) word->before + helix_pc_ones(word->bits << (~i & 63));
}


/* Both divisors and quotients have 31 bits: that is fit for vectors. */

static inline void
helix_pc_divide(uint32_t *quotients, uint64_t n, const uint32_t *divisors,
    uint32_t count)
{
    double    x;
    uint32_t  i;

    x = (double) n;

    for (i = 0; i < count; i++) {
        quotients[i] = (uint32_t) (int32_t)
                       (x / (double) (int32_t) divisors[i]);
    }
}


/* The inverse of p modulo 2^32: i is a multiple of p if
   i * inverse <= UINT32_MAX / p. */

static inline uint32_t
helix_pc_inverse(uint32_t p)
{
    uint32_t  i, inverse;

    inverse = p;                        /* 3 bits are right */

    for (i = 0; i < 4; i++) {
        inverse *= 2 - p * inverse;
    }

    return inverse;
}


static inline uint32_t
helix_pc_min(uint32_t a, uint32_t b)
{
    return (a < b) ? a : b;
}


uint32_t
helix_pc_turn_isa(helix_pc_dp_t *dp)
{
    helix_pc_tables_t  t;

    t.words = (helix_pc_word_t *) (dp + 1);
    t.larges = (uint64_t *) (t.words + dp->nwords);
    t.roughs = (uint32_t *) (t.larges + dp->size);

    switch (dp->phase) {

    case HELIX_PC_FILL:
        return helix_pc_fill(dp, &t);

    case HELIX_PC_RANK:
        return helix_pc_rank(dp, &t);

    case HELIX_PC_NEXT:
        return helix_pc_next(dp, &t);

    case HELIX_PC_NEAR:
        return helix_pc_near(dp, &t);

    case HELIX_PC_FAR:
        return helix_pc_far(dp, &t);

    case HELIX_PC_CROSS:
        return helix_pc_cross(dp, &t);

    case HELIX_PC_SUM:
        return helix_pc_sum(dp, &t);

    case HELIX_PC_LEFT:
        return helix_pc_left(dp, &t);

    case HELIX_PC_PAIRS:
        return helix_pc_pairs(dp, &t);

    default:
        return 0;
    }
}


static uint32_t
helix_pc_fill(helix_pc_dp_t *dp, helix_pc_tables_t *t)
{
    double    n;
    uint32_t  i, end;

    n = (double) dp->n;
    end = helix_pc_min(dp->from + HELIX_PC_BLOCK, dp->size);

    for (i = dp->from; i < end; i++) {
        t->roughs[i] = 2 * i + 1;
        t->larges[i] = (uint64_t) ((int64_t) (n / (2.0 * i + 1.0)) - 1) / 2;
    }

    for (i = dp->from / 64; i < (end + 63) / 64; i++) {
        t->words[i].bits = UINT64_MAX;
    }

    dp->from = end;

    if (end == dp->size) {
        t->words[0].bits--;             /* 1 */
        dp->from = 0;
        dp->phase = HELIX_PC_RANK;
    }

    return HELIX_PC_BLOCK;
}


static uint32_t
helix_pc_rank(helix_pc_dp_t *dp, helix_pc_tables_t *t)
{
    uint32_t  i, end;
    uint64_t  rank;

    end = helix_pc_min(dp->from + HELIX_PC_BLOCK, dp->nwords);
    rank = dp->rank;

    for (i = dp->from; i < end; i++) {
        t->words[i].before = rank;
        rank += helix_pc_ones(t->words[i].bits);
    }

    end -= dp->from;
    dp->rank = rank;
    dp->from += end;

    if (dp->from == dp->nwords) {
        dp->rank = 0;
        dp->phase = HELIX_PC_NEXT;
    }

    return end;
}


static uint32_t
helix_pc_next(helix_pc_dp_t *dp, helix_pc_tables_t *t)
{
    uint32_t  p;

    dp->from = 0;
    dp->to = 0;

    p = (dp->nroughs > 1) ? t->roughs[1] : dp->root + 1;

    if (p > dp->root / p) {
        dp->phase = HELIX_PC_SUM;
        return 0;
    }

    dp->prime = p;
    dp->end = helix_pc_small(t->words, dp->root / p) - dp->nprimes + 1;
    dp->phase = HELIX_PC_NEAR;

    return 0;
}


/* The rough k with kp <= root: S(n / kp) is one of the larges, further on. */

static uint32_t
helix_pc_near(helix_pc_dp_t *dp, helix_pc_tables_t *t)
{
    uint32_t   i, k, p, to, end, inverse, limit, nprimes;
    uint64_t  *larges;

    p = dp->prime;
    inverse = helix_pc_inverse(p);
    limit = UINT32_MAX / p;
    nprimes = dp->nprimes;
    larges = t->larges;
    to = dp->to;
    end = helix_pc_min(dp->from + HELIX_PC_BLOCK, dp->end);

    for (i = dp->from; i < end; i++) {
        k = t->roughs[i];

        larges[to] = larges[i] + nprimes
                     - larges[helix_pc_small(t->words, k * p) - nprimes];
        t->roughs[to] = k;

        /* multiples of p are overwritten by what follows */
        to += (k * inverse > limit);
    }

    end -= dp->from;
    dp->from += end;
    dp->to = to;

    if (dp->from == dp->end) {
        dp->phase = HELIX_PC_FAR;
    }

    return end;
}


/* All others: n / kp is small. */

static uint32_t
helix_pc_far(helix_pc_dp_t *dp, helix_pc_tables_t *t)
{
    size_t            i, from, to, count;
    uint32_t          k, inverse, limit;
    uint32_t         *roughs, quotients[HELIX_PC_BLOCK];
    uint64_t         *larges, nprimes;
    helix_pc_word_t  *words;

    /* a local copy of each: the compiler does not know what is overwritten */
    words = t->words;
    larges = t->larges;
    roughs = t->roughs;
    nprimes = dp->nprimes;
    inverse = helix_pc_inverse(dp->prime);
    limit = UINT32_MAX / dp->prime;
    from = dp->from;
    to = dp->to;
    count = helix_pc_min(dp->nroughs - dp->from, HELIX_PC_BLOCK);

    helix_pc_divide(quotients, dp->n / dp->prime, &roughs[from],
                    (uint32_t) count);

    for (i = 0; i < count; i++) {
        k = roughs[from + i];
        larges[to] = larges[from + i] + nprimes
                     - helix_pc_small(words, quotients[i]);
        roughs[to] = k;
        to += (k * inverse > limit);
    }

    dp->from += (uint32_t) count;
    dp->to = (uint32_t) to;

    if (dp->from == dp->nroughs) {
        dp->nroughs = dp->to;
        dp->from = dp->prime * dp->prime / 2;
        dp->phase = HELIX_PC_CROSS;
    }

    return (uint32_t) count;
}


static uint32_t
helix_pc_cross(helix_pc_dp_t *dp, helix_pc_tables_t *t)
{
    uint32_t  i, p, n;

    i = dp->from;
    p = dp->prime;

    for (n = 0; i < dp->size && n < HELIX_PC_BLOCK; n++) {
        t->words[i / 64].bits &= ~((uint64_t) 1 << (i % 64));
        i += p;
    }

    dp->from = i;

    if (i >= dp->size) {
        dp->nprimes++;
        dp->from = 0;
        dp->phase = HELIX_PC_RANK;
    }

    return n;
}


static uint32_t
helix_pc_sum(helix_pc_dp_t *dp, helix_pc_tables_t *t)
{
    uint32_t  i, end;
    uint64_t  last, sum;

    if (dp->from == 0) {
        last = dp->nroughs - 1;
        dp->result = 1 + t->larges[0] + last * dp->nprimes
                     + last * (last - 1) / 2;
        dp->from = 1;
    }

    end = helix_pc_min(dp->from + HELIX_PC_BLOCK, dp->nroughs);
    sum = 0;

    for (i = dp->from; i < end; i++) {
        sum += t->larges[i];
    }

    dp->result -= sum;
    dp->from = end;

    if (end == dp->nroughs) {
        dp->left = 1;
        dp->phase = HELIX_PC_LEFT;
    }

    return HELIX_PC_BLOCK / 4;
}


/* The pairs of roughs[left] with a larger one, up to roughs[end - 1]. */

static uint32_t
helix_pc_left(helix_pc_dp_t *dp, helix_pc_tables_t *t)
{
    uint32_t  p, end;
    uint64_t  pairs;

    dp->phase = HELIX_PC_READY;

    if (dp->left >= dp->nroughs) {
        return 0;
    }

    p = t->roughs[dp->left];
    end = helix_pc_small(t->words, (uint32_t) (dp->n / p / p)) + 1;

    if (end <= dp->nprimes + dp->left + 1) {
        return 0;
    }

    dp->prime = p;
    dp->from = dp->left + 1;
    dp->end = end - dp->nprimes;
    dp->phase = HELIX_PC_PAIRS;

    pairs = dp->end - dp->from;
    dp->result -= pairs * (dp->nprimes + dp->left - 1);

    return HELIX_PC_BLOCK / 32;
}


static uint32_t
helix_pc_pairs(helix_pc_dp_t *dp, helix_pc_tables_t *t)
{
    uint32_t  i, count, quotients[HELIX_PC_BLOCK];
    uint64_t  sum;

    count = helix_pc_min(dp->end - dp->from, HELIX_PC_BLOCK);
    helix_pc_divide(quotients, dp->n / dp->prime, &t->roughs[dp->from],
                    count);
    sum = 0;

    for (i = 0; i < count; i++) {
        sum += helix_pc_small(t->words, quotients[i]);
    }

    dp->result += sum;
    dp->from += count;

    if (dp->from == dp->end) {
        dp->left++;
        dp->phase = HELIX_PC_LEFT;
    }

    return count;
}
