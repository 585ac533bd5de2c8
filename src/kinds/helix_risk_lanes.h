
/*
 * Arithmetic on HELIX_LANES doubles at a time, for one instruction set: the
 * file that includes this has chosen it (HELIX_LANES and the target).
 *
 * Only operations that IEEE 754 rounds, in one fixed order, fused exactly
 * where helix_lanes_madd() says: every instruction set gives the same bits.
 * But for those without a fused multiply-add: emulated it would take many
 * times as long, and nowhere to use it a third more.  They define no
 * HELIX_LANES_FUSED, and their last digits differ.
 *
 * The polynomials interpolate at Chebyshev nodes, the Mills ratio is a least
 * squares fit of the relative error, all computed with 40 digits.
 */

#ifndef HELIX_RISK_LANES_H_INCLUDED
#define HELIX_RISK_LANES_H_INCLUDED


#include "helix_risk.h"


#if defined __clang__
#pragma STDC FP_CONTRACT OFF
#endif


#define HELIX_LANES_INLINE                                                   \
    static inline __attribute__((always_inline, unused))

#define HELIX_LANES_SIGN  0x8000000000000000ULL
#define HELIX_LANES_LOW   0xffffffffULL



typedef double    helix_lanes_t
    __attribute__((vector_size(8 * HELIX_LANES), may_alias));
typedef uint64_t  helix_bits_t
    __attribute__((vector_size(8 * HELIX_LANES), may_alias));


/* Every lane the same: the compilers make a broadcast of it. */

HELIX_LANES_INLINE helix_lanes_t
helix_lanes(double value)
{
    return value - (helix_lanes_t) { 0 };
}


HELIX_LANES_INLINE helix_bits_t
helix_bits(uint64_t value)
{
    return value - (helix_bits_t) { 0 };
}


/* The product of the lower halves; the upper ones may hold anything. */

HELIX_LANES_INLINE helix_bits_t
helix_lanes_mul32(helix_bits_t a, helix_bits_t b)
{
#if defined __x86_64__ && HELIX_LANES == 8
    return (helix_bits_t) _mm512_mul_epu32((__m512i) a, (__m512i) b);

#elif defined __x86_64__ && HELIX_LANES == 4
    return (helix_bits_t) _mm256_mul_epu32((__m256i) a, (__m256i) b);

#elif defined __x86_64__ && HELIX_LANES == 2
    return (helix_bits_t) _mm_mul_epu32((__m128i) a, (__m128i) b);

#else
    return (a & HELIX_LANES_LOW) * (b & HELIX_LANES_LOW);
#endif
}


HELIX_LANES_INLINE helix_lanes_t
helix_lanes_sqrt(helix_lanes_t x)
{
#if defined __x86_64__ && HELIX_LANES == 8
    return (helix_lanes_t) _mm512_sqrt_pd((__m512d) x);

#elif defined __x86_64__ && HELIX_LANES == 4
    return (helix_lanes_t) _mm256_sqrt_pd((__m256d) x);

#elif defined __x86_64__ && HELIX_LANES == 2
    return (helix_lanes_t) _mm_sqrt_pd((__m128d) x);

#else
    uint32_t  i;

    for (i = 0; i < HELIX_LANES; i++) {
        x[i] = __builtin_sqrt(x[i]);
    }

    return x;
#endif
}


/* a b + c, rounded once where HELIX_LANES_FUSED is defined. */

HELIX_LANES_INLINE helix_lanes_t
helix_lanes_madd(helix_lanes_t a, helix_lanes_t b, helix_lanes_t c)
{
#if !defined HELIX_LANES_FUSED
    return a * b + c;

#elif defined __x86_64__ && HELIX_LANES == 8
    return (helix_lanes_t) _mm512_fmadd_pd((__m512d) a, (__m512d) b,
                                           (__m512d) c);

#elif defined __x86_64__ && HELIX_LANES == 4
    return (helix_lanes_t) _mm256_fmadd_pd((__m256d) a, (__m256d) b,
                                           (__m256d) c);

#else
    uint32_t  i;

    for (i = 0; i < HELIX_LANES; i++) {
        c[i] = __builtin_fma(a[i], b[i], c[i]);
    }

    return c;
#endif
}


