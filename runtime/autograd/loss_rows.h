/* loss_rows — what the operators of losses share. Private to room autograd. Losses end alike: one number per element
 * (or row), kept, summed or averaged.
 */
#ifndef SONDE_AUTOGRAD_LOSS_ROWS_H
#define SONDE_AUTOGRAD_LOSS_ROWS_H

#include "autograd/rows.h"

/* x and target are float tensors of one shape and dtype; further inputs, called `third`, of that dtype. */
sonde_status sonde_loss_check_pair(const sonde_call *call, const char *third);
/* Declares the output: like x, or one number. */
void sonde_loss_declare_elements(sonde_call *call, sonde_loss_reduction reduction);
/* Keeps t, contiguous, as the call's next extra. */
sonde_status sonde_loss_keep(sonde_call *call, sonde_tensor *t);
/* Float targets that stand for labels, contiguous. EARG: a NaN among them. */
sonde_status sonde_loss_check_gaps(const sonde_call *call, const sonde_tensor *t);
/* Where the element losses go: the output itself, or scratch of this shape. One reference. */
sonde_status sonde_loss_elements(sonde_tensor **each, sonde_call *call, sonde_loss_reduction reduction, int ndim,
                                 const int64_t *shape);
/* Makes the output from them, unless it is them: their sum, over the divisor if it is a mean. */
void sonde_loss_reduce(sonde_call *call, const sonde_tensor *each, sonde_loss_reduction reduction, double divisor);

/* Scores [C], [N, C] or [N, C, …] around the axis of the classes. */
layout sonde_loss_class_layout(const sonde_tensor *x);
/* Labels int64, one per row of scores x, within 1..C or ignore_index (0: none). */
sonde_status sonde_loss_check_labels(const char *name, const sonde_tensor *x, const sonde_tensor *labels,
                                     int64_t ignore_index);
/* weight, if any: [C], of x's dtype. */
sonde_status sonde_loss_check_weight(const char *name, const sonde_tensor *x, const sonde_tensor *weight);
/* Declares the output: one number per row of x, or one number. */
void sonde_loss_declare_rows(sonde_call *call, const sonde_tensor *x, sonde_loss_reduction reduction);

#endif
