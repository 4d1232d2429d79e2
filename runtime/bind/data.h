/* The parts of core.data. Private to bind/. */
#ifndef SONDE_BIND_DATA_H
#define SONDE_BIND_DATA_H

#include "bind/bind.h"
#include "data/data.h"

extern const sonde_bind_kind sonde_bind_kind_pixels;

/* A set is a thing, not a draw: its stream depends on its own seed, the i-th argument (default 1), alone. */
sonde_stream sonde_bind_set_stream(const sonde_bind_args *args, int i, const char *name);
/* Finishes the two filled boxes on top of the stack; returns 2. */
int sonde_bind_two_done(lua_State *L);
/* The contiguous tensor at `index`, of at least one axis; raises otherwise. */
sonde_tensor *sonde_bind_check_rows(lua_State *L, int index);

/* Each adds its functions to the table on top. */
void sonde_bind_data_tasks(lua_State *L);
void sonde_bind_data_images(lua_State *L);

#endif
