/* matrices — walking a batch of matrices in an operator's forward. Private to room autograd. */
#ifndef SONDE_AUTOGRAD_MATRICES_H
#define SONDE_AUTOGRAD_MATRICES_H

#include "autograd/formula.h"
#include "autograd/rows.h"
#include "kernel/linalg.h"

static inline int64_t rows_of(const sonde_tensor *t)
{
    return t->shape[t->ndim - 2];
}
static inline int64_t columns_of(const sonde_tensor *t)
{
    return t->shape[t->ndim - 1];
}

/* Input i: matrices with rows and columns. */
static inline sonde_status need_matrices(const sonde_call *call, int i, bool square)
{
    const sonde_tensor *t = call->in[i];
    char shape[SONDE_SHAPE_TEXT];
    sonde_shape_text(shape, t->ndim, t->shape);
    SONDE_TRY(need_float(call, i));
    if (t->ndim < 2)
        return sonde_fail(SONDE_ESHAPE, "%s: expected a matrix or a batch of matrices, got %s", call->op->name, shape);
    if (rows_of(t) < 1 || columns_of(t) < 1)
        return sonde_fail(SONDE_ESHAPE, "%s: expected matrices of at least 1 row and column, got %s", call->op->name,
                          shape);
    if (square && rows_of(t) != columns_of(t))
        return sonde_fail(SONDE_ESHAPE, "%s: expected square matrices, got %s", call->op->name, shape);
    return SONDE_OK;
}

/* Output k: for each matrix of input 0 one of these sizes; columns 0: a vector; rows 0: a number. */
static inline void out_matrices(sonde_call *call, int k, int64_t rows, int64_t columns)
{
    const sonde_tensor *t = call->in[0];
    int n = 0;
    for (; n < t->ndim - 2; n++) call->out_shape[k][n] = t->shape[n];
    if (rows) call->out_shape[k][n++] = rows;
    if (columns) call->out_shape[k][n++] = columns;
    call->out_ndim[k] = n;
    call->out_dtype[k] = t->dtype;
}

/* Input 0's matrices, and room for numbers that belong to one of them at a time. */
typedef struct matrix_walk {
    const char *name; /* of the operator */
    sonde_tensor *in;
    int64_t n, rows, columns;
    double *room;
} matrix_walk;

static inline sonde_status walk_open(matrix_walk *w, const char *name, sonde_tensor *t, int64_t doubles)
{
    SONDE_TRY(sonde_tensor_contiguous(&w->in, t));
    w->name = name;
    w->rows = rows_of(t);
    w->columns = columns_of(t);
    w->n = sonde_tensor_numel(t) / (w->rows * w->columns);
    w->room = sonde_alloc((size_t)doubles * sizeof *w->room);
    if (w->room) return SONDE_OK;
    sonde_tensor_release(w->in);
    return SONDE_ENOMEM;
}

static inline void walk_close(matrix_walk *w)
{
    sonde_free(w->room);
    sonde_tensor_release(w->in);
}

/* Element `at` of matrix number i of a contiguous tensor with `size` elements for each. */
static inline char *matrix_at(const sonde_tensor *t, int64_t i, int64_t size)
{
    return (char *)sonde_tensor_data(t) + (size_t)(i * size) * sonde_dtype_size(t->dtype);
}

/* Matrix i by columns; false if it is not finite. */
static inline bool walk_load(const matrix_walk *w, double *to, int64_t i)
{
    return sonde_linalg_load(to, w->in->dtype, matrix_at(w->in, i, w->rows * w->columns), w->rows, w->columns);
}

static inline void walk_store(sonde_tensor *out, int64_t i, const double *from, int64_t rows, int64_t columns)
{
    sonde_linalg_store(out->dtype, matrix_at(out, i, rows * columns), from, rows, columns);
}

/* Names the operator and the matrix in front of a failure's message. */
static inline sonde_status walk_check(const matrix_walk *w, int64_t i, sonde_status status)
{
    if (status == SONDE_OK) return status;
    if (w->n > 1) sonde_fail_within("matrix %lld of the batch: ", (long long)i + 1);
    sonde_fail_within("%s: ", w->name);
    return status;
}

static inline sonde_status walk_not_finite(const matrix_walk *w, int64_t i)
{
    return walk_check(w, i, sonde_fail(SONDE_EARG, "the matrix has elements that are not finite"));
}

#endif
