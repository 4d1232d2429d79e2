/* nn.Module:extend: layers written in Lua. An instance is a module like any other; its class is a Lua table, its
 * fields lie in the box, and the core reaches its forward through a protected call. */
#include "bind/nn.h"
#include "bind/state.h"

#include <string.h>

/* The core's view of a class. One copy for layers that compute themselves, one for those with children, into which
 * probes look. Lives as long as the Lua state. */
typedef struct layer_class {
    sonde_module_class leaf, container;
} layer_class;

typedef struct forward_call {
    sonde_module *self;
    const sonde_values *in;
    sonde_values *out;
} forward_call;

/* Puts what the layer returned, from stack index `first` on, into out. */
static void take_results(lua_State *L, const forward_call *call, int first)
{
    const char *class = call->self->class->name;
    int n = lua_gettop(L) - first + 1;
    if (n < 1 || n > SONDE_MAX_VALUES) {
        sonde_bind_raise(L, "%s: forward returns 1 to %d tensors, got %d", class, SONDE_MAX_VALUES, n);
    }
    for (int i = 0; i < n; i++) {
        if (sonde_bind_test_tensor(L, first + i) == NULL && (i == 0 || !lua_isnil(L, first + i))) {
            sonde_bind_raise(L, "%s: forward returned a %s as value %d, expected Tensor", class,
                             sonde_bind_type_name(L, first + i), i + 1);
        }
    }
    for (int i = 0; i < n; i++) {
        sonde_tensor *t = sonde_bind_test_tensor(L, first + i);
        call->out->t[i] = t != NULL ? sonde_tensor_retain(t) : NULL;
    }
    call->out->n = n;
}

static int call_forward(lua_State *L)
{
    const forward_call *call = lua_touserdata(L, 1);
    luaL_checkstack(L, SONDE_MAX_VALUES + LUA_MINSTACK, NULL);
    if (!sonde_bind_find(L, &sonde_bind_kind_module, call->self)) {
        sonde_bind_raise(L, "%s: the layer's Lua side is gone", call->self->class->name);
    }
    lua_getiuservalue(L, 2, SONDE_BIND_CLASS);
    if (lua_getfield(L, 3, "forward") == LUA_TNIL || lua_tocfunction(L, -1) == sonde_bind_call_module) {
        sonde_bind_raise(L, "%s has no method 'forward'", call->self->class->name);
    }
    lua_pushvalue(L, 2);
    for (int i = 0; i < call->in->n; i++) sonde_bind_push_tensor(L, call->in->t[i]);
    lua_call(L, 1 + call->in->n, LUA_MULTRET);
    take_results(L, call, 4);
    return 0;
}

/* `host` of a user's layer is the Lua state it lives in. */
static lua_State *running(const sonde_module *self)
{
    return ((const sonde_bind_state *)self->host)->running;
}

static sonde_status forward(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    forward_call call = {self, in, out};
    return sonde_bind_protect(running(self), call_forward, &call);
}

typedef struct describe_call {
    const sonde_module *self;
    char *text;
    size_t size;
} describe_call;

static int call_describe(lua_State *L)
{
    const describe_call *call = lua_touserdata(L, 1);
    if (!sonde_bind_find(L, &sonde_bind_kind_module, call->self)) return 0;
    if (lua_getfield(L, -1, "extra_repr") != LUA_TFUNCTION) return 0;
    lua_insert(L, -2);
    lua_call(L, 1, 1);
    size_t length;
    const char *text = lua_tolstring(L, -1, &length);
    if (text == NULL) return 0;
    if (length >= call->size) length = call->size - 1;
    memcpy(call->text, text, length);
    call->text[length] = '\0';
    return 0;
}

/* What the optional method extra_repr returns; one that fails has nothing to say. */
static void describe(const sonde_module *self, char *text, size_t size)
{
    describe_call call = {self, text, size};
    lua_State *L = running(self);
    if (sonde_bind_protect(L, call_describe, &call) != SONDE_OK && sonde_bind_take_error(L)) lua_pop(L, 1);
}

void sonde_bind_nn_class_has_children(sonde_module *m)
{
    if (m->class->forward != forward || m->class->is_container) return;
    m->class = &((const layer_class *)(const void *)m->class)->container; /* leaf is its first member */
}

/* ---- classes ------------------------------------------------------------------------------------------- */

#define IS_LAYER "__layer" /* in the metatables of nn.Module and of what extends it */

/* MyLayer(...): a module of this class, made and given to its init. */
static int construct(lua_State *L)
{
    const layer_class *class = lua_touserdata(L, lua_upvalueindex(1));
    int n = lua_gettop(L) - 1;
    sonde_module **out = (sonde_module **)sonde_bind_new(L, &sonde_bind_kind_module);
    sonde_bind_check(L, sonde_module_new(out, &class->leaf, NULL));
    (*out)->host = sonde_bind_state_of(L);
    sonde_bind_done(L);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, SONDE_BIND_CLASS);
    lua_insert(L, 2);
    if (lua_getfield(L, 1, "init") != LUA_TNIL) {
        lua_insert(L, 3);
        lua_pushvalue(L, 2);
        lua_insert(L, 4);
        lua_call(L, n + 1, 0);
    }
    lua_settop(L, 2);
    return 1;
}

static int construct_nothing(lua_State *L)
{
    sonde_bind_raise(L, "nn.Module is no layer itself: local MyLayer = nn.Module:extend(\"MyLayer\")");
}

static int class_tostring(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    return 1;
}

static layer_class *new_layer_class(lua_State *L, const char *name)
{
    size_t length = strlen(name) + 1;
    layer_class *class = lua_newuserdatauv(L, sizeof *class + length, 0);
    char *own = (char *)(class + 1);
    memcpy(own, name, length);
    class->leaf = (sonde_module_class){
        .name = own, .forward = forward, .describe = describe, .min_in = -1, .max_in = SONDE_MAX_VALUES};
    class->container = class->leaf;
    class->container.is_container = true;
    lua_rawsetp(L, LUA_REGISTRYINDEX, class);
    return class;
}

/* Base:extend("Name"): the class; it has the base's methods and `super`, the base. */
static int extend(lua_State *L)
{
    bool is_class = lua_type(L, 1) == LUA_TTABLE && luaL_getmetafield(L, 1, IS_LAYER) == LUA_TBOOLEAN;
    if (!is_class) sonde_bind_raise(L, "extend: expected a class, as in nn.Module:extend(\"Name\")");
    if (lua_type(L, 2) != LUA_TSTRING || lua_rawlen(L, 2) == 0)
        sonde_bind_raise(L, "extend: expected the new class's name");
    const char *name = lua_tostring(L, 2);
    lua_createtable(L, 0, 4);
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "super");
    lua_createtable(L, 0, 4);
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, IS_LAYER);
    lua_pushlightuserdata(L, new_layer_class(L, name));
    lua_pushcclosure(L, construct, 1);
    lua_setfield(L, -2, "__call");
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, class_tostring, 1);
    lua_setfield(L, -2, "__tostring");
    lua_setmetatable(L, -2);
    return 1;
}

void sonde_bind_nn_class(lua_State *L, int methods)
{
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, extend);
    lua_setfield(L, -2, "extend");
    lua_createtable(L, 0, 3);
    lua_pushvalue(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, IS_LAYER);
    lua_pushcfunction(L, construct_nothing);
    lua_setfield(L, -2, "__call");
    lua_setmetatable(L, -2);
}
