/* Every operator against central differences in float64, broadcast, strided and shared inputs among them; then the
 * conventions where a derivative is a matter of choice, and the refusals. */
#include "autograd_lab.h"

/* ---- gradcheck ------------------------------------------------------------------------------------------- */

typedef sonde_status (*body)(sonde_tensor *const *in, sonde_tensor **out);

static sonde_status run_body(void *context, int n_in, sonde_tensor *const *in, int *n_out, sonde_tensor **out)
{
    SONDE_TRY((*(const body *)context)(in, &out[0]));
    *n_out = 1;
    return SONDE_OK;
}

/* Takes the tensors. */
static void gradcheck(const char *name, body fn, int n, sonde_tensor **in)
{
    sonde_status status = sonde_gradcheck(run_body, &fn, n, in, 1e-6, 1e-5, 1e-3);
    if (!CHECK(status == SONDE_OK)) printf("       %s: %s\n", name, sonde_message());
    lab_release(n, in);
}
#define F(...) lab_tensor(SONDE_FLOAT64, SHAPE(__VA_ARGS__), true)
#define COUNT(...) (int)(sizeof((sonde_tensor *[]){__VA_ARGS__}) / sizeof(sonde_tensor *))
#define GRADCHECK(fn, ...) gradcheck(#fn, fn, COUNT(__VA_ARGS__), (sonde_tensor *[]){__VA_ARGS__})

static sonde_binary binary_under_test;
static bool scalar_reversed;
static sonde_unary unary_under_test;
static sonde_activation activation_under_test;

static sonde_status a_binary(sonde_tensor *const *in, sonde_tensor **out)
{
    return sonde_binary_op(out, binary_under_test, in[0], in[1]);
}

static sonde_status a_positive_binary(sonde_tensor *const *in, sonde_tensor **out)
{
    sonde_tensor *x;
    SONDE_TRY(sonde_unary_op(&x, SONDE_EXP, in[0]));
    sonde_status status = sonde_binary_op(out, binary_under_test, x, in[1]);
    RELEASE(x);
    return status;
}

static sonde_status a_scalar(sonde_tensor *const *in, sonde_tensor **out)
{
    sonde_tensor *x;
    SONDE_TRY(sonde_unary_op(&x, SONDE_EXP, in[0]));
    sonde_status status = sonde_scalar_op(out, binary_under_test, x, 1.7, scalar_reversed);
    RELEASE(x);
    return status;
}

static sonde_status a_unary(sonde_tensor *const *in, sonde_tensor **out)
{
    sonde_tensor *x;
    SONDE_TRY(sonde_unary_op(&x, SONDE_EXP, in[0])); /* positive, for the roots and logarithms */
    sonde_status status = sonde_unary_op(out, unary_under_test, x);
    RELEASE(x);
    return status;
}

static sonde_status an_activation(sonde_tensor *const *in, sonde_tensor **out)
{
    return sonde_activate(out, &activation_under_test, in[0]);
}

static sonde_status a_clamp(sonde_tensor *const *in, sonde_tensor **out) { return sonde_clamp(out, in[0], -0.5, 1); }

static void test_elementwise(void)
{
    for (int op = SONDE_ADD; op <= SONDE_MINIMUM; op++) {
        binary_under_test = (sonde_binary)op;
        body fn = op == SONDE_POW ? a_positive_binary : a_binary;
        GRADCHECK(fn, F(2, 3), F(2, 3));
        GRADCHECK(fn, F(3, 1, 2), F(2, 1));
        GRADCHECK(fn, F(2), F(3, 2));
        GRADCHECK(fn, lab_number(1.3, true), F(2, 2));
        for (int reversed = 0; reversed < 2; reversed++) {
            scalar_reversed = reversed;
            GRADCHECK(a_scalar, F(5));
        }
    }
    for (int op = 0; op < SONDE_UNARY_COUNT; op++) {
        unary_under_test = (sonde_unary)op;
        GRADCHECK(a_unary, F(2, 4));
    }
    for (int kind = 0; kind < SONDE_ACTIVATION_COUNT; kind++) {
        activation_under_test = (sonde_activation){(sonde_activation_kind)kind, 0.3, 1.5};
        if (kind == SONDE_HARDTANH) activation_under_test.a = -0.9;
        if (kind == SONDE_SOFTPLUS) activation_under_test = (sonde_activation){SONDE_SOFTPLUS, 1.3, 20};
        GRADCHECK(an_activation, F(9));
    }
    GRADCHECK(a_clamp, F(9));
}

