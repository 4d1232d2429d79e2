/* Full backward hooks: values, replacement, in-place layers. */
#include "nn_scene.h"

/* ---- values -------------------------------------------------------------------------------------------- */

typedef struct gradients {
    int calls, n_in, n_out;
    bool in_is_null;
    double in[3], out[3];
    const double *replace_by;
} gradients;

static sonde_status note_gradients(void *context, sonde_module *m, const sonde_values *grad_in,
                                   const sonde_values *grad_out, sonde_values *replacement, bool *replaced)
{
    gradients *g = context;
    g->calls++;
    g->n_in = grad_in->n;
    g->n_out = grad_out->n;
    g->in_is_null = grad_in->t[0] == NULL;
    for (int i = 0; i < 3; i++) {
        g->in[i] = grad_in->t[0] ? at(grad_in->t[0], i) : 0;
        g->out[i] = at(grad_out->t[0], i);
    }
    if (!g->replace_by) return SONDE_OK;
    *replaced = true;
    *replacement = (sonde_values){.n = 1, .t = {row(3, g->replace_by)}};
    return SONDE_OK;
}

static void check_three(const double *got, double a, double b, double c)
{
    CHECK(got[0] == a && got[1] == b && got[2] == c);
}

static void backward(bool inplace)
{
    sonde_module *m = relu(inplace);
    scene s = scene_new();
    sonde_tensor *y = NULL;
    gradients g = {0}, later = {0};
    CHECK(sonde_module_add_backward_hook(m, note_gradients, &g, NULL, NULL) == SONDE_OK);
    CHECK(sonde_module_add_backward_hook(m, note_gradients, &later, NULL, NULL) == SONDE_OK);
    CHECK(sonde_module_call1(m, s.z, &y) == SONDE_OK && at(y, 0) == 0 && at(y, 2) == 6);
    CHECK(at(s.z, 0) == (inplace ? 0 : -2)); /* the caller's tensor is overwritten, as without hooks */
    CHECK(sum_backward(y, (double[]){10, 20, 30}) == SONDE_OK && g.calls == 1 && g.n_in == 1 && g.n_out == 1);
    check_three(g.out, 10, 20, 30);
    check_three(g.in, 0, 20, 30);
    CHECK(at(sonde_grad(s.x), 0) == 0 && at(sonde_grad(s.x), 1) == 40);
    sonde_tensor_release(y);
    scene_free(&s);

    s = scene_new();
    g.replace_by = (double[]){5, 6, 7};
    CHECK(sonde_module_call1(m, s.z, &y) == SONDE_OK && sum_backward(y, (double[]){10, 20, 30}) == SONDE_OK);
    check_three(later.in, 5, 6, 7); /* the second hook sees what the first made of it */
    CHECK(later.calls == 2 && at(sonde_grad(s.x), 0) == 10 && at(sonde_grad(s.x), 2) == 14);
    sonde_tensor_release(y);
    sonde_module_release(m);
    scene_free(&s);
}

static void backward_hook(void)
{
    backward(false);
}
static void backward_hook_on_inplace_layer(void)
{
    backward(true);
}

/* The next layer overwrites the hooked module's output. */
static void inplace_after(void)
{
    sonde_module *net = NULL, *hooked = NULL, *after = relu(true);
    scene s = scene_new();
    sonde_tensor *y = NULL;
    gradients g = {0};
    CHECK(sonde_activation_module_new(&hooked, "Tanh", &(sonde_activation){.kind = SONDE_TANH}, false) == SONDE_OK);
    CHECK(sonde_sequential_new(&net) == SONDE_OK && sonde_sequential_add(net, NULL, hooked) == SONDE_OK);
    CHECK(sonde_sequential_add(net, NULL, after) == SONDE_OK);
    CHECK(sonde_module_add_backward_hook(hooked, note_gradients, &g, NULL, NULL) == SONDE_OK);
    CHECK(sonde_module_call1(net, s.z, &y) == SONDE_OK && sum_backward(y, (double[]){1, 1, 1}) == SONDE_OK);
    check_three(g.out, 0, 1, 1); /* what relu lets through */
    double t = tanh(4);
    CHECK_NEAR(g.in[1], 1 - t * t, 1e-12);
    CHECK_NEAR(at(sonde_grad(s.x), 1), 2 * (1 - t * t), 1e-12);
    sonde_tensor_release(y);
    sonde_module_release(net);
    sonde_module_release(hooked);
    sonde_module_release(after);
    scene_free(&s);
}

