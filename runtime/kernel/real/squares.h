/* squares.h — sums of squares that neither overflow nor underflow, taken in `real` where that is good enough. Private. */
#ifndef SONDE_REAL_SQUARES_H
#define SONDE_REAL_SQUARES_H

#include "kernel/real/wide.h"

enum { BLOCK = RUN * LANES }; /* elements whose sum of squares may be taken in `real` */

#if SONDE_REAL == 32
typedef int32_t vecbits __attribute__((vector_size(64)));
#else
typedef int64_t vecbits __attribute__((vector_size(64)));
#endif

/* Lane by lane, and the bits of everything that went in. */
typedef struct squares {
    vec sum;
    vecbits seen;
} squares;

static inline void add_square(squares *to, const vec *v)
{
    add_product(&to->sum, v, v);
    to->seen |= (vecbits)*v;
}

static inline vec load_part(const real *x, size_t n)
{
    vec v = {0};
    memcpy(&v, x, n * sizeof *x);
    return v;
}

/* Is every lane's sum good? That of zeros alone is: most updates of a vanishing gradient are. */
static inline bool are_sound(const squares *s)
{
#if defined(__AVX512F__) && SONDE_REAL == 32
    const __mmask16 seen = _mm512_test_epi32_mask((__m512i)s->seen, (__m512i)s->seen);
    return (_mm512_mask_cmp_ps_mask(seen, (__m512)s->sum, _mm512_set1_ps((float)SOUND_LOW), _CMP_NGE_UQ) |
            _mm512_cmp_ps_mask((__m512)s->sum, _mm512_set1_ps((float)SOUND_HIGH), _CMP_NLE_UQ)) == 0;
#else
    bool sound = true;
    for (int l = 0; l < LANES; l++) sound &= s->seen[l] == 0 || is_sound((double)s->sum[l]);
    return sound;
#endif
}

#endif
