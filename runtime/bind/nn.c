/* The class Module: calling it, walking it, changing it. What touches no tensor is in lua/sonde/nn.lua. */
#include "bind/nn.h"

void sonde_bind_push_fields(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    if (lua_getiuservalue(L, index, SONDE_BIND_FIELDS) == LUA_TTABLE) return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, index, SONDE_BIND_FIELDS);
}

void sonde_bind_push_child(lua_State *L, int index, int i)
{
    const sonde_module *m = sonde_bind_check_module(L, index);
    luaL_checkstack(L, 8, NULL);
    sonde_bind_push_fields(L, index);
    sonde_bind_push(L, &sonde_bind_kind_module, m->children[i].module);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, m->children[i].name);
    lua_remove(L, -2);
}

void sonde_bind_keep_children(lua_State *L)
{
    int n = sonde_bind_check_module(L, -1)->n_children;
    for (int i = 0; i < n; i++) {
        sonde_bind_push_child(L, -1, i);
        lua_pop(L, 1);
    }
}

void sonde_bind_set_child(lua_State *L, int parent, const char *name, int child)
{
    sonde_module *m = sonde_bind_check_module(L, parent);
    parent = lua_absindex(L, parent);
    child = lua_absindex(L, child);
    luaL_checkstack(L, 8, NULL);
    sonde_bind_push_fields(L, parent);
    sonde_bind_check(L, sonde_module_set_child(m, name, sonde_bind_check_module(L, child)));
    lua_pushvalue(L, child);
    lua_setfield(L, -2, name != NULL ? name : m->children[m->n_children - 1].name);
    lua_pop(L, 1);
    sonde_bind_nn_class_has_children(m);
}

void sonde_bind_push_parameter(lua_State *L, sonde_tensor *t)
{
    sonde_bind_push_tensor(L, t);
    sonde_bind_box *box = sonde_bind_box_at(L, -1, &sonde_bind_kind_tensor);
    if (box != NULL) box->is_parameter = true;
}

/* ---- calling ------------------------------------------------------------------------------------------- */

static int new_box(lua_State *L)
{
    sonde_bind_new_tensor(L);
    return 1;
}

/* Gives results 2 and up to boxes; the first one's is on top. Nothing is lost if Lua has no memory for a box. */
static void box_rest(lua_State *L, sonde_values *out)
{
    for (int i = 1; i < out->n; i++) {
        lua_pushcfunction(L, new_box);
        if (lua_pcall(L, 0, 1, 0) != LUA_OK) {
            sonde_values_release(out);
            lua_error(L);
        }
        ((sonde_bind_box *)lua_touserdata(L, -1))->object = out->t[i];
        out->t[i] = NULL;
    }
}

/* Arguments by name, of a class that has names for them: each to its place. A boolean becomes a tensor of one element. */
static void spread_arguments(lua_State *L, const sonde_module *m)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, m->class->name, m->class->arguments);
    for (int i = 0; i < args.n; i++) {
        int index = sonde_bind_arg_index(&args, i);
        if (!lua_isboolean(L, index)) continue;
        sonde_tensor **out = sonde_bind_new_tensor(L);
        sonde_bind_check(L, sonde_tensor_full(out, SONDE_INT64, 0, NULL, lua_toboolean(L, index)));
        sonde_bind_done(L);
        lua_replace(L, index);
    }
}

int sonde_bind_call_module(lua_State *L)
{
    sonde_module *m = sonde_bind_check_module(L, 1);
    if (m->class->arguments != NULL) spread_arguments(L, m);
    sonde_values in = {.n = lua_gettop(L) - 1};
    if (in.n > SONDE_MAX_VALUES) {
        sonde_bind_raise(L, "%s takes at most %d arguments, got %d", m->class->name, SONDE_MAX_VALUES, in.n);
    }
    for (int i = 0; i < in.n; i++) {
        in.t[i] = sonde_bind_test_tensor(L, i + 2);
        if (in.t[i] == NULL && !lua_isnil(L, i + 2)) {
            sonde_bind_raise(L, "bad argument #%d to %s: expected Tensor, got %s", i + 1, m->class->name,
                             sonde_bind_type_name(L, i + 2));
        }
    }
    while (in.n > 0 && in.t[in.n - 1] == NULL) in.n--; /* a trailing nil is no argument */
    luaL_checkstack(L, SONDE_MAX_VALUES + LUA_MINSTACK, NULL);
    sonde_tensor **first = sonde_bind_new_tensor(L);
    sonde_values out;
    SONDE_BIND_RUN(L, sonde_module_call(m, &in, &out));
    if (out.n == 0) return 0;
    *first = out.t[0];
    out.t[0] = NULL;
    box_rest(L, &out);
    int at = lua_gettop(L) - out.n + 1;
    for (int i = 0; i < out.n; i++) {
        const sonde_bind_box *box = lua_touserdata(L, at + i);
        if (box->object != NULL) {
            lua_pushvalue(L, at + i);
            sonde_bind_done(L);
        } else {
            lua_pushnil(L);
        }
        lua_replace(L, at + i);
    }
    return out.n;
}

