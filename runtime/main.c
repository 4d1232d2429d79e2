/* sonde — the program: a Lua state with sonde.core in it, and lua/sonde/cli.lua. */
#include "bind/bind.h"

#include <limits.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The source tree's Lua folder, for builds outside it; installed programs find theirs first. */
#ifndef SONDE_LUA_DIR
#define SONDE_LUA_DIR "lua"
#endif

typedef struct command {
    int argc;
    char **argv;
    int exit_code;
} command;

/* Writes the folder of Lua files that belongs to this program, found from where the program lies. */
static void find_lua(char folder[static PATH_MAX])
{
    static const char *const beside[] = {"../lua", "../share/lua/5.4"};
    char program[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length > 0) {
        program[length] = '\0';
        *strrchr(program, '/') = '\0';
        for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
            char file[PATH_MAX + 64];
            snprintf(file, sizeof file, "%s/%s/sonde/init.lua", program, beside[i]);
            if (access(file, R_OK) != 0) continue;
            snprintf(file, sizeof file, "%s/%s", program, beside[i]);
            if (realpath(file, folder) != NULL) return;
        }
    }
    snprintf(folder, PATH_MAX, "%s", SONDE_LUA_DIR);
}

/* Puts our folder in front of package.path. */
static void set_path(lua_State *L)
{
    char folder[PATH_MAX];
    find_lua(folder);
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "path");
    lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", folder, folder, lua_tostring(L, -1));
    lua_setfield(L, -3, "path");
    lua_pop(L, 2);
}

static void set_arg(lua_State *L, const command *c)
{
    lua_createtable(L, c->argc > 0 ? c->argc - 1 : 0, 1);
    for (int i = 0; i < c->argc; i++) {
        lua_pushstring(L, c->argv[i]);
        lua_rawseti(L, -2, i);
    }
    lua_setglobal(L, "arg");
}

/* Everything that may raise. The exit code is what sonde.cli's main returns. */
static int run(lua_State *L)
{
    command *c = lua_touserdata(L, 1);
    luaL_checkversion(L);
    lua_warning(L, "@on", 0);
    luaL_openlibs(L);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, sonde_bind_open);
    lua_setfield(L, -2, "sonde.core");
    set_path(L);
    set_arg(L, c);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "sonde.cli");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "main");
    lua_getglobal(L, "arg");
    lua_call(L, 1, 1);
    c->exit_code = lua_isinteger(L, -1) ? (int)lua_tointeger(L, -1) : EXIT_SUCCESS;
    return 0;
}

static int add_traceback(lua_State *L)
{
    const char *text = luaL_tolstring(L, 1, NULL);
    if (strstr(text, "\nstack traceback:") == NULL) luaL_traceback(L, L, text, 1);
    return 1;
}

int main(int argc, char **argv)
{
    command c = {argc, argv, EXIT_FAILURE};
    lua_State *L = luaL_newstate();
    if (L == NULL) {
        fputs("sonde: out of memory\n", stderr);
        return EXIT_FAILURE;
    }
    lua_pushcfunction(L, add_traceback);
    lua_pushcfunction(L, run);
    lua_pushlightuserdata(L, &c);
    if (lua_pcall(L, 1, 0, 1) != LUA_OK) fprintf(stderr, "sonde: %s\n", lua_tostring(L, -1));
    lua_close(L);
    return c.exit_code;
}
