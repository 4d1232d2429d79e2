/* m.name and m[i]: a module's fields, parameters and children, read and assigned. */
#include "bind/nn.h"

#include <string.h>

static int find_child(const sonde_module *m, const char *name)
{
    for (int i = 0; i < m->n_children; i++) {
        if (strcmp(m->children[i].name, name) == 0) return i;
    }
    return -1;
}

static const sonde_parameter *find_parameter(const sonde_module *m, const char *name)
{
    for (int i = 0; i < m->n_parameters; i++) {
        if (strcmp(m->parameters[i].name, name) == 0) return &m->parameters[i];
    }
    return NULL;
}

/* The 0-based child of the integer at index 2 (negative: from the end), or -1. */
static int child_of_integer(lua_State *L, const sonde_module *m)
{
    int whole = 0;
    lua_Integer i = lua_tointegerx(L, 2, &whole);
    if (!whole || i == 0 || i > m->n_children || i < -m->n_children) return -1;
    return (int)(i > 0 ? i - 1 : i + m->n_children);
}

/* Pushes what a user's layer itself knows under the key: a field, then what its class has. */
static bool push_of_layer(lua_State *L)
{
    if (lua_getiuservalue(L, 1, SONDE_BIND_CLASS) != LUA_TTABLE) {
        lua_pop(L, 1);
        return false;
    }
    sonde_bind_push_fields(L, 1);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) != LUA_TNIL) return true;
    lua_pop(L, 2);
    lua_pushvalue(L, 2);
    return lua_gettable(L, -2) != LUA_TNIL; /* its chain ends with the methods of all modules */
}

int sonde_bind_nn_index(lua_State *L)
{
    sonde_module *m = sonde_bind_check_module(L, 1);
    if (push_of_layer(L)) return 1;
    if (lua_type(L, 2) == LUA_TNUMBER) {
        int i = child_of_integer(L, m);
        if (i < 0) return 0;
        sonde_bind_push_child(L, 1, i);
        return 1;
    }
    if (lua_type(L, 2) != LUA_TSTRING) return 0;
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
    const char *name = lua_tostring(L, 2);
    const sonde_parameter *p = find_parameter(m, name);
    if (p != NULL && p->is_computed) {
        SONDE_BIND_RUN(L, sonde_parametrized_value(sonde_bind_new_tensor(L), m, name));
        return sonde_bind_done(L);
    }
    if (p != NULL) {
        if (p->is_buffer)
            sonde_bind_push_tensor(L, p->tensor);
        else
            sonde_bind_push_parameter(L, p->tensor);
        return 1;
    }
    int i = find_child(m, name);
    if (i >= 0) {
        sonde_bind_push_child(L, 1, i);
        return 1;
    }
    if (m->parametrizations != NULL && strcmp(name, "parametrizations") == 0) {
        sonde_bind_push_parametrizations(L, 1);
        return 1;
    }
    if (strcmp(name, "training") != 0) return 0;
    lua_pushboolean(L, m->training);
    return 1;
}

/* ---- assigning ----------------------------------------------------------------------------------------- */

/* m.weight = t: t must be a parameter, a buffer any tensor, and nil takes either away. */
static void assign_tensor(lua_State *L, sonde_module *m, const char *name, bool is_buffer)
{
    const sonde_bind_box *box = sonde_bind_box_at(L, 3, &sonde_bind_kind_tensor);
    bool fits = lua_isnil(L, 3) || (box != NULL && (is_buffer || box->is_parameter));
    if (!fits) {
        sonde_bind_raise(L, "cannot assign a %s to %s '%s' of %s: expected %s or nil%s", sonde_bind_type_name(L, 3),
                         is_buffer ? "buffer" : "parameter", name, m->class->name,
                         is_buffer ? "Tensor" : "nn.Parameter",
                         box != NULL ? " (to change its values: copy_, in sonde.no_grad)" : "");
    }
    sonde_bind_check(L, sonde_module_set_parameter(m, name, box != NULL ? box->object : NULL, is_buffer));
}

static bool is_user_layer(lua_State *L)
{
    bool is = lua_getiuservalue(L, 1, SONDE_BIND_CLASS) == LUA_TTABLE;
    lua_pop(L, 1);
    return is;
}

/* A name that is a child's or nobody's yet. */
static void assign_named(lua_State *L, sonde_module *m, const char *name)
{
    bool is_layer = is_user_layer(L), is_module = sonde_bind_test(L, 3, &sonde_bind_kind_module) != NULL;
    const sonde_bind_box *tensor = sonde_bind_box_at(L, 3, &sonde_bind_kind_tensor);
    bool is_child = find_child(m, name) >= 0;
    if (is_module && (is_layer || is_child || m->class->is_container)) {
        sonde_bind_set_child(L, 1, name, 3);
    } else if (is_child) {
        sonde_bind_raise(L, "cannot assign a %s to child '%s' of %s: expected Module", sonde_bind_type_name(L, 3), name,
                         m->class->name);
    } else if (!is_layer) {
        sonde_bind_raise(L, "%s has no parameter, buffer or child '%s'", m->class->name, name);
    } else {
        bool is_parameter = tensor != NULL && tensor->is_parameter;
        if (is_parameter) sonde_bind_check(L, sonde_module_set_parameter(m, name, tensor->object, false));
        sonde_bind_push_fields(L, 1);
        lua_pushvalue(L, 2);
        if (is_parameter)
            lua_pushnil(L); /* it is found among the parameters */
        else
            lua_pushvalue(L, 3);
        lua_rawset(L, -3);
    }
}

/* m.training = flag: of m alone, where train() and eval() go through all below it. */
static int assign_training(lua_State *L, sonde_module *m)
{
    if (!lua_isboolean(L, 3))
        sonde_bind_raise(L, "cannot assign a %s to 'training' of %s: expected boolean", sonde_bind_type_name(L, 3),
                         m->class->name);
    m->training = lua_toboolean(L, 3);
    return 0;
}

int sonde_bind_nn_newindex(lua_State *L)
{
    sonde_module *m = sonde_bind_check_module(L, 1);
    if (lua_type(L, 2) == LUA_TNUMBER && !is_user_layer(L)) {
        int i = child_of_integer(L, m);
        if (i < 0)
            sonde_bind_raise(L, "%s has %d children, there is no number %s", m->class->name, m->n_children,
                             lua_tostring(L, 2));
        sonde_bind_set_child(L, 1, m->children[i].name, 3);
    } else if (lua_type(L, 2) != LUA_TSTRING) {
        if (!is_user_layer(L)) sonde_bind_raise(L, "%s has no field of type %s", m->class->name, luaL_typename(L, 2));
        sonde_bind_push_fields(L, 1);
        lua_replace(L, 1);
        lua_settop(L, 3);
        if (lua_isnil(L, 2)) sonde_bind_raise(L, "index is nil");
        lua_rawset(L, 1);
    } else {
        const char *name = lua_tostring(L, 2);
        const sonde_parameter *p = find_parameter(m, name);
        if (strcmp(name, "training") == 0) return assign_training(L, m);
        if (p != NULL && p->is_computed)
            sonde_bind_raise(L, "'%s' of %s is made by a parametrisation: change the originals in parametrizations.%s, "
                             "or remove it first", name, m->class->name, name);
        if (p != NULL)
            assign_tensor(L, m, name, p->is_buffer);
        else
            assign_named(L, m, name);
    }
    return 0;
}