static sonde_status a_matmul(sonde_tensor *const *in, sonde_tensor **out) { return sonde_matmul(out, in[0], in[1]); }
static sonde_status a_linear(sonde_tensor *const *in, sonde_tensor **out)
{
    return sonde_linear(out, in[0], in[1], in[2]);
}
static sonde_status a_bare_linear(sonde_tensor *const *in, sonde_tensor **out)
{
    return sonde_linear(out, in[0], in[1], NULL);
}

static sonde_status a_turned_matmul(sonde_tensor *const *in, sonde_tensor **out)
{
    sonde_tensor *a, *b;
    SONDE_TRY(sonde_transpose(&a, in[0], 0, 1));
    SONDE_TRY(sonde_transpose(&b, in[1], 0, 1));
    sonde_status status = sonde_matmul(out, a, b);
    RELEASE(a, b);
    return status;
}

static sonde_status an_einsum(sonde_tensor *const *in, sonde_tensor **out)
{
    return sonde_einsum(out, "bij,jk,bk->ib", 3, in);
}

static void test_products(void)
{
    GRADCHECK(a_matmul, F(2, 3), F(3, 4));
    GRADCHECK(a_matmul, F(3), F(3));
    GRADCHECK(a_matmul, F(2, 3), F(3));
    GRADCHECK(a_matmul, F(3), F(3, 2));
    GRADCHECK(a_matmul, F(2, 2, 3), F(3, 2));
    GRADCHECK(a_matmul, F(2, 1, 2, 3), F(2, 3, 2));
    GRADCHECK(a_turned_matmul, F(3, 2), F(4, 3));
    GRADCHECK(a_linear, F(4, 3), F(2, 3), F(2));
    GRADCHECK(a_linear, F(20, 3), F(2, 3), F(2));
    GRADCHECK(a_linear, F(2, 2, 3), F(2, 3), F(2));
    GRADCHECK(a_bare_linear, F(3), F(2, 3));
    GRADCHECK(an_einsum, F(2, 3, 2), F(2, 4), F(2, 4));
}

static struct {
    sonde_reduction op;
    int n, axes[2];
    bool keepdim;
    double order;
} reduction;

static sonde_status a_reduction(sonde_tensor *const *in, sonde_tensor **out)
{
    return sonde_reduce(out, reduction.op, in[0], reduction.n, reduction.axes, reduction.keepdim, reduction.order);
}

static int axis_under_test;
static sonde_status a_softmax(sonde_tensor *const *in, sonde_tensor **out)
{
    return sonde_softmax(out, in[0], axis_under_test);
}
static sonde_status a_log_softmax(sonde_tensor *const *in, sonde_tensor **out)
{
    return sonde_log_softmax(out, in[0], axis_under_test);
}
static sonde_status a_cumsum(sonde_tensor *const *in, sonde_tensor **out)
{
    return sonde_cumsum(out, in[0], axis_under_test);
}
static sonde_status a_maximum(sonde_tensor *const *in, sonde_tensor **out)
{
    return sonde_extremum(out, NULL, in[0], true, axis_under_test < 0 ? NULL : &axis_under_test, false);
}

