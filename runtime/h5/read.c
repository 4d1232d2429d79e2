/* Reading a dataset or an attribute of any HDF5 file into plain memory. */
#include "h5/room.h"

#include <stdio.h>
#include <string.h>

sonde_h5_type h5_classify(hid_t stored, char name[static 24])
{
    unsigned bits = (unsigned)H5Tget_size(stored) * 8;
    switch (H5Tget_class(stored)) {
    case H5T_INTEGER:
        snprintf(name, 24, "%sint%u", H5Tget_sign(stored) == H5T_SGN_NONE ? "u" : "", bits);
        return SONDE_H5_I64;
    case H5T_ENUM: snprintf(name, 24, "enum"); return SONDE_H5_I64;
    case H5T_FLOAT: snprintf(name, 24, "float%u", bits); return bits <= 32 ? SONDE_H5_F32 : SONDE_H5_F64;
    case H5T_STRING:
        if (H5Tis_variable_str(stored) <= 0)
            snprintf(name, 24, "string(%u)", bits / 8);
        else
            snprintf(name, 24, H5Tget_cset(stored) == H5T_CSET_UTF8 ? "string" : "string(ascii)");
        return SONDE_H5_TEXT;
    case H5T_COMPOUND: snprintf(name, 24, "compound"); break;
    case H5T_REFERENCE: snprintf(name, 24, "reference"); break;
    case H5T_OPAQUE: snprintf(name, 24, "opaque"); break;
    case H5T_BITFIELD: snprintf(name, 24, "bitfield"); break;
    case H5T_ARRAY: snprintf(name, 24, "array"); break;
    case H5T_VLEN: snprintf(name, 24, "vlen"); break;
    default: snprintf(name, 24, "unknown"); break;
    }
    return SONDE_H5_OTHER;
}

/* ---- where from ---------------------------------------------------------------------------------------- */

typedef struct source {
    const char *what;
    hid_t id, type;
    bool is_attribute;
    hid_t memory, file; /* spaces; H5S_ALL for attributes */
} source;

static herr_t read_raw(const source *from, hid_t memory_type, void *data)
{
    if (from->is_attribute) return H5Aread(from->id, memory_type, data);
    return H5Dread(from->id, memory_type, from->memory, from->file, H5P_DEFAULT, data);
}

/* Unsigned integers of 8 bytes: HDF5 would make the largest ones 2^63 - 1. */
static sonde_status read_unsigned(const source *from, sonde_h5_value *out)
{
    if (read_raw(from, H5T_NATIVE_UINT64, out->data) < 0) return h5_fail(SONDE_EFORMAT, "%s cannot be read", from->what);
    int64_t n = sonde_h5_value_count(out);
    for (int64_t i = 0; i < n; i++) {
        uint64_t number = ((uint64_t *)out->data)[i];
        if (number > INT64_MAX)
            return sonde_fail(SONDE_EDTYPE, "%s holds %llu, beyond int64; read it as float64", from->what,
                              (unsigned long long)number);
    }
    return SONDE_OK;
}

static sonde_status read_numbers(const source *from, sonde_h5_value *out)
{
    if (out->type == SONDE_H5_I64 && H5Tget_class(from->type) == H5T_INTEGER && H5Tget_size(from->type) >= 8 &&
        H5Tget_sign(from->type) == H5T_SGN_NONE)
        return read_unsigned(from, out);
    scoped hid_t type = h5_stored_type(out->type);
    if (type < 0) return h5_fail(SONDE_ENOMEM, "%s", from->what);
    if (read_raw(from, type, out->data) < 0) return h5_fail(SONDE_EFORMAT, "%s cannot be read", from->what);
    return SONDE_OK;
}

/* HDF5 does not convert between character sets: read in the one that is stored. */
static sonde_status read_variable_text(const source *from, hid_t space, int64_t n, sonde_h5_value *out)
{
    scoped hid_t type = h5_stored_type(SONDE_H5_TEXT);
    if (type < 0 || H5Tset_cset(type, H5Tget_cset(from->type)) < 0) return h5_fail(SONDE_ENOMEM, "%s", from->what);
    char **raw = sonde_alloc_zeroed((size_t)n * sizeof *raw + 1);
    if (!raw) return SONDE_ENOMEM;
    sonde_status status = SONDE_OK;
    if (read_raw(from, type, raw) < 0)
        status = h5_fail(SONDE_EFORMAT, "%s cannot be read", from->what);
    else
        status = h5_pack_text(out, n, (const char *const *)raw, false);
    H5Dvlen_reclaim(type, space, H5P_DEFAULT, raw);
    sonde_free(raw);
    return status;
}

