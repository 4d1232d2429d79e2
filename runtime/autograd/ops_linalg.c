/* Solving, determinants, Cholesky, the matrix exponential. */
#include "autograd/matrices.h"

#include <math.h>

/* ---- solving --------------------------------------------------------------------------------------------- */

typedef struct solve_args {
    bool triangular, upper, unit;
} solve_args;

static sonde_status solve_shape(sonde_call *call)
{
    const sonde_tensor *a = call->in[0], *b = call->in[1];
    SONDE_TRY(need_matrices(call, 0, true));
    SONDE_TRY(need_matrices(call, 1, false));
    if (a->dtype != b->dtype)
        return sonde_fail(SONDE_EDTYPE, "%s: %s and %s: convert one of them", call->op->name,
                          sonde_dtype_name(a->dtype), sonde_dtype_name(b->dtype));
    if (rows_of(a) != rows_of(b)) {
        char left[SONDE_SHAPE_TEXT], right[SONDE_SHAPE_TEXT];
        return sonde_fail(SONDE_ESHAPE, "%s: %s and %s do not fit: expected as many rows in both", call->op->name,
                          sonde_shape_text(left, a->ndim, a->shape), sonde_shape_text(right, b->ndim, b->shape));
    }
    out_matrices(call, 0, rows_of(b), columns_of(b));
    return SONDE_OK;
}

static sonde_status solve_one(const solve_args *args, double *a, double *b, int64_t n, int64_t rights)
{
    if (args->triangular) return sonde_linalg_solve_triangular(a, b, n, rights, args->upper, args->unit);
    return sonde_linalg_solve(a, b, n, rights);
}

/* The batches are the same: see broadcast. */
static sonde_status solve_forward(sonde_call *call)
{
    const int64_t n = rows_of(call->in[0]), rights = columns_of(call->in[1]);
    const bool triangular = ((const solve_args *)call->args)->triangular;
    matrix_walk w, right;
    SONDE_TRY(walk_open(&w, call->op->name, call->in[0], n * n));
    sonde_status status = walk_open(&right, call->op->name, call->in[1], n * rights);
    if (status != SONDE_OK) {
        walk_close(&w);
        return status;
    }
    for (int64_t i = 0; status == SONDE_OK && i < w.n; i++) {
        bool finite = walk_load(&w, w.room, i);
        finite = walk_load(&right, right.room, i) && finite;
        if (finite || triangular) /* half of a triangular one is not read, so whatever it holds is no matter */
            status = walk_check(&w, i, solve_one(call->args, w.room, right.room, n, rights));
        else
            for (int64_t k = 0; k < n * rights; k++) right.room[k] = (double)NAN;
        walk_store(call->out[0], i, right.room, n, rights);
    }
    walk_close(&right);
    walk_close(&w);
    return status;
}

/* X = A⁻¹B:  dB = A⁻ᵀ dX,  dA = -dB Xᵀ, of a triangular A its triangle (Giles 2008, "Collected matrix derivative
 * results for forward and reverse mode algorithmic differentiation", 2.3.1) */
static sonde_status solve_backward(sonde_node *node)
{
    const solve_args *args = sonde_node_args(node);
    formula f = {0};
    sonde_tensor *a = f_t(&f, sonde_node_in(node, 0)), *x = sonde_node_out(node, 0), *dx = sonde_node_grad(node, 0);
    sonde_tensor *db = NULL;
    if (args->triangular)
        db = f_keep(&f, sonde_solve_triangular(&db, a, dx, !args->upper, args->unit), &db);
    else
        db = f_solve(&f, a, dx);
    if (sonde_node_needs(node, 1)) f_give(&f, node, 1, db);
    if (sonde_node_needs(node, 0)) {
        sonde_tensor *da = f_scale(&f, f_matmul(&f, db, f_t(&f, x)), -1);
        const int64_t off = args->unit ? 1 : 0;
        if (args->triangular) da = args->upper ? f_triu(&f, da, off) : f_tril(&f, da, -off);
        f_give(&f, node, 0, da);
    }
    return f_close(&f, NULL, NULL);
}

#define SOLVE(label)                                                                                                   \
    {                                                                                                                  \
        .name = label, .args_size = sizeof(solve_args), .saves = SONDE_SAVE_IN0 | SONDE_SAVE_OUT0,                     \
        .shape = solve_shape, .forward = solve_forward, .backward = solve_backward                                     \
    }
