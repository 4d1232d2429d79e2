/* Optimiser steps by the sign of a direction (Rprop, Lion), and averaged SGD. */
#include "kernel/real/optimisers.h"
#include "kernel/real/update.h"

/* x itself where it is 0 or NaN. */
static inline real sign_of(real x)
{
    return x > 0 ? R(1) : x < 0 ? R(-1) : x;
}

typedef struct rprop {
    real sign, lr, eta_minus, eta_plus, low, high;
    bool first;
} rprop;

static void rprop_step(real *w, real *previous, real *size, const real *g, size_t n, const rprop *a)
{
    const rprop s = *a;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        real d = s.sign * g[i], agreement = sign_of(d) * sign_of(previous[i]); /* of signs: no underflow */
        real factor = agreement > 0 ? s.eta_plus : agreement < 0 ? s.eta_minus : R(1);
        real step = (s.first ? s.lr : size[i]) * factor;
        step = step < s.low ? s.low : step > s.high ? s.high : step;
        if (agreement < 0) d = 0;
        size[i] = step;
        previous[i] = d;
        w[i] = w[i] - sign_of(d) * step;
    }
}

void REAL_NAME(sonde_rprop)(real *w, real *previous, real *size, const real *g, size_t n, const sonde_rprop_args *args,
                            sonde_update_stats *stats)
{
    rprop a = {
        .sign = args->maximize ? -1 : 1,
        .lr = (real)args->lr,
        .eta_minus = (real)args->eta_minus,
        .eta_plus = (real)args->eta_plus,
        .low = (real)args->low,
        .high = (real)args->high,
        .first = args->first,
    };
    BLOCKWISE(rprop_step(w + from, previous + from, size + from, g + from, count, &a));
}

typedef struct asgd {
    real sign, step_size, keep, average, decay;
} asgd;

static void asgd_step(real *w, real *mean, const real *g, size_t n, const asgd *a)
{
    const asgd s = *a;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        real d = s.sign * g[i];
        if (s.decay != 0) d = d + s.decay * w[i];
        real weight = s.keep * w[i] - s.step_size * d;
        w[i] = weight;
        mean[i] = s.average == 1 ? weight : mean[i] + s.average * (weight - mean[i]);
    }
}

void REAL_NAME(sonde_asgd)(real *w, real *mean, const real *g, size_t n, const sonde_asgd_args *args,
                           sonde_update_stats *stats)
{
    asgd a = {
        .sign = args->maximize ? -1 : 1,
        .step_size = (real)args->step_size,
        .keep = (real)args->keep,
        .average = (real)args->average,
        .decay = (real)args->weight_decay,
    };
    BLOCKWISE(asgd_step(w + from, mean + from, g + from, count, &a));
}

typedef struct lion {
    real sign, lr, beta1, fresh1, beta2, fresh2, keep;
} lion;

static void lion_step(real *w, real *m, const real *g, size_t n, const lion *a)
{
    const lion s = *a;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        real d = s.sign * g[i], direction = sign_of(s.beta1 * m[i] + s.fresh1 * d);
        m[i] = s.beta2 * m[i] + s.fresh2 * d;
        w[i] = s.keep * w[i] - s.lr * direction;
    }
}

void REAL_NAME(sonde_lion)(real *w, real *m, const real *g, size_t n, const sonde_lion_args *args,
                           sonde_update_stats *stats)
{
    lion a = {
        .sign = args->maximize ? -1 : 1,
        .lr = (real)args->lr,
        .beta1 = (real)args->beta1,
        .fresh1 = (real)(1 - args->beta1),
        .beta2 = (real)args->beta2,
        .fresh2 = (real)(1 - args->beta2),
        .keep = (real)args->keep,
    };
    BLOCKWISE(lion_step(w + from, m + from, g + from, count, &a));
}
