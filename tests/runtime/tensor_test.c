/* Room tensor: making, sharing, views, copies, conversion, text. */
#include "check.h"
#include "tensor/tensor.h"

#include <string.h>

#define SHAPE(...) (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__}

static sonde_tensor *counting(sonde_dtype dtype, int ndim, const int64_t *shape)
{
    sonde_tensor *t;
    if (sonde_tensor_new(&t, dtype, ndim, shape) != SONDE_OK) return NULL;
    int64_t n = sonde_tensor_numel(t);
    for (int64_t i = 0; i < n; i++) {
        if (dtype == SONDE_FLOAT32) ((float *)sonde_tensor_data(t))[i] = (float)i;
        else if (dtype == SONDE_FLOAT64) ((double *)sonde_tensor_data(t))[i] = (double)i;
        else ((int64_t *)sonde_tensor_data(t))[i] = i;
    }
    return t;
}

static double at2(const sonde_tensor *t, int64_t i, int64_t j) { return sonde_tensor_get(t, (int64_t[]){i, j}); }

static void test_making(void)
{
    sonde_tensor *t;
    int64_t n;
    CHECK(sonde_tensor_zeros(&t, SONDE_FLOAT32, SHAPE(2, 3)) == SONDE_OK);
    CHECK(t->ndim == 2 && t->stride[0] == 3 && t->stride[1] == 1 && at2(t, 1, 2) == 0);
    CHECK(((uintptr_t)sonde_tensor_data(t) & 63) == 0);
    CHECK(sonde_tensor_is_contiguous(t) && sonde_tensor_numel(t) == 6);
    sonde_tensor_release(t);
    CHECK(sonde_tensor_full(&t, SONDE_INT64, SHAPE(2), 7.9) == SONDE_OK);
    CHECK(sonde_tensor_get_int(t, (int64_t[]){1}) == 7);
    sonde_tensor_release(t);
    CHECK(sonde_tensor_new(&t, SONDE_FLOAT32, SHAPE(2, -1)) == SONDE_EARG);
    CHECK(strstr(sonde_message(), "axis 2") != NULL);
    CHECK(sonde_tensor_new(&t, SONDE_FLOAT32, 9, (int64_t[9]){1, 1, 1, 1, 1, 1, 1, 1, 1}) == SONDE_EARG);
    CHECK(sonde_tensor_new(&t, SONDE_FLOAT64, SHAPE(INT64_MAX / 4, 4)) == SONDE_ENOMEM);
    CHECK(sonde_shape_numel(&n, SONDE_FLOAT32, SHAPE(INT64_MAX, INT64_MAX, 0)) == SONDE_ENOMEM);
    CHECK(sonde_shape_numel(&n, SONDE_FLOAT32, SHAPE(5, 0, 7)) == SONDE_OK && n == 0);
    CHECK(sonde_tensor_new(&t, SONDE_FLOAT32, 0, NULL) == SONDE_OK && sonde_tensor_numel(t) == 1);
    sonde_tensor_set(t, NULL, 2.5);
    CHECK(sonde_tensor_get(t, NULL) == 2.5);
    sonde_tensor_release(t);
    sonde_tensor_release(NULL);
}

static void test_views(void)
{
    sonde_tensor *t = counting(SONDE_FLOAT64, SHAPE(3, 4)), *turned, *flat;
    CHECK(sonde_tensor_as_strided(&turned, t, SHAPE(4, 3), (int64_t[]){1, 4}, 0) == SONDE_OK);
    CHECK(at2(turned, 3, 1) == at2(t, 1, 3) && !sonde_tensor_is_contiguous(turned));
    uint32_t version = t->storage->version;
    sonde_tensor_set(turned, (int64_t[]){3, 1}, -1);
    CHECK(at2(t, 1, 3) == -1 && t->storage->version == version + 1);
    CHECK(sonde_tensor_contiguous(&flat, turned) == SONDE_OK && flat != turned);
    CHECK(sonde_tensor_is_contiguous(flat) && at2(flat, 3, 1) == -1 && at2(flat, 2, 0) == 2);
    sonde_tensor_release(flat);
    CHECK(sonde_tensor_contiguous(&flat, t) == SONDE_OK && flat == t && t->refs == 2);
    sonde_tensor_release(flat);
    sonde_tensor_release(t); /* the view keeps the storage */
    CHECK(at2(turned, 3, 1) == -1);
    sonde_tensor_release(turned);
}

