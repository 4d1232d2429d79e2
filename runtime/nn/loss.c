/* Losses: modules of a prediction and a target. Their maths is ops.h's. */
#include "nn/nn.h"

#include <stdio.h>

typedef struct loss_state {
    int64_t ignore_index;
    double label_smoothing;
    sonde_loss_reduction reduction;
} loss_state;

enum { WEIGHT, POS_WEIGHT }; /* buffers, in order of registration */

static sonde_status cross_entropy(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    const loss_state *state = self->state;
    SONDE_TRY(sonde_cross_entropy(&out->t[0], in->t[0], in->t[1], self->parameters[WEIGHT].tensor, state->ignore_index,
                                  state->label_smoothing, state->reduction));
    out->n = 1;
    return SONDE_OK;
}

static sonde_status mse(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    const loss_state *state = self->state;
    SONDE_TRY(sonde_mse_loss(&out->t[0], in->t[0], in->t[1], state->reduction));
    out->n = 1;
    return SONDE_OK;
}

static sonde_status bce_with_logits(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    const loss_state *state = self->state;
    const sonde_parameter *p = self->parameters;
    SONDE_TRY(sonde_bce_with_logits(&out->t[0], in->t[0], in->t[1], p[WEIGHT].tensor, p[POS_WEIGHT].tensor,
                                    state->reduction));
    out->n = 1;
    return SONDE_OK;
}

static const sonde_module_class cross_entropy_class = {
    .name = "CrossEntropyLoss", .forward = cross_entropy, .min_in = 2, .max_in = 2};
static const sonde_module_class mse_class = {.name = "MSELoss", .forward = mse, .min_in = 2, .max_in = 2};
static const sonde_module_class bce_class = {
    .name = "BCEWithLogitsLoss", .forward = bce_with_logits, .min_in = 2, .max_in = 2};

static sonde_status check_weight(const char *class, const char *name, const sonde_tensor *weight)
{
    if (!weight || sonde_dtype_is_float(weight->dtype)) return SONDE_OK;
    return sonde_fail(SONDE_EDTYPE, "%s: %s must be a float tensor, got %s", class, name,
                      sonde_dtype_name(weight->dtype));
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

/* Gives m its buffers, or gives it up. */
static sonde_status finish(sonde_module **out, sonde_module *m, int n, const char *const *names,
                           sonde_tensor *const *weights)
{
    for (int i = 0; i < n; i++) {
        sonde_status status = sonde_module_set_parameter(m, names[i], weights[i], true);
        if (status != SONDE_OK) {
            sonde_module_release(m);
            return status;
        }
    }
    *out = m;
    return SONDE_OK;
}

sonde_status sonde_cross_entropy_loss_new(sonde_module **out, sonde_tensor *weight, int64_t ignore_index,
                                          double label_smoothing, sonde_loss_reduction reduction)
{
    SONDE_TRY(check_weight("CrossEntropyLoss", "weight", weight));
    if (!(label_smoothing >= 0 && label_smoothing <= 1))
        return sonde_fail(SONDE_EARG, "CrossEntropyLoss: label_smoothing must be between 0 and 1, got %g",
                          label_smoothing);
    sonde_module *m = NULL;
    SONDE_TRY(make(&m, &cross_entropy_class, (loss_state){ignore_index, label_smoothing, reduction}));
    return finish(out, m, 1, (const char *const[]){"weight"}, &weight);
}

sonde_status sonde_mse_loss_new(sonde_module **out, sonde_loss_reduction reduction)
{
    return make(out, &mse_class, (loss_state){.reduction = reduction});
}

sonde_status sonde_bce_with_logits_loss_new(sonde_module **out, sonde_tensor *weight, sonde_tensor *pos_weight,
                                            sonde_loss_reduction reduction)
{
    SONDE_TRY(check_weight("BCEWithLogitsLoss", "weight", weight));
    SONDE_TRY(check_weight("BCEWithLogitsLoss", "pos_weight", pos_weight));
    sonde_module *m = NULL;
    SONDE_TRY(make(&m, &bce_class, (loss_state){.reduction = reduction}));
    return finish(out, m, 2, (const char *const[]){"weight", "pos_weight"},
                  (sonde_tensor *const[]){weight, pos_weight});
}
