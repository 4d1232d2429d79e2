/* What each layer computes, in C; values against PyTorch are the Lua specs' (tests/reference). */
#include "check.h"
#include "nn/nn.h"

#include <stdlib.h>
#include <string.h>

static bool says(const char *words)
{
    if (strstr(sonde_message(), words)) return true;
    printf("       message: %s\n", sonde_message());
    return false;
}

static sonde_tensor *matrix(int rows, int columns, const double *values)
{
    sonde_tensor *t = NULL;
    if (sonde_tensor_from(&t, SONDE_FLOAT64, 2, (int64_t[]){rows, columns}, values) != SONDE_OK) abort();
    return t;
}

static double at(const sonde_tensor *t, int64_t i, int64_t j)
{
    return sonde_tensor_get(t, (int64_t[]){i, j});
}

static sonde_module *linear(int64_t in, int64_t out, double weight)
{
    sonde_module *m = NULL;
    if (sonde_linear_new(&m, in, out, false, SONDE_FLOAT64) != SONDE_OK) abort();
    CHECK(sonde_init_constant_(sonde_module_parameter(m, "weight"), weight) == SONDE_OK);
    return m;
}

static void linear_layer(void)
{
    sonde_module *m = NULL;
    CHECK(sonde_linear_new(&m, 0, 3, true, SONDE_FLOAT32) == SONDE_EARG && says("at least 1"));
    CHECK(sonde_linear_new(&m, 3, 3, true, SONDE_INT64) == SONDE_EDTYPE && says("int64"));
    CHECK(sonde_linear_new(&m, INT64_MAX / 2, INT64_MAX / 2, true, SONDE_FLOAT32) == SONDE_ENOMEM);
    m = linear(2, 3, 2);
    CHECK(m->n_parameters == 2 && sonde_module_parameter(m, "bias") == NULL);
    sonde_tensor *x = matrix(2, 2, (double[]){1, 2, 3, 4}), *y = NULL;
    CHECK(sonde_module_call1(m, x, &y) == SONDE_OK && at(y, 0, 0) == 6 && at(y, 1, 2) == 14);
    CHECK(sonde_module_set_parameter(m, "weight", NULL, false) == SONDE_OK);
    sonde_tensor_release(y);
    CHECK(sonde_module_call1(m, x, &y) == SONDE_ESTATE && says("weight is missing"));
    sonde_tensor_release(x);
    sonde_module_release(m);
}

static void flatten(void)
{
    static const struct {
        int start, end, ndim;
        int64_t shape[4];
    } cases[] = {{1, -1, 2, {2, 60}},
                 {0, -1, 1, {120}},
                 {1, 2, 3, {2, 12, 5}},
                 {-2, -1, 3, {2, 3, 20}},
                 {2, 2, 4, {2, 3, 4, 5}}};
    sonde_tensor *x = NULL, *y = NULL, *scalar = NULL;
    sonde_module *m = NULL;
    CHECK(sonde_tensor_zeros(&x, SONDE_FLOAT32, 4, (int64_t[]){2, 3, 4, 5}) == SONDE_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK(sonde_flatten_new(&m, cases[i].start, cases[i].end) == SONDE_OK &&
              sonde_module_call1(m, x, &y) == SONDE_OK);
        CHECK(y->ndim == cases[i].ndim && memcmp(y->shape, cases[i].shape, (size_t)y->ndim * sizeof *y->shape) == 0);
        sonde_tensor_release(y);
        sonde_module_release(m);
    }
    CHECK(sonde_flatten_new(&m, 2, 1) == SONDE_OK && sonde_module_call1(m, x, &y) == SONDE_ESHAPE &&
          says("comes after"));
    sonde_module_release(m);
    CHECK(sonde_tensor_zeros(&scalar, SONDE_FLOAT32, 0, NULL) == SONDE_OK && sonde_flatten_new(&m, 0, -1) == SONDE_OK);
    CHECK(sonde_module_call1(m, scalar, &y) == SONDE_OK && y->ndim == 1 && y->shape[0] == 1);
    sonde_tensor_release(y);
    sonde_tensor_release(scalar);
    sonde_module_release(m);
    CHECK(sonde_flatten_new(&m, 1, -1) == SONDE_OK &&
          sonde_tensor_zeros(&scalar, SONDE_FLOAT32, 1, &(int64_t){3}) == SONDE_OK);
    CHECK(sonde_module_call1(m, scalar, &y) != SONDE_OK && says("Flatten: "));
    sonde_tensor_release(scalar);
    sonde_tensor_release(x);
    sonde_module_release(m);
}

