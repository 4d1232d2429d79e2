/* New tensors: from tables, filled, counted, random. */
#include "bind/tensor.h"

#include <math.h>

/* ---- from nested tables -------------------------------------------------------------------------------- */

typedef struct nest {
    lua_State *L;
    const char *callee;
    sonde_dtype dtype;
    int ndim;
    int64_t shape[SONDE_MAX_DIMS];
    int64_t path[SONDE_MAX_DIMS]; /* where we are, 1-based */
    char *next;                   /* where the next element goes */
} nest;

/* Raises "sonde.tensor: [2][1] is a string, expected a number". */
static _Noreturn void misfit(const nest *n, int depth, const char *got, const char *expected)
{
    lua_State *L = n->L;
    lua_pushstring(L, depth == 0 ? "the argument" : "");
    for (int d = 0; d < depth; d++) {
        lua_pushfstring(L, "[%I]", (LUAI_UACINT)n->path[d]);
        lua_concat(L, 2);
    }
    sonde_bind_raise(L, "%s: %s is a %s, expected %s", n->callee, lua_tostring(L, -1), got, expected);
}

/* The shape, told by the first element of every level. The table is on top and stays there. */
static void read_shape(nest *n, int index)
{
    lua_State *L = n->L;
    lua_pushvalue(L, index);
    while (lua_type(L, -1) == LUA_TTABLE) {
        if (n->ndim == SONDE_MAX_DIMS)
            sonde_bind_raise(L, "%s: more than %d levels of tables", n->callee, SONDE_MAX_DIMS);
        int64_t length = (int64_t)lua_rawlen(L, -1);
        n->shape[n->ndim++] = length;
        if (length == 0) break;
        lua_rawgeti(L, -1, 1);
        lua_remove(L, -2);
    }
    lua_pop(L, 1);
}

static void write_element(nest *n, int depth)
{
    lua_State *L = n->L;
    if (lua_type(L, -1) != LUA_TNUMBER) misfit(n, depth, sonde_bind_type_name(L, -1), "a number");
    if (n->dtype == SONDE_INT64) {
        int whole = 0;
        *(int64_t *)n->next = lua_tointegerx(L, -1, &whole);
        double value = lua_tonumber(L, -1);
        if (!whole) misfit(n, depth, isnan(value) ? "NaN" : fabs(value) < 0x1p63 ? "fraction" : "number beyond int64",
                           "an integer (the dtype is int64)");
        n->next += sizeof(int64_t);
    } else if (n->dtype == SONDE_FLOAT64) {
        *(double *)n->next = lua_tonumber(L, -1);
        n->next += sizeof(double);
    } else {
        *(float *)n->next = (float)lua_tonumber(L, -1);
        n->next += sizeof(float);
    }
}

/* Writes the value on top, a table of `depth` indices down or a number, element by element. */
static void write_level(nest *n, int depth)
{
    lua_State *L = n->L;
    if (depth == n->ndim) {
        write_element(n, depth);
        return;
    }
    if (lua_type(L, -1) != LUA_TTABLE) misfit(n, depth, sonde_bind_type_name(L, -1), "a table, as its neighbours are");
    int64_t length = (int64_t)lua_rawlen(L, -1);
    if (length != n->shape[depth]) {
        const char *got = lua_pushfstring(L, "table of %I", (LUAI_UACINT)length);
        const char *expected = lua_pushfstring(L, "a table of %I, as its neighbours are", (LUAI_UACINT)n->shape[depth]);
        misfit(n, depth, got, expected);
    }
    luaL_checkstack(L, 4, NULL);
    for (int64_t i = 1; i <= length; i++) {
        n->path[depth] = i;
        lua_rawgeti(L, -1, i);
        write_level(n, depth + 1);
        lua_pop(L, 1);
    }
}

sonde_tensor *sonde_bind_tensor_from_table(lua_State *L, int index, sonde_dtype dtype, const char *callee)
{
    nest n = {.L = L, .callee = callee, .dtype = dtype};
    index = lua_absindex(L, index);
    read_shape(&n, index);
    sonde_tensor **out = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_tensor_new(out, dtype, n.ndim, n.shape));
    n.next = sonde_tensor_data(*out);
    lua_pushvalue(L, index);
    write_level(&n, 0);
    lua_pop(L, 1);
    return *out;
}

sonde_tensor *sonde_bind_tensor_from_number(lua_State *L, int index, sonde_dtype dtype)
{
    if (dtype == SONDE_INT64 && lua_isinteger(L, index)) return sonde_bind_tensor_from_table(L, index, dtype, "");
    index = lua_absindex(L, index);
    sonde_tensor **out = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_tensor_full(out, dtype, 0, NULL, lua_tonumber(L, index)));
    return *out;
}

