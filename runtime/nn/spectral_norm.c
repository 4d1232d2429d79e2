#include "autograd/formula.h"
#include "nn/internal.h"

#include <stdio.h>
#include <string.h>

enum { U, V }; /* buffers; a vector's parametrisation has none */
enum { FIRST_ITERATIONS = 15 };

typedef struct spectral_norm_state {
    int dim; /* the matrix's rows */
    int64_t n_power_iterations;
    double eps;
} spectral_norm_state;

/* x/max(‖x‖, eps) */
static sonde_tensor *normalize(formula *f, sonde_tensor *x, double eps)
{
    return f_div(f, x, f_scalar(f, SONDE_MAXIMUM, f_norm(f, x, 0, NULL), eps));
}

/* The weight as a matrix [dim, the others]. */
static sonde_tensor *matrix_of(formula *f, sonde_tensor *w, int dim)
{
    if (!w) return NULL;
    int axes[SONDE_MAX_DIMS] = {dim};
    for (int d = 0, n = 1; d < w->ndim; d++)
        if (d != dim) axes[n++] = d;
    return f_reshape(f, f_permute(f, w, axes), 2, (int64_t[]){w->shape[dim], -1});
}

/* u = W v/‖W v‖, v = Wᵀ u/‖Wᵀ u‖, in place. */
static sonde_status iterate(sonde_module *self, sonde_tensor *matrix, int64_t n)
{
    const double eps = ((const spectral_norm_state *)self->state)->eps;
    sonde_tensor *u = self->parameters[U].tensor, *v = self->parameters[V].tensor;
    sonde_status status = SONDE_OK;
    for (int64_t i = 0; i < n && status == SONDE_OK; i++) {
        formula f = {0};
        sonde_tensor *left = normalize(&f, f_matmul(&f, matrix, v), eps);
        sonde_tensor *right = normalize(&f, f_matmul(&f, f_t(&f, matrix), left), eps);
        if (f.status == SONDE_OK) f.status = sonde_tensor_copy_(u, left);
        if (f.status == SONDE_OK) f.status = sonde_tensor_copy_(v, right);
        status = f_close(&f, NULL, NULL);
    }
    return status;
}

/* The original and the buffers may have been assigned since: a vector has none, and fewer axes than `dim` needs. */
static sonde_status check_buffers(const sonde_module *self, bool has_dim)
{
    if (self->n_parameters <= V || !has_dim)
        return sonde_fail(SONDE_ESTATE, "the original has another number of axes than when it was parametrised");
    for (int i = U; i <= V; i++)
        if (!self->parameters[i].tensor) return sonde_fail(SONDE_ESTATE, "%s is missing", self->parameters[i].name);
    return SONDE_OK;
}

/* w = W/(uᵀ W v) */
static sonde_status forward(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    const spectral_norm_state *state = self->state;
    sonde_tensor *w = in->t[0], *result;
    formula f = {0};
    if (w->ndim < 2) {
        result = normalize(&f, w, state->eps);
    } else {
        SONDE_TRY(check_buffers(self, w->ndim > state->dim));
        sonde_tensor *matrix = matrix_of(&f, w, state->dim), *plain = f_detach(&f, matrix);
        if (f.status == SONDE_OK && self->training) f.status = iterate(self, plain, state->n_power_iterations);
        /* copies: the next call overwrites the buffers, and backward still needs these values */
        sonde_tensor *u = f_clone(&f, self->parameters[U].tensor), *v = f_clone(&f, self->parameters[V].tensor);
        result = f_div(&f, w, f_matmul(&f, u, f_matmul(&f, matrix, v)));
    }
    SONDE_TRY(f_close(&f, &out->t[0], result));
    out->n = 1;
    return SONDE_OK;
}

static void describe(const sonde_module *self, char *text, size_t size)
{
    const spectral_norm_state *state = self->state;
    char eps[32];
    snprintf(text, size, "n_power_iterations=%lld, eps=%s", (long long)state->n_power_iterations,
             sonde_nn_number(eps, state->eps));
}

static const sonde_module_class spectral_norm_class = {
    .name = "SpectralNorm", .forward = forward, .describe = describe, .is_container = true};

/* A random unit vector. */
static sonde_status add_vector(sonde_module *norm, const char *name, sonde_stream *stream, sonde_dtype dtype, int64_t n)
{
    formula f = {0};
    sonde_tensor *x = f_zeros(&f, dtype, 1, &n);
    if (x) f.status = sonde_init_normal_(x, stream, 0, 1);
    x = normalize(&f, x, ((const spectral_norm_state *)norm->state)->eps);
    if (x) f.status = sonde_module_set_parameter(norm, name, x, true);
    return f_close(&f, NULL, NULL);
}

/* u and v, near the singular vectors of W already. */
static sonde_status add_vectors(sonde_module *norm, sonde_tensor *w)
{
    sonde_stream stream;
    sonde_nn_random_stochastic(&stream, "spectral_norm");
    formula f = {0};
    sonde_tensor *matrix = matrix_of(&f, f_detach(&f, w), ((const spectral_norm_state *)norm->state)->dim);
    if (matrix) f.status = add_vector(norm, "_u", &stream, w->dtype, matrix->shape[0]);
    if (f.status == SONDE_OK) f.status = add_vector(norm, "_v", &stream, w->dtype, matrix->shape[1]);
    if (f.status == SONDE_OK) f.status = iterate(norm, matrix, FIRST_ITERATIONS);
    return f_close(&f, NULL, NULL);
}

static sonde_status attach(sonde_module *m, const char *name, sonde_tensor *w, const spectral_norm_state *options)
{
    spectral_norm_state *state = sonde_alloc(sizeof *state);
    if (!state) return SONDE_ENOMEM;
    *state = *options;
    sonde_module *norm = NULL;
    sonde_status status = sonde_module_new(&norm, &spectral_norm_class, state);
    if (status != SONDE_OK) {
        sonde_free(state);
        return status;
    }
    if (w->ndim >= 2) status = add_vectors(norm, w);
    const int n = sonde_is_parametrized(m, name) ? 0 : 1;
    if (status == SONDE_OK) status = sonde_parametrize(m, name, norm, n, &w);
    sonde_module_release(norm);
    return status;
}

sonde_status sonde_spectral_norm(sonde_module *m, const char *name, int64_t n_power_iterations, double eps,
                                 const int *dim)
{
    const int transposed = strncmp(m->class->name, "ConvTranspose", strlen("ConvTranspose")) == 0;
    sonde_tensor *w;
    spectral_norm_state state = {.n_power_iterations = n_power_iterations, .eps = eps};
    SONDE_TRY(sonde_parametrize_find(&w, m, name));
    if (n_power_iterations < 1)
        return sonde_fail(SONDE_EARG, "spectral_norm: n_power_iterations must be at least 1, got %lld",
                          (long long)n_power_iterations);
    if (!(eps > 0)) return sonde_fail(SONDE_EARG, "spectral_norm: eps must be above 0, got %g", eps);
    if (sonde_is_parametrized(m, name)) /* the tensor found may have the dtype of before m:to() */
        SONDE_TRY(sonde_parametrized_value(&w, m, name));
    else
        sonde_tensor_retain(w);
    sonde_status status = SONDE_OK;
    if (w->ndim == 0) status = sonde_fail(SONDE_ESHAPE, "spectral_norm: '%s' has no axes", name);
    if (status == SONDE_OK) status = sonde_axis(&state.dim, dim ? *dim : w->ndim > 1 ? transposed : 0, w->ndim);
    if (status == SONDE_OK) status = attach(m, name, w, &state);
    sonde_tensor_release(w);
    return status;
}