static void test_reductions(void)
{
    static const int axes[][3] = {{0}, {1, 0}, {1, 1}, {1, -1}, {2, 0, 1}, {2, 0, 2}};
    for (int op = SONDE_SUM; op < SONDE_REDUCTION_COUNT; op++)
        for (size_t i = 0; i < sizeof axes / sizeof *axes; i++) {
            reduction.op = (sonde_reduction)op;
            reduction.n = axes[i][0];
            memcpy(reduction.axes, &axes[i][1], sizeof reduction.axes);
            reduction.keepdim = i % 2;
            reduction.order = op == SONDE_NORM ? (double[]){2, 1, 3, (double)INFINITY, 2, 2}[i] : 1;
            GRADCHECK(a_reduction, F(2, 3, 2));
        }
    for (axis_under_test = 0; axis_under_test < 3; axis_under_test++) {
        GRADCHECK(a_softmax, F(2, 3, 2));
        GRADCHECK(a_log_softmax, F(2, 3, 2));
        GRADCHECK(a_cumsum, F(2, 3, 2));
        GRADCHECK(a_maximum, F(2, 3, 2));
    }
    axis_under_test = -1;
    GRADCHECK(a_maximum, F(2, 3));
}

/* A path through every view and copy: transpose, narrow with step, select, unsqueeze, expand, reshape, tile, cat,
 * stack. */
static sonde_status a_tour(sonde_tensor *const *in, sonde_tensor **out)
{
    sonde_tensor *a, *b, *c, *d, *e, *f, *g, *h;
    SONDE_TRY(sonde_permute(&a, in[0], (const int[]){2, 0, 1}));     /* [4, 2, 3] */
    SONDE_TRY(sonde_narrow(&b, a, 0, 1, 2, 2));                      /* [2, 2, 3] */
    SONDE_TRY(sonde_select(&c, b, 1, 1));                            /* [2, 3] */
    SONDE_TRY(sonde_unsqueeze(&d, c, 1));                            /* [2, 1, 3] */
    SONDE_TRY(sonde_expand(&e, d, SHAPE(2, 2, 3)));
    SONDE_TRY(sonde_reshape(&f, e, SHAPE(4, -1)));                   /* [4, 3] */
    SONDE_TRY(sonde_tile(&g, f, 2, (const int64_t[]){1, 2}));        /* [4, 6] */
    SONDE_TRY(sonde_cat(&h, 2, (sonde_tensor *[]){g, f}, 1));        /* [4, 9] */
    sonde_status status = sonde_stack(out, 2, (sonde_tensor *[]){h, h}, 0);
    RELEASE(a, b, c, d, e, f, g, h);
    return status;
}

static sonde_tensor *indices;
static sonde_status an_index_select(sonde_tensor *const *in, sonde_tensor **out)
{
    return sonde_index_select(out, in[0], 1, indices);
}
static sonde_status a_gather(sonde_tensor *const *in, sonde_tensor **out)
{
    return sonde_gather(out, in[0], 1, indices);
}
static sonde_status a_where(sonde_tensor *const *in, sonde_tensor **out)
{
    return sonde_where(out, indices, in[0], in[1]);
}

static sonde_status an_assignment(sonde_tensor *const *in, sonde_tensor **out)
{
    sonde_tensor *part;
    SONDE_TRY(sonde_unary_op(out, SONDE_SQUARE, in[0]));
    SONDE_TRY(sonde_narrow(&part, *out, 1, 1, 2, 1));
    SONDE_TRY(sonde_binary_op_(SONDE_MUL, part, part));
    sonde_status status = sonde_binary_op_(SONDE_MUL, part, in[1]);
    RELEASE(part);
    return status;
}

