/* Statistics kernels against plain sums in long double: usual values, extremes, specials, odd lengths, every offset. */
#include "base/base.h"
#include "check.h"
#include "kernel/kernel.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 20000 };
static sonde_stream stream;
static float x32[MOST + 64];
static double x64[MOST + 64];

static long double exact(sonde_dtype dtype, size_t i)
{
    return dtype == SONDE_FLOAT32 ? (long double)x32[i] : (long double)x64[i];
}

static double at(sonde_dtype dtype, size_t i)
{
    return dtype == SONDE_FLOAT32 ? (double)x32[i] : x64[i];
}

/* The brief ones have the same bits but for what they leave out. */
static void check_brief(const sonde_moments *full, sonde_dtype dtype, size_t n)
{
    sonde_moments want = *full, got;
    sonde_brief_moments_kernel(&got, dtype, dtype == SONDE_FLOAT32 ? (void *)x32 : (void *)x64, n);
    want.sum_abs = 0;
    want.n_positive = 0;
    CHECK(memcmp(&got, &want, sizeof got) == 0);
}

/* Compares the moments of the first n elements with sums by the book. */
static void compare_moments(sonde_dtype dtype, size_t n, double tolerance)
{
    long double sum = 0, sum_abs = 0, sum_sq = 0, dev_sq = 0;
    double abs_max = 0, tiny = dtype == SONDE_FLOAT32 ? (double)FLT_MIN : DBL_MIN;
    uint64_t zero = 0, positive = 0, subnormal = 0;
    for (size_t i = 0; i < n; i++) {
        long double v = exact(dtype, i);
        sum += v;
        sum_abs += fabsl(v);
        sum_sq += v * v;
        abs_max = fmax(abs_max, fabs((double)v));
        zero += v == 0;
        positive += v > 0;
        subnormal += v != 0 && fabs((double)v) < tiny;
    }
    for (size_t i = 0; i < n; i++) dev_sq += (exact(dtype, i) - sum / n) * (exact(dtype, i) - sum / n);
    sonde_moments m;
    sonde_moments_kernel(&m, dtype, dtype == SONDE_FLOAT32 ? (void *)x32 : (void *)x64, n);
    check_brief(&m, dtype, n);
    double unit = abs_max > 0 ? abs_max : 1; /* relative to the largest: CHECK_NEAR is absolute below 1 */
    CHECK(m.n == n && m.n_zero == zero && m.n_positive == positive && m.n_subnormal == subnormal && m.n_nonfinite == 0);
    CHECK(m.abs_max == abs_max);
    CHECK_NEAR(sonde_moments_mean(&m) / unit, (double)(sum / n) / unit, tolerance);
    CHECK_NEAR(sonde_moments_abs_mean(&m) / unit, (double)(sum_abs / n) / unit, tolerance);
    double l2 = (double)sqrtl(sum_sq), deviation = (double)sqrtl(dev_sq / n);
    CHECK(fabs(sonde_moments_l2(&m) - l2) <= tolerance * l2);
    if (!CHECK(fabs(sonde_moments_std(&m) - deviation) <= 3 * tolerance * deviation + 1e-15 * unit))
        printf("       %s, n = %zu: %g, expected %g\n", sonde_dtype_name(dtype), n, sonde_moments_std(&m), deviation);
}

static void fill(double mean, double std)
{
    sonde_stream_fill_normal(&stream, SONDE_FLOAT32, x32, MOST, mean, std);
    sonde_stream_fill_normal(&stream, SONDE_FLOAT64, x64, MOST, mean, std);
}

static void usual_values(void)
{
    const size_t lengths[] = {1, 2, 7, 8, 15, 16, 17, 64, 1000, 4095, 4096, 4097, 8192, MOST};
    const double cases[][2] = {{0, 1},     {0.5, 0.1}, {1, 1e-4},      {100, 1e-3},
                               {0, 1e-18}, {0, 1e-30}, {3e-20, 1e-22}, {0, 1e30}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        fill(cases[c][0], cases[c][1]);
        for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
            compare_moments(SONDE_FLOAT32, lengths[l], 2e-7);
            compare_moments(SONDE_FLOAT64, lengths[l], 1e-13);
        }
    }
}

