/* Losses element by element, of a prediction, a target, and sometimes a third tensor: one row each, one code. */
#include "autograd/loss_rows.h"
#include "kernel/losses.h"

#include <math.h>

enum { X, TARGET, THIRD };

typedef struct pair_loss_args {
    sonde_pair_loss loss;
    sonde_loss_reduction reduction;
    bool batchmean;
    double divisor; /* of a mean; shape notes it */
} pair_loss_args;

static bool has_labels(sonde_pair_loss_kind kind)
{
    return kind == SONDE_HINGE_EMBEDDING || kind == SONDE_SOFT_MARGIN;
}

static sonde_status shape(sonde_call *call)
{
    pair_loss_args *args = call->args;
    const sonde_tensor *x = call->in[X], *t = call->in[TARGET], *third = call->in[THIRD];
    SONDE_TRY(sonde_loss_check_pair(call, args->loss.kind == SONDE_GAUSSIAN_NLL ? "variance" : "weight"));
    if (args->batchmean && x->ndim < 1)
        return sonde_fail(SONDE_ESHAPE, "%s: a single number has no batch to average over", call->op->name);
    if (call->recording && has_labels(args->loss.kind) && t->requires_grad)
        return sonde_fail(SONDE_EARG, "%s: the target requires a gradient; give it detached", call->op->name);
    if (call->recording && args->loss.kind == SONDE_BCE && third && third->requires_grad)
        return sonde_fail(SONDE_EARG, "%s: the weight requires a gradient; give it detached", call->op->name);
    args->divisor = (double)(args->batchmean ? x->shape[0] : sonde_tensor_numel(x));
    sonde_loss_declare_elements(call, args->reduction);
    return SONDE_OK;
}

/* Names element `at` (counted from 1, as the tensor is laid out) of the kept input i. */
static sonde_status refuse(const sonde_call *call, int i, int64_t at, const char *what, const char *wanted)
{
    const sonde_tensor *t = call->extra[i];
    const double value = t->dtype == SONDE_FLOAT32 ? (double)((const float *)sonde_tensor_data(t))[at]
                                                   : ((const double *)sonde_tensor_data(t))[at];
    return sonde_fail(SONDE_EARG, "%s: %s %lld is %g: it must be %s", call->op->name, what, (long long)at + 1, value,
                      wanted);
}

static sonde_status check_values(const sonde_call *call, size_t n)
{
    const pair_loss_args *args = call->args;
    const sonde_loss_loops *loops = sonde_loss_loops_of(call->in[X]->dtype);
    int64_t at = -1;
    switch (args->loss.kind) {
    case SONDE_BCE:
        at = loops->outside(sonde_tensor_data(call->extra[X]), n, 0, 1);
        if (at >= 0) return refuse(call, X, at, "input", "a probability between 0 and 1 (after a Sigmoid)");
        return sonde_loss_check_gaps(call, call->extra[TARGET]);
    case SONDE_SOFT_MARGIN: return sonde_loss_check_gaps(call, call->extra[TARGET]);
    case SONDE_HINGE_EMBEDDING:
        at = loops->no_sign(sonde_tensor_data(call->extra[TARGET]), n);
        return at < 0 ? SONDE_OK : refuse(call, TARGET, at, "target", "1 or -1");
    case SONDE_GAUSSIAN_NLL:
        at = loops->outside(sonde_tensor_data(call->extra[THIRD]), n, 0, HUGE_VAL);
        return at < 0 ? SONDE_OK : refuse(call, THIRD, at, "variance", "at least 0");
    default: return SONDE_OK;
    }
}

static sonde_status forward(sonde_call *call)
{
    const pair_loss_args *args = call->args;
    const int64_t n = sonde_tensor_numel(call->in[X]);
    for (int i = 0; i < call->n_in; i++)
        if (call->in[i]) SONDE_TRY(sonde_loss_keep(call, call->in[i]));
    SONDE_TRY(check_values(call, (size_t)n));
    sonde_tensor *each;
    SONDE_TRY(sonde_loss_elements(&each, call, args->reduction, 1, &n));
    sonde_loss_loops_of(each->dtype)
        ->pair(&args->loss, sonde_tensor_data(each), sonde_tensor_data(call->extra[X]),
               sonde_tensor_data(call->extra[TARGET]), call->in[THIRD] ? sonde_tensor_data(call->extra[THIRD]) : NULL,
               (size_t)n);
    sonde_loss_reduce(call, each, args->reduction, args->divisor);
    sonde_tensor_release(each);
    return SONDE_OK;
}

/* d(input) (+)= dy ∂loss/∂(input) / divisor */
static sonde_status backward(sonde_node *node)
{
    const pair_loss_args *args = sonde_node_args(node);
    const sonde_tensor *dy = sonde_node_grad(node, 0), *third = sonde_node_extra(node, THIRD);
    const double scale = args->reduction == SONDE_LOSS_MEAN ? 1 / args->divisor : 1;
    for (int side = X; side <= THIRD; side++) {
        sonde_tensor *target;
        bool add;
        if (!sonde_node_needs(node, side)) continue;
        SONDE_TRY(sonde_node_target(node, side, &target, &add));
        sonde_loss_loops_of(dy->dtype)
            ->pair_backward(&args->loss, side, sonde_tensor_data(target), sonde_tensor_data(dy),
                            args->reduction != SONDE_LOSS_NONE, scale, sonde_tensor_data(sonde_node_extra(node, X)),
                            sonde_tensor_data(sonde_node_extra(node, TARGET)),
                            third ? sonde_tensor_data(third) : NULL, (size_t)sonde_tensor_numel(target), add);
    }
    return SONDE_OK;
}

