/* The engine: recording, accumulation, retained and freed graphs, versions, in-place changes, hooks, watchers. */
#include "autograd_lab.h"

static const sonde_activation tanh_kind = {SONDE_TANH, 0, 0};

static void test_accumulates_over_backwards(void)
{
    sonde_tensor *x = lab_from((double[]){1, 2, 3}, SHAPE(3), true), *y;
    for (int pass = 1; pass <= 3; pass++) {
        OK(sonde_unary_op(&y, SONDE_SQUARE, x));
        OK(lab_sum_backward(y, false));
        for (int64_t i = 0; i < 3; i++) CHECK_NEAR(lab_grad(x, i), 2.0 * (double)(i + 1) * pass, 1e-15);
    }
    OK(sonde_set_grad(x, NULL));
    CHECK(sonde_grad(x) == NULL);
    RELEASE(x);
}

/* y = x*x + sin(x) + Σx · x */
static void test_shared_use(void)
{
    sonde_tensor *x = lab_from((double[]){0.5, -1, 2}, SHAPE(3), true), *a, *b, *s, *c, *d, *y;
    OK(sonde_binary_op(&a, SONDE_MUL, x, x));
    OK(sonde_unary_op(&b, SONDE_SIN, x));
    OK(sonde_reduce(&s, SONDE_SUM, x, 0, NULL, false, 0));
    OK(sonde_binary_op(&c, SONDE_MUL, s, x));
    OK(sonde_binary_op(&d, SONDE_ADD, a, b));
    OK(sonde_binary_op(&y, SONDE_ADD, d, c));
    OK(lab_sum_backward(y, false));
    for (int64_t i = 0; i < 3; i++) CHECK_NEAR(lab_grad(x, i), 2 * lab_at(x, i) + cos(lab_at(x, i)) + 2 * 1.5, 1e-14);
    RELEASE(x, a, b, s, c, d);
}

/* One gradient given to two leaves: adding to the one must not change the other. */
static void test_gradients_are_apart(void)
{
    sonde_tensor *a = lab_number(1, true), *b = lab_number(2, true), *y;
    for (int pass = 1; pass <= 2; pass++) {
        OK(sonde_binary_op(&y, SONDE_ADD, a, b));
        OK(sonde_backward(y, NULL, false));
        RELEASE(y);
    }
    CHECK(lab_grad(a, 0) == 2 && lab_grad(b, 0) == 2);
    OK(sonde_scalar_op(&y, SONDE_MUL, a, 5, false));
    OK(sonde_backward(y, NULL, false));
    CHECK(lab_grad(a, 0) == 7 && lab_grad(b, 0) == 2);
    RELEASE(a, b, y);
    sonde_tensor *x = lab_number(3, true), *z, *w; /* a leaf used twice by one node, and its sum used twice above */
    OK(sonde_binary_op(&z, SONDE_ADD, x, x));
    OK(sonde_binary_op(&w, SONDE_MUL, z, z));
    OK(sonde_backward(w, NULL, false));
    CHECK(lab_grad(x, 0) == 24);
    RELEASE(x, z, w);
}

static void test_no_grad_and_detach(void)
{
    sonde_tensor *x = lab_number(2, true), *y, *z, *plain;
    bool was = sonde_grad_enable(false);
    CHECK(was && !sonde_grad_enabled());
    OK(sonde_unary_op(&y, SONDE_EXP, x));
    CHECK(!y->requires_grad && sonde_is_leaf(y));
    sonde_grad_enable(was);
    OK(sonde_unary_op(&z, SONDE_EXP, x));
    CHECK(z->requires_grad && !sonde_is_leaf(z) && strcmp(sonde_grad_op_name(z), "exp") == 0);
    OK(sonde_detach(&plain, z));
    CHECK(!plain->requires_grad && sonde_tensor_data(plain) == sonde_tensor_data(z));
    CHECK(sonde_backward(plain, NULL, false) == SONDE_ESTATE);
    CHECK(sonde_requires_grad_(z, false) == SONDE_ESTATE && strstr(sonde_message(), "exp"));
    OK(sonde_detach_(z));
    CHECK(sonde_is_leaf(z) && !z->requires_grad);
    sonde_tensor *n = lab_tensor(SONDE_INT64, SHAPE(2), false);
    CHECK(sonde_requires_grad_(n, true) == SONDE_EDTYPE);
    RELEASE(x, y, z, plain, n);
}

