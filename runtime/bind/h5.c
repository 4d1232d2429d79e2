/* core.h5: reading and writing HDF5 files. Failures of the outside world are nil, message, code. */
#include "bind/h5.h"

#include <string.h>

static void release_file(void *object) { sonde_h5_discard(object); } /* who does not close has not finished */

static const sonde_bind_kind kind_file = {.name = "H5File", .release = release_file};

static sonde_h5_file *check_file(lua_State *L)
{
    return sonde_bind_check_object(L, 1, &kind_file);
}

/* h5.open(path[, mode = "r"]) */
static int open_file(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1), *mode = luaL_optstring(L, 2, "r");
    void **out = sonde_bind_new(L, &kind_file);
    sonde_status status = sonde_h5_open((sonde_h5_file **)out, path, mode);
    return status == SONDE_OK ? 1 : sonde_bind_refuse(L, status);
}

/* f:close(): in mode "w" only now the file gets its name, so failures come here. A closed file may be closed again. */
static int close_file(lua_State *L)
{
    sonde_bind_box *box = sonde_bind_box_at(L, 1, &kind_file);
    if (box == NULL) sonde_bind_type_error(L, 1, "H5File");
    sonde_h5_file *file = box->object;
    box->object = NULL;
    return sonde_bind_h5_result(L, sonde_h5_close(file));
}

/* f:discard(): in mode "w" nothing is left of the new file. */
static int discard(lua_State *L)
{
    sonde_bind_box *box = sonde_bind_box_at(L, 1, &kind_file);
    if (box == NULL) sonde_bind_type_error(L, 1, "H5File");
    sonde_h5_file *file = box->object;
    box->object = NULL;
    sonde_h5_discard(file);
    return 0;
}

static int is_live(lua_State *L)
{
    lua_pushboolean(L, sonde_h5_is_live(check_file(L)));
    return 1;
}

static int has_writer(lua_State *L)
{
    lua_pushboolean(L, sonde_h5_has_writer(check_file(L)));
    return 1;
}

static void set_flag(lua_State *L, const char *name, bool value)
{
    lua_pushboolean(L, value);
    lua_setfield(L, -2, name);
}

/* Adds type =, shape =, is_null = to the table on top. */
static void set_data(lua_State *L, const sonde_h5_info *about)
{
    lua_pushstring(L, about->type_name);
    lua_setfield(L, -2, "type");
    set_flag(L, "is_null", about->is_null);
    lua_createtable(L, about->ndim, 0);
    for (int d = 0; d < about->ndim; d++) {
        lua_pushinteger(L, about->shape[d]);
        lua_rawseti(L, -2, d + 1);
    }
    lua_setfield(L, -2, "shape");
}

/* f:info(path): { kind = "group" | "dataset", link = "hard" | "soft" | "external", links =, object =, and of a
 * dataset type =, shape =, is_null =, grows =, is_scale = }; nothing if there is no such path. */
static int info(lua_State *L)
{
    static const char *const links[] = {
        [SONDE_H5_HARD] = "hard", [SONDE_H5_SOFT] = "soft", [SONDE_H5_EXTERNAL] = "external"};
    sonde_h5_info about;
    sonde_status status = sonde_h5_inspect(check_file(L), luaL_checkstring(L, 2), &about);
    if (status != SONDE_OK) return sonde_bind_refuse(L, status);
    if (about.kind == SONDE_H5_NOTHING) return 0;
    lua_createtable(L, 0, 8);
    lua_pushstring(L, about.kind == SONDE_H5_GROUP ? "group" : "dataset");
    lua_setfield(L, -2, "kind");
    lua_pushstring(L, links[about.link]);
    lua_setfield(L, -2, "link");
    lua_pushinteger(L, about.links);
    lua_setfield(L, -2, "links");
    lua_pushstring(L, about.object);
    lua_setfield(L, -2, "object");
    if (about.kind == SONDE_H5_GROUP) return 1;
    set_data(L, &about);
    set_flag(L, "grows", about.grows);
    set_flag(L, "is_scale", about.is_scale);
    return 1;
}

