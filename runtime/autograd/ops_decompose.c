/* QR, singular values, eigenvalues. */
#include "autograd/matrices.h"

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- QR -------------------------------------------------------------------------------------------------- */

typedef struct qr_args {
    bool complete;
} qr_args;

static sonde_status qr_shape(sonde_call *call)
{
    SONDE_TRY(need_matrices(call, 0, false));
    const int64_t m = rows_of(call->in[0]), n = columns_of(call->in[0]);
    const int64_t k = ((const qr_args *)call->args)->complete ? m : smaller(m, n);
    out_matrices(call, 0, m, k);
    out_matrices(call, 1, k, n);
    return SONDE_OK;
}

static sonde_status qr_forward(sonde_call *call)
{
    const int64_t m = rows_of(call->in[0]), n = columns_of(call->in[0]), k = rows_of(call->out[1]);
    matrix_walk w;
    SONDE_TRY(walk_open(&w, call->op->name, call->in[0], m * n + m * k + k * n + smaller(m, n)));
    double *a = w.room, *q = a + m * n, *r = q + m * k, *tau = r + k * n;
    sonde_status status = SONDE_OK;
    for (int64_t i = 0; status == SONDE_OK && i < w.n; i++) {
        if (!walk_load(&w, a, i)) {
            status = walk_not_finite(&w, i);
            break;
        }
        status = walk_check(&w, i, sonde_linalg_householder(a, tau, q, m, n, k));
        for (int64_t column = 0; column < n; column++)
            for (int64_t row = 0; row < k; row++) r[column * k + row] = row <= column ? a[column * m + row] : 0;
        walk_store(call->out[0], i, q, m, k);
        walk_store(call->out[1], i, r, k, n);
    }
    walk_close(&w);
    return status;
}

/* Square or tall: dA = [dQ + Q copyltu(R dRᵀ - dQᵀ Q)] R⁻ᵀ, copyltu(M) being the symmetric matrix with M's lower
 * triangle (Walter & Lehmann 2013, "Algorithmic differentiation of linear algebra functions", 3.1). dq, dr: NULL is
 * zero. */
static sonde_tensor *qr_tall(formula *f, sonde_tensor *q, sonde_tensor *r, sonde_tensor *dq, sonde_tensor *dr)
{
    sonde_tensor *m = NULL;
    if (dr) m = f_matmul(f, r, f_t(f, dr));
    if (dq) {
        sonde_tensor *turn = f_matmul(f, f_t(f, dq), q);
        m = m ? f_sub(f, m, turn) : f_scale(f, turn, -1);
    }
    sonde_tensor *symmetric = f_add(f, f_tril(f, m, 0), f_t(f, f_tril(f, m, -1)));
    sonde_tensor *inner = f_matmul(f, q, symmetric);
    if (dq) inner = f_add(f, inner, dq);
    return f_t(f, f_solve_triangular(f, r, f_t(f, inner), true));
}

/* Wide, A = [X | Y] with X square, R = [U | V]: dY = Q dV, and dX from (dQ + Y dVᵀ, dU) as above (Roberts & Roberts
 * 2020, "QR and LQ decomposition matrix backpropagation algorithms", 3). */
static sonde_tensor *qr_wide(formula *f, sonde_tensor *a, sonde_tensor *q, sonde_tensor *r, sonde_tensor *dq,
                             sonde_tensor *dr)
{
    const int64_t m = rows_of(a), rest = columns_of(a) - m;
    sonde_tensor *u = f_narrow(f, r, -1, 0, m), *y = f_narrow(f, a, -1, m, rest);
    sonde_tensor *du = NULL, *dv = f_zeros(f, a->dtype, a->ndim, a->shape);
    dv = f_narrow(f, dr ? dr : dv, -1, m, rest);
    if (dr) du = f_narrow(f, dr, -1, 0, m);
    sonde_tensor *more = f_matmul(f, y, f_t(f, dv)), *dy = f_matmul(f, q, dv);
    return f_cat(f, qr_tall(f, q, u, dq ? f_add(f, dq, more) : more, du), dy, -1);
}

