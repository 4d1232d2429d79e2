/* Every number a probe writes, against naive computation from copies. */
#include "probe_lab.h"

static const sonde_probe_options everything = {0};

static double fraction_below(const copy *slopes, double bound)
{
    double n = 0;
    for (int64_t i = 0; i < slopes->n; i++) n += fabs(slopes->values[i]) < bound;
    return n / (double)slopes->n;
}

/* ---- gradients ------------------------------------------------------------------------------------------ */

static void check_moments(const lab *l, const char *group, const char *name, const copy *parts, int n_parts)
{
    naive want = naive_of(parts, n_parts);
    CHECK_NEAR(last(l, group, "l2_norm", name), want.l2, 1e-7);
    CHECK_NEAR(last(l, group, "mean", name), want.mean, 1e-7);
    CHECK_NEAR(last(l, group, "std", name), want.std, 1e-7);
    CHECK_NEAR(last(l, group, "abs_mean", name), want.abs_mean, 1e-7);
    CHECK_NEAR(last(l, group, "abs_max", name), want.abs_max, 0);
    CHECK_NEAR(last(l, group, "zero_frac", name), want.zero_frac, 1e-7);
    CHECK_NEAR(last(l, group, "positive_frac", name), want.positive_frac, 1e-7);
    CHECK(last(l, group, "n_subnormal", name) == 0);
    CHECK(last(l, group, "n_nonfinite", name) == 0);
}

static void weight_gradients(void)
{
    lab l = small_lab("ReLU", &everything);
    OK(sonde_optimizer_zero_grad(l.optimizer, true));
    backward_of(&l, l.x);
    copy weight = copy_of(sonde_grad(sonde_module_parameter(l.net->children[0].module, "weight")));
    copy bias = copy_of(sonde_grad(sonde_module_parameter(l.net->children[4].module, "bias")));
    double norm = -1, want = 0;
    CHECK(sonde_probe_grad_norm(l.probe, &norm));
    for (int i = 0; i < 6; i++) {
        copy g = copy_of(sonde_grad(sonde_optimizer_parameter(l.optimizer, 0, i)));
        double l2 = naive_of(&g, 1).l2;
        want += l2 * l2;
        free(g.values);
    }
    CHECK_NEAR(norm, sqrt(want), 1e-7);
    OK(sonde_optimizer_step(l.optimizer));
    OK(sonde_probe_end_step(l.probe, 1));
    check_moments(&l, "weight_grad", "1.weight", &weight, 1);
    check_moments(&l, "weight_grad", "5.bias", &bias, 1);
    CHECK(last(&l, "weight_grad", "zero_frac", "1.weight") > 0 || fraction_below(&weight, 1e-30) == 0);
    CHECK(!sonde_probe_grad_norm(l.probe, &norm));
    free(weight.values);
    free(bias.values);
    lab_free(&l);
}

static void activation_gradients(void)
{
    lab l = small_lab("Tanh", &everything);
    sonde_handle *watch[5];
    for (int i = 0; i < 5; i++) watch[i] = spy_on(l.net, i);
    train(&l);
    const char *names[] = {"1", "2", "3", "4", "5"};
    CHECK(spy_n == 5);
    for (int i = 0; i < 5; i++) {
        check_moments(&l, "activation_grad", names[i], &spy_calls[i].gradient, 1);
        CHECK(last(&l, "activation_grad", "n_elements", names[i]) == (double)spy_calls[i].out.n);
        sonde_handle_remove(watch[i]);
    }
    spy_forget();
    lab_free(&l);
}

/* ---- activations ---------------------------------------------------------------------------------------- */

static void check_activation(const lab *l, const char *name, const spied *s, const char *class)
{
    naive want = naive_of(&s->out, 1);
    CHECK_NEAR(last(l, "activation", "mean", name), want.mean, 1e-6);
    CHECK_NEAR(last(l, "activation", "std", name), want.std, 1e-6);
    CHECK_NEAR(last(l, "activation", "l2_norm", name), want.l2, 1e-7);
    CHECK_NEAR(last(l, "activation", "abs_max", name), want.abs_max, 0);
    CHECK_NEAR(last(l, "activation", "zero_frac", name), want.zero_frac, 1e-6);
    CHECK_NEAR(last(l, "activation", "sample_cosine", name), naive_cosine(&s->out), 1e-5);
    CHECK(last(l, "activation", "n_nonfinite", name) == 0);
    if (!class) {
        CHECK(isnan(last(l, "activation", "slope_rms", name)));
        CHECK(isnan(last(l, "activation", "saturated_frac", name)));
        CHECK(isnan(last(l, "activation", "idle_frac", name)));
        return;
    }
    sonde_activation activation = {0};
    OK(sonde_activation_default(class, &activation));
    sonde_activation_facts facts = sonde_activation_facts_of(&activation);
    copy slopes = {.n = s->in.n, .rows = s->in.rows, .values = malloc((size_t)s->in.n * sizeof(double))};
    sonde_activation_slope(&activation, SONDE_FLOAT64, slopes.values, s->in.values, (size_t)slopes.n);
    double rms = naive_of(&slopes, 1).l2 / sqrt((double)slopes.n) / facts.max_slope;
    CHECK_NEAR(last(l, "activation", "slope_rms", name), rms, 1e-5);
    double saturated = facts.bounded ? fraction_below(&slopes, 0.05 * facts.max_slope) : (double)NAN;
    CHECK_NEAR(last(l, "activation", "saturated_frac", name), saturated, 1e-6);
    double idle = 0;
    int64_t units = slopes.n / slopes.rows;
    for (int64_t u = 0; u < units; u++) {
        bool alive = false;
        for (int64_t i = 0; i < slopes.rows; i++) alive |= slopes.values[i * units + u] != 0;
        idle += !alive;
    }
    CHECK_NEAR(last(l, "activation", "idle_frac", name), idle / (double)units, 1e-7);
    free(slopes.values);
}