/* f:attribute_info(path, name): { type =, shape =, is_null = }; nothing if there is no such attribute. */
static int attribute_info(lua_State *L)
{
    sonde_h5_info about;
    sonde_h5_file *file = check_file(L);
    sonde_status status = sonde_h5_inspect_attribute(file, luaL_checkstring(L, 2), luaL_checkstring(L, 3), &about);
    if (status != SONDE_OK) return sonde_bind_refuse(L, status);
    if (about.kind == SONDE_H5_NOTHING) return 0;
    lua_createtable(L, 0, 3);
    set_data(L, &about);
    return 1;
}

/* Finishes what a reading function has filled. */
static int value_done(lua_State *L, sonde_status status)
{
    return status == SONDE_OK ? sonde_bind_h5_value_done(L) : sonde_bind_refuse(L, status);
}

static int list(lua_State *L)
{
    sonde_h5_file *file = check_file(L);
    const char *path = luaL_optstring(L, 2, "/");
    return value_done(L, sonde_h5_list(file, path, sonde_bind_new_h5_value(L)));
}

static int attributes(lua_State *L)
{
    sonde_h5_file *file = check_file(L);
    const char *path = luaL_optstring(L, 2, "/");
    return value_done(L, sonde_h5_list_attributes(file, path, sonde_bind_new_h5_value(L)));
}

static int axes(lua_State *L)
{
    sonde_h5_file *file = check_file(L);
    const char *path = luaL_checkstring(L, 2);
    return value_done(L, sonde_h5_axes(file, path, sonde_bind_new_h5_value(L)));
}

/* f:attribute(path, name) */
static int attribute(lua_State *L)
{
    sonde_h5_file *file = check_file(L);
    const char *path = luaL_checkstring(L, 2), *name = luaL_checkstring(L, 3);
    return value_done(L, sonde_h5_read_attribute(file, path, name, sonde_bind_new_h5_value(L)));
}

/* Argument `i`, where it is given: one number for each axis. */
static void check_places(sonde_bind_args *args, int i, const char *path, int ndim, int64_t least, int64_t *out)
{
    if (!sonde_bind_given(args, i)) return;
    int n = sonde_bind_arg_integers(args, i, out, SONDE_H5_DIMS, least);
    if (n != ndim) sonde_bind_arg_fail(args, i, "'%s' has %d axes, got %d numbers", path, ndim, n);
}

/* start, step and count of a part, in HDF5's counting: without start from 1, without count to the end; a negative start
 * counts from the end. The status is that of inspect; raises if they do not fit the axes. */
static sonde_status check_part(sonde_bind_args *args, sonde_h5_file *file, const char *path, sonde_h5_part *part)
{
    sonde_h5_info about;
    sonde_status status = sonde_h5_inspect(file, path, &about);
    if (status != SONDE_OK || about.kind != SONDE_H5_DATASET) return status; /* reading says what is wrong */
    for (int d = 0; d < about.ndim; d++) part->start[d] = part->step[d] = 1;
    check_places(args, 1, path, about.ndim, INT64_MIN, part->start);
    check_places(args, 4, path, about.ndim, 1, part->step);
    for (int d = 0; d < about.ndim; d++) {
        if (part->start[d] == 0) sonde_bind_arg_fail(args, 1, "places count from 1, or from -1 at the end; got 0");
        part->start[d] += part->start[d] < 0 ? about.shape[d] : -1;
        bool inside = part->start[d] >= 0 && part->start[d] < about.shape[d];
        part->count[d] = inside ? (about.shape[d] - part->start[d] - 1) / part->step[d] + 1 : 0;
    }
    check_places(args, 2, path, about.ndim, 0, part->count);
    return SONDE_OK;
}

