/* The module tree: names, paths, walking, printing, errors, conversion, memory. */
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

static sonde_module *linear(int64_t in, int64_t out)
{
    sonde_module *m = NULL;
    if (sonde_linear_new(&m, in, out, true, SONDE_FLOAT64) != SONDE_OK) abort();
    return m;
}

static sonde_module *activation(const char *name)
{
    sonde_module *m = NULL;
    sonde_activation f;
    if (sonde_activation_default(name, &f) != SONDE_OK || sonde_activation_module_new(&m, name, &f, false) != SONDE_OK)
        abort();
    return m;
}

static sonde_module *sequential(void)
{
    sonde_module *m = NULL;
    if (sonde_sequential_new(&m) != SONDE_OK) abort();
    return m;
}

/* Adds and gives away the caller's reference. */
static sonde_status add(sonde_module *net, const char *name, sonde_module *m)
{
    sonde_status status = sonde_sequential_add(net, name, m);
    sonde_module_release(m);
    return status;
}

static sonde_tensor *ones(int ndim, const int64_t *shape)
{
    sonde_tensor *t = NULL;
    if (sonde_tensor_full(&t, SONDE_FLOAT64, ndim, shape, 1) != SONDE_OK) abort();
    return t;
}

/* Sequential(h1: Linear, 2: Sigmoid, block: Sequential(1: Linear, 2: Tanh), out: Linear) */
static sonde_module *small_net(void)
{
    sonde_module *net = sequential(), *block = sequential();
    CHECK(add(net, "h1", linear(3, 4)) == SONDE_OK);
    CHECK(add(net, NULL, activation("Sigmoid")) == SONDE_OK);
    CHECK(add(block, NULL, linear(4, 4)) == SONDE_OK);
    CHECK(add(block, NULL, activation("Tanh")) == SONDE_OK);
    CHECK(add(net, "block", block) == SONDE_OK);
    CHECK(add(net, "out", linear(4, 2)) == SONDE_OK);
    return net;
}

static void names(void)
{
    sonde_module *net = small_net();
    CHECK(net->n_children == 4);
    CHECK(strcmp(net->children[1].name, "2") == 0);
    CHECK(sonde_module_child(net, "block") == net->children[2].module);
    CHECK(sonde_module_child(net, "1") == NULL);
    CHECK(add(net, "h1", activation("Tanh")) == SONDE_EARG && says("has a child 'h1' already"));
    CHECK(add(net, "a.b", activation("Tanh")) == SONDE_EARG && says("'a.b'"));
    CHECK(add(net, "", activation("Tanh")) == SONDE_EARG && says("empty"));
    CHECK(add(net, "6", activation("Tanh")) == SONDE_OK);
    CHECK(add(net, NULL, activation("Tanh")) == SONDE_EARG && says("has a child '6' already"));
    CHECK(sonde_module_set_child(net, "x", NULL) == SONDE_EARG && says("expected a module"));
    CHECK(net->n_children == 5);
    sonde_module_release(net);
}

static void cycles(void)
{
    sonde_module *outer = sequential(), *inner = sequential();
    CHECK(sonde_sequential_add(outer, NULL, outer) == SONDE_EARG && says("cannot contain itself"));
    CHECK(sonde_sequential_add(outer, NULL, inner) == SONDE_OK);
    CHECK(sonde_sequential_add(inner, NULL, outer) == SONDE_EARG && says("cannot contain itself"));
    sonde_module_release(inner);
    sonde_module_release(outer);
}

static void parameters(void)
{
    sonde_module *m = linear(3, 2);
    sonde_tensor *whole = NULL, *t = ones(1, (int64_t[]){2}), *result = NULL;
    CHECK(sonde_module_parameter(m, "weight")->requires_grad);
    CHECK(sonde_module_parameter(m, "nothing") == NULL);
    CHECK(sonde_tensor_zeros(&whole, SONDE_INT64, 1, (int64_t[]){2}) == SONDE_OK);
    CHECK(sonde_module_set_parameter(m, "n", whole, false) == SONDE_EDTYPE && says("'n'"));
    CHECK(sonde_module_set_parameter(m, "n", whole, true) == SONDE_OK);
    CHECK(sonde_binary_op(&result, SONDE_ADD, sonde_module_parameter(m, "bias"), t) == SONDE_OK);
    CHECK(sonde_module_set_parameter(m, "bias", result, false) == SONDE_ESTATE && says("must be a leaf"));
    CHECK(sonde_module_set_parameter(m, "bias", t, false) == SONDE_OK && sonde_module_parameter(m, "bias") == t);
    CHECK(m->n_parameters == 3);
    CHECK(sonde_module_set_child(m, "bias", m) == SONDE_EARG && says("has a parameter 'bias' already"));
    CHECK(sonde_module_set_parameter(m, "bias", NULL, false) == SONDE_OK && !sonde_module_parameter(m, "bias"));
    sonde_tensor_release(result);
    sonde_tensor_release(t);
    sonde_tensor_release(whole);
    sonde_module_release(m);
}

