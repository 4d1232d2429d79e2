/* What this room keeps per Lua state. Private to bind/. */
#ifndef SONDE_BIND_STATE_H
#define SONDE_BIND_STATE_H

#include "bind/bind.h"

typedef struct sonde_bind_state {
    lua_State *running;  /* the thread that called the core last; callbacks run on it */
    const char *library; /* "@/path/to/lua/sonde/", anchored in the registry; NULL: not told yet */
    size_t library_length;
    size_t limit; /* live bytes beyond which the collector runs */
} sonde_bind_state;

/* Makes the state's part of the registry unless it is there; called by luaopen before anything else. */
void sonde_bind_state_open(lua_State *L);
sonde_bind_state *sonde_bind_state_of(lua_State *L);
/* Pushes the error value a callback left and forgets it; false, and nothing pushed, if there is none. */
bool sonde_bind_take_error(lua_State *L);

#endif
