/* What the files of room optim share with each other. */
#ifndef SONDE_OPTIM_INTERNAL_H
#define SONDE_OPTIM_INTERNAL_H

#include "optim/rule.h"

typedef struct sonde_optim_slot { /* one parameter and its state */
    sonde_tensor *parameter;
    sonde_tensor *buffer[SONDE_RULE_MAX_BUFFERS]; /* NULL until first asked for */
    unsigned fresh;                               /* buffers no step has used yet */
    int64_t step;                                 /* steps taken */
    double number;                                /* see sonde_rule.number */
    sonde_tensor *w, *g;                          /* during a step: contiguous weight and gradient; else NULL */
} sonde_optim_slot;

typedef struct sonde_optim_group {
    int n;
    sonde_optim_slot *slots;
    double option[SONDE_RULE_MAX_OPTIONS];
} sonde_optim_group;

struct sonde_optimizer {
    int refs;
    const sonde_rule *rule;
    int n_groups;
    sonde_optim_group *groups;
    sonde_optim_observer *observers;
    sonde_hooks hooks[SONDE_STEP_MOMENTS];
    void *joint; /* a joint rule's state; NULL: none yet */
};

/* A rule that moves all parameters of its one group together, from several evaluations of the loss. `loss` and the
 * gradients are those of the closure's first call; step moves nothing if there is no gradient at all. `state` in free
 * may be NULL. visit and set: as sonde_optimizer_visit_state and _set_state, with parameter 0. */
typedef struct sonde_joint_rule {
    sonde_status (*step)(sonde_optimizer *o, double loss, sonde_closure closure, void *context);
    void (*free)(void *state);
    sonde_status (*visit)(const sonde_optimizer *o, sonde_state_visitor visitor, void *context);
    sonde_status (*set)(sonde_optimizer *o, const char *name, sonde_tensor *tensor);
} sonde_joint_rule;

/* Does an observer want this parameter's statistics? And: tells those who do. */
bool sonde_optimizer_is_observed(const sonde_optimizer *o, const sonde_tensor *parameter);
void sonde_optimizer_report(const sonde_optimizer *o, const sonde_tensor *parameter, const sonde_update_stats *stats);

#endif
