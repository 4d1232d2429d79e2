#include "kernel/kernel.h"
#include "kernel/lapack.h"

#include <math.h>
#include <string.h>

static const double THETA = 5.371920351148152; /* up to this norm the approximant is exact to rounding */
/* Higham's coefficients over the first one, so that e^0 is I to the last bit. */
#define B(coefficient) (coefficient / 64764752532480000.0)
static const double PADE[14] = {1,
                                B(32382376266240000.0),
                                B(7771770303897600.0),
                                B(1187353796428800.0),
                                B(129060195264000.0),
                                B(10559470521600.0),
                                B(670442572800.0),
                                B(33522128640.0),
                                B(1323241920.0),
                                B(40840800.0),
                                B(960960.0),
                                B(16380.0),
                                B(182.0),
                                B(1.0)};
#undef B

/* C = AB */
static void multiply(double *c, const double *a, const double *b, int64_t n)
{
    sonde_matmul_kernel(SONDE_FLOAT64, c, b, a, n, n, n, n, n, n, false, false, false);
}

/* out = p6 A6 + p4 A4 + p2 A2 + p0 I */
static void combine(double *out, const double *powers[3], const double p[4], int64_t n)
{
    for (int64_t i = 0; i < n * n; i++) out[i] = p[3] * powers[2][i] + p[2] * powers[1][i] + p[1] * powers[0][i];
    for (int64_t i = 0; i < n; i++) out[i * n + i] += p[0];
}

/* a becomes e^a, its norm being at most THETA; w: 6 matrices. */
static sonde_status approximate(double *a, double *w, int64_t n)
{
    const int64_t size = n * n;
    double *a2 = w, *a4 = w + size, *a6 = w + 2 * size, *odd = w + 3 * size, *even = w + 4 * size, *t = w + 5 * size;
    const double *powers[3] = {a2, a4, a6};
    const double *b = PADE;
    multiply(a2, a, a, n);
    multiply(a4, a2, a2, n);
    multiply(a6, a4, a2, n);
    combine(t, powers, (double[]){0, b[9], b[11], b[13]}, n);
    multiply(even, a6, t, n); /* even serves as scratch */
    combine(t, powers, (double[]){b[1], b[3], b[5], b[7]}, n);
    for (int64_t i = 0; i < size; i++) t[i] += even[i];
    multiply(odd, a, t, n);
    combine(t, powers, (double[]){0, b[8], b[10], b[12]}, n);
    multiply(even, a6, t, n);
    combine(t, powers, (double[]){b[0], b[2], b[4], b[6]}, n);
    for (int64_t i = 0; i < size; i++) {
        const double e = even[i] + t[i], o = odd[i];
        even[i] = e - o; /* (E - O) X = E + O */
        a[i] = e + o;
    }
    return sonde_linalg_solve(even, a, n, n);
}

sonde_status sonde_linalg_exp(double *a, int64_t n)
{
    double norm = 0;
    for (int64_t j = 0; j < n; j++) { /* largest sum of a column */
        double sum = 0;
        for (int64_t i = 0; i < n; i++) sum += fabs(a[j * n + i]);
        norm = isfinite(sum) ? fmax(norm, sum) : sum;
        if (!isfinite(sum)) break;
    }
    if (!isfinite(norm)) {
        for (int64_t i = 0; i < n * n; i++) a[i] = (double)NAN;
        return SONDE_OK;
    }
    const int squarings = norm > THETA ? (int)ceil(log2(norm / THETA)) : 0;
    const size_t bytes = (size_t)(n * n) * sizeof *a;
    double *w = sonde_alloc(6 * bytes);
    if (!w) return SONDE_ENOMEM;
    for (int64_t i = 0; i < n * n; i++) a[i] = ldexp(a[i], -squarings);
    sonde_status status = approximate(a, w, n);
    for (int k = 0; k < squarings && status == SONDE_OK; k++) {
        multiply(w, a, a, n);
        memcpy(a, w, bytes);
    }
    sonde_free(w);
    return status;
}