static void test_second_backward(void)
{
    sonde_tensor *x = lab_number(0.3, true), *y;
    OK(sonde_activate(&y, &tanh_kind, x));
    OK(sonde_backward(y, NULL, true));
    OK(sonde_backward(y, NULL, false));
    CHECK_NEAR(lab_grad(x, 0), 2 * (1 - tanh(0.3) * tanh(0.3)), 1e-14);
    CHECK(sonde_backward(y, NULL, false) == SONDE_ESTATE);
    CHECK(strstr(sonde_message(), "second time") && strstr(sonde_message(), "tanh") &&
          strstr(sonde_message(), "retain_graph"));
    CHECK_NEAR(lab_grad(x, 0), 2 * (1 - tanh(0.3) * tanh(0.3)), 1e-14); /* nothing was added */
    RELEASE(x, y);
}

static void test_bad_roots(void)
{
    sonde_tensor *x = lab_tensor(SONDE_FLOAT64, SHAPE(2, 2), true), *y, *g = lab_tensor(SONDE_FLOAT64, SHAPE(2), false);
    OK(sonde_unary_op(&y, SONDE_NEG, x));
    CHECK(sonde_backward(y, NULL, false) == SONDE_ESHAPE && strstr(sonde_message(), "[2, 2]"));
    CHECK(sonde_backward(y, g, false) == SONDE_ESHAPE && strstr(sonde_message(), "[2]"));
    sonde_tensor *seed = lab_tensor(SONDE_FLOAT32, SHAPE(2, 2), false); /* another float dtype is converted */
    OK(sonde_backward(y, seed, false));
    CHECK(lab_grad(x, 3) == -(double)((float *)sonde_tensor_data(seed))[3]);
    OK(sonde_set_grad(x, NULL));
    sonde_tensor *one = lab_number(4, true); /* a leaf is its own root */
    OK(sonde_backward(one, NULL, false));
    CHECK(lab_grad(one, 0) == 1);
    RELEASE(x, y, g, seed, one);
}

static void test_changed_in_place(void)
{
    sonde_tensor *x = lab_tensor(SONDE_FLOAT64, SHAPE(3), true), *y;
    OK(sonde_activate(&y, &tanh_kind, x));
    sonde_tensor *plain;
    OK(sonde_detach(&plain, y));
    OK(sonde_scalar_op_(SONDE_MUL, plain, 2));
    RELEASE(plain);
    CHECK(lab_sum_backward(sonde_tensor_retain(y), false) == SONDE_ESTATE);
    CHECK(strstr(sonde_message(), "'tanh'") && strstr(sonde_message(), "changed in place") &&
          strstr(sonde_message(), "expected 0"));
    CHECK(sonde_grad(x) == NULL);
    RELEASE(x, y);
}

static void test_in_place_on_results(void)
{
    sonde_tensor *x = lab_from((double[]){0.5, -0.25}, SHAPE(2), true), *w = lab_from((double[]){3, 4}, SHAPE(2), true),
                 *y;
    OK(sonde_scalar_op(&y, SONDE_MUL, x, 2, false)); /* y = 2x */
    OK(sonde_binary_op_(SONDE_MUL, y, w));           /* y = 2xw: reads the old y for w's gradient */
    OK(sonde_activate_(&tanh_kind, y));              /* y = tanh(2xw) */
    CHECK(strcmp(sonde_grad_op_name(y), "tanh") == 0);
    OK(lab_sum_backward(y, false));
    for (int64_t i = 0; i < 2; i++) {
        double t = tanh(2 * lab_at(x, i) * lab_at(w, i)), slope = 1 - t * t;
        CHECK_NEAR(lab_grad(x, i), 2 * lab_at(w, i) * slope, 1e-14);
        CHECK_NEAR(lab_grad(w, i), 2 * lab_at(x, i) * slope, 1e-14);
    }
    CHECK(sonde_scalar_op_(SONDE_ADD, x, 1) == SONDE_ESTATE && strstr(sonde_message(), "leaf"));
    bool was = sonde_grad_enable(false);
    OK(sonde_scalar_op_(SONDE_ADD, x, 1)); /* an optimiser's step */
    sonde_grad_enable(was);
    CHECK(sonde_is_leaf(x) && lab_at(x, 0) == 1.5);
    sonde_tensor *n = lab_tensor(SONDE_INT64, SHAPE(2), false);
    CHECK(sonde_scalar_op_(SONDE_DIV, n, 2) == SONDE_EDTYPE);
    sonde_tensor *wide = lab_tensor(SONDE_FLOAT64, SHAPE(3, 2), false);
    CHECK(sonde_binary_op_(SONDE_ADD, x, wide) == SONDE_ESHAPE || sonde_grad_enabled());
    RELEASE(x, w, n, wide);
}

