#include "nn/nn.h"
#include "kernel/linalg.h"

#include <math.h>

static sonde_status check_square(const sonde_tensor *w, const char *what)
{
    char shape[SONDE_SHAPE_TEXT];
    if (!sonde_dtype_is_float(w->dtype))
        return sonde_fail(SONDE_EDTYPE, "%s takes a float tensor, got %s", what, sonde_dtype_name(w->dtype));
    if (w->ndim == 2 && w->shape[0] == w->shape[1] && w->shape[0] > 0) return SONDE_OK;
    return sonde_fail(SONDE_ESHAPE, "%s takes a square matrix, got shape %s", what,
                      sonde_shape_text(shape, w->ndim, w->shape));
}

/* A copy of t as contiguous float64. */
static sonde_status as_double(sonde_tensor **out, const sonde_tensor *t)
{
    SONDE_TRY(sonde_tensor_new(out, SONDE_FLOAT64, t->ndim, t->shape));
    return sonde_tensor_copy_(*out, t);
}

sonde_status sonde_spectral_radius(double *out, const sonde_tensor *w)
{
    sonde_tensor *copy = NULL;
    SONDE_TRY(check_square(w, "spectral_radius"));
    sonde_status status = as_double(&copy, w);
    if (status == SONDE_OK) status = sonde_linalg_spectral_radius(out, sonde_tensor_data(copy), w->shape[0]);
    sonde_tensor_release(copy);
    return status;
}

sonde_status sonde_init_spectral_radius_(sonde_tensor *w, double radius)
{
    double now;
    sonde_tensor *copy = NULL;
    if (!(radius >= 0) || !isfinite(radius))
        return sonde_fail(SONDE_EARG, "a spectral radius is not negative and finite, got %g", radius);
    SONDE_TRY(sonde_spectral_radius(&now, w));
    if (now == 0) return sonde_fail(SONDE_EARG, "a matrix with spectral radius 0 cannot be scaled to another");
    sonde_status status = as_double(&copy, w);
    if (status == SONDE_OK) {
        double *element = sonde_tensor_data(copy);
        for (int64_t i = 0; i < sonde_tensor_numel(copy); i++) element[i] *= radius / now;
        status = sonde_tensor_copy_(w, copy);
    }
    sonde_tensor_release(copy);
    return status;
}

sonde_status sonde_init_reservoir_(sonde_tensor *w, sonde_stream *s, int64_t links, double radius)
{
    sonde_tensor *drawn, *order;
    SONDE_TRY(check_square(w, "reservoir_"));
    const int64_t n = w->shape[0];
    if (links < 1 || links > n)
        return sonde_fail(SONDE_EARG, "reservoir_: a unit has 1 to %lld links, got %lld", (long long)n,
                          (long long)links);
    SONDE_TRY(sonde_tensor_zeros(&drawn, SONDE_FLOAT64, 2, w->shape));
    sonde_status status = sonde_tensor_new(&order, SONDE_INT64, 1, &n);
    if (status == SONDE_OK) {
        for (int64_t i = 0; i < n; i++) {
            const int64_t *place = sonde_tensor_data(order);
            sonde_stream_permutation(s, sonde_tensor_data(order), (size_t)n, 0);
            double *row = (double *)sonde_tensor_data(drawn) + i * n;
            for (int64_t k = 0; k < links; k++) row[place[k]] = 2 * sonde_stream_uniform(s) - 1;
        }
        sonde_tensor_release(order);
        status = sonde_init_spectral_radius_(drawn, radius);
    }
    if (status == SONDE_OK) status = sonde_tensor_copy_(w, drawn);
    sonde_tensor_release(drawn);
    return status;
}

/* ---- ridge regression ---------------------------------------------------------------------------------------- */

