#include "autograd/node.h"
#include "autograd/watch.h"

#include <string.h>

static _Thread_local bool grad_enabled = true;

bool sonde_grad_enabled(void) { return grad_enabled; }

bool sonde_grad_enable(bool enabled)
{
    const bool was = grad_enabled;
    grad_enabled = enabled;
    return was;
}

/* The args' copy, aligned for anything. */
typedef union args_copy {
    char bytes[SONDE_OP_MAX_ARGS];
    max_align_t alignment;
} args_copy;

static bool any_requires_grad(int n_in, sonde_tensor *const *in)
{
    for (int i = 0; i < n_in; i++)
        if (in[i] && in[i]->requires_grad) return true;
    return false;
}

/* Fields are set one by one: clearing the whole struct would cost as much as a small operator. */
static sonde_status prepare(sonde_call *call, args_copy *copy, const sonde_op *op, int n_in, sonde_tensor *const *in,
                            const void *args)
{
    call->op = op;
    call->n_in = n_in;
    call->n_out = op->n_out ? op->n_out : 1;
    call->n_extra = 0;
    call->saves = op->saves;
    call->args = copy->bytes;
    call->args_taken = false;
    call->recording = grad_enabled && op->backward && any_requires_grad(n_in, in);
    if (op->args_size) memcpy(copy->bytes, args, op->args_size);
    for (int k = 0; k < call->n_out; k++) call->out[k] = NULL;
    if (n_in > SONDE_OP_MAX_IN)
        return sonde_fail(SONDE_EARG, "'%s' takes at most %d tensors, got %d", op->name, SONDE_OP_MAX_IN, n_in);
    for (int i = 0; i < n_in; i++) call->in[i] = in[i];
    return SONDE_OK;
}

/* Ends a call: what it made for a backward that will not be, and on failure its outputs. */
static void finish(sonde_call *call, sonde_status status)
{
    for (int i = 0; i < call->n_extra; i++) sonde_tensor_release(call->extra[i]);
    if (call->op->free_args && !call->args_taken) call->op->free_args(call->args);
    if (status == SONDE_OK) return;
    for (int k = 0; k < call->n_out; k++) sonde_tensor_release(call->out[k]);
}

static sonde_status run(sonde_call *call)
{
    SONDE_TRY(call->op->shape(call));
    for (int k = 0; k < call->n_out && !call->op->is_view; k++)
        SONDE_TRY(sonde_tensor_new(&call->out[k], call->out_dtype[k], call->out_ndim[k], call->out_shape[k]));
    SONDE_TRY(call->op->forward(call));
    if (sonde_numbers_on) sonde_numbers_applied(call, call->out);
    return SONDE_OK;
}

sonde_status sonde_apply(const sonde_op *op, int n_in, sonde_tensor *const *in, const void *args, sonde_tensor **out)
{
    sonde_call call;
    args_copy copy;
    sonde_node *node;
    sonde_status status = prepare(&call, &copy, op, n_in, in, args);
    if (status == SONDE_OK) status = run(&call);
    if (status == SONDE_OK && call.recording) status = sonde_node_record(&call, NULL, &node);
    finish(&call, status);
    if (status == SONDE_OK)
        for (int k = 0; k < call.n_out; k++) out[k] = call.out[k];
    return status;
}

/* ---- in place ------------------------------------------------------------------------------------------- */

static sonde_status check_result(const sonde_call *call, const sonde_tensor *t)
{
    const bool same_shape = call->out_ndim[0] == t->ndim &&
                            memcmp(call->out_shape[0], t->shape, (size_t)t->ndim * sizeof *t->shape) == 0;
    if (same_shape && call->out_dtype[0] == t->dtype) return SONDE_OK;
    if (same_shape)
        return sonde_fail(SONDE_EDTYPE, "'%s' in place: the result is %s, the tensor %s", call->op->name,
                          sonde_dtype_name(call->out_dtype[0]), sonde_dtype_name(t->dtype));
    char result[SONDE_SHAPE_TEXT], own[SONDE_SHAPE_TEXT];
    return sonde_fail(SONDE_ESHAPE, "'%s' in place: the result has shape %s, the tensor %s", call->op->name,
                      sonde_shape_text(result, call->out_ndim[0], call->out_shape[0]),
                      sonde_shape_text(own, t->ndim, t->shape));
}

