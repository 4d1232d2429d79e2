/* Which forwards and backwards count, which steps have rows, and that observing changes and leaves nothing. */
#include "probe_lab.h"

static const sonde_probe_options everything = {0};

/* ---- what counts ---------------------------------------------------------------------------------------- */

static void calls_of_a_step_pool(void)
{
    lab l = small_lab("Tanh", &everything);
    sonde_handle *watch = spy_on(l.net, 1);
    sonde_tensor *other = noise(SONDE_FLOAT32, 8, 4, 3);
    backward_of(&l, l.x);
    backward_of(&l, other); /* accumulates */
    copy gradient = copy_of(sonde_grad(sonde_module_parameter(l.net->children[0].module, "weight")));
    OK(sonde_probe_end_step(l.probe, 1));
    copy outputs[] = {spy_calls[0].out, spy_calls[1].out};
    copy gradients[] = {spy_calls[0].gradient, spy_calls[1].gradient};
    naive out = naive_of(outputs, 2), in = naive_of(gradients, 2), weight = naive_of(&gradient, 1);
    CHECK_NEAR(last(&l, "activation", "mean", "2"), out.mean, 1e-6);
    CHECK_NEAR(last(&l, "activation", "std", "2"), out.std, 1e-6);
    CHECK_NEAR(last(&l, "activation_grad", "l2_norm", "2"), in.l2, 1e-7);
    CHECK_NEAR(last(&l, "activation_grad", "std", "2"), in.std, 1e-7);
    CHECK(last(&l, "activation_grad", "n_elements", "2") == 2 * 8 * 6);
    double cosine = (naive_cosine(&outputs[0]) + naive_cosine(&outputs[1])) / 2; /* pairs within one call */
    CHECK_NEAR(last(&l, "activation", "sample_cosine", "2"), cosine, 1e-5);
    CHECK_NEAR(last(&l, "weight_grad", "l2_norm", "1.weight"), weight.l2, 1e-7);
    free(gradient.values);
    sonde_handle_remove(watch);
    spy_forget();
    sonde_tensor_release(other);
    lab_free(&l);
}

static void only_forwards_that_a_backward_reaches_count(void)
{
    lab l = small_lab("Tanh", &everything), alone = small_lab("Tanh", &everything);
    sonde_tensor *other = noise(SONDE_FLOAT32, 8, 4, 3);
    sonde_tensor *unused = loss_of(&l, other); /* recorded, never used */
    OK(sonde_module_train(l.net, false));
    sonde_tensor_release(loss_of(&l, other));
    OK(sonde_module_train(l.net, true));
    bool before = sonde_grad_enable(false);
    sonde_tensor_release(loss_of(&l, other));
    sonde_grad_enable(before);
    CHECK(train(&l) == train(&alone));
    sonde_tensor_release(unused);
    static const char *const columns[] = {"mean", "std", "l2_norm", "abs_max",
                                          "slope_rms", "sample_cosine", "idle_frac"};
    for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
        CHECK(last(&l, "activation", columns[c], "2") == last(&alone, "activation", columns[c], "2"));
    }
    CHECK(last(&l, "activation_grad", "n_elements", "2") == 8 * 6);
    sonde_tensor_release(loss_of(&l, other)); /* a step without a backward */
    OK(sonde_probe_end_step(l.probe, 2));
    CHECK(isnan(last(&l, "activation", "mean", "2")));
    CHECK(isnan(last(&l, "activation", "n_nonfinite", "2")));
    CHECK(isnan(last(&l, "activation_grad", "n_elements", "2")));
    CHECK(isnan(last(&l, "weight_grad", "l2_norm", "1.weight")));
    sonde_tensor_release(other);
    lab_free(&l);
    lab_free(&alone);
}

