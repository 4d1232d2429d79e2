/* What the files of this room ask of each other. Not a door. The state they share is in slots.h. */
#ifndef SONDE_PROBE_INTERNAL_H
#define SONDE_PROBE_INTERNAL_H

#include "probe/slots.h"

static inline bool wants_group(const probe_network *network, sonde_probe_group group)
{
    return (network->what & SONDE_PROBE_BIT(group)) != 0;
}

/* The network's input: not a module, nor something that the host shows. */
static inline bool is_input(const probe_module *slot)
{
    return !slot->module && !slot->is_tap;
}

/* Does one of the host's columns look at this group of a slot (own: its bits) in the open step? */
static inline bool is_kept(const probe_network *network, uint64_t own, sonde_probe_group group)
{
    const sonde_probe *probe = network->probe;
    return (own & probe->columns_due & probe->columns_of[group]) != 0 && wants_group(network, group);
}

/* Do forwards and backwards that happen now belong to this network's measurement? */
static inline bool is_listening(const probe_network *network)
{
    const probe_network *sampling = network->probe->sampling;
    if (sonde_probe_paused()) return false;
    return sampling ? sampling == network : !network->fixed;
}

/* For spend. */
static inline uint64_t clock_of(const probe_network *network)
{
    return network->probe->cost.clocks ? sonde_ticks() : 0;
}

/* What has passed since *since went into this group of the network's: *since is now. Parts follow each other, so the work
 * of one that is not wanted was for the sake of another that is. */
static inline void spend(const probe_network *network, sonde_probe_group group, uint64_t *since)
{
    if (!network->probe->cost.clocks) return;
    const uint64_t now = sonde_ticks();
    const int part = wants_group(network, group) ? (int)group : __builtin_ctz(network->what);
    if (now > *since) network->probe->cost.ticks[part] += now - *since;
    *since = now;
}

/* cost.c */
void sonde_probe_cost_begin(sonde_probe *probe);
void sonde_probe_cost_end_step(sonde_probe *probe);
void sonde_probe_cost_samples(sonde_probe *probe, bool begin); /* or end */

/* tree.c: reading a network */
sonde_status sonde_probe_network_new(probe_network **out, sonde_probe *probe, sonde_module *net,
                                     const sonde_probe_options *options);
void sonde_probe_network_free(probe_network *network);

/* The name along an axis of a part of a module, "rnn.hidden_l0" beside its weights "rnn.weight_hh_l0"; *role points to
 * the part at its end. */
sonde_status sonde_probe_name_part(char **name, const char **role, const probe_module *owner, const char *part);

/* forward.c, backward.c: listening */
sonde_status sonde_probe_watch_modules(probe_network *network);
void sonde_probe_unwatch_modules(probe_network *network);
void sonde_probe_drop_leaf_watches(sonde_probe *probe);
bool sonde_probe_counts(const probe_network *network); /* a forward that runs now */
/* A call (one reference to the probe, until it is done); NULL: ENOMEM. */
probe_call *sonde_probe_call_take(probe_module *slot);
void sonde_probe_call_done(void *call);
void sonde_probe_call_count(probe_call *call); /* its activation joins the step's pool, once */
sonde_status sonde_probe_call_measure(probe_call *call, const sonde_tensor *in, const sonde_tensor *output);
/* Measures an output (in: NULL, or what the module got) and waits for its gradient. ENOMEM */
sonde_status sonde_probe_watch_output(probe_module *slot, const sonde_tensor *in, const sonde_values *out);
void sonde_probe_note_call(probe_module *slot); /* its place in forward order */
/* sonde_watch_grad for as long as the graph lives, on a leaf until the step ends. */
sonde_status sonde_probe_watch_tensor(sonde_probe *probe, sonde_tensor *t, sonde_grad_watcher watcher, void *context,
                                      void (*free_context)(void *));
