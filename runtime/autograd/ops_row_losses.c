/* Losses with one number per row: negative log-likelihood, multi-class margin, cosine embedding. */
#include "autograd/loss_rows.h"
#include "kernel/losses.h"

#include <math.h>

/* ---- of class labels: nll, multi_margin ---------------------------------------------------------------------- */

enum { X, LABELS, WEIGHT };

typedef struct label_args {
    int64_t ignore_index;
    sonde_loss_reduction reduction;
    int p;
    double margin;
    double divisor; /* of a mean; forward notes it */
} label_args;

static sonde_status label_shape(sonde_call *call)
{
    const label_args *args = call->args;
    const sonde_tensor *x = call->in[X];
    SONDE_TRY(need_float(call, X));
    if (x->ndim < 1)
        return sonde_fail(SONDE_ESHAPE, "%s: expected one number a class, [N, C], got a single number",
                          call->op->name);
    SONDE_TRY(sonde_loss_check_labels(call->op->name, x, call->in[LABELS], args->ignore_index));
    SONDE_TRY(sonde_loss_check_weight(call->op->name, x, call->in[WEIGHT]));
    sonde_loss_declare_rows(call, x, args->reduction);
    return SONDE_OK;
}

static sonde_status multi_margin_shape(sonde_call *call)
{
    char text[SONDE_SHAPE_TEXT];
    const sonde_tensor *x = call->in[X];
    if (x->ndim > 2)
        return sonde_fail(SONDE_ESHAPE, "multi_margin_loss: expected one row of classes a sample, [N, C], got %s",
                          sonde_shape_text(text, x->ndim, x->shape));
    return label_shape(call);
}

static const void *data_of(const sonde_tensor *t)
{
    return t ? sonde_tensor_data(t) : NULL;
}

/* kept: x, labels and weight, which may be NULL. Returns the divisor of a mean. */
typedef double label_fill(const label_args *args, layout l, void *each, sonde_tensor *const kept[3]);

static sonde_status label_forward(sonde_call *call, label_fill *fill)
{
    label_args *args = call->args;
    const layout l = sonde_loss_class_layout(call->in[X]);
    const int64_t rows = l.outer * l.inner;
    for (int i = 0; i < call->n_in; i++)
        if (call->in[i]) SONDE_TRY(sonde_loss_keep(call, call->in[i]));
    sonde_tensor *weight = call->in[WEIGHT] ? call->extra[WEIGHT] : NULL, *each;
    sonde_tensor *const kept[] = {call->extra[X], call->extra[LABELS], weight};
    SONDE_TRY(sonde_loss_elements(&each, call, args->reduction, 1, &rows));
    args->divisor = fill(args, l, sonde_tensor_data(each), kept);
    sonde_loss_reduce(call, each, args->reduction, args->divisor);
    sonde_tensor_release(each);
    return SONDE_OK;
}

static double fill_nll(const label_args *args, layout l, void *each, sonde_tensor *const kept[3])
{
    return sonde_loss_loops_of(kept[X]->dtype)
        ->nll(each, sonde_tensor_data(kept[X]), sonde_tensor_data(kept[LABELS]), data_of(kept[WEIGHT]), l.outer, l.n,
              l.inner, args->ignore_index);
}

static double fill_multi_margin(const label_args *args, layout l, void *each, sonde_tensor *const kept[3])
{
    sonde_loss_loops_of(kept[X]->dtype)
        ->multi_margin(each, sonde_tensor_data(kept[X]), sonde_tensor_data(kept[LABELS]), data_of(kept[WEIGHT]),
                       l.outer, l.n, args->p, args->margin);
    return (double)l.outer;
}

static sonde_status nll_forward(sonde_call *call) { return label_forward(call, fill_nll); }
static sonde_status multi_margin_forward(sonde_call *call) { return label_forward(call, fill_multi_margin); }

static double mean_scale(const label_args *args)
{
    return args->reduction == SONDE_LOSS_MEAN ? 1 / args->divisor : 1;
}

