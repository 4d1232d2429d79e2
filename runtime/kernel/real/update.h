/* update.h — an optimiser's pass over one parameter, block by block, and the statistics taken on the way: of a copy of
 * the old weights, after a block's step or within it. No operation is contracted, so the weights have the same bits with
 * and without. Private.
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

/* What is seen of one block. */
typedef struct sight {
    squares weights, updates;
    uint64_t n_unchanged;
} sight;

static inline void see(sight *to, const vec *before, const vec *after, const vec *g)
{
    const vec d = *after - *before;
    add_square(&to->weights, before);
    add_square(&to->updates, &d);
    to->n_unchanged += count_unchanged(before, after, g);
}

static inline void store_part(real *x, const vec *v, size_t n) { memcpy(x, v, n * sizeof *x); }

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

static inline void add_sight(tally *to, const sight *s, const real *before, const real *after, size_t n)
{
    to->n_unchanged += s->n_unchanged;
    if (are_sound(&s->weights) && are_sound(&s->updates)) {
        add_lanes(&to->weight_sq, &s->weights.sum);
        add_lanes(&to->update_sq, &s->updates.sum);
    } else {
        add_carefully(to, before, after, n);
    }
}

/* After the step: `before` has zeros from n to the end of the vector. */
static inline void look_at_block(tally *to, const real *before, const real *after, const real *g, size_t n)
{
    sight seen = {.n_unchanged = 0};
    size_t i = 0;
    for (; n - i >= LANES; i += LANES) {
        const vec b = load(before + i), a = load(after + i), gradient = load(g + i);
        see(&seen, &b, &a, &gradient);
    }
    if (i < n) {
        const vec b = load(before + i), a = load_part(after + i, n - i), gradient = load_part(g + i, n - i);
        see(&seen, &b, &a, &gradient);
    }
    add_sight(to, &seen, before, after, n);
}

static inline void put_stats(sonde_update_stats *out, const tally *all, size_t n)
{
    *out = (sonde_update_stats){.weight_sq = fold(&all->weight_sq), .update_sq = fold(&all->update_sq), .n = n,
                                .n_unchanged = all->n_unchanged};
}

/* STEP runs for the elements `from` .. `from + count - 1`, block by block. */
#define BLOCKWISE(STEP)                                                                                                \
    do {                                                                                                               \
        tally all = {.n_unchanged = 0};                                                                                \
        for (size_t from = 0; from < n; from += BLOCK) {                                                               \
            size_t count = n - from < BLOCK ? n - from : BLOCK;                                                        \
            real before[BLOCK];                                                                                        \
            if (stats && count % LANES != 0) memset(before + count / LANES * LANES, 0, LANES * sizeof *before);        \
            if (stats) memcpy(before, w + from, count * sizeof *before);                                               \
            STEP;                                                                                                      \
            if (stats) look_at_block(&all, before, w + from, g + from, count);                                         \
        }                                                                                                              \
        if (stats) put_stats(stats, &all, n);                                                                          \
    } while (0)

#endif