static void test_shapes_and_indices(void)
{
    GRADCHECK(a_tour, F(2, 3, 4));
    OK(sonde_tensor_from(&indices, SONDE_INT64, SHAPE(4), (int64_t[]){3, 1, 3, 3}));
    GRADCHECK(an_index_select, F(2, 3, 2));
    RELEASE(indices);
    OK(sonde_tensor_from(&indices, SONDE_INT64, SHAPE(2, 4), (int64_t[]){3, 1, 3, 3, 2, 2, 2, 1}));
    GRADCHECK(a_gather, F(2, 3));
    RELEASE(indices);
    OK(sonde_tensor_from(&indices, SONDE_INT64, SHAPE(3, 1), (int64_t[]){1, 0, 5}));
    GRADCHECK(a_where, F(2, 3, 2), F(2));
    RELEASE(indices);
    GRADCHECK(an_assignment, F(2, 3), F(2));
}

/* ---- layers and losses ----------------------------------------------------------------------------------- */

static bool training;
static sonde_loss_reduction loss_reduction;
static double smoothing;
static sonde_tensor *target, *weights;

static sonde_status a_batch_norm(sonde_tensor *const *in, sonde_tensor **out)
{
    sonde_tensor *mean, *variance;
    SONDE_TRY(sonde_tensor_full(&mean, SONDE_FLOAT64, 1, &in[0]->shape[1], 0.2));
    SONDE_TRY(sonde_tensor_full(&variance, SONDE_FLOAT64, 1, &in[0]->shape[1], 1.5));
    sonde_status status = sonde_batch_norm(out, in[0], in[1], in[2], mean, variance, training, 0.1, 1e-5);
    RELEASE(mean, variance);
    return status;
}

static sonde_status a_dropout(sonde_tensor *const *in, sonde_tensor **out)
{
    sonde_stream stream;
    sonde_stream_init(&stream, 5, "dropout");
    return sonde_dropout(out, in[0], 0.4, &stream);
}

static sonde_status a_cross_entropy(sonde_tensor *const *in, sonde_tensor **out)
{
    return sonde_cross_entropy(out, in[0], target, weights, 2, smoothing, loss_reduction);
}
static sonde_status an_mse(sonde_tensor *const *in, sonde_tensor **out)
{
    return sonde_mse_loss(out, in[0], in[1], loss_reduction);
}
static sonde_status a_bce(sonde_tensor *const *in, sonde_tensor **out)
{
    return sonde_bce_with_logits(out, in[0], in[1], weights, weights, loss_reduction);
}

static void test_layers_and_losses(void)
{
    for (int t = 0; t < 2; t++) {
        training = t;
        GRADCHECK(a_batch_norm, F(4, 3), F(3), F(3));
        GRADCHECK(a_batch_norm, F(2, 3, 4), F(3), F(3));
    }
    GRADCHECK(a_dropout, F(4, 5));
    OK(sonde_tensor_from(&weights, SONDE_FLOAT64, SHAPE(3), (double[]){0.5, 2, 1.5}));
    for (int r = 0; r < 3; r++) {
        loss_reduction = (sonde_loss_reduction)r;
        smoothing = 0.1 * r;
        OK(sonde_tensor_from(&target, SONDE_INT64, SHAPE(4), (int64_t[]){1, 3, 2, 3}));
        GRADCHECK(a_cross_entropy, F(4, 3));
        RELEASE(target);
        OK(sonde_tensor_from(&target, SONDE_INT64, SHAPE(2, 2), (int64_t[]){1, 3, 2, 3}));
        GRADCHECK(a_cross_entropy, F(2, 3, 2));
        RELEASE(target);
        OK(sonde_tensor_from(&target, SONDE_FLOAT64, SHAPE(2, 3), (double[]){0.2, 0.3, 0.5, 0.7, 0.2, 0.1}));
        GRADCHECK(a_cross_entropy, F(2, 3));
        RELEASE(target);
        GRADCHECK(an_mse, F(2, 3), F(2, 3));
        GRADCHECK(a_bce, F(2, 3), F(2, 3));
    }
    RELEASE(weights);
}

