/* Statistics: what is left to do once the loops have run. */
#include "kernel/kernel.h"
#include "kernel/real/kernels.h"

#include <math.h>

void sonde_moments_kernel(sonde_moments *out, sonde_dtype dtype, const void *x, size_t n)
{
    if (dtype == SONDE_FLOAT32)
        sonde_moments_f32(out, x, n, false);
    else
        sonde_moments_f64(out, x, n, false);
}

void sonde_brief_moments_kernel(sonde_moments *out, sonde_dtype dtype, const void *x, size_t n)
{
    if (dtype == SONDE_FLOAT32)
        sonde_moments_f32(out, x, n, true);
    else
        sonde_moments_f64(out, x, n, true);
}

bool sonde_finite_kernel(sonde_dtype dtype, const void *x, size_t n)
{
    return dtype == SONDE_FLOAT32 ? sonde_finite_f32(x, n) : sonde_finite_f64(x, n);
}

static void rescale(sonde_moments *m, double scale)
{
    if (m->scale == scale) return;
    double ratio = m->scale / scale;
    m->scale = scale;
    m->sum *= ratio;
    m->sum_abs *= ratio;
    m->sum_sq = m->sum_sq * ratio * ratio; /* ratio² itself may leave the range */
    m->dev_sq = m->dev_sq * ratio * ratio;
}

/* Chan, Golub and LeVeque 1983: the deviations of two parts and those of their means. */
void sonde_moments_merge(sonde_moments *into, const sonde_moments *from)
{
    if (from->n == 0) return;
    if (into->n == 0) {
        *into = *from;
        return;
    }
    sonde_moments part = *from;
    if (part.abs_max > into->abs_max) /* the larger one's unit: what it makes vanish did not count */
        rescale(into, part.scale);
    else
        rescale(&part, into->scale);
    double n = (double)into->n, k = (double)part.n;
    double step = part.sum / k - into->sum / n;
    into->dev_sq += part.dev_sq + step * step * (n * k / (n + k));
    into->sum += part.sum;
    into->sum_abs += part.sum_abs;
    into->sum_sq += part.sum_sq;
    if (part.abs_max > into->abs_max || isnan(part.abs_max)) into->abs_max = part.abs_max;
    into->n += part.n;
    into->n_zero += part.n_zero;
    into->n_positive += part.n_positive;
    into->n_subnormal += part.n_subnormal;
    into->n_nonfinite += part.n_nonfinite;
}

/* The unit goes in before the division: the mean of huge elements must not overflow, nor that of tiny ones vanish. */
double sonde_moments_mean(const sonde_moments *m) { return m->sum / (double)m->n * m->scale; }

double sonde_moments_abs_mean(const sonde_moments *m) { return m->sum_abs / (double)m->n * m->scale; }

double sonde_moments_std(const sonde_moments *m) { return sqrt(m->dev_sq / (double)m->n) * m->scale; }

double sonde_moments_l2(const sonde_moments *m) { return sqrt(m->sum_sq) * m->scale; }

void sonde_histogram_kernel(sonde_histogram *out, sonde_dtype dtype, const void *x, size_t n)
{
    if (dtype == SONDE_FLOAT32)
        sonde_histogram_f32(out, x, n);
    else
        sonde_histogram_f64(out, x, n);
}

void sonde_slopes_kernel(sonde_slopes *out, uint8_t *alive, const sonde_activation *activation, sonde_dtype dtype,
                         const void *x, const void *y, int64_t rows, int64_t units, int64_t inner)
{
    if (dtype == SONDE_FLOAT32)
        sonde_slopes_f32(out, alive, activation, x, y, rows, units, inner);
    else
        sonde_slopes_f64(out, alive, activation, x, y, rows, units, inner);
}

void sonde_gates_kernel(sonde_gates *out, sonde_dtype dtype, const void *y, int64_t rows, int64_t n, int64_t stride)
{
    if (dtype == SONDE_FLOAT32)
        sonde_gates_f32(out, y, rows, n, stride);
    else
        sonde_gates_f64(out, y, rows, n, stride);
}

double sonde_sample_cosine_kernel(sonde_dtype dtype, const void *x, int64_t rows, int64_t columns, double *scratch,
                                  int64_t *n_directed)
{
    return dtype == SONDE_FLOAT32 ? sonde_sample_cosine_f32(x, rows, columns, scratch, n_directed)
                                  : sonde_sample_cosine_f64(x, rows, columns, scratch, n_directed);
}

/* A power of two that makes a norm nearly 1, as far as there is one. */
static double unit_of(double norm) { return ldexp(1, -ilogb(norm) < 1000 ? -ilogb(norm) : 1000); }

static double norm_of(sonde_dtype dtype, const void *x, size_t n)
{
    sonde_moments moments;
    sonde_brief_moments_kernel(&moments, dtype, x, n);
    return sonde_moments_l2(&moments);
}

/* The same where squares leave the range: in units of the norms. */
static void wide_angle(sonde_angle *out, sonde_dtype dtype, const void *a, const void *b, size_t n)
{
    const double norm_a = norm_of(dtype, a, n), norm_b = norm_of(dtype, b, n);
    *out = (sonde_angle){norm_a, norm_b, (double)NAN};
    if (!(norm_a > 0 && norm_b > 0 && isfinite(norm_a) && isfinite(norm_b))) return;
    const double unit_a = unit_of(norm_a), unit_b = unit_of(norm_b);
    const double dot = dtype == SONDE_FLOAT32 ? sonde_dot_f32(a, unit_a, b, unit_b, n)
                                              : sonde_dot_f64(a, unit_a, b, unit_b, n);
    out->cosine = dot / (norm_a * unit_a) / (norm_b * unit_b);
}

void sonde_angle_kernel(sonde_angle *out, sonde_dtype dtype, const void *a, const void *b, size_t n)
{
    double sums[3];
    const bool good = dtype == SONDE_FLOAT32 ? sonde_products_f32(sums, a, b, n) : sonde_products_f64(sums, a, b, n);
    if (!good) {
        wide_angle(out, dtype, a, b, n);
        return;
    }
    *out = (sonde_angle){.norm_a = sqrt(sums[0]), .norm_b = sqrt(sums[1])};
    out->cosine = sums[2] / out->norm_a / out->norm_b;
}

double sonde_distance_kernel(sonde_dtype dtype, const void *a, const void *b, size_t n)
{
    return dtype == SONDE_FLOAT32 ? sonde_distance_f32(a, b, n) : sonde_distance_f64(a, b, n);
}
