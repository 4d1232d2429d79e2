/* Listening to the parameters' gradients and to each backward.
 *
 * A weight gradient is p.grad when the step's last backward has returned: the watcher measures it when it is complete,
 * the last backward that reaches it wins, and after a second backward of a step those measured before it are looked at
 * again, for one it did not reach may have been cleared or changed in between.
 */
#include "probe/internal.h"

#include <string.h>

static void take_histogram(probe_parameter *parameter, sonde_dtype dtype, const void *data, size_t n)
{
    sonde_histogram_clear(parameter->histogram);
    sonde_histogram_kernel(parameter->histogram, dtype, data, n);
    parameter->has_histogram = true;
}

void sonde_probe_measure_gradient(probe_parameter *parameter, const sonde_tensor *gradient)
{
    const probe_network *network = parameter->network;
    uint64_t since = clock_of(network);
    sonde_tensor *temporary;
    const void *data = sonde_probe_elements(gradient, &temporary);
    if (!data) {
        sonde_probe_failed(network->probe, SONDE_ENOMEM);
        return;
    }
    size_t n = (size_t)sonde_tensor_numel(gradient);
    if (wants_group(network, SONDE_PROBE_WEIGHT_GRAD)) {
        sonde_moments_kernel(&parameter->gradient, gradient->dtype, data, n);
        spend(network, SONDE_PROBE_WEIGHT_GRAD, &since);
    }
    if (network->compares || network->keeps) {
        sonde_probe_drift_gradient(parameter, gradient->dtype, data, n);
        spend(network, SONDE_PROBE_WEIGHT_DRIFT, &since);
    }
    if (network->histograms && wants_group(network, SONDE_PROBE_WEIGHT_GRAD_HIST)) {
        take_histogram(parameter, gradient->dtype, data, n);
        spend(network, SONDE_PROBE_WEIGHT_GRAD_HIST, &since);
    }
    if (is_kept(network, parameter->own, SONDE_PROBE_WEIGHT_GRAD)) {
        sonde_tensor_release(parameter->copy);
        parameter->copy = NULL;
        if (sonde_tensor_clone(&parameter->copy, gradient) != SONDE_OK) sonde_probe_failed(network->probe, SONDE_ENOMEM);
        spend(network, SONDE_PROBE_WEIGHT_GRAD, &since);
    }
    parameter->has_gradient = true;
    parameter->measured = gradient;
    parameter->measured_version = gradient->storage->version;
    parameter->measured_step = network->probe->step;
    sonde_tensor_release(temporary);
}

void sonde_probe_take_weight_histogram(probe_parameter *parameter, const sonde_tensor *gradient)
{
    sonde_tensor *temporary;
    const void *data = sonde_probe_elements(gradient, &temporary);
    if (data) take_histogram(parameter, gradient->dtype, data, (size_t)sonde_tensor_numel(gradient));
    else sonde_probe_failed(parameter->network->probe, SONDE_ENOMEM);
    sonde_tensor_release(temporary);
}

static void weight_gradient_arrived(void *context, const sonde_tensor *gradient)
{
    probe_parameter *parameter = context;
    if (!parameter->network->measuring || !is_listening(parameter->network)) return;
    sonde_probe_measure_gradient(parameter, gradient);
}

/* The watcher is gone: the parameter was frozen, or we removed it. */
static void weight_watch_gone(void *context)
{
    probe_parameter *parameter = context;
    if (parameter->watch) {
        sonde_handle_release(parameter->watch);
        parameter->watch = NULL;
        parameter->network->n_unwatched++;
    }
    sonde_probe_unref(parameter->network->probe);
}

sonde_status sonde_probe_watch_parameters(probe_network *network)
{
    network->n_unwatched = 0;
    for (int i = 0; i < network->n_parameters; i++) {
        probe_parameter *parameter = &network->parameters[i];
        if (parameter->watch) continue;
        if (!parameter->tensor->requires_grad) {
            network->n_unwatched++;
            continue;
        }
        SONDE_TRY(sonde_watch_grad(parameter->tensor, weight_gradient_arrived, parameter, weight_watch_gone,
                                   &parameter->watch));
        network->probe->refs++;
    }
    return SONDE_OK;
}

void sonde_probe_unwatch_parameters(probe_network *network)
{
    for (int i = 0; i < network->n_parameters; i++) {
        sonde_handle *watch = network->parameters[i].watch;
        network->parameters[i].watch = NULL;
        sonde_handle_remove(watch);
    }
}

void sonde_probe_backward_begin(void *context)
{
    sonde_probe *probe = context;
    probe->n_backwards += !probe->sampling;
    for (int i = 0; i < probe->n_networks; i++) {
        probe_network *network = probe->networks[i];
        if (network->n_unwatched == 0) continue;
        sonde_status status = sonde_probe_watch_parameters(network);
        if (status != SONDE_OK) sonde_probe_failed(probe, status);
    }
}

void sonde_probe_backward_end(void *context, sonde_status status)
{
    sonde_probe *probe = context;
    for (int i = 0; i < probe->n_networks; i++) sonde_probe_effective_backward_end(probe->networks[i]);
    if (probe->sampling || probe->n_backwards < 2) return;
    for (int i = 0; i < probe->n_networks; i++) {
        const probe_network *network = probe->networks[i];
        for (int k = 0; network->measuring && !network->fixed && k < network->n_parameters; k++) {
            probe_parameter *parameter = &network->parameters[k];
            if (!parameter->has_gradient) continue;
            const sonde_tensor *gradient = sonde_grad(parameter->tensor);
            if (!gradient) {
                parameter->has_gradient = parameter->has_histogram = false;
                parameter->measured = NULL;
            } else if (gradient != parameter->measured || gradient->storage->version != parameter->measured_version) {
                sonde_probe_measure_gradient(parameter, gradient);
            }
        }
    }
}
