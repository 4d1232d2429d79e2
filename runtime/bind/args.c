/* Arguments by position or by name in a trailing table. */
#include "bind/bind.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int count(const char *const *names)
{
    int n = 0;
    while (names[n] != NULL) n++;
    return n;
}

/* Appends "a, b, c" to the string on top. */
static void push_list(lua_State *L, const char *const *names)
{
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    for (int i = 0; names[i] != NULL; i++) {
        if (i > 0) luaL_addstring(&buffer, ", ");
        luaL_addstring(&buffer, names[i]);
    }
    luaL_pushresult(&buffer);
}

/* A table without [1] that is no object of a class: named arguments. */
static bool is_options(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TTABLE) return false;
    bool empty = lua_rawgeti(L, index, 1) == LUA_TNIL;
    lua_pop(L, 1);
    if (empty && lua_getmetatable(L, index)) {
        lua_pop(L, 1);
        empty = false;
    }
    return empty;
}

/* The argument of this name; -1: there is none. */
static int name_index(const sonde_bind_args *args, const char *name)
{
    for (int i = 0; i < args->n; i++) {
        if (strcmp(args->names[i], name) == 0) return i;
    }
    return -1;
}

/* Raises for the first in alphabetical order of the unknown names in the table at `options`: always the same one. */
static _Noreturn void unknown_option(const sonde_bind_args *args, int options)
{
    lua_State *L = args->L;
    const char *name = NULL;
    for (lua_pushnil(L); lua_next(L, options) != 0; lua_pop(L, 1)) {
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL; /* the table keeps it */
        if (key != NULL && name_index(args, key) < 0 && (name == NULL || strcmp(key, name) < 0)) name = key;
    }
    const char *nearest = sonde_bind_nearest(name, args->names);
    const char *hint = nearest == NULL ? "" : lua_pushfstring(L, " (did you mean '%s'?)", nearest);
    push_list(L, args->names);
    sonde_bind_raise(L, "%s: unknown option '%s'%s; there are%s %s", args->callee, name, hint, args->n > 0 ? ":" : "",
                     args->n > 0 ? lua_tostring(L, -1) : "none");
}

/* Moves the entries of the table on top to their arguments and pops it. */
static void spread_options(sonde_bind_args *args)
{
    lua_State *L = args->L;
    int options = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, options) != 0;) {
        if (lua_type(L, -2) != LUA_TSTRING) {
            sonde_bind_raise(L, "%s: options have names, got a %s as a key", args->callee, luaL_typename(L, -2));
        }
        int i = name_index(args, lua_tostring(L, -2));
        if (i < 0) unknown_option(args, options);
        if (!lua_isnil(L, args->base + i)) {
            sonde_bind_raise(L, "%s: '%s' given twice, by position and by name", args->callee, args->names[i]);
        }
        lua_replace(L, args->base + i);
    }
    lua_settop(L, options - 1);
}

void sonde_bind_args_open(sonde_bind_args *args, lua_State *L, int first, const char *callee, const char *const *names)
{
    *args = (sonde_bind_args){L, callee, names, first, count(names)};
    luaL_checkstack(L, args->n + LUA_MINSTACK, NULL);
    int top = lua_gettop(L);
    bool named = top >= first && is_options(L, top);
    int given = top - first + 1 - named;
    if (given > args->n) {
        sonde_bind_raise(L, "%s: takes at most %d argument%s, got %d", callee, args->n, args->n == 1 ? "" : "s", given);
    }
    for (int i = given; i < args->n; i++) lua_pushnil(L);
    if (!named) return;
    lua_rotate(L, first + given, -1); /* the options come to the top */
    spread_options(args);
}

/* Reads the list at `index` into out[room]. */
static int read_list(const sonde_bind_args *args, int i, int index, int64_t *out, int room, int64_t least)
{
    lua_State *L = args->L;
    lua_Integer n = luaL_len(L, index);
    if (n < 0 || n > room) sonde_bind_arg_fail(args, i, "a list of at most %d integers, got %lld", room, (long long)n);
    for (int j = 0; j < (int)n; j++) {
        int whole = 0;
        bool number = lua_geti(L, index, j + 1) == LUA_TNUMBER;
        out[j] = lua_tointegerx(L, -1, &whole);
        if (!number || !whole) {
            sonde_bind_arg_fail(args, i, "expected a list of integers, got %s at [%d]",
                                number ? lua_tostring(L, -1) : sonde_bind_type_name(L, -1), j + 1);
        }
        if (out[j] < least) {
            sonde_bind_arg_fail(args, i, "expected at least %lld, got %lld at [%d]", (long long)least,
                                (long long)out[j], j + 1);
        }
        lua_pop(L, 1);
    }
    return (int)n;
}