/* ---- walking --------------------------------------------------------------------------------------------- */

static sonde_status note(void *context, const char *path)
{
    char *text = context;
    strcat(strcat(text, path), "|");
    return strcmp(path, "stop") == 0 ? SONDE_EINTR : SONDE_OK;
}

static sonde_status note_module(void *context, const char *path, sonde_module *m)
{
    return note(context, path);
}

static sonde_status note_parameter(void *context, const char *path, sonde_module *owner, const sonde_parameter *p)
{
    CHECK(sonde_module_parameter(owner, p->name) == p->tensor);
    return note(context, path);
}

static void walking(void)
{
    sonde_module *net = small_net(), *shared = sonde_module_retain(sonde_module_child(net, "2"));
    char text[512] = "";
    CHECK(sonde_sequential_add(net, "again", shared) == SONDE_OK);
    CHECK(sonde_module_visit(net, note_module, text) == SONDE_OK);
    CHECK(strcmp(text, "|h1|2|block|block.1|block.2|out|") == 0);
    text[0] = '\0';
    CHECK(sonde_module_visit_parameters(net, false, note_parameter, text) == SONDE_OK);
    CHECK(strcmp(text, "h1.weight|h1.bias|block.1.weight|block.1.bias|out.weight|out.bias|") == 0);
    text[0] = '\0';
    CHECK(sonde_module_visit_parameters(net, true, note_parameter, text) == SONDE_OK && text[0] == '\0');
    CHECK(add(net, "stop", activation("ReLU")) == SONDE_OK && add(net, "beyond", activation("ReLU")) == SONDE_OK);
    CHECK(sonde_module_visit(net, note_module, text) == SONDE_EINTR);
    CHECK(strcmp(text, "|h1|2|block|block.1|block.2|out|stop|") == 0);
    CHECK(sonde_module_train(net, false) == SONDE_OK && !shared->training && !net->training);
    CHECK(sonde_module_requires_grad_(net, false) == SONDE_OK);
    CHECK(!sonde_module_parameter(sonde_module_child(net, "out"), "bias")->requires_grad);
    sonde_module_release(shared);
    sonde_module_release(net);
}

/* Two thousand names in one list: every module and every tensor once, whatever the set behind it does. */
static sonde_status count_one(void *context, const char *path, sonde_module *m)
{
    ++*(int *)context;
    return SONDE_OK;
}

static void many_children(void)
{
    sonde_module *net = sequential(), *shared = activation("Tanh");
    int n = 0;
    for (int i = 0; i < 1000; i++) {
        CHECK(add(net, NULL, activation("Sigmoid")) == SONDE_OK);
        CHECK(sonde_sequential_add(net, NULL, shared) == SONDE_OK);
    }
    CHECK(sonde_module_visit(net, count_one, &n) == SONDE_OK && n == 1002);
    sonde_module_release(shared);
    sonde_module_release(net);
}

static void depth(void)
{
    sonde_module *top = sequential(), *at = top;
    for (int i = 0; i < 100000; i++) { /* from the top down, so that no single addition sees the depth */
        sonde_module *inner = sequential();
        if (sonde_sequential_add(at, NULL, inner) != SONDE_OK) abort();
        at = inner;
        sonde_module_release(inner);
    }
    sonde_tensor *x = ones(1, (int64_t[]){3}), *y = NULL;
    char *text = NULL;
    CHECK(sonde_module_call1(top, x, &y) == SONDE_ESTATE && says("more than 200 deep"));
    CHECK(sonde_module_train(top, false) == SONDE_ESTATE && says("more than 200 deep"));
    CHECK(sonde_module_format(&text, top) == SONDE_ESTATE && says("more than 200 deep"));
    sonde_tensor_release(x);
    sonde_module_release(top);
}

/* ---- calling --------------------------------------------------------------------------------------------- */

