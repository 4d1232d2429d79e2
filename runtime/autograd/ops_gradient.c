#include "autograd/rows.h"

/* y = x, dx (+)= scale dy */

typedef struct scale_args {
    double scale;
} scale_args;

static sonde_status shape(sonde_call *call)
{
    SONDE_TRY(need_float(call, 0));
    out_like(call, 0, call->in[0]->dtype, call->in[0]);
    return SONDE_OK;
}

static sonde_status forward(sonde_call *call)
{
    sonde_tensor *x;
    SONDE_TRY(sonde_tensor_contiguous(&x, call->in[0]));
    memcpy(sonde_tensor_data(call->out[0]), sonde_tensor_data(x),
           (size_t)sonde_tensor_numel(x) * sonde_dtype_size(x->dtype));
    sonde_tensor_release(x);
    return SONDE_OK;
}

static sonde_status backward(sonde_node *node)
{
    const scale_args *args = sonde_node_args(node);
    return sonde_give_scaled(node, 0, sonde_node_grad(node, 0), args->scale);
}

static const sonde_op row = {.name = "scale_gradient",
                             .args_size = sizeof(scale_args),
                             .shape = shape,
                             .forward = forward,
                             .backward = backward};

sonde_status sonde_scale_gradient(sonde_tensor **out, sonde_tensor *x, double scale)
{
    return sonde_apply(&row, 1, &x, &(scale_args){scale}, out);
}