/* h = zeros; h[1] = a; h[0:2] *= 3 — the buffer follows what was written into its views. */
static void test_in_place_on_views(void)
{
    sonde_tensor *h, *a = lab_from((double[]){1, 2}, SHAPE(2), true), *row, *top, *stale, *out;
    OK(sonde_tensor_zeros(&h, SONDE_FLOAT64, SHAPE(3, 2)));
    OK(sonde_select(&row, h, 0, 1));
    OK(sonde_assign_(row, a));
    CHECK(h->requires_grad && lab_at(h, 2) == 1 && lab_at(h, 3) == 2);
    OK(sonde_narrow(&stale, h, 0, 0, 1, 1));
    OK(sonde_narrow(&top, h, 0, 0, 2, 1));
    OK(sonde_scalar_op_(SONDE_MUL, top, 3));
    CHECK(lab_at(h, 2) == 3);
    CHECK(sonde_unary_op(&out, SONDE_NEG, stale) == SONDE_ESTATE && strstr(sonde_message(), "take the view again"));
    OK(sonde_unary_op(&out, SONDE_SQUARE, h));
    OK(lab_sum_backward(out, true));
    CHECK_NEAR(lab_grad(a, 0), 2 * 3 * 3, 1e-14); /* d (3a)²/da = 18 a */
    CHECK_NEAR(lab_grad(a, 1), 2 * 3 * 6, 1e-14);
    OK(sonde_set_grad(a, NULL));
    RELEASE(row, stale);
    OK(sonde_activate(&out, &tanh_kind, top)); /* the view itself stands for the new value */
    OK(lab_sum_backward(out, false));
    CHECK_NEAR(lab_grad(a, 1), 3 * (1 - tanh(6) * tanh(6)), 1e-12);
    RELEASE(h, top, a);
    sonde_tensor *leaf = lab_tensor(SONDE_FLOAT64, SHAPE(4), true), *part, *wide;
    OK(sonde_narrow(&part, leaf, 0, 0, 2, 1));
    CHECK(sonde_scalar_op_(SONDE_MUL, part, 2) == SONDE_ESTATE);
    OK(sonde_expand(&wide, leaf, SHAPE(2, 4)));
    CHECK(sonde_scalar_op_(SONDE_MUL, wide, 2) == SONDE_ESTATE);
    RELEASE(leaf, part, wide);
}

/* ---- hooks ----------------------------------------------------------------------------------------------- */

typedef struct witness {
    int calls, freed;
    double seen, factor;
    int *order, mark;
} witness;

static sonde_status hook(void *context, sonde_tensor *gradient, sonde_tensor **replacement)
{
    witness *w = context;
    w->calls++;
    w->seen = lab_at(gradient, 0);
    if (w->order) *w->order = *w->order * 10 + w->mark;
    return w->factor == 0 ? SONDE_OK : sonde_scalar_op(replacement, SONDE_MUL, gradient, w->factor, false);
}

static void watcher(void *context, const sonde_tensor *gradient)
{
    witness *w = context;
    w->calls++;
    w->seen = lab_at(gradient, 0);
    if (w->order) *w->order = *w->order * 10 + w->mark;
}

