/* optim — update rules, parameter groups, clipping.
 *
 * Ownership: an optimiser is reference counted and retains its parameters and their state.
 * Options:   named numbers per group ("lr", "momentum", …); betas are "beta1", "beta2"; flags are 0 or 1. A rule is
 *            one row (rule.h): its options with PyTorch's defaults, its state buffers, its step.
 * Gradients: a parameter whose gradient is absent is passed over, as in PyTorch.
 * Memory:    state buffers are made at a parameter's first step. A step that cannot get its memory changes no weight.
 */
#ifndef SONDE_OPTIM_H
#define SONDE_OPTIM_H

#include "nn/nn.h"

typedef struct sonde_optimizer sonde_optimizer;

/* rule: "SGD", "Adam", "AdamW", "RMSprop", "Adamax", "NAdam", "RAdam", "Adagrad", "Adadelta", "Rprop", "ASGD", "Lion",
 * "Muon" (matrices only) or "LBFGS" (one group; steps by sonde_optimizer_step_closure alone). Unknown names are EARG
 * with the list of those there are. */
sonde_status sonde_optimizer_new(sonde_optimizer **out, const char *rule);
sonde_optimizer *sonde_optimizer_retain(sonde_optimizer *o);
void sonde_optimizer_release(sonde_optimizer *o);
int64_t sonde_optimizer_live(void);
const char *sonde_optimizer_rule(const sonde_optimizer *o);

/* The option names of a rule, NULL-terminated, and their defaults. NULL with the message set for an unknown rule. */
const char *const *sonde_optimizer_options(const char *rule, const double **defaults);
/* A new group with the rule's defaults; out (or NULL): its index from 0. A parameter that is there already is EARG, one
 * that is no float leaf EARG too. */
sonde_status sonde_optimizer_add_group(sonde_optimizer *o, int n, sonde_tensor *const *parameters, int *out);
int sonde_optimizer_groups(const sonde_optimizer *o);
int sonde_optimizer_group_size(const sonde_optimizer *o, int group);
sonde_tensor *sonde_optimizer_parameter(const sonde_optimizer *o, int group, int i);
/* Values are checked (lr ≥ 0, betas in [0,1), nesterov needs momentum, …): all together, and all are set or none. */
sonde_status sonde_optimizer_configure(sonde_optimizer *o, int group, int n, const char *const *options,
                                       const double *values);
sonde_status sonde_optimizer_set(sonde_optimizer *o, int group, const char *option, double value);
sonde_status sonde_optimizer_get(const sonde_optimizer *o, int group, const char *option, double *value);

sonde_status sonde_optimizer_step(sonde_optimizer *o);
/* The closure computes the loss and its gradients anew (zero_grad, forward, backward) at the weights as they are. It is
 * called once at the beginning of the step, and by LBFGS as often as it needs; a failing closure leaves LBFGS at the
 * last weights it had accepted. */
typedef sonde_status (*sonde_closure)(void *context, double *loss);
sonde_status sonde_optimizer_step_closure(sonde_optimizer *o, sonde_closure closure, void *context);
bool sonde_optimizer_needs_closure(const sonde_optimizer *o);
sonde_status sonde_optimizer_zero_grad(sonde_optimizer *o, bool set_to_none); /* false: to zeros, in place */

/* State for checkpoints: visits (parameter index over all groups, "momentum_buffer", tensor) and sets it again from a
 * copy. The step count is "step", a float64 tensor of one element, as are a rule's other numbers. Only what exists is
 * visited: nothing before the first step. set: EARG for a name that the rule does not know, ESHAPE/EDTYPE if it is not
 * like the parameter. */
typedef sonde_status (*sonde_state_visitor)(void *context, int parameter, const char *name, sonde_tensor *tensor);
sonde_status sonde_optimizer_visit_state(sonde_optimizer *o, sonde_state_visitor visitor, void *context);
sonde_status sonde_optimizer_set_state(sonde_optimizer *o, int parameter, const char *name, sonde_tensor *tensor);

/* Steps may be observed. wants(parameter) asks per parameter whether this step's statistics are wanted: every observer
 * before the parameter changes, and again before `updated`. The struct is the observer's own, and it unobserves before
 * it dies, but never from inside `wants` or `updated`. */
typedef struct sonde_optim_observer {
    void *context;
    bool (*wants)(void *context, const sonde_tensor *parameter);                                  /* NULL: all */
    void (*updated)(void *context, const sonde_tensor *parameter, const sonde_update_stats *stats);
    void (*step_end)(void *context, sonde_optimizer *o);                                          /* may be NULL */
    struct sonde_optim_observer *next;
} sonde_optim_observer;
void sonde_optimizer_observe(sonde_optimizer *o, sonde_optim_observer *observer);
void sonde_optimizer_unobserve(sonde_optimizer *o, sonde_optim_observer *observer);
/* Hooks around a step (register_step_pre_hook / _post_hook): BEFORE it and its closure, once the gradients are READY and
 * no weight has moved, AFTER it. A failing one ends the step there. Without a closure BEFORE and READY differ only in
 * their order. */
typedef enum sonde_step_moment { SONDE_STEP_BEFORE, SONDE_STEP_READY, SONDE_STEP_AFTER } sonde_step_moment;
enum { SONDE_STEP_MOMENTS = SONDE_STEP_AFTER + 1 };
typedef sonde_status (*sonde_step_hook)(void *context, sonde_optimizer *o);
sonde_status sonde_optimizer_add_hook(sonde_optimizer *o, sonde_step_moment when, sonde_step_hook hook, void *context,
                                      void (*free_context)(void *), sonde_handle **out);

/* ---- clipping ------------------------------------------------------------------------------------------- */

/* Total p-norm (0 < p ≤ INFINITY) of the gradients there are, in float64, neither overflowing nor underflowing. */
sonde_status sonde_total_norm(double *out, int n, sonde_tensor *const *parameters, double norm_type);
/* g *= min(1, max_norm/(total + 1e-6)); bits untouched when the coefficient is 1. *total is before clipping. A
 * non-finite total scales nothing and is reported by *coef = NaN (error_if_nonfinite: ESTATE). */
sonde_status sonde_clip_grad_norm_(int n, sonde_tensor *const *parameters, double max_norm, double norm_type,
                                   bool error_if_nonfinite, double *total, double *coef);
/* The same for each parameter by its own norm. *total is that of all; *coef the smallest one, NaN if any norm is not
 * finite: those gradients stay as they are (error_if_nonfinite: none is touched). */
sonde_status sonde_clip_grad_norm_per_parameter_(int n, sonde_tensor *const *parameters, double max_norm,
                                                 double norm_type, bool error_if_nonfinite, double *total,
                                                 double *coef);
/* Adaptive clipping (Brock et al. 2021, "High-performance large-scale image recognition without normalization"), unit
 * by unit: a row of a weight [out, …], or the whole of a vector. g *= limit/‖g‖ where ‖g‖ > limit = clipping ·
 * max(‖w‖, eps). *total (L2) and *coef as above. */
sonde_status sonde_clip_grad_adaptive_(int n, sonde_tensor *const *parameters, double clipping, double eps,
                                       double *total, double *coef);
sonde_status sonde_clip_grad_value_(int n, sonde_tensor *const *parameters, double clip_value);

#endif
