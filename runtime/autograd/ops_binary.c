#include "autograd/rows.h"

#include <math.h>

typedef struct binary_args {
    sonde_binary op;
} binary_args;

static bool compares(sonde_binary op) { return op >= SONDE_LT; }

/* true division: int64 / int64 is float32 */
static sonde_dtype computed_in(sonde_binary op, sonde_dtype a, sonde_dtype b)
{
    const sonde_dtype dtype = sonde_dtype_promote(a, b);
    return dtype == SONDE_INT64 && op == SONDE_DIV ? SONDE_FLOAT32 : dtype;
}

sonde_status sonde_give_scaled(sonde_node *node, int input, sonde_tensor *dy, double scale)
{
    sonde_tensor *target;
    bool add;
    if (fits_output(node, input)) {
        if (scale == 1) return sonde_node_give(node, input, dy);
        SONDE_TRY(sonde_node_target(node, input, &target, &add));
        const sonde_loop loop = loop_over(2, (const sonde_tensor *const[]){target, dy});
        sonde_loops_of(dy->dtype)->accumulate(sonde_tensor_data(target), sonde_tensor_data(dy), scale, &loop, add);
        return SONDE_OK;
    }
    if (scale == 1) return sonde_node_give(node, input, dy);
    SONDE_TRY(sonde_tensor_like(&target, dy));
    const sonde_loop loop = loop_over(2, (const sonde_tensor *const[]){target, dy});
    sonde_loops_of(dy->dtype)->accumulate(sonde_tensor_data(target), sonde_tensor_data(dy), scale, &loop, false);
    sonde_status status = sonde_node_give(node, input, target);
    sonde_tensor_release(target);
    return status;
}

/* ---- two tensors ---------------------------------------------------------------------------------------- */

static sonde_status check_int_power(const sonde_tensor *exponent)
{
    sonde_tensor *flat;
    SONDE_TRY(sonde_tensor_contiguous(&flat, (sonde_tensor *)exponent));
    const int64_t at = sonde_index_check_kernel(sonde_tensor_data(flat), sonde_tensor_numel(flat), 0, INT64_MAX);
    sonde_tensor_release(flat);
    if (at < 0) return SONDE_OK;
    return sonde_fail(SONDE_EARG, "an int64 to a negative power is no integer: convert to float first");
}

static sonde_status binary_shape(sonde_call *call)
{
    const sonde_binary op = ((const binary_args *)call->args)->op;
    const sonde_tensor *a = call->in[0], *b = call->in[1];
    SONDE_TRY(sonde_shape_broadcast(&call->out_ndim[0], call->out_shape[0], a, b));
    const sonde_dtype dtype = computed_in(op, a->dtype, b->dtype);
    call->out_dtype[0] = compares(op) ? SONDE_INT64 : dtype;
    if (op == SONDE_POW && dtype == SONDE_INT64) SONDE_TRY(check_int_power(b));
    if (op == SONDE_MUL) { /* each side's derivative reads the other */
        if (!a->requires_grad) call->saves &= ~(uint32_t)SONDE_SAVE_IN1;
        if (!b->requires_grad) call->saves &= ~(uint32_t)SONDE_SAVE_IN0;
    } else if (op == SONDE_DIV && !b->requires_grad) {
        call->saves &= ~(uint32_t)SONDE_SAVE_IN0;
    }
    return SONDE_OK;
}

static sonde_status binary_forward(sonde_call *call)
{
    const sonde_binary op = ((const binary_args *)call->args)->op;
    const sonde_dtype dtype = computed_in(op, call->in[0]->dtype, call->in[1]->dtype);
    sonde_tensor *out = call->out[0], *a, *b;
    SONDE_TRY(sonde_tensor_to(&a, call->in[0], dtype));
    sonde_status status = sonde_tensor_to(&b, call->in[1], dtype);
    if (status == SONDE_OK) {
        const sonde_loop loop = loop_over(3, (const sonde_tensor *const[]){out, a, b});
        const sonde_loops *loops = sonde_loops_of(dtype);
        if (compares(op)) loops->compare(op, sonde_tensor_data(out), sonde_tensor_data(a), sonde_tensor_data(b), &loop);
        else loops->binary(op, sonde_tensor_data(out), sonde_tensor_data(a), sonde_tensor_data(b), &loop);
        sonde_tensor_release(b);
    }
    sonde_tensor_release(a);
    return status;
}

/* gradient of one side (+)= dy * ∂op/∂side */
static sonde_status give_side(sonde_node *node, sonde_binary op, int side, const sonde_tensor *dy,
                              const sonde_tensor *a, const sonde_tensor *b)
{
    sonde_tensor *target;
    bool add = false;
    const bool straight = fits_output(node, side);
    if (straight) SONDE_TRY(sonde_node_target(node, side, &target, &add));
    else SONDE_TRY(sonde_tensor_like(&target, dy));
    const sonde_loop loop = loop_over(4, (const sonde_tensor *const[]){target, dy, a, b});
    sonde_loops_of(dy->dtype)->binary_backward(op, side, sonde_tensor_data(target), sonde_tensor_data(dy),
                                               sonde_tensor_data(a), sonde_tensor_data(b), &loop, add);
    if (straight) return SONDE_OK;
    sonde_status status = sonde_node_give(node, side, target);
    sonde_tensor_release(target);
    return status;
}

