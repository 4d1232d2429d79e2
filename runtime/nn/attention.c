#include "nn/internal.h"

#include <math.h>
#include <stdio.h>

typedef struct attention_state {
    sonde_attention_options options;
    sonde_stream stream; /* of the dropout */
} attention_state;

enum { IN_PROJ, Q_PROJ, K_PROJ, V_PROJ, IN_BIAS, BIAS_K, BIAS_V }; /* parameters; those not wanted are absent */
enum { OUT_PROJ };                                                 /* child */
enum { QUERY, KEY, VALUE, KEY_PADDING_MASK, NEED_WEIGHTS, ATTN_MASK, AVERAGE, IS_CAUSAL }; /* arguments */

static sonde_tensor *argument(const sonde_values *in, int i)
{
    return i < in->n ? in->t[i] : NULL;
}

/* An argument that is a yes or a no: a tensor of one element. */
static sonde_status read_flag(bool *out, const sonde_module *m, const sonde_values *in, int i, bool fallback)
{
    const sonde_tensor *t = argument(in, i);
    *out = fallback;
    if (!t) return SONDE_OK;
    if (sonde_tensor_numel(t) != 1)
        return sonde_fail(SONDE_ESHAPE, "%s must have one element, got %lld", m->class->arguments[i],
                          (long long)sonde_tensor_numel(t));
    *out = sonde_tensor_get(t, (const int64_t[SONDE_MAX_DIMS]){0}) != 0;
    return SONDE_OK;
}

/* ---- masks ----------------------------------------------------------------------------------------------- */

/* A mask as numbers to add: where int64 is not 0, -inf. */
static sonde_status additive(sonde_tensor **out, sonde_tensor *mask, sonde_dtype dtype)
{
    if (sonde_dtype_is_float(mask->dtype)) return sonde_cast(out, mask, dtype);
    sonde_tensor *forbidden = NULL, *never = NULL, *allowed = NULL;
    sonde_status status = sonde_scalar_op(&forbidden, SONDE_NE, mask, 0, false);
    if (status == SONDE_OK) status = sonde_tensor_full(&never, dtype, 0, NULL, -HUGE_VAL);
    if (status == SONDE_OK) status = sonde_tensor_full(&allowed, dtype, 0, NULL, 0);
    if (status == SONDE_OK) status = sonde_where(out, forbidden, never, allowed);
    sonde_tensor_release(allowed);
    sonde_tensor_release(never);
    sonde_tensor_release(forbidden);
    return status;
}

/* [queries, keys], -inf where the key is later. */
static sonde_status causal(sonde_tensor **out, sonde_dtype dtype, int64_t queries, int64_t keys)
{
    SONDE_TRY(sonde_tensor_zeros(out, dtype, 2, (int64_t[]){queries, keys}));
    char *data = sonde_tensor_data(*out);
    for (int64_t i = 0; i < queries; i++)
        for (int64_t j = i + 1; j < keys; j++) {
            if (dtype == SONDE_FLOAT32)
                ((float *)data)[i * keys + j] = -HUGE_VALF;
            else
                ((double *)data)[i * keys + j] = -HUGE_VAL;
        }
    return SONDE_OK;
}

/* Replaces *mask (one reference; NULL: none) by it and `extra` columns of zeros: what is appended may be seen by all.
 */
static sonde_status widen(sonde_tensor **mask, int64_t extra)
{
    sonde_tensor *zeros, *wide, *old = *mask;
    if (!old || extra == 0) return SONDE_OK;
    int64_t shape[SONDE_MAX_DIMS];
    for (int d = 0; d < old->ndim; d++) shape[d] = old->shape[d];
    shape[old->ndim - 1] = extra;
    SONDE_TRY(sonde_tensor_zeros(&zeros, old->dtype, old->ndim, shape));
    const sonde_status status = sonde_cat(&wide, 2, (sonde_tensor *[]){old, zeros}, old->ndim - 1);
    sonde_tensor_release(zeros);
    SONDE_TRY(status);
    sonde_tensor_release(old);
    *mask = wide;
    return SONDE_OK;
}

