/* Normalisation within a sample: of its last axes, of groups of channels, of each channel. */
#include "nn/internal.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

enum { WEIGHT, BIAS };

typedef struct norm_state {
    int ndim;                      /* LayerNorm, RMSNorm: of the normalised axes; InstanceNorm: of the input */
    int64_t shape[SONDE_MAX_DIMS]; /* theirs; else the number of channels alone */
    int64_t groups;
    double eps;
} norm_state;

static sonde_status shape_error(const sonde_tensor *x, const char *expected)
{
    char text[SONDE_SHAPE_TEXT];
    return sonde_fail(SONDE_ESHAPE, "expected an input %s, got %s", expected,
                      sonde_shape_text(text, x->ndim, x->shape));
}

static sonde_status check_float(const sonde_module *self, const sonde_tensor *x)
{
    const sonde_tensor *weight = self->parameters[WEIGHT].tensor;
    if (sonde_dtype_is_float(x->dtype) && (!weight || weight->dtype == x->dtype)) return SONDE_OK;
    return sonde_fail(SONDE_EDTYPE, "expected an input of dtype %s, got %s",
                      weight ? sonde_dtype_name(weight->dtype) : "float32 or float64", sonde_dtype_name(x->dtype));
}

/* (x - mean)/√(variance + eps) over each of `rows` equal runs of x's elements. */
static sonde_status standardise(sonde_tensor **out, sonde_tensor *x, int64_t rows, double eps)
{
    const int64_t n = sonde_tensor_numel(x);
    if (n == 0) {
        *out = sonde_tensor_retain(x);
        return SONDE_OK;
    }
    if (n == rows) return shape_error(x, "with more than one value to normalise over");
    sonde_tensor *flat = NULL, *y = NULL;
    sonde_status status = sonde_reshape(&flat, x, 3, (int64_t[]){1, rows, n / rows});
    if (status == SONDE_OK) status = sonde_batch_norm(&y, flat, NULL, NULL, NULL, NULL, true, 0, eps);
    if (status == SONDE_OK) status = sonde_reshape(out, y, x->ndim, x->shape);
    sonde_tensor_release(y);
    sonde_tensor_release(flat);
    return status;
}

/* Replaces *y (one reference) by y op parameter; ndim axes of size 1 follow the parameter's. On failure y is gone. */
static sonde_status apply(sonde_tensor **y, sonde_binary op, sonde_tensor *parameter, int ndim)
{
    if (!parameter) return SONDE_OK;
    int64_t shape[SONDE_MAX_DIMS];
    for (int d = 0; d < parameter->ndim; d++) shape[d] = parameter->shape[d];
    for (int d = 0; d < ndim; d++) shape[parameter->ndim + d] = 1;
    sonde_tensor *view = NULL, *result = NULL;
    sonde_status status = sonde_view(&view, parameter, parameter->ndim + ndim, shape);
    if (status == SONDE_OK) status = sonde_binary_op(&result, op, *y, view);
    sonde_tensor_release(view);
    sonde_tensor_release(*y);
    *y = result;
    return status;
}

/* Standardised, times weight, plus bias; `trailing` axes come after those that the parameters have. */
static sonde_status finish(const sonde_module *self, sonde_tensor *x, int64_t rows, int trailing, sonde_values *out)
{
    const norm_state *state = self->state;
    sonde_tensor *y = NULL;
    SONDE_TRY(standardise(&y, x, rows, state->eps));
    SONDE_TRY(apply(&y, SONDE_MUL, self->parameters[WEIGHT].tensor, trailing));
    SONDE_TRY(apply(&y, SONDE_ADD, self->parameters[BIAS].tensor, trailing));
    *out = (sonde_values){.n = 1, .t = {y}};
    return SONDE_OK;
}

/* The number of runs that the last axes, which must be the state's shape, cut x into. */
static sonde_status count_rows(const norm_state *state, const sonde_tensor *x, int64_t *rows)
{
    const int first = x->ndim - state->ndim;
    bool fits = first >= 0;
    for (int d = 0; fits && d < state->ndim; d++) fits = x->shape[first + d] == state->shape[d];
    *rows = 1;
    for (int d = 0; fits && d < first; d++) *rows *= x->shape[d];
    if (fits) return SONDE_OK;
    char shape[SONDE_SHAPE_TEXT], expected[SONDE_SHAPE_TEXT + 32];
    snprintf(expected, sizeof expected, "that ends with %s", sonde_shape_text(shape, state->ndim, state->shape));
    return shape_error(x, expected);
}

