/* Tasks that need a memory. */
#include "data/data.h"

#include <string.h>

static sonde_stream sample_stream(const sonde_stream *stream, int64_t i)
{
    sonde_stream sample;
    sonde_stream_derive(&sample, stream, "sample", (uint64_t)i);
    return sample;
}

void sonde_adding(const sonde_stream *stream, float *x, float *y, int64_t n, int64_t length)
{
    memset(x, 0, (size_t)(n * length * 2) * sizeof *x);
    for (int64_t i = 0; i < n; i++, x += length * 2) {
        sonde_stream s = sample_stream(stream, i);
        int64_t first = sonde_stream_integer(&s, 0, length / 2 - 1);
        int64_t second = sonde_stream_integer(&s, length / 2, length - 1);
        for (int64_t t = 0; t < length; t++) x[2 * t] = (float)sonde_stream_uniform(&s);
        x[2 * first + 1] = x[2 * second + 1] = 1;
        y[i] = x[2 * first] + x[2 * second];
    }
}

void sonde_copying(const sonde_stream *stream, int64_t *x, int64_t *y, int64_t n, int64_t length, int64_t delay,
                   int64_t symbols)
{
    const int64_t steps = delay + 2 * length, blank = symbols + 1, marker = symbols + 2;
    for (int64_t i = 0; i < n; i++, x += steps, y += steps) {
        sonde_stream s = sample_stream(stream, i);
        for (int64_t t = 0; t < steps; t++) x[t] = y[t] = blank;
        for (int64_t t = 0; t < length; t++) x[t] = y[steps - length + t] = sonde_stream_integer(&s, 1, symbols);
        x[length + delay - 1] = marker;
    }
}

void sonde_temporal_order(const sonde_stream *stream, int64_t *x, int64_t *y, int64_t n, int64_t length,
                          int64_t relevant)
{
    enum { X = 5, Y = 6, START = 7, END = 8 };
    static const int64_t places[2][3] = {{10, 50}, {10, 33, 66}}; /* hundredths of the length */
    for (int64_t i = 0; i < n; i++, x += length) {
        sonde_stream s = sample_stream(stream, i);
        for (int64_t t = 0; t < length; t++) x[t] = sonde_stream_integer(&s, 1, 4);
        x[0] = START;
        x[length - 1] = END;
        int64_t class = 0;
        for (int64_t k = 0; k < relevant; k++) {
            int64_t from = places[relevant - 2][k] * length / 100, to = (places[relevant - 2][k] + 10) * length / 100;
            int64_t step = sonde_stream_integer(&s, from < 2 ? 2 : from, to); /* counted from 1 */
            x[step - 1] = sonde_stream_integer(&s, X, Y);
            class = 2 * class + (x[step - 1] - X);
        }
        y[i] = class + 1;
    }
}

void sonde_delayed_xor(const sonde_stream *stream, float *x, int64_t *y, int64_t n, int64_t length, int64_t delay)
{
    for (int64_t i = 0; i < n; i++, x += length) {
        sonde_stream s = sample_stream(stream, i);
        for (int64_t t = 0; t < length; t++) x[t] = sonde_stream_u32(&s) & 1 ? 1.0f : -1.0f;
        y[i] = x[length - 1 - delay] == x[length - 2 - delay] ? 1 : 2;
    }
}