static void the_last_backward_of_a_step_wins(void)
{
    lab l = small_lab("Tanh", &everything);
    sonde_tensor *w = sonde_module_parameter(l.net->children[0].module, "weight"), *loss = NULL;
    backward_of(&l, l.x);
    OK(sonde_module_zero_grad(l.net));
    CHECK(sonde_grad(w) == NULL);
    sonde_tensor *head = sonde_module_parameter(l.net->children[4].module, "weight");
    OK(sonde_reduce(&loss, SONDE_SUM, head, 0, NULL, false, 0)); /* reaches "5.weight" alone */
    OK(sonde_backward(loss, NULL, false));
    sonde_tensor_release(loss);
    double norm;
    CHECK(sonde_probe_grad_norm(l.probe, &norm));
    CHECK_NEAR(norm, sqrt(15), 1e-12);
    OK(sonde_probe_end_step(l.probe, 1));
    CHECK(isnan(last(&l, "weight_grad", "l2_norm", "1.weight"))); /* cleared, not reached again */
    CHECK_NEAR(last(&l, "weight_grad", "l2_norm", "5.weight"), sqrt(15), 1e-12);
    OK(sonde_reduce(&loss, SONDE_SUM, w, 0, NULL, false, 0));
    OK(sonde_backward(loss, NULL, false)); /* "5.weight" still holds the gradient of the step before */
    sonde_tensor_release(loss);
    CHECK(!sonde_probe_grad_norm(l.probe, &norm));
    OK(sonde_tensor_fill_(sonde_grad(w), 2)); /* changed between two backwards: read again */
    OK(sonde_reduce(&loss, SONDE_SUM, head, 0, NULL, false, 0));
    OK(sonde_backward(loss, NULL, false));
    sonde_tensor_release(loss);
    OK(sonde_probe_end_step(l.probe, 2));
    CHECK_NEAR(last(&l, "weight_grad", "mean", "1.weight"), 2, 1e-12);
    CHECK_NEAR(last(&l, "weight_grad", "mean", "5.weight"), 2, 1e-12); /* accumulated: 1 + 1 */
    lab_free(&l);
}

static void frozen_parameters_are_not_measured(void)
{
    lab l = small_lab("Tanh", &everything);
    sonde_tensor *w = sonde_module_parameter(l.net->children[2].module, "weight");
    OK(sonde_requires_grad_(w, false));
    train(&l);
    CHECK(isnan(last(&l, "weight_grad", "l2_norm", "3.weight")));
    CHECK(isnan(last(&l, "weight_grad", "n_nonfinite", "3.weight")));
    CHECK(isnan(last(&l, "weight", "l2_norm", "3.weight")));
    CHECK(last(&l, "weight_grad", "l2_norm", "3.bias") > 0);
    OK(sonde_requires_grad_(w, true));
    train(&l);
    CHECK(last(&l, "weight_grad", "l2_norm", "3.weight") > 0);
    OK(sonde_requires_grad_(w, false));
    train(&l);
    CHECK(isnan(last(&l, "weight_grad", "l2_norm", "3.weight")));
    OK(sonde_requires_grad_(w, true));
    train(&l);
    CHECK(last(&l, "weight_grad", "l2_norm", "3.weight") > 0);
    lab_free(&l);
    l = lab_of(small_net("Tanh", false, SONDE_FLOAT32), 8, 4, 3, SONDE_FLOAT32, NULL);
    sonde_tensor *frozen = sonde_module_parameter(l.net->children[0].module, "weight");
    OK(sonde_requires_grad_(frozen, false)); /* frozen before it is attached */
    OK(sonde_history_new(&l.history));
    OK(sonde_probe_new(&l.probe, l.history, 1));
    OK(sonde_probe_attach(l.probe, l.net, NULL, NULL));
    train(&l);
    CHECK(isnan(last(&l, "weight_grad", "l2_norm", "1.weight")));
    OK(sonde_requires_grad_(frozen, true));
    train(&l);
    CHECK(last(&l, "weight_grad", "l2_norm", "1.weight") > 0);
    lab_free(&l);
}

/* ---- dead units ----------------------------------------------------------------------------------------- */