int sonde_bind_args_open_sizes(sonde_bind_args *args, lua_State *L, int first, const char *callee,
                               const char *const *names, int64_t *shape, int64_t least)
{
    static const char *const size_names[] = {"size", NULL};
    sonde_bind_args sizes = {L, callee, size_names, first, 1};
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    int top = lua_gettop(L), ndim = 0, used = 0;
    if (top >= first && lua_type(L, first) == LUA_TTABLE && !(top == first && is_options(L, top))) {
        ndim = read_list(&sizes, 0, first, shape, SONDE_MAX_DIMS, least);
        used = 1;
    } else {
        for (; first + used <= top && lua_type(L, first + used) == LUA_TNUMBER; used++) {
            if (used == SONDE_MAX_DIMS) sonde_bind_raise(L, "%s: at most %d axes", callee, SONDE_MAX_DIMS);
            sizes.base = first + used;
            shape[used] = sonde_bind_arg_integer(&sizes, 0, least, INT64_MAX);
        }
        ndim = used;
    }
    int left = top - first + 1 - used;
    if (left > 1 || (left == 1 && !is_options(L, top))) {
        sonde_bind_raise(L, "bad argument #%d to %s: expected sizes, then options by name, got %s", used + 1, callee,
                         sonde_bind_type_name(L, first + used));
    }
    for (int i = 0; i < used; i++) lua_remove(L, first);
    sonde_bind_args_open(args, L, first, callee, names);
    return ndim;
}

void sonde_bind_arg_fail(const sonde_bind_args *args, int i, const char *format, ...)
{
    char text[512];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    sonde_bind_raise(args->L, "bad argument '%s' to %s: %s", args->names[i], args->callee, text);
}

void sonde_bind_arg_type_error(const sonde_bind_args *args, int i, const char *expected)
{
    lua_State *L = args->L;
    int index = args->base + i;
    const char *got = lua_isnil(L, index) ? "no value" : sonde_bind_type_name(L, index);
    sonde_bind_arg_fail(args, i, "expected %s, got %s", expected, got);
}

int64_t sonde_bind_arg_integer(const sonde_bind_args *args, int i, int64_t low, int64_t high)
{
    lua_State *L = args->L;
    int index = args->base + i, whole = 0;
    if (lua_type(L, index) != LUA_TNUMBER) sonde_bind_arg_type_error(args, i, "integer");
    int64_t value = lua_tointegerx(L, index, &whole);
    if (!whole) sonde_bind_arg_fail(args, i, "expected integer, got %.14g", lua_tonumber(L, index));
    if (value < low) sonde_bind_arg_fail(args, i, "expected at least %lld, got %lld", (long long)low, (long long)value);
    if (value > high)
        sonde_bind_arg_fail(args, i, "expected at most %lld, got %lld", (long long)high, (long long)value);
    return value;
}

int64_t sonde_bind_opt_integer(const sonde_bind_args *args, int i, int64_t fallback, int64_t low, int64_t high)
{
    return sonde_bind_given(args, i) ? sonde_bind_arg_integer(args, i, low, high) : fallback;
}

double sonde_bind_arg_number(const sonde_bind_args *args, int i)
{
    if (lua_type(args->L, args->base + i) != LUA_TNUMBER) sonde_bind_arg_type_error(args, i, "number");
    return lua_tonumber(args->L, args->base + i);
}

double sonde_bind_opt_number(const sonde_bind_args *args, int i, double fallback)
{
    return sonde_bind_given(args, i) ? sonde_bind_arg_number(args, i) : fallback;
}

bool sonde_bind_opt_boolean(const sonde_bind_args *args, int i, bool fallback)
{
    if (!sonde_bind_given(args, i)) return fallback;
    if (!lua_isboolean(args->L, args->base + i)) sonde_bind_arg_type_error(args, i, "boolean");
    return lua_toboolean(args->L, args->base + i);
}

const char *sonde_bind_arg_string(const sonde_bind_args *args, int i)
{
    if (lua_type(args->L, args->base + i) != LUA_TSTRING) sonde_bind_arg_type_error(args, i, "string");
    return lua_tostring(args->L, args->base + i);
}

const char *sonde_bind_opt_string(const sonde_bind_args *args, int i, const char *fallback)
{
    return sonde_bind_given(args, i) ? sonde_bind_arg_string(args, i) : fallback;
}

int sonde_bind_opt_choice(const sonde_bind_args *args, int i, int fallback, const char *const *choices)
{
    if (!sonde_bind_given(args, i)) return fallback;
    const char *word = sonde_bind_arg_string(args, i);
    for (int j = 0; choices[j] != NULL; j++) {
        if (strcmp(choices[j], word) == 0) return j;
    }
    push_list(args->L, choices);
    sonde_bind_arg_fail(args, i, "expected one of %s; got '%s'", lua_tostring(args->L, -1), word);
}

sonde_dtype sonde_bind_opt_dtype(const sonde_bind_args *args, int i, sonde_dtype fallback)
{
    static const char *const names[] = {"float32", "float64", "int64", NULL}; /* in the order of sonde_dtype */
    return (sonde_dtype)sonde_bind_opt_choice(args, i, (int)fallback, names);
}

sonde_tensor *sonde_bind_arg_tensor(const sonde_bind_args *args, int i)
{
    sonde_tensor *t = sonde_bind_test_tensor(args->L, args->base + i);
    if (t == NULL) sonde_bind_arg_type_error(args, i, "Tensor");
    return t;
}

