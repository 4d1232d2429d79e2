/* Gates and cells of recurrent networks, a row at a time. An element's bits may depend on its place in the row (what
 * does not fill a vector takes libm's functions), but not on the other rows. */
#include "kernel/recurrent.h"
#include "kernel/real/logistic.h"
#include "kernel/real/real.h"

extern const sonde_recurrent_loops REAL_NAME(sonde_recurrent_table);

/* Loops over j = 0..n-1, one copy for each φ so that it is not chosen element by element. */
#define SIMD _Pragma("omp simd")
#define FOR_EACH_SQUASH(phi, n, statement)                                                                             \
    switch (phi) {                                                                                                     \
    case SONDE_SQUASH_TANH: SIMD for (int64_t j = 0; j < (n); j++) { statement(tanh) } break;                          \
    case SONDE_SQUASH_RELU: SIMD for (int64_t j = 0; j < (n); j++) { statement(relu) } break;                          \
    case SONDE_SQUASH_LINEAR: SIMD for (int64_t j = 0; j < (n); j++) { statement(linear) } break;                      \
    }

static inline real squash_tanh(real x) { return REAL_MATH(tanh)(x); }
static inline real squash_relu(real x) { return x <= 0 ? R(0) : x; }
static inline real squash_linear(real x) { return x; }
/* dy φ' in the value y. A unit that is off passes nothing on, not even what is infinite. */
static inline real through_tanh(real dy, real y) { return dy * (1 - y * y); }
static inline real through_relu(real dy, real y) { return y <= 0 ? R(0) : dy; }
static inline real through_linear(real dy, real y) { return dy; }
static inline real through_logistic(real dy, real y) { return dy * ((1 - y) * y); }

/* ---- Elman ----------------------------------------------------------------------------------------------- */

static void rnn(void *h_out, void *a_inout, const void *bias_in, const void *h_prev_in, int64_t n, sonde_squash phi,
                double leak_rate)
{
    real *h = h_out, *a = a_inout;
    const real *bias = bias_in, *h_prev = h_prev_in;
    const real leak = R(leak_rate), stay = R(1 - leak_rate);
#define STATEMENT(kind) a[j] = squash_##kind(a[j] + bias[j]);
    FOR_EACH_SQUASH(phi, n, STATEMENT)
#undef STATEMENT
    if (h == a) return;
    SIMD for (int64_t j = 0; j < n; j++) h[j] = stay * h_prev[j] + leak * a[j];
}

static void rnn_backward(void *da_out, void *dh_inout, const void *a_in, int64_t n, sonde_squash phi, double leak_rate)
{
    real *da = da_out, *dh = dh_inout;
    const real *a = a_in;
    const real leak = R(leak_rate), stay = R(1 - leak_rate);
#define STATEMENT(kind) da[j] = through_##kind(leak * dh[j], a[j]); dh[j] *= stay;
    FOR_EACH_SQUASH(phi, n, STATEMENT)
#undef STATEMENT
}

/* ---- LSTM ------------------------------------------------------------------------------------------------ */

static void lstm_cell(void *gates, void *c_out, const void *bias, const void *c_prev_in, const void *peephole,
                      int64_t n, sonde_squash phi)
{
    real *i = gates, *f = i + n, *g = f + n, *o = g + n, *c = c_out;
    const real *bi = bias, *bf = bi + n, *bg = bf + n, *bo = bg + n, *c_prev = c_prev_in, *p = peephole;
    if (p) {
        SIMD for (int64_t j = 0; j < n; j++) {
            i[j] += p[j] * c_prev[j];
            f[j] += p[n + j] * c_prev[j];
        }
    }
#define STATEMENT(kind)                                                                                                \
    i[j] = logistic(i[j] + bi[j]);                                                                                     \
    f[j] = logistic(f[j] + bf[j]);                                                                                     \
    g[j] = squash_##kind(g[j] + bg[j]);                                                                                \
    c[j] = f[j] * c_prev[j] + i[j] * g[j];
    FOR_EACH_SQUASH(phi, n, STATEMENT)
#undef STATEMENT
    if (p) {
        SIMD for (int64_t j = 0; j < n; j++) o[j] += p[2 * n + j] * c[j];
    }
    SIMD for (int64_t j = 0; j < n; j++) o[j] = logistic(o[j] + bo[j]);
}

