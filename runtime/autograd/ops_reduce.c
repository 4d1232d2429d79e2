#include "autograd/rows.h"

/* Reductions. The axes to reduce are brought together: where they are not neighbours, x is copied with them last. */

typedef struct reduce_args {
    sonde_reduction op;
    bool keepdim;
    uint32_t axes; /* one bit for each */
    double order;
} reduce_args;

/* How x is seen as [outer, n, inner]. */
typedef struct reduce_plan {
    bool permuted;                  /* the reduced axes are not neighbours: order[] brings them to the end */
    int order[SONDE_MAX_DIMS];
    layout l;
} reduce_plan;

static reduce_plan plan(int ndim, const int64_t *shape, uint32_t axes)
{
    reduce_plan p = {.permuted = false};
    int first = 0, last = -1, kept = 0, reduced = 0;
    const int n_reduced = __builtin_popcount(axes);
    for (int d = 0; d < ndim; d++) {
        if (axes & (1u << d)) {
            if (last < 0) first = d;
            last = d;
            p.order[ndim - n_reduced + reduced++] = d;
        } else {
            p.order[kept++] = d;
        }
    }
    p.l = layout_around(ndim, shape, first, last);
    if (n_reduced == 0) p.l = (layout){layout_around(ndim, shape, ndim, ndim).outer, 1, 1};
    if (last - first + 1 <= n_reduced) return p;
    p.permuted = true;
    p.l = (layout){1, 1, 1};
    for (int d = 0; d < ndim; d++) *(axes & (1u << d) ? &p.l.n : &p.l.outer) *= shape[d];
    return p;
}

static sonde_status permuted_view(sonde_tensor **out, sonde_tensor *x, const reduce_plan *p)
{
    int64_t shape[SONDE_MAX_DIMS], stride[SONDE_MAX_DIMS];
    for (int d = 0; d < x->ndim; d++) {
        shape[d] = x->shape[p->order[d]];
        stride[d] = x->stride[p->order[d]];
    }
    return sonde_tensor_as_strided(out, x, x->ndim, shape, stride, x->offset);
}

/* x as the plan wants it: contiguous, permuted if need be. */
static sonde_status arranged(sonde_tensor **out, sonde_tensor *x, const reduce_plan *p, sonde_dtype dtype)
{
    if (!p->permuted) return ready(out, x, dtype);
    sonde_tensor *view;
    SONDE_TRY(permuted_view(&view, x, p));
    sonde_status status = ready(out, view, dtype);
    sonde_tensor_release(view);
    return status;
}

static sonde_dtype reduced_dtype(sonde_reduction op, sonde_dtype dtype)
{
    const bool whole = dtype == SONDE_INT64 && op != SONDE_SUM && op != SONDE_PROD;
    return whole ? SONDE_FLOAT32 : dtype; /* as PyTorch would, had it a mean of integers */
}

static sonde_status reduce_shape(sonde_call *call)
{
    const reduce_args *args = call->args;
    const sonde_tensor *x = call->in[0];
    call->out_dtype[0] = reduced_dtype(args->op, x->dtype);
    call->out_ndim[0] = 0;
    for (int d = 0; d < x->ndim; d++) {
        const bool goes = args->axes & (1u << d);
        if (!goes || args->keepdim) call->out_shape[0][call->out_ndim[0]++] = goes ? 1 : x->shape[d];
    }
    if (args->op == SONDE_SUM || args->op == SONDE_MEAN) call->saves = 0;
    return SONDE_OK;
}

static sonde_status reduce_forward(sonde_call *call)
{
    const reduce_args *args = call->args;
    sonde_tensor *out = call->out[0], *x;
    const reduce_plan p = plan(call->in[0]->ndim, call->in[0]->shape, args->axes);
    SONDE_TRY(arranged(&x, call->in[0], &p, out->dtype));
    sonde_loops_of(out->dtype)
        ->reduce(args->op, sonde_tensor_data(out), sonde_tensor_data(x), p.l.outer, p.l.n, p.l.inner, args->order);
    sonde_tensor_release(x);
    return SONDE_OK;
}

