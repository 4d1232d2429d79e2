/* Images moved, mirrored, standardised, and read pixel by pixel. */
#include "data/data.h"

#include <string.h>

sonde_status sonde_pixels_sequence(sonde_pixels **out, const sonde_pixels *pixels, const int64_t *order)
{
    *out = NULL;
    if (pixels->ndim != 3) {
        return sonde_fail(SONDE_ESHAPE, "images have three axes (channels, height, width), these have %d",
                          pixels->ndim);
    }
    int64_t channels = pixels->shape[0], steps = pixels->shape[1] * pixels->shape[2];
    for (int64_t t = 0; t < steps && order != NULL; t++) {
        if (order[t] < 1 || order[t] > steps) {
            return sonde_fail(SONDE_EARG, "pixel %lld in the order, there are 1 to %lld", (long long)order[t],
                              (long long)steps);
        }
    }
    sonde_pixels *p = sonde_alloc(sizeof *p);
    if (p == NULL) return SONDE_ENOMEM;
    *p = *pixels;
    p->ndim = 2;
    p->shape[0] = steps;
    p->shape[1] = channels;
    p->bytes = sonde_alloc((size_t)pixels->n * (size_t)pixels->size);
    if (p->bytes == NULL) {
        sonde_free(p);
        return SONDE_ENOMEM;
    }
    for (int64_t i = 0; i < pixels->n; i++) {
        const uint8_t *from = pixels->bytes + i * pixels->size;
        uint8_t *to = p->bytes + i * pixels->size;
        for (int64_t t = 0; t < steps; t++)
            for (int64_t c = 0; c < channels; c++) *to++ = from[c * steps + (order != NULL ? order[t] - 1 : t)];
    }
    *out = p;
    return SONDE_OK;
}

/* ---- shifts and flips ---------------------------------------------------------------------------------------- */

/* One row of `width` elements, moved right by dx and then mirrored; from NULL: a row from outside. */
static void move_row(char *to, const char *from, const char *fill, size_t element, int64_t width, int64_t dx,
                     bool mirror)
{
    for (int64_t k = 0; k < width; k++) {
        int64_t at = (mirror ? width - 1 - k : k) - dx;
        bool inside = from != NULL && at >= 0 && at < width;
        memcpy(to + (size_t)k * element, inside ? from + (size_t)at * element : fill, element);
    }
}

void sonde_images_augment(sonde_stream *stream, sonde_dtype dtype, void *out, const void *in, int64_t n,
                          sonde_image_size size, int64_t shift, bool flip, double fill)
{
    const size_t element = sonde_dtype_size(dtype), row = (size_t)size.width * element;
    char filling[8];
    if (dtype == SONDE_FLOAT32)
        memcpy(filling, &(float){(float)fill}, sizeof(float));
    else if (dtype == SONDE_FLOAT64)
        memcpy(filling, &fill, sizeof fill);
    else
        memcpy(filling, &(int64_t){(int64_t)fill}, sizeof(int64_t));
    char *to = out;
    const char *image = in;
    for (int64_t i = 0; i < n; i++) {
        int64_t dy = sonde_stream_integer(stream, -shift, shift), dx = sonde_stream_integer(stream, -shift, shift);
        bool mirror = (sonde_stream_u32(stream) & 1) && flip;
        for (int64_t c = 0; c < size.channels; c++, image += row * (size_t)size.height) {
            for (int64_t y = 0; y < size.height; y++, to += row) {
                bool inside = y - dy >= 0 && y - dy < size.height;
                const char *from = inside ? image + (size_t)(y - dy) * row : NULL;
                move_row(to, from, filling, element, size.width, dx, mirror);
            }
        }
    }
}

/* ---- statistics ---------------------------------------------------------------------------------------------- */

static double element_at(sonde_dtype dtype, const void *x, int64_t i)
{
    return dtype == SONDE_FLOAT32 ? (double)((const float *)x)[i] : ((const double *)x)[i];
}

void sonde_group_sums(sonde_dtype dtype, const void *x, int64_t n, sonde_sample_groups shape, const double *centre,
                      double *sums)
{
    int64_t at = 0;
    for (int64_t k = 0; k < n * shape.outer; k++) {
        for (int64_t g = 0; g < shape.groups; g++) {
            double sum = 0;
            for (int64_t i = 0; i < shape.inner; i++, at++) {
                double value = element_at(dtype, x, at), d = centre != NULL ? value - centre[g] : 0;
                sum += centre != NULL ? d * d : value;
            }
            sums[g] += sum;
        }
    }
}

void sonde_standardize(sonde_dtype dtype, void *out, const void *x, int64_t n, sonde_sample_groups shape,
                       const double *mean, const double *std)
{
    int64_t at = 0;
    for (int64_t k = 0; k < n * shape.outer; k++) {
        for (int64_t g = 0; g < shape.groups; g++) {
            for (int64_t i = 0; i < shape.inner; i++, at++) {
                double value = (element_at(dtype, x, at) - mean[g]) / std[g];
                if (dtype == SONDE_FLOAT32)
                    ((float *)out)[at] = (float)value;
                else
                    ((double *)out)[at] = value;
            }
        }
    }
}
