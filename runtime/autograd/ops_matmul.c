#include "autograd/rows.h"

/* torch.matmul: vectors are rows or columns, leading axes are batches and broadcast. */

/* One operand, seen as a batch of matrices. */
typedef struct matrices {
    int64_t rows, columns;
    int64_t row_stride, column_stride;
    int n_batch;                      /* leading axes */
    const int64_t *batch_shape, *batch_stride;
} matrices;

static matrices seen(const sonde_tensor *t, bool left)
{
    if (t->ndim == 1) {
        if (left) return (matrices){1, t->shape[0], t->shape[0], t->stride[0], 0, NULL, NULL};
        return (matrices){t->shape[0], 1, t->stride[0], 1, 0, NULL, NULL};
    }
    const int r = t->ndim - 2, c = t->ndim - 1;
    return (matrices){t->shape[r], t->shape[c], t->stride[r], t->stride[c], r, t->shape, t->stride};
}

/* The batch axes of the result. */
typedef struct batch {
    int ndim;
    int64_t shape[SONDE_MAX_DIMS], n;
} batch;

static bool broadcast_batches(batch *out, const matrices *a, const matrices *b)
{
    out->ndim = a->n_batch > b->n_batch ? a->n_batch : b->n_batch;
    out->n = 1;
    for (int d = 0; d < out->ndim; d++) {
        const int of_a = d - (out->ndim - a->n_batch), of_b = d - (out->ndim - b->n_batch);
        const int64_t size_a = of_a < 0 ? 1 : a->batch_shape[of_a], size_b = of_b < 0 ? 1 : b->batch_shape[of_b];
        if (size_a != size_b && size_a != 1 && size_b != 1) return false;
        out->shape[d] = size_a == 1 ? size_b : size_a;
        out->n *= out->shape[d];
    }
    return true;
}

/* Where the operand's matrix number i of the result's batch starts. */
static int64_t batch_offset(const batch *all, const matrices *m, int64_t i)
{
    int64_t offset = 0;
    for (int d = all->ndim - 1; d >= 0; d--) {
        const int own = d - (all->ndim - m->n_batch);
        const int64_t at = i % all->shape[d];
        i /= all->shape[d];
        if (own >= 0 && m->batch_shape[own] != 1) offset += at * m->batch_stride[own];
    }
    return offset;
}

static sonde_status matmul_shape(sonde_call *call)
{
    const sonde_tensor *a = call->in[0], *b = call->in[1];
    char text_a[SONDE_SHAPE_TEXT], text_b[SONDE_SHAPE_TEXT];
    sonde_shape_text(text_a, a->ndim, a->shape);
    sonde_shape_text(text_b, b->ndim, b->shape);
    if (a->ndim == 0 || b->ndim == 0)
        return sonde_fail(SONDE_ESHAPE, "matmul: a number is no matrix: %s and %s", text_a, text_b);
    SONDE_TRY(need_float(call, 0));
    SONDE_TRY(need_float(call, 1));
    if (a->dtype != b->dtype)
        return sonde_fail(SONDE_EDTYPE, "matmul: %s and %s: convert one of them", sonde_dtype_name(a->dtype),
                          sonde_dtype_name(b->dtype));
    const matrices ma = seen(a, true), mb = seen(b, false);
    batch all;
    if (ma.columns != mb.rows || !broadcast_batches(&all, &ma, &mb))
        return sonde_fail(SONDE_ESHAPE, "matmul: shapes %s and %s do not fit", text_a, text_b);
    int n = 0;
    for (; n < all.ndim; n++) call->out_shape[0][n] = all.shape[n];
    if (a->ndim > 1) call->out_shape[0][n++] = ma.rows;
    if (b->ndim > 1) call->out_shape[0][n++] = mb.columns;
    call->out_ndim[0] = n;
    call->out_dtype[0] = a->dtype;
    if (!a->requires_grad) call->saves &= ~(uint32_t)SONDE_SAVE_IN1;
    if (!b->requires_grad) call->saves &= ~(uint32_t)SONDE_SAVE_IN0;
    return SONDE_OK;
}

/* A matrix as BLAS can take it: rows or columns adjacent in memory. */
typedef struct form {
    bool fits, transposed;
    int64_t ld;
} form;

static form form_of(const matrices *m)
{
    if ((m->column_stride == 1 || m->columns <= 1) && (m->row_stride >= m->columns || m->rows <= 1))
        return (form){true, false, m->rows <= 1 && m->row_stride < m->columns ? m->columns : m->row_stride};
    if ((m->row_stride == 1 || m->rows <= 1) && (m->column_stride >= m->rows || m->columns <= 1))
        return (form){true, true, m->columns <= 1 && m->column_stride < m->rows ? m->rows : m->column_stride};
    return (form){false, false, 0};
}

static sonde_status usable(sonde_tensor **out, sonde_tensor *t, bool left)
{
    const matrices m = seen(t, left);
    if (!form_of(&m).fits) return sonde_tensor_clone(out, t);
    *out = sonde_tensor_retain(t);
    return SONDE_OK;
}

static char *at(const sonde_tensor *t, int64_t offset)
{
    return (char *)sonde_tensor_data(t) + (size_t)offset * sonde_dtype_size(t->dtype);
}

