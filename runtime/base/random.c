/* Random streams: Philox4x32-10 (Salmon et al. 2011). Block `position` of a stream is a pure function of
 * (key, stream, position), so element i of a fill depends on nothing but those and i. Everything after the integers
 * is +, -, *, / and sqrt, which IEEE 754 fixes to the bit: no libm, but for the ends of a truncated normal.
 */
#include "base/base.h"

#include <math.h>
#include <string.h>

enum { LANES = 64, WORDS = 4 * LANES }; /* blocks drawn at once */

typedef struct words {
    uint32_t w[WORDS]; /* block b, word k at 4 b + k */
} words;

/* Ten rounds for `lanes` consecutive counters; lanes innermost, so that the compiler makes vectors of them. */
static inline void philox(words *out, uint32_t lanes, const sonde_stream *s, uint64_t position)
{
    uint32_t c0[LANES], c1[LANES], c2[LANES], c3[LANES], k0 = s->key[0], k1 = s->key[1];
    for (uint32_t i = 0; i < lanes; i++) {
        c0[i] = (uint32_t)(position + i);
        c1[i] = (uint32_t)((position + i) >> 32);
        c2[i] = (uint32_t)s->stream;
        c3[i] = (uint32_t)(s->stream >> 32);
    }
    for (int round = 0; round < 10; round++) {
        for (uint32_t i = 0; i < lanes; i++) {
            uint64_t p0 = (uint64_t)0xD2511F53 * c0[i], p1 = (uint64_t)0xCD9E8D57 * c2[i];
            c0[i] = (uint32_t)(p1 >> 32) ^ c1[i] ^ k0;
            c1[i] = (uint32_t)p1;
            c2[i] = (uint32_t)(p0 >> 32) ^ c3[i] ^ k1;
            c3[i] = (uint32_t)p0;
        }
        k0 += 0x9E3779B9; /* Weyl sequences of the golden ratio and sqrt(3) - 1 */
        k1 += 0xBB67AE85;
    }
    for (uint32_t i = 0; i < lanes; i++) {
        out->w[4 * i] = c0[i];
        out->w[4 * i + 1] = c1[i];
        out->w[4 * i + 2] = c2[i];
        out->w[4 * i + 3] = c3[i];
    }
}

/* ---- streams ------------------------------------------------------------------------------------------- */

/* The finaliser of splitmix64 (Steele, Lea and Flood 2014): every input bit reaches every output bit. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
    return x ^ (x >> 31);
}

/* FNV-1a, then mixed. */
static uint64_t hash(uint64_t start, const char *text)
{
    uint64_t h = 0xCBF29CE484222325 ^ start;
    for (; *text; text++) h = (h ^ (unsigned char)*text) * 0x100000001B3;
    return mix(h);
}

void sonde_stream_init(sonde_stream *stream, uint64_t seed, const char *name)
{
    *stream = (sonde_stream){
        .key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
        .stream = hash(0, name),
    };
}

void sonde_stream_derive(sonde_stream *out, const sonde_stream *parent, const char *name, uint64_t number)
{
    uint64_t stream = mix(hash(parent->stream, name) + mix(number + 1));
    *out = (sonde_stream){.key = {parent->key[0], parent->key[1]}, .stream = stream};
}

/* ---- single draws: one block each ---------------------------------------------------------------------- */

static uint64_t next_u64(sonde_stream *stream)
{
    words block;
    philox(&block, 1, stream, stream->position++);
    return (uint64_t)block.w[1] << 32 | block.w[0];
}

uint32_t sonde_stream_u32(sonde_stream *stream)
{
    return (uint32_t)next_u64(stream);
}

double sonde_stream_uniform(sonde_stream *stream)
{
    return (double)(next_u64(stream) >> 11) * 0x1p-53;
}

/* Lemire 2019, "Fast random integer generation in an interval". */
int64_t sonde_stream_integer(sonde_stream *stream, int64_t low, int64_t high)
{
    if (high <= low) return low;
    uint64_t range = (uint64_t)high - (uint64_t)low + 1;
    if (range == 0) return (int64_t)next_u64(stream); /* all of int64 */
    uint64_t reject_below = -range % range;
    unsigned __int128 product;
    do product = (unsigned __int128)next_u64(stream) * range;
    while ((uint64_t)product < reject_below);
    return (int64_t)((uint64_t)low + (uint64_t)(product >> 64));
}

/* ---- fills --------------------------------------------------------------------------------------------- */

/* A fill's source: raw[i] has 32 random bits for float32 (a word each), 53 otherwise (two words each). */
typedef struct source {
    const sonde_stream *stream;
    int bits, count; /* of raw, a refill */
    uint64_t raw[WORDS];
} source;

static void source_init(source *s, const sonde_stream *stream, sonde_dtype dtype)
{
    s->stream = stream;
    s->bits = dtype == SONDE_FLOAT32 ? 32 : 53;
    s->count = dtype == SONDE_FLOAT32 ? WORDS : WORDS / 2;
}

