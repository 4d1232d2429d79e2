/* formula — tensor algebra written as it is read: each function makes a term, which the formula keeps until it is
 * closed; after a failure, which the formula remembers, terms are NULL, and so is whatever is made of them. Part of the
 * door: included by whoever writes formulas.
 *
 *     formula f = {0};
 *     sonde_tensor *skew = f_sub(&f, x, f_t(&f, x));
 *     return f_close(&f, out, f_matmul(&f, q, skew));
 */
#ifndef SONDE_AUTOGRAD_FORMULA_H
#define SONDE_AUTOGRAD_FORMULA_H

#include "autograd/autograd.h"

enum { FORMULA_TERMS = 64 };
typedef struct formula {
    sonde_status status;
    int n;
    sonde_tensor *terms[FORMULA_TERMS];
} formula;

/* *term, unless its making failed, belongs to the formula: f_keep(f, sonde_inv(&t, x), &t). */
static inline sonde_tensor *f_keep(formula *f, sonde_status status, sonde_tensor **term)
{
    if (status == SONDE_OK && f->n == FORMULA_TERMS) {
        sonde_tensor_release(*term);
        status = sonde_fail(SONDE_ESTATE, "a formula of more than %d terms", FORMULA_TERMS);
    }
    if (f->status == SONDE_OK) f->status = status;
    if (status != SONDE_OK) return NULL;
    return f->terms[f->n++] = *term;
}

/* Ends the formula: its result, unless out is NULL or something failed, goes to *out. */
static inline sonde_status f_close(formula *f, sonde_tensor **out, sonde_tensor *result)
{
    if (f->status == SONDE_OK && out) *out = sonde_tensor_retain(result);
    while (f->n > 0) sonde_tensor_release(f->terms[--f->n]);
    return f->status;
}

#define FORMULA_TERM(usable, call)                                                                                     \
    sonde_tensor *out = NULL;                                                                                          \
    return usable ? f_keep(f, call, &out) : NULL