static sonde_status binary_backward(sonde_node *node)
{
    const sonde_binary op = ((const binary_args *)sonde_node_args(node))->op;
    sonde_tensor *dy = sonde_node_grad(node, 0), *a = NULL, *b = NULL;
    if (op == SONDE_ADD || op == SONDE_SUB) {
        if (sonde_node_needs(node, 0)) SONDE_TRY(sonde_give_scaled(node, 0, dy, 1));
        return sonde_node_needs(node, 1) ? sonde_give_scaled(node, 1, dy, op == SONDE_SUB ? -1 : 1) : SONDE_OK;
    }
    /* a side that is not saved is one that the derivative does not read: anything may stand for it */
    SONDE_TRY(sonde_tensor_to(&a, sonde_node_in(node, 0) ? sonde_node_in(node, 0) : dy, dy->dtype));
    sonde_status status = sonde_tensor_to(&b, sonde_node_in(node, 1) ? sonde_node_in(node, 1) : dy, dy->dtype);
    for (int side = 0; side < 2 && status == SONDE_OK; side++)
        if (sonde_node_needs(node, side)) status = give_side(node, op, side, dy, a, b);
    sonde_tensor_release(a);
    sonde_tensor_release(b);
    return status;
}

#define BINARY(label, keeps, back)                                                                        \
    {.name = label, .args_size = sizeof(binary_args), .saves = keeps, .elementwise = true, .shape = binary_shape, \
     .forward = binary_forward, .backward = back}
#define BOTH (SONDE_SAVE_IN0 | SONDE_SAVE_IN1)
static const sonde_op binary_rows[SONDE_BINARY_COUNT] = {
    [SONDE_ADD] = BINARY("add", 0, binary_backward),
    [SONDE_SUB] = BINARY("sub", 0, binary_backward),
    [SONDE_MUL] = BINARY("mul", BOTH, binary_backward),
    [SONDE_DIV] = BINARY("div", BOTH, binary_backward),
    [SONDE_POW] = BINARY("pow", BOTH, binary_backward),
    [SONDE_MAXIMUM] = BINARY("maximum", BOTH, binary_backward),
    [SONDE_MINIMUM] = BINARY("minimum", BOTH, binary_backward),
    [SONDE_LT] = BINARY("lt", 0, NULL),
    [SONDE_LE] = BINARY("le", 0, NULL),
    [SONDE_GT] = BINARY("gt", 0, NULL),
    [SONDE_GE] = BINARY("ge", 0, NULL),
    [SONDE_EQ] = BINARY("eq", 0, NULL),
    [SONDE_NE] = BINARY("ne", 0, NULL),
};

sonde_status sonde_binary_op(sonde_tensor **out, sonde_binary op, sonde_tensor *a, sonde_tensor *b)
{
    return sonde_apply(&binary_rows[op], 2, (sonde_tensor *[]){a, b}, &(binary_args){op}, out);
}

sonde_status sonde_binary_op_(sonde_binary op, sonde_tensor *a, sonde_tensor *b)
{
    return sonde_apply_inplace(&binary_rows[op], 2, (sonde_tensor *[]){a, b}, &(binary_args){op});
}

/* ---- a tensor and a number ------------------------------------------------------------------------------- */

typedef struct scalar_args {
    sonde_binary op;
    bool reversed; /* number op tensor */
    double number;
} scalar_args;

typedef union constant {
    float f;
    double d;
    int64_t i;
} constant;

static constant constant_of(sonde_dtype dtype, double number)
{
    constant c = {.i = 0};
    if (dtype == SONDE_FLOAT32) c.f = (float)number;
    else if (dtype == SONDE_FLOAT64) c.d = number;
    else c.i = sonde_to_int64(number);
    return c;
}

/* A number leaves a float tensor's dtype alone; an int64 tensor stays one if the result is whole. */
static sonde_dtype scalar_dtype(const scalar_args *args, sonde_dtype dtype)
{
    if (dtype != SONDE_INT64) return dtype;
    const bool whole = args->number == floor(args->number) && fabs(args->number) < 0x1p63;
    if (compares(args->op)) return whole ? SONDE_INT64 : SONDE_FLOAT64;
    if (args->op == SONDE_DIV) return SONDE_FLOAT32;
    if (args->op == SONDE_POW && !args->reversed && args->number < 0) return SONDE_FLOAT32;
    return whole ? SONDE_INT64 : SONDE_FLOAT32;
}

static bool scalar_reads_input(const scalar_args *args)
{
    switch (args->op) {
    case SONDE_POW:
    case SONDE_MAXIMUM:
    case SONDE_MINIMUM: return true;
    case SONDE_DIV: return args->reversed;
    default: return false;
    }
}

