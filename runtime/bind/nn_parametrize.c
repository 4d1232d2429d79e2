/* nn.utils.parametrizations, and what nn.utils.parametrize (lua/sonde/nn/parametrize.lua) stands on. */
#include "bind/nn.h"

#include <string.h>

void sonde_bind_push_parametrizations(lua_State *L, int index)
{
    sonde_module *m = sonde_bind_check_module(L, index);
    luaL_checkstack(L, 8, NULL);
    sonde_bind_push_fields(L, index);
    sonde_bind_push(L, &sonde_bind_kind_module, m->parametrizations);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "parametrizations"); /* nil where there are none any more */
    lua_remove(L, -2);
}

/* The name of the tensor: argument i. */
static const char *arg_name(const sonde_bind_args *args, int i)
{
    return sonde_bind_opt_string(args, i, "weight");
}

static int return_module(lua_State *L, const sonde_bind_args *args)
{
    lua_pushvalue(L, sonde_bind_arg_index(args, 0));
    return 1;
}

/* weight_norm(module, name = "weight", dim = 1); dim false: one norm for all. */
static int f_weight_norm(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.utils.parametrizations.weight_norm",
                         SONDE_BIND_NAMES("module", "name", "dim"));
    sonde_module *m = sonde_bind_arg_module(&args, 0);
    const char *name = arg_name(&args, 1);
    const int index = sonde_bind_arg_index(&args, 2);
    const bool whole = lua_isboolean(L, index) && !lua_toboolean(L, index);
    const int dim = whole ? 0 : sonde_bind_free_axis(&args, 2, 0);
    SONDE_BIND_RUN(L, sonde_weight_norm(m, name, whole ? NULL : &dim));
    return return_module(L, &args);
}

/* spectral_norm(module, name = "weight", n_power_iterations = 1, eps = 1e-12, dim) */
static int f_spectral_norm(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.utils.parametrizations.spectral_norm",
                         SONDE_BIND_NAMES("module", "name", "n_power_iterations", "eps", "dim"));
    sonde_module *m = sonde_bind_arg_module(&args, 0);
    const char *name = arg_name(&args, 1);
    const int64_t n = sonde_bind_opt_integer(&args, 2, 1, 1, INT64_MAX);
    const double eps = sonde_bind_opt_number(&args, 3, 1e-12);
    const int dim = sonde_bind_free_axis(&args, 4, 0);
    SONDE_BIND_RUN(L, sonde_spectral_norm(m, name, n, eps, sonde_bind_given(&args, 4) ? &dim : NULL));
    return return_module(L, &args);
}

/* orthogonal(module, name = "weight", orthogonal_map, use_trivialization = true) */
static int f_orthogonal(lua_State *L)
{
    static const char *const maps[] = {"matrix_exp", "cayley", "householder", NULL}; /* sonde_orthogonal_map, from 1 */
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.utils.parametrizations.orthogonal",
                         SONDE_BIND_NAMES("module", "name", "orthogonal_map", "use_trivialization"));
    sonde_module *m = sonde_bind_arg_module(&args, 0);
    const char *name = arg_name(&args, 1);
    const sonde_orthogonal_map map =
        sonde_bind_given(&args, 2) ? (sonde_orthogonal_map)(sonde_bind_opt_choice(&args, 2, 0, maps) + 1)
                                   : SONDE_ORTHOGONAL_DEFAULT;
    const bool use_trivialization = sonde_bind_opt_boolean(&args, 3, true);
    SONDE_BIND_RUN(L, sonde_orthogonal(m, name, map, use_trivialization));
    return return_module(L, &args);
}

/* _register(module, name, parametrization, originals): the boxes along the way live as long as the module's. */
static int f_register(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.utils.parametrize.register_parametrization",
                         SONDE_BIND_NAMES("module", "name", "parametrization", "originals"));
    sonde_module *m = sonde_bind_arg_module(&args, 0), *parametrization = sonde_bind_arg_module(&args, 2);
    const char *name = sonde_bind_arg_string(&args, 1);
    int n = 0;
    sonde_tensor **originals = sonde_bind_given(&args, 3) ? sonde_bind_arg_tensors(&args, 3, &n) : NULL;
    SONDE_BIND_RUN(L, sonde_parametrize(m, name, parametrization, n, originals));
    sonde_bind_push_parametrizations(L, sonde_bind_arg_index(&args, 0));
    sonde_bind_keep_children(L);
    for (int i = 0; i < m->parametrizations->n_children; i++) { /* not by name, which a method of modules can have */
        if (strcmp(m->parametrizations->children[i].name, name) != 0) continue;
        sonde_bind_push_child(L, lua_absindex(L, -1), i);
        sonde_bind_keep_children(L);
        break;
    }
    return return_module(L, &args);
}

/* remove_parametrizations(module, name, leave_parametrized = true) */
static int f_remove(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.utils.parametrize.remove_parametrizations",
                         SONDE_BIND_NAMES("module", "name", "leave_parametrized"));
    sonde_module *m = sonde_bind_arg_module(&args, 0);
    const char *name = sonde_bind_arg_string(&args, 1);
    SONDE_BIND_RUN(L, sonde_remove_parametrizations(m, name, sonde_bind_opt_boolean(&args, 2, true)));
    sonde_bind_push_parametrizations(L, sonde_bind_arg_index(&args, 0));
    if (!lua_isnil(L, -1)) { /* others are left */
        sonde_bind_push_fields(L, -1);
        lua_pushnil(L);
        lua_setfield(L, -2, name);
    }
    return return_module(L, &args);
}

/* is_parametrized(module, name): without a name, is any tensor of the module? */
static int f_is_parametrized(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.utils.parametrize.is_parametrized", SONDE_BIND_NAMES("module", "name"));
    lua_pushboolean(L, sonde_is_parametrized(sonde_bind_arg_module(&args, 0), sonde_bind_opt_string(&args, 1, NULL)));
    return 1;
}

void sonde_bind_nn_parametrize(lua_State *L)
{
    luaL_newlib(L, ((luaL_Reg[]){{"weight_norm", f_weight_norm},
                                 {"spectral_norm", f_spectral_norm},
                                 {"orthogonal", f_orthogonal},
                                 {NULL, NULL}}));
    lua_setfield(L, -2, "parametrizations");
    luaL_newlib(L, ((luaL_Reg[]){{"_register", f_register},
                                 {"remove_parametrizations", f_remove},
                                 {"is_parametrized", f_is_parametrized},
                                 {NULL, NULL}}));
    lua_setfield(L, -2, "parametrize");
}
