/* core.h5, the run file: the writer, a history saved in one go, recovery. Failures are nil, message, code. */
#include "bind/h5.h"
#include "bind/history.h"

typedef struct writer_object {
    sonde_h5_writer *writer;
    sonde_bind_history *history; /* one reference, once started */
} writer_object;

static void release_writer(void *object)
{
    writer_object *w = object;
    sonde_h5_writer_free(w->writer);
    if (w->history != NULL) sonde_bind_history_release(w->history);
    sonde_free(w);
}

static const sonde_bind_kind kind_writer = {.name = "Writer", .release = release_writer};

static writer_object *check_writer(lua_State *L)
{
    return sonde_bind_check_object(L, 1, &kind_writer);
}

static const char *const run_names[] = {"path", "name", "about", "command", "seed", "threads", "force", NULL};

/* Options by name at stack index `first`; texts live as long as the arguments. */
static sonde_h5_run check_run(lua_State *L, int first, const char *callee)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, first, callee, run_names);
    return (sonde_h5_run){
        .path = sonde_bind_arg_string(&args, 0),
        .name = sonde_bind_opt_string(&args, 1, ""),
        .about = sonde_bind_opt_string(&args, 2, ""),
        .command = sonde_bind_opt_string(&args, 3, ""),
        .seed = sonde_bind_opt_integer(&args, 4, 0, INT64_MIN, INT64_MAX),
        .threads = sonde_bind_opt_integer(&args, 5, 1, 1, INT64_MAX),
        .force = sonde_bind_opt_boolean(&args, 6, false),
    };
}

static sonde_h5_end check_end(lua_State *L, int first, const char *callee)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, first, callee, SONDE_BIND_NAMES("status", "error", "n_steps", "wall_seconds"));
    return (sonde_h5_end){
        .status = sonde_bind_opt_string(&args, 0, "complete"),
        .error = sonde_bind_opt_string(&args, 1, NULL),
        .n_steps = sonde_bind_opt_integer(&args, 2, 0, 0, INT64_MAX),
        .wall_seconds = sonde_bind_opt_number(&args, 3, 0),
    };
}

/* h5.writer{ path =, name =, about =, command =, seed =, threads =, force = } */
static int open_writer(lua_State *L)
{
    sonde_h5_run run = check_run(L, 1, "h5.writer");
    void **out = sonde_bind_new(L, &kind_writer);
    writer_object *w = sonde_alloc_zeroed(sizeof *w);
    if (w == NULL) sonde_bind_check(L, SONDE_ENOMEM);
    *out = w;
    sonde_status status = sonde_h5_writer_open(&w->writer, &run);
    return status == SONDE_OK ? 1 : sonde_bind_refuse(L, status);
}

/* w:put(path, value[, names of the axes]) */
static int put(lua_State *L)
{
    writer_object *w = check_writer(L);
    const char *path = luaL_checkstring(L, 2);
    lua_settop(L, 4);
    sonde_h5_value value = sonde_bind_check_h5_value(L, 3, path);
    const char *const *axes = sonde_bind_check_axes(L, 4, value.ndim);
    return sonde_bind_h5_result(L, sonde_h5_writer_put(w->writer, path, &value, axes));
}

/* w:put_attribute(path, name, value) */
static int put_attribute(lua_State *L)
{
    writer_object *w = check_writer(L);
    const char *path = luaL_checkstring(L, 2), *name = luaL_checkstring(L, 3);
    sonde_h5_value value = sonde_bind_check_h5_value(L, 4, name);
    return sonde_bind_h5_result(L, sonde_h5_writer_put_attribute(w->writer, path, name, &value));
}

/* w:late(group, column, row from 1, number or text) */
static int late(lua_State *L)
{
    writer_object *w = check_writer(L);
    const char *group = luaL_checkstring(L, 2), *column = luaL_checkstring(L, 3);
    int64_t row = luaL_checkinteger(L, 4) - 1;
    if (lua_type(L, 5) == LUA_TNUMBER) {
        return sonde_bind_h5_result(L, sonde_h5_writer_late_number(w->writer, group, column, row, lua_tonumber(L, 5)));
    }
    return sonde_bind_h5_result(L, sonde_h5_writer_late_text(w->writer, group, column, row, luaL_checkstring(L, 5)));
}

/* w:start(history) */
static int start(lua_State *L)
{
    writer_object *w = check_writer(L);
    sonde_bind_history *history = sonde_bind_check_history(L, 2);
    sonde_status status = sonde_h5_writer_start(w->writer, history->history);
    if (status == SONDE_OK) w->history = sonde_bind_history_retain(history);
    return sonde_bind_h5_result(L, status);
}

static int started(lua_State *L)
{
    lua_pushboolean(L, sonde_h5_writer_started(check_writer(L)->writer));
    return 1;
}

static int check(lua_State *L)
{
    return sonde_bind_h5_result(L, sonde_h5_writer_check(check_writer(L)->writer));
}

static int flush(lua_State *L)
{
    return sonde_bind_h5_result(L, sonde_h5_writer_flush(check_writer(L)->writer));
}

/* w:finish{ status =, error =, n_steps =, wall_seconds = } */
static int finish(lua_State *L)
{
    writer_object *w = check_writer(L);
    sonde_h5_end end = check_end(L, 2, "finish");
    return sonde_bind_h5_result(L, sonde_h5_writer_finish(w->writer, &end));
}

/* h5.save_history(history, { path =, … as h5.writer }, { status =, … as finish }) */
static int save_history(lua_State *L)
{
    sonde_bind_history *history = sonde_bind_check_history(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_settop(L, 3);
    sonde_h5_end end = check_end(L, 3, "h5.save_history"); /* its arguments lie from 3 on, then come those of the run */
    lua_pushvalue(L, 2);
    sonde_h5_run run = check_run(L, lua_gettop(L), "h5.save_history");
    return sonde_bind_h5_result(L, sonde_h5_save(history->history, &run, &end));
}

/* h5.recover(path of FILE.part[, force]): { path =, n_steps =, rows_dropped =, side_lost = } */
static int recover(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    bool force = lua_toboolean(L, 2);
    sonde_h5_recovered *recovered = sonde_bind_scratch(L, sizeof *recovered);
    sonde_status status = sonde_h5_recover(path, force, recovered);
    if (status != SONDE_OK) return sonde_bind_refuse(L, status);
    lua_createtable(L, 0, 4);
    lua_pushstring(L, recovered->path);
    lua_setfield(L, -2, "path");
    lua_pushinteger(L, recovered->n_steps);
    lua_setfield(L, -2, "n_steps");
    lua_pushinteger(L, recovered->rows_dropped);
    lua_setfield(L, -2, "rows_dropped");
    lua_pushboolean(L, recovered->side_lost);
    lua_setfield(L, -2, "side_lost");
    return 1;
}

static const luaL_Reg methods[] = {
    {"put", put},     {"put_attribute", put_attribute}, {"late", late},     {"start", start},
    {"check", check}, {"started", started},             {"flush", flush},   {"finish", finish},
    {NULL, NULL},
};
static const luaL_Reg functions[] = {
    {"writer", open_writer}, {"save_history", save_history}, {"recover", recover}, {NULL, NULL},
};

void sonde_bind_h5_writer(lua_State *L)
{
    sonde_bind_kind_open(L, &kind_writer, methods, NULL);
    lua_pushliteral(L, "close"); /* without finish before: FILE.part stays, to be recovered */
    lua_pushlightuserdata(L, (void *)&kind_writer);
    lua_pushcclosure(L, sonde_bind_release, 1);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    luaL_setfuncs(L, functions, 0);
}
