/* Gradients: backward, hooks, detaching, grad mode, gradcheck. */
#include "bind/tensor.h"

static int l_tensor_requires_grad_(lua_State *L)
{
    sonde_tensor *t = sonde_bind_check_tensor(L, 1);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, "Tensor:requires_grad_", SONDE_BIND_NAMES("requires_grad"));
    sonde_bind_check(L, sonde_requires_grad_(t, sonde_bind_opt_boolean(&args, 0, true)));
    lua_settop(L, 1);
    return 1;
}

static int l_tensor_retain_grad(lua_State *L)
{
    sonde_bind_check(L, sonde_retain_grad(sonde_bind_check_tensor(L, 1)));
    return 0;
}

static int l_tensor_detach(lua_State *L)
{
    sonde_tensor *t = sonde_bind_check_tensor(L, 1);
    sonde_bind_check(L, sonde_detach(sonde_bind_new_tensor(L), t));
    return sonde_bind_done(L);
}

static int l_tensor_detach_(lua_State *L)
{
    sonde_bind_check(L, sonde_detach_(sonde_bind_check_tensor(L, 1)));
    lua_settop(L, 1);
    return 1;
}

/* backward(gradient = ones for one element, retain_graph = false) */
static int l_tensor_backward(lua_State *L)
{
    sonde_tensor *t = sonde_bind_check_tensor(L, 1);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, "Tensor:backward", SONDE_BIND_NAMES("gradient", "retain_graph"));
    sonde_tensor *gradient = sonde_bind_opt_tensor(&args, 0);
    bool retain = sonde_bind_opt_boolean(&args, 1, false);
    SONDE_BIND_RUN(L, sonde_backward(t, gradient, retain));
    return 0;
}

/* ---- hooks --------------------------------------------------------------------------------------------- */

typedef struct grad_call {
    const sonde_bind_callback *callback;
    sonde_tensor *gradient;
    sonde_tensor **replacement;
} grad_call;

static int call_grad_hook(lua_State *L)
{
    grad_call *call = lua_touserdata(L, 1);
    sonde_bind_callback_push(L, call->callback);
    sonde_bind_push_tensor(L, call->gradient);
    lua_call(L, 1, 1);
    if (lua_isnil(L, -1)) return 0;
    sonde_tensor *replacement = sonde_bind_test_tensor(L, -1);
    if (replacement == NULL) {
        const char *got = sonde_bind_type_name(L, -1);
        sonde_bind_callback_push(L, call->callback);
        sonde_bind_raise(L, "a tensor hook returns a Tensor or nothing, got %s from the one %s", got,
                         sonde_bind_defined_at(L, -1));
    }
    *call->replacement = sonde_tensor_retain(replacement);
    return 0;
}

static sonde_status grad_hook(void *context, sonde_tensor *gradient, sonde_tensor **replacement)
{
    grad_call call = {context, gradient, replacement};
    return sonde_bind_protect(sonde_bind_callback_state(context), call_grad_hook, &call);
}

static int l_tensor_register_hook(lua_State *L)
{
    sonde_tensor *t = sonde_bind_check_tensor(L, 1);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, "Tensor:register_hook", SONDE_BIND_NAMES("hook"));
    sonde_bind_arg_function(&args, 0);
    sonde_handle **handle = (sonde_handle **)sonde_bind_new(L, &sonde_bind_kind_handle);
    sonde_bind_callback *callback = sonde_bind_callback_new(L, sonde_bind_arg_index(&args, 0), 0);
    sonde_status status = sonde_add_grad_hook(t, grad_hook, callback, sonde_bind_callback_free, handle);
    if (status != SONDE_OK) sonde_bind_callback_free(callback);
    sonde_bind_check(L, status);
    return 1;
}

static int l_tensor_handle_remove(lua_State *L)
{
    sonde_bind_box *box = sonde_bind_box_at(L, 1, &sonde_bind_kind_handle);
    if (box == NULL) sonde_bind_type_error(L, 1, "Handle");
    sonde_handle *handle = box->object;
    box->object = NULL;
    if (handle != NULL) sonde_handle_remove(handle);
    return 0;
}

/* ---- grad mode and gradcheck --------------------------------------------------------------------------- */

static int f_is_grad_enabled(lua_State *L)
{
    lua_pushboolean(L, sonde_grad_enabled());
    return 1;
}

/* set_grad_enabled(flag): returns what it was. */
static int f_set_grad_enabled(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TBOOLEAN);
    lua_pushboolean(L, sonde_grad_enable(lua_toboolean(L, 1)));
    return 1;
}

typedef struct check_call {
    sonde_bind_callback *function;
    int n_in, *n_out;
    sonde_tensor *const *in, **out;
} check_call;

