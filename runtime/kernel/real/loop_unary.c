#include "kernel/real/loop.h"

#define CASE(OP, EXPRESSION)                                                       \
    case OP:                                                                       \
        SIMD for (size_t i = 0; i < n; i++)                                        \
        {                                                                          \
            const real v = x[i];                                                   \
            y[i] = (EXPRESSION);                                                   \
        }                                                                          \
        break;

void REAL_NAME(loop_unary)(sonde_unary op, void *out, const void *in, size_t n)
{
    real *y = out;
    const real *x = in;
    switch (op) {
        CASE(SONDE_NEG, -v)
        CASE(SONDE_ABS, REAL_MATH(fabs)(v))
        CASE(SONDE_SIGN, v > 0 ? R(1) : v < 0 ? R(-1) : v)
        CASE(SONDE_EXP, REAL_MATH(exp)(v))
        CASE(SONDE_LOG, REAL_MATH(log)(v))
        CASE(SONDE_LOG1P, REAL_MATH(log1p)(v))
        CASE(SONDE_SQRT, REAL_MATH(sqrt)(v))
        CASE(SONDE_RSQRT, 1 / REAL_MATH(sqrt)(v))
        CASE(SONDE_SQUARE, v * v)
        CASE(SONDE_RECIPROCAL, 1 / v)
        CASE(SONDE_SIN, REAL_MATH(sin)(v))
        CASE(SONDE_COS, REAL_MATH(cos)(v))
        CASE(SONDE_ERF, REAL_MATH(erf)(v))
        CASE(SONDE_FLOOR, REAL_MATH(floor)(v))
        CASE(SONDE_CEIL, REAL_MATH(ceil)(v))
        CASE(SONDE_ROUND, REAL_MATH(rint)(v)) /* half to even */
    case SONDE_UNARY_COUNT: break;
    }
}
#undef CASE

/* w: what is read, from x or from y */
#define CASE(OP, READ, EXPRESSION)                                                 \
    case OP:                                                                       \
        SIMD for (size_t i = 0; i < n; i++)                                        \
        {                                                                          \
            const real g = dy[i], w = (READ)[i];                                   \
            const real e = (EXPRESSION);                                           \
            dx[i] = add ? dx[i] + e : e;                                           \
        }                                                                          \
        break;

void REAL_NAME(loop_unary_backward)(sonde_unary op, void *d, const void *gradient, const void *in, const void *out,
                                    size_t n, bool add)
{
    real *dx = d;
    const real *dy = gradient, *x = in, *y = out;
    const real two_over_root_pi = R(1.12837916709551257389615890312154517);
    switch (op) {
        CASE(SONDE_NEG, dy, ((void)w, -g))
        CASE(SONDE_ABS, x, w > 0 ? g : w < 0 ? -g : g * w) /* 0 at 0, NaN at NaN */
        CASE(SONDE_EXP, y, g * w)
        CASE(SONDE_LOG, x, g / w)
        CASE(SONDE_LOG1P, x, g / (1 + w))
        CASE(SONDE_SQRT, y, g / (2 * w))
        CASE(SONDE_RSQRT, y, R(-0.5) * g * (w * w * w))
        CASE(SONDE_SQUARE, x, 2 * g * w)
        CASE(SONDE_RECIPROCAL, y, -g * (w * w))
        CASE(SONDE_SIN, x, g * REAL_MATH(cos)(w))
        CASE(SONDE_COS, x, -g * REAL_MATH(sin)(w))
        CASE(SONDE_ERF, x, g * (two_over_root_pi * REAL_MATH(exp)(-w * w)))
        CASE(SONDE_SIGN, dy, ((void)w, (void)g, 0)) /* steps are flat */
        CASE(SONDE_FLOOR, dy, ((void)w, (void)g, 0))
        CASE(SONDE_CEIL, dy, ((void)w, (void)g, 0))
        CASE(SONDE_ROUND, dy, ((void)w, (void)g, 0))
    case SONDE_UNARY_COUNT: break;
    }
}

void REAL_NAME(loop_clamp)(void *out, const void *in, size_t n, double low, double high)
{
    real *y = out;
    const real *x = in, lo = R(low), hi = R(high);
    SIMD for (size_t i = 0; i < n; i++)
    {
        real v = x[i] < lo ? lo : x[i];
        y[i] = v > hi ? hi : v;
    }
}

void REAL_NAME(loop_clamp_backward)(void *d, const void *gradient, const void *in, size_t n, double low, double high,
                                    bool add)
{
    real *dx = d;
    const real *dy = gradient, *x = in, lo = R(low), hi = R(high);
    SIMD for (size_t i = 0; i < n; i++)
    {
        const real e = x[i] < lo || x[i] > hi ? 0 : dy[i];
        dx[i] = add ? dx[i] + e : e;
    }
}
