#include "autograd/loss_rows.h"

/* ---- cross-entropy: -log softmax(logits)[label] --------------------------------------------------------------- */

typedef struct entropy_args {
    sonde_cross_entropy_args loop;
    sonde_loss_reduction reduction;
    bool soft;
    double divisor; /* forward notes it: the sum of the labels' weights, or the number of rows */
} entropy_args;

enum { LOGITS, TARGET, WEIGHT };
enum { KEPT_P, KEPT_TARGET, KEPT_WEIGHT };

static sonde_status entropy_shape(sonde_call *call)
{
    entropy_args *args = call->args;
    const sonde_tensor *x = call->in[LOGITS], *t = call->in[TARGET], *w = call->in[WEIGHT];
    char xs[SONDE_SHAPE_TEXT], ts[SONDE_SHAPE_TEXT];
    SONDE_TRY(need_float(call, LOGITS));
    if (x->ndim < 1)
        return sonde_fail(SONDE_ESHAPE, "cross_entropy: expected logits [N, C] or [N, C, ...], got a single number");
    if (sonde_loss_class_layout(x).n == 0)
        return sonde_fail(SONDE_ESHAPE, "cross_entropy: logits %s are of no class at all",
                          sonde_shape_text(xs, x->ndim, x->shape));
    if (!(args->loop.smoothing >= 0 && args->loop.smoothing <= 1))
        return sonde_fail(SONDE_EARG, "cross_entropy: label_smoothing must be between 0 and 1, got %g",
                          args->loop.smoothing);
    args->soft = sonde_dtype_is_float(t->dtype);
    if (args->soft) {
        if (!sonde_tensor_same_shape(x, t))
            return sonde_fail(SONDE_ESHAPE, "cross_entropy: logits %s with probabilities %s%s",
                              sonde_shape_text(xs, x->ndim, x->shape), sonde_shape_text(ts, t->ndim, t->shape),
                              t->ndim == x->ndim - 1 ? " (class labels must be int64)" : "");
        if (t->dtype != x->dtype)
            return sonde_fail(SONDE_EDTYPE, "cross_entropy: logits are %s, the target %s", sonde_dtype_name(x->dtype),
                              sonde_dtype_name(t->dtype));
        if (call->recording && t->requires_grad)
            return sonde_fail(SONDE_EARG, "cross_entropy: the target requires a gradient; give it detached");
    } else {
        SONDE_TRY(sonde_loss_check_labels("cross_entropy", x, t, args->loop.ignore_index));
    }
    SONDE_TRY(sonde_loss_check_weight("cross_entropy", x, w));
    sonde_loss_declare_rows(call, x, args->reduction);
    return SONDE_OK;
}

static sonde_status entropy_forward(sonde_call *call)
{
    entropy_args *args = call->args;
    sonde_tensor *x, *each, *p;
    const layout l = sonde_loss_class_layout(call->in[LOGITS]);
    const int64_t rows = l.outer * l.inner;
    const sonde_loops *loops = sonde_loops_of(call->in[LOGITS]->dtype);
    SONDE_TRY(sonde_tensor_like(&p, call->in[LOGITS]));
    call->extra[call->n_extra++] = p;
    SONDE_TRY(sonde_loss_keep(call, call->in[TARGET]));
    if (call->in[WEIGHT]) SONDE_TRY(sonde_loss_keep(call, call->in[WEIGHT]));
    if (args->soft) SONDE_TRY(sonde_loss_check_gaps(call, call->extra[KEPT_TARGET]));
    const void *target = sonde_tensor_data(call->extra[KEPT_TARGET]);
    const void *weight = call->in[WEIGHT] ? sonde_tensor_data(call->extra[KEPT_WEIGHT]) : NULL;
    SONDE_TRY(sonde_loss_elements(&each, call, args->reduction, 1, &rows));
    sonde_status status = sonde_tensor_contiguous(&x, call->in[LOGITS]);
    if (status == SONDE_OK) {
        args->divisor = (double)rows;
        if (args->soft)
            loops->cross_entropy_soft(sonde_tensor_data(each), sonde_tensor_data(p), sonde_tensor_data(x), target,
                                      weight, l.outer, l.n, l.inner, &args->loop);
        else
            args->divisor = loops->cross_entropy(sonde_tensor_data(each), sonde_tensor_data(p), sonde_tensor_data(x),
                                                 target, weight, l.outer, l.n, l.inner, &args->loop);
        sonde_loss_reduce(call, each, args->reduction, args->divisor);
        sonde_tensor_release(x);
    }
    sonde_tensor_release(each);
    return status;
}