static sonde_status read_fixed_text(const source *from, int64_t n, sonde_h5_value *out)
{
    size_t length = H5Tget_size(from->type), bytes;
    bool space_padded = H5Tget_strpad(from->type) == H5T_STR_SPACEPAD;
    if (!sonde_size_mul((size_t)n, length + 1, &bytes)) return sonde_fail(SONDE_ENOMEM, "%s is too large", from->what);
    char *raw = sonde_alloc_zeroed(bytes + 1), **text = sonde_alloc((size_t)n * sizeof *text + 1);
    sonde_status status = raw && text ? SONDE_OK : SONDE_ENOMEM;
    if (status == SONDE_OK && read_raw(from, from->type, raw) < 0)
        status = h5_fail(SONDE_EFORMAT, "%s cannot be read", from->what);
    if (status == SONDE_OK) {
        /* Spread from the back, so that every string gets room for its final 0. */
        for (int64_t i = n - 1; i >= 0; i--) {
            text[i] = raw + (size_t)i * (length + 1);
            memmove(text[i], raw + (size_t)i * length, length);
            text[i][length] = '\0';
            for (size_t k = length; space_padded && k > 0 && text[i][k - 1] == ' '; k--) text[i][k - 1] = '\0';
        }
        status = h5_pack_text(out, n, (const char *const *)text, false);
    }
    sonde_free(raw);
    sonde_free(text);
    return status;
}

/* ---- what ---------------------------------------------------------------------------------------------- */

static sonde_status choose_type(const source *from, sonde_h5_type want, sonde_h5_type *out)
{
    char name[24];
    sonde_h5_type natural = h5_classify(from->type, name);
    *out = want == SONDE_H5_NATURAL ? natural : want;
    if (natural == SONDE_H5_OTHER) return sonde_fail(SONDE_EDTYPE, "%s holds %s data", from->what, name);
    bool is_float = natural == SONDE_H5_F32 || natural == SONDE_H5_F64;
    if ((natural == SONDE_H5_TEXT) != (*out == SONDE_H5_TEXT) || (*out == SONDE_H5_I64 && is_float) ||
        *out > SONDE_H5_TEXT)
        return sonde_fail(SONDE_EDTYPE, "%s holds %s data, not %s", from->what, name,
                          *out == SONDE_H5_TEXT ? "text" : *out == SONDE_H5_I64 ? "integers" : "numbers");
    return SONDE_OK;
}

/* The extent of a space; a NULL space is an empty one axis. */
static sonde_status get_shape(const char *what, hid_t space, sonde_h5_value *out)
{
    if (H5Sget_simple_extent_type(space) == H5S_NULL) {
        out->ndim = 1;
        return SONDE_OK;
    }
    int ndim = H5Sget_simple_extent_ndims(space);
    if (ndim < 0) return h5_fail(SONDE_EFORMAT, "%s has no shape", what);
    if (ndim > SONDE_H5_DIMS)
        return sonde_fail(SONDE_EDTYPE, "%s has %d axes, at most %d can be read", what, ndim, SONDE_H5_DIMS);
    hsize_t dims[SONDE_H5_DIMS];
    H5Sget_simple_extent_dims(space, dims, NULL);
    out->ndim = ndim;
    for (int d = 0; d < ndim; d++) out->shape[d] = (int64_t)dims[d];
    return SONDE_OK;
}