static void activations(void)
{
    static const struct {
        const char *name;
        double at_minus_2;
    } cases[] = {{"Sigmoid", 0.11920292202211755},
                 {"Tanh", -0.9640275800758169},
                 {"ReLU", 0},
                 {"LeakyReLU", -0.02},
                 {"ELU", -0.8646647167633873},
                 {"SELU", -1.520166468595695},
                 {"GELU", -0.04550026389635842},
                 {"SiLU", -0.2384058440442351},
                 {"Softplus", 0.1269280110429726},
                 {"Softsign", -2.0 / 3},
                 {"Hardtanh", -1}};
    sonde_tensor *x = matrix(1, 1, (double[]){-2}), *y = NULL;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sonde_module *m = NULL;
        sonde_activation f;
        CHECK(sonde_activation_default(cases[i].name, &f) == SONDE_OK);
        CHECK(sonde_activation_module_new(&m, cases[i].name, &f, false) == SONDE_OK &&
              m->class->activation(m)->kind == f.kind);
        CHECK(sonde_module_call1(m, x, &y) == SONDE_OK);
        CHECK_NEAR(at(y, 0, 0), cases[i].at_minus_2, 1e-14);
        sonde_tensor_release(y);
        sonde_module_release(m);
    }
    sonde_module *m = NULL;
    sonde_activation f = {.kind = SONDE_RELU};
    CHECK(sonde_activation_module_new(&m, "Relu", &f, false) == SONDE_EARG &&
          says("there are Sigmoid, Tanh, ReLU, LeakyReLU"));
    CHECK(sonde_activation_module_new(&m, "Tanh", &f, false) == SONDE_EARG && says("Tanh cannot compute relu"));
    f = (sonde_activation){SONDE_HARDTANH, 1, -1};
    CHECK(sonde_activation_module_new(&m, "Hardtanh", &f, false) == SONDE_EARG && says("min_val"));
    sonde_tensor_release(x);
}

/* What a module says of itself. */
static bool prints(sonde_module *m, const char *expected)
{
    char *text = NULL;
    bool same = sonde_module_format(&text, m) == SONDE_OK && strcmp(text, expected) == 0;
    if (!same) printf("       %s\n", text);
    sonde_free(text);
    sonde_module_release(m);
    return same;
}

static void descriptions(void)
{
    sonde_module *m = NULL;
    CHECK(sonde_activation_module_new(&m, "LeakyReLU", &(sonde_activation){SONDE_LEAKY_RELU, 1e-10, 0}, true) ==
          SONDE_OK);
    CHECK(prints(m, "LeakyReLU(negative_slope=1e-10, inplace=true)"));
    CHECK(sonde_activation_module_new(&m, "GELU", &(sonde_activation){.kind = SONDE_GELU_TANH}, false) == SONDE_OK);
    CHECK(prints(m, "GELU(approximate='tanh')"));
    CHECK(sonde_activation_module_new(&m, "Hardtanh", &(sonde_activation){SONDE_HARDTANH, -1, 1}, false) == SONDE_OK);
    CHECK(prints(m, "Hardtanh(min_val=-1.0, max_val=1.0)"));
    CHECK(sonde_activation_module_new(&m, "ReLU", &(sonde_activation){.kind = SONDE_RELU}, true) == SONDE_OK);
    CHECK(prints(m, "ReLU(inplace=true)"));
    CHECK(sonde_dropout_new(&m, 0.1) == SONDE_OK && prints(m, "Dropout(p=0.1)"));
    CHECK(sonde_batch_norm1d_new(&m, 5, 1e-5, (double)NAN, false, true, SONDE_FLOAT32) == SONDE_OK);
    CHECK(prints(m, "BatchNorm1d(5, eps=1e-05, momentum=nil, affine=false, track_running_stats=true)"));
}

