/* Appending to datasets that grow along their first axis. */
#include "h5/room.h"

#include <string.h>

static sonde_status check_fit(hid_t dataset, const char *path, const sonde_h5_value *value, hsize_t *shape)
{
    char name[24];
    scoped hid_t type = H5Dget_type(dataset);
    scoped hid_t space = H5Dget_space(dataset);
    hsize_t most[SONDE_H5_DIMS];
    int ndim = space < 0 ? -1 : H5Sget_simple_extent_ndims(space);
    if (type < 0 || ndim < 0) return h5_fail(SONDE_EFORMAT, "'%s' cannot be read", path);
    if (ndim == 0 || ndim > SONDE_H5_DIMS || H5Sget_simple_extent_dims(space, shape, most) < 0 ||
        most[0] != H5S_UNLIMITED)
        return sonde_fail(SONDE_EARG, "'%s' has a fixed size; only what append has made grows", path);
    bool same = value->ndim == ndim;
    for (int d = 1; same && d < ndim; d++) same = value->shape[d] == (int64_t)shape[d];
    if (!same) return sonde_fail(SONDE_EARG, "'%s': the value's axes do not fit; all but the first are equal", path);
    sonde_h5_type stored = h5_classify(type, name);
    bool is_float = value->type == SONDE_H5_F32 || value->type == SONDE_H5_F64;
    if (stored == SONDE_H5_OTHER || (stored == SONDE_H5_TEXT) != (value->type == SONDE_H5_TEXT) ||
        (stored == SONDE_H5_I64 && is_float))
        return sonde_fail(SONDE_EDTYPE, "'%s' holds %s data, not %s", path, name,
                          value->type == SONDE_H5_TEXT ? "text" : is_float ? "fractions" : "integers");
    return SONDE_OK;
}

/* HDF5 would store integers that do not fit as the nearest that do. */
static sonde_status check_range(hid_t dataset, const char *path, const sonde_h5_value *value)
{
    char name[24];
    scoped hid_t type = H5Dget_type(dataset);
    if (value->type != SONDE_H5_I64 || type < 0 || H5Tget_class(type) != H5T_INTEGER) return SONDE_OK;
    size_t bits = H5Tget_precision(type);
    bool is_signed = H5Tget_sign(type) != H5T_SGN_NONE;
    int64_t high = bits >= 64 ? INT64_MAX : (INT64_C(1) << (is_signed ? bits - 1 : bits)) - 1;
    int64_t low = !is_signed ? 0 : bits >= 64 ? INT64_MIN : -high - 1;
    int64_t n = sonde_h5_value_count(value);
    h5_classify(type, name);
    for (int64_t i = 0; i < n; i++) {
        int64_t number = ((const int64_t *)value->data)[i];
        if (number < low || number > high)
            return sonde_fail(SONDE_EDTYPE, "'%s' holds %s data, in which %lld has no room", path, name,
                              (long long)number);
    }
    return SONDE_OK;
}

/* Makes room for the value and writes it there. */
static sonde_status write_after(hid_t dataset, const char *path, const sonde_h5_value *value, const hsize_t *shape)
{
    hsize_t extent[SONDE_H5_DIMS], start[SONDE_H5_DIMS] = { shape[0] }, count[SONDE_H5_DIMS];
    for (int d = 0; d < value->ndim; d++) extent[d] = count[d] = (hsize_t)value->shape[d];
    extent[0] += shape[0];
    sonde_h5_value clean;
    const void *data;
    SONDE_TRY(h5_writable(value, &clean, &data));
    scoped hid_t type = h5_stored_type(value->type);
    scoped hid_t from = H5Screate_simple(value->ndim, count, NULL);
    bool ok = H5Dset_extent(dataset, extent) >= 0;
    scoped hid_t to = H5Dget_space(dataset);
    ok = ok && H5Sselect_hyperslab(to, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
         H5Dwrite(dataset, type, from, to, H5P_DEFAULT, data) >= 0;
    sonde_h5_value_free(&clean);
    return ok ? SONDE_OK : h5_fail(SONDE_EIO, "'%s' cannot be extended", path);
}

/* An axis that only counts, 1..n, counts on: only such a scale may be shorter than its dataset. */
static sonde_status extend_count(hid_t scale, const char *path, hsize_t wanted)
{
    hsize_t n = 0, most = 0;
    char name[24];
    scoped hid_t space = H5Dget_space(scale);
    scoped hid_t type = H5Dget_type(scale);
    if (space < 0 || type < 0 || H5Sget_simple_extent_ndims(space) != 1)
        return h5_fail(SONDE_EFORMAT, "'%s': its axis cannot be read", path);
    H5Sget_simple_extent_dims(space, &n, &most);
    if (n >= wanted) return SONDE_OK;
    sonde_h5_value old = { 0 };
    bool counts = most == H5S_UNLIMITED && h5_classify(type, name) == SONDE_H5_I64 &&
                  h5_read_dataset(scale, path, SONDE_H5_I64, NULL, &old) == SONDE_OK;
    for (hsize_t i = 0; counts && i < n; i++) counts = ((int64_t *)old.data)[i] == (int64_t)i + 1;
    sonde_h5_value_free(&old);
    if (!counts)
        return sonde_fail(SONDE_EARG, "'%s': its first axis has %llu values and would need %llu; append to that first",
                          path, (unsigned long long)n, (unsigned long long)wanted);
    int64_t *number = sonde_alloc((size_t)(wanted - n) * sizeof *number);
    if (!number) return SONDE_ENOMEM;
    for (hsize_t i = n; i < wanted; i++) number[i - n] = (int64_t)i + 1;
    sonde_h5_value more = { .type = SONDE_H5_I64, .ndim = 1, .shape = { (int64_t)(wanted - n) }, .data = number };
    sonde_status status = write_after(scale, path, &more, &n);
    sonde_free(number);
    return status;
}

sonde_status h5_append(hid_t file, const char *path, const sonde_h5_value *value, const char *const *axes)
{
    SONDE_TRY(h5_check_path(path));
    SONDE_TRY(h5_value_check(value, path));
    if (value->ndim == 0) return sonde_fail(SONDE_EARG, "'%s': a scalar has no axis to append along", path);
    if (h5_kind(file, path) == SONDE_H5_NOTHING) return h5_put(file, path, value, axes, H5_GROWING);
    if (h5_kind(file, path) != SONDE_H5_DATASET) return sonde_fail(SONDE_EARG, "'%s' is not a dataset", path);
    hsize_t shape[SONDE_H5_DIMS];
    scoped hid_t dataset = H5Dopen2(file, path, H5P_DEFAULT);
    if (dataset < 0) return h5_fail(SONDE_EFORMAT, "'%s' cannot be opened", path);
    SONDE_TRY(check_fit(dataset, path, value, shape));
    SONDE_TRY(check_range(dataset, path, value));
    if (sonde_h5_value_count(value) == 0) return SONDE_OK;
    scoped hid_t scale = H5DSis_scale(dataset) > 0 ? H5I_INVALID_HID : h5_first_scale(dataset, 0);
    if (scale >= 0) SONDE_TRY(extend_count(scale, path, shape[0] + (hsize_t)value->shape[0]));
    return write_after(dataset, path, value, shape);
}
