/* Adadelta (Zeiler 2012), as PyTorch:
 *   g += weight_decay · w;  v = ρ v + (1 - ρ) g²;  δ = √(a + eps) / √(v + eps) · g;  a = ρ a + (1 - ρ) δ²;
 *   w -= lr · δ */
#include "optim/rule.h"

#include <math.h>

enum { LR, RHO, EPS, WEIGHT_DECAY, MAXIMIZE };

static unsigned needs(const double *option)
{
    return 3;
}

static sonde_status check(const double *option)
{
    SONDE_TRY(sonde_rule_in_range("Adadelta", "lr", option[LR], 0, HUGE_VAL));
    SONDE_TRY(sonde_rule_in_range("Adadelta", "rho", option[RHO], 0, 1));
    SONDE_TRY(sonde_rule_in_range("Adadelta", "eps", option[EPS], 0, HUGE_VAL));
    SONDE_TRY(sonde_rule_in_range("Adadelta", "weight_decay", option[WEIGHT_DECAY], 0, HUGE_VAL));
    return sonde_rule_is_flag("Adadelta", "maximize", option[MAXIMIZE]);
}

static void step(const sonde_update *u)
{
    const double *option = u->option;
    sonde_adadelta_args args = {.lr = option[LR],
                                .rho = option[RHO],
                                .eps = option[EPS],
                                .weight_decay = option[WEIGHT_DECAY],
                                .maximize = option[MAXIMIZE] != 0};
    sonde_adadelta_kernel(u->w->dtype, sonde_tensor_data(u->w), sonde_tensor_data(u->buffer[0]),
                          sonde_tensor_data(u->buffer[1]), sonde_tensor_data(u->g), (size_t)sonde_tensor_numel(u->w),
                          &args, u->stats);
}

const sonde_rule sonde_rule_adadelta = {
    .name = "Adadelta",
    .options = {"lr", "rho", "eps", "weight_decay", "maximize"},
    .defaults = {1, 0.9, 1e-6, 0, 0},
    .buffers = {"square_avg", "acc_delta"},
    .needs = needs,
    .check = check,
    .step = step,
};
