/* The rules there are, and the checks they share. */
#include "optim/rule.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const sonde_rule *const rules[] = {
    &sonde_rule_sgd,   &sonde_rule_adam,    &sonde_rule_adamw,    &sonde_rule_rmsprop, &sonde_rule_adamax,
    &sonde_rule_nadam, &sonde_rule_radam,   &sonde_rule_adagrad,  &sonde_rule_adadelta, &sonde_rule_rprop,
    &sonde_rule_asgd,  &sonde_rule_lion,    &sonde_rule_muon,     &sonde_rule_lbfgs,
};

const sonde_rule *sonde_rule_find(const char *name)
{
    char list[512] = "";
    size_t length = 0;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (strcmp(rules[i]->name, name) == 0) return rules[i];
        if (length < sizeof list)
            length += (size_t)snprintf(list + length, sizeof list - length, "%s%s", i ? ", " : "", rules[i]->name);
    }
    sonde_fail(SONDE_EARG, "there is no optimiser '%s'; there are %s", name, list);
    return NULL;
}

const char *const *sonde_optimizer_options(const char *rule, const double **defaults)
{
    const sonde_rule *found = sonde_rule_find(rule);
    if (!found) return NULL;
    if (defaults) *defaults = found->defaults;
    return found->options;
}

sonde_status sonde_rule_in_range(const char *rule, const char *option, double value, double low, double high)
{
    if (isfinite(value) && value >= low && value < high) return SONDE_OK;
    if (isfinite(high))
        return sonde_fail(SONDE_EARG, "%s: %s must be at least %g and below %g, got %g", rule, option, low, high,
                          value);
    if (isfinite(low)) return sonde_fail(SONDE_EARG, "%s: %s must be at least %g, got %g", rule, option, low, value);
    return sonde_fail(SONDE_EARG, "%s: %s must be a finite number, got %g", rule, option, value);
}

sonde_status sonde_rule_is_whole(const char *rule, const char *option, double value, double low)
{
    if (value >= low && value <= 0x1p31 && value == floor(value)) return SONDE_OK;
    return sonde_fail(SONDE_EARG, "%s: %s must be a whole number of at least %g, got %g", rule, option, low, value);
}

sonde_status sonde_rule_is_flag(const char *rule, const char *option, double value)
{
    if (value == 0 || value == 1) return SONDE_OK;
    return sonde_fail(SONDE_EARG, "%s: %s must be true or false, got %g", rule, option, value);
}
