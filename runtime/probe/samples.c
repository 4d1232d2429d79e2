/* Fixed samples: between begin and end a network is run forwards and backwards on samples of its own, and nothing of
 * that must be left but what was measured. Gradients stay untouched because sonde_backward_aside is used; here what a
 * forward changes is put aside and put back: buffers (running statistics) and the modules' random streams.
 */
#include "probe/internal.h"

#include <string.h>

typedef struct kept_buffer {
    sonde_module *owner;           /* retained */
    const char *name;              /* the owner's */
    sonde_tensor *tensor, *copy;   /* retained; its elements */
    uint32_t version;
} kept_buffer;

typedef struct kept_stream {
    sonde_module *owner; /* retained: the stream lies in its state */
    sonde_stream *at, state;
} kept_stream;

typedef struct probe_aside {
    int n_buffers, n_streams, buffer_room, stream_room;
    kept_buffer *buffers;
    kept_stream *streams;
} probe_aside;

/* ---- putting aside --------------------------------------------------------------------------------------- */

static sonde_status keep_buffer(void *context, const char *path, sonde_module *owner, const sonde_parameter *p)
{
    probe_aside *aside = context;
    if (!p->tensor) return SONDE_OK;
    if (aside->n_buffers == aside->buffer_room) {
        int room = aside->buffer_room ? 2 * aside->buffer_room : 8;
        kept_buffer *grown = sonde_realloc(aside->buffers, (size_t)room * sizeof *grown);
        if (!grown) return SONDE_ENOMEM;
        aside->buffers = grown;
        aside->buffer_room = room;
    }
    sonde_tensor *copy;
    SONDE_TRY(sonde_tensor_clone(&copy, p->tensor));
    aside->buffers[aside->n_buffers++] = (kept_buffer){
        .owner = sonde_module_retain(owner), .name = p->name, .tensor = sonde_tensor_retain(p->tensor), .copy = copy,
        .version = p->tensor->storage->version};
    return SONDE_OK;
}

static sonde_status keep_stream(void *context, const char *path, sonde_module *m)
{
    probe_aside *aside = context;
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

/* ---- putting back ---------------------------------------------------------------------------------------- */

static bool has_elements(const sonde_tensor *t, const sonde_tensor *copy)
{
    return t->dtype == copy->dtype && sonde_tensor_same_shape(t, copy);
}

/* The same bits are the same version: a graph that saved the buffer before finds it as it was. */
static sonde_status put_back(const kept_buffer *kept)
{
    sonde_status status = SONDE_OK;
    if (has_elements(kept->tensor, kept->copy)) status = sonde_tensor_copy_(kept->tensor, kept->copy);
    if (status == SONDE_OK) kept->tensor->storage->version = kept->version;
    if (status == SONDE_OK && sonde_module_parameter(kept->owner, kept->name) != kept->tensor) {
        status = sonde_module_set_parameter(kept->owner, kept->name, kept->tensor, true);
    }
    return status;
}

static void free_aside(probe_aside *aside)
{
    for (int i = 0; i < aside->n_buffers; i++) {
        sonde_module_release(aside->buffers[i].owner);
        sonde_tensor_release(aside->buffers[i].tensor);
        sonde_tensor_release(aside->buffers[i].copy);
    }
    for (int i = 0; i < aside->n_streams; i++) sonde_module_release(aside->streams[i].owner);
    sonde_free(aside->buffers);
    sonde_free(aside->streams);
    sonde_free(aside);
}

void sonde_probe_samples_stop(probe_network *network)
{
    probe_aside *aside = network->aside;
    if (!aside) return;
    network->aside = NULL;
    for (int i = 0; i < aside->n_buffers; i++) {
        sonde_status status = put_back(&aside->buffers[i]);
        if (status != SONDE_OK) sonde_probe_failed(network->probe, status);
    }
    for (int i = 0; i < aside->n_streams; i++) *aside->streams[i].at = aside->streams[i].state;
    free_aside(aside);
    network->probe->sampling = NULL;
    network->in_forward = false;
    sonde_probe_pending_drop(network);
    for (int i = 0; i < network->n_parameters; i++) network->parameters[i].measured = NULL; /* gone with the backward */
}

/* ---- the door -------------------------------------------------------------------------------------------- */

bool sonde_probe_samples_due(const sonde_probe *probe, int net)
{
    if (net < 0 || net >= probe->n_networks || probe->sampling) return false;
    const probe_network *network = probe->networks[net];
    bool wanted = network->measuring || !probe->declared; /* the first step tells forward order */
    return wanted && network->fixed && !network->sampled && network->root->training && sonde_grad_enabled();
}

sonde_status sonde_probe_samples_begin(sonde_probe *probe, int net)
{
    if (!sonde_probe_samples_due(probe, net)) return sonde_fail(SONDE_ESTATE, "no samples are to be measured now");
    probe_network *network = probe->networks[net];
    probe_aside *aside = sonde_alloc_zeroed(sizeof *aside);
    if (!aside) return SONDE_ENOMEM;
    sonde_status status = sonde_module_visit_parameters(network->root, true, keep_buffer, aside);
    if (status == SONDE_OK) status = sonde_module_visit(network->root, keep_stream, aside);
    if (status != SONDE_OK) {
        free_aside(aside);
        return status;
    }
    network->sampled = true;
    network->aside = aside;
    probe->sampling = network;
    return SONDE_OK;
}

void sonde_probe_samples_end(sonde_probe *probe)
{
    if (probe->sampling) sonde_probe_samples_stop(probe->sampling);
}