static inline sonde_tensor *f_binary(formula *f, sonde_binary op, sonde_tensor *a, sonde_tensor *b)
{
    FORMULA_TERM(a && b, sonde_binary_op(&out, op, a, b));
}
static inline sonde_tensor *f_add(formula *f, sonde_tensor *a, sonde_tensor *b)
{
    return f_binary(f, SONDE_ADD, a, b);
}
static inline sonde_tensor *f_sub(formula *f, sonde_tensor *a, sonde_tensor *b)
{
    return f_binary(f, SONDE_SUB, a, b);
}
static inline sonde_tensor *f_mul(formula *f, sonde_tensor *a, sonde_tensor *b)
{
    return f_binary(f, SONDE_MUL, a, b);
}
static inline sonde_tensor *f_div(formula *f, sonde_tensor *a, sonde_tensor *b)
{
    return f_binary(f, SONDE_DIV, a, b);
}
/* a op number, element by element */
static inline sonde_tensor *f_scalar(formula *f, sonde_binary op, sonde_tensor *a, double number)
{
    FORMULA_TERM(a, sonde_scalar_op(&out, op, a, number, false));
}
static inline sonde_tensor *f_scale(formula *f, sonde_tensor *a, double factor)
{
    return f_scalar(f, SONDE_MUL, a, factor);
}
static inline sonde_tensor *f_matmul(formula *f, sonde_tensor *a, sonde_tensor *b)
{
    FORMULA_TERM(a && b, sonde_matmul(&out, a, b));
}
/* Every matrix transposed. */
static inline sonde_tensor *f_t(formula *f, sonde_tensor *a)
{
    FORMULA_TERM(a, sonde_transpose(&out, a, -1, -2));
}
static inline sonde_tensor *f_unsqueeze(formula *f, sonde_tensor *a, int axis)
{
    FORMULA_TERM(a, sonde_unsqueeze(&out, a, axis));
}
static inline sonde_tensor *f_narrow(formula *f, sonde_tensor *a, int axis, int64_t start, int64_t length)
{
    FORMULA_TERM(a, sonde_narrow(&out, a, axis, start, length, 1));
}
static inline sonde_tensor *f_cat(formula *f, sonde_tensor *a, sonde_tensor *b, int axis)
{
    FORMULA_TERM(a && b, sonde_cat(&out, 2, (sonde_tensor *[]){a, b}, axis));
}
static inline sonde_tensor *f_reshape(formula *f, sonde_tensor *a, int ndim, const int64_t *shape)
{
    FORMULA_TERM(a, sonde_reshape(&out, a, ndim, shape));
}
static inline sonde_tensor *f_tril(formula *f, sonde_tensor *a, int64_t diagonal)
{
    FORMULA_TERM(a, sonde_tril(&out, a, diagonal));
}
static inline sonde_tensor *f_triu(formula *f, sonde_tensor *a, int64_t diagonal)
{
    FORMULA_TERM(a, sonde_triu(&out, a, diagonal));
}
/* a⁻¹ b */
static inline sonde_tensor *f_solve(formula *f, sonde_tensor *a, sonde_tensor *b)
{
    FORMULA_TERM(a && b, sonde_solve(&out, a, b));
}
static inline sonde_tensor *f_solve_triangular(formula *f, sonde_tensor *a, sonde_tensor *b, bool upper)
{
    FORMULA_TERM(a && b, sonde_solve_triangular(&out, a, b, upper, false));
}
static inline sonde_tensor *f_eye(formula *f, sonde_dtype dtype, int64_t rows, int64_t columns)
{
    FORMULA_TERM(true, sonde_eye(&out, dtype, rows, columns));
}
static inline sonde_tensor *f_zeros(formula *f, sonde_dtype dtype, int ndim, const int64_t *shape)
{
    FORMULA_TERM(true, sonde_tensor_zeros(&out, dtype, ndim, shape));
}
/* A diagonal matrix for every vector. */
static inline sonde_tensor *f_diagonal(formula *f, sonde_tensor *a)
{
    if (!a) return NULL;
    const int64_t n = a->shape[a->ndim - 1];
    return f_mul(f, f_eye(f, a->dtype, n, n), f_unsqueeze(f, a, -2));
}
/* The L2 norm, or the sum, over n_axes axes (0: all), which stay with size 1. */
static inline sonde_tensor *f_norm(formula *f, sonde_tensor *a, int n_axes, const int *axes)
{
    FORMULA_TERM(a, sonde_reduce(&out, SONDE_NORM, a, n_axes, axes, true, 2));
}
static inline sonde_tensor *f_sum(formula *f, sonde_tensor *a, int axis)
{
    FORMULA_TERM(a, sonde_reduce(&out, SONDE_SUM, a, 1, &axis, true, 0));
}
static inline sonde_tensor *f_cast(formula *f, sonde_tensor *a, sonde_dtype dtype)
{
    FORMULA_TERM(a, sonde_cast(&out, a, dtype));
}
/* Without history. */
static inline sonde_tensor *f_detach(formula *f, sonde_tensor *a)
{
    FORMULA_TERM(a, sonde_detach(&out, a));
}
static inline sonde_tensor *f_clone(formula *f, const sonde_tensor *a)
{
    FORMULA_TERM(a, sonde_tensor_clone(&out, a));
}
static inline sonde_tensor *f_permute(formula *f, sonde_tensor *a, const int *axes)
{
    FORMULA_TERM(a, sonde_permute(&out, a, axes));
}
static inline sonde_tensor *f_matrix_exp(formula *f, sonde_tensor *a)
{
    FORMULA_TERM(a, sonde_matrix_exp(&out, a));
}
/* Inside a row's backward: the gradient of an input. */
static inline void f_give(formula *f, sonde_node *node, int input, sonde_tensor *gradient)
{
    if (gradient && f->status == SONDE_OK) f->status = sonde_node_give(node, input, gradient);
}

#undef FORMULA_TERM

#endif
