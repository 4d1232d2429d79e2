/* How far gates stand open: of every LSTM and GRU, and their cells, by layer and direction, and of every Highway.
 *
 * Of the recurrent ones the backward shows each step's values as it comes by, while they are in cache for its own sake.
 * A Highway's are measured as it runs, and join the step's once a gradient arrives at its output.
 */
#include "probe/internal.h"

#include <stdio.h>

typedef struct gate_list { /* of one kind: names, and which run of `hidden` each is in a recurrent operator's row */
    int n;
    struct {
        const char *name;
        int run;
    } gates[3];
} gate_list;

static const gate_list lstm_gates = {3, {{"input", 0}, {"forget", 1}, {"output", 3}}},
                       gru_gates = {2, {{"reset", 0}, {"update", 1}}}, highway_gates = {1, {{"transform", 0}}}, none;

static const sonde_recurrent_options *options_of(const probe_module *slot)
{
    return slot->module ? sonde_recurrent_options_of(slot->module) : NULL;
}

static const gate_list *gates_of(const probe_module *slot)
{
    const sonde_recurrent_options *options = options_of(slot);
    if (options) return options->kind == SONDE_LSTM ? &lstm_gates : options->kind == SONDE_GRU ? &gru_gates : &none;
    return slot->module && sonde_is_highway(slot->module) ? &highway_gates : &none;
}

static int directions_of(const sonde_recurrent_options *options)
{
    return options->bidirectional ? 2 : 1;
}

static int slots_of(const probe_module *slot)
{
    const sonde_recurrent_options *options = options_of(slot);
    return gates_of(slot)->n * (options ? (int)options->num_layers * directions_of(options) : 1);
}

/* ---- reading the tree -------------------------------------------------------------------------------------- */

/* The k-th of a module's: "rnn.forget_l0_reverse"; of a cell and a Highway "cell.forget", "hw.transform". */
static sonde_status name_site(probe_site *site, int k)
{
    const sonde_recurrent_options *options = options_of(site->owner);
    const gate_list *list = gates_of(site->owner);
    const char *gate = list->gates[k % list->n].name;
    char role[48];
    if (!options || options->cell) return sonde_probe_name_part(&site->name, &site->role, site->owner, gate);
    const int number = k / list->n, directions = directions_of(options);
    snprintf(role, sizeof role, "%s_l%d%s", gate, number / directions, number % directions ? "_reverse" : "");
    return sonde_probe_name_part(&site->name, &site->role, site->owner, role);
}

sonde_status sonde_probe_gates_read(probe_network *network)
{
    int n = 0;
    if (!wants_group(network, SONDE_PROBE_GATE)) return SONDE_OK;
    for (int i = 0; i < network->n_modules; i++) n += slots_of(&network->modules[i]);
    if (n == 0) return SONDE_OK;
    network->gates = sonde_alloc_zeroed((size_t)n * sizeof *network->gates);
    if (!network->gates) return SONDE_ENOMEM;
    for (int i = 0; i < network->n_modules; i++) {
        const int of_module = slots_of(&network->modules[i]);
        for (int k = 0; k < of_module; k++) {
            probe_gate *slot = &network->gates[network->n_gates++];
            slot->first = slot - k;
            slot->site.owner = &network->modules[i];
            SONDE_TRY(name_site(&slot->site, k));
        }
    }
    return SONDE_OK;
}

void sonde_probe_gates_free(probe_network *network)
{
    for (int i = 0; i < network->n_gates; i++) sonde_free(network->gates[i].site.name);
    sonde_free(network->gates);
}

/* ---- recurrent layers ---------------------------------------------------------------------------------------- */

