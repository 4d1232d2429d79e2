/* What an activation passes on of the gradient, and how alike the samples of a batch have become. */
#include "kernel/real/kernels.h"
#include "kernel/real/wide.h"

enum { CHUNK = 2 * RUN * LANES };

/* Σ (unit x)² */
static double sum_of_squares(const real *x, size_t n, double unit)
{
    double total = 0;
    size_t done = 0;
    while (n - done >= LANES) {
        size_t end = n - done < RUN * LANES ? n / LANES * LANES : done + RUN * LANES;
        vec squares = {0};
        for (size_t i = done; i < end; i += LANES) squares += load(x + i) * load(x + i);
        wide sum = {0};
        add_lanes(&sum, &squares);
        double part = fold(&sum);
        if (unit != 1 || !is_sound(part)) { /* once more, every term in double */
            sum = (wide){0};
            for (size_t i = done; i < end; i += WIDE) {
                wide v = load_wide(x + i) * unit;
                sum += v * v;
            }
            part = fold(&sum);
        }
        total += part;
        done = end;
    }
    for (; done < n; done++) total += ((double)x[done] * unit) * ((double)x[done] * unit);
    return total;
}

/* Marks the units of the flat elements from .. from + n - 1 that have a slope. */
static void mark_alive(uint8_t *alive, const real *slope, int64_t from, int64_t n, int64_t units, int64_t inner)
{
    if (!memchr(alive, 0, (size_t)units)) return;
    for (int64_t i = 0; i < n;) {
        int64_t unit = (from + i) / inner % units;
        if (inner == 1) {
            int64_t run = units - unit < n - i ? units - unit : n - i;
#pragma omp simd
            for (int64_t j = 0; j < run; j++) alive[unit + j] |= (uint8_t)(slope[i + j] != 0);
            i += run;
        } else {
            int64_t left = inner - (from + i) % inner, run = left < n - i ? left : n - i;
            int any = 0;
#pragma omp simd reduction(| : any)
            for (int64_t j = 0; j < run; j++) any |= slope[i + j] != 0;
            alive[unit] |= (uint8_t)any;
            i += run;
        }
    }
}

void REAL_NAME(sonde_slopes)(sonde_slopes *out, uint8_t *alive, const sonde_activation *activation, const real *x,
                             const real *y, int64_t rows, int64_t units, int64_t inner)
{
    const real *v = sonde_activation_uses_output(activation) ? y : x;
    real bound = (real)(0.05 * sonde_activation_facts_of(activation).max_slope), slope[CHUNK];
    int64_t n = rows * units * inner;
    *out = (sonde_slopes){.n = (uint64_t)n};
    for (int64_t done = 0; done < n; done += CHUNK) {
        int64_t count = n - done < CHUNK ? n - done : CHUNK;
        REAL_NAME(sonde_activation_slope)(activation, slope, v + done, (size_t)count);
        int n_saturated = 0;
#pragma omp simd reduction(+ : n_saturated)
        for (int64_t i = 0; i < count; i++) n_saturated += REAL_MATH(fabs)(slope[i]) < bound;
        out->n_saturated += (uint64_t)n_saturated;
        out->sum_sq += sum_of_squares(slope, (size_t)count, 1);
        mark_alive(alive, slope, done, count, units, inner);
    }
}

/* ---- sample cosine ------------------------------------------------------------------------------------- */

/* 1, or for float64 the power of two near 1/max|x| where the squares would leave the range. */
static double unit_of(const real *x, int64_t n)
{
#if SONDE_REAL == 32
    (void)x, (void)n;
    return 1;
#else
    double largest = 0;
#pragma omp simd reduction(max : largest)
    for (int64_t i = 0; i < n; i++) largest = fabs(x[i]) > largest ? fabs(x[i]) : largest;
    if ((largest >= 0x1p-400 && largest <= 0x1p400) || largest == 0 || isinf(largest)) return 1;
    int exponent = ilogb(largest);
    return scalbn(1.0, exponent < -1000 ? 1000 : -exponent);
#endif
}

enum { ROWS = RUN, TILE = 4 * LANES };

/* Adds factors[i] times row i of n <= ROWS to `sums`: TILE or LANES columns. */
static inline void add_columns(double *sums, const real *x, int64_t columns, const real *factors, int n, int width)
{
    vec part[TILE / LANES] = {{0}};
    for (int i = 0; i < n; i++, x += columns)
        for (int v = 0; v < width / LANES; v++) part[v] += load(x + v * LANES) * factors[i];
    for (int v = 0; v < width / LANES; v++)
        for (int l = 0; l < LANES; l++) sums[v * LANES + l] += (double)part[v][l];
}

static void add_rows(double *sums, const real *x, int64_t columns, const real *factors, int n)
{
    int64_t j = 0;
    for (; j + TILE <= columns; j += TILE) add_columns(sums + j, x + j, columns, factors, n, TILE);
    for (; j + LANES <= columns; j += LANES) add_columns(sums + j, x + j, columns, factors, n, LANES);
    for (; j < columns; j++)
        for (int i = 0; i < n; i++) sums[j] += (double)x[i * columns + j] * (double)factors[i];
}

/* 1/‖row‖ as `real`, or 0 if the row lies where that is no number to be trusted: then it is added here. */
static real direct(double *sums, const real *row, int64_t columns)
{
    double unit = unit_of(row, columns);
    double factor = unit / sqrt(sum_of_squares(row, (size_t)columns, unit)); /* a row of zeros has no direction: NaN */
    if (factor >= 0x1p-100 && factor <= 0x1p100) return (real)factor;
    if (isinf(factor)) factor = (double)NAN;
    for (int64_t j = 0; j < columns; j++) sums[j] += (double)row[j] * factor;
    return 0;
}

double REAL_NAME(sonde_sample_cosine)(const real *x, int64_t rows, int64_t columns, double *scratch)
{
    if (rows < 2) return (double)NAN;
    for (int64_t j = 0; j < columns; j++) scratch[j] = 0;
    for (int64_t done = 0; done < rows; done += ROWS) {
        int n = rows - done < ROWS ? (int)(rows - done) : ROWS;
        real factors[ROWS];
        for (int i = 0; i < n; i++) factors[i] = direct(scratch, x + (done + i) * columns, columns);
        add_rows(scratch, x + done * columns, columns, factors, n);
    }
    wide sum = {0};
    double tail = 0;
    int64_t j = 0;
    for (; j + WIDE <= columns; j += WIDE) {
        wide v;
        memcpy(&v, scratch + j, sizeof v);
        sum += v * v;
    }
    for (; j < columns; j++) tail += scratch[j] * scratch[j];
    return (fold(&sum) + tail - (double)rows) / ((double)rows * (double)(rows - 1));
}
