/* What the files of room optim share with each other. */
#ifndef SONDE_OPTIM_INTERNAL_H
#define SONDE_OPTIM_INTERNAL_H

#include "optim/rule.h"

typedef struct sonde_optim_slot { /* one parameter and its state */
    sonde_tensor *parameter;
    sonde_tensor *buffer[SONDE_RULE_MAX_BUFFERS]; /* NULL until first asked for */
    unsigned fresh;                               /* buffers no step has used yet */
    int64_t step;                                 /* steps taken */
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
    sonde_hooks before, after;
};

#endif