static sonde_status check_may_change(const sonde_op *op, const sonde_tensor *t, bool records)
{
    if (records && t->requires_grad && sonde_is_leaf(t))
        return sonde_fail(SONDE_ESTATE,
                          "'%s' in place on a leaf that requires a gradient: do it inside no_grad, or use the "
                          "operator that returns a new tensor",
                          op->name);
    for (int d = 0; d < t->ndim; d++)
        if (t->stride[d] == 0 && t->shape[d] > 1)
            return sonde_fail(SONDE_ESTATE,
                              "'%s' in place on an expanded tensor: several of its elements are one number in "
                              "memory; clone it first",
                              op->name);
    return SONDE_OK;
}

/* Forward straight into t where nothing it still has to read is overwritten. */
static bool writes_directly(const sonde_call *call)
{
    const sonde_tensor *t = call->in[0];
    if (!call->op->elementwise || !sonde_tensor_is_contiguous(t)) return false;
    for (int i = 1; i < call->n_in; i++)
        if (call->in[i] && call->in[i]->storage == t->storage) return false;
    return true;
}

/* Weights set by hand, outside of any layer and with gradients off, are no part of a pass: who reads them names them. */
static bool is_watched(void) { return sonde_numbers_on && (sonde_grad_enabled() || sonde_numbers_place()); }

static sonde_status run_into(sonde_call *call, sonde_tensor *t)
{
    if (writes_directly(call)) {
        call->out[0] = t;
        sonde_status status = call->op->forward(call);
        if (status == SONDE_OK && is_watched()) sonde_numbers_applied(call, &t);
        call->out[0] = NULL;
        sonde_tensor_changed(t);
        return status;
    }
    SONDE_TRY(sonde_tensor_new(&call->out[0], call->out_dtype[0], call->out_ndim[0], call->out_shape[0]));
    sonde_status status = call->op->forward(call);
    if (status == SONDE_OK && is_watched()) sonde_numbers_applied(call, call->out);
    if (status == SONDE_OK) status = sonde_tensor_copy_(t, call->out[0]);
    sonde_tensor_release(call->out[0]);
    call->out[0] = NULL;
    return status;
}

/* Inputs that backward reads but that lie in t's storage are kept as copies. copies[i] NULL: not needed. */
static sonde_status copy_overwritten(sonde_call *call, sonde_tensor **copies)
{
    for (int i = 0; i < call->n_in; i++) {
        copies[i] = NULL;
        if (!(call->saves & (1u << i)) || !call->in[i] || call->in[i]->storage != call->in[0]->storage) continue;
        SONDE_TRY(sonde_tensor_clone(&copies[i], call->in[i]));
    }
    return SONDE_OK;
}

/* The recorded form: t gets the new node's value. */
static sonde_status rewrite(sonde_call *call, sonde_tensor *t)
{
    sonde_tensor *copies[SONDE_OP_MAX_IN] = {NULL};
    sonde_node *node = NULL;
    sonde_status status = copy_overwritten(call, copies);
    if (status == SONDE_OK) status = run_into(call, t);
    if (status == SONDE_OK) {
        t->storage->rewrites++;
        call->out[0] = t;
        status = sonde_node_record(call, copies, &node);
        call->out[0] = NULL;
    }
    if (status == SONDE_OK) {
        sonde_value_move(t, &node->out[0]);
        t->requires_grad = true;
    }
    for (int i = 0; i < call->n_in; i++) sonde_tensor_release(copies[i]);
    return status;
}

/* ---- in place on a view --------------------------------------------------------------------------------- */

