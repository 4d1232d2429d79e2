/* The module sonde.core: its parts, in one table. Opening it twice in one state is harmless. */
#include "bind/state.h"

#include <math.h>

/* Each pushes one table, which becomes a field of the module. */
static const luaL_Reg parts[] = {
    {"tensor", sonde_bind_tensor}, {"autograd", sonde_bind_autograd},
    {"random", sonde_bind_random}, {"nn", sonde_bind_nn},
    {"optim", sonde_bind_optim},   {"data", sonde_bind_data},
    {"record", sonde_bind_record}, {"h5", sonde_bind_h5},
    {"probe", sonde_bind_probe},   {"system", sonde_bind_system},
    {"numbers", sonde_bind_numbers},
    {"linalg", sonde_bind_linalg},
};

void sonde_bind_push_number(lua_State *L, double number)
{
    lua_pushnumber(L, isnan(number) ? (double)NAN : number);
}

/* live(): how many core objects are alive in the process, by kind. */
static int f_live(lua_State *L)
{
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, sonde_tensor_live());
    lua_setfield(L, -2, "tensors");
    lua_pushinteger(L, sonde_module_live());
    lua_setfield(L, -2, "modules");
    lua_pushinteger(L, sonde_optimizer_live());
    lua_setfield(L, -2, "optimizers");
    return 1;
}

/* memory(): live_bytes, live_blocks, peak_bytes, pooled_bytes of the core. */
static int f_memory(lua_State *L)
{
    const sonde_memory_stats stats = sonde_memory();
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, (lua_Integer)stats.live_bytes);
    lua_setfield(L, -2, "live_bytes");
    lua_pushinteger(L, (lua_Integer)stats.live_blocks);
    lua_setfield(L, -2, "live_blocks");
    lua_pushinteger(L, (lua_Integer)stats.peak_bytes);
    lua_setfield(L, -2, "peak_bytes");
    lua_pushinteger(L, (lua_Integer)stats.pooled_bytes);
    lua_setfield(L, -2, "pooled_bytes");
    return 1;
}

/* memory_limit(bytes): beyond it allocations fail; 0: none. */
static int f_memory_limit(lua_State *L)
{
    lua_Integer bytes = luaL_checkinteger(L, 1);
    if (bytes < 0) sonde_bind_raise(L, "memory_limit: expected at least 0 bytes");
    sonde_memory_limit((size_t)bytes);
    return 0;
}

/* memory_fail_at(n): the n-th allocation from now fails once; -1: never. For tests. */
static int f_memory_fail_at(lua_State *L)
{
    sonde_memory_fail_at((long)luaL_checkinteger(L, 1));
    return 0;
}

/* threads([n]): threads inside one run; sets them if n is given. */
static int f_threads(lua_State *L)
{
    if (!lua_isnoneornil(L, 1)) {
        lua_Integer n = luaL_checkinteger(L, 1);
        if (n < 1 || n > 1024) sonde_bind_raise(L, "threads: expected 1 to 1024, got %lld", (long long)n);
        sonde_bind_check(L, sonde_threads_set((int)n));
    }
    lua_pushinteger(L, sonde_threads());
    return 1;
}

/* raise(message): an error at the line of the caller outside the library. For lua/sonde. */
static int f_raise(lua_State *L)
{
    sonde_bind_raise(L, "%s", luaL_checkstring(L, 1));
}

/* nearest(word, list): the word of the list that is like it, or nil. */
static int f_nearest(lua_State *L)
{
    const char *word = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    size_t n = (size_t)lua_rawlen(L, 2);
    const char **choices = sonde_bind_scratch(L, (n + 1) * sizeof *choices);
    for (size_t i = 0; i < n; i++) {
        if (lua_rawgeti(L, 2, (lua_Integer)i + 1) != LUA_TSTRING)
            sonde_bind_raise(L, "nearest: expected a list of strings");
        choices[i] = lua_tostring(L, -1); /* the list keeps it */
        lua_pop(L, 1);
    }
    choices[n] = NULL;
    lua_pushstring(L, sonde_bind_nearest(word, choices));
    return 1;
}

/* library(folder): Lua files below it are the library's own; errors name the line of whoever called them. */
static int f_library(lua_State *L)
{
    static const char key = 0;
    sonde_bind_state *state = sonde_bind_state_of(L);
    luaL_checkstring(L, 1);
    lua_pushliteral(L, "@");
    lua_pushvalue(L, 1);
    lua_concat(L, 2);
    state->library = lua_tolstring(L, -1, &state->library_length);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
    return 0;
}

static const luaL_Reg functions[] = {
    {"live", f_live},
    {"memory", f_memory},
    {"memory_limit", f_memory_limit},
    {"memory_fail_at", f_memory_fail_at},
    {"threads", f_threads},
    {"raise", f_raise},
    {"nearest", f_nearest},
    {"library", f_library},
    {NULL, NULL},
};

int sonde_bind_open(lua_State *L)
{
    luaL_checkversion(L);
    sonde_bind_state_open(L);
    luaL_newlib(L, functions);
    lua_pushliteral(L, SONDE_VERSION);
    lua_setfield(L, -2, "version");
    lua_pushnumber(L, (double)NAN); /* in Lua 0/0 prints as -nan on most processors */
    lua_setfield(L, -2, "nan");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        parts[i].func(L);
        lua_setfield(L, -2, parts[i].name);
    }
    return 1;
}
