#include "kernel/real/loop.h"

/* Softmax (Boltzmann's distribution) and cross-entropy, stable: the largest logit is taken off first. */

typedef struct partition { /* Σ exp(x) of a fiber is exp(most) * sum */
    double most, sum;
} partition;

/* p = exp(x - most); a fiber of stride s, or contiguous. */
static partition exponentials(real *p, const real *x, int64_t n, int64_t s)
{
    real most = x[0];
    for (int64_t i = 1; i < n; i++) most = x[i * s] > most || x[i * s] != x[i * s] ? x[i * s] : most;
    double sum = 0;
    if (s == 1) {
        SIMD for (int64_t i = 0; i < n; i++) p[i] = REAL_MATH(exp)(x[i] - most);
        SUM_ROW(sum, n, p[i]);
    } else {
        for (int64_t i = 0; i < n; i++) p[i * s] = REAL_MATH(exp)(x[i * s] - most);
        SUM_ROW(sum, n, p[i * s]);
    }
    return (partition){(double)most, sum};
}

static void softmax_fiber(real *y, const real *x, int64_t n, int64_t s, bool log_of)
{
    const partition z = exponentials(y, x, n, s);
    if (log_of) {
        const double log_sum = log(z.sum);
        for (int64_t i = 0; i < n; i++) y[i * s] = R((double)x[i * s] - z.most - log_sum);
    } else {
        const real share = R(1 / z.sum);
        for (int64_t i = 0; i < n; i++) y[i * s] *= share;
    }
}

void REAL_NAME(loop_softmax)(void *out, const void *in, int64_t outer, int64_t n, int64_t inner, bool log_of)
{
    if (n == 0) return;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t k = 0; k < inner; k++) {
            const int64_t at = o * n * inner + k;
            softmax_fiber((real *)out + at, (const real *)in + at, n, inner, log_of);
        }
}

/* softmax: dx = y (dy - Σ y dy); logarithm: dx = dy - exp(y) Σ dy */
static void softmax_backward_fiber(real *dx, const real *dy, const real *y, int64_t n, int64_t s, bool log_of, bool add)
{
    double total = 0;
    if (log_of) SUM_ROW(total, n, dy[i * s]);
    else SUM_ROW(total, n, (double)y[i * s] * (double)dy[i * s]);
    const real t = R(total);
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = i * s;
        const real e = log_of ? dy[at] - REAL_MATH(exp)(y[at]) * t : y[at] * (dy[at] - t);
        dx[at] = add ? dx[at] + e : e;
    }
}

void REAL_NAME(loop_softmax_backward)(void *d, const void *gradient, const void *out, int64_t outer, int64_t n,
                                      int64_t inner, bool log_of, bool add)
{
    for (int64_t o = 0; o < outer; o++)
        for (int64_t k = 0; k < inner; k++) {
            const int64_t at = o * n * inner + k;
            softmax_backward_fiber((real *)d + at, (const real *)gradient + at, (const real *)out + at, n, inner,
                                   log_of, add);
        }
}

/* ---- cross-entropy --------------------------------------------------------------------------------------- */

static double weight_of(const real *weight, int64_t c) { return weight ? (double)weight[c] : 1; }

static double total_weight(const real *weight, int64_t n)
{
    double total = 0;
    for (int64_t c = 0; c < n; c++) total += weight_of(weight, c);
    return total;
}

/* p becomes the softmax; returns log Σ exp x. */
static double normalise(real *p, const real *x, int64_t n, int64_t s)
{
    const partition z = exponentials(p, x, n, s);
    const real share = R(1 / z.sum);
    for (int64_t i = 0; i < n; i++) p[i * s] *= share;
    return z.most + log(z.sum);
}

/* (1-ε) w_y (lse - x_y) + ε/n Σ_c w_c (lse - x_c)   (Szegedy et al. 2016, label smoothing) */
static double label_loss(const real *x, double lse, int64_t y, const real *weight, int64_t n, int64_t s,
                         double smoothing)
{
    const double loss = weight_of(weight, y) * (lse - (double)x[y * s]);
    if (smoothing == 0) return loss;
    double all = 0;
    for (int64_t c = 0; c < n; c++) all += weight_of(weight, c) * (lse - (double)x[c * s]);
    return (1 - smoothing) * loss + smoothing / (double)n * all;
}

