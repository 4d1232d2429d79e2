/* Activations: facts, and the choice of the loop for the element type. */
#include "kernel/kernel.h"
#include "kernel/real/kernels.h"

#include <math.h>

static const double NEVER = HUGE_VAL;
static const double LOG_20 = 2.9957322735539909934; /* e^-x < 1/20 beyond */
static const double LOG_19 = 2.9444389791664404600; /* the logistic of -x < 1/20 beyond */

/* Slope 1 above 0 and, just below it, `slope`; e^(rate x) times that further down. */
static sonde_activation_facts kinked(const char *name, double slope, double rate)
{
    const double below = fabs(slope), most = fmax(1, below);
    sonde_activation_facts facts = {.name = name, .max_slope = most, .lower = -NEVER, .upper = NEVER};
    if (20 * below < most)
        facts.lower = 0;
    else if (rate > 0)
        facts.lower = -(LOG_20 + log(below / most)) / rate;
    if (most > 20) facts.upper = 0;
    return facts;
}

/* The numbers without a formula are the solutions of φ'' = 0 and of |φ'| = max_slope/20, to 17 digits. */
sonde_activation_facts sonde_activation_facts_of(const sonde_activation *activation)
{
    const double a = activation->a, b = activation->b;
    switch (activation->kind) {
    case SONDE_SIGMOID: /* 2 artanh √0.95 */
        return (sonde_activation_facts){"sigmoid", 0.25, true, -4.3565444206017522, 4.3565444206017522};
    case SONDE_TANH:
        return (sonde_activation_facts){"tanh", 1, true, -2.1782722103008761, 2.1782722103008761};
    case SONDE_RELU:
        return (sonde_activation_facts){"relu", 1, false, 0, NEVER};
    case SONDE_LEAKY_RELU:
        return kinked("leaky_relu", a, 0);
    case SONDE_ELU: /* a e^x below 0 */
        return kinked("elu", a, 1);
    case SONDE_SELU: /* scale alpha, at 0 */
        return (sonde_activation_facts){"selu", 1.7580993408473766, false, -LOG_20, NEVER};
    case SONDE_GELU: /* at √2 */
        return (sonde_activation_facts){"gelu", 1.1289041451851548, false, -2.2785606938035556, NEVER};
    case SONDE_GELU_TANH:
        return (sonde_activation_facts){"gelu_tanh", 1.1289930686587718, false, -2.2857000662662843, NEVER};
    case SONDE_SILU: /* at 2.39936 */
        return (sonde_activation_facts){"silu", 1.0998393201288669, false, -3.9298973160966496, NEVER};
    case SONDE_SOFTPLUS: /* linear above b/a */
        return (sonde_activation_facts){"softplus", 1, false, fmin(-LOG_19, b) / a, NEVER};
    case SONDE_SOFTSIGN: /* √20 - 1 */
        return (sonde_activation_facts){"softsign", 1, true, -3.4721359549995794, 3.4721359549995794};
    case SONDE_HARDTANH:
        return (sonde_activation_facts){"hardtanh", 1, true, a, b};
    case SONDE_CELU: /* e^(x/a) below 0 */
        return kinked("celu", 1, 1 / a);
    case SONDE_MISH: /* at 1.49057 */
        return (sonde_activation_facts){"mish", 1.0884981612517279, false, -3.9812514949128041, NEVER};
    case SONDE_HARDSIGMOID:
        return (sonde_activation_facts){"hardsigmoid", 1.0 / 6, true, -3, 3};
    case SONDE_HARDSWISH: /* just below 3 */
        return (sonde_activation_facts){"hardswish", 1.5, false, -3, NEVER};
    case SONDE_LOGSIGMOID:
        return (sonde_activation_facts){"logsigmoid", 1, false, -NEVER, LOG_19};
    case SONDE_THRESHOLD:
        return (sonde_activation_facts){"threshold", 1, false, a, NEVER};
    case SONDE_TANHSHRINK:
        return (sonde_activation_facts){"tanhshrink", 1, false, -NEVER, NEVER};
    case SONDE_SINE:
        return (sonde_activation_facts){"sin", 1, true, -NEVER, NEVER};
    default:
        return (sonde_activation_facts){"unknown", (double)NAN, false, (double)NAN, (double)NAN};
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
