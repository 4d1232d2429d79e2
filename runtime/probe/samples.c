/* Fixed samples: between begin and end a network is run forwards and backwards on samples of its own, and nothing of
 * that must be left but what was measured. Gradients stay untouched because sonde_backward_aside is used; what a forward
 * changes is put aside and put back.
 */
#include "probe/internal.h"

void sonde_probe_samples_stop(probe_network *network)
{
    if (!network->aside) return;
    sonde_status status = sonde_probe_aside_restore(network->aside);
    if (status != SONDE_OK) sonde_probe_failed(network->probe, status);
    sonde_probe_aside_free(network->aside);
    network->aside = NULL;
    network->probe->sampling = NULL;
    sonde_probe_cost_samples(network->probe, false);
    network->in_forward = false;
    sonde_probe_pending_drop(network);
    for (int i = 0; i < network->n_parameters; i++) network->parameters[i].measured = NULL; /* gone with the backward */
}

/* ---- the door -------------------------------------------------------------------------------------------- */

bool sonde_probe_samples_due(const sonde_probe *probe, int net)
{
    if (net < 0 || net >= probe->n_networks || probe->sampling || sonde_probe_paused()) return false;
    const probe_network *network = probe->networks[net];
    bool wanted = network->measuring || !probe->declared; /* the first step tells forward order */
    return wanted && network->fixed && !network->sampled && network->root->training && sonde_grad_enabled();
}

sonde_status sonde_probe_samples_begin(sonde_probe *probe, int net)
{
    if (!sonde_probe_samples_due(probe, net)) return sonde_fail(SONDE_ESTATE, "no samples are to be measured now");
    probe_network *network = probe->networks[net];
    sonde_probe_cost_samples(probe, true);
    SONDE_TRY(sonde_probe_aside_new(&network->aside, network->root, false));
    network->sampled = true;
    probe->sampling = network;
    return SONDE_OK;
}

void sonde_probe_samples_end(sonde_probe *probe)
{
    if (probe->sampling) sonde_probe_samples_stop(probe->sampling);
}
