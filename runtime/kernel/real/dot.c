/* Products of two vectors. */
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
            sums[0] += u * u;
            sums[1] += v * v;
            sums[2] += u * v;
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
