/* A small network under a probe, and a spy beside it that keeps a copy of everything, for naive computation. */
#ifndef SONDE_TESTS_PROBE_LAB_H
#define SONDE_TESTS_PROBE_LAB_H

#include "check.h"
#include "probe/probe.h"

#include <stdlib.h>
#include <string.h>

static inline bool check_status(sonde_status status, const char *file, int line, const char *what)
{
    if (!check_that(status == SONDE_OK, file, line, what)) printf("       %s\n", sonde_message());
    return status == SONDE_OK;
}
#define OK(call) check_status((call), __FILE__, __LINE__, #call)

/* ---- networks ------------------------------------------------------------------------------------------ */

static inline void add(sonde_module *net, const char *name, sonde_module *m)
{
    OK(sonde_sequential_add(net, name, m));
    sonde_module_release(m);
}

static inline void add_linear(sonde_module *net, const char *name, int64_t in, int64_t out, sonde_dtype dtype)
{
    sonde_module *m = NULL;
    OK(sonde_linear_new(&m, in, out, true, dtype));
    add(net, name, m);
}

static inline void add_activation(sonde_module *net, const char *class, bool inplace)
{
    sonde_activation activation = {0};
    sonde_module *m = NULL;
    OK(sonde_activation_default(class, &activation));
    OK(sonde_activation_module_new(&m, class, &activation, inplace));
    add(net, NULL, m);
}

/* Linear(4, 6), activation, Linear(6, 5), activation, Linear(5, 3), called "1" .. "5"; the same weights every time. */
static inline sonde_module *small_net(const char *activation, bool inplace, sonde_dtype dtype)
{
    sonde_module *net = NULL;
    sonde_nn_random_seed(7);
    OK(sonde_sequential_new(&net));
    add_linear(net, NULL, 4, 6, dtype);
    add_activation(net, activation, inplace);
    add_linear(net, NULL, 6, 5, dtype);
    add_activation(net, activation, inplace);
    add_linear(net, NULL, 5, 3, dtype);
    return net;
}

static inline sonde_tensor *noise(sonde_dtype dtype, int64_t rows, int64_t columns, uint64_t seed)
{
    sonde_tensor *t = NULL;
    sonde_stream stream;
    OK(sonde_tensor_new(&t, dtype, 2, (int64_t[]){rows, columns}));
    sonde_stream_init(&stream, seed, "lab");
    sonde_stream_fill_normal(&stream, dtype, sonde_tensor_data(t), (size_t)(rows * columns), 0, 1);
    return t;
}

typedef struct lab {
    sonde_module *net;
    sonde_optimizer *optimizer;
    sonde_tensor *x, *y;
    sonde_history *history;
    sonde_probe *probe; /* NULL: none */
} lab;

static inline sonde_status note_parameter(void *context, const char *path, sonde_module *owner,
                                          const sonde_parameter *p)
{
    sonde_tensor ***end = context;
    *(*end)++ = p->tensor;
    return SONDE_OK;
}

static inline lab lab_of(sonde_module *net, int64_t batch, int64_t in, int64_t out, sonde_dtype dtype,
                         const sonde_probe_options *options)
{
    lab l = {.net = net, .x = noise(dtype, batch, in, 1), .y = noise(dtype, batch, out, 2)};
    OK(sonde_optimizer_new(&l.optimizer, "SGD"));
    sonde_tensor *parameters[64], **end = parameters;
    int group;
    OK(sonde_module_visit_parameters(net, false, note_parameter, &end));
    OK(sonde_optimizer_add_group(l.optimizer, (int)(end - parameters), parameters, &group));
    OK(sonde_optimizer_set(l.optimizer, group, "lr", 0.1));
    if (options) {
        OK(sonde_history_new(&l.history));
        OK(sonde_probe_new(&l.probe, l.history, 1));
        OK(sonde_probe_attach(l.probe, net, options, NULL));
        OK(sonde_probe_observe_optimizer(l.probe, l.optimizer));
    }
    return l;
}

static inline lab small_lab(const char *activation, const sonde_probe_options *options)
{
    return lab_of(small_net(activation, false, SONDE_FLOAT32), 8, 4, 3, SONDE_FLOAT32, options);
}

static inline void lab_free(lab *l)
{
    sonde_probe_free(l->probe);
    sonde_history_free(l->history);
    sonde_optimizer_release(l->optimizer);
    sonde_module_release(l->net);
    sonde_tensor_release(l->x);
    sonde_tensor_release(l->y);
}

/* Mean squared error of the network's output for x; one reference, NULL on failure. */
static inline sonde_tensor *loss_of(lab *l, sonde_tensor *x)
{
    sonde_tensor *output = NULL, *loss = NULL;
    if (!OK(sonde_module_call1(l->net, x, &output))) return NULL;
    OK(sonde_mse_loss(&loss, output, l->y, SONDE_LOSS_MEAN));
    sonde_tensor_release(output);
    return loss;
}

static inline double backward_of(lab *l, sonde_tensor *x)
{
    sonde_tensor *loss = loss_of(l, x);
    if (!loss) return (double)NAN;
    double value = sonde_tensor_get(loss, (int64_t[]){0});
    OK(sonde_backward(loss, NULL, false));
    sonde_tensor_release(loss);
    return value;
}

/* One whole step; returns the loss. */
static inline double train(lab *l)
{
    OK(sonde_optimizer_zero_grad(l->optimizer, true));
    double value = backward_of(l, l->x);
    OK(sonde_optimizer_step(l->optimizer));
    if (l->probe) OK(sonde_probe_end_step(l->probe, 0.5));
    return value;
}

/* ---- reading what was recorded ------------------------------------------------------------------------- */