static const sonde_op solve_row = SOLVE("linalg.solve"), inv_row = SOLVE("linalg.inv"),
                      triangular_row = SOLVE("linalg.solve_triangular");

/* t with the batch axes of both, the matrix axes being its own. */
static sonde_tensor *broadcast(formula *f, sonde_tensor *t, int n_batch, const int64_t *batch)
{
    int64_t shape[SONDE_MAX_DIMS];
    for (int d = 0; d < n_batch; d++) shape[d] = batch[d];
    shape[n_batch] = rows_of(t);
    shape[n_batch + 1] = columns_of(t);
    sonde_tensor *out = NULL;
    return f_keep(f, sonde_expand(&out, t, n_batch + 2, shape), &out);
}

static sonde_status solve(sonde_tensor **out, const sonde_op *op, sonde_tensor *a, sonde_tensor *b,
                          const solve_args *args)
{
    const bool matrices = a->ndim >= 2 && b->ndim >= 2;
    const bool same = a->ndim == b->ndim &&
                      (!matrices || memcmp(a->shape, b->shape, (size_t)(a->ndim - 2) * sizeof *a->shape) == 0);
    if (!matrices || same) return sonde_apply(op, 2, (sonde_tensor *[]){a, b}, args, out);
    sonde_tensor left = *a, right = *b; /* only shapes are looked at */
    left.ndim -= 2;
    right.ndim -= 2;
    int n_batch;
    int64_t batch[SONDE_MAX_DIMS];
    formula f = {.status = sonde_shape_broadcast(&n_batch, batch, &left, &right)};
    sonde_tensor *in[2] = {NULL, NULL}, *x = NULL;
    if (f.status == SONDE_OK) {
        in[0] = broadcast(&f, a, n_batch, batch);
        in[1] = broadcast(&f, b, n_batch, batch);
    }
    if (in[0] && in[1]) x = f_keep(&f, sonde_apply(op, 2, in, args, &x), &x);
    return f_close(&f, out, x);
}

sonde_status sonde_solve(sonde_tensor **out, sonde_tensor *a, sonde_tensor *b)
{
    const solve_args args = {0};
    const bool vector = b->ndim == 1 || (b->ndim == a->ndim - 1 && a->ndim > 2 &&
                                         memcmp(a->shape, b->shape, (size_t)b->ndim * sizeof *a->shape) == 0);
    if (!vector) return solve(out, &solve_row, a, b, &args);
    formula f = {0};
    sonde_tensor *x = NULL, *y = NULL, *column = f_unsqueeze(&f, b, -1);
    if (column) x = f_keep(&f, solve(&x, &solve_row, a, column, &args), &x);
    if (x) y = f_keep(&f, sonde_squeeze(&y, x, &(int){-1}), &y);
    return f_close(&f, out, y);
}

sonde_status sonde_inv(sonde_tensor **out, sonde_tensor *a)
{
    formula f = {0};
    const int64_t n = a->ndim >= 2 ? rows_of(a) : 1;
    sonde_tensor *x = NULL, *eye = f_eye(&f, a->dtype, n, n);
    if (eye) x = f_keep(&f, solve(&x, &inv_row, a, eye, &(solve_args){0}), &x);
    return f_close(&f, out, x);
}

sonde_status sonde_solve_triangular(sonde_tensor **out, sonde_tensor *a, sonde_tensor *b, bool upper, bool unit)
{
    return solve(out, &triangular_row, a, b, &(solve_args){true, upper, unit});
}

/* ---- determinants ---------------------------------------------------------------------------------------- */

static sonde_status det_shape(sonde_call *call)
{
    SONDE_TRY(need_matrices(call, 0, true));
    for (int k = 0; k < call->n_out; k++) out_matrices(call, k, 0, 0);
    return SONDE_OK;
}

/* out[0]: the determinant; or, of two, its sign and the logarithm of its modulus. */
static sonde_status det_forward(sonde_call *call)
{
    const int64_t n = rows_of(call->in[0]);
    matrix_walk w;
    SONDE_TRY(walk_open(&w, call->op->name, call->in[0], n * n));
    sonde_status status = SONDE_OK;
    for (int64_t i = 0; status == SONDE_OK && i < w.n; i++) {
        double det = (double)NAN, sign = (double)NAN, log_abs = (double)NAN;
        if (walk_load(&w, w.room, i)) status = sonde_linalg_determinant(w.room, n, &det, &sign, &log_abs);
        status = walk_check(&w, i, status);
        walk_store(call->out[0], i, call->n_out == 1 ? &det : &sign, 1, 1);
        if (call->n_out == 2) walk_store(call->out[1], i, &log_abs, 1, 1);
    }
    walk_close(&w);
    return status;
}