static void extremes(void)
{
    fill(0, 1);
    for (size_t i = 0; i < MOST; i++) {
        x32[i] = i % 3 == 0 ? 0 : i % 3 == 1 ? x32[i] * 1e-42f : x32[i]; /* zeros, subnormals, usual ones */
        x64[i] = i % 3 == 0 ? 0 : i % 3 == 1 ? x64[i] * 1e-310 : x64[i];
    }
    compare_moments(SONDE_FLOAT32, MOST, 2e-7);
    compare_moments(SONDE_FLOAT64, MOST, 1e-13);
    for (size_t i = 0; i < MOST; i++) x32[i] = i % 2 ? 0 : -FLT_TRUE_MIN, x64[i] = i % 2 ? 0 : -8 * DBL_TRUE_MIN;
    compare_moments(SONDE_FLOAT32, MOST, 2e-7);
    compare_moments(SONDE_FLOAT64, MOST, 1e-13);
    for (size_t i = 0; i < MOST; i++) x32[i] = i % 2 ? FLT_MAX : -FLT_MAX / 2, x64[i] = i % 2 ? DBL_MAX : -DBL_MAX / 2;
    compare_moments(SONDE_FLOAT32, MOST, 2e-7);
    sonde_moments m;
    sonde_moments_kernel(&m, SONDE_FLOAT64, x64, 2);
    CHECK(sonde_moments_mean(&m) == DBL_MAX / 4 && sonde_moments_abs_mean(&m) == DBL_MAX * 0.75);
    CHECK_NEAR(sonde_moments_std(&m) / DBL_MAX, 0.75, 1e-15);
    for (size_t i = 0; i < MOST; i++) x32[i] = 0, x64[i] = 0;
    compare_moments(SONDE_FLOAT32, MOST, 0);
    compare_moments(SONDE_FLOAT64, MOST, 0);
    for (int k = 0; k < 64; k++) { /* of a constant every rounding goes the same way */
        for (size_t i = 0; i < MOST; i++) x32[i] = 1 + (float)k / 67, x64[i] = (double)x32[i];
        compare_moments(SONDE_FLOAT32, 4096, 3e-7);
        compare_moments(SONDE_FLOAT64, MOST, 1e-13);
        sonde_moments_kernel(&m, SONDE_FLOAT32, x32, 4096);
        CHECK(fabs(sonde_moments_l2(&m) / (64 * x64[0]) - 1) < 1.5e-7);
    }
}

/* What an optimiser's step tells of a parameter, against sums by the book: zeros, updates that rounding swallows, tiny
 * and huge weights. */
static void updates(void)
{
    enum { N = 3000 };
    static float w[N], plain[N], before[N], g[N];
    const double scales[] = {1, 1e-12, 1e-17, 1e-25, 1e-38, 1e-44, 1e18, 1e30};
    const size_t lengths[] = {1, 15, 16, 250, 256, 257, N};
    for (size_t c = 0; c < sizeof scales / sizeof *scales * 2; c++) {
        sonde_stream_fill_normal(&stream, SONDE_FLOAT32, before, N, 0, c % 2 ? 0.1 : scales[c / 2]);
        sonde_stream_fill_normal(&stream, SONDE_FLOAT32, g, N, 0, scales[c / 2]);
        for (size_t i = 0; i < N; i++) before[i] = i % 5 == 0 ? 0 : before[i], g[i] = i % 7 == 0 ? 0 : g[i];
        for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
            size_t n = lengths[l];
            memcpy(w, before, sizeof w);
            memcpy(plain, before, sizeof w);
            sonde_update_stats stats;
            const sonde_sgd_args args = {.lr = 0.1};
            sonde_sgd_kernel(SONDE_FLOAT32, w, NULL, g, n, &args, &stats);
            sonde_sgd_kernel(SONDE_FLOAT32, plain, NULL, g, n, &args, NULL);
            CHECK(memcmp(w, plain, sizeof w) == 0);
            double weight_sq = 0, update_sq = 0;
            uint64_t unchanged = 0;
            for (size_t i = 0; i < n; i++) {
                double b = (double)before[i], d = (double)w[i] - b;
                weight_sq += b * b;
                update_sq += d * d;
                unchanged += g[i] != 0 && d == 0;
            }
            CHECK(fabs(stats.weight_sq - weight_sq) <= 5e-7 * weight_sq);
            CHECK(fabs(stats.update_sq - update_sq) <= 5e-7 * update_sq);
            CHECK(stats.n == n && stats.n_unchanged == unchanged);
        }
    }
}