static sonde_status qr_backward(sonde_node *node)
{
    sonde_tensor *a = sonde_node_in(node, 0), *q = sonde_node_out(node, 0), *r = sonde_node_out(node, 1);
    sonde_tensor *dq = sonde_node_grad(node, 0), *dr = sonde_node_grad(node, 1);
    const int64_t m = rows_of(a), n = columns_of(a);
    if (m > n && columns_of(q) > n)
        return sonde_fail(SONDE_ESTATE, "the complete linalg.qr of matrices with more rows than columns has no "
                                        "gradient: mode \"reduced\" has one");
    formula f = {0};
    f_give(&f, node, 0, m < n ? qr_wide(&f, a, q, r, dq, dr) : qr_tall(&f, q, r, dq, dr));
    return f_close(&f, NULL, NULL);
}

static const sonde_op qr_row = {.name = "linalg.qr",
                                .n_out = 2,
                                .args_size = sizeof(qr_args),
                                .saves = SONDE_SAVE_IN0 | SONDE_SAVE_OUT0 | SONDE_SAVE_OUT1,
                                .shape = qr_shape,
                                .forward = qr_forward,
                                .backward = qr_backward};

/* Applies a row of two outputs. */
static sonde_status apply_two(const sonde_op *op, sonde_tensor *a, const void *args, sonde_tensor **first,
                              sonde_tensor **second)
{
    sonde_tensor *out[2];
    SONDE_TRY(sonde_apply(op, 1, &a, args, out));
    *first = out[0];
    *second = out[1];
    return SONDE_OK;
}

sonde_status sonde_qr(sonde_tensor **q, sonde_tensor **r, sonde_tensor *a, bool complete)
{
    return apply_two(&qr_row, a, &(qr_args){complete}, q, r);
}

static sonde_status geqrf_shape(sonde_call *call)
{
    SONDE_TRY(need_matrices(call, 0, false));
    const int64_t m = rows_of(call->in[0]), n = columns_of(call->in[0]);
    out_matrices(call, 0, m, n);
    out_matrices(call, 1, smaller(m, n), 0);
    return SONDE_OK;
}

static sonde_status geqrf_forward(sonde_call *call)
{
    const int64_t m = rows_of(call->in[0]), n = columns_of(call->in[0]), k = smaller(m, n);
    matrix_walk w;
    SONDE_TRY(walk_open(&w, call->op->name, call->in[0], m * n + k));
    double *tau = w.room + m * n;
    sonde_status status = SONDE_OK;
    for (int64_t i = 0; status == SONDE_OK && i < w.n; i++) {
        if (!walk_load(&w, w.room, i)) {
            status = walk_not_finite(&w, i);
            break;
        }
        status = walk_check(&w, i, sonde_linalg_householder(w.room, tau, NULL, m, n, k));
        walk_store(call->out[0], i, w.room, m, n);
        walk_store(call->out[1], i, tau, k, 1);
    }
    walk_close(&w);
    return status;
}

static const sonde_op geqrf_row = {
    .name = "geqrf", .n_out = 2, .shape = geqrf_shape, .forward = geqrf_forward, .backward = NULL};

sonde_status sonde_geqrf(sonde_tensor **out, sonde_tensor **tau, sonde_tensor *a)
{
    return apply_two(&geqrf_row, a, NULL, out, tau);
}

/* ---- singular values ------------------------------------------------------------------------------------- */

typedef struct svd_args {
    bool full;
} svd_args;

enum { U, S, VH };

static sonde_status svd_shape(sonde_call *call)
{
    SONDE_TRY(need_matrices(call, 0, false));
    const bool full = ((const svd_args *)call->args)->full;
    const int64_t m = rows_of(call->in[0]), n = columns_of(call->in[0]), k = smaller(m, n);
    out_matrices(call, U, m, full ? m : k);
    out_matrices(call, S, k, 0);
    out_matrices(call, VH, full ? n : k, n);
    return SONDE_OK;
}

