/* Adamax (Kingma & Ba 2015, section 7.1), as PyTorch:
 *   g += weight_decay · w;  m = β1 m + (1 - β1) g;  u = max(β2 u, |g| + eps);  w -= lr/(1 - β1ᵗ) · m / u */
#include "optim/rule.h"

#include <math.h>

enum { LR, BETA1, BETA2, EPS, WEIGHT_DECAY, MAXIMIZE };

static unsigned needs(const double *option)
{
    return 3;
}

static sonde_status check(const double *option)
{
    SONDE_TRY(sonde_rule_in_range("Adamax", "lr", option[LR], 0, HUGE_VAL));
    SONDE_TRY(sonde_rule_in_range("Adamax", "beta1", option[BETA1], 0, 1));
    SONDE_TRY(sonde_rule_in_range("Adamax", "beta2", option[BETA2], 0, 1));
    SONDE_TRY(sonde_rule_in_range("Adamax", "eps", option[EPS], 0, HUGE_VAL));
    SONDE_TRY(sonde_rule_in_range("Adamax", "weight_decay", option[WEIGHT_DECAY], 0, HUGE_VAL));
    return sonde_rule_is_flag("Adamax", "maximize", option[MAXIMIZE]);
}

static void step(const sonde_update *u)
{
    const double *option = u->option;
    sonde_adamax_args args = {.step_size = option[LR] / (1 - pow(option[BETA1], (double)u->step)),
                              .beta1 = option[BETA1],
                              .beta2 = option[BETA2],
                              .eps = option[EPS],
                              .weight_decay = option[WEIGHT_DECAY],
                              .maximize = option[MAXIMIZE] != 0};
    sonde_adamax_kernel(u->w->dtype, sonde_tensor_data(u->w), sonde_tensor_data(u->buffer[0]),
                        sonde_tensor_data(u->buffer[1]), sonde_tensor_data(u->g), (size_t)sonde_tensor_numel(u->w),
                        &args, u->stats);
}

const sonde_rule sonde_rule_adamax = {
    .name = "Adamax",
    .options = {"lr", "beta1", "beta2", "eps", "weight_decay", "maximize"},
    .defaults = {2e-3, 0.9, 0.999, 1e-8, 0, 0},
    .buffers = {"exp_avg", "exp_inf"},
    .needs = needs,
    .check = check,
    .step = step,
};