/* Chunks of very different size, so that their units differ: 1e200, then 1e-200, zeros, 1. */
static void merging_across_scales(void)
{
    const double units[][4] = {
        {1e200, 1e-200, 0, 1}, {1e-200, 1e200, 1, 0}, {0, 1e-200, 1e-300, 1e-250}, {1, 0, 1e200, 1e199}};
    for (int u = 0; u < 4; u++) {
        fill(1, 1);
        for (size_t i = 0; i < MOST; i++) x64[i] *= units[u][i / 4096 % 4];
        compare_moments(SONDE_FLOAT64, 16384, 1e-13);
    }
}

static void specials_are_counted_and_shown(void)
{
    for (int dtype = SONDE_FLOAT32; dtype <= SONDE_FLOAT64; dtype++)
        for (int kind = 0; kind < 3; kind++) {
            fill(0, 1);
            double special = kind == 0 ? (double)NAN : kind == 1 ? (double)INFINITY : -(double)INFINITY;
            x32[5000] = (float)special;
            x64[5000] = special;
            sonde_moments m;
            sonde_moments_kernel(&m, (sonde_dtype)dtype, dtype == SONDE_FLOAT32 ? (void *)x32 : (void *)x64, MOST);
            if (kind > 0) check_brief(&m, (sonde_dtype)dtype, MOST); /* of NaN not even the sign is sure */
            CHECK(m.n_nonfinite == 1 && !isfinite(m.abs_max) && !isfinite(sonde_moments_mean(&m)));
            CHECK(!isfinite(sonde_moments_l2(&m)) && !isfinite(sonde_moments_std(&m)));
            CHECK(isnan(m.abs_max) == (kind == 0));
            uint64_t positive = 0;
            for (size_t i = 0; i < MOST; i++) positive += at((sonde_dtype)dtype, i) > 0;
            CHECK(m.n_positive == positive);
        }
    sonde_moments none;
    sonde_moments_kernel(&none, SONDE_FLOAT32, x32, 0);
    CHECK(none.n == 0 && isnan(sonde_moments_mean(&none)) && sonde_moments_l2(&none) == 0);
}

/* The same values give the same bits wherever they lie in memory. */
static void bits_do_not_depend_on_alignment(void)
{
    enum { N = 5003 };
    fill(0.3, 1);
    sonde_moments first, m;
    sonde_slopes first_slopes, s;
    uint8_t alive[N];
    double first_cosine = 0, scratch[N / 3];
    int64_t n;
    const sonde_activation tanh_ = {SONDE_TANH, 0, 0};
    for (size_t shift = 0; shift < 16; shift++) {
        memmove(x32 + shift, x32 + (shift ? shift - 1 : 0), N * sizeof *x32);
        sonde_moments_kernel(&m, SONDE_FLOAT32, x32 + shift, N);
        sonde_slopes_kernel(&s, alive, &tanh_, SONDE_FLOAT32, NULL, x32 + shift, 1, N, 1);
        double cosine = sonde_sample_cosine_kernel(SONDE_FLOAT32, x32 + shift, 3, N / 3, scratch, &n);
        if (shift == 0) first = m, first_slopes = s, first_cosine = cosine;
        CHECK(memcmp(&first, &m, sizeof m) == 0 && memcmp(&first_slopes, &s, sizeof s) == 0 && cosine == first_cosine);
    }
}

/* Special: all binades, subnormals and beyond the ends, zeros and NaN. Else normal numbers, most of them near 1. */
static void fill_binades(int dtype, bool special)
{
    const int64_t low = !special ? -20 : dtype == SONDE_FLOAT32 ? -155 : -1080;
    const int64_t high = !special ? 3 : dtype == SONDE_FLOAT32 ? 130 : 1030;
    for (size_t i = 0; i < MOST; i++) {
        x64[i] = scalbn(1 + 0.37 * (double)(i % 7), (int)sonde_stream_integer(&stream, low, high)) * (i % 2 ? 1 : -1);
        if (!special && i % 1000 == 7) x64[i] = scalbn(x64[i], -100);
        if (special && i % 11 == 0) x64[i] = i % 22 ? (double)NAN : -0.0;
        if (dtype == SONDE_FLOAT32) x64[i] = (double)(x32[i] = (float)x64[i]);
    }
}

