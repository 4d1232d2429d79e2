/* Optimiser kernels: the formulas step by step, the same bits with statistics and without, and the statistics. */
#include "base/base.h"
#include "check.h"
#include "kernel/kernel.h"

#include <string.h>

enum { N = 1111, STEPS = 5 };

typedef struct state {
    double w[N], a[N], b[N], c[N]; /* of either type */
} state;

/* One step of rule number `rule`, with `variant`'s options. */
static void step(sonde_dtype dtype, int rule, int variant, int64_t number, state *s, const void *g,
                 sonde_update_stats *stats)
{
    bool odd = variant & 1;
    double decay = variant & 2 ? 0.05 : 0;
    if (rule == 0) {
        sonde_sgd_args args = {.lr = 0.1,
                               .momentum = variant & 4 ? 0.9 : 0,
                               .dampening = variant & 8 && !odd ? 0.5 : 0,
                               .weight_decay = decay,
                               .nesterov = odd,
                               .maximize = variant & 8,
                               .first = number == 1};
        sonde_sgd_kernel(dtype, s->w, s->a, g, N, &args, stats);
    } else if (rule == 1) {
        sonde_adam_args args = {.lr = 0.01,
                                .beta1 = 0.9,
                                .beta2 = 0.99,
                                .eps = 1e-8,
                                .weight_decay = decay,
                                .decoupled = odd,
                                .amsgrad = variant & 4,
                                .maximize = variant & 8,
                                .step = number};
        sonde_adam_kernel(dtype, s->w, s->a, s->b, s->c, g, N, &args, stats);
    } else {
        sonde_rmsprop_args args = {.lr = 0.01,
                                   .alpha = 0.9,
                                   .eps = 1e-8,
                                   .weight_decay = decay,
                                   .momentum = odd ? 0.9 : 0,
                                   .centered = variant & 4,
                                   .maximize = variant & 8};
        sonde_rmsprop_kernel(dtype, s->w, s->a, s->b, s->c, g, N, &args, stats);
    }
}

/* The same for one weight, from the formulas of torch.optim's documentation. */
static void plain(int rule, int variant, int64_t number, double *w, double *a, double *b, double *c, double g)
{
    bool odd = variant & 1;
    double decay = variant & 2 ? 0.05 : 0;
    if (variant & 8) g = -g;
    if (rule == 0) {
        double momentum = variant & 4 ? 0.9 : 0, dampening = variant & 8 && !odd ? 0.5 : 0;
        g += decay * *w;
        if (momentum != 0) {
            *a = number == 1 ? g : momentum * *a + (1 - dampening) * g;
            g = odd ? g + momentum * *a : *a;
        }
        *w -= 0.1 * g;
    } else if (rule == 1) {
        if (odd)
            *w -= 0.01 * decay * *w;
        else
            g += decay * *w;
        *a = 0.9 * *a + 0.1 * g;
        *b = 0.99 * *b + 0.01 * g * g;
        if (variant & 4) *c = fmax(*c, *b);
        double mean = *a / (1 - pow(0.9, (double)number)),
               square = (variant & 4 ? *c : *b) / (1 - pow(0.99, (double)number));
        *w -= 0.01 * mean / (sqrt(square) + 1e-8);
    } else {
        g += decay * *w;
        *a = 0.9 * *a + 0.1 * g * g;
        if (variant & 4) *b = 0.9 * *b + 0.1 * g;
        double direction = g / (sqrt(variant & 4 ? *a - *b * *b : *a) + 1e-8);
        if (odd) direction = *c = 0.9 * *c + direction;
        *w -= 0.01 * direction;
    }
}

static void start(sonde_dtype dtype, state *s)
{
    sonde_stream stream;
    sonde_stream_init(&stream, 6, "weights");
    memset(s, 0, sizeof *s);
    sonde_stream_fill_normal(&stream, dtype, s->w, N, 0, 1);
}

static void gradient(sonde_dtype dtype, int64_t number, void *g)
{
    sonde_stream stream;
    sonde_stream_init(&stream, (uint64_t)number, "gradient");
    sonde_stream_fill_normal(&stream, dtype, g, N, 0.1, 1);
}

