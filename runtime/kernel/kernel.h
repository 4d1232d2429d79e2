/* kernel — boring loops over plain pointers.
 *
 * Contract of every kernel: outputs first, then inputs, then sizes, then parameters; contiguous rows unless strides
 * are named; no allocation, no globals, no errors, no NaN hidden. dtype is SONDE_FLOAT32 or SONDE_FLOAT64 and all
 * pointers have it. `add`: add to the output instead of overwriting it. Outputs may be an input (in place) where said.
 * Same bits: the order of every sum depends on the sizes alone, never on the number of threads. FMA contraction is
 * off; subnormals stay (no flush-to-zero).
 * Files in kernel/real/ are compiled twice, for float and for double (see real.h).
 */
#ifndef SONDE_KERNEL_H
#define SONDE_KERNEL_H

#include "base/base.h"

#include <stddef.h>
#include <string.h>

/* ---- threads ------------------------------------------------------------------------------------------- */

/* Threads inside one run (default 1). Work is cut by its shape alone, so the bits do not depend on this. */
sonde_status sonde_threads_set(int n);
int sonde_threads(void);
/* Calls body(context, tile) for tile = 0..tiles-1, in any order, on the run's threads. */
void sonde_parallel(int tiles, void (*body)(void *context, int tile), void *context);

/* ---- matrix products: the one door ---------------------------------------------------------------------- */

/* C [m,n] = (add ? C : 0) + op(A) op(B), all row-major; lda.. are row lengths in elements.
 * op(A) is [m,k]: A is [m,k], or [k,m] if trans_a. op(B) is [k,n]: B is [k,n], or [n,k] if trans_b. C overlaps neither.
 * Fastest with B straight: a small transposed B costs a third of the speed. */
void sonde_matmul_kernel(sonde_dtype dtype, void *c, const void *a, const void *b, int64_t m, int64_t n, int64_t k,
                         int64_t lda, int64_t ldb, int64_t ldc, bool trans_a, bool trans_b, bool add);
/* out [columns, rows] = in [rows, columns] */
void sonde_transpose_kernel(sonde_dtype dtype, void *out, const void *in, int64_t rows, int64_t columns);

/* ---- activations ---------------------------------------------------------------------------------------- */

typedef enum sonde_activation_kind {
    SONDE_SIGMOID, SONDE_TANH, SONDE_RELU, SONDE_LEAKY_RELU, SONDE_ELU, SONDE_SELU, SONDE_GELU, SONDE_GELU_TANH,
    SONDE_SILU, SONDE_SOFTPLUS, SONDE_SOFTSIGN, SONDE_HARDTANH, SONDE_CELU, SONDE_MISH, SONDE_HARDSIGMOID,
    SONDE_HARDSWISH, SONDE_LOGSIGMOID, SONDE_THRESHOLD, SONDE_TANHSHRINK, SONDE_SINE, SONDE_ACTIVATION_COUNT
} sonde_activation_kind;

/* a, b: negative slope (LeakyReLU), alpha (ELU, CELU), beta and threshold (Softplus), low and high (Hardtanh), threshold
 * and value (Threshold). */
typedef struct sonde_activation {
    sonde_activation_kind kind;
    double a, b;
} sonde_activation;

/* What probes and theory need to know about an activation. */
typedef struct sonde_activation_facts {
    const char *name;      /* "sigmoid" */
    double max_slope;      /* sup |φ'| */
    bool bounded;          /* bounded on both sides: "saturated" means something */
    double lower, upper;   /* |φ'| < 5 % of max_slope for every x < lower and every x > upper, and for no wider tails;
                            * -inf, inf: that tail never saturates */
} sonde_activation_facts;
sonde_activation_facts sonde_activation_facts_of(const sonde_activation *activation);

/* y may be x. An element's bits depend on its value alone, not on its place. */
void sonde_activation_forward(const sonde_activation *activation, sonde_dtype dtype, void *y, const void *x, size_t n);
/* dx (+)= dy * φ'. Uses y where φ' can be had from it (sonde_activation_uses_output), else x; the other may be NULL. */
void sonde_activation_backward(const sonde_activation *activation, sonde_dtype dtype, void *dx, const void *dy,
                               const void *x, const void *y, size_t n, bool add);
bool sonde_activation_uses_output(const sonde_activation *activation);
/* slope[i] = φ'(x[i]), by the expression backward uses, for tests and theory; slope may be x. */
void sonde_activation_slope(const sonde_activation *activation, sonde_dtype dtype, void *slope, const void *x,
                            size_t n);

/* ---- statistics (probe) --------------------------------------------------------------------------------- */

/* Of n elements, fixed order; merged across blocks by sonde_moments_merge. Accumulated so that they neither overflow
 * nor underflow: the sums are in units of `scale`, a power of two (always 1 for float32; for float64 near the largest
 * element where squares would leave the range). float32: Σ|x| and Σx² to 1e-6 at worst, usually 1e-8. Non-finite
 * elements make the moments non-finite and are counted. Read them through the getters; {0} is the moments of nothing. */
typedef struct sonde_moments {
    uint64_t n, n_zero, n_positive, n_subnormal, n_nonfinite;
    double abs_max;
    double scale;
    double sum, sum_abs;   /* Σ x, Σ |x|, times 1/scale */
    double sum_sq, dev_sq; /* Σ x², Σ (x - mean)², times 1/scale² */
} sonde_moments;
void sonde_moments_kernel(sonde_moments *out, sonde_dtype dtype, const void *x, size_t n);
/* The same bits, but no sum_abs and no n_positive: they are 0. A fifth cheaper. */
void sonde_brief_moments_kernel(sonde_moments *out, sonde_dtype dtype, const void *x, size_t n);
void sonde_moments_merge(sonde_moments *into, const sonde_moments *from);
double sonde_moments_mean(const sonde_moments *m); /* NaN for n = 0, as are the next two */
double sonde_moments_abs_mean(const sonde_moments *m);
double sonde_moments_std(const sonde_moments *m); /* the population's */
double sonde_moments_l2(const sonde_moments *m);

