/* probe — what is measured while a network trains, written as rows into a history.
 *
 * Purpose:   one sonde_probe belongs to one sonde_history; any number of networks are attached to it. It listens to the
 *            modules' watchers, the gradients' watchers, each backward and the optimisers' steps, measures while the
 *            data is in cache, and when a step ends fills one row of every group. It changes nothing: with and without
 *            it a training run has the same bits.
 * Groups:    weight_grad, activation_grad, activation, weight, weight_grad_hist, activation_grad_hist, hidden_grad,
 *            hidden_jacobian, gate, gain, skip, weight_drift; a group without probes is left out. Which modules run in
 *            which order, and which outputs need a gradient, is learnt in the first step: the groups are declared when
 *            it ends and are fixed from then on. What the numbers mean is in the contract of the file format.
 * Axis:      probe: "h1.weight" (parameters) or "h1" (modules), in the order of first call; after them, in the order of
 *            the tree, what was not called in the first step. A network attached with a name has "name." before each. A
 *            network that is itself a leaf is called by its name, else by its class ("Linear"). Further coordinates:
 *            layer (path of the module), module (its class), role ("weight", …; "output"), depth, n_elements. depth
 *            counts weight layers, modules owning a parameter of two or more axes: 1 .. L+1 in forward order. Any other
 *            module, a normalisation with its vectors included, has the depth of the last weight layer before it, 0 if
 *            there is none; a parameter has its module's depth; the network's input has 0.
 * Modules:   leaves only: modules without children that are no containers. A leaf whose output needed no gradient in
 *            the first step is absent from activation_grad, one whose output was int64 from activation as well. Where
 *            the network's input needs a gradient, it is the probe "input" of activation_grad (layer "input", module
 *            "Input"), unless a leaf has that path already.
 * Forwards:  one counts if the network (its root) is in training mode, gradients are enabled, and a backward reaches
 *            the module's first output (where that needs no gradient: an output of the root's same forward); it belongs
 *            to the step of that backward. Several calls pool: their elements are one sample; an output that two
 *            backwards reach counts once as activation, twice as gradient. sample_cosine is the mean over pairs within
 *            one call (the same sample in two calls is no "different sample"); a sample whose activations are all 0 has
 *            no direction and is left out: B of the formula counts the others. NaN where they are fewer than two.
 * Effective: a weight that is made of others (nn/parametrize.h) has rows for its originals, which are parameters like
 *            others (probe "h1.parametrizations.weight.original0", layer "h1", role "weight.original0"), and, after
 *            all parameters of the network, one for what the forward uses (probe "h1.weight", role "weight.effective"):
 *            its gradient, summed over the calls of the step, and its norm in the step's first. No optimiser moves it:
 *            the other columns of /weight are NaN. The modules that make it have no rows and no depth.
 * Weights:   a gradient is p.grad when the step's last backward has returned. Not measured: a parameter that no
 *            backward of the step reached, or whose gradient was cleared before the last one ended. /weight tells of
 *            the last optimiser step in the row.
 * Drift:     (weight_drift) grad_cosine: the cosine between a gradient and that of the measured step before it; NaN if
 *            there is none or either is 0. init_distance: ‖w − w₀‖₂, w before the row's first step of an optimiser and
 *            w₀ before the first one seen; init_distance_ratio: over ‖w₀‖, NaN where that is 0. Both read copies as
 *            large as the parameter, so it has rows of its own: of the steps that would have histograms the first ten,
 *            then every tenth, and the last step. After a resume w₀ is gone: NaN.
 * Precision: (both histogram groups) for float16, bfloat16, float8_e4m3 and float8_e5m2, of the finite elements that are
 *            not 0: the share that would round to 0 (<format>_underflow_frac: to nearest even, subnormals kept, so all
 *            up to half of the smallest subnormal); the loss scale that would save them (<format>_loss_scale: the
 *            largest power of two that keeps their largest within the format, Micikevicius et al. 2018, Mixed precision
 *            training, 3.2; at most what the model's dtype holds); and the share that rounds to 0 even so
 *            (<format>_scaled_underflow_frac). One scale for a network is the least along `probe`. NaN where all are 0,
 *            and for a share that ends within an end bin of the histogram (float64 below 2^-150 or above 2^127).
 * Time:      (hidden_grad) one probe per layer and direction of an RNN, LSTM or GRU ("rnn.hidden_l0"; cells have none):
 *            the norms over batch and units of dL/dh_t and dL/dc_t, all paths summed, before clip_hidden_grad, in
 *            backwards that run while the network is in training mode. time_step counts the elements of the sequence
 *            from 1, also for the reverse direction, and grows with the longest sequence so far; `length` is the
 *            longest of the row, NaN lies beyond a layer's own. cell_l2_norm is there if there is an LSTM, NaN for
 *            others. Elements beyond a sample's own length have no gradient. Several calls pool.
 * Memory:    (hidden_jacobian, with the histograms) of the same layers and directions ‖vᵀ ∂h_T/∂h_t‖, of an LSTM also
 *            ‖vᵀ ∂h_T/∂c_t‖, by the recurrence alone: h_T is the state where a sample's own sequence ends, whatever
 *            the loss reads, unclipped; v is a random unit vector for each place in the batch, fixed for the run; root
 *            mean square over the samples. What a change at t leaves of itself at the end: an orthogonal linear
 *            recurrence has 1 everywhere. A cell tells of lag = length - time_step steps of the recurrence, for every
 *            sample and direction: shorter sequences are aligned at their ends and count from where they begin, and in
 *            the reverse direction time_step counts steps in the order they are taken. The coordinate lag is that of
 *            the longest sequence so far. Several calls pool. Costs about a third of the layer's backward.
 * Gates:     (gate) one probe per gate, layer and direction: of an LSTM "rnn.input_l0", "rnn.forget_l0",
 *            "rnn.output_l0_reverse", of a GRU "rnn.reset_l0" and "rnn.update_l0" (1: the state stays); a cell's names
 *            end without _l0; of a Highway "hw.transform". Their values y = σ(z) over units, batch and time, but those beyond a sample's own length:
 *            openness = mean y, open_frac = share of y > 0.9, closed_frac = share of y < 0.1 (the thresholds of
 *            Karpathy, Johnson & Fei-Fei 2015, "Visualizing and understanding recurrent networks"), saturated_frac =
 *            share of φ' = (1 − y) y under 5 % of its maximum. A forward counts once, in the first backward that
 *            reaches it.
 * Gain:      ‖dL/d(first input)‖ / ‖dL/d(output)‖ of each leaf, of gradients after tensor hooks; several calls pool (norms
 *            of all together). kind says what the leaf is: "weight" (‖Wᵀδ‖/‖δ‖), "activation" (‖φ'∘g‖/‖g‖),
 *            "normalisation" (its class is called …Norm…) or "other". Along a path without branches the product of the
 *            gains is the ratio of the norms at its ends; over the probes of one depth it is that of the layer,
 *            ‖dL/dx_{l-1}‖/‖dL/dx_l‖. NaN: where something else reads the same input as well, as at a fork written by
 *            hand (a Residual gives each way an input of its own), for then no gradient is the leaf's own; where the
 *            input is a leaf of the tape; where the output's gradient is 0. A leaf whose input needed no gradient in the
 *            first step (the first layer), or with a second output that needed one (RNN, LSTM, GRU), is absent.
 * Skips:     (skip) one probe per Residual, DenseSkip and Highway ("res1", role "block"), and two per encoder layer
 *            ("enc.self_attn", "enc.feed_forward"): of the gradient by the block's input what arrives by way of the skip
 *            (through its shortcut, where it has one; of a Highway (1 − t) ⊙ dL/dy) and by way of the branch (of a
 *            Highway through block and gate). skip_l2_norm, branch_l2_norm; branch_share = ‖g_branch‖²/(‖g_skip‖² +
 *            ‖g_branch‖²), NaN where both are 0; cosine of the angle between the two, NaN where either is 0. Several
 *            forwards pool, as if their gradients were one long vector. A block whose input needs no gradient is NaN.
 * Units:     (dead_frac, idle_frac) axis 1 of an output with 2, 4 or 5 axes, the last axis otherwise; samples are
 *            counted along axis 0. dead_frac: share of units whose slope was exactly 0 for at least the last 2000
 *            measured samples. slope_rms, saturated_frac, dead_frac, idle_frac: NaN but for element-wise activation
 *            modules.
 * Taps:      a tensor that the host shows has rows as a leaf's output has, and may stand among the states of recurrent
 *            layers: see sonde_probe_show.
 * Cost:      steady state: no text; per call one small block for the gradient watcher, from the pool.
 * Ownership: a probe retains networks, parameters and optimisers; it borrows the history, which must outlive it.
 * Threads:   those of the training: one.
 * Errors:    watchers cannot fail; what went wrong in one (ENOMEM) is returned by the next sonde_probe_end_step.
 */