static sonde_status layer_norm(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    int64_t rows;
    SONDE_TRY(check_float(self, in->t[0]));
    SONDE_TRY(count_rows(self->state, in->t[0], &rows));
    return finish(self, in->t[0], rows, 0, out);
}

static sonde_status group_norm(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    const norm_state *state = self->state;
    sonde_tensor *x = in->t[0];
    const int channel = x->ndim == state->ndim - 1 ? 0 : 1; /* InstanceNorm takes one sample as well */
    SONDE_TRY(check_float(self, x));
    if (x->ndim < 2 || x->shape[channel] != state->shape[0] ||
        (state->ndim > 0 && x->ndim != state->ndim - 1 + channel)) {
        char expected[128];
        const long long n = state->shape[0];
        const char *rest = state->ndim == 0 ? "..." : state->ndim == 3 ? "L" : "H, W";
        int length = snprintf(expected, sizeof expected, "[N, %lld, %s]", n, rest);
        if (state->ndim > 0)
            snprintf(expected + length, sizeof expected - (size_t)length, " or [%lld, %s]", n, rest);
        return shape_error(x, expected);
    }
    const int64_t samples = channel == 0 ? 1 : x->shape[0];
    return finish(self, x, samples * state->groups, x->ndim - 1 - channel, out);
}

static sonde_status rms_norm(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    const norm_state *state = self->state;
    sonde_tensor *x = in->t[0], *square = NULL, *mean = NULL, *shifted = NULL, *factor = NULL, *y = NULL;
    int64_t rows;
    int axes[SONDE_MAX_DIMS];
    SONDE_TRY(check_float(self, x));
    SONDE_TRY(count_rows(state, x, &rows));
    for (int d = 0; d < state->ndim; d++) axes[d] = x->ndim - state->ndim + d;
    double eps = !isnan(state->eps) ? state->eps : x->dtype == SONDE_FLOAT32 ? (double)FLT_EPSILON : DBL_EPSILON;
    sonde_status status = sonde_unary_op(&square, SONDE_SQUARE, x);
    if (status == SONDE_OK) status = sonde_reduce(&mean, SONDE_MEAN, square, state->ndim, axes, true, 0);
    if (status == SONDE_OK) status = sonde_scalar_op(&shifted, SONDE_ADD, mean, eps, false);
    if (status == SONDE_OK) status = sonde_unary_op(&factor, SONDE_RSQRT, shifted);
    if (status == SONDE_OK) status = sonde_binary_op(&y, SONDE_MUL, x, factor);
    sonde_tensor *const steps[] = {square, mean, shifted, factor};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) sonde_tensor_release(steps[i]);
    if (status == SONDE_OK) status = apply(&y, SONDE_MUL, self->parameters[WEIGHT].tensor, 0);
    if (status == SONDE_OK) *out = (sonde_values){.n = 1, .t = {y}};
    return status;
}

static void describe_shape(const sonde_module *self, char *text, size_t size)
{
    const norm_state *state = self->state;
    char shape[SONDE_SHAPE_TEXT], eps[32];
    snprintf(text, size, "%s, eps=%s, elementwise_affine=%s", sonde_shape_text(shape, state->ndim, state->shape),
             isnan(state->eps) ? "nil" : sonde_nn_number(eps, state->eps),
             self->parameters[WEIGHT].tensor ? "true" : "false");
}

static void describe_channels(const sonde_module *self, char *text, size_t size)
{
    const norm_state *state = self->state;
    char eps[32], groups[32] = "";
    if (state->ndim == 0) snprintf(groups, sizeof groups, "%lld, ", (long long)state->groups);
    snprintf(text, size, "%s%lld, eps=%s, affine=%s", groups, (long long)state->shape[0],
             sonde_nn_number(eps, state->eps), self->parameters[WEIGHT].tensor ? "true" : "false");
}

