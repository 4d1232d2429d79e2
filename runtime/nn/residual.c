#include "nn/internal.h"

#include <math.h>
#include <stdio.h>

typedef struct residual_state {
    double scale;
    bool learned;
} residual_state;

enum { BLOCK, SHORTCUT }; /* children; the second only where given */
enum { SCALE };           /* parameter; only where learned */

/* Runs child i and hands over its first result. */
static sonde_status run(sonde_module *self, int i, const sonde_values *in, sonde_tensor **out)
{
    sonde_values results;
    SONDE_TRY(sonde_module_call_child(self, i, in, &results));
    if (results.n == 0 || !results.t[0]) {
        sonde_values_release(&results);
        return sonde_fail(SONDE_ESTATE, "child '%s' returned nothing to add", self->children[i].name);
    }
    *out = sonde_tensor_retain(results.t[0]);
    sonde_values_release(&results);
    return SONDE_OK;
}

/* skip + scale · branch */
static sonde_status combine(const sonde_module *self, sonde_tensor *skip, sonde_tensor *branch, sonde_tensor **out)
{
    const residual_state *state = self->state;
    if (!sonde_tensor_same_shape(skip, branch)) {
        char a[SONDE_SHAPE_TEXT], b[SONDE_SHAPE_TEXT];
        return sonde_fail(SONDE_ESHAPE, "the skip has shape %s but the block's result has shape %s",
                          sonde_shape_text(a, skip->ndim, skip->shape),
                          sonde_shape_text(b, branch->ndim, branch->shape));
    }
    if (!state->learned && state->scale == 1) return sonde_binary_op(out, SONDE_ADD, skip, branch);
    sonde_tensor *scaled = NULL;
    if (!state->learned) {
        SONDE_TRY(sonde_scalar_op(&scaled, SONDE_MUL, branch, state->scale, false));
    } else {
        sonde_tensor *scale = self->parameters[SCALE].tensor;
        if (!scale) return sonde_fail(SONDE_ESTATE, "the scale is missing");
        SONDE_TRY(sonde_binary_op(&scaled, SONDE_MUL, branch, scale));
    }
    sonde_status status = sonde_binary_op(out, SONDE_ADD, skip, scaled);
    sonde_tensor_release(scaled);
    return status;
}

static sonde_status forward(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    sonde_tensor *skip = NULL, *branch = NULL;
    sonde_values into_block = *in;
    sonde_skip ways;
    SONDE_TRY(sonde_skip_fork(&ways, in->t[0]));
    into_block.t[0] = ways.branch;
    sonde_status status = SONDE_OK;
    if (self->n_children > SHORTCUT)
        status = run(self, SHORTCUT, &(sonde_values){.n = 1, .t = {ways.skip}}, &skip);
    else
        skip = sonde_tensor_retain(ways.skip);
    uint32_t version = status == SONDE_OK ? skip->storage->version : 0;
    if (status == SONDE_OK) status = run(self, BLOCK, &into_block, &branch);
    if (status == SONDE_OK && skip->storage->version != version)
        status =
            sonde_fail(SONDE_ESTATE, "the block overwrites its input, which the skip still needs (inplace = false)");
    if (status == SONDE_OK) status = combine(self, skip, branch, &out->t[0]);
    if (status == SONDE_OK) {
        out->n = 1;
        ways.out = out->t[0];
        sonde_skip_show(self, &ways);
    }
    sonde_tensor_release(skip);
    sonde_tensor_release(branch);
    sonde_skip_release(&ways);
    return status;
}

static void describe(const sonde_module *self, char *text, size_t size)
{
    const residual_state *state = self->state;
    char number[32];
    if (state->learned)
        snprintf(text, size, "learn_scale=true");
    else if (state->scale != 1)
        snprintf(text, size, "scale=%s", sonde_nn_number(number, state->scale));
}

static const char *const skips[] = {"block", NULL};
static const sonde_module_class residual_class = {.name = "Residual",
                                                  .forward = forward,
                                                  .describe = describe,
                                                  .max_in = SONDE_MAX_VALUES,
                                                  .is_container = true,
                                                  .skips = skips};

/* The dtype of the block's first parameter. */
static sonde_status first_dtype(void *context, const char *path, sonde_module *owner, const sonde_parameter *p)
{
    sonde_dtype *first = context;
    if (*first == SONDE_DTYPE_COUNT) *first = p->tensor->dtype;
    return SONDE_OK;
}

static sonde_status add_parts(sonde_module *m, sonde_module *block, sonde_module *shortcut)
{
    const residual_state *state = m->state;
    SONDE_TRY(sonde_module_set_child(m, "block", block));
    if (shortcut) SONDE_TRY(sonde_module_set_child(m, "shortcut", shortcut));
    if (!state->learned) return SONDE_OK;
    sonde_dtype dtype = SONDE_DTYPE_COUNT;
    SONDE_TRY(sonde_module_visit_parameters(block, false, first_dtype, &dtype));
    if (dtype == SONDE_DTYPE_COUNT) dtype = SONDE_FLOAT32;
    return sonde_module_make_parameter(m, "scale", dtype, 1, &(int64_t){1}, state->scale, state->scale);
}

sonde_status sonde_residual_new(sonde_module **out, sonde_module *block, sonde_module *shortcut, double scale,
                                bool learn_scale)
{
    if (!block) return sonde_fail(SONDE_EARG, "Residual: expected a block, got none");
    if (!isfinite(scale)) return sonde_fail(SONDE_EARG, "Residual: scale must be finite, got %g", scale);
    residual_state *state = sonde_alloc(sizeof *state);
    if (!state) return SONDE_ENOMEM;
    *state = (residual_state){scale, learn_scale};
    sonde_module *m = NULL;
    sonde_status status = sonde_module_new(&m, &residual_class, state);
    if (status != SONDE_OK) {
        sonde_free(state);
        return status;
    }
    status = add_parts(m, block, shortcut);
    if (status != SONDE_OK) {
        sonde_module_release(m);
        return status;
    }
    *out = m;
    return SONDE_OK;
}