#ifndef SONDE_PROBE_H
#define SONDE_PROBE_H

#include "nn/nn.h"
#include "optim/optim.h"
#include "record/record.h"

typedef struct sonde_probe sonde_probe;

typedef enum sonde_probe_group {
    SONDE_PROBE_WEIGHT_GRAD, SONDE_PROBE_ACTIVATION_GRAD, SONDE_PROBE_ACTIVATION, SONDE_PROBE_WEIGHT,
    SONDE_PROBE_WEIGHT_GRAD_HIST, SONDE_PROBE_ACTIVATION_GRAD_HIST, SONDE_PROBE_HIDDEN_GRAD,
    SONDE_PROBE_HIDDEN_JACOBIAN, SONDE_PROBE_GATE, SONDE_PROBE_GAIN, SONDE_PROBE_SKIP, SONDE_PROBE_WEIGHT_DRIFT,
    SONDE_PROBE_GROUP_COUNT
} sonde_probe_group;
const char *sonde_probe_group_name(sonde_probe_group group); /* "weight_grad", …: the group's name in the history */
bool sonde_probe_group_parse(const char *name, sonde_probe_group *out);
#define SONDE_PROBE_BIT(group) (1u << (group))
#define SONDE_PROBE_ALL ((1u << SONDE_PROBE_GROUP_COUNT) - 1)

