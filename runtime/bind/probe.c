/* core.probe: what room probe measures, for lua/sonde/run and lua/sonde/probe.lua. */
#include "bind/history.h"
#include "probe/probe.h"

#include <string.h>

typedef struct probe_object {
    sonde_probe *probe;
    sonde_bind_history *history; /* one reference: the probe borrows it */
} probe_object;

static void release_probe(void *object)
{
    probe_object *p = object;
    sonde_probe_free(p->probe);
    sonde_bind_history_release(p->history);
    sonde_free(p);
}

static const sonde_bind_kind kind_probe = {.name = "Probe", .release = release_probe};

static sonde_probe *check_probe(lua_State *L, int index)
{
    return ((probe_object *)sonde_bind_check_object(L, index, &kind_probe))->probe;
}

/* probe.new(history[, first_step = 1]) */
static int new_probe(lua_State *L)
{
    sonde_bind_history *history = sonde_bind_check_history(L, 1);
    lua_Integer first = luaL_optinteger(L, 2, 1);
    void **out = sonde_bind_new(L, &kind_probe);
    probe_object *p = sonde_alloc_zeroed(sizeof *p);
    if (p == NULL) sonde_bind_check(L, SONDE_ENOMEM);
    p->history = sonde_bind_history_retain(history);
    *out = p;
    sonde_bind_check(L, sonde_probe_new(&p->probe, history->history, first));
    return 1;
}

/* Names of groups in the list at `index` as bits; nil: all. */
static unsigned check_groups(const sonde_bind_args *args, int i)
{
    lua_State *L = args->L;
    int index = sonde_bind_arg_index(args, i);
    if (lua_isnil(L, index)) return 0;
    if (lua_type(L, index) != LUA_TTABLE) sonde_bind_arg_type_error(args, i, "a list of names of groups");
    unsigned bits = 0;
    lua_Integer n = luaL_len(L, index);
    for (lua_Integer j = 1; j <= n; j++) {
        const char *name = lua_geti(L, index, j) == LUA_TSTRING ? lua_tostring(L, -1) : "?";
        sonde_probe_group group;
        if (!sonde_probe_group_parse(name, &group)) {
            const char *names[SONDE_PROBE_GROUP_COUNT + 1] = {NULL};
            luaL_Buffer list;
            luaL_buffinit(L, &list);
            for (int g = 0; g < SONDE_PROBE_GROUP_COUNT; g++) {
                names[g] = sonde_probe_group_name((sonde_probe_group)g);
                luaL_addstring(&list, g > 0 ? ", " : "");
                luaL_addstring(&list, names[g]);
            }
            luaL_pushresult(&list);
            const char *nearest = sonde_bind_nearest(name, names);
            sonde_bind_arg_fail(args, i, "unknown group '%s'%s%s%s; there are: %s", name,
                                nearest ? " (did you mean '" : "", nearest ? nearest : "", nearest ? "'?)" : "",
                                lua_tostring(L, -1));
        }
        bits |= SONDE_PROBE_BIT(group);
        lua_pop(L, 1);
    }
    if (bits == 0) sonde_bind_arg_fail(args, i, "an empty list measures nothing");
    return bits;
}

/* p:attach(net, { every =, hist_every =, what =, name =, fixed =, planned = }): the network's number, from 0 */
static int attach(lua_State *L)
{
    sonde_probe *probe = check_probe(L, 1);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, "probe",
                         SONDE_BIND_NAMES("target", "every", "hist_every", "what", "name", "fixed", "planned"));
    sonde_module *net = sonde_bind_arg_module(&args, 0);
    sonde_probe_options options = {
        .every = sonde_bind_opt_integer(&args, 1, 1, 1, INT64_MAX),
        .hist_every = sonde_bind_opt_integer(&args, 2, 10, 1, INT64_MAX),
        .what = check_groups(&args, 3),
        .name = sonde_bind_opt_string(&args, 4, NULL),
        .fixed = sonde_bind_opt_boolean(&args, 5, false),
        .planned = sonde_bind_opt_boolean(&args, 6, false),
    };
    int number;
    sonde_bind_check(L, sonde_probe_attach(probe, net, &options, &number));
    lua_pushinteger(L, number);
    return 1;
}

