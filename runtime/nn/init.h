/* Initialisers of a given structure, and the truncated normal distribution. Included by nn.h: not a door of its own.
 * Like all initialisers they write in place, without recording, and refuse tensors that are not of floats (EDTYPE).
 */
#ifndef SONDE_NN_INIT_H
#define SONDE_NN_INIT_H

#include "autograd/autograd.h"

/* N(mean, std²) between low and high: values, not multiples of std. By the quantile of a uniform draw, one for each
 * element. PyTorch's defaults: 0, 1, -2, 2. EARG unless std > 0 and low < high, or where less than 1e-290 of the
 * distribution lies between them. */
sonde_status sonde_init_trunc_normal_(sonde_tensor *w, sonde_stream *s, double mean, double std, double low,
                                      double high);
/* The identity, of w [out, in]: ones where the indices are equal. */
sonde_status sonde_init_eye_(sonde_tensor *w);
/* A convolution that passes its first channels on, of w [out, in, kernel...] with 1 to 3 axes of kernel: 1 in the
 * middle (k/2 from 0) of w[o, i] where i is o's number within its group of out/groups. EARG if out is no multiple of
 * groups. */
sonde_status sonde_init_dirac_(sonde_tensor *w, int64_t groups);
/* N(0, std²), of w [out, in], but in each column ceil(sparsity · out) elements at random places are 0 (Martens 2010,
 * "Deep learning via Hessian-free optimization"). sparsity in 0..1. */
sonde_status sonde_init_sparse_(sonde_tensor *w, sonde_stream *s, double sparsity, double std);
/* A convolution that keeps norms, of w [out, in, kernel...] with 1 to 3 axes of kernel and in <= out (else EARG): gain
 * times orthonormal columns in the middle, 0 elsewhere (Xiao et al. 2018, "Dynamical isometry and a mean field theory
 * of CNNs", algorithm 2). Exact where stride is 1 and the output as large as the input. */
sonde_status sonde_init_delta_orthogonal_(sonde_tensor *w, sonde_stream *s, double gain);

#endif
