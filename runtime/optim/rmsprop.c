/* RMSprop (Tieleman & Hinton 2012, lecture 6.5), centred as Graves 2013, as PyTorch:
 *   g += weight_decay · w;  v = α v + (1 - α) g²;  centered: a = α a + (1 - α) g
 *   d = √(centered ? v - a² : v) + eps;  momentum: b = momentum · b + g/d, w -= lr · b;  else w -= lr · g/d */
#include "optim/rule.h"

#include <math.h>

enum { LR, ALPHA, EPS, WEIGHT_DECAY, MOMENTUM, CENTERED, MAXIMIZE };
enum { SQUARE_AVG, GRAD_AVG, MOMENTUM_BUFFER };

static unsigned needs(const double *option)
{
    return 1u << SQUARE_AVG | (option[CENTERED] != 0 ? 1u << GRAD_AVG : 0) |
           (option[MOMENTUM] != 0 ? 1u << MOMENTUM_BUFFER : 0);
}

static sonde_status check(const double *option)
{
    for (int i = LR; i <= MOMENTUM; i++)
        SONDE_TRY(sonde_rule_in_range("RMSprop", sonde_rule_rmsprop.options[i], option[i], 0, HUGE_VAL));
    SONDE_TRY(sonde_rule_is_flag("RMSprop", "centered", option[CENTERED]));
    return sonde_rule_is_flag("RMSprop", "maximize", option[MAXIMIZE]);
}

static void step(const sonde_update *u)
{
    const double *option = u->option;
    sonde_rmsprop_args args = {.lr = option[LR],
                               .alpha = option[ALPHA],
                               .eps = option[EPS],
                               .weight_decay = option[WEIGHT_DECAY],
                               .momentum = option[MOMENTUM],
                               .centered = option[CENTERED] != 0,
                               .maximize = option[MAXIMIZE] != 0};
    void *data[3] = {NULL};
    for (int i = 0; i < 3; i++)
        if (u->buffer[i]) data[i] = sonde_tensor_data(u->buffer[i]);
    sonde_rmsprop_kernel(u->w->dtype, sonde_tensor_data(u->w), data[SQUARE_AVG], data[GRAD_AVG], data[MOMENTUM_BUFFER],
                         sonde_tensor_data(u->g), (size_t)sonde_tensor_numel(u->w), &args, u->stats);
}

const sonde_rule sonde_rule_rmsprop = {
    .name = "RMSprop",
    .options = {"lr", "alpha", "eps", "weight_decay", "momentum", "centered", "maximize"},
    .defaults = {1e-2, 0.99, 1e-8, 0, 0, 0, 0},
    .buffers = {"square_avg", "grad_avg", "momentum_buffer"},
    .needs = needs,
    .check = check,
    .step = step,
};
