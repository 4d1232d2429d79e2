/* A call between hooks: pre-hooks, forward, hooks, watchers. */
#include "nn/internal.h"

struct sonde_module_hooks *sonde_module_hooks_of(sonde_module *m)
{
    if (!m->hooks) m->hooks = sonde_alloc_zeroed(sizeof *m->hooks);
    return m->hooks;
}

sonde_status sonde_module_add_forward_pre_hook(sonde_module *m, sonde_forward_pre_hook hook, void *context,
                                               void (*free_context)(void *), sonde_handle **out)
{
    if (!sonde_module_hooks_of(m)) return SONDE_ENOMEM;
    return sonde_hooks_add(&m->hooks->forward_pre, (sonde_callback)hook, context, free_context, out);
}

sonde_status sonde_module_add_forward_hook(sonde_module *m, sonde_forward_hook hook, void *context,
                                           void (*free_context)(void *), sonde_handle **out)
{
    if (!sonde_module_hooks_of(m)) return SONDE_ENOMEM;
    return sonde_hooks_add(&m->hooks->forward, (sonde_callback)hook, context, free_context, out);
}

sonde_status sonde_module_add_backward_hook(sonde_module *m, sonde_backward_hook hook, void *context,
                                            void (*free_context)(void *), sonde_handle **out)
{
    if (!sonde_module_hooks_of(m)) return SONDE_ENOMEM;
    return sonde_hooks_add(&m->hooks->backward, (sonde_callback)hook, context, free_context, out);
}

sonde_status sonde_module_watch(sonde_module *m, sonde_module_watcher watcher, void *context,
                                void (*free_context)(void *), sonde_handle **out)
{
    if (!sonde_module_hooks_of(m)) return SONDE_ENOMEM;
    return sonde_hooks_add(&m->hooks->watch, (sonde_callback)watcher, context, free_context, out);
}

uint64_t sonde_module_began(const sonde_module *m) { return m->hooks ? m->hooks->began : 0; }

void sonde_module_hooks_free(struct sonde_module_hooks *hooks)
{
    sonde_hooks_clear(&hooks->forward_pre);
    sonde_hooks_clear(&hooks->forward);
    sonde_hooks_clear(&hooks->backward);
    sonde_hooks_clear(&hooks->watch);
    sonde_hooks_clear(&hooks->skip);
    sonde_free(hooks);
}

static sonde_values retain_values(const sonde_values *values)
{
    for (int i = 0; i < values->n; i++)
        if (values->t[i]) sonde_tensor_retain(values->t[i]);
    return *values;
}

/* The values a hook asked for take the place of those there were. */
static void replace(sonde_values *values, const sonde_values *replacement)
{
    sonde_values_release(values);
    *values = *replacement;
}

static sonde_status run_pre_hooks(sonde_module *m, sonde_values *in)
{
    sonde_hook_walk walk = sonde_hooks_walk(&m->hooks->forward_pre);
    sonde_status status = SONDE_OK;
    for (sonde_handle *h; status == SONDE_OK && (h = sonde_hooks_next(&walk));) {
        sonde_values replacement = {0};
        bool replaced = false;
        status = ((sonde_forward_pre_hook)h->callback)(h->context, m, in, &replacement, &replaced);
        if (status == SONDE_OK && replaced) replace(in, &replacement);
    }
    sonde_hooks_end(&walk);
    return status;
}

static sonde_status run_hooks(sonde_module *m, const sonde_values *in, sonde_values *out)
{
    sonde_hook_walk walk = sonde_hooks_walk(&m->hooks->forward);
    sonde_status status = SONDE_OK;
    for (sonde_handle *h; status == SONDE_OK && (h = sonde_hooks_next(&walk));) {
        sonde_values replacement = {0};
        bool replaced = false;
        status = ((sonde_forward_hook)h->callback)(h->context, m, in, out, &replacement, &replaced);
        if (status == SONDE_OK && replaced) replace(out, &replacement);
    }
    sonde_hooks_end(&walk);
    return status;
}

static void run_watchers(sonde_module *m, const sonde_values *in, const sonde_values *out)
{
    sonde_hook_walk walk = sonde_hooks_walk(&m->hooks->watch);
    for (sonde_handle *h; (h = sonde_hooks_next(&walk));) ((sonde_module_watcher)h->callback)(h->context, m, in, out);
    sonde_hooks_end(&walk);
}

/* What watchers are shown as the input: `in`, but a copy of its first where forward is about to overwrite that. */
static sonde_status keep_input(sonde_module *m, const sonde_values *in, sonde_values *kept)
{
    *kept = retain_values(in);
    if (m->hooks->watch.n == 0 || !m->class->inplace || !m->class->inplace(m)) return SONDE_OK;
    sonde_tensor *copy;
    SONDE_TRY(sonde_clone_value(&copy, in->t[0]));
    sonde_tensor_release(kept->t[0]);
    kept->t[0] = copy;
    return SONDE_OK;
}

/* forward and its hooks; on failure out may hold values, which the caller releases. */
static sonde_status run(sonde_module *m, sonde_values *in, sonde_values *out)
{
    struct sonde_module_hooks *hooks = m->hooks;
    sonde_hooked_call *hooked = NULL;
    sonde_values passed = retain_values(in);
    sonde_status status = SONDE_OK;
    if (hooks->backward.n > 0 && sonde_grad_enabled()) status = sonde_hooked_call_begin(&hooked, m, &passed);
    if (status == SONDE_OK) status = m->class->forward(m, &passed, out);
    if (status == SONDE_OK && hooked) status = sonde_hooked_call_write_back(hooked, in, &passed, out);
    if (status == SONDE_OK && hooks->forward.n > 0) status = run_hooks(m, in, out);
    if (status == SONDE_OK && hooked) status = sonde_hooked_call_end(hooked, out);
    sonde_hooked_call_release(hooked);
    sonde_values_release(&passed);
    return status;
}

sonde_status sonde_module_call_hooked(sonde_module *m, const sonde_values *in, sonde_values *out)
{
    sonde_values arguments = retain_values(in), kept = {0};
    sonde_status status = SONDE_OK;
    if (m->hooks->forward_pre.n > 0) {
        status = run_pre_hooks(m, &arguments);
        if (status == SONDE_OK) status = sonde_module_check_arguments(m, &arguments);
    }
    if (status == SONDE_OK) status = keep_input(m, &arguments, &kept);
    const uint64_t began = sonde_tape_position();
    if (status == SONDE_OK) status = run(m, &arguments, out);
    m->hooks->began = began; /* it may have called itself */
    if (status == SONDE_OK && m->hooks->watch.n > 0) run_watchers(m, &kept, out);
    if (status != SONDE_OK) sonde_values_release(out);
    sonde_values_release(&kept);
    sonde_values_release(&arguments);
    return status;
}