static void gone(void *context) { ((witness *)context)->freed++; }

static void test_hooks(void)
{
    int order = 0;
    witness first = {.factor = 3, .order = &order, .mark = 1}, second = {.order = &order, .mark = 2};
    witness seen = {.order = &order, .mark = 3}, middle = {.factor = 0};
    sonde_handle *handle;
    sonde_tensor *x = lab_number(2, true), *y, *z;
    OK(sonde_add_grad_hook(x, hook, &first, gone, &handle));
    OK(sonde_add_grad_hook(x, hook, &second, gone, NULL));
    OK(sonde_watch_grad(x, watcher, &seen, gone, NULL));
    OK(sonde_unary_op(&y, SONDE_SQUARE, x));
    OK(sonde_add_grad_hook(y, hook, &middle, gone, NULL));
    OK(sonde_retain_grad(y));
    OK(sonde_binary_op(&z, SONDE_ADD, y, x));
    OK(sonde_backward(z, NULL, false));
    CHECK(order == 123);
    CHECK(first.seen == 5 && second.seen == 15 && seen.seen == 15 && middle.calls == 1 && middle.seen == 1);
    CHECK(lab_grad(x, 0) == 15 && lab_grad(y, 0) == 1);
    CHECK(middle.freed == 1); /* on a result it dies with the graph */
    RELEASE(y, z);
    sonde_handle_remove(handle);
    CHECK(first.freed == 1);
    OK(sonde_unary_op(&y, SONDE_SQUARE, x));
    OK(sonde_backward(y, NULL, false));
    CHECK(first.calls == 1 && second.seen == 4);
    CHECK(lab_grad(x, 0) == 19 && seen.seen == 19); /* what is in .grad, earlier accumulation included */
    RELEASE(x, y);
    CHECK(second.freed == 1 && seen.freed == 1);
}

static sonde_status bad_hook(void *context, sonde_tensor *gradient, sonde_tensor **replacement)
{
    if (context) return sonde_fail(SONDE_ECALLBACK, "the hook says no");
    return sonde_tensor_zeros(replacement, SONDE_FLOAT64, SHAPE(5));
}

static sonde_status nested_hook(void *context, sonde_tensor *gradient, sonde_tensor **replacement)
{
    return sonde_backward(context, NULL, false);
}

static void test_hooks_that_fail(void)
{
    sonde_tensor *x = lab_number(2, true), *y, *other = lab_number(1, true);
    sonde_handle *handle;
    struct {
        sonde_grad_hook hook;
        void *context;
        sonde_status expected;
    } cases[] = {{bad_hook, NULL, SONDE_ESHAPE}, {bad_hook, x, SONDE_ECALLBACK}, {nested_hook, other, SONDE_ESTATE}};
    for (int i = 0; i < 3; i++) {
        OK(sonde_unary_op(&y, SONDE_SQUARE, x));
        OK(sonde_add_grad_hook(x, cases[i].hook, cases[i].context, NULL, &handle));
        CHECK(sonde_backward(y, NULL, false) == cases[i].expected);
        CHECK(sonde_grad(x) == NULL && sonde_grad_enabled());
        sonde_handle_remove(handle);
        RELEASE(y);
    }
    OK(sonde_unary_op(&y, SONDE_SQUARE, x)); /* and all is well afterwards */
    OK(sonde_backward(y, NULL, false));
    CHECK(lab_grad(x, 0) == 4);
    sonde_tensor *plain = lab_number(1, false);
    CHECK(sonde_add_grad_hook(plain, hook, NULL, NULL, NULL) == SONDE_ESTATE);
    RELEASE(x, y, other, plain);
}

/* A watcher registered on a value keeps watching it when the tensor is changed in place. */
static void test_watching_before_a_change(void)
{
    witness before = {0}, after = {0};
    sonde_tensor *x = lab_number(0.5, true), *y;
    OK(sonde_scalar_op(&y, SONDE_MUL, x, 2, false));
    OK(sonde_watch_grad(y, watcher, &before, NULL, NULL));
    OK(sonde_scalar_op_(SONDE_MUL, y, 10));
    OK(sonde_watch_grad(y, watcher, &after, NULL, NULL));
    OK(sonde_backward(y, NULL, false));
    CHECK(before.seen == 10 && after.seen == 1 && before.calls == 1 && after.calls == 1);
    RELEASE(x, y);
}