static sonde_status scalar_shape(sonde_call *call)
{
    const scalar_args *args = call->args;
    const sonde_dtype dtype = scalar_dtype(args, call->in[0]->dtype);
    out_like(call, 0, compares(args->op) ? SONDE_INT64 : dtype, call->in[0]);
    if (args->op == SONDE_POW && args->reversed && dtype == SONDE_INT64) SONDE_TRY(check_int_power(call->in[0]));
    if (!scalar_reads_input(args)) call->saves = 0;
    return SONDE_OK;
}

/* The loop over (tensors..., the number) with the number's strides 0; `at` is the number's place among the operands. */
static sonde_loop loop_with_number(int n, const sonde_tensor *const *t, int at)
{
    sonde_loop loop = loop_over(n, t);
    for (int k = n; k > at; k--)
        for (int d = 0; d < loop.ndim; d++) loop.stride[k][d] = loop.stride[k - 1][d];
    for (int d = 0; d < loop.ndim; d++) loop.stride[at][d] = 0;
    loop.n_operands = n + 1;
    return loop;
}

static sonde_status scalar_forward(sonde_call *call)
{
    const scalar_args *args = call->args;
    const sonde_dtype dtype = scalar_dtype(args, call->in[0]->dtype);
    sonde_tensor *out = call->out[0], *x;
    SONDE_TRY(sonde_tensor_to(&x, call->in[0], dtype));
    const constant number = constant_of(dtype, args->number);
    const sonde_loop loop = loop_with_number(2, (const sonde_tensor *const[]){out, x}, args->reversed ? 1 : 2);
    const void *a = args->reversed ? (const void *)&number : sonde_tensor_data(x);
    const void *b = args->reversed ? sonde_tensor_data(x) : (const void *)&number;
    const sonde_loops *loops = sonde_loops_of(dtype);
    if (compares(args->op)) loops->compare(args->op, sonde_tensor_data(out), a, b, &loop);
    else loops->binary(args->op, sonde_tensor_data(out), a, b, &loop);
    sonde_tensor_release(x);
    return SONDE_OK;
}

static sonde_status scalar_backward(sonde_node *node)
{
    const scalar_args *args = sonde_node_args(node);
    sonde_tensor *dy = sonde_node_grad(node, 0), *x = sonde_node_in(node, 0), *target;
    if (args->op == SONDE_ADD) return sonde_give_scaled(node, 0, dy, 1);
    if (args->op == SONDE_SUB) return sonde_give_scaled(node, 0, dy, args->reversed ? -1 : 1);
    if (args->op == SONDE_MUL) return sonde_give_scaled(node, 0, dy, args->number);
    if (args->op == SONDE_DIV && !args->reversed) return sonde_give_scaled(node, 0, dy, 1 / args->number);
    bool add;
    SONDE_TRY(sonde_node_target(node, 0, &target, &add));
    const constant number = constant_of(dy->dtype, args->number);
    const sonde_loop loop = loop_with_number(3, (const sonde_tensor *const[]){target, dy, x}, args->reversed ? 2 : 3);
    const void *a = args->reversed ? (const void *)&number : sonde_tensor_data(x);
    const void *b = args->reversed ? sonde_tensor_data(x) : (const void *)&number;
    sonde_loops_of(dy->dtype)->binary_backward(args->op, args->reversed ? 1 : 0, sonde_tensor_data(target),
                                               sonde_tensor_data(dy), a, b, &loop, add);
    return SONDE_OK;
}

#define SCALAR(label, back)                                                                                            \
    {                                                                                                                  \
        .name = label, .args_size = sizeof(scalar_args), .saves = SONDE_SAVE_IN0, .elementwise = true,                 \
        .shape = scalar_shape, .forward = scalar_forward, .backward = back                                             \
    }
static const sonde_op scalar_rows[SONDE_BINARY_COUNT] = {
    [SONDE_ADD] = SCALAR("add", scalar_backward),         [SONDE_SUB] = SCALAR("sub", scalar_backward),
    [SONDE_MUL] = SCALAR("mul", scalar_backward),         [SONDE_DIV] = SCALAR("div", scalar_backward),
    [SONDE_POW] = SCALAR("pow", scalar_backward),         [SONDE_MAXIMUM] = SCALAR("maximum", scalar_backward),
    [SONDE_MINIMUM] = SCALAR("minimum", scalar_backward), [SONDE_LT] = SCALAR("lt", NULL),
    [SONDE_LE] = SCALAR("le", NULL),                      [SONDE_GT] = SCALAR("gt", NULL),
    [SONDE_GE] = SCALAR("ge", NULL),                      [SONDE_EQ] = SCALAR("eq", NULL),
    [SONDE_NE] = SCALAR("ne", NULL),
};

sonde_status sonde_scalar_op(sonde_tensor **out, sonde_binary op, sonde_tensor *a, double number, bool reversed)
{
    return sonde_apply(&scalar_rows[op], 1, &a, &(scalar_args){op, reversed, number}, out);
}

sonde_status sonde_scalar_op_(sonde_binary op, sonde_tensor *a, double number)
{
    return sonde_apply_inplace(&scalar_rows[op], 1, &a, &(scalar_args){op, false, number});
}
