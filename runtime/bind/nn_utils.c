/* nn.utils: clipping. */
#include "bind/nn.h"

#include <math.h>
#include <string.h>

/* A norm's order: a number, math.huge or "inf". */
static double arg_norm_type(const sonde_bind_args *args, int i)
{
    int index = sonde_bind_arg_index(args, i);
    if (lua_type(args->L, index) == LUA_TSTRING && strcmp(lua_tostring(args->L, index), "inf") == 0) return HUGE_VAL;
    return sonde_bind_opt_number(args, i, 2.0);
}

static const char on_clip_key = 0; /* registry: who is told of each clipping */

/* _on_clip(fn or nil): fn(total, coef, norm_type) is called after every clipping by norms: a run notes it.
 * Returns the function before. */
static int f_on_clip(lua_State *L)
{
    if (!lua_isnoneornil(L, 1)) luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &on_clip_key);
    lua_insert(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &on_clip_key);
    return 1;
}

/* What a clipping returns: the total norm before, the smallest coefficient. The run, if there is one, is told. */
static int return_clipping(lua_State *L, double total, double coef, double norm_type)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &on_clip_key) == LUA_TFUNCTION) {
        sonde_bind_push_number(L, total);
        sonde_bind_push_number(L, coef);
        lua_pushnumber(L, norm_type);
        lua_call(L, 3, 0);
    }
    sonde_bind_push_number(L, total);
    sonde_bind_push_number(L, coef);
    return 2;
}

/* clip_grad_norm_, clip_grad_norm_per_parameter_ (parameters, max_norm, norm_type = 2, error_if_nonfinite = false) */
static int f_clip_grad_norm(lua_State *L)
{
    typedef sonde_status clip(int n, sonde_tensor *const *parameters, double max_norm, double norm_type, bool strict,
                              double *total, double *coef);
    static clip *const functions[] = {sonde_clip_grad_norm_, sonde_clip_grad_norm_per_parameter_};
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, sonde_bind_row_name(L),
                         SONDE_BIND_NAMES("parameters", "max_norm", "norm_type", "error_if_nonfinite"));
    double max_norm = sonde_bind_arg_number(&args, 1), norm_type = arg_norm_type(&args, 2), total, coef;
    bool strict = sonde_bind_opt_boolean(&args, 3, false);
    int n;
    sonde_tensor **parameters = sonde_bind_arg_tensors(&args, 0, &n);
    sonde_bind_check(L, functions[sonde_bind_row_value(L)](n, parameters, max_norm, norm_type, strict, &total, &coef));
    return return_clipping(L, total, coef, norm_type);
}

/* clip_grad_adaptive_(parameters, clipping = 0.01, eps = 1e-3) */
static int f_clip_grad_adaptive(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.utils.clip_grad_adaptive_",
                         SONDE_BIND_NAMES("parameters", "clipping", "eps"));
    double clipping = sonde_bind_opt_number(&args, 1, 0.01), eps = sonde_bind_opt_number(&args, 2, 1e-3), total, coef;
    int n;
    sonde_tensor **parameters = sonde_bind_arg_tensors(&args, 0, &n);
    sonde_bind_check(L, sonde_clip_grad_adaptive_(n, parameters, clipping, eps, &total, &coef));
    return return_clipping(L, total, coef, 2);
}

/* total_norm(parameters, norm_type = 2): of the gradients there are. */
static int f_total_norm(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.utils.total_norm", SONDE_BIND_NAMES("parameters", "norm_type"));
    double norm_type = arg_norm_type(&args, 1), total;
    int n;
    sonde_tensor **parameters = sonde_bind_arg_tensors(&args, 0, &n);
    sonde_bind_check(L, sonde_total_norm(&total, n, parameters, norm_type));
    sonde_bind_push_number(L, total);
    return 1;
}

static int f_clip_grad_value(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.utils.clip_grad_value_", SONDE_BIND_NAMES("parameters", "clip_value"));
    double value = sonde_bind_arg_number(&args, 1);
    int n;
    sonde_tensor **parameters = sonde_bind_arg_tensors(&args, 0, &n);
    sonde_bind_check(L, sonde_clip_grad_value_(n, parameters, value));
    return 0;
}

void sonde_bind_nn_utils(lua_State *L)
{
    static const sonde_bind_row norms[] = {{"clip_grad_norm_", 0}, {"clip_grad_norm_per_parameter_", 1}, {NULL, 0}};
    luaL_newlib(L, ((luaL_Reg[]){{"clip_grad_adaptive_", f_clip_grad_adaptive},
                                 {"clip_grad_value_", f_clip_grad_value},
                                 {"total_norm", f_total_norm},
                                 {"_on_clip", f_on_clip},
                                 {NULL, NULL}}));
    sonde_bind_add_rows(L, "nn.utils.", f_clip_grad_norm, norms);
}
