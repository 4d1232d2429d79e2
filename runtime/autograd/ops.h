/* The operators, as functions. Included by autograd.h: not a door of its own.
 *
 * Every function puts one new reference into *out. Axes are 0-based; negative ones count from the end.
 * Element-wise operators broadcast as NumPy does and promote dtypes int64 < float32 < float64.
 */
#ifndef SONDE_AUTOGRAD_OPS_H
#define SONDE_AUTOGRAD_OPS_H

#include "kernel/loops.h" /* sonde_binary, sonde_unary, sonde_reduction */

/* element-wise, two operands */
sonde_status sonde_binary_op(sonde_tensor **out, sonde_binary op, sonde_tensor *a, sonde_tensor *b);
sonde_status sonde_binary_op_(sonde_binary op, sonde_tensor *a, sonde_tensor *b);                    /* a op= b */
/* One side a number; it does not promote a float tensor. `reversed`: number op tensor. */
sonde_status sonde_scalar_op(sonde_tensor **out, sonde_binary op, sonde_tensor *a, double number, bool reversed);
sonde_status sonde_scalar_op_(sonde_binary op, sonde_tensor *a, double number);

/* element-wise, one operand */
sonde_status sonde_unary_op(sonde_tensor **out, sonde_unary op, sonde_tensor *x);
sonde_status sonde_unary_op_(sonde_unary op, sonde_tensor *x);
sonde_status sonde_clamp(sonde_tensor **out, sonde_tensor *x, double low, double high); /* -inf/inf: open */
/* Activations: kind and its parameters as kernel.h defines them. */
sonde_status sonde_activate(sonde_tensor **out, const sonde_activation *activation, sonde_tensor *x);
sonde_status sonde_activate_(const sonde_activation *activation, sonde_tensor *x);

/* products */
sonde_status sonde_matmul(sonde_tensor **out, sonde_tensor *a, sonde_tensor *b); /* as torch.matmul */
/* x Wᵀ + b; bias may be NULL */
sonde_status sonde_linear(sonde_tensor **out, sonde_tensor *x, sonde_tensor *weight, sonde_tensor *bias);
sonde_status sonde_einsum(sonde_tensor **out, const char *equation, int n, sonde_tensor *const *in);

/* reductions: n_axes 0 reduces all; keepdim keeps reduced axes as 1 */
/* order: of the norm (2 default; inf, 1, p), or the correction of var and std (1 as PyTorch). */
sonde_status sonde_reduce(sonde_tensor **out, sonde_reduction op, sonde_tensor *x, int n_axes, const int *axes,
                          bool keepdim, double order);
/* max or min over all (index NULL) or along one axis; *index (int64, 1-based as Lua shows it) may be NULL. */
sonde_status sonde_extremum(sonde_tensor **out, sonde_tensor **index, sonde_tensor *x, bool maximum, const int *axis,
                            bool keepdim);
sonde_status sonde_softmax(sonde_tensor **out, sonde_tensor *x, int axis);
sonde_status sonde_log_softmax(sonde_tensor **out, sonde_tensor *x, int axis);
sonde_status sonde_cumsum(sonde_tensor **out, sonde_tensor *x, int axis);

/* shapes */
/* One size may be -1. reshape copies if it must, view never does: ESHAPE instead. */
sonde_status sonde_reshape(sonde_tensor **out, sonde_tensor *x, int ndim, const int64_t *shape);
sonde_status sonde_view(sonde_tensor **out, sonde_tensor *x, int ndim, const int64_t *shape);
sonde_status sonde_permute(sonde_tensor **out, sonde_tensor *x, const int *axes);
sonde_status sonde_transpose(sonde_tensor **out, sonde_tensor *x, int axis0, int axis1);
sonde_status sonde_expand(sonde_tensor **out, sonde_tensor *x, int ndim, const int64_t *shape); /* -1 keeps a size */
sonde_status sonde_squeeze(sonde_tensor **out, sonde_tensor *x, const int *axis); /* NULL: all of size 1 */
sonde_status sonde_unsqueeze(sonde_tensor **out, sonde_tensor *x, int axis);
sonde_status sonde_narrow(sonde_tensor **out, sonde_tensor *x, int axis, int64_t start, int64_t length, int64_t step);
sonde_status sonde_select(sonde_tensor **out, sonde_tensor *x, int axis, int64_t index);
sonde_status sonde_tile(sonde_tensor **out, sonde_tensor *x, int n, const int64_t *repeats);
sonde_status sonde_cat(sonde_tensor **out, int n, sonde_tensor *const *in, int axis); /* any number of tensors */
sonde_status sonde_stack(sonde_tensor **out, int n, sonde_tensor *const *in, int axis);
sonde_status sonde_clone(sonde_tensor **out, sonde_tensor *x);
sonde_status sonde_cast(sonde_tensor **out, sonde_tensor *x, sonde_dtype dtype); /* differentiable `to` */
sonde_status sonde_contiguous(sonde_tensor **out, sonde_tensor *x);

/* indexing; index values are 1-based as Lua shows them */
sonde_status sonde_index_select(sonde_tensor **out, sonde_tensor *x, int axis, sonde_tensor *index);
sonde_status sonde_gather(sonde_tensor **out, sonde_tensor *x, int axis, sonde_tensor *index);
sonde_status sonde_where(sonde_tensor **out, sonde_tensor *condition, sonde_tensor *a, sonde_tensor *b);
/* target[...] = value, differentiable in value; through a view it reaches the tensor the view looks into. */
sonde_status sonde_assign_(sonde_tensor *target, sonde_tensor *value);

/* layers in one operator */
sonde_status sonde_scale_gradient(sonde_tensor **out, sonde_tensor *x, double scale); /* y = x, dx = scale dy */
sonde_status sonde_dropout(sonde_tensor **out, sonde_tensor *x, double p, sonde_stream *stream);
/* x [N,C] or [N,C,*]; weight and bias [C] or NULL. training: batch statistics (biased for the normalisation), and the
 * running ones (unbiased variance) move by momentum; else the running ones are used. (Ioffe & Szegedy 2015.) */
sonde_status sonde_batch_norm(sonde_tensor **out, sonde_tensor *x, sonde_tensor *weight, sonde_tensor *bias,
                              sonde_tensor *running_mean, sonde_tensor *running_var, bool training, double momentum,
                              double eps);

/* losses; reduction as PyTorch. labels int64, 1..C: a label 0 is an error that says so. */
typedef enum sonde_loss_reduction { SONDE_LOSS_MEAN, SONDE_LOSS_SUM, SONDE_LOSS_NONE } sonde_loss_reduction;
/* logits [N,C] or [N,C,*]; target int64 [N] / [N,*] (1-based) or probabilities of the logits' shape; weight [C] or
 * NULL; ignore_index 1-based as well (0: none). */
sonde_status sonde_cross_entropy(sonde_tensor **out, sonde_tensor *logits, sonde_tensor *target, sonde_tensor *weight,
                                 int64_t ignore_index, double label_smoothing, sonde_loss_reduction reduction);
sonde_status sonde_mse_loss(sonde_tensor **out, sonde_tensor *x, sonde_tensor *target, sonde_loss_reduction reduction);
sonde_status sonde_bce_with_logits(sonde_tensor **out, sonde_tensor *x, sonde_tensor *target, sonde_tensor *weight,
                                   sonde_tensor *pos_weight, sonde_loss_reduction reduction);

#endif
