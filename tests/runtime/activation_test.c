/* Activations: slopes against finite differences, extremes, kinks, facts, and bits that do not depend on the place. */
#include "base/base.h"
#include "check.h"
#include "kernel/kernel.h"

#include <string.h>

static const sonde_activation all[] = {
    {SONDE_SIGMOID, 0, 0},     {SONDE_TANH, 0, 0},      {SONDE_RELU, 0, 0},      {SONDE_LEAKY_RELU, 0.01, 0},
    {SONDE_LEAKY_RELU, -2, 0}, {SONDE_ELU, 1, 0},       {SONDE_ELU, 0.5, 0},     {SONDE_SELU, 0, 0},
    {SONDE_GELU, 0, 0},        {SONDE_GELU_TANH, 0, 0}, {SONDE_SILU, 0, 0},      {SONDE_SOFTPLUS, 1, 20},
    {SONDE_SOFTPLUS, 2, 20},   {SONDE_SOFTSIGN, 0, 0},  {SONDE_HARDTANH, -1, 1}, {SONDE_HARDTANH, -2, 0.5},
    {SONDE_CELU, 2, 0},        {SONDE_MISH, 0, 0},      {SONDE_HARDSIGMOID, 0, 0}, {SONDE_HARDSWISH, 0, 0},
    {SONDE_LOGSIGMOID, 0, 0},  {SONDE_THRESHOLD, 0.5, 0.5}, {SONDE_TANHSHRINK, 0, 0}, {SONDE_SINE, 0, 0},
};
enum { COUNT = sizeof all / sizeof *all };

static double value(const sonde_activation *activation, double x)
{
    double y;
    sonde_activation_forward(activation, SONDE_FLOAT64, &y, &x, 1);
    return y;
}

static double slope(const sonde_activation *activation, double x)
{
    double s;
    sonde_activation_slope(activation, SONDE_FLOAT64, &s, &x, 1);
    return s;
}

/* The definitions, straight from the books; long double leaves room for the cancellations. */
static double definition(const sonde_activation *activation, double at)
{
    long double x = (long double)at, a = (long double)activation->a, b = (long double)activation->b;
    switch (activation->kind) {
    case SONDE_SIGMOID:
        return (double)(1 / (1 + expl(-x)));
    case SONDE_TANH:
        return (double)tanhl(x);
    case SONDE_RELU:
        return x > 0 ? at : 0;
    case SONDE_LEAKY_RELU:
        return (double)(x > 0 ? x : a * x);
    case SONDE_ELU:
        return (double)(x > 0 ? x : a * (expl(x) - 1));
    case SONDE_SELU:
        return (double)(1.0507009873554804934193349852946L *
                        (x > 0 ? x : 1.6732632423543772848170429916717L * (expl(x) - 1)));
    case SONDE_GELU:
        return (double)(x * erfcl(-x / sqrtl(2)) / 2);
    case SONDE_GELU_TANH:
        return (double)(0.5L * x * (1 + tanhl(sqrtl(2 / acosl(-1)) * (x + 0.044715L * x * x * x))));
    case SONDE_SILU:
        return (double)(x / (1 + expl(-x)));
    case SONDE_SOFTPLUS:
        return (double)(a * x > b ? x : log1pl(expl(a * x)) / a);
    case SONDE_SOFTSIGN:
        return (double)(x / (1 + fabsl(x)));
    case SONDE_CELU:
        return (double)(x > 0 ? x : a * (expl(x / a) - 1));
    case SONDE_MISH:
        return (double)(x * tanhl(log1pl(expl(x))));
    case SONDE_HARDSIGMOID:
        return (double)(x < -3 ? 0 : x > 3 ? 1 : (x + 3) / 6);
    case SONDE_HARDSWISH:
        return (double)(x < -3 ? 0 : x > 3 ? x : x * (x + 3) / 6);
    case SONDE_LOGSIGMOID:
        return (double)(x < 0 ? x - log1pl(expl(x)) : -log1pl(expl(-x)));
    case SONDE_THRESHOLD:
        return (double)(x > a ? x : b);
    case SONDE_TANHSHRINK:
        return (double)(x - tanhl(x));
    case SONDE_SINE:
        return (double)sinl(x);
    default:
        return (double)(x < a ? a : x > b ? b : x);
    }
}

static void values_and_slopes(void)
{
    for (int k = 0; k < COUNT; k++)
        for (double x = -12.03; x < 12; x += 0.13) {
            const double h = 1e-5;
            CHECK_NEAR(value(&all[k], x), definition(&all[k], x), 1e-14);
            double difference = (value(&all[k], x + h) - value(&all[k], x - h)) / (2 * h);
            CHECK_NEAR(slope(&all[k], x), difference, 1e-8);
        }
}