/* The two masks as the operator takes them. queries, keys: those that the caller gave. */
static sonde_status make_masks(sonde_module *self, const sonde_values *in, int64_t queries, int64_t keys, bool single,
                               sonde_tensor *ready[SONDE_ATTENTION_INPUTS])
{
    const sonde_attention_options *o = &((const attention_state *)self->state)->options;
    const sonde_dtype dtype = in->t[QUERY]->dtype;
    sonde_tensor *padding = argument(in, KEY_PADDING_MASK), *given = argument(in, ATTN_MASK), *triangle = NULL;
    sonde_tensor **mask = &ready[SONDE_ATTENTION_MASK], **key_mask = &ready[SONDE_ATTENTION_KEY_MASK];
    bool is_causal;
    SONDE_TRY(read_flag(&is_causal, self, in, IS_CAUSAL, false));
    if (given &&
        (given->ndim < 2 || given->shape[given->ndim - 2] != queries || given->shape[given->ndim - 1] != keys)) {
        char text[SONDE_SHAPE_TEXT];
        return sonde_fail(SONDE_ESHAPE, "expected an attn_mask [%lld, %lld] or [N * num_heads, %lld, %lld], got %s",
                          (long long)queries, (long long)keys, (long long)queries, (long long)keys,
                          sonde_shape_text(text, given->ndim, given->shape));
    }
    if (given) SONDE_TRY(additive(mask, given, dtype));
    if (is_causal) {
        SONDE_TRY(causal(&triangle, dtype, queries, keys));
        sonde_tensor *both = NULL;
        const sonde_status status = *mask ? sonde_binary_op(&both, SONDE_ADD, *mask, triangle) : SONDE_OK;
        sonde_tensor_release(*mask);
        *mask = *mask ? both : sonde_tensor_retain(triangle);
        sonde_tensor_release(triangle);
        SONDE_TRY(status);
    }
    SONDE_TRY(widen(mask, o->add_bias_kv + o->add_zero_attn));
    if (!padding) return SONDE_OK;
    if (padding->ndim < 1 || padding->shape[padding->ndim - 1] != keys || padding->ndim != (single ? 1 : 2)) {
        char text[SONDE_SHAPE_TEXT];
        return sonde_fail(SONDE_ESHAPE, "expected a key_padding_mask [%s%lld], got %s", single ? "" : "N, ",
                          (long long)keys, sonde_shape_text(text, padding->ndim, padding->shape));
    }
    sonde_tensor *rows = NULL;
    SONDE_TRY(additive(&rows, padding, dtype));
    const sonde_status status = single ? sonde_unsqueeze(key_mask, rows, 0) : SONDE_OK;
    if (single)
        sonde_tensor_release(rows);
    else
        *key_mask = rows;
    SONDE_TRY(status);
    return widen(key_mask, o->add_bias_kv + o->add_zero_attn);
}

/* ---- projections ----------------------------------------------------------------------------------------- */

/* Rows i·E … of what is packed. */
static sonde_status third(sonde_tensor **out, sonde_tensor *packed, int i, int64_t rows)
{
    *out = NULL;
    return packed ? sonde_narrow(out, packed, 0, i * rows, rows, 1) : SONDE_OK;
}