static void steps_follow_the_formulas(void)
{
    static state got, want;
    static double g[N];
    for (int rule = 0; rule < 3; rule++)
        for (int variant = 0; variant < 16; variant++) {
            start(SONDE_FLOAT64, &got);
            start(SONDE_FLOAT64, &want);
            for (int64_t number = 1; number <= STEPS; number++) {
                gradient(SONDE_FLOAT64, number, g);
                step(SONDE_FLOAT64, rule, variant, number, &got, g, NULL);
                for (int i = 0; i < N; i++)
                    plain(rule, variant, number, &want.w[i], &want.a[i], &want.b[i], &want.c[i], g[i]);
            }
            double worst = 0;
            for (int i = 0; i < N; i++) worst = fmax(worst, fabs(got.w[i] - want.w[i]));
            /* a centred mean square near 0 magnifies rounding */
            if (!CHECK(worst < (rule == 2 && variant & 4 ? 1e-7 : 1e-12)))
                printf("       rule %d, variant %d: off by %g\n", rule, variant, worst);
        }
}

static double at(sonde_dtype dtype, const void *x, int i)
{
    return dtype == SONDE_FLOAT32 ? (double)((const float *)x)[i] : ((const double *)x)[i];
}

static void statistics_change_no_bit_and_are_right(void)
{
    static state with, without, before;
    static double g[N];
    for (int dtype = SONDE_FLOAT32; dtype <= SONDE_FLOAT64; dtype++)
        for (int rule = 0; rule < 3; rule++)
            for (int variant = 0; variant < 16; variant++) {
                start((sonde_dtype)dtype, &with);
                start((sonde_dtype)dtype, &without);
                for (int64_t number = 1; number <= STEPS; number++) {
                    gradient((sonde_dtype)dtype, number, g);
                    before = with;
                    sonde_update_stats stats;
                    step((sonde_dtype)dtype, rule, variant, number, &with, g, &stats);
                    step((sonde_dtype)dtype, rule, variant, number, &without, g, NULL);
                    CHECK(memcmp(&with, &without, sizeof with) == 0);
                    double weight_sq = 0, update_sq = 0;
                    for (int i = 0; i < N; i++) {
                        double w = at((sonde_dtype)dtype, before.w, i), d = at((sonde_dtype)dtype, with.w, i) - w;
                        weight_sq += w * w;
                        update_sq += d * d;
                    }
                    double tolerance = dtype == SONDE_FLOAT32 ? 1e-6 : 1e-13;
                    CHECK(stats.n == N && fabs(stats.weight_sq - weight_sq) <= tolerance * weight_sq);
                    CHECK(fabs(stats.update_sq - update_sq) <= tolerance * update_sq);
                }
            }
}

/* w + Δw = w in float32: those with a gradient count, those without do not. */
static void weights_that_rounding_holds(void)
{
    float w[40], g[40];
    for (int i = 0; i < 40; i++) {
        w[i] = 1;
        g[i] = i % 4 == 0 ? 0 : i % 4 == 1 ? 1e-9f : i % 4 == 2 ? -1e-9f : 1e-3f;
    }
    sonde_sgd_args args = {.lr = 1};
    sonde_update_stats stats;
    sonde_sgd_kernel(SONDE_FLOAT32, w, NULL, g, 40, &args, &stats);
    CHECK(stats.n_unchanged == 20 && stats.n == 40 && stats.weight_sq == 40);
    double moved = 1.0 - (double)(1 - 1e-3f);
    CHECK_NEAR(stats.update_sq / (10 * moved * moved), 1, 1e-6);
    for (int i = 0; i < 40; i++) w[i] = 1e-25f, g[i] = 1e-26f; /* squares below float32's range */
    sonde_sgd_kernel(SONDE_FLOAT32, w, NULL, g, 40, &args, &stats);
    CHECK_NEAR(stats.weight_sq / 40e-50, 1, 1e-6);
    CHECK_NEAR(stats.update_sq / 40e-52, 1, 1e-6);
    sonde_sgd_kernel(SONDE_FLOAT32, w, NULL, g, 0, &args, &stats);
    CHECK(stats.n == 0 && stats.weight_sq == 0);
}

int main(void)
{
    CHECK_RUN(steps_follow_the_formulas);
    CHECK_RUN(statistics_change_no_bit_and_are_right);
    CHECK_RUN(weights_that_rounding_holds);
    CHECK_END();
}
