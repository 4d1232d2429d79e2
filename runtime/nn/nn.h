/* nn — the module tree: layers, containers, activations, losses, initialisers.
 *
 * Ownership: modules are reference counted; a container retains its children, a module its parameters. Functions
 *            borrow unless named _new, _retain or _take; `out` receives one reference.
 * Names:     a child is known by its name, "1", "2", … where none was given; a path joins names with dots ("h3.1").
 * Calling:   sonde_module_call runs pre-hooks, forward, hooks, then watchers. An error names the layer's path from the
 *            outermost module being called and its class: "layer 'h3' (Linear): expected 100 input features, got input
 *            [128, 784] for weight [100, 100]"; without a path, "Linear: …". A host's failure keeps its own text.
 * Nesting:   a module may be shared and called several times, but not contain itself; trees deeper than
 *            SONDE_MAX_NESTING are ESTATE when called or walked.
 * Shapes:    N = batch; the last axis is features unless said; batch first everywhere but in recurrent layers.
 */
#ifndef SONDE_NN_H
#define SONDE_NN_H

#include "autograd/autograd.h"

#define SONDE_MAX_NESTING 200
#define SONDE_MAX_VALUES 8
typedef struct sonde_values { /* what goes into and comes out of a module */
    int n;
    sonde_tensor *t[SONDE_MAX_VALUES];
} sonde_values;

typedef struct sonde_module sonde_module;

typedef struct sonde_module_class {
    const char *name;                                        /* "Linear" */
    /* in: borrowed; out: one reference each, or empty on failure. Only called through sonde_module_call. */
    sonde_status (*forward)(sonde_module *self, const sonde_values *in, sonde_values *out);
    void (*free)(sonde_module *self);                        /* of `state` and `host`; NULL: sonde_free(state) */
    /* "in_features=64, out_features=10, bias=true" into text; NULL: nothing to say */
    void (*describe)(const sonde_module *self, char *text, size_t size);
    int min_in, max_in;                                      /* arguments it takes; 0 means 1, min_in -1 none */
    /* Their names, max_in of them and NULL, where a host may pass them by name; a yes or no is a tensor of one element.
     * NULL: by position only. */
    const char *const *arguments;
    bool is_container;                                       /* probes look inside it, not at it */
    const sonde_activation *(*activation)(const sonde_module *self); /* of an element-wise activation; NULL otherwise */
    /* Of an activation that is, at least now, none of those: what holds for it all the same. */
    sonde_activation_facts (*facts)(const sonde_module *self);
    const char *const *skips;                                /* of a block with skips: see nn/skip.h */
    bool (*inplace)(const sonde_module *self);               /* does forward overwrite its input? NULL: never */
    sonde_stream *(*stream)(sonde_module *self);             /* of a stochastic module; NULL otherwise */
} sonde_module_class;

typedef struct sonde_parameter {
    char *name;            /* "weight", "bias", "weight_ih_l0" */
    sonde_tensor *tensor;  /* NULL: registered but absent (bias = false) */
    bool is_buffer;        /* state that is no parameter: running_mean */
    bool is_computed;      /* made by a parametrisation: no parameter either, see parametrize.h */
} sonde_parameter;

typedef struct sonde_child {
    char *name;
    sonde_module *module;
} sonde_child;

struct sonde_module {
    int refs;
    const sonde_module_class *class;
    bool training;                   /* true when made */
    int n_parameters, n_children;
    sonde_parameter *parameters;     /* in order of registration; buffers among them */
    sonde_child *children;
    sonde_module *parametrizations;  /* by tensor; walked as the last child, but not among `children`; NULL: none */
    void *state;                     /* the class's own */
    void *host;                      /* bind's: the Lua object of a user's layer */
    struct sonde_module_hooks *hooks;
    sonde_module *next_dying;        /* freeing walks a list, so that no depth of nesting exhausts the C stack */
};

/* ---- the tree ------------------------------------------------------------------------------------------ */

/* For classes (ours and the host's): an empty module of this class. It owns `state` from now on; on failure the caller
 * still does. */
