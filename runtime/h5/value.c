/* Values in memory: checking, copying, freeing, and the types they have in a file. */
#include "h5/room.h"

#include <string.h>

size_t h5_element_size(sonde_h5_type type)
{
    return type == SONDE_H5_F32 ? 4 : type == SONDE_H5_TEXT ? sizeof(char *) : 8;
}

void sonde_h5_value_free(sonde_h5_value *value)
{
    sonde_free(value->data);
    *value = (sonde_h5_value){ 0 };
}

int64_t sonde_h5_value_count(const sonde_h5_value *value)
{
    int64_t n = 1;
    for (int d = 0; d < value->ndim; d++) /* no product of the others, which might overflow */
        if (value->shape[d] == 0) return 0;
    for (int d = 0; d < value->ndim; d++) n *= value->shape[d];
    return n;
}

sonde_h5_value sonde_h5_text(const char *const *text)
{
    return (sonde_h5_value){ .type = SONDE_H5_TEXT, .data = (void *)(uintptr_t)text };
}

sonde_h5_value sonde_h5_integer(const int64_t *number)
{
    return (sonde_h5_value){ .type = SONDE_H5_I64, .data = (void *)(uintptr_t)number };
}

sonde_h5_value sonde_h5_number(const double *number)
{
    return (sonde_h5_value){ .type = SONDE_H5_F64, .data = (void *)(uintptr_t)number };
}

sonde_h5_value sonde_h5_tensor_of(sonde_dtype dtype, int ndim, const int64_t *shape, const void *data)
{
    sonde_h5_value value = { .ndim = ndim, .data = (void *)(uintptr_t)data };
    value.type = dtype == SONDE_FLOAT32 ? SONDE_H5_F32 : dtype == SONDE_FLOAT64 ? SONDE_H5_F64 : SONDE_H5_I64;
    for (int d = 0; d < ndim && d < SONDE_H5_DIMS; d++) value.shape[d] = shape[d];
    return value;
}

sonde_status h5_value_check(const sonde_h5_value *value, const char *what)
{
    if (value->type > SONDE_H5_TEXT) return sonde_fail(SONDE_EARG, "%s: cannot write a value of this type", what);
    if (value->ndim < 0 || value->ndim > SONDE_H5_DIMS)
        return sonde_fail(SONDE_EARG, "%s: has %d axes, at most %d can be written", what, value->ndim, SONDE_H5_DIMS);
    size_t bytes = h5_element_size(value->type);
    bool empty = false;
    for (int d = 0; d < value->ndim; d++) {
        if (value->shape[d] < 0) return sonde_fail(SONDE_EARG, "%s: axis %d has a negative length", what, d + 1);
        empty = empty || value->shape[d] == 0;
    }
    for (int d = 0; d < value->ndim && !empty; d++)
        if (!sonde_size_mul(bytes, (size_t)value->shape[d], &bytes) || bytes > (size_t)INT64_MAX)
            return sonde_fail(SONDE_ENOMEM, "%s: its size overflows", what);
    if (!value->data && !empty) return sonde_fail(SONDE_EARG, "%s: there is no data", what);
    return SONDE_OK;
}

sonde_status h5_value_copy(sonde_h5_value *out, const sonde_h5_value *value)
{
    int64_t n = sonde_h5_value_count(value);
    sonde_h5_value copy = *value;
    if (value->type == SONDE_H5_TEXT) {
        SONDE_TRY(h5_pack_text(&copy, n, value->data, false));
        copy.ndim = value->ndim;
        memcpy(copy.shape, value->shape, sizeof copy.shape);
    } else {
        size_t bytes = (size_t)n * h5_element_size(value->type);
        copy.data = sonde_alloc(bytes ? bytes : 1);
        if (!copy.data) return SONDE_ENOMEM;
        if (bytes) memcpy(copy.data, value->data, bytes);
    }
    *out = copy;
    return SONDE_OK;
}

hid_t h5_stored_type(sonde_h5_type type)
{
    if (type == SONDE_H5_F32) return H5Tcopy(H5T_NATIVE_FLOAT);
    if (type == SONDE_H5_F64) return H5Tcopy(H5T_NATIVE_DOUBLE);
    if (type == SONDE_H5_I64) return H5Tcopy(H5T_NATIVE_INT64);
    /* Variable length: fixed-length strings come out of h5py as bytes and crash netCDF4 as coordinates. */
    hid_t text = H5Tcopy(H5T_C_S1);
    if (text < 0 || H5Tset_size(text, H5T_VARIABLE) < 0 || H5Tset_cset(text, H5T_CSET_UTF8) < 0) {
        h5_close_id(&text);
        return H5I_INVALID_HID;
    }
    return text;
}
