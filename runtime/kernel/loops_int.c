#include "kernel/loops.h"
#include "kernel/walk.h"

/* The operators int64 has. Arithmetic wraps around, as PyTorch's does. */

static int64_t wrap_add(int64_t u, int64_t v) { return (int64_t)((uint64_t)u + (uint64_t)v); }
static int64_t wrap_sub(int64_t u, int64_t v) { return (int64_t)((uint64_t)u - (uint64_t)v); }
static int64_t wrap_mul(int64_t u, int64_t v) { return (int64_t)((uint64_t)u * (uint64_t)v); }

/* u^v for v >= 0 (checked by the caller: negative powers are no integers). */
static int64_t wrap_pow(int64_t u, int64_t v)
{
    int64_t result = 1;
    for (; v > 0; v >>= 1, u = wrap_mul(u, u))
        if (v & 1) result = wrap_mul(result, u);
    return result;
}

static int64_t apply(sonde_binary op, int64_t u, int64_t v)
{
    switch (op) {
    case SONDE_ADD: return wrap_add(u, v);
    case SONDE_SUB: return wrap_sub(u, v);
    case SONDE_MUL: return wrap_mul(u, v);
    case SONDE_POW: return wrap_pow(u, v);
    case SONDE_MAXIMUM: return u > v ? u : v;
    case SONDE_MINIMUM: return u < v ? u : v;
    case SONDE_LT: return u < v;
    case SONDE_LE: return u <= v;
    case SONDE_GT: return u > v;
    case SONDE_GE: return u >= v;
    case SONDE_EQ: return u == v;
    case SONDE_NE: return u != v;
    default: return 0; /* DIV is a float's */
    }
}

static void binary(sonde_binary op, void *y, const void *a, const void *b, const sonde_loop *loop)
{
    for (loop_walk w = walk_start(loop); w.left > 0; walk_next(loop, &w)) {
        int64_t *out = (int64_t *)y + w.at[0];
        const int64_t *u = (const int64_t *)a + w.at[1], *v = (const int64_t *)b + w.at[2];
        for (int64_t i = 0; i < w.n; i++) out[i * w.step[0]] = apply(op, u[i * w.step[1]], v[i * w.step[2]]);
    }
}

static void compare(sonde_binary op, int64_t *y, const void *a, const void *b, const sonde_loop *loop)
{
    binary(op, y, a, b, loop);
}

static void unary(sonde_unary op, void *out, const void *in, size_t n)
{
    int64_t *y = out;
    const int64_t *x = in;
    for (size_t i = 0; i < n; i++) {
        const int64_t v = x[i];
        switch (op) {
        case SONDE_NEG: y[i] = wrap_sub(0, v); break;
        case SONDE_ABS: y[i] = v < 0 ? wrap_sub(0, v) : v; break;
        case SONDE_SIGN: y[i] = (v > 0) - (v < 0); break;
        case SONDE_SQUARE: y[i] = wrap_mul(v, v); break;
        default: y[i] = v; break; /* FLOOR, CEIL, ROUND */
        }
    }
}

static void clamp(void *out, const void *in, size_t n, double low, double high)
{
    const int64_t lo = sonde_to_int64(low), hi = sonde_to_int64(high);
    for (size_t i = 0; i < n; i++) {
        const int64_t v = ((const int64_t *)in)[i] < lo ? lo : ((const int64_t *)in)[i];
        ((int64_t *)out)[i] = v > hi ? hi : v;
    }
}

static void where(void *y, const int64_t *condition, const void *a, const void *b, const sonde_loop *loop)
{
    for (loop_walk w = walk_start(loop); w.left > 0; walk_next(loop, &w)) {
        int64_t *out = (int64_t *)y + w.at[0];
        const int64_t *c = condition + w.at[1], *u = (const int64_t *)a + w.at[2], *v = (const int64_t *)b + w.at[3];
        for (int64_t i = 0; i < w.n; i++) out[i * w.step[0]] = c[i * w.step[1]] ? u[i * w.step[2]] : v[i * w.step[3]];
    }
}

/* SUM and PROD; the others are a float's. */
static void reduce(sonde_reduction op, void *y, const void *x, int64_t outer, int64_t n, int64_t inner, double order)
{
    for (int64_t o = 0; o < outer; o++)
        for (int64_t k = 0; k < inner; k++) {
            const int64_t *fiber = (const int64_t *)x + o * n * inner + k;
            int64_t total = op == SONDE_PROD;
            for (int64_t j = 0; j < n; j++)
                total = op == SONDE_PROD ? wrap_mul(total, fiber[j * inner]) : wrap_add(total, fiber[j * inner]);
            ((int64_t *)y)[o * inner + k] = total;
        }
}

static void extremum(bool maximum, void *y, int64_t *index, const void *x, int64_t outer, int64_t n, int64_t inner)
{
    for (int64_t o = 0; o < outer; o++)
        for (int64_t k = 0; k < inner; k++) {
            const int64_t *fiber = (const int64_t *)x + o * n * inner + k;
            int64_t best = 0;
            for (int64_t j = 1; j < n; j++)
                if (maximum ? fiber[j * inner] > fiber[best * inner] : fiber[j * inner] < fiber[best * inner]) best = j;
            ((int64_t *)y)[o * inner + k] = fiber[best * inner];
            if (index) index[o * inner + k] = best + 1;
        }
}

static void cumsum(void *out, const void *in, int64_t outer, int64_t n, int64_t inner, bool reversed, bool add)
{
    for (int64_t o = 0; o < outer; o++)
        for (int64_t k = 0; k < inner; k++) {
            int64_t total = 0;
            for (int64_t j = 0; j < n; j++) {
                const int64_t at = (o * n + (reversed ? n - 1 - j : j)) * inner + k;
                total = wrap_add(total, ((const int64_t *)in)[at]);
                ((int64_t *)out)[at] = add ? wrap_add(((int64_t *)out)[at], total) : total;
            }
        }
}

static void gather(void *y, const void *x, const int64_t *index, int64_t stride, const sonde_loop *loop)
{
    for (loop_walk w = walk_start(loop); w.left > 0; walk_next(loop, &w)) {
        int64_t *out = (int64_t *)y + w.at[0];
        const int64_t *in = (const int64_t *)x + w.at[1], *at = index + w.at[2];
        for (int64_t i = 0; i < w.n; i++) out[i * w.step[0]] = in[i * w.step[1] + (at[i * w.step[2]] - 1) * stride];
    }
}

extern const sonde_loops sonde_loop_table_i64;
const sonde_loops sonde_loop_table_i64 = {
    .binary = binary, .compare = compare, .unary = unary, .clamp = clamp, .where = where,
    .reduce = reduce, .extremum = extremum, .cumsum = cumsum, .gather = gather,
};
