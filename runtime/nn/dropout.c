/* Inverted dropout (Srivastava et al. 2014): in training, each element is kept with probability 1 - p and multiplied
 * by 1/(1 - p); in evaluation nothing happens. Each module draws from its own stream. */
#include "nn/internal.h"

#include <stdio.h>

typedef struct dropout_state {
    double p;
    sonde_stream stream;
} dropout_state;

static sonde_status forward(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    dropout_state *state = self->state;
    if (self->training && state->p > 0)
        SONDE_TRY(sonde_dropout(&out->t[0], in->t[0], state->p, &state->stream));
    else
        out->t[0] = sonde_tensor_retain(in->t[0]);
    out->n = 1;
    return SONDE_OK;
}

static void describe(const sonde_module *self, char *text, size_t size)
{
    const dropout_state *state = self->state;
    char number[32];
    snprintf(text, size, "p=%s", sonde_nn_number(number, state->p));
}

static sonde_stream *stream(sonde_module *self)
{
    dropout_state *state = self->state;
    return &state->stream;
}

static const sonde_module_class dropout_class = {
    .name = "Dropout", .forward = forward, .describe = describe, .stream = stream};

sonde_status sonde_dropout_new(sonde_module **out, double p)
{
    if (!(p >= 0 && p <= 1)) return sonde_fail(SONDE_EARG, "Dropout: p must be between 0 and 1, got %g", p);
    dropout_state *state = sonde_alloc(sizeof *state);
    if (!state) return SONDE_ENOMEM;
    state->p = p;
    sonde_nn_random_stochastic(&state->stream, "dropout");
    sonde_status status = sonde_module_new(out, &dropout_class, state);
    if (status != SONDE_OK) sonde_free(state);
    return status;
}
