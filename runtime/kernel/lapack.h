/* lapack — what the files of linalg share. Private to room kernel. LAPACK's Fortran interface: Debian's OpenBLAS
 * carries it, without LAPACKE; each character argument has its length (1) at the end of the list.
 */
#ifndef SONDE_KERNEL_LAPACK_H
#define SONDE_KERNEL_LAPACK_H

#include "kernel/linalg.h"

/* Around every call: OpenBLAS works on one thread, and builds that only one thread may call have one caller. */
void sonde_blas_enter(void);
void sonde_blas_leave(void);

/* Eigenvalues, and vectors if asked for; of a routine that one file alone calls, that file has the declaration. */
extern void dgeev_(const char *jobvl, const char *jobvr, const int *n, double *a, const int *lda, double *wr,
                   double *wi, double *vl, const int *ldvl, double *vr, const int *ldvr, double *work, const int *lwork,
                   int *info, size_t length_jobvl, size_t length_jobvr);

/* The work space that routine(…, work, lwork) asked for when it was called with lwork -1. */
static inline int sonde_lapack_lwork(double asked)
{
    return asked < 1 ? 1 : (int)asked;
}

#endif
