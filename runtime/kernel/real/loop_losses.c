#include "kernel/real/loop.h"

void REAL_NAME(loop_mse)(void *loss, const void *in, const void *target, size_t n)
{
    real *y = loss;
    const real *x = in, *t = target;
    SIMD for (size_t i = 0; i < n; i++) y[i] = (x[i] - t[i]) * (x[i] - t[i]);
}

void REAL_NAME(loop_mse_backward)(void *gradient, const void *dy, bool one, double scale, const void *in,
                                  const void *target, size_t n, bool add)
{
    real *d = gradient;
    const real *g = dy, *x = in, *t = target;
    for (size_t i = 0; i < n; i++) {
        const real e = R(2 * scale) * g[one ? 0 : i] * (x[i] - t[i]);
        d[i] = add ? d[i] + e : e;
    }
}

/* log(1 + exp(-x)), without overflow */
static double softplus_negative(double x) { return log1p(exp(-fabs(x))) + (x < 0 ? -x : 0); }

void REAL_NAME(loop_bce)(void *loss, const void *in, const void *target, const void *weight, const void *pos_weight,
                         size_t n)
{
    real *y = loss;
    const real *x = in, *t = target, *w = weight, *q = pos_weight;
    for (size_t i = 0; i < n; i++) {
        const double v = (double)x[i], label = (double)t[i], pos = q ? (double)q[i] : 1;
        const double e = (1 - label) * v + (1 + (pos - 1) * label) * softplus_negative(v);
        y[i] = R(w ? (double)w[i] * e : e);
    }
}

/* to x: w ((q t + 1 - t) σ(x) - q t);  to t: w ((q-1) softplus(-x) - x) */
void REAL_NAME(loop_bce_backward)(int side, void *gradient, const void *dy, bool one, double scale, const void *in,
                                  const void *target, const void *weight, const void *pos_weight, size_t n, bool add)
{
    real *d = gradient;
    const real *g = dy, *x = in, *t = target, *w = weight, *q = pos_weight;
    for (size_t i = 0; i < n; i++) {
        const double v = (double)x[i], label = (double)t[i], pos = q ? (double)q[i] : 1;
        double e;
        if (side == 0) {
            const double sigmoid = v >= 0 ? 1 / (1 + exp(-v)) : exp(v) / (1 + exp(v));
            e = (pos * label + 1 - label) * sigmoid - pos * label;
        } else {
            e = (pos - 1) * softplus_negative(v) - v;
        }
        const real part = R(scale * (double)g[one ? 0 : i] * (w ? (double)w[i] : 1) * e);
        d[i] = add ? d[i] + part : part;
    }
}
