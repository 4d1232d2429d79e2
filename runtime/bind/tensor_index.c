/* t[i] and t[{ {}, {2, -1}, 3 }]: Torch7's ranges, 1-based, both ends in. */
#include "bind/tensor.h"

/* One axis of the tensor that is indexed; the view made of it so far may have fewer. */
typedef struct axis_of {
    const sonde_tensor *tensor;
    int axis;
} axis_of;

/* The 0-based position of the 1-based index at `index` of the stack; raises outside the axis. */
static int64_t position(lua_State *L, int index, axis_of where)
{
    int whole = 0;
    int64_t at = lua_tointegerx(L, index, &whole);
    if (lua_type(L, index) != LUA_TNUMBER || !whole) {
        const char *got = lua_type(L, index) == LUA_TNUMBER ? lua_tostring(L, index) : sonde_bind_type_name(L, index);
        sonde_bind_raise(L, "an index is an integer, got %s", got);
    }
    const sonde_tensor *x = where.tensor;
    int64_t size = x->shape[where.axis];
    if (at == 0) sonde_bind_raise(L, "there is no index 0: indices count from 1, and -1 is the last");
    if (at > size || at < -size) {
        char text[SONDE_SHAPE_TEXT];
        sonde_bind_raise(L, "index %lld is outside 1..%lld of axis %d (shape %s)", (long long)at, (long long)size,
                         where.axis + 1, sonde_shape_text(text, x->ndim, x->shape));
    }
    return at > 0 ? at - 1 : at + size;
}

/* Narrows `axis` of the view x by the range on top: {} all, {i}, {i, j}, {i, j, step}. NULL: nothing to do. */
static sonde_tensor *apply_range(lua_State *L, sonde_tensor *x, int axis, axis_of where)
{
    int range = lua_gettop(L);
    int64_t n = (int64_t)lua_rawlen(L, range);
    if (n == 0) return NULL;
    if (n > 3)
        sonde_bind_raise(L, "a range is {}, {i}, {first, last} or {first, last, step}, got %lld values", (long long)n);
    lua_rawgeti(L, range, 1);
    lua_rawgeti(L, range, n > 1 ? 2 : 1);
    int64_t first = position(L, range + 1, where), last = position(L, range + 2, where), step = 1;
    if (n == 3) {
        int whole = 0;
        lua_rawgeti(L, range, 3);
        step = lua_tointegerx(L, -1, &whole);
        if (!whole || step < 1)
            sonde_bind_raise(L, "the step of a range is an integer from 1, got %s", luaL_tolstring(L, -1, NULL));
    }
    if (last < first) {
        sonde_bind_raise(L, "the range {%lld, %lld} of axis %d is empty", (long long)first + 1, (long long)last + 1,
                         where.axis + 1);
    }
    sonde_tensor **out = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_narrow(out, x, axis, first, (last - first) / step + 1, step));
    return *out;
}

static sonde_tensor *apply_integer(lua_State *L, int index, sonde_tensor *x, int axis, axis_of where)
{
    int64_t at = position(L, index, where);
    sonde_tensor **out = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_select(out, x, axis, at));
    return *out;
}

/* The view that the key at index 2 names; its unfinished box (or x's own) is left on top. */
static sonde_tensor *view_of_key(lua_State *L, sonde_tensor *x)
{
    if (lua_type(L, 2) == LUA_TNUMBER) {
        if (x->ndim == 0) sonde_bind_raise(L, "a tensor without axes cannot be indexed");
        return apply_integer(L, 2, x, 0, (axis_of){x, 0});
    }
    if (lua_type(L, 2) != LUA_TTABLE) {
        sonde_bind_raise(L, "a Tensor is indexed by an integer or by ranges as in t[{ {}, {2, -1} }], got %s",
                         sonde_bind_type_name(L, 2));
    }
    int64_t n = (int64_t)lua_rawlen(L, 2);
    if (n > x->ndim) sonde_bind_raise(L, "%lld indices for a tensor with %d axes", (long long)n, x->ndim);
    sonde_tensor *view = x;
    lua_pushvalue(L, 1);
    int box = lua_gettop(L);
    for (int i = 0, axis = 0; i < (int)n; i++) {
        axis_of where = {x, i};
        bool is_range = lua_rawgeti(L, 2, i + 1) == LUA_TTABLE;
        sonde_tensor *next = is_range ? apply_range(L, view, axis, where) : apply_integer(L, -1, view, axis, where);
        if (next != NULL) {
            view = next;
            lua_replace(L, box); /* the view before is the collector's now */
        }
        lua_settop(L, box);
        axis += is_range;
    }
    return view;
}

int sonde_bind_tensor_index(lua_State *L)
{
    view_of_key(L, sonde_bind_check_tensor(L, 1));
    return sonde_bind_done(L);
}

int sonde_bind_tensor_assign(lua_State *L)
{
    sonde_tensor *x = sonde_bind_check_tensor(L, 1);
    sonde_tensor *value = sonde_bind_test_tensor(L, 3);
    int type = lua_type(L, 3);
    if (value == NULL && type != LUA_TNUMBER && type != LUA_TTABLE) {
        sonde_bind_raise(L, "expected Tensor, number or table to assign, got %s", sonde_bind_type_name(L, 3));
    }
    sonde_tensor *view = view_of_key(L, x);
    if (value == NULL) value = sonde_bind_tensor_from_table(L, 3, x->dtype, "assignment");
    sonde_bind_check(L, sonde_assign_(view, value));
    return 0;
}
