/* Is everything finite? One pass, at the speed of memory. */
#include "kernel/real/kernels.h"
#include "kernel/real/real.h"

/* x · 0 is 0 for finite x and NaN for the others, and one NaN makes the sum NaN. */
bool REAL_NAME(sonde_finite)(const real *x, size_t n)
{
    real sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++) sum += x[i] * R(0);
    return sum == 0;
}
