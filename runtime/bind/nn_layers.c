/* Constructors of layers and containers, with PyTorch's arguments and defaults. */
#include "bind/nn.h"

static int f_linear(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.Linear", SONDE_BIND_NAMES("in_features", "out_features", "bias", "dtype"));
    int64_t in = sonde_bind_arg_integer(&args, 0, 1, INT64_MAX), out = sonde_bind_arg_integer(&args, 1, 1, INT64_MAX);
    bool bias = sonde_bind_opt_boolean(&args, 2, true);
    sonde_dtype dtype = sonde_bind_arg_float(&args, 3);
    sonde_bind_check(L, sonde_linear_new(sonde_bind_new_module(L), in, out, bias, dtype));
    return sonde_bind_done(L);
}

/* Flatten(start_dim = 2, end_dim = -1): the batch stays. */
static int f_flatten(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.Flatten", SONDE_BIND_NAMES("start_dim", "end_dim"));
    int start = sonde_bind_free_axis(&args, 0, 1), end = sonde_bind_free_axis(&args, 1, -1);
    sonde_bind_check(L, sonde_flatten_new(sonde_bind_new_module(L), start, end));
    return sonde_bind_done(L);
}

static int f_identity(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.Identity", SONDE_BIND_NAMES(NULL));
    sonde_bind_check(L, sonde_identity_new(sonde_bind_new_module(L)));
    return sonde_bind_done(L);
}

static int f_dropout(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.Dropout", SONDE_BIND_NAMES("p"));
    double p = sonde_bind_opt_number(&args, 0, 0.5);
    sonde_bind_check(L, sonde_dropout_new(sonde_bind_new_module(L), p));
    return sonde_bind_done(L);
}

/* ---- containers ---------------------------------------------------------------------------------------- */

/* Sequential{a, b, c} or Sequential(a, b, c). */
static int f_sequential(lua_State *L)
{
    if (lua_type(L, 1) == LUA_TTABLE && lua_gettop(L) == 1) {
        lua_Integer n = luaL_len(L, 1);
        luaL_checkstack(L, (int)(n < 1 << 20 ? n : 1 << 20), "too many modules for nn.Sequential");
        for (lua_pushnil(L); lua_next(L, 1) != 0; lua_pop(L, 1)) {
            if (!lua_isinteger(L, -2)) {
                sonde_bind_raise(
                    L, "nn.Sequential: expected a list of modules, got the key '%s' (for names: net:add(name, module))",
                    luaL_tolstring(L, -2, NULL));
            }
        }
        for (lua_Integer i = 1; i <= n; i++) lua_rawgeti(L, 1, i);
        lua_remove(L, 1);
    }
    int n = lua_gettop(L);
    for (int i = 1; i <= n; i++) {
        if (sonde_bind_test(L, i, &sonde_bind_kind_module) == NULL) {
            sonde_bind_raise(L, "bad argument #%d to nn.Sequential: expected Module, got %s", i,
                             sonde_bind_type_name(L, i));
        }
    }
    sonde_bind_check(L, sonde_sequential_new(sonde_bind_new_module(L)));
    sonde_bind_done(L);
    for (int i = 1; i <= n; i++) sonde_bind_set_child(L, -1, NULL, i);
    return 1;
}

/* Residual(block, scale = 1, learn_scale = false, shortcut = the input itself) */
static int f_residual(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.Residual", SONDE_BIND_NAMES("block", "scale", "learn_scale", "shortcut"));
    sonde_module *block = sonde_bind_arg_module(&args, 0), *shortcut = sonde_bind_opt_module(&args, 3);
    double scale = sonde_bind_opt_number(&args, 1, 1.0);
    bool learn = sonde_bind_opt_boolean(&args, 2, false);
    sonde_module **out = sonde_bind_new_module(L);
    sonde_bind_check(L, sonde_residual_new(out, block, shortcut, scale, learn));
    sonde_bind_done(L);
    sonde_bind_keep_children(L);
    return 1;
}

/* Parameter(data, requires_grad = true): shares the data's memory; a field of a module that holds it registers it. */
static int f_parameter(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.Parameter", SONDE_BIND_NAMES("data", "requires_grad"));
    sonde_tensor *data = sonde_bind_arg_tensor(&args, 0);
    bool requires_grad = sonde_bind_opt_boolean(&args, 1, true);
    sonde_tensor **out = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_detach(out, data));
    sonde_bind_check(L, sonde_requires_grad_(*out, requires_grad));
    ((sonde_bind_box *)lua_touserdata(L, -1))->is_parameter = true;
    return sonde_bind_done(L);
}

static const luaL_Reg functions[] = {
    {"Linear", f_linear},
    {"Flatten", f_flatten},
    {"Identity", f_identity},
    {"Dropout", f_dropout},
    {"Sequential", f_sequential},
    {"Residual", f_residual},
    {"Parameter", f_parameter},
    {NULL, NULL},
};

sonde_dtype sonde_bind_arg_float(const sonde_bind_args *args, int i)
{
    sonde_dtype dtype = sonde_bind_opt_dtype(args, i, SONDE_FLOAT32);
    if (!sonde_dtype_is_float(dtype)) sonde_bind_arg_fail(args, i, "expected float32 or float64, got int64");
    return dtype;
}

int sonde_bind_free_axis(const sonde_bind_args *args, int i, int fallback)
{
    if (!sonde_bind_given(args, i)) return fallback;
    int axis = (int)sonde_bind_arg_integer(args, i, -SONDE_MAX_DIMS, SONDE_MAX_DIMS);
    if (axis == 0) sonde_bind_arg_fail(args, i, "there is no axis 0: axes count from 1, and -1 is the last");
    return axis > 0 ? axis - 1 : axis;
}

void sonde_bind_nn_layers(lua_State *L)
{
    luaL_setfuncs(L, functions, 0);
    sonde_bind_nn_activations(L);
    sonde_bind_nn_spatial(L);
    sonde_bind_nn_norm(L);
    sonde_bind_nn_more(L);
    sonde_bind_nn_losses(L);
}
