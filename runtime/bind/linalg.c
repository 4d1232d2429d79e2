/* sonde.linalg: what LAPACK computes. Norms and condition numbers, made of it, are in lua/sonde/linalg.lua. */
#include "bind/tensor.h"

/* Finishes the boxes of `n` results, first to last, which are on top. */
static int finish(lua_State *L, int n)
{
    for (int i = 0; i < n; i++) {
        lua_pushvalue(L, lua_gettop(L) - n + 1);
        sonde_bind_done(L);
        lua_remove(L, lua_gettop(L) - n);
    }
    return n;
}

/* (A): one matrix from one matrix. */
static int f_one(lua_State *L)
{
    typedef sonde_status one(sonde_tensor **out, sonde_tensor *a);
    static one *const functions[] = {sonde_inv, sonde_det, sonde_matrix_exp};
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, sonde_bind_row_name(L), SONDE_BIND_NAMES("A"));
    sonde_tensor *a = sonde_bind_arg_tensor(&args, 0);
    sonde_bind_check(L, functions[sonde_bind_row_value(L)](sonde_bind_new_tensor(L), a));
    return sonde_bind_done(L);
}

/* (A): slogdet, eigh, eigvals. */
static int f_two(lua_State *L)
{
    typedef sonde_status two(sonde_tensor **first, sonde_tensor **second, sonde_tensor *a);
    static two *const functions[] = {sonde_slogdet, sonde_eigh, sonde_eigvals};
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, sonde_bind_row_name(L), SONDE_BIND_NAMES("A"));
    sonde_tensor *a = sonde_bind_arg_tensor(&args, 0);
    sonde_tensor **first = sonde_bind_new_tensor(L), **second = sonde_bind_new_tensor(L);
    sonde_bind_check(L, functions[sonde_bind_row_value(L)](first, second, a));
    return finish(L, 2);
}

/* eigvalsh(A): the values of eigh alone. */
static int f_eigvalsh(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "linalg.eigvalsh", SONDE_BIND_NAMES("A"));
    sonde_tensor *a = sonde_bind_arg_tensor(&args, 0);
    sonde_tensor **values = sonde_bind_new_tensor(L), **vectors = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_eigh(values, vectors, a));
    lua_pop(L, 1);
    return sonde_bind_done(L);
}

static int f_qr(lua_State *L)
{
    static const char *const modes[] = {"reduced", "complete", NULL};
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "linalg.qr", SONDE_BIND_NAMES("A", "mode"));
    sonde_tensor *a = sonde_bind_arg_tensor(&args, 0);
    bool complete = sonde_bind_opt_choice(&args, 1, 0, modes) == 1;
    sonde_tensor **q = sonde_bind_new_tensor(L), **r = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_qr(q, r, a, complete));
    return finish(L, 2);
}

static int f_svd(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "linalg.svd", SONDE_BIND_NAMES("A", "full_matrices"));
    sonde_tensor *a = sonde_bind_arg_tensor(&args, 0);
    bool full = sonde_bind_opt_boolean(&args, 1, true);
    sonde_tensor **u = sonde_bind_new_tensor(L), **s = sonde_bind_new_tensor(L), **vh = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_svd(u, s, vh, a, full));
    return finish(L, 3);
}

static int f_svdvals(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "linalg.svdvals", SONDE_BIND_NAMES("A"));
    sonde_tensor *a = sonde_bind_arg_tensor(&args, 0);
    sonde_tensor **s = sonde_bind_new_tensor(L), **u = sonde_bind_new_tensor(L), **vh = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_svd(u, s, vh, a, false));
    lua_pop(L, 2);
    return sonde_bind_done(L);
}

static int f_cholesky(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "linalg.cholesky", SONDE_BIND_NAMES("A", "upper"));
    sonde_tensor *a = sonde_bind_arg_tensor(&args, 0);
    bool upper = sonde_bind_opt_boolean(&args, 1, false);
    sonde_tensor **l = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_cholesky(l, a));
    if (!upper) return sonde_bind_done(L);
    sonde_bind_check(L, sonde_transpose(sonde_bind_new_tensor(L), *l, -1, -2));
    return sonde_bind_done(L);
}

static int f_solve(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "linalg.solve", SONDE_BIND_NAMES("A", "B"));
    sonde_tensor *a = sonde_bind_arg_tensor(&args, 0), *b = sonde_bind_arg_tensor(&args, 1);
    sonde_bind_check(L, sonde_solve(sonde_bind_new_tensor(L), a, b));
    return sonde_bind_done(L);
}

static int f_solve_triangular(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "linalg.solve_triangular",
                         SONDE_BIND_NAMES("A", "B", "upper", "unitriangular"));
    sonde_tensor *a = sonde_bind_arg_tensor(&args, 0), *b = sonde_bind_arg_tensor(&args, 1);
    if (!sonde_bind_given(&args, 2)) sonde_bind_arg_type_error(&args, 2, "boolean"); /* PyTorch has no default either */
    bool upper = sonde_bind_opt_boolean(&args, 2, false), unit = sonde_bind_opt_boolean(&args, 3, false);
    sonde_bind_check(L, sonde_solve_triangular(sonde_bind_new_tensor(L), a, b, upper, unit));
    return sonde_bind_done(L);
}

/* Tensor:tril(diagonal = 0), Tensor:triu(diagonal = 0) */
static int l_tensor_triangle(lua_State *L)
{
    sonde_tensor *x = sonde_bind_check_tensor(L, 1);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, sonde_bind_row_name(L), SONDE_BIND_NAMES("diagonal"));
    int64_t diagonal = sonde_bind_opt_integer(&args, 0, 0, INT64_MIN, INT64_MAX);
    sonde_tensor **out = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_bind_row_value(L) ? sonde_triu(out, x, diagonal) : sonde_tril(out, x, diagonal));
    return sonde_bind_done(L);
}

void sonde_bind_tensor_triangles(lua_State *L)
{
    static const sonde_bind_row rows[] = {{"tril", 0}, {"triu", 1}, {NULL, 0}};
    sonde_bind_add_rows(L, "Tensor:", l_tensor_triangle, rows);
}

int sonde_bind_linalg(lua_State *L)
{
    static const sonde_bind_row ones[] = {{"inv", 0}, {"det", 1}, {"matrix_exp", 2}, {NULL, 0}};
    static const sonde_bind_row twos[] = {{"slogdet", 0}, {"eigh", 1}, {"eigvals", 2}, {NULL, 0}};
    luaL_newlib(L, ((luaL_Reg[]){{"eigvalsh", f_eigvalsh},
                                 {"qr", f_qr},
                                 {"svd", f_svd},
                                 {"svdvals", f_svdvals},
                                 {"cholesky", f_cholesky},
                                 {"solve", f_solve},
                                 {"solve_triangular", f_solve_triangular},
                                 {NULL, NULL}}));
    sonde_bind_add_rows(L, "linalg.", f_one, ones);
    sonde_bind_add_rows(L, "linalg.", f_two, twos);
    return 1;
}