typedef struct sonde_probe_options { /* all zero: the defaults */
    const char *name;   /* prefix of this network's probes; NULL or "": none */
    bool fixed;         /* it is measured on samples of its own, see below, not on the batches it is trained on */
    unsigned what;      /* SONDE_PROBE_BIT(…) | …; 0: all */
    int64_t every;      /* steps with (step − 1) % every == 0 are measured, and the last one; 0: 1 */
    bool planned;       /* instead, those of which sonde_probe_plan says so */
    int64_t hist_every; /* of each so many steps (1 .. n, n + 1 .. 2n, …) the first one measured has histograms
                         * and hidden_jacobian; the last step has them too; 0: 10 */
} sonde_probe_options;

/* first_step: number of the step that is open now (1; after a resume one more than the last). */
sonde_status sonde_probe_new(sonde_probe **out, sonde_history *history, int64_t first_step);
/* Ends all observation; the networks are as if it had never been. Graphs still alive may hold a little memory of the
 * probe until they are freed. NULL is fine. */
void sonde_probe_free(sonde_probe *probe);

/* From now on the network is observed. out: its number from 0; may be NULL. The tree is read now: modules added
 * later are not seen. EARG: a negative cadence, an unknown bit, or a probe's name that another network has (two need
 * two names). ESTATE: the first step has ended, the groups are fixed. */
sonde_status sonde_probe_attach(sonde_probe *probe, sonde_module *net, const sonde_probe_options *options, int *out);
/* The steps of this optimiser fill /weight. Nothing if it is observed already. */
sonde_status sonde_probe_observe_optimizer(sonde_probe *probe, sonde_optimizer *optimizer);

/* ---- steps --------------------------------------------------------------------------------------------- */

/* Ends the step: writes its rows (time: seconds since the start of the run) and opens the next. The first call
 * declares the groups, so it comes before sonde_history_freeze or sonde_h5_writer_start. Whatever the status, the
 * step has ended. */
sonde_status sonde_probe_end_step(sonde_probe *probe, double time);
int64_t sonde_probe_step(const sonde_probe *probe); /* number of the open step */

/* Is the open step of a planned network measured? Said before its first forward; what is not said is not measured. Nothing
 * for another number. */
void sonde_probe_plan(sonde_probe *probe, int net, bool measured);

/* "The first and last rows carry histograms whatever their cadence": nothing can be measured afterwards, so whoever
 * knows the number of the last step says it before that step's forward, and that step is measured, histograms included,
 * also off the grid of `every`. May be said again with another number (each epoch its last step: one more full row);
 * 0: unknown. */
