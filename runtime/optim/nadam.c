/* NAdam (Dozat 2016, "Incorporating Nesterov momentum into Adam") and RAdam (Liu et al. 2020, "On the variance of the
 * adaptive learning rate and beyond"), as PyTorch. Both: g += weight_decay · w, or w *= 1 - lr · weight_decay if
 * decoupled;  m = β1 m + (1 - β1) g;  v = β2 v + (1 - β2) g²;  s = √v / √(1 - β2ᵗ) + eps.
 *   NAdam: μₜ = β1 (1 - 0.96^(t · momentum_decay) / 2),  Πₜ = μ₁ … μₜ,
 *          w -= lr ((1 - μₜ)/(1 - Πₜ) g + μₜ₊₁/(1 - Πₜ μₜ₊₁) m) / s
 *   RAdam: ρ∞ = 2/(1 - β2) - 1,  ρ = ρ∞ - 2 t β2ᵗ/(1 - β2ᵗ),  w -= lr/(1 - β1ᵗ) · r · m / s where ρ > 5, with
 *          r = √((ρ-4)(ρ-2)ρ∞ / ((ρ∞-4)(ρ∞-2)ρ)); before that w -= lr/(1 - β1ᵗ) · m. There s = (√v + eps) / √(1 - β2ᵗ).
 * (PyTorch up to 1.13 had Πₜ μₜ μₜ₊₁ in its one-tensor NAdam; that was mended later.) */
#include "optim/rule.h"

#include <math.h>

enum { LR, BETA1, BETA2, EPS, WEIGHT_DECAY, RADAM_FLAGS, MOMENTUM_DECAY = RADAM_FLAGS, NADAM_FLAGS };
enum { DECOUPLED, MAXIMIZE }; /* the flags, which end both rows */
enum { EXP_AVG, EXP_AVG_SQ };

static unsigned needs(const double *option)
{
    return 1u << EXP_AVG | 1u << EXP_AVG_SQ;
}

static sonde_status check(const char *rule, const double *option, const double *flags)
{
    SONDE_TRY(sonde_rule_in_range(rule, "lr", option[LR], 0, HUGE_VAL));
    SONDE_TRY(sonde_rule_in_range(rule, "beta1", option[BETA1], 0, 1));
    SONDE_TRY(sonde_rule_in_range(rule, "beta2", option[BETA2], 0, 1));
    SONDE_TRY(sonde_rule_in_range(rule, "eps", option[EPS], 0, HUGE_VAL));
    SONDE_TRY(sonde_rule_in_range(rule, "weight_decay", option[WEIGHT_DECAY], 0, HUGE_VAL));
    SONDE_TRY(sonde_rule_is_flag(rule, "decoupled_weight_decay", flags[DECOUPLED]));
    return sonde_rule_is_flag(rule, "maximize", flags[MAXIMIZE]);
}

static sonde_status check_nadam(const double *option)
{
    SONDE_TRY(check("NAdam", option, option + NADAM_FLAGS));
    return sonde_rule_in_range("NAdam", "momentum_decay", option[MOMENTUM_DECAY], 0, HUGE_VAL);
}

static sonde_status check_radam(const double *option)
{
    return check("RAdam", option, option + RADAM_FLAGS);
}

static void step(const sonde_update *u, const double *flags, sonde_moment_args args)
{
    const double *option = u->option;
    const bool decoupled = flags[DECOUPLED] != 0;
    args.beta1 = option[BETA1];
    args.beta2 = option[BETA2];
    args.weight_decay = decoupled ? 0 : option[WEIGHT_DECAY];
    args.keep = decoupled ? 1 - option[LR] * option[WEIGHT_DECAY] : 1;
    args.maximize = flags[MAXIMIZE] != 0;
    sonde_moment_kernel(u->w->dtype, sonde_tensor_data(u->w), sonde_tensor_data(u->buffer[EXP_AVG]),
                        sonde_tensor_data(u->buffer[EXP_AVG_SQ]), sonde_tensor_data(u->g),
                        (size_t)sonde_tensor_numel(u->w), &args, u->stats);
}

static double nadam_momentum(const double *option, double step)
{
    return option[BETA1] * (1 - 0.5 * pow(0.96, step * option[MOMENTUM_DECAY]));
}

static void step_nadam(const sonde_update *u)
{
    const double *option = u->option, t = (double)u->step;
    const double now = nadam_momentum(option, t), next = nadam_momentum(option, t + 1);
    *u->number *= now;
    step(u, option + NADAM_FLAGS,
         (sonde_moment_args){.gradient_step = option[LR] * (1 - now) / (1 - *u->number),
                             .mean_step = option[LR] * next / (1 - *u->number * next),
                             .correction = sqrt(1 - pow(option[BETA2], t)),
                             .eps = option[EPS]});
}

static void step_radam(const sonde_update *u)
{
    const double *option = u->option, t = (double)u->step, power = pow(option[BETA2], t);
    const double longest = 2 / (1 - option[BETA2]) - 1, length = longest - 2 * t * power / (1 - power);
    const double step_size = option[LR] / (1 - pow(option[BETA1], t)), correction = sqrt(1 - power);
    sonde_moment_args args = {.mean_step = step_size, .correction = 1, .plain = true};
    if (length > 5) {
        const double rectified =
            sqrt((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length));
        args = (sonde_moment_args){
            .mean_step = step_size * rectified, .correction = correction, .eps = option[EPS] / correction};
    }
    step(u, option + RADAM_FLAGS, args);
}

const sonde_rule sonde_rule_nadam = {
    .name = "NAdam",
    .options = {"lr", "beta1", "beta2", "eps", "weight_decay", "momentum_decay", "decoupled_weight_decay", "maximize"},
    .defaults = {2e-3, 0.9, 0.999, 1e-8, 0, 4e-3, 0, 0},
    .buffers = {"exp_avg", "exp_avg_sq"},
    .needs = needs,
    .check = check_nadam,
    .step = step_nadam,
    .number = "mu_product",
};

const sonde_rule sonde_rule_radam = {
    .name = "RAdam",
    .options = {"lr", "beta1", "beta2", "eps", "weight_decay", "decoupled_weight_decay", "maximize"},
    .defaults = {1e-3, 0.9, 0.999, 1e-8, 0, 0, 0},
    .buffers = {"exp_avg", "exp_avg_sq"},
    .needs = needs,
    .check = check_radam,
    .step = step_radam,
};
