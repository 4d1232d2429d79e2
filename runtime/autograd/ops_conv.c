#include "autograd/autograd.h"
#include "kernel/conv.h"

#include <string.h>

/* A transposed convolution is a convolution read backwards: what is the image in one is the grid in the other. So both
 * rows share one description, in which `image` is the side of the patches and `grid` the side of the products. */
typedef struct layout {
    sonde_patches patches;
    int64_t batch, groups;
    int64_t image_channels, grid_channels; /* per group */
    int64_t kernel, grid, image;           /* elements: of a kernel, of one channel's grid, of one channel's image */
} layout;

static sonde_status check_args(const char *name, const sonde_conv_args *a)
{
    for (int d = 0; d < 2; d++) {
        if (a->stride[d] < 1 || a->dilation[d] < 1)
            return sonde_fail(SONDE_EARG, "%s: stride and dilation must be at least 1, got %lld and %lld", name,
                              (long long)a->stride[d], (long long)a->dilation[d]);
        const int64_t paddings[] = {a->padding[d], a->end_padding[d], a->output_padding[d]};
        for (int i = 0; i < 3; i++)
            if (paddings[i] < 0)
                return sonde_fail(SONDE_EARG, "%s: padding must not be negative, got %lld", name,
                                  (long long)paddings[i]);
        if (a->stride[d] > INT32_MAX || a->dilation[d] > INT32_MAX || a->padding[d] > INT32_MAX ||
            a->end_padding[d] > INT32_MAX)
            return sonde_fail(SONDE_EARG, "%s: stride, dilation and padding must be below 2^31", name);
    }
    if (a->groups < 1)
        return sonde_fail(SONDE_EARG, "%s: groups must be at least 1, got %lld", name, (long long)a->groups);
    return SONDE_OK;
}

static sonde_status check_tensors(const sonde_call *c, int64_t groups, int x_axis, int bias_axis)
{
    const sonde_tensor *x = c->in[0], *w = c->in[1], *b = c->in[2];
    char xs[SONDE_SHAPE_TEXT], ws[SONDE_SHAPE_TEXT], bs[SONDE_SHAPE_TEXT];
    sonde_shape_text(xs, x->ndim, x->shape);
    sonde_shape_text(ws, w->ndim, w->shape);
    if (x->ndim != 4 || w->ndim != 4)
        return sonde_fail(SONDE_ESHAPE, "%s: expected an input with 4 axes [N, C, H, W], got %s (weight %s)",
                          c->op->name, xs, ws);
    if (!sonde_dtype_is_float(x->dtype) || w->dtype != x->dtype || (b && b->dtype != x->dtype))
        return sonde_fail(SONDE_EDTYPE, "%s: input, weight and bias must have one float dtype, got %s and %s",
                          c->op->name, sonde_dtype_name(x->dtype), sonde_dtype_name(w->dtype));
    const int64_t channels = x_axis == 1 ? w->shape[1] * groups : w->shape[0];
    if (x->shape[1] != channels)
        return sonde_fail(SONDE_ESHAPE, "%s: expected %lld input channels, got input %s for weight %s with groups %lld",
                          c->op->name, (long long)channels, xs, ws, (long long)groups);
    if (w->shape[0] % groups != 0)
        return sonde_fail(SONDE_ESHAPE, "%s: %lld channels cannot be cut into %lld groups", c->op->name,
                          (long long)w->shape[0], (long long)groups);
    const int64_t outputs = bias_axis == 0 ? w->shape[0] : w->shape[1] * groups;
    if (b && (b->ndim != 1 || b->shape[0] != outputs))
        return sonde_fail(SONDE_ESHAPE, "%s: expected a bias [%lld], got %s", c->op->name, (long long)outputs,
                          sonde_shape_text(bs, b->ndim, b->shape));
    if (w->shape[2] < 1 || w->shape[3] < 1)
        return sonde_fail(SONDE_ESHAPE, "%s: empty kernel in weight %s", c->op->name, ws);
    return SONDE_OK;
}

static void set_out(sonde_call *c, int64_t channels, const int64_t size[2])
{
    c->out_dtype[0] = c->in[0]->dtype;
    c->out_ndim[0] = 4;
    c->out_shape[0][0] = c->in[0]->shape[0];
    c->out_shape[0][1] = channels;
    c->out_shape[0][2] = size[0];
    c->out_shape[0][3] = size[1];
}