static void calling(void)
{
    sonde_module *net = small_net(), *empty = sequential();
    sonde_tensor *x = ones(2, (int64_t[]){5, 3}), *y = NULL;
    sonde_values two = {.n = 2, .t = {x, x}}, out;
    CHECK(sonde_module_call1(net, x, &y) == SONDE_OK && y->shape[0] == 5 && y->shape[1] == 2);
    CHECK(y->requires_grad);
    sonde_tensor_release(y);
    CHECK(sonde_module_call(net, &two, &out) == SONDE_EARG && out.n == 0);
    CHECK(says("layer 'h1' (Linear): Linear takes 1 argument, got 2"));
    CHECK(sonde_module_call(empty, &two, &out) == SONDE_OK && out.n == 2 && out.t[1] == x);
    sonde_values_release(&out);
    CHECK(sonde_module_call(net, &(sonde_values){0}, &out) == SONDE_EARG && says("at least 1 argument, got 0"));
    CHECK(sonde_module_call(net, &(sonde_values){.n = 1}, &out) == SONDE_EARG && says("argument 1 is missing"));
    sonde_tensor_release(x);
    sonde_module_release(empty);
    sonde_module_release(net);
}

static void errors_name_the_layer(void)
{
    sonde_module *net = sequential(), *h3 = sequential(), *wrong = linear(7, 4);
    sonde_tensor *x = ones(2, (int64_t[]){5, 3}), *y = NULL;
    CHECK(add(net, "h1", linear(3, 4)) == SONDE_OK && add(h3, NULL, activation("Tanh")) == SONDE_OK);
    CHECK(sonde_sequential_add(h3, NULL, wrong) == SONDE_OK && add(net, "h3", h3) == SONDE_OK);
    CHECK(sonde_module_call1(net, x, &y) == SONDE_ESHAPE);
    CHECK(strncmp(sonde_message(), "layer 'h3.2' (Linear): ", 23) == 0 && says("[5, 4]") && says("[4, 7]"));
    CHECK(sonde_module_call1(wrong, x, &y) == SONDE_ESHAPE && strncmp(sonde_message(), "Linear: ", 8) == 0);
    sonde_tensor_release(x);
    sonde_module_release(wrong);
    sonde_module_release(net);
}

/* A host's layer calls a child itself: the name is found in the tree, and the depth of the path is right. */
static sonde_status host_forward(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    char path[64];
    const sonde_module *m = NULL;
    CHECK(sonde_module_calling(path, sizeof path, &m) && strcmp(path, "mine") == 0 && m == self);
    return sonde_module_call(self->children[0].module, in, out);
}

static const sonde_module_class host_class = {.name = "MyLayer", .forward = host_forward, .min_in = -1, .max_in = 8};

static void host_layers(void)
{
    sonde_module *net = sequential(), *mine = NULL, *fc = linear(7, 4);
    sonde_tensor *x = ones(2, (int64_t[]){5, 3}), *y = NULL;
    char path[8];
    const sonde_module *m = NULL;
    CHECK(!sonde_module_calling(path, sizeof path, &m));
    CHECK(sonde_module_new(&mine, &host_class, NULL) == SONDE_OK && sonde_module_set_child(mine, "fc", fc) == SONDE_OK);
    CHECK(add(net, "mine", mine) == SONDE_OK);
    CHECK(sonde_module_call1(net, x, &y) == SONDE_ESHAPE &&
          strncmp(sonde_message(), "layer 'mine.fc' (Linear): ", 26) == 0);
    sonde_tensor_release(x);
    sonde_module_release(fc);
    sonde_module_release(net);
}

/* A layer used twice gets both uses' gradients. */
static void shared_layer(void)
{
    sonde_module *net = sequential(), *fc = linear(1, 1);
    sonde_tensor *x = ones(2, (int64_t[]){1, 1}), *y = NULL, *w = sonde_module_parameter(fc, "weight");
    CHECK(sonde_sequential_add(net, NULL, fc) == SONDE_OK && sonde_sequential_add(net, NULL, fc) == SONDE_OK);
    CHECK(sonde_init_constant_(w, 3) == SONDE_OK &&
          sonde_init_constant_(sonde_module_parameter(fc, "bias"), 0.5) == SONDE_OK);
    CHECK(sonde_module_call1(net, x, &y) == SONDE_OK && sonde_backward(y, NULL, false) == SONDE_OK);
    CHECK_NEAR(sonde_tensor_get(y, (int64_t[]){0, 0}), 11, 0);              /* 3(3 + 0.5) + 0.5 */
    CHECK_NEAR(sonde_tensor_get(sonde_grad(w), (int64_t[]){0, 0}), 6.5, 0); /* 2w + b */
    CHECK(sonde_module_zero_grad(net) == SONDE_OK && sonde_grad(w) == NULL);
    sonde_tensor_release(x);
    sonde_tensor_release(y);
    sonde_module_release(fc);
    sonde_module_release(net);
}

