/* Element-wise operators and functions, and products. */
#include "bind/activations.h"
#include "bind/tensor.h"

#include <math.h>

/* ---- two operands, one of which may be a number -------------------------------------------------------- */

/* The integer at `index` as a tensor if `other` is int64 and a double, which numbers go through, does not have all of
 * its bits: pushes its box. Else NULL, and pushes nothing. */
static sonde_tensor *large_integer(lua_State *L, int index, const sonde_tensor *other)
{
    const lua_Integer exact = (lua_Integer)1 << 53;
    if (other->dtype != SONDE_INT64 || !lua_isinteger(L, index)) return NULL;
    lua_Integer value = lua_tointeger(L, index);
    return value < -exact || value > exact ? sonde_bind_tensor_from_number(L, index, SONDE_INT64) : NULL;
}

static int binary(lua_State *L, sonde_binary op)
{
    sonde_tensor *a = sonde_bind_test_tensor(L, 1), *b = sonde_bind_test_tensor(L, 2);
    if (a == NULL && (b == NULL || lua_type(L, 1) != LUA_TNUMBER)) sonde_bind_type_error(L, 1, "Tensor");
    if (b == NULL && lua_type(L, 2) != LUA_TNUMBER) sonde_bind_type_error(L, 2, "Tensor or number");
    if (a == NULL)
        a = large_integer(L, 1, b);
    else if (b == NULL)
        b = large_integer(L, 2, a);
    sonde_tensor **out = sonde_bind_new_tensor(L);
    if (a != NULL && b != NULL)
        sonde_bind_check(L, sonde_binary_op(out, op, a, b));
    else if (a != NULL)
        sonde_bind_check(L, sonde_scalar_op(out, op, a, lua_tonumber(L, 2), false));
    else
        sonde_bind_check(L, sonde_scalar_op(out, op, b, lua_tonumber(L, 1), true));
    return sonde_bind_done(L);
}

int sonde_bind_tensor_add(lua_State *L)
{
    return binary(L, SONDE_ADD);
}
int sonde_bind_tensor_sub(lua_State *L)
{
    return binary(L, SONDE_SUB);
}
int sonde_bind_tensor_mul(lua_State *L)
{
    return binary(L, SONDE_MUL);
}
int sonde_bind_tensor_div(lua_State *L)
{
    return binary(L, SONDE_DIV);
}
int sonde_bind_tensor_pow(lua_State *L)
{
    return binary(L, SONDE_POW);
}

static int l_tensor_binary(lua_State *L)
{
    if (lua_gettop(L) > 2) sonde_bind_raise(L, "%s: takes two operands, got %d", sonde_bind_row_name(L), lua_gettop(L));
    return binary(L, (sonde_binary)sonde_bind_row_value(L));
}

static int l_tensor_binary_(lua_State *L)
{
    sonde_binary op = (sonde_binary)sonde_bind_row_value(L);
    sonde_tensor *a = sonde_bind_check_tensor(L, 1), *b = sonde_bind_test_tensor(L, 2);
    if (b == NULL && lua_type(L, 2) != LUA_TNUMBER) sonde_bind_type_error(L, 2, "Tensor or number");
    if (b == NULL) b = large_integer(L, 2, a);
    sonde_bind_check(L, b != NULL ? sonde_binary_op_(op, a, b) : sonde_scalar_op_(op, a, lua_tonumber(L, 2)));
    lua_settop(L, 1);
    return 1;
}

static const sonde_bind_row binaries[] = {
    {"add", SONDE_ADD},         {"sub", SONDE_SUB},         {"mul", SONDE_MUL}, {"div", SONDE_DIV}, {"pow", SONDE_POW},
    {"maximum", SONDE_MAXIMUM}, {"minimum", SONDE_MINIMUM}, {"lt", SONDE_LT},   {"le", SONDE_LE},   {"gt", SONDE_GT},
    {"ge", SONDE_GE},           {"eq", SONDE_EQ},           {"ne", SONDE_NE},   {NULL, 0},
};
static const sonde_bind_row binaries_[] = {
    {"add_", SONDE_ADD}, {"sub_", SONDE_SUB}, {"mul_", SONDE_MUL}, {"div_", SONDE_DIV}, {"pow_", SONDE_POW}, {NULL, 0},
};

/* ---- one operand --------------------------------------------------------------------------------------- */

static int unary(lua_State *L, sonde_unary op)
{
    sonde_tensor *x = sonde_bind_check_tensor(L, 1);
    sonde_bind_check(L, sonde_unary_op(sonde_bind_new_tensor(L), op, x));
    return sonde_bind_done(L);
}

int sonde_bind_tensor_neg(lua_State *L)
{
    return unary(L, SONDE_NEG);
}

static int l_tensor_unary(lua_State *L)
{
    return unary(L, (sonde_unary)sonde_bind_row_value(L));
}

static int l_tensor_unary_(lua_State *L)
{
    sonde_bind_check(L, sonde_unary_op_((sonde_unary)sonde_bind_row_value(L), sonde_bind_check_tensor(L, 1)));
    lua_settop(L, 1);
    return 1;
}

