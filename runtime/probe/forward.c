/* Listening to forwards, and to the gradients of what they put out.
 *
 * What a forward put out is measured at once (it is in cache, and an activation in place may overwrite it), but only
 * joins the step's pool when a gradient arrives at that output: a forward that no backward reaches leaves nothing.
 */
#include "probe/internal.h"

#include <string.h>

/* ---- calls --------------------------------------------------------------------------------------------- */

probe_call *sonde_probe_call_take(probe_module *slot)
{
    probe_call *call = slot->free_calls;
    if (call) {
        slot->free_calls = call->next_free;
    } else {
        call = sonde_alloc_zeroed(sizeof *call);
        if (!call) return NULL;
        call->module = slot;
    }
    call->counted = call->on_leaf = false;
    call->time = slot->time;
    call->gain = (probe_gain){.serial = ++slot->network->probe->n_calls};
    slot->network->probe->refs++;
    return call;
}

/* The watcher is gone: its gradient came, or the graph died without one. */
void sonde_probe_call_done(void *context)
{
    probe_call *call = context;
    sonde_tensor_release(call->output);
    call->output = NULL;
    call->next_free = call->module->free_calls;
    call->module->free_calls = call;
    sonde_probe_unref(call->module->network->probe);
}

void sonde_probe_call_count(probe_call *call)
{
    probe_module *slot = call->module;
    if (!is_input(slot) && !call->counted && wants_group(slot->network, SONDE_PROBE_ACTIVATION)) {
        sonde_probe_activation_pool(&slot->activation, &call->activation, !slot->has_activation);
        slot->has_activation = true;
        if (call->output && sonde_probe_keep(&slot->outputs, call->output) != SONDE_OK)
            sonde_probe_failed(slot->network->probe, SONDE_ENOMEM);
    }
    call->counted = true;
}

sonde_status sonde_probe_call_measure(probe_call *call, const sonde_tensor *in, const sonde_tensor *output)
{
    const probe_module *slot = call->module;
    SONDE_TRY(sonde_probe_activation_measure(&call->activation, slot->network->probe, slot->module, in, output));
    if (!is_kept(slot->network, slot->own, SONDE_PROBE_ACTIVATION)) return SONDE_OK;
    return sonde_tensor_clone(&call->output, output);
}

static void pool_gradient(probe_call *call, const void *data, sonde_dtype dtype, size_t n, uint64_t *since)
{
    probe_module *slot = call->module;
    const probe_network *network = slot->network;
    if (call->on_leaf) slot->has_gradient = false;
    if (network->what & (SONDE_PROBE_BIT(SONDE_PROBE_ACTIVATION_GRAD) | SONDE_PROBE_BIT(SONDE_PROBE_GAIN))) {
        sonde_moments moments;
        sonde_moments *target = slot->has_gradient ? &moments : &slot->gradient;
        sonde_moments_kernel(target, dtype, data, n);
        const double norm = sonde_moments_l2(target);
        if (call->time > 0) sonde_probe_tap_norm(call, norm);
        if (slot->has_gradient) sonde_moments_merge(&slot->gradient, &moments);
        spend(network, SONDE_PROBE_ACTIVATION_GRAD, since);
        if (!call->on_leaf && wants_group(network, SONDE_PROBE_GAIN)) {
            sonde_probe_gain_arrived(call, norm);
            spend(network, SONDE_PROBE_GAIN, since);
        }
    }
    if (network->histograms && wants_group(network, SONDE_PROBE_ACTIVATION_GRAD_HIST)) {
        if (!slot->has_gradient) sonde_histogram_clear(slot->histogram);
        sonde_histogram_kernel(slot->histogram, dtype, data, n);
        slot->has_histogram = true;
        spend(network, SONDE_PROBE_ACTIVATION_GRAD_HIST, since);
    }
    slot->has_gradient = true;
}

