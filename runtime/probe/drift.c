/* What a step is compared with: the gradient of the measured step before, the weights of the beginning. Both take a
 * copy, and a pass that reads it, so few steps are compared, and a gradient is only kept where the next one is.
 */
#include "probe/internal.h"

#include <math.h>
#include <string.h>

/* Of the steps with histograms (whether or not these are wanted) the first FIRST, then every RARE-th; and the last. */
enum { FIRST = 10, RARE = 10 };

static bool is_compared(const probe_network *network, int64_t step)
{
    const int64_t k = (step - 1) / network->hist_every;
    if (step == network->probe->last_step) return true;
    return (k < FIRST || k % RARE == 0) && sonde_probe_begins_block(network, step);
}

void sonde_probe_drift_open(probe_network *network)
{
    const int64_t step = network->probe->step, last = network->probe->last_step;
    const bool wanted = network->measuring && wants_group(network, SONDE_PROBE_WEIGHT_DRIFT);
    int64_t next = step + network->every - (step - 1) % network->every; /* to be measured */
    if (last > step && last < next) next = last;
    network->compares = wanted && is_compared(network, step);
    network->keeps = wanted && (network->is_planned || is_compared(network, next)); /* nobody knows a planned one's */
}

/* *copy, resized if need be, becomes n elements of x. */
static sonde_status keep(probe_copy *copy, sonde_dtype dtype, const void *x, size_t n)
{
    const size_t size = n * sonde_dtype_size(dtype);
    if (copy->n != n || copy->dtype != dtype || !copy->data) {
        void *data = sonde_alloc(size > 0 ? size : 1);
        if (!data) return SONDE_ENOMEM;
        sonde_free(copy->data);
        *copy = (probe_copy){.data = data, .n = n, .dtype = dtype};
    }
    memcpy(copy->data, x, size);
    return SONDE_OK;
}

static bool is_like(const probe_copy *copy, sonde_dtype dtype, size_t n)
{
    return copy->data && copy->n == n && copy->dtype == dtype;
}

static double cosine(const probe_copy *last, const void *x)
{
    sonde_angle angle;
    sonde_angle_kernel(&angle, last->dtype, last->data, x, last->n);
    return angle.cosine > 1 ? 1 : angle.cosine < -1 ? -1 : angle.cosine; /* roundings */
}

/* A gradient may be measured again, after a later backward of the step: the one it is compared with stays till then. */
void sonde_probe_drift_gradient(probe_parameter *parameter, sonde_dtype dtype, const void *x, size_t n)
{
    const probe_network *network = parameter->network;
    probe_copy *kept = parameter->kept;
    if (network->compares) {
        parameter->cosine = (double)NAN;
        parameter->cosine_step = network->probe->step;
        if (network->keeps && kept[0].step == network->measured_step) {
            const probe_copy newest = kept[0];
            kept[0] = kept[1];
            kept[1] = newest;
        }
        const probe_copy *last = &kept[kept[0].step != network->measured_step];
        const bool is_last = last->step == network->measured_step;
        if (is_last && is_like(last, dtype, n)) parameter->cosine = cosine(last, x);
    }
    if (!network->keeps) return;
    if (keep(&kept[0], dtype, x, n) != SONDE_OK) {
        sonde_probe_failed(network->probe, SONDE_ENOMEM);
        return;
    }
    kept[0].step = network->probe->step;
}

/* Before the optimiser changes them; later calls of the step, when it has, are in vain. */
void sonde_probe_drift_weights(probe_parameter *parameter, const sonde_tensor *w)
{
    probe_network *network = parameter->network;
    sonde_probe *probe = network->probe;
    const bool begins = !parameter->initial.data && !probe->resumed;
    sonde_tensor *temporary;
    if (parameter->has_distance) return;
    if (!begins && !(parameter->initial.data && network->compares)) return;
    const void *x = sonde_probe_elements(w, &temporary);
    const size_t n = (size_t)sonde_tensor_numel(w);
    sonde_status status = x ? SONDE_OK : SONDE_ENOMEM;
    if (x && begins) {
        sonde_moments moments;
        sonde_brief_moments_kernel(&moments, w->dtype, x, n);
        parameter->initial_norm = sonde_moments_l2(&moments);
        status = keep(&parameter->initial, w->dtype, x, n);
        network->n_initial += status == SONDE_OK;
    }
    if (status != SONDE_OK) sonde_probe_failed(probe, status);
    else if (network->compares && is_like(&parameter->initial, w->dtype, n)) {
        parameter->init_distance = sonde_distance_kernel(w->dtype, x, parameter->initial.data, n);
        parameter->has_distance = true;
    }
    sonde_tensor_release(temporary);
}

void sonde_probe_drift_free(probe_parameter *parameter)
{
    sonde_free(parameter->kept[0].data);
    sonde_free(parameter->kept[1].data);
    sonde_free(parameter->initial.data);
}