void sonde_probe_expect_end(sonde_probe *probe, int64_t last_step);
/* No step will follow (an open one must have been ended before). Where the end came unexpected and the newest row
 * has no histograms, those of the parameters whose gradient is still the one measured (not clipped, not cleared) are
 * taken now, the others are not measured; activations' histograms are lost. Idempotent; a next step may follow after
 * all. Before sonde_h5_writer_finish or sonde_h5_save. */
sonde_status sonde_probe_finish(sonde_probe *probe);

/* ---- fixed samples --------------------------------------------------------------------------------------- */

/* A network attached as `fixed` is measured while its host runs samples of its choice through it: once in each measured
 * step, before the weights change:
 *     if (sonde_probe_samples_due(probe, net)) {
 *         sonde_probe_samples_begin(probe, net);  … forward, loss, sonde_backward_aside(loss) …
 *         sonde_probe_samples_end(probe);
 *     }
 * In between, its own forwards and backwards count and no other network's do. Afterwards buffers (running statistics)
 * and the modules' random streams hold the bits they held before; what a host's layer keeps elsewhere is the host's
 * affair. /weight tells of the optimiser's step as ever. A step without it is not measured. */
/* True from a measured step's beginning until its samples have been measured, while the network is in training mode
 * and gradients are enabled; in the first step also if that is not measured, for it tells the order of forward. */
bool sonde_probe_samples_due(const sonde_probe *probe, int net);
sonde_status sonde_probe_samples_begin(sonde_probe *probe, int net); /* ESTATE if not due; ENOMEM: nothing was begun */
void sonde_probe_samples_end(sonde_probe *probe);                    /* nothing if none are being measured */

/* ---- the host's own ---------------------------------------------------------------------------------------- */

#define SONDE_PROBE_MAX_COLUMNS 64

/* A float64 column of the host's own in weight_grad, activation or activation_grad. In the steps that are due, copies of
 * what the group is about are kept of the slots that are selected; before the step is ended the host looks at them and
 * puts a number for each: the rest of the row is NaN. out: its index. EARG: another group, or a name that the group has.
 * ESTATE: the first step has ended. ENOMEM: also when there are SONDE_PROBE_MAX_COLUMNS. */
sonde_status sonde_probe_add_column(sonde_probe *probe, sonde_probe_group group, const char *name, const char *long_name,
                                    int *out);
/* Selects what a column looks at: a module's output or parameters, in every network observed so far that has the group.
 * Returns how many slots that are. */
int sonde_probe_select(sonde_probe *probe, int column, const sonde_module *module);
/* Is the open step due? Said before its first forward, and holds until it is said again. */
void sonde_probe_column_due(sonde_probe *probe, int column, bool due);

typedef struct sonde_probe_sight {   /* what a column has to look at, in the order of the axis */
    int place;                       /* along the axis, from 0 */
    const char *name, *layer, *role; /* "h1.weight", "h1", "weight"; valid while the probe lives */
    sonde_module *module;            /* borrowed, as are the tensors */
    sonde_tensor *parameter;         /* NULL: none */
    int n;                           /* calls of the step (1 for a parameter) */
    sonde_tensor *const *tensors;    /* [n] copies, in the order in which they counted; valid until the step ends */
} sonde_probe_sight;
/* When the step's forwards and backwards are over. In the first step it fixes the groups. Stops at a status other than
 * OK, which it returns. */
sonde_status sonde_probe_look(sonde_probe *probe, int column,
                              sonde_status (*visit)(void *context, const sonde_probe_sight *sight), void *context);
void sonde_probe_put(sonde_probe *probe, int column, int place, double value); /* into the row to come */

/* Shows a float tensor on its way through a forward: it is measured like the output of a leaf called `name`, with the
 * role "watched", depth 0 and the class "Tensor". time ≥ 1: it is the state of a recurrence at that step (from 1), and the
 * norm of its gradient goes to hidden_grad as well; 0: it is none. Several of one name and time in a step pool. Where
 * gradients are disabled nothing happens; of a tensor that needs none the activation counts at once.
 * EARG: not a float; a name that a probe has; a name with and without times. ESTATE: a name that is new after the first
 * step. ENOMEM: also when there are SONDE_PROBE_MAX_TAPS names. */
