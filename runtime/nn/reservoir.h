/* What echo state networks need (Jaeger 2001, "The echo state approach to analysing and training recurrent neural
 * networks"). Included by nn.h: not a door of its own. The reservoir itself is an RNN whose weights are not trained.
 */
#ifndef SONDE_NN_RESERVOIR_H
#define SONDE_NN_RESERVOIR_H

#include "autograd/autograd.h"

/* Of w [n, n]: the largest modulus of its eigenvalues. */
sonde_status sonde_spectral_radius(double *out, const sonde_tensor *w);
/* Multiplies w so that its spectral radius becomes `radius`. EARG where it is 0. */
sonde_status sonde_init_spectral_radius_(sonde_tensor *w, double radius);
/* Recurrent weights [n, n]: in each row `links` elements (1..n) at random places from U(-1, 1), the others 0; then
 * scaled to the spectral radius. */
sonde_status sonde_init_reservoir_(sonde_tensor *w, sonde_stream *s, int64_t links, double radius);

/* weight [O, F] and bias [O] of least Σ ‖y − x Wᵀ − b‖² + ridge ‖W‖², from x [N, F] and y [N, O]; by QR in float64, in
 * which squaring the condition number, as the normal equations do, is avoided. They have x's dtype. */
sonde_status sonde_ridge(sonde_tensor **weight, sonde_tensor **bias, const sonde_tensor *x, const sonde_tensor *y,
                         double ridge);

#endif