/* ---- what a module has --------------------------------------------------------------------------------- */

/* children(): an array; child_names(): their names. */
static int l_module_children(lua_State *L)
{
    const sonde_module *m = sonde_bind_check_module(L, 1);
    lua_createtable(L, m->n_children, 0);
    for (int i = 0; i < m->n_children; i++) {
        sonde_bind_push_child(L, 1, i);
        lua_rawseti(L, -2, i + 1);
    }
    if (m->parametrizations != NULL) {
        sonde_bind_push_parametrizations(L, 1);
        lua_rawseti(L, -2, m->n_children + 1);
    }
    return 1;
}

static int l_module_child_names(lua_State *L)
{
    const sonde_module *m = sonde_bind_check_module(L, 1);
    lua_createtable(L, m->n_children, 0);
    for (int i = 0; i < m->n_children; i++) {
        lua_pushstring(L, m->children[i].name);
        lua_rawseti(L, -2, i + 1);
    }
    if (m->parametrizations != NULL) {
        lua_pushliteral(L, "parametrizations");
        lua_rawseti(L, -2, m->n_children + 1);
    }
    return 1;
}

/* own_parameters(buffers = false): the names and the tensors of this module alone. */
static int l_module_own_parameters(lua_State *L)
{
    const sonde_module *m = sonde_bind_check_module(L, 1);
    bool buffers = lua_toboolean(L, 2);
    lua_newtable(L);
    lua_newtable(L);
    int names = lua_gettop(L) - 1, n = 0;
    for (int i = 0; i < m->n_parameters; i++) {
        const sonde_parameter *p = &m->parameters[i];
        if (p->tensor == NULL || p->is_computed || p->is_buffer != buffers) continue;
        n++;
        lua_pushstring(L, p->name);
        lua_rawseti(L, names, n);
        if (buffers)
            sonde_bind_push_tensor(L, p->tensor);
        else
            sonde_bind_push_parameter(L, p->tensor);
        lua_rawseti(L, names + 1, n);
    }
    return 2;
}

static int length(lua_State *L)
{
    lua_pushinteger(L, sonde_bind_check_module(L, 1)->n_children);
    return 1;
}

static int format(lua_State *L)
{
    const sonde_module *m = sonde_bind_test(L, 1, &sonde_bind_kind_module);
    if (m == NULL) {
        lua_pushliteral(L, "Module (closed)");
        return 1;
    }
    char **out = sonde_bind_new_text(L);
    SONDE_BIND_RUN(L, sonde_module_format(out, m));
    return sonde_bind_text_done(L);
}

/* class_name(): "Linear", or the name given to extend. */
static int l_module_class_name(lua_State *L)
{
    lua_pushstring(L, sonde_bind_check_module(L, 1)->class->name);
    return 1;
}

/* ---- changing it --------------------------------------------------------------------------------------- */

static int self(lua_State *L)
{
    lua_settop(L, 1);
    return 1;
}

static int l_module_train(lua_State *L)
{
    sonde_bind_args args;
    sonde_module *m = sonde_bind_check_module(L, 1);
    sonde_bind_args_open(&args, L, 2, "Module:train", SONDE_BIND_NAMES("mode"));
    sonde_bind_check(L, sonde_module_train(m, sonde_bind_opt_boolean(&args, 0, true)));
    return self(L);
}

static int l_module_eval(lua_State *L)
{
    sonde_bind_check(L, sonde_module_train(sonde_bind_check_module(L, 1), false));
    return self(L);
}

static int l_module_zero_grad(lua_State *L)
{
    sonde_bind_check(L, sonde_module_zero_grad(sonde_bind_check_module(L, 1)));
    return 0;
}