#define ROW(kind, text)                                                                                                \
    [kind] = {.name = text,                                                                                            \
              .args_size = sizeof(pair_loss_args),                                                                     \
              .shape = shape,                                                                                          \
              .forward = forward,                                                                                      \
              .backward = backward}

static const sonde_op rows[SONDE_PAIR_LOSS_COUNT] = {
    ROW(SONDE_L1, "l1_loss"),
    ROW(SONDE_SMOOTH_L1, "smooth_l1_loss"),
    ROW(SONDE_HUBER, "huber_loss"),
    ROW(SONDE_BCE, "binary_cross_entropy"),
    ROW(SONDE_KL_DIV, "kl_div"),
    ROW(SONDE_KL_DIV_LOG, "kl_div"),
    ROW(SONDE_HINGE_EMBEDDING, "hinge_embedding_loss"),
    ROW(SONDE_SOFT_MARGIN, "soft_margin_loss"),
    ROW(SONDE_GAUSSIAN_NLL, "gaussian_nll_loss"),
};

/* third: NULL, or broadcast to x here. */
static sonde_status apply(sonde_tensor **out, sonde_tensor *x, sonde_tensor *target, sonde_tensor *third,
                          pair_loss_args args)
{
    sonde_tensor *in[] = {x, target, NULL};
    if (third) SONDE_TRY(sonde_expand(&in[THIRD], third, x->ndim, x->shape));
    sonde_status status = sonde_apply(&rows[args.loss.kind], 3, in, &args, out);
    sonde_tensor_release(in[THIRD]);
    return status;
}

static sonde_status need_above(const char *name, const char *option, double value, double low, bool strictly)
{
    if (isfinite(value) && (strictly ? value > low : value >= low)) return SONDE_OK;
    return sonde_fail(SONDE_EARG, "%s: %s must be %s %g, got %g", name, option, strictly ? "above" : "at least", low,
                      value);
}

sonde_status sonde_l1_loss(sonde_tensor **out, sonde_tensor *x, sonde_tensor *target, sonde_loss_reduction reduction)
{
    return apply(out, x, target, NULL, (pair_loss_args){.loss = {.kind = SONDE_L1}, .reduction = reduction});
}

sonde_status sonde_smooth_l1_loss(sonde_tensor **out, sonde_tensor *x, sonde_tensor *target, double beta,
                                  sonde_loss_reduction reduction)
{
    SONDE_TRY(need_above("smooth_l1_loss", "beta", beta, 0, false));
    const pair_loss_args args = {.loss = {SONDE_SMOOTH_L1, beta, 0}, .reduction = reduction};
    return apply(out, x, target, NULL, args);
}

sonde_status sonde_huber_loss(sonde_tensor **out, sonde_tensor *x, sonde_tensor *target, double delta,
                              sonde_loss_reduction reduction)
{
    SONDE_TRY(need_above("huber_loss", "delta", delta, 0, true));
    return apply(out, x, target, NULL, (pair_loss_args){.loss = {SONDE_HUBER, delta, 0}, .reduction = reduction});
}

sonde_status sonde_bce_loss(sonde_tensor **out, sonde_tensor *x, sonde_tensor *target, sonde_tensor *weight,
                            sonde_loss_reduction reduction)
{
    return apply(out, x, target, weight, (pair_loss_args){.loss = {.kind = SONDE_BCE}, .reduction = reduction});
}

sonde_status sonde_kl_div(sonde_tensor **out, sonde_tensor *x, sonde_tensor *target, bool log_target, bool batchmean,
                          sonde_loss_reduction reduction)
{
    const sonde_pair_loss_kind kind = log_target ? SONDE_KL_DIV_LOG : SONDE_KL_DIV;
    return apply(out, x, target, NULL,
                 (pair_loss_args){.loss = {.kind = kind}, .reduction = reduction, .batchmean = batchmean});
}

sonde_status sonde_hinge_embedding_loss(sonde_tensor **out, sonde_tensor *x, sonde_tensor *target, double margin,
                                        sonde_loss_reduction reduction)
{
    SONDE_TRY(need_above("hinge_embedding_loss", "margin", margin, 0, false));
    const pair_loss_args args = {.loss = {SONDE_HINGE_EMBEDDING, margin, 0}, .reduction = reduction};
    return apply(out, x, target, NULL, args);
}

sonde_status sonde_soft_margin_loss(sonde_tensor **out, sonde_tensor *x, sonde_tensor *target,
                                    sonde_loss_reduction reduction)
{
    return apply(out, x, target, NULL, (pair_loss_args){.loss = {.kind = SONDE_SOFT_MARGIN}, .reduction = reduction});
}

/* A variance without the last axis gets one of size 1. */
static bool lacks_axis(const sonde_tensor *x, const sonde_tensor *variance)
{
    bool lacks = x->ndim > 0 && variance->ndim == x->ndim - 1;
    for (int d = 0; lacks && d < variance->ndim; d++) lacks = variance->shape[d] == x->shape[d];
    return lacks;
}

sonde_status sonde_gaussian_nll_loss(sonde_tensor **out, sonde_tensor *x, sonde_tensor *target,
                                     sonde_tensor *variance, bool full, double eps, sonde_loss_reduction reduction)
{
    static const double constant = 0.91893853320467274178; /* log(2π)/2 */
    sonde_tensor *wide = NULL;
    SONDE_TRY(need_above("gaussian_nll_loss", "eps", eps, 0, true));
    if (lacks_axis(x, variance)) SONDE_TRY(sonde_unsqueeze(&wide, variance, -1));
    const pair_loss_args args = {.loss = {SONDE_GAUSSIAN_NLL, eps, full ? constant : 0}, .reduction = reduction};
    sonde_status status = apply(out, x, target, wide ? wide : variance, args);
    sonde_tensor_release(wide);
    return status;
}
