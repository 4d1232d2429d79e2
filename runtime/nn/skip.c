#include "nn/internal.h"

const char *const *sonde_skip_names(const sonde_module *m) { return m->class->skips; }

/* The skip's alias is made first: its node runs last, and adds to a sum that is the branch's own. */
sonde_status sonde_skip_fork(sonde_skip *out, sonde_tensor *x)
{
    *out = (sonde_skip){.index = 0};
    if (!x->requires_grad || !sonde_grad_enabled()) {
        out->skip = sonde_tensor_retain(x);
        out->branch = sonde_tensor_retain(x);
        return SONDE_OK;
    }
    SONDE_TRY(sonde_view(&out->skip, x, x->ndim, x->shape));
    const sonde_status status = sonde_view(&out->branch, x, x->ndim, x->shape);
    if (status != SONDE_OK) sonde_skip_release(out);
    return status;
}

void sonde_skip_release(sonde_skip *skip)
{
    sonde_tensor_release(skip->skip);
    sonde_tensor_release(skip->branch);
    skip->skip = skip->branch = NULL;
}

void sonde_skip_show(sonde_module *m, const sonde_skip *skip)
{
    if (!m->hooks || m->hooks->skip.n == 0) return;
    sonde_hook_walk walk = sonde_hooks_walk(&m->hooks->skip);
    for (sonde_handle *h; (h = sonde_hooks_next(&walk));) ((sonde_skip_watcher)h->callback)(h->context, m, skip);
    sonde_hooks_end(&walk);
}

sonde_status sonde_skip_watch(sonde_module *m, sonde_skip_watcher watcher, void *context, void (*free_context)(void *),
                              sonde_handle **out)
{
    if (!m->class->skips) return sonde_fail(SONDE_EARG, "%s is no block with a skip", m->class->name);
    struct sonde_module_hooks *hooks = sonde_module_hooks_of(m);
    if (!hooks) return SONDE_ENOMEM;
    return sonde_hooks_add(&hooks->skip, (sonde_callback)watcher, context, free_context, out);
}
