#include "autograd/rows.h"

/* ---- functions of one operand ---------------------------------------------------------------------------- */

typedef struct unary_args {
    sonde_unary op;
} unary_args;

/* What stays int64 for int64. */
static bool keeps_integers(sonde_unary op)
{
    return op == SONDE_NEG || op == SONDE_ABS || op == SONDE_SIGN || op == SONDE_SQUARE || op >= SONDE_FLOOR;
}

static sonde_status unary_shape(sonde_call *call)
{
    const sonde_unary op = ((const unary_args *)call->args)->op;
    const sonde_dtype dtype = call->in[0]->dtype;
    out_like(call, 0, dtype == SONDE_INT64 && !keeps_integers(op) ? SONDE_FLOAT32 : dtype, call->in[0]);
    return SONDE_OK;
}

static sonde_status unary_forward(sonde_call *call)
{
    const sonde_unary op = ((const unary_args *)call->args)->op;
    sonde_tensor *out = call->out[0], *x;
    SONDE_TRY(ready(&x, call->in[0], out->dtype));
    sonde_loops_of(out->dtype)
        ->unary(op, sonde_tensor_data(out), sonde_tensor_data(x), (size_t)sonde_tensor_numel(out));
    sonde_tensor_release(x);
    return SONDE_OK;
}

static sonde_status unary_backward(sonde_node *node)
{
    const sonde_unary op = ((const unary_args *)sonde_node_args(node))->op;
    sonde_tensor *dy = sonde_node_grad(node, 0), *x = NULL, *y = sonde_node_out(node, 0), *target;
    bool add;
    if (op == SONDE_NEG) return sonde_give_scaled(node, 0, dy, -1);
    if (sonde_node_in(node, 0)) SONDE_TRY(sonde_tensor_contiguous(&x, sonde_node_in(node, 0)));
    sonde_tensor *flat = NULL; /* an output changed in place may be any tensor */
    sonde_status status = y ? sonde_tensor_contiguous(&flat, y) : SONDE_OK;
    if (status == SONDE_OK) status = sonde_node_target(node, 0, &target, &add);
    if (status == SONDE_OK)
        sonde_loops_of(dy->dtype)->unary_backward(
            op, sonde_tensor_data(target), sonde_tensor_data(dy), x ? sonde_tensor_data(x) : NULL,
            flat ? sonde_tensor_data(flat) : NULL, (size_t)sonde_tensor_numel(dy), add);
    sonde_tensor_release(flat);
    sonde_tensor_release(x);
    return status;
}

#define UNARY(label, keeps)                                                                                   \
    {.name = label, .args_size = sizeof(unary_args), .saves = keeps, .elementwise = true, .shape = unary_shape, \
     .forward = unary_forward, .backward = unary_backward}
static const sonde_op unary_rows[SONDE_UNARY_COUNT] = { /* saves: what sonde_unary_backward_reads says */
    [SONDE_NEG] = UNARY("neg", 0),                        [SONDE_ABS] = UNARY("abs", SONDE_SAVE_IN0),
    [SONDE_SIGN] = UNARY("sign", 0),                      [SONDE_EXP] = UNARY("exp", SONDE_SAVE_OUT0),
    [SONDE_LOG] = UNARY("log", SONDE_SAVE_IN0),           [SONDE_LOG1P] = UNARY("log1p", SONDE_SAVE_IN0),
    [SONDE_SQRT] = UNARY("sqrt", SONDE_SAVE_OUT0),        [SONDE_RSQRT] = UNARY("rsqrt", SONDE_SAVE_OUT0),
    [SONDE_SQUARE] = UNARY("square", SONDE_SAVE_IN0),     [SONDE_RECIPROCAL] = UNARY("reciprocal", SONDE_SAVE_OUT0),
    [SONDE_SIN] = UNARY("sin", SONDE_SAVE_IN0),           [SONDE_COS] = UNARY("cos", SONDE_SAVE_IN0),
    [SONDE_ERF] = UNARY("erf", SONDE_SAVE_IN0),           [SONDE_FLOOR] = UNARY("floor", 0),
    [SONDE_CEIL] = UNARY("ceil", 0),                      [SONDE_ROUND] = UNARY("round", 0),
};

sonde_status sonde_unary_op(sonde_tensor **out, sonde_unary op, sonde_tensor *x)
{
    return sonde_apply(&unary_rows[op], 1, &x, &(unary_args){op}, out);
}

sonde_status sonde_unary_op_(sonde_unary op, sonde_tensor *x)
{
    return sonde_apply_inplace(&unary_rows[op], 1, &x, &(unary_args){op});
}

/* ---- clamp ----------------------------------------------------------------------------------------------- */

typedef struct clamp_args {
    double low, high;
} clamp_args;

static sonde_status clamp_shape(sonde_call *call)
{
    out_like(call, 0, call->in[0]->dtype, call->in[0]);
    return SONDE_OK;
}

static sonde_status clamp_forward(sonde_call *call)
{
    const clamp_args *args = call->args;
    sonde_tensor *out = call->out[0], *x;
    SONDE_TRY(sonde_tensor_contiguous(&x, call->in[0]));
    sonde_loops_of(out->dtype)->clamp(sonde_tensor_data(out), sonde_tensor_data(x), (size_t)sonde_tensor_numel(out),
                                      args->low, args->high);
    sonde_tensor_release(x);
    return SONDE_OK;
}

