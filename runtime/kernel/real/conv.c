#include "kernel/conv.h"
#include "kernel/real/real.h"

#include <string.h>

extern const sonde_conv_loops REAL_NAME(sonde_conv_table);

/* ---- patches -------------------------------------------------------------------------------------------- */

/* The positions o of 0..n-1 at which o*stride + shift lies inside 0..size-1: low (in) to high (out). */
static void inside(int64_t *low, int64_t *high, int64_t n, int64_t stride, int64_t shift, int64_t size)
{
    int64_t first = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
    int64_t past = shift >= size ? 0 : (size - 1 - shift) / stride + 1;
    *low = first < n ? first : n;
    *high = past < n ? past : n;
    if (*high < *low) *high = *low;
}

static void unfold_row(real *out, const real *row, int64_t n, int64_t stride, int64_t shift, int64_t size)
{
    int64_t low, high;
    inside(&low, &high, n, stride, shift, size);
    for (int64_t o = 0; o < low; o++) out[o] = 0;
    if (stride == 1) {
        memcpy(out + low, row + low + shift, (size_t)(high - low) * sizeof(real));
    } else {
        for (int64_t o = low; o < high; o++) out[o] = row[o * stride + shift];
    }
    for (int64_t o = high; o < n; o++) out[o] = 0;
}

static void fold_row(real *row, const real *in, int64_t n, int64_t stride, int64_t shift, int64_t size)
{
    int64_t low, high;
    inside(&low, &high, n, stride, shift, size);
    if (stride == 1) {
        real *target = row + low + shift;
        for (int64_t o = 0; o < high - low; o++) target[o] += in[low + o];
    } else {
        for (int64_t o = low; o < high; o++) row[o * stride + shift] += in[o];
    }
}

static void unfold(void *patches, const void *image, int64_t channels, const sonde_patches *p)
{
    real *out = patches;
    const int64_t height = p->image[0], width = p->image[1];
    for (int64_t c = 0; c < channels; c++) {
        const real *plane = (const real *)image + c * height * width;
        for (int64_t i = 0; i < p->kernel[0]; i++) {
            for (int64_t j = 0; j < p->kernel[1]; j++) {
                const int64_t shift = j * p->dilation[1] - p->padding[1];
                for (int64_t o = 0; o < p->grid[0]; o++, out += p->grid[1]) {
                    const int64_t y = o * p->stride[0] + i * p->dilation[0] - p->padding[0];
                    if (y < 0 || y >= height) {
                        memset(out, 0, (size_t)p->grid[1] * sizeof(real));
                    } else {
                        unfold_row(out, plane + y * width, p->grid[1], p->stride[1], shift, width);
                    }
                }
            }
        }
    }
}

static void fold(void *image, const void *patches, int64_t channels, const sonde_patches *p)
{
    const real *in = patches;
    const int64_t height = p->image[0], width = p->image[1];
    for (int64_t c = 0; c < channels; c++) {
        real *plane = (real *)image + c * height * width;
        for (int64_t i = 0; i < p->kernel[0]; i++) {
            for (int64_t j = 0; j < p->kernel[1]; j++) {
                const int64_t shift = j * p->dilation[1] - p->padding[1];
                for (int64_t o = 0; o < p->grid[0]; o++, in += p->grid[1]) {
                    const int64_t y = o * p->stride[0] + i * p->dilation[0] - p->padding[0];
                    if (y < 0 || y >= height) continue;
                    fold_row(plane + y * width, in, p->grid[1], p->stride[1], shift, width);
                }
            }
        }
    }
}

/* ---- pooling -------------------------------------------------------------------------------------------- */