static void activations(void)
{
    static const char *const classes[] = {"Sigmoid", "Tanh", "ReLU", "LeakyReLU", "ELU", "SELU",
                                          "GELU", "SiLU", "Softplus", "Softsign", "Hardtanh"};
    for (size_t c = 0; c < sizeof classes / sizeof *classes; c++) {
        for (int inplace = 0; inplace < 2; inplace++) {
            lab l = lab_of(small_net(classes[c], inplace, SONDE_FLOAT32), 8, 4, 3, SONDE_FLOAT32, &everything);
            sonde_handle *watch[5];
            for (int i = 0; i < 5; i++) watch[i] = spy_on(l.net, i);
            int64_t first[] = {0, 0};
            sonde_tensor_set(l.x, first, 40); /* something to saturate */
            backward_of(&l, l.x);
            OK(sonde_probe_end_step(l.probe, 1));
            check_activation(&l, "1", &spy_calls[0], NULL);
            check_activation(&l, "2", &spy_calls[1], classes[c]);
            check_activation(&l, "4", &spy_calls[3], classes[c]);
            check_moments(&l, "activation_grad", "1", &spy_calls[0].gradient, 1);
            check_moments(&l, "activation_grad", "2", &spy_calls[1].gradient, 1);
            for (int i = 0; i < 5; i++) sonde_handle_remove(watch[i]);
            spy_forget();
            lab_free(&l);
        }
    }
}

/* An activation in place overwrites what the Linear before it put out: both layers are measured as they were. */
static void in_place_spoils_nothing(void)
{
    lab plain = lab_of(small_net("ReLU", false, SONDE_FLOAT32), 8, 4, 3, SONDE_FLOAT32, &everything);
    lab inplace = lab_of(small_net("ReLU", true, SONDE_FLOAT32), 8, 4, 3, SONDE_FLOAT32, &everything);
    static const char *const columns[] = {"mean", "std", "l2_norm", "abs_max", "zero_frac"};
    for (int step = 0; step < 3; step++) CHECK(train(&plain) == train(&inplace));
    for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
        for (int i = 1; i <= 5; i++) {
            char name[] = {(char)('0' + i), '\0'};
            CHECK(last(&plain, "activation", columns[c], name) == last(&inplace, "activation", columns[c], name));
            double gradient = last(&plain, "activation_grad", columns[c], name);
            CHECK(last(&inplace, "activation_grad", columns[c], name) == gradient);
        }
    }
    CHECK(last(&plain, "activation", "mean", "1") != last(&plain, "activation", "mean", "2"));
    lab_free(&plain);
    lab_free(&inplace);
}

/* ---- weights -------------------------------------------------------------------------------------------- */

