/* Lua called by the core: always protected, on the thread that called the core. */
#include "bind/state.h"

#include <string.h>

static const char state_key = 0, error_key = 0;

/* The Lua value lies under this struct's address: in the owner's last user value, a table, or in the registry. */
struct sonde_bind_callback {
    sonde_bind_state *state;
    const sonde_bind_kind *kind; /* of the owner */
    const void *owner;           /* NULL: none */
};

void sonde_bind_state_open(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &state_key) == LUA_TUSERDATA) {
        lua_pop(L, 1);
        return;
    }
    lua_pop(L, 1);
    sonde_bind_state *state = lua_newuserdatauv(L, sizeof *state, 0);
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    *state = (sonde_bind_state){.running = lua_tothread(L, -1), .limit = (size_t)32 << 20};
    lua_pop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &state_key);
    lua_pushboolean(L, 0); /* never nil: keeping an error value later must not need memory */
    lua_rawsetp(L, LUA_REGISTRYINDEX, &error_key);
}

sonde_bind_state *sonde_bind_state_of(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &state_key);
    sonde_bind_state *state = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return state;
}

bool sonde_bind_take_error(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &error_key) == LUA_TBOOLEAN && !lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        return false;
    }
    lua_pushboolean(L, 0);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &error_key);
    return true;
}

lua_State *sonde_bind_enter(lua_State *L)
{
    sonde_bind_state *state = sonde_bind_state_of(L);
    lua_State *outer = state->running;
    state->running = L;
    if (sonde_bind_take_error(L)) lua_pop(L, 1); /* of a callback whose failure the core passed over */
    return outer;
}

void sonde_bind_leave(lua_State *L, lua_State *outer)
{
    sonde_bind_state_of(L)->running = outer;
}

/* Message handler: a text gets the traceback of where it was raised, once. */
static int add_traceback(lua_State *L)
{
    if (lua_type(L, 1) == LUA_TSTRING && strstr(lua_tostring(L, 1), "\nstack traceback:") == NULL) {
        luaL_traceback(L, L, lua_tostring(L, 1), 1);
    }
    return 1;
}

sonde_status sonde_bind_protect(lua_State *L, lua_CFunction body, void *data)
{
    if (!lua_checkstack(L, LUA_MINSTACK)) return sonde_fail(SONDE_ENOMEM, "Lua's stack is full");
    lua_pushcfunction(L, add_traceback);
    lua_pushcfunction(L, body);
    lua_pushlightuserdata(L, data);
    if (lua_pcall(L, 1, 0, -3) == LUA_OK) {
        lua_pop(L, 1);
        return SONDE_OK;
    }
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : luaL_typename(L, -1);
    sonde_status status = sonde_fail(SONDE_ECALLBACK, "%s", text);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &error_key);
    lua_pop(L, 1);
    return status;
}

/* Pushes the table that keeps the callback's value; false, and nothing pushed, if its owner's box is gone. */
static bool push_keeper(lua_State *L, const sonde_bind_callback *callback)
{
    if (callback->owner == NULL) {
        lua_pushvalue(L, LUA_REGISTRYINDEX);
        return true;
    }
    if (!sonde_bind_find(L, callback->kind, callback->owner)) return false;
    lua_getiuservalue(L, -1, callback->kind->n_values);
    lua_remove(L, -2);
    return true;
}

static const sonde_bind_kind kind_callback = {.name = "Callback", .release = sonde_free};

sonde_bind_callback *sonde_bind_callback_new(lua_State *L, int index, int owner)
{
    luaL_checkstack(L, 8, NULL);
    index = lua_absindex(L, index);
    const sonde_bind_box *box = owner != 0 ? lua_touserdata(L, owner) : NULL;
    if (box != NULL && lua_getiuservalue(L, owner, box->kind->n_values) == LUA_TNIL) {
        int at = lua_absindex(L, owner);
        lua_newtable(L);
        lua_setiuservalue(L, at, box->kind->n_values);
    }
    sonde_bind_kind_open(L, &kind_callback, NULL, NULL);
    void **out = sonde_bind_new(L, &kind_callback);
    sonde_bind_callback *callback = *out = sonde_alloc(sizeof *callback);
    if (callback == NULL) sonde_bind_check(L, SONDE_ENOMEM);
    *callback =
        (sonde_bind_callback){sonde_bind_state_of(L), box != NULL ? box->kind : NULL, box != NULL ? box->object : NULL};
    push_keeper(L, callback);
    lua_pushvalue(L, index);
    lua_rawsetp(L, -2, callback);
    *out = NULL; /* from here on the core's */
    lua_pop(L, box != NULL ? 4 : 3);
    return callback;
}

void sonde_bind_callback_free(void *pointer)
{
    sonde_bind_callback *callback = pointer;
    if (callback == NULL) return;
    lua_State *L = callback->state->running;
    if (lua_checkstack(L, 16) && push_keeper(L, callback)) { /* clearing an entry needs no memory */
        lua_pushnil(L);
        lua_rawsetp(L, -2, callback);
        lua_pop(L, 1);
    }
    sonde_free(callback);
}

lua_State *sonde_bind_callback_state(const sonde_bind_callback *callback)
{
    return callback->state->running;
}

void sonde_bind_callback_push(lua_State *L, const sonde_bind_callback *callback)
{
    if (!push_keeper(L, callback)) {
        lua_pushnil(L);
        return;
    }
    lua_rawgetp(L, -1, callback);
    lua_remove(L, -2);
}
