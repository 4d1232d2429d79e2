/* Full backward hooks. The inputs of a hooked call pass through one node and its outputs through another; both only
 * copy. Backward reaches the output node first, which notes grad_out, and the input node last, which has grad_in and
 * calls the hooks. Copies, not views, so that in-place operators inside the module or after it stay correct: what the
 * module overwrote is written back into the caller's tensor as a recorded assignment. */
#include "nn/internal.h"

struct sonde_hooked_call {
    int refs; /* the call's while it runs, and one for each node */
    sonde_module *module;
    int n_in, n_out;         /* values that go in and come out */
    int n_inputs, n_outputs; /* those of them that need a gradient, and which they are */
    int input[SONDE_OP_MAX_OUT], output[SONDE_OP_MAX_OUT];
    sonde_dtype dtype[SONDE_OP_MAX_OUT]; /* of the inputs */
    uint32_t version[SONDE_OP_MAX_OUT];  /* of their copies before forward */
    bool reached;                        /* this backward has passed the output node */
    sonde_values grad_out;
};

void sonde_hooked_call_release(sonde_hooked_call *call)
{
    if (!call || --call->refs > 0) return;
    sonde_values_release(&call->grad_out);
    sonde_module_release(call->module);
    sonde_free(call);
}

/* ---- the two nodes --------------------------------------------------------------------------------------- */

static sonde_status copy_shape(sonde_call *c)
{
    for (int i = 0; i < c->n_in; i++) {
        c->out_dtype[i] = c->in[i]->dtype;
        c->out_ndim[i] = c->in[i]->ndim;
        for (int d = 0; d < c->in[i]->ndim; d++) c->out_shape[i][d] = c->in[i]->shape[d];
    }
    return SONDE_OK;
}

static sonde_status copy_forward(sonde_call *c)
{
    for (int i = 0; i < c->n_in; i++) SONDE_TRY(sonde_tensor_copy_(c->out[i], c->in[i]));
    return SONDE_OK;
}

static void release_args(void *args)
{
    sonde_hooked_call_release(*(sonde_hooked_call **)args);
}

/* A replacement must be what the inputs' gradients can be. */
static sonde_status check_replacement(const sonde_hooked_call *call, const sonde_node *node, const sonde_values *r)
{
    const char *class = call->module->class->name;
    if (r->n != call->n_in)
        return sonde_fail(SONDE_EARG, "a backward hook of %s returned %d gradients for %d inputs", class, r->n,
                          call->n_in);
    if (call->n_inputs == 0)
        for (int i = 0; i < r->n; i++)
            if (r->t[i])
                return sonde_fail(SONDE_EARG,
                                  "a backward hook of %s replaced a gradient, but none of its inputs has one", class);
    for (int k = 0; k < call->n_inputs; k++) {
        const sonde_tensor *g = r->t[call->input[k]];
        if (!g) continue;
        int ndim;
        const int64_t *shape = sonde_node_in_shape(node, k, &ndim);
        bool fits = g->dtype == call->dtype[k] && g->ndim == ndim;
        for (int d = 0; fits && d < ndim; d++) fits = g->shape[d] == shape[d];
        if (fits) continue;
        char want[SONDE_SHAPE_TEXT], got[SONDE_SHAPE_TEXT];
        return sonde_fail(SONDE_ESHAPE,
                          "a backward hook of %s returned a %s gradient of shape %s for input %d, expected %s %s",
                          class, sonde_dtype_name(g->dtype), sonde_shape_text(got, g->ndim, g->shape),
                          call->input[k] + 1, sonde_dtype_name(call->dtype[k]), sonde_shape_text(want, ndim, shape));
    }
    return SONDE_OK;
}

/* Shows every hook the gradients; grad_in becomes what they make of it. */
static sonde_status run_hooks(sonde_hooked_call *call, const sonde_node *node, sonde_values *grad_in)
{
    sonde_hook_walk walk = sonde_hooks_walk(&call->module->hooks->backward);
    sonde_status status = SONDE_OK;
    for (sonde_handle *h; status == SONDE_OK && (h = sonde_hooks_next(&walk));) {
        sonde_values replacement = {0};
        bool replaced = false;
        status = ((sonde_backward_hook)h->callback)(h->context, call->module, grad_in, &call->grad_out, &replacement,
                                                    &replaced);
        if (status != SONDE_OK || !replaced) continue;
        status = check_replacement(call, node, &replacement);
        sonde_values unused = replacement;
        if (status == SONDE_OK) {
            unused = *grad_in;
            *grad_in = replacement;
        }
        sonde_values_release(&unused);
    }
    sonde_hooks_end(&walk);
    sonde_values_release(&call->grad_out);
    call->reached = false;
    return status;
}

static sonde_status output_backward(sonde_node *node)
{
    sonde_hooked_call *call = *(sonde_hooked_call *const *)sonde_node_args(node);
    sonde_values_release(&call->grad_out);
    call->grad_out = (sonde_values){.n = call->n_out};
    call->reached = true;
    for (int k = 0; k < call->n_outputs; k++) {
        sonde_tensor *g = sonde_node_grad(node, k);
        if (!g) continue;
        call->grad_out.t[call->output[k]] = sonde_tensor_retain(g);
        SONDE_TRY(sonde_node_give(node, k, g));
    }
    if (call->n_inputs > 0) return SONDE_OK;
    sonde_values none = {.n = call->n_in};
    sonde_status status = run_hooks(call, node, &none);
    sonde_values_release(&none);
    return status;
}