static inline int place_of(const sonde_group *group, const char *name)
{
    const sonde_record_axis *axis = sonde_group_axis_at(group, 0);
    for (int64_t i = 0; i < axis->length; i++) {
        if (strcmp(((char **)axis->coordinates[0].values)[i], name) == 0) return (int)i;
    }
    return -1;
}

static inline int64_t rows_of(const lab *l, const char *group)
{
    const sonde_group *g = sonde_history_find(l->history, group);
    return g ? sonde_group_rows(g) : -1;
}

/* A cell as double: uint32's "not measured" is NaN too. Missing things are a failure. */
static inline double cell(const lab *l, const char *group, const char *column, const char *name, int64_t row)
{
    const sonde_group *g = sonde_history_find(l->history, group);
    int variable = g ? sonde_group_find_variable(g, column) : -1, place = g ? place_of(g, name) : -1;
    const void *cells = variable >= 0 && place >= 0 ? sonde_group_read(g, variable, row) : NULL;
    if (!check_that(cells != NULL, group, (int)row, column)) return -12345;
    switch (sonde_group_variable_at(g, variable)->type) {
    case SONDE_CELL_F32: return (double)((const float *)cells)[place];
    case SONDE_CELL_F64: return ((const double *)cells)[place];
    case SONDE_CELL_U32: {
        uint32_t count = ((const uint32_t *)cells)[place];
        return count == UINT32_MAX ? (double)NAN : (double)count;
    }
    default: return -12345;
    }
}

static inline double last(const lab *l, const char *group, const char *column, const char *name)
{
    return cell(l, group, column, name, rows_of(l, group) - 1);
}

/* ---- the spy: copies of outputs, inputs and gradients, in order of forward --------------------------------- */

typedef struct copy {
    int64_t n, rows;
    double *values;
} copy;

typedef struct spied {
    const sonde_module *module;
    copy in, out, gradient; /* gradient: n = 0 until it came */
    sonde_handle *watch;
} spied;

#define SPY_MAX 64
static spied spy_calls[SPY_MAX];
static int spy_n;

static inline copy copy_of(const sonde_tensor *t)
{
    copy c = {.n = sonde_tensor_numel(t), .rows = t->ndim > 0 ? t->shape[0] : 1};
    c.values = malloc((size_t)c.n * sizeof(double) + 1);
    const void *data = sonde_tensor_data(t); /* contiguous in these tests */
    for (int64_t i = 0; i < c.n; i++)
        c.values[i] = t->dtype == SONDE_FLOAT32 ? (double)((const float *)data)[i] : ((const double *)data)[i];
    return c;
}

static inline void spy_gradient(void *context, const sonde_tensor *gradient)
{
    spied *s = context;
    free(s->gradient.values);
    s->gradient = copy_of(gradient);
}

static inline void spy_forward(void *context, sonde_module *m, const sonde_values *in, const sonde_values *out)
{
    if (spy_n == SPY_MAX) return;
    spied *s = &spy_calls[spy_n++];
    *s = (spied){.module = m, .in = copy_of(in->t[0]), .out = copy_of(out->t[0])};
    if (out->t[0]->requires_grad) OK(sonde_watch_grad(out->t[0], spy_gradient, s, NULL, NULL));
}

static inline void spy_forget(void)
{
    for (int i = 0; i < spy_n; i++) {
        free(spy_calls[i].in.values);
        free(spy_calls[i].out.values);
        free(spy_calls[i].gradient.values);
    }
    spy_n = 0;
}

/* Watches child i of a sequential; the handle is the caller's. */
static inline sonde_handle *spy_on(sonde_module *net, int i)
{
    sonde_handle *handle = NULL;
    OK(sonde_module_watch(net->children[i].module, spy_forward, NULL, NULL, &handle));
    return handle;
}

/* ---- naive statistics ------------------------------------------------------------------------------------ */

typedef struct naive {
    double mean, std, l2, abs_mean, abs_max, zero_frac, positive_frac;
} naive;

static inline naive naive_of(const copy *parts, int n_parts)
{
    naive s = {0};
    double n = 0;
    for (int p = 0; p < n_parts; p++) {
        for (int64_t i = 0; i < parts[p].n; i++) {
            double v = parts[p].values[i];
            n++;
            s.mean += v;
            s.l2 += v * v;
            s.abs_mean += fabs(v);
            s.abs_max = fmax(s.abs_max, fabs(v));
            s.zero_frac += v == 0;
            s.positive_frac += v > 0;
        }
    }
    s.mean /= n;
    for (int p = 0; p < n_parts; p++) {
        for (int64_t i = 0; i < parts[p].n; i++) s.std += (parts[p].values[i] - s.mean) * (parts[p].values[i] - s.mean);
    }
    s.std = sqrt(s.std / n);
    s.l2 = sqrt(s.l2);
    s.abs_mean /= n;
    s.zero_frac /= n;
    s.positive_frac /= n;
    return s;
}

/* Mean of cos(a_i, a_k) over i ≠ k, of the rows that are not 0. */
static inline double naive_cosine(const copy *c)
{
    int64_t columns = c->n / c->rows, n = 0;
    double sum = 0;
    for (int64_t i = 0; i < c->rows; i++) {
        for (int64_t k = 0; k < c->rows; k++) {
            double dot = 0, a = 0, b = 0;
            for (int64_t j = 0; j < columns; j++) {
                double u = c->values[i * columns + j], v = c->values[k * columns + j];
                dot += u * v;
                a += u * u;
                b += v * v;
            }
            if (i == k || a == 0 || b == 0) continue;
            sum += dot / sqrt(a * b);
            n++;
        }
    }
    return n > 0 ? sum / (double)n : (double)NAN;
}

#endif
