/* The histogram of floor(log2 |x|), which the exponent bits spell out. */
#include "kernel/real/kernels.h"
#include "kernel/real/real.h"

#include <string.h>

#if SONDE_REAL == 32
#define MANTISSA_BITS 23
#define EXPONENT_MASK 0xFF
#else
#define MANTISSA_BITS 52
#define EXPONENT_MASK 0x7FF
#endif
#define BIAS (EXPONENT_MASK / 2)

enum {
    CHUNK = 1024,
    SPECIAL = SONDE_BINADE_COUNT, /* a bin of its own for zeros, subnormals and non-finite elements */
    TABLES = 4,                   /* neighbours are often equal: one counter after another would wait for itself */
};

static inline real_bits bits_of(const real *x)
{
    real_bits b;
    memcpy(&b, x, sizeof b);
    return b;
}

/* Places the special elements of x where they belong. */
static void count_specials(sonde_histogram *out, const real *x, size_t n, uint32_t special)
{
    uint32_t n_zero = 0, n_nonfinite = 0;
#pragma omp simd reduction(+ : n_zero, n_nonfinite)
    for (size_t i = 0; i < n; i++) {
        real_bits magnitude = bits_of(x + i) << 1;
        n_zero += magnitude == 0;
        n_nonfinite += magnitude >> (MANTISSA_BITS + 1) == EXPONENT_MASK;
    }
    out->n_zero += n_zero;
    out->n_nonfinite += n_nonfinite;
    out->n_subnormal += special - n_zero - n_nonfinite;
    if (special == n_zero + n_nonfinite) return;
    for (size_t i = 0; i < n; i++) {
        real_bits magnitude = bits_of(x + i) << 1 >> 1;
        if (magnitude == 0 || magnitude >> MANTISSA_BITS != 0) continue;
        int top = 63 - __builtin_clzll((unsigned long long)magnitude); /* the leading bit is worth 2^(top + smallest) */
        int binade = top + 1 - BIAS - MANTISSA_BITS;
        out->counts[binade < SONDE_BINADE_LOW ? 0 : binade - SONDE_BINADE_LOW]++;
    }
}

void REAL_NAME(sonde_histogram)(sonde_histogram *out, const real *x, size_t n)
{
    uint32_t tables[TABLES][SONDE_BINADE_COUNT + 1] = {{0}};
    uint32_t index[CHUNK];
    for (size_t done = 0; done < n; done += CHUNK) {
        size_t count = n - done < CHUNK ? n - done : CHUNK;
#pragma omp simd
        for (size_t i = 0; i < count; i++) {
            int exponent = (int)(bits_of(x + done + i) >> MANTISSA_BITS & EXPONENT_MASK);
            int bin = exponent - BIAS - SONDE_BINADE_LOW;
            bin = bin < 0 ? 0 : bin < SONDE_BINADE_COUNT ? bin : SONDE_BINADE_COUNT - 1;
            index[i] = (uint32_t)(exponent == 0 || exponent == EXPONENT_MASK ? SPECIAL : bin);
        }
        size_t i = 0;
        for (; i + TABLES <= count; i += TABLES)
            for (int t = 0; t < TABLES; t++) tables[t][index[i + (size_t)t]]++;
        for (; i < count; i++) tables[0][index[i]]++;
    }
    for (int t = 1; t < TABLES; t++)
        for (int bin = 0; bin <= SPECIAL; bin++) tables[0][bin] += tables[t][bin];
    for (int bin = 0; bin < SONDE_BINADE_COUNT; bin++) out->counts[bin] += tables[0][bin];
    if (tables[0][SPECIAL] > 0) count_specials(out, x, n, tables[0][SPECIAL]);
}