static sonde_status svd_forward(sonde_call *call)
{
    const bool full = ((const svd_args *)call->args)->full;
    const int64_t m = rows_of(call->in[0]), n = columns_of(call->in[0]), k = smaller(m, n);
    const int64_t left = full ? m : k, right = full ? n : k;
    matrix_walk w;
    SONDE_TRY(walk_open(&w, call->op->name, call->in[0], m * n + m * left + k + right * n));
    double *a = w.room, *u = a + m * n, *s = u + m * left, *vt = s + k;
    sonde_status status = SONDE_OK;
    for (int64_t i = 0; status == SONDE_OK && i < w.n; i++) {
        if (!walk_load(&w, a, i)) {
            status = walk_not_finite(&w, i);
            break;
        }
        status = walk_check(&w, i, sonde_linalg_svd(a, s, u, vt, m, n, full));
        walk_store(call->out[U], i, u, m, left);
        walk_store(call->out[S], i, s, k, 1);
        walk_store(call->out[VH], i, vt, right, n);
    }
    walk_close(&w);
    return status;
}

/* M - Mᵀ */
static sonde_tensor *skew(formula *f, sonde_tensor *m)
{
    return f_sub(f, m, f_t(f, m));
}

/* e_ij = x_j - x_i, 1 on the diagonal */
static sonde_tensor *gaps(formula *f, sonde_tensor *x)
{
    if (!x) return NULL;
    const int64_t n = x->shape[x->ndim - 1];
    sonde_tensor *difference = f_sub(f, f_unsqueeze(f, x, -2), f_unsqueeze(f, x, -1));
    return f_add(f, difference, f_eye(f, x->dtype, n, n));
}

/* a + b, where NULL is zero */
static sonde_tensor *sum(formula *f, sonde_tensor *a, sonde_tensor *b)
{
    return a && b ? f_add(f, a, b) : a ? a : b;
}

/* With E_ij = s_j² - s_i², skew(M) = M - Mᵀ:
 *   dA = U [skew(Uᵀ dU)/E S + S skew(Vᵀ dV)/E + diag(dS)] Vᵀ + (I - U Uᵀ) dU S⁻¹ Vᵀ + U S⁻¹ dVᵀ (I - V Vᵀ)
 * (Giles 2008, 3.5; Townsend 2016, "Differentiating the singular value decomposition"). */
static sonde_tensor *svd_gradient(formula *f, sonde_tensor *u, sonde_tensor *s, sonde_tensor *vh, sonde_tensor *du,
                                  sonde_tensor *ds, sonde_tensor *dvh)
{
    sonde_tensor *e = du || dvh ? gaps(f, f_mul(f, s, s)) : NULL, *inner = NULL, *left = NULL, *right = NULL;
    sonde_tensor *row = f_unsqueeze(f, s, -2), *column = f_unsqueeze(f, s, -1);
    if (du) {
        sonde_tensor *turn = f_matmul(f, f_t(f, u), du);
        inner = f_mul(f, f_div(f, skew(f, turn), e), row);
        if (rows_of(u) > columns_of(u)) left = f_div(f, f_sub(f, du, f_matmul(f, u, turn)), row);
    }
    if (dvh) {
        sonde_tensor *turn = f_matmul(f, vh, f_t(f, dvh));
        inner = sum(f, inner, f_mul(f, f_div(f, skew(f, turn), e), column));
        if (columns_of(vh) > rows_of(vh))
            right = f_div(f, f_sub(f, dvh, f_matmul(f, f_t(f, turn), vh)), column);
    }
    if (ds) inner = sum(f, inner, f_diagonal(f, ds));
    sonde_tensor *da = f_matmul(f, sum(f, f_matmul(f, u, inner), left), vh);
    return right ? f_add(f, da, f_matmul(f, u, right)) : da;
}

static sonde_status svd_backward(sonde_node *node)
{
    sonde_tensor *u = sonde_node_out(node, U), *s = sonde_node_out(node, S), *vh = sonde_node_out(node, VH);
    sonde_tensor *du = sonde_node_grad(node, U), *ds = sonde_node_grad(node, S), *dvh = sonde_node_grad(node, VH);
    const int64_t k = s->shape[s->ndim - 1];
    formula f = {0};
    u = f_narrow(&f, u, -1, 0, k);
    vh = f_narrow(&f, vh, -2, 0, k);
    if (du) du = f_narrow(&f, du, -1, 0, k);
    if (dvh) dvh = f_narrow(&f, dvh, -2, 0, k);
    if (f.status == SONDE_OK) f_give(&f, node, 0, svd_gradient(&f, u, s, vh, du, ds, dvh));
    return f_close(&f, NULL, NULL);
}

