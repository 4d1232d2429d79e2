/* Muon (Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"), with PyTorch's options, in the
 * weight's own precision instead of bfloat16:
 *   b += (1 - momentum) (g - b);  u = nesterov ? g + momentum (b - g) : b;
 *   w *= 1 - lr · weight_decay;  w -= lr · scale · NewtonSchulz(u)
 * scale: √max(1, rows/columns) ("original"), or 0.2 √max(rows, columns) (match_rms_adamw; Liu et al.
 * 2025). Matrices only: biases and the like want another optimiser beside it. */
#include "optim/rule.h"

#include <math.h>

enum { LR, WEIGHT_DECAY, MOMENTUM, NESTEROV, NS_A, NS_B, NS_C, EPS, NS_STEPS, MATCH_RMS_ADAMW };

static unsigned needs(const double *option)
{
    return 1;
}

static sonde_status check(const double *option)
{
    SONDE_TRY(sonde_rule_in_range("Muon", "lr", option[LR], 0, HUGE_VAL));
    SONDE_TRY(sonde_rule_in_range("Muon", "weight_decay", option[WEIGHT_DECAY], 0, HUGE_VAL));
    SONDE_TRY(sonde_rule_in_range("Muon", "momentum", option[MOMENTUM], 0, 1));
    SONDE_TRY(sonde_rule_is_flag("Muon", "nesterov", option[NESTEROV]));
    for (int i = NS_A; i <= NS_C; i++)
        SONDE_TRY(sonde_rule_in_range("Muon", sonde_rule_muon.options[i], option[i], -HUGE_VAL, HUGE_VAL));
    SONDE_TRY(sonde_rule_in_range("Muon", "eps", option[EPS], 0, HUGE_VAL));
    SONDE_TRY(sonde_rule_is_whole("Muon", "ns_steps", option[NS_STEPS], 0));
    if (option[NS_STEPS] >= 100)
        return sonde_fail(SONDE_EARG, "Muon: ns_steps must be below 100, got %g", option[NS_STEPS]);
    return sonde_rule_is_flag("Muon", "match_rms_adamw", option[MATCH_RMS_ADAMW]);
}

static sonde_status accepts(const sonde_tensor *w)
{
    char shape[SONDE_SHAPE_TEXT];
    if (w->ndim == 2) return SONDE_OK;
    return sonde_fail(SONDE_ESHAPE, "only a matrix [rows, columns] can be made orthogonal, got %s (biases and the like "
                      "want another optimiser beside it)", sonde_shape_text(shape, w->ndim, w->shape));
}

static size_t scratch(const sonde_tensor *w)
{
    return sonde_muon_scratch(w->dtype, w->shape[0], w->shape[1]);
}

static void step(const sonde_update *u)
{
    const double *option = u->option, rows = (double)u->w->shape[0], columns = (double)u->w->shape[1];
    const double scale = option[MATCH_RMS_ADAMW] != 0 ? 0.2 * sqrt(fmax(rows, columns)) : sqrt(fmax(1, rows / columns));
    sonde_muon_args args = {.step_size = option[LR] * scale,
                            .keep = 1 - option[LR] * option[WEIGHT_DECAY],
                            .momentum = option[MOMENTUM],
                            .eps = option[EPS],
                            .coefficients = {option[NS_A], option[NS_B], option[NS_C]},
                            .rounds = (int)option[NS_STEPS],
                            .nesterov = option[NESTEROV] != 0};
    sonde_muon_kernel(u->w->dtype, sonde_tensor_data(u->w), sonde_tensor_data(u->buffer[0]), sonde_tensor_data(u->g),
                      u->w->shape[0], u->w->shape[1], &args, u->scratch, u->stats);
}

const sonde_rule sonde_rule_muon = {
    .name = "Muon",
    .options = {"lr", "weight_decay", "momentum", "nesterov", "ns_a", "ns_b", "ns_c", "eps", "ns_steps",
                "match_rms_adamw"},
    .defaults = {1e-3, 0.1, 0.95, 1, 3.4445, -4.7750, 2.0315, 1e-7, 5, 0},
    .buffers = {"momentum_buffer"},
    .needs = needs,
    .check = check,
    .step = step,
    .scratch = scratch,
    .accepts = accepts,
};
