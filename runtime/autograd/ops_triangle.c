/* Triangles of matrices. */
#include "autograd/matrices.h"

typedef struct triangle_args {
    bool upper;
    int64_t diagonal;
} triangle_args;

static sonde_status triangle_shape(sonde_call *call)
{
    const sonde_tensor *x = call->in[0];
    if (x->ndim < 2) {
        char shape[SONDE_SHAPE_TEXT];
        return sonde_fail(SONDE_ESHAPE, "%s: expected a matrix or a batch of matrices, got %s", call->op->name,
                          sonde_shape_text(shape, x->ndim, x->shape));
    }
    out_like(call, 0, x->dtype, x);
    return SONDE_OK;
}

static sonde_status triangle_forward(sonde_call *call)
{
    const triangle_args *args = call->args;
    sonde_tensor *x, *y = call->out[0];
    SONDE_TRY(sonde_tensor_contiguous(&x, call->in[0]));
    const int64_t rows = rows_of(x), columns = columns_of(x), all = sonde_tensor_numel(x) / (columns ? columns : 1);
    const size_t size = sonde_dtype_size(x->dtype);
    for (int64_t i = 0; i < all; i++) { /* a row is cut at the diagonal */
        int64_t cut;
        if (__builtin_add_overflow(i % rows, args->diagonal, &cut)) cut = args->diagonal;
        if (!args->upper && cut < columns) cut++;
        if (cut < 0) cut = 0;
        if (cut > columns) cut = columns;
        char *to = matrix_at(y, i, columns), *from = matrix_at(x, i, columns);
        const size_t left = (size_t)cut * size, right = (size_t)(columns - cut) * size;
        if (args->upper) {
            memset(to, 0, left);
            memcpy(to + left, from + left, right);
        } else {
            memcpy(to, from, left);
            memset(to + left, 0, right);
        }
    }
    sonde_tensor_release(x);
    return SONDE_OK;
}

static sonde_status triangle_backward(sonde_node *node)
{
    const triangle_args *args = sonde_node_args(node);
    formula f = {0};
    sonde_tensor *dy = sonde_node_grad(node, 0);
    f_give(&f, node, 0, args->upper ? f_triu(&f, dy, args->diagonal) : f_tril(&f, dy, args->diagonal));
    return f_close(&f, NULL, NULL);
}

#define TRIANGLE(label)                                                                                                \
    {                                                                                                                  \
        .name = label, .args_size = sizeof(triangle_args), .shape = triangle_shape, .forward = triangle_forward,       \
        .backward = triangle_backward                                                                                  \
    }
static const sonde_op triangle_rows[] = {TRIANGLE("tril"), TRIANGLE("triu")};

sonde_status sonde_tril(sonde_tensor **out, sonde_tensor *x, int64_t diagonal)
{
    return sonde_apply(&triangle_rows[0], 1, &x, &(triangle_args){false, diagonal}, out);
}

sonde_status sonde_triu(sonde_tensor **out, sonde_tensor *x, int64_t diagonal)
{
    return sonde_apply(&triangle_rows[1], 1, &x, &(triangle_args){true, diagonal}, out);
}

sonde_status sonde_eye(sonde_tensor **out, sonde_dtype dtype, int64_t rows, int64_t columns)
{
    const int64_t n = rows < columns ? rows : columns, step = columns + 1;
    sonde_tensor *eye, *diagonal;
    SONDE_TRY(sonde_tensor_zeros(&eye, dtype, 2, (int64_t[]){rows, columns}));
    sonde_status status = sonde_tensor_as_strided(&diagonal, eye, 1, &n, &step, 0);
    if (status == SONDE_OK) {
        status = sonde_tensor_fill_(diagonal, 1);
        sonde_tensor_release(diagonal);
    }
    if (status == SONDE_OK)
        *out = eye;
    else
        sonde_tensor_release(eye);
    return status;
}