sonde_status sonde_probe_watch_parameters(probe_network *network);
void sonde_probe_unwatch_parameters(probe_network *network);
void sonde_probe_take_weight_histogram(probe_parameter *parameter, const sonde_tensor *gradient);
void sonde_probe_backward_begin(void *probe);
void sonde_probe_backward_end(void *probe, sonde_status status);

void sonde_probe_output_gradient(void *call, const sonde_tensor *gradient); /* the watcher on a leaf's output */

/* gain.c: what a module makes of a gradient */
bool sonde_probe_gain_applies(const sonde_tensor *in, const sonde_values *out); /* to a call with these */
sonde_status sonde_probe_gain_tie(probe_call *call, const sonde_tensor *in, const sonde_values *out); /* in forward */
void sonde_probe_gain_arrived(probe_call *call, double norm); /* the gradient of the call's output has come */
const char *sonde_probe_gain_kind(const probe_module *slot);

/* pending.c: outputs that need no gradient */
sonde_status sonde_probe_pending_add(probe_module *slot, const sonde_tensor *in, sonde_tensor *output);
/* What is pending counts once a gradient arrives at one of these; forgotten if none of them needs one. */
sonde_status sonde_probe_pending_tie(probe_network *network, int n, sonde_tensor *const *outputs);
void sonde_probe_pending_drop(probe_network *network);

void sonde_probe_measure_gradient(probe_parameter *parameter, const sonde_tensor *gradient);

/* hidden.c: gradients through time */
sonde_status sonde_probe_hidden_read(probe_network *network);
void sonde_probe_hidden_free(probe_network *network);
sonde_status sonde_probe_hidden_watch(probe_network *network);
void sonde_probe_hidden_unwatch(probe_network *network);
void sonde_probe_hidden_open(probe_network *network); /* a step */
int64_t sonde_probe_hidden_longest(const sonde_probe *probe, sonde_probe_group g); /* of the open step; 0: none */
bool sonde_probe_hidden_has_cells(const sonde_probe *probe);
/* A norm at a time (from 0) of `steps` has come; several of one time pool. */
sonde_status sonde_probe_hidden_norm(probe_hidden *slot, bool cell, int64_t time, int64_t steps, double norm);

/* tap.c */
void sonde_probe_tap_norm(const probe_call *call, double norm); /* of the gradient at a tap with a time */

/* own.c: the host's columns */
sonde_status sonde_probe_keep(probe_kept *kept, const sonde_tensor *t); /* a copy */
void sonde_probe_kept_clear(probe_kept *kept);
void sonde_probe_own_free(sonde_probe *probe);
void sonde_probe_own_end_step(sonde_probe *probe); /* lets the copies go */
sonde_status sonde_probe_own_declare(sonde_probe *probe, sonde_probe_group group, int axis, int n_places);
void sonde_probe_own_write(sonde_probe *probe, sonde_probe_group group); /* into the open row */

/* memory.c: what a recurrence remembers */
void sonde_probe_memory_new(probe_hidden *slot);
void sonde_probe_memory_free(probe_hidden *slot);
/* In the backward through the slot's layer, while it shows `gradient`. ENOMEM */
sonde_status sonde_probe_memory_measure(probe_hidden *slot, const sonde_hidden_grad *gradient);

/* gates.c: how far gates stand open */
sonde_status sonde_probe_gates_read(probe_network *network);
void sonde_probe_gates_free(probe_network *network);
sonde_status sonde_probe_gates_watch(probe_network *network);
void sonde_probe_gates_unwatch(probe_network *network);
void sonde_probe_gates_open(probe_network *network); /* a step */

/* skips.c: what comes back by way of a skip, and by way of the branch beside it */
sonde_status sonde_probe_skips_read(probe_network *network);
void sonde_probe_skips_free(probe_network *network);
sonde_status sonde_probe_skips_watch(probe_network *network);
void sonde_probe_skips_unwatch(probe_network *network);
void sonde_probe_skips_open(probe_network *network); /* a step */
void sonde_probe_skip_settle(probe_skip *slot); /* no more will come: norms and cosine are whole */

