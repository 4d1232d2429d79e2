#include "autograd/rows.h"

/* y = x Wᵀ + b. x·Wᵀ with W as it is stored is a slow form for small products: there a transposed copy of W, made once
 * per version of the weight, pays for itself. For larger ones BLAS makes copies of its own: at 256 x 256 ours would be a
 * tenth of the step. */
enum { TRANSPOSE_UP_TO = 128 * 128, TRANSPOSE_ROWS = 16 };

typedef struct sizes {
    int64_t rows, in, out;
} sizes;

static sizes sizes_of(const sonde_tensor *x, const sonde_tensor *weight)
{
    const int64_t in = weight->shape[1];
    int64_t rows = 1;
    for (int d = 0; d < x->ndim - 1; d++) rows *= x->shape[d];
    return (sizes){rows, in, weight->shape[0]};
}

static sonde_status linear_shape(sonde_call *call)
{
    const sonde_tensor *x = call->in[0], *weight = call->in[1], *bias = call->in[2];
    char text_x[SONDE_SHAPE_TEXT], text_w[SONDE_SHAPE_TEXT];
    if (weight->ndim != 2)
        return sonde_fail(SONDE_ESHAPE, "linear: the weight must be [out, in], got %s",
                          sonde_shape_text(text_w, weight->ndim, weight->shape));
    if (x->ndim < 1 || x->shape[x->ndim - 1] != weight->shape[1])
        return sonde_fail(SONDE_ESHAPE, "expected %lld input features, got input %s for weight %s",
                          (long long)weight->shape[1], sonde_shape_text(text_x, x->ndim, x->shape),
                          sonde_shape_text(text_w, 2, weight->shape));
    if (bias && (bias->ndim != 1 || bias->shape[0] != weight->shape[0]))
        return sonde_fail(SONDE_ESHAPE, "linear: expected a bias of shape [%lld], got %s", (long long)weight->shape[0],
                          sonde_shape_text(text_x, bias->ndim, bias->shape));
    SONDE_TRY(need_float(call, 0));
    if (x->dtype != weight->dtype || (bias && bias->dtype != weight->dtype))
        return sonde_fail(SONDE_EDTYPE, "linear: the input is %s, the weight %s%s%s: convert one of them",
                          sonde_dtype_name(x->dtype), sonde_dtype_name(weight->dtype), bias ? ", the bias " : "",
                          bias ? sonde_dtype_name(bias->dtype) : "");
    out_like(call, 0, x->dtype, x);
    call->out_shape[0][x->ndim - 1] = weight->shape[0];
    if (!x->requires_grad) call->saves &= ~(uint32_t)SONDE_SAVE_IN1;
    if (!weight->requires_grad) call->saves &= ~(uint32_t)SONDE_SAVE_IN0;
    return SONDE_OK;
}

static sonde_status multiply(sonde_tensor *y, const sonde_tensor *x, const sonde_tensor *weight, bool add)
{
    const sizes s = sizes_of(x, weight);
    if (s.rows >= TRANSPOSE_ROWS && s.in * s.out <= TRANSPOSE_UP_TO) {
        const void *transposed = sonde_tensor_transposed(weight);
        if (!transposed) return SONDE_ENOMEM;
        sonde_matmul_kernel(y->dtype, sonde_tensor_data(y), sonde_tensor_data(x), transposed, s.rows, s.out, s.in, s.in,
                            s.out, s.out, false, false, add);
    } else {
        sonde_matmul_kernel(y->dtype, sonde_tensor_data(y), sonde_tensor_data(x), sonde_tensor_data(weight), s.rows,
                            s.out, s.in, s.in, s.in, s.out, false, true, add);
    }
    return SONDE_OK;
}

static void fill_rows(sonde_tensor *y, const sonde_tensor *bias, int64_t rows)
{
    const int64_t n = bias->shape[0];
    const sonde_loop loop = {.ndim = 2, .n_operands = 2, .size = {rows, n}, .stride = {{n, 1}, {0, bias->stride[0]}}};
    sonde_copy_kernel(y->dtype, sonde_tensor_data(y), bias->dtype, sonde_tensor_data(bias), &loop);
}

