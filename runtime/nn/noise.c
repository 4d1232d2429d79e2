/* Noise in training: y = x · factor + shift, both drawn anew at every call. */
#include "nn/internal.h"

#include <math.h>
#include <stdio.h>

#define SELU_LOW -1.7580993408473766 /* -λα, where SELU saturates */

typedef struct noise_state {
    sonde_noise_kind kind;
    double p;
    sonde_stream stream;
} noise_state;

/* The shape of what is drawn for x: its own, one number per channel or one per sample. */
static sonde_status draw(sonde_tensor **out, noise_state *state, const sonde_tensor *x, double value)
{
    int64_t shape[SONDE_MAX_DIMS];
    for (int d = 0; d < x->ndim; d++) {
        bool kept = state->kind == SONDE_DROPOUT2D ? d < 2 : state->kind == SONDE_STOCHASTIC_DEPTH ? d < 1 : true;
        shape[d] = kept ? x->shape[d] : 1;
    }
    SONDE_TRY(sonde_tensor_new(out, x->dtype, x->ndim, shape));
    size_t n = (size_t)sonde_tensor_numel(*out);
    if (state->kind == SONDE_GAUSSIAN_NOISE)
        sonde_stream_fill_normal(&state->stream, x->dtype, sonde_tensor_data(*out), n, 0, state->p);
    else
        sonde_stream_fill_bernoulli(&state->stream, x->dtype, sonde_tensor_data(*out), n, 1 - state->p, value);
    return SONDE_OK;
}

/* a (x m + SELU_LOW (1 - m)) + b, with a and b such that mean 0 and variance 1 stay; the mask is a m. */
static sonde_status alpha_dropout(sonde_tensor **out, noise_state *state, sonde_tensor *x)
{
    const double q = 1 - state->p, a = q > 0 ? 1 / sqrt(q + SELU_LOW * SELU_LOW * q * state->p) : 0;
    const double b = -a * state->p * SELU_LOW;
    sonde_tensor *mask = NULL, *kept = NULL, *lowered = NULL, *shift = NULL;
    sonde_status status = draw(&mask, state, x, a);
    if (status == SONDE_OK) status = sonde_binary_op(&kept, SONDE_MUL, x, mask);
    if (status == SONDE_OK) status = sonde_scalar_op(&lowered, SONDE_MUL, mask, -SELU_LOW, false);
    if (status == SONDE_OK) status = sonde_scalar_op(&shift, SONDE_ADD, lowered, a * SELU_LOW + b, false);
    if (status == SONDE_OK) status = sonde_binary_op(out, SONDE_ADD, kept, shift);
    sonde_tensor_release(shift);
    sonde_tensor_release(lowered);
    sonde_tensor_release(kept);
    sonde_tensor_release(mask);
    return status;
}

static sonde_status forward(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    noise_state *state = self->state;
    sonde_tensor *x = in->t[0], *drawn = NULL;
    char text[SONDE_SHAPE_TEXT];
    if (!sonde_dtype_is_float(x->dtype))
        return sonde_fail(SONDE_EDTYPE, "expected a float tensor, got %s", sonde_dtype_name(x->dtype));
    if ((state->kind == SONDE_DROPOUT2D && x->ndim != 4) || (state->kind == SONDE_STOCHASTIC_DEPTH && x->ndim < 1))
        return sonde_fail(SONDE_ESHAPE, "expected an input %s, got %s",
                          state->kind == SONDE_DROPOUT2D ? "[N, C, H, W]" : "[N, ...]",
                          sonde_shape_text(text, x->ndim, x->shape));
    sonde_status status = SONDE_OK;
    if (!self->training || state->p == 0) {
        out->t[0] = sonde_tensor_retain(x);
    } else if (state->kind == SONDE_ALPHA_DROPOUT) {
        status = alpha_dropout(&out->t[0], state, x);
    } else {
        status = draw(&drawn, state, x, state->p < 1 ? 1 / (1 - state->p) : 0);
        if (status == SONDE_OK)
            status = sonde_binary_op(&out->t[0], state->kind == SONDE_GAUSSIAN_NOISE ? SONDE_ADD : SONDE_MUL, x, drawn);
        sonde_tensor_release(drawn);
    }
    if (status == SONDE_OK) out->n = 1;
    return status;
}

static void describe(const sonde_module *self, char *text, size_t size)
{
    const noise_state *state = self->state;
    char number[32];
    snprintf(text, size, "%s=%s", state->kind == SONDE_GAUSSIAN_NOISE ? "std" : "p", sonde_nn_number(number, state->p));
}

static sonde_stream *stream(sonde_module *self)
{
    noise_state *state = self->state;
    return &state->stream;
}

#define CLASS(label)                                                                                                   \
    {                                                                                                                  \
        .name = label, .forward = forward, .describe = describe, .stream = stream                                      \
    }
static const sonde_module_class classes[] = {
    [SONDE_DROPOUT2D] = CLASS("Dropout2d"),
    [SONDE_ALPHA_DROPOUT] = CLASS("AlphaDropout"),
    [SONDE_GAUSSIAN_NOISE] = CLASS("GaussianNoise"),
    [SONDE_STOCHASTIC_DEPTH] = CLASS("StochasticDepth"),
};

sonde_status sonde_noise_new(sonde_module **out, sonde_noise_kind kind, double p)
{
    if (kind == SONDE_GAUSSIAN_NOISE && !(isfinite(p) && p >= 0))
        return sonde_fail(SONDE_EARG, "GaussianNoise: std must be finite and not negative, got %g", p);
    if (kind != SONDE_GAUSSIAN_NOISE && !(p >= 0 && p <= 1))
        return sonde_fail(SONDE_EARG, "%s: p must be between 0 and 1, got %g", classes[kind].name, p);
    noise_state *state = sonde_alloc(sizeof *state);
    if (!state) return SONDE_ENOMEM;
    *state = (noise_state){.kind = kind, .p = p};
    sonde_nn_random_stochastic(&state->stream, kind == SONDE_GAUSSIAN_NOISE ? "noise" : "dropout");
    sonde_status status = sonde_module_new(out, &classes[kind], state);
    if (status != SONDE_OK) sonde_free(state);
    return status;
}
