/* Linear algebra as operators: matrices are the last two axes, the others a batch. Included by autograd.h: not a door
 * of its own.
 *
 * Float32 is computed in float64 and rounded once. EARG: a matrix that is singular, not positive definite or not
 * converging, named by its number in the batch; for a decomposition also elements that are not finite, where solve,
 * inv, det, slogdet and matrix_exp give NaN. ESHAPE: an axis of 0 rows or columns; not square where that is needed.
 * Sources of the gradients are at their formulas in ops_linalg.c and ops_decompose.c.
 */
#ifndef SONDE_AUTOGRAD_OPS_LINALG_H
#define SONDE_AUTOGRAD_OPS_LINALG_H

#include "tensor/tensor.h"

/* The elements on and below (tril) or above (triu) the diagonal, whose number grows to the upper right; the rest 0. */
sonde_status sonde_tril(sonde_tensor **out, sonde_tensor *x, int64_t diagonal);
sonde_status sonde_triu(sonde_tensor **out, sonde_tensor *x, int64_t diagonal);
sonde_status sonde_eye(sonde_tensor **out, sonde_dtype dtype, int64_t rows, int64_t columns);

/* AX = B: A [*, n, n], B [*, n, k], or [*, n], a vector for each matrix, if it has one axis or A's axes but the last.
 * Batches broadcast. */
sonde_status sonde_solve(sonde_tensor **out, sonde_tensor *a, sonde_tensor *b);
sonde_status sonde_inv(sonde_tensor **out, sonde_tensor *a);
/* AX = B, A triangular: the other triangle is not looked at; unit: nor is the diagonal, which counts as 1. */
sonde_status sonde_solve_triangular(sonde_tensor **out, sonde_tensor *a, sonde_tensor *b, bool upper, bool unit);
sonde_status sonde_det(sonde_tensor **out, sonde_tensor *a); /* [*]; the gradient of a singular matrix is right too */
/* Its sign, without gradient, and the logarithm of its modulus. */
sonde_status sonde_slogdet(sonde_tensor **sign, sonde_tensor **log_abs, sonde_tensor *a);
/* A = LLᵀ; of A its symmetric part (A + Aᵀ)/2 counts. */
sonde_status sonde_cholesky(sonde_tensor **out, sonde_tensor *a);
sonde_status sonde_matrix_exp(sonde_tensor **out, sonde_tensor *a);

/* A [*, m, n] = QR, k = min(m, n): Q [*, m, k], R [*, k, n], with LAPACK's signs; complete: [*, m, m] and [*, m, n],
 * differentiable if m <= n. */
sonde_status sonde_qr(sonde_tensor **q, sonde_tensor **r, sonde_tensor *a, bool complete);
/* Q of a QR decomposition as Householder's vectors: out [*, m, n] holds R and, below, the vectors without their leading
 * 1, tau [*, k] the factors. No gradient. */
sonde_status sonde_geqrf(sonde_tensor **out, sonde_tensor **tau, sonde_tensor *a);
/* A = U diag(S) Vh, S [*, k] falling; full: U [*, m, m], Vh [*, n, n], of which the first k columns and rows pass
 * gradients. These are infinite where singular values coincide, unless the loss knows S only. */
sonde_status sonde_svd(sonde_tensor **u, sonde_tensor **s, sonde_tensor **vh, sonde_tensor *a, bool full);
/* The symmetric part (A + Aᵀ)/2 = V diag(L) Vᵀ, L rising. */
sonde_status sonde_eigh(sonde_tensor **values, sonde_tensor **vectors, sonde_tensor *a);
/* Real and imaginary parts of the eigenvalues of A, conjugate pairs side by side. */
sonde_status sonde_eigvals(sonde_tensor **re, sonde_tensor **im, sonde_tensor *a);

#endif