/* p:plan(net, measured): of one that is planned, whether the open step is measured */
static int plan(lua_State *L)
{
    sonde_probe_plan(check_probe(L, 1), (int)luaL_checkinteger(L, 2), lua_toboolean(L, 3));
    return 0;
}

static int observe_optimizer(lua_State *L)
{
    sonde_bind_check(L, sonde_probe_observe_optimizer(check_probe(L, 1), sonde_bind_check_optimizer(L, 2)));
    return 0;
}

/* p:end_step(seconds) */
static int end_step(lua_State *L)
{
    sonde_bind_check(L, sonde_probe_end_step(check_probe(L, 1), luaL_checknumber(L, 2)));
    return 0;
}

static int step(lua_State *L)
{
    lua_pushinteger(L, sonde_probe_step(check_probe(L, 1)));
    return 1;
}

static int expect_end(lua_State *L)
{
    sonde_probe_expect_end(check_probe(L, 1), luaL_checkinteger(L, 2));
    return 0;
}

static int finish(lua_State *L)
{
    sonde_bind_check(L, sonde_probe_finish(check_probe(L, 1)));
    return 0;
}

/* p:samples_due(net), p:samples_begin(net), p:samples_end(): fixed samples */
static int samples_due(lua_State *L)
{
    lua_pushboolean(L, sonde_probe_samples_due(check_probe(L, 1), (int)luaL_checkinteger(L, 2)));
    return 1;
}

static int samples_begin(lua_State *L)
{
    sonde_bind_check(L, sonde_probe_samples_begin(check_probe(L, 1), (int)luaL_checkinteger(L, 2)));
    return 0;
}

static int samples_end(lua_State *L)
{
    sonde_probe_samples_end(check_probe(L, 1));
    return 0;
}

/* p:backward_aside(loss): what is measured of it stays, no gradient does */
static int backward_aside(lua_State *L)
{
    check_probe(L, 1);
    sonde_tensor *loss = sonde_bind_check_tensor(L, 2);
    SONDE_BIND_RUN(L, sonde_backward_aside(loss));
    return 0;
}

/* p:grad_norm(): nil if it cannot be told now */
static int grad_norm(lua_State *L)
{
    double norm;
    if (!sonde_probe_grad_norm(check_probe(L, 1), &norm)) return 0;
    sonde_bind_push_number(L, norm);
    return 1;
}

