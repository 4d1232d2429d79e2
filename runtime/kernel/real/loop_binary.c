#include "kernel/real/loop.h"

/* ---- forward -------------------------------------------------------------------------------------------- */

/* One row: u from a, v from b. The strides of contiguous and broadcast rows are constants, so these become vectors. */
#define ROW(NAME, TYPE, EXPRESSION)                                                                               \
    static void NAME(TYPE *y, const real *a, const real *b, int64_t n, int64_t sy, int64_t sa, int64_t sb)        \
    {                                                                                                             \
        if (sy == 1 && sa == 1 && sb == 1) {                                                                      \
            SIMD for (int64_t i = 0; i < n; i++) { const real u = a[i], v = b[i]; y[i] = (EXPRESSION); }          \
        } else if (sy == 1 && sa == 1 && sb == 0) {                                                               \
            const real v = *b;                                                                                    \
            SIMD for (int64_t i = 0; i < n; i++) { const real u = a[i]; y[i] = (EXPRESSION); }                    \
        } else if (sy == 1 && sa == 0 && sb == 1) {                                                               \
            const real u = *a;                                                                                    \
            SIMD for (int64_t i = 0; i < n; i++) { const real v = b[i]; y[i] = (EXPRESSION); }                    \
        } else {                                                                                                  \
            for (int64_t i = 0; i < n; i++) { const real u = a[i * sa], v = b[i * sb]; y[i * sy] = (EXPRESSION); } \
        }                                                                                                         \
    }

ROW(add_row, real, u + v)
ROW(sub_row, real, u - v)
ROW(mul_row, real, u * v)
ROW(div_row, real, u / v)
ROW(any_pow_row, real, REAL_MATH(pow)(u, v))
ROW(maximum_row, real, u > v || u != u ? u : v) /* a NaN on either side wins */
ROW(minimum_row, real, u < v || u != u ? u : v)
ROW(lt_row, int64_t, u < v)
ROW(le_row, int64_t, u <= v)
ROW(gt_row, int64_t, u > v)
ROW(ge_row, int64_t, u >= v)
ROW(eq_row, int64_t, u == v)
ROW(ne_row, int64_t, u != v)

/* The exponents people write are exact products. */
static void pow_row(real *y, const real *a, const real *b, int64_t n, int64_t sy, int64_t sa, int64_t sb)
{
    if (sb == 0 && *b == R(2)) {
        for (int64_t i = 0; i < n; i++) y[i * sy] = a[i * sa] * a[i * sa];
    } else if (sb == 0 && *b == R(3)) {
        for (int64_t i = 0; i < n; i++) y[i * sy] = a[i * sa] * a[i * sa] * a[i * sa];
    } else {
        any_pow_row(y, a, b, n, sy, sa, sb);
    }
}

void REAL_NAME(loop_binary)(sonde_binary op, void *y, const void *a, const void *b, const sonde_loop *loop)
{
    static void (*const rows[])(real *, const real *, const real *, int64_t, int64_t, int64_t, int64_t) = {
        [SONDE_ADD] = add_row, [SONDE_SUB] = sub_row, [SONDE_MUL] = mul_row, [SONDE_DIV] = div_row,
        [SONDE_POW] = pow_row, [SONDE_MAXIMUM] = maximum_row, [SONDE_MINIMUM] = minimum_row,
    };
    for (loop_walk w = walk_start(loop); w.left > 0; walk_next(loop, &w))
        rows[op]((real *)y + w.at[0], (const real *)a + w.at[1], (const real *)b + w.at[2], w.n, w.step[0], w.step[1],
                 w.step[2]);
}

void REAL_NAME(loop_compare)(sonde_binary op, int64_t *y, const void *a, const void *b, const sonde_loop *loop)
{
    static void (*const rows[])(int64_t *, const real *, const real *, int64_t, int64_t, int64_t, int64_t) = {
        [SONDE_LT] = lt_row, [SONDE_LE] = le_row, [SONDE_GT] = gt_row,
        [SONDE_GE] = ge_row, [SONDE_EQ] = eq_row, [SONDE_NE] = ne_row,
    };
    for (loop_walk w = walk_start(loop); w.left > 0; walk_next(loop, &w))
        rows[op](y + w.at[0], (const real *)a + w.at[1], (const real *)b + w.at[2], w.n, w.step[0], w.step[1],
                 w.step[2]);
}

/* ---- backward ------------------------------------------------------------------------------------------- */

typedef struct gradient_row {
    real *d;
    const real *dy, *a, *b;
    int64_t n, sd, sg, sa, sb;
} gradient_row;