/* dx[label] -= dy w / divisor */
static sonde_status nll_backward(sonde_node *node)
{
    const label_args *args = sonde_node_args(node);
    const sonde_tensor *dy = sonde_node_grad(node, 0);
    const layout l = sonde_loss_class_layout(sonde_node_extra(node, X));
    sonde_tensor *dx;
    bool add;
    SONDE_TRY(sonde_node_target(node, X, &dx, &add));
    sonde_loss_loops_of(dy->dtype)
        ->nll_backward(sonde_tensor_data(dx), sonde_tensor_data(dy), args->reduction != SONDE_LOSS_NONE,
                       mean_scale(args), sonde_tensor_data(sonde_node_extra(node, LABELS)),
                       data_of(sonde_node_extra(node, WEIGHT)), l.outer, l.n, l.inner, args->ignore_index, add);
    return SONDE_OK;
}

static sonde_status multi_margin_backward(sonde_node *node)
{
    const label_args *args = sonde_node_args(node);
    const sonde_tensor *dy = sonde_node_grad(node, 0), *x = sonde_node_extra(node, X);
    const layout l = sonde_loss_class_layout(x);
    sonde_tensor *dx;
    bool add;
    SONDE_TRY(sonde_node_target(node, X, &dx, &add));
    sonde_loss_loops_of(dy->dtype)
        ->multi_margin_backward(sonde_tensor_data(dx), sonde_tensor_data(dy), args->reduction != SONDE_LOSS_NONE,
                                mean_scale(args), sonde_tensor_data(x),
                                sonde_tensor_data(sonde_node_extra(node, LABELS)),
                                data_of(sonde_node_extra(node, WEIGHT)), l.outer, l.n, args->p, args->margin, add);
    return SONDE_OK;
}

static const sonde_op nll_row = {.name = "nll_loss",
                                 .args_size = sizeof(label_args),
                                 .shape = label_shape,
                                 .forward = nll_forward,
                                 .backward = nll_backward};
static const sonde_op multi_margin_row = {.name = "multi_margin_loss",
                                          .args_size = sizeof(label_args),
                                          .shape = multi_margin_shape,
                                          .forward = multi_margin_forward,
                                          .backward = multi_margin_backward};

sonde_status sonde_nll_loss(sonde_tensor **out, sonde_tensor *x, sonde_tensor *labels, sonde_tensor *weight,
                            int64_t ignore_index, sonde_loss_reduction reduction)
{
    const label_args args = {.ignore_index = ignore_index, .reduction = reduction};
    return sonde_apply(&nll_row, 3, (sonde_tensor *[]){x, labels, weight}, &args, out);
}

sonde_status sonde_multi_margin_loss(sonde_tensor **out, sonde_tensor *x, sonde_tensor *labels, sonde_tensor *weight,
                                     int p, double margin, sonde_loss_reduction reduction)
{
    if (p != 1 && p != 2) return sonde_fail(SONDE_EARG, "multi_margin_loss: p must be 1 or 2, got %d", p);
    if (!isfinite(margin)) return sonde_fail(SONDE_EARG, "multi_margin_loss: margin must be finite, got %g", margin);
    const label_args args = {.reduction = reduction, .p = p, .margin = margin};
    return sonde_apply(&multi_margin_row, 3, (sonde_tensor *[]){x, labels, weight}, &args, out);
}

/* ---- of two rows: cosine_embedding ----------------------------------------------------------------------------- */

enum { A, B, TARGET };

typedef struct cosine_args {
    double margin;
    sonde_loss_reduction reduction;
} cosine_args;

static layout rows_of(const sonde_tensor *a)
{
    return layout_around(a->ndim, a->shape, a->ndim - 1, a->ndim - 1);
}

