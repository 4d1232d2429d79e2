#include "nn/internal.h"

#include <math.h>
#include <stdio.h>

typedef struct scale_state {
    double init;
    int axis; /* 0-based or negative */
} scale_state;

enum { WEIGHT };

static sonde_status forward(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    sonde_tensor *x = in->t[0], *weight = self->parameters[WEIGHT].tensor, *view = NULL;
    int64_t shape[SONDE_MAX_DIMS];
    int axis;
    if (!weight) return sonde_fail(SONDE_ESTATE, "the weight is missing");
    SONDE_TRY(sonde_axis(&axis, ((const scale_state *)self->state)->axis, x->ndim));
    if (x->dtype != weight->dtype)
        return sonde_fail(SONDE_EDTYPE, "expected an input of the weight's dtype %s, got %s",
                          sonde_dtype_name(weight->dtype), sonde_dtype_name(x->dtype));
    if (x->shape[axis] != sonde_tensor_numel(weight)) {
        char text[SONDE_SHAPE_TEXT];
        return sonde_fail(SONDE_ESHAPE, "expected %lld features along axis %d, got %s",
                          (long long)sonde_tensor_numel(weight), axis + 1, sonde_shape_text(text, x->ndim, x->shape));
    }
    for (int d = 0; d < x->ndim; d++) shape[d] = d == axis ? x->shape[d] : 1;
    SONDE_TRY(sonde_view(&view, weight, x->ndim, shape));
    const sonde_status status = sonde_binary_op(&out->t[0], SONDE_MUL, x, view);
    sonde_tensor_release(view);
    if (status == SONDE_OK) out->n = 1;
    return status;
}

static void describe(const sonde_module *self, char *text, size_t size)
{
    const scale_state *state = self->state;
    const sonde_tensor *weight = self->parameters[WEIGHT].tensor;
    char init[32];
    if (weight)
        snprintf(text, size, "%lld, init=%s, dim=%d", (long long)sonde_tensor_numel(weight),
                 sonde_nn_number(init, state->init), state->axis < 0 ? state->axis : state->axis + 1);
}

static const sonde_module_class scale_class = {.name = "LayerScale", .forward = forward, .describe = describe};

sonde_status sonde_layer_scale_new(sonde_module **out, int64_t num_features, double init, int axis, sonde_dtype dtype)
{
    if (num_features < 1)
        return sonde_fail(SONDE_EARG, "LayerScale: num_features must be at least 1, got %lld", (long long)num_features);
    if (!isfinite(init)) return sonde_fail(SONDE_EARG, "LayerScale: init must be finite, got %g", init);
    if (!sonde_dtype_is_float(dtype))
        return sonde_fail(SONDE_EDTYPE, "LayerScale: dtype must be float32 or float64, got %s",
                          sonde_dtype_name(dtype));
    scale_state *state = sonde_alloc(sizeof *state);
    if (!state) return SONDE_ENOMEM;
    *state = (scale_state){init, axis};
    sonde_module *m = NULL;
    sonde_status status = sonde_module_new(&m, &scale_class, state);
    if (status != SONDE_OK) {
        sonde_free(state);
        return status;
    }
    status = sonde_module_make_parameter(m, "weight", dtype, 1, &num_features, init, init);
    if (status == SONDE_OK)
        *out = m;
    else
        sonde_module_release(m);
    return status;
}
