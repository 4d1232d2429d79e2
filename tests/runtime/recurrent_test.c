/* Recurrent layers without Lua: every allocation failing in turn, the watcher of dL/dh_t, the same bits with it and
 * for any number of threads. */
#include "nn_scene.h"

#define OK(call) CHECK((call) == SONDE_OK)

enum { STEPS = 5, BATCH = 3, INPUTS = 2, HIDDEN = 4 };

static sonde_recurrent_options all_options(sonde_recurrent_kind kind)
{
    sonde_recurrent_options o = sonde_recurrent_defaults(kind, INPUTS, HIDDEN);
    o.num_layers = 2;
    o.bidirectional = o.batch_first = o.variational = true;
    o.dropout = o.recurrent_dropout = 0.25;
    o.peepholes = o.layer_norm = kind == SONDE_LSTM;
    o.reset_after = kind == SONDE_LSTM;
    o.leak = kind == SONDE_RNN ? 0.5 : 1;
    o.clip_hidden_grad = 0.1;
    o.dtype = SONDE_FLOAT64;
    return o;
}

static sonde_module *make(const sonde_recurrent_options *options)
{
    sonde_module *m = NULL;
    sonde_nn_random_seed(3);
    if (sonde_recurrent_new(&m, options) != SONDE_OK) abort();
    return m;
}

static sonde_tensor *input(int ndim, const int64_t *shape)
{
    sonde_tensor *x = NULL;
    sonde_stream stream;
    sonde_stream_init(&stream, 7, "input");
    if (sonde_tensor_new(&x, SONDE_FLOAT64, ndim, shape) != SONDE_OK || sonde_init_normal_(x, &stream, 0, 1) != SONDE_OK)
        abort();
    return x;
}

static sonde_status backward_of(sonde_tensor *y)
{
    sonde_tensor *loss = NULL;
    sonde_status status = sonde_reduce(&loss, SONDE_SUM, y, 0, NULL, false, 0);
    if (status == SONDE_OK) status = sonde_backward(loss, NULL, false);
    sonde_tensor_release(loss);
    return status;
}

/* One forward with lengths and its backward. */
static sonde_status step(sonde_module *m, sonde_tensor *x)
{
    const bool lstm = strcmp(m->class->name, "LSTM") == 0;
    sonde_tensor *lengths = NULL;
    sonde_status status = sonde_tensor_from(&lengths, SONDE_INT64, 1, (int64_t[]){BATCH}, (int64_t[]){STEPS, 2, 4});
    if (status != SONDE_OK) return status;
    sonde_values in = {.n = lstm ? 4 : 3, .t = {x}}, out;
    in.t[in.n - 1] = lengths;
    status = sonde_module_call(m, &in, &out);
    if (status == SONDE_OK) {
        status = backward_of(out.t[0]);
        sonde_values_release(&out);
    }
    sonde_tensor_release(lengths);
    return status;
}

static void test_failing_allocations(void)
{
    for (sonde_recurrent_kind kind = SONDE_RNN; kind <= SONDE_GRU; kind++) {
        const sonde_recurrent_options options = all_options(kind);
        sonde_tensor *x = input(3, (int64_t[]){BATCH, STEPS, INPUTS});
        sonde_module *m = make(&options);
        if (sonde_requires_grad_(x, true) != SONDE_OK || step(m, x) != SONDE_OK) abort();
        OK(sonde_module_zero_grad(m));
        OK(sonde_set_grad(x, NULL));
        const int64_t tensors = sonde_tensor_live();
        int n = 1;
        for (sonde_status status = SONDE_ENOMEM; status != SONDE_OK && n < 2000; n++) {
            sonde_memory_fail_at(n);
            status = step(m, x);
            sonde_memory_fail_at(-1);
            CHECK(status == SONDE_OK || status == SONDE_ENOMEM);
            OK(sonde_module_zero_grad(m));
            OK(sonde_set_grad(x, NULL));
            if (!CHECK(sonde_tensor_live() == tensors)) break;
        }
        CHECK(n > 40 && n < 2000);
        sonde_module_release(m);
        sonde_tensor_release(x);
        for (n = 1;; n++) { /* making one */
            sonde_memory_fail_at(n);
            sonde_status status = sonde_recurrent_new(&m, &options);
            sonde_memory_fail_at(-1);
            if (status == SONDE_OK) break;
            if (!CHECK(status == SONDE_ENOMEM && sonde_tensor_live() == 0 && sonde_module_live() == 0)) break;
        }
        sonde_module_release(m);
    }
}

