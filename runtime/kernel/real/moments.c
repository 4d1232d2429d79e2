/* Moments of an array, chunk by chunk while the chunk is in the first cache.
 *
 * The usual chunk takes one fast pass: sums of 16 terms a lane in `real`, then in double. For float32 that is safe as
 * long as the chunk's largest element lies where neither its square overflows nor the squares that matter underflow;
 * any other chunk is summed in double from the first term, float64 ones scaled by a power of two. Zeros, subnormals
 * and non-finite elements are counted only where the extremes of |x| say there are some. Deviations from the mean take
 * a second pass only where the first would lose them by cancellation.
 */
#include "kernel/real/kernels.h"
#include "kernel/real/wide.h"

#if SONDE_REAL == 32
typedef int32_t bits;
static const double FAST_LOW = 0x1p-50, FAST_HIGH = 0x1p50;
#define MANTISSA_BITS 23
#define INFINITY_BITS 0x7F800000
#else
typedef int64_t bits;
static const double FAST_LOW = 0x1p-400, FAST_HIGH = 0x1p400;
#define MANTISSA_BITS 52
#define INFINITY_BITS 0x7FF0000000000000
#endif
#define ABS_MASK ((bits)((real_bits)-1 >> 1))
#define NORMAL_BITS ((bits)1 << MANTISSA_BITS) /* of the smallest normal number */

enum { CHUNK = 4096 }; /* elements */
typedef bits vecbits __attribute__((vector_size(64)));
typedef int64_t widebits __attribute__((vector_size(64)));

/* The extremes of non-negative integers, lane by lane. */
static inline void keep_extremes(vecbits *high, vecbits *low, const vecbits *v)
{
#if defined(__AVX512F__) && SONDE_REAL == 32
    *high = (vecbits)_mm512_max_epi32((__m512i)*high, (__m512i)*v);
    *low = (vecbits)_mm512_min_epi32((__m512i)*low, (__m512i)*v);
#elif defined(__AVX512F__)
    *high = (vecbits)_mm512_max_epi64((__m512i)*high, (__m512i)*v);
    *low = (vecbits)_mm512_min_epi64((__m512i)*low, (__m512i)*v);
#else
    vecbits above = *v > *high, below = *v < *low;
    *high = (*v & above) | (*high & ~above);
    *low = (*v & below) | (*low & ~below);
#endif
}

/* What one fast pass over `vectors` full vectors finds out. */
typedef struct pass {
    double sum, sum_abs, sum_sq;
    bits abs_max, abs_min; /* as integers: ordered like the numbers, NaN above infinity */
    uint64_t n_signed;     /* with the sign bit set */
} pass;

typedef struct sums {
    vec sum, sum_abs, sum_sq;
} sums;

typedef struct marks {
    vecbits high, low, n_signed; /* n_signed: lane by lane, where the machine has no masks to count in */
    uint64_t count_signed;
} marks;

static inline void count_signs(marks *m, const vec *v)
{
#if defined(__AVX512DQ__) && SONDE_REAL == 32
    m->count_signed += (uint64_t)__builtin_popcount(_mm512_movepi32_mask((__m512i)*v));
#elif defined(__AVX512DQ__)
    m->count_signed += (uint64_t)__builtin_popcount(_mm512_movepi64_mask((__m512i)*v));
#else
    m->n_signed -= (vecbits)*v >> (8 * (int)sizeof(real) - 1);
#endif
}

static inline void add_vector(sums *to, marks *m, const real *x, bool brief)
{
    vec v = load(x);
    vecbits abs_bits = (vecbits)v & ABS_MASK;
    to->sum += v;
    add_product(&to->sum_sq, &v, &v);
    keep_extremes(&m->high, &m->low, &abs_bits);
    if (brief) return;
    to->sum_abs += (vec)abs_bits;
    count_signs(m, &v);
}

/* Vectors take turns in two accumulators: one addition need not wait for the other. */
static inline __attribute__((always_inline)) void run_pass(pass *out, const real *x, int vectors, bool brief)
{
    wide sum = {0}, sum_abs = {0}, sum_sq = {0};
    marks m = {.low = (vecbits){0} + ABS_MASK};
    for (int done = 0; done < vectors;) {
        int end = vectors - done < 2 * RUN ? vectors : done + 2 * RUN;
        sums even = {.sum = {0}}, odd = {.sum = {0}};
        for (; done + 2 <= end; done += 2) {
            add_vector(&even, &m, x + done * LANES, brief);
            add_vector(&odd, &m, x + (done + 1) * LANES, brief);
        }
        if (done < end) add_vector(&even, &m, x + done++ * LANES, brief);
        even.sum += odd.sum;
        even.sum_abs += odd.sum_abs;
        even.sum_sq += odd.sum_sq;
        add_lanes(&sum, &even.sum);
        add_lanes(&sum_abs, &even.sum_abs);
        add_lanes(&sum_sq, &even.sum_sq);
    }
    *out = (pass){.sum = fold(&sum), .sum_abs = fold(&sum_abs), .sum_sq = fold(&sum_sq), .abs_min = ABS_MASK,
                  .n_signed = m.count_signed};
    for (int i = 0; i < LANES; i++) {
        out->n_signed += (uint64_t)m.n_signed[i];
        if (m.high[i] > out->abs_max) out->abs_max = m.high[i];
        if (m.low[i] < out->abs_min) out->abs_min = m.low[i];
    }
}