static matrices transposed(matrices m)
{
    return (matrices){m.columns, m.rows, m.column_stride, m.row_stride, m.n_batch, m.batch_shape, m.batch_stride};
}

/* C (+)= A B for every matrix of the batch; where C is broadcast (its batch offsets repeat) it must be added to. */
static void multiply(const sonde_tensor *c, const matrices *mc, const sonde_tensor *a, const matrices *ma,
                     const sonde_tensor *b, const matrices *mb, const batch *all, bool add)
{
    const form fa = form_of(ma), fb = form_of(mb);
    for (int64_t i = 0; i < all->n; i++)
        sonde_matmul_kernel(c->dtype, at(c, batch_offset(all, mc, i)), at(a, batch_offset(all, ma, i)),
                            at(b, batch_offset(all, mb, i)), ma->rows, mb->columns, ma->columns, fa.ld, fb.ld,
                            mb->columns, fa.transposed, fb.transposed, add);
}

/* Batches of a against one matrix: one tall product. */
static void join_rows(matrices *a, matrices *c, const sonde_tensor *ta, const sonde_tensor *tb, batch *all)
{
    if (tb->ndim > 2 || ta->ndim < 3 || !sonde_tensor_is_contiguous(ta)) return;
    a->rows = c->rows = a->rows * all->n;
    a->row_stride = a->columns;
    a->n_batch = c->n_batch = all->ndim = 0;
    all->n = 1;
}

/* The result with the axis of a vector put back. */
static matrices result_of(const matrices *a, const matrices *b, const batch *all, int64_t stride[SONDE_MAX_DIMS])
{
    int64_t step = a->rows * b->columns;
    for (int d = all->ndim - 1; d >= 0; d--) {
        stride[d] = step;
        step *= all->shape[d];
    }
    return (matrices){a->rows, b->columns, b->columns, 1, all->ndim, all->shape, stride};
}

static sonde_status matmul_forward(sonde_call *call)
{
    sonde_tensor *a, *b;
    SONDE_TRY(usable(&a, call->in[0], true));
    sonde_status status = usable(&b, call->in[1], false);
    if (status == SONDE_OK) {
        matrices ma = seen(a, true), mb = seen(b, false);
        batch all;
        int64_t stride[SONDE_MAX_DIMS];
        broadcast_batches(&all, &ma, &mb);
        matrices mc = result_of(&ma, &mb, &all, stride);
        join_rows(&ma, &mc, a, b, &all);
        multiply(call->out[0], &mc, a, &ma, b, &mb, &all, false);
        sonde_tensor_release(b);
    }
    sonde_tensor_release(a);
    return status;
}

static int64_t batches_of(const matrices *m)
{
    int64_t n = 1;
    for (int d = 0; d < m->n_batch; d++) n *= m->batch_shape[d];
    return n;
}

/* side 0: dA (+)= dC Bᵀ; side 1: dB (+)= Aᵀ dC */
static sonde_status give_side(sonde_node *node, int side, const sonde_tensor *dy, const sonde_tensor *other)
{
    sonde_tensor *target;
    bool add;
    SONDE_TRY(sonde_node_target(node, side, &target, &add));
    matrices m = seen(target, side == 0), mo = seen(other, side != 0);
    int64_t stride[SONDE_MAX_DIMS];
    batch all;
    broadcast_batches(&all, side == 0 ? &m : &mo, side == 0 ? &mo : &m);
    matrices mc = result_of(side == 0 ? &m : &mo, side == 0 ? &mo : &m, &all, stride);
    const bool shared = batches_of(&m) != all.n || all.n == 0;
    if (shared && !add) SONDE_TRY(sonde_tensor_fill_(target, 0));
    if (side == 0) {
        matrices t = transposed(mo), whole = m;
        if (!shared) join_rows(&mc, &whole, dy, other, &all);
        multiply(target, &whole, dy, &mc, other, &t, &all, add || shared);
    } else {
        if (batches_of(&m) == 1 && m.n_batch == 0) join_rows(&mo, &mc, other, target, &all);
        const matrices t = transposed(mo);
        multiply(target, &m, other, &t, dy, &mc, &all, add || shared);
    }
    return SONDE_OK;
}

static sonde_status matmul_backward(sonde_node *node)
{
    sonde_tensor *dy = sonde_node_grad(node, 0);
    for (int side = 0; side < 2; side++) {
        if (!sonde_node_needs(node, side)) continue;
        sonde_tensor *other;
        SONDE_TRY(usable(&other, sonde_node_in(node, 1 - side), side != 0));
        sonde_status status = give_side(node, side, dy, other);
        sonde_tensor_release(other);
        SONDE_TRY(status);
    }
    return SONDE_OK;
}

static const sonde_op matmul_row = {.name = "matmul", .saves = SONDE_SAVE_IN0 | SONDE_SAVE_IN1, .shape = matmul_shape,
                                    .forward = matmul_forward, .backward = matmul_backward};

sonde_status sonde_matmul(sonde_tensor **out, sonde_tensor *a, sonde_tensor *b)
{
    return sonde_apply(&matmul_row, 2, (sonde_tensor *[]){a, b}, NULL, out);
}
