#include "kernel/real/loop.h"

/* A fiber is the n elements x[i * s] over which something is reduced. */

/* Σ EXPRESSION over a fiber; v is the element. Contiguous fibers run in lanes. */
#define SUM_FIBER(TOTAL, EXPRESSION)                                                                     \
    do {                                                                                                 \
        if (s == 1) {                                                                                    \
            SUM_ROW(TOTAL, n, __extension__({ const double v = (double)x[i]; (EXPRESSION); }));          \
        } else {                                                                                         \
            SUM_ROW(TOTAL, n, __extension__({ const double v = (double)x[i * s]; (EXPRESSION); }));      \
        }                                                                                                \
    } while (0)

static double sum_fiber(const real *x, int64_t n, int64_t s)
{
    double total = 0;
    SUM_FIBER(total, v);
    return total;
}

static double variance_fiber(const real *x, int64_t n, int64_t s, double correction)
{
    const double mean = sum_fiber(x, n, s) / (double)n;
    double total = 0;
    SUM_FIBER(total, (v - mean) * (v - mean));
    const double freedom = (double)n - correction;
    return total / (freedom > 0 ? freedom : 0); /* 0/0 where nothing is left: NaN, as PyTorch */
}

static double abs_max_fiber(const real *x, int64_t n, int64_t s)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++) {
        const double v = fabs((double)x[i * s]);
        if (v > most || v != v) most = v;
        if (v != v) break;
    }
    return most;
}

static double abs_min_fiber(const real *x, int64_t n, int64_t s)
{
    double least = (double)INFINITY;
    for (int64_t i = 0; i < n; i++) {
        const double v = fabs((double)x[i * s]);
        if (v < least || v != v) least = v;
        if (v != v) break;
    }
    return least;
}

/* ‖x‖₂: squares of float64 may overflow or vanish; then once more, scaled by the largest. */
static double l2_fiber(const real *x, int64_t n, int64_t s)
{
    double total = 0;
    SUM_FIBER(total, v * v);
    if (total > 0x1p-960 && total <= DBL_MAX) return sqrt(total);
    const double scale = abs_max_fiber(x, n, s);
    if (!(scale > 0 && scale <= DBL_MAX)) return scale; /* 0, infinite or NaN */
    total = 0;
    SUM_FIBER(total, (v / scale) * (v / scale));
    return scale * sqrt(total);
}

static double norm_fiber(const real *x, int64_t n, int64_t s, double order)
{
    double total = 0;
    if (order == 2) return l2_fiber(x, n, s);
    if (order == (double)INFINITY) return abs_max_fiber(x, n, s);
    if (order == (double)-INFINITY) return abs_min_fiber(x, n, s);
    if (order == 1) {
        SUM_FIBER(total, fabs(v));
        return total;
    }
    if (order == 0) {
        SUM_FIBER(total, v != 0);
        return total;
    }
    SUM_FIBER(total, pow(fabs(v), order));
    return pow(total, 1 / order);
}

static double logsumexp_fiber(const real *x, int64_t n, int64_t s)
{
    double most = -(double)INFINITY;
    for (int64_t i = 0; i < n; i++) {
        if ((double)x[i * s] > most) most = (double)x[i * s];
        if (x[i * s] != x[i * s]) return (double)NAN;
    }
    if (isinf(most)) return most;
    double total = 0;
    SUM_FIBER(total, exp(v - most));
    return most + log(total);
}

static double product_fiber(const real *x, int64_t n, int64_t s)
{
    double total = 1;
    for (int64_t i = 0; i < n; i++) total *= (double)x[i * s];
    return total;
}

static double reduce_fiber(sonde_reduction op, const real *x, int64_t n, int64_t s, double order)
{
    switch (op) {
    case SONDE_SUM: return sum_fiber(x, n, s);
    case SONDE_MEAN: return sum_fiber(x, n, s) / (double)n;
    case SONDE_VAR: return variance_fiber(x, n, s, order);
    case SONDE_STD: return sqrt(variance_fiber(x, n, s, order));
    case SONDE_NORM: return norm_fiber(x, n, s, order);
    case SONDE_LOGSUMEXP: return logsumexp_fiber(x, n, s);
    case SONDE_PROD: return product_fiber(x, n, s);
    case SONDE_REDUCTION_COUNT: break;
    }
    return (double)NAN;
}