static sonde_status step_shown(void *context, int64_t layer, bool reverse, const sonde_hidden_grad *at)
{
    probe_gate *first = context;
    const probe_network *network = first->site.owner->network;
    const gate_list *list = gates_of(first->site.owner);
    if (!at->gates || !network->measuring || !is_listening(network) || !network->root->training) return SONDE_OK;
    uint64_t since = clock_of(network);
    probe_gate *slots = first + (layer * directions_of(options_of(first->site.owner)) + reverse) * list->n;
    const int64_t size = (int64_t)sonde_dtype_size(at->dtype), rows = at->lengths ? 1 : at->batch;
    for (int64_t b = 0; b < at->batch; b += rows) {
        if (at->lengths && at->time >= at->lengths[b]) continue;
        for (int k = 0; k < list->n; k++) {
            const int64_t from = b * at->gates_width + list->gates[k].run * at->hidden;
            sonde_gates_kernel(&slots[k].values, at->dtype, (const char *)at->gates + from * size, rows, at->hidden,
                               at->gates_width);
        }
    }
    spend(network, SONDE_PROBE_GATE, &since);
    return SONDE_OK;
}

/* ---- Highway ------------------------------------------------------------------------------------------------- */

typedef struct highway_call { /* one forward; lives as long as the watcher on its output */
    probe_gate *slot;
    sonde_gates values;
    bool counted;
} highway_call;

static void call_gone(void *context)
{
    sonde_probe *probe = ((highway_call *)context)->slot->site.owner->network->probe;
    sonde_free(context);
    sonde_probe_unref(probe);
}

static void gradient_arrived(void *context, const sonde_tensor *gradient)
{
    highway_call *call = context;
    const probe_network *network = call->slot->site.owner->network;
    sonde_gates *all = &call->slot->values;
    if (call->counted || network->probe->closed || !network->measuring) return;
    call->counted = true;
    all->sum += call->values.sum;
    all->n += call->values.n;
    all->n_open += call->values.n_open;
    all->n_closed += call->values.n_closed;
    all->n_saturated += call->values.n_saturated;
}

static sonde_status measure_highway(probe_gate *slot, const sonde_skip *skip)
{
    sonde_tensor *temporary;
    const void *data = sonde_probe_elements(skip->gate, &temporary);
    highway_call *call = data ? sonde_alloc_zeroed(sizeof *call) : NULL;
    if (call) {
        const int64_t n = sonde_tensor_numel(skip->gate);
        call->slot = slot;
        sonde_gates_kernel(&call->values, skip->gate->dtype, data, 1, n, n);
    }
    sonde_tensor_release(temporary);
    if (!call) return SONDE_ENOMEM;
    const sonde_status status = sonde_watch_grad(skip->out, gradient_arrived, call, call_gone, NULL);
    if (status == SONDE_OK) slot->site.owner->network->probe->refs++;
    else sonde_free(call);
    return status;
}

static void highway_ran(void *context, sonde_module *m, const sonde_skip *skip)
{
    probe_gate *slot = context;
    const probe_network *network = slot->site.owner->network;
    if (!network->measuring || !sonde_probe_counts(network) || !skip->out->requires_grad) return;
    uint64_t since = clock_of(network);
    const sonde_status status = measure_highway(slot, skip);
    spend(network, SONDE_PROBE_GATE, &since);
    if (status != SONDE_OK) sonde_probe_failed(network->probe, status);
}

/* ---- the network ----------------------------------------------------------------------------------------------- */

sonde_status sonde_probe_gates_watch(probe_network *network)
{
    for (int i = 0; i < network->n_gates; i++) {
        probe_gate *slot = &network->gates[i];
        sonde_module *m = slot->site.owner->module;
        if (slot->first != slot) continue;
        SONDE_TRY(sonde_is_highway(m) ? sonde_skip_watch(m, highway_ran, slot, NULL, &slot->watch)
                                      : sonde_recurrent_watch(m, step_shown, slot, NULL, &slot->watch));
    }
    return SONDE_OK;
}

void sonde_probe_gates_unwatch(probe_network *network)
{
    for (int i = 0; i < network->n_gates; i++) {
        sonde_handle_remove(network->gates[i].watch);
        network->gates[i].watch = NULL;
    }
}

void sonde_probe_gates_open(probe_network *network)
{
    for (int i = 0; i < network->n_gates; i++) network->gates[i].values = (sonde_gates){0};
}
