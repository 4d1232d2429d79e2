/* What needs a factorisation into triangles: solving, determinants, Cholesky. */
#include "kernel/lapack.h"

#include <limits.h>
#include <math.h>

extern void dgesv_(const int *n, const int *nrhs, double *a, const int *lda, int *ipiv, double *b, const int *ldb,
                   int *info);
extern void dgetrf_(const int *m, const int *n, double *a, const int *lda, int *ipiv, int *info);
extern void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info, size_t length_uplo);
extern void dtrtrs_(const char *uplo, const char *trans, const char *diag, const int *n, const int *nrhs,
                    const double *a, const int *lda, double *b, const int *ldb, int *info, size_t length_uplo,
                    size_t length_trans, size_t length_diag);

bool sonde_linalg_load(double *to, sonde_dtype dtype, const void *from, int64_t rows, int64_t columns)
{
    double sum = 0; /* of products with 0: NaN if one element is not finite */
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) {
            const int64_t at = i * columns + j;
            const float *single = from;
            const double value = dtype == SONDE_FLOAT32 ? (double)single[at] : ((const double *)from)[at];
            to[j * rows + i] = value;
            sum += 0 * value;
        }
    return sum == 0;
}

void sonde_linalg_store(sonde_dtype dtype, void *to, const double *from, int64_t rows, int64_t columns)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) {
            const int64_t at = i * columns + j;
            if (dtype == SONDE_FLOAT32)
                ((float *)to)[at] = (float)from[j * rows + i];
            else
                ((double *)to)[at] = from[j * rows + i];
        }
}

static sonde_status check_sizes(int64_t n, int64_t rights)
{
    if (n <= INT_MAX && rights <= INT_MAX) return SONDE_OK;
    return sonde_fail(SONDE_EARG, "a %lld by %lld matrix is more than LAPACK can address", (long long)n,
                      (long long)rights);
}

static sonde_status singular(int pivot)
{
    return sonde_fail(SONDE_EARG, "the matrix is singular: pivot %d is exactly 0", pivot);
}

sonde_status sonde_linalg_solve(double *a, double *b, int64_t n, int64_t rights)
{
    SONDE_TRY(check_sizes(n, rights));
    int *pivots = sonde_alloc((size_t)n * sizeof *pivots), info;
    if (!pivots) return SONDE_ENOMEM;
    const int size = (int)n, nrhs = (int)rights;
    sonde_blas_enter();
    dgesv_(&size, &nrhs, a, &size, pivots, b, &size, &info);
    sonde_blas_leave();
    sonde_free(pivots);
    return info > 0 ? singular(info) : SONDE_OK;
}

sonde_status sonde_linalg_solve_triangular(const double *a, double *b, int64_t n, int64_t rights, bool upper, bool unit)
{
    SONDE_TRY(check_sizes(n, rights));
    const int size = (int)n, nrhs = (int)rights;
    int info;
    sonde_blas_enter();
    dtrtrs_(upper ? "U" : "L", "N", unit ? "U" : "N", &size, &nrhs, a, &size, b, &size, &info, 1, 1, 1);
    sonde_blas_leave();
    return info > 0 ? singular(info) : SONDE_OK;
}

sonde_status sonde_linalg_determinant(double *a, int64_t n, double *determinant, double *sign, double *log_abs)
{
    SONDE_TRY(check_sizes(n, n));
    int *pivots = sonde_alloc((size_t)n * sizeof *pivots), info;
    if (!pivots) return SONDE_ENOMEM;
    const int size = (int)n;
    sonde_blas_enter();
    dgetrf_(&size, &size, a, &size, pivots, &info);
    sonde_blas_leave();
    *determinant = *sign = 1;
    *log_abs = 0;
    for (int64_t i = 0; i < n; i++) {
        const double pivot = a[i * n + i];
        const double turned = pivots[i] == i + 1 ? 1 : -1; /* rows changed places */
        *determinant *= turned * pivot;
        *sign *= pivot == 0 ? 0 : pivot < 0 ? -turned : turned;
        *log_abs += log(fabs(pivot));
    }
    sonde_free(pivots);
    return SONDE_OK;
}

sonde_status sonde_linalg_cholesky(double *a, int64_t n)
{
    SONDE_TRY(check_sizes(n, n));
    const int size = (int)n;
    int info;
    sonde_blas_enter();
    dpotrf_("L", &size, a, &size, &info, 1);
    sonde_blas_leave();
    if (info > 0)
        return sonde_fail(SONDE_EARG,
                          "the matrix is not positive definite: its leading minor of order %d is not positive", info);
    for (int64_t j = 1; j < n; j++)
        for (int64_t i = 0; i < j; i++) a[j * n + i] = 0;
    return SONDE_OK;
}