/* dlogits (+)= dy (p - onehot) · weight / divisor */
static sonde_status entropy_backward(sonde_node *node)
{
    const entropy_args *args = sonde_node_args(node);
    sonde_tensor *dy = sonde_node_grad(node, 0), *p = sonde_node_extra(node, KEPT_P), *dx;
    const sonde_tensor *weights = sonde_node_extra(node, KEPT_WEIGHT);
    const void *target = sonde_tensor_data(sonde_node_extra(node, KEPT_TARGET));
    const void *weight = weights ? sonde_tensor_data(weights) : NULL;
    const layout l = sonde_loss_class_layout(p);
    const bool one = args->reduction != SONDE_LOSS_NONE;
    const double scale = args->reduction == SONDE_LOSS_MEAN ? 1 / args->divisor : 1;
    bool add;
    SONDE_TRY(sonde_node_target(node, LOGITS, &dx, &add));
    const sonde_loops *loops = sonde_loops_of(p->dtype);
    if (args->soft)
        loops->cross_entropy_soft_backward(sonde_tensor_data(dx), sonde_tensor_data(dy), one, scale,
                                           sonde_tensor_data(p), target, weight, l.outer, l.n, l.inner, &args->loop,
                                           add);
    else
        loops->cross_entropy_backward(sonde_tensor_data(dx), sonde_tensor_data(dy), one, scale, sonde_tensor_data(p),
                                      target, weight, l.outer, l.n, l.inner, &args->loop, add);
    return SONDE_OK;
}

static const sonde_op entropy_row = {.name = "cross_entropy",
                                     .args_size = sizeof(entropy_args),
                                     .shape = entropy_shape,
                                     .forward = entropy_forward,
                                     .backward = entropy_backward};

sonde_status sonde_cross_entropy(sonde_tensor **out, sonde_tensor *logits, sonde_tensor *target, sonde_tensor *weight,
                                 int64_t ignore_index, double label_smoothing, sonde_loss_reduction reduction)
{
    entropy_args args = {.loop = {.smoothing = label_smoothing, .ignore_index = ignore_index}, .reduction = reduction};
    return sonde_apply(&entropy_row, 3, (sonde_tensor *[]){logits, target, weight}, &args, out);
}

/* ---- losses of two tensors of one shape ------------------------------------------------------------------------ */

typedef struct pair_args {
    sonde_loss_reduction reduction;
} pair_args;

static sonde_status pair_shape(sonde_call *call)
{
    SONDE_TRY(sonde_loss_check_pair(call, "weight"));
    sonde_loss_declare_elements(call, ((const pair_args *)call->args)->reduction);
    return SONDE_OK;
}

/* Keeps input, target and weights, contiguous, and leaves the element losses to `fill`. labels: the target is some. */
static sonde_status pair_forward(sonde_call *call, bool labels,
                                 void (*fill)(const sonde_call *call, void *each, size_t n))
{
    const sonde_loss_reduction reduction = ((const pair_args *)call->args)->reduction;
    sonde_tensor *each;
    for (int i = 0; i < call->n_in; i++)
        if (call->in[i]) SONDE_TRY(sonde_loss_keep(call, call->in[i]));
    if (labels) SONDE_TRY(sonde_loss_check_gaps(call, call->extra[1]));
    const int64_t n = sonde_tensor_numel(call->in[0]);
    SONDE_TRY(sonde_loss_elements(&each, call, reduction, 1, &n));
    fill(call, sonde_tensor_data(each), (size_t)n);
    sonde_loss_reduce(call, each, reduction, (double)n);
    sonde_tensor_release(each);
    return SONDE_OK;
}

static double pair_scale(const sonde_node *node)
{
    const pair_args *args = sonde_node_args(node);
    return args->reduction == SONDE_LOSS_MEAN ? 1 / (double)sonde_tensor_numel(sonde_node_extra(node, 0)) : 1;
}

static bool pair_one(const sonde_node *node)
{
    return ((const pair_args *)sonde_node_args(node))->reduction != SONDE_LOSS_NONE;
}

static void mse_fill(const sonde_call *call, void *each, size_t n)
{
    sonde_loops_of(call->in[0]->dtype)
        ->mse(each, sonde_tensor_data(call->extra[0]), sonde_tensor_data(call->extra[1]), n);
}

static sonde_status mse_forward(sonde_call *call)
{
    return pair_forward(call, false, mse_fill);
}

