/* How far gates stand open: of every LSTM and GRU, and their cells, by layer and direction. The backward shows each
 * step's values as it comes by, while they are in cache for its own sake.
 */
#include "probe/internal.h"

#include <stdio.h>

typedef struct gate_list { /* of one kind: names, and which run of `hidden` each is in a row */
    int n;
    struct {
        const char *name;
        int run;
    } gates[3];
} gate_list;

static const gate_list lstm_gates = {3, {{"input", 0}, {"forget", 1}, {"output", 3}}},
                       gru_gates = {2, {{"reset", 0}, {"update", 1}}}, none;

static const gate_list *gates_of(const sonde_recurrent_options *options)
{
    if (!options || options->kind == SONDE_RNN) return &none;
    return options->kind == SONDE_LSTM ? &lstm_gates : &gru_gates;
}

static const sonde_recurrent_options *options_of(const probe_module *slot)
{
    return slot->module ? sonde_recurrent_options_of(slot->module) : NULL;
}

static int directions_of(const sonde_recurrent_options *options)
{
    return options->bidirectional ? 2 : 1;
}

static int slots_of(const sonde_recurrent_options *options)
{
    return options ? gates_of(options)->n * (int)options->num_layers * directions_of(options) : 0;
}

/* ---- reading the tree -------------------------------------------------------------------------------------- */

/* The k-th of a module's: "rnn.forget_l0_reverse", a cell's "rnn.forget". */
static sonde_status name_slot(probe_gate *slot, const sonde_recurrent_options *options, int k)
{
    const gate_list *list = gates_of(options);
    const int number = k / list->n, directions = directions_of(options);
    const char *gate = list->gates[k % list->n].name;
    char role[48];
    if (options->cell) return sonde_probe_name_part(&slot->name, &slot->role, slot->owner, gate);
    snprintf(role, sizeof role, "%s_l%d%s", gate, number / directions, number % directions ? "_reverse" : "");
    return sonde_probe_name_part(&slot->name, &slot->role, slot->owner, role);
}

sonde_status sonde_probe_gates_read(probe_network *network)
{
    int n = 0;
    if (!wants_group(network, SONDE_PROBE_GATE)) return SONDE_OK;
    for (int i = 0; i < network->n_modules; i++) n += slots_of(options_of(&network->modules[i]));
    if (n == 0) return SONDE_OK;
    network->gates = sonde_alloc_zeroed((size_t)n * sizeof *network->gates);
    if (!network->gates) return SONDE_ENOMEM;
    for (int i = 0; i < network->n_modules; i++) {
        const sonde_recurrent_options *options = options_of(&network->modules[i]);
        for (int k = 0; k < slots_of(options); k++) {
            probe_gate *slot = &network->gates[network->n_gates++];
            *slot = (probe_gate){.owner = &network->modules[i], .first = slot - k};
            SONDE_TRY(name_slot(slot, options, k));
        }
    }
    return SONDE_OK;
}

void sonde_probe_gates_free(probe_network *network)
{
    for (int i = 0; i < network->n_gates; i++) sonde_free(network->gates[i].name);
    sonde_free(network->gates);
}

/* ---- listening --------------------------------------------------------------------------------------------- */

static sonde_status step_shown(void *context, int64_t layer, bool reverse, const sonde_hidden_grad *at)
{
    probe_gate *first = context;
    const probe_network *network = first->owner->network;
    const sonde_recurrent_options *options = options_of(first->owner);
    const gate_list *list = gates_of(options);
    if (!at->gates || !network->measuring || !is_listening(network) || !network->root->training) return SONDE_OK;
    probe_gate *slots = first + (layer * directions_of(options) + reverse) * list->n;
    const int64_t size = (int64_t)sonde_dtype_size(at->dtype), rows = at->lengths ? 1 : at->batch;
    for (int64_t b = 0; b < at->batch; b += rows) {
        if (at->lengths && at->time >= at->lengths[b]) continue;
        for (int k = 0; k < list->n; k++) {
            const int64_t from = b * at->gates_width + list->gates[k].run * at->hidden;
            sonde_gates_kernel(&slots[k].values, at->dtype, (const char *)at->gates + from * size, rows, at->hidden,
                               at->gates_width);
        }
    }
    return SONDE_OK;
}

sonde_status sonde_probe_gates_watch(probe_network *network)
{
    for (int i = 0; i < network->n_gates; i++) {
        probe_gate *slot = &network->gates[i];
        if (slot->first != slot) continue;
        SONDE_TRY(sonde_recurrent_watch(slot->owner->module, step_shown, slot, NULL, &slot->watch));
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
