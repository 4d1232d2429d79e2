/* Nothing is left behind: long chains, abandoned graphs, every allocation failing in turn; and many steps in flat
 * memory. */
#include "autograd_lab.h"

static const sonde_activation tanh_kind = {SONDE_TANH, 0, 0};

/* 200,000 nodes in a row: neither discovery nor freeing may use the stack for them. */
static void test_long_chains(void)
{
    enum { LENGTH = 200000 };
    for (int abandoned = 0; abandoned < 2; abandoned++) {
        sonde_tensor *x = lab_number(1, true), *h = sonde_tensor_retain(x);
        for (int i = 0; i < LENGTH; i++) {
            sonde_tensor *next;
            if (sonde_scalar_op(&next, SONDE_ADD, h, 1, false) != SONDE_OK) abort();
            sonde_tensor_release(h);
            h = next;
        }
        CHECK(lab_at(h, 0) == 1 + LENGTH);
        if (!abandoned) {
            OK(sonde_backward(h, NULL, false));
            CHECK(lab_grad(x, 0) == 1);
        }
        RELEASE(h, x);
        CHECK(sonde_memory().live_blocks == 0);
    }
}

/* A wide graph: 2^n paths, n nodes; each node must run once. */
static void test_diamonds(void)
{
    sonde_tensor *x = lab_number(1, true), *h = sonde_tensor_retain(x);
    for (int i = 0; i < 60; i++) {
        sonde_tensor *next;
        OK(sonde_binary_op(&next, SONDE_ADD, h, h));
        sonde_tensor_release(h);
        h = next;
    }
    OK(sonde_backward(h, NULL, false));
    CHECK(lab_grad(x, 0) == 0x1p60);
    RELEASE(h, x);
}

/* A graph that changes tensors in place and uses them again holds no circle. */
static void test_no_cycles(void)
{
    for (int run = 0; run < 2; run++) {
        sonde_tensor *w = lab_number(3, true), *x, *y, *row, *rows;
        OK(sonde_scalar_op(&x, SONDE_MUL, w, 2, false));
        OK(sonde_binary_op(&y, SONDE_MUL, x, w)); /* saves x */
        OK(sonde_binary_op_(SONDE_ADD, x, y));    /* x's new value reads y */
        OK(sonde_activate_(&tanh_kind, x));       /* saves its own result */
        OK(sonde_tensor_zeros(&rows, SONDE_FLOAT64, SHAPE(2, 1)));
        OK(sonde_select(&row, rows, 0, 0));
        OK(sonde_assign_(row, x));
        OK(sonde_binary_op_(SONDE_MUL, rows, x));
        RELEASE(w, x, y, row, rows);
        CHECK(sonde_tensor_live() == 0 && sonde_memory().live_blocks == 0);
    }
}

typedef struct step {
    sonde_tensor *x, *labels, *w1, *b1, *w2, *gain, *shift;
} step;

static sonde_status ignore(void *context, sonde_tensor *gradient, sonde_tensor **replacement)
{
    return sonde_scalar_op(replacement, SONDE_MUL, gradient, 2, false);
}

/* linear, batch norm, an in-place activation, dropout, a view written into, a branch, cross-entropy; then backward with
 * hooks. */
static sonde_status small_step(step *s)
{
    sonde_tensor *t[9] = {NULL};
    sonde_stream stream;
    sonde_stream_init(&stream, 1, "step");
    sonde_handle *handle = NULL;
    sonde_status status = sonde_linear(&t[0], s->x, s->w1, s->b1);
    if (status == SONDE_OK) status = sonde_batch_norm(&t[1], t[0], s->gain, s->shift, NULL, NULL, true, 0.1, 1e-5);
    if (status == SONDE_OK) status = sonde_activate_(&tanh_kind, t[1]);
    if (status == SONDE_OK) status = sonde_dropout(&t[2], t[1], 0.25, &stream);
    if (status == SONDE_OK) status = sonde_narrow(&t[3], t[2], 1, 0, 2, 1);
    if (status == SONDE_OK) status = sonde_scalar_op_(SONDE_MUL, t[3], 0.5);
    if (status == SONDE_OK) status = sonde_binary_op(&t[4], SONDE_MUL, t[2], s->gain);
    if (status == SONDE_OK) status = sonde_einsum(&t[5], "ni,ci->nc", 2, (sonde_tensor *[]){t[4], s->w2});
    if (status == SONDE_OK) status = sonde_cross_entropy(&t[6], t[5], s->labels, NULL, 0, 0.1, SONDE_LOSS_MEAN);
    if (status == SONDE_OK) status = sonde_add_grad_hook(s->w2, ignore, NULL, NULL, &handle);
    if (status == SONDE_OK) status = sonde_retain_grad(t[4]);
    if (status == SONDE_OK) status = sonde_backward(t[6], NULL, false);
    sonde_handle_remove(handle);
    lab_release(9, t);
    return status;
}

