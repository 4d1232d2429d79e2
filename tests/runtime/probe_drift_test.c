/* The cosine of successive gradients and the distance from the initial weights, against copies kept by the test. */
#include "probe_lab.h"

static double naive_cosine_of(const copy *a, const copy *b)
{
    double dot = 0, aa = 0, bb = 0;
    for (int64_t i = 0; i < a->n; i++) {
        dot += a->values[i] * b->values[i];
        aa += a->values[i] * a->values[i];
        bb += b->values[i] * b->values[i];
    }
    return dot / sqrt(aa * bb);
}

static double naive_distance(const copy *a, const copy *b)
{
    double sum = 0;
    for (int64_t i = 0; i < a->n; i++) sum += (a->values[i] - b->values[i]) * (a->values[i] - b->values[i]);
    return sqrt(sum);
}

/* Other samples in each step, so that gradients turn. */
static void renew(lab *l, uint64_t seed)
{
    sonde_tensor *x = noise(l->x->dtype, 8, 4, seed), *y = noise(l->y->dtype, 8, 3, seed + 1000);
    sonde_tensor_release(l->x);
    sonde_tensor_release(l->y);
    l->x = x;
    l->y = y;
}

#define STEPS 60

/* Trains; every row of weight_drift must be there when due, and say what the copies say. */
static void check_run(sonde_dtype dtype, const sonde_probe_options *options, int64_t last_step, int backwards)
{
    lab l = lab_of(small_net("Tanh", false, dtype), 8, 4, 3, dtype, options);
    sonde_tensor *w = sonde_module_parameter(l.net->children[2].module, "weight");
    copy first = copy_of(w), kept = {0};
    int64_t every = options->every ? options->every : 1, hist = options->hist_every ? options->hist_every : 10, rows = 0;
    double tolerance = dtype == SONDE_FLOAT32 ? 2e-6 : 1e-13;
    for (int64_t step = 1; step <= STEPS; step++) {
        if (step == last_step - 3) sonde_probe_expect_end(l.probe, last_step);
        renew(&l, (uint64_t)step);
        OK(sonde_optimizer_zero_grad(l.optimizer, true));
        for (int i = 0; i < backwards; i++) backward_of(&l, l.x);
        copy gradient = copy_of(sonde_grad(w)), before = copy_of(w);
        OK(sonde_optimizer_step(l.optimizer));
        OK(sonde_probe_end_step(l.probe, 1));
        bool measured = (step - 1) % every == 0 || step == last_step, is_last = step == last_step;
        int64_t k = (step - 1) / hist;
        if (measured && (is_last || ((step - 1) % hist < every && (k < 10 || k % 10 == 0)))) {
            rows++;
            double want = kept.n > 0 ? naive_cosine_of(&kept, &gradient) : (double)NAN;
            CHECK(rows_of(&l, "weight_drift") == rows);
            CHECK_NEAR(last(&l, "weight_drift", "grad_cosine", "3.weight"), want, tolerance);
            CHECK_NEAR(last(&l, "weight_drift", "init_distance", "3.weight"), naive_distance(&before, &first), tolerance);
            CHECK_NEAR(last(&l, "weight_drift", "init_distance_ratio", "3.weight"),
                       naive_distance(&before, &first) / naive_of(&first, 1).l2, tolerance);
        }
        CHECK(rows_of(&l, "weight_drift") == rows);
        if (measured) {
            free(kept.values);
            kept = gradient;
        } else {
            free(gradient.values);
        }
        free(before.values);
        if (is_last) break;
    }
    CHECK(rows > 1);
    free(kept.values);
    free(first.values);
    lab_free(&l);
}

static void against_copies(void)
{
    for (int dtype = SONDE_FLOAT32; dtype <= SONDE_FLOAT64; dtype++) {
        check_run((sonde_dtype)dtype, &(sonde_probe_options){0}, 58, 1);
        check_run((sonde_dtype)dtype, &(sonde_probe_options){.hist_every = 1}, 0, 2); /* each step kept and compared */
        check_run((sonde_dtype)dtype, &(sonde_probe_options){.every = 3, .hist_every = 2}, 57, 2);
        check_run((sonde_dtype)dtype, &(sonde_probe_options){.every = 10, .hist_every = 10}, 0, 1);
        check_run((sonde_dtype)dtype,
                  &(sonde_probe_options){.hist_every = 4, .what = SONDE_PROBE_BIT(SONDE_PROBE_WEIGHT_DRIFT)}, 30, 1);
    }
}

