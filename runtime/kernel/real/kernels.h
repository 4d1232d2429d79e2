/* What the files of kernel/real/ offer the dispatch in kernel/: each function twice, _f32 and _f64. The contracts are
 * those of kernel.h; here pointers have their type. Private to room kernel.
 */
#ifndef SONDE_REAL_KERNELS_H
#define SONDE_REAL_KERNELS_H

#include "kernel/kernel.h"

#define SONDE_DECLARE_KERNELS(real, suffix)                                                                            \
    void sonde_transpose_##suffix(real *out, const real *in, int64_t rows, int64_t columns);                           \
    void sonde_activation_forward_##suffix(const sonde_activation *activation, real *y, const real *x, size_t n);      \
    /* v: the output where sonde_activation_uses_output, else the input */                                             \
    void sonde_activation_backward_##suffix(const sonde_activation *activation, real *dx, const real *dy,              \
                                            const real *v, size_t n, bool add);                                        \
    void sonde_activation_slope_##suffix(const sonde_activation *activation, real *slope, const real *v, size_t n);    \
    bool sonde_finite_##suffix(const real *x, size_t n);                                                               \
    void sonde_moments_##suffix(sonde_moments *out, const real *x, size_t n, bool brief);                              \
    void sonde_histogram_##suffix(sonde_histogram *out, const real *x, size_t n);                                      \
    void sonde_slopes_##suffix(sonde_slopes *out, uint8_t *alive, const sonde_activation *activation, const real *x,   \
                               const real *y, int64_t rows, int64_t units, int64_t inner);                             \
    void sonde_gates_##suffix(sonde_gates *out, const real *y, int64_t rows, int64_t n, int64_t stride);               \
    double sonde_sample_cosine_##suffix(const real *x, int64_t rows, int64_t columns, double *scratch,                 \
                                        int64_t *n_directed);                                                          \
    /* Σ a², Σ b², Σ a b; false: the squares left the range where those are good */                                    \
    bool sonde_products_##suffix(double out[3], const real *a, const real *b, size_t n);                               \
    /* Σ (unit_a a)·(unit_b b), every term in double */                                                                \
    double sonde_dot_##suffix(const real *a, double unit_a, const real *b, double unit_b, size_t n);                   \
    double sonde_distance_##suffix(const real *a, const real *b, size_t n);                                            \
    void sonde_sgd_##suffix(real *w, real *buffer, const real *g, size_t n, const sonde_sgd_args *args,                \
                            sonde_update_stats *stats);                                                                \
    void sonde_adam_##suffix(real *w, real *m, real *v, real *v_max, const real *g, size_t n,                          \
                             const sonde_adam_args *args, sonde_update_stats *stats);                                  \
    void sonde_rmsprop_##suffix(real *w, real *v, real *mean, real *buffer, const real *g, size_t n,                   \
                                const sonde_rmsprop_args *args, sonde_update_stats *stats);

SONDE_DECLARE_KERNELS(float, f32)
SONDE_DECLARE_KERNELS(double, f64)

#endif
