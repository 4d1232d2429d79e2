/* Transformer encoders: one block, and several after each other. */
#include "nn/internal.h"

#include <stdio.h>
#include <string.h>

typedef struct encoder_state {
    sonde_encoder_options options; /* activation NULL: it is the child */
    int place[9];                  /* of each part among the children, which stand in the order they run */
} encoder_state;

typedef enum part { SELF_ATTN, DROPOUT1, NORM1, LINEAR1, ACTIVATION, DROPOUT, LINEAR2, DROPOUT2, NORM2, PARTS } part;

static const char *const part_names[PARTS] = {"self_attn", "dropout1", "norm1",    "linear1", "activation",
                                              "dropout",   "linear2",  "dropout2", "norm2"};
static const part post_norm[PARTS] = {SELF_ATTN, DROPOUT1, NORM1,    LINEAR1, ACTIVATION,
                                      DROPOUT,   LINEAR2,  DROPOUT2, NORM2},
                  pre_norm[PARTS] = {NORM1,      SELF_ATTN, DROPOUT1, NORM2,   LINEAR1,
                                     ACTIVATION, DROPOUT,   LINEAR2,  DROPOUT2};

enum { SRC, MASK, KEY_PADDING_MASK, IS_CAUSAL, ARGUMENTS };

static sonde_tensor *argument(const sonde_values *in, int i)
{
    return i < in->n ? in->t[i] : NULL;
}

/* ---- one block ------------------------------------------------------------------------------------------- */

/* Calls child i and puts its first result in the place of *x (one reference, given back in any case). */
static sonde_status step(sonde_module *self, int i, const sonde_values *in, sonde_tensor **x)
{
    sonde_values results;
    sonde_tensor *old = *x;
    *x = NULL;
    sonde_status status = sonde_module_call_child(self, i, in, &results);
    if (status == SONDE_OK && (results.n == 0 || !results.t[0]))
        status = sonde_fail(SONDE_ESTATE, "child '%s' returned nothing", self->children[i].name);
    if (status == SONDE_OK) *x = sonde_tensor_retain(results.t[0]);
    sonde_values_release(&results);
    sonde_tensor_release(old);
    return status;
}

/* *x through these parts. */
static sonde_status chain(sonde_module *self, int n, const part *parts, sonde_tensor **x)
{
    const encoder_state *state = self->state;
    for (int i = 0; i < n; i++) SONDE_TRY(step(self, state->place[parts[i]], &(sonde_values){.n = 1, .t = {*x}}, x));
    return SONDE_OK;
}

/* *x = dropout1(self_attn(*x)) */
static sonde_status attend(sonde_module *self, const sonde_values *in, sonde_tensor **x)
{
    const encoder_state *state = self->state;
    sonde_tensor *no;
    SONDE_TRY(sonde_tensor_full(&no, SONDE_INT64, 0, NULL, 0));
    const sonde_values arguments = {
        .n = 8,
        .t = {*x, *x, *x, argument(in, KEY_PADDING_MASK), no, argument(in, MASK), NULL, argument(in, IS_CAUSAL)}};
    sonde_status status = step(self, state->place[SELF_ATTN], &arguments, x);
    sonde_tensor_release(no);
    return status == SONDE_OK ? chain(self, 1, (const part[]){DROPOUT1}, x) : status;
}

static const char *const skips[] = {"self_attn", "feed_forward", NULL};
enum { ATTENTION, FEED_FORWARD };

