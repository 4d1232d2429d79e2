/* Gradient clipping at its edges. */
#include "check.h"
#include "optim/optim.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

/* A parameter of n elements with this gradient (NULL: none). */
static sonde_tensor *with_gradient(sonde_dtype dtype, int n, const double *values)
{
    sonde_tensor *p = NULL, *g = NULL, *source = NULL;
    if (sonde_tensor_zeros(&p, dtype, 1, &(int64_t){n}) != SONDE_OK || sonde_requires_grad_(p, true) != SONDE_OK)
        abort();
    if (!values) return p;
    if (sonde_tensor_from(&source, SONDE_FLOAT64, 1, &(int64_t){n}, values) != SONDE_OK ||
        sonde_tensor_zeros(&g, dtype, 1, &(int64_t){n}) != SONDE_OK || sonde_tensor_copy_(g, source) != SONDE_OK ||
        sonde_set_grad(p, g) != SONDE_OK)
        abort();
    sonde_tensor_release(source);
    sonde_tensor_release(g);
    return p;
}

static double grad_at(const sonde_tensor *p, int64_t i)
{
    return sonde_tensor_get(sonde_grad(p), &i);
}

/* Gradients (3, 4) and (12): lengths 13, 19 and 12 in the 2-, 1- and ∞-norm. */
static void norms(void)
{
    sonde_tensor *p[3] = {with_gradient(SONDE_FLOAT64, 2, (double[]){3, -4}),
                          with_gradient(SONDE_FLOAT32, 1, (double[]){12}), with_gradient(SONDE_FLOAT64, 2, NULL)};
    double total = 0, coef = 0;
    CHECK(sonde_total_norm(&total, 3, p, 2) == SONDE_OK && fabs(total - 13) < 1e-14);
    CHECK(sonde_total_norm(&total, 3, p, 1) == SONDE_OK && total == 19);
    CHECK(sonde_total_norm(&total, 3, p, HUGE_VAL) == SONDE_OK && total == 12);
    CHECK(sonde_total_norm(&total, 3, p, 3) == SONDE_OK);
    CHECK_NEAR(total, cbrt(27 + 64 + 1728), 1e-14);
    CHECK(sonde_total_norm(&total, 3, p, 0) == SONDE_EARG && sonde_total_norm(&total, 3, p, (double)NAN) == SONDE_EARG);
    uint32_t version = sonde_grad(p[0])->storage->version;
    CHECK(sonde_clip_grad_norm_(3, p, 6.5, 2, false, &total, &coef) == SONDE_OK && fabs(total - 13) < 1e-14);
    CHECK(sonde_grad(p[0])->storage->version > version);
    CHECK_NEAR(coef, 6.5 / (13 + 1e-6), 1e-15);
    CHECK_NEAR(grad_at(p[0], 1), -4 * coef, 1e-15);
    CHECK_NEAR(grad_at(p[1], 0), 12 * coef, 1e-7);
    CHECK(sonde_grad(p[2]) == NULL);
    CHECK(sonde_clip_grad_norm_(3, p, -1, 2, false, &total, &coef) == SONDE_EARG);
    for (int i = 0; i < 3; i++) sonde_tensor_release(p[i]);
}

static void untouched_below_the_threshold(void)
{
    const double values[] = {0.1, -1e-300, 0, 1.0 / 3};
    sonde_tensor *p = with_gradient(SONDE_FLOAT64, 4, values);
    double total = 0, coef = 0;
    uint32_t version = sonde_grad(p)->storage->version;
    CHECK(sonde_clip_grad_norm_(1, &p, 1, 2, false, &total, &coef) == SONDE_OK && coef == 1);
    CHECK(memcmp(sonde_tensor_data(sonde_grad(p)), values, sizeof values) == 0);
    CHECK(sonde_grad(p)->storage->version == version);
    CHECK(sonde_clip_grad_norm_(0, NULL, 1, 2, true, &total, &coef) == SONDE_OK && total == 0 && coef == 1);
    sonde_tensor_release(p);
}

