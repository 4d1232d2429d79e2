/* Views, joins and choices of elements: everything that moves elements without computing with them. */
#include "bind/tensor.h"

/* ---- new sizes ----------------------------------------------------------------------------------------- */

/* view, reshape (one size may be -1), expand (-1 keeps a size), tile (how often along each axis). */
static int l_tensor_resize(lua_State *L)
{
    typedef sonde_status resize(sonde_tensor **out, sonde_tensor *x, int ndim, const int64_t *shape);
    static resize *const functions[] = {sonde_view, sonde_reshape, sonde_expand, sonde_tile};
    int row = sonde_bind_row_value(L);
    sonde_tensor *x = sonde_bind_check_tensor(L, 1);
    int64_t shape[SONDE_MAX_DIMS];
    sonde_bind_args args;
    int ndim = sonde_bind_args_open_sizes(&args, L, 2, sonde_bind_row_name(L), SONDE_BIND_NAMES(NULL), shape,
                                          row == 3 ? 0 : -1);
    sonde_bind_check(L, functions[row](sonde_bind_new_tensor(L), x, ndim, shape));
    return sonde_bind_done(L);
}

/* flatten(start_dim = 1, end_dim = -1) */
static int l_tensor_flatten(lua_State *L)
{
    sonde_tensor *x = sonde_bind_check_tensor(L, 1);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, "Tensor:flatten", SONDE_BIND_NAMES("start_dim", "end_dim"));
    int last = x->ndim > 0 ? x->ndim - 1 : 0;
    int start = sonde_bind_opt_axis(&args, 0, x->ndim, 0), end = sonde_bind_opt_axis(&args, 1, x->ndim, last);
    if (start > end) sonde_bind_arg_fail(&args, 1, "axis %d comes before start_dim, axis %d", end + 1, start + 1);
    int64_t shape[SONDE_MAX_DIMS] = {1};
    int n = 0;
    for (int d = 0; d < x->ndim; d++) {
        if (d > start && d <= end)
            shape[n - 1] *= x->shape[d];
        else
            shape[n++] = x->shape[d];
    }
    sonde_bind_check(L, sonde_reshape(sonde_bind_new_tensor(L), x, n > 0 ? n : 1, shape));
    return sonde_bind_done(L);
}

static int l_tensor_unsqueeze(lua_State *L)
{
    sonde_tensor *x = sonde_bind_check_tensor(L, 1);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, "Tensor:unsqueeze", SONDE_BIND_NAMES("dim"));
    int axis = sonde_bind_arg_axis(&args, 0, x->ndim + 1);
    sonde_bind_check(L, sonde_unsqueeze(sonde_bind_new_tensor(L), x, axis));
    return sonde_bind_done(L);
}

static int l_tensor_squeeze(lua_State *L)
{
    sonde_tensor *x = sonde_bind_check_tensor(L, 1);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, "Tensor:squeeze", SONDE_BIND_NAMES("dim"));
    int axis = sonde_bind_opt_axis(&args, 0, x->ndim, 0);
    sonde_bind_check(L, sonde_squeeze(sonde_bind_new_tensor(L), x, sonde_bind_given(&args, 0) ? &axis : NULL));
    return sonde_bind_done(L);
}

/* ---- order of axes ------------------------------------------------------------------------------------- */

static int l_tensor_transpose(lua_State *L)
{
    sonde_tensor *x = sonde_bind_check_tensor(L, 1);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, "Tensor:transpose", SONDE_BIND_NAMES("dim0", "dim1"));
    int axis0 = sonde_bind_arg_axis(&args, 0, x->ndim), axis1 = sonde_bind_arg_axis(&args, 1, x->ndim);
    sonde_bind_check(L, sonde_transpose(sonde_bind_new_tensor(L), x, axis0, axis1));
    return sonde_bind_done(L);
}

static int l_tensor_t(lua_State *L)
{
    sonde_tensor *x = sonde_bind_check_tensor(L, 1);
    if (x->ndim > 2)
        sonde_bind_raise(L, "Tensor:t: at most 2 axes, this tensor has %d (use transpose or permute)", x->ndim);
    sonde_tensor **out = sonde_bind_new_tensor(L);
    if (x->ndim == 2)
        sonde_bind_check(L, sonde_transpose(out, x, 0, 1));
    else
        *out = sonde_tensor_retain(x);
    return sonde_bind_done(L);
}

