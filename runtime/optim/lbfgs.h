/* lbfgs — what the two files of that rule share. Private to room optim. */
#ifndef SONDE_OPTIM_LBFGS_H
#define SONDE_OPTIM_LBFGS_H

#include "optim/internal.h"

enum { LR, MAX_ITER, MAX_EVAL, TOLERANCE_GRAD, TOLERANCE_CHANGE, HISTORY_SIZE, STRONG_WOLFE };

/* All parameters are one vector of n doubles here, whatever their dtype. Row i of y and s: how gradient and weights
 * changed in an earlier iteration, the oldest first. */
typedef struct lbfgs {
    size_t n;
    int64_t iterations, evaluations;
    int64_t n_y, n_s, room;  /* rows there are, rows there is room for; n_y == n_s but while a state is being loaded */
    double *y, *s;           /* [room, n] */
    double *ro, *alpha;      /* [room]: 1 / y·s; scratch */
    bool measured;           /* ro is up to date */
    double *direction, *last_gradient; /* [n], of the last iteration */
    double t;                          /* and its step */
} lbfgs;

double sonde_lbfgs_dot(const double *a, const double *b, size_t n);
/* The elements of a float tensor as doubles. */
sonde_status sonde_lbfgs_read(double *out, sonde_tensor *t);
/* The state, made for the optimiser's parameters if there is none yet. */
sonde_status sonde_lbfgs_state(lbfgs **out, sonde_optimizer *o);
/* Room for that many rows; what there is stays. */
sonde_status sonde_lbfgs_reserve(lbfgs *m, int64_t rows);
void sonde_lbfgs_free(void *state);
sonde_status sonde_lbfgs_visit(const sonde_optimizer *o, sonde_state_visitor visitor, void *context);
sonde_status sonde_lbfgs_set(sonde_optimizer *o, const char *name, sonde_tensor *tensor);

#endif