/* y[k] = scale * Σ_j x[j, k]: down the columns, a stripe of them at a time, rows in blocks of 512. */
static void sum_columns(real *y, const real *x, int64_t n, int64_t inner, double divisor)
{
    enum { STRIPE = 64, ROWS = 512 };
    for (int64_t first = 0; first < inner; first += STRIPE) {
        const int width = inner - first < STRIPE ? (int)(inner - first) : STRIPE;
        double total[STRIPE] = {0};
        for (int64_t block = 0; block < n; block += ROWS) {
            const int64_t end = block + ROWS < n ? block + ROWS : n;
            double part[STRIPE] = {0};
            for (int64_t j = block; j < end; j++) {
                const real *row = x + j * inner + first;
                if (width == STRIPE) {
                    SIMD for (int k = 0; k < STRIPE; k++) part[k] += (double)row[k];
                } else {
                    SIMD for (int k = 0; k < width; k++) part[k] += (double)row[k];
                }
            }
            for (int k = 0; k < width; k++) total[k] += part[k];
        }
        for (int k = 0; k < width; k++) y[first + k] = R(total[k] / divisor);
    }
}

void REAL_NAME(loop_reduce)(sonde_reduction op, void *out, const void *in, int64_t outer, int64_t n, int64_t inner,
                            double order)
{
    real *y = out;
    const real *x = in;
    for (int64_t o = 0; o < outer; o++, x += n * inner, y += inner) {
        if (inner > 1 && (op == SONDE_SUM || op == SONDE_MEAN)) {
            sum_columns(y, x, n, inner, op == SONDE_MEAN ? (double)n : 1);
        } else {
            for (int64_t k = 0; k < inner; k++) y[k] = R(reduce_fiber(op, x + k, n, inner, order));
        }
    }
}

/* ---- backward ------------------------------------------------------------------------------------------- */

/* dx[i * s] (+)= EXPRESSION; v is the element */
#define SPREAD(...)                                               \
    for (int64_t i = 0; i < n; i++) {                             \
        const double v = (double)x[i * s];                        \
        const real e = R((__VA_ARGS__));                          \
        dx[i * s] = add ? dx[i * s] + e : e;                      \
    }

static double sign(double v) { return (v > 0) - (v < 0); }

/* ∂‖x‖/∂x. At x = 0 the subgradient 0, as PyTorch; the infinity norm shares evenly among the extremes. */
static void norm_backward(real *dx, double g, const real *x, double y, int64_t n, int64_t s, double order, bool add)
{
    if (order == 0 || (y == 0 && !isinf(order))) {
        SPREAD((void)v, 0)
    } else if (order == 2) {
        SPREAD(g * (v / y))
    } else if (order == 1) {
        SPREAD(g * sign(v))
    } else if (isinf(order)) {
        int64_t ties = 0;
        for (int64_t i = 0; i < n; i++) ties += (real)fabs((double)x[i * s]) == (real)y;
        SPREAD((real)fabs(v) == (real)y ? g * sign(v) / (double)ties : 0)
    } else {
        SPREAD(v == 0 ? 0 : g * sign(v) * pow(fabs(v) / y, order - 1))
    }
}

/* ∂Πx/∂x_i is the product of the others: with one zero only its own derivative is left, with two none. */
static void product_backward(real *dx, double g, const real *x, int64_t n, int64_t s, bool add)
{
    double others = 1;
    int64_t zeros = 0;
    for (int64_t i = 0; i < n; i++) {
        if (x[i * s] == 0) zeros++;
        else others *= (double)x[i * s];
    }
    if (zeros == 0) {
        SPREAD(g * others / v)
    } else {
        SPREAD(zeros == 1 && v == 0 ? g * others : 0)
    }
}