sonde_status sonde_module_new(sonde_module **out, const sonde_module_class *class, void *state);
sonde_module *sonde_module_retain(sonde_module *m);
void sonde_module_release(sonde_module *m);
int64_t sonde_module_live(void);
/* Both register, or replace by name. A name is not empty, has no dot, and is not both a parameter's and a child's.
 * tensor NULL: known but absent. A parameter is a float leaf; it requires a gradient unless frozen. */
sonde_status sonde_module_set_parameter(sonde_module *m, const char *name, sonde_tensor *tensor, bool is_buffer);
sonde_status sonde_module_set_child(sonde_module *m, const char *name, sonde_module *child); /* NULL: the next number */
sonde_tensor *sonde_module_parameter(const sonde_module *m, const char *name);               /* borrowed; NULL: none */
sonde_module *sonde_module_child(const sonde_module *m, const char *name);

sonde_status sonde_module_call(sonde_module *m, const sonde_values *in, sonde_values *out); /* on failure empty */
sonde_status sonde_module_call1(sonde_module *m, sonde_tensor *in, sonde_tensor **out);     /* one in, first out */
/* For containers: calls child i of m, so that errors know its name. */
sonde_status sonde_module_call_child(sonde_module *m, int i, const sonde_values *in, sonde_values *out);
void sonde_values_release(sonde_values *values); /* leaves them empty; elements may be NULL */
/* The path of the module being called in this thread, innermost; false if there is none. For a host's own messages. */
bool sonde_module_calling(char *path, size_t size, const sonde_module **m);
const void *sonde_module_here(void); /* that module, or NULL: cheap, for the numerics watch */

/* Depth first, in forward order, parents before children, every module once. path is "" for the root, and valid
 * during the visit. A visitor's status other than OK stops the walk and is returned. */
typedef sonde_status (*sonde_module_visitor)(void *context, const char *path, sonde_module *m);
sonde_status sonde_module_visit(sonde_module *root, sonde_module_visitor visitor, void *context);
/* Every parameter there is (or buffer, if so asked) once, as "h1.weight"; a shared tensor under its first path. */
typedef sonde_status (*sonde_parameter_visitor)(void *context, const char *path, sonde_module *owner,
                                                const sonde_parameter *p);
sonde_status sonde_module_visit_parameters(sonde_module *root, bool buffers, sonde_parameter_visitor visitor,
                                           void *context);

sonde_status sonde_module_train(sonde_module *root, bool training);
sonde_status sonde_module_zero_grad(sonde_module *root);               /* to none, as PyTorch 2 */
sonde_status sonde_module_requires_grad_(sonde_module *root, bool flag);
/* Converts float parameters, their gradients and float buffers; the tensor objects stay, so optimisers keep them. All
 * or nothing. */
sonde_status sonde_module_to(sonde_module *root, sonde_dtype dtype);
/* One line per module, laid out as PyTorch prints; sonde_free the text. */
sonde_status sonde_module_format(char **out, const sonde_module *root);

/* ---- hooks and observers ------------------------------------------------------------------------------- */

/* Each may replace what it is shown: set *replaced and fill `replacement` (references taken). */
typedef sonde_status (*sonde_forward_pre_hook)(void *context, sonde_module *m, const sonde_values *in,
                                               sonde_values *replacement, bool *replaced);
typedef sonde_status (*sonde_forward_hook)(void *context, sonde_module *m, const sonde_values *in,
                                           const sonde_values *out, sonde_values *replacement, bool *replaced);
/* grad_in[i] NULL where input i needs none, grad_out[i] NULL where output i had no part in the loss. A replacement
 * stands for grad_in: as many, each of its input's shape, or NULL for zero. EARG in forward if more than
 * SONDE_OP_MAX_OUT inputs or outputs need a gradient; ESTATE in backward if the gradient reaches the module's inputs
 * without having passed through its outputs. (register_full_backward_hook) */
