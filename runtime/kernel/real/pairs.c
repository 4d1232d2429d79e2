/* Two vectors side by side: their products and their distance. */
#include "kernel/real/kernels.h"
#include "kernel/real/wide.h"

bool REAL_NAME(sonde_products)(double out[3], const real *a, const real *b, size_t n)
{
    wide aa = {0}, bb = {0}, ab = {0};
    double rest[3] = {0};
    size_t i = 0;
    while (n - i >= LANES) {
        vec sums[3] = {{0}};
        for (int k = 0; k < RUN && n - i >= LANES; k++, i += LANES) {
            const vec u = load(a + i), v = load(b + i);
            add_product(&sums[0], &u, &u);
            add_product(&sums[1], &v, &v);
            add_product(&sums[2], &u, &v);
        }
        add_lanes(&aa, &sums[0]);
        add_lanes(&bb, &sums[1]);
        add_lanes(&ab, &sums[2]);
    }
    for (; i < n; i++) {
        const double u = (double)a[i], v = (double)b[i];
        rest[0] += u * u;
        rest[1] += v * v;
        rest[2] += u * v;
    }
    out[0] = fold(&aa) + rest[0];
    out[1] = fold(&bb) + rest[1];
    out[2] = fold(&ab) + rest[2];
    return is_sound(out[0]) && is_sound(out[1]);
}

double REAL_NAME(sonde_dot)(const real *a, double unit_a, const real *b, double unit_b, size_t n)
{
    wide sum = {0};
    double rest = 0;
    size_t i = 0;
    for (; n - i >= WIDE; i += WIDE) sum += (load_wide(a + i) * unit_a) * (load_wide(b + i) * unit_b);
    for (; i < n; i++) rest += ((double)a[i] * unit_a) * ((double)b[i] * unit_b);
    return fold(&sum) + rest;
}

/* Σ ((a - b) scale)² */
static double sum_of_squares(const real *a, const real *b, size_t n, double scale)
{
    wide even = {0}, odd = {0};
    size_t i = 0;
    for (; i + 2 * WIDE <= n; i += 2 * WIDE) {
        wide d = (load_wide(a + i) - load_wide(b + i)) * scale;
        wide e = (load_wide(a + i + WIDE) - load_wide(b + i + WIDE)) * scale;
        even += d * d;
        odd += e * e;
    }
    wide sum = even + odd;
    double rest = 0;
    for (; i < n; i++) {
        double d = ((double)a[i] - (double)b[i]) * scale;
        rest += d * d;
    }
    return fold(&sum) + rest;
}

double REAL_NAME(sonde_distance)(const real *a, const real *b, size_t n)
{
    double sum = sum_of_squares(a, b, n, 1), most = 0;
    if (SONDE_REAL == 32 || isnan(sum) || (sum >= 0x1p-900 && sum <= 0x1p900)) return sqrt(sum);
    for (size_t i = 0; i < n; i++) most = fmax(most, fabs((double)a[i] - (double)b[i]));
    if (most == 0 || isinf(most)) return most;
    int exponent = ilogb(most);
    double scale = scalbn(1, exponent < -1000 ? 1000 : -exponent); /* it must be finite */
    return sqrt(sum_of_squares(a, b, n, scale)) / scale;
}