static sonde_status cosine_shape(sonde_call *call)
{
    const cosine_args *args = call->args;
    const sonde_tensor *a = call->in[A], *b = call->in[B], *t = call->in[TARGET];
    char as[SONDE_SHAPE_TEXT], bs[SONDE_SHAPE_TEXT];
    SONDE_TRY(need_float(call, A));
    sonde_shape_text(as, a->ndim, a->shape);
    if (!sonde_tensor_same_shape(a, b) || a->ndim < 1 || a->ndim > 2)
        return sonde_fail(SONDE_ESHAPE, "cosine_embedding_loss: expected two inputs [N, D] or [D], got %s and %s", as,
                          sonde_shape_text(bs, b->ndim, b->shape));
    if (b->dtype != a->dtype)
        return sonde_fail(SONDE_EDTYPE, "cosine_embedding_loss: one input is %s, the other %s",
                          sonde_dtype_name(a->dtype), sonde_dtype_name(b->dtype));
    if (t->ndim != a->ndim - 1 || (t->ndim == 1 && t->shape[0] != a->shape[0]))
        return sonde_fail(SONDE_ESHAPE, "cosine_embedding_loss: inputs %s want one target per row, got %s", as,
                          sonde_shape_text(bs, t->ndim, t->shape));
    if (call->recording && t->requires_grad)
        return sonde_fail(SONDE_EARG, "cosine_embedding_loss: the target requires a gradient; give it detached");
    call->out_dtype[0] = a->dtype;
    call->out_ndim[0] = args->reduction == SONDE_LOSS_NONE ? t->ndim : 0;
    if (call->out_ndim[0] == 1) call->out_shape[0][0] = a->shape[0];
    return SONDE_OK;
}

static sonde_status cosine_forward(sonde_call *call)
{
    const cosine_args *args = call->args;
    const sonde_dtype dtype = call->in[A]->dtype;
    const sonde_loss_loops *loops = sonde_loss_loops_of(dtype);
    const layout l = rows_of(call->in[A]);
    SONDE_TRY(sonde_loss_keep(call, call->in[A]));
    SONDE_TRY(sonde_loss_keep(call, call->in[B]));
    SONDE_TRY(ready(&call->extra[call->n_extra], call->in[TARGET], dtype));
    call->n_extra++;
    sonde_tensor *const *kept = call->extra, *each;
    const int64_t at = loops->no_sign(sonde_tensor_data(kept[TARGET]), (size_t)l.outer);
    if (at >= 0)
        return sonde_fail(SONDE_EARG, "cosine_embedding_loss: target %lld must be 1 or -1", (long long)at + 1);
    SONDE_TRY(sonde_loss_elements(&each, call, args->reduction, 1, &l.outer));
    loops->cosine(sonde_tensor_data(each), sonde_tensor_data(kept[A]), sonde_tensor_data(kept[B]),
                  sonde_tensor_data(kept[TARGET]), l.outer, l.n, args->margin);
    sonde_loss_reduce(call, each, args->reduction, (double)l.outer);
    sonde_tensor_release(each);
    return SONDE_OK;
}

static sonde_status cosine_backward(sonde_node *node)
{
    const cosine_args *args = sonde_node_args(node);
    const sonde_tensor *dy = sonde_node_grad(node, 0);
    const layout l = rows_of(sonde_node_extra(node, A));
    for (int side = A; side <= B; side++) {
        sonde_tensor *d;
        bool add;
        if (!sonde_node_needs(node, side)) continue;
        SONDE_TRY(sonde_node_target(node, side, &d, &add));
        sonde_loss_loops_of(dy->dtype)
            ->cosine_backward(sonde_tensor_data(d), sonde_tensor_data(dy), args->reduction != SONDE_LOSS_NONE,
                              args->reduction == SONDE_LOSS_MEAN ? 1 / (double)l.outer : 1,
                              sonde_tensor_data(sonde_node_extra(node, side)),
                              sonde_tensor_data(sonde_node_extra(node, side == A ? B : A)),
                              sonde_tensor_data(sonde_node_extra(node, TARGET)), l.outer, l.n, args->margin, add);
    }
    return SONDE_OK;
}

static const sonde_op cosine_row = {.name = "cosine_embedding_loss",
                                    .args_size = sizeof(cosine_args),
                                    .shape = cosine_shape,
                                    .forward = cosine_forward,
                                    .backward = cosine_backward};

sonde_status sonde_cosine_embedding_loss(sonde_tensor **out, sonde_tensor *a, sonde_tensor *b, sonde_tensor *target,
                                         double margin, sonde_loss_reduction reduction)
{
    if (!(margin >= -1 && margin <= 1))
        return sonde_fail(SONDE_EARG, "cosine_embedding_loss: margin must be between -1 and 1, got %g", margin);
    return sonde_apply(&cosine_row, 3, (sonde_tensor *[]){a, b, target}, &(cosine_args){margin, reduction}, out);
}
