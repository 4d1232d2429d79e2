/* How far gates stand open. */
#include "kernel/real/kernels.h"
#include "kernel/real/wide.h"

#if SONDE_REAL == 32
typedef int32_t lanes __attribute__((vector_size(64)));
#else
typedef int64_t lanes __attribute__((vector_size(64)));
#endif

static const real OPEN = R(0.9), CLOSED = R(0.1), SATURATED = R(0.05 * 0.25); /* σ' is at most a quarter */

typedef struct counts { /* lane by lane: each lane counts fewer than 2^31 */
    wide sum;
    lanes open, closed, saturated;
} counts;

/* Whole vectors of a row; returns how many elements those were. A comparison that holds gives -1. */
static inline int64_t count_vectors(counts *to, const real *y, int64_t n)
{
    int64_t i = 0;
    while (i + LANES <= n) {
        vec sum = {0};
        for (int k = 0; k < RUN && i + LANES <= n; k++, i += LANES) {
            const vec v = load(y + i);
            sum += v;
            to->open -= (lanes)(v > OPEN);
            to->closed -= (lanes)(v < CLOSED);
            to->saturated -= (lanes)((1 - v) * v < SATURATED);
        }
        add_lanes(&to->sum, &sum);
    }
    return i;
}

void REAL_NAME(sonde_gates)(sonde_gates *out, const real *y, int64_t rows, int64_t n, int64_t stride)
{
    counts all = {.sum = {0}};
    for (int64_t r = 0; r < rows; r++) {
        const real *row = y + r * stride;
        for (int64_t i = count_vectors(&all, row, n); i < n; i++) {
            out->sum += (double)row[i];
            out->n_open += row[i] > OPEN;
            out->n_closed += row[i] < CLOSED;
            out->n_saturated += (1 - row[i]) * row[i] < SATURATED;
        }
    }
    out->sum += fold(&all.sum);
    for (int l = 0; l < LANES; l++) {
        out->n_open += (uint64_t)all.open[l];
        out->n_closed += (uint64_t)all.closed[l];
        out->n_saturated += (uint64_t)all.saturated[l];
    }
    out->n += (uint64_t)(rows * n);
}
