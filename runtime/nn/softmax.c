/* Softmax and LogSoftmax over one axis, as modules. */
#include "nn/nn.h"

#include <math.h>
#include <stdio.h>

static sonde_status softmax(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    SONDE_TRY(sonde_softmax(&out->t[0], in->t[0], *(const int *)self->state));
    out->n = 1;
    return SONDE_OK;
}

static sonde_status log_softmax(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    SONDE_TRY(sonde_log_softmax(&out->t[0], in->t[0], *(const int *)self->state));
    out->n = 1;
    return SONDE_OK;
}

static void describe(const sonde_module *self, char *text, size_t size)
{
    const int axis = *(const int *)self->state;
    snprintf(text, size, "dim=%d", axis < 0 ? axis : axis + 1);
}

/* ∂y_i/∂x_j = y_i (δ_ij - y_j), at most 1/4; of the logarithm δ_ij - y_j. */
static sonde_activation_facts softmax_facts(const sonde_module *self)
{
    return (sonde_activation_facts){"softmax", 0.25, true, -HUGE_VAL, HUGE_VAL};
}

static sonde_activation_facts log_softmax_facts(const sonde_module *self)
{
    return (sonde_activation_facts){"log_softmax", 1, false, -HUGE_VAL, HUGE_VAL};
}

static const sonde_module_class softmax_class = {
    .name = "Softmax", .forward = softmax, .describe = describe, .facts = softmax_facts},
                                log_softmax_class = {
                                    .name = "LogSoftmax", .forward = log_softmax, .describe = describe,
                                    .facts = log_softmax_facts};

sonde_status sonde_softmax_module_new(sonde_module **out, int axis, bool logarithm)
{
    int *state = sonde_alloc(sizeof *state);
    if (!state) return SONDE_ENOMEM;
    *state = axis;
    sonde_status status = sonde_module_new(out, logarithm ? &log_softmax_class : &softmax_class, state);
    if (status != SONDE_OK) sonde_free(state);
    return status;
}
