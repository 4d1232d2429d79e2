/* What an activation passes on of the gradient. */
#include "kernel/real/kernels.h"
#include "kernel/real/squares.h"

enum { CHUNK = 2 * BLOCK }; /* two sums of squares take turns: one addition need not wait for the other */

/* Marks the units of the flat elements from .. from + n - 1 that have a slope: mostly all soon are. */
static void mark_alive(uint8_t *alive, const real *slope, int64_t from, int64_t n, int64_t units, int64_t inner)
{
    for (int64_t i = 0; i < n && memchr(alive, 0, (size_t)units);) {
        int64_t unit = (from + i) / inner % units;
        if (inner == 1) {
            int64_t run = units - unit < n - i ? units - unit : n - i;
#pragma omp simd
            for (int64_t j = 0; j < run; j++) alive[unit + j] |= (uint8_t)(slope[i + j] != 0);
            i += run;
        } else {
            int64_t left = inner - (from + i) % inner, run = left < n - i ? left : n - i;
            int any = 0;
#pragma omp simd reduction(| : any)
            for (int64_t j = 0; j < run; j++) any |= slope[i + j] != 0;
            alive[unit] |= (uint8_t)any;
            i += run;
        }
    }
}

static inline uint64_t count_below(const vec *slope, real bound)
{
#if defined(__AVX512F__) && SONDE_REAL == 32
    const __m512 size = _mm512_abs_ps((__m512)*slope);
    return (uint64_t)__builtin_popcount(_mm512_cmp_ps_mask(size, _mm512_set1_ps(bound), _CMP_LT_OQ));
#else
    uint64_t n = 0;
    for (int l = 0; l < LANES; l++) n += REAL_MATH(fabs)((*slope)[l]) < bound;
    return n;
#endif
}

static inline uint64_t look_at_vector(squares *block, const real *slope, real bound)
{
    const vec v = load(slope);
    add_square(block, &v);
    return count_below(&v, bound);
}

/* n <= CHUNK slopes, a multiple of LANES; adds Σ φ'² to *sum and returns how many |φ'| lie below the bound. */
static uint64_t look_at(wide *sum, const real *slope, int64_t n, real bound)
{
    squares even = {.sum = {0}}, odd = {.sum = {0}};
    uint64_t n_below = 0;
    int64_t k = 0;
    for (; k + 2 * LANES <= n; k += 2 * LANES) {
        n_below += look_at_vector(&even, slope + k, bound);
        n_below += look_at_vector(&odd, slope + k + LANES, bound);
    }
    if (k < n) n_below += look_at_vector(&even, slope + k, bound);
    even.sum += odd.sum;
    even.seen |= odd.seen;
    if (are_sound(&even)) {
        add_lanes(sum, &even.sum);
    } else {
        for (int64_t i = 0; i < n; i += WIDE) {
            wide v = load_wide(slope + i);
            *sum += v * v;
        }
    }
    return n_below;
}

void REAL_NAME(sonde_slopes)(sonde_slopes *out, uint8_t *alive, const sonde_activation *activation, const real *x,
                             const real *y, int64_t rows, int64_t units, int64_t inner)
{
    const real *v = sonde_activation_uses_output(activation) ? y : x;
    real bound = (real)(0.05 * sonde_activation_facts_of(activation).max_slope), slope[CHUNK];
    int64_t n = rows * units * inner;
    uint64_t n_saturated = 0;
    wide sum = {0};
    double rest = 0;
    for (int64_t done = 0; done < n; done += CHUNK) {
        int64_t count = n - done < CHUNK ? n - done : CHUNK, whole = count / LANES * LANES;
        REAL_NAME(sonde_activation_slope)(activation, slope, v + done, (size_t)count);
        n_saturated += look_at(&sum, slope, whole, bound);
        for (int64_t i = whole; i < count; i++) {
            n_saturated += REAL_MATH(fabs)(slope[i]) < bound;
            rest += (double)slope[i] * (double)slope[i];
        }
        mark_alive(alive, slope, done, count, units, inner);
    }
    *out = (sonde_slopes){.sum_sq = fold(&sum) + rest, .n = (uint64_t)n, .n_saturated = n_saturated};
}
