/* Pooling as modules. A one-dimensional one is a two-dimensional one of height 1. */
#include "nn/internal.h"

#include <stdio.h>

typedef struct pool_state {
    sonde_pool_args args;
    int64_t size[2]; /* of the output, where that is given */
    bool adaptive, maximum, one; /* one-dimensional */
} pool_state;

static sonde_status pool(sonde_tensor **out, sonde_tensor *x, const pool_state *state)
{
    if (state->adaptive) return sonde_adaptive_pool2d(out, x, state->size, state->maximum);
    return state->maximum ? sonde_max_pool2d(out, x, &state->args) : sonde_avg_pool2d(out, x, &state->args);
}

static sonde_status pool_1d(sonde_tensor **out, sonde_tensor *x, const pool_state *state)
{
    char text[SONDE_SHAPE_TEXT];
    sonde_tensor *tall = NULL, *y = NULL;
    if (x->ndim != 3 && x->ndim != 2)
        return sonde_fail(SONDE_ESHAPE, "expected an input [N, C, L] or [C, L], got %s",
                          sonde_shape_text(text, x->ndim, x->shape));
    const int height = x->ndim - 1;
    SONDE_TRY(sonde_unsqueeze(&tall, x, height));
    sonde_status status = pool(&y, tall, state);
    if (status == SONDE_OK) status = sonde_squeeze(out, y, &height);
    sonde_tensor_release(y);
    sonde_tensor_release(tall);
    return status;
}

static sonde_status forward(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    const pool_state *state = self->state;
    SONDE_TRY(state->one ? pool_1d(&out->t[0], in->t[0], state) : pool(&out->t[0], in->t[0], state));
    out->n = 1;
    return SONDE_OK;
}

static const char *pair(char text[static 48], const int64_t values[2], bool one)
{
    if (one)
        snprintf(text, 48, "%lld", (long long)values[1]);
    else
        snprintf(text, 48, "{%lld, %lld}", (long long)values[0], (long long)values[1]);
    return text;
}

static void describe(const sonde_module *self, char *text, size_t size)
{
    const pool_state *state = self->state;
    const sonde_pool_args *a = &state->args;
    char kernel[48], stride[48], padding[48], dilation[48];
    if (state->adaptive) {
        snprintf(text, size, "output_size=%s", pair(kernel, state->size, state->one));
        return;
    }
    int n = snprintf(text, size, "kernel_size=%s, stride=%s, padding=%s", pair(kernel, a->kernel, state->one),
                     pair(stride, a->stride, state->one), pair(padding, a->padding, state->one));
    if (state->maximum && n > 0 && (size_t)n < size)
        n += snprintf(text + n, size - (size_t)n, ", dilation=%s", pair(dilation, a->dilation, state->one));
    if (n > 0 && (size_t)n < size && a->ceil_mode) snprintf(text + n, size - (size_t)n, ", ceil_mode=true");
}

#define POOL(label) {.name = label, .forward = forward, .describe = describe}
static const struct row {
    sonde_module_class class;
    bool maximum, one;
} rows[] = {
    [SONDE_MAX_POOL1D] = {POOL("MaxPool1d"), true, true},
    [SONDE_MAX_POOL2D] = {POOL("MaxPool2d"), true, false},
    [SONDE_AVG_POOL1D] = {POOL("AvgPool1d"), false, true},
    [SONDE_AVG_POOL2D] = {POOL("AvgPool2d"), false, false},
    [SONDE_ADAPTIVE_MAX_POOL1D] = {POOL("AdaptiveMaxPool1d"), true, true},
    [SONDE_ADAPTIVE_MAX_POOL2D] = {POOL("AdaptiveMaxPool2d"), true, false},
    [SONDE_ADAPTIVE_AVG_POOL1D] = {POOL("AdaptiveAvgPool1d"), false, true},
    [SONDE_ADAPTIVE_AVG_POOL2D] = {POOL("AdaptiveAvgPool2d"), false, false},
};

static sonde_status make(sonde_module **out, sonde_pool_kind kind, const pool_state *with)
{
    pool_state *state = sonde_alloc(sizeof *state);
    if (!state) return SONDE_ENOMEM;
    *state = *with;
    sonde_status status = sonde_module_new(out, &rows[kind].class, state);
    if (status != SONDE_OK) sonde_free(state);
    return status;
}

sonde_status sonde_pool_new(sonde_module **out, sonde_pool_kind kind, const sonde_pool_args *args)
{
    const struct row *row = &rows[kind];
    pool_state state = {.args = *args, .maximum = row->maximum, .one = row->one};
    if (row->one) {
        state.args.kernel[0] = state.args.stride[0] = state.args.dilation[0] = 1;
        state.args.padding[0] = 0;
    }
    SONDE_TRY(sonde_pool_check(row->class.name, &state.args));
    return make(out, kind, &state);
}

sonde_status sonde_adaptive_pool_new(sonde_module **out, sonde_pool_kind kind, const int64_t size[2])
{
    const struct row *row = &rows[kind];
    pool_state state = {.size = {row->one ? 1 : size[0], size[1]}, .adaptive = true, .maximum = row->maximum,
                        .one = row->one};
    for (int d = 0; d < 2; d++)
        if (state.size[d] < 1)
            return sonde_fail(SONDE_EARG, "%s: output sizes must be at least 1, got %lld", row->class.name,
                              (long long)state.size[d]);
    return make(out, kind, &state);
}
