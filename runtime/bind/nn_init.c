/* nn.init and nn.utils: initial weights, clipping. */
#include "bind/nn.h"

#include <math.h>
#include <string.h>

/* ---- nn.init: every function changes its tensor in place and returns it -------------------------------- */

/* Where an initialiser draws from: its generator, or the next parameter's stream. */
static sonde_stream *init_stream(const sonde_bind_args *args, int i, sonde_stream *next)
{
    if (!sonde_bind_given(args, i)) sonde_nn_random_parameter(next);
    return sonde_bind_opt_stream(args, i, next);
}

static int finish(lua_State *L, const sonde_bind_args *args, sonde_status status)
{
    sonde_bind_check(L, status);
    lua_pushvalue(L, sonde_bind_arg_index(args, 0));
    return 1;
}

/* uniform_(tensor, a = 0, b = 1), normal_(tensor, mean = 0, std = 1) */
static int f_uniform(lua_State *L)
{
    bool normal = sonde_bind_row_value(L);
    sonde_bind_args args;
    sonde_stream next;
    sonde_bind_args_open(&args, L, 1, sonde_bind_row_name(L),
                         normal ? SONDE_BIND_NAMES("tensor", "mean", "std", "generator")
                                : SONDE_BIND_NAMES("tensor", "a", "b", "generator"));
    sonde_tensor *w = sonde_bind_arg_tensor(&args, 0);
    double a = sonde_bind_opt_number(&args, 1, 0.0), b = sonde_bind_opt_number(&args, 2, 1.0);
    sonde_stream *stream = init_stream(&args, 3, &next);
    return finish(L, &args, normal ? sonde_init_normal_(w, stream, a, b) : sonde_init_uniform_(w, stream, a, b));
}

/* constant_(tensor, val), zeros_(tensor), ones_(tensor) */
static int f_constant(lua_State *L)
{
    int row = sonde_bind_row_value(L);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, sonde_bind_row_name(L),
                         row == 2 ? SONDE_BIND_NAMES("tensor", "val") : SONDE_BIND_NAMES("tensor"));
    sonde_tensor *w = sonde_bind_arg_tensor(&args, 0);
    return finish(L, &args, sonde_init_constant_(w, row == 2 ? sonde_bind_arg_number(&args, 1) : row));
}

/* (tensor, gain = 1) */
static int f_gain(lua_State *L)
{
    typedef sonde_status init(sonde_tensor *w, sonde_stream *s, double gain);
    static init *const functions[] = {sonde_init_xavier_uniform_, sonde_init_xavier_normal_, sonde_init_orthogonal_};
    sonde_bind_args args;
    sonde_stream next;
    sonde_bind_args_open(&args, L, 1, sonde_bind_row_name(L), SONDE_BIND_NAMES("tensor", "gain", "generator"));
    sonde_tensor *w = sonde_bind_arg_tensor(&args, 0);
    double gain = sonde_bind_opt_number(&args, 1, 1.0);
    sonde_stream *stream = init_stream(&args, 2, &next);
    return finish(L, &args, functions[sonde_bind_row_value(L)](w, stream, gain));
}

/* (tensor, a = 0, mode = "fan_in", nonlinearity = "leaky_relu") */
static int f_kaiming(lua_State *L)
{
    static const char *const modes[] = {"fan_in", "fan_out", NULL}; /* in the order of sonde_fan */
    sonde_bind_args args;
    sonde_stream next;
    sonde_bind_args_open(&args, L, 1, sonde_bind_row_name(L),
                         SONDE_BIND_NAMES("tensor", "a", "mode", "nonlinearity", "generator"));
    sonde_tensor *w = sonde_bind_arg_tensor(&args, 0);
    double a = sonde_bind_opt_number(&args, 1, 0.0);
    sonde_fan mode = (sonde_fan)sonde_bind_opt_choice(&args, 2, SONDE_FAN_IN, modes);
    const char *nonlinearity = sonde_bind_opt_string(&args, 3, "leaky_relu");
    sonde_stream *stream = init_stream(&args, 4, &next);
    return finish(L, &args,
                  sonde_bind_row_value(L) ? sonde_init_kaiming_normal_(w, stream, a, mode, nonlinearity)
                                          : sonde_init_kaiming_uniform_(w, stream, a, mode, nonlinearity));
}

