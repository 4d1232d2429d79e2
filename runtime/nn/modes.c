/* What is done to every module or parameter of a tree at once. */
#include "nn/internal.h"

static sonde_status set_training(void *context, const char *path, sonde_module *m)
{
    m->training = *(const bool *)context;
    return SONDE_OK;
}

sonde_status sonde_module_train(sonde_module *root, bool training)
{
    return sonde_module_visit(root, set_training, &training);
}

static sonde_status clear_grad(void *context, const char *path, sonde_module *owner, const sonde_parameter *p)
{
    return sonde_set_grad(p->tensor, NULL);
}

sonde_status sonde_module_zero_grad(sonde_module *root)
{
    return sonde_module_visit_parameters(root, false, clear_grad, NULL);
}

static sonde_status set_requires_grad(void *context, const char *path, sonde_module *owner, const sonde_parameter *p)
{
    return sonde_requires_grad_(p->tensor, *(const bool *)context);
}

sonde_status sonde_module_requires_grad_(sonde_module *root, bool flag)
{
    return sonde_module_visit_parameters(root, false, set_requires_grad, &flag);
}

/* ---- conversion ------------------------------------------------------------------------------------------ */

/* One tensor's new self, made before anything changes, so that a failure changes nothing. */
typedef struct conversion {
    sonde_tensor *tensor, *converted, *gradient; /* the gradient converted, or NULL */
} conversion;

typedef struct conversions {
    sonde_dtype dtype;
    conversion *items;
    int n, capacity;
} conversions;

static sonde_status convert(void *context, const char *path, sonde_module *owner, const sonde_parameter *p)
{
    conversions *all = context;
    if (!sonde_dtype_is_float(p->tensor->dtype) || p->tensor->dtype == all->dtype) return SONDE_OK;
    if (all->n == all->capacity) {
        int capacity = all->capacity ? 2 * all->capacity : 16;
        conversion *larger = sonde_realloc(all->items, (size_t)capacity * sizeof *larger);
        if (!larger) return SONDE_ENOMEM;
        all->items = larger;
        all->capacity = capacity;
    }
    conversion *item = &all->items[all->n++];
    *item = (conversion){.tensor = p->tensor};
    SONDE_TRY(sonde_tensor_to(&item->converted, p->tensor, all->dtype));
    sonde_tensor *gradient = sonde_grad(p->tensor);
    return gradient ? sonde_tensor_to(&item->gradient, gradient, all->dtype) : SONDE_OK;
}

/* The tensor object stays; its insides change places with the converted one's, which dies with the old storage. */
static sonde_status exchange(conversion *item)
{
    SONDE_TRY(sonde_set_grad(item->tensor, NULL));
    sonde_tensor_exchange(item->tensor, item->converted);
    return item->gradient ? sonde_set_grad(item->tensor, item->gradient) : SONDE_OK;
}

sonde_status sonde_module_to(sonde_module *root, sonde_dtype dtype)
{
    if (!sonde_dtype_is_float(dtype))
        return sonde_fail(SONDE_EDTYPE, "a module's parameters are float32 or float64, not %s",
                          sonde_dtype_name(dtype));
    conversions all = {.dtype = dtype};
    sonde_status status = sonde_module_visit_parameters(root, false, convert, &all);
    if (status == SONDE_OK) status = sonde_module_visit_parameters(root, true, convert, &all);
    for (int i = 0; i < all.n; i++) {
        if (status == SONDE_OK) status = exchange(&all.items[i]);
        sonde_tensor_release(all.items[i].converted);
        sonde_tensor_release(all.items[i].gradient);
    }
    sonde_free(all.items);
    return status;
}