void sonde_probe_output_gradient(void *context, const sonde_tensor *gradient)
{
    probe_call *call = context;
    probe_module *slot = call->module;
    probe_network *network = slot->network;
    if (network->probe->closed || !network->measuring) return;
    uint64_t since = clock_of(network);
    sonde_probe_call_count(call);
    spend(network, SONDE_PROBE_ACTIVATION, &since);
    if (!sonde_probe_has_place(slot, SONDE_PROBE_ACTIVATION_GRAD)) return; /* it needed none in the first step */
    sonde_tensor *temporary = NULL;
    const void *data = sonde_probe_elements(gradient, &temporary);
    if (data) pool_gradient(call, data, gradient->dtype, (size_t)sonde_tensor_numel(gradient), &since);
    else sonde_probe_failed(network->probe, SONDE_ENOMEM);
    sonde_tensor_release(temporary);
    if (!is_kept(network, slot->own, SONDE_PROBE_ACTIVATION_GRAD)) return;
    if (call->on_leaf) sonde_probe_kept_clear(&slot->gradients);
    if (sonde_probe_keep(&slot->gradients, gradient) != SONDE_OK) sonde_probe_failed(network->probe, SONDE_ENOMEM);
    spend(network, SONDE_PROBE_ACTIVATION_GRAD, &since);
}

/* ---- watching an output -------------------------------------------------------------------------------- */

sonde_status sonde_probe_watch_tensor(sonde_probe *probe, sonde_tensor *t, sonde_grad_watcher watcher, void *context,
                                      void (*free_context)(void *))
{
    if (!sonde_is_leaf(t)) return sonde_watch_grad(t, watcher, context, free_context, NULL);
    if (probe->n_leaf_watches == probe->leaf_watch_capacity) {
        int capacity = probe->leaf_watch_capacity ? 2 * probe->leaf_watch_capacity : 4;
        sonde_handle **grown = sonde_realloc(probe->leaf_watches, (size_t)capacity * sizeof *grown);
        if (!grown) return SONDE_ENOMEM;
        probe->leaf_watches = grown;
        probe->leaf_watch_capacity = capacity;
    }
    SONDE_TRY(sonde_watch_grad(t, watcher, context, free_context, &probe->leaf_watches[probe->n_leaf_watches]));
    probe->n_leaf_watches++;
    return SONDE_OK;
}

void sonde_probe_drop_leaf_watches(sonde_probe *probe)
{
    while (probe->n_leaf_watches > 0) sonde_handle_remove(probe->leaf_watches[--probe->n_leaf_watches]);
}

sonde_status sonde_probe_watch_output(probe_module *slot, const sonde_tensor *in, const sonde_values *out)
{
    probe_network *network = slot->network;
    sonde_tensor *output = out->t[0];
    uint64_t since = clock_of(network);
    probe_call *call = sonde_probe_call_take(slot);
    if (!call) return SONDE_ENOMEM;
    sonde_status status = SONDE_OK;
    if (!is_input(slot) && wants_group(network, SONDE_PROBE_ACTIVATION)) {
        status = sonde_probe_call_measure(call, in, output);
        spend(network, SONDE_PROBE_ACTIVATION, &since);
    }
    call->on_leaf = sonde_is_leaf(output);
    if (status == SONDE_OK && wants_group(network, SONDE_PROBE_GAIN)) {
        status = sonde_probe_gain_tie(call, in, out);
        spend(network, SONDE_PROBE_GAIN, &since);
    }
    if (status == SONDE_OK) {
        status = sonde_probe_watch_tensor(network->probe, output, sonde_probe_output_gradient, call,
                                          sonde_probe_call_done);
    }
    spend(network, SONDE_PROBE_ACTIVATION_GRAD, &since);
    if (status != SONDE_OK) sonde_probe_call_done(call);
    return status;
}

void sonde_probe_note_call(probe_module *slot)
{
    if (slot->called) return;
    slot->called = true;
    slot->order = slot->network->n_called++;
}

bool sonde_probe_counts(const probe_network *network)
{
    return is_listening(network) && network->root->training && sonde_grad_enabled();
}

