/* What the autograd tests share: little tensors, and the scalar loss Σ x·c. */
#ifndef SONDE_TESTS_AUTOGRAD_LAB_H
#define SONDE_TESTS_AUTOGRAD_LAB_H

#include "autograd/autograd.h"
#include "check.h"

#include <stdlib.h>
#include <string.h>

#define SHAPE(...) (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__}
#define OK(call) CHECK((call) == SONDE_OK)

/* Spread over ±2, no two alike, none near a kink. */
static inline sonde_tensor *lab_tensor(sonde_dtype dtype, int ndim, const int64_t *shape, bool requires_grad)
{
    static uint64_t state = 88172645463325252u;
    sonde_tensor *t;
    if (sonde_tensor_new(&t, dtype, ndim, shape) != SONDE_OK) abort();
    for (int64_t i = 0; i < sonde_tensor_numel(t); i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        double value = (double)(state >> 11) * 0x1p-53 * 4 - 2;
        if (dtype == SONDE_FLOAT32) ((float *)sonde_tensor_data(t))[i] = (float)value;
        else if (dtype == SONDE_FLOAT64) ((double *)sonde_tensor_data(t))[i] = value;
        else ((int64_t *)sonde_tensor_data(t))[i] = (int64_t)(state >> 40) % 9 - 4;
    }
    if (requires_grad && sonde_requires_grad_(t, true) != SONDE_OK) abort();
    return t;
}

static inline sonde_tensor *lab_from(const double *values, int ndim, const int64_t *shape, bool requires_grad)
{
    sonde_tensor *t;
    if (sonde_tensor_from(&t, SONDE_FLOAT64, ndim, shape, values) != SONDE_OK) abort();
    if (requires_grad && sonde_requires_grad_(t, true) != SONDE_OK) abort();
    return t;
}

static inline sonde_tensor *lab_number(double value, bool requires_grad)
{
    return lab_from(&value, 0, NULL, requires_grad);
}

/* Element i in memory order of a contiguous float64 tensor. */
static inline double lab_at(const sonde_tensor *t, int64_t i)
{
    return t ? ((const double *)sonde_tensor_data(t))[i] : (double)NAN;
}

static inline double lab_grad(const sonde_tensor *t, int64_t i) { return lab_at(sonde_grad(t), i); }

/* Σ x, backward. Takes the reference to x. */
static inline sonde_status lab_sum_backward(sonde_tensor *x, bool retain)
{
    sonde_tensor *loss;
    sonde_status status = sonde_reduce(&loss, SONDE_SUM, x, 0, NULL, false, 0);
    if (status == SONDE_OK) {
        status = sonde_backward(loss, NULL, retain);
        sonde_tensor_release(loss);
    }
    sonde_tensor_release(x);
    return status;
}

static inline void lab_release(int n, sonde_tensor **t)
{
    for (int i = 0; i < n; i++) sonde_tensor_release(t[i]);
}
#define RELEASE(...)                                                                                                   \
    lab_release((int)(sizeof((sonde_tensor *[]){__VA_ARGS__}) / sizeof(sonde_tensor *)),                               \
                (sonde_tensor *[]){__VA_ARGS__})

/* A program starts with nothing and must end with nothing. */
#define LAB_END()                                \
    do {                                         \
        CHECK(sonde_tensor_live() == 0);         \
        CHECK(sonde_memory().live_blocks == 0);  \
        CHECK_END();                             \
    } while (0)

#endif
