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

/* Where the grid has the image's columns and every step is 1, the patch elements of one kernel element are the image
 * itself, shifted: rows low .. high of the grid lie in it, and of their elements those that do not wrap round into the
 * next row. */
typedef struct shifted {
    int64_t low, high;   /* rows */
    int64_t offset;      /* from an element of the grid to its element of the image */
    int64_t first, past; /* elements of these rows with one in the image, wrapped or not */
    int64_t begin, end;  /* columns that wrap */
} shifted;

static bool is_shift(const sonde_patches *p)
{
    return p->stride[0] == 1 && p->stride[1] == 1 && p->grid[1] == p->image[1];
}

static shifted shift_of(const sonde_patches *p, int64_t i, int64_t j)
{
    const int64_t height = p->image[0], width = p->image[1];
    const int64_t down = i * p->dilation[0] - p->padding[0], right = j * p->dilation[1] - p->padding[1];
    shifted s = {.offset = down * width + right};
    inside(&s.low, &s.high, p->grid[0], 1, down, height);
    inside(&s.end, &s.begin, width, 1, right, width); /* what does not wrap: end .. begin */
    s.first = s.low * width > -s.offset ? s.low * width : -s.offset;
    s.past = s.high * width < height * width - s.offset ? s.high * width : height * width - s.offset;
    if (s.past < s.first) s.past = s.first;
    return s;
}

/* Zero in the columns that wrap. */
static void clear_wrapped(real *rows, const shifted *s, int64_t width)
{
    for (int64_t o = s->low; o < s->high; o++) {
        real *row = rows + o * width;
        for (int64_t k = 0; k < s->end; k++) row[k] = 0;
        for (int64_t k = s->begin; k < width; k++) row[k] = 0;
    }
}

static void unfold_shifted(real *out, const real *image, int64_t channels, const sonde_patches *p)
{
    const int64_t width = p->image[1], n = p->grid[0] * width;
    for (int64_t c = 0; c < channels; c++, image += p->image[0] * width) {
        for (int64_t i = 0; i < p->kernel[0]; i++) {
            for (int64_t j = 0; j < p->kernel[1]; j++, out += n) {
                const shifted s = shift_of(p, i, j);
                memset(out, 0, (size_t)(s.low * width) * sizeof *out);
                memcpy(out + s.first, image + s.first + s.offset, (size_t)(s.past - s.first) * sizeof *out);
                clear_wrapped(out, &s, width);
                memset(out + s.high * width, 0, (size_t)(n - s.high * width) * sizeof *out);
            }
        }
    }
}

static void fold_shifted(real *image, real *in, int64_t channels, const sonde_patches *p)
{
    const int64_t width = p->image[1], n = p->grid[0] * width;
    for (int64_t c = 0; c < channels; c++, image += p->image[0] * width) {
        for (int64_t i = 0; i < p->kernel[0]; i++) {
            for (int64_t j = 0; j < p->kernel[1]; j++, in += n) {
                const shifted s = shift_of(p, i, j);
                clear_wrapped(in, &s, width);
                real *target = image + s.first + s.offset;
                const real *source = in + s.first;
                for (int64_t o = 0; o < s.past - s.first; o++) target[o] += source[o];
            }
        }
    }
}

static void unfold(void *patches, const void *image, int64_t channels, const sonde_patches *p)
{
    real *out = patches;
    const int64_t height = p->image[0], width = p->image[1];
    if (is_shift(p)) {
        unfold_shifted(patches, image, channels, p);
        return;
    }
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

static void fold(void *image, void *patches, int64_t channels, const sonde_patches *p)
{
    const real *in = patches;
    const int64_t height = p->image[0], width = p->image[1];
    if (is_shift(p)) {
        fold_shifted(image, patches, channels, p);
        return;
    }
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

enum { SIDE = 16 }; /* windows of a row that are looked at side by side; where there are fewer, the last one again */

typedef struct side {
    int64_t first[SIDE], last[SIDE]; /* of each window: where it begins in a row, and from there to its last element */
    real most[SIDE];
    int64_t index[SIDE];
} side;

static int64_t open_side(side *s, const sonde_windows *h, int64_t from)
{
    int64_t widest = 0;
    for (int64_t k = 0; k < SIDE; k++) {
        const int64_t j = from + k < h->n_out ? from + k : h->n_out - 1;
        s->first[k] = h->first[j];
        s->last[k] = (h->count[j] - 1) * h->step;
        widest = h->count[j] > widest ? h->count[j] : widest;
    }
    return widest;
}

/* Looks at the element `shift` from the windows' beginnings, in the row of the image that starts at `row`; where a
 * window is narrower, at its last one once more, which changes nothing. begin: forgets what was before. */
static void look(side *s, const real *in, int64_t row, int64_t shift, bool begin)
{
    _Pragma("omp simd") for (int k = 0; k < SIDE; k++)
    {
        const int64_t at = row + s->first[k] + (shift < s->last[k] ? shift : s->last[k]);
        const real value = in[at], old = s->most[k];
        const bool larger = begin | (!(value <= old) & (old == old)); /* a NaN is larger than what is none */
        s->most[k] = larger ? value : old;
        s->index[k] = larger ? at : s->index[k];
    }
}

static void max_pool(void *y, int64_t *index, const void *x, int64_t planes, const sonde_windows axes[2])
{
    const sonde_windows *v = &axes[0], *h = &axes[1];
    side s = {.most = {0}};
    for (int64_t from = 0; from < h->n_out; from += SIDE) {
        const int64_t widest = open_side(&s, h, from), n = h->n_out - from < SIDE ? h->n_out - from : SIDE;
        for (int64_t i = 0; i < planes * v->n_out; i++) {
            const int64_t o = i % v->n_out;
            const real *in = (const real *)x + i / v->n_out * v->n_in * h->n_in;
            for (int64_t a = 0; a < v->count[o]; a++)
                for (int64_t b = 0; b < widest; b++)
                    look(&s, in, (v->first[o] + a * v->step) * h->n_in, b * h->step, a + b == 0);
            memcpy((real *)y + i * h->n_out + from, s.most, (size_t)n * sizeof(real));
            memcpy(index + i * h->n_out + from, s.index, (size_t)n * sizeof *index);
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