typedef sonde_status (*sonde_backward_hook)(void *context, sonde_module *m, const sonde_values *grad_in,
                                            const sonde_values *grad_out, sonde_values *replacement, bool *replaced);
sonde_status sonde_module_add_forward_pre_hook(sonde_module *m, sonde_forward_pre_hook hook, void *context,
                                               void (*free_context)(void *), sonde_handle **out);
sonde_status sonde_module_add_forward_hook(sonde_module *m, sonde_forward_hook hook, void *context,
                                           void (*free_context)(void *), sonde_handle **out);
sonde_status sonde_module_add_backward_hook(sonde_module *m, sonde_backward_hook hook, void *context,
                                            void (*free_context)(void *), sonde_handle **out);
/* Told of every finished forward of m, after hooks, with what really went in (a copy from before, if m overwrites its
 * input) and what the caller receives. It changes nothing. */
typedef void (*sonde_module_watcher)(void *context, sonde_module *m, const sonde_values *in, const sonde_values *out);
sonde_status sonde_module_watch(sonde_module *m, sonde_module_watcher watcher, void *context,
                                void (*free_context)(void *), sonde_handle **out);
/* Inside a watcher: where the tape was when this forward began (sonde_tape_position). */
uint64_t sonde_module_began(const sonde_module *m);

/* ---- random streams of modules ------------------------------------------------------------------------- */

/* Where new modules draw from: "init" numbered by parameter in order of creation, one stream per stochastic module.
 * A run sets its own; outside a run one default source. Thread-local. */
typedef struct sonde_nn_random {
    sonde_stream root;          /* from the seed */
    uint64_t n_parameters;      /* created so far */
    uint64_t n_stochastic;
} sonde_nn_random;
void sonde_nn_random_seed(uint64_t seed);         /* resets the current source */
sonde_nn_random *sonde_nn_random_current(void);
sonde_nn_random *sonde_nn_random_use(sonde_nn_random *source); /* NULL: the default one (seed 0); returns what was */
/* The stream of the next parameter; also for an initialiser called on a weight later. */
void sonde_nn_random_parameter(sonde_stream *out);
void sonde_nn_random_stochastic(sonde_stream *out, const char *name); /* of the next stochastic module: "dropout" */

/* ---- layers -------------------------------------------------------------------------------------------- */

/* y = x Wᵀ + b; weight [out, in], bias [out]. x [*, in]. Both U(±1/√in), as PyTorch. */
sonde_status sonde_linear_new(sonde_module **out, int64_t in_features, int64_t out_features, bool bias,
                              sonde_dtype dtype);
sonde_status sonde_flatten_new(sonde_module **out, int start_dim, int end_dim);   /* 0-based; default 1, -1 */
sonde_status sonde_identity_new(sonde_module **out);
sonde_status sonde_dropout_new(sonde_module **out, double p);                     /* inverted: kept ones × 1/(1-p) */
/* num_features C; x [N,C] or [N,C,L]. momentum NaN (nil in Lua): cumulative average. Without track_running_stats the
 * batch's statistics always serve. Defaults: eps 1e-5, momentum 0.1, affine, track_running_stats. */
sonde_status sonde_batch_norm1d_new(sonde_module **out, int64_t num_features, double eps, double momentum, bool affine,
                                    bool track_running_stats, sonde_dtype dtype);
/* name is PyTorch's: Sigmoid, Tanh, ReLU, LeakyReLU, ELU, SELU, GELU, SiLU, Softplus, Softsign, Hardtanh, ReLU6, CELU,
 * Mish, Hardsigmoid, Hardswish, LogSigmoid, Threshold, Tanhshrink, and Sin; others are EARG with this list, and so is a
 * kind that is another's. */
sonde_status sonde_activation_module_new(sonde_module **out, const char *name, const sonde_activation *activation,
                                         bool inplace);
/* The bound of an activation's derivative, and where it saturates; false if m is no activation. An activation over an
 * axis has the bound of |∂y_i/∂x_j| and no interval; one of several slopes what holds for all of them. */