/* SUM, MEAN: dx (+)= scale * dy, spread over the reduced axes */
static sonde_status spread(sonde_node *node, const reduce_args *args, sonde_tensor *dy, int ndim, const int64_t *shape)
{
    int64_t stride[SONDE_MAX_DIMS], n = 1;
    sonde_tensor *target, *wide;
    bool add;
    for (int d = ndim - 1, own = dy->ndim - 1; d >= 0; d--) {
        const bool reduced = args->axes & (1u << d);
        if (reduced) n *= shape[d];
        stride[d] = reduced ? 0 : dy->stride[own];
        if (!reduced || args->keepdim) own--;
    }
    SONDE_TRY(sonde_tensor_as_strided(&wide, dy, ndim, shape, stride, dy->offset));
    sonde_status status = sonde_node_target(node, 0, &target, &add);
    if (status == SONDE_OK) {
        const sonde_loop loop = loop_over(2, (const sonde_tensor *const[]){target, wide});
        sonde_loops_of(dy->dtype)->accumulate(sonde_tensor_data(target), sonde_tensor_data(wide),
                                              args->op == SONDE_MEAN ? 1 / (double)n : 1, &loop, add);
    }
    sonde_tensor_release(wide);
    return status;
}

/* The gradient in the permuted order, handed back through the permutation. */
static sonde_status give_permuted(sonde_node *node, const reduce_args *args, const reduce_plan *p, sonde_tensor *dy,
                                  sonde_tensor *x, sonde_tensor *y)
{
    sonde_tensor *dx, *back;
    SONDE_TRY(sonde_tensor_like(&dx, x));
    sonde_loops_of(dy->dtype)->reduce_backward(args->op, sonde_tensor_data(dx), sonde_tensor_data(dy),
                                               sonde_tensor_data(x), sonde_tensor_data(y), p->l.outer, p->l.n,
                                               p->l.inner, args->order, false);
    int64_t shape[SONDE_MAX_DIMS], stride[SONDE_MAX_DIMS];
    for (int d = 0; d < x->ndim; d++) {
        shape[p->order[d]] = dx->shape[d];
        stride[p->order[d]] = dx->stride[d];
    }
    sonde_status status = sonde_tensor_as_strided(&back, dx, dx->ndim, shape, stride, 0);
    if (status == SONDE_OK) {
        status = sonde_node_give(node, 0, back);
        sonde_tensor_release(back);
    }
    sonde_tensor_release(dx);
    return status;
}

static sonde_status reduce_backward(sonde_node *node)
{
    const reduce_args *args = sonde_node_args(node);
    sonde_tensor *dy = sonde_node_grad(node, 0), *y = sonde_node_out(node, 0), *x, *target;
    int ndim;
    const int64_t *shape = sonde_node_in_shape(node, 0, &ndim);
    if (args->op == SONDE_SUM || args->op == SONDE_MEAN) return spread(node, args, dy, ndim, shape);
    const reduce_plan p = plan(ndim, shape, args->axes);
    SONDE_TRY(arranged(&x, sonde_node_in(node, 0), &p, dy->dtype));
    sonde_status status = SONDE_OK;
    bool add;
    if (p.permuted) {
        status = give_permuted(node, args, &p, dy, x, y);
    } else if ((status = sonde_node_target(node, 0, &target, &add)) == SONDE_OK) {
        sonde_loops_of(dy->dtype)->reduce_backward(args->op, sonde_tensor_data(target), sonde_tensor_data(dy),
                                                   sonde_tensor_data(x), sonde_tensor_data(y), p.l.outer, p.l.n,
                                                   p.l.inner, args->order, add);
    }
    sonde_tensor_release(x);
    return status;
}