/* Finishes the box on top; `requires_grad` is argument i. */
static int finish(lua_State *L, const sonde_bind_args *args, int i)
{
    bool wanted = sonde_bind_opt_boolean(args, i, false);
    const sonde_bind_box *box = lua_touserdata(L, -1);
    if (wanted) sonde_bind_check(L, sonde_requires_grad_(box->object, true));
    return sonde_bind_done(L);
}

/* sonde.tensor(data, dtype = "float32", requires_grad = false): __call, so the module is at 1 and data at 2.
 * Of a tensor: a copy without history, of its dtype. */
static int make_tensor(lua_State *L)
{
    sonde_bind_args args;
    luaL_checkany(L, 2);
    sonde_bind_args_open(&args, L, 3, "sonde.tensor", SONDE_BIND_NAMES("dtype", "requires_grad"));
    sonde_tensor *source = sonde_bind_test_tensor(L, 2);
    sonde_dtype dtype = sonde_bind_opt_dtype(&args, 0, source != NULL ? source->dtype : SONDE_FLOAT32);
    if (source != NULL) {
        sonde_tensor **out = sonde_bind_new_tensor(L);
        sonde_bind_check(L, source->dtype == dtype ? sonde_tensor_clone(out, source)
                                                   : sonde_tensor_to(out, source, dtype));
    } else {
        if (lua_type(L, 2) != LUA_TTABLE && lua_type(L, 2) != LUA_TNUMBER) {
            sonde_bind_raise(L, "bad argument 'data' to sonde.tensor: expected number, table or Tensor, got %s",
                             sonde_bind_type_name(L, 2));
        }
        sonde_bind_tensor_from_table(L, 2, dtype, "sonde.tensor");
    }
    return finish(L, &args, 1);
}

/* ---- filled -------------------------------------------------------------------------------------------- */

static int make_zeros(lua_State *L)
{
    int64_t shape[SONDE_MAX_DIMS];
    sonde_bind_args args;
    int ndim =
        sonde_bind_args_open_sizes(&args, L, 1, "sonde.zeros", SONDE_BIND_NAMES("dtype", "requires_grad"), shape, 0);
    sonde_dtype dtype = sonde_bind_opt_dtype(&args, 0, SONDE_FLOAT32);
    sonde_bind_check(L, sonde_tensor_zeros(sonde_bind_new_tensor(L), dtype, ndim, shape));
    return finish(L, &args, 1);
}

static int make_ones(lua_State *L)
{
    int64_t shape[SONDE_MAX_DIMS];
    sonde_bind_args args;
    int ndim =
        sonde_bind_args_open_sizes(&args, L, 1, "sonde.ones", SONDE_BIND_NAMES("dtype", "requires_grad"), shape, 0);
    sonde_dtype dtype = sonde_bind_opt_dtype(&args, 0, SONDE_FLOAT32);
    sonde_bind_check(L, sonde_tensor_full(sonde_bind_new_tensor(L), dtype, ndim, shape, 1.0));
    return finish(L, &args, 1);
}

static int make_full(lua_State *L)
{
    int64_t shape[SONDE_MAX_DIMS];
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "sonde.full", SONDE_BIND_NAMES("size", "fill_value", "dtype", "requires_grad"));
    int ndim = sonde_bind_arg_integers(&args, 0, shape, SONDE_MAX_DIMS, 0);
    sonde_bind_arg_number(&args, 1);
    sonde_dtype dtype = sonde_bind_opt_dtype(&args, 2, SONDE_FLOAT32);
    const sonde_tensor *value = sonde_bind_tensor_from_number(L, sonde_bind_arg_index(&args, 1), dtype);
    sonde_tensor **out = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_tensor_new(out, dtype, ndim, shape));
    sonde_bind_check(L, sonde_tensor_copy_(*out, value));
    return finish(L, &args, 3);
}

/* zeros_like, ones_like: of the same shape, and dtype unless said. */
static int make_like(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, sonde_bind_row_name(L), SONDE_BIND_NAMES("input", "dtype", "requires_grad"));
    const sonde_tensor *t = sonde_bind_arg_tensor(&args, 0);
    sonde_dtype dtype = sonde_bind_opt_dtype(&args, 1, t->dtype);
    sonde_bind_check(L, sonde_tensor_full(sonde_bind_new_tensor(L), dtype, t->ndim, t->shape, sonde_bind_row_value(L)));
    return finish(L, &args, 2);
}