static layout layout_of(const sonde_conv_args *a, const int64_t *image, const int64_t *grid, const int64_t *weight)
{
    layout l = {.batch = image[0],
                .groups = a->groups,
                .kernel = weight[2] * weight[3],
                .image_channels = image[1] / a->groups,
                .grid_channels = grid[1] / a->groups,
                .grid = grid[2] * grid[3],
                .image = image[2] * image[3]};
    for (int d = 0; d < 2; d++) {
        l.patches.image[d] = image[2 + d];
        l.patches.grid[d] = grid[2 + d];
        l.patches.kernel[d] = weight[2 + d];
        l.patches.stride[d] = a->stride[d];
        l.patches.padding[d] = a->padding[d];
        l.patches.dilation[d] = a->dilation[d];
    }
    return l;
}

/* Memory for the patches of one image and group; NULL, with the message, when there is none. */
static void *new_patches(const layout *l, sonde_dtype dtype)
{
    size_t n;
    if (!sonde_size_mul((size_t)(l->image_channels * l->kernel), (size_t)l->grid, &n) ||
        !sonde_size_mul(n, sonde_dtype_size(dtype), &n)) {
        sonde_fail(SONDE_ENOMEM, "convolution: the matrix of patches is too large");
        return NULL;
    }
    return sonde_alloc(n > 0 ? n : 1);
}

static void *at(const void *base, int64_t elements, sonde_dtype dtype)
{
    return (char *)base + elements * (int64_t)sonde_dtype_size(dtype);
}

/* grid = W · patches(image): the forward of a convolution, the input gradient of a transposed one. */
static sonde_status image_to_grid(const layout *l, sonde_dtype dtype, void *grid, const void *image, const void *weight,
                                  bool add)
{
    void *patches = new_patches(l, dtype);
    if (!patches) return SONDE_ENOMEM;
    const int64_t k = l->image_channels * l->kernel;
    for (int64_t i = 0; i < l->batch * l->groups; i++) {
        sonde_conv_loops_of(dtype)->unfold(patches, at(image, i * l->image_channels * l->image, dtype),
                                           l->image_channels, &l->patches);
        sonde_matmul_kernel(dtype, at(grid, i * l->grid_channels * l->grid, dtype),
                            at(weight, i % l->groups * l->grid_channels * k, dtype), patches, l->grid_channels, l->grid,
                            k, k, l->grid, l->grid, false, false, add);
    }
    sonde_free(patches);
    return SONDE_OK;
}

/* image += fold(Wᵀ · grid): the input gradient of a convolution, the forward of a transposed one. */
static sonde_status grid_to_image(const layout *l, sonde_dtype dtype, void *image, const void *grid, const void *weight)
{
    void *patches = new_patches(l, dtype);
    if (!patches) return SONDE_ENOMEM;
    const int64_t k = l->image_channels * l->kernel;
    for (int64_t i = 0; i < l->batch * l->groups; i++) {
        sonde_matmul_kernel(dtype, patches, at(weight, i % l->groups * l->grid_channels * k, dtype),
                            at(grid, i * l->grid_channels * l->grid, dtype), k, l->grid, l->grid_channels, k, l->grid,
                            l->grid, true, false, false);
        sonde_conv_loops_of(dtype)->fold(at(image, i * l->image_channels * l->image, dtype), patches, l->image_channels,
                                         &l->patches);
    }
    sonde_free(patches);
    return SONDE_OK;
}

/* dW += grid · patches(image)ᵀ, one image after the other. */
static sonde_status weight_gradient(const layout *l, sonde_dtype dtype, void *dw, const void *grid, const void *image,
                                    bool add)
{
    void *patches = new_patches(l, dtype);
    if (!patches) return SONDE_ENOMEM;
    const int64_t k = l->image_channels * l->kernel;
    for (int64_t i = 0; i < l->batch * l->groups; i++) {
        sonde_conv_loops_of(dtype)->unfold(patches, at(image, i * l->image_channels * l->image, dtype),
                                           l->image_channels, &l->patches);
        sonde_matmul_kernel(dtype, at(dw, i % l->groups * l->grid_channels * k, dtype),
                            at(grid, i * l->grid_channels * l->grid, dtype), patches, l->grid_channels, k, l->grid,
                            l->grid, l->grid, k, false, true, add || i >= l->groups);
    }
    sonde_free(patches);
    return SONDE_OK;
}

static void add_bias(sonde_dtype dtype, void *y, const sonde_tensor *bias, int64_t batch, int64_t channels, int64_t n)
{
    if (!bias) return;
    for (int64_t i = 0; i < batch; i++)
        sonde_conv_loops_of(dtype)->add_rows(at(y, i * channels * n, dtype), sonde_tensor_data(bias), channels, n);
}

