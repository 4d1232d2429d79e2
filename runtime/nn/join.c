/* Layers that cut or join tensors: Unflatten, GLU, CReLU, and the containers Concat, DenseSkip and
 * Highway. */
#include "nn/internal.h"

#include <math.h>
#include <stdio.h>

typedef struct axis_state {
    int axis, n; /* 0-based or negative */
    int64_t sizes[SONDE_MAX_DIMS];
} axis_state;

static void describe_axis(const sonde_module *self, char *text, size_t size)
{
    const axis_state *state = self->state;
    char sizes[SONDE_SHAPE_TEXT];
    int n = snprintf(text, size, "dim=%d", state->axis < 0 ? state->axis : state->axis + 1);
    if (state->n > 0 && n > 0 && (size_t)n < size)
        snprintf(text + n, size - (size_t)n, ", unflattened_size=%s", sonde_shape_text(sizes, state->n, state->sizes));
}

static sonde_status make(sonde_module **out, const sonde_module_class *class, const axis_state *with)
{
    axis_state *state = sonde_alloc(sizeof *state);
    if (!state) return SONDE_ENOMEM;
    *state = *with;
    sonde_status status = sonde_module_new(out, class, state);
    if (status != SONDE_OK) sonde_free(state);
    return status;
}

/* ---- Unflatten ------------------------------------------------------------------------------------------- */

static sonde_status unflatten(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    const axis_state *state = self->state;
    const sonde_tensor *x = in->t[0];
    int axis, n = 0;
    SONDE_TRY(sonde_axis(&axis, state->axis, x->ndim));
    if (x->ndim - 1 + state->n > SONDE_MAX_DIMS)
        return sonde_fail(SONDE_ESHAPE, "the result would have %d axes; the most is %d", x->ndim - 1 + state->n,
                          SONDE_MAX_DIMS);
    int64_t shape[SONDE_MAX_DIMS], known = 1;
    int open = -1;
    for (int d = 0; d < axis; d++) shape[n++] = x->shape[d];
    for (int i = 0; i < state->n; i++) {
        if (state->sizes[i] < 0) open = n;
        if (state->sizes[i] >= 0 && __builtin_mul_overflow(known, state->sizes[i], &known)) known = -1;
        shape[n++] = state->sizes[i];
    }
    for (int d = axis + 1; d < x->ndim; d++) shape[n++] = x->shape[d];
    bool fits = known > 0 && (open >= 0 ? x->shape[axis] % known == 0 : x->shape[axis] == known);
    if (!fits) {
        char sizes[SONDE_SHAPE_TEXT];
        return sonde_fail(SONDE_ESHAPE, "axis %d has %lld elements, which are not %s", axis + 1,
                          (long long)x->shape[axis], sonde_shape_text(sizes, state->n, state->sizes));
    }
    if (open >= 0) shape[open] = x->shape[axis] / known;
    SONDE_TRY(sonde_reshape(&out->t[0], in->t[0], n, shape));
    out->n = 1;
    return SONDE_OK;
}

static const sonde_module_class unflatten_class = {
    .name = "Unflatten", .forward = unflatten, .describe = describe_axis};

sonde_status sonde_unflatten_new(sonde_module **out, int axis, int n, const int64_t *sizes)
{
    axis_state state = {.axis = axis, .n = n};
    int open = 0;
    if (n < 1 || n > SONDE_MAX_DIMS)
        return sonde_fail(SONDE_EARG, "Unflatten: expected 1 to %d sizes, got %d", SONDE_MAX_DIMS, n);
    for (int i = 0; i < n; i++) {
        if (sizes[i] < -1 || sizes[i] == 0)
            return sonde_fail(SONDE_EARG, "Unflatten: expected sizes of at least 1, or -1 once, got %lld",
                              (long long)sizes[i]);
        open += sizes[i] == -1;
        state.sizes[i] = sizes[i];
    }
    if (open > 1) return sonde_fail(SONDE_EARG, "Unflatten: only one size may be -1");
    return make(out, &unflatten_class, &state);
}

/* ---- GLU and CReLU --------------------------------------------------------------------------------------- */