static void dead_units_look_back(void)
{
    sonde_module *net = NULL;
    sonde_nn_random_seed(7);
    OK(sonde_sequential_new(&net));
    add_linear(net, "h", 4, 10, SONDE_FLOAT32);
    add_activation(net, "ReLU", false);
    add_linear(net, "out", 10, 3, SONDE_FLOAT32);
    lab l = lab_of(net, 250, 4, 3, SONDE_FLOAT32, &everything);
    OK(sonde_optimizer_set(l.optimizer, 0, "lr", 0));
    sonde_tensor *bias = sonde_module_parameter(net->children[0].module, "bias");
    for (int64_t u = 0; u < 10; u++) sonde_tensor_set(bias, &u, u < 3 ? -1000 : 1000);
    for (int step = 1; step <= 8; step++) { /* 2000 samples are seen at step 8 */
        train(&l);
        CHECK_NEAR(last(&l, "activation", "idle_frac", "2"), 0.3, 1e-6);
        CHECK_NEAR(last(&l, "activation", "dead_frac", "2"), step < 8 ? (double)NAN : 0.3, 1e-6);
    }
    sonde_tensor_set(bias, (int64_t[]){0}, 1000);  /* one comes back */
    sonde_tensor_set(bias, (int64_t[]){9}, -1000); /* one falls silent */
    for (int step = 9; step <= 15; step++) {
        train(&l);
        CHECK_NEAR(last(&l, "activation", "idle_frac", "2"), 0.3, 1e-6);
        CHECK_NEAR(last(&l, "activation", "dead_frac", "2"), 0.2, 1e-6);
    }
    train(&l); /* the silent one has been so for 2000 samples */
    CHECK_NEAR(last(&l, "activation", "dead_frac", "2"), 0.3, 1e-6);
    CHECK(isnan(last(&l, "activation", "dead_frac", "h")));
    for (int64_t u = 0; u < 10; u++) sonde_tensor_set(bias, &u, 1000); /* all come back */
    train(&l);
    CHECK(last(&l, "activation", "idle_frac", "2") == 0 && last(&l, "activation", "dead_frac", "2") == 0);
    sonde_tensor_set(bias, (int64_t[]){4}, -1000);
    for (int step = 1; step <= 8; step++) {
        train(&l);
        CHECK_NEAR(last(&l, "activation", "idle_frac", "2"), 0.1, 1e-6);
        CHECK_NEAR(last(&l, "activation", "dead_frac", "2"), step < 8 ? 0 : 0.1, 1e-6);
    }
    lab_free(&l);
}

/* ---- structure ------------------------------------------------------------------------------------------ */

static void check_place(const lab *l, const char *group, int place, const char *probe, const char *layer,
                        const char *module, const char *role, int64_t depth)
{
    const sonde_group *g = sonde_history_find(l->history, group);
    const sonde_record_axis *axis = sonde_group_axis_at(g, 0);
    if (!CHECK(axis->n_coordinates >= 5 && place < axis->length)) return;
    const char *want[] = {probe, layer, module, role};
    for (int c = 0; c < 4; c++) CHECK(strcmp(((char **)axis->coordinates[c].values)[place], want[c]) == 0);
    CHECK(((int64_t *)axis->coordinates[4].values)[place] == depth);
}