/* gradcheck itself must see a wrong gradient. */
static sonde_status twice_backward(sonde_node *node)
{
    sonde_tensor *wrong;
    SONDE_TRY(sonde_scalar_op(&wrong, SONDE_MUL, sonde_node_grad(node, 0), 3, false));
    sonde_status status = sonde_node_give(node, 0, wrong);
    RELEASE(wrong);
    return status;
}
static sonde_status twice_shape(sonde_call *call)
{
    call->out_dtype[0] = call->in[0]->dtype;
    call->out_ndim[0] = call->in[0]->ndim;
    memcpy(call->out_shape[0], call->in[0]->shape, sizeof call->out_shape[0]);
    return SONDE_OK;
}
static sonde_status twice_forward(sonde_call *call)
{
    SONDE_TRY(sonde_tensor_copy_(call->out[0], call->in[0]));
    return sonde_scalar_op_(SONDE_MUL, call->out[0], 2);
}
static const sonde_op wrong_row = {
    .name = "twice", .shape = twice_shape, .forward = twice_forward, .backward = twice_backward};
static sonde_status a_wrong_row(sonde_tensor *const *in, sonde_tensor **out)
{
    return sonde_apply(&wrong_row, 1, in, NULL, out);
}

static void test_gradcheck_fails(void)
{
    body fn = a_wrong_row;
    sonde_tensor *x = F(3), *single = lab_tensor(SONDE_FLOAT32, SHAPE(2), true);
    CHECK(sonde_gradcheck(run_body, &fn, 1, &x, 1e-6, 1e-5, 1e-3) == SONDE_EARG);
    CHECK(strstr(sonde_message(), "input 1") && strstr(sonde_message(), "[1]"));
    CHECK(sonde_gradcheck(run_body, &fn, 1, &single, 1e-6, 1e-5, 1e-3) == SONDE_EDTYPE);
    RELEASE(x, single);
}

/* ---- refusals -------------------------------------------------------------------------------------------- */

#define REFUSED(call, status, ...)                                                                                  \
    do {                                                                                                            \
        const char *parts_[] = {__VA_ARGS__};                                                                       \
        CHECK((call) == (status));                                                                                  \
        for (size_t i_ = 0; i_ < sizeof parts_ / sizeof *parts_; i_++)                                              \
            if (!CHECK(strstr(sonde_message(), parts_[i_]) != NULL)) printf("       %s\n", sonde_message());        \
    } while (0)

