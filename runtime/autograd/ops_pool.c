#include "autograd/autograd.h"
#include "kernel/conv.h"

#include <string.h>

/* Every pooling is a table of windows along each axis; the rows differ only in how the table is made. */
typedef struct pooling {
    sonde_pool_args args;
    int64_t size[2]; /* adaptive: output sizes */
    bool adaptive, maximum;
} pooling;

sonde_status sonde_pool_check(const char *name, const sonde_pool_args *a)
{
    for (int d = 0; d < 2; d++) {
        if (a->kernel[d] < 1 || a->stride[d] < 1 || a->dilation[d] < 1)
            return sonde_fail(SONDE_EARG,
                              "%s: kernel_size, stride and dilation must be at least 1, got %lld, %lld and %lld", name,
                              (long long)a->kernel[d], (long long)a->stride[d], (long long)a->dilation[d]);
        if (a->kernel[d] > INT32_MAX || a->stride[d] > INT32_MAX || a->dilation[d] > INT32_MAX)
            return sonde_fail(SONDE_EARG, "%s: kernel_size, stride and dilation must be below 2^31", name);
        if (a->padding[d] < 0 || a->padding[d] > a->kernel[d] / 2)
            return sonde_fail(SONDE_EARG, "%s: padding must be between 0 and half the kernel (%lld), got %lld", name,
                              (long long)(a->kernel[d] / 2), (long long)a->padding[d]);
    }
    return SONDE_OK;
}

static sonde_status output_size(const char *name, const pooling *p, int d, int64_t in, int64_t *size)
{
    const sonde_pool_args *a = &p->args;
    if (p->adaptive) {
        if (p->size[d] < 1)
            return sonde_fail(SONDE_EARG, "%s: output sizes must be at least 1, got %lld", name, (long long)p->size[d]);
        if (in < 1) return sonde_fail(SONDE_ESHAPE, "%s: the input is empty", name);
        *size = p->size[d];
        return SONDE_OK;
    }
    const int64_t room = in + 2 * a->padding[d] - (a->dilation[d] * (a->kernel[d] - 1) + 1);
    if (room < 0)
        return sonde_fail(SONDE_ESHAPE, "%s: a window of %lld does not fit into the padded input of %lld", name,
                          (long long)(a->dilation[d] * (a->kernel[d] - 1) + 1), (long long)(in + 2 * a->padding[d]));
    *size = (room + (a->ceil_mode ? a->stride[d] - 1 : 0)) / a->stride[d] + 1;
    /* PyTorch: the last window must start inside the input or its left padding */
    if (a->ceil_mode && (*size - 1) * a->stride[d] >= in + a->padding[d]) --*size;
    return SONDE_OK;
}

/* Fills one axis's table; `memory` has room for 3 * n_out numbers. */
static void make_windows(sonde_windows *w, int64_t *memory, const pooling *p, int d, int64_t n_in, int64_t n_out)
{
    const sonde_pool_args *a = &p->args;
    int64_t *first = memory, *count = memory + n_out, *divisor = memory + 2 * n_out;
    for (int64_t o = 0; o < n_out; o++) {
        if (p->adaptive) {
            first[o] = o * n_in / n_out;
            count[o] = divisor[o] = ((o + 1) * n_in + n_out - 1) / n_out - first[o];
            continue;
        }
        const int64_t start = o * a->stride[d] - a->padding[d], step = a->dilation[d];
        const int64_t skipped = start < 0 ? (-start + step - 1) / step : 0; /* taps in the padding before */
        const int64_t end = start + a->kernel[d] < n_in + a->padding[d] ? start + a->kernel[d] : n_in + a->padding[d];
        first[o] = start + skipped * step;
        const int64_t inside = first[o] < n_in ? (n_in - first[o] + step - 1) / step : 0;
        count[o] = a->kernel[d] - skipped < inside ? a->kernel[d] - skipped : inside;
        divisor[o] = a->count_include_pad ? end - start : count[o];
    }
    *w = (sonde_windows){.n_in = n_in,
                         .n_out = n_out,
                         .step = p->adaptive ? 1 : a->dilation[d],
                         .first = first,
                         .count = count,
                         .divisor = divisor};
}

/* The tables of the last two axes, in one block the caller frees, and the number of planes they make. */
static sonde_status new_windows(int64_t **memory, sonde_windows axes[2], int64_t *planes, const pooling *p,
                                const sonde_tensor *x, const sonde_tensor *y)
{
    const int h = x->ndim - 2, w = x->ndim - 1;
    *planes = h == 2 ? x->shape[0] * x->shape[1] : x->shape[0];
    *memory = sonde_alloc((size_t)(3 * (y->shape[h] + y->shape[w])) * sizeof(int64_t));
    if (!*memory) return SONDE_ENOMEM;
    make_windows(&axes[0], *memory, p, 0, x->shape[h], y->shape[h]);
    make_windows(&axes[1], *memory + 3 * y->shape[h], p, 1, x->shape[w], y->shape[w]);
    return SONDE_OK;
}