/* dx (+)= dy where low <= x <= high */
static sonde_status clamp_backward(sonde_node *node)
{
    const clamp_args *args = sonde_node_args(node);
    sonde_tensor *dy = sonde_node_grad(node, 0), *x, *target;
    bool add;
    SONDE_TRY(sonde_tensor_contiguous(&x, sonde_node_in(node, 0)));
    sonde_status status = sonde_node_target(node, 0, &target, &add);
    if (status == SONDE_OK)
        sonde_loops_of(dy->dtype)->clamp_backward(sonde_tensor_data(target), sonde_tensor_data(dy),
                                                  sonde_tensor_data(x), (size_t)sonde_tensor_numel(dy), args->low,
                                                  args->high, add);
    sonde_tensor_release(x);
    return status;
}

static const sonde_op clamp_row = {.name = "clamp", .args_size = sizeof(clamp_args), .saves = SONDE_SAVE_IN0,
                                   .elementwise = true, .shape = clamp_shape, .forward = clamp_forward,
                                   .backward = clamp_backward};

sonde_status sonde_clamp(sonde_tensor **out, sonde_tensor *x, double low, double high)
{
    return sonde_apply(&clamp_row, 1, &x, &(clamp_args){low, high}, out);
}

/* ---- activations ----------------------------------------------------------------------------------------- */

static sonde_status activation_shape(sonde_call *call)
{
    SONDE_TRY(need_float(call, 0));
    out_like(call, 0, call->in[0]->dtype, call->in[0]);
    call->saves = sonde_activation_uses_output(call->args) ? SONDE_SAVE_OUT0 : SONDE_SAVE_IN0;
    return SONDE_OK;
}

static sonde_status activation_forward(sonde_call *call)
{
    sonde_tensor *out = call->out[0], *x;
    SONDE_TRY(sonde_tensor_contiguous(&x, call->in[0]));
    sonde_activation_forward(call->args, out->dtype, sonde_tensor_data(out), sonde_tensor_data(x),
                             (size_t)sonde_tensor_numel(out));
    sonde_tensor_release(x);
    return SONDE_OK;
}

/* dx (+)= dy φ' */
static sonde_status activation_backward(sonde_node *node)
{
    sonde_tensor *dy = sonde_node_grad(node, 0), *x = sonde_node_in(node, 0), *y = sonde_node_out(node, 0);
    sonde_tensor *read, *target;
    bool add;
    SONDE_TRY(sonde_tensor_contiguous(&read, x ? x : y));
    sonde_status status = sonde_node_target(node, 0, &target, &add);
    if (status == SONDE_OK)
        sonde_activation_backward(sonde_node_args(node), dy->dtype, sonde_tensor_data(target), sonde_tensor_data(dy),
                                  x ? sonde_tensor_data(read) : NULL, x ? NULL : sonde_tensor_data(read),
                                  (size_t)sonde_tensor_numel(dy), add);
    sonde_tensor_release(read);
    return status;
}

#define ACTIVATION(label)                                                                                              \
    {                                                                                                                  \
        .name = label, .args_size = sizeof(sonde_activation), .saves = SONDE_SAVE_IN0 | SONDE_SAVE_OUT0,               \
        .elementwise = true, .shape = activation_shape, .forward = activation_forward, .backward = activation_backward \
    }
static const sonde_op activation_rows[SONDE_ACTIVATION_COUNT] = {
    [SONDE_SIGMOID] = ACTIVATION("sigmoid"),       [SONDE_TANH] = ACTIVATION("tanh"),
    [SONDE_RELU] = ACTIVATION("relu"),             [SONDE_LEAKY_RELU] = ACTIVATION("leaky_relu"),
    [SONDE_ELU] = ACTIVATION("elu"),               [SONDE_SELU] = ACTIVATION("selu"),
    [SONDE_GELU] = ACTIVATION("gelu"),             [SONDE_GELU_TANH] = ACTIVATION("gelu_tanh"),
    [SONDE_SILU] = ACTIVATION("silu"),             [SONDE_SOFTPLUS] = ACTIVATION("softplus"),
    [SONDE_SOFTSIGN] = ACTIVATION("softsign"),     [SONDE_HARDTANH] = ACTIVATION("hardtanh"),
    [SONDE_CELU] = ACTIVATION("celu"),             [SONDE_MISH] = ACTIVATION("mish"),
    [SONDE_HARDSIGMOID] = ACTIVATION("hardsigmoid"), [SONDE_HARDSWISH] = ACTIVATION("hardswish"),
    [SONDE_LOGSIGMOID] = ACTIVATION("logsigmoid"), [SONDE_THRESHOLD] = ACTIVATION("threshold"),
    [SONDE_TANHSHRINK] = ACTIVATION("tanhshrink"), [SONDE_SINE] = ACTIVATION("sin"),
};

sonde_status sonde_activate(sonde_tensor **out, const sonde_activation *activation, sonde_tensor *x)
{
    return sonde_apply(&activation_rows[activation->kind], 1, &x, activation, out);
}

sonde_status sonde_activate_(const sonde_activation *activation, sonde_tensor *x)
{
    return sonde_apply_inplace(&activation_rows[activation->kind], 1, &x, activation);
}
