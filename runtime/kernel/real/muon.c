/* Muon's step: momentum, then the direction's singular values driven towards 1 by Newton–Schulz, in the weight's own
 * precision (Jordan et al. 2024 run it in bfloat16). The iteration works on the wide form, rows <= columns. */
#include "kernel/real/optimisers.h"
#include "kernel/real/update.h"

#define DTYPE (SONDE_REAL == 32 ? SONDE_FLOAT32 : SONDE_FLOAT64)

static void take_direction(real *u, real *b, const real *g, size_t n, real momentum, bool nesterov)
{
    const real fresh = 1 - momentum;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        real mean = b[i] + fresh * (g[i] - b[i]);
        b[i] = mean;
        u[i] = nesterov ? g[i] + momentum * (mean - g[i]) : mean;
    }
}

static void normalise(real *x, size_t n, double eps)
{
    sonde_moments moments = {0};
    sonde_moments_kernel(&moments, DTYPE, x, n);
    const double norm = sonde_moments_l2(&moments);
    const real divisor = (real)(norm < eps ? eps : norm);
    if (divisor == 0) return; /* no direction at all */
    for (size_t i = 0; i < n; i++) x[i] = x[i] / divisor;
}

/* y = a · x + b · y */
static void combine(real *y, const real *x, size_t n, double a, double b)
{
    const real p = (real)a, q = (real)b;
#pragma omp simd
    for (size_t i = 0; i < n; i++) y[i] = p * x[i] + q * y[i];
}

/* x [r, c], r <= c; spare as large; square, product [r, r]. The result is in *x, *spare is whatever is left over. */
static void newton_schulz(real **x, real **spare, real *square, real *product, int64_t r, int64_t c,
                          const sonde_muon_args *args)
{
    const double *k = args->coefficients;
    normalise(*x, (size_t)(r * c), args->eps);
    for (int round = 0; round < args->rounds; round++) {
        real *last = *x;
        sonde_matmul_kernel(DTYPE, square, last, last, r, r, c, c, c, r, false, true, false);        /* A = X Xᵀ */
        sonde_matmul_kernel(DTYPE, product, square, square, r, r, r, r, r, r, false, false, false);  /* A² */
        combine(product, square, (size_t)(r * r), k[1], k[2]);                                       /* c₁ A + c₂ A² */
        sonde_matmul_kernel(DTYPE, *spare, product, last, r, c, r, r, c, c, false, false, false);
        combine(*spare, last, (size_t)(r * c), k[0], 1);
        *x = *spare;
        *spare = last;
    }
}

static void apply(real *w, const real *direction, size_t n, real keep, real step_size)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) w[i] = keep * w[i] - step_size * direction[i];
}

void REAL_NAME(sonde_muon)(real *w, real *b, const real *g, int64_t rows, int64_t columns, const sonde_muon_args *args,
                           real *scratch, sonde_update_stats *stats)
{
    const size_t n = (size_t)(rows * columns);
    const bool tall = rows > columns;
    const int64_t r = tall ? columns : rows, c = tall ? rows : columns;
    real *x = scratch, *spare = x + n, *square = spare + n, *product = square + r * r;
    take_direction(tall ? spare : x, b, g, n, (real)args->momentum, args->nesterov);
    if (tall) sonde_transpose_kernel(DTYPE, x, spare, rows, columns);
    if (n > 0) newton_schulz(&x, &spare, square, product, r, c, args);
    if (tall) {
        sonde_transpose_kernel(DTYPE, spare, x, r, c);
        x = spare;
    }
    const real keep = (real)args->keep, step_size = (real)args->step_size;
    BLOCKWISE(apply(w + from, x + from, count, keep, step_size));
}
