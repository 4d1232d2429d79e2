/* Sums, means, extrema, softmax: everything along axes. */
#include "bind/tensor.h"

#include <math.h>

/* sum, mean, prod, logsumexp: (dim, keepdim); var, std: (dim, keepdim, correction = 1); norm: (dim, keepdim, p = 2).
 * dim is an axis or a list; without it all are reduced. */
static int l_tensor_reduce(lua_State *L)
{
    sonde_reduction op = (sonde_reduction)sonde_bind_row_value(L);
    sonde_tensor *x = sonde_bind_check_tensor(L, 1);
    const char *const *names = op == SONDE_NORM                     ? SONDE_BIND_NAMES("dim", "keepdim", "p")
                               : op == SONDE_VAR || op == SONDE_STD ? SONDE_BIND_NAMES("dim", "keepdim", "correction")
                                                                    : SONDE_BIND_NAMES("dim", "keepdim");
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, sonde_bind_row_name(L), names);
    int axes[SONDE_MAX_DIMS];
    int n = sonde_bind_opt_axes(&args, 0, x->ndim, axes);
    bool keepdim = sonde_bind_opt_boolean(&args, 1, false);
    double order = args.n < 3 ? 0.0 : sonde_bind_opt_number(&args, 2, op == SONDE_NORM ? 2.0 : 1.0);
    sonde_bind_check(L, sonde_reduce(sonde_bind_new_tensor(L), op, x, n, axes, keepdim, order));
    return sonde_bind_done(L);
}

static const sonde_bind_row reductions[] = {
    {"sum", SONDE_SUM},   {"mean", SONDE_MEAN},           {"var", SONDE_VAR},   {"std", SONDE_STD},
    {"norm", SONDE_NORM}, {"logsumexp", SONDE_LOGSUMEXP}, {"prod", SONDE_PROD}, {NULL, 0},
};

/* max(), min(): the extremum; (dim, keepdim): values and 1-based indices; (other): element-wise. */
static int l_tensor_extremum(lua_State *L)
{
    bool maximum = sonde_bind_row_value(L);
    sonde_tensor *x = sonde_bind_check_tensor(L, 1), *other = sonde_bind_test_tensor(L, 2);
    if (other != NULL) {
        lua_settop(L, 2);
        sonde_bind_check(L,
                         sonde_binary_op(sonde_bind_new_tensor(L), maximum ? SONDE_MAXIMUM : SONDE_MINIMUM, x, other));
        return sonde_bind_done(L);
    }
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, sonde_bind_row_name(L), SONDE_BIND_NAMES("dim", "keepdim"));
    bool keepdim = sonde_bind_opt_boolean(&args, 1, false);
    if (!sonde_bind_given(&args, 0)) {
        sonde_bind_check(L, sonde_extremum(sonde_bind_new_tensor(L), NULL, x, maximum, NULL, keepdim));
        return sonde_bind_done(L);
    }
    int axis = sonde_bind_arg_axis(&args, 0, x->ndim);
    sonde_tensor **index = sonde_bind_new_tensor(L), **out = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_extremum(out, index, x, maximum, &axis, keepdim));
    sonde_bind_done(L);
    lua_insert(L, -2);
    sonde_bind_done(L);
    return 2;
}

/* argmax, argmin (dim, keepdim): int64, 1-based; without dim the position in the flattened tensor. */
static int l_tensor_arg_extremum(lua_State *L)
{
    sonde_tensor *x = sonde_bind_check_tensor(L, 1);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, sonde_bind_row_name(L), SONDE_BIND_NAMES("dim", "keepdim"));
    bool keepdim = sonde_bind_opt_boolean(&args, 1, false), all = !sonde_bind_given(&args, 0);
    int axis = all ? 0 : sonde_bind_arg_axis(&args, 0, x->ndim);
    sonde_tensor **values = sonde_bind_new_tensor(L), **flat = sonde_bind_new_tensor(L);
    if (all) sonde_bind_check(L, sonde_reshape(flat, x, 1, (int64_t[]){-1}));
    sonde_tensor **index = sonde_bind_new_tensor(L);
    sonde_bind_check(L,
                     sonde_extremum(values, index, all ? *flat : x, sonde_bind_row_value(L), &axis, keepdim && !all));
    return sonde_bind_done(L);
}

static int l_tensor_softmax(lua_State *L)
{
    sonde_tensor *x = sonde_bind_check_tensor(L, 1);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, sonde_bind_row_name(L), SONDE_BIND_NAMES("dim"));
    int axis = sonde_bind_arg_axis(&args, 0, x->ndim);
    sonde_tensor **out = sonde_bind_new_tensor(L);
    int row = sonde_bind_row_value(L);
    sonde_bind_check(L, row == 0   ? sonde_softmax(out, x, axis)
                        : row == 1 ? sonde_log_softmax(out, x, axis)
                                   : sonde_cumsum(out, x, axis));
    return sonde_bind_done(L);
}

void sonde_bind_tensor_reduce(lua_State *L)
{
    static const sonde_bind_row extrema[] = {{"min", 0}, {"max", 1}, {NULL, 0}};
    static const sonde_bind_row arg_extrema[] = {{"argmin", 0}, {"argmax", 1}, {NULL, 0}};
    static const sonde_bind_row along[] = {{"softmax", 0}, {"log_softmax", 1}, {"cumsum", 2}, {NULL, 0}};
    sonde_bind_add_rows(L, "Tensor:", l_tensor_reduce, reductions);
    sonde_bind_add_rows(L, "Tensor:", l_tensor_extremum, extrema);
    sonde_bind_add_rows(L, "Tensor:", l_tensor_arg_extremum, arg_extrema);
    sonde_bind_add_rows(L, "Tensor:", l_tensor_softmax, along);
}