static step new_step(void)
{
    step s = {.x = lab_tensor(SONDE_FLOAT64, SHAPE(4, 3), false), .w1 = lab_tensor(SONDE_FLOAT64, SHAPE(5, 3), true),
              .b1 = lab_tensor(SONDE_FLOAT64, SHAPE(5), true), .w2 = lab_tensor(SONDE_FLOAT64, SHAPE(3, 5), true),
              .gain = lab_tensor(SONDE_FLOAT64, SHAPE(5), true), .shift = lab_tensor(SONDE_FLOAT64, SHAPE(5), true)};
    OK(sonde_tensor_from(&s.labels, SONDE_INT64, SHAPE(4), (int64_t[]){1, 2, 3, 1}));
    return s;
}

static void end_step(step *s) { RELEASE(s->x, s->labels, s->w1, s->b1, s->w2, s->gain, s->shift); }

static void clear_grads(step *s)
{
    sonde_tensor *all[] = {s->w1, s->b1, s->w2, s->gain, s->shift};
    for (int i = 0; i < 5; i++) OK(sonde_set_grad(all[i], NULL));
}

static void test_failing_allocations(void)
{
    step s = new_step();
    OK(small_step(&s)); /* what is made once (leaf values, transposed copies) exists from here on */
    double expected[5] = {lab_grad(s.w1, 0), lab_grad(s.b1, 1), lab_grad(s.w2, 2), lab_grad(s.gain, 3),
                          lab_grad(s.shift, 4)};
    clear_grads(&s);
    int64_t tensors = sonde_tensor_live();
    size_t blocks = sonde_memory().live_blocks;
    bool done = false;
    int n = 1;
    for (; n < 2000 && !done; n++) {
        sonde_memory_fail_at(n);
        sonde_status status = small_step(&s);
        sonde_memory_fail_at(-1);
        done = status == SONDE_OK;
        if (!done && !CHECK(status == SONDE_ENOMEM)) printf("       allocation %d: %s\n", n, sonde_message());
        if (done) break;
        clear_grads(&s);
        if (!CHECK(sonde_tensor_live() == tensors && sonde_memory().live_blocks == blocks)) {
            printf("       after allocation %d failed: %lld tensors, %zu blocks left\n", n,
                   (long long)(sonde_tensor_live() - tensors), sonde_memory().live_blocks - blocks);
            break;
        }
    }
    CHECK(done && n > 40);
    CHECK(lab_grad(s.w1, 0) == expected[0] && lab_grad(s.b1, 1) == expected[1] && lab_grad(s.w2, 2) == expected[2]);
    CHECK(lab_grad(s.gain, 3) == expected[3] && lab_grad(s.shift, 4) == expected[4]);
    end_step(&s);
}

static void test_flat_memory(void)
{
    step s = new_step();
    size_t blocks = 0, bytes = 0;
    for (int i = 0; i < 2000; i++) {
        if (small_step(&s) != SONDE_OK) abort();
        if (i == 10) blocks = sonde_memory().live_blocks, bytes = sonde_memory().live_bytes;
    }
    CHECK(sonde_memory().live_blocks == blocks && sonde_memory().live_bytes == bytes);
    end_step(&s);
}

int main(void)
{
    CHECK_RUN(test_long_chains);
    CHECK_RUN(test_diamonds);
    CHECK_RUN(test_no_cycles);
    CHECK_RUN(test_failing_allocations);
    CHECK_RUN(test_flat_memory);
    LAB_END();
}
