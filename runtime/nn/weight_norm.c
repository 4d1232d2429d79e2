#include "autograd/formula.h"
#include "nn/internal.h"

#include <stdio.h>

typedef struct weight_norm_state {
    bool whole; /* one norm for all */
    int dim;    /* 0-based */
} weight_norm_state;

/* The norm over all axes but dim, which stay with size 1; of all elements: a tensor without axes. */
static sonde_tensor *norm_of(formula *f, sonde_tensor *v, const weight_norm_state *state)
{
    if (!v) return NULL;
    int axes[SONDE_MAX_DIMS], n = 0;
    for (int d = 0; d < v->ndim; d++)
        if (d != state->dim) axes[n++] = d;
    if (state->whole) return f_reshape(f, f_norm(f, v, 0, NULL), 0, NULL);
    if (n > 0) return f_norm(f, v, n, axes);
    return f_reshape(f, f_norm(f, f_unsqueeze(f, v, 1), 1, (int[]){1}), 1, v->shape); /* a vector: of each element */
}

/* w = g v/‖v‖ */
static sonde_status forward(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    sonde_tensor *g = in->t[0], *v = in->t[1];
    formula f = {0};
    sonde_tensor *w = f_mul(&f, v, f_div(&f, g, norm_of(&f, v, self->state)));
    SONDE_TRY(f_close(&f, &out->t[0], w));
    out->n = 1;
    return SONDE_OK;
}

static void describe(const sonde_module *self, char *text, size_t size)
{
    const weight_norm_state *state = self->state;
    if (state->whole)
        snprintf(text, size, "dim=false");
    else
        snprintf(text, size, "dim=%d", state->dim + 1);
}

static const sonde_module_class weight_norm_class = {
    .name = "WeightNorm", .forward = forward, .describe = describe, .min_in = 2, .max_in = 2, .is_container = true};

static sonde_status attach(sonde_module *m, const char *name, sonde_tensor *v, const weight_norm_state *options)
{
    weight_norm_state *state = sonde_alloc(sizeof *state);
    if (!state) return SONDE_ENOMEM;
    *state = *options;
    sonde_module *norm = NULL;
    sonde_status status = sonde_module_new(&norm, &weight_norm_class, state);
    if (status != SONDE_OK) {
        sonde_free(state);
        return status;
    }
    formula f = {0};
    sonde_tensor *plain = f_detach(&f, v), *g = norm_of(&f, plain, state);
    if (f.status == SONDE_OK) f.status = sonde_parametrize(m, name, norm, 2, (sonde_tensor *[]){g, plain});
    status = f_close(&f, NULL, NULL);
    sonde_module_release(norm);
    return status;
}

sonde_status sonde_weight_norm(sonde_module *m, const char *name, const int *dim)
{
    sonde_tensor *v;
    weight_norm_state state = {.whole = !dim};
    SONDE_TRY(sonde_parametrize_find(&v, m, name));
    if (sonde_is_parametrized(m, name))
        return sonde_fail(SONDE_EARG,
                          "'%s' of %s is parametrised already: weight_norm comes first, for it has two originals", name,
                          m->class->name);
    if (dim) SONDE_TRY(sonde_axis(&state.dim, *dim, v->ndim));
    return attach(m, name, v, &state);
}
