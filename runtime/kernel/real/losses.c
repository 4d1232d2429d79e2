#include "kernel/losses.h"
#include "kernel/real/real.h"

/* ---- element by element -------------------------------------------------------------------------------- */

static double sign_of(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; } /* 0 and NaN stay */

/* log(1 + exp(-x)), without overflow */
static double softplus_negative(double x) { return log1p(exp(-fabs(x))) + (x < 0 ? -x : 0); }

static double held_log(double y) { return y < -100 ? -100 : y; } /* of a logarithm; NaN stays */

static double variance(double w, double least) { return w < least ? least : w; }

static double value_of(const sonde_pair_loss *loss, double x, double t, double w)
{
    const double a = loss->a, e = x - t, size = fabs(e);
    switch (loss->kind) {
    case SONDE_L1: return size;
    case SONDE_SMOOTH_L1: return size < a ? 0.5 * e * e / a : size - 0.5 * a;
    case SONDE_HUBER: return size < a ? 0.5 * e * e : a * (size - 0.5 * a);
    case SONDE_BCE: return -w * (t * held_log(log(x)) + (1 - t) * held_log(log1p(-x)));
    case SONDE_KL_DIV: return t == 0 ? 0 : t * (log(t) - x);
    case SONDE_KL_DIV_LOG: return exp(t) * (t - x);
    case SONDE_HINGE_EMBEDDING: return t > 0 ? x : a - x <= 0 ? 0 : a - x;
    case SONDE_SOFT_MARGIN: return softplus_negative(t * x);
    case SONDE_GAUSSIAN_NLL: return 0.5 * (log(variance(w, a)) + e * e / variance(w, a)) + loss->b;
    default: return (double)NAN;
    }
}

/* ∂loss/∂x */
static double slope_x(const sonde_pair_loss *loss, double x, double t, double w)
{
    const double a = loss->a, e = x - t, size = fabs(e);
    switch (loss->kind) {
    case SONDE_L1: return sign_of(e);
    case SONDE_SMOOTH_L1: return size < a ? e / a : sign_of(e);
    case SONDE_HUBER: return size < a ? e : a * sign_of(e);
    case SONDE_BCE: return w * e / ((1 - x) * x < 1e-12 ? 1e-12 : (1 - x) * x);
    case SONDE_KL_DIV: return -t;
    case SONDE_KL_DIV_LOG: return -exp(t);
    case SONDE_HINGE_EMBEDDING: return t > 0 ? 1 : a - x <= 0 ? 0 : -1;
    case SONDE_SOFT_MARGIN: return -t * exp(-softplus_negative(-t * x)); /* -t σ(-t x) */
    case SONDE_GAUSSIAN_NLL: return e / variance(w, a);
    default: return (double)NAN;
    }
}

/* ∂loss/∂t */
static double slope_t(const sonde_pair_loss *loss, double x, double t, double w)
{
    switch (loss->kind) {
    case SONDE_BCE: return w * (held_log(log1p(-x)) - held_log(log(x)));
    case SONDE_KL_DIV: return log(t) + 1 - x;
    case SONDE_KL_DIV_LOG: return exp(t) * (t - x + 1);
    default: return -slope_x(loss, x, t, w); /* of x - t */
    }
}

/* ∂loss/∂w of GAUSSIAN_NLL */
static double slope_w(const sonde_pair_loss *loss, double x, double t, double w)
{
    const double v = variance(w, loss->a), e = (x - t) / v;
    return 0.5 * (1 / v - e * e);
}

static void pair(const sonde_pair_loss *loss, void *out, const void *in, const void *target, const void *weight,
                 size_t n)
{
    real *y = out;
    const real *x = in, *t = target, *w = weight;
    for (size_t i = 0; i < n; i++)
        y[i] = R(value_of(loss, (double)x[i], (double)t[i], w ? (double)w[i] : 1));
}

static void pair_backward(const sonde_pair_loss *loss, int side, void *gradient, const void *dy, bool one,
                          double scale, const void *in, const void *target, const void *weight, size_t n, bool add)
{
    double (*const slope)(const sonde_pair_loss *, double, double, double) =
        side == 0 ? slope_x : side == 1 ? slope_t : slope_w;
    real *d = gradient;
    const real *g = dy, *x = in, *t = target, *w = weight;
    for (size_t i = 0; i < n; i++) {
        const double s = slope(loss, (double)x[i], (double)t[i], w ? (double)w[i] : 1);
        const real part = R(scale * (double)g[one ? 0 : i] * s);
        d[i] = add ? d[i] + part : part;
    }
}

static int64_t outside(const void *in, size_t n, double low, double high)
{
    const real *x = in;
    for (size_t i = 0; i < n; i++)
        if ((double)x[i] < low || (double)x[i] > high) return (int64_t)i;
    return -1;
}

static int64_t no_sign(const void *in, size_t n)
{
    const real *x = in;
    for (size_t i = 0; i < n; i++)
        if (!(x[i] == 1 || x[i] == -1)) return (int64_t)i;
    return -1;
}

static int64_t no_number(const void *in, size_t n)
{
    const real *x = in;
    for (size_t i = 0; i < n; i++) {
        if (x[i] != x[i]) return (int64_t)i;
    }
    return -1;
}

/* ---- by class labels ----------------------------------------------------------------------------------- */