static void test_refusals(void)
{
    sonde_tensor *x = F(4, 3), *w = F(5, 4), *n = lab_tensor(SONDE_INT64, SHAPE(4), false), *none = F(0, 3), *out;
    sonde_tensor *zero, *five, *single = lab_tensor(SONDE_FLOAT32, SHAPE(3, 3), false);
    REFUSED(sonde_linear(&out, x, w, NULL), SONDE_ESHAPE, "expected 4 input features", "[4, 3]", "[5, 4]");
    REFUSED(sonde_linear(&out, x, single, NULL), SONDE_EDTYPE, "float64", "float32");
    REFUSED(sonde_matmul(&out, x, w), SONDE_ESHAPE, "[4, 3]", "[5, 4]");
    REFUSED(sonde_binary_op(&out, SONDE_ADD, x, w), SONDE_ESHAPE, "[4, 3]", "[5, 4]");
    REFUSED(sonde_softmax(&out, n, 0), SONDE_EDTYPE, "softmax", "int64");
    REFUSED(sonde_extremum(&out, NULL, none, true, NULL, false), SONDE_ESHAPE, "no elements");
    REFUSED(sonde_reduce(&out, SONDE_SUM, x, 2, (const int[]){0, -2}, false, 0), SONDE_EARG, "twice");
    REFUSED(sonde_view(&out, x, SHAPE(5, 2)), SONDE_ESHAPE, "[4, 3]", "[5, 2]");
    REFUSED(sonde_reshape(&out, x, SHAPE(-1, -1)), SONDE_EARG, "-1");
    REFUSED(sonde_narrow(&out, x, 0, 2, 3, 1), SONDE_EARG, "axis 1", "size 4");
    REFUSED(sonde_select(&out, x, 1, 3), SONDE_EARG, "axis 2");
    REFUSED(sonde_cat(&out, 2, (sonde_tensor *[]){x, w}, 0), SONDE_ESHAPE, "[4, 3]", "[5, 4]");
    REFUSED(sonde_einsum(&out, "ii->i", 1, &x), SONDE_EARG, "twice");
    REFUSED(sonde_einsum(&out, "ij,jk", 1, &x), SONDE_EARG, "2 operands");
    REFUSED(sonde_einsum(&out, "ij->ik", 1, &x), SONDE_EARG, "'k'");
    OK(sonde_tensor_from(&zero, SONDE_INT64, SHAPE(4), (int64_t[]){1, 2, 0, 1}));
    OK(sonde_tensor_from(&five, SONDE_INT64, SHAPE(4), (int64_t[]){1, 2, 3, 5}));
    REFUSED(sonde_cross_entropy(&out, x, zero, NULL, 0, 0, SONDE_LOSS_MEAN), SONDE_EARG, "label 0", "position 3",
            "1 to 3", "labels_from");
    REFUSED(sonde_cross_entropy(&out, x, five, NULL, 0, 0, SONDE_LOSS_MEAN), SONDE_EARG, "label 5", "position 4",
            "1 to 3");
    REFUSED(sonde_cross_entropy(&out, x, w, NULL, 0, 0, SONDE_LOSS_MEAN), SONDE_ESHAPE, "[4, 3]", "[5, 4]");
    REFUSED(sonde_mse_loss(&out, x, w, SONDE_LOSS_MEAN), SONDE_ESHAPE, "[4, 3]", "[5, 4]");
    REFUSED(sonde_index_select(&out, x, 0, five), SONDE_EARG, "5", "axis 1", "1 to 4");
    REFUSED(sonde_gather(&out, x, 0, n), SONDE_ESHAPE, "[4]", "[4, 3]");
    REFUSED(sonde_where(&out, x, x, x), SONDE_EDTYPE, "int64");
    sonde_tensor *row;
    OK(sonde_narrow(&row, x, 0, 0, 1, 1));
    REFUSED(sonde_batch_norm(&out, row, NULL, NULL, NULL, NULL, true, 0.1, 1e-5), SONDE_EARG, "more than one value",
            "[1, 3]");
    RELEASE(x, w, n, none, zero, five, single, row);
}

/* Sizes of 0 and tensors of no axes go through everything that makes sense for them. */
static void test_empty_and_single(void)
{
    sonde_tensor *none = F(0, 3), *w = F(2, 3), *y, *one = lab_number(2, true), *z;
    OK(sonde_linear(&y, none, w, NULL));
    CHECK(y->shape[0] == 0 && y->shape[1] == 2);
    OK(lab_sum_backward(y, false));
    CHECK(lab_grad(w, 0) == 0 && sonde_tensor_numel(sonde_grad(none)) == 0);
    OK(sonde_reduce(&y, SONDE_MEAN, none, 0, NULL, false, 0));
    CHECK(isnan(lab_at(y, 0)));
    RELEASE(y);
    OK(sonde_reduce(&y, SONDE_SUM, one, 0, NULL, false, 0));
    OK(sonde_softmax(&z, y, 0));
    CHECK(lab_at(z, 0) == 1);
    OK(sonde_backward(z, NULL, false));
    CHECK(lab_grad(one, 0) == 0);
    RELEASE(none, w, one, y, z);
}

int main(void)
{
    CHECK_RUN(test_elementwise);
    CHECK_RUN(test_products);
    CHECK_RUN(test_reductions);
    CHECK_RUN(test_shapes_and_indices);
    CHECK_RUN(test_layers_and_losses);
    CHECK_RUN(test_gradcheck_fails);
    CHECK_RUN(test_refusals);
    CHECK_RUN(test_empty_and_single);
    LAB_END();
}
