/* Stochastic gradient descent with momentum, as PyTorch:
 *   g += weight_decay · w;  b = momentum · b + (1 - dampening) · g  (b = g at first);
 *   w -= lr · (nesterov ? g + momentum · b : b)
 * Momentum: Polyak 1964; Nesterov's as Sutskever et al. 2013, "On the importance of initialization and momentum". */
#include "optim/rule.h"

#include <math.h>

enum { LR, MOMENTUM, DAMPENING, WEIGHT_DECAY, NESTEROV, MAXIMIZE };

static unsigned needs(const double *option)
{
    return option[MOMENTUM] != 0;
}

static sonde_status check(const double *option)
{
    for (int i = LR; i <= WEIGHT_DECAY; i++)
        if (i != DAMPENING) SONDE_TRY(sonde_rule_in_range("SGD", sonde_rule_sgd.options[i], option[i], 0, HUGE_VAL));
    SONDE_TRY(sonde_rule_in_range("SGD", "dampening", option[DAMPENING], -HUGE_VAL, HUGE_VAL));
    SONDE_TRY(sonde_rule_is_flag("SGD", "nesterov", option[NESTEROV]));
    SONDE_TRY(sonde_rule_is_flag("SGD", "maximize", option[MAXIMIZE]));
    if (option[NESTEROV] != 0 && (option[MOMENTUM] == 0 || option[DAMPENING] != 0))
        return sonde_fail(SONDE_EARG,
                          "SGD: nesterov needs a momentum above 0 and no dampening, got momentum %g and "
                          "dampening %g",
                          option[MOMENTUM], option[DAMPENING]);
    return SONDE_OK;
}

static void step(const sonde_update *u)
{
    const double *option = u->option;
    sonde_sgd_args args = {.lr = option[LR],
                           .momentum = option[MOMENTUM],
                           .dampening = option[DAMPENING],
                           .weight_decay = option[WEIGHT_DECAY],
                           .nesterov = option[NESTEROV] != 0,
                           .maximize = option[MAXIMIZE] != 0,
                           .first = (u->fresh & 1) != 0};
    sonde_sgd_kernel(u->w->dtype, sonde_tensor_data(u->w), u->buffer[0] ? sonde_tensor_data(u->buffer[0]) : NULL,
                     sonde_tensor_data(u->g), (size_t)sonde_tensor_numel(u->w), &args, u->stats);
}

const sonde_rule sonde_rule_sgd = {
    .name = "SGD",
    .options = {"lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize"},
    .defaults = {1e-3, 0, 0, 0, 0, 0},
    .buffers = {"momentum_buffer"},
    .needs = needs,
    .check = check,
    .step = step,
};
