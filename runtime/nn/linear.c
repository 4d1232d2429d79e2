#include "nn/internal.h"

#include <math.h>
#include <stdio.h>

enum { WEIGHT, BIAS };

static sonde_status forward(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    sonde_tensor *weight = self->parameters[WEIGHT].tensor;
    if (!weight) return sonde_fail(SONDE_ESTATE, "the weight is missing");
    SONDE_TRY(sonde_linear(&out->t[0], in->t[0], weight, self->parameters[BIAS].tensor));
    out->n = 1;
    return SONDE_OK;
}

static void describe(const sonde_module *self, char *text, size_t size)
{
    const sonde_tensor *weight = self->parameters[WEIGHT].tensor;
    if (!weight || weight->ndim != 2) return;
    snprintf(text, size, "in_features=%lld, out_features=%lld, bias=%s", (long long)weight->shape[1],
             (long long)weight->shape[0], self->parameters[BIAS].tensor ? "true" : "false");
}

static const sonde_module_class linear_class = {.name = "Linear", .forward = forward, .describe = describe};

sonde_status sonde_linear_new(sonde_module **out, int64_t in_features, int64_t out_features, bool bias,
                              sonde_dtype dtype)
{
    if (in_features < 1 || out_features < 1)
        return sonde_fail(SONDE_EARG, "Linear: expected at least 1 feature in and out, got %lld and %lld",
                          (long long)in_features, (long long)out_features);
    if (!sonde_dtype_is_float(dtype))
        return sonde_fail(SONDE_EDTYPE, "Linear: dtype must be float32 or float64, got %s", sonde_dtype_name(dtype));
    sonde_module *m = NULL;
    SONDE_TRY(sonde_module_new(&m, &linear_class, NULL));
    double bound = 1.0 / sqrt((double)in_features);
    sonde_status status =
        sonde_module_make_parameter(m, "weight", dtype, 2, (int64_t[]){out_features, in_features}, -bound, bound);
    if (status == SONDE_OK)
        status = bias ? sonde_module_make_parameter(m, "bias", dtype, 1, &out_features, -bound, bound)
                      : sonde_module_set_parameter(m, "bias", NULL, false);
    if (status != SONDE_OK) {
        sonde_module_release(m);
        return status;
    }
    *out = m;
    return SONDE_OK;
}
