/* Initialisers: moments, bounds, orthogonality, streams. */
#include "check.h"
#include "nn/nn.h"

#include <stdlib.h>
#include <string.h>

static bool says(const char *words)
{
    if (strstr(sonde_message(), words)) return true;
    printf("       message: %s\n", sonde_message());
    return false;
}

static sonde_tensor *empty(sonde_dtype dtype, int64_t rows, int64_t columns)
{
    sonde_tensor *t = NULL;
    if (sonde_tensor_new(&t, dtype, 2, (int64_t[]){rows, columns}) != SONDE_OK) abort();
    return t;
}

static sonde_stream stream(void)
{
    sonde_stream s;
    sonde_stream_init(&s, 7, "test");
    return s;
}

/* 200 x 300 elements: mean within 5 standard errors of 0, std within 1 %, bound touched but not passed. */
static void check_draws(const sonde_tensor *w, double std, bool uniform)
{
    sonde_moments m = {0};
    sonde_moments_kernel(&m, w->dtype, sonde_tensor_data(w), (size_t)sonde_tensor_numel(w));
    CHECK(fabs(sonde_moments_mean(&m)) < 5 * std / sqrt(60000));
    CHECK(fabs(sonde_moments_std(&m) / std - 1) < 0.01);
    double bound = sqrt(3) * std;
    if (uniform)
        CHECK(m.abs_max <= bound * (1 + 1e-7) && m.abs_max > 0.999 * bound);
    else
        CHECK(m.abs_max > 3.5 * std && m.abs_max < 6.5 * std);
}

static void distributions(void)
{
    for (int i = 0; i < 2; i++) {
        sonde_tensor *w = empty(i ? SONDE_FLOAT32 : SONDE_FLOAT64, 200, 300); /* fan_in 300, fan_out 200 */
        sonde_stream s = stream();
        uint32_t version = w->storage->version;
        CHECK(sonde_init_xavier_uniform_(w, &s, 2) == SONDE_OK);
        CHECK(w->storage->version > version);
        check_draws(w, 2 * sqrt(2.0 / 500), true);
        CHECK(sonde_init_xavier_normal_(w, &s, 1) == SONDE_OK);
        check_draws(w, sqrt(2.0 / 500), false);
        CHECK(sonde_init_kaiming_uniform_(w, &s, sqrt(5), SONDE_FAN_IN, "leaky_relu") == SONDE_OK);
        check_draws(w, sqrt(1.0 / 3 / 300), true);
        CHECK(sonde_init_kaiming_normal_(w, &s, 0, SONDE_FAN_OUT, "relu") == SONDE_OK);
        check_draws(w, sqrt(2.0 / 200), false);
        CHECK(sonde_init_lecun_uniform_(w, &s, SONDE_FAN_IN) == SONDE_OK);
        check_draws(w, sqrt(1.0 / 300), true);
        CHECK(sonde_init_lecun_normal_(w, &s, SONDE_FAN_OUT) == SONDE_OK);
        check_draws(w, sqrt(1.0 / 200), false);
        CHECK(sonde_init_normal_(w, &s, 0, 0.1) == SONDE_OK);
        check_draws(w, 0.1, false);
        CHECK(sonde_init_constant_(w, 0.5) == SONDE_OK && sonde_tensor_get(w, (int64_t[]){199, 299}) == 0.5);
        sonde_tensor_release(w);
    }
}

