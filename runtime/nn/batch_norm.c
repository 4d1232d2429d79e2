#include "nn/internal.h"

#include <math.h>
#include <stdio.h>

enum { WEIGHT, BIAS, RUNNING_MEAN, RUNNING_VAR, BATCHES }; /* in order of registration */

typedef struct batch_norm_state {
    int64_t features;
    bool is_2d;
    double eps, momentum; /* NaN: cumulative average */
    bool affine, track;
} batch_norm_state;

static sonde_status forward(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    const batch_norm_state *state = self->state;
    sonde_tensor *x = in->t[0];
    bool axes = state->is_2d ? x->ndim == 4 : x->ndim == 2 || x->ndim == 3;
    if (!axes || x->shape[1] != state->features) {
        char shape[SONDE_SHAPE_TEXT];
        const long long n = state->features;
        sonde_shape_text(shape, x->ndim, x->shape);
        if (state->is_2d) return sonde_fail(SONDE_ESHAPE, "expected input [N, %lld, H, W], got %s", n, shape);
        return sonde_fail(SONDE_ESHAPE, "expected input [N, %lld] or [N, %lld, L], got %s", n, n, shape);
    }
    const sonde_parameter *p = self->parameters;
    sonde_tensor *batches = p[BATCHES].tensor, *mean = p[RUNNING_MEAN].tensor, *var = p[RUNNING_VAR].tensor;
    bool tracking = state->track && mean && var && batches;
    double momentum = state->momentum;
    if (self->training && tracking && isnan(momentum))
        momentum = 1.0 / (double)(sonde_tensor_get_int(batches, NULL) + 1);
    SONDE_TRY(sonde_batch_norm(&out->t[0], x, p[WEIGHT].tensor, p[BIAS].tensor, tracking ? mean : NULL,
                               tracking ? var : NULL, self->training || !tracking, momentum, state->eps));
    if (self->training && tracking) sonde_tensor_set_int(batches, NULL, sonde_tensor_get_int(batches, NULL) + 1);
    out->n = 1;
    return SONDE_OK;
}

static void describe(const sonde_module *self, char *text, size_t size)
{
    const batch_norm_state *state = self->state;
    char eps[32], momentum[32];
    snprintf(text, size, "%lld, eps=%s, momentum=%s, affine=%s, track_running_stats=%s", (long long)state->features,
             sonde_nn_number(eps, state->eps),
             isnan(state->momentum) ? "nil" : sonde_nn_number(momentum, state->momentum),
             state->affine ? "true" : "false", state->track ? "true" : "false");
}

static const sonde_module_class batch_norm1d_class = {.name = "BatchNorm1d", .forward = forward, .describe = describe},
                                batch_norm2d_class = {.name = "BatchNorm2d", .forward = forward, .describe = describe};

/* A tensor of one value as a buffer; absent where running statistics are not kept. */
static sonde_status add_buffer(sonde_module *m, const char *name, bool present, sonde_dtype dtype, int ndim,
                               const int64_t *shape, double value)
{
    sonde_tensor *tensor = NULL;
    if (present) SONDE_TRY(sonde_tensor_full(&tensor, dtype, ndim, shape, value));
    sonde_status status = sonde_module_set_parameter(m, name, tensor, true);
    sonde_tensor_release(tensor);
    return status;
}

static sonde_status add_parameters(sonde_module *m, sonde_dtype dtype)
{
    const batch_norm_state *state = m->state;
    const int64_t *shape = &state->features;
    if (state->affine) {
        SONDE_TRY(sonde_module_make_parameter(m, "weight", dtype, 1, shape, 1, 1));
        SONDE_TRY(sonde_module_make_parameter(m, "bias", dtype, 1, shape, 0, 0));
    } else {
        SONDE_TRY(sonde_module_set_parameter(m, "weight", NULL, false));
        SONDE_TRY(sonde_module_set_parameter(m, "bias", NULL, false));
    }
    SONDE_TRY(add_buffer(m, "running_mean", state->track, dtype, 1, shape, 0));
    SONDE_TRY(add_buffer(m, "running_var", state->track, dtype, 1, shape, 1));
    return add_buffer(m, "num_batches_tracked", state->track, SONDE_INT64, 0, NULL, 0);
}

static sonde_status make(sonde_module **out, const sonde_module_class *class, const batch_norm_state *with,
                         sonde_dtype dtype)
{
    if (with->features < 1)
        return sonde_fail(SONDE_EARG, "%s: num_features must be at least 1, got %lld", class->name,
                          (long long)with->features);
    if (!(with->eps >= 0))
        return sonde_fail(SONDE_EARG, "%s: eps must not be negative, got %g", class->name, with->eps);
    if (with->momentum < 0 || with->momentum > 1)
        return sonde_fail(SONDE_EARG, "%s: momentum must be between 0 and 1, got %g", class->name, with->momentum);
    if (!sonde_dtype_is_float(dtype))
        return sonde_fail(SONDE_EDTYPE, "%s: dtype must be float32 or float64, got %s", class->name,
                          sonde_dtype_name(dtype));
    batch_norm_state *state = sonde_alloc(sizeof *state);
    if (!state) return SONDE_ENOMEM;
    *state = *with;
    sonde_module *m = NULL;
    sonde_status status = sonde_module_new(&m, class, state);
    if (status != SONDE_OK) {
        sonde_free(state);
        return status;
    }
    status = add_parameters(m, dtype);
    if (status != SONDE_OK) {
        sonde_module_release(m);
        return status;
    }
    *out = m;
    return SONDE_OK;
}

sonde_status sonde_batch_norm1d_new(sonde_module **out, int64_t num_features, double eps, double momentum, bool affine,
                                    bool track_running_stats, sonde_dtype dtype)
{
    return make(out, &batch_norm1d_class,
                &(batch_norm_state){num_features, false, eps, momentum, affine, track_running_stats}, dtype);
}

sonde_status sonde_batch_norm2d_new(sonde_module **out, int64_t num_features, double eps, double momentum, bool affine,
                                    bool track_running_stats, sonde_dtype dtype)
{
    return make(out, &batch_norm2d_class,
                &(batch_norm_state){num_features, true, eps, momentum, affine, track_running_stats}, dtype);
}
