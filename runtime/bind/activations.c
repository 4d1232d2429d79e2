/* The table of activations: Lua names, arguments and their defaults (PyTorch's). */
#include "bind/activations.h"

#include <string.h>

const sonde_bind_activation sonde_bind_activations[] = {
    {"sigmoid", "Sigmoid", {SONDE_SIGMOID, 0, 0}, {NULL}},
    {"tanh", "Tanh", {SONDE_TANH, 0, 0}, {NULL}},
    {"relu", "ReLU", {SONDE_RELU, 0, 0}, {"inplace"}},
    {"leaky_relu", "LeakyReLU", {SONDE_LEAKY_RELU, 0.01, 0}, {"negative_slope", "inplace"}},
    {"elu", "ELU", {SONDE_ELU, 1.0, 0}, {"alpha", "inplace"}},
    {"selu", "SELU", {SONDE_SELU, 0, 0}, {"inplace"}},
    {"gelu", "GELU", {SONDE_GELU, 0, 0}, {"approximate"}},
    {"silu", "SiLU", {SONDE_SILU, 0, 0}, {"inplace"}},
    {"softplus", "Softplus", {SONDE_SOFTPLUS, 1.0, 20.0}, {"beta", "threshold"}},
    {"softsign", "Softsign", {SONDE_SOFTSIGN, 0, 0}, {NULL}},
    {"hardtanh", "Hardtanh", {SONDE_HARDTANH, -1.0, 1.0}, {"min_val", "max_val", "inplace"}},
    {"relu6", "ReLU6", {SONDE_HARDTANH, 0.0, 6.0}, {"inplace"}},
    {"celu", "CELU", {SONDE_CELU, 1.0, 0}, {"alpha", "inplace"}},
    {"mish", "Mish", {SONDE_MISH, 0, 0}, {"inplace"}},
    {"hardsigmoid", "Hardsigmoid", {SONDE_HARDSIGMOID, 0, 0}, {"inplace"}},
    {"hardswish", "Hardswish", {SONDE_HARDSWISH, 0, 0}, {"inplace"}},
    {"logsigmoid", "LogSigmoid", {SONDE_LOGSIGMOID, 0, 0}, {NULL}},
    {"threshold", "Threshold", {SONDE_THRESHOLD, 0, 0}, {"threshold", "value", "inplace"}},
    {"tanhshrink", "Tanhshrink", {SONDE_TANHSHRINK, 0, 0}, {NULL}},
    {NULL, "Sin", {SONDE_SINE, 0, 0}, {NULL}},
    {NULL, NULL, {SONDE_ACTIVATION_COUNT, 0, 0}, {NULL}},
};

static int count_numbers(const sonde_bind_activation *row)
{
    int n = 0;
    while (row->names[n] != NULL && strcmp(row->names[n], "inplace") != 0) n++;
    return n;
}

sonde_activation sonde_bind_arg_activation(const sonde_bind_args *args, const sonde_bind_activation *row)
{
    sonde_activation activation = row->activation;
    int n = count_numbers(row);
    if (activation.kind == SONDE_GELU) {
        static const char *const forms[] = {"none", "tanh", NULL};
        if (sonde_bind_opt_choice(args, 0, 0, forms) == 1) activation.kind = SONDE_GELU_TANH;
        return activation;
    }
    if (activation.kind == SONDE_THRESHOLD) { /* has no defaults */
        activation.a = sonde_bind_arg_number(args, 0);
        activation.b = sonde_bind_arg_number(args, 1);
        return activation;
    }
    if (n > 0) activation.a = sonde_bind_opt_number(args, 0, activation.a);
    if (n > 1) activation.b = sonde_bind_opt_number(args, 1, activation.b);
    if (activation.kind == SONDE_HARDTANH && !(activation.a < activation.b)) {
        sonde_bind_arg_fail(args, 1, "expected more than min_val = %g, got %g", activation.a, activation.b);
    }
    if ((activation.kind == SONDE_SOFTPLUS || activation.kind == SONDE_CELU) && !(activation.a > 0.0)) {
        sonde_bind_arg_fail(args, 0, "expected a positive number, got %g", activation.a);
    }
    return activation;
}

bool sonde_bind_arg_inplace(const sonde_bind_args *args, const sonde_bind_activation *row)
{
    int n = count_numbers(row);
    return row->names[n] != NULL && sonde_bind_opt_boolean(args, n, false);
}
