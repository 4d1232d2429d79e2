/* Resilient back-propagation (Riedmiller & Braun 1993), as PyTorch: every weight has its own step size, starting at lr;
 * times eta_plus where the gradient keeps its sign, times eta_minus where it changes (and the weight then rests for
 * this step), within step_size_min .. step_size_max;  w -= sign(g) · size. For full batches. */
#include "optim/rule.h"

#include <math.h>

enum { LR, ETA_MINUS, ETA_PLUS, LOW, HIGH, MAXIMIZE };

static unsigned needs(const double *option)
{
    return 3;
}

static sonde_status check(const double *option)
{
    SONDE_TRY(sonde_rule_in_range("Rprop", "lr", option[LR], 0, HUGE_VAL));
    if (!(option[ETA_MINUS] > 0 && option[ETA_MINUS] < 1 && option[ETA_PLUS] > 1 && isfinite(option[ETA_PLUS])))
        return sonde_fail(SONDE_EARG, "Rprop: etas must be one factor between 0 and 1 and one above 1, got %g and %g",
                          option[ETA_MINUS], option[ETA_PLUS]);
    if (!(option[LOW] >= 0 && option[LOW] <= option[HIGH]))
        return sonde_fail(SONDE_EARG, "Rprop: step_sizes must be a smallest and a largest step, got %g and %g",
                          option[LOW], option[HIGH]);
    return sonde_rule_is_flag("Rprop", "maximize", option[MAXIMIZE]);
}

static void step(const sonde_update *u)
{
    const double *option = u->option;
    sonde_rprop_args args = {.lr = option[LR],
                             .eta_minus = option[ETA_MINUS],
                             .eta_plus = option[ETA_PLUS],
                             .low = option[LOW],
                             .high = option[HIGH],
                             .first = (u->fresh & 2) != 0,
                             .maximize = option[MAXIMIZE] != 0};
    sonde_rprop_kernel(u->w->dtype, sonde_tensor_data(u->w), sonde_tensor_data(u->buffer[0]),
                       sonde_tensor_data(u->buffer[1]), sonde_tensor_data(u->g), (size_t)sonde_tensor_numel(u->w),
                       &args, u->stats);
}

const sonde_rule sonde_rule_rprop = {
    .name = "Rprop",
    .options = {"lr", "eta_minus", "eta_plus", "step_size_min", "step_size_max", "maximize"},
    .defaults = {1e-2, 0.5, 1.2, 1e-6, 50, 0},
    .buffers = {"prev", "step_size"},
    .needs = needs,
    .check = check,
    .step = step,
};