static void names_order_and_depth(void)
{
    sonde_module *net = NULL, *flatten = NULL, *norm = NULL, *inner = NULL, *shared = NULL;
    sonde_nn_random_seed(7);
    OK(sonde_sequential_new(&net));
    OK(sonde_flatten_new(&flatten, 1, -1));
    add(net, NULL, flatten);
    add_linear(net, "h1", 4, 6, SONDE_FLOAT32);
    OK(sonde_batch_norm1d_new(&norm, 6, 1e-5, 0.1, true, true, SONDE_FLOAT32));
    add(net, "norm", norm);
    OK(sonde_sequential_new(&inner));
    OK(sonde_linear_new(&shared, 6, 6, false, SONDE_FLOAT32));
    OK(sonde_sequential_add(inner, "a", shared));
    add_activation(inner, "Tanh", false);
    OK(sonde_sequential_add(inner, "b", shared)); /* the same module twice */
    sonde_module_release(shared);
    add(net, "block", inner);
    add_linear(net, "out", 6, 3, SONDE_FLOAT32);
    lab l = lab_of(net, 8, 4, 3, SONDE_FLOAT32, &everything);
    backward_of(&l, l.x);
    OK(sonde_probe_end_step(l.probe, 1));
    const sonde_group *activation = sonde_history_find(l.history, "activation");
    CHECK(sonde_group_axis_at(activation, 0)->length == 6);
    const sonde_group *gradient = sonde_history_find(l.history, "activation_grad");
    CHECK(sonde_group_axis_at(gradient, 0)->length == 5); /* Flatten's output needs none */
    check_place(&l, "activation", 0, "1", "1", "Flatten", "output", 0);
    check_place(&l, "activation", 1, "h1", "h1", "Linear", "output", 1);
    check_place(&l, "activation", 2, "norm", "norm", "BatchNorm1d", "output", 1);
    check_place(&l, "activation_grad", 2, "block.a", "block.a", "Linear", "output", 2);
    check_place(&l, "activation_grad", 3, "block.2", "block.2", "Tanh", "output", 2);
    check_place(&l, "activation_grad", 4, "out", "out", "Linear", "output", 3);
    check_place(&l, "weight_grad", 0, "h1.weight", "h1", "Linear", "weight", 1);
    check_place(&l, "weight_grad", 3, "norm.bias", "norm", "BatchNorm1d", "bias", 1);
    check_place(&l, "weight_grad", 4, "block.a.weight", "block.a", "Linear", "weight", 2);
    check_place(&l, "weight_grad_hist", 6, "out.bias", "out", "Linear", "bias", 3);
    CHECK(last(&l, "activation_grad", "n_elements", "block.a") == 2 * 8 * 6); /* two calls */
    CHECK(last(&l, "activation_grad", "n_elements", "norm") == 8 * 6);
    CHECK(sonde_probe_n_layers(l.probe) == 6);
    sonde_probe_layer layer = sonde_probe_layer_at(l.probe, 1);
    CHECK(strcmp(layer.probe, "h1") == 0 && layer.n_parameters == 30 && layer.depth == 1 && !layer.absent);
    CHECK(layer.ndim == 2 && layer.shape[0] == 8 && layer.shape[1] == 6);
    CHECK(sonde_probe_layer_at(l.probe, 0).absent);
    lab_free(&l);
}

static void the_input_and_a_lone_layer(void)
{
    sonde_module *net = NULL;
    sonde_nn_random_seed(7);
    OK(sonde_linear_new(&net, 4, 3, true, SONDE_FLOAT32));
    lab l = lab_of(net, 8, 4, 3, SONDE_FLOAT32, NULL);
    OK(sonde_history_new(&l.history));
    OK(sonde_probe_new(&l.probe, l.history, 1));
    OK(sonde_probe_attach(l.probe, net, NULL, NULL));
    OK(sonde_requires_grad_(l.x, true));
    for (int step = 0; step < 2; step++) {
        OK(sonde_set_grad(l.x, NULL));
        backward_of(&l, l.x);
        copy gradient = copy_of(sonde_grad(l.x));
        OK(sonde_probe_end_step(l.probe, 1));
        CHECK_NEAR(last(&l, "activation_grad", "l2_norm", "input"), naive_of(&gradient, 1).l2, 1e-7);
        CHECK(last(&l, "activation_grad", "n_elements", "input") == 32);
        free(gradient.values);
    }
    check_place(&l, "activation_grad", 0, "input", "input", "Input", "output", 0);
    check_place(&l, "activation_grad", 1, "Linear", "Linear", "Linear", "output", 1);
    check_place(&l, "weight_grad", 1, "bias", "Linear", "Linear", "bias", 1);
    CHECK(place_of(sonde_history_find(l.history, "activation"), "input") < 0);
    lab_free(&l);
}

static void two_networks(void)
{
    lab l = small_lab("Tanh", &everything);
    sonde_module *teacher = small_net("ReLU", false, SONDE_FLOAT64), *late = small_net("ReLU", false, SONDE_FLOAT32);
    CHECK(sonde_probe_attach(l.probe, teacher, NULL, NULL) == SONDE_EARG);
    CHECK(strstr(sonde_message(), "a name of its own") != NULL);
    int number = -1;
    OK(sonde_probe_attach(l.probe, teacher, &(sonde_probe_options){.name = "teacher", .every = 2}, &number));
    CHECK(number == 1);
    OK(sonde_probe_attach(l.probe, l.net, &(sonde_probe_options){.name = "again"}, NULL));
    train(&l); /* the teacher is idle */
    CHECK(last(&l, "weight_grad", "l2_norm", "1.weight") > 0);
    CHECK(isnan(last(&l, "weight_grad", "l2_norm", "teacher.1.weight")));
    CHECK(isnan(last(&l, "activation", "mean", "teacher.2")));
    CHECK(last(&l, "weight_grad", "l2_norm", "again.1.weight") == last(&l, "weight_grad", "l2_norm", "1.weight"));
    train(&l);
    CHECK(rows_of(&l, "weight_grad") == 2);
    double norm = 0, total = 1;
    sonde_tensor *parameters[8], **end = parameters;
    OK(sonde_module_visit_parameters(l.net, false, note_parameter, &end));
    backward_of(&l, l.x); /* an idle network is no hindrance, and a parameter that two have counts once */
    CHECK(sonde_probe_grad_norm(l.probe, &norm));
    OK(sonde_total_norm(&total, (int)(end - parameters), parameters, 2));
    CHECK_NEAR(norm / total, 1, 1e-6);
    CHECK(sonde_probe_attach(l.probe, late, &(sonde_probe_options){.name = "late"}, NULL) == SONDE_ESTATE);
    sonde_module_release(teacher);
    sonde_module_release(late);
    lab_free(&l);
}