bool sonde_activation_module_facts(sonde_activation_facts *out, const sonde_module *m);
/* The parameters that a class has by default: LeakyReLU 0.01, ELU and CELU 1, Softplus 1 and 20, Hardtanh -1 and 1,
 * ReLU6 0 and 6; Threshold has none in PyTorch: 0 and 0. */
sonde_status sonde_activation_default(const char *name, sonde_activation *out);

sonde_status sonde_sequential_new(sonde_module **out);
/* name NULL: its position. EARG: a name that is taken. */
sonde_status sonde_sequential_add(sonde_module *sequential, const char *name, sonde_module *m);
/* y = shortcut(x) + scale · block(x); shortcut NULL: x itself. scale: a number, or (learn_scale) a parameter "scale"
 * [1] started there (ReZero, Bachlechner et al. 2021; SkipInit, De & Smith 2020). Children "block" and, where given,
 * "shortcut": their outputs are the branch before scaling and the skip; dL/d(skip) is dL/dy. ESTATE if the block
 * overwrites the x that the skip still needs. */
sonde_status sonde_residual_new(sonde_module **out, sonde_module *block, sonde_module *shortcut, double scale,
                                bool learn_scale);

/* ---- losses: modules of two inputs (prediction, target) ------------------------------------------------- */

sonde_status sonde_cross_entropy_loss_new(sonde_module **out, sonde_tensor *weight, int64_t ignore_index,
                                          double label_smoothing, sonde_loss_reduction reduction);
sonde_status sonde_mse_loss_new(sonde_module **out, sonde_loss_reduction reduction);
sonde_status sonde_bce_with_logits_loss_new(sonde_module **out, sonde_tensor *weight, sonde_tensor *pos_weight,
                                            sonde_loss_reduction reduction);

/* ---- initialisers: in place, without recording ---------------------------------------------------------- */

typedef enum sonde_fan { SONDE_FAN_IN, SONDE_FAN_OUT } sonde_fan;
/* Fans as PyTorch counts them: [out, in, kernel...]. ESHAPE below two axes. */
sonde_status sonde_init_fans(const sonde_tensor *w, int64_t *fan_in, int64_t *fan_out);
/* PyTorch's calculate_gain: linear, conv, sigmoid 1; tanh 5/3; relu √2; leaky_relu √(2/(1+param²)); selu 3/4. For the
 * other activations 1/√E[φ(z)²], z ~ N(0, 1). EARG with the list of names. */
sonde_status sonde_init_gain(const char *nonlinearity, double param, double *gain);
sonde_status sonde_init_uniform_(sonde_tensor *w, sonde_stream *s, double low, double high);
sonde_status sonde_init_normal_(sonde_tensor *w, sonde_stream *s, double mean, double std);
sonde_status sonde_init_constant_(sonde_tensor *w, double value);
sonde_status sonde_init_xavier_uniform_(sonde_tensor *w, sonde_stream *s, double gain);
sonde_status sonde_init_xavier_normal_(sonde_tensor *w, sonde_stream *s, double gain);
sonde_status sonde_init_kaiming_uniform_(sonde_tensor *w, sonde_stream *s, double a, sonde_fan mode,
                                         const char *nonlinearity);
sonde_status sonde_init_kaiming_normal_(sonde_tensor *w, sonde_stream *s, double a, sonde_fan mode,
                                        const char *nonlinearity);
sonde_status sonde_init_lecun_uniform_(sonde_tensor *w, sonde_stream *s, sonde_fan mode);
sonde_status sonde_init_lecun_normal_(sonde_tensor *w, sonde_stream *s, sonde_fan mode);
sonde_status sonde_init_orthogonal_(sonde_tensor *w, sonde_stream *s, double gain); /* QR of a Gaussian, sign-fixed */

#include "nn/init.h"
#include "nn/recurrent.h"
#include "nn/reservoir.h"

#include "nn/attention.h"
#include "nn/layers.h"
#include "nn/losses.h"
#include "nn/parametrize.h"
#include "nn/skip.h"

#endif
