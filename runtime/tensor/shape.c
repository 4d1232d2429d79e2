#include "tensor/tensor.h"

#include <stdio.h>
#include <string.h>

sonde_status sonde_shape_numel(int64_t *out, sonde_dtype dtype, int ndim, const int64_t *shape)
{
    if (ndim < 0 || ndim > SONDE_MAX_DIMS)
        return sonde_fail(SONDE_EARG, "a tensor has at most %d axes, got %d", SONDE_MAX_DIMS, ndim);
    int64_t n = 1, bytes;
    bool empty = false, overflow = false;
    for (int d = 0; d < ndim; d++) {
        if (__builtin_expect(shape[d] < 0, 0))
            return sonde_fail(SONDE_EARG, "the size of axis %d is negative: %lld", d + 1, (long long)shape[d]);
        if (shape[d] == 0) empty = true;
        else overflow |= __builtin_mul_overflow(n, shape[d], &n);
    }
    if (overflow || __builtin_mul_overflow(n, (int64_t)sonde_dtype_size(dtype), &bytes)) {
        char text[SONDE_SHAPE_TEXT];
        return sonde_fail(SONDE_ENOMEM, "a tensor of shape %s has more elements than can be counted",
                          sonde_shape_text(text, ndim, shape));
    }
    *out = empty ? 0 : n;
    return SONDE_OK;
}

sonde_status sonde_shape_broadcast(int *ndim, int64_t *shape, const sonde_tensor *a, const sonde_tensor *b)
{
    int n = a->ndim > b->ndim ? a->ndim : b->ndim;
    int64_t result[SONDE_MAX_DIMS];
    for (int d = 0; d < n; d++) { /* from the last axis */
        int64_t of_a = d < a->ndim ? a->shape[a->ndim - 1 - d] : 1;
        int64_t of_b = d < b->ndim ? b->shape[b->ndim - 1 - d] : 1;
        if (of_a != of_b && of_a != 1 && of_b != 1) {
            char text_a[SONDE_SHAPE_TEXT], text_b[SONDE_SHAPE_TEXT];
            return sonde_fail(SONDE_ESHAPE,
                              "shapes %s and %s do not broadcast: sizes %lld and %lld at axis %d from the end",
                              sonde_shape_text(text_a, a->ndim, a->shape), sonde_shape_text(text_b, b->ndim, b->shape),
                              (long long)of_a, (long long)of_b, d + 1);
        }
        result[n - 1 - d] = of_a == 1 ? of_b : of_a;
    }
    memcpy(shape, result, (size_t)n * sizeof *shape);
    *ndim = n;
    return SONDE_OK;
}

sonde_status sonde_axis(int *out, int axis, int ndim)
{
    if (axis < -ndim || axis >= ndim)
        return sonde_fail(SONDE_EARG, "axis %d of a tensor with %d ax%s", axis < 0 ? axis : axis + 1, ndim,
                          ndim == 1 ? "is" : "es");
    *out = axis < 0 ? axis + ndim : axis;
    return SONDE_OK;
}

sonde_dtype sonde_dtype_promote(sonde_dtype a, sonde_dtype b)
{
    if (a == SONDE_FLOAT64 || b == SONDE_FLOAT64) return SONDE_FLOAT64;
    return a == SONDE_FLOAT32 || b == SONDE_FLOAT32 ? SONDE_FLOAT32 : SONDE_INT64;
}

const char *sonde_shape_text(char text[static SONDE_SHAPE_TEXT], int ndim, const int64_t *shape)
{
    size_t used = (size_t)snprintf(text, SONDE_SHAPE_TEXT, "[");
    for (int d = 0; d < ndim && used < SONDE_SHAPE_TEXT; d++)
        used += (size_t)snprintf(text + used, SONDE_SHAPE_TEXT - used, "%s%lld", d ? ", " : "", (long long)shape[d]);
    if (used < SONDE_SHAPE_TEXT - 1) snprintf(text + used, SONDE_SHAPE_TEXT - used, "]");
    return text;
}

bool sonde_tensor_is_contiguous(const sonde_tensor *t)
{
    int64_t stride = 1;
    for (int d = t->ndim - 1; d >= 0; d--) {
        if (t->shape[d] == 0) return true;
        if (t->shape[d] == 1) continue;
        if (t->stride[d] != stride) return false;
        stride *= t->shape[d];
    }
    return true;
}

bool sonde_tensor_same_shape(const sonde_tensor *a, const sonde_tensor *b)
{
    return a->ndim == b->ndim && memcmp(a->shape, b->shape, (size_t)a->ndim * sizeof *a->shape) == 0;
}