/* dA = dy cof(A), and cof(A) = det(A) A⁻ᵀ exists where A⁻¹ does not (Magnus & Neudecker 2019, "Matrix differential
 * calculus", 8.3) */
static sonde_status det_backward(sonde_node *node)
{
    sonde_tensor *dy = sonde_node_grad(node, 0), *cofactors;
    const int64_t n = rows_of(sonde_node_in(node, 0));
    matrix_walk w;
    SONDE_TRY(sonde_tensor_like(&cofactors, sonde_node_in(node, 0)));
    sonde_status status = walk_open(&w, "the gradient of linalg.det", sonde_node_in(node, 0), 2 * n * n);
    if (status == SONDE_OK) {
        for (int64_t i = 0; status == SONDE_OK && i < w.n; i++) {
            double *cofactor = w.room + n * n;
            if (walk_load(&w, w.room, i))
                status = walk_check(&w, i, sonde_linalg_cofactors(cofactor, w.room, n));
            else
                for (int64_t k = 0; k < n * n; k++) cofactor[k] = (double)NAN;
            walk_store(cofactors, i, cofactor, n, n);
        }
        walk_close(&w);
    }
    formula f = {.status = status};
    if (status == SONDE_OK)
        f_give(&f, node, 0, f_mul(&f, cofactors, f_unsqueeze(&f, f_unsqueeze(&f, dy, -1), -1)));
    sonde_tensor_release(cofactors);
    return f_close(&f, NULL, NULL);
}

/* d log|det A| = tr(A⁻¹ dA):  dA = dy A⁻ᵀ (Giles 2008, 2.2.3) */
static sonde_status slogdet_backward(sonde_node *node)
{
    sonde_tensor *a = sonde_node_in(node, 0), *dy = sonde_node_grad(node, 1);
    if (!dy) return SONDE_OK; /* the sign does not change */
    const int64_t n = rows_of(a);
    formula f = {0};
    sonde_tensor *inverse = f_solve(&f, f_t(&f, a), f_eye(&f, a->dtype, n, n));
    f_give(&f, node, 0, f_mul(&f, inverse, f_unsqueeze(&f, f_unsqueeze(&f, dy, -1), -1)));
    return f_close(&f, NULL, NULL);
}

static const sonde_op det_row = {.name = "linalg.det", .saves = SONDE_SAVE_IN0, .shape = det_shape,
                                 .forward = det_forward, .backward = det_backward};
static const sonde_op slogdet_row = {.name = "linalg.slogdet", .n_out = 2, .saves = SONDE_SAVE_IN0, .shape = det_shape,
                                     .forward = det_forward, .backward = slogdet_backward};

sonde_status sonde_det(sonde_tensor **out, sonde_tensor *a)
{
    return sonde_apply(&det_row, 1, &a, NULL, out);
}

sonde_status sonde_slogdet(sonde_tensor **sign, sonde_tensor **log_abs, sonde_tensor *a)
{
    sonde_tensor *out[2];
    SONDE_TRY(sonde_apply(&slogdet_row, 1, &a, NULL, out));
    *sign = out[0];
    *log_abs = out[1];
    return SONDE_OK;
}

/* ---- square to square ------------------------------------------------------------------------------------ */

static sonde_status square_shape(sonde_call *call)
{
    SONDE_TRY(need_matrices(call, 0, true));
    out_like(call, 0, call->in[0]->dtype, call->in[0]);
    return SONDE_OK;
}

static sonde_status cholesky_forward(sonde_call *call)
{
    const int64_t n = rows_of(call->in[0]);
    matrix_walk w;
    SONDE_TRY(walk_open(&w, call->op->name, call->in[0], n * n));
    sonde_status status = SONDE_OK;
    for (int64_t i = 0; status == SONDE_OK && i < w.n; i++) {
        double *a = w.room;
        if (!walk_load(&w, a, i)) {
            status = walk_not_finite(&w, i);
            break;
        }
        for (int64_t r = 0; r < n; r++)
            for (int64_t c = 0; c < r; c++) a[c * n + r] = 0.5 * a[c * n + r] + 0.5 * a[r * n + c];
        status = walk_check(&w, i, sonde_linalg_cholesky(a, n));
        walk_store(call->out[0], i, a, n, n);
    }
    walk_close(&w);
    return status;
}

