/* Rectifiers whose slope below zero is learned (PReLU) or drawn (RReLU). Like a LeakyReLU's, their slope at 0 is the
 * one below, as in PyTorch. */
#include "nn/internal.h"

#include <math.h>
#include <stdio.h>

/* x where x > 0, else slope · x */
static sonde_status rectify(sonde_tensor **out, sonde_tensor *x, sonde_tensor *slope)
{
    sonde_tensor *positive = NULL, *scaled = NULL;
    sonde_status status = sonde_scalar_op(&positive, SONDE_GT, x, 0, false);
    if (status == SONDE_OK) status = sonde_binary_op(&scaled, SONDE_MUL, x, slope);
    if (status == SONDE_OK) status = sonde_where(out, positive, x, scaled);
    sonde_tensor_release(scaled);
    sonde_tensor_release(positive);
    return status;
}

/* ---- PReLU ----------------------------------------------------------------------------------------------- */

static sonde_status prelu_forward(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    sonde_tensor *x = in->t[0], *weight = self->parameters[0].tensor, *shaped = NULL;
    if (!weight) return sonde_fail(SONDE_ESTATE, "the weight is missing");
    if (!sonde_dtype_is_float(x->dtype) || x->dtype != weight->dtype)
        return sonde_fail(SONDE_EDTYPE, "expected an input of the weight's dtype %s, got %s",
                          sonde_dtype_name(weight->dtype), sonde_dtype_name(x->dtype));
    int64_t n = sonde_tensor_numel(weight), shape[SONDE_MAX_DIMS];
    if (n != 1 && (x->ndim < 2 || x->shape[1] != n)) {
        char text[SONDE_SHAPE_TEXT];
        return sonde_fail(SONDE_ESHAPE, "expected an input [N, C, ...] with C = num_parameters = %lld, got %s",
                          (long long)n, sonde_shape_text(text, x->ndim, x->shape));
    }
    for (int d = 0; d < x->ndim; d++) shape[d] = d == 1 ? n : 1;
    if (n != 1) SONDE_TRY(sonde_view(&shaped, weight, x->ndim, shape));
    sonde_status status = rectify(&out->t[0], x, shaped ? shaped : weight);
    sonde_tensor_release(shaped);
    if (status == SONDE_OK) out->n = 1;
    return status;
}

static void prelu_describe(const sonde_module *self, char *text, size_t size)
{
    const sonde_tensor *weight = self->parameters[0].tensor;
    if (weight) snprintf(text, size, "num_parameters=%lld", (long long)sonde_tensor_numel(weight));
}

/* With one weight it is, at this moment, the LeakyReLU of that slope; with several no one function. */
static const sonde_activation *prelu_activation(const sonde_module *self)
{
    const sonde_tensor *weight = self->parameters[0].tensor;
    sonde_activation *activation = self->state;
    if (!weight || sonde_tensor_numel(weight) != 1) return NULL;
    activation->a = sonde_tensor_get(weight, (const int64_t[SONDE_MAX_DIMS]){0});
    return activation;
}

/* What a LeakyReLU of this slope has holds for those of smaller ones too. */
static sonde_activation_facts steepest(const char *name, double slope)
{
    sonde_activation_facts facts = sonde_activation_facts_of(&(sonde_activation){SONDE_LEAKY_RELU, slope, 0});
    facts.name = name;
    return facts;
}

static sonde_activation_facts prelu_facts(const sonde_module *self)
{
    const sonde_tensor *weight = self->parameters[0].tensor;
    double slope = 0;
    for (int64_t i = 0; weight && i < sonde_tensor_numel(weight); i++) {
        int64_t index[SONDE_MAX_DIMS] = {0}, rest = i; /* a weight assigned later need not be a vector */
        for (int d = weight->ndim - 1; d >= 0; d--) {
            index[d] = rest % weight->shape[d];
            rest /= weight->shape[d];
        }
        slope = fmax(slope, fabs(sonde_tensor_get(weight, index)));
    }
    return steepest("prelu", slope);
}

static const sonde_module_class prelu_class = {.name = "PReLU",
                                               .forward = prelu_forward,
                                               .describe = prelu_describe,
                                               .activation = prelu_activation,
                                               .facts = prelu_facts};

