/* The proof that the runtime is a runtime: a network is built, trained, probed and written to a file with no Lua. */
#include "h5/h5.h"
#include "probe_lab.h"

#include <unistd.h>

enum { STEPS = 60, BATCH = 32, CLASSES = 3, FEATURES = 8, WIDTH = 16 };

/* ---- data: three blobs ---------------------------------------------------------------------------------- */

static void make_batch(sonde_stream *stream, sonde_tensor **x, sonde_tensor **y)
{
    OK(sonde_tensor_new(x, SONDE_FLOAT32, 2, (int64_t[]){BATCH, FEATURES}));
    OK(sonde_tensor_new(y, SONDE_INT64, 1, (int64_t[]){BATCH}));
    float *values = sonde_tensor_data(*x);
    int64_t *labels = sonde_tensor_data(*y);
    sonde_stream_fill_normal(stream, SONDE_FLOAT32, values, BATCH * FEATURES, 0, 1);
    for (int i = 0; i < BATCH; i++) {
        labels[i] = sonde_stream_integer(stream, 1, CLASSES);
        values[i * FEATURES + labels[i]] += 2.5f;
    }
}

static sonde_module *make_net(void)
{
    sonde_module *net = NULL;
    sonde_nn_random_seed(11);
    OK(sonde_sequential_new(&net));
    add_linear(net, "h1", FEATURES, WIDTH, SONDE_FLOAT32);
    add_activation(net, "ReLU", false);
    add_linear(net, "h2", WIDTH, WIDTH, SONDE_FLOAT32);
    add_activation(net, "Tanh", false);
    add_linear(net, "out", WIDTH, CLASSES, SONDE_FLOAT32);
    return net;
}

static sonde_status add_parameter(void *context, const char *path, sonde_module *owner, const sonde_parameter *p)
{
    int group;
    return sonde_optimizer_add_group(context, 1, &p->tensor, &group);
}

static sonde_optimizer *make_optimizer(sonde_module *net)
{
    sonde_optimizer *optimizer = NULL;
    OK(sonde_optimizer_new(&optimizer, "Adam"));
    OK(sonde_module_visit_parameters(net, false, add_parameter, optimizer));
    for (int g = 0; g < sonde_optimizer_groups(optimizer); g++) OK(sonde_optimizer_set(optimizer, g, "lr", 0.01));
    return optimizer;
}

/* ---- one run -------------------------------------------------------------------------------------------- */

typedef struct run {
    sonde_module *net;
    sonde_optimizer *optimizer;
    sonde_history *history;
    sonde_probe *probe;
    sonde_group *metrics;
    sonde_h5_writer *writer; /* NULL: nothing is recorded */
    int loss, grad_norm;
    double losses[STEPS], norms[STEPS], first_weight_norm, first_activation_mean;
} run;

/* Naive numbers of step 1, for the file to be compared with. */
static void look(run *r, sonde_tensor *output)
{
    const sonde_tensor *weight = sonde_module_parameter(sonde_module_child(r->net, "h2"), "weight");
    copy g = copy_of(sonde_grad(weight)), o = copy_of(output);
    r->first_weight_norm = naive_of(&g, 1).l2;
    r->first_activation_mean = naive_of(&o, 1).mean;
    free(g.values);
    free(o.values);
}

static void record_step(run *r, int step)
{
    if (!r->writer) return;
    OK(sonde_group_begin(r->metrics, step));
    *(double *)sonde_group_cells(r->metrics, r->loss) = r->losses[step - 1];
    *(double *)sonde_group_cells(r->metrics, r->grad_norm) = r->norms[step - 1];
    OK(sonde_group_commit(r->metrics));
    OK(sonde_probe_end_step(r->probe, step * 0.001));
    if (step == 1) OK(sonde_h5_writer_start(r->writer, r->history));
}

static void train_step(run *r, sonde_module *loss_fn, sonde_stream *stream, int step)
{
    sonde_tensor *x = NULL, *y = NULL, *output = NULL;
    sonde_values results;
    make_batch(stream, &x, &y);
    OK(sonde_optimizer_zero_grad(r->optimizer, true));
    OK(sonde_module_call1(r->net, x, &output));
    OK(sonde_module_call(loss_fn, &(sonde_values){.n = 2, .t = {output, y}}, &results));
    r->losses[step - 1] = sonde_tensor_get(results.t[0], (int64_t[]){0});
    OK(sonde_backward(results.t[0], NULL, false));
    if (step == 1) look(r, output);
    if (r->probe) CHECK(sonde_probe_grad_norm(r->probe, &r->norms[step - 1]));
    OK(sonde_optimizer_step(r->optimizer));
    record_step(r, step);
    sonde_values_release(&results);
    sonde_tensor_release(output);
    sonde_tensor_release(x);
    sonde_tensor_release(y);
}

