#include "kernel/real/loop.h"

void REAL_NAME(loop_index_add)(void *d, const void *gradient, const int64_t *index, int64_t first, int64_t outer,
                               int64_t n, int64_t n_index, int64_t inner)
{
    const real *dy = gradient;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t j = 0; j < n_index; j++, dy += inner) {
            real *dx = (real *)d + (o * n + index[j] - first) * inner;
            SIMD for (int64_t k = 0; k < inner; k++) dx[k] += dy[k];
        }
}

void REAL_NAME(loop_gather)(void *out, const void *in, const int64_t *index, int64_t stride, const sonde_loop *loop)
{
    for (loop_walk w = walk_start(loop); w.left > 0; walk_next(loop, &w)) {
        real *y = (real *)out + w.at[0];
        const real *x = (const real *)in + w.at[1];
        const int64_t *at = index + w.at[2];
        for (int64_t i = 0; i < w.n; i++) y[i * w.step[0]] = x[i * w.step[1] + (at[i * w.step[2]] - 1) * stride];
    }
}

void REAL_NAME(loop_gather_add)(void *d, const void *gradient, const int64_t *index, int64_t stride,
                                const sonde_loop *loop)
{
    for (loop_walk w = walk_start(loop); w.left > 0; walk_next(loop, &w)) {
        real *dx = (real *)d + w.at[0];
        const real *dy = (const real *)gradient + w.at[1];
        const int64_t *at = index + w.at[2];
        for (int64_t i = 0; i < w.n; i++) dx[i * w.step[0] + (at[i * w.step[2]] - 1) * stride] += dy[i * w.step[1]];
    }
}
