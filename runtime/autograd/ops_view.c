#include "autograd/rows.h"

/* Views: the same storage seen with other sizes and strides. Each operator is a change of geometry, made twice: where
 * the view lies in its storage, and where it would lie in a contiguous copy of the input, which is what the input's
 * gradient is. */

static sonde_status view_shape(sonde_call *call) { return SONDE_OK; } /* the functions below have checked */

static sonde_status view_forward(sonde_call *call)
{
    const sonde_view_args *v = call->args;
    sonde_tensor *in = call->in[0];
    SONDE_TRY(sonde_tensor_as_strided(&call->out[0], in, v->ndim, v->shape, v->stride, v->offset));
    call->out[0]->base = sonde_tensor_retain(in->base ? in->base : in);
    return SONDE_OK;
}

/* Every element of the input is seen once: its gradient is dy in another order. */
static bool is_rearrangement(const sonde_view_args *v, const sonde_value *in)
{
    int64_t seen = 1, all = 1;
    for (int d = 0; d < v->ndim; d++) {
        if (v->in_stride[d] == 0 && v->shape[d] > 1) return false;
        seen *= v->shape[d];
    }
    for (int d = 0; d < in->ndim; d++) all *= in->shape[d];
    return seen == all;
}

static bool is_in_order(const sonde_view_args *v)
{
    int64_t stride = 1;
    for (int d = v->ndim - 1; d >= 0; d--) {
        if (v->shape[d] != 1 && v->in_stride[d] != stride) return false;
        stride *= v->shape[d];
    }
    return true;
}

/* dy as it is, under the input's shape. */
static sonde_status give_reshaped(sonde_node *node, sonde_tensor *dy)
{
    int ndim;
    int64_t stride[SONDE_MAX_DIMS], step = 1;
    const int64_t *shape = sonde_node_in_shape(node, 0, &ndim);
    sonde_tensor *same;
    for (int d = ndim - 1; d >= 0; d--) {
        stride[d] = step;
        step *= shape[d];
    }
    SONDE_TRY(sonde_tensor_as_strided(&same, dy, ndim, shape, stride, dy->offset));
    sonde_status status = sonde_node_give(node, 0, same);
    sonde_tensor_release(same);
    return status;
}

/* dx[seen] += dy[...] */
static sonde_status view_backward(sonde_node *node)
{
    const sonde_view_args *v = sonde_node_args(node);
    sonde_tensor *dy = sonde_node_grad(node, 0), *target, *seen;
    bool add;
    const bool all = is_rearrangement(v, node->in[0]);
    if (all && is_in_order(v)) return give_reshaped(node, dy);
    SONDE_TRY(sonde_node_target(node, 0, &target, &add));
    if (!add && !all) SONDE_TRY(sonde_tensor_fill_(target, 0));
    SONDE_TRY(sonde_tensor_as_strided(&seen, target, v->ndim, v->shape, v->in_stride, target->offset + v->in_offset));
    const sonde_loop loop = loop_over(2, (const sonde_tensor *const[]){seen, dy});
    sonde_loops_of(dy->dtype)->accumulate(sonde_tensor_data(seen), sonde_tensor_data(dy), 1, &loop, add || !all);
    sonde_tensor_release(seen);
    return SONDE_OK;
}

/* dx = Σ dy over the broadcast axes */
static sonde_status expand_backward(sonde_node *node) { return sonde_node_give(node, 0, sonde_node_grad(node, 0)); }

#define VIEW(label, back)                                                                                              \
    {                                                                                                                  \
        .name = label, .args_size = sizeof(sonde_view_args), .is_view = true, .shape = view_shape,                     \
        .forward = view_forward, .backward = back                                                                      \
    }
const sonde_op sonde_op_as_strided = VIEW("as_strided", view_backward);
static const sonde_op view_row = VIEW("view", view_backward), permute_row = VIEW("permute", view_backward),
                      transpose_row = VIEW("transpose", view_backward), squeeze_row = VIEW("squeeze", view_backward),
                      unsqueeze_row = VIEW("unsqueeze", view_backward), narrow_row = VIEW("narrow", view_backward),
                      select_row = VIEW("select", view_backward), expand_row = VIEW("expand", expand_backward);

