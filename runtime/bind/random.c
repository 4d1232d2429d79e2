/* Random streams: generators for Lua, and which of them sonde.rand and new modules draw from. */
#include "bind/bind.h"

static const char user_key = 0, nn_key = 0; /* registry: the generator and the source in use */

/* Where new modules draw from. Unregisters itself when it dies. */
static void release_source(void *object)
{
    if (sonde_nn_random_current() == object) sonde_nn_random_use(NULL);
    sonde_free(object);
}

static const sonde_bind_kind kind_source = {.name = "ModuleRandom", .release = release_source};

void sonde_bind_push_stream(lua_State *L, const sonde_stream *stream)
{
    void **out = sonde_bind_new(L, &sonde_bind_kind_stream);
    *out = sonde_alloc(sizeof *stream);
    if (*out == NULL) sonde_bind_check(L, SONDE_ENOMEM);
    *(sonde_stream *)*out = *stream;
}

sonde_stream *sonde_bind_user_stream(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &user_key) == LUA_TNIL) sonde_bind_raise(L, "there is no generator yet");
    sonde_stream *stream = sonde_bind_check_stream(L, -1); /* the registry keeps it */
    lua_pop(L, 1);
    return stream;
}

/* ---- generators ---------------------------------------------------------------------------------------- */

/* uniform(low = 0, high = 1): a number of [low, high) */
static int l_generator_uniform(lua_State *L)
{
    sonde_stream *stream = sonde_bind_check_stream(L, 1);
    double low = luaL_optnumber(L, 2, 0.0), high = luaL_optnumber(L, 3, 1.0);
    lua_pushnumber(L, low + (high - low) * sonde_stream_uniform(stream));
    return 1;
}

/* normal(mean = 0, std = 1) */
static int l_generator_normal(lua_State *L)
{
    sonde_stream *stream = sonde_bind_check_stream(L, 1);
    double mean = luaL_optnumber(L, 2, 0.0), std = luaL_optnumber(L, 3, 1.0), value;
    sonde_stream_fill_normal(stream, SONDE_FLOAT64, &value, 1, mean, std);
    lua_pushnumber(L, value);
    return 1;
}

/* integer(low, high): both ends in it */
static int l_generator_integer(lua_State *L)
{
    sonde_stream *stream = sonde_bind_check_stream(L, 1);
    lua_Integer low = luaL_checkinteger(L, 2), high = luaL_checkinteger(L, 3);
    if (low > high) sonde_bind_raise(L, "integer: there is none from %lld to %lld", (long long)low, (long long)high);
    lua_pushinteger(L, sonde_stream_integer(stream, low, high));
    return 1;
}

/* permutation(n): an int64 tensor of 1..n in random order */
static int l_generator_permutation(lua_State *L)
{
    sonde_stream *stream = sonde_bind_check_stream(L, 1);
    int64_t n = luaL_checkinteger(L, 2);
    if (n < 0) sonde_bind_raise(L, "permutation: expected at least 0 elements, got %lld", (long long)n);
    sonde_tensor **out = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_tensor_new(out, SONDE_INT64, 1, &n));
    sonde_stream_permutation(stream, sonde_tensor_data(*out), (size_t)n, 1);
    return sonde_bind_done(L);
}

/* derive(name, number = 0): another stream; this one does not advance */
static int l_generator_derive(lua_State *L)
{
    const sonde_stream *stream = sonde_bind_check_stream(L, 1);
    sonde_stream derived;
    sonde_stream_derive(&derived, stream, luaL_checkstring(L, 2), (uint64_t)luaL_optinteger(L, 3, 0));
    sonde_bind_push_stream(L, &derived);
    return 1;
}

/* seed(n, name = "user"): starts again */
static int l_generator_seed(lua_State *L)
{
    sonde_stream *stream = sonde_bind_check_stream(L, 1);
    sonde_stream_init(stream, (uint64_t)luaL_checkinteger(L, 2), luaL_optstring(L, 3, "user"));
    lua_settop(L, 1);
    return 1;
}

static void push_stream_state(lua_State *L, const sonde_stream *stream)
{
    const lua_Integer values[] = {stream->key[0], stream->key[1], (lua_Integer)stream->position,
                                  (lua_Integer)stream->stream};
    lua_createtable(L, 4, 0);
    for (int i = 0; i < 4; i++) {
        lua_pushinteger(L, values[i]);
        lua_rawseti(L, -2, i + 1);
    }
}

static void read_integers(lua_State *L, int index, int n, int64_t *out)
{
    static const char *const names[] = {"state", NULL};
    sonde_bind_args args = {L, "set_state", names, index, 1};
    if (sonde_bind_arg_integers(&args, 0, out, n, INT64_MIN) != n)
        sonde_bind_arg_fail(&args, 0, "expected %d integers", n);
}