#define REDUCTION(label)                                                                                               \
    {                                                                                                                  \
        .name = label, .args_size = sizeof(reduce_args), .saves = SONDE_SAVE_IN0 | SONDE_SAVE_OUT0,                    \
        .shape = reduce_shape, .forward = reduce_forward, .backward = reduce_backward                                  \
    }
static const sonde_op reduce_rows[SONDE_REDUCTION_COUNT] = {
    [SONDE_SUM] = REDUCTION("sum"),   [SONDE_MEAN] = REDUCTION("mean"), [SONDE_VAR] = REDUCTION("var"),
    [SONDE_STD] = REDUCTION("std"),   [SONDE_NORM] = REDUCTION("norm"), [SONDE_LOGSUMEXP] = REDUCTION("logsumexp"),
    [SONDE_PROD] = REDUCTION("prod"),
};

sonde_status sonde_reduce(sonde_tensor **out, sonde_reduction op, sonde_tensor *x, int n_axes, const int *axes,
                          bool keepdim, double order)
{
    reduce_args args = {.op = op, .keepdim = keepdim, .order = order};
    if (n_axes == 0) args.axes = (1u << x->ndim) - 1;
    for (int i = 0; i < n_axes; i++) {
        int axis;
        SONDE_TRY(sonde_axis(&axis, axes[i], x->ndim));
        if (args.axes & (1u << axis))
            return sonde_fail(SONDE_EARG, "'%s': axis %d is named twice", reduce_rows[op].name, axis + 1);
        args.axes |= 1u << axis;
    }
    return sonde_apply(&reduce_rows[op], 1, &x, &args, out);
}

/* ---- extremes -------------------------------------------------------------------------------------------- */

typedef struct extremum_args {
    bool maximum, along_axis, keepdim;
    int axis;
} extremum_args;

static sonde_status extremum_shape(sonde_call *call)
{
    const extremum_args *args = call->args;
    const sonde_tensor *x = call->in[0];
    const int64_t n = args->along_axis ? x->shape[args->axis] : sonde_tensor_numel(x);
    if (n == 0) return sonde_fail(SONDE_ESHAPE, "'%s' of no elements", call->op->name);
    call->out_ndim[0] = 0;
    for (int d = 0; d < x->ndim; d++) {
        const bool goes = !args->along_axis || d == args->axis;
        if (!goes || args->keepdim) call->out_shape[0][call->out_ndim[0]++] = goes ? 1 : x->shape[d];
    }
    call->out_dtype[0] = x->dtype;
    if (!args->along_axis) return SONDE_OK;
    call->saves = SONDE_SAVE_OUT1;
    call->out_dtype[1] = SONDE_INT64;
    call->out_ndim[1] = call->out_ndim[0];
    memcpy(call->out_shape[1], call->out_shape[0], sizeof call->out_shape[0]);
    return SONDE_OK;
}

static sonde_status extremum_forward(sonde_call *call)
{
    const extremum_args *args = call->args;
    sonde_tensor *x;
    const layout l = args->along_axis ? layout_around(call->in[0]->ndim, call->in[0]->shape, args->axis, args->axis)
                                      : (layout){1, sonde_tensor_numel(call->in[0]), 1};
    SONDE_TRY(sonde_tensor_contiguous(&x, call->in[0]));
    sonde_loops_of(x->dtype)->extremum(args->maximum, sonde_tensor_data(call->out[0]),
                                       args->along_axis ? sonde_tensor_data(call->out[1]) : NULL, sonde_tensor_data(x),
                                       l.outer, l.n, l.inner);
    sonde_tensor_release(x);
    return SONDE_OK;
}

