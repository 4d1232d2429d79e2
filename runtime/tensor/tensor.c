#include "tensor/tensor.h"
#include "kernel/kernel.h"

#include <stdatomic.h>
#include <string.h>

sonde_tensor_autograd_calls sonde_tensor_autograd;

static atomic_int_fast64_t live_tensors;

enum { STORAGE_HEADER = 64 }; /* so that the data behind it is aligned */
_Static_assert(sizeof(sonde_storage) <= STORAGE_HEADER, "the header fits in front of the data");

int64_t sonde_tensor_live(void) { return atomic_load_explicit(&live_tensors, memory_order_relaxed); }

/* ---- storage ------------------------------------------------------------------------------------------- */

static sonde_storage *storage_new(size_t bytes)
{
    sonde_storage *storage = sonde_alloc(STORAGE_HEADER + bytes);
    if (!storage) return NULL;
    *storage = (sonde_storage){.refs = 1, .bytes = bytes, .data = (char *)storage + STORAGE_HEADER};
    return storage;
}

void sonde_storage_release(sonde_storage *storage)
{
    if (--storage->refs > 0) return;
    sonde_free(storage->transposed);
    sonde_free(storage);
}

/* ---- tensors ------------------------------------------------------------------------------------------- */

static sonde_tensor *header_new(sonde_dtype dtype, int ndim, const int64_t *shape)
{
    sonde_tensor *t = sonde_alloc(sizeof *t);
    if (!t) return NULL;
    t->refs = 1;
    t->dtype = dtype;
    t->ndim = ndim;
    t->requires_grad = false;
    int64_t stride = 1;
    for (int d = ndim - 1; d >= 0; d--) {
        t->shape[d] = shape[d];
        t->stride[d] = stride;
        stride *= shape[d] > 1 ? shape[d] : 1;
    }
    t->offset = 0;
    t->storage = NULL;
    t->autograd = NULL;
    t->base = NULL;
    atomic_fetch_add_explicit(&live_tensors, 1, memory_order_relaxed);
    return t;
}

sonde_status sonde_tensor_new(sonde_tensor **out, sonde_dtype dtype, int ndim, const int64_t *shape)
{
    int64_t n;
    SONDE_TRY(sonde_shape_numel(&n, dtype, ndim, shape));
    sonde_tensor *t = header_new(dtype, ndim, shape);
    if (!t) return SONDE_ENOMEM;
    t->storage = storage_new((size_t)n * sonde_dtype_size(dtype));
    if (!t->storage) {
        sonde_tensor_release(t);
        return SONDE_ENOMEM;
    }
    *out = t;
    return SONDE_OK;
}

sonde_status sonde_tensor_zeros(sonde_tensor **out, sonde_dtype dtype, int ndim, const int64_t *shape)
{
    SONDE_TRY(sonde_tensor_new(out, dtype, ndim, shape));
    memset((*out)->storage->data, 0, (*out)->storage->bytes);
    return SONDE_OK;
}

sonde_status sonde_tensor_full(sonde_tensor **out, sonde_dtype dtype, int ndim, const int64_t *shape, double value)
{
    SONDE_TRY(sonde_tensor_new(out, dtype, ndim, shape));
    return sonde_tensor_fill_(*out, value);
}

sonde_status sonde_tensor_from(sonde_tensor **out, sonde_dtype dtype, int ndim, const int64_t *shape, const void *data)
{
    SONDE_TRY(sonde_tensor_new(out, dtype, ndim, shape));
    if ((*out)->storage->bytes) memcpy((*out)->storage->data, data, (*out)->storage->bytes);
    return SONDE_OK;
}

sonde_status sonde_tensor_like(sonde_tensor **out, const sonde_tensor *t)
{
    return sonde_tensor_new(out, t->dtype, t->ndim, t->shape);
}

sonde_status sonde_tensor_clone(sonde_tensor **out, const sonde_tensor *t)
{
    sonde_tensor *copy;
    SONDE_TRY(sonde_tensor_like(&copy, t));
    sonde_status status = sonde_tensor_copy_(copy, t);
    if (status != SONDE_OK) {
        sonde_tensor_release(copy);
        return status;
    }
    copy->storage->version = 0; /* nobody saw it empty */
    *out = copy;
    return SONDE_OK;
}