static void max_pool(void *y, int64_t *index, const void *x, int64_t planes, const sonde_windows axes[2])
{
    const sonde_windows *v = &axes[0], *h = &axes[1];
    real *out = y;
    for (int64_t plane = 0; plane < planes; plane++) {
        const real *in = (const real *)x + plane * v->n_in * h->n_in;
        for (int64_t i = 0; i < v->n_out; i++) {
            for (int64_t j = 0; j < h->n_out; j++, out++, index++) {
                int64_t best = v->first[i] * h->n_in + h->first[j];
                for (int64_t a = 0; a < v->count[i]; a++) {
                    for (int64_t b = 0; b < h->count[j]; b++) {
                        int64_t at = (v->first[i] + a * v->step) * h->n_in + h->first[j] + b * h->step;
                        if (in[at] > in[best] || (in[at] != in[at] && in[best] == in[best])) best = at;
                    }
                }
                *out = in[best];
                *index = best;
            }
        }
    }
}

static void max_pool_backward(void *dx, const void *dy, const int64_t *index, int64_t planes,
                              const sonde_windows axes[2])
{
    const real *in = dy;
    const int64_t n_out = axes[0].n_out * axes[1].n_out, n_in = axes[0].n_in * axes[1].n_in;
    for (int64_t plane = 0; plane < planes; plane++) {
        real *out = (real *)dx + plane * n_in;
        for (int64_t o = 0; o < n_out; o++, in++, index++) out[*index] += *in;
    }
}

static void average_pool(void *y, const void *x, int64_t planes, const sonde_windows axes[2])
{
    const sonde_windows *v = &axes[0], *h = &axes[1];
    real *out = y;
    for (int64_t plane = 0; plane < planes; plane++) {
        const real *in = (const real *)x + plane * v->n_in * h->n_in;
        for (int64_t i = 0; i < v->n_out; i++) {
            for (int64_t j = 0; j < h->n_out; j++, out++) {
                real sum = 0;
                for (int64_t a = 0; a < v->count[i]; a++) {
                    const real *row = in + (v->first[i] + a * v->step) * h->n_in + h->first[j];
                    for (int64_t b = 0; b < h->count[j]; b++) sum += row[b * h->step];
                }
                *out = sum / (real)(v->divisor[i] * h->divisor[j]);
            }
        }
    }
}

static void average_pool_backward(void *dx, const void *dy, int64_t planes, const sonde_windows axes[2])
{
    const sonde_windows *v = &axes[0], *h = &axes[1];
    const real *in = dy;
    for (int64_t plane = 0; plane < planes; plane++) {
        real *out = (real *)dx + plane * v->n_in * h->n_in;
        for (int64_t i = 0; i < v->n_out; i++) {
            for (int64_t j = 0; j < h->n_out; j++, in++) {
                const real share = *in / (real)(v->divisor[i] * h->divisor[j]);
                for (int64_t a = 0; a < v->count[i]; a++) {
                    real *row = out + (v->first[i] + a * v->step) * h->n_in + h->first[j];
                    for (int64_t b = 0; b < h->count[j]; b++) row[b * h->step] += share;
                }
            }
        }
    }
}

/* ---- bias ----------------------------------------------------------------------------------------------- */

static void add_rows(void *y, const void *b, int64_t rows, int64_t n)
{
    real *out = y;
    for (int64_t r = 0; r < rows; r++, out += n) {
        const real value = ((const real *)b)[r];
        for (int64_t i = 0; i < n; i++) out[i] += value;
    }
}

static void sum_rows(void *db, const void *dy, int64_t rows, int64_t n)
{
    const real *in = dy;
    for (int64_t r = 0; r < rows; r++, in += n) {
        double lanes[8] = {0};
        int64_t i = 0;
        for (; i + 8 <= n; i += 8) {
            for (int k = 0; k < 8; k++) lanes[k] += (double)in[i + k];
        }
        for (int k = 0; i < n; i++, k++) lanes[k] += (double)in[i];
        double sum = ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
        ((real *)db)[r] += (real)sum;
    }
}

const sonde_conv_loops REAL_NAME(sonde_conv_table) = {
    .unfold = unfold,
    .fold = fold,
    .max_pool = max_pool,
    .max_pool_backward = max_pool_backward,
    .average_pool = average_pool,
    .average_pool_backward = average_pool_backward,
    .add_rows = add_rows,
    .sum_rows = sum_rows,
};
