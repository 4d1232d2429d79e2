/* A step: first everything that needs memory, then one pass over each parameter. */
#include "optim/internal.h"

void sonde_optimizer_observe(sonde_optimizer *o, sonde_optim_observer *observer)
{
    sonde_optim_observer **at = &o->observers;
    while (*at) at = &(*at)->next;
    observer->next = NULL;
    *at = observer;
}

void sonde_optimizer_unobserve(sonde_optimizer *o, sonde_optim_observer *observer)
{
    for (sonde_optim_observer **at = &o->observers; *at; at = &(*at)->next) {
        if (*at != observer) continue;
        *at = observer->next;
        return;
    }
}

sonde_status sonde_optimizer_add_hook(sonde_optimizer *o, sonde_step_moment when, sonde_step_hook hook, void *context,
                                      void (*free_context)(void *), sonde_handle **out)
{
    return sonde_hooks_add(&o->hooks[when], (sonde_callback)hook, context, free_context, out);
}

static sonde_status run_hooks(sonde_optimizer *o, sonde_step_moment when)
{
    sonde_hooks *hooks = &o->hooks[when];
    if (hooks->n == 0) return SONDE_OK;
    sonde_hook_walk walk = sonde_hooks_walk(hooks);
    sonde_status status = SONDE_OK;
    for (sonde_handle *h; status == SONDE_OK && (h = sonde_hooks_next(&walk));)
        status = ((sonde_step_hook)h->callback)(h->context, o);
    sonde_hooks_end(&walk);
    return status;
}

/* A buffer of zeros like the parameter; one of another dtype (the module was converted) follows it. */
static sonde_status prepare_buffer(sonde_optim_slot *slot, int i)
{
    sonde_tensor *old = slot->buffer[i], *p = slot->parameter;
    if (old && old->dtype == p->dtype) return SONDE_OK;
    sonde_tensor *made = NULL;
    if (old) {
        SONDE_TRY(sonde_tensor_to(&made, old, p->dtype));
    } else {
        SONDE_TRY(sonde_tensor_zeros(&made, p->dtype, p->ndim, p->shape));
        slot->fresh |= 1u << i;
    }
    slot->buffer[i] = made;
    sonde_tensor_release(old);
    return SONDE_OK;
}

static sonde_status prepare(sonde_optim_slot *slot, unsigned needs)
{
    sonde_tensor *gradient = sonde_grad(slot->parameter);
    if (!gradient) return SONDE_OK;
    for (int i = 0; needs >> i; i++)
        if (needs >> i & 1) SONDE_TRY(prepare_buffer(slot, i));
    SONDE_TRY(sonde_tensor_contiguous(&slot->w, slot->parameter));
    return sonde_tensor_contiguous(&slot->g, gradient);
}

static void finish(sonde_optim_slot *slot)
{
    sonde_tensor_release(slot->w);
    sonde_tensor_release(slot->g);
    slot->w = slot->g = NULL;
}

static bool wanted(const sonde_optim_observer *observer, const sonde_tensor *parameter)
{
    return observer->updated && (!observer->wants || observer->wants(observer->context, parameter));
}

bool sonde_optimizer_is_observed(const sonde_optimizer *o, const sonde_tensor *parameter)
{
    bool any = false;
    for (const sonde_optim_observer *at = o->observers; at; at = at->next) any |= wanted(at, parameter);
    return any;
}

void sonde_optimizer_report(const sonde_optimizer *o, const sonde_tensor *parameter, const sonde_update_stats *stats)
{
    for (const sonde_optim_observer *at = o->observers; at; at = at->next)
        if (wanted(at, parameter)) at->updated(at->context, parameter, stats);
}

