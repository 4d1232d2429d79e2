/* Matrix products in all forms against a plain sum, transposition, and the same bits for any number of threads. */
#include "base/base.h"
#include "check.h"
#include "kernel/kernel.h"

#include <stdlib.h>
#include <string.h>

static sonde_stream stream;

static void *random_matrix(sonde_dtype dtype, int64_t n)
{
    void *out = sonde_alloc((size_t)n * sonde_dtype_size(dtype));
    sonde_stream_fill_uniform(&stream, dtype, out, (size_t)n, -1, 1);
    return out;
}

static double at(sonde_dtype dtype, const void *x, int64_t i)
{
    return dtype == SONDE_FLOAT32 ? (double)((const float *)x)[i] : ((const double *)x)[i];
}

/* One product with rows `pad` elements longer than need be; what lies in the padding must survive. */
static void compare(sonde_dtype dtype, int64_t m, int64_t n, int64_t k, bool trans_a, bool trans_b, bool add,
                    int64_t pad)
{
    int64_t lda = (trans_a ? m : k) + pad, ldb = (trans_b ? k : n) + pad, ldc = n + pad;
    void *a = random_matrix(dtype, (trans_a ? k : m) * lda + 1), *b = random_matrix(dtype, (trans_b ? n : k) * ldb + 1);
    void *c = random_matrix(dtype, m * ldc + 1), *before = sonde_alloc((size_t)(m * ldc + 1) * sonde_dtype_size(dtype));
    if (!add && n > 0)
        for (int64_t i = 0; i < m; i++) { /* overwriting means overwriting, NaN too */
            if (dtype == SONDE_FLOAT32)
                ((float *)c)[i * ldc] = NAN;
            else
                ((double *)c)[i * ldc] = (double)NAN;
        }
    memcpy(before, c, (size_t)(m * ldc + 1) * sonde_dtype_size(dtype));
    sonde_matmul_kernel(dtype, c, a, b, m, n, k, lda, ldb, ldc, trans_a, trans_b, add);
    double worst = 0, bound = (dtype == SONDE_FLOAT32 ? 1.2e-7 : 2.3e-16) * (4 + (double)k);
    bool untouched = true;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < ldc; j++) {
            if (j >= n) {
                untouched &= at(dtype, c, i * ldc + j) == at(dtype, before, i * ldc + j);
                continue;
            }
            double sum = add ? at(dtype, before, i * ldc + j) : 0;
            for (int64_t p = 0; p < k; p++)
                sum += at(dtype, a, trans_a ? p * lda + i : i * lda + p) *
                       at(dtype, b, trans_b ? j * ldb + p : p * ldb + j);
            double error = fabs(at(dtype, c, i * ldc + j) - sum);
            worst = error <= worst ? worst : error; /* NaN stays */
        }
    if (!CHECK(worst <= bound) || !CHECK(untouched))
        printf("       %s %ld x %ld x %ld, %d %d %d: off by %g\n", sonde_dtype_name(dtype), (long)m, (long)n, (long)k,
               trans_a, trans_b, add, worst);
    sonde_free(a);
    sonde_free(b);
    sonde_free(c);
    sonde_free(before);
}

