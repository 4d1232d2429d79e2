/* logistic.h — the logistic function, of activations and of gates. */
#ifndef SONDE_REAL_LOGISTIC_H
#define SONDE_REAL_LOGISTIC_H

#include "kernel/real/real.h"

/* 1/(1 + e^-x) without overflow, and 1 minus that without cancellation. */
static inline real logistic(real x)
{
    real e = REAL_MATH(exp)(-REAL_MATH(fabs)(x)), r = 1 / (1 + e);
    return x >= 0 ? r : e * r;
}

#endif