static void test_copies(void)
{
    sonde_tensor *t = counting(SONDE_FLOAT32, SHAPE(2, 3)), *row = counting(SONDE_INT64, SHAPE(3)), *column, *d;
    CHECK(sonde_tensor_copy_(t, row) == SONDE_OK);
    CHECK(at2(t, 1, 2) == 2 && at2(t, 0, 1) == 1);
    CHECK(sonde_tensor_full(&column, SONDE_FLOAT64, SHAPE(2, 1), 0.1) == SONDE_OK);
    CHECK(sonde_tensor_copy_(t, column) == SONDE_OK && at2(t, 1, 1) == (double)0.1f);
    CHECK(sonde_tensor_copy_(row, t) == SONDE_ESHAPE && strstr(sonde_message(), "[2, 3]") &&
          strstr(sonde_message(), "[3]"));
    CHECK(sonde_tensor_to(&d, t, SONDE_FLOAT64) == SONDE_OK && at2(d, 0, 0) == (double)0.1f);
    sonde_tensor_release(d);
    sonde_tensor_set(t, (int64_t[]){0, 0}, (double)NAN);
    sonde_tensor_set(t, (int64_t[]){0, 1}, 1e30);
    sonde_tensor_set(t, (int64_t[]){0, 2}, -2.9);
    CHECK(sonde_tensor_to(&d, t, SONDE_INT64) == SONDE_OK);
    CHECK(sonde_tensor_get_int(d, (int64_t[]){0, 0}) == INT64_MIN);
    CHECK(sonde_tensor_get_int(d, (int64_t[]){0, 1}) == INT64_MAX);
    CHECK(sonde_tensor_get_int(d, (int64_t[]){0, 2}) == -2);
    sonde_tensor_release(d);
    sonde_tensor_release(t);
    sonde_tensor_release(column);
    sonde_tensor_release(row);
    /* a tensor onto itself, shifted by one */
    sonde_tensor *all = counting(SONDE_FLOAT64, SHAPE(5)), *low, *high;
    CHECK(sonde_tensor_as_strided(&low, all, SHAPE(4), (int64_t[]){1}, 0) == SONDE_OK);
    CHECK(sonde_tensor_as_strided(&high, all, SHAPE(4), (int64_t[]){1}, 1) == SONDE_OK);
    CHECK(sonde_tensor_copy_(high, low) == SONDE_OK);
    for (int64_t i = 1; i < 5; i++) CHECK(sonde_tensor_get(all, &i) == (double)(i - 1));
    sonde_tensor_release(low);
    sonde_tensor_release(high);
    sonde_tensor_release(all);
}

/* Every pair of permutations of a small tensor copied into each other. */
static void test_strided_copies(void)
{
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (int a = 0; a < 6; a++)
        for (int b = 0; b < 6; b++) {
            sonde_tensor *from = counting(SONDE_FLOAT32, SHAPE(3, 3, 3)), *to, *x, *y;
            int64_t stride_a[3], stride_b[3];
            CHECK(sonde_tensor_zeros(&to, SONDE_FLOAT64, SHAPE(3, 3, 3)) == SONDE_OK);
            for (int d = 0; d < 3; d++) {
                stride_a[d] = from->stride[orders[a][d]];
                stride_b[d] = to->stride[orders[b][d]];
            }
            CHECK(sonde_tensor_as_strided(&x, from, 3, from->shape, stride_a, 0) == SONDE_OK);
            CHECK(sonde_tensor_as_strided(&y, to, 3, to->shape, stride_b, 0) == SONDE_OK);
            CHECK(sonde_tensor_copy_(y, x) == SONDE_OK);
            bool same = true;
            for (int64_t i = 0; i < 27; i++) {
                int64_t index[3] = {i / 9, i / 3 % 3, i % 3};
                same &= sonde_tensor_get(x, index) == sonde_tensor_get(y, index);
            }
            CHECK(same);
            sonde_tensor_release(x);
            sonde_tensor_release(y);
            sonde_tensor_release(from);
            sonde_tensor_release(to);
        }
}

static void test_shapes(void)
{
    sonde_tensor *a = counting(SONDE_FLOAT32, SHAPE(3, 1, 4)), *b = counting(SONDE_FLOAT32, SHAPE(2, 1));
    sonde_tensor *c = counting(SONDE_FLOAT32, SHAPE(3, 5)), *none = counting(SONDE_FLOAT32, SHAPE(0, 4));
    int ndim, axis;
    int64_t shape[SONDE_MAX_DIMS];
    char text[SONDE_SHAPE_TEXT];
    CHECK(sonde_shape_broadcast(&ndim, shape, a, b) == SONDE_OK && ndim == 3);
    CHECK(shape[0] == 3 && shape[1] == 2 && shape[2] == 4);
    CHECK(sonde_shape_broadcast(&ndim, shape, a, c) == SONDE_ESHAPE);
    CHECK(strstr(sonde_message(), "[3, 1, 4]") && strstr(sonde_message(), "[3, 5]"));
    CHECK(sonde_shape_broadcast(&ndim, shape, none, none) == SONDE_OK && shape[0] == 0);
    CHECK(sonde_axis(&axis, -1, 3) == SONDE_OK && axis == 2);
    CHECK(sonde_axis(&axis, 3, 3) == SONDE_EARG && strstr(sonde_message(), "axis 4"));
    CHECK(sonde_axis(&axis, -4, 3) == SONDE_EARG);
    CHECK(strcmp(sonde_shape_text(text, 3, a->shape), "[3, 1, 4]") == 0);
    CHECK(strcmp(sonde_shape_text(text, 0, NULL), "[]") == 0);
    CHECK(sonde_dtype_promote(SONDE_INT64, SONDE_FLOAT32) == SONDE_FLOAT32);
    CHECK(sonde_dtype_promote(SONDE_FLOAT64, SONDE_FLOAT32) == SONDE_FLOAT64);
    CHECK(sonde_dtype_promote(SONDE_INT64, SONDE_INT64) == SONDE_INT64);
    sonde_tensor_release(a);
    sonde_tensor_release(b);
    sonde_tensor_release(c);
    sonde_tensor_release(none);
}

