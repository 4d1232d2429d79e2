/* Lion (Chen et al. 2023, "Symbolic discovery of optimization algorithms", algorithm 2):
 *   w *= 1 - lr · weight_decay;  w -= lr · sign(β1 m + (1 - β1) g);  m = β2 m + (1 - β2) g */
#include "optim/rule.h"

#include <math.h>

enum { LR, BETA1, BETA2, WEIGHT_DECAY, MAXIMIZE };

static unsigned needs(const double *option)
{
    return 1;
}

static sonde_status check(const double *option)
{
    SONDE_TRY(sonde_rule_in_range("Lion", "lr", option[LR], 0, HUGE_VAL));
    SONDE_TRY(sonde_rule_in_range("Lion", "beta1", option[BETA1], 0, 1));
    SONDE_TRY(sonde_rule_in_range("Lion", "beta2", option[BETA2], 0, 1));
    SONDE_TRY(sonde_rule_in_range("Lion", "weight_decay", option[WEIGHT_DECAY], 0, HUGE_VAL));
    return sonde_rule_is_flag("Lion", "maximize", option[MAXIMIZE]);
}

static void step(const sonde_update *u)
{
    const double *option = u->option;
    sonde_lion_args args = {.lr = option[LR],
                            .beta1 = option[BETA1],
                            .beta2 = option[BETA2],
                            .keep = 1 - option[LR] * option[WEIGHT_DECAY],
                            .maximize = option[MAXIMIZE] != 0};
    sonde_lion_kernel(u->w->dtype, sonde_tensor_data(u->w), sonde_tensor_data(u->buffer[0]), sonde_tensor_data(u->g),
                      (size_t)sonde_tensor_numel(u->w), &args, u->stats);
}

const sonde_rule sonde_rule_lion = {
    .name = "Lion",
    .options = {"lr", "beta1", "beta2", "weight_decay", "maximize"},
    .defaults = {1e-4, 0.9, 0.99, 0, 0},
    .buffers = {"exp_avg"},
    .needs = needs,
    .check = check,
    .step = step,
};
