/* rows — small helps for writing operators. Private to room autograd. */
#ifndef SONDE_AUTOGRAD_ROWS_H
#define SONDE_AUTOGRAD_ROWS_H

#include "autograd/node.h"
#include "kernel/loops.h"

#include <string.h>

/* Declares output k: this dtype, t's shape. */
static inline void out_like(sonde_call *call, int k, sonde_dtype dtype, const sonde_tensor *t)
{
    call->out_dtype[k] = dtype;
    call->out_ndim[k] = t->ndim;
    for (int d = 0; d < t->ndim; d++) call->out_shape[k][d] = t->shape[d];
}

static inline sonde_status need_float(const sonde_call *call, int input)
{
    const sonde_tensor *t = call->in[input];
    if (sonde_dtype_is_float(t->dtype)) return SONDE_OK;
    return sonde_fail(SONDE_EDTYPE, "'%s' takes a float tensor, got %s", call->op->name, sonde_dtype_name(t->dtype));
}

/* A loop over n tensors, all broadcast to the shape of the first. */
static inline sonde_loop loop_over(int n, const sonde_tensor *const *t)
{
    sonde_loop loop;
    sonde_tensor_loop(&loop, t[0]->ndim, t[0]->shape, n, t);
    return loop;
}

/* A reference to t as it is if it is contiguous and of this dtype, else to such a copy. */
static inline sonde_status ready(sonde_tensor **out, sonde_tensor *t, sonde_dtype dtype)
{
    return t->dtype == dtype ? sonde_tensor_contiguous(out, t) : sonde_tensor_to(out, t, dtype);
}

/* A tensor's axes around one of them, or around a run of them: [outer, n, inner]. */
typedef struct layout {
    int64_t outer, n, inner;
} layout;

static inline layout layout_around(int ndim, const int64_t *shape, int first, int last)
{
    layout l = {1, 1, 1};
    for (int d = 0; d < ndim; d++) *(d < first ? &l.outer : d <= last ? &l.n : &l.inner) *= shape[d];
    return l;
}

/* Is the gradient of this input of the output's shape and dtype, so that it can be written without a detour? */
static inline bool fits_output(const sonde_node *node, int input)
{
    const sonde_value *in = node->in[input], *out = &node->out[0];
    return in->dtype == out->dtype && in->ndim == out->ndim &&
           memcmp(in->shape, out->shape, (size_t)in->ndim * sizeof *in->shape) == 0;
}

/* gradient of input (+)= scale * dy, summed down where the input was broadcast */
sonde_status sonde_give_scaled(sonde_node *node, int input, sonde_tensor *dy, double scale);

#endif
