/* The one door for matrix products: OpenBLAS, on one thread. Large products are cut into tiles by their shape, which
 * sonde_parallel spreads over the run's threads: the bits are the same for any number of them.
 */
#include "kernel/kernel.h"
#include "kernel/lapack.h"
#include "kernel/real/kernels.h"

#include <cblas.h>
#undef I /* complex.h's */
#include <limits.h>
#include <pthread.h>
#include <string.h>

static const double CUT_FROM = 1 << 24; /* multiplications from which a product is cut into tiles for the threads, */
enum { CUT = 256 };                     /* of this many rows or columns, the longer of the two */

typedef struct product {
    sonde_dtype dtype;
    char *c;
    const char *a, *b;
    int64_t m, n, k, lda, ldb, ldc;
    bool trans_a, trans_b, add;
} product;

/* Only OpenBLAS's pthread build may be called by several threads at once: the others hand two callers one buffer. */
static bool one_caller;

static void one_blas_thread(void)
{
    openblas_set_num_threads(1);
    one_caller = openblas_get_parallel() != OPENBLAS_THREAD;
}

static pthread_mutex_t caller = PTHREAD_MUTEX_INITIALIZER;

void sonde_blas_enter(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, one_blas_thread);
    if (one_caller) pthread_mutex_lock(&caller);
}

void sonde_blas_leave(void)
{
    if (one_caller) pthread_mutex_unlock(&caller);
}

static void run_blas(const product *p)
{
    sonde_blas_enter();
    CBLAS_TRANSPOSE ta = p->trans_a ? CblasTrans : CblasNoTrans, tb = p->trans_b ? CblasTrans : CblasNoTrans;
    int m = (int)p->m, n = (int)p->n, k = (int)p->k, lda = (int)p->lda, ldb = (int)p->ldb, ldc = (int)p->ldc;
    if (p->dtype == SONDE_FLOAT32)
        cblas_sgemm(CblasRowMajor, ta, tb, m, n, k, 1, (const float *)p->a, lda, (const float *)p->b, ldb,
                    p->add ? 1 : 0, (float *)p->c, ldc);
    else
        cblas_dgemm(CblasRowMajor, ta, tb, m, n, k, 1, (const double *)p->a, lda, (const double *)p->b, ldb,
                    p->add ? 1 : 0, (double *)p->c, ldc);
    sonde_blas_leave();
}

static double element(sonde_dtype dtype, const char *x, int64_t i)
{
    return dtype == SONDE_FLOAT32 ? (double)((const float *)x)[i] : ((const double *)x)[i];
}

/* Sizes beyond BLAS's 32-bit integers: slow, but right. */
static void run_plain(const product *p)
{
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->n; j++) {
            double sum = p->add ? element(p->dtype, p->c, i * p->ldc + j) : 0;
            for (int64_t q = 0; q < p->k; q++)
                sum += element(p->dtype, p->a, p->trans_a ? q * p->lda + i : i * p->lda + q) *
                       element(p->dtype, p->b, p->trans_b ? j * p->ldb + q : q * p->ldb + j);
            if (p->dtype == SONDE_FLOAT32)
                ((float *)p->c)[i * p->ldc + j] = (float)sum;
            else
                ((double *)p->c)[i * p->ldc + j] = sum;
        }
}

static void run(const product *p)
{
    if (p->m > INT_MAX || p->n > INT_MAX || p->k > INT_MAX || p->lda > INT_MAX || p->ldb > INT_MAX ||
        p->ldc > INT_MAX)
        run_plain(p);
    else
        run_blas(p);
}

/* Tile number `tile` of a large product: CUT rows or columns of C. */
static void run_tile(void *context, int tile)
{
    product p = *(const product *)context;
    int64_t size = (int64_t)sonde_dtype_size(p.dtype), from = (int64_t)tile * CUT;
    if (p.m >= p.n) {
        p.c += from * p.ldc * size;
        p.a += (p.trans_a ? from : from * p.lda) * size;
        p.m = p.m - from < CUT ? p.m - from : CUT;
    } else {
        p.c += from * size;
        p.b += (p.trans_b ? from * p.ldb : from) * size;
        p.n = p.n - from < CUT ? p.n - from : CUT;
    }
    run(&p);
}

static void zero(const product *p)
{
    size_t size = sonde_dtype_size(p->dtype);
    for (int64_t i = 0; i < p->m; i++) memset(p->c + (size_t)(i * p->ldc) * size, 0, (size_t)p->n * size);
}

/* A matrix of one row has no stride to speak of; BLAS wants one all the same. */
static int64_t stride(int64_t given, int64_t rows, int64_t columns)
{
    return rows == 1 && given < columns ? columns : given;
}

void sonde_matmul_kernel(sonde_dtype dtype, void *c, const void *a, const void *b, int64_t m, int64_t n, int64_t k,
                         int64_t lda, int64_t ldb, int64_t ldc, bool trans_a, bool trans_b, bool add)
{
    if (m <= 0 || n <= 0) return;
    product p = {.dtype = dtype,
                 .c = c,
                 .a = a,
                 .b = b,
                 .m = m,
                 .n = n,
                 .k = k,
                 .trans_a = trans_a,
                 .trans_b = trans_b,
                 .add = add};
    p.lda = trans_a ? stride(lda, k, m) : stride(lda, m, k);
    p.ldb = trans_b ? stride(ldb, n, k) : stride(ldb, k, n);
    p.ldc = stride(ldc, m, n);
    if (k <= 0) {
        if (!add) zero(&p);
        return;
    }
    int64_t longer = m >= n ? m : n, tiles = (longer + CUT - 1) / CUT;
    if ((double)m * (double)n * (double)k < CUT_FROM || tiles < 2 || tiles > INT_MAX / 2)
        run(&p);
    else
        sonde_parallel((int)tiles, run_tile, &p);
}

void sonde_transpose_kernel(sonde_dtype dtype, void *out, const void *in, int64_t rows, int64_t columns)
{
    if (dtype == SONDE_FLOAT32)
        sonde_transpose_f32(out, in, rows, columns);
    else
        sonde_transpose_f64(out, in, rows, columns);
}