/* The caller's tensor, overwritten by the hooked module, is used again: gradients as without the hook. */
static void overwritten_input_used_again(void)
{
    for (int hooked = 0; hooked < 2; hooked++) {
        sonde_module *m = relu(true);
        scene s = scene_new();
        sonde_tensor *y = NULL, *sum = NULL;
        gradients g = {0};
        if (hooked) CHECK(sonde_module_add_backward_hook(m, note_gradients, &g, NULL, NULL) == SONDE_OK);
        CHECK(sonde_module_call1(m, s.z, &y) == SONDE_OK && sonde_binary_op(&sum, SONDE_ADD, y, s.z) == SONDE_OK);
        CHECK(at(sum, 0) == 0 && at(sum, 1) == 8);
        CHECK(sum_backward(sum, (double[]){1, 1, 1}) == SONDE_OK);
        CHECK(at(sonde_grad(s.x), 0) == 0 && at(sonde_grad(s.x), 1) == 4);
        sonde_tensor_release(y);
        sonde_tensor_release(sum);
        sonde_module_release(m);
        scene_free(&s);
    }
}

/* The first layer: its input needs no gradient. */
static void no_gradient_in(void)
{
    sonde_module *fc = NULL;
    sonde_tensor *x = row(3, (double[]){1, 2, 3}), *y = NULL;
    gradients g = {0};
    CHECK(sonde_linear_new(&fc, 3, 3, true, SONDE_FLOAT64) == SONDE_OK);
    CHECK(sonde_module_add_backward_hook(fc, note_gradients, &g, NULL, NULL) == SONDE_OK);
    CHECK(sonde_module_call1(fc, x, &y) == SONDE_OK && sum_backward(y, (double[]){1, 2, 3}) == SONDE_OK);
    CHECK(g.calls == 1 && g.n_in == 1 && g.in_is_null);
    check_three(g.out, 1, 2, 3);
    sonde_tensor_release(y);
    g.replace_by = (double[]){0, 0, 0};
    CHECK(sonde_module_call1(fc, x, &y) == SONDE_OK && sum_backward(y, (double[]){1, 2, 3}) == SONDE_EARG);
    CHECK(says("none of its inputs"));
    sonde_tensor_release(y);
    sonde_tensor_release(x);
    sonde_module_release(fc);
}

static sonde_status wrong_shape(void *context, sonde_module *m, const sonde_values *grad_in,
                                const sonde_values *grad_out, sonde_values *replacement, bool *replaced)
{
    *replaced = true;
    *replacement = (sonde_values){.n = *(int *)context, .t = {row(2, (double[]){1, 2})}};
    return SONDE_OK;
}

static void wrong_replacement(void)
{
    sonde_module *m = relu(false);
    scene s = scene_new();
    sonde_tensor *y = NULL;
    int n = 1;
    CHECK(sonde_module_add_backward_hook(m, wrong_shape, &n, NULL, NULL) == SONDE_OK);
    CHECK(sonde_module_call1(m, s.z, &y) == SONDE_OK && sum_backward(y, (double[]){1, 1, 1}) == SONDE_ESHAPE);
    CHECK(says("ReLU") && says("[2]") && says("[3]"));
    sonde_tensor_release(y);
    scene_free(&s);
    s = scene_new();
    n = 2;
    CHECK(sonde_module_call1(m, s.z, &y) == SONDE_OK && sum_backward(y, (double[]){1, 1, 1}) == SONDE_EARG);
    CHECK(says("2 gradients for 1 inputs"));
    sonde_tensor_release(y);
    sonde_module_release(m);
    scene_free(&s);
}

/* A host's layer of two inputs, of which the second needs no gradient; it leaves what it computed on the way in view.
 */
static sonde_tensor *on_the_way;

static sonde_status two_inputs(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    SONDE_TRY(sonde_binary_op(&on_the_way, SONDE_MUL, in->t[0], in->t[1]));
    out->n = 1;
    return sonde_scalar_op(&out->t[0], SONDE_MUL, on_the_way, 3, false);
}

static const sonde_module_class two_inputs_class = {.name = "Two", .forward = two_inputs, .min_in = 2, .max_in = 2};