static void zero(sonde_tensor *t)
{
    memset(sonde_tensor_data(t), 0, (size_t)sonde_tensor_numel(t) * sonde_dtype_size(t->dtype));
}

/* db (+)= sums of dy over batch and positions */
static sonde_status bias_gradient(sonde_node *node, const sonde_tensor *dy)
{
    sonde_tensor *db;
    bool add;
    SONDE_TRY(sonde_node_target(node, 2, &db, &add));
    if (!add) zero(db);
    const int64_t channels = dy->shape[1], n = dy->shape[2] * dy->shape[3];
    for (int64_t i = 0; i < dy->shape[0]; i++)
        sonde_conv_loops_of(dy->dtype)->sum_rows(sonde_tensor_data(db),
                                                 at(sonde_tensor_data(dy), i * channels * n, dy->dtype), channels, n);
    return SONDE_OK;
}

/* ---- convolution ---------------------------------------------------------------------------------------- */

static sonde_status conv_shape(sonde_call *c)
{
    const sonde_conv_args *a = c->args;
    SONDE_TRY(check_args(c->op->name, a));
    SONDE_TRY(check_tensors(c, a->groups, 1, 0));
    int64_t size[2];
    for (int d = 0; d < 2; d++) {
        const int64_t in = c->in[0]->shape[2 + d] + 2 * a->padding[d] + a->end_padding[d],
                      reach = a->dilation[d] * (c->in[1]->shape[2 + d] - 1) + 1;
        if (reach > in)
            return sonde_fail(SONDE_ESHAPE, "conv2d: the kernel reaches over %lld, the padded input has only %lld",
                              (long long)reach, (long long)in);
        size[d] = (in - reach) / a->stride[d] + 1;
    }
    set_out(c, c->in[1]->shape[0], size);
    return SONDE_OK;
}

static sonde_status conv_forward(sonde_call *c)
{
    const sonde_tensor *x = c->in[0], *w = c->in[1];
    sonde_tensor *y = c->out[0];
    layout l = layout_of(c->args, x->shape, y->shape, w->shape);
    SONDE_TRY(image_to_grid(&l, x->dtype, sonde_tensor_data(y), sonde_tensor_data(x), sonde_tensor_data(w), false));
    add_bias(x->dtype, sonde_tensor_data(y), c->in[2], l.batch, y->shape[1], l.grid);
    return SONDE_OK;
}

static sonde_status conv_backward(sonde_node *node)
{
    const sonde_tensor *dy = sonde_node_grad(node, 0), *x = sonde_node_in(node, 0), *w = sonde_node_in(node, 1);
    layout l = layout_of(sonde_node_args(node), x->shape, dy->shape, w->shape);
    sonde_tensor *target;
    bool add;
    if (sonde_node_needs(node, 0)) { /* dX += fold(Wᵀ dY) */
        SONDE_TRY(sonde_node_target(node, 0, &target, &add));
        if (!add) zero(target);
        SONDE_TRY(grid_to_image(&l, dy->dtype, sonde_tensor_data(target), sonde_tensor_data(dy), sonde_tensor_data(w)));
    }
    if (sonde_node_needs(node, 1)) { /* dW += dY patches(X)ᵀ */
        SONDE_TRY(sonde_node_target(node, 1, &target, &add));
        if (!add && l.batch == 0) zero(target);
        SONDE_TRY(weight_gradient(&l, dy->dtype, sonde_tensor_data(target), sonde_tensor_data(dy), sonde_tensor_data(x),
                                  add));
    }
    return sonde_node_needs(node, 2) ? bias_gradient(node, dy) : SONDE_OK;
}

static const sonde_op conv2d = {.name = "conv2d",
                                .args_size = sizeof(sonde_conv_args),
                                .saves = SONDE_SAVE_IN0 | SONDE_SAVE_IN1,
                                .shape = conv_shape,
                                .forward = conv_forward,
                                .backward = conv_backward};

/* ---- transposed convolution ----------------------------------------------------------------------------- */