/* ---- dropout --------------------------------------------------------------------------------------------- */

static void dropout(void)
{
    sonde_module *a = NULL, *b = NULL;
    sonde_tensor *x = NULL, *y = NULL, *other = NULL;
    CHECK(sonde_dropout_new(&a, 1.5) == SONDE_EARG && says("between 0 and 1"));
    CHECK(sonde_tensor_full(&x, SONDE_FLOAT64, 2, (int64_t[]){100, 100}, 1) == SONDE_OK);
    sonde_nn_random_seed(3);
    CHECK(sonde_dropout_new(&a, 0.25) == SONDE_OK && sonde_dropout_new(&b, 0.25) == SONDE_OK);
    CHECK(sonde_module_call1(a, x, &y) == SONDE_OK && sonde_module_call1(b, x, &other) == SONDE_OK);
    int kept = 0, differ = 0;
    for (int i = 0; i < 10000; i++) {
        double value = at(y, i / 100, i % 100);
        CHECK(value == 0 || fabs(value - 4.0 / 3) < 1e-15);
        kept += value != 0;
        differ += value != at(other, i / 100, i % 100);
    }
    CHECK(kept > 7300 && kept < 7700); /* 7500 ± 4.6 σ */
    CHECK(differ > 3000);              /* each module has its own stream */
    CHECK(a->class->stream(a) != NULL);
    sonde_tensor_release(y);
    CHECK(sonde_module_train(a, false) == SONDE_OK && sonde_module_call1(a, x, &y) == SONDE_OK && y == x);
    sonde_tensor_release(x);
    sonde_tensor_release(y);
    sonde_tensor_release(other);
    sonde_module_release(a);
    sonde_module_release(b);
}

/* ---- batch norm ------------------------------------------------------------------------------------------ */

/* Columns {1, 3} and {0, 4}: means 2 and 2, biased variances 1 and 4, unbiased 2 and 8. */
static void batch_norm(void)
{
    sonde_module *m = NULL;
    sonde_tensor *x = matrix(2, 2, (double[]){1, 0, 3, 4}), *y = NULL, *wrong = matrix(2, 3, (double[6]){0});
    CHECK(sonde_batch_norm1d_new(&m, 2, 0, 0.1, true, true, SONDE_FLOAT64) == SONDE_OK);
    sonde_tensor *mean = sonde_module_parameter(m, "running_mean"), *var = sonde_module_parameter(m, "running_var");
    CHECK(sonde_module_call1(m, x, &y) == SONDE_OK);
    CHECK_NEAR(at(y, 0, 0), -1, 1e-15);
    CHECK_NEAR(at(y, 1, 1), 1, 1e-15);
    CHECK_NEAR(sonde_tensor_get(mean, &(int64_t){0}), 0.2, 1e-15);
    CHECK_NEAR(sonde_tensor_get(var, &(int64_t){1}), 0.9 + 0.8, 1e-15);
    CHECK(sonde_tensor_get_int(sonde_module_parameter(m, "num_batches_tracked"), NULL) == 1);
    sonde_tensor_release(y);
    CHECK(sonde_module_train(m, false) == SONDE_OK && sonde_module_call1(m, x, &y) == SONDE_OK);
    CHECK_NEAR(at(y, 0, 1), (0 - 0.2) / sqrt(1.7), 1e-15);
    CHECK(sonde_tensor_get_int(sonde_module_parameter(m, "num_batches_tracked"), NULL) == 1);
    sonde_tensor_release(y);
    CHECK(sonde_module_call1(m, wrong, &y) == SONDE_ESHAPE && says("BatchNorm1d: expected input [N, 2]") &&
          says("[2, 3]"));
    CHECK(sonde_tensor_get_int(sonde_module_parameter(m, "num_batches_tracked"), NULL) == 1);
    sonde_module_release(m);

    CHECK(sonde_batch_norm1d_new(&m, 2, 0, (double)NAN, false, true, SONDE_FLOAT64) == SONDE_OK);
    CHECK(m->n_parameters == 5 && sonde_module_parameter(m, "weight") == NULL);
    for (int i = 0; i < 3; i++) {
        CHECK(sonde_module_call1(m, x, &y) == SONDE_OK);
        sonde_tensor_release(y);
    }
    CHECK_NEAR(sonde_tensor_get(sonde_module_parameter(m, "running_var"), &(int64_t){1}), 8, 1e-14); /* their mean */
    sonde_module_release(m);

    CHECK(sonde_batch_norm1d_new(&m, 2, 0, 0.1, false, false, SONDE_FLOAT64) == SONDE_OK);
    CHECK(sonde_module_parameter(m, "running_mean") == NULL && sonde_module_train(m, false) == SONDE_OK);
    CHECK(sonde_module_call1(m, x, &y) == SONDE_OK &&
          fabs(at(y, 0, 1) + 1) < 1e-15); /* the batch's, in evaluation too */
    sonde_tensor_release(y);
    sonde_tensor_release(x);
    sonde_tensor_release(wrong);
    sonde_module_release(m);
    CHECK(sonde_batch_norm1d_new(&m, 0, 0, 0.1, true, true, SONDE_FLOAT64) == SONDE_EARG && says("num_features"));
    CHECK(sonde_batch_norm1d_new(&m, 2, 0, 1.5, true, true, SONDE_FLOAT64) == SONDE_EARG && says("momentum"));
}

