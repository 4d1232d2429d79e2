/* Pooling as modules. A one-dimensional one is a two-dimensional one of height 1. */
#include "nn/internal.h"

#include <stdio.h>

typedef struct pool_state {
    sonde_pool_args args;
    bool maximum, one; /* one-dimensional */
} pool_state;

static sonde_status pool(sonde_tensor **out, sonde_tensor *x, const pool_state *state)
{
    return state->maximum ? sonde_max_pool2d(out, x, &state->args) : sonde_avg_pool2d(out, x, &state->args);
}

static sonde_status pool_1d(sonde_tensor **out, sonde_tensor *x, const pool_state *state)
{
    char text[SONDE_SHAPE_TEXT];
    sonde_tensor *tall = NULL, *y = NULL;
    if (x->ndim != 3)
        return sonde_fail(SONDE_ESHAPE, "expected an input [N, C, L], got %s",
                          sonde_shape_text(text, x->ndim, x->shape));
    const int height = 2;
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
    int n = snprintf(text, size, "kernel_size=%s, stride=%s, padding=%s", pair(kernel, a->kernel, state->one),
                     pair(stride, a->stride, state->one), pair(padding, a->padding, state->one));
    if (state->maximum && n > 0 && (size_t)n < size)
        n += snprintf(text + n, size - (size_t)n, ", dilation=%s", pair(dilation, a->dilation, state->one));
    if (n > 0 && (size_t)n < size && a->ceil_mode) snprintf(text + n, size - (size_t)n, ", ceil_mode=true");
}

static const struct row {
    sonde_module_class class;
    bool maximum, one;
} rows[] = {
    [SONDE_MAX_POOL1D] = {{.name = "MaxPool1d", .forward = forward, .describe = describe}, true, true},
    [SONDE_MAX_POOL2D] = {{.name = "MaxPool2d", .forward = forward, .describe = describe}, true, false},
    [SONDE_AVG_POOL1D] = {{.name = "AvgPool1d", .forward = forward, .describe = describe}, false, true},
    [SONDE_AVG_POOL2D] = {{.name = "AvgPool2d", .forward = forward, .describe = describe}, false, false},
};

sonde_status sonde_pool_new(sonde_module **out, sonde_pool_kind kind, const sonde_pool_args *args)
{
    const struct row *row = &rows[kind];
    pool_state *state = sonde_alloc(sizeof *state);
    if (!state) return SONDE_ENOMEM;
    *state = (pool_state){*args, row->maximum, row->one};
    if (row->one) {
        state->args.kernel[0] = state->args.stride[0] = state->args.dilation[0] = 1;
        state->args.padding[0] = 0;
    }
    sonde_status status = sonde_pool_check(row->class.name, &state->args);
    if (status == SONDE_OK) status = sonde_module_new(out, &row->class, state);
    if (status != SONDE_OK) sonde_free(state);
    return status;
}

/* ---- to a given size ------------------------------------------------------------------------------------- */

typedef struct adaptive_state {
    int64_t size[2];
    bool maximum;
} adaptive_state;

static sonde_status adaptive_forward(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    const adaptive_state *state = self->state;
    SONDE_TRY(sonde_adaptive_pool2d(&out->t[0], in->t[0], state->size, state->maximum));
    out->n = 1;
    return SONDE_OK;
}

static void adaptive_describe(const sonde_module *self, char *text, size_t size)
{
    const adaptive_state *state = self->state;
    char numbers[48];
    snprintf(text, size, "output_size=%s", pair(numbers, state->size, false));
}

static const sonde_module_class adaptive_classes[] = {
    {.name = "AdaptiveAvgPool2d", .forward = adaptive_forward, .describe = adaptive_describe},
    {.name = "AdaptiveMaxPool2d", .forward = adaptive_forward, .describe = adaptive_describe},
};

sonde_status sonde_adaptive_pool_new(sonde_module **out, bool maximum, const int64_t size[2])
{
    const sonde_module_class *class = &adaptive_classes[maximum];
    if (size[0] < 1 || size[1] < 1)
        return sonde_fail(SONDE_EARG, "%s: output sizes must be at least 1, got %lld and %lld", class->name,
                          (long long)size[0], (long long)size[1]);
    adaptive_state *state = sonde_alloc(sizeof *state);
    if (!state) return SONDE_ENOMEM;
    *state = (adaptive_state){{size[0], size[1]}, maximum};
    sonde_status status = sonde_module_new(out, class, state);
    if (status != SONDE_OK) sonde_free(state);
    return status;
}
