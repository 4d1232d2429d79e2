#include "nn/recurrent_internal.h"

#include <string.h>

/* Which input of the operator a parameter is. */
static const int input_of[ALL] = {
    [WEIGHT_IH] = SONDE_RECURRENT_WEIGHT_IH,     [WEIGHT_HH] = SONDE_RECURRENT_WEIGHT_HH,
    [BIAS_IH] = SONDE_RECURRENT_BIAS_IH,         [BIAS_HH] = SONDE_RECURRENT_BIAS_HH,
    [PEEPHOLE] = SONDE_RECURRENT_PEEPHOLE,       [NORM_IH] = SONDE_RECURRENT_NORM_IH,
    [NORM_HH] = SONDE_RECURRENT_NORM_HH,         [NORM_C] = SONDE_RECURRENT_NORM_C,
    [NORM_C_BIAS] = SONDE_RECURRENT_NORM_C_BIAS,
};

/* ---- watching the hidden gradients ----------------------------------------------------------------------------- */

typedef struct watched_layer {
    sonde_module *module; /* a reference */
    int64_t layer;
    bool reverse;
} watched_layer;

static sonde_status pass_on(void *context, const sonde_hidden_grad *gradient)
{
    const watched_layer *watched = context;
    recurrent_state *state = watched->module->state;
    sonde_hook_walk walk = sonde_hooks_walk(&state->watchers);
    sonde_status status = SONDE_OK;
    for (sonde_handle *h; status == SONDE_OK && (h = sonde_hooks_next(&walk));)
        status = ((sonde_recurrent_watcher)h->callback)(h->context, watched->layer, watched->reverse, gradient);
    sonde_hooks_end(&walk);
    return status;
}

static void free_watched(void *context)
{
    sonde_module_release(((watched_layer *)context)->module);
    sonde_free(context);
}

static sonde_status watch_layer(sonde_module *m, int64_t layer, bool reverse, sonde_tensor *y)
{
    if (((recurrent_state *)m->state)->watchers.n == 0 || !y->requires_grad) return SONDE_OK;
    watched_layer *watched = sonde_alloc(sizeof *watched);
    if (!watched) return SONDE_ENOMEM;
    *watched = (watched_layer){sonde_module_retain(m), layer, reverse};
    sonde_status status = sonde_watch_hidden_grad(y, pass_on, watched, free_watched, NULL);
    if (status != SONDE_OK) free_watched(watched);
    return status;
}

/* ---- one layer --------------------------------------------------------------------------------------------------- */

/* A mask of dropout, inverted. */
static sonde_status draw_mask(sonde_tensor **out, sonde_stream *stream, double p, sonde_dtype dtype, int ndim,
                              const int64_t *shape)
{
    SONDE_TRY(sonde_tensor_new(out, dtype, ndim, shape));
    sonde_stream_fill_bernoulli(stream, dtype, sonde_tensor_data(*out), (size_t)sonde_tensor_numel(*out), 1 - p,
                                p < 1 ? 1 / (1 - p) : 0);
    return SONDE_OK;
}

/* Row `index` of an initial state [layers · D, B, H]; NULL where there is none. */
static sonde_status initial_state(sonde_tensor **out, sonde_tensor *states, int64_t index)
{
    *out = NULL;
    return states ? sonde_select(out, states, 0, index) : SONDE_OK;
}

/* One layer in one direction; number = layer · D + direction. in: x, h0, c0, lengths. out: y, h_n, c_n. */
static sonde_status run_direction(sonde_module *m, sonde_tensor *const in[4], int64_t number, sonde_tensor *out[3])
{
    recurrent_state *state = m->state;
    const sonde_recurrent_options *o = &state->options;
    const int64_t directions = directions_of(o), n = o->kind == SONDE_LSTM ? ALL : PLAIN;
    const bool reverse = directions == 2 && number % 2 == 1;
    sonde_tensor *operands[SONDE_RECURRENT_INPUTS] = {[SONDE_RECURRENT_X] = in[0], [SONDE_RECURRENT_LENGTHS] = in[3]};
    sonde_tensor **h0 = &operands[SONDE_RECURRENT_H0], **c0 = &operands[SONDE_RECURRENT_C0];
    sonde_tensor **mask = &operands[SONDE_RECURRENT_MASK];
    for (int64_t k = 0; k < n; k++) operands[input_of[k]] = m->parameters[number * n + k].tensor;
    const sonde_recurrent_args args = {.kind = o->kind,
                                       .activation = o->activation,
                                       .reverse = reverse,
                                       .leak = o->leak,
                                       .reset_after = o->reset_after,
                                       .clip = o->clip_hidden_grad};
    sonde_status status = initial_state(h0, in[1], number);
    if (status == SONDE_OK) status = initial_state(c0, in[2], number);
    if (status == SONDE_OK && m->training && o->recurrent_dropout > 0)
        status = draw_mask(mask, &state->stream, o->recurrent_dropout, in[0]->dtype, 2,
                           (int64_t[]){in[0]->shape[1], o->hidden_size});
    if (status == SONDE_OK) status = sonde_recurrent(out, operands, &args);
    if (status == SONDE_OK && (status = watch_layer(m, number / directions, reverse, out[0])) != SONDE_OK)
        for (int k = 0; k < 3; k++) sonde_tensor_release(out[k]);
    sonde_tensor_release(*h0);
    sonde_tensor_release(*c0);
    sonde_tensor_release(*mask);
    return status;
}