/* ---- residual -------------------------------------------------------------------------------------------- */

/* x = (1, 2), block(x) = 3(x1 + x2) in both components = (9, 9). */
static void residual(void)
{
    sonde_module *m = NULL, *block = linear(2, 2, 3), *shortcut = linear(2, 2, 5);
    sonde_tensor *x = matrix(1, 2, (double[]){1, 2}), *y = NULL, *ones = matrix(1, 2, (double[]){1, 1});
    CHECK(sonde_requires_grad_(x, true) == SONDE_OK);
    CHECK(sonde_residual_new(&m, block, NULL, 0.5, false) == SONDE_OK && sonde_module_child(m, "block") == block);
    CHECK(sonde_module_call1(m, x, &y) == SONDE_OK && at(y, 0, 0) == 5.5 && at(y, 0, 1) == 6.5);
    CHECK(sonde_backward(y, ones, false) == SONDE_OK && at(sonde_grad(x), 0, 0) == 4); /* 1 + 0.5 · (3 + 3) */
    CHECK(at(sonde_grad(sonde_module_parameter(block, "weight")), 1, 1) == 1);         /* 0.5 · x2 */
    sonde_tensor_release(y);
    sonde_module_release(m);

    CHECK(sonde_residual_new(&m, block, shortcut, 0, true) == SONDE_OK &&
          sonde_module_child(m, "shortcut") == shortcut);
    sonde_tensor *scale = sonde_module_parameter(m, "scale");
    CHECK(scale->dtype == SONDE_FLOAT64 && scale->requires_grad && sonde_set_grad(x, NULL) == SONDE_OK);
    CHECK(sonde_module_call1(m, x, &y) == SONDE_OK && at(y, 0, 0) == 15);
    CHECK(sonde_backward(y, ones, false) == SONDE_OK && at(sonde_grad(x), 0, 1) == 10);
    CHECK(sonde_tensor_get(sonde_grad(scale), &(int64_t){0}) == 18);
    sonde_tensor_release(y);
    sonde_module_release(m);

    CHECK(sonde_residual_new(&m, block, NULL, (double)INFINITY, false) == SONDE_EARG && says("finite"));
    CHECK(sonde_residual_new(&m, NULL, NULL, 1, false) == SONDE_EARG && says("expected a block"));
    sonde_module_release(block);
    sonde_module_release(shortcut);
    sonde_tensor_release(x);
    sonde_tensor_release(ones);
}