/* Over all: shared evenly by the ties, as PyTorch. */
static sonde_status extremum_all_backward(sonde_node *node)
{
    sonde_tensor *dy = sonde_node_grad(node, 0), *y = sonde_node_out(node, 0), *x, *target;
    bool add;
    SONDE_TRY(sonde_tensor_contiguous(&x, sonde_node_in(node, 0)));
    sonde_status status = sonde_node_target(node, 0, &target, &add);
    if (status == SONDE_OK)
        sonde_loops_of(dy->dtype)->extremum_backward(sonde_tensor_data(target), sonde_tensor_data(dy),
                                                     sonde_tensor_data(x), sonde_tensor_data(y),
                                                     (size_t)sonde_tensor_numel(x), add);
    sonde_tensor_release(x);
    return status;
}

/* Along an axis: to the element that was taken. */
static sonde_status extremum_axis_backward(sonde_node *node)
{
    const extremum_args *args = sonde_node_args(node);
    sonde_tensor *dy = sonde_node_grad(node, 0), *index = sonde_node_out(node, 1), *target;
    int ndim;
    const int64_t *shape = sonde_node_in_shape(node, 0, &ndim);
    const layout l = layout_around(ndim, shape, args->axis, args->axis);
    bool add;
    SONDE_TRY(sonde_node_target(node, 0, &target, &add));
    if (!add) SONDE_TRY(sonde_tensor_fill_(target, 0));
    const sonde_loop loop = {.ndim = 2, .n_operands = 3, .size = {l.outer, l.inner},
                             .stride = {{l.n * l.inner, 1}, {l.inner, 1}, {l.inner, 1}}};
    sonde_loops_of(dy->dtype)->gather_add(sonde_tensor_data(target), sonde_tensor_data(dy), sonde_tensor_data(index),
                                          l.inner, &loop);
    return SONDE_OK;
}

#define EXTREMUM(label, outputs, back)                                                                         \
    {.name = label, .n_out = outputs, .args_size = sizeof(extremum_args), .saves = SONDE_SAVE_IN0 | SONDE_SAVE_OUT0, \
     .shape = extremum_shape, .forward = extremum_forward, .backward = back}
static const sonde_op extremum_rows[2][2] = {
    {EXTREMUM("min", 1, extremum_all_backward), EXTREMUM("min", 2, extremum_axis_backward)},
    {EXTREMUM("max", 1, extremum_all_backward), EXTREMUM("max", 2, extremum_axis_backward)}};

sonde_status sonde_extremum(sonde_tensor **out, sonde_tensor **index, sonde_tensor *x, bool maximum, const int *axis,
                            bool keepdim)
{
    extremum_args args = {.maximum = maximum, .along_axis = axis != NULL, .keepdim = keepdim};
    if (!axis) {
        if (index) return sonde_fail(SONDE_EARG, "the index of a maximum or minimum needs an axis");
        return sonde_apply(&extremum_rows[maximum][0], 1, &x, &args, out);
    }
    SONDE_TRY(sonde_axis(&args.axis, *axis, x->ndim));
    sonde_tensor *both[2];
    SONDE_TRY(sonde_apply(&extremum_rows[maximum][1], 1, &x, &args, both));
    *out = both[0];
    if (index) *index = both[1];
    else sonde_tensor_release(both[1]);
    return SONDE_OK;
}

/* ---- softmax, running sums ------------------------------------------------------------------------------- */

typedef struct axis_args {
    int axis;
    bool log;
} axis_args;

static sonde_status softmax_shape(sonde_call *call)
{
    SONDE_TRY(need_float(call, 0));
    out_like(call, 0, call->in[0]->dtype, call->in[0]);
    return SONDE_OK;
}

static layout axis_layout(const sonde_tensor *t, int axis)
{
    return t->ndim == 0 ? (layout){1, 1, 1} : layout_around(t->ndim, t->shape, axis, axis);
}

