/* Optimisers. Parameter groups as tables, state_dict and the constructors are in lua/sonde/optim.lua. */
#include "bind/bind.h"

#include <string.h>

/* new(rule): without groups yet. */
static int f_new(lua_State *L)
{
    const char *rule = luaL_checkstring(L, 1);
    sonde_bind_check(L, sonde_optimizer_new((sonde_optimizer **)sonde_bind_new(L, &sonde_bind_kind_optimizer), rule));
    return sonde_bind_done(L);
}

/* options(rule): the names in order, and name -> default. */
static int f_options(lua_State *L)
{
    const double *defaults;
    const char *const *names = sonde_optimizer_options(luaL_checkstring(L, 1), &defaults);
    if (names == NULL) sonde_bind_check(L, SONDE_EARG);
    lua_newtable(L);
    lua_newtable(L);
    for (int i = 0; names[i] != NULL; i++) {
        lua_pushstring(L, names[i]);
        lua_rawseti(L, -3, i + 1);
        lua_pushnumber(L, defaults[i]);
        lua_setfield(L, -2, names[i]);
    }
    return 2;
}

/* The 0-based group of the 1-based number at index 2. */
static int check_group(lua_State *L, const sonde_optimizer *o)
{
    lua_Integer group = luaL_checkinteger(L, 2);
    int n = sonde_optimizer_groups(o);
    if (group < 1 || group > n)
        sonde_bind_raise(L, "there is no parameter group %lld, only 1..%d", (long long)group, n);
    return (int)group - 1;
}

/* add_group(parameters): its number. */
static int l_optimizer_add_group(lua_State *L)
{
    sonde_optimizer *o = sonde_bind_check_optimizer(L, 1);
    lua_settop(L, 2);
    /* {} is an empty list here, not options. */
    const sonde_bind_args args = {L, sonde_optimizer_rule(o), SONDE_BIND_NAMES("params"), 2, 1};
    int n, group;
    sonde_tensor **parameters = sonde_bind_arg_tensors(&args, 0, &n);
    sonde_bind_check(L, sonde_optimizer_add_group(o, n, parameters, &group));
    lua_pushinteger(L, group + 1);
    return 1;
}

static int l_optimizer_groups(lua_State *L)
{
    lua_pushinteger(L, sonde_optimizer_groups(sonde_bind_check_optimizer(L, 1)));
    return 1;
}

/* group_parameters(group): a list. */
static int l_optimizer_group_parameters(lua_State *L)
{
    const sonde_optimizer *o = sonde_bind_check_optimizer(L, 1);
    int group = check_group(L, o), n = sonde_optimizer_group_size(o, group);
    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) {
        sonde_bind_push_tensor(L, sonde_optimizer_parameter(o, group, i));
        sonde_bind_box_at(L, -1, &sonde_bind_kind_tensor)->is_parameter = true;
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int l_optimizer_get(lua_State *L)
{
    const sonde_optimizer *o = sonde_bind_check_optimizer(L, 1);
    double value;
    sonde_bind_check(L, sonde_optimizer_get(o, check_group(L, o), luaL_checkstring(L, 3), &value));
    lua_pushnumber(L, value);
    return 1;
}

/* configure(group, { option = number }): all at once or not at all. */
static int l_optimizer_configure(lua_State *L)
{
    enum { MOST = 32 };
    sonde_optimizer *o = sonde_bind_check_optimizer(L, 1);
    int group = check_group(L, o), n = 0;
    const char *names[MOST];
    double values[MOST];
    luaL_checktype(L, 3, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, 3) != 0; lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING) sonde_bind_raise(L, "%s: options have names", sonde_optimizer_rule(o));
        names[n] = lua_tostring(L, -2); /* the table keeps it */
        if (lua_type(L, -1) != LUA_TNUMBER) {
            sonde_bind_raise(L, "%s: %s must be a number, got %s", sonde_optimizer_rule(o), names[n],
                             sonde_bind_type_name(L, -1));
        }
        values[n] = lua_tonumber(L, -1);
        if (++n == MOST) sonde_bind_raise(L, "%s: too many options", sonde_optimizer_rule(o));
    }
    sonde_bind_check(L, sonde_optimizer_configure(o, group, n, names, values));
    return 0;
}

static int l_optimizer_rule(lua_State *L)
{
    lua_pushstring(L, sonde_optimizer_rule(sonde_bind_check_optimizer(L, 1)));
    return 1;
}

/* A step's closure: a table in the registry, under this struct's address, holds it at 1 and its first result at 2. */
typedef struct closure_call {
    lua_State *L;
    bool needs_loss;
    double loss;
} closure_call;