static sonde_status select_part(const char *what, hid_t space, const sonde_h5_part *part, sonde_h5_value *out)
{
    hsize_t first[SONDE_H5_DIMS], n[SONDE_H5_DIMS], step[SONDE_H5_DIMS];
    for (int d = 0; d < out->ndim; d++) {
        int64_t start = part->start[d], count = part->count[d], by = part->step[d], length = out->shape[d];
        if (by < 1) return sonde_fail(SONDE_EARG, "%s: axis %d: a step of %lld", what, d + 1, (long long)by);
        by = by < length ? by : length + 1; /* as large as it may be, without overflow */
        if (start < 0 || start > length)
            return sonde_fail(SONDE_EARG, "%s: axis %d has length %lld; the part begins outside it", what, d + 1,
                              (long long)length);
        if (count < 0 || count > (length - start + by - 1) / by)
            return sonde_fail(SONDE_EARG, "%s: axis %d has length %lld; there are no %lld values from %lld on%s", what,
                              d + 1, (long long)length, (long long)count, (long long)start + 1,
                              by > 1 ? " in such steps" : "");
        first[d] = (hsize_t)start;
        n[d] = (hsize_t)count;
        step[d] = (hsize_t)by;
        out->shape[d] = count;
    }
    if (out->ndim == 0) return SONDE_OK;
    bool empty = sonde_h5_value_count(out) == 0;
    herr_t done = empty ? H5Sselect_none(space) : H5Sselect_hyperslab(space, H5S_SELECT_SET, first, step, n, NULL);
    return done < 0 ? h5_fail(SONDE_EFORMAT, "%s", what) : SONDE_OK;
}

static sonde_status read_selected(source *from, hid_t space, sonde_h5_value *shape, sonde_h5_value *out)
{
    size_t bytes = h5_element_size(shape->type);
    for (int d = 0; d < shape->ndim; d++)
        if (!sonde_size_mul(bytes, (size_t)shape->shape[d], &bytes) || bytes > (size_t)INT64_MAX)
            return sonde_fail(SONDE_ENOMEM, "%s is too large for memory", from->what);
    int64_t n = sonde_h5_value_count(shape);
    sonde_h5_value read = *shape;
    sonde_status status = SONDE_OK;
    if (shape->type != SONDE_H5_TEXT) {
        read.data = sonde_alloc(bytes ? bytes : 1);
        if (!read.data) return SONDE_ENOMEM;
        if (n > 0) status = read_numbers(from, &read);
    } else if (n == 0) {
        status = h5_pack_text(&read, 0, NULL, false);
    } else if (H5Tis_variable_str(from->type) > 0) {
        status = read_variable_text(from, space, n, &read);
    } else {
        status = read_fixed_text(from, n, &read);
    }
    if (status != SONDE_OK) {
        sonde_free(read.data);
        return status;
    }
    read.ndim = shape->ndim;
    memcpy(read.shape, shape->shape, sizeof read.shape);
    *out = read;
    return SONDE_OK;
}

sonde_status h5_read_dataset(hid_t dataset, const char *what, sonde_h5_type type, const sonde_h5_part *part,
                             sonde_h5_value *out)
{
    scoped hid_t stored = H5Dget_type(dataset);
    scoped hid_t file_space = H5Dget_space(dataset);
    if (stored < 0 || file_space < 0) return h5_fail(SONDE_EFORMAT, "%s cannot be read", what);
    source from = { .what = what, .id = dataset, .type = stored, .file = file_space };
    sonde_h5_value shape = { 0 };
    SONDE_TRY(choose_type(&from, type, &shape.type));
    SONDE_TRY(get_shape(what, file_space, &shape));
    if (part) SONDE_TRY(select_part(what, file_space, part, &shape));
    hsize_t dims[SONDE_H5_DIMS];
    for (int d = 0; d < shape.ndim; d++) dims[d] = (hsize_t)shape.shape[d];
    scoped hid_t memory = shape.ndim ? H5Screate_simple(shape.ndim, dims, NULL) : H5Screate(H5S_SCALAR);
    if (memory < 0) return h5_fail(SONDE_ENOMEM, "%s", what);
    from.memory = memory;
    return read_selected(&from, memory, &shape, out);
}

sonde_status h5_read_attribute(hid_t object, const char *name, const char *what, sonde_h5_value *out)
{
    if (H5Aexists(object, name) <= 0) return sonde_fail(SONDE_EARG, "%s has no attribute '%s'", what, name);
    scoped hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    scoped hid_t stored = attribute < 0 ? attribute : H5Aget_type(attribute);
    scoped hid_t space = attribute < 0 ? attribute : H5Aget_space(attribute);
    char full[600];
    snprintf(full, sizeof full, "%s: attribute '%s'", what, name);
    if (stored < 0 || space < 0) return h5_fail(SONDE_EFORMAT, "%s cannot be read", full);
    source from = { .what = full, .id = attribute, .type = stored, .is_attribute = true };
    sonde_h5_value shape = { 0 };
    SONDE_TRY(choose_type(&from, SONDE_H5_NATURAL, &shape.type));
    SONDE_TRY(get_shape(full, space, &shape));
    return read_selected(&from, space, &shape, out);
}
