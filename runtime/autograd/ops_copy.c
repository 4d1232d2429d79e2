#include "autograd/rows.h"

/* Copies: clone, conversion, assignment, joining. */

static sonde_status same_shape(sonde_call *call)
{
    out_like(call, 0, call->in[0]->dtype, call->in[0]);
    return SONDE_OK;
}

static sonde_status copy_forward(sonde_call *call)
{
    SONDE_TRY(sonde_tensor_copy_(call->out[0], call->in[0]));
    call->out[0]->storage->version = 0; /* nobody has seen it before */
    return SONDE_OK;
}

/* dx += dy; sonde_node_give converts */
static sonde_status pass_back(sonde_node *node) { return sonde_node_give(node, 0, sonde_node_grad(node, 0)); }

static const sonde_op clone_row = {
    .name = "clone", .shape = same_shape, .forward = copy_forward, .backward = pass_back};

sonde_status sonde_clone(sonde_tensor **out, sonde_tensor *x) { return sonde_apply(&clone_row, 1, &x, NULL, out); }

sonde_status sonde_contiguous(sonde_tensor **out, sonde_tensor *x)
{
    if (!sonde_tensor_is_contiguous(x)) return sonde_clone(out, x);
    *out = sonde_tensor_retain(x);
    return SONDE_OK;
}

static sonde_status cast_shape(sonde_call *call)
{
    out_like(call, 0, *(const sonde_dtype *)call->args, call->in[0]);
    call->recording = call->recording && sonde_dtype_is_float(call->out_dtype[0]);
    return SONDE_OK;
}

static const sonde_op cast_row = {.name = "to", .args_size = sizeof(sonde_dtype), .shape = cast_shape,
                                  .forward = copy_forward, .backward = pass_back};

sonde_status sonde_cast(sonde_tensor **out, sonde_tensor *x, sonde_dtype dtype)
{
    if (x->dtype != dtype) return sonde_apply(&cast_row, 1, &x, &dtype, out);
    *out = sonde_tensor_retain(x);
    return SONDE_OK;
}

/* ---- assignment ------------------------------------------------------------------------------------------ */

static sonde_status assign_forward(sonde_call *call) { return sonde_tensor_copy_(call->out[0], call->in[1]); }

/* The old contents count no more; the value's gradient is dy, summed where it was broadcast. */
static sonde_status assign_backward(sonde_node *node)
{
    return sonde_node_needs(node, 1) ? sonde_node_give(node, 1, sonde_node_grad(node, 0)) : SONDE_OK;
}

static const sonde_op assign_row = {
    .name = "assign", .elementwise = true, .shape = same_shape, .forward = assign_forward, .backward = assign_backward};

sonde_status sonde_assign_(sonde_tensor *target, sonde_tensor *value)
{
    if (target == value) return SONDE_OK;
    return sonde_apply_inplace(&assign_row, 2, (sonde_tensor *[]){target, value}, NULL);
}

/* Where part of `t` lies that a view shows. */
static sonde_status part_of(sonde_tensor **out, sonde_tensor *t, const sonde_view_args *where)
{
    return sonde_tensor_as_strided(out, t, where->ndim, where->shape, where->in_stride, t->offset + where->in_offset);
}

/* Only ever in place: out[0] is in[0]. */
static sonde_status overwrite_forward(sonde_call *call)
{
    sonde_tensor *part;
    SONDE_TRY(part_of(&part, call->out[0], call->args));
    sonde_status status = sonde_tensor_copy_(part, call->in[1]);
    sonde_tensor_release(part);
    return status;
}

/* To in[0]: dy but for the part, where it is 0. To in[1]: the part of dy. */
static sonde_status overwrite_backward(sonde_node *node)
{
    const sonde_view_args *where = sonde_node_args(node);
    sonde_tensor *dy = sonde_node_grad(node, 0), *part, *rest;
    if (sonde_node_needs(node, 1)) {
        SONDE_TRY(part_of(&part, dy, where));
        sonde_status status = sonde_node_give(node, 1, part);
        sonde_tensor_release(part);
        SONDE_TRY(status);
    }
    if (!sonde_node_needs(node, 0)) return SONDE_OK;
    SONDE_TRY(sonde_tensor_clone(&rest, dy));
    sonde_status status = part_of(&part, rest, where);
    if (status == SONDE_OK) {
        status = sonde_tensor_fill_(part, 0);
        sonde_tensor_release(part);
    }
    if (status == SONDE_OK) status = sonde_node_give(node, 0, rest);
    sonde_tensor_release(rest);
    return status;
}

