/* core.numbers: the numerics watch, for runs. */
#include "bind/bind.h"
#include "nn/nn.h"

#include <string.h>

/* watch(on): from now on, or no longer; returns whether it was on. */
static int f_watch(lua_State *L)
{
    lua_pushboolean(L, sonde_numbers_watch(lua_toboolean(L, 1), sonde_module_here));
    return 1;
}

/* reset(): looks for the next first one. */
static int f_reset(lua_State *L)
{
    (void)L;
    sonde_numbers_reset();
    return 0;
}

typedef struct search {
    const void *wanted;
    char path[512];
    char class[64];
    bool found;
} search;

static void keep(search *s, const char *path, const sonde_module *m)
{
    s->found = true;
    snprintf(s->path, sizeof s->path, "%s", path);
    snprintf(s->class, sizeof s->class, "%s", m->class->name);
}

static sonde_status match_module(void *context, const char *path, sonde_module *m)
{
    search *s = context;
    if (!s->found && m == s->wanted) keep(s, path, m);
    return SONDE_OK;
}

static sonde_status match_parameter(void *context, const char *path, sonde_module *owner, const sonde_parameter *p)
{
    search *s = context;
    if (!s->found && p->tensor == s->wanted) keep(s, path, owner);
    return SONDE_OK;
}

/* The name of a module or, with parameters, of a parameter among the networks from `first` on. */
static search find(lua_State *L, int first, const void *wanted, bool parameters)
{
    search s = {.wanted = wanted};
    for (int i = first; wanted && i <= lua_gettop(L) && !s.found; i++) {
        sonde_module *root = sonde_bind_check_module(L, i);
        if (parameters)
            sonde_bind_check(L, sonde_module_visit_parameters(root, false, match_parameter, &s));
        else
            sonde_bind_check(L, sonde_module_visit(root, match_module, &s));
    }
    return s;
}

static void set_text(lua_State *L, const char *name, const char *text)
{
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

static void set_number(lua_State *L, const char *name, double number)
{
    lua_pushnumber(L, number);
    lua_setfield(L, -2, name);
}

/* found(net, …): nil, or where the first number that is not finite was made since the last reset: { origin =
 * "forward" | "backward" | "input", op =, layer = path or nil, module = its class, parameter = path or nil,
 * n_nonfinite =, low =, high = range of what the operator read }. */
static int f_found(lua_State *L)
{
    static const char *const origins[] = {[SONDE_NUMBERS_FORWARD] = "forward", [SONDE_NUMBERS_BACKWARD] = "backward",
                                          [SONDE_NUMBERS_INPUT] = "input"};
    const sonde_numbers found = *sonde_numbers_found();
    if (found.origin == SONDE_NUMBERS_NONE) return 0;
    search layer = find(L, 1, found.place, false), parameter = find(L, 1, found.input, true);
    lua_createtable(L, 0, 8);
    set_text(L, "origin", origins[found.origin]);
    set_text(L, "op", found.op);
    if (layer.found) {
        set_text(L, "layer", layer.path);
        set_text(L, "module", layer.class);
    }
    if (parameter.found) set_text(L, "parameter", parameter.path);
    set_number(L, "n_nonfinite", (double)found.n_nonfinite);
    set_number(L, "low", found.low);
    set_number(L, "high", found.high);
    return 1;
}

int sonde_bind_numbers(lua_State *L)
{
    static const luaL_Reg functions[] = {{"watch", f_watch}, {"reset", f_reset}, {"found", f_found}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
