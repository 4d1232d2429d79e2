/* line_search — a step along a direction that satisfies the strong Wolfe conditions. Private to room optim. */
#ifndef SONDE_OPTIM_LINE_SEARCH_H
#define SONDE_OPTIM_LINE_SEARCH_H

#include "base/base.h"

/* One place on the line: x + t d, the loss there, its gradient, and the gradient along d. */
typedef struct sonde_line_point {
    double t, loss, slope;
    double *gradient;
} sonde_line_point;

/* Goes to point->t and fills in the rest; `gradient` is room for it. */
typedef sonde_status (*sonde_line_evaluate)(void *context, sonde_line_point *point);

/* start: t = 0, with slope < 0; first: the step to try first; length: max|d|, for the tolerance on the width of the
 * bracket; spare: room for three gradients. *out: the best point found (its gradient is one of the spare ones, or
 * start's); *evaluations is added to. A loss that is not finite counts as too high. (Nocedal & Wright 2006, algorithms
 * 3.5 and 3.6, with cubic interpolation as in minFunc, torch7 and PyTorch: c1 = 1e-4, c2 = 0.9, 25 evaluations.) */
sonde_status sonde_line_search(sonde_line_point *out, const sonde_line_point *start, double first, double length,
                               double tolerance_change, double *const spare[3], sonde_line_evaluate evaluate,
                               void *context, int64_t *evaluations);

#endif
