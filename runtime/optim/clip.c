/* Gradient clipping (Pascanu, Mikolov & Bengio 2013, "On the difficulty of training recurrent neural networks"). */
#include "optim/optim.h"

#include <math.h>

typedef void (*visitor)(void *context, sonde_dtype dtype, void *data, size_t n);

/* Shows every gradient there is as contiguous memory; `writes`: what the visitor changes is the gradient's from then
 * on. */
static sonde_status each_gradient(int n, sonde_tensor *const *parameters, visitor visit, void *context, bool writes)
{
    for (int i = 0; i < n; i++) {
        sonde_tensor *gradient = sonde_grad(parameters[i]), *g = NULL;
        if (!gradient) continue;
        SONDE_TRY(sonde_tensor_contiguous(&g, gradient));
        visit(context, g->dtype, sonde_tensor_data(g), (size_t)sonde_tensor_numel(g));
        sonde_status status = SONDE_OK;
        if (writes && g != gradient) status = sonde_tensor_copy_(gradient, g);
        if (writes && g == gradient) sonde_tensor_changed(gradient);
        sonde_tensor_release(g);
        if (status != SONDE_OK) return status;
    }
    return SONDE_OK;
}

static void add_moments(void *context, sonde_dtype dtype, void *data, size_t n)
{
    sonde_moments moments = {0};
    sonde_moments_kernel(&moments, dtype, data, n);
    sonde_moments_merge(context, &moments);
}

/* Σ|g|^p as sum · scale^p with scale = max|g|, so that no power leaves the range of a double. */
typedef struct powers {
    double p, scale, sum;
} powers;

static void add_powers(void *context, sonde_dtype dtype, void *data, size_t n)
{
    powers *all = context;
    for (size_t i = 0; i < n; i++) {
        double g = dtype == SONDE_FLOAT32 ? (double)((const float *)data)[i] : ((const double *)data)[i];
        all->sum += pow(fabs(g) / all->scale, all->p);
    }
}

sonde_status sonde_total_norm(double *out, int n, sonde_tensor *const *parameters, double norm_type)
{
    if (!(norm_type > 0)) return sonde_fail(SONDE_EARG, "the type of a norm must be positive, got %g", norm_type);
    sonde_moments moments = {0};
    SONDE_TRY(each_gradient(n, parameters, add_moments, &moments, false));
    if (norm_type == 2) {
        *out = sonde_moments_l2(&moments);
    } else if (norm_type == 1) {
        *out = moments.sum_abs * moments.scale;
    } else if (isinf(norm_type) || moments.abs_max == 0 || !isfinite(moments.abs_max)) {
        *out = moments.abs_max;
    } else {
        powers all = {.p = norm_type, .scale = moments.abs_max};
        SONDE_TRY(each_gradient(n, parameters, add_powers, &all, false));
        *out = all.scale * pow(all.sum, 1 / norm_type);
    }
    return SONDE_OK;
}

static void scale(void *context, sonde_dtype dtype, void *data, size_t n)
{
    double coef = *(const double *)context;
    if (dtype == SONDE_FLOAT32) {
        float *g = data;
        for (size_t i = 0; i < n; i++) g[i] = (float)((double)g[i] * coef);
    } else {
        double *g = data;
        for (size_t i = 0; i < n; i++) g[i] *= coef;
    }
}

sonde_status sonde_clip_grad_norm_(int n, sonde_tensor *const *parameters, double max_norm, double norm_type,
                                   bool error_if_nonfinite, double *total, double *coef)
{
    if (!(max_norm >= 0)) return sonde_fail(SONDE_EARG, "max_norm must not be negative, got %g", max_norm);
    SONDE_TRY(sonde_total_norm(total, n, parameters, norm_type));
    if (!isfinite(*total)) {
        *coef = (double)NAN;
        if (!error_if_nonfinite) return SONDE_OK;
        return sonde_fail(SONDE_ESTATE, "the total norm of the gradients is %g: they are not clipped", *total);
    }
    *coef = fmin(1, max_norm / (*total + 1e-6));
    return *coef < 1 ? each_gradient(n, parameters, scale, coef, true) : SONDE_OK;
}

/* NaN stays. */
static void clamp(void *context, sonde_dtype dtype, void *data, size_t n)
{
    double bound = *(const double *)context;
    if (dtype == SONDE_FLOAT32) {
        float *g = data, b = (float)bound;
        for (size_t i = 0; i < n; i++) g[i] = g[i] > b ? b : g[i] < -b ? -b : g[i];
    } else {
        double *g = data;
        for (size_t i = 0; i < n; i++) g[i] = g[i] > bound ? bound : g[i] < -bound ? -bound : g[i];
    }
}

sonde_status sonde_clip_grad_value_(int n, sonde_tensor *const *parameters, double clip_value)
{
    if (!(clip_value >= 0)) return sonde_fail(SONDE_EARG, "clip_value must not be negative, got %g", clip_value);
    return each_gradient(n, parameters, clamp, &clip_value, true);
}