/* A step of Horner's scheme. */

HELIX_LANES_INLINE helix_lanes_t
helix_lanes_horner(helix_lanes_t p, helix_lanes_t x, double c)
{
    return helix_lanes_madd(p, x, helix_lanes(c));
}


/* a where the sign bit is set, else b. */

HELIX_LANES_INLINE helix_lanes_t
helix_lanes_negative(helix_bits_t sign, helix_lanes_t a, helix_lanes_t b)
{
#if defined __x86_64__ && HELIX_LANES == 8
    return (helix_lanes_t) _mm512_mask_blend_pd(
               _mm512_movepi64_mask((__m512i) sign), (__m512d) b,
               (__m512d) a);

#elif defined __x86_64__ && HELIX_LANES == 4
    return (helix_lanes_t) _mm256_blendv_pd((__m256d) b, (__m256d) a,
                                            (__m256d) sign);

#else
    helix_bits_t  mask;

#if defined __x86_64__ && HELIX_LANES == 2
    mask = (helix_bits_t) _mm_shuffle_epi32(
               _mm_srai_epi32((__m128i) sign, 31), 0xf5);
#else
    mask = helix_bits(0) - (sign >> 63);
#endif

    return (helix_lanes_t) (((helix_bits_t) a & mask)
                            | ((helix_bits_t) b & ~mask));
#endif
}


HELIX_LANES_INLINE helix_lanes_t
helix_lanes_min(helix_lanes_t a, helix_lanes_t b)
{
#if defined __x86_64__ && HELIX_LANES == 8
    return (helix_lanes_t) _mm512_min_pd((__m512d) a, (__m512d) b);

#elif defined __x86_64__ && HELIX_LANES == 4
    return (helix_lanes_t) _mm256_min_pd((__m256d) a, (__m256d) b);

#elif defined __x86_64__ && HELIX_LANES == 2
    return (helix_lanes_t) _mm_min_pd((__m128d) a, (__m128d) b);

#else
    return helix_lanes_negative((helix_bits_t) (a - b), a, b);
#endif
}


HELIX_LANES_INLINE helix_lanes_t
helix_lanes_max(helix_lanes_t a, helix_lanes_t b)
{
#if defined __x86_64__ && HELIX_LANES == 8
    return (helix_lanes_t) _mm512_max_pd((__m512d) a, (__m512d) b);

#elif defined __x86_64__ && HELIX_LANES == 4
    return (helix_lanes_t) _mm256_max_pd((__m256d) a, (__m256d) b);

#elif defined __x86_64__ && HELIX_LANES == 2
    return (helix_lanes_t) _mm_max_pd((__m128d) a, (__m128d) b);

#else
    return helix_lanes_negative((helix_bits_t) (a - b), b, a);
#endif
}


/* e^x, relative error 2e-14; arguments are held to -708 .. 709. */

HELIX_LANES_INLINE helix_lanes_t
helix_lanes_exp(helix_lanes_t x)
{
    helix_bits_t   n;
    helix_lanes_t  t, p;

    x = helix_lanes_min(helix_lanes_max(x, helix_lanes(-708.0)),
                        helix_lanes(709.0));

    /* the sum has the nearest integer in its low bits */
    t = helix_lanes_horner(x, helix_lanes(0x1.71547652b82fep+0), 0x1.8p52);
    n = (helix_bits_t) t << 52;
    t = t - 0x1.8p52;

    x = helix_lanes_madd(t, helix_lanes(-0x1.62e42fefa3800p-1), x);
    x = helix_lanes_madd(t, helix_lanes(-0x1.ef35793c76730p-45), x);

    p = helix_lanes_horner(helix_lanes(0x1.72e1150d0c9b6p-19), x,
                           0x1.a17e031985654p-16);
    p = helix_lanes_horner(p, x, 0x1.a01994bd214e7p-13);
    p = helix_lanes_horner(p, x, 0x1.6c162ba880942p-10);
    p = helix_lanes_horner(p, x, 0x1.11111123c1f47p-7);
    p = helix_lanes_horner(p, x, 0x1.55555588c026cp-5);
    p = helix_lanes_horner(p, x, 0x1.5555555550d79p-3);
    p = helix_lanes_horner(p, x, 0x1.ffffffffe74a0p-2);
    p = helix_lanes_horner(p, x, 0x1.0000000000006p+0);
    p = helix_lanes_horner(p, x, 0x1.000000000003dp+0);

    return (helix_lanes_t) ((helix_bits_t) p + n);
}


