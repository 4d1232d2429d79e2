/* What a forward changes besides gradients, put aside and put back: buffers (running statistics), the modules' random
 * streams and, where they will be moved, parameters. Meanwhile they may be float64.
 */
#include "probe/internal.h"

#include <string.h>

typedef struct kept_tensor {
    sonde_module *owner;           /* retained */
    const char *name;              /* the owner's */
    sonde_tensor *tensor, *copy;   /* retained; its elements */
    sonde_tensor *narrow;          /* while it is float64: holds what it held before */
    uint32_t version;
    bool is_buffer;
} kept_tensor;

typedef struct kept_stream {
    sonde_module *owner; /* retained: the stream lies in its state */
    sonde_stream *at, state;
} kept_stream;

struct sonde_probe_aside {
    int n_tensors, n_streams, tensor_room, stream_room;
    kept_tensor *tensors;
    kept_stream *streams;
};

/* ---- putting aside --------------------------------------------------------------------------------------- */

static sonde_status keep_tensor(void *context, const char *path, sonde_module *owner, const sonde_parameter *p)
{
    sonde_probe_aside *aside = context;
    if (!p->tensor || p->is_computed) return SONDE_OK;
    if (aside->n_tensors == aside->tensor_room) {
        int room = aside->tensor_room ? 2 * aside->tensor_room : 8;
        kept_tensor *grown = sonde_realloc(aside->tensors, (size_t)room * sizeof *grown);
        if (!grown) return SONDE_ENOMEM;
        aside->tensors = grown;
        aside->tensor_room = room;
    }
    sonde_tensor *copy;
    SONDE_TRY(sonde_tensor_clone(&copy, p->tensor));
    aside->tensors[aside->n_tensors++] = (kept_tensor){
        .owner = sonde_module_retain(owner), .name = p->name, .tensor = sonde_tensor_retain(p->tensor), .copy = copy,
        .version = p->tensor->storage->version, .is_buffer = p->is_buffer};
    return SONDE_OK;
}

static sonde_status keep_stream(void *context, const char *path, sonde_module *m)
{
    sonde_probe_aside *aside = context;
    sonde_stream *stream = m->class->stream ? m->class->stream(m) : NULL;
    if (!stream) return SONDE_OK;
    if (aside->n_streams == aside->stream_room) {
        int room = aside->stream_room ? 2 * aside->stream_room : 8;
        kept_stream *grown = sonde_realloc(aside->streams, (size_t)room * sizeof *grown);
        if (!grown) return SONDE_ENOMEM;
        aside->streams = grown;
        aside->stream_room = room;
    }
    aside->streams[aside->n_streams++] = (kept_stream){.owner = sonde_module_retain(m), .at = stream, .state = *stream};
    return SONDE_OK;
}

sonde_status sonde_probe_aside_new(sonde_probe_aside **out, sonde_module *net, bool parameters)
{
    sonde_probe_aside *aside = sonde_alloc_zeroed(sizeof *aside);
    if (!aside) return SONDE_ENOMEM;
    sonde_status status = sonde_module_visit_parameters(net, true, keep_tensor, aside);
    if (status == SONDE_OK && parameters) status = sonde_module_visit_parameters(net, false, keep_tensor, aside);
    if (status == SONDE_OK) status = sonde_module_visit(net, keep_stream, aside);
    if (status != SONDE_OK) {
        sonde_probe_aside_free(aside);
        return status;
    }
    *out = aside;
    return SONDE_OK;
}

/* ---- putting back ---------------------------------------------------------------------------------------- */

static bool has_elements(const sonde_tensor *t, const sonde_tensor *copy)
{
    return t->dtype == copy->dtype && sonde_tensor_same_shape(t, copy);
}

/* The same bits are the same version: a graph that saved the tensor before finds it as it was. The elements are written
 * beside autograd, which would refuse a parameter. */
static sonde_status put_back(const kept_tensor *kept)
{
    sonde_status status = SONDE_OK;
    if (has_elements(kept->tensor, kept->copy)) status = sonde_tensor_copy_(kept->tensor, kept->copy);
    if (status == SONDE_OK) kept->tensor->storage->version = kept->version;
    if (status == SONDE_OK && kept->is_buffer && sonde_module_parameter(kept->owner, kept->name) != kept->tensor) {
        status = sonde_module_set_parameter(kept->owner, kept->name, kept->tensor, true);
    }
    return status;
}

/* ---- in float64 ------------------------------------------------------------------------------------------ */

sonde_status sonde_probe_aside_widen(sonde_probe_aside *aside)
{
    sonde_status status = SONDE_OK;
    for (int i = 0; i < aside->n_tensors && status == SONDE_OK; i++) {
        kept_tensor *kept = &aside->tensors[i];
        if (kept->narrow || kept->tensor->dtype != SONDE_FLOAT32) continue;
        status = sonde_tensor_to(&kept->narrow, kept->tensor, SONDE_FLOAT64);
        if (status == SONDE_OK) sonde_tensor_exchange(kept->tensor, kept->narrow);
    }
    if (status != SONDE_OK) sonde_probe_aside_narrow(aside);
    return status;
}

void sonde_probe_aside_narrow(sonde_probe_aside *aside)
{
    for (int i = 0; i < aside->n_tensors; i++) {
        kept_tensor *kept = &aside->tensors[i];
        if (!kept->narrow) continue;
        if (sonde_tensor_same_shape(kept->tensor, kept->narrow)) sonde_tensor_exchange(kept->tensor, kept->narrow);
        sonde_tensor_release(kept->narrow);
        kept->narrow = NULL;
    }
}

/* ---- rewinding and restoring ----------------------------------------------------------------------------- */

void sonde_probe_aside_rewind(sonde_probe_aside *aside)
{
    for (int i = 0; i < aside->n_streams; i++) *aside->streams[i].at = aside->streams[i].state;
}

bool sonde_probe_aside_draws(const sonde_probe_aside *aside)
{
    return aside->n_streams > 0;
}

sonde_status sonde_probe_aside_restore(sonde_probe_aside *aside)
{
    sonde_status status = SONDE_OK;
    sonde_probe_aside_narrow(aside);
    for (int i = 0; i < aside->n_tensors; i++) {
        sonde_status one = put_back(&aside->tensors[i]);
        if (status == SONDE_OK) status = one;
    }
    sonde_probe_aside_rewind(aside);
    return status;
}

void sonde_probe_aside_free(sonde_probe_aside *aside)
{
    if (!aside) return;
    sonde_probe_aside_narrow(aside);
    for (int i = 0; i < aside->n_tensors; i++) {
        sonde_module_release(aside->tensors[i].owner);
        sonde_tensor_release(aside->tensors[i].tensor);
        sonde_tensor_release(aside->tensors[i].copy);
    }
    for (int i = 0; i < aside->n_streams; i++) sonde_module_release(aside->streams[i].owner);
    sonde_free(aside->tensors);
    sonde_free(aside->streams);
    sonde_free(aside);
}