static void fans_and_gains(void)
{
    sonde_tensor *kernel = NULL, *vector = NULL;
    int64_t in = 0, out = 0;
    double gain = 0;
    CHECK(sonde_tensor_zeros(&kernel, SONDE_FLOAT32, 4, (int64_t[]){4, 2, 3, 3}) == SONDE_OK);
    CHECK(sonde_init_fans(kernel, &in, &out) == SONDE_OK && in == 18 && out == 36);
    CHECK(sonde_tensor_zeros(&vector, SONDE_FLOAT32, 1, &(int64_t){4}) == SONDE_OK);
    CHECK(sonde_init_fans(vector, &in, &out) == SONDE_ESHAPE && says("[4]"));
    static const struct {
        const char *name;
        double gain;
    } gains[] = {{"linear", 1},
                 {"conv2d", 1},
                 {"sigmoid", 1},
                 {"tanh", 5.0 / 3},
                 {"relu", 1.4142135623730951},
                 {"leaky_relu", 1.3867504905630728},
                 {"selu", 0.75}}; /* leaky_relu with slope 0.2 */
    for (size_t i = 0; i < sizeof gains / sizeof *gains; i++) {
        CHECK(sonde_init_gain(gains[i].name, 0.2, &gain) == SONDE_OK);
        CHECK_NEAR(gain, gains[i].gain, 1e-15);
    }
    CHECK(sonde_init_gain("swish", 0, &gain) == SONDE_EARG && says("'swish'") && says("leaky_relu"));
    sonde_tensor_release(kernel);
    sonde_tensor_release(vector);
}

static double dot(const sonde_tensor *w, bool rows, int64_t a, int64_t b)
{
    double sum = 0;
    for (int64_t i = 0; i < w->shape[rows ? 1 : 0]; i++)
        sum += rows ? sonde_tensor_get(w, (int64_t[]){a, i}) * sonde_tensor_get(w, (int64_t[]){b, i})
                    : sonde_tensor_get(w, (int64_t[]){i, a}) * sonde_tensor_get(w, (int64_t[]){i, b});
    return sum;
}

/* The short side's vectors are orthogonal and as long as the gain. */
static void check_orthogonal(sonde_dtype dtype, int64_t rows, int64_t columns, double tolerance)
{
    sonde_tensor *w = empty(dtype, rows, columns);
    sonde_stream s = stream();
    bool wide = rows < columns;
    double worst = 0;
    CHECK(sonde_init_orthogonal_(w, &s, 1.5) == SONDE_OK);
    for (int64_t a = 0; a < (wide ? rows : columns); a++)
        for (int64_t b = 0; b <= a; b++) worst = fmax(worst, fabs(dot(w, wide, a, b) - (a == b ? 2.25 : 0)));
    CHECK(worst < tolerance);
    sonde_tensor_release(w);
}

static void orthogonal(void)
{
    check_orthogonal(SONDE_FLOAT64, 40, 40, 1e-12);
    check_orthogonal(SONDE_FLOAT64, 70, 30, 1e-12);
    check_orthogonal(SONDE_FLOAT64, 30, 70, 1e-12);
    check_orthogonal(SONDE_FLOAT64, 1, 5, 1e-12);
    check_orthogonal(SONDE_FLOAT64, 5, 1, 1e-12);
    check_orthogonal(SONDE_FLOAT32, 40, 30, 1e-6);
    sonde_tensor *w = empty(SONDE_FLOAT64, 0, 5), *vector = NULL;
    sonde_stream s = stream();
    CHECK(sonde_init_orthogonal_(w, &s, 1) == SONDE_OK);
    CHECK(sonde_tensor_zeros(&vector, SONDE_FLOAT64, 1, &(int64_t){4}) == SONDE_OK);
    CHECK(sonde_init_orthogonal_(vector, &s, 1) == SONDE_ESHAPE && says("2 or more axes"));
    sonde_tensor_release(w);
    sonde_tensor_release(vector);
}

/* Without the sign fix the first entry of Q would always be negative (LAPACK's Householder vectors). */
static void orthogonal_is_uniform(void)
{
    int positive = 0;
    sonde_stream s = stream();
    sonde_tensor *w = empty(SONDE_FLOAT64, 3, 3);
    double squares = 0;
    for (int i = 0; i < 400; i++) {
        CHECK(sonde_init_orthogonal_(w, &s, 1) == SONDE_OK);
        double first = sonde_tensor_get(w, (int64_t[]){0, 0});
        positive += first > 0;
        squares += first * first;
    }
    CHECK(positive > 150 && positive < 250);     /* 200 ± 5 σ */
    CHECK(fabs(squares / 400 - 1.0 / 3) < 0.08); /* E q² = 1/3, σ of the mean 0.015 */
    sonde_tensor_release(w);
}