static void all_forms_and_sizes(void)
{
    const int64_t sizes[][3] = {{1, 1, 1},      {3, 2, 0},       {0, 3, 2},      {3, 0, 2},
                                {1, 64, 64},    {64, 1, 64},     {5, 7, 9},      {32, 64, 64},
                                {32, 10, 100},  {100, 100, 100}, {64, 256, 64},  {129, 128, 65},
                                {256, 128, 33}, {7, 16, 9000},   {70, 320, 300}, {2, 1024, 700}};
    for (int dtype = SONDE_FLOAT32; dtype <= SONDE_FLOAT64; dtype++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            for (int form = 0; form < 8; form++)
                for (int64_t pad = 0; pad < 4; pad += 3)
                    compare((sonde_dtype)dtype, sizes[s][0], sizes[s][1], sizes[s][2], form & 1, form & 2, form & 4,
                            pad);
}

/* The sizes at which B is copied together, and products are cut for the threads. */
static void large_products(void)
{
    for (int form = 0; form < 4; form++) compare(SONDE_FLOAT32, 96, 1040, 520, form & 1, form & 2, form == 3, 0);
    compare(SONDE_FLOAT64, 60, 560, 520, false, false, true, 8);
    compare(SONDE_FLOAT32, 600, 100, 300, false, false, false, 0);
}

static void infinities_and_nan_are_not_hidden(void)
{
    float a[4] = {0, 1, 2, 3}, b[4] = {INFINITY, 1, 1, 1}, c[4] = {0};
    sonde_matmul_kernel(SONDE_FLOAT32, c, a, b, 2, 2, 2, 2, 2, 2, false, false, false);
    CHECK(isnan(c[0]) && c[1] == 1 && isinf(c[2]) && c[3] == 5);
}

static void bits_do_not_depend_on_threads(void)
{
    const int64_t sizes[][3] = {{300, 512, 400}, {512, 300, 400}, {128, 1024, 1024}};
    for (int s = 0; s < 3; s++)
        for (int form = 0; form < 4; form++) {
            int64_t m = sizes[s][0], n = sizes[s][1], k = sizes[s][2];
            bool ta = form & 1, tb = form & 2;
            size_t bytes = (size_t)(m * n) * sizeof(float);
            float *a = random_matrix(SONDE_FLOAT32, m * k), *b = random_matrix(SONDE_FLOAT32, n * k);
            float *one = sonde_alloc(bytes), *many = sonde_alloc(bytes);
            CHECK(sonde_threads_set(1) == SONDE_OK && sonde_threads() == 1);
            sonde_matmul_kernel(SONDE_FLOAT32, one, a, b, m, n, k, ta ? m : k, tb ? k : n, n, ta, tb, false);
            for (int threads = 2; threads <= 5; threads += 3) {
                CHECK(sonde_threads_set(threads) == SONDE_OK && sonde_threads() == threads);
                sonde_matmul_kernel(SONDE_FLOAT32, many, a, b, m, n, k, ta ? m : k, tb ? k : n, n, ta, tb, false);
                CHECK(memcmp(one, many, bytes) == 0);
            }
            sonde_free(a);
            sonde_free(b);
            sonde_free(one);
            sonde_free(many);
        }
    CHECK(sonde_threads_set(1) == SONDE_OK);
    CHECK(sonde_threads_set(0) == SONDE_EARG && sonde_threads_set(100000) == SONDE_EARG && sonde_threads() == 1);
}

static void mark(void *context, int tile)
{
    ((int *)context)[tile]++;
}

static void nested(void *context, int tile)
{
    int inner[8] = {0};
    sonde_parallel(8, mark, inner);
    for (int i = 0; i < 8; i++) ((int *)context)[tile] += inner[i];
}

static void every_tile_runs_once(void)
{
    for (int threads = 1; threads <= 4; threads++) {
        sonde_threads_set(threads);
        for (int round = 0; round < 200; round++) {
            int hits[37] = {0};
            sonde_parallel(round % 38, mark, hits);
            for (int i = 0; i < 37; i++) CHECK(hits[i] == (i < round % 38));
        }
        int sums[9] = {0};
        sonde_parallel(9, nested, sums);
        for (int i = 0; i < 9; i++) CHECK(sums[i] == 8);
    }
    sonde_threads_set(1);
}

static void transposition(void)
{
    const int64_t sizes[][2] = {{1, 1}, {1, 9}, {16, 16}, {64, 64}, {17, 33}, {100, 784}, {0, 5}, {130, 65}};
    for (int dtype = SONDE_FLOAT32; dtype <= SONDE_FLOAT64; dtype++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            int64_t rows = sizes[s][0], columns = sizes[s][1];
            void *in = random_matrix((sonde_dtype)dtype, rows * columns),
                 *out = random_matrix((sonde_dtype)dtype, rows * columns);
            sonde_transpose_kernel((sonde_dtype)dtype, out, in, rows, columns);
            bool good = true;
            for (int64_t i = 0; i < rows; i++)
                for (int64_t j = 0; j < columns; j++)
                    good &= at((sonde_dtype)dtype, out, j * rows + i) == at((sonde_dtype)dtype, in, i * columns + j);
            CHECK(good);
            sonde_free(in);
            sonde_free(out);
        }
}

int main(void)
{
    sonde_stream_init(&stream, 1, "matmul");
    CHECK_RUN(all_forms_and_sizes);
    CHECK_RUN(large_products);
    CHECK_RUN(infinities_and_nan_are_not_hidden);
    CHECK_RUN(bits_do_not_depend_on_threads);
    CHECK_RUN(every_tile_runs_once);
    CHECK_RUN(transposition);
    CHECK_END();
}