static int l_module_requires_grad_(lua_State *L)
{
    sonde_bind_args args;
    sonde_module *m = sonde_bind_check_module(L, 1);
    sonde_bind_args_open(&args, L, 2, "Module:requires_grad_", SONDE_BIND_NAMES("requires_grad"));
    sonde_bind_check(L, sonde_module_requires_grad_(m, sonde_bind_opt_boolean(&args, 0, true)));
    return self(L);
}

static int l_module_to(lua_State *L)
{
    sonde_bind_args args;
    sonde_module *m = sonde_bind_check_module(L, 1);
    sonde_bind_args_open(&args, L, 2, "Module:to", SONDE_BIND_NAMES("dtype"));
    sonde_bind_arg_string(&args, 0);
    sonde_bind_check(L, sonde_module_to(m, sonde_bind_opt_dtype(&args, 0, SONDE_FLOAT32)));
    return self(L);
}

/* A child called like a method could not be reached by its name. methods: the function's upvalue. */
static void check_child_name(lua_State *L, const char *name)
{
    if (lua_getfield(L, lua_upvalueindex(1), name) != LUA_TNIL) {
        sonde_bind_raise(L, "a child cannot be called '%s': modules have a method of that name", name);
    }
    lua_pop(L, 1);
}

/* add([name,] module): returns the container. */
static int l_module_add(lua_State *L)
{
    sonde_module *m = sonde_bind_check_module(L, 1);
    bool named = lua_gettop(L) > 2;
    if (lua_gettop(L) > 3) sonde_bind_raise(L, "add: takes a name and a module, got %d arguments", lua_gettop(L) - 1);
    if (named && lua_type(L, 2) != LUA_TSTRING) sonde_bind_type_error(L, 2, "string");
    sonde_bind_check_module(L, named ? 3 : 2);
    const char *name = named ? lua_tostring(L, 2) : NULL;
    if (named) check_child_name(L, name);
    if (named && sonde_module_child(m, name) != NULL) {
        sonde_bind_raise(L, "%s has a child '%s' already", m->class->name, name);
    }
    sonde_bind_set_child(L, 1, name, named ? 3 : 2);
    return self(L);
}

/* register_parameter(name, tensor | nil), register_buffer(name, tensor | nil) */
static int l_module_register(lua_State *L)
{
    sonde_module *m = sonde_bind_check_module(L, 1);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, sonde_bind_row_name(L), SONDE_BIND_NAMES("name", "tensor"));
    const char *name = sonde_bind_arg_string(&args, 0);
    sonde_bind_check(L, sonde_module_set_parameter(m, name, sonde_bind_opt_tensor(&args, 1), sonde_bind_row_value(L)));
    return 0;
}

static const luaL_Reg methods[] = {
    {"forward", sonde_bind_call_module},
    {"children", l_module_children},
    {"child_names", l_module_child_names},
    {"own_parameters", l_module_own_parameters},
    {"class_name", l_module_class_name},
    {"train", l_module_train},
    {"eval", l_module_eval},
    {"zero_grad", l_module_zero_grad},
    {"requires_grad_", l_module_requires_grad_},
    {"to", l_module_to},
    {"register_hidden_grad_hook", sonde_bind_nn_hidden_hook},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__call", sonde_bind_call_module},
    {"__index", sonde_bind_nn_index},
    {"__newindex", sonde_bind_nn_newindex},
    {"__len", length},
    {"__tostring", format},
    {NULL, NULL},
};

int sonde_bind_nn(lua_State *L)
{
    static const sonde_bind_row registers[] = {{"register_parameter", 0}, {"register_buffer", 1}, {NULL, 0}};
    sonde_bind_kind_open(L, &sonde_bind_kind_module, methods, metamethods);
    sonde_bind_add_rows(L, "Module:", l_module_register, registers);
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, l_module_add, 1);
    lua_setfield(L, -2, "add");
    sonde_bind_nn_hooks(L);
    sonde_bind_nn_activation_methods(L);
    int table = lua_gettop(L);
    lua_newtable(L);
    sonde_bind_nn_layers(L);
    sonde_bind_nn_recurrent(L);
    sonde_bind_nn_attention(L);
    sonde_bind_nn_init(L);
    lua_setfield(L, -2, "init");
    sonde_bind_nn_utils(L);
    sonde_bind_nn_parametrize(L);
    lua_setfield(L, -2, "utils");
    sonde_bind_nn_reservoir(L);
    sonde_bind_nn_class(L, table);
    lua_setfield(L, -2, "Module");
    lua_pushvalue(L, table);
    lua_setfield(L, -2, "methods");
    lua_remove(L, table);
    return 1;
}
