/* The door of the shared module, for `require "sonde.core"` in stock Lua. */
#include "bind/bind.h"

__attribute__((visibility("default"))) int luaopen_sonde_core(lua_State *L);

int luaopen_sonde_core(lua_State *L)
{
    return sonde_bind_open(L);
}