static void lstm_output(void *h_out, const void *o_in, const void *z_in, int64_t n, sonde_squash phi)
{
    real *h = h_out;
    const real *o = o_in, *z = z_in;
#define STATEMENT(kind) h[j] = o[j] * squash_##kind(z[j]);
    FOR_EACH_SQUASH(phi, n, STATEMENT)
#undef STATEMENT
}

static void lstm_output_backward(void *da_out, void *dz_out, const void *dh_in, const void *o_in, const void *z_in,
                                 int64_t n, sonde_squash phi)
{
    real *da_o = da_out, *dz = dz_out;
    const real *dh = dh_in, *o = o_in, *z = z_in;
#define STATEMENT(kind)                                                                                                \
    const real y = squash_##kind(z[j]);                                                                                \
    da_o[j] = through_logistic(dh[j] * y, o[j]);                                                                       \
    dz[j] = through_##kind(dh[j] * o[j], y);
    FOR_EACH_SQUASH(phi, n, STATEMENT)
#undef STATEMENT
}

static void lstm_cell_backward(void *da, void *dc_inout, const void *gates, const void *c_prev_in, const void *peephole,
                               int64_t n, sonde_squash phi)
{
    real *di = da, *df = di + n, *dg = df + n, *dc = dc_inout;
    const real *i = gates, *f = i + n, *g = f + n, *c_prev = c_prev_in, *p = peephole;
#define STATEMENT(kind)                                                                                                \
    di[j] = through_logistic(dc[j] * g[j], i[j]);                                                                      \
    df[j] = through_logistic(dc[j] * c_prev[j], f[j]);                                                                 \
    dg[j] = through_##kind(dc[j] * i[j], g[j]);                                                                        \
    dc[j] *= f[j];
    FOR_EACH_SQUASH(phi, n, STATEMENT)
#undef STATEMENT
    if (!p) return;
    SIMD for (int64_t j = 0; j < n; j++) dc[j] += p[j] * di[j] + p[n + j] * df[j];
}

/* ---- GRU ------------------------------------------------------------------------------------------------- */

static void gru_gates(void *gates, const void *bias, const void *h_prev_in, int64_t n, bool reset_after)
{
    real *r = gates, *z = r + n, *m = r + 3 * n;
    const real *br = bias, *bz = br + n, *bm = br + 3 * n, *h_prev = h_prev_in;
    SIMD for (int64_t j = 0; j < n; j++) {
        r[j] = logistic(r[j] + br[j]);
        z[j] = logistic(z[j] + bz[j]);
    }
    if (reset_after) {
        SIMD for (int64_t j = 0; j < n; j++) m[j] += bm[j];
    } else {
        SIMD for (int64_t j = 0; j < n; j++) m[j] = r[j] * h_prev[j];
    }
}

static void gru_output(void *h_out, void *gates, const void *bias, const void *h_prev_in, int64_t n, bool reset_after)
{
    real *h = h_out, *z = (real *)gates + n, *candidate = z + n;
    const real *r = gates, *m = r + 3 * n, *b = (const real *)bias + 2 * n, *h_prev = h_prev_in;
    if (reset_after) {
        SIMD for (int64_t j = 0; j < n; j++) candidate[j] += r[j] * m[j];
    }
    SIMD for (int64_t j = 0; j < n; j++) {
        candidate[j] = REAL_MATH(tanh)(candidate[j] + b[j]);
        h[j] = (1 - z[j]) * candidate[j] + z[j] * h_prev[j];
    }
}

