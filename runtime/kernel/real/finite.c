/* Is everything finite? One pass, at the speed of memory. */
#include "kernel/real/kernels.h"
#include "kernel/real/real.h"

enum { LANES = 64 }; /* sums side by side: one alone would wait for itself */

/* x · 0 is 0 for finite x and NaN for the others, and one NaN makes the sum NaN. */
bool REAL_NAME(sonde_finite)(const real *x, size_t n)
{
    real sums[LANES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
#pragma omp simd
        for (int k = 0; k < LANES; k++) sums[k] += x[i + (size_t)k] * R(0);
#pragma omp simd reduction(+ : sum)
    for (size_t j = i; j < n; j++) sum += x[j] * R(0);
#pragma omp simd reduction(+ : sum)
    for (int k = 0; k < LANES; k++) sum += sums[k]; /* in any order: is it NaN? */
    return sum == 0;
}
