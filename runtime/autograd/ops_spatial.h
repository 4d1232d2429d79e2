/* Convolutions and pooling, as functions. Included by autograd.h: not a door of its own.
 *
 * x [N, C, H, W]. Axis 0 of a pair is height, 1 is width; one-dimensional layers come as height 1 (kernel, stride and
 * dilation 1, padding 0 there). Errors: ESHAPE naming the shapes; EARG for a stride, dilation or groups below 1, a
 * negative padding.
 */
#ifndef SONDE_AUTOGRAD_OPS_SPATIAL_H
#define SONDE_AUTOGRAD_OPS_SPATIAL_H

#include "tensor/tensor.h"

typedef struct sonde_conv_args {
    int64_t stride[2], padding[2], dilation[2];
    int64_t end_padding[2];    /* of the convolution: rows and columns of zeros more at the end */
    int64_t output_padding[2]; /* of the transposed convolution: rows and columns added at the end, below the stride or
                                  dilation */
    int64_t groups;
} sonde_conv_args;

/* Cross-correlation; weight [O, C/groups, kh, kw], bias [O] or NULL. y [N, O, (H + 2p + end - d(k-1) - 1)/s + 1, …]. */
sonde_status sonde_conv2d(sonde_tensor **out, sonde_tensor *x, sonde_tensor *weight, sonde_tensor *bias,
                          const sonde_conv_args *args);
/* Its transpose; weight [C, O/groups, kh, kw]. y [N, O, (H-1)s - 2p + d(k-1) + output_padding + 1, …]. */
sonde_status sonde_conv_transpose2d(sonde_tensor **out, sonde_tensor *x, sonde_tensor *weight, sonde_tensor *bias,
                                    const sonde_conv_args *args);

typedef enum sonde_pad_mode {
    SONDE_PAD_ZEROS,
    SONDE_PAD_REFLECT,   /* c b | a b c | b a: fewer than there are */
    SONDE_PAD_REPLICATE, /* a a | a b c | c c */
    SONDE_PAD_CIRCULAR   /* b c | a b c | a b: at most as many as there are */
} sonde_pad_mode;

/* x with `before` and `after` elements more along an axis, taken from it; not with zeros. ESHAPE if it has too few. */
sonde_status sonde_pad(sonde_tensor **out, sonde_tensor *x, int axis, int64_t before, int64_t after,
                       sonde_pad_mode mode);

typedef struct sonde_pool_args {
    int64_t kernel[2], stride[2], padding[2],
        dilation[2];        /* padding at most half the kernel; dilation: max pooling only */
    bool ceil_mode;         /* the last window may hang over the edge */
    bool count_include_pad; /* average pooling: padding counts in the divisor */
} sonde_pool_args;

/* EARG, naming `name`, unless these are a pooling's arguments; both poolings begin with it. Pooling takes one sample
 * [C, H, W] as well, to [C, ...]. */
sonde_status sonde_pool_check(const char *name, const sonde_pool_args *args);
sonde_status sonde_max_pool2d(sonde_tensor **out, sonde_tensor *x, const sonde_pool_args *args); /* padding is -inf */
sonde_status sonde_avg_pool2d(sonde_tensor **out, sonde_tensor *x, const sonde_pool_args *args);
/* y [N, C, size[0], size[1]]; window o covers floor(o n/size) .. ceil((o+1) n/size) - 1, as PyTorch. */
sonde_status sonde_adaptive_pool2d(sonde_tensor **out, sonde_tensor *x, const int64_t size[2], bool maximum);

#endif
