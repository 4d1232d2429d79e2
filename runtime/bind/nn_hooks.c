/* Hooks of modules: Lua functions between a module's call, or its gradient, and the rest. */
#include "bind/nn.h"

typedef struct hook_call {
    const sonde_bind_callback *callback;
    sonde_module *module;
    const sonde_values *a, *b; /* what the hook is shown; b may be NULL */
    bool always_tables;        /* gradients; else a single value is shown as it is */
    sonde_values *replacement;
    bool *replaced;
} hook_call;

/* A table of the values, nil where there is none, with n. */
static void push_table(lua_State *L, const sonde_values *values)
{
    lua_createtable(L, values->n, 1);
    for (int i = 0; i < values->n; i++) {
        sonde_bind_push_tensor(L, values->t[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_pushinteger(L, values->n);
    lua_setfield(L, -2, "n");
}

static void push_shown(lua_State *L, const hook_call *call, const sonde_values *values)
{
    if (call->always_tables || values->n != 1)
        push_table(L, values);
    else
        sonde_bind_push_tensor(L, values->t[0]);
}

static _Noreturn void wrong_result(lua_State *L, const hook_call *call, const char *got)
{
    sonde_bind_callback_push(L, call->callback);
    sonde_bind_raise(L, "a hook returns a Tensor, a list of Tensors or nothing, got %s from the one %s of %s", got,
                     sonde_bind_defined_at(L, -1), call->module->class->name);
}

/* Reads what the hook returned, on top: a tensor, or a list as long as what it stands for may be. */
static void take_replacement(lua_State *L, const hook_call *call)
{
    int index = lua_gettop(L);
    sonde_values *out = call->replacement;
    sonde_tensor *single = sonde_bind_test_tensor(L, index);
    int n = 1;
    if (single == NULL) {
        if (lua_type(L, index) != LUA_TTABLE) wrong_result(L, call, sonde_bind_type_name(L, index));
        bool counted = lua_getfield(L, index, "n") == LUA_TNUMBER; /* a table the hook was shown may have holes */
        lua_Integer length = counted ? lua_tointeger(L, -1) : luaL_len(L, index);
        if (length < 1 || length > SONDE_MAX_VALUES) {
            wrong_result(L, call, lua_pushfstring(L, "a list of %I values", (LUAI_UACINT)length));
        }
        n = (int)length;
        luaL_checkstack(L, n, NULL);
        for (int i = 0; i < n; i++) {
            lua_rawgeti(L, index, i + 1);
            if (lua_isnil(L, -1) || sonde_bind_test_tensor(L, -1) != NULL) continue;
            wrong_result(L, call, lua_pushfstring(L, "%s at [%d]", sonde_bind_type_name(L, -1), i + 1));
        }
    }
    int first = lua_gettop(L) - n + 1;
    for (int i = 0; i < n; i++) {
        sonde_tensor *t = sonde_bind_test_tensor(L, first + i);
        out->t[i] = t != NULL ? sonde_tensor_retain(t) : NULL;
    }
    out->n = n;
    *call->replaced = true;
}

static int call_hook(lua_State *L)
{
    const hook_call *call = lua_touserdata(L, 1);
    sonde_bind_callback_push(L, call->callback);
    if (lua_isnil(L, -1)) return 0; /* nobody in Lua knows the module any more */
    sonde_bind_push(L, &sonde_bind_kind_module, call->module);
    push_shown(L, call, call->a);
    if (call->b != NULL) push_shown(L, call, call->b);
    lua_call(L, call->b != NULL ? 3 : 2, 1);
    if (!lua_isnil(L, -1)) take_replacement(L, call);
    return 0;
}

static sonde_status forward_pre_hook(void *context, sonde_module *m, const sonde_values *in, sonde_values *replacement,
                                     bool *replaced)
{
    hook_call call = {context, m, in, NULL, false, replacement, replaced};
    return sonde_bind_protect(sonde_bind_callback_state(context), call_hook, &call);
}

static sonde_status forward_hook(void *context, sonde_module *m, const sonde_values *in, const sonde_values *out,
                                 sonde_values *replacement, bool *replaced)
{
    hook_call call = {context, m, in, out, false, replacement, replaced};
    return sonde_bind_protect(sonde_bind_callback_state(context), call_hook, &call);
}

static sonde_status backward_hook(void *context, sonde_module *m, const sonde_values *grad_in,
                                  const sonde_values *grad_out, sonde_values *replacement, bool *replaced)
{
    hook_call call = {context, m, grad_in, grad_out, true, replacement, replaced};
    return sonde_bind_protect(sonde_bind_callback_state(context), call_hook, &call);
}

/* register_…_hook(hook, prepend = false): the handle; prepend: to be called before those there are. The module's box
 * keeps the function. */
static int l_module_register(lua_State *L)
{
    sonde_module *m = sonde_bind_check_module(L, 1);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, sonde_bind_row_name(L), SONDE_BIND_NAMES("hook", "prepend"));
    sonde_bind_arg_function(&args, 0);
    bool prepend = sonde_bind_opt_boolean(&args, 1, false);
    sonde_handle **out = (sonde_handle **)sonde_bind_new(L, &sonde_bind_kind_handle);
    sonde_bind_callback *callback = sonde_bind_callback_new(L, sonde_bind_arg_index(&args, 0), 1);
    sonde_status status = SONDE_OK;
    switch (sonde_bind_row_value(L)) {
    case 0:
        status = sonde_module_add_forward_pre_hook(m, forward_pre_hook, callback, sonde_bind_callback_free, out);
        break;
    case 1:
        status = sonde_module_add_forward_hook(m, forward_hook, callback, sonde_bind_callback_free, out);
        break;
    default:
        status = sonde_module_add_backward_hook(m, backward_hook, callback, sonde_bind_callback_free, out);
        break;
    }
    if (status != SONDE_OK) sonde_bind_callback_free(callback);
    sonde_bind_check(L, status);
    if (prepend) sonde_hooks_to_front(*out);
    return 1;
}

void sonde_bind_nn_hooks(lua_State *L)
{
    static const sonde_bind_row rows[] = {
        {"register_forward_pre_hook", 0}, {"register_forward_hook", 1}, {"register_full_backward_hook", 2}, {NULL, 0}};
    sonde_bind_add_rows(L, "Module:", l_module_register, rows);
}
