/* A history shared by its box, its groups' boxes, probes and writers: it dies with the last. Private to bind/. */
#ifndef SONDE_BIND_HISTORY_H
#define SONDE_BIND_HISTORY_H

#include "bind/bind.h"
#include "record/record.h"

typedef struct sonde_bind_history {
    int refs;
    sonde_history *history;
} sonde_bind_history;

sonde_bind_history *sonde_bind_check_history(lua_State *L, int index);
sonde_bind_history *sonde_bind_history_retain(sonde_bind_history *shared);
void sonde_bind_history_release(sonde_bind_history *shared);

#endif