static int l_tensor_permute(lua_State *L)
{
    sonde_tensor *x = sonde_bind_check_tensor(L, 1);
    if (lua_type(L, 2) != LUA_TTABLE) { /* permute(2, 1) is permute({2, 1}) */
        int n = lua_gettop(L) - 1;
        lua_createtable(L, n, 0);
        lua_insert(L, 2);
        for (int i = n; i > 0; i--) lua_rawseti(L, 2, i);
    }
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, "Tensor:permute", SONDE_BIND_NAMES("dims"));
    int axes[SONDE_MAX_DIMS];
    int n = sonde_bind_opt_axes(&args, 0, x->ndim, axes);
    if (n != x->ndim) sonde_bind_arg_fail(&args, 0, "expected all %d axes in their new order, got %d", x->ndim, n);
    sonde_bind_check(L, sonde_permute(sonde_bind_new_tensor(L), x, axes));
    return sonde_bind_done(L);
}

static int l_tensor_contiguous(lua_State *L)
{
    sonde_tensor *x = sonde_bind_check_tensor(L, 1);
    sonde_bind_check(L, sonde_contiguous(sonde_bind_new_tensor(L), x));
    return sonde_bind_done(L);
}

static int l_tensor_clone(lua_State *L)
{
    sonde_tensor *x = sonde_bind_check_tensor(L, 1);
    sonde_bind_check(L, sonde_clone(sonde_bind_new_tensor(L), x));
    return sonde_bind_done(L);
}

static int l_tensor_to(lua_State *L)
{
    sonde_tensor *x = sonde_bind_check_tensor(L, 1);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, "Tensor:to", SONDE_BIND_NAMES("dtype"));
    sonde_bind_arg_string(&args, 0);
    sonde_dtype dtype = sonde_bind_opt_dtype(&args, 0, x->dtype);
    sonde_bind_check(L, sonde_cast(sonde_bind_new_tensor(L), x, dtype));
    return sonde_bind_done(L);
}

/* ---- choosing ------------------------------------------------------------------------------------------ */

/* The 0-based position of 1-based `at` (negative: from the end) on an axis. */
static int64_t arg_position(const sonde_bind_args *args, int i, int64_t size)
{
    int64_t at = sonde_bind_arg_integer(args, i, INT64_MIN, INT64_MAX);
    if (at == 0 || at > size || at < -size) {
        sonde_bind_arg_fail(args, i, "%lld is outside 1..%lld", (long long)at, (long long)size);
    }
    return at > 0 ? at - 1 : at + size;
}

/* narrow(dim, start, length) */
static int l_tensor_narrow(lua_State *L)
{
    sonde_tensor *x = sonde_bind_check_tensor(L, 1);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, "Tensor:narrow", SONDE_BIND_NAMES("dim", "start", "length"));
    if (x->ndim == 0) sonde_bind_arg_fail(&args, 0, "the tensor has no axes");
    int axis = sonde_bind_arg_axis(&args, 0, x->ndim);
    int64_t start = arg_position(&args, 1, x->shape[axis]);
    int64_t length = sonde_bind_arg_integer(&args, 2, 0, INT64_MAX);
    if (length > x->shape[axis] - start) {
        sonde_bind_arg_fail(&args, 2, "%lld elements from %lld on are more than axis %d has (%lld)", (long long)length,
                            (long long)start + 1, axis + 1, (long long)x->shape[axis]);
    }
    sonde_bind_check(L, sonde_narrow(sonde_bind_new_tensor(L), x, axis, start, length, 1));
    return sonde_bind_done(L);
}

/* select(dim, index): the axis goes. */
static int l_tensor_select(lua_State *L)
{
    sonde_tensor *x = sonde_bind_check_tensor(L, 1);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, "Tensor:select", SONDE_BIND_NAMES("dim", "index"));
    if (x->ndim == 0) sonde_bind_arg_fail(&args, 0, "the tensor has no axes");
    int axis = sonde_bind_arg_axis(&args, 0, x->ndim);
    int64_t index = arg_position(&args, 1, x->shape[axis]);
    sonde_bind_check(L, sonde_select(sonde_bind_new_tensor(L), x, axis, index));
    return sonde_bind_done(L);
}

/* index_select(dim, index), gather(dim, index): index is an int64 tensor, 1-based; a list will do as well. */
static int l_tensor_pick(lua_State *L)
{
    sonde_tensor *x = sonde_bind_check_tensor(L, 1);
    const char *callee = sonde_bind_row_name(L);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, callee, SONDE_BIND_NAMES("dim", "index"));
    int axis = sonde_bind_arg_axis(&args, 0, x->ndim);
    sonde_tensor *index = lua_type(L, sonde_bind_arg_index(&args, 1)) == LUA_TTABLE
                              ? sonde_bind_tensor_from_table(L, sonde_bind_arg_index(&args, 1), SONDE_INT64, callee)
                              : sonde_bind_arg_tensor(&args, 1);
    sonde_tensor **out = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_bind_row_value(L) ? sonde_gather(out, x, axis, index)
                                                : sonde_index_select(out, x, axis, index));
    return sonde_bind_done(L);
}