/* Elements done .. done + count; `done` is a multiple of count. Returns how many of them are wanted. */
static int source_refill(source *s, size_t done, size_t n)
{
    words drawn;
    philox(&drawn, LANES, s->stream, s->stream->position + done / (size_t)s->count * LANES);
    if (s->bits == 32)
        for (int i = 0; i < WORDS; i++) s->raw[i] = drawn.w[i];
    else
        for (int i = 0; i < WORDS / 2; i++) s->raw[i] = ((uint64_t)drawn.w[2 * i + 1] << 32 | drawn.w[2 * i]) >> 11;
    return n - done < (size_t)s->count ? (int)(n - done) : s->count;
}

static void advance(sonde_stream *stream, sonde_dtype dtype, size_t n)
{
    size_t elements_per_block = dtype == SONDE_FLOAT32 ? 4 : 2;
    stream->position += n / elements_per_block + (n % elements_per_block != 0);
}

static void store(sonde_dtype dtype, void *out, size_t done, const double *values, int count)
{
    switch (dtype) {
    case SONDE_FLOAT32:
        for (int i = 0; i < count; i++) ((float *)out)[done + (size_t)i] = (float)values[i];
        break;
    case SONDE_FLOAT64:
        memcpy((double *)out + done, values, (size_t)count * sizeof *values);
        break;
    default:
        for (int i = 0; i < count; i++) ((int64_t *)out)[done + (size_t)i] = (int64_t)values[i];
    }
}

void sonde_stream_fill_uniform(sonde_stream *stream, sonde_dtype dtype, void *out, size_t n, double low, double high)
{
    source s;
    source_init(&s, stream, dtype);
    int drop = dtype == SONDE_FLOAT32 ? 8 : 0; /* 24 bits: a float32 below 1 stays below 1 */
    double unit = dtype == SONDE_FLOAT32 ? 0x1p-24 : 0x1p-53, values[WORDS];
    for (size_t done = 0; done < n; done += (size_t)s.count) {
        int count = source_refill(&s, done, n);
        for (int i = 0; i < count; i++) values[i] = low + (high - low) * ((double)(s.raw[i] >> drop) * unit);
        store(dtype, out, done, values, count);
    }
    advance(stream, dtype, n);
}