sonde_tensor *sonde_bind_opt_tensor(const sonde_bind_args *args, int i)
{
    return sonde_bind_given(args, i) ? sonde_bind_arg_tensor(args, i) : NULL;
}

sonde_module *sonde_bind_arg_module(const sonde_bind_args *args, int i)
{
    sonde_module *m = sonde_bind_test(args->L, args->base + i, &sonde_bind_kind_module);
    if (m == NULL) sonde_bind_arg_type_error(args, i, "Module");
    return m;
}

sonde_module *sonde_bind_opt_module(const sonde_bind_args *args, int i)
{
    return sonde_bind_given(args, i) ? sonde_bind_arg_module(args, i) : NULL;
}

sonde_stream *sonde_bind_opt_stream(const sonde_bind_args *args, int i, sonde_stream *fallback)
{
    if (!sonde_bind_given(args, i)) return fallback;
    sonde_stream *stream = sonde_bind_test(args->L, args->base + i, &sonde_bind_kind_stream);
    if (stream == NULL) sonde_bind_arg_type_error(args, i, "Generator");
    return stream;
}

void sonde_bind_arg_function(const sonde_bind_args *args, int i)
{
    int index = args->base + i;
    if (lua_isfunction(args->L, index)) return;
    if (luaL_getmetafield(args->L, index, "__call") == LUA_TNIL) sonde_bind_arg_type_error(args, i, "function");
    lua_pop(args->L, 1);
}

/* 1-based with negatives to 0-based. A tensor without axes has, for this, one. */
static int to_axis(const sonde_bind_args *args, int i, int64_t axis, int ndim)
{
    int64_t axes = ndim > 0 ? ndim : 1;
    if (axis == 0) sonde_bind_arg_fail(args, i, "there is no axis 0: axes count from 1, and -1 is the last");
    if (axis > axes || axis < -axes) {
        sonde_bind_arg_fail(args, i, "axis %lld of a tensor with %d ax%s", (long long)axis, ndim,
                            ndim == 1 ? "is" : "es");
    }
    return (int)(axis > 0 ? axis - 1 : axis + axes);
}

int sonde_bind_arg_axis(const sonde_bind_args *args, int i, int ndim)
{
    return to_axis(args, i, sonde_bind_arg_integer(args, i, INT64_MIN, INT64_MAX), ndim);
}

int sonde_bind_opt_axis(const sonde_bind_args *args, int i, int ndim, int fallback)
{
    return sonde_bind_given(args, i) ? sonde_bind_arg_axis(args, i, ndim) : fallback;
}

int sonde_bind_opt_axes(const sonde_bind_args *args, int i, int ndim, int *axes)
{
    if (!sonde_bind_given(args, i)) return 0;
    int64_t given[SONDE_MAX_DIMS];
    int n = sonde_bind_arg_integers(args, i, given, SONDE_MAX_DIMS, INT64_MIN);
    for (int j = 0; j < n; j++) {
        axes[j] = to_axis(args, i, given[j], ndim);
        for (int k = 0; k < j; k++) {
            if (axes[k] == axes[j]) sonde_bind_arg_fail(args, i, "axis %lld named twice", (long long)given[j]);
        }
    }
    return n;
}

int sonde_bind_arg_integers(const sonde_bind_args *args, int i, int64_t *out, int room, int64_t least)
{
    if (lua_type(args->L, args->base + i) == LUA_TTABLE) {
        return read_list(args, i, args->base + i, out, room, least);
    }
    if (lua_type(args->L, args->base + i) != LUA_TNUMBER)
        sonde_bind_arg_type_error(args, i, "integer or list of integers");
    out[0] = sonde_bind_arg_integer(args, i, least, INT64_MAX);
    return 1;
}

sonde_tensor **sonde_bind_arg_tensors(const sonde_bind_args *args, int i, int *n)
{
    lua_State *L = args->L;
    int index = args->base + i;
    sonde_tensor *single = sonde_bind_test_tensor(L, index);
    if (single == NULL && lua_type(L, index) != LUA_TTABLE)
        sonde_bind_arg_type_error(args, i, "Tensor or list of Tensors");
    lua_Integer length = single != NULL ? 1 : (lua_Integer)lua_rawlen(L, index);
    if (length > 1 << 24) sonde_bind_arg_fail(args, i, "a list of %lld tensors", (long long)length);
    sonde_tensor **out = sonde_bind_scratch(L, (size_t)length * sizeof *out);
    *n = (int)length;
    if (single != NULL) {
        out[0] = single;
        return out;
    }
    for (int j = 0; j < *n; j++) {
        lua_rawgeti(L, index, j + 1);
        out[j] = sonde_bind_test_tensor(L, -1);
        if (out[j] == NULL) {
            sonde_bind_arg_fail(args, i, "expected a list of Tensors, got %s at [%d]", sonde_bind_type_name(L, -1),
                                j + 1);
        }
        lua_pop(L, 1);
    }
    return out;
}
