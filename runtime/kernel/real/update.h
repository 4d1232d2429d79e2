/* update.h — an optimiser's pass over one parameter, block by block. The statistics are taken in a second loop over a
 * block that is still in cache, from a copy of the old weights: the loop that computes the weights is the same code
 * either way. Private.
 */
#ifndef SONDE_REAL_UPDATE_H
#define SONDE_REAL_UPDATE_H

#include "kernel/kernel.h"
#include "kernel/real/wide.h"

enum { BLOCK = RUN * LANES };
#define SQRT REAL_MATH(sqrt)

#if SONDE_REAL == 32
typedef int32_t veccount __attribute__((vector_size(64)));
#else
typedef int64_t veccount __attribute__((vector_size(64)));
#endif

/* Σ before² and Σ (after - before)², every term in double. */
static inline void careful_sums(double *weight_sq, double *update_sq, const real *before, const real *after, size_t n)
{
    wide w = {0}, u = {0};
    for (size_t i = 0; i < n; i += WIDE) {
        wide b = load_wide(before + i), d = load_wide(after + i) - b;
        w += b * b;
        u += d * d;
    }
    *weight_sq = fold(&w);
    *update_sq = fold(&u);
}

/* The three arrays have n elements, a multiple of LANES. */
static inline void add_vectors(sonde_update_stats *stats, const real *before, const real *after, const real *g,
                               size_t n)
{
    vec weight = {0}, update = {0};
    veccount held = {0};
    for (size_t i = 0; i < n; i += LANES) {
        vec b = load(before + i), a = load(after + i), d = a - b;
        weight += b * b;
        update += d * d;
        held -= (veccount)(load(g + i) != 0) & (veccount)(a == b);
    }
    wide weight_wide = {0}, update_wide = {0};
    add_lanes(&weight_wide, &weight);
    add_lanes(&update_wide, &update);
    double weight_sq = fold(&weight_wide), update_sq = fold(&update_wide);
    if (!is_sound(weight_sq) || !is_sound(update_sq)) careful_sums(&weight_sq, &update_sq, before, after, n);
    stats->weight_sq += weight_sq;
    stats->update_sq += update_sq;
    for (int l = 0; l < LANES; l++) stats->n_unchanged += (uint64_t)held[l];
}

/* n <= BLOCK */
static inline void add_stats(sonde_update_stats *stats, const real *before, const real *after, const real *g, size_t n)
{
    size_t whole = n / LANES * LANES, rest = n - whole;
    if (whole > 0) add_vectors(stats, before, after, g, whole);
    if (rest > 0) {
        real b[LANES] = {0}, a[LANES] = {0}, c[LANES] = {0};
        memcpy(b, before + whole, rest * sizeof *b);
        memcpy(a, after + whole, rest * sizeof *a);
        memcpy(c, g + whole, rest * sizeof *c);
        add_vectors(stats, b, a, c, LANES);
    }
    stats->n += n;
}

/* n <= BLOCK. By vectors: memcpy takes its time for so little. */
static inline void copy_block(real *out, const real *in, size_t n)
{
    size_t whole = n / LANES * LANES;
    for (size_t i = 0; i < whole; i += LANES) {
        vec v = load(in + i);
        memcpy(out + i, &v, sizeof v);
    }
    for (size_t i = whole; i < n; i++) out[i] = in[i];
}

/* STEP runs for the elements `from` .. `from + count - 1`, block by block. */
#define BLOCKWISE(STEP)                                                                                                \
    do {                                                                                                               \
        if (stats) *stats = (sonde_update_stats){0};                                                                   \
        for (size_t from = 0; from < n; from += BLOCK) {                                                               \
            size_t count = n - from < BLOCK ? n - from : BLOCK;                                                        \
            real before[BLOCK];                                                                                        \
            if (stats) copy_block(before, w + from, count);                                                            \
            STEP;                                                                                                      \
            if (stats) add_stats(stats, before, w + from, g + from, count);                                            \
        }                                                                                                              \
    } while (0)

#endif