static const sonde_op svd_row = {.name = "linalg.svd",
                                 .n_out = 3,
                                 .args_size = sizeof(svd_args),
                                 .saves = SONDE_SAVE_OUT0 | SONDE_SAVE_OUT1 | SONDE_SAVE_OUT2,
                                 .shape = svd_shape,
                                 .forward = svd_forward,
                                 .backward = svd_backward};

sonde_status sonde_svd(sonde_tensor **u, sonde_tensor **s, sonde_tensor **vh, sonde_tensor *a, bool full)
{
    sonde_tensor *out[3];
    SONDE_TRY(sonde_apply(&svd_row, 1, &a, &(svd_args){full}, out));
    *u = out[U];
    *s = out[S];
    *vh = out[VH];
    return SONDE_OK;
}

/* ---- eigenvalues of symmetric matrices ------------------------------------------------------------------- */

static sonde_status eigh_shape(sonde_call *call)
{
    SONDE_TRY(need_matrices(call, 0, true));
    const int64_t n = rows_of(call->in[0]);
    out_matrices(call, 0, n, 0);
    out_matrices(call, 1, n, n);
    return SONDE_OK;
}

static sonde_status eigh_forward(sonde_call *call)
{
    const int64_t n = rows_of(call->in[0]);
    matrix_walk w;
    SONDE_TRY(walk_open(&w, call->op->name, call->in[0], n * n + n));
    double *a = w.room, *values = a + n * n;
    sonde_status status = SONDE_OK;
    for (int64_t i = 0; status == SONDE_OK && i < w.n; i++) {
        if (!walk_load(&w, a, i)) {
            status = walk_not_finite(&w, i);
            break;
        }
        for (int64_t row = 0; row < n; row++)
            for (int64_t column = 0; column < row; column++)
                a[column * n + row] = 0.5 * a[column * n + row] + 0.5 * a[row * n + column];
        status = walk_check(&w, i, sonde_linalg_eigh(a, values, n));
        walk_store(call->out[0], i, values, n, 1);
        walk_store(call->out[1], i, a, n, n);
    }
    walk_close(&w);
    return status;
}

/* M = V [diag(dL) + (Vᵀ dV)/E] Vᵀ, E_ij = l_j - l_i; dA = (M + Mᵀ)/2 (Giles 2008, 3.1) */
static sonde_status eigh_backward(sonde_node *node)
{
    sonde_tensor *values = sonde_node_out(node, 0), *v = sonde_node_out(node, 1);
    sonde_tensor *dl = sonde_node_grad(node, 0), *dv = sonde_node_grad(node, 1), *inner = NULL;
    const int64_t n = rows_of(v);
    formula f = {0};
    if (dv) {
        sonde_tensor *turn = f_div(&f, f_matmul(&f, f_t(&f, v), dv), gaps(&f, values));
        inner = f_sub(&f, turn, f_mul(&f, turn, f_eye(&f, v->dtype, n, n))); /* lengths stay */
    }
    if (dl) inner = sum(&f, inner, f_diagonal(&f, dl));
    sonde_tensor *m = f_matmul(&f, f_matmul(&f, v, inner), f_t(&f, v));
    f_give(&f, node, 0, f_scale(&f, f_add(&f, m, f_t(&f, m)), 0.5));
    return f_close(&f, NULL, NULL);
}

static const sonde_op eigh_row = {.name = "linalg.eigh",
                                  .n_out = 2,
                                  .saves = SONDE_SAVE_OUT0 | SONDE_SAVE_OUT1,
                                  .shape = eigh_shape,
                                  .forward = eigh_forward,
                                  .backward = eigh_backward};

sonde_status sonde_eigh(sonde_tensor **values, sonde_tensor **vectors, sonde_tensor *a)
{
    return apply_two(&eigh_row, a, NULL, values, vectors);
}

/* ---- eigenvalues ----------------------------------------------------------------------------------------- */

static sonde_status eigvals_shape(sonde_call *call)
{
    SONDE_TRY(need_matrices(call, 0, true));
    for (int k = 0; k < 2; k++) out_matrices(call, k, rows_of(call->in[0]), 0);
    return SONDE_OK;
}