static void histograms_of(int dtype, bool special)
{
    double tiny = dtype == SONDE_FLOAT32 ? (double)FLT_MIN : DBL_MIN;
    fill_binades(dtype, special);
    static sonde_histogram got, want;
    memset(&got, 0, sizeof got);
    memset(&want, 0, sizeof want);
    uint64_t total = 0;
    for (size_t i = 0; i < 17777; i++) {
        double v = fabs(at((sonde_dtype)dtype, i));
        if (!isfinite(v))
            want.n_nonfinite++;
        else if (v == 0)
            want.n_zero++;
        else {
            int binade = ilogb(v);
            want.counts[(binade < -150 ? -150 : binade > 127 ? 127 : binade) + 150]++;
            want.n_subnormal += v < tiny;
            if (binade >= -150 && binade <= 127 && v == scalbn(1.0, binade)) {
                want.powers[binade + 150]++;
                want.n_powers++;
            }
            want.abs_max = fmax(want.abs_max, v);
        }
    }
    const void *x = dtype == SONDE_FLOAT32 ? (void *)x32 : (void *)x64;
    sonde_histogram_kernel(&got, (sonde_dtype)dtype, x, 10001); /* adds up */
    sonde_histogram_kernel(&got, (sonde_dtype)dtype,
                           dtype == SONDE_FLOAT32 ? (void *)(x32 + 10001) : (void *)(x64 + 10001), 7776);
    CHECK(memcmp(&got, &want, sizeof got) == 0 && (special || got.powers[150] > 0));
    CHECK(special == (got.n_subnormal > 0) && special == (got.n_zero > 0) && special == (got.n_nonfinite > 0));
    CHECK(!special || (got.powers[0] + (dtype == SONDE_FLOAT32) > 0 && got.powers[150 - 134] > 0 &&
                       got.powers[150 - 25] > 0));
    for (int b = 0; b < SONDE_BINADE_COUNT; b++) total += got.counts[b];
    CHECK(total + got.n_zero + got.n_nonfinite == 17777);
}

static void histograms(void)
{
    for (int dtype = SONDE_FLOAT32; dtype <= SONDE_FLOAT64; dtype++) histograms_of(dtype, true);
    for (int dtype = SONDE_FLOAT32; dtype <= SONDE_FLOAT64; dtype++) histograms_of(dtype, false);
}

static void slopes_and_units(void)
{
    const int64_t shapes[][3] = {{7, 300, 1}, {5, 3, 700}, {1, 1, 1}, {64, 10, 1}, {3, 4, 5}, {0, 4, 1}};
    const sonde_activation kinds[] = {{SONDE_RELU, 0, 0}, {SONDE_SIGMOID, 0, 0}, {SONDE_GELU, 0, 0}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int k = 0; k < 3; k++) {
            int64_t rows = shapes[s][0], units = shapes[s][1], inner = shapes[s][2], n = rows * units * inner;
            static float y[MOST], slope[MOST];
            static uint8_t alive[1000];
            fill(-1, 2);
            for (int64_t i = 0; i < n; i++)
                if (i / inner % units % 3 == 1) x32[i] = -1000; /* every third unit is dead */
            sonde_activation_forward(&kinds[k], SONDE_FLOAT32, y, x32, (size_t)n);
            sonde_activation_slope(&kinds[k], SONDE_FLOAT32, slope, x32, (size_t)n);
            memset(alive, 0, sizeof alive);
            sonde_slopes got;
            bool from_output = sonde_activation_uses_output(&kinds[k]);
            sonde_slopes_kernel(&got, alive, &kinds[k], SONDE_FLOAT32, from_output ? NULL : x32, from_output ? y : NULL,
                                rows, units, inner);
            double sum_sq = 0, largest = sonde_activation_facts_of(&kinds[k]).max_slope;
            uint64_t saturated = 0;
            for (int64_t i = 0; i < n; i++) {
                sum_sq += (double)slope[i] * (double)slope[i];
                saturated += fabsf(slope[i]) < (float)(0.05 * largest);
            }
            CHECK(got.n == (uint64_t)n && got.n_saturated == saturated);
            CHECK_NEAR(got.sum_sq, sum_sq, 1e-6);
            for (int64_t u = 0; u < units; u++) {
                int want = 0;
                for (int64_t i = 0; i < n; i++) want |= i / inner % units == u && slope[i] != 0;
                CHECK(alive[u] == want);
                if (u % 3 == 1) CHECK(alive[u] == 0);
            }
            alive[0] = 1;
            sonde_slopes_kernel(&got, alive, &kinds[k], SONDE_FLOAT32, x32, y, 0, units, inner);
            CHECK(alive[0] == 1 && got.n == 0); /* what was alive stays so */
        }
}

