/* Initialisers of a given structure, and the truncated normal: views, types, edges, refusals, memory. */
#include "check.h"
#include "nn/nn.h"

#include <stdlib.h>
#include <string.h>

static bool says(const char *words)
{
    if (strstr(sonde_message(), words)) return true;
    printf("       message: %s\n", sonde_message());
    return false;
}

static sonde_tensor *ones(sonde_dtype dtype, int ndim, const int64_t *shape)
{
    sonde_tensor *t = NULL;
    if (sonde_tensor_zeros(&t, dtype, ndim, shape) != SONDE_OK) abort();
    if (sonde_dtype_is_float(dtype) && sonde_init_constant_(t, 1) != SONDE_OK) abort();
    return t;
}

static sonde_stream stream(void)
{
    sonde_stream s;
    sonde_stream_init(&s, 7, "test");
    return s;
}

static void truncated(void)
{
    sonde_stream s = stream(), again = stream();
    sonde_tensor *a = ones(SONDE_FLOAT64, 1, (int64_t[]){5000}), *b = ones(SONDE_FLOAT32, 1, (int64_t[]){5000});
    CHECK(sonde_init_trunc_normal_(a, &s, 0, 1, -1, 0.5) == SONDE_OK);
    CHECK(sonde_init_trunc_normal_(b, &again, 0, 1, -1, 0.5) == SONDE_OK);
    CHECK(s.position == again.position);
    double low = 1, high = -1;
    for (int64_t i = 0; i < 5000; i++) {
        double x = sonde_tensor_get(a, &i);
        low = fmin(low, x), high = fmax(high, x);
        CHECK(sonde_tensor_get(b, &i) == (double)(float)x); /* the same draws */
    }
    CHECK(low >= -1 && low < -0.99 && high <= 0.5 && high > 0.49);
    CHECK(sonde_init_trunc_normal_(a, &s, 0, 1, 40, HUGE_VAL) == SONDE_EARG && says("nothing of N(0, 1²)"));
    CHECK(sonde_init_trunc_normal_(a, &s, 0, 1, 36, HUGE_VAL) == SONDE_OK);
    CHECK(sonde_init_trunc_normal_(a, &s, 0, 1, -HUGE_VAL, HUGE_VAL) == SONDE_OK);
    for (int64_t i = 0; i < 5000; i++) CHECK(fabs(sonde_tensor_get(a, &i)) < 6);
    CHECK(sonde_init_trunc_normal_(a, &s, (double)NAN, 1, -1, 1) == SONDE_EARG && says("finite mean"));
    CHECK(sonde_init_trunc_normal_(a, &s, 0, 1, (double)NAN, 1) == SONDE_EARG && says("a < b"));
    sonde_tensor_release(a);
    sonde_tensor_release(b);
}

/* Without memory w is as it was, and nothing is lost. */
static void out_of_memory(void)
{
    sonde_stream s = stream();
    sonde_tensor *w = ones(SONDE_FLOAT32, 3, (int64_t[]){6, 4, 3}), *matrix = ones(SONDE_FLOAT32, 2, (int64_t[]){6, 4});
    int64_t live = sonde_tensor_live();
    for (long n = 1; n <= 8; n++) {
        sonde_memory_trim();
        sonde_memory_fail_at(n);
        sonde_status status[] = {sonde_init_delta_orthogonal_(w, &s, 1), SONDE_OK, SONDE_OK};
        sonde_memory_fail_at(n);
        status[1] = sonde_init_sparse_(matrix, &s, 0.5, 1);
        sonde_memory_fail_at(n);
        status[2] = sonde_init_dirac_(w, 1);
        sonde_memory_fail_at(-1);
        for (int i = 0; i < 3; i++) CHECK(status[i] == SONDE_OK || status[i] == SONDE_ENOMEM);
        CHECK(sonde_tensor_live() == live);
    }
    sonde_tensor_release(w);
    sonde_tensor_release(matrix);
}

/* The rows of an empty or transposed matrix, kernels without elements. */
static void edges(void)
{
    sonde_stream s = stream();
    sonde_tensor *none = ones(SONDE_FLOAT32, 2, (int64_t[]){0, 3});
    sonde_tensor *flat = ones(SONDE_FLOAT32, 3, (int64_t[]){2, 2, 0});
    CHECK(sonde_init_eye_(none) == SONDE_OK && sonde_init_sparse_(none, &s, 0.5, 1) == SONDE_OK);
    CHECK(sonde_init_dirac_(flat, 1) == SONDE_OK && sonde_init_delta_orthogonal_(flat, &s, 1) == SONDE_OK);
    CHECK(sonde_init_trunc_normal_(flat, &s, 0, 1, -2, 2) == SONDE_OK);
    sonde_tensor_release(none);
    sonde_tensor_release(flat);
}

static void refusals(void)
{
    sonde_stream s = stream();
    sonde_tensor *whole = ones(SONDE_INT64, 2, (int64_t[]){2, 2}), *vector = ones(SONDE_FLOAT32, 1, (int64_t[]){4});
    sonde_tensor *kernel = ones(SONDE_FLOAT32, 3, (int64_t[]){2, 4, 3});
    CHECK(sonde_init_eye_(whole) == SONDE_EDTYPE && says("int64"));
    CHECK(sonde_init_sparse_(whole, &s, 0.5, 1) == SONDE_EDTYPE);
    CHECK(sonde_init_eye_(vector) == SONDE_ESHAPE && says("[4]"));
    CHECK(sonde_init_dirac_(vector, 1) == SONDE_ESHAPE && sonde_init_dirac_(kernel, 0) == SONDE_EARG);
    CHECK(sonde_init_dirac_(kernel, -1) == SONDE_EARG && sonde_init_dirac_(kernel, INT64_MAX) == SONDE_EARG);
    CHECK(sonde_init_delta_orthogonal_(kernel, &s, 1) == SONDE_EARG && says("4 input channels"));
    CHECK(sonde_init_delta_orthogonal_(vector, &s, 1) == SONDE_ESHAPE);
    CHECK(sonde_init_sparse_(vector, &s, 0.5, 1) == SONDE_ESHAPE);
    sonde_tensor_release(whole);
    sonde_tensor_release(vector);
    sonde_tensor_release(kernel);
}

int main(void)
{
    CHECK_RUN(truncated);
    CHECK_RUN(out_of_memory);
    CHECK_RUN(edges);
    CHECK_RUN(refusals);
    CHECK(sonde_tensor_live() == 0);
    CHECK_END();
}
