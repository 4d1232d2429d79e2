/* What the tests of hooks set up. */
#ifndef SONDE_TESTS_NN_SCENE_H
#define SONDE_TESTS_NN_SCENE_H

#include "check.h"
#include "nn/nn.h"

#include <stdlib.h>
#include <string.h>

static inline bool says(const char *words)
{
    if (strstr(sonde_message(), words)) return true;
    printf("       message: %s\n", sonde_message());
    return false;
}

static inline sonde_tensor *row(int n, const double *values)
{
    sonde_tensor *t = NULL;
    if (sonde_tensor_from(&t, SONDE_FLOAT64, 1, &(int64_t){n}, values) != SONDE_OK) abort();
    return t;
}

static inline double at(const sonde_tensor *t, int64_t i)
{
    return sonde_tensor_get(t, &i);
}

static inline sonde_module *relu(bool inplace)
{
    sonde_module *m = NULL;
    if (sonde_activation_module_new(&m, "ReLU", &(sonde_activation){.kind = SONDE_RELU}, inplace) != SONDE_OK) abort();
    return m;
}

/* x requires a gradient; z = 2x is what goes into the module, so that in-place layers may write into it. */
typedef struct scene {
    sonde_tensor *x, *z;
} scene;

static inline scene scene_new(void)
{
    scene s = {.x = row(3, (double[]){-1, 2, 3})};
    if (sonde_requires_grad_(s.x, true) != SONDE_OK || sonde_scalar_op(&s.z, SONDE_MUL, s.x, 2, false) != SONDE_OK)
        abort();
    return s;
}

static inline void scene_free(scene *s)
{
    sonde_tensor_release(s->x);
    sonde_tensor_release(s->z);
}

static inline sonde_status sum_backward(sonde_tensor *y, const double *weights)
{
    sonde_tensor *w = row(3, weights);
    sonde_status status = sonde_backward(y, w, false);
    sonde_tensor_release(w);
    return status;
}

#endif