/* dx (+)= dy 2(x - t) / n, dt (+)= dy 2(t - x) / n */
static sonde_status mse_backward(sonde_node *node)
{
    const sonde_tensor *dy = sonde_node_grad(node, 0);
    for (int side = 0; side < 2; side++) {
        sonde_tensor *target;
        bool add;
        if (!sonde_node_needs(node, side)) continue;
        SONDE_TRY(sonde_node_target(node, side, &target, &add));
        sonde_loops_of(dy->dtype)->mse_backward(sonde_tensor_data(target), sonde_tensor_data(dy), pair_one(node),
                                                pair_scale(node), sonde_tensor_data(sonde_node_extra(node, side)),
                                                sonde_tensor_data(sonde_node_extra(node, 1 - side)),
                                                (size_t)sonde_tensor_numel(target), add);
    }
    return SONDE_OK;
}

static const sonde_op mse_row = {.name = "mse_loss",
                                 .args_size = sizeof(pair_args),
                                 .shape = pair_shape,
                                 .forward = mse_forward,
                                 .backward = mse_backward};

sonde_status sonde_mse_loss(sonde_tensor **out, sonde_tensor *x, sonde_tensor *target, sonde_loss_reduction reduction)
{
    return sonde_apply(&mse_row, 2, (sonde_tensor *[]){x, target}, &(pair_args){reduction}, out);
}

/* Input 2 and 3 of the row: weight and pos_weight, already of x's shape; kept after x and target, in that order. */
typedef struct bce_weights {
    const void *weight, *pos_weight;
} bce_weights;

static bce_weights weights_of(sonde_tensor *const *extra, bool weight, bool pos_weight)
{
    return (bce_weights){weight ? sonde_tensor_data(extra[2]) : NULL,
                         pos_weight ? sonde_tensor_data(extra[weight ? 3 : 2]) : NULL};
}

static void bce_fill(const sonde_call *call, void *each, size_t n)
{
    bce_weights w = weights_of(call->extra, call->in[2], call->in[3]);
    sonde_loops_of(call->in[0]->dtype)
        ->bce(each, sonde_tensor_data(call->extra[0]), sonde_tensor_data(call->extra[1]), w.weight, w.pos_weight, n);
}

typedef struct bce_args {
    pair_args pair; /* first: the shared code reads it */
    bool weight, pos_weight;
} bce_args;

static sonde_status bce_forward(sonde_call *call)
{
    return pair_forward(call, true, bce_fill);
}

static sonde_status bce_backward(sonde_node *node)
{
    const bce_args *args = sonde_node_args(node);
    const sonde_tensor *dy = sonde_node_grad(node, 0);
    sonde_tensor *extra[4];
    for (int i = 0; i < 4; i++) extra[i] = sonde_node_extra(node, i);
    const bce_weights w = weights_of(extra, args->weight, args->pos_weight);
    for (int side = 0; side < 2; side++) {
        sonde_tensor *target;
        bool add;
        if (!sonde_node_needs(node, side)) continue;
        SONDE_TRY(sonde_node_target(node, side, &target, &add));
        sonde_loops_of(dy->dtype)->bce_backward(side, sonde_tensor_data(target), sonde_tensor_data(dy), pair_one(node),
                                                pair_scale(node), sonde_tensor_data(extra[0]),
                                                sonde_tensor_data(extra[1]), w.weight, w.pos_weight,
                                                (size_t)sonde_tensor_numel(target), add);
    }
    return SONDE_OK;
}

static const sonde_op bce_row = {.name = "binary_cross_entropy_with_logits",
                                 .args_size = sizeof(bce_args),
                                 .shape = pair_shape,
                                 .forward = bce_forward,
                                 .backward = bce_backward};

sonde_status sonde_bce_with_logits(sonde_tensor **out, sonde_tensor *x, sonde_tensor *target, sonde_tensor *weight,
                                   sonde_tensor *pos_weight, sonde_loss_reduction reduction)
{
    sonde_tensor *in[4] = {x, target, NULL, NULL};
    sonde_status status = SONDE_OK;
    if (weight) status = sonde_expand(&in[2], weight, x->ndim, x->shape);
    if (status == SONDE_OK && pos_weight) status = sonde_expand(&in[3], pos_weight, x->ndim, x->shape);
    if (status == SONDE_OK) status = sonde_apply(&bce_row, 4, in, &(bce_args){{reduction}, weight, pos_weight}, out);
    sonde_tensor_release(in[2]);
    sonde_tensor_release(in[3]);
    return status;
}