static sonde_status glu(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    sonde_tensor *x = in->t[0], *a = NULL, *b = NULL, *gate = NULL;
    int axis;
    SONDE_TRY(sonde_axis(&axis, ((const axis_state *)self->state)->axis, x->ndim));
    const int64_t half = x->shape[axis] / 2;
    if (x->shape[axis] % 2 != 0) {
        char text[SONDE_SHAPE_TEXT];
        return sonde_fail(SONDE_ESHAPE, "expected an even size along axis %d, got %s", axis + 1,
                          sonde_shape_text(text, x->ndim, x->shape));
    }
    sonde_status status = sonde_narrow(&a, x, axis, 0, half, 1);
    if (status == SONDE_OK) status = sonde_narrow(&b, x, axis, half, half, 1);
    if (status == SONDE_OK) status = sonde_activate(&gate, &(sonde_activation){.kind = SONDE_SIGMOID}, b);
    if (status == SONDE_OK) status = sonde_binary_op(&out->t[0], SONDE_MUL, a, gate);
    if (status == SONDE_OK) out->n = 1;
    sonde_tensor_release(gate);
    sonde_tensor_release(b);
    sonde_tensor_release(a);
    return status;
}

static sonde_status crelu(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    const sonde_activation relu = {.kind = SONDE_RELU};
    sonde_tensor *negative = NULL, *halves[2] = {NULL, NULL};
    int axis;
    SONDE_TRY(sonde_axis(&axis, ((const axis_state *)self->state)->axis, in->t[0]->ndim));
    sonde_status status = sonde_activate(&halves[0], &relu, in->t[0]);
    if (status == SONDE_OK) status = sonde_unary_op(&negative, SONDE_NEG, in->t[0]);
    if (status == SONDE_OK) status = sonde_activate(&halves[1], &relu, negative);
    if (status == SONDE_OK) status = sonde_cat(&out->t[0], 2, halves, axis);
    if (status == SONDE_OK) out->n = 1;
    sonde_tensor_release(halves[1]);
    sonde_tensor_release(negative);
    sonde_tensor_release(halves[0]);
    return status;
}

static const sonde_module_class glu_class = {.name = "GLU", .forward = glu, .describe = describe_axis},
                                crelu_class = {.name = "CReLU", .forward = crelu, .describe = describe_axis};

sonde_status sonde_glu_new(sonde_module **out, int axis)
{
    return make(out, &glu_class, &(axis_state){.axis = axis});
}

sonde_status sonde_crelu_new(sonde_module **out, int axis)
{
    return make(out, &crelu_class, &(axis_state){.axis = axis});
}

/* ---- containers ------------------------------------------------------------------------------------------ */

/* Runs child i on in and hands over its first result. ESTATE if it overwrites in, which others still read. */
static sonde_status run(sonde_module *self, int i, const sonde_values *in, sonde_tensor **out)
{
    sonde_values results;
    const uint32_t version = in->n > 0 ? in->t[0]->storage->version : 0;
    SONDE_TRY(sonde_module_call_child(self, i, in, &results));
    const char *name = self->children[i].name;
    if (results.n == 0 || !results.t[0]) {
        sonde_values_release(&results);
        return sonde_fail(SONDE_ESTATE, "child '%s' returned nothing", name);
    }
    if (in->n > 0 && in->t[0]->storage->version != version) {
        sonde_values_release(&results);
        return sonde_fail(SONDE_ESTATE, "child '%s' overwrites its input, which others still need (inplace = false)",
                          name);
    }
    *out = sonde_tensor_retain(results.t[0]);
    sonde_values_release(&results);
    return SONDE_OK;
}

static sonde_status concat(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    if (self->n_children == 0) return sonde_fail(SONDE_ESTATE, "there is nothing to join: add children");
    sonde_tensor **parts = sonde_alloc((size_t)self->n_children * sizeof *parts);
    if (!parts) return SONDE_ENOMEM;
    sonde_status status = SONDE_OK;
    int n = 0, axis;
    for (; status == SONDE_OK && n < self->n_children; n += status == SONDE_OK) status = run(self, n, in, &parts[n]);
    if (status == SONDE_OK) status = sonde_axis(&axis, ((const axis_state *)self->state)->axis, parts[0]->ndim);
    if (status == SONDE_OK) status = sonde_cat(&out->t[0], n, parts, axis);
    if (status == SONDE_OK) out->n = 1;
    while (n > 0) sonde_tensor_release(parts[--n]);
    sonde_free(parts);
    return status;
}

static const sonde_module_class concat_class = {
    .name = "Concat", .forward = concat, .describe = describe_axis, .max_in = SONDE_MAX_VALUES, .is_container = true};

sonde_status sonde_concat_new(sonde_module **out, int axis)
{
    return make(out, &concat_class, &(axis_state){.axis = axis});
}

enum { BLOCK, GATE };

