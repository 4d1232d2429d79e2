/* Layers that need no gradient, and networks that are measured on samples of their own. */
#include "probe_lab.h"

static const sonde_probe_options everything = {0};

/* ---- what is frozen -------------------------------------------------------------------------------------- */

static void freeze(sonde_module *net, int child)
{
    OK(sonde_module_requires_grad_(net->children[child].module, false));
}

static void frozen_layers_have_activations(void)
{
    lab l = lab_of(small_net("ReLU", false, SONDE_FLOAT32), 8, 4, 3, SONDE_FLOAT32, NULL);
    freeze(l.net, 0);
    OK(sonde_history_new(&l.history));
    OK(sonde_probe_new(&l.probe, l.history, 1));
    OK(sonde_probe_attach(l.probe, l.net, &everything, NULL));
    sonde_handle *watches[] = {spy_on(l.net, 0), spy_on(l.net, 1)};
    sonde_tensor *other = noise(SONDE_FLOAT32, 8, 4, 3);
    for (int step = 0; step < 2; step++) {
        sonde_tensor *unused = loss_of(&l, other); /* a forward that no backward reaches leaves nothing */
        spy_forget();
        backward_of(&l, l.x);
        naive h = naive_of(&spy_calls[0].out, 1), relu = naive_of(&spy_calls[1].out, 1);
        OK(sonde_probe_end_step(l.probe, step));
        CHECK_NEAR(last(&l, "activation", "mean", "1"), h.mean, 1e-6);
        CHECK_NEAR(last(&l, "activation", "l2_norm", "1"), h.l2, 1e-6);
        CHECK_NEAR(last(&l, "activation", "zero_frac", "2"), relu.zero_frac, 1e-6);
        CHECK_NEAR(last(&l, "activation", "slope_rms", "2"), sqrt(1 - relu.zero_frac), 1e-6);
        CHECK_NEAR(last(&l, "activation", "sample_cosine", "1"), naive_cosine(&spy_calls[0].out), 1e-5);
        CHECK(last(&l, "activation_grad", "l2_norm", "3") > 0);
        sonde_tensor_release(unused);
    }
    CHECK(place_of(sonde_history_find(l.history, "activation_grad"), "1") < 0);
    CHECK(place_of(sonde_history_find(l.history, "activation_grad"), "2") < 0);
    CHECK(sonde_probe_layer_at(l.probe, 1).absent);
    backward_of(&l, l.x);
    backward_of(&l, other); /* two calls pool */
    copy outputs[] = {spy_calls[2].out, spy_calls[4].out};
    OK(sonde_probe_end_step(l.probe, 3));
    CHECK_NEAR(last(&l, "activation", "std", "1"), naive_of(outputs, 2).std, 1e-6);
    OK(sonde_module_requires_grad_(l.net, true)); /* thawed: counted by its own gradient, once */
    spy_forget();
    backward_of(&l, l.x);
    OK(sonde_probe_end_step(l.probe, 4));
    CHECK_NEAR(last(&l, "activation", "l2_norm", "1"), naive_of(&spy_calls[0].out, 1).l2, 1e-6);
    spy_forget();
    for (int i = 0; i < 2; i++) sonde_handle_remove(watches[i]);
    sonde_tensor_release(other);
    lab_free(&l);
}

static void frozen_layers_called_by_themselves(void)
{
    lab l = small_lab("Tanh", &everything);
    sonde_tensor *h = l.x, *next = NULL, *loss = NULL;
    freeze(l.net, 0);
    for (int i = 0; i < 5; i++, h = next) {
        OK(sonde_module_call1(l.net->children[i].module, h, &next));
        if (h != l.x) sonde_tensor_release(h);
    }
    OK(sonde_mse_loss(&loss, h, l.y, SONDE_LOSS_MEAN));
    OK(sonde_backward(loss, NULL, false));
    sonde_tensor_release(loss);
    sonde_tensor_release(h);
    OK(sonde_probe_end_step(l.probe, 1));
    CHECK(last(&l, "activation", "std", "1") > 0 && last(&l, "activation", "slope_rms", "2") > 0);
    lab_free(&l);
}