/* Squares beyond the range of the dtype, and of float64. */
static void extremes(void)
{
    double total = 0, coef = 0;
    sonde_tensor *large = with_gradient(SONDE_FLOAT32, 2, (double[]){3e30, 4e30});
    CHECK(sonde_clip_grad_norm_(1, &large, 1, 2, true, &total, &coef) == SONDE_OK);
    CHECK_NEAR(total / 5e30, 1, 1e-7);
    CHECK_NEAR(grad_at(large, 0), 0.6, 1e-6);
    sonde_tensor *huge = with_gradient(SONDE_FLOAT64, 2, (double[]){3e200, 4e200});
    CHECK(sonde_clip_grad_norm_(1, &huge, 1, 2, true, &total, &coef) == SONDE_OK);
    CHECK_NEAR(total / 5e200, 1, 1e-15);
    CHECK_NEAR(grad_at(huge, 1), 0.8, 1e-14);
    sonde_tensor *tiny = with_gradient(SONDE_FLOAT64, 2, (double[]){3e-200, 4e-200});
    CHECK(sonde_total_norm(&total, 1, &tiny, 2) == SONDE_OK);
    CHECK_NEAR(total / 5e-200, 1, 1e-15);
    CHECK(sonde_total_norm(&total, 1, &tiny, 3) == SONDE_OK);
    CHECK_NEAR(total / 1e-200, cbrt(27 + 64), 1e-14);
    sonde_tensor *subnormal = with_gradient(SONDE_FLOAT32, 1, (double[]){0x1p-149});
    CHECK(sonde_total_norm(&total, 1, &subnormal, 2) == SONDE_OK && total == 0x1p-149);
    sonde_tensor *all[] = {large, huge, tiny, subnormal};
    for (int i = 0; i < 4; i++) sonde_tensor_release(all[i]);
}

static void nonfinite(void)
{
    static const double types[] = {2, 1, 3, HUGE_VAL};
    for (int i = 0; i < 4; i++) {
        for (int k = 0; k < 2; k++) {
            const double values[] = {1, k ? HUGE_VAL : (double)NAN, 100};
            sonde_tensor *p = with_gradient(SONDE_FLOAT32, 3, values);
            double total = 0, coef = 0;
            CHECK(sonde_clip_grad_norm_(1, &p, 0.5, types[i], false, &total, &coef) == SONDE_OK);
            CHECK(!isfinite(total) && isnan(coef) && grad_at(p, 0) == 1 && grad_at(p, 2) == 100);
            CHECK(sonde_clip_grad_norm_(1, &p, 0.5, types[i], true, &total, &coef) == SONDE_ESTATE);
            CHECK(strstr(sonde_message(), "not clipped") != NULL);
            sonde_tensor_release(p);
        }
    }
}

static void views_and_empty(void)
{
    sonde_tensor *base = NULL, *p = with_gradient(SONDE_FLOAT64, 2, NULL), *g = NULL,
                 *none = with_gradient(SONDE_FLOAT64, 0, (double[]){0});
    double total = 0, coef = 0, values[] = {3, 7, 4, 7};
    CHECK(sonde_tensor_from(&base, SONDE_FLOAT64, 1, &(int64_t){4}, values) == SONDE_OK);
    CHECK(sonde_tensor_as_strided(&g, base, 1, (int64_t[]){2}, (int64_t[]){2}, 0) == SONDE_OK);
    CHECK(sonde_set_grad(p, g) == SONDE_OK);
    sonde_tensor *both[] = {none, p};
    CHECK(sonde_clip_grad_norm_(2, both, 1, 2, true, &total, &coef) == SONDE_OK && fabs(total - 5) < 1e-15);
    CHECK_NEAR(grad_at(p, 1), 0.8, 1e-6);
    CHECK(sonde_clip_grad_value_(2, both, 0.7) == SONDE_OK && grad_at(p, 1) == 0.7);
    CHECK(sonde_tensor_get(base, &(int64_t){1}) == 7);
    sonde_tensor *all[] = {base, p, g, none};
    for (int i = 0; i < 4; i++) sonde_tensor_release(all[i]);
}

static void by_value(void)
{
    for (int i = 0; i < 2; i++) {
        const double values[] = {3, 0.1, -HUGE_VAL, (double)NAN};
        sonde_tensor *p = with_gradient(i ? SONDE_FLOAT32 : SONDE_FLOAT64, 4, values);
        CHECK(sonde_clip_grad_value_(1, &p, 0.5) == SONDE_OK && grad_at(p, 0) == 0.5);
        CHECK(grad_at(p, 1) == (i ? (double)0.1f : 0.1) && grad_at(p, 2) == -0.5 && isnan(grad_at(p, 3)));
        CHECK(sonde_clip_grad_value_(1, &p, -1) == SONDE_EARG &&
              sonde_clip_grad_value_(1, &p, (double)NAN) == SONDE_EARG);
        sonde_tensor_release(p);
    }
}

int main(void)
{
    CHECK_RUN(norms);
    CHECK_RUN(untouched_below_the_threshold);
    CHECK_RUN(extremes);
    CHECK_RUN(nonfinite);
    CHECK_RUN(views_and_empty);
    CHECK_RUN(by_value);
    CHECK(sonde_tensor_live() == 0);
    CHECK_END();
}