#define SONDE_PROBE_MAX_TAPS 256
sonde_status sonde_probe_show(sonde_probe *probe, const char *name, sonde_tensor *t, int64_t time);

/* ---- measuring beside ------------------------------------------------------------------------------------ */

/* What a forward or a measurement changes of a network, put aside: buffers, the modules' random streams and, if asked,
 * parameters. Retains what it holds. */
typedef struct sonde_probe_aside sonde_probe_aside;
sonde_status sonde_probe_aside_new(sonde_probe_aside **out, sonde_module *net, bool parameters); /* ENOMEM */
void sonde_probe_aside_rewind(sonde_probe_aside *aside); /* the streams only: the next forward draws the same numbers */
bool sonde_probe_aside_draws(const sonde_probe_aside *aside);  /* is there a module with a random stream? */
/* From here on what was put aside is float64 where it was float32, its elements the same, until it is narrow again or
 * restored: the tensors lend their insides, so what they held before is not touched. Parameters must have no gradient.
 * ENOMEM: nothing has changed. */
sonde_status sonde_probe_aside_widen(sonde_probe_aside *aside);
void sonde_probe_aside_narrow(sonde_probe_aside *aside);
/* Bits and versions are those of before, also for graphs that saved them. A tensor that has another shape or dtype by
 * now is left alone. */
sonde_status sonde_probe_aside_restore(sonde_probe_aside *aside);
void sonde_probe_aside_free(sonde_probe_aside *aside); /* NULL is fine */

/* While paused no probe listens: neither forwards nor hidden states nor fixed samples. Returns what it was. */
bool sonde_probe_pause(bool paused);
bool sonde_probe_paused(void);

/* ---- looking ------------------------------------------------------------------------------------------- */

/* L2 norm of the open step's gradients over all parameters that are observed, each once, as they were when the last
 * backward returned (so before clipping), from the moments already taken. false if it cannot be told: a parameter holds
 * a gradient that no network has measured in this step (every, what, fixed samples, left from an earlier step), or none
 * has any. */
bool sonde_probe_grad_norm(const sonde_probe *probe, double *norm);

/* What the step just ended had to tell: per network and group, when gradients were finite in the measured step before
 * (or there was none) and are not now. The probe is the one nearest to the output, where backward met it first. */
typedef struct sonde_probe_event {
    int64_t step;
    sonde_probe_group group; /* WEIGHT_GRAD or ACTIVATION_GRAD */
    int probe;               /* index along the group's axis */
    const char *name;        /* "h3.weight"; valid while the probe lives */
    double value;            /* n_nonfinite */
} sonde_probe_event;
/* How many; *events is valid until the next sonde_probe_end_step. */
int sonde_probe_events(const sonde_probe *probe, const sonde_probe_event **events);

/* What the step just ended cost, in seconds: for each of sonde_probe_n_costs() parts listening, measuring and filling the
 * row, with the columns that are kept in memory until they are written. The parts are the groups, and "fixed_samples": the
 * forwards and backwards that are run for their sake. Clocked are the first ten measured steps and every seventh from then
 * on. Not in it: what an optimiser measures in its own pass as it goes
 * (/weight), and writing the file, which is the writer thread's. */
typedef struct sonde_probe_cost {
    const char *name;
    double seconds;
} sonde_probe_cost;
int sonde_probe_n_costs(void);
bool sonde_probe_cost_at(const sonde_probe *probe, int i, sonde_probe_cost *out); /* false: none of it, or not clocked */

/* The layer table: the leaves of all networks, in forward order once the first step has ended, in tree order before.
 * The numbers are in the history: in the module groups under the name `probe`, in the parameter groups where `layer`
 * is that name. */
typedef struct sonde_probe_layer {
    const char *probe;      /* name along the axis of activation and activation_grad */
    const char *module;     /* "Linear" */
    int net, depth;         /* depth 0 before the first step has ended */
    int64_t n_parameters;   /* elements of its own parameters */
    bool absent;            /* its output needed no gradient: not on the axis of activation_grad */
    int ndim;               /* of its newest output, batch included; -1: not called yet */
    int64_t shape[SONDE_MAX_DIMS];
} sonde_probe_layer;
int sonde_probe_n_layers(const sonde_probe *probe);
sonde_probe_layer sonde_probe_layer_at(const sonde_probe *probe, int i); /* texts are valid while the probe lives */

#endif
