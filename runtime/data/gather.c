/* Rows into batches. */
#include "data/data.h"

#include <string.h>

/* The row (from 0) that output row k is, checked; -1 with the message set. */
static int64_t row_of(int64_t n, const int64_t *index, int64_t first, int64_t k)
{
    int64_t row = index != NULL ? index[first - 1 + k] : first + k;
    if (row >= 1 && row <= n) return row - 1;
    sonde_fail(SONDE_EARG, "row %lld asked for, there are %lld", (long long)row, (long long)n);
    return -1;
}

static sonde_status check_span(const int64_t *index, int64_t n_index, int64_t first, int64_t count)
{
    if (first < 1) return sonde_fail(SONDE_EARG, "positions count from 1, got %lld", (long long)first);
    if (count < 0) return sonde_fail(SONDE_EARG, "a negative number of rows asked for: %lld", (long long)count);
    if (index != NULL && (count > n_index || first > n_index - count + 1)) {
        return sonde_fail(SONDE_EARG, "%lld positions from %lld on asked for, the index has %lld", (long long)count,
                          (long long)first, (long long)n_index);
    }
    return SONDE_OK;
}

sonde_status sonde_rows_gather(void *out, const void *rows, int64_t n, size_t row_bytes, const int64_t *index,
                               int64_t n_index, int64_t first, int64_t count)
{
    SONDE_TRY(check_span(index, n_index, first, count));
    for (int64_t k = 0; k < count; k++) {
        int64_t row = row_of(n, index, first, k);
        if (row < 0) return SONDE_EARG;
        memcpy((char *)out + (size_t)k * row_bytes, (const char *)rows + (size_t)row * row_bytes, row_bytes);
    }
    return SONDE_OK;
}

sonde_status sonde_pixels_gather(const sonde_pixels *pixels, sonde_dtype dtype, void *out, const int64_t *index,
                                 int64_t n_index, int64_t first, int64_t count)
{
    SONDE_TRY(check_span(index, n_index, first, count));
    if (!sonde_dtype_is_float(dtype)) return sonde_fail(SONDE_EDTYPE, "pixels are gathered as float32 or float64");
    float small[256];
    for (int b = 0; b < 256; b++) small[b] = (float)pixels->value[b];
    int64_t size = pixels->size;
    for (int64_t k = 0; k < count; k++) {
        int64_t row = row_of(pixels->n, index, first, k);
        if (row < 0) return SONDE_EARG;
        const uint8_t *from = pixels->bytes + row * size;
        if (dtype == SONDE_FLOAT32) {
            float *to = (float *)out + k * size;
            for (int64_t i = 0; i < size; i++) to[i] = small[from[i]];
        } else {
            double *to = (double *)out + k * size;
            for (int64_t i = 0; i < size; i++) to[i] = pixels->value[from[i]];
        }
    }
    return SONDE_OK;
}

sonde_status sonde_labels_shift(int64_t *out, const int64_t *labels, int64_t n, int64_t labels_from)
{
    for (int64_t i = 0; i < n; i++) {
        if (labels[i] < labels_from) {
            return sonde_fail(SONDE_EARG, "label %lld at sample %lld is below the first label, %lld%s",
                              (long long)labels[i], (long long)i + 1, (long long)labels_from,
                              labels[i] == 0 ? ": if the labels count from 0, say labels_from = 0" : "");
        }
        out[i] = (int64_t)((uint64_t)labels[i] - (uint64_t)labels_from + 1);
    }
    return SONDE_OK;
}
