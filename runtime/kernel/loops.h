/* loops — what the operators of room autograd run on: element-wise, reductions, softmax, indexing, losses,
 * normalisation; and copies for room tensor. The contract of kernel.h holds here too.
 *
 * Layouts:  strided operators take a sonde_loop; the others contiguous arrays seen as [outer, n, inner], the middle
 *           axis being the one that is reduced, normalised, indexed …
 * Backward: dx (+)= …: `add` says whether to add. Sums over float32 run in double, over float64 in fixed blocks.
 * Tables:   one set of functions per dtype; an entry is NULL where the dtype has no such operator (int64).
 */
#ifndef SONDE_KERNEL_LOOPS_H
#define SONDE_KERNEL_LOOPS_H

#include "kernel/kernel.h"

/* ---- operators by number -------------------------------------------------------------------------------- */

typedef enum sonde_binary {
    SONDE_ADD, SONDE_SUB, SONDE_MUL, SONDE_DIV, SONDE_POW, SONDE_MAXIMUM, SONDE_MINIMUM,
    SONDE_LT, SONDE_LE, SONDE_GT, SONDE_GE, SONDE_EQ, SONDE_NE, /* int64 0/1, no gradient */
    SONDE_BINARY_COUNT
} sonde_binary;

typedef enum sonde_unary {
    SONDE_NEG, SONDE_ABS, SONDE_SIGN, SONDE_EXP, SONDE_LOG, SONDE_LOG1P, SONDE_SQRT, SONDE_RSQRT, SONDE_SQUARE,
    SONDE_RECIPROCAL, SONDE_SIN, SONDE_COS, SONDE_ERF, SONDE_FLOOR, SONDE_CEIL, SONDE_ROUND, SONDE_UNARY_COUNT
} sonde_unary;

typedef enum sonde_reduction {
    SONDE_SUM, SONDE_MEAN, SONDE_VAR, SONDE_STD, SONDE_NORM, SONDE_LOGSUMEXP, SONDE_PROD, SONDE_REDUCTION_COUNT
} sonde_reduction;

/* ---- strided loops -------------------------------------------------------------------------------------- */

#define SONDE_LOOP_OPERANDS 4

/* Nested loops over several arrays at once, outermost first; strides in elements, 0 where an operand is broadcast. */
typedef struct sonde_loop {
    int ndim, n_operands; /* ndim at least 1 once simplified */
    int64_t size[8];
    int64_t stride[SONDE_LOOP_OPERANDS][8];
} sonde_loop;

/* Drops axes of size 1 and joins those that every operand walks as one. The order of visits stays. */
void sonde_loop_simplify(sonde_loop *loop);

/* out[...] = in[...] with conversion (float to int64 truncates, saturating; NaN is the smallest). Operands: out, in. */
void sonde_copy_kernel(sonde_dtype out_dtype, void *out, sonde_dtype in_dtype, const void *in, const sonde_loop *loop);
int64_t sonde_to_int64(double value);

/* out[o, j, :] = in[o, index[j], :]; index from `first`, already checked. Rows are `inner` elements of `size` bytes. */
void sonde_index_select_kernel(size_t size, void *out, const void *in, const int64_t *index, int64_t first,
                               int64_t outer, int64_t n, int64_t n_index, int64_t inner);
/* The position of the first index outside low..high, or -1. */
int64_t sonde_index_check_kernel(const int64_t *index, int64_t n, int64_t low, int64_t high);

/* ---- one table per dtype -------------------------------------------------------------------------------- */

/* How a loss weighs: of cross-entropy over logits [outer, n, inner]. */
typedef struct sonde_cross_entropy_args {
    double smoothing;       /* label smoothing ε: (1-ε) on the label, ε/n on every class */
    int64_t ignore_index;   /* this label counts nothing; 0: none */
} sonde_cross_entropy_args;