static void nothing_counts_where_no_backward_comes(void)
{
    lab l = small_lab("Tanh", &everything);
    OK(sonde_module_requires_grad_(l.net, false));
    sonde_tensor_release(loss_of(&l, l.x));
    OK(sonde_probe_end_step(l.probe, 1));
    CHECK(isnan(last(&l, "activation", "mean", "1")));
    CHECK(isnan(last(&l, "weight_grad", "l2_norm", "1.weight")));
    sonde_tensor_release(loss_of(&l, l.x)); /* pending when the probe ends */
    lab_free(&l);
}

/* ---- fixed samples --------------------------------------------------------------------------------------- */

/* Linear, BatchNorm1d, Tanh, Dropout, Linear: buffers and a random stream. */
static sonde_module *noisy_net(void)
{
    sonde_module *net = NULL, *norm = NULL, *dropout = NULL;
    sonde_nn_random_seed(7);
    OK(sonde_sequential_new(&net));
    add_linear(net, NULL, 4, 6, SONDE_FLOAT32);
    OK(sonde_batch_norm1d_new(&norm, 6, 1e-5, 0.1, true, true, SONDE_FLOAT32));
    add(net, NULL, norm);
    add_activation(net, "Tanh", false);
    OK(sonde_dropout_new(&dropout, 0.5));
    add(net, NULL, dropout);
    add_linear(net, NULL, 6, 3, SONDE_FLOAT32);
    return net;
}

static double take_samples(lab *l, int net, sonde_tensor *x)
{
    if (!CHECK(sonde_probe_samples_due(l->probe, net))) return (double)NAN;
    OK(sonde_probe_samples_begin(l->probe, net));
    sonde_tensor *loss = loss_of(l, x);
    double value = sonde_tensor_get(loss, (int64_t[]){0});
    OK(sonde_backward_aside(loss));
    sonde_tensor_release(loss);
    sonde_probe_samples_end(l->probe);
    CHECK(!sonde_probe_samples_due(l->probe, net));
    return value;
}

static void samples_leave_no_trace(void)
{
    lab with = lab_of(noisy_net(), 8, 4, 3, SONDE_FLOAT32, &(sonde_probe_options){.fixed = true, .every = 2});
    lab without = lab_of(noisy_net(), 8, 4, 3, SONDE_FLOAT32, NULL);
    sonde_tensor *samples = noise(SONDE_FLOAT32, 8, 4, 5);
    for (int step = 1; step <= 6; step++) {
        CHECK(sonde_probe_samples_due(with.probe, 0) == (step % 2 == 1));
        if (step % 2 == 1) {
            take_samples(&with, 0, samples);
            CHECK(!(step == 1) == !!sonde_grad(sonde_module_parameter(with.net->children[0].module, "weight")));
        }
        CHECK(train(&with) == train(&without));
        double norm;
        CHECK(!sonde_probe_grad_norm(with.probe, &norm)); /* not the training's */
        for (int i = 0; i < 5; i++) {
            const sonde_module *a = with.net->children[i].module, *b = without.net->children[i].module;
            for (int p = 0; p < a->n_parameters; p++) {
                const sonde_tensor *t = a->parameters[p].tensor, *u = b->parameters[p].tensor;
                size_t bytes = (size_t)sonde_tensor_numel(t) * (t->dtype == SONDE_FLOAT32 ? 4 : 8);
                CHECK(memcmp(sonde_tensor_data(t), sonde_tensor_data(u), bytes) == 0);
            }
        }
    }
    CHECK(rows_of(&with, "activation") == 3 && rows_of(&with, "weight_grad") == 3);
    sonde_tensor_release(samples);
    lab_free(&with);
    lab_free(&without);
}