const sonde_op sonde_op_overwrite = {.name = "assign", .args_size = sizeof(sonde_view_args), .elementwise = true,
                                     .shape = same_shape, .forward = overwrite_forward, .backward = overwrite_backward};

/* ---- joining --------------------------------------------------------------------------------------------- */

typedef struct cat_args {
    int axis;
    int64_t length[SONDE_OP_MAX_IN]; /* of each input along it; noted by the shape rule */
} cat_args;

static sonde_status cat_shape(sonde_call *call)
{
    cat_args *args = call->args;
    const int axis = args->axis;
    const sonde_tensor *first = call->in[0];
    out_like(call, 0, first->dtype, first);
    args->length[0] = first->shape[axis];
    for (int i = 1; i < call->n_in; i++) {
        const sonde_tensor *t = call->in[i];
        bool fits = t->ndim == first->ndim;
        for (int d = 0; fits && d < t->ndim; d++) fits = d == axis || t->shape[d] == first->shape[d];
        if (!fits) {
            char text_first[SONDE_SHAPE_TEXT], text[SONDE_SHAPE_TEXT];
            return sonde_fail(SONDE_ESHAPE, "cat along axis %d: shapes %s and %s (number %d) differ elsewhere",
                              axis + 1, sonde_shape_text(text_first, first->ndim, first->shape),
                              sonde_shape_text(text, t->ndim, t->shape), i + 1);
        }
        args->length[i] = t->shape[axis];
        call->out_shape[0][axis] += t->shape[axis];
        call->out_dtype[0] = sonde_dtype_promote(call->out_dtype[0], t->dtype);
    }
    return SONDE_OK;
}

/* The part of `whole` that holds input i, which starts at *start along the axis; moves *start on. */
static sonde_status piece(sonde_tensor **out, sonde_tensor *whole, int axis, int64_t length, int64_t *start)
{
    int64_t shape[SONDE_MAX_DIMS];
    memcpy(shape, whole->shape, sizeof shape);
    shape[axis] = length;
    const int64_t offset = whole->offset + *start * whole->stride[axis];
    *start += length;
    return sonde_tensor_as_strided(out, whole, whole->ndim, shape, whole->stride, offset);
}

static sonde_status cat_forward(sonde_call *call)
{
    const int axis = ((const cat_args *)call->args)->axis;
    int64_t start = 0;
    for (int i = 0; i < call->n_in; i++) {
        sonde_tensor *part;
        SONDE_TRY(piece(&part, call->out[0], axis, call->in[i]->shape[axis], &start));
        sonde_status status = sonde_tensor_copy_(part, call->in[i]);
        sonde_tensor_release(part);
        SONDE_TRY(status);
    }
    call->out[0]->storage->version = 0;
    return SONDE_OK;
}

static sonde_status cat_backward(sonde_node *node)
{
    const cat_args *args = sonde_node_args(node);
    sonde_tensor *dy = sonde_node_grad(node, 0);
    int64_t start = 0;
    for (int i = 0; i < node->n_in; i++) {
        sonde_tensor *part;
        SONDE_TRY(piece(&part, dy, args->axis, args->length[i], &start));
        sonde_status status = sonde_node_needs(node, i) ? sonde_node_give(node, i, part) : SONDE_OK;
        sonde_tensor_release(part);
        SONDE_TRY(status);
    }
    return SONDE_OK;
}

static const sonde_op cat_row = {
    .name = "cat", .args_size = sizeof(cat_args), .shape = cat_shape, .forward = cat_forward, .backward = cat_backward};

sonde_status sonde_cat(sonde_tensor **out, int n, sonde_tensor *const *in, int axis)
{
    if (n < 1) return sonde_fail(SONDE_EARG, "cat of no tensors");
    cat_args args;
    SONDE_TRY(sonde_axis(&args.axis, axis, in[0]->ndim));
    if (n <= SONDE_OP_MAX_IN) return sonde_apply(&cat_row, n, in, &args, out);
    const int groups = (n + SONDE_OP_MAX_IN - 1) / SONDE_OP_MAX_IN;
    sonde_tensor **joined = sonde_alloc((size_t)groups * sizeof *joined);
    if (!joined) return SONDE_ENOMEM;
    sonde_status status = SONDE_OK;
    int done = 0;
    for (; done < groups && status == SONDE_OK; done++) {
        const int first = done * SONDE_OP_MAX_IN, count = n - first < SONDE_OP_MAX_IN ? n - first : SONDE_OP_MAX_IN;
        joined[done] = NULL;
        status = sonde_apply(&cat_row, count, in + first, &args, &joined[done]);
    }
    if (status == SONDE_OK) status = sonde_cat(out, groups, joined, axis);
    for (int i = 0; i < done; i++) sonde_tensor_release(joined[i]);
    sonde_free(joined);
    return status;
}