static void read_stream_state(const int64_t values[static 4], sonde_stream *stream)
{
    *stream = (sonde_stream){{(uint32_t)values[0], (uint32_t)values[1]}, (uint64_t)values[2], (uint64_t)values[3]};
}

/* state(): four integers, for checkpoints; set_state(list) */
static int l_generator_state(lua_State *L)
{
    push_stream_state(L, sonde_bind_check_stream(L, 1));
    return 1;
}

static int l_generator_set_state(lua_State *L)
{
    int64_t values[4];
    sonde_stream *stream = sonde_bind_check_stream(L, 1);
    read_integers(L, 2, 4, values);
    read_stream_state(values, stream);
    lua_settop(L, 1);
    return 1;
}

static const luaL_Reg generator_methods[] = {
    {"uniform", l_generator_uniform},
    {"normal", l_generator_normal},
    {"integer", l_generator_integer},
    {"permutation", l_generator_permutation},
    {"derive", l_generator_derive},
    {"seed", l_generator_seed},
    {"state", l_generator_state},
    {"set_state", l_generator_set_state},
    {NULL, NULL},
};

/* ---- where modules draw from --------------------------------------------------------------------------- */

/* The stream's four integers, then how many parameters and stochastic modules were made. */
static int l_source_state(lua_State *L)
{
    const sonde_nn_random *source = sonde_bind_check_object(L, 1, &kind_source);
    push_stream_state(L, &source->root);
    lua_pushinteger(L, (lua_Integer)source->n_parameters);
    lua_rawseti(L, -2, 5);
    lua_pushinteger(L, (lua_Integer)source->n_stochastic);
    lua_rawseti(L, -2, 6);
    return 1;
}

static int l_source_set_state(lua_State *L)
{
    int64_t values[6];
    sonde_nn_random *source = sonde_bind_check_object(L, 1, &kind_source);
    read_integers(L, 2, 6, values);
    read_stream_state(values, &source->root);
    source->n_parameters = (uint64_t)values[4];
    source->n_stochastic = (uint64_t)values[5];
    lua_settop(L, 1);
    return 1;
}

static const luaL_Reg source_methods[] = {{"state", l_source_state}, {"set_state", l_source_set_state}, {NULL, NULL}};

/* ---- functions ----------------------------------------------------------------------------------------- */

/* stream(seed, name): the generator of one purpose. */
static int f_stream(lua_State *L)
{
    sonde_stream stream;
    sonde_stream_init(&stream, (uint64_t)luaL_checkinteger(L, 1), luaL_checkstring(L, 2));
    sonde_bind_push_stream(L, &stream);
    return 1;
}

/* Makes the generator at index -2 and the source on top those in use; pops both. */
static void install(lua_State *L)
{
    sonde_nn_random_use(((sonde_bind_box *)lua_touserdata(L, -1))->object);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &nn_key);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &user_key);
}

static int restore(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, lua_upvalueindex(2));
    install(L);
    return 0;
}

static void use_seed(lua_State *L, uint64_t seed)
{
    sonde_stream user;
    sonde_stream_init(&user, seed, "user");
    sonde_bind_push_stream(L, &user);
    void **out = sonde_bind_new(L, &kind_source);
    sonde_nn_random *source = *out = sonde_alloc_zeroed(sizeof *source);
    if (source == NULL) sonde_bind_check(L, SONDE_ENOMEM);
    install(L);
    sonde_nn_random_seed(seed);
}

/* use(seed): from now on sonde.rand and new modules draw from streams of this seed. Returns the function that puts
 * back what was. */
static int f_use(lua_State *L)
{
    uint64_t seed = (uint64_t)luaL_checkinteger(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &user_key);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &nn_key);
    lua_pushcclosure(L, restore, 2);
    use_seed(L, seed);
    return 1;
}

/* manual_seed(n): the streams in use start again from this seed. */
static int f_manual_seed(lua_State *L)
{
    static const char *const names[] = {"seed", NULL};
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "sonde.manual_seed", names);
    uint64_t seed = (uint64_t)sonde_bind_arg_integer(&args, 0, INT64_MIN, INT64_MAX);
    sonde_stream_init(sonde_bind_user_stream(L), seed, "user");
    sonde_nn_random_seed(seed);
    return 0;
}

/* The generator that sonde.rand draws from, and where modules draw from: for checkpoints. */
static int f_current(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &user_key);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &nn_key);
    return 2;
}

int sonde_bind_random(lua_State *L)
{
    sonde_bind_kind_open(L, &sonde_bind_kind_stream, generator_methods, NULL);
    sonde_bind_kind_open(L, &kind_source, source_methods, NULL);
    lua_pop(L, 2);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &user_key) == LUA_TNIL) use_seed(L, 0);
    lua_pop(L, 1);
    luaL_newlib(L, ((luaL_Reg[]){{"stream", f_stream},
                                 {"use", f_use},
                                 {"manual_seed", f_manual_seed},
                                 {"current", f_current},
                                 {NULL, NULL}}));
    return 1;
}