static int make_eye(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "sonde.eye", SONDE_BIND_NAMES("n", "m", "dtype", "requires_grad"));
    int64_t rows = sonde_bind_arg_integer(&args, 0, 0, INT64_MAX);
    int64_t columns = sonde_bind_opt_integer(&args, 1, rows, 0, INT64_MAX);
    sonde_dtype dtype = sonde_bind_opt_dtype(&args, 2, SONDE_FLOAT32);
    sonde_tensor **out = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_tensor_zeros(out, dtype, 2, (int64_t[]){rows, columns}));
    for (int64_t i = 0; i < rows && i < columns; i++) sonde_tensor_set(*out, (int64_t[]){i, i}, 1.0);
    return finish(L, &args, 3);
}

/* ---- counted ------------------------------------------------------------------------------------------- */

/* out[i] = start + i * step, each by one product and one sum, so that the last element carries no summed error. */
static void fill_steps(sonde_tensor *t, double start, double step)
{
    for (int64_t i = 0; i < t->shape[0]; i++) sonde_tensor_set(t, &i, start + (double)i * step);
}

/* The elements of a range of integers, in integer arithmetic; -1: the step leads away from the end. */
static int64_t count_integers(int64_t start, int64_t end, int64_t step)
{
    if (start == end) return 0;
    if ((start < end) != (step > 0)) return -1;
    uint64_t distance = start < end ? (uint64_t)end - (uint64_t)start : (uint64_t)start - (uint64_t)end;
    uint64_t stride = step > 0 ? (uint64_t)step : -(uint64_t)step;
    uint64_t n = (distance - 1) / stride + 1;
    return n > INT64_MAX ? INT64_MAX : (int64_t)n;
}

/* arange of integers: exact also where a double is not. */
static void make_integers(lua_State *L, int64_t start, int64_t end, int64_t step)
{
    int64_t n = count_integers(start, end, step);
    if (n < 0) {
        sonde_bind_raise(L, "sonde.arange: from %lld to %lld by steps of %lld leads nowhere", (long long)start,
                         (long long)end, (long long)step);
    }
    sonde_tensor **out = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_tensor_new(out, SONDE_INT64, 1, &n));
    int64_t *values = sonde_tensor_data(*out);
    for (int64_t i = 0; i < n; i++) values[i] = (int64_t)((uint64_t)start + (uint64_t)i * (uint64_t)step);
}

/* arange(end), arange(start, end, step): start inclusive (default 0), end exclusive. int64 if all three are integers.
 */
static int make_arange(lua_State *L)
{
    bool one = lua_gettop(L) == 1 || (lua_gettop(L) == 2 && lua_type(L, 2) == LUA_TTABLE);
    if (one && lua_type(L, 1) == LUA_TNUMBER) {
        lua_pushinteger(L, 0);
        lua_insert(L, 1);
    }
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "sonde.arange",
                         SONDE_BIND_NAMES("start", "end", "step", "dtype", "requires_grad"));
    double start = sonde_bind_opt_number(&args, 0, 0.0), end = sonde_bind_arg_number(&args, 1);
    double step = sonde_bind_opt_number(&args, 2, 1.0);
    bool whole = true;
    for (int i = 0; i < 3; i++)
        whole &= !sonde_bind_given(&args, i) || lua_isinteger(L, sonde_bind_arg_index(&args, i));
    sonde_dtype dtype = sonde_bind_opt_dtype(&args, 3, whole ? SONDE_INT64 : SONDE_FLOAT32);
    if (step == 0.0 || !isfinite(step))
        sonde_bind_arg_fail(&args, 2, "expected a finite step other than 0, got %g", step);
    if (whole && dtype == SONDE_INT64) {
        make_integers(L, sonde_bind_opt_integer(&args, 0, 0, INT64_MIN, INT64_MAX),
                      sonde_bind_arg_integer(&args, 1, INT64_MIN, INT64_MAX),
                      sonde_bind_opt_integer(&args, 2, 1, INT64_MIN, INT64_MAX));
        return finish(L, &args, 4);
    }
    double n = ceil((end - start) / step);
    if (!(n >= 0.0)) sonde_bind_raise(L, "sonde.arange: from %g to %g by steps of %g leads nowhere", start, end, step);
    if (n > 0x1p53) sonde_bind_raise(L, "sonde.arange: %g elements are too many", n);
    sonde_tensor **out = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_tensor_new(out, dtype, 1, (int64_t[]){(int64_t)n}));
    fill_steps(*out, start, step);
    return finish(L, &args, 4);
}