/* ---- conversion and text --------------------------------------------------------------------------------- */

static void conversion(void)
{
    sonde_module *net = small_net(), *norm = NULL;
    sonde_tensor *x = ones(2, (int64_t[]){5, 3}), *x32 = NULL, *y = NULL;
    sonde_tensor *w = sonde_module_parameter(sonde_module_child(net, "h1"), "weight");
    CHECK(sonde_batch_norm1d_new(&norm, 2, 1e-5, 0.1, true, true, SONDE_FLOAT64) == SONDE_OK);
    CHECK(sonde_sequential_add(net, NULL, norm) == SONDE_OK);
    double before = sonde_tensor_get(w, (int64_t[]){1, 2});
    CHECK(sonde_module_call1(net, x, &y) == SONDE_OK && sonde_backward(y, y, false) == SONDE_OK);
    CHECK(sonde_module_to(net, SONDE_FLOAT32) == SONDE_OK);
    CHECK(w == sonde_module_parameter(sonde_module_child(net, "h1"), "weight") && w->dtype == SONDE_FLOAT32);
    CHECK(w->requires_grad && sonde_is_leaf(w) && sonde_grad(w)->dtype == SONDE_FLOAT32);
    CHECK(sonde_tensor_get(w, (int64_t[]){1, 2}) == (double)(float)before);
    CHECK(sonde_module_parameter(norm, "running_mean")->dtype == SONDE_FLOAT32);
    CHECK(sonde_module_parameter(norm, "num_batches_tracked")->dtype == SONDE_INT64);
    sonde_tensor_release(y);
    CHECK(sonde_tensor_to(&x32, x, SONDE_FLOAT32) == SONDE_OK && sonde_module_call1(net, x32, &y) == SONDE_OK);
    CHECK(y->dtype == SONDE_FLOAT32 && sonde_backward(y, y, false) == SONDE_OK);
    CHECK(sonde_module_to(net, SONDE_INT64) == SONDE_EDTYPE && says("int64"));
    sonde_tensor_release(x);
    sonde_tensor_release(x32);
    sonde_tensor_release(y);
    sonde_module_release(norm);
    sonde_module_release(net);
}

/* A parameter that is a view looks into its old tensor no more. */
static void conversion_of_a_view(void)
{
    sonde_module *m = sequential();
    sonde_tensor *whole = ones(1, (int64_t[]){4}), *view = NULL;
    CHECK(sonde_narrow(&view, whole, 0, 1, 2, 1) == SONDE_OK && sonde_requires_grad_(view, true) == SONDE_OK);
    CHECK(sonde_module_set_parameter(m, "w", view, false) == SONDE_OK && sonde_module_to(m, SONDE_FLOAT32) == SONDE_OK);
    CHECK(view->dtype == SONDE_FLOAT32 && view->base == NULL && sonde_init_constant_(view, 7) == SONDE_OK);
    CHECK(sonde_tensor_get(whole, (int64_t[]){1}) == 1 && sonde_tensor_get(view, (int64_t[]){0}) == 7);
    sonde_tensor_release(whole);
    sonde_tensor_release(view);
    sonde_module_release(m);
}

static void printing(void)
{
    sonde_module *net = small_net(), *branch = NULL, *skip = NULL;
    CHECK(sonde_residual_new(&branch, sonde_module_child(net, "block"), NULL, 0.5, false) == SONDE_OK);
    CHECK(sonde_flatten_new(&skip, 1, -1) == SONDE_OK && add(net, NULL, skip) == SONDE_OK);
    CHECK(add(net, NULL, branch) == SONDE_OK);
    char *text = NULL;
    CHECK(sonde_module_format(&text, net) == SONDE_OK);
    CHECK(strcmp(text, "Sequential(\n"
                       "  (h1): Linear(in_features=3, out_features=4, bias=true)\n"
                       "  (2): Sigmoid()\n"
                       "  (block): Sequential(\n"
                       "    (1): Linear(in_features=4, out_features=4, bias=true)\n"
                       "    (2): Tanh()\n"
                       "  )\n"
                       "  (out): Linear(in_features=4, out_features=2, bias=true)\n"
                       "  (5): Flatten(start_dim=2, end_dim=-1)\n"
                       "  (6): Residual(\n"
                       "    scale=0.5\n"
                       "    (block): Sequential(\n"
                       "      (1): Linear(in_features=4, out_features=4, bias=true)\n"
                       "      (2): Tanh()\n"
                       "    )\n"
                       "  )\n"
                       ")") == 0);
    sonde_free(text);
    sonde_module_release(net);
}

