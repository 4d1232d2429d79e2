/* Making recurrent layers and cells: options, parameters, what they say of themselves. */
#include "nn/recurrent_internal.h"

#include <math.h>
#include <stdio.h>

static const char *const names[ALL] = {"weight_ih",      "weight_hh",       "bias_ih",
                                       "bias_hh",        "weight_peephole", "weight_norm_ih",
                                       "weight_norm_hh", "weight_norm_c",   "bias_norm_c"};

/* ---- making --------------------------------------------------------------------------------------------- */

static void describe(const sonde_module *self, char *text, size_t size)
{
    static const char *const squashes[] = {"tanh", "relu", "linear"};
    const sonde_recurrent_options *o = &((const recurrent_state *)self->state)->options;
    const sonde_recurrent_options plain = sonde_recurrent_defaults(o->kind, o->input_size, o->hidden_size);
    char number[32];
    size_t used = 0;
#define SAY(condition, ...)                                                                                            \
    if ((condition) && used < size) used += (size_t)snprintf(text + used, size - used, __VA_ARGS__)
    SAY(true, "%lld, %lld", (long long)o->input_size, (long long)o->hidden_size);
    SAY(o->num_layers > 1, ", num_layers=%lld", (long long)o->num_layers);
    SAY(o->activation != plain.activation, ", %s=%s", o->kind == SONDE_RNN ? "nonlinearity" : "activation",
        squashes[o->activation]);
    SAY(!o->bias, ", bias=false");
    SAY(o->batch_first, ", batch_first=true");
    SAY(o->dropout > 0, ", dropout=%s", sonde_nn_number(number, o->dropout));
    SAY(o->bidirectional, ", bidirectional=true");
    SAY(o->variational, ", variational=true");
    SAY(o->recurrent_dropout > 0, ", recurrent_dropout=%s", sonde_nn_number(number, o->recurrent_dropout));
    SAY(o->leak < 1, ", leak=%s", sonde_nn_number(number, o->leak));
    SAY(!o->reset_after, ", reset_after=false");
    SAY(o->peepholes, ", peepholes=true");
    SAY(o->layer_norm, ", layer_norm=true");
    SAY(o->clip_hidden_grad > 0, ", clip_hidden_grad=%s", sonde_nn_number(number, o->clip_hidden_grad));
#undef SAY
}

static void free_state(sonde_module *self)
{
    sonde_hooks_clear(&((recurrent_state *)self->state)->watchers);
    sonde_free(self->state);
}

static sonde_stream *stream(sonde_module *self)
{
    recurrent_state *state = self->state;
    return state->options.dropout > 0 || state->options.recurrent_dropout > 0 ? &state->stream : NULL;
}

#define CLASS(what, most)                                                                                              \
    {                                                                                                                  \
        .name = what, .forward = sonde_recurrent_forward, .free = free_state, .describe = describe, .min_in = 1,       \
        .max_in = most, .stream = stream                                                                               \
    }
static const sonde_module_class classes[][2] = {
    [SONDE_RNN] = {CLASS("RNN", 3), CLASS("RNNCell", 2)},
    [SONDE_LSTM] = {CLASS("LSTM", 4), CLASS("LSTMCell", 3)},
    [SONDE_GRU] = {CLASS("GRU", 3), CLASS("GRUCell", 2)},
};

/* Parameter k of a layer in one direction: its shape and the range it is drawn from; false: the options omit it. */
static bool plan(const sonde_recurrent_options *o, int k, int64_t inputs, int *ndim, int64_t shape[2], double range[2])
{
    const int64_t h = o->hidden_size, all = (o->kind == SONDE_RNN ? 1 : o->kind == SONDE_LSTM ? 4 : 3) * h;
    const bool norm = k >= NORM_IH, matrix = k == WEIGHT_IH || k == WEIGHT_HH;
    const double bound = 1 / sqrt((double)h);
    *ndim = matrix ? 2 : 1;
    shape[0] = k == PEEPHOLE ? 3 * h : k == NORM_C || k == NORM_C_BIAS ? h : all;
    shape[1] = k == WEIGHT_IH ? inputs : h;
    range[0] = k == NORM_C_BIAS ? 0 : norm ? 1 : -bound;
    range[1] = k == NORM_C_BIAS ? 0 : norm ? 1 : bound;
    if (k == BIAS_IH || k == BIAS_HH) return o->bias;
    return matrix || (k == PEEPHOLE ? o->peepholes : o->layer_norm);
}

