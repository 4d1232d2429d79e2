/* Optimiser steps that scale each element by the gradients it has seen: Adamax, NAdam and RAdam, Adagrad, Adadelta. */
#include "kernel/real/optimisers.h"
#include "kernel/real/update.h"

typedef struct adamax {
    real sign, step_size, beta1, fresh1, beta2, eps, decay;
} adamax;

static void adamax_step(real *w, real *m, real *u, const real *g, size_t n, const adamax *a)
{
    const adamax s = *a;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        real d = s.sign * g[i];
        if (s.decay != 0) d = d + s.decay * w[i];
        real mean = s.beta1 * m[i] + s.fresh1 * d;
        real kept = s.beta2 * u[i], size = REAL_MATH(fabs)(d) + s.eps;
        real largest = kept > size ? kept : size;
        m[i] = mean;
        u[i] = largest;
        w[i] = w[i] - s.step_size * (mean / largest);
    }
}

void REAL_NAME(sonde_adamax)(real *w, real *m, real *u, const real *g, size_t n, const sonde_adamax_args *args,
                             sonde_update_stats *stats)
{
    adamax a = {
        .sign = args->maximize ? -1 : 1,
        .step_size = (real)args->step_size,
        .beta1 = (real)args->beta1,
        .fresh1 = (real)(1 - args->beta1),
        .beta2 = (real)args->beta2,
        .eps = (real)args->eps,
        .decay = (real)args->weight_decay,
    };
    BLOCKWISE(adamax_step(w + from, m + from, u + from, g + from, count, &a));
}

/* ---- NAdam, RAdam -------------------------------------------------------------------------------------- */

typedef struct moment {
    real sign, gradient_step, mean_step, correction, beta1, fresh1, beta2, fresh2, eps, decay, keep;
    bool plain;
} moment;

static void moment_step(real *w, real *m, real *v, const real *g, size_t n, const moment *a)
{
    const moment s = *a;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        real weight = s.keep * w[i], d = s.sign * g[i];
        if (s.decay != 0) d = d + s.decay * weight;
        real mean = s.beta1 * m[i] + s.fresh1 * d, square = s.beta2 * v[i] + s.fresh2 * d * d;
        real scale = s.plain ? 1 : SQRT(square) / s.correction + s.eps;
        m[i] = mean;
        v[i] = square;
        if (s.gradient_step != 0) weight = weight - s.gradient_step * (d / scale);
        w[i] = weight - s.mean_step * (mean / scale);
    }
}

void REAL_NAME(sonde_moment)(real *w, real *m, real *v, const real *g, size_t n, const sonde_moment_args *args,
                             sonde_update_stats *stats)
{
    moment a = {
        .sign = args->maximize ? -1 : 1,
        .gradient_step = (real)args->gradient_step,
        .mean_step = (real)args->mean_step,
        .correction = (real)args->correction,
        .beta1 = (real)args->beta1,
        .fresh1 = (real)(1 - args->beta1),
        .beta2 = (real)args->beta2,
        .fresh2 = (real)(1 - args->beta2),
        .eps = (real)args->eps,
        .decay = (real)args->weight_decay,
        .keep = (real)args->keep,
        .plain = args->plain,
    };
    BLOCKWISE(moment_step(w + from, m + from, v + from, g + from, count, &a));
}

/* ---- Adagrad, Adadelta --------------------------------------------------------------------------------- */

typedef struct adagrad {
    real sign, step_size, eps, decay, initial;
    bool first;
} adagrad;

static void adagrad_step(real *w, real *sum, const real *g, size_t n, const adagrad *a)
{
    const adagrad s = *a;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        real d = s.sign * g[i];
        if (s.decay != 0) d = d + s.decay * w[i];
        real total = (s.first ? s.initial : sum[i]) + d * d;
        sum[i] = total;
        w[i] = w[i] - s.step_size * (d / (SQRT(total) + s.eps));
    }
}

void REAL_NAME(sonde_adagrad)(real *w, real *sum, const real *g, size_t n, const sonde_adagrad_args *args,
                              sonde_update_stats *stats)
{
    adagrad a = {
        .sign = args->maximize ? -1 : 1,
        .step_size = (real)args->step_size,
        .eps = (real)args->eps,
        .decay = (real)args->weight_decay,
        .initial = (real)args->initial,
        .first = args->first,
    };
    BLOCKWISE(adagrad_step(w + from, sum + from, g + from, count, &a));
}

typedef struct adadelta {
    real sign, lr, rho, fresh, eps, decay;
} adadelta;

static void adadelta_step(real *w, real *v, real *acc, const real *g, size_t n, const adadelta *a)
{
    const adadelta s = *a;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        real d = s.sign * g[i];
        if (s.decay != 0) d = d + s.decay * w[i];
        real square = s.rho * v[i] + s.fresh * d * d;
        real delta = SQRT(acc[i] + s.eps) / SQRT(square + s.eps) * d;
        v[i] = square;
        acc[i] = s.rho * acc[i] + s.fresh * delta * delta;
        w[i] = w[i] - s.lr * delta;
    }
}

void REAL_NAME(sonde_adadelta)(real *w, real *v, real *a, const real *g, size_t n, const sonde_adadelta_args *args,
                               sonde_update_stats *stats)
{
    adadelta s = {
        .sign = args->maximize ? -1 : 1,
        .lr = (real)args->lr,
        .rho = (real)args->rho,
        .fresh = (real)(1 - args->rho),
        .eps = (real)args->eps,
        .decay = (real)args->weight_decay,
    };
    BLOCKWISE(adadelta_step(w + from, v + from, a + from, g + from, count, &s));
}
