/* How alike the samples of a batch have become: the mean cosine between different rows. */
#include "kernel/real/kernels.h"
#include "kernel/real/squares.h"

enum {
    ROWS = LANES,    /* whose norms are taken together: one a lane */
    BATCH = 2 * RUN, /* that are added together: every other one to the same sum */
    TILE = 4 * LANES,
};

/* ---- one row ------------------------------------------------------------------------------------------- */

/* Σ (unit x)² */
static double sum_of_squares(const real *x, size_t n, double unit)
{
    double total = 0;
    size_t done = 0;
    while (n - done >= LANES) {
        size_t end = n - done < RUN * LANES ? n / LANES * LANES : done + RUN * LANES;
        vec lanes = {0};
        for (size_t i = done; i < end; i += LANES) lanes += load(x + i) * load(x + i);
        wide sum = {0};
        add_lanes(&sum, &lanes);
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

/* 1/‖row‖ as `real`, or 0 if the row lies where that is no number to be trusted: then it is added here. A row of zeros
 * has no direction: 0, and it is not counted. */
static real direct(double *sums, const real *row, int64_t columns, int64_t *n_directed)
{
    double unit = unit_of(row, columns), sum_sq = sum_of_squares(row, (size_t)columns, unit);
    if (sum_sq == 0) return 0;
    ++*n_directed;
    double factor = unit / sqrt(sum_sq);
    if (factor >= 0x1p-100 && factor <= 0x1p100) return (real)factor;
    for (int64_t j = 0; j < columns; j++) sums[j] += (double)row[j] * factor;
    return 0;
}

/* ---- rows together ------------------------------------------------------------------------------------- */

#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)

/* Lane r of the result is the sum over the lanes of rows[r]: pairs are added half by half, a level of the tree for each
 * bit of r. The first operand of every sum only selects, which is cheaper than to move. Uses up `rows`. */
static inline vec sums_of_rows(vec *rows)
{
#if SONDE_REAL == 32
    for (int r = 0; r < 16; r += 2)
        rows[r / 2] = SHUFFLE(rows[r], rows[r + 1], 0, 17, 2, 19, 4, 21, 6, 23, 8, 25, 10, 27, 12, 29, 14, 31) +
                      SHUFFLE(rows[r], rows[r + 1], 1, 16, 3, 18, 5, 20, 7, 22, 9, 24, 11, 26, 13, 28, 15, 30);
    for (int r = 0; r < 8; r += 2)
        rows[r / 2] = SHUFFLE(rows[r], rows[r + 1], 0, 1, 18, 19, 4, 5, 22, 23, 8, 9, 26, 27, 12, 13, 30, 31) +
                      SHUFFLE(rows[r], rows[r + 1], 2, 3, 16, 17, 6, 7, 20, 21, 10, 11, 24, 25, 14, 15, 28, 29);
    for (int r = 0; r < 4; r += 2)
        rows[r / 2] = SHUFFLE(rows[r], rows[r + 1], 0, 1, 2, 3, 20, 21, 22, 23, 8, 9, 10, 11, 28, 29, 30, 31) +
                      SHUFFLE(rows[r], rows[r + 1], 4, 5, 6, 7, 16, 17, 18, 19, 12, 13, 14, 15, 24, 25, 26, 27);
    return SHUFFLE(rows[0], rows[1], 0, 1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29, 30, 31) +
           SHUFFLE(rows[0], rows[1], 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23);
#else
    for (int r = 0; r < 8; r += 2)
        rows[r / 2] = SHUFFLE(rows[r], rows[r + 1], 0, 9, 2, 11, 4, 13, 6, 15) +
                      SHUFFLE(rows[r], rows[r + 1], 1, 8, 3, 10, 5, 12, 7, 14);
    for (int r = 0; r < 4; r += 2)
        rows[r / 2] = SHUFFLE(rows[r], rows[r + 1], 0, 1, 10, 11, 4, 5, 14, 15) +
                      SHUFFLE(rows[r], rows[r + 1], 2, 3, 8, 9, 6, 7, 12, 13);
    return SHUFFLE(rows[0], rows[1], 0, 1, 2, 3, 12, 13, 14, 15) + SHUFFLE(rows[0], rows[1], 4, 5, 6, 7, 8, 9, 10, 11);
#endif
}

/* Σ x² of n <= ROWS rows of at most BLOCK elements, one a lane. */
static inline vec squares_of_rows(const real *x, int64_t columns, int n)
{
    vec rows[ROWS];
    for (int r = 0; r < ROWS; r++) {
        vec sum = {0};
        int64_t j = 0, end = r < n ? columns : 0;
        for (; j + LANES <= end; j += LANES) {
            vec v = load(x + r * columns + j);
            add_product(&sum, &v, &v);
        }
        if (j < end) {
            vec v = load_part(x + r * columns + j, (size_t)(end - j));
            add_product(&sum, &v, &v);
        }
        rows[r] = sum;
    }
    return sums_of_rows(rows);
}

static inline bool all_sound(const vec *sum_sq)
{
#if defined(__AVX512F__) && SONDE_REAL == 32
    return (_mm512_cmp_ps_mask((__m512)*sum_sq, _mm512_set1_ps((float)SOUND_LOW), _CMP_NGE_UQ) |
            _mm512_cmp_ps_mask((__m512)*sum_sq, _mm512_set1_ps((float)SOUND_HIGH), _CMP_NLE_UQ)) == 0;
#else
    bool sound = true;
    for (int r = 0; r < ROWS; r++) sound &= is_sound((double)(*sum_sq)[r]);
    return sound;
#endif
}

/* factors[r] = 1/‖row r‖ of n <= ROWS rows; 0 for those that `direct` had to add. */
static void find_factors(real *factors, int64_t *n_directed, double *sums, const real *x, int64_t columns, int n)
{
    vec sum_sq = {0};
    if (columns <= BLOCK) sum_sq = squares_of_rows(x, columns, n);
    for (int r = 0; r < ROWS; r++) factors[r] = 1 / REAL_MATH(sqrt)(sum_sq[r]); /* together: each takes long */
    if (n == ROWS && all_sound(&sum_sq)) {
        *n_directed += n;
        return;
    }
    for (int r = 0; r < n; r++) {
        if (is_sound((double)sum_sq[r]))
            ++*n_directed;
        else
            factors[r] = direct(sums, x + r * columns, columns, n_directed);
    }
}

static inline void add_row(vec *sums, const real *row, real times, int width)
{
    const vec factor = (vec){0} + times;
    for (int v = 0; v < width / LANES; v++) {
        const vec x = load(row + v * LANES);
        add_product(&sums[v], &x, &factor);
    }
}

/* Adds factors[i] times row i of n <= BATCH to `sums`: TILE or LANES columns. */
static inline void add_columns(double *sums, const real *x, int64_t columns, const real *factors, int n, int width)
{
    vec even[TILE / LANES] = {{0}}, odd[TILE / LANES] = {{0}};
    int i = 0;
    for (; i + 2 <= n; i += 2) {
        add_row(even, x + i * columns, factors[i], width);
        add_row(odd, x + (i + 1) * columns, factors[i + 1], width);
    }
    if (i < n) add_row(even, x + i * columns, factors[i], width);
    for (int v = 0; v < width / LANES; v++) even[v] += odd[v];
    for (int j = 0; j < width; j += WIDE) {
        wide sum;
        memcpy(&sum, sums + j, sizeof sum);
        sum += load_wide((const real *)even + j);
        memcpy(sums + j, &sum, sizeof sum);
    }
}

static void add_rows(double *sums, const real *x, int64_t columns, const real *factors, int n)
{
    int64_t j = 0;
    for (; j + TILE <= columns; j += TILE) add_columns(sums + j, x + j, columns, factors, n, TILE);
    for (; j + LANES <= columns; j += LANES) add_columns(sums + j, x + j, columns, factors, n, LANES);
    for (; j < columns; j++)
        for (int i = 0; i < n; i++) sums[j] += (double)x[i * columns + j] * (double)factors[i];
}

double REAL_NAME(sonde_sample_cosine)(const real *x, int64_t rows, int64_t columns, double *scratch,
                                      int64_t *n_directed)
{
    *n_directed = 0;
    for (int64_t j = 0; j < columns; j++) scratch[j] = 0;
    for (int64_t done = 0; done < rows; done += BATCH) {
        const int n = rows - done < BATCH ? (int)(rows - done) : BATCH;
        const real *batch = x + done * columns;
        real factors[BATCH];
        for (int i = 0; i < n; i += ROWS)
            find_factors(factors + i, n_directed, scratch, batch + i * columns, columns, n - i < ROWS ? n - i : ROWS);
        add_rows(scratch, batch, columns, factors, n);
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
    double n = (double)*n_directed;
    return n < 2 ? (double)NAN : (fold(&sum) + tail - n) / (n * (n - 1));
}
