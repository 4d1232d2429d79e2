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

static void scale_elements(sonde_dtype dtype, void *data, size_t n, double coef)
{
    if (dtype == SONDE_FLOAT32) {
        float *g = data;
        for (size_t i = 0; i < n; i++) g[i] = (float)((double)g[i] * coef);
    } else {
        double *g = data;
        for (size_t i = 0; i < n; i++) g[i] *= coef;
    }
}

static void scale(void *context, sonde_dtype dtype, void *data, size_t n)
{
    scale_elements(dtype, data, n, *(const double *)context);
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

/* The smaller coefficient; one that is NaN stays. */
static double smaller(double a, double b)
{
    return isnan(a) || a < b ? a : b;
}

sonde_status sonde_clip_grad_norm_per_parameter_(int n, sonde_tensor *const *parameters, double max_norm,
                                                 double norm_type, bool error_if_nonfinite, double *total,
                                                 double *coef)
{
    if (!(max_norm >= 0)) return sonde_fail(SONDE_EARG, "max_norm must not be negative, got %g", max_norm);
    SONDE_TRY(sonde_total_norm(total, n, parameters, norm_type));
    *coef = 1;
    for (int i = 0; i < n && error_if_nonfinite; i++) {
        double norm = 0;
        SONDE_TRY(sonde_total_norm(&norm, 1, &parameters[i], norm_type));
        if (!isfinite(norm))
            return sonde_fail(SONDE_ESTATE, "the norm of gradient %d is %g: none is clipped", i + 1, norm);
    }
    for (int i = 0; i < n; i++) {
        double norm, own;
        SONDE_TRY(sonde_clip_grad_norm_(1, &parameters[i], max_norm, norm_type, false, &norm, &own));
        *coef = smaller(*coef, own);
    }
    return SONDE_OK;
}

static double l2(sonde_moments *moments, sonde_dtype dtype, const void *data, size_t n)
{
    sonde_brief_moments_kernel(moments, dtype, data, n);
    return sonde_moments_l2(moments);
}

typedef struct adaptive {
    double clipping, eps, coef;
    sonde_moments all; /* of the gradients before */
    const sonde_tensor *w;
} adaptive;

static void clip_units(void *context, sonde_dtype dtype, void *data, size_t n)
{
    adaptive *a = context;
    const size_t units = a->w->ndim >= 2 ? (size_t)a->w->shape[0] : 1, inner = units > 0 ? n / units : 0;
    const size_t bytes = inner * sonde_dtype_size(dtype);
    for (size_t u = 0; u < units && inner > 0; u++) {
        sonde_moments w = {0}, g = {0};
        char *row = (char *)data + u * bytes;
        const char *weights = (const char *)sonde_tensor_data(a->w) + u * bytes;
        const double limit = a->clipping * fmax(l2(&w, dtype, weights, inner), a->eps);
        const double norm = l2(&g, dtype, row, inner), own = isfinite(norm) ? fmin(1, limit / norm) : (double)NAN;
        sonde_moments_merge(&a->all, &g);
        if (own < 1) scale_elements(dtype, row, inner, own);
        a->coef = smaller(a->coef, own);
    }
}

sonde_status sonde_clip_grad_adaptive_(int n, sonde_tensor *const *parameters, double clipping, double eps,
                                       double *total, double *coef)
{
    if (!(clipping >= 0)) return sonde_fail(SONDE_EARG, "clipping must not be negative, got %g", clipping);
    if (!(eps >= 0)) return sonde_fail(SONDE_EARG, "eps must not be negative, got %g", eps);
    adaptive a = {.clipping = clipping, .eps = eps, .coef = 1};
    sonde_status status = SONDE_OK;
    for (int i = 0; i < n && status == SONDE_OK; i++) {
        sonde_tensor *w = NULL;
        SONDE_TRY(sonde_tensor_contiguous(&w, parameters[i]));
        a.w = w;
        status = each_gradient(1, &parameters[i], clip_units, &a, true);
        sonde_tensor_release(w);
    }
    *total = a.all.n > 0 ? sonde_moments_l2(&a.all) : 0;
    *coef = a.coef;
    return status;
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
