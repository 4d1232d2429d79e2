/* optimisers — the steps of the rarer update rules; those of SGD, Adam and RMSprop are in kernel.h, whose contract
 * holds here too. The step sizes that depend on the step's number come from room optim: a kernel only walks the
 * elements. d = ±g (maximize: -g) + weight_decay · w; decoupled decay: w *= keep first.
 */
#ifndef SONDE_KERNEL_OPTIMISERS_H
#define SONDE_KERNEL_OPTIMISERS_H

#include "kernel/kernel.h"

/* m = β1 m + (1-β1) d;  u = max(β2 u, |d| + eps);  w -= step_size · m / u */
typedef struct sonde_adamax_args {
    double step_size, beta1, beta2, eps, weight_decay;
    bool maximize;
} sonde_adamax_args;
void sonde_adamax_kernel(sonde_dtype dtype, void *w, void *m, void *u, const void *g, size_t n,
                         const sonde_adamax_args *args, sonde_update_stats *stats);

/* m as above;  v = β2 v + (1-β2) d²;  s = √v / correction + eps;  w -= (gradient_step · d + mean_step · m) / s.
 * NAdam has both; RAdam no gradient_step, and while it is not yet rectified (`plain`) s = 1. */
typedef struct sonde_moment_args {
    double gradient_step, mean_step, correction, beta1, beta2, eps, weight_decay, keep;
    bool plain, maximize;
} sonde_moment_args;
void sonde_moment_kernel(sonde_dtype dtype, void *w, void *m, void *v, const void *g, size_t n,
                         const sonde_moment_args *args, sonde_update_stats *stats);

/* sum += d²;  w -= step_size · d / (√sum + eps); first: the sum starts at `initial` */
typedef struct sonde_adagrad_args {
    double step_size, eps, weight_decay, initial;
    bool first, maximize;
} sonde_adagrad_args;
void sonde_adagrad_kernel(sonde_dtype dtype, void *w, void *sum, const void *g, size_t n,
                          const sonde_adagrad_args *args, sonde_update_stats *stats);

/* v = ρ v + (1-ρ) d²;  δ = √(a + eps) / √(v + eps) · d;  a = ρ a + (1-ρ) δ²;  w -= lr · δ */
typedef struct sonde_adadelta_args {
    double lr, rho, eps, weight_decay;
    bool maximize;
} sonde_adadelta_args;
void sonde_adadelta_kernel(sonde_dtype dtype, void *w, void *v, void *a, const void *g, size_t n,
                           const sonde_adadelta_args *args, sonde_update_stats *stats);

/* size *= eta_plus where d · previous > 0, eta_minus (and d = 0) where it is < 0, within [low, high];
 * w -= sign(d) · size;  previous = d.  first: sizes start at lr. A NaN in g goes on to w. */
typedef struct sonde_rprop_args {
    double lr, eta_minus, eta_plus, low, high;
    bool first, maximize;
} sonde_rprop_args;
void sonde_rprop_kernel(sonde_dtype dtype, void *w, void *previous, void *size, const void *g, size_t n,
                        const sonde_rprop_args *args, sonde_update_stats *stats);

/* w = keep · w - step_size · d (d with the w before);  mean += average · (w - mean) */
typedef struct sonde_asgd_args {
    double step_size, keep, average, weight_decay;
    bool maximize;
} sonde_asgd_args;
void sonde_asgd_kernel(sonde_dtype dtype, void *w, void *mean, const void *g, size_t n, const sonde_asgd_args *args,
                       sonde_update_stats *stats);

/* w = keep · w - lr · sign(β1 m + (1-β1) d);  m = β2 m + (1-β2) d.  A NaN goes on to w. */
typedef struct sonde_lion_args {
    double lr, beta1, beta2, keep;
    bool maximize;
} sonde_lion_args;
void sonde_lion_kernel(sonde_dtype dtype, void *w, void *m, const void *g, size_t n, const sonde_lion_args *args,
                       sonde_update_stats *stats);

/* b += (1-momentum) (g - b);  u = nesterov ? g + momentum (b - g) : b;  w = keep · w - step_size · NS(u), where NS is
 * `rounds` of the quintic Newton–Schulz iteration X = c₀ X + (c₁ A + c₂ A²) X, A = X Xᵀ, from X = u / max(‖u‖, eps):
 * it drives every singular value towards 1. w, b, g [rows, columns]; scratch: sonde_muon_scratch bytes, aligned as
 * memory of base is. */
typedef struct sonde_muon_args {
    double step_size, keep, momentum, eps, coefficients[3];
    int rounds;
    bool nesterov;
} sonde_muon_args;
size_t sonde_muon_scratch(sonde_dtype dtype, int64_t rows, int64_t columns); /* SIZE_MAX: too large */
void sonde_muon_kernel(sonde_dtype dtype, void *w, void *b, const void *g, int64_t rows, int64_t columns,
                       const sonde_muon_args *args, void *scratch, sonde_update_stats *stats);

#endif
