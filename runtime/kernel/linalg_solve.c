#include "kernel/lapack.h"

#include <limits.h>
#include <math.h>

extern void dgels_(const char *trans, const int *m, const int *n, const int *nrhs, double *a, const int *lda, double *b,
                   const int *ldb, double *work, const int *lwork, int *info, size_t length_trans);

sonde_status sonde_linalg_spectral_radius(double *out, double *a, int64_t n)
{
    enum { BLOCK = 8 }; /* times n: the work space; LAPACK asks for at least 3 */
    *out = 0;
    if (n < 0 || n > INT_MAX / BLOCK)
        return sonde_fail(SONDE_ENOMEM,
                          "the eigenvalues of a matrix of %lld rows need more work space than LAPACK can address",
                          (long long)n);
    for (int64_t i = 0; i < n * n; i++)
        if (!isfinite(a[i]))
            return sonde_fail(SONDE_EARG, "a matrix with elements that are not finite has no eigenvalues");
    if (n == 0) return SONDE_OK;
    double *memory = sonde_alloc((2 + BLOCK) * (size_t)n * sizeof *memory);
    if (!memory) return SONDE_ENOMEM;
    const int size = (int)n, one = 1, lwork = BLOCK * size;
    int info;
    sonde_blas_enter();
    dgeev_("N", "N", &size, a, &size, memory, memory + n, NULL, &one, NULL, &one, memory + 2 * n, &lwork, &info, 1, 1);
    sonde_blas_leave();
    for (int64_t i = 0; i < n && info == 0; i++) *out = fmax(*out, hypot(memory[i], memory[n + i]));
    sonde_free(memory);
    if (info != 0) return sonde_fail(SONDE_EARG, "the eigenvalues of this matrix did not converge");
    return SONDE_OK;
}

sonde_status sonde_linalg_least_squares(double *a, double *b, int64_t rows, int64_t columns, int64_t rights)
{
    enum { BLOCK = 64 }; /* as in QR */
    if (columns < 1 || rows < columns || rights < 1)
        return sonde_fail(SONDE_EARG,
                          "least squares of a %lld by %lld matrix: expected at least as many rows as columns",
                          (long long)rows, (long long)columns);
    const int64_t work_size = columns + (columns > rights ? columns : rights) * BLOCK;
    if (rows > INT_MAX || rights > INT_MAX || work_size > INT_MAX)
        return sonde_fail(SONDE_ENOMEM, "least squares of a %lld by %lld matrix is more than LAPACK can address",
                          (long long)rows, (long long)columns);
    double *work = sonde_alloc((size_t)work_size * sizeof *work);
    if (!work) return SONDE_ENOMEM;
    const int m = (int)rows, n = (int)columns, nrhs = (int)rights, lwork = (int)work_size;
    int info;
    sonde_blas_enter();
    dgels_("N", &m, &n, &nrhs, a, &m, b, &m, work, &lwork, &info, 1);
    sonde_blas_leave();
    sonde_free(work);
    if (info != 0) return sonde_fail(SONDE_EARG, "least squares: the columns depend on each other");
    return SONDE_OK;
}
