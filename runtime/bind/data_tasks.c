/* core.data: tasks that need a memory, and series. Each returns inputs and targets, or a series;
 * lua/sonde/data/tasks.lua makes data sets of them. */
#include "bind/data.h"

#include <math.h>

enum { MANY = 1 << 24 };

/* Sizes that memory cannot hold are refused by the tensor's allocation; this keeps sums of them from overflowing. */
static int64_t size_argument(const sonde_bind_args *args, int i, int64_t fallback, int64_t least)
{
    return sonde_bind_opt_integer(args, i, fallback, least, MANY);
}

/* Pushes the unfinished box of a tensor and returns its elements. */
static void *new_tensor(lua_State *L, sonde_dtype dtype, int ndim, const int64_t *shape)
{
    sonde_tensor **out = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_tensor_new(out, dtype, ndim, shape));
    return sonde_tensor_data(*out);
}

static int l_adding(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "data.adding", SONDE_BIND_NAMES("n", "length", "seed"));
    int64_t n = size_argument(&args, 0, 1000, 1), length = size_argument(&args, 1, 100, 2);
    sonde_stream stream = sonde_bind_set_stream(&args, 2, "data.adding");
    float *x = new_tensor(L, SONDE_FLOAT32, 3, (const int64_t[]){n, length, 2});
    float *y = new_tensor(L, SONDE_FLOAT32, 2, (const int64_t[]){n, 1});
    sonde_adding(&stream, x, y, n, length);
    return sonde_bind_two_done(L);
}

/* -> x, y, baseline, how many symbols there are with blank and marker */
static int l_copying(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "data.copying", SONDE_BIND_NAMES("n", "length", "delay", "symbols", "seed"));
    int64_t n = size_argument(&args, 0, 1000, 1), length = size_argument(&args, 1, 10, 1);
    int64_t delay = size_argument(&args, 2, 100, 1), symbols = size_argument(&args, 3, 8, 2);
    sonde_stream stream = sonde_bind_set_stream(&args, 4, "data.copying");
    const int64_t shape[] = {n, delay + 2 * length};
    int64_t *x = new_tensor(L, SONDE_INT64, 2, shape), *y = new_tensor(L, SONDE_INT64, 2, shape);
    sonde_copying(&stream, x, y, n, length, delay, symbols);
    sonde_bind_two_done(L);
    lua_pushnumber(L, (double)length * log((double)symbols) / (double)(delay + 2 * length));
    lua_pushinteger(L, symbols + 2);
    return 4;
}

/* -> x, y, baseline */
static int l_temporal_order(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "data.temporal_order", SONDE_BIND_NAMES("n", "length", "relevant", "seed"));
    int64_t n = size_argument(&args, 0, 1000, 1), length = size_argument(&args, 1, 100, 10);
    int64_t relevant = sonde_bind_opt_integer(&args, 2, 2, 2, 3);
    sonde_stream stream = sonde_bind_set_stream(&args, 3, "data.temporal_order");
    int64_t *x = new_tensor(L, SONDE_INT64, 2, (const int64_t[]){n, length}), *y = new_tensor(L, SONDE_INT64, 1, &n);
    sonde_temporal_order(&stream, x, y, n, length, relevant);
    sonde_bind_two_done(L);
    lua_pushnumber(L, (double)relevant * log(2));
    return 3;
}

static int l_delayed_xor(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "data.delayed_xor", SONDE_BIND_NAMES("n", "delay", "length", "seed"));
    int64_t n = size_argument(&args, 0, 1000, 1), delay = size_argument(&args, 1, 50, 0);
    int64_t length = size_argument(&args, 2, delay + 2, delay + 2);
    sonde_stream stream = sonde_bind_set_stream(&args, 3, "data.delayed_xor");
    float *x = new_tensor(L, SONDE_FLOAT32, 3, (const int64_t[]){n, length, 1});
    int64_t *y = new_tensor(L, SONDE_INT64, 1, &n);
    sonde_delayed_xor(&stream, x, y, n, length, delay);
    return sonde_bind_two_done(L);
}

/* mackey_glass(n, length, tau, seed) -> float64 [n, length, 1] */
static int l_mackey_glass(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "data.mackey_glass", SONDE_BIND_NAMES("n", "length", "tau", "seed"));
    int64_t n = size_argument(&args, 0, 1, 1), length = size_argument(&args, 1, 1000, 1);
    double tau = sonde_bind_opt_number(&args, 2, 17), steps = tau * 10;
    if (!(steps >= 1 && steps <= MANY) || steps != (double)(int64_t)steps) {
        sonde_bind_arg_fail(&args, 2, "expected a multiple of the step of integration, 0.1, got %g", tau);
    }
    sonde_stream stream = sonde_bind_set_stream(&args, 3, "data.mackey_glass");
    double *x = new_tensor(L, SONDE_FLOAT64, 3, (const int64_t[]){n, length, 1});
    sonde_bind_check(L, sonde_mackey_glass(&stream, x, n, length, (int64_t)steps));
    return sonde_bind_done(L);
}

/* lorenz(n, length, dt, sigma, rho, beta, seed) -> float64 [n, length, 3] */
static int l_lorenz(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "data.lorenz",
                         SONDE_BIND_NAMES("n", "length", "dt", "sigma", "rho", "beta", "seed"));
    int64_t n = size_argument(&args, 0, 1, 1), length = size_argument(&args, 1, 1000, 1);
    sonde_lorenz_system system = {.dt = sonde_bind_opt_number(&args, 2, 0.02),
                                  .sigma = sonde_bind_opt_number(&args, 3, 10),
                                  .rho = sonde_bind_opt_number(&args, 4, 28),
                                  .beta = sonde_bind_opt_number(&args, 5, 8.0 / 3)};
    if (!(system.dt > 0 && system.dt <= 0.1)) {
        sonde_bind_arg_fail(&args, 2, "expected a time between samples above 0 and up to 0.1, got %g", system.dt);
    }
    sonde_stream stream = sonde_bind_set_stream(&args, 6, "data.lorenz");
    double *x = new_tensor(L, SONDE_FLOAT64, 3, (const int64_t[]){n, length, 3});
    sonde_lorenz(&stream, x, n, length, &system);
    return sonde_bind_done(L);
}

/* narma10(n, length, seed) -> float64 [n, length, 1], twice */
static int l_narma10(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "data.narma10", SONDE_BIND_NAMES("n", "length", "seed"));
    int64_t n = size_argument(&args, 0, 1, 1), length = size_argument(&args, 1, 1000, 1);
    sonde_stream stream = sonde_bind_set_stream(&args, 2, "data.narma10");
    const int64_t shape[] = {n, length, 1};
    double *u = new_tensor(L, SONDE_FLOAT64, 3, shape), *y = new_tensor(L, SONDE_FLOAT64, 3, shape);
    sonde_bind_check(L, sonde_narma10(&stream, u, y, n, length));
    return sonde_bind_two_done(L);
}

void sonde_bind_data_tasks(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"adding", l_adding},           {"copying", l_copying},           {"temporal_order", l_temporal_order},
        {"delayed_xor", l_delayed_xor}, {"mackey_glass", l_mackey_glass}, {"lorenz", l_lorenz},
        {"narma10", l_narma10},         {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
