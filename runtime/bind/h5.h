/* Values on their way between Lua and HDF5 files. Private to bind/. */
#ifndef SONDE_BIND_H5_H
#define SONDE_BIND_H5_H

#include "bind/bind.h"
#include "h5/h5.h"

/* The Lua value at `index` (text, number, tensor, list of texts or of numbers) as a value that borrows what it needs
 * from things pushed onto the stack; valid while they stay there. Raises for anything else, naming `what`. */
sonde_h5_value sonde_bind_check_h5_value(lua_State *L, int index, const char *what);

/* Pushes the box of an empty value for the core to fill … */
sonde_h5_value *sonde_bind_new_h5_value(lua_State *L);
/* … and replaces it by what it holds: a number, a text, a tensor, or (nested) lists of texts. Returns 1. */
int sonde_bind_h5_value_done(lua_State *L);

/* Names of axes: a list of texts at `index`, `n` of them, or NULL where it is nil. Pushes scratch memory. */
const char *const *sonde_bind_check_axes(lua_State *L, int index, int n);

/* true, or nil, message, code. */
static inline int sonde_bind_h5_result(lua_State *L, sonde_status status)
{
    if (status != SONDE_OK) return sonde_bind_refuse(L, status);
    lua_pushboolean(L, true);
    return 1;
}

void sonde_bind_h5_writer(lua_State *L); /* adds writer, save and recover to the table on top */

#endif