/* linspace(start, end, steps): both ends in it. */
static int make_linspace(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "sonde.linspace",
                         SONDE_BIND_NAMES("start", "end", "steps", "dtype", "requires_grad"));
    double start = sonde_bind_arg_number(&args, 0), end = sonde_bind_arg_number(&args, 1);
    int64_t steps = sonde_bind_arg_integer(&args, 2, 0, INT64_MAX);
    sonde_dtype dtype = sonde_bind_opt_dtype(&args, 3, SONDE_FLOAT32);
    sonde_tensor **out = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_tensor_new(out, dtype, 1, &steps));
    fill_steps(*out, start, steps > 1 ? (end - start) / (double)(steps - 1) : 0.0);
    if (steps > 1) sonde_tensor_set(*out, (int64_t[]){steps - 1}, end);
    return finish(L, &args, 4);
}

/* ---- random -------------------------------------------------------------------------------------------- */

/* rand: uniform in [0, 1); randn: standard normal. */
static int make_random(lua_State *L)
{
    int64_t shape[SONDE_MAX_DIMS];
    sonde_bind_args args;
    int ndim = sonde_bind_args_open_sizes(&args, L, 1, sonde_bind_row_name(L),
                                          SONDE_BIND_NAMES("dtype", "requires_grad", "generator"), shape, 0);
    sonde_dtype dtype = sonde_bind_opt_dtype(&args, 0, SONDE_FLOAT32);
    if (!sonde_dtype_is_float(dtype))
        sonde_bind_arg_fail(&args, 0, "expected float32 or float64, got int64 (see randint)");
    sonde_stream *stream = sonde_bind_opt_stream(&args, 2, sonde_bind_user_stream(L));
    sonde_tensor **out = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_tensor_new(out, dtype, ndim, shape));
    size_t n = (size_t)sonde_tensor_numel(*out);
    if (sonde_bind_row_value(L))
        sonde_stream_fill_normal(stream, dtype, sonde_tensor_data(*out), n, 0.0, 1.0);
    else
        sonde_stream_fill_uniform(stream, dtype, sonde_tensor_data(*out), n, 0.0, 1.0);
    return finish(L, &args, 1);
}

/* randint(low, high, size): both ends in it, as math.random. */
static int make_randint(lua_State *L)
{
    int64_t shape[SONDE_MAX_DIMS];
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "sonde.randint", SONDE_BIND_NAMES("low", "high", "size", "dtype", "generator"));
    int64_t low = sonde_bind_arg_integer(&args, 0, INT64_MIN, INT64_MAX);
    int64_t high = sonde_bind_arg_integer(&args, 1, low, INT64_MAX);
    int ndim = sonde_bind_arg_integers(&args, 2, shape, SONDE_MAX_DIMS, 0);
    sonde_dtype dtype = sonde_bind_opt_dtype(&args, 3, SONDE_INT64);
    sonde_stream *stream = sonde_bind_opt_stream(&args, 4, sonde_bind_user_stream(L));
    sonde_tensor **out = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_tensor_new(out, SONDE_INT64, ndim, shape));
    int64_t *data = sonde_tensor_data(*out), n = sonde_tensor_numel(*out);
    for (int64_t i = 0; i < n; i++) data[i] = sonde_stream_integer(stream, low, high);
    if (dtype != SONDE_INT64) {
        sonde_tensor *whole = *out;
        sonde_bind_check(L, sonde_tensor_to(sonde_bind_new_tensor(L), whole, dtype));
    }
    return sonde_bind_done(L);
}

/* randperm(n): the integers 1..n in random order. */
static int make_randperm(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "sonde.randperm", SONDE_BIND_NAMES("n", "generator"));
    int64_t n = sonde_bind_arg_integer(&args, 0, 0, INT64_MAX);
    sonde_stream *stream = sonde_bind_opt_stream(&args, 1, sonde_bind_user_stream(L));
    sonde_tensor **out = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_tensor_new(out, SONDE_INT64, 1, &n));
    sonde_stream_permutation(stream, sonde_tensor_data(*out), (size_t)n, 1);
    return sonde_bind_done(L);
}

static const luaL_Reg functions[] = {
    {"zeros", make_zeros},     {"ones", make_ones},         {"full", make_full},
    {"eye", make_eye},         {"arange", make_arange},     {"linspace", make_linspace},
    {"randint", make_randint}, {"randperm", make_randperm}, {NULL, NULL},
};

void sonde_bind_tensor_make(lua_State *L)
{
    static const sonde_bind_row like[] = {{"zeros_like", 0}, {"ones_like", 1}, {NULL, 0}};
    static const sonde_bind_row random[] = {{"rand", 0}, {"randn", 1}, {NULL, 0}};
    luaL_setfuncs(L, functions, 0);
    sonde_bind_add_rows(L, "sonde.", make_like, like);
    sonde_bind_add_rows(L, "sonde.", make_random, random);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, make_tensor);
    lua_setfield(L, -2, "__call");
    lua_setmetatable(L, -2);
}