/* g: incoming, u from a, v from b */
#define GRADIENT(NAME, EXPRESSION)                                                                     \
    static void NAME(const gradient_row *r, bool add)                                                  \
    {                                                                                                  \
        real *d = r->d;                                                                                \
        const real *dy = r->dy, *a = r->a, *b = r->b;                                                  \
        if (r->sd == 1 && r->sg == 1 && r->sa == 1 && r->sb == 1) {                                    \
            SIMD for (int64_t i = 0; i < r->n; i++) {                                                  \
                const real g = dy[i], u = a[i], v = b[i];                                              \
                const real e = (EXPRESSION);                                                           \
                d[i] = add ? d[i] + e : e;                                                             \
            }                                                                                          \
        } else {                                                                                       \
            for (int64_t i = 0; i < r->n; i++) {                                                       \
                const real g = dy[i * r->sg], u = a[i * r->sa], v = b[i * r->sb];                      \
                const real e = (EXPRESSION);                                                           \
                d[i * r->sd] = add ? d[i * r->sd] + e : e;                                             \
            }                                                                                          \
        }                                                                                              \
    }
#define UNUSED(w) (void)(w)

GRADIENT(mul_to_a, (UNUSED(u), g * v))
GRADIENT(mul_to_b, (UNUSED(v), g * u))
GRADIENT(div_to_a, (UNUSED(u), g / v))
GRADIENT(div_to_b, -g * ((u / v) / v))
GRADIENT(pow_to_a, v == 0 ? 0 : g * (v * REAL_MATH(pow)(u, v - 1)))
GRADIENT(pow_to_b, u == 0 && v >= 0 ? 0 : g * (REAL_MATH(pow)(u, v) * REAL_MATH(log)(u)))
GRADIENT(maximum_to_a, u == v ? g / 2 : u < v ? 0 : g)
GRADIENT(maximum_to_b, u == v ? g / 2 : v < u ? 0 : g)
GRADIENT(minimum_to_a, u == v ? g / 2 : u > v ? 0 : g)
GRADIENT(minimum_to_b, u == v ? g / 2 : v > u ? 0 : g)

void REAL_NAME(loop_binary_backward)(sonde_binary op, int side, void *d, const void *dy, const void *a, const void *b,
                                     const sonde_loop *loop, bool add)
{
    static void (*const rows[][2])(const gradient_row *, bool) = {
        [SONDE_MUL] = {mul_to_a, mul_to_b},         [SONDE_DIV] = {div_to_a, div_to_b},
        [SONDE_POW] = {pow_to_a, pow_to_b},         [SONDE_MAXIMUM] = {maximum_to_a, maximum_to_b},
        [SONDE_MINIMUM] = {minimum_to_a, minimum_to_b},
    };
    for (loop_walk w = walk_start(loop); w.left > 0; walk_next(loop, &w)) {
        gradient_row r = {(real *)d + w.at[0], (const real *)dy + w.at[1], (const real *)a + w.at[2],
                          (const real *)b + w.at[3], w.n, w.step[0], w.step[1], w.step[2], w.step[3]};
        rows[op][side](&r, add);
    }
}

/* ---- scaled sums and choices ---------------------------------------------------------------------------- */

static void accumulate_row(real *y, const real *x, real scale, int64_t n, int64_t sy, int64_t sx, bool add)
{
    if (sy == 1 && sx == 1 && add) {
        SIMD for (int64_t i = 0; i < n; i++) y[i] += scale * x[i];
    } else if (sy == 1 && sx == 1) {
        SIMD for (int64_t i = 0; i < n; i++) y[i] = scale * x[i];
    } else if (sy == 1 && sx == 0) {
        const real v = scale * *x;
        SIMD for (int64_t i = 0; i < n; i++) y[i] = add ? y[i] + v : v;
    } else {
        for (int64_t i = 0; i < n; i++) y[i * sy] = add ? y[i * sy] + scale * x[i * sx] : scale * x[i * sx];
    }
}

void REAL_NAME(loop_accumulate)(void *y, const void *x, double scale, const sonde_loop *loop, bool add)
{
    for (loop_walk w = walk_start(loop); w.left > 0; walk_next(loop, &w))
        accumulate_row((real *)y + w.at[0], (const real *)x + w.at[1], R(scale), w.n, w.step[0], w.step[1], add);
}

void REAL_NAME(loop_where)(void *y, const int64_t *condition, const void *a, const void *b, const sonde_loop *loop)
{
    for (loop_walk w = walk_start(loop); w.left > 0; walk_next(loop, &w)) {
        real *out = (real *)y + w.at[0];
        const int64_t *c = condition + w.at[1];
        const real *u = (const real *)a + w.at[2], *v = (const real *)b + w.at[3];
        for (int64_t i = 0; i < w.n; i++) out[i * w.step[0]] = c[i * w.step[1]] ? u[i * w.step[2]] : v[i * w.step[3]];
    }
}