static void residual_errors(void)
{
    sonde_module *m = NULL, *wide = linear(2, 3, 1), *relu = NULL, *net = NULL;
    sonde_tensor *x = matrix(1, 2, (double[]){1, 2}), *y = NULL;
    CHECK(sonde_residual_new(&m, wide, NULL, 1, false) == SONDE_OK);
    CHECK(sonde_sequential_new(&net) == SONDE_OK && sonde_sequential_add(net, "r1", m) == SONDE_OK);
    CHECK(sonde_module_call1(net, x, &y) == SONDE_ESHAPE);
    CHECK(says("layer 'r1' (Residual): the skip has shape [1, 2] but the block's result has shape [1, 3]"));
    sonde_module_release(m);
    sonde_module_release(wide);
    sonde_module_release(net);
    CHECK(sonde_activation_module_new(&relu, "ReLU", &(sonde_activation){.kind = SONDE_RELU}, true) == SONDE_OK);
    CHECK(sonde_residual_new(&m, relu, NULL, 1, false) == SONDE_OK);
    CHECK(sonde_module_call1(m, x, &y) == SONDE_ESTATE && says("overwrites its input"));
    sonde_tensor_release(x);
    sonde_module_release(m);
    sonde_module_release(relu);
}

/* ---- losses ---------------------------------------------------------------------------------------------- */

static void losses(void)
{
    sonde_module *ce = NULL, *mse = NULL, *bce = NULL;
    sonde_tensor *x = matrix(1, 2, (double[]){0, 0}), *t = matrix(1, 2, (double[]){1, 0}), *label = NULL;
    sonde_values out;
    CHECK(sonde_tensor_from(&label, SONDE_INT64, 1, &(int64_t){1}, &(int64_t){2}) == SONDE_OK);
    CHECK(sonde_cross_entropy_loss_new(&ce, NULL, 0, 0, SONDE_LOSS_MEAN) == SONDE_OK);
    CHECK(sonde_module_call(ce, &(sonde_values){2, {x, label}}, &out) == SONDE_OK);
    CHECK_NEAR(sonde_tensor_get(out.t[0], NULL), log(2), 1e-15);
    sonde_values_release(&out);
    CHECK(sonde_module_call(ce, &(sonde_values){1, {x}}, &out) == SONDE_EARG &&
          says("CrossEntropyLoss takes 2 arguments, got 1"));
    CHECK(sonde_mse_loss_new(&mse, SONDE_LOSS_SUM) == SONDE_OK);
    CHECK(sonde_module_call(mse, &(sonde_values){2, {x, t}}, &out) == SONDE_OK &&
          sonde_tensor_get(out.t[0], NULL) == 1);
    sonde_values_release(&out);
    CHECK(sonde_bce_with_logits_loss_new(&bce, NULL, t, SONDE_LOSS_MEAN) == SONDE_OK);
    CHECK(sonde_module_parameter(bce, "pos_weight") == t && sonde_module_parameter(bce, "weight") == NULL);
    CHECK(sonde_module_call(bce, &(sonde_values){2, {x, t}}, &out) == SONDE_OK);
    CHECK_NEAR(sonde_tensor_get(out.t[0], NULL), log(2), 1e-15);
    sonde_values_release(&out);
    sonde_module *none = NULL;
    CHECK(sonde_cross_entropy_loss_new(&none, label, 0, 0, SONDE_LOSS_MEAN) == SONDE_EDTYPE && says("weight"));
    CHECK(sonde_cross_entropy_loss_new(&none, NULL, 0, 2, SONDE_LOSS_MEAN) == SONDE_EARG && says("label_smoothing"));
    sonde_module *all[] = {ce, mse, bce};
    for (int i = 0; i < 3; i++) sonde_module_release(all[i]);
    sonde_tensor_release(x);
    sonde_tensor_release(t);
    sonde_tensor_release(label);
}

int main(void)
{
    CHECK_RUN(linear_layer);
    CHECK_RUN(flatten);
    CHECK_RUN(activations);
    CHECK_RUN(descriptions);
    CHECK_RUN(dropout);
    CHECK_RUN(batch_norm);
    CHECK_RUN(residual);
    CHECK_RUN(residual_errors);
    CHECK_RUN(losses);
    CHECK(sonde_module_live() == 0 && sonde_tensor_live() == 0);
    CHECK_END();
}