static void leaf_forward(void *context, sonde_module *m, const sonde_values *in, const sonde_values *out)
{
    probe_module *slot = context;
    probe_network *network = slot->network;
    if (!sonde_probe_counts(network) || out->n == 0) return;
    const sonde_tensor *input = in->n > 0 ? in->t[0] : NULL;
    sonde_tensor *output = out->t[0];
    slot->ndim = output->ndim;
    for (int d = 0; d < output->ndim; d++) slot->shape[d] = output->shape[d];
    if (!network->probe->declared) {
        sonde_probe_note_call(slot);
        slot->needed_gradient |= output->requires_grad;
        slot->is_float = sonde_dtype_is_float(output->dtype);
        slot->has_gain_place |= sonde_probe_gain_applies(input, out);
    }
    if (!network->measuring) return;
    sonde_status status = output->requires_grad ? sonde_probe_watch_output(slot, input, out)
                                                : sonde_probe_pending_add(slot, input, output);
    if (status == SONDE_OK && output->requires_grad && !network->in_forward) { /* called by itself, not by the root */
        status = sonde_probe_pending_tie(network, 1, &output);
    }
    if (status != SONDE_OK) sonde_probe_failed(network->probe, status);
}

static sonde_status root_begins(void *context, sonde_module *m, const sonde_values *in, sonde_values *replacement,
                                bool *replaced)
{
    probe_network *network = context;
    if (!sonde_probe_counts(network)) return SONDE_OK;
    sonde_probe_pending_drop(network);
    network->in_forward = true;
    return SONDE_OK;
}

static void root_ends(void *context, sonde_module *m, const sonde_values *in, const sonde_values *out)
{
    probe_network *network = context;
    if (!sonde_probe_counts(network)) return;
    network->in_forward = false;
    sonde_status status = sonde_probe_pending_tie(network, out->n, out->t);
    if (network->names_input && in->n > 0 && in->t[0]->requires_grad) {
        probe_module *slot = &network->modules[0];
        slot->called = slot->needed_gradient = true;
        if (status == SONDE_OK && network->measuring) status = sonde_probe_watch_output(slot, NULL, in);
    }
    if (status != SONDE_OK) sonde_probe_failed(network->probe, status);
}

/* A module with children has no row, but its own parameters, and its skips, take their place from its first call. */
static sonde_status owner_called(void *context, sonde_module *m, const sonde_values *in, sonde_values *replacement,
                                 bool *replaced)
{
    probe_module *slot = context;
    if (sonde_probe_counts(slot->network)) sonde_probe_note_call(slot);
    return SONDE_OK;
}

sonde_status sonde_probe_watch_modules(probe_network *network)
{
    bool has_input_leaf = false;
    for (int i = 1; i < network->n_modules; i++) {
        probe_module *slot = &network->modules[i];
        if (slot->is_leaf) {
            SONDE_TRY(sonde_module_watch(slot->module, leaf_forward, slot, NULL, &slot->watch));
            has_input_leaf |= strcmp(slot->path, network->modules[0].path) == 0;
        } else if (slot->owns_parameters || sonde_skip_names(slot->module)) {
            SONDE_TRY(sonde_module_add_forward_pre_hook(slot->module, owner_called, slot, NULL, &slot->watch));
        }
    }
    network->names_input = !has_input_leaf;
    SONDE_TRY(sonde_module_add_forward_pre_hook(network->root, root_begins, network, NULL, &network->begin));
    return sonde_module_watch(network->root, root_ends, network, NULL, &network->end);
}

void sonde_probe_unwatch_modules(probe_network *network)
{
    for (int i = 0; i < network->n_modules; i++) {
        probe_module *slot = &network->modules[i];
        sonde_handle_remove(slot->watch);
        slot->watch = NULL;
    }
    sonde_handle_remove(network->begin);
    sonde_handle_remove(network->end);
    network->begin = network->end = NULL;
    sonde_probe_pending_drop(network);
}
