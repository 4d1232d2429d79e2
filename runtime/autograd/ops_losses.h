/* The rarer losses, as functions. Included by autograd.h: not a door of its own.
 *
 * Formulas: kernel/losses.h. x and target have one shape and dtype unless said; reduction mean divides by the number of
 * elements (or rows). Gradients go to x and, where it is no label, to the target.
 */
#ifndef SONDE_AUTOGRAD_OPS_LOSSES_H
#define SONDE_AUTOGRAD_OPS_LOSSES_H

#include "autograd/ops.h"

sonde_status sonde_l1_loss(sonde_tensor **out, sonde_tensor *x, sonde_tensor *target, sonde_loss_reduction reduction);
/* beta >= 0; 0 is l1_loss */
sonde_status sonde_smooth_l1_loss(sonde_tensor **out, sonde_tensor *x, sonde_tensor *target, double beta,
                                  sonde_loss_reduction reduction);
/* delta > 0 (Huber 1964) */
sonde_status sonde_huber_loss(sonde_tensor **out, sonde_tensor *x, sonde_tensor *target, double delta,
                              sonde_loss_reduction reduction);
/* x within 0..1: EARG if not (NaN passes). weight broadcasts to x, or NULL. */
sonde_status sonde_bce_loss(sonde_tensor **out, sonde_tensor *x, sonde_tensor *target, sonde_tensor *weight,
                            sonde_loss_reduction reduction);
/* x: log-probabilities; target: probabilities, or their logarithms (log_target). batchmean: reduction mean divides by
 * the size of axis 0, which is the divergence's mathematical definition. */
sonde_status sonde_kl_div(sonde_tensor **out, sonde_tensor *x, sonde_tensor *target, bool log_target, bool batchmean,
                          sonde_loss_reduction reduction);
/* target 1 or -1: EARG if not */
sonde_status sonde_hinge_embedding_loss(sonde_tensor **out, sonde_tensor *x, sonde_tensor *target, double margin,
                                        sonde_loss_reduction reduction);
sonde_status sonde_soft_margin_loss(sonde_tensor **out, sonde_tensor *x, sonde_tensor *target,
                                    sonde_loss_reduction reduction);
/* variance >= 0 (EARG if not; held at eps > 0), of x's shape, without its last axis, or with that of size 1; full: the
 * constant log(2π)/2 too. (Nix & Weigend 1994.) */
sonde_status sonde_gaussian_nll_loss(sonde_tensor **out, sonde_tensor *x, sonde_tensor *target,
                                     sonde_tensor *variance, bool full, double eps, sonde_loss_reduction reduction);

/* x: log-probabilities [N, C] or [N, C, …]; labels, weight, ignore_index and mean as in cross_entropy. */
sonde_status sonde_nll_loss(sonde_tensor **out, sonde_tensor *x, sonde_tensor *labels, sonde_tensor *weight,
                            int64_t ignore_index, sonde_loss_reduction reduction);
/* x [N, C] or [C], labels [N] or one; p 1 or 2; weight [C] or NULL (Crammer & Singer 2001) */
sonde_status sonde_multi_margin_loss(sonde_tensor **out, sonde_tensor *x, sonde_tensor *labels, sonde_tensor *weight,
                                     int p, double margin, sonde_loss_reduction reduction);
/* a, b [N, D] or [D], target [N] or one, 1 (to be alike) or -1, any dtype; margin in -1..1 */
sonde_status sonde_cosine_embedding_loss(sonde_tensor **out, sonde_tensor *a, sonde_tensor *b, sonde_tensor *target,
                                         double margin, sonde_loss_reduction reduction);

#endif