static void two_inputs_one_gradient(void)
{
    sonde_module *m = NULL;
    scene s = scene_new();
    sonde_tensor *factor = row(3, (double[]){1, 2, 3});
    sonde_values in = {.n = 2, .t = {factor, s.z}}, out;
    gradients g = {0};
    CHECK(sonde_module_new(&m, &two_inputs_class, NULL) == SONDE_OK);
    CHECK(sonde_module_add_backward_hook(m, note_gradients, &g, NULL, NULL) == SONDE_OK);
    CHECK(sonde_module_call(m, &in, &out) == SONDE_OK && sum_backward(out.t[0], (double[]){1, 1, 1}) == SONDE_OK);
    CHECK(g.calls == 1 && g.n_in == 2 && g.n_out == 1 && g.in_is_null);
    CHECK(at(sonde_grad(s.x), 2) == 18); /* 3 · 3 · 2 */
    sonde_tensor_release(on_the_way);
    sonde_values_release(&out);
    scene_free(&s);

    s = scene_new();
    in.t[1] = s.z;
    CHECK(sonde_module_call(m, &in, &out) == SONDE_OK);
    CHECK(sum_backward(on_the_way, (double[]){1, 1, 1}) == SONDE_ESTATE && says("without passing through its outputs"));
    sonde_tensor_release(on_the_way);
    sonde_values_release(&out);
    scene_free(&s);
    sonde_tensor_release(factor);
    sonde_module_release(m);
}

static void too_many_inputs(void)
{
    sonde_module *m = NULL;
    scene s = scene_new();
    sonde_values in = {.n = 5, .t = {s.x, s.x, s.x, s.x, s.x}}, out;
    gradients g = {0};
    CHECK(sonde_sequential_new(&m) == SONDE_OK);
    CHECK(sonde_module_add_backward_hook(m, note_gradients, &g, NULL, NULL) == SONDE_OK);
    CHECK(sonde_module_call(m, &in, &out) == SONDE_EARG && out.n == 0 && says("at most 4 tensors"));
    sonde_module_release(m);
    scene_free(&s);
}

/* ---- life ------------------------------------------------------------------------------------------------ */

/* A graph keeps a hooked module and its hooks alive. */
static void module_released_before_backward(void)
{
    sonde_module *m = relu(false);
    scene s = scene_new();
    sonde_tensor *y = NULL;
    gradients g = {0};
    CHECK(sonde_module_add_backward_hook(m, note_gradients, &g, NULL, NULL) == SONDE_OK);
    CHECK(sonde_module_call1(m, s.z, &y) == SONDE_OK);
    sonde_module_release(m);
    CHECK(sonde_module_live() == 1 && sum_backward(y, (double[]){1, 1, 1}) == SONDE_OK && g.calls == 1);
    sonde_tensor_release(y);
    CHECK(sonde_module_live() == 0);
    scene_free(&s);
}

static void look(void *context, sonde_module *m, const sonde_values *in, const sonde_values *out) {}

/* Everything a hooked call takes may fail without a leak. */
static void every_allocation_may_fail(void)
{
    long n = 1;
    for (sonde_status status = SONDE_ENOMEM; status != SONDE_OK && n < 1000; n++) {
        sonde_module *m = relu(true);
        scene s = scene_new();
        sonde_tensor *y = NULL, *w = row(3, (double[]){1, 1, 1});
        gradients g = {0};
        sonde_memory_fail_at(n);
        status = sonde_module_add_backward_hook(m, note_gradients, &g, NULL, NULL);
        if (status == SONDE_OK) status = sonde_module_watch(m, look, NULL, NULL, NULL);
        if (status == SONDE_OK) status = sonde_module_call1(m, s.z, &y);
        if (status == SONDE_OK) status = sonde_backward(y, w, false);
        sonde_memory_fail_at(-1);
        CHECK(status == SONDE_OK || status == SONDE_ENOMEM);
        sonde_tensor_release(w);
        sonde_tensor_release(y);
        sonde_module_release(m);
        scene_free(&s);
        CHECK(sonde_module_live() == 0 && sonde_tensor_live() == 0);
    }
    CHECK(n > 10 && n < 1000);
}

int main(void)
{
    CHECK_RUN(backward_hook);
    CHECK_RUN(backward_hook_on_inplace_layer);
    CHECK_RUN(inplace_after);
    CHECK_RUN(overwritten_input_used_again);
    CHECK_RUN(no_gradient_in);
    CHECK_RUN(wrong_replacement);
    CHECK_RUN(two_inputs_one_gradient);
    CHECK_RUN(too_many_inputs);
    CHECK_RUN(module_released_before_backward);
    CHECK_RUN(every_allocation_may_fail);
    CHECK(sonde_module_live() == 0 && sonde_tensor_live() == 0);
    CHECK_END();
}