/* f:read(path[, { start = { from 1 … }, count = { … }, step = { … }, dtype = }]): the whole, or a part of every axis */
static int read_dataset(lua_State *L)
{
    static const sonde_h5_type types[] = {
        [SONDE_FLOAT32] = SONDE_H5_F32, [SONDE_FLOAT64] = SONDE_H5_F64, [SONDE_INT64] = SONDE_H5_I64};
    sonde_h5_file *file = check_file(L);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, "read", SONDE_BIND_NAMES("path", "start", "count", "dtype", "step"));
    const char *path = sonde_bind_arg_string(&args, 0);
    sonde_h5_part part = {{0}, {0}, {0}};
    bool whole = !sonde_bind_given(&args, 1) && !sonde_bind_given(&args, 2) && !sonde_bind_given(&args, 4);
    sonde_status status = whole ? SONDE_OK : check_part(&args, file, path, &part);
    if (status != SONDE_OK) return sonde_bind_refuse(L, status);
    sonde_h5_type type = SONDE_H5_NATURAL;
    if (sonde_bind_given(&args, 3)) type = types[sonde_bind_opt_dtype(&args, 3, SONDE_FLOAT32)];
    sonde_h5_value *value = sonde_bind_new_h5_value(L);
    return value_done(L, sonde_h5_read(file, path, type, whole ? NULL : &part, value));
}

typedef sonde_status (*put_function)(sonde_h5_file *, const char *, const sonde_h5_value *, const char *const *);

static int put(lua_State *L, put_function store)
{
    sonde_h5_file *file = check_file(L);
    const char *path = luaL_checkstring(L, 2);
    lua_settop(L, 4);
    sonde_h5_value value = sonde_bind_check_h5_value(L, 3, path);
    return sonde_bind_h5_result(L, store(file, path, &value, sonde_bind_check_axes(L, 4, value.ndim)));
}

/* f:write(path, value[, names of the axes]) */
static int write_dataset(lua_State *L)
{
    return put(L, sonde_h5_write);
}

/* f:append(path, value[, names of the axes]): along the first axis */
static int append(lua_State *L)
{
    return put(L, sonde_h5_append);
}

/* f:set_attribute(path, name, value) */
static int set_attribute(lua_State *L)
{
    sonde_h5_file *file = check_file(L);
    const char *path = luaL_checkstring(L, 2), *name = luaL_checkstring(L, 3);
    sonde_h5_value value = sonde_bind_check_h5_value(L, 4, name);
    return sonde_bind_h5_result(L, sonde_h5_write_attribute(file, path, name, &value));
}

static int make_group(lua_State *L)
{
    return sonde_bind_h5_result(L, sonde_h5_make_group(check_file(L), luaL_checkstring(L, 2)));
}

static int open_ids(lua_State *L)
{
    lua_pushinteger(L, sonde_h5_open_ids());
    return 1;
}

static int library_version(lua_State *L)
{
    lua_pushstring(L, sonde_h5_library_version());
    return 1;
}

static const luaL_Reg methods[] = {
    {"close", close_file},
    {"discard", discard},
    {"is_live", is_live},
    {"has_writer", has_writer},
    {"info", info},
    {"attribute_info", attribute_info},
    {"list", list},
    {"attributes", attributes},
    {"axes", axes},
    {"attribute", attribute},
    {"read", read_dataset},
    {"write", write_dataset},
    {"append", append},
    {"set_attribute", set_attribute},
    {"make_group", make_group},
    {NULL, NULL},
};
static const luaL_Reg functions[] = {
    {"open", open_file}, {"open_ids", open_ids}, {"library_version", library_version}, {NULL, NULL},
};

int sonde_bind_h5(lua_State *L)
{
    sonde_bind_kind_open(L, &kind_file, methods, NULL);
    lua_pop(L, 1);
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    sonde_bind_h5_writer(L);
    return 1;
}
