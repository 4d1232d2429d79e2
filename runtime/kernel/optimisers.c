/* Optimiser steps: the choice of the loop for the element type. */
#include "kernel/kernel.h"
#include "kernel/real/kernels.h"

void sonde_sgd_kernel(sonde_dtype dtype, void *w, void *buffer, const void *g, size_t n, const sonde_sgd_args *args,
                      sonde_update_stats *stats)
{
    if (dtype == SONDE_FLOAT32)
        sonde_sgd_f32(w, buffer, g, n, args, stats);
    else
        sonde_sgd_f64(w, buffer, g, n, args, stats);
}

void sonde_adam_kernel(sonde_dtype dtype, void *w, void *m, void *v, void *v_max, const void *g, size_t n,
                       const sonde_adam_args *args, sonde_update_stats *stats)
{
    if (dtype == SONDE_FLOAT32)
        sonde_adam_f32(w, m, v, v_max, g, n, args, stats);
    else
        sonde_adam_f64(w, m, v, v_max, g, n, args, stats);
}

void sonde_rmsprop_kernel(sonde_dtype dtype, void *w, void *v, void *mean, void *buffer, const void *g, size_t n,
                          const sonde_rmsprop_args *args, sonde_update_stats *stats)
{
    if (dtype == SONDE_FLOAT32)
        sonde_rmsprop_f32(w, v, mean, buffer, g, n, args, stats);
    else
        sonde_rmsprop_f64(w, v, mean, buffer, g, n, args, stats);
}
