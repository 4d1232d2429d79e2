/* Modules that let values pass and change the gradient. */
#include "nn/internal.h"

#include <math.h>
#include <stdio.h>

static sonde_status scale(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    SONDE_TRY(sonde_scale_gradient(&out->t[0], in->t[0], *(const double *)self->state));
    out->n = 1;
    return SONDE_OK;
}

static sonde_status reverse(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    SONDE_TRY(sonde_scale_gradient(&out->t[0], in->t[0], -*(const double *)self->state));
    out->n = 1;
    return SONDE_OK;
}

static sonde_status stop(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    SONDE_TRY(sonde_detach(&out->t[0], in->t[0]));
    out->n = 1;
    return SONDE_OK;
}

static void describe(const sonde_module *self, char *text, size_t size)
{
    char number[32];
    snprintf(text, size, "scale=%s", sonde_nn_number(number, *(const double *)self->state));
}

static const sonde_module_class classes[] = {
    [SONDE_GRADIENT_SCALE] = {.name = "GradientScale", .forward = scale, .describe = describe},
    [SONDE_GRADIENT_STOP] = {.name = "GradientStop", .forward = stop},
    [SONDE_GRADIENT_REVERSAL] = {.name = "GradientReversal", .forward = reverse, .describe = describe},
};

sonde_status sonde_gradient_module_new(sonde_module **out, sonde_gradient_kind kind, double factor)
{
    if (!isfinite(factor))
        return sonde_fail(SONDE_EARG, "%s: scale must be finite, got %g", classes[kind].name, factor);
    double *state = sonde_alloc(sizeof *state);
    if (!state) return SONDE_ENOMEM;
    *state = factor;
    sonde_status status = sonde_module_new(out, &classes[kind], state);
    if (status != SONDE_OK) sonde_free(state);
    return status;
}