static void angles(void)
{
    const size_t lengths[] = {1, 2, 31, 32, 33, 1000, 9999};
    const double scales[] = {1, 1e-30, 1e30};
    sonde_angle got;
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++)
        for (size_t s = 0; s < sizeof scales / sizeof *scales; s++)
            for (int dtype = SONDE_FLOAT32; dtype <= SONDE_FLOAT64; dtype++) {
                const size_t n = lengths[l];
                const bool single = dtype == SONDE_FLOAT32;
                const double near = single ? 1e-6 : 1e-12;
                double aa = 0, bb = 0, ab = 0;
                fill(0.3 * scales[s], scales[s]);
                for (size_t i = 0; i < n; i++) {
                    const double u = single ? (double)x32[1 + i] : x64[1 + i];
                    const double v = single ? (double)x32[10003 + i] : x64[10003 + i];
                    aa += u * u;
                    bb += v * v;
                    ab += u * v;
                }
                if (single) sonde_angle_kernel(&got, SONDE_FLOAT32, x32 + 1, x32 + 10003, n);
                else sonde_angle_kernel(&got, SONDE_FLOAT64, x64 + 1, x64 + 10003, n);
                CHECK_NEAR(got.norm_a, sqrt(aa), near);
                CHECK_NEAR(got.norm_b, sqrt(bb), near);
                CHECK(fabs(got.cosine - ab / sqrt(aa) / sqrt(bb)) < near);
            }
    const double huge[2] = {3e300, 4e300}, tiny[2] = {6e-310, 8e-310}, none[2] = {0, 0},
                 broken[2] = {1, (double)INFINITY};
    sonde_angle_kernel(&got, SONDE_FLOAT64, huge, tiny, 2);
    CHECK_NEAR(got.norm_a, 5e300, 1e-12);
    CHECK_NEAR(got.norm_b, 1e-309, 1e-12);
    CHECK_NEAR(got.cosine, 1, 1e-12);
    sonde_angle_kernel(&got, SONDE_FLOAT64, tiny, tiny, 2);
    CHECK_NEAR(got.cosine, 1, 1e-12);
    sonde_angle_kernel(&got, SONDE_FLOAT64, huge, none, 2);
    CHECK(got.norm_b == 0 && isnan(got.cosine));
    sonde_angle_kernel(&got, SONDE_FLOAT64, tiny, broken, 2);
    CHECK(!isfinite(got.norm_b) && isnan(got.cosine));
    sonde_angle_kernel(&got, SONDE_FLOAT32, none, none, 0);
    CHECK(got.norm_a == 0 && isnan(got.cosine));
}

static void gates(void)
{
    const int64_t shapes[][3] = {{1, 1, 1}, {3, 4, 20}, {5, 16, 16}, {2, 700, 901}, {20, 128, 640}, {0, 5, 5}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int dtype = SONDE_FLOAT32; dtype <= SONDE_FLOAT64; dtype++) {
            const int64_t rows = shapes[s][0], n = shapes[s][1], stride = shapes[s][2];
            sonde_gates got = {.sum = 1, .n = 2, .n_open = 3, .n_closed = 4, .n_saturated = 5}, want = got;
            fill(0.5, 0.3);
            x32[1] = x64[1] = 1;
            x32[2] = NAN, x64[2] = (double)NAN; /* neither open nor closed: the sum tells */
            for (int64_t r = 0; r < rows; r++)
                for (int64_t j = 0; j < n; j++) {
                    const int64_t i = 3 + r * stride + j;
                    const double y = dtype == SONDE_FLOAT32 ? (double)x32[i] : x64[i];
                    const float y32 = x32[i];
                    want.sum += y;
                    want.n++;
                    want.n_open += dtype == SONDE_FLOAT32 ? y32 > 0.9f : y > 0.9;
                    want.n_closed += dtype == SONDE_FLOAT32 ? y32 < 0.1f : y < 0.1;
                    want.n_saturated += dtype == SONDE_FLOAT32 ? (1 - y32) * y32 < 0.0125f : (1 - y) * y < 0.0125;
                }
            sonde_gates_kernel(&got, (sonde_dtype)dtype, dtype == SONDE_FLOAT32 ? (void *)(x32 + 3) : (void *)(x64 + 3),
                               rows, n, stride);
            CHECK_NEAR(got.sum, want.sum, dtype == SONDE_FLOAT32 ? 1e-6 : 1e-13);
            CHECK(got.n == want.n && got.n_open == want.n_open && got.n_closed == want.n_closed);
            CHECK(got.n_saturated == want.n_saturated);
            sonde_gates_kernel(&got, (sonde_dtype)dtype, dtype == SONDE_FLOAT32 ? (void *)(x32 + 1) : (void *)(x64 + 1),
                               1, 2, 2);
            CHECK(isnan(got.sum) && got.n == want.n + 2 && got.n_open == want.n_open + 1);
            CHECK(got.n_closed == want.n_closed && got.n_saturated == want.n_saturated + 1);
        }
}

