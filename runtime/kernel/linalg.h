/* linalg — dense decompositions through LAPACK. Included by whoever needs one; LAPACK wants work space, so these
 * allocate and return a status, unlike kernels. Matrices are float64 stored by columns, unless said, and overwritten.
 * EARG: singular, not converged, too large for LAPACK's 32-bit sizes; the message says which.
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

/* A matrix [rows, columns] stored by rows in either float dtype, to and from one stored by columns. load: false if an
 * element is not finite. */
bool sonde_linalg_load(double *to, sonde_dtype dtype, const void *from, int64_t rows, int64_t columns);
void sonde_linalg_store(sonde_dtype dtype, void *to, const double *from, int64_t rows, int64_t columns);

/* AX = B by LU with partial pivoting: B [n, rights] becomes X. */
sonde_status sonde_linalg_solve(double *a, double *b, int64_t n, int64_t rights);
/* The same for a triangular A, which stays; unit: its diagonal is taken as 1. */
sonde_status sonde_linalg_solve_triangular(const double *a, double *b, int64_t n, int64_t rights, bool upper,
                                           bool unit);
/* The determinant of A [n, n], its sign (0 where singular) and log |determinant|. */
sonde_status sonde_linalg_determinant(double *a, int64_t n, double *determinant, double *sign, double *log_abs);
/* The lower triangle of symmetric A becomes L, A = LLᵀ, and the upper one 0. */
sonde_status sonde_linalg_cholesky(double *a, int64_t n);
/* e^A for A [n, n] stored by rows or by columns: scaling and squaring with the Padé approximant of order 13 (Higham
 * 2005, "The scaling and squaring method for the matrix exponential revisited"). NaN where A is not finite. */
sonde_status sonde_linalg_exp(double *a, int64_t n);

/* A [rows, columns] = QR with LAPACK's signs. A becomes R in its upper triangle and Householder's vectors, their
 * leading 1 left out, below; tau [min(rows, columns)]: Q = Π (I - tau_i v_i v_iᵀ). q [rows, q_columns], q_columns from
 * min(rows, columns) to rows, or NULL. */
sonde_status sonde_linalg_householder(double *a, double *tau, double *q, int64_t rows, int64_t columns,
                                      int64_t q_columns);
/* A = U diag(s) Vᵀ, s falling, k = min(rows, columns) long: u [rows, k] and vt [k, columns], or, where full, square. */
sonde_status sonde_linalg_svd(double *a, double *s, double *u, double *vt, int64_t rows, int64_t columns, bool full);
/* cofactors [n, n], d det(A)/dA = det(U) det(V) U diag(Π_{j≠i} s_j) Vᵀ: right for a singular A too. */
sonde_status sonde_linalg_cofactors(double *cofactors, double *a, int64_t n);
/* Symmetric A, of which the lower triangle is read, becomes its eigenvectors; eigenvalues [n] rise. */
sonde_status sonde_linalg_eigh(double *a, double *values, int64_t n);
/* Eigenvalues re + i im of A [n, n]; conjugate pairs are neighbours, the positive imaginary part first. vectors [n, n],
 * or NULL: column j belongs to a real eigenvalue j; to a pair j, j + 1 belong the real and the imaginary part. */
sonde_status sonde_linalg_eig(double *a, double *re, double *im, double *vectors, int64_t n);

#endif