/* Projection i (query, key, value) of x. */
static sonde_status project(sonde_tensor **out, const sonde_module *self, sonde_tensor *x, int i)
{
    const int64_t rows = ((const attention_state *)self->state)->options.embed_dim;
    sonde_tensor *packed = self->parameters[IN_PROJ].tensor, *weight = NULL, *bias = NULL;
    sonde_status status = SONDE_OK;
    if (packed)
        status = third(&weight, packed, i, rows);
    else if (self->parameters[Q_PROJ + i].tensor)
        weight = sonde_tensor_retain(self->parameters[Q_PROJ + i].tensor);
    else
        status = sonde_fail(SONDE_ESTATE, "the weights are missing");
    if (status == SONDE_OK) status = third(&bias, self->parameters[IN_BIAS].tensor, i, rows);
    if (status == SONDE_OK) status = sonde_linear(out, x, weight, bias);
    sonde_tensor_release(bias);
    sonde_tensor_release(weight);
    return status;
}

/* Replaces *t (keys or values) by it and one more position: a parameter [1, 1, E], or zeros for NULL. */
static sonde_status append(sonde_tensor **t, sonde_tensor *parameter, int time)
{
    sonde_tensor *old = *t, *row = NULL, *longer = NULL;
    int64_t shape[3] = {old->shape[0], old->shape[1], old->shape[2]};
    shape[time] = 1;
    sonde_status status =
        parameter ? sonde_expand(&row, parameter, 3, shape) : sonde_tensor_zeros(&row, old->dtype, 3, shape);
    if (status == SONDE_OK) status = sonde_cat(&longer, 2, (sonde_tensor *[]){old, row}, time);
    sonde_tensor_release(row);
    SONDE_TRY(status);
    sonde_tensor_release(old);
    *t = longer;
    return SONDE_OK;
}

/* Query, key and value projected; of self-attention one product, its three results side by side. */
static sonde_status project_all(const sonde_module *self, sonde_tensor *const x[3], sonde_tensor *projected[])
{
    const sonde_attention_options *o = &((const attention_state *)self->state)->options;
    const int time = o->batch_first ? 1 : 0;
    sonde_tensor *packed = self->parameters[IN_PROJ].tensor;
    if (packed && x[QUERY] == x[KEY] && x[KEY] == x[VALUE] && !o->add_bias_kv && !o->add_zero_attn)
        return sonde_linear(&projected[QUERY], x[QUERY], packed, self->parameters[IN_BIAS].tensor);
    for (int i = 0; i < 3; i++) SONDE_TRY(project(&projected[i], self, x[i], i));
    for (int i = 1; i < 3; i++) {
        if (o->add_bias_kv) SONDE_TRY(append(&projected[i], self->parameters[BIAS_K + i - 1].tensor, time));
        if (o->add_zero_attn) SONDE_TRY(append(&projected[i], NULL, time));
    }
    return SONDE_OK;
}

/* ---- forward --------------------------------------------------------------------------------------------- */

static sonde_status check_inputs(const sonde_attention_options *o, sonde_tensor *const x[3])
{
    static const char *const names[] = {"query", "key", "value"};
    const int64_t features[3] = {o->embed_dim, o->kdim, o->vdim};
    const int ndim = x[QUERY]->ndim, time = ndim == 3 && o->batch_first ? 1 : 0;
    for (int i = 0; i < 3; i++) {
        const sonde_tensor *t = x[i], *like = i == VALUE ? x[KEY] : x[QUERY];
        bool fits = (ndim == 2 || ndim == 3) && t->ndim == ndim && t->shape[ndim - 1] == features[i];
        if (fits && ndim == 3) fits = t->shape[1 - time] == like->shape[1 - time];
        if (fits && i == VALUE) fits = t->shape[time] == like->shape[time];
        if (fits && t->shape[time] >= 1) continue;
        char got[SONDE_SHAPE_TEXT], query[SONDE_SHAPE_TEXT];
        return sonde_fail(SONDE_ESHAPE, "expected a %s [%s%s, %lld] or [%s, %lld], got %s%s%s", names[i],
                          o->batch_first ? "N, " : "",
                          i == QUERY       ? o->batch_first ? "L" : "L, N"
                          : o->batch_first ? "S"
                                           : "S, N",
                          (long long)features[i], i == QUERY ? "L" : "S", (long long)features[i],
                          sonde_shape_text(got, t->ndim, t->shape),
                          i == QUERY ? ""
                          : i == KEY ? " for query "
                                     : " for key ",
                          i == QUERY ? "" : sonde_shape_text(query, like->ndim, like->shape));
    }
    return SONDE_OK;
}

