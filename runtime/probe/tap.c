/* Taps: tensors that the host shows on their way through a forward. Each name is a slot, as a leaf module has one, in a
 * network without modules. One with times also stands among the states of recurrent layers.
 */
#include "probe/internal.h"

#include <string.h>

static probe_module *find(const probe_network *taps, const char *name)
{
    for (int i = 0; taps && i < taps->n_modules; i++) {
        if (strcmp(taps->modules[i].name, name) == 0) return &taps->modules[i];
    }
    return NULL;
}

static bool is_taken(const sonde_probe *probe, const char *name)
{
    for (int i = 0; i < probe->n_networks; i++) {
        const probe_network *network = probe->networks[i];
        for (int k = 0; k < network->n_modules; k++) {
            if (strcmp(network->modules[k].name, name) == 0) return true;
        }
        for (int k = 0; k < network->n_hidden; k++) {
            if (strcmp(network->hidden[k].name, name) == 0) return true;
        }
    }
    return false;
}

static sonde_status begin(sonde_probe *probe)
{
    if (probe->taps) return SONDE_OK;
    SONDE_TRY(sonde_probe_grow(probe));
    SONDE_TRY(sonde_probe_network_new_taps(&probe->taps, probe, SONDE_PROBE_MAX_TAPS));
    probe->networks[probe->n_networks++] = probe->taps;
    sonde_probe_open_network(probe->taps);
    return SONDE_OK;
}

static sonde_status add(sonde_probe *probe, probe_module **out, const char *name, bool has_times)
{
    if (probe->declared)
        return sonde_fail(SONDE_ESTATE, "'%s' is new in step %lld, and what the file holds was fixed when the first step "
                          "ended: watch it from the first step on", name, (long long)probe->step);
    if (is_taken(probe, name)) return sonde_fail(SONDE_EARG, "there is a probe '%s' already: choose another name", name);
    SONDE_TRY(begin(probe));
    probe_network *taps = probe->taps;
    if (taps->n_modules == SONDE_PROBE_MAX_TAPS)
        return sonde_fail(SONDE_ENOMEM, "%d tensors are watched already", SONDE_PROBE_MAX_TAPS);
    probe_module *slot = &taps->modules[taps->n_modules];
    slot->path = sonde_strdup(name);
    slot->name = sonde_strdup(name);
    probe_hidden *hidden = has_times ? &taps->hidden[taps->n_hidden] : NULL;
    if (hidden) *hidden = (probe_hidden){.network = taps, .owner = slot, .first = hidden, .directions = 1,
                                         .name = sonde_strdup(name), .role = "watched"};
    if (!slot->path || !slot->name || (hidden && !hidden->name)) {
        sonde_free(slot->path);
        sonde_free(slot->name);
        if (hidden) sonde_free(hidden->name);
        slot->path = slot->name = NULL;
        return SONDE_ENOMEM;
    }
    slot->network = taps;
    slot->is_leaf = slot->is_tap = true;
    slot->ndim = -1;
    slot->through_time = hidden;
    taps->n_modules++;
    taps->n_hidden += has_times;
    *out = slot;
    return SONDE_OK;
}

/* A tensor that needs no gradient: no backward will tell that it counts. */
static sonde_status count_now(probe_module *slot, const sonde_tensor *t)
{
    probe_call *call = sonde_probe_call_take(slot);
    if (!call) return SONDE_ENOMEM;
    sonde_status status = sonde_probe_call_measure(call, NULL, t);
    if (status == SONDE_OK) sonde_probe_call_count(call);
    sonde_probe_call_done(call);
    return status;
}

sonde_status sonde_probe_show(sonde_probe *probe, const char *name, sonde_tensor *t, int64_t time)
{
    if (!sonde_dtype_is_float(t->dtype))
        return sonde_fail(SONDE_EARG, "'%s' is %s, and what is watched has a fraction", name, sonde_dtype_name(t->dtype));
    if (!sonde_grad_enabled() || sonde_probe_paused() || probe->sampling) return SONDE_OK;
    probe_module *slot = find(probe->taps, name);
    if (!slot) SONDE_TRY(add(probe, &slot, name, time > 0));
    if ((time > 0) != (slot->through_time != NULL))
        return sonde_fail(SONDE_EARG, "'%s' is watched with and without a time", name);
    slot->time = time;
    slot->ndim = t->ndim;
    memcpy(slot->shape, t->shape, (size_t)t->ndim * sizeof *t->shape);
    if (!probe->declared) {
        sonde_probe_note_call(slot);
        slot->needed_gradient |= t->requires_grad;
        slot->is_float = true;
    }
    if (!t->requires_grad) return count_now(slot, t);
    return sonde_probe_watch_output(slot, NULL, &(sonde_values){.n = 1, .t = {t}});
}

void sonde_probe_tap_norm(const probe_call *call, double norm)
{
    probe_hidden *slot = call->module->through_time;
    const int64_t steps = slot->length > call->time ? slot->length : call->time;
    sonde_status status = sonde_probe_hidden_norm(slot, false, call->time - 1, steps, norm);
    if (status != SONDE_OK) sonde_probe_failed(slot->network->probe, status);
}