/* drift.c: comparisons with earlier steps */
void sonde_probe_drift_open(probe_network *network); /* a step */
void sonde_probe_drift_gradient(probe_parameter *parameter, sonde_dtype dtype, const void *x, size_t n);
void sonde_probe_drift_weights(probe_parameter *parameter, const sonde_tensor *w);
void sonde_probe_drift_free(probe_parameter *parameter);

/* effective.c: weights made by parametrisations */
sonde_status sonde_probe_effective_read(probe_network *network);
void sonde_probe_effective_free(probe_network *network);
void sonde_probe_effective_open(probe_network *network); /* a step */
sonde_status sonde_probe_effective_watch(probe_network *network);
void sonde_probe_effective_unwatch(probe_network *network);
void sonde_probe_effective_backward_end(probe_network *network);
/* The module whose tensor this ParametrizationList makes. */
probe_module *sonde_probe_parametrized(const probe_network *network, const sonde_module *list);

/* precision.c: how a histogram would fare in a format of less precision */
typedef struct probe_underflow {
    double share;        /* of the finite elements that are not 0: how many would round to 0; NaN if there are none */
    double scale;        /* largest power of two, of those dtype has, that overflows none of them */
    double share_scaled; /* the share that is left once they are multiplied by it */
} probe_underflow;
void sonde_probe_underflows(probe_underflow *out, const sonde_histogram *h, sonde_dtype dtype); /* [PRECISION_COUNT] */

/* probe.c: room for one more network */
sonde_status sonde_probe_grow(sonde_probe *probe);
void sonde_probe_open_network(probe_network *network); /* the step that is open: what is measured in it */
/* tree.c: a network without a module, with room for n taps */
sonde_status sonde_probe_network_new_taps(probe_network **out, sonde_probe *probe, int n);

/* samples.c */
void sonde_probe_samples_stop(probe_network *network); /* nothing if they are not being measured */

/* probe.c */
/* Of each hist_every steps the first one measured: on the grid of hist_every if `every` divides it. Asked of a planned
 * network for the open step only. */
bool sonde_probe_begins_block(const probe_network *network, int64_t step);
void sonde_probe_unref(sonde_probe *probe);
void sonde_probe_failed(sonde_probe *probe, sonde_status status); /* remembers the step's first failure */

/* activation.c: what an output tells */
sonde_status sonde_probe_activation_measure(probe_activation *out, sonde_probe *probe, const sonde_module *module,
                                            const sonde_tensor *in, const sonde_tensor *output);
void sonde_probe_activation_pool(probe_activation *into, probe_activation *from, bool first); /* from is spent */
/* Notes which units lived in the step; shares that cannot be told are NaN. */
sonde_status sonde_probe_units_advance(probe_module *module, double *dead_frac, double *idle_frac);
/* A float tensor's elements in a row; *temporary (the caller releases it) holds them where t does not. NULL: ENOMEM. */
const void *sonde_probe_elements(const sonde_tensor *t, sonde_tensor **temporary);

/* optimizer.c */
sonde_status sonde_probe_optimizer_new(probe_optimizer **out, sonde_probe *probe, sonde_optimizer *optimizer);
void sonde_probe_optimizer_free(probe_optimizer *watched);

/* declare.c, rows.c: the groups */
sonde_status sonde_probe_declare(sonde_probe *probe);
sonde_status sonde_probe_write_rows(sonde_probe *probe, double time);
/* A row of one histogram group, of the slots that have one. */
sonde_status sonde_probe_write_histograms(sonde_probe *probe, sonde_probe_group group, int64_t step, double time);

/* declare.c: has the group a variable or coordinate of this name? */
bool sonde_probe_names_column(sonde_probe_group group, const char *name);
/* declare.c: does it have a place along the axis of this group of modules? */
bool sonde_probe_has_place(const probe_module *slot, sonde_probe_group group);

/* look.c */
void sonde_probe_note_events(sonde_probe *probe);

#endif