static void test_ridge_allocations(void)
{
    sonde_tensor *x = input(2, (int64_t[]){9, 3}), *y = input(2, (int64_t[]){9, 2}), *weight, *bias;
    const int64_t tensors = sonde_tensor_live();
    int n = 1;
    for (;; n++) {
        sonde_memory_fail_at(n);
        sonde_status status = sonde_ridge(&weight, &bias, x, y, 0.1);
        sonde_memory_fail_at(-1);
        if (status == SONDE_OK || !CHECK(status == SONDE_ENOMEM && sonde_tensor_live() == tensors)) break;
    }
    CHECK(n > 5);
    sonde_tensor_release(weight);
    sonde_tensor_release(bias);
    sonde_tensor_release(x);
    sonde_tensor_release(y);
}

typedef struct seen {
    int hidden, cell, freed;
    double largest;
} seen;

static sonde_status look(void *context, int64_t layer, bool reverse, const sonde_hidden_grad *g)
{
    seen *s = context;
    *(g->cell ? &s->cell : &s->hidden) += 1;
    CHECK(layer >= 0 && layer < 2 && g->steps == STEPS && g->batch == BATCH && g->hidden == HIDDEN);
    for (int64_t i = 0; i < g->batch * g->hidden; i++) {
        s->largest = fmax(s->largest, fabs(((const double *)g->data)[i]));
        if (i >= HIDDEN && i < 2 * HIDDEN && g->time >= 2) CHECK(((const double *)g->data)[i] == 0); /* beyond its end */
    }
    return SONDE_OK;
}

static void count_free(void *context) { ((seen *)context)->freed++; }

static void test_watching(void)
{
    sonde_recurrent_options options = all_options(SONDE_LSTM);
    options.dropout = options.recurrent_dropout = 0;
    sonde_module *m = make(&options), *other = make(&options);
    sonde_tensor *x = input(3, (int64_t[]){BATCH, STEPS, INPUTS});
    sonde_handle *handle = NULL;
    seen s = {0};
    OK(step(m, x));
    OK(sonde_recurrent_watch(other, look, &s, count_free, &handle));
    OK(step(other, x));
    CHECK(s.hidden == 2 * 2 * STEPS && s.cell == s.hidden && s.largest > 0);
    for (int i = 0; i < m->n_parameters; i++) {
        const sonde_tensor *a = sonde_grad(m->parameters[i].tensor), *b = sonde_grad(other->parameters[i].tensor);
        CHECK(memcmp(sonde_tensor_data(a), sonde_tensor_data(b), (size_t)sonde_tensor_numel(a) * sizeof(double)) == 0);
    }
    sonde_handle_remove(handle);
    OK(step(other, x));
    CHECK(s.hidden == 2 * 2 * STEPS && s.freed == 1);
    CHECK(sonde_watch_hidden_grad(x, NULL, NULL, NULL, NULL) == SONDE_EARG && says("not made by a recurrent operator"));
    sonde_module_release(m);
    sonde_module_release(other);
    sonde_tensor_release(x);
}

/* Products large enough to be cut for threads. */
static void test_threads(void)
{
    sonde_recurrent_options options = sonde_recurrent_defaults(SONDE_GRU, 40, 128);
    sonde_module *m[2] = {make(&options), make(&options)};
    sonde_tensor *x = input(3, (int64_t[]){20, 64, 40}), *single;
    OK(sonde_tensor_to(&single, x, SONDE_FLOAT32));
    for (int i = 0; i < 2; i++) {
        sonde_tensor *y;
        OK(sonde_threads_set(1 + i));
        OK(sonde_module_call1(m[i], single, &y));
        OK(backward_of(y));
        sonde_tensor_release(y);
    }
    OK(sonde_threads_set(1));
    for (int i = 0; i < m[0]->n_parameters; i++) {
        const sonde_tensor *a = sonde_grad(m[0]->parameters[i].tensor), *b = sonde_grad(m[1]->parameters[i].tensor);
        CHECK(memcmp(sonde_tensor_data(a), sonde_tensor_data(b), (size_t)sonde_tensor_numel(a) * sizeof(float)) == 0);
    }
    sonde_module_release(m[0]);
    sonde_module_release(m[1]);
    sonde_tensor_release(x);
    sonde_tensor_release(single);
}

int main(void)
{
    CHECK_RUN(test_failing_allocations);
    CHECK_RUN(test_ridge_allocations);
    CHECK_RUN(test_watching);
    CHECK_RUN(test_threads);
    CHECK(sonde_tensor_live() == 0 && sonde_module_live() == 0);
    CHECK_END();
}
