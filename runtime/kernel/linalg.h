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

#endif