/* W [N, heads, L, S] as it is handed out. */
static sonde_status finish_weights(sonde_tensor **out, sonde_tensor *w, bool average, bool single)
{
    sonde_tensor *mean = NULL;
    const int first = 0, heads = 1;
    if (average) SONDE_TRY(sonde_reduce(&mean, SONDE_MEAN, w, 1, &heads, false, 0));
    sonde_tensor *weights = mean ? mean : w;
    sonde_status status = SONDE_OK;
    if (single)
        status = sonde_squeeze(out, weights, &first);
    else
        *out = sonde_tensor_retain(weights);
    sonde_tensor_release(mean);
    return status;
}

/* Between projections and out_proj. x: with a batch axis. out: y, W. */
static sonde_status attend(sonde_module *self, const sonde_values *in, sonde_tensor *const x[3], bool single,
                           sonde_tensor *out[2])
{
    attention_state *state = self->state;
    const sonde_attention_options *o = &state->options;
    const int time = o->batch_first ? 1 : 0;
    sonde_tensor *ready[SONDE_ATTENTION_INPUTS] = {NULL};
    const bool drops = self->training && o->dropout > 0;
    const sonde_attention_args args = {.heads = o->num_heads,
                                       .batch_first = o->batch_first,
                                       .dropout = drops ? o->dropout : 0,
                                       .stream = drops ? &state->stream : NULL};
    sonde_status status = make_masks(self, in, x[QUERY]->shape[time], x[KEY]->shape[time], single, ready);
    if (status == SONDE_OK) status = project_all(self, x, ready);
    if (status == SONDE_OK) status = sonde_attention(out, ready, &args);
    for (int i = 0; i < SONDE_ATTENTION_INPUTS; i++) sonde_tensor_release(ready[i]);
    return status;
}

/* y goes through out_proj; the weights follow if wanted. */
static sonde_status give(sonde_module *self, const sonde_values *in, sonde_tensor *const attended[2], bool single,
                         sonde_values *out)
{
    const int batch = ((const attention_state *)self->state)->options.batch_first ? 0 : 1;
    bool need_weights, average;
    sonde_values projected;
    SONDE_TRY(read_flag(&need_weights, self, in, NEED_WEIGHTS, true));
    SONDE_TRY(read_flag(&average, self, in, AVERAGE, true));
    SONDE_TRY(sonde_module_call_child(self, OUT_PROJ, &(sonde_values){.n = 1, .t = {attended[0]}}, &projected));
    sonde_status status =
        projected.n > 0 && projected.t[0] ? SONDE_OK : sonde_fail(SONDE_ESTATE, "child 'out_proj' returned nothing");
    if (status == SONDE_OK && single)
        status = sonde_squeeze(&out->t[0], projected.t[0], &batch);
    else if (status == SONDE_OK)
        out->t[0] = sonde_tensor_retain(projected.t[0]);
    sonde_values_release(&projected);
    SONDE_TRY(status);
    out->n = 1;
    if (!need_weights) return SONDE_OK;
    status = finish_weights(&out->t[1], attended[1], average, single);
    if (status == SONDE_OK)
        out->n = 2;
    else
        sonde_values_release(out);
    return status;
}

