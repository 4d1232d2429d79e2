/* Reading a network's tree when it is attached: one slot per module, per parameter, and one for the input. */
#include "probe/internal.h"

#include <stdio.h>
#include <string.h>

static char *join(const char *a, const char *separator, const char *b)
{
    size_t n = strlen(a) + strlen(separator) + strlen(b) + 1;
    char *text = sonde_alloc(n);
    if (text) snprintf(text, n, "%s%s%s", a, separator, b);
    return text;
}

/* A probe's name along the axis. The root has no path: it goes by the network's name, else by its class. */
static char *axis_name(const probe_network *network, const char *path, const char *class)
{
    if (!*path) return sonde_strdup(*network->name ? network->name : class);
    return *network->name ? join(network->name, ".", path) : sonde_strdup(path);
}

sonde_status sonde_probe_name_part(char **name, const char **role, const probe_module *owner, const char *part)
{
    const char *network = owner->network->name, *path = owner->path;
    size_t size = strlen(network) + strlen(path) + strlen(part) + 3;
    *name = sonde_alloc(size);
    if (!*name) return SONDE_ENOMEM;
    snprintf(*name, size, "%s%s%s%s%s", network, *network ? "." : "", path, *path ? "." : "", part);
    *role = *name + strlen(*name) - strlen(part);
    return SONDE_OK;
}

static sonde_status count_module(void *context, const char *path, sonde_module *m)
{
    ((probe_network *)context)->n_modules++;
    return SONDE_OK;
}

static sonde_status count_parameter(void *context, const char *path, sonde_module *owner, const sonde_parameter *p)
{
    if (p->tensor) ((probe_network *)context)->n_parameters++;
    return SONDE_OK;
}

static bool is_weight_layer(const sonde_module *m)
{
    for (int i = 0; i < m->n_parameters; i++) {
        const sonde_parameter *p = &m->parameters[i];
        if (!p->is_buffer && p->tensor && p->tensor->ndim >= 2) return true;
    }
    return false;
}

static bool owns_parameters(const sonde_module *m)
{
    for (int i = 0; i < m->n_parameters; i++) {
        if (!m->parameters[i].is_buffer && m->parameters[i].tensor) return true;
    }
    return false;
}

/* What makes another module's parameter is no layer: that module is. */
static bool is_inside_parametrization(probe_network *network, const char *path, const sonde_module *m)
{
    const probe_module *list = network->last_list;
    if (sonde_is_parametrization_list(m)) return true;
    return list && strncmp(path, list->path, strlen(list->path)) == 0 && path[strlen(list->path)] == '.';
}

static sonde_status name_module(probe_module *slot, const char *path, const char *class)
{
    slot->path = sonde_strdup(path);
    slot->name = slot->path ? axis_name(slot->network, path, class) : NULL;
    return slot->name ? SONDE_OK : SONDE_ENOMEM;
}

static sonde_status add_module(void *context, const char *path, sonde_module *m)
{
    probe_network *network = context;
    probe_module *slot = &network->modules[network->n_modules++];
    *slot = (probe_module){.network = network, .module = sonde_module_retain(m), .ndim = -1,
                           .is_leaf = m->n_children == 0 && !m->class->is_container,
                           .owns_parameters = owns_parameters(m), .is_weight_layer = is_weight_layer(m)};
    if (is_inside_parametrization(network, path, m)) slot->is_leaf = slot->is_weight_layer = false;
    if (sonde_is_parametrization_list(m)) network->last_list = slot;
    return name_module(slot, path, m->class->name);
}

static probe_module *find_owner(probe_network *network, const sonde_module *m)
{
    for (int i = 0; i < network->n_modules; i++) {
        if (network->modules[i].module == m) return &network->modules[i];
    }
    return NULL;
}

static sonde_status add_parameter(void *context, const char *path, sonde_module *owner, const sonde_parameter *p)
{
    probe_network *network = context;
    if (!p->tensor) return SONDE_OK;
    probe_module *slot = find_owner(network, owner);
    if (!slot) return sonde_fail(SONDE_ESTATE, "parameter '%s' belongs to no module of the network", path);
    probe_parameter *parameter = &network->parameters[network->n_parameters++];
    *parameter = (probe_parameter){.network = network, .owner = slot, .tensor = sonde_tensor_retain(p->tensor),
                                   .same = parameter};
    parameter->name = axis_name(network, path, "");
    if (!parameter->name) return SONDE_ENOMEM;
    size_t role = strlen(p->name);
    if (sonde_is_parametrization_list(owner)) { /* an original: it stands with the module it is for */
        const char *dot = strrchr(slot->path, '.');
        role += strlen(dot);
        parameter->owner = sonde_probe_parametrized(network, owner);
    }
    parameter->role = parameter->name + strlen(parameter->name) - role;
    return SONDE_OK;
}

static bool wants_histograms(const probe_network *network)
{
    return wants_group(network, SONDE_PROBE_WEIGHT_GRAD_HIST) || wants_group(network, SONDE_PROBE_ACTIVATION_GRAD_HIST);
}

