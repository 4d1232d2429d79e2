/* The class Tensor: fields, metamethods and the table of its functions. The methods are in tensor_*.c. */
#include "bind/tensor.h"

#include <string.h>

static int get_grad(lua_State *L, sonde_tensor *t)
{
    sonde_bind_push_tensor(L, sonde_grad(t));
    return 1;
}

static int get_requires_grad(lua_State *L, sonde_tensor *t)
{
    lua_pushboolean(L, t->requires_grad);
    return 1;
}

static int get_dtype(lua_State *L, sonde_tensor *t)
{
    lua_pushstring(L, sonde_dtype_name(t->dtype));
    return 1;
}

static int get_is_leaf(lua_State *L, sonde_tensor *t)
{
    lua_pushboolean(L, sonde_is_leaf(t));
    return 1;
}

static int get_grad_fn(lua_State *L, sonde_tensor *t)
{
    lua_pushstring(L, sonde_grad_op_name(t)); /* NULL: nil */
    return 1;
}

static int get_ndim(lua_State *L, sonde_tensor *t)
{
    lua_pushinteger(L, t->ndim);
    return 1;
}

static int get_data(lua_State *L, sonde_tensor *t)
{
    sonde_bind_check(L, sonde_detach(sonde_bind_new_tensor(L), t));
    return sonde_bind_done(L);
}

static const struct field {
    const char *name;
    int (*get)(lua_State *L, sonde_tensor *t);
} fields[] = {
    {"grad", get_grad},       {"requires_grad", get_requires_grad},
    {"dtype", get_dtype},     {"is_leaf", get_is_leaf},
    {"grad_fn", get_grad_fn}, {"ndim", get_ndim},
    {"data", get_data},       {NULL, NULL},
};

/* t.method, t.field, t[i], t[{…}] */
static int get_index(lua_State *L)
{
    if (lua_type(L, 2) != LUA_TSTRING) return sonde_bind_tensor_index(L);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
    const char *name = lua_tostring(L, 2);
    for (const struct field *f = fields; f->name != NULL; f++) {
        if (strcmp(f->name, name) == 0) return f->get(L, sonde_bind_check_tensor(L, 1));
    }
    lua_pushnil(L);
    return 1;
}

static int set_index(lua_State *L)
{
    if (lua_type(L, 2) != LUA_TSTRING) return sonde_bind_tensor_assign(L);
    sonde_tensor *t = sonde_bind_check_tensor(L, 1);
    const char *name = lua_tostring(L, 2);
    if (strcmp(name, "grad") == 0) {
        sonde_tensor *gradient = lua_isnil(L, 3) ? NULL : sonde_bind_check_tensor(L, 3);
        sonde_bind_check(L, sonde_set_grad(t, gradient));
    } else if (strcmp(name, "requires_grad") == 0) {
        if (!lua_isboolean(L, 3))
            sonde_bind_raise(L, "requires_grad: expected boolean, got %s", sonde_bind_type_name(L, 3));
        sonde_bind_check(L, sonde_requires_grad_(t, lua_toboolean(L, 3)));
    } else {
        sonde_bind_raise(L, "a Tensor has no field '%s' that could be set", name);
    }
    return 0;
}

static int length(lua_State *L)
{
    const sonde_tensor *t = sonde_bind_check_tensor(L, 1);
    if (t->ndim == 0) sonde_bind_raise(L, "a tensor without axes has no length");
    lua_pushinteger(L, t->shape[0]);
    return 1;
}

static int format(lua_State *L)
{
    const sonde_tensor *t = sonde_bind_test_tensor(L, 1);
    if (t == NULL) {
        lua_pushliteral(L, "Tensor (closed)");
        return 1;
    }
    sonde_bind_check(L, sonde_tensor_format(sonde_bind_new_text(L), t));
    return sonde_bind_text_done(L);
}

static int no_order(lua_State *L)
{
    sonde_bind_raise(L,
                     "tensors cannot be compared with < or <=: use x:lt(y), x:le(y), x:gt(y) or x:ge(y), which compare "
                     "element by element");
}

static const luaL_Reg metamethods[] = {
    {"__index", get_index},
    {"__newindex", set_index},
    {"__len", length},
    {"__tostring", format},
    {"__lt", no_order},
    {"__le", no_order},
    {"__add", sonde_bind_tensor_add},
    {"__sub", sonde_bind_tensor_sub},
    {"__mul", sonde_bind_tensor_mul},
    {"__div", sonde_bind_tensor_div},
    {"__pow", sonde_bind_tensor_pow},
    {"__unm", sonde_bind_tensor_neg},
    {NULL, NULL},
};

/* The table of constructors and functions, field `Tensor` the methods (for lua/sonde/tensor.lua to add to). */
int sonde_bind_tensor(lua_State *L)
{
    sonde_bind_kind_open(L, &sonde_bind_kind_tensor, NULL, metamethods);
    sonde_bind_tensor_data(L);
    sonde_bind_tensor_math(L);
    sonde_bind_tensor_triangles(L);
    sonde_bind_tensor_reduce(L);
    sonde_bind_tensor_shape(L);
    sonde_bind_tensor_grad(L);
    lua_newtable(L);
    sonde_bind_tensor_make(L);
    sonde_bind_tensor_join(L);
    static const char *const functions[] = {"matmul", "maximum", "minimum", NULL};
    for (const char *const *name = functions; *name != NULL; name++) {
        lua_getfield(L, -2, *name);
        lua_setfield(L, -2, *name);
    }
    lua_insert(L, -2);
    lua_setfield(L, -2, "Tensor");
    return 1;
}