static sonde_status forward(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    const sonde_attention_options *o = &((const attention_state *)self->state)->options;
    sonde_tensor *given[3] = {in->t[QUERY], argument(in, KEY), argument(in, VALUE)}, *x[3] = {NULL};
    if (!given[KEY]) given[KEY] = given[QUERY];
    if (!given[VALUE]) given[VALUE] = given[KEY];
    SONDE_TRY(check_inputs(o, given));
    const bool single = given[QUERY]->ndim == 2;
    sonde_status status = SONDE_OK;
    for (int i = 0; i < 3 && status == SONDE_OK; i++) {
        if (i > 0 && given[i] == given[i - 1])
            x[i] = sonde_tensor_retain(x[i - 1]);
        else if (single)
            status = sonde_unsqueeze(&x[i], given[i], o->batch_first ? 0 : 1);
        else
            x[i] = sonde_tensor_retain(given[i]);
    }
    sonde_tensor *attended[2] = {NULL, NULL};
    if (status == SONDE_OK) status = attend(self, in, x, single, attended);
    if (status == SONDE_OK) {
        status = give(self, in, attended, single, out);
        sonde_tensor_release(attended[0]);
        sonde_tensor_release(attended[1]);
    }
    for (int i = 0; i < 3; i++) sonde_tensor_release(x[i]);
    return status;
}

/* ---- making ---------------------------------------------------------------------------------------------- */

static void describe(const sonde_module *self, char *text, size_t size)
{
    const sonde_attention_options *o = &((const attention_state *)self->state)->options;
    char number[32];
    size_t used = 0;
#define SAY(condition, ...)                                                                                            \
    if ((condition) && used < size) used += (size_t)snprintf(text + used, size - used, __VA_ARGS__)
    SAY(true, "%lld, %lld", (long long)o->embed_dim, (long long)o->num_heads);
    SAY(o->dropout > 0, ", dropout=%s", sonde_nn_number(number, o->dropout));
    SAY(!o->bias, ", bias=false");
    SAY(o->add_bias_kv, ", add_bias_kv=true");
    SAY(o->add_zero_attn, ", add_zero_attn=true");
    SAY(o->kdim != o->embed_dim, ", kdim=%lld", (long long)o->kdim);
    SAY(o->vdim != o->embed_dim, ", vdim=%lld", (long long)o->vdim);
    SAY(o->batch_first, ", batch_first=true");
#undef SAY
}

static sonde_stream *stream(sonde_module *self)
{
    attention_state *state = self->state;
    return state->options.dropout > 0 ? &state->stream : NULL;
}

static const char *const argument_names[] = {
    "query",     "key", "value", "key_padding_mask", "need_weights", "attn_mask", "average_attn_weights",
    "is_causal", NULL};

static const sonde_module_class attention_class = {.name = "MultiheadAttention",
                                                   .forward = forward,
                                                   .describe = describe,
                                                   .max_in = IS_CAUSAL + 1,
                                                   .arguments = argument_names,
                                                   .stream = stream};

static sonde_status make_matrix(sonde_module *m, const char *name, int64_t rows, int64_t columns)
{
    const double bound = sqrt(6 / (double)(rows + columns)); /* Glorot & Bengio 2010 */
    const sonde_dtype dtype = ((const attention_state *)m->state)->options.dtype;
    return sonde_module_make_parameter(m, name, dtype, 2, (int64_t[]){rows, columns}, -bound, bound);
}

/* bias_k, bias_v [1, 1, E] */
static sonde_status make_extra(sonde_module *m, const char *name)
{
    const sonde_attention_options *o = &((const attention_state *)m->state)->options;
    if (!o->add_bias_kv) return sonde_module_set_parameter(m, name, NULL, false);
    SONDE_TRY(sonde_module_make_parameter(m, name, o->dtype, 3, (int64_t[]){1, 1, o->embed_dim}, 0, 0));
    sonde_stream draws;
    sonde_nn_random_parameter(&draws);
    return sonde_init_xavier_normal_(sonde_module_parameter(m, name), &draws, 1);
}

