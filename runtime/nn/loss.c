/* Losses: modules of a prediction and a target, and sometimes a third input. Their maths is room autograd's. */
#include "nn/nn.h"

#include <math.h>

typedef struct loss_state loss_state;

/* in: the module's inputs; p: its buffers */
typedef sonde_status apply_loss(sonde_tensor **out, const loss_state *s, sonde_tensor *const *in,
                                const sonde_parameter *p);

struct loss_state {
    apply_loss *apply;
    int64_t ignore_index;
    double number; /* label_smoothing, beta, delta, margin, eps */
    int p;
    bool flag, batchmean; /* flag: log_target, full */
    sonde_loss_reduction reduction;
};

enum { WEIGHT, POS_WEIGHT }; /* buffers, in order of registration */

static sonde_status forward(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    const loss_state *state = self->state;
    SONDE_TRY(state->apply(&out->t[0], state, in->t, self->parameters));
    out->n = 1;
    return SONDE_OK;
}

/* ---- the functions behind them ----------------------------------------------------------------------------- */

#define APPLY(name)                                                                                                    \
    static sonde_status name(sonde_tensor **out, const loss_state *s, sonde_tensor *const *in, const sonde_parameter *p)

APPLY(cross_entropy)
{
    return sonde_cross_entropy(out, in[0], in[1], p[WEIGHT].tensor, s->ignore_index, s->number, s->reduction);
}

APPLY(mse) { return sonde_mse_loss(out, in[0], in[1], s->reduction); }

APPLY(bce_with_logits)
{
    return sonde_bce_with_logits(out, in[0], in[1], p[WEIGHT].tensor, p[POS_WEIGHT].tensor, s->reduction);
}

APPLY(l1) { return sonde_l1_loss(out, in[0], in[1], s->reduction); }
APPLY(smooth_l1) { return sonde_smooth_l1_loss(out, in[0], in[1], s->number, s->reduction); }
APPLY(huber) { return sonde_huber_loss(out, in[0], in[1], s->number, s->reduction); }
APPLY(bce) { return sonde_bce_loss(out, in[0], in[1], p[WEIGHT].tensor, s->reduction); }
APPLY(kl_div) { return sonde_kl_div(out, in[0], in[1], s->flag, s->batchmean, s->reduction); }
APPLY(hinge_embedding) { return sonde_hinge_embedding_loss(out, in[0], in[1], s->number, s->reduction); }
APPLY(soft_margin) { return sonde_soft_margin_loss(out, in[0], in[1], s->reduction); }

APPLY(gaussian_nll)
{
    return sonde_gaussian_nll_loss(out, in[0], in[1], in[2], s->flag, s->number, s->reduction);
}

APPLY(nll) { return sonde_nll_loss(out, in[0], in[1], p[WEIGHT].tensor, s->ignore_index, s->reduction); }

APPLY(multi_margin)
{
    return sonde_multi_margin_loss(out, in[0], in[1], p[WEIGHT].tensor, s->p, s->number, s->reduction);
}

APPLY(cosine_embedding)
{
    return sonde_cosine_embedding_loss(out, in[0], in[1], in[2], s->number, s->reduction);
}

/* ---- making them ------------------------------------------------------------------------------------------- */

static sonde_status check_weight(const char *class, const char *name, const sonde_tensor *weight)
{
    if (!weight || sonde_dtype_is_float(weight->dtype)) return SONDE_OK;
    return sonde_fail(SONDE_EDTYPE, "%s: %s must be a float tensor, got %s", class, name,
                      sonde_dtype_name(weight->dtype));
}

