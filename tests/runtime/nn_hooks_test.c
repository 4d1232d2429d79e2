/* Forward hooks and watchers of modules: order, replacement, removal while being called. */
#include "nn_scene.h"

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
    CHECK(sum_backward(y, (double[]){1, 1, 1}) == SONDE_OK && at(sonde_grad(s.x), 1) == 4 &&
          at(sonde_grad(s.x), 0) == 0);
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

static void count_free(void *context)
{
    ((life *)context)->freed++;
}

static void removal_while_called(void)
{
    life l = {.m = relu(false)};
    scene s = scene_new();
    sonde_tensor *y = NULL;
    CHECK(sonde_module_add_forward_hook(l.m, remove_self, &l, count_free, &l.own) == SONDE_OK);
    CHECK(sonde_module_add_forward_hook(l.m, count_call, &l, NULL, NULL) == SONDE_OK);
    CHECK(sonde_module_call1(l.m, s.z, &y) == SONDE_OK && l.calls == 101 && l.freed == 1); /* the added one waits */
    sonde_tensor_release(y);
    CHECK(sonde_module_call1(l.m, s.z, &y) == SONDE_OK && l.calls == 301);
    sonde_tensor_release(y);
    sonde_module_release(l.m); /* the handle outlives the module */
    sonde_handle_remove(l.added);
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

int main(void)
{
    CHECK_RUN(forward_order);
    CHECK_RUN(failing_hook);
    CHECK_RUN(removal_while_called);
    CHECK_RUN(watched_inplace);
    CHECK(sonde_module_live() == 0 && sonde_tensor_live() == 0);
    CHECK_END();
}
