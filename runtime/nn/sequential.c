#include "nn/nn.h"

/* y = child_n(… child_1(x)). The first child takes all inputs; from child to child only the first result goes on. */
static sonde_status forward(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    if (self->n_children == 0) {
        *out = *in;
        for (int i = 0; i < in->n; i++)
            if (in->t[i]) sonde_tensor_retain(in->t[i]);
        return SONDE_OK;
    }
    SONDE_TRY(sonde_module_call_child(self, 0, in, out));
    for (int i = 1; i < self->n_children; i++) {
        sonde_values passed = *out;
        if (passed.n == 0 || !passed.t[0]) {
            sonde_values_release(out);
            return sonde_fail(SONDE_ESTATE, "child '%s' returned nothing to pass on", self->children[i - 1].name);
        }
        sonde_values first = {.n = 1, .t = {passed.t[0]}};
        sonde_status status = sonde_module_call_child(self, i, &first, out);
        sonde_values_release(&passed);
        if (status != SONDE_OK) return status;
    }
    return SONDE_OK;
}

static const sonde_module_class sequential_class = {
    .name = "Sequential", .forward = forward, .max_in = SONDE_MAX_VALUES, .is_container = true};

sonde_status sonde_sequential_new(sonde_module **out)
{
    return sonde_module_new(out, &sequential_class, NULL);
}

sonde_status sonde_sequential_add(sonde_module *sequential, const char *name, sonde_module *m)
{
    if (name && sonde_module_child(sequential, name))
        return sonde_fail(SONDE_EARG, "%s has a child '%s' already", sequential->class->name, name);
    return sonde_module_set_child(sequential, name, m);
}
