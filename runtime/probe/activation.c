/* What a module's output tells: moments, the slope of the activation that made it, how alike the samples are. */
#include "probe/internal.h"

#include <math.h>
#include <string.h>

#define DEAD_SAMPLES 2000 /* dead_frac looks back over at least so many */

const void *sonde_probe_elements(const sonde_tensor *t, sonde_tensor **temporary)
{
    *temporary = NULL;
    if (sonde_tensor_is_contiguous(t)) return sonde_tensor_data(t);
    return sonde_tensor_clone(temporary, t) == SONDE_OK ? sonde_tensor_data(*temporary) : NULL;
}

/* How an output is cut into units: axis 1 of [N, units] and [N, channels, *], else the last axis. */
typedef struct unit_layout {
    int64_t rows, units, inner, samples;
} unit_layout;

static unit_layout layout_of(const sonde_tensor *t)
{
    unit_layout layout = {.rows = 1, .units = 1, .inner = 1, .samples = t->ndim > 1 ? t->shape[0] : 1};
    int axis = t->ndim == 2 || t->ndim == 4 || t->ndim == 5 ? 1 : t->ndim - 1;
    for (int d = 0; d < t->ndim; d++) {
        int64_t *factor = d < axis ? &layout.rows : d == axis ? &layout.units : &layout.inner;
        *factor *= t->shape[d];
    }
    return layout;
}

static sonde_status measure_slopes(probe_activation *out, const sonde_activation *activation, const sonde_tensor *in,
                                   const sonde_tensor *output, const void *y)
{
    bool from_output = sonde_activation_uses_output(activation);
    unit_layout layout = layout_of(output);
    if (in->dtype != output->dtype || sonde_tensor_numel(in) != sonde_tensor_numel(output)) return SONDE_OK;
    if (layout.units > out->capacity) {
        uint8_t *grown = sonde_realloc(out->alive, (size_t)layout.units);
        if (!grown) return SONDE_ENOMEM;
        out->alive = grown;
        out->capacity = layout.units;
    }
    sonde_tensor *temporary = NULL;
    const void *x = from_output ? NULL : sonde_probe_elements(in, &temporary);
    if (!x && !from_output) return SONDE_ENOMEM;
    out->units = layout.units;
    memset(out->alive, 0, (size_t)layout.units);
    sonde_slopes_kernel(&out->slopes, out->alive, activation, output->dtype, x, y, layout.rows, layout.units,
                        layout.inner);
    sonde_tensor_release(temporary);
    return SONDE_OK;
}

static sonde_status measure_cosine(probe_activation *out, sonde_probe *probe, const sonde_tensor *t, const void *data)
{
    if (t->ndim < 2 || t->shape[0] < 2) return SONDE_OK;
    int64_t rows = t->shape[0], columns = sonde_tensor_numel(t) / rows;
    if (columns > probe->n_scratch) {
        double *grown = sonde_realloc(probe->scratch, (size_t)columns * sizeof *grown);
        if (!grown) return SONDE_ENOMEM;
        probe->scratch = grown;
        probe->n_scratch = columns;
    }
    int64_t n;
    double cosine = sonde_sample_cosine_kernel(t->dtype, data, rows, columns, probe->scratch, &n);
    if (n < 2) return SONDE_OK;
    out->n_pairs = (double)n * (double)(n - 1);
    out->cosine_sum = out->n_pairs * cosine;
    return SONDE_OK;
}

sonde_status sonde_probe_activation_measure(probe_activation *out, sonde_probe *probe, const sonde_module *module,
                                            const sonde_tensor *in, const sonde_tensor *output)
{
    out->slopes = (sonde_slopes){0};
    out->cosine_sum = out->n_pairs = 0;
    out->samples = out->units = 0;
    sonde_tensor *temporary;
    const void *data = sonde_probe_elements(output, &temporary);
    if (!data) return SONDE_ENOMEM;
    size_t n = (size_t)sonde_tensor_numel(output);
    sonde_brief_moments_kernel(&out->moments, output->dtype, data, n);
    sonde_status status = SONDE_OK;
    if (n > 0) {
        out->samples = layout_of(output).samples;
        status = measure_cosine(out, probe, output, data);
        const sonde_activation *activation = module && module->class->activation ? module->class->activation(module) : NULL;
        if (status == SONDE_OK && activation && in) status = measure_slopes(out, activation, in, output, data);
    }
    sonde_tensor_release(temporary);
    return status;
}

void sonde_probe_activation_pool(probe_activation *into, probe_activation *from, bool first)
{
    if (first) {
        probe_activation spent = *into;
        *into = *from;
        *from = spent;
        return;
    }
    sonde_moments_merge(&into->moments, &from->moments);
    into->slopes.sum_sq += from->slopes.sum_sq;
    into->slopes.n += from->slopes.n;
    into->slopes.n_saturated += from->slopes.n_saturated;
    into->cosine_sum += from->cosine_sum;
    into->n_pairs += from->n_pairs;
    into->samples += from->samples;
    if (into->units != from->units) into->units = 0;
    for (int64_t u = 0; u < into->units; u++) into->alive[u] |= from->alive[u];
}

sonde_status sonde_probe_units_advance(probe_module *module, double *dead_frac, double *idle_frac)
{
    const probe_activation *activation = &module->activation;
    *dead_frac = *idle_frac = (double)NAN;
    if (activation->units == 0) return SONDE_OK;
    if (activation->units != module->n_units) {
        int64_t *last_alive = sonde_alloc((size_t)activation->units * sizeof *last_alive);
        if (!last_alive) return SONDE_ENOMEM;
        sonde_free(module->last_alive);
        module->last_alive = last_alive;
        module->n_units = activation->units;
        module->samples_seen = module->all_alive = 0;
        memset(last_alive, 0, (size_t)activation->units * sizeof *last_alive);
    }
    int64_t seen = module->samples_seen += activation->samples, n_idle = 0, n_dead = 0;
    const bool any_idle = memchr(activation->alive, 0, (size_t)module->n_units) != NULL;
    if (!any_idle) module->all_alive = seen;
    for (int64_t u = 0; any_idle && u < module->n_units; u++) {
        int64_t before = module->last_alive[u] > module->all_alive ? module->last_alive[u] : module->all_alive;
        int64_t last = activation->alive[u] ? seen : before;
        module->last_alive[u] = last;
        n_idle += last != seen;
        n_dead += seen - last >= DEAD_SAMPLES;
    }
    *idle_frac = (double)n_idle / (double)module->n_units;
    if (seen >= DEAD_SAMPLES) *dead_frac = (double)n_dead / (double)module->n_units;
    return SONDE_OK;
}