typedef struct sonde_loops {
    /* element-wise; operands in the order of the arguments */
    void (*binary)(sonde_binary op, void *y, const void *a, const void *b, const sonde_loop *loop);
    void (*compare)(sonde_binary op, int64_t *y, const void *a, const void *b, const sonde_loop *loop);
    /* d (+)= dy * ∂op/∂(side 0: a, 1: b); MUL, DIV, POW, MAXIMUM, MINIMUM (ties share evenly, as PyTorch) */
    void (*binary_backward)(sonde_binary op, int side, void *d, const void *dy, const void *a, const void *b,
                            const sonde_loop *loop, bool add);
    void (*unary)(sonde_unary op, void *y, const void *x, size_t n); /* y may be x */
    /* EXP, SQRT, RSQRT, RECIPROCAL read y; NEG, SIGN, FLOOR, CEIL, ROUND nothing; the others x. NULL if not read. */
    void (*unary_backward)(sonde_unary op, void *dx, const void *dy, const void *x, const void *y, size_t n, bool add);
    void (*clamp)(void *y, const void *x, size_t n, double low, double high); /* y may be x; NaN stays */
    void (*clamp_backward)(void *dx, const void *dy, const void *x, size_t n, double low, double high, bool add);
    void (*accumulate)(void *y, const void *x, double scale, const sonde_loop *loop, bool add); /* y (+)= scale * x */
    void (*where)(void *y, const int64_t *condition, const void *a, const void *b, const sonde_loop *loop);

    /* over the middle axis; y [outer, inner] */
    void (*reduce)(sonde_reduction op, void *y, const void *x, int64_t outer, int64_t n, int64_t inner, double order);
    void (*reduce_backward)(sonde_reduction op, void *dx, const void *dy, const void *x, const void *y, int64_t outer,
                            int64_t n, int64_t inner, double order, bool add);
    /* index (may be NULL): 1-based position of the first extremum; a NaN counts as extreme */
    void (*extremum)(bool maximum, void *y, int64_t *index, const void *x, int64_t outer, int64_t n, int64_t inner);
    /* of the extremum of all: dy spread evenly over the elements equal to *y */
    void (*extremum_backward)(void *dx, const void *dy, const void *x, const void *y, size_t n, bool add);
    /* y may not be x; reversed: from the end */
    void (*cumsum)(void *y, const void *x, int64_t outer, int64_t n, int64_t inner, bool reversed, bool add);

    /* softmax of the middle axis (log: its logarithm); without log, y may be x and dx may be dy */
    void (*softmax)(void *y, const void *x, int64_t outer, int64_t n, int64_t inner, bool log);
    void (*softmax_backward)(void *dx, const void *dy, const void *y, int64_t outer, int64_t n, int64_t inner, bool log,
                             bool add);

    /* dx[o, index[j], :] += dy[o, j, :] */
    void (*index_add)(void *dx, const void *dy, const int64_t *index, int64_t first, int64_t outer, int64_t n,
                      int64_t n_index, int64_t inner);
    /* y[...] = x[... + (index[...] - 1) * stride]; the loop's operands: y, x, index. gather_add: dx[…] += dy[...] */
    void (*gather)(void *y, const void *x, const int64_t *index, int64_t stride, const sonde_loop *loop);
    void (*gather_add)(void *dx, const void *dy, const int64_t *index, int64_t stride, const sonde_loop *loop);

    /* Cross-entropy from logits; `p` receives the softmax for the backward. label [outer, inner], 1-based, checked;
     * weight [n] or NULL. loss [outer, inner]; returns the sum of the labels' weights (of those not ignored). */
    double (*cross_entropy)(void *loss, void *p, const void *x, const int64_t *label, const void *weight, int64_t outer,
                            int64_t n, int64_t inner, const sonde_cross_entropy_args *args);
    /* dx (+)= scale * dy * ∂loss/∂x; dy [outer, inner], or one number for all if `one` */
    void (*cross_entropy_backward)(void *dx, const void *dy, bool one, double scale, const void *p,
                                   const int64_t *label, const void *weight, int64_t outer, int64_t n, int64_t inner,
                                   const sonde_cross_entropy_args *args, bool add);
    /* The same with a distribution per row as the target, [outer, n, inner]. */
    void (*cross_entropy_soft)(void *loss, void *p, const void *x, const void *target, const void *weight,
                               int64_t outer, int64_t n, int64_t inner, const sonde_cross_entropy_args *args);
    void (*cross_entropy_soft_backward)(void *dx, const void *dy, bool one, double scale, const void *p,
                                        const void *target, const void *weight, int64_t outer, int64_t n, int64_t inner,
                                        const sonde_cross_entropy_args *args, bool add);
    /* loss[i] = (x - t)²; d (+)= scale * dy * 2(x - t) */
    void (*mse)(void *loss, const void *x, const void *target, size_t n);
    void (*mse_backward)(void *d, const void *dy, bool one, double scale, const void *x, const void *target, size_t n,
                         bool add);
    /* loss[i] = w ((1-t) x + (1 + (q-1) t) softplus(-x)), stable; weight w and pos_weight q of n elements or NULL (1).
     * Backward to x (side 0) or to the target (side 1). */
    void (*bce)(void *loss, const void *x, const void *target, const void *weight, const void *pos_weight, size_t n);
    void (*bce_backward)(int side, void *d, const void *dy, bool one, double scale, const void *x, const void *target,
                         const void *weight, const void *pos_weight, size_t n, bool add);

    /* x [outer, channels, inner]: mean and biased variance of each channel, two passes */
    void (*channel_moments)(double *mean, double *variance, const void *x, int64_t outer, int64_t channels,
                            int64_t inner);
    /* y = (x - mean) * scale + shift, by channel */
    void (*channel_affine)(void *y, const void *x, const double *mean, const double *scale, const double *shift,
                           int64_t outer, int64_t channels, int64_t inner);
    /* sum[c] = Σ dy, dot[c] = Σ dy (x - mean) */
    void (*channel_dots)(double *sum, double *dot, const void *dy, const void *x, const double *mean, int64_t outer,
                         int64_t channels, int64_t inner);
    /* dx (+)= scale * (dy - a - (x - mean) * b), by channel */
    void (*channel_backward)(void *dx, const void *dy, const void *x, const double *mean, const double *scale,
                             const double *a, const double *b, int64_t outer, int64_t channels, int64_t inner,
                             bool add);
} sonde_loops;

const sonde_loops *sonde_loops_of(sonde_dtype dtype);

#endif
