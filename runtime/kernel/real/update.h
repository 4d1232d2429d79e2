/* update.h — an optimiser's pass over one parameter, block by block. The statistics are taken in loops of their own over
 * a block that is in the first cache, from a copy of the old weights: the loop that computes the weights is the same
 * code either way. Private.
 */
#ifndef SONDE_REAL_UPDATE_H
#define SONDE_REAL_UPDATE_H

#include "kernel/kernel.h"
#include "kernel/real/squares.h"

#define SQRT REAL_MATH(sqrt)

typedef struct tally {
    wide weight_sq, update_sq;
    uint64_t n_unchanged;
} tally;

/* How many lanes had a gradient and did not move. */
static inline uint64_t count_unchanged(const vec *before, const vec *after, const vec *g)
{
#if defined(__AVX512F__) && SONDE_REAL == 32
    const __mmask16 pulled = _mm512_cmp_ps_mask((__m512)*g, _mm512_setzero_ps(), _CMP_NEQ_UQ);
    const __mmask16 held = _mm512_mask_cmp_ps_mask(pulled, (__m512)*before, (__m512)*after, _CMP_EQ_OQ);
    return (uint64_t)__builtin_popcount(held);
#else
    uint64_t n = 0;
    for (int l = 0; l < LANES; l++) n += (*g)[l] != 0 && (*before)[l] == (*after)[l];
    return n;
#endif
}

/* Copies n <= BLOCK weights, with zeros after them to the end of the vector. */
static inline squares look_before(real *before, const real *w, size_t n)
{
    squares weights = {.sum = {0}};
    for (size_t i = 0; i < n; i += LANES) {
        vec v = n - i >= LANES ? load(w + i) : load_part(w + i, n - i);
        memcpy(before + i, &v, sizeof v);
        add_square(&weights, &v);
    }
    return weights;
}

/* Σ before² and Σ (after - before)², every term in double. */
static void add_carefully(tally *to, const real *before, const real *after, size_t n)
{
    wide weight_sq = to->weight_sq, update_sq = to->update_sq;
    for (size_t i = 0; i < n; i += WIDE) {
        real rest[WIDE] = {0};
        if (n - i < WIDE) memcpy(rest, after + i, (n - i) * sizeof *after);
        wide b = load_wide(before + i), d = load_wide(n - i < WIDE ? rest : after + i) - b;
        weight_sq += b * b;
        update_sq += d * d;
    }
    to->weight_sq = weight_sq;
    to->update_sq = update_sq;
}

/* weights: what look_before returned. */
static inline void look_after(tally *to, const squares *weights, const real *before, const real *after, const real *g,
                              size_t n)
{
    squares updates = {.sum = {0}};
    for (size_t i = 0; i < n; i += LANES) {
        bool whole = n - i >= LANES;
        vec b = load(before + i), a = whole ? load(after + i) : load_part(after + i, n - i), d = a - b;
        vec gradient = whole ? load(g + i) : load_part(g + i, n - i);
        add_square(&updates, &d);
        to->n_unchanged += count_unchanged(&b, &a, &gradient);
    }
    if (are_sound(weights) && are_sound(&updates)) {
        add_lanes(&to->weight_sq, &weights->sum);
        add_lanes(&to->update_sq, &updates.sum);
    } else {
        add_carefully(to, before, after, n);
    }
}

/* STEP runs for the elements `from` .. `from + count - 1`, block by block. */
#define BLOCKWISE(STEP)                                                                                                \
    do {                                                                                                               \
        tally all = {.n_unchanged = 0};                                                                                \
        for (size_t from = 0; from < n; from += BLOCK) {                                                               \
            size_t count = n - from < BLOCK ? n - from : BLOCK;                                                        \
            real before[BLOCK];                                                                                        \
            squares weights = {.sum = {0}};                                                                            \
            if (stats) weights = look_before(before, w + from, count);                                                 \
            STEP;                                                                                                      \
            if (stats) look_after(&all, &weights, before, w + from, g + from, count);                                  \
        }                                                                                                              \
        if (stats)                                                                                                     \
            *stats = (sonde_update_stats){.weight_sq = fold(&all.weight_sq), .update_sq = fold(&all.update_sq),        \
                                          .n = n, .n_unchanged = all.n_unchanged};                                     \
    } while (0)

#endif