/* p:events(): { { step =, group =, probe = number, name =, value = }, … } of the step just ended */
static int events(lua_State *L)
{
    const sonde_probe_event *list;
    int n = sonde_probe_events(check_probe(L, 1), &list);
    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) {
        lua_createtable(L, 0, 5);
        lua_pushinteger(L, list[i].step);
        lua_setfield(L, -2, "step");
        lua_pushstring(L, sonde_probe_group_name(list[i].group));
        lua_setfield(L, -2, "group");
        lua_pushinteger(L, list[i].probe + 1);
        lua_setfield(L, -2, "probe");
        lua_pushstring(L, list[i].name);
        lua_setfield(L, -2, "name");
        sonde_bind_push_number(L, list[i].value);
        lua_setfield(L, -2, "value");
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* p:costs(): { { name = "weight_grad", seconds = }, … } of the step just ended; none if it was not clocked */
static int costs(lua_State *L)
{
    const sonde_probe *probe = check_probe(L, 1);
    lua_Integer n = 0;
    lua_newtable(L);
    for (int i = 0; i < sonde_probe_n_costs(); i++) {
        sonde_probe_cost cost;
        if (!sonde_probe_cost_at(probe, i, &cost)) continue;
        lua_createtable(L, 0, 2);
        lua_pushstring(L, cost.name);
        lua_setfield(L, -2, "name");
        lua_pushnumber(L, cost.seconds);
        lua_setfield(L, -2, "seconds");
        lua_rawseti(L, -2, ++n);
    }
    return 1;
}

/* p:layers(): { { probe =, module =, net =, depth =, n_parameters =, absent =, shape = { … } or nil }, … } */
static int layers(lua_State *L)
{
    sonde_probe *probe = check_probe(L, 1);
    int n = sonde_probe_n_layers(probe);
    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) {
        sonde_probe_layer layer = sonde_probe_layer_at(probe, i);
        lua_createtable(L, 0, 7);
        lua_pushstring(L, layer.probe);
        lua_setfield(L, -2, "probe");
        lua_pushstring(L, layer.module);
        lua_setfield(L, -2, "module");
        lua_pushinteger(L, layer.net);
        lua_setfield(L, -2, "net");
        lua_pushinteger(L, layer.depth);
        lua_setfield(L, -2, "depth");
        lua_pushinteger(L, layer.n_parameters);
        lua_setfield(L, -2, "n_parameters");
        lua_pushboolean(L, layer.absent);
        lua_setfield(L, -2, "absent");
        if (layer.ndim >= 0) {
            lua_createtable(L, layer.ndim, 0);
            for (int d = 0; d < layer.ndim; d++) {
                lua_pushinteger(L, layer.shape[d]);
                lua_rawseti(L, -2, d + 1);
            }
            lua_setfield(L, -2, "shape");
        }
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* ---- the recipe's own ------------------------------------------------------------------------------------ */

/* p:add_column(group, name, long_name): its number, for the four below */
static int add_column(lua_State *L)
{
    sonde_probe_group group;
    int column;
    if (!sonde_probe_group_parse(luaL_checkstring(L, 2), &group)) return luaL_argerror(L, 2, "an unknown group");
    sonde_bind_check(L, sonde_probe_add_column(check_probe(L, 1), group, luaL_checkstring(L, 3), luaL_checkstring(L, 4),
                                               &column));
    lua_pushinteger(L, column);
    return 1;
}

/* p:select(column, module): how many probes of the group are its */
static int select_module(lua_State *L)
{
    lua_pushinteger(L, sonde_probe_select(check_probe(L, 1), (int)luaL_checkinteger(L, 2), sonde_bind_check_module(L, 3)));
    return 1;
}

/* p:column_due(column, flag): is it to be filled in the open step? */
static int column_due(lua_State *L)
{
    sonde_probe_column_due(check_probe(L, 1), (int)luaL_checkinteger(L, 2), lua_toboolean(L, 3));
    return 0;
}

/* Appends to the list on top of the stack. */
static sonde_status add_sight(void *context, const sonde_probe_sight *sight)
{
    lua_State *L = context;
    lua_createtable(L, sight->n, 6);
    lua_pushinteger(L, sight->place);
    lua_setfield(L, -2, "place");
    lua_pushstring(L, sight->name);
    lua_setfield(L, -2, "probe");
    lua_pushstring(L, sight->layer);
    lua_setfield(L, -2, "layer");
    lua_pushstring(L, sight->role);
    lua_setfield(L, -2, "role");
    sonde_bind_push(L, &sonde_bind_kind_module, sight->module);
    lua_setfield(L, -2, "module");
    sonde_bind_push_tensor(L, sight->parameter);
    lua_setfield(L, -2, "parameter");
    for (int i = 0; i < sight->n; i++) {
        sonde_bind_push_tensor(L, sight->tensors[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    return SONDE_OK;
}

/* p:look(column): { { tensor, …; place =, probe =, layer =, role =, module =, parameter = or nil }, … } */
static int look(lua_State *L)
{
    sonde_probe *probe = check_probe(L, 1);
    const int column = (int)luaL_checkinteger(L, 2);
    lua_newtable(L);
    sonde_bind_check(L, sonde_probe_look(probe, column, add_sight, L));
    return 1;
}

/* p:put(column, place, value) */
static int put(lua_State *L)
{
    sonde_probe_put(check_probe(L, 1), (int)luaL_checkinteger(L, 2), (int)luaL_checkinteger(L, 3), luaL_checknumber(L, 4));
    return 0;
}

/* p:show(name, tensor, time or 0) */
static int show(lua_State *L)
{
    sonde_bind_check(L, sonde_probe_show(check_probe(L, 1), luaL_checkstring(L, 2), sonde_bind_check_tensor(L, 3),
                                         luaL_checkinteger(L, 4)));
    return 0;
}

/* ---- measuring beside ------------------------------------------------------------------------------------ */

static void release_aside(void *object) { sonde_probe_aside_free(object); }

static const sonde_bind_kind kind_aside = {.name = "Aside", .release = release_aside};

/* probe.aside(net, parameters): puts aside what measuring changes of a network. */
static int new_aside(lua_State *L)
{
    sonde_module *net = sonde_bind_check_module(L, 1);
    sonde_probe_aside *aside = NULL;
    void **out = sonde_bind_new(L, &kind_aside);
    sonde_bind_check(L, sonde_probe_aside_new(&aside, net, lua_toboolean(L, 2)));
    *out = aside;
    return 1;
}

static int aside_rewind(lua_State *L)
{
    sonde_probe_aside_rewind(sonde_bind_check_object(L, 1, &kind_aside));
    return 0;
}

static int aside_draws(lua_State *L)
{
    lua_pushboolean(L, sonde_probe_aside_draws(sonde_bind_check_object(L, 1, &kind_aside)));
    return 1;
}

static int aside_widen(lua_State *L)
{
    sonde_bind_check(L, sonde_probe_aside_widen(sonde_bind_check_object(L, 1, &kind_aside)));
    return 0;
}

static int aside_narrow(lua_State *L)
{
    sonde_probe_aside_narrow(sonde_bind_check_object(L, 1, &kind_aside));
    return 0;
}

static int aside_restore(lua_State *L)
{
    sonde_bind_check(L, sonde_probe_aside_restore(sonde_bind_check_object(L, 1, &kind_aside)));
    return 0;
}

/* probe.pause(flag): whether no probe listened before */
static int set_pause(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TBOOLEAN);
    lua_pushboolean(L, sonde_probe_pause(lua_toboolean(L, 1)));
    return 1;
}

/* probe.groups(): the names of what is measured here */
static int group_names(lua_State *L)
{
    lua_createtable(L, SONDE_PROBE_GROUP_COUNT, 0);
    for (int g = 0; g < SONDE_PROBE_GROUP_COUNT; g++) {
        lua_pushstring(L, sonde_probe_group_name((sonde_probe_group)g));
        lua_rawseti(L, -2, g + 1);
    }
    return 1;
}

static const luaL_Reg aside_methods[] = {
    {"rewind", aside_rewind}, {"draws", aside_draws}, {"widen", aside_widen}, {"narrow", aside_narrow},
    {"restore", aside_restore}, {NULL, NULL}};

static const luaL_Reg methods[] = {
    {"attach", attach},
    {"plan", plan},
    {"observe_optimizer", observe_optimizer},
    {"end_step", end_step},
    {"step", step},
    {"expect_end", expect_end},
    {"finish", finish},
    {"samples_due", samples_due},
    {"samples_begin", samples_begin},
    {"samples_end", samples_end},
    {"backward_aside", backward_aside},
    {"grad_norm", grad_norm},
    {"events", events},
    {"costs", costs},
    {"layers", layers},
    {"add_column", add_column},
    {"select", select_module},
    {"column_due", column_due},
    {"look", look},
    {"put", put},
    {"show", show},
    {NULL, NULL},
};

/* With close(): what the collector would do, now. */
static void open_kind(lua_State *L, const sonde_bind_kind *kind, const luaL_Reg *list)
{
    sonde_bind_kind_open(L, kind, list, NULL);
    lua_pushliteral(L, "close");
    lua_pushlightuserdata(L, (void *)kind);
    lua_pushcclosure(L, sonde_bind_release, 1);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

int sonde_bind_probe(lua_State *L)
{
    open_kind(L, &kind_probe, methods);
    open_kind(L, &kind_aside, aside_methods);
    luaL_newlib(L, ((luaL_Reg[]){{"new", new_probe},
                                 {"aside", new_aside},
                                 {"pause", set_pause},
                                 {"groups", group_names},
                                 {NULL, NULL}}));
    return 1;
}
