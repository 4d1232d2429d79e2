/* The gain table: how much larger than for a linear layer the weights must be before an activation. */
#include "nn/nn.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* First PyTorch's. The others are 1/√E[φ(z)²] for z ~ N(0, 1), by which weights of variance gain²/fan_in keep the mean
 * square (He et al. 2015, there for ReLU), with the parameters that the activation has by default. */
static const struct {
    const char *name;
    double gain;
} table[] = {
    {"linear", 1},
    {"conv1d", 1},
    {"conv2d", 1},
    {"conv3d", 1},
    {"conv_transpose1d", 1},
    {"conv_transpose2d", 1},
    {"conv_transpose3d", 1},
    {"sigmoid", 1},
    {"tanh", 5.0 / 3.0},
    {"relu", 1.4142135623730951},
    {"leaky_relu", (double)NAN}, /* by its slope */
    {"selu", 0.75},
    {"elu", 1.2451983007007064},
    {"celu", 1.2451983007007064},
    {"gelu", 1.5335304411955348},
    {"silu", 1.6765324703310909},
    {"mish", 1.4868475812732078},
    {"softplus", 1.0418668355353016},
    {"logsigmoid", 1.0418668355353016},
    {"softsign", 2.3375333631085393},
    {"hardtanh", 1.3920361404483097},
    {"relu6", 1.4142135650950733},
    {"hardsigmoid", 1.8978404247295588},
    {"hardswish", 1.7366572127665412},
    {"tanhshrink", 2.3383675301021212},
    {"sin", 1.5208666231788144},
};
enum { ROWS = sizeof table / sizeof *table };

sonde_status sonde_init_gain(const char *nonlinearity, double param, double *gain)
{
    for (int i = 0; i < ROWS; i++) {
        if (strcmp(table[i].name, nonlinearity) != 0) continue;
        *gain = isnan(table[i].gain) ? sqrt(2.0 / (1.0 + param * param)) : table[i].gain;
        return SONDE_OK;
    }
    char names[400];
    size_t length = 0;
    for (int i = 0; i < ROWS && length < sizeof names; i++)
        length += (size_t)snprintf(names + length, sizeof names - length, "%s%s", i ? ", " : "", table[i].name);
    return sonde_fail(SONDE_EARG, "no gain is known for '%s'; there are %s", nonlinearity, names);
}
