/* Listening to an optimiser's steps. */
#include "probe/internal.h"

/* Optimisers name their parameters in the order of the network's: look from the last one found on. NULL: not ours. */
static probe_parameter *find(probe_network *network, const sonde_tensor *tensor)
{
    int i = network->last_parameter;
    for (int k = 0; k < network->n_parameters; k++, i++) {
        if (i >= network->n_parameters) i = 0;
        if (network->parameters[i].tensor != tensor) continue;
        network->last_parameter = i;
        return &network->parameters[i];
    }
    return NULL;
}

static bool listens(const probe_network *network)
{
    return network->measuring && wants_group(network, SONDE_PROBE_WEIGHT);
}

/* To compare them, or because some have not been seen yet. */
static bool needs_weights(const probe_network *network)
{
    if (!network->measuring || !wants_group(network, SONDE_PROBE_WEIGHT_DRIFT)) return false;
    return network->compares || network->n_initial < network->n_parameters;
}

static bool wants(void *context, const sonde_tensor *tensor)
{
    const sonde_probe *probe = ((probe_optimizer *)context)->probe;
    bool any = false;
    for (int i = 0; i < probe->n_networks; i++) {
        probe_network *network = probe->networks[i];
        const bool drifts = needs_weights(network), listening = listens(network);
        if (!drifts && !listening) continue;
        uint64_t since = clock_of(network);
        probe_parameter *parameter = find(network, tensor);
        if (parameter && drifts) sonde_probe_drift_weights(parameter, tensor);
        any |= parameter && listening;
        spend(network, drifts ? SONDE_PROBE_WEIGHT_DRIFT : SONDE_PROBE_WEIGHT, &since);
    }
    return any;
}

static void updated(void *context, const sonde_tensor *tensor, const sonde_update_stats *stats)
{
    const sonde_probe *probe = ((probe_optimizer *)context)->probe;
    for (int i = 0; i < probe->n_networks; i++) {
        if (!listens(probe->networks[i])) continue;
        probe_parameter *parameter = find(probe->networks[i], tensor);
        if (!parameter) continue;
        parameter->update = *stats;
        parameter->has_update = true;
    }
}

sonde_status sonde_probe_optimizer_new(probe_optimizer **out, sonde_probe *probe, sonde_optimizer *optimizer)
{
    probe_optimizer *watched = sonde_alloc_zeroed(sizeof *watched);
    if (!watched) return SONDE_ENOMEM;
    watched->probe = probe;
    watched->optimizer = sonde_optimizer_retain(optimizer);
    watched->observer = (sonde_optim_observer){.context = watched, .wants = wants, .updated = updated};
    sonde_optimizer_observe(optimizer, &watched->observer);
    *out = watched;
    return SONDE_OK;
}

void sonde_probe_optimizer_free(probe_optimizer *watched)
{
    sonde_optimizer_unobserve(watched->optimizer, &watched->observer);
    sonde_optimizer_release(watched->optimizer);
    sonde_free(watched);
}