/* log of a normal positive double, by fdlibm's e_log.c (Sun Microsystems 1993): x = 2^k (1 + f), |error| < 1 ulp. */
static double log_positive(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint64_t shifted = bits - 0x3FE6A09E667F3BCD; /* sqrt(1/2): 1 + f lies in sqrt(1/2) .. sqrt(2) */
    double k = (double)((int64_t)shifted >> 52);
    bits -= shifted & 0xFFF0000000000000;
    double m;
    memcpy(&m, &bits, sizeof m);
    double f = m - 1, s = f / (2 + f), z = s * s, w = z * z;
    double even = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
    double odd = z * (6.666666666666735130e-01 +
                      w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
    double half_square = 0.5 * f * f;
    return k * 6.93147180369123816490e-01 -
           ((half_square - (s * (half_square + even + odd) + k * 1.90821492927058770002e-10)) - f);
}

static double ratio(const double p[8], const double q[8], double x)
{
    double top = p[7], bottom = q[7];
    for (int i = 6; i >= 0; i--) {
        top = top * x + p[i];
        bottom = bottom * x + q[i];
    }
    return top / bottom;
}

/* The normal quantile at 0.5 + q, |q| < 0.5, to about 1e-16 relative: algorithm AS 241 (PPND16, Wichura 1988). `tail`
 * is 0.5 - |q|, given apart because it is exact where the difference is not. */
static double normal_quantile(double q, double tail)
{
    static const double a[8] = {3.3871328727963666080e0,  1.3314166789178437745e+2, 1.9715909503065514427e+3,
                                1.3731693765509461125e+4, 4.5921953931549871457e+4, 6.7265770927008700853e+4,
                                3.3430575583588128105e+4, 2.5090809287301226727e+3};
    static const double b[8] = {1.0,
                                4.2313330701600911252e+1,
                                6.8718700749205790830e+2,
                                5.3941960214247511077e+3,
                                2.1213794301586595867e+4,
                                3.9307895800092710610e+4,
                                2.8729085735721942674e+4,
                                5.2264952788528545610e+3};
    static const double c[8] = {1.42343711074968357734e0,  4.63033784615654529590e0, 5.76949722146069140550e0,
                                3.64784832476320460504e0,  1.27045825245236838258e0, 2.41780725177450611770e-1,
                                2.27238449892691845833e-2, 7.74545014278341407640e-4};
    static const double d[8] = {1.0,
                                2.05319162663775882187e0,
                                1.67638483018380384940e0,
                                6.89767334985100004550e-1,
                                1.48103976427480074590e-1,
                                1.51986665636164571966e-2,
                                5.47593808499534494600e-4,
                                1.05075007164441684324e-9};
    static const double e[8] = {6.65790464350110377720e0,  5.46378491116411436990e0,  1.78482653991729133580e0,
                                2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
                                2.71155556874348757815e-5, 2.01033439929228813265e-7};
    static const double f[8] = {1.0,
                                5.99832206555887937690e-1,
                                1.36929880922735805310e-1,
                                1.48753612908506148525e-2,
                                7.86869131145613259100e-4,
                                1.84631831751005468180e-5,
                                1.42151175831644588870e-7,
                                2.04426310338993978564e-15};
    if (q >= -0.425 && q <= 0.425) return q * ratio(a, b, 0.180625 - q * q);
    double r = __builtin_sqrt(-log_positive(tail));
    double x = r <= 5 ? ratio(c, d, r - 1.6) : ratio(e, f, r - 5);
    return q < 0 ? -x : x;
}

void sonde_stream_fill_normal(sonde_stream *stream, sonde_dtype dtype, void *out, size_t n, double mean, double std)
{
    source s;
    source_init(&s, stream, dtype);
    double unit = dtype == SONDE_FLOAT32 ? 0x1p-33 : 0x1p-54, values[WORDS];
    uint64_t half = (uint64_t)1 << s.bits; /* of 2^(bits+1): the middle of cell `raw` is 2 raw + 1 of them */
    for (size_t done = 0; done < n; done += (size_t)s.count) {
        int count = source_refill(&s, done, n);
        for (int i = 0; i < count; i++) {
            uint64_t cell = 2 * s.raw[i] + 1;
            double tail = (double)(cell < half ? cell : 2 * half - cell) * unit;
            values[i] = mean + std * normal_quantile((double)((int64_t)cell - (int64_t)half) * unit, tail);
        }
        store(dtype, out, done, values, count);
    }
    advance(stream, dtype, n);
}

/* In the lower tail, where probabilities keep their digits: an interval that lies mostly above the mean is mirrored. */
bool sonde_stream_fill_truncated_normal(sonde_stream *stream, sonde_dtype dtype, void *out, size_t n, double mean,
                                        double std, double low, double high)
{
    bool mirrored = low - mean > mean - high;
    double side = mirrored ? -std : std;
    double below = 0.5 * erfc(-M_SQRT1_2 * ((mirrored ? high : low) - mean) / side);
    double mass = 0.5 * erfc(-M_SQRT1_2 * ((mirrored ? low : high) - mean) / side) - below;
    if (!(mass >= 1e-290)) return false;
    source s;
    source_init(&s, stream, dtype);
    double unit = dtype == SONDE_FLOAT32 ? 0x1p-33 : 0x1p-54, values[WORDS];
    for (size_t done = 0; done < n; done += (size_t)s.count) {
        int count = source_refill(&s, done, n);
        for (int i = 0; i < count; i++) {
            double p = below + mass * ((double)(2 * s.raw[i] + 1) * unit); /* the middle of cell `raw` */
            double tail = p < 0.5 ? p : fmax(1 - p, 0x1p-54); /* p may round to 1 */
            double x = mean + side * normal_quantile(p - 0.5, tail);
            values[i] = x < low ? low : x > high ? high : x;
        }
        store(dtype, out, done, values, count);
    }
    advance(stream, dtype, n);
    return true;
}

void sonde_stream_fill_bernoulli(sonde_stream *stream, sonde_dtype dtype, void *out, size_t n, double keep,
                                 double scale)
{
    source s;
    source_init(&s, stream, dtype);
    double whole = (double)((uint64_t)1 << s.bits), values[WORDS];
    uint64_t bound = keep >= 1 ? (uint64_t)1 << s.bits : keep > 0 ? (uint64_t)(keep * whole) : 0; /* NaN keeps none */
    for (size_t done = 0; done < n; done += (size_t)s.count) {
        int count = source_refill(&s, done, n);
        for (int i = 0; i < count; i++) values[i] = s.raw[i] < bound ? scale : 0;
        store(dtype, out, done, values, count);
    }
    advance(stream, dtype, n);
}

/* Fisher-Yates; swap i takes half a block and no rejection, so that the position depends on n alone. The price is a
 * bias of at most n / 2^53, far below what any experiment could see. */
void sonde_stream_permutation(sonde_stream *stream, int64_t *out, size_t n, int64_t first)
{
    source s;
    source_init(&s, stream, SONDE_INT64);
    for (size_t i = 0; i < n; i++) out[i] = (int64_t)((uint64_t)first + i);
    for (size_t done = 0; done < n; done += (size_t)s.count) {
        int count = source_refill(&s, done, n);
        for (int i = 0; i < count; i++) {
            size_t here = done + (size_t)i; /* any of here .. n - 1 comes here */
            size_t there = here + (size_t)((unsigned __int128)s.raw[i] * (n - here) >> 53);
            int64_t swapped = out[here];
            out[here] = out[there];
            out[there] = swapped;
        }
    }
    advance(stream, SONDE_INT64, n);
}