static int begun, ended;
static void begin(void *context) { begun++; }
static void end(void *context, sonde_status status) { ended += status == SONDE_OK; }

static void test_gradients_and_observers(void)
{
    sonde_autograd_observer observer = {.backward_begin = begin, .backward_end = end};
    witness quiet = {0};
    sonde_tensor *x = lab_number(3, true), *w = lab_number(4, true), *h, *y, *got[3];
    OK(sonde_binary_op(&h, SONDE_MUL, x, w));
    OK(sonde_unary_op(&y, SONDE_SQUARE, h));
    OK(sonde_watch_grad(x, watcher, &quiet, NULL, NULL));
    sonde_autograd_observe(&observer);
    sonde_tensor *apart = lab_number(1, true);
    OK(sonde_gradients(y, NULL, 3, (sonde_tensor *[]){x, h, apart}, true, got));
    CHECK(lab_at(got[0], 0) == 96 && lab_at(got[1], 0) == 24 && got[2] == NULL);
    CHECK(!sonde_grad(x) && !sonde_grad(w) && !sonde_grad(h) && quiet.calls == 0 && begun == 0);
    RELEASE(got[0], got[1]);
    OK(sonde_gradients(y, NULL, 1, &h, false, got)); /* below h nothing runs, so nothing there is freed */
    CHECK(lab_at(got[0], 0) == 24);
    RELEASE(got[0]);
    OK(sonde_backward(h, NULL, false));
    CHECK(lab_grad(x, 0) == 4 && begun == 1 && ended == 1 && quiet.seen == 4);
    sonde_autograd_unobserve(&observer);
    RELEASE(x, w, h, y, apart);
}

/* A backward that is only watched: each .grad is the same tensor with the same bits afterwards, or none again. */
static void test_backward_aside(void)
{
    sonde_autograd_observer observer = {.backward_begin = begin, .backward_end = end};
    witness seen = {0};
    sonde_tensor *x = lab_number(3, true), *w = lab_number(4, true), *y = NULL;
    begun = ended = 0;
    OK(sonde_unary_op(&y, SONDE_SQUARE, x));
    OK(sonde_backward(y, NULL, false));
    RELEASE(y);
    const sonde_tensor *before = sonde_grad(x);
    const uint32_t version = before->storage->version;
    OK(sonde_watch_grad(x, watcher, &seen, NULL, NULL));
    OK(sonde_binary_op(&y, SONDE_MUL, x, w));
    sonde_autograd_observe(&observer);
    OK(sonde_backward_aside(y));
    CHECK(seen.calls == 1 && seen.seen == 4 && begun == 1 && ended == 1); /* 4, not 6 + 4 */
    CHECK(sonde_grad(x) == before && before->storage->version == version && lab_grad(x, 0) == 6 && !sonde_grad(w));
    CHECK(sonde_backward_aside(y) == SONDE_ESTATE); /* the graph is spent */
    CHECK(sonde_grad(x) == before && lab_grad(x, 0) == 6 && !sonde_grad(w));
    sonde_autograd_unobserve(&observer);
    RELEASE(x, w, y);
}

int main(void)
{
    CHECK_RUN(test_accumulates_over_backwards);
    CHECK_RUN(test_shared_use);
    CHECK_RUN(test_gradients_are_apart);
    CHECK_RUN(test_no_grad_and_detach);
    CHECK_RUN(test_second_backward);
    CHECK_RUN(test_bad_roots);
    CHECK_RUN(test_changed_in_place);
    CHECK_RUN(test_in_place_on_results);
    CHECK_RUN(test_in_place_on_views);
    CHECK_RUN(test_hooks);
    CHECK_RUN(test_hooks_that_fail);
    CHECK_RUN(test_watching_before_a_change);
    CHECK_RUN(test_gradients_and_observers);
    CHECK_RUN(test_backward_aside);
    LAB_END();
}
