/* Hooks and watchers of modules: order, replacement, in-place layers, removal while being called. */
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

static sonde_tensor *row(int n, const double *values)
{
    sonde_tensor *t = NULL;
    if (sonde_tensor_from(&t, SONDE_FLOAT64, 1, &(int64_t){n}, values) != SONDE_OK) abort();
    return t;
}

static double at(const sonde_tensor *t, int64_t i) { return sonde_tensor_get(t, &i); }

static sonde_module *relu(bool inplace)
{
    sonde_module *m = NULL;
    if (sonde_activation_module_new(&m, "ReLU", &(sonde_activation){.kind = SONDE_RELU}, inplace) != SONDE_OK) abort();
    return m;
}

/* x requires a gradient; z = 2x is what goes into the module, so that in-place layers may write into it. */
typedef struct scene {
    sonde_tensor *x, *z;
} scene;

static scene scene_new(void)
{
    scene s = {.x = row(3, (double[]){-1, 2, 3})};
    if (sonde_requires_grad_(s.x, true) != SONDE_OK || sonde_scalar_op(&s.z, SONDE_MUL, s.x, 2, false) != SONDE_OK) abort();
    return s;
}

static void scene_free(scene *s)
{
    sonde_tensor_release(s->x);
    sonde_tensor_release(s->z);
}

static sonde_status sum_backward(sonde_tensor *y, const double *weights)
{
    sonde_tensor *w = row(3, weights);
    sonde_status status = sonde_backward(y, w, false);
    sonde_tensor_release(w);
    return status;
}

/* ---- forward --------------------------------------------------------------------------------------------- */

static char trace[64];

static sonde_status pre_double(void *context, sonde_module *m, const sonde_values *in, sonde_values *replacement,
                               bool *replaced)
{
    strcat(trace, "p");
    *replaced = true;
    replacement->n = 1;
    return sonde_scalar_op(&replacement->t[0], SONDE_MUL, in->t[0], 2, false);
}

static sonde_status add_one(void *context, sonde_module *m, const sonde_values *in, const sonde_values *out,
                            sonde_values *replacement, bool *replaced)
{
    strcat(trace, "h");
    *replaced = true;
    replacement->n = 1;
    return sonde_scalar_op(&replacement->t[0], SONDE_ADD, out->t[0], 1, false);
}

static void watch(void *context, sonde_module *m, const sonde_values *in, const sonde_values *out)
{
    strcat(trace, "w");
    double *seen = context;
    seen[0] = at(in->t[0], 1);
    seen[1] = at(out->t[0], 1);
}

static void forward_order(void)
{
    sonde_module *m = relu(false);
    scene s = scene_new();
    sonde_tensor *y = NULL;
    double seen[2];
    sonde_handle *pre, *after, *watcher;
    CHECK(sonde_module_watch(m, watch, seen, NULL, &watcher) == SONDE_OK);
    CHECK(sonde_module_add_forward_hook(m, add_one, NULL, NULL, &after) == SONDE_OK);
    CHECK(sonde_module_add_forward_pre_hook(m, pre_double, NULL, NULL, &pre) == SONDE_OK);
    trace[0] = '\0';
    CHECK(sonde_module_call1(m, s.z, &y) == SONDE_OK && strcmp(trace, "phw") == 0);
    CHECK(at(y, 1) == 9 && at(y, 0) == 1 && seen[0] == 8 && seen[1] == 9); /* relu(2 · 4) + 1 */
    CHECK(sum_backward(y, (double[]){1, 1, 1}) == SONDE_OK && at(sonde_grad(s.x), 1) == 4 && at(sonde_grad(s.x), 0) == 0);
    sonde_tensor_release(y);
    sonde_handle_remove(pre);
    sonde_handle_remove(after);
    sonde_handle_remove(watcher);
    CHECK(sonde_module_call1(m, s.x, &y) == SONDE_OK && at(y, 1) == 2 && strcmp(trace, "phw") == 0);
    sonde_tensor_release(y);
    sonde_module_release(m);
    scene_free(&s);
}

static sonde_status refuse(void *context, sonde_module *m, const sonde_values *in, const sonde_values *out,
                           sonde_values *replacement, bool *replaced)
{
    return sonde_fail(SONDE_ECALLBACK, "the host said no");
}

static void failing_hook(void)
{
    sonde_module *m = relu(false);
    scene s = scene_new();
    sonde_values out;
    CHECK(sonde_module_add_forward_hook(m, refuse, NULL, NULL, NULL) == SONDE_OK);
    CHECK(sonde_module_call(m, &(sonde_values){.n = 1, .t = {s.z}}, &out) == SONDE_ECALLBACK && out.n == 0);
    CHECK(strcmp(sonde_message(), "the host said no") == 0);
    sonde_module_release(m);
    scene_free(&s);
}