/* ---- changes of geometry --------------------------------------------------------------------------------- */

/* x itself, as the view to start from. */
static sonde_view_args whole(const sonde_tensor *x)
{
    sonde_view_args v = {.ndim = x->ndim, .offset = x->offset};
    int64_t step = 1;
    for (int d = x->ndim - 1; d >= 0; d--) {
        v.shape[d] = x->shape[d];
        v.stride[d] = x->stride[d];
        v.in_stride[d] = step;
        step *= x->shape[d];
    }
    return v;
}

void sonde_view_args_within(sonde_view_args *out, const sonde_tensor *view, const sonde_tensor *base)
{
    *out = whole(view);
    out->in_offset = view->offset - base->offset;
    for (int d = 0; d < view->ndim; d++) out->in_stride[d] = view->stride[d];
}

static void copy_axis(sonde_view_args *to, int at, const sonde_view_args *from, int axis)
{
    to->shape[at] = from->shape[axis];
    to->stride[at] = from->stride[axis];
    to->in_stride[at] = from->in_stride[axis];
}

static sonde_status apply_view(sonde_tensor **out, const sonde_op *row, sonde_tensor *x, const sonde_view_args *v)
{
    return sonde_apply(row, 1, &x, v, out);
}

sonde_status sonde_permute(sonde_tensor **out, sonde_tensor *x, const int *axes)
{
    const sonde_view_args from = whole(x);
    sonde_view_args v = from;
    bool taken[SONDE_MAX_DIMS] = {false};
    for (int d = 0; d < x->ndim; d++) {
        int axis;
        SONDE_TRY(sonde_axis(&axis, axes[d], x->ndim));
        if (taken[axis]) return sonde_fail(SONDE_EARG, "permute: axis %d is named twice", axis + 1);
        taken[axis] = true;
        copy_axis(&v, d, &from, axis);
    }
    return apply_view(out, &permute_row, x, &v);
}

sonde_status sonde_transpose(sonde_tensor **out, sonde_tensor *x, int axis0, int axis1)
{
    const sonde_view_args from = whole(x);
    sonde_view_args v = from;
    SONDE_TRY(sonde_axis(&axis0, axis0, x->ndim));
    SONDE_TRY(sonde_axis(&axis1, axis1, x->ndim));
    copy_axis(&v, axis0, &from, axis1);
    copy_axis(&v, axis1, &from, axis0);
    return apply_view(out, &transpose_row, x, &v);
}

sonde_status sonde_expand(sonde_tensor **out, sonde_tensor *x, int ndim, const int64_t *shape)
{
    char have[SONDE_SHAPE_TEXT], want[SONDE_SHAPE_TEXT];
    if (ndim < x->ndim || ndim > SONDE_MAX_DIMS)
        return sonde_fail(SONDE_ESHAPE, "expand: shape %s cannot become %s", sonde_shape_text(have, x->ndim, x->shape),
                          ndim > SONDE_MAX_DIMS ? "one of so many axes" : sonde_shape_text(want, ndim, shape));
    const sonde_view_args from = whole(x);
    sonde_view_args v = {.ndim = ndim, .offset = x->offset};
    for (int d = 0; d < ndim; d++) {
        const int own = d - (ndim - x->ndim);
        if (own >= 0 && (shape[d] == -1 || shape[d] == x->shape[own])) {
            copy_axis(&v, d, &from, own);
        } else if (shape[d] >= 0 && (own < 0 || x->shape[own] == 1)) {
            v.shape[d] = shape[d];
        } else {
            return sonde_fail(SONDE_ESHAPE, "expand: shape %s cannot become %s: axis %d",
                              sonde_shape_text(have, x->ndim, x->shape), sonde_shape_text(want, ndim, shape), d + 1);
        }
    }
    int64_t n;
    SONDE_TRY(sonde_shape_numel(&n, x->dtype, ndim, v.shape));
    return apply_view(out, &expand_row, x, &v);
}