/* S = L⁻ᵀ Φ(Lᵀ dL) L⁻¹, dA = (S + Sᵀ)/2; Φ: the lower triangle, its diagonal halved (Murray 2016, "Differentiation of
 * the Cholesky decomposition", eq. 10) */
static sonde_status cholesky_backward(sonde_node *node)
{
    formula f = {0};
    sonde_tensor *l = sonde_node_out(node, 0), *dl = sonde_node_grad(node, 0), *lt = f_t(&f, l);
    sonde_tensor *product = f_matmul(&f, lt, dl);
    sonde_tensor *phi = f_scale(&f, f_add(&f, f_tril(&f, product, 0), f_tril(&f, product, -1)), 0.5);
    sonde_tensor *left = f_solve_triangular(&f, lt, phi, true);             /* L⁻ᵀ Φ */
    sonde_tensor *s = f_solve_triangular(&f, lt, f_t(&f, left), true); /* (L⁻ᵀ Φ L⁻¹)ᵀ */
    f_give(&f, node, 0, f_scale(&f, f_add(&f, s, f_t(&f, s)), 0.5));
    return f_close(&f, NULL, NULL);
}

static sonde_status exp_forward(sonde_call *call)
{
    const int64_t n = rows_of(call->in[0]);
    matrix_walk w;
    SONDE_TRY(walk_open(&w, call->op->name, call->in[0], n * n));
    sonde_status status = SONDE_OK;
    for (int64_t i = 0; status == SONDE_OK && i < w.n; i++) {
        walk_load(&w, w.room, i);
        status = walk_check(&w, i, sonde_linalg_exp(w.room, n));
        walk_store(call->out[0], i, w.room, n, n);
    }
    walk_close(&w);
    return status;
}

/* max |dY|, or 1 where that is no scale */
static sonde_status scale_of(double *scale, sonde_tensor *dy)
{
    sonde_tensor *largest;
    SONDE_TRY(sonde_reduce(&largest, SONDE_NORM, dy, 0, NULL, false, HUGE_VAL));
    *scale = sonde_tensor_get(largest, NULL);
    if (!isfinite(*scale) || *scale == 0) *scale = 1;
    sonde_tensor_release(largest);
    return SONDE_OK;
}

/* The Fréchet derivative's adjoint, linear in dY: dA is the upper right block of exp [[Aᵀ, dY], [0, Aᵀ]] (Higham 2008,
 * "Functions of matrices", 3.16), dY being brought to size 1, lest it decide on the scaling. */
static sonde_status exp_backward(sonde_node *node)
{
    sonde_tensor *dy = sonde_node_grad(node, 0);
    const int64_t n = rows_of(dy);
    double scale = 1;
    formula f = {.status = scale_of(&scale, dy)};
    sonde_tensor *at = f_t(&f, sonde_node_in(node, 0));
    sonde_tensor *top = f_cat(&f, at, f_scale(&f, dy, 1 / scale), -1);
    sonde_tensor *below = f_cat(&f, f_zeros(&f, dy->dtype, dy->ndim, dy->shape), at, -1);
    sonde_tensor *y = f_matrix_exp(&f, f_cat(&f, top, below, -2));
    f_give(&f, node, 0, f_scale(&f, f_narrow(&f, f_narrow(&f, y, -2, 0, n), -1, n, n), scale));
    return f_close(&f, NULL, NULL);
}

static const sonde_op cholesky_row = {.name = "linalg.cholesky", .saves = SONDE_SAVE_OUT0, .shape = square_shape,
                                      .forward = cholesky_forward, .backward = cholesky_backward};
static const sonde_op exp_row = {.name = "linalg.matrix_exp", .saves = SONDE_SAVE_IN0, .shape = square_shape,
                                 .forward = exp_forward, .backward = exp_backward};

sonde_status sonde_cholesky(sonde_tensor **out, sonde_tensor *a)
{
    return sonde_apply(&cholesky_row, 1, &a, NULL, out);
}

sonde_status sonde_matrix_exp(sonde_tensor **out, sonde_tensor *a)
{
    return sonde_apply(&exp_row, 1, &a, NULL, out);
}