/* The natural logarithm of a positive, normal number; error 2e-16. */

HELIX_LANES_INLINE helix_lanes_t
helix_lanes_log(helix_lanes_t x)
{
    helix_bits_t   b;
    helix_lanes_t  e, m, s, t, p;

    /* x = m 2^e, m from sqrt(1/2) to sqrt(2) */
    b = (helix_bits_t) x + (0x3ff0000000000000ULL - 0x3fe6a09e667f3bcdULL);
    m = (helix_lanes_t) ((helix_bits_t) x - (b & 0xfff0000000000000ULL)
                         + 0x3ff0000000000000ULL);
    e = (helix_lanes_t) ((b >> 52) | 0x4330000000000000ULL)
        - (0x1p52 + 1023.0);

    s = (m - 1.0) / (m + 1.0);
    t = s * s;

    p = helix_lanes_horner(helix_lanes(0x1.58d5d4a93822dp-3), t,
                           0x1.732320a9c93b0p-3);
    p = helix_lanes_horner(p, t, 0x1.c722cceee92f4p-3);
    p = helix_lanes_horner(p, t, 0x1.249240b87155dp-2);
    p = helix_lanes_horner(p, t, 0x1.999999a435066p-2);
    p = helix_lanes_horner(p, t, 0x1.5555555552d50p-1);
    p = helix_lanes_horner(p, t, 0x1.0000000000001p+1);

    t = helix_lanes_madd(s, p, e * 0x1.ef35793c76730p-45);

    return helix_lanes_madd(e, helix_lanes(0x1.62e42fefa3800p-1), t);
}


/* A uniform number above 0 and below 1 from the upper 52 bits. */

HELIX_LANES_INLINE helix_lanes_t
helix_lanes_uniform(helix_bits_t u)
{
    helix_lanes_t  x;

    x = (helix_lanes_t) ((u >> 12) | 0x4330000000000000ULL) - 0x1p52;

    return (x + 0.5) * 0x1p-52;
}


/*
 * Two normals of Box and Muller: the radius from u, the angle from v.  Bits
 * 10 to 61 are the angle within a quarter, 62 and 63 tell which one: no
 * reduction of the range, no branch.
 */

HELIX_LANES_INLINE void
helix_lanes_normals(helix_bits_t u, helix_bits_t v, helix_lanes_t *z0,
    helix_lanes_t *z1)
{
    helix_lanes_t  r, f, t, s, c;

    r = helix_lanes_sqrt(helix_lanes_log(helix_lanes_uniform(u)) * -2.0);

    f = (helix_lanes_t) (((v >> 10) & 0x000fffffffffffffULL)
                         | 0x3ff0000000000000ULL) - 1.5;
    t = f * f;

    s = helix_lanes_horner(helix_lanes(0x1.e3f383995551bp-25), t,
                           -0x1.e30071afc3e59p-19);
    s = helix_lanes_horner(s, t, 0x1.50782fda12d96p-13);
    s = helix_lanes_horner(s, t, -0x1.32d2cce2e5b19p-8);
    s = helix_lanes_horner(s, t, 0x1.466bc677587f8p-4);
    s = helix_lanes_horner(s, t, -0x1.4abbce625be41p-1);
    s = helix_lanes_horner(s, t, 0x1.921fb54442d18p+0) * f;

    c = helix_lanes_horner(helix_lanes(0x1.f3dbcea61b1a4p-22), t,
                           -0x1.a6c9c1be9eb49p-16);
    c = helix_lanes_horner(c, t, 0x1.e1f4fb60281f6p-11);
    c = helix_lanes_horner(c, t, -0x1.55d3c7dbfd139p-6);
    c = helix_lanes_horner(c, t, 0x1.03c1f081b0780p-2);
    c = helix_lanes_horner(c, t, -0x1.3bd3cc9be458bp+0);
    c = helix_lanes_horner(c, t, 1.0);
    c = (helix_lanes_t) ((helix_bits_t) c ^ ((v << 1) & HELIX_LANES_SIGN));

    *z0 = r * helix_lanes_negative(v, s, c);
    *z1 = r * helix_lanes_negative(v, c, s);
}