/* ---- memory ---------------------------------------------------------------------------------------------- */

static sonde_status build_and_call(void)
{
    sonde_module *net = NULL, *fc = NULL, *drop = NULL, *norm = NULL, *loss = NULL, *residual = NULL;
    sonde_tensor *x = NULL, *y = NULL, *value = NULL;
    char *text = NULL;
    sonde_status status = sonde_sequential_new(&net);
    if (status == SONDE_OK) status = sonde_linear_new(&fc, 3, 3, true, SONDE_FLOAT64);
    if (status == SONDE_OK) status = sonde_residual_new(&residual, fc, NULL, 0.1, true);
    if (status == SONDE_OK) status = sonde_sequential_add(net, "residual", residual);
    if (status == SONDE_OK) status = sonde_batch_norm1d_new(&norm, 3, 1e-5, 0.1, true, true, SONDE_FLOAT64);
    if (status == SONDE_OK) status = sonde_sequential_add(net, NULL, norm);
    if (status == SONDE_OK) status = sonde_dropout_new(&drop, 0.5);
    if (status == SONDE_OK) status = sonde_sequential_add(net, NULL, drop);
    if (status == SONDE_OK) status = sonde_mse_loss_new(&loss, SONDE_LOSS_MEAN);
    if (status == SONDE_OK) status = sonde_tensor_full(&x, SONDE_FLOAT64, 2, (int64_t[]){4, 3}, 0.5);
    if (status == SONDE_OK)
        status = sonde_init_orthogonal_(sonde_module_parameter(fc, "weight"), &(sonde_stream){0}, 1);
    if (status == SONDE_OK) status = sonde_module_call1(net, x, &y);
    sonde_values pair = {.n = 2, .t = {y, x}}, out = {0};
    if (status == SONDE_OK) status = sonde_module_call(loss, &pair, &out);
    value = out.t[0];
    if (status == SONDE_OK) status = sonde_backward(value, NULL, false);
    if (status == SONDE_OK) status = sonde_module_zero_grad(net);
    if (status == SONDE_OK) status = sonde_module_to(net, SONDE_FLOAT32);
    if (status == SONDE_OK) status = sonde_module_format(&text, net);
    sonde_free(text);
    sonde_tensor_release(x);
    sonde_tensor_release(y);
    sonde_tensor_release(value);
    sonde_module *all[] = {net, fc, drop, norm, loss, residual};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) sonde_module_release(all[i]);
    return status;
}

static void every_allocation_may_fail(void)
{
    CHECK(build_and_call() == SONDE_OK);
    long n = 1;
    for (sonde_status status = SONDE_ENOMEM; status != SONDE_OK && n < 10000; n++) {
        sonde_memory_fail_at(n);
        status = build_and_call();
        sonde_memory_fail_at(-1);
        CHECK(status == SONDE_OK || status == SONDE_ENOMEM);
        CHECK(sonde_module_live() == 0 && sonde_tensor_live() == 0);
    }
    CHECK(n > 50 && n < 10000);
}

int main(void)
{
    CHECK_RUN(names);
    CHECK_RUN(cycles);
    CHECK_RUN(parameters);
    CHECK_RUN(walking);
    CHECK_RUN(many_children);
    CHECK_RUN(depth);
    CHECK_RUN(calling);
    CHECK_RUN(errors_name_the_layer);
    CHECK_RUN(host_layers);
    CHECK_RUN(shared_layer);
    CHECK_RUN(conversion);
    CHECK_RUN(conversion_of_a_view);
    CHECK_RUN(printing);
    CHECK_RUN(every_allocation_may_fail);
    CHECK(sonde_module_live() == 0 && sonde_tensor_live() == 0);
    CHECK_END();
}
