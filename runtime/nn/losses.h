/* The rarer losses, as modules. Included by nn.h: not a door of its own. Formulas, shapes and errors: autograd/
 * ops_losses.h. Two inputs, prediction and target, unless said; defaults are PyTorch's.
 */
#ifndef SONDE_NN_LOSSES_H
#define SONDE_NN_LOSSES_H

sonde_status sonde_l1_loss_new(sonde_module **out, sonde_loss_reduction reduction);
sonde_status sonde_smooth_l1_loss_new(sonde_module **out, double beta, sonde_loss_reduction reduction); /* 1 */
sonde_status sonde_huber_loss_new(sonde_module **out, double delta, sonde_loss_reduction reduction);    /* 1 */
sonde_status sonde_bce_loss_new(sonde_module **out, sonde_tensor *weight, sonde_loss_reduction reduction);
sonde_status sonde_kl_div_loss_new(sonde_module **out, bool log_target, bool batchmean,
                                   sonde_loss_reduction reduction);
sonde_status sonde_hinge_embedding_loss_new(sonde_module **out, double margin, sonde_loss_reduction reduction); /* 1 */
sonde_status sonde_soft_margin_loss_new(sonde_module **out, sonde_loss_reduction reduction);
/* three inputs: prediction, target, variance; eps 1e-6 */
sonde_status sonde_gaussian_nll_loss_new(sonde_module **out, bool full, double eps, sonde_loss_reduction reduction);
sonde_status sonde_nll_loss_new(sonde_module **out, sonde_tensor *weight, int64_t ignore_index,
                                sonde_loss_reduction reduction);
/* p 1, margin 1 */
sonde_status sonde_multi_margin_loss_new(sonde_module **out, sonde_tensor *weight, int p, double margin,
                                         sonde_loss_reduction reduction);
/* three inputs: two predictions and the target; margin 0 */
sonde_status sonde_cosine_embedding_loss_new(sonde_module **out, double margin, sonde_loss_reduction reduction);

#endif