static sonde_status update(const sonde_optimizer *o, const sonde_optim_group *group, sonde_optim_slot *slot,
                           unsigned needs, void *scratch)
{
    sonde_update_stats stats = {0};
    sonde_update u = {.w = slot->w,
                      .g = slot->g,
                      .fresh = slot->fresh,
                      .step = slot->step + 1,
                      .option = group->option,
                      .number = &slot->number,
                      .scratch = scratch,
                      .stats = sonde_optimizer_is_observed(o, slot->parameter) ? &stats : NULL};
    for (int i = 0; needs >> i; i++)
        if (needs >> i & 1) u.buffer[i] = slot->buffer[i];
    o->rule->step(&u);
    slot->step++;
    slot->fresh &= ~needs;
    if (slot->w != slot->parameter)
        SONDE_TRY(sonde_tensor_copy_(slot->parameter, slot->w));
    else
        sonde_tensor_changed(slot->parameter);
    if (u.stats) sonde_optimizer_report(o, slot->parameter, &stats);
    return SONDE_OK;
}

/* What the most demanding parameter needs; one block serves them all. */
static sonde_status get_scratch(void **out, const sonde_optimizer *o)
{
    size_t most = 0;
    *out = NULL;
    for (int g = 0; o->rule->scratch && g < o->n_groups; g++) {
        for (int i = 0; i < o->groups[g].n; i++) {
            if (!o->groups[g].slots[i].g) continue;
            size_t bytes = o->rule->scratch(o->groups[g].slots[i].w);
            if (bytes > most) most = bytes;
        }
    }
    if (most > 0) *out = sonde_alloc(most);
    return most > 0 && !*out ? SONDE_ENOMEM : SONDE_OK;
}

static sonde_status step(sonde_optimizer *o)
{
    sonde_status status = SONDE_OK;
    for (int g = 0; g < o->n_groups && status == SONDE_OK; g++) {
        unsigned needs = o->rule->needs(o->groups[g].option);
        for (int i = 0; i < o->groups[g].n && status == SONDE_OK; i++) status = prepare(&o->groups[g].slots[i], needs);
    }
    void *scratch = NULL;
    if (status == SONDE_OK) status = get_scratch(&scratch, o);
    for (int g = 0; g < o->n_groups; g++) {
        const sonde_optim_group *group = &o->groups[g];
        unsigned needs = o->rule->needs(group->option);
        for (int i = 0; i < group->n; i++) {
            sonde_optim_slot *slot = &group->slots[i];
            if (status == SONDE_OK && slot->g) status = update(o, group, slot, needs, scratch);
            finish(slot);
        }
    }
    sonde_free(scratch);
    return status;
}

sonde_status sonde_optimizer_step_closure(sonde_optimizer *o, sonde_closure closure, void *context)
{
    const sonde_joint_rule *joint = o->rule->joint;
    double loss = 0;
    if (joint && !closure)
        return sonde_fail(SONDE_ESTATE, "%s: step needs a closure that computes the loss and its gradients",
                          o->rule->name);
    sonde_optimizer_retain(o); /* a hook may drop the last reference */
    sonde_status status = run_hooks(o, SONDE_STEP_BEFORE);
    if (status == SONDE_OK && closure) status = closure(context, &loss);
    if (status == SONDE_OK) status = run_hooks(o, SONDE_STEP_READY);
    if (status == SONDE_OK) status = joint ? joint->step(o, loss, closure, context) : step(o);
    for (sonde_optim_observer *at = o->observers, *next; status == SONDE_OK && at; at = next) {
        next = at->next;
        if (at->step_end) at->step_end(at->context, o);
    }
    if (status == SONDE_OK) status = run_hooks(o, SONDE_STEP_AFTER);
    sonde_optimizer_release(o);
    return status;
}

bool sonde_optimizer_needs_closure(const sonde_optimizer *o)
{
    return o->rule->joint != NULL;
}

sonde_status sonde_optimizer_step(sonde_optimizer *o)
{
    return sonde_optimizer_step_closure(o, NULL, NULL);
}

sonde_status sonde_optimizer_zero_grad(sonde_optimizer *o, bool set_to_none)
{
    for (int g = 0; g < o->n_groups; g++) {
        for (int i = 0; i < o->groups[g].n; i++) {
            sonde_tensor *p = o->groups[g].slots[i].parameter, *gradient = sonde_grad(p);
            if (!gradient) continue;
            SONDE_TRY(set_to_none ? sonde_set_grad(p, NULL) : sonde_tensor_fill_(gradient, 0));
        }
    }
    return SONDE_OK;
}