/* *x = *x + branch(*x), with the norm before the branch or after the sum. */
static sonde_status add_branch(sonde_module *self, int index, const sonde_values *in, sonde_tensor **x)
{
    static const part feed_forward[] = {LINEAR1, ACTIVATION, DROPOUT, LINEAR2, DROPOUT2};
    const bool first = ((const encoder_state *)self->state)->options.norm_first;
    const part norm[] = {index == ATTENTION ? NORM1 : NORM2};
    sonde_skip ways;
    SONDE_TRY(sonde_skip_fork(&ways, *x));
    sonde_tensor *branch = sonde_tensor_retain(ways.branch), *sum = NULL;
    sonde_status status = first ? chain(self, 1, norm, &branch) : SONDE_OK;
    if (status == SONDE_OK)
        status = index == ATTENTION ? attend(self, in, &branch) : chain(self, 5, feed_forward, &branch);
    if (status == SONDE_OK) status = sonde_binary_op(&sum, SONDE_ADD, ways.skip, branch);
    if (status == SONDE_OK) {
        ways.index = index;
        ways.out = sum;
        sonde_skip_show(self, &ways);
    }
    if (status == SONDE_OK && !first) status = chain(self, 1, norm, &sum);
    sonde_tensor_release(branch);
    sonde_skip_release(&ways);
    sonde_tensor_release(*x);
    *x = sum;
    return status;
}

static sonde_status forward(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    sonde_tensor *x = sonde_tensor_retain(in->t[SRC]);
    sonde_status status = add_branch(self, ATTENTION, in, &x);
    if (status == SONDE_OK) status = add_branch(self, FEED_FORWARD, in, &x);
    if (status == SONDE_OK)
        *out = (sonde_values){.n = 1, .t = {x}};
    else
        sonde_tensor_release(x);
    return status;
}

static void describe(const sonde_module *self, char *text, size_t size)
{
    const sonde_encoder_options *o = &((const encoder_state *)self->state)->options;
    if (o->norm_first) snprintf(text, size, "norm_first=true");
}

static const char *const layer_arguments[] = {"src", "src_mask", "src_key_padding_mask", "is_causal", NULL},
                         *const encoder_arguments[] = {"src", "mask", "src_key_padding_mask", "is_causal", NULL};

static const sonde_module_class layer_class = {.name = "TransformerEncoderLayer",
                                               .forward = forward,
                                               .describe = describe,
                                               .max_in = ARGUMENTS,
                                               .arguments = layer_arguments,
                                               .skips = skips};

/* One new part; the given activation, or a ReLU. */
static sonde_status make_part(sonde_module **out, part which, const sonde_encoder_options *o)
{
    const int64_t e = o->d_model, wide = o->dim_feedforward;
    sonde_attention_options attention = sonde_attention_defaults(e, o->nhead);
    switch (which) {
    case SELF_ATTN:
        attention.dropout = o->dropout;
        attention.bias = o->bias;
        attention.batch_first = o->batch_first;
        attention.dtype = o->dtype;
        return sonde_multihead_attention_new(out, &attention);
    case LINEAR1:
        return sonde_linear_new(out, e, wide, o->bias, o->dtype);
    case LINEAR2:
        return sonde_linear_new(out, wide, e, o->bias, o->dtype);
    case NORM1:
    case NORM2:
        return sonde_layer_norm_new(out, 1, &e, o->layer_norm_eps, true, o->bias, o->dtype);
    case ACTIVATION:
        if (!o->activation)
            return sonde_activation_module_new(out, "ReLU", &(sonde_activation){SONDE_RELU, 0, 0}, false);
        *out = sonde_module_retain(o->activation);
        return SONDE_OK;
    default:
        return sonde_dropout_new(out, o->dropout);
    }
}

static sonde_status add_parts(sonde_module *m, const sonde_encoder_options *o)
{
    encoder_state *state = m->state;
    const part *order = o->norm_first ? pre_norm : post_norm;
    for (int i = 0; i < PARTS; i++) {
        sonde_module *child = NULL;
        SONDE_TRY(make_part(&child, order[i], o));
        const sonde_status status = sonde_module_set_child(m, part_names[order[i]], child);
        sonde_module_release(child);
        SONDE_TRY(status);
        state->place[order[i]] = i;
    }
    return SONDE_OK;
}

