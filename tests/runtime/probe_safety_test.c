/* Observing changes no bit, leaves nothing behind, and survives running out of memory at any point. */
#include "probe_lab.h"

static const sonde_probe_options everything = {0};

static lab run_of(const sonde_probe_options *options, int steps)
{
    lab l = small_lab("Tanh", options);
    for (int step = 0; step < steps; step++) train(&l);
    return l;
}

static bool same_parameters(const lab *a, const lab *b)
{
    bool same = true;
    for (int i = 0; i < sonde_optimizer_group_size(a->optimizer, 0); i++) {
        const sonde_tensor *p = sonde_optimizer_parameter(a->optimizer, 0, i);
        const sonde_tensor *q = sonde_optimizer_parameter(b->optimizer, 0, i);
        same &= memcmp(sonde_tensor_data(p), sonde_tensor_data(q), (size_t)sonde_tensor_numel(p) * 4) == 0;
        const sonde_tensor *g = sonde_grad(p), *h = sonde_grad(q);
        same &= g && h && memcmp(sonde_tensor_data(g), sonde_tensor_data(h), (size_t)sonde_tensor_numel(g) * 4) == 0;
    }
    return same;
}

static void training_has_the_same_bits(void)
{
    lab plain = run_of(NULL, 30), probed = run_of(&everything, 30);
    lab rarely = run_of(&(sonde_probe_options){.every = 7, .hist_every = 14}, 30);
    CHECK(same_parameters(&plain, &probed));
    CHECK(same_parameters(&plain, &rarely));
    lab_free(&plain);
    lab_free(&probed);
    lab_free(&rarely);
}

static void detaching_restores_everything(void)
{
    lab plain = run_of(NULL, 6), probed = run_of(&everything, 3);
    sonde_probe_free(probed.probe);
    probed.probe = NULL;
    size_t blocks = 0;
    for (int step = 3; step < 6; step++) {
        train(&probed);
        if (step == 3) blocks = sonde_memory().live_blocks;
    }
    CHECK(sonde_memory().live_blocks == blocks);
    CHECK(same_parameters(&plain, &probed));
    CHECK(rows_of(&probed, "weight_grad") == 3);
    lab_free(&plain);
    lab_free(&probed);
}

static void a_graph_may_outlive_the_probe(void)
{
    lab l = small_lab("Tanh", &everything);
    train(&l);
    sonde_tensor *loss = loss_of(&l, l.x), *unused = loss_of(&l, l.x);
    sonde_probe_free(l.probe);
    l.probe = NULL;
    OK(sonde_backward(loss, NULL, false));
    sonde_tensor_release(loss);
    CHECK(rows_of(&l, "activation") == 1);
    lab_free(&l);
    sonde_tensor_release(unused);
    CHECK(sonde_memory().live_blocks == 0);
}

static void the_steady_state_is_flat(void)
{
    lab l = small_lab("ReLU", &everything);
    sonde_history_keep(l.history, 1);
    size_t blocks = 0, peak = 0;
    for (int step = 1; step <= 8000; step++) {
        train(&l);
        if (step == 4000) blocks = sonde_memory().live_blocks, peak = sonde_memory().peak_bytes;
    }
    CHECK(sonde_memory().live_blocks == blocks);
    CHECK(sonde_memory().peak_bytes == peak);
    lab_free(&l);
}

static void wrong_arguments(void)
{
    lab l = small_lab("Tanh", NULL);
    sonde_probe *probe = NULL;
    OK(sonde_history_new(&l.history));
    CHECK(sonde_probe_new(&probe, NULL, 1) == SONDE_EARG);
    CHECK(sonde_probe_new(&probe, l.history, 0) == SONDE_EARG);
    OK(sonde_probe_new(&l.probe, l.history, 1));
    CHECK(sonde_probe_attach(l.probe, NULL, NULL, NULL) == SONDE_EARG);
    CHECK(sonde_probe_attach(l.probe, l.net, &(sonde_probe_options){.every = -1}, NULL) == SONDE_EARG);
    CHECK(sonde_probe_attach(l.probe, l.net, &(sonde_probe_options){.hist_every = -1}, NULL) == SONDE_EARG);
    CHECK(sonde_probe_attach(l.probe, l.net, &(sonde_probe_options){.what = 1u << 20}, NULL) == SONDE_EARG);
    CHECK(sonde_probe_observe_optimizer(l.probe, NULL) == SONDE_EARG);
    sonde_probe_group group;
    CHECK(sonde_probe_group_parse("weight", &group) && group == SONDE_PROBE_WEIGHT);
    CHECK(!sonde_probe_group_parse("weights", &group));
    double norm;
    CHECK(!sonde_probe_grad_norm(l.probe, &norm));
    OK(sonde_probe_end_step(l.probe, 0)); /* nothing attached: nothing written */
    CHECK(sonde_history_n_groups(l.history) == 0);
    sonde_probe_free(NULL);
    lab_free(&l);
}

