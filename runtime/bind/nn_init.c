/* nn.init: initial weights. */
#include "bind/nn.h"

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
    static init *const functions[] = {sonde_init_xavier_uniform_, sonde_init_xavier_normal_, sonde_init_orthogonal_,
                                      sonde_init_delta_orthogonal_};
    sonde_bind_args args;
    sonde_stream next;
    sonde_bind_args_open(&args, L, 1, sonde_bind_row_name(L), SONDE_BIND_NAMES("tensor", "gain", "generator"));
    sonde_tensor *w = sonde_bind_arg_tensor(&args, 0);
    double gain = sonde_bind_opt_number(&args, 1, 1.0);
    sonde_stream *stream = init_stream(&args, 2, &next);
    return finish(L, &args, functions[sonde_bind_row_value(L)](w, stream, gain));
}

static const char *const modes[] = {"fan_in", "fan_out", NULL}; /* in the order of sonde_fan */

/* (tensor, a = 0, mode = "fan_in", nonlinearity = "leaky_relu") */
static int f_kaiming(lua_State *L)
{
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

/* (tensor, mode = "fan_in") */
static int f_lecun(lua_State *L)
{
    sonde_bind_args args;
    sonde_stream next;
    sonde_bind_args_open(&args, L, 1, sonde_bind_row_name(L), SONDE_BIND_NAMES("tensor", "mode", "generator"));
    sonde_tensor *w = sonde_bind_arg_tensor(&args, 0);
    sonde_fan mode = (sonde_fan)sonde_bind_opt_choice(&args, 1, SONDE_FAN_IN, modes);
    sonde_stream *stream = init_stream(&args, 2, &next);
    return finish(L, &args,
                  sonde_bind_row_value(L) ? sonde_init_lecun_normal_(w, stream, mode)
                                          : sonde_init_lecun_uniform_(w, stream, mode));
}

/* trunc_normal_(tensor, mean = 0, std = 1, a = -2, b = 2) */
static int f_trunc_normal(lua_State *L)
{
    sonde_bind_args args;
    sonde_stream next;
    sonde_bind_args_open(&args, L, 1, "nn.init.trunc_normal_",
                         SONDE_BIND_NAMES("tensor", "mean", "std", "a", "b", "generator"));
    sonde_tensor *w = sonde_bind_arg_tensor(&args, 0);
    double mean = sonde_bind_opt_number(&args, 1, 0.0), std = sonde_bind_opt_number(&args, 2, 1.0);
    double a = sonde_bind_opt_number(&args, 3, -2.0), b = sonde_bind_opt_number(&args, 4, 2.0);
    sonde_stream *stream = init_stream(&args, 5, &next);
    return finish(L, &args, sonde_init_trunc_normal_(w, stream, mean, std, a, b));
}

/* sparse_(tensor, sparsity, std = 0.01) */
static int f_sparse(lua_State *L)
{
    sonde_bind_args args;
    sonde_stream next;
    sonde_bind_args_open(&args, L, 1, "nn.init.sparse_", SONDE_BIND_NAMES("tensor", "sparsity", "std", "generator"));
    sonde_tensor *w = sonde_bind_arg_tensor(&args, 0);
    double sparsity = sonde_bind_arg_number(&args, 1), std = sonde_bind_opt_number(&args, 2, 0.01);
    sonde_stream *stream = init_stream(&args, 3, &next);
    return finish(L, &args, sonde_init_sparse_(w, stream, sparsity, std));
}

static int f_eye(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.init.eye_", SONDE_BIND_NAMES("tensor"));
    return finish(L, &args, sonde_init_eye_(sonde_bind_arg_tensor(&args, 0)));
}

/* dirac_(tensor, groups = 1) */
static int f_dirac(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.init.dirac_", SONDE_BIND_NAMES("tensor", "groups"));
    sonde_tensor *w = sonde_bind_arg_tensor(&args, 0);
    return finish(L, &args, sonde_init_dirac_(w, sonde_bind_opt_integer(&args, 1, 1, 1, INT64_MAX)));
}

/* fans(tensor): fan_in, fan_out */
static int f_fans(lua_State *L)
{
    sonde_bind_args args;
    int64_t in = 0, out = 0;
    sonde_bind_args_open(&args, L, 1, "nn.init.fans", SONDE_BIND_NAMES("tensor"));
    sonde_bind_check(L, sonde_init_fans(sonde_bind_arg_tensor(&args, 0), &in, &out));
    lua_pushinteger(L, in);
    lua_pushinteger(L, out);
    return 2;
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
    static const sonde_bind_row gain[] = {{"xavier_uniform_", 0}, {"xavier_normal_", 1}, {"orthogonal_", 2},
                                          {"delta_orthogonal_", 3}, {NULL, 0}};
    static const sonde_bind_row kaiming[] = {{"kaiming_uniform_", 0}, {"kaiming_normal_", 1}, {NULL, 0}};
    static const sonde_bind_row lecun[] = {{"lecun_uniform_", 0}, {"lecun_normal_", 1}, {NULL, 0}};
    static const luaL_Reg others[] = {
        {"trunc_normal_", f_trunc_normal}, {"sparse_", f_sparse}, {"eye_", f_eye},
        {"dirac_", f_dirac},               {"fans", f_fans},      {"calculate_gain", f_calculate_gain},
        {NULL, NULL},
    };
    luaL_newlib(L, others);
    sonde_bind_add_rows(L, "nn.init.", f_uniform, uniform);
    sonde_bind_add_rows(L, "nn.init.", f_constant, constant);
    sonde_bind_add_rows(L, "nn.init.", f_gain, gain);
    sonde_bind_add_rows(L, "nn.init.", f_kaiming, kaiming);
    sonde_bind_add_rows(L, "nn.init.", f_lecun, lecun);
}
