/* An update rule as one row. A new optimiser is one file with its row, and one line in rules.c. */
#ifndef SONDE_OPTIM_RULE_H
#define SONDE_OPTIM_RULE_H

#include "kernel/optimisers.h"
#include "optim/optim.h"

#define SONDE_RULE_MAX_OPTIONS 12
#define SONDE_RULE_MAX_BUFFERS 4

/* One parameter's step. The tensors are contiguous and of one dtype and shape. */
typedef struct sonde_update {
    sonde_tensor *w, *g;
    sonde_tensor *buffer[SONDE_RULE_MAX_BUFFERS]; /* in the rule's order; NULL: not asked for */
    unsigned fresh;                               /* bit i: buffer i was made for this step, and holds zeros */
    int64_t step;                                 /* from 1 */
    const double *option;                         /* the group's, in the rule's order */
    double *number;                               /* the parameter's own, if the rule names one */
    void *scratch;                                /* as much as the rule asked for */
    sonde_update_stats *stats;                    /* NULL: not wanted */
} sonde_update;

typedef struct sonde_rule {
    const char *name;                                   /* "Adam" */
    const char *options[SONDE_RULE_MAX_OPTIONS + 1];    /* NULL-terminated */
    double defaults[SONDE_RULE_MAX_OPTIONS];
    const char *buffers[SONDE_RULE_MAX_BUFFERS + 1];    /* PyTorch's state names, NULL-terminated */
    unsigned (*needs)(const double *option);            /* bit i: buffer i */
    sonde_status (*check)(const double *option);        /* all options at once; the message names the one */
    void (*step)(const sonde_update *update);           /* through a kernel */
    const char *number;                                 /* one number of state per parameter, 1 at first; NULL: none */
    size_t (*scratch)(const sonde_tensor *w);           /* bytes a step needs; SIZE_MAX: too many; NULL: none */
    sonde_status (*accepts)(const sonde_tensor *w);     /* NULL: any float leaf */
    const struct sonde_joint_rule *joint;               /* instead of step (internal.h); NULL: parameter by parameter */
} sonde_rule;

extern const sonde_rule sonde_rule_sgd, sonde_rule_adam, sonde_rule_adamw, sonde_rule_rmsprop, sonde_rule_adamax,
    sonde_rule_nadam, sonde_rule_radam, sonde_rule_adagrad, sonde_rule_adadelta, sonde_rule_rprop, sonde_rule_asgd,
    sonde_rule_lion, sonde_rule_muon, sonde_rule_lbfgs;

/* NULL with the message set, listing those there are. */
const sonde_rule *sonde_rule_find(const char *name);
/* EARG unless value is finite and low <= value < high: "SGD: lr must be at least 0, got -1". ±HUGE_VAL: no bound. */
sonde_status sonde_rule_in_range(const char *rule, const char *option, double value, double low, double high);
sonde_status sonde_rule_is_whole(const char *rule, const char *option, double value, double low);
sonde_status sonde_rule_is_flag(const char *rule, const char *option, double value);

#endif
