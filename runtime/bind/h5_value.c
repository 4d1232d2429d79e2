/* Lua values ↔ what a dataset or an attribute holds. */
#include "bind/h5.h"

#include <string.h>

static void release_value(void *object)
{
    sonde_h5_value_free(object);
    sonde_free(object);
}

static const sonde_bind_kind kind_value = {.name = "H5Value", .release = release_value};

/* The text at `index`, which stays where it is. HDF5 ends texts with a NUL: raises for one that holds any. */
static const char *check_text(lua_State *L, int index, const char *what)
{
    size_t length;
    const char *text = lua_tolstring(L, index, &length);
    if (strlen(text) != length) sonde_bind_raise(L, "%s: the text holds a NUL, which HDF5 ends texts with", what);
    return text;
}

/* Lists: texts become TEXT, integers I64, other numbers F64. Plain ones, which keep their texts: what a metamethod hands
 * out, nobody keeps. */
static sonde_h5_value check_list(lua_State *L, int index, const char *what)
{
    if (lua_getmetatable(L, index)) sonde_bind_raise(L, "%s: expected a plain list, got an object", what);
    int64_t n = (int64_t)lua_rawlen(L, index);
    if (n == 0) {
        lua_pushnil(L);
        if (lua_next(L, index)) sonde_bind_raise(L, "%s: expected a plain list, got a table with names", what);
    }
    bool texts = n > 0, integers = true;
    for (int64_t i = 1; i <= n; i++) {
        int type = lua_rawgeti(L, index, i);
        if (type != LUA_TSTRING && type != LUA_TNUMBER) {
            sonde_bind_raise(L, "%s: a list holds texts or numbers, got %s at [%lld]", what,
                             sonde_bind_type_name(L, -1), (long long)i);
        }
        if (i > 1 && texts != (type == LUA_TSTRING)) sonde_bind_raise(L, "%s: texts and numbers in one list", what);
        texts = type == LUA_TSTRING;
        integers = integers && lua_isinteger(L, -1);
        lua_pop(L, 1);
    }
    sonde_h5_type type = texts ? SONDE_H5_TEXT : integers ? SONDE_H5_I64 : SONDE_H5_F64;
    sonde_h5_value value = {.type = type, .ndim = 1, .shape = {n}};
    value.data = sonde_bind_scratch(L, (size_t)n * 8);
    for (int64_t i = 0; i < n; i++) {
        lua_rawgeti(L, index, i + 1);
        if (texts) ((const char **)value.data)[i] = check_text(L, -1, what); /* the list keeps the text */
        else if (integers) ((int64_t *)value.data)[i] = lua_tointeger(L, -1);
        else ((double *)value.data)[i] = lua_tonumber(L, -1);
        lua_pop(L, 1);
    }
    return value;
}

sonde_h5_value sonde_bind_check_h5_value(lua_State *L, int index, const char *what)
{
    index = lua_absindex(L, index);
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    sonde_tensor *t = sonde_bind_test_tensor(L, index);
    if (t != NULL) {
        sonde_tensor **contiguous = sonde_bind_new_tensor(L);
        sonde_bind_check(L, sonde_tensor_contiguous(contiguous, t));
        t = *contiguous;
        sonde_bind_done(L);
        return sonde_h5_tensor_of(t->dtype, t->ndim, t->shape, sonde_tensor_data(t));
    }
    switch (lua_type(L, index)) {
    case LUA_TTABLE: return check_list(L, index, what);
    case LUA_TSTRING: {
        const char **text = sonde_bind_scratch(L, sizeof *text);
        *text = check_text(L, index, what);
        return sonde_h5_text(text);
    }
    case LUA_TNUMBER:
        if (lua_isinteger(L, index)) {
            int64_t *number = sonde_bind_scratch(L, sizeof *number);
            *number = lua_tointeger(L, index);
            return sonde_h5_integer(number);
        } else {
            double *number = sonde_bind_scratch(L, sizeof *number);
            *number = lua_tonumber(L, index);
            return sonde_h5_number(number);
        }
    default:
        sonde_bind_raise(L, "%s: expected a text, a number, a tensor or a list, got %s", what,
                         sonde_bind_type_name(L, index));
    }
}

const char *const *sonde_bind_check_axes(lua_State *L, int index, int n)
{
    if (lua_isnoneornil(L, index)) return NULL;
    luaL_checktype(L, index, LUA_TTABLE);
    if (lua_rawlen(L, index) != (size_t)n) {
        sonde_bind_raise(L, "%d axes need as many names, got %llu", n, (unsigned long long)lua_rawlen(L, index));
    }
    const char **names = sonde_bind_scratch(L, (size_t)n * sizeof *names);
    for (int d = 0; d < n; d++) {
        if (lua_rawgeti(L, index, d + 1) != LUA_TSTRING) sonde_bind_raise(L, "the name of an axis must be a text");
        names[d] = lua_tostring(L, -1); /* the list keeps it */
        lua_pop(L, 1);
    }
    return names;
}

sonde_h5_value *sonde_bind_new_h5_value(lua_State *L)
{
    sonde_bind_kind_open(L, &kind_value, NULL, NULL);
    lua_pop(L, 1);
    void **out = sonde_bind_new(L, &kind_value);
    *out = sonde_alloc_zeroed(sizeof(sonde_h5_value));
    if (*out == NULL) sonde_bind_check(L, SONDE_ENOMEM);
    return *out;
}

/* Texts [shape[axis], …] as nested lists; *next is the first text of this part. */
static void push_texts(lua_State *L, const sonde_h5_value *value, int axis, char *const **next)
{
    if (axis == value->ndim) {
        lua_pushstring(L, *(*next)++);
        return;
    }
    luaL_checkstack(L, 4, NULL);
    lua_newtable(L);
    for (int64_t i = 0; i < value->shape[axis]; i++) {
        push_texts(L, value, axis + 1, next);
        lua_rawseti(L, -2, i + 1);
    }
}

int sonde_bind_h5_value_done(lua_State *L)
{
    const sonde_h5_value *value = ((sonde_bind_box *)lua_touserdata(L, -1))->object;
    if (value->type == SONDE_H5_TEXT) {
        char *const *next = value->data;
        push_texts(L, value, 0, &next);
    } else if (value->ndim == 0) {
        if (value->type == SONDE_H5_I64) lua_pushinteger(L, *(const int64_t *)value->data);
        else if (value->type == SONDE_H5_F32) sonde_bind_push_number(L, (double)*(const float *)value->data);
        else sonde_bind_push_number(L, *(const double *)value->data);
    } else {
        static const sonde_dtype dtypes[] = {
            [SONDE_H5_F32] = SONDE_FLOAT32, [SONDE_H5_F64] = SONDE_FLOAT64, [SONDE_H5_I64] = SONDE_INT64};
        sonde_dtype dtype = dtypes[value->type];
        sonde_bind_check(L, sonde_tensor_from(sonde_bind_new_tensor(L), dtype, value->ndim, value->shape, value->data));
        sonde_bind_done(L);
    }
    sonde_bind_box *box = lua_touserdata(L, -2); /* give it back now: it may be large */
    release_value(box->object);
    box->object = NULL;
    lua_remove(L, -2);
    return 1;
}
