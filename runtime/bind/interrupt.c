/* core.system.on_interrupt: the second signal ends what the user's own Lua code is doing. */
#include "bind/state.h"
#include "guard/guard.h"

static const char handler_key = 0; /* registry: the function that raises */

/* Instructions until the hook is called. */
enum { NOW = 1, SOON = 100 };

/* Library code is left to end in its own time: a row is written everywhere or nowhere. In the user's the error is
 * raised at every instruction until the run has ended, for a pcall may hold it up. */
static void hook(lua_State *L, lua_Debug *frame)
{
    lua_getinfo(L, "S", frame);
    bool in_library = sonde_bind_in_library(sonde_bind_state_of(L), frame->source);
    lua_sethook(L, hook, LUA_MASKCOUNT, in_library ? SOON : NOW);
    if (in_library) return;
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &handler_key) == LUA_TFUNCTION) {
        lua_call(L, 0, 0);
    } else { /* the run is over: a coroutine kept the hook */
        lua_pop(L, 1);
        lua_sethook(L, NULL, 0, 0);
    }
}

/* By the second signal, inside its handler, where lua_sethook is allowed. */
static void stop(void *watched)
{
    lua_sethook(watched, hook, LUA_MASKCOUNT, NOW);
}

void sonde_bind_follow_interrupt(lua_State *L)
{
    if (sonde_signals_count() < 2 || sonde_bind_state_of(L)->watched == NULL || lua_gethook(L) == hook) return;
    lua_sethook(L, hook, LUA_MASKCOUNT, NOW);
}

/* on_interrupt(fn or nil): after a second signal fn, which raises, is called in the user's code, and again until it has
 * ended. Returns the function before. */
static int on_interrupt(lua_State *L)
{
    if (!lua_isnoneornil(L, 1)) luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    sonde_signals_on_second(NULL, NULL);
    if (lua_gethook(L) == hook) lua_sethook(L, NULL, 0, 0);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &handler_key);
    lua_pushvalue(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &handler_key);
    sonde_bind_state_of(L)->watched = lua_isnil(L, 1) ? NULL : L;
    if (lua_isnil(L, 1)) return 1;
    sonde_signals_on_second(stop, L);
    if (sonde_signals_count() > 1) stop(L);
    return 1;
}

void sonde_bind_interrupt(lua_State *L)
{
    lua_pushcfunction(L, on_interrupt);
    lua_setfield(L, -2, "on_interrupt");
}