static sonde_status dense_skip(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    sonde_skip ways;
    SONDE_TRY(sonde_skip_fork(&ways, in->t[0]));
    sonde_tensor *parts[2] = {ways.skip, NULL};
    int axis;
    sonde_status status = run(self, BLOCK, &(sonde_values){.n = 1, .t = {ways.branch}}, &parts[1]);
    if (status == SONDE_OK) status = sonde_axis(&axis, ((const axis_state *)self->state)->axis, parts[0]->ndim);
    if (status == SONDE_OK) status = sonde_cat(&out->t[0], 2, parts, axis);
    if (status == SONDE_OK) {
        out->n = 1;
        ways.out = out->t[0];
        sonde_skip_show(self, &ways);
    }
    sonde_tensor_release(parts[1]);
    sonde_skip_release(&ways);
    return status;
}

static const char *const skips[] = {"block", NULL};
static const sonde_module_class dense_skip_class = {
    .name = "DenseSkip", .forward = dense_skip, .describe = describe_axis, .is_container = true, .skips = skips};

sonde_status sonde_dense_skip_new(sonde_module **out, sonde_module *block, int axis)
{
    if (!block) return sonde_fail(SONDE_EARG, "DenseSkip: expected a block, got none");
    sonde_module *m = NULL;
    SONDE_TRY(make(&m, &dense_skip_class, &(axis_state){.axis = axis}));
    sonde_status status = sonde_module_set_child(m, "block", block);
    if (status == SONDE_OK)
        *out = m;
    else
        sonde_module_release(m);
    return status;
}

static sonde_status highway(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    sonde_tensor *h = NULL, *z = NULL, *t = NULL, *difference = NULL, *moved = NULL;
    sonde_skip ways;
    SONDE_TRY(sonde_skip_fork(&ways, in->t[0]));
    sonde_tensor *const x = ways.skip;
    const sonde_values into_branch = {.n = 1, .t = {ways.branch}};
    sonde_status status = run(self, BLOCK, &into_branch, &h);
    if (status == SONDE_OK) status = run(self, GATE, &into_branch, &z);
    if (status == SONDE_OK) status = sonde_activate(&t, &(sonde_activation){.kind = SONDE_SIGMOID}, z);
    if (status == SONDE_OK && !sonde_tensor_same_shape(h, x)) {
        char a[SONDE_SHAPE_TEXT], b[SONDE_SHAPE_TEXT];
        status =
            sonde_fail(SONDE_ESHAPE, "the input has shape %s but the block's result has shape %s",
                       sonde_shape_text(a, x->ndim, x->shape), sonde_shape_text(b, h->ndim, h->shape));
    }
    if (status == SONDE_OK) status = sonde_binary_op(&difference, SONDE_SUB, h, x);
    if (status == SONDE_OK) status = sonde_binary_op(&moved, SONDE_MUL, t, difference);
    if (status == SONDE_OK) status = sonde_binary_op(&out->t[0], SONDE_ADD, x, moved);
    if (status == SONDE_OK) {
        out->n = 1;
        ways.gate = t;
        ways.out = out->t[0];
        sonde_skip_show(self, &ways);
    }
    sonde_tensor *const steps[] = {h, z, t, difference, moved};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) sonde_tensor_release(steps[i]);
    sonde_skip_release(&ways);
    return status;
}

static const sonde_module_class highway_class = {
    .name = "Highway", .forward = highway, .is_container = true, .skips = skips};

bool sonde_is_highway(const sonde_module *m) { return m->class == &highway_class; }

static sonde_status add_parts(sonde_module *m, sonde_module *block, int64_t features, double gate_bias,
                              sonde_dtype dtype)
{
    sonde_module *gate = NULL;
    SONDE_TRY(sonde_module_set_child(m, "block", block));
    SONDE_TRY(sonde_linear_new(&gate, features, features, true, dtype));
    sonde_status status = sonde_tensor_fill_(sonde_module_parameter(gate, "bias"), gate_bias);
    if (status == SONDE_OK) status = sonde_module_set_child(m, "gate", gate);
    sonde_module_release(gate);
    return status;
}

sonde_status sonde_highway_new(sonde_module **out, sonde_module *block, int64_t features, double gate_bias,
                               sonde_dtype dtype)
{
    if (!block) return sonde_fail(SONDE_EARG, "Highway: expected a block, got none");
    if (!isfinite(gate_bias)) return sonde_fail(SONDE_EARG, "Highway: gate_bias must be finite, got %g", gate_bias);
    sonde_module *m = NULL;
    SONDE_TRY(sonde_module_new(&m, &highway_class, NULL));
    sonde_status status = add_parts(m, block, features, gate_bias, dtype);
    if (status == SONDE_OK)
        *out = m;
    else
        sonde_module_release(m);
    return status;
}