/* ---- which steps ---------------------------------------------------------------------------------------- */

static void cadence(void)
{
    lab l = small_lab("Tanh", &(sonde_probe_options){.every = 2, .hist_every = 4});
    for (int step = 1; step <= 12; step++) train(&l);
    CHECK(rows_of(&l, "weight_grad") == 6);
    CHECK(rows_of(&l, "activation") == 6);
    CHECK(rows_of(&l, "weight_grad_hist") == 3);
    for (int64_t row = 0; row < 6; row++) {
        CHECK(sonde_group_step(sonde_history_find(l.history, "weight"), row) == 1 + 2 * row);
    }
    for (int64_t row = 0; row < 3; row++) {
        CHECK(sonde_group_step(sonde_history_find(l.history, "activation_grad_hist"), row) == 1 + 4 * row);
    }
    lab_free(&l);
    l = small_lab("Tanh", &(sonde_probe_options){.what = SONDE_PROBE_BIT(SONDE_PROBE_WEIGHT_GRAD)});
    train(&l);
    CHECK(sonde_history_n_groups(l.history) == 1 && rows_of(&l, "weight_grad") == 1);
    lab_free(&l);
}

static void check_steps(const lab *l, const char *group, const int64_t *steps, int64_t n)
{
    const sonde_group *g = sonde_history_find(l->history, group);
    if (!CHECK(g && sonde_group_rows(g) == n)) return;
    for (int64_t row = 0; row < n; row++) CHECK(sonde_group_step(g, row) == steps[row]);
}

static void first_and_last_rows_have_histograms(void)
{
    lab l = small_lab("Tanh", &everything);
    sonde_probe_expect_end(l.probe, 7);
    for (int step = 1; step <= 7; step++) train(&l);
    CHECK(rows_of(&l, "weight_grad_hist") == 2 && rows_of(&l, "activation_grad_hist") == 2);
    CHECK(sonde_group_step(sonde_history_find(l.history, "activation_grad_hist"), 1) == 7);
    CHECK(last(&l, "activation_grad_hist", "n_nonfinite", "2") == 0);
    OK(sonde_probe_finish(l.probe));
    CHECK(rows_of(&l, "weight_grad_hist") == 2);
    sonde_probe_expect_end(l.probe, 0);
    for (int step = 8; step <= 9; step++) train(&l); /* the end comes unexpected: weights still hold theirs */
    OK(sonde_probe_finish(l.probe));
    OK(sonde_probe_finish(l.probe));
    CHECK(rows_of(&l, "weight_grad_hist") == 3 && rows_of(&l, "activation_grad_hist") == 2);
    CHECK(sonde_group_step(sonde_history_find(l.history, "weight_grad_hist"), 2) == 9);
    CHECK(last(&l, "weight_grad_hist", "n_nonfinite", "1.weight") == 0);
    for (int step = 10; step <= 12; step++) train(&l); /* 11 by its cadence */
    CHECK(rows_of(&l, "weight_grad_hist") == 4);
    double total, coefficient;
    sonde_tensor *w = sonde_module_parameter(l.net->children[0].module, "weight");
    OK(sonde_clip_grad_norm_(1, &w, 1e-6, 2, false, &total, &coefficient)); /* no longer what was measured */
    OK(sonde_probe_finish(l.probe));
    CHECK(rows_of(&l, "weight_grad_hist") == 5);
    CHECK(isnan(last(&l, "weight_grad_hist", "n_zero", "1.weight")));
    CHECK(!isnan(last(&l, "weight_grad_hist", "n_zero", "3.weight")));
    lab_free(&l);
    l = small_lab("Tanh", &(sonde_probe_options){.every = 3});
    for (int step = 1; step <= 12; step++) {
        if (step == 12) sonde_probe_expect_end(l.probe, 12); /* off the grid: measured all the same */
        train(&l);
    }
    check_steps(&l, "weight_grad", (const int64_t[]){1, 4, 7, 10, 12}, 5);
    check_steps(&l, "activation", (const int64_t[]){1, 4, 7, 10, 12}, 5);
    check_steps(&l, "activation_grad_hist", (const int64_t[]){1, 12}, 2);
    CHECK(last(&l, "weight_grad", "l2_norm", "1.weight") > 0 && last(&l, "weight", "update_l2_norm", "1.weight") > 0);
    lab_free(&l);
}