/* Room for n_modules (the input among them) and n_parameters slots. */
static sonde_status allocate(probe_network *network)
{
    size_t n_modules = (size_t)network->n_modules, n_parameters = (size_t)network->n_parameters;
    network->modules = sonde_alloc_zeroed(n_modules * sizeof *network->modules);
    network->sorted_modules = sonde_alloc_zeroed(n_modules * sizeof *network->sorted_modules);
    if (!network->modules || !network->sorted_modules) return SONDE_ENOMEM;
    if (n_parameters > 0) {
        network->parameters = sonde_alloc_zeroed(n_parameters * sizeof *network->parameters);
        network->sorted_parameters = sonde_alloc_zeroed(n_parameters * sizeof *network->sorted_parameters);
        if (!network->parameters || !network->sorted_parameters) return SONDE_ENOMEM;
    }
    if (wants_histograms(network)) {
        network->histograms_of = sonde_alloc_zeroed((n_modules + n_parameters) * sizeof *network->histograms_of);
        if (!network->histograms_of) return SONDE_ENOMEM;
    }
    return SONDE_OK;
}

static void point(probe_network *network)
{
    sonde_histogram *next = network->histograms_of;
    for (int i = 0; i < network->n_modules; i++) {
        network->sorted_modules[i] = &network->modules[i];
        if (next) network->modules[i].histogram = next++;
    }
    for (int i = 0; i < network->n_parameters; i++) {
        network->sorted_parameters[i] = &network->parameters[i];
        if (next) network->parameters[i].histogram = next++;
    }
}

static sonde_status read_tree(probe_network *network)
{
    SONDE_TRY(sonde_module_visit(network->root, count_module, network));
    SONDE_TRY(sonde_module_visit_parameters(network->root, false, count_parameter, network));
    network->n_modules++;
    SONDE_TRY(allocate(network));
    network->n_modules = network->n_parameters = 0;
    probe_module *input = &network->modules[network->n_modules++];
    *input = (probe_module){.network = network, .ndim = -1};
    SONDE_TRY(name_module(input, "input", "Input"));
    SONDE_TRY(sonde_module_visit(network->root, add_module, network));
    SONDE_TRY(sonde_module_visit_parameters(network->root, false, add_parameter, network));
    point(network);
    SONDE_TRY(sonde_probe_effective_read(network));
    SONDE_TRY(sonde_probe_hidden_read(network));
    SONDE_TRY(sonde_probe_gates_read(network));
    return sonde_probe_skips_read(network);
}

sonde_status sonde_probe_network_new(probe_network **out, sonde_probe *probe, sonde_module *net,
                                     const sonde_probe_options *options)
{
    probe_network *network = sonde_alloc_zeroed(sizeof *network);
    if (!network) return SONDE_ENOMEM;
    network->probe = probe;
    network->root = sonde_module_retain(net);
    network->what = options->what ? options->what : SONDE_PROBE_ALL;
    network->every = options->every ? options->every : 1;
    network->is_planned = options->planned;
    network->hist_every = options->hist_every ? options->hist_every : 10;
    network->fixed = options->fixed;
    network->name = sonde_strdup(options->name ? options->name : "");
    sonde_status status = network->name ? read_tree(network) : SONDE_ENOMEM;
    if (status != SONDE_OK) {
        sonde_probe_network_free(network);
        return status;
    }
    *out = network;
    return SONDE_OK;
}

sonde_status sonde_probe_network_new_taps(probe_network **out, sonde_probe *probe, int n)
{
    probe_network *network = sonde_alloc_zeroed(sizeof *network);
    if (!network) return SONDE_ENOMEM;
    *network = (probe_network){.probe = probe, .every = 1, .hist_every = 10, .n_modules = n,
                               .what = SONDE_PROBE_BIT(SONDE_PROBE_ACTIVATION) | SONDE_PROBE_BIT(SONDE_PROBE_HIDDEN_GRAD) |
                                       SONDE_PROBE_BIT(SONDE_PROBE_ACTIVATION_GRAD) |
                                       SONDE_PROBE_BIT(SONDE_PROBE_ACTIVATION_GRAD_HIST)};
    network->name = sonde_strdup("");
    network->hidden = sonde_alloc_zeroed((size_t)n * sizeof *network->hidden);
    sonde_status status = network->name && network->hidden ? allocate(network) : SONDE_ENOMEM;
    if (status == SONDE_OK) point(network);
    network->n_modules = 0;
    if (status != SONDE_OK) {
        sonde_probe_network_free(network);
        return status;
    }
    *out = network;
    return SONDE_OK;
}

static void free_module(probe_module *slot)
{
    sonde_probe_kept_clear(&slot->outputs);
    sonde_probe_kept_clear(&slot->gradients);
    sonde_free(slot->outputs.tensors);
    sonde_free(slot->gradients.tensors);
    while (slot->free_calls) {
        probe_call *call = slot->free_calls;
        slot->free_calls = call->next_free;
        sonde_free(call->activation.alive);
        sonde_free(call);
    }
    sonde_module_release(slot->module);
    sonde_free(slot->path);
    sonde_free(slot->name);
    sonde_free(slot->activation.alive);
    sonde_free(slot->last_alive);
}

void sonde_probe_network_free(probe_network *network)
{
    if (!network) return;
    for (int i = 0; network->modules && i < network->n_modules; i++) free_module(&network->modules[i]);
    for (int i = 0; network->parameters && i < network->n_parameters; i++) {
        sonde_tensor_release(network->parameters[i].tensor);
        sonde_tensor_release(network->parameters[i].copy);
        sonde_probe_drift_free(&network->parameters[i]);
        sonde_free(network->parameters[i].name);
    }
    sonde_probe_effective_free(network);
    sonde_probe_hidden_free(network);
    sonde_probe_gates_free(network);
    sonde_probe_skips_free(network);
    sonde_free(network->modules);
    sonde_free(network->parameters);
    sonde_free(network->sorted_modules);
    sonde_free(network->sorted_parameters);
    sonde_free(network->histograms_of);
    sonde_free(network->name);
    sonde_module_release(network->root);
    sonde_free(network);
}
