/* A probe's life: networks and optimisers come, steps open and end. */
#include "probe/internal.h"

#include <stdio.h>
#include <string.h>

static bool is_paused;

bool sonde_probe_paused(void)
{
    return is_paused;
}

bool sonde_probe_pause(bool paused)
{
    bool before = is_paused;
    is_paused = paused;
    return before;
}

/* ---- making and ending --------------------------------------------------------------------------------- */

sonde_status sonde_probe_new(sonde_probe **out, sonde_history *history, int64_t first_step)
{
    if (!history) return sonde_fail(SONDE_EARG, "a probe needs a history");
    if (first_step < 1) return sonde_fail(SONDE_EARG, "steps count from 1, got %lld", (long long)first_step);
    sonde_probe *probe = sonde_alloc_zeroed(sizeof *probe);
    if (!probe) return SONDE_ENOMEM;
    probe->refs = 1;
    probe->history = history;
    probe->step = first_step;
    probe->resumed = first_step > 1;
    sonde_probe_cost_begin(probe);
    probe->observer = (sonde_autograd_observer){.context = probe, .backward_begin = sonde_probe_backward_begin,
                                                .backward_end = sonde_probe_backward_end};
    sonde_autograd_observe(&probe->observer);
    *out = probe;
    return SONDE_OK;
}

void sonde_probe_unref(sonde_probe *probe)
{
    if (--probe->refs > 0) return;
    for (int i = 0; i < probe->n_networks; i++) sonde_probe_network_free(probe->networks[i]);
    sonde_probe_own_free(probe);
    sonde_free(probe->networks);
    sonde_free(probe->optimizers);
    sonde_free(probe->leaf_watches);
    sonde_free(probe->scratch);
    sonde_free(probe->events);
    sonde_free(probe);
}

void sonde_probe_free(sonde_probe *probe)
{
    if (!probe) return;
    probe->closed = true;
    sonde_autograd_unobserve(&probe->observer);
    for (int i = 0; i < probe->n_networks; i++) {
        sonde_probe_samples_stop(probe->networks[i]);
        sonde_probe_unwatch_modules(probe->networks[i]);
        sonde_probe_unwatch_parameters(probe->networks[i]);
        sonde_probe_effective_unwatch(probe->networks[i]);
        sonde_probe_hidden_unwatch(probe->networks[i]);
        sonde_probe_gates_unwatch(probe->networks[i]);
        sonde_probe_skips_unwatch(probe->networks[i]);
    }
    for (int i = 0; i < probe->n_optimizers; i++) sonde_probe_optimizer_free(probe->optimizers[i]);
    sonde_probe_drop_leaf_watches(probe);
    sonde_probe_unref(probe);
}

void sonde_probe_failed(sonde_probe *probe, sonde_status status)
{
    if (probe->failure != SONDE_OK) return;
    probe->failure = status;
    snprintf(probe->failure_text, sizeof probe->failure_text, "%s", sonde_message());
}

/* ---- steps --------------------------------------------------------------------------------------------- */

static bool is_measured(const probe_network *network, int64_t step)
{
    if (network->is_planned) return network->planned;
    return (step - 1) % network->every == 0 || step == network->probe->last_step;
}

bool sonde_probe_begins_block(const probe_network *network, int64_t step)
{
    const int64_t size = network->hist_every, last = network->measured_step;
    if (network->is_planned) return last == 0 || (last - 1) / size < (step - 1) / size;
    return (step - 1) % size < network->every;
}

static bool has_histograms(const probe_network *network, int64_t step)
{
    if (!is_measured(network, step) || !(network->what & RARE_GROUPS)) return false;
    return step == network->probe->last_step || sonde_probe_begins_block(network, step);
}

void sonde_probe_open_network(probe_network *network)
{
    int64_t step = network->probe->step;
    network->sampled = false;
    network->measuring = is_measured(network, step);
    network->histograms = has_histograms(network, step);
    sonde_probe_drift_open(network);
    if (!network->measuring) return;
    sonde_probe_effective_open(network);
    sonde_probe_hidden_open(network);
    sonde_probe_gates_open(network);
    sonde_probe_skips_open(network);
    for (int i = 0; i < network->n_modules; i++) {
        probe_module *slot = &network->modules[i];
        slot->has_activation = slot->has_gradient = slot->has_histogram = slot->has_gain = false;
    }
    for (int i = 0; i < network->n_parameters; i++) {
        probe_parameter *parameter = &network->parameters[i];
        parameter->has_gradient = parameter->has_update = false;
        parameter->has_histogram = parameter->has_distance = false;
    }
}

int64_t sonde_probe_step(const sonde_probe *probe)
{
    return probe->step;
}

/* What is to be measured in the open step has changed. */
static void reopen(probe_network *network)
{
    const int64_t step = network->probe->step;
    if (network->measuring != is_measured(network, step)) sonde_probe_open_network(network);
    network->histograms = has_histograms(network, step);
    sonde_probe_drift_open(network);
}

