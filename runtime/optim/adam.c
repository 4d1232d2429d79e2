/* Adam (Kingma & Ba 2015), AMSGrad (Reddi et al. 2018) and AdamW (Loshchilov & Hutter 2019), as PyTorch:
 *   Adam: g += weight_decay · w;  AdamW: w *= 1 - lr · weight_decay;
 *   m = β1 m + (1 - β1) g;  v = β2 v + (1 - β2) g²;  v̂ = amsgrad ? max(v̂, v) : v
 *   w -= lr/(1 - β1ᵗ) · m / (√v̂ / √(1 - β2ᵗ) + eps) */
#include "optim/rule.h"

#include <math.h>

enum { LR, BETA1, BETA2, EPS, WEIGHT_DECAY, AMSGRAD, MAXIMIZE };
enum { EXP_AVG, EXP_AVG_SQ, MAX_EXP_AVG_SQ };

static unsigned needs(const double *option)
{
    return 1u << EXP_AVG | 1u << EXP_AVG_SQ | (option[AMSGRAD] != 0 ? 1u << MAX_EXP_AVG_SQ : 0);
}

static sonde_status check(const char *rule, const double *option)
{
    SONDE_TRY(sonde_rule_in_range(rule, "lr", option[LR], 0, HUGE_VAL));
    SONDE_TRY(sonde_rule_in_range(rule, "beta1", option[BETA1], 0, 1));
    SONDE_TRY(sonde_rule_in_range(rule, "beta2", option[BETA2], 0, 1));
    SONDE_TRY(sonde_rule_in_range(rule, "eps", option[EPS], 0, HUGE_VAL));
    SONDE_TRY(sonde_rule_in_range(rule, "weight_decay", option[WEIGHT_DECAY], 0, HUGE_VAL));
    SONDE_TRY(sonde_rule_is_flag(rule, "amsgrad", option[AMSGRAD]));
    return sonde_rule_is_flag(rule, "maximize", option[MAXIMIZE]);
}

static sonde_status check_adam(const double *option)
{
    return check("Adam", option);
}

static sonde_status check_adamw(const double *option)
{
    return check("AdamW", option);
}

static void step(const sonde_update *u, bool decoupled)
{
    const double *option = u->option;
    sonde_adam_args args = {.lr = option[LR],
                            .beta1 = option[BETA1],
                            .beta2 = option[BETA2],
                            .eps = option[EPS],
                            .weight_decay = option[WEIGHT_DECAY],
                            .decoupled = decoupled,
                            .amsgrad = option[AMSGRAD] != 0,
                            .maximize = option[MAXIMIZE] != 0,
                            .step = u->step};
    void *v_max = u->buffer[MAX_EXP_AVG_SQ] ? sonde_tensor_data(u->buffer[MAX_EXP_AVG_SQ]) : NULL;
    sonde_adam_kernel(u->w->dtype, sonde_tensor_data(u->w), sonde_tensor_data(u->buffer[EXP_AVG]),
                      sonde_tensor_data(u->buffer[EXP_AVG_SQ]), v_max, sonde_tensor_data(u->g),
                      (size_t)sonde_tensor_numel(u->w), &args, u->stats);
}

static void step_adam(const sonde_update *u)
{
    step(u, false);
}

static void step_adamw(const sonde_update *u)
{
    step(u, true);
}

const sonde_rule sonde_rule_adam = {
    .name = "Adam",
    .options = {"lr", "beta1", "beta2", "eps", "weight_decay", "amsgrad", "maximize"},
    .defaults = {1e-3, 0.9, 0.999, 1e-8, 0, 0, 0},
    .buffers = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"},
    .needs = needs,
    .check = check_adam,
    .step = step_adam,
};

const sonde_rule sonde_rule_adamw = {
    .name = "AdamW",
    .options = {"lr", "beta1", "beta2", "eps", "weight_decay", "amsgrad", "maximize"},
    .defaults = {1e-3, 0.9, 0.999, 1e-8, 1e-2, 0, 0},
    .buffers = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"},
    .needs = needs,
    .check = check_adamw,
    .step = step_adamw,
};
