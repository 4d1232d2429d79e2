#include "autograd/node.h"

/* What a tensor's user sees of its gradient. */

bool sonde_is_leaf(const sonde_tensor *t) { return !t->autograd || !t->autograd->node; }

const char *sonde_grad_op_name(const sonde_tensor *t) { return sonde_is_leaf(t) ? NULL : t->autograd->node->op->name; }

sonde_status sonde_requires_grad_(sonde_tensor *t, bool flag)
{
    if (flag && !sonde_dtype_is_float(t->dtype))
        return sonde_fail(SONDE_EDTYPE, "only float tensors can require a gradient, this one is %s",
                          sonde_dtype_name(t->dtype));
    if (!flag && !sonde_is_leaf(t))
        return sonde_fail(SONDE_ESTATE, "requires_grad can be switched off for leaves only; this tensor is the result of "
                          "'%s': detach it", sonde_grad_op_name(t));
    if (flag && !sonde_value_of(t)) return SONDE_ENOMEM;
    t->requires_grad = flag;
    return SONDE_OK;
}

sonde_tensor *sonde_grad(const sonde_tensor *t) { return t->autograd ? t->autograd->grad : NULL; }

sonde_status sonde_set_grad(sonde_tensor *t, sonde_tensor *gradient)
{
    sonde_tensor *plain = NULL;
    if (!gradient && !t->autograd) return SONDE_OK;
    if (gradient) {
        if (gradient->dtype != t->dtype || !sonde_tensor_same_shape(gradient, t)) {
            char got[SONDE_SHAPE_TEXT], want[SONDE_SHAPE_TEXT];
            return sonde_fail(SONDE_ESHAPE, "a gradient must be %s of shape %s like its tensor, got %s of shape %s",
                              sonde_dtype_name(t->dtype), sonde_shape_text(want, t->ndim, t->shape),
                              sonde_dtype_name(gradient->dtype),
                              sonde_shape_text(got, gradient->ndim, gradient->shape));
        }
        SONDE_TRY(sonde_plain(&plain, gradient));
    }
    sonde_value *value = sonde_value_of(t);
    if (!value) {
        sonde_tensor_release(plain);
        return SONDE_ENOMEM;
    }
    sonde_tensor_release(value->grad);
    value->grad = plain;
    return SONDE_OK;
}

sonde_status sonde_retain_grad(sonde_tensor *t)
{
    if (!t->requires_grad)
        return sonde_fail(SONDE_ESTATE, "retain_grad of a tensor that does not require a gradient");
    if (!sonde_is_leaf(t)) t->autograd->retain_grad = true;
    return SONDE_OK;
}

sonde_status sonde_detach(sonde_tensor **out, sonde_tensor *t)
{
    return sonde_tensor_as_strided(out, t, t->ndim, t->shape, t->stride, t->offset);
}

sonde_status sonde_detach_(sonde_tensor *t)
{
    sonde_value *value = t->autograd;
    sonde_tensor *base = t->base;
    t->requires_grad = false;
    t->autograd = NULL;
    t->base = NULL;
    sonde_value_release(value);
    sonde_tensor_release(base);
    return SONDE_OK;
}

/* ---- hooks and watchers --------------------------------------------------------------------------------- */

sonde_status sonde_add_grad_hook(sonde_tensor *t, sonde_grad_hook hook, void *context, void (*free_context)(void *),
                                 sonde_handle **out)
{
    if (!t->requires_grad)
        return sonde_fail(SONDE_ESTATE, "a gradient hook on a tensor that does not require a gradient");
    sonde_value *value = sonde_value_of(t);
    if (!value) return SONDE_ENOMEM;
    return sonde_hooks_add(&value->hooks, (sonde_callback)hook, context, free_context, out);
}

sonde_status sonde_watch_grad(sonde_tensor *t, sonde_grad_watcher watcher, void *context,
                              void (*free_context)(void *), sonde_handle **out)
{
    sonde_value *value = sonde_value_of(t);
    if (!value) return SONDE_ENOMEM;
    return sonde_hooks_add(&value->watchers, (sonde_callback)watcher, context, free_context, out);
}

void *sonde_watch_context(const sonde_tensor *t, sonde_grad_watcher watcher, int k)
{
    const sonde_handle *h = t->autograd ? t->autograd->watchers.first : NULL;
    for (; h; h = h->next)
        if (!h->removed && h->callback == (sonde_callback)watcher && k-- == 0) return h->context;
    return NULL;
}

sonde_status sonde_clone_value(sonde_tensor **out, const sonde_tensor *t)
{
    SONDE_TRY(sonde_tensor_clone(out, t));
    if (!t->autograd) return SONDE_OK;
    (*out)->autograd = sonde_value_retain(t->autograd);
    (*out)->requires_grad = t->requires_grad;
    return SONDE_OK;
}