void sonde_probe_plan(sonde_probe *probe, int net, bool measured)
{
    if (net < 0 || net >= probe->n_networks || !probe->networks[net]->is_planned) return;
    probe->networks[net]->planned = measured;
    reopen(probe->networks[net]);
}

void sonde_probe_expect_end(sonde_probe *probe, int64_t last_step)
{
    probe->last_step = last_step;
    for (int i = 0; i < probe->n_networks; i++) reopen(probe->networks[i]);
}

static sonde_status close_step(sonde_probe *probe, double time)
{
    probe->n_events = 0;
    if (probe->failure != SONDE_OK) return sonde_fail(probe->failure, "step %lld was not measured: %s",
                                                      (long long)probe->step, probe->failure_text);
    if (!probe->declared) SONDE_TRY(sonde_probe_declare(probe));
    SONDE_TRY(sonde_probe_write_rows(probe, time));
    sonde_probe_note_events(probe);
    return SONDE_OK;
}

sonde_status sonde_probe_end_step(sonde_probe *probe, double time)
{
    sonde_probe_drop_leaf_watches(probe);
    sonde_status status = close_step(probe, time);
    sonde_probe_cost_end_step(probe);
    sonde_probe_own_end_step(probe);
    probe->step++;
    probe->n_backwards = 0;
    probe->failure = SONDE_OK;
    for (int i = 0; i < probe->n_networks; i++) {
        probe->networks[i]->planned = false;
        sonde_probe_open_network(probe->networks[i]);
    }
    return status;
}

/* ---- attaching ----------------------------------------------------------------------------------------- */

static sonde_status check_options(const sonde_probe *probe, const sonde_module *net, const sonde_probe_options *options)
{
    if (!net) return sonde_fail(SONDE_EARG, "there is no network to attach a probe to");
    if (probe->declared) {
        return sonde_fail(SONDE_ESTATE,
                          "a network is probed from the first step on: step %lld is open, and the structure of the "
                          "file is fixed", (long long)probe->step);
    }
    if (options->every < 0) {
        return sonde_fail(SONDE_EARG, "every must be at least 1, got %lld", (long long)options->every);
    }
    if (options->hist_every < 0) {
        return sonde_fail(SONDE_EARG, "hist_every must be at least 1, got %lld", (long long)options->hist_every);
    }
    if (options->what & ~SONDE_PROBE_ALL) return sonde_fail(SONDE_EARG, "unknown groups to probe: %#x", options->what);
    return SONDE_OK;
}

static sonde_status taken(const probe_network *old, const probe_network *new, const char *name)
{
    if (old->root == new->root) {
        return sonde_fail(SONDE_EARG, "this network is probed already ('%s'); a second probe of it needs a name of its "
                          "own", name);
    }
    return sonde_fail(SONDE_EARG, "another network has a probe '%s' already; give this one a name of its own", name);
}

static bool is_probe(const probe_module *slot)
{
    return slot->is_leaf || !slot->module || sonde_skip_names(slot->module);
}

static sonde_status check_names(const probe_network *old, const probe_network *new)
{
    for (int i = 1; i <= new->n_modules; i++) { /* the input, which every network has, last */
        const probe_module *slot = &new->modules[i % new->n_modules];
        for (int k = 0; is_probe(slot) && k < old->n_modules; k++) {
            if (is_probe(&old->modules[k]) && strcmp(old->modules[k].name, slot->name) == 0) {
                return taken(old, new, slot->name);
            }
        }
    }
    for (int i = 0; i < new->n_parameters; i++) {
        for (int k = 0; k < old->n_parameters; k++) {
            const char *name = new->parameters[i].name;
            if (strcmp(old->parameters[k].name, name) == 0) return taken(old, new, name);
        }
    }
    return SONDE_OK;
}

/* Parameters that an earlier network has as well are linked with theirs. */
static void link_parameters(const probe_network *old, const probe_network *new)
{
    for (int i = 0; i < new->n_parameters; i++) {
        probe_parameter *parameter = &new->parameters[i];
        for (int k = 0; !parameter->is_again && k < old->n_parameters; k++) {
            if (old->parameters[k].tensor != parameter->tensor) continue;
            parameter->same = old->parameters[k].same;
            old->parameters[k].same = parameter;
            parameter->is_again = true;
        }
    }
}

/* Of everything that comes per network. */
sonde_status sonde_probe_grow(sonde_probe *probe)
{
    size_t n = (size_t)probe->n_networks + 1;
    probe_network **networks = sonde_realloc(probe->networks, n * sizeof *networks);
    if (!networks) return SONDE_ENOMEM;
    probe->networks = networks;
    sonde_probe_event *events = sonde_realloc(probe->events, 2 * n * sizeof *events);
    if (!events) return SONDE_ENOMEM;
    probe->events = events;
    return SONDE_OK;
}