bool sonde_finite_kernel(sonde_dtype dtype, const void *x, size_t n); /* is every element finite? */

#define SONDE_BINADE_LOW (-150)
#define SONDE_BINADE_COUNT 278 /* -150 .. 127 */
/* Adds to counts[binade] floor(log2|x|) (end bins collect what lies beyond); zeros, subnormals (of the dtype, counted
 * in their bin too) and non-finite ones apart. powers: those of counts that are exactly ±2^binade, n_powers in all (0:
 * the array is not filled); what lies beyond the end bins is not among them. abs_max: the largest finite |x|, *out's
 * included. */
typedef struct sonde_histogram {
    uint32_t counts[SONDE_BINADE_COUNT], n_zero, n_subnormal, n_nonfinite, n_powers;
    double abs_max;
    uint32_t powers[SONDE_BINADE_COUNT];
} sonde_histogram;
static inline void sonde_histogram_clear(sonde_histogram *h) { memset(h, 0, offsetof(sonde_histogram, powers)); }
void sonde_histogram_kernel(sonde_histogram *out, sonde_dtype dtype, const void *x, size_t n);

/* Of an activation, over its input x and output y [rows, units, inner] (unit = axis 1): sum of φ'², how many |φ'| < 5 %
 * of the maximum; alive[unit] becomes 1 where some φ' was not exactly 0, else it stays. Uses y where φ' can be had from
 * it (sonde_activation_uses_output), else x; the other may be NULL. *out is overwritten. */
typedef struct sonde_slopes {
    double sum_sq; /* of φ' */
    uint64_t n, n_saturated;
} sonde_slopes;
void sonde_slopes_kernel(sonde_slopes *out, uint8_t *alive, const sonde_activation *activation, sonde_dtype dtype,
                         const void *x, const void *y, int64_t rows, int64_t units, int64_t inner);
/* Adds rows of n values of gates (0 .. 1, of the logistic function), `stride` elements apart, to *out. Open: above 0.9, closed: below 0.1; saturated: φ' =
 * (1 − y) y under 5 % of its maximum. float32: the sum to 1e-6. */
typedef struct sonde_gates {
    double sum;
    uint64_t n, n_open, n_closed, n_saturated;
} sonde_gates;
void sonde_gates_kernel(sonde_gates *out, sonde_dtype dtype, const void *y, int64_t rows, int64_t n, int64_t stride);
/* Mean cosine between different rows: (‖Σ x_i/‖x_i‖‖² − B)/(B(B−1)); scratch: `columns` doubles. B = *n_directed is the
 * number of rows that are not 0 throughout: those have no direction and are left out. NaN for B < 2. */
double sonde_sample_cosine_kernel(sonde_dtype dtype, const void *x, int64_t rows, int64_t columns, double *scratch,
                                  int64_t *n_directed);

/* The L2 norms of a and b and the cosine between them, NaN where a norm is 0 or not finite. Neither overflows nor
 * underflows. float32: to 1e-6. */
typedef struct sonde_angle {
    double norm_a, norm_b, cosine;
} sonde_angle;
void sonde_angle_kernel(sonde_angle *out, sonde_dtype dtype, const void *a, const void *b, size_t n);
double sonde_distance_kernel(sonde_dtype dtype, const void *a, const void *b, size_t n); /* ‖a − b‖₂; no overflow */

/* ---- optimiser steps ------------------------------------------------------------------------------------ */

/* What a step's pass can tell on the side about one parameter, from the weights as stored (float32: sums to 1e-6).
 * *stats is overwritten. NULL: not wanted; the weights' bits are the same either way. */
typedef struct sonde_update_stats {
    double weight_sq, update_sq;  /* Σ w² before the step, Σ Δw² as stored */
    uint64_t n, n_unchanged;      /* elements; those with g != 0 and Δw == 0 */
} sonde_update_stats;

typedef struct sonde_sgd_args {
    double lr, momentum, dampening, weight_decay;
    bool nesterov, maximize, first; /* first: the momentum buffer is taken from the gradient */
} sonde_sgd_args;
void sonde_sgd_kernel(sonde_dtype dtype, void *w, void *buffer, const void *g, size_t n, const sonde_sgd_args *args,
                      sonde_update_stats *stats);

typedef struct sonde_adam_args {
    double lr, beta1, beta2, eps, weight_decay;
    bool decoupled /* AdamW */, amsgrad, maximize;
    int64_t step; /* from 1 */
} sonde_adam_args;
void sonde_adam_kernel(sonde_dtype dtype, void *w, void *m, void *v, void *v_max, const void *g, size_t n,
                       const sonde_adam_args *args, sonde_update_stats *stats);

typedef struct sonde_rmsprop_args {
    double lr, alpha, eps, weight_decay, momentum;
    bool centered, maximize;
} sonde_rmsprop_args;
void sonde_rmsprop_kernel(sonde_dtype dtype, void *w, void *v, void *mean, void *buffer, const void *g, size_t n,
                          const sonde_rmsprop_args *args, sonde_update_stats *stats);

/* Element-wise, reductions, softmax and the rest of the operators' loops: kernel/loops.h (for room autograd). */

#endif