static void open_record(run *r, const char *path)
{
    OK(sonde_history_new(&r->history));
    OK(sonde_history_group(r->history, &r->metrics, "metrics", SONDE_GROUP_PLAIN));
    OK(sonde_group_variable(r->metrics, &r->loss, "loss", SONDE_CELL_F64, 0, NULL, NULL, NULL));
    OK(sonde_group_variable(r->metrics, &r->grad_norm, "grad_norm", SONDE_CELL_F64, 0, NULL, NULL, NULL));
    OK(sonde_probe_new(&r->probe, r->history, 1));
    OK(sonde_probe_attach(r->probe, r->net, NULL, NULL));
    OK(sonde_probe_observe_optimizer(r->probe, r->optimizer));
    sonde_probe_expect_end(r->probe, STEPS);
    OK(sonde_h5_writer_open(&r->writer, &(sonde_h5_run){.path = path, .name = "train_test", .about = "blobs",
                                                        .command = "train_test", .seed = 11, .threads = 1}));
}

/* path NULL: nothing is observed or written. */
static run make_run(const char *path)
{
    run r = {.net = make_net()};
    sonde_module *loss_fn = NULL;
    sonde_stream stream;
    sonde_stream_init(&stream, 11, "data");
    r.optimizer = make_optimizer(r.net);
    OK(sonde_cross_entropy_loss_new(&loss_fn, NULL, 0, 0, SONDE_LOSS_MEAN));
    if (path) open_record(&r, path);
    for (int step = 1; step <= STEPS; step++) train_step(&r, loss_fn, &stream, step);
    if (path) {
        OK(sonde_probe_finish(r.probe));
        const sonde_h5_end end = {.status = "complete", .n_steps = STEPS, .wall_seconds = 0.1};
        OK(sonde_h5_writer_finish(r.writer, &end));
    }
    sonde_module_release(loss_fn);
    return r;
}

static void end_run(run *r)
{
    sonde_h5_writer_free(r->writer);
    sonde_probe_free(r->probe);
    sonde_history_free(r->history);
    sonde_optimizer_release(r->optimizer);
    sonde_module_release(r->net);
}

/* ---- the file ------------------------------------------------------------------------------------------- */

static sonde_h5_value read_all(sonde_h5_file *file, const char *path, sonde_h5_type type)
{
    sonde_h5_value value = {0};
    OK(sonde_h5_read(file, path, type, NULL, &value));
    return value;
}

/* path[row, column] of a [T, P] dataset. */
static double number_at(sonde_h5_file *file, const char *path, int64_t row, int64_t column)
{
    sonde_h5_value value = {0};
    OK(sonde_h5_read(file, path, SONDE_H5_F64,
                      &(sonde_h5_part){.start = {row, column}, .count = {1, 1}, .step = {1, 1}}, &value));
    double number = value.data ? *(double *)value.data : -12345;
    sonde_h5_value_free(&value);
    return number;
}

static void check_series(sonde_h5_file *file, const char *path, const double *want)
{
    sonde_h5_value value = read_all(file, path, SONDE_H5_F64);
    if (CHECK(value.ndim == 1 && value.shape[0] == STEPS && value.data)) {
        CHECK(memcmp(value.data, want, STEPS * sizeof *want) == 0);
    }
    sonde_h5_value_free(&value);
}

static void check_names(sonde_h5_file *file, const char *path, int64_t n, const char *const *want)
{
    sonde_h5_value value = read_all(file, path, SONDE_H5_TEXT);
    if (CHECK(value.ndim == 1 && value.shape[0] == n)) {
        for (int64_t i = 0; i < n; i++) CHECK(strcmp(((char **)value.data)[i], want[i]) == 0);
    }
    sonde_h5_value_free(&value);
}

static void check_steps(sonde_h5_file *file, const char *path, int64_t n, int64_t first, int64_t final)
{
    sonde_h5_value value = read_all(file, path, SONDE_H5_I64);
    if (CHECK(value.shape[0] == n)) {
        CHECK(((int64_t *)value.data)[0] == first && ((int64_t *)value.data)[n - 1] == final);
    }
    sonde_h5_value_free(&value);
}