/* The messages name this class and these arguments; the parts check the rest. */
static sonde_status check_options(const sonde_encoder_options *o)
{
    if (o->d_model < 1 || o->nhead < 1 || o->dim_feedforward < 1 || o->d_model > INT32_MAX)
        return sonde_fail(SONDE_EARG,
                          "%s: d_model, nhead and dim_feedforward must be at least 1, got %lld, %lld and "
                          "%lld",
                          layer_class.name, (long long)o->d_model, (long long)o->nhead, (long long)o->dim_feedforward);
    if (o->d_model % o->nhead != 0)
        return sonde_fail(SONDE_EARG, "%s: d_model %lld cannot be cut into %lld heads", layer_class.name,
                          (long long)o->d_model, (long long)o->nhead);
    if (!(o->dropout >= 0 && o->dropout <= 1))
        return sonde_fail(SONDE_EARG, "%s: dropout must be between 0 and 1, got %g", layer_class.name, o->dropout);
    if (!(o->layer_norm_eps >= 0))
        return sonde_fail(SONDE_EARG, "%s: layer_norm_eps must not be negative, got %g", layer_class.name,
                          o->layer_norm_eps);
    return SONDE_OK;
}

sonde_status sonde_transformer_encoder_layer_new(sonde_module **out, const sonde_encoder_options *options)
{
    SONDE_TRY(check_options(options));
    encoder_state *state = sonde_alloc_zeroed(sizeof *state);
    if (!state) return SONDE_ENOMEM;
    state->options = *options;
    state->options.activation = NULL;
    sonde_module *m = NULL;
    sonde_status status = sonde_module_new(&m, &layer_class, state);
    if (status != SONDE_OK) {
        sonde_free(state);
        return status;
    }
    status = add_parts(m, options);
    if (status != SONDE_OK) {
        sonde_module_release(m);
        return status;
    }
    *out = m;
    return SONDE_OK;
}

/* ---- a stack --------------------------------------------------------------------------------------------- */

/* Every child after the other, each with the same masks. */
static sonde_status run_all(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    sonde_tensor *x = sonde_tensor_retain(in->t[SRC]);
    for (int i = 0; i < self->n_children; i++) {
        sonde_values arguments = *in;
        arguments.t[SRC] = x;
        SONDE_TRY(step(self, i, &arguments, &x));
    }
    *out = (sonde_values){.n = 1, .t = {x}};
    return SONDE_OK;
}

enum { LAYERS, NORM };

static sonde_status encode(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    sonde_tensor *x = sonde_tensor_retain(in->t[SRC]);
    SONDE_TRY(step(self, LAYERS, in, &x));
    if (self->n_children > NORM) SONDE_TRY(step(self, NORM, &(sonde_values){.n = 1, .t = {x}}, &x));
    *out = (sonde_values){.n = 1, .t = {x}};
    return SONDE_OK;
}

static const sonde_module_class list_class = {.name = "ModuleList",
                                              .forward = run_all,
                                              .max_in = ARGUMENTS,
                                              .is_container = true},
                                encoder_class = {.name = "TransformerEncoder",
                                                 .forward = encode,
                                                 .max_in = ARGUMENTS,
                                                 .arguments = encoder_arguments};

/* The parameters of a layer, in order. */
typedef struct list {
    int n;
    sonde_tensor *t[16];
} list;

static sonde_status collect(void *context, const char *path, sonde_module *owner, const sonde_parameter *p)
{
    list *all = context;
    if (all->n == 16) return sonde_fail(SONDE_ESTATE, "TransformerEncoder: the layer has been given parts of another");
    all->t[all->n++] = p->tensor;
    return SONDE_OK;
}

static sonde_status refuse_parametrized(void *context, const char *path, sonde_module *m)
{
    if (!sonde_is_parametrized(m, NULL)) return SONDE_OK;
    return sonde_fail(SONDE_EARG, "TransformerEncoder: a layer with parametrised tensors cannot be copied");
}