static sonde_status run_backward(lab *l, bool aside)
{
    sonde_tensor *output = NULL, *loss = NULL;
    SONDE_TRY(sonde_module_call1(l->net, l->x, &output));
    sonde_status status = sonde_mse_loss(&loss, output, l->y, SONDE_LOSS_MEAN);
    if (status == SONDE_OK) status = aside ? sonde_backward_aside(loss) : sonde_backward(loss, NULL, false);
    sonde_tensor_release(output);
    sonde_tensor_release(loss);
    return status;
}

/* Attach twice, train two steps, finish; every status may be ENOMEM, nothing may leak or crash. */
static sonde_status whole_life(lab *l)
{
    int fixed;
    SONDE_TRY(sonde_history_new(&l->history));
    SONDE_TRY(sonde_probe_new(&l->probe, l->history, 1));
    SONDE_TRY(sonde_probe_attach(l->probe, l->net, NULL, NULL));
    SONDE_TRY(sonde_probe_attach(l->probe, l->net, &(sonde_probe_options){.name = "f", .fixed = true}, &fixed));
    SONDE_TRY(sonde_probe_observe_optimizer(l->probe, l->optimizer));
    for (int step = 0; step < 2; step++) {
        SONDE_TRY(sonde_probe_samples_begin(l->probe, fixed));
        sonde_status status = run_backward(l, true);
        sonde_probe_samples_end(l->probe);
        SONDE_TRY(status);
        SONDE_TRY(sonde_optimizer_zero_grad(l->optimizer, true));
        SONDE_TRY(run_backward(l, false));
        SONDE_TRY(sonde_optimizer_step(l->optimizer));
        SONDE_TRY(sonde_probe_end_step(l->probe, 0));
    }
    return sonde_probe_finish(l->probe);
}

/* An RNN below which everything is frozen, a normalisation with its buffers, a random stream. */
static sonde_module *varied_net(void)
{
    sonde_module *net = NULL, *rnn = NULL, *norm = NULL, *dropout = NULL;
    sonde_nn_random_seed(7);
    OK(sonde_sequential_new(&net));
    add_linear(net, NULL, 4, 5, SONDE_FLOAT32);
    add_activation(net, "ReLU", false);
    OK(sonde_module_requires_grad_(net, false));
    sonde_recurrent_options options = sonde_recurrent_defaults(SONDE_LSTM, 5, 3);
    OK(sonde_recurrent_new(&rnn, &options));
    add(net, NULL, rnn);
    OK(sonde_batch_norm1d_new(&norm, 3, 1e-5, 0.1, true, true, SONDE_FLOAT32));
    add(net, NULL, norm);
    OK(sonde_dropout_new(&dropout, 0.5));
    add(net, NULL, dropout);
    return net;
}

static void every_allocation_may_fail(void)
{
    bool finished = false;
    long n = 1;
    for (; n < 5000 && !finished; n++) {
        lab l = n % 2 ? small_lab("ELU", NULL) : lab_of(varied_net(), 8, 4, 3, SONDE_FLOAT32, NULL);
        sonde_memory_fail_at(n);
        sonde_status status = whole_life(&l);
        sonde_memory_fail_at(-1);
        CHECK(status == SONDE_OK || status == SONDE_ENOMEM);
        finished = status == SONDE_OK && n % 2 == 0; /* the varied one makes more of them */
        lab_free(&l);
        if (!CHECK(sonde_memory().live_blocks == 0)) break;
    }
    CHECK(finished && n > 100);
}

int main(void)
{
    CHECK_RUN(training_has_the_same_bits);
    CHECK_RUN(detaching_restores_everything);
    CHECK_RUN(a_graph_may_outlive_the_probe);
    CHECK_RUN(the_steady_state_is_flat);
    CHECK_RUN(wrong_arguments);
    CHECK_RUN(every_allocation_may_fail);
    CHECK(sonde_module_live() == 0 && sonde_tensor_live() == 0 && sonde_optimizer_live() == 0);
    CHECK(sonde_memory().live_blocks == 0);
    CHECK_END();
}
