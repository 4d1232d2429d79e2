#include "autograd/rows.h"

/* Choosing elements by number (1-based, as Lua shows them) or by condition. */

typedef struct index_args {
    int axis;
} index_args;

static sonde_status check_indices(const char *name, const sonde_tensor *index, int64_t size, int axis)
{
    if (index->dtype != SONDE_INT64)
        return sonde_fail(SONDE_EDTYPE, "%s: the index must be int64, got %s", name, sonde_dtype_name(index->dtype));
    sonde_tensor *flat;
    SONDE_TRY(sonde_tensor_contiguous(&flat, (sonde_tensor *)index));
    const int64_t *values = sonde_tensor_data(flat);
    const int64_t at = sonde_index_check_kernel(values, sonde_tensor_numel(flat), 1, size);
    const int64_t value = at < 0 ? 0 : values[at];
    sonde_tensor_release(flat);
    if (at < 0) return SONDE_OK;
    return sonde_fail(SONDE_EARG, "%s: index %lld at position %lld, but axis %d counts from 1 to %lld", name,
                      (long long)value, (long long)at + 1, axis + 1, (long long)size);
}

/* ---- whole slices ---------------------------------------------------------------------------------------- */

static sonde_status index_select_shape(sonde_call *call)
{
    const int axis = ((const index_args *)call->args)->axis;
    const sonde_tensor *x = call->in[0], *index = call->in[1];
    if (index->ndim != 1) {
        char text[SONDE_SHAPE_TEXT];
        return sonde_fail(SONDE_ESHAPE, "index_select: the index must have one axis, got %s",
                          sonde_shape_text(text, index->ndim, index->shape));
    }
    SONDE_TRY(check_indices("index_select", index, x->shape[axis], axis));
    out_like(call, 0, x->dtype, x);
    call->out_shape[0][axis] = index->shape[0];
    return SONDE_OK;
}

static sonde_status index_select_forward(sonde_call *call)
{
    const int axis = ((const index_args *)call->args)->axis;
    sonde_tensor *x, *index;
    SONDE_TRY(sonde_tensor_contiguous(&x, call->in[0]));
    sonde_status status = sonde_tensor_contiguous(&index, call->in[1]);
    if (status == SONDE_OK) {
        const layout l = layout_around(x->ndim, x->shape, axis, axis);
        sonde_index_select_kernel(sonde_dtype_size(x->dtype), sonde_tensor_data(call->out[0]), sonde_tensor_data(x),
                                  sonde_tensor_data(index), 1, l.outer, l.n, index->shape[0], l.inner);
        sonde_tensor_release(index);
    }
    sonde_tensor_release(x);
    return status;
}

/* dx[index] += dy */
static sonde_status index_select_backward(sonde_node *node)
{
    const int axis = ((const index_args *)sonde_node_args(node))->axis;
    sonde_tensor *dy = sonde_node_grad(node, 0), *index, *target;
    int ndim;
    const int64_t *shape = sonde_node_in_shape(node, 0, &ndim);
    const layout l = layout_around(ndim, shape, axis, axis);
    bool add;
    SONDE_TRY(sonde_tensor_contiguous(&index, sonde_node_in(node, 1)));
    sonde_status status = sonde_node_target(node, 0, &target, &add);
    if (status == SONDE_OK && !add) status = sonde_tensor_fill_(target, 0);
    if (status == SONDE_OK)
        sonde_loops_of(dy->dtype)->index_add(sonde_tensor_data(target), sonde_tensor_data(dy), sonde_tensor_data(index),
                                             1, l.outer, l.n, index->shape[0], l.inner);
    sonde_tensor_release(index);
    return status;
}

static const sonde_op index_select_row = {.name = "index_select",
                                          .args_size = sizeof(index_args),
                                          .saves = SONDE_SAVE_IN1,
                                          .shape = index_select_shape,
                                          .forward = index_select_forward,
                                          .backward = index_select_backward};

sonde_status sonde_index_select(sonde_tensor **out, sonde_tensor *x, int axis, sonde_tensor *index)
{
    index_args args;
    SONDE_TRY(sonde_axis(&args.axis, axis, x->ndim));
    return sonde_apply(&index_select_row, 2, (sonde_tensor *[]){x, index}, &args, out);
}

/* ---- single elements ------------------------------------------------------------------------------------- */

static sonde_status gather_shape(sonde_call *call)
{
    const int axis = ((const index_args *)call->args)->axis;
    const sonde_tensor *x = call->in[0], *index = call->in[1];
    bool fits = index->ndim == x->ndim;
    for (int d = 0; fits && d < x->ndim; d++) fits = d == axis || index->shape[d] <= x->shape[d];
    if (!fits) {
        char text_x[SONDE_SHAPE_TEXT], text[SONDE_SHAPE_TEXT];
        return sonde_fail(SONDE_ESHAPE, "gather: an index of shape %s does not fit into %s along axis %d",
                          sonde_shape_text(text, index->ndim, index->shape),
                          sonde_shape_text(text_x, x->ndim, x->shape), axis + 1);
    }
    SONDE_TRY(check_indices("gather", index, x->shape[axis], axis));
    out_like(call, 0, x->dtype, index);
    return SONDE_OK;
}

