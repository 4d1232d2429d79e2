/* RNN, LSTM, GRU and their cells, with PyTorch's arguments and defaults; watching dL/dh_t. */
#include "bind/nn.h"

#include <string.h>

/* The arguments of a class by position: PyTorch's, then ours, which are given by name. */
enum { LAYER, CELL };
static const char *const *const argument_names[][2] = {
    [SONDE_RNN] = {SONDE_BIND_NAMES("input_size", "hidden_size", "num_layers", "nonlinearity", "bias", "batch_first",
                                    "dropout", "bidirectional", "variational", "recurrent_dropout", "leak",
                                    "clip_hidden_grad", "dtype"),
                   SONDE_BIND_NAMES("input_size", "hidden_size", "bias", "nonlinearity", "leak", "dtype")},
    [SONDE_LSTM] = {SONDE_BIND_NAMES("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout",
                                     "bidirectional", "variational", "recurrent_dropout", "forget_bias", "peepholes",
                                     "layer_norm", "activation", "clip_hidden_grad", "dtype"),
                    SONDE_BIND_NAMES("input_size", "hidden_size", "bias", "forget_bias", "peepholes", "layer_norm",
                                     "activation", "dtype")},
    [SONDE_GRU] = {SONDE_BIND_NAMES("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout",
                                    "bidirectional", "variational", "recurrent_dropout", "reset_after",
                                    "clip_hidden_grad", "dtype"),
                   SONDE_BIND_NAMES("input_size", "hidden_size", "bias", "reset_after", "dtype")},
};

/* The position of an argument of this name; -1: the class has none. */
static int position(const sonde_bind_args *args, const char *name)
{
    for (int i = 0; args->names[i] != NULL; i++) {
        if (strcmp(args->names[i], name) == 0) return i;
    }
    return -1;
}

static bool opt_boolean(const sonde_bind_args *args, const char *name, bool fallback)
{
    int i = position(args, name);
    return i < 0 ? fallback : sonde_bind_opt_boolean(args, i, fallback);
}

static double opt_number(const sonde_bind_args *args, const char *name, double fallback)
{
    int i = position(args, name);
    return i < 0 ? fallback : sonde_bind_opt_number(args, i, fallback);
}

static sonde_squash opt_activation(const sonde_bind_args *args)
{
    static const char *const all[] = {"tanh", "relu", "linear", NULL}; /* in the order of sonde_squash */
    static const char *const of_lstm[] = {"tanh", "relu", NULL};
    int rnn = position(args, "nonlinearity"), lstm = position(args, "activation");
    if (rnn >= 0) return (sonde_squash)sonde_bind_opt_choice(args, rnn, SONDE_SQUASH_TANH, all);
    return lstm < 0 ? SONDE_SQUASH_TANH : (sonde_squash)sonde_bind_opt_choice(args, lstm, SONDE_SQUASH_TANH, of_lstm);
}

/* One constructor for all: the row's value is kind * 2 + LAYER or CELL. */
static int f_recurrent(lua_State *L)
{
    const int kind = sonde_bind_row_value(L) / 2, cell = sonde_bind_row_value(L) % 2;
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, sonde_bind_row_name(L), argument_names[kind][cell]);
    int64_t inputs = sonde_bind_arg_integer(&args, 0, 1, INT64_MAX);
    int64_t hidden = sonde_bind_arg_integer(&args, 1, 1, INT64_MAX);
    sonde_recurrent_options o = sonde_recurrent_defaults((sonde_recurrent_kind)kind, inputs, hidden);
    int layers = position(&args, "num_layers"), dtype = position(&args, "dtype");
    o.cell = cell == CELL;
    if (layers >= 0) o.num_layers = sonde_bind_opt_integer(&args, layers, 1, 1, INT64_MAX);
    o.activation = opt_activation(&args);
    o.bias = opt_boolean(&args, "bias", o.bias);
    o.batch_first = opt_boolean(&args, "batch_first", o.batch_first);
    o.bidirectional = opt_boolean(&args, "bidirectional", o.bidirectional);
    o.dropout = opt_number(&args, "dropout", o.dropout);
    o.variational = opt_boolean(&args, "variational", o.variational);
    o.recurrent_dropout = opt_number(&args, "recurrent_dropout", o.recurrent_dropout);
    o.leak = opt_number(&args, "leak", o.leak);
    o.reset_after = opt_boolean(&args, "reset_after", o.reset_after);
    o.peepholes = opt_boolean(&args, "peepholes", o.peepholes);
    o.layer_norm = opt_boolean(&args, "layer_norm", o.layer_norm);
    o.forget_bias = opt_number(&args, "forget_bias", o.forget_bias);
    o.clip_hidden_grad = opt_number(&args, "clip_hidden_grad", o.clip_hidden_grad);
    o.dtype = sonde_bind_opt_dtype(&args, dtype, SONDE_FLOAT32);
    sonde_bind_check(L, sonde_recurrent_new((sonde_module **)sonde_bind_new(L, &sonde_bind_kind_module), &o));
    return sonde_bind_done(L);
}

