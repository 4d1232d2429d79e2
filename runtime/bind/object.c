/* Boxes: userdata that hold core objects, one per object while it lives, and the collector's share of their memory. */
#include "bind/state.h"

/* The registry has a kind's metatable under the kind's address. In its array part: */
enum { METHODS = 1, BOXES /* of a shared kind: object -> its box, weak in the boxes */ };

static int tostring(lua_State *L)
{
    const sonde_bind_box *box = lua_touserdata(L, 1);
    const char *name = sonde_bind_type_name(L, 1);
    if (box->object == NULL)
        lua_pushfstring(L, "%s (closed)", name);
    else
        lua_pushfstring(L, "%s: %p", name, box->object);
    return 1;
}

/* The kind lies in an upvalue, so that a foreign userdata handed to close() is told apart. */
int sonde_bind_release(lua_State *L)
{
    const sonde_bind_kind *kind = lua_touserdata(L, lua_upvalueindex(1));
    sonde_bind_box *box = sonde_bind_box_at(L, 1, kind);
    if (box == NULL) sonde_bind_type_error(L, 1, kind->name);
    void *object = box->object;
    box->object = NULL;
    if (object != NULL) kind->release(object);
    return 0;
}

/* Adds the table of boxes to the metatable on top. */
static void open_boxes(lua_State *L)
{
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_rawseti(L, -2, BOXES);
}

void sonde_bind_kind_open(lua_State *L, const sonde_bind_kind *kind, const luaL_Reg *methods,
                          const luaL_Reg *metamethods)
{
    luaL_checkstack(L, 8, NULL);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, kind) == LUA_TTABLE) {
        lua_rawgeti(L, -1, METHODS);
        lua_remove(L, -2);
        return;
    }
    lua_pop(L, 1);
    lua_createtable(L, 2, 8); /* the metatable */
    lua_pushstring(L, kind->name);
    lua_setfield(L, -2, "__name");
    lua_pushcfunction(L, tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushlightuserdata(L, (void *)kind);
    lua_pushcclosure(L, sonde_bind_release, 1);
    if (kind->retain == NULL) { /* a shared object may be at work in the core: only the collector lets go of it */
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, "__close");
    }
    lua_setfield(L, -2, "__gc");
    if (kind->retain != NULL) open_boxes(L);
    lua_pushstring(L, kind->name); /* what getmetatable answers: nobody calls __gc by hand */
    lua_setfield(L, -2, "__metatable");
    lua_newtable(L);
    if (methods != NULL) luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, METHODS);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "__index");
    lua_insert(L, -2);         /* methods, metatable */
    if (metamethods != NULL) { /* each knows the methods as its first upvalue */
        lua_pushvalue(L, -2);
        luaL_setfuncs(L, metamethods, 1);
    }
    lua_rawsetp(L, LUA_REGISTRYINDEX, kind);
}

void sonde_bind_add_rows(lua_State *L, const char *prefix, lua_CFunction function, const sonde_bind_row *rows)
{
    for (; rows->name != NULL; rows++) {
        lua_pushinteger(L, rows->value);
        lua_pushfstring(L, "%s%s", prefix, rows->name);
        lua_pushcclosure(L, function, 2);
        lua_setfield(L, -2, rows->name);
    }
}

void **sonde_bind_new(lua_State *L, const sonde_bind_kind *kind)
{
    luaL_checkstack(L, 8, NULL);
    sonde_bind_box *box = lua_newuserdatauv(L, sizeof *box, kind->n_values);
    *box = (sonde_bind_box){.kind = kind};
    lua_rawgetp(L, LUA_REGISTRYINDEX, kind);
    lua_setmetatable(L, -2);
    return &box->object;
}

bool sonde_bind_find(lua_State *L, const sonde_bind_kind *kind, const void *object)
{
    luaL_checkstack(L, 4, NULL);
    lua_rawgetp(L, LUA_REGISTRYINDEX, kind);
    lua_rawgeti(L, -1, BOXES);
    if (lua_rawgetp(L, -1, object) == LUA_TUSERDATA) {
        const sonde_bind_box *box = lua_touserdata(L, -1);
        if (box->object == object) { /* else: the state is closing, and the box has let go already */
            lua_replace(L, -3);
            lua_pop(L, 1);
            return true;
        }
    }
    lua_pop(L, 3);
    return false;
}

/* Boxes have a finalizer: dead ones count as living in the cycle that finds them. At Lua's pause of 200 % the heap then
 * feeds on itself until it no longer fits the cache, which triples the price of a small tensor. So where tensors are
 * small the pause is shorter, but for a heap that is large by itself; one that a script has set stays. */
static void set_pause(lua_State *L, bool small)
{
    enum { LUAS = 200, SHORT = 132, LARGE = 64 << 10 /* KB */ };
    int before = lua_gc(L, LUA_GCSETPAUSE, small && lua_gc(L, LUA_GCCOUNT) < LARGE ? SHORT : LUAS);
    if (before != LUAS && before != SHORT) lua_gc(L, LUA_GCSETPAUSE, before);
}

/* Tells the collector about the core's bytes. Looks at live memory only once enough was pushed since, and collects
 * once live memory has grown by half, at least by 32 MB, over what survived the last time. */