sonde_status sonde_prelu_new(sonde_module **out, int64_t num_parameters, double init, sonde_dtype dtype)
{
    if (num_parameters < 1)
        return sonde_fail(SONDE_EARG, "PReLU: num_parameters must be at least 1, got %lld", (long long)num_parameters);
    if (!isfinite(init)) return sonde_fail(SONDE_EARG, "PReLU: init must be finite, got %g", init);
    if (!sonde_dtype_is_float(dtype))
        return sonde_fail(SONDE_EDTYPE, "PReLU: dtype must be float32 or float64, got %s", sonde_dtype_name(dtype));
    sonde_activation *activation = sonde_alloc(sizeof *activation);
    if (!activation) return SONDE_ENOMEM;
    *activation = (sonde_activation){SONDE_LEAKY_RELU, init, 0};
    sonde_module *m = NULL;
    sonde_status status = sonde_module_new(&m, &prelu_class, activation);
    if (status != SONDE_OK) {
        sonde_free(activation);
        return status;
    }
    status = sonde_module_make_parameter(m, "weight", dtype, 1, &num_parameters, init, init);
    if (status != SONDE_OK) {
        sonde_module_release(m);
        return status;
    }
    *out = m;
    return SONDE_OK;
}

/* ---- RReLU ----------------------------------------------------------------------------------------------- */

typedef struct rrelu_state {
    double lower, upper;
    sonde_activation average; /* what it is in evaluation */
    sonde_stream stream;
} rrelu_state;

static sonde_status rrelu_forward(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    rrelu_state *state = self->state;
    sonde_tensor *x = in->t[0], *slope;
    if (!self->training) {
        SONDE_TRY(sonde_activate(&out->t[0], &state->average, x));
        out->n = 1;
        return SONDE_OK;
    }
    if (!sonde_dtype_is_float(x->dtype))
        return sonde_fail(SONDE_EDTYPE, "expected a float tensor, got %s", sonde_dtype_name(x->dtype));
    SONDE_TRY(sonde_tensor_new(&slope, x->dtype, x->ndim, x->shape));
    sonde_stream_fill_uniform(&state->stream, x->dtype, sonde_tensor_data(slope), (size_t)sonde_tensor_numel(slope),
                              state->lower, state->upper);
    sonde_status status = rectify(&out->t[0], x, slope);
    sonde_tensor_release(slope);
    if (status == SONDE_OK) out->n = 1;
    return status;
}

static void rrelu_describe(const sonde_module *self, char *text, size_t size)
{
    const rrelu_state *state = self->state;
    char lower[32], upper[32];
    snprintf(text, size, "lower=%s, upper=%s", sonde_nn_number(lower, state->lower),
             sonde_nn_number(upper, state->upper));
}

static const sonde_activation *rrelu_activation(const sonde_module *self)
{
    const rrelu_state *state = self->state;
    return self->training ? NULL : &state->average;
}

static sonde_activation_facts rrelu_facts(const sonde_module *self)
{
    const rrelu_state *state = self->state;
    return steepest("rrelu", fmax(fabs(state->lower), fabs(state->upper)));
}

static sonde_stream *rrelu_stream(sonde_module *self)
{
    rrelu_state *state = self->state;
    return &state->stream;
}

static const sonde_module_class rrelu_class = {.name = "RReLU",
                                               .forward = rrelu_forward,
                                               .describe = rrelu_describe,
                                               .activation = rrelu_activation,
                                               .facts = rrelu_facts,
                                               .stream = rrelu_stream};

sonde_status sonde_rrelu_new(sonde_module **out, double lower, double upper)
{
    if (!(isfinite(lower) && isfinite(upper) && lower <= upper))
        return sonde_fail(SONDE_EARG, "RReLU: expected finite slopes, lower at most upper, got %g and %g", lower,
                          upper);
    rrelu_state *state = sonde_alloc(sizeof *state);
    if (!state) return SONDE_ENOMEM;
    *state = (rrelu_state){.lower = lower, .upper = upper, .average = {SONDE_LEAKY_RELU, (lower + upper) / 2, 0}};
    sonde_nn_random_stochastic(&state->stream, "rrelu");
    sonde_status status = sonde_module_new(out, &rrelu_class, state);
    if (status != SONDE_OK) sonde_free(state);
    return status;
}
