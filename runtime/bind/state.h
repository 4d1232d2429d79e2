/* What this room keeps per Lua state. Private to bind/. */
#ifndef SONDE_BIND_STATE_H
#define SONDE_BIND_STATE_H

#include "bind/bind.h"

typedef struct sonde_bind_state {
    lua_State *running;  /* the thread that called the core last; callbacks run on it */
    lua_State *watched;  /* the thread that on_interrupt stops; NULL: none */
    const char *library; /* "@/path/to/lua/sonde/", anchored in the registry; NULL: not told yet */
    size_t library_length;
    size_t limit; /* live bytes beyond which the collector runs */
} sonde_bind_state;

/* Makes the state's part of the registry unless it is there; called by luaopen before anything else. */
void sonde_bind_state_open(lua_State *L);
sonde_bind_state *sonde_bind_state_of(lua_State *L);
/* Pushes the error value a callback left and forgets it; false, and nothing pushed, if there is none. */
bool sonde_bind_take_error(lua_State *L);

/* Is this chunk one of the library's own Lua files? source: as lua_Debug has it. */
bool sonde_bind_in_library(const sonde_bind_state *state, const char *source);

/* Adds on_interrupt to the table on top (core.system). */
void sonde_bind_interrupt(lua_State *L);
/* After a second signal: stops the user's code on this thread too, a coroutine that the handler could not know of. */
void sonde_bind_follow_interrupt(lua_State *L);

#endif
