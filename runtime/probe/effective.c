/* Weights that a parametrisation makes. Their originals are parameters like others; what a forward really uses is made
 * anew at every call, so its gradient is that of the step's calls together: a forward's value is watched, and what
 * arrives is summed until the backward ends.
 */
#include "probe/internal.h"

#include <stdio.h>
#include <string.h>

/* ---- reading the tree -------------------------------------------------------------------------------------- */

probe_module *sonde_probe_parametrized(const probe_network *network, const sonde_module *list)
{
    for (int i = 0; i < network->n_modules; i++) {
        const sonde_module *m = network->modules[i].module, *dict = m ? m->parametrizations : NULL;
        for (int k = 0; dict && k < dict->n_children; k++) {
            if (dict->children[k].module == list) return &network->modules[i];
        }
    }
    return NULL;
}

/* "h1.weight", and with it the role "weight.effective", in one block. */
static sonde_status name_weight(probe_effective *slot, const char *name)
{
    const char *network = slot->weight.network->name, *path = slot->weight.owner->path;
    size_t size = strlen(network) + strlen(path) + strlen(name) + 3, role = strlen(name) + sizeof ".effective";
    char *text = sonde_alloc(size + role);
    if (!text) return SONDE_ENOMEM;
    snprintf(text, size, "%s%s%s%s%s", network, *network ? "." : "", path, *path ? "." : "", name);
    snprintf(text + size, role, "%s.effective", name);
    slot->weight.name = text;
    slot->weight.role = text + size;
    return SONDE_OK;
}

static int count(const probe_network *network)
{
    int n = 0;
    for (int i = 0; i < network->n_modules; i++) {
        const sonde_module *m = network->modules[i].module;
        for (int k = 0; m && k < m->n_parameters; k++) n += m->parameters[k].is_computed;
    }
    return n;
}

sonde_status sonde_probe_effective_read(probe_network *network)
{
    const int n = count(network);
    if (n == 0) return SONDE_OK;
    network->effective = sonde_alloc_zeroed((size_t)n * sizeof *network->effective);
    if (!network->effective) return SONDE_ENOMEM;
    for (int i = 0; i < network->n_modules; i++) {
        probe_module *owner = &network->modules[i];
        const sonde_module *m = owner->module;
        for (int k = 0; m && k < m->n_parameters; k++) {
            if (!m->parameters[k].is_computed) continue;
            probe_effective *slot = &network->effective[network->n_effective++];
            *slot = (probe_effective){.weight = {.network = network, .owner = owner}, .index = k,
                                      .n_elements = sonde_tensor_numel(m->parameters[k].tensor)};
            SONDE_TRY(name_weight(slot, m->parameters[k].name));
            slot->weight.histogram = sonde_alloc(sizeof *slot->weight.histogram);
            if (!slot->weight.histogram) return SONDE_ENOMEM;
        }
    }
    return SONDE_OK;
}

void sonde_probe_effective_free(probe_network *network)
{
    for (int i = 0; i < network->n_effective; i++) {
        probe_effective *slot = &network->effective[i];
        sonde_tensor_release(slot->sum);
        sonde_tensor_release(slot->weight.copy);
        sonde_free(slot->weight.name);
        sonde_free(slot->weight.histogram);
        sonde_probe_drift_free(&slot->weight);
    }
    sonde_free(network->effective);
}

void sonde_probe_effective_open(probe_network *network)
{
    for (int i = 0; i < network->n_effective; i++) {
        probe_effective *slot = &network->effective[i];
        slot->weight.has_gradient = slot->weight.has_histogram = slot->has_sum = slot->has_norm = false;
    }
}

/* ---- listening --------------------------------------------------------------------------------------------- */

static sonde_status add_gradient(probe_effective *slot, const sonde_tensor *gradient)
{
    slot->arrived = true;
    if (slot->has_sum && slot->sum->dtype == gradient->dtype) {
        sonde_tensor *whole = (sonde_tensor *)(uintptr_t)gradient; /* an operand is not changed */
        return sonde_binary_op_(SONDE_ADD, slot->sum, whole);
    }
    sonde_tensor_release(slot->sum);
    slot->sum = NULL;
    slot->has_sum = false;
    SONDE_TRY(sonde_tensor_clone(&slot->sum, gradient));
    slot->has_sum = true;
    return SONDE_OK;
}

static void gradient_arrived(void *context, const sonde_tensor *gradient)
{
    probe_effective *slot = context;
    const probe_network *network = slot->weight.network;
    if (network->probe->closed || !network->measuring || !is_listening(network)) return;
    uint64_t since = clock_of(network);
    sonde_status status = add_gradient(slot, gradient);
    spend(network, SONDE_PROBE_WEIGHT_GRAD, &since);
    if (status != SONDE_OK) sonde_probe_failed(network->probe, status);
}

static void watch_gone(void *context)
{
    sonde_probe_unref(((probe_effective *)context)->weight.network->probe);
}

static sonde_status measure_norm(probe_effective *slot, const sonde_tensor *w)
{
    sonde_tensor *temporary;
    sonde_moments moments;
    const void *data = sonde_probe_elements(w, &temporary);
    if (!data) return SONDE_ENOMEM;
    sonde_brief_moments_kernel(&moments, w->dtype, data, (size_t)sonde_tensor_numel(w));
    slot->l2_norm = sonde_moments_l2(&moments);
    slot->has_norm = true;
    sonde_tensor_release(temporary);
    return SONDE_OK;
}

/* After the owner's forward, while the value it used is still in its place. The norm is that of the step's first. */
static void owner_called(void *context, sonde_module *m, const sonde_values *in, const sonde_values *out)
{
    probe_effective *slot = context;
    const probe_network *network = slot->weight.network;
    if (!network->measuring || !sonde_probe_counts(network)) return;
    const sonde_parameter *p = &m->parameters[slot->index];
    sonde_tensor *w = p->tensor;
    sonde_status status = SONDE_OK;
    if (!p->is_computed || !w) return; /* the parametrisation has been removed since */
    uint64_t since = clock_of(network);
    if (!slot->has_norm && wants_group(network, SONDE_PROBE_WEIGHT)) status = measure_norm(slot, w);
    if (status == SONDE_OK && w->requires_grad && (network->what & WEIGHT_GRAD_GROUPS)) {
        status = sonde_watch_grad(w, gradient_arrived, slot, watch_gone, NULL);
        if (status == SONDE_OK) network->probe->refs++;
    }
    spend(network, SONDE_PROBE_WEIGHT, &since);
    if (status != SONDE_OK) sonde_probe_failed(network->probe, status);
}

sonde_status sonde_probe_effective_watch(probe_network *network)
{
    for (int i = 0; i < network->n_effective; i++) {
        probe_effective *slot = &network->effective[i];
        SONDE_TRY(sonde_module_watch(slot->weight.owner->module, owner_called, slot, NULL, &slot->weight.watch));
    }
    return SONDE_OK;
}

void sonde_probe_effective_unwatch(probe_network *network)
{
    for (int i = 0; i < network->n_effective; i++) {
        sonde_handle_remove(network->effective[i].weight.watch);
        network->effective[i].weight.watch = NULL;
    }
}

void sonde_probe_effective_backward_end(probe_network *network)
{
    for (int i = 0; i < network->n_effective; i++) {
        probe_effective *slot = &network->effective[i];
        if (!slot->arrived) continue;
        slot->arrived = false;
        if (slot->has_sum) sonde_probe_measure_gradient(&slot->weight, slot->sum);
    }
}
