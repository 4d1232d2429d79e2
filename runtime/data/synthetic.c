/* Data sets made of random numbers. */
#include "data/data.h"

#include <math.h>

static const double TWO_PI = 6.283185307179586;

void sonde_spirals(sonde_stream *stream, float *x, int64_t *y, int64_t n, int64_t classes, double turns, double noise)
{
    sonde_stream_fill_normal(stream, SONDE_FLOAT32, x, (size_t)n * 2, 0, noise);
    for (int64_t i = 0; i < n; i++) {
        int64_t class = i % classes;
        double t = sonde_stream_uniform(stream);
        double angle = TWO_PI * (turns * t + (double)class / (double)classes);
        x[2 * i] += (float)(t * cos(angle));
        x[2 * i + 1] += (float)(t * sin(angle));
        y[i] = class + 1;
    }
}

void sonde_blobs(sonde_stream *stream, float *x, int64_t *y, int64_t n, int64_t classes, int64_t features, double box,
                 double std, double *centres)
{
    sonde_stream_fill_uniform(stream, SONDE_FLOAT64, centres, (size_t)(classes * features), -box, box);
    sonde_stream_fill_normal(stream, SONDE_FLOAT32, x, (size_t)(n * features), 0, std);
    for (int64_t i = 0; i < n; i++) {
        int64_t class = i % classes;
        for (int64_t k = 0; k < features; k++) x[i * features + k] += (float)centres[class * features + k];
        y[i] = class + 1;
    }
}

void sonde_parity(sonde_stream *stream, float *x, int64_t *y, int64_t n, int64_t bits)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t ones = 0;
        uint32_t word = 0;
        for (int64_t k = 0; k < bits; k++, word >>= 1) {
            if (k % 32 == 0) word = sonde_stream_u32(stream);
            x[i * bits + k] = word & 1 ? 1.0f : -1.0f;
            ones += word & 1;
        }
        y[i] = ones % 2 + 1;
    }
}