/* The sums again, every term in double, of x times `inverse`, a power of two. */
static void run_careful_pass(pass *out, const real *x, int vectors, double inverse)
{
    wide sum = {0}, sum_abs = {0}, sum_sq = {0};
    for (int i = 0; i < vectors * LANES; i += WIDE) {
        wide value = load_wide(x + i) * inverse;
        sum += value;
        sum_abs += (wide)((widebits)value & INT64_MAX);
        sum_sq += value * value;
    }
    out->sum = fold(&sum);
    out->sum_abs = fold(&sum_abs);
    out->sum_sq = fold(&sum_sq);
}

/* Sum and deviations once more, from an approximate mean (Chan, Golub and LeVeque 1983, the corrected two-pass
 * algorithm). */
static void run_second_pass(sonde_moments *out, const real *x, size_t n, double inverse, double mean)
{
    wide sum = {0}, sum_sq = {0};
    size_t i = 0;
    for (; i + WIDE <= n; i += WIDE) {
        wide d = load_wide(x + i) * inverse - mean;
        sum += d;
        sum_sq += d * d;
    }
    wide rest = {0};
    for (size_t lane = 0; i + lane < n; lane++) rest[lane] = (double)x[i + lane] * inverse - mean;
    sum += rest;
    sum_sq += rest * rest;
    double d = fold(&sum);
    out->sum = (double)n * mean + d;
    out->dev_sq = fold(&sum_sq) - d * d / (double)n;
}

static void count_specials(sonde_moments *out, const real *x, size_t n)
{
    int n_zero = 0, n_subnormal = 0, n_nonfinite = 0, n_positive = 0;
    const bits abs_mask = ABS_MASK;
#pragma omp simd reduction(+ : n_zero, n_subnormal, n_nonfinite, n_positive)
    for (size_t i = 0; i < n; i++) {
        bits b;
        memcpy(&b, x + i, sizeof b);
        bits magnitude = b & abs_mask;
        n_zero += magnitude == 0;
        n_subnormal += magnitude < NORMAL_BITS;
        n_nonfinite += magnitude >= INFINITY_BITS;
        n_positive += b > 0 && b <= INFINITY_BITS;
    }
    out->n_zero = (uint64_t)n_zero;
    out->n_subnormal = (uint64_t)(n_subnormal - n_zero);
    out->n_nonfinite = (uint64_t)n_nonfinite;
    out->n_positive = (uint64_t)n_positive;
}

static double value_of(bits b)
{
    real x;
    memcpy(&x, &b, sizeof x);
    return (double)x;
}

/* x has n <= CHUNK elements, and zeros after them to the end of the vector. */
static void chunk_moments(sonde_moments *out, const real *x, size_t n, bool brief)
{
    int vectors = (int)((n + LANES - 1) / LANES);
    pass p;
    if (brief) run_pass(&p, x, vectors, true);
    else run_pass(&p, x, vectors, false);
    *out = (sonde_moments){.n = n, .scale = 1, .abs_max = value_of(p.abs_max), .n_positive = n - p.n_signed};
    if (p.abs_min < NORMAL_BITS || p.abs_max >= INFINITY_BITS) count_specials(out, x, n);
    bool fast = p.abs_max == 0 || (out->abs_max >= FAST_LOW && out->abs_max <= FAST_HIGH);
    double inverse = 1;
    if (!fast) {
        if (SONDE_REAL == 64 && p.abs_max < INFINITY_BITS) {
            int exponent = ilogb(out->abs_max);
            if (exponent < -1000) exponent = -1000; /* the inverse must be finite */
            out->scale = scalbn(1.0, exponent);
            inverse = scalbn(1.0, -exponent);
        }
        run_careful_pass(&p, x, vectors, inverse);
    }
    out->sum = p.sum;
    out->sum_abs = p.sum_abs;
    out->sum_sq = p.sum_sq;
    double mean = p.sum / (double)n;
    out->dev_sq = p.sum_sq - p.sum * mean;
    if (p.abs_max != 0 && !(out->dev_sq > 0.1 * p.sum_sq)) /* more than a digit lost */
        run_second_pass(out, x, n, inverse, mean);
    if (out->dev_sq < 0) out->dev_sq = 0;
    if (!brief) return;
    out->sum_abs = 0;
    out->n_positive = 0;
}

void REAL_NAME(sonde_moments)(sonde_moments *out, const real *x, size_t n, bool brief)
{
    *out = (sonde_moments){0};
    for (size_t done = 0; done < n; done += CHUNK) {
        size_t count = n - done < CHUNK ? n - done : CHUNK;
        sonde_moments part;
        if (count % LANES == 0) {
            chunk_moments(&part, x + done, count, brief);
        } else {
            real padded[CHUNK];
            memcpy(padded, x + done, count * sizeof *x);
            memset(padded + count, 0, (LANES - count % LANES) * sizeof *x);
            chunk_moments(&part, padded, count, brief);
        }
        sonde_moments_merge(out, &part);
    }
}
