/* Activations: facts, and the choice of the loop for the element type. */
#include "kernel/kernel.h"
#include "kernel/real/kernels.h"

#include <math.h>

sonde_activation_facts sonde_activation_facts_of(const sonde_activation *activation)
{
    double a = activation->a;
    switch (activation->kind) {
    case SONDE_SIGMOID:
        return (sonde_activation_facts){"sigmoid", 0.25, true};
    case SONDE_TANH:
        return (sonde_activation_facts){"tanh", 1, true};
    case SONDE_RELU:
        return (sonde_activation_facts){"relu", 1, false};
    case SONDE_LEAKY_RELU:
        return (sonde_activation_facts){"leaky_relu", fmax(1, fabs(a)), false};
    case SONDE_ELU:
        return (sonde_activation_facts){"elu", fmax(1, fabs(a)), false}; /* a e^x, x <= 0 */
    case SONDE_SELU:
        return (sonde_activation_facts){"selu", 1.7580993408473766, false}; /* scale alpha, at 0 */
    case SONDE_GELU:
        return (sonde_activation_facts){"gelu", 1.1289041451851548, false}; /* at sqrt(2) */
    case SONDE_GELU_TANH:
        return (sonde_activation_facts){"gelu_tanh", 1.1289930686587712, false};
    case SONDE_SILU:
        return (sonde_activation_facts){"silu", 1.0998393201288669, false}; /* at 2.39936 */
    case SONDE_SOFTPLUS:
        return (sonde_activation_facts){"softplus", 1, false};
    case SONDE_SOFTSIGN:
        return (sonde_activation_facts){"softsign", 1, true};
    case SONDE_HARDTANH:
        return (sonde_activation_facts){"hardtanh", 1, true};
    case SONDE_CELU:
        return (sonde_activation_facts){"celu", 1, false}; /* e^(x/a), x <= 0 */
    case SONDE_MISH:
        return (sonde_activation_facts){"mish", 1.0884981612517279, false}; /* at 1.49057 */
    case SONDE_HARDSIGMOID:
        return (sonde_activation_facts){"hardsigmoid", 1.0 / 6, true};
    case SONDE_HARDSWISH:
        return (sonde_activation_facts){"hardswish", 1.5, false}; /* just below 3 */
    case SONDE_LOGSIGMOID:
        return (sonde_activation_facts){"logsigmoid", 1, false};
    case SONDE_THRESHOLD:
        return (sonde_activation_facts){"threshold", 1, false};
    case SONDE_TANHSHRINK:
        return (sonde_activation_facts){"tanhshrink", 1, false};
    case SONDE_SINE:
        return (sonde_activation_facts){"sin", 1, true};
    default:
        return (sonde_activation_facts){"unknown", (double)NAN, false};
    }
}

/* A LeakyReLU's output has its input's sign as long as its slope is not negative. */
bool sonde_activation_uses_output(const sonde_activation *activation)
{
    switch (activation->kind) {
    case SONDE_SIGMOID:
    case SONDE_TANH:
    case SONDE_RELU:
    case SONDE_HARDTANH:
        return true;
    case SONDE_LEAKY_RELU:
        return activation->a >= 0;
    default:
        return false;
    }
}

void sonde_activation_forward(const sonde_activation *activation, sonde_dtype dtype, void *y, const void *x, size_t n)
{
    if (dtype == SONDE_FLOAT32)
        sonde_activation_forward_f32(activation, y, x, n);
    else
        sonde_activation_forward_f64(activation, y, x, n);
}

void sonde_activation_backward(const sonde_activation *activation, sonde_dtype dtype, void *dx, const void *dy,
                               const void *x, const void *y, size_t n, bool add)
{
    const void *v = sonde_activation_uses_output(activation) ? y : x;
    if (dtype == SONDE_FLOAT32)
        sonde_activation_backward_f32(activation, dx, dy, v, n, add);
    else
        sonde_activation_backward_f64(activation, dx, dy, v, n, add);
}

void sonde_activation_slope(const sonde_activation *activation, sonde_dtype dtype, void *slope, const void *x, size_t n)
{
    const void *v = x;
    if (sonde_activation_uses_output(activation)) {
        sonde_activation_forward(activation, dtype, slope, x, n);
        v = slope;
    }
    if (dtype == SONDE_FLOAT32)
        sonde_activation_slope_f32(activation, slope, v, n);
    else
        sonde_activation_slope_f64(activation, slope, v, n);
}