/* Beside a probe of the batches: both see their own, the same numbers as if they were alone. */
static void samples_and_batches_side_by_side(void)
{
    lab l = small_lab("Tanh", &everything), alone = small_lab("Tanh", &everything);
    int number = -1;
    CHECK(sonde_probe_attach(l.probe, l.net, &(sonde_probe_options){.fixed = true}, NULL) == SONDE_EARG);
    CHECK(strstr(sonde_message(), "probed already") != NULL);
    OK(sonde_probe_attach(l.probe, l.net, &(sonde_probe_options){.fixed = true, .name = "fixed"}, &number));
    sonde_tensor *samples = noise(SONDE_FLOAT32, 8, 4, 5);
    sonde_handle *watch = spy_on(l.net, 1);
    for (int step = 1; step <= 3; step++) {
        spy_forget();
        take_samples(&l, number, samples);
        naive out = naive_of(&spy_calls[0].out, 1), gradient = naive_of(&spy_calls[0].gradient, 1);
        CHECK(train(&l) == train(&alone));
        static const char *const columns[] = {"mean", "l2_norm", "sample_cosine", "idle_frac"};
        for (int c = 0; c < 4; c++) {
            CHECK(last(&l, "activation", columns[c], "2") == last(&alone, "activation", columns[c], "2"));
        }
        CHECK(last(&l, "weight_grad", "l2_norm", "1.weight") == last(&alone, "weight_grad", "l2_norm", "1.weight"));
        CHECK_NEAR(last(&l, "activation", "mean", "fixed.2"), out.mean, 1e-6);
        CHECK_NEAR(last(&l, "activation_grad", "l2_norm", "fixed.2"), gradient.l2, 1e-7);
        CHECK(last(&l, "weight_grad", "l2_norm", "fixed.1.weight") > 0);
        double update = last(&l, "weight", "update_l2_norm", "1.weight"); /* the training's */
        CHECK(update > 0 && last(&l, "weight", "update_l2_norm", "fixed.1.weight") == update);
    }
    train(&l); /* its samples were not run: not measured */
    CHECK(isnan(last(&l, "activation", "mean", "fixed.2")) && isnan(last(&l, "weight_grad", "mean", "fixed.1.weight")));
    CHECK(last(&l, "activation", "mean", "2") == last(&l, "activation", "mean", "2"));
    OK(sonde_probe_finish(l.probe));
    spy_forget();
    sonde_handle_remove(watch);
    sonde_tensor_release(samples);
    lab_free(&l);
    lab_free(&alone);
}

static void samples_that_are_not_due(void)
{
    lab l = small_lab("Tanh", &(sonde_probe_options){.fixed = true});
    CHECK(!sonde_probe_samples_due(l.probe, 1) && !sonde_probe_samples_due(l.probe, -1));
    OK(sonde_module_train(l.net, false));
    CHECK(!sonde_probe_samples_due(l.probe, 0));
    OK(sonde_module_train(l.net, true));
    bool before = sonde_grad_enable(false);
    CHECK(sonde_probe_samples_begin(l.probe, 0) == SONDE_ESTATE);
    sonde_grad_enable(before);
    sonde_probe_samples_end(l.probe);
    OK(sonde_probe_samples_begin(l.probe, 0));
    CHECK(!sonde_probe_samples_due(l.probe, 0));
    lab_free(&l); /* the probe ends in between */
}

int main(void)
{
    CHECK_RUN(frozen_layers_have_activations);
    CHECK_RUN(frozen_layers_called_by_themselves);
    CHECK_RUN(nothing_counts_where_no_backward_comes);
    CHECK_RUN(samples_leave_no_trace);
    CHECK_RUN(samples_and_batches_side_by_side);
    CHECK_RUN(samples_that_are_not_due);
    CHECK(sonde_module_live() == 0);
    CHECK(sonde_tensor_live() == 0);
    CHECK(sonde_optimizer_live() == 0);
    CHECK(sonde_memory().live_blocks == 0);
    CHECK_END();
}