static sonde_status input_backward(sonde_node *node)
{
    sonde_hooked_call *call = *(sonde_hooked_call *const *)sonde_node_args(node);
    if (!call->reached)
        return sonde_fail(SONDE_ESTATE,
                          "a gradient reached the inputs of %s, which has backward hooks, without passing "
                          "through its outputs",
                          call->module->class->name);
    sonde_values grad_in = {.n = call->n_in};
    for (int k = 0; k < call->n_inputs; k++) {
        sonde_tensor *g = sonde_node_grad(node, k);
        if (g) grad_in.t[call->input[k]] = sonde_tensor_retain(g);
    }
    sonde_status status = run_hooks(call, node, &grad_in);
    for (int k = 0; k < call->n_inputs && status == SONDE_OK; k++)
        if (grad_in.t[call->input[k]]) status = sonde_node_give(node, k, grad_in.t[call->input[k]]);
    sonde_values_release(&grad_in);
    return status;
}

#define HOOK_ROW(label, n, walk_back)                                                                                  \
    {                                                                                                                  \
        .name = label, .n_out = n, .args_size = sizeof(sonde_hooked_call *), .shape = copy_shape,                      \
        .forward = copy_forward, .backward = walk_back, .free_args = release_args                                      \
    }

_Static_assert(SONDE_OP_MAX_OUT == 4, "one row for each number of outputs");
/* A row has a fixed number of outputs. */
static const sonde_op input_rows[SONDE_OP_MAX_OUT] = {
    HOOK_ROW("module_input", 1, input_backward), HOOK_ROW("module_input", 2, input_backward),
    HOOK_ROW("module_input", 3, input_backward), HOOK_ROW("module_input", 4, input_backward)};
static const sonde_op output_rows[SONDE_OP_MAX_OUT] = {
    HOOK_ROW("module_output", 1, output_backward), HOOK_ROW("module_output", 2, output_backward),
    HOOK_ROW("module_output", 3, output_backward), HOOK_ROW("module_output", 4, output_backward)};

/* ---- around the call ------------------------------------------------------------------------------------- */

/* Leads the values that need a gradient through a node; notes which they are. */
static sonde_status lead_through(sonde_hooked_call *call, const sonde_op *rows, sonde_values *values, int *n,
                                 int *which)
{
    sonde_tensor *in[SONDE_OP_MAX_OUT], *out[SONDE_OP_MAX_OUT];
    *n = 0;
    for (int i = 0; i < values->n; i++) {
        if (!values->t[i] || !values->t[i]->requires_grad) continue;
        if (*n == SONDE_OP_MAX_OUT)
            return sonde_fail(SONDE_EARG,
                              "a module with backward hooks takes and returns at most %d tensors that need a "
                              "gradient",
                              SONDE_OP_MAX_OUT);
        which[*n] = i;
        in[(*n)++] = values->t[i];
    }
    if (*n == 0) return SONDE_OK;
    call->refs++; /* the node's: given back by release_args */
    SONDE_TRY(sonde_apply(&rows[*n - 1], *n, in, &call, out));
    for (int k = 0; k < *n; k++) {
        sonde_tensor_release(values->t[which[k]]);
        values->t[which[k]] = out[k];
    }
    return SONDE_OK;
}

sonde_status sonde_hooked_call_begin(sonde_hooked_call **out, sonde_module *m, sonde_values *in)
{
    sonde_hooked_call *call = sonde_alloc_zeroed(sizeof *call);
    if (!call) return SONDE_ENOMEM;
    call->refs = 1;
    call->module = sonde_module_retain(m);
    call->n_in = in->n;
    sonde_status status = lead_through(call, input_rows, in, &call->n_inputs, call->input);
    if (status != SONDE_OK) {
        sonde_hooked_call_release(call);
        return status;
    }
    for (int k = 0; k < call->n_inputs; k++) {
        call->dtype[k] = in->t[call->input[k]]->dtype;
        call->version[k] = in->t[call->input[k]]->storage->version;
    }
    *out = call;
    return SONDE_OK;
}

sonde_status sonde_hooked_call_write_back(sonde_hooked_call *call, const sonde_values *in, const sonde_values *passed,
                                          sonde_values *out)
{
    for (int k = 0; k < call->n_inputs; k++) {
        sonde_tensor *copy = passed->t[call->input[k]], *original = in->t[call->input[k]];
        if (copy->storage->version == call->version[k]) continue;
        SONDE_TRY(sonde_assign_(original, copy));
        for (int j = 0; j < out->n; j++) {
            if (out->t[j] != copy) continue;
            out->t[j] = sonde_tensor_retain(original);
            sonde_tensor_release(copy);
        }
    }
    return SONDE_OK;
}

sonde_status sonde_hooked_call_end(sonde_hooked_call *call, sonde_values *out)
{
    call->n_out = out->n;
    return lead_through(call, output_rows, out, &call->n_outputs, call->output);
}