sonde_status sonde_squeeze(sonde_tensor **out, sonde_tensor *x, const int *axis)
{
    const sonde_view_args from = whole(x);
    sonde_view_args v = from;
    int only = -1;
    if (axis) SONDE_TRY(sonde_axis(&only, *axis, x->ndim));
    v.ndim = 0;
    for (int d = 0; d < x->ndim; d++) {
        const bool goes = x->shape[d] == 1 && (only < 0 || d == only);
        if (!goes) copy_axis(&v, v.ndim++, &from, d);
    }
    return apply_view(out, &squeeze_row, x, &v);
}

sonde_status sonde_unsqueeze(sonde_tensor **out, sonde_tensor *x, int axis)
{
    if (x->ndim == SONDE_MAX_DIMS) return sonde_fail(SONDE_EARG, "a tensor has at most %d axes", SONDE_MAX_DIMS);
    SONDE_TRY(sonde_axis(&axis, axis, x->ndim + 1));
    const sonde_view_args from = whole(x);
    sonde_view_args v = from;
    v.ndim = x->ndim + 1;
    for (int d = axis; d < x->ndim; d++) copy_axis(&v, d + 1, &from, d);
    v.shape[axis] = 1;
    v.stride[axis] = v.in_stride[axis] = 1;
    return apply_view(out, &unsqueeze_row, x, &v);
}

sonde_status sonde_narrow(sonde_tensor **out, sonde_tensor *x, int axis, int64_t start, int64_t length, int64_t step)
{
    SONDE_TRY(sonde_axis(&axis, axis, x->ndim));
    if (step < 1) return sonde_fail(SONDE_EARG, "narrow: the step must be at least 1, got %lld", (long long)step);
    const int64_t size = x->shape[axis];
    const bool fits = start >= 0 && length >= 0 && start <= size &&
                      (length == 0 || (start < size && (length - 1) <= (size - 1 - start) / step));
    if (!fits)
        return sonde_fail(SONDE_EARG,
                          "narrow: %lld elements from %lld on in steps of %lld do not fit into axis %d of size %lld",
                          (long long)length, (long long)start + 1, (long long)step, axis + 1, (long long)size);
    sonde_view_args v = whole(x);
    v.offset += length ? start * v.stride[axis] : 0;
    v.in_offset += length ? start * v.in_stride[axis] : 0;
    v.shape[axis] = length;
    if (length > 1) { /* so the step is smaller than the axis; a single element takes none, however long */
        v.stride[axis] *= step;
        v.in_stride[axis] *= step;
    }
    return apply_view(out, &narrow_row, x, &v);
}

sonde_status sonde_select(sonde_tensor **out, sonde_tensor *x, int axis, int64_t index)
{
    SONDE_TRY(sonde_axis(&axis, axis, x->ndim));
    if (index < 0 || index >= x->shape[axis])
        return sonde_fail(SONDE_EARG, "select: index %lld of axis %d, which has %lld", (long long)index + 1, axis + 1,
                          (long long)x->shape[axis]);
    const sonde_view_args from = whole(x);
    sonde_view_args v = from;
    v.offset += index * from.stride[axis];
    v.in_offset += index * from.in_stride[axis];
    v.ndim--;
    for (int d = axis; d < v.ndim; d++) copy_axis(&v, d, &from, d + 1);
    return apply_view(out, &select_row, x, &v);
}

/* ---- other sizes, the same elements ---------------------------------------------------------------------- */