static void gru_output_backward(void *da, void *dh_inout, const void *gates, const void *h_prev_in, int64_t n,
                                bool reset_after)
{
    real *dr = da, *dz = dr + n, *dn = dz + n, *dm = dn + n, *dh = dh_inout;
    const real *r = gates, *z = r + n, *candidate = z + n, *m = candidate + n, *h_prev = h_prev_in;
    SIMD for (int64_t j = 0; j < n; j++) {
        dn[j] = through_tanh(dh[j] * (1 - z[j]), candidate[j]);
        dz[j] = through_logistic(dh[j] * (h_prev[j] - candidate[j]), z[j]);
        dh[j] *= z[j];
    }
    if (!reset_after) return;
    SIMD for (int64_t j = 0; j < n; j++) {
        dr[j] = through_logistic(dn[j] * m[j], r[j]);
        dm[j] = dn[j] * r[j];
    }
}

static void gru_reset_backward(void *da, void *dh_inout, const void *gates, const void *h_prev_in, int64_t n)
{
    real *dr = da, *dh = dh_inout;
    const real *dm = dr + 3 * n, *r = gates, *h_prev = h_prev_in;
    SIMD for (int64_t j = 0; j < n; j++) {
        dr[j] = through_logistic(dm[j] * h_prev[j], r[j]);
        dh[j] += dm[j] * r[j];
    }
}

/* ---- layer normalisation, sums ---------------------------------------------------------------------------- */

static double normalize(void *x_inout, int64_t n, double eps)
{
    real *x = x_inout;
    double mean = 0, square = 0;
    for (int64_t j = 0; j < n; j++) mean += (double)x[j];
    mean /= (double)n;
    for (int64_t j = 0; j < n; j++) square += ((double)x[j] - mean) * ((double)x[j] - mean);
    const double inverse = 1 / sqrt(square / (double)n + eps);
    for (int64_t j = 0; j < n; j++) x[j] = (real)(((double)x[j] - mean) * inverse);
    return inverse;
}

static void normalize_backward(void *dx_out, const void *dy_in, const void *x_in, double inverse, int64_t n)
{
    real *dx = dx_out;
    const real *dy = dy_in, *x = x_in;
    double mean = 0, dot = 0;
    for (int64_t j = 0; j < n; j++) {
        mean += (double)dy[j];
        dot += (double)dy[j] * (double)x[j];
    }
    mean /= (double)n;
    dot /= (double)n;
    for (int64_t j = 0; j < n; j++) dx[j] = (real)(inverse * ((double)dy[j] - mean - (double)x[j] * dot));
}

static void add(void *y_inout, const void *x_in, int64_t n)
{
    real *y = y_inout;
    const real *x = x_in;
    SIMD for (int64_t j = 0; j < n; j++) y[j] += x[j];
}

static void scale(void *y_inout, double factor, int64_t n)
{
    real *y = y_inout;
    SIMD for (int64_t j = 0; j < n; j++) y[j] *= R(factor);
}

static void multiply(void *y_inout, const void *a_in, const void *b_in, int64_t n, bool adding)
{
    real *y = y_inout;
    const real *a = a_in, *b = b_in;
    if (adding) {
        SIMD for (int64_t j = 0; j < n; j++) y[j] += a[j] * b[j];
    } else {
        SIMD for (int64_t j = 0; j < n; j++) y[j] = a[j] * b[j];
    }
}

const sonde_recurrent_loops REAL_NAME(sonde_recurrent_table) = {
    .rnn = rnn,
    .rnn_backward = rnn_backward,
    .lstm_cell = lstm_cell,
    .lstm_output = lstm_output,
    .lstm_output_backward = lstm_output_backward,
    .lstm_cell_backward = lstm_cell_backward,
    .gru_gates = gru_gates,
    .gru_output = gru_output,
    .gru_output_backward = gru_output_backward,
    .gru_reset_backward = gru_reset_backward,
    .normalize = normalize,
    .normalize_backward = normalize_backward,
    .add = add,
    .scale = scale,
    .multiply = multiply,
};
