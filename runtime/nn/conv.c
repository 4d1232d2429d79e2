/* Convolutions as modules. A one-dimensional one is a two-dimensional one of height 1. */
#include "nn/internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WEIGHT, BIAS };

static bool is_1d(const sonde_module *m)
{
    return strcmp(m->class->name, "Conv1d") == 0;
}

static sonde_status convolve_1d(sonde_tensor **out, sonde_tensor *x, sonde_tensor *weight, sonde_tensor *bias,
                                const sonde_conv_args *args)
{
    sonde_tensor *tall = NULL, *kernel = NULL, *y = NULL;
    const int height = 2;
    sonde_status status = sonde_unsqueeze(&tall, x, height);
    if (status == SONDE_OK) status = sonde_unsqueeze(&kernel, weight, height);
    if (status == SONDE_OK) status = sonde_conv2d(&y, tall, kernel, bias, args);
    if (status == SONDE_OK) status = sonde_squeeze(out, y, &height);
    sonde_tensor_release(y);
    sonde_tensor_release(kernel);
    sonde_tensor_release(tall);
    return status;
}

/* x [N, C, ..] */
static sonde_status convolve(sonde_tensor **out, const sonde_module *self, sonde_tensor *x, const sonde_conv_args *args)
{
    sonde_tensor *weight = self->parameters[WEIGHT].tensor, *bias = self->parameters[BIAS].tensor;
    if (is_1d(self)) return convolve_1d(out, x, weight, bias, args);
    if (strcmp(self->class->name, "Conv2d") == 0) return sonde_conv2d(out, x, weight, bias, args);
    return sonde_conv_transpose2d(out, x, weight, bias, args);
}

/* The padding of a mode other than zeros is put on beforehand: *x (one reference) grows along its last `dims` axes. */
static sonde_status pad(sonde_tensor **x, const sonde_conv_options *o, int dims, sonde_conv_args *left)
{
    for (int d = 2 - dims; d < 2; d++) {
        sonde_tensor *wide, *old = *x;
        const int64_t before = o->args.padding[d], after = before + o->args.end_padding[d];
        SONDE_TRY(sonde_pad(&wide, old, old->ndim - 2 + d, before, after, o->padding_mode));
        sonde_tensor_release(old);
        *x = wide;
        left->padding[d] = left->end_padding[d] = 0;
    }
    return SONDE_OK;
}

static sonde_status forward(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    const sonde_conv_options *o = self->state;
    const int dims = is_1d(self) ? 1 : 2, batch = 0;
    sonde_tensor *given = in->t[0], *x = NULL, *y = NULL;
    sonde_conv_args args = o->args;
    if (!self->parameters[WEIGHT].tensor) return sonde_fail(SONDE_ESTATE, "the weight is missing");
    const bool single = given->ndim == dims + 1;
    if (!single && given->ndim != dims + 2) {
        char text[SONDE_SHAPE_TEXT];
        return sonde_fail(SONDE_ESHAPE, "expected an input [N, C, %s] or [C, %s], got %s", dims == 1 ? "L" : "H, W",
                          dims == 1 ? "L" : "H, W", sonde_shape_text(text, given->ndim, given->shape));
    }
    sonde_status status = SONDE_OK;
    if (single)
        status = sonde_unsqueeze(&x, given, batch);
    else
        x = sonde_tensor_retain(given);
    if (status == SONDE_OK && o->padding_mode != SONDE_PAD_ZEROS) status = pad(&x, o, dims, &args);
    if (status == SONDE_OK) status = convolve(&y, self, x, &args);
    if (status == SONDE_OK && single)
        status = sonde_squeeze(&out->t[0], y, &batch);
    else if (status == SONDE_OK)
        out->t[0] = sonde_tensor_retain(y);
    if (status == SONDE_OK) out->n = 1;
    sonde_tensor_release(y);
    sonde_tensor_release(x);
    return status;
}

/* ", stride={2, 1}", or ", stride=2" in one dimension; nothing if all are `usual`. */
static size_t describe_pair(char *text, size_t size, size_t length, const char *name, const int64_t pair[2],
                            int64_t usual, bool one)
{
    if (length >= size || (pair[1] == usual && (one || pair[0] == usual))) return length;
    if (one) return length + (size_t)snprintf(text + length, size - length, ", %s=%lld", name, (long long)pair[1]);
    return length + (size_t)snprintf(text + length, size - length, ", %s={%lld, %lld}", name, (long long)pair[0],
                                     (long long)pair[1]);
}

static void describe(const sonde_module *self, char *text, size_t size)
{
    static const char *const modes[] = {"zeros", "reflect", "replicate", "circular"};
    const sonde_conv_options *o = self->state;
    bool one = is_1d(self);
    size_t n = (size_t)snprintf(text, size, "%lld, %lld", (long long)o->in_channels, (long long)o->out_channels);
    n = describe_pair(text, size, n, "kernel_size", o->kernel, 0, one);
    n = describe_pair(text, size, n, "stride", o->args.stride, 0, one);
    if (o->same && n < size)
        n += (size_t)snprintf(text + n, size - n, ", padding='same'");
    else
        n = describe_pair(text, size, n, "padding", o->args.padding, 0, one);
    n = describe_pair(text, size, n, "output_padding", o->args.output_padding, 0, one);
    n = describe_pair(text, size, n, "dilation", o->args.dilation, 1, one);
    if (o->args.groups != 1 && n < size)
        n += (size_t)snprintf(text + n, size - n, ", groups=%lld", (long long)o->args.groups);
    if (!self->parameters[BIAS].tensor && n < size) n += (size_t)snprintf(text + n, size - n, ", bias=false");
    if (o->padding_mode != SONDE_PAD_ZEROS && n < size)
        snprintf(text + n, size - n, ", padding_mode='%s'", modes[o->padding_mode]);
}

