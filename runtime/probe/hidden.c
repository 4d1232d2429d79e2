/* Gradients through time: ‖dL/dh_t‖ and ‖dL/dc_t‖ of every recurrent layer and direction, all paths summed, as
 * back-propagation through time comes by them. A layer that is called several times in a step pools: the norm at a time
 * step is that of all its calls' gradients together.
 */
#include "probe/internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- reading the tree -------------------------------------------------------------------------------------- */

/* What has a time axis of its own: a cell takes one step at a time. */
static const sonde_recurrent_options *layer_options(const sonde_module *m)
{
    const sonde_recurrent_options *options = m ? sonde_recurrent_options_of(m) : NULL;
    return options && !options->cell ? options : NULL;
}

static int slots_of(const sonde_recurrent_options *options)
{
    return options ? (int)options->num_layers * (options->bidirectional ? 2 : 1) : 0;
}

/* "rnn.hidden_l0_reverse", beside its weights "rnn.weight_hh_l0_reverse". */
static sonde_status name_slot(probe_hidden *slot)
{
    char role[48];
    snprintf(role, sizeof role, "hidden_l%lld%s", (long long)slot->layer, slot->reverse ? "_reverse" : "");
    return sonde_probe_name_part(&slot->name, &slot->role, slot->owner, role);
}

sonde_status sonde_probe_hidden_read(probe_network *network)
{
    int n = 0;
    if (!(network->what & TIME_GROUPS)) return SONDE_OK;
    for (int i = 0; i < network->n_modules; i++) n += slots_of(layer_options(network->modules[i].module));
    if (n == 0) return SONDE_OK;
    network->hidden = sonde_alloc_zeroed((size_t)n * sizeof *network->hidden);
    if (!network->hidden) return SONDE_ENOMEM;
    for (int i = 0; i < network->n_modules; i++) {
        const sonde_recurrent_options *options = layer_options(network->modules[i].module);
        int directions = options && options->bidirectional ? 2 : 1;
        for (int k = 0; k < slots_of(options); k++) {
            probe_hidden *slot = &network->hidden[network->n_hidden++];
            *slot = (probe_hidden){.network = network, .owner = &network->modules[i], .first = slot - k,
                                   .layer = k / directions, .reverse = k % directions == 1,
                                   .directions = directions, .has_cell = options->kind == SONDE_LSTM};
            SONDE_TRY(name_slot(slot));
            sonde_probe_memory_new(slot);
        }
    }
    return SONDE_OK;
}

void sonde_probe_hidden_free(probe_network *network)
{
    for (int i = 0; i < network->n_hidden; i++) {
        sonde_free(network->hidden[i].norms[0]);
        sonde_free(network->hidden[i].norms[1]);
        sonde_probe_memory_free(&network->hidden[i]);
        sonde_free(network->hidden[i].name);
    }
    sonde_free(network->hidden);
}

/* ---- listening --------------------------------------------------------------------------------------------- */

/* Room for `length` norms; those that are new are 0, of a tap NaN: what is not shown is not known. */
static sonde_status lengthen(probe_hidden *slot, int64_t length)
{
    for (int kind = 0; kind <= slot->has_cell && length > slot->room; kind++) {
        double *norms = sonde_realloc(slot->norms[kind], (size_t)length * sizeof *norms);
        if (!norms) return SONDE_ENOMEM;
        slot->norms[kind] = norms;
    }
    if (length > slot->room) slot->room = length;
    for (int kind = 0; kind <= slot->has_cell; kind++) {
        for (int64_t t = slot->length; t < length; t++) slot->norms[kind][t] = slot->owner->is_tap ? (double)NAN : 0;
    }
    if (length > slot->length) slot->length = length;
    return SONDE_OK;
}

sonde_status sonde_probe_hidden_norm(probe_hidden *slot, bool cell, int64_t time, int64_t steps, double norm)
{
    SONDE_TRY(lengthen(slot, steps));
    double *pooled = &slot->norms[cell][time];
    const bool is_first = slot->owner->is_tap ? isnan(*pooled) : *pooled == 0;
    *pooled = is_first ? norm : hypot(*pooled, norm);
    return SONDE_OK;
}

static sonde_status take_norm(probe_hidden *slot, const sonde_hidden_grad *gradient)
{
    sonde_moments moments;
    sonde_brief_moments_kernel(&moments, gradient->dtype, gradient->data, (size_t)(gradient->batch * gradient->hidden));
    return sonde_probe_hidden_norm(slot, gradient->cell, gradient->time, gradient->steps, sonde_moments_l2(&moments));
}

/* Does a walk back through time begin with this? */
static bool is_first_shown(const sonde_hidden_grad *gradient, bool reverse)
{
    return !gradient->cell && gradient->time == (reverse ? 0 : gradient->steps - 1);
}

static sonde_status gradient_arrived(void *context, int64_t layer, bool reverse, const sonde_hidden_grad *gradient)
{
    probe_hidden *first = context, *slot = first + layer * first->directions + reverse;
    const probe_network *network = slot->network;
    if (!network->measuring || !is_listening(network) || !network->root->training) return SONDE_OK;
    sonde_status status = SONDE_OK;
    uint64_t since = clock_of(network);
    if (wants_group(network, SONDE_PROBE_HIDDEN_GRAD)) {
        status = take_norm(slot, gradient);
        spend(network, SONDE_PROBE_HIDDEN_GRAD, &since);
    }
    if (status == SONDE_OK && network->histograms && wants_group(network, SONDE_PROBE_HIDDEN_JACOBIAN) &&
        is_first_shown(gradient, reverse)) {
        status = sonde_probe_memory_measure(slot, gradient);
        spend(network, SONDE_PROBE_HIDDEN_JACOBIAN, &since);
    }
    if (status != SONDE_OK) sonde_probe_failed(network->probe, status);
    return SONDE_OK; /* the training goes on */
}

sonde_status sonde_probe_hidden_watch(probe_network *network)
{
    for (int i = 0; i < network->n_hidden; i++) {
        probe_hidden *slot = &network->hidden[i];
        if (slot->first != slot) continue;
        SONDE_TRY(sonde_recurrent_watch(slot->owner->module, gradient_arrived, slot, NULL, &slot->watch));
    }
    return SONDE_OK;
}

void sonde_probe_hidden_unwatch(probe_network *network)
{
    for (int i = 0; i < network->n_hidden; i++) {
        sonde_handle_remove(network->hidden[i].watch);
        network->hidden[i].watch = NULL;
    }
}

/* ---- the row ------------------------------------------------------------------------------------------------ */

void sonde_probe_hidden_open(probe_network *network)
{
    for (int i = 0; i < network->n_hidden; i++) network->hidden[i].length = network->hidden[i].memory.length = 0;
}

int64_t sonde_probe_hidden_longest(const sonde_probe *probe, sonde_probe_group g)
{
    int64_t longest = 0;
    for (int i = 0; i < probe->n_networks; i++) {
        const probe_network *network = probe->networks[i];
        for (int k = 0; network->measuring && k < network->n_hidden; k++) {
            const probe_hidden *slot = &network->hidden[k];
            const int64_t length = g == SONDE_PROBE_HIDDEN_GRAD ? slot->length : slot->memory.length;
            if (length > longest) longest = length;
        }
    }
    return longest;
}

bool sonde_probe_hidden_has_cells(const sonde_probe *probe)
{
    for (int i = 0; i < probe->n_networks; i++) {
        for (int k = 0; k < probe->networks[i]->n_hidden; k++) {
            if (probe->networks[i]->hidden[k].has_cell) return true;
        }
    }
    return false;
}