static void weights(void)
{
    lab l = small_lab("Tanh", &everything);
    sonde_tensor *w = sonde_module_parameter(l.net->children[2].module, "weight");
    sonde_tensor *b = sonde_module_parameter(l.net->children[2].module, "bias");
    OK(sonde_tensor_fill_(b, 0));
    OK(sonde_optimizer_set(l.optimizer, 0, "weight_decay", 0.01));
    OK(sonde_optimizer_set(l.optimizer, 0, "lr", 3e-7)); /* rounding keeps some weights still */
    copy before = copy_of(w);
    backward_of(&l, l.x);
    copy gradient = copy_of(sonde_grad(w));
    OK(sonde_optimizer_step(l.optimizer));
    OK(sonde_probe_end_step(l.probe, 1));
    copy after = copy_of(w);
    double unchanged = 0, update = 0;
    for (int64_t i = 0; i < before.n; i++) {
        double delta = after.values[i] - before.values[i];
        update += delta * delta;
        unchanged += delta == 0 && gradient.values[i] != 0;
    }
    double norm = naive_of(&before, 1).l2;
    CHECK(unchanged > 0 && unchanged < (double)before.n);
    CHECK_NEAR(last(&l, "weight", "l2_norm", "3.weight"), norm, 1e-6);
    CHECK_NEAR(last(&l, "weight", "update_l2_norm", "3.weight") * 1e6, sqrt(update) * 1e6, 1e-6);
    CHECK_NEAR(last(&l, "weight", "update_ratio", "3.weight") * 1e6, sqrt(update) / norm * 1e6, 1e-6);
    CHECK_NEAR(last(&l, "weight", "unchanged_frac", "3.weight"), unchanged / (double)before.n, 1e-7);
    CHECK(last(&l, "weight", "l2_norm", "3.bias") == 0);
    CHECK(isnan(last(&l, "weight", "update_ratio", "3.bias"))); /* ‖w‖ = 0 */
    free(before.values);
    free(gradient.values);
    free(after.values);
    backward_of(&l, l.x);
    OK(sonde_probe_end_step(l.probe, 2)); /* no optimiser step in this row */
    CHECK(rows_of(&l, "weight") == 2);
    CHECK(isnan(last(&l, "weight", "l2_norm", "3.weight")));
    CHECK(isnan(last(&l, "weight", "unchanged_frac", "3.weight")));
    CHECK(last(&l, "weight_grad", "l2_norm", "3.weight") > 0);
    lab_free(&l);
}

/* ---- histograms ----------------------------------------------------------------------------------------- */

static void check_histogram(const lab *l, const char *group, const char *name, const copy *c)
{
    const sonde_group *g = sonde_history_find(l->history, group);
    const uint32_t *counts = sonde_group_read(g, sonde_group_find_variable(g, "counts"), sonde_group_rows(g) - 1);
    counts += place_of(g, name) * SONDE_BINADE_COUNT;
    uint32_t want[SONDE_BINADE_COUNT] = {0};
    double zeros = 0, sum = 0;
    for (int64_t i = 0; i < c->n; i++) {
        if (c->values[i] == 0) zeros++;
        else want[ilogb(c->values[i]) - SONDE_BINADE_LOW]++;
    }
    for (int b = 0; b < SONDE_BINADE_COUNT; b++) {
        CHECK(counts[b] == want[b]);
        sum += counts[b];
    }
    CHECK(last(l, group, "n_zero", name) == zeros);
    CHECK(sum + last(l, group, "n_zero", name) + last(l, group, "n_nonfinite", name) == (double)c->n);
    CHECK(sonde_group_axis_at(g, 1)->length == SONDE_BINADE_COUNT);
    CHECK(((int64_t *)sonde_group_axis_at(g, 1)->coordinates[0].values)[0] == -150);
}

static void histograms(void)
{
    lab l = small_lab("ReLU", &everything);
    sonde_handle *watch = spy_on(l.net, 1);
    backward_of(&l, l.x);
    copy gradient = copy_of(sonde_grad(sonde_module_parameter(l.net->children[0].module, "weight")));
    OK(sonde_probe_end_step(l.probe, 1));
    check_histogram(&l, "weight_grad_hist", "1.weight", &gradient);
    check_histogram(&l, "activation_grad_hist", "2", &spy_calls[0].gradient);
    sonde_handle_remove(watch);
    spy_forget();
    free(gradient.values);
    lab_free(&l);
}

/* ---- float64 -------------------------------------------------------------------------------------------- */

static void float64_moments(void)
{
    lab l = lab_of(small_net("Tanh", false, SONDE_FLOAT64), 8, 4, 3, SONDE_FLOAT64, &everything);
    sonde_handle *watch = spy_on(l.net, 1);
    backward_of(&l, l.x);
    OK(sonde_probe_end_step(l.probe, 1));
    CHECK_NEAR(last(&l, "activation", "mean", "2"), naive_of(&spy_calls[0].out, 1).mean, 1e-14);
    CHECK_NEAR(last(&l, "activation_grad", "std", "2"), naive_of(&spy_calls[0].gradient, 1).std, 1e-14);
    const sonde_group *g = sonde_history_find(l.history, "activation");
    CHECK(sonde_group_variable_at(g, sonde_group_find_variable(g, "mean"))->type == SONDE_CELL_F64);
    sonde_handle_remove(watch);
    spy_forget();
    lab_free(&l);
}

int main(void)
{
    CHECK_RUN(weight_gradients);
    CHECK_RUN(activation_gradients);
    CHECK_RUN(activations);
    CHECK_RUN(in_place_spoils_nothing);
    CHECK_RUN(weights);
    CHECK_RUN(histograms);
    CHECK_RUN(float64_moments);
    CHECK(sonde_module_live() == 0);
    CHECK(sonde_tensor_live() == 0);
    CHECK(sonde_optimizer_live() == 0);
    CHECK(sonde_memory().live_blocks == 0);
    CHECK_END();
}