static double check_loss(lua_State *L, int index)
{
    const sonde_tensor *t = sonde_bind_test_tensor(L, index);
    if (t != NULL && sonde_tensor_numel(t) == 1) return sonde_tensor_get(t, (int64_t[SONDE_MAX_DIMS]){0});
    if (lua_type(L, index) != LUA_TNUMBER) {
        sonde_bind_raise(L, "the closure of a step returns the loss, a number or a tensor of one element, got %s",
                         t != NULL ? "a larger tensor" : sonde_bind_type_name(L, index));
    }
    return lua_tonumber(L, index);
}

static int call_closure(lua_State *L)
{
    closure_call *call = lua_touserdata(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, call);
    lua_rawgeti(L, 2, 1);
    lua_call(L, 0, 1);
    if (call->needs_loss) call->loss = check_loss(L, 3);
    if (lua_rawgeti(L, 2, 2) == LUA_TNIL) {
        lua_pushvalue(L, 3);
        lua_rawseti(L, 2, 2);
    }
    return 0;
}

static sonde_status run_closure(void *context, double *loss)
{
    closure_call *call = context;
    sonde_status status = sonde_bind_protect(call->L, call_closure, call);
    *loss = call->loss;
    return status;
}

/* step([closure]): the closure, if given, computes the loss and its gradients first; returns what it returned then.
 * LBFGS needs one, and calls it several times. */
static int l_optimizer_step(lua_State *L)
{
    sonde_optimizer *o = sonde_bind_check_optimizer(L, 1);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, "Optimizer:step", SONDE_BIND_NAMES("closure"));
    if (!sonde_bind_given(&args, 0)) {
        SONDE_BIND_RUN(L, sonde_optimizer_step(o));
        return 0;
    }
    sonde_bind_arg_function(&args, 0);
    closure_call call = {.L = L, .needs_loss = sonde_optimizer_needs_closure(o)};
    lua_createtable(L, 2, 0);
    int table = lua_gettop(L);
    lua_pushvalue(L, sonde_bind_arg_index(&args, 0));
    lua_rawseti(L, table, 1);
    lua_pushvalue(L, table);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &call);
    lua_State *outer = sonde_bind_enter(L);
    sonde_status status = sonde_optimizer_step_closure(o, run_closure, &call);
    sonde_bind_leave(L, outer);
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &call);
    sonde_bind_check(L, status);
    lua_rawgeti(L, table, 2);
    return 1;
}

/* zero_grad(set_to_none = true) */
static int l_optimizer_zero_grad(lua_State *L)
{
    sonde_optimizer *o = sonde_bind_check_optimizer(L, 1);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, "Optimizer:zero_grad", SONDE_BIND_NAMES("set_to_none"));
    sonde_bind_check(L, sonde_optimizer_zero_grad(o, sonde_bind_opt_boolean(&args, 0, true)));
    return 0;
}

/* ---- state --------------------------------------------------------------------------------------------- */

typedef struct state_list {
    size_t n, room;
    struct state_entry {
        int parameter;
        const char *name;   /* the rule's own: static */
        sonde_tensor **out; /* an empty box's */
    } *entries;
} state_list;

/* Counts; where there is room, copies into the boxes. */
static sonde_status note_state(void *context, int parameter, const char *name, sonde_tensor *tensor)
{
    state_list *list = context;
    if (list->n++ >= list->room) return SONDE_OK;
    struct state_entry *entry = &list->entries[list->n - 1];
    entry->parameter = parameter;
    entry->name = name;
    return sonde_tensor_clone(entry->out, tensor);
}

/* state(): { [parameter] = { name = tensor } }, parameters counted over all groups from 1; copies. */
static int l_optimizer_state(lua_State *L)
{
    sonde_optimizer *o = sonde_bind_check_optimizer(L, 1);
    state_list list = {0};
    sonde_bind_check(L, sonde_optimizer_visit_state(o, note_state, &list));
    list.room = list.n;
    list.entries = sonde_bind_scratch(L, list.room * sizeof *list.entries);
    lua_createtable(L, (int)list.room, 0);
    int boxes = lua_gettop(L);
    for (size_t i = 0; i < list.room; i++) {
        list.entries[i].out = sonde_bind_new_tensor(L);
        lua_rawseti(L, boxes, (lua_Integer)i + 1);
    }
    list.n = 0;
    sonde_bind_check(L, sonde_optimizer_visit_state(o, note_state, &list));
    lua_newtable(L);
    for (size_t i = 0; i < list.room; i++) {
        const struct state_entry *entry = &list.entries[i];
        if (lua_rawgeti(L, boxes + 1, entry->parameter + 1) == LUA_TNIL) {
            lua_pop(L, 1);
            lua_newtable(L);
            lua_pushvalue(L, -1);
            lua_rawseti(L, boxes + 1, entry->parameter + 1);
        }
        lua_rawgeti(L, boxes, (lua_Integer)i + 1);
        sonde_bind_done(L);
        lua_setfield(L, -2, entry->name);
        lua_pop(L, 1);
    }
    return 1;
}

