/* Optimiser state for checkpoints. */
#include "optim/internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static sonde_status visit_number(int number, const char *name, double value, sonde_state_visitor visitor, void *context)
{
    sonde_tensor *tensor = NULL;
    SONDE_TRY(sonde_tensor_full(&tensor, SONDE_FLOAT64, 1, &(int64_t){1}, value));
    sonde_status status = visitor(context, number, name, tensor);
    sonde_tensor_release(tensor);
    return status;
}

static sonde_status visit_slot(const sonde_rule *rule, sonde_optim_slot *slot, int number, sonde_state_visitor visitor,
                               void *context)
{
    if (slot->step == 0) return SONDE_OK;
    sonde_status status = visit_number(number, "step", (double)slot->step, visitor, context);
    if (rule->number && status == SONDE_OK) status = visit_number(number, rule->number, slot->number, visitor, context);
    for (int b = 0; rule->buffers[b] && status == SONDE_OK; b++)
        if (slot->buffer[b]) status = visitor(context, number, rule->buffers[b], slot->buffer[b]);
    return status;
}

sonde_status sonde_optimizer_visit_state(sonde_optimizer *o, sonde_state_visitor visitor, void *context)
{
    if (o->rule->joint) return o->joint ? o->rule->joint->visit(o, visitor, context) : SONDE_OK;
    int number = 0;
    for (int g = 0; g < o->n_groups; g++)
        for (int i = 0; i < o->groups[g].n; i++)
            SONDE_TRY(visit_slot(o->rule, &o->groups[g].slots[i], number++, visitor, context));
    return SONDE_OK;
}

static sonde_optim_slot *find_slot(sonde_optimizer *o, int number)
{
    for (int g = 0; g < o->n_groups && number >= 0; g++) {
        if (number < o->groups[g].n) return &o->groups[g].slots[number];
        number -= o->groups[g].n;
    }
    return NULL;
}

static sonde_status read_number(double *out, const sonde_rule *rule, const char *name, const sonde_tensor *tensor)
{
    if (sonde_tensor_numel(tensor) != 1)
        return sonde_fail(SONDE_ESHAPE, "%s: the state '%s' is one number, got %lld", rule->name, name,
                          (long long)sonde_tensor_numel(tensor));
    *out = sonde_tensor_get(tensor, (int64_t[SONDE_MAX_DIMS]){0});
    return SONDE_OK;
}

static sonde_status set_step(const sonde_rule *rule, sonde_optim_slot *slot, const sonde_tensor *tensor)
{
    double value = 0;
    SONDE_TRY(read_number(&value, rule, "step", tensor));
    if (!(value >= 0 && value < 0x1p53) || value != floor(value))
        return sonde_fail(SONDE_EARG, "%s: the state 'step' must be a whole number of at least 0, got %g", rule->name,
                          value);
    slot->step = (int64_t)value;
    return SONDE_OK;
}

static sonde_status set_buffer(const sonde_rule *rule, sonde_optim_slot *slot, int b, sonde_tensor *tensor)
{
    const sonde_tensor *p = slot->parameter;
    if (!sonde_tensor_same_shape(tensor, p)) {
        char got[SONDE_SHAPE_TEXT], want[SONDE_SHAPE_TEXT];
        return sonde_fail(SONDE_ESHAPE, "%s: the state '%s' has shape %s, its parameter %s", rule->name,
                          rule->buffers[b], sonde_shape_text(got, tensor->ndim, tensor->shape),
                          sonde_shape_text(want, p->ndim, p->shape));
    }
    if (!sonde_dtype_is_float(tensor->dtype))
        return sonde_fail(SONDE_EDTYPE, "%s: the state '%s' must be a float tensor, got %s", rule->name,
                          rule->buffers[b], sonde_dtype_name(tensor->dtype));
    sonde_tensor *own = NULL;
    SONDE_TRY(sonde_tensor_zeros(&own, p->dtype, p->ndim, p->shape));
    sonde_status status = sonde_tensor_copy_(own, tensor);
    if (status != SONDE_OK) {
        sonde_tensor_release(own);
        return status;
    }
    sonde_tensor_release(slot->buffer[b]);
    slot->buffer[b] = own;
    slot->fresh &= ~(1u << b);
    return SONDE_OK;
}

sonde_status sonde_optimizer_set_state(sonde_optimizer *o, int parameter, const char *name, sonde_tensor *tensor)
{
    sonde_optim_slot *slot = find_slot(o, parameter);
    if (!slot) return sonde_fail(SONDE_EARG, "%s has no parameter %d", o->rule->name, parameter + 1);
    if (o->rule->joint) {
        if (parameter == 0) return o->rule->joint->set(o, name, tensor);
        return sonde_fail(SONDE_EARG, "%s keeps its state with parameter 1, there is none for parameter %d",
                          o->rule->name, parameter + 1);
    }
    if (strcmp(name, "step") == 0) return set_step(o->rule, slot, tensor);
    if (o->rule->number && strcmp(name, o->rule->number) == 0)
        return read_number(&slot->number, o->rule, name, tensor);
    for (int b = 0; o->rule->buffers[b]; b++)
        if (strcmp(o->rule->buffers[b], name) == 0) return set_buffer(o->rule, slot, b, tensor);
    char known[256];
    size_t used = (size_t)snprintf(known, sizeof known, "step%s%s", o->rule->number ? ", " : "",
                                   o->rule->number ? o->rule->number : "");
    for (int b = 0; o->rule->buffers[b] && used < sizeof known; b++)
        used += (size_t)snprintf(known + used, sizeof known - used, ", %s", o->rule->buffers[b]);
    return sonde_fail(SONDE_EARG, "%s has no state '%s'; there are: %s", o->rule->name, name, known);
}