static const sonde_bind_row unaries[] = {
    {"neg", SONDE_NEG},
    {"abs", SONDE_ABS},
    {"sign", SONDE_SIGN},
    {"exp", SONDE_EXP},
    {"log", SONDE_LOG},
    {"log1p", SONDE_LOG1P},
    {"sqrt", SONDE_SQRT},
    {"rsqrt", SONDE_RSQRT},
    {"square", SONDE_SQUARE},
    {"reciprocal", SONDE_RECIPROCAL},
    {"sin", SONDE_SIN},
    {"cos", SONDE_COS},
    {"erf", SONDE_ERF},
    {"floor", SONDE_FLOOR},
    {"ceil", SONDE_CEIL},
    {"round", SONDE_ROUND},
    {NULL, 0},
};
static const sonde_bind_row unaries_[] = {
    {"neg_", SONDE_NEG},     {"abs_", SONDE_ABS},
    {"exp_", SONDE_EXP},     {"log_", SONDE_LOG},
    {"sqrt_", SONDE_SQRT},   {"square_", SONDE_SQUARE},
    {"floor_", SONDE_FLOOR}, {"ceil_", SONDE_CEIL},
    {"round_", SONDE_ROUND}, {NULL, 0},
};

/* clamp(min, max): either may be left out. */
static int l_tensor_clamp(lua_State *L)
{
    sonde_tensor *x = sonde_bind_check_tensor(L, 1);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, "Tensor:clamp", SONDE_BIND_NAMES("min", "max"));
    if (!sonde_bind_given(&args, 0) && !sonde_bind_given(&args, 1))
        sonde_bind_raise(L, "Tensor:clamp: needs min or max");
    double low = sonde_bind_opt_number(&args, 0, -HUGE_VAL), high = sonde_bind_opt_number(&args, 1, HUGE_VAL);
    sonde_bind_check(L, sonde_clamp(sonde_bind_new_tensor(L), x, low, high));
    return sonde_bind_done(L);
}

/* ---- activations --------------------------------------------------------------------------------------- */

/* x:leaky_relu(0.1), x:relu{inplace = true} */
static int l_tensor_activate(lua_State *L)
{
    const sonde_bind_activation *row = &sonde_bind_activations[sonde_bind_row_value(L)];
    sonde_tensor *x = sonde_bind_check_tensor(L, 1);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, sonde_bind_row_name(L), row->names);
    sonde_activation activation = sonde_bind_arg_activation(&args, row);
    if (sonde_bind_arg_inplace(&args, row)) {
        sonde_bind_check(L, sonde_activate_(&activation, x));
        lua_settop(L, 1);
        return 1;
    }
    sonde_bind_check(L, sonde_activate(sonde_bind_new_tensor(L), &activation, x));
    return sonde_bind_done(L);
}

static int l_tensor_activate_(lua_State *L)
{
    const sonde_bind_activation *row = &sonde_bind_activations[sonde_bind_row_value(L)];
    sonde_tensor *x = sonde_bind_check_tensor(L, 1);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, sonde_bind_row_name(L), row->names);
    sonde_activation activation = sonde_bind_arg_activation(&args, row);
    sonde_bind_check(L, sonde_activate_(&activation, x));
    lua_settop(L, 1);
    return 1;
}

static void add_activations(lua_State *L)
{
    for (int i = 0; sonde_bind_activations[i].class != NULL; i++) {
        const char *name = sonde_bind_activations[i].method;
        if (name == NULL) continue;
        sonde_bind_add_rows(L, "Tensor:", l_tensor_activate, (sonde_bind_row[]){{name, i}, {NULL, 0}});
        const char *in_place = lua_pushfstring(L, "%s_", name);
        lua_insert(L, -2);
        sonde_bind_add_rows(L, "Tensor:", l_tensor_activate_, (sonde_bind_row[]){{in_place, i}, {NULL, 0}});
        lua_remove(L, -2);
    }
}

/* ---- products ------------------------------------------------------------------------------------------ */

static int l_tensor_matmul(lua_State *L)
{
    sonde_tensor *a = sonde_bind_check_tensor(L, 1), *b = sonde_bind_check_tensor(L, 2);
    sonde_bind_check(L, sonde_matmul(sonde_bind_new_tensor(L), a, b));
    return sonde_bind_done(L);
}

void sonde_bind_tensor_math(lua_State *L)
{
    sonde_bind_add_rows(L, "Tensor:", l_tensor_binary, binaries);
    sonde_bind_add_rows(L, "Tensor:", l_tensor_binary_, binaries_);
    sonde_bind_add_rows(L, "Tensor:", l_tensor_unary, unaries);
    sonde_bind_add_rows(L, "Tensor:", l_tensor_unary_, unaries_);
    add_activations(L);
    luaL_setfuncs(L, (luaL_Reg[]){{"clamp", l_tensor_clamp}, {"matmul", l_tensor_matmul}, {NULL, NULL}}, 0);
}