static sonde_status pool_shape(sonde_call *c)
{
    const sonde_tensor *x = c->in[0];
    char text[SONDE_SHAPE_TEXT];
    if (x->ndim != 4 && x->ndim != 3)
        return sonde_fail(SONDE_ESHAPE, "%s: expected an input [N, C, H, W] or [C, H, W], got %s", c->op->name,
                          sonde_shape_text(text, x->ndim, x->shape));
    if (!sonde_dtype_is_float(x->dtype))
        return sonde_fail(SONDE_EDTYPE, "%s: expected a float tensor, got int64", c->op->name);
    const pooling *p = c->args;
    if (!p->adaptive) SONDE_TRY(sonde_pool_check(c->op->name, &p->args));
    c->out_dtype[0] = x->dtype;
    c->out_ndim[0] = x->ndim;
    const int h = x->ndim - 2;
    for (int d = 0; d < h; d++) c->out_shape[0][d] = x->shape[d];
    for (int d = 0; d < 2; d++)
        SONDE_TRY(output_size(c->op->name, p, d, x->shape[h + d], &c->out_shape[0][h + d]));
    return SONDE_OK;
}

static sonde_status pool_forward(sonde_call *c)
{
    const pooling *p = c->args;
    const sonde_tensor *x = c->in[0];
    sonde_tensor *y = c->out[0], *index = NULL;
    sonde_windows axes[2];
    int64_t *memory, planes;
    SONDE_TRY(new_windows(&memory, axes, &planes, p, x, y));
    sonde_status status = SONDE_OK;
    if (p->maximum) {
        for (int d = 0; d < 2 && status == SONDE_OK; d++) {
            for (int64_t o = 0; o < axes[d].n_out; o++) {
                if (axes[d].count[o] < 1)
                    status = sonde_fail(SONDE_ESHAPE, "%s: a window lies in the padding only", c->op->name);
            }
        }
        if (status == SONDE_OK) status = sonde_tensor_new(&index, SONDE_INT64, y->ndim, y->shape);
        if (status == SONDE_OK) {
            sonde_conv_loops_of(x->dtype)->max_pool(sonde_tensor_data(y), sonde_tensor_data(index),
                                                    sonde_tensor_data(x), planes, axes);
            c->extra[c->n_extra++] = index;
        }
    } else {
        sonde_conv_loops_of(x->dtype)->average_pool(sonde_tensor_data(y), sonde_tensor_data(x), planes, axes);
    }
    sonde_free(memory);
    return status;
}

static sonde_status pool_backward(sonde_node *node)
{
    const pooling *p = sonde_node_args(node);
    const sonde_tensor *dy = sonde_node_grad(node, 0);
    sonde_tensor *dx;
    bool add;
    SONDE_TRY(sonde_node_target(node, 0, &dx, &add));
    sonde_windows axes[2];
    int64_t *memory, planes;
    SONDE_TRY(new_windows(&memory, axes, &planes, p, dx, dy));
    if (!add) memset(sonde_tensor_data(dx), 0, (size_t)sonde_tensor_numel(dx) * sonde_dtype_size(dx->dtype));
    const sonde_conv_loops *loops = sonde_conv_loops_of(dy->dtype);
    if (p->maximum)
        loops->max_pool_backward(sonde_tensor_data(dx), sonde_tensor_data(dy),
                                 sonde_tensor_data(sonde_node_extra(node, 0)), planes, axes);
    else
        loops->average_pool_backward(sonde_tensor_data(dx), sonde_tensor_data(dy), planes, axes);
    sonde_free(memory);
    return SONDE_OK;
}

#define POOL_ROW(label)                                                                                                \
    {                                                                                                                  \
        .name = label, .args_size = sizeof(pooling), .shape = pool_shape, .forward = pool_forward,                     \
        .backward = pool_backward                                                                                      \
    }
static const sonde_op max_pool2d = POOL_ROW("max_pool2d"), avg_pool2d = POOL_ROW("avg_pool2d"),
                      adaptive_max_pool2d = POOL_ROW("adaptive_max_pool2d"),
                      adaptive_avg_pool2d = POOL_ROW("adaptive_avg_pool2d");

static sonde_status apply(const sonde_op *op, sonde_tensor **out, sonde_tensor *x, const pooling *p)
{
    sonde_tensor *in;
    SONDE_TRY(sonde_contiguous(&in, x));
    sonde_status status = sonde_apply(op, 1, &in, p, out);
    sonde_tensor_release(in);
    return status;
}

sonde_status sonde_max_pool2d(sonde_tensor **out, sonde_tensor *x, const sonde_pool_args *args)
{
    return apply(&max_pool2d, out, x, &(pooling){.args = *args, .maximum = true});
}

sonde_status sonde_avg_pool2d(sonde_tensor **out, sonde_tensor *x, const sonde_pool_args *args)
{
    return apply(&avg_pool2d, out, x, &(pooling){.args = *args});
}

sonde_status sonde_adaptive_pool2d(sonde_tensor **out, sonde_tensor *x, const int64_t size[2], bool maximum)
{
    pooling p = {.size = {size[0], size[1]}, .adaptive = true, .maximum = maximum};
    return apply(maximum ? &adaptive_max_pool2d : &adaptive_avg_pool2d, out, x, &p);
}
