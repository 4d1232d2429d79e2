/* Constructors of activations: element-wise ones from their table, and those with state or over an axis. */
#include "bind/activations.h"
#include "bind/nn.h"

#include <math.h>

static int f_activation(lua_State *L)
{
    const sonde_bind_activation *row = &sonde_bind_activations[sonde_bind_row_value(L)];
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, sonde_bind_row_name(L), row->names);
    sonde_activation activation = sonde_bind_arg_activation(&args, row);
    bool inplace = sonde_bind_arg_inplace(&args, row);
    sonde_bind_check(L, sonde_activation_module_new(sonde_bind_new_module(L), row->class, &activation, inplace));
    return sonde_bind_done(L);
}

static int f_prelu(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.PReLU", SONDE_BIND_NAMES("num_parameters", "init", "dtype"));
    int64_t n = sonde_bind_opt_integer(&args, 0, 1, 1, INT64_MAX);
    double init = sonde_bind_opt_number(&args, 1, 0.25);
    sonde_dtype dtype = sonde_bind_arg_float(&args, 2);
    sonde_bind_check(L, sonde_prelu_new(sonde_bind_new_module(L), n, init, dtype));
    return sonde_bind_done(L);
}

static int f_rrelu(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.RReLU", SONDE_BIND_NAMES("lower", "upper"));
    double lower = sonde_bind_opt_number(&args, 0, 1.0 / 8), upper = sonde_bind_opt_number(&args, 1, 1.0 / 3);
    sonde_bind_check(L, sonde_rrelu_new(sonde_bind_new_module(L), lower, upper));
    return sonde_bind_done(L);
}

/* Softmax(dim = -1), LogSoftmax(dim = -1) */
static int f_softmax(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, sonde_bind_row_name(L), SONDE_BIND_NAMES("dim"));
    int axis = sonde_bind_free_axis(&args, 0, -1);
    sonde_bind_check(L, sonde_softmax_module_new(sonde_bind_new_module(L), axis, sonde_bind_row_value(L)));
    return sonde_bind_done(L);
}

/* derivative_bound(): sup |φ'| of an activation; nil of any other module. */
static int l_module_derivative_bound(lua_State *L)
{
    sonde_activation_facts facts;
    if (sonde_activation_module_facts(&facts, sonde_bind_check_module(L, 1)))
        lua_pushnumber(L, facts.max_slope);
    else
        lua_pushnil(L);
    return 1;
}

static void push_bound(lua_State *L, double bound)
{
    if (isfinite(bound))
        lua_pushnumber(L, bound);
    else
        lua_pushnil(L);
}

/* saturation_interval(): lower, upper. Below lower and above upper |φ'| is under 5 % of its bound; nil: nowhere on that
 * side, or no activation. */
static int l_module_saturation_interval(lua_State *L)
{
    sonde_activation_facts facts = {.lower = -HUGE_VAL, .upper = HUGE_VAL};
    sonde_activation_module_facts(&facts, sonde_bind_check_module(L, 1));
    push_bound(L, facts.lower);
    push_bound(L, facts.upper);
    return 2;
}

void sonde_bind_nn_activation_methods(lua_State *L)
{
    static const luaL_Reg methods[] = {{"derivative_bound", l_module_derivative_bound},
                                       {"saturation_interval", l_module_saturation_interval},
                                       {NULL, NULL}};
    luaL_setfuncs(L, methods, 0);
}

void sonde_bind_nn_activations(lua_State *L)
{
    static const sonde_bind_row softmaxes[] = {{"Softmax", false}, {"LogSoftmax", true}, {NULL, 0}};
    luaL_setfuncs(L, (luaL_Reg[]){{"PReLU", f_prelu}, {"RReLU", f_rrelu}, {NULL, NULL}}, 0);
    sonde_bind_add_rows(L, "nn.", f_softmax, softmaxes);
    for (int i = 0; sonde_bind_activations[i].class != NULL; i++) {
        sonde_bind_add_rows(L, "nn.", f_activation,
                            (sonde_bind_row[]){{sonde_bind_activations[i].class, i}, {NULL, 0}});
    }
}
