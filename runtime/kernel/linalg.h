/* linalg — dense decompositions through LAPACK. Included by whoever needs one; LAPACK wants work space, so these
 * allocate and return a status, unlike kernels.
 */
#ifndef SONDE_KERNEL_LINALG_H
#define SONDE_KERNEL_LINALG_H

#include "base/base.h"

/* Reduced QR of A [rows, columns], rows >= columns, stored by columns: A is overwritten by Q (QᵀQ = I); r_diagonal
 * [columns], or NULL, receives the diagonal of R. Signs are such that it is not negative, which makes the
 * decomposition unique and, for a Gaussian A, Q uniform among orthonormal frames (Mezzadri 2007, "How to generate
 * random matrices from the classical compact groups"). Householder: QᵀQ = I to rounding even where A is singular. */
sonde_status sonde_linalg_qr(double *a, double *r_diagonal, int64_t rows, int64_t columns);

/* The largest modulus of the eigenvalues of A [n, n], stored by rows or by columns, which is overwritten. */
sonde_status sonde_linalg_spectral_radius(double *out, double *a, int64_t n);

/* X of least ‖AX − B‖, by QR: A [rows, columns] of full rank, rows >= columns, and B [rows, rights], both stored by
 * columns, are overwritten; X is in the first `columns` rows of B. EARG where A's columns depend on each other exactly.
 */
sonde_status sonde_linalg_least_squares(double *a, double *b, int64_t rows, int64_t columns, int64_t rights);

#endif
