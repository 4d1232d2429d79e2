/* Flatten and Identity: modules that compute nothing. */
#include "nn/nn.h"

#include <stdio.h>

typedef struct flatten_state {
    int start, end;
} flatten_state;

static sonde_status flatten(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    const flatten_state *state = self->state;
    sonde_tensor *x = in->t[0];
    int start, end, axes = x->ndim ? x->ndim : 1; /* a scalar counts as one axis of one element */
    SONDE_TRY(sonde_axis(&start, state->start, axes));
    SONDE_TRY(sonde_axis(&end, state->end, axes));
    if (start > end)
        return sonde_fail(SONDE_ESHAPE, "start_dim %d comes after end_dim %d for an input with %d axes", start + 1,
                          end + 1, x->ndim);
    if (start == end && x->ndim > 0) {
        out->t[0] = sonde_tensor_retain(x);
    } else {
        int64_t shape[SONDE_MAX_DIMS], flat = 1;
        int n = 0;
        for (int d = 0; d < start; d++) shape[n++] = x->shape[d];
        for (int d = start; d <= end && d < x->ndim; d++) flat *= x->shape[d];
        shape[n++] = flat;
        for (int d = end + 1; d < x->ndim; d++) shape[n++] = x->shape[d];
        SONDE_TRY(sonde_reshape(&out->t[0], x, n, shape));
    }
    out->n = 1;
    return SONDE_OK;
}

static void describe_flatten(const sonde_module *self, char *text, size_t size)
{
    const flatten_state *state = self->state;
    snprintf(text, size, "start_dim=%d, end_dim=%d", state->start < 0 ? state->start : state->start + 1,
             state->end < 0 ? state->end : state->end + 1);
}

static const sonde_module_class flatten_class = {.name = "Flatten", .forward = flatten, .describe = describe_flatten};

sonde_status sonde_flatten_new(sonde_module **out, int start_dim, int end_dim)
{
    flatten_state *state = sonde_alloc(sizeof *state);
    if (!state) return SONDE_ENOMEM;
    *state = (flatten_state){start_dim, end_dim};
    sonde_status status = sonde_module_new(out, &flatten_class, state);
    if (status != SONDE_OK) sonde_free(state);
    return status;
}

static sonde_status identity(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    *out = (sonde_values){.n = 1, .t = {sonde_tensor_retain(in->t[0])}};
    return SONDE_OK;
}

static const sonde_module_class identity_class = {.name = "Identity", .forward = identity};

sonde_status sonde_identity_new(sonde_module **out)
{
    return sonde_module_new(out, &identity_class, NULL);
}
