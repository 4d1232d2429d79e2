/* The element types' forms of kernel/optimisers.h. Private to room kernel. */
#ifndef SONDE_REAL_OPTIMISERS_H
#define SONDE_REAL_OPTIMISERS_H

#include "kernel/optimisers.h"

#define SONDE_DECLARE_OPTIMISERS(real, suffix)                                                                         \
    void sonde_adamax_##suffix(real *w, real *m, real *u, const real *g, size_t n, const sonde_adamax_args *args,      \
                               sonde_update_stats *stats);                                                             \
    void sonde_moment_##suffix(real *w, real *m, real *v, const real *g, size_t n, const sonde_moment_args *args,      \
                               sonde_update_stats *stats);                                                             \
    void sonde_adagrad_##suffix(real *w, real *sum, const real *g, size_t n, const sonde_adagrad_args *args,           \
                                sonde_update_stats *stats);                                                            \
    void sonde_adadelta_##suffix(real *w, real *v, real *a, const real *g, size_t n, const sonde_adadelta_args *args,  \
                                 sonde_update_stats *stats);                                                           \
    void sonde_rprop_##suffix(real *w, real *previous, real *size, const real *g, size_t n,                            \
                              const sonde_rprop_args *args, sonde_update_stats *stats);                                \
    void sonde_asgd_##suffix(real *w, real *mean, const real *g, size_t n, const sonde_asgd_args *args,                \
                             sonde_update_stats *stats);                                                               \
    void sonde_lion_##suffix(real *w, real *m, const real *g, size_t n, const sonde_lion_args *args,                   \
                             sonde_update_stats *stats);                                                               \
    void sonde_muon_##suffix(real *w, real *b, const real *g, int64_t rows, int64_t columns,                           \
                             const sonde_muon_args *args, real *scratch, sonde_update_stats *stats);

SONDE_DECLARE_OPTIMISERS(float, f32)
SONDE_DECLARE_OPTIMISERS(double, f64)

#endif