static void extremes_are_right(void)
{
    for (int k = 0; k < COUNT; k++) {
        for (double x = -100; x <= 100; x += 200) {
            CHECK_NEAR(value(&all[k], x), definition(&all[k], x), 1e-14);
            CHECK(isfinite(slope(&all[k], x)));
        }
        CHECK(isnan(value(&all[k], (double)NAN)));
        for (double x = -1e30; x <= 1e30; x += 2e30) CHECK(isfinite(value(&all[k], x)) && isfinite(slope(&all[k], x)));
        float huge[2] = {-1e30f, 100.0f}, y[2], s[2];
        sonde_activation_forward(&all[k], SONDE_FLOAT32, y, huge, 2);
        sonde_activation_slope(&all[k], SONDE_FLOAT32, s, huge, 2);
        CHECK(isfinite(y[0]) && isfinite(y[1]) && isfinite(s[0]) && isfinite(s[1]));
    }
    CHECK_NEAR(value(&all[0], -700) / exp(-700), 1, 1e-14); /* a small value is not lost */
    CHECK(slope(&all[5], -30) > 9e-14 && slope(&all[5], -1000) == 0);
}

/* PyTorch's choices. */
static void kinks(void)
{
    const double leaky = 0.01;
    CHECK(slope(&all[2], 0) == 0);
    CHECK(slope(&all[3], 0) == leaky && slope(&all[4], 0) == -2);
    CHECK(slope(&all[6], 0) == 0.5);
    CHECK(slope(&all[14], -1) == 0 && slope(&all[14], 1) == 0 && slope(&all[14], 0.999) == 1);
    CHECK(slope(&all[11], 20) < 1 && slope(&all[11], 20.001) == 1);
    CHECK(value(&all[11], 20.001) == 20.001 && value(&all[12], 10.001) == 10.001);
}

/* The facts are the supremum: reached within 1e-6 on a fine grid, never exceeded. */
static void largest_slopes(void)
{
    for (int k = 0; k < COUNT; k++) {
        double largest = 0, claimed = sonde_activation_facts_of(&all[k]).max_slope;
        for (double x = -8; x < 8; x += 1.0 / 1024) largest = fmax(largest, fabs(slope(&all[k], x)));
        bool is_limit = all[k].kind == SONDE_SOFTPLUS || all[k].kind == SONDE_LOGSIGMOID || all[k].kind == SONDE_HARDSWISH;
        CHECK_NEAR(claimed, largest, is_limit ? 1e-3 : 1e-6);
        CHECK(largest <= claimed * (1 + 1e-15));
    }
    CHECK_NEAR(slope(&all[8], sqrt(2)), sonde_activation_facts_of(&all[8]).max_slope, 1e-15);
    CHECK(sonde_activation_facts_of(&all[0]).bounded && !sonde_activation_facts_of(&all[2]).bounded);
}

static void backward_is_gradient_times_slope(void)
{
    enum { N = 333 };
    static double x[N], y[N], dy[N], dx[N], s[N];
    sonde_stream stream;
    sonde_stream_init(&stream, 2, "activation");
    sonde_stream_fill_normal(&stream, SONDE_FLOAT64, x, N, 0, 3);
    sonde_stream_fill_normal(&stream, SONDE_FLOAT64, dy, N, 0, 1);
    for (int k = 0; k < COUNT; k++) {
        bool from_output = sonde_activation_uses_output(&all[k]);
        sonde_activation_forward(&all[k], SONDE_FLOAT64, y, x, N);
        sonde_activation_slope(&all[k], SONDE_FLOAT64, s, x, N);
        sonde_activation_backward(&all[k], SONDE_FLOAT64, dx, dy, from_output ? NULL : x, from_output ? y : NULL, N,
                                  false);
        for (int i = 0; i < N; i++) CHECK_NEAR(dx[i], dy[i] * s[i], 1e-15);
        sonde_activation_backward(&all[k], SONDE_FLOAT64, dx, dy, from_output ? NULL : x, from_output ? y : NULL, N,
                                  true);
        for (int i = 0; i < N; i++) CHECK_NEAR(dx[i], 2 * dy[i] * s[i], 1e-14);
    }
    double closed = -1, infinite = (double)INFINITY, out;
    double zero = 0;
    sonde_activation_backward(&all[2], SONDE_FLOAT64, &out, &infinite, &closed, &zero, 1, false);
    CHECK(out == 0); /* a closed gate stops an infinite gradient */
}

/* An element's value has the same bits wherever it stands, in place or not. */
static void bits_do_not_depend_on_the_place(void)
{
    enum { N = 200 };
    static float x[N], whole[N], part[N + 16];
    sonde_stream stream;
    sonde_stream_init(&stream, 3, "place");
    sonde_stream_fill_normal(&stream, SONDE_FLOAT32, x, N, 0, 2);
    for (int k = 0; k < COUNT; k++) {
        sonde_activation_forward(&all[k], SONDE_FLOAT32, whole, x, N);
        for (int from = 0; from < 70; from += 23)
            for (int shift = 0; shift < 3; shift++) {
                memcpy(part + shift, x + from, (N - (size_t)from) * sizeof *x);
                sonde_activation_forward(&all[k], SONDE_FLOAT32, part + shift, part + shift, (size_t)(N - from));
                CHECK(memcmp(part + shift, whole + from, (N - (size_t)from) * sizeof *x) == 0);
            }
    }
}

int main(void)
{
    CHECK_RUN(values_and_slopes);
    CHECK_RUN(extremes_are_right);
    CHECK_RUN(kinks);
    CHECK_RUN(largest_slopes);
    CHECK_RUN(backward_is_gradient_times_slope);
    CHECK_RUN(bits_do_not_depend_on_the_place);
    CHECK_END();
}