/* Loops over the index's shape: `flat` (of that shape), `from` (along the axis it stays at the start), index. */
static sonde_loop gather_loop(const sonde_tensor *first, const sonde_tensor *second, const sonde_tensor *index,
                              int from, int axis)
{
    sonde_loop loop = {.ndim = index->ndim, .n_operands = 3};
    for (int d = 0; d < index->ndim; d++) {
        loop.size[d] = index->shape[d];
        loop.stride[0][d] = first->stride[d];
        loop.stride[1][d] = second->stride[d];
        loop.stride[2][d] = index->stride[d];
    }
    loop.stride[from][axis] = 0;
    sonde_loop_simplify(&loop);
    return loop;
}

static sonde_status gather_forward(sonde_call *call)
{
    const int axis = ((const index_args *)call->args)->axis;
    const sonde_tensor *out = call->out[0], *x = call->in[0], *index = call->in[1];
    const sonde_loop loop = gather_loop(out, x, index, 1, axis);
    sonde_loops_of(x->dtype)->gather(sonde_tensor_data(out), sonde_tensor_data(x), sonde_tensor_data(index),
                                     x->stride[axis], &loop);
    return SONDE_OK;
}

/* dx[index] += dy */
static sonde_status gather_backward(sonde_node *node)
{
    const int axis = ((const index_args *)sonde_node_args(node))->axis;
    sonde_tensor *dy = sonde_node_grad(node, 0), *index = sonde_node_in(node, 1), *target;
    bool add;
    SONDE_TRY(sonde_node_target(node, 0, &target, &add));
    if (!add) SONDE_TRY(sonde_tensor_fill_(target, 0));
    const sonde_loop loop = gather_loop(target, dy, index, 0, axis);
    sonde_loops_of(dy->dtype)->gather_add(sonde_tensor_data(target), sonde_tensor_data(dy), sonde_tensor_data(index),
                                          target->stride[axis], &loop);
    return SONDE_OK;
}

static const sonde_op gather_row = {.name = "gather", .args_size = sizeof(index_args), .saves = SONDE_SAVE_IN1,
                                    .shape = gather_shape, .forward = gather_forward, .backward = gather_backward};

sonde_status sonde_gather(sonde_tensor **out, sonde_tensor *x, int axis, sonde_tensor *index)
{
    index_args args;
    SONDE_TRY(sonde_axis(&args.axis, axis, x->ndim));
    return sonde_apply(&gather_row, 2, (sonde_tensor *[]){x, index}, &args, out);
}

/* ---- one or the other ------------------------------------------------------------------------------------ */

static sonde_status broadcast_with(sonde_call *call, const sonde_tensor *t)
{
    sonde_tensor so_far = {.ndim = call->out_ndim[0]};
    memcpy(so_far.shape, call->out_shape[0], sizeof so_far.shape);
    return sonde_shape_broadcast(&call->out_ndim[0], call->out_shape[0], &so_far, t);
}

static sonde_status where_shape(sonde_call *call)
{
    const sonde_tensor *condition = call->in[0], *a = call->in[1], *b = call->in[2];
    if (condition->dtype != SONDE_INT64)
        return sonde_fail(SONDE_EDTYPE, "where: the condition must be int64 (the result of a comparison), got %s",
                          sonde_dtype_name(condition->dtype));
    SONDE_TRY(sonde_shape_broadcast(&call->out_ndim[0], call->out_shape[0], a, b));
    SONDE_TRY(broadcast_with(call, condition));
    call->out_dtype[0] = sonde_dtype_promote(a->dtype, b->dtype);
    return SONDE_OK;
}

static void choose(const sonde_tensor *out, const sonde_tensor *condition, const sonde_tensor *a, const sonde_tensor *b)
{
    const sonde_loop loop = loop_over(4, (const sonde_tensor *const[]){out, condition, a, b});
    sonde_loops_of(out->dtype)->where(sonde_tensor_data(out), sonde_tensor_data(condition), sonde_tensor_data(a),
                                      sonde_tensor_data(b), &loop);
}

static sonde_status where_forward(sonde_call *call)
{
    sonde_tensor *a, *b;
    SONDE_TRY(sonde_tensor_to(&a, call->in[1], call->out_dtype[0]));
    sonde_status status = sonde_tensor_to(&b, call->in[2], call->out_dtype[0]);
    if (status == SONDE_OK) {
        choose(call->out[0], call->in[0], a, b);
        sonde_tensor_release(b);
    }
    sonde_tensor_release(a);
    return status;
}

/* da += condition ? dy : 0; db += condition ? 0 : dy */
static sonde_status where_backward(sonde_node *node)
{
    sonde_tensor *dy = sonde_node_grad(node, 0), *condition = sonde_node_in(node, 0), *zero, *part;
    SONDE_TRY(sonde_tensor_zeros(&zero, dy->dtype, 0, NULL));
    sonde_status status = SONDE_OK;
    for (int side = 1; side <= 2 && status == SONDE_OK; side++) {
        if (!sonde_node_needs(node, side)) continue;
        if ((status = sonde_tensor_like(&part, dy)) != SONDE_OK) break;
        choose(part, condition, side == 1 ? dy : zero, side == 1 ? zero : dy);
        status = sonde_node_give(node, side, part);
        sonde_tensor_release(part);
    }
    sonde_tensor_release(zero);
    return status;
}

static const sonde_op where_row = {.name = "where",
                                   .saves = SONDE_SAVE_IN0,
                                   .shape = where_shape,
                                   .forward = where_forward,
                                   .backward = where_backward};

sonde_status sonde_where(sonde_tensor **out, sonde_tensor *condition, sonde_tensor *a, sonde_tensor *b)
{
    return sonde_apply(&where_row, 3, (sonde_tensor *[]){condition, a, b}, NULL, out);
}
