/* What a recurrence remembers: how much of a change at t is left at the end, ‖vᵀ ∂h_T/∂h_t‖, where Arjovsky, Shah &
 * Bengio (2016), "Unitary evolution recurrent neural networks", show dL/dh_t. That follows the targets: with one at
 * every time step it looks even when nothing is remembered. A backward of its own through the layer, without weights'
 * gradients, in the midst of the training's, while the values of its forward are at hand.
 */
#include "probe/internal.h"

#include <math.h>

void sonde_probe_memory_new(probe_hidden *slot)
{
    sonde_stream probes;
    sonde_stream_derive(&probes, &sonde_nn_random_current()->root, "probe", 0);
    sonde_stream_derive(&slot->memory.start, &probes, slot->name, 0);
}

void sonde_probe_memory_free(probe_hidden *slot)
{
    probe_memory *memory = &slot->memory;
    sonde_free(memory->norms[0]);
    sonde_free(memory->norms[1]);
    sonde_free(memory->samples);
    sonde_free(memory->v);
}

/* ---- v ---------------------------------------------------------------------------------------------------- */

static void draw_row(probe_memory *memory, void *row, int64_t hidden)
{
    sonde_moments moments;
    sonde_stream_fill_normal(&memory->stream, memory->dtype, row, (size_t)hidden, 0, 1);
    sonde_brief_moments_kernel(&moments, memory->dtype, row, (size_t)hidden);
    const double norm = sonde_moments_l2(&moments);
    for (int64_t i = 0; i < hidden; i++) {
        if (memory->dtype == SONDE_FLOAT32) ((float *)row)[i] = (float)((double)((float *)row)[i] / norm);
        else ((double *)row)[i] /= norm;
    }
}

/* Rows already drawn stay; a network that is given another dtype gets its vectors again in that. */
static sonde_status draw(probe_memory *memory, sonde_dtype dtype, int64_t rows, int64_t hidden)
{
    if (memory->rows == 0 || memory->dtype != dtype) {
        memory->rows = 0;
        memory->dtype = dtype;
        memory->stream = memory->start;
    }
    if (rows <= memory->rows) return SONDE_OK;
    const size_t width = (size_t)hidden * sonde_dtype_size(dtype);
    void *v = sonde_realloc(memory->v, (size_t)rows * width);
    if (!v) return SONDE_ENOMEM;
    memory->v = v;
    for (; memory->rows < rows; memory->rows++) draw_row(memory, (char *)v + (size_t)memory->rows * width, hidden);
    return SONDE_OK;
}

/* ---- one walk ----------------------------------------------------------------------------------------------- */

/* Room for lags below `length`; those that are new are 0. */
static sonde_status lengthen(probe_hidden *slot, int64_t length)
{
    probe_memory *memory = &slot->memory;
    if (length > memory->room) {
        for (int kind = 0; kind <= slot->has_cell; kind++) {
            double *norms = sonde_realloc(memory->norms[kind], (size_t)length * sizeof *norms);
            if (!norms) return SONDE_ENOMEM;
            memory->norms[kind] = norms;
        }
        int64_t *samples = sonde_realloc(memory->samples, (size_t)length * sizeof *samples);
        if (!samples) return SONDE_ENOMEM;
        memory->samples = samples;
        memory->room = length;
    }
    for (int64_t k = memory->length; k < length; k++) {
        memory->samples[k] = 0;
        for (int kind = 0; kind <= slot->has_cell; kind++) memory->norms[kind][k] = 0;
    }
    if (length > memory->length) memory->length = length;
    return SONDE_OK;
}

/* Samples of one length are taken together. */
static sonde_status step_shown(void *context, const sonde_hidden_grad *at)
{
    probe_hidden *slot = context;
    probe_memory *memory = &slot->memory;
    const int64_t size = (int64_t)sonde_dtype_size(at->dtype), rows = at->lengths ? 1 : at->batch;
    for (int64_t b = 0; b < at->batch; b += rows) {
        const int64_t length = at->lengths ? at->lengths[b] : at->steps;
        if (at->time >= length) continue;
        const int64_t k = slot->reverse ? at->time : length - 1 - at->time;
        sonde_moments moments;
        sonde_brief_moments_kernel(&moments, at->dtype, (const char *)at->data + b * at->hidden * size,
                             (size_t)(rows * at->hidden));
        memory->norms[at->cell][k] = hypot(memory->norms[at->cell][k], sonde_moments_l2(&moments));
        if (!at->cell) memory->samples[k] += rows;
    }
    return SONDE_OK;
}

sonde_status sonde_probe_memory_measure(probe_hidden *slot, const sonde_hidden_grad *gradient)
{
    int64_t longest = gradient->lengths ? 0 : gradient->steps;
    for (int64_t b = 0; gradient->lengths && b < gradient->batch; b++)
        if (gradient->lengths[b] > longest) longest = gradient->lengths[b];
    SONDE_TRY(draw(&slot->memory, gradient->dtype, gradient->batch, gradient->hidden));
    SONDE_TRY(lengthen(slot, longest));
    return sonde_hidden_jacobian(gradient, slot->memory.v, step_shown, slot);
}