sonde_status sonde_stack(sonde_tensor **out, int n, sonde_tensor *const *in, int axis)
{
    if (n < 1) return sonde_fail(SONDE_EARG, "stack of no tensors");
    for (int i = 1; i < n; i++)
        if (!sonde_tensor_same_shape(in[0], in[i])) {
            char text_first[SONDE_SHAPE_TEXT], text[SONDE_SHAPE_TEXT];
            return sonde_fail(SONDE_ESHAPE, "stack: shapes %s and %s (number %d) differ",
                              sonde_shape_text(text_first, in[0]->ndim, in[0]->shape),
                              sonde_shape_text(text, in[i]->ndim, in[i]->shape), i + 1);
        }
    sonde_tensor **raised = sonde_alloc((size_t)n * sizeof *raised);
    if (!raised) return SONDE_ENOMEM;
    sonde_status status = SONDE_OK;
    int done = 0;
    for (; done < n && status == SONDE_OK; done++) {
        raised[done] = NULL;
        status = sonde_unsqueeze(&raised[done], in[done], axis);
    }
    if (status == SONDE_OK) status = sonde_cat(out, n, raised, axis);
    for (int i = 0; i < done; i++) sonde_tensor_release(raised[i]);
    sonde_free(raised);
    return status;
}

/* x seen as [1, s0, 1, s1, ...], expanded to [r0, s0, r1, s1, ...], copied: so one axis at a time, for the limit of
 * axes. */
static sonde_status tile_axis(sonde_tensor **out, sonde_tensor *x, int axis, int64_t repeats)
{
    int64_t shape[SONDE_MAX_DIMS], wide[3];
    const layout l = layout_around(x->ndim, x->shape, axis, axis);
    sonde_tensor *flat, *expanded;
    memcpy(shape, x->shape, sizeof shape);
    if (__builtin_mul_overflow(shape[axis], repeats, &shape[axis]))
        return sonde_fail(SONDE_ENOMEM, "tile: axis %d would have more elements than can be counted", axis + 1);
    SONDE_TRY(sonde_reshape(&flat, x, 3, (wide[0] = l.outer, wide[1] = 1, wide[2] = l.n * l.inner, wide)));
    wide[1] = repeats;
    sonde_status status = sonde_expand(&expanded, flat, 3, wide);
    sonde_tensor_release(flat);
    SONDE_TRY(status);
    status = sonde_reshape(out, expanded, x->ndim, shape);
    sonde_tensor_release(expanded);
    return status;
}

sonde_status sonde_tile(sonde_tensor **out, sonde_tensor *x, int n, const int64_t *repeats)
{
    const int ndim = n > x->ndim ? n : x->ndim;
    int64_t shape[SONDE_MAX_DIMS];
    if (ndim > SONDE_MAX_DIMS)
        return sonde_fail(SONDE_EARG, "a tensor has at most %d axes, got %d", SONDE_MAX_DIMS, ndim);
    for (int d = 0; d < n; d++)
        if (repeats[d] < 0)
            return sonde_fail(SONDE_EARG, "tile: axis %d repeated %lld times", d + 1, (long long)repeats[d]);
    for (int d = 0; d < ndim; d++) shape[d] = d < ndim - x->ndim ? 1 : x->shape[d - (ndim - x->ndim)];
    sonde_tensor *result;
    SONDE_TRY(sonde_reshape(&result, x, ndim, shape));
    for (int d = 0; d < n; d++) {
        const int axis = d + ndim - n;
        if (repeats[d] == 1) continue;
        sonde_tensor *next;
        sonde_status status = tile_axis(&next, result, axis, repeats[d]);
        sonde_tensor_release(result);
        SONDE_TRY(status);
        result = next;
    }
    sonde_status status = result->base ? sonde_clone(out, result) : (*out = sonde_tensor_retain(result), SONDE_OK);
    sonde_tensor_release(result);
    return status;
}