/* y [T, B, D·H] of one layer; its final states go to h_n[number].. and c_n[number].. */
static sonde_status run_layer(sonde_module *m, sonde_tensor *const in[4], int64_t layer, sonde_tensor **y,
                              sonde_tensor **h_n, sonde_tensor **c_n)
{
    const int64_t directions = directions_of(&((const recurrent_state *)m->state)->options);
    sonde_tensor *outputs[2] = {NULL, NULL};
    sonde_status status = SONDE_OK;
    for (int64_t d = 0; d < directions && status == SONDE_OK; d++) {
        sonde_tensor *out[3];
        const int64_t number = layer * directions + d;
        if ((status = run_direction(m, in, number, out)) != SONDE_OK) break;
        outputs[d] = out[0];
        h_n[number] = out[1];
        c_n[number] = out[2];
    }
    if (status == SONDE_OK && directions == 2) {
        status = sonde_cat(y, 2, outputs, 2);
    } else if (status == SONDE_OK) {
        *y = sonde_tensor_retain(outputs[0]);
    }
    sonde_tensor_release(outputs[0]);
    sonde_tensor_release(outputs[1]);
    return status;
}

/* Dropout between layers: *y is replaced. */
static sonde_status drop(sonde_module *m, sonde_tensor **y)
{
    recurrent_state *state = m->state;
    sonde_tensor *dropped, *mask, *x = *y;
    if (state->options.variational) {
        SONDE_TRY(draw_mask(&mask, &state->stream, state->options.dropout, x->dtype, 3,
                            (int64_t[]){1, x->shape[1], x->shape[2]}));
        sonde_status status = sonde_binary_op(&dropped, SONDE_MUL, x, mask);
        sonde_tensor_release(mask);
        SONDE_TRY(status);
    } else {
        SONDE_TRY(sonde_dropout(&dropped, x, state->options.dropout, &state->stream));
    }
    sonde_tensor_release(x);
    *y = dropped;
    return SONDE_OK;
}

/* ---- the whole layer ------------------------------------------------------------------------------------- */

static sonde_status check_input(const sonde_recurrent_options *o, const sonde_tensor *x)
{
    const int least = o->cell ? 1 : 2;
    const bool fits = (x->ndim == least || x->ndim == least + 1) && x->shape[x->ndim - 1] == o->input_size;
    if (fits) return SONDE_OK;
    char got[SONDE_SHAPE_TEXT];
    sonde_shape_text(got, x->ndim, x->shape);
    const char *axes = o->batch_first ? "batch, steps" : "steps, batch", *one = o->cell ? "" : "steps, ";
    if (o->cell) axes = "batch";
    return sonde_fail(SONDE_ESHAPE, "expected input [%s, %lld] or [%s%lld], got %s", axes, (long long)o->input_size,
                      one, (long long)o->input_size, got);
}

/* A state as [layers · D, B, H]: `single`, of a single sequence, lacks the batch axis; a cell's lacks the first one. */
static sonde_status ready_state(sonde_tensor **out, const sonde_recurrent_options *o, sonde_tensor *state,
                                const char *name, int64_t batch, bool single)
{
    *out = NULL;
    if (!state) return SONDE_OK;
    int64_t want[3] = {o->num_layers * directions_of(o), batch, o->hidden_size}, shape[3], *at = shape;
    if (!o->cell) *at++ = want[0];
    if (!single) *at++ = want[1];
    *at++ = want[2];
    const int ndim = (int)(at - shape);
    if (state->ndim != ndim || memcmp(state->shape, shape, (size_t)ndim * sizeof *shape) != 0) {
        char expected[SONDE_SHAPE_TEXT], got[SONDE_SHAPE_TEXT];
        return sonde_fail(SONDE_ESHAPE, "expected %s %s, got %s", name, sonde_shape_text(expected, ndim, shape),
                          sonde_shape_text(got, state->ndim, state->shape));
    }
    return sonde_reshape(out, state, 3, want);
}