/* Strided views are filled like anything else, and nothing beside them. */
static void views(void)
{
    sonde_tensor *w = NULL, *column = NULL;
    sonde_stream s = stream();
    CHECK(sonde_tensor_zeros(&w, SONDE_FLOAT64, 2, (int64_t[]){4, 3}) == SONDE_OK);
    CHECK(sonde_tensor_as_strided(&column, w, 2, (int64_t[]){4, 1}, (int64_t[]){3, 1}, 1) == SONDE_OK);
    CHECK(sonde_init_uniform_(column, &s, 1, 2) == SONDE_OK);
    for (int64_t i = 0; i < 4; i++) {
        CHECK(sonde_tensor_get(w, (int64_t[]){i, 1}) >= 1 && sonde_tensor_get(w, (int64_t[]){i, 0}) == 0);
        CHECK(sonde_tensor_get(w, (int64_t[]){i, 2}) == 0);
    }
    CHECK(sonde_init_orthogonal_(column, &s, 1) == SONDE_OK);
    CHECK_NEAR(dot(column, false, 0, 0), 1, 1e-15);
    sonde_tensor_release(column);
    sonde_tensor_release(w);
}

static void wrong_arguments(void)
{
    sonde_tensor *w = empty(SONDE_INT64, 2, 2), *f = empty(SONDE_FLOAT64, 2, 2);
    sonde_stream s = stream();
    CHECK(sonde_init_uniform_(w, &s, 0, 1) == SONDE_EDTYPE && sonde_init_orthogonal_(w, &s, 1) == SONDE_EDTYPE);
    CHECK(sonde_init_uniform_(f, &s, 1, 0) == SONDE_EARG && sonde_init_uniform_(f, &s, 0, (double)NAN) == SONDE_EARG);
    CHECK(sonde_init_normal_(f, &s, 0, -1) == SONDE_EARG && says("std"));
    CHECK(sonde_init_kaiming_normal_(f, &s, 0, SONDE_FAN_IN, "none") == SONDE_EARG);
    sonde_tensor_release(w);
    sonde_tensor_release(f);
}

/* A parameter draws from a stream of its own number: what is made later changes nothing. */
static double first_weight(int64_t layers_before, int64_t width_before, uint64_t seed)
{
    sonde_nn_random source = {0}, *was = sonde_nn_random_use(&source);
    sonde_nn_random_seed(seed);
    sonde_module *m = NULL;
    for (int64_t i = 0; i <= layers_before; i++) {
        sonde_module_release(m);
        if (sonde_linear_new(&m, i < layers_before ? width_before : 4, 4, true, SONDE_FLOAT64) != SONDE_OK) abort();
    }
    double value = sonde_tensor_get(sonde_module_parameter(m, "weight"), (int64_t[]){0, 0});
    CHECK(source.n_parameters == 2 * (uint64_t)(layers_before + 1) && sonde_nn_random_current() == &source);
    sonde_module_release(m);
    sonde_nn_random_use(was);
    return value;
}

static void streams(void)
{
    CHECK(first_weight(0, 4, 1) == first_weight(0, 4, 1));
    CHECK(first_weight(0, 4, 1) != first_weight(0, 4, 2));
    CHECK(first_weight(0, 4, 1) != first_weight(1, 4, 1));
    CHECK(first_weight(1, 4, 1) == first_weight(1, 9, 1)); /* the number counts, not the size of what came before */
    sonde_stream a, b;
    sonde_nn_random_seed(5);
    sonde_nn_random_stochastic(&a, "dropout");
    sonde_nn_random_parameter(&b);
    CHECK(sonde_stream_u32(&a) != sonde_stream_u32(&b));
}

int main(void)
{
    CHECK_RUN(distributions);
    CHECK_RUN(fans_and_gains);
    CHECK_RUN(orthogonal);
    CHECK_RUN(orthogonal_is_uniform);
    CHECK_RUN(views);
    CHECK_RUN(wrong_arguments);
    CHECK_RUN(streams);
    CHECK(sonde_module_live() == 0 && sonde_tensor_live() == 0);
    CHECK_END();
}