static int f_lecun(lua_State *L)
{
    sonde_bind_args args;
    sonde_stream next;
    sonde_bind_args_open(&args, L, 1, sonde_bind_row_name(L), SONDE_BIND_NAMES("tensor", "generator"));
    sonde_tensor *w = sonde_bind_arg_tensor(&args, 0);
    sonde_stream *stream = init_stream(&args, 1, &next);
    return finish(L, &args,
                  sonde_bind_row_value(L) ? sonde_init_lecun_normal_(w, stream) : sonde_init_lecun_uniform_(w, stream));
}

/* calculate_gain(nonlinearity, param = 0.01, the slope of leaky_relu) */
static int f_calculate_gain(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.init.calculate_gain", SONDE_BIND_NAMES("nonlinearity", "param"));
    double gain;
    sonde_bind_check(L, sonde_init_gain(sonde_bind_arg_string(&args, 0), sonde_bind_opt_number(&args, 1, 0.01), &gain));
    lua_pushnumber(L, gain);
    return 1;
}

void sonde_bind_nn_init(lua_State *L)
{
    static const sonde_bind_row uniform[] = {{"uniform_", 0}, {"normal_", 1}, {NULL, 0}};
    static const sonde_bind_row constant[] = {{"zeros_", 0}, {"ones_", 1}, {"constant_", 2}, {NULL, 0}};
    static const sonde_bind_row gain[] = {{"xavier_uniform_", 0}, {"xavier_normal_", 1}, {"orthogonal_", 2}, {NULL, 0}};
    static const sonde_bind_row kaiming[] = {{"kaiming_uniform_", 0}, {"kaiming_normal_", 1}, {NULL, 0}};
    static const sonde_bind_row lecun[] = {{"lecun_uniform_", 0}, {"lecun_normal_", 1}, {NULL, 0}};
    lua_newtable(L);
    sonde_bind_add_rows(L, "nn.init.", f_uniform, uniform);
    sonde_bind_add_rows(L, "nn.init.", f_constant, constant);
    sonde_bind_add_rows(L, "nn.init.", f_gain, gain);
    sonde_bind_add_rows(L, "nn.init.", f_kaiming, kaiming);
    sonde_bind_add_rows(L, "nn.init.", f_lecun, lecun);
    lua_pushcfunction(L, f_calculate_gain);
    lua_setfield(L, -2, "calculate_gain");
}

/* ---- nn.utils ------------------------------------------------------------------------------------------ */

/* A norm's order: a number, math.huge or "inf". */
static double arg_norm_type(const sonde_bind_args *args, int i)
{
    int index = sonde_bind_arg_index(args, i);
    if (lua_type(args->L, index) == LUA_TSTRING && strcmp(lua_tostring(args->L, index), "inf") == 0) return HUGE_VAL;
    return sonde_bind_opt_number(args, i, 2.0);
}

static const char on_clip_key = 0; /* registry: who is told of each clipping */

/* _on_clip(fn or nil): fn(total, coef, norm_type) is called after every clip_grad_norm_; a run notes it in /metrics. */
static int f_on_clip(lua_State *L)
{
    if (!lua_isnoneornil(L, 1)) luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &on_clip_key);
    return 0;
}

/* clip_grad_norm_(parameters, max_norm, norm_type = 2, error_if_nonfinite = false): the total norm before clipping and
 * the coefficient applied. */
static int f_clip_grad_norm(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.utils.clip_grad_norm_",
                         SONDE_BIND_NAMES("parameters", "max_norm", "norm_type", "error_if_nonfinite"));
    double max_norm = sonde_bind_arg_number(&args, 1), norm_type = arg_norm_type(&args, 2), total, coef;
    bool strict = sonde_bind_opt_boolean(&args, 3, false);
    int n;
    sonde_tensor **parameters = sonde_bind_arg_tensors(&args, 0, &n);
    sonde_bind_check(L, sonde_clip_grad_norm_(n, parameters, max_norm, norm_type, strict, &total, &coef));
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &on_clip_key) == LUA_TFUNCTION) {
        lua_pushnumber(L, total);
        lua_pushnumber(L, coef);
        lua_pushnumber(L, norm_type);
        lua_call(L, 3, 0);
    }
    lua_pushnumber(L, total);
    lua_pushnumber(L, coef);
    return 2;
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
    lua_pushnumber(L, total);
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
    luaL_newlib(L, ((luaL_Reg[]){{"clip_grad_norm_", f_clip_grad_norm},
                                 {"clip_grad_value_", f_clip_grad_value},
                                 {"total_norm", f_total_norm},
                                 {"_on_clip", f_on_clip},
                                 {NULL, NULL}}));
}
