/* wide.h — explicit vectors for sums, so that their order is the same for every compiler, vector unit and alignment.
 * A `vec` has LANES elements, a `wide` 8 doubles; a compiler splits them where the machine's registers are smaller.
 */
#ifndef SONDE_REAL_WIDE_H
#define SONDE_REAL_WIDE_H

#include "kernel/real/real.h"

#include <string.h>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

/* Everything here is inline: how such vectors would be passed to a function is nobody's business. */
#pragma GCC diagnostic ignored "-Wpsabi"

enum {
    LANES = 64 / sizeof(real),
    WIDE = 8, /* lanes of double */
    RUN = 16, /* terms a lane may sum in `real` before it goes to double: for float32 at most 16 roundings, 1e-6 of the
                 sum if all went one way; the worst norm found is off by 1.3e-7, of constants; of random values by 1e-8 */
};
typedef real vec __attribute__((vector_size(64)));
typedef double wide __attribute__((vector_size(64)));
typedef real narrow __attribute__((vector_size(WIDE * sizeof(real))));

static inline vec load(const real *x)
{
    vec v;
    memcpy(&v, x, sizeof v);
    return v;
}

static inline wide load_wide(const real *x)
{
    narrow v;
    memcpy(&v, x, sizeof v);
    return __builtin_convertvector(v, wide);
}

/* *sum += a b: in one rounding where the machine can. For statistics; never for what is trained. */
static inline void add_product(vec *sum, const vec *a, const vec *b)
{
#if defined(__AVX512F__) && SONDE_REAL == 32
    *sum = (vec)_mm512_fmadd_ps((__m512)*a, (__m512)*b, (__m512)*sum);
#elif defined(__AVX512F__)
    *sum = (vec)_mm512_fmadd_pd((__m512d)*a, (__m512d)*b, (__m512d)*sum);
#else
    *sum += *a * *b;
#endif
}

static inline void add_lanes(wide *sum, const vec *v)
{
#if SONDE_REAL == 32
    *sum += __builtin_convertvector(__builtin_shufflevector(*v, *v, 0, 1, 2, 3, 4, 5, 6, 7), wide);
    *sum += __builtin_convertvector(__builtin_shufflevector(*v, *v, 8, 9, 10, 11, 12, 13, 14, 15), wide);
#else
    *sum += *v;
#endif
}

static inline double fold(const wide *v)
{
    const wide w = *v;
    return ((w[0] + w[4]) + (w[2] + w[6])) + ((w[1] + w[5]) + (w[3] + w[7]));
}

/* Whether a sum of squares taken in `real` is good: it did not overflow, and what underflowed did not count (a square
 * below 2^-126 is off by at most 2^-150; 512 of them change a sum of 2^-110 by less than a rounding). */
#define SOUND_LOW 0x1p-110
#define SOUND_HIGH 0x1p100
static inline bool is_sound(double sum_sq) { return sum_sq >= SOUND_LOW && sum_sq <= SOUND_HIGH; }

#endif