static sonde_status check_samples(const sonde_tensor *x, const sonde_tensor *y, double ridge)
{
    char xs[SONDE_SHAPE_TEXT], ys[SONDE_SHAPE_TEXT];
    if (!sonde_dtype_is_float(x->dtype) || !sonde_dtype_is_float(y->dtype))
        return sonde_fail(SONDE_EDTYPE, "ridge takes float tensors, got %s and %s", sonde_dtype_name(x->dtype),
                          sonde_dtype_name(y->dtype));
    if (x->ndim != 2 || y->ndim != 2 || x->shape[0] != y->shape[0] || x->shape[0] < 1 || x->shape[1] < 1 ||
        y->shape[1] < 1)
        return sonde_fail(SONDE_ESHAPE, "ridge takes x [samples, features] and y [samples, outputs], got %s and %s",
                          sonde_shape_text(xs, x->ndim, x->shape), sonde_shape_text(ys, y->ndim, y->shape));
    if (!(ridge >= 0) || !isfinite(ridge))
        return sonde_fail(SONDE_EARG, "ridge: expected a number from 0, got %g", ridge);
    return SONDE_OK;
}

/* Stacks √ridge I under the features and 0 under the outputs, which makes least squares of the sum with its penalty;
 * the last column is the constant, which has none. */
static void build(double *a, double *b, const double *x, const double *y, int64_t samples, int64_t features,
                  int64_t outputs, double ridge)
{
    const int64_t rows = samples + features;
    for (int64_t j = 0; j <= features; j++)
        for (int64_t i = 0; i < rows; i++)
            a[j * rows + i] = i >= samples   ? (i - samples == j ? sqrt(ridge) : 0)
                              : j < features ? x[i * features + j]
                                             : 1;
    for (int64_t j = 0; j < outputs; j++)
        for (int64_t i = 0; i < rows; i++) b[j * rows + i] = i < samples ? y[i * outputs + j] : 0;
}

static sonde_status give_solution(sonde_tensor **weight, sonde_tensor **bias, const double *b, int64_t rows,
                                  int64_t features, int64_t outputs, sonde_dtype dtype)
{
    sonde_tensor *w = NULL, *c = NULL;
    sonde_status status = sonde_tensor_new(&w, dtype, 2, (int64_t[]){outputs, features});
    if (status == SONDE_OK) status = sonde_tensor_new(&c, dtype, 1, &outputs);
    if (status != SONDE_OK) {
        sonde_tensor_release(w);
        return status;
    }
    for (int64_t j = 0; j < outputs; j++) {
        for (int64_t i = 0; i < features; i++) sonde_tensor_set(w, (int64_t[]){j, i}, b[j * rows + i]);
        sonde_tensor_set(c, &j, b[j * rows + features]);
    }
    *weight = w;
    *bias = c;
    return SONDE_OK;
}

sonde_status sonde_ridge(sonde_tensor **weight, sonde_tensor **bias, const sonde_tensor *x, const sonde_tensor *y,
                         double ridge)
{
    SONDE_TRY(check_samples(x, y, ridge));
    const int64_t samples = x->shape[0], features = x->shape[1], outputs = y->shape[1], rows = samples + features;
    sonde_tensor *xs = NULL, *ys = NULL, *a = NULL, *b = NULL;
    sonde_status status = as_double(&xs, x);
    if (status == SONDE_OK) status = as_double(&ys, y);
    if (status == SONDE_OK) status = sonde_tensor_new(&a, SONDE_FLOAT64, 2, (int64_t[]){features + 1, rows});
    if (status == SONDE_OK) status = sonde_tensor_new(&b, SONDE_FLOAT64, 2, (int64_t[]){outputs, rows});
    if (status == SONDE_OK) {
        build(sonde_tensor_data(a), sonde_tensor_data(b), sonde_tensor_data(xs), sonde_tensor_data(ys), samples,
              features, outputs, ridge);
        status = sonde_linalg_least_squares(sonde_tensor_data(a), sonde_tensor_data(b), rows, features + 1, outputs);
    }
    if (status == SONDE_OK)
        status = give_solution(weight, bias, sonde_tensor_data(b), rows, features, outputs, x->dtype);
    sonde_tensor_release(xs);
    sonde_tensor_release(ys);
    sonde_tensor_release(a);
    sonde_tensor_release(b);
    return status;
}