/* Fills in the one size that may be -1; the numbers of elements must agree. */
static sonde_status resolve(const char *name, const sonde_tensor *x, int ndim, const int64_t *shape, int64_t *result)
{
    char have[SONDE_SHAPE_TEXT], want[SONDE_SHAPE_TEXT];
    if (ndim < 0 || ndim > SONDE_MAX_DIMS)
        return sonde_fail(SONDE_EARG, "a tensor has at most %d axes, got %d", SONDE_MAX_DIMS, ndim);
    const int64_t numel = sonde_tensor_numel(x);
    int open = -1;
    for (int d = 0; d < ndim; d++) {
        result[d] = shape[d];
        if (shape[d] != -1) continue;
        if (open >= 0)
            return sonde_fail(SONDE_EARG, "%s: only one size may be -1, got %s", name,
                              sonde_shape_text(want, ndim, shape));
        open = d;
        result[d] = 1;
    }
    int64_t given;
    SONDE_TRY(sonde_shape_numel(&given, SONDE_INT64, ndim, result));
    if (open >= 0 && given > 0) {
        result[open] = numel / given;
        given *= result[open];
    }
    if (given == numel && !(open >= 0 && given == 0 && numel == 0 && result[open] != 0)) return SONDE_OK;
    return sonde_fail(SONDE_ESHAPE, "%s: shape %s (%lld elements) cannot become %s", name,
                      sonde_shape_text(have, x->ndim, x->shape), (long long)numel, sonde_shape_text(want, ndim, shape));
}

/* The strides that show x with these sizes without copying; false if there are none. Runs of axes of x that are walked
 * as one are cut anew. */
static bool strides_for(const sonde_tensor *x, int ndim, const int64_t *shape, int64_t *stride)
{
    int d = ndim - 1;
    for (int axis = x->ndim - 1; axis >= 0;) {
        int64_t run = x->shape[axis], step = x->stride[axis];
        while (axis > 0 && (x->shape[axis - 1] == 1 || run == 1 || x->stride[axis - 1] == run * step)) {
            if (run == 1) step = x->stride[axis - 1];
            run *= x->shape[--axis];
        }
        axis--;
        int64_t taken = 1;
        while (d >= 0 && (taken < run || shape[d] == 1)) {
            stride[d] = taken * step;
            taken *= shape[d--];
        }
        if (taken != run) return false;
    }
    while (d >= 0) stride[d--] = 1;
    return true;
}

static bool view_geometry(sonde_view_args *v, const sonde_tensor *x, int ndim, const int64_t *shape)
{
    *v = (sonde_view_args){.ndim = ndim, .offset = x->offset};
    int64_t step = 1;
    for (int d = ndim - 1; d >= 0; d--) {
        v->shape[d] = shape[d];
        v->in_stride[d] = v->stride[d] = step;
        step *= shape[d];
    }
    return sonde_tensor_is_contiguous(x) || strides_for(x, ndim, shape, v->stride);
}

sonde_status sonde_view(sonde_tensor **out, sonde_tensor *x, int ndim, const int64_t *shape)
{
    int64_t sizes[SONDE_MAX_DIMS];
    sonde_view_args v;
    SONDE_TRY(resolve("view", x, ndim, shape, sizes));
    if (view_geometry(&v, x, ndim, sizes)) return apply_view(out, &view_row, x, &v);
    char have[SONDE_SHAPE_TEXT], want[SONDE_SHAPE_TEXT];
    return sonde_fail(SONDE_ESHAPE,
                      "view: the elements of this tensor of shape %s do not lie so that it could be seen as %s: use "
                      "reshape, which copies",
                      sonde_shape_text(have, x->ndim, x->shape), sonde_shape_text(want, ndim, sizes));
}

sonde_status sonde_reshape(sonde_tensor **out, sonde_tensor *x, int ndim, const int64_t *shape)
{
    int64_t sizes[SONDE_MAX_DIMS];
    sonde_view_args v;
    SONDE_TRY(resolve("reshape", x, ndim, shape, sizes));
    if (view_geometry(&v, x, ndim, sizes)) return apply_view(out, &view_row, x, &v);
    sonde_tensor *copy;
    SONDE_TRY(sonde_contiguous(&copy, x));
    view_geometry(&v, copy, ndim, sizes);
    sonde_status status = apply_view(out, &view_row, copy, &v);
    sonde_tensor_release(copy);
    return status;
}