static void check_histogram_sums(sonde_h5_file *file)
{
    sonde_h5_value counts = read_all(file, "/weight_grad_hist/counts", SONDE_H5_I64);
    sonde_h5_value zeros = read_all(file, "/weight_grad_hist/n_zero", SONDE_H5_I64);
    sonde_h5_value elements = read_all(file, "/weight_grad_hist/n_elements", SONDE_H5_I64);
    CHECK(counts.ndim == 3 && counts.shape[0] == 7 && counts.shape[1] == 6 && counts.shape[2] == SONDE_BINADE_COUNT);
    for (int64_t i = 0; i < zeros.shape[0] * 6; i++) {
        int64_t sum = ((int64_t *)zeros.data)[i];
        for (int64_t b = 0; b < SONDE_BINADE_COUNT; b++) sum += ((int64_t *)counts.data)[i * SONDE_BINADE_COUNT + b];
        CHECK(sum == ((int64_t *)elements.data)[i % 6]);
    }
    sonde_h5_value_free(&counts);
    sonde_h5_value_free(&zeros);
    sonde_h5_value_free(&elements);
}

static void check_file(const char *path, const run *r)
{
    static const char *const parameters[] = {"h1.weight", "h1.bias", "h2.weight", "h2.bias", "out.weight", "out.bias"};
    static const char *const modules[] = {"h1", "2", "h2", "4", "out"};
    sonde_h5_file *file = NULL;
    if (!OK(sonde_h5_open(&file, path, "r"))) return;
    sonde_h5_value status = {0};
    OK(sonde_h5_read_attribute(file, "/", "status", &status));
    CHECK(strcmp(*(char **)status.data, "complete") == 0);
    sonde_h5_value_free(&status);
    check_series(file, "/metrics/loss", r->losses);
    check_series(file, "/metrics/grad_norm", r->norms);
    check_names(file, "/weight_grad/probe", 6, parameters);
    check_names(file, "/activation_grad/probe", 5, modules);
    check_names(file, "/activation/probe", 5, modules);
    check_names(file, "/weight/probe", 6, parameters);
    check_steps(file, "/weight_grad/step", STEPS, 1, STEPS);
    check_steps(file, "/weight/step", STEPS, 1, STEPS);
    check_steps(file, "/weight_grad_hist/step", 7, 1, STEPS); /* 1, 11, …, 51 and the last */
    check_steps(file, "/activation_grad_hist/step", 7, 1, STEPS);
    check_histogram_sums(file);
    CHECK_NEAR(number_at(file, "/weight_grad/l2_norm", 0, 2), r->first_weight_norm, 1e-7);
    CHECK_NEAR(number_at(file, "/activation/mean", 0, 4), r->first_activation_mean, 1e-6);
    CHECK(isnan(number_at(file, "/activation/slope_rms", 0, 0)) && number_at(file, "/activation/slope_rms", 0, 1) > 0);
    CHECK(isnan(number_at(file, "/activation/dead_frac", STEPS - 1, 1))); /* 60 × 32 samples are fewer than 2000 */
    double squares = 0;
    for (int64_t p = 0; p < 6; p++) squares += pow(number_at(file, "/weight_grad/l2_norm", STEPS - 1, p), 2);
    CHECK_NEAR(r->norms[STEPS - 1], sqrt(squares), 1e-12);
    OK(sonde_h5_close(file));
}

static bool same_weights(const run *a, const run *b)
{
    bool same = true;
    for (int g = 0; g < sonde_optimizer_groups(a->optimizer); g++) {
        const sonde_tensor *p = sonde_optimizer_parameter(a->optimizer, g, 0);
        const sonde_tensor *q = sonde_optimizer_parameter(b->optimizer, g, 0);
        same &= memcmp(sonde_tensor_data(p), sonde_tensor_data(q), (size_t)sonde_tensor_numel(p) * sizeof(float)) == 0;
    }
    return same;
}

static double mean_of(const double *losses, int first)
{
    double sum = 0;
    for (int i = 0; i < 10; i++) sum += losses[first + i];
    return sum / 10;
}

static void trains_probes_and_writes(void)
{
    char folder[] = "/tmp/sonde-train-XXXXXX", path[64];
    if (!CHECK(mkdtemp(folder) != NULL)) return;
    snprintf(path, sizeof path, "%s/run.h5", folder);
    run plain = make_run(NULL), probed = make_run(path);
    CHECK(mean_of(plain.losses, STEPS - 10) < 0.5 * mean_of(plain.losses, 0));
    CHECK(memcmp(plain.losses, probed.losses, sizeof plain.losses) == 0);
    CHECK(same_weights(&plain, &probed));
    check_file(path, &probed);
    end_run(&plain);
    end_run(&probed);
    CHECK(unlink(path) == 0);
    CHECK(rmdir(folder) == 0); /* .part, .side and .tmp are gone */
}

int main(void)
{
    CHECK_RUN(trains_probes_and_writes);
    CHECK(sonde_module_live() == 0 && sonde_tensor_live() == 0 && sonde_optimizer_live() == 0);
    CHECK(sonde_h5_open_ids() == 0);
    CHECK(sonde_memory().live_blocks == 0);
    CHECK_END();
}
