/* What a probe tells besides its rows: the gradient's norm, events, the layer table. */
#include "probe/internal.h"

#include <math.h>

/* ---- the norm of all gradients ------------------------------------------------------------------------- */

/* What was measured of this tensor's gradient in the open step, by whichever network it belongs to; NULL: nothing. */
static const sonde_moments *measured(const probe_parameter *parameter)
{
    const probe_parameter *one = parameter;
    do {
        const probe_network *network = one->network;
        bool has_moments = !network->fixed && wants_group(network, SONDE_PROBE_WEIGHT_GRAD);
        if (network->measuring && has_moments && one->has_gradient) return &one->gradient;
        one = one->same;
    } while (one != parameter);
    return NULL;
}

/* √Σ l2² as it grows: largest · √ratios, so that no square overflows. */
typedef struct norm_sum {
    double largest, ratios; /* largest -1: nothing yet; not finite: it stays so */
} norm_sum;

static void add_norm(norm_sum *sum, double l2)
{
    if (!isfinite(sum->largest)) return;
    if (!(l2 <= sum->largest)) {
        double ratio = sum->largest > 0 ? sum->largest / l2 : 0;
        *sum = (norm_sum){.largest = l2, .ratios = 1 + sum->ratios * ratio * ratio};
    } else if (l2 > 0) {
        sum->ratios += (l2 / sum->largest) * (l2 / sum->largest);
    }
}

static bool add_network(norm_sum *sum, const probe_network *network)
{
    for (int i = 0; i < network->n_parameters; i++) {
        const probe_parameter *parameter = &network->parameters[i];
        if (parameter->is_again) continue;
        const sonde_moments *gradient = measured(parameter);
        if (gradient) add_norm(sum, sonde_moments_l2(gradient));
        else if (sonde_grad(parameter->tensor)) return false;
    }
    return true;
}

bool sonde_probe_grad_norm(const sonde_probe *probe, double *norm)
{
    norm_sum sum = {.largest = -1};
    for (int i = 0; i < probe->n_networks; i++) {
        if (!add_network(&sum, probe->networks[i])) return false;
    }
    if (sum.largest == -1) return false;
    *norm = sum.largest > 0 && isfinite(sum.largest) ? sum.largest * sqrt(sum.ratios) : sum.largest;
    return true;
}

/* ---- events -------------------------------------------------------------------------------------------- */

static void add_event(sonde_probe *probe, sonde_probe_group group, int place, const char *name, uint64_t n)
{
    probe->events[probe->n_events++] = (sonde_probe_event){
        .step = probe->step, .group = group, .probe = place, .name = name, .value = (double)n};
}

static void note_weights(sonde_probe *probe, probe_network *network)
{
    bool finite = true;
    for (int i = network->n_parameters - 1; i >= 0 && finite; i--) {
        const probe_parameter *slot = network->sorted_parameters[i];
        if (!slot->has_gradient || slot->gradient.n_nonfinite == 0) continue;
        finite = false;
        if (!network->weights_finite) continue;
        add_event(probe, SONDE_PROBE_WEIGHT_GRAD, network->first_place[SONDE_PROBE_WEIGHT_GRAD] + i, slot->name,
                  slot->gradient.n_nonfinite);
    }
    network->weights_finite = finite;
}

static void note_activations(sonde_probe *probe, probe_network *network)
{
    const probe_module *found = NULL; /* the last one in forward order */
    int place = network->first_place[SONDE_PROBE_ACTIVATION_GRAD], found_place = 0;
    for (int i = 0; i < network->n_modules; i++) {
        const probe_module *slot = network->sorted_modules[i];
        if (!sonde_probe_has_place(slot, SONDE_PROBE_ACTIVATION_GRAD)) continue;
        if (slot->has_gradient && slot->gradient.n_nonfinite > 0) {
            found = slot;
            found_place = place;
        }
        place++;
    }
    if (found && network->activations_finite) {
        add_event(probe, SONDE_PROBE_ACTIVATION_GRAD, found_place, found->name, found->gradient.n_nonfinite);
    }
    network->activations_finite = !found;
}

void sonde_probe_note_events(sonde_probe *probe)
{
    for (int i = 0; i < probe->n_networks; i++) {
        probe_network *network = probe->networks[i];
        if (!network->measuring) continue;
        if (wants_group(network, SONDE_PROBE_WEIGHT_GRAD)) note_weights(probe, network);
        if (wants_group(network, SONDE_PROBE_ACTIVATION_GRAD)) note_activations(probe, network);
    }
}

int sonde_probe_events(const sonde_probe *probe, const sonde_probe_event **events)
{
    *events = probe->events;
    return probe->n_events;
}

/* ---- the layer table ----------------------------------------------------------------------------------- */

int sonde_probe_n_layers(const sonde_probe *probe)
{
    int n = 0;
    for (int i = 0; i < probe->n_networks; i++) {
        for (int k = 0; k < probe->networks[i]->n_modules; k++) n += probe->networks[i]->modules[k].is_leaf;
    }
    return n;
}

static int64_t count_parameters(const sonde_module *m)
{
    int64_t n = 0;
    for (int i = 0; i < m->n_parameters; i++) {
        const sonde_parameter *p = &m->parameters[i];
        if (!p->is_buffer && !p->is_computed && p->tensor) n += sonde_tensor_numel(p->tensor);
    }
    const sonde_module *dict = m->parametrizations;
    for (int i = 0; dict && i < dict->n_children; i++) n += count_parameters(dict->children[i].module); /* originals */
    return n;
}

static sonde_probe_layer describe(const probe_module *slot, int net)
{
    sonde_probe_layer layer = {
        .probe = slot->name, .module = slot->module ? slot->module->class->name : "Tensor", .net = net,
        .depth = slot->depth, .n_parameters = slot->module ? count_parameters(slot->module) : 0, .absent = slot->called && !slot->needed_gradient,
        .ndim = slot->ndim};
    for (int d = 0; d < slot->ndim; d++) layer.shape[d] = slot->shape[d];
    return layer;
}

sonde_probe_layer sonde_probe_layer_at(const sonde_probe *probe, int i)
{
    for (int net = 0; net < probe->n_networks; net++) {
        const probe_network *network = probe->networks[net];
        for (int k = 0; k < network->n_modules; k++) {
            const probe_module *slot = network->sorted_modules[k];
            if (slot->is_leaf && i-- == 0) return describe(slot, net);
        }
    }
    return (sonde_probe_layer){.probe = "", .module = "", .ndim = -1};
}
