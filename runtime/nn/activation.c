/* Element-wise activations as modules. Their maths is kernel.h's. */
#include "nn/internal.h"

#include <stdio.h>
#include <string.h>

typedef struct activation_state {
    sonde_activation activation;
    bool inplace;
} activation_state;

static sonde_status forward(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    const activation_state *state = self->state;
    if (state->inplace) {
        SONDE_TRY(sonde_activate_(&state->activation, in->t[0]));
        out->t[0] = sonde_tensor_retain(in->t[0]);
    } else {
        SONDE_TRY(sonde_activate(&out->t[0], &state->activation, in->t[0]));
    }
    out->n = 1;
    return SONDE_OK;
}

static void describe(const sonde_module *self, char *text, size_t size)
{
    const activation_state *state = self->state;
    const sonde_activation *f = &state->activation;
    char a[32], b[32];
    sonde_nn_number(a, f->a);
    sonde_nn_number(b, f->b);
    switch (f->kind) {
    case SONDE_LEAKY_RELU:
        snprintf(text, size, "negative_slope=%s", a);
        break;
    case SONDE_ELU:
        snprintf(text, size, "alpha=%s", a);
        break;
    case SONDE_GELU:
        snprintf(text, size, "approximate='none'");
        break;
    case SONDE_GELU_TANH:
        snprintf(text, size, "approximate='tanh'");
        break;
    case SONDE_SOFTPLUS:
        snprintf(text, size, "beta=%s, threshold=%s", a, b);
        break;
    case SONDE_HARDTANH:
        snprintf(text, size, "min_val=%s, max_val=%s", a, b);
        break;
    default:
        break;
    }
    size_t length = strlen(text);
    if (state->inplace) snprintf(text + length, size - length, "%sinplace=true", length ? ", " : "");
}

static const sonde_activation *activation_of(const sonde_module *self)
{
    const activation_state *state = self->state;
    return &state->activation;
}

static bool inplace(const sonde_module *self)
{
    const activation_state *state = self->state;
    return state->inplace;
}

#define ACTIVATION(class_name)                                                                                         \
    {                                                                                                                  \
        .name = class_name, .forward = forward, .describe = describe, .activation = activation_of, .inplace = inplace  \
    }

/* A class, the kinds it takes (the first is its default) and its parameters' defaults. */
static const struct row {
    sonde_module_class class;
    sonde_activation_kind kind, other;
    double a, b;
} rows[] = {
    {ACTIVATION("Sigmoid"), SONDE_SIGMOID, SONDE_SIGMOID, 0, 0},
    {ACTIVATION("Tanh"), SONDE_TANH, SONDE_TANH, 0, 0},
    {ACTIVATION("ReLU"), SONDE_RELU, SONDE_RELU, 0, 0},
    {ACTIVATION("LeakyReLU"), SONDE_LEAKY_RELU, SONDE_LEAKY_RELU, 0.01, 0},
    {ACTIVATION("ELU"), SONDE_ELU, SONDE_ELU, 1, 0},
    {ACTIVATION("SELU"), SONDE_SELU, SONDE_SELU, 0, 0},
    {ACTIVATION("GELU"), SONDE_GELU, SONDE_GELU_TANH, 0, 0},
    {ACTIVATION("SiLU"), SONDE_SILU, SONDE_SILU, 0, 0},
    {ACTIVATION("Softplus"), SONDE_SOFTPLUS, SONDE_SOFTPLUS, 1, 20},
    {ACTIVATION("Softsign"), SONDE_SOFTSIGN, SONDE_SOFTSIGN, 0, 0},
    {ACTIVATION("Hardtanh"), SONDE_HARDTANH, SONDE_HARDTANH, -1, 1},
};

/* NULL, with the message set, if there is none. */
static const struct row *find_row(const char *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].class.name, name) == 0) return &rows[i];
    char list[256] = "";
    size_t length = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        length += (size_t)snprintf(list + length, sizeof list - length, "%s%s", i ? ", " : "", rows[i].class.name);
    sonde_fail(SONDE_EARG, "there is no activation '%s'; there are %s", name, list);
    return NULL;
}

sonde_status sonde_activation_default(const char *name, sonde_activation *out)
{
    const struct row *row = find_row(name);
    if (!row) return SONDE_EARG;
    *out = (sonde_activation){row->kind, row->a, row->b};
    return SONDE_OK;
}

sonde_status sonde_activation_module_new(sonde_module **out, const char *name, const sonde_activation *activation,
                                         bool in_place)
{
    const struct row *row = find_row(name);
    if (!row) return SONDE_EARG;
    if (activation->kind != row->kind && activation->kind != row->other)
        return sonde_fail(SONDE_EARG, "%s cannot compute %s", name, sonde_activation_facts_of(activation).name);
    if (activation->kind == SONDE_HARDTANH && !(activation->a < activation->b))
        return sonde_fail(SONDE_EARG, "Hardtanh: min_val must be below max_val, got %g and %g", activation->a,
                          activation->b);
    if (activation->kind == SONDE_SOFTPLUS && !(activation->a > 0))
        return sonde_fail(SONDE_EARG, "Softplus: beta must be positive, got %g", activation->a);
    activation_state *state = sonde_alloc(sizeof *state);
    if (!state) return SONDE_ENOMEM;
    *state = (activation_state){*activation, in_place};
    sonde_status status = sonde_module_new(out, &row->class, state);
    if (status != SONDE_OK) sonde_free(state);
    return status;
}