static sonde_status softmax_forward(sonde_call *call)
{
    const axis_args *args = call->args;
    sonde_tensor *out = call->out[0], *x;
    const layout l = axis_layout(out, args->axis);
    SONDE_TRY(sonde_tensor_contiguous(&x, call->in[0]));
    sonde_loops_of(out->dtype)->softmax(sonde_tensor_data(out), sonde_tensor_data(x), l.outer, l.n, l.inner, args->log);
    sonde_tensor_release(x);
    return SONDE_OK;
}

static sonde_status softmax_backward(sonde_node *node)
{
    const axis_args *args = sonde_node_args(node);
    sonde_tensor *dy = sonde_node_grad(node, 0), *y = sonde_node_out(node, 0), *target;
    const layout l = axis_layout(y, args->axis);
    bool add;
    SONDE_TRY(sonde_node_target(node, 0, &target, &add));
    sonde_loops_of(dy->dtype)->softmax_backward(sonde_tensor_data(target), sonde_tensor_data(dy), sonde_tensor_data(y),
                                                l.outer, l.n, l.inner, args->log, add);
    return SONDE_OK;
}

static const sonde_op softmax_rows[2] = {
    {.name = "softmax", .args_size = sizeof(axis_args), .saves = SONDE_SAVE_OUT0, .shape = softmax_shape,
     .forward = softmax_forward, .backward = softmax_backward},
    {.name = "log_softmax", .args_size = sizeof(axis_args), .saves = SONDE_SAVE_OUT0, .shape = softmax_shape,
     .forward = softmax_forward, .backward = softmax_backward}};

static sonde_status softmax_along(sonde_tensor **out, sonde_tensor *x, int axis, bool log)
{
    axis_args args = {.log = log};
    if (x->ndim > 0) SONDE_TRY(sonde_axis(&args.axis, axis, x->ndim));
    return sonde_apply(&softmax_rows[log], 1, &x, &args, out);
}

sonde_status sonde_softmax(sonde_tensor **out, sonde_tensor *x, int axis) { return softmax_along(out, x, axis, false); }
sonde_status sonde_log_softmax(sonde_tensor **out, sonde_tensor *x, int axis)
{
    return softmax_along(out, x, axis, true);
}

static sonde_status cumsum_shape(sonde_call *call)
{
    out_like(call, 0, call->in[0]->dtype, call->in[0]);
    return SONDE_OK;
}

static sonde_status cumsum_forward(sonde_call *call)
{
    sonde_tensor *out = call->out[0], *x;
    const layout l = axis_layout(out, ((const axis_args *)call->args)->axis);
    SONDE_TRY(sonde_tensor_contiguous(&x, call->in[0]));
    sonde_loops_of(out->dtype)
        ->cumsum(sonde_tensor_data(out), sonde_tensor_data(x), l.outer, l.n, l.inner, false, false);
    sonde_tensor_release(x);
    return SONDE_OK;
}

/* dx_i = Σ_{j >= i} dy_j */
static sonde_status cumsum_backward(sonde_node *node)
{
    sonde_tensor *dy = sonde_node_grad(node, 0), *target;
    const layout l = axis_layout(dy, ((const axis_args *)sonde_node_args(node))->axis);
    bool add;
    SONDE_TRY(sonde_node_target(node, 0, &target, &add));
    sonde_loops_of(dy->dtype)->cumsum(sonde_tensor_data(target), sonde_tensor_data(dy), l.outer, l.n, l.inner, true,
                                      add);
    return SONDE_OK;
}

static const sonde_op cumsum_row = {.name = "cumsum", .args_size = sizeof(axis_args), .shape = cumsum_shape,
                                    .forward = cumsum_forward, .backward = cumsum_backward};

sonde_status sonde_cumsum(sonde_tensor **out, sonde_tensor *x, int axis)
{
    axis_args args = {.axis = 0};
    if (x->ndim > 0) SONDE_TRY(sonde_axis(&args.axis, axis, x->ndim));
    return sonde_apply(&cumsum_row, 1, &x, &args, out);
}