/* ---- backward -------------------------------------------------------------------------------------------- */

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

static void backward_hook(void) { backward(false); }
static void backward_hook_on_inplace_layer(void) { backward(true); }

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

static sonde_status wrong_shape(void *context, sonde_module *m, const sonde_values *grad_in, const sonde_values *grad_out,
                                sonde_values *replacement, bool *replaced)
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

/* ---- life ------------------------------------------------------------------------------------------------ */

typedef struct life {
    sonde_module *m;
    sonde_handle *own, *added;
    int calls, freed;
} life;

static sonde_status count_call(void *context, sonde_module *m, const sonde_values *in, const sonde_values *out,
                               sonde_values *replacement, bool *replaced)
{
    ((life *)context)->calls += 100;
    return SONDE_OK;
}

static sonde_status remove_self(void *context, sonde_module *m, const sonde_values *in, const sonde_values *out,
                                sonde_values *replacement, bool *replaced)
{
    life *l = context;
    CHECK(l->freed == 0);
    l->calls++;
    if (!l->own) return SONDE_OK;
    sonde_handle_remove(l->own);
    l->own = NULL;
    CHECK(l->freed == 0); /* the context lives until the call is over */
    return sonde_module_add_forward_hook(m, count_call, l, NULL, &l->added);
}

static void count_free(void *context) { ((life *)context)->freed++; }

static void removal_while_called(void)
{
    life l = {.m = relu(false)};
    scene s = scene_new();
    sonde_tensor *y = NULL;
    CHECK(sonde_module_add_forward_hook(l.m, remove_self, &l, count_free, &l.own) == SONDE_OK);
    CHECK(sonde_module_call1(l.m, s.z, &y) == SONDE_OK && l.calls == 1 && l.freed == 1); /* the added one waits */
    sonde_tensor_release(y);
    CHECK(sonde_module_call1(l.m, s.z, &y) == SONDE_OK && l.calls == 101);
    sonde_tensor_release(y);
    sonde_module_release(l.m); /* the handle outlives the module */
    sonde_handle_remove(l.added);
    scene_free(&s);
}

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

/* What a watcher sees of an in-place layer is what went in, not what came out. */
static void watched_inplace(void)
{
    sonde_module *m = relu(true);
    sonde_tensor *x = row(3, (double[]){1, -2, 3}), *y = NULL;
    double seen[2];
    CHECK(sonde_module_watch(m, watch, seen, NULL, NULL) == SONDE_OK);
    CHECK(sonde_module_call1(m, x, &y) == SONDE_OK && seen[0] == -2 && seen[1] == 0 && y == x);
    sonde_tensor_release(x);
    sonde_tensor_release(y);
    sonde_module_release(m);
}

/* Everything a hooked call takes may fail without a leak. */
static void every_allocation_may_fail(void)
{
    long n = 1;
    for (sonde_status status = SONDE_ENOMEM; status != SONDE_OK && n < 1000; n++) {
        sonde_module *m = relu(true);
        scene s = scene_new();
        sonde_tensor *y = NULL, *w = row(3, (double[]){1, 1, 1});
        gradients g = {0};
        double seen[2];
        sonde_memory_fail_at(n);
        status = sonde_module_add_backward_hook(m, note_gradients, &g, NULL, NULL);
        if (status == SONDE_OK) status = sonde_module_watch(m, watch, seen, NULL, NULL);
        if (status == SONDE_OK) status = sonde_module_call1(m, s.z, &y);
        if (status == SONDE_OK) status = sonde_backward(y, w, false);
        sonde_memory_fail_at(-1);
        trace[0] = '\0';
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
    CHECK_RUN(forward_order);
    CHECK_RUN(failing_hook);
    CHECK_RUN(backward_hook);
    CHECK_RUN(backward_hook_on_inplace_layer);
    CHECK_RUN(inplace_after);
    CHECK_RUN(overwritten_input_used_again);
    CHECK_RUN(no_gradient_in);
    CHECK_RUN(wrong_replacement);
    CHECK_RUN(removal_while_called);
    CHECK_RUN(module_released_before_backward);
    CHECK_RUN(watched_inplace);
    CHECK_RUN(every_allocation_may_fail);
    CHECK(sonde_module_live() == 0 && sonde_tensor_live() == 0);
    CHECK_END();
}