static sonde_status linear_forward(sonde_call *call)
{
    sonde_tensor *y = call->out[0], *x, *weight, *bias = call->in[2];
    SONDE_TRY(sonde_tensor_contiguous(&x, call->in[0]));
    sonde_status status = sonde_tensor_contiguous(&weight, call->in[1]);
    if (status == SONDE_OK) {
        if (bias) fill_rows(y, bias, sizes_of(x, weight).rows);
        status = multiply(y, x, weight, bias != NULL);
        sonde_tensor_release(weight);
    }
    sonde_tensor_release(x);
    return status;
}

/* dX (+)= dY W */
static sonde_status give_input(sonde_node *node, sonde_tensor *dy, sizes s)
{
    sonde_tensor *weight, *target;
    bool add;
    SONDE_TRY(sonde_tensor_contiguous(&weight, sonde_node_in(node, 1)));
    sonde_status status = sonde_node_target(node, 0, &target, &add);
    if (status == SONDE_OK)
        sonde_matmul_kernel(dy->dtype, sonde_tensor_data(target), sonde_tensor_data(dy), sonde_tensor_data(weight),
                            s.rows, s.in, s.out, s.out, s.in, s.in, false, false, add);
    sonde_tensor_release(weight);
    return status;
}

/* dW (+)= dYᵀ X */
static sonde_status give_weight(sonde_node *node, sonde_tensor *dy, sizes s)
{
    sonde_tensor *x, *target;
    bool add;
    SONDE_TRY(sonde_tensor_contiguous(&x, sonde_node_in(node, 0)));
    sonde_status status = sonde_node_target(node, 1, &target, &add);
    if (status == SONDE_OK)
        sonde_matmul_kernel(dy->dtype, sonde_tensor_data(target), sonde_tensor_data(dy), sonde_tensor_data(x), s.out,
                            s.in, s.rows, s.out, s.in, s.in, true, false, add);
    sonde_tensor_release(x);
    return status;
}

/* db (+)= Σ_rows dY */
static sonde_status give_bias(sonde_node *node, sonde_tensor *dy, sizes s)
{
    sonde_tensor *target, *sum;
    bool add;
    SONDE_TRY(sonde_node_target(node, 2, &target, &add));
    if (!add) {
        sonde_loops_of(dy->dtype)->reduce(SONDE_SUM, sonde_tensor_data(target), sonde_tensor_data(dy), 1, s.rows, s.out,
                                          0);
        return SONDE_OK;
    }
    SONDE_TRY(sonde_tensor_like(&sum, target));
    sonde_loops_of(dy->dtype)->reduce(SONDE_SUM, sonde_tensor_data(sum), sonde_tensor_data(dy), 1, s.rows, s.out, 0);
    const sonde_loop loop = loop_over(2, (const sonde_tensor *const[]){target, sum});
    sonde_loops_of(dy->dtype)->accumulate(sonde_tensor_data(target), sonde_tensor_data(sum), 1, &loop, true);
    sonde_tensor_release(sum);
    return SONDE_OK;
}

static sonde_status linear_backward(sonde_node *node)
{
    sonde_tensor *dy = sonde_node_grad(node, 0);
    int ndim;
    sizes s = {.rows = 1, .out = dy->shape[dy->ndim - 1]};
    for (int d = 0; d < dy->ndim - 1; d++) s.rows *= dy->shape[d];
    if (sonde_node_needs(node, 1)) s.in = sonde_node_in_shape(node, 1, &ndim)[1];
    else if (sonde_node_needs(node, 0)) s.in = sonde_node_in(node, 1)->shape[1];
    if (sonde_node_needs(node, 1)) SONDE_TRY(give_weight(node, dy, s));
    if (node->in[2] && sonde_node_needs(node, 2)) SONDE_TRY(give_bias(node, dy, s));
    return sonde_node_needs(node, 0) ? give_input(node, dy, s) : SONDE_OK;
}

static const sonde_op linear_row = {.name = "linear", .saves = SONDE_SAVE_IN0 | SONDE_SAVE_IN1, .shape = linear_shape,
                                    .forward = linear_forward, .backward = linear_backward};

sonde_status sonde_linear(sonde_tensor **out, sonde_tensor *x, sonde_tensor *weight, sonde_tensor *bias)
{
    return sonde_apply(&linear_row, 3, (sonde_tensor *[]){x, weight, bias}, NULL, out);
}
