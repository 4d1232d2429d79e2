/* Optimiser steps: the choice of the loop for the element type. */
#include "kernel/optimisers.h"
#include "kernel/real/kernels.h"
#include "kernel/real/optimisers.h"

/* sonde_<name>_f32 or sonde_<name>_f64 */
#define STEP(name, ...)                                                                                                \
    do {                                                                                                               \
        if (dtype == SONDE_FLOAT32)                                                                                    \
            sonde_##name##_f32(__VA_ARGS__);                                                                           \
        else                                                                                                           \
            sonde_##name##_f64(__VA_ARGS__);                                                                           \
    } while (0)

void sonde_sgd_kernel(sonde_dtype dtype, void *w, void *buffer, const void *g, size_t n, const sonde_sgd_args *args,
                      sonde_update_stats *stats)
{
    STEP(sgd, w, buffer, g, n, args, stats);
}

void sonde_adam_kernel(sonde_dtype dtype, void *w, void *m, void *v, void *v_max, const void *g, size_t n,
                       const sonde_adam_args *args, sonde_update_stats *stats)
{
    STEP(adam, w, m, v, v_max, g, n, args, stats);
}

void sonde_rmsprop_kernel(sonde_dtype dtype, void *w, void *v, void *mean, void *buffer, const void *g, size_t n,
                          const sonde_rmsprop_args *args, sonde_update_stats *stats)
{
    STEP(rmsprop, w, v, mean, buffer, g, n, args, stats);
}

void sonde_adamax_kernel(sonde_dtype dtype, void *w, void *m, void *u, const void *g, size_t n,
                         const sonde_adamax_args *args, sonde_update_stats *stats)
{
    STEP(adamax, w, m, u, g, n, args, stats);
}

void sonde_moment_kernel(sonde_dtype dtype, void *w, void *m, void *v, const void *g, size_t n,
                         const sonde_moment_args *args, sonde_update_stats *stats)
{
    STEP(moment, w, m, v, g, n, args, stats);
}

void sonde_adagrad_kernel(sonde_dtype dtype, void *w, void *sum, const void *g, size_t n,
                          const sonde_adagrad_args *args, sonde_update_stats *stats)
{
    STEP(adagrad, w, sum, g, n, args, stats);
}

void sonde_adadelta_kernel(sonde_dtype dtype, void *w, void *v, void *a, const void *g, size_t n,
                           const sonde_adadelta_args *args, sonde_update_stats *stats)
{
    STEP(adadelta, w, v, a, g, n, args, stats);
}

void sonde_rprop_kernel(sonde_dtype dtype, void *w, void *previous, void *size, const void *g, size_t n,
                        const sonde_rprop_args *args, sonde_update_stats *stats)
{
    STEP(rprop, w, previous, size, g, n, args, stats);
}

void sonde_asgd_kernel(sonde_dtype dtype, void *w, void *mean, const void *g, size_t n, const sonde_asgd_args *args,
                       sonde_update_stats *stats)
{
    STEP(asgd, w, mean, g, n, args, stats);
}

void sonde_lion_kernel(sonde_dtype dtype, void *w, void *m, const void *g, size_t n, const sonde_lion_args *args,
                       sonde_update_stats *stats)
{
    STEP(lion, w, m, g, n, args, stats);
}

size_t sonde_muon_scratch(sonde_dtype dtype, int64_t rows, int64_t columns)
{
    const size_t least = (size_t)(rows < columns ? rows : columns);
    size_t matrix, square, total;
    bool fits = sonde_size_mul((size_t)rows, (size_t)columns, &matrix) && sonde_size_mul(least, least, &square) &&
                sonde_size_add(matrix, square, &total) && sonde_size_mul(total, 2 * sonde_dtype_size(dtype), &total);
    return fits ? total : SIZE_MAX;
}

void sonde_muon_kernel(sonde_dtype dtype, void *w, void *b, const void *g, int64_t rows, int64_t columns,
                       const sonde_muon_args *args, void *scratch, sonde_update_stats *stats)
{
    STEP(muon, w, b, g, rows, columns, args, scratch, stats);
}