static sonde_status copy_values(sonde_module *to, const list *from)
{
    const list theirs = *from;
    list ours = {0};
    SONDE_TRY(sonde_module_visit_parameters(to, false, collect, &ours));
    bool fits = theirs.n == ours.n;
    for (int i = 0; fits && i < ours.n; i++) fits = sonde_tensor_same_shape(ours.t[i], theirs.t[i]);
    if (!fits) return sonde_fail(SONDE_ESTATE, "TransformerEncoder: the layer has been given parts of another shape");
    for (int i = 0; i < ours.n; i++) {
        if (ours.t[i]->dtype != theirs.t[i]->dtype)
            return sonde_fail(SONDE_EDTYPE, "TransformerEncoder: a layer with parameters of several dtypes cannot be "
                              "copied");
        SONDE_TRY(sonde_tensor_copy_(ours.t[i], theirs.t[i]));
        SONDE_TRY(sonde_requires_grad_(ours.t[i], theirs.t[i]->requires_grad));
    }
    return SONDE_OK;
}

/* Each module in the mode of the one it copies. */
static void copy_modes(sonde_module *to, const sonde_module *from)
{
    to->training = from->training;
    for (int i = 0; i < to->n_children && i < from->n_children; i++)
        copy_modes(to->children[i].module, from->children[i].module);
}

/* A layer of its own with the same options, weights (their dtype may have changed since it was made) and modes. */
static sonde_status copy_layer(sonde_module **out, sonde_module *layer)
{
    const encoder_state *state = layer->state;
    sonde_encoder_options o = state->options;
    const sonde_module *given = layer->children[state->place[ACTIVATION]].module;
    sonde_activation usual;
    if (!given->class->activation || sonde_activation_default(given->class->name, &usual) != SONDE_OK)
        return sonde_fail(SONDE_EARG, "TransformerEncoder: a layer whose activation is a %s cannot be copied",
                          given->class->name);
    list theirs = {0};
    SONDE_TRY(sonde_module_visit(layer, refuse_parametrized, NULL));
    SONDE_TRY(sonde_module_visit_parameters(layer, false, collect, &theirs));
    if (theirs.n > 0) o.dtype = theirs.t[0]->dtype;
    sonde_module *activation = NULL, *copy = NULL;
    SONDE_TRY(sonde_activation_module_new(&activation, given->class->name, given->class->activation(given),
                                          given->class->inplace && given->class->inplace(given)));
    o.activation = activation;
    sonde_status status = sonde_transformer_encoder_layer_new(&copy, &o);
    sonde_module_release(activation);
    SONDE_TRY(status);
    status = copy_values(copy, &theirs);
    if (status != SONDE_OK) {
        sonde_module_release(copy);
        return status;
    }
    copy_modes(copy, layer);
    *out = copy;
    return SONDE_OK;
}

static sonde_status add_layers(sonde_module *m, sonde_module *layer, int64_t num_layers, sonde_module *norm)
{
    sonde_module *layers = NULL;
    SONDE_TRY(sonde_module_new(&layers, &list_class, NULL));
    sonde_status status = SONDE_OK;
    for (int64_t i = 0; i < num_layers && status == SONDE_OK; i++) {
        sonde_module *copy = NULL;
        status = copy_layer(&copy, layer);
        if (status == SONDE_OK) status = sonde_module_set_child(layers, NULL, copy);
        sonde_module_release(copy);
    }
    if (status == SONDE_OK) status = sonde_module_set_child(m, "layers", layers);
    sonde_module_release(layers);
    return status == SONDE_OK && norm ? sonde_module_set_child(m, "norm", norm) : status;
}

sonde_status sonde_transformer_encoder_new(sonde_module **out, sonde_module *layer, int64_t num_layers,
                                           sonde_module *norm)
{
    if (!layer || layer->class != &layer_class)
        return sonde_fail(SONDE_EARG, "TransformerEncoder: expected a TransformerEncoderLayer, got %s",
                          layer ? layer->class->name : "none");
    if (num_layers < 1 || num_layers > INT16_MAX)
        return sonde_fail(SONDE_EARG, "TransformerEncoder: num_layers must be between 1 and %d, got %lld", INT16_MAX,
                          (long long)num_layers);
    sonde_module *m = NULL;
    SONDE_TRY(sonde_module_new(&m, &encoder_class, NULL));
    const sonde_status status = add_layers(m, layer, num_layers, norm);
    if (status == SONDE_OK)
        *out = m;
    else
        sonde_module_release(m);
    return status;
}
