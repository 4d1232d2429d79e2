/* conv — what convolutions and pooling of room autograd run on. The contract of kernel.h holds here too.
 *
 * A convolution is a matrix product with a matrix of patches: `unfold` writes it for one image and one group, `fold` is
 * its transpose. One-dimensional ones have height 1.
 */
#ifndef SONDE_KERNEL_CONV_H
#define SONDE_KERNEL_CONV_H

#include "kernel/kernel.h"

/* Axis 0 is height, 1 is width. grid: how many positions the kernel takes along each. */
typedef struct sonde_patches {
    int64_t image[2], kernel[2], grid[2];
    int64_t stride[2], padding[2], dilation[2];
} sonde_patches;

/* One axis of a pooling: window o covers first[o], first[o] + step, … (count[o] of them, all inside the input). */
typedef struct sonde_windows {
    int64_t n_in, n_out, step;
    const int64_t *first, *count, *divisor;
} sonde_windows;

typedef struct sonde_conv_loops {
    /* patches [channels * kernel, grid] from image [channels, height, width], zero outside it */
    void (*unfold)(void *patches, const void *image, int64_t channels, const sonde_patches *p);
    /* image += what each patch element stands for; the patches are used up */
    void (*fold)(void *image, void *patches, int64_t channels, const sonde_patches *p);
    /* x [planes, in, in], y and index [planes, out, out]; index: the offset in the plane of the first largest element
     * (a NaN is the largest). Every window has an element. */
    void (*max_pool)(void *y, int64_t *index, const void *x, int64_t planes, const sonde_windows axes[2]);
    void (*max_pool_backward)(void *dx, const void *dy, const int64_t *index, int64_t planes,
                              const sonde_windows axes[2]); /* += */
    /* y = window sum / (divisor · divisor) */
    void (*average_pool)(void *y, const void *x, int64_t planes, const sonde_windows axes[2]);
    void (*average_pool_backward)(void *dx, const void *dy, int64_t planes, const sonde_windows axes[2]); /* += */
    /* y [rows, n] += b [rows] · 1ᵀ, and its transpose: db [rows] += row sums of dy */
    void (*add_rows)(void *y, const void *b, int64_t rows, int64_t n);
    void (*sum_rows)(void *db, const void *dy, int64_t rows, int64_t n);
} sonde_conv_loops;

const sonde_conv_loops *sonde_conv_loops_of(sonde_dtype dtype); /* float32 or float64 */

#endif