/* The base gets a new value: the old one with the part that the view shows overwritten by `part`. */
static sonde_status overwrite(sonde_tensor *base, sonde_tensor *part, const sonde_view_args *where)
{
    sonde_call call;
    args_copy copy;
    sonde_status status = prepare(&call, &copy, &sonde_op_overwrite, 2, (sonde_tensor *[]){base, part}, where);
    if (status == SONDE_OK) status = sonde_op_overwrite.shape(&call);
    if (status == SONDE_OK) status = rewrite(&call, base);
    finish(&call, status);
    return status;
}

/* The view becomes one of the base's new value. */
static sonde_status take_again(sonde_tensor *view, sonde_tensor *base, const sonde_view_args *where)
{
    sonde_tensor *again;
    SONDE_TRY(sonde_apply(&sonde_op_as_strided, 1, &base, where, &again));
    sonde_value_move(view, sonde_value_retain(again->autograd));
    view->requires_grad = true;
    sonde_tensor_release(again);
    return SONDE_OK;
}

/* Runs the row out of place. What its backward would read of the old contents it must read from a copy. */
static sonde_status run_apart(const sonde_op *op, int n_in, sonde_tensor *const *in, const void *args,
                              sonde_tensor **out)
{
    sonde_tensor *read[SONDE_OP_MAX_IN];
    sonde_status status = SONDE_OK;
    int n = 0;
    for (; n < n_in && status == SONDE_OK; n++) {
        const bool overwritten = in[n] && (op->saves & (1u << n)) && in[n]->storage == in[0]->storage;
        if (overwritten) status = sonde_clone(&read[n], in[n]);
        else read[n] = in[n] ? sonde_tensor_retain(in[n]) : NULL;
        if (status != SONDE_OK) break;
    }
    if (status == SONDE_OK) status = sonde_apply(op, n_in, read, args, out);
    while (n-- > 0) sonde_tensor_release(read[n]);
    return status;
}

static sonde_status rewrite_view(const sonde_op *op, int n_in, sonde_tensor *const *in, const void *args)
{
    sonde_tensor *t = in[0], *base = t->base, *part;
    SONDE_TRY(check_may_change(op, base, true));
    SONDE_TRY(check_may_change(op, t, true));
    if (!sonde_tensor_is_contiguous(base))
        return sonde_fail(SONDE_ESTATE, "'%s' in place on a view of a tensor that is not contiguous: clone that first",
                          op->name);
    sonde_view_args where;
    sonde_view_args_within(&where, t, base);
    SONDE_TRY(run_apart(op, n_in, in, args, &part));
    sonde_status status = SONDE_OK;
    if (part->dtype != t->dtype || !sonde_tensor_same_shape(part, t))
        status =
            sonde_fail(SONDE_ESHAPE, "'%s' in place: the result has another shape or dtype than the view", op->name);
    if (status == SONDE_OK) status = overwrite(base, part, &where);
    if (status == SONDE_OK) status = take_again(t, base, &where);
    sonde_tensor_release(part);
    return status;
}

sonde_status sonde_apply_inplace(const sonde_op *op, int n_in, sonde_tensor *const *in, const void *args)
{
    sonde_tensor *t = in[0], *base = t->base;
    const bool records = grad_enabled && op->backward && sonde_dtype_is_float(t->dtype) && /* integers have none */
                         (any_requires_grad(n_in, in) || (base && base->requires_grad));
    if (records && base) return rewrite_view(op, n_in, in, args);
    sonde_call call;
    args_copy copy;
    sonde_status status = prepare(&call, &copy, op, n_in, in, args);
    if (status == SONDE_OK) status = check_may_change(op, t, records);
    if (status == SONDE_OK) status = op->shape(&call);
    if (status == SONDE_OK) status = check_result(&call, t);
    if (status == SONDE_OK) status = records && call.recording ? rewrite(&call, t) : run_into(&call, t);
    finish(&call, status);
    return status;
}