static int call_checked(lua_State *L)
{
    check_call *call = lua_touserdata(L, 1);
    luaL_checkstack(L, call->n_in + LUA_MINSTACK, NULL);
    sonde_bind_callback_push(L, call->function);
    for (int i = 0; i < call->n_in; i++) sonde_bind_push_tensor(L, call->in[i]);
    lua_call(L, call->n_in, LUA_MULTRET);
    int n = lua_gettop(L) - 1;
    if (n < 1 || n > 8) sonde_bind_raise(L, "gradcheck: the function returns 1 to 8 tensors, got %d", n);
    for (int i = 0; i < n; i++) {
        if (sonde_bind_test_tensor(L, i + 2) != NULL) continue;
        sonde_bind_raise(L, "gradcheck: the function returns 1 to 8 tensors, got %s", sonde_bind_type_name(L, i + 2));
    }
    for (int i = 0; i < n; i++) call->out[i] = sonde_tensor_retain(sonde_bind_check_tensor(L, i + 2));
    *call->n_out = n;
    return 0;
}

static sonde_status checked(void *context, int n_in, sonde_tensor *const *in, int *n_out, sonde_tensor **out)
{
    check_call call = {context, n_in, n_out, in, out};
    return sonde_bind_protect(sonde_bind_callback_state(context), call_checked, &call);
}

/* gradcheck(fn, inputs, eps, atol, rtol, raise_exception = true): true, or raises; or false and the message. */
static int f_gradcheck(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "sonde.gradcheck",
                         SONDE_BIND_NAMES("fn", "inputs", "eps", "atol", "rtol", "raise_exception"));
    sonde_bind_arg_function(&args, 0);
    double eps = sonde_bind_opt_number(&args, 2, 1e-6), atol = sonde_bind_opt_number(&args, 3, 1e-5);
    double rtol = sonde_bind_opt_number(&args, 4, 1e-3);
    bool raise = sonde_bind_opt_boolean(&args, 5, true);
    int n;
    sonde_tensor **in = sonde_bind_arg_tensors(&args, 1, &n);
    lua_createtable(L, n, 0); /* the function may change the list it was given */
    for (int i = 0; i < n; i++) {
        sonde_bind_push_tensor(L, in[i]);
        lua_rawseti(L, -2, i + 1);
    }
    sonde_bind_callback *function = sonde_bind_callback_new(L, sonde_bind_arg_index(&args, 0), 0);
    lua_State *outer = sonde_bind_enter(L);
    sonde_status status = sonde_gradcheck(checked, function, n, in, eps, atol, rtol);
    sonde_bind_leave(L, outer);
    sonde_bind_callback_free(function);
    if (status != SONDE_OK && (raise || status == SONDE_ECALLBACK)) sonde_bind_check(L, status);
    lua_pushboolean(L, status == SONDE_OK);
    if (status == SONDE_OK) return 1;
    lua_pushstring(L, sonde_message());
    return 2;
}

/* gradients(root, inputs, gradient = nil, retain_graph = false): d root / d inputs as a list, false where unused; nobody's
 * .grad is touched, and probes are not told. */
static int f_gradients(lua_State *L)
{
    sonde_tensor *root = sonde_bind_check_tensor(L, 1);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, "gradients", SONDE_BIND_NAMES("inputs", "gradient", "retain_graph"));
    int n;
    sonde_tensor **inputs = sonde_bind_arg_tensors(&args, 0, &n);
    sonde_tensor *gradient = sonde_bind_opt_tensor(&args, 1);
    bool retain = sonde_bind_opt_boolean(&args, 2, false);
    size_t room = (size_t)(n > 0 ? n : 1);
    sonde_tensor **out = lua_newuserdatauv(L, room * sizeof *out, 0);
    sonde_tensor ***boxes = lua_newuserdatauv(L, room * sizeof *boxes, 0);
    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) {
        boxes[i] = sonde_bind_new_tensor(L);
        lua_rawseti(L, -2, i + 1);
    }
    SONDE_BIND_RUN(L, sonde_gradients(root, gradient, n, inputs, retain, out));
    for (int i = 0; i < n; i++) *boxes[i] = out[i];
    for (int i = 0; i < n; i++) {
        if (out[i]) {
            lua_rawgeti(L, -1, i + 1);
            sonde_bind_done(L);
        } else {
            lua_pushboolean(L, false);
        }
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static const luaL_Reg methods[] = {
    {"requires_grad_", l_tensor_requires_grad_},
    {"retain_grad", l_tensor_retain_grad},
    {"detach", l_tensor_detach},
    {"detach_", l_tensor_detach_},
    {"backward", l_tensor_backward},
    {"register_hook", l_tensor_register_hook},
    {NULL, NULL},
};

void sonde_bind_tensor_grad(lua_State *L)
{
    luaL_setfuncs(L, methods, 0);
}

int sonde_bind_autograd(lua_State *L)
{
    sonde_bind_kind_open(L, &sonde_bind_kind_handle, (luaL_Reg[]){{"remove", l_tensor_handle_remove}, {NULL, NULL}},
                         NULL);
    lua_pop(L, 1);
    luaL_newlib(L, ((luaL_Reg[]){{"is_grad_enabled", f_is_grad_enabled},
                                 {"set_grad_enabled", f_set_grad_enabled},
                                 {"gradcheck", f_gradcheck},
                                 {"gradients", f_gradients},
                                 {NULL, NULL}}));
    return 1;
}
