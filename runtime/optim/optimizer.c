/* The optimiser: life, groups, options. */
#include "optim/internal.h"

#include <stdatomic.h>
#include <string.h>

static _Atomic int64_t live;

int64_t sonde_optimizer_live(void)
{
    return atomic_load(&live);
}

sonde_status sonde_optimizer_new(sonde_optimizer **out, const char *rule)
{
    const sonde_rule *found = sonde_rule_find(rule);
    if (!found) return SONDE_EARG;
    sonde_optimizer *o = sonde_alloc_zeroed(sizeof *o);
    if (!o) return SONDE_ENOMEM;
    o->refs = 1;
    o->rule = found;
    atomic_fetch_add(&live, 1);
    *out = o;
    return SONDE_OK;
}

sonde_optimizer *sonde_optimizer_retain(sonde_optimizer *o)
{
    o->refs++;
    return o;
}

static void free_group(sonde_optim_group *group)
{
    for (int i = 0; i < group->n; i++) {
        sonde_optim_slot *slot = &group->slots[i];
        sonde_tensor_release(slot->parameter);
        for (int b = 0; b < SONDE_RULE_MAX_BUFFERS; b++) sonde_tensor_release(slot->buffer[b]);
    }
    sonde_free(group->slots);
}

void sonde_optimizer_release(sonde_optimizer *o)
{
    if (!o || --o->refs > 0) return;
    for (int g = 0; g < o->n_groups; g++) free_group(&o->groups[g]);
    sonde_free(o->groups);
    if (o->rule->joint) o->rule->joint->free(o->joint);
    for (int i = 0; i < SONDE_STEP_MOMENTS; i++) sonde_hooks_clear(&o->hooks[i]);
    sonde_free(o);
    atomic_fetch_sub(&live, 1);
}

const char *sonde_optimizer_rule(const sonde_optimizer *o)
{
    return o->rule->name;
}

/* ---- groups ---------------------------------------------------------------------------------------------- */

static bool holds(const sonde_optim_group *group, const sonde_tensor *parameter)
{
    for (int i = 0; i < group->n; i++)
        if (group->slots[i].parameter == parameter) return true;
    return false;
}

/* Does an element of memory stand for several of the tensor's (expand)? A step would move it several times. */
static bool is_expanded(const sonde_tensor *t)
{
    for (int d = 0; d < t->ndim; d++)
        if (t->shape[d] > 1 && t->stride[d] == 0) return true;
    return false;
}

static sonde_status check_parameter(const sonde_optimizer *o, const sonde_optim_group *group, const sonde_tensor *t)
{
    const char *rule = o->rule->name;
    int number = group->n + 1;
    if (!t) return sonde_fail(SONDE_EARG, "%s: parameter %d is no tensor", rule, number);
    if (!sonde_dtype_is_float(t->dtype))
        return sonde_fail(SONDE_EARG, "%s: parameter %d must be a float tensor, got %s", rule, number,
                          sonde_dtype_name(t->dtype));
    if (!sonde_is_leaf(t))
        return sonde_fail(SONDE_EARG, "%s: parameter %d must be a leaf, got the result of %s", rule, number,
                          sonde_grad_op_name(t));
    if (is_expanded(t)) {
        char shape[SONDE_SHAPE_TEXT];
        return sonde_fail(SONDE_EARG,
                          "%s: parameter %d is expanded to %s, its elements share memory; clone() gives each its own",
                          rule, number, sonde_shape_text(shape, t->ndim, t->shape));
    }
    bool there = holds(group, t);
    for (int g = 0; g < o->n_groups && !there; g++) there = holds(&o->groups[g], t);
    if (there) return sonde_fail(SONDE_EARG, "%s: parameter %d is in the optimiser already", rule, number);
    if (!o->rule->accepts) return SONDE_OK;
    sonde_status status = o->rule->accepts(t);
    if (status != SONDE_OK) sonde_fail_within("%s: parameter %d: ", rule, number);
    return status;
}