static sonde_status eigvals_forward(sonde_call *call)
{
    const int64_t n = rows_of(call->in[0]);
    if (call->recording) {
        SONDE_TRY(sonde_tensor_like(&call->extra[0], call->in[0]));
        call->n_extra = 1;
    }
    matrix_walk w;
    SONDE_TRY(walk_open(&w, call->op->name, call->in[0], 2 * n * n + 2 * n));
    double *a = w.room, *v = a + n * n, *re = v + n * n, *im = re + n;
    sonde_status status = SONDE_OK;
    for (int64_t i = 0; status == SONDE_OK && i < w.n; i++) {
        if (!walk_load(&w, a, i)) {
            status = walk_not_finite(&w, i);
            break;
        }
        status = walk_check(&w, i, sonde_linalg_eig(a, re, im, call->recording ? v : NULL, n));
        walk_store(call->out[0], i, re, n, 1);
        walk_store(call->out[1], i, im, n, 1);
        if (call->recording) walk_store(call->extra[0], i, v, n, n);
    }
    walk_close(&w);
    return status;
}

/* One matrix of D, below. */
static void fill_blocks(sonde_tensor *d, int64_t at, const sonde_tensor *im, const sonde_tensor *dre,
                        const sonde_tensor *dim, double *room, int64_t n)
{
    double *block = room, *imaginary = room + n * n, *by_re = imaginary + n, *by_im = by_re + n;
    memset(block, 0, (size_t)(n * n + 3 * n) * sizeof *block);
    sonde_linalg_load(imaginary, im->dtype, matrix_at(im, at, n), n, 1);
    if (dre) sonde_linalg_load(by_re, dre->dtype, matrix_at(dre, at, n), n, 1);
    if (dim) sonde_linalg_load(by_im, dim->dtype, matrix_at(dim, at, n), n, 1);
    for (int64_t k = 0; k < n; k++) {
        if (imaginary[k] == 0 || k + 1 == n) {
            block[k * n + k] = by_re[k];
            continue;
        }
        const double p = 0.5 * (by_re[k] + by_re[k + 1]), q = 0.5 * (by_im[k] - by_im[k + 1]);
        block[k * n + k] = block[(k + 1) * n + k + 1] = p;
        block[(k + 1) * n + k] = q; /* row k, column k + 1 */
        block[k * n + k + 1] = -q;
        k++;
    }
    walk_store(d, at, block, n, n);
}

/* AV = VB with real V, whose columns are the eigenvectors or, of a conjugate pair, their real and imaginary part; B has
 * the eigenvalues on its diagonal, or blocks [[a, b], [-b, a]] for a ± ib. First-order perturbation of B gives
 * dA = V⁻ᵀ D Vᵀ, D holding dL/da on the diagonal and, of a pair, ±dL/db beside it, halved where both of the pair count
 * (Giles 2008, 3.1, in real numbers). */
static sonde_status eigvals_backward(sonde_node *node)
{
    sonde_tensor *v = sonde_node_extra(node, 0), *im = sonde_node_out(node, 1), *d = NULL;
    const int64_t n = rows_of(v), batch = sonde_tensor_numel(v) / (n * n);
    formula f = {0};
    d = f_keep(&f, sonde_tensor_like(&d, v), &d);
    double *room = sonde_alloc((size_t)(n * n + 3 * n) * sizeof *room);
    if (!room) f.status = SONDE_ENOMEM;
    for (int64_t i = 0; f.status == SONDE_OK && i < batch; i++)
        fill_blocks(d, i, im, sonde_node_grad(node, 0), sonde_node_grad(node, 1), room, n);
    sonde_free(room);
    if (f.status == SONDE_OK) f_give(&f, node, 0, f_solve(&f, f_t(&f, v), f_matmul(&f, d, f_t(&f, v))));
    return f_close(&f, NULL, NULL);
}

static const sonde_op eigvals_row = {.name = "linalg.eigvals",
                                     .n_out = 2,
                                     .saves = SONDE_SAVE_OUT1,
                                     .shape = eigvals_shape,
                                     .forward = eigvals_forward,
                                     .backward = eigvals_backward};

sonde_status sonde_eigvals(sonde_tensor **re, sonde_tensor **im, sonde_tensor *a)
{
    return apply_two(&eigvals_row, a, NULL, re, im);
}
