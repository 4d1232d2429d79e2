/* The CSV part of core.data. Private to bind/. */
#ifndef SONDE_BIND_CSV_H
#define SONDE_BIND_CSV_H

#include "bind/bind.h"

void sonde_bind_csv_open(lua_State *L);
int sonde_bind_csv_load(lua_State *L);

#endif
