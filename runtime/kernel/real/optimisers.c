/* Optimiser steps, fused: PyTorch 1.13's formulas (torch/optim/_functional), each constant rounded to `real` once. The
 * statistics are taken in a second loop over a block that is still in cache, from a copy of the old weights: the loop
 * that computes the weights is the same code either way.
 */
#include "kernel/real/kernels.h"
#include "kernel/real/wide.h"

enum { BLOCK = RUN * LANES };
#define SQRT REAL_MATH(sqrt)

#if SONDE_REAL == 32
typedef int32_t veccount __attribute__((vector_size(64)));
#else
typedef int64_t veccount __attribute__((vector_size(64)));
#endif

/* Σ before² and Σ (after - before)², every term in double. */
static void careful_sums(double *weight_sq, double *update_sq, const real *before, const real *after, size_t n)
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
static void add_vectors(sonde_update_stats *stats, const real *before, const real *after, const real *g, size_t n)
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
static void add_stats(sonde_update_stats *stats, const real *before, const real *after, const real *g, size_t n)
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
static void copy_block(real *out, const real *in, size_t n)
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

/* ---- SGD ----------------------------------------------------------------------------------------------- */

typedef struct sgd {
    real sign, lr, momentum, fresh, decay;
    bool nesterov, first;
} sgd;

static void sgd_plain(real *w, const real *g, size_t n, const sgd *s)
{
    real sign = s->sign, lr = s->lr, decay = s->decay;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        real d = sign * g[i];
        if (decay != 0) d = d + decay * w[i];
        w[i] = w[i] - lr * d;
    }
}

static void sgd_momentum(real *w, real *buffer, const real *g, size_t n, const sgd *s)
{
    real sign = s->sign, lr = s->lr, decay = s->decay, momentum = s->momentum, fresh = s->fresh;
    bool first = s->first, nesterov = s->nesterov;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        real d = sign * g[i];
        if (decay != 0) d = d + decay * w[i];
        real b = first ? d : momentum * buffer[i] + fresh * d;
        buffer[i] = b;
        w[i] = w[i] - lr * (nesterov ? d + momentum * b : b);
    }
}

void REAL_NAME(sonde_sgd)(real *w, real *buffer, const real *g, size_t n, const sonde_sgd_args *args,
                          sonde_update_stats *stats)
{
    sgd s = {
        .sign = args->maximize ? -1 : 1,
        .lr = (real)args->lr,
        .momentum = (real)args->momentum,
        .fresh = (real)(1 - args->dampening),
        .decay = (real)args->weight_decay,
        .nesterov = args->nesterov,
        .first = args->first,
    };
    if (args->momentum == 0)
        BLOCKWISE(sgd_plain(w + from, g + from, count, &s));
    else
        BLOCKWISE(sgd_momentum(w + from, buffer + from, g + from, count, &s));
}

/* ---- Adam, AdamW --------------------------------------------------------------------------------------- */

typedef struct adam {
    real sign, keep, beta1, fresh1, beta2, fresh2, eps, decay, step_size, correction;
} adam;

/* w -= step_size m / (sqrt(v) / correction + eps) */
static void adam_step(real *w, real *m, real *v, const real *g, size_t n, const adam *a)
{
    const adam s = *a;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        real weight = s.keep * w[i], d = s.sign * g[i];
        if (s.decay != 0) d = d + s.decay * weight;
        real mean = s.beta1 * m[i] + s.fresh1 * d, square = s.beta2 * v[i] + s.fresh2 * d * d;
        m[i] = mean;
        v[i] = square;
        w[i] = weight - s.step_size * (mean / (SQRT(square) / s.correction + s.eps));
    }
}

/* The same with the largest v so far in its place. */
static void adam_step_amsgrad(real *w, real *m, real *v, real *v_max, const real *g, size_t n, const adam *a)
{
    const adam s = *a;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        real weight = s.keep * w[i], d = s.sign * g[i];
        if (s.decay != 0) d = d + s.decay * weight;
        real mean = s.beta1 * m[i] + s.fresh1 * d, square = s.beta2 * v[i] + s.fresh2 * d * d;
        real largest = square <= v_max[i] ? v_max[i] : square; /* NaN wins, as in torch.maximum */
        m[i] = mean;
        v[i] = square;
        v_max[i] = largest;
        w[i] = weight - s.step_size * (mean / (SQRT(largest) / s.correction + s.eps));
    }
}

void REAL_NAME(sonde_adam)(real *w, real *m, real *v, real *v_max, const real *g, size_t n, const sonde_adam_args *args,
                           sonde_update_stats *stats)
{
    double step = (double)args->step;
    adam a = {
        .sign = args->maximize ? -1 : 1,
        .keep = (real)(args->decoupled ? 1 - args->lr * args->weight_decay : 1),
        .beta1 = (real)args->beta1,
        .fresh1 = (real)(1 - args->beta1),
        .beta2 = (real)args->beta2,
        .fresh2 = (real)(1 - args->beta2),
        .eps = (real)args->eps,
        .decay = (real)(args->decoupled ? 0 : args->weight_decay),
        .step_size = (real)(args->lr / (1 - pow(args->beta1, step))),
        .correction = (real)sqrt(1 - pow(args->beta2, step)),
    };
    if (args->amsgrad)
        BLOCKWISE(adam_step_amsgrad(w + from, m + from, v + from, v_max + from, g + from, count, &a));
    else
        BLOCKWISE(adam_step(w + from, m + from, v + from, g + from, count, &a));
}

/* ---- RMSprop ------------------------------------------------------------------------------------------- */

typedef struct rmsprop {
    real sign, lr, alpha, fresh, eps, decay, momentum;
    bool centered;
} rmsprop;

static inline real rmsprop_direction(real d, real square, real mean, const rmsprop *s)
{
    return d / (SQRT(s->centered ? square - mean * mean : square) + s->eps);
}

/* `mean` and `buffer` are NULL where the options do not want them. */
static void rmsprop_step(real *w, real *v, real *mean, real *buffer, const real *g, size_t n, const rmsprop *r)
{
    const rmsprop s = *r;
    for (size_t i = 0; i < n; i++) {
        real d = s.sign * g[i], centre = 0;
        if (s.decay != 0) d = d + s.decay * w[i];
        real square = s.alpha * v[i] + s.fresh * d * d;
        v[i] = square;
        if (mean) mean[i] = centre = s.alpha * mean[i] + s.fresh * d;
        real direction = rmsprop_direction(d, square, centre, &s);
        if (buffer) buffer[i] = direction = s.momentum * buffer[i] + direction;
        w[i] = w[i] - s.lr * direction;
    }
}

void REAL_NAME(sonde_rmsprop)(real *w, real *v, real *mean, real *buffer, const real *g, size_t n,
                              const sonde_rmsprop_args *args, sonde_update_stats *stats)
{
    rmsprop s = {
        .sign = args->maximize ? -1 : 1,
        .lr = (real)args->lr,
        .alpha = (real)args->alpha,
        .fresh = (real)(1 - args->alpha),
        .eps = (real)args->eps,
        .decay = (real)args->weight_decay,
        .momentum = (real)args->momentum,
        .centered = args->centered,
    };
    if (!args->centered) mean = NULL;
    if (!(args->momentum > 0)) buffer = NULL;
    BLOCKWISE(rmsprop_step(w + from, v + from, mean ? mean + from : NULL, buffer ? buffer + from : NULL, g + from,
                           count, &s));
}