static void account(lua_State *L, const sonde_tensor *t)
{
    enum { LOOK = 2 << 20, OVERHEAD = 1024, SMALL = 1024 };
    static _Thread_local size_t debt, made;
    const size_t slack = (size_t)32 << 20;
    debt += t->storage->bytes + OVERHEAD;
    made++;
    if (debt < LOOK) return;
    set_pause(L, debt / made < SMALL + OVERHEAD);
    debt = made = 0;
    sonde_bind_state *state = sonde_bind_state_of(L);
    if (sonde_memory().live_bytes < state->limit || !lua_gc(L, LUA_GCISRUNNING)) return;
    lua_gc(L, LUA_GCCOLLECT);
    size_t live = sonde_memory().live_bytes;
    state->limit = live + (live / 2 > slack ? live / 2 : slack);
}

/* An object that only this box holds cannot have another one. */
static bool is_new(const sonde_bind_box *box)
{
    return box->kind == &sonde_bind_kind_tensor && ((const sonde_tensor *)box->object)->refs == 1;
}

int sonde_bind_done(lua_State *L)
{
    sonde_bind_box *box = lua_touserdata(L, -1);
    const sonde_bind_kind *kind = box->kind;
    if (kind->retain == NULL) return 1;
    if (!is_new(box) && sonde_bind_find(L, kind, box->object)) {
        kind->release(box->object);
        box->object = NULL;
        lua_remove(L, -2);
        return 1;
    }
    lua_getmetatable(L, -1);
    lua_rawgeti(L, -1, BOXES);
    lua_pushvalue(L, -3);
    lua_rawsetp(L, -2, box->object);
    lua_pop(L, 2);
    if (kind == &sonde_bind_kind_tensor) account(L, box->object);
    sonde_bind_follow_interrupt(L);
    return 1;
}

void sonde_bind_push(lua_State *L, const sonde_bind_kind *kind, void *object)
{
    if (object == NULL) {
        luaL_checkstack(L, 1, NULL);
        lua_pushnil(L);
    } else if (!sonde_bind_find(L, kind, object)) {
        void **out = sonde_bind_new(L, kind);
        *out = kind->retain(object);
        sonde_bind_done(L);
    }
}

sonde_bind_box *sonde_bind_box_at(lua_State *L, int index, const sonde_bind_kind *kind)
{
    sonde_bind_box *box = lua_touserdata(L, index);
    if (box == NULL || lua_rawlen(L, index) < sizeof *box) return NULL; /* light or foreign: rawlen says */
    return box->kind == kind ? box : NULL;                              /* the address of a kind is its tag */
}

void *sonde_bind_test(lua_State *L, int index, const sonde_bind_kind *kind)
{
    const sonde_bind_box *box = sonde_bind_box_at(L, index, kind);
    return box == NULL ? NULL : box->object;
}

void *sonde_bind_check_object(lua_State *L, int index, const sonde_bind_kind *kind)
{
    const sonde_bind_box *box = sonde_bind_box_at(L, index, kind);
    if (box == NULL) sonde_bind_type_error(L, index, kind->name);
    if (box->object == NULL) sonde_bind_raise(L, "attempt to use a closed %s", kind->name);
    return box->object;
}

void *sonde_bind_scratch(lua_State *L, size_t bytes)
{
    luaL_checkstack(L, 1, NULL);
    return lua_newuserdatauv(L, bytes > 0 ? bytes : 1, 0);
}

static const sonde_bind_kind kind_text = {.name = "Text", .release = sonde_free};

char **sonde_bind_new_text(lua_State *L)
{
    sonde_bind_kind_open(L, &kind_text, NULL, NULL);
    lua_pop(L, 1);
    return (char **)sonde_bind_new(L, &kind_text);
}

int sonde_bind_text_done(lua_State *L)
{
    sonde_bind_box *box = lua_touserdata(L, -1);
    lua_pushstring(L, box->object);
    sonde_free(box->object);
    box->object = NULL;
    lua_remove(L, -2);
    return 1;
}

static void release_tensor(void *object)
{
    sonde_tensor_release(object);
}
static void *retain_tensor(void *object)
{
    return sonde_tensor_retain(object);
}
static void release_module(void *object)
{
    sonde_module_release(object);
}
static void *retain_module(void *object)
{
    return sonde_module_retain(object);
}
static void release_optimizer(void *object)
{
    sonde_optimizer_release(object);
}
static void *retain_optimizer(void *object)
{
    return sonde_optimizer_retain(object);
}
static void release_handle(void *object)
{
    sonde_handle_release(object);
}

const sonde_bind_kind sonde_bind_kind_tensor = {"Tensor", release_tensor, retain_tensor, 0};
/* A module's user values: its own fields and its children's boxes, its class in Lua, its hooks. */
const sonde_bind_kind sonde_bind_kind_module = {"Module", release_module, retain_module, 3};
/* An optimiser's: its step hooks. */
const sonde_bind_kind sonde_bind_kind_optimizer = {"Optimizer", release_optimizer, retain_optimizer, 1};
const sonde_bind_kind sonde_bind_kind_stream = {"Generator", sonde_free, NULL, 0};
const sonde_bind_kind sonde_bind_kind_handle = {"Handle", release_handle, NULL, 0};