/* x as [T, B, I], contiguous. */
static sonde_status ready_input(sonde_tensor **out, const sonde_recurrent_options *o, sonde_tensor *x, bool single)
{
    sonde_tensor *turned;
    if (o->cell) return sonde_reshape(out, x, 3, (int64_t[]){1, single ? 1 : x->shape[0], o->input_size});
    if (single) return sonde_reshape(out, x, 3, (int64_t[]){x->shape[0], 1, o->input_size});
    if (!o->batch_first) return sonde_contiguous(out, x);
    SONDE_TRY(sonde_transpose(&turned, x, 0, 1));
    sonde_status status = sonde_contiguous(out, turned);
    sonde_tensor_release(turned);
    return status;
}

static sonde_status finish_output(sonde_tensor **out, const sonde_recurrent_options *o, sonde_tensor *y, bool single)
{
    if (single) return sonde_reshape(out, y, 2, (int64_t[]){y->shape[0], y->shape[2]});
    if (o->batch_first) return sonde_transpose(out, y, 0, 1);
    *out = sonde_tensor_retain(y);
    return SONDE_OK;
}

/* The final states of all layers as one tensor. */
static sonde_status finish_state(sonde_tensor **out, const sonde_recurrent_options *o, sonde_tensor *const *states,
                                 bool single)
{
    const int64_t n = o->num_layers * directions_of(o), batch = states[0]->shape[0];
    int64_t shape[3], *at = shape;
    if (!o->cell) *at++ = n;
    if (!single) *at++ = batch;
    *at++ = o->hidden_size;
    if (n == 1) return sonde_reshape(out, states[0], (int)(at - shape), shape);
    sonde_tensor *stacked;
    SONDE_TRY(sonde_stack(&stacked, (int)n, states, 0));
    sonde_status status = sonde_reshape(out, stacked, (int)(at - shape), shape);
    sonde_tensor_release(stacked);
    return status;
}

/* in: x, h0, c0, lengths as [T, B, ..]; in[0] moves from layer to layer. states: room for all final h and c. */
static sonde_status run_layers(sonde_module *m, sonde_tensor *in[4], sonde_tensor **states)
{
    const sonde_recurrent_options *o = &((const recurrent_state *)m->state)->options;
    const int64_t n = o->num_layers * directions_of(o);
    for (int64_t layer = 0; layer < o->num_layers; layer++) {
        sonde_tensor *y;
        SONDE_TRY(run_layer(m, in, layer, &y, states, states + n));
        sonde_tensor_release(in[0]);
        in[0] = y;
        if (m->training && o->dropout > 0 && layer + 1 < o->num_layers) SONDE_TRY(drop(m, &in[0]));
    }
    return SONDE_OK;
}

static sonde_status give_outputs(const sonde_recurrent_options *o, sonde_tensor *y, sonde_tensor *const *states,
                                 bool single, sonde_values *out)
{
    const int64_t n = o->num_layers * directions_of(o);
    if (!o->cell) SONDE_TRY(finish_output(&out->t[out->n], o, y, single));
    if (!o->cell) out->n++;
    SONDE_TRY(finish_state(&out->t[out->n], o, states, single));
    out->n++;
    if (o->kind != SONDE_LSTM) return SONDE_OK;
    SONDE_TRY(finish_state(&out->t[out->n], o, states + n, single));
    out->n++;
    return SONDE_OK;
}

static sonde_status ready_all(const sonde_recurrent_options *o, const sonde_values *in, bool single,
                              sonde_tensor *ready[4])
{
    const int lengths = o->kind == SONDE_LSTM ? 3 : 2;
    SONDE_TRY(ready_input(&ready[0], o, in->t[0], single));
    const int64_t batch = ready[0]->shape[1];
    if (in->n > 1) SONDE_TRY(ready_state(&ready[1], o, in->t[1], "h0", batch, single));
    if (in->n > 2 && lengths == 3) SONDE_TRY(ready_state(&ready[2], o, in->t[2], "c0", batch, single));
    if (in->n > lengths && in->t[lengths]) ready[3] = sonde_tensor_retain(in->t[lengths]);
    return SONDE_OK;
}

sonde_status sonde_recurrent_forward(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    const sonde_recurrent_options *o = &((const recurrent_state *)self->state)->options;
    SONDE_TRY(check_input(o, in->t[0]));
    const bool single = in->t[0]->ndim == (o->cell ? 1 : 2);
    const size_t n = (size_t)(o->num_layers * directions_of(o));
    sonde_tensor *ready[4] = {NULL}, **states = sonde_alloc_zeroed(2 * n * sizeof *states);
    if (!states) return SONDE_ENOMEM;
    sonde_status status = ready_all(o, in, single, ready);
    if (status == SONDE_OK) status = run_layers(self, ready, states);
    if (status == SONDE_OK) status = give_outputs(o, ready[0], states, single, out);
    for (size_t i = 0; i < 2 * n; i++) sonde_tensor_release(states[i]);
    for (int i = 0; i < 4; i++) sonde_tensor_release(ready[i]);
    sonde_free(states);
    if (status != SONDE_OK) sonde_values_release(out);
    return status;
}