static double nll(void *out, const void *in, const int64_t *label, const void *weight, int64_t outer, int64_t n,
                  int64_t inner, int64_t ignored)
{
    real *y = out;
    const real *x = in, *w = weight;
    double total = 0;
    for (int64_t o = 0; o < outer; o++) {
        for (int64_t i = 0; i < inner; i++) {
            const int64_t row = o * inner + i, c = label[row] - 1;
            const bool counts = ignored == 0 || label[row] != ignored;
            const double own = counts ? (w ? (double)w[c] : 1) : 0;
            y[row] = counts ? R(-own * (double)x[(o * n + c) * inner + i]) : 0;
            total += own;
        }
    }
    return total;
}

static void nll_backward(void *gradient, const void *dy, bool one, double scale, const int64_t *label,
                         const void *weight, int64_t outer, int64_t n, int64_t inner, int64_t ignored, bool add)
{
    real *d = gradient;
    const real *g = dy, *w = weight;
    for (int64_t i = 0; i < outer * n * inner && !add; i++) d[i] = 0;
    for (int64_t o = 0; o < outer; o++) {
        for (int64_t i = 0; i < inner; i++) {
            const int64_t row = o * inner + i, c = label[row] - 1;
            if (ignored != 0 && label[row] == ignored) continue;
            d[(o * n + c) * inner + i] -= R(scale * (double)g[one ? 0 : row] * (w ? (double)w[c] : 1));
        }
    }
}

static void multi_margin(void *out, const void *in, const int64_t *label, const void *weight, int64_t rows, int64_t n,
                         int p, double margin)
{
    real *y = out;
    const real *x = in, *w = weight;
    for (int64_t r = 0; r < rows; r++, x += n) {
        const int64_t c = label[r] - 1;
        double sum = 0;
        for (int64_t j = 0; j < n; j++) {
            const double gap = margin - (double)x[c] + (double)x[j];
            if (j != c && !(gap <= 0)) sum += p == 1 ? gap : gap * gap;
        }
        y[r] = R(sum * (w ? (double)w[c] : 1) / (double)n);
    }
}

static void multi_margin_backward(void *gradient, const void *dy, bool one, double scale, const void *in,
                                  const int64_t *label, const void *weight, int64_t rows, int64_t n, int p,
                                  double margin, bool add)
{
    real *d = gradient;
    const real *g = dy, *x = in, *w = weight;
    for (int64_t r = 0; r < rows; r++, x += n, d += n) {
        const int64_t c = label[r] - 1;
        const double unit = scale * (double)g[one ? 0 : r] * (w ? (double)w[c] : 1) / (double)n;
        double sum = 0;
        for (int64_t j = 0; j < n; j++) {
            const double gap = margin - (double)x[c] + (double)x[j];
            const double part = j == c || gap <= 0 ? 0 : p == 1 ? unit : unit * 2 * gap;
            sum += part;
            if (j != c) d[j] = add ? d[j] + R(part) : R(part);
        }
        d[c] = add ? d[c] - R(sum) : R(-sum);
    }
}

/* ---- by rows ------------------------------------------------------------------------------------------- */

typedef struct angle {
    double aa, bb, cosine; /* a·a and b·b with ε */
} angle;

static angle angle_of(const real *a, const real *b, int64_t n)
{
    double aa = 1e-12, bb = 1e-12, ab = 0;
    for (int64_t i = 0; i < n; i++) {
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
        ab += (double)a[i] * (double)b[i];
    }
    return (angle){aa, bb, ab / (sqrt(aa) * sqrt(bb))};
}

static void cosine(void *out, const void *first, const void *second, const void *target, int64_t rows, int64_t n,
                   double margin)
{
    real *y = out;
    const real *a = first, *b = second, *t = target;
    for (int64_t r = 0; r < rows; r++, a += n, b += n) {
        const double c = angle_of(a, b, n).cosine;
        y[r] = R(t[r] > 0 ? 1 - c : c - margin <= 0 ? 0 : c - margin);
    }
}

/* ∂c/∂a = b / √(aa bb) - c a / aa */
static void cosine_backward(void *gradient, const void *dy, bool one, double scale, const void *first,
                            const void *second, const void *target, int64_t rows, int64_t n, double margin, bool add)
{
    real *d = gradient;
    const real *g = dy, *a = first, *b = second, *t = target;
    for (int64_t r = 0; r < rows; r++, a += n, b += n, d += n) {
        const angle v = angle_of(a, b, n);
        const double slope = t[r] > 0 ? -1 : v.cosine - margin <= 0 ? 0 : 1;
        const double unit = slope * scale * (double)g[one ? 0 : r];
        const double by_b = unit / (sqrt(v.aa) * sqrt(v.bb)), by_a = unit * v.cosine / v.aa;
        for (int64_t i = 0; i < n; i++) {
            const real part = R(by_b * (double)b[i] - by_a * (double)a[i]);
            d[i] = add ? d[i] + part : part;
        }
    }
}

extern const sonde_loss_loops REAL_NAME(sonde_loss_table);
const sonde_loss_loops REAL_NAME(sonde_loss_table) = {
    pair, pair_backward, outside, no_sign, no_number, nll, nll_backward, multi_margin, multi_margin_backward, cosine,
    cosine_backward,
};