/* set_state(parameter, name, tensor) */
static int l_optimizer_set_state(lua_State *L)
{
    sonde_optimizer *o = sonde_bind_check_optimizer(L, 1);
    lua_Integer parameter = luaL_checkinteger(L, 2);
    int64_t n = 0;
    for (int g = 0; g < sonde_optimizer_groups(o); g++) n += sonde_optimizer_group_size(o, g);
    if (parameter < 1 || parameter > n) {
        sonde_bind_raise(L, "there is no parameter %lld, only 1..%lld", (long long)parameter, (long long)n);
    }
    const char *name = luaL_checkstring(L, 3);
    sonde_bind_check(L, sonde_optimizer_set_state(o, (int)parameter - 1, name, sonde_bind_check_tensor(L, 4)));
    return 0;
}

/* ---- hooks --------------------------------------------------------------------------------------------- */

typedef struct step_call {
    const sonde_bind_callback *callback;
    sonde_optimizer *optimizer;
} step_call;

static int call_hook(lua_State *L)
{
    const step_call *call = lua_touserdata(L, 1);
    sonde_bind_callback_push(L, call->callback);
    if (lua_isnil(L, -1)) return 0;
    sonde_bind_push(L, &sonde_bind_kind_optimizer, call->optimizer);
    lua_call(L, 1, 0);
    return 0;
}

static sonde_status step_hook(void *context, sonde_optimizer *o)
{
    step_call call = {context, o};
    return sonde_bind_protect(sonde_bind_callback_state(context), call_hook, &call);
}

static int add_hook(lua_State *L, sonde_step_moment when, const char *callee)
{
    sonde_optimizer *o = sonde_bind_check_optimizer(L, 1);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, callee, SONDE_BIND_NAMES("hook"));
    sonde_bind_arg_function(&args, 0);
    sonde_handle **out = (sonde_handle **)sonde_bind_new(L, &sonde_bind_kind_handle);
    sonde_bind_callback *callback = sonde_bind_callback_new(L, sonde_bind_arg_index(&args, 0), 1);
    sonde_status status = sonde_optimizer_add_hook(o, when, step_hook, callback, sonde_bind_callback_free, out);
    if (status != SONDE_OK) sonde_bind_callback_free(callback);
    sonde_bind_check(L, status);
    return 1;
}

static int l_optimizer_register_step_pre_hook(lua_State *L)
{
    return add_hook(L, SONDE_STEP_BEFORE, "Optimizer:register_step_pre_hook");
}
/* For lua/sonde: after the closure, if there is one, when the gradients are what the step will go by. */
static int l_optimizer_when_ready(lua_State *L)
{
    return add_hook(L, SONDE_STEP_READY, "Optimizer:_when_ready");
}
static int l_optimizer_register_step_post_hook(lua_State *L)
{
    return add_hook(L, SONDE_STEP_AFTER, "Optimizer:register_step_post_hook");
}

static const luaL_Reg methods[] = {
    {"add_group", l_optimizer_add_group},
    {"groups", l_optimizer_groups},
    {"group_parameters", l_optimizer_group_parameters},
    {"get", l_optimizer_get},
    {"configure", l_optimizer_configure},
    {"rule", l_optimizer_rule},
    {"step", l_optimizer_step},
    {"zero_grad", l_optimizer_zero_grad},
    {"state", l_optimizer_state},
    {"set_state", l_optimizer_set_state},
    {"register_step_pre_hook", l_optimizer_register_step_pre_hook},
    {"_when_ready", l_optimizer_when_ready},
    {"register_step_post_hook", l_optimizer_register_step_post_hook},
    {NULL, NULL},
};

/* opt.method, and opt.param_groups, which lua/sonde/optim.lua makes. */
static int get_index(lua_State *L)
{
    if (lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "param_groups") == 0) {
        lua_getfield(L, lua_upvalueindex(1), "get_param_groups");
        lua_pushvalue(L, 1);
        lua_call(L, 1, 1);
        return 1;
    }
    lua_settop(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    return 1;
}

static int format(lua_State *L)
{
    lua_getfield(L, lua_upvalueindex(1), "describe");
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

static const luaL_Reg metamethods[] = {{"__index", get_index}, {"__tostring", format}, {NULL, NULL}};

int sonde_bind_optim(lua_State *L)
{
    sonde_bind_kind_open(L, &sonde_bind_kind_optimizer, methods, metamethods);
    luaL_newlib(L, ((luaL_Reg[]){{"new", f_new}, {"options", f_options}, {NULL, NULL}}));
    lua_insert(L, -2);
    lua_setfield(L, -2, "methods");
    return 1;
}