static void histograms_come_about_every_so_many_steps(void)
{
    lab l = small_lab("Tanh", &(sonde_probe_options){.every = 3, .hist_every = 10});
    for (int step = 1; step <= 34; step++) train(&l);
    check_steps(&l, "weight_grad_hist", (const int64_t[]){1, 13, 22, 31}, 4); /* the first measured of 1.., 11.., … */
    lab_free(&l);
    l = small_lab("Tanh", &(sonde_probe_options){.every = 4, .hist_every = 3}); /* not more often than anything else */
    for (int step = 1; step <= 10; step++) train(&l);
    check_steps(&l, "activation_grad_hist", (const int64_t[]){1, 5, 9}, 3);
    lab_free(&l);
}

static void nonfinite_gradients_are_events(void)
{
    lab l = small_lab("Tanh", &everything);
    const sonde_probe_event *events;
    train(&l);
    CHECK(sonde_probe_events(l.probe, &events) == 0);
    sonde_tensor_set(l.y, (int64_t[]){0, 0}, (double)NAN);
    double norm = 0;
    OK(sonde_optimizer_zero_grad(l.optimizer, true));
    backward_of(&l, l.x);
    CHECK(sonde_probe_grad_norm(l.probe, &norm) && isnan(norm));
    OK(sonde_probe_end_step(l.probe, 2));
    CHECK(sonde_probe_events(l.probe, &events) == 2);
    CHECK(events[0].step == 2 && events[0].group == SONDE_PROBE_WEIGHT_GRAD && strcmp(events[0].name, "5.bias") == 0);
    CHECK(events[0].probe == 5 && events[0].value >= 1);
    CHECK(events[1].group == SONDE_PROBE_ACTIVATION_GRAD && strcmp(events[1].name, "5") == 0 && events[1].value == 1);
    CHECK(last(&l, "weight_grad", "n_nonfinite", "5.bias") >= 1);
    CHECK(isnan(last(&l, "weight_grad", "l2_norm", "5.bias")));
    backward_of(&l, l.x);
    OK(sonde_probe_end_step(l.probe, 3)); /* still so: no news */
    CHECK(sonde_probe_events(l.probe, &events) == 0);
    lab_free(&l);
}

int main(void)
{
    CHECK_RUN(calls_of_a_step_pool);
    CHECK_RUN(only_forwards_that_a_backward_reaches_count);
    CHECK_RUN(the_last_backward_of_a_step_wins);
    CHECK_RUN(frozen_parameters_are_not_measured);
    CHECK_RUN(dead_units_look_back);
    CHECK_RUN(names_order_and_depth);
    CHECK_RUN(the_input_and_a_lone_layer);
    CHECK_RUN(two_networks);
    CHECK_RUN(cadence);
    CHECK_RUN(first_and_last_rows_have_histograms);
    CHECK_RUN(histograms_come_about_every_so_many_steps);
    CHECK_RUN(nonfinite_gradients_are_events);
    CHECK(sonde_module_live() == 0);
    CHECK(sonde_tensor_live() == 0);
    CHECK(sonde_optimizer_live() == 0);
    CHECK(sonde_memory().live_blocks == 0);
    CHECK_END();
}
