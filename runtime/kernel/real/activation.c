/* Activations, one row each: value and derivative as expressions. The derivative is written in the output where it can
 * be had from it (sonde_activation_uses_output), else in the input. Values at ±100 are right and NaN stays NaN; the
 * derivative at a kink is PyTorch's. Vector loops call the vector maths library; what does not fill a vector goes
 * through a padded copy, so that an element's bits depend on its value alone and not on its place.
 */
#include "kernel/real/kernels.h"
#include "kernel/real/logistic.h"
#include "kernel/real/real.h"

#include <string.h>

enum { STRIP = 64 }; /* the loops below take multiples of this many elements */

/* A gate passes the gradient or stops it: a stopped gradient is 0 even if it is infinite or NaN. */
#define ACTIVATION(name, value, derivative, is_gate)                                                                   \
    static void name##_forward(real *y, const real *inputs, size_t n, real a, real b)                                  \
    {                                                                                                                  \
        _Pragma("omp simd") for (size_t i = 0; i < n; i++)                                                             \
        {                                                                                                              \
            real x = inputs[i];                                                                                        \
            y[i] = value;                                                                                              \
        }                                                                                                              \
    }                                                                                                                  \
    static void name##_slope(real *slope, const real *v, size_t n, real a, real b)                                     \
    {                                                                                                                  \
        _Pragma("omp simd") for (size_t i = 0; i < n; i++)                                                             \
        {                                                                                                              \
            real x = v[i], y = x;                                                                                      \
            (void)x, (void)y;                                                                                          \
            slope[i] = derivative;                                                                                     \
        }                                                                                                              \
    }                                                                                                                  \
    static void name##_backward(real *dx, const real *dy, const real *v, size_t n, real a, real b, bool add)           \
    {                                                                                                                  \
        _Pragma("omp simd") for (size_t i = 0; i < n; i++)                                                             \
        {                                                                                                              \
            real x = v[i], y = x;                                                                                      \
            (void)x, (void)y;                                                                                          \
            real slope = derivative, gradient = is_gate && slope == 0 ? 0 : dy[i] * slope;                             \
            dx[i] = add ? dx[i] + gradient : gradient;                                                                 \
        }                                                                                                              \
    }

#define EXP REAL_MATH(exp)
#define ABS REAL_MATH(fabs)

static inline real softplus(real x)
{
    return (x > 0 ? x : R(0)) + REAL_MATH(log1p)(EXP(-ABS(x)));
}

static inline real gelu_derivative(real x)
{
    real density = R(0.3989422804014326779) * EXP(R(-0.5) * x * x); /* of the normal distribution */
    return R(0.5) * REAL_MATH(erfc)(x * R(-0.70710678118654752440)) + x * density;
}

#define GELU_SCALE R(0.79788456080286535588) /* sqrt(2/pi) */
#define GELU_CUBIC R(0.044715)
static inline real gelu_tanh_inner(real x) { return REAL_MATH(tanh)(GELU_SCALE * (x + GELU_CUBIC * x * x * x)); }

static inline real gelu_tanh_derivative(real x)
{
    real t = gelu_tanh_inner(x), sech2 = (1 - t) * (1 + t);
    real tail = R(0.5) * x * sech2 * GELU_SCALE * (1 + 3 * GELU_CUBIC * x * x);
    return R(0.5) * (1 + t) + (sech2 == 0 ? R(0) : tail); /* x² may overflow where sech² is long 0 */
}

static inline real silu_derivative(real x)
{
    real s = logistic(x);
    return s * (1 + x * logistic(-x));
}

/* tanh(softplus(x)) = t and 1 - t, without a logarithm: with e = e^-|x|, t = (1 + 2e)/(1 + 2e + 2e²) for x >= 0 and
 * e(e + 2)/(e(e + 2) + 2) below. */
static inline real mish_gate(real x, real *rest)
{
    real e = EXP(-ABS(x)), top = x >= 0 ? 1 + 2 * e : e * (e + 2), left = x >= 0 ? 2 * e * e : R(2);
    *rest = left / (top + left);
    return top / (top + left);
}

static inline real mish(real x)
{
    real rest;
    return x * mish_gate(x, &rest);
}

static inline real mish_derivative(real x)
{
    real rest, t = mish_gate(x, &rest);
    return t + x * logistic(x) * rest * (1 + t);
}

#define SELU_ALPHA R(1.6732632423543772848)
#define SELU_SCALE R(1.0507009873554804934)

/* in the output y */
ACTIVATION(sigmoid, logistic(x), (1 - y) * y, false)
ACTIVATION(tanh, REAL_MATH(tanh)(x), 1 - y * y, false)
ACTIVATION(relu, x <= 0 ? R(0) : x, y <= 0 ? R(0) : R(1), true)
ACTIVATION(hardtanh, x < a ? a : x > b ? b : x, y <= a || y >= b ? R(0) : R(1), true)
/* in the input x (LeakyReLU: in either, unless a < 0) */
ACTIVATION(leaky_relu, x > 0 ? x : a * x, x > 0 ? R(1) : a, false)
ACTIVATION(elu, x > 0 ? x : a * REAL_MATH(expm1)(x), x > 0 ? R(1) : a * EXP(x), false)
ACTIVATION(selu, SELU_SCALE * (x > 0 ? x : SELU_ALPHA * REAL_MATH(expm1)(x)),
           x > 0 ? SELU_SCALE : SELU_SCALE * SELU_ALPHA * EXP(x), false)