/* EARG unless low <= value <= high and it is finite; strictly: unless low < value. */
static sonde_status check_number(const char *class, const char *name, double value, double low, double high,
                                 bool strictly)
{
    if (isfinite(value) && (strictly ? value > low : value >= low) && value <= high) return SONDE_OK;
    if (isfinite(high))
        return sonde_fail(SONDE_EARG, "%s: %s must be between %g and %g, got %g", class, name, low, high, value);
    if (isfinite(low))
        return sonde_fail(SONDE_EARG, "%s: %s must be %s %g, got %g", class, name, strictly ? "above" : "at least",
                          low, value);
    return sonde_fail(SONDE_EARG, "%s: %s must be a finite number, got %g", class, name, value);
}

static sonde_status make(sonde_module **out, const sonde_module_class *class, loss_state options)
{
    if (options.reduction > SONDE_LOSS_NONE)
        return sonde_fail(SONDE_EARG, "%s: no such reduction; there are mean, sum and none", class->name);
    loss_state *state = sonde_alloc(sizeof *state);
    if (!state) return SONDE_ENOMEM;
    *state = options;
    sonde_status status = sonde_module_new(out, class, state);
    if (status != SONDE_OK) sonde_free(state);
    return status;
}

/* The same with weights, which become buffers: "weight", and where `second` is not NULL "pos_weight". */
static sonde_status make_weighted(sonde_module **out, const sonde_module_class *class, sonde_tensor *weight,
                                  sonde_tensor *const *second, loss_state options)
{
    sonde_module *m = NULL;
    SONDE_TRY(check_weight(class->name, "weight", weight));
    if (second) SONDE_TRY(check_weight(class->name, "pos_weight", *second));
    SONDE_TRY(make(&m, class, options));
    sonde_status status = sonde_module_set_parameter(m, "weight", weight, true);
    if (status == SONDE_OK && second) status = sonde_module_set_parameter(m, "pos_weight", *second, true);
    if (status == SONDE_OK)
        *out = m;
    else
        sonde_module_release(m);
    return status;
}

/* A class of `inputs` inputs. */
#define CLASS(id, text, inputs)                                                                                        \
    static const sonde_module_class id##_class = {                                                                     \
        .name = text, .forward = forward, .min_in = inputs, .max_in = inputs}

CLASS(cross_entropy, "CrossEntropyLoss", 2);
CLASS(mse, "MSELoss", 2);
CLASS(bce_with_logits, "BCEWithLogitsLoss", 2);
CLASS(l1, "L1Loss", 2);
CLASS(smooth_l1, "SmoothL1Loss", 2);
CLASS(huber, "HuberLoss", 2);
CLASS(bce, "BCELoss", 2);
CLASS(kl_div, "KLDivLoss", 2);
CLASS(hinge_embedding, "HingeEmbeddingLoss", 2);
CLASS(soft_margin, "SoftMarginLoss", 2);
CLASS(gaussian_nll, "GaussianNLLLoss", 3);
CLASS(nll, "NLLLoss", 2);
CLASS(multi_margin, "MultiMarginLoss", 2);
CLASS(cosine_embedding, "CosineEmbeddingLoss", 3);

sonde_status sonde_cross_entropy_loss_new(sonde_module **out, sonde_tensor *weight, int64_t ignore_index,
                                          double label_smoothing, sonde_loss_reduction reduction)
{
    SONDE_TRY(check_number("CrossEntropyLoss", "label_smoothing", label_smoothing, 0, 1, false));
    return make_weighted(out, &cross_entropy_class, weight, NULL,
                         (loss_state){.apply = cross_entropy,
                                      .ignore_index = ignore_index,
                                      .number = label_smoothing,
                                      .reduction = reduction});
}

sonde_status sonde_mse_loss_new(sonde_module **out, sonde_loss_reduction reduction)
{
    return make(out, &mse_class, (loss_state){.apply = mse, .reduction = reduction});
}

sonde_status sonde_bce_with_logits_loss_new(sonde_module **out, sonde_tensor *weight, sonde_tensor *pos_weight,
                                            sonde_loss_reduction reduction)
{
    return make_weighted(out, &bce_with_logits_class, weight, &pos_weight,
                         (loss_state){.apply = bce_with_logits, .reduction = reduction});
}