static void sample_cosine(void)
{
    double scratch[64];
    int64_t n;
    float same[4 * 33];
    for (int i = 0; i < 4 * 33; i++) same[i] = (float)(1 + i / 33) * (float)(i % 33 - 10);
    CHECK_NEAR(sonde_sample_cosine_kernel(SONDE_FLOAT32, same, 4, 33, scratch, &n), 1, 1e-7);
    for (int rows = 2; rows <= 67; rows++) { /* whatever part of them is taken together */
        float many[67 * 19], sum[19] = {0}, square = 0;
        for (int i = 0; i < rows * 19; i++) many[i] = (float)((i * 7919) % 101 - 50) * (i / 19 % 3 == 0 ? 1e-30f : 1);
        for (int i = 0; i < rows; i++) {
            float norm = 0;
            for (int j = 0; j < 19; j++) norm = hypotf(norm, many[i * 19 + j]);
            for (int j = 0; j < 19; j++) sum[j] += many[i * 19 + j] / norm;
        }
        for (int j = 0; j < 19; j++) square += sum[j] * sum[j];
        double want = (double)(square - (float)rows) / (rows * (rows - 1.0));
        CHECK_NEAR(sonde_sample_cosine_kernel(SONDE_FLOAT32, many, rows, 19, scratch, &n), want, 2e-6);
    }
    double across[4] = {1e200, 0, 0, 1e-200};
    CHECK_NEAR(sonde_sample_cosine_kernel(SONDE_FLOAT64, across, 2, 2, scratch, &n), 0, 1e-15);
    double opposite[4] = {3, 4, -6, -8};
    CHECK_NEAR(sonde_sample_cosine_kernel(SONDE_FLOAT64, opposite, 2, 2, scratch, &n), -1, 1e-15);
    CHECK(n == 2);
    double dead[6] = {0, 0, 1, 2, 2, 1}; /* what is 0 has no direction */
    CHECK_NEAR(sonde_sample_cosine_kernel(SONDE_FLOAT64, dead, 3, 2, scratch, &n), 0.8, 1e-15);
    CHECK(n == 2);
    float dim[6] = {0, 0, 0x1p-149f, 0, 0x1p-149f, 0x1p-149f};
    CHECK_NEAR(sonde_sample_cosine_kernel(SONDE_FLOAT32, dim, 3, 2, scratch, &n), sqrt(0.5), 1e-15);
    float infinite[6] = {0, 0, 1, 2, HUGE_VALF, 1};
    CHECK(isnan(sonde_sample_cosine_kernel(SONDE_FLOAT32, infinite, 3, 2, scratch, &n)) && n == 2);
    CHECK(isnan(sonde_sample_cosine_kernel(SONDE_FLOAT64, dead, 2, 2, scratch, &n)));
    CHECK(isnan(sonde_sample_cosine_kernel(SONDE_FLOAT64, dead, 1, 2, scratch, &n)));
    enum { B = 20, D = 50 };
    fill(0.5, 1);
    double sum = 0;
    for (int i = 0; i < B; i++)
        for (int j = 0; j < B; j++) {
            double dot = 0, a = 0, b = 0;
            for (int d = 0; d < D; d++) {
                dot += x64[i * D + d] * x64[j * D + d];
                a += x64[i * D + d] * x64[i * D + d];
                b += x64[j * D + d] * x64[j * D + d];
            }
            if (i != j) sum += dot / sqrt(a * b);
        }
    CHECK_NEAR(sonde_sample_cosine_kernel(SONDE_FLOAT64, x64, B, D, scratch, &n), sum / (B * (B - 1)), 1e-13);
}

int main(void)
{
    sonde_stream_init(&stream, 4, "statistics");
    CHECK_RUN(usual_values);
    CHECK_RUN(extremes);
    CHECK_RUN(merging_across_scales);
    CHECK_RUN(specials_are_counted_and_shown);
    CHECK_RUN(bits_do_not_depend_on_alignment);
    CHECK_RUN(histograms);
    CHECK_RUN(slopes_and_units);
    CHECK_RUN(gates);
    CHECK_RUN(angles);
    CHECK_RUN(sample_cosine);
    CHECK_RUN(updates);
    CHECK_END();
}