static sonde_status transpose_shape(sonde_call *c)
{
    const sonde_conv_args *a = c->args;
    SONDE_TRY(check_args(c->op->name, a));
    SONDE_TRY(check_tensors(c, a->groups, 0, 1));
    int64_t size[2];
    for (int d = 0; d < 2; d++) {
        const int64_t in = c->in[0]->shape[2 + d], most = a->stride[d] > a->dilation[d] ? a->stride[d] : a->dilation[d];
        if (a->output_padding[d] >= most)
            return sonde_fail(SONDE_EARG,
                              "conv_transpose2d: output_padding %lld must be smaller than stride or dilation (%lld)",
                              (long long)a->output_padding[d], (long long)most);
        int64_t span;
        if (in < 1 || __builtin_mul_overflow(in - 1, a->stride[d], &span) || span > INT64_MAX / 2)
            return sonde_fail(SONDE_ESHAPE, "conv_transpose2d: input of size %lld with stride %lld has no output",
                              (long long)in, (long long)a->stride[d]);
        size[d] = span - 2 * a->padding[d] + a->dilation[d] * (c->in[1]->shape[2 + d] - 1) + a->output_padding[d] + 1;
        if (size[d] < 1)
            return sonde_fail(SONDE_ESHAPE, "conv_transpose2d: padding %lld leaves no output",
                              (long long)a->padding[d]);
    }
    set_out(c, c->in[1]->shape[1] * a->groups, size);
    return SONDE_OK;
}

static sonde_status transpose_forward(sonde_call *c)
{
    const sonde_tensor *x = c->in[0], *w = c->in[1];
    sonde_tensor *y = c->out[0];
    layout l = layout_of(c->args, y->shape, x->shape, w->shape);
    zero(y);
    SONDE_TRY(grid_to_image(&l, x->dtype, sonde_tensor_data(y), sonde_tensor_data(x), sonde_tensor_data(w)));
    add_bias(x->dtype, sonde_tensor_data(y), c->in[2], l.batch, y->shape[1], l.image);
    return SONDE_OK;
}

static sonde_status transpose_backward(sonde_node *node)
{
    const sonde_tensor *dy = sonde_node_grad(node, 0), *x = sonde_node_in(node, 0), *w = sonde_node_in(node, 1);
    layout l = layout_of(sonde_node_args(node), dy->shape, x->shape, w->shape);
    sonde_tensor *target;
    bool add;
    if (sonde_node_needs(node, 0)) { /* dX += W patches(dY) */
        SONDE_TRY(sonde_node_target(node, 0, &target, &add));
        SONDE_TRY(
            image_to_grid(&l, dy->dtype, sonde_tensor_data(target), sonde_tensor_data(dy), sonde_tensor_data(w), add));
    }
    if (sonde_node_needs(node, 1)) { /* dW += X patches(dY)ᵀ */
        SONDE_TRY(sonde_node_target(node, 1, &target, &add));
        if (!add && l.batch == 0) zero(target);
        SONDE_TRY(weight_gradient(&l, dy->dtype, sonde_tensor_data(target), sonde_tensor_data(x), sonde_tensor_data(dy),
                                  add));
    }
    return sonde_node_needs(node, 2) ? bias_gradient(node, dy) : SONDE_OK;
}

static const sonde_op conv_transpose2d = {.name = "conv_transpose2d",
                                          .args_size = sizeof(sonde_conv_args),
                                          .saves = SONDE_SAVE_IN0 | SONDE_SAVE_IN1,
                                          .shape = transpose_shape,
                                          .forward = transpose_forward,
                                          .backward = transpose_backward};

/* ---- doors ---------------------------------------------------------------------------------------------- */

/* The loops want contiguous operands; making them so is differentiable and free where they are. */
static sonde_status apply(const sonde_op *op, sonde_tensor **out, sonde_tensor *x, sonde_tensor *weight,
                          sonde_tensor *bias, const sonde_conv_args *args)
{
    sonde_tensor *in[3] = {NULL, NULL, NULL};
    sonde_status status = sonde_contiguous(&in[0], x);
    if (status == SONDE_OK) status = sonde_contiguous(&in[1], weight);
    if (status == SONDE_OK && bias) status = sonde_contiguous(&in[2], bias);
    if (status == SONDE_OK) status = sonde_apply(op, 3, in, args, out);
    for (int i = 0; i < 3; i++) sonde_tensor_release(in[i]);
    return status;
}

sonde_status sonde_conv2d(sonde_tensor **out, sonde_tensor *x, sonde_tensor *weight, sonde_tensor *bias,
                          const sonde_conv_args *args)
{
    return apply(&conv2d, out, x, weight, bias, args);
}

sonde_status sonde_conv_transpose2d(sonde_tensor **out, sonde_tensor *x, sonde_tensor *weight, sonde_tensor *bias,
                                    const sonde_conv_args *args)
{
    return apply(&conv_transpose2d, out, x, weight, bias, args);
}
