/* Elements across the border: item, totable, fills; and what a tensor says about itself. */
#include "bind/tensor.h"

static int l_tensor_dim(lua_State *L)
{
    lua_pushinteger(L, sonde_bind_check_tensor(L, 1)->ndim);
    return 1;
}

static int l_tensor_numel(lua_State *L)
{
    lua_pushinteger(L, sonde_tensor_numel(sonde_bind_check_tensor(L, 1)));
    return 1;
}

static int push_integers(lua_State *L, int n, const int64_t *values)
{
    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) {
        lua_pushinteger(L, values[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* "[2, 3]" */
static int shape_tostring(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_pushliteral(L, "[");
    lua_Integer n = luaL_len(L, 1);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_geti(L, 1, i);
        luaL_tolstring(L, -1, NULL);
        lua_replace(L, -2);
        lua_pushstring(L, i < n ? ", " : "");
        lua_concat(L, 3);
    }
    lua_pushliteral(L, "]");
    lua_concat(L, 2);
    return 1;
}

/* A list of integers that prints as one. */
static int l_tensor_shape(lua_State *L)
{
    const sonde_tensor *t = sonde_bind_check_tensor(L, 1);
    push_integers(L, t->ndim, t->shape);
    if (luaL_newmetatable(L, "sonde.Shape")) {
        lua_pushcfunction(L, shape_tostring);
        lua_setfield(L, -2, "__tostring");
    }
    lua_setmetatable(L, -2);
    return 1;
}

/* The number of one axis, or the list of all. */
static int one_or_all(lua_State *L, const char *callee, const sonde_tensor *t, const int64_t *values)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, callee, SONDE_BIND_NAMES("dim"));
    if (!sonde_bind_given(&args, 0)) return push_integers(L, t->ndim, values);
    if (t->ndim == 0) sonde_bind_arg_fail(&args, 0, "the tensor has no axes");
    lua_pushinteger(L, values[sonde_bind_arg_axis(&args, 0, t->ndim)]);
    return 1;
}

static int l_tensor_size(lua_State *L)
{
    const sonde_tensor *t = sonde_bind_check_tensor(L, 1);
    return one_or_all(L, "Tensor:size", t, t->shape);
}

static int l_tensor_stride(lua_State *L)
{
    const sonde_tensor *t = sonde_bind_check_tensor(L, 1);
    return one_or_all(L, "Tensor:stride", t, t->stride);
}

static int l_tensor_is_contiguous(lua_State *L)
{
    lua_pushboolean(L, sonde_tensor_is_contiguous(sonde_bind_check_tensor(L, 1)));
    return 1;
}

static void push_element(lua_State *L, const sonde_tensor *t, int64_t at)
{
    const void *data = sonde_tensor_data(t);
    if (t->dtype == SONDE_INT64)
        lua_pushinteger(L, ((const int64_t *)data)[at]);
    else if (t->dtype == SONDE_FLOAT64)
        sonde_bind_push_number(L, ((const double *)data)[at]);
    else
        sonde_bind_push_number(L, (double)((const float *)data)[at]);
}

static int l_tensor_item(lua_State *L)
{
    const sonde_tensor *t = sonde_bind_check_tensor(L, 1);
    if (sonde_tensor_numel(t) != 1) {
        char text[SONDE_SHAPE_TEXT];
        sonde_bind_raise(L, "item: only a tensor of one element is a number, this one has shape %s",
                         sonde_shape_text(text, t->ndim, t->shape));
    }
    push_element(L, t, 0);
    return 1;
}

/* Pushes the elements from `at` on as tables nested ndim - axis deep. */
static void push_level(lua_State *L, const sonde_tensor *t, int axis, int64_t at)
{
    if (axis == t->ndim) {
        push_element(L, t, at);
        return;
    }
    luaL_checkstack(L, 4, NULL);
    int64_t n = t->shape[axis];
    if (n > INT32_MAX) sonde_bind_raise(L, "totable: an axis of %lld elements is too long for a table", (long long)n);
    lua_createtable(L, (int)n, 0);
    for (int64_t i = 0; i < n; i++) {
        push_level(L, t, axis + 1, at + i * t->stride[axis]);
        lua_rawseti(L, -2, i + 1);
    }
}

static int l_tensor_totable(lua_State *L)
{
    push_level(L, sonde_bind_check_tensor(L, 1), 0, 0);
    return 1;
}

/* ---- in place ------------------------------------------------------------------------------------------ */

static int l_tensor_fill_(lua_State *L)
{
    sonde_tensor *t = sonde_bind_check_tensor(L, 1);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, "Tensor:fill_", SONDE_BIND_NAMES("value"));
    sonde_bind_arg_number(&args, 0);
    sonde_bind_check(L, sonde_assign_(t, sonde_bind_tensor_from_number(L, sonde_bind_arg_index(&args, 0), t->dtype)));
    lua_settop(L, 1);
    return 1;
}

static int l_tensor_zero_(lua_State *L)
{
    lua_settop(L, 1);
    lua_pushinteger(L, 0);
    return l_tensor_fill_(L);
}

static int l_tensor_copy_(lua_State *L)
{
    sonde_tensor *t = sonde_bind_check_tensor(L, 1);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, "Tensor:copy_", SONDE_BIND_NAMES("source"));
    sonde_bind_check(L, sonde_assign_(t, sonde_bind_arg_tensor(&args, 0)));
    lua_settop(L, 1);
    return 1;
}

/* uniform_(from = 0, to = 1), normal_(mean = 0, std = 1): no gradient is recorded. */
static int l_tensor_random_(lua_State *L)
{
    bool normal = sonde_bind_row_value(L);
    sonde_tensor *t = sonde_bind_check_tensor(L, 1);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, sonde_bind_row_name(L),
                         normal ? SONDE_BIND_NAMES("mean", "std", "generator")
                                : SONDE_BIND_NAMES("from", "to", "generator"));
    double a = sonde_bind_opt_number(&args, 0, 0.0), b = sonde_bind_opt_number(&args, 1, 1.0);
    sonde_stream *stream = sonde_bind_opt_stream(&args, 2, sonde_bind_user_stream(L));
    sonde_bind_check(L, normal ? sonde_init_normal_(t, stream, a, b) : sonde_init_uniform_(t, stream, a, b));
    lua_settop(L, 1);
    return 1;
}

static const luaL_Reg methods[] = {
    {"dim", l_tensor_dim},     {"numel", l_tensor_numel},     {"shape", l_tensor_shape},
    {"size", l_tensor_size},   {"stride", l_tensor_stride},   {"is_contiguous", l_tensor_is_contiguous},
    {"item", l_tensor_item},   {"totable", l_tensor_totable}, {"fill_", l_tensor_fill_},
    {"zero_", l_tensor_zero_}, {"copy_", l_tensor_copy_},     {NULL, NULL},
};

void sonde_bind_tensor_data(lua_State *L)
{
    static const sonde_bind_row random[] = {{"uniform_", 0}, {"normal_", 1}, {NULL, 0}};
    luaL_setfuncs(L, methods, 0);
    sonde_bind_add_rows(L, "Tensor:", l_tensor_random_, random);
}