static sonde_status listen(probe_network *network)
{
    network->weights_finite = network->activations_finite = true;
    SONDE_TRY(sonde_probe_watch_modules(network));
    if (network->what & WEIGHT_GRAD_GROUPS) SONDE_TRY(sonde_probe_watch_parameters(network));
    SONDE_TRY(sonde_probe_effective_watch(network));
    SONDE_TRY(sonde_probe_hidden_watch(network));
    SONDE_TRY(sonde_probe_gates_watch(network));
    SONDE_TRY(sonde_probe_skips_watch(network));
    sonde_probe_open_network(network);
    return SONDE_OK;
}

sonde_status sonde_probe_attach(sonde_probe *probe, sonde_module *net, const sonde_probe_options *options, int *out)
{
    static const sonde_probe_options defaults;
    if (!options) options = &defaults;
    SONDE_TRY(check_options(probe, net, options));
    SONDE_TRY(sonde_probe_grow(probe));
    probe_network *network;
    SONDE_TRY(sonde_probe_network_new(&network, probe, net, options));
    sonde_status status = SONDE_OK;
    for (int i = 0; i < probe->n_networks && status == SONDE_OK; i++) status = check_names(probe->networks[i], network);
    if (status == SONDE_OK) status = listen(network);
    if (status != SONDE_OK) {
        sonde_probe_unwatch_modules(network);
        sonde_probe_unwatch_parameters(network);
        sonde_probe_effective_unwatch(network);
        sonde_probe_hidden_unwatch(network);
        sonde_probe_gates_unwatch(network);
        sonde_probe_skips_unwatch(network);
        sonde_probe_network_free(network);
        return status;
    }
    for (int i = 0; i < probe->n_networks; i++) link_parameters(probe->networks[i], network);
    if (out) *out = probe->n_networks;
    probe->networks[probe->n_networks++] = network;
    return SONDE_OK;
}

sonde_status sonde_probe_observe_optimizer(sonde_probe *probe, sonde_optimizer *optimizer)
{
    if (!optimizer) return sonde_fail(SONDE_EARG, "there is no optimizer to observe");
    for (int i = 0; i < probe->n_optimizers; i++) {
        if (probe->optimizers[i]->optimizer == optimizer) return SONDE_OK;
    }
    size_t n = (size_t)probe->n_optimizers + 1;
    probe_optimizer **optimizers = sonde_realloc(probe->optimizers, n * sizeof *optimizers);
    if (!optimizers) return SONDE_ENOMEM;
    probe->optimizers = optimizers;
    SONDE_TRY(sonde_probe_optimizer_new(&optimizers[probe->n_optimizers], probe, optimizer));
    probe->n_optimizers++;
    return SONDE_OK;
}

/* ---- the end ------------------------------------------------------------------------------------------- */

/* Is the gradient that row `step` tells of still there, as it was? */
static bool holds_measured(const probe_parameter *parameter, int64_t step)
{
    const sonde_tensor *gradient = sonde_grad(parameter->tensor);
    return parameter->measured_step == step && gradient && gradient == parameter->measured &&
           gradient->storage->version == parameter->measured_version;
}

/* Takes the histograms that the newest row lacks; returns how many. */
static int take_histograms(probe_network *network, int64_t step)
{
    int n = 0;
    if (!wants_group(network, SONDE_PROBE_WEIGHT_GRAD_HIST)) return 0;
    for (int i = 0; i < network->n_parameters; i++) {
        probe_parameter *parameter = &network->parameters[i];
        if (!holds_measured(parameter, step)) continue;
        sonde_probe_take_weight_histogram(parameter, parameter->measured);
        n += parameter->has_histogram;
    }
    return n;
}

sonde_status sonde_probe_finish(sonde_probe *probe)
{
    const probe_network *newest = NULL;
    for (int i = 0; i < probe->n_networks; i++) {
        const probe_network *network = probe->networks[i];
        if (!newest || network->measured_step > newest->measured_step) newest = network;
    }
    sonde_group *group = probe->tables[SONDE_PROBE_WEIGHT_GRAD_HIST].group;
    if (!newest || !group || probe->n_backwards > 0) return SONDE_OK;
    int64_t rows = sonde_group_rows(group), step = newest->measured_step;
    if (rows > 0 && sonde_group_step(group, rows - 1) >= step) return SONDE_OK;
    int n = 0;
    for (int i = 0; i < probe->n_networks; i++) n += take_histograms(probe->networks[i], step);
    sonde_status status = probe->failure;
    probe->failure = SONDE_OK;
    if (status == SONDE_OK && n > 0) {
        status = sonde_probe_write_histograms(probe, SONDE_PROBE_WEIGHT_GRAD_HIST, step, newest->measured_time);
    }
    for (int i = 0; i < probe->n_networks; i++) {
        const probe_network *network = probe->networks[i];
        for (int k = 0; k < network->n_parameters; k++) network->parameters[k].has_histogram = false;
    }
    return status;
}
