#include "kernel/real/loop.h"

/* Batch normalisation over x [outer, channels, inner] (Ioffe & Szegedy 2015). With inner = 1 a channel is a column, so
 * channels run in stripes down the rows; else a channel's rows are contiguous. */
enum { STRIPE = 64 };

/* total[c] = Σ EXPRESSION; v the element of x at `at`, c its channel. */
#define SUM_CHANNELS(TOTAL, EXPRESSION)                                                             \
    do {                                                                                            \
        if (inner == 1) {                                                                           \
            for (int64_t c0 = 0; c0 < channels; c0 += STRIPE) {                                     \
                const int64_t c1 = c0 + STRIPE < channels ? c0 + STRIPE : channels;                 \
                for (int64_t c = c0; c < c1; c++) (TOTAL)[c] = 0;                                   \
                for (int64_t o = 0; o < outer; o++)                                                 \
                    SIMD for (int64_t c = c0; c < c1; c++)                                          \
                    {                                                                               \
                        const int64_t at = o * channels + c;                                        \
                        (TOTAL)[c] += (EXPRESSION);                                                 \
                    }                                                                               \
            }                                                                                       \
        } else {                                                                                    \
            for (int64_t c = 0; c < channels; c++) {                                                \
                double total_ = 0;                                                                  \
                for (int64_t o = 0; o < outer; o++) {                                               \
                    const int64_t start_ = (o * channels + c) * inner;                              \
                    SUM_ROW(total_, inner, __extension__({ const int64_t at = start_ + i; (EXPRESSION); })); \
                }                                                                                   \
                (TOTAL)[c] = total_;                                                                \
            }                                                                                       \
        }                                                                                           \
    } while (0)

void REAL_NAME(loop_channel_moments)(double *mean, double *variance, const void *in, int64_t outer, int64_t channels,
                                     int64_t inner)
{
    const real *x = in;
    const double n = (double)(outer * inner);
    SUM_CHANNELS(mean, (double)x[at]);
    for (int64_t c = 0; c < channels; c++) mean[c] /= n;
    SUM_CHANNELS(variance, ((double)x[at] - mean[c]) * ((double)x[at] - mean[c]));
    for (int64_t c = 0; c < channels; c++) variance[c] /= n;
}

void REAL_NAME(loop_channel_dots)(double *sum, double *dot, const void *gradient, const void *in, const double *mean,
                                  int64_t outer, int64_t channels, int64_t inner)
{
    const real *dy = gradient, *x = in;
    SUM_CHANNELS(sum, (double)dy[at]);
    SUM_CHANNELS(dot, (double)dy[at] * ((double)x[at] - mean[c]));
}

/* OUT[at] = EXPRESSION for every element; c is its channel. */
#define EACH_CHANNEL(STATEMENT)                                                        \
    for (int64_t o = 0; o < outer; o++) {                                              \
        if (inner == 1) {                                                              \
            SIMD for (int64_t c = 0; c < channels; c++)                                \
            {                                                                          \
                const int64_t at = o * channels + c;                                   \
                STATEMENT;                                                             \
            }                                                                          \
        } else {                                                                       \
            for (int64_t c = 0; c < channels; c++)                                     \
                SIMD for (int64_t k = 0; k < inner; k++)                               \
                {                                                                      \
                    const int64_t at = (o * channels + c) * inner + k;                 \
                    STATEMENT;                                                         \
                }                                                                      \
        }                                                                              \
    }

void REAL_NAME(loop_channel_affine)(void *out, const void *in, const double *mean, const double *scale,
                                    const double *shift, int64_t outer, int64_t channels, int64_t inner)
{
    real *y = out;
    const real *x = in;
    EACH_CHANNEL(y[at] = R(((double)x[at] - mean[c]) * scale[c] + shift[c]))
}

void REAL_NAME(loop_channel_backward)(void *d, const void *gradient, const void *in, const double *mean,
                                      const double *scale, const double *a, const double *b, int64_t outer,
                                      int64_t channels, int64_t inner, bool add)
{
    real *dx = d;
    const real *dy = gradient, *x = in;
    EACH_CHANNEL(const real e = R(scale[c] * ((double)dy[at] - a[c] - ((double)x[at] - mean[c]) * b[c]));
                 dx[at] = add ? dx[at] + e : e)
}
