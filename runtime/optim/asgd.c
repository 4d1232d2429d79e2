/* Averaged stochastic gradient descent (Polyak & Juditsky 1992), as PyTorch:
 *   g += weight_decay · w;  η = lr / (1 + lambd · lr · (t - 1))^alpha;  w = (1 - lambd · η) w - η g;
 *   ax = w up to step t0 + 1, after that ax += (w - ax) / (t - 1 - t0)
 * "ax" is the average; it is in the state, and the weights are not replaced by it. (PyTorch keeps η in the state, so a
 * schedule's new lr reaches it one step later; here it does at once.) */
#include "optim/rule.h"

#include <math.h>

enum { LR, LAMBD, ALPHA, T0, WEIGHT_DECAY, MAXIMIZE };

static unsigned needs(const double *option)
{
    return 1;
}

static sonde_status check(const double *option)
{
    for (int i = LR; i <= WEIGHT_DECAY; i++)
        SONDE_TRY(sonde_rule_in_range("ASGD", sonde_rule_asgd.options[i], option[i], 0, HUGE_VAL));
    return sonde_rule_is_flag("ASGD", "maximize", option[MAXIMIZE]);
}

static void step(const sonde_update *u)
{
    const double *option = u->option, before = (double)(u->step - 1);
    const double eta = option[LR] / pow(1 + option[LAMBD] * option[LR] * before, option[ALPHA]);
    sonde_asgd_args args = {.step_size = eta,
                            .keep = 1 - option[LAMBD] * eta,
                            .average = 1 / fmax(1, before - option[T0]),
                            .weight_decay = option[WEIGHT_DECAY],
                            .maximize = option[MAXIMIZE] != 0};
    sonde_asgd_kernel(u->w->dtype, sonde_tensor_data(u->w), sonde_tensor_data(u->buffer[0]), sonde_tensor_data(u->g),
                      (size_t)sonde_tensor_numel(u->w), &args, u->stats);
}

const sonde_rule sonde_rule_asgd = {
    .name = "ASGD",
    .options = {"lr", "lambd", "alpha", "t0", "weight_decay", "maximize"},
    .defaults = {1e-2, 1e-4, 0.75, 1e6, 0, 0},
    .buffers = {"ax"},
    .needs = needs,
    .check = check,
    .step = step,
};