sonde_status sonde_tensor_contiguous(sonde_tensor **out, sonde_tensor *t)
{
    if (!sonde_tensor_is_contiguous(t)) return sonde_tensor_clone(out, t);
    *out = sonde_tensor_retain(t);
    return SONDE_OK;
}

sonde_status sonde_tensor_to(sonde_tensor **out, sonde_tensor *t, sonde_dtype dtype)
{
    if (t->dtype == dtype) {
        *out = sonde_tensor_retain(t);
        return SONDE_OK;
    }
    sonde_tensor *copy;
    SONDE_TRY(sonde_tensor_new(&copy, dtype, t->ndim, t->shape));
    sonde_status status = sonde_tensor_copy_(copy, t);
    if (status != SONDE_OK) {
        sonde_tensor_release(copy);
        return status;
    }
    *out = copy;
    return SONDE_OK;
}

void sonde_tensor_exchange(sonde_tensor *a, sonde_tensor *b)
{
    const sonde_tensor old = *a;
    a->dtype = b->dtype, a->storage = b->storage, a->offset = b->offset, a->base = b->base;
    b->dtype = old.dtype, b->storage = old.storage, b->offset = old.offset, b->base = old.base;
    for (int d = 0; d < a->ndim; d++) {
        a->stride[d] = b->stride[d];
        b->stride[d] = old.stride[d];
    }
}

sonde_tensor *sonde_tensor_retain(sonde_tensor *t)
{
    t->refs++;
    return t;
}

void sonde_tensor_release(sonde_tensor *t)
{
    while (t && --t->refs == 0) {
        sonde_tensor *base = t->base; /* a view of a view refers to the first, so this turns at most twice */
        if (t->autograd) sonde_tensor_autograd.free(t->autograd);
        if (t->storage) sonde_storage_release(t->storage);
        sonde_free(t);
        atomic_fetch_sub_explicit(&live_tensors, 1, memory_order_relaxed);
        t = base;
    }
}

sonde_status sonde_tensor_as_strided(sonde_tensor **out, sonde_tensor *t, int ndim, const int64_t *shape,
                                     const int64_t *stride, int64_t offset)
{
    if (ndim < 0 || ndim > SONDE_MAX_DIMS)
        return sonde_fail(SONDE_EARG, "a tensor has at most %d axes, got %d", SONDE_MAX_DIMS, ndim);
    sonde_tensor *view = header_new(t->dtype, ndim, shape);
    if (!view) return SONDE_ENOMEM;
    for (int d = 0; d < ndim; d++) view->stride[d] = stride[d];
    view->offset = offset;
    view->storage = t->storage;
    view->storage->refs++;
    *out = view;
    return SONDE_OK;
}

/* ---- the transposed copy -------------------------------------------------------------------------------- */

struct sonde_transposed {
    uint32_t version;
    int64_t offset, rows, columns;
    char data[] __attribute__((aligned(64)));
};

const void *sonde_tensor_transposed(const sonde_tensor *t)
{
    sonde_storage *storage = t->storage;
    struct sonde_transposed *cache = storage->transposed;
    int64_t rows = t->shape[0], columns = t->shape[1];
    bool fits = cache && cache->offset == t->offset && cache->rows == rows && cache->columns == columns;
    if (fits && cache->version == storage->version) return cache->data;
    if (!fits) {
        cache = sonde_alloc(sizeof *cache + (size_t)(rows * columns) * sonde_dtype_size(t->dtype));
        if (!cache) return NULL;
        sonde_free(storage->transposed);
        storage->transposed = cache;
        *cache = (struct sonde_transposed){.offset = t->offset, .rows = rows, .columns = columns};
    }
    sonde_transpose_kernel(t->dtype, cache->data, sonde_tensor_data(t), rows, columns);
    cache->version = storage->version;
    return cache->data;
}