double REAL_NAME(loop_cross_entropy)(void *loss, void *p, const void *x, const int64_t *label, const void *weight,
                                     int64_t outer, int64_t n, int64_t inner, const sonde_cross_entropy_args *args)
{
    double sum_of_weights = 0;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t k = 0; k < inner; k++) {
            const int64_t at = o * n * inner + k, row = o * inner + k;
            const real *logits = (const real *)x + at;
            const double lse = normalise((real *)p + at, logits, n, inner);
            double here = 0;
            if (args->ignore_index == 0 || label[row] != args->ignore_index) {
                here = label_loss(logits, lse, label[row] - 1, weight, n, inner, args->smoothing);
                sum_of_weights += weight_of(weight, label[row] - 1);
            }
            ((real *)loss)[row] = R(here);
        }
    return sum_of_weights;
}

void REAL_NAME(loop_cross_entropy_backward)(void *d, const void *dy, bool one, double scale, const void *p,
                                            const int64_t *label, const void *weight, int64_t outer, int64_t n,
                                            int64_t inner, const sonde_cross_entropy_args *args, bool add)
{
    const real *w = weight, *g = dy;
    const double spread = args->smoothing / (double)n, all = args->smoothing != 0 ? total_weight(w, n) : 0;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t k = 0; k < inner; k++) {
            const int64_t at = o * n * inner + k, row = o * inner + k, y = label[row] - 1;
            const bool ignored = args->ignore_index != 0 && label[row] == args->ignore_index;
            const double in = ignored ? 0 : scale * (double)g[one ? 0 : row];
            const double of_p = ignored ? 0 : in * ((1 - args->smoothing) * weight_of(w, y) + spread * all);
            real *dx = (real *)d + at;
            const real *q = (const real *)p + at;
            for (int64_t c = 0; c < n; c++) {
                double e = ignored ? 0 : of_p * (double)q[c * inner] - in * spread * weight_of(w, c);
                if (c == y && !ignored) e -= in * (1 - args->smoothing) * weight_of(w, y);
                dx[c * inner] = add ? dx[c * inner] + R(e) : R(e);
            }
        }
}

/* Σ_c w_c t'_c (lse - x_c) with t' = (1-ε) t + ε/n */
void REAL_NAME(loop_cross_entropy_soft)(void *loss, void *p, const void *x, const void *target, const void *weight,
                                        int64_t outer, int64_t n, int64_t inner, const sonde_cross_entropy_args *args)
{
    for (int64_t o = 0; o < outer; o++)
        for (int64_t k = 0; k < inner; k++) {
            const int64_t at = o * n * inner + k;
            const real *logits = (const real *)x + at, *t = (const real *)target + at;
            const double lse = normalise((real *)p + at, logits, n, inner);
            double total = 0;
            for (int64_t c = 0; c < n; c++) {
                const double share = (1 - args->smoothing) * (double)t[c * inner] + args->smoothing / (double)n;
                total += weight_of(weight, c) * share * (lse - (double)logits[c * inner]);
            }
            ((real *)loss)[o * inner + k] = R(total);
        }
}

void REAL_NAME(loop_cross_entropy_soft_backward)(void *d, const void *dy, bool one, double scale, const void *p,
                                                 const void *target, const void *weight, int64_t outer, int64_t n,
                                                 int64_t inner, const sonde_cross_entropy_args *args, bool add)
{
    for (int64_t o = 0; o < outer; o++)
        for (int64_t k = 0; k < inner; k++) {
            const int64_t at = o * n * inner + k;
            const real *q = (const real *)p + at, *t = (const real *)target + at;
            real *dx = (real *)d + at;
            const double in = scale * (double)((const real *)dy)[one ? 0 : o * inner + k];
            double mass = 0;
            for (int64_t c = 0; c < n; c++)
                mass +=
                    weight_of(weight, c) * ((1 - args->smoothing) * (double)t[c * inner] + args->smoothing / (double)n);
            for (int64_t c = 0; c < n; c++) {
                const double share = (1 - args->smoothing) * (double)t[c * inner] + args->smoothing / (double)n;
                const real e = R(in * (mass * (double)q[c * inner] - weight_of(weight, c) * share));
                dx[c * inner] = add ? dx[c * inner] + e : e;
            }
        }
}
