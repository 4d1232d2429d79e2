/* What a number format of less precision would make of gradients: the share it rounds to zero, and the loss scale that
 * would save them. From the histogram alone: what rounds to zero (to nearest, ties to even) is what is at most half of
 * the smallest subnormal, a power of two, so whole binades and the elements that are exactly that.
 */
#include "probe/internal.h"

#include <math.h>

/* smallest: exponent of the smallest subnormal. float16 and bfloat16 as IEEE 754 would have them; the two float8 as
 * Micikevicius et al. 2022, FP8 formats for deep learning, table 1 (E4M3 gives up infinities for one more binade). */
typedef struct format {
    int smallest;
    double largest;
} format;

static const format formats[PRECISION_COUNT] = {
    [PRECISION_FLOAT16] = {-24, 65504},
    [PRECISION_BFLOAT16] = {-133, 0x1.FEp127},
    [PRECISION_FLOAT8_E4M3] = {-9, 448},
    [PRECISION_FLOAT8_E5M2] = {-16, 57344},
};

/* How many of the elements lie in bins before this one. */
static double count_before(const sonde_histogram *h, int bin)
{
    uint64_t n = 0;
    for (int b = 0; b < bin; b++) n += h->counts[b];
    return (double)n;
}

/* How many elements are not 0 and at most 2^exponent in size; NaN where that cuts through an end bin, which tells no
 * more of what it holds (float64 alone reaches there). */
static double count_up_to(const sonde_histogram *h, int exponent)
{
    const int bin = exponent - SONDE_BINADE_LOW, last = SONDE_BINADE_COUNT - 1;
    if (bin <= 0) return h->counts[0] ? (double)NAN : 0;
    if (bin < last) return count_before(h, bin) + (h->n_powers > 0 ? h->powers[bin] : 0);
    return h->counts[last] ? (double)NAN : count_before(h, last);
}

/* Exponent of the largest power of two that, times abs_max, is at most `largest`. */
static int scale_of(double largest, double abs_max, int most)
{
    int high, top;
    const double limit = frexp(largest, &high), fraction = frexp(abs_max, &top);
    const int exponent = high - top - (fraction > limit);
    return exponent < most ? exponent : most;
}

void sonde_probe_underflows(probe_underflow *out, const sonde_histogram *h, sonde_dtype dtype)
{
    const double n = count_before(h, SONDE_BINADE_COUNT);
    for (int k = 0; k < PRECISION_COUNT; k++) {
        const int tie = formats[k].smallest - 1;
        out[k] = (probe_underflow){(double)NAN, (double)NAN, (double)NAN};
        if (n == 0) continue;
        const int scale = scale_of(formats[k].largest, h->abs_max, dtype == SONDE_FLOAT64 ? 1023 : 127);
        out[k] = (probe_underflow){.share = count_up_to(h, tie) / n, .scale = ldexp(1, scale),
                                   .share_scaled = count_up_to(h, tie - scale) / n};
    }
}