void sonde_bind_nn_recurrent(lua_State *L)
{
    static const sonde_bind_row rows[] = {
        {"RNN", SONDE_RNN * 2 + LAYER},
        {"RNNCell", SONDE_RNN * 2 + CELL},
        {"LSTM", SONDE_LSTM * 2 + LAYER},
        {"LSTMCell", SONDE_LSTM * 2 + CELL},
        {"GRU", SONDE_GRU * 2 + LAYER},
        {"GRUCell", SONDE_GRU * 2 + CELL},
        {NULL, 0},
    };
    sonde_bind_add_rows(L, "nn.", f_recurrent, rows);
}

/* ---- dL/dh_t ------------------------------------------------------------------------------------------ */

typedef struct hidden_call {
    const sonde_bind_callback *callback;
    int64_t layer;
    bool reverse;
    const sonde_hidden_grad *gradient;
} hidden_call;

static void set_integer(lua_State *L, const char *name, int64_t value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

static int call_hidden_hook(lua_State *L)
{
    const hidden_call *call = lua_touserdata(L, 1);
    const sonde_hidden_grad *g = call->gradient;
    sonde_bind_callback_push(L, call->callback);
    if (lua_isnil(L, -1)) return 0; /* nobody in Lua knows the module any more */
    sonde_tensor **copy = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_tensor_from(copy, g->dtype, 2, (int64_t[]){g->batch, g->hidden}, g->data));
    sonde_bind_done(L);
    lua_createtable(L, 0, 4);
    set_integer(L, "step", g->time + 1);
    set_integer(L, "layer", call->layer + 1);
    lua_pushboolean(L, call->reverse);
    lua_setfield(L, -2, "reverse");
    lua_pushboolean(L, g->cell);
    lua_setfield(L, -2, "cell");
    lua_call(L, 2, 0);
    return 0;
}

static sonde_status hidden_hook(void *context, int64_t layer, bool reverse, const sonde_hidden_grad *gradient)
{
    hidden_call call = {context, layer, reverse, gradient};
    return sonde_bind_protect(sonde_bind_callback_state(context), call_hidden_hook, &call);
}

/* register_hidden_grad_hook(function(gradient, where) ... end): a handle. gradient: the whole dL/dh_t [B, H], a copy;
 * where: step and layer from 1, reverse, cell (it is dL/dc_t). In force from the module's next forward on. */
int sonde_bind_nn_hidden_hook(lua_State *L)
{
    sonde_module *m = sonde_bind_check_module(L, 1);
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 2, "Module:register_hidden_grad_hook", SONDE_BIND_NAMES("hook"));
    sonde_bind_arg_function(&args, 0);
    sonde_handle **out = (sonde_handle **)sonde_bind_new(L, &sonde_bind_kind_handle);
    sonde_bind_callback *callback = sonde_bind_callback_new(L, sonde_bind_arg_index(&args, 0), 1);
    sonde_status status = sonde_recurrent_watch(m, hidden_hook, callback, sonde_bind_callback_free, out);
    if (status != SONDE_OK) sonde_bind_callback_free(callback);
    sonde_bind_check(L, status);
    return 1;
}