sonde_status sonde_l1_loss_new(sonde_module **out, sonde_loss_reduction reduction)
{
    return make(out, &l1_class, (loss_state){.apply = l1, .reduction = reduction});
}

sonde_status sonde_smooth_l1_loss_new(sonde_module **out, double beta, sonde_loss_reduction reduction)
{
    SONDE_TRY(check_number("SmoothL1Loss", "beta", beta, 0, HUGE_VAL, false));
    return make(out, &smooth_l1_class, (loss_state){.apply = smooth_l1, .number = beta, .reduction = reduction});
}

sonde_status sonde_huber_loss_new(sonde_module **out, double delta, sonde_loss_reduction reduction)
{
    SONDE_TRY(check_number("HuberLoss", "delta", delta, 0, HUGE_VAL, true));
    return make(out, &huber_class, (loss_state){.apply = huber, .number = delta, .reduction = reduction});
}

sonde_status sonde_bce_loss_new(sonde_module **out, sonde_tensor *weight, sonde_loss_reduction reduction)
{
    return make_weighted(out, &bce_class, weight, NULL, (loss_state){.apply = bce, .reduction = reduction});
}

sonde_status sonde_kl_div_loss_new(sonde_module **out, bool log_target, bool batchmean,
                                   sonde_loss_reduction reduction)
{
    return make(out, &kl_div_class,
                (loss_state){.apply = kl_div, .flag = log_target, .batchmean = batchmean, .reduction = reduction});
}

sonde_status sonde_hinge_embedding_loss_new(sonde_module **out, double margin, sonde_loss_reduction reduction)
{
    SONDE_TRY(check_number("HingeEmbeddingLoss", "margin", margin, 0, HUGE_VAL, false));
    return make(out, &hinge_embedding_class,
                (loss_state){.apply = hinge_embedding, .number = margin, .reduction = reduction});
}

sonde_status sonde_soft_margin_loss_new(sonde_module **out, sonde_loss_reduction reduction)
{
    return make(out, &soft_margin_class, (loss_state){.apply = soft_margin, .reduction = reduction});
}

sonde_status sonde_gaussian_nll_loss_new(sonde_module **out, bool full, double eps, sonde_loss_reduction reduction)
{
    SONDE_TRY(check_number("GaussianNLLLoss", "eps", eps, 0, HUGE_VAL, true));
    return make(out, &gaussian_nll_class,
                (loss_state){.apply = gaussian_nll, .flag = full, .number = eps, .reduction = reduction});
}

sonde_status sonde_nll_loss_new(sonde_module **out, sonde_tensor *weight, int64_t ignore_index,
                                sonde_loss_reduction reduction)
{
    return make_weighted(out, &nll_class, weight, NULL,
                         (loss_state){.apply = nll, .ignore_index = ignore_index, .reduction = reduction});
}

sonde_status sonde_multi_margin_loss_new(sonde_module **out, sonde_tensor *weight, int p, double margin,
                                         sonde_loss_reduction reduction)
{
    if (p != 1 && p != 2) return sonde_fail(SONDE_EARG, "MultiMarginLoss: p must be 1 or 2, got %d", p);
    SONDE_TRY(check_number("MultiMarginLoss", "margin", margin, -HUGE_VAL, HUGE_VAL, false));
    return make_weighted(out, &multi_margin_class, weight, NULL,
                         (loss_state){.apply = multi_margin, .p = p, .number = margin, .reduction = reduction});
}

sonde_status sonde_cosine_embedding_loss_new(sonde_module **out, double margin, sonde_loss_reduction reduction)
{
    SONDE_TRY(check_number("CosineEmbeddingLoss", "margin", margin, -1, 1, false));
    return make(out, &cosine_embedding_class,
                (loss_state){.apply = cosine_embedding, .number = margin, .reduction = reduction});
}