static const sonde_module_class
    layer_norm_class = {.name = "LayerNorm", .forward = layer_norm, .describe = describe_shape},
    rms_norm_class = {.name = "RMSNorm", .forward = rms_norm, .describe = describe_shape},
    group_norm_class = {.name = "GroupNorm", .forward = group_norm, .describe = describe_channels},
    instance_norm_classes[] = {{.name = "InstanceNorm1d", .forward = group_norm, .describe = describe_channels},
                               {.name = "InstanceNorm2d", .forward = group_norm, .describe = describe_channels}};

/* Makes one; the parameters have the shape given. bias false: none, nor a place for one if there is no weight either.
 */
static sonde_status make(sonde_module **out, const sonde_module_class *class, const norm_state *with, int ndim,
                         bool affine, bool bias, sonde_dtype dtype)
{
    if (with->eps < 0) return sonde_fail(SONDE_EARG, "%s: eps must not be negative, got %g", class->name, with->eps);
    if (!sonde_dtype_is_float(dtype))
        return sonde_fail(SONDE_EDTYPE, "%s: dtype must be float32 or float64, got %s", class->name,
                          sonde_dtype_name(dtype));
    for (int d = 0; d < ndim; d++)
        if (with->shape[d] < 1)
            return sonde_fail(SONDE_EARG, "%s: expected sizes of at least 1, got %lld", class->name,
                              (long long)with->shape[d]);
    norm_state *state = sonde_alloc(sizeof *state);
    if (!state) return SONDE_ENOMEM;
    *state = *with;
    sonde_module *m = NULL;
    sonde_status status = sonde_module_new(&m, class, state);
    if (status != SONDE_OK) {
        sonde_free(state);
        return status;
    }
    status = affine ? sonde_module_make_parameter(m, "weight", dtype, ndim, with->shape, 1, 1)
                    : sonde_module_set_parameter(m, "weight", NULL, false);
    if (status == SONDE_OK)
        status = affine && bias ? sonde_module_make_parameter(m, "bias", dtype, ndim, with->shape, 0, 0)
                                : sonde_module_set_parameter(m, "bias", NULL, false);
    if (status != SONDE_OK) {
        sonde_module_release(m);
        return status;
    }
    *out = m;
    return SONDE_OK;
}

static sonde_status over_shape(sonde_module **out, const sonde_module_class *class, int ndim, const int64_t *shape,
                               double eps, bool affine, bool bias, sonde_dtype dtype)
{
    if (ndim < 1 || ndim > SONDE_MAX_DIMS)
        return sonde_fail(SONDE_EARG, "%s: expected 1 to %d axes to normalise, got %d", class->name, SONDE_MAX_DIMS,
                          ndim);
    norm_state state = {.ndim = ndim, .eps = eps};
    for (int d = 0; d < ndim; d++) state.shape[d] = shape[d];
    return make(out, class, &state, ndim, affine, bias, dtype);
}

sonde_status sonde_layer_norm_new(sonde_module **out, int ndim, const int64_t *shape, double eps, bool affine,
                                  bool bias, sonde_dtype dtype)
{
    return over_shape(out, &layer_norm_class, ndim, shape, eps, affine, bias, dtype);
}

sonde_status sonde_rms_norm_new(sonde_module **out, int ndim, const int64_t *shape, double eps, bool affine,
                                sonde_dtype dtype)
{
    return over_shape(out, &rms_norm_class, ndim, shape, eps, affine, false, dtype);
}

sonde_status sonde_group_norm_new(sonde_module **out, int64_t groups, int64_t channels, double eps, bool affine,
                                  sonde_dtype dtype)
{
    if (groups < 1 || channels < 1 || channels % groups != 0)
        return sonde_fail(SONDE_EARG, "GroupNorm: %lld channels cannot be cut into %lld groups", (long long)channels,
                          (long long)groups);
    norm_state state = {.shape = {channels}, .groups = groups, .eps = eps};
    return make(out, &group_norm_class, &state, 1, affine, true, dtype);
}

sonde_status sonde_instance_norm_new(sonde_module **out, int dims, int64_t num_features, double eps, bool affine,
                                     sonde_dtype dtype)
{
    norm_state state = {.ndim = dims + 2, .shape = {num_features}, .groups = num_features, .eps = eps};
    return make(out, &instance_norm_classes[dims == 2], &state, 1, affine, true, dtype);
}