static const sonde_module_class classes[] = {
    [SONDE_CONV1D] = {.name = "Conv1d", .forward = forward, .describe = describe},
    [SONDE_CONV2D] = {.name = "Conv2d", .forward = forward, .describe = describe},
    [SONDE_CONV_TRANSPOSE2D] = {.name = "ConvTranspose2d", .forward = forward, .describe = describe},
};

static sonde_status check(const char *name, const sonde_conv_options *o)
{
    const sonde_conv_args *a = &o->args;
    if (o->same && (a->stride[0] != 1 || a->stride[1] != 1))
        return sonde_fail(SONDE_EARG, "%s: padding 'same' needs stride 1, got %lld and %lld", name,
                          (long long)a->stride[0], (long long)a->stride[1]);
    if (o->in_channels < 1 || o->out_channels < 1)
        return sonde_fail(SONDE_EARG, "%s: expected at least 1 channel in and out, got %lld and %lld", name,
                          (long long)o->in_channels, (long long)o->out_channels);
    if (a->groups < 1 || o->in_channels % a->groups != 0 || o->out_channels % a->groups != 0)
        return sonde_fail(SONDE_EARG, "%s: %lld input and %lld output channels cannot be cut into %lld groups", name,
                          (long long)o->in_channels, (long long)o->out_channels, (long long)a->groups);
    for (int d = 0; d < 2; d++) {
        if (o->kernel[d] < 1 || a->stride[d] < 1 || a->dilation[d] < 1)
            return sonde_fail(SONDE_EARG,
                              "%s: kernel_size, stride and dilation must be at least 1, got %lld, %lld and %lld", name,
                              (long long)o->kernel[d], (long long)a->stride[d], (long long)a->dilation[d]);
        if (a->padding[d] < 0 || a->output_padding[d] < 0)
            return sonde_fail(SONDE_EARG, "%s: padding must not be negative, got %lld", name,
                              (long long)(a->padding[d] < 0 ? a->padding[d] : a->output_padding[d]));
    }
    if (!sonde_dtype_is_float(o->dtype))
        return sonde_fail(SONDE_EDTYPE, "%s: dtype must be float32 or float64, got %s", name,
                          sonde_dtype_name(o->dtype));
    return SONDE_OK;
}

static sonde_status add_parameters(sonde_module *m, sonde_conv_kind kind)
{
    const sonde_conv_options *o = m->state;
    int64_t in = o->in_channels / o->args.groups, shape[4] = {o->out_channels, in, o->kernel[0], o->kernel[1]};
    if (kind == SONDE_CONV_TRANSPOSE2D) {
        shape[0] = o->in_channels;
        shape[1] = o->out_channels / o->args.groups;
    }
    double bound = 1 / sqrt((double)shape[1] * (double)shape[2] * (double)shape[3]);
    if (kind == SONDE_CONV1D) shape[2] = shape[3];
    SONDE_TRY(sonde_module_make_parameter(m, "weight", o->dtype, kind == SONDE_CONV1D ? 3 : 4, shape, -bound, bound));
    if (!o->bias) return sonde_module_set_parameter(m, "bias", NULL, false);
    return sonde_module_make_parameter(m, "bias", o->dtype, 1, &o->out_channels, -bound, bound);
}

/* d(k-1) in all, the odd one at the end, as PyTorch. */
static sonde_status pad_to_same(const char *name, sonde_conv_options *o)
{
    for (int d = 0; d < 2; d++) {
        int64_t all;
        if (__builtin_mul_overflow(o->args.dilation[d], o->kernel[d] - 1, &all))
            return sonde_fail(SONDE_EARG, "%s: kernel_size %lld with dilation %lld is too large", name,
                              (long long)o->kernel[d], (long long)o->args.dilation[d]);
        o->args.padding[d] = all / 2;
        o->args.end_padding[d] = all % 2;
    }
    return SONDE_OK;
}

sonde_status sonde_conv_new(sonde_module **out, sonde_conv_kind kind, const sonde_conv_options *options)
{
    sonde_conv_options *state = sonde_alloc(sizeof *state);
    if (!state) return SONDE_ENOMEM;
    *state = *options;
    if (kind == SONDE_CONV1D) {
        state->kernel[0] = state->args.stride[0] = state->args.dilation[0] = 1;
        state->args.padding[0] = 0;
    }
    if (kind == SONDE_CONV_TRANSPOSE2D) {
        state->same = false;
        state->padding_mode = SONDE_PAD_ZEROS;
    } else {
        state->args.output_padding[0] = state->args.output_padding[1] = 0;
    }
    sonde_module *m = NULL;
    sonde_status status = check(classes[kind].name, state);
    if (status == SONDE_OK && state->same) status = pad_to_same(classes[kind].name, state);
    if (status == SONDE_OK) status = sonde_module_new(&m, &classes[kind], state);
    if (status != SONDE_OK) {
        sonde_free(state);
        return status;
    }
    status = add_parameters(m, kind);
    if (status != SONDE_OK) {
        sonde_module_release(m);
        return status;
    }
    *out = m;
    return SONDE_OK;
}
