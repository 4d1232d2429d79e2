/* Raising: the message, the caller's line, and the error value of a callback. */
#include "bind/state.h"

#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool sonde_bind_in_library(const sonde_bind_state *state, const char *source)
{
    return state->library != NULL && strncmp(source, state->library, state->library_length) == 0;
}

/* Pushes "file:line: " of the nearest caller outside the library, or of the nearest at all. */
static void push_where(lua_State *L)
{
    const sonde_bind_state *state = sonde_bind_state_of(L);
    lua_Debug frame;
    int nearest = 0;
    for (int level = 1; lua_getstack(L, level, &frame); level++) {
        lua_getinfo(L, "Sl", &frame);
        if (frame.currentline <= 0) continue; /* a C function */
        if (nearest == 0) nearest = level;
        if (!sonde_bind_in_library(state, frame.source)) {
            lua_pushfstring(L, "%s:%d: ", frame.short_src, frame.currentline);
            return;
        }
    }
    luaL_where(L, nearest);
}

void sonde_bind_raise(lua_State *L, const char *format, ...)
{
    char text[512];
    luaL_checkstack(L, 8, NULL);
    push_where(L);
    va_list values;
    va_start(values, format);
    int length = vsnprintf(text, sizeof text, format, values);
    va_end(values);
    if (length < (int)sizeof text) {
        lua_pushstring(L, text);
    } else {
        char *longer = lua_newuserdatauv(L, (size_t)length + 1, 0);
        va_start(values, format);
        vsnprintf(longer, (size_t)length + 1, format, values);
        va_end(values);
        lua_pushstring(L, longer);
        lua_remove(L, -2);
    }
    lua_concat(L, 2);
    lua_error(L);
    __builtin_unreachable();
}

void sonde_bind_check(lua_State *L, sonde_status status)
{
    if (status == SONDE_OK) return;
    if (status == SONDE_ECALLBACK) {
        luaL_checkstack(L, 4, NULL);
        if (sonde_bind_take_error(L)) lua_error(L);
    }
    if (status == SONDE_ENOMEM) lua_gc(L, LUA_GCCOLLECT); /* so that a second try may succeed */
    sonde_bind_raise(L, "%s", sonde_message());
}

int sonde_bind_refuse(lua_State *L, sonde_status status)
{
    if (status == SONDE_ECALLBACK) sonde_bind_check(L, status);
    lua_pushnil(L);
    lua_pushstring(L, sonde_message());
    lua_pushstring(L, sonde_status_name(status));
    return 3;
}

const char *sonde_bind_type_name(lua_State *L, int index)
{
    if (lua_type(L, index) == LUA_TUSERDATA && luaL_getmetafield(L, index, "__name") == LUA_TSTRING) {
        const char *name = lua_tostring(L, -1); /* the metatable keeps it */
        lua_pop(L, 1);
        return name;
    }
    return luaL_typename(L, index);
}

const char *sonde_bind_defined_at(lua_State *L, int index)
{
    lua_Debug function;
    lua_pushvalue(L, index);
    lua_getinfo(L, ">S", &function);
    return lua_pushfstring(L, "defined at %s:%d", function.short_src, function.linedefined);
}

void sonde_bind_type_error(lua_State *L, int index, const char *expected)
{
    const char *got = sonde_bind_type_name(L, index);
    lua_Debug frame;
    if (!lua_getstack(L, 0, &frame)) sonde_bind_raise(L, "expected %s, got %s", expected, got);
    lua_getinfo(L, "n", &frame);
    bool is_method = frame.namewhat != NULL && strcmp(frame.namewhat, "method") == 0;
    const char *to = frame.name == NULL ? "" : lua_pushfstring(L, " to '%s'", frame.name);
    sonde_bind_raise(L, "bad argument #%d%s: expected %s, got %s", index - is_method, to, expected, got);
}

/* Levenshtein distance of two short words, where a letter of the other case costs half an edit; in halves. Words beyond
 * the bound count as far apart. */
static int distance(const char *a, const char *b)
{
    enum { BOUND = 63, EDIT = 2, CASE = 1 };
    size_t n = strlen(a), m = strlen(b);
    if (n > BOUND || m > BOUND) return INT_MAX;
    int row[BOUND + 1];
    for (size_t j = 0; j <= m; j++) row[j] = (int)j * EDIT;
    for (size_t i = 1; i <= n; i++) {
        int diagonal = row[0];
        row[0] = (int)i * EDIT;
        for (size_t j = 1; j <= m; j++) {
            int above = row[j];
            unsigned char x = (unsigned char)a[i - 1], y = (unsigned char)b[j - 1];
            int best = diagonal + (x == y ? 0 : tolower(x) == tolower(y) ? CASE : EDIT);
            if (above + EDIT < best) best = above + EDIT;
            if (row[j - 1] + EDIT < best) best = row[j - 1] + EDIT;
            row[j] = best;
            diagonal = above;
        }
    }
    return row[m];
}

const char *sonde_bind_nearest(const char *word, const char *const *choices)
{
    const char *nearest = NULL;
    int least = 2 * ((int)strlen(word) / 3 + 2); /* further away is no slip of the fingers */
    for (; *choices != NULL; choices++) {
        int d = distance(word, *choices);
        if (d < least) {
            least = d;
            nearest = *choices;
        }
    }
    return nearest;
}
