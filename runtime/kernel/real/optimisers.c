/* Optimiser steps, fused: PyTorch 1.13's formulas (torch/optim/_functional), each constant rounded to `real` once: SGD,
 * Adam, AdamW, RMSprop. */
#include "kernel/real/kernels.h"
#include "kernel/real/update.h"

/* ---- SGD ----------------------------------------------------------------------------------------------- */

typedef struct sgd {
    real sign, lr, momentum, fresh, decay;
    bool nesterov, first;
} sgd;

/* Of the commonest optimiser the statistics are taken on the way. buffer: NULL without momentum. */
static inline __attribute__((always_inline)) vec sgd_vector(vec w, vec *buffer, vec g, const sgd *s)
{
    vec d = s->sign * g;
    if (s->decay != 0) d = d + s->decay * w;
    if (!buffer) return w - s->lr * d;
    const vec b = s->first ? d : s->momentum * *buffer + s->fresh * d;
    *buffer = b;
    return w - s->lr * (s->nesterov ? d + s->momentum * b : b);
}

/* n elements, a vector's worth or fewer. before, seen: NULL where no statistics are wanted. */
static inline __attribute__((always_inline)) void sgd_part(real *w, real *buffer, const real *g, size_t n, const sgd *s,
                                                           real *before, sight *seen)
{
    const vec old = load_part(w, n), gradient = load_part(g, n);
    vec b = {0};
    if (buffer) b = load_part(buffer, n);
    const vec new = sgd_vector(old, buffer ? &b : NULL, gradient, s);
    if (buffer) store_part(buffer, &b, n);
    store_part(w, &new, n);
    if (!seen) return;
    memcpy(before, &old, sizeof old);
    see(seen, &old, &new, &gradient);
}

/* n <= BLOCK elements. */
static inline __attribute__((always_inline)) void sgd_block(real *w, real *buffer, const real *g, size_t n,
                                                            const sgd *s, tally *all)
{
    real before[BLOCK];
    sight seen = {.n_unchanged = 0};
    size_t i = 0;
    for (; n - i >= LANES; i += LANES)
        sgd_part(w + i, buffer ? buffer + i : NULL, g + i, LANES, s, before + i, all ? &seen : NULL);
    if (i < n) sgd_part(w + i, buffer ? buffer + i : NULL, g + i, n - i, s, before + i, all ? &seen : NULL);
    if (all) add_sight(all, &seen, before, w, n);
}

void REAL_NAME(sonde_sgd)(real *w, real *buffer, const real *g, size_t n, const sonde_sgd_args *args,
                          sonde_update_stats *stats)
{
    const sgd s = {
        .sign = args->maximize ? -1 : 1,
        .lr = (real)args->lr,
        .momentum = (real)args->momentum,
        .fresh = (real)(1 - args->dampening),
        .decay = (real)args->weight_decay,
        .nesterov = args->nesterov,
        .first = args->first,
    };
    /* The usual step, with what the compiler can leave out. */
    const sgd usual = {.sign = 1, .lr = s.lr, .momentum = s.momentum, .fresh = 1};
    const bool is_usual = s.sign == 1 && s.momentum != 0 && s.fresh == 1 && s.decay == 0 && !s.nesterov && !s.first;
    tally all = {.n_unchanged = 0};
    for (size_t i = 0; i < n; i += BLOCK) {
        const size_t count = n - i < BLOCK ? n - i : BLOCK;
        if (is_usual && stats) sgd_block(w + i, buffer + i, g + i, count, &usual, &all);
        else if (is_usual) sgd_block(w + i, buffer + i, g + i, count, &usual, NULL);
        else if (args->momentum == 0 && stats) sgd_block(w + i, NULL, g + i, count, &s, &all);
        else if (args->momentum == 0) sgd_block(w + i, NULL, g + i, count, &s, NULL);
        else if (stats) sgd_block(w + i, buffer + i, g + i, count, &s, &all);
        else sgd_block(w + i, buffer + i, g + i, count, &s, NULL);
    }
    if (stats) put_stats(stats, &all, n);
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