static void reduce_backward_fiber(sonde_reduction op, real *dx, double g, const real *x, double y, int64_t n, int64_t s,
                                  double order, bool add)
{
    const double freedom = (double)n - order;
    double mean;
    switch (op) {
    case SONDE_VAR: /* 2 (x - mean)/(n - correction) */
        mean = sum_fiber(x, n, s) / (double)n;
        SPREAD(g * 2 * (v - mean) / (freedom > 0 ? freedom : 0))
        break;
    case SONDE_STD: /* (x - mean)/((n - correction) std); 0 at std 0, as PyTorch */
        mean = sum_fiber(x, n, s) / (double)n;
        SPREAD(y == 0 ? 0 : g * (v - mean) / ((freedom > 0 ? freedom : 0) * y))
        break;
    case SONDE_NORM: norm_backward(dx, g, x, y, n, s, order, add); break;
    case SONDE_LOGSUMEXP: /* the softmax; where all is -inf, x - y is NaN and the share 0 */
        SPREAD(isinf(y) && v == y ? (y < 0 ? 0 : (double)NAN) : g * exp(v - y))
        break;
    case SONDE_PROD: product_backward(dx, g, x, n, s, add); break;
    case SONDE_SUM:
    case SONDE_MEAN: /* a broadcast: accumulate does it */
    case SONDE_REDUCTION_COUNT: break;
    }
}

void REAL_NAME(loop_reduce_backward)(sonde_reduction op, void *d, const void *gradient, const void *in, const void *out,
                                     int64_t outer, int64_t n, int64_t inner, double order, bool add)
{
    real *dx = d;
    const real *dy = gradient, *x = in, *y = out;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t k = 0; k < inner; k++) {
            const int64_t at = o * n * inner + k, reduced = o * inner + k;
            reduce_backward_fiber(op, dx + at, (double)dy[reduced], x + at, (double)y[reduced], n, inner, order, add);
        }
}

/* ---- extremes, running sums ------------------------------------------------------------------------------ */

static int64_t extreme_of(bool maximum, const real *x, int64_t n, int64_t s)
{
    int64_t best = 0;
    for (int64_t i = 0; i < n; i++) {
        const real v = x[i * s];
        if (v != v) return i;
        if (maximum ? v > x[best * s] : v < x[best * s]) best = i;
    }
    return best;
}

void REAL_NAME(loop_extremum)(bool maximum, void *out, int64_t *index, const void *in, int64_t outer, int64_t n,
                              int64_t inner)
{
    real *y = out;
    const real *x = in;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t k = 0; k < inner; k++) {
            const real *fiber = x + o * n * inner + k;
            const int64_t best = extreme_of(maximum, fiber, n, inner);
            y[o * inner + k] = fiber[best * inner];
            if (index) index[o * inner + k] = best + 1;
        }
}

void REAL_NAME(loop_extremum_backward)(void *d, const void *gradient, const void *in, const void *out, size_t n,
                                       bool add)
{
    real *dx = d;
    const real *dy = gradient, *x = in, y = *(const real *)out;
    size_t ties = 0;
    for (size_t i = 0; i < n; i++) ties += x[i] == y || (y != y && x[i] != x[i]);
    const real share = *dy / R(ties);
    for (size_t i = 0; i < n; i++) {
        const real e = x[i] == y || (y != y && x[i] != x[i]) ? share : 0;
        dx[i] = add ? dx[i] + e : e;
    }
}

void REAL_NAME(loop_cumsum)(void *out, const void *in, int64_t outer, int64_t n, int64_t inner, bool reversed, bool add)
{
    for (int64_t o = 0; o < outer; o++)
        for (int64_t k = 0; k < inner; k++) {
            real *y = (real *)out + o * n * inner + k;
            const real *x = (const real *)in + o * n * inner + k;
            double total = 0;
            for (int64_t j = 0; j < n; j++) {
                const int64_t at = (reversed ? n - 1 - j : j) * inner;
                total += (double)x[at];
                y[at] = add ? y[at] + R(total) : R(total);
            }
        }
}
