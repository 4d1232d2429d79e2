/* The histogram of floor(log2 |x|), which the exponent bits spell out. */
#include "kernel/real/kernels.h"
#include "kernel/real/real.h"

#include <string.h>
#if SONDE_REAL == 32 && defined(__AVX2__)
#include <immintrin.h>
#define HAS_PACKS
#endif

#if SONDE_REAL == 32
#define MANTISSA_BITS 23
#define EXPONENT_MASK 0xFF
#else
#define MANTISSA_BITS 52
#define EXPONENT_MASK 0x7FF
#endif
#define BIAS (EXPONENT_MASK / 2)
#define INFINITY_BITS ((real_bits)EXPONENT_MASK << MANTISSA_BITS)

enum {
    CHUNK = 1024,
    SPECIAL = SONDE_BINADE_COUNT, /* a bin of its own for zeros, subnormals and non-finite elements */
    BINS,
    TABLES = 4, /* neighbours are often equal: one counter after another would wait for itself */
};

static inline real_bits bits_of(const real *x)
{
    real_bits b;
    memcpy(&b, x, sizeof b);
    return b;
}

static inline uint32_t bin_of(int exponent)
{
    int bin = exponent - BIAS - SONDE_BINADE_LOW;
    bin = bin < 0 ? 0 : bin < SONDE_BINADE_COUNT ? bin : SONDE_BINADE_COUNT - 1;
    return (uint32_t)(exponent == 0 || exponent == EXPONENT_MASK ? SPECIAL : bin);
}

static void add_power(sonde_histogram *out, int bin)
{
    if (out->n_powers++ == 0) memset(out->powers, 0, sizeof out->powers);
    out->powers[bin]++;
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
        if (binade >= SONDE_BINADE_LOW && magnitude == (real_bits)1 << top) add_power(out, binade - SONDE_BINADE_LOW);
    }
}

/* Of |x|, a normal number. Subnormal ones are looked at one by one anyway. */
static inline bool is_power(real_bits magnitude)
{
    return (magnitude & (((real_bits)1 << MANTISSA_BITS) - 1)) == 0 && magnitude - 1 < INFINITY_BITS - 1;
}

static void count_powers(sonde_histogram *out, const real *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        real_bits magnitude = bits_of(x + i) << 1 >> 1;
        if (!is_power(magnitude)) continue;
        int bin = ilogb((double)x[i]) - SONDE_BINADE_LOW;
        if (bin >= 0 && bin < SONDE_BINADE_COUNT) add_power(out, bin);
    }
}

/* Is there a power of two among them? Sees to the largest finite one. */
static bool look_at_any(real_bits *largest, const real *x, size_t n)
{
    real_bits high = *largest;
    int found = 0; /* or'ed, not counted: one vector instruction less */
#pragma omp simd reduction(| : found) reduction(max : high)
    for (size_t i = 0; i < n; i++) {
        real_bits magnitude = bits_of(x + i) << 1 >> 1;
        found |= is_power(magnitude);
        real_bits finite = magnitude < INFINITY_BITS ? magnitude : 0;
        high = finite > high ? finite : high;
    }
    *largest = high;
    return found;
}

/* The same of normal numbers: a power of two is the one without a mantissa. Half the instructions. */
static bool look_at_normal(real_bits *largest, const real *x, size_t n)
{
    real_bits high = *largest, least = (real_bits)-1;
#pragma omp simd reduction(max : high) reduction(min : least)
    for (size_t i = 0; i < n; i++) {
        real_bits bits = bits_of(x + i), magnitude = bits << 1 >> 1;
        real_bits mantissa = bits << (SONDE_REAL - MANTISSA_BITS);
        high = magnitude > high ? magnitude : high;
        least = mantissa < least ? mantissa : least;
    }
    *largest = high;
    return least == 0;
}

/* The exact powers of two, which are rare, and the largest element. */
static void look_closer(sonde_histogram *out, const real *x, size_t n, bool special)
{
    real_bits largest = 0;
    for (size_t done = 0; done < n; done += CHUNK) {
        size_t count = n - done < CHUNK ? n - done : CHUNK;
        if (special ? look_at_any(&largest, x + done, count) : look_at_normal(&largest, x + done, count))
            count_powers(out, x + done, count);
    }
    real abs_max;
    memcpy(&abs_max, &largest, sizeof abs_max);
    if ((double)abs_max > out->abs_max) out->abs_max = (double)abs_max;
}

#ifdef HAS_PACKS
/* A pack holds the exponents of 32 elements, one byte each, in any order. Most elements lie within a few binades of the
 * largest: those are counted by comparing whole packs, the others one by one. */
enum { PACK = 32, PACKS = 128, NEAR = 12 }; /* PACKS: at most 255, a lane counts in bytes */

static inline __m256i load_bits(const float *x) { return _mm256_loadu_si256((const __m256i *)(const void *)x); }

