#include "autograd/formula.h"
#include "nn/internal.h"

#include <math.h>
#include <stdio.h>

enum { BASE }; /* a buffer; without trivialisation there is none */

typedef struct orthogonal_state {
    sonde_orthogonal_map map;
} orthogonal_state;

static int64_t rows_of(const sonde_tensor *t)
{
    return t->shape[t->ndim - 2];
}

static int64_t columns_of(const sonde_tensor *t)
{
    return t->shape[t->ndim - 1];
}

/* ---- the maps: X [*, n, k], n >= k, to Q [*, n, k] with QᵀQ = I -------------------------------------------------- */

/* 1 where the diagonal of x is not negative, else -1: [*, 1, k], without history. */
static sonde_tensor *signs(formula *f, sonde_tensor *x)
{
    if (!x) return NULL;
    sonde_tensor *eye = f_eye(f, x->dtype, rows_of(x), columns_of(x));
    sonde_tensor *diagonal = f_sum(f, f_mul(f, f_detach(f, x), eye), -2);
    sonde_tensor *positive = f_cast(f, f_scalar(f, SONDE_GE, diagonal, 0), x->dtype);
    return f_scalar(f, SONDE_SUB, f_scale(f, positive, 2), 1);
}

/* H_1 … H_k = I - V T Vᵀ with T⁻¹ = striu(VᵀV) + diag(VᵀV)/2 (Joffrain et al. 2006, "Accumulating Householder
 * transformations, revisited"): the first k columns, their signs from X's diagonal, which has no other part in it. */
static sonde_tensor *householder(formula *f, sonde_tensor *x)
{
    const int64_t n = rows_of(x), k = columns_of(x);
    sonde_tensor *eye = f_eye(f, x->dtype, n, k);
    sonde_tensor *v = f_add(f, f_tril(f, x, -1), eye);
    sonde_tensor *product = f_matmul(f, f_t(f, v), v);
    sonde_tensor *half = f_scale(f, f_mul(f, product, f_eye(f, x->dtype, k, k)), 0.5);
    sonde_tensor *inverse = f_add(f, f_triu(f, product, 1), half);
    sonde_tensor *turned = f_solve_triangular(f, inverse, f_t(f, f_narrow(f, v, -2, 0, k)), true);
    return f_mul(f, f_sub(f, eye, f_matmul(f, v, turned)), signs(f, x));
}

static sonde_tensor *skew_map(formula *f, sonde_tensor *x, sonde_orthogonal_map map)
{
    const int64_t n = rows_of(x), k = columns_of(x);
    sonde_tensor *lower = f_tril(f, x, 0);
    if (lower && n > k) {
        int64_t shape[SONDE_MAX_DIMS];
        for (int d = 0; d < x->ndim; d++) shape[d] = x->shape[d];
        shape[x->ndim - 1] = n - k;
        lower = f_cat(f, lower, f_zeros(f, x->dtype, x->ndim, shape), -1);
    }
    sonde_tensor *a = f_sub(f, lower, f_t(f, lower)), *q;
    if (map == SONDE_ORTHOGONAL_MATRIX_EXP) {
        q = f_matrix_exp(f, a);
    } else {
        sonde_tensor *eye = f_eye(f, x->dtype, n, n), *half = f_scale(f, a, 0.5);
        q = f_solve(f, f_sub(f, eye, half), f_add(f, eye, half));
    }
    return n > k ? f_narrow(f, q, -1, 0, k) : q;
}

static sonde_status forward(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    const orthogonal_state *state = self->state;
    sonde_tensor *x = in->t[0];
    if (x->ndim < 2) return sonde_fail(SONDE_ESHAPE, "expected an original of at least 2 axes, got %d", x->ndim);
    if (self->n_parameters > BASE && !self->parameters[BASE].tensor)
        return sonde_fail(SONDE_ESTATE, "%s is missing", self->parameters[BASE].name);
    const bool wide = rows_of(x) < columns_of(x);
    formula f = {0};
    sonde_tensor *tall = wide ? f_t(&f, x) : x, *q = NULL;
    if (tall)
        q = state->map == SONDE_ORTHOGONAL_HOUSEHOLDER ? householder(&f, tall) : skew_map(&f, tall, state->map);
    if (self->n_parameters > BASE) q = f_matmul(&f, self->parameters[BASE].tensor, q);
    SONDE_TRY(f_close(&f, &out->t[0], wide ? f_t(&f, q) : q));
    out->n = 1;
    return SONDE_OK;
}

static void describe(const sonde_module *self, char *text, size_t size)
{
    static const char *const names[] = {"default", "matrix_exp", "cayley", "householder"};
    snprintf(text, size, "orthogonal_map=%s%s", names[((const orthogonal_state *)self->state)->map],
             self->n_parameters > BASE ? "" : ", use_trivialization=false");
}

static const sonde_module_class orthogonal_class = {
    .name = "Orthogonal", .forward = forward, .describe = describe, .is_container = true};

/* ---- where it starts ------------------------------------------------------------------------------------------- */

/* Q of A = QR with a positive diagonal of R, which makes it A itself where A is orthogonal. */
static sonde_tensor *make_orthogonal(formula *f, sonde_tensor *a)
{
    sonde_tensor *q = NULL, *r = NULL;
    if (!a || !f_keep(f, sonde_qr(&q, &r, a, false), &q)) return NULL;
    f_keep(f, SONDE_OK, &r);
    return f_mul(f, q, signs(f, r));
}