ACTIVATION(gelu, R(0.5) * x * REAL_MATH(erfc)(x * R(-0.70710678118654752440)), gelu_derivative(x), false)
ACTIVATION(gelu_tanh, R(0.5) * x * (1 + gelu_tanh_inner(x)), gelu_tanh_derivative(x), false)
ACTIVATION(silu, x * logistic(x), silu_derivative(x), false)
ACTIVATION(softplus, a * x > b ? x : softplus(a * x) / a, a * x > b ? R(1) : logistic(a * x), false)
ACTIVATION(softsign, x / (1 + ABS(x)), 1 / ((1 + ABS(x)) * (1 + ABS(x))), false)
ACTIVATION(celu, x > 0 ? x : a * REAL_MATH(expm1)(x / a), x > 0 ? R(1) : EXP(x / a), false)
ACTIVATION(mish, mish(x), mish_derivative(x), false)
ACTIVATION(hardsigmoid, x < -3 ? R(0) : x > 3 ? R(1) : (x + 3) / 6, x > -3 && x < 3 ? 1 / R(6) : R(0), true)
ACTIVATION(hardswish, x < -3 ? R(0) : x >= 3 ? x : x * ((x + 3) / 6), x < -3 ? R(0) : x >= 3 ? R(1) : x / 3 + R(0.5), true)
ACTIVATION(logsigmoid, -softplus(-x), logistic(-x), false)
ACTIVATION(threshold, x <= a ? b : x, x <= a ? R(0) : R(1), true)
ACTIVATION(tanhshrink, x - REAL_MATH(tanh)(x), REAL_MATH(tanh)(x) * REAL_MATH(tanh)(x), false)
ACTIVATION(sine, REAL_MATH(sin)(x), REAL_MATH(cos)(x), false)

#define ROW(name) {name##_forward, name##_backward, name##_slope}
static const struct {
    void (*forward)(real *y, const real *x, size_t n, real a, real b);
    void (*backward)(real *dx, const real *dy, const real *v, size_t n, real a, real b, bool add);
    void (*slope)(real *slope, const real *v, size_t n, real a, real b);
} rows[SONDE_ACTIVATION_COUNT] = {
    [SONDE_SIGMOID] = ROW(sigmoid),   [SONDE_TANH] = ROW(tanh),         [SONDE_RELU] = ROW(relu),
    [SONDE_LEAKY_RELU] = ROW(leaky_relu), [SONDE_ELU] = ROW(elu),       [SONDE_SELU] = ROW(selu),
    [SONDE_GELU] = ROW(gelu),         [SONDE_GELU_TANH] = ROW(gelu_tanh), [SONDE_SILU] = ROW(silu),
    [SONDE_SOFTPLUS] = ROW(softplus), [SONDE_SOFTSIGN] = ROW(softsign), [SONDE_HARDTANH] = ROW(hardtanh),
    [SONDE_CELU] = ROW(celu),         [SONDE_MISH] = ROW(mish),         [SONDE_HARDSIGMOID] = ROW(hardsigmoid),
    [SONDE_HARDSWISH] = ROW(hardswish), [SONDE_LOGSIGMOID] = ROW(logsigmoid), [SONDE_THRESHOLD] = ROW(threshold),
    [SONDE_TANHSHRINK] = ROW(tanhshrink), [SONDE_SINE] = ROW(sine),
};

/* Copies the n < STRIP elements that are left over, filled up with zeros. */
static void pad(real out[STRIP], const real *in, size_t n)
{
    memset(out, 0, STRIP * sizeof *out);
    memcpy(out, in, n * sizeof *out);
}

void REAL_NAME(sonde_activation_forward)(const sonde_activation *activation, real *y, const real *x, size_t n)
{
    real a = (real)activation->a, b = (real)activation->b, left[STRIP];
    size_t strips = n / STRIP * STRIP, rest = n - strips;
    rows[activation->kind].forward(y, x, strips, a, b);
    if (rest == 0) return;
    pad(left, x + strips, rest);
    rows[activation->kind].forward(left, left, STRIP, a, b);
    memcpy(y + strips, left, rest * sizeof *y);
}

void REAL_NAME(sonde_activation_slope)(const sonde_activation *activation, real *slope, const real *v, size_t n)
{
    real a = (real)activation->a, b = (real)activation->b, left[STRIP];
    size_t strips = n / STRIP * STRIP, rest = n - strips;
    rows[activation->kind].slope(slope, v, strips, a, b);
    if (rest == 0) return;
    pad(left, v + strips, rest);
    rows[activation->kind].slope(left, left, STRIP, a, b);
    memcpy(slope + strips, left, rest * sizeof *slope);
}

void REAL_NAME(sonde_activation_backward)(const sonde_activation *activation, real *dx, const real *dy, const real *v,
                                          size_t n, bool add)
{
    real a = (real)activation->a, b = (real)activation->b, left_dx[STRIP], left_dy[STRIP], left_v[STRIP];
    size_t strips = n / STRIP * STRIP, rest = n - strips;
    rows[activation->kind].backward(dx, dy, v, strips, a, b, add);
    if (rest == 0) return;
    pad(left_dy, dy + strips, rest);
    pad(left_v, v + strips, rest);
    if (add) pad(left_dx, dx + strips, rest);
    rows[activation->kind].backward(left_dx, left_dy, left_v, STRIP, a, b, add);
    memcpy(dx + strips, left_dx, rest * sizeof *dx);
}