static sonde_status add_parameters(sonde_module *m, int64_t layer, bool reverse)
{
    const sonde_recurrent_options *o = &((const recurrent_state *)m->state)->options;
    const int64_t inputs = layer == 0 ? o->input_size : o->hidden_size * directions_of(o);
    for (int k = 0; k < (o->kind == SONDE_LSTM ? ALL : PLAIN); k++) {
        char name[64], suffix[32] = "";
        int ndim;
        int64_t shape[2];
        double range[2];
        if (!o->cell) snprintf(suffix, sizeof suffix, "_l%lld%s", (long long)layer, reverse ? "_reverse" : "");
        snprintf(name, sizeof name, "%s%s", names[k], suffix);
        if (plan(o, k, inputs, &ndim, shape, range))
            SONDE_TRY(sonde_module_make_parameter(m, name, o->dtype, ndim, shape, range[0], range[1]));
        else
            SONDE_TRY(sonde_module_set_parameter(m, name, NULL, false));
    }
    if (isnan(o->forget_bias)) return SONDE_OK;
    for (int64_t j = o->hidden_size; j < 2 * o->hidden_size; j++) {
        sonde_tensor_set(m->parameters[m->n_parameters - ALL + BIAS_IH].tensor, &j, o->forget_bias);
        sonde_tensor_set(m->parameters[m->n_parameters - ALL + BIAS_HH].tensor, &j, 0);
    }
    return SONDE_OK;
}

sonde_recurrent_options sonde_recurrent_defaults(sonde_recurrent_kind kind, int64_t input_size, int64_t hidden_size)
{
    return (sonde_recurrent_options){.kind = kind,
                                     .input_size = input_size,
                                     .hidden_size = hidden_size,
                                     .num_layers = 1,
                                     .bias = true,
                                     .leak = 1,
                                     .reset_after = true,
                                     .forget_bias = (double)NAN,
                                     .dtype = SONDE_FLOAT32};
}

static sonde_status check_options(const sonde_recurrent_options *o, const char *name)
{
    const bool lstm = o->kind == SONDE_LSTM;
    if (o->input_size < 1 || o->hidden_size < 1 || o->num_layers < 1)
        return sonde_fail(SONDE_EARG,
                          "%s: input_size, hidden_size and num_layers must be at least 1, got %lld, %lld and %lld",
                          name, (long long)o->input_size, (long long)o->hidden_size, (long long)o->num_layers);
    if (o->hidden_size > INT32_MAX || o->num_layers > INT16_MAX)
        return sonde_fail(SONDE_EARG, "%s: hidden_size must be below 2^31 and num_layers below 2^15", name);
    if (!(o->dropout >= 0 && o->dropout <= 1) || !(o->recurrent_dropout >= 0 && o->recurrent_dropout <= 1))
        return sonde_fail(SONDE_EARG,
                          "%s: dropout must be between 0 and 1, got %g (dropout) and %g (recurrent_dropout)", name,
                          o->dropout, o->recurrent_dropout);
    if (!(o->leak > 0 && o->leak <= 1))
        return sonde_fail(SONDE_EARG, "%s: leak must be above 0 and at most 1, got %g", name, o->leak);
    if (!(o->clip_hidden_grad >= 0))
        return sonde_fail(SONDE_EARG, "%s: clip_hidden_grad must not be negative, got %g", name, o->clip_hidden_grad);
    if (!lstm && (o->peepholes || o->layer_norm || !isnan(o->forget_bias)))
        return sonde_fail(SONDE_EARG, "%s: peepholes, layer_norm and forget_bias are an LSTM's", name);
    if (!isnan(o->forget_bias) && !o->bias) return sonde_fail(SONDE_EARG, "%s: forget_bias needs bias = true", name);
    if (!sonde_dtype_is_float(o->dtype))
        return sonde_fail(SONDE_EDTYPE, "%s: dtype must be float32 or float64, got %s", name,
                          sonde_dtype_name(o->dtype));
    return SONDE_OK;
}

sonde_status sonde_recurrent_new(sonde_module **out, const sonde_recurrent_options *options)
{
    const sonde_module_class *class = &classes[options->kind][options->cell];
    SONDE_TRY(check_options(options, class->name));
    recurrent_state *state = sonde_alloc_zeroed(sizeof *state);
    if (!state) return SONDE_ENOMEM;
    state->options = *options;
    if (options->dropout > 0 || options->recurrent_dropout > 0) sonde_nn_random_stochastic(&state->stream, "recurrent");
    sonde_module *m = NULL;
    sonde_status status = sonde_module_new(&m, class, state);
    if (status != SONDE_OK) {
        sonde_free(state);
        return status;
    }
    for (int64_t layer = 0; layer < options->num_layers && status == SONDE_OK; layer++)
        for (int64_t d = 0; d < directions_of(options) && status == SONDE_OK; d++)
            status = add_parameters(m, layer, d == 1);
    if (status != SONDE_OK) {
        sonde_module_release(m);
        return status;
    }
    *out = m;
    return SONDE_OK;
}

const sonde_recurrent_options *sonde_recurrent_options_of(const sonde_module *m)
{
    return m->class->forward == sonde_recurrent_forward ? &((const recurrent_state *)m->state)->options : NULL;
}

sonde_status sonde_recurrent_watch(sonde_module *m, sonde_recurrent_watcher watcher, void *context,
                                   void (*free_context)(void *), sonde_handle **out)
{
    if (m->class->forward != sonde_recurrent_forward)
        return sonde_fail(SONDE_EARG, "%s is no recurrent layer: it has no hidden state to watch", m->class->name);
    return sonde_hooks_add(&((recurrent_state *)m->state)->watchers, (sonde_callback)watcher, context, free_context,
                           out);
}
