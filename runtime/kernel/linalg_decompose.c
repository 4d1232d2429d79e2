/* QR, SVD and eigenvalues. */
#include "kernel/kernel.h"
#include "kernel/lapack.h"

#include <string.h>

extern void dgeqrf_(const int *m, const int *n, double *a, const int *lda, double *tau, double *work, const int *lwork,
                    int *info);
extern void dorgqr_(const int *m, const int *n, const int *k, double *a, const int *lda, const double *tau,
                    double *work, const int *lwork, int *info);
extern void dgesdd_(const char *jobz, const int *m, const int *n, double *a, const int *lda, double *s, double *u,
                    const int *ldu, double *vt, const int *ldvt, double *work, const int *lwork, int *iwork, int *info,
                    size_t length_jobz);
extern void dsyevd_(const char *jobz, const char *uplo, const int *n, double *a, const int *lda, double *w,
                    double *work, const int *lwork, int *iwork, const int *liwork, int *info, size_t length_jobz,
                    size_t length_uplo);

enum { LARGEST = 15000 }; /* the work space of the greediest routine, 8n², still has a 32-bit size */

static sonde_status check_sizes(int64_t rows, int64_t columns)
{
    if (rows <= LARGEST && columns <= LARGEST) return SONDE_OK;
    return sonde_fail(SONDE_EARG, "a %lld by %lld matrix is more than LAPACK can address: at most %d rows and columns",
                      (long long)rows, (long long)columns, LARGEST);
}

static sonde_status check_converged(int info, const char *what)
{
    return info == 0 ? SONDE_OK : sonde_fail(SONDE_EARG, "the %s of this matrix did not converge", what);
}

sonde_status sonde_linalg_householder(double *a, double *tau, double *q, int64_t rows, int64_t columns,
                                      int64_t q_columns)
{
    SONDE_TRY(check_sizes(rows, columns));
    enum { BLOCK = 64 }; /* columns LAPACK works on at once: any number is right, this one is fast */
    const int m = (int)rows, n = (int)columns, k = m < n ? m : n, wide = (int)q_columns;
    const int lwork = BLOCK * (n > wide ? n : wide);
    double *work = sonde_alloc((size_t)lwork * sizeof *work);
    if (!work) return SONDE_ENOMEM;
    int info;
    sonde_blas_enter();
    dgeqrf_(&m, &n, a, &m, tau, work, &lwork, &info);
    if (q) {
        memset(q, 0, (size_t)rows * (size_t)q_columns * sizeof *q);
        memcpy(q, a, (size_t)rows * (size_t)k * sizeof *q);
        dorgqr_(&m, &wide, &k, q, &m, tau, work, &lwork, &info);
    }
    sonde_blas_leave();
    sonde_free(work);
    return SONDE_OK;
}

sonde_status sonde_linalg_svd(double *a, double *s, double *u, double *vt, int64_t rows, int64_t columns, bool full)
{
    SONDE_TRY(check_sizes(rows, columns));
    const int m = (int)rows, n = (int)columns, k = m < n ? m : n, ask = -1, ldvt = full ? n : k;
    double asked;
    int *iwork = sonde_alloc(8 * (size_t)k * sizeof *iwork), info;
    if (!iwork) return SONDE_ENOMEM;
    dgesdd_(full ? "A" : "S", &m, &n, a, &m, s, u, &m, vt, &ldvt, &asked, &ask, iwork, &info, 1);
    const int lwork = sonde_lapack_lwork(asked);
    double *work = sonde_alloc((size_t)lwork * sizeof *work);
    if (work) {
        sonde_blas_enter();
        dgesdd_(full ? "A" : "S", &m, &n, a, &m, s, u, &m, vt, &ldvt, work, &lwork, iwork, &info, 1);
        sonde_blas_leave();
    }
    sonde_free(iwork);
    sonde_free(work);
    return work ? check_converged(info, "singular values") : SONDE_ENOMEM;
}

/* w: room for 3 n² + n numbers. */
static sonde_status cofactors_with(double *out, double *a, double *w, int64_t n)
{
    const int64_t size = n * n;
    double *u = w, *vt = w + size, *copy = w + 2 * size, *s = w + 3 * size, of_u, of_v, sign, log_abs;
    SONDE_TRY(sonde_linalg_svd(a, s, u, vt, n, n, false));
    memcpy(copy, u, (size_t)size * sizeof *copy);
    SONDE_TRY(sonde_linalg_determinant(copy, n, &of_u, &sign, &log_abs));
    memcpy(copy, vt, (size_t)size * sizeof *copy);
    SONDE_TRY(sonde_linalg_determinant(copy, n, &of_v, &sign, &log_abs));
    for (int64_t k = 0; k < n; k++) {
        double others = of_u * of_v;
        for (int64_t j = 0; j < n; j++) others *= j == k ? 1 : s[j];
        for (int64_t i = 0; i < n; i++) u[k * n + i] *= others;
    }
    sonde_matmul_kernel(SONDE_FLOAT64, out, vt, u, n, n, n, n, n, n, false, false, false); /* by rows: the transposes */
    return SONDE_OK;
}

sonde_status sonde_linalg_cofactors(double *cofactors, double *a, int64_t n)
{
    double *w = sonde_alloc((size_t)(3 * n * n + n) * sizeof *w);
    if (!w) return SONDE_ENOMEM;
    sonde_status status = cofactors_with(cofactors, a, w, n);
    sonde_free(w);
    return status;
}

sonde_status sonde_linalg_eigh(double *a, double *values, int64_t n)
{
    SONDE_TRY(check_sizes(n, n));
    const int size = (int)n, ask = -1;
    double asked;
    int asked_int, info;
    dsyevd_("V", "L", &size, a, &size, values, &asked, &ask, &asked_int, &ask, &info, 1, 1);
    const int lwork = sonde_lapack_lwork(asked), liwork = asked_int;
    double *work = sonde_alloc((size_t)lwork * sizeof *work + (size_t)liwork * sizeof(int));
    if (!work) return SONDE_ENOMEM;
    sonde_blas_enter();
    dsyevd_("V", "L", &size, a, &size, values, work, &lwork, (int *)(work + lwork), &liwork, &info, 1, 1);
    sonde_blas_leave();
    sonde_free(work);
    return check_converged(info, "eigenvalues");
}

sonde_status sonde_linalg_eig(double *a, double *re, double *im, double *vectors, int64_t n)
{
    SONDE_TRY(check_sizes(n, n));
    const int size = (int)n, ask = -1, one = 1;
    const char *job = vectors ? "V" : "N";
    double asked;
    int info;
    dgeev_("N", job, &size, a, &size, re, im, NULL, &one, vectors, &size, &asked, &ask, &info, 1, 1);
    const int lwork = sonde_lapack_lwork(asked);
    double *work = sonde_alloc((size_t)lwork * sizeof *work);
    if (!work) return SONDE_ENOMEM;
    sonde_blas_enter();
    dgeev_("N", job, &size, a, &size, re, im, NULL, &one, vectors, &size, work, &lwork, &info, 1, 1);
    sonde_blas_leave();
    sonde_free(work);
    return check_converged(info, "eigenvalues");
}