static sonde_status fill_group(const sonde_optimizer *o, sonde_optim_group *group, int n,
                               sonde_tensor *const *parameters)
{
    group->slots = sonde_alloc_zeroed((size_t)n * sizeof *group->slots);
    if (!group->slots) return SONDE_ENOMEM;
    for (int i = 0; i < n; i++) {
        SONDE_TRY(check_parameter(o, group, parameters[i]));
        group->slots[group->n].number = 1;
        group->slots[group->n++].parameter = sonde_tensor_retain(parameters[i]);
    }
    return SONDE_OK;
}

sonde_status sonde_optimizer_add_group(sonde_optimizer *o, int n, sonde_tensor *const *parameters, int *out)
{
    if (n < 1) return sonde_fail(SONDE_EARG, "%s: the list of parameters is empty", o->rule->name);
    if (o->rule->joint && o->n_groups > 0)
        return sonde_fail(SONDE_EARG, "%s moves all parameters together: it has one group only", o->rule->name);
    sonde_optim_group group = {0};
    memcpy(group.option, o->rule->defaults, sizeof group.option);
    sonde_status status = fill_group(o, &group, n, parameters);
    if (status == SONDE_OK) {
        sonde_optim_group *larger = sonde_realloc(o->groups, ((size_t)o->n_groups + 1) * sizeof *larger);
        if (larger)
            o->groups = larger;
        else
            status = SONDE_ENOMEM;
    }
    if (status != SONDE_OK) {
        free_group(&group);
        return status;
    }
    if (out) *out = o->n_groups;
    o->groups[o->n_groups++] = group;
    return SONDE_OK;
}

int sonde_optimizer_groups(const sonde_optimizer *o)
{
    return o->n_groups;
}

int sonde_optimizer_group_size(const sonde_optimizer *o, int group)
{
    return group >= 0 && group < o->n_groups ? o->groups[group].n : 0;
}

sonde_tensor *sonde_optimizer_parameter(const sonde_optimizer *o, int group, int i)
{
    return i >= 0 && i < sonde_optimizer_group_size(o, group) ? o->groups[group].slots[i].parameter : NULL;
}

/* ---- options --------------------------------------------------------------------------------------------- */

static sonde_status find_option(const sonde_optimizer *o, int group, const char *option, int *index)
{
    if (group < 0 || group >= o->n_groups)
        return sonde_fail(SONDE_EARG, "%s has %d groups, there is no group %d", o->rule->name, o->n_groups, group + 1);
    for (int i = 0; o->rule->options[i]; i++) {
        if (strcmp(o->rule->options[i], option) == 0) {
            *index = i;
            return SONDE_OK;
        }
    }
    char list[512] = "";
    for (int i = 0; o->rule->options[i]; i++) {
        if (i) strncat(list, ", ", sizeof list - strlen(list) - 1);
        strncat(list, o->rule->options[i], sizeof list - strlen(list) - 1);
    }
    return sonde_fail(SONDE_EARG, "%s has no option '%s'; it has %s", o->rule->name, option, list);
}

sonde_status sonde_optimizer_configure(sonde_optimizer *o, int group, int n, const char *const *options,
                                       const double *values)
{
    double changed[SONDE_RULE_MAX_OPTIONS];
    for (int i = 0; i < n; i++) {
        int index = 0;
        SONDE_TRY(find_option(o, group, options[i], &index));
        if (i == 0) memcpy(changed, o->groups[group].option, sizeof changed);
        changed[index] = values[i];
    }
    if (n < 1) return SONDE_OK;
    SONDE_TRY(o->rule->check(changed));
    memcpy(o->groups[group].option, changed, sizeof changed);
    return SONDE_OK;
}

sonde_status sonde_optimizer_set(sonde_optimizer *o, int group, const char *option, double value)
{
    return sonde_optimizer_configure(o, group, 1, &option, &value);
}

sonde_status sonde_optimizer_get(const sonde_optimizer *o, int group, const char *option, double *value)
{
    int index = 0;
    SONDE_TRY(find_option(o, group, option, &index));
    *value = o->groups[group].option[index];
    return SONDE_OK;
}
