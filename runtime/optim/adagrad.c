/* Adagrad (Duchi, Hazan & Singer 2011), as PyTorch:
 *   g += weight_decay · w;  sum += g² (from initial_accumulator_value on);
 *   w -= lr/(1 + (t - 1) lr_decay) · g / (√sum + eps) */
#include "optim/rule.h"

#include <math.h>

enum { LR, LR_DECAY, WEIGHT_DECAY, INITIAL, EPS, MAXIMIZE };

static unsigned needs(const double *option)
{
    return 1;
}

static sonde_status check(const double *option)
{
    for (int i = LR; i <= EPS; i++)
        SONDE_TRY(sonde_rule_in_range("Adagrad", sonde_rule_adagrad.options[i], option[i], 0, HUGE_VAL));
    return sonde_rule_is_flag("Adagrad", "maximize", option[MAXIMIZE]);
}

static void step(const sonde_update *u)
{
    const double *option = u->option;
    sonde_adagrad_args args = {.step_size = option[LR] / (1 + (double)(u->step - 1) * option[LR_DECAY]),
                               .eps = option[EPS],
                               .weight_decay = option[WEIGHT_DECAY],
                               .initial = option[INITIAL],
                               .first = (u->fresh & 1) != 0,
                               .maximize = option[MAXIMIZE] != 0};
    sonde_adagrad_kernel(u->w->dtype, sonde_tensor_data(u->w), sonde_tensor_data(u->buffer[0]),
                         sonde_tensor_data(u->g), (size_t)sonde_tensor_numel(u->w), &args, u->stats);
}

const sonde_rule sonde_rule_adagrad = {
    .name = "Adagrad",
    .options = {"lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps", "maximize"},
    .defaults = {1e-2, 0, 0, 0, 1e-10, 0},
    .buffers = {"sum"},
    .needs = needs,
    .check = check,
    .step = step,
};
