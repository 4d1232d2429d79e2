#include "autograd/node.h"
#include "kernel/loops.h"

#include <string.h>

/* How contributions to a gradient are summed. The first may be kept as it is, or is written by the row's backward
 * into a fresh buffer; later ones are added in place where nobody else holds the buffer. */

static bool alone(const sonde_tensor *t) { return t->refs == 1 && t->storage->refs == 1; }

sonde_status sonde_plain(sonde_tensor **out, sonde_tensor *g)
{
    if (!sonde_tensor_is_contiguous(g)) return sonde_tensor_clone(out, g);
    if (g->autograd || g->requires_grad || g->base)
        return sonde_tensor_as_strided(out, g, g->ndim, g->shape, g->stride, g->offset);
    *out = sonde_tensor_retain(g);
    return SONDE_OK;
}

static void add_into(sonde_tensor *sum, const sonde_tensor *g)
{
    sonde_loop loop;
    sonde_tensor_loop(&loop, sum->ndim, sum->shape, 2, (const sonde_tensor *const[]){sum, g});
    sonde_loops_of(sum->dtype)->accumulate(sonde_tensor_data(sum), sonde_tensor_data(g), 1, &loop, true);
    sonde_tensor_changed(sum);
}

/* A pending sum that may be added to: other holders (another value's gradient, a hook) keep what they saw. */
static sonde_status own_pending(sonde_value *value)
{
    if (alone(value->pending)) return SONDE_OK;
    sonde_tensor *copy;
    SONDE_TRY(sonde_tensor_clone(&copy, value->pending));
    sonde_tensor_release(value->pending);
    value->pending = copy;
    return SONDE_OK;
}

sonde_status sonde_value_contribute(sonde_value *value, sonde_tensor *g, bool own)
{
    sonde_tensor **sum = value->direct ? &value->grad : &value->pending;
    value->reached = true;
    if (!*sum) {
        value->fresh = value->direct;
        /* .grad will be added to in place by later backwards, so it must be nobody else's */
        if (value->direct && !own) return sonde_tensor_clone(sum, g);
        return sonde_plain(sum, g);
    }
    if (!value->direct) SONDE_TRY(own_pending(value));
    add_into(*sum, g);
    return SONDE_OK;
}

sonde_status sonde_node_target(sonde_node *node, int input, sonde_tensor **target, bool *add)
{
    sonde_value *value = node->in[input];
    sonde_tensor **sum = value->direct ? &value->grad : &value->pending;
    value->reached = true;
    *add = *sum != NULL;
    if (!*sum) {
        SONDE_TRY(sonde_tensor_new(sum, value->dtype, value->ndim, value->shape));
        value->fresh = value->direct;
    } else {
        if (!value->direct) SONDE_TRY(own_pending(value));
        sonde_tensor_changed(*sum);
    }
    *target = *sum;
    return SONDE_OK;
}

/* ---- gradients of broadcast inputs ----------------------------------------------------------------------- */

/* Σ over axes first..last of g, which is contiguous. */
static sonde_status sum_axes(sonde_tensor **out, const sonde_tensor *g, int first, int last)
{
    int64_t outer = 1, n = 1, inner = 1, shape[SONDE_MAX_DIMS];
    for (int d = 0; d < g->ndim; d++) {
        *(d < first ? &outer : d <= last ? &n : &inner) *= g->shape[d];
        shape[d] = d < first || d > last ? g->shape[d] : 1;
    }
    SONDE_TRY(sonde_tensor_new(out, g->dtype, g->ndim, shape));
    sonde_loops_of(g->dtype)->reduce(SONDE_SUM, sonde_tensor_data(*out), sonde_tensor_data(g), outer, n, inner, 0);
    return SONDE_OK;
}

/* Replaces *g (one reference) by its sum over the axes along which `value` was broadcast, run by run. */
static sonde_status sum_down(sonde_tensor **g, const sonde_value *value)
{
    const int extra = (*g)->ndim - value->ndim;
    for (int d = 0; d < (*g)->ndim;) {
        int last = d;
        while (last < (*g)->ndim && (*g)->shape[last] != 1 && (last < extra || value->shape[last - extra] == 1)) last++;
        if (last == d) {
            d++;
            continue;
        }
        sonde_tensor *flat, *sum;
        SONDE_TRY(sonde_tensor_contiguous(&flat, *g));
        sonde_status status = sum_axes(&sum, flat, d, last - 1);
        sonde_tensor_release(flat);
        SONDE_TRY(status);
        sonde_tensor_release(*g);
        *g = sum;
        d = last;
    }
    return SONDE_OK;
}

static bool has_shape_of(const sonde_tensor *g, const sonde_value *value)
{
    return g->ndim == value->ndim && memcmp(g->shape, value->shape, (size_t)g->ndim * sizeof *g->shape) == 0;
}

/* g without the leading axes of size 1 that the value lacks. */
static sonde_status drop_leading(sonde_tensor **g, const sonde_value *value)
{
    const int extra = (*g)->ndim - value->ndim;
    if (extra <= 0) return SONDE_OK;
    sonde_tensor *view;
    SONDE_TRY(sonde_tensor_as_strided(&view, *g, value->ndim, value->shape, (*g)->stride + extra, (*g)->offset));
    sonde_tensor_release(*g);
    *g = view;
    return SONDE_OK;
}

/* The node's own tensors (what it saved, what came in) must not become anyone's gradient to be added to. */
static bool belongs_to(const sonde_node *node, const sonde_tensor *g)
{
    const char *at = (const char *)g;
    if (at >= (const char *)node->saved && at < (const char *)(node->saved + __builtin_popcount(node->saves)))
        return true;
    for (int k = 0; k < node->n_out; k++)
        if (node->out[k].pending == g) return true;
    for (int i = 0; i < node->n_extra; i++)
        if (node->extra[i] == g) return true;
    return false;
}

static sonde_status give(sonde_value *value, sonde_tensor *g, bool own)
{
    sonde_tensor *sum;
    SONDE_TRY(sonde_tensor_to(&sum, g, value->dtype));
    sonde_status status = SONDE_OK;
    if (!has_shape_of(sum, value)) {
        status = sum_down(&sum, value);
        if (status == SONDE_OK) status = drop_leading(&sum, value);
    }
    if (status == SONDE_OK && !has_shape_of(sum, value)) {
        char got[SONDE_SHAPE_TEXT], want[SONDE_SHAPE_TEXT];
        status =
            sonde_fail(SONDE_ESHAPE, "a gradient of shape %s was given for an input of shape %s",
                       sonde_shape_text(got, g->ndim, g->shape), sonde_shape_text(want, value->ndim, value->shape));
    }
    const bool made_here = sum != g && alone(sum);
    if (status == SONDE_OK) status = sonde_value_contribute(value, sum, own || made_here);
    sonde_tensor_release(sum);
    return status;
}

sonde_status sonde_node_give(sonde_node *node, int input, sonde_tensor *gradient)
{
    const bool saved = (const char *)gradient >= (const char *)node->saved &&
                       (const char *)gradient < (const char *)(node->saved + __builtin_popcount(node->saves));
    if (!saved) return give(node->in[input], gradient, alone(gradient) && !belongs_to(node, gradient));
    sonde_tensor *view; /* a saved tensor lives inside the node: what outlives it needs its own */
    SONDE_TRY(
        sonde_tensor_as_strided(&view, gradient, gradient->ndim, gradient->shape, gradient->stride, gradient->offset));
    sonde_status status = give(node->in[input], view, false);
    sonde_tensor_release(view);
    return status;
}
