/* Element-wise activations as modules. Their maths is kernel.h's. */
#include "nn/internal.h"

#include <stdio.h>
#include <string.h>

typedef struct activation_state {
    sonde_activation activation;
    bool inplace;
} activation_state;

/* A class, the kinds it takes (the first is its default), its parameters' defaults and names. */
struct row {
    sonde_module_class class;
    sonde_activation_kind kind, other;
    double a, b;
    const char *names[2];
};

static const struct row *row_of(const sonde_module *m)
{
    return (const struct row *)(const void *)m->class; /* its first member */
}

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
    const struct row *row = row_of(self);
    const double values[2] = {state->activation.a, state->activation.b};
    char number[32];
    size_t length = 0;
    for (int i = 0; i < 2 && row->names[i]; i++)
        length += (size_t)snprintf(text + length, size - length, "%s%s=%s", i ? ", " : "", row->names[i],
                                   sonde_nn_number(number, values[i]));
    if (row->kind == SONDE_GELU)
        length += (size_t)snprintf(text + length, size - length, "approximate='%s'",
                                   state->activation.kind == SONDE_GELU_TANH ? "tanh" : "none");
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

static const struct row rows[] = {
    {ACTIVATION("Sigmoid"), SONDE_SIGMOID, SONDE_SIGMOID, 0, 0, {NULL}},
    {ACTIVATION("Tanh"), SONDE_TANH, SONDE_TANH, 0, 0, {NULL}},
    {ACTIVATION("ReLU"), SONDE_RELU, SONDE_RELU, 0, 0, {NULL}},
    {ACTIVATION("LeakyReLU"), SONDE_LEAKY_RELU, SONDE_LEAKY_RELU, 0.01, 0, {"negative_slope"}},
    {ACTIVATION("ELU"), SONDE_ELU, SONDE_ELU, 1, 0, {"alpha"}},
    {ACTIVATION("SELU"), SONDE_SELU, SONDE_SELU, 0, 0, {NULL}},
    {ACTIVATION("GELU"), SONDE_GELU, SONDE_GELU_TANH, 0, 0, {NULL}},
    {ACTIVATION("SiLU"), SONDE_SILU, SONDE_SILU, 0, 0, {NULL}},
    {ACTIVATION("Softplus"), SONDE_SOFTPLUS, SONDE_SOFTPLUS, 1, 20, {"beta", "threshold"}},
    {ACTIVATION("Softsign"), SONDE_SOFTSIGN, SONDE_SOFTSIGN, 0, 0, {NULL}},
    {ACTIVATION("Hardtanh"), SONDE_HARDTANH, SONDE_HARDTANH, -1, 1, {"min_val", "max_val"}},
    {ACTIVATION("ReLU6"), SONDE_HARDTANH, SONDE_HARDTANH, 0, 6, {NULL}},
    {ACTIVATION("CELU"), SONDE_CELU, SONDE_CELU, 1, 0, {"alpha"}},
    {ACTIVATION("Mish"), SONDE_MISH, SONDE_MISH, 0, 0, {NULL}},
    {ACTIVATION("Hardsigmoid"), SONDE_HARDSIGMOID, SONDE_HARDSIGMOID, 0, 0, {NULL}},
    {ACTIVATION("Hardswish"), SONDE_HARDSWISH, SONDE_HARDSWISH, 0, 0, {NULL}},
    {ACTIVATION("LogSigmoid"), SONDE_LOGSIGMOID, SONDE_LOGSIGMOID, 0, 0, {NULL}},
    {ACTIVATION("Threshold"), SONDE_THRESHOLD, SONDE_THRESHOLD, 0, 0, {"threshold", "value"}},
    {ACTIVATION("Tanhshrink"), SONDE_TANHSHRINK, SONDE_TANHSHRINK, 0, 0, {NULL}},
    {ACTIVATION("Sin"), SONDE_SINE, SONDE_SINE, 0, 0, {NULL}},
};

bool sonde_activation_module_facts(sonde_activation_facts *out, const sonde_module *m)
{
    const sonde_activation *activation = m->class->activation ? m->class->activation(m) : NULL;
    if (!activation && !m->class->facts) return false;
    *out = activation ? sonde_activation_facts_of(activation) : m->class->facts(m);
    return true;
}

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
    if ((activation->kind == SONDE_SOFTPLUS || activation->kind == SONDE_CELU) && !(activation->a > 0))
        return sonde_fail(SONDE_EARG, "%s: %s must be positive, got %g", name, row->names[0], activation->a);
    activation_state *state = sonde_alloc(sizeof *state);
    if (!state) return SONDE_ENOMEM;
    *state = (activation_state){*activation, in_place};
    sonde_status status = sonde_module_new(out, &row->class, state);
    if (status != SONDE_OK) sonde_free(state);
    return status;
}