/* ---- functions of several tensors ---------------------------------------------------------------------- */

/* cat(tensors, dim = 1), stack(tensors, dim = 1) */
static int f_join(lua_State *L)
{
    bool stack = sonde_bind_row_value(L);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, sonde_bind_row_name(L), SONDE_BIND_NAMES("tensors", "dim"));
    int n;
    sonde_tensor **in = sonde_bind_arg_tensors(&args, 0, &n);
    if (n == 0) sonde_bind_arg_fail(&args, 0, "expected at least one Tensor, got an empty list");
    int axis = sonde_bind_opt_axis(&args, 1, in[0]->ndim + stack, 0);
    sonde_tensor **out = sonde_bind_new_tensor(L);
    sonde_bind_check(L, stack ? sonde_stack(out, n, in, axis) : sonde_cat(out, n, in, axis));
    return sonde_bind_done(L);
}

/* The tensor at argument i, or a tensor without axes from the number there. */
static sonde_tensor *arg_operand(const sonde_bind_args *args, int i, sonde_dtype dtype)
{
    lua_State *L = args->L;
    if (lua_type(L, sonde_bind_arg_index(args, i)) != LUA_TNUMBER) return sonde_bind_arg_tensor(args, i);
    return sonde_bind_tensor_from_number(L, sonde_bind_arg_index(args, i), dtype);
}

/* where(condition, input, other): input where condition is not 0; either may be a number. */
static int f_where(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "sonde.where", SONDE_BIND_NAMES("condition", "input", "other"));
    sonde_tensor *condition = sonde_bind_arg_tensor(&args, 0);
    const sonde_tensor *a = sonde_bind_test_tensor(L, sonde_bind_arg_index(&args, 1));
    const sonde_tensor *b = sonde_bind_test_tensor(L, sonde_bind_arg_index(&args, 2));
    sonde_dtype dtype = a != NULL ? a->dtype : b != NULL ? b->dtype : SONDE_FLOAT32;
    sonde_tensor *input = arg_operand(&args, 1, dtype), *other = arg_operand(&args, 2, dtype);
    sonde_bind_check(L, sonde_where(sonde_bind_new_tensor(L), condition, input, other));
    return sonde_bind_done(L);
}

/* einsum("ij,jk->ik", a, b) */
static int f_einsum(lua_State *L)
{
    const char *equation = luaL_checkstring(L, 1);
    sonde_tensor *in[SONDE_OP_MAX_IN];
    int n = lua_gettop(L) - 1;
    if (n < 1 || n > SONDE_OP_MAX_IN)
        sonde_bind_raise(L, "sonde.einsum: expected 1 to %d tensors, got %d", SONDE_OP_MAX_IN, n);
    for (int i = 0; i < n; i++) in[i] = sonde_bind_check_tensor(L, i + 2);
    sonde_bind_check(L, sonde_einsum(sonde_bind_new_tensor(L), equation, n, in));
    return sonde_bind_done(L);
}

static const luaL_Reg methods[] = {
    {"flatten", l_tensor_flatten},
    {"unsqueeze", l_tensor_unsqueeze},
    {"squeeze", l_tensor_squeeze},
    {"transpose", l_tensor_transpose},
    {"t", l_tensor_t},
    {"permute", l_tensor_permute},
    {"contiguous", l_tensor_contiguous},
    {"clone", l_tensor_clone},
    {"to", l_tensor_to},
    {"narrow", l_tensor_narrow},
    {"select", l_tensor_select},
    {NULL, NULL},
};

void sonde_bind_tensor_shape(lua_State *L)
{
    static const sonde_bind_row sizes[] = {{"view", 0}, {"reshape", 1}, {"expand", 2}, {"tile", 3}, {NULL, 0}};
    static const sonde_bind_row picks[] = {{"index_select", 0}, {"gather", 1}, {NULL, 0}};
    luaL_setfuncs(L, methods, 0);
    sonde_bind_add_rows(L, "Tensor:", l_tensor_resize, sizes);
    sonde_bind_add_rows(L, "Tensor:", l_tensor_pick, picks);
}

void sonde_bind_tensor_join(lua_State *L)
{
    static const sonde_bind_row joins[] = {{"cat", 0}, {"stack", 1}, {NULL, 0}};
    sonde_bind_add_rows(L, "sonde.", f_join, joins);
    luaL_setfuncs(L, (luaL_Reg[]){{"where", f_where}, {"einsum", f_einsum}, {NULL, NULL}}, 0);
}
