/* Constructors of normalisations, with PyTorch's arguments and defaults. */
#include "bind/nn.h"

#include <math.h>

/* momentum = false: the cumulative average (None in PyTorch). */
static int f_batch_norm(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, sonde_bind_row_name(L),
                         SONDE_BIND_NAMES("num_features", "eps", "momentum", "affine", "track_running_stats", "dtype"));
    int64_t n = sonde_bind_arg_integer(&args, 0, 1, INT64_MAX);
    double eps = sonde_bind_opt_number(&args, 1, 1e-5);
    bool cumulative =
        lua_isboolean(L, sonde_bind_arg_index(&args, 2)) && !lua_toboolean(L, sonde_bind_arg_index(&args, 2));
    double momentum = cumulative ? (double)NAN : sonde_bind_opt_number(&args, 2, 0.1);
    bool affine = sonde_bind_opt_boolean(&args, 3, true), track = sonde_bind_opt_boolean(&args, 4, true);
    sonde_dtype dtype = sonde_bind_arg_float(&args, 5);
    sonde_module **out = sonde_bind_new_module(L);
    sonde_bind_check(L, sonde_bind_row_value(L) == 1
                            ? sonde_batch_norm1d_new(out, n, eps, momentum, affine, track, dtype)
                            : sonde_batch_norm2d_new(out, n, eps, momentum, affine, track, dtype));
    return sonde_bind_done(L);
}

/* normalized_shape: the last axis's size, or a list of the last ones'. */
static int f_layer_norm(lua_State *L)
{
    sonde_bind_args args;
    int64_t shape[SONDE_MAX_DIMS];
    sonde_bind_args_open(&args, L, 1, "nn.LayerNorm",
                         SONDE_BIND_NAMES("normalized_shape", "eps", "elementwise_affine", "bias", "dtype"));
    int ndim = sonde_bind_arg_integers(&args, 0, shape, SONDE_MAX_DIMS, 1);
    double eps = sonde_bind_opt_number(&args, 1, 1e-5);
    bool affine = sonde_bind_opt_boolean(&args, 2, true), bias = sonde_bind_opt_boolean(&args, 3, true);
    sonde_dtype dtype = sonde_bind_arg_float(&args, 4);
    sonde_bind_check(L, sonde_layer_norm_new(sonde_bind_new_module(L), ndim, shape, eps, affine, bias, dtype));
    return sonde_bind_done(L);
}

static int f_rms_norm(lua_State *L)
{
    sonde_bind_args args;
    int64_t shape[SONDE_MAX_DIMS];
    sonde_bind_args_open(&args, L, 1, "nn.RMSNorm",
                         SONDE_BIND_NAMES("normalized_shape", "eps", "elementwise_affine", "dtype"));
    int ndim = sonde_bind_arg_integers(&args, 0, shape, SONDE_MAX_DIMS, 1);
    double eps = sonde_bind_opt_number(&args, 1, (double)NAN);
    bool affine = sonde_bind_opt_boolean(&args, 2, true);
    sonde_dtype dtype = sonde_bind_arg_float(&args, 3);
    sonde_bind_check(L, sonde_rms_norm_new(sonde_bind_new_module(L), ndim, shape, eps, affine, dtype));
    return sonde_bind_done(L);
}

static int f_group_norm(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.GroupNorm",
                         SONDE_BIND_NAMES("num_groups", "num_channels", "eps", "affine", "dtype"));
    int64_t groups = sonde_bind_arg_integer(&args, 0, 1, INT64_MAX);
    int64_t channels = sonde_bind_arg_integer(&args, 1, 1, INT64_MAX);
    double eps = sonde_bind_opt_number(&args, 2, 1e-5);
    bool affine = sonde_bind_opt_boolean(&args, 3, true);
    sonde_dtype dtype = sonde_bind_arg_float(&args, 4);
    sonde_bind_check(L, sonde_group_norm_new(sonde_bind_new_module(L), groups, channels, eps, affine, dtype));
    return sonde_bind_done(L);
}

static int f_instance_norm(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, sonde_bind_row_name(L),
                         SONDE_BIND_NAMES("num_features", "eps", "affine", "dtype"));
    int64_t n = sonde_bind_arg_integer(&args, 0, 1, INT64_MAX);
    double eps = sonde_bind_opt_number(&args, 1, 1e-5);
    bool affine = sonde_bind_opt_boolean(&args, 2, false);
    sonde_dtype dtype = sonde_bind_arg_float(&args, 3);
    sonde_bind_check(L,
                     sonde_instance_norm_new(sonde_bind_new_module(L), sonde_bind_row_value(L), n, eps, affine, dtype));
    return sonde_bind_done(L);
}

void sonde_bind_nn_norm(lua_State *L)
{
    static const sonde_bind_row batch[] = {{"BatchNorm1d", 1}, {"BatchNorm2d", 2}, {NULL, 0}},
                                instance[] = {{"InstanceNorm1d", 1}, {"InstanceNorm2d", 2}, {NULL, 0}};
    static const luaL_Reg functions[] = {
        {"LayerNorm", f_layer_norm}, {"GroupNorm", f_group_norm}, {"RMSNorm", f_rms_norm}, {NULL, NULL}};
    sonde_bind_add_rows(L, "nn.", f_batch_norm, batch);
    sonde_bind_add_rows(L, "nn.", f_instance_norm, instance);
    luaL_setfuncs(L, functions, 0);
}