static sonde_status add_parts(sonde_module *m)
{
    static const char *const names[] = {"q_proj_weight", "k_proj_weight", "v_proj_weight"};
    const sonde_attention_options *o = &((const attention_state *)m->state)->options;
    const int64_t e = o->embed_dim, packed = 3 * e, features[3] = {e, o->kdim, o->vdim};
    const bool same = o->kdim == e && o->vdim == e;
    SONDE_TRY(same ? make_matrix(m, "in_proj_weight", packed, e)
                   : sonde_module_set_parameter(m, "in_proj_weight", NULL, false));
    for (int i = 0; i < 3; i++)
        SONDE_TRY(same ? sonde_module_set_parameter(m, names[i], NULL, false)
                       : make_matrix(m, names[i], e, features[i]));
    SONDE_TRY(o->bias ? sonde_module_make_parameter(m, "in_proj_bias", o->dtype, 1, &packed, 0, 0)
                      : sonde_module_set_parameter(m, "in_proj_bias", NULL, false));
    SONDE_TRY(make_extra(m, "bias_k"));
    SONDE_TRY(make_extra(m, "bias_v"));
    sonde_module *out_proj = NULL;
    SONDE_TRY(sonde_linear_new(&out_proj, e, e, o->bias, o->dtype));
    sonde_status status = o->bias ? sonde_tensor_fill_(sonde_module_parameter(out_proj, "bias"), 0) : SONDE_OK;
    if (status == SONDE_OK) status = sonde_module_set_child(m, "out_proj", out_proj);
    sonde_module_release(out_proj);
    return status;
}

sonde_attention_options sonde_attention_defaults(int64_t embed_dim, int64_t num_heads)
{
    return (sonde_attention_options){
        .embed_dim = embed_dim, .num_heads = num_heads, .bias = true, .dtype = SONDE_FLOAT32};
}

static sonde_status check_options(const sonde_attention_options *o)
{
    static const char name[] = "MultiheadAttention";
    if (o->embed_dim < 1 || o->kdim < 1 || o->vdim < 1 || o->num_heads < 1)
        return sonde_fail(SONDE_EARG,
                          "%s: embed_dim, num_heads, kdim and vdim must be at least 1, got %lld, %lld, "
                          "%lld and %lld",
                          name, (long long)o->embed_dim, (long long)o->num_heads, (long long)o->kdim,
                          (long long)o->vdim);
    if (o->embed_dim > INT32_MAX) return sonde_fail(SONDE_EARG, "%s: embed_dim must be below 2^31", name);
    if (o->embed_dim % o->num_heads != 0)
        return sonde_fail(SONDE_EARG, "%s: embed_dim %lld cannot be cut into %lld heads", name, (long long)o->embed_dim,
                          (long long)o->num_heads);
    if (!(o->dropout >= 0 && o->dropout <= 1))
        return sonde_fail(SONDE_EARG, "%s: dropout must be between 0 and 1, got %g", name, o->dropout);
    if (!sonde_dtype_is_float(o->dtype))
        return sonde_fail(SONDE_EDTYPE, "%s: dtype must be float32 or float64, got %s", name,
                          sonde_dtype_name(o->dtype));
    return SONDE_OK;
}

sonde_status sonde_multihead_attention_new(sonde_module **out, const sonde_attention_options *options)
{
    sonde_attention_options o = *options;
    if (o.kdim == 0) o.kdim = o.embed_dim;
    if (o.vdim == 0) o.vdim = o.embed_dim;
    SONDE_TRY(check_options(&o));
    attention_state *state = sonde_alloc_zeroed(sizeof *state);
    if (!state) return SONDE_ENOMEM;
    state->options = o;
    if (o.dropout > 0) sonde_nn_random_stochastic(&state->stream, "attention");
    sonde_module *m = NULL;
    sonde_status status = sonde_module_new(&m, &attention_class, state);
    if (status != SONDE_OK) {
        sonde_free(state);
        return status;
    }
    status = add_parts(m);
    if (status != SONDE_OK) {
        sonde_module_release(m);
        return status;
    }
    *out = m;
    return SONDE_OK;
}