/* Gradients whose squares leave the range of double, zeros, and a layer that no backward reaches. */
static void extremes(void)
{
    static const double sizes[] = {1, 1e-200, 1e200, 1e-300, 0};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        lab l = lab_of(small_net("Tanh", false, SONDE_FLOAT64), 8, 4, 3, SONDE_FLOAT64,
                       &(sonde_probe_options){.hist_every = 1});
        sonde_tensor *b = sonde_module_parameter(l.net->children[4].module, "bias");
        sonde_tensor *gradient = noise(SONDE_FLOAT64, 3, 1, 5), *flat = NULL;
        OK(sonde_optimizer_set(l.optimizer, 0, "lr", 0));
        OK(sonde_tensor_as_strided(&flat, gradient, 1, (int64_t[]){3}, (int64_t[]){1}, 0));
        for (int step = 0; step < 2; step++) {
            for (int64_t k = 0; k < 3; k++) sonde_tensor_set(gradient, (int64_t[]){k, 0}, sizes[i] * (double)(k + step + 1));
            OK(sonde_optimizer_zero_grad(l.optimizer, true));
            OK(sonde_backward(b, flat, false));
            OK(sonde_optimizer_step(l.optimizer));
            OK(sonde_probe_end_step(l.probe, 1));
        }
        double want = (1 * 2 + 2 * 3 + 3 * 4) / sqrt(14.0 * 29);
        CHECK_NEAR(last(&l, "weight_drift", "grad_cosine", "5.bias"), sizes[i] > 0 ? want : (double)NAN, 1e-14);
        CHECK(isnan(last(&l, "weight_drift", "grad_cosine", "1.weight")));
        CHECK(last(&l, "weight_drift", "init_distance", "5.bias") == 0);
        sonde_tensor_release(flat);
        sonde_tensor_release(gradient);
        lab_free(&l);
    }
}

static void distances_do_not_overflow(void)
{
    static const double sizes[] = {1, 1e-200, 1e-310, 1e180, 1e300};
    double a[37], b[37];
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        for (int i = 0; i < 37; i++) a[i] = sizes[s] * (i + 1), b[i] = sizes[s] * (i % 2 ? i + 4 : i - 2); /* ±3 apart */
        CHECK_NEAR(sonde_distance_kernel(SONDE_FLOAT64, a, b, 37) / sizes[s], 3 * sqrt(37.0), 1e-9);
    }
    CHECK(sonde_distance_kernel(SONDE_FLOAT64, a, a, 37) == 0);
    b[20] = (double)NAN;
    CHECK(isnan(sonde_distance_kernel(SONDE_FLOAT64, a, b, 37)));
    b[20] = (double)INFINITY;
    CHECK(isinf(sonde_distance_kernel(SONDE_FLOAT64, a, b, 37)));
}

/* A second probe is asked before the weights change as well. */
static void two_probes(void)
{
    lab l = small_lab("Tanh", &(sonde_probe_options){0});
    sonde_history *history = NULL;
    sonde_probe *second = NULL;
    OK(sonde_history_new(&history));
    OK(sonde_probe_new(&second, history, 1));
    OK(sonde_probe_attach(second, l.net, &(sonde_probe_options){.hist_every = 1}, NULL));
    OK(sonde_probe_observe_optimizer(second, l.optimizer));
    copy first = copy_of(sonde_module_parameter(l.net->children[0].module, "weight"));
    lab other = {.history = history};
    for (int step = 0; step < 2; step++) {
        copy before = copy_of(sonde_module_parameter(l.net->children[0].module, "weight"));
        train(&l);
        OK(sonde_probe_end_step(second, 1));
        CHECK_NEAR(last(&other, "weight_drift", "init_distance", "1.weight"), naive_distance(&before, &first), 1e-6);
        free(before.values);
    }
    CHECK(last(&other, "weight_drift", "init_distance", "1.weight") > 0);
    free(first.values);
    sonde_probe_free(second);
    sonde_history_free(history);
    lab_free(&l);
}

/* After a resume the initial weights are gone; the training has the same bits with and without. */
static void resumed_and_bits(void)
{
    lab with = small_lab("Tanh", &(sonde_probe_options){.hist_every = 1}), without = small_lab("Tanh", NULL);
    for (int step = 0; step < 5; step++) CHECK(train(&with) == train(&without));
    lab_free(&without);
    sonde_probe_free(with.probe);
    sonde_history_free(with.history);
    OK(sonde_history_new(&with.history));
    OK(sonde_probe_new(&with.probe, with.history, 6));
    OK(sonde_probe_attach(with.probe, with.net, &(sonde_probe_options){.hist_every = 1}, NULL));
    OK(sonde_probe_observe_optimizer(with.probe, with.optimizer));
    train(&with);
    train(&with);
    CHECK(isnan(last(&with, "weight_drift", "init_distance", "1.weight")));
    CHECK(last(&with, "weight_drift", "grad_cosine", "1.weight") > 0);
    lab_free(&with);
}

int main(void)
{
    CHECK_RUN(against_copies);
    CHECK_RUN(extremes);
    CHECK_RUN(distances_do_not_overflow);
    CHECK_RUN(two_probes);
    CHECK_RUN(resumed_and_bits);
    CHECK(sonde_memory().live_blocks == 0);
    CHECK_END();
}
