#include "kernel/lapack.h"

#include <limits.h>

extern void dgeqrf_(const int *m, const int *n, double *a, const int *lda, double *tau, double *work, const int *lwork,
                    int *info);
extern void dorgqr_(const int *m, const int *n, const int *k, double *a, const int *lda, const double *tau,
                    double *work, const int *lwork, int *info);

static sonde_status check(const char *routine, int info)
{
    if (info == 0) return SONDE_OK;
    return sonde_fail(SONDE_EARG, "LAPACK's %s refused its argument %d", routine, -info);
}

/* A becomes Q, in the work space given; the diagonal of R goes to r. */
static sonde_status factor(double *a, double *r, double *tau, double *work, int lwork, int rows, int columns)
{
    int info;
    dgeqrf_(&rows, &columns, a, &rows, tau, work, &lwork, &info);
    SONDE_TRY(check("dgeqrf", info));
    for (int j = 0; j < columns; j++) r[j] = a[(size_t)j * (size_t)rows + (size_t)j];
    dorgqr_(&rows, &columns, &columns, a, &rows, tau, work, &lwork, &info);
    SONDE_TRY(check("dorgqr", info));
    for (int j = 0; j < columns; j++) {
        if (r[j] >= 0) continue;
        r[j] = -r[j];
        double *column = a + (size_t)j * (size_t)rows;
        for (int i = 0; i < rows; i++) column[i] = -column[i];
    }
    return SONDE_OK;
}

sonde_status sonde_linalg_qr(double *a, double *r_diagonal, int64_t rows, int64_t columns)
{
    if (columns < 0 || rows < columns || rows > INT_MAX)
        return sonde_fail(SONDE_EARG, "QR of a %lld by %lld matrix: expected at least as many rows as columns",
                          (long long)rows, (long long)columns);
    if (columns == 0) return SONDE_OK;
    enum { BLOCK = 64 }; /* columns LAPACK works on at once: any number is right, this one is fast */
    if (columns > INT_MAX / BLOCK)
        return sonde_fail(SONDE_ENOMEM, "QR of %lld columns needs more work space than LAPACK can address",
                          (long long)columns);
    int n = (int)columns, lwork = BLOCK * n;
    double *memory = sonde_alloc((2 * (size_t)n + (size_t)lwork) * sizeof *memory);
    if (!memory) return SONDE_ENOMEM;
    double *tau = memory, *own = memory + n, *work = memory + 2 * (size_t)n;
    sonde_blas_enter();
    sonde_status status = factor(a, r_diagonal ? r_diagonal : own, tau, work, lwork, (int)rows, n);
    sonde_blas_leave();
    sonde_free(memory);
    return status;
}
