/* The gain of a leaf: ‖dL/d(its first input)‖ / ‖dL/d(its output)‖, what the backward pass makes of a gradient there.
 *
 * The norm behind it is known when the output's gradient arrives. The one before it is that of the gradient of what the
 * module read, and belongs to the module alone if no operator but its own has read that. Mostly another leaf put it
 * out, whose gradient is measured anyway: a forward ties the two calls together. What no leaf put out (a sum, a
 * function of the user's own) is watched for its own sake.
 */
#include "probe/internal.h"

#include <math.h>
#include <string.h>

/* ---- forward ---------------------------------------------------------------------------------------------- */

/* The call of a leaf of this network that put this tensor out. */
static probe_call *find_source(const probe_network *network, const sonde_tensor *in)
{
    probe_call *call;
    for (int k = 0; (call = sonde_watch_context(in, sonde_probe_output_gradient, k)); k++) {
        if (call->module->network == network) return call;
    }
    return NULL;
}

static double norm_of(const sonde_tensor *gradient)
{
    sonde_tensor *temporary;
    sonde_moments moments;
    const void *data = sonde_probe_elements(gradient, &temporary);
    if (!data) return (double)NAN;
    sonde_brief_moments_kernel(&moments, gradient->dtype, data, (size_t)sonde_tensor_numel(gradient));
    sonde_tensor_release(temporary);
    return sonde_moments_l2(&moments);
}

/* Is the gradient that arrives at what `call` stands for the doing of the one module that has told of itself? */
static bool is_readers(const probe_call *call)
{
    return call->gain.reader && sonde_gradient_is_from(call->gain.reader_began, call->gain.reader_ended);
}

static void add_gain(probe_module *slot, double before, double behind)
{
    slot->gain_before = slot->has_gain ? hypot(slot->gain_before, before) : before;
    slot->gain_behind = slot->has_gain ? hypot(slot->gain_behind, behind) : behind;
    slot->has_gain = true;
}

static void input_gradient_arrived(void *context, const sonde_tensor *gradient)
{
    probe_call *call = context;
    const probe_network *network = call->module->network;
    if (network->probe->closed || !network->measuring) return;
    uint64_t since = clock_of(network);
    if (is_readers(call)) add_gain(call->gain.reader, norm_of(gradient), call->gain.reader_norm);
    call->gain.reader = NULL;
    spend(network, SONDE_PROBE_GAIN, &since);
}

static sonde_status watch_input(probe_call *call, const sonde_tensor *in)
{
    probe_call *source = sonde_probe_call_take(call->module);
    if (!source) return SONDE_ENOMEM;
    sonde_tensor *t = (sonde_tensor *)(uintptr_t)in; /* to be watched is no change */
    sonde_status status = sonde_watch_grad(t, input_gradient_arrived, source, sonde_probe_call_done, NULL);
    if (status != SONDE_OK) {
        sonde_probe_call_done(source);
        return status;
    }
    call->gain.source = source;
    call->gain.source_serial = source->gain.serial;
    return SONDE_OK;
}

bool sonde_probe_gain_applies(const sonde_tensor *in, const sonde_values *out)
{
    if (!in || !in->requires_grad || !out->t[0]->requires_grad) return false;
    for (int i = 1; i < out->n; i++) {
        if (out->t[i] && out->t[i]->requires_grad) return false;
    }
    return true;
}

sonde_status sonde_probe_gain_tie(probe_call *call, const sonde_tensor *in, const sonde_values *out)
{
    probe_gain *gain = &call->gain;
    if (!sonde_probe_gain_applies(in, out)) return SONDE_OK;
    gain->passes_on = in->autograd == out->t[0]->autograd;
    gain->began = sonde_module_began(call->module->module);
    gain->ended = sonde_tape_position();
    if (gain->passes_on || sonde_is_leaf(in)) return SONDE_OK; /* a leaf's .grad holds more than one backward's */
    gain->source = find_source(call->module->network, in);
    if (!gain->source) return watch_input(call, in);
    gain->source_serial = gain->source->gain.serial;
    return SONDE_OK;
}

/* ---- backward --------------------------------------------------------------------------------------------- */

void sonde_probe_gain_arrived(probe_call *call, double norm)
{
    probe_gain *gain = &call->gain;
    if (is_readers(call)) add_gain(gain->reader, norm, gain->reader_norm);
    gain->reader = NULL;
    if (gain->passes_on) add_gain(call->module, norm, norm);
    if (!gain->source || gain->source->gain.serial != gain->source_serial) return;
    gain->source->gain.reader = call->module;
    gain->source->gain.reader_norm = norm;
    gain->source->gain.reader_began = gain->began;
    gain->source->gain.reader_ended = gain->ended;
}

/* ---- the axis --------------------------------------------------------------------------------------------- */

const char *sonde_probe_gain_kind(const probe_module *slot)
{
    const sonde_module_class *class = slot->module->class;
    if (slot->is_weight_layer) return "weight";
    if (class->activation && class->activation(slot->module)) return "activation";
    return strstr(class->name, "Norm") ? "normalisation" : "other";
}
