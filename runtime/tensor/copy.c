#include "kernel/loops.h"
#include "tensor/tensor.h"

#include <string.h>

/* ---- one element ---------------------------------------------------------------------------------------- */

static void *element(const sonde_tensor *t, const int64_t *index)
{
    int64_t at = t->offset;
    for (int d = 0; d < t->ndim; d++) at += index[d] * t->stride[d];
    return (char *)t->storage->data + (size_t)at * sonde_dtype_size(t->dtype);
}

double sonde_tensor_get(const sonde_tensor *t, const int64_t *index)
{
    const void *at = element(t, index);
    if (t->dtype == SONDE_FLOAT32) return (double)*(const float *)at;
    return t->dtype == SONDE_FLOAT64 ? *(const double *)at : (double)*(const int64_t *)at;
}

int64_t sonde_tensor_get_int(const sonde_tensor *t, const int64_t *index)
{
    if (t->dtype == SONDE_INT64) return *(const int64_t *)element(t, index);
    return sonde_to_int64(sonde_tensor_get(t, index));
}

void sonde_tensor_set(sonde_tensor *t, const int64_t *index, double value)
{
    void *at = element(t, index);
    if (t->dtype == SONDE_FLOAT32) *(float *)at = (float)value;
    else if (t->dtype == SONDE_FLOAT64) *(double *)at = value;
    else *(int64_t *)at = sonde_to_int64(value);
    sonde_tensor_changed(t);
}

void sonde_tensor_set_int(sonde_tensor *t, const int64_t *index, int64_t value)
{
    if (t->dtype == SONDE_INT64) {
        *(int64_t *)element(t, index) = value;
        sonde_tensor_changed(t);
    } else {
        sonde_tensor_set(t, index, (double)value);
    }
}

/* ---- all elements --------------------------------------------------------------------------------------- */

static bool all_contiguous(int ndim, const int64_t *shape, int n, const sonde_tensor *const *t)
{
    for (int i = 0; i < n; i++) {
        if (t[i]->ndim != ndim || !sonde_tensor_is_contiguous(t[i])) return false;
        if (memcmp(t[i]->shape, shape, (size_t)ndim * sizeof *shape) != 0) return false;
    }
    return true;
}

void sonde_tensor_loop(sonde_loop *out, int ndim, const int64_t *shape, int n, const sonde_tensor *const *t)
{
    out->n_operands = n;
    if (all_contiguous(ndim, shape, n, t)) {
        out->ndim = 1;
        out->size[0] = sonde_tensor_numel(t[0]);
        for (int i = 0; i < n; i++) out->stride[i][0] = 1;
        return;
    }
    out->ndim = ndim;
    for (int d = 0; d < ndim; d++) {
        out->size[d] = shape[d];
        for (int i = 0; i < n; i++) {
            int own = d - (ndim - t[i]->ndim); /* shapes meet at their last axes */
            out->stride[i][d] = own < 0 || t[i]->shape[own] == 1 ? 0 : t[i]->stride[own];
        }
    }
    sonde_loop_simplify(out);
}

static sonde_status check_fits(const sonde_tensor *t, const sonde_tensor *source)
{
    int ndim;
    int64_t shape[SONDE_MAX_DIMS];
    SONDE_TRY(sonde_shape_broadcast(&ndim, shape, t, source));
    if (ndim == t->ndim && memcmp(shape, t->shape, (size_t)ndim * sizeof *shape) == 0) return SONDE_OK;
    char target_text[SONDE_SHAPE_TEXT], source_text[SONDE_SHAPE_TEXT];
    return sonde_fail(SONDE_ESHAPE, "a value of shape %s does not fit into a tensor of shape %s",
                      sonde_shape_text(source_text, source->ndim, source->shape),
                      sonde_shape_text(target_text, t->ndim, t->shape));
}

sonde_status sonde_tensor_copy_(sonde_tensor *t, const sonde_tensor *source)
{
    SONDE_TRY(check_fits(t, source));
    sonde_tensor *apart = NULL;
    if (source->storage == t->storage) { /* they may overlap */
        SONDE_TRY(sonde_tensor_new(&apart, source->dtype, source->ndim, source->shape));
        SONDE_TRY(sonde_tensor_copy_(apart, source));
        source = apart;
    }
    sonde_loop loop;
    sonde_tensor_loop(&loop, t->ndim, t->shape, 2, (const sonde_tensor *const[]){t, source});
    sonde_copy_kernel(t->dtype, sonde_tensor_data(t), source->dtype, sonde_tensor_data(source), &loop);
    sonde_tensor_changed(t);
    sonde_tensor_release(apart);
    return SONDE_OK;
}

sonde_status sonde_tensor_fill_(sonde_tensor *t, double value)
{
    union { float f; double d; int64_t i; } number = {.i = 0};
    if (t->dtype == SONDE_FLOAT32) number.f = (float)value;
    else if (t->dtype == SONDE_FLOAT64) number.d = value;
    else number.i = sonde_to_int64(value);
    sonde_loop loop;
    sonde_tensor_loop(&loop, t->ndim, t->shape, 1, (const sonde_tensor *const[]){t});
    loop.n_operands = 2;
    for (int d = 0; d < loop.ndim; d++) loop.stride[1][d] = 0;
    sonde_copy_kernel(t->dtype, sonde_tensor_data(t), t->dtype, &number, &loop);
    sonde_tensor_changed(t);
    return SONDE_OK;
}