static inline __m256i pack(const float *x)
{
    const __m256i byte = _mm256_set1_epi32(0xFF);
    __m256i a = _mm256_srli_epi32(load_bits(x), 23), b = _mm256_srli_epi32(load_bits(x + 8), 15);
    __m256i c = _mm256_srli_epi32(load_bits(x + 16), 7), d = _mm256_slli_epi32(load_bits(x + 24), 1);
    a = _mm256_and_si256(a, byte);
    b = _mm256_and_si256(b, _mm256_slli_epi32(byte, 8));
    c = _mm256_and_si256(c, _mm256_slli_epi32(byte, 16));
    d = _mm256_and_si256(d, _mm256_slli_epi32(byte, 24));
    return _mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d));
}

static inline uint32_t sum_of_bytes(__m256i bytes)
{
    uint64_t lanes[4];
    bytes = _mm256_sad_epu8(bytes, _mm256_setzero_si256());
    memcpy(lanes, &bytes, sizeof lanes);
    return (uint32_t)(lanes[0] + lanes[1] + lanes[2] + lanes[3]);
}

/* Counts the zeros and the exponents low .. low + NEAR - 1 of the packs; returns how many it found. */
static uint32_t count_near(uint32_t *table, const __m256i *exponents, int n, int low)
{
    __m256i counts[NEAR + 1], bins[NEAR + 1];
    for (int k = 0; k <= NEAR; k++) {
        counts[k] = _mm256_setzero_si256();
        bins[k] = _mm256_set1_epi8((char)(k < NEAR ? low + k : 0));
    }
    for (int i = 0; i < n; i++) {
        __m256i e = exponents[i];
#pragma GCC unroll 16
        for (int k = 0; k <= NEAR; k++) counts[k] = _mm256_sub_epi8(counts[k], _mm256_cmpeq_epi8(e, bins[k]));
    }
    uint32_t found = 0;
    for (int k = 0; k <= NEAR; k++) {
        uint32_t count = sum_of_bytes(counts[k]);
        table[bin_of(k < NEAR ? low + k : 0)] += count;
        found += count;
    }
    return found;
}

static void count_far(uint32_t *table, const __m256i *exponents, int n, int low)
{
    for (int i = 0; i < n; i++) {
        uint8_t bytes[PACK];
        __m256i at_least = _mm256_cmpeq_epi8(_mm256_max_epu8(exponents[i], _mm256_set1_epi8((char)low)), exponents[i]);
        __m256i zero = _mm256_cmpeq_epi8(exponents[i], _mm256_setzero_si256());
        uint32_t far = ~(uint32_t)_mm256_movemask_epi8(_mm256_or_si256(at_least, zero));
        if (far) memcpy(bytes, &exponents[i], sizeof bytes);
        for (; far; far &= far - 1) table[bin_of(bytes[__builtin_ctz(far)])]++;
    }
}

/* As many elements of x as fill packs; returns how many. */
static size_t count_packs(uint32_t *table, const float *x, size_t n)
{
    size_t done = 0;
    while (n - done >= PACK) {
        __m256i exponents[PACKS], largest = _mm256_setzero_si256();
        int packs = 0;
        for (; packs < PACKS && n - done >= PACK; packs++, done += PACK) {
            exponents[packs] = pack(x + done);
            largest = _mm256_max_epu8(largest, exponents[packs]);
        }
        uint8_t lanes[PACK];
        memcpy(lanes, &largest, sizeof lanes);
        int high = NEAR; /* so that low is above 0 */
        for (int i = 0; i < PACK; i++) high = lanes[i] > high ? lanes[i] : high;
        int low = high - NEAR + 1;
        uint32_t found = count_near(table, exponents, packs, low);
        if (found < (uint32_t)(packs * PACK)) count_far(table, exponents, packs, low);
    }
    return done;
}
#else
static size_t count_packs(uint32_t *table, const real *x, size_t n)
{
    return 0;
}
#endif

void REAL_NAME(sonde_histogram)(sonde_histogram *out, const real *x, size_t n)
{
    uint32_t tables[TABLES][BINS], index[CHUNK];
    memset(tables[0], 0, sizeof tables[0]);
    size_t packed = count_packs(tables[0], x, n);
    int n_tables = n - packed < CHUNK ? 1 : TABLES;
    if (n_tables > 1) memset(tables[1], 0, sizeof tables - sizeof tables[0]);
    for (size_t done = packed; done < n; done += CHUNK) {
        size_t count = n - done < CHUNK ? n - done : CHUNK, i = 0;
#pragma omp simd
        for (size_t j = 0; j < count; j++)
            index[j] = bin_of((int)(bits_of(x + done + j) >> MANTISSA_BITS & EXPONENT_MASK));
        for (; n_tables > 1 && i + TABLES <= count; i += TABLES)
            for (int t = 0; t < TABLES; t++) tables[t][index[i + (size_t)t]]++;
        for (; i < count; i++) tables[0][index[i]]++;
    }
    for (int t = 1; t < n_tables; t++)
        for (int bin = 0; bin < BINS; bin++) tables[0][bin] += tables[t][bin];
    for (int bin = 0; bin < SONDE_BINADE_COUNT; bin++) out->counts[bin] += tables[0][bin];
    if (tables[0][SPECIAL] > 0) count_specials(out, x, n, tables[0][SPECIAL]);
    look_closer(out, x, n, tables[0][SPECIAL] > 0);
}