/* ‖QᵀQ - I‖ within rounding (PyTorch's bound: 10 n ε, element by element). */
static bool is_orthogonal(formula *f, sonde_tensor *q)
{
    const int64_t n = columns_of(q);
    const double eps = q->dtype == SONDE_FLOAT64 ? 0x1p-52 : 0x1p-23;
    sonde_tensor *product = f_matmul(f, f_t(f, q), q), *largest = NULL;
    sonde_tensor *difference = f_sub(f, product, f_eye(f, q->dtype, n, n));
    if (!difference) return false;
    largest = f_keep(f, sonde_reduce(&largest, SONDE_NORM, difference, 0, NULL, false, HUGE_VAL), &largest);
    return largest && sonde_tensor_get(largest, NULL) <= 10 * (double)n * eps;
}

/* A square base whose first columns are Q's, Q [*, n, k] having been made orthogonal. */
static sonde_tensor *base_of(formula *f, sonde_tensor *q)
{
    const int64_t n = rows_of(q), k = columns_of(q);
    if (n == k) return is_orthogonal(f, q) ? f_clone(f, q) : make_orthogonal(f, q);
    int64_t shape[SONDE_MAX_DIMS];
    for (int d = 0; d < q->ndim; d++) shape[d] = q->shape[d];
    shape[q->ndim - 1] = n - k;
    sonde_tensor *more = f_zeros(f, q->dtype, q->ndim, shape);
    sonde_stream stream;
    sonde_nn_random_stochastic(&stream, "orthogonal");
    if (more) f->status = sonde_init_normal_(more, &stream, 0, 1);
    return f->status == SONDE_OK ? make_orthogonal(f, f_cat(f, q, more, -1)) : NULL;
}

/* X with householder(X) = Q, from LAPACK's vectors: the sign of R's diagonal, turned where LAPACK left a reflection
 * out, which the map does not. */
static sonde_tensor *householder_inverse(formula *f, sonde_tensor *q)
{
    sonde_tensor *vectors = NULL, *tau = NULL;
    if (!f_keep(f, sonde_geqrf(&vectors, &tau, q), &vectors)) return NULL;
    f_keep(f, SONDE_OK, &tau);
    sonde_tensor *used = f_cast(f, f_scalar(f, SONDE_NE, tau, 0), q->dtype); /* 1, or 0 where left out */
    sonde_tensor *turn = f_scalar(f, SONDE_SUB, f_scale(f, used, 2), 1);
    sonde_tensor *sign = f_mul(f, signs(f, vectors), f_unsqueeze(f, turn, -2));
    sonde_tensor *eye = f_eye(f, q->dtype, rows_of(q), columns_of(q));
    sonde_tensor *rest = f_sub(f, vectors, f_mul(f, vectors, eye));
    return f_add(f, rest, f_mul(f, eye, sign));
}

/* The original for the weight w; base goes into the parametrisation, if it has one. */
static sonde_tensor *start(formula *f, sonde_module *parametrization, sonde_tensor *w, bool use_trivialization)
{
    const bool wide = rows_of(w) < columns_of(w);
    sonde_tensor *plain = f_detach(f, w), *q = wide ? f_t(f, plain) : plain;
    if (!use_trivialization) {
        sonde_tensor *x = q ? householder_inverse(f, q) : NULL;
        return wide ? f_t(f, x) : x;
    }
    sonde_tensor *base = q ? base_of(f, q) : NULL;
    if (base) f->status = sonde_module_set_parameter(parametrization, "base", base, true);
    sonde_tensor *zeros = f_zeros(f, w->dtype, w->ndim, w->shape);
    return f_sub(f, zeros, f_eye(f, w->dtype, rows_of(w), columns_of(w))); /* -1: Householder's sign for the identity */
}

static sonde_status attach(sonde_module *m, const char *name, sonde_tensor *w, sonde_orthogonal_map map,
                           bool use_trivialization)
{
    orthogonal_state *state = sonde_alloc(sizeof *state);
    if (!state) return SONDE_ENOMEM;
    state->map = map;
    sonde_module *parametrization = NULL;
    sonde_status status = sonde_module_new(&parametrization, &orthogonal_class, state);
    if (status != SONDE_OK) {
        sonde_free(state);
        return status;
    }
    formula f = {0};
    sonde_tensor *x = start(&f, parametrization, w, use_trivialization);
    if (f.status == SONDE_OK) f.status = sonde_parametrize(m, name, parametrization, 1, &x);
    status = f_close(&f, NULL, NULL);
    sonde_module_release(parametrization);
    return status;
}

sonde_status sonde_orthogonal(sonde_module *m, const char *name, sonde_orthogonal_map map, bool use_trivialization)
{
    sonde_tensor *w;
    SONDE_TRY(sonde_parametrize_find(&w, m, name));
    if (w->ndim < 2) {
        char shape[SONDE_SHAPE_TEXT];
        return sonde_fail(SONDE_ESHAPE, "orthogonal: expected a matrix or a batch of matrices, got '%s' %s", name,
                          sonde_shape_text(shape, w->ndim, w->shape));
    }
    if (sonde_is_parametrized(m, name))
        return sonde_fail(SONDE_EARG,
                          "'%s' of %s is parametrised already: orthogonal comes first, for it sets the weight", name,
                          m->class->name);
    if (map == SONDE_ORTHOGONAL_DEFAULT)
        map = rows_of(w) == columns_of(w) ? SONDE_ORTHOGONAL_MATRIX_EXP : SONDE_ORTHOGONAL_HOUSEHOLDER;
    if (!use_trivialization && map != SONDE_ORTHOGONAL_HOUSEHOLDER)
        return sonde_fail(SONDE_EARG, "orthogonal: only the householder map can start at a given weight without "
                                      "use_trivialization");
    return attach(m, name, w, map, use_trivialization);
}
