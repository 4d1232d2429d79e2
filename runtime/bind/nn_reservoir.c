/* What echo state networks need of the core: spectral radius, reservoir weights, ridge regression. */
#include "bind/nn.h"

/* nn.utils.spectral_radius(tensor): the largest modulus of its eigenvalues. */
static int f_spectral_radius(lua_State *L)
{
    sonde_bind_args args;
    double radius;
    sonde_bind_args_open(&args, L, 1, "nn.utils.spectral_radius", SONDE_BIND_NAMES("tensor"));
    sonde_bind_check(L, sonde_spectral_radius(&radius, sonde_bind_arg_tensor(&args, 0)));
    lua_pushnumber(L, radius);
    return 1;
}

/* nn.init.spectral_radius_(tensor, spectral_radius): the tensor, scaled. */
static int f_scale(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.init.spectral_radius_", SONDE_BIND_NAMES("tensor", "spectral_radius"));
    sonde_tensor *w = sonde_bind_arg_tensor(&args, 0);
    sonde_bind_check(L, sonde_init_spectral_radius_(w, sonde_bind_arg_number(&args, 1)));
    lua_pushvalue(L, sonde_bind_arg_index(&args, 0));
    return 1;
}

/* nn.init.reservoir_(tensor, spectral_radius = 0.9, links = all, generator): the tensor. */
static int f_reservoir(lua_State *L)
{
    sonde_bind_args args;
    sonde_stream next;
    sonde_bind_args_open(&args, L, 1, "nn.init.reservoir_",
                         SONDE_BIND_NAMES("tensor", "spectral_radius", "links", "generator"));
    sonde_tensor *w = sonde_bind_arg_tensor(&args, 0);
    double radius = sonde_bind_opt_number(&args, 1, 0.9);
    int64_t links = sonde_bind_opt_integer(&args, 2, w->ndim > 0 ? w->shape[0] : 1, 1, INT64_MAX);
    if (!sonde_bind_given(&args, 3)) sonde_nn_random_parameter(&next);
    sonde_bind_check(L, sonde_init_reservoir_(w, sonde_bind_opt_stream(&args, 3, &next), links, radius));
    lua_pushvalue(L, sonde_bind_arg_index(&args, 0));
    return 1;
}

/* nn.utils.ridge(x, y, ridge = 0): weight and bias. */
static int f_ridge(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.utils.ridge", SONDE_BIND_NAMES("x", "y", "ridge"));
    sonde_tensor *x = sonde_bind_arg_tensor(&args, 0), *y = sonde_bind_arg_tensor(&args, 1);
    double ridge = sonde_bind_opt_number(&args, 2, 0.0);
    sonde_tensor **weight = sonde_bind_new_tensor(L);
    sonde_tensor **bias = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_ridge(weight, bias, x, y, ridge));
    lua_pushvalue(L, -2);
    sonde_bind_done(L);
    lua_pushvalue(L, -2);
    sonde_bind_done(L);
    return 2;
}

static void add(lua_State *L, const char *table, const char *name, lua_CFunction function)
{
    lua_getfield(L, -1, table);
    lua_pushcfunction(L, function);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

void sonde_bind_nn_reservoir(lua_State *L)
{
    add(L, "init", "spectral_radius_", f_scale);
    add(L, "init", "reservoir_", f_reservoir);
    add(L, "utils", "spectral_radius", f_spectral_radius);
    add(L, "utils", "ridge", f_ridge);
}
