/* Outputs that need no gradient: of layers below which everything is frozen, of what only rearranges the data.
 *
 * No backward reaches them, yet they are part of a forward that one does. So what they tell waits until the root's
 * forward has ended, and is tied to its outputs: a gradient at one of them and it counts, as the other layers'
 * activations do when theirs arrives. Where layers are called by themselves it is tied to the next output that needs a
 * gradient.
 */
#include "probe/internal.h"

/* ---- bundles ------------------------------------------------------------------------------------------- */

static void finish_calls(probe_call *calls)
{
    while (calls) {
        probe_call *next = calls->next_free;
        sonde_probe_call_done(calls);
        calls = next;
    }
}

static void untie(void *context)
{
    probe_bundle *bundle = context;
    if (--bundle->refs > 0) return;
    finish_calls(bundle->calls); /* the last of them may free the probe */
    sonde_free(bundle);
}

static void gradient_arrived(void *context, const sonde_tensor *gradient)
{
    const probe_bundle *bundle = context;
    if (bundle->network->probe->closed || !bundle->network->measuring) return;
    for (probe_call *call = bundle->calls; call; call = call->next_free) sonde_probe_call_count(call);
}

/* ---- what is pending ------------------------------------------------------------------------------------- */

sonde_status sonde_probe_pending_add(probe_module *slot, const sonde_tensor *in, sonde_tensor *output)
{
    probe_network *network = slot->network;
    if (!wants_group(network, SONDE_PROBE_ACTIVATION) || !sonde_dtype_is_float(output->dtype)) return SONDE_OK;
    uint64_t since = clock_of(network);
    probe_call *call = sonde_probe_call_take(slot);
    if (!call) return SONDE_ENOMEM;
    sonde_status status = sonde_probe_call_measure(call, in, output);
    spend(network, SONDE_PROBE_ACTIVATION, &since);
    if (status != SONDE_OK) {
        sonde_probe_call_done(call);
        return status;
    }
    call->next_free = network->pending;
    network->pending = call;
    return SONDE_OK;
}

void sonde_probe_pending_drop(probe_network *network)
{
    probe_call *calls = network->pending;
    network->pending = NULL;
    finish_calls(calls);
}

sonde_status sonde_probe_pending_tie(probe_network *network, int n, sonde_tensor *const *outputs)
{
    if (!network->pending) return SONDE_OK;
    probe_bundle *bundle = sonde_alloc(sizeof *bundle);
    if (!bundle) return SONDE_ENOMEM;
    *bundle = (probe_bundle){.network = network, .calls = network->pending, .refs = 1};
    network->pending = NULL;
    sonde_status status = SONDE_OK;
    for (int i = 0; i < n && status == SONDE_OK; i++) {
        if (!outputs[i] || !outputs[i]->requires_grad) continue;
        bundle->refs++;
        status = sonde_probe_watch_tensor(network->probe, outputs[i], gradient_arrived, bundle, untie);
        if (status != SONDE_OK) bundle->refs--;
    }
    untie(bundle);
    return status;
}