/*
 * Numerator and denominator of the Mills ratio N(-x) / phi(x), 0 <= x <= 9;
 * relative error 2e-11.
 */

HELIX_LANES_INLINE void
helix_lanes_mills(helix_lanes_t x, helix_lanes_t *p, helix_lanes_t *q)
{
    helix_lanes_t  t;

    t = helix_lanes_horner(helix_lanes(0.001858010613775465075), x,
                           0.02553278278333091944);
    t = helix_lanes_horner(t, x, 0.1622721276842159951);
    t = helix_lanes_horner(t, x, 0.5886523128337442017);
    t = helix_lanes_horner(t, x, 1.227057607807073767);
    *p = helix_lanes_horner(t, x, 1.25331413729173852);

    t = helix_lanes_horner(helix_lanes(0.001858019909134844023), x,
                           0.02553229037210019963);
    t = helix_lanes_horner(t, x, 0.1641421371811207042);
    t = helix_lanes_horner(t, x, 0.6140056072165538696);
    t = helix_lanes_horner(t, x, 1.387465531709314856);
    t = helix_lanes_horner(t, x, 1.77693487929267088);
    *q = helix_lanes_horner(t, x, 1.0);
}


/*
 * Philox 4x32-10 (Salmon et al., SC 2011): four words of the counter in the
 * lower halves of c, replaced by four random ones; the upper halves of the
 * result are to be ignored.  The keys of the rounds come from memory, two
 * each: computed here they would take a third of the time.
 */

HELIX_LANES_INLINE void
helix_lanes_philox(helix_bits_t *c, const uint64_t *keys)
{
    uint32_t      i;
    helix_bits_t  p0, p1;

#if defined __clang__
#pragma clang loop unroll(full)
#else
#pragma GCC unroll 10
#endif
    for (i = 0; i < HELIX_RISK_ROUNDS; i++) {
        p0 = helix_lanes_mul32(c[0], helix_bits(0xd2511f53));
        p1 = helix_lanes_mul32(c[2], helix_bits(0xcd9e8d57));

        c[0] = (p1 >> 32) ^ c[1] ^ keys[2 * i];
        c[1] = p1;
        c[2] = (p0 >> 32) ^ c[3] ^ keys[2 * i + 1];
        c[3] = p0;
    }
}


/* The 128 random bits of a path, as two numbers. */

HELIX_LANES_INLINE void
helix_lanes_random(const uint64_t *keys, helix_bits_t path,
    uint32_t draw, uint32_t stream, helix_bits_t *u, helix_bits_t *v)
{
    helix_bits_t  c[4];

    c[0] = path;
    c[1] = path >> 32;
    c[2] = helix_bits(draw);
    c[3] = helix_bits(stream);

    helix_lanes_philox(c, keys);

    *u = (c[0] << 32) | (c[1] & HELIX_LANES_LOW);
    *v = (c[2] << 32) | (c[3] & HELIX_LANES_LOW);
}


#endif /* HELIX_RISK_LANES_H_INCLUDED */