static void test_transposed_copy(void)
{
    sonde_tensor *w = counting(SONDE_FLOAT32, SHAPE(3, 5));
    const float *first = sonde_tensor_transposed(w);
    CHECK(first[0 * 3 + 2] == 10 && first[4 * 3 + 1] == 9);
    CHECK(sonde_tensor_transposed(w) == first);
    sonde_tensor_set(w, (int64_t[]){2, 0}, -1);
    CHECK(((const float *)sonde_tensor_transposed(w))[0 * 3 + 2] == -1);
    sonde_tensor *other; /* the same storage seen as another matrix */
    CHECK(sonde_tensor_as_strided(&other, w, SHAPE(5, 3), (int64_t[]){3, 1}, 0) == SONDE_OK);
    CHECK(((const float *)sonde_tensor_transposed(other))[2 * 5 + 4] == 14);
    CHECK(((const float *)sonde_tensor_transposed(w))[0 * 3 + 2] == -1);
    sonde_tensor_release(other);
    sonde_tensor_release(w);
}

static void check_text(sonde_tensor *t, const char *expected)
{
    char *text;
    CHECK(sonde_tensor_format(&text, t) == SONDE_OK);
    if (!CHECK(strcmp(text, expected) == 0)) printf("       %s\n       %s\n", text, expected);
    sonde_free(text);
    sonde_tensor_release(t);
}

static sonde_tensor *of(sonde_dtype dtype, int ndim, const int64_t *shape, const double *values)
{
    sonde_tensor *t = counting(dtype, ndim, shape);
    for (int64_t i = 0; i < sonde_tensor_numel(t); i++) {
        if (dtype == SONDE_FLOAT32) ((float *)sonde_tensor_data(t))[i] = (float)values[i];
        else ((double *)sonde_tensor_data(t))[i] = values[i];
    }
    return t;
}

/* As torch.tensor prints them. */
static void test_text(void)
{
    check_text(of(SONDE_FLOAT32, SHAPE(2, 2), (double[]){1, 2, 3, 4}), "tensor([[1., 2.],\n        [3., 4.]])");
    check_text(of(SONDE_FLOAT32, SHAPE(2), (double[]){0.5, -1.25}), "tensor([ 0.5000, -1.2500])");
    check_text(of(SONDE_FLOAT64, SHAPE(2), (double[]){1e-6, 1}), "tensor([1.0000e-06, 1.0000e+00], dtype=float64)");
    check_text(of(SONDE_FLOAT32, SHAPE(3), (double[]){(double)NAN, (double)INFINITY, 1}), "tensor([nan, inf, 1.])");
    check_text(counting(SONDE_INT64, SHAPE(3)), "tensor([0, 1, 2])");
    check_text(of(SONDE_FLOAT32, 0, NULL, (double[]){3.25}), "tensor(3.2500)");
    check_text(counting(SONDE_FLOAT32, SHAPE(0)), "tensor([])");
    check_text(counting(SONDE_FLOAT64, SHAPE(20)),
               "tensor([ 0.,  1.,  2.,  3.,  4.,  5.,  6.,  7.,  8.,  9., 10., 11., 12., 13.,\n"
               "        14., 15., 16., 17., 18., 19.], dtype=float64)");
    check_text(counting(SONDE_INT64, SHAPE(1001)), "tensor([   0,    1,    2,  ...,  998,  999, 1000])");
}

static void test_threads_count(void)
{
    int64_t before = sonde_tensor_live();
    sonde_tensor *t = counting(SONDE_FLOAT32, SHAPE(4));
    CHECK(sonde_tensor_live() == before + 1);
    sonde_tensor_release(t);
    CHECK(sonde_tensor_live() == before);
}

int main(void)
{
    CHECK_RUN(test_making);
    CHECK_RUN(test_views);
    CHECK_RUN(test_copies);
    CHECK_RUN(test_strided_copies);
    CHECK_RUN(test_shapes);
    CHECK_RUN(test_transposed_copy);
    CHECK_RUN(test_text);
    CHECK_RUN(test_threads_count);
    CHECK(sonde_tensor_live() == 0);
    CHECK(sonde_memory().live_blocks == 0);
    CHECK_END();
}
